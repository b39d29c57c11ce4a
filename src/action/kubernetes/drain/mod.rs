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
use crate::source::kubernetes::{WriteError, Writer};

/// One pod on a node that is to be drained.
#[derive(Debug, Clone)]
struct Pod {
    id: ObjectId,
    uid: String,
    object: Value,
    judged: Judged,
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
        let mut pods: Vec<Pod> = all
            .into_iter()
            .map(|object| {
                let owner = object::controller(&object).map(|(_, name, _)| name.to_owned()).unwrap_or_default();
                let key = (object::text(&object, "/metadata/namespace").to_owned(), owner);
                let has_set = there.get(&key).copied().unwrap_or(true);
                Pod {
                    id: object::identity(node, Kind::Task, &object),
                    uid: object::uid(&object).to_owned(),
                    judged: classify::judge(&object, options, has_set),
                    object,
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
