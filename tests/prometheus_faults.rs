//! A Prometheus and an Alertmanager that misbehave: what is said, and that the rest goes on.
#![cfg(feature = "prometheus")]
#![expect(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panicking")]
#![expect(clippy::needless_pass_by_value, reason = "what `json!` makes is handed over")]

mod common;

use std::time::Duration;

use common::prometheus::{answered, success, vector};
use common::web::{Asked, Says, Web, says};
use quarterdeck::clock::{Clock, instant};
use quarterdeck::config::{BackendSettings, Place, Secret};
use quarterdeck::domain::slo::State;
use quarterdeck::domain::{AlarmState, BackendKind, ClusterId, Kind, Severity};
use quarterdeck::source::prometheus::{BackendSpec, Plan, Sources, Way};
use quarterdeck::store::{Feed, Observation, Store};
use serde_json::json;
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(20);

struct Reading {
    store: Store,
    rx: mpsc::Receiver<Observation>,
    sources: Sources,
}

fn spec(name: &str, kind: BackendKind, url: &str) -> BackendSpec {
    let settings =
        BackendSettings { timeout: Duration::from_secs(2), ..BackendSettings::at(name, Place::Url(url.to_owned())) };
    BackendSpec {
        id: ClusterId::new(name),
        kind,
        way: Way::Url(url.to_owned()),
        settings,
        cluster: Some(ClusterId::new("eu")),
    }
}

fn plan() -> Plan {
    let (interval, slo_interval) = (Duration::from_millis(300), Duration::from_millis(300));
    Plan { known: vec![ClusterId::new("eu"), ClusterId::new("us")], interval, slo_interval, ..Plan::default() }
}

impl Reading {
    fn of(specs: Vec<BackendSpec>, plan: Plan) -> Self {
        let (tx, rx) = mpsc::channel(4096);
        let store = Store::default().and_backends(specs.iter().map(|s| s.id.clone()));
        Self { store, rx, sources: Sources::spawn(specs, plan, tx, Clock::system()) }
    }

    /// Reads until it is so.
    async fn until<T>(&mut self, what: &str, found: impl Fn(&Store) -> Option<T>) -> T {
        let began = instant();
        loop {
            if let Some(found) = found(&self.store) {
                return found;
            }
            let left = PATIENCE.checked_sub(began.elapsed());
            let next = tokio::time::timeout(left.unwrap_or_default(), self.rx.recv()).await;
            match next {
                Ok(Some(observation)) => self.store.apply(observation),
                _ => panic!("{what}: not in time; {:?}", self.store.log().collect::<Vec<_>>()),
            }
        }
    }

    async fn word(&mut self, name: &str, feed: Feed, word: &str) -> String {
        let id = ClusterId::new(name);
        self.until(word, |store| {
            let state = store.source(&id, feed)?;
            (state.freshness.word() == word)
                .then(|| state.freshness.reason().map(ToString::to_string).unwrap_or_default())
        })
        .await
    }
}

/// What an empty server says.
fn empty(asked: &Asked) -> Says {
    match asked.path.split('?').next().unwrap() {
        "/api/v1/rules" => success(json!({"groups": []})),
        "/api/v1/query_range" => success(json!({"resultType": "matrix", "result": []})),
        "/api/v1/status/buildinfo" => success(json!({"version": "3.4.5"})),
        "/api/v1/query" => vector(json!([])),
        _ => says(404, "404 page not found"),
    }
}

/// What the alarms' feed says when every request is answered so.
async fn said(answer: Says, word: &str) -> String {
    let web = Web::start(move |_| answer.clone()).await;
    let mut reading = Reading::of(vec![spec("prom", BackendKind::Prometheus, &web.url())], plan());
    reading.word("prom", Feed::Alarms, word).await
}

