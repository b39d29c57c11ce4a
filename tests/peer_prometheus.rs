//! Real Prometheus and Alertmanager: burns and budgets against figures worked out by hand and
//! against `PromQL`'s own, alerts, silences, rules that Sloth would record, golden signals.
//!
//! Needs `prometheus`, `promtool` and `prometheus-alertmanager` (Debian's names, or upstream's) in PATH; without
//! them the tests say so and pass, but fail where `CI` is set.
#![cfg(feature = "prometheus")]
#![expect(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "a peer that is left out is said loudly")]

mod common;
#[path = "support/peer.rs"]
mod peer;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::client::Client;
use common::web::{Web, says};
use peer::{Process, find, free};
use quarterdeck::clock::{Clock, instant};
use quarterdeck::config::{BackendSettings, Place, ServiceSettings};
use quarterdeck::domain::slo::{Lookback, State};
use quarterdeck::domain::{Alarm, AlarmSource, AlarmState, BackendKind, Budget, ClusterId};
use quarterdeck::source::prometheus::{BackendSpec, Plan, Sources, Way};
use quarterdeck::store::{Feed, Store};
use serde_json::{Value, json};
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_mins(1);
/// Minutes of history.
const MINUTES: i64 = 30 * 24 * 60;
/// Requests a minute, and failures among them before and in the last hour.
const ALL: i64 = 6000;
const BAD: i64 = 3;
const BAD_NOW: i64 = 120;

fn start(program: &Path, dir: &Path, name: &str, arguments: &[String]) -> Process {
    let mut command = Command::new(program);
    Process::start(command.args(arguments).current_dir(dir), Some(&dir.join(format!("{name}.log"))))
}

struct Peers {
    prometheus: SocketAddr,
    alertmanager: SocketAddr,
    _processes: [Process; 2],
    _exporter: Web,
    dir: tempfile::TempDir,
}

const RULES: &str = r#"
groups:
- name: alerts
  interval: 1s
  rules:
  - alert: QueueFull
    expr: max by (namespace, pod) (queue_use) > 0.9
    labels: {severity: page}
    annotations: {summary: "the queue is full", runbook_url: "https://runbooks.example/queue"}
  - alert: QueueFilling
    expr: max by (namespace, pod) (queue_use) > 0.5
    for: 10m
    labels: {severity: warning}
- name: sloth
  interval: 1s
  rules:
  - {record: "slo:objective:ratio", expr: "vector(0.99)", labels: &l {sloth_id: shop-web, sloth_service: shop, sloth_slo: web}}
  - {record: "slo:time_period:days", expr: "vector(30)", labels: *l}
  - {record: "slo:sli_error:ratio_rate5m", expr: "vector(0.02)", labels: *l}
  - {record: "slo:sli_error:ratio_rate1h", expr: "vector(0.03)", labels: *l}
  - {record: "slo:sli_error:ratio_rate30d", expr: "vector(0.0025)", labels: *l}
"#;

/// Thirty days of a counter, one sample a minute, and one more bad hour.
fn history(now: i64) -> String {
    let mut text = String::new();
    for (name, before, lately) in [("shop_requests", ALL, ALL), ("shop_failures", BAD, BAD_NOW)] {
        writeln!(text, "# TYPE {name} counter").unwrap();
        let mut value = 0;
        for minute in 0..=MINUTES {
            writeln!(text, "{name}_total{{job=\"shop\"}} {value} {}", now - (MINUTES - minute) * 60).unwrap();
            value += if minute >= MINUTES - 60 { lately } else { before };
        }
    }
    text.push_str("# EOF\n");
    text
}

