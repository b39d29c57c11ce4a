//! What the loop asks of the sources on demand: objects, logs, refresh. Answers
//! come back as [`Reply`]; nothing here blocks.

use std::collections::HashMap;
#[cfg(any(feature = "kubernetes", feature = "aws"))]
use std::sync::Arc;

use futures::future::AbortHandle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::action::{Assent, Desk, Event, Intent, Plan, facts};
use crate::app::App;
use crate::app::logs::LogRequest;
use crate::app::text::TextKind;
use crate::clock::Clock;
#[cfg(any(feature = "kubernetes", feature = "aws"))]
use crate::domain::line::parse_sgr;
use crate::domain::{Line, ObjectId, Span, Text, Timestamp};
use crate::store::Store;

#[cfg(feature = "kubernetes")]
use crate::source::LogItem;
#[cfg(feature = "aws")]
use crate::source::ecs;
#[cfg(feature = "kubernetes")]
use crate::source::kubernetes::{Reader, Sources};

/// What comes back.
#[derive(Debug)]
pub enum Reply {
    /// A text page's text.
    Text {
        /// The page.
        page: u64,
        /// Its lines, or why there are none.
        result: Result<Vec<Line>, Text>,
    },
    /// Log lines.
    Lines {
        /// The page.
        page: u64,
        /// The request's round.
        round: u64,
        /// Which source.
        source: u16,
        /// Time and text of each.
        lines: Vec<(Option<Timestamp>, Vec<Span>)>,
    },
    /// Something happened to a source between its lines.
    Marker {
        /// The page.
        page: u64,
        /// The request's round.
        round: u64,
        /// Which source.
        source: u16,
        /// After which time.
        at: Option<Timestamp>,
        /// What.
        text: Text,
    },
    /// What would happen, or why that cannot be said.
    Planned {
        /// The dialog that waits.
        ticket: u64,
        /// Of its questions the how manieth.
        round: u64,
        /// The plan.
        result: Result<Box<Plan>, Text>,
    },
    /// An action began, or could not.
    Begun {
        /// Which.
        ticket: u64,
        /// To end it early.
        result: Result<CancellationToken, Text>,
    },
    /// How an action goes.
    Acted {
        /// Which.
        ticket: u64,
        /// What.
        event: Event,
    },
    /// A runbook was fetched, or could not be.
    Runbook {
        /// The page.
        page: u64,
        /// Its Markdown.
        result: Result<String, Text>,
    },
    /// A log stream ended.
    Ended {
        /// The page.
        page: u64,
        /// The request's round.
        round: u64,
        /// Which source.
        source: u16,
        /// Why.
        why: Text,
        /// It happened now; else it was so from the start.
        news: bool,
    },
}

/// Hands a reply to the app; one for a page or round that is gone is dropped.
pub fn take(backend: &mut Backend, app: &mut App, store: &Store, reply: Reply, now: Timestamp) {
    match reply {
        Reply::Planned { ticket, round, result } => {
            let judged = result.map(|mut plan| {
                facts::add(&mut plan, store, now);
                backend.desk.judge(*plan)
            });
            app.planned(ticket, round, judged);
        }
        Reply::Begun { ticket, result } => {
            let result = result.map(|cancel| drop(backend.acting.insert(ticket, cancel)));
            app.begun(ticket, result, now);
        }
        Reply::Acted { ticket, event } => {
            if matches!(event, Event::Ended(_)) {
                backend.acting.remove(&ticket);
            }
            app.acted(ticket, event, now);
        }
        Reply::Runbook { page, result } => app.runbook_fetched(page, result),
        Reply::Text { page, result } => app.fetched(page, result),
        Reply::Lines { page, round, source, lines } => {
            if let Some(state) = app.log_page(page).filter(|s| s.request.round == round) {
                state.answered = true;
                state.buffer.push_all(source, lines);
            }
        }
        Reply::Marker { page, round, source, at, text } => {
            if let Some(state) = app.log_page(page).filter(|s| s.request.round == round) {
                state.answered = true;
                state.note(at, source, &text);
            }
        }
        Reply::Ended { page, round, source, why, news } => {
            if let Some(state) = app.log_page(page).filter(|s| s.request.round == round) {
                state.answered = true;
                let last = state.buffer.lines().iter().rev().find(|l| l.source == source).and_then(|l| l.at);
                state.has_ended(source, &why, last, news);
            }
        }
    }
}

