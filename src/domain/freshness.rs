//! How much a source's data can be trusted right now.

use super::{Text, Timestamp};

/// The state of one source. Empty is never shown for `Loading`, and nothing
/// old is shown as if it were new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Freshness {
    /// Nothing complete has arrived yet.
    Loading {
        /// Since when we have been asking.
        since: Timestamp,
    },
    /// Complete, and changes follow as they happen.
    Live {
        /// The last sign of life (data, bookmark or heartbeat).
        at: Timestamp,
    },
    /// What is shown was complete at `since`; the source is being asked again.
    Stale {
        /// The last sign of life.
        since: Timestamp,
        /// Why it stopped.
        because: Text,
    },
    /// The source fails and nothing was ever shown, or it has failed for long.
    Down {
        /// Since when.
        since: Timestamp,
        /// Why, and what to do about it.
        because: Text,
    },
    /// Not offered here (no metrics server) or not allowed (RBAC). Asked again
    /// rarely; no harm to the rest.
    Absent {
        /// Why.
        because: Text,
        /// Denied by permissions, as opposed to not installed.
        denied: bool,
    },
}

impl Freshness {
    /// One word for it: `loading`, `live`, `stale`, `down`, `absent` or `denied`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Loading { .. } => "loading",
            Self::Live { .. } => "live",
            Self::Stale { .. } => "stale",
            Self::Down { .. } => "down",
            Self::Absent { denied: false, .. } => "absent",
            Self::Absent { denied: true, .. } => "denied",
        }
    }

    /// From best to worst, for picking what a header shows first.
    #[must_use]
    pub fn rank(&self) -> u8 {
        match self {
            Self::Live { .. } => 0,
            Self::Absent { denied: false, .. } => 1,
            Self::Absent { denied: true, .. } => 2,
            Self::Loading { .. } => 3,
            Self::Stale { .. } => 4,
            Self::Down { .. } => 5,
        }
    }

    /// Why, where there is a reason.
    #[must_use]
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::Stale { because, .. } | Self::Down { because, .. } | Self::Absent { because, .. } => Some(because),
            Self::Loading { .. } | Self::Live { .. } => None,
        }
    }
}
