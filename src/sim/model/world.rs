//! Everything that exists, what is due when, and what changed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::events::Events;
use super::meta::{Meta, Ms, Obj, Owner, Ref};
use super::node::Node;
use super::pod::{Container, Phase, Pod, PodId};
use super::profile::{Behaviour, Profile};
use super::rng::Rng;
use super::template::Template;
use crate::sim::backend::{Change, ObjectKind};
use crate::sim::telemetry::Telemetry;

/// An object that owns pods, directly or through others.
#[derive(Debug)]
pub struct Controller {
    pub meta: Meta,
    pub spec: Value,
    pub template: Arc<Template>,
    pub profile: Arc<Profile>,
    /// `spec.replicas`, or a job's parallelism.
    pub replicas: i64,
    /// `status` without its conditions.
    pub status: Obj,
    pub conditions: Vec<Value>,
    /// When a rollout last got further, when a job started.
    pub progress: Ms,
    /// Jobs: pods that ended well and badly. Stateful sets: unused.
    pub succeeded: i64,
    pub failed: i64,
    /// Finished jobs are not looked at again; cron jobs keep their last run here.
    pub finished: Option<Ms>,
    /// Stateful sets: the revision all pods had before this one.
    pub settled_revision: Option<String>,
}

/// An autoscaler.
#[derive(Debug)]
pub struct Hpa {
    pub meta: Meta,
    pub spec: Value,
    pub target: Ref,
    pub status: Obj,
    pub scaled: Option<Ms>,
}

/// A disruption budget.
#[derive(Debug)]
pub struct Pdb {
    pub meta: Meta,
    pub spec: Value,
    pub target: Ref,
    pub status: Obj,
}

/// What is to happen at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    Kubelet(PodId, Step),
    Schedule(PodId),
    Sync(Ref),
    Cron(Ref),
    Autoscale(Ref),
    Heartbeat(Arc<str>),
    Lease(Arc<str>),
    Evict(Arc<str>, Ms),
    ExpireEvent(u64),
    /// A step of the scenario's timeline, and how often it has run.
    Timeline(usize, u32),
    Recover(usize),
    Churn,
    /// A machine is taken back, by its node and the number of the plan.
    Taken(super::spot::Step, Arc<str>, usize),
}

/// What the kubelet does next with a pod; `(container, run)` makes stale ones harmless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Accept,
    Pull(u8, u32),
    RetryPull(u8, u32),
    Ready(u8, u32),
    Unhealthy(u8, u32),
    Exit(u8, u32),
    BackOff(u8, u32),
    Restart(u8, u32),
    Gone,
}

/// What a list of changes holds before it is rendered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Touched {
    Pod(PodId),
    Object(Ref),
    Event(u64),
    Gone(Ref),
}

pub struct World {
    pub now: Ms,
    pub rng: Rng,
    pub nodes: BTreeMap<Arc<str>, Node>,
    pub node_order: Vec<Arc<str>>,
    pub pods: BTreeMap<PodId, Pod>,
    pub pod_names: HashMap<String, PodId>,
    pub pods_of: HashMap<u128, BTreeSet<PodId>>,
    pub pending: BTreeSet<PodId>,
    pub controllers: BTreeMap<Ref, Controller>,
    pub children: HashMap<u128, BTreeSet<Ref>>,
    pub hpas: BTreeMap<Ref, Hpa>,
    pub pdbs: BTreeMap<Ref, Pdb>,
    /// Namespaces, services, config maps: kept as written.
    pub plain: BTreeMap<Ref, Value>,
    pub events: Events,
    pub profiles: HashMap<(Arc<str>, Arc<str>), Arc<Profile>>,
    /// By image: how a container of it behaves.
    pub images: HashMap<String, Behaviour>,
    /// The image that the timeline rolled out last to each controller.
    pub rolled_out: HashMap<Ref, String>,
    /// By namespace and workload: overrides the image.
    pub overrides: HashMap<(Arc<str>, Arc<str>), Behaviour>,
    /// Load factors, the whole cluster's under the empty name.
    pub load: HashMap<(Arc<str>, Arc<str>), f64>,
    pub eviction_after: Ms,
    pub version: Arc<str>,
    pub next_pod: PodId,
    pub scan: usize,
    heap: BinaryHeap<Reverse<(Ms, u64, Due)>>,
    seq: u64,
    pub queue: BTreeSet<Ref>,
    dirty: Vec<Touched>,
    /// Rendered changes that nobody has been told of.
    held: Vec<Change>,
    seen: HashSet<Touched>,
    /// At the beginning everything is given at once, and nothing is marked.
    pub genesis: bool,
    /// What monitoring has seen.
    pub telemetry: Telemetry,
    /// Pods that monitoring looks at next.
    pub noted: BTreeSet<PodId>,
    /// Nodes made so far: their addresses differ by it.
    pub made_nodes: u32,
    /// Machines that are taken back.
    pub spot: super::spot::Spot,
}

