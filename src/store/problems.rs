//! What is wrong right now, as a list one can open: one line per cause, not per
//! symptom.

use std::collections::{HashMap, HashSet};

use chrono::TimeDelta;

use super::Store;
use crate::domain::{Alarm, Health, Kind, Node, NodeCondition, ObjectId, Task, Text, Timestamp, Workload};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// What it is about: a node, a workload, a task, an autoscaler, an alarm.
    pub id: ObjectId,
    /// How bad.
    pub health: Health,
    /// A few words: `NotReady`, `2 of 6 short`, `CrashLoopBackOff`.
    pub what: String,
    /// The reporter's own message, may be empty.
    pub why: Text,
    /// Since when, where it is known.
    pub since: Option<Timestamp>,
    /// Tasks affected.
    pub tasks: u32,
}

/// Tasks in trouble, gathered by what they belong to.
struct Trouble<'a> {
    worst: &'a Task,
    /// Its health, once time is taken into account.
    health: Health,
    count: u32,
    /// Of all of them.
    restarts: u32,
    since: Option<Timestamp>,
}

/// Everything that is wrong, worst first, then by cluster and name.
#[must_use]
pub fn problems(store: &Store, now: Timestamp) -> Vec<Problem> {
    let mut out: Vec<Problem> = store.nodes.rows().filter_map(|n| of_node(store, n)).collect();
    let mut trouble: HashMap<ObjectId, Trouble<'_>> = HashMap::new();
    for task in store.tasks.rows() {
        let health = if is_stuck(task, now) { Health::Warning } else { task.health };
        if !health.is_problem() {
            continue;
        }
        let owner = store.workload_id_of(task).unwrap_or_else(|| task.id.clone());
        // What failed and was replaced, or succeeded at the next attempt, is left over.
        let well = |w: &Workload| !w.health.is_problem();
        if !task.is_active() && task.ecs.is_none() && store.workloads.get(&owner).is_some_and(well) {
            continue;
        }
        let since = since(store, task, now);
        trouble
            .entry(owner)
            .and_modify(|t| {
                t.count += 1;
                t.since = match (t.since, since) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
                t.restarts += task.restarts;
                if (health, task.restarts) > (t.health, t.worst.restarts) {
                    (t.worst, t.health) = (task, health);
                }
            })
            .or_insert(Trouble { worst: task, health, count: 1, restarts: task.restarts, since });
    }
    for workload in store.workloads.rows().filter(|w| !w.owner_kind.is_workload()) {
        let found = trouble.remove(&workload.id);
        if let Some(problem) = of_workload(workload, found.as_ref()) {
            out.push(problem);
        }
    }
    out.extend(trouble.into_iter().map(|(id, t)| Problem {
        id,
        health: t.health,
        what: of_tasks(&t),
        why: t.worst.message.clone(),
        since: t.since,
        tasks: t.count,
    }));
    out.extend(store.autoscalers.rows().filter(|a| a.limited && a.max > 0 && a.current >= a.max).map(|a| Problem {
        id: ObjectId { kind: a.target_kind, name: a.target.clone(), ..a.id.clone() },
        health: Health::Warning,
        what: format!("at its maximum of {}", a.max),
        why: Text::new(&if a.target_kind == Kind::EcsService {
            format!("autoscaling cannot add more; {}", a.targets)
        } else {
            format!("hpa {} wants more: {}", a.id.name, a.targets)
        }),
        since: None,
        tasks: a.current,
    }));
    out.extend(store.limits.rows().filter(|l| l.health().is_problem()).map(|l| Problem {
        id: l.id.clone(),
        health: l.health(),
        what: format!("{} short", l.kind.word()),
        why: Text::new(&l.text()),
        since: None,
        tasks: 0,
    }));
    out.extend(of_alarms(store));
    out.sort_by(|a, b| b.health.cmp(&a.health).then_with(|| rank(a).cmp(&rank(b))).then_with(|| a.id.cmp(&b.id)));
    out
}

/// Alarms that fire and of which somebody is told; each once, though two profiles may
/// both read it. What drives autoscaling fires as a matter of course and is left out.
fn of_alarms(store: &Store) -> Vec<Problem> {
    let mut firing: Vec<&Alarm> = store.alarms.rows().filter(|a| a.health().is_problem()).collect();
    firing.sort_by(|a, b| a.id.cmp(&b.id));
    let mut told = HashSet::new();
    firing.retain(|a| a.uid.is_empty() || told.insert(&a.uid));
    firing
        .into_iter()
        .map(|a| Problem {
            id: a.id.clone(),
            health: a.health(),
            what: match &a.about {
                Some(about) => format!("alarm on {} {}", about.kind.short(), about.name),
                None => "alarm".to_owned(),
            },
            why: if a.reason.is_empty() { a.summary.clone() } else { a.reason.clone() },
            since: a.since,
            tasks: 0,
        })
        .collect()
}

