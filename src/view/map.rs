//! The fleet as a map: a cell per node with its use as bars and its tasks as marks, and
//! one for each place that has no nodes to show.

use std::collections::BTreeMap;

use super::columns::{Context, cluster_name, cluster_tone};
use super::spark::bar;
use crate::app::table::{Scope, TableState, ViewKind};
use crate::domain::{CapacityType, ClusterId, Health, Line, Node, Resources, Task, Tone, quantity::percent};

/// One node on the map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapCell {
    /// Under the cursor.
    pub selected: bool,
    /// Its lines, all of them.
    pub lines: Vec<Line>,
    /// How it is.
    pub health: Health,
}

/// How much room a cell has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Name, state or use in figures, one row of tasks.
    Compact,
    /// Name, state, bars, and so many rows of tasks.
    Full(usize),
}

/// Unfinished tasks of a cluster that are on no node.
#[derive(Debug)]
pub struct Elsewhere<'a> {
    cluster: &'a ClusterId,
    /// `fargate`, `fargate spot`, or `pending` for those that are not placed.
    place: &'static str,
    tasks: Vec<&'a Task>,
}

/// Tasks that are on no node, by cluster and place. A filter of nodes leaves none of them,
/// since they have none.
#[must_use]
pub fn elsewhere<'a>(table: &TableState, c: Context<'a>) -> Vec<Elsewhere<'a>> {
    if !table.filter.is_empty() {
        return Vec::new();
    }
    let wanted = |id: &ClusterId| match &table.scope {
        Scope::All => true,
        Scope::Cluster(only) => only == id,
        _ => false,
    };
    let mut places: BTreeMap<(&ClusterId, &'static str), Vec<&Task>> = BTreeMap::new();
    for t in c.store.tasks.rows().filter(|t| t.node.is_empty() && t.is_active() && wanted(&t.id.cluster)) {
        places.entry((&t.id.cluster, place(t))).or_default().push(t);
    }
    places.retain(|_, tasks| !table.problems_only || tasks.iter().any(|t| t.health.is_problem()));
    places.into_iter().map(|((cluster, place), tasks)| Elsewhere { cluster, place, tasks }).collect()
}

fn place(t: &Task) -> &'static str {
    match &t.ecs {
        Some(e) if e.provider == "FARGATE_SPOT" => "fargate spot",
        Some(e) if e.provider == "FARGATE" || e.launch == "FARGATE" => "fargate",
        _ => "pending",
    }
}

/// True if a node's load is what is asked of it, for want of measurements.
#[must_use]
pub fn is_unmeasured(table: &TableState, c: Context<'_>) -> bool {
    table.order.iter().filter_map(|slot| c.store.nodes.at(*slot)).any(|n| c.store.usage.get(&n.id).is_none())
}

/// The map's cells: the nodes in the list's order, then what is elsewhere.
#[must_use]
pub fn map(
    table: &TableState,
    c: Context<'_>,
    elsewhere: Vec<Elsewhere<'_>>,
    cell_width: usize,
    detail: Detail,
) -> Vec<MapCell> {
    let mut tasks: std::collections::HashMap<(&str, &str), Vec<&Task>> = std::collections::HashMap::new();
    for t in c.store.tasks.rows() {
        tasks.entry((t.id.cluster.as_str(), t.node.as_str())).or_default().push(t);
    }
    table
        .order
        .iter()
        .enumerate()
        .filter_map(|(i, slot)| {
            let node = c.store.nodes.at_since(*slot, table.ordered_at)?;
            let mine = tasks.remove(&(node.id.cluster.as_str(), node.id.name.as_str())).unwrap_or_default();
            Some(MapCell {
                selected: i == table.cursor_at,
                lines: cell(node, mine, c, cell_width, detail),
                health: node.health(),
            })
        })
        .chain(elsewhere.into_iter().map(|e| MapCell {
            selected: false,
            health: e.tasks.iter().map(|t| c.store.health(t, c.now)).max().unwrap_or(Health::Ok),
            lines: cell_of_place(e, c, cell_width, detail),
        }))
        .collect()
}

/// A place without nodes: its name, whose it is, how much is there, and the tasks.
fn cell_of_place(e: Elsewhere<'_>, c: Context<'_>, width: usize, detail: Detail) -> Vec<Line> {
    let asked = e.tasks.iter().fold(Resources::default(), |sum, t| sum + t.requests);
    let n = e.tasks.len();
    let count = format!("{n} task{}", if n == 1 { "" } else { "s" });
    let several = c.store.clusters().nth(1).is_some();
    let mut lines = vec![Line::new().with(e.place, Tone::Strong)];
    let rows = match detail {
        Detail::Full(rows) => {
            lines.push(
                Line::new().with(shorten(&cluster_name(c, e.cluster), width, c.ascii), cluster_tone(c, e.cluster)),
            );
            lines.push(Line::new().with(count, Tone::Dim));
            let asked = format!("asks {} {}", asked.cpu, asked.memory);
            lines.push(Line::new().with(shorten(&asked, width, c.ascii), Tone::Dim));
            rows
        }
        Detail::Compact => {
            let whose = if several {
                Line::new().with(shorten(&cluster_name(c, e.cluster), width, c.ascii), cluster_tone(c, e.cluster))
            } else {
                Line::new().with(count, Tone::Dim)
            };
            lines.push(whose);
            1
        }
    };
    marks(&mut lines, e.tasks, rows, width, c);
    lines
}

