//! From Kubernetes objects to rows.
//!
//! What kubectl prints is what people compare with, so READY, STATUS, RESTARTS
//! and the node's STATUS follow kubectl's own printers
//! (`k8s.io/kubernetes/pkg/printers/internalversion/printers.go`); golden tests
//! hold them to its real output.

mod meta;
mod misc;
mod node;
mod pod;
mod wire;
mod workload;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::{
    Autoscaler, ClusterId, DisruptionBudget, Event, Interner, Kind, Node, ObjectId, Task, Text, Usage, Workload,
};
use crate::store::observation::Feed;
use meta::Object;

/// A row of any kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Row {
    /// A node.
    Node(Node),
    /// A pod.
    Task(Task),
    /// A workload.
    Workload(Workload),
    /// An event.
    Event(Event),
    /// An autoscaler.
    Autoscaler(Autoscaler),
    /// A disruption budget.
    DisruptionBudget(DisruptionBudget),
}

/// An object that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {name} was left out: {reason}")]
pub struct ProjectError {
    /// The feed's word for it.
    pub what: &'static str,
    /// Namespace and name, as far as they are known.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

fn unread(feed: Feed, reason: &str) -> ProjectError {
    ProjectError { what: feed.word(), name: "without a name".to_owned(), reason: reason.to_owned() }
}

/// The row, if it says whose it is.
fn named(feed: Feed, row: Row) -> Result<Row, ProjectError> {
    let id = match &row {
        Row::Node(r) => &r.id,
        Row::Task(r) => &r.id,
        Row::Workload(r) => &r.id,
        Row::Event(r) => &r.id,
        Row::Autoscaler(r) => &r.id,
        Row::DisruptionBudget(r) => &r.id,
    };
    if id.name.is_empty() {
        let reason = "it has no name".to_owned();
        return Err(ProjectError { what: feed.word(), name: String::new(), reason });
    }
    Ok(row)
}

/// Turns the objects of one cluster into rows; keeps what they share.
#[derive(Debug)]
pub struct Projector {
    cluster: ClusterId,
    interner: Interner,
    pods: pod::Shared,
}

/// The kind of a feed's objects.
fn kind(feed: Feed) -> Kind {
    match feed {
        Feed::Nodes | Feed::NodeMetrics => Kind::Node,
        Feed::Tasks | Feed::TaskMetrics => Kind::Task,
        Feed::Deployments => Kind::Deployment,
        Feed::ReplicaSets => Kind::ReplicaSet,
        Feed::StatefulSets => Kind::StatefulSet,
        Feed::DaemonSets => Kind::DaemonSet,
        Feed::Jobs => Kind::Job,
        Feed::CronJobs => Kind::CronJob,
        Feed::Events
        | Feed::Services
        | Feed::ServiceMetrics
        | Feed::Targets
        | Feed::Limits
        | Feed::Alarms
        | Feed::Budgets
        | Feed::Signals
        | Feed::Notices => Kind::Other,
        Feed::Autoscalers => Kind::Autoscaler,
        Feed::DisruptionBudgets => Kind::DisruptionBudget,
    }
}

impl Projector {
    /// For one cluster.
    #[must_use]
    pub fn new(cluster: ClusterId) -> Self {
        Self { cluster, interner: Interner::default(), pods: pod::Shared::default() }
    }

    /// One object's row.
    ///
    /// # Errors
    /// When the object is not what the feed's objects are.
    pub fn row(&mut self, feed: Feed, json: &str) -> Result<Row, ProjectError> {
        let fail = |e: serde_json::Error| ProjectError {
            what: feed.word(),
            name: meta::name_of(json),
            reason: Text::new(&e.to_string()).to_string(),
        };
        let row = match feed {
            Feed::Tasks | Feed::TaskMetrics => Row::Task(pod::task(&serde_json::from_str(json).map_err(fail)?, self)),
            Feed::Nodes | Feed::NodeMetrics => Row::Node(node::node(&serde_json::from_str(json).map_err(fail)?, self)),
            Feed::Events => Row::Event(misc::event(&serde_json::from_str(json).map_err(fail)?, self)),
            Feed::Autoscalers => Row::Autoscaler(misc::autoscaler(&serde_json::from_str(json).map_err(fail)?, self)),
            Feed::DisruptionBudgets => {
                Row::DisruptionBudget(misc::disruption_budget(&serde_json::from_str(json).map_err(fail)?, self))
            }
            Feed::Deployments => Row::Workload(workload::deployment(&serde_json::from_str(json).map_err(fail)?, self)),
            Feed::ReplicaSets => Row::Workload(workload::replica_set(&serde_json::from_str(json).map_err(fail)?, self)),
            Feed::StatefulSets => {
                Row::Workload(workload::stateful_set(&serde_json::from_str(json).map_err(fail)?, self))
            }
            Feed::DaemonSets => Row::Workload(workload::daemon_set(&serde_json::from_str(json).map_err(fail)?, self)),
            Feed::Jobs => Row::Workload(workload::job(&serde_json::from_str(json).map_err(fail)?, self)),
            Feed::CronJobs => Row::Workload(workload::cron_job(&serde_json::from_str(json).map_err(fail)?, self)),
            Feed::Services
            | Feed::ServiceMetrics
            | Feed::Targets
            | Feed::Limits
            | Feed::Alarms
            | Feed::Budgets
            | Feed::Signals
            | Feed::Notices => {
                return Err(unread(feed, "it is no kind of Kubernetes'"));
            }
        };
        named(feed, row)
    }

