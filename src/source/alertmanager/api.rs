//! Alertmanager's HTTP API, version 2.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::domain::Timestamp;
use crate::source::SourceError;
use crate::source::prometheus::{Http, LabelMap, garbage};

/// An alert as Alertmanager has it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Alert {
    /// What identifies it: a hash of its labels.
    pub fingerprint: String,
    /// Its labels.
    pub labels: LabelMap,
    /// What its author says.
    pub annotations: LabelMap,
    /// Since when.
    pub starts_at: Option<Timestamp>,
    /// Whether people are told.
    pub status: Status,
}

/// Whether people are told of an alert.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Status {
    /// `active`, `suppressed` or `unprocessed`.
    pub state: String,
    /// Silences, by identity.
    pub silenced_by: Vec<String>,
    /// Alerts that inhibit it, by fingerprint.
    pub inhibited_by: Vec<String>,
    /// Time intervals that mute its route.
    pub muted_by: Vec<String>,
}

/// A silence.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Silence {
    /// Its identity.
    pub id: String,
    /// Who made it.
    pub created_by: String,
    /// Why.
    pub comment: String,
    /// From when on.
    pub starts_at: Option<Timestamp>,
    /// Until when.
    pub ends_at: Option<Timestamp>,
    /// Where it stands.
    pub status: SilenceStatus,
    /// What it is about.
    pub matchers: Vec<Matcher>,
}

impl Silence {
    /// It is in force.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.status.state == "active"
    }
}

/// Where a silence stands.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SilenceStatus {
    /// `pending`, `active` or `expired`.
    pub state: String,
}

/// One of the conditions that an alert must meet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Matcher {
    /// The label.
    pub name: String,
    /// What it is held against.
    pub value: String,
    /// The value is an expression.
    pub is_regex: bool,
    /// It must be so; else it must not.
    #[serde(default = "yes")]
    pub is_equal: bool,
}

fn yes() -> bool {
    true
}

impl Matcher {
    /// This value, to the letter.
    #[must_use]
    pub fn equal(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), value: value.to_owned(), is_regex: false, is_equal: true }
    }
}

/// `alertname="Queue\"Full"`: as Alertmanager reads and writes matchers.
impl std::fmt::Display for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let sign = match (self.is_equal, self.is_regex) {
            (true, false) => "=",
            (true, true) => "=~",
            (false, false) => "!=",
            (false, true) => "!~",
        };
        let classic = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let begins = self.name.chars().next().is_some_and(|c| !c.is_ascii_digit());
        if begins && self.name.chars().all(classic) {
            f.write_str(&self.name)?;
        } else {
            write!(f, "\"{}\"", escaped(&self.name))?;
        }
        write!(f, "{sign}\"{}\"", escaped(&self.value))
    }
}

/// An Alertmanager, and those that it shares its silences with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cluster {
    /// Its own name among them; empty where it is alone.
    pub name: String,
    /// All their names, its own among them.
    pub peers: Vec<String>,
}

/// One Alertmanager. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    http: Http,
}

impl Api {
    /// Asks through `http`.
    #[must_use]
    pub fn new(http: Http) -> Self {
        Self { http }
    }

    /// Where it is.
    #[must_use]
    pub fn endpoint(&self) -> crate::domain::Text {
        self.http.endpoint()
    }

    /// Every alert, silenced and inhibited ones included.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn alerts(&self) -> Result<Vec<Alert>, SourceError> {
        let all = [("active", "true"), ("silenced", "true"), ("inhibited", "true"), ("unprocessed", "true")];
        self.get("the alerts", "/api/v2/alerts", &all).await
    }

    /// Every silence that is kept, over ones included.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn silences(&self) -> Result<Vec<Silence>, SourceError> {
        self.get("the silences", "/api/v2/silences", &[]).await
    }

    /// The server's version; empty where it does not say.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn version(&self) -> Result<String, SourceError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Status {
            #[serde(default)]
            version_info: Version,
        }
        #[derive(Deserialize, Default)]
        struct Version {
            #[serde(default)]
            version: String,
        }
        Ok(self.get::<Status>("the status", "/api/v2/status", &[]).await?.version_info.version)
    }

    /// Who shares its silences; nobody where it does not say.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn cluster(&self) -> Result<Cluster, SourceError> {
        #[derive(Deserialize)]
        struct Status {
            #[serde(default)]
            cluster: Option<Said>,
        }
        #[derive(Deserialize)]
        struct Said {
            #[serde(default)]
            name: String,
            #[serde(default)]
            peers: Option<Vec<Peer>>,
        }
        #[derive(Deserialize)]
        struct Peer {
            #[serde(default)]
            name: String,
        }
        let status: Status = self.get("the status", "/api/v2/status", &[]).await?;
        Ok(status.cluster.map_or_else(Cluster::default, |c| Cluster {
            name: c.name,
            peers: c.peers.unwrap_or_default().into_iter().map(|p| p.name).collect(),
        }))
    }

    async fn get<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &str,
        params: &[(&str, &str)],
    ) -> Result<T, SourceError> {
        let body = self.http.get(path, params, explain).await?;
        serde_json::from_slice(&body).map_err(|e| garbage(what, &e))
    }
}

/// What Alertmanager says of an error, or the Kubernetes API before it: a JSON text, or `{"code": ..., "message": ...}`.
pub(super) fn explain(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Said {
        Text(String),
        Object { message: String },
    }
    match serde_json::from_slice(body).ok()? {
        Said::Text(text) | Said::Object { message: text } => Some(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matcher_is_written_as_alertmanager_reads_it() {
        let one = |name: &str, value: &str| Matcher::equal(name, value).to_string();
        assert_eq!(one("alertname", "QueueFull"), r#"alertname="QueueFull""#);
        assert_eq!(one("path", "/a|b.*\"x\"\\d\nend"), r#"path="/a|b.*\"x\"\\d\nend""#);
        assert_eq!(one("my.label", "x"), r#""my.label"="x""#);
        assert_eq!(one("0x", ""), r#""0x"="""#);
        let not = Matcher { is_equal: false, is_regex: true, ..Matcher::equal("pod", "web-.*") };
        assert_eq!(not.to_string(), r#"pod!~"web-.*""#);
    }
}
