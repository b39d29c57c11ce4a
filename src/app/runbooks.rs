//! Runbooks on screen: which one fits, its steps, its checkboxes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::filter::Filter;
use super::overlay::{Choice, Overlay, Palette};
use super::table::{Scope, Sort, ViewKind};
use super::text::{Content, TextKind, TextState};
use super::{App, Effect, Page};
use crate::action::Intent;
use crate::command::Command;
use crate::domain::{Alarm, ClusterId, Health, Kind, ObjectId, Text, Timestamp};
use crate::key::{Context, Key, parse_sequence};
use crate::keymap::ExtraKind;
use crate::runbook::progress::Progress;
use crate::runbook::render::{Item, Rendered, What};
use crate::runbook::{Library, Origin, Runbook, StepKind, Subject};
use crate::store::Store;
use crate::store::alarm_groups::subject as about;

/// How many runbooks may lie on each other.
const DEPTH: usize = 8;
/// How many unhealthy tasks of a workload or node say how it stands.
const TASKS: usize = 20;

/// Runbooks, and what is remembered of them.
#[derive(Debug, Default)]
pub struct Runbooks {
    /// All that are at hand.
    pub library: Library,
    /// What links must begin with to be fetched; empty: none is.
    pub fetch: Vec<String>,
    /// Ticks, incident by incident.
    pub progress: Progress,
    /// Firing alarms without a runbook, as of a revision of the store.
    unmatched: Option<(u64, usize)>,
}

/// A runbook on a page.
#[derive(Debug)]
pub struct Opened {
    /// Which.
    pub book: Arc<Runbook>,
    /// What it was opened for.
    pub subject: Subject,
    /// Which of `items` is chosen.
    pub cursor: usize,
    /// What can be done, by the lines as last drawn.
    pub items: Vec<Item>,
    /// As last rendered: for this width, with these ticks.
    pub rendered: Option<(usize, bool, Vec<String>, Rendered)>,
    /// The last action of each step.
    pub runs: BTreeMap<usize, u64>,
    /// The link that it is fetched from.
    pub url: Option<String>,
}

impl Opened {
    fn new(book: Arc<Runbook>, subject: Subject) -> Self {
        Self { book, subject, cursor: 0, items: Vec::new(), rendered: None, runs: BTreeMap::new(), url: None }
    }

    /// What is chosen.
    #[must_use]
    pub fn item(&self) -> Option<&Item> {
        self.items.get(self.cursor)
    }
}

impl App {
    /// Takes the runbooks that are at hand, and the keys they ask for. What cannot be bound is among what is told
    /// of the library.
    pub fn set_runbooks(&mut self, mut library: Library) {
        self.keymap.forget_runbooks();
        let leader = self.leader();
        // The user's own come first, then ours.
        let mut books: Vec<&Arc<Runbook>> = library.books.iter().collect();
        books.sort_by_key(|b| b.origin == Origin::Shipped);
        let mut wrong = Vec::new();
        for book in books {
            for written in &book.front.keys {
                let bound = parse_sequence(written).map_err(|e| e.to_string()).and_then(|after| {
                    let keys: Vec<Key> = leader.iter().copied().chain(after).collect();
                    let what = ExtraKind::Runbook(book.name.to_string());
                    self.keymap.bind_extra(crate::key::Context::Global, keys, &book.title, what)
                });
                if let Err(why) = bound
                    && book.origin != Origin::Shipped
                {
                    wrong.push(Text::new(&format!("{}: key {written}: {why}", book.name)));
                }
            }
        }
        library.unread.extend(wrong);
        self.runbooks.library = library;
        self.runbooks.unmatched = None;
    }

    /// What comes before the key of a runbook.
    fn leader(&self) -> Vec<Key> {
        let bound = self.keymap.keys_for(crate::key::Context::Table, Command::OpenRunbook);
        let keys = bound.iter().filter_map(|k| parse_sequence(k).ok()).find(|k| k.len() > 1);
        keys.map_or_else(
            || vec![Key::char(',')],
            |mut k| {
                k.pop();
                k
            },
        )
    }

