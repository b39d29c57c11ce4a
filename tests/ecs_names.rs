//! Clusters of one name in different accounts and regions: nothing of one is ever
//! taken for another's.

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
use quarterdeck::clock::Clock;
use quarterdeck::domain::{AlarmState, ClusterId, Kind, ObjectId, Text};
use quarterdeck::store::Feed;
use quarterdeck::store::problems::problems;

const PATIENCE: Duration = Duration::from_secs(40);

/// Three clusters `shop`: two accounts, and a second region of the first.
fn three() -> String {
    let cluster = |account: &str, region: &str, desired: u32, load: u32| {
        format!(
            "[[ecs]]\nname = 'shop'\naccount = '{account}'\nregion = '{region}'\ninsights = 'enabled'\n\
             [[ecs.services]]\nname = 'web'\ndesired = {desired}\nimage = 'r/web:1'\nload = {load}\nscaling = [1, 9]\n"
        )
    };
    [("123456789012", "eu-west-1", 2, 20), ("210987654321", "eu-west-1", 2, 400), ("123456789012", "us-east-1", 5, 20)]
        .map(|(account, region, desired, load)| cluster(account, region, desired, load))
        .concat()
}

const NAMES: [&str; 3] =
    ["test-123456789012@eu-west-1/shop", "test-123456789012@us-east-1/shop", "test-210987654321@eu-west-1/shop"];

#[tokio::test(flavor = "multi_thread")]
async fn three_clusters_of_one_name_stay_apart() {
    let mut bench = Bench::new(&three(), |_| {}).await;
    bench.complete().await;
    bench.until("alarms", PATIENCE, |s| s.is_complete(&[Feed::Alarms])).await;
    let store = &bench.store;
    let names: Vec<String> = store.clusters().map(|(id, _)| id.to_string()).collect();
    assert_eq!(names, NAMES);
    let of = |name: &str| {
        let id = ClusterId::new(name);
        let tasks = store.tasks.rows().filter(|t| t.id.cluster == id).count();
        let desired = store.workloads.rows().find(|w| w.id.cluster == id).map(|w| w.replicas.desired);
        let scaled = store.autoscalers.rows().filter(|a| a.id.cluster == id).count();
        let firing = store.alarms.rows().filter(|a| a.id.cluster == id && a.state == AlarmState::Firing).count();
        (tasks, desired, scaled, firing)
    };
    // The fleet gives the two accounts' tasks the same ids: even those stay apart.
    assert_eq!(NAMES.map(of), [(2, Some(2), 1, 0), (5, Some(5), 1, 0), (2, Some(2), 1, 2)]);
    let told = problems(store, Clock::system().now());
    assert!(told.iter().all(|p| p.id.cluster.as_str() == NAMES[2]), "{told:?}");

    let status = quarterdeck::view::status::status(store, Clock::system().now());
    let mut said: Vec<&str> = status.clusters.iter().map(|c| c.name.as_str()).collect();
    said.sort_unstable();
    assert_eq!(said, NAMES);

    let web = |name: &str| ObjectId {
        cluster: ClusterId::new(name),
        kind: Kind::EcsService,
        namespace: Text::empty(),
        name: Text::new("web"),
    };
    let busy = web(NAMES[2]);
    bench.sources.show(std::slice::from_ref(&busy));
    bench.until("figures of one", PATIENCE, |s| s.usage.get(&busy).is_some()).await;
    assert!(bench.store.usage.get(&web(NAMES[0])).is_none() && bench.store.usage.get(&web(NAMES[1])).is_none());
    bench.sources.show(&NAMES.map(web));
    let all = NAMES.map(web);
    bench.until("figures of all", PATIENCE, |s| all.iter().all(|id| s.usage.get(id).is_some())).await;
    let cpu = |name| bench.store.usage.get(&web(name)).expect("samples").latest().shares().0;
    assert!(cpu(NAMES[2]) > 90.0 && cpu(NAMES[0]) < 50.0 && cpu(NAMES[1]) < 50.0);

    for (name, place) in
        NAMES.iter().zip(["eu-west-1:123456789012:", "us-east-1:123456789012:", "eu-west-1:210987654321:"])
    {
        let id = web(name);
        let arn = bench.store.workloads.get(&id).expect("a service").uid.to_string();
        assert!(arn.contains(place), "{arn}");
        let object = bench.sources.reader(&id.cluster).expect("a reader").object(&id, &arn).await.expect("a service");
        assert_eq!(object["serviceArn"], arn);
    }
}
