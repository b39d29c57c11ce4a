//! Which checkboxes are ticked, incident by incident.

use serde::{Deserialize, Serialize};

/// How many incidents are remembered; the one that was touched longest ago goes first.
pub const INCIDENTS: usize = 200;
/// How many ticks one incident has at most.
pub const TICKS: usize = 500;
/// More is not read.
pub const LARGEST: u64 = 4 << 20;

/// All that is remembered, the latest last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Of the file; another one is not read.
    pub version: u32,
    /// What was ticked.
    pub incidents: Vec<Incident>,
}

/// One incident, in one runbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// What it is about, and since when.
    pub incident: String,
    /// The runbook's name.
    pub runbook: String,
    /// The texts of what is ticked.
    pub ticked: Vec<String>,
}

impl Progress {
    /// Whether it is ticked.
    #[must_use]
    pub fn is_ticked(&self, incident: &str, runbook: &str, text: &str) -> bool {
        self.of(incident, runbook).iter().any(|t| t == text)
    }

    /// What is ticked.
    #[must_use]
    pub fn of(&self, incident: &str, runbook: &str) -> &[String] {
        let found = self.incidents.iter().find(|i| i.incident == incident && i.runbook == runbook);
        found.map_or(&[], |i| &i.ticked)
    }

    /// Ticks it, or takes the tick away; true if it is ticked now.
    pub fn toggle(&mut self, incident: &str, runbook: &str, text: &str) -> bool {
        let at = self.incidents.iter().position(|i| i.incident == incident && i.runbook == runbook);
        let mut entry = match at {
            Some(at) => self.incidents.remove(at),
            None => Incident { incident: incident.to_owned(), runbook: runbook.to_owned(), ticked: Vec::new() },
        };
        let known = entry.ticked.iter().position(|t| t == text);
        match known {
            Some(at) => drop(entry.ticked.remove(at)),
            None => entry.ticked.push(text.to_owned()),
        }
        entry.ticked.truncate(TICKS);
        if !entry.ticked.is_empty() {
            self.incidents.push(entry);
        }
        let over = self.incidents.len().saturating_sub(INCIDENTS);
        self.incidents.drain(..over);
        known.is_none()
    }

    /// As the file has it.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(&Self { version: 1, ..self.clone() }).unwrap_or_default()
    }

    /// From the file; nothing where that makes no sense.
    #[must_use]
    pub fn from_json(text: &str) -> Self {
        let read: Self = serde_json::from_str(text).unwrap_or_default();
        if read.version == 1 { read } else { Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_kept_by_incident_and_bounded() {
        let mut p = Progress::default();
        assert!(p.toggle("a", "x", "look"));
        assert!(p.is_ticked("a", "x", "look") && !p.is_ticked("b", "x", "look") && !p.is_ticked("a", "y", "look"));
        assert_eq!(Progress::from_json(&p.to_json()).incidents, p.incidents);
        assert!(!p.toggle("a", "x", "look"));
        assert!(p.incidents.is_empty());
        for n in 0..INCIDENTS + 5 {
            p.toggle(&n.to_string(), "x", "look");
        }
        assert_eq!(p.incidents.len(), INCIDENTS);
        assert!(!p.is_ticked("4", "x", "look") && p.is_ticked("5", "x", "look"));
        assert_eq!(Progress::from_json("{\"version\": 9, \"incidents\": [{}]}"), Progress::default());
    }
}
