//! Which containers a log page reads: those of its task or workload, as tasks
//! come and go.

use chrono::TimeDelta;

use super::logs::{LogSource, LogState, Range};
use super::{App, Effect, Page};
use crate::domain::{Health, Kind, ObjectId, Orchestrator, Text, Timestamp};
use crate::store::Store;

/// At most so many containers are followed at once: each is a connection.
pub const LOG_STREAMS: usize = 40;

/// A task that the cluster no longer has is read on for so long, in seconds: its
/// last lines may come after the news. ECS's logs come late.
const LAST_WORDS: (i64, i64) = (10, 45);

/// The containers of a task or of a workload's tasks, those that run first.
pub(super) fn sources(id: &ObjectId, store: &Store) -> Vec<LogSource> {
    let one = id.kind == Kind::Task;
    let mut tasks: Vec<_> = if one {
        store.tasks.get(id).into_iter().collect()
    } else {
        store.tasks.rows().filter(|t| store.belongs(t, id)).collect()
    };
    tasks.sort_by(|a, b| (a.health == Health::Done, &a.id.name).cmp(&(b.health == Health::Done, &b.id.name)));
    tasks
        .iter()
        .flat_map(|t| {
            t.containers.iter().map(move |c| LogSource {
                task: t.id.clone(),
                uid: t.uid.clone(),
                container: c.name.clone(),
                label: if one { c.name.clone() } else { Text::new(&format!("{}/{}", t.short_name(), c.name)) },
                restarts: c.restarts,
                from_start: false,
            })
        })
        .collect()
}

/// As many of the sources as can be followed at once, and how many are left out.
pub(super) fn capped(mut sources: Vec<LogSource>) -> (Vec<LogSource>, usize) {
    let skipped = sources.len().saturating_sub(LOG_STREAMS);
    sources.truncate(LOG_STREAMS);
    (sources, skipped)
}

impl LogState {
    /// Starts over with the containers there are now. Those of a task that is
    /// gone are asked for once more.
    pub(super) fn read_anew(&mut self, store: &Store, now: Timestamp) {
        let was = self.only().and_then(|n| self.request.sources.get(usize::from(n))).cloned();
        let (sources, skipped) = capped(sources(&self.id, store));
        if !sources.is_empty() {
            (self.request.sources, self.skipped_sources) = (sources, skipped);
        }
        let only = was.and_then(|was| self.request.sources.iter().position(|s| s.is(&was)));
        self.show_only(only.and_then(|n| u16::try_from(n).ok()));
        self.request.round += 1;
        self.buffer.clear();
        self.answered = false;
        self.ended = vec![None; self.request.sources.len()];
        self.gone.clear();
        self.opened = now;
        self.anchor = None;
        // From the start: the first page stays, whatever comes after it.
        self.from_head = self.request.range == Range::Head;
        self.follow = !self.request.previous && !self.from_head;
        self.say_what_is_left_out();
    }

    /// Says between the lines that there are more containers than are read.
    pub(super) fn say_what_is_left_out(&mut self) {
        if self.skipped_sources > 0 {
            let all = self.request.sources.len() + self.skipped_sources;
            let what =
                format!("{all} containers: {LOG_STREAMS} are read, the most at once; a task's own log has them all");
            self.note(None, u16::MAX, &what);
        }
    }

    /// Takes in containers that have appeared, and lets go of those whose task is gone.
    fn keep_up(&mut self, store: &Store, now: Timestamp) -> Vec<Effect> {
        if self.request.previous {
            return Vec::new();
        }
        let there = sources(&self.id, store);
        let mut effects = self.let_go(&there, store, now);
        let mut open = self.ended.iter().filter(|e| e.is_none()).count();
        let before = self.request.sources.len();
        let mut skipped = 0;
        for mut source in there {
            if self.request.sources.iter().any(|s| s.is(&source)) {
                continue;
            }
            if open >= LOG_STREAMS || self.request.sources.len() >= usize::from(u16::MAX) {
                skipped += 1;
                continue;
            }
            open += 1;
            let task = store.tasks.get(&source.task);
            let created = task.and_then(|t| t.created);
            // Once for all containers of a task.
            if let Some(t) = task.filter(|_| self.request.sources.iter().all(|s| s.uid != source.uid)) {
                self.note(Some(now), u16::MAX, &format!("{} is read from now on", t.short_name()));
            }
            source.from_start = created.is_some_and(|at| at >= self.opened - TimeDelta::seconds(5));
            self.request.sources.push(source);
            self.ended.push(None);
        }
        let more = skipped > self.skipped_sources;
        self.skipped_sources = skipped;
        if more {
            self.say_what_is_left_out();
        }
        if self.request.sources.len() > before {
            let from = u16::try_from(before).unwrap_or(u16::MAX);
            effects.push(Effect::MoreLogs { request: self.request.clone(), from });
        }
        effects
    }

    /// Ends what is read of tasks that have been gone for long enough. Usually the
    /// stream finds out before.
    fn let_go(&mut self, there: &[LogSource], store: &Store, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        let late = store.orchestrator(&self.id.cluster) == Orchestrator::Ecs;
        let patience = TimeDelta::seconds(if late { LAST_WORDS.1 } else { LAST_WORDS.0 });
        for (number, source) in (0_u16..).zip(&self.request.sources) {
            if there.iter().any(|s| s.is(source)) || self.ended.get(usize::from(number)).is_none_or(Option::is_some) {
                self.gone.remove(&number);
            } else if now - *self.gone.entry(number).or_insert(now) >= patience {
                effects.push(Effect::EndLog { page: self.page, source: number });
            }
        }
        for effect in &effects {
            if let Effect::EndLog { source, .. } = effect {
                self.has_ended(*source, &Text::new("the task is gone"), Some(now), true);
            }
        }
        effects
    }

    /// A source has no more to say. Where that is `news` it is said between the lines,
    /// at the time `at` or after the newest line.
    pub fn has_ended(&mut self, source: u16, why: &Text, at: Option<Timestamp>, news: bool) {
        let Some(place) = self.ended.get_mut(usize::from(source)).filter(|e| e.is_none()) else { return };
        *place = Some(why.clone());
        self.gone.remove(&source);
        // An empty page says why by itself, and of the run before nobody expects more.
        if news && !self.request.previous && (self.request.sources.len() > 1 || !self.buffer.lines().is_empty()) {
            self.note(at, source, why);
        }
    }
}

impl App {
    /// Brings what the log pages read up to date with the tasks there are. Call
    /// it now and then, about once a second.
    pub fn keep_up_logs(&mut self, store: &Store, now: Timestamp) -> Vec<Effect> {
        let pages = self.stack.iter_mut().filter_map(|p| if let Page::Logs(l) = p { Some(l) } else { None });
        pages.flat_map(|l| l.keep_up(store, now)).collect()
    }
}
