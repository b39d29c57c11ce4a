//! A list as it stands on the screen: columns with widths, visible rows.

use std::borrow::Cow;

use super::columns::{
    ALARMS, BUDGETS, Cell, Column, Context, EVENTS, NODES, OVERVIEW, POOLS, SERVICES, SPOT, TASKS, WORKLOADS,
};
use super::words;
pub use crate::app::shown::{Head, TableModel, TableRow};
use crate::app::shown::{Made, Wanted};
use crate::app::table::{Scope, TableState, ViewKind};
use crate::domain::{Freshness, Kind, ObjectId, Orchestrator, Tone, age};
use crate::store::{Feed, SourceId, Store};

/// The feeds whose completeness a view's emptiness depends on.
#[must_use]
pub fn feeds(kind: ViewKind) -> &'static [Feed] {
    match kind {
        ViewKind::Overview => &[Feed::Tasks, Feed::Nodes, Feed::Deployments, Feed::ReplicaSets, Feed::Services],
        ViewKind::Nodes | ViewKind::Map | ViewKind::Pools => &[Feed::Nodes],
        ViewKind::Spot => &[Feed::Nodes, Feed::Tasks, Feed::Notices],
        ViewKind::Tasks => &[Feed::Tasks],
        ViewKind::Workloads => &[
            Feed::Deployments,
            Feed::StatefulSets,
            Feed::DaemonSets,
            Feed::Jobs,
            Feed::CronJobs,
            Feed::ReplicaSets,
            Feed::Services,
        ],
        ViewKind::Events => &[Feed::Events],
        ViewKind::Alarms => &[Feed::Alarms],
        ViewKind::Budgets => &[Feed::Budgets],
        ViewKind::Services => &[Feed::Signals, Feed::Services],
    }
}

/// The visible part of a list. `table.page` says how many rows fit; grows `table.widths`.
///
/// A frame that answers a key takes the rows of `table.shown`, if those are what it asks for: to make them is a third of what
/// such a frame costs. The next has them as they are by then.
pub fn table(table: &mut TableState, c: Context<'_>, width: u16, wide: bool) -> TableModel {
    let wanted = Wanted::of(table, width, (wide, c.absolute, c.ascii));
    let shown = std::mem::take(&mut table.shown);
    let patience = &c.store.patience;
    let will_do = |made: &Made| {
        patience.is_hurried()
            && made.of == wanted
            && (made.moment == Some(c.store.moment(c.now)) || patience.will_do(made.at, c.now))
    };
    let mut model = if shown.made.as_ref().is_some_and(will_do) {
        shown
    } else {
        // What something old went into is as old as that.
        let (mut model, made_of) = patience.oldest_in(|| rows(table, c, &wanted, wide));
        let moment = made_of.is_none().then(|| c.store.moment(c.now));
        model.made = Some(Made { at: made_of.unwrap_or(c.now), moment, of: wanted });
        model
    };
    for (i, row) in (table.offset..).zip(&mut model.rows) {
        // The slot has another object by now, or none.
        let Some(id) = table.id_at(c.store, i) else {
            (row.health, row.selected, row.marked) = (None, i == table.cursor_at, false);
            row.cells.fill(Cell::default());
            continue;
        };
        // Whatever the key did.
        (row.selected, row.marked) = (i == table.cursor_at, !table.marks.is_empty() && table.marks.contains(id));
    }
    (model.shown, model.total, model.offset) = (table.order.len(), table.total, table.offset);
    model.marked = marked(table, c);
    model.empty = table.order.is_empty().then(|| emptiness(table, c));
    model
}

