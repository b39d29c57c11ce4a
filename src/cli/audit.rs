//! `quarterdeck audit`: what was done, by whom and why.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use color_eyre::eyre::WrapErr as _;
use serde_json::Value;

use super::act::aligned;
use super::args::{AuditVerb, Cli, ExportFormat, Format};
use super::output::{fail, say};
use super::{CliError, session, spot};
use crate::action::audit::{Entry, EntryKind, Line, check, entries};
use crate::clock::Clock;
use crate::domain::Text;

/// How often `--follow` looks for more.
const LOOK: Duration = Duration::from_millis(500);
/// The columns of CSV.
const FIELDS: [&str; 19] = [
    "n",
    "at",
    "kind",
    "of",
    "user",
    "uid",
    "sudo",
    "host",
    "from",
    "terminal",
    "pid",
    "cluster",
    "verb",
    "targets",
    "why",
    "confirmed",
    "outcome",
    "text",
    "hash",
];

/// Runs one; `verify` exits with 1 where something was changed.
pub fn run(cli: &Cli, what: &AuditVerb) -> Result<ExitCode, CliError> {
    let place = session::place(cli)?;
    let config = session::load(cli, &place)?;
    let dir = config.state_dir(&place.paths);
    match what {
        AuditVerb::Tail { lines, follow, format } => {
            // Everywhere else `-n` is a namespace; of the audit there is none, and `tail -n` is in everybody's fingers.
            let lines = match cli.common.namespace.as_deref() {
                None => *lines,
                Some(n) => n.parse().wrap_err_with(|| format!("`-n {n}`: how many entries? Write a number"))?,
            };
            tail(dir, lines, *follow, *format)?;
        }
        AuditVerb::Export { format, since } => {
            let since = since.as_deref().map(spot::span).transpose()?.map(|span| Clock::system().now() - span);
            let all = read(dir)?;
            let wanted: Vec<&Line> = all.iter().filter(|l| since.is_none_or(|s| l.entry.at >= s)).collect();
            match format {
                ExportFormat::Jsonl => {
                    let lines: Result<String, _> = wanted.iter().map(|l| Ok(object(l)?.to_string() + "\n")).collect();
                    say(&lines.map_err(|e: serde_json::Error| e)?);
                }
                ExportFormat::Csv => say(&csv(&wanted)?),
            }
        }
        AuditVerb::Verify => return Ok(verify(dir)),
    }
    Ok(ExitCode::SUCCESS)
}

/// Every entry; what made no sense is told.
fn read(dir: &Path) -> Result<Vec<Line>, CliError> {
    let (lines, damaged) = entries(dir).wrap_err_with(|| format!("the audit in {} cannot be read", dir.display()))?;
    if damaged > 0 {
        fail(&format!("{damaged} lines made no sense, and are left out; see `quarterdeck audit verify`"));
    }
    if let Some(line) = lines.iter().find(|l| !l.fits) {
        fail(&format!("entry {} was changed; see `quarterdeck audit verify`", line.entry.n));
    }
    Ok(lines)
}

fn verify(dir: &Path) -> ExitCode {
    match check(dir) {
        Ok(checked) => {
            for note in &checked.notes {
                say(note);
            }
            match checked.numbers {
                None => say(&format!("there is no entry yet in {}", dir.display())),
                Some((first, last)) => {
                    if !checked.open.is_empty() {
                        let open: Vec<String> = checked.open.iter().map(ToString::to_string).collect();
                        say(&format!("how these ended is not written down (yet): {}", open.join(", ")));
                    }
                    say(&format!("entries {first} to {last} are as they were written\nlast hash {}", checked.hash));
                }
            }
            ExitCode::SUCCESS
        }
        Err(fault) => {
            fail(&fault.to_string());
            ExitCode::FAILURE
        }
    }
}

