//! Columns of the budgets view.

use super::{Align, Cell, Column, Context, Unit, Value, age_value, time_cell};
use crate::domain::budget::burn_text;
use crate::domain::slo::{Exhaustion, Fraction, Indicator, Lookback, State};
use crate::domain::{Budget, Freshness, Health, Text, Tone};
use crate::store::Feed;
use crate::view::spark::bar;

/// A shape beside the word: state is never colour alone.
#[must_use]
pub fn mark(b: &Budget, ascii: bool) -> &'static str {
    match (b.state(), ascii) {
        (Some(State::Page | State::ExhaustedAndBurning), false) => "✖",
        (Some(State::Page | State::ExhaustedAndBurning), true) => "X",
        (Some(State::Ticket | State::Exhausted), false) => "▲",
        (Some(State::Ticket | State::Exhausted), true) => "!",
        (Some(State::Fine), false) => "●",
        (Some(State::Fine), true) => "o",
        (Some(State::FewEvents), false) => "○",
        (Some(State::FewEvents), true) => ".",
        (Some(State::NoTraffic), _) => "-",
        (None | Some(State::NoData), _) => "?",
    }
}

/// The tone of a budget's state. What has no traffic is neither well nor ill.
#[must_use]
pub fn tone(b: &Budget) -> Tone {
    match b.state() {
        Some(State::NoTraffic | State::FewEvents) => Tone::Dim,
        _ => Tone::Health(b.health()),
    }
}

/// Why a budget is to be read with care: its own note, and its source where that is
/// not live. Empty where there is nothing to say.
#[must_use]
pub fn caveat(c: Context<'_>, b: &Budget) -> String {
    let mut parts: Vec<String> = Vec::new();
    let source = c.store.source(&b.id.cluster, Feed::Budgets).map(|s| &s.freshness);
    if let Some(f @ (Freshness::Stale { .. } | Freshness::Down { .. })) = source {
        let why = f.reason().map_or_else(String::new, |r| format!(": {r}"));
        parts.push(format!("{}{why}", f.word()));
    }
    if !b.note.is_empty() {
        parts.push(b.note.to_string());
    }
    parts.join("; ")
}

/// Whether the figures are older than what reads them says they may be.
fn is_stale(c: Context<'_>, b: &Budget) -> bool {
    c.store
        .source(&b.id.cluster, Feed::Budgets)
        .is_some_and(|s| matches!(s.freshness, Freshness::Stale { .. } | Freshness::Down { .. }))
}

/// How much is left as a tone: below a tenth is scarce, nothing is bad.
pub(in crate::view) fn left_tone(left: Fraction) -> Tone {
    match left.value() {
        n if n <= 0.0 => Tone::Health(Health::Critical),
        n if n < 0.1 => Tone::Health(Health::Warning),
        _ => Tone::Plain,
    }
}

fn left_cell(c: Context<'_>, b: &Budget) -> Cell {
    match b.left() {
        Some(_) if is_stale(c, b) => Cell::new(b.left_text(), Tone::Dim),
        Some(left) => Cell::new(b.left_text(), left_tone(left)),
        None => Cell::new(b.left_text(), Tone::Dim),
    }
}

fn gauge(c: Context<'_>, b: &Budget) -> Cell {
    let Some(left) = b.left() else { return Cell::default() };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    let part = (left.value().clamp(0.0, 1.0) * 1000.0) as u64;
    let range = match left.value() {
        n if n < 0.1 => 2,
        n if n < 0.33 => 1,
        _ => 0,
    };
    Cell::new(bar(part, 1000, 8, c.ascii), Tone::Gauge(range))
}

fn gone(b: &Budget) -> Cell {
    let text = match b.assessment.as_ref().map(|a| a.exhaustion) {
        // Short: the details say it in full.
        Some(Exhaustion::NotAtThisRate) => "no burn".to_owned(),
        Some(Exhaustion::NotThisPeriod) => "lasts".to_owned(),
        Some(Exhaustion::In(_)) if b.outlasts() => "lasts".to_owned(),
        None | Some(Exhaustion::Unknown) => "-".to_owned(),
        Some(_) => b.gone_text(),
    };
    let tone = match b.assessment.as_ref().map(|a| a.exhaustion) {
        Some(Exhaustion::Exhausted) => Tone::Health(Health::Critical),
        Some(Exhaustion::In(_)) if b.outlasts() => Tone::Dim,
        // As the row: hours that page are no milder for being more than a day.
        Some(Exhaustion::In(_)) if b.health().is_problem() => tone(b),
        Some(Exhaustion::In(secs)) if secs < 86_400.0 => Tone::Health(Health::Warning),
        Some(Exhaustion::In(_)) => Tone::Plain,
        _ => Tone::Dim,
    };
    Cell::new(text, tone)
}

/// A burn, in the tone of the worst row of its window that it is over.
fn burn_cell(b: &Budget, window: Lookback) -> Cell {
    let Some(burn) = b.burn(window) else { return Cell::dim("") };
    let over = b.objective.rows.iter().filter(|r| {
        let (num, den) = r.factor.parts();
        (r.long == window || r.short == window) && burn.compare_to(num, den).is_gt()
    });
    let tone = match over.map(|r| r.severity).max() {
        Some(crate::domain::slo::Severity::Page) => Tone::Health(Health::Critical),
        Some(crate::domain::slo::Severity::Ticket) => Tone::Health(Health::Warning),
        None if burn.is_zero() => Tone::Dim,
        None => Tone::Plain,
    };
    Cell::new(burn_text(burn), tone)
}

fn burn_value(b: &Budget, window: Lookback) -> Value {
    b.burn(window).map_or(Value::Missing, |f| Value::Number(f.value()))
}

