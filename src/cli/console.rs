//! The console itself.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use chrono::TimeDelta;
use color_eyre::eyre::eyre;

use super::args::Cli;
use super::{CliError, log, session};
use crate::clock::Clock;
use crate::config::Paths;
use crate::run::journal::Journal;
use crate::run::notify::Notifier;
use crate::run::{Console, End};
use crate::store::memo::Patience;
use crate::term::line::Line;

/// How long actions may take to end when the console does.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How long those that were not waited for may take to let go of what they had.
const LAST_MOMENT: Duration = Duration::from_secs(3);
/// What is ticked in runbooks, in the state directory.
const PROGRESS: &str = "runbook-ticks.json";

/// Where screens are saved: with the state, but a demo's directory goes when it ends, and
/// who saves a screen of it wants to keep that.
fn screens(cli: &Cli, paths: &Paths) -> PathBuf {
    match (&cli.common.demo, std::env::current_dir()) {
        (Some(_), Ok(here)) => here,
        _ => paths.state_dir.join("screens"),
    }
}

/// What is ticked in runbooks, as it was kept; nothing where that cannot be read: it is only ticks.
fn ticks(file: &std::path::Path) -> crate::runbook::progress::Progress {
    use crate::runbook::progress::{LARGEST, Progress};
    use std::io::Read as _;
    let mut text = String::new();
    let read = std::fs::File::open(file).and_then(|f| f.take(LARGEST).read_to_string(&mut text));
    match read {
        Ok(_) => Progress::from_json(&text),
        Err(error) => {
            if error.kind() != std::io::ErrorKind::NotFound {
                tracing::warn!(%error, "what is ticked in runbooks cannot be read");
            }
            Progress::default()
        }
    }
}

/// Opens the console; 128 plus its number when a signal ended it.
pub async fn run(cli: &Cli) -> Result<ExitCode, CliError> {
    let mut place = session::place(cli)?;
    let config = session::load(cli, &place)?;
    place.paths.state_dir = config.state_dir(&place.paths).to_owned();
    let theme = session::theme(&config, &place.paths)?;
    let mut app = session::app(&config, &place.paths)?;
    if !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
        return Err(eyre!(
            "the console needs a terminal on standard input and output; without one use `quarterdeck status` or `quarterdeck snapshot VIEW`"
        ));
    }
    if session::env("TERM").as_deref() == Some("dumb") {
        return Err(eyre!(
            "TERM is `dumb`: this terminal cannot move its cursor; use `quarterdeck status`, or set TERM to what the terminal is (xterm-256color)"
        ));
    }
    let clock = Clock::system();
    match log::start(&place.paths.state_dir, config.log) {
        Ok(file) => app.settings.log_file = file.map(|f| f.display().to_string()),
        // No reason not to open: but who looks for the log later must know.
        Err(e) => {
            let file = log::file(&place.paths.state_dir);
            app.complain(clock.now(), &format!("the console's log cannot be written in {}: {e}", file.display()));
        }
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), demo = cli.common.demo, level = config.log.word(), "started");
    let mut reading = session::read(cli, &config, &clock).await?;
    // Over SSH every frame is bytes on somebody's hotspot.
    let least = if session::env("SSH_CONNECTION").is_some() { 100 } else { 0 };
    let (stage, sessions) = crate::action::session::stage();
    reading.systems.stage = Some(stage);
    let mut desk = reading.desk(&place.paths.state_dir, &clock);
    // Where nothing may be changed, nothing that could run a program is made.
    if !config.read_only {
        desk = desk.and_local(crate::runbook::process::Local::new(clock.clone()));
    }
    let mut store = reading.store;
    store.patience = Patience::of(TimeDelta::milliseconds(250));
    let mut console = Console {
        store,
        app,
        theme,
        by_ground: session::by_ground(&config, &place.paths)?,
        ascii: session::ascii(&config),
        clock,
        screens: screens(cli, &place.paths),
        progress: Some(place.paths.state_dir.join(PROGRESS)),
        journal: Some(Journal::new(&place.paths.state_dir)),
        notifier: Notifier { how: config.notify_how, quiet: config.notify_quiet },
        line: Line::of(session::env("SSH_CONNECTION").as_deref()),
        draw_interval: Duration::from_millis(u64::from(config.draw_interval_ms).max(least)),
    };
    if let Some(journal) = &console.journal {
        match journal.open() {
            Ok(history) => console.store.notices.remember(history.records),
            Err(e) => {
                let text = format!("the history of notices cannot be read in {}: {e}", journal.path().display());
                console.app.complain(console.clock.now(), &text);
            }
        }
    }
    console.app.runbooks.progress = ticks(&place.paths.state_dir.join(PROGRESS));
    for (id, _) in console.store.clusters() {
        tracing::info!(cluster = id.as_str(), "is read");
    }
    let backend = reading.backend.and_desk(desk.clone());
    let ended = crate::run::run(&mut console, backend, reading.observations, sessions).await;
    match &ended {
        Ok(end) => tracing::info!(?end, "ended"),
        Err(error) => tracing::error!(%error, "ended"),
    }
    match &ended {
        // The user was asked: what still runs is ended, and how far it came is written down.
        Ok(End::Quit) => desk.close(LAST_WORDS).await,
        Ok(End::Signal(number)) => desk.abandon(&format!("the console was ended by signal {number} while it ran")),
        Err(_) => desk.abandon("the console lost its terminal while it ran"),
    }
    // What was ended with the console ends its own programs: none of them outlives it.
    desk.settle(LAST_MOMENT).await;
    if let Some(sim) = reading.sim {
        sim.stop().await;
    }
    match ended? {
        End::Quit => Ok(ExitCode::SUCCESS),
        End::Signal(number) => Ok(ExitCode::from(128 + u8::try_from(number).unwrap_or(0))),
    }
}
