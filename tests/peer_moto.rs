//! Our ECS, CloudWatch and logs sources against moto, which nobody here wrote, with
//! a small translator in front of it for CloudWatch's CBOR. Python is found as
//! in `peer_boto3.rs`; without it the test says so and passes, except where `CI=true`.

#![cfg(feature = "aws")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests fail as tests do, and the lint's exception for tests does not see them"
)]

#[path = "support/peer.rs"]
mod peer;
#[path = "support/python.rs"]
mod python;

use std::time::Duration;

use quarterdeck::action::alarms::Alarms;
use quarterdeck::action::desk::Progress;
use quarterdeck::action::{Actor, Intent, Outcome, Verb};
use quarterdeck::clock::{Clock, instant};
use quarterdeck::config::diagnostic::Source;
use quarterdeck::domain::slo::Lookback;
use quarterdeck::domain::{AlarmState, ClusterId, Health, Kind, ObjectId, Severity, Text};
use quarterdeck::source::LogStream;
use quarterdeck::source::aws::budgets::{CLOUDWATCH, Objectives};
use quarterdeck::source::aws::{AccountSpec, EcsSpec, Keys};
use quarterdeck::source::ecs::{Sources, Wanted};
use quarterdeck::store::problems::problems;
use quarterdeck::store::{Feed, Observation, Store};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Applies what comes until `done`, or fails with what was said.
async fn until(what: &str, store: &mut Store, rx: &mut mpsc::Receiver<Observation>, done: impl Fn(&Store) -> bool) {
    let end = instant();
    while !done(store) {
        let left = Duration::from_mins(1).checked_sub(end.elapsed());
        let Some(left) = left else {
            let said: Vec<String> = store.log().map(|l| format!("{}: {}", l.source.feed.word(), l.text)).collect();
            panic!("waited in vain for {what}: {said:#?}");
        };
        if let Ok(Some(observation)) = tokio::time::timeout(left, rx.recv()).await {
            store.apply(observation);
        }
    }
}

#[test]
fn our_sources_read_moto_whole() {
    let Some(python) = python::find("the ECS sources against moto") else { return };
    let (moto, shim, _processes) = peer::moto(&python, &[]);
    let endpoint = format!("http://{shim}");
    let said = python::run(&python, "populate_moto.py", &[&format!("http://{moto}")], Duration::from_mins(2));
    let filled: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let moment = filled["moment"].as_i64().expect("a time");
    runtime.block_on(read(endpoint, filled["first_task"].as_str().expect("an ARN"), moment));
}

/// 111 alarms, one of which fires.
fn alarms(store: &Store) {
    assert_eq!(store.alarms.len(), 111);
    let firing: Vec<_> = store.alarms.rows().filter(|a| a.state == AlarmState::Firing).collect();
    let [cpu] = firing.as_slice() else { panic!("one fires: {firing:?}") };
    assert_eq!((cpu.id.name.as_str(), cpu.severity), ("svc-000-cpu", Severity::Critical));
    assert_eq!((cpu.value, cpu.threshold), (Some(93.5), Some(80.0)));
    assert_eq!(cpu.about.as_ref().map(|a| a.name.as_str()), Some("svc-000"));
    assert_eq!(cpu.runbook, "https://runbooks.example.com/0");
    assert!(cpu.since.is_some() && !cpu.account_wide);
    let queue = store.alarms.rows().find(|a| a.id.name == "orders-old").expect("the queue's");
    assert!(queue.account_wide && queue.about.is_none());
    let problems = problems(store, Clock::system().now());
    let told: Vec<_> = problems.iter().filter(|p| p.id.kind == Kind::Alarm).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].health, told[0].what.as_str()), (Health::Critical, "alarm on service svc-000"));
}

/// An alarm is silenced there, shows so here, and is let act again.
async fn keep_from_acting(sources: &Sources, store: &mut Store, rx: &mut mpsc::Receiver<Observation>) {
    let id = store.alarms.rows().find(|a| a.id.name == "svc-000-cpu").expect("it").id.clone();
    let writer = sources.writer(&ClusterId::new("shop"));
    let actor = Alarms::new(Text::new("ann"), Clock::system()).with_cloudwatch(writer);
    for (verb, silenced) in [(Verb::Silence, true), (Verb::Unsilence, false)] {
        let plan = actor.plan(&Intent::new(verb, vec![id.clone()])).await.expect("a plan");
        assert!(plan.is_possible(), "{plan:#?}");
        // Nobody looks at the steps.
        let (progress, _events) = Progress::channel(Clock::system());
        let end = actor.run(&plan, &progress, &CancellationToken::new()).await;
        assert_eq!(end.outcome, Outcome::Done, "{end:?}");
        let is_so = |s: &Store| s.alarms.get(&id).is_some_and(|a| a.suppressed_by.is_empty() != silenced);
        until("the alarm as it is now", store, rx, is_so).await;
    }
}

