//! What counts as wrong, and since when.

#[path = "support/fleet.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod fleet;

use chrono::TimeDelta;
use fleet::{Desk, id, node, now, observe, small_fleet, task, workload};
use quarterdeck::domain::{
    Alarm, AlarmSource, AlarmState, Autoscaler, CapacityType, ClusterId, EcsTask, Health, Kind, Labels, NodeCondition,
    Severity, Stop, Text,
};
use quarterdeck::store::problems::problems;
use quarterdeck::store::{Body, Feed, Observation, Rows, SourceId, Store};

fn store(tasks: Vec<quarterdeck::domain::Task>, workloads: Vec<quarterdeck::domain::Workload>) -> Store {
    let mut store = Store::default();
    observe(&mut store, Feed::Tasks, Rows::Tasks(tasks));
    observe(&mut store, Feed::Deployments, Rows::Workloads(workloads));
    store
}

#[test]
fn a_task_that_never_comes_up_is_a_problem_after_ten_minutes() {
    let mut waiting = task("web-1", "", "", "ContainerCreating", Health::Progressing);
    waiting.owner_kind = Kind::Other;
    waiting.created = Some(now() - TimeDelta::minutes(9));
    let young = store(vec![waiting.clone()], Vec::new());
    assert!(problems(&young, now()).is_empty());
    let found = problems(&young, now() + TimeDelta::minutes(2));
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].health, found[0].what.as_str(), found[0].since),
        (Health::Warning, "ContainerCreating", waiting.created)
    );
    // On its way out is another matter: what counts is the end of its grace.
    waiting.status = Text::new("Terminating");
    assert!(problems(&store(vec![waiting.clone()], Vec::new()), now() + TimeDelta::days(1)).is_empty());
    waiting.since = Some(now() + TimeDelta::hours(1));
    let going = store(vec![waiting.clone()], Vec::new());
    assert!(problems(&going, now() + TimeDelta::minutes(61)).is_empty());
    let found = problems(&going, now() + TimeDelta::minutes(63));
    let told = found.first().map(|p| (p.health, p.what.as_str(), p.since));
    assert_eq!(told, Some((Health::Warning, "stuck terminating", waiting.since)));
}

/// A task of an ECS service that failed to start.
fn stopped(name: &str, service: &str) -> quarterdeck::domain::Task {
    let mut failed = task(name, service, "", "TaskFailedToStart", Health::Warning);
    failed.owner_kind = Kind::EcsService;
    let stop = Stop { code: Text::new("TaskFailedToStart"), reason: Text::empty(), begun: None, at: Some(now()) };
    failed.ecs = Some(Box::new(EcsTask {
        arn: Text::empty(),
        launch: Text::new("FARGATE"),
        provider: Text::empty(),
        capacity_type: CapacityType::OnDemand,
        definition: Text::new("web:8"),
        definition_arn: Text::empty(),
        zone: Text::empty(),
        started: None,
        started_by: Text::empty(),
        exec: false,
        protected_until: None,
        stop_timeout: None,
        stop: Some(stop),
    }));
    failed
}

#[test]
fn what_stopped_is_evidence_once_its_service_is_steady_again() {
    let tasks = || vec![stopped("web/1", "web"), stopped("web/2", "web")];
    let service = |status: &str, health| {
        let mut service = workload("web", 2, 2);
        service.id.kind = Kind::EcsService;
        (service.status, service.health) = (Text::new(status), health);
        // The tasks' owner, wherever they were made.
        service.id.namespace = tasks()[0].id.namespace.clone();
        service
    };
    assert_eq!(problems(&store(tasks(), vec![service("Steady", Health::Ok)]), now()), []);
    let rolling = store(tasks(), vec![service("Rolling out", Health::Progressing)]);
    let told = problems(&rolling, now());
    assert_eq!(told.first().map(|p| p.what.as_str()), Some("TaskFailedToStart x2"), "{told:?}");
    // Of nobody's, it is told for as long as it is fresh.
    let mut alone = stopped("batch/1", "");
    alone.owner_kind = Kind::Other;
    assert_eq!(problems(&store(vec![alone], Vec::new()), now()).len(), 1);

    let mut all = tasks();
    all.push(task("web/3", "web", "", "Running", Health::Ok));
    let cluster = all[0].id.cluster.clone();
    let totals = store(all, vec![service("Steady", Health::Ok)]).totals.cluster(&cluster);
    assert_eq!((totals.all, totals.unfinished(), totals.done, totals.warning, totals.ok), (3, 1, 2, 0, 1));
}

