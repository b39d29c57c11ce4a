//! The embedded fleet's server: one listener on loopback, the façades behind it.

use std::convert::Infallible;
use std::hash::BuildHasher as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::aws::schema::ClusterDef;
use super::aws::{AwsAccess, AwsApi, AwsFaultControl, is_aws};
use super::backend::Fleet;
use super::cloud::{Cloud, Ledger};
use super::fault::{FaultControl, Faults};
use super::kube::Api;
use super::kube::stream::Upgrade;
use crate::clock::Clock;

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The address is reachable from other machines.
    #[error(
        "the embedded fleet listens on loopback only, not on {0}: use an address such as 127.0.0.1:0 or [::1]:8001"
    )]
    NotLoopback(SocketAddr),
    /// The address cannot be had.
    #[error("the embedded fleet cannot listen on {address}: {source}; choose another port, or 0 for any free one")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Limits and paces, which tests make small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuning {
    /// Events per kind that a watch can catch up with; older ones are 410.
    pub event_log: usize,
    /// Between the bookmarks of an idle watch.
    pub bookmark_every: Duration,
    /// Between the fleet's steps, in real time.
    pub tick: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { event_log: 10_000, bookmark_every: Duration::from_mins(1), tick: Duration::from_millis(100) }
    }
}

/// How to serve a fleet. The default is any free port on 127.0.0.1, no faults.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Where to listen; loopback only. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The kubeconfig's context.
    pub name: String,
    /// Faults from the first request on.
    pub faults: Faults,
    /// Limits and paces.
    pub tuning: Tuning,
    /// ECS clusters, beside the fleet.
    pub ecs: Vec<ClusterDef>,
    /// What everything random in them begins with.
    pub seed: u64,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            name: "demo".to_owned(),
            faults: Faults::default(),
            tuning: Tuning::default(),
            ecs: Vec::new(),
            seed: 1,
        }
    }
}

/// A running server. Dropping it ends it at once; [`SimServer::stop`] waits for the end.
pub struct SimServer {
    addr: SocketAddr,
    name: String,
    token: String,
    faults: Arc<FaultControl>,
    aws: Arc<AwsApi>,
    cloud: Cloud,
    api: Arc<Api>,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for SimServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimServer").field("addr", &self.addr).field("name", &self.name).finish_non_exhaustive()
    }
}

impl SimServer {
    /// Serves `fleet`, on the caller's tokio runtime, with time from `clock`.
    ///
    /// # Errors
    /// When the address is not loopback or cannot be listened on.
    pub async fn start(fleet: Box<dyn Fleet>, clock: Clock, options: ServerOptions) -> Result<Self, SimError> {
        if !options.listen.ip().is_loopback() {
            return Err(SimError::NotLoopback(options.listen));
        }
        let failed = |source| SimError::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let token = random_token();
        let faults = Arc::new(FaultControl::new(options.faults));
        let cloud = fleet.cloud().unwrap_or_default();
        cloud.name_cluster(&options.name);
        let aws =
            Arc::new(AwsApi::new((&options.ecs, options.seed), addr, clock.clone(), key_id(&token), cloud.clone()));
        let api =
            Arc::new(Api::new(fleet, clock, Arc::clone(&faults), token.clone(), addr.to_string(), options.tuning));
        let (stop, stopped) = watch::channel(false);
        let both = (Arc::clone(&api), Arc::clone(&aws));
        let served = serve(listener, addr, both, Arc::clone(&faults), options.tuning.tick, stopped);
        Ok(Self { addr, name: options.name, token, faults, aws, cloud, api, stop, task: Some(spawn(served)) })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// A kubeconfig with the one context that reaches this server. Its token
    /// is this server's alone; it is in the URL as well, because kubectl sends
    /// none over plain HTTP.
    pub fn kubeconfig(&self) -> String {
        let name = serde_json::Value::from(self.name.as_str());
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: {name}\nclusters:\n- name: {name}\n  cluster:\n    \
             server: http://{}/{}\ncontexts:\n- name: {name}\n  context:\n    cluster: {name}\n    user: {name}\n    \
             namespace: default\nusers:\n- name: {name}\n  user:\n    token: {}\npreferences: {{}}\n",
            self.addr, self.token, self.token
        )
    }

