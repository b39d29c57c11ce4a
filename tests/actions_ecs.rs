//! What is done to an ECS cluster, on the embedded fleet: each verb, what stands in its way, and
//! that reading clients cannot do any of it.

#![cfg(feature = "aws")]
#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

#[path = "support/ecs_actor.rs"]
mod actor;

use std::time::Duration;

use actor::bench::{Bench, specs};
use actor::{PATIENCE, SHOP, act, plan, ready, run, scale, seen, service, somebody};
use aws_sdk_ecs::types::LaunchType;
use quarterdeck::action::{Fate, Intent, Outcome, StepState, Verb};
use quarterdeck::clock::Clock;
use quarterdeck::domain::{ClusterId, ObjectId};
use quarterdeck::source::aws::Account;

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
async fn a_drain_leaves_standalone_tasks_and_says_so() {
    let (mut bench, ecs) = ready().await;
    let client = somebody(&bench).await;
    let run_task = client.run_task().cluster("shop").task_definition("api").launch_type(LaunchType::Ec2);
    let started = run_task.started_by("a script").send().await.expect("a task");
    let arn = started.tasks()[0].task_arn().expect("an ARN").to_owned();
    let is_it = |t: &quarterdeck::domain::Task| t.uid == arn.as_str() && t.status == "Running";
    bench.until("the standalone task", PATIENCE, |s| s.tasks.rows().any(is_it)).await;
    let task = bench.store.tasks.rows().find(|t| is_it(t)).expect("it").clone();
    assert!(task.id.name.starts_with("api/") && task.owner.is_empty(), "{task:?}");
    let node = bench.store.nodes.rows().find(|n| n.id.name == task.node).expect("its instance").id.clone();
    let shown = plan(&ecs, &Intent::new(Verb::Drain, vec![node.clone()])).await;
    let change = shown.changes.iter().find(|c| c.target == task.id).expect("it is listed by its name");
    assert_eq!(change.fate, Fate::Stays, "{shown:#?}");
    assert!(change.note.contains("belongs to no service"), "{}", change.note);
    let (end, steps) = run(&ecs, &shown, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Done, "{end:?} {steps:#?}");
    let left = |s: &quarterdeck::store::Store| {
        let on: Vec<&str> =
            s.tasks.rows().filter(|t| t.node == node.name && t.is_active()).map(|t| t.uid.as_str()).collect();
        on == [arn.as_str()]
    };
    bench.until("the standalone task alone", PATIENCE, left).await;
    let stop = plan(&ecs, &Intent::new(Verb::Delete, vec![task.id])).await;
    assert!(stop.changes[0].note.contains("nobody starts another"), "{stop:#?}");
    let (end, _) = run(&ecs, &stop, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Done, "{end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_scaled_by_itself_is_warned_of_and_its_minimum_can_be_raised() {
    let (bench, ecs) = ready().await;
    let shown = plan(&ecs, &scale("pay", 4)).await;
    let warned = shown.warnings.iter().any(|w| w.contains("between 2 and 6") && w.contains("raise its minimum"));
    assert!(shown.is_possible() && warned, "{shown:#?}");
    let mut raise = scale("pay", 4);
    raise.options.raise_minimum = true;
    let shown = plan(&ecs, &raise).await;
    let change = &shown.changes[0];
    assert_eq!((change.field.as_str(), change.from.as_str(), change.to.as_str()), ("least tasks", "2", "4"));
    assert!(shown.equivalent[0].contains("--min-capacity 4 --max-capacity 6"), "{:?}", shown.equivalent);
    let (end, _) = run(&ecs, &shown, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Done, "{end:?}");
    assert_eq!(seen(&bench, "pay").await.0, 4, "its scaler keeps at least so many");
    let undo = end.undo.expect("the minimum that was");
    assert_eq!((undo.options.replicas, undo.options.raise_minimum), (Some(2), true));
    assert_eq!(act(&ecs, &undo).await.0.outcome, Outcome::Done);
    let mut other = scale("web", 4);
    other.options.raise_minimum = true;
    let none = plan(&ecs, &other).await;
    assert!(none.refused[0].contains("nothing scales this service"), "{none:#?}");
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
    let spec = specs(&bench.sim, Duration::from_secs(1)).remove(0).account;
    let clients = Account::new(spec, Clock::system()).clients().await.expect("clients");
    let refused = clients.ecs.update_service().cluster("shop").service("web").desired_count(9).send().await;
    let error = format!("{:?}", refused.expect_err("it only reads"));
    assert!(error.contains("only reads"), "{error}");
    assert_eq!(bench.sim.aws_report()["operations"]["ecs:UpdateService"], serde_json::Value::Null, "nothing was sent");
}
