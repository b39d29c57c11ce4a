//! The columns of every list: one table per view.

mod alarms;
pub(in crate::view) mod budgets;
mod events;
mod nodes;
mod overview;
pub(in crate::view) mod pools;
pub(in crate::view) mod services;
mod spot;
mod tasks;
mod workloads;

use crate::app::ColumnInfo;
pub use crate::app::shown::{Align, Cell};
use crate::app::table::ViewKind;
use crate::domain::{ClusterId, Threshold, Thresholds, Timestamp, Tone, quantity};
use crate::store::Store;
use std::sync::OnceLock;

/// What cells are made from.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The data.
    pub store: &'a Store,
    /// The time shown.
    pub now: Timestamp,
    /// Times as clock times.
    pub absolute: bool,
    /// No Unicode.
    pub ascii: bool,
    /// From when on use is a warning, or critical.
    pub thresholds: Thresholds,
}

/// A cluster's name as every list shows it: in its colour, and with `!` behind it where it is production,
/// since no colour alone says that.
#[must_use]
pub fn cluster_cell(c: Context<'_>, id: &ClusterId) -> Cell {
    Cell::new(cluster_name(c, id), cluster_tone(c, id))
}

/// The name in it.
#[must_use]
pub fn cluster_name(c: Context<'_>, id: &ClusterId) -> String {
    format!("{id}{}", if c.store.is_production(id) { "!" } else { "" })
}

/// The tone of it.
#[must_use]
pub fn cluster_tone(c: Context<'_>, id: &ClusterId) -> Tone {
    match (c.store.accent(id), c.store.is_production(id)) {
        (Some(accent), production) => Tone::Accent(accent, production),
        (None, true) => Tone::Production,
        (None, false) => Tone::Cluster,
    }
}

/// What a column sorts and filters by.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub enum Value {
    /// Nothing known: sorts last in either direction.
    Missing,
    /// A number in the column's unit (millicores, bytes, seconds, count).
    Number(f64),
    /// Text.
    Text(crate::domain::Text),
}

/// The unit of a column's numbers, for filters such as `cpu>80%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Text: compared as such.
    Text,
    /// A count.
    Count,
    /// Per cent.
    Percent,
    /// Millicores.
    Cpu,
    /// Bytes.
    Memory,
    /// Seconds.
    Secs,
}

