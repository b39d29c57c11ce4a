//! Reads metric backends: Prometheus, what speaks its API, and Alertmanagers.
//!
//! [`Sources::spawn`] returns at once; every feed of every backend polls in a task of
//! its own, and none waits for another.

mod alerts;
mod api;
mod budgets;
#[cfg(feature = "kubernetes")]
mod discover;
mod http;
mod presets;
mod signals;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

pub(crate) use self::alerts::{Board, after_1970, distinct};
pub use self::alerts::{fingerprint, threshold};
pub(crate) use self::api::garbage;
pub use self::api::{Alert, Api, LabelMap, Noted, Rule, Sample, Series};
use self::budgets::{Evaluator, Objectives};
#[cfg(feature = "kubernetes")]
pub use self::discover::{Look, likely};
pub(crate) use self::http::clipped;
pub use self::http::{Http, Way};
use super::alertmanager;
use super::supervise::{Supervisor, guarded};
use crate::clock::Clock;
use crate::config::{BackendSettings, ServiceSettings};
use crate::domain::{BackendKind, ClusterId, Freshness, Text};
use crate::slo::{Definition, Outcome};
use crate::store::observation::{Body, Feed, Observation, Rows, SourceId};

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
#[derive(Default)]
pub struct Plan {
    /// The clusters that are read: labels may name them.
    pub known: Vec<ClusterId>,
    /// How often alerts are asked for.
    pub interval: Duration,
    /// How often short windows of budgets, and golden signals, are asked for.
    pub slo_interval: Duration,
    /// Files of objectives, as they were read.
    pub objectives: Option<Outcome>,
    /// What is asked for golden signals; with none, conventions are looked for.
    pub services: Vec<ServiceSettings>,
    /// Clusters in which backends are looked for.
    #[cfg(feature = "kubernetes")]
    pub looks: Vec<Look>,
}

impl Plan {
    /// True where there are objectives, or complaints about their files, and none of `specs` can be asked.
    #[must_use]
    pub fn is_for_nobody(&self, specs: &[BackendSpec]) -> bool {
        let any = self.objectives.as_ref().is_some_and(|o| !o.definitions.is_empty() || !o.found.is_empty());
        any && specs.iter().all(|s| s.kind != BackendKind::Prometheus)
    }
}

/// The name under which objectives are shown that nobody can be asked about.
pub const NOBODY: &str = "slo";

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
            found: false,
        }
    }
}

/// A cluster that is being looked into, until this is dropped.
#[cfg(feature = "kubernetes")]
struct Looking(Arc<watch::Sender<usize>>);

#[cfg(feature = "kubernetes")]
impl Looking {
    fn begin(all: &Arc<watch::Sender<usize>>) -> Self {
        all.send_modify(|n| *n += 1);
        Self(Arc::clone(all))
    }
}

#[cfg(feature = "kubernetes")]
impl Drop for Looking {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n = n.saturating_sub(1));
    }
}

type Work = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// The running sources of some backends. Dropping it stops them.
pub struct Sources {
    wake: Arc<Notify>,
    tasks: JoinSet<()>,
    writers: alertmanager::Writers,
    looking: Arc<watch::Sender<usize>>,
}

/// What starts backends, at first and when more are found.
#[derive(Clone)]
struct Starter {
    interval: Duration,
    slo_interval: Duration,
    objectives: Objectives,
    services: Arc<Vec<ServiceSettings>>,
    /// The Prometheus that takes what is nobody's: the first.
    first: Arc<Mutex<Option<ClusterId>>>,
    /// Whether objectives are shown as nobody's; held while what is shown for nobody changes.
    nobody: Arc<tokio::sync::Mutex<bool>>,
    /// Clusters in which nobody has looked for backends yet.
    looking: Arc<watch::Sender<usize>>,
    known: Arc<[ClusterId]>,
    board: Arc<Board>,
    tx: mpsc::Sender<Observation>,
    clock: Clock,
    wake: Arc<Notify>,
    writers: alertmanager::Writers,
}

