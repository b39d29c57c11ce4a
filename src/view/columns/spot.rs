//! Columns of the list of notices.

use super::{Align, Cell, Column, Unit, Value, age_value, number, time_cell};
use crate::domain::{Text, Tone};
use crate::store::notices::NoticeRow;
use crate::view::notices;

/// The columns.
pub static SPOT: &[Column<NoticeRow>] = &[
    Column {
        key: "left",
        title: "LEFT",
        align: Align::Right,
        width: (5, 14),
        priority: 0,
        wide: false,
        descending: false,
        unit: Unit::Secs,
        cell: |c, r| Cell::new(notices::left(c, r), notices::left_tone(c, r)),
        value: |c, r| r.left(c.now).map_or(Value::Missing, seconds),
        percent: None,
    },
    Column {
        key: "kind",
        title: "KIND",
        align: Align::Left,
        width: (9, 12),
        priority: 1,
        wide: false,
        descending: true,
        unit: Unit::Text,
        cell: |_, r| Cell::new(r.kind.word(), if r.urgent { Tone::Plain } else { Tone::Dim }),
        value: |_, r| Value::Text(Text::new(r.kind.word())),
        percent: None,
    },
    Column {
        key: "victim",
        title: "VICTIM",
        align: Align::Left,
        width: (12, 52),
        priority: 0,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, r| {
            Cell::new(notices::short(&r.name), if r.is_open() && r.is_known() { Tone::Strong } else { Tone::Plain })
        },
        value: |_, r| Value::Text(r.name.clone()),
        percent: None,
    },
    Column {
        key: "gone",
        title: "GONE",
        align: Align::Right,
        width: (4, 9),
        priority: 0,
        wide: false,
        descending: false,
        unit: Unit::Count,
        cell: |_, r| match r.tasks {
            (_, 0) => Cell::dim(""),
            (gone, all) => Cell::plain(format!("{gone}/{all}")),
        },
        value: |_, r| number(u64::from(r.tasks.0)),
        percent: Some(|_, r| crate::domain::quantity::percent(u64::from(r.tasks.0), u64::from(r.tasks.1))),
    },
    Column {
        key: "status",
        title: "VERDICT",
        align: Align::Left,
        width: (13, 20),
        priority: 0,
        wide: false,
        descending: true,
        unit: Unit::Text,
        cell: notices::verdict,
        // What is filtered by is told in full as well: `status=*evacuated*`.
        value: |c, r| {
            let full = r.outcome.map_or_else(String::new, |o| format!(" ({})", o.words()));
            Value::Text(Text::new(&format!("{}{full}", notices::verdict(c, r).text)))
        },
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
        cell: |c, r| match r.id.cluster.as_str() {
            "" => Cell::new("none here", Tone::Dim),
            _ => super::cluster_cell(c, &r.id.cluster),
        },
        value: |_, r| Value::Text(r.id.cluster.0.clone()),
        percent: None,
    },
    Column {
        key: "type",
        title: "TYPE",
        align: Align::Left,
        width: (6, 18),
        priority: 5,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::dim(&r.instance_type),
        value: |_, r| Value::Text(r.instance_type.clone()),
        percent: None,
    },
    Column {
        key: "zone",
        title: "ZONE",
        align: Align::Left,
        width: (6, 16),
        priority: 3,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::dim(&r.zone),
        value: |_, r| Value::Text(r.zone.clone()),
        percent: None,
    },
    Column {
        key: "told",
        title: "TOLD BY",
        align: Align::Left,
        width: (5, 14),
        priority: 2,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::dim(&notices::told_briefly(r)),
        value: |_, r| Value::Text(Text::new(&notices::told_by(r))),
        percent: None,
    },
    Column {
        key: "age",
        title: "GIVEN",
        align: Align::Right,
        width: (5, 14),
        priority: 4,
        wide: false,
        descending: false,
        unit: Unit::Secs,
        cell: |c, r| time_cell(c, Some(r.issued)),
        value: |c, r| age_value(c, Some(r.issued)),
        percent: None,
    },
    Column {
        key: "instance",
        title: "INSTANCE",
        align: Align::Left,
        width: (8, 60),
        priority: 10,
        wide: true,
        descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::dim(r.victim.name()),
        value: |_, r| Value::Text(Text::new(r.victim.name())),
        percent: None,
    },
];

#[expect(clippy::cast_precision_loss, reason = "spans in seconds are far below 2^52")]
fn seconds(secs: i64) -> Value {
    Value::Number(secs as f64)
}
