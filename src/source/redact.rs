//! What of an object, of Kubernetes or ECS, is not to be held: values that are secrets by their name,
//! and the annotation that repeats the whole object.

use serde_json::Value;

/// Stands where a secret was.
const HIDDEN: &str = "(hidden)";
/// `kubectl apply` keeps all it was given here, secrets too.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Parts of names whose values are not for a screen.
const SECRET: [&str; 9] =
    ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "APIKEY", "API_KEY", "PRIVATE_KEY", "CREDENTIAL", "ACCESS_KEY"];

/// True if a value of this name is a secret, or may be.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase().replace('-', "_");
    SECRET.iter().any(|part| name.contains(part))
}

/// Takes secrets out of an object, wherever it has containers.
pub(super) fn redact(object: &mut Value) {
    if let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut)
        && let Some(value) = annotations.get_mut(LAST_APPLIED)
    {
        *value = HIDDEN.into();
    }
    environments(object);
}

fn environments(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(environments),
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::Array(variables) if key == "env" || key == "environment" => {
                        variables.iter_mut().for_each(variable);
                    }
                    _ => environments(value),
                }
            }
        }
        _ => {}
    }
}

fn variable(variable: &mut Value) {
    let secret = variable.get("name").and_then(Value::as_str).is_some_and(is_secret);
    if let Some(value) = variable.get_mut("value").filter(|_| secret) {
        *value = HIDDEN.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_go_and_the_rest_stays() {
        let env = json!([
            {"name": "DB_PASSWORD", "value": "hunter2"},
            {"name": "github-token", "value": "ghp"},
            {"name": "LOG_LEVEL", "value": "debug"},
            {"name": "SESSION_SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        ]);
        let mut object = json!({
            "metadata": {"annotations": {LAST_APPLIED: "{\"password\":\"hunter2\"}", "team": "shop"}},
            "spec": {"template": {"spec": {"containers": [{"name": "app", "env": env}]}}},
            "overrides": {"containerOverrides": [{"environment": [{"name": "API_KEY", "value": "ghp"}]}]},
        });
        redact(&mut object);
        let text = object.to_string();
        assert!(!text.contains("hunter2") && !text.contains("ghp"), "{text}");
        assert!(text.contains("debug") && text.contains("secretKeyRef") && text.contains("shop"), "{text}");
    }
}
