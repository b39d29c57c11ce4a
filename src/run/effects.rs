//! Carrying out what the app asks for.

use std::io;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::Console;
use super::backend::Backend;
use crate::app::Effect;
use crate::cli::export;
use crate::key::KeyCode;
use crate::term::{Input, Screen};
use crate::view::columns::Context;

/// Handles input; true when the console shall end.
pub fn on_input(console: &mut Console, backend: &mut Backend, screen: &mut Screen, what: Input) -> io::Result<bool> {
    let now = console.clock.now();
    console.arrange(now);
    let effects = match what {
        Input::Key(key) => {
            if key.code == KeyCode::F(12) && std::env::var_os("QUARTERDECK_TEST_PANIC").is_some() {
                test_panic();
            }
            console.app.press(key, &console.store, now)
        }
        Input::Paste(text) => {
            console.app.paste(&text);
            Vec::new()
        }
        Input::Resize => {
            screen.clear()?;
            Vec::new()
        }
    };
    for effect in effects {
        match effect {
            Effect::Quit => return Ok(true),
            Effect::Suspend if Screen::can_suspend() => screen.suspend()?,
            Effect::Suspend => console.app.complain(now, "there is no shell behind this console to suspend it to"),
            Effect::Refresh => backend.refresh(),
            Effect::Copy(text) => screen.copy(&text)?,
            Effect::Fetch { page, id, kind } => backend.fetch(page, id, kind, console.clock.clone(), &console.store),
            Effect::Logs(request) => backend.logs(&request, &console.store),
            Effect::MoreLogs { request, from } => backend.more_logs(&request, from, &console.store),
            Effect::EndLog { page, source } => backend.end_log(page, source),
            Effect::StopLogs(page) => backend.stop_logs(page),
            Effect::SaveScreen => save(console),
            Effect::Plan { ticket, round, intent } => backend.plan(ticket, round, intent),
            Effect::Act { ticket, plan, assent } => backend.act(ticket, *plan, assent),
            Effect::CancelAct(ticket) => backend.cancel(ticket),
            Effect::FetchRunbook { page, url } => backend.fetch_runbook(page, url, console.app.runbooks.fetch.clone()),
            Effect::KeepProgress(json) => keep_progress(console, &json),
        }
    }
    Ok(false)
}

/// Writes down what is ticked, all of it or nothing.
fn keep_progress(console: &mut Console, json: &str) {
    let Some(file) = console.progress.clone() else { return };
    let write = || -> io::Result<()> {
        let dir = file.parent().unwrap_or(std::path::Path::new("."));
        std::fs::create_dir_all(dir)?;
        let mut new = tempfile::NamedTempFile::new_in(dir)?;
        io::Write::write_all(&mut new, json.as_bytes())?;
        new.persist(&file).map(drop).map_err(|e| e.error)
    };
    if let Err(e) = write() {
        let now = console.clock.now();
        console.app.complain(now, &format!("ticks cannot be kept in {}: {e}", file.display()));
    }
}

/// Lets the log pages follow the tasks that come and go.
pub fn keep_up_logs(console: &mut Console, backend: &mut Backend) -> bool {
    let now = console.clock.now();
    let effects = console.app.keep_up_logs(&console.store, now);
    for effect in &effects {
        match effect {
            Effect::MoreLogs { request, from } => backend.more_logs(request, *from, &console.store),
            Effect::EndLog { page, source } => backend.end_log(*page, *source),
            _ => {}
        }
    }
    !effects.is_empty()
}

/// For the test that a panic gives the terminal back; reached only with the
/// environment variable set.
#[expect(clippy::panic, reason = "a panic is what is tested")]
fn test_panic() {
    panic!("a panic for the test");
}

/// Writes the screen as text and SVG.
fn save(console: &mut Console) {
    let now = console.clock.now();
    let (width, height) = console.app.size;
    let area = Rect::new(0, 0, width, height);
    let mut buf = Buffer::empty(area);
    let c = Context {
        store: &console.store,
        now,
        absolute: console.app.absolute,
        ascii: console.ascii,
        thresholds: console.app.settings.thresholds,
    };
    crate::ui::draw(&mut buf, area, &mut console.app, c, &console.theme);
    let dir = console.screens.clone();
    let stem = now.format("quarterdeck-%Y%m%d-%H%M%S").to_string();
    let write = || -> io::Result<()> {
        std::fs::create_dir_all(&dir)?;
        std::fs::write(dir.join(format!("{stem}.txt")), export::text(&buf))?;
        std::fs::write(dir.join(format!("{stem}.svg")), export::svg(&buf, &console.theme))
    };
    match write() {
        Ok(()) => console.app.say(now, &format!("saved {}", dir.join(format!("{stem}.svg")).display())),
        Err(e) => console.app.complain(now, &format!("the screen could not be saved in {}: {e}", dir.display())),
    }
}
