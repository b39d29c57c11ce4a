//! The whole of `spot-storm` through the console's own sources: what the console says became
//! of each machine is what the embedded fleet's ledger says.

#![cfg(all(feature = "kubernetes", feature = "aws"))]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do, and the lint's exception for tests does not see them"
)]

#[path = "support/ecs.rs"]
mod bench;
#[path = "support/feeds.rs"]
mod feeds;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use quarterdeck::clock::{Clock, instant};
use quarterdeck::domain::notice::{NoticeKind, Outcome, Victim};
use quarterdeck::domain::{ClusterId, Text, Timestamp};
use quarterdeck::sim::cloud::{Entry, Outcome as Truth};
use quarterdeck::sim::model::{Model, Parameters, Scenario};
use quarterdeck::sim::server::{ServerOptions, SimServer};
use quarterdeck::source::kubernetes::{ClusterSpec, Kubeconfig};
use quarterdeck::source::{ecs, kubernetes, spot};
use quarterdeck::store::notices::Case;
use quarterdeck::store::{Observation, Store};
use tokio::sync::mpsc;

/// How much faster than life the storm passes.
const SPEED: i64 = 5;
/// A step of the fleet's life.
const STEP: TimeDelta = TimeDelta::milliseconds(250);

/// The console without its screen, on a fleet whose time is in the test's hand.
struct Console {
    sim: SimServer,
    clock: Clock,
    start: Timestamp,
    store: Store,
    rx: mpsc::Receiver<Observation>,
    /// When each victim was first on the board.
    shown: BTreeMap<Victim, Timestamp>,
    _sources: (kubernetes::Sources, ecs::Sources, spot::Sources),
    _state: tempfile::TempDir,
}

impl Console {
    async fn new() -> Self {
        let start: Timestamp = Clock::system().now();
        let clock = Clock::manual(start);
        let scenario = Scenario::embedded("spot-storm", Parameters::default()).expect("a scenario");
        let options = ServerOptions {
            name: "demo".to_owned(),
            ecs: scenario.ecs().to_vec(),
            seed: scenario.seed(),
            ..ServerOptions::default()
        };
        let sim = SimServer::start(Box::new(Model::new(scenario)), clock.clone(), options).await.expect("a server");
        // The SDK signs by the machine's clock.
        sim.aws_faults().set(|f| (f.any_time, f.unlimited) = (true, true));
        let (tx, rx) = mpsc::channel(4096);
        let of_cluster = ClusterSpec {
            id: ClusterId::new("demo"),
            context: None,
            kubeconfig: Kubeconfig::Inline(sim.kubeconfig()),
            namespace: None,
            production: false,
            read_only: true,
            metrics_interval: Duration::from_secs(5),
            silence: kubernetes::SILENCE,
        };
        let specs = bench::specs(&sim, Duration::from_millis(300));
        let store = Store::expecting([of_cluster.id.clone()]).and_ecs(specs.iter().map(|s| s.id.clone()));
        let of_pods = kubernetes::Sources::spawn(vec![of_cluster], tx.clone(), clock.clone());
        let of_ecs = ecs::Sources::spawn(specs, None, tx.clone(), clock.clone());
        let state = tempfile::tempdir().expect("a directory");
        let access = sim.aws();
        let account = feeds::account(&access.endpoint, &access.key_for("123456789012"), &access.secret);
        let plan = spot::Plan {
            feeds: vec![feeds::queue(account, "quarterdeck-events")],
            accounts: of_ecs.accounts(),
            discover: true,
            ec2: true,
            interval: Duration::from_millis(100),
            ec2_interval: Duration::from_millis(500),
            state: Some(state.path().to_owned()),
            receive: true,
            clusters: Vec::new(),
        };
        let of_spot = spot::Sources::spawn(plan, tx, clock.clone());
        Self {
            sim,
            clock,
            start,
            store,
            rx,
            shown: BTreeMap::new(),
            _sources: (of_pods, of_ecs, of_spot),
            _state: state,
        }
    }

    /// Lives until so many seconds after the start.
    async fn until(&mut self, secs: i64) {
        let step = STEP.to_std().expect("a step") / u32::try_from(SPEED).expect("a speed");
        while self.clock.now() < self.start + TimeDelta::seconds(secs) {
            let begun = instant();
            self.clock.advance(STEP);
            self.sim.tick();
            while let Some(left) = step.checked_sub(begun.elapsed()) {
                if let Ok(Some(observation)) = tokio::time::timeout(left, self.rx.recv()).await {
                    self.store.apply(observation);
                }
            }
            let now = self.clock.now();
            self.store.settle(now);
            for case in self.store.notices.cases() {
                self.shown.entry(case.victim.clone()).or_insert(now);
            }
        }
    }

    fn case(&self, entry: &Entry) -> Option<&Case> {
        let id = Text::new(&entry.victim);
        let victim = if entry.victim.starts_with("arn:") { Victim::Task(id) } else { Victim::Instance(id) };
        self.store.notices.case(&victim)
    }
}

fn said(case: &Case) -> String {
    if !case.is_open() && case.kind() == NoticeKind::Unannounced {
        return "unannounced".to_owned();
    }
    match case.outcome {
        Some((Outcome::Evacuated { .. }, _)) => "evacuated".to_owned(),
        Some((Outcome::NotReplaced, _)) => "not replaced".to_owned(),
        Some((Outcome::Cut { tasks }, _)) => format!("{tasks} cut"),
        Some((other, _)) => other.words(),
        None => "open".to_owned(),
    }
}

fn truth(entry: &Entry) -> Option<String> {
    Some(match entry.outcome? {
        Truth::Evacuated { .. } => "evacuated".to_owned(),
        Truth::NotReplaced => "not replaced".to_owned(),
        Truth::Cut(tasks) => format!("{tasks} cut"),
        Truth::Unannounced => "unannounced".to_owned(),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_became_of_each_machine_is_what_the_ledger_says() {
    let mut console = Console::new().await;
    console.until(1000).await;
    let ledger = console.sim.ledger();
    let entries: Vec<&Entry> = ledger.entries().filter(|e| truth(e).is_some()).collect();
    let mut wrong = Vec::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for entry in &entries {
        let Some(expected) = truth(entry) else { continue };
        *counts.entry(expected.trim_start_matches(char::is_numeric).trim().to_owned()).or_default() += 1;
        let case = console.case(entry);
        let seen = case.map_or("never heard of".to_owned(), said);
        if seen != expected {
            wrong.push(format!("{seen:>24} is {expected:>14}: {entry:#?}\n{case:#?}"));
        }
    }
    eprintln!("{counts:?}");
    for (id, state) in console.store.sources() {
        eprintln!("{} {}: {:?}", id.cluster, id.feed.word(), state.freshness);
    }
    let few: Vec<&String> = wrong.iter().take(3).collect();
    for w in few {
        eprintln!("{w}");
    }
    for w in &wrong {
        eprintln!("{}", w.lines().next().unwrap_or_default());
    }
    assert!(wrong.is_empty(), "{} of {} are wrong", wrong.len(), entries.len());
}