#[test]
fn what_failed_and_was_replaced_is_left_over() {
    let mut failed = task("web-old", "web", "", "Error", Health::Critical);
    failed.last_restart = None;
    let replaced = store(vec![failed.clone()], vec![workload("web", 2, 2)]);
    assert!(problems(&replaced, now()).is_empty(), "two of two are there");
    let short = store(vec![failed.clone()], vec![workload("web", 2, 1)]);
    assert_eq!(problems(&short, now()).len(), 1);
    failed.owner_kind = Kind::Other;
    failed.owner = Text::empty();
    let alone = problems(&store(vec![failed], Vec::new()), now());
    assert_eq!(alone.first().map(|p| p.health), Some(Health::Critical), "nobody replaces what nobody owns");
}

#[test]
fn since_is_never_a_guess() {
    let crash = task("api-1", "api", "", "CrashLoopBackOff", Health::Critical);
    let mut once = task("api-2", "api", "", "CrashLoopBackOff", Health::Critical);
    let both = store(vec![crash.clone(), crash_named(&crash, "api-3")], vec![workload("api", 2, 0)]);
    let found = problems(&both, now());
    // Seven restarts in the twelve minutes of its life: it never was well.
    let told = (found[0].since, found[0].what.as_str());
    assert_eq!(told, (crash.created, "2 of 2 short: CrashLoopBackOff x2, 14 restarts"));
    // Seven in forty days: the last of them is no beginning.
    let mut old = crash.clone();
    old.created = Some(now() - TimeDelta::days(40));
    old.owner_kind = Kind::Other;
    let mut seen = store(vec![old.clone()], Vec::new());
    let first = &problems(&seen, now())[0];
    assert_eq!((first.since, first.at_least), (old.last_restart, true), "it has lasted for longer");
    assert!(first.lasted(now()).ends_with('+'), "{}", first.lasted(now()));
    // From then on what is seen is known.
    for minutes in [1, 3] {
        old.restarts += 1;
        old.last_restart = Some(now() + TimeDelta::minutes(minutes));
        observe(&mut seen, Feed::Tasks, Rows::Tasks(vec![old.clone()]));
    }
    assert_eq!(problems(&seen, now() + TimeDelta::minutes(3))[0].since, Some(now() - TimeDelta::minutes(2)));
    once.restarts = 1;
    let first = store(vec![once.clone()], vec![workload("api", 2, 1)]);
    assert_eq!(problems(&first, now())[0].since, once.last_restart);
}

#[test]
fn a_crash_loop_does_not_look_well_between_two_crashes() {
    let mut up = task("api-1", "api", "", "Running", Health::Ok);
    (up.restarts, up.created) = (7, Some(now() - TimeDelta::minutes(40)));
    up.last_restart = Some(now() - TimeDelta::minutes(3));
    let found = problems(&store(vec![up.clone()], vec![workload("api", 2, 2)]), now());
    let told = found.first().map(|p| (p.health, p.what.as_str()));
    assert_eq!(told, Some((Health::Critical, "crash looping, 7 restarts")));
    assert!(problems(&store(vec![up.clone()], Vec::new()), now() + TimeDelta::minutes(8)).is_empty(), "it holds");
    // Seven in forty days and one just now are no loop.
    up.created = Some(now() - TimeDelta::days(40));
    assert!(problems(&store(vec![up.clone()], Vec::new()), now()).is_empty());
    // Unless the last ones were seen to follow each other.
    let mut seen = store(vec![up.clone()], Vec::new());
    for n in 8..11 {
        up.restarts = n;
        observe(&mut seen, Feed::Tasks, Rows::Tasks(vec![up.clone()]));
    }
    assert_eq!(problems(&seen, now()).first().map(|p| p.health), Some(Health::Critical));
}

#[test]
fn a_lost_zone_is_one_line() {
    let mut nodes: Vec<_> = (0..6)
        .map(|i| node(&format!("n{i}"), if i < 3 { NodeCondition::Ready } else { NodeCondition::Silent }))
        .collect();
    for (i, n) in nodes.iter_mut().enumerate() {
        n.zone = Text::new(if i < 3 { "a" } else { "b" });
        n.condition_since = Some(now() - TimeDelta::minutes(5));
    }
    let on = |name: &str, owner: &str, node: &str| task(name, owner, node, "Running", Health::Ok);
    let mut gone = on("web-1", "web", "n4");
    (gone.status, gone.health) = (Text::new("Terminating"), Health::Progressing);
    let tasks = vec![gone, on("web-2", "web", "n1"), on("api-1", "api", "n3"), on("api-2", "api", "n5")];
    let mut all = store(tasks, vec![workload("web", 2, 1), workload("api", 2, 0)]);
    observe(&mut all, Feed::Nodes, Rows::Nodes(nodes.clone()));
    let found: Vec<_> = problems(&all, now()).into_iter().map(|p| (p.id.kind, p.id.name.to_string(), p.what)).collect();
    assert_eq!(
        found,
        [
            (Kind::Zone, "b".to_owned(), "3 of 3 nodes not ready, 1 workload short".to_owned()),
            // Nothing of it serves: that is not hidden behind the zone.
            (Kind::Deployment, "api".to_owned(), "2 of 2 short".to_owned()),
        ]
    );
    // One machine of three is a machine.
    let mut one = store(Vec::new(), Vec::new());
    for n in &mut nodes[3..5] {
        n.condition = NodeCondition::Ready;
    }
    observe(&mut one, Feed::Nodes, Rows::Nodes(nodes));
    let found = problems(&one, now());
    assert_eq!(found.iter().map(|p| (p.id.kind, p.id.name.as_str())).collect::<Vec<_>>(), [(Kind::Node, "n5")]);
    assert_eq!(found[0].since, Some(now() - TimeDelta::minutes(5)));
}

