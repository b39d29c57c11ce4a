//! ECS services whose tasks cannot be placed: what each feed said of them, and what that
//! amounts to now.
//!
//! A service's story begins with the first failure after it was last whole, and ends when a
//! feed says that it is steady, or when its row shows as many tasks running as are wanted. So it
//! is a function of the set of what was said, whatever the order and however often it came.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::TimeDelta;
use foldhash::{HashMap, HashSet};

use super::{Feed, Store};
use crate::domain::placement::{Placement, Placing, Shortage, Teller, names, service_key};
use crate::domain::{ClusterId, Freshness, Health, ObjectId, Text, Timestamp, Workload};

/// ECS says the same again after six hours: what is not said again by then is over.
const STALE: TimeDelta = TimeDelta::minutes(6 * 60 + 10);
/// How many services are remembered; the ones that are whole go first, then the oldest.
const SERVICES: usize = 5_000;
/// How many failures of one service are kept: the first, and the newest.
const WORDS: usize = 64;
/// A list that is complete was asked for so much earlier.
const POLLED: TimeDelta = TimeDelta::seconds(2);
/// What a task leaves behind that is taken back is counted out a little later than the first
/// attempt to replace it fails: so long a row has to be whole after that.
const SETTLED: TimeDelta = TimeDelta::seconds(20);
/// What two feeds say within this time is of one failure.
const TOGETHER: TimeDelta = TimeDelta::seconds(60);

/// What was said of one service.
#[derive(Debug, Default)]
struct Words {
    /// When it was last known to be whole.
    whole: Option<Timestamp>,
    /// Failures since then, the earliest first.
    failed: BTreeSet<Placement>,
}

impl Words {
    /// It was whole then; true if that is news.
    fn end(&mut self, at: Timestamp) -> bool {
        self.whole = self.whole.max(Some(at));
        let before = self.failed.len();
        self.failed.retain(|f| self.whole.is_none_or(|whole| f.at > whole));
        before != self.failed.len()
    }

    /// True if that is news.
    fn add(&mut self, word: Placement) -> bool {
        if word.says == Placing::Steady {
            return self.end(word.at);
        }
        if self.whole.is_some_and(|whole| word.at <= whole) || !self.failed.insert(word) {
            return false;
        }
        if self.failed.len() > WORDS {
            // Since when it is so, and how it is now, are both kept.
            let second = self.failed.iter().nth(1).cloned();
            second.map(|s| self.failed.remove(&s));
        }
        true
    }

    fn heard(&self) -> Option<Timestamp> {
        self.failed.last().map(|f| f.at).max(self.whole)
    }
}

/// Every service of which something was said.
#[derive(Debug, Default)]
pub struct Placements {
    services: HashMap<Text, Words>,
    /// Grows with every change.
    changes: u64,
}

impl Placements {
    fn make_room(&mut self) {
        while self.services.len() >= SERVICES {
            let order = |(key, w): &(&Text, &Words)| (!w.failed.is_empty(), w.heard(), (*key).clone());
            let Some(oldest) = self.services.iter().min_by_key(order).map(|(key, _)| key.clone()) else { return };
            self.services.remove(&oldest);
        }
    }
}

/// How many tasks a service lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// Of those that are wanted, not running; while it rolls out, of its newest deployment.
    pub tasks: u32,
    /// Of these, on their way up.
    pub starting: u32,
    /// Tasks that are wanted; while it rolls out, of its newest deployment.
    pub desired: u32,
    /// Tasks that run and are to go on, whichever deployment's.
    pub running: u32,
}

/// A service whose tasks cannot be placed, as a line.
#[derive(Debug, Clone, PartialEq)]
pub struct Unplaced {
    /// Its row, where a cluster that is read has one.
    pub id: Option<ObjectId>,
    /// The cluster, as the console calls it; as AWS does where it is not read.
    pub cluster: Text,
    /// The service.
    pub name: Text,
    /// Since when, as far as anybody said.
    pub since: Timestamp,
    /// What it lacks; `None` where nobody knows.
    pub missing: Option<Missing>,
    /// Why, as was said last.
    pub why: Shortage,
    /// The capacity providers that were tried, as was said last; those of its strategy where
    /// nobody said.
    pub providers: Vec<Text>,
    /// Who told.
    pub tellers: Vec<Teller>,
}

impl Unplaced {
    /// How bad it is: a warning, and worse where nothing runs.
    #[must_use]
    pub fn health(&self) -> Health {
        if self.missing.is_some_and(|m| m.running == 0) { Health::Critical } else { Health::Warning }
    }
}

/// How a service that is told of stands.
struct Standing {
    row: ObjectId,
    /// The capacity providers of its strategy.
    providers: Vec<Text>,
    missing: Missing,
    /// Its list was asked for then.
    as_of: Timestamp,
    /// The list is kept up to date.
    live: bool,
}

