//! `quarterdeck snapshot VIEW`: one settled frame, no terminal needed.

use std::process::ExitCode;
use std::time::Duration;

use color_eyre::eyre::eyre;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::sync::mpsc;

use super::args::{Cli, Picture, Snapshot};
use super::output::{fail, say};
use super::{CliError, export, session};
use crate::app::filter::Filter;
use crate::app::table::ViewKind;
use crate::app::wall::{Pace, Wall, WallPage};
use crate::app::{App, Effect};
use crate::clock::{Clock, instant};
use crate::run::backend::{self, Backend, Reply};
use crate::run::gather::{pass, settle};
use crate::store::{Observation, Store};
use crate::theme::{ColorDepth, Theme};
use crate::view::columns::Context;

/// How long sources may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a page opened by keys may take to fill: the first answer may take its time; what follows comes at
/// once, or is news.
const ANSWERS: Answers = Answers { within: Duration::from_secs(3), still: Duration::from_millis(700) };

/// How long answers are waited for.
#[derive(Debug, Clone, Copy)]
pub struct Answers {
    /// All of them, at the longest.
    pub within: Duration,
    /// Nothing came for so long after the first one: that was all.
    pub still: Duration,
}

/// A picture in the making.
pub struct Taking {
    /// What is known.
    pub store: Store,
    /// What is on screen.
    pub app: App,
    /// How it looks.
    pub theme: Theme,
    /// No Unicode.
    pub ascii: bool,
    /// The time shown.
    pub clock: Clock,
    /// Columns and rows.
    pub area: Rect,
    /// For pages that keys open.
    pub answers: Answers,
    /// A wallboard instead of a view: its state, how often sources speak, and the page, if one was named.
    pub wall: Option<(Wall, Pace, Option<WallPage>)>,
}

/// Prints the picture; exits with 2 when a source did not answer in time.
pub async fn run(cli: &Cli, options: &Snapshot) -> Result<ExitCode, CliError> {
    if let Some(dir) = &options.all {
        return super::gallery::write(dir).await;
    }
    let what = what(&options.what)?;
    let kind = if let What::View(kind) = what { kind } else { ViewKind::Overview };
    let (width, height) = size(&options.size)?;
    let place = session::place(cli)?;
    let config = session::load(cli, &place)?;
    let clock = Clock::system();
    let mut app = session::app(&config, &place.paths)?;
    app.show(kind);
    if let (Some(raw), Some(table)) = (&options.filter, app.table_mut()) {
        let keys: Vec<&str> = crate::view::column_infos(kind).iter().map(|c| c.key).collect();
        table.filter = Filter::parse(raw, &keys)?;
        table.touch();
    }
    let keys = options.keys.as_deref().map(crate::key::parse_sequence).transpose()?.unwrap_or_default();
    let reading = session::read(cli, &config, &clock).await?;
    // A plan can be pictured. Nothing here carries one out.
    let desk = reading.desk(config.state_dir(&place.paths), &clock);
    let (mut observations, mut backend) = (reading.observations, reading.backend.and_desk(desk));
    let mut taking = Taking {
        store: reading.store,
        app,
        theme: match options.format {
            // A picture is looked at elsewhere: this terminal's limits are not its own.
            Picture::Svg => session::theme_at(&config, &place.paths, ColorDepth::TrueColor)?,
            Picture::Text | Picture::Ansi => session::theme(&config, &place.paths)?,
        },
        ascii: session::ascii(&config),
        wall: match what {
            What::View(_) => None,
            What::Wall(page) => {
                let wall = Wall::new(super::wallboard::rules(&config), clock.now());
                Some((wall, super::wallboard::pace(&config, cli.common.demo.is_some()), page))
            }
        },
        clock,
        area: Rect::new(0, 0, width, height),
        answers: ANSWERS,
    };
    let complete = settle(&mut taking.store, &mut observations, PATIENCE).await;
    pass(&mut taking.store, &mut observations, &taking.clock, Duration::from_secs(options.after)).await;
    taking.draw();
    taking.press(&keys, &mut backend, &mut observations).await;
    let buf = taking.draw();
    say(&match options.format {
        Picture::Text => export::text(&buf),
        Picture::Ansi => export::ansi(&buf),
        Picture::Svg => export::svg(&buf, &taking.theme),
    });
    let now = taking.clock.now();
    let failed = crate::view::summary::clusters(&taking.store, now).iter().any(crate::view::status::has_failed);
    drop(backend);
    if let Some(sim) = reading.sim {
        sim.stop().await;
    }
    if !complete {
        fail("not every source answered in time; `quarterdeck doctor` says why");
        return Ok(ExitCode::from(2));
    }
    if failed {
        fail("a source failed, so the picture is not whole; `quarterdeck doctor` says why");
        return Ok(ExitCode::from(2));
    }
    Ok(ExitCode::SUCCESS)
}

