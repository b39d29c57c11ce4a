//! What is wrong right now, as a list one can open: one line per cause, not per
//! symptom.

mod going;
mod lost;

use foldhash::HashMap;
use std::sync::Arc;

use super::alarm_groups::trouble;
use super::health::is_stuck;
use super::totals::counted_as;
use super::{Slot, Store};
use crate::domain::budget::burn_text;
use crate::domain::slo::{RowState, Severity};
use crate::domain::{
    Alarm, Budget, ClusterId, Health, Kind, Node, NodeCondition, ObjectId, Task, Text, Timestamp, Workload,
};
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
    /// It was so already when it was first seen: `since` is the latest that it can have begun.
    pub at_least: bool,
    /// Tasks affected.
    pub tasks: u32,
}

impl Problem {
    /// For how long it has been so: `3m20s`, `3m20s+` where it was so before anybody looked; empty where
    /// nothing is known of it.
    #[must_use]
    pub fn lasted(&self, now: Timestamp) -> String {
        let plus = if self.at_least { "+" } else { "" };
        self.since.map_or_else(String::new, |t| format!("{}{plus}", crate::domain::age::age(Some(t), now)))
    }
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
    wrong(store, now).to_vec()
}

/// The same, shared: worked out once for all who ask about one moment.
#[must_use]
pub fn wrong(store: &Store, now: Timestamp) -> Arc<[Problem]> {
    found(store, now).problems
}

/// What one look at everything found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) problems: Arc<[Problem]>,
    /// Tasks that are not as they are counted by their rows alone.
    pub(super) others: Arc<[Others]>,
    /// How the task in each slot is that may be in trouble.
    pub(super) looks: Arc<[Option<Health>]>,
    /// How workloads are of which something is wrong, their tasks and alarms taken into account.
    pub(super) workloads: Arc<HashMap<ObjectId, Health>>,
}

/// Tasks that are not what their rows say by themselves: they run at the moment, but loop; they have just begun, or should
/// have come up long ago.
#[derive(Debug, Clone)]
pub(super) struct Others {
    pub(super) cluster: ClusterId,
    /// As what they are counted.
    pub(super) counted: Health,
    /// How they are.
    pub(super) is: Health,
    pub(super) count: u32,
}

/// What one look at every task that may be in trouble finds besides the trouble.
struct Seen<'a> {
    others: HashMap<(&'a ClusterId, Health, Health), u32>,
    looks: Vec<Option<Health>>,
}

pub(super) fn found(store: &Store, now: Timestamp) -> Found {
    store.patience.of_long(&store.wrong, (store.moment(now), now), |stop| find(store, now, stop))
}

/// Nothing if it was told to `stop`.
fn find(store: &Store, now: Timestamp, stop: &dyn Fn() -> bool) -> Option<Found> {
    let mut lost = Lost::of(store);
    let mut out: Vec<Problem> =
        store.nodes.rows().filter(|n| n.condition == NodeCondition::Ready).filter_map(|n| of_node(store, n)).collect();
    let mut seen = Seen { others: HashMap::default(), looks: vec![None; store.tasks.slots()] };
    let mut trouble = troubles(store, &lost, now, &mut seen, stop)?;
    for workload in store.workloads.rows().filter(|w| !w.owner_kind.is_workload()) {
        let found = trouble.remove(&workload.id);
        if found.is_none()
            && workload.health.is_problem()
            && lost.takes(&workload.id, workload.replicas.unavailable(), workload.replicas.available)
        {
            continue;
        }
        if let Some(problem) = of_workload(store, workload, found.as_ref(), now) {
            out.push(problem);
        }
    }
    let silent = lost.machines();
    out.extend(lost.problems(store));
    out.extend(trouble.into_iter().map(|(id, t)| Problem {
        id,
        health: t.health,
        what: of_tasks(&t),
        why: t.worst.message.clone(),
        since: t.began().0,
        at_least: t.began().1,
        tasks: t.count,
    }));
    going::add(store, &silent, &mut out, now);
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
        at_least: false,
        tasks: a.current,
    }));
    out.extend(store.limits.rows().filter(|l| l.health().is_problem()).map(|l| Problem {
        id: l.id.clone(),
        health: l.health(),
        what: format!("{} short", l.kind.word()),
        why: Text::new(&l.text()),
        since: None,
        at_least: false,
        tasks: 0,
    }));
    out.extend(of_budgets(store));
    add_alarms(store, &mut out);
    out.sort_by(|a, b| b.health.cmp(&a.health).then_with(|| rank(a).cmp(&rank(b))).then_with(|| a.id.cmp(&b.id)));
    let other = |((cluster, counted, is), count): ((&ClusterId, _, _), _)| Others {
        cluster: cluster.clone(),
        counted,
        is,
        count,
    };
    // Of several lines about one workload the worst, which comes first, is the last to be put there.
    let workloads = out.iter().rev().filter(|p| p.id.kind.is_workload()).map(|p| (p.id.clone(), p.health)).collect();
    Some(Found {
        workloads: Arc::new(workloads),
        problems: out.into(),
        others: seen.others.into_iter().map(other).collect(),
        looks: seen.looks.into(),
    })
}

