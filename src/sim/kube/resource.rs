//! THE resource table: every kind the façade serves, one row each. Discovery,
//! routing, selectors and tables are derived from it.

use crate::sim::backend::ObjectKind;

/// A field that a `fieldSelector` may name, and where it is in the object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SelectableField {
    /// As a client writes it, such as `spec.nodeName`.
    pub name: &'static str,
    /// JSON pointers, the first that is there wins.
    pub pointers: &'static [&'static str],
    /// What an absent field compares as.
    pub default: &'static str,
}

/// One row: a resource type.
#[derive(Debug)]
pub(crate) struct Resource {
    pub kind: ObjectKind,
    /// Empty for the core group.
    pub group: &'static str,
    pub version: &'static str,
    pub kind_name: &'static str,
    pub plural: &'static str,
    pub singular: &'static str,
    pub short_names: &'static [&'static str],
    pub categories: &'static [&'static str],
    pub namespaced: bool,
    pub subresources: &'static [Subresource],
    pub fields: &'static [SelectableField],
}

/// What can follow an object's name in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subresource {
    Status,
    Scale,
    Log,
    Eviction,
    Exec,
    Attach,
    PortForward,
}

impl Subresource {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Scale => "scale",
            Self::Log => "log",
            Self::Eviction => "eviction",
            Self::Exec => "exec",
            Self::Attach => "attach",
            Self::PortForward => "portforward",
        }
    }

    /// Whether it is a connection of its own, by an upgrade.
    pub(crate) fn is_stream(self) -> bool {
        matches!(self, Self::Exec | Self::Attach | Self::PortForward)
    }

    /// The verbs discovery lists.
    pub(crate) fn verbs(self) -> &'static [&'static str] {
        match self {
            Self::Status | Self::Scale => &["get", "patch", "update"],
            Self::Log => &["get"],
            Self::Eviction => &["create"],
            Self::Exec | Self::Attach | Self::PortForward => &["create", "get"],
        }
    }
}

/// The verbs of every resource in the table.
pub(crate) const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

impl Resource {
    /// `v1` or `apps/v1`.
    pub(crate) fn api_version(&self) -> String {
        group_version(self.group, self.version)
    }

    /// `pods` or `deployments.apps`, as messages name it.
    pub(crate) fn qualified(&self) -> String {
        qualify(self.plural, self.group)
    }

    /// `Pod` or `Deployment.apps`, as validation messages name it.
    pub(crate) fn qualified_kind(&self) -> String {
        qualify(self.kind_name, self.group)
    }

    pub(crate) fn has(&self, sub: Subresource) -> bool {
        self.subresources.contains(&sub)
    }
}

/// `v1` or `apps/v1`.
pub(crate) fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

fn qualify(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

/// The row of a kind.
pub(crate) fn of(kind: ObjectKind) -> &'static Resource {
    // The table has a row for every kind, which a test checks; the first row is never the answer.
    RESOURCES.iter().find(|r| r.kind == kind).unwrap_or(&RESOURCES[0])
}

/// The row of a plural name in a group and version.
pub(crate) fn find(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|r| r.group == group && r.version == version && r.plural == plural)
}

