//! What sources push: the only way data enters the store.

use crate::domain::{
    Alarm, Autoscaler, Backend, BackendKind, Budget, Cluster, ClusterId, DisruptionBudget, Event, Freshness, Limit,
    Node, ObjectId, Orchestrator, Service, Spend, TargetHealth, Task, Text, Timestamp, Traffic, Usage, Workload,
    notice::Told,
};

/// One kind of thing read from one system. A cluster has several, and each
/// has its own freshness: a forbidden kind does not make the others stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feed {
    /// Nodes.
    Nodes,
    /// Pods.
    Tasks,
    /// Deployments.
    Deployments,
    /// Replica sets.
    ReplicaSets,
    /// Stateful sets.
    StatefulSets,
    /// Daemon sets.
    DaemonSets,
    /// Jobs.
    Jobs,
    /// Cron jobs.
    CronJobs,
    /// ECS services.
    Services,
    /// Events.
    Events,
    /// Horizontal pod autoscalers, or Application Auto Scaling's targets.
    Autoscalers,
    /// Pod disruption budgets.
    DisruptionBudgets,
    /// metrics.k8s.io usage of nodes.
    NodeMetrics,
    /// metrics.k8s.io usage of pods.
    TaskMetrics,
    /// CloudWatch's usage of what is on screen.
    ServiceMetrics,
    /// Health of load balancers' targets behind what is on screen.
    Targets,
    /// What bites when it runs out: free addresses of subnets, quotas.
    Limits,
    /// Alarms of CloudWatch; alerts of an Alertmanager or a Prometheus.
    Alarms,
    /// Error budgets, as a metric backend's figures have them.
    Budgets,
    /// Golden signals of services.
    Signals,
    /// Notices of what is going to go: EventBridge's events, EC2's word.
    Notices,
}

impl Feed {
    /// Every feed of a Kubernetes cluster, most wanted first.
    pub const KUBERNETES: [Self; 13] = [
        Self::Tasks,
        Self::Nodes,
        Self::Deployments,
        Self::StatefulSets,
        Self::DaemonSets,
        Self::ReplicaSets,
        Self::Jobs,
        Self::CronJobs,
        Self::Events,
        Self::Autoscalers,
        Self::DisruptionBudgets,
        Self::NodeMetrics,
        Self::TaskMetrics,
    ];

    /// Every feed of an ECS cluster, most wanted first. Services' events come with the services.
    pub const ECS: [Self; 9] = [
        Self::Tasks,
        Self::Services,
        Self::Nodes,
        Self::Events,
        Self::Alarms,
        Self::Autoscalers,
        Self::Limits,
        Self::ServiceMetrics,
        Self::Targets,
    ];

    /// Every feed of a metric backend: a Prometheus, an Alertmanager.
    pub const BACKEND: [Self; 3] = [Self::Alarms, Self::Budgets, Self::Signals];

    /// The feeds that a metric backend has, as long as nobody knows what it is all of them.
    #[must_use]
    pub fn of_backend(kind: Option<BackendKind>) -> &'static [Self] {
        match kind {
            Some(BackendKind::Alertmanager) => &[Self::Alarms],
            Some(BackendKind::EventLog | BackendKind::EventQueue | BackendKind::Ec2) => &[Self::Notices],
            Some(BackendKind::CloudWatch) => &[Self::Budgets],
            Some(BackendKind::Prometheus) | None => &Self::BACKEND,
        }
    }

    /// Every feed there is.
    pub const ALL: [Self; 21] = [
        Self::Tasks,
        Self::Nodes,
        Self::Deployments,
        Self::StatefulSets,
        Self::DaemonSets,
        Self::ReplicaSets,
        Self::Jobs,
        Self::CronJobs,
        Self::Services,
        Self::Events,
        Self::Autoscalers,
        Self::DisruptionBudgets,
        Self::NodeMetrics,
        Self::TaskMetrics,
        Self::ServiceMetrics,
        Self::Targets,
        Self::Limits,
        Self::Alarms,
        Self::Budgets,
        Self::Signals,
        Self::Notices,
    ];

    /// True for what is asked for only while it is on screen.
    #[must_use]
    pub fn is_on_demand(self) -> bool {
        matches!(self, Self::ServiceMetrics | Self::Targets)
    }

    /// The feeds that a cluster of this orchestrator has.
    #[must_use]
    pub fn of(orchestrator: Orchestrator) -> &'static [Self] {
        match orchestrator {
            Orchestrator::Kubernetes => &Self::KUBERNETES,
            Orchestrator::Ecs => &Self::ECS,
        }
    }

    /// True for the feeds of what the workloads view lists.
    #[must_use]
    pub fn is_workloads(self) -> bool {
        matches!(
            self,
            Self::Deployments
                | Self::ReplicaSets
                | Self::StatefulSets
                | Self::DaemonSets
                | Self::Jobs
                | Self::CronJobs
                | Self::Services
        )
    }

    /// What people call it: `nodes`, `tasks`, `stateful sets`, ...
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Nodes => "nodes",
            Self::Tasks => "tasks",
            Self::Deployments => "deployments",
            Self::ReplicaSets => "replica sets",
            Self::StatefulSets => "stateful sets",
            Self::DaemonSets => "daemon sets",
            Self::Jobs => "jobs",
            Self::CronJobs => "cron jobs",
            Self::Services => "services",
            Self::Events => "events",
            Self::Autoscalers => "autoscalers",
            Self::DisruptionBudgets => "disruption budgets",
            Self::NodeMetrics => "node metrics",
            Self::TaskMetrics => "task metrics",
            Self::ServiceMetrics => "service metrics",
            Self::Targets => "targets",
            Self::Limits => "limits",
            Self::Alarms => "alarms",
            Self::Budgets => "budgets",
            Self::Signals => "signals",
            Self::Notices => "notices",
        }
    }
}

