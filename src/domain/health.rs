//! How well a thing is, on one scale for every kind.

/// From best to worst, so that sorting descending puts the worst first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As it should be.
    #[default]
    Ok,
    /// Finished as intended (a completed job).
    Done,
    /// On its way: starting, rolling out, terminating within its grace.
    Progressing,
    /// Not known: the node is silent, the condition is missing.
    Unknown,
    /// Impaired, still serving: short of replicas, under pressure, restarting.
    Warning,
    /// Broken: crash looping, not ready, evicted, no replica left.
    Critical,
}

impl Health {
    /// Worth looking at: warning, critical or unknown.
    #[must_use]
    pub fn is_problem(self) -> bool {
        self >= Self::Unknown
    }

    /// One word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Done => "done",
            Self::Progressing => "progressing",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}
