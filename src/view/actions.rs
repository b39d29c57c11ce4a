//! The plan on screen, an action under way, and the list of them.

use unicode_width::UnicodeWidthStr;

use super::columns::{self, Context};
use super::words::cut;
use crate::action::{Change, Confirm, Fate, Judged, Outcome, Plan, Step, StepState, Verb};
use crate::app::App;
use crate::app::actions::dialog::{Dialog, Focus, Making};
use crate::app::actions::fields::FieldValue;
use crate::app::actions::{Run, RunState};
use crate::domain::age::human_duration;
use crate::domain::{Health, Kind, Line, ObjectId, Tone};

/// A row that may have the focus, and where its text cursor is then.
#[derive(Debug)]
pub struct Row {
    /// What it says.
    pub line: Line,
    /// It has the focus.
    pub focused: bool,
    /// The column of the text cursor, where something is typed.
    pub cursor: Option<usize>,
    /// The same in as few columns as it takes, with its own cursor; empty where there is no such thing.
    pub brief: (Line, Option<usize>),
    /// What is left out of that.
    pub hint: String,
}

/// A button.
#[derive(Debug)]
pub struct Button {
    /// What it says.
    pub label: String,
    /// It has the focus.
    pub focused: bool,
}

/// The dialog, ready to be drawn.
#[derive(Debug)]
pub struct DialogModel {
    /// Above: what, where.
    pub title: Line,
    /// What can be said of it.
    pub fields: Vec<Row>,
    /// What would happen; scrolls.
    pub body: Vec<Line>,
    /// What has to be said to it.
    pub foot: Vec<Row>,
    /// What is missing or wrong.
    pub error: Option<String>,
    /// Cancel, and the other where there is one.
    pub buttons: Vec<Button>,
}

/// The dialog as it is drawn `width` columns wide.
#[must_use]
pub fn dialog(d: &Dialog, c: Context<'_>, width: usize) -> DialogModel {
    let judged = if let Making::Made(judged) = &d.making { Some(judged.as_ref()) } else { None };
    let production = judged.is_some_and(|j| j.verdict.production);
    let mut foot = Vec::new();
    let mut buttons = vec![Button { label: "Cancel".to_owned(), focused: d.focus == Focus::Cancel }];
    if let Some(j) = judged.filter(|_| d.stops().contains(&Focus::Go)) {
        if let Confirm::Type(name) = &j.verdict.confirm {
            foot.push(typed(
                &format!("to confirm, type {name}: "),
                "",
                d.typed.value(),
                d.typed.visual_cursor(),
                d.focus == Focus::Typed,
            ));
        }
        let label = if j.verdict.needs_reason { "reason (needed) " } else { "reason " };
        foot.push(typed(
            label,
            "kept in the audit",
            d.reason.value(),
            d.reason.visual_cursor(),
            d.focus == Focus::Reason,
        ));
        let verb = d.intent.verb.name();
        let label = format!("{}{}", verb[..1].to_uppercase(), &verb[1..]);
        buttons.push(Button { label, focused: d.focus == Focus::Go });
    }
    DialogModel {
        title: title(c, d.intent.verb.name(), &d.intent.targets, &d.intent.what(), production),
        fields: fields(d, c.ascii),
        body: body(d, c, width),
        foot,
        error: d.error.as_ref().map(ToString::to_string),
        buttons,
    }
}

fn title(c: Context<'_>, verb: &str, targets: &[ObjectId], what: &str, production: bool) -> Line {
    let mut line = Line::new().with(format!(" {verb} {what} "), Tone::Title);
    if let Some(first) = targets.first() {
        // What was judged counts, and what is known of the cluster since.
        let production = production || c.store.is_production(&first.cluster);
        let own = match c.store.accent(&first.cluster) {
            Some(accent) => Tone::Accent(accent, production),
            None if production => Tone::Production,
            None => Tone::Cluster,
        };
        line.push(format!("in {} ", first.cluster), own);
        if production {
            super::header::production(&mut line, c, &first.cluster);
        }
    }
    line
}

fn typed(label: &str, hint: &str, value: &str, cursor: usize, focused: bool) -> Row {
    let at = label.width() + cursor;
    let mut line = Line::new().with(label, Tone::Key).with(value, Tone::Strong);
    if value.is_empty() && !hint.is_empty() {
        line.push(format!("  {hint}"), Tone::Dim);
    }
    Row { line, focused, cursor: focused.then_some(at), brief: (Line::new(), None), hint: String::new() }
}

