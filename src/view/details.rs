//! The details pane: what is known of the selected row, without a request.

use super::alarms;
use super::columns::{self, Context, clock_time};
use super::{details_ecs as ecs, details_notice};
use crate::domain::{
    ContainerRole, ContainerState, Health, Kind, Line, Node, ObjectId, Task, Timestamp, Tone, age::age,
    quantity::percent,
};

/// Lines of `name  value` about an object, charts among them for a pane of this width.
#[must_use]
pub fn details(c: Context<'_>, id: &ObjectId, width: usize) -> Vec<Line> {
    let title = if id.kind == Kind::Notice { details_notice::title(c, id) } else { id.name.to_string() };
    let mut out = vec![Line::new().with(title, Tone::Title)];
    let mut d = Lines { out: &mut out, c };
    let is_cluster = c.store.clusters().any(|(known, _)| *known == id.cluster);
    d.row(
        if is_cluster { "cluster" } else { "source" },
        &columns::cluster_name(c, &id.cluster),
        columns::cluster_tone(c, &id.cluster),
    );
    // Of a budget, the namespace is its service.
    if !id.namespace.is_empty() && !matches!(id.kind, Kind::Budget | Kind::Notice | Kind::Pool) {
        d.row("namespace", &id.namespace, Tone::Plain);
    }
    match id.kind {
        Kind::Node => node(&mut d, id),
        Kind::Task => task(&mut d, id),
        Kind::Notice => details_notice::notice(&mut d, id),
        Kind::Pool => details_notice::pool(&mut d, id),
        Kind::Budget => super::details_budget::budget(&mut d, id, width),
        Kind::Service => super::details_service::service(&mut d, id, width),
        kind if kind.is_workload() => workload(&mut d, id),
        Kind::Alarm => alarms::alarm(&mut d, id, width),
        _ => {}
    }
    alarms::of_object(&mut d, id);
    events(&mut d, id);
    out
}

pub(super) struct Lines<'a, 'c> {
    pub(super) out: &'a mut Vec<Line>,
    pub(super) c: Context<'c>,
}

impl Lines<'_, '_> {
    pub(super) fn row(&mut self, key: &str, value: &str, tone: Tone) {
        if !value.is_empty() {
            self.out.push(Line::new().with(format!("{key:<11} "), Tone::Key).with(value, tone));
        }
    }

    pub(super) fn heading(&mut self, text: &str) {
        self.out.push(Line::new());
        self.out.push(Line::new().with(text, Tone::Title));
    }

    pub(super) fn time(&mut self, key: &str, at: Option<Timestamp>) {
        if let Some(at) = at {
            let text = format!("{} ago, {}", age(Some(at), self.c.now), clock_time(at, self.c.now));
            self.row(key, &text, Tone::Plain);
        }
    }

    fn message(&mut self, text: &str) {
        self.row("why", text, Tone::Warning);
    }
}

fn node(d: &mut Lines<'_, '_>, id: &ObjectId) {
    let Some(n) = d.c.store.nodes.get(id) else { return };
    d.row("status", &n.status, Tone::Health(n.health()));
    details_notice::of_row(d, d.c.store.board(d.c.now).of_node(id));
    d.time("since", n.condition_since);
    d.row("pressure", &n.pressure, Tone::Health(Health::Warning));
    d.message(&n.message);
    d.row("type", &n.instance_type, Tone::Plain);
    d.row("zone", &n.zone, Tone::Plain);
    d.row("capacity", n.capacity_type.word(), Tone::Plain);
    d.row("roles", &n.roles, Tone::Plain);
    d.row("address", &n.address, Tone::Plain);
    if n.ecs.is_none() {
        d.row("kubelet", &n.version, Tone::Plain);
    }
    d.row("os", &n.os_image, Tone::Plain);
    d.row("taints", &n.taints, Tone::Plain);
    d.time("created", n.created);
    let load = d.c.store.totals.node(&id.cluster, &id.name);
    d.heading("capacity");
    match &n.ecs {
        Some(e) => ecs::instance(d, n, e),
        None => d.row("tasks", &format!("{} of {}", load.active, n.allocatable_tasks), Tone::Plain),
    }
    let share = |part, whole| percent(part, whole).map_or_else(String::new, |p| format!(" ({p:.0}%)"));
    let (a, r) = (n.allocatable, load.requests);
    d.row("cpu asked", &format!("{} of {}{}", r.cpu, a.cpu, share(r.cpu.0, a.cpu.0)), Tone::Plain);
    d.row("mem asked", &format!("{} of {}{}", r.memory, a.memory, share(r.memory.0, a.memory.0)), Tone::Plain);
    if let Some(u) = d.c.store.usage.get(id).map(crate::store::history::Samples::latest) {
        d.row("cpu used", &format!("{} of {}{}", u.cpu, a.cpu, share(u.cpu.0, a.cpu.0)), Tone::Plain);
        d.row("mem used", &format!("{} of {}{}", u.memory, a.memory, share(u.memory.0, a.memory.0)), Tone::Plain);
    }
    if load.critical + load.warning > 0 {
        d.row("unhealthy", &format!("{} tasks", load.critical + load.warning), Tone::Health(Health::Critical));
    }
    saturation_and_errors(d, n);
}

