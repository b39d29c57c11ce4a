//! Machines that are taken back: who is told, what happens at the deadline, what comes after.
//!
//! ```text
//! plan -> Notice -> Handle -> Drain (again until empty)
//!            '-> Down (the deadline) -> NotReady -> Forget (the node's object) -> Collect (its pods)
//!                  '-> Settled (EC2: terminated)        Another -> Up (the replacement)
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::meta::{Ms, Ref, kind_name};
use super::node::{Link, Node, Taint};
use super::pod::{Phase, Pod, PodId};
use super::rng::hash2;
use super::scenario::{File, Handler, Many, NodeGroup, Taking, What};
use super::world::{Due, World};
use crate::sim::aws::schema::Maintenance;
use crate::sim::backend::ObjectKind;
use crate::sim::cloud::{About, Cloud, Fate, Machine, Risk, Told, stamp};

/// How often it is looked whether owners are back.
const LOOK: Ms = 250;
/// A machine that was stopped comes back after so long.
const STOPPED: Ms = 210_000;
/// A reboot.
const REBOOT: Ms = 75_000;

/// What happens next to a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Notice,
    Handle,
    Drain,
    Down,
    NotReady,
    Forget,
    Collect,
    Settled,
    Another,
    Up,
    Back,
    /// Not about one machine: owners are looked at.
    Look,
}

/// A node that something was said about.
#[derive(Debug, Clone)]
struct Victim {
    ec2: String,
    group: String,
}

/// What the world knows of machines that are taken back.
#[derive(Debug, Default)]
pub struct Spot {
    pub cloud: Cloud,
    on: bool,
    account: String,
    groups: BTreeMap<String, NodeGroup>,
    plans: Vec<Taking>,
    victims: BTreeMap<Arc<str>, Victim>,
    /// On their way out.
    marked: BTreeSet<Arc<str>>,
    warned: BTreeSet<Arc<str>>,
    /// Pods whose node's object is gone.
    orphans: BTreeMap<Arc<str>, Vec<PodId>>,
    looking: bool,
}

impl Spot {
    /// Something will be taken back in this scenario.
    pub fn switch_on(&mut self, file: &File) {
        self.on = true;
        self.account = file.ecs.first().map_or_else(|| "123456789012".to_owned(), |c| c.account.clone());
        self.groups = file.nodes.iter().map(|g| (g.group.clone(), g.clone())).collect();
        self.cloud.switch_on();
        for zone in file.nodes.iter().flat_map(|g| &g.zones) {
            self.cloud.add_place(&self.account, zone.trim_end_matches(|c: char| c.is_ascii_lowercase()));
        }
    }

    /// A pod is gone or has finished.
    pub fn ended(&self, p: &Pod, now: Ms) {
        if self.on && self.looking {
            let id = format!("{}/{}/{}", self.cloud.cluster(), p.ns, p.name);
            self.cloud.on_ledger(|l| l.ended(&id, stamp(now), false));
        }
    }

    pub fn account(&self) -> &str {
        &self.account
    }

    fn plan(&self, plan: usize) -> Option<Taking> {
        self.plans.get(plan).cloned()
    }
}

/// A taint with which a handler keeps new pods away.
pub fn is_mark(key: &str) -> bool {
    key == "karpenter.sh/disrupted" || key.starts_with("aws-node-termination-handler/")
}

fn machine(n: &Node, account: &str) -> Machine {
    let spot = n.meta.labels.get("karpenter.sh/capacity-type").is_some_and(|c| c == "spot");
    Machine::new(&n.instance_id, instance_type(n), &n.zone, account, spot, n.meta.created - 45_000)
}

pub fn instance_type(n: &Node) -> &str {
    n.meta.labels.get("node.kubernetes.io/instance-type").and_then(serde_json::Value::as_str).unwrap_or_default()
}

fn group_of(n: &Node) -> &str {
    n.meta.labels.get("karpenter.sh/nodepool").and_then(serde_json::Value::as_str).unwrap_or_default()
}