impl World {
    pub fn new(seed: u64, eviction_after: Ms, version: &str) -> Self {
        Self {
            now: 0,
            rng: Rng::new(seed),
            nodes: BTreeMap::new(),
            node_order: Vec::new(),
            pods: BTreeMap::new(),
            pod_names: HashMap::new(),
            pods_of: HashMap::new(),
            pending: BTreeSet::new(),
            controllers: BTreeMap::new(),
            children: HashMap::new(),
            hpas: BTreeMap::new(),
            pdbs: BTreeMap::new(),
            plain: BTreeMap::new(),
            events: Events::default(),
            profiles: HashMap::new(),
            images: HashMap::new(),
            rolled_out: HashMap::new(),
            overrides: HashMap::new(),
            load: HashMap::new(),
            eviction_after,
            version: version.into(),
            next_pod: 1,
            scan: 0,
            heap: BinaryHeap::new(),
            seq: 0,
            queue: BTreeSet::new(),
            dirty: Vec::new(),
            held: Vec::new(),
            seen: HashSet::new(),
            genesis: false,
            telemetry: Telemetry::default(),
            noted: BTreeSet::new(),
            made_nodes: 0,
            spot: super::spot::Spot::default(),
        }
    }

    /// Lets `due` happen at `at`.
    pub fn at(&mut self, at: Ms, due: Due) {
        self.seq += 1;
        self.heap.push(Reverse((at.max(self.now), self.seq, due)));
    }

    /// Lets `due` happen after `delay` milliseconds.
    pub fn after(&mut self, delay: Ms, due: Due) {
        self.at(self.now + delay.max(0), due);
    }

    /// The next thing due by `until`, with time moved to it.
    pub fn next_due(&mut self, until: Ms) -> Option<Due> {
        if self.heap.peek().is_none_or(|Reverse((at, ..))| *at > until) {
            return None;
        }
        let Reverse((at, _, due)) = self.heap.pop()?;
        self.now = self.now.max(at);
        Some(due)
    }

    /// Puts everything due off by `by`: time that nobody lived through.
    pub fn skip(&mut self, by: Ms) {
        self.heap = self.heap.drain().map(|Reverse((at, seq, due))| Reverse((at + by, seq, due))).collect();
        self.now += by;
    }

    /// Marks a change for the watchers.
    pub fn touch(&mut self, t: Touched) {
        if !self.genesis && self.seen.insert(t.clone()) {
            self.dirty.push(t);
        }
    }

    pub fn touch_pod(&mut self, id: PodId) {
        self.note(id);
        self.touch(Touched::Pod(id));
    }

    pub fn touch_object(&mut self, at: &Ref) {
        self.touch(Touched::Object(at.clone()));
    }

    /// Marks a change and lets the controller look again.
    pub fn enqueue(&mut self, at: &Ref) {
        self.queue.insert(at.clone());
    }

    pub fn gone(&mut self, at: Ref) {
        self.seen.remove(&Touched::Object(at.clone()));
        self.dirty.push(Touched::Gone(at));
    }

    /// What changed since the last time, rendered.
    pub fn flush(&mut self, out: &mut Vec<Change>) {
        out.append(&mut self.held);
        self.seen.clear();
        for t in std::mem::take(&mut self.dirty) {
            match t {
                Touched::Pod(id) => {
                    out.extend(self.pods.get(&id).map(|p| Change::Put(ObjectKind::Pod, p.render())));
                }
                Touched::Object(at) => out.extend(self.render(&at).map(|v| Change::Put(at.kind, v))),
                Touched::Event(id) => {
                    out.extend(self.events.render(id).map(|v| Change::Put(ObjectKind::Event, v)));
                }
                Touched::Gone(at) => {
                    out.push(Change::Delete { kind: at.kind, namespace: at.ns.to_string(), name: at.name.to_string() });
                }
            }
        }
    }

    /// Keeps changes for the next flush.
    pub fn hold(&mut self, changes: Vec<Change>) {
        self.held.extend(changes);
    }

