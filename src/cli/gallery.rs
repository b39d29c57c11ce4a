//! `quarterdeck snapshot --all DIR`: the pictures of the documents, made from the embedded fleet with a clock
//! that stands still. The same program makes the same bytes, whatever the day and the machine.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use clap::Parser as _;
use color_eyre::eyre::eyre;
use ratatui::layout::Rect;
use tokio::sync::mpsc;

use super::args::Cli;
use super::output::say;
use super::snapshot::{Answers, Taking};
use super::{CliError, export, session};
use crate::app::wall::{Wall, WallPage};
use crate::clock::{Clock, instant};
use crate::config::{self, Config, LoadOptions, Overrides, Paths};
use crate::domain::Timestamp;
use crate::run::gather::{pass, settle};
use crate::store::{Feed, Observation, Store};
use crate::theme::Theme;

/// How to make the pictures again.
pub const COMMAND: &str = "cargo run -- snapshot --all screenshots";

/// Somebody is called at 03:14 on a Sunday: seconds since the epoch.
const NIGHT: i64 = 1_772_334_840;
/// How long a fleet may take to be read, in real time.
const PATIENCE: Duration = Duration::from_mins(2);
/// A fleet is read when nothing on any picture has changed for so long: longer than any source sleeps in a demo.
const STILL: Duration = Duration::from_secs(7);

const SMALL: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (120, 40);
/// Enough to tell themes apart.
const STRIP: (u16, u16) = (120, 24);

/// A fleet at a moment, and the pictures of it.
struct Album {
    scenario: &'static str,
    /// How long it has lived, in seconds.
    age: u32,
    /// What the configuration says of its clusters.
    settings: &'static str,
    scenes: &'static [Scene],
}

/// What is on screen.
struct Scene {
    /// The picture's name, before its size.
    name: &'static str,
    /// Keys that lead there, from the overview; or `wall PAGE`.
    keys: &'static str,
    sizes: &'static [(u16, u16)],
    /// Once in each theme, instead of the default one.
    themes: bool,
    caption: &'static str,
}

const BOTH: &[(u16, u16)] = &[SMALL, LARGE];

const fn scene(name: &'static str, keys: &'static str, caption: &'static str) -> Scene {
    Scene { name, keys, sizes: BOTH, themes: false, caption }
}

const fn large(name: &'static str, keys: &'static str, caption: &'static str) -> Scene {
    Scene { sizes: &[LARGE], ..scene(name, keys, caption) }
}

static ALBUMS: &[Album] = &[
    Album {
        scenario: "bad-deploy",
        age: 240,
        settings: "",
        scenes: &[
            scene("overview", "1", "The overview: each cluster in numbers, and what is wrong, worst first."),
            scene("tasks", "3", "Tasks: pods and ECS tasks in one list."),
            large("tasks-details", "3 v", "The details of what is selected, beside the list."),
            scene("workloads", "4", "Workloads: a rollout that is stuck."),
            scene("events", "5", "Events, newest first; what a cluster repeats is counted."),
            large("describe", "3 d", "One task, with its events."),
            large("logs", "4 l", "The logs of a whole workload."),
            large(
                "ecs-tasks",
                "3 / c l u s t e r = s h o p - e c s enter",
                "ECS tasks that failed, with ECS's reason.",
            ),
            large("palette", "3 : n o", "Every command, by a few letters of its name."),
            large("help", "3 ?", "Every key that does something here."),
            Scene {
                name: "theme",
                keys: "3 v",
                sizes: &[STRIP],
                themes: true,
                caption: "The same screen in every theme.",
            },
        ],
    },
    Album {
        scenario: "bad-deploy",
        age: 240,
        settings: "[[cluster]]\ncontext = \"demo\"\nproduction = true\n",
        scenes: &[
            scene("plan", "2 G r", "What an action would do, before it is done; in production it asks for more."),
            large("production", "2", "A production cluster looks like one, in every list."),
        ],
    },
    Album {
        scenario: "zone-down",
        age: 240,
        settings: "",
        scenes: &[
            scene("nodes", "2", "Nodes: a zone went away."),
            scene("map", "6", "The map: every node with its tasks as marks, the worst first."),
        ],
    },
    Album {
        scenario: "budget-burn",
        age: 600,
        settings: "",
        scenes: &[
            scene("alarms", "7", "Alarms of every system, gathered so that one outage is a few lines."),
            large("runbook", "7 , b", "The runbook of an alarm, filled in with what it is about."),
            scene("budgets", "8", "Error budgets: what is left, and when it is gone."),
            large("budgets-details", "8 v", "A budget's burn-down, with its alarms and changes on one axis."),
            scene("services", "9", "Services: rate, errors, latency, saturation."),
            large("wallboard-budgets", "wall budgets", "The wallboard's page of budgets."),
        ],
    },
    Album {
        scenario: "spot-storm",
        age: 200,
        settings: "",
        scenes: &[
            scene("spot", "0", "Notices: what is going to go and when, and whether the time will do."),
            scene("pools", "0 p", "Pools: how often they are taken back, and who leans on one."),
            large("wallboard", "wall overview", "The wallboard's overview."),
        ],
    },
];

