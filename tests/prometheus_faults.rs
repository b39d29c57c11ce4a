//! A Prometheus and an Alertmanager that misbehave: what is said, and that the rest goes on.
#![cfg(feature = "prometheus")]
#![expect(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use common::prometheus::{answered, questions, success, vector};
use common::web::{Asked, Says, Web, says};
use quarterdeck::clock::{Clock, instant};
use quarterdeck::config::{BackendSettings, Place, Secret};
use quarterdeck::domain::slo::State;
use quarterdeck::domain::{AlarmState, BackendKind, ClusterId, Kind, Severity};
use quarterdeck::source::prometheus::{BackendSpec, Plan, Sources, Way};
use quarterdeck::store::{Feed, Observation, Store};
use serde_json::json;
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_mins(1);

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
    // Whichever feed asks first: alarms, budgets or signals.
    let requests = web.requests();
    assert!(requests.iter().any(|r| r.path.starts_with("/base/api/v1/rules")), "{requests:?}");
    for request in requests {
        assert!(request.path.starts_with("/base/api/v1/"), "{}", request.path);
        let head = request.head.to_lowercase();
        assert!(
            head.contains("authorization: basic dmlld2vyonmzy3jlda==") && head.contains("x-scope-orgid: tenant-7"),
            "{head}"
        );
    }
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

/// Only questions get an answer of the test's own.
fn is_question(asked: &Asked) -> bool {
    asked.path.starts_with("/api/v1/query")
        && !asked.path.contains("range")
        && asked.body.contains("quarterdeck_question")
}

#[tokio::test]
async fn a_range_where_a_value_is_meant_and_duplicate_series_are_said_on_their_rows() {
    let web = Web::start(|asked| {
        if !is_question(asked) {
            return empty(asked);
        }
        // As one that evaluates it says it,
        if asked.body.contains("bad_range") {
            let why = "invalid parameter \"query\": 1:15: parse error: expected type instant vector, got range vector";
            return says(400, json!({"status": "error", "errorType": "bad_data", "error": why}).to_string());
        }
        // or as one that does not mind answers,
        if asked.body.contains("bad_matrix") {
            let series = json!([{"metric": {"quarterdeck_question": "0"}, "values": [[1, "1"], [2, "2"]]}]);
            return success(json!({"resultType": "matrix", "result": series}));
        }
        // or as one that finds two series of the same labels.
        if asked.body.contains("bad_same") {
            let why = "vector cannot contain metrics with the same labelset";
            return says(422, json!({"status": "error", "errorType": "execution", "error": why}).to_string());
        }
        let series = questions(&asked.body)
            .into_iter()
            .flat_map(|(n, expr)| {
                let copies = if expr.contains("bad_twice") { 2 } else { 1 };
                let value = if expr.contains("all_") { "1000" } else { "0" };
                vec![json!({"metric": {"quarterdeck_question": n, "pod": "a"}, "value": [1, value]}); copies]
            })
            .collect();
        vector(series)
    })
    .await;
    let names = ["fine", "matrix", "range", "same", "twice"];
    let plan = Plan { objectives: Some(objectives(&names)), ..plan() };
    let mut reading = Reading::of(vec![spec("prom", BackendKind::Prometheus, &web.url())], plan);
    reading.word("prom", Feed::Budgets, "live").await;
    let row = |name: &str| reading.store.budgets.rows().find(|b| b.id.name.as_str() == name).unwrap();
    for (name, words) in [
        ("matrix", "gives a range of values where one is meant"),
        ("range", "got range vector"),
        ("same", "same labelset"),
        ("twice", "gives 2 series where one is meant"),
    ] {
        assert!(row(name).note.as_str().contains(words), "{name}: {}", row(name).note);
        assert!(row(name).assessment.as_ref().is_none_or(|a| a.state == State::NoData), "{name}");
    }
    assert_eq!(row("fine").assessment.as_ref().map(|a| a.state), Some(State::Fine), "{}", row("fine").note);
    assert!(row("fine").note.is_empty(), "{}", row("fine").note);
}

#[tokio::test]
async fn duplicate_series_of_a_service_are_said_and_not_drawn_over_each_other() {
    let minute = |ago: i64| (Clock::system().now().timestamp().div_euclid(60) - ago) * 60;
    let web = Web::start(move |asked| {
        if !asked.path.starts_with("/api/v1/query_range") {
            return empty(asked);
        }
        let series = questions(&asked.body)
            .into_iter()
            .filter(|(_, expr)| expr.contains("requests_of") && !expr.contains("errors"))
            .flat_map(|(n, _)| {
                ["10", "3"].map(|value| {
                    let points: Vec<_> = (0..5).map(|ago| json!([minute(ago), value])).collect();
                    json!({"metric": {"quarterdeck_question": n, "pod": value}, "values": points})
                })
            })
            .collect::<Vec<_>>();
        success(json!({"resultType": "matrix", "result": series}))
    })
    .await;
    let service = quarterdeck::config::ServiceSettings {
        name: "checkout".to_owned(),
        requests: Some("requests_of".to_owned()),
        ..Default::default()
    };
    let plan = Plan { services: vec![service], ..plan() };
    let mut reading = Reading::of(vec![spec("prom", BackendKind::Prometheus, &web.url())], plan);
    reading.word("prom", Feed::Signals, "live").await;
    let row = reading.store.services.rows().next().unwrap();
    assert!(row.note.as_str().contains("2 series where one is meant"), "{}", row.note);
    assert_eq!(row.now.requests, Some(10.0), "the first, whole");
}