/// What utilisation alone does not say: whether more is asked for than there is, and
/// what goes wrong there.
fn saturation_and_errors(d: &mut Lines<'_, '_>, n: &Node) {
    let (store, id) = (d.c.store, &n.id);
    let (asked, has) = (store.totals.node(&id.cluster, &id.name).requests, n.allocatable);
    let shares = [percent(asked.cpu.0, has.cpu.0), percent(asked.memory.0, has.memory.0)];
    d.heading("saturation and errors");
    let fullest = shares.into_iter().flatten().fold(None, |a: Option<f64>, b| Some(a.map_or(b, |a| a.max(b))));
    let tone = fullest.map_or(Tone::Dim, |p| d.c.thresholds.cpu.tone(p));
    d.row("asked", &fullest.map_or_else(|| "not known".to_owned(), |p| format!("{p:.0}% of the scarcer")), tone);
    let pressure = if n.pressure.is_empty() { "none" } else { n.pressure.as_str() };
    d.row("pressure", pressure, if n.pressure.is_empty() { Tone::Plain } else { Tone::Health(Health::Warning) });
    // Whoever waits for room waits for it on any of the nodes.
    let waiting = store.tasks.rows().filter(|t| {
        t.id.cluster == id.cluster && t.node.is_empty() && t.is_active() && t.message.contains("Insufficient")
    });
    let waiting = waiting.count();
    let text = format!("{waiting} task{} of the cluster", if waiting == 1 { "" } else { "s" });
    d.row("no room", &text, if waiting > 0 { Tone::Health(Health::Warning) } else { Tone::Plain });
    let restarts: u32 =
        store.tasks.rows().filter(|t| t.id.cluster == id.cluster && t.node == id.name).map(|t| t.restarts).sum();
    let warned = store.events.rows().filter(|e| e.about == *id && e.level == crate::domain::EventLevel::Warning);
    d.row("errors", &format!("{} warning events, {restarts} restarts of its tasks", warned.count()), Tone::Plain);
}

fn task(d: &mut Lines<'_, '_>, id: &ObjectId) {
    let Some(t) = d.c.store.tasks.get(id) else { return };
    let health = d.c.store.health(t, d.c.now);
    d.row("status", &t.status, Tone::Health(health));
    details_notice::of_row(d, d.c.store.board(d.c.now).of_task(t));
    if d.c.store.is_lost(t) {
        d.row("", "its machine is silent: nobody knows", Tone::Health(Health::Unknown));
    }
    d.message(&t.message);
    d.row("ready", &t.ready_text(), Tone::Plain);
    if t.ecs.is_none() {
        d.row("restarts", &t.restarts_text(d.c.now), Tone::Plain);
    }
    if let Some(w) = d.c.store.workload_id_of(t) {
        d.row("owner", &format!("{} {}", w.kind.short(), w.name), Tone::Plain);
    }
    d.row("node", &t.node, Tone::Plain);
    if let Some(e) = &t.ecs {
        ecs::task(d, e);
    }
    d.row("address", &t.address, Tone::Plain);
    d.row("qos", &t.qos, Tone::Plain);
    d.time("created", t.created);
    amounts(d, t);
    d.heading("containers");
    for c in t.containers.iter() {
        let (state, tone) = match &c.state {
            ContainerState::Running if c.ready => ("ready".to_owned(), Tone::Health(Health::Ok)),
            ContainerState::Running => ("running, not ready".to_owned(), Tone::Health(Health::Warning)),
            ContainerState::Waiting { reason } => (
                if reason.is_empty() { "waiting".to_owned() } else { reason.to_string() },
                Tone::Health(if health.is_problem() { health } else { Health::Progressing }),
            ),
            ContainerState::Terminated { reason, exit_code } => {
                let bad = *exit_code != 0;
                let word = if reason.is_empty() { "ended" } else { reason };
                (format!("{word}, exit {exit_code}"), Tone::Health(if bad { Health::Critical } else { Health::Done }))
            }
        };
        let role = match c.role {
            ContainerRole::Main => "",
            ContainerRole::Init => " (init)",
            ContainerRole::Sidecar => " (sidecar)",
            ContainerRole::Ephemeral => " (debug)",
        };
        let mut line = Line::new().with(format!("{}{role} ", c.name), Tone::Strong).with(state, tone);
        if c.restarts > 0 {
            line.push(format!(", {} restarts", c.restarts), Tone::Plain);
        }
        d.out.push(line);
        d.out.push(Line::new().with(format!("  {}", c.image), Tone::Dim));
    }
}