/// The sources, as far as the loop needs them.
#[derive(Default)]
pub struct Backend {
    #[cfg(feature = "kubernetes")]
    kubernetes: Option<Arc<Sources>>,
    #[cfg(feature = "aws")]
    ecs: Option<Arc<ecs::Sources>>,
    #[cfg(feature = "aws")]
    notices: Option<crate::source::spot::Sources>,
    #[cfg(feature = "prometheus")]
    metrics: Option<crate::source::prometheus::Sources>,
    desk: Desk,
    /// Actions under way, to end them early.
    acting: HashMap<u64, CancellationToken>,
    replies: Option<mpsc::Sender<Reply>>,
    streams: HashMap<u64, Vec<Reading>>,
}

/// Something that reads logs for a page.
struct Reading {
    handle: AbortHandle,
    /// The sources that it reads and that somebody still wants.
    sources: Vec<u16>,
}

impl Backend {
    /// With where actions are planned and run.
    #[must_use]
    pub fn and_desk(mut self, desk: Desk) -> Self {
        self.desk = desk;
        self
    }

    /// Where actions are planned and run.
    #[must_use]
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Finds out what would happen.
    pub fn plan(&self, ticket: u64, round: u64, intent: Intent) {
        let Some(replies) = self.replies.clone() else { return };
        let desk = self.desk.clone();
        spawn(async move {
            let result = desk.plan(&intent).await.map(Box::new);
            let _ = replies.send(Reply::Planned { ticket, round, result }).await;
        });
    }

    /// Writes an action down, and begins it.
    pub fn act(&self, ticket: u64, plan: Plan, assent: Assent) {
        let Some(replies) = self.replies.clone() else { return };
        let desk = self.desk.clone();
        spawn(async move {
            // The audit is synced to the disk, which may take its time.
            let begun = tokio::task::spawn_blocking(move || desk.act(plan, &assent)).await;
            let begun = begun.unwrap_or_else(|_| Err(Text::new("beginning it was interrupted")));
            let mut running = match begun {
                Ok(running) => running,
                Err(why) => {
                    let _ = replies.send(Reply::Begun { ticket, result: Err(why) }).await;
                    return;
                }
            };
            let _ = replies.send(Reply::Begun { ticket, result: Ok(running.cancel.clone()) }).await;
            while let Some(event) = running.events.recv().await {
                let _ = replies.send(Reply::Acted { ticket, event }).await;
            }
        });
    }

    /// Fetches a runbook whose link begins with one of `allowed`.
    pub fn fetch_runbook(&self, page: u64, url: String, allowed: Vec<String>) {
        let Some(replies) = self.replies.clone() else { return };
        spawn(async move {
            #[cfg(feature = "prometheus")]
            let result = crate::source::runbook::fetch(&url, &allowed).await;
            #[cfg(not(feature = "prometheus"))]
            let result = {
                let _ = (&url, &allowed);
                Err(Text::new("this build fetches nothing"))
            };
            let _ = replies.send(Reply::Runbook { page, result }).await;
        });
    }

    /// Ends an action early.
    pub fn cancel(&self, ticket: u64) {
        if let Some(cancel) = self.acting.get(&ticket) {
            cancel.cancel();
        }
    }

    /// With the Kubernetes sources.
    #[cfg(feature = "kubernetes")]
    #[must_use]
    pub fn and_kubernetes(mut self, sources: impl Into<Arc<Sources>>) -> Self {
        self.kubernetes = Some(sources.into());
        self
    }

    /// With the ECS sources as well.
    #[cfg(feature = "aws")]
    #[must_use]
    pub fn and_ecs(mut self, sources: impl Into<Arc<ecs::Sources>>) -> Self {
        self.ecs = Some(sources.into());
        self
    }

    /// With the feeds of notices as well.
    #[cfg(feature = "aws")]
    #[must_use]
    pub fn and_notices(mut self, sources: crate::source::spot::Sources) -> Self {
        self.notices = Some(sources);
        self
    }

    /// With the metric backends as well.
    #[cfg(feature = "prometheus")]
    #[must_use]
    pub fn and_metrics(mut self, sources: crate::source::prometheus::Sources) -> Self {
        self.metrics = Some(sources);
        self
    }

