//! Five ECS clusters, 200 services, 2,000 tasks, with AWS's limits on: nothing is
//! lost, nothing is throttled, never more than two requests a second to a bucket,
//! and the meter counts what the fleet counts.

#![cfg(feature = "aws")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests fail as tests do, and the lint's exception for tests does not see them"
)]

#[path = "support/ecs.rs"]
mod ecs;

use std::time::Duration;

use ecs::{Bench, live, serve, specs};
use quarterdeck::clock::instant;
use quarterdeck::domain::{Kind, ObjectId};
use quarterdeck::store::{Feed, Store};

/// Five clusters, each in an account of its own: 40 services of ten tasks.
fn fleet() -> String {
    let cluster = |n: u32| {
        format!(
            "[[ecs]]\nname = 'prod-{n}'\naccount = '11112222333{n}'\n\
             [[ecs.instances]]\nprovider = 'asg'\ncount = 10\ninstance = 'm7i.8xlarge'\ncpu = 32\nmemory = 128\n\
             [[ecs.services]]\nname = 'svc'\ncount = 30\ndesired = 10\nimage = 'r/svc:1'\n\
             [[ecs.services]]\nname = 'bat'\ncount = 10\ndesired = 10\nimage = 'r/bat:1'\nlaunch = 'asg'\n"
        )
    };
    (0..5).map(cluster).collect()
}

/// Requests in a report, in all.
fn all(report: &serde_json::Value) -> u64 {
    report["operations"].as_object().expect("counts").values().filter_map(serde_json::Value::as_u64).sum()
}

/// Requests of the meter and of the fleet, in all.
fn both(bench: &Bench) -> (u64, u64) {
    let own = bench.store.spend.values().map(quarterdeck::domain::Spend::all_requests).sum();
    (own, all(&bench.sim.aws_report()))
}

fn counts(s: &Store) -> (usize, usize, usize) {
    (s.tasks.len(), s.workloads.len(), s.nodes.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn five_clusters_within_the_budget() {
    let sim = serve(&fleet()).await;
    // As the console polls, not as tests do.
    let specs = specs(&sim, Duration::from_secs(15));
    let began = instant();
    let mut bench = Bench::reading(sim, specs);
    bench
        .until("the first whole picture", Duration::from_mins(1), |s| {
            counts(s) == (2000, 200, 50) && s.is_complete(&[Feed::Tasks, Feed::Services, Feed::Nodes])
        })
        .await;
    eprintln!("first whole picture after {:.1} s", began.elapsed().as_secs_f64());

    let shown: Vec<ObjectId> =
        bench.store.workloads.rows().map(|w| w.id.clone()).filter(|id| id.kind == Kind::EcsService).take(40).collect();
    bench.sources.show(&shown);
    bench
        .until("metrics of what is shown", Duration::from_secs(30), |s| {
            shown.iter().all(|id| s.usage.get(id).is_some())
        })
        .await;
    bench.pass(Duration::from_secs(20)).await;
    let report = bench.sim.aws_report();
    assert_eq!(report["throttled"], 0);
    for bucket in report["buckets"].as_array().expect("buckets") {
        let most = bucket["most_in_a_second"].as_u64().expect("a count");
        assert!(most <= 2, "{bucket}");
    }
    assert_eq!(counts(&bench.store), (2000, 200, 50));

    // The meter is told with each round of services: the next one has all that was asked before.
    let settled = bench.sim.aws_report();
    bench.pass(Duration::from_secs(17)).await;
    let (own, theirs) = both(&bench);
    let asked = all(&settled);
    assert!(own >= asked && own <= theirs, "the meter says {own}, the fleet {asked} to {theirs}");
    let metrics: u64 = bench.store.spend.values().map(|s| s.metrics).sum();
    let paid = bench.sim.aws_report()["metrics_requested"].as_u64().expect("a count");
    assert_eq!(metrics, paid, "what is paid for is counted exactly");
    eprintln!("meter {own} requests and {metrics} metrics, fleet {theirs} and {paid}");
    // The figures of docs/performance.md: QUARTERDECK_COST_MINUTES=20.
    if let Some(minutes) = std::env::var("QUARTERDECK_COST_MINUTES").ok().and_then(|m| m.parse().ok()) {
        cost(&mut bench, minutes).await;
    }
}

/// What an hour costs, by the meter and by the fleet's own count: within one per cent.
async fn cost(bench: &mut Bench, minutes: u64) {
    let (own, theirs) = both(bench);
    let metrics = |b: &Bench| b.store.spend.values().map(|s| s.metrics).sum::<u64>();
    let before = (own, theirs, metrics(bench));
    bench.pass(Duration::from_mins(minutes)).await;
    let (own, theirs) = both(bench);
    let hour = |n: u64| n * 60 / minutes;
    let (by_meter, by_fleet) = (hour(own - before.0), hour(theirs - before.1));
    let micro = quarterdeck::domain::Spend::micro_usd(hour(metrics(bench) - before.2), 0);
    eprintln!(
        "an hour: {by_meter} requests by the meter, {by_fleet} by the fleet; {} for CloudWatch; {:#}",
        quarterdeck::domain::spend::dollars(micro),
        bench.sim.aws_report()["operations"]
    );
    assert!(by_meter.abs_diff(by_fleet) * 100 <= by_fleet, "{by_meter} against {by_fleet}");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_throttled_ages_in_sight_and_loses_nothing() {
    let sim = serve(&fleet()).await;
    let specs = specs(&sim, Duration::from_secs(2));
    let mut bench = Bench::reading(sim, specs);
    let whole = |s: &Store| counts(s) == (2000, 200, 50) && s.is_complete(&[Feed::Tasks, Feed::Services, Feed::Nodes]);
    bench.until("the first whole picture", Duration::from_mins(1), whole).await;
    bench.faults.set(|f| f.throttle_percent = 50);
    bench.until("ageing in sight", Duration::from_secs(40), |s| !live(s, Feed::Tasks)).await;
    // QUARTERDECK_THROTTLE_SECS=120 is the whole of what it has to stand.
    let secs = std::env::var("QUARTERDECK_THROTTLE_SECS").ok().and_then(|s| s.parse().ok()).unwrap_or(15);
    bench.pass(Duration::from_secs(secs)).await;
    assert_eq!(counts(&bench.store), (2000, 200, 50), "what was known stays");
    bench.faults.clear();
    bench.sources.refresh();
    bench.until("recovery", Duration::from_mins(2), |s| live(s, Feed::Tasks) && live(s, Feed::Services)).await;
    assert_eq!(counts(&bench.store), (2000, 200, 50));
}
