//! metrics.k8s.io: what nodes and pods use.

use chrono::SecondsFormat;
use http::Response;
use serde_json::{Map, Value, json};

use super::Api;
use super::reply::{self, Body};
use super::resource;
use super::route::{MetricsTarget, Query};
use super::selector::Selection;
use super::status::Failure;
use crate::domain::Usage;
use crate::sim::backend::{ObjectKind, UsageSample};

impl Api {
    pub(super) fn metrics(&self, target: &MetricsTarget, query: &Query) -> Result<Response<Body>, Failure> {
        let verb = if target.name.is_empty() { "list" } else { "get" };
        let plural = if target.pods { "pods" } else { "nodes" };
        if self.faults.is_forbidden(verb, &format!("{plural}.metrics.k8s.io")) {
            let message = format!(
                "{plural}.metrics.k8s.io is forbidden: User {:?} cannot {verb} resource {plural:?} in API group \
                 \"metrics.k8s.io\" at the cluster scope",
                super::USER
            );
            return Err(Failure::new(403, "Forbidden", message));
        }
        let selection = Selection::of_labels(query.get("labelSelector")).map_err(Failure::bad_request)?;
        let now = self.clock.now();
        let kind = if target.pods { ObjectKind::Pod } else { ObjectKind::Node };
        let state = self.state();
        let samples = if target.pods { state.fleet.pod_usage(now) } else { state.fleet.node_usage(now) };
        let mut items = Vec::new();
        for sample in samples {
            let wanted = (target.namespace.is_empty() || sample.namespace == target.namespace)
                && (target.name.is_empty() || sample.name == target.name);
            if !wanted {
                continue;
            }
            // Without its object there are no labels to go by, and metrics-server would not have it either.
            let Some(object) = state.store.get(kind, &sample.namespace, &sample.name) else { continue };
            if selection.matches(&object.meta) {
                let time = now.to_rfc3339_opts(SecondsFormat::Secs, true);
                items.push(item(target.pods, &sample, object.meta.labels_json(), &time));
            }
        }
        if target.name.is_empty() {
            let list = if target.pods { "PodMetricsList" } else { "NodeMetricsList" };
            return Ok(reply::json(
                200,
                &json!({"kind": list, "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": items}),
            ));
        }
        let Some(mut one) = items.pop() else {
            let mut missing = Failure::not_found(resource::of(kind), &target.name);
            missing.message = format!("{plural}.metrics.k8s.io {:?} not found", target.name);
            missing.details.insert("group".to_owned(), "metrics.k8s.io".into());
            return Err(missing);
        };
        one["kind"] = if target.pods { "PodMetrics" } else { "NodeMetrics" }.into();
        one["apiVersion"] = "metrics.k8s.io/v1beta1".into();
        Ok(reply::json(200, &one))
    }
}

fn item(pod: bool, sample: &UsageSample, labels: Map<String, Value>, time: &str) -> Value {
    let mut metadata = json!({"name": sample.name});
    if pod {
        metadata["namespace"] = sample.namespace.as_str().into();
    }
    metadata["creationTimestamp"] = time.into();
    if !labels.is_empty() {
        metadata["labels"] = labels.into();
    }
    let mut item = json!({"metadata": metadata, "timestamp": time, "window": "20s"});
    if pod {
        let containers: Vec<Value> =
            sample.containers.iter().map(|(name, used)| json!({"name": name, "usage": usage(*used)})).collect();
        item["containers"] = containers.into();
    } else {
        item["usage"] = sample.containers.first().map_or_else(|| usage(Usage::default()), |(_, used)| usage(*used));
    }
    item
}

/// CPU in nanocores and memory in Ki, as metrics-server writes them.
fn usage(used: Usage) -> Value {
    let cpu = match used.cpu.0 {
        0 => "0".to_owned(),
        m => format!("{}n", u128::from(m) * 1_000_000),
    };
    json!({"cpu": cpu, "memory": format!("{}Ki", used.memory.0 / 1024)})
}
