//! `budget-burn` as the console sees it, through its own sources: the page comes and goes when
//! arithmetic says so, and every place that shows it turns with it.

#![cfg(feature = "prometheus")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail as tests do, and the lint's exception for tests does not see them"
)]

mod support;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use quarterdeck::clock::{Clock, instant};
use quarterdeck::config::diagnostic::Source;
use quarterdeck::config::{BackendSettings, Place};
use quarterdeck::domain::{Alarm, BackendKind, ClusterId, Severity, Timestamp};
use quarterdeck::sim::backend::{Change, Fleet, LogLine, LogQuery, ObjectKind, Refusal, UsageSample};
use quarterdeck::sim::model::{Model, Parameters, Scenario};
use quarterdeck::sim::server::{ServerOptions, SimServer, Tuning};
use quarterdeck::sim::telemetry::Telemetry;
use quarterdeck::source::prometheus::{BackendSpec, Plan, Sources, Way};
use quarterdeck::store::problems::problems;
use quarterdeck::store::{Body, Feed, Observation, Store};
use quarterdeck::view::report::Report;
use quarterdeck::view::status::status;
use serde_json::Value;
use support::fleet::Desk;
use tokio::sync::mpsc;

const SCENARIO: &str = include_str!("../scenarios/budget-burn.toml");
const BURNING: &str = "payments-api-availability";
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two looks at the fleet: what rules are usually evaluated at, and the console's own
/// pace for alerts.
const EVERY: i32 = 30;

/// A model that tells how far its time has come.
struct Watched {
    model: Model,
    upto: Arc<AtomicI64>,
}

impl Fleet for Watched {
    fn initial(&mut self, now: Timestamp) -> Vec<Change> {
        self.model.initial(now)
    }

    fn advance(&mut self, now: Timestamp) -> Vec<Change> {
        let changes = self.model.advance(now);
        self.upto.store(now.timestamp_micros(), Ordering::Release);
        changes
    }

    fn write(&mut self, kind: ObjectKind, object: &Value, now: Timestamp) -> Result<Vec<Change>, Refusal> {
        self.model.write(kind, object, now)
    }

    fn delete(
        &mut self,
        kind: ObjectKind,
        namespace: &str,
        name: &str,
        now: Timestamp,
    ) -> Result<Vec<Change>, Refusal> {
        self.model.delete(kind, namespace, name, now)
    }

    fn logs(&self, query: &LogQuery, now: Timestamp) -> Result<Vec<LogLine>, Refusal> {
        self.model.logs(query, now)
    }

    fn telemetry(&self) -> Option<&Telemetry> {
        self.model.telemetry()
    }

    fn node_usage(&self, now: Timestamp) -> Vec<UsageSample> {
        self.model.node_usage(now)
    }

    fn pod_usage(&self, now: Timestamp) -> Vec<UsageSample> {
        self.model.pod_usage(now)
    }
}

fn spec(name: &str, kind: BackendKind, url: &str) -> BackendSpec {
    BackendSpec {
        id: ClusterId::new(name),
        kind,
        way: Way::Url(url.to_owned()),
        settings: BackendSettings::at(name, Place::Url(url.to_owned())),
        cluster: None,
    }
}

/// The fleet and a console that reads it, in a time of their own.
struct Watch {
    desk: Desk,
    clock: Clock,
    upto: Arc<AtomicI64>,
    rx: mpsc::Receiver<Observation>,
    _sources: Sources,
    _sim: SimServer,
}

impl Watch {
    async fn start() -> Self {
        let scenario = Scenario::embedded("budget-burn", Parameters::default()).expect("a scenario");
        let files: Vec<Source> = scenario.objectives().iter().map(|(name, text)| Source::new(*name, *text)).collect();
        let objectives = quarterdeck::slo::read(&files);
        assert!(objectives.found.is_empty(), "{:?}", objectives.found);
        let start = support::fleet::now();
        let clock = Clock::manual(start);
        let tuning = Tuning { tick: Duration::from_millis(5), ..Tuning::default() };
        let options = ServerOptions { seed: scenario.seed(), tuning, ..ServerOptions::default() };
        let upto = Arc::new(AtomicI64::new(0));
        let fleet = Watched { model: Model::new(scenario), upto: Arc::clone(&upto) };
        let sim = SimServer::start(Box::new(fleet), clock.clone(), options).await.expect("a server");
        let specs = vec![
            spec("prom", BackendKind::Prometheus, &sim.prometheus()),
            spec("am", BackendKind::Alertmanager, &sim.alertmanager()),
        ];
        let pace = Duration::from_millis(30);
        let plan = Plan { interval: pace, slo_interval: pace, objectives: Some(objectives), ..Plan::default() };
        let (tx, rx) = mpsc::channel(4096);
        let store = Store::default().and_backends(specs.iter().map(|s| s.id.clone()));
        let sources = Sources::spawn(specs, plan, tx, clock.clone());
        let mut watch = Self { desk: Desk::new(store), clock, upto, rx, _sources: sources, _sim: sim };
        watch.settle().await;
        watch
    }