/// A task that is on its way for so long has lost it.
const STUCK: TimeDelta = TimeDelta::minutes(10);

/// On its way up, and that for too long. What is on its way out is not meant:
/// nothing says since when.
fn is_stuck(task: &Task, now: Timestamp) -> bool {
    task.health == Health::Progressing
        && !matches!(task.status.as_str(), "Terminating" | "Deactivating" | "Stopping" | "Deprovisioning" | "Stopped")
        && task.created.is_some_and(|at| now - at > STUCK)
}

/// Since when a task is in trouble, where that is known; never since it was made,
/// unless it never came up.
fn since(store: &Store, task: &Task, now: Timestamp) -> Option<Timestamp> {
    if is_stuck(task, now) {
        return task.created;
    }
    if let Some(at) = task.ecs.as_ref().and_then(|e| e.stop.as_ref()).and_then(|s| s.at) {
        return Some(at);
    }
    let node = ObjectId { kind: Kind::Node, namespace: Text::empty(), name: task.node.clone(), ..task.id.clone() };
    let node = store.nodes.get(&node).filter(|n| n.condition != NodeCondition::Ready);
    // The first of several restarts is not known, the last is no beginning.
    node.and_then(|n| n.condition_since).or(task.last_restart.filter(|_| task.restarts == 1))
}

/// Nodes before workloads before single tasks and alarms: the larger cause first.
fn rank(p: &Problem) -> (u8, std::cmp::Reverse<u32>) {
    let kind = match p.id.kind {
        Kind::Node => 0,
        k if k.is_workload() => 1,
        _ => 2,
    };
    (kind, std::cmp::Reverse(p.tasks))
}

fn of_node(store: &Store, node: &Node) -> Option<Problem> {
    let health = node.health();
    if !health.is_problem() {
        return None;
    }
    let what = match node.condition {
        NodeCondition::NotReady => "NotReady".to_owned(),
        NodeCondition::Silent => "NotReady, kubelet silent".to_owned(),
        NodeCondition::Missing => "no Ready condition".to_owned(),
        NodeCondition::Ready => node.pressure.to_string(),
    };
    Some(Problem {
        id: node.id.clone(),
        health,
        what,
        why: node.message.clone(),
        since: node.condition_since.filter(|_| node.condition != NodeCondition::Ready),
        tasks: store.totals.node(&node.id.cluster, &node.id.name).active,
    })
}

fn of_workload(workload: &Workload, trouble: Option<&Trouble<'_>>) -> Option<Problem> {
    let own = workload.health.is_problem().then_some(workload.health);
    let health = own.max(trouble.map(|t| t.health))?;
    let short = workload.replicas.unavailable();
    let mut what = match own {
        Some(_) if workload.id.kind == Kind::Job => workload.status.to_string(),
        Some(_) if short > 0 => format!("{short} of {} short", workload.replicas.desired),
        Some(_) => workload.status.to_string(),
        None => String::new(),
    };
    if own.is_some() && workload.status == "Stuck" {
        what = format!("rollout stuck, {what}");
    }
    if let Some(t) = trouble {
        let tasks = of_tasks(t);
        what = if what.is_empty() { tasks } else { format!("{what}: {tasks}") };
    }
    let why = trouble.map(|t| &t.worst.message).filter(|m| !m.is_empty()).unwrap_or(&workload.message).clone();
    Some(Problem {
        id: workload.id.clone(),
        // Every replica gone is worse than any one of them.
        health: if workload.replicas.desired > 0 && short == workload.replicas.desired && own.is_some() {
            Health::Critical
        } else {
            health
        },
        what,
        why,
        since: trouble.and_then(|t| t.since),
        tasks: trouble.map_or(short, |t| t.count),
    })
}

fn of_tasks(trouble: &Trouble<'_>) -> String {
    let status = &trouble.worst.status;
    let restarts = trouble.restarts;
    let mut text = if trouble.count > 1 { format!("{status} x{}", trouble.count) } else { status.to_string() };
    if restarts > 0 {
        text += &format!(", {restarts} restart{}", if restarts == 1 { "" } else { "s" });
    }
    text
}
