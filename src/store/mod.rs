//! The shared state: what every source has said, indexed for the screens.
//!
//! The run loop is the only writer and the only reader; there is no lock and no
//! copy of the world per frame.

pub mod alarm_groups;
pub mod alarm_log;
mod apply;
pub mod health;
pub mod history;
pub mod memo;
pub mod notices;
pub mod observation;
mod placed;
pub mod placements;
pub mod problems;
pub mod services;
pub mod summary;
pub mod table;
pub mod totals;
mod uses;

use fixedbitset::FixedBitSet;
use foldhash::{HashMap, HashSet};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::domain::{
    Accent, Alarm, Autoscaler, Backend, Budget, Cluster, ClusterId, DisruptionBudget, Event, Freshness, Kind, Limit,
    Node, ObjectId, Orchestrator, Service, Spend, TargetHealth, Task, Text, Timestamp, Traffic, Workload,
};
use alarm_log::{AlarmLog, AlarmRules};
use history::History;
pub use observation::{Body, Feed, Observation, Rows, SourceId};
pub use table::{Slot, Table};
pub use totals::{TaskTotals, Totals};

/// How many lines the error log keeps.
const ERROR_LOG: usize = 500;
/// How many restarts are remembered at the most.
const RESTART_LOG: usize = 20_000;

/// One source as the store knows it.
#[derive(Debug)]
pub struct SourceState {
    /// How much it can be trusted.
    pub freshness: Freshness,
    /// True once a complete list has arrived.
    pub complete: bool,
    /// When data last arrived.
    pub last_data: Option<Timestamp>,
    /// When a complete list last arrived.
    last_list: Option<Timestamp>,
    generation: u32,
}

/// One line of the error log.
#[derive(Debug, Clone, PartialEq)]
pub struct LogEntry {
    /// When it happened last.
    pub at: Timestamp,
    /// Where.
    pub source: SourceId,
    /// What.
    pub text: Text,
    /// How often in a row.
    pub count: u32,
}

/// One task's containers restarted.
#[derive(Debug, Clone)]
struct Restart {
    at: Timestamp,
    id: ObjectId,
    count: u32,
    /// Earlier ones may have gone unseen.
    at_least: bool,
}

/// Restarts further apart than this are of different stories: the kubelet waits for
/// five minutes at most between two attempts.
const STREAK: chrono::TimeDelta = chrono::TimeDelta::minutes(10);

/// A metric over time, oldest first, in its own unit.
pub type Trend = Arc<[(Timestamp, f64)]>;

/// Everything the screens show.
#[derive(Debug, Default)]
pub struct Store {
    clusters: BTreeMap<ClusterId, Option<Cluster>>,
    accents: BTreeMap<ClusterId, Accent>,
    /// Those that were expected to be ECS clusters.
    ecs: BTreeSet<ClusterId>,
    backends: BTreeMap<ClusterId, Option<Backend>>,
    sources: BTreeMap<SourceId, SourceState>,
    /// Nodes.
    pub nodes: Table<Node>,
    /// Tasks.
    pub tasks: Table<Task>,
    /// Workloads, replica sets that belong to a deployment included.
    pub workloads: Table<Workload>,
    /// Events.
    pub events: Table<Event>,
    /// Autoscalers.
    pub autoscalers: Table<Autoscaler>,
    /// Disruption budgets.
    pub disruption_budgets: Table<DisruptionBudget>,
    /// What runs out.
    pub limits: Table<Limit>,
    /// Alarms, whatever their state.
    pub alarms: Table<Alarm>,
    /// What was seen of each alarm.
    pub alarm_log: AlarmLog,
    /// Points of the metrics of alarms whose details are, or were, on screen; oldest first.
    pub trends: BTreeMap<ObjectId, Trend>,
    alarm_rules: AlarmRules,
    /// What is going to go.
    pub notices: notices::Notices,
    /// What is said of services whose tasks cannot be placed.
    placements: placements::Placements,
    /// The same as lines, as last asked.
    unplaced: memo::Memo<Arc<[placements::Unplaced]>, (memo::Moment, Timestamp)>,
    /// Error budgets.
    pub budgets: Table<Budget>,
    /// Services with their golden signals.
    pub services: Table<Service>,
    /// Targets behind services that are, or were, on screen.
    pub targets: BTreeMap<ObjectId, TargetHealth>,
    /// Requests to services that are, or were, on screen.
    pub traffic: BTreeMap<ObjectId, Traffic>,
    /// The last minutes of it, oldest first; minutes that nobody looked at are missing.
    traffic_trend: HashMap<ObjectId, VecDeque<Traffic>>,
    /// Since when budgets call somebody; without those that did when first read.
    calling: HashMap<ObjectId, Timestamp>,
    /// What reading each AWS account has cost.
    pub spend: BTreeMap<Text, Spend>,
    /// Measured use.
    pub usage: History,
    /// What the measured tasks of workloads use, as last asked.
    uses: memo::Memo<Arc<uses::Uses>, (memo::Moment, Timestamp)>,
    /// Sums.
    pub totals: Totals,
    /// Which tasks are on which node.
    placed: placed::Placed,
    restarts: VecDeque<Restart>,
    /// The tasks that may be in trouble, by their rows alone.
    suspects: FixedBitSet,
    /// Restarts that were seen to follow each other within [`STREAK`], of tasks that had any.
    streaks: HashMap<Slot, health::Streak>,
    /// What is wrong, as last asked.
    wrong: memo::Memo<problems::Found, (memo::Moment, Timestamp)>,
    /// How old that, and the clusters in numbers, may be.
    pub patience: memo::Patience,
    /// The notices, as last asked.
    board: memo::Memo<Arc<notices::Board>, (memo::Moment, Timestamp)>,
    /// The pools, as last asked.
    pool_board: memo::Memo<Arc<notices::PoolBoard>>,
    /// The clusters in numbers, as last asked.
    summaries: memo::Memo<Arc<[summary::ClusterSummary]>, (memo::Moment, Timestamp)>,
    /// Alarms that are problems, gathered: for the revisions of alarms and workloads, and for
    /// whose the tasks are that alarms are about.
    trouble: memo::Memo<Arc<[alarm_groups::Kept]>, (u64, u64, u64)>,
    /// How many alarms page, for a revision of the alarms.
    pages: memo::Memo<usize, u64>,
    /// Nodes and workloads that are unwell, and since when that was seen.
    unwell: HashMap<ObjectId, health::Unwell>,
    /// Machines of which nothing is heard.
    silent: HashMap<ClusterId, HashSet<Text>>,
    log: VecDeque<LogEntry>,
    revision: u64,
}

