//! Reads Kubernetes clusters: one task per kind and cluster, watching.
//!
//! [`Sources::spawn`] returns at once; connecting happens in the tasks, and no
//! cluster waits for another.

mod client;
mod decode;
mod events;
mod list;
mod logs;
mod metrics;
mod paths;
pub mod project;
mod protobuf;
mod reader;
mod spec;
mod streams;
mod watch;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch as signal};
use tokio::task::JoinSet;

use self::client::Link;
pub use self::reader::Reader;
pub use self::spec::{ClusterSpec, ContextInfo, Kubeconfig, SILENCE, contexts, in_cluster};
pub use self::streams::{Process, Streams};
pub use self::writer::{Cause, Patch, Refusal, WriteError, Writer};
use super::SourceError;
use super::supervise::{Supervisor, guarded};
use crate::clock::Clock;
use crate::domain::{Cluster, ClusterId, Freshness, Orchestrator, Text};
use crate::store::observation::{Body, Feed, Observation, SourceId};

/// How long the less wanted kinds wait for the tasks and nodes to be complete.
/// On a large cluster their lists, events above all, would slow the server down
/// just when the screen waits for rows.
const HEAD_START: Duration = Duration::from_secs(3);

/// What one task does until it is stopped.
type Work = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// The running sources of some clusters. Dropping it stops them.
pub struct Sources {
    links: BTreeMap<ClusterId, Arc<Link>>,
    wake: Arc<Notify>,
    tasks: JoinSet<()>,
}

impl Sources {
    /// Starts reading `specs`, pushing what is found to `tx`. Returns at once;
    /// must be called within a tokio runtime. When `tx` closes, reading ends.
    #[expect(clippy::needless_pass_by_value, reason = "the sources own the channel: it closes when they end")]
    pub fn spawn(specs: Vec<ClusterSpec>, tx: mpsc::Sender<Observation>, clock: Clock) -> Self {
        let mut sources = Self { links: BTreeMap::new(), wake: Arc::new(Notify::new()), tasks: JoinSet::new() };
        for spec in specs {
            let link = Arc::new(Link::new(spec));
            sources.links.insert(link.spec.id.clone(), Arc::clone(&link));
            sources.start(&link, &tx, &clock);
        }
        sources
    }

    fn start(&mut self, link: &Arc<Link>, tx: &mpsc::Sender<Observation>, clock: &Clock) {
        let (go, ready) = signal::channel(0_u8);
        let go = Arc::new(go);
        let supervisor = |feed| {
            let source = SourceId { cluster: link.spec.id.clone(), feed };
            Supervisor::new(source, tx.clone(), clock.clone(), Arc::clone(&self.wake))
        };
        let mut work: Vec<(Option<Feed>, Work)> = Vec::new();
        for feed in Feed::KUBERNETES {
            let (link, mut ready, supervisor) = (Arc::clone(link), ready.clone(), supervisor(feed));
            work.push((
                Some(feed),
                match feed {
                    Feed::Tasks | Feed::Nodes => {
                        let go = Arc::clone(&go);
                        Box::pin(async move { watch::Watcher::new(link, supervisor, Some(go)).run().await })
                    }
                    Feed::NodeMetrics | Feed::TaskMetrics => Box::pin(async move {
                        head_start(&mut ready).await;
                        metrics::run(link, supervisor).await;
                    }),
                    _ => Box::pin(async move {
                        head_start(&mut ready).await;
                        watch::Watcher::new(link, supervisor, None).run().await;
                    }),
                },
            ));
        }
        work.push((None, Box::pin(introduce(Arc::clone(link), supervisor(Feed::Nodes)))));
        for (feed, future) in work {
            let (tx, clock, cluster) = (tx.clone(), clock.clone(), link.spec.id.clone());
            self.tasks.spawn(async move {
                let work = guarded(feed.map_or("the version", Feed::word), future);
                let said = tokio::select! {
                    () = tx.closed() => None,
                    said = work => said,
                };
                let Some(because) = said else { return };
                let at = clock.now();
                let source = SourceId { cluster, feed: feed.unwrap_or(Feed::Nodes) };
                // Without a version the nodes are as good as before.
                let body = match feed {
                    Some(_) => Body::Freshness(Freshness::Down { since: at, because }),
                    None => Body::Note(because),
                };
                if tx.send(Observation { source, at, body }).await.is_err() {
                    tracing::debug!("nobody listens any more");
                }
            });
        }
    }

    /// Ends every wait between attempts, so that what failed is asked again now.
    pub fn refresh(&self) {
        self.wake.notify_waiters();
    }

    /// For asking `cluster` about one object; `None` for a cluster that is not read.
    pub fn reader(&self, cluster: &ClusterId) -> Option<Reader> {
        self.links.get(cluster).map(|link| Reader::new(Arc::clone(link)))
    }

    /// For changing `cluster`; `None` for a cluster that is not read, and for one that is marked read-only.
    pub fn writer(&self, cluster: &ClusterId) -> Option<Writer> {
        self.links.get(cluster).and_then(Writer::new)
    }

    /// For connecting into the pods of `cluster`; `None` for one that is not read, or must not be changed.
    pub fn streams(&self, cluster: &ClusterId) -> Option<Streams> {
        self.writer(cluster).map(|writer| writer.streams())
    }

    /// Stops reading. Requests under way are cut.
    pub fn stop(mut self) {
        self.tasks.abort_all();
    }
}

/// For asking one cluster, and connecting into its pods, without reading it all; `None` where nothing may be
/// changed. Connects when first asked.
#[must_use]
pub fn on_demand(spec: ClusterSpec) -> (Reader, Option<Streams>) {
    let link = Arc::new(Link::new(spec));
    let streams = Writer::new(&link).map(|writer| writer.streams());
    (Reader::new(link), streams)
}

async fn head_start(ready: &mut signal::Receiver<u8>) {
    // Both complete, or failed, or the time is up: whichever comes first.
    let _ = tokio::time::timeout(HEAD_START, ready.wait_for(|answers| *answers >= 2)).await;
}

/// Says who the cluster is, as soon as that is known.
async fn introduce(link: Arc<Link>, mut supervisor: Supervisor) {
    let mut said = false;
    loop {
        let outcome = async {
            let connected = link.connect().await?;
            let cluster = |version: &str| Cluster {
                id: link.spec.id.clone(),
                orchestrator: Orchestrator::Kubernetes,
                version: Text::new(version),
                endpoint: connected.endpoint.clone(),
                providers: Vec::new(),
                production: link.spec.production,
                read_only: link.spec.read_only,
            };
            if !said {
                said = true;
                supervisor.emit(Body::Cluster(cluster(""))).await;
            }
            let version = reader::version(&connected).await?;
            supervisor.emit(Body::Cluster(cluster(&version))).await;
            Ok::<(), SourceError>(())
        };
        match outcome.await {
            Ok(()) | Err(SourceError::Forbidden { .. } | SourceError::NotFound { .. }) => return,
            // The nodes' own feed says what is wrong; saying it twice helps nobody.
            Err(_) => supervisor.breathe().await,
        }
    }
}
