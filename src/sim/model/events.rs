//! Events: counted when they repeat, gone after an hour.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use super::meta::{Ms, Obj, Ref, api_version, kind_name, time};
use super::pod::PodId;
use super::rng::{hash, hash2, uuid};
use super::template::Role;
use super::world::{Due, Touched, World};
use crate::sim::backend::ObjectKind;

/// How long an event is kept after it last happened.
pub const KEPT: Ms = 3_600_000;

#[derive(Debug)]
pub struct Event {
    pub at: Ref,
    name: String,
    key: u64,
    uid: u128,
    about: Ref,
    about_uid: String,
    field: Option<String>,
    kind: &'static str,
    reason: Arc<str>,
    message: String,
    component: &'static str,
    host: Arc<str>,
    annotations: Obj,
    /// It is about a certificate, a kind that this API does not serve.
    certificate: bool,
    pub first: Ms,
    pub last: Ms,
    pub count: u32,
}

#[derive(Debug, Default)]
pub struct Events {
    pub all: BTreeMap<u64, Event>,
    by_key: HashMap<u64, u64>,
    next: u64,
}

impl Events {
    /// The last one is about a certificate.
    pub fn of_certificate(&mut self) {
        if let Some(e) = self.all.get_mut(&self.next) {
            e.certificate = true;
        }
    }

    pub fn render(&self, id: u64) -> Option<Value> {
        let e = self.all.get(&id)?;
        let mut about = json!({"kind": kind_name(e.about.kind), "name": &*e.about.name, "uid": e.about_uid,
                               "apiVersion": api_version(e.about.kind)});
        if !e.about.ns.is_empty() {
            about["namespace"] = (&*e.about.ns).into();
        }
        if let Some(f) = &e.field {
            about["fieldPath"] = f.clone().into();
        }
        if e.certificate {
            (about["kind"], about["apiVersion"]) = ("Certificate".into(), "cert-manager.io/v1".into());
        }
        let mut source = json!({"component": e.component});
        if !e.host.is_empty() {
            source["host"] = (&*e.host).into();
        }
        let mut meta = json!({"name": e.name, "namespace": &*e.at.ns, "uid": uuid(e.uid),
                              "creationTimestamp": time(e.first)});
        if !e.annotations.is_empty() {
            meta["annotations"] = e.annotations.clone().into();
        }
        Some(json!({
            "metadata": meta,
            "involvedObject": about,
            "reason": &*e.reason, "message": e.message, "type": e.kind, "count": e.count,
            "firstTimestamp": time(e.first), "lastTimestamp": time(e.last), "eventTime": null,
            "source": source, "reportingComponent": e.component, "reportingInstance": &*e.host,
        }))
    }
}

/// Who says what about what.
pub struct Said<'a> {
    pub about: &'a Ref,
    pub uid: String,
    pub kind: &'static str,
    pub reason: &'a str,
    pub message: &'a str,
    pub component: &'static str,
    pub host: Arc<str>,
    pub field: Option<String>,
    pub annotations: Obj,
}

impl World {
    /// Records an event, or counts it when it was said before.
    pub fn say(&mut self, s: Said<'_>) {
        if self.genesis {
            return;
        }
        let key = hash2(hash(&s.uid), hash2(hash(s.reason), hash(s.message)));
        let now = self.now;
        let known = self.events.by_key.get(&key).copied().filter(|id| self.events.all.contains_key(id));
        if let Some(id) = known {
            if let Some(e) = self.events.all.get_mut(&id) {
                e.count += 1;
                e.last = now;
            }
            self.touch(Touched::Event(id));
            return;
        }
        self.events.next += 1;
        let id = self.events.next;
        let ns: &str = if s.about.ns.is_empty() { "default" } else { &s.about.ns };
        let name = format!("{}.{:016x}", s.about.name, hash2(key, now as u64) >> 4 | 0x1000_0000_0000_0000);
        let event = Event {
            at: Ref::new(ObjectKind::Event, ns, &name),
            name,
            key,
            uid: self.rng.uid(),
            about: s.about.clone(),
            about_uid: s.uid,
            field: s.field,
            kind: s.kind,
            reason: s.reason.into(),
            message: s.message.to_owned(),
            component: s.component,
            host: s.host,
            annotations: s.annotations,
            certificate: false,
            first: now,
            last: now,
            count: 1,
        };
        self.events.all.insert(id, event);
        self.events.by_key.insert(key, id);
        self.touch(Touched::Event(id));
        self.after(KEPT, Due::ExpireEvent(id));
    }