impl World {
    /// EC2 has a machine for every node.
    pub fn know_machines(&self, file: &File) {
        if self.spot.on && !file.nodes.is_empty() {
            for n in self.nodes.values() {
                self.spot.cloud.add(machine(n, &self.spot.account));
            }
        }
    }

    fn taken_in(&mut self, delay: Ms, step: Step, node: &Arc<str>, plan: usize) {
        self.after(delay, Due::Taken(step, node.clone(), plan));
    }

    /// Chooses the victims of a step, and when each is told.
    pub fn plan_taking(&mut self, t: &Taking) {
        let plan = self.spot.plans.len();
        self.spot.plans.push(t.clone());
        let salt = self.rng.next();
        let s = &self.spot;
        let only_spot = !matches!(t.what, What::Scheduled(_));
        let mut all: Vec<(bool, u64, Arc<str>)> = self
            .nodes
            .values()
            .filter(|n| !n.is_down() && !s.marked.contains(n.name()))
            .filter(|n| t.what != What::Rebalance || !s.warned.contains(n.name()))
            .filter(|n| {
                t.group.as_ref().is_none_or(|g| group_of(n) == g) && t.zone.as_ref().is_none_or(|z| *n.zone == **z)
            })
            .filter(|n| !only_spot || n.meta.labels.get("karpenter.sh/capacity-type").is_some_and(|c| c == "spot"))
            .map(|n| {
                let luck = hash2(salt, super::rng::hash(n.name()));
                // Those that were warned go first.
                (!s.warned.contains(n.name()), luck, n.name().clone())
            })
            .collect();
        all.sort();
        let n = match t.many {
            Many::Count(n) => n as usize,
            Many::Percent(p) => (all.len() * p as usize).div_ceil(100),
        };
        all.truncate(n);
        for (k, (_, _, name)) in all.iter().enumerate() {
            let Some(n) = self.nodes.get(name) else { continue };
            let victim = Victim { ec2: n.instance_id.clone(), group: group_of(n).to_owned() };
            self.spot.victims.insert(name.clone(), victim);
            let list = if t.what == What::Rebalance { &mut self.spot.warned } else { &mut self.spot.marked };
            list.insert(name.clone());
            // On a whole second: an event's `time` has no more.
            let at = (self.now + t.spread * k as Ms / all.len() as Ms + 999).div_euclid(1000) * 1000;
            let step = if t.unannounced { Step::Down } else { Step::Notice };
            self.at(at, Due::Taken(step, name.clone(), plan));
        }
    }

    /// The next thing that happens to a machine.
    pub fn taken(&mut self, step: Step, node: &Arc<str>, plan: usize) {
        if step == Step::Look {
            self.look_at_owners();
            return;
        }
        let Some(t) = self.spot.plan(plan) else { return };
        match step {
            Step::Notice => self.give_notice(node, &t, plan),
            Step::Handle => self.handle_notice(node, &t, plan),
            Step::Drain => self.drain_step(node, &t, plan),
            Step::Down => self.machine_down(node, &t, plan),
            Step::NotReady => self.node_down(node, &t),
            Step::Forget => self.forget_node(node, plan),
            Step::Collect => {
                for id in self.spot.orphans.remove(node).unwrap_or_default() {
                    self.remove_pod(id);
                }
            }
            Step::Settled => {
                let state = if t.goes() { "terminated" } else { "stopped" };
                if let Some(v) = self.spot.victims.get(node) {
                    self.spot.cloud.turn(&v.ec2, state, false, self.now);
                }
            }
            Step::Another => self.another_node(node, plan),
            Step::Up => self.set_link(node, Link::Up),
            Step::Back => self.machine_back(node, &t),
            Step::Look => {}
        }
    }

    fn about(&self, n: &Node) -> About {
        About {
            victim: n.instance_id.clone(),
            cluster: self.spot.cloud.cluster(),
            host: n.name().to_string(),
            instance_type: instance_type(n).to_owned(),
            zone: n.zone.to_string(),
        }
    }

