//! The demo without a terminal: all that a console of it has, for what presses its keys itself.

use std::path::Path;
use std::time::Duration;

use chrono::TimeDelta;
use clap::Parser as _;
use tokio::sync::mpsc;

use super::args::Cli;
use super::{CliError, session};
use crate::action::Desk;
use crate::app::App;
use crate::clock::Clock;
use crate::config::{self, LoadOptions, Overrides, Paths};
use crate::run::backend::Backend;
use crate::sim::model::Parameters;
use crate::sim::server::{ServerOptions, SimServer};
use crate::store::{Observation, Store};

/// A console of a scenario, with its sources at work.
pub struct Demo {
    /// What is known: nothing yet.
    pub store: Store,
    /// What comes in.
    pub observations: mpsc::Receiver<Observation>,
    /// Plans, acts, reads on demand.
    pub backend: Backend,
    /// What is on screen.
    pub app: App,
    /// The fleet.
    pub sim: SimServer,
}

/// The fleet of a scenario that has lived for `age` seconds of `clock`, which must be one that is moved by hand.
///
/// # Errors
/// When there is no such scenario, or no port for it.
pub(super) async fn lived(scenario: &str, age: u32, clock: &Clock) -> Result<SimServer, CliError> {
    let options = ServerOptions { name: "demo".to_owned(), ..ServerOptions::default() };
    let sim = session::start_sim(scenario, Parameters::default(), options, clock.clone()).await?;
    // Requests are signed with the machine's time, and paced by it.
    sim.aws_faults().set(|f| (f.any_time, f.unlimited) = (true, true));
    for _ in 0..age {
        clock.advance(TimeDelta::seconds(1));
        sim.tick();
    }
    Ok(sim)
}

/// Opens a console of `scenario`, `age` seconds of `clock` after its beginning. What it keeps, the audit among it, is in `dir`;
/// `desk` may change what actions are planned and run with.
///
/// # Errors
/// When there is no such scenario, or no port for it.
pub async fn open(
    scenario: &str,
    age: u32,
    (clock, dir): (&Clock, &Path),
    desk: impl FnOnce(Desk) -> Desk + Send,
) -> Result<Demo, CliError> {
    let cli = Cli::try_parse_from(["quarterdeck", "--demo", scenario])?;
    let paths = Paths::demo(dir);
    let mut config =
        config::load(LoadOptions { file: None, env: &|_| None, cli: Overrides::default(), paths: &paths })?;
    config.metrics_interval = config.metrics_interval.min(Duration::from_secs(5));
    let sim = lived(scenario, age, clock).await?;
    let mut reading = session::read_demo(&cli, &config, clock, sim)?;
    let Some(sim) = reading.sim.take() else { return Err(color_eyre::eyre::eyre!("{scenario}: there is no fleet")) };
    let desk = desk(reading.desk(&paths.state_dir, clock));
    Ok(Demo {
        app: session::app(&config, &paths)?,
        store: reading.store,
        observations: reading.observations,
        backend: reading.backend.and_desk(desk),
        sim,
    })
}
