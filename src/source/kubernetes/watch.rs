//! One feed: list, watch, resume, for as long as the console lives.
//!
//! The list comes as a stream where the server has it, as pages where not. Rows
//! go out in batches: the first at once, later ones when they fill up or when
//! the stream pauses.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::{Notify, watch};

use super::client::{Answer, Connection};
use super::decode::{Lines, Page, StatusObject, Versioned, WatchEvent};
use super::project::{Projector, Row};
use super::resource::{Resource, escape};
use crate::domain::{Cluster, ClusterId, Orchestrator, Text};
use crate::source::error::SourceError;
use crate::source::supervise::{Gone, Voice};
use crate::store::observation::{Body, Feed, Rows};

/// Rows of the first batch: about a screen.
const FIRST: usize = 60;
/// Rows of the others.
const BATCH: usize = 512;
/// A stream that pauses so long has its rows sent.
const PAUSE: Duration = Duration::from_millis(15);
/// Bookmarks come about every minute; a watch silent for so long is dead.
const SILENCE: Duration = Duration::from_secs(200);
/// Objects per page.
const PAGE: usize = 500;
/// How long the other feeds let the tasks go first.
const HEAD_START: Duration = Duration::from_millis(1500);

/// What the feeds of one cluster share.
#[derive(Debug)]
pub struct Shared {
    /// The cluster.
    pub id: ClusterId,
    /// Its connection.
    pub connection: Connection,
    /// Only this namespace.
    pub namespace: Option<String>,
    /// Marked as production.
    pub production: bool,
    /// How often metrics are asked for.
    pub metrics_interval: Duration,
    /// Wakes everyone who waits.
    pub refresh: Notify,
    /// True once the tasks are complete, or have failed.
    pub tasks_done: watch::Sender<bool>,
}

/// Why a feed's round ended.
enum Stop {
    /// The console has ended.
    Gone,
    /// To be retried.
    Failed(SourceError),
}

impl From<Gone> for Stop {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<SourceError> for Stop {
    fn from(error: SourceError) -> Self {
        Self::Failed(error)
    }
}

/// A feed at work.
pub struct Watcher {
    shared: Arc<Shared>,
    resource: &'static Resource,
    voice: Voice,
    projector: Projector,
    /// Where the watch goes on; `None` asks for everything.
    version: Option<String>,
    /// The server refused the streaming list.
    pages: bool,
    rows: Vec<Row>,
    sent: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VersionInfo {
    #[serde(default)]
    git_version: String,
    #[serde(default)]
    minor: String,
}

impl Watcher {
    /// A feed that has not begun.
    #[must_use]
    pub fn new(shared: Arc<Shared>, resource: &'static Resource, voice: Voice) -> Self {
        let projector = Projector::new(shared.id.clone());
        Self { shared, resource, voice, projector, version: None, pages: false, rows: Vec::new(), sent: 0 }
    }

    /// Reads until the console ends.
    pub async fn run(mut self) {
        if self.voice.loading().await.is_err() {
            return;
        }
        let first = self.resource.feed == Feed::Tasks;
        if !first {
            let mut done = self.shared.tasks_done.subscribe();
            let _ = tokio::time::timeout(HEAD_START, done.wait_for(|d| *d)).await;
        }
        loop {
            let result = match self.resource.feed {
                Feed::NodeMetrics | Feed::TaskMetrics => self.poll().await,
                _ => self.round().await,
            };
            if first {
                self.shared.tasks_done.send_replace(true);
            }
            let error = match result {
                Ok(()) => continue,
                Err(Stop::Gone) => return,
                Err(Stop::Failed(error)) => error,
            };
            if error == SourceError::Expired {
                self.version = None;
            }
            let Ok(wait) = self.voice.failed(&error).await else { return };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.shared.refresh.notified() => {}
            }
        }
    }

    /// One list if needed, one watch until it ends.
    async fn round(&mut self) -> Result<(), Stop> {
        if self.version.is_none() {
            if self.resource.feed == Feed::Tasks {
                self.introduce().await?;
            }
            if self.pages {
                self.list().await?;
            }
        }
        let streaming = self.version.is_none();
        let answer = match self.shared.connection.get(&self.watch_path(streaming)).await {
            // A server without streaming lists says so in one of these ways.
            Err(SourceError::Server { code: 400 | 405 | 422, .. }) if streaming => {
                self.pages = true;
                return Ok(());
            }
            answer => answer?,
        };
        if streaming {
            self.voice.say(Body::Begin).await?;
        } else {
            // The watch goes on where it was cut: nothing was missed.
            self.voice.say(Body::Alive).await?;
        }
        self.follow(answer, streaming).await
    }

