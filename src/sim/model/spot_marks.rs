//! What Karpenter and aws-node-termination-handler leave on a node when it is taken
//! back, and how they empty it: taints, labels and events as these programs write them.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::json;

use super::meta::{Ms, Obj, civil, map_of, time};
use super::node::Taint;
use super::pod::{Phase, PodId};
use super::scenario::{Handler, Taking, What};
use super::spot::{Step, instance_type};
use super::world::{Due, World};
use crate::sim::cloud::stamp;

/// A blocked eviction is tried again after this.
const RETRY: Ms = 5_000;
const NTH: &str = "aws-node-termination-handler";
const KARPENTER: &str = "karpenter";
/// Keeps load balancers away.
const NO_BALANCER: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// A Go `time.Time` as text.
fn go_time(ms: Ms) -> String {
    let (y, mo, d, h, mi, s, _) = civil(ms);
    format!("{y:04}-{mo:02}-{d:02} {h:02}:{mi:02}:{s:02} +0000 UTC")
}

impl World {
    /// The handler has heard of the notice.
    pub fn handle_notice(&mut self, node: &Arc<str>, t: &Taking, plan: usize) {
        if self.nodes.get(node).is_none_or(|n| n.dead) {
            return;
        }
        match t.handler {
            Handler::Karpenter => self.karpenter(node, t, plan),
            Handler::Nth | Handler::NthQueue => self.termination_handler(node, t, plan),
            Handler::None => {}
        }
    }

    fn karpenter(&mut self, node: &Arc<str>, t: &Taking, plan: usize) {
        let now = self.now;
        let (kind, reason, message) = match t.what {
            What::Interrupt => ("Warning", "SpotInterrupted", "Spot interruption warning was triggered"),
            What::Rebalance => ("Normal", "SpotRebalanceRecommendation", "Spot rebalance recommendation was triggered"),
            What::Scheduled(_) => {
                ("Warning", "InstanceUnhealthy", "An unhealthy warning was triggered for the instance")
            }
        };
        self.node_event(node, kind, (KARPENTER, reason), message, Obj::new());
        if t.what == What::Rebalance {
            return;
        }
        let who = (KARPENTER, "TerminatingOnInterruption");
        self.node_event(node, "Warning", who, "Interruption triggered termination for the Node", Obj::new());
        if let Some(n) = self.nodes.get_mut(node) {
            let (key, effect) = ("karpenter.sh/disrupted".to_owned(), "NoSchedule".to_owned());
            n.taints.push(Taint { key, value: String::new(), effect, added: None });
            n.meta.labels.insert(NO_BALANCER.into(), KARPENTER.into());
            n.deletion = Some(now);
        }
        self.touch_object(&Self::node_ref(node));
        self.after(400, Due::Taken(Step::Drain, node.clone(), plan));
    }

    /// The handler's id for an event, as long as a taint's value may be.
    fn event_id(&self, node: &Arc<str>, t: &Taking) -> String {
        let queue = t.handler == Handler::NthQueue;
        let id = self.nodes.get(node).map(|n| n.instance_id.clone()).unwrap_or_default();
        let word = match t.what {
            What::Interrupt => "spot-itn",
            What::Rebalance => "rebalance-recommendation",
            What::Scheduled(_) => return self.spot.cloud.maintenance(&id),
        };
        let seed = super::rng::hash(&id);
        let mut out = if queue { format!("{word}-event-") } else { format!("{word}-") };
        // A digest, or the event's own id, in hex.
        for k in 0..4 {
            let _ = write!(out, "{:016x}", super::rng::hash2(seed, k));
        }
        out.truncate(63);
        out
    }

    /// What the handler says first, with the moment it means.
    fn notice_words(&self, node: &Arc<str>, t: &Taking, told: Ms) -> (&'static str, String) {
        let queue = t.handler == Handler::NthQueue;
        let id = self.nodes.get(node).map(|n| n.instance_id.clone()).unwrap_or_default();
        match t.what {
            // The metadata service says when it goes, the queue when the notice was sent.
            What::Interrupt if queue => (
                "SpotInterruption",
                format!("Spot Interruption notice for instance {id} was sent at {} \n", go_time(told)),
            ),
            What::Interrupt => {
                let at = time(told + t.notice);
                ("SpotInterruption", format!("Spot ITN received. Instance will be interrupted at {at} \n"))
            }
            What::Rebalance if queue => {
                let at = go_time(told);
                let m = format!("Rebalance recommendation event received. Instance {id} will be cordoned at {at} \n");
                ("RebalanceRecommendation", m)
            }
            What::Rebalance => {
                let m = format!("Rebalance recommendation received. Instance will be cordoned at {} \n", time(told));
                ("RebalanceRecommendation", m)
            }
            What::Scheduled(code) => {
                let m = format!(
                    "{} will occur between {} and {} because The instance is scheduled for {}\n",
                    code.word(),
                    go_time(told + t.notice),
                    go_time(told + t.notice + 7_200_000),
                    code.word().replace('-', " ")
                );
                ("ScheduledEvent", m)
            }
        }
    }

    fn nth_annotations(&self, node: &Arc<str>) -> Obj {
        let Some(n) = self.nodes.get(node) else { return Obj::new() };
        map_of(&json!({
            "account-id": self.spot.account(), "availability-zone": &*n.zone, "instance-id": n.instance_id,
            "instance-type": instance_type(n), "local-hostname": &**n.name(),
            "region": n.zone.trim_end_matches(|c: char| c.is_ascii_lowercase()),
        }))
    }