    /// Drops an event whose hour is over.
    pub fn expire_event(&mut self, id: u64) {
        let Some(e) = self.events.all.get(&id) else { return };
        let until = e.last + KEPT;
        if until > self.now {
            self.at(until, Due::ExpireEvent(id));
            return;
        }
        if let Some(e) = self.events.all.remove(&id) {
            self.events.by_key.remove(&e.key);
            self.gone(e.at);
        }
    }

    /// What the kubelet or the scheduler says about a pod; `container` for one of its containers.
    pub fn pod_event(&mut self, id: PodId, kind: &'static str, reason: &str, message: &str, container: Option<&str>) {
        let Some(p) = self.pods.get(&id) else { return };
        let about = Ref { kind: ObjectKind::Pod, ns: p.ns.clone(), name: p.name.clone() };
        let field = container.map(|c| {
            let main = p.template.containers.iter().any(|s| &*s.name == c && s.role == Role::Main);
            format!("spec.{}{{{c}}}", if main { "containers" } else { "initContainers" })
        });
        let (component, host) = match reason {
            "Scheduled" | "FailedScheduling" => ("default-scheduler", Arc::from("")),
            "NodeNotReady" => ("node-controller", Arc::from("")),
            "Evicted" => ("karpenter", Arc::from("")),
            "PodEviction" => ("aws-node-termination-handler", Arc::from("")),
            "TaintManagerEviction" => ("taint-eviction-controller", Arc::from("")),
            _ => ("kubelet", p.node.clone().unwrap_or_else(|| Arc::from(""))),
        };
        let uid = uuid(p.uid);
        self.say(Said { about: &about, uid, kind, reason, message, component, host, field, annotations: Obj::new() });
    }

    /// What a controller says about an object.
    pub fn object_event(&mut self, at: &Ref, kind: &'static str, reason: &str, message: &str) {
        let uid = match at.kind {
            ObjectKind::Node => self.nodes.get(&at.name).map(|_| at.name.to_string()),
            ObjectKind::HorizontalPodAutoscaler => self.hpas.get(at).map(|h| uuid(h.meta.uid)),
            _ => self.controllers.get(at).map(|c| uuid(c.meta.uid)),
        };
        let Some(uid) = uid else { return };
        let component = match at.kind {
            ObjectKind::Node if reason.starts_with("NodeNotReady") || reason == "RegisteredNode" => "node-controller",
            ObjectKind::Node => "kubelet",
            ObjectKind::Deployment => "deployment-controller",
            ObjectKind::ReplicaSet => "replicaset-controller",
            ObjectKind::StatefulSet => "statefulset-controller",
            ObjectKind::DaemonSet => "daemonset-controller",
            ObjectKind::Job => "job-controller",
            ObjectKind::CronJob => "cronjob-controller",
            ObjectKind::HorizontalPodAutoscaler => "horizontal-pod-autoscaler",
            _ => "controllermanager",
        };
        let host = if component == "kubelet" { at.name.clone() } else { Arc::from("") };
        self.say(Said { about: at, uid, kind, reason, message, component, host, field: None, annotations: Obj::new() });
    }

    /// What somebody says about a node, with annotations.
    pub fn node_event(
        &mut self,
        name: &Arc<str>,
        kind: &'static str,
        (component, reason): (&'static str, &str),
        message: &str,
        annotations: Obj,
    ) {
        let Some(uid) = self.nodes.get(name).map(|n| uuid(n.meta.uid)) else { return };
        let about = Self::node_ref(name);
        let host = Arc::from("");
        self.say(Said { about: &about, uid, kind, reason, message, component, host, field: None, annotations });
    }
}