    fn watch_path(&self, streaming: bool) -> String {
        let path = self.resource.path(self.shared.namespace.as_deref());
        // Feeds do not all come back in the same second.
        let timeout = 400 + (self.resource.feed as u64 * 37) % 200;
        let tail = match &self.version {
            Some(version) => format!("resourceVersion={}", escape(version)),
            None if streaming => "sendInitialEvents=true&resourceVersionMatch=NotOlderThan".to_owned(),
            None => String::new(),
        };
        format!("{path}?watch=true&allowWatchBookmarks=true&timeoutSeconds={timeout}&{tail}")
    }

    /// Says who the cluster is; decides how lists are asked for.
    async fn introduce(&mut self) -> Result<(), Stop> {
        let answer = self.shared.connection.get("/version").await?;
        let endpoint = Text::new(&answer.endpoint);
        let garbage = answer.garbage("/version is not what it should be");
        let info: VersionInfo = serde_json::from_str(&answer.text().await?).map_err(|_| garbage)?;
        let minor: u32 = info.minor.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0);
        // Before 1.27 the parameter is ignored, and the end of the list never told.
        self.pages = self.pages || minor < 27;
        let cluster = Cluster {
            id: self.shared.id.clone(),
            orchestrator: Orchestrator::Kubernetes,
            version: Text::new(&info.git_version),
            endpoint,
            production: self.shared.production,
        };
        self.voice.say(Body::Cluster(cluster)).await?;
        Ok(())
    }

    /// Reads the list in pages; rows appear as pages arrive.
    async fn list(&mut self) -> Result<(), Stop> {
        self.voice.say(Body::Begin).await?;
        let path = self.resource.path(self.shared.namespace.as_deref());
        let mut next = String::new();
        loop {
            let more = if next.is_empty() { String::new() } else { format!("&continue={}", escape(&next)) };
            let answer = self.shared.connection.get(&format!("{path}?limit={PAGE}{more}")).await?;
            let garbage = answer.garbage("a list that is none");
            let text = answer.text().await?;
            let page: Page<'_> = serde_json::from_str(&text).map_err(|_| garbage)?;
            for item in page.items.unwrap_or_default() {
                self.project(item.get()).await?;
            }
            self.flush().await?;
            match page.metadata.next.filter(|n| !n.is_empty()) {
                Some(token) if token == next => {
                    let message = "the server repeats a page".to_owned();
                    return Err(SourceError::Server { code: 200, message }.into());
                }
                Some(token) => next = token,
                None => {
                    self.version = Some(page.metadata.resource_version);
                    self.voice.say(Body::Synced).await?;
                    return Ok(());
                }
            }
        }
    }

    /// Reads a watch until it ends; its regular end is no failure.
    async fn follow(&mut self, mut answer: Answer, mut initial: bool) -> Result<(), Stop> {
        let mut lines = Lines::default();
        loop {
            let piece = match tokio::time::timeout(PAUSE, answer.piece()).await {
                Ok(piece) => piece,
                Err(_) => {
                    self.flush().await?;
                    tokio::select! {
                        piece = tokio::time::timeout(SILENCE, answer.piece()) => piece.map_err(|_| {
                            SourceError::TimedOut { endpoint: answer.endpoint.clone(), secs: SILENCE.as_secs() }
                        })?,
                        () = self.shared.refresh.notified(), if !initial => return Ok(()),
                    }
                }
            };
            let piece = match piece {
                Ok(Some(piece)) => piece,
                Ok(None) => {
                    self.flush().await?;
                    let endpoint = answer.endpoint.clone();
                    if initial || !lines.rest().is_empty() {
                        let reason = "it ended in the middle".to_owned();
                        return Err(SourceError::Cut { endpoint, reason }.into());
                    }
                    return Ok(());
                }
                Err(cut) => {
                    self.flush().await?;
                    return Err(cut.into());
                }
            };
            lines.feed(&piece).map_err(|e| answer.garbage(&e.to_string()))?;
            while let Some(line) = lines.next_line() {
                self.event(&line, &answer.endpoint, &mut initial).await?;
            }
        }
    }

