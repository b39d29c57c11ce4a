//! An alarm of some system that watches: what it watches, whether it fires, since when.

use super::{Health, Labels, ObjectId, Text, Timestamp};

/// Who watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlarmSource {
    /// A CloudWatch alarm on a metric, or on an expression over several.
    CloudWatchMetric,
    /// A CloudWatch alarm on other alarms.
    CloudWatchComposite,
    /// An alert that an Alertmanager holds.
    Alertmanager,
    /// An alerting rule that a Prometheus evaluates.
    Prometheus,
}

impl AlarmSource {
    /// True for both kinds of CloudWatch alarms.
    #[must_use]
    pub fn is_cloudwatch(self) -> bool {
        matches!(self, Self::CloudWatchMetric | Self::CloudWatchComposite)
    }

    /// In words: `CloudWatch`, `CloudWatch composite`, ...
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::CloudWatchMetric => "CloudWatch",
            Self::CloudWatchComposite => "CloudWatch composite",
            Self::Alertmanager => "Alertmanager",
            Self::Prometheus => "Prometheus",
        }
    }
}

/// Where an alarm stands; worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlarmState {
    /// As it should be.
    Ok,
    /// Cannot tell: neither fine nor firing.
    InsufficientData,
    /// Over its threshold, not yet for long enough.
    Pending,
    /// It fires.
    Firing,
}

impl AlarmState {
    /// One or two words.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::InsufficientData => "no data",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// How much an alarm matters, as whoever wrote it says; worst last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Drives a machine (an autoscaling policy) or informs; nobody has to act.
    Info,
    /// Nobody says.
    #[default]
    Unknown,
    /// Somebody has to look.
    Warning,
    /// Somebody has to look now.
    Critical,
}

impl Severity {
    /// What the words that people use mean: `critical`, `page`, `sev1`, `P2`, ...
    /// `None` for any other word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "critical" | "crit" | "page" | "emergency" | "fatal" | "high" | "sev0" | "sev1" | "sev-1" | "p0" | "p1" => {
                Self::Critical
            }
            "warning" | "warn" | "error" | "ticket" | "medium" | "sev2" | "sev3" | "sev-2" | "p2" | "p3" => {
                Self::Warning
            }
            "info" | "informational" | "none" | "low" | "sev4" | "sev5" | "p4" | "p5" => Self::Info,
            _ => return None,
        })
    }

    /// What a description says after the word `severity`: `Severity: critical`,
    /// `severity=warning`.
    #[must_use]
    pub fn in_text(text: &str) -> Option<Self> {
        Self::from_word(&Self::word_in(text)?)
    }

    /// The word after `severity` in a description, in lower case, whatever it is.
    #[must_use]
    pub fn word_in(text: &str) -> Option<String> {
        let lower = text.to_ascii_lowercase();
        let rest = lower.get(lower.find("severity")? + "severity".len()..)?;
        let word: String = rest
            .trim_start_matches(|c: char| !c.is_ascii_alphanumeric())
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
            .collect();
        let word = word.trim_end_matches('-');
        (!word.is_empty()).then(|| word.to_owned())
    }

    /// What somebody has to do: `page`, `ticket`, `info`, or `unset` where nobody says.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Critical => "page",
            Self::Warning => "ticket",
            Self::Unknown => "unset",
            Self::Info => "info",
        }
    }
}

/// A silence over an alarm, as its system keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlarmSilence {
    /// Who made it.
    pub by: Text,
    /// Until when.
    pub until: Option<Timestamp>,
    /// Why.
    pub why: Text,
}

/// What only some systems tell of an alarm; all of it may be empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AlarmMore {
    /// Names of the alarms that a composite one watches.
    pub children: Vec<Text>,
    /// What is measured: `CPUUtilization, Average of 1m`, an expression.
    pub metric: Text,
    /// The unit of value and threshold, as its system names it: `Percent`, `Seconds`.
    pub unit: Text,
    /// It fires below its threshold, not above it.
    pub below: bool,
    /// Where its system shows it: a generator's URL.
    pub link: Text,
    /// Annotations that have no field of their own.
    pub annotations: Labels,
    /// The silences over it; of a system that keeps none there are none.
    pub silences: Vec<AlarmSilence>,
}

/// One alarm, as a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    /// Identity: its own name, in the cluster that it is about, or in the first
    /// cluster that is read of its account where it is about none.
    pub id: ObjectId,
    /// What its system knows it by (an ARN, a fingerprint): one alarm that is read
    /// twice, through two profiles, has it twice.
    pub uid: Text,
    /// True if it is about the account as a whole, or about what is in no cluster.
    pub account_wide: bool,
    /// Who watches.
    pub source: AlarmSource,
    /// Where it stands.
    pub state: AlarmState,
    /// How much it matters.
    pub severity: Severity,
    /// Since when it stands there.
    pub since: Option<Timestamp>,
    /// What it is for, as its author put it; may be empty.
    pub summary: Text,
    /// Why it stands where it does, in its system's words; may be empty.
    pub reason: Text,
    /// The latest value that was looked at, in the metric's own unit.
    pub value: Option<f64>,
    /// What the value is held against.
    pub threshold: Option<f64>,
    /// What it is about in the source's own terms: dimensions, or labels.
    pub labels: Labels,
    /// What it is about, where that has a row: a service.
    pub about: Option<ObjectId>,
    /// Why nobody is told of it (a silence, a suppressor); empty if it is not suppressed.
    pub suppressed_by: Text,
    /// Where to read what to do; empty if nobody says.
    pub runbook: Text,
    /// What only some systems tell.
    pub more: AlarmMore,
}