impl Store {
    /// An empty store that knows which clusters to expect, so that they show as
    /// loading before they answer.
    #[must_use]
    pub fn expecting(clusters: impl IntoIterator<Item = ClusterId>) -> Self {
        Self { clusters: clusters.into_iter().map(|c| (c, None)).collect(), ..Self::default() }
    }

    /// Expects these ECS clusters as well.
    #[must_use]
    pub fn and_ecs(mut self, clusters: impl IntoIterator<Item = ClusterId>) -> Self {
        for id in clusters {
            self.ecs.insert(id.clone());
            self.clusters.insert(id, None);
        }
        self
    }

    /// Clusters that were given a colour.
    #[must_use]
    pub fn and_accents(mut self, accents: impl IntoIterator<Item = (ClusterId, Accent)>) -> Self {
        self.accents.extend(accents);
        self
    }

    /// The colour that a cluster was given.
    #[must_use]
    pub fn accent(&self, id: &ClusterId) -> Option<Accent> {
        self.accents.get(id).copied()
    }

    /// Marked as production.
    #[must_use]
    pub fn is_production(&self, id: &ClusterId) -> bool {
        self.cluster(id).is_some_and(|c| c.production)
    }

    /// With what the user says of alarms in general.
    #[must_use]
    pub fn and_alarm_rules(mut self, rules: AlarmRules) -> Self {
        self.alarm_rules = rules;
        self
    }

    /// How many page-level alarms fire and are not suppressed; one that two profiles read
    /// counts once.
    #[must_use]
    pub fn paging(&self) -> usize {
        self.pages.at(self.alarms.revision(), || {
            let mut told = BTreeSet::new();
            self.alarms.rows().filter(|a| a.is_paging() && (a.uid.is_empty() || told.insert(&a.uid))).count()
        })
    }

    /// Who places a cluster's tasks: as it said itself, or as was expected of it.
    #[must_use]
    pub fn orchestrator(&self, cluster: &ClusterId) -> Orchestrator {
        match self.clusters.get(cluster) {
            Some(Some(known)) => known.orchestrator,
            _ if self.ecs.contains(cluster) => Orchestrator::Ecs,
            _ => Orchestrator::Kubernetes,
        }
    }

    /// What everything that is worked out at `now` depends on.
    #[must_use]
    pub fn moment(&self, now: Timestamp) -> memo::Moment {
        (self.revision, self.usage.revision(), now.timestamp())
    }

    /// Grows with every observation that changed something on any screen.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The clusters by name, `None` until one has introduced itself.
    pub fn clusters(&self) -> impl Iterator<Item = (&ClusterId, Option<&Cluster>)> {
        self.clusters.iter().map(|(id, c)| (id, c.as_ref()))
    }

    /// What a cluster said of itself, once it has.
    #[must_use]
    pub fn cluster(&self, id: &ClusterId) -> Option<&Cluster> {
        self.clusters.get(id).and_then(Option::as_ref)
    }

    /// Expects these metric backends as well, by the console's names for them: none
    /// of them is a cluster.
    #[must_use]
    pub fn and_backends(mut self, backends: impl IntoIterator<Item = ClusterId>) -> Self {
        self.backends.extend(backends.into_iter().map(|b| (b, None)));
        self
    }

