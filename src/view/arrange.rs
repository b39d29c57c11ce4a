//! Which rows a list shows, in which order.

mod alarms;
mod notices;
mod rows;

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use fixedbitset::FixedBitSet;
use foldhash::HashMap;

use super::columns::{BUDGETS, Column, Context, EVENTS, NODES, OVERVIEW, SERVICES, TASKS, Unit, Value, WORKLOADS};
use crate::app::App;
use crate::app::actions::Slipped;
use crate::app::filter::{Filter, Op, Operand, Term, glob};
use crate::app::table::{Scope, Stamp, TableState, ViewKind};
use crate::domain::{
    Budget, ClusterId, Event, EventLevel, Health, Labels, Node, ObjectId, Service, Task, Text, Workload,
};
use crate::store::notices::{Board, NoticeRow};
use crate::store::problems::{Problem, problems, wrong};
use crate::store::{Slot, Store};
use rows::{Previous, Rows};

/// What can be listed.
pub(crate) trait Listed: Sized + 'static {
    /// Its identity.
    fn id(&self) -> &ObjectId;
    /// Its labels, if it has any.
    fn labels(&self) -> Option<&Labels>;
    /// How it is, everything taken into account: for sorting by status, and to tell
    /// what is worth showing when only problems are.
    fn health(&self, c: Context<'_>) -> Health;
    /// The same for its place in a list: what goes at any moment is as urgent as its row says.
    fn urgency(&self, _: Slot, c: Context<'_>, _: &Rush<'_>) -> Health {
        self.health(c)
    }
}

/// What goes now, and how tasks look that may be in trouble, found once for all rows of a list: asking for each of 50,000 would cost more than
/// ordering them.
pub(crate) struct Rush<'a> {
    board: &'a Board,
    /// The machines that go, and how urgent that is.
    nodes: HashMap<(&'a ClusterId, &'a Text), Health>,
    /// Tasks go by themselves: of ECS.
    tasks: bool,
    /// How tasks are that may be in trouble, by their slots, as what is wrong was found: they are not looked at twice.
    looks: Arc<[Option<Health>]>,
}

impl<'a> Rush<'a> {
    fn of(board: &'a Board, looks: Arc<[Option<Health>]>) -> Self {
        let mut nodes: HashMap<(&ClusterId, &Text), Health> = HashMap::default();
        for row in board.urgent() {
            if let Some(id) = &row.node {
                let urgency = nodes.entry((&id.cluster, &id.name)).or_insert(Health::Ok);
                *urgency = row.health().max(*urgency);
            }
        }
        Self { board, nodes, tasks: board.urgent().any(|r| r.task.is_some()), looks }
    }

    fn of_task(&self, task: &Task) -> Option<Health> {
        if self.tasks && task.ecs.is_some() {
            return self.board.of_task(task).filter(|r| r.urgent).map(NoticeRow::health);
        }
        if self.nodes.is_empty() || !task.is_active() {
            return None;
        }
        self.nodes.get(&(&task.id.cluster, &task.node)).copied()
    }
}

impl Listed for Node {
    fn id(&self) -> &ObjectId {
        &self.id
    }
    fn labels(&self) -> Option<&Labels> {
        Some(&self.labels)
    }
    fn health(&self, c: Context<'_>) -> Health {
        let own = self.health();
        let board = c.store.board(c.now);
        if let Some(row) = board.of_node(&self.id).filter(|r| r.urgent) {
            return own.max(row.health());
        }
        // Somebody's work in progress is worth a look, too.
        if self.unschedulable { own.max(Health::Unknown) } else { own }
    }
}

impl Listed for Task {
    fn id(&self) -> &ObjectId {
        &self.id
    }
    fn labels(&self) -> Option<&Labels> {
        Some(&self.labels)
    }
    fn health(&self, c: Context<'_>) -> Health {
        c.store.health(self, c.now)
    }
    fn urgency(&self, slot: Slot, c: Context<'_>, rush: &Rush<'_>) -> Health {
        let looked = rush.looks.get(slot as usize).copied().flatten().filter(|_| c.store.is_suspect(slot));
        let own = looked.unwrap_or_else(|| c.store.health_in(slot, self, c.now));
        rush.of_task(self).map_or(own, |going| going.max(own))
    }
}

