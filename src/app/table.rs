//! The state of one list of rows: what it is about, its filter, sort order,
//! cursor and marks.

use std::collections::HashSet;

use super::filter::Filter;
use super::shown::TableModel;
use crate::domain::{ClusterId, Kind, ObjectId, Service, Text, Timestamp};
use crate::key::Context;
use crate::store::alarm_groups::AlarmLine;
use crate::store::notices::{NoticeRow, PoolRow};
use crate::store::{Slot, Store, problems::Problem};

/// The views that are lists of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ViewKind {
    /// What is wrong, worst first.
    Overview,
    /// Nodes.
    Nodes,
    /// Tasks.
    Tasks,
    /// Workloads.
    Workloads,
    /// Events.
    Events,
    /// Nodes with their tasks as cells.
    Map,
    /// Alarms.
    Alarms,
    /// Error budgets, the worst first, and of those the first to be gone.
    Budgets,
    /// Services with their golden signals.
    Services,
    /// What is going to go, the one with the least time first.
    Spot,
    /// Instance type by zone.
    Pools,
}

impl ViewKind {
    /// Every view, in the order of their digits.
    pub const ALL: [Self; 11] = [
        Self::Overview,
        Self::Nodes,
        Self::Tasks,
        Self::Workloads,
        Self::Events,
        Self::Map,
        Self::Alarms,
        Self::Budgets,
        Self::Services,
        Self::Spot,
        Self::Pools,
    ];

    /// Its name on the command line and on screen.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Nodes => "nodes",
            Self::Tasks => "tasks",
            Self::Workloads => "workloads",
            Self::Events => "events",
            Self::Map => "map",
            Self::Alarms => "alarms",
            Self::Budgets => "budgets",
            Self::Services => "services",
            Self::Spot => "spot",
            Self::Pools => "pools",
        }
    }

    /// The view called `name`, also by the names people bring along.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "overview" | "pulse" | "home" => Self::Overview,
            "nodes" | "node" | "no" | "instances" => Self::Nodes,
            "tasks" | "task" | "pods" | "pod" | "po" => Self::Tasks,
            "workloads" | "workload" | "deployments" | "deploy" | "dp" | "sts" | "ds" | "jobs" => Self::Workloads,
            "events" | "event" | "ev" => Self::Events,
            "map" => Self::Map,
            "alarms" | "alarm" | "alerts" | "alert" => Self::Alarms,
            "budgets" | "budget" | "slo" | "slos" => Self::Budgets,
            "services" | "service" | "svc" | "golden" | "red" => Self::Services,
            "spot" | "notices" | "notice" | "interruptions" => Self::Spot,
            "pools" | "pool" => Self::Pools,
            _ => return None,
        })
    }
}

/// What a list is limited to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    #[default]
    All,
    /// One cluster.
    Cluster(ClusterId),
    /// What runs on a node.
    Node(ObjectId),
    /// Nodes of an availability zone.
    Zone(ObjectId),
    /// What belongs to a workload.
    Workload(ObjectId),
    /// What is about an object (events).
    About(ObjectId),
}

impl Scope {
    /// For the breadcrumb, empty for everything.
    #[must_use]
    pub fn title(&self) -> String {
        match self {
            Self::All => String::new(),
            Self::Cluster(c) => c.to_string(),
            Self::Node(id) => format!("node {}", id.name),
            Self::Zone(id) | Self::Workload(id) | Self::About(id) => format!("{} {}", id.kind.short(), id.name),
        }
    }
}

/// Sort column and direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// The column's key.
    pub column: &'static str,
    /// Largest or worst first.
    pub descending: bool,
}

/// What the current order was computed from; recomputed when it differs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Revision of the rows and what their columns show.
    pub revision: u64,
    /// Changes with filter, sort, scope or toggles.
    pub settings: u64,
    /// The second, for orders that depend on the time.
    pub second: i64,
}