    /// The metric backends by name, `None` until one has introduced itself.
    pub fn backends(&self) -> impl Iterator<Item = (&ClusterId, Option<&Backend>)> {
        self.backends.iter().map(|(id, b)| (id, b.as_ref()))
    }

    /// Every source with its state, by cluster and feed.
    pub fn sources(&self) -> impl Iterator<Item = (&SourceId, &SourceState)> {
        self.sources.iter()
    }

    /// One feed's state.
    #[must_use]
    pub fn source(&self, cluster: &ClusterId, feed: Feed) -> Option<&SourceState> {
        self.sources.get(&SourceId { cluster: cluster.clone(), feed })
    }

    /// True when `feed` is complete in every cluster that offers it: only then
    /// does an empty list mean that there is nothing.
    #[must_use]
    pub fn is_complete(&self, feeds: &[Feed]) -> bool {
        !self.clusters.is_empty()
            && self.clusters.keys().all(|c| {
                let offered = Feed::of(self.orchestrator(c));
                feeds.iter().filter(|f| offered.contains(f)).all(|f| {
                    self.source(c, *f).is_some_and(|s| s.complete || matches!(s.freshness, Freshness::Absent { .. }))
                })
            })
            && self.backends.iter().all(|(b, known)| {
                let offered = Feed::of_backend(known.as_ref().map(|b| b.kind));
                feeds.iter().filter(|f| offered.contains(f)).all(|f| {
                    self.source(b, *f).is_some_and(|s| s.complete || matches!(s.freshness, Freshness::Absent { .. }))
                })
            })
    }

    /// Since when a budget calls somebody, where its start was seen.
    #[must_use]
    pub fn calling_since(&self, budget: &ObjectId) -> Option<Timestamp> {
        self.calling.get(budget).copied()
    }

    /// The error log, newest last.
    pub fn log(&self) -> impl DoubleEndedIterator<Item = &LogEntry> {
        self.log.iter()
    }

    /// The workload a task belongs to as people see it: its Deployment rather
    /// than the `ReplicaSet` between, its `CronJob` rather than the Job.
    #[must_use]
    pub fn workload_id_of(&self, task: &Task) -> Option<ObjectId> {
        if !task.owner_kind.is_workload() {
            return None;
        }
        let owner = self.sibling(&task.id, task.owner_kind, &task.owner);
        match self.workloads.get(&owner) {
            Some(w) if w.owner_kind.is_workload() => Some(self.sibling(&task.id, w.owner_kind, &w.owner)),
            // The replica sets may not be loaded, or not be allowed: their names
            // are the deployment's plus a hash that the task carries as a label.
            None if task.owner_kind == Kind::ReplicaSet => {
                let hash = task.labels.iter().find(|(k, _)| k.as_str() == "pod-template-hash")?;
                let name = task.owner.strip_suffix(hash.1.as_str())?.strip_suffix('-')?;
                Some(self.sibling(&task.id, Kind::Deployment, &Text::new(name)))
            }
            _ => Some(owner),
        }
    }

    /// True when the task belongs to the workload, directly or through the
    /// `ReplicaSet` or Job between them.
    #[must_use]
    pub fn belongs(&self, task: &Task, workload: &ObjectId) -> bool {
        task.id.cluster == workload.cluster
            && task.id.namespace == workload.namespace
            && ((task.owner_kind == workload.kind && task.owner == workload.name)
                || self.workload_id_of(task).is_some_and(|w| w == *workload))
    }

    /// The identity of another object in the same cluster and namespace.
    #[must_use]
    #[expect(clippy::unused_self, reason = "reads as a question to the store at every call")]
    fn sibling(&self, of: &ObjectId, kind: Kind, name: &Text) -> ObjectId {
        ObjectId { cluster: of.cluster.clone(), kind, namespace: of.namespace.clone(), name: name.clone() }
    }

    /// The autoscaler that owns a workload's replica count.
    #[must_use]
    pub fn autoscaler_of(&self, workload: &ObjectId) -> Option<&Autoscaler> {
        self.autoscalers.rows().find(|a| {
            a.target_kind == workload.kind
                && a.target == workload.name
                && a.id.namespace == workload.namespace
                && a.id.cluster == workload.cluster
        })
    }

    /// Container restarts since `since`, in one cluster or in all, and whether
    /// there may have been more: those before the console started are known from
    /// each task's last one only, unless the task is younger.
    #[must_use]
    pub fn restarts_since(&self, cluster: Option<&ClusterId>, since: Timestamp) -> (u32, bool) {
        self.restarts
            .iter()
            .filter(|r| r.at >= since && cluster.is_none_or(|c| r.id.cluster == *c))
            .fold((0, false), |(count, more), r| (count + r.count, more || r.at_least))
    }
}