/// So many tasks are looked at before somebody may be waiting: a fraction of a millisecond.
const LOOKS: usize = 256;

/// Tasks in trouble by what they belong to; without those whose machine is the
/// trouble. Nothing if it was told to `stop`.
fn troubles<'a>(
    store: &'a Store,
    lost: &Lost<'_>,
    now: Timestamp,
    seen: &mut Seen<'a>,
    stop: &dyn Fn() -> bool,
) -> Option<HashMap<ObjectId, Trouble<'a>>> {
    // By the owner that the row names first: thousands of tasks may be in trouble, and
    // whose they are in the end is looked up once for all of one owner.
    let mut by_owner: HashMap<(&'a ClusterId, &'a Text, Kind, &'a Text), Trouble<'a>> = HashMap::default();
    // Of most tasks there is nothing to say, and a fleet has many.
    let suspects: Box<dyn Iterator<Item = (Slot, &'a Task)>> = if store.silent.is_empty() {
        let slots = store.suspects.ones().filter_map(|slot| Slot::try_from(slot).ok());
        Box::new(slots.filter_map(|slot| Some((slot, store.tasks.at(slot)?))))
    } else {
        Box::new(store.tasks.iter())
    };
    for (n, (slot, task)) in suspects.enumerate() {
        if n % LOOKS == LOOKS - 1 && stop() {
            return None;
        }
        let looks = store.look_at(task, Some(slot), now);
        if let Some(look) = seen.looks.get_mut(slot as usize) {
            *look = Some(looks.health);
        }
        // What is finished is counted as such, and what is lost with its machine.
        if looks.health != task.health && counted_as(task) == task.health && !store.is_lost(task) {
            *seen.others.entry((&task.id.cluster, task.health, looks.health)).or_default() += 1;
        }
        if !looks.health.is_problem() || lost.explains(task) || is_left_over(store, task) {
            continue;
        }
        let found = Trouble {
            worst: task,
            health: looks.health,
            count: 1,
            restarts: task.restarts,
            since: since(task, looks.looping_since, now),
            looping: looks.looping,
        };
        let owned = task.owner_kind.is_workload();
        let (kind, name) = if owned { (task.owner_kind, &task.owner) } else { (Kind::Task, &task.id.name) };
        by_owner
            .entry((&task.id.cluster, &task.id.namespace, kind, name))
            .and_modify(|t| t.join(&found))
            .or_insert(found);
    }
    let mut trouble: HashMap<ObjectId, Trouble<'a>> = HashMap::default();
    for found in by_owner.into_values() {
        let owner = store.workload_id_of(found.worst).unwrap_or_else(|| found.worst.id.clone());
        trouble.entry(owner).and_modify(|t| t.join(&found)).or_insert(found);
    }
    Some(trouble)
}

