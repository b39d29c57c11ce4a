//! What happens to nodes: heartbeats, leases, losing them and getting them back, evictions.

use std::sync::Arc;

use serde_json::{Value, json};

use super::meta::{Meta, Obj, Ref, micro_time};
use super::node::{Link, Node, Taint, down_taint};
use super::pod::PodId;
use super::rng::uuid;
use super::world::{Due, Touched, World};
use crate::sim::backend::ObjectKind;

/// The node's lease, renewed now unless nothing is heard of it.
pub fn lease(n: &Node, now: i64) -> Value {
    let renewed = if n.link == Link::Up { now } else { n.link_at };
    let meta = Meta {
        at: Ref { kind: ObjectKind::Lease, ns: "kube-node-lease".into(), name: n.name().clone() },
        uid: n.meta.uid ^ 0xFFFF_FFFF,
        created: n.meta.created,
        labels: Obj::new(),
        annotations: Obj::new(),
        generation: 0,
        owner: None,
    };
    let mut meta = meta.render();
    meta.insert(
        "ownerReferences".into(),
        json!([{"apiVersion": "v1", "kind": "Node", "name": &**n.name(), "uid": uuid(n.meta.uid)}]),
    );
    json!({"metadata": meta, "spec": {"holderIdentity": &**n.name(), "leaseDurationSeconds": 40,
                                      "renewTime": micro_time(renewed)}})
}

impl World {
    pub fn node_ref(name: &Arc<str>) -> Ref {
        Ref { kind: ObjectKind::Node, ns: "".into(), name: name.clone() }
    }

    /// The kubelet posts its status every five minutes when nothing changes.
    pub fn heartbeat(&mut self, name: &Arc<str>) {
        let now = self.now;
        let Some(n) = self.nodes.get_mut(name) else { return };
        if n.link != Link::Lost {
            n.heartbeat = now;
            self.touch_object(&Self::node_ref(name));
        }
        self.after(300_000, Due::Heartbeat(name.clone()));
    }

    /// The kubelet renews its lease: every 10 s, on large clusters every minute to stay cheap.
    pub fn renew_lease(&mut self, name: &Arc<str>) {
        let Some(n) = self.nodes.get(name) else { return };
        if n.link == Link::Up {
            self.touch(Touched::Object(Ref {
                kind: ObjectKind::Lease,
                ns: "kube-node-lease".into(),
                name: name.clone(),
            }));
        }
        let every = if self.nodes.len() > 50 { 60_000 } else { 10_000 };
        self.after(every, Due::Lease(name.clone()));
    }

    /// A node is lost, or says that it is not ready, or is back.
    pub fn set_link(&mut self, name: &Arc<str>, link: Link) {
        let now = self.now;
        let Some(n) = self.nodes.get_mut(name) else { return };
        if n.link == link {
            return;
        }
        n.link = link;
        n.link_at = now;
        n.taints
            .retain(|t| !["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"].contains(&t.key.as_str()));
        if let Some(key) = down_taint(link) {
            for effect in ["NoSchedule", "NoExecute"] {
                let added = (effect == "NoExecute").then_some(now);
                n.taints.push(Taint { key: key.into(), value: String::new(), effect: effect.into(), added });
            }
        } else {
            n.heartbeat = now;
        }
        let pods: Vec<PodId> = n.pods.iter().copied().collect();
        self.note_node(name, link);
        let at = Self::node_ref(name);
        self.touch_object(&at);
        let (reason, word) =
            if link == Link::Up { ("NodeReady", "NodeReady") } else { ("NodeNotReady", "NodeNotReady") };
        self.object_event(&at, "Normal", reason, &format!("Node {name} status is now: {word}"));
        for id in pods {
            self.set_pod_lost(id, link != Link::Up);
        }
        if link == Link::Up {
            self.kick();
        } else {
            self.after(self.eviction_after, Due::Evict(name.clone(), now));
        }
        self.enqueue_daemons();
    }

    fn set_pod_lost(&mut self, id: PodId, lost: bool) {
        let now = self.now;
        let Some(p) = self.pods.get_mut(&id) else { return };
        if p.finished() || p.lost == lost {
            return;
        }
        p.lost = lost;
        if p.ready {
            p.ready_at = now;
        }
        let owner = p.owner.as_ref().map(|o| o.at.clone());
        self.touch_pod(id);
        if lost {
            self.pod_event(id, "Warning", "NodeNotReady", "Node is not ready", None);
        }
        if let Some(o) = owner {
            self.enqueue(&o);
        }
    }

    /// The toleration of a node's pods is over, if the node is still in the state of `since`.
    pub fn evict(&mut self, name: &Arc<str>, since: i64) {
        let Some(n) = self.nodes.get(name) else { return };
        let Some(key) = down_taint(n.link).filter(|_| n.link_at == since) else { return };
        let pods: Vec<PodId> = n.pods.iter().copied().collect();
        for id in pods {
            let Some(p) = self.pods.get(&id) else { continue };
            if !p.active() || p.template.tolerates(key, "", "NoExecute") {
                continue;
            }
            if p.owner.as_ref().is_some_and(|o| o.at.kind == ObjectKind::DaemonSet) {
                continue;
            }
            let message = format!("Marking for deletion Pod {}/{}", p.ns, p.name);
            self.pod_event(id, "Normal", "TaintManagerEviction", &message, None);
            self.delete_pod(id);
        }
    }

    /// Nodes changed: daemon sets may want more or fewer pods.
    pub fn enqueue_daemons(&mut self) {
        let all: Vec<Ref> = self.controllers.keys().filter(|r| r.kind == ObjectKind::DaemonSet).cloned().collect();
        self.queue.extend(all);
    }

    /// A client cordoned, uncordoned or tainted a node.
    pub fn cordon(&mut self, name: &Arc<str>, on: bool) {
        let now = self.now;
        let Some(n) = self.nodes.get_mut(name) else { return };
        let key = "node.kubernetes.io/unschedulable";
        n.taints.retain(|t| t.key != key);
        if on {
            let effect = "NoSchedule".to_owned();
            n.taints.push(Taint { key: key.into(), value: String::new(), effect, added: Some(now) });
        }
        if n.unschedulable != on {
            n.unschedulable = on;
            let at = Self::node_ref(name);
            let word = if on { "NodeNotSchedulable" } else { "NodeSchedulable" };
            self.object_event(&at, "Normal", word, &format!("Node {name} status is now: {word}"));
        }
        self.kick();
    }

    /// A node is deleted: its pods go, at once and without grace.
    pub fn remove_node(&mut self, name: &Arc<str>) {
        let Some(n) = self.nodes.remove(name) else { return };
        self.node_order.retain(|o| o != name);
        for id in n.pods {
            self.remove_pod(id);
        }
        self.gone(Self::node_ref(name));
        self.gone(Ref { kind: ObjectKind::Lease, ns: "kube-node-lease".into(), name: name.clone() });
        self.enqueue_daemons();
    }
}
