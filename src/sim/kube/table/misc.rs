//! Nodes, events, autoscalers, disruption budgets and services.

use serde_json::Value;

use super::{created, items, labels_text, n, name, or, s, since};
use crate::domain::Timestamp;

pub(super) fn node(o: &Value, now: Timestamp) -> Vec<Value> {
    let ready = items(o, "/status/conditions").iter().rfind(|c| s(c, "/type") == "Ready");
    let mut status = match ready {
        Some(c) if s(c, "/status") == "True" => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if o.pointer("/spec/unschedulable") == Some(&Value::Bool(true)) {
        status.push_str(",SchedulingDisabled");
    }
    let address = |kind: &str| {
        let found = items(o, "/status/addresses").iter().find(|a| s(a, "/type") == kind);
        found.map_or("<none>", |a| s(a, "/address"))
    };
    let info = |key: &str| or(s(o, &format!("/status/nodeInfo/{key}")), "<unknown>").to_owned();
    let mut kernel = info("kernelVersion");
    let architecture = s(o, "/status/nodeInfo/architecture");
    if !architecture.is_empty() {
        kernel = format!("{kernel} ({architecture})");
    }
    vec![
        name(o),
        status.into(),
        roles(o).into(),
        created(o, now),
        s(o, "/status/nodeInfo/kubeletVersion").into(),
        address("InternalIP").into(),
        address("ExternalIP").into(),
        info("osImage").into(),
        kernel.into(),
        info("containerRuntimeVersion").into(),
    ]
}

fn roles(o: &Value) -> String {
    let mut roles: Vec<&str> = Vec::new();
    for (key, value) in o.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten() {
        let role = match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => role,
            None if key == "kubernetes.io/role" => value.as_str().unwrap_or_default(),
            None => continue,
        };
        if !role.is_empty() {
            roles.push(role);
        }
    }
    roles.sort_unstable();
    roles.dedup();
    or(&roles.join(","), "<none>").to_owned()
}