async fn peers(now: i64) -> Option<Peers> {
    let found = (find(&["prometheus"]), find(&["promtool"]), find(&["prometheus-alertmanager", "alertmanager"]));
    let (Some(prometheus), Some(promtool), Some(alertmanager)) = found else {
        assert!(std::env::var_os("CI").is_none(), "Prometheus and Alertmanager are part of the checks: install them");
        eprintln!("LEFT OUT: prometheus, promtool and prometheus-alertmanager are not all in PATH");
        return None;
    };
    let dir = tempfile::tempdir().unwrap();
    let began = instant();
    let exporter = Web::start(move |_| {
        let ticks = began.elapsed().as_secs_f64();
        let line = |name: &str, labels: &str, rate: f64| format!("{name}{{{labels}}} {}\n", rate * ticks);
        let mut text = String::from(
            "queue_use{namespace=\"shop\",pod=\"web-0\"} 0.95\nqueue_use{namespace=\"shop\",pod=\"web-1\"} 0.6\n",
        );
        text += &line("http_requests_total", "code=\"200\"", 90.0);
        text += &line("http_requests_total", "code=\"500\"", 10.0);
        for (le, ok, failed) in [("0.1", 45.0, 0.0), ("1", 90.0, 0.0), ("10", 90.0, 10.0), ("+Inf", 90.0, 10.0)] {
            text += &line("http_request_duration_seconds_bucket", &format!("code=\"200\",le=\"{le}\""), ok);
            text += &line("http_request_duration_seconds_bucket", &format!("code=\"500\",le=\"{le}\""), failed);
        }
        says(200, text)
    })
    .await;
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("history.txt"), history(now)).unwrap();
    std::fs::write(at("rules.yml"), RULES).unwrap();
    std::fs::write(at("alertmanager.yml"), "route: {receiver: nobody, group_wait: 1s}\nreceivers: [{name: nobody}]\n")
        .unwrap();
    let (p, a) = (free(), free());
    let config = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s, external_labels: {{region: eu-1}}}}\nrule_files: [rules.yml]\n\
         scrape_configs: [{{job_name: web, static_configs: [{{targets: ['{}']}}]}}]\n\
         alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{a}']}}]}}]}}\n",
        exporter.addr
    );
    std::fs::write(at("prometheus.yml"), config).unwrap();
    let made = Command::new(promtool)
        .args(["tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=240h", "history.txt", "data"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let own = |s: &str| s.to_owned();
    let processes = [
        start(
            &alertmanager,
            dir.path(),
            "alertmanager",
            &[
                own("--config.file=alertmanager.yml"),
                own("--storage.path=am"),
                own("--cluster.listen-address="),
                format!("--web.listen-address={a}"),
            ],
        ),
        start(
            &prometheus,
            dir.path(),
            "prometheus",
            &[
                own("--config.file=prometheus.yml"),
                own("--storage.tsdb.path=data"),
                own("--storage.tsdb.retention.time=60d"),
                format!("--web.listen-address={p}"),
            ],
        ),
    ];
    let peers = Peers { prometheus: p, alertmanager: a, _processes: processes, _exporter: exporter, dir };
    for addr in [p, a] {
        let began = instant();
        while tokio::net::TcpStream::connect(addr).await.is_err() {
            assert!(began.elapsed() < PATIENCE, "{addr} does not listen: {}", peers.logs());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Some(peers)
}

impl Peers {
    fn logs(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.dir.path().join(name)).unwrap_or_default();
        format!("{}\n{}", read("prometheus.log"), read("alertmanager.log"))
    }

    async fn promql(&self, expr: &str) -> f64 {
        let client = Client { addr: self.prometheus, token: String::new() };
        let query = expr.bytes().fold(String::new(), |all, b| all + &format!("%{b:02X}"));
        let answer: Value = client.get(&format!("/api/v1/query?query={query}")).await.json();
        let value = answer.pointer("/data/result/0/value/1").and_then(Value::as_str);
        value.unwrap_or_else(|| panic!("{expr}: {answer}")).parse().unwrap()
    }

    fn specs(&self) -> Vec<BackendSpec> {
        let spec = |name: &str, kind, addr: SocketAddr| {
            let url = format!("http://{addr}");
            let settings = BackendSettings::at(name, Place::Url(url.clone()));
            BackendSpec {
                id: ClusterId::new(name),
                kind,
                way: Way::Url(url),
                settings,
                cluster: Some(ClusterId::new("eu")),
            }
        };
        vec![
            spec("prom", BackendKind::Prometheus, self.prometheus),
            spec("am", BackendKind::Alertmanager, self.alertmanager),
        ]
    }
}

const SLO: &str = "apiVersion: openslo/v1
kind: SLO
metadata: {name: shop-availability}
spec:
  service: shop
  budgetingMethod: Occurrences
  timeWindow: [{duration: 30d, isRolling: true}]
  indicator:
    metadata: {name: ratio}
    spec:
      ratioMetric:
        counter: true
        bad: {metricSource: {type: Prometheus, spec: {query: 'shop_failures_total{job=\"shop\"}'}}}
        total: {metricSource: {type: Prometheus, spec: {query: 'shop_requests_total{job=\"shop\"}'}}}
  objectives: [{target: 0.999}]
";

fn near(has: f64, want: f64, share: f64, what: &str) {
    assert!((has - want).abs() <= want.abs() * share, "{what}: {has}, and it should be {want}");
}

#[tokio::test]
async fn what_is_shown_is_what_the_peers_have() {
    let clock = Clock::system();
    let Some(peers) = peers(clock.now().timestamp()).await else { return };
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("slo.yaml"), SLO).unwrap();
    let service = ServiceSettings { preset: Some("http-total".to_owned()), ..ServiceSettings::default() };
    let plan = Plan {
        known: vec![ClusterId::new("eu")],
        interval: Duration::from_secs(1),
        slo_interval: Duration::from_secs(2),
        objectives: Some(quarterdeck::slo::load(&[dir.path().to_owned()])),
        services: vec![service],
        ..Plan::default()
    };
    let (tx, mut rx) = mpsc::channel(4096);
    let mut store = Store::default().and_backends(["prom", "am"].map(ClusterId::new));
    let sources = Sources::spawn(peers.specs(), plan, tx, clock);

    // Alerts: one fires and is Alertmanager's, one is pending and Prometheus'.
    let alarm = |store: &Store, name: &str| store.alarms.rows().find(|a| a.id.name.as_str() == name).cloned();
    let full: Alarm = until(&peers, &mut store, &mut rx, "a firing alert", |s| {
        alarm(s, "QueueFull web-0").filter(|a| a.source == AlarmSource::Alertmanager && a.value.is_some())
    })
    .await;
    assert_eq!((full.state, full.threshold, full.value), (AlarmState::Firing, Some(0.9), Some(0.95)));
    assert_eq!(full.runbook.as_str(), "https://runbooks.example/queue");
    assert!(full.labels.iter().any(|(k, v)| k.as_str() == "region" && v.as_str() == "eu-1"));
    assert_eq!(full.about.as_ref().map(|o| o.name.as_str()), Some("web-0"));
    let twice = store.alarms.rows().filter(|a| a.id.name.as_str().starts_with("QueueFull")).count();
    assert_eq!(twice, 1, "Alertmanager wins");
    let pending: Alarm =
        until(&peers, &mut store, &mut rx, "a pending alert", |s| alarm(s, "QueueFilling web-1")).await;
    assert_eq!((pending.state, pending.source), (AlarmState::Pending, AlarmSource::Prometheus));
    // The fingerprint is the one that Alertmanager has, but for its external labels.
    assert_eq!(full.uid.len(), 16);

    // A silence shows, with by whom and until when.
    let silence = json!({"matchers": [{"name": "alertname", "value": "QueueFull", "isRegex": false, "isEqual": true}],
        "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2099-01-01T12:00:00Z", "createdBy": "ann", "comment": "upgrade"});
    let client = Client { addr: peers.alertmanager, token: String::new() };
    let made = client.send("POST", "/api/v2/silences", "application/json", &silence).await;
    assert_eq!(made.code, 200, "{}", made.text());
    sources.refresh();
    let silenced: Alarm = until(&peers, &mut store, &mut rx, "a silenced alert", |s| {
        alarm(s, "QueueFull web-0").filter(|a| !a.suppressed_by.is_empty())
    })
    .await;
    assert_eq!(silenced.suppressed_by.as_str(), "silenced by ann until 2099-01-01 12:00 UTC: upgrade");

    // The budget: by hand, and as PromQL has it.
    let budget: Budget = until(&peers, &mut store, &mut rx, "a budget", |s| {
        let found = s.budgets.rows().find(|b| b.id.name.as_str() == "shop-availability")?;
        (found.assessment.is_some() && !found.history.is_empty()).then(|| found.clone())
    })
    .await;
    let assessment = budget.assessment.as_ref().unwrap();
    assert_eq!(assessment.state, State::Page, "{assessment:?} {}", budget.note);
    let burn = |minutes: u64| {
        let w = Lookback::minutes(minutes);
        assessment.burns.iter().find(|(window, _)| *window == w).and_then(|(_, b)| *b).unwrap().value()
    };
    for (minutes, bad) in [
        (5_u32, 5.0 * 120.0),
        (30, 30.0 * 120.0),
        (60, 60.0 * 120.0),
        (360, 60.0 * 120.0 + 300.0 * 3.0),
        (1440, 60.0 * 120.0 + 1380.0 * 3.0),
    ] {
        let by_hand = bad / (f64::from(minutes) * 6000.0) / 0.001;
        near(burn(u64::from(minutes)), by_hand, 0.01, &format!("burn over {minutes} m by hand"));
        let promql = format!(
            "sum(increase(shop_failures_total[{minutes}m])) / sum(increase(shop_requests_total[{minutes}m])) / 0.001"
        );
        near(burn(u64::from(minutes)), peers.promql(&promql).await, 0.001, &format!("burn over {minutes} m"));
    }
    let bad_by_hand = 60.0 * 120.0 + (43_200.0 - 60.0) * 3.0;
    let left_by_hand = 1.0 - bad_by_hand / (43_200.0 * 6000.0 * 0.001);
    let left = assessment.left.unwrap().value();
    near(left, left_by_hand, 0.005, "left by hand");
    let promql = "1 - sum(increase(shop_failures_total[30d])) / sum(increase(shop_requests_total[30d])) / 0.001";
    near(left, peers.promql(promql).await, 0.001, "left");
    assert!((150..=200).contains(&budget.history.len()), "{} points", budget.history.len());
    near(budget.history.last().unwrap().1, left, 0.02, "the chart ends at what is left");
    assert!(budget.history.windows(2).all(|w| w[0].1 >= w[1].1 && w[0].0 < w[1].0), "a burn-down only falls");

    // What Sloth records is read, and marked.
    let sloth: Budget = until(&peers, &mut store, &mut rx, "Sloth's budget", |s| {
        let found = s.budgets.rows().find(|b| b.origin.as_str() == "sloth")?;
        found.assessment.as_ref().is_some_and(|a| a.left.is_some()).then(|| found.clone())
    })
    .await;
    let assessment = sloth.assessment.as_ref().unwrap();
    near(assessment.left.unwrap().value(), 0.75, 0.001, "Sloth's left");
    assert_eq!((sloth.id.namespace.as_str(), sloth.note.as_str()), ("shop", "time-weighted"));

    // Golden signals of the service that scraping made.
    let web = until(&peers, &mut store, &mut rx, "golden signals", |s| {
        let found = s.services.rows().find(|v| v.id.name.as_str() == "web")?;
        found.now.latency[0].is_some().then(|| found.clone())
    })
    .await;
    // Two minutes must pass until the rate is whole: shares and percentiles do not wait for that.
    let requests = web.now.requests.unwrap();
    assert!(requests > 0.0 && requests < 102.0, "{requests} requests a second");
    near(web.now.errors.unwrap(), 0.1, 0.02, "share of errors");
    near(web.now.latency[0].unwrap(), 0.1, 0.02, "median of successes");
    assert!(web.now.failure_latency[0].unwrap() > 1.0, "failures are slow, and apart");
    for (feed, name) in [(Feed::Alarms, "am"), (Feed::Alarms, "prom"), (Feed::Budgets, "prom"), (Feed::Signals, "prom")]
    {
        let state = store.source(&ClusterId::new(name), feed).unwrap();
        assert_eq!(state.freshness.word(), "live", "{name} {}", feed.word());
    }
}

async fn until<T>(
    peers: &Peers,
    store: &mut Store,
    rx: &mut mpsc::Receiver<quarterdeck::store::Observation>,
    what: &str,
    found: impl Fn(&Store) -> Option<T>,
) -> T {
    // Golden signals need a whole minute at worst.
    let (began, patience) = (instant(), Duration::from_secs(150));
    loop {
        if let Some(found) = found(store) {
            return found;
        }
        let left = patience.checked_sub(began.elapsed()).unwrap_or_default();
        match tokio::time::timeout(left, rx.recv()).await {
            Ok(Some(observation)) => store.apply(observation),
            _ => panic!("{what}: not in time; {:?}\n{}", store.log().collect::<Vec<_>>(), peers.logs()),
        }
    }
}