#[test]
fn what_runs_on_a_silent_machine_is_unknown_everywhere() {
    let mut silent = node("n1", NodeCondition::Silent);
    let tasks = vec![
        task("web-1", "web", "n1", "Running", Health::Ok),
        task("web-2", "web", "n2", "Running", Health::Ok),
        task("job-1", "job", "n1", "Completed", Health::Done),
    ];
    let mut all = store(tasks, vec![workload("web", 2, 2)]);
    observe(&mut all, Feed::Nodes, Rows::Nodes(vec![silent.clone(), node("n2", NodeCondition::Ready)]));
    let health = |s: &Store| s.tasks.rows().map(|t| s.health(t, now())).collect::<Vec<_>>();
    assert_eq!(health(&all), [Health::Unknown, Health::Ok, Health::Done]);
    let totals = all.task_totals(&fleet::cluster(), now());
    assert_eq!((totals.ok, totals.unknown, totals.done, totals.all), (1, 1, 1, 3));
    silent.condition = NodeCondition::Ready;
    observe(&mut all, Feed::Nodes, Rows::Nodes(vec![silent, node("n2", NodeCondition::Ready)]));
    assert_eq!(health(&all), [Health::Ok, Health::Ok, Health::Done]);
    assert_eq!(all.task_totals(&fleet::cluster(), now()).unknown, 0);
}

#[test]
fn a_shortage_that_has_just_begun_is_given_a_moment() {
    let mut all = store(Vec::new(), vec![workload("web", 9, 9), workload("api", 9, 8)]);
    assert_eq!(problems(&all, now()).len(), 1, "api was short when first seen: that may be old");
    let source = SourceId { cluster: fleet::cluster(), feed: Feed::Deployments };
    let body = Body::Upsert(Rows::Workloads(vec![workload("web", 9, 8)]));
    all.apply(Observation { source, at: now(), body });
    let names = |at| problems(&all, at).into_iter().map(|p| p.id.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(now() + TimeDelta::seconds(20)), ["api"]);
    assert_eq!(names(now() + TimeDelta::seconds(40)), ["api", "web"]);
    let web = problems(&all, now() + TimeDelta::seconds(40)).pop().and_then(|p| p.since);
    assert_eq!(web, Some(now()));
}

fn crash_named(of: &quarterdeck::domain::Task, name: &str) -> quarterdeck::domain::Task {
    let mut other = of.clone();
    other.id.name = Text::new(name);
    other
}

fn alarm(cluster: &str, name: &str) -> Alarm {
    let mut id = fleet::id(Kind::Alarm, "", name);
    id.cluster = ClusterId::new(cluster);
    Alarm {
        id,
        uid: Text::new(&format!("arn:{name}")),
        account_wide: false,
        source: AlarmSource::CloudWatchMetric,
        state: AlarmState::Firing,
        severity: Severity::Critical,
        since: Some(now()),
        summary: Text::new("what it is for"),
        reason: Text::empty(),
        value: None,
        threshold: None,
        labels: Labels::from([]),
        about: None,
        suppressed_by: Text::empty(),
        runbook: Text::empty(),
        more: quarterdeck::domain::AlarmMore::default(),
    }
}

