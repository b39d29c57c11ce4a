//! What keeps tasks running: deployments and their kin, ECS services.

use super::{EcsService, Health, Kind, Labels, ObjectId, Text, Timestamp};

/// Replica counts, in the words kubectl uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Replicas {
    /// Wanted.
    pub desired: u32,
    /// Existing.
    pub current: u32,
    /// Ready.
    pub ready: u32,
    /// At the latest revision.
    pub updated: u32,
    /// Ready for long enough.
    pub available: u32,
}

impl Replicas {
    /// Wanted but not available.
    #[must_use]
    pub fn unavailable(self) -> u32 {
        self.desired.saturating_sub(self.available)
    }
}

/// One workload, as a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Identity; `id.kind` is one of the workload kinds.
    pub id: ObjectId,
    /// The object's uid.
    pub uid: Text,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// Its controller's kind (a `ReplicaSet`'s Deployment, a Job's `CronJob`); [`Kind::Other`] without one.
    pub owner_kind: Kind,
    /// Its controller's name, empty without one.
    pub owner: Text,
    /// Counts. For a Job: desired completions, active as current, succeeded as available.
    pub replicas: Replicas,
    /// What it is doing: `Available`, `Rolling out`, `Stuck`, `Complete`, `Failed`,
    /// `Suspended`, `Scaled to zero`, ...
    pub status: Text,
    /// How it is.
    pub health: Health,
    /// Why, when it is not well.
    pub message: Text,
    /// Images of its template, comma-separated.
    pub images: Text,
    /// Cron schedule, empty for other kinds.
    pub schedule: Text,
    /// Last scheduled (`CronJob`) or completed (Job).
    pub last_run: Option<Timestamp>,
    /// Selector `matchLabels`, for finding its tasks; empty if it uses expressions.
    pub selector: Labels,
    /// Labels, shared.
    pub labels: Labels,
    /// Revision annotation of a Deployment or `ReplicaSet`, an ECS service's task
    /// definition as `family:revision`; empty otherwise.
    pub revision: Text,
    /// What only ECS says; `None` for a Kubernetes workload.
    pub ecs: Option<Box<EcsService>>,
}

/// A `HorizontalPodAutoscaler` or a scalable target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Autoscaler {
    /// Identity.
    pub id: ObjectId,
    /// What it scales.
    pub target_kind: Kind,
    /// Its name.
    pub target: Text,
    /// Lower bound.
    pub min: u32,
    /// Upper bound.
    pub max: u32,
    /// Replicas it sees.
    pub current: u32,
    /// Replicas it wants.
    pub desired: u32,
    /// Current against target metrics as kubectl prints them: `cpu: 82%/70%`.
    pub targets: Text,
    /// True when it wants more than it may have.
    pub limited: bool,
    /// When it was created.
    pub created: Option<Timestamp>,
}

/// A `PodDisruptionBudget`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisruptionBudget {
    /// Identity.
    pub id: ObjectId,
    /// `minAvailable`, as written, empty if not used.
    pub min_available: Text,
    /// `maxUnavailable`, as written, empty if not used.
    pub max_unavailable: Text,
    /// Evictions allowed now.
    pub allowed: u32,
    /// Healthy tasks it sees.
    pub healthy: u32,
    /// Tasks it expects.
    pub expected: u32,
    /// Selector `matchLabels`.
    pub selector: Labels,
    /// When it was created.
    pub created: Option<Timestamp>,
}