/// One column of a list of `T`.
pub struct Column<T: 'static> {
    /// Its key in filters.
    pub key: &'static str,
    /// Its header.
    pub title: &'static str,
    /// Alignment.
    pub align: Align,
    /// Narrowest and widest, in terminal columns.
    pub width: (u16, u16),
    /// Which columns go first when there is no room: the highest number.
    pub priority: u8,
    /// Only among the wide columns.
    pub wide: bool,
    /// Sorted largest first at first.
    pub descending: bool,
    /// What its numbers are.
    pub unit: Unit,
    /// What it says.
    pub cell: fn(Context<'_>, &T) -> Cell,
    /// What it sorts and filters by.
    pub value: fn(Context<'_>, &T) -> Value,
    /// Its share of a whole in per cent, where `col>80%` makes sense.
    pub percent: Option<fn(Context<'_>, &T) -> Option<f64>>,
}

pub use alarms::{ALARMS, about as alarm_about, mark as alarm_mark, state as alarm_state, tone as alarm_tone};
pub use budgets::{BUDGETS, mark as budget_mark};
pub use events::EVENTS;
pub use nodes::NODES;
pub use overview::{OVERVIEW, mark as overview_mark};
pub use pools::POOLS;
pub use services::SERVICES;
pub use spot::SPOT;
pub use tasks::TASKS;
pub use workloads::WORKLOADS;

/// What the app knows of a view's columns.
#[must_use]
pub fn column_infos(kind: ViewKind) -> &'static [ColumnInfo] {
    static INFOS: OnceLock<[Vec<ColumnInfo>; 10]> = OnceLock::new();
    fn infos<T>(columns: &[Column<T>]) -> Vec<ColumnInfo> {
        columns.iter().map(|c| ColumnInfo { key: c.key, descending: c.descending, wide: c.wide }).collect()
    }
    let [overview, nodes, tasks, workloads, events, alarms, budgets, services, spot, pools] = INFOS.get_or_init(|| {
        [
            infos(OVERVIEW),
            infos(NODES),
            infos(TASKS),
            infos(WORKLOADS),
            infos(EVENTS),
            infos(ALARMS),
            infos(BUDGETS),
            infos(SERVICES),
            infos(SPOT),
            infos(POOLS),
        ]
    });
    match kind {
        ViewKind::Overview => overview,
        ViewKind::Nodes | ViewKind::Map => nodes,
        ViewKind::Tasks => tasks,
        ViewKind::Workloads => workloads,
        ViewKind::Events => events,
        ViewKind::Alarms => alarms,
        ViewKind::Budgets => budgets,
        ViewKind::Services => services,
        ViewKind::Spot => spot,
        ViewKind::Pools => pools,
    }
}

/// A time as age, or as a clock time when absolute times are on.
#[must_use]
pub fn time_cell(c: Context<'_>, at: Option<Timestamp>) -> Cell {
    match at {
        Some(at) if c.absolute => Cell::new(clock_time(at, c.now), Tone::Time),
        Some(at) => {
            Cell::new(crate::domain::age::human_duration(steady(crate::domain::age::elapsed(at, c.now))), Tone::Dim)
        }
        None => Cell::new("<unknown>", Tone::Dim),
    }
}

/// Ages from two to ten minutes show seconds; in a list of young tasks that is
/// a changed cell per row and second, for ever, down a slow line. Ten seconds
/// are exact enough there.
fn steady(secs: i64) -> i64 {
    if secs >= 120 { secs - secs % 10 } else { secs }
}

/// `14:03:22` today, `11-19 14:03` before.
#[must_use]
pub fn clock_time(at: Timestamp, now: Timestamp) -> String {
    if at.date_naive() == now.date_naive() {
        at.format("%H:%M:%S").to_string()
    } else {
        at.format("%m-%d %H:%M").to_string()
    }
}

/// Seconds since, for sorting and filtering.
#[must_use]
pub fn age_value(c: Context<'_>, at: Option<Timestamp>) -> Value {
    at.map_or(Value::Missing, |t| Value::Number(secs(c, t)))
}

#[expect(clippy::cast_precision_loss, reason = "ages in seconds are far below 2^52")]
fn secs(c: Context<'_>, t: Timestamp) -> f64 {
    (c.now - t).num_seconds() as f64
}

/// A number for sorting.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "for comparing what is displayed")]
pub fn number(n: u64) -> Value {
    Value::Number(n as f64)
}

/// `83%` with the tone of its range, blank without a whole.
#[must_use]
pub fn percent_cell(part: u64, whole: u64, limits: Threshold) -> Cell {
    quantity::percent(part, whole)
        .map_or_else(|| Cell::new("-", Tone::Dim), |p| Cell::new(format!("{}%", rounded(p)), limits.tone(p)))
}

/// A number without what is after its point, as `{:.0}` writes it, in a tenth of the time: a list has hundreds of them.
fn rounded(n: f64) -> String {
    let round = n.round_ties_even();
    // Others are written as what they are.
    if (0.0..1e9).contains(&round) && round.is_sign_positive() {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number from 0 to 1e9")]
        return (round as u32).to_string();
    }
    format!("{n:.0}")
}

/// `83%` with the tone of its range; `-` where it is not known.
#[must_use]
pub fn optional_percent(p: Option<f64>, limits: Threshold) -> Cell {
    p.map_or_else(|| Cell::dim(""), |p| Cell::new(format!("{}%", rounded(p)), limits.tone(p)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::Strategy as _;

    proptest::proptest! {
        #[test]
        fn rounded_is_what_formatting_says(n in proptest::prop_oneof![
            proptest::num::f64::ANY,
            -3.0..1200.0,
            // Halves, which go to the even one.
            (0_i32..400).prop_map(|n| f64::from(n) / 2.0),
        ]) {
            proptest::prop_assert_eq!(super::rounded(n), format!("{n:.0}"));
        }
    }
}