    /// What is selected, and all that belongs to it.
    #[must_use]
    pub fn subject(&self, store: &Store, now: Timestamp) -> Subject {
        match self.stack.last() {
            Some(Page::Table(t)) => match t.selected(store) {
                Some(id) => {
                    let mut subject = subject_of(&id, store, now);
                    if let Some(p) = t.problems.iter().find(|p| p.id == id) {
                        subject.status.push(Text::new(&p.what));
                        subject.words.push(p.why.clone());
                    }
                    subject
                }
                None => Subject::default(),
            },
            Some(Page::Text(t)) => match &t.runbook {
                Some(opened) => opened.subject.clone(),
                None => subject_of(&t.id, store, now),
            },
            Some(Page::Logs(l)) => subject_of(&l.id, store, now),
            None => Subject::default(),
        }
    }

    /// Opens the runbook that fits what is selected.
    pub(super) fn open_fitting(&mut self, store: &Store, now: Timestamp) -> Vec<Effect> {
        let subject = self.subject(store, now);
        let Some(id) = subject.id().cloned() else {
            self.complain(now, "no row is selected");
            return Vec::new();
        };
        let best = self.runbooks.library.best(&subject).cloned();
        let url = store.alarms.get(&id).map(|a| a.runbook.to_string()).unwrap_or_default();
        match best {
            Some(book) if url.is_empty() || book.origin != Origin::Shipped => self.open_runbook(book, subject, now),
            // What whoever wrote the alarm says goes before what we ship.
            _ if !url.is_empty() && self.runbooks.fetch.iter().any(|p| url.starts_with(p.as_str())) => {
                self.fetch_runbook(url, subject)
            }
            Some(book) => {
                let effects = self.open_runbook(book, subject, now);
                let key = self.keymap.keys_for(Context::Alarm, Command::Runbook).first().cloned();
                let copies = key.map_or_else(String::new, |k| format!(" ({k} in the list of alarms copies it)"));
                self.say(now, &format!("the alarm names a runbook of its own{copies}: {url}"));
                effects
            }
            None if !url.is_empty() => {
                self.say(now, &format!("runbook, copied: {url}"));
                vec![Effect::Copy(url)]
            }
            None => {
                let what = format!("no runbook is for {} {}; :runbooks lists all", id.kind.short(), id.name);
                self.complain(now, &what);
                Vec::new()
            }
        }
    }

    /// Opens a runbook for what is selected.
    pub fn open_runbook(&mut self, book: Arc<Runbook>, subject: Subject, now: Timestamp) -> Vec<Effect> {
        let same =
            |p: &Page| matches!(p, Page::Text(t) if t.runbook.as_ref().is_some_and(|o| o.book.name == book.name));
        // One that is beneath is gone back to: links may go round in circles.
        if let Some(at) = self.stack.iter().position(same) {
            let mut effects = Vec::new();
            for page in self.stack.drain(at + 1..) {
                if let Page::Logs(l) = page {
                    effects.push(Effect::StopLogs(l.page));
                }
            }
            return effects;
        }
        if self.stack.iter().filter(|p| matches!(p, Page::Text(t) if t.runbook.is_some())).count() >= DEPTH {
            self.complain(now, "too many runbooks lie on each other; esc goes back");
            return Vec::new();
        }
        self.push_runbook(Opened::new(book, subject), Content::Lines(Vec::new()));
        Vec::new()
    }

    fn push_runbook(&mut self, opened: Opened, content: Content) -> u64 {
        let page = self.number();
        let cluster = opened.subject.id().map_or_else(|| ClusterId::new("runbooks"), |id| id.cluster.clone());
        // No object that anybody could be asked about.
        let id = ObjectId { cluster, kind: Kind::Other, namespace: Text::empty(), name: opened.book.name.clone() };
        let mut text = TextState::new(page, id, TextKind::Runbook);
        text.wrap = true;
        text.content = content;
        text.runbook = Some(Box::new(opened));
        self.stack.push(Page::Text(Box::new(text)));
        page
    }

    fn fetch_runbook(&mut self, url: String, subject: Subject) -> Vec<Effect> {
        let path = url.split(['?', '#']).next().unwrap_or_default();
        let name = path.rsplit('/').find(|s| !s.is_empty()).unwrap_or("runbook").to_owned();
        let book = Runbook::parse(name.trim_end_matches(".md"), Origin::Fetched(url.clone()), "");
        let opened = Opened { url: Some(url.clone()), ..Opened::new(Arc::new(book), subject) };
        let page = self.push_runbook(opened, Content::Loading);
        vec![Effect::FetchRunbook { page, url }]
    }

