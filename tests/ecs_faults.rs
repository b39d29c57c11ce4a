//! What goes wrong with AWS, and what the console makes of it: each a clear message
//! in its place, the rest goes on, and it recovers by itself.

#![cfg(feature = "aws")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do, and the lint's exception for tests does not see them"
)]

#[path = "support/ecs.rs"]
mod ecs;

use std::time::Duration;

use ecs::{Bench, live, state};
use quarterdeck::clock::Clock;
use quarterdeck::domain::{Kind, ObjectId, Text, Thresholds};
use quarterdeck::store::Feed;
use quarterdeck::store::notices::Verdict;
use quarterdeck::view::columns::Context;
use quarterdeck::view::notices::left;

const SHOP: &str = "[[ecs]]\nname = 'shop'\n[[ecs.instances]]\nprovider = 'asg'\ncount = 2\ninstance = 'm7i.large'\ncpu = 2\nmemory = 8\n\
    [[ecs.services]]\nname = 'web'\ndesired = 3\nimage = 'r/web:1'\nbalanced = true\nscaling = [1, 5]\n\
    [[ecs.services]]\nname = 'api'\ndesired = 2\nimage = 'r/api:1'\nlaunch = 'asg'\n";
const PATIENCE: Duration = Duration::from_secs(40);

async fn shop() -> Bench {
    let mut bench = Bench::new(SHOP, |_| {}).await;
    bench.complete().await;
    assert_eq!((bench.store.tasks.len(), bench.store.workloads.len(), bench.store.nodes.len()), (5, 2, 2));
    bench
}

