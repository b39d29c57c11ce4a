//! A machine that tasks run on.

use super::{EcsInstance, Health, Labels, ObjectId, Resources, Text, Timestamp};

/// How the machine was bought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CapacityType {
    /// Nothing says.
    #[default]
    Unknown,
    /// On demand or reserved.
    OnDemand,
    /// Spot: may be taken back at two minutes' notice.
    Spot,
}

impl CapacityType {
    /// As shown in a column: `spot`, `on-demand`, or `-`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "-",
            Self::OnDemand => "on-demand",
            Self::Spot => "spot",
        }
    }
}

/// The kubelet's Ready condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeCondition {
    /// Ready is True.
    Ready,
    /// Ready is False.
    NotReady,
    /// Ready is Unknown: the kubelet is silent. kubectl prints `NotReady`.
    Silent,
    /// There is no Ready condition. kubectl prints `Unknown`.
    Missing,
}

/// One node, as a row. What varies with use ([`super::Usage`]) is kept apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Identity; the namespace is empty.
    pub id: ObjectId,
    /// The object's uid.
    pub uid: Text,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// The Ready condition.
    pub condition: NodeCondition,
    /// Since when the Ready condition has stood.
    pub condition_since: Option<Timestamp>,
    /// The Ready condition's message when it is not ready.
    pub message: Text,
    /// Cordoned: takes no new tasks.
    pub unschedulable: bool,
    /// Pressure and other bad conditions that are True: `MemoryPressure`,
    /// `DiskPressure`, `PIDPressure`, `NetworkUnavailable`, and any
    /// `*Problem`/`*Deadlock` of node-problem-detector, comma-separated.
    pub pressure: Text,
    /// kubectl's STATUS: `Ready`, `NotReady,SchedulingDisabled`, ...
    pub status: Text,
    /// kubectl's ROLES: comma-separated, `<none>` without any.
    pub roles: Text,
    /// Kubelet version.
    pub version: Text,
    /// Availability zone, empty if unlabelled.
    pub zone: Text,
    /// Instance type, empty if unlabelled.
    pub instance_type: Text,
    /// What the provider calls the machine (`i-0b662ef9931388ba0`), empty if not known.
    pub instance: Text,
    /// Spot or on demand.
    pub capacity_type: CapacityType,
    /// First internal address.
    pub address: Text,
    /// OS image.
    pub os_image: Text,
    /// Container runtime and version.
    pub runtime: Text,
    /// What tasks can use of it.
    pub allocatable: Resources,
    /// How many tasks it takes; 0 if not stated.
    pub allocatable_tasks: u32,
    /// Taints as `key=value:Effect`, comma-separated.
    pub taints: Text,
    /// What a condition of the cloud provider announces, a word and when: `PreemptScheduled: Mon,
    /// 02 Mar 2026 19:01:45 GMT`; empty if nothing.
    pub announced: Text,
    /// Labels, shared; a container instance's attributes.
    pub labels: Labels,
    /// What only ECS says; `None` for a Kubernetes node.
    pub ecs: Option<Box<EcsInstance>>,
}

impl Node {
    /// Not ready is critical, silence too; pressure is a warning; a cordon is
    /// somebody's work in progress.
    #[must_use]
    pub fn health(&self) -> Health {
        match self.condition {
            NodeCondition::NotReady | NodeCondition::Silent => Health::Critical,
            NodeCondition::Missing => Health::Unknown,
            NodeCondition::Ready if !self.pressure.is_empty() => Health::Warning,
            NodeCondition::Ready if self.unschedulable => Health::Progressing,
            NodeCondition::Ready => Health::Ok,
        }
    }
}