impl Sources {
    /// Starts reading `specs`, pushing what is found to `tx`. Returns at once; must be
    /// called within a tokio runtime. When `tx` closes, reading ends.
    pub fn spawn(specs: Vec<BackendSpec>, plan: Plan, tx: mpsc::Sender<Observation>, clock: Clock) -> Self {
        let writers = alertmanager::Writers::default();
        let mut sources = Self {
            wake: Arc::new(Notify::new()),
            tasks: JoinSet::new(),
            writers: writers.clone(),
            looking: Arc::default(),
        };
        let for_nobody = plan.is_for_nobody(&specs);
        let prometheus = specs.iter().filter(|s| s.kind == BackendKind::Prometheus);
        let names: Vec<String> = prometheus.map(|s| s.id.to_string()).collect();
        let outcome = plan.objectives.unwrap_or_default();
        let starter = Starter {
            interval: plan.interval,
            slo_interval: plan.slo_interval,
            first: Arc::new(Mutex::new(names.first().map(|n| ClusterId::new(n)))),
            nobody: Arc::default(),
            looking: Arc::clone(&sources.looking),
            objectives: Objectives {
                complaints: Arc::new(budgets::complaints(&outcome)),
                definitions: Arc::new(outcome.definitions),
                names: Arc::new(names),
            },
            services: Arc::new(plan.services),
            known: plan.known.clone().into(),
            board: Arc::default(),
            tx,
            clock,
            wake: Arc::clone(&sources.wake),
            writers,
        };
        #[cfg(feature = "kubernetes")]
        let looks: Vec<(Look, Looking)> =
            plan.looks.into_iter().map(|look| (look, Looking::begin(&starter.looking))).collect();
        if for_nobody {
            starter.wait_for_somebody();
            sources.tasks.spawn(starter.clone().unread());
        }
        for spec in specs {
            for work in starter.works(spec) {
                sources.tasks.spawn(work);
            }
        }
        #[cfg(feature = "kubernetes")]
        for (look, looking) in looks {
            let (starter, tx) = (starter.clone(), starter.tx.clone());
            sources.tasks.spawn(async move {
                tokio::select! {
                    () = tx.closed() => {}
                    () = discover::run(look, looking, starter) => {}
                }
            });
        }
        sources
    }

    /// The Alertmanagers that may be changed, those that are found later among them.
    #[must_use]
    pub fn writers(&self) -> alertmanager::Writers {
        self.writers.clone()
    }

    /// True while nobody knows yet what a cluster that answers has: what is found there introduces itself first.
    #[must_use]
    pub fn is_looking(&self) -> bool {
        *self.looking.borrow() > 0
    }

    /// Ends every wait between polls.
    pub fn refresh(&self) {
        self.wake.notify_waiters();
    }
}

impl Starter {
    /// Objectives for which nobody is set up are loading until it is known whom to ask.
    fn wait_for_somebody(&self) {
        let (source, at) = (SourceId { cluster: ClusterId::new(NOBODY), feed: Feed::Budgets }, self.clock.now());
        let loading = Body::Freshness(Freshness::Loading { since: at });
        drop(self.tx.try_send(Observation { source, at, body: loading }));
    }

    /// Once the clusters were looked into: shows the objectives that there is nobody to ask about, as
    /// long as that is so.
    async fn unread(self) {
        // An error is the end of all who could look.
        drop(self.looking.subscribe().wait_for(|n| *n == 0).await);
        let mut shown = self.nobody.lock().await;
        let is_taken = self.first.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        let definitions: &[Definition] = if is_taken { &[] } else { &self.objectives.definitions };
        self.of_nobody(budgets::unread(&ClusterId::new(NOBODY), definitions)).await;
        *shown = !is_taken;
        let notes = self.objectives.complaints.iter().cloned().map(Body::Note);
        for body in notes {
            self.as_nobody(body).await;
        }
    }

