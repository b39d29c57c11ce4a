//! Alerting rules, evaluated when somebody asks: since when an alert is active
//! follows from the past, which is known.

use std::collections::HashMap;

use super::promql::{Cache, Engine, Error, Labels, Ms, Sample, parse};
use super::series::{Catalog, has};
use crate::sim::telemetry::{Telemetry, Traffic};

/// Rules are looked at so often.
pub const EVERY: Ms = 30_000;
/// Severity, long and short window, factor: Google's four rows.
const ROWS: [(&str, &str, &str, &str); 4] = [
    ("critical", "1h", "5m", "14.4"),
    ("critical", "6h", "30m", "6"),
    ("warning", "1d", "2h", "3"),
    ("warning", "3d", "6h", "1"),
];
/// How far back the beginning of an alert is looked for: step and how often.
const BACK: [(Ms, usize); 3] = [(EVERY, 40), (300_000, 72), (3_600_000, 720)];

/// One rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its group.
    pub group: &'static str,
    /// The alert's name.
    pub name: &'static str,
    /// What must hold.
    pub expr: String,
    /// For so long.
    pub lasting: Ms,
    /// Labels it adds.
    pub labels: Vec<(&'static str, String)>,
    /// `{{label}}` is replaced.
    pub annotations: Vec<(&'static str, String)>,
}

/// An alert that is active.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// The name among them.
    pub labels: Labels,
    /// Summary, description, runbook.
    pub annotations: Vec<(&'static str, String)>,
    /// Firing, or still pending.
    pub firing: bool,
    /// Since when what the rule says is so.
    pub active_at: Ms,
    /// Since when it fires.
    pub fires_at: Ms,
    /// The expression's value.
    pub value: f64,
}

/// What is known of alerts that were active: since when, and when that was looked at.
pub type Known = HashMap<(usize, Labels), (Ms, Ms)>;

/// The rules for what is recorded.
pub fn rules(t: &Telemetry) -> Vec<Rule> {
    let mut out = Vec::new();
    for service in &t.traffic {
        let Some(objective) = service.spec.objective else { continue };
        let (name, namespace) = (&service.spec.service, &service.spec.namespace);
        // To nine digits: 1 - 0.999 is not 0.001.
        let budget = ((1.0 - objective) * 1e9).round() / 1e9;
        for (severity, long, short, factor) in ROWS {
            let ratio = |w: &str| {
                format!(
                    "sum(rate(http_requests_total{{job=\"{name}\",code=~\"5..\"}}[{w}])) / sum(rate(http_requests_total{{job=\"{name}\"}}[{w}]))"
                )
            };
            // The value is the burn, and the limit stands at the end: both can be shown.
            let over = |w: &str| format!("{} / {budget} > {factor}", ratio(w));
            out.push(Rule {
                group: "error-budgets",
                name: "ErrorBudgetBurn",
                expr: format!("{} and {}", over(long), over(short)),
                lasting: 0,
                labels: vec![
                    ("severity", severity.to_owned()),
                    ("service", name.clone()),
                    ("namespace", namespace.clone()),
                    ("job", name.clone()),
                    ("slo", format!("{name}-availability")),
                    ("long", long.to_owned()),
                    ("short", short.to_owned()),
                ],
                annotations: vec![
                    ("summary", format!("{name} burns its error budget at more than {factor} times the even rate")),
                    ("description", format!("Over the last {long} and {short}, too many requests to {name} failed.")),
                    ("runbook_url", format!("https://runbooks.example.com/{name}")),
                ],
            });
        }
    }
    if t.is_on() {
        out.extend(usual());
    }
    out.extend(t.traffic.iter().filter_map(slow));
    out.extend(t.traffic.iter().any(|s| s.spec.host.is_some()).then(certificate));
    out
}

fn link(name: &str) -> (&'static str, String) {
    ("runbook_url", format!("https://runbooks.example.com/{name}"))
}

/// A service that is slower than its definition allows.
fn slow(service: &Traffic) -> Option<Rule> {
    let (limit, name) = (service.spec.slow?, &service.spec.service);
    let summary = format!("One request in a hundred to {name} takes more than {limit} s");
    Some(Rule {
        group: "latency",
        name: "RequestLatencyHigh",
        expr: format!(
            "histogram_quantile(0.99, sum by (namespace, service, job, le) (rate(http_request_duration_seconds_bucket{{job=\"{name}\"}}[2m]))) > {limit}"
        ),
        lasting: 60_000,
        labels: vec![("severity", "critical".to_owned())],
        annotations: vec![("summary", summary), link(name)],
    })
}

fn certificate() -> Rule {
    Rule {
        group: "certificates",
        name: "CertificateExpired",
        expr: "probe_ssl_earliest_cert_expiry - time() < 0".to_owned(),
        lasting: 0,
        labels: vec![("severity", "critical".to_owned())],
        annotations: vec![("summary", "The certificate of {{host}} has expired".to_owned())],
    }
}

fn usual() -> [Rule; 3] {
    let rule = |name, severity: &str, expr: &str, summary: &str| Rule {
        group: "kubernetes",
        name,
        expr: expr.to_owned(),
        lasting: 60_000,
        labels: vec![("severity", severity.to_owned())],
        annotations: vec![
            ("summary", summary.to_owned()),
            (
                "runbook_url",
                format!("https://runbooks.prometheus-operator.dev/runbooks/kubernetes/{}", name.to_lowercase()),
            ),
        ],
    };
    [
        rule(
            "KubePodCrashLooping",
            "warning",
            "max_over_time(kube_pod_container_status_waiting_reason{reason=\"CrashLoopBackOff\"}[5m]) >= 1",
            "Pod {{namespace}}/{{pod}} is crash looping",
        ),
        rule(
            "KubeNodeNotReady",
            "warning",
            "kube_node_status_condition{condition=\"Ready\",status=\"true\"} == 0",
            "Node {{node}} is not ready",
        ),
        rule(
            "TargetDown",
            "warning",
            "100 * (count by (job, namespace, service) (up == 0) / count by (job, namespace, service) (up)) > 10",
            "More than a tenth of the targets of {{namespace}}/{{job}} are down",
        ),
    ]
}

/// The active alerts of one rule.
///
/// # Errors
/// When its expression cannot be evaluated.
pub fn active(
    (index, rule): (usize, &Rule),
    catalog: &Catalog,
    cache: &Cache,
    now: Ms,
    known: &mut Known,
) -> Result<Vec<Alert>, Error> {
    let expr = parse(&rule.expr)?;
    let find = |m: &[super::promql::Matcher]| catalog.find(m);
    let engine = Engine::new(&find, cache, now);
    let at = now.div_euclid(EVERY) * EVERY;
    let found = engine.vector(&expr, at)?;
    known.retain(|(i, labels), _| *i != index || has(&found, labels).is_some());
    let mut out = Vec::new();
    for Sample { labels, value } in found {
        let own = labels.nameless();
        let key = (index, own.clone());
        let active_at = match known.get(&key) {
            Some((since, looked)) if at - looked <= 3 * EVERY => *since,
            _ => since(&own, at, |t| engine.vector(&expr, t))?,
        };
        known.insert(key, (active_at, at));
        out.push(alert(rule, &own, value, active_at, at));
    }
    Ok(out)
}

/// When what holds now began to hold without a break, to the interval of rules.
fn since(labels: &Labels, at: Ms, eval: impl Fn(Ms) -> Result<Vec<Sample>, Error>) -> Result<Ms, Error> {
    let holds = |t: Ms| Ok::<bool, Error>(has(&eval(t)?, labels).is_some());
    let mut good = at;
    for (step, times) in BACK {
        for _ in 0..times {
            let before = good - step;
            if holds(before)? {
                good = before;
                continue;
            }
            let mut bad = before;
            while good - bad > EVERY {
                let middle = bad + ((good - bad) / 2).div_euclid(EVERY).max(1) * EVERY;
                if holds(middle)? { good = middle } else { bad = middle }
            }
            return Ok(good);
        }
    }
    Ok(good)
}

fn alert(rule: &Rule, own: &Labels, value: f64, active_at: Ms, at: Ms) -> Alert {
    let added = rule.labels.iter().map(|(k, v)| (*k, v.as_str()));
    let labels = Labels::new(own.iter().chain(added).chain(std::iter::once(("alertname", rule.name))));
    let fill = |text: &str| labels.iter().fold(text.to_owned(), |t, (k, v)| t.replace(&format!("{{{{{k}}}}}"), v));
    let annotations = rule.annotations.iter().map(|(k, v)| (*k, fill(v))).collect();
    let fires_at = active_at + rule.lasting;
    Alert { annotations, firing: at >= fires_at, active_at, fires_at, value, labels }
}
