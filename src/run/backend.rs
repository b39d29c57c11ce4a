//! What the loop asks of the sources on demand: objects, logs, refresh. Answers
//! come back as [`Reply`]; nothing here blocks.

use std::collections::HashMap;

use futures::future::AbortHandle;
use tokio::sync::mpsc;

use crate::app::App;
use crate::app::logs::LogRequest;
use crate::app::text::TextKind;
use crate::clock::Clock;
#[cfg(any(feature = "kubernetes", feature = "aws"))]
use crate::domain::line::parse_sgr;
use crate::domain::{Line, ObjectId, Span, Text, Timestamp};
use crate::store::Store;

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
    },
}

/// Hands a reply to the app; one for a page or round that is gone is dropped.
pub fn take(app: &mut App, reply: Reply, _now: Timestamp) {
    match reply {
        Reply::Text { page, result } => app.fetched(page, result),
        Reply::Lines { page, round, source, lines } => {
            if let Some(state) = app.log_page(page).filter(|s| s.request.round == round) {
                state.answered = true;
                for (at, spans) in lines {
                    state.buffer.push(at, source, spans, false);
                }
            }
        }
        Reply::Ended { page, round, source, why } => {
            if let Some(state) = app.log_page(page).filter(|s| s.request.round == round) {
                state.answered = true;
                if let Some(place) = state.ended.get_mut(usize::from(source)) {
                    *place = Some(why);
                }
            }
        }
    }
}

/// The sources, as far as the loop needs them.
#[derive(Default)]
pub struct Backend {
    #[cfg(feature = "kubernetes")]
    kubernetes: Option<Sources>,
    #[cfg(feature = "aws")]
    ecs: Option<ecs::Sources>,
    replies: Option<mpsc::Sender<Reply>>,
    streams: HashMap<u64, Vec<AbortHandle>>,
}

impl Backend {
    /// With the Kubernetes sources.
    #[cfg(feature = "kubernetes")]
    #[must_use]
    pub fn and_kubernetes(mut self, sources: Sources) -> Self {
        self.kubernetes = Some(sources);
        self
    }

    /// With the ECS sources as well.
    #[cfg(feature = "aws")]
    #[must_use]
    pub fn and_ecs(mut self, sources: ecs::Sources) -> Self {
        self.ecs = Some(sources);
        self
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
    }

    /// For asking a cluster about one object; `None` for one that is not read.
    #[cfg(feature = "kubernetes")]
    #[must_use]
    pub fn reader(&self, cluster: &crate::domain::ClusterId) -> Option<crate::source::kubernetes::Reader> {
        self.kubernetes.as_ref().and_then(|sources| sources.reader(cluster))
    }

    /// Stops reading a page's logs.
    pub fn stop_logs(&mut self, page: u64) {
        for handle in self.streams.remove(&page).unwrap_or_default() {
            handle.abort();
        }
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

    /// Reads logs: not without an adapter.
    #[cfg(not(any(feature = "kubernetes", feature = "aws")))]
    pub fn logs(&mut self, request: &LogRequest, _store: &Store) {
        self.stop_logs(request.page);
    }

    /// Reads logs, in place of what the page read before.
    #[cfg(any(feature = "kubernetes", feature = "aws"))]
    pub fn logs(&mut self, request: &LogRequest, store: &Store) {
        self.stop_logs(request.page);
        let mut handles: Vec<AbortHandle> = Vec::new();
        #[cfg(feature = "kubernetes")]
        if let (Some(sources), Some(replies)) = (&self.kubernetes, &self.replies) {
            handles.extend((0_u16..).zip(&request.sources).filter_map(|(number, source)| {
                let reader = sources.reader(&source.task.cluster)?;
                Some(follow(reader, request, number, source, replies.clone()))
            }));
        }
        #[cfg(feature = "aws")]
        if let (Some(sources), Some(replies)) = (&self.ecs, &self.replies) {
            handles.extend(follow_ecs(sources, request, store, replies));
        }
        #[cfg(not(feature = "aws"))]
        let _ = store;
        self.streams.insert(request.page, handles);
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
    crate::source::LogStream {
        task: source.task.clone(),
        container: source.container.clone(),
        follow: !request.previous,
        since_secs: if let Range::Since(s) = request.range { Some(s) } else { None },
        tail: if let Range::Tail(n) = request.range { Some(n) } else { None },
        previous: request.previous,
    }
}

/// The logs of ECS tasks: one reader for each cluster, which merges them.
#[cfg(feature = "aws")]
fn follow_ecs(
    sources: &ecs::Sources,
    request: &LogRequest,
    store: &Store,
    replies: &mpsc::Sender<Reply>,
) -> Vec<AbortHandle> {
    let mut wanted: std::collections::BTreeMap<crate::domain::ClusterId, Vec<ecs::Wanted>> =
        std::collections::BTreeMap::default();
    for (number, source) in (0_u16..).zip(&request.sources) {
        let Some(task) = store.tasks.get(&source.task) else { continue };
        let Some(own) = &task.ecs else { continue };
        let w = ecs::Wanted { source: number, definition: own.definition_arn.clone(), stream: stream(request, source) };
        wanted.entry(source.task.cluster.clone()).or_default().push(w);
    }
    let mut handles = Vec::new();
    for (cluster, wanted) in wanted {
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
                        Err(error) => Reply::Ended { page, round, source, why: error.text() },
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
        handles.push(handle);
    }
    handles
}

#[cfg(feature = "kubernetes")]
async fn read(reader: &Reader, id: &ObjectId, kind: TextKind, uid: &str, clock: &Clock) -> Result<Vec<Line>, Text> {
    let object = reader.object(id).await.map_err(|e| Text::new(&e.to_string()))?;
    if kind == TextKind::Yaml {
        return Ok(crate::view::yaml::yaml(&object));
    }
    // Events are a help, not a condition: without permission the rest is shown.
    let events = reader.events(id, uid).await.unwrap_or_default();
    Ok(crate::view::describe::describe(&object, &events, clock.now()))
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
            let mut out = Vec::with_capacity(chunk.len());
            let mut failed = None;
            for item in chunk {
                match item {
                    Ok(line) => out.push((line.at, parse_sgr(&line.raw))),
                    Err(e) => failed = Some(Text::new(&e.to_string())),
                }
            }
            if !out.is_empty() && replies.send(Reply::Lines { page, round, source: number, lines: out }).await.is_err()
            {
                return;
            }
            if let Some(why) = failed {
                let _ = replies.send(Reply::Ended { page, round, source: number, why }).await;
                return;
            }
        }
        let why = Text::new("the container has no more to say");
        let _ = replies.send(Reply::Ended { page, round, source: number, why }).await;
    });
    spawn(async move {
        let _ = task.await;
    });
    handle
}

#[cfg(any(feature = "kubernetes", feature = "aws"))]
#[expect(clippy::disallowed_methods, reason = "the loop's one home for tasks; each answers or is aborted")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(task));
}
