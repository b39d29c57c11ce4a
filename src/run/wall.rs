//! The wallboard's loop. It needs no input, writes nothing anywhere but its own state, and ends by `q`
//! or a signal only: sources that fail, a silent night or a standard input that is gone are no reasons.

use std::io;
use std::time::Duration;

use futures::StreamExt;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::backend::Backend;
use super::journal::Journal;
use super::notify::Notifier;
use super::{APPLY_BUDGET, End, RunError, drain};
use crate::app::wall::{Pace, Pressed, Wall, shift};
use crate::clock::Clock;
use crate::domain::{ObjectId, Thresholds, Timestamp};
use crate::store::memo::Door;
use crate::store::{Observation, Store};
use crate::term::{Input, Screen, input};
use crate::theme::Theme;
use crate::view::columns::Context;
use crate::view::wall;

/// Everything on the wall.
pub struct Wallboard {
    /// What is known.
    pub store: Store,
    /// Which page is on the screen, and why.
    pub wall: Wall,
    /// How often sources speak when all is well.
    pub pace: Pace,
    /// How it looks.
    pub theme: Theme,
    /// No Unicode.
    pub ascii: bool,
    /// From when on use is a warning, or critical.
    pub thresholds: Thresholds,
    /// The time.
    pub clock: Clock,
    /// Where what became of notices is kept; `None` where nothing is kept.
    pub journal: Option<Journal>,
    /// How to tell of new page-level alarms.
    pub notifier: Notifier,
}

struct Signals {
    term: Signal,
    hup: Signal,
    int: Signal,
    stop: Signal,
    cont: Signal,
    size: Signal,
}

enum Woken {
    Input(Option<io::Result<crossterm::event::Event>>),
    Observation(Observation),
    End(i32),
    /// Everything is to be drawn again from nothing.
    Anew,
    Nothing,
    Tick,
}

/// Runs the wallboard until it is told to end.
///
/// # Errors
/// When the terminal cannot be written to, or signals cannot be caught. Nothing else.
pub async fn run(
    board: &mut Wallboard,
    backend: Backend,
    mut observations: mpsc::Receiver<Observation>,
) -> Result<End, RunError> {
    let catch = |kind| signal(kind).map_err(RunError::Signals);
    let mut signals = Signals {
        term: catch(SignalKind::terminate())?,
        hup: catch(SignalKind::hangup())?,
        int: catch(SignalKind::interrupt())?,
        stop: catch(SignalKind::from_raw(Number::TSTP.as_raw()))?,
        cont: catch(SignalKind::from_raw(Number::CONT.as_raw()))?,
        size: catch(SignalKind::window_change())?,
    };
    // The sources live as long as it does, whether or not anything is asked of it.
    #[cfg(not(feature = "aws"))]
    let _ = &backend;
    let mut screen = Screen::enter_to_show().map_err(RunError::Terminal)?;
    let (mut second, mut moved, mut anew) = (i64::MIN, shift(board.clock.now()), false);
    loop {
        let now = board.clock.now();
        if now.timestamp() != second {
            second = now.timestamp();
            board.step(now);
            #[cfg(feature = "aws")]
            backend.show(&board.shown(now));
            if let Some((signal, text)) = board.notifier.due(&mut board.store, now) {
                written(screen.signal(signal, &text))?;
            }
        }
        // Where everything moves everything is drawn anew, and with it goes what others wrote there.
        if shift(now) != moved {
            (moved, anew) = (shift(now), true);
        }
        anew |= screen.has_new_size();
        if anew {
            // A size that cannot be asked for now can be later.
            anew = screen.clear().is_err();
        }
        written(screen.draw(|buf, area| {
            board.draw(buf, area, now);
            None
        }))?;
        loop {
            let millis = u64::from(board.clock.now().timestamp_subsec_millis().min(999));
            let until_next_second = Duration::from_millis(1001 - millis);
            match wake(&mut screen, &mut signals, &mut observations, until_next_second).await {
                Woken::End(number) => return Ok(End::Signal(number)),
                // Whoever typed is gone; who looks is not.
                Woken::Input(None | Some(Err(_))) => screen.events = None,
                Woken::Input(Some(Ok(event))) => match input(event) {
                    Some(Input::Key(key)) => match board.wall.press(key, board.clock.now()) {
                        Pressed::Quit => return Ok(End::Quit),
                        Pressed::Changed => break,
                        Pressed::Nothing => {}
                    },
                    Some(Input::Resize) => {
                        anew = true;
                        break;
                    }
                    Some(Input::Paste(_)) | None => {}
                },
                Woken::Anew => {
                    anew = true;
                    break;
                }
                Woken::Observation(first) => {
                    // Keys are seldom here.
                    drain(first, &mut observations, (APPLY_BUDGET, &Door::default()), |o| board.store.apply(o));
                    // Whatever comes in, the clock goes on.
                    if board.clock.now().timestamp() != second {
                        break;
                    }
                }
                Woken::Nothing => {}
                Woken::Tick => break,
            }
        }
    }
}

/// A terminal that takes nothing just now has missed a frame; one that is gone ends the wallboard.
fn written(result: io::Result<()>) -> Result<(), RunError> {
    match result {
        Err(e) if !matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
            Err(RunError::Terminal(e))
        }
        _ => Ok(()),
    }
}

async fn wake(
    screen: &mut Screen,
    signals: &mut Signals,
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
        _ = signals.term.recv() => Woken::End(Number::TERM.as_raw()),
        _ = signals.hup.recv() => Woken::End(Number::HUP.as_raw()),
        _ = signals.int.recv() => Woken::End(Number::INT.as_raw()),
        // A wallboard is not suspended: below it might be a shell.
        _ = signals.stop.recv() => Woken::Nothing,
        _ = signals.cont.recv() => Woken::Anew,
        _ = signals.size.recv() => Woken::Anew,
        event = events => Woken::Input(event),
        Some(observation) = observations.recv() => Woken::Observation(observation),
        () = tokio::time::sleep(wait) => Woken::Tick,
    }
}

impl Wallboard {
    /// Lets a second pass: what became of notices, and which page is next. True if another page is shown.
    pub fn step(&mut self, now: Timestamp) -> bool {
        self.store.keep_up(now);
        let over = self.store.notices.take_unwritten();
        if let Some(Err(error)) = self.journal.as_ref().map(|j| j.append(&over)) {
            tracing::error!(%error, "what became of notices cannot be kept");
        }
        let urgent = wall::urgent(self.context(now), &self.pace);
        self.wall.tick(now, urgent)
    }

    /// Draws what is on the wall at this moment.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, now: Timestamp) {
        crate::ui::wall::draw(buf, area, &self.wall, self.context(now), &self.pace, &self.theme);
    }

    /// The ECS services whose figures are on the wall.
    #[must_use]
    pub fn shown(&self, now: Timestamp) -> Vec<ObjectId> {
        wall::shown(self.context(now), &self.wall)
    }

    /// What views are made from.
    #[must_use]
    pub fn context(&self, now: Timestamp) -> Context<'_> {
        Context { store: &self.store, now, absolute: false, ascii: self.ascii, thresholds: self.thresholds }
    }
}
