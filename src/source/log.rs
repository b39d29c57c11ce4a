//! What is asked for of a log, and what comes back, wherever it is kept.

use crate::domain::{ObjectId, Text, Timestamp};

/// Which log, and how much of it.
#[derive(Debug, Clone)]
pub struct LogStream {
    /// The task.
    pub task: ObjectId,
    /// The container in it; empty for the only one.
    pub container: Text,
    /// Go on with new lines as they come.
    pub follow: bool,
    /// Only what is newer than this many seconds.
    pub since_secs: Option<u32>,
    /// Only this many last lines.
    pub tail: Option<u32>,
    /// Of the container's last instance, not this one.
    pub previous: bool,
    /// The task's own id, so that another of the same name is not taken for it; may be empty.
    pub uid: Text,
    /// How often the container had been restarted when this was asked, if known:
    /// by it a later restart is recognised.
    pub restarts: Option<u32>,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogText {
    /// When it was written.
    pub at: Option<Timestamp>,
    /// The line without its end, exactly as written: not cleaned.
    pub raw: String,
}

/// What a log's stream brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogItem {
    /// A line.
    Line(LogText),
    /// What happened to the container between two lines.
    Marker {
        /// The time of the line before it, so that it keeps its place.
        at: Option<Timestamp>,
        /// What happened.
        text: Text,
    },
    /// Nothing follows.
    Ended {
        /// Because of this.
        why: Text,
        /// It happened while the log was followed; else it was so from the start.
        news: bool,
    },
}
