//! How often a Prometheus is asked: an hour of 200 objectives, 2,000 alerts and golden signals at
//! the default intervals, in virtual time, with every request counted where it arrives.
#![cfg(feature = "prometheus")]
#![expect(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "the figures are for docs/performance.md")]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::prometheus::{answered, questions, success, vector};
use common::web::{Asked, Says, Web, says};
use quarterdeck::clock::Clock;
use quarterdeck::config::{BackendSettings, Config, Place, ServiceSettings};
use quarterdeck::domain::{BackendKind, ClusterId};
use quarterdeck::source::prometheus::{BackendSpec, Plan, Sources, Way};
use quarterdeck::store::{Feed, Store};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The promise: fewer requests a minute than this, of all kinds together.
const MOST: f64 = 10.0;
const HOUR: Duration = Duration::from_hours(1);
const SLOS: usize = 200;
const ALARMS: usize = 2000;

/// Expressions as long as those of real objectives.
fn expression(metric: &str, i: usize) -> String {
    format!(
        "{metric}{{job=\"checkout-{i:03}\",namespace=\"shop\",route=~\"/api/v1/.*\",method!=\"OPTIONS\",code=~\"5..\"}}"
    )
}

/// 200 objectives with three kinds of period.
fn objectives() -> quarterdeck::slo::Outcome {
    let periods = [
        "[{duration: 30d, isRolling: true}]",
        "[{duration: 7d, isRolling: true}]",
        "[{duration: 1M, isRolling: false, calendar: {startTime: '2026-01-01 00:00:00', timeZone: UTC}}]",
    ];
    let dir = tempfile::tempdir().unwrap();
    for i in 0..SLOS {
        let name = format!("s{i:03}");
        let part = |metric| json!({"metricSource": {"type": "Prometheus", "spec": {"query": expression(metric, i)}}});
        let ratio = json!({"counter": true, "bad": part("bad_requests_total"), "total": part("all_requests_total")});
        let text = format!(
            "apiVersion: openslo/v1\nkind: SLO\nmetadata: {{name: {name}}}\nspec:\n  service: shop\n  \
                 budgetingMethod: Occurrences\n  timeWindow: {}\n  indicator:\n    metadata: {{name: i}}\n    \
                 spec: {{ratioMetric: {ratio}}}\n  objectives: [{{target: 0.999}}]\n",
            periods[i % periods.len()]
        );
        std::fs::write(dir.path().join(format!("{name}.yaml")), text).unwrap();
    }
    let outcome = quarterdeck::slo::load(&[dir.path().to_owned()]);
    assert_eq!(outcome.definitions.len(), SLOS, "{:?}", outcome.found);
    outcome
}

/// 2,000 alerts of 100 rules.
fn rules() -> Value {
    let alert = |i: usize| {
        json!({"labels": {"alertname": format!("Rule{:03}", i % 100), "severity": "warning", "namespace": "shop",
            "pod": format!("checkout-{i:04}")}, "annotations": {"summary": "it burns"}, "state": "firing",
            "activeAt": "2026-01-02T03:04:05Z", "value": "1e+00"})
    };
    let rule = |r: usize| {
        let alerts: Vec<Value> = (0..ALARMS).filter(|i| i % 100 == r).map(alert).collect();
        json!({"type": "alerting", "name": format!("Rule{r:03}"), "query": "x > 0.5", "health": "ok", "alerts": alerts})
    };
    json!({"groups": [{"name": "g", "rules": (0..100).map(rule).collect::<Vec<_>>()}]})
}

/// What a request is for.
fn kind(asked: &Asked) -> &'static str {
    let path = asked.path.split('?').next().unwrap_or_default();
    match path {
        "/api/v1/rules" => "alerts",
        "/api/v1/query_range" if asked.body.contains("histogram_quantile") || asked.body.contains("requests_of") => {
            "golden signals"
        }
        "/api/v1/query_range" => "burn-downs",
        "/api/v1/query" if !asked.body.contains("quarterdeck_question") => "looking for conventions",
        "/api/v1/query" if asked.body.contains("%5B5m%5D") || asked.body.contains("%5B6h%5D") => "short windows",
        "/api/v1/query" => "long windows",
        _ => "other",
    }
}

