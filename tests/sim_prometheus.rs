//! The embedded fleet's Prometheus and Alertmanager over the wire, and the objectives that go with it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do, and the lint's exception for tests does not see them"
)]

mod common;

use std::process::Command;

use common::client::Client;
use quarterdeck::clock::Clock;
use quarterdeck::config::diagnostic::Source;
use quarterdeck::domain::slo::{EmptySlices, GoodWhen, Lookback, Method, Slicing, State, Target, assess};
use quarterdeck::sim::model::{Model, Parameters, Scenario};
use quarterdeck::sim::server::{ServerOptions, SimServer};
use quarterdeck::slo::plan::cloudwatch;
use quarterdeck::slo::plan::prometheus::{self, Role};
use quarterdeck::slo::{Definition, Signal};
use serde_json::Value;

const PROXY: &str = "/api/v1/namespaces/monitoring/services/http:prometheus-operated:9090/proxy";

async fn serve(name: &str) -> (SimServer, Client, Client) {
    let scenario = Scenario::embedded(name, Parameters::default()).expect("a scenario");
    let options = ServerOptions { ecs: scenario.ecs().to_vec(), seed: scenario.seed(), ..ServerOptions::default() };
    let server = SimServer::start(Box::new(Model::new(scenario)), Clock::system(), options).await.expect("starts");
    let client = Client { addr: server.addr(), token: server.token().to_owned() };
    let anyone = Client { addr: server.addr(), token: String::new() };
    (server, client, anyone)
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

async fn query(client: &Client, text: &str) -> Value {
    let answer = client.get(&format!("/prometheus/api/v1/query?query={}", encode(text))).await;
    let body = answer.json();
    assert_eq!((answer.code, body["status"].as_str()), (200, Some("success")), "{text}: {body}");
    body["data"]["result"].clone()
}

fn number(sample: &Value) -> f64 {
    sample["value"][1].as_str().and_then(|t| t.parse().ok()).unwrap_or_else(|| panic!("{sample}"))
}

fn definitions() -> Vec<Definition> {
    let scenario = Scenario::embedded("budget-burn", Parameters::default()).expect("a scenario");
    let sources: Vec<Source> = scenario.objectives().iter().map(|(name, text)| Source::new(*name, *text)).collect();
    let outcome = quarterdeck::slo::read(&sources);
    assert!(outcome.found.is_empty(), "{:?}", outcome.found);
    outcome.definitions
}

#[tokio::test]
async fn plainly_and_through_the_proxy() {
    let (server, client, anyone) = serve("calm").await;
    assert_eq!(server.prometheus(), format!("http://{}/prometheus", server.addr()));
    assert_eq!(anyone.get("/prometheus/-/ready").await.code, 200);
    assert_eq!(anyone.get("/prometheus/api/v1/status/buildinfo").await.json()["data"]["version"], "3.5.0");
    assert_eq!(anyone.get("/alertmanager/api/v2/status").await.json()["cluster"]["status"], "ready");
    let path = format!("{PROXY}/api/v1/query?query=sum(up)");
    assert_eq!(anyone.get(&path).await.code, 401, "the proxy wants a token");
    let sum = client.get(&path).await.json();
    assert!(number(&sum["data"]["result"][0]) > 20.0, "{sum}");
    let services = client.get("/api/v1/services").await.json();
    let has = |name: &str| services["items"].as_array().unwrap().iter().any(|s| s["metadata"]["name"] == name);
    assert!(has("prometheus-operated") && has("alertmanager-operated"));
    let alerts = "/api/v1/namespaces/monitoring/services/alertmanager-operated:9093/proxy/api/v2/alerts";
    assert!(client.get(alerts).await.json().is_array());
    let other = "/api/v1/namespaces/shop/services/web:80/proxy/x";
    assert_eq!(client.get(other).await.code, 503);
    assert_eq!(client.get(&path.replace("monitoring", "shop")).await.code, 404);
    server.faults().forbid("get", "services/proxy");
    assert_eq!(client.get(&path).await.code, 403);
    server.faults().status(502, Some("prometheus"), Some(1));
    assert_eq!(anyone.get("/prometheus/-/ready").await.code, 502);
    assert_eq!(anyone.get("/prometheus/-/ready").await.code, 200);
    server.stop().await;
}

#[tokio::test]
async fn every_objective_of_the_demo_has_its_state() {
    let (server, _, anyone) = serve("budget-burn").await;
    let now = Clock::system().now();
    let mut states = Vec::new();
    for d in definitions() {
        let Signal::Prometheus(signal) = &d.signal else { continue };
        let asks = prometheus::plan(&d.objective, signal, now);
        let found = query(&anyone, &prometheus::batch(&asks)).await;
        let found = found.as_array().unwrap();
        let value = |window: Lookback, role: Role| {
            let fits = |s: &&Value| {
                s["metric"][prometheus::WINDOW_LABEL] == window.to_string()
                    && s["metric"][prometheus::ROLE_LABEL] == role.to_string()
            };
            found.iter().find(fits).map(number)
        };
        let readings = prometheus::readings(&d.objective, signal, now, value).unwrap();
        let a = assess(&d.objective, &readings, now);
        states.push((asks[0].expr.clone(), a.state));
    }
    assert_eq!(states.len(), 7);
    for (expr, state) in &states {
        let wanted = if expr.contains("job=\"cart\"") { State::Ticket } else { State::Fine };
        assert_eq!(*state, wanted, "{expr}");
    }
    server.stop().await;
}

#[tokio::test]
async fn slices_of_time_are_answered() {
    let (server, _, anyone) = serve("calm").await;
    let all = definitions();
    let Signal::Prometheus(signal) = &all[0].signal else { panic!("no Prometheus") };
    let slicing = Slicing {
        slice: Lookback::minutes(1),
        good: GoodWhen::Share(Target::parse("0.99").unwrap()),
        empty: EmptySlices::LeftOut,
    };
    for method in [Method::Timeslices(slicing), Method::RatioTimeslices(slicing)] {
        let asks = prometheus::asks(signal, method, &[Lookback::hours(6)]);
        let found = query(&anyone, &prometheus::batch(&asks)).await;
        let found: Vec<f64> = found.as_array().unwrap().iter().map(number).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!((found[1] - 360.0).abs() < 0.5 && found[0] > 350.0 && found[0] <= found[1], "{found:?}");
    }
    server.stop().await;
}

#[test]
fn the_objective_on_ecs_names_what_is_there() {
    let all = definitions();
    let found = all.iter().find_map(|d| match &d.signal {
        Signal::CloudWatch(signal) => Some((d, signal)),
        _ => None,
    });
    let (d, signal) = found.expect("one");
    let fetches = cloudwatch::fetches(signal, d.objective.method, &d.objective.windows());
    assert!(!fetches.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_is_answered() {
    if Command::new("promtool").arg("--version").output().is_err() {
        eprintln!("SKIPPED: there is no promtool; install Debian's `prometheus`");
        return;
    }
    let (server, _, _) = serve("calm").await;
    let url = server.prometheus();
    let ask = |args: Vec<String>| async move {
        let run = move || Command::new("promtool").args(&args).output().expect("runs");
        let out = tokio::task::spawn_blocking(run).await.unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let args = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    let out =
        ask(args(&["query", "instant", &url, "count by (job) (rate(http_requests_total{code=\"200\"}[5m]))"])).await;
    assert!(out.contains("{job=\"web\"} => 9 @"), "{out}");
    let out = ask(args(&["query", "labels", &url, "job"])).await;
    assert!(out.contains("payments-api"), "{out}");
    let out = ask(args(&["query", "series", "--match=up{job=\"web\"}", &url])).await;
    assert!(out.contains("namespace=\"shop\""), "{out}");
    server.stop().await;
}
