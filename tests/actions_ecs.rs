//! What is done to an ECS cluster, on the embedded fleet: each verb, what stands in its way, and
//! that reading clients cannot do any of it.

#![cfg(feature = "aws")]
#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

#[path = "support/ecs.rs"]
mod bench;

use std::time::Duration;

use bench::Bench;
use quarterdeck::action::desk::Progress;
use quarterdeck::action::ecs::Ecs;
use quarterdeck::action::{Actor, End, Event, Fate, Intent, Outcome, Plan, Step, StepState, Verb};
use quarterdeck::clock::Clock;
use quarterdeck::domain::{ClusterId, Kind, ObjectId, Text};
use quarterdeck::source::aws::Account;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(90);
const SHOP: &str = "[[ecs]]\nname = 'shop'\n[[ecs.instances]]\nprovider = 'asg'\ncount = 3\ninstance = 'm7i.large'\ncpu = 2\nmemory = 8\n\
    [[ecs.services]]\nname = 'web'\ndesired = 3\nimage = 'r/web:1'\nlaunch = 'fargate'\n\
    [[ecs.services]]\nname = 'api'\ndesired = 4\nimage = 'r/api:1'\nlaunch = 'asg'\n";

async fn ready() -> (Bench, Ecs) {
    let mut bench = Bench::new(SHOP, |_| {}).await;
    bench.complete().await;
    let writer = bench.sources.writer(&ClusterId::new("shop")).expect("a writer");
    (bench, Ecs::new(writer, Clock::system()).with_poll(Duration::from_millis(500)))
}

fn service(name: &str) -> ObjectId {
    ObjectId {
        cluster: ClusterId::new("shop"),
        kind: Kind::EcsService,
        namespace: Text::empty(),
        name: Text::new(name),
    }
}

async fn plan(actor: &Ecs, intent: &Intent) -> Plan {
    tokio::time::timeout(PATIENCE, actor.plan(intent)).await.expect("in time").expect("a plan")
}

async fn run(actor: &Ecs, plan: &Plan, mut watch: impl FnMut(&Step, &CancellationToken)) -> (End, Vec<Step>) {
    let (progress, mut events) = Progress::channel(Clock::system());
    let cancel = CancellationToken::new();
    let mut steps = Vec::new();
    let acts = async {
        let end = actor.run(plan, &progress, &cancel).await;
        drop(progress);
        end
    };
    let listen = async {
        while let Some(event) = events.recv().await {
            if let Event::Step(step) = event {
                watch(&step, &cancel);
                steps.push(step);
            }
        }
    };
    let both = async { tokio::join!(acts, listen) };
    let Ok((end, ())) = tokio::time::timeout(PATIENCE, both).await else { panic!("{} does not end", plan.intent.verb) };
    (end, steps)
}

fn scale(name: &str, replicas: u32) -> Intent {
    let mut intent = Intent::new(Verb::Scale, vec![service(name)]);
    intent.options.replicas = Some(replicas);
    intent
}

