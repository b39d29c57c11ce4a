//! Keys in, effects out.

use super::logs::Range;
use super::overlay::{Overlay, Palette};
use super::table::{Scope, Sort, TableState, ViewKind};
use super::text::{Content, TextKind};
use super::{App, Effect, Page, filter::Filter};
use crate::command::Command;
use crate::domain::{Kind, Line, ObjectId, Text, Timestamp};
use crate::key::{Context, Key, KeyCode};
use crate::keymap::Resolution;
use crate::store::Store;

impl App {
    /// One key press.
    pub fn press(&mut self, key: Key, store: &Store, now: Timestamp) -> Vec<Effect> {
        // What was said has been read by who presses the next key.
        self.notice = None;
        if self.prompt.is_some() {
            self.prompt_key(key);
            return Vec::new();
        }
        match &self.overlay {
            Some(Overlay::Palette(_)) => return self.palette_key(key, store, now),
            Some(Overlay::Action(_)) => return self.dialog_key(key, now),
            _ => {}
        }
        self.pending.push(key);
        match self.keymap.resolve(self.context(), &self.pending) {
            Resolution::Command(command) => {
                self.pending.clear();
                self.run(command, store, now)
            }
            Resolution::Extra(number) => {
                self.pending.clear();
                self.run_extra(number, store, now)
            }
            Resolution::Prefix => Vec::new(),
            Resolution::None => {
                if key.code != KeyCode::Esc {
                    let keys = crate::key::format_sequence(&self.pending);
                    self.complain(now, &format!("nothing is bound to {keys} here; ? shows every key"));
                }
                self.pending.clear();
                Vec::new()
            }
        }
    }

    /// The text a page waited for, or why it cannot be had.
    pub fn fetched(&mut self, page: u64, result: Result<Vec<Line>, Text>) {
        if let Some(t) = self.text_page(page) {
            t.content = match result {
                Ok(lines) => Content::Lines(lines),
                Err(why) => Content::Failed(why),
            };
            t.scroll_by(0);
        }
    }

    /// A command, from a key, the palette or a test.
    pub fn run(&mut self, command: Command, store: &Store, now: Timestamp) -> Vec<Effect> {
        if self.refuses_slipped(self.is_for_the_row(command), store, now) {
            return Vec::new();
        }
        match command {
            Command::Quit => return self.quit(),
            Command::ViewActions => {
                self.overlay = match self.overlay.take() {
                    Some(Overlay::Runs { .. }) => None,
                    _ => Some(Overlay::Runs { selected: 0 }),
                };
            }
            Command::CancelAction | Command::UndoAction | Command::CopyEquivalent => {
                return self.run_action(command, store, now);
            }
            Command::OpenRunbook if self.overlay.is_none() => return self.open_fitting(store, now),
            Command::Runbooks => self.pick_runbook(store, now),
            Command::BackOrQuit => return self.back(true),
            Command::Back => return self.back(false),
            Command::Suspend => return vec![Effect::Suspend],
            Command::Refresh => {
                self.say(now, "asking every source again");
                return self.refresh(store, now);
            }
            Command::SaveScreen => return vec![Effect::SaveScreen],
            Command::Palette => {
                let clusters: Vec<_> = store.clusters().map(|(id, _)| id.clone()).collect();
                self.overlay = Some(Overlay::Palette(Palette::new(self.context(), &clusters)));
            }
            Command::Help => {
                let context = self.context();
                self.overlay = match self.overlay.take() {
                    Some(Overlay::Help { .. }) => None,
                    _ => Some(Overlay::Help { scroll: 0, context }),
                };
            }
            Command::Errors => {
                self.overlay = match self.overlay.take() {
                    Some(Overlay::Errors { .. }) => None,
                    _ => Some(Overlay::Errors { scroll: 0 }),
                };
            }
            Command::CompactHeader => self.compact = !self.compact,
            Command::AbsoluteTimes => self.absolute = !self.absolute,
            Command::HistoryBack => return self.history_back(),
            Command::HistoryForward => self.history_forward(),
            Command::NextPane => self.details_focus = self.details && !self.details_focus,
            Command::ViewOverview => return self.view(ViewKind::Overview),
            Command::ViewNodes => return self.view(ViewKind::Nodes),
            Command::ViewTasks => return self.view(ViewKind::Tasks),
            Command::ViewWorkloads => return self.view(ViewKind::Workloads),
            Command::ViewEvents => return self.view(ViewKind::Events),
            Command::ViewMap => return self.view(ViewKind::Map),
            Command::ViewAlarms => return self.view(ViewKind::Alarms),
            Command::ViewBudgets => return self.view(ViewKind::Budgets),
            Command::ViewServices => return self.view(ViewKind::Services),
            Command::ViewSpot => return self.view(ViewKind::Spot),
            Command::ViewPools => return self.view(ViewKind::Pools),
            Command::Down => self.scroll(store, 1),
            Command::Up => self.scroll(store, -1),
            Command::PageDown => self.scroll_page(store, 1),
            Command::PageUp => self.scroll_page(store, -1),
            Command::Top => self.scroll(store, isize::MIN),
            Command::Bottom => self.scroll(store, isize::MAX),
            Command::Left => self.aside(store, -1),
            Command::Right => self.aside(store, 1),
            Command::Filter => self.open_prompt(),
            Command::Open => return self.open(store, now),
            _ => return self.run_here(command, store, now),
        }
        Vec::new()
    }