    /// The pods of a node that go with it and matter.
    pub fn at_risk(&self, n: &Node) -> Vec<PodId> {
        let matters = |p: &Pod| !p.finished() && p.owner.as_ref().is_none_or(|o| o.at.kind != ObjectKind::DaemonSet);
        n.pods.iter().copied().filter(|id| self.pods.get(id).is_some_and(matters)).collect()
    }

    /// The controller at the top, a Deployment for its replica set.
    pub fn root_owner(&self, p: &Pod) -> Option<Ref> {
        let at = &p.owner.as_ref()?.at;
        let above = self.controllers.get(at).and_then(|c| c.meta.owner.as_ref());
        Some(above.filter(|o| o.at.kind == ObjectKind::Deployment).map_or_else(|| at.clone(), |o| o.at.clone()))
    }

    fn risks(&self, n: &Node) -> Vec<Risk> {
        self.at_risk(n).iter().filter_map(|id| self.pods.get(id)).map(|p| self.risk(p)).collect()
    }

    fn risk(&self, p: &Pod) -> Risk {
        let cluster = self.spot.cloud.cluster();
        Risk {
            id: format!("{cluster}/{}/{}", p.ns, p.name),
            owner: self.root_owner(p).map(|o| format!("{cluster}/{}/{}/{}", o.ns, kind_name(o.kind), o.name)),
            end: None,
        }
    }

    /// A pod is put on a node: the ledger has to know if that one is to go.
    pub fn placed(&self, id: PodId, node: &Arc<str>) {
        // Nothing has been told of any machine as long as nobody looks.
        if !self.spot.looking {
            return;
        }
        let (Some(p), Some(n)) = (self.pods.get(&id), self.nodes.get(node)) else { return };
        if p.owner.as_ref().is_none_or(|o| o.at.kind != ObjectKind::DaemonSet) {
            let risk = self.risk(p);
            self.spot.cloud.on_ledger(|l| l.placed(&n.instance_id, risk));
        }
    }

    fn give_notice(&mut self, node: &Arc<str>, t: &Taking, plan: usize) {
        let now = self.now;
        let Some(n) = self.nodes.get(node).filter(|n| !n.dead) else { return };
        let (about, risks, ec2) = (self.about(n), self.risks(n), n.instance_id.clone());
        let cloud = &self.spot.cloud;
        // Hibernation does not wait.
        let notice = if t.what == What::Interrupt && t.fate == Fate::Hibernate { 0 } else { t.notice };
        let deadline = now + notice;
        let told = match t.what {
            What::Rebalance => {
                cloud.recommend(&ec2, now);
                Told::Rebalance
            }
            What::Scheduled(code) => {
                cloud.schedule(&ec2, code.word(), deadline, now);
                Told::Scheduled
            }
            What::Interrupt => {
                cloud.interrupt(&ec2, t.fate, now);
                Told::Interruption
            }
        };
        let until = (told != Told::Rebalance).then(|| stamp(deadline));
        cloud.on_ledger(|l| l.tell(&about, told, stamp(now), until, risks));
        if !self.spot.looking {
            self.spot.looking = true;
            self.taken_in(LOOK, Step::Look, node, plan);
        }
        let reaction = match t.handler {
            Handler::Karpenter => self.rng.range(700, 3_000),
            Handler::Nth => self.rng.range(300, 2_000),
            Handler::NthQueue => self.rng.range(500, 3_500),
            Handler::None => 0,
        };
        // The termination handler waits with maintenance until two minutes before it.
        let patient = matches!(t.what, What::Scheduled(_)) && t.handler != Handler::Karpenter;
        let reaction = if patient { reaction.max(notice - 120_000) } else { reaction };
        if t.handler != Handler::None {
            self.taken_in(reaction, Step::Handle, node, plan);
        }
        if told == Told::Rebalance {
            return;
        }
        self.at(deadline, Due::Taken(Step::Down, node.clone(), plan));
        if t.goes() {
            // Karpenter orders another machine as soon as pods wait; a group, when one is missing.
            let own = if t.handler == Handler::Karpenter { self.rng.range(35_000, 55_000) } else { notice + 45_000 };
            let after = t.replacement.unwrap_or(own);
            self.taken_in(after, Step::Another, node, plan);
        }
    }