/// The rows as they are now.
fn rows(table: &mut TableState, c: Context<'_>, wanted: &Wanted, wide: bool) -> TableModel {
    let (visible, width) = (&wanted.slots, wanted.columns.0);
    let store = c.store;
    match table.kind {
        ViewKind::Overview => {
            let problems = std::mem::take(&mut table.problems);
            let rows: Vec<_> = visible.iter().map(|s| problems.get(*s as usize)).collect();
            let model = build(table, OVERVIEW, &rows, c, width, wide);
            table.problems = problems;
            model
        }
        ViewKind::Alarms => {
            let alarms = std::mem::take(&mut table.alarms);
            let rows: Vec<_> = visible.iter().map(|s| alarms.get(*s as usize)).collect();
            let model = build(table, ALARMS, &rows, c, width, wide);
            table.alarms = alarms;
            model
        }
        ViewKind::Nodes | ViewKind::Map => {
            let rows: Vec<_> = visible.iter().map(|s| store.nodes.at_since(*s, table.ordered_at)).collect();
            build(table, NODES, &rows, c, width, wide)
        }
        ViewKind::Tasks => {
            let rows: Vec<_> = visible.iter().map(|s| store.tasks.at_since(*s, table.ordered_at)).collect();
            build(table, TASKS, &rows, c, width, wide)
        }
        ViewKind::Workloads => {
            let rows: Vec<_> = visible.iter().map(|s| store.workloads.at_since(*s, table.ordered_at)).collect();
            build(table, WORKLOADS, &rows, c, width, wide)
        }
        ViewKind::Events => {
            let rows: Vec<_> = visible.iter().map(|s| store.events.at_since(*s, table.ordered_at)).collect();
            build(table, EVENTS, &rows, c, width, wide)
        }
        ViewKind::Budgets => {
            let rows: Vec<_> = visible.iter().map(|s| store.budgets.at_since(*s, table.ordered_at)).collect();
            build(table, BUDGETS, &rows, c, width, wide)
        }
        ViewKind::Spot => {
            let notices = std::mem::take(&mut table.notices);
            let rows: Vec<_> = visible.iter().map(|s| notices.get(*s as usize)).collect();
            let model = build(table, SPOT, &rows, c, width, wide);
            table.notices = notices;
            model
        }
        ViewKind::Pools => {
            let pools = std::mem::take(&mut table.pools);
            let rows: Vec<_> = visible.iter().map(|s| pools.get(*s as usize)).collect();
            let model = build(table, POOLS, &rows, c, width, wide);
            table.pools = pools;
            model
        }
        ViewKind::Services => {
            let services = std::mem::take(&mut table.services);
            let rows: Vec<_> = visible.iter().map(|s| services.get(*s as usize)).collect();
            let model = build(table, SERVICES, &rows, c, width, wide);
            table.services = services;
            model
        }
    }
}

/// Empty is never shown for not loaded.
pub(crate) fn emptiness(table: &TableState, c: Context<'_>) -> String {
    if matches!(table.kind, ViewKind::Spot | ViewKind::Pools) && table.total == 0 {
        return super::notices::empty(c, table.kind);
    }
    let what = if table.kind == ViewKind::Map { "nodes" } else { table.kind.name() };
    let complete = c.store.is_complete(feeds(table.kind));
    // What cannot be read is not empty, and not about to come.
    let mut mine = c.store.sources().filter(|(id, _)| feeds(table.kind).contains(&id.feed));
    let failed = mine.find_map(|(id, s)| match &s.freshness {
        Freshness::Down { because, .. } if !s.complete => Some((id, because)),
        Freshness::Absent { because, denied: true } => Some((id, because)),
        _ => None,
    });
    if let Some((id, because)) = failed.filter(|_| table.total == 0) {
        return format!("{} of {} cannot be read: {because}", id.feed.word(), id.cluster);
    }
    match (complete, table.total) {
        (false, 0) => format!("loading {}…", if table.kind == ViewKind::Overview { "the fleet" } else { what }),
        (_, n) if n > 0 => {
            let by = match (table.filter.is_empty(), table.problems_only) {
                (false, true) => format!("`{}` and problems only hide", table.filter.raw),
                (false, false) => format!("the filter `{}` hides", table.filter.raw),
                _ => "problems only hides".to_owned(),
            };
            format!("{by} all {n}; esc clears the filter, ctrl-z shows the healthy ones")
        }
        _ if table.kind == ViewKind::Overview => "nothing is wrong".to_owned(),
        _ if table.scope != Scope::All => format!("no {what} here; esc goes back"),
        _ if table.kind == ViewKind::Budgets
            && c.store.backends().all(|(_, b)| b.is_some_and(|b| b.kind.tells_notices())) =>
        {
            "no error budgets here; docs/slo.md says how to write objectives".to_owned()
        }
        _ => format!("no {what} here{}", teaches(table.kind)),
    }
}

