//! Columns of the overview's list of what is wrong.

use super::{Align, Cell, Column, Unit, Value, age_value, number, time_cell};
use crate::domain::{Health, Tone};
use crate::store::problems::Problem;

/// A shape beside the colour: state is never colour alone.
#[must_use]
pub fn mark(health: Health, ascii: bool) -> &'static str {
    match (health, ascii) {
        (Health::Critical, false) => "✖ crit",
        (Health::Warning, false) => "▲ warn",
        (Health::Unknown, false) => "? unkn",
        (Health::Critical, true) => "X crit",
        (Health::Warning, true) => "! warn",
        (_, true) => "? unkn",
        (_, false) => "● info",
    }
}

/// The columns.
pub static OVERVIEW: &[Column<Problem>] = &[
    Column {
        key: "health", title: "LEVEL", align: Align::Left, width: (6, 6), priority: 0, wide: false, descending: true,
        unit: Unit::Text,
        cell: |c, r| Cell::new(mark(r.health, c.ascii), Tone::Health(r.health)),
        value: |_, r| number(r.health as u64),
        percent: None,
    },
    Column {
        key: "cluster", title: "CLUSTER", align: Align::Left, width: (7, 20), priority: 5, wide: false, descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::new(r.id.cluster.as_str(), Tone::Cluster),
        value: |_, r| Value::Text(r.id.cluster.0.clone()),
        percent: None,
    },
    Column {
        key: "namespace", title: "NAMESPACE", align: Align::Left, width: (9, 20), priority: 4, wide: false, descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::dim(&r.id.namespace),
        value: |_, r| Value::Text(r.id.namespace.clone()),
        percent: None,
    },
    Column {
        key: "kind", title: "KIND", align: Align::Left, width: (6, 7), priority: 3, wide: false, descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::new(r.id.kind.short(), Tone::Dim),
        value: |_, r| Value::Text(crate::domain::Text::new(r.id.kind.short())),
        percent: None,
    },
    Column {
        key: "name", title: "NAME", align: Align::Left, width: (12, 44), priority: 0, wide: false, descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::plain(r.id.name.as_str()),
        value: |_, r| Value::Text(r.id.name.clone()),
        percent: None,
    },
    Column {
        key: "status", title: "WHAT", align: Align::Left, width: (16, 60), priority: 0, wide: false, descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::new(r.what.as_str(), Tone::Health(r.health)),
        value: |_, r| Value::Text(crate::domain::Text::new(&r.what)),
        percent: None,
    },
    Column {
        key: "tasks", title: "TASKS", align: Align::Right, width: (5, 6), priority: 2, wide: false, descending: true,
        unit: Unit::Count,
        cell: |_, r| if r.tasks == 0 { Cell::dim("") } else { Cell::plain(r.tasks.to_string()) },
        value: |_, r| number(u64::from(r.tasks)),
        percent: None,
    },
    Column {
        key: "age", title: "SINCE", align: Align::Right, width: (5, 14), priority: 1, wide: false, descending: false,
        unit: Unit::Secs,
        cell: |c, r| if r.since.is_some() { time_cell(c, r.since) } else { Cell::dim("") },
        value: |c, r| age_value(c, r.since),
        percent: None,
    },
    Column {
        key: "why", title: "WHY", align: Align::Left, width: (10, 200), priority: 6, wide: false, descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::dim(&r.why),
        value: |_, r| Value::Text(r.why.clone()),
        percent: None,
    },
];