/// One picture, or the page about all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The file's name.
    pub file: String,
    /// What is in it.
    pub text: String,
}

/// Writes every picture and the page about them into `dir`.
pub(super) async fn write(dir: &Path) -> Result<ExitCode, CliError> {
    std::fs::create_dir_all(dir)?;
    let all = pictures().await?;
    for picture in &all {
        std::fs::write(dir.join(&picture.file), &picture.text)?;
    }
    say(&format!("{} files in {}", all.len(), dir.display()));
    Ok(ExitCode::SUCCESS)
}

/// Every picture, and the page about them (`README.md`), in the page's order.
///
/// # Errors
/// When a fleet cannot be started or read to its end.
pub async fn pictures() -> Result<Vec<Picture>, CliError> {
    // All at once: most of the time goes into waiting until nothing changes any more.
    let albums = futures::future::try_join_all(ALBUMS.iter().map(take)).await?;
    let mut out: Vec<Picture> = albums.into_iter().flatten().collect();
    out.push(Picture { file: "README.md".to_owned(), text: page() });
    Ok(out)
}

/// The names of the files of a scene, each with its size and theme.
fn files(scene: &Scene) -> Vec<(String, (u16, u16), &'static str)> {
    if scene.themes {
        let size = scene.sizes.first().copied().unwrap_or(STRIP);
        return Theme::names().into_iter().map(|t| (format!("{}-{t}.svg", scene.name), size, t)).collect();
    }
    let name = |size: &(u16, u16)| format!("{}-{}x{}.svg", scene.name, size.0, size.1);
    scene.sizes.iter().map(|size| (name(size), *size, "quarterdeck-dark")).collect()
}

/// The pictures of one fleet.
async fn take(album: &Album) -> Result<Vec<Picture>, CliError> {
    let dir = tempfile::Builder::new().prefix("quarterdeck-gallery-").tempdir()?;
    let paths = Paths::demo(dir.path());
    std::fs::create_dir_all(&paths.config_dir)?;
    std::fs::write(paths.config_file(), album.settings)?;
    let cli = Cli::try_parse_from(["quarterdeck", "--demo", album.scenario])?;
    let mut config =
        config::load(LoadOptions { file: None, env: &|_| None, cli: Overrides::default(), paths: &paths })?;
    // One measurement: how many there were would be a matter of how long it all took.
    config.metrics_interval = Duration::from_hours(1);
    let night = DateTime::from_timestamp(NIGHT, 0).unwrap_or_default();
    let clock = Clock::manual(night - TimeDelta::seconds(i64::from(album.age)));
    let sim = super::demo::lived(album.scenario, album.age, &clock).await?;
    let reading = session::read_demo(&cli, &config, &clock, sim)?;
    let desk = reading.desk(&paths.state_dir, &clock);
    let mut observations = reading.observations;
    let mut backend = reading.backend.and_desk(desk);
    let mut taking = Taking {
        store: reading.store,
        app: session::app(&config, &paths)?,
        theme: Theme::embedded_default(),
        ascii: false,
        clock,
        area: Rect::default(),
        answers: Answers { within: PATIENCE, still: STILL },
        wall: None,
    };
    let start = instant();
    who_is_there(&mut taking.store, &mut observations).await;
    if !settle(&mut taking.store, &mut observations, PATIENCE).await {
        return Err(eyre!("{}: not every source answered", album.scenario));
    }
    let mut seen = glance(&mut taking, album, &config, &paths)?;
    let mut since = instant();
    while since.elapsed() < STILL {
        if start.elapsed() > PATIENCE {
            return Err(eyre!("{}: the fleet does not come to rest", album.scenario));
        }
        pass(&mut taking.store, &mut observations, &taking.clock, Duration::from_millis(500)).await;
        let now = glance(&mut taking, album, &config, &paths)?;
        if now != seen {
            (seen, since) = (now, instant());
        }
    }
    let mut out = Vec::new();
    for scene in album.scenes {
        for (file, size, theme) in files(scene) {
            set(&mut taking, scene, size, &config, &paths)?;
            taking.theme = Theme::load(theme, None)?;
            if taking.wall.is_none() {
                taking.draw();
                let keys = crate::key::parse_sequence(scene.keys)?;
                taking.press(&keys, &mut backend, &mut observations).await;
            }
            let text = export::svg(&taking.draw(), &taking.theme);
            out.push(Picture { file, text });
        }
    }
    drop(backend);
    if let Some(sim) = reading.sim {
        sim.stop().await;
    }
    Ok(out)
}