fn fields(d: &Dialog, ascii: bool) -> Vec<Row> {
    let label = d.fields.iter().map(|f| f.label.width()).max().unwrap_or(0) + 2;
    d.fields
        .iter()
        .enumerate()
        .map(|(i, f)| {
            let focused = d.focus == Focus::Field(i);
            let mut line = Line::new().with(format!("{:<label$}", f.label), Tone::Key);
            let mut brief = Line::new().with(format!("{} ", f.label), Tone::Key);
            let (mut cursor, mut at) = (None, None);
            match &f.value {
                FieldValue::Text(input) => {
                    let shown = if input.value().is_empty() && !focused { "-" } else { input.value() };
                    line.push(shown, Tone::Strong);
                    brief.push(shown, Tone::Strong);
                    cursor = focused.then(|| label + input.visual_cursor());
                    at = focused.then(|| f.label.width() + 1 + input.visual_cursor());
                }
                FieldValue::Toggle(on) => {
                    let mark = match (on, ascii) {
                        (true, false) => "[✔] yes",
                        (true, true) => "[x] yes",
                        (false, _) => "[ ] no",
                    };
                    let tone = if *on { Tone::Warning } else { Tone::Plain };
                    line.push(mark, tone);
                    brief.push(mark, tone);
                }
            }
            if !f.hint.is_empty() {
                // As wide as `[ ] yes`, so that hints stand below each other.
                let value = line.spans.iter().map(|s| s.text.width()).sum::<usize>().saturating_sub(label);
                line.push(format!("{}   {}", " ".repeat(7_usize.saturating_sub(value)), f.hint), Tone::Dim);
            }
            Row { line, focused, cursor, brief: (brief, at), hint: f.hint.clone() }
        })
        .collect()
}

fn body(d: &Dialog, c: Context<'_>, width: usize) -> Vec<Line> {
    match &d.making {
        Making::Waiting => {
            vec![Line::new().with("enter shows what would happen; nothing is changed by that", Tone::Dim)]
        }
        Making::Asked => vec![Line::new().with("looking at what is there…", Tone::Dim)],
        Making::Failed(why) => vec![
            Line::new()
                .with(shape(Health::Critical, c.ascii), Tone::Health(Health::Critical))
                .with("it cannot be said what would happen", Tone::Strong),
            Line::new().with("  ", Tone::Plain).with(why.as_str(), Tone::Plain),
        ],
        Making::Made(judged) => plan(judged, c, width),
    }
}

fn shape(health: Health, ascii: bool) -> String {
    let mark = super::columns::overview_mark(health, ascii);
    format!("{} ", mark.split(' ').next().unwrap_or_default())
}

/// What would happen, in the order in which it matters: why not, what it costs, each target, how it is undone.
#[must_use]
pub fn plan(judged: &Judged, c: Context<'_>, width: usize) -> Vec<Line> {
    let Judged { plan, verdict } = judged;
    let mut out = Vec::new();
    for why in &verdict.refused {
        let tone = Tone::Health(Health::Critical);
        out.push(
            Line::new()
                .with(shape(Health::Critical, c.ascii), tone)
                .with("not possible: ", tone)
                .with(why.as_str(), Tone::Strong),
        );
    }
    if verdict.refused.is_empty() && plan.acts() == 0 {
        out.push(Line::new().with("there is nothing to do: it is so already", Tone::Strong));
    }
    for warning in &plan.warnings {
        out.push(
            Line::new()
                .with(shape(Health::Warning, c.ascii), Tone::Health(Health::Warning))
                .with(warning.as_str(), Tone::Plain),
        );
    }
    for fact in &plan.facts {
        let mark = format!("{} ", super::notices::shape(Health::Ok, c.ascii));
        out.push(Line::new().with(mark, Tone::Health(Health::Ok)).with(fact.as_str(), Tone::Plain));
    }
    if !out.is_empty() && !plan.changes.is_empty() {
        out.push(Line::new());
    }
    out.extend(changes(plan, c.ascii, width));
    if !plan.diff.is_empty() {
        out.push(Line::new());
        let what = match plan.intent.verb {
            crate::action::Verb::Run => "exactly this is run",
            crate::action::Verb::Silence => "silenced is what has all of these",
            crate::action::Verb::Unsilence => "silenced was what has all of these",
            _ => "what changes in its definition",
        };
        out.push(Line::new().with(what, Tone::Title));
        out.extend(plan.diff.iter().map(|l| {
            let tone = match l.chars().next() {
                Some('+') => Tone::Health(Health::Ok),
                Some('-') => Tone::Health(Health::Critical),
                _ => Tone::Dim,
            };
            Line::new().with(l.as_str(), tone)
        }));
    }
    out.push(Line::new());
    let undo = if plan.undo.is_empty() { "nothing undoes it" } else { plan.undo.as_str() };
    out.push(Line::new().with("undo     ", Tone::Key).with(undo, Tone::Plain));
    for p in plan.needs.iter().filter(|p| p.allowed != Some(false)) {
        let said = if p.allowed == Some(true) { "allowed" } else { "shows when it is tried" };
        out.push(Line::new().with("needs    ", Tone::Key).with(format!("{}: {said}", p.what), Tone::Dim));
    }
    for line in &plan.equivalent {
        out.push(Line::new().with("by hand  ", Tone::Key).with(line.clone(), Tone::String));
    }
    out
}