/// Where what a list is of comes from, for whoever wonders why there is none.
fn teaches(kind: ViewKind) -> &'static str {
    match kind {
        ViewKind::Alarms => "; they come from CloudWatch, Prometheus and Alertmanager: docs/alarms.md",
        ViewKind::Services => "; their figures come from Prometheus or a load balancer: docs/metrics.md",
        ViewKind::Budgets => "; docs/slo.md says how to write objectives",
        ViewKind::Nodes | ViewKind::Map => "; what runs on Fargate has none: 3 shows its tasks",
        ViewKind::Tasks => "; 4 shows the workloads that should have some, 5 the events that may say why not",
        ViewKind::Events => "; a cluster forgets them after an hour, and of ECS there are those of its services",
        ViewKind::Overview | ViewKind::Workloads | ViewKind::Spot | ViewKind::Pools => "",
    }
}

fn build<T: super::arrange::Listed>(
    table: &mut TableState,
    columns: &'static [Column<T>],
    rows: &[Option<&T>],
    c: Context<'_>,
    width: u16,
    wide: bool,
) -> TableModel {
    // Alarms come from metric backends, too.
    let backends = if table.kind == ViewKind::Alarms { c.store.backends().count() } else { 0 };
    let one_cluster = c.store.clusters().count() + backends <= 1;
    // ECS has no namespaces: a column of dashes tells nobody anything.
    let only_ecs = c.store.clusters().all(|(id, _)| c.store.orchestrator(id) == Orchestrator::Ecs);
    let any_ecs = c.store.clusters().any(|(id, _)| c.store.orchestrator(id) == Orchestrator::Ecs);
    let says_nothing = |key: &str| match key {
        // What the list is sorted by is shown, whatever it says.
        key if key == table.sort.column => false,
        "cluster" => one_cluster,
        "namespace" => only_ecs,
        "placement" => !any_ecs,
        _ => false,
    };
    let wanted: Vec<&Column<T>> = columns.iter().filter(|col| (wide || !col.wide) && !says_nothing(col.key)).collect();
    let cells: Vec<Vec<Cell>> = rows
        .iter()
        .map(|r| {
            let Some(row) = r else { return vec![Cell::default(); wanted.len()] };
            let old = oldness(table.kind, row.id(), c);
            wanted.iter().map(|col| aged((col.cell)(c, row), col.key, old.as_deref())).collect()
        })
        .collect();
    // Widths only grow while a view is open, so that nothing jumps.
    let natural: Vec<u16> = wanted
        .iter()
        .enumerate()
        .map(|(i, col)| {
            let content =
                cells.iter().filter_map(|r| r.get(i)).map(|cell| words::columns(&cell.text)).max().unwrap_or(0);
            let sort_mark = usize::from(table.sort.column == col.key);
            let needed = u16::try_from(content.max(words::columns(col.title) + sort_mark)).unwrap_or(u16::MAX);
            let before = table.widths.iter().find(|(k, _)| *k == col.key).map_or(0, |(_, w)| *w);
            needed.clamp(col.width.0, col.width.1).max(before)
        })
        .collect();
    table.widths = wanted.iter().zip(&natural).map(|(col, w)| (col.key, *w)).collect();
    let keep = fit(&wanted, &natural, width, table);
    let heads: Vec<Head> = keep
        .iter()
        .filter_map(|(i, w)| {
            let col = wanted.get(*i)?;
            Some(Head {
                title: col.title,
                align: col.align,
                width: *w,
                sorted: (table.sort.column == col.key).then_some(table.sort.descending),
                // Pods of one workload differ at the end of their names, nodes at the start.
                cut_middle: match col.key {
                    "cluster" => true,
                    "name" | "object" => table.kind != ViewKind::Nodes,
                    _ => false,
                },
            })
        })
        .collect();
    let signed = matches!(table.kind, ViewKind::Nodes | ViewKind::Tasks | ViewKind::Workloads | ViewKind::Events);
    let rows = rows
        .iter()
        .zip(cells)
        .map(|(row, mut cells)| TableRow {
            cells: keep
                .iter()
                .zip(&heads)
                .filter_map(|((k, _), head)| Some(fitting(std::mem::take(cells.get_mut(*k)?), head, c.ascii)))
                .collect(),
            selected: false,
            marked: false,
            health: row.filter(|_| signed).map(|r| r.health(c)).filter(|h| h.is_problem()),
        })
        .collect();
    TableModel { hidden: wanted.len() - heads.len(), heads, rows, ..TableModel::default() }
}

