//! What counts as wrong, and since when.

#[path = "support/fleet.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod fleet;

use chrono::TimeDelta;
use fleet::{now, observe, task, workload};
use quarterdeck::domain::{Alarm, AlarmSource, AlarmState, ClusterId, Health, Kind, Labels, Severity, Text};
use quarterdeck::store::problems::problems;
use quarterdeck::store::{Feed, Rows, Store};

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
    // On its way out is another matter: nothing says since when.
    waiting.status = Text::new("Terminating");
    assert!(problems(&store(vec![waiting], Vec::new()), now() + TimeDelta::days(1)).is_empty());
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
    assert_eq!((found[0].since, found[0].what.as_str()), (None, "2 of 2 short: CrashLoopBackOff x2, 14 restarts"));
    once.restarts = 1;
    let first = store(vec![once.clone()], vec![workload("api", 2, 1)]);
    assert_eq!(problems(&first, now())[0].since, once.last_restart);
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
    let rows = vec![alarm("test", "queue"), alarm("again", "queue"), silenced, fine, blind, scales];
    observe(&mut store, Feed::Alarms, Rows::Alarms(rows));
    assert_eq!(store.alarms.len(), 6, "all are known");
    let found = problems(&store, now());
    let [one] = found.as_slice() else { panic!("one is told: {found:?}") };
    assert_eq!((one.id.name.as_str(), one.id.cluster.as_str()), ("queue", "again"));
    assert_eq!((one.health, one.what.as_str(), one.why.as_str()), (Health::Critical, "alarm", "what it is for"));
    assert_eq!(one.since, Some(now()));
    observe(&mut store, Feed::Alarms, Rows::Alarms(Vec::new()));
    assert_eq!(store.alarms.len(), 1, "what a whole list does not have is gone; the other cluster's stays");
}
