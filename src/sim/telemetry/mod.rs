//! What monitoring has seen of the fleet: traffic, its errors and latencies, and
//! the states of pods and nodes. Recorded as changes, so that nothing is done
//! while nothing changes; everything between is computed when somebody asks.

mod curve;
mod record;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use curve::{BOUNDS, COUNT, Curve, Ms, SUM, WIDTH, latencies};
pub use record::{NodeRecord, PodNow, PodRecord, Run};

/// History goes back so far before the start.
pub const HISTORY: Ms = 31 * 86_400_000;
/// What is lost in one blow takes requests with it for so long, until nobody sends it any more.
const NOTICED: Ms = 15_000;
/// A pod that would not be well fails so many of its requests.
const UNWELL: f64 = 0.35;
/// Records of pods without traffic are kept so long after their end.
const KEPT: Ms = 3_600_000;

/// Slower by this factor, a service's callers give up.
const SLOW: f64 = 3.0;
/// A new certificate is good for so long.
const RENEWED: Ms = 90 * 86_400_000;

/// What a pod complains of in its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Clients turn away: its certificate has expired.
    Certificate,
    /// It waits for this, in vain.
    Waits(String),
}

/// A time of the past when a service did other than usual.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Episode {
    /// Before the start, in milliseconds.
    pub ago: Ms,
    /// For how long; up to the start without it.
    pub lasting: Option<Ms>,
    /// Share of failed requests.
    pub errors: Option<f64>,
    /// Latency as a multiple of the usual.
    pub slower: f64,
}

/// What a service's traffic is like.
#[derive(Debug, Clone, PartialEq)]
pub struct TrafficSpec {
    /// The namespace of its pods.
    pub namespace: String,
    /// The workload that answers.
    pub workload: String,
    /// Its name in the metrics.
    pub service: String,
    /// Requests a second, the day's mean.
    pub rate: f64,
    /// Share of failed requests in quiet times.
    pub errors: f64,
    /// Median latency in seconds.
    pub latency: f64,
    /// Spread of the logarithm of latencies.
    pub spread: f64,
    /// Users come in here.
    pub entry: bool,
    /// Share of requests that should be answered without error.
    pub objective: Option<f64>,
    /// An alert fires when the 99th percentile is above so many seconds.
    pub slow: Option<f64>,
    /// What it waits for when it is slow.
    pub waits_for: Option<String>,
    /// It serves TLS under this name.
    pub host: Option<String>,
    /// Its past.
    pub history: Vec<Episode>,
}

/// A stretch of time in which nothing about a service changed.
#[derive(Debug, Clone)]
struct Segment {
    from: Ms,
    /// Requests of a pod, as a multiple of the curve.
    per_pod: f64,
    /// Share of failures, of pods that are well and of those that are not.
    errors: [f64; 2],
    /// Latencies of successes and failures.
    shares: [[f64; WIDTH]; 2],
    /// What a pod would have served up to `from`: by its health, then by outcome.
    sums: [[[f64; WIDTH]; 2]; 2],
}

/// One service.
#[derive(Debug, Clone)]
pub struct Traffic {
    /// What it is like.
    pub spec: TrafficSpec,
    curve: Curve,
    segments: Vec<Segment>,
    /// Load as a multiple of the usual.
    factor: f64,
    /// An error ratio that somebody ordered.
    ordered: Option<f64>,
    slower: f64,
    /// Since when it was told to be slower, and by what factor.
    slowed: Vec<(Ms, f64)>,
    /// When the certificate expired that its pods held.
    pub expired: Option<Ms>,
    /// Until when requests are sent to what is gone, and what share.
    blow: Option<(Ms, f64)>,
    /// Pods that serve, well and unwell.
    serving: (usize, usize),
    /// Pods that served at the start.
    usual: usize,
}