#[tokio::test]
async fn each_refusal_is_said_in_words_that_help() {
    assert!(said(says(401, "no"), "down").await.starts_with("credentials were refused"));
    assert!(said(says(403, "tenant shop only"), "denied").await.contains("not allowed: tenant shop only"));
    let page = "<html><head><title>Welcome</title></head></html>";
    assert!(said(says(404, page), "down").await.contains("/api/v1/alerts"));
    let five = json!({"status": "error", "errorType": "internal", "error": "disk full"}).to_string();
    assert!(said(says(500, five), "down").await.contains("500: internal: disk full"));
    assert!(said(says(503, "no healthy upstream"), "down").await.contains("503: no healthy upstream"));
    assert!(said(says(200, page), "down").await.contains("is not what this API sends"));
    assert!(said(says(200, "{\"status\":\"succ"), "down").await.contains("is not what this API sends"));
    let elsewhere = Says { headers: "Location: https://login.example/?next=secret\r\n", ..says(302, "") };
    let text = said(elsewhere, "down").await;
    assert!(text.contains("login.example:443") && !text.contains("secret"), "{text}");
}

#[tokio::test]
async fn slow_and_too_large_answers_are_cut() {
    let slow = Says { after: Duration::from_mins(1), ..says(200, "{}") };
    assert!(said(slow, "down").await.contains("did not answer within 2 s"));
    let web = Web::start(|_| says(200, "x".repeat(300_000))).await;
    let mut one = spec("prom", BackendKind::Prometheus, &web.url());
    one.settings.limit = 100_000;
    let mut reading = Reading::of(vec![one], plan());
    let text = reading.word("prom", Feed::Alarms, "down").await;
    assert!(text.contains("sends more than") && text.contains("`limit`"), "{text}");
}

#[tokio::test]
async fn credentials_go_along_and_are_never_seen() {
    let web = Web::start(empty).await;
    let mut one = spec("prom", BackendKind::Prometheus, &format!("{}/base/", web.url()));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "s3cret\n").unwrap();
    one.settings.username = Some("viewer".to_owned());
    one.settings.password_file = Some(file.path().to_owned());
    one.settings.headers = vec![("X-Scope-OrgID".to_owned(), Secret("tenant-7".to_owned()))];
    let shown = format!("{one:?}");
    assert!(!shown.contains("tenant-7"), "{shown}");
    let mut reading = Reading::of(vec![one], plan());
    let text = reading.word("prom", Feed::Alarms, "down").await;
    assert!(!text.contains("s3cret") && !text.contains("tenant-7"), "{text}");
    let first = web.requests().remove(0);
    assert!(first.path.starts_with("/base/api/v1/rules"), "{}", first.path);
    let head = first.head.to_lowercase();
    assert!(
        head.contains("authorization: basic dmlld2vyonmzy3jlda==") && head.contains("x-scope-orgid: tenant-7"),
        "{head}"
    );
}

fn alert(name: &str, state: &str, pod: &str) -> serde_json::Value {
    json!({"labels": {"alertname": name, "severity": "page", "namespace": "shop", "pod": pod},
        "annotations": {"summary": "it \u{1b}[31mburns", "description": "x".repeat(10_000), "runbook_url": "https://r.example/x"},
        "state": state, "activeAt": "2026-01-02T03:04:05.678Z", "value": "7e-02"})
}