impl Listed for Workload {
    fn id(&self) -> &ObjectId {
        &self.id
    }
    fn labels(&self) -> Option<&Labels> {
        Some(&self.labels)
    }
    fn health(&self, c: Context<'_>) -> Health {
        c.store.workload_trouble(self, c.now)
    }
    fn urgency(&self, _: Slot, c: Context<'_>, rush: &Rush<'_>) -> Health {
        let own = self.health(c);
        if rush.board.of_workload(&self.id).is_some() { own.max(Health::Warning) } else { own }
    }
}

impl Listed for Event {
    fn id(&self) -> &ObjectId {
        &self.id
    }
    fn labels(&self) -> Option<&Labels> {
        None
    }
    fn health(&self, _: Context<'_>) -> Health {
        if self.level == EventLevel::Warning { Health::Warning } else { Health::Ok }
    }
}

impl Listed for Problem {
    fn id(&self) -> &ObjectId {
        &self.id
    }
    fn labels(&self) -> Option<&Labels> {
        None
    }
    fn health(&self, _: Context<'_>) -> Health {
        self.health
    }
}

impl Listed for Budget {
    fn id(&self) -> &ObjectId {
        &self.id
    }
    fn labels(&self) -> Option<&Labels> {
        None
    }
    fn health(&self, _: Context<'_>) -> Health {
        self.health()
    }
}

impl Listed for Service {
    fn id(&self) -> &ObjectId {
        &self.id
    }
    fn labels(&self) -> Option<&Labels> {
        None
    }
    /// Whether users hurt is what its budgets say; without any, of what there are no figures is unknown.
    fn health(&self, c: Context<'_>) -> Health {
        c.store.budgets_health(&self.id).unwrap_or_else(|| self.health())
    }
}

/// Brings the list on top up to date before a key acts on it, and remembers if that put another row under the cursor than the
/// one that was there. Not if that is what the user did, by a filter or another order: who types ahead of what is drawn, on a slow
/// line, means what comes of it.
pub fn before_a_key(app: &mut App, c: Context<'_>) {
    let Some(table) = app.table_mut() else { return };
    let is_as_set = table.stamp.is_some_and(|s| s.settings == table.settings);
    let seen = table.under_cursor().cloned();
    arrange(table, c);
    if is_as_set && seen.is_some() && table.under_cursor() != seen.as_ref() {
        app.slipped.get_or_insert(Slipped { seen });
    }
}

