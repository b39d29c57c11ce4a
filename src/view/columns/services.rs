//! Columns of the services view: rate and errors at the left, latency at the right,
//! always in the same place.

use super::{Align, Cell, Column, Context, Unit, Value, age_value, time_cell};
use crate::domain::traffic::{duration, rate, share};
use crate::domain::{Covers, Freshness, Health, Service, Signals, Text, Timestamp, Tone};
use crate::store::Feed;
use crate::view::spark::gapped;

/// A figure whose minute ended longer ago than this is late.
const LATE_SECS: i64 = 300;

/// Whether the figures are of minutes ago, or of a source that does not answer.
#[must_use]
pub fn is_late(c: Context<'_>, s: &Service) -> bool {
    let stale = c
        .store
        .source(&s.id.cluster, Feed::Signals)
        .is_some_and(|s| matches!(s.freshness, Freshness::Stale { .. } | Freshness::Down { .. }));
    stale || s.at.is_some_and(|at| age_of(c.now, at) > LATE_SECS)
}

/// Seconds since the minute that began at `at` was over.
fn age_of(now: Timestamp, at: Timestamp) -> i64 {
    (now - at).num_seconds() - 60
}

/// Why figures are missing or not of now; empty where they are.
#[must_use]
pub fn caveat(c: Context<'_>, s: &Service) -> String {
    let mut parts: Vec<String> = Vec::new();
    if is_late(c, s)
        && let Some(at) = s.at
    {
        let age = crate::domain::age::human_duration(age_of(c.now, at).max(0));
        parts.push(format!("late: nothing since {age} ago"));
    }
    if s.now.requests.is_none() {
        parts.push("no data".to_owned());
    } else if s.now.requests == Some(0.0) {
        parts.push("no traffic".to_owned());
    }
    let gaps = s.trend.iter().skip_while(|t| t.requests.is_none()).filter(|t| t.requests.is_none()).count();
    if gaps > 0 {
        parts.push(format!("{gaps} of {} min missing", s.trend.len()));
    }
    if !s.note.is_empty() {
        parts.push(s.note.to_string());
    }
    parts.join("; ")
}

fn toned(c: Context<'_>, s: &Service, text: Option<String>, tone: Tone) -> Cell {
    match text {
        Some(text) => Cell::new(text, if is_late(c, s) { Tone::Dim } else { tone }),
        None => Cell::dim(""),
    }
}

fn rate_cell(c: Context<'_>, s: &Service) -> Cell {
    match s.now.requests {
        // In a word, too: a colour alone says nothing to many.
        Some(n) if is_late(c, s) => Cell::new(format!("late {}/s", rate(n)), Tone::Dim),
        Some(n) => Cell::plain(format!("{}/s", rate(n))),
        None => Cell::new("no data", Tone::Health(Health::Unknown)),
    }
}

fn errors_cell(c: Context<'_>, s: &Service) -> Cell {
    let tone = match s.now.errors {
        Some(e) if e >= 0.05 => Tone::Health(Health::Critical),
        Some(e) if e >= 0.01 => Tone::Health(Health::Warning),
        Some(0.0) => Tone::Dim,
        _ => Tone::Plain,
    };
    toned(c, s, s.now.errors.map(share), tone)
}

/// The trend of one figure; a minute without it is a blank.
pub(in crate::view) fn trend(s: &Service, of: fn(&Signals) -> Option<f64>, width: usize, ascii: bool) -> String {
    gapped(s.trend.iter().map(of), width, ascii)
}

fn spark_cell(c: Context<'_>, s: &Service, of: fn(&Signals) -> Option<f64>) -> Cell {
    Cell::new(trend(s, of, 10, c.ascii), Tone::Gauge(0))
}

fn number(n: Option<f64>) -> Value {
    n.map_or(Value::Missing, Value::Number)
}

macro_rules! trend {
    ($key:literal, $title:literal, $priority:literal, $of:expr) => {
        Column {
            key: $key,
            title: $title,
            align: Align::Left,
            width: (10, 10),
            priority: $priority,
            wide: false,
            descending: true,
            unit: Unit::Count,
            cell: |c, s| spark_cell(c, s, $of),
            value: |_, s| number($of(&s.now)),
            percent: None,
        }
    };
}

macro_rules! latency {
    ($key:literal, $title:literal, $of:ident, $i:literal, $priority:literal, $wide:literal) => {
        Column {
            key: $key,
            title: $title,
            align: Align::Right,
            width: (6, 8),
            priority: $priority,
            wide: $wide,
            descending: true,
            unit: Unit::Secs,
            cell: |c, s| toned(c, s, s.now.$of[$i].map(duration), Tone::Plain),
            value: |_, s| number(s.now.$of[$i]),
            percent: None,
        }
    };
}

/// What its budgets say, the worst of them; without any, whether there are figures.
fn state(c: Context<'_>, s: &Service) -> Cell {
    match (c.store.budgets_of(&s.id).first(), s.now.requests) {
        (Some(b), _) => {
            Cell::new(format!("{} {}", super::budgets::mark(b, c.ascii), b.word()), super::budgets::tone(b))
        }
        (None, None) => Cell::new("? unknown", Tone::Health(Health::Unknown)),
        // Nobody has said what would be too much.
        (None, Some(_)) => Cell::new(if c.ascii { ". no slo" } else { "· no slo" }, Tone::Dim),
    }
}