#[tokio::test]
async fn alertmanager_wins_and_prometheus_adds_what_it_knows() {
    let rules = json!({"groups": [{"rules": [{"type": "alerting", "name": "Burns", "query": "ratio > 0.05", "health": "ok",
        "alerts": [alert("Burns", "firing", "a"), alert("Burns", "pending", "b"), alert("Burns", "firing", "c")]},
        {"type": "alerting", "name": "Broken", "query": "(", "health": "err", "lastError": "many-to-many", "alerts": []}]}]});
    let prometheus =
        Web::start(
            move |asked| {
                if asked.path.starts_with("/api/v1/rules") { success(rules.clone()) } else { empty(asked) }
            },
        )
        .await;
    let mut held = alert("Burns", "", "a");
    held["labels"]["region"] = json!("eu-1");
    held["fingerprint"] = json!("00deadbeef00");
    held["startsAt"] = json!("2026-01-02T03:05:00Z");
    held["status"] = json!({"state": "suppressed", "silencedBy": ["s1"], "inhibitedBy": [], "mutedBy": []});
    let alertmanager = Web::start(move |asked| match asked.path.split('?').next().unwrap() {
        "/api/v2/alerts" => says(200, json!([held]).to_string()),
        "/api/v2/silences" => says(
            200,
            json!([{"id": "s1", "createdBy": "ann", "comment": "upgrade", "endsAt": "2026-01-02T14:00:00Z"}])
                .to_string(),
        ),
        _ => says(200, json!({"versionInfo": {"version": "0.28.0"}}).to_string()),
    })
    .await;
    let specs = vec![
        spec("am", BackendKind::Alertmanager, &alertmanager.url()),
        spec("prom", BackendKind::Prometheus, &prometheus.url()),
    ];
    let mut reading = Reading::of(specs, plan());
    let rows = reading
        .until("one row for each alert", |store| {
            let rows: Vec<_> = store.alarms.rows().cloned().collect();
            let done = rows.len() == 3 && rows.iter().any(|r| !r.suppressed_by.is_empty() && r.value.is_some());
            done.then_some(rows)
        })
        .await;
    let of = |pod: &str| rows.iter().find(|r| r.id.name.as_str() == format!("Burns {pod}")).unwrap();
    let (a, b, c) = (of("a"), of("b"), of("c"));
    assert_eq!(a.suppressed_by.as_str(), "silenced by ann until 2026-01-02 14:00 UTC: upgrade");
    assert_eq!((a.uid.as_str(), a.value, a.threshold), ("00deadbeef00", Some(0.07), Some(0.05)));
    assert_eq!((b.state, c.state), (AlarmState::Pending, AlarmState::Firing));
    assert_eq!((a.severity, a.summary.as_str()), (Severity::Critical, "it burns"));
    assert!(a.labels.iter().any(|(k, v)| k.as_str() == "region" && v.as_str() == "eu-1"));
    let about = c.about.as_ref().unwrap();
    assert_eq!((about.kind, about.cluster.as_str(), about.name.as_str()), (Kind::Task, "eu", "c"));
    assert_eq!(c.runbook.as_str(), "https://r.example/x");
    assert!(reading.store.log().any(|l| l.text.as_str().contains("Broken cannot be evaluated: many-to-many")));
    reading.sources.refresh();
}

const SLO: &str = "apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: NAME}\nspec:\n  service: shop\n  \
    budgetingMethod: Occurrences\n  timeWindow: [{duration: 30d, isRolling: true}]\n  indicator:\n    \
    metadata: {name: i}\n    spec:\n      ratioMetric:\n        counter: true\n        bad:\n          metricSource:\n            \
    type: Prometheus\n            spec: {query: 'bad_NAME'}\n        total:\n          metricSource:\n            \
    type: Prometheus\n            spec: {query: 'all_NAME'}\n  objectives: [{target: 0.999}]\n";

fn objectives(names: &[&str]) -> quarterdeck::slo::Outcome {
    let dir = tempfile::tempdir().unwrap();
    for name in names {
        std::fs::write(dir.path().join(format!("{name}.yaml")), SLO.replace("NAME", name)).unwrap();
    }
    let outcome = quarterdeck::slo::load(&[dir.path().to_owned()]);
    assert_eq!(outcome.definitions.len(), names.len(), "{:?}", outcome.found);
    outcome
}

