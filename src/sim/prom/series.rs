//! Which series there are, and what samples they have: computed from what
//! [`Telemetry`] recorded, on the grid of a scrape every 15 seconds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::promql::{LOOKBACK, Labels, Matcher, Ms, Sample, Series, Timeline, Window};
use crate::sim::model::hash;
use crate::sim::telemetry::{BOUNDS, COUNT, NodeRecord, PodRecord, SUM, Telemetry};

/// Between two scrapes.
pub const SCRAPE: Ms = 15_000;
/// Status codes: of success or of failure, and their shares.
const CODES: [(&str, bool, f64); 4] =
    [("200", false, 0.992), ("404", false, 0.008), ("500", true, 0.8), ("503", true, 0.2)];

/// When scrapes happen, and until when they have.
#[derive(Debug, Clone)]
struct Grid {
    now: Arc<AtomicI64>,
    phase: Ms,
}

impl Grid {
    fn of(now: &Arc<AtomicI64>, instance: &str) -> Self {
        let phase = i64::from(u16::try_from(hash(instance) % 15_000).unwrap_or(0));
        Self { now: Arc::clone(now), phase }
    }

    /// The last scrape at or before a time.
    fn last(&self, at: Ms) -> Ms {
        let at = at.min(self.now.load(Ordering::Relaxed));
        (at - self.phase).div_euclid(SCRAPE) * SCRAPE + self.phase
    }

    /// The first and last scrape of a stretch `[from, to)` within `(after, upto]`.
    fn within(&self, (from, to): (Ms, Ms), after: Ms, upto: Ms) -> Option<(Ms, Ms)> {
        let last = self.last(upto.min(to.saturating_sub(1)));
        let first = self.last(from.max(after + 1) - 1) + SCRAPE;
        (first <= last).then_some((first, last))
    }
}

fn steps((first, last): (Ms, Ms)) -> u64 {
    u64::try_from((last - first) / SCRAPE + 1).unwrap_or(0)
}

/// A counter of one pod.
struct Counter {
    grid: Grid,
    telemetry: Arc<Telemetry>,
    pod: Arc<PodRecord>,
    service: usize,
    failed: bool,
    place: usize,
    weight: f64,
}

impl Counter {
    /// What run `index` had counted by then.
    fn value(&self, index: usize, at: Ms) -> f64 {
        let (Some(run), Some(t)) = (self.pod.runs.get(index), self.telemetry.traffic.get(self.service)) else {
            return 0.0;
        };
        let by = |at: Ms| t.counted(self.pod.unwell, self.failed, self.place, at);
        let serving = run.serving.iter().filter(|(from, _)| *from < at);
        let sum = self.weight * serving.map(|(from, to)| by(at.min(*to)) - by(*from)).sum::<f64>();
        if self.place == SUM { sum } else { sum.floor() }
    }
}

impl Timeline for Counter {
    fn at(&self, at: Ms) -> Option<f64> {
        let t = self.grid.last(at);
        let covers = |r: &&crate::sim::telemetry::Run| r.seen.iter().any(|(from, to)| *from <= t && t < *to);
        let index = self.pod.runs.iter().rposition(|r| covers(&r))?;
        (t > at - LOOKBACK).then(|| self.value(index, t))
    }

    fn samples(&self, after: Ms, upto: Ms) -> Vec<(Ms, f64)> {
        let mut out = Vec::new();
        for (index, run) in self.pod.runs.iter().enumerate() {
            for (first, last) in run.seen.iter().filter_map(|s| self.grid.within(*s, after, upto)) {
                let mut t = first;
                while t <= last {
                    out.push((t, self.value(index, t)));
                    t += SCRAPE;
                }
            }
        }
        out
    }

    fn most(&self, after: Ms, upto: Ms) -> u64 {
        u64::try_from((upto - after) / SCRAPE + 1).unwrap_or(0)
    }

    fn window(&self, after: Ms, upto: Ms) -> Option<Window> {
        let mut out: Option<Window> = None;
        for (index, run) in self.pod.runs.iter().enumerate() {
            for (first, last) in run.seen.iter().filter_map(|s| self.grid.within(*s, after, upto)) {
                let (start, end) = ((first, self.value(index, first)), (last, self.value(index, last)));
                let count = steps((first, last));
                out = Some(match out {
                    None => Window { first: start, last: end, count, lost: 0.0 },
                    Some(w) => Window {
                        last: end,
                        count: w.count + count,
                        lost: w.lost + if start.1 < w.last.1 { w.last.1 } else { 0.0 },
                        ..w
                    },
                });
            }
        }
        out
    }
}