impl Alarm {
    /// It fires, and somebody is to be told.
    #[must_use]
    pub fn is_firing(&self) -> bool {
        self.state == AlarmState::Firing && self.suppressed_by.is_empty()
    }

    /// It fires, somebody is to be told, and now.
    #[must_use]
    pub fn is_paging(&self) -> bool {
        self.is_firing() && self.severity == Severity::Critical
    }

    /// What one alert has in common over all its instances: `alertname`, else its own name.
    #[must_use]
    pub fn alert_name(&self) -> &Text {
        self.label("alertname").unwrap_or(&self.id.name)
    }

    /// The value of a label.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&Text> {
        self.labels.iter().find(|(k, _)| k.as_str() == name).map(|(_, v)| v)
    }

    /// How bad it is that the alarm stands where it does. An alarm without data, or
    /// one that is suppressed, is no trouble by itself.
    #[must_use]
    pub fn health(&self) -> Health {
        match (self.state, self.severity) {
            (AlarmState::Firing, _) if !self.suppressed_by.is_empty() => Health::Done,
            (AlarmState::Firing, Severity::Critical) => Health::Critical,
            (AlarmState::Firing, Severity::Warning | Severity::Unknown) => Health::Warning,
            (AlarmState::Firing, Severity::Info) => Health::Done,
            (AlarmState::Pending, _) => Health::Progressing,
            (AlarmState::InsufficientData | AlarmState::Ok, _) => Health::Ok,
        }
    }
}

/// The first link after the word `runbook`, if it is one that may be opened: http or
/// https, without a user's name in it.
#[must_use]
pub fn runbook_in(text: &str) -> Option<&str> {
    // ASCII only changes case in place: offsets stay.
    let at = text.to_ascii_lowercase().find("runbook")?;
    let rest = text.get(at..)?;
    let links = rest.match_indices("http").filter_map(|(i, _)| {
        let link = rest.get(i..)?;
        let end = link.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '|' | ')' | ']'));
        let link = link.get(..end.unwrap_or(link.len()))?.trim_end_matches(['.', ',', ';']);
        let host = link.strip_prefix("https://").or_else(|| link.strip_prefix("http://"))?;
        let authority = host.split(['/', '?', '#']).next().unwrap_or_default();
        (!authority.is_empty() && !authority.contains('@')).then_some(link)
    });
    links.into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ClusterId, Kind};

    #[test]
    fn a_runbook_is_the_first_link_after_its_name() {
        let find = runbook_in;
        assert_eq!(find("See https://a.example. Runbook: https://b.example/x#y."), Some("https://b.example/x#y"));
        assert_eq!(find("RUNBOOK (http://b.example/x) and https://c"), Some("http://b.example/x"));
        assert_eq!(find("https://runbook.example/x"), None, "the link comes after the word, not around it");
        assert_eq!(find("no link: runbook"), None);
        assert_eq!(find("runbook javascript:alert(1) file:///etc/passwd"), None);
        assert_eq!(find("runbook https://user@evil.example/ https://good.example/"), Some("https://good.example/"));
        assert_eq!(find("Ünïcode runbook → https://b.example"), Some("https://b.example"));
    }

    #[test]
    fn severity_is_what_is_said_and_nothing_else() {
        assert_eq!(Severity::in_text("web is slow. Severity: critical, tell everybody"), Some(Severity::Critical));
        assert_eq!(Severity::in_text("severity=P2"), Some(Severity::Warning));
        assert_eq!(Severity::in_text("severity: purple"), None);
        assert_eq!(Severity::in_text("a critical thing"), None);
    }

    #[test]
    fn only_what_fires_and_is_not_suppressed_is_trouble() {
        let mut alarm = Alarm {
            id: ObjectId {
                cluster: ClusterId::new("c"),
                kind: Kind::Alarm,
                namespace: Text::empty(),
                name: Text::new("web-cpu-high"),
            },
            uid: Text::empty(),
            account_wide: false,
            source: AlarmSource::CloudWatchMetric,
            state: AlarmState::Firing,
            severity: Severity::Unknown,
            since: None,
            summary: Text::empty(),
            reason: Text::empty(),
            value: None,
            threshold: None,
            labels: Labels::from([]),
            about: None,
            suppressed_by: Text::empty(),
            runbook: Text::empty(),
            more: AlarmMore::default(),
        };
        assert_eq!(alarm.health(), Health::Warning);
        alarm.severity = Severity::Critical;
        assert_eq!(alarm.health(), Health::Critical);
        alarm.suppressed_by = Text::new("Alarm: maintenance");
        assert!(!alarm.health().is_problem());
        alarm.suppressed_by = Text::empty();
        for state in [AlarmState::Ok, AlarmState::InsufficientData, AlarmState::Pending] {
            alarm.state = state;
            assert!(!alarm.health().is_problem(), "{state:?}");
        }
    }
}
