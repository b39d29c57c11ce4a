//! The order of the alarms view: filtered one by one, then gathered, so that a filter
//! finds what is behind another line, too.

use std::collections::HashSet;

use super::rows::Rows;
use super::{Listed, in_scope, matches, sorted};
use crate::app::table::TableState;
use crate::domain::{Alarm, Health, Labels, ObjectId};
use crate::store::Slot;
use crate::store::alarm_groups::{AlarmLine, Group, groups, lines, subject};
use crate::view::columns::{ALARMS, Context};

impl Listed for AlarmLine {
    fn id(&self) -> &ObjectId {
        &self.id
    }
    fn labels(&self) -> Option<&Labels> {
        Some(&self.labels)
    }
    fn health(&self, _: Context<'_>) -> Health {
        self.health
    }
}

/// Fills `table.alarms`, `order` and `total`.
pub(super) fn arrange(table: &mut TableState, c: Context<'_>) {
    let store = c.store;
    let in_view: Vec<&Alarm> = store.alarms.rows().filter(|a| in_scope(&a.id, &table.scope)).collect();
    // As often as they are told: an alarm that two profiles read is one.
    let all: Vec<Group<'_>> = groups(store, in_view.into_iter());
    table.total = all.iter().map(Group::len).sum();
    let kept = all.iter().flat_map(Group::alarms).filter(|a| {
        let line = AlarmLine {
            id: a.id.clone(),
            about: subject(store, a),
            depth: 0,
            instances: 0,
            alike: Vec::new(),
            others: 0,
            open: false,
            health: a.health(),
            labels: a.labels.clone(),
        };
        (!table.problems_only || a.is_firing()) && (table.filter.is_empty() || matches(&table.filter, ALARMS, &line, c))
    });
    let kept: HashSet<&ObjectId> = kept.map(|a| &a.id).collect();
    let shown = groups(store, store.alarms.rows().filter(|a| kept.contains(&a.id)));
    let mut rows: Vec<AlarmLine> = Vec::new();
    // Of each group where it begins, and how many lines it has.
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for group in &shown {
        let own = lines(group, store, &table.open);
        parts.push((rows.len(), own.len()));
        rows.extend(own);
    }
    let slot = |i: usize| Slot::try_from(i).unwrap_or(Slot::MAX);
    let order: Vec<Slot> = {
        let tops = Rows::known_as(parts.len(), |n| parts.get(n as usize).and_then(|(at, _)| rows.get(*at)));
        // The groups' own order is the one by level.
        match ALARMS.iter().find(|col| col.key == table.sort.column) {
            Some(col) if col.key != "health" => sorted(&tops, (col, None), table.sort.descending, c),
            _ if table.sort.descending => tops.into_slots(),
            _ => tops.into_slots().into_iter().rev().collect(),
        }
    };
    let of_part = |n: Slot| parts.get(n as usize).map_or(0..0, |(at, len)| *at..at + len);
    table.order = order.into_iter().flat_map(|n| of_part(n).map(slot)).collect();
    table.alarms = rows;
}
