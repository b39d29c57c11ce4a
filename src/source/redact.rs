//! What of an object, of Kubernetes or ECS, is not to be held: values that are secrets by their name,
//! and the annotation that repeats the whole object.

use serde_json::Value;

/// Stands where a secret was.
pub const HIDDEN: &str = "(hidden)";
/// `kubectl apply` keeps all it was given here, secrets too.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Parts of names whose values are not for a screen.
const SECRET: [&str; 12] = [
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "SECRET",
    "TOKEN",
    "APIKEY",
    "API_KEY",
    "PRIVATE_KEY",
    "CREDENTIAL",
    "ACCESS_KEY",
    "AUTHORIZATION",
    "DSN",
];
/// Ends of names whose values are not for a screen, after an underscore or alone.
const SECRET_END: [&str; 4] = ["PASS", "PWD", "AUTH", "PSK"];

/// True if a value of this name is a secret, or may be.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase().replace('-', "_");
    SECRET.iter().any(|part| name.contains(part))
        || SECRET_END.iter().any(|end| name == *end || name.strip_suffix(end).is_some_and(|n| n.ends_with('_')))
}

/// Takes secrets out of an object, wherever it has containers.
pub fn redact(object: &mut Value) {
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
                    Value::Array(items) if matches!(key.as_str(), "env" | "environment" | "httpHeaders") => {
                        items.iter_mut().for_each(variable);
                        items.iter_mut().for_each(environments);
                    }
                    Value::Array(items) if matches!(key.as_str(), "args" | "command") => arguments(items),
                    _ => environments(value),
                }
            }
        }
        Value::String(text) => {
            if let Some(hidden) = without_userinfo(text) {
                *text = hidden;
            }
        }
        _ => {}
    }
}

/// Hides what is secret by its flag's name in a command: `--password=x`, and `--password x`.
pub fn arguments(items: &mut [Value]) {
    let mut next = false;
    for item in items {
        let Value::String(text) = item else { continue };
        if std::mem::take(&mut next) && !text.starts_with('-') {
            HIDDEN.clone_into(text);
            continue;
        }
        let flag = text.trim_start_matches('-');
        match flag.split_once('=') {
            Some((name, _)) if is_secret(name) => {
                let end = text.find('=').map_or(text.len(), |at| at + 1);
                text.truncate(end);
                text.push_str(HIDDEN);
            }
            None if text.starts_with('-') && is_secret(flag) => next = true,
            _ => {
                if let Some(hidden) = without_userinfo(text) {
                    *text = hidden;
                }
            }
        }
    }
}

/// A text whose URLs name no user and no password; `None` if there is nothing to hide.
fn without_userinfo(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (head, tail) = rest.split_at(at + 3);
        out.push_str(head);
        let end = tail.find(|c: char| c == '/' || c.is_whitespace() || c == '"').unwrap_or(tail.len());
        let (authority, after) = tail.split_at(end);
        match authority.rsplit_once('@') {
            Some((user, host)) if user.contains(':') => {
                out.push_str(HIDDEN);
                out.push('@');
                out.push_str(host);
            }
            _ => out.push_str(authority),
        }
        rest = after;
    }
    out.push_str(rest);
    (out != text).then_some(out)
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
            {"name": "DATABASE_URL", "value": "postgres://shop:s3cret@db:5432/shop?x=1"},
            {"name": "SMTP_PASS", "value": "s3cret"},
            {"name": "BYPASS", "value": "kept"},
            {"name": "SESSION_SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        ]);
        let mut object = json!({
            "metadata": {"annotations": {LAST_APPLIED: "{\"password\":\"hunter2\"}", "team": "shop"}},
            "spec": {"template": {"spec": {"containers": [{
                "name": "app", "env": env, "args": ["--password=s3cret", "--token", "s3cret", "--level", "info"],
                "livenessProbe": {"httpGet": {"httpHeaders": [{"name": "Authorization", "value": "Basic s3cret"}]}},
            }]}}},
            "overrides": {"containerOverrides": [{"environment": [{"name": "API_KEY", "value": "ghp"}]}]},
        });
        redact(&mut object);
        let text = object.to_string();
        assert!(!text.contains("hunter2") && !text.contains("s3cret") && !text.contains("ghp"), "{text}");
        assert!(text.contains("debug") && text.contains("secretKeyRef") && text.contains("shop"), "{text}");
        for kept in ["kept", "\"info\"", "postgres://(hidden)@db:5432/shop?x=1", "--password=(hidden)"] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
    }
}
