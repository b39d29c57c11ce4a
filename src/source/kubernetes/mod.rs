//! Kubernetes clusters: watches for what the screens show, reads on demand.
//!
//! Slim types: only the fields that are shown are deserialized; each object is
//! projected to a compact row with shared strings and dropped at once.

mod client;
mod decode;
pub mod project;
mod reader;
pub mod resource;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

pub use client::{ContextInfo, Kubeconfig, contexts, in_cluster};
pub use reader::{LogStream, LogText, Reader};

use crate::clock::Clock;
use crate::domain::ClusterId;
use crate::source::supervise::Voice;
use crate::store::observation::{Observation, SourceId};
use resource::RESOURCES;
use watch::{Shared, Watcher};

/// A cluster to read.
#[derive(Debug, Clone)]
pub struct ClusterSpec {
    /// What it is called on screen.
    pub id: ClusterId,
    /// The context; `None` is the current one.
    pub context: Option<String>,
    /// Where the context is.
    pub kubeconfig: Kubeconfig,
    /// Only this namespace.
    pub namespace: Option<String>,
    /// Marked as production.
    pub production: bool,
    /// How often metrics are asked for.
    pub metrics_interval: Duration,
}

/// Every cluster's feeds at work; they end when this is dropped.
#[derive(Debug)]
pub struct Sources {
    clusters: Vec<Arc<Shared>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Sources {
    /// Starts reading. Returns at once: connecting happens in the background,
    /// and one cluster's trouble is not another's.
    #[must_use]
    pub fn spawn(specs: Vec<ClusterSpec>, tx: mpsc::Sender<Observation>, clock: Clock) -> Self {
        let mut out = Self { clusters: Vec::new(), tasks: Vec::new() };
        for spec in specs {
            let shared = Arc::new(Shared {
                id: spec.id,
                connection: client::Connection::new(spec.context, spec.kubeconfig),
                namespace: spec.namespace,
                production: spec.production,
                metrics_interval: spec.metrics_interval,
                refresh: Notify::new(),
                tasks_done: tokio::sync::watch::Sender::new(false),
            });
            for resource in RESOURCES {
                let source = SourceId { cluster: shared.id.clone(), feed: resource.feed };
                let voice = Voice::new(source, tx.clone(), clock.clone());
                out.tasks.push(spawn(Watcher::new(Arc::clone(&shared), resource, voice).run()));
            }
            out.clusters.push(shared);
        }
        out
    }

    /// Wakes every feed that waits to retry, and asks the live ones again.
    pub fn refresh(&self) {
        for cluster in &self.clusters {
            cluster.refresh.notify_waiters();
        }
    }

    /// Reads on demand from one cluster.
    #[must_use]
    pub fn reader(&self, cluster: &ClusterId) -> Option<Reader> {
        self.clusters.iter().find(|c| c.id == *cluster).map(|c| Reader { shared: Arc::clone(c) })
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the sources' one home for tasks; all end with `Sources`")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}
