//! A simple scheduler: what fits, what is tolerated, the emptiest and least crowded first.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::node::{Link, Node};
use super::pod::{Pod, PodId};
use super::world::{Due, Step, World};

/// How many fitting nodes are enough to choose from.
const ENOUGH: usize = 60;

/// Why a pod cannot go to a node, in the scheduler's words.
fn refuses(n: &Node, p: &Pod) -> Option<String> {
    let t = &p.template;
    if n.unschedulable && !t.tolerates("node.kubernetes.io/unschedulable", "", "NoSchedule") {
        return Some("node(s) were unschedulable".into());
    }
    for taint in &n.taints {
        if taint.effect != "PreferNoSchedule" && !t.tolerates(&taint.key, &taint.value, &taint.effect) {
            return Some(if taint.value.is_empty() {
                format!("node(s) had untolerated taint {{{}: }}", taint.key)
            } else {
                format!("node(s) had untolerated taint {{{}: {}}}", taint.key, taint.value)
            });
        }
    }
    if t.selector.iter().any(|(k, v)| n.meta.labels.get(k) != Some(v)) {
        return Some("node(s) didn't match Pod's node affinity/selector".into());
    }
    let (cpu, memory) = n.allocatable();
    if n.pods.len() as u64 >= n.max_pods {
        return Some("Too many pods".into());
    }
    if n.used_cpu + t.cpu > cpu {
        return Some("Insufficient cpu".into());
    }
    if n.used_memory + t.memory > memory {
        return Some("Insufficient memory".into());
    }
    None
}

impl World {
    /// Finds a node for a pod, or the reasons against each.
    pub fn find_node(&mut self, id: PodId) -> Result<Arc<str>, String> {
        let Some(p) = self.pods.get(&id) else { return Err(String::new()) };
        let mut mates: HashMap<&str, u64> = HashMap::new();
        for mate in p.owner.iter().filter_map(|o| self.pods_of.get(&o.uid)).flatten() {
            if let Some(n) = self.pods.get(mate).and_then(|m| m.node.as_deref()) {
                *mates.entry(n).or_default() += 1;
            }
        }
        let mut zones: HashMap<&str, u64> = HashMap::new();
        for (n, count) in &mates {
            if let Some(n) = self.nodes.get(*n) {
                *zones.entry(&n.zone).or_default() += count;
            }
        }
        let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
        let mut best: Option<(u64, &Arc<str>)> = None;
        let (len, mut fitting, start) = (self.node_order.len(), 0, self.scan);
        for i in 0..len {
            let Some(n) = self.nodes.get(&self.node_order[(start + i) % len]) else { continue };
            if let Some(why) = refuses(n, p) {
                *reasons.entry(why).or_default() += 1;
                continue;
            }
            fitting += 1;
            let (cpu, memory) = n.allocatable();
            let full = n.used_cpu * 500 / cpu.max(1) + n.used_memory * 500 / memory.max(1);
            let crowd =
                mates.get(&**n.name()).copied().unwrap_or(0) * 1200 + zones.get(&*n.zone).copied().unwrap_or(0) * 400;
            let score = full + crowd;
            if best.is_none_or(|(s, _)| score < s) {
                best = Some((score, n.name()));
            }
            if fitting >= ENOUGH {
                break;
            }
        }
        let chosen = best.map(|(_, n)| n.clone());
        self.scan = if len > ENOUGH { (start + 17) % len } else { 0 };
        chosen.ok_or_else(|| {
            let list: Vec<String> = reasons.iter().map(|(why, n)| format!("{n} {why}")).collect();
            format!(
                "0/{len} nodes are available: {}. preemption: 0/{len} nodes are available: {len} No preemption victims found for incoming pod.",
                list.join(", ")
            )
        })
    }

    /// Puts a pod on a node.
    pub fn bind(&mut self, id: PodId, node: &Arc<str>) {
        let now = self.now;
        let (Some(p), Some(n)) = (self.pods.get_mut(&id), self.nodes.get_mut(node)) else { return };
        p.node = Some(node.clone());
        p.host_ip = n.address.clone();
        p.scheduled = now;
        p.unschedulable = None;
        p.lost = n.link != Link::Up;
        n.pods.insert(id);
        n.used_cpu += p.template.cpu;
        n.used_memory += p.template.memory;
        self.pending.remove(&id);
        self.touch_pod(id);
        self.placed(id, node);
    }

    /// Tries to place a pod; tries again later when nothing fits.
    pub fn schedule(&mut self, id: PodId) {
        if !self.pending.contains(&id) || !self.pods.get(&id).is_some_and(|p| p.active() && p.node.is_none()) {
            return;
        }
        match self.find_node(id) {
            Ok(node) => {
                let Some(p) = self.pods.get(&id) else { return };
                let message = format!("Successfully assigned {}/{} to {node}", p.ns, p.name);
                self.bind(id, &node);
                self.pod_event(id, "Normal", "Scheduled", &message, None);
                let delay = self.rng.range(150, 600);
                self.after(delay, Due::Kubelet(id, Step::Accept));
            }
            Err(why) => {
                if let Some(p) = self.pods.get_mut(&id)
                    && p.unschedulable.as_ref() != Some(&why)
                {
                    p.unschedulable = Some(why.clone());
                    self.touch_pod(id);
                }
                self.pod_event(id, "Warning", "FailedScheduling", &why, None);
                self.after(60_000, Due::Schedule(id));
            }
        }
    }

    /// Something may fit now that did not before.
    pub fn kick(&mut self) {
        if self.genesis {
            return;
        }
        let waiting: Vec<PodId> = self
            .pending
            .iter()
            .copied()
            .filter(|id| self.pods.get(id).is_some_and(|p| p.unschedulable.is_some()))
            .take(50)
            .collect();
        for id in waiting {
            self.after(300, Due::Schedule(id));
        }
    }
}