    /// One was found that can be asked: what was shown for nobody is gone before it speaks.
    #[cfg(feature = "kubernetes")]
    async fn taken_over(&self) {
        if std::mem::take(&mut *self.nobody.lock().await) {
            self.of_nobody(Rows::Budgets(Vec::new())).await;
        }
    }

    async fn of_nobody(&self, rows: Rows) {
        for body in [Body::Begin, Body::Upsert(rows), Body::Synced] {
            self.as_nobody(body).await;
        }
    }

    async fn as_nobody(&self, body: Body) {
        let source = SourceId { cluster: ClusterId::new(NOBODY), feed: Feed::Budgets };
        // When nobody listens, everything ends anyway.
        drop(self.tx.send(Observation { source, at: self.clock.now(), body }).await);
    }

    /// The same for one that was found just now: it introduces itself before it says anything else.
    #[cfg(feature = "kubernetes")]
    async fn introduced(&self, spec: BackendSpec) -> Vec<Work> {
        if spec.kind == BackendKind::Prometheus {
            self.first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| spec.id.clone());
            self.taken_over().await;
        }
        let introduction = crate::domain::Backend {
            id: spec.id.clone(),
            kind: spec.kind,
            version: Text::empty(),
            endpoint: Text::new(&spec.way.endpoint()),
            cluster: spec.cluster.clone(),
            found: false,
        };
        let source = SourceId { cluster: spec.id.clone(), feed: Feed::Alarms };
        let observation = Observation { source, at: self.clock.now(), body: Body::Backend(introduction) };
        if self.tx.send(observation).await.is_err() {
            return Vec::new();
        }
        self.works(spec)
    }

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
            interval: self.interval,
        };
        let mut works: Vec<(Feed, Work)> = Vec::new();
        match kind {
            BackendKind::Alertmanager => {
                if let Some(writer) = alertmanager::Writer::new(&backend, &http, &self.wake) {
                    self.writers.add(writer);
                }
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
                works.push((Feed::Budgets, self.budgets(&backend, &api)));
                works.extend(self.signals(&backend, &api).map(|work| (Feed::Signals, work)));
            }
            // Read by AWS's sources: CloudWatch's budgets by the account's own pace and meter.
            BackendKind::EventLog | BackendKind::EventQueue | BackendKind::Ec2 | BackendKind::CloudWatch => {}
        }
        works.into_iter().map(|(feed, work)| self.watched(&backend.id, feed, work)).collect()
    }

    fn budgets(&self, backend: &Backend, api: &Api) -> Work {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).as_ref() == Some(&backend.id);
        let evaluator = Evaluator {
            backend: backend.clone(),
            api: api.clone(),
            clock: self.clock.clone(),
            interval: self.slo_interval,
            definitions: self.objectives.of(backend.id.as_str(), first),
            complaints: if first { self.objectives.complaints.to_vec() } else { Vec::new() },
        };
        Box::pin(budgets::run(evaluator, self.supervisor(&backend.id, Feed::Budgets)))
    }

    /// `None` where other backends are set up for services, and this one is not.
    fn signals(&self, backend: &Backend, api: &Api) -> Option<Work> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).as_ref() == Some(&backend.id);
        let mine = |s: &&ServiceSettings| s.prometheus.as_deref().map_or(first, |name| name == backend.id.as_str());
        let services: Vec<ServiceSettings> = self.services.iter().filter(mine).cloned().collect();
        if services.is_empty() && !self.services.is_empty() {
            return None;
        }
        let (backend, api, clock) = (backend.clone(), api.clone(), self.clock.clone());
        let supervisor = self.supervisor(&backend.id, Feed::Signals);
        let reader = signals::Reader { backend, api, clock, interval: self.slo_interval, services };
        Some(Box::pin(signals::run(reader, supervisor)))
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
