//! Another image for an ECS service, and the way back from it, on the embedded fleet.

#![cfg(feature = "aws")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "helpers of tests fail as tests do; what somebody else does meanwhile is waited for in its test"
)]

#[path = "support/ecs_actor.rs"]
mod actor;

use actor::{
    PATIENCE, act, asked, image, plan, ready, roll_back, run, scale, seen, service, settled, somebody, writer,
};
use quarterdeck::action::{Fate, Intent, Outcome, Precondition, StepState, Verb};
use quarterdeck::clock::instant;
use quarterdeck::source::ecs::registrable;
use serde_json::json;

/// What a service of a cautious team has: fields that no library knows yet, secrets, two containers, tags.
fn rich() -> serde_json::Value {
    json!({
        "family": "web", "cpu": "256", "memory": "512", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
        "taskRoleArn": "arn:aws:iam::123456789012:role/web-task", "fieldOfTomorrow": {"deep": [1, {"er": 2.5}]},
        "runtimePlatform": {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
        "tags": [{"key": "team", "value": "shop"}],
        "containerDefinitions": [
            {"name": "app", "image": "r:5000/web:1", "essential": true, "optionOfTomorrow": "kept",
                "environment": [{"name": "LEVEL", "value": "hunter1"}, {"name": "DB_PASSWORD", "value": "hunter2"}],
                "secrets": [{"name": "KEY", "valueFrom": "arn:aws:ssm:hunter3"}], "command": ["--token", "hunter4"]},
            {"name": "proxy", "image": "r/proxy:7"}],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn another_image_is_a_new_revision_that_keeps_all_else() {
    let (bench, ecs) = ready().await;
    let writer = writer(&bench);
    let first = writer.register(&rich()).await.expect("a revision");
    let first = first.rsplit('/').next().expect("a name").to_owned();
    let (end, _) = act(&ecs, &roll_back("web", Some(&first))).await;
    assert_eq!(end.outcome, Outcome::Done, "{end:?}");

    let unclear = plan(&ecs, &image("web", None, ":2")).await;
    assert!(!unclear.is_possible() && unclear.refused[0].contains("app, proxy"), "{unclear:#?}");
    assert!(!plan(&ecs, &image("web", Some("nope"), ":2")).await.is_possible());
    let same = plan(&ecs, &image("web", Some("app"), ":1")).await;
    assert!(!same.is_possible() && same.refused[0].contains("runs that already"), "{same:#?}");

    let shown = plan(&ecs, &image("web", Some("app"), ":2")).await;
    assert!(shown.is_possible(), "{shown:#?}");
    let change = &shown.changes[0];
    assert_eq!(
        (change.field.as_str(), change.from.as_str(), change.to.as_str()),
        ("image of app", "r:5000/web:1", "r:5000/web:2")
    );
    assert_eq!(shown.diff, ["- app.image: r:5000/web:1", "+ app.image: r:5000/web:2"]);
    let needs: Vec<&str> = shown.needs.iter().map(|n| n.what.as_str()).collect();
    assert_eq!(
        needs,
        ["ecs:UpdateService", "ecs:RegisterTaskDefinition", "ecs:TagResource", "iam:PassRole of web-task"]
    );
    assert!(shown.equivalent.iter().any(|l| l.contains("register-task-definition")), "{:?}", shown.equivalent);
    assert!(!serde_json::to_string(&shown).expect("JSON").contains("hunter"), "{shown:#?}");
    let (end, steps) = run(&ecs, &shown, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Done, "{end:?} {steps:#?}");
    for said in ["is registered", "new tasks run"] {
        assert!(steps.iter().any(|s| s.text.contains(said)), "{said}: {steps:#?}");
    }
    let (desired, now) = seen(&bench, "web").await;
    assert_eq!(desired, 3, "how many are wanted is not touched");
    let (old, new) = (writer.definition(&first).await.expect("old"), writer.definition(&now).await.expect("new"));
    let mut expected = rich();
    assert_eq!(registrable(&old)["containerDefinitions"], expected["containerDefinitions"]);
    expected["containerDefinitions"][0]["image"] = "r:5000/web:2".into();
    for (key, value) in expected.as_object().expect("fields") {
        assert_eq!(new[key], *value, "{key}");
    }
    assert_eq!(new["revision"].as_u64(), old["revision"].as_u64().map(|n| n + 1));

    let undo = end.undo.expect("the revision that was");
    assert_eq!((undo.verb, undo.options.revision.as_deref()), (Verb::RollBack, Some(first.as_str())));
    let back = plan(&ecs, &undo).await;
    assert_eq!(back.diff, ["- app.image: r:5000/web:2", "+ app.image: r:5000/web:1"]);
    let (end, _) = run(&ecs, &back, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Done, "{end:?}");
    assert_eq!(seen(&bench, "web").await.1, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_pulled_is_told_with_its_reason() {
    let (bench, ecs) = ready().await;
    let before = seen(&bench, "web").await.1;
    let (end, steps) = act(&ecs, &image("web", None, ":missing")).await;
    assert_eq!(end.outcome, Outcome::Failed, "{end:?} {steps:#?}");
    for said in ["without a circuit breaker", "CannotPullContainerError", "r/web:missing"] {
        assert!(end.text.contains(said), "{said}: {}", end.text);
    }
    let undo = end.undo.expect("a way back");
    assert_eq!((undo.verb, undo.options.revision.as_deref()), (Verb::RollBack, Some(before.as_str())));
    // A circuit breaker ends it, and goes back by itself.
    let before = seen(&bench, "cart").await.1;
    let (end, steps) = act(&ecs, &image("cart", Some("app"), ":missing")).await;
    assert_eq!(end.outcome, Outcome::Failed, "{end:?} {steps:#?}");
    let back = format!("ECS goes back to {before}");
    for said in ["the rollout failed: ECS deployment circuit breaker", "CannotPullContainerError", &back] {
        assert!(end.text.contains(said), "{said}: {}", end.text);
    }
    assert!(end.undo.is_none(), "ECS has undone it: {end:?}");
    settled(&bench, "cart").await;
    assert_eq!(seen(&bench, "cart").await.1, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_registered_for_what_changed_meanwhile() {
    let (bench, ecs) = ready().await;
    let first = plan(&ecs, &image("web", None, ":2")).await;
    assert_eq!(act(&ecs, &scale("web", 4)).await.0.outcome, Outcome::Done);
    let (end, _) = run(&ecs, &first, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Failed, "{end:?}");
    assert!(end.text.contains("was 3 tasks") && end.text.contains("nothing was done"), "{}", end.text);
    assert_eq!(asked(&bench, "ecs:RegisterTaskDefinition"), 0);
    assert!(end.undo.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_denied_names_the_revision_that_is_left_over() {
    let (bench, ecs) = ready().await;
    let before = seen(&bench, "web").await;
    let shown = plan(&ecs, &image("web", None, ":2")).await;
    let deny = |what: &str| {
        bench.faults.set(|f| {
            f.denied = [what.to_owned()].into();
        });
    };
    deny("ecs:RegisterTaskDefinition");
    let (end, _) = run(&ecs, &shown, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Failed, "{end:?}");
    assert!(end.text.contains("no new revision: not allowed"), "{}", end.text);
    deny("ecs:UpdateService");
    let (end, steps) = run(&ecs, &shown, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Failed, "{end:?}");
    let (family, revision) = before.1.split_once(':').expect("a revision");
    let left = format!("{family}:{} is registered, and not used", revision.parse::<u32>().expect("a number") + 1);
    assert!(end.text.contains(&left), "{left}: {} {steps:#?}", end.text);
    assert!(end.undo.is_none(), "nothing of the service was changed: {end:?}");
    bench.faults.clear();
    assert_eq!(seen(&bench, "web").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_says_how_far_it_came() {
    let (bench, ecs) = ready().await;
    let before = seen(&bench, "web").await;
    let shown = plan(&ecs, &image("web", None, ":2")).await;
    let (end, _) = run(&ecs, &shown, |step, cancel| {
        if step.text == "a new revision is being registered" {
            cancel.cancel();
        }
    })
    .await;
    assert_eq!(end.outcome, Outcome::Cancelled, "{end:?}");
    assert!(end.text.contains("is registered, and not used") && end.undo.is_none(), "{end:?}");
    assert_eq!(seen(&bench, "web").await, before);
    // Later on it goes on without us, and can be undone.
    let (end, _) = run(&ecs, &shown, |step, cancel| {
        if step.text.contains("new tasks run") {
            cancel.cancel();
        }
    })
    .await;
    assert_eq!(end.outcome, Outcome::Cancelled, "{end:?}");
    assert!(end.text.contains("the rollout goes on"), "{}", end.text);
    let undo = end.undo.expect("a way back");
    assert_eq!((undo.verb, undo.options.revision.as_deref()), (Verb::RollBack, Some(before.1.as_str())));
    settled(&bench, "web").await;
    assert_ne!(seen(&bench, "web").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_throttled_is_asked_again_and_given_up_in_the_end() {
    let (bench, ecs) = ready().await;
    let shown = plan(&ecs, &image("web", None, ":2")).await;
    bench.faults.set(|f| f.throttle_percent = 25);
    let (end, steps) = run(&ecs, &shown, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Done, "{end:?} {steps:#?}");
    bench.faults.set(|f| f.throttle_percent = 0);
    let shown = plan(&ecs, &image("web", None, ":3")).await;
    bench.faults.set(|f| f.throttle_percent = 100);
    let (end, _) = run(&ecs, &shown, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Failed, "{end:?}");
    assert!(end.text.contains("nothing was done") && end.text.to_lowercase().contains("throttl"), "{}", end.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_in_progress_is_stopped_and_ecs_goes_back() {
    let (bench, ecs) = ready().await;
    let before = seen(&bench, "web").await.1;
    let begin = plan(&ecs, &image("web", None, ":missing")).await;
    let (end, _) = run(&ecs, &begin, |step, cancel| {
        if step.text.contains("new tasks run") {
            cancel.cancel();
        }
    })
    .await;
    assert_eq!(end.outcome, Outcome::Cancelled, "{end:?}");
    let bad = seen(&bench, "web").await.1;

    let shown = plan(&ecs, &roll_back("web", None)).await;
    assert!(shown.is_possible(), "{shown:#?}");
    let change = &shown.changes[0];
    assert_eq!((change.from.as_str(), change.to.as_str()), (bad.as_str(), before.as_str()));
    assert!(change.note.contains("StopServiceDeployment"), "{}", change.note);
    assert!(
        matches!(&change.precondition, Precondition::Deployment(arn) if arn.contains(":service-deployment/shop/web/"))
    );
    assert_eq!(shown.diff, ["- image: r/web:missing", "+ image: r/web:1"]);
    assert!(shown.equivalent[0].contains("stop-service-deployment"), "{:?}", shown.equivalent);
    let late = shown.clone();
    let (end, steps) = run(&ecs, &shown, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Done, "{end:?} {steps:#?}");
    assert_eq!(seen(&bench, "web").await, (3, before.clone()));
    let undo = end.undo.expect("what was stopped");
    assert_eq!((undo.verb, undo.options.revision.as_deref()), (Verb::RollBack, Some(bad.as_str())));
    let client = somebody(&bench).await;
    let list = client.list_service_deployments().cluster("shop").service("web").send().await.expect("a list");
    let states: Vec<&str> = list.service_deployments().iter().filter_map(|d| Some(d.status()?.as_str())).collect();
    assert_eq!(states, ["ROLLBACK_SUCCESSFUL", "SUCCESSFUL"]);
    // The same plan once more: that deployment is over.
    let (end, _) = run(&ecs, &late, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Failed, "{end:?}");
    assert!(end.text.contains("nothing was done") && asked(&bench, "ecs:StopServiceDeployment") == 1, "{}", end.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_back_already_is_not_sent_further_back() {
    let (bench, ecs) = ready().await;
    let client = somebody(&bench).await;
    client.update_service().cluster("shop").service("web").force_new_deployment(true).send().await.expect("a rollout");
    let shown = plan(&ecs, &roll_back("web", None)).await;
    let change = &shown.changes[0];
    assert!(shown.is_possible() && change.from == change.to && shown.diff.is_empty(), "{shown:#?}");
    assert_eq!(shown.undo, "restart it again");
    let Precondition::Deployment(arn) = &change.precondition else { panic!("{change:#?}") };
    client.stop_service_deployment().service_deployment_arn(arn.as_str()).send().await.expect("somebody stops it");
    let (end, _) = run(&ecs, &shown, |_, _| ()).await;
    assert!(end.outcome == Outcome::Failed && end.text.contains("goes back from that"), "{end:?}");
    let again = plan(&ecs, &roll_back("web", None)).await;
    assert!(!again.is_possible() && again.refused[0].contains("goes back already"), "{again:#?}");
    assert_eq!(asked(&bench, "ecs:StopServiceDeployment"), 1, "only theirs");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_rollout_the_revision_before_is_given() {
    let (bench, ecs) = ready().await;
    let (_, now) = seen(&bench, "web").await;
    let shown = plan(&ecs, &roll_back("web", None)).await;
    assert!(shown.changes[0].note.contains("UpdateService"), "{shown:#?}");
    assert_eq!(shown.diff, ["- image: r/web:1", "+ image: r/web:0"]);
    let (end, steps) = run(&ecs, &shown, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Done, "{end:?} {steps:#?}");
    assert_eq!(end.undo.and_then(|u| u.options.revision), Some(now));
    let none = plan(&ecs, &roll_back("web", None)).await;
    assert!(none.refused[0].contains("no revision before"), "{none:#?}");
    let same = plan(&ecs, &roll_back("web", Some(&seen(&bench, "web").await.1))).await;
    assert!(same.refused[0].contains("already"), "{same:#?}");
    let unknown = plan(&ecs, &roll_back("web", Some("9999"))).await;
    assert_eq!(unknown.changes[0].fate, Fate::Stays, "{unknown:#?}");
    // Whoever may not ask for deployments still goes back, and is told.
    bench.faults.set(|f| {
        f.denied.insert("ecs:ListServiceDeployments".to_owned());
    });
    let blind = plan(&ecs, &roll_back("api", None)).await;
    assert!(blind.is_possible() && blind.warnings.iter().any(|w| w.contains("not known")), "{blind:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_whose_place_is_taken_is_not_called_done() {
    let (bench, ecs) = ready().await;
    let client = somebody(&bench).await;
    let restart = plan(&ecs, &Intent::new(Verb::Restart, vec![service("web")])).await;
    let (began, mut other) = (instant(), None);
    let (end, steps) = run(&ecs, &restart, |step, _| {
        if step.text.contains("new tasks run") && other.is_none() {
            let client = client.clone();
            let force = async move {
                client.update_service().cluster("shop").service("web").force_new_deployment(true).send().await
            };
            other = Some(tokio::spawn(force));
        }
    })
    .await;
    assert!(began.elapsed() < PATIENCE);
    other.expect("was begun").await.expect("runs").expect("another rollout");
    assert_eq!(end.outcome, Outcome::Failed, "{end:?} {steps:#?}");
    assert!(end.text.contains("has taken its place"), "{}", end.text);
    assert!(steps.iter().any(|s| s.state == StepState::Failed), "{steps:#?}");
}
