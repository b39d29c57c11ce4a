//! Nodes.

use serde::Deserialize;

use super::Projector;
use super::meta::{Condition, Meta, Pairs, Str, condition, nullable};
use crate::domain::{Bytes, CapacityType, Kind, Millicores, Node, NodeCondition, Resources, Text};

/// A node, as far as it is shown.
#[derive(Debug, Default, Deserialize)]
pub struct NodeObject<'a> {
    #[serde(borrow)]
    pub(super) metadata: Meta<'a>,
    #[serde(borrow, default)]
    pub(super) spec: Spec<'a>,
    #[serde(borrow, default)]
    pub(super) status: Status<'a>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Spec<'a> {
    #[serde(default)]
    pub(super) unschedulable: bool,
    #[serde(borrow, default, rename = "providerID")]
    pub(super) provider_id: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub(super) taints: Vec<Taint<'a>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Taint<'a> {
    #[serde(borrow, default)]
    pub(super) key: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub(super) value: Str<'a>,
    #[serde(borrow, default)]
    pub(super) effect: Str<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status<'a> {
    #[serde(borrow, default)]
    pub(super) allocatable: Pairs<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub(super) conditions: Vec<Condition<'a>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub(super) addresses: Vec<Address<'a>>,
    #[serde(borrow, default)]
    pub(super) node_info: Info<'a>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Address<'a> {
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Str<'a>,
    #[serde(borrow, default)]
    pub(super) address: Str<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Info<'a> {
    #[serde(borrow, default)]
    pub(super) kubelet_version: Str<'a>,
    #[serde(borrow, default)]
    pub(super) os_image: Str<'a>,
    #[serde(borrow, default)]
    pub(super) container_runtime_version: Str<'a>,
}

/// A node's row.
pub fn node(object: &NodeObject<'_>, p: &mut Projector) -> Node {
    let id = p.identity(Kind::Node, &object.metadata);
    let (spec, status, labels) = (&object.spec, &object.status, &object.metadata.labels);
    let ready = condition(&status.conditions, "Ready");
    let state = match ready.map(|c| c.status.as_ref()) {
        Some("True") => NodeCondition::Ready,
        Some("False") => NodeCondition::NotReady,
        Some(_) => NodeCondition::Silent,
        None => NodeCondition::Missing,
    };
    let label = |names: &[&str]| names.iter().find_map(|n| labels.get(n)).unwrap_or_default();
    let taints: Vec<String> = spec
        .taints
        .iter()
        .map(|t| {
            if t.value.is_empty() {
                format!("{}:{}", t.key, t.effect)
            } else {
                format!("{}={}:{}", t.key, t.value, t.effect)
            }
        })
        .collect();
    let address = status.addresses.iter().find(|a| a.kind == "InternalIP").map_or("", |a| a.address.as_ref());
    let pods = status.allocatable.get("pods").and_then(Bytes::parse).unwrap_or_default();
    Node {
        uid: Text::new(&object.metadata.uid),
        created: object.metadata.creation_timestamp,
        condition: state,
        condition_since: ready.and_then(|c| c.last_transition_time),
        message: Text::new(ready.filter(|_| state != NodeCondition::Ready).map_or("", |c| c.message.as_ref())),
        unschedulable: spec.unschedulable,
        pressure: p.interner.text(&pressure(&status.conditions)),
        status: p.interner.text(&printed_status(state, spec.unschedulable)),
        roles: p.interner.text(&roles(labels)),
        version: p.interner.text(&status.node_info.kubelet_version),
        zone: p.interner.text(label(&["topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"])),
        instance_type: p
            .interner
            .text(label(&["node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type"])),
        instance: Text::new(spec.provider_id.rsplit('/').next().unwrap_or_default()),
        capacity_type: capacity(labels),
        address: Text::new(address),
        os_image: p.interner.text(&status.node_info.os_image),
        runtime: p.interner.text(&status.node_info.container_runtime_version),
        allocatable: Resources {
            cpu: status.allocatable.get("cpu").and_then(Millicores::parse).unwrap_or_default(),
            memory: status.allocatable.get("memory").and_then(Bytes::parse).unwrap_or_default(),
        },
        allocatable_tasks: u32::try_from(pods.0).unwrap_or(u32::MAX),
        taints: p.interner.text(&taints.join(",")),
        announced: Text::new(&announced(&status.conditions)),
        labels: labels.labels(&mut p.interner),
        ecs: None,
        id,
    }
}

/// Follows `printNode`: anything but True is `NotReady`, no condition `Unknown`.
fn printed_status(state: NodeCondition, unschedulable: bool) -> String {
    let word = match state {
        NodeCondition::Ready => "Ready",
        NodeCondition::NotReady | NodeCondition::Silent => "NotReady",
        NodeCondition::Missing => "Unknown",
    };
    if unschedulable { format!("{word},SchedulingDisabled") } else { word.to_owned() }
}

/// Follows `findNodeRoles`: sorted, `<none>` without any.
fn roles(labels: &Pairs<'_>) -> String {
    let mut roles: Vec<&str> = labels
        .0
        .iter()
        .filter_map(|(k, v)| match k.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => Some(role).filter(|r| !r.is_empty()),
            None => (k == "kubernetes.io/role" && !v.is_empty()).then_some(v.as_ref()),
        })
        .collect();
    roles.sort_unstable();
    roles.dedup();
    if roles.is_empty() { "<none>".to_owned() } else { roles.join(",") }
}

fn pressure(conditions: &[Condition<'_>]) -> String {
    let bad = |kind: &str| {
        kind.ends_with("Pressure")
            || kind == "NetworkUnavailable"
            || kind.ends_with("Problem")
            || kind.ends_with("Deadlock")
    };
    let names: Vec<&str> =
        conditions.iter().filter(|c| c.status == "True" && bad(&c.kind)).map(|c| c.kind.as_ref()).collect();
    names.join(",")
}

/// What Azure's node-problem-detector announces in a condition.
fn announced(conditions: &[Condition<'_>]) -> String {
    let said = |c: &Condition<'_>| crate::domain::notice::announced(&c.kind, &c.reason, &c.message);
    conditions.iter().filter(|c| c.status == "True").find_map(said).unwrap_or_default()
}

/// Spot or on demand, by the labels of whoever made the node.
fn capacity(labels: &Pairs<'_>) -> CapacityType {
    let is =
        |key: &str, values: &[&str]| labels.get(key).is_some_and(|v| values.iter().any(|w| v.eq_ignore_ascii_case(w)));
    let spot = is("karpenter.sh/capacity-type", &["spot"])
        || is("eks.amazonaws.com/capacityType", &["SPOT"])
        || is("cloud.google.com/gke-spot", &["true"])
        || is("cloud.google.com/gke-preemptible", &["true"])
        || is("kubernetes.azure.com/scalesetpriority", &["spot"])
        || is("lifecycle", &["Ec2Spot", "spot"])
        || is("node.kubernetes.io/lifecycle", &["spot"])
        || is("node-lifecycle", &["spot"]);
    let on_demand = is("karpenter.sh/capacity-type", &["on-demand", "reserved"])
        || is("eks.amazonaws.com/capacityType", &["ON_DEMAND", "CAPACITY_BLOCK"])
        || is("kubernetes.azure.com/scalesetpriority", &["regular"])
        || is("lifecycle", &["OnDemand", "normal"])
        || is("node.kubernetes.io/lifecycle", &["normal", "on-demand"]);
    match (spot, on_demand) {
        (true, _) => CapacityType::Spot,
        (false, true) => CapacityType::OnDemand,
        (false, false) => CapacityType::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_condition_announces_is_in_the_row_while_it_is_true() {
        let row = |status: &str| {
            let json = format!(
                "{{\"metadata\": {{\"name\": \"aks-1\", \"uid\": \"u\"}}, \"status\": {{\"conditions\": [\
                 {{\"type\": \"Ready\", \"status\": \"True\"}}, {{\"type\": \"VMEventScheduled\", \
                 \"status\": \"{status}\", \"reason\": \"VMEventScheduled\", \
                 \"message\": \"Preempt Scheduled: Mon, 02 Mar 2026 19:01:45 GMT\"}}]}}}}"
            );
            let object: NodeObject<'_> = serde_json::from_str(&json).unwrap();
            node(&object, &mut Projector::new(crate::domain::ClusterId::new("aks")))
        };
        assert_eq!(row("True").announced, "PreemptScheduled: Preempt Scheduled: Mon, 02 Mar 2026 19:01:45 GMT");
        assert_eq!((row("False").announced.as_str(), row("True").pressure.as_str()), ("", ""));
    }
}
