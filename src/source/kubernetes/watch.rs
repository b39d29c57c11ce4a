//! One kind of one cluster: list it, follow it, and start over when that ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http_body_util::BodyExt;
use tokio::sync::watch as signal;
use tokio::time::Instant;

use super::client::{Connected, Link, content_type, cut, event_error};
use super::events::{Object, Stream};
use super::list::Listed;
use super::project::{Projector, Row};
use super::{paths, protobuf};
use crate::domain::{ObjectId, Text};
use crate::source::SourceError;
use crate::source::supervise::{Jitter, Supervisor};
use crate::store::observation::{Body, Feed, Rows};

/// Rows to a message, at most: the one who takes them in has keys to answer between two messages.
const BATCH: usize = 128;
/// How long rows wait for company.
const LINGER: Duration = Duration::from_millis(20);
/// Bookmarks come every minute, and two of them missed are a sign: see
/// [`ClusterSpec::silence`](super::ClusterSpec::silence). But not every kind has them
/// (events do not, they are in no watch cache), and then only a watch that outlives
/// the time it was asked for, by this much, is known to be dead.
const OVERTIME: Duration = Duration::from_secs(30);
/// A streaming list that says nothing for this long is not one.
const LIST_SILENCE: Duration = Duration::from_secs(10);
/// A watch that ends sooner is not asked for again at once.
const SHORT: Duration = Duration::from_secs(5);

/// Where a watch begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    /// With everything there is, then changes.
    Start,
    /// After the resource version we have.
    Last,
}

/// How a watch ended that did not fail.
enum End {
    /// Its time was up, or the connection was cut: go on from the last version.
    Over,
    /// The server does not do streaming lists.
    PagesOnly,
}

pub(super) struct Watcher {
    pub(super) link: Arc<Link>,
    pub(super) supervisor: Supervisor,
    pub(super) feed: Feed,
    pub(super) projector: Projector,
    pub(super) batch: Batch,
    /// Where the next watch begins.
    pub(super) version: Option<String>,
    jitter: Jitter,
    /// Told once, when there is an answer of any kind.
    go: Option<Arc<signal::Sender<u8>>>,
    /// No row of its list was sent yet.
    first: bool,
    /// Watches in a row that ended too soon.
    short: u32,
    /// The namespace was looked for, if one is read alone.
    looked: bool,
    /// The server sends bookmarks while nothing changes.
    bookmarked: bool,
}

impl Watcher {
    pub(super) fn new(link: Arc<Link>, supervisor: Supervisor, go: Option<Arc<signal::Sender<u8>>>) -> Self {
        let feed = supervisor.source().feed;
        let projector = Projector::new(link.spec.id.clone());
        Self {
            link,
            supervisor,
            feed,
            projector,
            batch: Batch::default(),
            version: None,
            jitter: Jitter::default(),
            first: go.is_some(),
            go,
            short: 0,
            looked: false,
            bookmarked: false,
        }
    }

    /// Runs until its task is stopped.
    pub(super) async fn run(mut self) {
        self.supervisor.loading().await;
        let mut expired = 0_u32;
        loop {
            let started = Instant::now();
            let outcome = self.attempt().await;
            self.flush().await;
            self.answered();
            match outcome {
                Ok(()) => {
                    expired = 0;
                    self.short = if started.elapsed() < SHORT { self.short + 1 } else { 0 };
                    if self.short > 1 {
                        self.supervisor.breathe().await;
                    }
                }
                Err(SourceError::Expired) => {
                    self.version = None;
                    expired = if started.elapsed() < SHORT { expired + 1 } else { 1 };
                    if expired > 1 {
                        self.supervisor.failed(&SourceError::Expired).await;
                    }
                }
                Err(error) => {
                    if matches!(error, SourceError::Garbage { .. }) {
                        // Whatever we have been reading, its position means nothing.
                        self.version = None;
                    }
                    self.supervisor.failed(&error).await;
                }
            }
        }
    }

    pub(super) fn answered(&mut self) {
        if let Some(go) = self.go.take() {
            go.send_modify(|answers| *answers += 1);
        }
    }

