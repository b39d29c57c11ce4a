//! Error budgets as data and as a page for a review.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::budget::burn_text;
use crate::domain::slo::{Exhaustion, Fraction, Indicator, Lookback, RowState};
use crate::domain::{Budget, Text, Timestamp};
use crate::store::Store;

/// The version of `slo report --format json`: grows when a field changes its meaning,
/// goes, or comes.
pub const VERSION: u32 = 1;

/// All budgets at one moment.
#[derive(Debug, Serialize)]
pub struct Report {
    /// [`VERSION`].
    pub version: u32,
    /// When it was true, RFC 3339, UTC.
    pub at: String,
    /// The first to be gone first.
    pub budgets: Vec<BudgetStatus>,
    /// Objectives that were asked for by file and that nothing has read.
    pub missing: Vec<String>,
}

/// One budget.
#[derive(Debug, Serialize)]
pub struct BudgetStatus {
    /// The metric backend or cluster that was asked.
    pub source: String,
    /// `openslo`, `pyrra` or `sloth`.
    pub origin: String,
    /// The SLO.
    pub slo: String,
    /// Its objective's own name, or null.
    pub objective: Option<String>,
    /// The service.
    pub service: String,
    /// Per cent.
    pub target_percent: f64,
    /// `30d rolling`.
    pub window: String,
    /// `page`, `ticket`, `fine`, ... as in the table of states; `not read` before.
    pub state: &'static str,
    /// `page`, `ticket` or null.
    pub firing: Option<&'static str>,
    /// Since when it fires, if that was seen; or null.
    pub since: Option<String>,
    /// Per cent of good events; null without traffic or data.
    pub indicator_percent: Option<f64>,
    /// Bad events; null where nothing is counted.
    pub bad: Option<f64>,
    /// All events; null where nothing is counted.
    pub total: Option<f64>,
    /// Per cent of the budget that is left, below 0 when overspent; or null.
    pub left_percent: Option<f64>,
    /// The same in `remaining_unit`; or null.
    pub remaining: Option<f64>,
    /// `events` or `minutes`; or null.
    pub remaining_unit: Option<&'static str>,
    /// Burn by window; null without traffic or data.
    pub burn: BTreeMap<String, Option<f64>>,
    /// `exhausted`, `in`, `lasts-the-period`, `not-at-this-rate` or `unknown`.
    pub exhaustion: &'static str,
    /// Seconds until it is gone, with `in` only; or null.
    pub exhausted_in_secs: Option<f64>,
    /// One failure alone is over a row.
    pub low_traffic: bool,
    /// When it was measured, RFC 3339, or null.
    pub at: Option<String>,
    /// What limits how far it can be trusted; may be empty.
    pub note: String,
    /// What to do, or null.
    pub runbook: Option<String>,
}

fn time(t: Timestamp) -> String {
    t.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// To six decimals: what is shown, without the noise of floats.
fn rounded(n: f64) -> f64 {
    (n * 1e6).round() / 1e6
}

/// Every budget, the first to be gone first; what is not known last.
#[must_use]
pub fn sorted(store: &Store) -> Vec<&Budget> {
    let mut all: Vec<&Budget> = store.budgets.rows().collect();
    all.sort_by(|a, b| {
        let urgency = |b: &Budget| b.urgency().unwrap_or(f64::INFINITY);
        urgency(a).total_cmp(&urgency(b)).then_with(|| a.id.cmp(&b.id))
    });
    all
}

/// Every budget as data.
#[must_use]
pub fn budgets(store: &Store, now: Timestamp) -> Vec<BudgetStatus> {
    sorted(store).into_iter().map(|b| budget(store, b, now)).collect()
}

/// One budget as data.
#[must_use]
pub fn budget(store: &Store, b: &Budget, now: Timestamp) -> BudgetStatus {
    let (o, a) = (&b.objective, b.assessment.as_ref());
    let counts = a.and_then(|a| a.counts);
    let remaining = b.remaining(now);
    let (exhaustion, secs) = match a.map_or(Exhaustion::Unknown, |a| a.exhaustion) {
        Exhaustion::Exhausted => ("exhausted", None),
        Exhaustion::In(secs) => ("in", Some(secs.round())),
        Exhaustion::NotThisPeriod => ("lasts-the-period", None),
        Exhaustion::NotAtThisRate => ("not-at-this-rate", None),
        Exhaustion::Unknown => ("unknown", None),
    };
    let burn = a.map_or(&[][..], |a| &a.burns);
    BudgetStatus {
        source: b.id.cluster.to_string(),
        origin: b.origin.to_string(),
        slo: o.slo.to_string(),
        objective: o.objective.as_ref().map(ToString::to_string),
        service: o.service.to_string(),
        target_percent: rounded(f64::from(o.target.ppb()) / 1e7),
        window: o.period.to_string(),
        state: b.word(),
        firing: a.and_then(|a| a.firing).map(crate::domain::slo::Severity::word),
        since: store.calling_since(&b.id).map(time),
        indicator_percent: match a.map(|a| a.indicator) {
            Some(Indicator::Ratio(r)) => Some(rounded(r.value() * 100.0)),
            _ => None,
        },
        bad: counts.map(|c| rounded(c.bad())),
        total: counts.map(|c| rounded(c.total())),
        left_percent: b.left().map(|l| rounded(l.value() * 100.0)),
        remaining: remaining.map(|(n, _)| rounded(n)),
        remaining_unit: remaining.map(|(_, unit)| if unit == "min" { "minutes" } else { unit }),
        burn: burn.iter().map(|(w, f)| (w.to_string(), f.map(|f| rounded(f.value())))).collect(),
        exhaustion,
        exhausted_in_secs: secs,
        low_traffic: a.is_some_and(|a| a.low_traffic),
        at: b.at.map(time),
        note: b.note.to_string(),
        runbook: o.runbook.as_ref().map(Text::to_string),
    }
}

impl Report {
    /// Of the budgets that `wanted` names by key, or of all of them without any.
    #[must_use]
    pub fn new(store: &Store, wanted: &[String], now: Timestamp) -> Self {
        let is_wanted = |b: &&Budget| wanted.is_empty() || wanted.contains(&b.objective.key());
        let found: Vec<&Budget> = sorted(store).into_iter().filter(is_wanted).collect();
        let missing = wanted.iter().filter(|w| !found.iter().any(|b| b.objective.key() == **w)).cloned().collect();
        Self {
            version: VERSION,
            at: time(now),
            budgets: found.into_iter().map(|b| budget(store, b, now)).collect(),
            missing,
        }
    }
}

const HEADS: [&str; 10] =
    ["verdict", "SLO", "service", "target", "indicator", "left", "remains", "burn 1h", "burn 6h", "gone in"];

/// Columns whose figures keep to the right edge.
const RIGHT: [bool; 10] = [false, false, false, true, true, true, true, true, true, true];

fn row(b: &Budget, now: Timestamp) -> [String; 10] {
    let burn = |hours| b.burn(Lookback::hours(hours)).map_or_else(|| "-".to_owned(), burn_text);
    [
        b.word().to_owned(),
        b.objective.key(),
        b.objective.service.to_string(),
        b.objective.target.to_string(),
        b.indicator_text(),
        b.left_text(),
        b.remaining_text(now).unwrap_or_else(|| "-".to_owned()),
        burn(1),
        burn(6),
        b.gone_text(),
    ]
}

fn chosen<'a>(store: &'a Store, report: &Report) -> Vec<&'a Budget> {
    let is_in =
        |b: &&Budget| report.budgets.iter().any(|r| r.source == b.id.cluster.as_str() && key(r) == b.objective.key());
    sorted(store).into_iter().filter(is_in).collect()
}

