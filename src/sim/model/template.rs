//! Pod templates: defaults filled in, and the few facts the model acts on.

use std::sync::Arc;

use serde_json::{Value, json};

use super::meta::{Obj, map_of};
use super::rng::{hash, hash2, letters};
use crate::domain::{Bytes, Millicores};

/// What a container is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Runs to its end before the others start.
    Init,
    /// An init container that keeps running.
    Sidecar,
    /// An ordinary container.
    Main,
}

/// A container of a template.
#[derive(Debug, Clone)]
pub struct ContainerSpec {
    pub name: Arc<str>,
    pub image: Arc<str>,
    pub role: Role,
    pub cpu: u64,
    pub memory: u64,
    pub memory_limit: u64,
}

/// A taint's toleration.
#[derive(Debug, Clone)]
pub struct Toleration {
    pub key: String,
    pub value: Option<String>,
    pub effect: String,
    pub forever: bool,
}

/// A parsed pod template, shared by its pods.
#[derive(Debug)]
pub struct Template {
    pub labels: Obj,
    pub annotations: Obj,
    /// The pod's `spec`, but for `nodeName`.
    pub pod_spec: Obj,
    pub containers: Vec<ContainerSpec>,
    pub hash: String,
    pub qos: &'static str,
    pub cpu: u64,
    pub memory: u64,
    pub selector: Obj,
    pub tolerations: Vec<Toleration>,
    pub restart_policy: &'static str,
    pub grace: i64,
}

/// Fills in what the API server would, in place.
pub fn default_template(template: &mut Value) {
    if !template.is_object() {
        *template = json!({});
    }
    if !template["metadata"].is_object() {
        template["metadata"] = json!({});
    }
    if !template["spec"].is_object() {
        template["spec"] = json!({});
    }
    let Some(spec) = template["spec"].as_object_mut() else { return };
    for (k, v) in [
        ("restartPolicy", json!("Always")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("dnsPolicy", json!("ClusterFirst")),
        ("securityContext", json!({})),
        ("schedulerName", json!("default-scheduler")),
    ] {
        spec.entry(k).or_insert(v);
    }
    for list in ["initContainers", "containers"] {
        for c in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(c) = c.as_object_mut() else { continue };
            for (k, v) in [
                ("resources", json!({})),
                ("terminationMessagePath", json!("/dev/termination-log")),
                ("terminationMessagePolicy", json!("File")),
                ("imagePullPolicy", json!("IfNotPresent")),
            ] {
                c.entry(k).or_insert(v);
            }
        }
    }
}

impl Template {
    /// Reads a defaulted template.
    pub fn parse(template: &Value) -> Self {
        let spec = &template["spec"];
        let mut containers = Vec::new();
        for c in spec["initContainers"].as_array().into_iter().flatten() {
            let role = if c["restartPolicy"] == "Always" { Role::Sidecar } else { Role::Init };
            containers.push(container(c, role));
        }
        for c in spec["containers"].as_array().into_iter().flatten() {
            containers.push(container(c, Role::Main));
        }
        let tolerations = spec["tolerations"].as_array().into_iter().flatten().map(toleration).collect();
        let (cpu, memory) = requests(&containers);
        Self {
            labels: map_of(&template["metadata"]["labels"]),
            annotations: map_of(&template["metadata"]["annotations"]),
            pod_spec: pod_spec(spec),
            hash: letters(canonical(template), 10),
            qos: qos(spec),
            cpu,
            memory,
            selector: map_of(&spec["nodeSelector"]),
            tolerations,
            restart_policy: match spec["restartPolicy"].as_str() {
                Some("Never") => "Never",
                Some("OnFailure") => "OnFailure",
                _ => "Always",
            },
            grace: spec["terminationGracePeriodSeconds"].as_i64().unwrap_or(30).clamp(0, 86_400),
            containers,
        }
    }

    /// Whether a pod of this template tolerates a taint for good.
    pub fn tolerates(&self, key: &str, value: &str, effect: &str) -> bool {
        self.tolerations.iter().any(|t| {
            t.forever
                && (t.key.is_empty() || t.key == key)
                && t.value.as_deref().is_none_or(|v| v == value)
                && (t.effect.is_empty() || t.effect == effect)
        })
    }
}