    /// Commands of one kind of page.
    fn run_here(&mut self, command: Command, store: &Store, now: Timestamp) -> Vec<Effect> {
        if self.overlay.is_some() {
            return Vec::new();
        }
        match self.stack.last() {
            Some(Page::Text(t)) if t.runbook.is_some() && command.info().context == Context::Runbook => {
                self.run_runbook(command, store, now)
            }
            Some(Page::Table(_)) => self.run_table(command, store, now),
            Some(Page::Text(_)) => self.run_text(command, now),
            Some(Page::Logs(_)) => self.run_logs(command, store, now),
            None => Vec::new(),
        }
    }

    fn run_table(&mut self, command: Command, store: &Store, now: Timestamp) -> Vec<Effect> {
        let wide = self.wide;
        let columns = self.settings.columns;
        let Some(table) = self.table_mut() else { return Vec::new() };
        match command {
            Command::Mark => {
                table.toggle_mark();
                table.step(store, 1);
            }
            Command::MarkRange => table.mark_range(store),
            Command::ClearMarks => table.marks.clear(),
            Command::ProblemsOnly => {
                table.problems_only = !table.problems_only;
                table.touch();
            }
            Command::SortFlip => {
                table.sort.descending = !table.sort.descending;
                table.touch();
            }
            Command::SortLeft | Command::SortRight => {
                let shown: Vec<_> = columns(table.kind).iter().filter(|c| wide || !c.wide).collect();
                let at = shown.iter().position(|c| c.key == table.sort.column).unwrap_or(0);
                let step = if command == Command::SortRight { 1 } else { shown.len().saturating_sub(1) };
                if let Some(c) = shown.get((at + step) % shown.len().max(1)) {
                    table.sort = Sort { column: c.key, descending: c.descending };
                    table.touch();
                }
            }
            Command::SortName => sort_by(table, columns, &["name", "object", "victim"]),
            Command::SortAge => sort_by(table, columns, &["age"]),
            Command::SortStatus => sort_by(table, columns, &["status", "health", "type"]),
            Command::SortCpu => sort_by(table, columns, &["cpu"]),
            Command::SortMemory => sort_by(table, columns, &["mem"]),
            Command::Wide => {
                self.wide = !self.wide;
                if let Some(t) = self.table_mut() {
                    t.forget_widths();
                }
            }
            Command::Details => {
                self.details = !self.details;
                self.details_focus = false;
                if let Some(t) = self.table_mut() {
                    t.forget_widths();
                }
            }
            _ => return self.run_row(command, store, now),
        }
        Vec::new()
    }

