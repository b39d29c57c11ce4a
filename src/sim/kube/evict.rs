//! The eviction of a pod, which asks the budgets over it.

use http::Response;
use serde_json::{Value, json};

use super::reply::{self, Body};
use super::route::{Query, Target};
use super::status::Failure;
use super::{Api, State};
use crate::sim::backend::ObjectKind;

impl Api {
    pub(super) fn evict(&self, target: &Target, query: &Query, eviction: &Value) -> Result<Response<Body>, Failure> {
        let options = &eviction["deleteOptions"];
        let dry_run = query.dry_run() || options["dryRun"].as_array().is_some_and(|d| !d.is_empty());
        let named = eviction.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        if named != target.name {
            return Err(Failure::bad_request("name in URL does not match name in Eviction object"));
        }
        let mut state = self.state();
        let there = state.store.get(ObjectKind::Pod, &target.namespace, &target.name);
        let pod = there.ok_or_else(|| Failure::not_found(target.resource, &target.name))?.value();
        let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
        let wanted = options.pointer("/preconditions/uid").and_then(Value::as_str);
        if let Some(wanted) = wanted.filter(|w| *w != uid) {
            let why = format!("Precondition failed: UID in precondition: {wanted}, UID in object meta: {uid}");
            return Err(Failure::conflict(target.resource, &target.name, &why));
        }
        let phase = pod["status"]["phase"].as_str().unwrap_or_default();
        let exempt =
            matches!(phase, "Succeeded" | "Failed" | "Pending") || pod["metadata"]["deletionTimestamp"].is_string();
        if !exempt {
            ask(&state, target, &pod)?;
        }
        if !dry_run {
            self.remove(&mut state, target.resource, &target.namespace, &target.name)?;
        }
        Ok(reply::json(
            201,
            &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}),
        ))
    }
}

/// What the budgets over a pod say, in the API server's words.
fn ask(state: &State, target: &Target, pod: &Value) -> Result<(), Failure> {
    let all = state.store.list(ObjectKind::PodDisruptionBudget, &target.namespace, None);
    let over: Vec<Value> = all.map(|o| o.value()).filter(|b| selects(&b["spec"]["selector"], pod)).collect();
    let [budget] = over.as_slice() else {
        if over.is_empty() {
            return Ok(());
        }
        let why = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
        return Err(Failure::new(500, "InternalError", why));
    };
    let of = |key: &str| budget["status"][key].as_i64().unwrap_or(0);
    let (healthy, needed) = (of("currentHealthy"), of("desiredHealthy"));
    let ready = pod["status"]["conditions"]
        .as_array()
        .is_some_and(|all| all.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"));
    let policy = budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow";
    if (!ready && (policy || (healthy >= needed && needed > 0))) || of("disruptionsAllowed") > 0 {
        return Ok(());
    }
    let why = "Cannot evict pod as it would violate the pod's disruption budget.";
    let mut failure = Failure::new(429, "TooManyRequests", why);
    let name = budget["metadata"]["name"].as_str().unwrap_or_default();
    let message = format!("The disruption budget {name} needs {needed} healthy pods and has {healthy} currently");
    failure.details.insert("causes".to_owned(), json!([{"reason": "DisruptionBudget", "message": message}]));
    Err(failure)
}

/// Whether a budget's selector fits a pod, by its labels alone: the fleet's budgets have no expressions.
fn selects(selector: &Value, pod: &Value) -> bool {
    let Some(selector) = selector.as_object() else { return false };
    let labels = &pod["metadata"]["labels"];
    selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten().all(|(k, v)| labels.get(k) == Some(v))
}
