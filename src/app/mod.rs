//! What the user is doing: a pure update, message in, effects out.
//!
//! Nothing here draws, waits or reads the clock. The run loop hands in keys and
//! answers, and carries out the effects.

pub mod actions;
mod alarms;
pub mod filter;
mod follow;
pub mod logs;
mod notices;
pub mod overlay;
pub mod runbooks;
pub mod shown;
pub mod table;
pub mod text;
mod typing;
mod update;
pub mod wall;

use std::collections::BTreeMap;

use chrono::TimeDelta;

use crate::action::{Assent, Intent, Plan};
use crate::domain::{ClusterId, Kind, ObjectId, Text, Thresholds, Timestamp};
use crate::key::{Context, Key};
use crate::keymap::Keymap;
use crate::store::Store;
use logs::{LogRequest, LogState, Range};
use overlay::{Overlay, Prompt};
use table::{Notice, Scope, Sort, TableState, ViewKind};
use text::{TextKind, TextState};

/// What is on the screen below the header.
#[derive(Debug)]
pub enum Page {
    /// A list of rows.
    Table(Box<TableState>),
    /// Describe or YAML.
    Text(Box<TextState>),
    /// Logs.
    Logs(Box<LogState>),
}

/// What the run loop is asked to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// End the console.
    Quit,
    /// Hand the terminal to the shell until it is given back.
    Suspend,
    /// Wake every source that waits.
    Refresh,
    /// Put text on the clipboard.
    Copy(String),
    /// Read an object for a text page.
    Fetch {
        /// The page that waits.
        page: u64,
        /// What.
        id: ObjectId,
        /// How it will be shown.
        kind: TextKind,
    },
    /// Read logs; replaces what the page read before.
    Logs(LogRequest),
    /// Read logs of sources that have appeared, beside what the page reads.
    MoreLogs {
        /// As it is now.
        request: LogRequest,
        /// The first source that is not read yet.
        from: u16,
    },
    /// One source of a page has no more to say.
    EndLog {
        /// The page.
        page: u64,
        /// Its number in the request.
        source: u16,
    },
    /// Nobody looks at this page's logs any more.
    StopLogs(u64),
    /// Write the screen to files.
    SaveScreen,
    /// Find out what would happen.
    Plan {
        /// The dialog that waits.
        ticket: u64,
        /// Of its questions the how manieth.
        round: u64,
        /// What is wanted.
        intent: Intent,
    },
    /// Do it: it has been confirmed.
    Act {
        /// Which action of this session.
        ticket: u64,
        /// What.
        plan: Box<Plan>,
        /// What the user said to it.
        assent: Assent,
    },
    /// End a running action early.
    CancelAct(u64),
    /// Fetch a runbook for a page.
    FetchRunbook {
        /// The page that waits.
        page: u64,
        /// Its link.
        url: String,
    },
    /// Write down what is ticked in runbooks.
    KeepProgress(String),
}

/// What the settings say that matters here.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The view that opens first.
    pub start: ViewKind,
    /// Wide columns from the start.
    pub wide: bool,
    /// No mutation is possible.
    pub read_only: bool,
    /// How many bytes of log lines are kept.
    pub log_bytes: usize,
    /// How many last lines are read first.
    pub log_tail: u32,
    /// From how many seconds ago logs are read first; `None`: by lines.
    pub log_since: Option<u32>,
    /// Wrap log lines.
    pub log_wrap: bool,
    /// Show log times.
    pub log_timestamps: bool,
    /// From when on use is a warning, or critical.
    pub thresholds: Thresholds,
    /// Where the console's log is written, if it is.
    pub log_file: Option<String>,
    /// The keys of the columns a view has, for filters and sorting.
    pub columns: fn(ViewKind) -> &'static [ColumnInfo],
}

/// What the app knows of a column.
#[derive(Debug, Clone, Copy)]
pub struct ColumnInfo {
    /// Its key in filters.
    pub key: &'static str,
    /// Sorted largest or worst first at first.
    pub descending: bool,
    /// Shown only when wide columns are asked for.
    pub wide: bool,
}

