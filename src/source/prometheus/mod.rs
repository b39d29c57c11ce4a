//! Reads metric backends: Prometheus, what speaks its API, and Alertmanagers.
//!
//! [`Sources::spawn`] returns at once; every feed of every backend polls in a task of
//! its own, and none waits for another.

mod alerts;
mod api;
mod http;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

pub(crate) use self::alerts::{Board, after_1970, distinct};
pub use self::alerts::{fingerprint, threshold};
pub(crate) use self::api::garbage;
pub use self::api::{Alert, Api, LabelMap, Noted, Rule, Sample, Series};
pub(crate) use self::http::clipped;
pub use self::http::{Http, Way};
use super::alertmanager;
use super::supervise::{Supervisor, guarded};
use crate::clock::Clock;
use crate::config::BackendSettings;
use crate::domain::{BackendKind, ClusterId, Freshness, Text};
use crate::store::observation::{Body, Feed, Observation, SourceId};

/// One backend to read.
#[derive(Debug, Clone)]
pub struct BackendSpec {
    /// What the console calls it; distinct from every cluster's name.
    pub id: ClusterId,
    /// What it is.
    pub kind: BackendKind,
    /// How it is reached.
    pub way: Way,
    /// What is said about it.
    pub settings: BackendSettings,
    /// The cluster that it is about, where labels do not say.
    pub cluster: Option<ClusterId>,
}

/// What to read, besides the backends themselves.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The clusters that are read: labels may name them.
    pub known: Vec<ClusterId>,
    /// How often alerts are asked for.
    pub interval: Duration,
}

/// A backend as its feeds know it.
#[derive(Debug, Clone)]
pub(crate) struct Backend {
    pub(crate) id: ClusterId,
    pub(crate) kind: BackendKind,
    pub(crate) cluster: Option<ClusterId>,
    pub(crate) settings: Arc<BackendSettings>,
    pub(crate) known: Arc<[ClusterId]>,
    pub(crate) board: Arc<Board>,
    pub(crate) interval: Duration,
}

impl Backend {
    /// How it introduces itself.
    pub(crate) fn introduction(&self, version: &str, endpoint: Text) -> crate::domain::Backend {
        crate::domain::Backend {
            id: self.id.clone(),
            kind: self.kind,
            version: Text::new(&clipped(version, 60)),
            endpoint,
            cluster: self.cluster.clone(),
        }
    }
}

type Work = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// The running sources of some backends. Dropping it stops them.
pub struct Sources {
    wake: Arc<Notify>,
    tasks: JoinSet<()>,
}

/// What starts backends, at first and when more are found.
#[derive(Clone)]
struct Starter {
    plan: Arc<Plan>,
    known: Arc<[ClusterId]>,
    board: Arc<Board>,
    tx: mpsc::Sender<Observation>,
    clock: Clock,
    wake: Arc<Notify>,
}

impl Sources {
    /// Starts reading `specs`, pushing what is found to `tx`. Returns at once; must be
    /// called within a tokio runtime. When `tx` closes, reading ends.
    pub fn spawn(specs: Vec<BackendSpec>, plan: Plan, tx: mpsc::Sender<Observation>, clock: Clock) -> Self {
        let mut sources = Self { wake: Arc::new(Notify::new()), tasks: JoinSet::new() };
        let starter = Starter {
            known: plan.known.clone().into(),
            plan: Arc::new(plan),
            board: Arc::default(),
            tx,
            clock,
            wake: Arc::clone(&sources.wake),
        };
        for spec in specs {
            for work in starter.works(spec) {
                sources.tasks.spawn(work);
            }
        }
        sources
    }

    /// Ends every wait between polls.
    pub fn refresh(&self) {
        self.wake.notify_waiters();
    }
}

impl Starter {
    /// Everything that reads a backend, ready to run.
    fn works(&self, spec: BackendSpec) -> Vec<Work> {
        let BackendSpec { id, kind, way, settings, cluster } = spec;
        let http = Http::new(way, settings.clone());
        let backend = Backend {
            id,
            kind,
            cluster,
            settings: Arc::new(settings),
            known: Arc::clone(&self.known),
            board: Arc::clone(&self.board),
            interval: self.plan.interval,
        };
        let mut works: Vec<(Feed, Work)> = Vec::new();
        match kind {
            BackendKind::Alertmanager => {
                let supervisor = self.supervisor(&backend.id, Feed::Alarms);
                works.push((
                    Feed::Alarms,
                    Box::pin(alertmanager::run(backend.clone(), alertmanager::Api::new(http), supervisor)),
                ));
            }
            BackendKind::Prometheus => {
                let api = Api::new(http);
                let supervisor = self.supervisor(&backend.id, Feed::Alarms);
                works.push((Feed::Alarms, Box::pin(alerts::run(backend.clone(), api.clone(), supervisor))));
            }
        }
        works.into_iter().map(|(feed, work)| self.watched(&backend.id, feed, work)).collect()
    }

    /// Speaks for one feed, which is loading from now on.
    fn supervisor(&self, id: &ClusterId, feed: Feed) -> Supervisor {
        let source = SourceId { cluster: id.clone(), feed };
        let at = self.clock.now();
        let loading = Body::Freshness(Freshness::Loading { since: at });
        // A full channel is no loss: the feed will be heard of soon enough.
        drop(self.tx.try_send(Observation { source: source.clone(), at, body: loading }));
        Supervisor::new(source, self.tx.clone(), self.clock.clone(), Arc::clone(&self.wake))
    }

    /// Ends when nobody listens; says so if it stops by a fault of its own.
    fn watched(&self, id: &ClusterId, feed: Feed, work: Work) -> Work {
        let (tx, clock, source) = (self.tx.clone(), self.clock.clone(), SourceId { cluster: id.clone(), feed });
        Box::pin(async move {
            let said = tokio::select! {
                () = tx.closed() => None,
                said = guarded(feed.word(), work) => said,
            };
            let Some(because) = said else { return };
            let at = clock.now();
            let body = Body::Freshness(Freshness::Down { since: at, because });
            if tx.send(Observation { source, at, body }).await.is_err() {
                tracing::debug!("nobody listens any more");
            }
        })
    }
}