impl Traffic {
    fn new(spec: TrafficSpec) -> Self {
        let curve = Curve::of(&spec.service);
        Self {
            spec,
            curve,
            segments: Vec::new(),
            factor: 1.0,
            ordered: None,
            slower: 1.0,
            slowed: Vec::new(),
            expired: None,
            blow: None,
            serving: (0, 0),
            usual: 0,
        }
    }

    /// Requests a second at a time, of all pods together, as things are now.
    #[must_use]
    pub fn rate_at(&self, at: Ms) -> f64 {
        self.spec.rate * self.factor * self.curve.height(at)
    }

    #[expect(clippy::cast_precision_loss, reason = "a service's pods")]
    fn segment(&self, from: Ms, errors: f64, slower: f64) -> Segment {
        let n = self.serving.0 + self.serving.1;
        // Fewer pods than usual are slower, and fail when each has far more than its share.
        let strain = if n == 0 { 1.0 } else { self.factor * self.usual.max(1) as f64 / n as f64 };
        let overload = ((strain - 2.5) * 0.3).clamp(0.0, 0.9);
        let lost = self.blow.filter(|(until, _)| from < *until).map_or(0.0, |(_, share)| share);
        let well = 1.0 - (1.0 - errors) * (1.0 - overload) * (1.0 - lost);
        let median = self.spec.latency * slower * strain.clamp(1.0, 3.0).powf(1.5);
        let mut next = Segment {
            from,
            per_pod: if n == 0 { 0.0 } else { self.spec.rate * self.factor / n as f64 },
            errors: [well, 1.0 - (1.0 - well) * (1.0 - UNWELL)],
            // Failures are quick: they must not flatter the whole.
            shares: [latencies(median, self.spec.spread), latencies(median * 0.3, self.spec.spread)],
            sums: [[[0.0; WIDTH]; 2]; 2],
        };
        if let Some(last) = self.segments.last() {
            for health in 0..2 {
                for outcome in 0..2 {
                    for place in 0..WIDTH {
                        next.sums[health][outcome][place] = self.amount(last, (health, outcome, place), from);
                    }
                }
            }
        }
        next
    }

    fn amount(&self, s: &Segment, (health, outcome, place): (usize, usize, usize), at: Ms) -> f64 {
        let failed = s.errors[health];
        let share = if outcome == 0 { 1.0 - failed } else { failed };
        s.sums[health][outcome][place] + s.per_pod * share * s.shares[outcome][place] * self.curve.between(s.from, at)
    }

    /// What a pod that had served since the beginning of history would have counted by then.
    /// `unwell` and `failed` choose which, `place` is a bucket, [`COUNT`] or [`SUM`].
    #[must_use]
    pub fn counted(&self, unwell: bool, failed: bool, place: usize, at: Ms) -> f64 {
        let after = self.segments.partition_point(|s| s.from <= at);
        let Some(s) = after.checked_sub(1).and_then(|i| self.segments.get(i)) else { return 0.0 };
        self.amount(s, (usize::from(unwell), usize::from(failed), place), at)
    }

    fn past(&mut self, start: Ms) {
        let mut bounds: Vec<Ms> = vec![start - HISTORY, start];
        for e in &self.spec.history {
            bounds.push(start - e.ago);
            bounds.extend(e.lasting.map(|l| start - e.ago + l));
        }
        bounds.retain(|b| *b >= start - HISTORY && *b <= start);
        bounds.sort_unstable();
        bounds.dedup();
        for at in bounds {
            let now = |e: &&Episode| at >= start - e.ago && at < e.lasting.map_or(start, |l| start - e.ago + l);
            let episodes: Vec<&Episode> = self.spec.history.iter().filter(now).collect();
            let errors = episodes.iter().rev().find_map(|e| e.errors).unwrap_or(self.spec.errors);
            let slower = episodes.iter().map(|e| e.slower).product();
            let segment = self.segment(at, errors, slower);
            self.segments.push(segment);
        }
        // What went on until the start goes on, unless something else is ordered.
        let last = self.spec.history.iter().rev().filter(|e| e.lasting.is_none());
        if let Some(errors) = last.clone().find_map(|e| e.errors) {
            self.spec.errors = errors;
        }
        self.slower = last.map(|e| e.slower).product();
        self.turn(start);
    }

