//! From a scenario's workload to the JSON of its objects.

use serde_json::{Value, json};

use super::meta::{Obj, map_of};
use super::profile::Profile;
use super::scenario::{ContainerDef, Kind, TolerationDef, WorkloadDef};

/// What is known of a workload beyond its object.
pub fn profile(w: &WorkloadDef) -> Profile {
    Profile {
        workload: w.name.as_str().into(),
        ready_after: w.ready_after.0,
        load: w.load,
        memory: w.memory_use,
        logs: w.logs,
        stops: w.stops_after.map(|s| s.0),
        duration: w.duration.0,
        fails: w.fails,
    }
}

/// The labels of a workload and its pods.
pub fn labels(w: &WorkloadDef) -> Obj {
    map_of(&json!({"app.kubernetes.io/name": w.name, "app.kubernetes.io/part-of": w.namespace.get_ref()}))
}

/// What selects a workload's pods.
pub fn selector(w: &WorkloadDef) -> Value {
    json!({"matchLabels": {"app.kubernetes.io/name": w.name}})
}

fn resources(
    cpu: Option<&String>,
    memory: Option<&String>,
    cpu_limit: Option<&String>,
    memory_limit: Option<&String>,
) -> Value {
    let pair = |cpu: Option<&String>, memory: Option<&String>| {
        let mut o = Obj::new();
        o.extend(cpu.map(|c| ("cpu".to_owned(), c.clone().into())));
        o.extend(memory.map(|m| ("memory".to_owned(), m.clone().into())));
        o
    };
    let mut out = Obj::new();
    for (key, o) in [("limits", pair(cpu_limit, memory_limit)), ("requests", pair(cpu, memory))] {
        if !o.is_empty() {
            out.insert(key.into(), o.into());
        }
    }
    out.into()
}

fn container(c: &ContainerDef) -> Value {
    json!({"name": c.name, "image": c.image,
           "resources": resources(c.cpu.as_ref(), c.memory.as_ref(), None, c.memory_limit.as_ref())})
}