/// Brings a list's order up to date; does nothing when nothing it depends on
/// has changed.
pub fn arrange(table: &mut TableState, c: Context<'_>) {
    // How a thing is depends on for how long it has been so.
    let timed = matches!(table.sort.column, "age" | "status")
        || table.problems_only
        // What is left of a notice's time, and what a pool lived.
        || matches!(table.kind, ViewKind::Spot | ViewKind::Pools)
        || (table.kind == ViewKind::Overview && store_is_rushed(c))
        || table.filter.terms.iter().any(|t| matches!(t, Term::Column { .. }));
    let stamp = Stamp {
        revision: revision(table.kind, c.store),
        settings: table.settings,
        // Ages grow alike, so their order only changes through filters; events
        // and comparisons are looked at again every second.
        second: if timed { c.now.timestamp() } else { 0 },
    };
    if table.stamp == Some(stamp) {
        return;
    }
    let same_rows = table.stamp.is_some_and(|s| s.settings == stamp.settings);
    // A key is not kept waiting for the order: rows are not yet where they belong, but none stands for another. And the row
    // under the cursor must be there still: keys act on it.
    let here = table.id_at(c.store, table.cursor_at);
    let is_there = here.is_some() && here == table.cursor.as_ref();
    let kept_from = table.arranged.filter(|_| same_rows && is_large(table.kind));
    if let Some(at) = kept_from
        && (is_there || table.is_gone(c.store))
        && c.store.patience.will_do(at, c.now)
        && (is_there || table.leave_out_gone(c.store))
    {
        return;
    }
    // Nor while it is worked out.
    let stop = || is_there && kept_from.is_some_and(|at| c.store.patience.is_interrupted(at, c.now));
    if stop() {
        return;
    }
    let (order, names, ranks) =
        (std::mem::take(&mut table.order), std::mem::take(&mut table.names), std::mem::take(&mut table.ranks));
    let (previous, shown) = match (same_rows, names.is_empty()) {
        (false, _) => (Previous::default(), None),
        (true, false) => (Previous { order: names, ranks }, Some(order)),
        (true, true) => (Previous { order, ranks }, None),
    };
    let (chosen, made_of) = c.store.patience.oldest_in(|| choose(table, c, previous, &stop));
    if !chosen {
        // Shown as it was; a list by name without what is gone.
        if let Some(shown) = shown {
            table.names = std::mem::replace(&mut table.order, shown);
        }
        table.settle_cursor(c.store);
        return;
    }
    let store = c.store;
    table.ordered_at = match table.kind {
        ViewKind::Nodes | ViewKind::Map => store.nodes.revision(),
        ViewKind::Tasks => store.tasks.revision(),
        ViewKind::Workloads => store.workloads.revision(),
        ViewKind::Events => store.events.revision(),
        ViewKind::Budgets => store.budgets.revision(),
        _ => 0,
    };
    // What was made of something old is as old, and made again.
    table.arranged = Some(made_of.unwrap_or(c.now));
    // Another order: its slots may be other rows.
    table.shown.made = None;
    table.stamp = Some(if made_of.is_some() { Stamp { second: i64::MIN, ..stamp } } else { stamp });
    table.settle_cursor(store);
}

/// Fills `table.order` with what is shown, from the order so far; false if it was told to stop (see [`Chosen::fill`]).
fn choose(table: &mut TableState, c: Context<'_>, previous: Previous, stop: Stop<'_>) -> bool {
    let store = c.store;
    match table.kind {
        ViewKind::Overview => {
            table.problems = problems(store, c.now);
            let rows = Rows::of(&table.problems);
            let chosen = select(table, OVERVIEW, rows, Some(&|p| in_scope(&p.id, &table.scope)), (c, &never));
            chosen.fill(table)
        }
        ViewKind::Alarms => {
            alarms::arrange(table, c);
            true
        }
        ViewKind::Nodes | ViewKind::Map => {
            let rows = Rows::in_order(&store.nodes, previous, table.ordered_at);
            let chosen = select(table, NODES, rows, Some(&|n| node_in_scope(n, &table.scope)), (c, stop));
            chosen.fill(table)
        }
        ViewKind::Tasks => {
            let rows = Rows::in_order(&store.tasks, previous, table.ordered_at);
            let keep = |t: &Task| match &table.scope {
                Scope::Node(node) => t.node == node.name && t.id.cluster == node.cluster,
                Scope::Workload(w) => store.belongs(t, w),
                scope => in_scope(&t.id, scope),
            };
            let keep: Keep<'_, Task> = if table.scope == Scope::All { None } else { Some(&keep) };
            let chosen = select(table, TASKS, rows, keep, (c, stop));
            chosen.fill(table)
        }
        ViewKind::Workloads => {
            let rows = Rows::in_order(&store.workloads, previous, table.ordered_at);
            // What another workload owns is a part of it, not a workload of its own.
            let keep = |w: &Workload| !w.owner_kind.is_workload() && in_scope(&w.id, &table.scope);
            let chosen = select(table, WORKLOADS, rows, Some(&keep), (c, stop));
            chosen.fill(table)
        }
        ViewKind::Events => {
            let rows = Rows::in_order(&store.events, previous, table.ordered_at);
            let keep = |e: &Event| match &table.scope {
                Scope::About(id) => e.about == *id || concerns(store, e, id),
                scope => in_scope(&e.id, scope),
            };
            let chosen = select(table, EVENTS, rows, Some(&keep), (c, &never));
            chosen.fill(table)
        }
        ViewKind::Budgets => {
            let rows = Rows::in_order(&store.budgets, previous, table.ordered_at);
            let chosen = select(table, BUDGETS, rows, Some(&|b| in_scope(&b.id, &table.scope)), (c, &never));
            chosen.fill(table)
        }
        ViewKind::Spot => {
            notices::arrange(table, c);
            true
        }
        ViewKind::Pools => {
            notices::pools(table, c);
            true
        }
        ViewKind::Services => {
            table.services = store.all_services();
            let rows = Rows::of(&table.services);
            let chosen = select(table, SERVICES, rows, Some(&|s| in_scope(&s.id, &table.scope)), (c, &never));
            chosen.fill(table)
        }
    }
}