#[tokio::test]
async fn one_objective_that_is_refused_does_not_take_the_others_with_it() {
    let web = Web::start(|asked| {
        if !asked.path.starts_with("/api/v1/query")
            || asked.path.contains("range")
            || !asked.body.contains("quarterdeck_question")
        {
            return empty(asked);
        }
        if asked.body.contains("bad_wrong") {
            return says(
                422,
                json!({"status": "error", "errorType": "execution", "error": "too many samples"}).to_string(),
            );
        }
        answered(asked, |expr| match expr {
            e if e.contains("all_nan") => Some("NaN"),
            e if e.contains("all_inf") => Some("+Inf"),
            e if e.contains("all_none") => None,
            e if e.contains("all_idle") || e.contains("bad_idle") => Some("0"),
            e if e.contains("all_negative") => Some("-5"),
            e if e.contains("all_") => Some("1000"),
            e if e.contains("bad_fine") => Some("0"),
            e if e.contains("bad_hot") => Some("20"),
            _ => Some("0"),
        })
    })
    .await;
    let names = ["fine", "hot", "idle", "inf", "nan", "negative", "none", "wrong"];
    let plan = Plan { objectives: Some(objectives(&names)), ..plan() };
    let mut reading = Reading::of(vec![spec("prom", BackendKind::Prometheus, &web.url())], plan);
    reading.word("prom", Feed::Budgets, "live").await;
    let row = |name: &str| reading.store.budgets.rows().find(|b| b.id.name.as_str() == name).unwrap();
    let state = |name: &str| row(name).assessment.as_ref().map(|a| a.state);
    assert_eq!(state("fine"), Some(State::Fine));
    assert_eq!(state("hot"), Some(State::ExhaustedAndBurning), "2 % of 0.1 % in every window");
    assert_eq!(state("idle"), Some(State::NoTraffic));
    for name in ["inf", "nan", "none", "negative"] {
        assert_eq!(state(name), Some(State::NoData), "{name}");
    }
    assert!(row("negative").note.as_str().contains("negative"), "{}", row("negative").note);
    assert!(state("wrong").is_none_or(|s| s == State::NoData));
    assert!(row("wrong").note.as_str().contains("too many samples"), "{}", row("wrong").note);
    assert!(row("fine").note.is_empty(), "{}", row("fine").note);
}

#[tokio::test]
async fn warnings_and_partial_answers_stand_on_the_row() {
    let web = Web::start(|asked| {
        if !asked.body.contains("quarterdeck_question") || asked.path.contains("range") {
            return empty(asked);
        }
        let mut answer = answered(asked, |expr| Some(if expr.contains("all_") { "10" } else { "0" }));
        answer.body = answer.body.replacen('{', "{\"warnings\":[\"store 7 is away\"],\"isPartial\":true,", 1);
        answer
    })
    .await;
    let plan = Plan { objectives: Some(objectives(&["fine"])), ..plan() };
    let mut reading = Reading::of(vec![spec("prom", BackendKind::Prometheus, &web.url())], plan);
    reading.word("prom", Feed::Budgets, "live").await;
    let note = reading.store.budgets.rows().next().unwrap().note.to_string();
    assert_eq!(note, "a partial answer; store 7 is away");
}

#[tokio::test]
async fn two_hundred_objectives_are_few_requests() {
    let web = Web::start(|asked| {
        if !asked.body.contains("quarterdeck_question") || asked.path.contains("range") {
            return empty(asked);
        }
        answered(asked, |expr| Some(if expr.contains("all_") { "10000" } else { "1" }))
    })
    .await;
    let names: Vec<String> = (0..200).map(|i| format!("s{i:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let plan = Plan { objectives: Some(objectives(&names)), slo_interval: Duration::from_mins(1), ..plan() };
    let mut reading = Reading::of(vec![spec("prom", BackendKind::Prometheus, &web.url())], plan);
    reading.word("prom", Feed::Budgets, "live").await;
    let short = |a: &&Asked| {
        a.path == "/api/v1/query" && a.body.contains("quarterdeck_question") && a.body.contains("%5B5m%5D")
    };
    let requests = web.requests();
    let count = requests.iter().filter(short).count();
    assert!((1..=6).contains(&count), "{count} requests for the short windows of a minute");
    assert_eq!(reading.store.budgets.rows().count(), 200);
}

#[tokio::test]
async fn a_backend_that_comes_back_is_live_again() {
    let up = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let state = std::sync::Arc::clone(&up);
    let web =
        Web::start(
            move |asked| {
                if state.load(std::sync::atomic::Ordering::Relaxed) { empty(asked) } else { says(503, "gone") }
            },
        )
        .await;
    let mut reading = Reading::of(vec![spec("prom", BackendKind::Prometheus, &web.url())], plan());
    reading.word("prom", Feed::Alarms, "live").await;
    up.store(false, std::sync::atomic::Ordering::Relaxed);
    assert!(reading.word("prom", Feed::Alarms, "stale").await.contains("503"));
    up.store(true, std::sync::atomic::Ordering::Relaxed);
    reading.word("prom", Feed::Alarms, "live").await;
    let backend = reading.store.backends().next().unwrap().1.unwrap();
    assert_eq!((backend.version.as_str(), backend.kind), ("3.4.5", BackendKind::Prometheus));
}
