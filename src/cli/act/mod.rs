//! `quarterdeck drain` and its kin: plan, guard, confirmation, audit, run; the same way that a key goes.

pub mod args;
mod print;
mod target;
#[cfg(test)]
mod tests;

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use self::args::{Act, How};
pub(super) use self::print::aligned;
use super::args::{Cli, Format};
use super::output::{fail, say};
use super::{CliError, session};
use crate::action::guard::to_type;
use crate::action::{Assent, Confirm, Desk, Event, Intent, Judged, Options, Outcome, Plan, Verb, facts};
use crate::clock::Clock;
use crate::domain::{Kind, Timestamp};
use crate::run::gather::settle;
use crate::store::Store;

/// How long sources may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long something that was cancelled may take to end.
const GRACE: Duration = Duration::from_secs(30);

/// Refused, or failed.
const REFUSED: u8 = 1;
/// Nothing could be looked at: no such object, no answer.
const BLIND: u8 = 2;
/// Somebody cancelled it.
const CANCELLED: u8 = 130;

/// What comes from outside while something runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// Ctrl-c: end it well.
    Cancel,
    /// A signal by its number: end now.
    End(u8),
}

/// Where a person answers, if there is one.
type Ask<'a> = Option<&'a mut dyn FnMut(&str) -> Option<String>>;

/// Where lines go.
struct Out {
    format: Format,
    say: fn(&str),
    note: fn(&str),
}

/// Acts; 0 done or possible, 1 refused or failed, 2 not looked at, 130 cancelled.
///
/// # Errors
/// When the configuration makes no sense, or nothing can be read.
pub async fn run(cli: &Cli, act: &Act) -> Result<ExitCode, CliError> {
    let (verb, how, options) = act.parts();
    let place = session::place(cli)?;
    let config = session::load(cli, &place)?;
    session::check(&config, &place.paths)?;
    if config.read_only {
        fail("nothing is changed: the console is read-only (--read-only, or read_only in config.toml)");
        return Ok(ExitCode::from(REFUSED));
    }
    let clock = Clock::system();
    let mut reading = match session::read(cli, &config, &clock).await {
        Ok(reading) => reading,
        Err(error) => {
            fail(&format!("{error:#}"));
            return Ok(ExitCode::from(BLIND));
        }
    };
    settle(&mut reading.store, &mut reading.observations, PATIENCE).await;
    let desk = reading.desk(config.state_dir(&place.paths), &clock);
    let out = Out { format: how.format, say, note: |text| fail(text) };
    let namespace = cli.common.namespace.as_deref();
    let code = go(&desk, &reading.store, (verb, how, options), namespace, &out, clock.now()).await;
    drop(desk);
    reading.stop().await;
    Ok(ExitCode::from(code))
}

async fn go(
    desk: &Desk,
    store: &Store,
    (verb, how, options): (Verb, &How, Options),
    namespace: Option<&str>,
    out: &Out,
    now: Timestamp,
) -> u8 {
    let judged = match plan(desk, store, (verb, how, options), namespace, now).await {
        Ok(judged) => judged,
        Err((code, why)) => {
            (out.note)(&why);
            return code;
        }
    };
    show(&judged, how, out);
    if !print::is_possible(&judged.plan, &judged.verdict) {
        let why = judged.verdict.refused.first().map_or("there is nothing to do", |why| why.as_str());
        (out.note)(&format!("nothing is changed: {why}"));
        return finish(&judged, REFUSED, how, out);
    }
    if how.dry_run {
        return 0;
    }
    let mut terminal = |prompt: &str| answer(prompt);
    let is_terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let ask: Ask<'_> = if is_terminal { Some(&mut terminal) } else { None };
    let assent = match assent(&judged, how, ask) {
        Ok(assent) => assent,
        Err(why) => {
            (out.note)(&format!("nothing is changed: {why}"));
            return finish(&judged, REFUSED, how, out);
        }
    };
    let (tx, mut stops) = mpsc::channel(4);
    tokio::select! {
        // Signals are heard before anything begins.
        biased;
        () = signals(tx) => REFUSED,
        code = perform(desk, judged, &assent, &mut stops, out) => code,
    }
}

/// The plan, with what the store knows and the guard says.
async fn plan(
    desk: &Desk,
    store: &Store,
    (verb, how, options): (Verb, &How, Options),
    namespace: Option<&str>,
    now: Timestamp,
) -> Result<Judged, (u8, String)> {
    let targets = target::resolve(store, verb, &how.targets, namespace).map_err(|why| (BLIND, why))?;
    let intent = Intent { options, ..Intent::new(verb, targets) };
    intent.check().map_err(|why| (REFUSED, why.to_string()))?;
    if let Some(why) = intent.targets.first().and_then(|t| desk.closed(t)) {
        return Err((REFUSED, format!("nothing is changed: {why}")));
    }
    let mut plan: Plan = desk.plan(&intent).await.map_err(|why| (BLIND, why.to_string()))?;
    facts::add(&mut plan, store, now);
    Ok(desk.judge(plan))
}

/// Prints the plan, where it is not part of what is printed at the end.
fn show(judged: &Judged, how: &How, out: &Out) {
    match out.format {
        Format::Table => (out.say)(&print::table(judged)),
        Format::Json if how.dry_run => print_json(&print::object(judged), out),
        Format::Json => {}
    }
}

/// Prints what was decided before anything was done.
fn finish(judged: &Judged, code: u8, how: &How, out: &Out) -> u8 {
    if out.format == Format::Json && !how.dry_run {
        print_json(&print::object(judged), out);
    }
    code
}

fn print_json(value: &Value, out: &Out) {
    (out.say)(&format!("{value:#}"));
}