impl Trouble<'_> {
    /// Since when, and true if that is only the latest that it can have begun: of a loop that was one
    /// already when it was first seen, its last restart is known.
    fn began(&self) -> (Option<Timestamp>, bool) {
        match self.since {
            Some(_) => (self.since, false),
            None => (self.worst.last_restart, self.worst.last_restart.is_some()),
        }
    }

    /// Adds more of the same owner.
    fn join(&mut self, other: &Self) {
        self.count += other.count;
        self.restarts += other.restarts;
        self.since = match (self.since, other.since) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        // The name decides between equals, so that the choice does not depend on their order.
        let rank = |t: &Self| (t.health, t.worst.restarts, std::cmp::Reverse(t.worst.id.name.clone()));
        if rank(other) > rank(self) {
            (self.worst, self.health, self.looping) = (other.worst, other.health, other.looping);
        }
    }
}

/// What failed and was replaced, or succeeded at the next attempt, is left over. ECS
/// keeps all that failed in a rollout: while that lasts, it is no past matter.
fn is_left_over(store: &Store, task: &Task) -> bool {
    let well = |w: &Workload| match w.health {
        Health::Progressing => task.ecs.is_none(),
        health => !health.is_problem(),
    };
    !task.is_active() && store.workload_id_of(task).and_then(|owner| store.workloads.get(&owner)).is_some_and(well)
}

/// Alarms that fire and of which somebody is told, gathered by what they are about: to
/// the line of that if it has one, else on a line of their own. What drives autoscaling
/// fires as a matter of course and is left out.
fn add_alarms(store: &Store, out: &mut Vec<Problem>) {
    let groups = trouble(store);
    let known: HashMap<ObjectId, usize> = out.iter().enumerate().rev().map(|(i, p)| (p.id.clone(), i)).collect();
    let mut added: HashMap<usize, usize> = HashMap::default();
    for group in groups {
        let Some(lead) = group.lead() else { continue };
        let health = group.alarms().map(Alarm::health).max().unwrap_or(Health::Warning);
        let place =
            group.about.as_ref().and_then(|about| known.get(about).or_else(|| known.get(&zone_of(store, about)?)));
        // An alert on an objective says what the line of its budget says.
        let of_budget = || {
            let slo = lead.labels.iter().find(|(k, _)| k.as_str() == "slo").map(|(_, v)| v)?;
            out.iter().position(|p| p.id.kind == Kind::Budget && p.id.name == *slo)
        };
        let place = place.copied().or_else(of_budget);
        if let Some((at, problem)) = place.and_then(|at| Some((at, out.get_mut(at)?))) {
            problem.health = problem.health.max(health);
            *added.entry(at).or_default() += group.len();
            continue;
        }
        let on = group.about.as_ref().map_or_else(String::new, |a| format!(" on {} {}", a.kind.short(), a.name));
        let who = match (group.len(), group.alerts.len()) {
            (1, _) => format!("alarm{on}"),
            (n, 1) if lead.more.children.is_empty() => format!("alarm x{n}{on}"),
            (n, _) => format!("{n} alarms{on}"),
        };
        // What one alert means tells more than whom it is about, which its name mostly says, too. Of a
        // CloudWatch alarm there is a description of any kind.
        let leads = group.len() == 1 && !lead.summary.is_empty() && !lead.source.is_cloudwatch();
        let reason = Some(&lead.reason).filter(|r| !r.is_empty());
        let (what, why) = if leads {
            (lead.summary.to_string(), reason.cloned().unwrap_or_else(|| Text::new(&who)))
        } else {
            (who, reason.unwrap_or(&lead.summary).clone())
        };
        out.push(Problem {
            id: lead.id.clone(),
            health,
            what,
            why,
            since: group.alarms().filter_map(|a| a.since).min(),
            at_least: false,
            tasks: 0,
        });
    }
    for (at, count) in added {
        if let Some(problem) = out.get_mut(at) {
            problem.what += &format!(", +{count} alarm{}", if count == 1 { "" } else { "s" });
        }
    }
}

