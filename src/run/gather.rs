//! Reading once: for `status`, `snapshot` and `doctor`.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::mpsc;

use crate::clock::{Clock, instant};
use crate::domain::{Freshness, Text};
use crate::store::{Body, Feed, Observation, SourceId, SourceState, Store};

/// The clock is looked at this often where nothing comes.
const LOOK: Duration = Duration::from_millis(100);

/// Applies observations until every feed has answered one way or the other, or
/// until `patience` is over; true when all have answered.
pub async fn settle(store: &mut Store, observations: &mut mpsc::Receiver<Observation>, patience: Duration) -> bool {
    let start = instant();
    while !settled(store) {
        let Some(left) = patience.checked_sub(start.elapsed()) else {
            give_up(store, patience);
            return false;
        };
        match tokio::time::timeout(left, observations.recv()).await {
            Ok(Some(observation)) => {
                let at = observation.at;
                store.apply(observation);
                store.settle(at);
            }
            Ok(None) => return settled(store),
            // Once more around: the time is up.
            Err(_) => {}
        }
    }
    true
}

/// Takes in what comes for a while, and says once a second of `clock` what became of notices, as
/// the console does.
pub async fn pass(store: &mut Store, observations: &mut mpsc::Receiver<Observation>, clock: &Clock, time: Duration) {
    let (start, mut second) = (instant(), i64::MIN);
    loop {
        let now = clock.now();
        if now.timestamp() != second {
            second = now.timestamp();
            store.keep_up(now);
        }
        let Some(left) = time.checked_sub(start.elapsed()) else { return };
        match tokio::time::timeout(left.min(LOOK), observations.recv()).await {
            Ok(Some(observation)) => store.apply(observation),
            Ok(None) => return,
            // A second may be over.
            Err(_) => {}
        }
    }
}

/// What is still awaited when the time is up has not answered: that is no loading any more.
fn give_up(store: &mut Store, patience: Duration) {
    let silent = |s: &SourceState| !s.complete && matches!(s.freshness, Freshness::Loading { .. });
    let mut late = Vec::new();
    for (id, _) in store.clusters() {
        for feed in Feed::of(store.orchestrator(id)).iter().filter(|f| !f.is_on_demand()) {
            if store.source(id, *feed).is_none_or(silent) {
                late.push(SourceId { cluster: id.clone(), feed: *feed });
            }
        }
    }
    let because = Text::new(&format!("no answer in {} s; check the network and the server's load", patience.as_secs()));
    let at = Clock::system().now();
    let since = at - TimeDelta::from_std(patience).unwrap_or_default();
    for source in late {
        let freshness = Freshness::Down { since, because: because.clone() };
        store.apply(Observation { source, at, body: Body::Freshness(freshness) });
    }
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
