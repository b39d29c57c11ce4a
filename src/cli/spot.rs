//! `quarterdeck spot`: what became of notices.

use std::process::ExitCode;

use chrono::{SecondsFormat, TimeDelta};
use color_eyre::eyre::{WrapErr as _, eyre};
use serde_json::{Value, json};

use super::args::{Cli, HistoryFormat};
use super::output::{fail, say};
use super::{CliError, session};
use crate::clock::Clock;
use crate::domain::notice::{Outcome, Record};
use crate::domain::{Timestamp, age};
use crate::run::journal::Journal;

/// The columns of CSV, and the fields of JSON.
const FIELDS: [&str; 18] = [
    "issued",
    "kind",
    "victim",
    "cluster",
    "name",
    "instance_type",
    "zone",
    "region",
    "spot",
    "fate",
    "deadline",
    "gone",
    "tasks",
    "outcome",
    "tasks_cut",
    "seconds_left",
    "told_by",
    "told_after_ms",
];

/// `spot history`: exits with 0, or with 2 when what is kept cannot be read.
pub fn history(cli: &Cli, format: HistoryFormat, since: Option<&str>) -> Result<ExitCode, CliError> {
    let place = session::place(cli)?;
    let config = session::load(cli, &place)?;
    let journal = Journal::new(config.state_dir(&place.paths));
    let now = Clock::system().now();
    let since = since.map(span).transpose()?.map(|span| now - span);
    let history = journal.read().wrap_err_with(|| format!("{} cannot be read", journal.path().display()))?;
    let records: Vec<&Record> = history.records.iter().filter(|r| since.is_none_or(|s| r.issued >= s)).collect();
    match format {
        HistoryFormat::Table => say(&table(&records, now)),
        HistoryFormat::Json => {
            let notices: Vec<Value> = records.iter().map(|r| object(r)).collect();
            say(&format!("{}\n", serde_json::to_string_pretty(&json!({"version": 1, "notices": notices}))?));
        }
        HistoryFormat::Csv => say(&csv(&records)?),
    }
    if history.damaged > 0 {
        fail(&format!("{} lines of {} made no sense, and are left out", history.damaged, journal.path().display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// `90m`, `12h`, `7d`.
pub fn span(text: &str) -> Result<TimeDelta, CliError> {
    let wrong = || eyre!("`{text}` is no length of time: write a number and m, h or d, such as 7d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let number: i64 = text.strip_suffix(unit).and_then(|n| n.parse().ok()).ok_or_else(wrong)?;
    let span = match unit {
        'm' => TimeDelta::try_minutes(number),
        'h' => TimeDelta::try_hours(number),
        'd' => TimeDelta::try_days(number),
        _ => None,
    };
    // What is longer than a life has no beginning in any calendar.
    span.filter(|s| (0..=36_500).contains(&s.num_days())).ok_or_else(wrong)
}

fn stamp(t: Timestamp) -> String {
    t.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// One notice, by [`FIELDS`]; what is not known is null.
fn object(r: &Record) -> Value {
    let or_null = |s: &str| if s.is_empty() { Value::Null } else { json!(s) };
    let (cut, left) = match r.outcome {
        Outcome::Cut { tasks } => (json!(tasks), Value::Null),
        Outcome::Evacuated { left } => (json!(0), json!(left)),
        Outcome::NotReplaced => (json!(0), Value::Null),
        Outcome::CalledOff | Outcome::TookPlace | Outcome::Stayed | Outcome::Unseen | Outcome::Unread => {
            (Value::Null, Value::Null)
        }
    };
    let values = [
        json!(stamp(r.issued)),
        json!(r.kind.word()),
        json!(r.victim.name()),
        or_null(&r.cluster),
        or_null(&r.name),
        or_null(&r.instance_type),
        or_null(&r.zone),
        or_null(&r.region),
        json!(r.spot),
        or_null(r.fate.word()),
        json!(r.deadline.map(stamp)),
        json!(r.gone.map(stamp)),
        json!(r.tasks),
        json!(outcome(r.outcome)),
        cut,
        left,
        json!(r.told_by),
        json!(r.late_ms),
    ];
    Value::Object(FIELDS.iter().map(|f| (*f).to_owned()).zip(values).collect())
}

fn outcome(o: Outcome) -> &'static str {
    match o {
        Outcome::Evacuated { .. } => "evacuated",
        Outcome::NotReplaced => "not-replaced",
        Outcome::Cut { .. } => "cut",
        Outcome::CalledOff => "called-off",
        Outcome::TookPlace => "took-place",
        Outcome::Stayed => "stayed",
        Outcome::Unseen => "unseen",
        Outcome::Unread => "unread",
    }
}

fn csv(records: &[&Record]) -> Result<String, CliError> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(FIELDS)?;
    for r in records {
        let row = object(r);
        out.write_record(FIELDS.iter().map(|f| match row.get(f) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(s)) => s.clone(),
            Some(other) => other.to_string(),
        }))?;
    }
    Ok(String::from_utf8(out.into_inner()?)?)
}

fn table(records: &[&Record], now: Timestamp) -> String {
    if records.is_empty() {
        return "No notice has been kept. Consoles keep them as they end; see docs/spot-feeds.md for the feeds.\n"
            .to_owned();
    }
    let dash = |s: &str| if s.is_empty() { "-".to_owned() } else { s.to_owned() };
    let mut rows = vec![["AGO", "KIND", "VICTIM", "TYPE", "ZONE", "TASKS", "CLUSTER", "OUTCOME"].map(str::to_owned)];
    // The newest first: that is what is asked for.
    rows.extend(records.iter().rev().map(|r| {
        [
            age::age(Some(r.issued), now),
            r.kind.word().to_owned(),
            if r.name.is_empty() { r.victim.name().to_owned() } else { r.name.to_string() },
            dash(&r.instance_type),
            dash(&r.zone),
            r.tasks.to_string(),
            dash(&r.cluster),
            r.outcome.words(),
        ]
    }));
    let mut widths = [0; 8];
    for row in &rows {
        for (w, cell) in widths.iter_mut().zip(row) {
            *w = (*w).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for row in &rows {
        let mut line = String::new();
        for (i, (cell, w)) in row.iter().zip(widths).enumerate() {
            // Ages and counts stand at the right, as numbers do.
            let cell = if matches!(i, 0 | 5) { format!("{cell:>w$}") } else { format!("{cell:<w$}") };
            line.push_str(&cell);
            line.push_str("  ");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