/// A task as one character: a shape for each health.
#[must_use]
pub fn task_mark(health: Health, ascii: bool) -> char {
    match (health, ascii) {
        (Health::Ok, false) => '■',
        (Health::Done, false) => '·',
        (Health::Progressing, false) => '◌',
        (Health::Unknown, _) => '?',
        (Health::Warning, false) => '▲',
        (Health::Critical, false) => '✖',
        (Health::Ok, true) => 'o',
        (Health::Done, true) => '.',
        (Health::Progressing, true) => '~',
        (Health::Warning, true) => '!',
        (Health::Critical, true) => 'X',
    }
}

fn cell(node: &Node, mut tasks: Vec<&Task>, c: Context<'_>, width: usize, detail: Detail) -> Vec<Line> {
    let name = shorten(super::notices::short(&node.id.name), width, c.ascii);
    let tone = if node.health().is_problem() { Tone::Health(node.health()) } else { Tone::Strong };
    let mut lines = vec![Line::new().with(name, tone)];
    let spot = if node.capacity_type == CapacityType::Spot { " spot" } else { "" };
    let bad = node.health().is_problem();
    let going = super::notices::on_map(c, &node.id).map(|(text, tone)| match tone {
        _ if !bad => (text, tone),
        // What is in trouble besides says both.
        Tone::Health(health) => (format!("{text} {}", node.status), Tone::Health(health.max(node.health()))),
        _ => (format!("{} {text}", node.status), Tone::Health(node.health())),
    });
    let old = super::table::oldness(ViewKind::Nodes, &node.id, c);
    let calm = node.health() == Health::Ok && going.is_none() && old.is_none();
    let (state, tone) = match &going {
        Some((text, tone)) => (text.clone(), *tone),
        None if calm => (node.zone.to_string(), Tone::Dim),
        // Which zone it is matters most where one is lost.
        None => (format!("{} {}", node.status, node.zone).trim_end().to_owned(), Tone::Health(node.health())),
    };
    let since = old.as_ref().map_or_else(String::new, |old| format!("{old}, "));
    let state = Line::new().with(shorten(&format!("{since}{state}{spot}"), width, c.ascii), tone);
    let task_rows = match detail {
        Detail::Full(rows) => {
            lines.push(state);
            lines.push(gauge("cpu", node, c, width, true));
            lines.push(gauge("mem", node, c, width, false));
            rows
        }
        Detail::Compact => {
            lines.push(if calm { figures(node, c) } else { state });
            1
        }
    };
    if old.is_some() {
        lines.iter_mut().flat_map(|l| &mut l.spans).for_each(|span| span.tone = Tone::Dim);
    }
    // What has stopped takes no room here, however it ended.
    tasks.retain(|t| t.health != Health::Done && (t.ecs.is_none() || t.is_active()));
    marks(&mut lines, tasks, task_rows, width, c);
    lines
}

/// Tasks as marks, worst first, in so many rows; how many more there are goes at the end.
fn marks(lines: &mut Vec<Line>, tasks: Vec<&Task>, rows: usize, width: usize, c: Context<'_>) {
    let mut tasks: Vec<(Health, &Task)> = tasks.into_iter().map(|t| (c.store.health(t, c.now), t)).collect();
    tasks.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| x.id.cmp(&y.id)));
    let mut shown = 0;
    for row in tasks.chunks(width.max(1)).take(rows) {
        let mut line = Line::new();
        for (health, _) in row {
            line.push(task_mark(*health, c.ascii).to_string(), Tone::Health(*health));
        }
        shown += row.len();
        lines.push(line);
    }
    if shown < tasks.len()
        && let Some(last) = lines.last_mut()
    {
        let more = format!("+{}", tasks.len() - shown);
        let keep = width.saturating_sub(more.len());
        last.spans.truncate(keep);
        last.push(more, Tone::Dim);
    }
}

/// Cut to `width` characters, and saying so.
fn shorten(text: &str, width: usize, ascii: bool) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain([if ascii { '~' } else { '…' }]).collect()
}

/// Use in figures, where there is no room for bars.
fn figures(node: &Node, c: Context<'_>) -> Line {
    let mut line = Line::new();
    for (name, cpu) in [("cpu", true), (" mem", false)] {
        let (part, whole, mark) = load(node, c, cpu);
        let p = percent(part, whole).unwrap_or(0.0);
        line.push(format!("{name}{mark}"), Tone::Dim);
        let limits = if cpu { c.thresholds.cpu } else { c.thresholds.memory };
        line.push(format!("{p:.0}%"), limits.tone(p));
    }
    line
}

/// What is in use of what there is. Without measurements what is asked for is the
/// next best thing, and said so by a `~`.
fn load(node: &Node, c: Context<'_>, cpu: bool) -> (u64, u64, char) {
    let usage = c.store.usage.get(&node.id).map(crate::store::history::Samples::latest);
    let requests = c.store.totals.node(&node.id.cluster, &node.id.name).requests;
    match (usage, cpu) {
        (Some(u), true) => (u.cpu.0, node.allocatable.cpu.0, ' '),
        (Some(u), false) => (u.memory.0, node.allocatable.memory.0, ' '),
        (None, true) => (requests.cpu.0, node.allocatable.cpu.0, '~'),
        (None, false) => (requests.memory.0, node.allocatable.memory.0, '~'),
    }
}

fn gauge(name: &str, node: &Node, c: Context<'_>, width: usize, cpu: bool) -> Line {
    let (part, whole, mark) = load(node, c, cpu);
    let p = percent(part, whole).unwrap_or(0.0);
    let room = width.saturating_sub(name.len() + 7);
    let tone = if cpu { c.thresholds.cpu } else { c.thresholds.memory }.tone(p);
    Line::new()
        .with(format!("{name}{mark}"), Tone::Dim)
        .with(bar(part, whole, room, c.ascii), tone)
        .with(format!(" {p:>3.0}%"), tone)
}
