//! The numbers that matter, cluster by cluster: overview, header and `status`.

use std::sync::Arc;

use chrono::TimeDelta;

use super::problems::wrong;
use super::{Feed, Store, TaskTotals};
use crate::domain::{ClusterId, Freshness, Health, Kind, Orchestrator, Resources, Text, Timestamp, Usage};

/// Which parts of a cluster were read as a whole at least once. What is not known
/// is not zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known {
    /// Nodes.
    pub nodes: bool,
    /// Tasks.
    pub tasks: bool,
    /// Workloads, of every kind that may be read.
    pub workloads: bool,
    /// Events.
    pub events: bool,
}

/// One cluster in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterSummary {
    /// Which.
    pub id: ClusterId,
    /// Who places its tasks.
    pub orchestrator: Orchestrator,
    /// Server version, empty until known.
    pub version: Text,
    /// Marked as production.
    pub production: bool,
    /// Nothing may be changed there.
    pub read_only: bool,
    /// The worst of its feeds, and which.
    pub worst: Option<(Feed, Freshness)>,
    /// Feeds that are not live, worst first.
    pub troubled: Vec<(Feed, Freshness)>,
    /// What was read.
    pub known: Known,
    /// Nodes: ready, all.
    pub nodes: (usize, usize),
    /// Nodes that take no new tasks.
    pub cordoned: usize,
    /// Tasks by health.
    pub tasks: TaskTotals,
    /// Workloads: short of replicas, in trouble of any kind, all.
    pub workloads: (usize, usize, usize),
    /// Container restarts in the last hour.
    pub restarts: u32,
    /// There may have been more of them before the console looked.
    pub restarts_at_least: bool,
    /// Warning events in the last hour.
    pub warnings: usize,
    /// What its nodes offer.
    pub allocatable: Resources,
    /// What is in use, where measured.
    pub usage: Option<Usage>,
    /// CPU and memory use of the whole, oldest first, in millicores and MiB.
    pub trend: Vec<(u32, u32)>,
    /// The worst problem it has.
    pub health: Health,
    /// True until nodes and tasks are complete.
    pub loading: bool,
}

/// Every cluster, worst first: worked out once for all who ask about one moment.
#[must_use]
pub fn clusters(store: &Store, now: Timestamp) -> Arc<[ClusterSummary]> {
    // What is wrong comes first: a frame that had to find that has made enough.
    let _ = wrong(store, now);
    store.patience.of_memo(&store.summaries, (store.moment(now), now), || summed(store, now).into())
}

fn summed(store: &Store, now: Timestamp) -> Vec<ClusterSummary> {
    let all = wrong(store, now);
    let mut out: Vec<ClusterSummary> = store
        .clusters()
        .map(|(id, known)| {
            let mut s = numbers(store, id, now);
            if let Some(c) = known {
                s.version = c.version.clone();
                s.production = c.production;
                s.read_only = c.read_only;
            }
            s.health = all.iter().filter(|p| p.id.cluster == *id).map(|p| p.health).max().unwrap_or(Health::Ok);
            s
        })
        .collect();
    out.sort_by(|a, b| {
        let blind = |s: &ClusterSummary| s.worst.as_ref().is_some_and(|(_, f)| matches!(f, Freshness::Down { .. }));
        (blind(b), b.health).cmp(&(blind(a), a.health)).then_with(|| a.id.cmp(&b.id))
    });
    out
}

fn numbers(store: &Store, id: &ClusterId, now: Timestamp) -> ClusterSummary {
    let hour_ago = now - TimeDelta::hours(1);
    let (mut ready, mut all, mut cordoned) = (0, 0, 0);
    let mut allocatable = Resources::default();
    let mut usage: Option<Usage> = None;
    let mut trend: Vec<(u32, u32)> = Vec::new();
    for node in store.nodes.rows().filter(|n| n.id.cluster == *id) {
        all += 1;
        ready += usize::from(node.condition == crate::domain::NodeCondition::Ready);
        cordoned += usize::from(node.unschedulable);
        allocatable = allocatable + node.allocatable;
        if let Some(samples) = store.usage.get(&node.id) {
            let u = usage.get_or_insert_with(Usage::default);
            u.cpu += samples.latest().cpu;
            u.memory += samples.latest().memory;
            add_from_the_end(&mut trend, &samples.iter().collect::<Vec<_>>());
        }
    }
    let (mut short, mut unhealthy, mut workloads) = (0, 0, 0);
    for w in store.workloads.rows().filter(|w| w.id.cluster == *id && !w.owner_kind.is_workload()) {
        workloads += 1;
        let problem = store.workload_health(w, now).is_problem();
        unhealthy += usize::from(problem);
        short += usize::from(problem && w.id.kind != Kind::Job && w.replicas.unavailable() > 0);
    }
    let warnings = store
        .events
        .rows()
        .filter(|e| {
            e.id.cluster == *id
                && e.level == crate::domain::EventLevel::Warning
                && e.last.or(e.first).is_some_and(|t| t >= hour_ago)
        })
        .count();
    let mut troubled: Vec<(Feed, Freshness)> = store
        .sources()
        .filter(|(s, state)| s.cluster == *id && !matches!(state.freshness, Freshness::Live { .. }))
        .map(|(s, state)| (s.feed, state.freshness.clone()))
        .collect();
    troubled.sort_by_key(|(feed, f)| (std::cmp::Reverse(f.rank()), *feed));
    let complete =
        |feed| store.source(id, feed).is_some_and(|s| s.complete || matches!(s.freshness, Freshness::Absent { .. }));
    let read = |feed| store.source(id, feed).is_some_and(|s| s.complete);
    let of_workloads: Vec<Feed> =
        Feed::of(store.orchestrator(id)).iter().copied().filter(|f| f.is_workloads()).collect();
    let known = Known {
        nodes: read(Feed::Nodes),
        tasks: read(Feed::Tasks),
        // What is denied is named among the sources; all of it denied is nothing known.
        workloads: of_workloads.iter().all(|f| complete(*f)) && of_workloads.iter().any(|f| read(*f)),
        events: read(Feed::Events),
    };
    let (restarts, restarts_at_least) = store.restarts_since(Some(id), hour_ago);
    ClusterSummary {
        id: id.clone(),
        orchestrator: store.orchestrator(id),
        version: Text::empty(),
        production: false,
        read_only: false,
        worst: troubled.first().cloned(),
        known,
        nodes: (ready, all),
        cordoned,
        tasks: store.task_totals(id, now),
        workloads: (short, unhealthy, workloads),
        restarts,
        restarts_at_least,
        warnings,
        allocatable,
        usage,
        trend,
        health: Health::Ok,
        loading: !(complete(Feed::Tasks) && complete(Feed::Nodes)),
        troubled,
    }
}

/// Sums series that end now but begin when their node joined.
fn add_from_the_end(sum: &mut Vec<(u32, u32)>, series: &[(u32, u32)]) {
    while sum.len() < series.len() {
        sum.insert(0, (0, 0));
    }
    let start = sum.len() - series.len();
    for ((cpu, memory), (c, m)) in sum.iter_mut().skip(start).zip(series) {
        *cpu = cpu.saturating_add(*c);
        *memory = memory.saturating_add(*m);
    }
}