    /// Commands about the selected row.
    fn run_row(&mut self, command: Command, store: &Store, now: Timestamp) -> Vec<Effect> {
        if super::actions::changes(command) {
            return self.intend(command, store, now);
        }
        if command == Command::NoticeHistory {
            self.toggle_history();
            return Vec::new();
        }
        let Some(id) = self.table().and_then(|t| t.selected(store)) else {
            self.complain(now, "no row is selected");
            return Vec::new();
        };
        match command {
            Command::Describe if id.kind == Kind::Alarm => {
                self.open_alarm(id);
                Vec::new()
            }
            Command::Describe if id.kind == Kind::Notice && self.table().is_none_or(|t| t.kind != ViewKind::Spot) => {
                self.open_notice(id, store, now)
            }
            Command::GoToNode | Command::GoToOwner | Command::Events if id.kind == Kind::Notice => {
                self.run_notice(command, &id, store, now);
                Vec::new()
            }
            Command::GoToSubject | Command::Runbook => self.run_alarm(command, &id, store, now),
            Command::Describe | Command::Yaml
                if matches!(id.kind, Kind::Other | Kind::Zone | Kind::Alarm)
                    || (command == Command::Yaml && super::text::is_known(&id)) =>
            {
                self.complain(now, "objects of this kind cannot be read here");
                Vec::new()
            }
            Command::Describe => self.open_text(id, TextKind::Describe),
            Command::Yaml => self.open_text(id, TextKind::Yaml),
            Command::CopyName => self.copy(now, id.name.to_string()),
            Command::CopyId => self.copy(now, id.to_string()),
            Command::GoToNode => {
                let node = store.tasks.get(&id).map(|t| t.node.clone()).filter(|n| !n.is_empty());
                let Some(name) = node else {
                    self.complain(now, &format!("{} is not on a node", id.name));
                    return Vec::new();
                };
                let node = ObjectId { cluster: id.cluster, kind: Kind::Node, namespace: Text::empty(), name };
                self.open_table(ViewKind::Nodes, Scope::All, Some(node));
                Vec::new()
            }
            Command::GoToOwner => {
                match store.tasks.get(&id).and_then(|t| store.workload_id_of(t)) {
                    Some(owner) => self.open_table(ViewKind::Workloads, Scope::All, Some(owner)),
                    None => self.complain(now, &format!("{} has no owner here", id.name)),
                }
                Vec::new()
            }
            Command::Events => {
                self.open_table(ViewKind::Events, Scope::About(id), None);
                Vec::new()
            }
            Command::Logs | Command::PreviousLogs => {
                if id.kind == Kind::Task || id.kind.is_workload() {
                    self.open_logs(id, store, now, command == Command::PreviousLogs)
                } else {
                    self.complain(now, "only tasks and workloads have logs");
                    Vec::new()
                }
            }
            _ => Vec::new(),
        }
    }

    fn copy(&mut self, now: Timestamp, text: String) -> Vec<Effect> {
        self.say(now, &format!("copied {text}"));
        vec![Effect::Copy(text)]
    }

    fn run_text(&mut self, command: Command, now: Timestamp) -> Vec<Effect> {
        let Some(Page::Text(text)) = self.stack.last_mut() else { return Vec::new() };
        match command {
            Command::Wrap => text.wrap = !text.wrap,
            Command::SearchNext | Command::SearchPrevious => {
                let what = text.search.clone();
                if what.is_empty() {
                    self.complain(now, "search first: / and the text");
                } else if !text.find(command == Command::SearchNext, false) {
                    self.complain(now, &format!("`{what}` is not in the text"));
                }
            }
            Command::CopyText => {
                let all = text.text();
                self.say(now, "copied the whole text");
                return vec![Effect::Copy(all)];
            }
            _ => {}
        }
        Vec::new()
    }

