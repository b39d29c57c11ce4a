//! The rows of a list, in their order so far.

use super::Listed;
use crate::store::table::Row;
use crate::store::{Slot, Table};

/// The rows that a list is made of, known by their slots: looking at each of 50,000 costs more than
/// ordering the few that are new.
pub(super) struct Rows<'a, T> {
    slots: Vec<Slot>,
    /// So many of them come first and are in their order so far.
    old: usize,
    at: Box<dyn Fn(Slot) -> Option<&'a T> + 'a>,
}

impl<'a, T> Rows<'a, T> {
    /// All of a list of one's own.
    pub(super) fn of(rows: &'a [T]) -> Self {
        Self::known_as(rows.len(), |slot| rows.get(slot as usize))
    }

    /// So many, looked up by their number.
    pub(super) fn known_as(len: usize, at: impl Fn(Slot) -> Option<&'a T> + 'a) -> Self {
        Self { slots: (0..Slot::try_from(len).unwrap_or(Slot::MAX)).collect(), old: 0, at: Box::new(at) }
    }

    /// All of a table: those that were there at revision `revision` in their order of then, the new ones after them.
    /// A slot that has another row by now is new, too: its place in the order was its predecessor's.
    pub(super) fn in_order(table: &'a Table<T>, previous: &[Slot], revision: u64) -> Self
    where
        T: Row,
    {
        let at: Box<dyn Fn(Slot) -> Option<&'a T> + 'a> = Box::new(|slot| table.at(slot));
        if previous.is_empty() {
            return Self { slots: table.iter().map(|(slot, _)| slot).collect(), old: 0, at };
        }
        let still = |slot: &Slot| table.since(*slot).is_some_and(|since| since <= revision);
        let mut slots: Vec<Slot> = previous.iter().copied().filter(still).collect();
        let old = slots.len();
        if previous.len() == old && old == table.len() {
            return Self { slots, old, at };
        }
        let mut listed = vec![false; table.slots()];
        for slot in &slots {
            if let Some(listed) = listed.get_mut(*slot as usize) {
                *listed = true;
            }
        }
        slots.extend(table.newer(0).filter(|slot| !listed.get(*slot as usize).copied().unwrap_or(true)));
        Self { slots, old, at }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        let (mut place, mut old) = (0, 0);
        let (was_old, at) = (self.old, &self.at);
        self.slots.retain(|slot| {
            let kept = at(*slot).is_some_and(&keep);
            old += usize::from(kept && place < was_old);
            place += 1;
            kept
        });
        self.old = old;
    }

    /// Their order so far.
    pub(super) fn into_slots(self) -> Vec<Slot> {
        self.slots
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = (Slot, &'a T)> {
        self.slots.iter().filter_map(|slot| Some((*slot, (self.at)(*slot)?)))
    }
}

impl<T: Listed> Rows<'_, T> {
    /// By name, namespace and cluster. No row changes its name: what is in order stays so, and the new
    /// ones find their places in it.
    pub(super) fn by_name(mut self, descending: bool) -> Vec<Slot> {
        let order = |a: &Slot, b: &Slot| {
            let key =
                |slot: &Slot| (self.at)(*slot).map(|row| (&row.id().name, &row.id().namespace, &row.id().cluster));
            let order = key(a).cmp(&key(b));
            if descending { order.reverse() } else { order }
        };
        let mut new = self.slots.split_off(self.old);
        new.sort_by(order);
        // A search of each looks at some sixteen rows.
        if new.len() > self.old / 16 {
            self.slots.append(&mut new);
            self.slots.sort_by(order);
            return self.slots;
        }
        let mut all = Vec::with_capacity(self.slots.len() + new.len());
        let mut rest = self.slots.as_slice();
        for slot in new {
            let (before, after) = rest.split_at(rest.partition_point(|old| order(old, &slot).is_le()));
            all.extend_from_slice(before);
            all.push(slot);
            rest = after;
        }
        all.extend_from_slice(rest);
        all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{ClusterId, Event, EventLevel, Kind, ObjectId, Text, Timestamp};
    use crate::store::observation::{Body, Feed, Rows as Observed};
    use crate::store::{Observation, SourceId, Store};

    fn id(name: u16) -> ObjectId {
        let (cluster, namespace) = (ClusterId::new("demo"), Text::new(if name.is_multiple_of(2) { "a" } else { "b" }));
        ObjectId { cluster, kind: Kind::Other, namespace, name: Text::new(&format!("e{:03}", name / 2)) }
    }

    fn event(name: u16) -> Event {
        let (about, about_kind, reporter) = (id(0), Text::empty(), Text::empty());
        let (reason, message, level) = (Text::new("Pulled"), Text::empty(), EventLevel::Normal);
        let (count, first, last) = (1, None, None);
        Event { id: id(name), about, about_kind, level, reason, message, reporter, count, first, last }
    }

    proptest! {
        // Slots are used again: what was there before must not lend its place to what is there now.
        #[test]
        fn what_comes_and_goes_is_in_the_order_of_a_full_sort(
            changes in prop::collection::vec((any::<bool>(), 0_u16..300, 0_u8..6), 1..400),
            first in 0_u16..300,
            descending in any::<bool>(),
        ) {
            let mut store = Store::default();
            let apply = |store: &mut Store, body| {
                let source = SourceId { cluster: ClusterId::new("demo"), feed: Feed::Events };
                store.apply(Observation { source, at: Timestamp::default(), body });
            };
            apply(&mut store, Body::Upsert(Observed::Events((0..first).map(event).collect())));
            let (mut order, mut at) = (Vec::new(), 0);
            for (add, name, look) in changes {
                let body = if add { Body::Upsert(Observed::Events(vec![event(name)])) } else { Body::Remove(vec![id(name)]) };
                apply(&mut store, body);
                if look > 0 {
                    continue;
                }
                order = Rows::in_order(&store.events, &order, at).by_name(descending);
                at = store.events.revision();
                let mut whole: Vec<(Text, Text)> = store.events.rows().map(|e| (e.id.name.clone(), e.id.namespace.clone())).collect();
                whole.sort();
                if descending {
                    whole.reverse();
                }
                let told: Vec<(Text, Text)> = order
                    .iter()
                    .filter_map(|slot| store.events.at(*slot))
                    .map(|e| (e.id.name.clone(), e.id.namespace.clone()))
                    .collect();
                prop_assert_eq!(told, whole);
            }
        }
    }
}
