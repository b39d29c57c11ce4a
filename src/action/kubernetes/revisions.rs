//! Earlier definitions of a workload, and going back to one.

use serde_json::{Value, json};

use super::super::intent::{Intent, Options};
use super::Kubernetes;
use super::change::{Edit, diff};
use super::object::{self, named, number, text};
use crate::domain::{Kind, ObjectId};
use crate::source::kubernetes::{Patch, WriteError, Writer};

/// Where a Deployment and its `ReplicaSet`s keep the number.
const NUMBER: &str = "/metadata/annotations/deployment.kubernetes.io~1revision";

/// One definition that is kept.
#[derive(Debug, Clone)]
struct Revision {
    number: i64,
    /// The template as it was, for the diff.
    template: Value,
    /// What is sent to have it back.
    body: Value,
}

impl Kubernetes {
    /// Goes back to the revision that is asked for, or to the one before.
    pub(super) async fn edit_revision(&self, intent: &Intent, id: &ObjectId, object: &Value) -> Edit {
        let refuse = |why: String| {
            let mut edit = Edit::new(id, "revision", "", "");
            edit.refused.push(why);
            edit
        };
        let mut all = match self.revisions(id, object).await {
            Ok(all) => all,
            Err(error) => return refuse(format!("the revisions of {} cannot be read: {error}", named(id))),
        };
        all.sort_by_key(|r| std::cmp::Reverse(r.number));
        let Some(current) = all.first().map(|r| r.number) else {
            return refuse(format!("{} has no revision that is kept", named(id)));
        };
        let kept: Vec<String> = all.iter().map(|r| r.number.to_string()).collect();
        let kept = kept.join(", ");
        let wanted = match intent.options.revision.as_deref() {
            None => all.get(1),
            Some(given) => match given.parse::<i64>() {
                Ok(n) => all.iter().find(|r| r.number == n),
                Err(_) => return refuse(format!("{given} is no revision; there are {kept}")),
            },
        };
        let Some(revision) = wanted else {
            return refuse(match &intent.options.revision {
                Some(n) => format!("revision {n} of {} is not kept; there are {kept}", named(id)),
                None => format!("{} has no revision before {current}", named(id)),
            });
        };
        let how = if id.kind == Kind::Deployment { Patch::Json } else { Patch::Strategic };
        let mut edit = Edit::new(id, "revision", &current.to_string(), &revision.number.to_string())
            .sends(how, revision.body.clone());
        edit.note = format!("kept are {kept}");
        (edit.diff, edit.note) = compared(object, &revision.template, edit.note);
        edit.acts = edit.acts && object.pointer("/spec/template") != Some(&revision.template);
        edit.undo = Some(Options { revision: Some(current.to_string()), ..intent.options.clone() });
        edit
    }

    async fn revisions(&self, id: &ObjectId, object: &Value) -> Result<Vec<Revision>, WriteError> {
        let ours = |o: &&Value| object::controller(o).is_some_and(|(_, _, uid)| uid == object::uid(object));
        let selector = selector(object.pointer("/spec/selector").unwrap_or(&Value::Null));
        let select: Vec<(&str, &str)> =
            Some(("labelSelector", selector.as_str())).filter(|_| !selector.is_empty()).into_iter().collect();
        if id.kind == Kind::Deployment {
            let sets = self.writer.list(&Writer::collection(Kind::ReplicaSet, &id.namespace)?, &select).await?;
            return Ok(sets.iter().filter(ours).filter_map(of_replica_set).collect());
        }
        let all = self.writer.list(&Writer::revisions(&id.namespace), &select).await?;
        Ok(all.iter().filter(ours).map(of_controller_revision).collect())
    }
}

fn of_replica_set(set: &Value) -> Option<Revision> {
    let number = text(set, NUMBER).parse().ok()?;
    let mut template = set.pointer("/spec/template")?.clone();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.shift_remove("pod-template-hash");
    }
    let body = json!([{"op": "replace", "path": "/spec/template", "value": template}]);
    Some(Revision { number, template, body })
}

fn of_controller_revision(revision: &Value) -> Revision {
    let body = revision.get("data").cloned().unwrap_or_default();
    let mut template = body.pointer("/spec/template").cloned().unwrap_or_default();
    if let Some(fields) = template.as_object_mut() {
        fields.shift_remove("$patch");
    }
    Revision { number: number(revision, "/revision"), template, body }
}

/// The template's diff with what may be secret hidden, and the note with a word on it where that is all.
fn compared(object: &Value, template: &Value, note: String) -> (Vec<String>, String) {
    let (mut old, mut new) = (object.pointer("/spec/template").cloned().unwrap_or_default(), template.clone());
    let hidden = old != new;
    Writer::redact(&mut old);
    Writer::redact(&mut new);
    let lines = diff(&old, &new);
    let note = match (hidden, lines.is_empty()) {
        (false, _) => format!("{note}; it is the same definition as now"),
        (true, true) => format!("{note}; they differ only in values that are not shown"),
        _ => note,
    };
    (lines, note)
}

/// A label selector as the API takes it in a query.
fn selector(selector: &Value) -> String {
    let mut terms = Vec::new();
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        terms.push(format!("{key}={}", value.as_str().unwrap_or_default()));
    }
    for e in object::items(selector, "/matchExpressions") {
        let key = text(e, "/key");
        let values: Vec<&str> = object::items(e, "/values").iter().filter_map(Value::as_str).collect();
        terms.push(match text(e, "/operator") {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        });
    }
    terms.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stay_hidden_in_a_diff() {
        let with = |password: &str, level: &str| {
            json!({"spec": {"containers": [{"name": "app", "env": [{"name": "DB_PASSWORD", "value": password},
                {"name": "LEVEL", "value": level}]}]}})
        };
        let object = json!({"spec": {"template": with("hunter2", "info")}});
        let (lines, _) = compared(&object, &with("hunter3", "debug"), String::new());
        assert_eq!(
            lines,
            ["- spec.containers.app.env.LEVEL.value: info", "+ spec.containers.app.env.LEVEL.value: debug"]
        );
        let (lines, note) = compared(&object, &with("hunter3", "info"), String::new());
        assert!(lines.is_empty() && note.contains("not shown"), "{note}");
    }

    #[test]
    fn selectors() {
        let s = json!({"matchLabels": {"app": "web"}, "matchExpressions": [
            {"key": "t", "operator": "In", "values": ["a", "b"]}, {"key": "x", "operator": "DoesNotExist"}]});
        assert_eq!(selector(&s), "app=web,t in (a,b),!x");
    }
}
