//! Discovery: what the server says it has, in the old form and the aggregated one.

use std::collections::BTreeSet;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response};
use serde_json::{Value, json};

use super::reply::{self, Body};
use super::resource::{RESOURCES, Resource, Subresource, VERBS, group_version};

/// Group, version, plural, kind, namespaced, verbs.
type Row = (&'static str, &'static str, &'static str, &'static str, bool, &'static [&'static str]);

/// Resources that are not objects of the fleet.
const EXTRA: [Row; 5] = [
    ("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", false, &["create"]),
    ("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", false, &["create"]),
    ("authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", false, &["create"]),
    ("metrics.k8s.io", "v1beta1", "nodes", "NodeMetrics", false, &["get", "list"]),
    ("metrics.k8s.io", "v1beta1", "pods", "PodMetrics", true, &["get", "list"]),
];

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// `/version`, as a server whose API this façade speaks.
pub(crate) fn version() -> Value {
    json!({
        "major": "1", "minor": "33", "gitVersion": "v1.33.4+quarterdeck", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "2025-08-01T00:00:00Z", "goVersion": "go1.24.5", "compiler": "gc", "platform": "linux/amd64",
    })
}

/// `/api`
pub(crate) fn core(headers: &HeaderMap, address: &str) -> Response<Body> {
    if wants_aggregated(headers) {
        return aggregated(&[("", vec!["v1"])]);
    }
    reply::json(
        200,
        &json!({"kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]}),
    )
}

/// `/apis`
pub(crate) fn groups(headers: &HeaderMap) -> Response<Body> {
    if wants_aggregated(headers) {
        return aggregated(&named_groups());
    }
    let groups: Vec<Value> = named_groups().iter().map(|(g, v)| group_json(g, v)).collect();
    reply::json(200, &json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
}

/// `/apis/GROUP`
pub(crate) fn group(name: &str) -> Option<Value> {
    let (_, versions) = named_groups().into_iter().find(|(g, _)| *g == name)?;
    let mut group = json!({"kind": "APIGroup", "apiVersion": "v1"});
    if let (Value::Object(all), Value::Object(own)) = (&mut group, group_json(name, &versions)) {
        all.extend(own);
    }
    Some(group)
}

/// `/api/v1` and `/apis/GROUP/VERSION`
pub(crate) fn resources(group: &str, version: &str) -> Option<Value> {
    let mut list = Vec::new();
    for r in RESOURCES.iter().filter(|r| r.group == group && r.version == version) {
        let mut row = json!({"name": r.plural, "singularName": r.singular, "namespaced": r.namespaced,
            "kind": r.kind_name, "verbs": VERBS});
        if !r.short_names.is_empty() {
            row["shortNames"] = json!(r.short_names);
        }
        if !r.categories.is_empty() {
            row["categories"] = json!(r.categories);
        }
        list.push(row);
        list.extend(r.subresources.iter().map(|s| {
            let mut row = json!({"name": format!("{}/{}", r.plural, s.name()), "singularName": "",
                "namespaced": r.namespaced, "kind": subresource_kind(r, *s), "verbs": s.verbs()});
            if *s == Subresource::Eviction {
                row["group"] = "policy".into();
                row["version"] = "v1".into();
            }
            if *s == Subresource::Scale {
                row["group"] = "autoscaling".into();
                row["version"] = "v1".into();
            }
            row
        }));
    }
    list.extend(
        EXTRA
            .iter()
            .filter(|e| e.0 == group && e.1 == version)
            .map(|e| json!({"name": e.2, "singularName": singular(e.3), "namespaced": e.4, "kind": e.3, "verbs": e.5})),
    );
    (!list.is_empty()).then(|| {
        json!({"kind": "APIResourceList", "apiVersion": "v1",
            "groupVersion": group_version(group, version), "resources": list})
    })
}

fn subresource_kind(resource: &Resource, sub: Subresource) -> &'static str {
    match sub {
        Subresource::Scale => "Scale",
        Subresource::Eviction => "Eviction",
        Subresource::Status | Subresource::Log => resource.kind_name,
        Subresource::Exec => "PodExecOptions",
        Subresource::Attach => "PodAttachOptions",
        Subresource::PortForward => "PodPortForwardOptions",
    }
}

/// metrics-server leaves the singular empty; the reviews have theirs.
fn singular(kind: &str) -> String {
    if kind.ends_with("Metrics") { String::new() } else { kind.to_lowercase() }
}

/// The groups but the core one, with their versions.
fn named_groups() -> Vec<(&'static str, Vec<&'static str>)> {
    let rows = RESOURCES.iter().map(|r| (r.group, r.version)).chain(EXTRA.iter().map(|e| (e.0, e.1)));
    let all: BTreeSet<(&str, &str)> = rows.filter(|(g, _)| !g.is_empty()).collect();
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for (group, version) in all {
        match groups.last_mut() {
            Some((last, versions)) if *last == group => versions.push(version),
            _ => groups.push((group, vec![version])),
        }
    }
    groups
}

fn group_json(name: &str, versions: &[&str]) -> Value {
    let versions: Vec<Value> =
        versions.iter().map(|v| json!({"groupVersion": group_version(name, v), "version": v})).collect();
    json!({"name": name, "preferredVersion": versions.first(), "versions": versions})
}

fn wants_aggregated(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|v| v.to_str().ok()).is_some_and(|accept| {
        accept.split(',').any(|media| {
            let mut parts: BTreeSet<&str> = media.split(';').map(str::trim).collect();
            ["application/json", "g=apidiscovery.k8s.io", "v=v2", "as=APIGroupDiscoveryList"]
                .iter()
                .all(|p| parts.remove(p))
        })
    })
}

fn aggregated(groups: &[(&str, Vec<&str>)]) -> Response<Body> {
    let items: Vec<Value> = groups
        .iter()
        .map(|(group, versions)| {
            let versions: Vec<Value> = versions
                .iter()
                .map(|v| json!({"version": v, "resources": aggregated_resources(group, v), "freshness": "Current"}))
                .collect();
            let mut metadata = json!({"creationTimestamp": null});
            if !group.is_empty() {
                metadata["name"] = (*group).into();
            }
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    let list = json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {}, "items": items});
    let mut response = reply::json(200, &list);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(AGGREGATED));
    response
}