/// What changes from time to time.
struct Gauge {
    grid: Grid,
    /// From, to, value: in order, without overlap.
    spans: Vec<(Ms, Ms, f64)>,
}

impl Timeline for Gauge {
    fn at(&self, at: Ms) -> Option<f64> {
        let t = self.grid.last(at);
        let span = self.spans.iter().rev().find(|(from, to, _)| *from <= t && t < *to)?;
        (t > at - LOOKBACK).then_some(span.2)
    }

    fn samples(&self, after: Ms, upto: Ms) -> Vec<(Ms, f64)> {
        let mut out = Vec::new();
        for (from, to, value) in &self.spans {
            let Some((first, last)) = self.grid.within((*from, *to), after, upto) else { continue };
            let mut t = first;
            while t <= last {
                out.push((t, *value));
                t += SCRAPE;
            }
        }
        out
    }

    fn most(&self, after: Ms, upto: Ms) -> u64 {
        u64::try_from((upto - after) / SCRAPE + 1).unwrap_or(0)
    }

    fn window(&self, after: Ms, upto: Ms) -> Option<Window> {
        let mut out: Option<Window> = None;
        for (from, to, value) in &self.spans {
            let Some((first, last)) = self.grid.within((*from, *to), after, upto) else { continue };
            let count = steps((first, last));
            out = Some(match out {
                None => Window { first: (first, *value), last: (last, *value), count, lost: 0.0 },
                Some(w) => Window {
                    last: (last, *value),
                    count: w.count + count,
                    lost: w.lost + if *value < w.last.1 { w.last.1 } else { 0.0 },
                    ..w
                },
            });
        }
        out
    }
}

/// Every series, by name.
#[derive(Debug, Default)]
pub struct Catalog {
    now: Arc<AtomicI64>,
    by_name: BTreeMap<String, Vec<Arc<Series>>>,
}

impl Catalog {
    /// Of what was recorded.
    #[must_use]
    pub fn new(telemetry: &Arc<Telemetry>) -> Self {
        let mut c = Self { now: Arc::new(AtomicI64::new(telemetry.now)), ..Self::default() };
        for pod in telemetry.pods.values() {
            c.states(pod);
            if let Some(service) = pod.service {
                c.traffic(telemetry, pod, service);
            }
        }
        c.certificates(telemetry);
        for (name, node) in &telemetry.nodes {
            c.node(name, node);
        }
        c
    }

    /// Time passes.
    pub fn advance(&self, now: Ms) {
        self.now.store(now, Ordering::Relaxed);
    }

    /// Metric names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// The series that pass.
    #[must_use]
    pub fn find(&self, matchers: &[Matcher]) -> Arc<Vec<Arc<Series>>> {
        let names = matchers.iter().filter(|m| m.name == "__name__").collect::<Vec<_>>();
        let some = self.by_name.iter().filter(|(name, _)| names.iter().all(|m| m.accepts(name)));
        let all = some.flat_map(|(_, series)| series);
        Arc::new(all.filter(|s| matchers.iter().all(|m| m.matches(&s.labels))).cloned().collect())
    }

    fn add(&mut self, name: &str, labels: &[(&str, &str)], timeline: Box<dyn Timeline>) {
        let all = labels.iter().copied().chain(std::iter::once(("__name__", name)));
        self.by_name.entry(name.to_owned()).or_default().push(Arc::new(Series::new(Labels::new(all), timeline)));
    }

    fn traffic(&mut self, telemetry: &Arc<Telemetry>, pod: &Arc<PodRecord>, service: usize) {
        let Some(t) = telemetry.traffic.get(service) else { return };
        let instance = format!("{}:8080", pod.ip);
        let grid = Grid::of(&self.now, &instance);
        let target = [
            ("namespace", &*pod.namespace),
            ("service", t.spec.service.as_str()),
            ("job", t.spec.service.as_str()),
            ("pod", &*pod.name),
            ("container", &*pod.container),
            ("instance", instance.as_str()),
        ];
        let counter = |failed, place, weight| -> Box<dyn Timeline> {
            let (telemetry, pod) = (Arc::clone(telemetry), Arc::clone(pod));
            Box::new(Counter { grid: grid.clone(), telemetry, pod, service, failed, place, weight })
        };
        for (code, failed, weight) in CODES {
            let with = |more: &[(&'static str, &'static str)]| {
                target.iter().copied().chain([("code", code)]).chain(more.iter().copied()).collect::<Vec<_>>()
            };
            self.add("http_requests_total", &with(&[]), counter(failed, COUNT, weight));
            let histogram = "http_request_duration_seconds";
            self.add(&format!("{histogram}_count"), &with(&[]), counter(failed, COUNT, weight));
            self.add(&format!("{histogram}_sum"), &with(&[]), counter(failed, SUM, weight));
            for (place, bound) in BOUNDS.iter().enumerate() {
                let mut labels = with(&[]);
                let le = if bound.is_finite() { format!("{bound:?}") } else { "+Inf".to_owned() };
                labels.push(("le", &le));
                self.add(&format!("{histogram}_bucket"), &labels, counter(failed, place, weight));
            }
        }
        // Up as long as it is seen, down in between.
        let mut spans: Vec<(Ms, Ms, f64)> = Vec::new();
        for (from, to) in pod.runs.iter().flat_map(|r| &r.seen) {
            if let Some(last) = spans.last().filter(|l| l.1 < *from).copied() {
                spans.push((last.1, *from, 0.0));
            }
            spans.push((*from, *to, 1.0));
        }
        if let Some(last) = spans.last().copied() {
            let end = pod.gone.unwrap_or(Ms::MAX);
            if last.1 < end {
                spans.push((last.1, end, 0.0));
            }
        }
        self.add("up", &target, Box::new(Gauge { grid, spans }));
    }

