//! Rows of one kind: found by identity, swept by generation, addressed by slot.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::domain::{
    Alarm, Autoscaler, Budget, ClusterId, DisruptionBudget, Event, Limit, Node, ObjectId, Service, Task, Workload,
};

use super::observation::SourceId;

/// What a table can hold.
pub trait Row {
    /// The row's identity.
    fn id(&self) -> &ObjectId;
}

macro_rules! rows {
    ($($t:ty),*) => { $(impl Row for $t { fn id(&self) -> &ObjectId { &self.id } })* };
}
rows!(Node, Task, Workload, Event, Autoscaler, DisruptionBudget, Limit, Alarm, Budget, Service);

/// A row's address in its table. Stable while the row lives; reused afterwards.
pub type Slot = u32;

#[derive(Debug)]
struct Entry<T> {
    row: T,
    /// The list generation that last confirmed the row.
    generation: u32,
    /// Which feed it came from: several feeds share the workloads' table.
    feed: super::Feed,
    /// Who reports it, where that is not the cluster it is in: an alert of a metric backend.
    reporter: Option<Box<ClusterId>>,
}

impl<T: Row> Entry<T> {
    fn is_from(&self, source: &SourceId) -> bool {
        let cluster = self.reporter.as_deref().unwrap_or(&self.row.id().cluster);
        self.feed == source.feed && *cluster == source.cluster
    }
}

/// Rows of one kind over all clusters.
#[derive(Debug)]
pub struct Table<T> {
    entries: Vec<Option<Entry<T>>>,
    /// For each slot the table's revision when its row came there, 0 where there is none: whoever wants
    /// to know what is new among 50,000 rows must not have to touch them all.
    since: Vec<u64>,
    /// The same when its row was written last.
    written: Vec<u64>,
    free: Vec<Slot>,
    /// Where the row of each identity is, with its hash: a table that grows must not hash 50,000 identities anew, which takes
    /// longer than a frame; and a row's identity is kept once.
    index: HashTable<(u64, Slot)>,
    hasher: RandomState,
    revision: u64,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            since: Vec::new(),
            written: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            hasher: RandomState::default(),
            revision: 0,
        }
    }
}

impl<T: Row> Table<T> {
    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// True without rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Grows with every change; equal revisions mean equal contents.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// One more than the highest slot in use.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.entries.len()
    }

    /// The row with this identity.
    #[must_use]
    pub fn get(&self, id: &ObjectId) -> Option<&T> {
        self.slot(id).and_then(|s| self.at(s))
    }

    /// Which source the row in a slot comes from.
    #[must_use]
    pub fn source(&self, slot: Slot) -> Option<SourceId> {
        let entry = self.entries.get(slot as usize)?.as_ref()?;
        let cluster = entry.reporter.as_deref().unwrap_or(&entry.row.id().cluster).clone();
        Some(SourceId { cluster, feed: entry.feed })
    }

    /// Where the row with this identity is.
    #[must_use]
    pub fn slot(&self, id: &ObjectId) -> Option<Slot> {
        let hash = self.hasher.hash_one(id);
        let is_it = |(known, slot): &(u64, Slot)| *known == hash && self.at(*slot).is_some_and(|row| row.id() == id);
        self.index.find(hash, is_it).map(|(_, slot)| *slot)
    }

    /// The row in a slot, if it is in use.
    #[must_use]
    pub fn at(&self, slot: Slot) -> Option<&T> {
        self.entries.get(slot as usize)?.as_ref().map(|e| &e.row)
    }

    /// The revision at which the row in a slot came there: after that the slot has had no other row.
    #[must_use]
    pub fn since(&self, slot: Slot) -> Option<u64> {
        self.since.get(slot as usize).copied().filter(|since| *since > 0)
    }

    /// The row in a slot, if it was there at this revision already: an order of a moment ago must not show another row in
    /// its place.
    #[must_use]
    pub fn at_since(&self, slot: Slot, revision: u64) -> Option<&T> {
        self.since(slot).filter(|since| *since <= revision).and_then(|_| self.at(slot))
    }

    /// True if the row in a slot is as it was at this revision.
    #[must_use]
    pub fn is_as_of(&self, slot: Slot, revision: u64) -> bool {
        self.since(slot).is_some() && self.written.get(slot as usize).is_some_and(|written| *written <= revision)
    }

    /// The slots whose rows came there after a revision, in no particular order.
    pub fn newer(&self, revision: u64) -> impl Iterator<Item = Slot> {
        (0..).zip(&self.since).filter(move |(_, since)| **since > revision).map(|(slot, _)| slot)
    }

    /// Every row with its slot, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        (0..).zip(&self.entries).filter_map(|(i, e)| e.as_ref().map(|e| (i, &e.row)))
    }

    /// Every row, in no particular order.
    pub fn rows(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().flatten().map(|e| &e.row)
    }

    /// Inserts or replaces; where it is, and the row it replaced.
    pub(super) fn upsert(&mut self, row: T, source: &SourceId, generation: u32) -> (Slot, Option<T>) {
        self.revision += 1;
        let reporter = (row.id().cluster != source.cluster).then(|| Box::new(source.cluster.clone()));
        let entry = Entry { row, generation, feed: source.feed, reporter };
        if let Some(slot) = self.slot(entry.row.id()) {
            if let Some(written) = self.written.get_mut(slot as usize) {
                *written = self.revision;
            }
            let old = self.entries.get_mut(slot as usize).and_then(|place| place.replace(entry));
            return (slot, old.map(|e| e.row));
        }
        let hash = self.hasher.hash_one(entry.row.id());
        let slot = if let Some(slot) = self.free.pop() {
            if let Some(place) = self.entries.get_mut(slot as usize) {
                *place = Some(entry);
            }
            slot
        } else {
            self.entries.push(Some(entry));
            self.since.push(0);
            self.written.push(0);
            Slot::try_from(self.entries.len() - 1).unwrap_or(Slot::MAX)
        };
        if let Some(since) = self.since.get_mut(slot as usize) {
            *since = self.revision;
        }
        if let Some(written) = self.written.get_mut(slot as usize) {
            *written = self.revision;
        }
        self.index.insert_unique(hash, (hash, slot), |(hash, _)| *hash);
        (slot, None)
    }

    /// Removes a row.
    pub(super) fn remove(&mut self, id: &ObjectId) -> Option<T> {
        let slot = self.slot(id)?;
        let hash = self.hasher.hash_one(id);
        self.index.find_entry(hash, |known| *known == (hash, slot)).ok()?.remove();
        self.revision += 1;
        self.free.push(slot);
        if let Some(since) = self.since.get_mut(slot as usize) {
            *since = 0;
        }
        self.entries.get_mut(slot as usize)?.take().map(|e| e.row)
    }

    /// The identities a complete list of `generation` from `source` did not confirm.
    pub(super) fn unconfirmed(&self, source: &SourceId, generation: u32) -> Vec<ObjectId> {
        self.entries
            .iter()
            .flatten()
            .filter(|e| e.generation != generation && e.is_from(source))
            .map(|e| e.row.id().clone())
            .collect()
    }
}