/// One list.
#[derive(Debug)]
pub struct TableState {
    /// Which view.
    pub kind: ViewKind,
    /// What it is limited to.
    pub scope: Scope,
    /// The filter in force.
    pub filter: Filter,
    /// The sort order.
    pub sort: Sort,
    /// Only what is unhealthy.
    pub problems_only: bool,
    /// The row under the cursor, by identity, so that it stays when rows move.
    pub cursor: Option<ObjectId>,
    /// Its place in `order` when last seen: where the cursor goes when it is gone.
    pub cursor_at: usize,
    /// First visible row.
    pub offset: usize,
    /// Marked rows.
    pub marks: HashSet<ObjectId>,
    /// Where the last mark was set.
    pub last_mark: Option<ObjectId>,
    /// Slots of the rows that are shown, in order (indexes into `problems` in the overview,
    /// into `alarms`, `services`, `notices` and `pools` in their views).
    pub order: Vec<Slot>,
    /// The same rows by name, where `order` is by how they are; else empty.
    pub names: Vec<Slot>,
    /// What the row of each slot was ordered as, where `order` is by how they are.
    pub ranks: Vec<u8>,
    /// The revision of its rows' table when `order` was computed: a slot may have another row since.
    pub ordered_at: u64,
    /// The overview's rows.
    pub problems: Vec<Problem>,
    /// The alarms view's rows.
    pub alarms: Vec<AlarmLine>,
    /// Alarms of which what is behind them is shown.
    pub open: HashSet<ObjectId>,
    /// The rows of the services view.
    pub services: Vec<Service>,
    /// The rows of the list of notices.
    pub notices: Vec<NoticeRow>,
    /// What is remembered is among them.
    pub history: bool,
    /// The rows of the list of pools.
    pub pools: Vec<PoolRow>,
    /// How many rows there were before filtering.
    pub total: usize,
    /// When `order` was computed.
    pub arranged: Option<Timestamp>,
    /// What `order` was computed from.
    pub stamp: Option<Stamp>,
    /// Bumped when something `order` depends on changes here.
    pub settings: u64,
    /// Widths the columns have grown to, so that nothing jumps.
    pub widths: Vec<(&'static str, u16)>,
    /// How it was shown last.
    pub shown: TableModel,
    /// Horizontal scroll, in columns of the terminal.
    pub pan: u16,
    /// Rows that fit on the screen when last drawn.
    pub page: usize,
    /// Cells to a row when last drawn: more than one on the map, where left and
    /// right go by cells and up and down by rows of them.
    pub columns: usize,
}

impl TableState {
    /// A list of `kind` over `scope`.
    #[must_use]
    pub fn new(kind: ViewKind, scope: Scope, sort: Sort) -> Self {
        Self {
            kind,
            scope,
            filter: Filter::default(),
            sort,
            problems_only: false,
            cursor: None,
            cursor_at: 0,
            offset: 0,
            marks: HashSet::new(),
            last_mark: None,
            order: Vec::new(),
            names: Vec::new(),
            ranks: Vec::new(),
            ordered_at: 0,
            problems: Vec::new(),
            alarms: Vec::new(),
            open: HashSet::new(),
            services: Vec::new(),
            notices: Vec::new(),
            history: false,
            pools: Vec::new(),
            total: 0,
            arranged: None,
            stamp: None,
            settings: 0,
            widths: Vec::new(),
            shown: TableModel::default(),
            pan: 0,
            page: 10,
            columns: 1,
        }
    }

    /// The identity of the row at `index`.
    #[must_use]
    pub fn id_at<'a>(&'a self, store: &'a Store, index: usize) -> Option<&'a ObjectId> {
        let slot = *self.order.get(index)?;
        match self.kind {
            ViewKind::Overview => self.problems.get(slot as usize).map(|p| &p.id),
            ViewKind::Alarms => self.alarms.get(slot as usize).map(|a| &a.id),
            ViewKind::Nodes | ViewKind::Map => store.nodes.at_since(slot, self.ordered_at).map(|n| &n.id),
            ViewKind::Tasks => store.tasks.at_since(slot, self.ordered_at).map(|t| &t.id),
            ViewKind::Workloads => store.workloads.at_since(slot, self.ordered_at).map(|w| &w.id),
            ViewKind::Events => store.events.at_since(slot, self.ordered_at).map(|e| &e.id),
            ViewKind::Budgets => store.budgets.at_since(slot, self.ordered_at).map(|b| &b.id),
            ViewKind::Services => self.services.get(slot as usize).map(|s| &s.id),
            ViewKind::Spot => self.notices.get(slot as usize).map(|n| &n.id),
            ViewKind::Pools => self.pools.get(slot as usize).map(|p| &p.id),
        }
    }

