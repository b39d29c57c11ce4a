//! What is different between two task definitions, never a variable's value. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::domain::Text;
use crate::source::ecs::{registrable, shown};

/// By what the things in a list are told apart.
const NAMES: [&str; 4] = ["name", "key", "containerPort", "containerPath"];

/// `- image: web:1` and `+ image: web:2` for each value that is different, with its container where there are
/// several. What is hidden is hidden, but that it is different is said.
pub(super) fn differs(old: &Value, new: &Value) -> Vec<Text> {
    let names = container_names(old).len().max(container_names(new).len());
    let lines = |definition: &Value| {
        let mut out = BTreeMap::new();
        for (key, value) in definition.as_object().into_iter().flatten() {
            match value.as_array().filter(|_| key == "containerDefinitions") {
                Some(all) if names == 1 => all.iter().for_each(|container| walk("", container, &mut out)),
                Some(_) => walk("", value, &mut out),
                None => walk(key, value, &mut out),
            }
        }
        out
    };
    // What every revision has of its own tells nothing.
    let (old, new) = (registrable(old), registrable(new));
    let (raw, shows) = ((lines(&old), lines(&new)), (lines(&shown(&old)), lines(&shown(&new))));
    let mut paths: Vec<&String> = raw.0.keys().chain(raw.1.keys()).collect();
    paths.sort();
    paths.dedup();
    let mut out = Vec::new();
    for path in paths {
        if raw.0.get(path) == raw.1.get(path) {
            continue;
        }
        let mut line = |sign: char, raw: &BTreeMap<String, String>, shows: &BTreeMap<String, String>| {
            if raw.contains_key(path) {
                let value = shows.get(path).map_or("(hidden)", String::as_str);
                out.push(Text::new(&format!("{sign} {path}: {value}")));
            }
        };
        line('-', &raw.0, &shows.0);
        line('+', &raw.1, &shows.1);
    }
    out
}

/// The names of a definition's containers.
pub(super) fn container_names(definition: &Value) -> Vec<&str> {
    definition["containerDefinitions"].as_array().into_iter().flatten().filter_map(|c| c["name"].as_str()).collect()
}

/// Each value with the way to it.
fn walk(at: &str, value: &Value, out: &mut BTreeMap<String, String>) {
    let below = |key: &str| if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| match value {
            // A thing's own name is in the way to it.
            Value::String(_) if key == "name" && !at.is_empty() => {}
            _ => walk(&below(key), value, out),
        }),
        // A command is one thing.
        Value::Array(items) if items.iter().all(|i| !i.is_object()) => {
            if !items.is_empty() {
                out.insert(at.to_owned(), value.to_string());
            }
        }
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                let name = NAMES.iter().find_map(|k| match &item[*k] {
                    Value::String(text) => Some(text.clone()),
                    Value::Number(number) => Some(number.to_string()),
                    _ => None,
                });
                walk(&below(&name.unwrap_or_else(|| n.to_string())), item, out);
            }
        }
        Value::Null => {}
        Value::String(text) => drop(out.insert(at.to_owned(), text.clone())),
        other => drop(out.insert(at.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(old: &Value, new: &Value) -> Vec<String> {
        differs(old, new).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_different_is_said_and_what_is_secret_is_not() {
        let of = |revision: u32, image: &str, password: &str, side: bool| {
            let mut out = json!({"family": "web", "revision": revision, "cpu": "256", "containerDefinitions": [
                {"name": "app", "image": image, "command": ["serve", "--token", password],
                    "environment": [{"name": "LEVEL", "value": password}]}]});
            if side {
                out["containerDefinitions"].as_array_mut().unwrap().push(json!({"name": "side", "image": "side:1"}));
            }
            out
        };
        let old = of(1, "web:1", "hunter2", false);
        assert_eq!(said(&old, &of(2, "web:2", "hunter2", false)), ["- image: web:1", "+ image: web:2"]);
        assert!(said(&old, &of(7, "web:1", "hunter2", false)).is_empty(), "a revision's own number is none");
        let mut new = of(2, "web:2", "hunter3", true);
        new["tags"] = json!([{"key": "team", "value": "a"}]);
        let lines = said(&of(1, "web:1", "hunter2", true), &new);
        let command = r#"app.command: ["serve","--token","(hidden)"]"#;
        assert_eq!(
            lines,
            [
                &format!("- {command}"),
                &format!("+ {command}"),
                "- app.environment.LEVEL.value: (hidden)",
                "+ app.environment.LEVEL.value: (hidden)",
                "- app.image: web:1",
                "+ app.image: web:2",
                "+ tags.team.key: team",
                "+ tags.team.value: a",
            ]
        );
    }
}