    /// One object other than pods and events.
    pub fn render(&self, at: &Ref) -> Option<Value> {
        match at.kind {
            ObjectKind::Node => self.nodes.get(&at.name).map(Node::render),
            ObjectKind::HorizontalPodAutoscaler => {
                let h = self.hpas.get(at)?;
                Some(json!({"metadata": h.meta.render(), "spec": h.spec, "status": h.status}))
            }
            ObjectKind::PodDisruptionBudget => {
                let p = self.pdbs.get(at)?;
                Some(json!({"metadata": p.meta.render(), "spec": p.spec, "status": p.status}))
            }
            ObjectKind::Lease if &*at.ns == "kube-node-lease" => {
                let n = self.nodes.get(&at.name)?;
                Some(super::nodes::lease(n, self.now))
            }
            ObjectKind::Deployment
            | ObjectKind::ReplicaSet
            | ObjectKind::StatefulSet
            | ObjectKind::DaemonSet
            | ObjectKind::Job
            | ObjectKind::CronJob => {
                let c = self.controllers.get(at)?;
                let mut status = c.status.clone();
                if !c.conditions.is_empty() {
                    status.insert("conditions".into(), c.conditions.clone().into());
                }
                Some(json!({"metadata": c.meta.render(), "spec": c.spec, "status": status}))
            }
            _ => self.plain.get(at).cloned(),
        }
    }

    /// New metadata, born now.
    pub fn meta(&mut self, at: Ref, labels: Obj, owner: Option<Owner>) -> Meta {
        let generation = i64::from(!matches!(
            at.kind,
            ObjectKind::Node | ObjectKind::Namespace | ObjectKind::Service | ObjectKind::ConfigMap | ObjectKind::Event
        ));
        Meta { at, uid: self.rng.uid(), created: self.now, labels, annotations: Obj::new(), generation, owner }
    }

    pub fn pod_id(&self, ns: &str, name: &str) -> Option<PodId> {
        self.pod_names.get(&format!("{ns}/{name}")).copied()
    }

    /// The pods of a controller that are neither finished nor going.
    pub fn active_pods(&self, uid: u128) -> Vec<PodId> {
        let ids = self.pods_of.get(&uid).into_iter().flatten().copied();
        ids.filter(|id| self.pods.get(id).is_some_and(Pod::active)).collect()
    }

    pub fn all_pods(&self, uid: u128) -> Vec<PodId> {
        self.pods_of.get(&uid).map(|s| s.iter().copied().collect()).unwrap_or_default()
    }

    pub fn children_of(&self, uid: u128) -> Vec<Ref> {
        self.children.get(&uid).map(|s| s.iter().cloned().collect()).unwrap_or_default()
    }

    pub fn add_controller(&mut self, c: Controller) {
        let at = c.meta.at.clone();
        if let Some(o) = &c.meta.owner {
            self.children.entry(o.uid).or_default().insert(at.clone());
        }
        self.controllers.insert(at.clone(), c);
        self.touch_object(&at);
        self.enqueue(&at);
    }