/// What becomes of them all: of a drain, how many tasks go and how many stay.
fn tally(plan: &Plan) -> String {
    let tasks = plan.changes.iter().filter(|c| c.target.kind == Kind::Task);
    let drains = plan.intent.verb == Verb::Drain && tasks.clone().next().is_some();
    let all: Vec<&Change> = if drains { tasks.collect() } else { plan.changes.iter().collect() };
    let count = |fate| all.iter().filter(|c| c.fate == fate).count();
    let mut said = Vec::new();
    if drains {
        let (goes, stays) = (count(Fate::Acts), count(Fate::Stays));
        let ends = all.iter().filter(|c| c.fate == Fate::Waits && c.field.as_str() == "wait").count();
        let waits = count(Fate::Waits) - ends;
        let of = |n: usize, before: &str, one: &str, many: &str| {
            (n > 0).then(|| format!("{before}{n}{}", if n == 1 { one } else { many }))
        };
        said.extend(of(goes, "evicts ", " task", " tasks"));
        said.extend(of(waits, "", " waits for a disruption budget", " wait for a disruption budget"));
        said.extend(of(ends, "", " ends already", " end already"));
        said.extend(of(stays, "leaves ", "", ""));
        return said.join(", ");
    }
    for (fate, one, many) in [
        (Fate::Acts, "is changed", "are changed"),
        (Fate::Waits, "waits for a disruption budget", "wait for a disruption budget"),
        (Fate::Stays, "stays as it is", "stay as they are"),
    ] {
        match count(fate) {
            0 => {}
            1 => said.push(format!("1 {one}")),
            n => said.push(format!("{n} {many}")),
        }
    }
    said.join(", ")
}

/// What a `DaemonSet` would start again at once stays, for one reason: one line says so of all of them.
fn is_daemon(change: &Change) -> bool {
    change.fate == Fate::Stays && change.note.starts_with("DaemonSet ") && change.field.as_str() == "leave"
}

fn changes(plan: &Plan, ascii: bool, width: usize) -> Vec<Line> {
    if plan.changes.is_empty() {
        return Vec::new();
    }
    let daemons: Vec<&Change> = plan.changes.iter().filter(|c| is_daemon(c)).collect();
    let joined = daemons.len() > 1;
    let all: Vec<&Change> = plan.changes.iter().filter(|c| !joined || !is_daemon(c)).collect();
    let mut out = vec![Line::new().with(tally(plan), Tone::Title)];
    let names: Vec<String> = all.iter().map(|c| name(&c.target)).collect();
    let most = |texts: &mut dyn Iterator<Item = usize>, limit: usize| texts.max().unwrap_or(0).min(limit);
    let target = most(&mut names.iter().map(|n| n.width()), (width / 2).max(20));
    let field = most(&mut all.iter().map(|c| c.field.width()), 20);
    for (change, name) in all.into_iter().zip(&names) {
        let (mark, tone) = match (change.fate, ascii) {
            (Fate::Acts, false) => ("● ", Tone::Strong),
            (Fate::Acts, true) => ("* ", Tone::Strong),
            (Fate::Waits, false) => ("◌ ", Tone::Health(Health::Warning)),
            (Fate::Waits, true) => ("~ ", Tone::Health(Health::Warning)),
            (Fate::Stays, false) => ("○ ", Tone::Dim),
            (Fate::Stays, true) => ("- ", Tone::Dim),
        };
        let shown = cut(name, target, true, ascii);
        let pad = " ".repeat(target.saturating_sub(shown.width()));
        let mut line = Line::new().with(mark, tone).with(format!("{shown}{pad}  "), tone);
        line.push(format!("{:<field$}  ", change.field.as_str()), Tone::Plain);
        let arrow = if ascii { "->" } else { "→" };
        match (change.from.is_empty(), change.to.is_empty()) {
            (true, true) => {}
            (true, false) => line.push(format!("{arrow} {}  ", change.to), Tone::Strong),
            (false, true) => line.push(format!("{}  ", change.from), Tone::Plain),
            (false, false) => {
                line.push(format!("{} {arrow} ", change.from), Tone::Plain);
                line.push(format!("{}  ", change.to), Tone::Strong);
            }
        }
        let note = if change.fate == Fate::Waits { Tone::Health(Health::Warning) } else { Tone::Dim };
        line.push(change.note.as_str(), note);
        out.push(line);
    }
    if joined {
        let names: Vec<&str> = daemons.iter().map(|c| c.target.name.as_str()).collect();
        let mark = if ascii { "- " } else { "○ " };
        out.push(
            Line::new()
                .with(format!("{mark}{} tasks of DaemonSets  ", names.len()), Tone::Dim)
                .with("leave  ", Tone::Plain)
                .with(format!("they would be started again at once: {}", names.join(", ")), Tone::Dim),
        );
    }
    out
}