/// What is left of the worst budget, in its tone where it is one to look at.
fn budget_cell(c: Context<'_>, s: &Service) -> Cell {
    let Some(b) = c.store.budgets_of(&s.id).first().copied() else { return Cell::dim("") };
    let tone = match (b.health().is_problem(), b.left()) {
        (true, _) => super::budgets::tone(b),
        (false, Some(left)) => match super::budgets::left_tone(left) {
            Tone::Plain => super::budgets::tone(b),
            scarce => scarce,
        },
        (false, None) => Tone::Dim,
    };
    Cell::new(format!("{} {}", super::budgets::mark(b, c.ascii), b.left_text()), tone)
}

/// The columns.
pub static SERVICES: &[Column<Service>] = &[
    Column {
        key: "status",
        title: "STATE",
        align: Align::Left,
        width: (8, 22),
        priority: 0,
        wide: false,
        descending: true,
        unit: Unit::Text,
        cell: state,
        value: |c, s| Value::Text(Text::new(&state(c, s).text)),
        percent: None,
    },
    Column {
        key: "cluster",
        title: "SOURCE",
        align: Align::Left,
        width: (6, 20),
        priority: 1,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |c, s| super::cluster_cell(c, &s.id.cluster),
        value: |_, s| Value::Text(s.id.cluster.0.clone()),
        percent: None,
    },
    Column {
        key: "name",
        title: "SERVICE",
        align: Align::Left,
        width: (12, 36),
        priority: 0,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, s| Cell::plain(s.id.name.as_str()),
        value: |_, s| Value::Text(s.id.name.clone()),
        percent: None,
    },
    Column {
        key: "rate",
        title: "RATE",
        align: Align::Right,
        width: (7, 14),
        priority: 0,
        wide: false,
        descending: true,
        unit: Unit::Count,
        cell: rate_cell,
        value: |_, s| number(s.now.requests),
        percent: None,
    },
    trend!("rates", "RATE TREND", 7, |s: &Signals| s.requests),
    Column {
        key: "errors",
        title: "ERRORS",
        align: Align::Right,
        width: (7, 8),
        priority: 0,
        wide: false,
        descending: true,
        unit: Unit::Percent,
        cell: errors_cell,
        value: |_, s| number(s.now.errors.map(|e| e * 100.0)),
        percent: Some(|_, s| s.now.errors.map(|e| e * 100.0)),
    },
    trend!("errs", "ERR TREND", 7, |s: &Signals| s.errors),
    latency!("p50", "P50", latency, 0, 5, false),
    latency!("p95", "P95", latency, 1, 3, false),
    latency!("p99", "P99", latency, 2, 1, false),
    Column {
        key: "covers",
        title: "P99 OF",
        align: Align::Left,
        width: (6, 9),
        priority: 2,
        wide: true,
        descending: false,
        unit: Unit::Text,
        cell: |_, s| Cell::dim(covers(s)),
        value: |_, s| Value::Text(Text::new(covers(s))),
        percent: None,
    },
    trend!("p99s", "P99 TREND", 8, |s: &Signals| s.latency[2]),
    latency!("f99", "FAIL99", failure_latency, 2, 9, true),
    Column {
        key: "sat",
        title: "SAT",
        align: Align::Right,
        width: (4, 5),
        priority: 4,
        wide: false,
        descending: true,
        unit: Unit::Percent,
        cell: |c, s| super::optional_percent(s.now.saturation.map(|n| n * 100.0), c.thresholds.cpu),
        value: |_, s| number(s.now.saturation.map(|n| n * 100.0)),
        percent: Some(|_, s| s.now.saturation.map(|n| n * 100.0)),
    },
    trend!("sats", "SAT TREND", 9, |s: &Signals| s.saturation),
    Column {
        key: "left",
        title: "BUDGET",
        align: Align::Right,
        width: (8, 10),
        priority: 2,
        wide: false,
        descending: false,
        unit: Unit::Percent,
        cell: budget_cell,
        value: |c, s| {
            let worst = c.store.budgets_of(&s.id).first().and_then(|b| b.left());
            number(worst.map(|l| l.value() * 100.0))
        },
        percent: None,
    },
    Column {
        key: "origin",
        title: "FROM",
        align: Align::Left,
        width: (4, 18),
        priority: 10,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, s| Cell::dim(&s.origin),
        value: |_, s| Value::Text(s.origin.clone()),
        percent: None,
    },
    Column {
        key: "age",
        title: "MINUTE",
        align: Align::Right,
        width: (6, 14),
        priority: 11,
        wide: true,
        descending: false,
        unit: Unit::Secs,
        cell: |c, s| if s.at.is_some() { time_cell(c, s.at) } else { Cell::dim("") },
        value: |c, s| age_value(c, s.at),
        percent: None,
    },
    Column {
        key: "note",
        title: "NOTE",
        align: Align::Left,
        width: (8, 60),
        priority: 5,
        wide: false,
        descending: false,
        unit: Unit::Text,
        // That there are no figures is said where they would be.
        cell: |c, s| {
            let told = caveat(c, s);
            Cell::new(if told == "no data" { String::new() } else { told }, Tone::Warning)
        },
        value: |c, s| Value::Text(Text::new(&caveat(c, s))),
        percent: None,
    },
];

/// Whether a fast failure can flatter the latency.
fn covers(s: &Service) -> &'static str {
    match s.now.covers {
        _ if s.now.latency.iter().all(Option::is_none) => "",
        Covers::Successes => "successes",
        Covers::All => "all",
    }
}