    /// True while metric backends are still looked for in a cluster that answers.
    #[must_use]
    pub fn is_looking(&self) -> bool {
        #[cfg(feature = "prometheus")]
        return self.metrics.as_ref().is_some_and(crate::source::prometheus::Sources::is_looking);
        #[cfg(not(feature = "prometheus"))]
        false
    }

    /// Says what is on screen, for sources that are paid by the question.
    #[cfg(feature = "aws")]
    pub fn show(&self, ids: &[ObjectId]) {
        if let Some(sources) = &self.ecs {
            sources.show(ids);
        }
    }

    /// Where answers go.
    pub fn answer_to(&mut self, replies: mpsc::Sender<Reply>) {
        self.replies = Some(replies);
    }

    /// Wakes every source that waits.
    pub fn refresh(&self) {
        #[cfg(feature = "kubernetes")]
        if let Some(sources) = &self.kubernetes {
            sources.refresh();
        }
        #[cfg(feature = "aws")]
        if let Some(sources) = &self.ecs {
            sources.refresh();
        }
        #[cfg(feature = "aws")]
        if let Some(sources) = &self.notices {
            sources.refresh();
        }
        #[cfg(feature = "prometheus")]
        if let Some(sources) = &self.metrics {
            sources.refresh();
        }
    }

    /// For asking a cluster about one object; `None` for one that is not read.
    #[cfg(feature = "kubernetes")]
    #[must_use]
    pub fn reader(&self, cluster: &crate::domain::ClusterId) -> Option<crate::source::kubernetes::Reader> {
        self.kubernetes.as_ref().and_then(|sources| sources.reader(cluster))
    }

    /// For changing something in a cluster; `None` where nothing may be changed.
    #[cfg(all(feature = "kubernetes", feature = "prometheus"))]
    #[must_use]
    pub fn writer(&self, cluster: &crate::domain::ClusterId) -> Option<crate::source::kubernetes::Writer> {
        self.kubernetes.as_ref().and_then(|sources| sources.writer(cluster))
    }

    /// The Alertmanagers that may be changed.
    #[cfg(feature = "prometheus")]
    #[must_use]
    pub fn alertmanagers(&self) -> Option<crate::source::alertmanager::Writers> {
        self.metrics.as_ref().map(crate::source::prometheus::Sources::writers)
    }

    /// Stops reading a page's logs.
    pub fn stop_logs(&mut self, page: u64) {
        for reading in self.streams.remove(&page).unwrap_or_default() {
            reading.handle.abort();
        }
    }

    /// Stops reading one source of a page. What reads several goes on until
    /// nobody wants any of them.
    pub fn end_log(&mut self, page: u64, source: u16) {
        let Some(readings) = self.streams.get_mut(&page) else { return };
        for reading in &mut *readings {
            reading.sources.retain(|s| *s != source);
        }
        readings.retain(|reading| {
            if reading.sources.is_empty() {
                reading.handle.abort();
            }
            !reading.sources.is_empty()
        });
    }

    /// Reads an object: not without an adapter.
    #[cfg(not(any(feature = "kubernetes", feature = "aws")))]
    pub fn fetch(&self, page: u64, _id: ObjectId, _kind: TextKind, _clock: Clock, _store: &Store) {
        if let Some(replies) = &self.replies {
            let why = Text::new("this build reads no clusters");
            let _ = replies.try_send(Reply::Text { page, result: Err(why) });
        }
    }

    /// Reads an object and the events about it.
    #[cfg(any(feature = "kubernetes", feature = "aws"))]
    pub fn fetch(&self, page: u64, id: ObjectId, kind: TextKind, clock: Clock, store: &Store) {
        let Some(replies) = self.replies.clone() else { return };
        #[cfg(feature = "aws")]
        if let Some(reader) = self.ecs.as_ref().and_then(|sources| sources.reader(&id.cluster)) {
            let arn = uid(&id, store);
            spawn(async move {
                let result = reader.object(&id, &arn).await;
                let result = result.map(|o| crate::view::json::json(&o)).map_err(|e| e.text());
                let _ = replies.send(Reply::Text { page, result }).await;
            });
            return;
        }
        #[cfg(feature = "kubernetes")]
        if let Some(reader) = self.reader(&id.cluster) {
            let uid = if id.kind == crate::domain::Kind::Task { uid(&id, store) } else { String::new() };
            spawn(async move {
                let result = read(&reader, &id, kind, &uid, &clock).await;
                let _ = replies.send(Reply::Text { page, result }).await;
            });
            return;
        }
        let _ = (kind, clock, store);
        let why = Text::new(&format!("{} is not connected; try again in a moment", id.cluster));
        let _ = replies.try_send(Reply::Text { page, result: Err(why) });
    }