impl Taking {
    /// The frame as it is now.
    pub fn draw(&mut self) -> Buffer {
        let mut buf = Buffer::empty(self.area);
        let now = self.clock.now();
        let c = Context {
            store: &self.store,
            now,
            absolute: self.app.absolute,
            ascii: self.ascii,
            thresholds: self.app.settings.thresholds,
        };
        if let Some((wall, pace, page)) = &mut self.wall {
            wall.tick(now, crate::view::wall::urgent(c, pace));
            if let Some(page) = page {
                wall.choose(*page, now);
            }
            crate::ui::wall::draw(&mut buf, self.area, wall, c, pace, &self.theme);
        } else {
            crate::ui::draw(&mut buf, self.area, &mut self.app, c, &self.theme);
        }
        buf
    }

    /// Presses keys as the console would, and waits for the pages they open.
    pub async fn press(
        &mut self,
        keys: &[crate::key::Key],
        backend: &mut Backend,
        observations: &mut mpsc::Receiver<Observation>,
    ) {
        let (tx, mut replies) = mpsc::channel::<Reply>(256);
        backend.answer_to(tx);
        for key in keys {
            let now = self.clock.now();
            let mut waits = false;
            if let Some((wall, ..)) = &mut self.wall {
                let _ = wall.press(*key, now);
                continue;
            }
            for effect in self.app.press(*key, &self.store, now) {
                match effect {
                    Effect::Fetch { page, id, kind } => {
                        backend.fetch(page, id, kind, self.clock.clone(), &self.store);
                        waits = true;
                    }
                    Effect::Logs(request) => {
                        backend.logs(&request, &self.store);
                        waits = true;
                    }
                    // What would happen can be pictured; it is never done.
                    Effect::Plan { ticket, round, intent } => {
                        backend.plan(ticket, round, intent);
                        waits = true;
                    }
                    _ => {}
                }
            }
            if waits {
                let (start, mut answered) = (instant(), false);
                while let Some(left) = self.answers.within.checked_sub(start.elapsed()) {
                    let quiet = if answered { left.min(self.answers.still) } else { left };
                    match tokio::time::timeout(quiet, replies.recv()).await {
                        Ok(Some(reply)) => {
                            answered = true;
                            backend::take(backend, &mut self.app, &self.store, reply, self.clock.now());
                        }
                        Ok(None) | Err(_) => break,
                    }
                }
            }
            while let Ok(observation) = observations.try_recv() {
                self.store.apply(observation);
            }
            self.store.keep_up(self.clock.now());
            self.draw();
        }
    }
}

/// What is pictured.
enum What {
    /// A view of the console.
    View(ViewKind),
    /// The wallboard: the page that it would show, or this one.
    Wall(Option<WallPage>),
}

/// The view of this name, or a page of the wallboard: `wallboard:alarms`.
fn what(raw: &str) -> Result<What, CliError> {
    if raw == "wallboard" {
        return Ok(What::Wall(None));
    }
    if let Some(name) = raw.strip_prefix("wallboard:") {
        let page = WallPage::from_name(name).ok_or_else(|| {
            let names: Vec<_> = WallPage::ALL.iter().map(|p| p.name()).collect();
            eyre!("the wallboard has no page `{name}`; there are {}", names.join(", "))
        })?;
        return Ok(What::Wall(Some(page)));
    }
    let kind = ViewKind::from_name(raw).ok_or_else(|| {
        let names: Vec<_> = ViewKind::ALL.iter().map(|k| k.name()).collect();
        eyre!("there is no view `{raw}`; there are {}, and wallboard", names.join(", "))
    })?;
    Ok(What::View(kind))
}

fn size(raw: &str) -> Result<(u16, u16), CliError> {
    let parsed = raw.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    match parsed {
        Some((w @ 1..=1000, h @ 1..=1000)) => Ok((w, h)),
        _ => Err(eyre!("`{raw}` is no size: columns x rows, each from 1 to 1000, such as 160x48")),
    }
}
