//! What is wrong right now, as a list one can open: one line per cause, not per
//! symptom.

mod lost;

use std::collections::{HashMap, HashSet};

use chrono::TimeDelta;

use super::{STREAK, Store};
use crate::domain::{Alarm, Health, Kind, Node, NodeCondition, ObjectId, Task, Text, Timestamp, Workload};
use lost::Lost;

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
    /// The worst crashes again and again.
    looping: bool,
}

/// Everything that is wrong, worst first, then by cluster and name.
#[must_use]
pub fn problems(store: &Store, now: Timestamp) -> Vec<Problem> {
    let mut lost = Lost::of(store);
    let mut out: Vec<Problem> =
        store.nodes.rows().filter(|n| n.condition == NodeCondition::Ready).filter_map(|n| of_node(store, n)).collect();
    let mut trouble = troubles(store, &lost, now);
    for workload in store.workloads.rows().filter(|w| !w.owner_kind.is_workload()) {
        let found = trouble.remove(&workload.id);
        if found.is_none()
            && workload.health.is_problem()
            && lost.takes(&workload.id, workload.replicas.unavailable(), workload.replicas.available)
        {
            continue;
        }
        if let Some(problem) = of_workload(workload, found.as_ref()) {
            out.push(problem);
        }
    }
    out.extend(lost.problems(store));
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

/// Tasks in trouble by what they belong to; without those whose machine is the
/// trouble.
fn troubles<'a>(store: &'a Store, lost: &Lost<'_>, now: Timestamp) -> HashMap<ObjectId, Trouble<'a>> {
    let mut trouble: HashMap<ObjectId, Trouble<'a>> = HashMap::new();
    for task in store.tasks.rows() {
        let looping = is_looping(store, task, now);
        let health = if looping {
            task.health.max(Health::Critical)
        } else if is_stuck(task, now) || is_overdue(task, now) {
            Health::Warning
        } else {
            task.health
        };
        if !health.is_problem() || lost.explains(task) {
            continue;
        }
        let owner = store.workload_id_of(task).unwrap_or_else(|| task.id.clone());
        // What failed and was replaced, or succeeded at the next attempt, is left over. ECS
        // keeps all that failed in a rollout: while that lasts, it is no past matter.
        let well = |w: &Workload| match w.health {
            Health::Progressing => task.ecs.is_none(),
            health => !health.is_problem(),
        };
        if !task.is_active() && store.workloads.get(&owner).is_some_and(well) {
            continue;
        }
        let since = since(task, now);
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
                    (t.worst, t.health, t.looping) = (task, health, looping);
                }
            })
            .or_insert(Trouble { worst: task, health, count: 1, restarts: task.restarts, since, looping });
    }
    trouble
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
/// This much longer than its grace may ending take.
const OVERDUE: TimeDelta = TimeDelta::minutes(2);
/// So many restarts, each soon after the one before, make a loop.
const LOOP_RESTARTS: u32 = 3;

/// On its way up, and that for too long.
fn is_stuck(task: &Task, now: Timestamp) -> bool {
    task.health == Health::Progressing
        && !matches!(task.status.as_str(), "Terminating" | "Deactivating" | "Stopping" | "Deprovisioning" | "Stopped")
        && task.created.is_some_and(|at| now - at > STUCK)
}

/// On its way out, and past the end of its grace.
fn is_overdue(task: &Task, now: Timestamp) -> bool {
    task.status.as_str() == "Terminating" && task.since.is_some_and(|end| now - end > OVERDUE)
}

/// Crashes again and again, even though it runs at the moment: a loop must not
/// look well between two crashes.
fn is_looping(store: &Store, task: &Task, now: Timestamp) -> bool {
    if task.restarts < LOOP_RESTARTS || !task.is_active() || task.last_restart.is_none_or(|at| now - at > STREAK) {
        return false;
    }
    let seen = store.streaks.get(&task.id).map_or(0, |s| s.count);
    let restarts = i32::try_from(task.restarts).unwrap_or(i32::MAX);
    // Before the console looked, the whole life's mean is what is known.
    let often = task.created.is_some_and(|made| (now - made) / restarts < STREAK);
    seen >= LOOP_RESTARTS || often
}

/// Since when a task is in trouble, where that is known; never since it was made,
/// unless it never came up.
fn since(task: &Task, now: Timestamp) -> Option<Timestamp> {
    if is_stuck(task, now) {
        return task.created;
    }
    if let Some(at) = task.ecs.as_ref().and_then(|e| e.stop.as_ref()).and_then(|s| s.at) {
        return Some(at);
    }
    // The first of several restarts is not known, the last is no beginning.
    task.since.or(task.last_restart).filter(|_| task.restarts < 2)
}

/// Zones before nodes before workloads before single tasks and alarms: the larger cause first.
fn rank(p: &Problem) -> (u8, std::cmp::Reverse<u32>) {
    let kind = match p.id.kind {
        Kind::Zone => 0,
        Kind::Node => 1,
        k if k.is_workload() => 2,
        _ => 3,
    };
    (kind, std::cmp::Reverse(p.tasks))
}

fn of_node(store: &Store, node: &Node) -> Option<Problem> {
    let health = node.health();
    if !health.is_problem() {
        return None;
    }
    Some(Problem {
        id: node.id.clone(),
        health,
        what: lost::words(node).to_owned(),
        why: node.message.clone(),
        since: None,
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
    let status = match trouble.worst.status.as_str() {
        // What it says between two crashes is true, and beside the point.
        _ if trouble.looping && trouble.worst.health < Health::Critical => "crash looping",
        "Terminating" => "stuck terminating",
        status => status,
    };
    let restarts = trouble.restarts;
    let mut text = if trouble.count > 1 { format!("{status} x{}", trouble.count) } else { status.to_owned() };
    if restarts > 0 {
        text += &format!(", {restarts} restart{}", if restarts == 1 { "" } else { "s" });
    }
    text
}
