//! The rows of a list, in their order so far.

use std::cmp::Ordering;

use super::Listed;
use crate::domain::Health;
use crate::store::table::Row;
use crate::store::{Slot, Table};

/// The rows that a list is made of, known by their slots: looking at each of 50,000 costs more than
/// ordering the few that are new.
pub(super) struct Rows<'a, T> {
    slots: Vec<Slot>,
    /// What the row of each slot was ordered as, where the list is ordered by how they are.
    ranks: Vec<u8>,
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
        let slots = (0..Slot::try_from(len).unwrap_or(Slot::MAX)).collect();
        Self { slots, ranks: Vec::new(), old: 0, at: Box::new(at) }
    }

    /// All of a table: those that were there at revision `revision` in their order of then, the new ones after them.
    /// A slot that has another row by now is new, too: its place in the order was its predecessor's.
    pub(super) fn in_order(table: &'a Table<T>, previous: Previous, revision: u64) -> Self
    where
        T: Row,
    {
        let at: Box<dyn Fn(Slot) -> Option<&'a T> + 'a> = Box::new(|slot| table.at(slot));
        let Previous { order: mut slots, mut ranks } = previous;
        if slots.is_empty() {
            return Self { slots: table.iter().map(|(slot, _)| slot).collect(), ranks: Vec::new(), old: 0, at };
        }
        slots.retain(|slot| table.since(*slot).is_some_and(|since| since <= revision));
        let old = slots.len();
        if old == table.len() {
            return Self { slots, ranks, old, at };
        }
        let mut listed = vec![false; table.slots()];
        for slot in &slots {
            if let Some(listed) = listed.get_mut(*slot as usize) {
                *listed = true;
            }
        }
        slots.extend(table.newer(0).filter(|slot| !listed.get(*slot as usize).copied().unwrap_or(true)));
        for new in slots.iter().skip(old) {
            if let Some(rank) = ranks.get_mut(*new as usize) {
                *rank = UNKNOWN;
            }
        }
        Self { slots, ranks, old, at }
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

/// What a row was ordered as that never was.
const UNKNOWN: u8 = u8::MAX;

/// The order so far of a list that is ordered by a figure or a name; of one by how rows are, their order by name, and what
/// the row in each slot was ordered as.
#[derive(Debug, Default)]
pub(super) struct Previous {
    pub(super) order: Vec<Slot>,
    pub(super) ranks: Vec<u8>,
}

impl<T: Listed> Rows<'_, T> {
    fn compare(&self, a: Slot, b: Slot) -> Ordering {
        let key = |slot: Slot| (self.at)(slot).map(|row| (&row.id().name, &row.id().namespace, &row.id().cluster));
        key(a).cmp(&key(b))
    }

    /// By name, namespace and cluster. No row changes its name: what is in order stays so, and the new
    /// ones find their places in it.
    pub(super) fn by_name(mut self, descending: bool) -> Vec<Slot> {
        let new = self.slots.split_off(self.old);
        let old = std::mem::take(&mut self.slots);
        merged(old, new, |a, b| if descending { self.compare(b, a) } else { self.compare(a, b) })
    }

    /// By how they are, the worst first or last, and by name where they are alike; and what the next such order is made of.
    /// The rows are kept by name, of which only new ones are compared: each pass puts them with their like in that order, however
    /// many have changed. `stays` says of a row whether it is known to be as it was ordered: then it is not looked at, which
    /// for 50,000 rows takes longer than all the rest.
    pub(super) fn by_health(
        mut self,
        descending: bool,
        stays: impl Fn(Slot, u8) -> bool,
        rank: impl Fn(Slot, &T) -> u8,
    ) -> (Vec<Slot>, Previous) {
        const KINDS: usize = Health::Critical as usize + 1;
        let mut ranks = std::mem::take(&mut self.ranks);
        let new = self.slots.split_off(self.old);
        let old = std::mem::take(&mut self.slots);
        let names = merged(old, new, |a, b| self.compare(a, b));
        let mut alike: [Vec<Slot>; KINDS] = Default::default();
        for slot in &names {
            let place = *slot as usize;
            if ranks.len() <= place {
                ranks.resize(place + 1, UNKNOWN);
            }
            let was = ranks[place];
            if was == UNKNOWN || !stays(*slot, was) {
                let Some(row) = (self.at)(*slot) else { continue };
                ranks[place] = rank(*slot, row);
            }
            if let Some(alike) = alike.get_mut(usize::from(ranks[place])) {
                alike.push(*slot);
            }
        }
        if descending {
            alike.reverse();
        }
        (alike.concat(), Previous { order: names, ranks })
    }
}

/// What is in order with the new ones at their places in it.
fn merged(mut old: Vec<Slot>, mut new: Vec<Slot>, order: impl Fn(Slot, Slot) -> Ordering) -> Vec<Slot> {
    new.sort_by(|a, b| order(*a, *b));
    // A search of each looks at some sixteen rows.
    if new.len() > old.len() / 16 {
        old.append(&mut new);
        old.sort_by(|a, b| order(*a, *b));
        return old;
    }
    let mut all = Vec::with_capacity(old.len() + new.len());
    let mut rest = old.as_slice();
    for slot in new {
        let (before, after) = rest.split_at(rest.partition_point(|old| order(*old, slot).is_le()));
        all.extend_from_slice(before);
        all.push(slot);
        rest = after;
    }
    all.extend_from_slice(rest);
    all
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

    fn apply(store: &mut Store, body: Body) {
        let source = SourceId { cluster: ClusterId::new("demo"), feed: Feed::Events };
        store.apply(Observation { source, at: Timestamp::default(), body });
    }

    proptest! {
        // Rows get well and ill, come and go; a scope may hide some.
        #[test]
        fn what_changes_is_where_a_full_sort_by_health_puts_it(
            changes in prop::collection::vec((any::<bool>(), any::<bool>(), 0_u16..200, 0_u8..6), 1..300),
            first in 0_u16..200,
            descending in any::<bool>(),
            known in any::<bool>(),
        ) {
            let mut store = Store::default();
            apply(&mut store, Body::Upsert(Observed::Events((0..first).map(event).collect())));
            let rank = |e: &Event| if e.level == EventLevel::Warning { 4 } else { 1 };
            let shown = |e: &Event| !e.id.name.ends_with('7');
            let (mut previous, mut at) = (Previous::default(), 0);
            for (add, ill, name, look) in changes {
                let level = if ill { EventLevel::Warning } else { EventLevel::Normal };
                let row = Event { level, ..event(name) };
                let body = if add { Body::Upsert(Observed::Events(vec![row])) } else { Body::Remove(vec![id(name)]) };
                apply(&mut store, body);
                if look > 0 {
                    continue;
                }
                let mut rows = Rows::in_order(&store.events, previous, at);
                rows.retain(shown);
                let stays = |slot, was| known && was == rank(store.events.at(slot).expect("a row"));
                let (order, next) = rows.by_health(descending, stays, |_, e| rank(e));
                previous = next;
                at = store.events.revision();
                let key = |e: &Event| {
                    let first = if descending { 9 - rank(e) } else { rank(e) };
                    (first, e.id.name.clone(), e.id.namespace.clone())
                };
                let mut whole: Vec<_> = store.events.rows().filter(|e| shown(e)).map(key).collect();
                whole.sort();
                let told: Vec<_> = order.iter().filter_map(|slot| store.events.at(*slot)).map(key).collect();
                prop_assert_eq!(told, whole);
            }
        }

        // Slots are used again: what was there before must not lend its place to what is there now.
        #[test]
        fn what_comes_and_goes_is_in_the_order_of_a_full_sort(
            changes in prop::collection::vec((any::<bool>(), 0_u16..300, 0_u8..6), 1..400),
            first in 0_u16..300,
            descending in any::<bool>(),
        ) {
            let mut store = Store::default();
            apply(&mut store, Body::Upsert(Observed::Events((0..first).map(event).collect())));
            let (mut order, mut at) = (Vec::new(), 0);
            for (add, name, look) in changes {
                let body = if add { Body::Upsert(Observed::Events(vec![event(name)])) } else { Body::Remove(vec![id(name)]) };
                apply(&mut store, body);
                if look > 0 {
                    continue;
                }
                let previous = Previous { order: std::mem::take(&mut order), ranks: Vec::new() };
                order = Rows::in_order(&store.events, previous, at).by_name(descending);
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