    /// The machine stops running.
    fn machine_down(&mut self, node: &Arc<str>, t: &Taking, plan: usize) {
        let now = self.now;
        self.look_now();
        let Some(n) = self.nodes.get(node).filter(|n| !n.dead) else { return };
        let (about, risks, ec2) = (self.about(n), self.risks(n), n.instance_id.clone());
        let cloud = self.spot.cloud.clone();
        cloud.on_ledger(|l| l.went(&about, stamp(now), risks));
        if t.unannounced {
            cloud.reclaim(&ec2, now);
        }
        let spot = t.what == What::Interrupt;
        let reboots = t.what == What::Scheduled(Maintenance::SystemReboot);
        if !reboots {
            cloud.turn(&ec2, if t.goes() { "shutting-down" } else { "stopping" }, spot, now);
            let settled = self.rng.range(22_000, 50_000);
            self.taken_in(settled, Step::Settled, node, plan);
        }
        if let Some(n) = self.nodes.get_mut(node) {
            n.dead = true;
        }
        let not_ready = self.rng.range(1_000, 4_000);
        self.taken_in(not_ready, Step::NotReady, node, plan);
        if t.goes() {
            let forget = self.rng.range(5_000, 20_000);
            self.taken_in(forget, Step::Forget, node, plan);
            if t.unannounced {
                let another = t.replacement.unwrap_or(45_000);
                self.taken_in(another, Step::Another, node, plan);
            }
        } else {
            self.taken_in(if reboots { REBOOT } else { STOPPED }, Step::Back, node, plan);
        }
    }

    fn node_down(&mut self, node: &Arc<str>, t: &Taking) {
        self.set_link(node, Link::NotReady);
        let stopped = !t.goes() && t.what != What::Scheduled(Maintenance::SystemReboot);
        if stopped && let Some(n) = self.nodes.get_mut(node) {
            let (key, effect) = ("node.cloudprovider.kubernetes.io/shutdown".to_owned(), "NoSchedule".to_owned());
            n.taints.push(Taint { key, value: String::new(), effect, added: None });
        }
    }

    /// The cloud provider finds that there is no such machine: the node's object goes, its pods stay
    /// until the garbage collector comes by.
    fn forget_node(&mut self, node: &Arc<str>, plan: usize) {
        let message = format!("Deleting node {node} because it does not exist in the cloud provider");
        let who = ("cloud-node-lifecycle-controller", "DeletingNode");
        self.node_event(node, "Normal", who, &message, super::meta::Obj::new());
        let Some(n) = self.nodes.remove(node) else { return };
        self.note_node(node, Link::Lost);
        self.node_order.retain(|o| o != node);
        self.spot.orphans.insert(node.clone(), n.pods.into_iter().collect());
        self.gone(Self::node_ref(node));
        self.gone(Ref { kind: ObjectKind::Lease, ns: "kube-node-lease".into(), name: node.clone() });
        let collect = self.rng.range(4_000, 12_000);
        self.taken_in(collect, Step::Collect, node, plan);
        self.enqueue_daemons();
    }

