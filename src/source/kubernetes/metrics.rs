//! Usage samples from metrics.k8s.io, which offers no watch.

use std::sync::Arc;

use super::client::Link;
use super::paths;
use super::project::Projector;
use crate::domain::Text;
use crate::source::SourceError;
use crate::source::supervise::Supervisor;
use crate::store::observation::{Body, Rows};

/// Samples that are told at once: whoever takes them in has keys to answer meanwhile.
const BATCH: usize = 1_000;

/// Samples until its task is stopped.
pub(super) async fn run(link: Arc<Link>, mut supervisor: Supervisor) {
    let feed = supervisor.source().feed;
    let mut projector = Projector::new(link.spec.id.clone());
    let path = paths::list(feed, link.spec.namespace.as_deref());
    supervisor.loading().await;
    loop {
        let sample = async {
            let connected = link.connect().await?.in_background();
            let json = connected.get_all(&path).await?;
            let garbage = |what: String| SourceError::Garbage { what: Text::new(&what) };
            let json = std::str::from_utf8(&json).map_err(|_| garbage("the sample".to_owned()))?;
            projector.usage(feed, json).map_err(|e| garbage(format!("the sample ({e})")))
        };
        match sample.await {
            Ok(usage) => {
                supervisor.emit(Body::Begin).await;
                let mut rest = usage.into_iter().peekable();
                while rest.peek().is_some() {
                    let part = rest.by_ref().take(BATCH).collect();
                    supervisor.emit(Body::Upsert(Rows::Usage(part))).await;
                }
                supervisor.synced().await;
                supervisor.pause(link.spec.metrics_interval).await;
            }
            Err(SourceError::NotFound { .. } | SourceError::Server { code: 503, .. }) => {
                supervisor.absent(Text::new("no metrics API (metrics-server) here"), false).await;
            }
            Err(error) => supervisor.failed(&error).await,
        }
    }
}
