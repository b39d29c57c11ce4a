//! What every command needs first: configuration, paths, theme, keymap, and
//! the clusters to read, the demo's included.

use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

use super::CliError;
use super::actors::{self, Systems};
use super::args::{Cli, Verb};
use crate::action::{Desk, Policy};
use crate::app::table::ViewKind;
use crate::app::{App, Settings};
use crate::clock::Clock;
use crate::config::{self, ColorChoice, Config, LoadOptions, Overrides, Paths};
use crate::domain::{Threshold, Thresholds};
use crate::keymap::Keymap;
use crate::run::backend::Backend;
use crate::runbook::Library;
use crate::sim::model::{Model, Parameters, Scenario};
use crate::sim::server::{ServerOptions, SimServer};
use crate::store::{Observation, Store};
use crate::theme::{ColorDepth, Theme};

/// An environment variable, if set and not empty.
pub fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

/// Where things are, and the demo's own directory while it lives.
pub struct Place {
    /// Directories.
    pub paths: Paths,
    /// Removed with everything in it when the demo ends.
    _demo: Option<tempfile::TempDir>,
}

/// A demo gets directories of its own: it never touches the user's.
pub fn place(cli: &Cli) -> Result<Place, CliError> {
    if cli.common.demo.is_some() {
        let dir = tempfile::Builder::new().prefix("quarterdeck-demo-").tempdir()?;
        return Ok(Place { paths: Paths::demo(dir.path()), _demo: Some(dir) });
    }
    Ok(Place { paths: Paths::discover(&env), _demo: None })
}

/// The configuration in force.
pub fn load(cli: &Cli, place: &Place) -> Result<Config, CliError> {
    load_from(cli, place, cli.common.config.as_deref())
}

/// The configuration as it would be with this `file` (`None`: the usual one, if there is one).
pub fn load_from(cli: &Cli, place: &Place, file: Option<&Path>) -> Result<Config, CliError> {
    let c = &cli.common;
    let path = |p: &Option<PathBuf>| p.as_ref().map(|p| p.display().to_string());
    let flag = |on: bool| on.then(|| "true".to_owned());
    let overrides = Overrides::default()
        .set("--theme", "theme", c.theme.clone())
        .set("--keymap", "keymap", c.keymap.clone())
        .set("--color", "color", c.color.clone())
        .set("--view", "view", c.view.clone())
        .set("--kubeconfig", "kubeconfig", path(&c.kubeconfig))
        .set("--ascii", "ascii", flag(c.ascii))
        .set("--wide", "wide", flag(c.wide))
        .set("--read-only", "read_only", flag(c.read_only));
    let overrides = match &cli.verb {
        Some(Verb::Wallboard(w)) => overrides
            .set("--pages", "wallboard.pages", w.pages.clone())
            .set("--rotate", "wallboard.rotate", w.rotate.clone())
            .set("--hold", "wallboard.hold", w.hold.clone()),
        _ => overrides,
    };
    let options = LoadOptions { file, env: &env, cli: overrides, paths: &place.paths };
    let mut config = config::load(options)?;
    if cli.common.demo.is_some() {
        // Whatever the user's environment or file says: a demo leaves nothing behind.
        config.state_dir = None;
    }
    Ok(config)
}

/// Looks for what only shows later: a theme, a keymap or a kubeconfig that does not exist
/// or makes no sense.
///
/// # Errors
/// All that is wrong, each at the place where it was set.
pub fn check(config: &Config, paths: &Paths) -> Result<(), CliError> {
    let mut wrong = Vec::new();
    if let Err(e) = theme(config, paths) {
        wrong.push(config.error_at("theme", e.to_string()).to_string());
    }
    if let Err(e) = Keymap::load(&config.keymap, Some(&paths.keymaps_dir)) {
        wrong.push(config.error_at("keymap", e.to_string()).to_string());
    }
    if let Some(file) = config.kubeconfig.as_ref().filter(|file| !file.exists()) {
        wrong.push(config.error_at("kubeconfig", format!("{} does not exist", file.display())).to_string());
    }
    if wrong.is_empty() { Ok(()) } else { Err(color_eyre::eyre::eyre!("{}", wrong.join("\n"))) }
}