    /// The text of a link, or why it cannot be had.
    pub fn runbook_fetched(&mut self, page: u64, result: Result<String, Text>) {
        let Some(text) = self.text_page(page) else { return };
        let Some(opened) = &mut text.runbook else { return };
        let url = opened.url.clone().unwrap_or_default();
        match result {
            Ok(markdown) => {
                let book = Runbook::parse(&opened.book.name, Origin::Fetched(url), &markdown);
                opened.book = Arc::new(book);
                opened.rendered = None;
                text.content = Content::Lines(Vec::new());
            }
            Err(why) => text.content = Content::Failed(Text::new(&format!("{why} ({url})"))),
        }
    }

    /// All runbooks, those that fit first.
    pub(super) fn pick_runbook(&mut self, store: &Store, now: Timestamp) {
        let subject = self.subject(store, now);
        let library = &self.runbooks.library;
        let fitting: Vec<Arc<Runbook>> = library.rank(&subject).into_iter().map(|(_, b)| Arc::clone(b)).collect();
        let rest = library.books.iter().filter(|b| !fitting.iter().any(|f| f.name == b.name));
        let all = fitting.iter().chain(rest);
        let choices = all.map(|b| (Choice::Runbook(b.name.to_string()), b.words())).collect();
        let mut palette = Palette::of(choices, "runbooks", "no runbook is called that");
        let mut notes = Vec::new();
        match self.runbooks.unmatched(store) {
            0 => {}
            1 => notes.push("1 alarm has no runbook".to_owned()),
            n => notes.push(format!("{n} alarms have no runbook")),
        }
        notes.extend(self.runbooks.library.unread.iter().map(|why| format!("not read: {why}")));
        palette.note = notes.join("; ");
        self.overlay = Some(Overlay::Palette(palette));
    }

    /// Opens the runbook of this name.
    pub fn open_named(&mut self, name: &str, store: &Store, now: Timestamp) -> Vec<Effect> {
        let Some(book) = self.runbooks.library.get(name).cloned() else {
            self.complain(now, &format!("there is no runbook {name}"));
            return Vec::new();
        };
        let subject = self.subject(store, now);
        self.open_runbook(book, subject, now)
    }

    /// A key that a runbook or the keymap's own commands ask for.
    pub(super) fn run_extra(&mut self, number: usize, store: &Store, now: Timestamp) -> Vec<Effect> {
        let Some(extra) = self.keymap.extra(number).cloned() else { return Vec::new() };
        if self.overlay.is_some() {
            return Vec::new();
        }
        match &extra.what {
            ExtraKind::Runbook(name) => self.open_named(name, store, now),
            ExtraKind::Run(_) if self.refuses_slipped(true, store, now) => Vec::new(),
            ExtraKind::Run(command) => match command.intent(&self.subject(store, now)) {
                Ok(intent) => self.ask(intent, store, now).1,
                Err(why) => {
                    self.complain(now, &why);
                    Vec::new()
                }
            },
        }
    }

    /// Shows the plan of an intent unless nothing may be changed there; its ticket with what is to be done.
    fn ask(&mut self, intent: Intent, store: &Store, now: Timestamp) -> (Option<u64>, Vec<Effect>) {
        let closed = intent.targets.iter().find(|t| self.is_read_only(store, &t.cluster));
        if let Some(id) = closed {
            let place =
                if self.settings.read_only { "from this console".to_owned() } else { format!("in {}", id.cluster) };
            self.complain(now, &format!("read-only: the step is shown, and nothing is done {place}"));
            return (None, Vec::new());
        }
        let effects = self.propose(intent, store);
        let ticket = if let Some(Overlay::Action(dialog)) = &self.overlay { Some(dialog.ticket) } else { None };
        (ticket, effects)
    }

    fn opened(&mut self) -> Option<(&mut TextState, Box<Opened>)> {
        let Some(Page::Text(text)) = self.stack.last_mut() else { return None };
        let opened = text.runbook.take()?;
        Some((text, opened))
    }

