//! Tables as kubectl asks for them: the columns and cells of Kubernetes'
//! `pkg/printers/internalversion/printers.go`.

mod misc;
mod pod;
mod workload;

use serde_json::{Value, json};

use super::read::append;
use super::reply::Include;
use super::resource::Resource;
use crate::domain::Timestamp;
use crate::domain::age;
use crate::sim::backend::ObjectKind;

/// One column: its name, its type, and whether only `-o wide` shows it.
#[derive(Debug, Clone, Copy)]
struct Column {
    name: &'static str,
    kind: &'static str,
    wide: bool,
}

const fn text(name: &'static str) -> Column {
    Column { name, kind: "string", wide: false }
}

const fn int(name: &'static str) -> Column {
    Column { name, kind: "integer", wide: false }
}

const fn wide(name: &'static str) -> Column {
    Column { name, kind: "string", wide: true }
}

const NAME: Column = text("Name");
const AGE: Column = text("Age");
const CONTAINERS: Column = wide("Containers");
const IMAGES: Column = wide("Images");
const SELECTOR: Column = wide("Selector");

fn columns(kind: ObjectKind) -> Vec<Column> {
    use ObjectKind as K;
    match kind {
        K::Pod => vec![
            NAME,
            text("Ready"),
            text("Status"),
            text("Restarts"),
            AGE,
            wide("IP"),
            wide("Node"),
            wide("Nominated Node"),
            wide("Readiness Gates"),
        ],
        K::Node => vec![
            NAME,
            text("Status"),
            text("Roles"),
            AGE,
            text("Version"),
            wide("Internal-IP"),
            wide("External-IP"),
            wide("OS-Image"),
            wide("Kernel-Version"),
            wide("Container-Runtime"),
        ],
        K::Namespace => vec![NAME, text("Status"), AGE],
        K::Deployment => {
            vec![NAME, text("Ready"), text("Up-to-date"), text("Available"), AGE, CONTAINERS, IMAGES, SELECTOR]
        }
        K::ReplicaSet => vec![NAME, int("Desired"), int("Current"), int("Ready"), AGE, CONTAINERS, IMAGES, SELECTOR],
        K::StatefulSet => vec![NAME, text("Ready"), AGE, CONTAINERS, IMAGES],
        K::DaemonSet => vec![
            NAME,
            int("Desired"),
            int("Current"),
            int("Ready"),
            int("Up-to-date"),
            int("Available"),
            text("Node Selector"),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ],
        K::Job => vec![NAME, text("Status"), text("Completions"), text("Duration"), AGE, CONTAINERS, IMAGES, SELECTOR],
        K::CronJob => vec![
            NAME,
            text("Schedule"),
            text("Timezone"),
            Column { name: "Suspend", kind: "boolean", wide: false },
            int("Active"),
            text("Last Schedule"),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ],
        K::Event => vec![
            text("Last Seen"),
            text("Type"),
            text("Reason"),
            text("Object"),
            wide("Subobject"),
            wide("Source"),
            text("Message"),
            wide("First Seen"),
            wide("Count"),
            Column { name: "Name", kind: "string", wide: true },
        ],
        K::HorizontalPodAutoscaler => {
            vec![NAME, text("Reference"), text("Targets"), text("MinPods"), text("MaxPods"), text("Replicas"), AGE]
        }
        K::PodDisruptionBudget => {
            vec![NAME, text("Min Available"), text("Max Unavailable"), int("Allowed Disruptions"), AGE]
        }
        K::Service => vec![NAME, text("Type"), text("Cluster-IP"), text("External-IP"), text("Port(s)"), AGE, SELECTOR],
        K::ConfigMap => vec![NAME, text("Data"), AGE],
        K::Lease => vec![NAME, text("Holder"), AGE],
    }
}

fn cells(kind: ObjectKind, o: &Value, now: Timestamp) -> Vec<Value> {
    use ObjectKind as K;
    match kind {
        K::Pod => pod::cells(o, now),
        K::Node => misc::node(o, now),
        K::Namespace => vec![name(o), s(o, "/status/phase").into(), created(o, now)],
        K::Deployment => workload::deployment(o, now),
        K::ReplicaSet => workload::replicaset(o, now),
        K::StatefulSet => workload::statefulset(o, now),
        K::DaemonSet => workload::daemonset(o, now),
        K::Job => workload::job(o, now),
        K::CronJob => workload::cronjob(o, now),
        K::Event => misc::event(o, now),
        K::HorizontalPodAutoscaler => misc::autoscaler(o, now),
        K::PodDisruptionBudget => misc::budget(o, now),
        K::Service => misc::service(o, now),
        K::ConfigMap => {
            let count = |p| o.pointer(p).and_then(Value::as_object).map_or(0, serde_json::Map::len);
            vec![name(o), (count("/data") + count("/binaryData")).into(), created(o, now)]
        }
        K::Lease => vec![name(o), s(o, "/spec/holderIdentity").into(), created(o, now)],
    }
}