/// The user's side of the console.
#[derive(Debug)]
pub struct App {
    /// Settings.
    pub settings: Settings,
    /// Keys.
    pub keymap: Keymap,
    /// The page on top and those beneath it; never empty.
    pub stack: Vec<Page>,
    /// Root lists that are not on the stack now, with their position.
    roots: BTreeMap<ViewKind, Box<TableState>>,
    /// Root views visited before.
    past: Vec<ViewKind>,
    /// Root views come back from.
    future: Vec<ViewKind>,
    /// What lies over everything.
    pub overlay: Option<Overlay>,
    /// Actions of this session, the oldest first.
    pub runs: Vec<actions::Run>,
    /// Runbooks.
    pub runbooks: runbooks::Runbooks,
    /// What is being typed at the bottom.
    pub prompt: Option<Prompt>,
    /// Keys of an unfinished sequence.
    pub pending: Vec<Key>,
    /// The message at the bottom.
    pub notice: Option<(Timestamp, Notice)>,
    /// Wide columns.
    pub wide: bool,
    /// The details pane beside tables.
    pub details: bool,
    /// The details pane has the focus: movement scrolls it.
    pub details_focus: bool,
    /// First visible line of the details pane.
    pub details_scroll: usize,
    /// One header line instead of several.
    pub compact: bool,
    /// Times as clock times.
    pub absolute: bool,
    /// The size of the screen.
    pub size: (u16, u16),
    /// Since the last frame another row came under the cursor.
    pub slipped: Option<actions::Slipped>,
    /// Since when alarms are on screen.
    looking: Option<Timestamp>,
    next_page: u64,
}

/// How long a notice stays, in seconds.
const NOTICE_SECS: i64 = 6;

impl App {
    /// The console as it starts.
    #[must_use]
    pub fn new(settings: Settings, keymap: Keymap) -> Self {
        let first = Box::new(root(settings.start));
        let mut app = Self {
            wide: settings.wide,
            settings,
            keymap,
            stack: vec![Page::Table(first)],
            roots: BTreeMap::new(),
            past: Vec::new(),
            future: Vec::new(),
            overlay: None,
            runs: Vec::new(),
            runbooks: runbooks::Runbooks::default(),
            prompt: None,
            pending: Vec::new(),
            notice: None,
            details: false,
            details_focus: false,
            details_scroll: 0,
            compact: false,
            absolute: false,
            size: (80, 24),
            slipped: None,
            looking: None,
            next_page: 1,
        };
        app.set_runbooks(crate::runbook::Library::shipped());
        app
    }

    /// The page on top.
    #[must_use]
    pub fn page(&self) -> Option<&Page> {
        self.stack.last()
    }

    /// The cluster of what the page on top is about, if that is one object.
    #[must_use]
    pub fn page_cluster(&self) -> Option<&ClusterId> {
        match self.page()? {
            Page::Text(text) => Some(&text.id.cluster),
            Page::Logs(logs) => Some(&logs.id.cluster),
            Page::Table(_) => None,
        }
    }

    /// The list on top, if the page is one.
    #[must_use]
    pub fn table(&self) -> Option<&TableState> {
        match self.stack.last() {
            Some(Page::Table(t)) => Some(t),
            _ => None,
        }
    }

    /// The ECS services on screen, and the alarm whose details are, in a fixed order: what is asked of CloudWatch.
    #[must_use]
    pub fn shown(&self, store: &Store) -> Vec<ObjectId> {
        let Some(table) = self.table() else { return self.detailed_alarm(store).into_iter().collect() };
        let page = table.order.iter().skip(table.offset).take(table.page.max(1));
        let service = |id: &ObjectId| id.kind == Kind::EcsService;
        let mut ids: Vec<ObjectId> = match table.kind {
            ViewKind::Workloads => {
                page.filter_map(|s| store.workloads.at(*s)).map(|w| w.id.clone()).filter(service).collect()
            }
            ViewKind::Overview => {
                page.filter_map(|s| table.problems.get(*s as usize)).map(|p| p.id.clone()).filter(service).collect()
            }
            // The tasks that ECS runs, and the selected one's own service for its details.
            ViewKind::Tasks => {
                let service_of_selected =
                    table.selected(store).and_then(|id| store.tasks.get(&id).and_then(|t| store.workload_id_of(t)));
                let tasks = page.filter_map(|s| store.tasks.at(*s)).filter(|t| t.ecs.is_some() && t.is_active());
                tasks.map(|t| t.id.clone()).chain(service_of_selected.into_iter().filter(service)).collect()
            }
            // Those behind a load balancer: its figures are the row.
            ViewKind::Services => page
                .filter_map(|s| table.services.get(*s as usize))
                .flat_map(|s| s.workloads.iter().cloned())
                .filter(service)
                .collect(),
            ViewKind::Nodes
            | ViewKind::Map
            | ViewKind::Events
            | ViewKind::Alarms
            | ViewKind::Budgets
            | ViewKind::Spot
            | ViewKind::Pools => Vec::new(),
        };
        ids.extend(self.detailed_alarm(store));
        ids.sort();
        ids.dedup();
        ids
    }