/// A source: one feed of one cluster, or of one metric backend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId {
    /// Where: a cluster, or a backend by its own name ([`Body::Backend`]).
    pub cluster: ClusterId,
    /// What.
    pub feed: Feed,
}

/// Rows of one kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Rows {
    /// Nodes.
    Nodes(Vec<Node>),
    /// Tasks.
    Tasks(Vec<Task>),
    /// Workloads of any kind.
    Workloads(Vec<Workload>),
    /// Events.
    Events(Vec<Event>),
    /// Autoscalers.
    Autoscalers(Vec<Autoscaler>),
    /// Disruption budgets.
    DisruptionBudgets(Vec<DisruptionBudget>),
    /// What runs out.
    Limits(Vec<Limit>),
    /// Alarms.
    Alarms(Vec<Alarm>),
    /// Points of alarms' metrics, whole: they replace what was there.
    Trends(Vec<(ObjectId, super::Trend)>),
    /// Error budgets.
    Budgets(Vec<Budget>),
    /// Services with their golden signals.
    Services(Vec<Service>),
    /// Targets behind services.
    Targets(Vec<(ObjectId, TargetHealth)>),
    /// What load balancers count of services' requests.
    Traffic(Vec<(ObjectId, Traffic)>),
    /// What is going to go, what has gone. Not rows of a list: each is kept, whatever comes after.
    Told(Vec<Told>),
    /// Use of nodes and tasks, and of services as shares ([`Usage::of_shares`]), by identity. A whole sample: what is not in it has none.
    Usage(Vec<(ObjectId, Usage)>),
}

impl Rows {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Nodes(v) => v.len(),
            Self::Tasks(v) => v.len(),
            Self::Workloads(v) => v.len(),
            Self::Events(v) => v.len(),
            Self::Autoscalers(v) => v.len(),
            Self::DisruptionBudgets(v) => v.len(),
            Self::Limits(v) => v.len(),
            Self::Alarms(v) => v.len(),
            Self::Trends(v) => v.len(),
            Self::Budgets(v) => v.len(),
            Self::Services(v) => v.len(),
            Self::Targets(v) => v.len(),
            Self::Traffic(v) => v.len(),
            Self::Told(v) => v.len(),
            Self::Usage(v) => v.len(),
        }
    }

    /// True without any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What happened at a source.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// The cluster introduced itself, or what is known of it changed.
    Cluster(Cluster),
    /// A metric backend introduced itself; its name is not a cluster's from then on.
    Backend(Backend),
    /// A complete list begins. Rows follow as `Upsert`; those of this feed that
    /// are not upserted again before `Synced` are gone. Until then the old rows
    /// stay, so nobody sees half a list.
    Begin,
    /// New or changed rows.
    Upsert(Rows),
    /// Rows that are gone.
    Remove(Vec<ObjectId>),
    /// The list is complete; the source is live.
    Synced,
    /// A sign of life without data (a bookmark).
    Alive,
    /// The source's freshness changed: it failed, was denied, is retried.
    Freshness(Freshness),
    /// What reading this account has cost so far.
    Spend(Spend),
    /// Something for the error log that does not change freshness (a retry, a
    /// malformed object that was skipped).
    Note(Text),
}

/// One message from a source to the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// Who says it.
    pub source: SourceId,
    /// When it was received.
    pub at: Timestamp,
    /// What.
    pub body: Body,
}