    /// When the certificate ends that it serves, if `oldest` is when the oldest of its pods that serve was made.
    #[must_use]
    pub fn certificate_ends(&self, oldest: Ms, start: Ms) -> Ms {
        match self.expired {
            None => start + RENEWED / 3,
            Some(at) if oldest < at => at,
            Some(at) => at + RENEWED,
        }
    }

    /// Something changed: a new stretch of time begins.
    fn turn(&mut self, now: Ms) {
        if self.segments.is_empty() {
            return;
        }
        let segment = self.segment(now, self.ordered.unwrap_or(self.spec.errors), self.slower);
        match self.segments.last_mut() {
            Some(last) if last.from >= now => *last = Segment { from: last.from, sums: last.sums, ..segment },
            _ => self.segments.push(segment),
        }
    }
}

/// Everything recorded.
#[derive(Debug, Clone, Default)]
pub struct Telemetry {
    /// When the fleet began.
    pub start: Ms,
    /// Until when it is known.
    pub now: Ms,
    /// Grows when something other than time changes.
    pub version: u64,
    /// The services, in the scenario's order.
    pub traffic: Vec<Traffic>,
    /// Pods by number; those of the past are negative.
    pub pods: BTreeMap<i64, Arc<PodRecord>>,
    /// Nodes by name.
    pub nodes: BTreeMap<Arc<str>, NodeRecord>,
    begun: bool,
}

impl Telemetry {
    /// For these services; without any, nothing is recorded.
    #[must_use]
    pub fn new(traffic: Vec<TrafficSpec>) -> Self {
        Self { traffic: traffic.into_iter().map(Traffic::new).collect(), ..Self::default() }
    }

