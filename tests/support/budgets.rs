//! Budgets made by hand from the lettered vectors, and services beside them.
#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use std::sync::Arc;

use chrono::TimeDelta;
use quarterdeck::domain::slo::{Basis, MIN_BAD, Measure, Method, Objective, Period, Readings, Row, Target, assess};
use quarterdeck::domain::{
    Alarm, AlarmMore, AlarmSource, AlarmState, Backend, BackendKind, Budget, ClusterId, Covers, Kind, Labels, ObjectId,
    Service, Severity, Signals, Text, Timestamp,
};
use quarterdeck::store::{Body, Feed, Observation, Rows, SourceId, Store};

use super::fleet::{id, now, observe, small_fleet, workload};

/// The lettered vectors: letter, target, days, readings.
pub const VECTORS: [(&str, &str, u64, &str); 9] = [
    (
        "A",
        "0.999",
        30,
        "W 6000/25920000, 5m 1/3000, 30m 9/18000, 1h 20/36000, 2h 40/72000, 6h 120/216000, 1d 400/864000, 3d 1500/2592000",
    ),
    ("B", "0.999", 30, "W 20000/25920000, 5m 60/3000, 30m 330/18000, 1h 600/36000, 6h 700/216000"),
    ("C", "0.999", 30, "W 20000/25920000, 5m 2/3000, 1h 600/36000"),
    ("D", "0.999", 30, "W 15000/25920000, 5m 20/3000, 30m 120/18000, 1h 240/36000, 6h 1400/216000"),
    (
        "E",
        "0.999",
        30,
        "W 15000/25920000, 5m 8/3000, 30m 54/18000, 1h 110/36000, 2h 230/72000, 6h 800/216000, 1d 2700/864000",
    ),
    ("F", "0.999", 30, "W 15000/25920000, 5m 1/3000, 2h 70/72000, 6h 230/216000, 1d 900/864000, 3d 2700/2592000"),
    ("G", "0.995", 28, "W 7000/1000000, 5m 0/80, 1h 12/1000"),
    ("H", "0.999", 30, "W 10/25920000, 5m 0/0, 1h 0/0"),
    ("I", "0.999", 30, "W 10/25920000, 5m 1/4, 1h 1/40"),
];

pub fn backend() -> ClusterId {
    ClusterId::new("prom")
}

fn readings(text: &str) -> Readings {
    let mut out = Readings::default();
    for part in text.split(',').filter(|p| !p.trim().is_empty()) {
        let (window, counts) = part.trim().split_once(' ').expect("a window and counts");
        let (bad, total) = counts.split_once('/').expect("bad/total");
        let measure = Measure::whole(bad.parse().expect("bad"), total.parse().expect("total")).expect("counts");
        if window == "W" {
            out.period = measure;
        } else {
            out.windows.insert(window.parse().expect("a window"), measure);
        }
    }
    out
}

/// A budget of `service` with these readings; no readings at all for an empty text.
pub fn budget(slo: &str, service: &str, target: &str, days: u64, text: &str) -> Budget {
    let period = Period::Rolling(quarterdeck::domain::slo::Lookback::days(days));
    let objective = Objective {
        slo: Text::new(slo),
        objective: None,
        title: Text::new(slo),
        service: Text::new(service),
        description: Text::new("Shoppers can pay."),
        runbook: Some(Text::new("https://runbooks.example.com/checkout")),
        indicator: Text::new("bad events http_requests_total{code=~\"5..\"} of all http_requests_total"),
        target: Target::parse(target).expect("a target"),
        period,
        method: Method::Occurrences,
        basis: Basis::SoFar,
        rows: Row::usual(period.nominal()),
        min_bad: MIN_BAD,
    };
    let assessment = Some(assess(&objective, &readings(text), now()));
    let left = assessment.as_ref().and_then(|a| a.left).map_or(1.0, quarterdeck::domain::slo::Fraction::value);
    let steps = 60_i32;
    let history: Vec<(Timestamp, f64)> = (0..=steps)
        // Somewhere in the middle nobody measured.
        .filter(|i| !(20..26).contains(i))
        .map(|i| {
            let at =
                now() - TimeDelta::seconds(i64::from(steps - i) * 86_400 * i64::try_from(days).expect("days") / 60);
            let part = f64::from(i) / f64::from(steps);
            (at, 1.0 - (1.0 - left) * part * part)
        })
        .collect();
    Budget {
        id: ObjectId { cluster: backend(), kind: Kind::Budget, namespace: Text::new(service), name: Text::new(slo) },
        objective: Arc::new(objective),
        assessment,
        at: Some(now() - TimeDelta::seconds(20)),
        history: Arc::from(history),
        note: Text::empty(),
        origin: Text::new("openslo"),
    }
}