pub(super) fn event(o: &Value, now: Timestamp) -> Vec<Value> {
    let first = match s(o, "/firstTimestamp") {
        "" => since(o, "/eventTime", now),
        _ => since(o, "/firstTimestamp", now),
    };
    let mut last = match s(o, "/lastTimestamp") {
        "" => first.clone(),
        _ => since(o, "/lastTimestamp", now),
    };
    let mut count = n(o, "/count");
    if o.get("series").is_some_and(Value::is_object) {
        last = since(o, "/series/lastObservedTime", now);
        count = n(o, "/series/count");
    } else if count == 0 {
        count = 1;
    }
    let kind = s(o, "/involvedObject/kind").to_lowercase();
    let target = match s(o, "/involvedObject/name") {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    let component = or(s(o, "/source/component"), s(o, "/reportingComponent"));
    let source = match or(s(o, "/source/host"), s(o, "/reportingInstance")) {
        "" => component.to_owned(),
        instance => format!("{component}, {instance}"),
    };
    vec![
        last.into(),
        s(o, "/type").into(),
        s(o, "/reason").into(),
        target.into(),
        s(o, "/involvedObject/fieldPath").into(),
        source.into(),
        s(o, "/message").trim().into(),
        first.into(),
        count.into(),
        name(o),
    ]
}

pub(super) fn autoscaler(o: &Value, now: Timestamp) -> Vec<Value> {
    let target = format!("{}/{}", s(o, "/spec/scaleTargetRef/kind"), s(o, "/spec/scaleTargetRef/name"));
    let least = o.pointer("/spec/minReplicas").and_then(Value::as_i64);
    vec![
        name(o),
        target.into(),
        metrics(o).into(),
        least.map_or_else(|| "<unset>".to_owned(), |m| m.to_string()).into(),
        n(o, "/spec/maxReplicas").into(),
        n(o, "/status/currentReplicas").into(),
        created(o, now),
    ]
}

/// `formatHPAMetrics`: at most two, the rest as a count.
fn metrics(o: &Value) -> String {
    const MOST: usize = 2;
    let specs = items(o, "/spec/metrics");
    let statuses = items(o, "/status/currentMetrics");
    if specs.is_empty() {
        return "<none>".to_owned();
    }
    let all: Vec<String> = specs.iter().enumerate().map(|(i, spec)| metric(spec, statuses.get(i))).collect();
    let shown = all.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    if all.len() > MOST { format!("{shown} + {} more...", all.len() - MOST) } else { shown }
}

fn metric(spec: &Value, status: Option<&Value>) -> String {
    let (key, named, bare) = match s(spec, "/type") {
        "External" => ("external", false, false),
        "Pods" => ("pods", false, true),
        "Object" => ("object", false, false),
        "Resource" => ("resource", true, false),
        "ContainerResource" => ("containerResource", true, false),
        _ => return "<unknown type>".to_owned(),
    };
    let target = |what: &str| spec.pointer(&format!("/{key}/target/{what}")).map(amount);
    let current = |what: &str| {
        let found = status.and_then(|st| st.pointer(&format!("/{key}/current/{what}"))).map(amount);
        found.unwrap_or_else(|| "<unknown>".to_owned())
    };
    let name = s(&spec[key], "/name");
    match (target("averageValue"), named) {
        (Some(wanted), true) => format!("{name}: {}/{wanted}", current("averageValue")),
        (Some(wanted), false) => {
            format!("{}/{wanted}{}", current("averageValue"), if bare { "" } else { " (avg)" })
        }
        (None, true) => {
            let with_percent = |v: String| if v.starts_with('<') { v } else { format!("{v}%") };
            let wanted = target("averageUtilization").map_or_else(|| "<auto>".to_owned(), with_percent);
            format!("{name}: {}/{wanted}", with_percent(current("averageUtilization")))
        }
        (None, false) => format!("{}/{}", current("value"), target("value").unwrap_or_default()),
    }
}

/// A quantity or number as it is written.
fn amount(v: &Value) -> String {
    v.as_str().map_or_else(|| v.to_string(), str::to_owned)
}

pub(super) fn budget(o: &Value, now: Timestamp) -> Vec<Value> {
    let bound = |pointer| o.pointer(pointer).filter(|v| !v.is_null()).map_or_else(|| "N/A".to_owned(), amount);
    vec![
        name(o),
        bound("/spec/minAvailable").into(),
        bound("/spec/maxUnavailable").into(),
        n(o, "/status/disruptionsAllowed").into(),
        created(o, now),
    ]
}

pub(super) fn service(o: &Value, now: Timestamp) -> Vec<Value> {
    let ports: Vec<String> = items(o, "/spec/ports")
        .iter()
        .map(|p| match n(p, "/nodePort") {
            0 => format!("{}/{}", n(p, "/port"), or(s(p, "/protocol"), "TCP")),
            node => format!("{}:{node}/{}", n(p, "/port"), or(s(p, "/protocol"), "TCP")),
        })
        .collect();
    vec![
        name(o),
        s(o, "/spec/type").into(),
        or(or(s(o, "/spec/clusterIPs/0"), s(o, "/spec/clusterIP")), "<none>").into(),
        external_ip(o).into(),
        or(&ports.join(","), "<none>").into(),
        created(o, now),
        labels_text(&o["spec"]["selector"]).into(),
    ]
}

fn external_ip(o: &Value) -> String {
    let external: Vec<&str> = items(o, "/spec/externalIPs").iter().filter_map(Value::as_str).collect();
    match s(o, "/spec/type") {
        "ClusterIP" | "NodePort" => or(&external.join(","), "<none>").to_owned(),
        "LoadBalancer" => {
            let mut all: Vec<&str> = items(o, "/status/loadBalancer/ingress")
                .iter()
                .map(|i| or(s(i, "/ip"), s(i, "/hostname")))
                .filter(|i| !i.is_empty())
                .collect();
            all.sort_unstable();
            all.dedup();
            all.extend(external);
            or(&all.join(","), "<pending>").to_owned()
        }
        "ExternalName" => s(o, "/spec/externalName").to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nodes() {
        let o = json!({"metadata": {"name": "n", "labels": {"node-role.kubernetes.io/worker": "", "kubernetes.io/role": "edge"}},
            "spec": {"unschedulable": true},
            "status": {"conditions": [{"type": "Ready", "status": "Unknown"}],
                "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
                "nodeInfo": {"kernelVersion": "6.1", "architecture": "arm64", "kubeletVersion": "v1.33.1"}}});
        let cells = node(&o, Timestamp::default());
        assert_eq!(cells[1..3], [json!("NotReady,SchedulingDisabled"), json!("edge,worker")]);
        assert_eq!(
            cells[5..],
            [json!("10.0.0.1"), json!("<none>"), json!("<unknown>"), json!("6.1 (arm64)"), json!("<unknown>")]
        );
    }

    #[test]
    fn autoscalers() {
        let cpu = json!({"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 80}}});
        let queue = json!({"type": "External", "external": {"target": {"averageValue": "30"}}});
        let o = json!({"spec": {"metrics": [cpu, queue, cpu]},
            "status": {"currentMetrics": [{"resource": {"current": {"averageUtilization": 42}}}]}});
        assert_eq!(metrics(&o), "cpu: 42%/80%, <unknown>/30 (avg) + 1 more...");
    }

    #[test]
    fn services() {
        let o = json!({"spec": {"type": "LoadBalancer", "clusterIPs": ["10.1.0.1"],
            "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]},
            "status": {"loadBalancer": {"ingress": [{"hostname": "lb.example"}]}}});
        assert_eq!(
            service(&o, Timestamp::default())[2..5],
            [json!("10.1.0.1"), json!("lb.example"), json!("80:30080/TCP,53/UDP")]
        );
    }
}
