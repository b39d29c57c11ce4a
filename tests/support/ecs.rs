//! An ECS cluster of the embedded fleet, and our sources reading it.

#![allow(dead_code, reason = "each test uses its part")]

use std::sync::Arc;
use std::time::Duration;

use quarterdeck::clock::{Clock, instant};
use quarterdeck::domain::{ClusterId, Freshness};
use quarterdeck::sim::aws::AwsFaultControl;
use quarterdeck::sim::model::{Model, Scenario};
use quarterdeck::sim::server::{ServerOptions, SimServer};
use quarterdeck::source::aws::{AccountSpec, EcsSpec, Keys};
use quarterdeck::source::ecs::Sources;
use quarterdeck::store::{Feed, Observation, Store};
use tokio::sync::mpsc;

/// What every scenario here needs beside its ECS clusters.
pub const BASE: &str =
    "[[nodes]]\ngroup = 'g'\ncount = 1\ninstance = 'm7i.large'\nzones = ['eu-west-1a']\ncpu = 2\nmemory = 8\n";

/// A fleet, its sources, and what they have said.
pub struct Bench {
    pub sim: SimServer,
    pub faults: Arc<AwsFaultControl>,
    pub sources: Sources,
    pub store: Store,
    rx: mpsc::Receiver<Observation>,
}

/// A server for a scenario.
pub async fn serve(ecs: &str) -> SimServer {
    let scenario = Scenario::parse(&format!("{BASE}{ecs}"), "test.toml").expect("a scenario");
    let options = ServerOptions { ecs: scenario.ecs().to_vec(), seed: 7, ..ServerOptions::default() };
    SimServer::start(Box::new(Model::new(scenario)), Clock::system(), options).await.expect("a server")
}

/// The specs of all clusters of a server.
pub fn specs(sim: &SimServer, interval: Duration) -> Vec<EcsSpec> {
    let access = sim.aws();
    let full = |(name, region, account): &(String, String, String)| format!("test-{account}@{region}/{name}");
    let pairs: Vec<(String, String)> = access.clusters.iter().map(|c| (c.0.clone(), full(c))).collect();
    let names = quarterdeck::config::ecs::distinct(&pairs, &[]);
    let spec = |((name, region, account), shown): (&(String, String, String), String)| EcsSpec {
        id: ClusterId::new(&shown),
        cluster: name.clone(),
        account: AccountSpec {
            profile: Some(if account == "123456789012" { "test".to_owned() } else { format!("test-{account}") }),
            region: Some(region.clone()),
            endpoint: Some(access.endpoint.clone()),
            keys: Some(Keys { id: access.key_for(account), secret: access.secret.clone() }),
            ceiling: Some(100),
        },
        production: false,
        read_only: false,
        interval,
    };
    access.clusters.iter().zip(names).map(spec).collect()
}

impl Bench {
    /// Starts reading all clusters; `change` may spoil the specs first.
    pub async fn new(ecs: &str, change: impl Fn(&mut EcsSpec)) -> Self {
        let sim = serve(ecs).await;
        let mut specs = specs(&sim, Duration::from_millis(500));
        specs.iter_mut().for_each(change);
        Self::reading(sim, specs)
    }

    /// Reads these.
    pub fn reading(sim: SimServer, specs: Vec<EcsSpec>) -> Self {
        let (tx, rx) = mpsc::channel(1024);
        let store = Store::expecting([]).and_ecs(specs.iter().map(|s| s.id.clone()));
        let sources = Sources::spawn(specs, None, tx, Clock::system());
        Self { faults: sim.aws_faults(), sim, sources, store, rx }
    }

    /// Applies what comes until `done`, or fails with what was said.
    pub async fn until(&mut self, what: &str, patience: Duration, done: impl Fn(&Store) -> bool) {
        let start = instant();
        while !done(&self.store) {
            let Some(left) = patience.checked_sub(start.elapsed()) else {
                let now: Vec<String> = self
                    .store
                    .sources()
                    .map(|(id, s)| format!("{} {}: {:?}", id.cluster, id.feed.word(), s.freshness))
                    .collect();
                panic!("waited in vain for {what}: {now:#?}");
            };
            if let Ok(Some(observation)) = tokio::time::timeout(left, self.rx.recv()).await {
                self.store.apply(observation);
            }
        }
    }

    /// Applies what comes for so long.
    pub async fn pass(&mut self, time: Duration) {
        let start = instant();
        while let Some(left) = time.checked_sub(start.elapsed()) {
            if let Ok(Some(observation)) = tokio::time::timeout(left, self.rx.recv()).await {
                self.store.apply(observation);
            }
        }
    }

    /// Waits for everything of every cluster.
    pub async fn complete(&mut self) {
        self.until("a whole picture", Duration::from_mins(1), |s| {
            s.is_complete(&[Feed::Tasks, Feed::Services, Feed::Nodes, Feed::Events, Feed::Autoscalers, Feed::Limits])
        })
        .await;
    }
}

/// The state of a feed of the first cluster, and why.
pub fn state(store: &Store, feed: Feed) -> (&'static str, String) {
    let Some((cluster, _)) = store.clusters().next() else { return ("", String::new()) };
    store.source(cluster, feed).map_or(("", String::new()), |s| {
        (s.freshness.word(), s.freshness.reason().map(ToString::to_string).unwrap_or_default())
    })
}

/// True if the feed is live.
pub fn live(store: &Store, feed: Feed) -> bool {
    store.clusters().all(|(c, _)| store.source(c, feed).is_some_and(|s| matches!(s.freshness, Freshness::Live { .. })))
}
