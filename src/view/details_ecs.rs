//! What only ECS says, in the details pane.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::columns::clock_time;
use super::details::Lines;
use crate::domain::{
    CapacityType, ClusterId, EcsInstance, EcsService, EcsTask, Health, Line, Node, ObjectId, Text, Timestamp, Tone,
    Workload, age::age,
};
use crate::store::Store;
use crate::store::history::Samples;

fn spot(capacity: CapacityType) -> Tone {
    if capacity == CapacityType::Spot { Tone::Spot } else { Tone::Plain }
}

/// Of a task: where it runs, and why and when it stopped.
pub(super) fn task(d: &mut Lines<'_, '_>, e: &EcsTask) {
    d.row("placed on", &e.placement(), spot(e.capacity_type));
    d.row("zone", &e.zone, Tone::Plain);
    d.row("definition", &e.definition, Tone::Plain);
    d.row("started by", &e.started_by, Tone::Dim);
    d.time("started", e.started);
    if let Some(stop) = &e.stop {
        d.row("stop code", &stop.code, Tone::Warning);
        match stop.at {
            Some(at) => d.time("stopped", Some(at)),
            None => d.row("stopped", "not yet: it is on its way", Tone::Warning),
        }
    }
    if let Some(at) = e.protected_until.filter(|at| *at > d.c.now) {
        d.row("protected", &format!("until {}", clock_time(at, d.c.now)), Tone::Warning);
    }
    d.row("exec", if e.exec { "enabled" } else { "not enabled" }, Tone::Dim);
    d.row("arn", &e.arn, Tone::Dim);
}

/// Of a service: its deployments, limits of a rollout, use.
pub(super) fn service(d: &mut Lines<'_, '_>, w: &Workload, e: &EcsService) {
    if e.pending > 0 {
        d.row("pending", &e.pending.to_string(), Tone::Health(Health::Progressing));
    }
    if let Some(u) = d.c.store.unplaced_of(&w.id, d.c.now) {
        let said = super::placements::details(d.c, &u);
        d.row("no place", &said.text, said.tone);
    }
    d.row("placed on", &e.placement, spot(e.capacity_type));
    for name in &e.providers {
        provider(d, &w.id.cluster, name);
    }
    d.row("definition", &w.revision, Tone::Plain);
    let breaker = match e.breaker {
        None => "off",
        Some(false) => "on, without rollback",
        Some(true) => "on, rolls back",
    };
    d.row("breaker", breaker, Tone::Plain);
    d.row("rollout", &format!("{}% to {}% of the desired count", e.bounds.0, e.bounds.1), Tone::Plain);
    if e.controller != "ECS" {
        d.row("controller", &e.controller, Tone::Warning);
    }
    if let Some(used) = d.c.store.usage.get(&w.id).map(Samples::latest) {
        let (cpu, memory) = used.shares();
        let text = format!("cpu {cpu:.0}%, memory {memory:.0}% of what its tasks reserve");
        d.row("used", &text, Tone::Plain);
    }
    if let Some(targets) = d.c.store.targets.get(&w.id) {
        let tone = if targets.unhealthy > 0 { Tone::Health(Health::Warning) } else { Tone::Plain };
        d.row("targets", &targets.text(), tone);
    }
    if let Some(traffic) = d.c.store.traffic.get(&w.id) {
        d.row("requests", &traffic.text(), Tone::Plain);
        // Off screen nothing is asked: what was seen then may be old.
        if traffic.at.is_some_and(|at| d.c.now - at > TimeDelta::minutes(6)) {
            d.time("counted", traffic.at);
        }
    }
    protected(d, w);
    d.heading("deployments");
    for x in &e.deployments {
        let state = if x.rollout.is_empty() { &x.status } else { &x.rollout };
        let tone = match state.as_str() {
            "FAILED" => Tone::Health(Health::Critical),
            "IN_PROGRESS" => Tone::Health(Health::Progressing),
            _ => Tone::Plain,
        };
        let mut line = Line::new().with(format!("{} ", x.definition), Tone::Strong).with(state.to_lowercase(), tone);
        let counts = format!(" {}/{} running", x.running, x.desired);
        line.push(counts, Tone::Plain);
        if x.pending > 0 {
            line.push(format!(", {} pending", x.pending), Tone::Plain);
        }
        if x.failed > 0 {
            line.push(format!(", {} failed", x.failed), Tone::Health(Health::Warning));
        }
        line.push(format!(" {}", age(x.created, d.c.now)), Tone::Dim);
        d.out.push(line);
        if state == "FAILED" {
            d.out.push(Line::new().with(format!("  {}", x.reason), Tone::Warning));
        }
    }
    for limit in d.c.store.limits.rows().filter(|l| l.service == w.id.name && l.id.cluster == w.id.cluster) {
        let tone = if limit.health().is_problem() { Tone::Health(limit.health()) } else { Tone::Dim };
        d.out.push(Line::new().with(format!("{} ", limit.id.name), Tone::Key).with(limit.text(), tone));
    }
}

/// A capacity provider, and what is known of it.
fn provider(d: &mut Lines<'_, '_>, cluster: &ClusterId, name: &Text) {
    let known = d.c.store.clusters().find(|(id, _)| *id == cluster).and_then(|(_, c)| c);
    match known.and_then(|c| c.providers.iter().find(|p| p.name == *name)) {
        Some(p) => {
            let tone = if p.is_troubled() { Tone::Warning } else { Tone::Plain };
            d.row("provider", &format!("{name}: {}", p.text()), tone);
        }
        None => d.row("provider", name, Tone::Plain),
    }
}

/// Tasks that a rollout has to wait for.
fn protected(d: &mut Lines<'_, '_>, w: &Workload) {
    let tasks = d.c.store.tasks.rows().filter(|t| d.c.store.belongs(t, &w.id));
    let until = tasks.filter_map(|t| t.ecs.as_ref()?.protected_until).filter(|at| *at > d.c.now);
    let until: Vec<Timestamp> = until.collect();
    if let Some(last) = until.iter().max() {
        let text = format!("{} of its tasks, the last until {}", until.len(), clock_time(*last, d.c.now));
        d.row("protected", &text, Tone::Warning);
    }
}

/// Of a container instance: what is left of it.
pub(super) fn instance(d: &mut Lines<'_, '_>, n: &Node, e: &EcsInstance) {
    let tasks = format!("{} running, {} pending", e.tasks.0, e.tasks.1);
    d.row("tasks", &tasks, Tone::Plain);
    d.row("cpu left", &format!("{} of {}", e.remaining.cpu, n.allocatable.cpu), Tone::Plain);
    d.row("mem left", &format!("{} of {}", e.remaining.memory, n.allocatable.memory), Tone::Plain);
    let (agent, tone) = if e.connected {
        (n.version.to_string(), Tone::Plain)
    } else {
        (format!("{}, not connected", n.version), Tone::Health(Health::Critical))
    };
    d.row("ecs agent", &agent, tone);
    provider(d, &n.id.cluster, &e.provider);
    d.row("arn", &e.arn, Tone::Dim);
}

/// The images of a workload's tasks, comma-separated.
pub(super) fn images(store: &Store, id: &ObjectId) -> String {
    let tasks = store.tasks.rows().filter(|t| t.is_active() && store.belongs(t, id));
    let images: BTreeSet<&str> = tasks.flat_map(|t| t.containers.iter().map(|c| c.image.as_str())).collect();
    images.into_iter().collect::<Vec<_>>().join(",")
}
