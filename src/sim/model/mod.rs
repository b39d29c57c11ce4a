//! The fleet's model: nodes, controllers, a scheduler and kubelets in miniature,
//! driven by the time it is given and by a scenario. Pure: the same scenario and
//! the same times give the same objects, byte for byte.
//!
//! ```text
//! scenario ──> genesis ──> World <── timeline
//!                            │  due queue: (time, what)
//!    deployment sets jobs policy nodes scheduler kubelet
//!                            │
//!                     changes, logs, usage
//! ```
//!
//! Nothing scans the fleet as time passes: whatever is to happen is in the due
//! queue, and a controller looks only when something of its own has changed.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a model's counts, milliseconds and shares are far from the limits of their types"
)]

mod build;
mod cron;
mod deployment;
mod events;
mod genesis;
mod jobs;
mod kubelet;
mod logs;
mod logtext;
mod meta;
mod node;
mod nodes;
mod observe;
mod pod;
mod policy;
mod profile;
mod rng;
mod scenario;
mod scheduler;
mod sets;
mod spot;
mod spot_marks;
mod template;
mod timeline;
mod usage;
mod world;
mod write;

#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::Value;

pub(crate) use rng::{Rng, hash, hash2, letters, unit, uuid};
pub use scenario::{Parameters, Scenario, ScenarioError, Span};
use world::{Due, World};

use crate::domain::Timestamp;
use crate::sim::backend::{Change, Fleet, LogLine, LogQuery, ObjectKind, Refusal, UsageSample};
use crate::sim::cloud::Cloud;
use crate::sim::telemetry::Telemetry;

/// At most this much time is lived through at once, in milliseconds. What a
/// machine slept away beyond it is skipped, not simulated.
const CATCH_UP: i64 = 15 * 60_000;
/// Churn does not catch up further than this.
const CHURN_CATCH_UP: i64 = 2_000;

/// A fleet in memory.
pub struct Model {
    scenario: Scenario,
    world: World,
    begun: bool,
    churn_owed: f64,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("scenario", &self.scenario.name)
            .field("nodes", &self.world.nodes.len())
            .field("pods", &self.world.pods.len())
            .finish_non_exhaustive()
    }
}

impl Model {
    /// A fleet that begins to exist with [`Fleet::initial`].
    #[must_use]
    pub fn new(mut scenario: Scenario) -> Self {
        scenario.expand();
        let f = &scenario.file;
        let mut world = World::new(f.seed, f.eviction_after.0, &f.version);
        world.telemetry = Telemetry::new(scenario.traffic());
        if scenario.takes_back() {
            world.spot.switch_on(f);
        }
        Self { scenario, world, begun: false, churn_owed: 0.0 }
    }

    /// Like [`Fleet::initial`], one object at a time: a large fleet is never in
    /// memory as JSON all at once.
    pub fn initial_each(&mut self, now: Timestamp, sink: &mut dyn FnMut(Change)) {
        self.begin(now);
        self.world.everything(sink);
    }

    fn begin(&mut self, now: Timestamp) {
        if self.begun {
            return;
        }
        self.begun = true;
        let now = now.timestamp_millis();
        self.world.genesis(&self.scenario.file, now);
        for (i, s) in self.scenario.steps.iter().enumerate() {
            self.world.at(now + s.t, Due::Timeline(i, 0));
        }
        if self.scenario.changes_per_second > 0.0 {
            self.world.after(500, Due::Churn);
        }
        self.world.settle();
        self.world.add_monitoring();
        self.world.begin_telemetry();
        // All of it is about to be told; nothing is news.
        let mut old = Vec::new();
        self.world.flush(&mut old);
    }