fn key(r: &BudgetStatus) -> String {
    r.objective.as_ref().map_or_else(|| r.slo.clone(), |own| format!("{}/{own}", r.slo))
}

/// A table in plain text.
#[must_use]
pub fn table(store: &Store, report: &Report, now: Timestamp) -> String {
    let rows: Vec<[String; 10]> = chosen(store, report).iter().map(|b| row(b, now)).collect();
    let heads = HEADS.map(str::to_uppercase);
    let width = |i: usize| rows.iter().chain([&heads]).map(|r| r[i].chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    if rows.is_empty() {
        out += "no error budgets were read\n";
    }
    for r in [&heads].into_iter().filter(|_| !rows.is_empty()).chain(&rows) {
        let cells = r.iter().enumerate().map(|(i, text)| {
            let width = width(i);
            if RIGHT[i] { format!("{text:>width$}") } else { format!("{text:<width$}") }
        });
        out += cells.collect::<Vec<_>>().join("  ").trim_end();
        out.push('\n');
    }
    for (b, r) in chosen(store, report).iter().zip(&report.budgets) {
        if !r.note.is_empty() {
            out += &format!("{}: {}\n", b.objective.key(), r.note);
        }
    }
    for m in &report.missing {
        out += &format!("{m}: not read; is its source configured?\n");
    }
    out
}

/// A page in Markdown: a table, then each budget's rows in words.
#[must_use]
pub fn markdown(store: &Store, report: &Report, now: Timestamp) -> String {
    let all = chosen(store, report);
    let mut out = format!("# Error budgets, {}\n\n", now.format("%Y-%m-%d %H:%M UTC"));
    if all.is_empty() {
        out += "No error budgets were read.\n";
    } else {
        out += &format!("| {} |\n", HEADS.join(" | "));
        let rule = RIGHT.map(|right| if right { "---:" } else { "---" });
        out += &format!("| {} |\n", rule.join(" | "));
    }
    for b in &all {
        out += &format!("| {} |\n", row(b, now).map(|cell| escaped(&cell)).join(" | "));
    }
    for b in &all {
        out += &format!("\n## {}\n\n", escaped(&b.objective.key()));
        if !b.objective.description.is_empty() {
            out += &format!("{}\n\n", escaped(&b.objective.description));
        }
        out += &format!("- {}, {}\n", b.objective.period, b.objective.method);
        for (r, state) in b.assessment.iter().flat_map(|a| &a.rows) {
            out += &format!("- {r}: {}\n", outcome(b, r, *state));
        }
        if !b.note.is_empty() {
            out += &format!("- {}\n", escaped(&b.note));
        }
        if let Some(link) = &b.objective.runbook {
            out += &format!("- runbook: <{}>\n", escaped(link));
        }
    }
    if !report.missing.is_empty() {
        let missing: Vec<String> = report.missing.iter().map(|m| escaped(m)).collect();
        out += &format!("\nNot read: {}\n", missing.join(", "));
    }
    out
}

fn outcome(b: &Budget, row: &crate::domain::slo::Row, state: RowState) -> String {
    let burn = |w: Lookback| b.burn(w).map_or_else(|| "-".to_owned(), |f: Fraction| burn_text(f));
    let burns = format!("{} and {}", burn(row.long), burn(row.short));
    match state {
        RowState::Over => format!("**fires** ({burns})"),
        RowState::FewEvents => format!("few events ({burns})"),
        RowState::Under => format!("does not fire ({burns})"),
        RowState::NoTraffic => "no traffic".to_owned(),
        RowState::NoData => "no data".to_owned(),
    }
}

/// Names come from files and servers: they are text here, not markup.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if matches!(c, '|' | '*' | '_' | '`' | '<' | '>' | '[' | ']' | '\\' | '#') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