#[tokio::test]
async fn budgets_that_time_out_say_so_and_keep_what_was_measured() {
    let slow = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let state = std::sync::Arc::clone(&slow);
    let web = Web::start(move |asked| {
        if !is_question(asked) {
            return empty(asked);
        }
        let answer = answered(asked, |expr| Some(if expr.contains("all_") { "100000" } else { "1" }));
        let after =
            if state.load(std::sync::atomic::Ordering::Relaxed) { Duration::from_mins(1) } else { Duration::ZERO };
        Says { after, ..answer }
    })
    .await;
    let plan = Plan { objectives: Some(objectives(&["fine"])), ..plan() };
    let mut reading = Reading::of(vec![spec("prom", BackendKind::Prometheus, &web.url())], plan);
    reading.word("prom", Feed::Budgets, "live").await;
    slow.store(true, std::sync::atomic::Ordering::Relaxed);
    let why = reading.word("prom", Feed::Budgets, "stale").await;
    assert!(why.contains("did not answer within 2 s"), "{why}");
    let row = reading.store.budgets.rows().next().unwrap().clone();
    assert_eq!(row.assessment.as_ref().map(|a| a.state), Some(State::Fine), "what was measured is not lost");
    assert!(row.note.as_str().contains("did not answer within 2 s"), "{}", row.note);
    // The rest goes on.
    let prom = ClusterId::new("prom");
    assert_eq!(reading.store.source(&prom, Feed::Alarms).unwrap().freshness.word(), "live");
    slow.store(false, std::sync::atomic::Ordering::Relaxed);
    reading.word("prom", Feed::Budgets, "live").await;
    reading
        .until("the note goes when it answers again", |store| {
            store.budgets.rows().next().filter(|b| b.note.is_empty()).map(|_| ())
        })
        .await;
}

#[tokio::test]
async fn forty_alerts_a_second_all_arrive_and_those_that_end_are_gone() {
    // Forty begin at each poll, and last for 25 polls: a second is less than a poll is in reality.
    let round = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let state = std::sync::Arc::clone(&round);
    let web = Web::start(move |asked| {
        if !asked.path.starts_with("/api/v1/rules") {
            return empty(asked);
        }
        let n = state.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let begun = (n.saturating_sub(25)..=n).flat_map(|r| (0..40).map(move |i| alert("Burns", "firing", &format!("p{r}-{i}"))));
        let rule = json!({"type": "alerting", "name": "Burns", "query": "x > 1", "health": "ok", "alerts": begun.collect::<Vec<_>>()});
        success(json!({"groups": [{"rules": [rule]}]}))
    })
    .await;
    let quick = Plan { interval: Duration::from_millis(50), ..plan() };
    let mut reading = Reading::of(vec![spec("prom", BackendKind::Prometheus, &web.url())], quick);
    let most = reading
        .until("forty rounds", |store| {
            // Asked after each observation: a thousand names are put together only for the last.
            let round =
                |a: &quarterdeck::domain::Alarm| a.id.name.strip_prefix("Burns p")?.split('-').next()?.parse().ok();
            let newest: usize = store.alarms.rows().filter_map(round).max().filter(|newest| *newest >= 40)?;
            let names: std::collections::BTreeSet<String> =
                store.alarms.rows().map(|a| a.id.name.to_string()).collect();
            let complete = |r: usize| (0..40).all(|i| names.contains(&format!("Burns p{r}-{i}")));
            // Never half of a round, and what has ended is gone by the next.
            let oldest = (0..=newest).find(|r| complete(*r))?;
            Some((names.len(), newest, oldest, (oldest..=newest).all(complete)))
        })
        .await;
    let (rows, newest, oldest, complete) = most;
    assert!(complete && rows <= 27 * 40, "{rows} rows, of rounds {oldest} to {newest}");
    assert_eq!(reading.store.source(&ClusterId::new("prom"), Feed::Alarms).unwrap().freshness.word(), "live");
}

#[tokio::test]
async fn a_long_description_of_escape_codes_is_cleaned_before_it_is_cut() {
    let web = Web::start(|asked| {
        if !asked.path.starts_with("/api/v1/rules") {
            return empty(asked);
        }
        let mut one = alert("Burns", "firing", "a");
        let evil = "\u{1b}]0;title\u{7}\u{1b}[31mw\u{1b}[2J".repeat(1000);
        one["annotations"]["description"] = json!(evil);
        one["annotations"]["more"] = json!(evil);
        one["labels"]["team"] = json!(evil);
        let rule = json!({"type": "alerting", "name": "Burns", "query": "x > 1", "health": "ok", "alerts": [one]});
        success(json!({"groups": [{"rules": [rule]}]}))
    })
    .await;
    let mut reading = Reading::of(vec![spec("prom", BackendKind::Prometheus, &web.url())], plan());
    reading.word("prom", Feed::Alarms, "live").await;
    let row = reading.store.alarms.rows().next().unwrap();
    let (_, more) = row.more.annotations.iter().find(|(k, _)| k.as_str() == "more").unwrap();
    assert_eq!(more.as_str(), format!("{}...", "w".repeat(300)), "what is left is text, and its cut is seen");
    let (_, team) = row.labels.iter().find(|(k, _)| k.as_str() == "team").unwrap();
    assert_eq!(team.as_str(), format!("{}...", "w".repeat(300)));
}