/// Two errors in every tenth minute of a hundred requests, from two hours before `moment`: the minutes between,
/// which have no point of errors, count as good ones. Minute for minute, what CloudWatch's semantics make of that: a
/// point belongs to the whole minute that it falls in, minutes that ended less than two minutes ago may still grow,
/// and windows end where the points do as long as these are two minutes late at most.
fn budget(store: &Store, moment: i64) {
    let budgets: Vec<_> = store.budgets.rows().collect();
    let [b] = budgets.as_slice() else { panic!("one: {budgets:?}") };
    assert_eq!(b.note, "");
    let a = b.assessment.as_ref().expect("figures");
    let whole = |secs: i64| secs.div_euclid(60) * 60;
    let settled = whole(b.at.expect("a time").timestamp() - 120);
    let points: Vec<(i64, f64)> =
        (1..=120).map(|m| (whole(moment - 60 * m), if m % 10 == 1 { 2.0 } else { 0.0 })).collect();
    let newest = points[0].0 + 60;
    let end = if newest >= settled - 120 { newest.min(settled) } else { settled };
    let over = |secs: i64| {
        let inside: Vec<f64> =
            points.iter().filter(|(at, _)| *at >= end - secs && *at < end).map(|(_, bad)| *bad).collect();
        (inside.iter().sum::<f64>(), 100.0 * f64::from(u32::try_from(inside.len()).expect("few")))
    };
    assert_eq!(a.burns.len(), 7, "{:?}", a.burns);
    for (window, burn) in &a.burns {
        let (bad, all) = over(i64::try_from(window.secs()).expect("short"));
        let burn = burn.expect("traffic").value();
        assert!((burn - bad / all / 0.001).abs() < 1e-6, "{window}: {burn}, and not of {bad} in {all}");
    }
    // Any ten minutes in a row have one with errors.
    let half_an_hour = a.burns.iter().find(|(w, _)| *w == Lookback::minutes(30)).and_then(|(_, b)| *b);
    assert!(half_an_hour.is_some_and(|b| (b.value() - 2.0).abs() < 1e-6), "{half_an_hour:?}");
    let (bad, all) = over(30 * 86_400);
    let counts = a.counts.expect("events");
    assert!((counts.bad() - bad).abs() < 1e-6 && (counts.total() - all).abs() < 1e-6, "{counts:?}: {bad} of {all}");
    // Two hours but for what may still grow.
    assert!(all >= 11_700.0, "{all}");
}

async fn read(endpoint: String, first_task: &str, moment: i64) {
    let id = ClusterId::new("shop");
    let account = AccountSpec {
        profile: Some("moto".to_owned()),
        region: Some("eu-west-1".to_owned()),
        endpoint: Some(endpoint),
        keys: Some(Keys { id: "test".to_owned(), secret: "test".to_owned() }),
        ceiling: Some(100),
    };
    let spec = EcsSpec {
        id: id.clone(),
        cluster: "shop".to_owned(),
        account,
        production: false,
        read_only: false,
        interval: Duration::from_secs(2),
    };
    let (tx, mut rx) = mpsc::channel(256);
    let slo = Source::new("ecs.yaml", include_str!("../scenarios/slo/ecs.yaml"));
    let objectives =
        Objectives { definitions: quarterdeck::slo::read(&[slo]).definitions, interval: Duration::from_mins(1) };
    let sources = Sources::following(vec![spec], None, objectives, tx, Clock::system());
    let mut store = Store::expecting([]).and_ecs([id.clone()]).and_backends([ClusterId::new(CLOUDWATCH)]);
    until("a whole picture", &mut store, &mut rx, |s| {
        s.is_complete(&[Feed::Tasks, Feed::Services, Feed::Nodes, Feed::Autoscalers, Feed::Alarms])
    })
    .await;
    // 120 services are two pages and twelve batches, 250 tasks three: none is lost.
    assert_eq!((store.tasks.len(), store.workloads.len(), store.nodes.len()), (250, 120, 2));
    assert!(store.nodes.rows().all(|n| n.id.name.starts_with("i-") && n.instance_type == "m5.large"));
    let of_first = store.tasks.rows().filter(|t| t.owner == "svc-000").count();
    assert_eq!(of_first, 10, "a task's group is its service");

    alarms(&store);
    keep_from_acting(&sources, &mut store, &mut rx).await;
    until("a budget", &mut store, &mut rx, |s| s.budgets.rows().any(|b| b.assessment.is_some())).await;
    budget(&store, moment);

    let service =
        ObjectId { cluster: id.clone(), kind: Kind::EcsService, namespace: Text::empty(), name: Text::new("svc-000") };
    sources.show(std::slice::from_ref(&service));
    until("metrics", &mut store, &mut rx, |s| s.usage.get(&service).is_some()).await;
    let used = store.usage.get(&service).expect("a sample").latest();
    assert_eq!(used.shares(), (37.5, 62.5));

    let task = store.tasks.rows().find(|t| t.uid == first_task).expect("the first task");
    let definition = task.ecs.as_ref().expect("an ECS task").definition_arn.clone();
    let stream = LogStream {
        task: task.id.clone(),
        container: Text::new("app"),
        follow: false,
        since_secs: None,
        tail: Some(5),
        previous: false,
        uid: Text::empty(),
        restarts: None,
    };
    let (out, mut chunks) = mpsc::channel(16);
    let reader = sources.reader(&id).expect("a reader");
    reader.clone().logs(vec![Wanted { source: 0, definition, stream }], out).await;
    let lines = chunks.recv().await.expect("an answer").lines.expect("lines");
    let lines: Vec<&str> = lines.iter().map(|l| l.raw.as_str()).collect();
    assert_eq!(lines, ["line 5", "line 6", "line 7", "line 8", "line 9"]);

    let object = reader.object(&task.id, first_task).await.expect("a description");
    assert_eq!(object["taskArn"], first_task);
    assert_eq!(object["launchType"], "FARGATE");
    sources.stop();
}
