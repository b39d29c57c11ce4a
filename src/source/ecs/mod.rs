//! Reads ECS clusters: a few tasks for each, polling at a pace that AWS does not notice.
//!
//! [`Sources::spawn`] returns at once; connecting happens in the tasks, and no
//! cluster waits for another.

mod alarms;
mod asks;
mod balancers;
mod definitions;
mod deployments;
mod enter;
mod limits;
mod list;
mod logs;
mod metrics;
mod placements;
mod project;
mod protection;
mod providers;
mod reader;
mod scaling;
mod services;
mod stop_timeouts;
mod targets;
mod tasks;
mod trends;
mod writer;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

pub use self::definitions::{registrable, shown};
pub use self::deployments::Standing;
pub use self::enter::{DOCUMENT, Entry, runtime};
pub use self::logs::{Chunk, Wanted};
pub use self::project::tail;
pub use self::reader::Reader;
pub use self::writer::{AT_ONCE, AlarmNow, ServiceChange, Writer};
use super::SourceError;
use super::aws::budgets::{self, Candidate, Desk, Objectives};
use super::aws::{Account, AccountSpec, Accounts, Bucket, EcsSpec, Tokens};
use super::supervise::{Jitter, Supervisor, guarded};
use crate::clock::Clock;
use crate::domain::{CapacityProvider, Cluster, ClusterId, Freshness, Node, ObjectId, Orchestrator, Resources, Text};
use crate::store::observation::{Body, Feed, Observation, Rows, SourceId};

/// What one task does until it is stopped.
type Work = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;
/// How long tasks wait for the names of the instances they run on.
const NAMES_FIRST: Duration = Duration::from_secs(5);

/// One cluster, and what its feeds know of each other.
#[derive(Debug)]
pub struct Link {
    pub(super) spec: EcsSpec,
    pub(super) account: Arc<Account>,
    projector: Mutex<project::Projector>,
    /// Names of container instances by ARN.
    names: Mutex<HashMap<String, Text>>,
    /// What one running task of each service asks for, and how many there are.
    sizes: Mutex<HashMap<Text, (Resources, u32)>>,
    /// What rollouts take on top of what runs.
    surges: Mutex<Vec<limits::Surge>>,
    /// Services' target groups.
    target_groups: Mutex<HashMap<Text, Vec<Text>>>,
    /// True once the services were read.
    services_known: watch::Sender<bool>,
    /// Service quotas by code: they change by the month.
    quotas: Mutex<HashMap<String, f64>>,
    /// Services' desired counts, for what scales them.
    desired: Mutex<HashMap<Text, u32>>,
    /// The load balancer in front of each target group; `None` where it is none that
    /// counts requests.
    balancers: Mutex<HashMap<Text, Option<String>>>,
    /// Tasks that run, by the names of their rows.
    running: Mutex<HashMap<Text, metrics::Running>>,
    /// How much of Container Insights is on.
    insights: watch::Sender<asks::Insights>,
    /// What the cluster gets its capacity from.
    providers: Mutex<Vec<CapacityProvider>>,
    /// Services that roll out.
    rolling: Mutex<HashSet<Text>>,
    /// What failed lately, by service and definition.
    failures: Mutex<tasks::Failures>,
    /// True for the first cluster that is read of its account: what belongs to the
    /// account as a whole is shown there.
    lead: bool,
}

impl Link {
    fn new(spec: EcsSpec, account: Arc<Account>) -> Self {
        let projector = Mutex::new(project::Projector::new(spec.id.clone()));
        Self {
            spec,
            account,
            projector,
            names: Mutex::default(),
            sizes: Mutex::default(),
            surges: Mutex::default(),
            target_groups: Mutex::default(),
            services_known: watch::Sender::default(),
            quotas: Mutex::default(),
            desired: Mutex::default(),
            balancers: Mutex::default(),
            running: Mutex::default(),
            insights: watch::Sender::default(),
            providers: Mutex::default(),
            rolling: Mutex::default(),
            failures: Mutex::default(),
            lead: false,
        }
    }

    /// A Fargate quota, asked for once.
    async fn quota(&self, code: &str) -> Result<f64, SourceError> {
        let known = lock(&self.quotas).get(code).copied();
        if let Some(known) = known {
            return Ok(known);
        }
        let value = self.account.quota("fargate", code).await?;
        lock(&self.quotas).insert(code.to_owned(), value);
        Ok(value)
    }

    /// The cluster as it introduces itself.
    fn introduction(&self, endpoint: &str) -> Cluster {
        Cluster {
            id: self.spec.id.clone(),
            orchestrator: Orchestrator::Ecs,
            version: Text::empty(),
            endpoint: Text::new(endpoint),
            production: self.spec.production,
            read_only: self.spec.read_only,
            providers: lock(&self.providers).clone(),
        }
    }

