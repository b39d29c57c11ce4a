//! CloudWatch's alarms, read from the embedded fleet: every page, both kinds, once
//! for each account, in the cluster they are about.

#![cfg(feature = "aws")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do, and the lint's exception for tests does not see them"
)]

#[path = "support/ecs.rs"]
mod ecs;

use std::time::Duration;

use ecs::{Bench, live};
use quarterdeck::clock::Clock;
use quarterdeck::domain::{AlarmSource, AlarmState, ClusterId, Freshness, Health, Kind};
use quarterdeck::store::problems::problems;
use quarterdeck::store::{Feed, Store};

const PATIENCE: Duration = Duration::from_secs(40);

/// 60 services with two alarms each are two pages; the first one is busy.
const SHOP: &str = "[[ecs]]\nname = 'shop'\ninsights = 'enabled'\n\
    [[ecs.services]]\nname = 'api'\ndesired = 2\nimage = 'r/api:1'\nload = 400\n\
    [[ecs.services]]\nname = 'svc'\ncount = 59\ndesired = 1\nimage = 'r/svc:1'\nload = 20\n";

fn alarms_known(s: &Store) -> bool {
    s.is_complete(&[Feed::Alarms])
}

fn told(s: &Store) -> Vec<(String, Health, String)> {
    let found = problems(s, Clock::system().now()).into_iter().filter(|p| p.id.kind == Kind::Alarm);
    found.map(|p| (p.id.name.to_string(), p.health, p.what)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_both_kinds_and_what_fires_is_a_problem() {
    let mut bench = Bench::new(SHOP, |_| {}).await;
    bench.until("alarms", PATIENCE, alarms_known).await;
    assert_eq!(bench.store.alarms.len(), 121);
    let of = |name: &str| bench.store.alarms.rows().find(|a| a.id.name == name).cloned().expect("the alarm");
    let cpu = of("shop-api-cpu-high");
    assert_eq!((cpu.state, cpu.source, cpu.account_wide), (AlarmState::Firing, AlarmSource::CloudWatchMetric, false));
    assert_eq!((cpu.value, cpu.threshold), (Some(100.0), Some(90.0)));
    assert_eq!(cpu.about.as_ref().map(|a| (a.kind, a.name.as_str())), Some((Kind::EcsService, "api")));
    assert_eq!(cpu.runbook, "https://runbooks.example.com/api");
    let both = of("shop-degraded");
    assert_eq!((both.source, both.state), (AlarmSource::CloudWatchComposite, AlarmState::Firing));
    assert_eq!(of("shop-svc-000-cpu-high").state, AlarmState::Ok);
    // The composite alarm has the other one behind it.
    let expect = [("shop-degraded".to_owned(), Health::Warning, "2 alarms on service api".to_owned())];
    assert_eq!(told(&bench.store), expect);
    assert_eq!((cpu.more.metric.as_str(), cpu.more.unit.as_str()), ("CPUUtilization, Average of 60s", "Percent"));
    // Its points are asked for when its details are on screen, and only then.
    assert!(bench.store.trends.is_empty());
    bench.sources.show(std::slice::from_ref(&cpu.id));
    bench.until("its points", PATIENCE, |s| s.trends.get(&cpu.id).is_some_and(|t| t.len() > 10)).await;
    let points = bench.store.trends[&cpu.id].clone();
    assert!(
        points.is_sorted_by_key(|(at, _)| *at) && points.iter().all(|(_, v)| (0.0..=400.0).contains(v)),
        "{points:?}"
    );
    bench.until("the meter", PATIENCE, |s| s.spend.values().any(|s| s.calls >= 2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clusters_of_an_account_share_one_answer() {
    let two = format!(
        "{SHOP}[[ecs]]\nname = 'ware'\n[[ecs.services]]\nname = 'api'\ndesired = 1\nimage = 'r/api:1'\nload = 400\n"
    );
    let mut bench = Bench::new(&two, |spec| spec.interval = Duration::from_secs(3)).await;
    bench.until("alarms of both", PATIENCE, alarms_known).await;
    let of = |name: &str| bench.store.alarms.rows().filter(|a| a.id.cluster == ClusterId::new(name)).count();
    assert_eq!((of("shop"), of("ware")), (121, 1));
    assert_eq!(bench.sim.aws_report()["operations"]["monitoring:DescribeAlarms"], 2, "two pages, read once");
    bench.sources.refresh();
    let asked = |b: &Bench| b.sim.aws_report()["operations"]["monitoring:DescribeAlarms"].as_u64().unwrap_or_default();
    for _ in 0..100 {
        if asked(&bench) >= 4 {
            break;
        }
        bench.pass(Duration::from_millis(100)).await;
    }
    assert!(asked(&bench) >= 4, "who asks for the present is not told the past");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_token_that_repeats_is_said_and_what_was_known_stays() {
    let mut bench = Bench::new(SHOP, |_| {}).await;
    bench.until("alarms", PATIENCE, alarms_known).await;
    bench.faults.set(|f| f.circle = true);
    bench.sources.refresh();
    let said = |s: &Store| s.log().any(|l| l.text.contains("a page token of cloudwatch:DescribeAlarms that repeats"));
    bench.until("the circle", PATIENCE, said).await;
    assert_eq!(bench.store.alarms.len(), 121);
    bench.faults.clear();
    bench.sources.refresh();
    bench.until("recovery", PATIENCE, |s| live(s, Feed::Alarms)).await;
    assert_eq!(bench.store.alarms.len(), 121);
}

#[tokio::test(flavor = "multi_thread")]
async fn alarms_that_may_not_be_read_are_denied_and_the_rest_goes_on() {
    let sim = ecs::serve(SHOP).await;
    sim.aws_faults().set(|f| {
        f.denied.insert("cloudwatch:DescribeAlarms".to_owned());
    });
    let specs = ecs::specs(&sim, Duration::from_millis(500));
    let mut bench = Bench::reading(sim, specs);
    bench
        .until("the denial", PATIENCE, |s| {
            let state = s.source(&ClusterId::new("shop"), Feed::Alarms);
            state.is_some_and(|s| matches!(s.freshness, Freshness::Absent { denied: true, .. }))
        })
        .await;
    bench.until("services", PATIENCE, |s| live(s, Feed::Services) && live(s, Feed::Tasks)).await;
    assert!(told(&bench.store).is_empty());
}