/// What another program sees.
async fn seen(bench: &Bench, name: &str) -> (i32, String) {
    let spec = bench::specs(&bench.sim, Duration::from_secs(1)).remove(0).account;
    let clients = Account::new(spec, Clock::system()).clients().await.expect("clients");
    let answer = clients.ecs.describe_services().cluster("shop").services(name).send().await.expect("an answer");
    let service = answer.services().first().expect("the service");
    (service.desired_count(), service.task_definition().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn scale_sends_the_number_alone_and_can_be_undone() {
    let (bench, ecs) = ready().await;
    let (_, definition) = seen(&bench, "web").await;
    let plan = plan(&ecs, &scale("web", 5)).await;
    assert!(plan.is_possible(), "{plan:#?}");
    assert_eq!((plan.changes[0].from.as_str(), plan.changes[0].to.as_str()), ("3", "5"));
    assert!(plan.equivalent[0].ends_with("--service web --desired-count 5"), "{:?}", plan.equivalent);
    let (end, _) = run(&ecs, &plan, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Done, "{end:?}");
    assert_eq!(seen(&bench, "web").await, (5, definition), "the definition is not sent again");
    let undo = end.undo.expect("the number that was");
    assert_eq!((undo.verb, undo.options.replicas), (Verb::Scale, Some(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_meanwhile_is_left_and_told() {
    let (bench, ecs) = ready().await;
    let first = plan(&ecs, &scale("web", 5)).await;
    let (end, _) = run(&ecs, &plan(&ecs, &scale("web", 4)).await, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Done);
    let (end, _) = run(&ecs, &first, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Failed);
    assert!(end.text.contains("was 3 tasks") && end.text.contains("is 4 of"), "{}", end.text);
    assert_eq!(seen(&bench, "web").await.0, 4, "nothing was done");
    let same = plan(&ecs, &scale("web", 4)).await;
    assert!(!same.is_possible(), "so many are wanted already");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_is_followed_until_every_task_is_new() {
    let (mut bench, ecs) = ready().await;
    let before: Vec<String> =
        bench.store.tasks.rows().filter(|t| t.owner == "web").map(|t| t.uid.to_string()).collect();
    let plan = plan(&ecs, &Intent::new(Verb::Restart, vec![service("web")])).await;
    let (end, steps) = run(&ecs, &plan, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Done, "{end:?} {steps:#?}");
    assert!(steps.iter().any(|s| s.text.contains("new tasks run")), "it is followed: {steps:#?}");
    let new = |s: &quarterdeck::store::Store| {
        let running: Vec<String> =
            s.tasks.rows().filter(|t| t.owner == "web" && t.is_active()).map(|t| t.uid.to_string()).collect();
        running.len() == 3 && running.iter().all(|uid| !before.contains(uid))
    };
    bench.until("three new tasks", PATIENCE, new).await;
    assert_eq!(seen(&bench, "web").await.0, 3, "how many are wanted is not touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_moves_the_tasks_of_services_and_can_be_cancelled() {
    let (mut bench, ecs) = ready().await;
    let node = {
        let on = |n: &ObjectId| bench.store.tasks.rows().filter(|t| t.node == n.name && t.owner == "api").count();
        bench.store.nodes.rows().map(|n| n.id.clone()).max_by_key(on).expect("a node")
    };
    let intent = Intent::new(Verb::Drain, vec![node.clone()]);
    let first = plan(&ecs, &intent).await;
    assert!(first.is_possible(), "{first:#?}");
    let moved = first.changes.iter().filter(|c| c.field == "replace" && c.fate == Fate::Acts).count();
    assert!(moved > 0, "{first:#?}");
    let (end, _) = run(&ecs, &first, |step, cancel| {
        if step.text == "DRAINING" {
            cancel.cancel();
        }
    })
    .await;
    assert_eq!(end.outcome, Outcome::Cancelled, "{end:?}");
    let undo = end.undo.expect("ACTIVE again");
    assert_eq!((undo.verb, &undo.targets), (Verb::Uncordon, &vec![node.clone()]));
    let (end, _) = run(&ecs, &plan(&ecs, &undo).await, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Done, "{end:?}");

    let (end, steps) = run(&ecs, &plan(&ecs, &intent).await, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Done, "{end:?} {steps:#?}");
    let empty = |s: &quarterdeck::store::Store| {
        !s.tasks.rows().any(|t| t.node == node.name && t.owner == "api" && t.is_active())
            && s.nodes.get(&node).is_some_and(|n| n.status == "Draining")
    };
    bench.until("an empty, draining instance", PATIENCE, empty).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_stopped_with_a_reason() {
    let (mut bench, ecs) = ready().await;
    let task = bench.store.tasks.rows().find(|t| t.owner == "web").expect("a task").id.clone();
    let plan = plan(&ecs, &Intent::new(Verb::Delete, vec![task.clone()])).await;
    assert!(plan.changes[0].note.contains("service web starts another"), "{plan:#?}");
    let (end, _) = run(&ecs, &plan, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Done, "{end:?}");
    bench.until("the task to go", PATIENCE, |s| s.tasks.get(&task).is_none_or(|t| !t.is_active())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_denied_is_said_so_and_nothing_is_claimed() {
    let (bench, ecs) = ready().await;
    let plan = plan(&ecs, &scale("web", 6)).await;
    bench.faults.set(|f| {
        f.denied.insert("ecs:UpdateService".to_owned());
    });
    let (end, steps) = run(&ecs, &plan, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Failed, "{end:?}");
    assert!(steps.iter().any(|s| s.state == StepState::Failed), "{steps:#?}");
    assert!(end.undo.is_none(), "there is nothing to undo");
    bench.faults.set(|f| f.denied.clear());
    assert_eq!(seen(&bench, "web").await.0, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_clusters_have_no_writer_and_reading_clients_refuse_to_write() {
    let mut bench = Bench::new(SHOP, |spec| spec.read_only = true).await;
    bench.complete().await;
    assert!(bench.sources.writer(&ClusterId::new("shop")).is_none());
    let spec = bench::specs(&bench.sim, Duration::from_secs(1)).remove(0).account;
    let clients = Account::new(spec, Clock::system()).clients().await.expect("clients");
    let refused = clients.ecs.update_service().cluster("shop").service("web").desired_count(9).send().await;
    let error = format!("{:?}", refused.expect_err("it only reads"));
    assert!(error.contains("only reads"), "{error}");
    assert_eq!(bench.sim.aws_report()["operations"]["ecs:UpdateService"], serde_json::Value::Null, "nothing was sent");
}