    async fn event(&mut self, line: &[u8], endpoint: &str, initial: &mut bool) -> Result<(), Stop> {
        if line.is_empty() {
            return Ok(());
        }
        let event: WatchEvent<'_> = serde_json::from_slice(line)
            .map_err(|e| SourceError::Garbage { endpoint: endpoint.to_owned(), reason: e.to_string() })?;
        let object = event.object.get();
        match event.kind.as_ref() {
            "ADDED" | "MODIFIED" => {
                self.project(object).await?;
                if !*initial {
                    self.remember(object);
                }
            }
            "DELETED" => {
                self.flush().await?;
                match self.projector.id(self.resource.feed, object) {
                    Ok(id) => self.voice.say(Body::Remove(vec![id])).await?,
                    Err(e) => self.voice.say(Body::Note(Text::new(&e.to_string()))).await?,
                }
                self.remember(object);
            }
            "BOOKMARK" => {
                self.flush().await?;
                let bookmark: Option<Versioned<'_>> = serde_json::from_str(object).ok();
                let ends = bookmark.as_ref().and_then(|b| b.metadata.annotations.as_ref());
                let ends = ends.is_some_and(|a| a.get("k8s.io/initial-events-end").is_some_and(|v| v == "true"));
                self.remember(object);
                if *initial && ends {
                    *initial = false;
                    self.voice.say(Body::Synced).await?;
                    if self.resource.feed == Feed::Tasks {
                        self.shared.tasks_done.send_replace(true);
                    }
                } else if !*initial {
                    self.voice.say(Body::Alive).await?;
                }
            }
            "ERROR" => {
                self.flush().await?;
                let status: StatusObject = serde_json::from_str(object).unwrap_or_default();
                return Err(match status.code {
                    410 => SourceError::Expired,
                    code => SourceError::Server { code, message: Text::new(&status.message).to_string() },
                }
                .into());
            }
            other => {
                let text = format!("an event of unknown type `{other}` was left out");
                self.voice.say(Body::Note(Text::new(&text))).await?;
            }
        }
        Ok(())
    }

    fn remember(&mut self, object: &str) {
        if let Ok(v) = serde_json::from_str::<Versioned<'_>>(object)
            && !v.metadata.resource_version.is_empty()
        {
            self.version = Some(v.metadata.resource_version.into_owned());
        }
    }

    /// One object becomes a row; one that makes no sense is noted and left out.
    async fn project(&mut self, object: &str) -> Result<(), Gone> {
        match self.projector.row(self.resource.feed, object) {
            Ok(row) => self.rows.push(row),
            Err(e) => self.voice.say(Body::Note(Text::new(&e.to_string()))).await?,
        }
        let full = if self.sent == 0 { FIRST } else { BATCH };
        if self.rows.len() >= full { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        if self.rows.is_empty() {
            return Ok(());
        }
        self.sent += self.rows.len();
        let rows = gather(std::mem::take(&mut self.rows));
        self.voice.say(Body::Upsert(rows)).await
    }

    /// Asks for metrics once, then waits for the next time.
    async fn poll(&mut self) -> Result<(), Stop> {
        let path = self.resource.path(self.shared.namespace.as_deref());
        let answer = match self.shared.connection.get(&path).await {
            Err(SourceError::NotFound(_) | SourceError::Server { code: 503, .. }) => {
                let why = "no metrics API here (metrics-server is not installed or not ready)";
                return Err(SourceError::NotFound(why.to_owned()).into());
            }
            answer => answer?,
        };
        let garbage = answer.garbage("a metrics list that is none");
        let text = answer.text().await?;
        let usage = self.projector.usage(self.resource.feed, &text).map_err(|_| garbage)?;
        self.voice.say(Body::Upsert(Rows::Usage(usage))).await?;
        self.voice.say(Body::Synced).await?;
        tokio::select! {
            () = tokio::time::sleep(self.shared.metrics_interval) => {}
            () = self.shared.refresh.notified() => {}
        }
        Ok(())
    }
}

/// Rows of one kind; a feed has no others.
fn gather(rows: Vec<Row>) -> Rows {
    macro_rules! collect {
        ($variant:ident, $rows:ident) => {
            $rows.into_iter().filter_map(|r| if let Row::$variant(r) = r { Some(r) } else { None }).collect()
        };
    }
    match rows.first() {
        Some(Row::Node(_)) => Rows::Nodes(collect!(Node, rows)),
        Some(Row::Workload(_)) => Rows::Workloads(collect!(Workload, rows)),
        Some(Row::Event(_)) => Rows::Events(collect!(Event, rows)),
        Some(Row::Autoscaler(_)) => Rows::Autoscalers(collect!(Autoscaler, rows)),
        Some(Row::DisruptionBudget(_)) => Rows::DisruptionBudgets(collect!(DisruptionBudget, rows)),
        Some(Row::Task(_)) | None => Rows::Tasks(collect!(Task, rows)),
    }
}
