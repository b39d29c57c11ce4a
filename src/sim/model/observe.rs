//! What monitoring sees of the world: pods and nodes, as they change.

use std::sync::Arc;

use serde_json::json;

use super::meta::{Obj, Ref};
use super::node::Link;
use super::pod::{Phase, Pod, PodId, State};
use super::profile::Behaviour;
use super::template::Role;
use super::world::World;
use crate::sim::backend::ObjectKind;
use crate::sim::telemetry::PodNow;

impl World {
    /// Lets monitoring look at a pod after this.
    pub fn note(&mut self, id: PodId) {
        if !self.genesis && self.telemetry.is_on() {
            self.noted.insert(id);
        }
    }

    pub fn note_node(&mut self, name: &Arc<str>, link: Link) {
        if self.telemetry.is_on() {
            self.telemetry.node(name, heard(link), self.now);
        }
    }

    /// Everything that was there when monitoring began.
    pub fn begin_telemetry(&mut self) {
        self.noted.clear();
        if !self.telemetry.is_on() {
            return;
        }
        let nodes: Vec<_> = self.nodes.values().map(|n| (n.name().clone(), heard(n.link))).collect();
        let pods: Vec<_> = self.pods.iter().filter_map(|(id, p)| Some((i64::from(*id), self.pod_now(p)?))).collect();
        self.telemetry.begin(self.now, pods.into_iter());
        for (name, ready) in nodes {
            self.telemetry.node(&name, ready, self.telemetry.start - crate::sim::telemetry::HISTORY);
        }
    }

    /// The services that monitoring is reached by.
    pub fn add_monitoring(&mut self) {
        const NAMESPACE: &str = "monitoring";
        if !self.telemetry.is_on() {
            return;
        }
        if !self.plain.contains_key(&Ref::new(ObjectKind::Namespace, "", NAMESPACE)) {
            self.add_namespace(NAMESPACE, Obj::new());
        }
        for (name, port, port_name) in [("prometheus", 9090, "web"), ("alertmanager", 9093, "web")] {
            let at = Ref::new(ObjectKind::Service, NAMESPACE, &format!("{name}-operated"));
            let mut labels = Obj::new();
            labels.insert(format!("operated-{name}"), "true".into());
            labels.insert("managed-by".into(), "prometheus-operator".into());
            let meta = self.meta(at.clone(), labels, None).render();
            let object = json!({"metadata": meta, "spec": {"type": "ClusterIP", "clusterIP": "None", "clusterIPs": ["None"],
                "selector": {"app.kubernetes.io/name": name}, "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
                "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
                "ports": [{"name": port_name, "port": port, "protocol": "TCP", "targetPort": port_name}]},
                "status": {"loadBalancer": {}}});
            self.plain.insert(at.clone(), object);
            self.touch_object(&at);
        }
    }

    /// Looks at the pods that changed.
    pub fn observe(&mut self) {
        for id in std::mem::take(&mut self.noted) {
            let now = self.pods.get(&id).and_then(|p| self.pod_now(p));
            self.telemetry.pod(i64::from(id), now.as_ref(), self.now);
        }
    }

    /// `None` for what has no main container.
    fn pod_now(&self, p: &Pod) -> Option<PodNow> {
        let main = p.template.containers.iter().position(|c| c.role == Role::Main)?;
        let c = p.containers.get(main)?;
        let (since, waiting) = match c.state {
            State::Running(since) => (Some(since), None),
            State::Waiting(why) if why != "ContainerCreating" && why != "PodInitializing" => (None, Some(why)),
            State::Waiting(_) | State::Ended(_) => (None, None),
        };
        Some(PodNow {
            namespace: p.ns.clone(),
            name: p.name.clone(),
            workload: p.profile.workload.clone(),
            container: p.template.containers.get(main)?.name.clone(),
            ip: p.pod_ip(),
            node: p.node.clone().unwrap_or_default(),
            created: p.created,
            since: since.filter(|_| p.phase == Phase::Running),
            restarts: c.restarts,
            ended: c.last.map(|l| l.finished),
            ready: p.ready && !p.lost && p.deletion.is_none(),
            lost: p.lost,
            unwell: self.behaviour(p, main) != Behaviour::Healthy,
            waiting,
        })
    }
}

/// What a node says of itself; `None` is nothing.
fn heard(link: Link) -> Option<bool> {
    match link {
        Link::Up => Some(true),
        Link::NotReady => Some(false),
        Link::Lost => None,
    }
}
