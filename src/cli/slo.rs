//! `quarterdeck slo`: what the files of objectives say.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::args::{Cli, ReportFormat, SloFormat};
use super::output::{fail, say};
use super::{CliError, session};
use crate::clock::Clock;
use crate::config::diagnostic::Severity;
use crate::domain::Freshness;
use crate::domain::slo::State;
use crate::run::gather::settle;
use crate::slo::{Outcome, describe, load};
use crate::store::Feed;
use crate::view::report::{Report, markdown, table};

/// `slo check`: exits with 0 when the files are fine, 2 when there is a mistake.
pub fn check(files: &[PathBuf], format: SloFormat) -> Result<ExitCode, CliError> {
    let outcome = load(files);
    match format {
        SloFormat::Json => say(&serde_json::to_string_pretty(&json(&outcome))?),
        SloFormat::Text => {
            let text = text(&outcome);
            if !text.is_empty() {
                say(&text);
            }
            let found: Vec<String> = outcome.found.iter().map(|d| format!("{d}\n\n")).collect();
            if !found.is_empty() {
                fail(&format!("{}\n{}", summary(&outcome), found.concat()));
            }
        }
    }
    Ok(if outcome.has_errors() { ExitCode::from(2) } else { ExitCode::SUCCESS })
}

/// How long sources may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// `slo report`: exits with 0 when all was read, 1 when a budget pages, 2 when one or
/// its source could not be read.
pub async fn report(cli: &Cli, files: &[PathBuf], format: ReportFormat) -> Result<ExitCode, CliError> {
    let mut wanted = Vec::new();
    if !files.is_empty() {
        let outcome = load(files);
        if outcome.has_errors() {
            let found: Vec<String> = outcome.found.iter().map(|d| format!("{d}\n\n")).collect();
            fail(&format!("{}\n{}", summary(&outcome), found.concat()));
            return Ok(ExitCode::from(2));
        }
        wanted = outcome.definitions.iter().map(|d| d.objective.key()).collect();
    }
    let place = session::place(cli)?;
    let config = session::load(cli, &place)?;
    let clock = Clock::system();
    let mut reading = session::read(cli, &config, &clock).await?;
    settle(&mut reading.store, &mut reading.observations, PATIENCE).await;
    let (store, now) = (&reading.store, clock.now());
    let report = Report::new(store, &wanted, now);
    say(&match format {
        ReportFormat::Table => table(store, &report, now),
        ReportFormat::Markdown => markdown(store, &report, now),
        ReportFormat::Json => serde_json::to_string_pretty(&report)?,
    });
    let failed = store.sources().filter(|(id, s)| {
        id.feed == Feed::Budgets && matches!(s.freshness, Freshness::Down { .. } | Freshness::Loading { .. })
    });
    // One that nobody could be asked about is as little known as one that is missing.
    let mut blind = !report.missing.is_empty() || report.budgets.iter().any(|b| b.state == "not read");
    for (id, s) in failed {
        let why = s.freshness.reason().map_or_else(String::new, |r| format!(": {r}"));
        fail(&format!("{}: error budgets {}{why}\n", id.cluster, s.freshness.word()));
        blind = true;
    }
    let pages = |word: &str| word == State::Page.word() || word == State::ExhaustedAndBurning.word();
    let code = match report.budgets.iter().any(|b| pages(b.state)) {
        _ if blind => 2,
        true => 1,
        false => 0,
    };
    reading.stop().await;
    Ok(ExitCode::from(code))
}

/// What was understood.
fn text(outcome: &Outcome) -> String {
    let mut parts: Vec<String> = outcome.definitions.iter().map(describe::describe).collect();
    for (name, rows) in &outcome.policies {
        let mut part = format!("alert policy {}\n", name.as_str());
        for row in rows {
            part += &format!("  {row}\n");
        }
        parts.push(part);
    }
    parts.join("\n")
}

/// `1 mistake, 2 warnings`.
fn summary(outcome: &Outcome) -> String {
    let count = |s: Severity| outcome.found.iter().filter(|d| d.severity == s).count();
    let say = |n: usize, one: &str| match n {
        0 => None,
        1 => Some(format!("1 {one}")),
        n => Some(format!("{n} {one}s")),
    };
    let both = [say(count(Severity::Error), "mistake"), say(count(Severity::Warning), "warning")];
    both.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn json(outcome: &Outcome) -> serde_json::Value {
    let policies: Vec<serde_json::Value> = outcome
        .policies
        .iter()
        .map(|(name, rows)| {
            let rows: Vec<_> = rows.iter().map(|r| describe::row_json(r, None)).collect();
            json!({"name": name.as_str(), "rows": rows})
        })
        .collect();
    json!({
        "version": describe::VERSION,
        "ok": !outcome.has_errors(),
        "slos": outcome.definitions.iter().map(describe::json).collect::<Vec<_>>(),
        "policies": policies,
        "diagnostics": outcome.found.iter().map(describe::diagnostic_json).collect::<Vec<_>>(),
    })
}