    /// True if the row under the cursor is nowhere any more. Only of lists that may be long.
    #[must_use]
    pub fn is_gone(&self, store: &Store) -> bool {
        self.cursor.as_ref().is_some_and(|id| match self.kind {
            ViewKind::Nodes | ViewKind::Map => store.nodes.slot(id).is_none(),
            ViewKind::Tasks => store.tasks.slot(id).is_none(),
            ViewKind::Workloads => store.workloads.slot(id).is_none(),
            _ => false,
        })
    }

    /// Leaves out the rows that are gone, the one under the cursor among them: the cursor goes to the one that is in its place
    /// then. False if none is left.
    pub fn leave_out_gone(&mut self, store: &Store) -> bool {
        let (mut place, mut before, at) = (0, 0, self.cursor_at);
        let mut order = std::mem::take(&mut self.order);
        order.retain(|slot| {
            let is_there = self.is_there(store, *slot);
            before += usize::from(is_there && place < at);
            place += 1;
            is_there
        });
        self.order = order;
        self.go(store, before);
        !self.order.is_empty()
    }

    fn is_there(&self, store: &Store, slot: Slot) -> bool {
        let since = match self.kind {
            ViewKind::Nodes | ViewKind::Map => store.nodes.since(slot),
            ViewKind::Tasks => store.tasks.since(slot),
            ViewKind::Workloads => store.workloads.since(slot),
            _ => return true,
        };
        since.is_some_and(|since| since <= self.ordered_at)
    }

    /// What the row under the cursor is about: itself, or an event's object.
    #[must_use]
    pub fn selected(&self, store: &Store) -> Option<ObjectId> {
        let id = self.id_at(store, self.cursor_at)?;
        if self.kind == ViewKind::Events {
            return store.events.get(id).map(|e| e.about.clone());
        }
        Some(id.clone())
    }

    /// The row under the cursor; `None` where there is no row.
    #[must_use]
    pub fn under_cursor(&self) -> Option<&ObjectId> {
        self.cursor.as_ref().filter(|_| !self.order.is_empty())
    }

    /// Where keys are looked up: the selected row's kind, or any table.
    #[must_use]
    pub fn context(&self) -> Context {
        let kind = match self.kind {
            ViewKind::Overview | ViewKind::Events => self.cursor.as_ref().map(|c| c.kind),
            ViewKind::Nodes | ViewKind::Map => Some(Kind::Node),
            ViewKind::Tasks => Some(Kind::Task),
            ViewKind::Workloads => Some(Kind::Deployment),
            ViewKind::Alarms => Some(Kind::Alarm),
            ViewKind::Spot => Some(Kind::Notice),
            ViewKind::Budgets | ViewKind::Services | ViewKind::Pools => None,
        };
        match kind {
            Some(Kind::Node) => Context::Node,
            Some(Kind::Task) => Context::Task,
            Some(Kind::Alarm) => Context::Alarm,
            Some(Kind::Notice) => Context::Notice,
            Some(kind) if kind.is_workload() => Context::Workload,
            _ => Context::Table,
        }
    }

