//! Machines that are taken back: what the embedded fleet's APIs show, and what its ledger says.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do, and the lint's exception for tests does not see them"
)]

use chrono::TimeDelta;
use quarterdeck::clock::Clock;
use quarterdeck::domain::Timestamp;
use quarterdeck::sim::cloud::{Ledger, Outcome};
use quarterdeck::sim::model::{Model, Parameters, Scenario};
use quarterdeck::sim::server::{ServerOptions, SimServer};

/// A fleet with time in the test's hand.
struct Bench {
    sim: SimServer,
    clock: Clock,
    start: Timestamp,
}

impl Bench {
    async fn of(scenario: Scenario) -> Self {
        let start: Timestamp = "2026-11-25T08:30:00.400Z".parse().expect("a time");
        let clock = Clock::manual(start);
        let options = ServerOptions { ecs: scenario.ecs().to_vec(), seed: scenario.seed(), ..ServerOptions::default() };
        let sim = SimServer::start(Box::new(Model::new(scenario)), clock.clone(), options).await.expect("a server");
        Self { sim, clock, start }
    }

    async fn storm() -> Self {
        Self::of(Scenario::embedded("spot-storm", Parameters::default()).expect("a scenario")).await
    }

    /// Lives up to so many seconds after the start, a quarter at a time.
    fn until(&self, secs: i64) {
        while self.clock.now() < self.start + TimeDelta::seconds(secs) {
            self.clock.advance(TimeDelta::milliseconds(250));
            self.sim.tick();
        }
    }
}

fn outcomes(ledger: &Ledger) -> std::collections::BTreeMap<&'static str, usize> {
    let mut out = std::collections::BTreeMap::new();
    for (_, o) in ledger.outcomes() {
        *out.entry(o.word()).or_default() += 1;
    }
    out
}

#[tokio::test]
async fn the_storm() {
    let bench = Bench::storm().await;
    let t = std::time::Instant::now();
    bench.until(15 * 60);
    eprintln!("took {:?}", t.elapsed());
    let ledger = bench.sim.ledger();
    for e in ledger.entries() {
        eprintln!(
            "{:60} {:12} {:10} issued {:?} deadline {:?} tasks {} cut {} {:?}",
            e.victim.rsplit('/').next().unwrap_or_default(), e.cluster, e.instance_type,
            e.issued.map(|t| (t - bench.start).num_seconds()), e.deadline.map(|t| (t - bench.start).num_seconds()),
            e.tasks.len(), e.cut(), e.outcome
        );
    }
    eprintln!("{:?} of {}", outcomes(&ledger), ledger.entries().count());
}