fn name(id: &ObjectId) -> String {
    let ns = if id.namespace.is_empty() { String::new() } else { format!("{}/", id.namespace) };
    format!("{} {ns}{}", id.kind.short(), id.name)
}

/// An action that runs, or is over.
#[must_use]
pub fn run(run: &Run, c: Context<'_>, width: usize) -> (Line, Vec<Line>) {
    let intent = &run.plan.intent;
    let mut head = title(c, intent.verb.name(), &intent.targets, &intent.what(), false);
    head.push(standing(run, c), Tone::Strong);
    let mut out = Vec::new();
    if let RunState::Ended(end) = &run.state {
        let health = health(end.outcome);
        let tone = Tone::Health(health);
        let word = match end.outcome {
            Outcome::Done => "done: ",
            Outcome::Failed => "failed: ",
            Outcome::Cancelled => "cancelled: ",
            Outcome::Unknown => "not known: ",
        };
        out.push(Line::new().with(shape(health, c.ascii), tone).with(word, tone).with(end.text.as_str(), Tone::Strong));
        if let Some(undo) = &end.undo {
            out.push(
                Line::new()
                    .with("u", Tone::Key)
                    .with(format!(" shows how to undo it: {} {}", undo.verb, undo.what()), Tone::Plain),
            );
        }
    } else {
        let (done, of) = run.done();
        let text = match &run.state {
            RunState::Starting => "writing it down first…".to_owned(),
            RunState::Running { cancelling: true } => "ending it; what was done stays done…".to_owned(),
            _ => format!("{done} of {of} done with; x ends it, esc lets it run on behind"),
        };
        out.push(Line::new().with(text, Tone::Plain));
    }
    if let Some(last) = run.steps.iter().find(|s| s.target.is_none()) {
        out.push(Line::new().with(last.text.as_str(), Tone::Dim));
    }
    out.push(Line::new());
    out.extend(steps(run, c, width));
    if !run.output.is_empty() {
        out.push(Line::new());
        let left = if run.dropped > 0 { format!(", without the first {} lines", run.dropped) } else { String::new() };
        out.push(Line::new().with(format!("what it printed{left}"), Tone::Title));
        out.extend(run.output.iter().map(|l| Line::new().with(l.as_str(), Tone::Plain)));
    }
    (head, out)
}

fn health(outcome: Outcome) -> Health {
    match outcome {
        Outcome::Done => Health::Ok,
        Outcome::Failed => Health::Critical,
        Outcome::Cancelled => Health::Warning,
        Outcome::Unknown => Health::Unknown,
    }
}

/// "running 0:42", "done after 1m20s".
fn standing(run: &Run, c: Context<'_>) -> String {
    let secs = (run.ended.unwrap_or(c.now) - run.begun).num_seconds().max(0);
    match &run.state {
        RunState::Ended(_) => format!("after {} ", human_duration(secs)),
        _ => format!("running {}:{:02} ", secs / 60, secs % 60),
    }
}