fn tail(dir: &Path, lines: usize, follow: bool, format: Format) -> Result<(), CliError> {
    let all = read(dir)?;
    let last = all.get(all.len().saturating_sub(lines)..).unwrap_or_default();
    if all.is_empty() && !follow {
        say("Nothing has been done yet.");
        return Ok(());
    }
    print(last, format, true)?;
    let mut seen = all.last().map_or(0, |l| l.entry.n);
    if !follow {
        return Ok(());
    }
    loop {
        std::thread::sleep(LOOK);
        // A line that is being written makes no sense yet.
        let (all, _) = entries(dir)?;
        let new: Vec<Line> = all.into_iter().filter(|l| l.entry.n > seen).collect();
        if let Some(line) = new.last() {
            seen = line.entry.n;
            print(&new, format, false)?;
        }
    }
}

fn print(lines: &[Line], format: Format, heading: bool) -> Result<(), CliError> {
    match format {
        Format::Json => {
            for line in lines {
                say(&object(line)?.to_string());
            }
        }
        Format::Table => {
            let mut rows = Vec::new();
            if heading {
                rows.push(["N", "AT", "USER", "FROM", "WHAT"].map(str::to_owned).to_vec());
            }
            rows.extend(lines.iter().map(row));
            if !rows.is_empty() {
                say(&aligned(&rows));
            }
        }
    }
    Ok(())
}

fn row(line: &Line) -> Vec<String> {
    let e = &line.entry;
    let dash = |s: &str| if s.is_empty() { "-".to_owned() } else { s.to_owned() };
    vec![
        e.n.to_string(),
        e.at.format("%Y-%m-%d %H:%M:%SZ").to_string(),
        dash(&e.who.user),
        dash(&e.who.from),
        sentence(e),
    ]
}

/// What an entry tells, in one line.
fn sentence(e: &Entry) -> String {
    let of = e.of.map_or_else(String::new, |n| format!(" of {n}"));
    match (&e.what, e.kind) {
        (Some(what), EntryKind::Intent) => {
            let targets: Vec<&str> = what.targets.iter().take(3).map(Text::as_str).collect();
            let more = what.targets.len().saturating_sub(3);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let why = if e.why.is_empty() { String::new() } else { format!(": {}", e.why) };
            format!("{} {}{more} in {}{why}", what.verb, targets.join(", "), what.cluster)
        }
        (_, EntryKind::Recovered) if e.of.is_none() => e.text.to_string(),
        _ => format!("{}{of}: {}", e.outcome, e.text),
    }
}

/// An entry as its line has it, its hash at the end.
fn object(line: &Line) -> serde_json::Result<Value> {
    let mut value = serde_json::to_value(&line.entry)?;
    if let Some(fields) = value.as_object_mut() {
        fields.insert("hash".to_owned(), line.hash.clone().into());
    }
    Ok(value)
}

fn csv(lines: &[&Line]) -> Result<String, CliError> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(FIELDS)?;
    for line in lines {
        let e = &line.entry;
        let what = e.what.as_ref();
        let targets = what.map(|w| w.targets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
        let said = e.confirmed.as_ref().map(|s| format!("{} {}", s.how, s.typed).trim().to_owned());
        out.write_record([
            e.n.to_string(),
            e.at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            e.kind.word().to_owned(),
            e.of.map_or_else(String::new, |n| n.to_string()),
            e.who.user.to_string(),
            e.who.uid.to_string(),
            e.who.sudo.to_string(),
            e.who.host.to_string(),
            e.who.from.to_string(),
            e.who.terminal.to_string(),
            e.process.pid.to_string(),
            what.map_or_else(String::new, |w| w.cluster.to_string()),
            what.map_or_else(String::new, |w| w.verb.to_string()),
            targets.unwrap_or_default(),
            e.why.to_string(),
            said.unwrap_or_default(),
            e.outcome.to_string(),
            e.text.to_string(),
            line.hash.clone(),
        ])?;
    }
    Ok(String::from_utf8(out.into_inner()?)?)
}