    fn run_logs(&mut self, command: Command, store: &Store, now: Timestamp) -> Vec<Effect> {
        let tail = self.settings.log_tail;
        let Some(Page::Logs(logs)) = self.stack.last_mut() else { return Vec::new() };
        let range = match command {
            Command::LogTail => Range::Tail(tail),
            Command::LogHead => Range::Head,
            Command::LogSince1m => Range::Since(60),
            Command::LogSince5m => Range::Since(300),
            Command::LogSince15m => Range::Since(900),
            Command::LogSince30m => Range::Since(1800),
            Command::LogSince1h => Range::Since(3600),
            Command::LogFollow => {
                let last = logs.bottom().and_then(|i| logs.buffer.lines().get(i)).map(|l| l.seq);
                logs.follow = !logs.follow;
                logs.anchor = last.filter(|_| !logs.follow);
                return Vec::new();
            }
            Command::LogWrap => {
                logs.wrap = !logs.wrap;
                return Vec::new();
            }
            Command::LogTimestamps => {
                logs.timestamps = !logs.timestamps;
                return Vec::new();
            }
            Command::LogMark => {
                logs.mark(now);
                return Vec::new();
            }
            Command::LogFullScreen => {
                logs.full_screen = !logs.full_screen;
                return Vec::new();
            }
            Command::LogContainer => {
                let count = u16::try_from(logs.request.sources.len()).unwrap_or(u16::MAX);
                logs.show_only(match logs.only() {
                    None => Some(0),
                    Some(n) if n + 1 < count => Some(n + 1),
                    Some(_) => None,
                });
                return Vec::new();
            }
            Command::LogAllLines => {
                logs.all_lines = !logs.all_lines;
                return Vec::new();
            }
            Command::LogNextMatch | Command::LogPreviousMatch => {
                if !logs.is_filtered() {
                    self.complain(now, "nothing is looked for: / and the text");
                } else if !logs.find(command == Command::LogNextMatch) {
                    let what = format!("no line has `{}`", logs.filter_raw);
                    self.complain(now, &what);
                }
                return Vec::new();
            }
            _ => return Vec::new(),
        };
        logs.request.range = range;
        logs.read_anew(store, now);
        vec![Effect::Logs(logs.request.clone())]
    }

    fn refresh(&mut self, store: &Store, now: Timestamp) -> Vec<Effect> {
        let mut effects = vec![Effect::Refresh];
        match self.stack.last_mut() {
            Some(Page::Text(t)) if t.runbook.is_some() => {
                let url = t.runbook.as_ref().and_then(|o| o.url.clone());
                if let Some(url) = url {
                    t.content = Content::Loading;
                    effects.push(Effect::FetchRunbook { page: t.page, url });
                }
            }
            // Such a thing is what its source said last.
            Some(Page::Text(t)) if t.id.kind == Kind::Alarm || super::text::is_known(&t.id) => {}
            Some(Page::Text(t)) => effects.push(Effect::Fetch { page: t.page, id: t.id.clone(), kind: t.kind }),
            Some(Page::Logs(l)) => {
                l.read_anew(store, now);
                effects.push(Effect::Logs(l.request.clone()));
            }
            _ => {}
        }
        effects
    }

    fn view(&mut self, kind: ViewKind) -> Vec<Effect> {
        self.overlay = None;
        let effects = self.stop_logs();
        self.show(kind);
        effects
    }

    fn stop_logs(&self) -> Vec<Effect> {
        self.stack
            .iter()
            .filter_map(|p| match p {
                Page::Logs(l) => Some(Effect::StopLogs(l.page)),
                _ => None,
            })
            .collect()
    }

