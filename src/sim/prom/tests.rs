//! The façade over a fleet that lives.

use serde_json::Value;

use super::promql::{Engine, Ms, Value as Found, parse};
use super::rules;
use super::*;
use crate::domain::Timestamp;
use crate::sim::backend::Fleet;
use crate::sim::model::{Model, Parameters, Scenario};

struct Demo {
    model: Model,
    start: Timestamp,
    now: Ms,
    monitoring: Monitoring,
}

impl Demo {
    fn of(scenario: Scenario) -> Self {
        let start: Timestamp = "2026-11-25T08:30:00Z".parse().unwrap();
        let mut model = Model::new(scenario);
        model.initial(start);
        let mut demo = Self { model, start, now: start.timestamp_millis(), monitoring: Monitoring::default() };
        demo.secs(0);
        demo
    }

    fn new(name: &str) -> Self {
        Self::of(Scenario::embedded(name, Parameters::default()).unwrap())
    }

    /// Lives up to so many seconds after the start.
    fn secs(&mut self, secs: i64) {
        let to = self.start + chrono::TimeDelta::seconds(secs);
        self.model.advance(to);
        self.now = to.timestamp_millis();
        self.monitoring.update(self.model.telemetry().unwrap().clone());
    }

    fn value(&self, text: &str) -> f64 {
        self.at(text, self.now)
    }

    fn at(&self, text: &str, at: Ms) -> f64 {
        let (_, catalog) = self.monitoring.state(self.now);
        let find = |m: &[promql::Matcher]| catalog.find(m);
        match Engine::new(&find, &self.monitoring.cache, self.now).eval(&parse(text).unwrap(), at).unwrap() {
            Found::Scalar(n) => n,
            Found::Vector(v) if v.len() == 1 => v[0].value,
            other => panic!("{text}: {other:?}"),
        }
    }

    /// Names and severities of what fires.
    fn firing(&self) -> Vec<(String, String, String)> {
        let all = self.monitoring.rules(self.now);
        let firing = all.iter().flat_map(|(_, a)| a.as_ref().unwrap()).filter(|a| a.firing);
        firing
            .map(|a| ["alertname", "severity", "service"].map(|k| a.labels.get(k).to_owned()))
            .map(|[a, b, c]| (a, b, c))
            .collect()
    }

