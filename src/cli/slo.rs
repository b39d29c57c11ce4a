//! `quarterdeck slo`: what the files of objectives say.

use std::process::ExitCode;

use serde_json::json;

use super::CliError;
use super::args::{SloFormat, SloVerb};
use super::output::{fail, say};
use crate::config::diagnostic::Severity;
use crate::slo::{Outcome, describe, load};

/// `slo check`: exits with 0 when the files are fine, 2 when there is a mistake.
pub fn run(what: &SloVerb) -> Result<ExitCode, CliError> {
    let SloVerb::Check { files, format } = what;
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
