//! Reading once: for `status`, `snapshot` and `doctor`.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::mpsc;

use crate::clock::{Clock, instant};
use crate::domain::{ClusterId, Freshness, Text};
use crate::store::{Body, Feed, Observation, SourceId, SourceState, Store};

/// The clock is looked at this often where nothing comes.
const LOOK: Duration = Duration::from_millis(100);

/// Applies observations until every feed has answered one way or the other, or
/// until `patience` is over; true when all have answered.
pub async fn settle(store: &mut Store, observations: &mut mpsc::Receiver<Observation>, patience: Duration) -> bool {
    settle_once(|| true, store, observations, patience).await
}

/// The same, no sooner than `known`: once it is true, everything whose feeds are to answer has said so.
pub async fn settle_once(
    known: impl Fn() -> bool,
    store: &mut Store,
    observations: &mut mpsc::Receiver<Observation>,
    patience: Duration,
) -> bool {
    let start = instant();
    loop {
        // Asked before what has come is taken in: who was found has spoken by then.
        let all_known = known();
        while let Ok(observation) = observations.try_recv() {
            take(store, observation);
        }
        if all_known && settled(store) {
            return true;
        }
        let Some(left) = patience.checked_sub(start.elapsed()) else {
            give_up(store, patience);
            return false;
        };
        match tokio::time::timeout(left.min(LOOK), observations.recv()).await {
            Ok(Some(observation)) => take(store, observation),
            Ok(None) => return settled(store),
            // Once more around: the time is up, or it is known now.
            Err(_) => {}
        }
    }
}

fn take(store: &mut Store, observation: Observation) {
    let at = observation.at;
    store.apply(observation);
    store.settle(at);
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
    for (id, known) in store.backends() {
        let mut said = store.sources().filter(|(s, _)| s.cluster == *id).peekable();
        if said.peek().is_none() {
            // Nobody knows which feeds it would have: one stands for it.
            late.extend(
                Feed::of_backend(known.map(|b| b.kind)).first().map(|f| SourceId { cluster: id.clone(), feed: *f }),
            );
        }
        late.extend(said.filter(|(_, s)| silent(s)).map(|(id, _)| id.clone()));
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
    // A backend has only the feeds that it has spoken of; each does so at once, so one without any has yet to.
    let backends = |id: &ClusterId| {
        let mut feeds = store.sources().filter(|(s, _)| s.cluster == *id).peekable();
        feeds.peek().is_some() && feeds.all(|(_, s)| answered(s))
    };
    store.backends().all(|(id, _)| backends(id))
        && store.clusters().all(|(id, _)| {
            Feed::of(store.orchestrator(id))
                .iter()
                .filter(|f| !f.is_on_demand())
                .all(|feed| store.source(id, *feed).is_some_and(answered))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend() -> ClusterId {
        ClusterId::new("prom")
    }

    fn observation(feed: Feed, body: Body) -> Observation {
        Observation { source: SourceId { cluster: backend(), feed }, at: Clock::system().now(), body }
    }

    #[tokio::test]
    async fn a_backend_that_says_nothing_is_waited_for_and_down_then() {
        let patience = Duration::from_millis(300);
        for spoke in [false, true] {
            let (tx, mut rx) = mpsc::channel(8);
            if spoke {
                let since = Clock::system().now();
                tx.try_send(observation(Feed::Alarms, Body::Freshness(Freshness::Loading { since }))).unwrap();
            }
            let mut store = Store::expecting([]).and_backends([backend()]);
            assert!(!settle(&mut store, &mut rx, patience).await, "spoke: {spoke}");
            let feed = store.source(&backend(), Feed::Alarms).map(|s| s.freshness.word());
            assert_eq!(feed, Some("down"), "spoke: {spoke}");
        }
        // One that answers is done.
        let (tx, mut rx) = mpsc::channel(8);
        tx.try_send(observation(Feed::Alarms, Body::Synced)).unwrap();
        let mut store = Store::expecting([]).and_backends([backend()]);
        assert!(settle(&mut store, &mut rx, Duration::from_secs(20)).await);
    }

    #[tokio::test]
    async fn what_is_found_late_is_waited_for() {
        let (tx, mut rx) = mpsc::channel(8);
        let mut store = Store::expecting([]);
        let asked = std::cell::Cell::new(0);
        // What is found speaks before looking ends, as a source does.
        let known = || {
            asked.set(asked.get() + 1);
            if asked.get() == 3 {
                let found = observation(Feed::Alarms, Body::Backend(found()));
                tx.try_send(found).unwrap();
                tx.try_send(observation(Feed::Alarms, Body::Synced)).unwrap();
            }
            asked.get() >= 3
        };
        assert!(settle_once(known, &mut store, &mut rx, Duration::from_secs(20)).await);
        assert_eq!((asked.get(), store.backends().count()), (3, 1));
        assert!(store.source(&backend(), Feed::Alarms).is_some_and(|s| s.complete));
    }

    fn found() -> crate::domain::Backend {
        crate::domain::Backend {
            id: backend(),
            kind: crate::domain::BackendKind::Prometheus,
            version: Text::empty(),
            endpoint: Text::empty(),
            cluster: None,
            found: true,
        }
    }
}
