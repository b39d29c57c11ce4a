//! The `[[services]]` entries: what is asked for golden signals.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::backend::Names;
use super::diagnostic::{Reader, Value, in_order};

/// Conventions by which services tell their requests.
pub const PRESETS: &[&str] = &["http", "http-total", "otel", "istio", "linkerd", "nginx-ingress", "envoy"];
const PRESET: &str = "http, http-total, otel, istio, linkerd, nginx-ingress or envoy";

/// What is asked of one Prometheus about services.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceSettings {
    /// The service's name; of a preset, the only one to show, or empty for all it finds.
    pub name: String,
    /// The namespace it is shown in.
    pub namespace: String,
    /// The `[[prometheus]]` to ask; the first if `None`.
    pub prometheus: Option<String>,
    /// One of [`PRESETS`].
    pub preset: Option<String>,
    /// Matchers that every selector of the preset gets as well.
    pub matchers: String,
    /// Requests a second.
    pub requests: Option<String>,
    /// Failed requests a second.
    pub errors: Option<String>,
    /// The selector of a histogram's `_bucket` metric, in seconds.
    pub latency: Option<String>,
    /// The same for failures.
    pub failure_latency: Option<String>,
    /// How full it is, from 0 to 1.
    pub saturation: Option<String>,
    /// Workloads behind it: kind and name, in `namespace`.
    pub workloads: Vec<(String, String)>,
}

/// A key of an entry: name, what may be written, doc, example.
pub static SERVICE_KEYS: &[(&str, &str, &str, &str)] = &[
    ("name", "a name", "The service's name. With a preset: show this one only.", "\"checkout\""),
    ("namespace", "a name", "The namespace it is shown in.", "\"shop\""),
    ("prometheus", "the `name` of a `[[prometheus]]`", "Which to ask. Default: the first.", "\"prod\""),
    (
        "preset",
        PRESET,
        "The convention by which services tell their requests. This, or `requests` and `name`, is required.",
        "\"istio\"",
    ),
    (
        "matchers",
        "matchers, such as `namespace=\"shop\"`",
        "What every selector of the preset is narrowed by.",
        "'namespace=\"shop\"'",
    ),
    ("requests", "a query", "Requests a second.", "'sum(rate(requests_total{app=\"checkout\"}[2m]))'"),
    (
        "errors",
        "a query",
        "Failed requests a second.",
        "'sum(rate(requests_total{app=\"checkout\",code=~\"5..\"}[2m]))'",
    ),
    (
        "latency",
        "the selector of a histogram's buckets",
        "Latency of successes if there is `failure_latency`, else of all; in seconds.",
        "'request_seconds_bucket{app=\"checkout\"}'",
    ),
    (
        "failure_latency",
        "the selector of a histogram's buckets",
        "Latency of failures.",
        "'request_seconds_bucket{app=\"checkout\",code=~\"5..\"}'",
    ),
    (
        "saturation",
        "a query",
        "How full the fullest resource is, from 0 to 1.",
        "'max(pool_in_use{app=\"checkout\"} / pool_size)'",
    ),
    (
        "workloads",
        "a list of \"KIND/NAME\", such as \"deployment/checkout\"",
        "The workloads behind it.",
        "[\"deployment/checkout\"]",
    ),
];

const KINDS: &str = "deployment, statefulset, daemonset, job, cronjob or ecs-service, a slash, and a name";

/// Reads the entries, reporting what is wrong.
pub(super) fn read(reader: &Reader<'_>, value: &Value<'_>, names: &mut Names) -> Vec<ServiceSettings> {
    let DeValue::Array(entries) = value.get_ref() else {
        reader.wrong_type(value, "services", "`[[services]]` on a line of its own, once for each");
        return Vec::new();
    };
    entries.iter().filter_map(|entry| one(reader, entry, names)).collect()
}

fn one(reader: &Reader<'_>, entry: &Value<'_>, names: &mut Names) -> Option<ServiceSettings> {
    let table = reader.table(entry, "services")?;
    let known: Vec<&str> = SERVICE_KEYS.iter().map(|(name, ..)| *name).collect();
    let mut texts: BTreeMap<&str, String> = BTreeMap::new();
    let mut workloads = Vec::new();
    for (key, span, value) in in_order(table) {
        let Some((name, allowed, ..)) = SERVICE_KEYS.iter().find(|(name, ..)| *name == key) else {
            reader.unknown_key(&span, "key of [[services]]", key, &known);
            continue;
        };
        if *name == "workloads" {
            workloads = list(reader, value);
            continue;
        }
        let Some(text) = reader.string(value, key, allowed) else { continue };
        let refused = text.trim().is_empty() || (*name == "preset" && !PRESETS.contains(&text));
        if refused {
            let d = reader.source().at(&value.span(), format!("`{key}` cannot be \"{}\"", text.escape_debug()));
            reader.report(d.value(text).allowed(*allowed).did_you_mean(text, PRESETS.iter().copied()));
            continue;
        }
        if *name == "prometheus" {
            names.push(("services", text.to_owned(), value.span()));
        }
        texts.insert(name, text.to_owned());
    }
    let said = |key: &str| table.iter().any(|(k, _)| k.get_ref() == key);
    let whole = |message: &str, hint: &str| reader.report(reader.source().at(&entry.span(), message).hint(hint));
    match (said("preset"), said("requests")) {
        (true, true) => {
            whole("this service has both `preset` and `requests`", "a preset has its own queries: take one away");
        }
        (false, false) => {
            whole(
                "this service has no `preset` and no `requests`",
                "add `preset = \"http\"`, or `name` and `requests`",
            );
        }
        (false, true) if !said("name") => whole("this service has no `name`", "add `name = \"checkout\"`"),
        _ => {}
    }
    let mut take = |key: &str| texts.remove(key);
    Some(ServiceSettings {
        name: take("name").unwrap_or_default(),
        namespace: take("namespace").unwrap_or_default(),
        prometheus: take("prometheus"),
        preset: take("preset"),
        matchers: take("matchers").unwrap_or_default(),
        requests: take("requests"),
        errors: take("errors"),
        latency: take("latency"),
        failure_latency: take("failure_latency"),
        saturation: take("saturation"),
        workloads,
    })
}

fn list(reader: &Reader<'_>, value: &Value<'_>) -> Vec<(String, String)> {
    let DeValue::Array(items) = value.get_ref() else {
        reader.wrong_type(value, "workloads", "a list of \"KIND/NAME\"");
        return Vec::new();
    };
    let pair = |item: &Value<'_>| {
        let text = reader.string(item, "workloads", KINDS)?;
        let known = ["deployment", "statefulset", "daemonset", "job", "cronjob", "ecs-service"];
        let found = text.split_once('/').filter(|(kind, name)| known.contains(kind) && !name.is_empty());
        if found.is_none() {
            reader.report(reader.source().at(&item.span(), "this names no workload").value(text).allowed(KINDS));
        }
        found.map(|(kind, name)| (kind.to_owned(), name.to_owned()))
    };
    items.iter().filter_map(pair).collect()
}
