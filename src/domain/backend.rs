//! Where metrics, alerts and notices come from: a Prometheus, an Alertmanager, CloudWatch, a queue.

use super::{ClusterId, Text};

/// What a backend is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackendKind {
    /// Prometheus, or what speaks its API: Thanos, Mimir, `VictoriaMetrics`.
    Prometheus,
    /// Alertmanager, API version 2.
    Alertmanager,
    /// EventBridge's events in a CloudWatch Logs group.
    EventLog,
    /// EventBridge's events in an SQS queue.
    EventQueue,
    /// EC2's own word of instances and spot requests.
    Ec2,
    /// CloudWatch of one account and region, for error budgets.
    CloudWatch,
}

impl BackendKind {
    /// True for what tells of machines that are taken away, and has no metrics.
    #[must_use]
    pub fn tells_notices(self) -> bool {
        matches!(self, Self::EventLog | Self::EventQueue | Self::Ec2)
    }

    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Prometheus => "Prometheus",
            Self::Alertmanager => "Alertmanager",
            Self::EventLog => "event log",
            Self::EventQueue => "event queue",
            Self::Ec2 => "EC2",
            Self::CloudWatch => "CloudWatch",
        }
    }
}

/// A backend that is read: something that is no cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// What the console calls it; distinct from every cluster's name.
    pub id: ClusterId,
    /// What it is.
    pub kind: BackendKind,
    /// Its version, empty until known.
    pub version: Text,
    /// Where it is, without credentials.
    pub endpoint: Text,
    /// The cluster whose tasks its series are about where labels do not say; `None`
    /// if it is about several.
    pub cluster: Option<ClusterId>,
    /// It was found, not named by anybody: where it may not be read, nothing is amiss.
    pub found: bool,
}