    /// Moves time, and waits until all has been read anew since.
    async fn pass(&mut self, secs: i32) {
        self.clock.advance(TimeDelta::seconds(secs.into()));
        self.settle().await;
    }

    async fn settle(&mut self) {
        let (now, began) = (self.clock.now(), instant());
        while self.upto.load(Ordering::Acquire) < now.timestamp_micros() {
            assert!(began.elapsed() < PATIENCE, "the fleet stands still");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        // What was sent before is of an earlier time; and the first round that ends from now on may
        // have begun then: the second has not.
        while let Ok(observation) = self.rx.try_recv() {
            self.desk.store.apply(observation);
        }
        let wanted = [("prom", Feed::Budgets), ("prom", Feed::Alarms), ("am", Feed::Alarms)];
        let mut rounds = wanted.map(|_| 0);
        while rounds.iter().any(|n| *n < 2) {
            let left = PATIENCE.checked_sub(began.elapsed()).unwrap_or_default();
            let next = tokio::time::timeout(left, self.rx.recv()).await;
            let Ok(Some(observation)) = next else {
                panic!("not read in time: {rounds:?} {:?}", self.desk.store.log().collect::<Vec<_>>())
            };
            let source = observation.source.clone();
            if matches!(observation.body, Body::Synced) {
                for ((name, feed), n) in wanted.iter().zip(&mut rounds) {
                    *n += i32::from(source.cluster.as_str() == *name && source.feed == *feed);
                }
            }
            self.desk.store.apply(observation);
        }
        self.desk.now = now;
    }

    /// Whether it pages; every place that says so agrees.
    fn pages(&mut self) -> bool {
        let (store, now) = (&self.desk.store, self.desk.now);
        let row = store.budgets.rows().find(|b| b.id.name == BURNING).expect("a budget");
        assert_eq!(row.note.as_str(), "");
        assert!(row.left().is_some(), "what is left is known all the time: {row:?}");
        assert_eq!(row.at, Some(now), "a figure of another time");
        let pages = row.word() == "page";
        let budgets = [Report::new(store, &[], now).budgets, status(store, now).budgets];
        for all in budgets {
            let of: Vec<_> = all.iter().filter(|b| b.slo == BURNING).collect();
            let [one] = of.as_slice() else { panic!("{} rows", of.len()) };
            assert_eq!((one.state == "page", one.firing == Some("page")), (pages, pages), "{one:?}");
            assert_eq!(all.iter().filter(|b| b.state == "page").count(), usize::from(pages), "nobody else pages");
            assert!(!pages || all[0].slo == BURNING, "the first to be gone is first: {}", all[0].slo);
        }
        let said = status(store, now);
        assert_eq!(said.state == "critical", pages, "{}", said.state);
        assert_eq!(problems(store, now).iter().any(|p| p.id.name == BURNING), pages);
        // The fleet's own rules, which Prometheus evaluates and Alertmanager passes on, say the same.
        let label = |a: &Alarm, key: &str| a.labels.iter().find(|(k, _)| k.as_str() == key).map(|(_, v)| v.to_string());
        let is_it = |a: &&Alarm| {
            a.is_firing() && a.severity == Severity::Critical && label(a, "slo").as_deref() == Some(BURNING)
        };
        let alarm = store.alarms.rows().find(is_it);
        assert_eq!(alarm.is_some(), pages, "{alarm:?}");
        // What it shows is the burn, and what that is held against.
        let shown = alarm.map(|a| (a.value.is_some_and(|v| v > 14.4), a.threshold));
        assert!(shown.is_none_or(|shown| shown == (true, Some(14.4))), "{alarm:?}");
        pages
    }

    /// What the overview says of users, on its two lines.
    fn users(&mut self) -> [String; 2] {
        let frame = self.desk.frame(120, 40);
        let at = frame.lines().position(|l| l.contains("USERS")).unwrap_or_else(|| panic!("{frame}"));
        let line = |i: usize| frame.lines().nth(at + i).unwrap_or_default().trim().to_owned();
        [line(0), line(1)]
    }

    /// The rows of the budgets view.
    fn rows(&mut self) -> Vec<String> {
        self.desk.press("8");
        let names = self.desk.names();
        self.desk.press("1");
        names
    }
}

fn secs(text: &str) -> f64 {
    let (n, unit) = text.split_at(text.len() - 1);
    let n: f64 = n.parse().expect("a number");
    n * match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        other => panic!("{other}"),
    }
}