/// Asks on the terminal; `None` where nobody answers.
fn answer(prompt: &str) -> Option<String> {
    let mut err = std::io::stderr().lock();
    let _ = write!(err, "{prompt}");
    let _ = err.flush();
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line).ok()?;
    (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}

/// What the user says to the plan: by flags, or at the terminal.
fn assent(judged: &Judged, how: &How, mut ask: Ask<'_>) -> Result<Assent, String> {
    let Judged { plan, verdict } = judged;
    let mut assent = Assent { reason: how.reason.clone().unwrap_or_default(), ..Assent::default() };
    if verdict.needs_reason && assent.reason.trim().is_empty() {
        assent.reason = match ask.as_mut() {
            Some(ask) => ask("why? ").unwrap_or_default(),
            None => return Err("a reason is asked for here: give it by --reason".to_owned()),
        };
    }
    match (&verdict.confirm, &how.confirm) {
        (Confirm::Choose, Some(word)) if *word != to_type(plan, verdict.production).as_str() => {
            return Err(format!("`--confirm {word}` is not what this is about"));
        }
        (_, Some(word)) => {
            assent.typed.clone_from(word);
            assent.by_flag = true;
        }
        // Where care is asked for, a flag that is in every script says nothing.
        (Confirm::Type(word), None) if how.yes && !verdict.needs_reason => {
            assent.typed = word.to_string();
            assent.by_flag = true;
        }
        (Confirm::Type(word), None) => {
            let Some(ask) = ask else {
                return Err(format!(
                    "it has to be confirmed by name: give --confirm '{word}', or run it at a terminal"
                ));
            };
            assent.typed = ask(&format!("type {word} to do it: ")).unwrap_or_default();
        }
        (Confirm::Choose, None) if how.yes => assent.by_flag = true,
        (Confirm::Choose, None) => {
            let Some(ask) = ask else {
                return Err("there is no terminal to ask on: give --yes, or --dry-run to look only".to_owned());
            };
            let said = ask("do it? [y/N] ").unwrap_or_default();
            if !matches!(said.trim().to_lowercase().as_str(), "y" | "yes") {
                return Err("the answer was not yes".to_owned());
            }
        }
    }
    verdict.accepts(&assent).map_err(|why| why.to_string())?;
    Ok(assent)
}

/// Writes it down, does it, and tells how it goes.
async fn perform(desk: &Desk, judged: Judged, assent: &Assent, stops: &mut mpsc::Receiver<Stop>, out: &Out) -> u8 {
    let mut told = print::object(&judged);
    let mut running = match desk.act(judged.plan, assent) {
        Ok(running) => running,
        Err(why) => {
            (out.note)(&format!("nothing is changed: {why}"));
            return REFUSED;
        }
    };
    let mut steps = Vec::new();
    let mut cancelled = false;
    let patience = tokio::time::sleep(GRACE);
    tokio::pin!(patience);
    let end = loop {
        tokio::select! {
            event = running.events.recv() => match event {
                Some(Event::Step(step)) => {
                    let line = print::step(&step);
                    if out.format == Format::Json { (out.note)(&line) } else { (out.say)(&line) }
                    steps.push(step);
                }
                Some(Event::Output(line)) => {
                    let line = format!("{line}\n");
                    if out.format == Format::Json { (out.note)(&line) } else { (out.say)(&line) }
                }
                Some(Event::Ended(end)) => break Some(end),
                None => break None,
            },
            stop = stops.recv() => match stop {
                Some(Stop::Cancel) if !cancelled => {
                    (out.note)("cancelled: what has begun is brought to an end; ctrl-c again leaves it as it is");
                    running.cancel.cancel();
                    cancelled = true;
                    patience.as_mut().reset(tokio::time::Instant::from_std(crate::clock::instant() + GRACE));
                }
                Some(Stop::End(number)) => {
                    desk.abandon("the program was ended by a signal before it said how this ended");
                    return 128 + number;
                }
                Some(Stop::Cancel) | None => {
                    desk.abandon("it was cancelled, and left before it said how it ended");
                    return CANCELLED;
                }
            },
            () = &mut patience, if cancelled => {
                desk.abandon("it was cancelled, and did not end");
                (out.note)("it did not end within 30 s: what became of it is not known");
                return CANCELLED;
            }
        }
    };
    let Some(end) = end else {
        (out.note)("it ended without a word: what became of it is not known");
        return REFUSED;
    };
    match out.format {
        Format::Table => (out.say)(&print::end(&end)),
        Format::Json => {
            let undo = end.undo.as_ref().map(print::command);
            let more = json!({"number": running.number, "steps": steps, "end": end, "undo_command": undo});
            if let (Some(told), Value::Object(more)) = (told.as_object_mut(), more) {
                told.extend(more);
            }
            print_json(&told, out);
        }
    }
    match end.outcome {
        Outcome::Done => 0,
        Outcome::Cancelled => CANCELLED,
        Outcome::Failed | Outcome::Unknown => REFUSED,
    }
}

/// Passes signals on, for as long as something runs.
async fn signals(tx: mpsc::Sender<Stop>) {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
    let [Ok(mut int), Ok(mut term), Ok(mut hup)] = kinds else {
        // Without them ctrl-c ends the program at once, and the next one tells the rest as unknown.
        return std::future::pending().await;
    };
    loop {
        let stop = tokio::select! {
            _ = int.recv() => Stop::Cancel,
            _ = term.recv() => Stop::End(15),
            _ = hup.recv() => Stop::End(1),
        };
        if tx.send(stop).await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// True for what is done to nodes: a namespace says nothing of it, and the tasks of all of them matter.
#[must_use]
pub fn is_of_nodes(act: &Act) -> bool {
    act.parts().0.info().kinds == [Kind::Node]
}