/// True while the lines of what is wrong count down.
fn store_is_rushed(c: Context<'_>) -> bool {
    c.store.board(c.now).rush.all() > 0
}

/// What a view's order depends on.
fn revision(kind: ViewKind, store: &Store) -> u64 {
    match kind {
        ViewKind::Overview | ViewKind::Services | ViewKind::Spot => store.revision(),
        ViewKind::Pools => store.nodes.revision(),
        ViewKind::Budgets => store.budgets.revision(),
        ViewKind::Nodes | ViewKind::Map => store.nodes.revision() + store.usage.revision() + store.tasks.revision(),
        ViewKind::Tasks => store.tasks.revision() + store.usage.revision(),
        ViewKind::Workloads => store.workloads.revision() + store.autoscalers.revision() + store.usage.revision(),
        ViewKind::Events => store.events.revision(),
        // What a task belongs to decides where its alarm is.
        ViewKind::Alarms => store.alarms.revision() + store.workloads.revision(),
    }
}

fn in_scope(id: &ObjectId, scope: &Scope) -> bool {
    match scope {
        Scope::Cluster(c) => id.cluster == *c,
        Scope::All | Scope::Node(_) | Scope::Zone(_) | Scope::Workload(_) | Scope::About(_) => true,
    }
}

fn node_in_scope(node: &Node, scope: &Scope) -> bool {
    match scope {
        Scope::Zone(zone) => node.zone == zone.name && node.id.cluster == zone.cluster,
        scope => in_scope(&node.id, scope),
    }
}

/// A workload's events include those of its tasks.
fn concerns(store: &Store, event: &Event, id: &ObjectId) -> bool {
    id.kind.is_workload() && store.tasks.get(&event.about).is_some_and(|t| store.belongs(t, id))
}

/// What a list keeps; `None` for everything.
type Keep<'a, T> = Option<&'a dyn Fn(&T) -> bool>;

/// What is shown, in its order.
struct Chosen {
    total: usize,
    /// What the next order is made of, where that is not this one; without one, all there is.
    order: Result<(Vec<Slot>, Previous), Previous>,
}

impl Chosen {
    /// False if it was told to stop: what the next order is made of is in the place of the order then.
    fn fill(self, table: &mut TableState) -> bool {
        match self.order {
            Ok((order, next)) => {
                table.total = self.total;
                (table.order, table.names, table.ranks) = (order, next.order, next.ranks);
                true
            }
            Err(next) => {
                (table.order, table.names, table.ranks) = (next.order, Vec::new(), next.ranks);
                false
            }
        }
    }
}

/// Says whether to stop.
type Stop<'a> = &'a dyn Fn() -> bool;

/// Short lists are made to their end.
fn never() -> bool {
    false
}

