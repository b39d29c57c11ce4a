//! Where each feed and kind lives in the API: one table.

use crate::domain::Kind;
use crate::store::observation::Feed;

/// One resource.
#[derive(Debug, Clone, Copy)]
pub struct Resource {
    /// The feed it is read for.
    pub feed: Feed,
    /// The kind of its objects.
    pub kind: Kind,
    /// `/api/v1` or `/apis/GROUP/VERSION`.
    pub base: &'static str,
    /// Group, empty for core.
    pub group: &'static str,
    /// Its name in paths.
    pub plural: &'static str,
    /// Objects live in namespaces.
    pub namespaced: bool,
}

macro_rules! resources {
    ($($feed:ident $kind:ident $base:literal $group:literal $plural:literal $namespaced:literal;)*) => {
        /// Everything that is watched or polled.
        pub static RESOURCES: &[Resource] = &[
            $(Resource { feed: Feed::$feed, kind: Kind::$kind, base: $base, group: $group, plural: $plural, namespaced: $namespaced },)*
        ];
    };
}

resources! {
    Tasks Task "/api/v1" "" "pods" true;
    Nodes Node "/api/v1" "" "nodes" false;
    Deployments Deployment "/apis/apps/v1" "apps" "deployments" true;
    StatefulSets StatefulSet "/apis/apps/v1" "apps" "statefulsets" true;
    DaemonSets DaemonSet "/apis/apps/v1" "apps" "daemonsets" true;
    ReplicaSets ReplicaSet "/apis/apps/v1" "apps" "replicasets" true;
    Jobs Job "/apis/batch/v1" "batch" "jobs" true;
    CronJobs CronJob "/apis/batch/v1" "batch" "cronjobs" true;
    Events Other "/api/v1" "" "events" true;
    Autoscalers Autoscaler "/apis/autoscaling/v2" "autoscaling" "horizontalpodautoscalers" true;
    DisruptionBudgets DisruptionBudget "/apis/policy/v1" "policy" "poddisruptionbudgets" true;
    NodeMetrics Node "/apis/metrics.k8s.io/v1beta1" "metrics.k8s.io" "nodes" false;
    TaskMetrics Task "/apis/metrics.k8s.io/v1beta1" "metrics.k8s.io" "pods" true;
}

impl Resource {
    /// The resource of a feed.
    #[must_use]
    pub fn of_feed(feed: Feed) -> Option<&'static Self> {
        RESOURCES.iter().find(|r| r.feed == feed)
    }

    /// The resource whose objects are of a kind.
    #[must_use]
    pub fn of_kind(kind: Kind) -> Option<&'static Self> {
        RESOURCES.iter().find(|r| r.kind == kind && kind != Kind::Other)
    }

    /// Its list's path, of one namespace or of all.
    #[must_use]
    pub fn path(&self, namespace: Option<&str>) -> String {
        match namespace.filter(|_| self.namespaced) {
            Some(ns) => format!("{}/namespaces/{}/{}", self.base, escape(ns), self.plural),
            None => format!("{}/{}", self.base, self.plural),
        }
    }
}

/// Percent-encodes what may not stand in a path segment or query value.
#[must_use]
pub fn escape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for b in raw.bytes() {
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(b));
        } else {
            out += &format!("%{b:02X}");
        }
    }
    out
}