/// When the page comes and goes, in seconds of the scenario: by its own figures, at even traffic, and
/// with the rows of the workbook. Nothing of the console is asked.
fn truth() -> (f64, f64) {
    let file: toml::Table = SCENARIO.parse().expect("a scenario");
    let list = |key: &str| file[key].as_array().unwrap().clone();
    let traffic = list("traffic").into_iter().find(|t| t["workload"].as_str() == Some("payments/api")).unwrap();
    let usual = traffic["errors"].as_float().unwrap();
    let budget = 1.0 - traffic["objective"].as_float().unwrap();
    let mine = |a: &toml::Value| {
        a["action"].as_str() == Some("errors")
            && a.get("workload").and_then(toml::Value::as_str) == Some("payments/api")
    };
    let action = list("at").into_iter().find(mine).unwrap();
    let from = secs(action["t"].as_str().unwrap());
    let (to, ratio) = (from + secs(action["for"].as_str().unwrap()), action["ratio"].as_float().unwrap());
    // What happened days ago is in no window of a row that pages.
    let burn = |at: f64, window: f64| {
        let bad = (at.min(to) - (at - window).max(from)).max(0.0);
        (bad * ratio + (window - bad) * usual) / window / budget
    };
    let rows = [(3600.0, 300.0, 14.4), (21_600.0, 1800.0, 6.0)];
    let over = |at: f64| rows.iter().any(|(l, s, factor)| burn(at, *l) > *factor && burn(at, *s) > *factor);
    let tenths: Vec<f64> = (0..20_000).map(|i| f64::from(i) / 10.0).collect();
    let first = *tenths.iter().find(|t| over(**t)).expect("a page");
    let last = *tenths.iter().rfind(|t| over(**t)).expect("a page");
    assert!(tenths.iter().all(|t| over(*t) == (first..=last).contains(t)), "one page");
    (first, last)
}

#[test]
fn the_scenario_pages_at_four_minutes_and_clears_at_eleven() {
    let (comes, goes) = truth();
    assert!((225.0..240.0).contains(&comes) && (640.0..650.0).contains(&goes), "{comes} {goes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_comes_and_goes_in_time_and_is_seen_everywhere() {
    let (comes, goes) = truth();
    let mut watch = Watch::start().await;
    assert!(!watch.pages());
    let before = watch.users();
    assert!(before[0].contains("cart-availability") && before[0].contains("ticket"), "{before:?}");
    assert!(!before[1].contains("page"), "{before:?}");
    assert_ne!(watch.rows()[0], BURNING);
    let mut seen: Vec<i32> = Vec::new();
    for at in (EVERY..=780).step_by(30) {
        watch.pass(EVERY).await;
        let pages = watch.pages();
        let users = watch.users();
        assert_eq!(users[0].contains(BURNING) && users[0].ends_with("page"), pages, "{at} s: {users:?}");
        assert_eq!(users[1].contains("1 page"), pages, "{at} s: {users:?}");
        if pages {
            assert_eq!(watch.rows()[0], BURNING, "{at} s");
            seen.push(at);
        }
    }
    let (first, last) = (*seen.first().expect("it pages"), *seen.last().expect("it pages"));
    assert!(seen.windows(2).all(|w| w[1] - w[0] == EVERY), "over at every look from the first on: {seen:?}");
    let late = [f64::from(first) - comes, f64::from(last + EVERY) - goes];
    assert!(
        late.iter().all(|l| l.abs() <= f64::from(EVERY)),
        "comes at {comes} s and goes at {goes} s, seen {late:?} s late"
    );
    let after = watch.users();
    assert!(after[0].contains("cart-availability") && after[1] == before[1], "{before:?} {after:?}");
}

/// The scenario, and what went on for ten minutes before it began.
fn burning_already(more: &str) -> tempfile::NamedTempFile {
    let kubernetes = SCENARIO.split("\n[[ecs]]").next().unwrap();
    let mut text = kubernetes.split("\n[[at]]").next().unwrap().to_owned();
    let old = r#"history = [{ ago = "19d", for = "12m", errors = 0.1 }]"#;
    assert!(text.contains(old));
    text = text.replace(old, r#"history = [{ ago = "10m", errors = 0.3 }]"#);
    let file = tempfile::Builder::new().suffix(".toml").tempfile().expect("a file");
    std::fs::write(file.path(), text + more).expect("written");
    file
}

fn report(demo: &str, more: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quarterdeck"));
    let out = command.args(["--demo", demo, "slo", "report"]).args(more).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (out.status.code(), text(&out.stdout), text(&out.stderr))
}

#[test]
fn a_report_on_what_pages_exits_with_1() {
    let file = burning_already("");
    let (code, said, error) = report(file.path().to_str().unwrap(), &[]);
    assert_eq!(code, Some(1), "{said}\n{error}");
    let mut lines = said.lines();
    assert!(lines.next().is_some_and(|l| l.starts_with("VERDICT")), "{said}");
    let first = lines.next().unwrap_or_default();
    assert!(first.starts_with("page") && first.contains(BURNING), "{said}");
    assert!(!said.contains("not read") && error.is_empty(), "{said}\n{error}");
}

#[test]
fn a_fleet_without_traffic_promises_nothing() {
    let (code, said, error) = report("big", &[]);
    assert_eq!((code, said.trim()), (Some(0), "no error budgets were read"), "{error}");
}
