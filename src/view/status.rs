//! `quarterdeck status` as data: the documented, versioned JSON.

mod beside;

use serde::Serialize;

pub use beside::{BackendStatus, MissingStatus, UnplacedStatus, backend_failed, silent};

use super::summary::{ClusterSummary, Known, clusters};
use crate::domain::notice::{NoticeFeed, NoticeKind, Precision};
use crate::domain::{Alarm, AlarmSource, Freshness, Health, Orchestrator, Severity, Timestamp};
use crate::store::alarm_groups::{Group, groups, subject};
use crate::store::notices::{NoticeRow, Verdict};
use crate::store::problems::problems;
use crate::store::{Feed, Store};

/// The schema's version, as docs/status.md says when it grows.
pub const VERSION: u32 = 2;

/// Everything once.
#[derive(Debug, Serialize)]
pub struct Status {
    /// [`VERSION`].
    pub version: u32,
    /// When it was true, RFC 3339, UTC.
    pub at: String,
    /// `ok`, `warning`, `critical`, or `unknown` when a source failed.
    pub state: &'static str,
    /// Every cluster, worst first.
    pub clusters: Vec<ClusterStatus>,
    /// Metric backends and feeds of notices, which are no clusters: those that failed first, then by name.
    pub backends: Vec<BackendStatus>,
    /// What is wrong, worst first.
    pub problems: Vec<ProblemStatus>,
    /// Alarms that fire and are not suppressed, one by one, worst first.
    pub alarms: Vec<AlarmStatus>,
    /// Error budgets, the first to be gone first; none where none are configured.
    pub budgets: Vec<super::report::BudgetStatus>,
    /// Notices that are open, the one with the least time first.
    pub notices: Vec<NoticeStatus>,
    /// Services whose tasks find no place, as the console lists them.
    pub unplaced: Vec<UnplacedStatus>,
}

/// Something that is going to go.
#[derive(Debug, Serialize)]
pub struct NoticeStatus {
    /// Why.
    pub kind: NoticeKind,
    /// The instance's id, `cluster/name` of a node whose instance nobody knows, or a task's ARN.
    pub victim: String,
    /// The cluster that it is part of, or null if it is in none that is read.
    pub cluster: Option<String>,
    /// What it is called there: the node's or the task's name; else the victim again.
    pub name: String,
    /// Instance type, or null.
    pub instance_type: Option<String>,
    /// Availability zone, or null.
    pub zone: Option<String>,
    /// When it was given, RFC 3339.
    pub issued: String,
    /// When it goes, RFC 3339, or null.
    pub deadline: Option<String>,
    /// How well the deadline is known, or null without one.
    pub precision: Option<Precision>,
    /// Seconds until then, negative once it has passed, or null without one.
    pub remaining_secs: Option<i64>,
    /// It takes away what runs, now.
    pub urgent: bool,
    /// How it looks; null without a deadline, and for what is in no cluster that is read.
    pub verdict: Option<Verdict>,
    /// Tasks at risk.
    pub tasks: u32,
    /// Those of them that have left.
    pub tasks_gone: u32,
    /// Who told first, or null.
    pub told_by: Option<NoticeFeed>,
    /// How long after it was given, in milliseconds, or null if nobody says when that was.
    pub late_ms: Option<i64>,
}

/// One alarm that fires.
#[derive(Debug, Serialize)]
pub struct AlarmStatus {
    /// `critical`, `warning`, `unknown` (nobody says) or `info`.
    pub severity: Severity,
    /// Cluster, or metric backend.
    pub cluster: String,
    /// Its own name.
    pub name: String,
    /// Who watches.
    pub source: AlarmSource,
    /// What it is about, or null.
    pub about: Option<AboutStatus>,
    /// Since when, RFC 3339, or null.
    pub since: Option<String>,
    /// The latest value, or null.
    pub value: Option<f64>,
    /// What the value is held against, or null.
    pub threshold: Option<f64>,
    /// The unit of both, empty if nobody says.
    pub unit: String,
    /// What it is for, in its author's words.
    pub summary: String,
    /// Why it fires, in its system's words.
    pub reason: String,
    /// Link to its runbook, or null.
    pub runbook: Option<String>,
}