/// The budget of a lettered vector, called `slo-a` and so on.
pub fn lettered(letter: &str) -> Budget {
    let (_, target, days, text) = VECTORS.into_iter().find(|v| v.0 == letter).expect("a vector");
    budget(&format!("slo-{}", letter.to_lowercase()), "web", target, days, text)
}

pub fn observe_backend(store: &mut Store, feed: Feed, rows: Rows) {
    let source = SourceId { cluster: backend(), feed };
    for body in [Body::Begin, Body::Upsert(rows), Body::Synced] {
        store.apply(Observation { source: source.clone(), at: now(), body });
    }
}

pub fn signals(requests: f64, errors: f64, latency: [f64; 3]) -> Signals {
    Signals {
        requests: Some(requests),
        errors: Some(errors),
        latency: latency.map(Some),
        failure_latency: [None, None, Some(0.003)],
        covers: Covers::Successes,
        saturation: Some(0.62),
    }
}

pub fn service(name: &str, now_: Signals, trend: Vec<Signals>) -> Service {
    Service {
        id: ObjectId { cluster: backend(), kind: Kind::Service, namespace: Text::new("shop"), name: Text::new(name) },
        origin: Text::new("prometheus istio"),
        at: Some(now() - TimeDelta::minutes(2)),
        now: now_,
        trend: Arc::from(trend),
        workloads: Arc::from([]),
        note: Text::empty(),
    }
}

fn alarm(name: &str, slo: &str) -> Alarm {
    Alarm {
        id: ObjectId { cluster: backend(), kind: Kind::Alarm, namespace: Text::empty(), name: Text::new(name) },
        uid: Text::new(name),
        account_wide: false,
        source: AlarmSource::Alertmanager,
        state: AlarmState::Firing,
        severity: Severity::Critical,
        since: Some(now() - TimeDelta::hours(30)),
        summary: Text::new("errors"),
        reason: Text::empty(),
        value: None,
        threshold: None,
        labels: [(Text::new("slo"), Text::new(slo))].into_iter().collect::<Labels>(),
        about: None,
        suppressed_by: Text::empty(),
        runbook: Text::empty(),
        more: AlarmMore::default(),
    }
}

/// An alarm that fires about this.
#[allow(dead_code, reason = "benches and frames use it")]
pub fn alarm_about(name: &str, about: Option<ObjectId>) -> Alarm {
    Alarm { about, labels: Labels::default(), ..alarm(name, "") }
}

/// The small fleet with a Prometheus: every vector's budget, one without data, services.
pub fn fleet_with_budgets() -> Store {
    let mut store = small_fleet().and_backends([backend()]);
    store.apply(Observation {
        source: SourceId { cluster: backend(), feed: Feed::Budgets },
        at: now(),
        body: Body::Backend(Backend {
            id: backend(),
            kind: BackendKind::Prometheus,
            version: Text::new("3.5.0"),
            endpoint: Text::new("prom.example:9090"),
            cluster: None,
            found: false,
        }),
    });
    let mut budgets: Vec<Budget> = VECTORS.iter().map(|v| lettered(v.0)).collect();
    budgets.push(budget("slo-none", "api", "0.99", 7, ""));
    let mut clean = budget("slo-clean", "api", "0.99", 7, "W 0/1000000, 5m 0/300, 1h 0/4000, 6h 0/20000");
    clean.note = Text::new("time-weighted");
    budgets.push(clean);
    observe_backend(&mut store, Feed::Budgets, Rows::Budgets(budgets));
    observe_backend(&mut store, Feed::Alarms, Rows::Alarms(vec![alarm("CheckoutErrors", "slo-b")]));
    let mut revision = workload("web-7f9c", 2, 2);
    revision.id = id(Kind::ReplicaSet, "shop", "web-7f9c");
    revision.owner_kind = Kind::Deployment;
    revision.owner = Text::new("web");
    revision.created = Some(now() - TimeDelta::days(6));
    observe(&mut store, Feed::ReplicaSets, Rows::Workloads(vec![revision]));
    let busy: Vec<Signals> = (0_u32..30)
        .map(|i| {
            if (22..26).contains(&i) { Signals::default() } else { signals(f64::from(i) + 40.0, 0.0, [0.04, 0.1, 0.3]) }
        })
        .collect();
    let mut web = service("web", signals(71.5, 0.012, [0.041, 0.12, 1.24]), busy);
    web.workloads = Arc::from([id(Kind::Deployment, "shop", "web")]);
    let mut api = service("api", Signals { requests: Some(0.0), ..Signals::default() }, vec![]);
    api.now.covers = Covers::All;
    let mut late = service("search", signals(3.0, 0.0, [0.01, 0.02, 0.03]), vec![]);
    late.at = Some(now() - TimeDelta::minutes(12));
    late.now.covers = Covers::All;
    let silent = service("mail", Signals::default(), vec![]);
    observe_backend(&mut store, Feed::Signals, Rows::Services(vec![web, api, late, silent]));
    store
}
