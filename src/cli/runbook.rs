//! `runbook list|show|check`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use color_eyre::eyre::eyre;
use serde_json::json;

use super::args::{Cli, RunbookFormat, RunbookVerb};
use super::output::{fail, say};
use super::{CliError, session};
use crate::app::filter::Filter;
use crate::app::table::ViewKind;
use crate::config::diagnostic::{Diagnostic, Source};
use crate::key::{KEY_GRAMMAR, parse_sequence};
use crate::runbook::render::{Look, What, render};
use crate::runbook::{Library, Runbook, StepKind, fill, library};

/// Version of what `list --format json` prints.
const VERSION: u32 = 1;
/// How wide a runbook is printed where nobody says.
const WIDTH: usize = 80;

/// Carries it out.
pub fn run(cli: &Cli, what: &RunbookVerb) -> Result<ExitCode, CliError> {
    match what {
        RunbookVerb::List { format } => list(&at_hand(cli)?, *format),
        RunbookVerb::Show { name } => show(cli, name),
        RunbookVerb::Check { files } => Ok(check(files)),
    }
}

/// Those that a console would have, with what a key cannot open among what is wrong.
fn at_hand(cli: &Cli) -> Result<Library, CliError> {
    let place = session::place(cli)?;
    let config = session::load(cli, &place)?;
    Ok(session::app(&config, &place.paths)?.runbooks.library)
}

fn list(library: &Library, format: RunbookFormat) -> Result<ExitCode, CliError> {
    match format {
        RunbookFormat::Json => {
            let books: Vec<_> = library
                .books
                .iter()
                .map(|b| {
                    json!({
                        "name": b.name, "title": b.title, "from": b.origin.to_string(), "keys": b.front.keys,
                        "tags": b.front.tags, "alarms": b.front.fits.alarms, "steps": b.steps.len(),
                        "mistakes": b.mistakes.len(),
                    })
                })
                .collect();
            let unread: Vec<&str> = library.unread.iter().map(crate::domain::Text::as_str).collect();
            say(&serde_json::to_string_pretty(&json!({"version": VERSION, "runbooks": books, "unread": unread}))?);
        }
        RunbookFormat::Table => {
            let mut out = format!("{:<22} {:<6} {:<5} {:<44} FROM\n", "NAME", "KEYS", "STEPS", "TITLE");
            for b in &library.books {
                let keys = b.front.keys.iter().map(|k| format!(",{k}")).collect::<Vec<_>>().join(" ");
                out += &format!("{:<22} {keys:<6} {:>5} {:<44} {}", b.name, b.steps.len(), b.title, b.origin);
                match b.mistakes.len() {
                    0 => {}
                    1 => out += "  1 mistake",
                    n => out += &format!("  {n} mistakes"),
                }
                out.push('\n');
            }
            say(&out);
            for why in &library.unread {
                fail(why);
            }
        }
    }
    Ok(if library.unread.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(cli: &Cli, name: &str) -> Result<ExitCode, CliError> {
    let file = Path::new(name);
    let book = if name.contains('/') || file.is_file() {
        library::read(file).map_err(|why| eyre!("{why}"))?
    } else {
        let library = at_hand(cli)?;
        let found = library.get(name).map(|b| b.as_ref().clone());
        found.ok_or_else(|| {
            let names: Vec<&str> = library.books.iter().map(|b| b.name.as_str()).collect();
            eyre!("there is no runbook `{name}`; there are {}", names.join(", "))
        })?
    };
    let columns = session::env("COLUMNS").and_then(|c| c.parse().ok()).filter(|c| (20..=400).contains(c));
    let place = session::place(cli)?;
    let ascii = session::ascii(&session::load(cli, &place)?);
    let shown = render(&book, Look { width: columns.unwrap_or(WIDTH), ascii }, &|_| false);
    say(&shown.lines.iter().map(|l| l.text().trim_end().to_owned() + "\n").collect::<String>());
    Ok(ExitCode::SUCCESS)
}

/// Says what is wrong with runbooks; 1 if anything is.
fn check(files: &[PathBuf]) -> ExitCode {
    let mut wrong = 0;
    let mut all = Vec::new();
    for given in files {
        if given.is_dir() {
            let listed = std::fs::read_dir(given).into_iter().flatten().filter_map(|e| e.ok().map(|e| e.path()));
            let mut inside: Vec<PathBuf> = listed.filter(|p| p.extension().is_some_and(|e| e == "md")).collect();
            inside.sort();
            all.extend(inside);
        } else {
            all.push(given.clone());
        }
    }
    let mut books = Vec::new();
    for file in &all {
        match library::read(file) {
            Ok(book) => books.push((file, book)),
            Err(why) => {
                wrong += 1;
                fail(&why);
            }
        }
    }
    let mut known = Library::shipped();
    for (_, book) in &books {
        known.add(book.clone());
    }
    for (file, book) in &books {
        let found = mistakes(file, book, &known);
        if found.is_empty() {
            say(&format!("{}: {}, {} steps, is fine", file.display(), book.title, book.steps.len()));
        }
        wrong += found.len();
        for d in found {
            fail(&format!("{d}\n"));
        }
    }
    if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What is wrong with one, also what only the console knows: keys, filters, links.
fn mistakes(file: &Path, book: &Runbook, known: &Library) -> Vec<Diagnostic> {
    let source = Source::new(file.display().to_string(), book.text.as_ref());
    let find = |text: &str| {
        let at = book.text.find(text).unwrap_or(0);
        at..at + text.len()
    };
    let mut out: Vec<Diagnostic> = Vec::new();
    for m in &book.mistakes {
        let d = source.at(&m.at, m.what.as_str());
        out.push(if m.hint.is_empty() { d } else { d.hint(m.hint.as_str()) });
    }
    for key in &book.front.keys {
        if let Err(e) = parse_sequence(key) {
            out.push(source.at(&find(key), e.to_string()).allowed(KEY_GRAMMAR));
        }
    }
    for step in &book.steps {
        let Ok(StepKind::View { view, filter, sort, .. }) = &step.kind else { continue };
        let Some(kind) = ViewKind::from_name(view) else { continue };
        // Whatever is filled in is one plain word.
        let mut sample = String::new();
        for piece in fill::pieces(filter) {
            sample += if let fill::Piece::Literal(text) = piece { text } else { "x" };
        }
        let keys: Vec<&str> = crate::view::column_infos(kind).iter().map(|c| c.key).collect();
        if let Err(e) = Filter::parse(&sample, &keys) {
            out.push(source.at(&find(filter), format!("the filter of `{}`: {e}", step.title)));
        }
        if !sort.is_empty() && !keys.contains(&sort.as_str()) {
            let what = format!("the sort of `{}`: {view} has no column {sort}", step.title);
            out.push(source.at(&find(sort), what).hint(format!("it has {}", keys.join(", "))));
        }
    }
    for item in render(book, Look { width: WIDTH, ascii: true }, &|_| false).items {
        let What::Link(target) = item.what else { continue };
        let name = target.split('#').next().unwrap_or_default().trim_start_matches("./");
        let is_book = Path::new(name).extension().is_some_and(|e| e.eq_ignore_ascii_case("md"));
        if is_book && !target.contains("://") && known.get(name).is_none() {
            out.push(source.at(&find(&target), format!("there is no runbook `{name}` among those checked")));
        }
    }
    out
}