    fn handle(&mut self, due: Due, until: i64) {
        let w = &mut self.world;
        match due {
            Due::Kubelet(id, step) => w.kubelet(id, step),
            Due::Schedule(id) => w.schedule(id),
            Due::Sync(at) => w.enqueue(&at),
            Due::Cron(at) => w.fire_cron(&at),
            Due::Autoscale(at) => w.autoscale(&at),
            Due::Heartbeat(n) => w.heartbeat(&n),
            Due::Lease(n) => w.renew_lease(&n),
            Due::Evict(n, since) => w.evict(&n, since),
            Due::ExpireEvent(id) => w.expire_event(id),
            Due::Timeline(i, times) => w.act(&self.scenario.steps, i, times),
            Due::Recover(i) => w.recover(&self.scenario.steps, i),
            Due::Churn => self.churn(until),
            Due::Taken(step, node, plan) => w.taken(step, &node, plan),
        }
    }

    fn churn(&mut self, until: i64) {
        let (every, changes) = World::churn_step(self.scenario.changes_per_second);
        let w = &mut self.world;
        if until - w.now > CHURN_CATCH_UP {
            w.at(until - CHURN_CATCH_UP, Due::Churn);
            return;
        }
        self.churn_owed += changes;
        while self.churn_owed >= 1.0 {
            self.churn_owed -= 1.0;
            w.churn();
        }
        w.after(every, Due::Churn);
    }

    fn run(&mut self, now: Timestamp, out: &mut Vec<Change>) {
        let until = now.timestamp_millis();
        let behind = until - self.world.now;
        if behind > CATCH_UP {
            self.world.skip(behind - CATCH_UP);
        }
        while let Some(due) = self.world.next_due(until) {
            self.handle(due, until);
            self.world.settle();
            self.world.flush(out);
            self.world.observe();
        }
        self.world.now = self.world.now.max(until);
        self.world.flush(out);
        self.world.telemetry.advance(self.world.now);
    }
}

impl Fleet for Model {
    fn initial(&mut self, now: Timestamp) -> Vec<Change> {
        let mut out = Vec::new();
        self.initial_each(now, &mut |c| out.push(c));
        out
    }

    fn initial_each(&mut self, now: Timestamp, sink: &mut dyn FnMut(Change)) {
        // The inherent method of the same name.
        Self::initial_each(self, now, sink);
    }

    fn advance(&mut self, now: Timestamp) -> Vec<Change> {
        if !self.begun {
            return self.initial(now);
        }
        let mut out = Vec::new();
        self.run(now, &mut out);
        out
    }

    fn write(&mut self, kind: ObjectKind, object: &Value, now: Timestamp) -> Result<Vec<Change>, Refusal> {
        let mut out = self.advance(now);
        let done = self.world.write(kind, object);
        self.world.settle();
        self.world.flush(&mut out);
        self.world.observe();
        // What passed until now is not lost with a refusal: the next advance tells it.
        match done {
            Ok(()) => Ok(out),
            Err(e) => {
                self.world.hold(out);
                Err(e)
            }
        }
    }

    fn delete(
        &mut self,
        kind: ObjectKind,
        namespace: &str,
        name: &str,
        now: Timestamp,
    ) -> Result<Vec<Change>, Refusal> {
        let mut out = self.advance(now);
        let done = self.world.delete(kind, namespace, name);
        self.world.settle();
        self.world.flush(&mut out);
        self.world.observe();
        match done {
            Ok(()) => Ok(out),
            Err(e) => {
                self.world.hold(out);
                Err(e)
            }
        }
    }

    fn logs(&self, query: &LogQuery, now: Timestamp) -> Result<Vec<LogLine>, Refusal> {
        self.world.logs(query, now.timestamp_millis())
    }

    fn cloud(&self) -> Option<Cloud> {
        Some(self.world.spot.cloud.clone())
    }

    fn telemetry(&self) -> Option<&Telemetry> {
        Some(&self.world.telemetry)
    }

    fn node_usage(&self, now: Timestamp) -> Vec<UsageSample> {
        self.world.node_usage(now.timestamp_millis())
    }

    fn pod_usage(&self, now: Timestamp) -> Vec<UsageSample> {
        self.world.pod_usage(now.timestamp_millis())
    }
}