fn steps(run: &Run, c: Context<'_>, width: usize) -> Vec<Line> {
    let with_target: Vec<(&ObjectId, Option<&Step>)> = run
        .plan
        .changes
        .iter()
        .filter(|change| change.fate != Fate::Stays)
        .map(|change| (&change.target, run.steps.iter().find(|s| s.target.as_ref() == Some(&change.target))))
        .collect();
    let planned = |id: &ObjectId| with_target.iter().any(|(t, _)| *t == id);
    let more = run.steps.iter().filter_map(|s| s.target.as_ref().filter(|t| !planned(t)).map(|t| (t, Some(s))));
    let all: Vec<(&ObjectId, Option<&Step>)> = with_target.iter().copied().chain(more).collect();
    let names: Vec<String> = all.iter().map(|(id, _)| name(id)).collect();
    let wide = names.iter().map(|n| n.width()).max().unwrap_or(0).min((width / 2).max(20));
    all.iter()
        .zip(&names)
        .map(|((_, step), name)| {
            let (word, health, marks) = match step.map(|s| s.state) {
                None => ("to do", Health::Done, ["○ ", ". "]),
                Some(StepState::Waiting) => ("waits", Health::Warning, ["▲ ", "! "]),
                Some(StepState::Doing) => ("doing", Health::Progressing, ["◐ ", "~ "]),
                Some(StepState::Done) => ("done", Health::Ok, ["✔ ", "+ "]),
                Some(StepState::Failed) => ("failed", Health::Critical, ["✖ ", "x "]),
                Some(StepState::Skipped) => ("skipped", Health::Done, ["– ", "- "]),
            };
            let shown = cut(name, wide, true, c.ascii);
            let pad = " ".repeat(wide.saturating_sub(shown.width()));
            Line::new()
                .with(marks[usize::from(c.ascii)], Tone::Health(health))
                .with(format!("{shown}{pad}  "), Tone::Plain)
                .with(format!("{word:<8} "), Tone::Health(health))
                .with(step.map_or("", |s| s.text.as_str()), Tone::Dim)
        })
        .collect()
}

/// The actions of this session, the newest first.
#[must_use]
pub fn runs(app: &App, c: Context<'_>) -> Vec<Line> {
    if app.runs.is_empty() {
        return vec![
            Line::new().with("nothing was changed from this console yet", Tone::Strong),
            Line::new().with("what is done appears here while it runs and afterwards; `quarterdeck audit tail` has all of it, from every session", Tone::Dim),
        ];
    }
    let one = |run: &Run| {
        let (word, health) = match &run.state {
            RunState::Ended(end) => (
                match end.outcome {
                    Outcome::Done => "done",
                    Outcome::Failed => "failed",
                    Outcome::Cancelled => "cancelled",
                    Outcome::Unknown => "not known",
                },
                health(end.outcome),
            ),
            _ => ("running", Health::Progressing),
        };
        let ago = human_duration((c.now - run.begun).num_seconds().max(0));
        let mut line = Line::new().with(shape(health, c.ascii), Tone::Health(health));
        line.push(format!("{word:<10} "), Tone::Health(health));
        line.push(format!("{ago:>6} ago  "), Tone::Dim);
        line.push(format!("{} {} ", run.plan.intent.verb, run.plan.intent.what()), Tone::Strong);
        if let Some(first) = run.plan.intent.targets.first() {
            line.push(
                format!("in {}  ", columns::cluster_name(c, &first.cluster)),
                columns::cluster_tone(c, &first.cluster),
            );
        }
        if let RunState::Ended(end) = &run.state {
            line.push(end.text.as_str(), Tone::Dim);
        } else {
            let (done, of) = run.done();
            line.push(format!("{done} of {of}"), Tone::Plain);
        }
        line
    };
    app.runs.iter().rev().map(one).collect()
}

/// Before the console ends with something running.
#[must_use]
pub fn quit(app: &App) -> Vec<Line> {
    let n = app.running();
    let what = if n == 1 { "1 action runs".to_owned() } else { format!("{n} actions run") };
    let mut out = vec![
        Line::new().with(format!("{what}. Quitting ends them where they are:"), Tone::Strong),
        Line::new().with("what was done stays done, and the audit says how far they came.", Tone::Plain),
        Line::new(),
    ];
    for run in app.runs.iter().filter(|r| r.is_running()) {
        out.push(Line::new().with(format!("  {} {}", run.plan.intent.verb, run.plan.intent.what()), Tone::Plain));
    }
    out.push(Line::new());
    out.push(
        Line::new()
            .with("esc", Tone::Key)
            .with(" stay   ", Tone::Plain)
            .with("enter", Tone::Key)
            .with(" quit all the same", Tone::Plain),
    );
    out
}