    /// Lists if need be, then follows one watch to its end.
    async fn attempt(&mut self) -> Result<(), SourceError> {
        let mut connected = self.link.connect().await?;
        if !matches!(self.feed, Feed::Tasks | Feed::Nodes | Feed::Deployments | Feed::StatefulSets | Feed::DaemonSets) {
            connected = connected.in_background();
        }
        if self.feed == Feed::Tasks && !self.looked {
            self.look_for_namespace(&connected).await?;
        }
        if self.version.is_some() {
            return self.follow(&connected, From::Last).await.map(drop);
        }
        let mut begun = String::new();
        if self.reads_protobuf() {
            match self.list(&connected).await? {
                Listed::All => return self.follow(&connected, From::Last).await.map(drop),
                Listed::Begun(next) => begun = next,
            }
        }
        if !self.link.pages_only.load(Ordering::Relaxed) {
            match self.follow(&connected, From::Start).await? {
                End::Over => return Ok(()),
                End::PagesOnly => {
                    self.link.pages_only.store(true, Ordering::Relaxed);
                    begun.clear();
                }
            }
        }
        self.pages(&connected, begun).await?;
        self.follow(&connected, From::Last).await.map(drop)
    }

    /// A namespace that does not exist lists as an empty one: asked once, by the tasks.
    /// Who may not read it is none the wiser and goes on.
    async fn look_for_namespace(&mut self, connected: &Connected) -> Result<(), SourceError> {
        let Some(name) = self.link.spec.namespace.as_deref() else { return Ok(()) };
        let path = format!("/api/v1/namespaces/{}", paths::encode(name));
        match connected.get_all(&path).await {
            Ok(_) | Err(SourceError::Forbidden { .. }) => self.looked = true,
            Err(SourceError::NotFound { .. }) => return Err(SourceError::NoNamespace { name: Text::new(name) }),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Where to watch, and for how long the server is asked to go on.
    fn watch_path(&mut self, from: From) -> (String, Duration) {
        let list = paths::list(self.feed, self.link.spec.namespace.as_deref());
        let seconds = 290 + self.jitter.up_to(Duration::from_mins(5)).as_secs();
        let length = Duration::from_secs(seconds);
        let position = match from {
            From::Start => "sendInitialEvents=true&resourceVersionMatch=NotOlderThan".to_owned(),
            From::Last => format!("resourceVersion={}", paths::encode(self.version.as_deref().unwrap_or_default())),
        };
        (format!("{list}?watch=true&allowWatchBookmarks=true&timeoutSeconds={seconds}&{position}"), length)
    }

    async fn follow(&mut self, connected: &Connected, from: From) -> Result<End, SourceError> {
        let (path, length) = self.watch_path(from);
        let protobuf = self.reads_protobuf() && from == From::Last;
        let accept = if protobuf { protobuf::ACCEPT_WATCH } else { "application/json" };
        let response = match connected.watch(&path, accept).await {
            Err(SourceError::Server { code: 400 | 422, .. }) if from == From::Start => return Ok(End::PagesOnly),
            other => other?,
        };
        let mut initial = from == From::Start;
        if initial {
            self.supervisor.emit(Body::Begin).await;
        } else {
            self.supervisor.resumed().await;
        }
        let mut stream = Stream::of(&content_type(&response));
        let mut body = response.into_body();
        loop {
            let patience = match (self.batch.is_empty(), initial) {
                (false, _) => LINGER,
                (true, true) => LIST_SILENCE,
                (true, false) if self.bookmarked => self.link.spec.silence,
                (true, false) => length + OVERTIME,
            };
            let chunk = match tokio::time::timeout(patience, body.frame()).await {
                Err(_) if !self.batch.is_empty() => {
                    self.flush().await;
                    continue;
                }
                Err(_) if initial => return Ok(End::PagesOnly),
                Err(_) => {
                    return Err(SourceError::TimedOut { what: connected.endpoint.clone(), after: patience });
                }
                Ok(None) if initial => return Err(cut_short(connected)),
                // Half an event may be left in `stream`: it comes again, since the
                // version is only moved past what was read whole.
                Ok(None) => return Ok(End::Over),
                Ok(Some(Err(e))) if initial => return Err(cut(&connected.endpoint, &e)),
                Ok(Some(Err(e))) => {
                    tracing::debug!(feed = self.feed.word(), error = %e, "the watch was cut");
                    return Ok(End::Over);
                }
                Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            };
            stream.push(&chunk);
            let taken = self.take_in(&stream, &mut initial).await;
            stream.take();
            for _ in 0..stream.dropped() {
                self.note("an object of more than 16 MiB was skipped").await;
            }
            taken?;
            self.supervisor.alive();
            if initial && self.first && !self.batch.is_empty() {
                // The first screen at once; the rest in batches.
                self.first = false;
                self.flush().await;
            }
        }
    }

    /// Takes in the whole events of a chunk.
    async fn take_in(&mut self, stream: &Stream, initial: &mut bool) -> Result<(), SourceError> {
        let mut last = None;
        for event in stream.events() {
            let (kind, object) = match event {
                Ok(parts) => parts,
                Err(error) => {
                    self.remember(last);
                    return Err(error);
                }
            };
            match kind.as_ref() {
                "ADDED" | "MODIFIED" => {
                    match object.row(self.feed, &mut self.projector) {
                        Ok(row) => self.upsert(row).await,
                        Err(e) => self.note(&format!("skipped: {e}")).await,
                    }
                    last = Some(object);
                }
                "DELETED" => {
                    match object.id(self.feed, &mut self.projector) {
                        Ok(id) => self.remove(id).await,
                        Err(e) => self.note(&format!("skipped: {e}")).await,
                    }
                    last = Some(object);
                }
                "BOOKMARK" => {
                    last = None;
                    self.bookmark(object, initial).await;
                }
                "ERROR" => {
                    if !*initial {
                        self.remember(last);
                    }
                    return Err(event_error(&object.status()));
                }
                other => {
                    let what = format!("an unknown watch event \"{other}\" was skipped");
                    self.note(&what).await;
                }
            }
        }
        // In a streaming list the versions are in no order: only its last bookmark counts.
        if !*initial {
            self.remember(last);
        }
        Ok(())
    }

    async fn bookmark(&mut self, object: Object<'_>, initial: &mut bool) {
        let Some(meta) = object.meta() else { return };
        let ends = meta.ends_initial_events();
        if !*initial || ends {
            self.version = Some(meta.resource_version);
        }
        if *initial && ends {
            *initial = false;
            self.flush().await;
            self.supervisor.synced().await;
            self.answered();
        } else if !*initial {
            self.bookmarked = true;
            self.supervisor.emit(Body::Alive).await;
        }
    }

    /// One look into the newest object of a chunk is enough to know where we are.
    fn remember(&mut self, last: Option<Object<'_>>) {
        if self.version.is_some()
            && let Some(meta) = last.and_then(Object::meta)
            && !meta.resource_version.is_empty()
        {
            self.version = Some(meta.resource_version);
        }
    }

    pub(super) async fn upsert(&mut self, row: Row) {
        if !self.batch.removed.is_empty() || self.batch.rows.as_ref().is_some_and(|r| r.len() >= BATCH) {
            self.flush().await;
        }
        self.batch.push(row);
    }

    async fn remove(&mut self, id: ObjectId) {
        if self.batch.rows.is_some() || self.batch.removed.len() >= BATCH {
            self.flush().await;
        }
        self.batch.removed.push(id);
    }

    pub(super) async fn flush(&mut self) {
        let Batch { rows, removed } = std::mem::take(&mut self.batch);
        if let Some(rows) = rows {
            self.supervisor.emit(Body::Upsert(rows)).await;
        }
        if !removed.is_empty() {
            self.supervisor.emit(Body::Remove(removed)).await;
        }
    }

    pub(super) async fn note(&self, what: &str) {
        self.supervisor.emit(Body::Note(Text::new(what))).await;
    }
}

pub(super) fn cut_short(connected: &Connected) -> SourceError {
    let reason = Text::new("the connection ended before the list was complete");
    SourceError::Unreachable { endpoint: connected.endpoint.clone(), reason }
}

/// Rows or removals on their way, never both: their order matters.
#[derive(Default)]
pub(super) struct Batch {
    rows: Option<Rows>,
    removed: Vec<ObjectId>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.rows.is_none() && self.removed.is_empty()
    }

    fn push(&mut self, row: Row) {
        match (&mut self.rows, row) {
            (Some(Rows::Nodes(rows)), Row::Node(row)) => rows.push(row),
            (Some(Rows::Tasks(rows)), Row::Task(row)) => rows.push(row),
            (Some(Rows::Workloads(rows)), Row::Workload(row)) => rows.push(row),
            (Some(Rows::Events(rows)), Row::Event(row)) => rows.push(row),
            (Some(Rows::Autoscalers(rows)), Row::Autoscaler(row)) => rows.push(row),
            (Some(Rows::DisruptionBudgets(rows)), Row::DisruptionBudget(row)) => rows.push(row),
            // A feed yields one kind of row, so there was none yet.
            (slot, row) => {
                *slot = Some(match row {
                    Row::Node(row) => Rows::Nodes(vec![row]),
                    Row::Task(row) => Rows::Tasks(vec![row]),
                    Row::Workload(row) => Rows::Workloads(vec![row]),
                    Row::Event(row) => Rows::Events(vec![row]),
                    Row::Autoscaler(row) => Rows::Autoscalers(vec![row]),
                    Row::DisruptionBudget(row) => Rows::DisruptionBudgets(vec![row]),
                });
            }
        }
    }
}
