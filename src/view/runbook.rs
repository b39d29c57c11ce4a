//! A runbook as a page: its text, the step that is chosen, and what steps have led to.

use super::columns::Context;
use crate::action::Outcome;
use crate::app::actions::{Run, RunState};
use crate::app::runbooks::{Opened, Runbooks};
use crate::domain::{Health, Line, Tone};
use crate::runbook::render::{Item, Look, What, render};

/// Columns before the text, for the cursor.
const GUTTER: usize = 2;
/// How many lines of what a step printed stand below it.
const LAST: usize = 8;

/// The lines of a page so many columns wide. Remembers in `opened` where its items are.
#[must_use]
pub fn page(opened: &mut Opened, books: &Runbooks, runs: &[Run], c: Context<'_>, width: usize) -> Vec<Line> {
    let incident = opened.subject.incident();
    let ticked = books.progress.of(&incident, &opened.book.name).to_vec();
    let look = Look { width: width.saturating_sub(GUTTER), ascii: c.ascii };
    let fresh =
        |(w, ascii, ticks, _): &(usize, bool, Vec<String>, _)| *w == width && *ascii == c.ascii && *ticks == ticked;
    if !opened.rendered.as_ref().is_some_and(fresh) {
        let rendered = render(&opened.book, look, &|text| ticked.iter().any(|t| t == text));
        opened.rendered = Some((width, c.ascii, ticked, rendered));
    }
    let Some((.., rendered)) = &opened.rendered else { return Vec::new() };
    let mut items: Vec<Item> = rendered.items.clone();
    items.sort_by_key(|i| (i.from, i.to));
    let cursor = opened.cursor.min(items.len().saturating_sub(1));
    let head = head(opened, &incident);
    let mut out: Vec<Line> = head;
    let mut placed: Vec<Item> = Vec::with_capacity(items.len());
    let mut next = items.iter().enumerate().peekable();
    let mut after: Vec<(usize, Vec<Line>)> = Vec::new();
    for (n, line) in rendered.lines.iter().enumerate() {
        let mut mark = false;
        while let Some((at, item)) = next.next_if(|(_, i)| i.from <= n) {
            mark |= at == cursor;
            placed.push(Item {
                what: item.what.clone(),
                from: out.len(),
                to: out.len() + (item.to - item.from).max(1),
            });
            if let What::Step(number) = item.what
                && let Some(run) = opened.runs.get(&number).and_then(|t| runs.iter().find(|r| r.ticket == *t))
            {
                after.push((item.to, result(run, c)));
            }
        }
        let sign = match (mark, c.ascii) {
            (true, false) => "▶ ",
            (true, true) => "> ",
            (false, _) => "  ",
        };
        let mut whole = Line::new().with(sign, if mark { Tone::Key } else { Tone::Plain });
        whole.spans.extend(line.spans.iter().cloned());
        out.push(whole);
        for (_, lines) in after.extract_if(.., |(to, _)| *to == n + 1) {
            out.extend(lines);
        }
    }
    opened.items = placed;
    opened.cursor = cursor;
    out
}

/// What it is for, and what limits it.
fn head(opened: &Opened, incident: &str) -> Vec<Line> {
    let mut out = Vec::new();
    let about = match opened.subject.id() {
        Some(_) => format!("  for {incident}"),
        None => "  for nothing in particular: steps want something selected".to_owned(),
    };
    let done = opened.items.iter().filter(|i| matches!(i.what, What::Check(_))).count();
    let ticked = opened.rendered.as_ref().map_or(0, |(_, _, ticks, _)| ticks.len().min(done));
    let mut line = Line::new().with(about, Tone::Dim);
    if done > 0 {
        line.push(format!("  {ticked} of {done} ticked"), Tone::Strong);
    }
    out.push(line);
    if !opened.book.may_run() {
        let text = format!("  from {}: its commands are shown, and never run", opened.book.origin);
        out.push(Line::new().with(text, Tone::Warning));
    }
    out.push(Line::new());
    out
}

/// How a step's last run went, and the end of what it printed.
fn result(run: &Run, c: Context<'_>) -> Vec<Line> {
    let (word, health, text) = match &run.state {
        RunState::Ended(end) => {
            let (word, health) = match end.outcome {
                Outcome::Done => ("done", Health::Ok),
                Outcome::Failed => ("failed", Health::Critical),
                Outcome::Cancelled => ("cancelled", Health::Warning),
                Outcome::Unknown => ("not known", Health::Unknown),
            };
            (word, health, end.text.to_string())
        }
        _ => ("running", Health::Progressing, "o shows it, and x there ends it".to_owned()),
    };
    let bar = if c.ascii { "        | " } else { "        │ " };
    let mut out =
        vec![Line::new().with(bar, Tone::Dim).with(format!("{word}: "), Tone::Health(health)).with(text, Tone::Strong)];
    let more = run.output.len().saturating_sub(LAST) + run.dropped;
    if more > 0 {
        let text = format!("{more} earlier line{}; o shows them", if more == 1 { "" } else { "s" });
        out.push(Line::new().with(bar, Tone::Dim).with(text, Tone::Dim));
    }
    for line in run.output.iter().skip(run.output.len().saturating_sub(LAST)) {
        out.push(Line::new().with(bar, Tone::Dim).with(line.as_str(), Tone::Plain));
    }
    out
}