fn amounts(d: &mut Lines<'_, '_>, t: &Task) {
    let used = d.c.store.usage.get(&t.id).map(crate::store::history::Samples::latest);
    let or_dash = |n: u64, text: String| if n == 0 { "-".to_owned() } else { text };
    d.heading(&format!("{:<8} {:>6} {:>6} {:>6}", "", "used", "asked", "limit"));
    let cpu = used.map_or_else(|| "-".to_owned(), |u| u.cpu.to_string());
    let memory = used.map_or_else(|| "-".to_owned(), |u| u.memory.to_string());
    for (name, used, asked, limit) in [
        (
            "cpu",
            cpu,
            or_dash(t.requests.cpu.0, t.requests.cpu.to_string()),
            or_dash(t.limits.cpu.0, t.limits.cpu.to_string()),
        ),
        (
            "memory",
            memory,
            or_dash(t.requests.memory.0, t.requests.memory.to_string()),
            or_dash(t.limits.memory.0, t.limits.memory.to_string()),
        ),
    ] {
        let amounts = format!("{used:>6} {asked:>6} {limit:>6}");
        d.out.push(Line::new().with(format!("{name:<8} "), Tone::Key).with(amounts, Tone::Plain));
    }
}

fn workload(d: &mut Lines<'_, '_>, id: &ObjectId) {
    let Some(w) = d.c.store.workloads.get(id) else { return };
    d.row("kind", id.kind.short(), Tone::Plain);
    let health = d.c.store.workload_health(w, d.c.now);
    d.row("status", &w.status, Tone::Health(health));
    d.message(&w.message);
    let r = w.replicas;
    d.row("replicas", &format!("{} wanted, {} ready, {} updated", r.desired, r.ready, r.updated), Tone::Plain);
    if r.unavailable() > 0 && !matches!(id.kind, Kind::Job | Kind::CronJob) {
        d.row("short", &r.unavailable().to_string(), Tone::Health(health));
    }
    if let Some(e) = &w.ecs {
        ecs::service(d, w, e);
    }
    d.row("schedule", &w.schedule, Tone::Plain);
    d.time("last run", w.last_run);
    if w.ecs.is_none() {
        d.row("revision", &w.revision, Tone::Plain);
    }
    if let Some(a) = d.c.store.autoscaler_of(id) {
        d.row("autoscaler", &format!("{} to {}, wants {}; {}", a.min, a.max, a.desired, a.targets), Tone::Plain);
    }
    for b in d.c.store.disruption_budgets.rows().filter(|b| {
        b.id.cluster == id.cluster
            && b.id.namespace == id.namespace
            && !b.selector.is_empty()
            && b.selector.iter().all(|pair| w.selector.contains(pair))
    }) {
        let tone = if b.allowed == 0 { Tone::Health(Health::Warning) } else { Tone::Plain };
        d.row("budget", &format!("{} more may be disrupted ({}/{} healthy)", b.allowed, b.healthy, b.expected), tone);
    }
    d.time("created", w.created);
    // A service's images are those of its tasks.
    let images = if w.images.is_empty() { ecs::images(d.c.store, id) } else { w.images.to_string() };
    for image in images.split(',') {
        d.row("image", image, Tone::Dim);
    }
    let mut tasks: Vec<_> = d.c.store.tasks.rows().filter(|t| d.c.store.belongs(t, id)).collect();
    tasks.sort_by(|a, b| {
        d.c.store.health(b, d.c.now).cmp(&d.c.store.health(a, d.c.now)).then_with(|| a.id.name.cmp(&b.id.name))
    });
    if !tasks.is_empty() {
        d.heading("tasks");
    }
    for t in tasks.iter().take(12) {
        d.out.push(
            Line::new()
                .with(format!("{} ", t.status), Tone::Health(d.c.store.health(t, d.c.now)))
                .with(t.id.name.as_str(), Tone::Plain)
                .with(format!(" {}", age(t.created, d.c.now)), Tone::Dim),
        );
    }
    if tasks.len() > 12 {
        d.out.push(Line::new().with(format!("and {} more", tasks.len() - 12), Tone::Dim));
    }
}

fn events(d: &mut Lines<'_, '_>, id: &ObjectId) {
    let mut found: Vec<_> = d.c.store.events.rows().filter(|e| e.about == *id).collect();
    found.sort_by_key(|e| std::cmp::Reverse(e.last.or(e.first)));
    if found.is_empty() {
        return;
    }
    d.heading("events");
    for e in found.iter().take(8) {
        let warning = e.level == crate::domain::EventLevel::Warning;
        let tone = if warning { Tone::Warning } else { Tone::Plain };
        let times = if e.count > 1 { format!(" x{}", e.count) } else { String::new() };
        d.out.push(
            Line::new()
                .with(format!("{:>6} ", age(e.last.or(e.first), d.c.now)), Tone::Dim)
                .with(format!("{}{times} ", e.reason), tone)
                .with(e.message.as_str(), Tone::Dim),
        );
    }
}
