//! A plan, and what came of it, for people and for programs.

use serde_json::{Value, json};

use super::target::full;
use crate::action::{Confirm, End, Fate, Intent, Judged, Options, Plan, Step, StepState, Verb, Verdict};
use crate::domain::ObjectId;

/// The version of the JSON.
pub const VERSION: u32 = 1;

/// `deploy shop/web`.
fn called(id: &ObjectId) -> String {
    let ns = if id.namespace.is_empty() { String::new() } else { format!("{}/", id.namespace) };
    format!("{} {ns}{}", id.kind.short(), id.name)
}

/// Rows in columns as wide as they need, two spaces between; the last one is not padded.
pub fn aligned(rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        for (i, cell) in row.iter().enumerate() {
            let width = unicode_width::UnicodeWidthStr::width(cell.as_str());
            match widths.get_mut(i) {
                Some(w) => *w = (*w).max(width),
                None => widths.push(width),
            }
        }
    }
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let pad = width.saturating_sub(unicode_width::UnicodeWidthStr::width(cell.as_str()));
            line += cell;
            line += &" ".repeat(pad + 2);
        }
        out += line.trim_end();
        out.push('\n');
    }
    out
}

/// The plan as people read it.
#[must_use]
pub fn table(judged: &Judged) -> String {
    let Judged { plan, verdict } = judged;
    let intent = &plan.intent;
    let cluster = intent.targets.first().map_or("", |t| t.cluster.as_str());
    let production = if verdict.production { " (production)" } else { "" };
    let mut out = format!("{} {} in {cluster}{production}\n\n", intent.verb, intent.what());
    let mut rows = vec![["TARGET", "WHAT", "NOW", "", "NEW", "NOTE"].map(str::to_owned).to_vec()];
    rows.extend(plan.changes.iter().map(|c| {
        let note = match c.fate {
            Fate::Acts => c.note.to_string(),
            Fate::Waits => format!("waits: {}", c.note).trim_end_matches(": ").to_owned(),
            Fate::Stays => format!("stays: {}", c.note).trim_end_matches(": ").to_owned(),
        };
        let arrow = if c.to.is_empty() { "" } else { "->" };
        vec![called(&c.target), c.field.to_string(), c.from.to_string(), arrow.to_owned(), c.to.to_string(), note]
    }));
    if plan.changes.is_empty() {
        out += "nothing would be changed\n";
    } else {
        out += &aligned(&rows);
    }
    let mut part = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            out += &format!("\n{title}\n");
            for line in lines {
                out += &format!("  {line}\n");
            }
        }
    };
    let silence = matches!(intent.verb, Verb::Silence | Verb::Unsilence);
    part(if silence { "matchers" } else { "changed lines" }, plan.diff.iter().map(ToString::to_string).collect());
    part("know", plan.warnings.iter().chain(&plan.facts).map(ToString::to_string).collect());
    let need = |p: &crate::action::Permission| {
        let word = match p.allowed {
            Some(true) => "allowed",
            Some(false) => "DENIED",
            None => "not known",
        };
        format!("{word:<9}  {}", p.what)
    };
    part("needs", plan.needs.iter().map(need).collect());
    part("by hand", plan.equivalent.iter().map(|line| crate::domain::text::clean(line).into_owned()).collect());
    part("to undo", [plan.undo.to_string()].into_iter().filter(|u| !u.is_empty()).collect());
    part("refused", verdict.refused.iter().map(ToString::to_string).collect());
    out
}

/// The plan and the verdict, as docs/actions-cli.md describes them.
#[must_use]
pub fn object(judged: &Judged) -> Value {
    let Judged { plan, verdict } = judged;
    json!({
        "version": VERSION,
        "plan": plan,
        "verdict": of_verdict(verdict),
        "possible": is_possible(plan, verdict),
    })
}

fn of_verdict(verdict: &Verdict) -> Value {
    let (confirm, type_this) = match &verdict.confirm {
        Confirm::Choose => ("choose", Value::Null),
        Confirm::Type(word) => ("type", json!(word)),
    };
    json!({
        "refused": verdict.refused,
        "confirm": confirm,
        "type": type_this,
        "needs_reason": verdict.needs_reason,
        "production": verdict.production,
    })
}

/// True if it may be done, and does something.
#[must_use]
pub fn is_possible(plan: &Plan, verdict: &Verdict) -> bool {
    verdict.refused.is_empty() && plan.is_possible()
}

/// `03:14:07  done     task shop/web-1  evicted`.
#[must_use]
pub fn step(step: &Step) -> String {
    let state = match step.state {
        StepState::Waiting => "waiting",
        StepState::Doing => "doing",
        StepState::Done => "done",
        StepState::Failed => "FAILED",
        StepState::Skipped => "skipped",
    };
    let target = step.target.as_ref().map_or_else(String::new, |t| format!("{}  ", called(t)));
    format!("{}  {state:<7}  {target}{}", step.at.format("%H:%M:%S"), step.text)
}

/// How it ended.
#[must_use]
pub fn end(end: &End) -> String {
    let mut out = format!("{}: {}\n", outcome(end), end.text);
    if let Some(undo) = &end.undo {
        out += &format!("to undo: {}\n", command(undo));
    }
    out
}

fn outcome(end: &End) -> String {
    serde_json::to_value(end.outcome).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// An intent as a command line of this program.
#[must_use]
pub fn command(intent: &Intent) -> String {
    let mut words = vec!["quarterdeck".to_owned(), intent.verb.name().to_owned()];
    words.extend(intent.targets.iter().map(|t| quoted(&full(t))));
    let Options { replicas, image, container, revision, .. } = &intent.options;
    let duration = (intent.verb == Verb::Silence).then(|| format!("{}s", intent.options.duration));
    let numbers = [("--replicas", replicas.map(|n| n.to_string())), ("--for", duration)];
    let texts = [("--image", image.clone()), ("--container", container.clone()), ("--to", revision.clone())];
    for (flag, value) in numbers.into_iter().chain(texts) {
        words.extend(value.into_iter().flat_map(|v| [flag.to_owned(), quoted(&v)]));
    }
    words.join(" ")
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
