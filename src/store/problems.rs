//! What is wrong right now, as a list one can open: one line per cause, not per
//! symptom.

use std::collections::HashMap;

use super::Store;
use crate::domain::{Health, Kind, Node, NodeCondition, ObjectId, Task, Text, Timestamp, Workload};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// What it is about: a node, a workload, a task, an autoscaler.
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
    count: u32,
    since: Option<Timestamp>,
}

/// Everything that is wrong, worst first, then by cluster and name.
#[must_use]
pub fn problems(store: &Store) -> Vec<Problem> {
    let mut out: Vec<Problem> = store.nodes.rows().filter_map(|n| of_node(store, n)).collect();
    let mut trouble: HashMap<ObjectId, Trouble<'_>> = HashMap::new();
    for task in store.tasks.rows().filter(|t| t.health.is_problem()) {
        let owner = store.workload_id_of(task).unwrap_or_else(|| task.id.clone());
        let since = task.last_restart.or(task.created);
        trouble
            .entry(owner)
            .and_modify(|t| {
                t.count += 1;
                t.since = t.since.min(since);
                if (task.health, task.restarts) > (t.worst.health, t.worst.restarts) {
                    t.worst = task;
                }
            })
            .or_insert(Trouble { worst: task, count: 1, since });
    }
    for workload in store.workloads.rows().filter(|w| !w.owner_kind.is_workload()) {
        let found = trouble.remove(&workload.id);
        if let Some(problem) = of_workload(workload, found.as_ref()) {
            out.push(problem);
        }
    }
    out.extend(trouble.into_iter().map(|(id, t)| Problem {
        id,
        health: t.worst.health,
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
    out.sort_by(|a, b| b.health.cmp(&a.health).then_with(|| rank(a).cmp(&rank(b))).then_with(|| a.id.cmp(&b.id)));
    out
}

/// Nodes before workloads before single tasks: the larger cause first.
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
    let health = own.max(trouble.map(|t| t.worst.health))?;
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
    let restarts = trouble.worst.restarts;
    let mut text = if trouble.count > 1 { format!("{status} x{}", trouble.count) } else { status.to_string() };
    if restarts > 0 {
        text += &format!(", {restarts} restart{}", if restarts == 1 { "" } else { "s" });
    }
    text
}