/// The theme in force, at the terminal's colour depth.
pub fn theme(config: &Config, paths: &Paths) -> Result<Theme, CliError> {
    theme_at(config, paths, ColorDepth::from_env(&env))
}

/// How many colours there are: `auto` where the user says nothing.
fn depth_of(config: &Config, auto: ColorDepth) -> ColorDepth {
    match config.color {
        ColorChoice::Auto => auto,
        ColorChoice::Never => ColorDepth::None,
        ColorChoice::Ansi16 => ColorDepth::Ansi16,
        ColorChoice::Ansi256 => ColorDepth::Ansi256,
        ColorChoice::TrueColor => ColorDepth::TrueColor,
    }
}

/// The theme in force, at `depth` where the user asks for none.
pub fn theme_at(config: &Config, paths: &Paths, depth: ColorDepth) -> Result<Theme, CliError> {
    let depth = depth_of(config, depth);
    let name = match config.theme.as_str() {
        "auto" => Theme::auto_name(&env, depth),
        "dark" => "quarterdeck-dark",
        "light" => "quarterdeck-light",
        name => name,
    };
    let theme = Theme::load(name, Some(&paths.themes_dir))?;
    Ok(theme.with_depth(depth))
}

/// What `auto` takes by the terminal's background, dark and light, where the terminal is to be asked for it:
/// it has said nothing in `COLORFGBG`, has colours, and takes a question for what it is.
pub fn by_ground(config: &Config, paths: &Paths) -> Result<Option<[Theme; 2]>, CliError> {
    let plain = env("TERM").is_some_and(|t| t == "linux" || t.starts_with("vt"));
    let depth = depth_of(config, ColorDepth::from_env(&env));
    let colours = matches!(depth, ColorDepth::TrueColor | ColorDepth::Ansi256);
    if config.theme != "auto" || plain || !colours || env("COLORFGBG").is_some() {
        return Ok(None);
    }
    let load = |name| Theme::load(name, Some(&paths.themes_dir)).map(|t| t.with_depth(depth));
    Ok(Some([load("quarterdeck-dark")?, load("quarterdeck-light")?]))
}

/// True when the terminal cannot show Unicode, or the user wants none.
pub fn ascii(config: &Config) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(env).unwrap_or_default();
    let utf8 = locale.to_lowercase().replace('-', "").contains("utf8");
    // No locale at all is common in containers, and their terminals speak UTF-8.
    config.ascii || (!utf8 && matches!(locale.as_str(), "C" | "POSIX"))
}

/// From when on use is a warning, or critical.
pub fn thresholds(config: &Config) -> Thresholds {
    let limits = |warn, critical| Threshold { warn: f64::from(warn), critical: f64::from(critical) };
    Thresholds {
        cpu: limits(config.cpu_warn, config.cpu_critical),
        memory: limits(config.memory_warn, config.memory_critical),
    }
}

/// The app as the configuration wants it.
pub fn app(config: &Config, paths: &Paths) -> Result<App, CliError> {
    let keymap = Keymap::load(&config.keymap, Some(&paths.keymaps_dir))?;
    let settings = Settings {
        start: ViewKind::from_name(&config.view).unwrap_or(ViewKind::Overview),
        wide: config.wide,
        read_only: config.read_only,
        log_bytes: usize::try_from(config.logs_buffer).unwrap_or(usize::MAX),
        log_tail: config.logs_tail,
        log_since: config.logs_since.map(|d| u32::try_from(d.as_secs()).unwrap_or(u32::MAX)),
        log_wrap: config.logs_wrap,
        log_timestamps: config.logs_timestamps,
        thresholds: thresholds(config),
        log_file: None,
        columns: crate::view::column_infos,
    };
    let mut app = App::new(settings, keymap);
    app.set_runbooks(Library::load(&runbook_dirs(config, paths)));
    app.runbooks.fetch.clone_from(&config.runbooks_fetch);
    Ok(app)
}

