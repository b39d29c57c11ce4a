//! What a cluster reports about an object.

use super::{ObjectId, Text, Timestamp};

/// Normal or Warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EventLevel {
    /// Routine.
    Normal,
    /// Something is wrong.
    Warning,
}

/// One event, as a row. Repeats are counted, not repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The event object's own identity.
    pub id: ObjectId,
    /// What it is about.
    pub about: ObjectId,
    /// The kind's own name, for kinds that have no row (`PersistentVolumeClaim`).
    pub about_kind: Text,
    /// Normal or Warning.
    pub level: EventLevel,
    /// CamelCase reason (`FailedScheduling`).
    pub reason: Text,
    /// Human text.
    pub message: Text,
    /// Who reports (`kubelet`, `default-scheduler`).
    pub reporter: Text,
    /// How often.
    pub count: u32,
    /// First seen.
    pub first: Option<Timestamp>,
    /// Last seen.
    pub last: Option<Timestamp>,
}