/// The pod template with this image.
pub fn template(w: &WorkloadDef, image: &str) -> Value {
    let mut labels = labels(w);
    let version = image.rsplit_once(':').map_or("latest", |(_, v)| v);
    if !w.slim {
        labels.insert("app.kubernetes.io/version".into(), version.into());
    }
    let mut init: Vec<Value> = w.init.iter().map(container).collect();
    if w.mesh {
        let proxy = "docker.io/istio/proxyv2:1.27.3";
        init.push(json!({"name": "istio-init", "image": proxy,
            "args": ["istio-iptables", "-p", "15001", "-z", "15006", "-u", "1337"],
            "resources": {"requests": {"cpu": "10m", "memory": "40Mi"}, "limits": {"memory": "128Mi"}}}));
        init.push(json!({"name": "istio-proxy", "image": proxy, "restartPolicy": "Always",
            "args": ["proxy", "sidecar"], "ports": [{"containerPort": 15090, "name": "http-envoy-prom", "protocol": "TCP"}],
            "readinessProbe": probe("/healthz/ready", 15021),
            "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}}));
    }
    let mut main = json!({"name": w.name, "image": image, "resources": resources(
        w.cpu.as_ref(), w.memory.as_ref(), w.cpu_limit.as_ref(), w.memory_limit.as_ref())});
    let serves = matches!(w.kind, Kind::Deployment | Kind::StatefulSet);
    if serves && !w.slim {
        main["ports"] = json!([{"containerPort": 8080, "name": "http", "protocol": "TCP"}]);
        main["readinessProbe"] = probe("/ready", 8080);
        main["livenessProbe"] = probe("/live", 8080);
    }
    if w.config_map {
        main["envFrom"] = json!([{"configMapRef": {"name": format!("{}-config", w.name)}}]);
    }
    let mut containers = vec![main];
    containers.extend(w.extra.iter().map(container));
    let mut spec = json!({"terminationGracePeriodSeconds": w.grace.0 / 1000});
    if !init.is_empty() {
        spec["initContainers"] = init.into();
    }
    spec["containers"] = containers.into();
    if !w.node_selector.is_empty() {
        spec["nodeSelector"] = json!(w.node_selector);
    }
    let mut tolerations: Vec<Value> = w.tolerations.iter().map(toleration).collect();
    if w.kind == Kind::DaemonSet {
        tolerations.extend(daemon_tolerations());
    }
    if !tolerations.is_empty() {
        spec["tolerations"] = tolerations.into();
    }
    if let Some(p) = &w.priority_class {
        spec["priorityClassName"] = p.clone().into();
        spec["priority"] = match p.as_str() {
            "system-node-critical" => 2_000_001_000_i64,
            "system-cluster-critical" => 2_000_000_000,
            _ => 1000,
        }
        .into();
    }
    if w.host_network {
        spec["hostNetwork"] = true.into();
    }
    if w.slim {
        spec["automountServiceAccountToken"] = false.into();
    } else {
        spec["serviceAccountName"] = w.name.clone().into();
    }
    if matches!(w.kind, Kind::Job | Kind::CronJob) {
        spec["restartPolicy"] = "Never".into();
    }
    let mut annotations = Obj::new();
    if w.mesh {
        annotations.insert("kubectl.kubernetes.io/default-container".into(), w.name.clone().into());
        annotations.insert("sidecar.istio.io/status".into(), "{\"revision\":\"default\"}".into());
    }
    let mut meta = Obj::new();
    meta.insert("labels".into(), labels.into());
    if !annotations.is_empty() {
        meta.insert("annotations".into(), annotations.into());
    }
    let mut out = json!({"metadata": meta, "spec": spec});
    super::template::default_template(&mut out);
    out
}

fn probe(path: &str, port: u16) -> Value {
    json!({"httpGet": {"path": path, "port": port, "scheme": "HTTP"}, "initialDelaySeconds": 2, "periodSeconds": 10,
           "timeoutSeconds": 1, "successThreshold": 1, "failureThreshold": 3})
}

fn toleration(t: &TolerationDef) -> Value {
    let mut o = Obj::new();
    o.extend(t.key.as_ref().map(|k| ("key".to_owned(), k.clone().into())));
    match &t.value {
        Some(v) => {
            o.insert("operator".into(), "Equal".into());
            o.insert("value".into(), v.clone().into());
        }
        None => {
            o.insert("operator".into(), "Exists".into());
        }
    }
    o.into()
}

/// What the daemon set controller adds.
pub fn daemon_tolerations() -> Vec<Value> {
    [
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
    ]
    .into_iter()
    .map(|(k, effect)| json!({"key": format!("node.kubernetes.io/{k}"), "operator": "Exists", "effect": effect}))
    .collect()
}

/// A number where it is one, else the text: `2`, `"25%"`.
fn int_or_text(s: &str) -> Value {
    s.parse::<i64>().map_or_else(|_| s.into(), Value::from)
}

/// The workload's own `spec`, its template included.
pub fn spec(w: &WorkloadDef, image: &str) -> Value {
    let template = template(w, image);
    match w.kind {
        Kind::Deployment => {
            let text = |v: &Option<String>| int_or_text(v.as_deref().unwrap_or("25%"));
            let strategy = if w.recreate {
                json!({"type": "Recreate"})
            } else {
                json!({"type": "RollingUpdate", "rollingUpdate":
                    {"maxSurge": text(&w.max_surge), "maxUnavailable": text(&w.max_unavailable)}})
            };
            json!({"replicas": w.replicas, "selector": selector(w), "template": template, "strategy": strategy,
                   "revisionHistoryLimit": 10, "progressDeadlineSeconds": w.progress_deadline.0 / 1000})
        }
        Kind::StatefulSet => json!({"replicas": w.replicas, "selector": selector(w), "template": template,
            "serviceName": w.name, "podManagementPolicy": "OrderedReady",
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "revisionHistoryLimit": 10,
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"}}),
        Kind::DaemonSet => json!({"selector": selector(w), "template": template, "revisionHistoryLimit": 10,
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}}),
        Kind::Job => job_spec(w, &template),
        Kind::CronJob => json!({"schedule": w.schedule.as_ref().map(|s| s.get_ref().clone()),
            "concurrencyPolicy": "Forbid", "suspend": false, "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 1,
            "jobTemplate": {"metadata": {"labels": labels(w)}, "spec": job_spec(w, &template)}}),
    }
}

fn job_spec(w: &WorkloadDef, template: &Value) -> Value {
    let n = w.completions.unwrap_or(1);
    json!({"parallelism": w.replicas.min(n), "completions": n, "backoffLimit": 3, "template": template})
}

/// A budget's spec.
pub fn pdb_spec(w: &WorkloadDef) -> Option<Value> {
    let p = w.pdb.as_ref()?;
    let mut o = Obj::new();
    o.extend(p.min_available.as_ref().map(|v| ("minAvailable".to_owned(), int_or_text(v))));
    o.extend(p.max_unavailable.as_ref().map(|v| ("maxUnavailable".to_owned(), int_or_text(v))));
    o.insert("selector".into(), selector(w));
    Some(o.into())
}

/// An autoscaler's spec.
pub fn hpa_spec(w: &WorkloadDef) -> Option<Value> {
    let h = w.hpa.as_ref()?;
    Some(json!({"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": w.name},
        "minReplicas": h.min, "maxReplicas": h.max,
        "metrics": [{"type": "Resource", "resource":
            {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": h.cpu}}}]}))
}

/// The version before, `1.42.0` from `1.42.1`, or after: the last number of the tag is moved.
pub fn other_version(image: &str, by: i64) -> String {
    let start = image.rfind(|c: char| !c.is_ascii_digit()).map_or(0, |i| i + 1);
    match image[start..].parse::<i64>() {
        Ok(n) => format!("{}{}", &image[..start], (n + by).max(0)),
        Err(_) => format!("{image}-{}", by.abs()),
    }
}