    /// What a prober sees of the certificates that services show: the oldest pod's, until the last of them is new.
    #[expect(clippy::cast_precision_loss, reason = "a time in seconds")]
    fn certificates(&mut self, telemetry: &Arc<Telemetry>) {
        for (index, t) in telemetry.traffic.iter().enumerate() {
            let Some(host) = &t.spec.host else { continue };
            let serving = telemetry.pods.values().filter(|p| p.service == Some(index) && p.is_serving());
            let oldest = serving.map(|p| p.created).min().unwrap_or(Ms::MAX);
            let ends = t.certificate_ends(oldest, telemetry.start);
            let url = format!("https://{host}");
            let labels = [
                ("namespace", t.spec.namespace.as_str()),
                ("service", t.spec.service.as_str()),
                ("job", "blackbox"),
                ("instance", url.as_str()),
                ("host", host.as_str()),
            ];
            let grid = Grid::of(&self.now, "blackbox");
            let spans = vec![(telemetry.start, Ms::MAX, ends as f64 / 1000.0)];
            self.add("probe_ssl_earliest_cert_expiry", &labels, Box::new(Gauge { grid, spans }));
        }
    }

    /// What kube-state-metrics says of a pod.
    fn states(&mut self, pod: &Arc<PodRecord>) {
        let grid = Grid::of(&self.now, "kube-state-metrics");
        let target = [
            ("namespace", &*pod.namespace),
            ("pod", &*pod.name),
            ("container", &*pod.container),
            ("job", "kube-state-metrics"),
        ];
        let end = pod.gone.unwrap_or(Ms::MAX);
        let ends = pod.restarts.iter().skip(1).map(|r| r.0).chain(std::iter::once(end));
        let spans = pod.restarts.iter().zip(ends).map(|((at, n), to)| (*at, to, f64::from(*n))).collect();
        let name = "kube_pod_container_status_restarts_total";
        self.add(name, &target, Box::new(Gauge { grid: grid.clone(), spans }));
        let mut reasons: Vec<&str> = pod.waiting.iter().map(|w| w.0).collect();
        reasons.sort_unstable();
        reasons.dedup();
        for reason in reasons {
            let spans = pod.waiting.iter().filter(|w| w.0 == reason).map(|w| (w.1, w.2, 1.0)).collect();
            let labels: Vec<_> = target.iter().copied().chain([("reason", reason)]).collect();
            self.add(
                "kube_pod_container_status_waiting_reason",
                &labels,
                Box::new(Gauge { grid: grid.clone(), spans }),
            );
        }
    }

    fn node(&mut self, name: &str, node: &NodeRecord) {
        let grid = Grid::of(&self.now, "kube-state-metrics");
        for (status, wanted) in [("true", Some(true)), ("false", Some(false)), ("unknown", None)] {
            let ends = node.changes.iter().skip(1).map(|c| c.0).chain(std::iter::once(Ms::MAX));
            let value = |is: Option<bool>| f64::from(u8::from(is == wanted));
            let spans = node.changes.iter().zip(ends).map(|((at, is), to)| (*at, to, value(*is))).collect();
            let labels = [("node", name), ("condition", "Ready"), ("status", status), ("job", "kube-state-metrics")];
            self.add("kube_node_status_condition", &labels, Box::new(Gauge { grid: grid.clone(), spans }));
        }
    }
}

/// Whether a vector has a sample of these labels, names aside.
pub fn has(v: &[Sample], labels: &Labels) -> Option<f64> {
    v.iter().find(|s| s.labels.nameless() == *labels).map(|s| s.value)
}
