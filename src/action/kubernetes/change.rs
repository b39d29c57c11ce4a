//! One change of one object: what is shown of it, and what is sent.

use serde_json::{Value, json};

use super::super::intent::Options;
use crate::domain::ObjectId;
use crate::source::kubernetes::Patch;

/// What one target becomes.
#[derive(Debug, Clone)]
pub(super) struct Edit {
    /// What is changed; an autoscaler instead of the target where its minimum is.
    pub(super) target: ObjectId,
    pub(super) field: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) note: String,
    /// False where it is so already.
    pub(super) acts: bool,
    /// After the object's path: empty, or `/scale`.
    pub(super) part: &'static str,
    pub(super) how: Patch,
    pub(super) body: Value,
    /// Lines that go and come.
    pub(super) diff: Vec<String>,
    pub(super) refused: Vec<String>,
    pub(super) warnings: Vec<String>,
    /// The options that undo it; `None` where nothing does.
    pub(super) undo: Option<Options>,
    /// Tasks are replaced, and that is to be followed.
    pub(super) rolls: bool,
}

impl Edit {
    pub(super) fn new(target: &ObjectId, field: &str, from: &str, to: &str) -> Self {
        Self {
            target: target.clone(),
            field: field.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            note: String::new(),
            acts: from != to,
            part: "",
            how: Patch::Merge,
            body: json!({}),
            diff: Vec::new(),
            refused: Vec::new(),
            warnings: Vec::new(),
            undo: None,
            rolls: false,
        }
    }

    /// With a patch.
    pub(super) fn sends(mut self, how: Patch, body: Value) -> Self {
        (self.how, self.body) = (how, body);
        self
    }

    /// What is sent, so that the server refuses it when the object is no longer at this version.
    pub(super) fn at(&self, uid: &str, version: &str) -> Value {
        let mut body = self.body.clone();
        match (&mut body, self.how) {
            (Value::Array(operations), Patch::Json) => {
                operations.insert(0, json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version}));
                operations.insert(1, json!({"op": "replace", "path": "/metadata/uid", "value": uid}));
            }
            (body, _) => {
                body["metadata"]["resourceVersion"] = version.into();
                body["metadata"]["uid"] = uid.into();
            }
        }
        body
    }
}

/// The lines that go and come between two definitions, each with where it is.
pub(super) fn diff(old: &Value, new: &Value) -> Vec<String> {
    let (before, after) = (lines(old), lines(new));
    let mut out = Vec::new();
    for (path, value) in &before {
        match after.iter().find(|(p, _)| p == path) {
            Some((_, same)) if same == value => {}
            Some((_, other)) => {
                out.push(format!("- {path}: {value}"));
                out.push(format!("+ {path}: {other}"));
            }
            None => out.push(format!("- {path}: {value}")),
        }
    }
    for (path, value) in after.iter().filter(|(p, _)| !before.iter().any(|(b, _)| b == p)) {
        out.push(format!("+ {path}: {value}"));
    }
    out
}

/// Every value with its path; what has a name is called by it.
fn lines(value: &Value) -> Vec<(String, String)> {
    let mut out = Vec::new();
    walk("", value, &mut out);
    out
}

fn walk(path: &str, value: &Value, out: &mut Vec<(String, String)>) {
    let under = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                walk(&under(key), value, out);
            }
        }
        Value::Array(all) if !all.is_empty() => {
            for (i, item) in all.iter().enumerate() {
                let name = item.get("name").and_then(Value::as_str).map_or_else(|| i.to_string(), str::to_owned);
                walk(&under(&name), item, out);
            }
        }
        Value::String(text) => out.push((path.to_owned(), text.clone())),
        other => out.push((path.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs() {
        let old = json!({"spec": {"containers": [{"name": "app", "image": "web:1", "env": [{"name": "A", "value": "x"}]},
            {"name": "proxy", "image": "p:1"}]}});
        let new = json!({"spec": {"containers": [{"name": "app", "image": "web:2", "env": []},
            {"name": "proxy", "image": "p:1", "tty": true}]}});
        assert_eq!(
            diff(&old, &new),
            [
                "- spec.containers.app.image: web:1",
                "+ spec.containers.app.image: web:2",
                "- spec.containers.app.env.A.name: A",
                "- spec.containers.app.env.A.value: x",
                "+ spec.containers.app.env: []",
                "+ spec.containers.proxy.tty: true",
            ]
        );
        assert!(diff(&old, &old).is_empty());
    }
}
