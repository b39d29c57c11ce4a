//! The lives of pods and nodes, as changes.

use std::sync::Arc;

use super::curve::Ms;
use crate::sim::model::{hash, letters};

/// Not over yet.
pub const OPEN: Ms = Ms::MAX;

/// A pod as it is now.
#[derive(Debug, Clone)]
pub struct PodNow {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// The workload it belongs to.
    pub workload: Arc<str>,
    /// Its main container.
    pub container: Arc<str>,
    /// Its address, without a port.
    pub ip: String,
    /// Its node, empty before it has one.
    pub node: Arc<str>,
    /// When it was created.
    pub created: Ms,
    /// Since when its main container runs.
    pub since: Option<Ms>,
    /// Restarts of the main container.
    pub restarts: u32,
    /// When the run before this one ended.
    pub ended: Option<Ms>,
    /// It gets requests.
    pub ready: bool,
    /// Its node does not answer.
    pub lost: bool,
    /// It behaves otherwise than it should.
    pub unwell: bool,
    /// Why its main container waits, if it does.
    pub waiting: Option<&'static str>,
}

/// One run of a pod's main container: its counters begin at zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// When its container started.
    pub since: Ms,
    /// Stretches in which it could be scraped.
    pub seen: Vec<(Ms, Ms)>,
    /// Stretches in which it got requests.
    pub serving: Vec<(Ms, Ms)>,
}

/// What is known of a pod.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "as in PodNow")]
pub struct PodRecord {
    pub namespace: Arc<str>,
    pub name: Arc<str>,
    pub workload: Arc<str>,
    pub container: Arc<str>,
    pub node: Arc<str>,
    pub ip: String,
    /// Its place among the services with traffic.
    pub service: Option<usize>,
    pub unwell: bool,
    pub lost: bool,
    pub created: Ms,
    pub gone: Option<Ms>,
    pub runs: Vec<Run>,
    /// Restarts since when.
    pub restarts: Vec<(Ms, u32)>,
    /// Why the main container waited, from when to when.
    pub waiting: Vec<(&'static str, Ms, Ms)>,
}

fn close(spans: &mut [(Ms, Ms)], now: Ms) {
    if let Some(last) = spans.last_mut().filter(|s| s.1 == OPEN) {
        last.1 = now;
    }
}

fn toggle(spans: &mut Vec<(Ms, Ms)>, on: bool, now: Ms) -> bool {
    let open = spans.last().is_some_and(|s| s.1 == OPEN);
    if open == on {
        return false;
    }
    if on {
        spans.push((now, OPEN));
    } else {
        close(spans, now);
    }
    true
}

impl PodRecord {
    /// A pod that has come just now.
    pub(super) fn new(pod: &PodNow, service: Option<usize>, now: Ms) -> Self {
        Self {
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
            workload: pod.workload.clone(),
            container: pod.container.clone(),
            node: pod.node.clone(),
            ip: pod.ip.clone(),
            service,
            unwell: pod.unwell,
            lost: false,
            created: now,
            gone: None,
            runs: Vec::new(),
            restarts: vec![(now, 0)],
            waiting: Vec::new(),
        }
    }

    /// A pod that was there at the start, with its past.
    pub(super) fn begin(pod: &PodNow, service: Option<usize>, origin: Ms, now: Ms) -> Self {
        let created = pod.created.clamp(origin, now);
        let mut p = Self { created, restarts: Vec::new(), ..Self::new(pod, service, created) };
        p.restarts.push((created, if pod.ended.is_some() { pod.restarts.saturating_sub(1) } else { pod.restarts }));
        if let Some(ended) = pod.ended.filter(|e| *e > created) {
            p.restarts.push((ended, pod.restarts));
            p.runs.push(Run { since: created, seen: vec![(created, ended)], serving: vec![(created, ended)] });
        }
        if let Some(since) = pod.since.map(|s| s.clamp(created, now)) {
            let since = p.runs.last().and_then(|r| r.seen.last()).map_or(since, |s| since.max(s.1));
            let serving = if pod.ready { vec![(since, OPEN)] } else { Vec::new() };
            p.runs.push(Run { since, seen: vec![(since, OPEN)], serving });
        }
        if let Some(reason) = pod.waiting {
            p.waiting.push((reason, now, OPEN));
        }
        p
    }

    /// The pod in whose place this one came, if history goes back so far.
    pub(super) fn before(&self, origin: Ms) -> Option<Self> {
        let created = self.created;
        let h = hash(&self.name);
        (created > origin).then(|| Self {
            name: format!("{}-{}-{}", self.workload, letters(hash(&self.workload), 9), letters(h, 5)).into(),
            ip: format!("10.{}.{}.{}", 64 + h % 64, (h >> 8) & 255, (h >> 16) & 255),
            created: origin,
            gone: Some(created),
            unwell: false,
            runs: vec![Run { since: origin, seen: vec![(origin, created)], serving: vec![(origin, created)] }],
            restarts: vec![(origin, 0)],
            waiting: Vec::new(),
            ..self.clone()
        })
    }

    /// It gets requests now.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.runs.last().and_then(|r| r.serving.last()).is_some_and(|s| s.1 == OPEN)
    }

    /// Takes its present state over; whether anything is new.
    pub(super) fn update(&mut self, pod: &PodNow, now: Ms) -> bool {
        let mut news =
            self.unwell != pod.unwell || self.lost != pod.lost || *self.node != *pod.node || self.ip != pod.ip;
        self.unwell = pod.unwell;
        self.lost = pod.lost;
        self.node = pod.node.clone();
        self.ip.clone_from(&pod.ip);
        let (known, seen) = (self.runs.last().map(|r| r.since), pod.since.is_some() && !pod.lost);
        if let Some(since) = pod.since.filter(|s| known.is_none_or(|k| *s > k)) {
            self.close(now);
            self.runs.push(Run { since, seen: Vec::new(), serving: Vec::new() });
            news = true;
        }
        if self.restarts.last().is_none_or(|r| r.1 != pod.restarts) {
            self.restarts.push((now, pod.restarts));
            news = true;
        }
        if let Some(run) = self.runs.last_mut() {
            news |= toggle(&mut run.seen, seen, now);
            news |= toggle(&mut run.serving, seen && pod.ready, now);
        }
        let waits = self.waiting.last().filter(|w| w.2 == OPEN).map(|w| w.0);
        if waits != pod.waiting {
            if let Some(last) = self.waiting.last_mut().filter(|w| w.2 == OPEN) {
                last.2 = now;
            }
            self.waiting.extend(pod.waiting.map(|reason| (reason, now, OPEN)));
            news = true;
        }
        news
    }

    fn close(&mut self, now: Ms) {
        if let Some(run) = self.runs.last_mut() {
            close(&mut run.seen, now);
            close(&mut run.serving, now);
        }
    }

    /// It is gone.
    pub(super) fn end(&mut self, now: Ms) {
        self.close(now);
        if let Some(last) = self.waiting.last_mut().filter(|w| w.2 == OPEN) {
            last.2 = now;
        }
        self.gone = Some(now);
    }
}

/// What is known of a node: since when it was ready or not, `None` when nothing was heard of it.
#[derive(Debug, Clone, Default)]
pub struct NodeRecord {
    /// Changes, oldest first.
    pub changes: Vec<(Ms, Option<bool>)>,
}