    /// Closes the topmost thing: overlay, details focus, filter, page.
    fn back(&mut self, may_quit: bool) -> Vec<Effect> {
        if self.overlay.take().is_some() {
            return Vec::new();
        }
        if std::mem::take(&mut self.details_focus) {
            return Vec::new();
        }
        match self.stack.last_mut() {
            Some(Page::Table(t)) if !may_quit && !t.filter.is_empty() => {
                t.filter = Filter::default();
                t.touch();
                return Vec::new();
            }
            Some(Page::Logs(l)) if !may_quit && l.is_filtered() => {
                l.clear_filter();
                return Vec::new();
            }
            Some(Page::Logs(l)) if l.full_screen => {
                l.full_screen = false;
                return Vec::new();
            }
            Some(Page::Text(t)) if !may_quit && !t.search.is_empty() => {
                t.search.clear();
                return Vec::new();
            }
            _ => {}
        }
        if self.stack.len() > 1 {
            let effects = match self.stack.pop() {
                Some(Page::Logs(l)) => vec![Effect::StopLogs(l.page)],
                _ => Vec::new(),
            };
            self.details_scroll = 0;
            return effects;
        }
        if may_quit { self.quit() } else { Vec::new() }
    }

    fn history_back(&mut self) -> Vec<Effect> {
        if self.stack.len() > 1 {
            return self.back(true);
        }
        if let Some(kind) = self.past.pop() {
            if let Some(Page::Table(t)) = self.stack.first() {
                self.future.push(t.kind);
            }
            self.switch(kind);
        }
        Vec::new()
    }

    fn history_forward(&mut self) {
        if let Some(kind) = self.future.pop() {
            if let Some(Page::Table(t)) = self.stack.first() {
                self.past.push(t.kind);
            }
            self.switch(kind);
        }
    }

    fn scroll_page(&mut self, store: &Store, pages: isize) {
        let rows = match (&self.overlay, self.stack.last()) {
            (Some(_), _) | (None, None) => 10,
            (None, Some(Page::Table(t))) => t.page,
            (None, Some(Page::Text(t))) => t.height,
            (None, Some(Page::Logs(l))) => l.height,
        };
        // One line stays in sight, so that the eye finds its place.
        let rows = isize::try_from(rows.saturating_sub(1).max(1)).unwrap_or(10);
        self.scroll(store, pages * rows);
    }

    /// Moves by rows or lines; `isize::MIN` and `MAX` go to the ends.
    fn scroll(&mut self, store: &Store, by: isize) {
        match &mut self.overlay {
            Some(Overlay::Help { scroll, .. } | Overlay::Errors { scroll }) => {
                *scroll = scroll.saturating_add_signed(by).min(10_000);
                return;
            }
            Some(Overlay::Runs { selected }) => {
                *selected = selected.saturating_add_signed(by).min(self.runs.len().saturating_sub(1));
                return;
            }
            Some(Overlay::Run { ticket }) => {
                let ticket = *ticket;
                if let Some(run) = self.runs.iter_mut().find(|r| r.ticket == ticket) {
                    run.scroll = run.scroll.saturating_add_signed(by).min(100_000);
                }
                return;
            }
            Some(Overlay::Palette(_) | Overlay::Action(_) | Overlay::Quit) => return,
            None => {}
        }
        if self.details_focus {
            self.details_scroll = self.details_scroll.saturating_add_signed(by).min(10_000);
            return;
        }
        match self.stack.last_mut() {
            Some(Page::Table(t)) => {
                t.step(store, by);
                self.details_scroll = 0;
            }
            Some(Page::Text(t)) => t.scroll_by(by),
            Some(Page::Logs(l)) => match by {
                isize::MIN => l.to_top(),
                isize::MAX => {
                    l.follow = true;
                    l.from_head = false;
                    l.anchor = None;
                }
                by => l.scroll_by(by),
            },
            None => {}
        }
    }

