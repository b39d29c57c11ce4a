//! Names, metadata and times as the API writes them.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::rng::uuid;
use crate::sim::backend::ObjectKind;

/// Milliseconds since the epoch: the model's time.
pub type Ms = i64;
/// A JSON object.
pub type Obj = Map<String, Value>;

/// The identity of an object other than a pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ref {
    pub kind: ObjectKind,
    pub ns: Arc<str>,
    pub name: Arc<str>,
}

impl Ref {
    pub fn new(kind: ObjectKind, ns: &str, name: &str) -> Self {
        Self { kind, ns: ns.into(), name: name.into() }
    }
}

/// A controlling owner.
#[derive(Debug, Clone)]
pub struct Owner {
    pub at: Ref,
    pub uid: u128,
}

/// `metadata`, without what the façade adds.
#[derive(Debug, Clone)]
pub struct Meta {
    pub at: Ref,
    pub uid: u128,
    pub created: Ms,
    pub labels: Obj,
    pub annotations: Obj,
    pub generation: i64,
    pub owner: Option<Owner>,
}

impl Meta {
    pub fn render(&self) -> Obj {
        let mut m = Obj::new();
        m.insert("name".into(), (&*self.at.name).into());
        if !self.at.ns.is_empty() {
            m.insert("namespace".into(), (&*self.at.ns).into());
        }
        m.insert("uid".into(), uuid(self.uid).into());
        m.insert("creationTimestamp".into(), time(self.created).into());
        if self.generation > 0 {
            m.insert("generation".into(), self.generation.into());
        }
        if !self.labels.is_empty() {
            m.insert("labels".into(), self.labels.clone().into());
        }
        if !self.annotations.is_empty() {
            m.insert("annotations".into(), self.annotations.clone().into());
        }
        if let Some(o) = &self.owner {
            m.insert("ownerReferences".into(), owner_json(o));
        }
        m
    }
}

/// The `ownerReferences` list of one controller.
pub fn owner_json(o: &Owner) -> Value {
    json!([{"apiVersion": api_version(o.at.kind), "kind": kind_name(o.at.kind), "name": &*o.at.name,
            "uid": uuid(o.uid), "controller": true, "blockOwnerDeletion": true}])
}

/// The group and version of a kind.
pub fn api_version(kind: ObjectKind) -> &'static str {
    use ObjectKind as K;
    match kind {
        K::Deployment | K::ReplicaSet | K::StatefulSet | K::DaemonSet => "apps/v1",
        K::Job | K::CronJob => "batch/v1",
        K::HorizontalPodAutoscaler => "autoscaling/v2",
        K::PodDisruptionBudget => "policy/v1",
        K::Lease => "coordination.k8s.io/v1",
        K::Node | K::Namespace | K::Pod | K::Event | K::Service | K::ConfigMap => "v1",
    }
}

/// The kind's own name.
pub fn kind_name(kind: ObjectKind) -> &'static str {
    use ObjectKind as K;
    match kind {
        K::Node => "Node",
        K::Namespace => "Namespace",
        K::Pod => "Pod",
        K::Deployment => "Deployment",
        K::ReplicaSet => "ReplicaSet",
        K::StatefulSet => "StatefulSet",
        K::DaemonSet => "DaemonSet",
        K::Job => "Job",
        K::CronJob => "CronJob",
        K::Event => "Event",
        K::HorizontalPodAutoscaler => "HorizontalPodAutoscaler",
        K::PodDisruptionBudget => "PodDisruptionBudget",
        K::Service => "Service",
        K::ConfigMap => "ConfigMap",
        K::Lease => "Lease",
    }
}

/// Year, month, day, hour, minute, second (UTC) and weekday (0 is Sunday).
pub fn civil(ms: Ms) -> (i64, u32, u32, u32, u32, u32, u32) {
    let secs = ms.div_euclid(1000);
    let (days, sod) = (secs.div_euclid(86_400), secs.rem_euclid(86_400));
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    let (h, m, s) = (sod / 3600, sod / 60 % 60, sod % 60);
    let weekday = (days + 4).rem_euclid(7);
    (year, month as u32, (doy - (153 * mp + 2) / 5 + 1) as u32, h as u32, m as u32, s as u32, weekday as u32)
}

/// RFC 3339 with seconds, as `metav1.Time`.
pub fn time(ms: Ms) -> String {
    let (y, mo, d, h, mi, s, _) = civil(ms);
    format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}Z")
}

/// RFC 3339 with microseconds, as `metav1.MicroTime`.
pub fn micro_time(ms: Ms) -> String {
    let (y, mo, d, h, mi, s, _) = civil(ms);
    format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}.{:03}000Z", ms.rem_euclid(1000))
}

/// Sets a condition; its transition time moves only when its status does.
/// True when anything changed.
pub fn set_condition(list: &mut Vec<Value>, now: Ms, kind: &str, status: bool, reason: &str, message: &str) -> bool {
    let status = if status { "True" } else { "False" };
    let at = time(now);
    let found = list.iter_mut().find(|c| c["type"] == kind);
    let Some(c) = found else {
        list.push(json!({"type": kind, "status": status, "lastUpdateTime": at, "lastTransitionTime": at,
                         "reason": reason, "message": message}));
        return true;
    };
    if c["status"] == status && c["reason"] == reason && c["message"] == message {
        return false;
    }
    if c["status"] != status {
        c["status"] = status.into();
        c["lastTransitionTime"] = at.clone().into();
    }
    c["lastUpdateTime"] = at.into();
    c["reason"] = reason.into();
    c["message"] = message.into();
    true
}

/// An object's map, or an empty one.
pub fn map_of(v: &Value) -> Obj {
    v.as_object().cloned().unwrap_or_default()
}