    /// Commands of a runbook's page.
    pub(super) fn run_runbook(&mut self, command: Command, store: &Store, now: Timestamp) -> Vec<Effect> {
        let Some((text, mut opened)) = self.opened() else { return Vec::new() };
        if matches!(command, Command::NextStep | Command::PreviousStep) {
            step(text, &mut opened, command == Command::NextStep);
            text.runbook = Some(opened);
            return Vec::new();
        }
        let item = opened.item().map(|i| i.what.clone());
        let (book, subject) = (Arc::clone(&opened.book), opened.subject.clone());
        let run = match &item {
            Some(What::Step(n)) => opened.runs.get(n).copied(),
            _ => None,
        };
        text.runbook = Some(opened);
        match (command, item) {
            (_, None) => {
                self.complain(now, "there is no step here; tab goes to the next one");
                Vec::new()
            }
            (Command::StepOutput, Some(_)) => {
                match run.filter(|t| self.run_of(*t).is_some()) {
                    Some(ticket) => self.overlay = Some(Overlay::Run { ticket }),
                    None => self.complain(now, "this step has not been run"),
                }
                Vec::new()
            }
            (_, Some(What::Check(key))) => {
                self.runbooks.progress.toggle(&subject.incident(), &book.name, &key);
                vec![Effect::KeepProgress(self.runbooks.progress.to_json())]
            }
            (Command::Tick, Some(_)) => {
                self.complain(now, "this is no checkbox; tab goes to the next one");
                Vec::new()
            }
            (_, Some(What::Link(target))) => self.follow_link(&target, subject, now),
            (_, Some(What::Step(number))) => self.carry_out(&book, number, &subject, store, now),
        }
    }

    fn follow_link(&mut self, target: &str, subject: Subject, now: Timestamp) -> Vec<Effect> {
        let elsewhere = target.contains("://") || target.contains(':');
        let name = target.split('#').next().unwrap_or_default().trim_start_matches("./");
        if let Some(book) = self.runbooks.library.get(name).filter(|_| !elsewhere).cloned() {
            return self.open_runbook(book, subject, now);
        }
        self.say(now, &format!("link, copied: {target}"));
        vec![Effect::Copy(target.to_owned())]
    }

    /// Does what a step says.
    fn carry_out(
        &mut self,
        book: &Runbook,
        number: usize,
        subject: &Subject,
        store: &Store,
        now: Timestamp,
    ) -> Vec<Effect> {
        let Some(step) = book.steps.get(number) else { return Vec::new() };
        let kind = match &step.kind {
            Ok(kind) => kind,
            Err(why) => {
                self.complain(now, &format!("this step cannot be done: {why}"));
                return Vec::new();
            }
        };
        if matches!(kind, StepKind::Run(_)) && !book.may_run() {
            self.complain(
                now,
                "a command from a link is shown, and never run; put the runbook into a directory of yours",
            );
            return Vec::new();
        }
        match self.try_step(kind, number, subject, store, now) {
            Ok(effects) => effects,
            Err(why) => {
                self.complain(now, &why);
                Vec::new()
            }
        }
    }

    fn try_step(
        &mut self,
        kind: &StepKind,
        number: usize,
        subject: &Subject,
        store: &Store,
        now: Timestamp,
    ) -> Result<Vec<Effect>, Text> {
        if let Some(intent) = kind.intent(subject)? {
            let (ticket, effects) = self.ask(intent, store, now);
            if let (Some(ticket), Some(Page::Text(text))) = (ticket, self.stack.last_mut())
                && let Some(opened) = &mut text.runbook
            {
                opened.runs.insert(number, ticket);
            }
            return Ok(effects);
        }
        match kind {
            StepKind::View { view, filter, within, sort } => {
                self.open_view(view, (filter, sort), *within, subject)?;
            }
            StepKind::Logs { previous, target } => {
                let id = target.of(subject, |k| k == Kind::Task || k.is_workload())?;
                return Ok(self.open_logs(id, store, now, *previous));
            }
            StepKind::Describe(target) => {
                let id = target.of(subject, |k| !matches!(k, Kind::Other | Kind::Zone))?;
                if id.kind == Kind::Alarm {
                    self.open_alarm(id);
                } else {
                    return Ok(self.open_text(id, TextKind::Describe));
                }
            }
            StepKind::Events(target) => {
                let has = |k: Kind| k == Kind::Node || k == Kind::Task || k.is_workload();
                let id = target.of(subject, has)?;
                self.open_table(ViewKind::Events, Scope::About(id), None);
            }
            StepKind::Act { .. } | StepKind::Run(_) => {}
        }
        Ok(Vec::new())
    }