/// Budgets that call somebody: their users hurt. One that is exhausted and burns no
/// more is seen in the list of budgets.
fn of_budgets(store: &Store) -> Vec<Problem> {
    let calls = |b: &Budget| {
        let a = b.assessment.as_ref()?;
        let firing = a.firing?;
        let row = a.rows.iter().find(|(r, s)| *s == RowState::Over && r.severity == firing).map(|(r, _)| r)?;
        let burn = |w| b.burn(w).map_or_else(|| "-".to_owned(), burn_text);
        let what = format!("{}: burning {} over {}", firing.word(), burn(row.long), row.long);
        let health = if firing == Severity::Page { Health::Critical } else { b.health() };
        Some(Problem {
            id: b.id.clone(),
            health,
            what,
            why: Text::new(&b.sentence()),
            since: store.calling_since(&b.id),
            at_least: false,
            tasks: 0,
        })
    };
    store.budgets.rows().filter_map(calls).collect()
}

/// The zone of a node.
fn zone_of(store: &Store, id: &ObjectId) -> Option<ObjectId> {
    let zone = &store.nodes.get(id)?.zone;
    Some(ObjectId { kind: Kind::Zone, name: zone.clone(), ..id.clone() })
}

/// Since when a task is in trouble, at the latest, where that is known; never since
/// it was made, unless it never came up.
fn since(task: &Task, looping_since: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    if is_stuck(task, now) {
        return task.created;
    }
    if let Some(at) = task.ecs.as_ref().and_then(|e| e.stop.as_ref()).and_then(|s| s.at) {
        return Some(at);
    }
    if task.restarts < 2 {
        return task.since.or(task.last_restart);
    }
    // The last of several restarts is no beginning; the first one that is known is,
    // at the latest.
    looping_since
}

/// Users that hurt first, then zones before nodes before workloads before single tasks and
/// alarms: the larger cause first.
fn rank(p: &Problem) -> (u8, std::cmp::Reverse<u32>) {
    let kind = match p.id.kind {
        Kind::Zone | Kind::Budget => 0,
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
        since: store.unwell_since(&node.id),
        at_least: store.was_unwell(&node.id),
        tasks: store.totals.node(&node.id.cluster, &node.id.name).active,
    })
}

fn of_workload(store: &Store, workload: &Workload, trouble: Option<&Trouble<'_>>, now: Timestamp) -> Option<Problem> {
    let own = Some(store.workload_health(workload, now)).filter(|h| h.is_problem());
    let health = own.max(trouble.map(|t| t.health))?;
    let short = workload.replicas.unavailable();
    let mut what = match own {
        Some(_) if workload.id.kind == Kind::Job => workload.status.to_string(),
        Some(_) if short > 0 => format!("{short} of {} short", workload.replicas.desired),
        Some(_) => workload.status.to_string(),
        None => String::new(),
    };
    if own.is_some() && workload.status == "Stuck" {
        what = if short > 0 { format!("rollout stuck, {what}") } else { "rollout stuck".to_owned() };
    }
    if let Some(t) = trouble {
        let tasks = of_tasks(t);
        what = if what.is_empty() { tasks } else { format!("{what}: {tasks}") };
    }
    // Of its tasks and of itself, whichever is known; of what was so already, what is known to be earliest.
    let (of_tasks, tasks_at_least) = trouble.map(Trouble::began).unwrap_or_default();
    let seen = own.and_then(|_| store.unwell_since(&workload.id));
    let (since, at_least) = match (of_tasks, seen) {
        (Some(at), _) if !tasks_at_least => (Some(at), false),
        (Some(at), Some(seen)) => (Some(at.min(seen)), true),
        (None, Some(_)) => (seen, store.was_unwell(&workload.id)),
        (at, None) => (at, tasks_at_least),
    };
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
        since,
        at_least,
        tasks: trouble.map_or(short, |t| t.count),
    })
}

fn of_tasks(trouble: &Trouble<'_>) -> String {
    let status = match trouble.worst.status.as_str() {
        // What it says between two crashes is true, and beside the point.
        _ if trouble.looping && trouble.worst.health < Health::Critical => "crash looping",
        "Terminating" => "stuck terminating",
        "Running" => "not ready",
        status => status,
    };
    let restarts = trouble.restarts;
    let mut text = if trouble.count > 1 { format!("{status} x{}", trouble.count) } else { status.to_owned() };
    if restarts > 0 {
        text += &format!(", {restarts} restart{}", if restarts == 1 { "" } else { "s" });
    }
    text
}