    /// Takes in what the cluster's settings say of what may be asked.
    fn settings(&self, cluster: &aws_sdk_ecs::types::Cluster) {
        self.account.learn(cluster.cluster_arn().unwrap_or_default());
        let name = aws_sdk_ecs::types::ClusterSettingName::ContainerInsights;
        let setting = cluster.settings().iter().find(|s| s.name() == Some(&name));
        let level = asks::Insights::of(setting.and_then(|s| s.value()).unwrap_or_default());
        self.insights.send_if_modified(|known| std::mem::replace(known, level) != level);
    }

    fn project<T>(&self, f: impl FnOnce(&mut project::Projector) -> T) -> T {
        f(&mut self.projector.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The interval, a little longer each time, so that consoles do not act in step.
    fn interval(&self, times: u32, jitter: &mut Jitter) -> Duration {
        let base = self.spec.interval * times;
        base + jitter.up_to(base / 10)
    }
}

/// Locks what cannot be left half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is found out while the console runs already: more clusters.
pub type Later = std::pin::Pin<Box<dyn Future<Output = Vec<EcsSpec>> + Send>>;

/// What all sources share.
struct Shared {
    links: Mutex<BTreeMap<ClusterId, Arc<Link>>>,
    accounts: Accounts,
    /// Accounts in the order of their first clusters.
    candidates: Mutex<Vec<Candidate>>,
    wake: Arc<Notify>,
    shown: watch::Sender<Vec<ObjectId>>,
    tx: mpsc::Sender<Observation>,
    clock: Clock,
}

/// The running sources of some clusters. Dropping it stops them.
pub struct Sources {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

impl Shared {
    /// The account of a cluster, and whether this is the first cluster in it.
    fn account(&self, spec: &EcsSpec) -> (Arc<Account>, bool) {
        let account = self.accounts.get(&spec.account, &self.clock);
        let mut candidates = lock(&self.candidates);
        if let Some(known) = candidates.iter_mut().find(|c| Arc::ptr_eq(&c.account, &account)) {
            known.clusters.push(spec.id.clone());
            return (account, false);
        }
        candidates.push(Candidate { account: Arc::clone(&account), clusters: vec![spec.id.clone()] });
        (account, true)
    }

    /// What follows objectives in the accounts that are known when it begins.
    fn budgets(self: &Arc<Self>, objectives: Objectives) -> Work {
        let shared = Arc::clone(self);
        Box::pin(async move {
            let candidates = lock(&shared.candidates).clone();
            let (tx, desk) = (shared.tx.clone(), shared.desk());
            drop(shared);
            tokio::select! {
                () = tx.closed() => {}
                () = budgets::run(desk, candidates, objectives) => {}
            }
        })
    }

    fn desk(&self) -> Desk {
        Desk { tx: self.tx.clone(), clock: self.clock.clone(), wake: Arc::clone(&self.wake) }
    }

    /// Everything that reads a cluster, ready to run.
    fn begin(&self, spec: EcsSpec) -> Vec<Work> {
        let (account, lead) = self.account(&spec);
        let link = &Arc::new(Link { lead, ..Link::new(spec, account) });
        lock(&self.links).insert(link.spec.id.clone(), Arc::clone(link));
        self.works(link)
    }

    fn works(&self, link: &Arc<Link>) -> Vec<Work> {
        let supervisor = |feed| {
            let source = SourceId { cluster: link.spec.id.clone(), feed };
            Supervisor::new(source, self.tx.clone(), self.clock.clone(), Arc::clone(&self.wake))
        };
        let (named, names) = watch::channel(false);
        let work: Vec<(Feed, Work)> = vec![
            (Feed::Nodes, Box::pin(instances(Arc::clone(link), supervisor(Feed::Nodes), named))),
            (Feed::Tasks, {
                let (link, supervisor, mut names) = (Arc::clone(link), supervisor(Feed::Tasks), names);
                Box::pin(async move {
                    // Whichever comes first: the names, a failure to get them, or the end of patience.
                    let _ = tokio::time::timeout(NAMES_FIRST, names.wait_for(|named| *named)).await;
                    tasks::run(link, supervisor).await;
                })
            }),
            (
                Feed::Services,
                Box::pin(services::run(Arc::clone(link), supervisor(Feed::Services), supervisor(Feed::Events))),
            ),
            (Feed::Alarms, Box::pin(alarms::run(Arc::clone(link), supervisor(Feed::Alarms)))),
            (Feed::Autoscalers, Box::pin(scaling::run(Arc::clone(link), supervisor(Feed::Autoscalers)))),
            (Feed::Limits, Box::pin(limits::run(Arc::clone(link), supervisor(Feed::Limits)))),
            (
                Feed::ServiceMetrics,
                Box::pin(metrics::run(Arc::clone(link), supervisor(Feed::ServiceMetrics), self.shown.subscribe())),
            ),
            (
                Feed::Targets,
                Box::pin(targets::run(Arc::clone(link), supervisor(Feed::Targets), self.shown.subscribe())),
            ),
            (Feed::Nodes, Box::pin(introduce(Arc::clone(link), supervisor(Feed::Nodes)))),
        ];
        let mut out: Vec<Work> = Vec::with_capacity(work.len());
        for (feed, future) in work {
            let (tx, clock, cluster) = (self.tx.clone(), self.clock.clone(), link.spec.id.clone());
            out.push(Box::pin(async move {
                let said = tokio::select! {
                    () = tx.closed() => None,
                    said = guarded(feed.word(), future) => said,
                };
                let Some(because) = said else { return };
                let at = clock.now();
                let body = Body::Freshness(Freshness::Down { since: at, because });
                if tx.send(Observation { source: SourceId { cluster, feed }, at, body }).await.is_err() {
                    tracing::debug!("nobody listens any more");
                }
            }));
        }
        out
    }
}

impl Sources {
    /// Starts reading `specs`, and what `later` finds, pushing what is found to
    /// `tx`. Returns at once; must be called within a tokio runtime. When `tx`
    /// closes, reading ends.
    pub fn spawn(specs: Vec<EcsSpec>, later: Option<Later>, tx: mpsc::Sender<Observation>, clock: Clock) -> Self {
        Self::following(specs, later, Objectives::default(), tx, clock)
    }

    /// The same, and follows objectives over CloudWatch in the accounts of these clusters.
    pub fn following(
        specs: Vec<EcsSpec>,
        later: Option<Later>,
        objectives: Objectives,
        tx: mpsc::Sender<Observation>,
        clock: Clock,
    ) -> Self {
        let shared = Arc::new(Shared {
            links: Mutex::default(),
            accounts: Accounts::default(),
            candidates: Mutex::default(),
            wake: Arc::new(Notify::new()),
            shown: watch::Sender::default(),
            tx,
            clock,
        });
        let mut tasks = JoinSet::new();
        for work in specs.into_iter().flat_map(|spec| shared.begin(spec)) {
            tasks.spawn(work);
        }
        if !objectives.definitions.is_empty() {
            shared.desk().announce();
        }
        if let Some(later) = later {
            let shared = Arc::clone(&shared);
            tasks.spawn(async move {
                let mut works: Vec<Work> = later.await.into_iter().flat_map(|spec| shared.begin(spec)).collect();
                works.push(shared.budgets(objectives));
                futures::future::join_all(works).await;
            });
        } else {
            tasks.spawn(shared.budgets(objectives));
        }
        Self { shared, tasks }
    }

    /// Ends every wait between attempts, so that what failed is asked again now.
    pub fn refresh(&self) {
        lock(&self.shared.links).values().for_each(|link| {
            link.account.limits.relax();
            link.account.forget_alarms();
        });
        self.shared.wake.notify_waiters();
    }

    /// The accounts that are read, those that come later among them.
    #[must_use]
    pub fn accounts(&self) -> Accounts {
        self.shared.accounts.clone()
    }

    /// Says what is on screen: only that is worth paying for.
    pub fn show(&self, ids: &[ObjectId]) {
        self.shared.shown.send_if_modified(|shown| {
            let changed = shown != ids;
            if changed {
                ids.clone_into(shown);
            }
            changed
        });
    }

    /// For asking `cluster` about one object; `None` for a cluster that is not read.
    pub fn reader(&self, cluster: &ClusterId) -> Option<Reader> {
        lock(&self.shared.links).get(cluster).map(|link| Reader::new(Arc::clone(link)))
    }

    /// For changing `cluster`; `None` for one that is not read, or must not be changed.
    pub fn writer(&self, cluster: &ClusterId) -> Option<Writer> {
        lock(&self.shared.links).get(cluster).and_then(Writer::new)
    }

    /// For getting into the tasks of `cluster`; `None` for one that is not read, or must not be changed.
    pub fn entry(&self, cluster: &ClusterId) -> Option<Entry> {
        let links = lock(&self.shared.links);
        links.get(cluster).filter(|link| !link.spec.read_only).map(|link| Entry::new(Arc::clone(link)))
    }

    /// Stops reading. Requests under way are cut.
    pub fn stop(mut self) {
        self.tasks.abort_all();
    }
}

/// For changing one cluster and getting into its tasks without reading it all the time; `None` where nothing may be
/// changed there.
#[must_use]
pub fn on_demand(spec: EcsSpec, clock: &Clock) -> Option<(Writer, Entry)> {
    let account = Arc::new(Account::new(spec.account.clone(), clock.clone()));
    let link = Arc::new(Link::new(spec, account));
    let writer = Writer::new(&link)?;
    Some((writer, Entry::new(link)))
}

/// Says who the cluster is, as soon as that is known.
async fn introduce(link: Arc<Link>, mut supervisor: Supervisor) {
    supervisor.emit(Body::Cluster(link.introduction(""))).await;
    loop {
        match link.account.clients().await {
            Ok(clients) => return supervisor.emit(Body::Cluster(link.introduction(&clients.region))).await,
            // The feeds say what is wrong; saying it twice helps nobody.
            Err(_) => supervisor.breathe().await,
        }
    }
}

/// The names of the clusters that an account has in its region.
///
/// # Errors
/// As [`SourceError`].
pub async fn clusters(account: AccountSpec, clock: &Clock) -> Result<Vec<String>, SourceError> {
    const WHAT: &str = "ecs:ListClusters";
    let account = Account::new(account, clock.clone());
    let clients = account.clients().await?;
    let (mut names, mut tokens) = (Vec::new(), Tokens::default());
    loop {
        let request = clients.ecs.list_clusters().max_results(100).set_next_token(tokens.next());
        let page = account.ask(Bucket::ClusterRead, WHAT, request.send()).await?;
        names.extend(page.cluster_arns().iter().map(|arn| tail(arn).to_owned()));
        if !tokens.advance(page.next_token(), WHAT)? {
            return Ok(names);
        }
    }
}

/// Container instances, round after round.
async fn instances(link: Arc<Link>, mut supervisor: Supervisor, named: watch::Sender<bool>) {
    supervisor.loading().await;
    let mut rounds = Rounds::<Node>::default();
    let mut jitter = Jitter::default();
    let mut providers = providers::Watch::default();
    loop {
        // A cluster that is not there is said once, by name, before anything else fails on it.
        let outcome = async {
            let cluster = link.cluster().await?;
            link.settings(&cluster);
            let instances = link.instances().await?;
            Ok((cluster, instances))
        };
        match outcome.await {
            Ok((cluster, found)) => {
                let nodes: Vec<Node> = link.project(|p| found.iter().filter_map(|i| p.instance(i)).collect());
                *lock(&link.names) = nodes.iter().map(|n| (n.uid.to_string(), n.id.name.clone())).collect();
                rounds.send(&mut supervisor, nodes, |n| &n.id, Rows::Nodes).await;
                named.send_replace(true);
                providers.look(&link, &cluster, &supervisor).await;
                supervisor.pause(link.interval(2, &mut jitter)).await;
            }
            Err(error) => {
                named.send_replace(true);
                supervisor.failed(&error).await;
            }
        }
    }
}

/// What was sent of a feed that is read round after round: only differences go on.
#[derive(Debug)]
pub(super) struct Rounds<T> {
    sent: HashMap<ObjectId, T>,
    complete: bool,
}

impl<T> Default for Rounds<T> {
    fn default() -> Self {
        Self { sent: HashMap::new(), complete: false }
    }
}

impl<T: Clone + PartialEq> Rounds<T> {
    /// A whole round: sends what is new or different, and what is gone.
    pub(super) async fn send(
        &mut self,
        supervisor: &mut Supervisor,
        rows: Vec<T>,
        id: impl Fn(&T) -> &ObjectId,
        body: impl Fn(Vec<T>) -> Rows,
    ) {
        let now: std::collections::HashSet<&ObjectId> = rows.iter().map(&id).collect();
        let gone: Vec<ObjectId> = self.sent.keys().filter(|known| !now.contains(known)).cloned().collect();
        let news: Vec<T> = rows.into_iter().filter(|row| self.sent.get(id(row)) != Some(row)).collect();
        for row in &news {
            self.sent.insert(id(row).clone(), row.clone());
        }
        self.sent.retain(|known, _| !gone.contains(known));
        if !self.complete {
            supervisor.emit(Body::Begin).await;
        }
        if !news.is_empty() {
            supervisor.emit(Body::Upsert(body(news))).await;
        }
        if !gone.is_empty() {
            supervisor.emit(Body::Remove(gone)).await;
        }
        if self.complete {
            supervisor.alive();
            supervisor.emit(Body::Alive).await;
            supervisor.resumed().await;
        } else {
            self.complete = true;
            supervisor.synced().await;
        }
    }
}