    /// Reads logs, in place of what the page read before.
    pub fn logs(&mut self, request: &LogRequest, store: &Store) {
        self.stop_logs(request.page);
        self.more_logs(request, 0, store);
    }

    /// Reads logs: not without an adapter.
    #[cfg(not(any(feature = "kubernetes", feature = "aws")))]
    pub fn more_logs(&mut self, request: &LogRequest, _from: u16, _store: &Store) {
        self.streams.insert(request.page, Vec::new());
    }

    /// Reads the logs of a page's sources from number `from` on, beside what it reads.
    #[cfg(any(feature = "kubernetes", feature = "aws"))]
    pub fn more_logs(&mut self, request: &LogRequest, from: u16, store: &Store) {
        let numbered = (0_u16..).zip(&request.sources).skip(usize::from(from));
        let mut readings: Vec<Reading> = Vec::new();
        #[cfg(feature = "kubernetes")]
        if let (Some(sources), Some(replies)) = (&self.kubernetes, &self.replies) {
            readings.extend(numbered.clone().filter_map(|(number, source)| {
                let reader = sources.reader(&source.task.cluster)?;
                let handle = follow(reader, request, number, source, replies.clone());
                Some(Reading { handle, sources: vec![number] })
            }));
        }
        #[cfg(feature = "aws")]
        if let (Some(sources), Some(replies)) = (&self.ecs, &self.replies) {
            readings.extend(follow_ecs(sources, request, numbered.clone(), store, replies));
        }
        let _ = (store, numbered);
        self.streams.entry(request.page).or_default().extend(readings);
    }
}

/// What the object's own system knows it by.
#[cfg(any(feature = "kubernetes", feature = "aws"))]
fn uid(id: &ObjectId, store: &Store) -> String {
    use crate::domain::Kind;
    let uid = match id.kind {
        Kind::Task => store.tasks.get(id).map(|t| &t.uid),
        Kind::Node => store.nodes.get(id).map(|n| &n.uid),
        _ => store.workloads.get(id).map(|w| &w.uid),
    };
    uid.map(ToString::to_string).unwrap_or_default()
}

/// What is wanted of one log.
#[cfg(any(feature = "kubernetes", feature = "aws"))]
fn stream(request: &LogRequest, source: &crate::app::logs::LogSource) -> crate::source::LogStream {
    use crate::app::logs::Range;
    let range = if source.from_start { Range::Head } else { request.range };
    crate::source::LogStream {
        task: source.task.clone(),
        container: source.container.clone(),
        follow: !request.previous,
        since_secs: if let Range::Since(s) = range { Some(s) } else { None },
        tail: if let Range::Tail(n) = range { Some(n) } else { None },
        previous: request.previous,
        uid: source.uid.clone(),
        restarts: Some(source.restarts),
    }
}

