//! What became of a notice, as it is kept.

use serde::{Deserialize, Serialize};

use super::{Fate, NoticeFeed, NoticeKind, Victim};
use crate::domain::{Text, Timestamp};

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// Every task at risk had left, and the owners were back at their desired counts.
    Evacuated {
        /// How long before the deadline, in seconds; `None` where there was no deadline.
        left: Option<i64>,
    },
    /// Every task at risk had left in time, but an owner was short when it went.
    NotReplaced,
    /// Tasks were still there when it went.
    Cut {
        /// How many.
        // A record has its own `tasks`, and both are on one line.
        #[serde(rename = "tasks_cut")]
        tasks: u32,
    },
    /// It was called off.
    CalledOff,
    /// Maintenance was done, and tasks were on it; what that did to them nobody says.
    TookPlace,
    /// The time passed, and it is still there.
    Stayed,
    /// It was over before the console learnt of it, or ended while the console did not look.
    Unseen,
    /// It is part of no cluster that is read: what became of what ran there is not known.
    Unread,
}

impl Outcome {
    /// A few words: `evacuated with 40 s left`, `2 tasks cut`.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Evacuated { left: Some(left) } => format!("evacuated with {left} s left"),
            Self::Evacuated { left: None } => "evacuated".to_owned(),
            Self::NotReplaced => "gone, not replaced".to_owned(),
            Self::Cut { tasks: 1 } => "1 task cut".to_owned(),
            Self::Cut { tasks } => format!("{tasks} tasks cut"),
            Self::CalledOff => "called off".to_owned(),
            Self::TookPlace => "took place".to_owned(),
            Self::Stayed => "did not happen".to_owned(),
            Self::Unseen => "over before it was seen".to_owned(),
            Self::Unread => "gone, not read here".to_owned(),
        }
    }
}

/// One notice that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What was to go.
    pub victim: Victim,
    /// The cluster that it was part of; empty if it was in none that is read.
    #[serde(default)]
    pub cluster: Text,
    /// The node's or task's name there; may be empty.
    #[serde(default)]
    pub name: Text,
    /// Why.
    pub kind: NoticeKind,
    /// What was done to it.
    #[serde(default)]
    pub fate: Fate,
    /// Since when the machine had lived.
    #[serde(default)]
    pub born: Option<Timestamp>,
    /// When the notice was given, or else heard of.
    pub issued: Timestamp,
    /// When it was to go.
    #[serde(default)]
    pub deadline: Option<Timestamp>,
    /// When it went, as far as that was seen.
    #[serde(default)]
    pub gone: Option<Timestamp>,
    /// Instance type.
    #[serde(default)]
    pub instance_type: Text,
    /// Availability zone.
    #[serde(default)]
    pub zone: Text,
    /// Region.
    #[serde(default)]
    pub region: Text,
    /// True if it was spot capacity.
    #[serde(default)]
    pub spot: bool,
    /// How many tasks were at risk.
    #[serde(default)]
    pub tasks: u32,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Who told first.
    #[serde(default)]
    pub told_by: Option<NoticeFeed>,
    /// How long after the notice was given the console learnt of it, in milliseconds.
    #[serde(default)]
    pub late_ms: Option<i64>,
}

impl Record {
    /// True if capacity of a pool that is read was taken back: what counts for its rate.
    #[must_use]
    pub fn is_interruption(&self) -> bool {
        matches!(self.kind, NoticeKind::Interruption | NoticeKind::Unannounced)
            && !matches!(self.outcome, Outcome::CalledOff | Outcome::Stayed | Outcome::Unread)
    }
}