/// A hash that does not depend on the order of keys: a rollback finds the old
/// replica set though a client has sorted them.
fn canonical(v: &Value) -> u64 {
    match v {
        Value::Object(o) => o.iter().fold(7, |h: u64, (k, v)| h.wrapping_add(hash2(hash(k), canonical(v)))),
        Value::Array(a) => a.iter().fold(11, |h, v| hash2(h, canonical(v))),
        other => hash(&other.to_string()),
    }
}

fn toleration(t: &Value) -> Toleration {
    let text = |k: &str| t[k].as_str().unwrap_or_default().to_owned();
    Toleration {
        key: text("key"),
        value: (t["operator"] != "Exists").then(|| text("value")),
        effect: text("effect"),
        forever: t["tolerationSeconds"].is_null(),
    }
}

fn container(c: &Value, role: Role) -> ContainerSpec {
    let r = &c["resources"];
    let cpu = |v: &Value| v["cpu"].as_str().and_then(Millicores::parse).map_or(0, |m| m.0);
    let memory = |v: &Value| v["memory"].as_str().and_then(Bytes::parse).map_or(0, |b| b.0);
    let either = |a: u64, b: u64| if a > 0 { a } else { b };
    ContainerSpec {
        name: c["name"].as_str().unwrap_or("main").into(),
        image: c["image"].as_str().unwrap_or_default().into(),
        role,
        cpu: either(cpu(&r["requests"]), cpu(&r["limits"])),
        memory: either(memory(&r["requests"]), memory(&r["limits"])),
        memory_limit: memory(&r["limits"]),
    }
}

/// The scheduler's sum: containers and sidecars, or the largest init
/// container beside the sidecars started before it.
fn requests(containers: &[ContainerSpec]) -> (u64, u64) {
    let (mut cpu, mut memory, mut init_cpu, mut init_memory) = (0, 0, 0, 0);
    for c in containers {
        if c.role == Role::Init {
            init_cpu = init_cpu.max(cpu + c.cpu);
            init_memory = init_memory.max(memory + c.memory);
        } else {
            cpu += c.cpu;
            memory += c.memory;
        }
    }
    (cpu.max(init_cpu), memory.max(init_memory))
}

fn qos(spec: &Value) -> &'static str {
    let lists = ["initContainers", "containers"];
    let all = || lists.iter().flat_map(|l| spec[*l].as_array().into_iter().flatten());
    let some = |v: &Value| v.as_object().is_some_and(|o| !o.is_empty());
    if !all().any(|c| some(&c["resources"]["requests"]) || some(&c["resources"]["limits"])) {
        return "BestEffort";
    }
    let guaranteed = all().all(|c| {
        let r = &c["resources"];
        ["cpu", "memory"].iter().all(|k| {
            r["limits"][*k].is_string() && (r["requests"][*k].is_null() || r["requests"][*k] == r["limits"][*k])
        })
    });
    if guaranteed { "Guaranteed" } else { "Burstable" }
}

fn pod_spec(spec: &Value) -> Obj {
    let mut out = map_of(spec);
    out.entry("serviceAccountName").or_insert_with(|| json!("default"));
    let account = out["serviceAccountName"].clone();
    out.entry("serviceAccount").or_insert(account);
    out.entry("enableServiceLinks").or_insert(json!(true));
    out.entry("priority").or_insert(json!(0));
    out.entry("preemptionPolicy").or_insert(json!("PreemptLowerPriority"));
    let tolerations = out.entry("tolerations").or_insert_with(|| json!([]));
    if let Some(list) = tolerations.as_array_mut() {
        for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
            if !list.iter().any(|t| t["key"] == key || (t["operator"] == "Exists" && t["key"].is_null())) {
                list.push(json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}));
            }
        }
    }
    if out.get("automountServiceAccountToken") != Some(&json!(false)) {
        mount_token(&mut out);
    }
    out
}

fn mount_token(spec: &mut Obj) {
    let name = format!("kube-api-access-{}", letters(hash(&Value::from(spec.clone()).to_string()), 5));
    for list in ["initContainers", "containers"] {
        for c in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(c) = c.as_object_mut() else { continue };
            let mounts = c.entry("volumeMounts").or_insert_with(|| json!([]));
            if let Some(m) = mounts.as_array_mut() {
                m.push(json!({"name": name, "readOnly": true,
                              "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}));
            }
        }
    }
    if let Some(v) = spec.entry("volumes").or_insert_with(|| json!([])).as_array_mut() {
        v.push(json!({"name": name, "projected": {"defaultMode": 420, "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace",
                "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}}]}}));
    }
}
