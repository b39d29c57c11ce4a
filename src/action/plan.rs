//! What would happen, for people to read before it does; and what then happens.

use super::intent::Intent;
use crate::domain::{ObjectId, Text, Timestamp};

/// What is to become of one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It is changed.
    Acts,
    /// It would be, and something holds it back for now: a disruption budget.
    Waits,
    /// It is left as it is; the note says why.
    Stays,
}

/// What must still be so at the moment of acting. Else nothing is done, and what is there now is shown.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precondition {
    /// Nothing in particular.
    Nothing,
    /// The object has this unique name.
    Uid(Text),
    /// Nobody has written the object since: its unique name and version.
    Version {
        /// Unique name.
        uid: Text,
        /// Kubernetes's `resourceVersion`.
        version: Text,
    },
    /// An Alertmanager holds this alert, and these silences are over it.
    Alert {
        /// What identifies it there.
        fingerprint: Text,
        /// Their identities, in order.
        silences: Vec<Text>,
    },
    /// CloudWatch does, or does not, what an alarm is set up to do when it changes.
    Actions {
        /// It does.
        enabled: bool,
    },
    /// So many tasks are wanted of an ECS service, and this is its task definition.
    Desired {
        /// How many.
        count: i32,
        /// ARN.
        definition: Text,
    },
    /// This service deployment of ECS, by its ARN, is in progress.
    Deployment(Text),
}

/// A target, and what is to become of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// Which. Of a drain both nodes and the tasks on them.
    pub target: ObjectId,
    /// What is changed: `replicas`, `image of app`, `schedulable`, `evict`.
    pub field: Text,
    /// As it is now; empty where that says nothing.
    pub from: Text,
    /// As it will be; empty where that says nothing.
    pub to: Text,
    /// Whether it is.
    pub fate: Fate,
    /// What else is worth knowing: why it stays, which budget holds it.
    pub note: Text,
    /// What must still be so then.
    pub precondition: Precondition,
}

/// A permission that is needed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Permission {
    /// `create pods/eviction in shop`, `ecs:UpdateService`.
    pub what: Text,
    /// Whether it is there; `None` where nobody can say beforehand.
    pub allowed: Option<bool>,
}

/// What would happen.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Plan {
    /// What was asked for.
    pub intent: Intent,
    /// As of when.
    pub made: Timestamp,
    /// Each target with its change, in the order in which they are done.
    pub changes: Vec<Change>,
    /// Why nothing of it can be done as it is asked for, with what would help. Empty: it can.
    pub refused: Vec<Text>,
    /// What users and tasks will notice, and what may undo it: an autoscaler, a `GitOps` owner.
    pub warnings: Vec<Text>,
    /// What is good to know and no reason for care: that what leaves fits elsewhere.
    pub facts: Vec<Text>,
    /// The same by hand, to copy: `kubectl` or `aws` commands.
    pub equivalent: Vec<String>,
    /// How it is undone, in words; empty where it cannot be.
    pub undo: Text,
    /// What has to be allowed.
    pub needs: Vec<Permission>,
    /// Lines that are removed and added, for a changed definition: `- image: web:1`, `+ image: web:2`.
    pub diff: Vec<Text>,
}

impl Plan {
    /// With nothing in it yet.
    #[must_use]
    pub fn new(intent: Intent, made: Timestamp) -> Self {
        Self {
            intent,
            made,
            changes: Vec::new(),
            refused: Vec::new(),
            warnings: Vec::new(),
            facts: Vec::new(),
            equivalent: Vec::new(),
            undo: Text::empty(),
            needs: Vec::new(),
            diff: Vec::new(),
        }
    }

    /// True if it can be done as far as its maker knows, and changes something.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.refused.is_empty()
            && self.needs.iter().all(|p| p.allowed != Some(false))
            && self.changes.iter().any(|c| c.fate != Fate::Stays)
    }

    /// How many targets are changed, at once or later.
    #[must_use]
    pub fn acts(&self) -> usize {
        self.changes.iter().filter(|c| c.fate != Fate::Stays).count()
    }
}

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// It waits for something.
    Waiting,
    /// It is being done.
    Doing,
    /// Done.
    Done,
    /// It could not be done.
    Failed,
    /// It is not done: there was no need, or it was cancelled.
    Skipped,
}

/// Progress: of one target, or of all where it has none. A later step of a target replaces the one before.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// Which.
    pub target: Option<ObjectId>,
    /// How it stands.
    pub state: StepState,
    /// What goes on: `evicted, 12 s left`, `429: budget shop/web allows 0`.
    pub text: Text,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// As planned.
    Done,
    /// Not, or not all of it.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
    /// Nobody can say: no answer came, or the console ended.
    Unknown,
}

/// The end of an action.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct End {
    /// How.
    pub outcome: Outcome,
    /// In one sentence, with what was done and what was not.
    pub text: Text,
    /// What undoes what was done, to be offered; `None` where nothing was done, or nothing undoes it.
    pub undo: Option<Intent>,
}

impl End {
    /// As planned.
    #[must_use]
    pub fn done(text: &str, undo: Option<Intent>) -> Self {
        Self { outcome: Outcome::Done, text: Text::new(text), undo }
    }

    /// Not as planned.
    #[must_use]
    pub fn failed(text: &str, undo: Option<Intent>) -> Self {
        Self { outcome: Outcome::Failed, text: Text::new(text), undo }
    }
}

/// What a running action says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It goes on.
    Step(Step),
    /// A line of what it prints, cleaned.
    Output(Text),
    /// It is over.
    Ended(End),
}