impl Store {
    /// Takes in what a feed says of a service.
    pub(super) fn hear_placement(&mut self, word: Placement, now: Timestamp) {
        if now - word.at > STALE {
            return;
        }
        if !self.placements.services.contains_key(&word.service) && self.placements.services.len() >= SERVICES {
            if word.says == Placing::Steady {
                return;
            }
            self.placements.make_room();
        }
        let words = self.placements.services.entry(word.service.clone()).or_default();
        if words.add(word) {
            self.placements.changes += 1;
            self.revision += 1;
        }
    }

    /// Keeps in mind which services are whole again. To be called once a second.
    pub(super) fn settle_placements(&mut self, now: Timestamp) {
        let whole: Vec<(Text, Timestamp)> = self
            .places()
            .into_iter()
            .filter(|(_, s)| s.missing.tasks == 0)
            .filter_map(|(key, s)| Some((key, s.as_of.checked_sub_signed(SETTLED)?)))
            .collect();
        let mut changed = false;
        for (key, at) in whole {
            if let Some(words) = self.placements.services.get_mut(&key) {
                changed |= words.end(at);
            }
        }
        let before = self.placements.services.len();
        self.placements.services.retain(|_, w| w.heard().is_some_and(|at| now - at <= STALE));
        changed |= before != self.placements.services.len();
        self.placements.changes += u64::from(changed);
        self.revision += u64::from(changed);
    }

    /// Services whose tasks cannot be placed: those of which nothing runs first, then those that
    /// lack most.
    #[must_use]
    pub fn unplaced(&self, now: Timestamp) -> Arc<[Unplaced]> {
        if !self.any_failed() {
            return Arc::from([]);
        }
        // Tasks change all the time: as they are once in a second will do.
        let moment = (self.placements.changes, self.workloads.revision(), now.timestamp());
        self.patience.of_memo(&self.unplaced, (moment, now), || self.unplaced_now(now).into())
    }

    /// The same of one service.
    #[must_use]
    pub fn unplaced_of(&self, service: &ObjectId, now: Timestamp) -> Option<Unplaced> {
        self.unplaced(now).iter().find(|u| u.id.as_ref() == Some(service)).cloned()
    }

    fn any_failed(&self) -> bool {
        self.placements.services.values().any(|w| !w.failed.is_empty())
    }

    fn unplaced_now(&self, now: Timestamp) -> Vec<Unplaced> {
        let (places, read) = (self.places(), self.read_clusters());
        let mut out: Vec<Unplaced> = Vec::new();
        for (key, words) in &self.placements.services {
            let (Some(first), Some(last)) = (words.failed.first(), words.failed.last()) else { continue };
            let standing = places.get(key);
            if now - last.at > STALE || !is_open(last, standing, read.get(cluster_of(key)).copied()) {
                continue;
            }
            out.push(unplaced(key, words, first, standing));
        }
        let lacking = |u: &Unplaced| u.missing.map_or(0, |m| m.tasks);
        out.sort_by(|a, b| {
            (b.health().cmp(&a.health()))
                .then_with(|| lacking(b).cmp(&lacking(a)))
                .then_with(|| (a.since, &a.cluster, &a.name).cmp(&(b.since, &b.cluster, &b.name)))
        });
        out
    }

    /// How the services stand that are told of, by key.
    fn places(&self) -> HashMap<Text, Standing> {
        let told = |w: &Workload| -> Option<Text> {
            let key = key_of(w)?;
            self.placements.services.get(&key).is_some_and(|words| !words.failed.is_empty()).then_some(key)
        };
        if !self.any_failed() {
            return HashMap::default();
        }
        let mut rows: HashMap<Text, &Workload> = HashMap::default();
        for row in self.workloads.rows() {
            if let Some(key) = told(row) {
                // Two profiles may read one cluster.
                let kept = rows.entry(key).or_insert(row);
                if row.id < kept.id {
                    *kept = row;
                }
            }
        }
        // Of a task that goes ECS may still say that it runs.
        let mut stay: HashMap<(&ClusterId, &Text), u32> =
            rows.values().map(|w| ((&w.id.cluster, &w.id.name), 0)).collect();
        for task in self.tasks.rows().filter(|t| t.is_active()) {
            let stays = task.ecs.as_ref().is_some_and(|e| e.stop.is_none() && e.started.is_some());
            if stays && let Some(n) = stay.get_mut(&(&task.id.cluster, &task.owner)) {
                *n += 1;
            }
        }
        let standing = |row: &Workload| {
            let source = self.source(&row.id.cluster, Feed::Services);
            let tasks = self.source(&row.id.cluster, Feed::Tasks).filter(|s| s.complete);
            let stay = tasks.and_then(|_| stay.get(&(&row.id.cluster, &row.id.name)).copied());
            let listed = source.and_then(|s| s.last_data).and_then(|at| at.checked_sub_signed(POLLED));
            Standing {
                missing: missing(row, stay),
                as_of: listed.unwrap_or(Timestamp::MIN_UTC),
                live: source.is_some_and(|s| matches!(s.freshness, Freshness::Live { .. })),
                row: row.id.clone(),
                providers: row.ecs.as_ref().map(|e| e.providers.clone()).unwrap_or_default(),
            }
        };
        rows.into_iter().map(|(key, row)| (key, standing(row))).collect()
    }