    fn open_view(
        &mut self,
        view: &str,
        (filter, sort): (&str, &str),
        within: bool,
        subject: &Subject,
    ) -> Result<(), Text> {
        let Some(kind) = ViewKind::from_name(view) else { return Err(Text::new(&format!("there is no view {view}"))) };
        let raw = crate::runbook::fill::filter(filter, subject)?;
        let keys: Vec<&'static str> = (self.settings.columns)(kind).iter().map(|c| c.key).collect();
        let column = keys.iter().copied().find(|k| *k == sort);
        if column.is_none() && !sort.is_empty() {
            return Err(Text::new(&format!(
                "the step's sort: {view} has no column {sort}; it has {}",
                keys.join(", ")
            )));
        }
        let filter = Filter::parse(&raw, &keys).map_err(|e| Text::new(&format!("the step's filter: {e}")))?;
        let of = |fits: &dyn Fn(Kind) -> bool| subject.nearest(fits).cloned();
        let scope = match (within, kind) {
            (false, _) => Some(Scope::All),
            (true, ViewKind::Nodes) => of(&|k| k == Kind::Zone).map(Scope::Zone),
            (true, ViewKind::Events) => of(&|k| k != Kind::Alarm).map(Scope::About),
            // A task's siblings; what is on a node.
            (true, _) => of(&|k| k == Kind::Node || k.is_workload())
                .map(|id| if id.kind == Kind::Node { Scope::Node(id) } else { Scope::Workload(id) }),
        };
        let Some(scope) = scope else {
            return Err(Text::new("this step shows what belongs to what is selected, and nothing does"));
        };
        self.open_table(kind, scope, None);
        if let Some(table) = self.table_mut() {
            table.filter = filter;
            if let Some(column) = column {
                table.sort = Sort { column, descending: true };
            }
            table.touch();
        }
        Ok(())
    }
}

/// Moves to the next or previous thing that can be done; from where one looks, if the chosen one is out of sight.
fn step(text: &mut TextState, opened: &mut Opened, forward: bool) {
    let Some(last) = opened.items.len().checked_sub(1) else { return };
    let seen = text.scroll..text.scroll + text.height.max(1);
    let in_sight = opened.item().is_some_and(|i| seen.contains(&i.from));
    let next = match (in_sight, forward) {
        (true, true) => (opened.cursor + 1).min(last),
        (true, false) => opened.cursor.saturating_sub(1),
        (false, true) => opened.items.iter().position(|i| i.from >= seen.start).unwrap_or(last),
        (false, false) => opened.items.iter().rposition(|i| i.from < seen.end).unwrap_or(0),
    };
    opened.cursor = next;
    if let Some(item) = opened.items.get(next) {
        let most = text.height.saturating_sub(1).max(1);
        if item.from < text.scroll {
            text.scroll = item.from.saturating_sub(2);
        } else if item.to > text.scroll + most {
            text.scroll = (item.to + 1).saturating_sub(most).min(item.from);
        }
    }
}

impl Runbooks {
    /// Firing alarms that no runbook is for.
    pub fn unmatched(&mut self, store: &Store) -> usize {
        let revision = store.alarms.revision();
        if let Some((at, n)) = self.unmatched
            && at == revision
        {
            return n;
        }
        let none = |a: &&Alarm| a.runbook.is_empty() && self.library.rank(&alarm_subject(a, store)).is_empty();
        let n = store.alarms.rows().filter(|a| a.is_firing()).filter(none).count();
        self.unmatched = Some((revision, n));
        n
    }
}

/// An alarm, with what it is about.
fn alarm_subject(alarm: &Alarm, store: &Store) -> Subject {
    let mut subject = Subject { ids: vec![alarm.id.clone()], since: alarm.since, ..Subject::default() };
    subject.alarms.push(alarm.id.name.clone());
    if alarm.alert_name() != &alarm.id.name {
        subject.alarms.insert(0, alarm.alert_name().clone());
    }
    subject.labels = alarm.labels.iter().cloned().collect();
    subject.words = vec![alarm.summary.clone(), alarm.reason.clone()];
    if let Some(id) = alarm.about.clone().or_else(|| about(store, alarm)) {
        subject.add(id);
    }
    subject
}

