//! The seam between the fleet model, which knows no wire, and the façades,
//! which know no fleet.

use serde_json::Value;

use super::telemetry::Telemetry;
use crate::domain::{Timestamp, Usage};

/// A kind of Kubernetes object the fleet has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the kinds' own")]
pub enum ObjectKind {
    Node,
    Namespace,
    Pod,
    Deployment,
    ReplicaSet,
    StatefulSet,
    DaemonSet,
    Job,
    CronJob,
    Event,
    HorizontalPodAutoscaler,
    PodDisruptionBudget,
    Service,
    ConfigMap,
    Lease,
}

/// What the model did to its objects: the façade stores it, gives it a
/// resourceVersion and tells the watchers.
#[derive(Debug, Clone)]
pub enum Change {
    /// Created or changed: the whole object in its preferred version's JSON,
    /// without apiVersion, kind and metadata.resourceVersion, which the façade adds.
    Put(ObjectKind, Value),
    /// Gone.
    Delete {
        /// Kind.
        kind: ObjectKind,
        /// Namespace, empty for cluster-scoped kinds.
        namespace: String,
        /// Name.
        name: String,
    },
}

/// Why the model refuses a write. Becomes a `Status` object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 404.
    #[error("not found")]
    NotFound,
    /// 422 with the message.
    #[error("{0}")]
    Invalid(String),
    /// 409 with the message.
    #[error("{0}")]
    Conflict(String),
}

/// Which log lines are wanted.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// The container; `None` takes the only or default one.
    pub container: Option<String>,
    /// The run before the last restart.
    pub previous: bool,
    /// Not older than.
    pub since: Option<Timestamp>,
    /// At most the last this many lines.
    pub tail: Option<usize>,
}

/// One log line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When it was written.
    pub at: Timestamp,
    /// Its text, without a line end.
    pub text: String,
}

/// Measured use of one object.
#[derive(Debug, Clone)]
pub struct UsageSample {
    /// Namespace, empty for nodes.
    pub namespace: String,
    /// Node or pod name.
    pub name: String,
    /// Per container; a node has one unnamed entry.
    pub containers: Vec<(String, Usage)>,
}

/// A fleet that can be read and driven. Pure: time comes in, changes come out.
pub trait Fleet: Send + 'static {
    /// Everything that exists at the start.
    fn initial(&mut self, now: Timestamp) -> Vec<Change>;
    /// As [`Fleet::initial`], one change at a time: a fleet that can make them so
    /// is never in memory as JSON as a whole.
    fn initial_each(&mut self, now: Timestamp, sink: &mut dyn FnMut(Change)) {
        self.initial(now).into_iter().for_each(sink);
    }
    /// Lets time pass up to `now`; what changed, in order.
    fn advance(&mut self, now: Timestamp) -> Vec<Change>;
    /// A client wrote `object` (create, patch or update, already merged, whole).
    /// The model takes over what it honours (replicas, template, cordon, suspend,
    /// labels, annotations) and says what changed, the object itself included.
    ///
    /// # Errors
    /// When it does not exist or may not be so.
    fn write(&mut self, kind: ObjectKind, object: &Value, now: Timestamp) -> Result<Vec<Change>, Refusal>;
    /// A client deleted an object.
    ///
    /// # Errors
    /// When it does not exist.
    fn delete(&mut self, kind: ObjectKind, namespace: &str, name: &str, now: Timestamp)
    -> Result<Vec<Change>, Refusal>;
    /// Log lines up to `now`, oldest first.
    ///
    /// # Errors
    /// When there is no such pod, container or previous run (`Invalid` carries kubelet's words).
    fn logs(&self, query: &LogQuery, now: Timestamp) -> Result<Vec<LogLine>, Refusal>;
    /// What monitoring has seen, if anything is recorded.
    fn telemetry(&self) -> Option<&Telemetry> {
        None
    }
    /// The machines under it, and what becomes of them, if it has any.
    fn cloud(&self) -> Option<super::cloud::Cloud> {
        None
    }
    /// Use of every node now.
    fn node_usage(&self, now: Timestamp) -> Vec<UsageSample>;
    /// Use of every running pod now.
    fn pod_usage(&self, now: Timestamp) -> Vec<UsageSample>;
}