    /// Whether anything is recorded.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.traffic.is_empty()
    }

    fn service_of(&self, namespace: &str, workload: &str) -> Option<usize> {
        self.traffic.iter().position(|t| t.spec.namespace == namespace && t.spec.workload == workload)
    }

    /// The fleet begins, with pods that have run for some time.
    pub fn begin(&mut self, now: Ms, pods: impl Iterator<Item = (i64, PodNow)>) {
        (self.start, self.now, self.begun) = (now, now, true);
        for (id, pod) in pods {
            let service = self.service_of(&pod.namespace, &pod.workload);
            let record = PodRecord::begin(&pod, service, now - HISTORY, now);
            if let Some(t) = service.and_then(|s| self.traffic.get_mut(s)) {
                let side = if pod.unwell { &mut t.serving.1 } else { &mut t.serving.0 };
                *side += usize::from(pod.ready);
                if let Some(before) = record.before(now - HISTORY) {
                    self.pods.insert(-1 - id, Arc::new(before));
                }
            }
            self.pods.insert(id, Arc::new(record));
        }
        for t in &mut self.traffic {
            t.usual = t.serving.0 + t.serving.1;
            t.past(now);
        }
        self.version += 1;
    }

    /// How a node is since now.
    pub fn node(&mut self, name: &Arc<str>, ready: Option<bool>, now: Ms) {
        let (origin, begun) = (self.start - HISTORY, self.begun);
        let record = self.nodes.entry(name.clone()).or_default();
        if record.changes.last().is_none_or(|(_, r)| *r != ready) {
            record.changes.push((if begun { now } else { origin.min(now) }, ready));
            self.version += 1;
        }
    }

    /// How a pod is since now; `None` when it is gone.
    pub fn pod(&mut self, id: i64, pod: Option<&PodNow>, now: Ms) {
        let Some(pod) = pod else {
            if let Some(record) = self.pods.get_mut(&id).map(Arc::make_mut) {
                record.end(now);
                let service = record.service;
                self.version += 1;
                self.serve(service, now, 0);
            }
            self.pods.retain(|_, p| p.service.is_some() || p.gone.is_none_or(|g| now - g < KEPT));
            return;
        };
        let service = self.service_of(&pod.namespace, &pod.workload);
        let record = self.pods.entry(id).or_insert_with(|| Arc::new(PodRecord::new(pod, service, now)));
        let (was_ready, was_lost) = (record.is_serving(), record.lost);
        if !Arc::make_mut(record).update(pod, now) {
            return;
        }
        self.version += 1;
        let blow = usize::from(was_ready && pod.lost && !was_lost);
        self.serve(service, now, blow);
    }

    /// Counts again who serves; `blow` pods went without a word.
    #[expect(clippy::cast_precision_loss, reason = "a service's pods")]
    fn serve(&mut self, service: Option<usize>, now: Ms, blow: usize) {
        let Some(index) = service else { return };
        let (mut well, mut unwell) = (0, 0);
        for p in self.pods.values().filter(|p| p.service == service && p.is_serving()) {
            if p.unwell { unwell += 1 } else { well += 1 }
        }
        let Some(t) = self.traffic.get_mut(index) else { return };
        if t.serving == (well, unwell) && blow == 0 {
            return;
        }
        t.serving = (well, unwell);
        if blow > 0 {
            let before = t.blow.filter(|(until, _)| now < *until).map_or(0.0, |(_, share)| share);
            t.blow = Some((now + NOTICED, (before + blow as f64 / t.usual.max(1) as f64).min(0.9)));
        }
        t.turn(now);
    }

    /// Time passes.
    pub fn advance(&mut self, now: Ms) {
        self.now = self.now.max(now);
        for t in &mut self.traffic {
            if let Some((until, _)) = t.blow.filter(|(until, _)| now >= *until) {
                t.blow = None;
                t.turn(until);
                self.version += 1;
            }
        }
    }

    /// From now on so many requests of a workload fail; `None` ends it.
    pub fn order_errors(&mut self, namespace: &str, workload: &str, ratio: Option<f64>, now: Ms) {
        self.order(namespace, workload, now, |t| t.ordered = ratio);
    }

    /// From now on a workload is slower by a factor.
    pub fn order_latency(&mut self, namespace: &str, workload: &str, slower: f64, now: Ms) {
        self.order(namespace, workload, now, |t| {
            t.slower = slower;
            t.slowed.push((now, slower));
        });
    }

    /// The certificate that a workload's pods hold has expired; there is a new one.
    pub fn expire_certificate(&mut self, namespace: &str, workload: &str, now: Ms) {
        self.order(namespace, workload, now, |t| t.expired = Some(now));
    }

    /// What a pod of a workload, created at some time, complains of at another.
    #[must_use]
    pub fn trouble(&self, namespace: &str, workload: &str, created: Ms, at: Ms) -> Option<Trouble> {
        let t = self.traffic.get(self.service_of(namespace, workload)?)?;
        if t.expired.is_some_and(|e| created < e && e <= at) {
            return Some(Trouble::Certificate);
        }
        let factor = t.slowed.iter().rev().find(|(since, _)| *since <= at).map_or(1.0, |(_, f)| *f);
        t.spec.waits_for.clone().filter(|_| factor >= SLOW).map(Trouble::Waits)
    }

    /// From now on a workload, or with empty names every one, has another load.
    pub fn order_load(&mut self, namespace: &str, workload: &str, factor: f64, now: Ms) {
        self.order(namespace, workload, now, |t| t.factor = factor);
    }

    fn order(&mut self, namespace: &str, workload: &str, now: Ms, f: impl Fn(&mut Traffic)) {
        let all = workload.is_empty();
        for t in &mut self.traffic {
            if all || (t.spec.namespace == namespace && t.spec.workload == workload) {
                f(t);
                t.turn(now);
                self.version += 1;
            }
        }
    }
}
