//! What a rollout waits for and draws on: protected tasks, capacity providers.

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
use quarterdeck::domain::{Task, Text};
use quarterdeck::source::aws::Account;
use quarterdeck::store::{Feed, Store};

const PATIENCE: Duration = Duration::from_secs(40);
const SHOP: &str = "[[ecs]]\nname = 'shop'\n[[ecs.instances]]\nprovider = 'asg'\ncount = 2\ninstance = 'm7i.large'\ncpu = 2\nmemory = 8\n\
    [[ecs.services]]\nname = 'web'\ndesired = 3\nimage = 'r/web:1'\nlaunch = 'fargate-spot'\n\
    [[ecs.services]]\nname = 'api'\ndesired = 2\nimage = 'r/api:1'\nlaunch = 'asg'\n";

/// An account that may change things, as somebody else has it.
fn somebody(bench: &Bench) -> Account {
    let spec = ecs::specs(&bench.sim, Duration::from_secs(1)).remove(0).account;
    Account::new(spec, Clock::system())
}

fn protected(s: &Store) -> Vec<&Task> {
    s.tasks.rows().filter(|t| t.ecs.as_ref().is_some_and(|e| e.protected_until.is_some())).collect()
}

/// Protects one task of `web` and begins a rollout of it; the task's ARN.
async fn roll_out(bench: &Bench) -> String {
    let task = bench.store.tasks.rows().find(|t| t.owner == "web").expect("a task").uid.to_string();
    let clients = somebody(bench).clients().await.expect("clients");
    // The console's own clients only read.
    let ecs = aws_sdk_ecs::Client::new(&clients.config);
    let protect = ecs.update_task_protection().cluster("shop").tasks(&task);
    protect.protection_enabled(true).expires_in_minutes(30).send().await.expect("protection");
    let update = ecs.update_service().cluster("shop").service("web");
    update.force_new_deployment(true).send().await.expect("a rollout");
    task
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_shows_which_tasks_it_waits_for() {
    let mut bench = Bench::new(SHOP, |_| {}).await;
    bench.complete().await;
    bench.pass(Duration::from_secs(1)).await;
    let asked = |b: &Bench| b.sim.aws_report()["operations"]["ecs:GetTaskProtection"].as_u64().unwrap_or_default();
    assert_eq!(asked(&bench), 0, "nothing rolls out: nothing is asked");
    let task = roll_out(&bench).await;
    bench.until("the protected task", PATIENCE, |s| !protected(s).is_empty()).await;
    let found = protected(&bench.store);
    assert_eq!(found.iter().map(|t| t.uid.as_str()).collect::<Vec<_>>(), [task.as_str()]);
    let until = found[0].ecs.as_ref().and_then(|e| e.protected_until).expect("a time");
    let minutes = (until - Clock::system().now()).num_minutes();
    assert!((28..=30).contains(&minutes), "{minutes}");
    // It stays so round after round.
    let before = asked(&bench);
    for _ in 0..100 {
        if asked(&bench) >= before + 2 {
            break;
        }
        bench.pass(Duration::from_millis(200)).await;
    }
    assert!(asked(&bench) >= before + 2, "it is asked again");
    assert_eq!(protected(&bench.store).len(), 1);

    let id = protected(&bench.store)[0].id.clone();
    let reader = bench.sources.reader(&id.cluster).expect("a reader");
    let object = reader.object(&id, &task).await.expect("a description");
    assert_eq!(object["protection"]["protectionEnabled"], true, "{object:#}");
    let at = object["protection"]["expirationDate"].as_str().expect("a time people can read");
    assert!(at.ends_with('Z'), "{at}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_asked_is_noted_and_the_rest_goes_on() {
    let mut bench = Bench::new(SHOP, |_| {}).await;
    bench.complete().await;
    bench.faults.set(|f| {
        f.denied.insert("ecs:GetTaskProtection".to_owned());
    });
    let task = roll_out(&bench).await;
    bench.until("the denial", PATIENCE, |s| s.log().any(|l| l.text.contains("ecs:GetTaskProtection"))).await;
    bench.until("tasks", PATIENCE, |s| live(s, Feed::Tasks) && s.tasks.len() > 5).await;
    assert!(protected(&bench.store).is_empty());
    let id = bench.store.tasks.rows().find(|t| t.uid.as_str() == task).expect("the task").id.clone();
    let object = bench.sources.reader(&id.cluster).expect("a reader").object(&id, &task).await.expect("the rest");
    let said = object["protection"].as_str().expect("why not");
    assert!(said.starts_with("not known: "), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_tells_where_its_capacity_comes_from() {
    let mut bench = Bench::new(SHOP, |_| {}).await;
    let known = |s: &Store| s.clusters().next().and_then(|(_, c)| c).is_some_and(|c| !c.providers.is_empty());
    bench.until("providers", PATIENCE, known).await;
    let cluster = bench.store.clusters().next().and_then(|(_, c)| c).expect("a cluster");
    let said: Vec<String> = cluster.providers.iter().map(|p| format!("{}: {}", p.name, p.text())).collect();
    assert_eq!(
        said,
        [
            "FARGATE: fargate, active",
            "FARGATE_SPOT: fargate-spot, active",
            "asg: auto scaling group, active, scaled to 100% use; by default weight 1, base 0"
        ]
    );
    assert_eq!(cluster.endpoint, "eu-west-1");
    bench.complete().await;
    let of = |name: &str| {
        let w = bench.store.workloads.rows().find(|w| w.id.name == name).expect("a service");
        w.ecs.as_ref().expect("an ECS service").providers.clone()
    };
    assert_eq!((of("web"), of("api")), (vec![Text::new("FARGATE_SPOT")], vec![Text::new("asg")]));
    bench.pass(Duration::from_secs(3)).await;
    assert_eq!(bench.sim.aws_report()["operations"]["ecs:DescribeCapacityProviders"], 1, "they change by the week");
}
