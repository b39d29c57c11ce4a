//! How many tasks are wanted, and who else has a say in that.

use serde_json::{Value, json};

use super::super::intent::{Intent, Options};
use super::Kubernetes;
use super::change::Edit;
use super::object::{self, items, named, number, text};
use crate::domain::{Kind, ObjectId};
use crate::source::kubernetes::{Patch, WriteError, Writer};

impl Kubernetes {
    /// The autoscaler of a workload, if it has one. `None` as well where they may not be read: then it is said.
    pub(super) async fn autoscaler(&self, id: &ObjectId) -> Result<Option<Value>, WriteError> {
        let all = self.writer.list(&Writer::collection(Kind::Autoscaler, &id.namespace)?, &[]).await?;
        let ours = |hpa: &Value| {
            text(hpa, "/spec/scaleTargetRef/kind") == id.kind.kubernetes()
                && text(hpa, "/spec/scaleTargetRef/name") == id.name.as_str()
        };
        Ok(all.into_iter().find(ours))
    }

    /// Scales a workload, or raises its autoscaler's minimum.
    pub(super) async fn edit_scale(&self, intent: &Intent, id: &ObjectId, object: &Value) -> Edit {
        let options = &intent.options;
        let Some(wanted) = options.replicas else {
            let mut edit = Edit::new(id, "replicas", "", "");
            edit.refused.push("to how many? give a number".to_owned());
            return edit;
        };
        let hpa = self.autoscaler(id).await;
        if options.raise_minimum {
            return match hpa {
                Ok(Some(hpa)) => raise(id, &hpa, wanted),
                Ok(None) => refused(id, format!("nothing scales {}; scale it itself", named(id))),
                Err(error) => refused(id, format!("its autoscaler cannot be read: {error}")),
            };
        }
        let now = object::replicas(object);
        let mut edit = Edit::new(id, "replicas", &now.to_string(), &wanted.to_string());
        edit.part = "/scale";
        edit = edit.sends(Patch::Merge, json!({"spec": {"replicas": wanted}}));
        edit.undo = u32::try_from(now).ok().map(|n| Options { replicas: Some(n), ..options.clone() });
        match hpa {
            Ok(Some(hpa)) => edit.warnings.push(overruled(&hpa, i64::from(wanted))),
            Ok(None) => {}
            Err(error) => {
                edit.warnings.push(format!("whether an autoscaler will change it back is not known: {error}"));
            }
        }
        if wanted == 0 && now > 0 {
            edit.warnings.push(format!("no task of {} is left: what it serves is away", named(id)));
        }
        if let Some((kind, name, _)) = object::controller(object) {
            edit.warnings.push(format!("{kind} {name} owns it and will change it back; scale that instead"));
        }
        edit
    }
}

fn refused(id: &ObjectId, why: String) -> Edit {
    let mut edit = Edit::new(id, "replicas", "", "");
    edit.refused.push(why);
    edit
}

/// What the autoscaler will make of it.
fn overruled(hpa: &Value, wanted: i64) -> String {
    let (name, min, max) = bounds(hpa);
    if wanted == 0 {
        return format!("autoscaler {name} ({min} to {max}) rests while 0 are wanted");
    }
    if (min..=max).contains(&wanted) {
        return format!(
            "autoscaler {name} ({min} to {max}) will change it again by load; raise its minimum to keep it"
        );
    }
    format!("autoscaler {name} ({min} to {max}) will change it back at once; raise its minimum instead")
}

fn bounds(hpa: &Value) -> (&str, i64, i64) {
    let min = hpa.pointer("/spec/minReplicas").and_then(Value::as_i64).unwrap_or(1);
    (text(hpa, "/metadata/name"), min, number(hpa, "/spec/maxReplicas"))
}

/// The autoscaler's minimum becomes `wanted`.
pub(super) fn raise(near: &ObjectId, hpa: &Value, wanted: u32) -> Edit {
    let target = object::identity(near, Kind::Autoscaler, hpa);
    let (_, min, max) = bounds(hpa);
    let mut edit = Edit::new(&target, "minReplicas", &min.to_string(), &wanted.to_string())
        .sends(Patch::Merge, json!({"spec": {"minReplicas": wanted}}));
    let seen = items(hpa, "/status/conditions").iter().find(|c| text(c, "/type") == "ScalingActive");
    edit.note = format!("{} tasks now, {max} at most", number(hpa, "/status/currentReplicas"));
    if seen.is_some_and(|c| text(c, "/status") == "False") {
        edit.warnings.push("the autoscaler cannot read its metrics now; its minimum holds all the same".to_owned());
    }
    if i64::from(wanted) > max {
        edit.refused.push(format!("{wanted} is more than its maximum of {max}; raise that first"));
    } else if wanted == 0 {
        edit.refused
            .push("a minimum of 0 needs a feature that few clusters have; scale the workload instead".to_owned());
    }
    edit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_autoscaler_overrules() {
        let hpa =
            json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": {"maxReplicas": 10, "minReplicas": 2}});
        assert!(overruled(&hpa, 5).contains("again by load"));
        assert!(overruled(&hpa, 1).contains("back at once"));
        assert!(overruled(&hpa, 0).contains("rests"));
    }
}
