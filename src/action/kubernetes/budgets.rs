//! Disruption budgets, and which tasks they are over.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Kubernetes;
use super::object::{items, number, text};
use crate::domain::Kind;
use crate::source::kubernetes::Writer;

/// One budget as it stands.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    /// `shop/web`.
    pub(super) name: String,
    /// How many tasks may go now.
    pub(super) allowed: i64,
    pub(super) healthy: i64,
    pub(super) needed: i64,
    selector: Value,
    /// Tasks that are not ready may always go.
    spares_healthy: bool,
}

impl Budget {
    pub(super) fn of(object: &Value) -> Self {
        Self {
            name: format!("{}/{}", text(object, "/metadata/namespace"), text(object, "/metadata/name")),
            allowed: number(object, "/status/disruptionsAllowed"),
            healthy: number(object, "/status/currentHealthy"),
            needed: number(object, "/status/desiredHealthy"),
            selector: object.pointer("/spec/selector").cloned().unwrap_or_default(),
            spares_healthy: text(object, "/spec/unhealthyPodEvictionPolicy") == "AlwaysAllow",
        }
    }

    /// Whether a task that is not ready may go whatever else is.
    fn lets_unready_go(&self) -> bool {
        self.spares_healthy || (self.healthy >= self.needed && self.needed > 0)
    }

    /// What it says now.
    pub(super) fn says(&self) -> String {
        format!("budget {} allows {} ({} healthy, {} needed)", self.name, self.allowed, self.healthy, self.needed)
    }

    /// Takes one of what it allows for this task; false if it allows none.
    pub(super) fn take(&mut self, pod: &Value) -> bool {
        if !is_ready(pod) && self.lets_unready_go() {
            return true;
        }
        let may = self.allowed > 0;
        self.allowed -= i64::from(may);
        may
    }
}

/// The budgets of some namespaces.
#[derive(Debug, Default)]
pub(super) struct Budgets {
    of: BTreeMap<String, Vec<Budget>>,
    /// Namespaces whose budgets could not be read, and why.
    pub(super) unread: BTreeMap<String, String>,
}

impl Budgets {
    /// Reads those of a namespace, if they are not there yet.
    pub(super) async fn load(&mut self, kubernetes: &Kubernetes, namespace: &str) {
        if self.of.contains_key(namespace) || self.unread.contains_key(namespace) {
            return;
        }
        let Ok(path) = Writer::collection(Kind::DisruptionBudget, namespace) else { return };
        match kubernetes.writer.list(&path, &[]).await {
            Ok(all) => drop(self.of.insert(namespace.to_owned(), all.iter().map(Budget::of).collect())),
            Err(error) => drop(self.unread.insert(namespace.to_owned(), error.to_string())),
        }
    }

    /// Those over a task.
    pub(super) fn over<'a>(&'a self, pod: &'a Value) -> impl Iterator<Item = &'a Budget> {
        let all = self.of.get(text(pod, "/metadata/namespace")).map_or(&[][..], Vec::as_slice);
        all.iter().filter(|b| selects(&b.selector, pod.pointer("/metadata/labels").unwrap_or(&Value::Null)))
    }

    /// The first over a task, to take from.
    pub(super) fn first_over(&mut self, pod: &Value) -> Option<&mut Budget> {
        let all = self.of.get_mut(text(pod, "/metadata/namespace"))?;
        let labels = pod.pointer("/metadata/labels").unwrap_or(&Value::Null);
        all.iter_mut().find(|b| selects(&b.selector, labels))
    }
}

fn is_ready(pod: &Value) -> bool {
    items(pod, "/status/conditions").iter().any(|c| text(c, "/type") == "Ready" && text(c, "/status") == "True")
}

/// Whether a budget's selector fits: one that is not there fits nothing, an empty one everything.
fn selects(selector: &Value, labels: &Value) -> bool {
    if !selector.is_object() {
        return false;
    }
    let of = |key: &str| labels.get(key).and_then(Value::as_str);
    let equal = selector["matchLabels"].as_object().into_iter().flatten().all(|(k, v)| of(k) == v.as_str());
    equal
        && items(selector, "/matchExpressions").iter().all(|e| {
            let value = of(text(e, "/key"));
            let among = items(e, "/values").iter().any(|v| v.as_str() == value && value.is_some());
            match text(e, "/operator") {
                "In" => among,
                "NotIn" => !among,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors() {
        let labels = json!({"app": "web", "tier": "front"});
        for (selector, fits) in [
            (json!(null), false),
            (json!({}), true),
            (json!({"matchLabels": {"app": "web"}}), true),
            (json!({"matchLabels": {"app": "web", "x": "y"}}), false),
            (json!({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["front", "back"]}]}), true),
            (json!({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["front"]}]}), false),
            (json!({"matchExpressions": [{"key": "x", "operator": "NotIn", "values": ["front"]}]}), true),
            (json!({"matchExpressions": [{"key": "x", "operator": "Exists"}]}), false),
            (json!({"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]}), true),
        ] {
            assert_eq!(selects(&selector, &labels), fits, "{selector}");
        }
        assert!(!selects(&json!({"matchLabels": {"a": "b"}}), &Value::Null));
    }

    #[test]
    fn what_is_allowed_is_taken_once() {
        let ready = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        let mut budget =
            Budget::of(&json!({"status": {"disruptionsAllowed": 1, "currentHealthy": 2, "desiredHealthy": 2}}));
        assert!(budget.take(&ready) && !budget.take(&ready));
        assert!(budget.take(&json!({})), "what is not ready is no loss while enough are");
        let mut short =
            Budget::of(&json!({"status": {"disruptionsAllowed": 0, "currentHealthy": 1, "desiredHealthy": 2}}));
        assert!(!short.take(&json!({})));
    }
}