    /// The token that requests must bear.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Where Prometheus answers; no token is needed.
    pub fn prometheus(&self) -> String {
        format!("http://{}/prometheus", self.addr)
    }

    /// Where Alertmanager answers; no token is needed.
    pub fn alertmanager(&self) -> String {
        format!("http://{}/alertmanager", self.addr)
    }

    /// How the AWS façade is reached.
    pub fn aws(&self) -> AwsAccess {
        AwsAccess {
            endpoint: format!("http://{}", self.addr),
            key_id: key_id(&self.token),
            secret: self.token.clone(),
            clusters: self.aws.clusters(),
        }
    }

    /// The AWS façade's faults.
    pub fn aws_faults(&self) -> Arc<AwsFaultControl> {
        self.aws.faults()
    }

    /// What the AWS façade was asked: requests by operation and bucket, metrics asked for.
    pub fn aws_report(&self) -> serde_json::Value {
        self.aws.report()
    }

    /// Lets the fleet live up to now, at once: for clocks that are set by hand.
    pub fn tick(&self) {
        self.api.tick();
        self.aws.tick();
    }

    /// What became of everything that was taken back so far.
    pub fn ledger(&self) -> Ledger {
        self.cloud.ledger()
    }

    /// The faults' switches.
    pub fn faults(&self) -> &FaultControl {
        &self.faults
    }

    /// Ends the server and every connection, and waits until the port is free.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if let Some(task) = self.task.take() {
            // An error here is a panic in the server's task, and it has ended then, too.
            let _ = task.await;
        }
    }
}

impl Drop for SimServer {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the server's one task; it owns all others and ends with SimServer")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}

/// How the ids of the access keys begin: as AWS's do, this server's alone.
fn key_id(token: &str) -> String {
    let part: String = token.chars().take(8).collect();
    format!("AKIA{}", part.to_ascii_uppercase())
}

/// 128 bits from the standard library's random hash seeds, in hex.
fn random_token() -> String {
    let half = || std::hash::RandomState::new().hash_one("token");
    format!("{:016x}{:016x}", half(), half())
}

async fn serve(
    listener: TcpListener,
    addr: SocketAddr,
    (api, aws): (Arc<Api>, Arc<AwsApi>),
    faults: Arc<FaultControl>,
    tick: Duration,
    mut stopped: watch::Receiver<bool>,
) {
    let mut down = faults.down();
    let mut connections = JoinSet::new();
    let mut listener = Some(listener);
    let mut ticker = tokio::time::interval(tick);
    ticker.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        if *down.borrow_and_update() {
            listener = None;
            connections.shutdown().await;
        } else if listener.is_none() {
            // The port may be busy for a moment; the next tick tries again.
            listener = TcpListener::bind(addr).await.ok();
        }
        tokio::select! {
            _ = stopped.changed() => break,
            _ = down.changed() => {}
            _ = ticker.tick() => {
                api.tick();
                aws.tick();
            }
            Some(_) = connections.join_next() => {}
            accepted = accept(listener.as_ref()) => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(stream, Arc::clone(&api), Arc::clone(&aws)));
                }
            }
        }
    }
    drop(listener);
    connections.shutdown().await;
}

/// The next connection; never, without a listener.
async fn accept(listener: Option<&TcpListener>) -> std::io::Result<(tokio::net::TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

async fn connection(stream: tokio::net::TcpStream, api: Arc<Api>, aws: Arc<AwsApi>) {
    // Watch events are small and wanted at once; without this they may wait for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let upgraded = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&upgraded);
    let service = service_fn(move |request| {
        let (api, aws, slot) = (Arc::clone(&api), Arc::clone(&aws), Arc::clone(&slot));
        async move {
            let for_aws = is_aws(request.headers(), request.method(), request.uri().path());
            let mut response = if for_aws { aws.handle(request).await } else { api.handle(request).await };
            if let Some(then) = response.extensions_mut().remove::<Upgrade>() {
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = then.take();
            }
            Ok::<_, Infallible>(response)
        }
    });
    // A connection that breaks is the client's affair, or a fault that was asked for.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    // What goes on on it belongs to the connection, and ends with it.
    let then = upgraded.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(then) = then {
        then.await;
    }
}