const fn field(name: &'static str, pointers: &'static [&'static str], default: &'static str) -> SelectableField {
    SelectableField { name, pointers, default }
}

const POD_FIELDS: &[SelectableField] = &[
    field("spec.nodeName", &["/spec/nodeName"], ""),
    field("status.phase", &["/status/phase"], ""),
    field("status.podIP", &["/status/podIP"], ""),
    field("spec.restartPolicy", &["/spec/restartPolicy"], "Always"),
    field("spec.serviceAccountName", &["/spec/serviceAccountName"], ""),
    field("status.nominatedNodeName", &["/status/nominatedNodeName"], ""),
];
const EVENT_FIELDS: &[SelectableField] = &[
    field("involvedObject.kind", &["/involvedObject/kind"], ""),
    field("involvedObject.namespace", &["/involvedObject/namespace"], ""),
    field("involvedObject.name", &["/involvedObject/name"], ""),
    field("involvedObject.uid", &["/involvedObject/uid"], ""),
    field("involvedObject.apiVersion", &["/involvedObject/apiVersion"], ""),
    field("involvedObject.resourceVersion", &["/involvedObject/resourceVersion"], ""),
    field("involvedObject.fieldPath", &["/involvedObject/fieldPath"], ""),
    field("reason", &["/reason"], ""),
    field("reportingComponent", &["/reportingComponent"], ""),
    field("source", &["/source/component", "/reportingComponent"], ""),
    field("type", &["/type"], ""),
];
const NODE_FIELDS: &[SelectableField] = &[field("spec.unschedulable", &["/spec/unschedulable"], "false")];
const NAMESPACE_FIELDS: &[SelectableField] = &[field("status.phase", &["/status/phase"], "")];
const JOB_FIELDS: &[SelectableField] = &[field("status.successful", &["/status/succeeded"], "0")];
const REPLICASET_FIELDS: &[SelectableField] = &[field("status.replicas", &["/status/replicas"], "0")];

use Subresource::{Attach, Eviction, Exec, Log, PortForward, Scale, Status};

macro_rules! rows {
    ($($kind:ident $group:literal $version:literal $plural:literal $singular:literal $short:tt $categories:tt
       $namespaced:literal $sub:tt $fields:expr;)*) => {
        &[$(Resource {
            kind: ObjectKind::$kind,
            group: $group,
            version: $version,
            kind_name: stringify!($kind),
            plural: $plural,
            singular: $singular,
            short_names: &$short,
            categories: &$categories,
            namespaced: $namespaced,
            subresources: &$sub,
            fields: $fields,
        }),*]
    };
}

/// The table. Order is discovery's order.
pub(crate) const RESOURCES: &[Resource] = rows! {
    ConfigMap "" "v1" "configmaps" "configmap" ["cm"] [] true [] &[];
    Event "" "v1" "events" "event" ["ev"] [] true [] EVENT_FIELDS;
    Namespace "" "v1" "namespaces" "namespace" ["ns"] [] false [Status] NAMESPACE_FIELDS;
    Node "" "v1" "nodes" "node" ["no"] [] false [Status] NODE_FIELDS;
    Pod "" "v1" "pods" "pod" ["po"] ["all"] true [Status, Log, Eviction, Exec, Attach, PortForward] POD_FIELDS;
    Service "" "v1" "services" "service" ["svc"] ["all"] true [Status] &[];
    DaemonSet "apps" "v1" "daemonsets" "daemonset" ["ds"] ["all"] true [Status] &[];
    Deployment "apps" "v1" "deployments" "deployment" ["deploy"] ["all"] true [Status, Scale] &[];
    ReplicaSet "apps" "v1" "replicasets" "replicaset" ["rs"] ["all"] true [Status, Scale] REPLICASET_FIELDS;
    StatefulSet "apps" "v1" "statefulsets" "statefulset" ["sts"] ["all"] true [Status, Scale] &[];
    HorizontalPodAutoscaler "autoscaling" "v2" "horizontalpodautoscalers" "horizontalpodautoscaler" ["hpa"] ["all"] true [Status] &[];
    CronJob "batch" "v1" "cronjobs" "cronjob" ["cj"] ["all"] true [Status] &[];
    Job "batch" "v1" "jobs" "job" [] ["all"] true [Status] JOB_FIELDS;
    Lease "coordination.k8s.io" "v1" "leases" "lease" [] [] true [] &[];
    PodDisruptionBudget "policy" "v1" "poddisruptionbudgets" "poddisruptionbudget" ["pdb"] [] true [Status] &[];
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_row() {
        use ObjectKind as K;
        for kind in [
            K::Node,
            K::Namespace,
            K::Pod,
            K::Deployment,
            K::ReplicaSet,
            K::StatefulSet,
            K::DaemonSet,
            K::Job,
            K::CronJob,
            K::Event,
            K::HorizontalPodAutoscaler,
            K::PodDisruptionBudget,
            K::Service,
            K::ConfigMap,
            K::Lease,
        ] {
            assert_eq!(of(kind).kind, kind);
        }
        assert_eq!(of(K::Deployment).qualified(), "deployments.apps");
        assert_eq!(find("", "v1", "pods").map(Resource::api_version).as_deref(), Some("v1"));
    }
}