    /// The ECS clusters whose services are all known, by their ARNs' beginning, and since when.
    fn read_clusters(&self) -> HashMap<Text, Timestamp> {
        let mut known: HashSet<&ClusterId> = HashSet::default();
        let mut out = HashMap::default();
        for row in self.workloads.rows().filter(|w| w.ecs.is_some()) {
            if !known.insert(&row.id.cluster) {
                continue;
            }
            let source = self.source(&row.id.cluster, Feed::Services).filter(|s| s.complete);
            if let (Some(key), Some(listed)) = (key_of(row), source.and_then(|s| s.last_data)) {
                out.insert(Text::new(cluster_of(&key)), listed - POLLED);
            }
        }
        out
    }
}

/// What tells a service's row from all others, as feeds know it.
fn key_of(row: &Workload) -> Option<Text> {
    service_key(&row.ecs.as_ref()?.arn, row.id.cluster.as_str())
}

/// A key without the service's name.
fn cluster_of(key: &str) -> &str {
    key.rsplit_once('/').map_or(key, |(cluster, _)| cluster)
}

/// True while the last failure stands. `read` is since when the service's cluster is known as
/// a whole, if it is.
fn is_open(last: &Placement, standing: Option<&Standing>, read: Option<Timestamp>) -> bool {
    match standing {
        // A row that is older than the word says nothing of it; a live one is about to.
        Some(s) if s.missing.tasks == 0 => s.as_of < last.at && !s.live,
        Some(_) => true,
        // The service is gone from a cluster that is read.
        None => read.is_none_or(|as_of| as_of < last.at),
    }
}

/// What a service lacks, with so many of its tasks that run and are to go on, if that is known.
fn missing(row: &Workload, stay: Option<u32>) -> Missing {
    let (replicas, ecs) = (row.replicas, row.ecs.as_ref());
    let rolling = ecs.filter(|e| e.is_rolling()).and_then(|e| e.primary());
    let running = replicas.ready.min(stay.unwrap_or(u32::MAX));
    let (wanted, has, starting) = match rolling {
        // The old ones run on while the new ones find no place.
        Some(primary) => (primary.desired, primary.running, primary.pending),
        None => (replicas.desired, running, ecs.map_or(0, |e| e.pending)),
    };
    let tasks = wanted.saturating_sub(has);
    Missing { tasks, starting: starting.min(tasks), desired: wanted, running }
}

fn unplaced(key: &Text, words: &Words, first: &Placement, standing: Option<&Standing>) -> Unplaced {
    let failures = || {
        words.failed.iter().rev().filter_map(|f| match &f.says {
            Placing::Failed { why, providers } => Some((why, providers, f.at)),
            Placing::Steady => None,
        })
    };
    // Both feeds tell of one failure, one of them with more: what was said at the end counts.
    let latest = failures().next().map(|(.., at)| at);
    let at_last = |at: Timestamp| latest.is_some_and(|latest| latest - at <= TOGETHER);
    let why = failures().filter(|(.., at)| at_last(*at)).map(|(why, ..)| why).min().cloned();
    let said = failures().filter(|(.., at)| at_last(*at)).map(|(_, providers, _)| providers).find(|p| !p.is_empty());
    let strategy = || standing.map(|s| s.providers.clone()).unwrap_or_default();
    let (cluster, name) = names(key);
    let mut tellers: Vec<Teller> = words.failed.iter().map(|f| f.teller).collect();
    tellers.sort_unstable();
    tellers.dedup();
    Unplaced {
        id: standing.map(|s| s.row.clone()),
        cluster: standing.map_or_else(|| Text::new(cluster), |s| Text::new(s.row.cluster.as_str())),
        name: Text::new(name),
        since: first.at,
        missing: standing.map(|s| s.missing).filter(|m| m.tasks > 0),
        why: why.unwrap_or(Shortage::Other(Text::empty())),
        providers: said.cloned().unwrap_or_else(strategy),
        tellers,
    }
}