/// Reads what runs before what is going to go, and that source by source: what became of machines that went
/// before anybody looked hangs on who was heard first.
async fn who_is_there(store: &mut Store, observations: &mut mpsc::Receiver<Observation>) {
    let (start, mut held) = (instant(), Vec::new());
    let known = |store: &Store| {
        let complete = |id, feed| store.source(id, feed).is_some_and(|s| s.complete);
        store.clusters().all(|(id, _)| complete(id, Feed::Nodes) && complete(id, Feed::Tasks))
    };
    let mut since = None;
    while start.elapsed() < PATIENCE {
        if since.is_none() && known(store) {
            since = Some(instant());
        }
        if since.is_some_and(|s| s.elapsed() > STILL) {
            break;
        }
        match tokio::time::timeout(Duration::from_millis(500), observations.recv()).await {
            Ok(Some(observation)) if observation.source.feed == Feed::Notices => held.push(observation),
            Ok(Some(observation)) => store.apply(observation),
            Ok(None) => break,
            Err(_) => {}
        }
    }
    held.sort_by(|a, b| a.source.cmp(&b.source));
    for observation in held {
        store.apply(observation);
    }
}

/// A desk that nobody has touched, or a wallboard.
fn set(
    taking: &mut Taking,
    scene: &Scene,
    (width, height): (u16, u16),
    config: &Config,
    paths: &Paths,
) -> Result<(), CliError> {
    taking.app = session::app(config, paths)?;
    taking.area = Rect::new(0, 0, width, height);
    let now: Timestamp = taking.clock.now();
    taking.wall = scene.keys.strip_prefix("wall ").map(|page| {
        let wall = Wall::new(super::wallboard::rules(config), now);
        (wall, super::wallboard::pace(config, true), WallPage::from_name(page))
    });
    Ok(())
}

/// All that can be seen without asking anybody for more.
fn glance(taking: &mut Taking, album: &Album, config: &Config, paths: &Paths) -> Result<Vec<String>, CliError> {
    let mut out = Vec::new();
    for scene in album.scenes {
        set(taking, scene, LARGE, config, paths)?;
        taking.draw();
        if taking.wall.is_none() {
            for key in crate::key::parse_sequence(scene.keys.split(' ').next().unwrap_or_default())? {
                let _ = taking.app.press(key, &taking.store, taking.clock.now());
            }
        }
        out.push(export::text(&taking.draw()));
    }
    Ok(out)
}

/// The page about the pictures.
fn page() -> String {
    let mut out = format!(
        "<!-- Written by the program: `{COMMAND}`. -->\n# Screenshots\n\nMade from the embedded fleet by one command, `{COMMAND}`; a test makes them anew and compares.\n\
         Each is a view at 80 by 24, the smallest terminal there is, and at 120 by 40. To see one live:\n`quarterdeck --demo SCENARIO`, and the keys, once the scenario is as old as the picture: four minutes, of `budget-burn` ten, of\n`spot-storm` 200 seconds.\n"
    );
    for album in ALBUMS {
        for scene in album.scenes {
            let live = match scene.keys.strip_prefix("wall ") {
                Some(page) => format!("`quarterdeck wallboard --demo {} --pages {page}`", album.scenario),
                None => format!("`quarterdeck --demo {}`, keys `{}`", album.scenario, scene.keys),
            };
            let _ = write!(out, "\n## {}\n\n{} {live}.\n\n", scene.name, scene.caption);
            for (file, ..) in files(scene).iter().rev() {
                let _ = writeln!(out, "![{}]({file})", file.trim_end_matches(".svg"));
            }
        }
    }
    out
}