    /// The list on top, if the page is one.
    pub fn table_mut(&mut self) -> Option<&mut TableState> {
        match self.stack.last_mut() {
            Some(Page::Table(t)) => Some(t),
            _ => None,
        }
    }

    /// The log page with this number, wherever it is on the stack.
    pub fn log_page(&mut self, page: u64) -> Option<&mut LogState> {
        self.stack.iter_mut().find_map(|p| match p {
            Page::Logs(l) if l.page == page => Some(l.as_mut()),
            _ => None,
        })
    }

    /// The text page with this number, wherever it is on the stack.
    pub fn text_page(&mut self, page: u64) -> Option<&mut TextState> {
        self.stack.iter_mut().find_map(|p| match p {
            Page::Text(t) if t.page == page => Some(t.as_mut()),
            _ => None,
        })
    }

    /// Where keys are looked up now.
    #[must_use]
    pub fn context(&self) -> Context {
        match (&self.overlay, self.stack.last()) {
            (Some(Overlay::Run { .. } | Overlay::Runs { .. }), _) => Context::Action,
            (None, Some(Page::Text(t))) if t.runbook.is_some() => Context::Runbook,
            (Some(_), _) | (None, Some(Page::Text(_))) => Context::Text,
            (None, Some(Page::Logs(_))) => Context::Logs,
            (None, Some(Page::Table(t))) => t.context(),
            (None, None) => Context::Global,
        }
    }

    /// The breadcrumb, from the root view to the page on top.
    #[must_use]
    /// `name` is what people call a notice.
    pub fn breadcrumb(&self, name: impl Fn(&ObjectId) -> String) -> Vec<String> {
        self.stack
            .iter()
            .map(|p| match p {
                Page::Table(t) => t.title(),
                Page::Text(t) => {
                    let what = match (t.id.kind, t.kind) {
                        (Kind::Alarm, _) => "alarm",
                        (Kind::Notice, _) => "notice",
                        (Kind::Pool, _) => "pool",
                        (_, TextKind::Describe) => "describe",
                        (_, TextKind::Yaml) => "yaml",
                        (_, TextKind::Runbook) => "runbook",
                    };
                    match t.id.kind {
                        Kind::Notice => format!("{what} {}", name(&t.id)),
                        _ => format!("{what} {}", t.id.name),
                    }
                }
                Page::Logs(l) => {
                    let what = if l.request.previous { "previous logs" } else { "logs" };
                    format!("{what} {}", l.id.name)
                }
            })
            .collect()
    }

    /// True if nothing may be changed in this cluster: it, or everything, is read-only.
    #[must_use]
    pub fn is_read_only(&self, store: &Store, cluster: &ClusterId) -> bool {
        self.settings.read_only || store.cluster(cluster).is_some_and(|c| c.read_only)
    }

    /// Says something at the bottom of the screen.
    pub fn say(&mut self, now: Timestamp, text: &str) {
        self.notice = Some((now, Notice { text: Text::new(text), is_error: false }));
    }

    /// Says what went wrong at the bottom of the screen.
    pub fn complain(&mut self, now: Timestamp, text: &str) {
        self.notice = Some((now, Notice { text: Text::new(text), is_error: true }));
    }

