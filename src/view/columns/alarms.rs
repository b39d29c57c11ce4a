//! Columns of the list of alarms.

use super::{Align, Cell, Column, Context, Unit, Value, age_value, number, time_cell};
use crate::domain::{Alarm, AlarmState, Health, ObjectId, Severity, Text, Tone};
use crate::store::alarm_groups::AlarmLine;
use crate::store::alarm_log::FLAPPING;
use crate::view::alarms::{amount, limit};

fn of<'a>(c: Context<'a>, line: &AlarmLine) -> Option<&'a Alarm> {
    c.store.alarms.get(&line.id)
}

/// What an alarm looks like: of its severity while it fires, else of no weight.
#[must_use]
pub fn tone(health: Health) -> Tone {
    if health.is_problem() || health == Health::Progressing { Tone::Health(health) } else { Tone::Dim }
}

/// Shape and word of a severity.
#[must_use]
pub fn mark(a: &Alarm, ascii: bool) -> String {
    let shape = match (a.severity, a.is_firing(), ascii) {
        (_, false, true) => "o",
        (_, false, false) => "○",
        (Severity::Critical, true, false) => "✖",
        (Severity::Critical, true, true) => "X",
        (Severity::Warning | Severity::Unknown, true, false) => "▲",
        (Severity::Warning | Severity::Unknown, true, true) => "!",
        (Severity::Info, true, false) => "●",
        (Severity::Info, true, true) => "i",
    };
    format!("{shape} {}", a.severity.word())
}

/// The state in a word; a suppressed alarm does not fire as far as anybody is told.
#[must_use]
pub fn state(a: &Alarm) -> &'static str {
    if a.state == AlarmState::Firing && !a.suppressed_by.is_empty() { "silenced" } else { a.state.word() }
}

/// `svc web`, `node i-0a`.
#[must_use]
pub fn about(id: &ObjectId) -> String {
    if id.namespace.is_empty() {
        format!("{} {}", id.kind.short(), id.name)
    } else {
        format!("{} {}/{}", id.kind.short(), id.namespace, id.name)
    }
}

/// The name, with what is behind it: `▸ HighErrors x12`, `▸ web-degraded +5`.
fn name(c: Context<'_>, line: &AlarmLine) -> String {
    let indent = "  ".repeat(usize::from(line.depth));
    let fold = match (line.instances + line.others > 0, line.open, c.ascii) {
        (false, ..) => "",
        (true, false, false) => "▸ ",
        (true, true, false) => "▾ ",
        (true, false, true) => "+ ",
        (true, true, true) => "- ",
    };
    let alarm = of(c, line);
    let composite = alarm.is_some_and(|a| !a.more.children.is_empty());
    // Behind an alert that is named are its instances; each of them has a name of its own.
    let name = match alarm {
        Some(a) if line.instances > 0 && !line.open => a.alert_name(),
        _ => &line.id.name,
    };
    let mut out = format!("{indent}{fold}{name}");
    let (same, others) = if composite { (0, line.instances + line.others) } else { (line.instances, line.others) };
    if same > 0 {
        out += &format!(" x{}", same + 1);
    }
    if others > 0 {
        out += &format!(" +{others}");
    }
    out
}

/// Began to fire since somebody looked, and somebody is to be told.
fn is_new(c: Context<'_>, line: &AlarmLine) -> bool {
    line.health.is_problem() && c.store.alarm_log.is_new(&line.id)
}

fn text(s: &str) -> Value {
    if s.is_empty() { Value::Missing } else { Value::Text(Text::new(s)) }
}

fn figure(v: Option<f64>) -> Value {
    v.filter(|v| v.is_finite()).map_or(Value::Missing, Value::Number)
}