/// The table up to and with the bracket that opens its rows. `rest` is what
/// the metadata has after its version.
pub(super) fn head(resource: &Resource, version: Option<&str>, rest: &str) -> String {
    let definitions: Vec<Value> = columns(resource.kind)
        .iter()
        .map(|c| {
            let format = if c.name == "Name" { "name" } else { "" };
            json!({"name": c.name, "type": c.kind, "format": format, "description": "", "priority": i32::from(c.wide)})
        })
        .collect();
    opened(version.unwrap_or_default(), rest, &Value::from(definitions).to_string())
}

/// As [`head`], for the later tables of a watch.
pub(super) fn head_without_columns(version: &str) -> String {
    opened(version, "", "null")
}

fn opened(version: &str, rest: &str, definitions: &str) -> String {
    format!(
        "{{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{{\"resourceVersion\":\"{version}\"{rest}}},\
         \"columnDefinitions\":{definitions},\"rows\":["
    )
}

/// One row, appended to `out`.
pub(super) fn row(resource: &Resource, object: &Value, include: Include, now: Timestamp, out: &mut Vec<u8>) {
    let mut row = json!({"cells": cells(resource.kind, object, now)});
    let conditions = if resource.kind == ObjectKind::Pod { pod::conditions(object) } else { None };
    if let Some(conditions) = conditions {
        row["conditions"] = conditions;
    }
    row["object"] = match include {
        Include::Nothing => Value::Null,
        Include::Metadata => super::read::metadata_of(object),
        Include::Object => object.clone(),
    };
    append(out, &row);
}

/// A row of a bookmark: as many cells as columns, with nothing in them.
pub(super) fn blank_cells(resource: &Resource) -> Vec<Value> {
    columns(resource.kind).iter().map(|c| if c.kind == "integer" { 0.into() } else { "".into() }).collect()
}

/// A string at a pointer, empty when it is not there.
fn s<'a>(o: &'a Value, pointer: &str) -> &'a str {
    o.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// An integer at a pointer, zero when it is not there.
fn n(o: &Value, pointer: &str) -> i64 {
    o.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

/// A list at a pointer, empty when it is not there.
fn items<'a>(o: &'a Value, pointer: &str) -> &'a [Value] {
    o.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn name(o: &Value) -> Value {
    s(o, "/metadata/name").into()
}

fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}

fn time(text: &str) -> Option<Timestamp> {
    chrono::DateTime::parse_from_rfc3339(text).ok().map(|t| t.to_utc())
}

/// The time since what stands at a pointer.
fn since(o: &Value, pointer: &str, now: Timestamp) -> String {
    age::age(time(s(o, pointer)), now)
}

fn created(o: &Value, now: Timestamp) -> Value {
    since(o, "/metadata/creationTimestamp", now).into()
}

/// Names and images of the containers at a pointer.
fn containers(o: &Value, pointer: &str) -> (Value, Value) {
    let join = |key: &str| items(o, pointer).iter().map(|c| s(c, key)).collect::<Vec<_>>().join(",");
    (join("/name").into(), join("/image").into())
}

/// A plain map as `a=1,b=2`, sorted, or `<none>`.
fn labels_text(map: &Value) -> String {
    let mut pairs: Vec<String> = map
        .as_object()
        .map(|m| m.iter().map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect())
        .unwrap_or_default();
    pairs.sort();
    or(&pairs.join(","), "<none>").to_owned()
}

/// A `LabelSelector` as a selector's text; empty for everything.
pub(super) fn selector_text(selector: &Value) -> String {
    let mut terms: Vec<(String, String)> = Vec::new();
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        terms.push((key.clone(), format!("{key}={}", value.as_str().unwrap_or_default())));
    }
    for expression in items(selector, "/matchExpressions") {
        let key = s(expression, "/key");
        let mut values: Vec<&str> = items(expression, "/values").iter().filter_map(Value::as_str).collect();
        values.sort_unstable();
        let term = match s(expression, "/operator") {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        };
        terms.push((key.to_owned(), term));
    }
    terms.sort();
    terms.into_iter().map(|(_, t)| t).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::kube::resource::RESOURCES;

    #[test]
    fn as_many_cells_as_columns() {
        for resource in RESOURCES {
            let got = cells(resource.kind, &json!({"metadata": {"name": "x"}}), Timestamp::default());
            assert_eq!(got.len(), columns(resource.kind).len(), "{}", resource.plural);
        }
    }

    #[test]
    fn selectors_as_text() {
        let selector = json!({"matchLabels": {"tier": "front", "app": "web"},
            "matchExpressions": [{"key": "env", "operator": "In", "values": ["b", "a"]},
                {"key": "old", "operator": "DoesNotExist"}]});
        assert_eq!(selector_text(&selector), "app=web,env in (a,b),!old,tier=front");
        assert_eq!(selector_text(&Value::Null), "");
    }
}