    /// One object's row, from the bytes of its protobuf message: of a pod or a node.
    ///
    /// # Errors
    /// When the bytes are not such an object, or the feed has no other reading than JSON.
    pub fn row_of_protobuf(&mut self, feed: Feed, bytes: &[u8]) -> Result<Row, ProjectError> {
        let malformed = |e: super::protobuf::Malformed| unread(feed, &e.to_string());
        let row = match feed {
            Feed::Tasks => Row::Task(pod::task(&wire::pod(bytes).map_err(malformed)?, self)),
            Feed::Nodes => Row::Node(node::node(&wire::node(bytes).map_err(malformed)?, self)),
            _ => return Err(unread(feed, "it is read as JSON only")),
        };
        named(feed, row)
    }

    /// One object's identity.
    ///
    /// # Errors
    /// When it has no metadata.
    pub fn id(&mut self, feed: Feed, json: &str) -> Result<ObjectId, ProjectError> {
        let object: Object<'_> = serde_json::from_str(json).map_err(|e| ProjectError {
            what: feed.word(),
            name: meta::name_of(json),
            reason: Text::new(&e.to_string()).to_string(),
        })?;
        Ok(self.identity(kind(feed), &object.metadata))
    }

    /// The rows of an enveloped list of pods or nodes that is there as a whole.
    ///
    /// # Errors
    /// When the bytes are no such list, or end before it does.
    pub fn rows_of_protobuf(&mut self, feed: Feed, bytes: &[u8]) -> Result<Vec<Row>, ProjectError> {
        let malformed = |e: super::protobuf::Malformed| unread(feed, &e.to_string());
        let (mut list, mut rows) = (super::protobuf::List::default(), Vec::new());
        list.push(bytes);
        while let Some(place) = list.next().map_err(malformed)? {
            rows.push(self.row_of_protobuf(feed, list.item(place))?);
        }
        list.finish().map(|_| rows).ok_or_else(|| unread(feed, "the list is cut short"))
    }

    /// One object's identity, from the bytes of its protobuf message of any kind.
    ///
    /// # Errors
    /// When the bytes are not an object.
    pub fn id_of_protobuf(&mut self, feed: Feed, bytes: &[u8]) -> Result<ObjectId, ProjectError> {
        let meta = wire::object(bytes).map_err(|e| unread(feed, &e.to_string()))?;
        Ok(self.identity(kind(feed), &meta))
    }

    /// What a metrics list measured, containers of a pod added up. An entry that
    /// makes no sense is left out: it is a sample among many.
    ///
    /// # Errors
    /// When it is no list.
    pub fn usage(&mut self, feed: Feed, json: &str) -> Result<Vec<(ObjectId, Usage)>, ProjectError> {
        #[derive(Deserialize)]
        struct List<'a> {
            #[serde(borrow)]
            items: Vec<&'a RawValue>,
        }
        let list: List<'_> = serde_json::from_str(json).map_err(|e| ProjectError {
            what: feed.word(),
            name: String::new(),
            reason: e.to_string(),
        })?;
        let kind = kind(feed);
        Ok(list.items.iter().filter_map(|raw| misc::usage(raw.get(), kind, self)).collect())
    }

    fn identity(&mut self, kind: Kind, meta: &meta::Meta<'_>) -> ObjectId {
        ObjectId {
            cluster: self.cluster.clone(),
            kind,
            namespace: self.interner.text(&meta.namespace),
            name: self.interner.text(&meta.name),
        }
    }
}