/// Where the user's runbooks are.
pub fn runbook_dirs(config: &Config, paths: &Paths) -> Vec<PathBuf> {
    if config.runbooks_dir.is_empty() { vec![paths.config_dir.join("runbooks")] } else { config.runbooks_dir.clone() }
}

/// Sources at work, and the store that expects them.
pub struct Reading {
    /// What is known: nothing yet.
    pub store: Store,
    /// What comes in.
    pub observations: mpsc::Receiver<Observation>,
    /// On demand.
    pub backend: Backend,
    /// The embedded fleet, when it is what is read.
    pub sim: Option<SimServer>,
    /// What may be changed.
    pub policy: Policy,
    /// What can be.
    pub systems: Systems,
}

impl Reading {
    /// Where actions are planned and run, with the audit in this state directory.
    #[must_use]
    pub fn desk(&self, state_dir: &Path, clock: &Clock) -> Desk {
        actors::desk(self.policy.clone(), self.systems.clone(), state_dir, clock)
    }

    /// Ends the embedded fleet, if there is one.
    pub async fn stop(self) {
        drop(self.backend);
        if let Some(sim) = self.sim {
            sim.stop().await;
        }
    }
}

/// The scenario of this name, or in this file.
fn scenario(name: &str, parameters: Parameters) -> Result<Scenario, CliError> {
    let path = std::path::Path::new(name);
    if path.extension().is_some() || name.contains('/') {
        return Ok(Scenario::load(path, parameters)?);
    }
    Ok(Scenario::embedded(name, parameters)?)
}

/// What the fleet of a scenario promises its users: of the services that it has. `None` where
/// that is nothing.
#[cfg(any(feature = "aws", feature = "prometheus"))]
pub fn demo_objectives(name: &str) -> Result<Option<crate::slo::Outcome>, CliError> {
    let scenario = scenario(name, Parameters::default())?;
    let files = scenario.objectives().iter().map(|(name, text)| config::diagnostic::Source::new(*name, *text));
    let mut outcome = crate::slo::read(&files.collect::<Vec<_>>());
    outcome.definitions.retain(|d| scenario.has_service(d.objective.service.as_str()));
    Ok((!outcome.definitions.is_empty()).then_some(outcome))
}

/// Starts the embedded fleet, with time from `clock`.
pub async fn start_sim(
    name: &str,
    parameters: Parameters,
    options: ServerOptions,
    clock: Clock,
) -> Result<SimServer, CliError> {
    let scenario = scenario(name, parameters)?;
    let options = ServerOptions { ecs: scenario.ecs().to_vec(), seed: scenario.seed(), ..options };
    Ok(SimServer::start(Box::new(Model::new(scenario)), clock, options).await?)
}

/// Starts reading the demo's fleet: this build cannot.
#[cfg(not(any(feature = "kubernetes", feature = "aws", feature = "prometheus")))]
pub fn read_demo(_cli: &Cli, _config: &Config, _clock: &Clock, _sim: SimServer) -> Result<Reading, CliError> {
    Err(color_eyre::eyre::eyre!("this build reads no clusters, and no embedded fleet"))
}
/// Starts reading: this build cannot.
#[cfg(not(any(feature = "kubernetes", feature = "aws", feature = "prometheus")))]
#[expect(clippy::unused_async, reason = "the same call with and without the adapters")]
pub async fn read(_cli: &Cli, _config: &Config, _clock: &Clock) -> Result<Reading, CliError> {
    Err(color_eyre::eyre::eyre!(
        "this build reads no clusters: it was made without the features `kubernetes`, `aws` and `prometheus`"
    ))
}
#[cfg(any(feature = "kubernetes", feature = "aws", feature = "prometheus"))]
pub use super::reading::{read, read_demo};