/// A server.
#[derive(Clone)]
struct Server {
    /// What each window counts as bad, of 10,000.
    bad: &'static str,
    /// Objectives that it cannot compute.
    refused: &'static [&'static str],
    /// No expression may be longer.
    longest: usize,
    services: Vec<ServiceSettings>,
}

impl Default for Server {
    fn default() -> Self {
        Self { bad: "1", refused: &[], longest: usize::MAX, services: Vec::new() }
    }
}

fn answer(server: &Server, asked: &Asked, rules: &Says) -> Says {
    let refuses = || server.refused.iter().any(|name| asked.body.contains(name));
    let error = |why: &str| says(422, json!({"status": "error", "errorType": "422", "error": why}).to_string());
    if length(&asked.body) > server.longest {
        return error("too long query; got more bytes; mustn't exceed `-search.maxQueryLen=16384` bytes");
    }
    match kind(asked) {
        "alerts" => rules.clone(),
        "short windows" | "long windows" | "burn-downs" if refuses() => error("too many samples"),
        "short windows" | "long windows" => {
            answered(asked, |expr| Some(if expr.contains("all_") { "10000" } else { server.bad }))
        }
        "burn-downs" => success(json!({"resultType": "matrix", "result": []})),
        "golden signals" => {
            let series = questions(&asked.body)
                .into_iter()
                .map(|(n, _)| json!({"metric": {"quarterdeck_question": n, "service": "checkout"}, "values": [[1, "1"]]}))
                .collect::<Vec<_>>();
            success(json!({"resultType": "matrix", "result": series}))
        }
        // Every convention is in use.
        "looking for conventions" if asked.body.contains("istio_requests_total") => {
            let names = [
                "istio_requests_total",
                "response_total",
                "http_requests_total",
                "http_server_requests_seconds_count",
                "envoy_cluster_upstream_rq_xx",
            ];
            let series = names.map(|n| json!({"metric": {"__name__": n}, "value": [1, "1"]}));
            vector(json!(series))
        }
        "looking for conventions" => vector(json!([])),
        _ => success(json!({"version": "3.4.5"})),
    }
}

/// The length of a request's expression.
fn length(form: &str) -> usize {
    let query = form.split('&').find_map(|p| p.strip_prefix("query=")).unwrap_or_default();
    query.len() - 2 * query.matches('%').count()
}

/// What an hour was like.
struct Hour {
    /// Requests by what they were for.
    counts: BTreeMap<&'static str, usize>,
    /// Rounds of the budgets.
    rounds: usize,
    /// What was said.
    log: Vec<String>,
}

/// An hour of it, at whose end everything is known and live.
async fn hour(server: Server) -> Hour {
    let (rules, script) = (success(rules()), server.clone());
    let web = Web::start(move |asked| answer(&script, asked, &rules)).await;
    let id = ClusterId::new("prom");
    // Time jumps whenever nothing is to be done: a request must not run out of it.
    let settings = BackendSettings { timeout: HOUR * 100, ..BackendSettings::at("prom", Place::Url(web.url())) };
    let spec = BackendSpec {
        id: id.clone(),
        kind: BackendKind::Prometheus,
        way: Way::Url(web.url()),
        settings,
        cluster: Some(ClusterId::new("eu")),
    };
    let config = Config::defaults();
    let plan = Plan {
        known: vec![ClusterId::new("eu")],
        interval: config.backends_interval,
        slo_interval: config.slo_interval,
        objectives: Some(objectives()),
        services: server.services,
        ..Plan::default()
    };
    let mut store = Store::default().and_backends([id.clone()]);
    let (tx, mut rx) = mpsc::channel(4096);
    tokio::time::pause();
    let end = Instant::now() + HOUR;
    let _sources = Sources::spawn(vec![spec], plan, tx, Clock::system());
    let mut rounds = 0;
    while let Ok(Some(observation)) = tokio::time::timeout_at(end, rx.recv()).await {
        rounds += usize::from(
            observation.source.feed == Feed::Budgets && matches!(observation.body, quarterdeck::store::Body::Synced),
        );
        store.apply(observation);
    }
    let log: Vec<String> = store.log().map(|l| l.text.to_string()).collect();
    assert_eq!((store.alarms.rows().count(), store.budgets.rows().count()), (ALARMS, SLOS), "{log:?}");
    for feed in [Feed::Alarms, Feed::Budgets, Feed::Signals] {
        assert_eq!(store.source(&id, feed).map(|s| s.freshness.word()), Some("live"), "{feed:?}: {log:?}");
    }
    let known = store.budgets.rows().filter(|b| b.assessment.as_ref().is_some_and(|a| a.left.is_some())).count();
    assert_eq!(known, SLOS - server.refused.len(), "{log:?}");
    let mut counts = BTreeMap::new();
    for asked in web.requests() {
        *counts.entry(kind(&asked)).or_insert(0) += 1;
    }
    Hour { counts, rounds, log }
}