/// Filters and sorts.
fn select<T: Listed>(
    table: &TableState,
    columns: &[Column<T>],
    mut rows: Rows<'_, T>,
    keep: Keep<'_, T>,
    (c, stop): (Context<'_>, Stop<'_>),
) -> Chosen {
    if let Some(keep) = keep {
        rows.retain(keep);
    }
    let total = rows.len();
    if table.problems_only {
        // A workload whose row is fine may have tasks that are not.
        let wrong: HashSet<ObjectId> = wrong(c.store, c.now).iter().map(|p| p.id.clone()).collect();
        rows.retain(|r| r.health(c).is_problem() || wrong.contains(r.id()));
    }
    if !table.filter.is_empty() {
        rows.retain(|r| matches(&table.filter, columns, r, c));
    }
    let descending = table.sort.descending;
    let order = match columns.iter().find(|col| col.key == table.sort.column) {
        // Some lists have an order of their own that weighs more than the figure: it decides between equals, too.
        Some(col) if is_own_order(table.kind, col.key, descending) => rows.into_slots(),
        Some(col) if col.key == "status" && is_large(table.kind) => {
            let board = c.store.board(c.now);
            let looks = if table.kind == ViewKind::Tasks { c.store.looks(c.now) } else { Arc::from([]) };
            let rush = Rush::of(&board, looks);
            let well = well(table, c.store, &board);
            let order = rows.by_health(descending, well, |slot, row| rank(row.urgency(slot, c, &rush)), stop);
            return Chosen { total, order };
        }
        Some(col) if col.key == "name" => {
            let order = rows.by_name(descending, stop).map(|order| (order, Previous::default()));
            return Chosen { total, order };
        }
        Some(col) => {
            // Of two budgets that are as bad the one that is gone first comes first.
            let tie = if table.kind == ViewKind::Budgets { columns.iter().find(|col| col.key == "gone") } else { None };
            sorted(&rows, (col, tie), descending, c)
        }
        None => rows.into_slots(),
    };
    Chosen { total, order: Ok((order, Previous::default())) }
}

/// Says which rows are well as they were when their list was ordered: most of tens of thousands, and none of them has to be
/// looked at. Only tasks are so many.
fn well<'a>(table: &TableState, store: &'a Store, board: &Board) -> impl Fn(Slot, u8) -> bool + use<'a> {
    let tasks = table.kind == ViewKind::Tasks;
    let mut going = FixedBitSet::with_capacity(store.tasks.slots());
    for row in board.urgent().filter(|_| tasks) {
        let on = row.node.iter().flat_map(|node| store.slots_on(node)).copied();
        going.extend(on.chain(row.task.iter().filter_map(|task| store.tasks.slot(task))).map(|slot| slot as usize));
    }
    let (worst, ordered_at) = (rank(Health::Ok), table.ordered_at);
    move |slot, rank| {
        tasks
            && rank <= worst
            && store.stays_well(slot)
            && store.tasks.is_as_of(slot, ordered_at)
            && !going.contains(slot as usize)
    }
}

/// Where a health stands in a list, the worst highest. What is finished needs nobody: it stands below
/// what runs.
fn rank(health: Health) -> u8 {
    match health {
        Health::Done => 0,
        Health::Ok => 1,
        worse => worse as u8,
    }
}

/// Lists that may have tens of thousands of rows.
fn is_large(kind: ViewKind) -> bool {
    matches!(kind, ViewKind::Nodes | ViewKind::Map | ViewKind::Tasks | ViewKind::Workloads)
}

/// Whether rows come in the order that sorting by this column means.
fn is_own_order(kind: ViewKind, column: &str, descending: bool) -> bool {
    match kind {
        ViewKind::Overview => column == "health" && descending,
        // What is over comes last, the latest first.
        ViewKind::Spot => column == "left" && !descending,
        // Those that are taken back, then those that were, the most often first.
        ViewKind::Pools => column == "open" && descending,
        _ => false,
    }
}

