//! Alertmanager's HTTP API, version 2.

use serde::Deserialize;
use serde::de::DeserializeOwned;

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
    /// Until when.
    pub ends_at: Option<Timestamp>,
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

/// An error is a JSON text, or `{"code": ..., "message": ...}`.
fn explain(body: &[u8]) -> Option<String> {
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
