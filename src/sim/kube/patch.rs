//! The four ways to patch an object.

use serde_json::{Map, Value};

/// Which field identifies an item of a list in a strategic merge. Lists that
/// are not here are replaced, as the API's types have it (taints, for one).
const MERGE_KEYS: &[(&str, &[&str])] = &[
    ("containers", &["name"]),
    ("initContainers", &["name"]),
    ("ephemeralContainers", &["name"]),
    ("env", &["name"]),
    ("volumes", &["name"]),
    ("volumeMounts", &["mountPath"]),
    ("volumeDevices", &["devicePath"]),
    ("imagePullSecrets", &["name"]),
    ("ports", &["containerPort", "port"]),
    ("conditions", &["type"]),
    ("addresses", &["type"]),
    ("hostAliases", &["ip"]),
    ("topologySpreadConstraints", &["topologyKey"]),
    ("ownerReferences", &["uid"]),
];

/// Lists of plain values that a strategic merge adds to.
const MERGED_VALUES: &[&str] = &["finalizers", "podCIDRs"];

/// JSON merge patch (RFC 7386).
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    let mut members = take_object(target);
    for (key, value) in patch {
        if value.is_null() {
            members.shift_remove(key);
        } else {
            merge(members.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
    *target = Value::Object(members);
}

/// Strategic merge patch, by the table above.
pub(crate) fn strategic(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if patch.get("$patch").is_some_and(|p| p == "replace") {
        *target =
            Value::Object(patch.iter().filter(|(k, _)| *k != "$patch").map(|(k, v)| (k.clone(), v.clone())).collect());
        return;
    }
    let mut members = take_object(target);
    if let Some(Value::Array(kept)) = patch.get("$retainKeys") {
        members.retain(|k, _| kept.iter().any(|r| r == k));
    }
    for (key, value) in patch {
        if let Some(list) = key.strip_prefix("$deleteFromPrimitiveList/") {
            let gone = value.as_array().cloned().unwrap_or_default();
            if let Some(Value::Array(there)) = members.get_mut(list) {
                there.retain(|v| !gone.contains(v));
            }
        } else if key.starts_with('$') {
            // $setElementOrder only orders, and items keep the order they have.
        } else if value.is_null() || value.get("$patch").is_some_and(|p| p == "delete") {
            members.shift_remove(key);
        } else if let Value::Array(items) = value {
            merge_list(key, members.entry(key.clone()).or_insert(Value::Null), items);
        } else {
            strategic(members.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
    *target = Value::Object(members);
}

fn merge_list(key: &str, target: &mut Value, items: &[Value]) {
    let there = match target {
        Value::Array(there) => std::mem::take(there),
        _ => Vec::new(),
    };
    let keys = MERGE_KEYS.iter().find(|(list, _)| *list == key).map(|(_, keys)| *keys);
    let replaced = items.iter().any(|i| i.get("$patch").is_some_and(|p| p == "replace"));
    let merged = match keys {
        Some(keys) if !replaced => merge_by_key(keys, there, items),
        None if MERGED_VALUES.contains(&key) => {
            let mut all = there;
            all.extend(items.iter().filter(|i| !all.contains(i)).cloned().collect::<Vec<_>>());
            all
        }
        _ => items.iter().filter(|i| i.get("$patch").is_none()).cloned().collect(),
    };
    *target = merged.into();
}

fn merge_by_key(keys: &[&str], mut there: Vec<Value>, items: &[Value]) -> Vec<Value> {
    for item in items {
        let Some(key) = keys.iter().find(|k| item.get(**k).is_some()) else {
            there.push(item.clone());
            continue;
        };
        let at = there.iter().position(|old| old.get(*key) == item.get(*key));
        if item.get("$patch").is_some_and(|p| p == "delete") {
            if let Some(at) = at {
                there.remove(at);
            }
        } else if let Some(at) = at {
            strategic(&mut there[at], item);
        } else {
            let mut new = Value::Null;
            strategic(&mut new, item);
            there.push(new);
        }
    }
    there
}

/// What `value` is as an object; anything else becomes an empty one.
fn take_object(value: &mut Value) -> Map<String, Value> {
    match value.take() {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// JSON patch (RFC 6902). The error says which operation failed and why.
pub(crate) fn json(target: &mut Value, operations: &Value) -> Result<(), String> {
    let operations = operations.as_array().ok_or("a JSON patch is a list of operations")?;
    for (i, operation) in operations.iter().enumerate() {
        apply(target, operation).map_err(|why| format!("operation {i}: {why}"))?;
    }
    Ok(())
}

fn apply(target: &mut Value, operation: &Value) -> Result<(), String> {
    let text =
        |key: &str| operation.get(key).and_then(Value::as_str).ok_or_else(|| format!("the member {key:?} is missing"));
    let value = || operation.get("value").cloned().ok_or_else(|| "the member \"value\" is missing".to_owned());
    let path = text("path")?;
    match text("op")? {
        "add" => add(target, path, value()?),
        "remove" => remove(target, path).map(drop),
        "replace" => {
            let at = target.pointer_mut(path).ok_or_else(|| missing(path))?;
            *at = value()?;
            Ok(())
        }
        "move" => {
            let moved = remove(target, text("from")?)?;
            add(target, path, moved)
        }
        "copy" => {
            let from = text("from")?;
            let copied = target.pointer(from).cloned().ok_or_else(|| missing(from))?;
            add(target, path, copied)
        }
        "test" if target.pointer(path) == Some(&value()?) => Ok(()),
        "test" => Err(format!("testing path {path} failed")),
        other => Err(format!("unknown op {other:?}; add, remove, replace, move, copy and test are")),
    }
}

fn missing(path: &str) -> String {
    format!("there is nothing at {path}")
}

/// The parent of what `path` names, and its last part.
fn parent<'a>(target: &'a mut Value, path: &str) -> Result<(&'a mut Value, String), String> {
    let (parent, last) = path.rsplit_once('/').ok_or_else(|| format!("{path:?} is not a JSON pointer"))?;
    let last = last.replace("~1", "/").replace("~0", "~");
    target.pointer_mut(parent).map(|p| (p, last)).ok_or_else(|| missing(parent))
}

fn add(target: &mut Value, path: &str, value: Value) -> Result<(), String> {
    if path.is_empty() {
        *target = value;
        return Ok(());
    }
    match parent(target, path)? {
        (Value::Object(map), key) => {
            map.insert(key, value);
            Ok(())
        }
        (Value::Array(list), key) if key == "-" => {
            list.push(value);
            Ok(())
        }
        (Value::Array(list), key) => match key.parse::<usize>() {
            Ok(at) if at <= list.len() => {
                list.insert(at, value);
                Ok(())
            }
            _ => Err(missing(path)),
        },
        _ => Err(missing(path)),
    }
}

fn remove(target: &mut Value, path: &str) -> Result<Value, String> {
    let removed = match parent(target, path)? {
        (Value::Object(map), key) => map.shift_remove(&key),
        (Value::Array(list), key) => key.parse().ok().filter(|at: &usize| *at < list.len()).map(|at| list.remove(at)),
        _ => None,
    };
    removed.ok_or_else(|| missing(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_merge() {
        let mut o = json!({"a": 1, "b": {"c": 2, "d": [1, 2]}});
        merge(&mut o, &json!({"a": null, "b": {"d": [3], "e": {"f": null, "g": 1}}}));
        assert_eq!(o, json!({"b": {"c": 2, "d": [3], "e": {"g": 1}}}));
    }

    #[test]
    fn strategic_merge_by_key() {
        let mut o = json!({"spec": {"containers": [
            {"name": "a", "image": "x:1", "env": [{"name": "K", "value": "1"}, {"name": "L", "value": "2"}]},
            {"name": "b", "image": "y:1"}], "taints": [{"key": "old"}]}, "metadata": {"finalizers": ["f"]}});
        strategic(
            &mut o,
            &json!({"spec": {"$setElementOrder/containers": [{"name": "a"}], "taints": [{"key": "new"}],
                "containers": [{"name": "a", "image": "x:2", "env": [{"name": "K", "$patch": "delete"}]},
                    {"name": "c", "image": "z:1"}]},
                "metadata": {"finalizers": ["f", "g"]}}),
        );
        assert_eq!(
            o,
            json!({"spec": {"containers": [
                {"name": "a", "image": "x:2", "env": [{"name": "L", "value": "2"}]},
                {"name": "b", "image": "y:1"}, {"name": "c", "image": "z:1"}], "taints": [{"key": "new"}]},
                "metadata": {"finalizers": ["f", "g"]}})
        );
    }

    #[test]
    fn json_patch() {
        let mut o = json!({"a": {"b/c": 1}, "l": [1, 2]});
        let patch = json!([
            {"op": "test", "path": "/a/b~1c", "value": 1},
            {"op": "replace", "path": "/a/b~1c", "value": 5},
            {"op": "add", "path": "/l/-", "value": 3},
            {"op": "add", "path": "/l/0", "value": 0},
            {"op": "remove", "path": "/l/1"},
            {"op": "copy", "from": "/l", "path": "/m"},
            {"op": "move", "from": "/a", "path": "/z"},
        ]);
        json(&mut o, &patch).expect("applies");
        assert_eq!(o, json!({"l": [0, 2, 3], "m": [0, 2, 3], "z": {"b/c": 5}}));
        assert!(json(&mut o, &json!([{"op": "test", "path": "/z", "value": 1}])).is_err());
        assert!(json(&mut o, &json!([{"op": "remove", "path": "/nope/x"}])).is_err());
        assert!(json(&mut o, &json!({"op": "remove"})).is_err());
    }
}