/// By a column, then by another in its own direction where there is one, then by name.
fn sorted<T: Listed>(
    rows: &Rows<'_, T>,
    (column, tie): (&Column<T>, Option<&Column<T>>),
    descending: bool,
    c: Context<'_>,
) -> Vec<Slot> {
    let by_health = column.key == "status";
    let mut keyed: Vec<([Value; 2], Slot, &T)> = rows
        .rows()
        .map(|(slot, row)| {
            let key = if by_health { Value::Number(f64::from(rank(row.health(c)))) } else { (column.value)(c, row) };
            let second = tie.map_or(Value::Missing, |tie| (tie.value)(c, row));
            ([key, second], slot, row)
        })
        .collect();
    let tie_descending = tie.is_some_and(|tie| tie.descending);
    keyed.sort_by(|([a, a2], _, x), ([b, b2], _, y)| {
        compare(a, b, descending).then_with(|| compare(a2, b2, tie_descending)).then_with(|| {
            let (x, y) = (x.id(), y.id());
            (&x.name, &x.namespace, &x.cluster).cmp(&(&y.name, &y.namespace, &y.cluster))
        })
    });
    keyed.into_iter().map(|(_, s, _)| s).collect()
}

/// What is missing comes last, whatever the direction.
fn compare(a: &Value, b: &Value, descending: bool) -> Ordering {
    match (a, b) {
        (Value::Missing, Value::Missing) => Ordering::Equal,
        (Value::Missing, _) => Ordering::Greater,
        (_, Value::Missing) => Ordering::Less,
        (a, b) => {
            let order = a.partial_cmp(b).unwrap_or(Ordering::Equal);
            if descending { order.reverse() } else { order }
        }
    }
}

fn matches<T: Listed>(filter: &Filter, columns: &[Column<T>], row: &T, c: Context<'_>) -> bool {
    filter.terms.iter().all(|term| match term {
        Term::Text { text, negated } => {
            let found = columns.iter().filter(|col| col.unit == Unit::Text).any(|col| {
                let cell = (col.cell)(c, row).text;
                contains(&cell, text) || matches!((col.value)(c, row), Value::Text(v) if contains(&v, text))
            });
            found != *negated
        }
        Term::Label { key, test } => {
            let found = row.labels().and_then(|l| l.iter().find(|(k, _)| k == key.as_str())).map(|(_, v)| v);
            test.holds(found.map(Text::as_str))
        }
        Term::Column { column, op, operand } => {
            columns.iter().find(|col| col.key == column).is_some_and(|col| holds(col, row, *op, operand, c))
        }
    })
}

fn contains(haystack: &str, needle: &str) -> bool {
    if haystack.is_ascii() && needle.is_ascii() {
        let (h, n) = (haystack.as_bytes(), needle.as_bytes());
        return n.is_empty() || h.windows(n.len()).any(|w| w.eq_ignore_ascii_case(n));
    }
    haystack.to_lowercase().contains(needle)
}

fn holds<T>(column: &Column<T>, row: &T, op: Op, operand: &Operand, c: Context<'_>) -> bool {
    if let (Some(wanted), Some(percent)) = (operand.percent, column.percent) {
        return percent(c, row).is_some_and(|p| op.holds(&p, &wanted));
    }
    let wanted = match column.unit {
        Unit::Text => None,
        Unit::Count => operand.number,
        Unit::Percent => operand.percent.or(operand.number),
        Unit::Cpu => operand.millicores,
        Unit::Memory => operand.bytes,
        Unit::Secs => operand.secs,
    };
    if let (Some(wanted), Value::Number(n)) = (wanted, (column.value)(c, row)) {
        return op.holds(&n, &wanted);
    }
    // What it says, or its word without a sign before it: `health=page`.
    let is = || {
        let said = || matches!((column.value)(c, row), Value::Text(v) if glob(&operand.raw, &v));
        glob(&operand.raw, &(column.cell)(c, row).text) || said()
    };
    match op {
        Op::Eq => is(),
        Op::Ne => !is(),
        // Order between things that have none holds for no row.
        Op::Gt | Op::Ge | Op::Lt | Op::Le => false,
    }
}
