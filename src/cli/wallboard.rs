//! `quarterdeck wallboard`: what everybody shall see. It changes nothing anywhere, and ends by `q` or
//! a signal only.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use color_eyre::eyre::eyre;

use super::args::Cli;
use super::{CliError, log, session};
use crate::app::wall::{Pace, Rules, Wall, WallPage};
use crate::clock::Clock;
use crate::config::Config;
use crate::run::End;
use crate::run::journal::Journal;
use crate::run::notify::Notifier;
use crate::run::wall::Wallboard;

/// Data is not called old for fewer seconds than twice this: a poll takes its time.
const FINEST: Duration = Duration::from_secs(10);
/// As `session` and `reading` have it for demos.
const DEMO: Duration = Duration::from_secs(5);

/// Opens the wallboard; 128 plus its number when a signal ended it.
pub async fn run(cli: &Cli) -> Result<ExitCode, CliError> {
    let mut place = session::place(cli)?;
    let mut config = session::load(cli, &place)?;
    // Whatever anybody set: no writing client is built.
    config.read_only = true;
    place.paths.state_dir = config.state_dir(&place.paths).to_owned();
    let theme = session::theme(&config, &place.paths)?;
    if !std::io::stdout().is_terminal() {
        return Err(eyre!(
            "a wallboard needs a terminal on standard output; without one use `quarterdeck snapshot wallboard`"
        ));
    }
    if session::env("TERM").as_deref() == Some("dumb") {
        return Err(eyre!(
            "TERM is `dumb`: this terminal cannot move its cursor; set TERM to what the terminal is (xterm-256color)"
        ));
    }
    let clock = Clock::system();
    // Its log is no reason not to open; there is nobody who would read a complaint about it.
    let _ = log::start(&place.paths.state_dir, config.log);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), demo = cli.common.demo, "wallboard started");
    let reading = session::read(cli, &config, &clock).await?;
    let mut board = Wallboard {
        store: reading.store,
        wall: Wall::new(rules(&config), clock.now()),
        pace: pace(&config, cli.common.demo.is_some()),
        theme,
        ascii: session::ascii(&config),
        thresholds: session::thresholds(&config),
        clock,
        journal: Some(Journal::new(&place.paths.state_dir)),
        notifier: Notifier { how: config.notify_how, quiet: config.notify_quiet },
    };
    if let Some(journal) = &board.journal {
        match journal.open() {
            Ok(history) => board.store.notices.remember(history.records),
            Err(error) => tracing::error!(%error, "the history of notices cannot be read"),
        }
    }
    let ended = crate::run::wall::run(&mut board, reading.backend, reading.observations).await;
    match &ended {
        Ok(end) => tracing::info!(?end, "wallboard ended"),
        Err(error) => tracing::error!(%error, "wallboard ended"),
    }
    if let Some(sim) = reading.sim {
        sim.stop().await;
    }
    match ended? {
        End::Quit => Ok(ExitCode::SUCCESS),
        End::Signal(number) => Ok(ExitCode::from(128 + u8::try_from(number).unwrap_or(0))),
    }
}

/// How its pages go round, by the settings.
pub fn rules(config: &Config) -> Rules {
    let pages: Vec<WallPage> = config.wallboard_pages.iter().filter_map(|name| WallPage::from_name(name)).collect();
    Rules::new(&pages, config.wallboard_rotate, config.wallboard_hold)
}

/// How often sources speak, by the settings.
pub fn pace(config: &Config, demo: bool) -> Pace {
    let of = |interval: Duration| if demo { interval.min(DEMO) } else { interval }.max(FINEST);
    Pace {
        metrics: of(config.metrics_interval),
        aws: of(config.aws_interval),
        backends: of(config.backends_interval),
        slo: of(config.slo_interval),
        notices: of(config.spot_interval * 3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::WALL_PAGES;

    #[test]
    fn every_page_of_the_settings_is_one() {
        let names: Vec<&str> = WallPage::ALL.iter().map(|p| p.name()).collect();
        assert_eq!(names, WALL_PAGES);
        let mut config = Config::defaults();
        assert_eq!(rules(&config).pages, WallPage::ALL);
        config.wallboard_pages = vec!["alarms".into(), "map".into()];
        assert_eq!(rules(&config).pages, [WallPage::Alarms, WallPage::Map]);
    }

    #[test]
    fn nothing_is_old_within_a_poll() {
        let pace = pace(&Config::defaults(), true);
        assert_eq!((pace.aws, pace.slo, pace.notices), (FINEST, FINEST, FINEST));
    }
}