    /// Finds the cursor's row again after `order` changed; if it is gone, the
    /// row now in its place gets the cursor.
    pub fn settle_cursor(&mut self, store: &Store) {
        if self.order.is_empty() {
            self.cursor_at = 0;
            self.offset = 0;
            return;
        }
        let last = self.order.len() - 1;
        let here = self.id_at(store, self.cursor_at);
        if self.cursor.is_none() || here != self.cursor.as_ref() {
            let found =
                self.cursor.as_ref().and_then(|c| (0..self.order.len()).find(|i| self.id_at(store, *i) == Some(c)));
            // A cursor nobody has moved yet stays on the first row, so that the
            // worst is on top while rows arrive.
            let untouched = self.cursor_at == 0 && self.offset == 0;
            self.cursor_at = match found {
                Some(at) if !untouched => at,
                _ => self.cursor_at.min(last),
            };
        }
        self.cursor_at = self.cursor_at.min(last);
        self.cursor = self.id_at(store, self.cursor_at).cloned();
        self.keep_visible();
    }

    /// Moves the cursor by `delta` rows, each of [`TableState::columns`] cells.
    pub fn step(&mut self, store: &Store, delta: isize) {
        let delta = delta.saturating_mul(isize::try_from(self.columns.max(1)).unwrap_or(1));
        let last = self.order.len().saturating_sub(1);
        let to = self.cursor_at.checked_add_signed(delta);
        // At an edge the column is kept, except when going to the very end.
        let stays = self.columns > 1 && delta.unsigned_abs() == self.columns && to.is_none_or(|to| to > last);
        if !stays {
            self.go(store, self.cursor_at.saturating_add_signed(delta).min(last));
        }
    }

    /// Moves the cursor to the cell beside it.
    pub fn step_aside(&mut self, store: &Store, delta: isize) {
        self.go(store, self.cursor_at.saturating_add_signed(delta));
    }

    /// Moves the cursor to a row.
    pub fn go(&mut self, store: &Store, index: usize) {
        self.cursor_at = index.min(self.order.len().saturating_sub(1));
        self.cursor = self.id_at(store, self.cursor_at).cloned();
        self.keep_visible();
    }

    /// Moves the cursor to a row by identity, now or as soon as it appears.
    pub fn seek(&mut self, id: ObjectId) {
        self.cursor = Some(id);
        // Anything but the untouched start, so that settling looks for it.
        self.cursor_at = self.cursor_at.max(1);
    }

    /// Columns are as wide as what is in them again.
    pub fn forget_widths(&mut self) {
        self.widths.clear();
        self.shown.made = None;
    }

    /// Scrolls so that the cursor is visible.
    pub fn keep_visible(&mut self) {
        let page = self.page.max(1);
        if self.cursor_at < self.offset {
            self.offset = self.cursor_at;
        } else if self.cursor_at >= self.offset + page {
            self.offset = self.cursor_at + 1 - page;
        }
        self.offset = self.offset.min(self.order.len().saturating_sub(page));
    }

    /// Marks or unmarks the row under the cursor.
    pub fn toggle_mark(&mut self) {
        if let Some(id) = self.cursor.clone() {
            if !self.marks.remove(&id) {
                self.marks.insert(id.clone());
            }
            self.last_mark = Some(id);
        }
    }

    /// Marks every row between the last mark and the cursor.
    pub fn mark_range(&mut self, store: &Store) {
        let from = self
            .last_mark
            .as_ref()
            .and_then(|m| (0..self.order.len()).find(|i| self.id_at(store, *i) == Some(m)))
            .unwrap_or(self.cursor_at);
        let (low, high) = (from.min(self.cursor_at), from.max(self.cursor_at));
        let ids: Vec<_> = (low..=high).filter_map(|i| self.id_at(store, i).cloned()).collect();
        self.marks.extend(ids);
        self.last_mark.clone_from(&self.cursor);
    }

    /// Something the order depends on has changed.
    pub fn touch(&mut self) {
        self.settings += 1;
    }

    /// The breadcrumb: `tasks · deploy web`.
    #[must_use]
    pub fn title(&self) -> String {
        let scope = self.scope.title();
        if scope.is_empty() { self.kind.name().to_owned() } else { format!("{} of {scope}", self.kind.name()) }
    }
}

/// A message at the bottom of the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What.
    pub text: Text,
    /// Something went wrong.
    pub is_error: bool,
}