/// The columns.
pub static ALARMS: &[Column<AlarmLine>] = &[
    Column {
        key: "health",
        title: "LEVEL",
        align: Align::Left,
        width: (8, 8),
        priority: 0,
        wide: false,
        descending: true,
        unit: Unit::Text,
        cell: |c, r| of(c, r).map_or_else(Cell::default, |a| Cell::new(mark(a, c.ascii), tone(r.health))),
        value: |c, r| of(c, r).map_or(Value::Missing, |a| text(a.severity.word())),
        percent: None,
    },
    Column {
        key: "state",
        title: "STATE",
        align: Align::Left,
        width: (6, 22),
        priority: 1,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |c, r| of(c, r).map_or_else(Cell::default, |a| Cell::new(state(a), tone(r.health))),
        value: |c, r| of(c, r).map_or(Value::Missing, |a| text(state(a))),
        percent: None,
    },
    Column {
        key: "name",
        title: "NAME",
        align: Align::Left,
        width: (24, 52),
        priority: 0,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |c, r| {
            let plain = if r.health.is_problem() { Tone::Plain } else { tone(r.health) };
            Cell::new(name(c, r), plain)
        },
        value: |_, r| Value::Text(r.id.name.clone()),
        percent: None,
    },
    Column {
        key: "new",
        title: "NEW",
        align: Align::Left,
        width: (3, 3),
        priority: 4,
        wide: false,
        descending: true,
        unit: Unit::Text,
        cell: |c, r| if is_new(c, r) { Cell::new("new", Tone::Strong) } else { Cell::default() },
        value: |c, r| number(u64::from(is_new(c, r))),
        percent: None,
    },
    Column {
        key: "about",
        title: "ABOUT",
        align: Align::Left,
        width: (8, 36),
        priority: 2,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::dim(&r.about.as_ref().map(about).unwrap_or_default()),
        value: |_, r| text(&r.about.as_ref().map(about).unwrap_or_default()),
        percent: None,
    },
    Column {
        key: "cluster",
        title: "CLUSTER",
        align: Align::Left,
        width: (6, 20),
        priority: 5,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |c, r| super::cluster_cell(c, &r.id.cluster),
        value: |_, r| Value::Text(r.id.cluster.0.clone()),
        percent: None,
    },
    Column {
        key: "age",
        title: "SINCE",
        align: Align::Right,
        width: (5, 14),
        priority: 1,
        wide: false,
        descending: false,
        unit: Unit::Secs,
        cell: |c, r| match of(c, r).and_then(|a| a.since) {
            Some(at) => time_cell(c, Some(at)),
            None => Cell::dim(""),
        },
        value: |c, r| age_value(c, of(c, r).and_then(|a| a.since)),
        percent: None,
    },
    Column {
        key: "value",
        title: "VALUE",
        align: Align::Right,
        width: (6, 12),
        priority: 3,
        wide: false,
        descending: true,
        unit: Unit::Count,
        cell: |c, r| match of(c, r).and_then(|a| Some((a.value?, a))) {
            Some((v, a)) => Cell::new(amount(v, &a.more.unit), tone(r.health)),
            None => Cell::dim(""),
        },
        value: |c, r| figure(of(c, r).and_then(|a| a.value)),
        percent: None,
    },
    Column {
        key: "limit",
        title: "LIMIT",
        align: Align::Left,
        width: (6, 14),
        priority: 3,
        wide: false,
        descending: true,
        unit: Unit::Count,
        cell: |c, r| Cell::dim(&of(c, r).map(limit).unwrap_or_default()),
        value: |c, r| figure(of(c, r).and_then(|a| a.threshold)),
        percent: None,
    },
    Column {
        key: "flaps",
        title: "FLAPS",
        align: Align::Right,
        width: (5, 5),
        priority: 5,
        wide: false,
        descending: true,
        unit: Unit::Count,
        cell: |c, r| match c.store.alarm_log.recent(&r.id, c.now) {
            n if n >= FLAPPING => Cell::new(format!("{n}/h"), Tone::Warning),
            _ => Cell::default(),
        },
        value: |c, r| number(c.store.alarm_log.recent(&r.id, c.now) as u64),
        percent: None,
    },
    Column {
        key: "runbook",
        title: "RB",
        align: Align::Left,
        width: (2, 2),
        priority: 6,
        wide: false,
        descending: true,
        unit: Unit::Text,
        cell: |c, r| match of(c, r) {
            Some(a) if !a.runbook.is_empty() => Cell::new(if c.ascii { "b" } else { "✓" }, Tone::Key),
            _ => Cell::default(),
        },
        value: |c, r| number(of(c, r).map_or(0, |a| u64::from(!a.runbook.is_empty()))),
        percent: None,
    },
    Column {
        key: "silenced",
        title: "SILENCED BY",
        align: Align::Left,
        width: (11, 30),
        priority: 7,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |c, r| match of(c, r) {
            Some(a) if !a.suppressed_by.is_empty() => Cell::dim(&a.suppressed_by),
            _ => Cell::default(),
        },
        value: |c, r| of(c, r).map_or(Value::Missing, |a| text(&a.suppressed_by)),
        percent: None,
    },
    Column {
        key: "summary",
        title: "SUMMARY",
        align: Align::Left,
        width: (12, 120),
        priority: 8,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |c, r| Cell::dim(of(c, r).map_or("", |a| if a.summary.is_empty() { &a.reason } else { &a.summary })),
        value: |c, r| of(c, r).map_or(Value::Missing, |a| text(&a.summary)),
        percent: None,
    },
];