macro_rules! burn {
    ($key:literal, $minutes:expr, $priority:literal) => {
        Column {
            key: $key,
            title: $key,
            align: Align::Right,
            width: (5, 6),
            priority: $priority,
            wide: false,
            descending: true,
            unit: Unit::Count,
            cell: |_, b| burn_cell(b, Lookback::minutes($minutes)),
            value: |_, b| burn_value(b, Lookback::minutes($minutes)),
            percent: None,
        }
    };
}

/// The columns.
pub static BUDGETS: &[Column<Budget>] = &[
    Column {
        key: "status",
        title: "VERDICT",
        align: Align::Left,
        width: (10, 36),
        priority: 0,
        wide: false,
        descending: true,
        unit: Unit::Text,
        cell: |c, b| Cell::new(format!("{} {}", mark(b, c.ascii), b.word()), tone(b)),
        value: |_, b| Value::Text(Text::new(b.word())),
        percent: None,
    },
    Column {
        key: "name",
        title: "SLO",
        align: Align::Left,
        width: (12, 44),
        priority: 0,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, b| Cell::plain(b.objective.key()),
        value: |_, b| Value::Text(b.id.name.clone()),
        percent: None,
    },
    Column {
        key: "service",
        title: "SERVICE",
        align: Align::Left,
        width: (8, 20),
        priority: 5,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, b| Cell::dim(&b.objective.service),
        value: |_, b| Value::Text(b.objective.service.clone()),
        percent: None,
    },
    Column {
        key: "target",
        title: "TARGET",
        align: Align::Right,
        width: (6, 10),
        priority: 4,
        wide: false,
        descending: true,
        unit: Unit::Percent,
        cell: |_, b| Cell::plain(b.objective.target.to_string()),
        value: |_, b| Value::Number(f64::from(b.objective.target.ppb()) / 1e7),
        percent: None,
    },
    Column {
        key: "indicator",
        title: "INDICATOR",
        align: Align::Right,
        width: (10, 10),
        priority: 7,
        wide: false,
        descending: false,
        unit: Unit::Percent,
        cell: |_, b| {
            let known = matches!(b.assessment.as_ref().map(|a| a.indicator), Some(Indicator::Ratio(_)));
            Cell::new(b.indicator_text(), if known { Tone::Plain } else { Tone::Dim })
        },
        value: |_, b| match b.assessment.as_ref().map(|a| a.indicator) {
            Some(Indicator::Ratio(r)) => Value::Number(r.value() * 100.0),
            _ => Value::Missing,
        },
        percent: None,
    },
    Column {
        key: "left",
        title: "LEFT",
        align: Align::Right,
        width: (8, 10),
        priority: 1,
        wide: false,
        descending: false,
        unit: Unit::Percent,
        cell: left_cell,
        value: |_, b| b.left().map_or(Value::Missing, |l| Value::Number(l.value() * 100.0)),
        percent: None,
    },
    Column {
        key: "gauge",
        title: "BUDGET",
        align: Align::Left,
        width: (8, 8),
        priority: 8,
        wide: false,
        descending: false,
        unit: Unit::Percent,
        cell: gauge,
        value: |_, b| b.left().map_or(Value::Missing, |l| Value::Number(l.value() * 100.0)),
        percent: None,
    },
    Column {
        key: "remains",
        title: "REMAINS",
        align: Align::Right,
        width: (8, 16),
        priority: 9,
        wide: false,
        descending: false,
        unit: Unit::Count,
        cell: |c, b| Cell::dim(&b.remaining_text(c.now).unwrap_or_default()),
        value: |c, b| b.remaining(c.now).map_or(Value::Missing, |(n, _)| Value::Number(n)),
        percent: None,
    },
    burn!("5m", 5, 6),
    burn!("30m", 30, 6),
    burn!("1h", 60, 2),
    burn!("6h", 360, 3),
    burn!("1d", 1440, 6),
    burn!("3d", 4320, 6),
    Column {
        key: "gone",
        title: "GONE IN",
        align: Align::Right,
        width: (9, 9),
        priority: 1,
        wide: false,
        descending: false,
        unit: Unit::Secs,
        cell: |_, b| gone(b),
        value: |_, b| b.urgency().map_or(Value::Missing, Value::Number),
        percent: None,
    },
    Column {
        key: "window",
        title: "WINDOW",
        align: Align::Left,
        width: (6, 18),
        priority: 8,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, b| Cell::dim(&b.objective.period.to_string()),
        value: |_, b| Value::Text(Text::new(&b.objective.period.to_string())),
        percent: None,
    },
    Column {
        key: "source",
        title: "SOURCE",
        align: Align::Left,
        width: (6, 24),
        priority: 10,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, b| Cell::new(format!("{} {}", b.id.cluster, b.origin), Tone::Dim),
        value: |_, b| Value::Text(b.id.cluster.0.clone()),
        percent: None,
    },
    Column {
        key: "age",
        title: "READ",
        align: Align::Right,
        width: (5, 14),
        priority: 9,
        wide: false,
        descending: false,
        unit: Unit::Secs,
        cell: |c, b| match b.at {
            Some(_) if is_stale(c, b) => Cell::new(time_cell(c, b.at).text, Tone::Warning),
            Some(_) => time_cell(c, b.at),
            None => Cell::dim(""),
        },
        value: |c, b| age_value(c, b.at),
        percent: None,
    },
    Column {
        key: "note",
        title: "NOTE",
        align: Align::Left,
        width: (8, 80),
        priority: 11,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |c, b| Cell::new(caveat(c, b), Tone::Warning),
        value: |c, b| Value::Text(Text::new(&caveat(c, b))),
        percent: None,
    },
];
