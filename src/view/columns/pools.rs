//! Columns of the list of pools.

use super::{Align, Cell, Column, Unit, Value, number};
use crate::domain::quantity::percent;
use crate::domain::{Health, Tone};
use crate::store::notices::PoolRow;

/// The window that the rate is over: the last of [`crate::store::notices::Pool::taken`].
const WEEK: usize = 2;

fn counted(n: u32) -> Cell {
    if n == 0 { Cell::dim("") } else { Cell::plain(n.to_string()) }
}

const fn count(
    key: &'static str,
    title: &'static str,
    priority: u8,
    cell: fn(super::Context<'_>, &PoolRow) -> Cell,
    value: fn(super::Context<'_>, &PoolRow) -> Value,
) -> Column<PoolRow> {
    Column {
        key,
        title,
        align: Align::Right,
        width: (4, 7),
        priority,
        wide: false,
        descending: true,
        unit: Unit::Count,
        cell,
        value,
        percent: None,
    }
}

fn taken(r: &PoolRow, window: usize) -> u32 {
    r.pool.taken.get(window).copied().unwrap_or_default()
}

fn taken_cell(r: &PoolRow, window: usize) -> Cell {
    match taken(r, window) {
        0 => Cell::dim(""),
        n => Cell::new(n.to_string(), Tone::Warning),
    }
}

/// Days of machines' lives: `41`; `<1` of less than one.
pub(in crate::view) fn lived(days: f64) -> String {
    if days < 1.0 { "<1".to_owned() } else { format!("{days:.0}") }
}

/// A rate with two significant digits: a handful of cases says no more.
pub(in crate::view) fn rate_text(rate: f64) -> String {
    match rate {
        9.95.. => format!("{rate:.0}"),
        0.995.. => format!("{rate:.1}"),
        0.0995.. => format!("{rate:.2}"),
        0.00995.. => format!("{rate:.3}"),
        _ => format!("{rate:.4}"),
    }
}

/// The columns.
pub static POOLS: &[Column<PoolRow>] = &[
    Column {
        key: "type",
        title: "TYPE",
        align: Align::Left,
        width: (8, 18),
        priority: 0,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::new(if r.pool.instance_type.is_empty() { "-" } else { &r.pool.instance_type }, Tone::Strong),
        value: |_, r| Value::Text(r.pool.instance_type.clone()),
        percent: None,
    },
    Column {
        key: "zone",
        title: "ZONE",
        align: Align::Left,
        width: (6, 16),
        priority: 0,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::plain(if r.pool.zone.is_empty() { "-" } else { &r.pool.zone }),
        value: |_, r| Value::Text(r.pool.zone.clone()),
        percent: None,
    },
    count(
        "spot",
        "SPOT",
        0,
        |_, r| if r.pool.spot == 0 { Cell::dim("") } else { Cell::new(r.pool.spot.to_string(), Tone::Spot) },
        |_, r| number(u64::from(r.pool.spot)),
    ),
    count("other", "OTHER", 3, |_, r| counted(r.pool.other), |_, r| number(u64::from(r.pool.other))),
    count("tasks", "TASKS", 1, |_, r| counted(r.pool.tasks), |_, r| number(u64::from(r.pool.tasks))),
    count(
        "open",
        "GOING",
        0,
        |c, r| match r.pool.open {
            0 => Cell::dim(""),
            n => Cell::new(
                format!("{}{n}", crate::view::notices::shape(Health::Warning, c.ascii)),
                Tone::Health(Health::Warning),
            ),
        },
        |_, r| number(u64::from(r.pool.open)),
    ),
    count("1h", "1H", 5, |_, r| taken_cell(r, 0), |_, r| number(u64::from(taken(r, 0)))),
    count("24h", "24H", 4, |_, r| taken_cell(r, 1), |_, r| number(u64::from(taken(r, 1)))),
    count("7d", "7D", 1, |_, r| taken_cell(r, WEEK), |_, r| number(u64::from(taken(r, WEEK)))),
    Column {
        key: "days",
        title: "NODE-DAYS",
        align: Align::Right,
        width: (9, 9),
        priority: 3,
        wide: false,
        descending: true,
        unit: Unit::Count,
        cell: |_, r| Cell::dim(&r.pool.days.get(WEEK).filter(|d| **d > 0.0).map(|d| lived(*d)).unwrap_or_default()),
        value: |_, r| r.pool.days.get(WEEK).map_or(Value::Missing, |d| Value::Number(*d)),
        percent: None,
    },
    Column {
        key: "rate",
        title: "PER NODE-DAY",
        align: Align::Right,
        width: (12, 12),
        priority: 1,
        wide: false,
        descending: true,
        unit: Unit::Count,
        cell: |_, r| r.pool.rate(WEEK).map_or_else(|| Cell::dim(""), |rate| Cell::plain(rate_text(rate))),
        value: |_, r| r.pool.rate(WEEK).map_or(Value::Missing, Value::Number),
        percent: None,
    },
    Column {
        key: "share",
        title: "SPOT%",
        align: Align::Right,
        width: (5, 6),
        priority: 2,
        wide: false,
        descending: true,
        unit: Unit::Percent,
        cell: |_, r| share(r).map_or_else(|| Cell::dim(""), |p| Cell::plain(format!("{p:.0}%"))),
        value: |_, r| share(r).map_or(Value::Missing, Value::Number),
        percent: None,
    },
    count(
        "leaning",
        "LEANING",
        1,
        |c, r| match r.leaning {
            0 => Cell::dim(""),
            n => Cell::new(format!("{}{n}", crate::view::notices::shape(Health::Warning, c.ascii)), Tone::Warning),
        },
        |_, r| number(u64::from(r.leaning)),
    ),
];

fn share(r: &PoolRow) -> Option<f64> {
    percent(u64::from(r.pool.spot), u64::from(r.pool.spot + r.pool.other))
}