    /// Creates a pod, unscheduled.
    pub fn add_pod(
        &mut self,
        ns: &Arc<str>,
        name: &str,
        template: &Arc<Template>,
        profile: &Arc<Profile>,
        owner: Option<Owner>,
        extra_labels: Vec<(&'static str, String)>,
    ) -> PodId {
        let id = self.next_pod;
        self.next_pod += 1;
        if let Some(o) = &owner {
            self.pods_of.entry(o.uid).or_default().insert(id);
        }
        self.pod_names.insert(format!("{ns}/{name}"), id);
        let pod = Pod {
            name: name.into(),
            ns: ns.clone(),
            uid: self.rng.uid(),
            created: self.now,
            owner,
            template: template.clone(),
            profile: profile.clone(),
            extra_labels,
            labels: None,
            annotations: None,
            node: None,
            host_ip: Arc::from(""),
            ip: id.wrapping_mul(7).wrapping_add(11),
            scheduled: self.now,
            started: None,
            initialized: None,
            ready: false,
            ready_at: self.now,
            phase: Phase::Pending,
            unschedulable: None,
            reason: None,
            containers: vec![Container::new(); template.containers.len()],
            deletion: None,
            lost: false,
            evicted: None,
        };
        self.pods.insert(id, pod);
        self.touch_pod(id);
        if !self.genesis {
            self.pending.insert(id);
            self.after(20, Due::Schedule(id));
        }
        id
    }

    /// Begins a pod's termination; a pod that was never placed goes at once.
    pub fn delete_pod(&mut self, id: PodId) {
        let now = self.now;
        let stop = self.rng.range(700, 2600);
        let Some(p) = self.pods.get_mut(&id) else { return };
        if p.deletion.is_some() {
            return;
        }
        let placed = p.node.is_some();
        if !placed || p.finished() {
            self.remove_pod(id);
            return;
        }
        p.deletion = Some((now + p.template.grace * 1000, p.template.grace));
        // Between nine and eleven tenths of what it usually takes.
        let stop = p.profile.stops.map_or(stop, |ms| ms * (90 + (p.uid % 21) as Ms) / 100);
        let stop = stop.min(p.template.grace * 1000);
        if p.lost {
            p.reason = Some((
                "NodeLost",
                format!("Node {} which was running pod {} is unresponsive", p.node.as_deref().unwrap_or(""), p.name),
            ));
        }
        let (lost, names): (bool, Vec<Arc<str>>) = (
            p.lost,
            p.template
                .containers
                .iter()
                .zip(&p.containers)
                .filter(|(_, c)| c.running())
                .map(|(s, _)| s.name.clone())
                .collect(),
        );
        let owner = p.owner.as_ref().map(|o| o.at.clone());
        if !lost {
            for n in names {
                self.pod_event(id, "Normal", "Killing", &format!("Stopping container {n}"), Some(&n));
            }
        }
        self.after(stop, Due::Kubelet(id, Step::Gone));
        self.touch_pod(id);
        if let Some(o) = owner {
            self.enqueue(&o);
        }
    }

    /// A pod is gone: from its node, its owner and the watchers.
    pub fn remove_pod(&mut self, id: PodId) {
        let Some(p) = self.pods.remove(&id) else { return };
        self.note(id);
        self.spot.ended(&p, self.now);
        self.pending.remove(&id);
        let key = format!("{}/{}", p.ns, p.name);
        if self.pod_names.get(&key) == Some(&id) {
            self.pod_names.remove(&key);
        }
        if let Some(n) = p.node.as_ref().and_then(|n| self.nodes.get_mut(n)) {
            n.pods.remove(&id);
            if !p.finished() {
                n.used_cpu = n.used_cpu.saturating_sub(p.template.cpu);
                n.used_memory = n.used_memory.saturating_sub(p.template.memory);
            }
        }
        self.gone(Ref { kind: ObjectKind::Pod, ns: p.ns.clone(), name: p.name.clone() });
        if let Some(o) = &p.owner {
            if let Some(set) = self.pods_of.get_mut(&o.uid) {
                set.remove(&id);
                if set.is_empty() {
                    self.pods_of.remove(&o.uid);
                }
            }
            let at = o.at.clone();
            self.enqueue(&at);
        }
        self.kick();
    }

    /// Removes an object and everything that it owns.
    pub fn remove_object(&mut self, at: &Ref) {
        match at.kind {
            ObjectKind::HorizontalPodAutoscaler => {
                if self.hpas.remove(at).is_none() {
                    return;
                }
            }
            ObjectKind::PodDisruptionBudget => {
                if self.pdbs.remove(at).is_none() {
                    return;
                }
            }
            _ => {
                if let Some(c) = self.controllers.remove(at) {
                    if let Some(o) = &c.meta.owner {
                        let owner = o.at.clone();
                        if let Some(set) = self.children.get_mut(&o.uid) {
                            set.remove(at);
                        }
                        self.enqueue(&owner);
                    }
                    for child in self.children_of(c.meta.uid) {
                        self.remove_object(&child);
                    }
                    self.children.remove(&c.meta.uid);
                    for id in self.all_pods(c.meta.uid) {
                        self.delete_pod(id);
                    }
                } else if self.plain.remove(at).is_none() {
                    return;
                }
            }
        }
        self.queue.remove(at);
        self.gone(at.clone());
    }

    /// How a container behaves.
    pub fn behaviour(&self, p: &Pod, container: usize) -> Behaviour {
        let image = &p.template.containers[container].image;
        if let Some(b) = self.images.get(&**image) {
            return *b;
        }
        let first = p.template.containers.iter().position(|c| c.role == super::template::Role::Main);
        if first == Some(container)
            && let Some(b) = self.overrides.get(&(p.ns.clone(), p.profile.workload.clone()))
        {
            return *b;
        }
        Behaviour::Healthy
    }

    pub fn profile(&self, ns: &str, name: &str) -> Arc<Profile> {
        let found = self.profiles.get(&(Arc::from(ns), Arc::from(name)));
        found.cloned().unwrap_or_else(|| Arc::new(Profile::plain(name)))
    }
}
