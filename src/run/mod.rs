//! The loop: input first, then answers, then observations in batches under a
//! time budget; drawing only when something changed.

pub mod backend;
mod effects;
pub mod gather;

use std::time::Duration;

use futures::StreamExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::app::App;
use crate::clock::{Clock, instant};
use crate::config::Paths;
use crate::domain::Timestamp;
use crate::store::{Observation, Store};
use crate::term::{Screen, input};
use crate::theme::Theme;
use crate::view::columns::Context;
use backend::{Backend, Reply};

/// How long observations may keep input waiting.
const APPLY_BUDGET: Duration = Duration::from_millis(4);
/// How many observations may wait; sources wait beyond that.
pub const OBSERVATIONS: usize = 512;

/// Everything the loop needs.
pub struct Console {
    /// What is known.
    pub store: Store,
    /// What the user does.
    pub app: App,
    /// How it looks.
    pub theme: Theme,
    /// No Unicode.
    pub ascii: bool,
    /// The time.
    pub clock: Clock,
    /// Where screens are saved.
    pub paths: Paths,
    /// Shortest time between two frames that nobody asked for by a key.
    pub draw_interval: Duration,
}

/// Why the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The user quit.
    Quit,
    /// A signal asked for it.
    Signal(i32),
}

/// The loop failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The terminal cannot be used.
    #[error(
        "the terminal cannot be used: {0}; standard input and output must be a terminal (use `snapshot` or `status` where there is none)"
    )]
    Terminal(std::io::Error),
    /// Signals cannot be caught.
    #[error("signals cannot be caught: {0}")]
    Signals(std::io::Error),
}

struct Signals {
    term: Signal,
    hup: Signal,
    int: Signal,
    tstp: Signal,
    cont: Signal,
}

/// What woke the loop.
enum Woken {
    Input(Option<std::io::Result<crossterm::event::Event>>),
    Reply(Reply),
    Observation(Observation),
    End(i32),
    Suspend,
    Continued,
    Tick,
}

/// How the screen needs drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Dirty {
    No,
    /// Data changed: within the drawing interval.
    Soon,
    /// The user did something: now.
    Now,
}

/// Runs the console until it is told to end.
///
/// # Errors
/// When the terminal or signals cannot be used. A source's failure is no error.
pub async fn run(
    console: &mut Console,
    mut backend: Backend,
    mut observations: mpsc::Receiver<Observation>,
) -> Result<End, RunError> {
    let catch = |kind| signal(kind).map_err(RunError::Signals);
    let mut signals = Signals {
        term: catch(SignalKind::terminate())?,
        hup: catch(SignalKind::hangup())?,
        int: catch(SignalKind::interrupt())?,
        tstp: catch(SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw()))?,
        cont: catch(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
    };
    let (reply_tx, mut replies) = mpsc::channel(256);
    backend.answer_to(reply_tx);
    let mut screen = Screen::enter().map_err(RunError::Terminal)?;
    let mut dirty = Dirty::Now;
    let mut drawn = instant();
    let mut second = 0;
    loop {
        let now = console.clock.now();
        if dirty == Dirty::Now || (dirty == Dirty::Soon && drawn.elapsed() >= console.draw_interval) {
            console.frame(&mut screen, now).map_err(RunError::Terminal)?;
            #[cfg(feature = "aws")]
            backend.show(&console.app.shown(&console.store));
            (dirty, drawn, second) = (Dirty::No, instant(), now.timestamp());
        }
        let wait = console.wait(dirty, drawn.elapsed(), now);
        match wake(&mut screen, &mut signals, &mut replies, &mut observations, wait).await {
            Woken::End(number) => return Ok(End::Signal(number)),
            // Standard input is gone, and with it the user.
            Woken::Input(None | Some(Err(_))) => return Ok(End::Signal(rustix::process::Signal::HUP.as_raw())),
            Woken::Input(Some(Ok(event))) => {
                let Some(what) = input(event) else { continue };
                dirty = Dirty::Now;
                let ended = effects::on_input(console, &mut backend, &mut screen, what);
                if ended.map_err(RunError::Terminal)? {
                    return Ok(End::Quit);
                }
            }
            Woken::Reply(reply) => {
                backend::take(&mut console.app, reply, console.clock.now());
                while let Ok(more) = replies.try_recv() {
                    backend::take(&mut console.app, more, console.clock.now());
                }
                dirty = dirty.max(Dirty::Soon);
            }
            Woken::Observation(first) => {
                let before = console.store.revision() + console.store.usage.revision();
                console.apply(first, &mut observations);
                if console.store.revision() + console.store.usage.revision() != before {
                    dirty = dirty.max(Dirty::Soon);
                }
            }
            Woken::Suspend => {
                screen.suspend().map_err(RunError::Terminal)?;
                dirty = Dirty::Now;
            }
            Woken::Continued => {
                screen.clear().map_err(RunError::Terminal)?;
                dirty = Dirty::Now;
            }
            Woken::Tick => {
                let now = console.clock.now();
                if console.app.tick(now) || now.timestamp() != second {
                    dirty = Dirty::Now;
                }
            }
        }
    }
}

async fn wake(
    screen: &mut Screen,
    signals: &mut Signals,
    replies: &mut mpsc::Receiver<Reply>,
    observations: &mut mpsc::Receiver<Observation>,
    wait: Duration,
) -> Woken {
    let events = async {
        match &mut screen.events {
            Some(events) => events.next().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        _ = signals.term.recv() => Woken::End(rustix::process::Signal::TERM.as_raw()),
        _ = signals.hup.recv() => Woken::End(rustix::process::Signal::HUP.as_raw()),
        _ = signals.int.recv() => Woken::End(rustix::process::Signal::INT.as_raw()),
        _ = signals.tstp.recv() => Woken::Suspend,
        _ = signals.cont.recv() => Woken::Continued,
        event = events => Woken::Input(event),
        Some(reply) = replies.recv() => Woken::Reply(reply),
        Some(observation) = observations.recv() => Woken::Observation(observation),
        () = tokio::time::sleep(wait) => Woken::Tick,
    }
}

impl Console {
    /// Applies what has arrived, for as long as the budget lasts.
    fn apply(&mut self, first: Observation, more: &mut mpsc::Receiver<Observation>) {
        let start = instant();
        self.store.apply(first);
        while start.elapsed() < APPLY_BUDGET {
            match more.try_recv() {
                Ok(observation) => self.store.apply(observation),
                Err(_) => break,
            }
        }
    }

    fn frame(&mut self, screen: &mut Screen, now: Timestamp) -> std::io::Result<()> {
        let c = Context { store: &self.store, now, absolute: self.app.absolute, ascii: self.ascii };
        let (app, theme) = (&mut self.app, &self.theme);
        screen.draw(|buf, area| crate::ui::draw(buf, area, app, c, theme))
    }

    /// How long nothing has to happen: until the next frame that waits, or until
    /// the second changes and with it what is shown as ages.
    fn wait(&self, dirty: Dirty, since_drawn: Duration, now: Timestamp) -> Duration {
        if dirty == Dirty::Soon {
            return self.draw_interval.saturating_sub(since_drawn).max(Duration::from_millis(1));
        }
        let millis = u64::from(now.timestamp_subsec_millis().min(999));
        Duration::from_millis(1001 - millis)
    }

    /// Brings the list on top up to date, so that a key acts on what is shown.
    fn arrange(&mut self, now: Timestamp) {
        let c = Context { store: &self.store, now, absolute: self.app.absolute, ascii: self.ascii };
        if let Some(table) = self.app.table_mut() {
            crate::view::arrange(table, c);
        }
    }
}