#[test]
fn an_alarm_that_fires_is_told_once_unless_somebody_has_seen_to_it() {
    let mut silenced = alarm("test", "silenced");
    silenced.suppressed_by = Text::new("Alarm: maintenance");
    let mut fine = alarm("test", "fine");
    fine.state = AlarmState::Ok;
    let mut blind = alarm("test", "blind");
    blind.state = AlarmState::InsufficientData;
    let mut scales = alarm("test", "scales");
    scales.severity = Severity::Info;
    let mut store = Store::default();
    // The same alarm, read through two profiles.
    let rows = vec![alarm("test", "queue"), silenced, fine, blind, scales];
    observe(&mut store, Feed::Alarms, Rows::Alarms(rows));
    let source = SourceId { cluster: ClusterId::new("again"), feed: Feed::Alarms };
    let again = |at, body| Observation { source: source.clone(), at, body };
    store.apply(again(now(), Body::Upsert(Rows::Alarms(vec![alarm("again", "queue")]))));
    assert_eq!(store.alarms.len(), 6, "all are known");
    let found = problems(&store, now());
    let [one] = found.as_slice() else { panic!("one is told: {found:?}") };
    assert_eq!((one.id.name.as_str(), one.id.cluster.as_str()), ("queue", "again"));
    assert_eq!((one.health, one.what.as_str(), one.why.as_str()), (Health::Critical, "alarm", "what it is for"));
    assert_eq!(one.since, Some(now()));
    observe(&mut store, Feed::Alarms, Rows::Alarms(Vec::new()));
    assert_eq!(store.alarms.len(), 1, "what a whole list does not have is gone; the other cluster's stays");
    // What a backend reports of a cluster is the backend's: it goes when the backend no longer lists
    // it, and not because the cluster's own source does not.
    let prom = SourceId { cluster: ClusterId::new("prom"), feed: Feed::Alarms };
    let whole = |store: &mut Store, source: &SourceId, rows: Vec<Alarm>| {
        for body in [Body::Begin, Body::Upsert(Rows::Alarms(rows)), Body::Synced] {
            store.apply(Observation { source: source.clone(), at: now(), body });
        }
    };
    whole(&mut store, &prom, vec![alarm("test", "burns"), alarm("again", "burns"), alarm("prom", "own")]);
    observe(&mut store, Feed::Alarms, Rows::Alarms(Vec::new()));
    assert_eq!(store.alarms.len(), 4);
    whole(&mut store, &prom, vec![alarm("again", "burns")]);
    let left: Vec<String> = store.alarms.rows().map(|a| format!("{} {}", a.id.cluster, a.id.name)).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    whole(&mut store, &prom, Vec::new());
    assert_eq!(store.alarms.len(), 1);
}

#[test]
fn what_was_a_moment_old_is_new_a_moment_later() {
    use quarterdeck::store::memo::Patience;
    let mut desk = Desk::new(small_fleet());
    desk.store.patience = Patience::of(TimeDelta::milliseconds(250));
    desk.now += TimeDelta::milliseconds(100);
    let before = desk.names();
    let broken = task("lonely", "", "node-a", "CrashLoopBackOff", Health::Critical);
    desk.put_task(quarterdeck::domain::Task { owner_kind: Kind::Other, ..broken });
    desk.now += TimeDelta::milliseconds(100);
    assert_eq!(desk.names(), before, "many changes a second are looked at a few times a second");
    assert!(desk.store.patience.was_used(), "and somebody is told to look again");
    // Nothing changes any more, and the second is the same.
    desk.now += TimeDelta::milliseconds(200);
    assert!(desk.names().contains(&"lonely".to_owned()), "{:?}", desk.names());
    assert!(!desk.store.patience.was_used());
    // Nor does a place in the table say of a new task what an old one did.
    let id = desk.store.tasks.rows().find(|t| t.id.name == "lonely").map(|t| t.id.clone()).expect("it is there");
    desk.remove_task(&id);
    desk.put_task(task("new", "web", "node-a", "Running", Health::Ok));
    desk.now += TimeDelta::milliseconds(400);
    assert_eq!(desk.names(), before);
}

/// Of two lines about one workload the worst counts, and what is well is not done.
#[test]
fn a_workload_is_as_bad_as_the_worst_that_is_said_of_it() {
    let mut store = small_fleet();
    let api = id(Kind::Deployment, "shop", "api");
    let row =
        |store: &Store, name: &str| store.workloads.get(&id(Kind::Deployment, "shop", name)).cloned().expect("a row");
    assert_eq!(store.workload_trouble(&row(&store, "api"), now()), Health::Critical);
    assert_eq!(store.workload_trouble(&row(&store, "web"), now()), Health::Ok);
    let full = Autoscaler {
        id: id(Kind::Autoscaler, "shop", "api"),
        target_kind: Kind::Deployment,
        target: api.name.clone(),
        min: 1,
        max: 2,
        current: 2,
        desired: 2,
        limited: true,
        targets: Text::new("cpu 90%/80%"),
        created: None,
    };
    observe(&mut store, Feed::Autoscalers, Rows::Autoscalers(vec![full]));
    assert_eq!(problems(&store, now()).iter().filter(|p| p.id == api).count(), 2);
    assert_eq!(store.workload_trouble(&row(&store, "api"), now()), Health::Critical);
}