/// A cell in the width of its column.
fn fitting(mut cell: Cell, head: &Head, ascii: bool) -> Cell {
    match words::fitted(&cell.text, usize::from(head.width), head.cut_middle, ascii) {
        Cow::Borrowed(start) => cell.text.truncate(start.len()),
        Cow::Owned(cut) => cell.text = cut,
    }
    cell
}

/// `stale 3m` for a row whose source has stopped talking: nothing old is shown as if it were new.
pub(super) fn oldness(kind: ViewKind, id: &ObjectId, c: Context<'_>) -> Option<String> {
    let SourceId { cluster, feed } = source_of(kind, id, c.store)?;
    let freshness = &c.store.source(&cluster, feed)?.freshness;
    match freshness {
        Freshness::Stale { since, .. } | Freshness::Down { since, .. } => {
            Some(format!("{} {}", freshness.word(), age::age(Some(*since), c.now)))
        }
        Freshness::Loading { .. } | Freshness::Live { .. } | Freshness::Absent { .. } => None,
    }
}

/// What tells of a row. Notices and events are of their moment, and services say themselves how late they are.
fn source_of(kind: ViewKind, id: &ObjectId, store: &Store) -> Option<SourceId> {
    let of = match kind {
        ViewKind::Overview => id.kind,
        ViewKind::Nodes | ViewKind::Map => Kind::Node,
        ViewKind::Tasks => Kind::Task,
        ViewKind::Workloads => Kind::Deployment,
        ViewKind::Alarms => Kind::Alarm,
        ViewKind::Budgets => Kind::Budget,
        ViewKind::Events | ViewKind::Services | ViewKind::Spot | ViewKind::Pools => return None,
    };
    match of {
        Kind::Node => store.nodes.source(store.nodes.slot(id)?),
        Kind::Zone => Some(SourceId { cluster: id.cluster.clone(), feed: Feed::Nodes }),
        Kind::Task => store.tasks.source(store.tasks.slot(id)?),
        Kind::Alarm => store.alarms.source(store.alarms.slot(id)?),
        Kind::Budget => store.budgets.source(store.budgets.slot(id)?),
        kind if kind.is_workload() => store.workloads.source(store.workloads.slot(id)?),
        _ => None,
    }
}

/// A cell of a row that is old looks old, and the one that says how things are says so: no colour alone does.
fn aged(cell: Cell, column: &str, old: Option<&str>) -> Cell {
    let Some(old) = old else { return cell };
    let text = if matches!(column, "status" | "state") { format!("{old}, {}", cell.text) } else { cell.text };
    Cell::new(text, Tone::Dim)
}

