//! The rows of a list, in their order so far.

use std::cmp::Ordering;

use super::Listed;
use crate::domain::{ClusterId, Health, Text};
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

/// By name, namespace and cluster.
type Key<'a> = (&'a Text, &'a Text, &'a ClusterId);

impl<'a, T: Listed> Rows<'a, T> {
    fn key(&self, slot: Slot) -> Option<Key<'a>> {
        (self.at)(slot).map(|row| (&row.id().name, &row.id().namespace, &row.id().cluster))
    }

    /// Every row by name: what is in order stays so, since no row changes its name, and the new ones find their places in
    /// it. Those that were there before, if it is told to `stop`.
    fn named(&mut self, descending: bool, stop: &dyn Fn() -> bool) -> Result<Vec<Slot>, Vec<Slot>> {
        let new = self.slots.split_off(self.old);
        let old = std::mem::take(&mut self.slots);
        let directed = |order: Ordering| if descending { order.reverse() } else { order };
        // Sorted by what is read once, and not looked up again for each comparison.
        let mut keyed: Vec<(Option<Key<'a>>, Slot)> = new.into_iter().map(|slot| (self.key(slot), slot)).collect();
        keyed.sort_by(|(a, _), (b, _)| directed(a.cmp(b)));
        let new: Vec<Slot> = keyed.into_iter().map(|(_, slot)| slot).collect();
        merged(old, &new, |a, b| directed(self.key(a).cmp(&self.key(b))), stop)
    }

    /// By name, namespace and cluster; if it is told to `stop`, what the next order is made of.
    pub(super) fn by_name(mut self, descending: bool, stop: &dyn Fn() -> bool) -> Result<Vec<Slot>, Previous> {
        self.named(descending, stop).map_err(|order| Previous { order, ranks: Vec::new() })
    }

    /// By how they are, the worst first or last, and by name where they are alike; and what the next such order is made of, which
    /// is all there is if it is told to `stop`.
    /// The rows are kept by name, of which only new ones are compared: each pass puts them with their like in that
    /// order, however many have changed. `stays` says of a row whether it is known to be as it was ordered: then it is not
    /// looked at, which for 50,000 rows takes longer than all the rest.
    pub(super) fn by_health(
        mut self,
        descending: bool,
        stays: impl Fn(Slot, u8) -> bool,
        rank: impl Fn(Slot, &T) -> u8,
        stop: &dyn Fn() -> bool,
    ) -> Result<(Vec<Slot>, Previous), Previous> {
        const KINDS: usize = Health::Critical as usize + 1;
        let mut ranks = std::mem::take(&mut self.ranks);
        let names = match self.named(false, stop) {
            Ok(names) => names,
            Err(order) => return Err(Previous { order, ranks }),
        };
        let mut alike: [Vec<Slot>; KINDS] = Default::default();
        for (n, slot) in names.iter().enumerate() {
            if n % LOOKED_AT == LOOKED_AT - 1 && stop() {
                return Err(Previous { order: names, ranks });
            }
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
        Ok((alike.concat(), Previous { order: names, ranks }))
    }
}

/// Rows that are ranked before somebody may be waiting, most of them without a look.
const LOOKED_AT: usize = if cfg!(test) { 16 } else { 1024 };
/// Rows that find their places before somebody may be waiting: less than a millisecond.
const PLACED: usize = if cfg!(test) { 4 } else { 128 };

/// What is in order with the new ones, which are in order, too, at their places in it; what was there already if it is told to
/// `stop`.
fn merged(
    old: Vec<Slot>,
    new: &[Slot],
    order: impl Fn(Slot, Slot) -> Ordering,
    stop: &dyn Fn() -> bool,
) -> Result<Vec<Slot>, Vec<Slot>> {
    let mut all = Vec::with_capacity(old.len() + new.len());
    let mut rest = old.as_slice();
    for (n, slot) in new.iter().enumerate() {
        if n % PLACED == PLACED - 1 && !old.is_empty() && stop() {
            return Err(old);
        }
        let (before, after) = rest.split_at(place(rest, |old| order(old, *slot).is_le()));
        all.extend_from_slice(before);
        all.push(*slot);
        rest = after;
    }
    all.extend_from_slice(rest);
    Ok(all)
}

/// How many of `rows` come before, those that do being the first of them. Looked for from the front in steps that double: the
/// next of many new rows is not far, and each look at a row costs more than all the arithmetic.
fn place(rows: &[Slot], is_before: impl Fn(Slot) -> bool) -> usize {
    let (mut low, mut step) = (0, 1);
    while let Some(row) = rows.get(low + step - 1) {
        if !is_before(*row) {
            break;
        }
        low += step;
        step *= 2;
    }
    let high = rows.len().min(low + step - 1);
    low + rows.get(low..high).unwrap_or_default().partition_point(|row| is_before(*row))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

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
            patience in 0_u8..4,
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
                // Now and then somebody knocks before all have found their places: nothing is lost by that.
                let asked = Cell::new(0);
                let stop = || asked.replace(asked.get() + 1) >= patience && patience < 3 && look == 0 && ill;
                let (order, next) = match rows.by_health(descending, stays, |_, e| rank(e), &stop) {
                    Ok(made) => made,
                    Err(before) => {
                        previous = before;
                        continue;
                    }
                };
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
                match Rows::in_order(&store.events, previous, at).by_name(descending, &|| look == 0 && name % 3 == 0) {
                    Ok(made) => order = made,
                    Err(before) => {
                        order = before.order;
                        continue;
                    }
                }
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
