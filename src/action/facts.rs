//! What the store knows that a plan should say: what a change will cost, and what may undo it. Pure.

mod room;

use std::collections::BTreeMap;

use super::intent::Verb;
use super::plan::{Fate, Plan};
use crate::domain::slo::State;
use crate::domain::{Kind, NodeCondition, ObjectId, Task, Text, Timestamp, Workload};
use crate::store::{Feed, Store};

/// No more lines of one sort than this.
const LINES: usize = 4;
/// A budget with less than this share left is told of, whatever it burns.
const LITTLE: f64 = 0.25;

/// Adds to a plan what the console knows beside what its maker asked for: whether what leaves fits
/// elsewhere, budgets that burn already, owners that will change it back.
pub fn add(plan: &mut Plan, store: &Store, now: Timestamp) {
    let Some(cluster) = plan.intent.targets.first().map(|t| t.cluster.clone()) else { return };
    let mut out: Vec<String> = Vec::new();
    let mut good: Vec<String> = Vec::new();
    let leaving = leaving(plan, store);
    let is_of_nodes = plan.intent.targets.iter().any(|t| t.kind == Kind::Node);
    if is_of_nodes && plan.intent.verb != Verb::Uncordon {
        nodes_left(plan, store, &mut out, &mut good);
        if !leaving.is_empty() && plan.intent.verb == Verb::Drain {
            room::add(plan, store, &leaving, now, (&mut out, &mut good));
        }
    }
    let touched = touched(plan, store, &leaving);
    if matches!(plan.intent.verb, Verb::Drain | Verb::Delete) {
        down(store, &leaving, &mut out);
    }
    if plan.intent.verb == Verb::Scale && plan.intent.options.replicas == Some(0) {
        let of = plan.intent.targets.iter().map(|id| format!("{} will have no task left", short(id)));
        push(of.collect(), &mut out);
    }
    rolling(&touched, &mut out);
    if plan.intent.verb == Verb::Scale {
        autoscalers(plan, store, &mut out);
    }
    if !matches!(plan.intent.verb, Verb::Uncordon | Verb::Silence | Verb::Unsilence) {
        budgets(store, &touched, now, &mut out);
    }
    if !store.source(&cluster, Feed::Tasks).is_some_and(|s| s.complete) && is_of_nodes {
        out.push("not every task of this cluster is known here: what is said of tasks may fall short".to_owned());
    }
    for line in out {
        let line = Text::new(&line);
        if !plan.warnings.contains(&line) {
            plan.warnings.push(line);
        }
    }
    plan.facts.extend(good.iter().map(|line| Text::new(line)));
}

/// `shop/web`, without its cluster.
fn short(id: &ObjectId) -> String {
    if id.namespace.is_empty() { id.name.to_string() } else { format!("{}/{}", id.namespace, id.name) }
}

/// Takes the first few, and says how many more there are.
fn push(lines: Vec<String>, out: &mut Vec<String>) {
    let more = lines.len().saturating_sub(LINES);
    let mut lines = lines.into_iter();
    out.extend(lines.by_ref().take(LINES));
    if let Some(next) = lines.next() {
        out.push(if more == 1 { next } else { format!("{more} more like these, the next: {next}") });
    }
}

/// The tasks that will not be where they are: as the plan lists them, else those on its nodes.
fn leaving<'s>(plan: &Plan, store: &'s Store) -> Vec<&'s Task> {
    let listed = plan.changes.iter().filter(|c| c.target.kind == Kind::Task);
    if plan.changes.iter().any(|c| c.target.kind == Kind::Task) {
        return listed.filter(|c| c.fate != Fate::Stays).filter_map(|c| store.tasks.get(&c.target)).collect();
    }
    if plan.intent.verb == Verb::Delete {
        return plan.intent.targets.iter().filter_map(|id| store.tasks.get(id)).collect();
    }
    if plan.intent.verb != Verb::Drain {
        return Vec::new();
    }
    let is_on = |t: &&Task| {
        plan.intent.targets.iter().any(|n| n.kind == Kind::Node && n.cluster == t.id.cluster && n.name == t.node)
    };
    store.tasks.rows().filter(is_on).filter(|t| t.is_active() && t.owner_kind != Kind::DaemonSet).collect()
}

/// The workloads that a plan disturbs, each once: its targets, and those that tasks leave.
fn touched<'s>(plan: &Plan, store: &'s Store, leaving: &[&Task]) -> Vec<&'s Workload> {
    let own = plan.intent.targets.iter().filter(|t| t.kind.is_workload()).cloned();
    let mut ids: Vec<ObjectId> = own.chain(leaving.iter().filter_map(|t| store.workload_id_of(t))).collect();
    ids.sort();
    ids.dedup();
    ids.iter().filter_map(|id| store.workloads.get(id)).collect()
}