    /// Another machine joins, of the same group, in any of its zones.
    fn another_node(&mut self, node: &Arc<str>, plan: usize) {
        let Some(g) = self.spot.victims.get(node).and_then(|v| self.spot.groups.get(&v.group)).cloned() else { return };
        let pick = (self.rng.next() % g.zones.len().max(1) as u64) as usize;
        let zone = g.zones.get(pick).cloned().unwrap_or_default();
        let mut n = self.make_node(&g, &zone);
        (n.link, n.link_at) = (Link::NotReady, self.now);
        for effect in ["NoSchedule", "NoExecute"] {
            let added = (effect == "NoExecute").then_some(self.now);
            let key = "node.kubernetes.io/not-ready".to_owned();
            n.taints.push(Taint { key, value: String::new(), effect: effect.into(), added });
        }
        self.spot.cloud.launch(machine(&n, &self.spot.account), self.now);
        let name = n.name().clone();
        self.node_order.push(name.clone());
        self.nodes.insert(name.clone(), n);
        self.touch_object(&Self::node_ref(&name));
        self.note_node(&name, Link::NotReady);
        let message = format!("Node {name} event: Registered Node {name} in Controller");
        self.object_event(&Self::node_ref(&name), "Normal", "RegisteredNode", &message);
        self.after(300_000, Due::Heartbeat(name.clone()));
        self.after(10_000, Due::Lease(name.clone()));
        let up = self.rng.range(9_000, 14_000);
        self.taken_in(up, Step::Up, &name, plan);
        self.enqueue_daemons();
    }

    /// A machine that was stopped or rebooted runs again.
    fn machine_back(&mut self, node: &Arc<str>, t: &Taking) {
        let now = self.now;
        let Some(n) = self.nodes.get_mut(node) else { return };
        n.dead = false;
        n.taints.retain(|t| t.key != "node.cloudprovider.kubernetes.io/shutdown");
        let ec2 = n.instance_id.clone();
        self.spot.cloud.complete(&ec2);
        if t.what != What::Scheduled(Maintenance::SystemReboot) {
            self.spot.cloud.turn(&ec2, "running", false, now);
        }
        self.spot.marked.remove(node);
        self.spot.warned.remove(node);
        self.set_link(node, Link::Up);
        self.unmark(node, t);
    }

    fn look_at_owners(&mut self) {
        self.look_now();
        if self.spot.cloud.on_ledger(|l| l.watched(stamp(self.now))) {
            self.after(LOOK, Due::Taken(Step::Look, "".into(), 0));
        } else {
            self.spot.looking = false;
        }
    }

    fn look_now(&self) {
        let prefix = format!("{}/", self.spot.cloud.cluster());
        let back = |owner: &str, alive: bool| {
            let mut parts = owner.strip_prefix(&prefix)?.splitn(3, '/');
            let (ns, kind, name) = (parts.next()?, parts.next()?, parts.next()?);
            Some(self.is_back(ns, kind, name, alive))
        };
        self.spot.cloud.on_ledger(|l| l.look(stamp(self.now), &back));
    }

    /// An owner has what it wants.
    fn is_back(&self, ns: &str, kind: &str, name: &str, alive: bool) -> bool {
        use ObjectKind as K;
        let kinds = [K::Deployment, K::ReplicaSet, K::StatefulSet, K::Job];
        let Some(kind) = kinds.into_iter().find(|k| kind_name(*k) == kind) else { return true };
        let at = Ref::new(kind, ns, name);
        let Some(c) = self.controllers.get(&at) else { return true };
        let pods = self.target_pods(&at);
        let runs = |p: &Pod| p.node.as_ref().and_then(|n| self.nodes.get(n)).is_some_and(|n| !n.dead);
        let mut own = pods.iter().filter_map(|id| self.pods.get(id)).filter(|p| !alive || runs(p));
        if kind == K::Job {
            return c.finished.is_some() || own.any(|p| p.phase == Phase::Running && !p.lost);
        }
        own.filter(|p| p.ready && !p.lost).count() as i64 >= c.replicas
    }
}

impl Taking {
    /// The machine goes for good.
    pub fn goes(&self) -> bool {
        match self.what {
            What::Interrupt => self.fate == Fate::Terminate,
            What::Scheduled(code) => code == Maintenance::InstanceRetirement,
            What::Rebalance => false,
        }
    }
}