fn aggregated_resources(group: &str, version: &str) -> Vec<Value> {
    let scope = |namespaced| if namespaced { "Namespaced" } else { "Cluster" };
    let kind = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let rows = RESOURCES.iter().filter(|r| r.group == group && r.version == version).map(|r| {
        let mut row = json!({"resource": r.plural, "responseKind": kind(r.group, r.version, r.kind_name),
            "scope": scope(r.namespaced), "singularResource": r.singular, "verbs": VERBS});
        if !r.short_names.is_empty() {
            row["shortNames"] = json!(r.short_names);
        }
        if !r.categories.is_empty() {
            row["categories"] = json!(r.categories);
        }
        let subs: Vec<Value> = r
            .subresources
            .iter()
            .map(|s| {
                let response = match s {
                    Subresource::Scale => kind("autoscaling", "v1", "Scale"),
                    Subresource::Eviction => kind("policy", "v1", "Eviction"),
                    sub => kind(r.group, r.version, subresource_kind(r, *sub)),
                };
                json!({"subresource": s.name(), "responseKind": response, "verbs": s.verbs()})
            })
            .collect();
        if !subs.is_empty() {
            row["subresources"] = subs.into();
        }
        row
    });
    let extra = EXTRA.iter().filter(|e| e.0 == group && e.1 == version).map(|e| {
        json!({"resource": e.2, "responseKind": kind(e.0, e.1, e.3), "scope": scope(e.4),
            "singularResource": singular(e.3), "verbs": e.5})
    });
    rows.chain(extra).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_listed_once() {
        let names: Vec<&str> = named_groups().iter().map(|(g, _)| *g).collect();
        let once: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(names.len(), once.len());
        assert!(once.contains("apps") && once.contains("metrics.k8s.io") && !once.contains(""));
        assert_eq!(group("apps").expect("there")["preferredVersion"]["groupVersion"], "apps/v1");
        assert!(group("nope").is_none() && resources("apps", "v2").is_none());
    }
}
