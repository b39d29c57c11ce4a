//! Where each kind is under the API server's root.

use crate::domain::{Kind, ObjectId};
use crate::store::observation::Feed;

/// Group path, resource, and whether it lives in namespaces.
type Place = (&'static str, &'static str, bool);

fn of_feed(feed: Feed) -> Place {
    match feed {
        Feed::Nodes => ("/api/v1", "nodes", false),
        Feed::Tasks => ("/api/v1", "pods", true),
        Feed::Deployments => ("/apis/apps/v1", "deployments", true),
        Feed::ReplicaSets => ("/apis/apps/v1", "replicasets", true),
        Feed::StatefulSets => ("/apis/apps/v1", "statefulsets", true),
        Feed::DaemonSets => ("/apis/apps/v1", "daemonsets", true),
        Feed::Jobs => ("/apis/batch/v1", "jobs", true),
        Feed::CronJobs => ("/apis/batch/v1", "cronjobs", true),
        Feed::Events => ("/api/v1", "events", true),
        Feed::Autoscalers => ("/apis/autoscaling/v2", "horizontalpodautoscalers", true),
        Feed::DisruptionBudgets => ("/apis/policy/v1", "poddisruptionbudgets", true),
        Feed::NodeMetrics => ("/apis/metrics.k8s.io/v1beta1", "nodes", false),
        Feed::TaskMetrics => ("/apis/metrics.k8s.io/v1beta1", "pods", true),
        // Only ECS clusters have these; a server answers 404 to this.
        Feed::Services
        | Feed::ServiceMetrics
        | Feed::Targets
        | Feed::Limits
        | Feed::Alarms
        | Feed::Budgets
        | Feed::Signals
        | Feed::Notices => ("/apis", "none", false),
    }
}

fn of_kind(kind: Kind) -> Option<Place> {
    Some(match kind {
        Kind::Node => of_feed(Feed::Nodes),
        Kind::Task => of_feed(Feed::Tasks),
        Kind::Deployment => of_feed(Feed::Deployments),
        Kind::ReplicaSet => of_feed(Feed::ReplicaSets),
        Kind::StatefulSet => of_feed(Feed::StatefulSets),
        Kind::DaemonSet => of_feed(Feed::DaemonSets),
        Kind::Job => of_feed(Feed::Jobs),
        Kind::CronJob => of_feed(Feed::CronJobs),
        Kind::Autoscaler => of_feed(Feed::Autoscalers),
        Kind::DisruptionBudget => of_feed(Feed::DisruptionBudgets),
        Kind::Namespace => ("/api/v1", "namespaces", false),
        Kind::EcsService
        | Kind::Zone
        | Kind::Alarm
        | Kind::Budget
        | Kind::Service
        | Kind::Notice
        | Kind::Pool
        | Kind::Other => return None,
    })
}

/// The list of a feed, of one namespace or all.
pub(super) fn list(feed: Feed, namespace: Option<&str>) -> String {
    let (group, resource, namespaced) = of_feed(feed);
    match namespace.filter(|_| namespaced) {
        Some(namespace) => format!("{group}/namespaces/{}/{resource}", encode(namespace)),
        None => format!("{group}/{resource}"),
    }
}

/// One object; `None` for a kind that is not known.
pub(super) fn object(id: &ObjectId) -> Option<String> {
    let (group, resource, namespaced) = of_kind(id.kind)?;
    let name = encode(id.name.as_str());
    Some(if namespaced {
        format!("{group}/namespaces/{}/{resource}/{name}", encode(id.namespace.as_str()))
    } else {
        format!("{group}/{resource}/{name}")
    })
}

/// Where objects of a kind are made or listed, of one namespace or all; `None` for a kind that is not known.
pub(super) fn collection(kind: Kind, namespace: Option<&str>) -> Option<String> {
    let (group, resource, namespaced) = of_kind(kind)?;
    Some(match namespace.filter(|_| namespaced) {
        Some(namespace) => format!("{group}/namespaces/{}/{resource}", encode(namespace)),
        None => format!("{group}/{resource}"),
    })
}

/// API group (empty for the core) and resource of a kind, as access rules name them.
pub(super) fn rule(kind: Kind) -> Option<(&'static str, &'static str)> {
    let (group, resource, _) = of_kind(kind)?;
    let group = group.strip_prefix("/apis/").and_then(|g| g.split('/').next()).unwrap_or_default();
    Some((group, resource))
}

/// Percent-encodes everything but unreserved characters, for a path segment or a query value.
pub(super) fn encode(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for byte in raw.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            use std::fmt::Write;
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ClusterId, Text};

    #[test]
    fn lists_and_objects() {
        assert_eq!(list(Feed::Tasks, None), "/api/v1/pods");
        assert_eq!(list(Feed::Jobs, Some("web")), "/apis/batch/v1/namespaces/web/jobs");
        assert_eq!(list(Feed::Nodes, Some("web")), "/api/v1/nodes");
        let id = ObjectId {
            cluster: ClusterId::new("c"),
            kind: Kind::Task,
            namespace: Text::new("web"),
            name: Text::new("a/../b"),
        };
        assert_eq!(object(&id).unwrap(), "/api/v1/namespaces/web/pods/a%2F..%2Fb");
        assert_eq!(object(&ObjectId { kind: Kind::Other, ..id }), None);
        assert_eq!(collection(Kind::Job, Some("web")).unwrap(), "/apis/batch/v1/namespaces/web/jobs");
        assert_eq!(rule(Kind::Node), Some(("", "nodes")));
        assert_eq!(rule(Kind::Autoscaler), Some(("autoscaling", "horizontalpodautoscalers")));
    }
}
