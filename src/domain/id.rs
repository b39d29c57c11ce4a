//! What identifies an object across clusters.

use super::{ClusterId, Text};

/// The kinds of object that have rows of their own or are referred to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A machine: Kubernetes Node, ECS container instance.
    Node,
    /// A Kubernetes Pod or ECS task.
    Task,
    /// Kubernetes Deployment.
    Deployment,
    /// Kubernetes `ReplicaSet`; a workload of its own only when nothing owns it.
    ReplicaSet,
    /// Kubernetes `StatefulSet`.
    StatefulSet,
    /// Kubernetes `DaemonSet`.
    DaemonSet,
    /// Kubernetes Job.
    Job,
    /// Kubernetes `CronJob`.
    CronJob,
    /// ECS service.
    #[serde(rename = "ecs-service")]
    EcsService,
    /// Kubernetes `HorizontalPodAutoscaler`, an ECS service's scalable target.
    Autoscaler,
    /// Kubernetes `PodDisruptionBudget`.
    DisruptionBudget,
    /// Kubernetes Namespace.
    Namespace,
    /// An availability zone: nodes that share a fate.
    Zone,
    /// An alarm of `CloudWatch`, an alert of Alertmanager or Prometheus.
    Alarm,
    /// An error budget: one objective of an SLO.
    Budget,
    /// What a user calls, with golden signals.
    Service,
    /// Something that is going to go, as a line of the list of notices.
    Notice,
    /// Machines of one type in one zone.
    Pool,
    /// Any other kind (an event may be about a Service or a `PersistentVolumeClaim`).
    Other,
}

impl Kind {
    /// Every kind, in the order above.
    pub const ALL: [Self; 19] = [
        Self::Node,
        Self::Task,
        Self::Deployment,
        Self::ReplicaSet,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::Job,
        Self::CronJob,
        Self::EcsService,
        Self::Autoscaler,
        Self::DisruptionBudget,
        Self::Namespace,
        Self::Zone,
        Self::Alarm,
        Self::Budget,
        Self::Service,
        Self::Notice,
        Self::Pool,
        Self::Other,
    ];

    /// The name Kubernetes gives it, empty for what it does not know.
    #[must_use]
    pub fn kubernetes(self) -> &'static str {
        match self {
            Self::Node => "Node",
            Self::Task => "Pod",
            Self::Deployment => "Deployment",
            Self::ReplicaSet => "ReplicaSet",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
            Self::Autoscaler => "HorizontalPodAutoscaler",
            Self::DisruptionBudget => "PodDisruptionBudget",
            Self::Namespace => "Namespace",
            Self::EcsService
            | Self::Zone
            | Self::Alarm
            | Self::Budget
            | Self::Service
            | Self::Notice
            | Self::Pool
            | Self::Other => "",
        }
    }

    /// The kind Kubernetes calls `name`.
    #[must_use]
    pub fn from_kubernetes(name: &str) -> Self {
        Self::ALL.into_iter().find(|k| !name.is_empty() && k.kubernetes() == name).unwrap_or(Self::Other)
    }

    /// The kind that people and kubectl call so, in whatever case: its Kubernetes name,
    /// the plural of that, or a short name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        let one = name.strip_suffix('s').unwrap_or(&name);
        let is = |kind: &&Self| {
            let long = kind.kubernetes().to_lowercase();
            kind.short() == name || (!long.is_empty() && (long == name || long == one)) || kind.short() == one
        };
        Self::ALL.iter().find(is).copied().or(match name.as_str() {
            "po" => Some(Self::Task),
            "no" => Some(Self::Node),
            "cj" => Some(Self::CronJob),
            "dp" => Some(Self::Deployment),
            _ => None,
        })
    }

    /// The short name kubectl takes and people say (`deploy`, `sts`, `po`).
    #[must_use]
    pub fn short(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Task => "task",
            Self::Deployment => "deploy",
            Self::ReplicaSet => "rs",
            Self::StatefulSet => "sts",
            Self::DaemonSet => "ds",
            Self::Job => "job",
            Self::CronJob => "cronjob",
            Self::EcsService => "service",
            Self::Autoscaler => "hpa",
            Self::DisruptionBudget => "pdb",
            Self::Namespace => "ns",
            Self::Zone => "zone",
            Self::Alarm => "alarm",
            Self::Budget => "slo",
            Self::Service => "svc",
            Self::Notice => "notice",
            Self::Pool => "pool",
            Self::Other => "object",
        }
    }

    /// True for what the workloads view lists.
    #[must_use]
    pub fn is_workload(self) -> bool {
        matches!(
            self,
            Self::Deployment
                | Self::ReplicaSet
                | Self::StatefulSet
                | Self::DaemonSet
                | Self::Job
                | Self::CronJob
                | Self::EcsService
        )
    }
}

/// An object's identity. `namespace` is empty for what has none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct ObjectId {
    /// The cluster it is in.
    pub cluster: ClusterId,
    /// Its kind.
    pub kind: Kind,
    /// Its namespace, empty for nodes.
    pub namespace: Text,
    /// Its name, unique with the three above.
    pub name: Text,
}

impl std::fmt::Display for ObjectId {
    /// `cluster/namespace/name`, without the namespace where there is none.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{}/{}", self.cluster, self.name)
        } else {
            write!(f, "{}/{}/{}", self.cluster, self.namespace, self.name)
        }
    }
}