/// What an alarm is about.
#[derive(Debug, Serialize)]
pub struct AboutStatus {
    /// Kind.
    pub kind: &'static str,
    /// Namespace, may be empty.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// One cluster.
#[derive(Debug, Serialize)]
pub struct ClusterStatus {
    /// Its name.
    pub name: String,
    /// Who places its tasks.
    pub orchestrator: Orchestrator,
    /// Server version, or null.
    pub server_version: Option<String>,
    /// Marked as production.
    pub production: bool,
    /// Worst health of anything in it.
    pub health: Health,
    /// Nodes; null until they were read.
    pub nodes: Option<NodeCounts>,
    /// Tasks; null until they were read.
    pub tasks: Option<TaskCounts>,
    /// Workloads; null until every kind was read.
    pub workloads: Option<WorkloadCounts>,
    /// Container restarts in the last hour; null until the tasks were read.
    pub restarts_last_hour: Option<u32>,
    /// There may have been more of them: of a task that was there before the
    /// console looked, the last one is known only.
    pub restarts_at_least: bool,
    /// Warning events in the last hour; null until they were read.
    pub warnings_last_hour: Option<usize>,
    /// Per cent of allocatable in use, or null where not measured.
    pub cpu_percent: Option<f64>,
    /// Per cent of allocatable in use, or null where not measured.
    pub memory_percent: Option<f64>,
    /// Feeds that are not live.
    pub sources: Vec<SourceStatus>,
}

/// Nodes by state.
#[derive(Debug, Serialize)]
pub struct NodeCounts {
    /// Ready ones.
    pub ready: usize,
    /// All.
    pub all: usize,
    /// Taking no new tasks.
    pub cordoned: usize,
}

/// Tasks by state.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the healths' own names; see domain::Health")]
pub struct TaskCounts {
    pub all: u32,
    pub ok: u32,
    pub done: u32,
    pub progressing: u32,
    pub unknown: u32,
    pub warning: u32,
    pub critical: u32,
}

/// Workloads by state.
#[derive(Debug, Serialize)]
pub struct WorkloadCounts {
    /// Short of replicas.
    pub short: usize,
    /// Not as they should be, those that are short included.
    pub unhealthy: usize,
    /// All.
    pub all: usize,
}

/// One feed that is not live.
#[derive(Debug, Serialize)]
pub struct SourceStatus {
    /// The feed.
    pub feed: &'static str,
    /// `loading`, `stale`, `down`, `absent` or `denied`.
    pub freshness: &'static str,
    /// Why, or null.
    pub because: Option<String>,
}

/// One thing that is wrong.
#[derive(Debug, Serialize)]
pub struct ProblemStatus {
    /// `critical`, `warning` or `unknown`.
    pub health: Health,
    /// Cluster.
    pub cluster: String,
    /// Namespace, empty for nodes.
    pub namespace: String,
    /// Kind.
    pub kind: &'static str,
    /// Name.
    pub name: String,
    /// A few words.
    pub what: String,
    /// The reporter's message.
    pub why: String,
    /// Since when, RFC 3339, or null.
    pub since: Option<String>,
    /// Tasks affected.
    pub tasks: u32,
}

/// True when a cluster's source failed: `status` then exits with 2. So does one who may not
/// list the tasks: what is not seen is not fine. Other denials are how a
/// narrow role looks.
#[must_use]
pub fn has_failed(s: &ClusterSummary) -> bool {
    s.troubled.iter().any(|(feed, f)| match f {
        Freshness::Down { .. } | Freshness::Stale { .. } | Freshness::Loading { .. } => true,
        Freshness::Absent { denied, .. } => *denied && *feed == Feed::Tasks,
        Freshness::Live { .. } => false,
    })
}

/// Takes stock.
#[must_use]
pub fn status(store: &Store, now: Timestamp) -> Status {
    let summaries = clusters(store, now);
    let problems = problems(store, now);
    // A budget may belong to a metric backend, which is no cluster.
    let worst = summaries.iter().map(|s| s.health).chain(problems.iter().map(|p| p.health)).max();
    let worst = worst.unwrap_or(Health::Ok);
    let backends = beside::backends(store);
    let state = if summaries.iter().any(has_failed) || backends.iter().any(BackendStatus::has_failed) {
        "unknown"
    } else {
        match worst {
            Health::Critical => "critical",
            Health::Warning | Health::Unknown => "warning",
            Health::Ok | Health::Done | Health::Progressing => "ok",
        }
    };
    let problems = problems
        .into_iter()
        .map(|p| ProblemStatus {
            health: p.health,
            cluster: p.id.cluster.to_string(),
            namespace: p.id.namespace.to_string(),
            kind: p.id.kind.short(),
            name: p.id.name.to_string(),
            what: p.what,
            why: p.why.to_string(),
            // Of what was so before anybody looked nobody knows.
            since: p.since.filter(|_| !p.at_least).map(time),
            tasks: p.tasks,
        })
        .collect();
    Status {
        version: VERSION,
        at: time(now),
        state,
        clusters: summaries.iter().map(cluster).collect(),
        backends,
        problems,
        alarms: alarms(store),
        budgets: super::report::budgets(store, now),
        notices: store.board(now).rows.iter().filter(|r| r.is_open()).map(|r| notice(r, now)).collect(),
        unplaced: beside::unplaced(store, now),
    }
}

fn notice(r: &NoticeRow, now: Timestamp) -> NoticeStatus {
    let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    NoticeStatus {
        kind: r.kind,
        victim: r.victim.key().to_string(),
        cluster: said(r.id.cluster.as_str()),
        name: r.name.to_string(),
        instance_type: said(&r.instance_type),
        zone: said(&r.zone),
        issued: time(r.issued),
        deadline: r.deadline.map(|d| time(d.at)),
        precision: r.deadline.map(|d| d.precision),
        remaining_secs: r.left(now),
        urgent: r.urgent,
        verdict: r.verdict.filter(|_| r.is_known()),
        tasks: r.tasks.1,
        tasks_gone: r.tasks.0,
        told_by: r.told_by.map(|(feed, _)| feed),
        late_ms: r.told_by.and_then(|(_, late)| late).map(|l| l.num_milliseconds()),
    }
}

fn alarms(store: &Store) -> Vec<AlarmStatus> {
    let firing = store.alarms.rows().filter(|a| a.is_firing());
    let groups = groups(store, firing);
    let alarm = |a: &Alarm| AlarmStatus {
        severity: a.severity,
        cluster: a.id.cluster.to_string(),
        name: a.id.name.to_string(),
        source: a.source,
        about: subject(store, a).map(|about| AboutStatus {
            kind: about.kind.short(),
            namespace: about.namespace.to_string(),
            name: about.name.to_string(),
        }),
        since: a.since.map(time),
        value: a.value.filter(|v| v.is_finite()),
        threshold: a.threshold.filter(|v| v.is_finite()),
        unit: a.more.unit.to_string(),
        summary: a.summary.to_string(),
        reason: a.reason.to_string(),
        runbook: (!a.runbook.is_empty()).then(|| a.runbook.to_string()),
    };
    groups.iter().flat_map(Group::alarms).map(alarm).collect()
}

fn time(t: Timestamp) -> String {
    t.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

fn cluster(s: &ClusterSummary) -> ClusterStatus {
    let (t, known) = (s.tasks, s.known);
    let share =
        |part: u64, whole: u64| crate::domain::quantity::percent(part, whole).map(|p| (p * 10.0).round() / 10.0);
    ClusterStatus {
        name: s.id.to_string(),
        orchestrator: s.orchestrator,
        server_version: (!s.version.is_empty()).then(|| s.version.to_string()),
        production: s.production,
        // What nobody has looked at is not well.
        health: if s.known == Known::default() { s.health.max(Health::Unknown) } else { s.health },
        nodes: known.nodes.then_some(NodeCounts { ready: s.nodes.0, all: s.nodes.1, cordoned: s.cordoned }),
        tasks: known.tasks.then_some(TaskCounts {
            all: t.all,
            ok: t.ok,
            done: t.done,
            progressing: t.progressing,
            unknown: t.unknown,
            warning: t.warning,
            critical: t.critical,
        }),
        workloads: known.workloads.then_some(WorkloadCounts {
            short: s.workloads.0,
            unhealthy: s.workloads.1,
            all: s.workloads.2,
        }),
        restarts_last_hour: known.tasks.then_some(s.restarts),
        restarts_at_least: known.tasks && s.restarts_at_least,
        warnings_last_hour: known.events.then_some(s.warnings),
        cpu_percent: s.usage.and_then(|u| share(u.cpu.0, s.allocatable.cpu.0)),
        memory_percent: s.usage.and_then(|u| share(u.memory.0, s.allocatable.memory.0)),
        sources: s.troubled.iter().map(|(feed, f)| source(*feed, f)).collect(),
    }
}

fn source(feed: Feed, freshness: &Freshness) -> SourceStatus {
    SourceStatus {
        feed: feed.word(),
        freshness: freshness.word(),
        because: freshness.reason().map(ToString::to_string),
    }
}