fn assert_few(what: &str, hour: &Hour) {
    let counts = &hour.counts;
    let all: usize = counts.values().sum();
    #[expect(clippy::cast_precision_loss, reason = "thousands at the most")]
    let a_minute = all as f64 / 60.0;
    println!("{what}: {a_minute:.2} requests a minute; in an hour: {counts:?}");
    assert!(a_minute < MOST, "{what}: {a_minute:.2} requests a minute: {counts:?}");
    // Nothing is saved by not looking.
    assert!(counts["alerts"] >= 118 && counts["golden signals"] >= 55, "{counts:?}");
    assert!(counts["long windows"] >= 3 && counts["burn-downs"] >= 1, "{counts:?}");
}

fn assert_each_minute(hour: &Hour) {
    assert!((58..=61).contains(&hour.rounds), "{} rounds of budgets in an hour: {:?}", hour.rounds, hour.log);
}

#[tokio::test]
async fn calm_objectives_and_every_convention() {
    let hour = hour(Server::default()).await;
    assert_few("calm", &hour);
    assert_each_minute(&hour);
}

#[tokio::test]
async fn all_of_them_burn() {
    let hour = hour(Server { bad: "200", ..Server::default() }).await;
    assert_few("burning", &hour);
    assert_each_minute(&hour);
}

#[tokio::test]
async fn some_are_refused() {
    let refused = &["checkout-003", "checkout-050", "checkout-051", "checkout-120", "checkout-199"];
    let hour = hour(Server { refused, ..Server::default() }).await;
    assert_few("five refused", &hour);
    assert_each_minute(&hour);
}

#[tokio::test]
async fn fifty_services_with_queries_of_their_own() {
    let service = |i: usize| ServiceSettings {
        name: format!("checkout-{i}"),
        namespace: "shop".to_owned(),
        requests: Some(format!("sum(rate(requests_of{{app=\"checkout-{i}\"}}[2m]))")),
        errors: Some(format!("sum(rate(requests_of{{app=\"checkout-{i}\",code=~\"5..\"}}[2m]))")),
        latency: Some(format!("request_seconds_bucket{{app=\"checkout-{i}\"}}")),
        ..ServiceSettings::default()
    };
    let hour = hour(Server { services: (0..50).map(service).collect(), ..Server::default() }).await;
    assert_few("fifty services", &hour);
    assert_each_minute(&hour);
}

#[tokio::test]
async fn a_server_that_takes_short_expressions_only_is_asked_less_often_and_it_is_said() {
    let hour = hour(Server { longest: 16 << 10, ..Server::default() }).await;
    assert_few("16 KiB", &hour);
    assert!((8..30).contains(&hour.rounds), "{} rounds", hour.rounds);
    assert!(hour.log.iter().any(|l| l.contains("this server takes short queries only")), "{:?}", hour.log);
}