    fn ask(&self, which: Which, method: Method, path: &str, query: &[(&str, &str)], body: &str) -> (u16, Value) {
        use http_body_util::BodyExt as _;
        let parameters = query.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let asked = Asked { which, method, path: path.to_owned(), parameters, body: body.to_owned().into() };
        let response = self.monitoring.answer(&asked, self.now);
        let status = response.status().as_u16();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let body = runtime.block_on(response.into_body().collect()).unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    fn get(&self, path: &str, query: &[(&str, &str)]) -> (u16, Value) {
        self.ask(Which::Prometheus, Method::GET, path, query, "")
    }
}

fn ratio(job: &str, window: &str) -> String {
    format!(
        "sum(increase(http_requests_total{{job=\"{job}\",code=~\"5..\"}}[{window}])) / sum(increase(http_requests_total{{job=\"{job}\"}}[{window}]))"
    )
}

#[test]
fn a_month_of_history_is_as_the_scenario_says() {
    let demo = Demo::new("budget-burn");
    let near = |found: f64, wanted: f64| assert!((found - wanted).abs() < wanted * 0.05, "{found}, wanted {wanted}");
    // 0.0002 always, and 0.06 for 35 minutes of 30 days.
    near(demo.value(&ratio("web", "30d")), 0.0002 + 0.06 * 35.0 / 43_200.0);
    near(demo.value(&ratio("cart", "3d")), 0.0016);
    near(demo.value(&ratio("cart", "30d")), (26.0 * 0.0003 + 4.0 * 0.0016) / 30.0);
    near(demo.value("sum(increase(http_requests_total{job=\"web\"}[30d])) / (30 * 86400)"), 180.0);
    // The median of log-normal latencies, to the width of a bucket.
    let median = demo.value("histogram_quantile(0.5, sum by (le) (rate(http_request_duration_seconds_bucket{job=\"web\",code=\"200\"}[1h])))");
    assert!((0.03..0.06).contains(&median), "{median}");
    // Buckets and requests are the same events.
    near(
        demo.value("sum(increase(http_request_duration_seconds_bucket{job=\"web\",le=\"+Inf\"}[1d]))"),
        demo.value("sum(increase(http_requests_total{job=\"web\"}[1d]))"),
    );
}

#[test]
fn the_page_comes_and_goes_and_the_ticket_stays() {
    let mut demo = Demo::new("budget-burn");
    let page = ("ErrorBudgetBurn".to_owned(), "critical".to_owned(), "payments-api".to_owned());
    let ticket = ("ErrorBudgetBurn".to_owned(), "warning".to_owned(), "cart".to_owned());
    let mut pages = Vec::new();
    for secs in (0..=780).step_by(10) {
        demo.secs(secs);
        let firing = demo.firing();
        assert!(firing.contains(&ticket), "at {secs} s: {firing:?}");
        let critical: Vec<_> = firing.iter().filter(|f| f.1 == "critical").collect();
        assert!(critical.iter().all(|f| **f == page), "at {secs} s: {critical:?}");
        if !critical.is_empty() {
            pages.push(secs);
        }
    }
    let (first, last) = (pages.first().copied().unwrap(), pages.last().copied().unwrap());
    // 0.3 x 172 s of the last hour is 1.43 %; five minutes after the end it is over.
    assert!((200..=290).contains(&first), "{first}");
    assert!((600..=690).contains(&last), "{last}");
}

#[test]
fn restarts_reset_counters_and_are_no_loss() {
    let text = "seed = 3\n[[nodes]]\ngroup='a'\ncount=2\ninstance='m'\nzones=['z']\ncpu=4\nmemory=8\n[[namespaces]]\nname='s'\n\
        [[workloads]]\nkind='deployment'\nnamespace='s'\nname='web'\nreplicas=2\nimage='r/web:1'\ncpu='100m'\nready_after='1s'\n\
        [[traffic]]\nworkload='s/web'\nrate=100.0\nerrors=0.0\n\
        [[at]]\nt='60s'\naction='behave'\nworkload='s/web'\nbehaviour='crash'\nafter='30s'\n";
    let mut demo = Demo::of(Scenario::parse(text, "t.toml").unwrap());
    for secs in (0..240).step_by(5) {
        demo.secs(secs);
    }
    assert!(demo.value("sum(resets(http_requests_total{job=\"web\",code=\"200\"}[4m]))") >= 2.0);
    let gained = demo.value("min(increase(http_requests_total{job=\"web\",code=\"200\"}[4m]))");
    assert!(gained > 1000.0, "{gained}");
    assert!(demo.value("count(up{job=\"web\"})") >= 2.0);
}

#[test]
fn steps_of_the_scenario_show_in_the_series() {
    let mut demo = Demo::new("zone-down");
    let down = "count(kube_node_status_condition{condition=\"Ready\",status=\"true\"} == 0)";
    assert!(demo.value(&format!("{down} or vector(0)")) < 0.5);
    for secs in (0..=150).step_by(5) {
        demo.secs(secs);
    }
    assert!(demo.value(down) >= 3.0);
    let firing = demo.firing();
    assert!(firing.iter().any(|f| f.0 == "KubeNodeNotReady"), "{firing:?}");
    assert!(firing.iter().any(|f| f.0 == "TargetDown"), "{firing:?}");
    assert!(demo.at(&ratio("web", "1m"), demo.now - 75_000) > 0.01, "requests went to what was gone");
    let mut bad = Demo::new("bad-deploy");
    for secs in (0..=180).step_by(5) {
        bad.secs(secs);
    }
    assert!(bad.firing().iter().any(|f| f.0 == "KubePodCrashLooping"), "{:?}", bad.firing());
}

#[test]
fn answers_have_prometheus_form() {
    let demo = Demo::new("calm");
    let (status, body) = demo.get("api/v1/query", &[("query", "1 + 1"), ("time", "1763600000.5")]);
    assert_eq!(
        (status, body.to_string().as_str()),
        (200, r#"{"status":"success","data":{"resultType":"scalar","result":[1763600000.5,"2"]}}"#)
    );
    let (status, body) = demo.get("api/v1/query", &[("query", "sum(")]);
    assert_eq!((status, body["errorType"].as_str()), (400, Some("bad_data")));
    let (status, body) = demo.get("api/v1/query", &[("query", "deriv(up[5m])")]);
    assert_eq!((status, body["errorType"].as_str()), (422, Some("execution")));
    let now = (demo.now / 1000).to_string();
    let before = (demo.now / 1000 - 3600).to_string();
    let range = [
        ("query", "sum by (job) (rate(http_requests_total[5m]))"),
        ("start", before.as_str()),
        ("end", now.as_str()),
        ("step", "60"),
    ];
    let (status, body) = demo.get("api/v1/query_range", &range);
    let result = body["data"]["result"].as_array().unwrap();
    assert_eq!((status, result.len(), result[0]["values"].as_array().unwrap().len()), (200, 5, 61));
    let (_, body) = demo.get("api/v1/label/job/values", &[]);
    assert_eq!(body["data"].to_string(), r#"["cart","gateway","kube-state-metrics","payments-api","search","web"]"#);
    let (_, body) = demo.get("api/v1/label/__name__/values", &[]);
    assert!(body["data"].as_array().unwrap().contains(&"http_requests_total".into()), "{body}");
    let (_, body) = demo.get("api/v1/series", &[("match[]", "up{job=\"web\"}")]);
    assert!(body["data"].as_array().unwrap().len() >= 9, "{body}");
    let (_, body) = demo.get("api/v1/rules", &[]);
    assert_eq!(body["data"]["groups"].as_array().unwrap().len(), 2);
    for (_, alerts) in demo.monitoring.rules(demo.now) {
        assert_eq!(alerts.as_ref().map(Vec::len), Ok(0), "calm is calm: {alerts:?}");
    }
    assert_eq!(demo.get("-/nowhere", &[]).0, 404);
}

#[test]
fn silences_and_inhibitions() {
    let demo = Demo::new("budget-burn");
    let get = |path: &str, query: &[(&str, &str)]| demo.ask(Which::Alertmanager, Method::GET, path, query, "").1;
    let names = |v: &Value| v.as_array().unwrap().len();
    let all = get("api/v2/alerts", &[]);
    assert_eq!(names(&all), 1, "{all}");
    assert_eq!(all[0]["labels"]["service"], "cart");
    assert_eq!(all[0]["status"]["state"], "active");
    assert_eq!(all[0]["annotations"]["runbook_url"], "https://runbooks.example.com/cart");
    // It burns since the ticket's windows are full of it, some hours or days ago.
    let started: Timestamp = all[0]["startsAt"].as_str().unwrap().parse().unwrap();
    assert!((1..96).contains(&(demo.start - started).num_hours()), "{started}");
    let ends = stamp(demo.now + 60_000);
    let body = format!(
        r#"{{"matchers":[{{"name":"service","value":"ca.*","isRegex":true}}],"startsAt":"{}","endsAt":"{ends}","createdBy":"me","comment":"known"}}"#,
        stamp(demo.now)
    );
    let (status, made) = demo.ask(Which::Alertmanager, Method::POST, "api/v2/silences", &[], &body);
    assert_eq!(status, 200, "{made}");
    let id = made["silenceID"].as_str().unwrap();
    assert_eq!(get("api/v2/alerts", &[])[0]["status"]["silencedBy"][0], id);
    assert_eq!(names(&get("api/v2/alerts", &[("silenced", "false")])), 0);
    assert_eq!(names(&get("api/v2/alerts", &[("active", "false")])), 1);
    assert_eq!(get("api/v2/silences", &[])[0]["status"]["state"], "active");
    assert_eq!(demo.ask(Which::Alertmanager, Method::DELETE, &format!("api/v2/silence/{id}"), &[], "").0, 200);
    assert_eq!(names(&get("api/v2/alerts", &[("silenced", "false"), ("filter", "service=\"cart\"")])), 1);
    assert_eq!(names(&get("api/v2/alerts", &[("filter", "service=\"web\"")])), 0);
    assert_eq!(demo.ask(Which::Alertmanager, Method::POST, "api/v2/silences", &[], "{}").0, 400);
}

#[test]
fn nothing_is_recorded_without_traffic() {
    let mut demo = Demo::new("big");
    demo.secs(2);
    let t = demo.model.telemetry().unwrap();
    assert!(t.pods.is_empty() && t.nodes.is_empty() && rules::rules(t).is_empty());
}
