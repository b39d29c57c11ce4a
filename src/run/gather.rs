//! Reading once: for `status`, `snapshot` and `doctor`.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::clock::instant;
use crate::domain::Freshness;
use crate::store::{Feed, Observation, Store};

/// Applies observations until every feed has answered one way or the other, or
/// until `patience` is over; true when all have answered.
pub async fn settle(store: &mut Store, observations: &mut mpsc::Receiver<Observation>, patience: Duration) -> bool {
    let start = instant();
    while !settled(store) {
        let Some(left) = patience.checked_sub(start.elapsed()) else { return false };
        match tokio::time::timeout(left, observations.recv()).await {
            Ok(Some(observation)) => store.apply(observation),
            Ok(None) | Err(_) => return settled(store),
        }
    }
    true
}

fn settled(store: &Store) -> bool {
    let answered = |state: &crate::store::SourceState| {
        state.complete || matches!(state.freshness, Freshness::Absent { .. } | Freshness::Down { .. })
    };
    // A backend has only the feeds that it has spoken of; each does so at once.
    let backends =
        store.backends().all(|(id, _)| store.sources().filter(|(s, _)| s.cluster == *id).all(|(_, s)| answered(s)));
    backends
        && store.clusters().all(|(id, _)| {
            Feed::of(store.orchestrator(id))
                .iter()
                .filter(|f| !f.is_on_demand())
                .all(|feed| store.source(id, *feed).is_some_and(answered))
        })
}