/// The workloads behind a service. Where nothing says which, the one that `payments-api` is a usual name for: `api` in
/// the namespace `payments`.
fn behind(service: &str, within: Option<&ClusterId>, store: &Store) -> Vec<ObjectId> {
    let found = store.workloads_of(service, within);
    if !found.is_empty() {
        return found;
    }
    let called = |id: &ObjectId| {
        let rest = service.strip_prefix(id.namespace.as_str()).and_then(|r| r.strip_prefix('-'));
        rest == Some(id.name.as_str()) && within.is_none_or(|c| id.cluster == *c)
    };
    let own = store.workloads.rows().filter(|w| !w.owner_kind.is_workload() && called(&w.id));
    own.map(|w| w.id.clone()).collect()
}

/// What is selected, and what belongs to it.
fn subject_of(id: &ObjectId, store: &Store, now: Timestamp) -> Subject {
    let mut subject = match store.alarms.get(id) {
        Some(alarm) => alarm_subject(alarm, store),
        None => Subject { ids: vec![id.clone()], ..Subject::default() },
    };
    if id.kind == Kind::Notice
        && let Some(row) = store.board(now).rows.iter().find(|r| r.id == *id)
    {
        subject.status.push(Text::new(row.kind.word()));
        subject.since = Some(row.issued);
        row.node.iter().chain(&row.task).for_each(|i| subject.add(i.clone()));
    }
    // Of an alarm what it is about decides, too.
    let mut at = 0;
    while let Some(next) = subject.ids.get(at).cloned() {
        surroundings(&mut subject, &next, store, now);
        at += 1;
        if at > 6 {
            break;
        }
    }
    subject.status.retain(|s| !s.is_empty());
    subject
}

fn surroundings(subject: &mut Subject, id: &ObjectId, store: &Store, now: Timestamp) {
    if let Some(task) = store.tasks.get(id) {
        subject.status.push(task.status.clone());
        subject.words.push(task.message.clone());
        subject.labels.extend(task.labels.iter().cloned());
        if let Some(workload) = store.workload_id_of(task) {
            subject.add(workload);
        }
        if !task.node.is_empty() {
            let (cluster, name) = (id.cluster.clone(), task.node.clone());
            subject.add(ObjectId { cluster, kind: Kind::Node, namespace: Text::empty(), name });
        }
    } else if let Some(node) = store.nodes.get(id) {
        subject.status.push(node.status.clone());
        subject.words.push(node.message.clone());
        // Of a task's node only how it stands matters.
        if subject.id() == Some(id) {
            subject.labels.extend(node.labels.iter().cloned());
        }
        if let Some(case) = store.notices.of_node(id).filter(|c| c.is_open()) {
            subject.status.push(Text::new(case.kind().word()));
        }
    } else if let Some(workload) = store.workloads.get(id) {
        subject.status.push(workload.status.clone());
        subject.words.push(workload.message.clone());
        subject.labels.extend(workload.labels.iter().cloned());
        // Only for the workload itself: a task's siblings are not what is selected.
        let selected = subject.id().is_some_and(|i| i == id || i.kind == Kind::Alarm);
        let own = store.tasks.rows().filter(|t| selected && t.id.cluster == id.cluster && store.belongs(t, id));
        let mut worst: Vec<_> = own.filter(|t| store.health(t, now) >= Health::Warning).take(TASKS).collect();
        worst.sort_by_key(|t| std::cmp::Reverse(store.health(t, now)));
        for task in &worst {
            subject.status.push(task.status.clone());
            subject.words.push(task.message.clone());
        }
        if let Some(task) = worst.first() {
            subject.add(task.id.clone());
        }
    } else if id.kind == Kind::Service {
        // An alarm names the service of its cluster; what is measured of it comes from a backend.
        let known = store.service(id).map(|s| s.workloads.to_vec()).filter(|w| !w.is_empty());
        let found = known.unwrap_or_else(|| behind(&id.name, store.about(id), store));
        subject.add_all(found);
    } else if let Some(limit) = store.limits.get(id).filter(|l| !l.service.is_empty()) {
        // Whose rollout needs most of it.
        subject.add(ObjectId { kind: Kind::EcsService, name: limit.service.clone(), ..id.clone() });
    } else if let Some(budget) = store.budgets.get(id) {
        subject.status.extend(budget.state().map(|s| Text::new(s.word())));
        // Its namespace is the service.
        subject.add_all(behind(&id.namespace, store.about(id), store));
    }
}