/// The logs of ECS tasks: one reader for each cluster, which merges them.
#[cfg(feature = "aws")]
fn follow_ecs<'a>(
    sources: &ecs::Sources,
    request: &LogRequest,
    numbered: impl Iterator<Item = (u16, &'a crate::app::logs::LogSource)>,
    store: &Store,
    replies: &mpsc::Sender<Reply>,
) -> Vec<Reading> {
    let mut wanted: std::collections::BTreeMap<crate::domain::ClusterId, Vec<ecs::Wanted>> =
        std::collections::BTreeMap::default();
    for (number, source) in numbered {
        let Some(task) = store.tasks.get(&source.task) else { continue };
        let Some(own) = &task.ecs else { continue };
        let w = ecs::Wanted { source: number, definition: own.definition_arn.clone(), stream: stream(request, source) };
        wanted.entry(source.task.cluster.clone()).or_default().push(w);
    }
    let mut readings = Vec::new();
    for (cluster, wanted) in wanted {
        let numbers = wanted.iter().map(|w| w.source).collect();
        let Some(reader) = sources.reader(&cluster) else { continue };
        let (page, round, replies) = (request.page, request.round, replies.clone());
        let (task, handle) = futures::future::abortable(async move {
            let (tx, mut chunks) = mpsc::channel::<ecs::Chunk>(64);
            let pass = async {
                while let Some(ecs::Chunk { source, lines }) = chunks.recv().await {
                    let reply = match lines {
                        Ok(lines) => {
                            let lines = lines.into_iter().map(|l| (l.at, parse_sgr(&l.raw))).collect();
                            Reply::Lines { page, round, source, lines }
                        }
                        Err(error) => Reply::Ended { page, round, source, why: error.text(), news: true },
                    };
                    if replies.send(reply).await.is_err() {
                        return;
                    }
                }
            };
            tokio::join!(reader.logs(wanted, tx), pass);
        });
        spawn(async move {
            let _ = task.await;
        });
        readings.push(Reading { handle, sources: numbers });
    }
    readings
}

#[cfg(feature = "kubernetes")]
async fn read(reader: &Reader, id: &ObjectId, kind: TextKind, uid: &str, clock: &Clock) -> Result<Vec<Line>, Text> {
    let object = reader.object(id).await.map_err(|e| Text::new(&e.to_string()))?;
    if kind == TextKind::Yaml {
        return Ok(crate::view::yaml::yaml(&object));
    }
    // Events are a help, not a condition: without permission the rest is shown.
    let events = reader.events(id, uid).await.unwrap_or_default();
    let task = if id.kind == crate::domain::Kind::Task { task_of(id, &object) } else { None };
    Ok(crate::view::describe::describe(&object, task.as_ref(), &events, clock.now()))
}

/// The row that is made of a pod.
#[cfg(feature = "kubernetes")]
fn task_of(id: &ObjectId, pod: &serde_json::Value) -> Option<crate::domain::Task> {
    use crate::source::kubernetes::project::{Projector, Row};
    match Projector::new(id.cluster.clone()).row(crate::store::Feed::Tasks, &pod.to_string()) {
        Ok(Row::Task(task)) => Some(task),
        _ => None,
    }
}

#[cfg(feature = "kubernetes")]
fn follow(
    reader: Reader,
    request: &LogRequest,
    number: u16,
    source: &crate::app::logs::LogSource,
    replies: mpsc::Sender<Reply>,
) -> AbortHandle {
    use futures::StreamExt;
    let (page, round) = (request.page, request.round);
    let stream = stream(request, source);
    let (task, handle) = futures::future::abortable(async move {
        // Lines that wait already go together, so that a busy log costs few frames.
        let mut lines = std::pin::pin!(reader.logs(stream).ready_chunks(256));
        while let Some(chunk) = lines.next().await {
            let mut lines = Vec::with_capacity(chunk.len());
            for item in chunk {
                let (next, ends) = match item {
                    Ok(LogItem::Line(line)) => {
                        lines.push((line.at, parse_sgr(&line.raw)));
                        continue;
                    }
                    Ok(LogItem::Marker { at, text }) => {
                        (Reply::Marker { page, round, source: number, at, text }, false)
                    }
                    Ok(LogItem::Ended { why, news }) => (Reply::Ended { page, round, source: number, why, news }, true),
                    Err(e) => (Reply::Ended { page, round, source: number, why: e.text(), news: true }, true),
                };
                let before = Reply::Lines { page, round, source: number, lines: std::mem::take(&mut lines) };
                if replies.send(before).await.is_err() || replies.send(next).await.is_err() || ends {
                    return;
                }
            }
            if !lines.is_empty() && replies.send(Reply::Lines { page, round, source: number, lines }).await.is_err() {
                return;
            }
        }
        let why = Text::new("the container has no more to say");
        let _ = replies.send(Reply::Ended { page, round, source: number, why, news: false }).await;
    });
    spawn(async move {
        let _ = task.await;
    });
    handle
}

#[expect(clippy::disallowed_methods, reason = "the loop's one home for tasks; each answers or is aborted")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(task));
}
