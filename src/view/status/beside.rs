//! What `status` lists beside the clusters: metric backends and feeds of notices, and services
//! whose tasks find no place.

use std::cmp::Reverse;

use serde::Serialize;

use super::{SourceStatus, source, time};
use crate::domain::placement::Teller;
use crate::domain::{BackendKind, ClusterId, Freshness, Health, Timestamp};
use crate::store::{Feed, Store};

/// One metric backend, or feed of notices.
#[derive(Debug, Serialize)]
pub struct BackendStatus {
    /// Its name in the console.
    pub name: String,
    /// What it is, or null before it has introduced itself.
    pub kind: Option<BackendKind>,
    /// The cluster that it is about, or null where that is several, or nobody says.
    pub cluster: Option<String>,
    /// Its feeds that are not live, worst first.
    pub sources: Vec<SourceStatus>,
}

impl BackendStatus {
    /// True where a feed of it is `loading`, `stale` or `down`.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.sources.iter().any(|s| matches!(s.freshness, "loading" | "stale" | "down"))
    }
}

/// A service whose tasks find no place.
#[derive(Debug, Serialize)]
pub struct UnplacedStatus {
    /// `warning`, or `critical` where nothing of it runs.
    pub health: Health,
    /// The cluster: as in `clusters` where it is read, else as AWS names it; may be empty.
    pub cluster: String,
    /// The service.
    pub service: String,
    /// Its cluster is read here.
    pub read: bool,
    /// Since when, RFC 3339, as far as anybody said.
    pub since: String,
    /// What it lacks, or null where nobody knows.
    pub missing: Option<MissingStatus>,
    /// Why, for people.
    pub why: String,
    /// The capacity providers that were tried.
    pub providers: Vec<String>,
    /// Who told: `service`, `event-log`, `event-queue`.
    pub told_by: Vec<&'static str>,
}

/// How many tasks a service lacks.
#[derive(Debug, Serialize)]
pub struct MissingStatus {
    /// Of those that are wanted, not running.
    pub tasks: u32,
    /// Of these, on their way up.
    pub starting: u32,
    /// Wanted.
    pub desired: u32,
    /// Running.
    pub running: u32,
}

/// True where a backend's feed failed, or it was expected and has not said anything: what nobody has answered
/// about is not fine. What is not offered or not permitted is no failure.
#[must_use]
pub fn backend_failed(store: &Store, id: &ClusterId) -> bool {
    let failed =
        |f: &Freshness| matches!(f, Freshness::Down { .. } | Freshness::Stale { .. } | Freshness::Loading { .. });
    silent(store, id) || store.sources().any(|(s, state)| s.cluster == *id && failed(&state.freshness))
}

/// True of a backend of which nothing was heard yet.
#[must_use]
pub fn silent(store: &Store, id: &ClusterId) -> bool {
    !store.sources().any(|(s, _)| s.cluster == *id)
}

/// Every backend with the feeds that are not live.
pub(super) fn backends(store: &Store) -> Vec<BackendStatus> {
    let mut out: Vec<BackendStatus> = store
        .backends()
        .map(|(id, known)| {
            let mut troubled: Vec<(Feed, &Freshness)> = store
                .sources()
                .filter(|(s, state)| s.cluster == *id && !matches!(state.freshness, Freshness::Live { .. }))
                .map(|(s, state)| (s.feed, &state.freshness))
                .collect();
            troubled.sort_by_key(|(feed, f)| (Reverse(f.rank()), *feed));
            let mut sources: Vec<SourceStatus> = troubled.into_iter().map(|(feed, f)| source(feed, f)).collect();
            if silent(store, id) {
                let loading = |f: &Feed| SourceStatus { feed: f.word(), freshness: "loading", because: None };
                sources = Feed::of_backend(known.map(|b| b.kind)).iter().map(loading).collect();
            }
            BackendStatus {
                name: id.to_string(),
                kind: known.map(|b| b.kind),
                cluster: known.and_then(|b| b.cluster.as_ref()).map(ToString::to_string),
                sources,
            }
        })
        .collect();
    out.sort_by_key(|b| !b.has_failed());
    out
}

/// The services that find no place, as the store lists them.
pub(super) fn unplaced(store: &Store, now: Timestamp) -> Vec<UnplacedStatus> {
    let told = |t: &Teller| match t {
        Teller::Service => "service",
        Teller::EventLog => "event-log",
        Teller::EventQueue => "event-queue",
    };
    let all = store.unplaced(now);
    let one = |u: &crate::store::placements::Unplaced| UnplacedStatus {
        health: u.health(),
        cluster: u.cluster.to_string(),
        service: u.name.to_string(),
        read: u.id.is_some(),
        since: time(u.since),
        missing: u.missing.map(|m| MissingStatus {
            tasks: m.tasks,
            starting: m.starting,
            desired: m.desired,
            running: m.running,
        }),
        why: u.why.words(&u.providers),
        providers: u.providers.iter().map(ToString::to_string).collect(),
        told_by: u.tellers.iter().map(told).collect(),
    };
    all.iter().map(one).collect()
}
