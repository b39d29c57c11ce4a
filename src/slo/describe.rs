//! A definition in words and as JSON, for `slo check`.

use serde_json::{Value, json};

use super::{Definition, Signal};
use crate::config::diagnostic::{Diagnostic, Severity};
use crate::domain::Text;
use crate::domain::slo::exact::unscaled;
use crate::domain::slo::{Basis, Lookback, Method, Row, Target};

/// The version of the JSON.
pub const VERSION: u32 = 1;

/// What was understood of one objective: a heading and a line for each thing, with a
/// line end.
#[must_use]
pub fn describe(d: &Definition) -> String {
    let o = &d.objective;
    let mut out = format!("{}\n", o.key());
    let mut line = |name: &str, text: &str| out.push_str(&format!("  {name:<10} {text}\n"));
    if o.title.as_str() != o.slo.as_str() {
        line("title", o.title.as_str());
    }
    line("service", o.service.as_str());
    line("indicator", o.indicator.as_str());
    line("source", &source(d));
    line("target", &format!("{}, counted in {}", o.target, o.method));
    let basis = if o.basis == Basis::WholePeriod { "; the budget is that of the whole period" } else { "" };
    line("window", &format!("{}{basis}", o.period));
    line("budget", &budget(d));
    if let Some(runbook) = &o.runbook {
        line("runbook", runbook.as_str());
    }
    for row in &o.rows {
        line(row.severity.word(), &row_text(row, o.target));
    }
    out
}

fn source(d: &Definition) -> String {
    let kind = kind(&d.signal);
    d.source.as_ref().map_or_else(|| kind.to_owned(), |name| format!("{kind} `{}`", name.as_str()))
}

fn kind(signal: &Signal) -> &str {
    match signal {
        Signal::Prometheus(_) => "Prometheus",
        Signal::CloudWatch(_) => "CloudWatch",
        Signal::Unsupported(kind) => kind,
    }
}

/// `0.1%: 43 min 12 s`; a month has no single length.
fn budget(d: &Definition) -> String {
    let o = &d.objective;
    let (short, long) = o.period.range();
    let of = |w: Lookback| duration(o.budget_secs(w));
    let time = if short == long { of(short) } else { format!("{} to {}", of(short), of(long)) };
    let share = unscaled(u64::from(o.target.budget_ppb()), 7);
    match o.method {
        Method::Occurrences => format!("{share}% of events: as much as a total outage of {time} at even traffic"),
        Method::Timeslices(_) => format!("{share}% of slices: {time}"),
        Method::RatioTimeslices(_) => format!("{share}% of slices: as much as a total outage of {time}"),
    }
}

fn row_text(row: &Row, target: Target) -> String {
    let errors = percent(row.factor.error_ratio(target).value());
    let head = format!("when {} and {} burn over {}: errors over {errors}%", row.long, row.short, row.factor);
    match row.fires_after(target, 1.0) {
        Some(secs) => format!("{head}, a total outage after {}", duration(secs)),
        None => format!("when {} and {} burn over {}: never, all errors burn less", row.long, row.short, row.factor),
    }
}

/// A share as a percentage with at most six decimals.
fn percent(share: f64) -> String {
    let text = format!("{:.6}", share * 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Seconds in the two largest units that matter: `43 min 12 s`, `2.4 s`.
#[must_use]
pub fn duration(secs: f64) -> String {
    if secs < 59.95 {
        let text = format!("{secs:.1}");
        return format!("{} s", text.trim_end_matches(".0"));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and years at most")]
    let whole = secs.round() as u64;
    let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let first = units.iter().position(|(n, _)| whole >= *n).unwrap_or(3);
    let (n, word) = units[first];
    let (part, rest) = (whole / n, whole % n);
    match units.get(first + 1) {
        Some((m, small)) if rest / m > 0 => format!("{part} {word} {} {small}", rest / m),
        _ => format!("{part} {word}"),
    }
}

/// What was understood of one objective.
#[must_use]
pub fn json(d: &Definition) -> Value {
    let o = &d.objective;
    let (short, long) = o.period.range();
    let places = unscaled(u64::from(o.target.ppb()), 9);
    json!({
        "slo": o.slo.as_str(),
        "objective": o.objective.as_ref().map(Text::as_str),
        "title": o.title.as_str(),
        "service": o.service.as_str(),
        "description": o.description.as_str(),
        "runbook": o.runbook.as_ref().map(Text::as_str),
        "indicator": o.indicator.as_str(),
        "source": {
            "type": kind(&d.signal),
            "name": d.source.as_ref().map(Text::as_str),
            "measured": !matches!(d.signal, Signal::Unsupported(_)),
        },
        "target": places,
        "method": o.method.to_string(),
        "window": o.period.to_string(),
        "window_secs": [short.secs(), long.secs()],
        "budget_secs": [o.budget_secs(short), o.budget_secs(long)],
        "min_bad": o.min_bad,
        "rows": o.rows.iter().map(|r| row_json(r, Some(o.target))).collect::<Vec<_>>(),
        "file": d.file,
        "line": d.line,
    })
}

/// A row; with a target, what it means for it.
#[must_use]
pub fn row_json(row: &Row, target: Option<Target>) -> Value {
    json!({
        "severity": row.severity.word(),
        "long": row.long.to_string(),
        "short": row.short.to_string(),
        "factor": row.factor.value(),
        "error_ratio": target.map(|t| row.factor.error_ratio(t).value()),
        "reachable": target.map(|t| !row.factor.unreachable(t)),
        "outage_fires_after_secs": target.and_then(|t| row.fires_after(t, 1.0)),
    })
}

/// One thing wrong.
#[must_use]
pub fn diagnostic_json(d: &Diagnostic) -> Value {
    json!({
        "severity": if d.severity == Severity::Error { "error" } else { "warning" },
        "file": d.file,
        "line": d.line,
        "column": d.column,
        "message": d.message,
        "value": d.value,
        "allowed": d.allowed,
        "help": d.hint,
    })
}