fn marked(table: &TableState, c: Context<'_>) -> (usize, usize) {
    if table.marks.is_empty() {
        return (0, 0);
    }
    let visible =
        (0..table.order.len()).filter(|i| table.id_at(c.store, *i).is_some_and(|id| table.marks.contains(id))).count();
    (table.marks.len(), table.marks.len() - visible)
}

/// Which columns are shown, and how wide: all at their natural width if they
/// fit; else flexible ones shrink to their least; else the least wanted go, but
/// never the one the list is sorted by.
fn fit<T>(columns: &[&Column<T>], natural: &[u16], width: u16, table: &TableState) -> Vec<(usize, u16)> {
    let (pan, sorted) = (table.pan, table.sort.column);
    // Three columns at the left for cursor and mark, two between columns.
    let room = width.saturating_sub(3);
    let mut keep: Vec<usize> = (0..columns.len()).collect();
    // Panning takes columns away from the left, after the name.
    let skip = usize::from(pan / 8);
    let (mut skipped, mut i) = (0, 0);
    while skipped < skip && i < keep.len() && keep.len() > 2 {
        if matches!(columns[keep[i]].key, "name" | "cluster") {
            i += 1;
            continue;
        }
        keep.remove(i);
        skipped += 1;
    }
    let priority = |i: usize| if columns[i].key == sorted { 0 } else { columns[i].priority };
    // What is wrong is read whole while there is something that can go for it.
    let tight = |keep: &[usize]| keep.iter().all(|i| priority(*i) <= 1);
    let least = |i: usize, tight: bool| match columns[i].key {
        // Which cluster it is stays, if not its whole name.
        "cluster" => natural[i].min(9),
        "message" => natural[i].min(24),
        "status" if columns[i].width.1 > 30 => natural[i].min(if tight { 34 } else { 44 }),
        // What one copies and tells others is read whole before more figures are.
        "name" if table.kind == ViewKind::Tasks && width >= 80 => natural[i].min(columns[i].width.0.max(22)),
        key if !matches!(key, "status" | "state") && columns[i].width.1 > 20 => {
            natural[i].min(columns[i].width.0.max(16))
        }
        _ => natural[i],
    };
    let sum = |keep: &[usize]| {
        let tight = tight(keep);
        keep.iter().map(|i| u32::from(least(*i, tight)) + 2).sum::<u32>().saturating_sub(2)
    };
    while keep.len() > 1 && sum(&keep) > u32::from(room) {
        let worst = keep.iter().enumerate().max_by_key(|(at, i)| (priority(**i), *at)).map(|(at, _)| at);
        match worst {
            Some(at) if priority(keep[at]) > 0 => drop(keep.remove(at)),
            _ => break,
        }
    }
    let mut widths: Vec<u16> = keep.iter().map(|i| least(*i, tight(&keep))).collect();
    let mut spare = u32::from(room).saturating_sub(sum(&keep));
    // What is left goes to those that want more, the name first.
    let mut wants: Vec<usize> = (0..keep.len()).collect();
    wants.sort_by_key(|k| {
        (
            columns[keep[*k]].priority,
            !matches!(columns[keep[*k]].key, "name" | "message"),
            columns[keep[*k]].key != "cluster",
            *k,
        )
    });
    for k in wants {
        let more = u32::from(natural[keep[k]].saturating_sub(widths[k])).min(spare);
        widths[k] += u16::try_from(more).unwrap_or(0);
        spare -= more;
    }
    squeeze(&mut widths, room);
    keep.into_iter().zip(widths).collect()
}

/// On a very narrow screen what is widest is cut.
fn squeeze(widths: &mut [u16], room: u16) {
    let mut over = widths.iter().map(|w| u32::from(*w) + 2).sum::<u32>().saturating_sub(2 + u32::from(room));
    while over > 0 {
        let Some(widest) = widths.iter_mut().max() else { break };
        if *widest <= 3 {
            break;
        }
        *widest -= 1;
        over -= 1;
    }
}