/// A node that takes new tasks.
fn takes_tasks(node: &crate::domain::Node) -> bool {
    node.condition == NodeCondition::Ready && !node.unschedulable && node.ecs.as_ref().is_none_or(|e| e.connected)
}

/// How many nodes still take tasks. That most do is good to know, and no warning.
fn nodes_left(plan: &Plan, store: &Store, out: &mut Vec<String>, good: &mut Vec<String>) {
    let Some(first) = plan.intent.targets.first() else { return };
    let of_cluster = || store.nodes.rows().filter(|n| n.id.cluster == first.cluster);
    let left = of_cluster().filter(|n| takes_tasks(n) && !plan.intent.targets.contains(&n.id)).count();
    let all = of_cluster().count();
    if all == 0 {
        return;
    }
    let most = left > 1 && left * 2 > all;
    let told = if most { good } else { out };
    told.push(match left {
        0 => format!("NO node of {all} is left that takes new tasks"),
        1 => format!("1 node of {all} is left that takes new tasks"),
        n => format!("{n} nodes of {all} are left that take new tasks"),
    });
}

/// Workloads all of whose ready tasks leave at once.
fn down(store: &Store, leaving: &[&Task], out: &mut Vec<String>) {
    let mut by_workload: BTreeMap<ObjectId, u32> = BTreeMap::new();
    for id in leaving.iter().filter_map(|t| store.workload_id_of(t)) {
        *by_workload.entry(id).or_default() += 1;
    }
    let mut lines = Vec::new();
    for (id, count) in by_workload {
        let Some(w) = store.workloads.get(&id) else { continue };
        let serves = !matches!(id.kind, Kind::Job | Kind::CronJob | Kind::DaemonSet);
        if serves && w.replicas.ready > 0 && count >= w.replicas.ready {
            lines.push(match w.replicas.ready {
                1 => format!("{} will be down until its only task is back", short(&id)),
                n => format!("{} will be down if they leave together: all of its {n} ready tasks do", short(&id)),
            });
        }
    }
    push(lines, out);
}

/// Workloads that are being changed already.
fn rolling(touched: &[&Workload], out: &mut Vec<String>) {
    let is = |w: &&&Workload| {
        w.ecs.as_ref().is_some_and(|e| e.is_rolling()) || matches!(w.status.as_str(), "Rolling out" | "Stuck")
    };
    let line = |w: &&Workload| {
        format!(
            "{} is being rolled out at this moment ({} of {} updated)",
            short(&w.id),
            w.replicas.updated,
            w.replicas.desired
        )
    };
    push(touched.iter().filter(is).map(line).collect(), out);
}

/// Who will change the number back.
fn autoscalers(plan: &Plan, store: &Store, out: &mut Vec<String>) {
    for id in &plan.intent.targets {
        let Some(a) = store.autoscaler_of(id) else { continue };
        // Whoever made the plan may have asked, and knows better.
        if plan.warnings.iter().any(|w| w.contains(a.id.name.as_str()) || w.to_lowercase().contains("autoscal")) {
            continue;
        }
        let who = if id.kind == Kind::EcsService { "autoscaling".to_owned() } else { format!("hpa {}", a.id.name) };
        out.push(format!(
            "{who} keeps {} between {} and {}, now at {}: it will change the number again",
            short(id),
            a.min,
            a.max,
            a.desired
        ));
    }
}

/// Budgets of services that are disturbed: those that burn, or have little left.
fn budgets(store: &Store, touched: &[&Workload], now: Timestamp, out: &mut Vec<String>) {
    let services = store.all_services();
    let mut found: BTreeMap<&ObjectId, &crate::domain::Budget> = BTreeMap::new();
    for w in touched {
        let of = services.iter().filter(|s| s.workloads.contains(&w.id)).map(|s| s.id.clone());
        let namesake = ObjectId { kind: Kind::Service, ..w.id.clone() };
        for id in of.chain([namesake]) {
            found.extend(store.budgets_of(&id).into_iter().map(|b| (&b.id, b)));
        }
    }
    let tight = |b: &&crate::domain::Budget| {
        let burns =
            matches!(b.state(), Some(State::Page | State::Ticket | State::Exhausted | State::ExhaustedAndBurning));
        burns || b.left().is_some_and(|left| left.value() < LITTLE)
    };
    let mut tight: Vec<&crate::domain::Budget> = found.into_values().filter(tight).collect();
    tight.sort_by(|a, b| b.health().cmp(&a.health()).then_with(|| a.id.cmp(&b.id)));
    let line = |b: &crate::domain::Budget| {
        let left = b.remaining_text(now).map_or_else(String::new, |r| format!(" ({r})"));
        format!("error budget {}{left}", b.sentence())
    };
    push(tight.into_iter().map(line).collect(), out);
}