    /// Left and right: to the next cell of a map, elsewhere by columns of the terminal.
    fn aside(&mut self, store: &Store, by: i16) {
        if let Some(Page::Table(t)) = self.stack.last_mut()
            && self.overlay.is_none()
            && t.kind == ViewKind::Map
        {
            t.step_aside(store, isize::from(by));
            return;
        }
        let by = by * 8;
        match self.stack.last_mut() {
            Some(Page::Table(t)) => t.pan = t.pan.saturating_add_signed(by).min(400),
            Some(Page::Text(t)) => t.pan = t.pan.saturating_add_signed(isize::from(by)).min(4000),
            Some(Page::Logs(l)) => l.pan = l.pan.saturating_add_signed(isize::from(by)).min(4000),
            None => {}
        }
    }

    /// Enter: a node's, workload's or service's tasks; a task's, a budget's, an
    /// autoscaler's or an event's object described.
    fn open(&mut self, store: &Store, now: Timestamp) -> Vec<Effect> {
        match self.overlay.take() {
            None => {}
            Some(Overlay::Runs { selected }) => {
                let ticket = self.runs.iter().rev().nth(selected).map(|r| r.ticket);
                self.overlay = ticket.map(|ticket| Overlay::Run { ticket });
                return Vec::new();
            }
            Some(Overlay::Quit) => return vec![Effect::Quit],
            Some(_) => return Vec::new(),
        }
        if matches!(self.stack.last(), Some(Page::Text(t)) if t.runbook.is_some()) {
            return self.run_runbook(Command::RunStep, store, now);
        }
        let Some(id) = self.table().and_then(|t| t.selected(store)) else { return Vec::new() };
        match id.kind {
            Kind::Node => self.open_table(ViewKind::Tasks, Scope::Node(id), None),
            kind if kind.is_workload() => self.open_table(ViewKind::Tasks, Scope::Workload(id), None),
            Kind::Zone => self.open_table(ViewKind::Nodes, Scope::Zone(id), None),
            Kind::Alarm => self.unfold_or_open_alarm(id, store),
            Kind::Service => return self.open_service(id, store),
            Kind::Notice => return self.open_notice(id, store, now),
            Kind::Pool => self.open_pool(&id, now),
            Kind::Other => self.complain(now, "objects of this kind cannot be opened here"),
            _ => return self.open_text(id, TextKind::Describe),
        }
        Vec::new()
    }

    /// A service leads to the tasks behind it, or to the workloads where it has
    /// several; one that points at nothing is described.
    fn open_service(&mut self, id: ObjectId, store: &Store) -> Vec<Effect> {
        let service = store.service(&id);
        match service.as_ref().map(|s| &s.workloads[..]) {
            Some([one]) => self.open_table(ViewKind::Tasks, Scope::Workload(one.clone()), None),
            Some([first, ..]) => self.open_table(ViewKind::Workloads, Scope::All, Some(first.clone())),
            _ => return self.open_text(id, TextKind::Describe),
        }
        Vec::new()
    }

    /// The context the help overlay explains: the page beneath.
    #[must_use]
    pub fn page_context(&self) -> Context {
        match self.stack.last() {
            Some(Page::Table(t)) => t.context(),
            Some(Page::Text(t)) if t.runbook.is_some() => Context::Runbook,
            Some(Page::Text(_)) => Context::Text,
            Some(Page::Logs(_)) => Context::Logs,
            None => Context::Global,
        }
    }
}

fn sort_by(table: &mut TableState, columns: fn(ViewKind) -> &'static [super::ColumnInfo], keys: &[&str]) {
    if let Some(c) = columns(table.kind).iter().find(|c| keys.contains(&c.key)) {
        // The same key again reverses, as people expect of a column's header; but who asks for the worst
        // first gets that, however often.
        let again = table.sort.column == c.key && !keys.contains(&"status");
        let descending = if again { !table.sort.descending } else { c.descending };
        table.sort = Sort { column: c.key, descending };
        table.touch();
    }
}
