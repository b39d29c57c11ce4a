//! Columns of the events view.

use super::{Align, Cell, Column, Context, Unit, Value, age_value, number, time_cell};
use crate::domain::{Event, EventLevel, Health, Kind, Text, Tone};

fn object(r: &Event) -> String {
    let kind = if r.about.kind == Kind::Other { r.about_kind.to_lowercase() } else { r.about.kind.short().to_owned() };
    format!("{kind}/{}", r.about.name)
}

fn level(r: &Event) -> Cell {
    match r.level {
        EventLevel::Normal => Cell::new("Normal", Tone::Dim),
        EventLevel::Warning => Cell::new("Warning", Tone::Health(Health::Warning)),
    }
}

fn last(c: Context<'_>, r: &Event) -> Cell {
    time_cell(c, r.last.or(r.first))
}

/// The columns.
pub static EVENTS: &[Column<Event>] = &[
    Column {
        key: "age",
        title: "LAST",
        align: Align::Right,
        width: (5, 14),
        priority: 0,
        wide: false,
        descending: false,
        unit: Unit::Secs,
        cell: last,
        value: |c, r| age_value(c, r.last.or(r.first)),
        percent: None,
    },
    Column {
        key: "cluster",
        title: "CLUSTER",
        align: Align::Left,
        width: (6, 20),
        priority: 0,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |c, r| super::cluster_cell(c, &r.id.cluster),
        value: |_, r| Value::Text(r.id.cluster.0.clone()),
        percent: None,
    },
    Column {
        key: "namespace",
        title: "NAMESPACE",
        align: Align::Left,
        width: (9, 24),
        priority: 5,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::dim(&r.about.namespace),
        value: |_, r| Value::Text(r.about.namespace.clone()),
        percent: None,
    },
    Column {
        key: "type",
        title: "TYPE",
        align: Align::Left,
        width: (7, 7),
        priority: 10,
        wide: true,
        descending: true,
        unit: Unit::Text,
        cell: |_, r| level(r),
        value: |_, r| Value::Text(Text::new(if r.level == EventLevel::Warning { "Warning" } else { "Normal" })),
        percent: None,
    },
    Column {
        key: "reason",
        title: "REASON",
        align: Align::Left,
        width: (8, 24),
        priority: 0,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::plain(r.reason.as_str()),
        value: |_, r| Value::Text(r.reason.clone()),
        percent: None,
    },
    Column {
        key: "count",
        title: "COUNT",
        align: Align::Right,
        width: (5, 6),
        priority: 2,
        wide: false,
        descending: true,
        unit: Unit::Count,
        cell: |_, r| Cell::new(r.count.to_string(), if r.count > 1 { Tone::Plain } else { Tone::Dim }),
        value: |_, r| number(u64::from(r.count)),
        percent: None,
    },
    Column {
        key: "object",
        title: "OBJECT",
        align: Align::Left,
        width: (14, 44),
        priority: 0,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::plain(object(r)),
        value: |_, r| Value::Text(r.about.name.clone()),
        percent: None,
    },
    Column {
        key: "message",
        title: "MESSAGE",
        align: Align::Left,
        width: (12, 160),
        priority: 0,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::dim(&r.message),
        value: |_, r| Value::Text(r.message.clone()),
        percent: None,
    },
    Column {
        key: "reporter",
        title: "FROM",
        align: Align::Left,
        width: (8, 24),
        priority: 10,
        wide: true,
        descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::dim(&r.reporter),
        value: |_, r| Value::Text(r.reporter.clone()),
        percent: None,
    },
];
