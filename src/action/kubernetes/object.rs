//! What is in an object, and what it says about who looks after it.

use serde_json::Value;

use super::super::plan::Precondition;
use crate::domain::{Kind, ObjectId, Text};

/// A text in it; empty if there is none.
pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A number in it; 0 if there is none, as Go leaves zeros out.
pub(super) fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

/// True if it says so.
pub(super) fn flag(object: &Value, pointer: &str) -> bool {
    object.pointer(pointer).and_then(Value::as_bool).unwrap_or(false)
}

/// A list in it; empty if there is none.
pub(super) fn items<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Its unique name.
pub(super) fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

/// Its `resourceVersion`.
pub(super) fn version(object: &Value) -> &str {
    text(object, "/metadata/resourceVersion")
}

/// That nobody has written it since.
pub(super) fn as_it_is(object: &Value) -> Precondition {
    Precondition::Version { uid: Text::new(uid(object)), version: Text::new(version(object)) }
}

/// How many are wanted: one where it does not say.
pub(super) fn replicas(object: &Value) -> i64 {
    object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1)
}

/// The owner that looks after it: kind, name, unique name.
pub(super) fn controller(object: &Value) -> Option<(&str, &str, &str)> {
    let all = items(object, "/metadata/ownerReferences");
    let owner = all.iter().find(|o| flag(o, "/controller"))?;
    Some((text(owner, "/kind"), text(owner, "/name"), text(owner, "/uid")))
}

/// `deploy shop/web`.
pub(super) fn named(id: &ObjectId) -> String {
    let namespace = if id.namespace.is_empty() { String::new() } else { format!("{}/", id.namespace) };
    format!("{} {namespace}{}", id.kind.short(), id.name)
}

/// What kubectl takes for it: `deployment/web`.
pub(super) fn slashed(id: &ObjectId) -> String {
    let kind = id.kind.kubernetes().to_lowercase();
    format!("{kind}/{}", id.name)
}

/// The identity of an object of some kind.
pub(super) fn identity(near: &ObjectId, kind: Kind, object: &Value) -> ObjectId {
    ObjectId {
        cluster: near.cluster.clone(),
        kind,
        namespace: Text::new(text(object, "/metadata/namespace")),
        name: Text::new(text(object, "/metadata/name")),
    }
}

/// Who keeps it as it is written elsewhere, and may change it back; empty if nobody says so.
pub(super) fn kept_by(object: &Value) -> String {
    let of = |map: &str, key: &str| {
        let value = object.pointer(map).and_then(|m| m.get(key)).and_then(Value::as_str);
        value.filter(|v| !v.is_empty()).map(str::to_owned)
    };
    let label = |key: &str| of("/metadata/labels", key);
    let mark = |key: &str| of("/metadata/annotations", key).or_else(|| label(key));
    let pair = |group: &str| {
        let name = label(&format!("{group}/name"))?;
        let namespace = label(&format!("{group}/namespace"));
        Some(namespace.map_or_else(|| name.clone(), |n| format!("{n}/{name}")))
    };
    if let Some(name) = pair("helm.toolkit.fluxcd.io") {
        return format!("Flux keeps this by its HelmRelease {name}");
    }
    if let Some(name) = pair("kustomize.toolkit.fluxcd.io") {
        return format!("Flux keeps this by its Kustomization {name}");
    }
    let argo = mark("argocd.argoproj.io/tracking-id").or_else(|| mark("argocd.argoproj.io/instance"));
    if let Some(tracked) = argo {
        // `shop:apps/Deployment:shop/web`: the application stands before the first colon.
        let app = tracked.split(':').next().unwrap_or_default().to_owned();
        return format!("Argo CD keeps this by its application {app}");
    }
    if label("app.kubernetes.io/managed-by").as_deref() == Some("Helm") {
        let release = of("/metadata/annotations", "meta.helm.sh/release-name").unwrap_or_else(|| "unknown".to_owned());
        return format!("Helm installed this (release {release}), and its next upgrade may change it back");
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn who_keeps_it() {
        let flux = json!({"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": "apps",
            "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}}});
        assert_eq!(kept_by(&flux), "Flux keeps this by its Kustomization flux-system/apps");
        let helm = json!({"metadata": {"labels": {"helm.toolkit.fluxcd.io/name": "web", "app.kubernetes.io/managed-by": "Helm"}}});
        assert_eq!(kept_by(&helm), "Flux keeps this by its HelmRelease web");
        let argo =
            json!({"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/web"}}});
        assert_eq!(kept_by(&argo), "Argo CD keeps this by its application shop");
        let argo = json!({"metadata": {"labels": {"argocd.argoproj.io/instance": "shop"}}});
        assert_eq!(kept_by(&argo), "Argo CD keeps this by its application shop");
        let plain = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": {"meta.helm.sh/release-name": "web"}}});
        assert!(kept_by(&plain).contains("release web"));
        assert_eq!(kept_by(&json!({"metadata": {}})), "");
    }
}