    fn termination_handler(&mut self, node: &Arc<str>, t: &Taking, plan: usize) {
        let id = self.nodes.get(node).map(|n| n.instance_id.clone()).unwrap_or_default();
        let told = self.spot.cloud.on_ledger(|l| l.get(&id).and_then(|e| e.told.last()).map(|(_, at)| *at));
        let told = told.unwrap_or_else(|| stamp(self.now)).timestamp_millis();
        let (reason, message) = self.notice_words(node, t, told);
        let notes = self.nth_annotations(node);
        self.node_event(node, "Warning", (NTH, reason), &message, notes.clone());
        self.cordon(node, true);
        let event_id = self.event_id(node, t);
        if let Some(n) = self.nodes.get_mut(node) {
            let key = match t.what {
                What::Interrupt => "spot-itn",
                What::Rebalance => "rebalance-recommendation",
                What::Scheduled(_) => "scheduled-maintenance",
            };
            let (key, effect) = (format!("{NTH}/{key}"), "NoSchedule".to_owned());
            n.taints.push(Taint { key, value: event_id.clone(), effect, added: None });
            if matches!(t.what, What::Scheduled(_)) {
                n.meta.labels.insert(format!("{NTH}/action"), "UncordonAfterReboot".into());
                n.meta.labels.insert(format!("{NTH}/action-time"), (self.now / 1000).to_string().into());
                n.meta.labels.insert(format!("{NTH}/event-id"), event_id.into());
            }
            if t.what != What::Rebalance {
                n.meta.labels.insert(NO_BALANCER.into(), NTH.into());
            }
        }
        self.touch_object(&Self::node_ref(node));
        if t.what == What::Rebalance {
            self.node_event(node, "Normal", (NTH, "Cordon"), "Node successfully cordoned", notes);
            return;
        }
        self.after(300, Due::Taken(Step::Drain, node.clone(), plan));
    }

    /// Evicts what may be evicted; comes again until the node is empty or gone.
    pub fn drain_step(&mut self, node: &Arc<str>, t: &Taking, plan: usize) {
        let Some(n) = self.nodes.get(node).filter(|n| !n.dead) else { return };
        let pods = self.at_risk(n);
        if pods.is_empty() {
            if t.handler != Handler::Karpenter {
                let notes = self.nth_annotations(node);
                let who = (NTH, "CordonAndDrain");
                self.node_event(node, "Normal", who, "Node successfully cordoned and drained", notes);
            }
            return;
        }
        let mut blocked = 0;
        for id in pods {
            if self.pods.get(&id).is_some_and(|p| p.deletion.is_none()) && !self.try_evict(id, node, t.handler) {
                blocked += 1;
            }
        }
        if blocked > 0 && t.handler == Handler::Karpenter {
            let message = format!("Failed to drain node, {blocked} pods are waiting to be evicted");
            self.node_event(node, "Warning", (KARPENTER, "FailedDraining"), &message, Obj::new());
        }
        self.after(if blocked > 0 { RETRY } else { 2_000 }, Due::Taken(Step::Drain, node.clone(), plan));
    }

    /// Evicts a pod unless a budget forbids it.
    fn try_evict(&mut self, id: PodId, node: &Arc<str>, handler: Handler) -> bool {
        let now = self.now;
        let Some(p) = self.pods.get(&id) else { return true };
        let target = self.root_owner(p);
        // What never ran breaks no budget.
        if p.phase != Phase::Pending && !self.may_evict(p.ready, target.as_ref()) {
            return false;
        }
        let message = format!("Pod evicted due to node drain (node {node})");
        match handler {
            Handler::Karpenter => self.pod_event(id, "Normal", "Evicted", "Evicted pod", None),
            _ => self.pod_event(id, "Normal", "PodEviction", &message, None),
        }
        if let Some(p) = self.pods.get_mut(&id) {
            p.evicted = Some(now);
        }
        self.delete_pod(id);
        if let Some(t) = target {
            self.sync_budgets(&t);
        }
        true
    }

    fn may_evict(&self, ready: bool, target: Option<&super::meta::Ref>) -> bool {
        let n = |p: &super::world::Pdb, key: &str| p.status.get(key).and_then(serde_json::Value::as_i64).unwrap_or(0);
        self.pdbs.values().filter(|p| Some(&p.target) == target).all(|p| {
            let (healthy, desired) = (n(p, "currentHealthy"), n(p, "desiredHealthy"));
            n(p, "disruptionsAllowed") > 0 || (!ready && healthy >= desired && desired > 0)
        })
    }

    /// The machine is back: what kept pods away goes.
    pub fn unmark(&mut self, node: &Arc<str>, t: &Taking) {
        if let Some(n) = self.nodes.get_mut(node) {
            n.taints.retain(|t| !super::spot::is_mark(&t.key));
            n.meta.labels.shift_remove(NO_BALANCER);
            for key in ["action", "action-time", "event-id"] {
                n.meta.labels.shift_remove(&format!("{NTH}/{key}"));
            }
            n.deletion = None;
        }
        if matches!(t.handler, Handler::Nth | Handler::NthQueue) {
            self.cordon(node, false);
            let notes = self.nth_annotations(node);
            self.node_event(node, "Normal", (NTH, "Uncordon"), "Node successfully uncordoned", notes);
        }
        self.touch_object(&Self::node_ref(node));
        self.kick();
    }
}