    /// Takes away what has been said for long enough; true if something changed.
    pub fn tick(&mut self, now: Timestamp) -> bool {
        if self.notice.as_ref().is_some_and(|(at, _)| now - *at > TimeDelta::seconds(NOTICE_SECS)) {
            self.notice = None;
            return true;
        }
        false
    }

    /// Opens a root view, as its digit does.
    pub fn show(&mut self, kind: ViewKind) {
        if let (1, Some(Page::Table(t))) = (self.stack.len(), self.stack.first())
            && t.kind == kind
            && t.scope == Scope::All
        {
            return;
        }
        if let Some(Page::Table(t)) = self.stack.first() {
            self.past.push(t.kind);
            self.past.drain(..self.past.len().saturating_sub(50));
        }
        self.future.clear();
        self.switch(kind);
    }

    fn switch(&mut self, kind: ViewKind) {
        self.details_focus = false;
        self.details_scroll = 0;
        let old = std::mem::take(&mut self.stack);
        if let Some(Page::Table(t)) = old.into_iter().next() {
            self.roots.insert(t.kind, t);
        }
        let table = self.roots.remove(&kind).unwrap_or_else(|| Box::new(root(kind)));
        self.stack.push(Page::Table(table));
    }

    /// Opens a list on top of the others.
    pub fn open_table(&mut self, kind: ViewKind, scope: Scope, seek: Option<ObjectId>) {
        let mut table = TableState::new(kind, scope, default_sort(kind));
        if let Some(id) = seek {
            table.seek(id);
        }
        self.details_scroll = 0;
        self.stack.push(Page::Table(Box::new(table)));
    }

    fn open_text(&mut self, id: ObjectId, kind: TextKind) -> Vec<Effect> {
        let page = self.number();
        if text::is_known(&id) {
            self.stack.push(Page::Text(Box::new(TextState::new(page, id, kind))));
            return Vec::new();
        }
        self.stack.push(Page::Text(Box::new(TextState::new(page, id.clone(), kind))));
        vec![Effect::Fetch { page, id, kind }]
    }

    fn number(&mut self) -> u64 {
        self.next_page += 1;
        self.next_page
    }

    /// Opens the logs of a task, or of all tasks of a workload.
    fn open_logs(&mut self, id: ObjectId, store: &Store, now: Timestamp, previous: bool) -> Vec<Effect> {
        let (sources, skipped) = follow::capped(follow::sources(&id, store));
        if sources.is_empty() {
            self.complain(now, &format!("{} has no tasks with containers", id.name));
            return Vec::new();
        }
        let page = self.number();
        let range = self.settings.log_since.map_or(Range::Tail(self.settings.log_tail), Range::Since);
        let request = LogRequest { page, round: 1, sources, range, previous };
        let ended = vec![None; request.sources.len()];
        let mut state = LogState {
            page,
            id,
            request: request.clone(),
            skipped_sources: skipped,
            buffer: logs::LogBuffer::new(self.settings.log_bytes),
            answered: false,
            ended,
            follow: !previous,
            anchor: None,
            from_head: false,
            wrap: self.settings.log_wrap,
            timestamps: self.settings.log_timestamps,
            full_screen: false,
            filter_raw: String::new(),
            all_lines: false,
            found: None,
            gone: BTreeMap::new(),
            opened: now,
            pan: 0,
            height: 20,
        };
        state.say_what_is_left_out();
        self.stack.push(Page::Logs(Box::new(state)));
        vec![Effect::Logs(request)]
    }
}

fn root(kind: ViewKind) -> TableState {
    TableState::new(kind, Scope::All, default_sort(kind))
}

/// How each view is sorted at first: what is unhealthy first, everywhere; events by time.
#[must_use]
pub fn default_sort(kind: ViewKind) -> Sort {
    match kind {
        ViewKind::Overview | ViewKind::Alarms => Sort { column: "health", descending: true },
        ViewKind::Events => Sort { column: "age", descending: false },
        ViewKind::Spot => Sort { column: "left", descending: false },
        ViewKind::Pools => Sort { column: "open", descending: true },
        ViewKind::Nodes
        | ViewKind::Tasks
        | ViewKind::Workloads
        | ViewKind::Map
        | ViewKind::Budgets
        | ViewKind::Services => Sort { column: "status", descending: true },
    }
}
