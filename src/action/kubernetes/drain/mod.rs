//! Draining nodes, as `kubectl drain` does it, with two differences: pods are classified before anything is
//! touched, so that a refusal leaves the node as it was; and there is a time limit.

pub(super) mod classify;
mod evict;
mod plan;
mod run;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use self::classify::{Class, Judged};
use super::super::intent::Options;
use super::Kubernetes;
use super::object;
use crate::domain::{Kind, ObjectId, Text};
use crate::source::kubernetes::project::{Projector, Row};
use crate::source::kubernetes::{WriteError, Writer};
use crate::store::observation::Feed;

/// One pod on a node that is to be drained.
#[derive(Debug, Clone)]
struct Pod {
    id: ObjectId,
    uid: String,
    object: Value,
    judged: Judged,
    /// As the list of tasks has it: `CrashLoopBackOff`, whatever its phase says.
    status: Text,
    /// It is in no trouble, as far as its row says.
    serves: bool,
}

/// How a pod stands, and whether it serves, as its row says: in the phase `Running` are those that crash, too.
fn stands(projector: &mut Projector, pod: &Value) -> (Text, bool) {
    match projector.row(Feed::Tasks, &pod.to_string()) {
        Ok(Row::Task(task)) => (task.status, !task.health.is_problem()),
        _ => (Text::new(object::text(pod, "/status/phase")), true),
    }
}

impl Kubernetes {
    /// The pods on a node, each judged, by namespace and name.
    async fn pods_on(&self, node: &ObjectId, options: &Options) -> Result<Vec<Pod>, WriteError> {
        let field = format!("spec.nodeName={}", node.name);
        let all = self.writer.list(&Writer::collection(Kind::Task, "")?, &[("fieldSelector", &field)]).await?;
        let mut sets = BTreeSet::new();
        for pod in &all {
            if let Some(("DaemonSet", name, _)) = object::controller(pod) {
                sets.insert((object::text(pod, "/metadata/namespace").to_owned(), name.to_owned()));
            }
        }
        let mut there = BTreeMap::new();
        for (namespace, name) in sets {
            let (ns, n) = (Text::new(&namespace), Text::new(&name));
            let id = ObjectId { cluster: node.cluster.clone(), kind: Kind::DaemonSet, namespace: ns, name: n };
            // Only what is known to be gone is: a set that may not be read still owns its pods.
            let gone = self.read(&id).await.is_err_and(|e| e.code() == 404);
            there.insert((namespace, name), !gone);
        }
        let mut projector = Projector::new(node.cluster.clone());
        let mut pods: Vec<Pod> = all
            .into_iter()
            .map(|object| {
                let owner = object::controller(&object).map(|(_, name, _)| name.to_owned()).unwrap_or_default();
                let key = (object::text(&object, "/metadata/namespace").to_owned(), owner);
                let has_set = there.get(&key).copied().unwrap_or(true);
                let (status, serves) = stands(&mut projector, &object);
                Pod {
                    id: object::identity(node, Kind::Task, &object),
                    uid: object::uid(&object).to_owned(),
                    judged: classify::judge(&object, options, has_set),
                    object,
                    status,
                    serves,
                }
            })
            .collect();
        pods.sort_by(|a, b| (&a.id.namespace, &a.id.name).cmp(&(&b.id.namespace, &b.id.name)));
        Ok(pods)
    }
}

/// What stands in the way of draining a node with these pods.
fn refusals(pods: &[Pod]) -> Vec<String> {
    let refused = pods.iter().filter(|p| p.judged.class == Class::Refused);
    refused.map(|p| format!("{}: {}", object::named(&p.id), p.judged.note)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_that_crashes_is_said_to_whatever_its_phase_is() {
        let pod = |state: Value, ready: bool| {
            json!({"metadata": {"name": "p", "namespace": "shop", "uid": "1"}, "spec": {"containers": [{"name": "main"}]},
                "status": {"phase": "Running", "containerStatuses":
                    [{"name": "main", "ready": ready, "restartCount": 3, "state": state}]}})
        };
        let mut projector = Projector::new(crate::domain::ClusterId(Text::new("c")));
        let mut of = |state: Value, ready| stands(&mut projector, &pod(state, ready));
        assert_eq!(
            of(json!({"waiting": {"reason": "CrashLoopBackOff"}}), false),
            (Text::new("CrashLoopBackOff"), false)
        );
        assert_eq!(of(json!({"running": {}}), true), (Text::new("Running"), true));
    }
}