/// A fault that strikes everything: said, kept, recovered from.
async fn strikes(turn_on: impl Fn(&mut quarterdeck::sim::aws::AwsFaults), words: &[&str]) {
    let mut bench = shop().await;
    bench.faults.set(turn_on);
    let said = |s: &quarterdeck::store::Store| {
        let (word, why) = state(s, Feed::Tasks);
        matches!(word, "stale" | "down") && words.iter().all(|w| why.contains(w))
    };
    bench.until(&words.join(" "), PATIENCE, said).await;
    assert_eq!(bench.store.tasks.len(), 5, "what was known stays");
    bench.faults.clear();
    bench.sources.refresh();
    bench
        .until("recovery", PATIENCE, |s| live(s, Feed::Tasks) && live(s, Feed::Services) && live(s, Feed::Nodes))
        .await;
    assert_eq!(bench.store.tasks.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_credentials_say_how_to_renew_and_recover() {
    strikes(|f| f.expired = true, &["those of test have expired", "aws sso login --profile test"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_nobody_knows() {
    strikes(|f| f.unknown_key = true, &["AWS does not know those of test", "UnrecognizedClientException"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_body() {
    strikes(|f| f.garbage = true, &["not what this API sends"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_hangs() {
    strikes(|f| f.hang = true, &["did not answer within 10 s"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_of_everything() {
    strikes(|f| f.throttle_percent = 100, &["throttled", "slowed down"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_token_that_repeats_ends() {
    let mut bench = shop().await;
    bench.faults.set(|f| f.circle = true);
    let said =
        |s: &quarterdeck::store::Store| state(s, Feed::Tasks).1.contains("a page token of ecs:ListTasks that repeats");
    bench.until("the circle", PATIENCE, said).await;
    let before = bench.sim.aws_report()["operations"]["ecs:ListTasks"].as_u64().unwrap_or_default();
    bench.pass(Duration::from_secs(2)).await;
    let after = bench.sim.aws_report()["operations"]["ecs:ListTasks"].as_u64().unwrap_or_default();
    assert!(after - before <= 6, "{} calls in two seconds: it spins", after - before);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_permission_that_is_missing() {
    let mut bench = Bench::new(SHOP, |_| {}).await;
    bench.faults.set(|f| {
        f.denied.insert("application-autoscaling:DescribeScalableTargets".to_owned());
        f.denied.insert("ec2:DescribeSubnets".to_owned());
    });
    bench.complete().await;
    let (word, why) = state(&bench.store, Feed::Autoscalers);
    assert_eq!(word, "denied");
    assert!(why.contains("application-autoscaling:DescribeScalableTargets"), "{why}");
    assert!(live(&bench.store, Feed::Tasks) && live(&bench.store, Feed::Services));
    assert!(live(&bench.store, Feed::Limits), "the quotas are still read");
    assert!(bench.store.log().any(|l| l.text.contains("ec2:DescribeSubnets")), "and what is not is said");
    assert_eq!(bench.store.tasks.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_not_there() {
    let mut bench = Bench::new(SHOP, |spec| "shpo".clone_into(&mut spec.cluster)).await;
    bench
        .until("the name", PATIENCE, |s| state(s, Feed::Nodes).1.contains("there is no ECS cluster shpo in eu-west-1"))
        .await;
    assert_eq!(state(&bench.store, Feed::Nodes).0, "down");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_region() {
    let mut bench = Bench::new(SHOP, |spec| spec.account.region = Some("us-east-1".to_owned())).await;
    bench.until("the region", PATIENCE, |s| state(s, Feed::Nodes).1.contains("no ECS cluster shop in us-east-1")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_region_at_all() {
    let mut bench = Bench::new(SHOP, |spec| spec.account.region = None).await;
    bench
        .until("advice", PATIENCE, |s| state(s, Feed::Tasks).1.contains("no AWS region for test: set AWS_REGION"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partial_metrics_are_taken_as_far_as_they_go() {
    let mut bench = shop().await;
    bench.faults.set(|f| f.partial = true);
    let cluster = bench.store.clusters().next().expect("a cluster").0.clone();
    let id = ObjectId { cluster, kind: Kind::EcsService, namespace: Text::empty(), name: Text::new("web") };
    bench.sources.show(std::slice::from_ref(&id));
    bench.until("points", PATIENCE, |s| s.usage.get(&id).is_some()).await;
    let some = bench.store.usage.get(&id).expect("samples").iter().count();
    assert!(some < 19, "half of the points are held back: {some}");
    let (cpu, _) = bench.store.usage.get(&id).expect("samples").latest().shares();
    assert!(cpu > 0.0, "what is missing is not zero");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_of_all_calls_throttled_loses_nothing() {
    let mut bench = shop().await;
    bench.faults.set(|f| f.throttle_percent = 50);
    bench.until("a sign of it", PATIENCE, |s| s.log().any(|l| l.text.contains("throttled"))).await;
    bench.pass(Duration::from_secs(6)).await;
    assert_eq!((bench.store.tasks.len(), bench.store.workloads.len()), (5, 2), "nothing is lost meanwhile");
    bench.faults.clear();
    bench.sources.refresh();
    bench.until("recovery", PATIENCE, |s| live(s, Feed::Tasks) && live(s, Feed::Services)).await;
    bench.until("the meter", PATIENCE, |s| s.spend.values().any(|spend| spend.throttled > 0)).await;
    assert_eq!((bench.store.tasks.len(), bench.store.workloads.len()), (5, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_ten_minutes_off() {
    let mut bench = Bench::new(SHOP, |_| {}).await;
    bench.faults.set(|f| f.skew_secs = 600);
    // The SDK learns AWS's time from the first refusal; until then, or where it cannot, the reason is said.
    bench
        .until("either", PATIENCE, |s| {
            let (word, why) = state(s, Feed::Tasks);
            word == "live" || why.contains("the clock of this machine is 10 min behind AWS's")
        })
        .await;
    bench.faults.clear();
    bench.sources.refresh();
    bench.until("recovery", PATIENCE, |s| live(s, Feed::Tasks)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_not_there() {
    let mut bench = Bench::new(SHOP, |spec| spec.account.endpoint = Some("http://127.0.0.1:1".to_owned())).await;
    bench.until("unreachable", PATIENCE, |s| state(s, Feed::Tasks).1.contains("cannot reach http://127.0.0.1:1")).await;
}

/// Two tasks on Fargate Spot, which may take 100 s to end; one is taken back.
const TAKEN: &str = "[[ecs]]\nname = 'shop'\n[[ecs.services]]\nname = 'web'\ndesired = 2\nlaunch = 'fargate-spot'\n\
    stop_timeout = '100s'\nstops_after = '95s'\nimage = 'r/web:1'\n\
    [[ecs.at]]\nt = '8s'\naction = 'spot-interrupt'\nservice = 'web'\ntasks = 1\n";

const ACTION: &str = "ecs:DescribeTaskDefinition";

/// What the countdown of that task says, its verdict, and what was noted of the definitions.
async fn countdown(spoil: impl Fn(&mut quarterdeck::sim::aws::AwsFaults)) -> (String, Option<Verdict>, Vec<String>) {
    let sim = ecs::serve(TAKEN).await;
    sim.aws_faults().set(spoil);
    let specs = ecs::specs(&sim, Duration::from_millis(500));
    let mut bench = Bench::reading(sim, specs);
    bench.until("its notice", PATIENCE, |s| s.notices.cases().any(|c| !c.tasks.is_empty())).await;
    bench.pass(Duration::from_secs(1)).await;
    assert!(live(&bench.store, Feed::Tasks), "tasks do not depend on it");
    let now = Clock::system().now();
    let c = Context { store: &bench.store, now, absolute: false, ascii: false, thresholds: Thresholds::default() };
    let board = bench.store.board(now);
    let row = board.rows.first().expect("a notice");
    let noted = bench.store.log().filter(|l| l.text.contains(ACTION));
    (left(c, row), row.verdict, noted.map(|l| l.text.to_string()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn how_long_a_task_may_take_to_end_is_read_or_said_to_be_what_is_usual() {
    let seconds = |text: &str| -> i64 {
        let (minutes, rest) = text.trim_end_matches('?').split_once(':').expect(text);
        minutes.parse::<i64>().expect(text) * 60 + rest.parse::<i64>().expect(text)
    };
    let (text, verdict, noted) = countdown(|_| {}).await;
    assert!(!text.ends_with('?') && (85..=100).contains(&seconds(&text)), "{text}");
    assert_eq!((verdict < Some(Verdict::Cut), noted.len()), (true, 0), "{noted:?}");
    let (text, verdict, noted) = countdown(|f| f.denied.extend([ACTION.to_owned()])).await;
    assert!(text.ends_with('?') && (10..=30).contains(&seconds(&text)), "{text}");
    // Nobody knows that it will be cut.
    assert!(verdict < Some(Verdict::Cut), "{verdict:?}");
    assert!(noted.len() == 1 && noted[0].contains("not allowed"), "{noted:?}");
    let (text, verdict, noted) = countdown(|f| f.throttled.extend([ACTION.to_owned()])).await;
    assert!(text.ends_with('?') && (10..=30).contains(&seconds(&text)), "{text}");
    assert!(verdict < Some(Verdict::Cut), "{verdict:?}");
    assert!(noted.iter().all(|n| n.contains("throttled")), "{noted:?}");
}
