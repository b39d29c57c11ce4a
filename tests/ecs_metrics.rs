//! CloudWatch's figures of what is on screen: requests from load balancers, Container
//! Insights where a cluster has it on, and nothing that nobody looks at.

#![cfg(feature = "aws")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do, and the lint's exception for tests does not see them"
)]

#[path = "support/ecs.rs"]
mod ecs;

use std::time::Duration;

use ecs::Bench;
use quarterdeck::domain::{ClusterId, Kind, ObjectId, Text};
use quarterdeck::store::Store;

const PATIENCE: Duration = Duration::from_secs(40);

fn shop(insights: &str) -> String {
    format!(
        "[[ecs]]\nname = 'shop'\ninsights = '{insights}'\n\
         [[ecs.services]]\nname = 'web'\ndesired = 3\nimage = 'r/web:1'\nbalanced = true\ncpu = 512\nmemory = 1024\n\
         [[ecs.services]]\nname = 'api'\ndesired = 2\nimage = 'r/api:1'\n"
    )
}

fn service(name: &str) -> ObjectId {
    let cluster = ClusterId::new("shop");
    ObjectId { cluster, kind: Kind::EcsService, namespace: Text::empty(), name: Text::new(name) }
}

fn asked(bench: &Bench, operation: &str) -> u64 {
    bench.sim.aws_report()["operations"][operation].as_u64().unwrap_or_default()
}

fn metrics(bench: &Bench) -> u64 {
    bench.sim.aws_report()["metrics_requested"].as_u64().unwrap_or_default()
}

fn measured(s: &Store, ids: &[ObjectId]) -> bool {
    ids.iter().all(|id| s.usage.get(id).is_some())
}

/// The fleet's quotas ask for two metrics of their own: those are over when this returns.
async fn settled(insights: &str) -> (Bench, u64, u64) {
    let mut bench = Bench::new(&shop(insights), |spec| spec.interval = Duration::from_secs(2)).await;
    bench.complete().await;
    let (requests, paid) = (asked(&bench, "monitoring:GetMetricData"), metrics(&bench));
    (bench, requests, paid)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_a_service_come_with_its_cpu_in_one_request() {
    let (mut bench, requests, paid) = settled("disabled").await;
    let ids = [service("web"), service("api")];
    bench.sources.show(&ids);
    bench.until("figures", PATIENCE, |s| measured(s, &ids) && s.traffic.contains_key(&ids[0])).await;
    let traffic = bench.store.traffic[&ids[0]];
    assert!(traffic.requests.is_some_and(|r| r > 1.0), "{traffic:?}");
    assert!(traffic.errors.is_some_and(|e| (0.0..0.01).contains(&e)), "{traffic:?}");
    let [Some(p50), Some(p95), Some(p99)] = traffic.latency else { panic!("{traffic:?}") };
    assert!(p50 < p95 && p95 < p99, "{traffic:?}");
    assert!(!bench.store.traffic.contains_key(&ids[1]), "nothing balances it");
    assert_eq!(asked(&bench, "monitoring:GetMetricData") - requests, 1, "one request for all");
    assert_eq!(metrics(&bench) - paid, 9, "two of each service, five of the target group");
    assert_eq!(asked(&bench, "elasticloadbalancing:DescribeTargetGroups"), 1);
    // What was asked is not asked again because something else comes on screen.
    bench.sources.show(&ids[..1]);
    bench.pass(Duration::from_secs(4)).await;
    bench.sources.show(&ids);
    bench.pass(Duration::from_secs(4)).await;
    assert_eq!((asked(&bench, "monitoring:GetMetricData") - requests, metrics(&bench) - paid), (1, 9));
    assert_eq!(asked(&bench, "elasticloadbalancing:DescribeTargetGroups"), 1, "and is remembered");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_leave_to_look_at_target_groups_the_rest_is_read() {
    let (mut bench, ..) = settled("disabled").await;
    bench.faults.set(|f| {
        f.denied.insert("elasticloadbalancing:DescribeTargetGroups".to_owned());
    });
    let ids = [service("web")];
    bench.sources.show(&ids);
    bench.until("figures", PATIENCE, |s| measured(s, &ids)).await;
    assert!(bench.store.log().any(|l| l.text.contains("DescribeTargetGroups")), "and it is said");
    assert!(bench.store.traffic.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn container_insights_are_read_where_they_are_on() {
    let (mut bench, _, paid) = settled("enabled").await;
    let ids = [service("api")];
    bench.sources.show(&ids);
    bench.until("figures", PATIENCE, |s| measured(s, &ids)).await;
    let (cpu, memory) = bench.store.usage.get(&ids[0]).expect("samples").latest().shares();
    assert!((10.0..60.0).contains(&cpu) && (20.0..80.0).contains(&memory), "{cpu} {memory}");
    assert_eq!(metrics(&bench) - paid, 4);
    // Several tasks of a service have averages only: no task's own figures.
    let task = bench.store.tasks.rows().find(|t| t.owner == "api").expect("a task").id.clone();
    bench.sources.show(&[ids[0].clone(), task.clone()]);
    bench.pass(Duration::from_secs(4)).await;
    assert!(bench.store.usage.get(&task).is_none());
    assert_eq!(metrics(&bench) - paid, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn enhanced_observability_gives_tasks_their_own_figures() {
    let (mut bench, _, paid) = settled("enhanced").await;
    let ids: Vec<ObjectId> = bench.store.tasks.rows().map(|t| t.id.clone()).collect();
    assert_eq!(ids.len(), 5);
    bench.sources.show(&ids);
    let history = |s: &Store| s.usage.get(&ids[0]).is_some_and(|samples| samples.iter().count() >= 15);
    bench.until("a sparkline's worth of tasks' figures", PATIENCE, |s| measured(s, &ids) && history(s)).await;
    for task in bench.store.tasks.rows() {
        let used = bench.store.usage.get(&task.id).expect("samples").latest();
        assert!(used.cpu.0 > 0 && used.cpu < task.requests.cpu, "{used:?} of {:?}", task.requests);
        assert!(used.memory.0 > 0 && used.memory < task.requests.memory, "{used:?} of {:?}", task.requests);
    }
    assert_eq!(metrics(&bench) - paid, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_container_insights_tasks_cost_nothing() {
    let (mut bench, requests, _) = settled("disabled").await;
    let ids: Vec<ObjectId> = bench.store.tasks.rows().map(|t| t.id.clone()).collect();
    bench.sources.show(&ids);
    bench.pass(Duration::from_secs(4)).await;
    assert_eq!(asked(&bench, "monitoring:GetMetricData"), requests);
    assert!(!measured(&bench.store, &ids[..1]));
}
