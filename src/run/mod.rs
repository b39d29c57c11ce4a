//! The loop: input first, then answers, then observations in batches under a
//! time budget; drawing only when something changed.

mod ahead;
pub mod backend;
mod bell;
mod effects;
pub mod gather;
pub mod journal;
pub mod notify;
pub mod session;
pub mod wall;

use std::path::PathBuf;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::action::session::Session;
use crate::app::App;
use crate::clock::{Clock, instant};
use crate::domain::Timestamp;
use crate::store::memo::Door;
use crate::store::{Observation, Store};
use crate::term::ground::{Ground, Heard};
use crate::term::line::{LOOK_AGAIN, Line};
use crate::term::typed;
use crate::term::{Input, Screen, input};
use crate::theme::Theme;
use crate::view::columns::Context;
use backend::{Backend, Reply};

/// How long observations, or answers, may keep input waiting.
const APPLY_BUDGET: Duration = Duration::from_millis(2);
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
    /// How it looks once the terminal has said what its background is, dark and light; `None` where it
    /// is not asked.
    pub by_ground: Option<[Theme; 2]>,
    /// No Unicode.
    pub ascii: bool,
    /// The time.
    pub clock: Clock,
    /// Where screens are saved.
    pub screens: PathBuf,
    /// Where what became of notices is kept; `None` where nothing is kept.
    pub journal: Option<journal::Journal>,
    /// Where ticks in runbooks are kept; `None` where nothing is kept.
    pub progress: Option<PathBuf>,
    /// How to tell of new page-level alarms.
    pub notifier: notify::Notifier,
    /// The line to the user.
    pub line: Line,
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

impl Signals {
    fn catch() -> Result<Self, RunError> {
        let catch = |kind| signal(kind).map_err(RunError::Signals);
        Ok(Self {
            term: catch(SignalKind::terminate())?,
            hup: catch(SignalKind::hangup())?,
            int: catch(SignalKind::interrupt())?,
            tstp: catch(SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw()))?,
            cont: catch(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
        })
    }
}

/// What woke the loop.
enum Woken {
    Input(Option<std::io::Result<crossterm::event::Event>>),
    Reply(Reply),
    Observation(Observation),
    Session(Session),
    End(i32),
    Suspend,
    Continued,
    Tick,
}

/// How often data alone is worth a frame: a key that comes while one is drawn waits for its end, so frames that take
/// long come seldom.
#[derive(Debug, Clone, Copy, Default)]
struct Pace {
    /// What a frame costs. It is half forgotten with each that costs less.
    cost: Duration,
}

impl Pace {
    /// Drawing takes one part in so many of the time.
    const SHARE: u32 = 6;
    /// Countdowns go on: data is never longer off the screen than this.
    const MOST: Duration = Duration::from_millis(250);

    fn took(&mut self, cost: Duration) {
        self.cost = cost.max(self.cost / 2);
    }

    /// From one frame to the next, but no less than `least`.
    fn interval(self, least: Duration) -> Duration {
        (self.cost * Self::SHARE).min(Self::MOST).max(least)
    }
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
    mut sessions: mpsc::Receiver<Session>,
) -> Result<End, RunError> {
    let mut signals = Signals::catch()?;
    let (reply_tx, mut replies) = mpsc::channel(256);
    backend.answer_to(reply_tx);
    let (mut screen, mut ground) = console.enter().map_err(RunError::Terminal)?;
    let mut dirty = Dirty::Now;
    let (mut drawn, mut caught_up) = (instant(), instant());
    let (mut second, mut kept_up) = (0, 0);
    let mut ahead = ahead::Ahead::default();
    let mut pace = Pace::default();
    loop {
        let now = console.clock.now();
        if now.timestamp() != kept_up {
            kept_up = now.timestamp();
            if effects::keep_up_logs(console, &mut backend) | console.settle(now) {
                dirty = dirty.max(Dirty::Soon);
            }
        }
        // Right after a key's frame no key is likely to wait for what takes long.
        let due = console.is_due(dirty, caught_up.elapsed(), pace);
        // On a slow line a frame more only makes all of them later.
        let held = due && console.line.is_behind(dirty == Dirty::Now, drawn.elapsed());
        if due && !held {
            if console.timed_frame(&mut screen, now, &mut pace).map_err(RunError::Terminal)? {
                caught_up = instant();
            }
            #[cfg(feature = "aws")]
            backend.show(&console.app.shown(&console.store));
            // What was a moment old is drawn again; it is new before long.
            dirty = if console.store.patience.was_used() { Dirty::Soon } else { Dirty::No };
            (drawn, second) = (instant(), now.timestamp());
        }
        if let Some((signal, text)) = console.notifier.due(&mut console.store, now) {
            screen.signal(signal, &text).map_err(RunError::Terminal)?;
        }
        let wait = if held { LOOK_AGAIN } else { console.wait(dirty, caught_up.elapsed(), pace, now) };
        match wake(
            &mut screen,
            &console.store.patience.door,
            &mut signals,
            (&mut replies, &mut observations, &mut sessions),
            wait,
        )
        .await
        {
            Woken::End(number) => return Ok(End::Signal(number)),
            // Standard input is gone, and with it the user.
            Woken::Input(None | Some(Err(_))) => return Ok(End::Signal(rustix::process::Signal::HUP.as_raw())),
            Woken::Input(Some(Ok(event))) if ahead.keeps(&console.app, &event) => {}
            Woken::Input(Some(Ok(event))) => {
                let Some(what) = input(event) else { continue };
                dirty = Dirty::Now;
                let ended = console.answer(&mut ground, &mut backend, &mut screen, what);
                if ended.map_err(RunError::Terminal)? {
                    return Ok(End::Quit);
                }
            }
            Woken::Reply(reply) => {
                let now = console.clock.now();
                let Console { app, store, .. } = &mut *console;
                let door = store.patience.door.clone();
                drain(reply, &mut replies, (APPLY_BUDGET, &door), |r| backend::take(&mut backend, app, store, r, now));
                dirty = dirty.max(Dirty::Soon);
                // Answers come first, but a log that never stops must not keep the rest of the fleet waiting.
                if let Ok(first) = observations.try_recv() {
                    console.apply(first, &mut observations);
                }
            }
            Woken::Observation(first) => {
                if console.apply(first, &mut observations) {
                    dirty = dirty.max(Dirty::Soon);
                }
            }
            Woken::Session(lent) => {
                let back =
                    session::hold(&mut screen, lent, ahead.lent(&console.app)).await.map_err(RunError::Terminal)?;
                if let session::Back::Signal(number) = back {
                    return Ok(End::Signal(number));
                }
                // What the other program was sent meanwhile was not for us.
                signals = Signals::catch()?;
                dirty = Dirty::Now;
            }
            Woken::Suspend if !Screen::can_suspend() => {}
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
    door: &Door,
    signals: &mut Signals,
    (replies, observations, sessions): (
        &mut mpsc::Receiver<Reply>,
        &mut mpsc::Receiver<Observation>,
        &mut mpsc::Receiver<Session>,
    ),
    wait: Duration,
) -> Woken {
    let events = async {
        match &mut screen.events {
            Some(events) => bell::next(events, door).await,
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
        Some(session) = sessions.recv() => Woken::Session(session),
        Some(reply) = replies.recv() => Woken::Reply(reply),
        Some(observation) = observations.recv() => Woken::Observation(observation),
        () = tokio::time::sleep(wait) => Woken::Tick,
    }
}

/// Takes what has arrived until there is no more, the budget is used up or somebody is at the door; the
/// rest stays for the next time, after the input.
fn drain<T>(first: T, more: &mut mpsc::Receiver<T>, (budget, door): (Duration, &Door), mut take: impl FnMut(T)) {
    let start = instant();
    take(first);
    while start.elapsed() < budget && !door.is_knocked_at() {
        match more.try_recv() {
            Ok(next) => take(next),
            Err(_) => break,
        }
    }
}

impl Console {
    /// Takes the terminal, and asks it what its background is where that decides on the theme.
    fn enter(&mut self) -> std::io::Result<(Screen, Ground)> {
        let mut screen = Screen::enter()?;
        self.store.patience.door = Door::with_look(typed::is_waiting);
        if self.by_ground.is_none() {
            return Ok((screen, Ground::default()));
        }
        screen.ask_ground()?;
        Ok((screen, Ground::asked()))
    }

    /// Does what the user asks for; true when the console shall end. The next frame answers that.
    fn answer(
        &mut self,
        ground: &mut Ground,
        backend: &mut Backend,
        screen: &mut Screen,
        what: Input,
    ) -> std::io::Result<bool> {
        self.store.patience.hurry(true);
        for what in self.heard(ground, what) {
            if effects::on_input(self, backend, screen, what)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What the user did; what the terminal says of itself is none of it, and changes the theme.
    fn heard(&mut self, ground: &mut Ground, what: Input) -> Vec<Input> {
        let Input::Key(key) = what else { return vec![what] };
        match ground.hear(key) {
            Heard::Nothing => Vec::new(),
            Heard::Keys(keys) => keys.into_iter().map(Input::Key).collect(),
            Heard::Light(light) => {
                if let Some([dark, bright]) = self.by_ground.take() {
                    tracing::info!(light, "the terminal says what its background is");
                    self.theme = if light { bright } else { dark };
                }
                Vec::new()
            }
        }
    }

    /// Applies what has arrived, for as long as the budget lasts; true if that changed anything.
    fn apply(&mut self, first: Observation, more: &mut mpsc::Receiver<Observation>) -> bool {
        let before = self.store.revision() + self.store.usage.revision();
        let door = self.store.patience.door.clone();
        drain(first, more, (APPLY_BUDGET, &door), |o| self.store.apply(o));
        self.store.revision() + self.store.usage.revision() != before
    }

    /// Says what became of notices, and keeps it; true if that changed anything.
    fn settle(&mut self, now: Timestamp) -> bool {
        let before = self.store.revision();
        self.store.keep_up(now);
        let over = self.store.notices.take_unwritten();
        if let Some(Err(error)) = self.journal.as_ref().map(|j| j.append(&over)) {
            // It stays on screen; only the history of later lacks it.
            tracing::error!(%error, "what became of notices cannot be kept");
            self.app.complain(now, &format!("the history of notices cannot be written: {error}"));
        }
        self.store.revision() != before
    }

    fn is_due(&self, dirty: Dirty, since: Duration, pace: Pace) -> bool {
        let may_wait = || since < pace.interval(self.draw_interval) || self.store.patience.door.is_knocked_at();
        dirty == Dirty::Now || (dirty == Dirty::Soon && !may_wait())
    }

    /// Draws a frame; true if it shows everything that has come. One for a key does not, and what a key cut short is drawn
    /// right after the key's.
    fn timed_frame(&mut self, screen: &mut Screen, now: Timestamp, pace: &mut Pace) -> std::io::Result<bool> {
        let began = instant();
        self.store.patience.begin();
        let under_cursor = self.app.table().and_then(|t| t.under_cursor().cloned());
        self.frame(screen, now)?;
        self.app.drawn(under_cursor);
        let for_a_key = self.store.patience.is_hurried();
        if !for_a_key {
            pace.took(began.elapsed());
        }
        self.store.patience.hurry(false);
        Ok(!for_a_key && !self.store.patience.door.is_knocked_at())
    }

    fn frame(&mut self, screen: &mut Screen, now: Timestamp) -> std::io::Result<()> {
        if let Some(until) = self.app.look(now) {
            self.store.alarm_log.look(until);
        }
        let c = Context {
            store: &self.store,
            now,
            absolute: self.app.absolute,
            ascii: self.ascii,
            thresholds: self.app.settings.thresholds,
        };
        let (app, theme) = (&mut self.app, &self.theme);
        screen.draw(|buf, area| crate::ui::draw(buf, area, app, c, theme))
    }

    /// How long nothing has to happen: until the next frame that waits, or until
    /// the second changes and with it what is shown as ages.
    fn wait(&self, dirty: Dirty, since: Duration, pace: Pace, now: Timestamp) -> Duration {
        if dirty == Dirty::Soon {
            return pace.interval(self.draw_interval).saturating_sub(since).max(Duration::from_millis(1));
        }
        let millis = u64::from(now.timestamp_subsec_millis().min(999));
        Duration::from_millis(1001 - millis)
    }

    /// Brings the list on top up to date, so that a key acts on what is shown.
    fn arrange(&mut self, now: Timestamp) {
        let c = Context {
            store: &self.store,
            now,
            absolute: self.app.absolute,
            ascii: self.ascii,
            thresholds: self.app.settings.thresholds,
        };
        crate::view::before_a_key(&mut self.app, c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrives_faster_than_it_is_taken_does_not_keep_input_waiting() {
        let (tx, mut rx) = mpsc::channel(256);
        for n in 1..=256 {
            tx.try_send(n).unwrap();
        }
        let mut taken = Vec::new();
        let slow = |n| {
            let start = instant();
            while start.elapsed() < Duration::from_millis(1) {}
            taken.push(n);
        };
        drain(0, &mut rx, (Duration::from_millis(4), &Door::default()), slow);
        assert!(taken.len() <= 5, "{} taken in a budget for four", taken.len());
        assert_eq!(rx.len() + taken.len(), 257, "none is lost");
        assert_eq!(taken, (0..taken.len()).collect::<Vec<_>>(), "in order");
    }

    #[tokio::test]
    async fn what_is_typed_while_the_loop_is_at_work_knocks_at_the_door() {
        let (tx, mut events) = futures::channel::mpsc::unbounded();
        let door = Door::default();
        tx.unbounded_send('a').unwrap();
        assert_eq!(bell::next(&mut events, &door).await, Some('a'));
        assert!(!door.is_knocked_at());
        tokio::select! {
            biased;
            _ = bell::next(&mut events, &door) => unreachable!("nothing was typed"),
            () = std::future::ready(()) => {}
        }
        assert!(!door.is_knocked_at());
        tx.unbounded_send('b').unwrap();
        assert!(door.is_knocked_at(), "nobody asks for it at the moment");
        let (took, mut rx) = (std::cell::Cell::new(0), mpsc::channel::<u8>(1).1);
        drain(0, &mut rx, (Duration::from_secs(9), &door), |_| took.set(took.get() + 1));
        assert_eq!(took.get(), 1, "what has come is taken, no more");
        assert_eq!(bell::next(&mut events, &door).await, Some('b'));
        assert!(!door.is_knocked_at());
    }

    #[test]
    fn frames_that_take_long_come_seldom() {
        let least = Duration::from_millis(33);
        let mut pace = Pace::default();
        assert_eq!(pace.interval(least), least);
        pace.took(Duration::from_millis(1));
        assert_eq!(pace.interval(least), least);
        pace.took(Duration::from_millis(20));
        assert_eq!(pace.interval(least), Duration::from_millis(120));
        pace.took(Duration::from_millis(1));
        assert_eq!(pace.interval(least), Duration::from_millis(60), "the next may cost as much again");
        pace.took(Duration::from_secs(1));
        assert_eq!(pace.interval(least), Pace::MOST);
        assert_eq!(pace.interval(Duration::from_secs(1)), Duration::from_secs(1), "as the settings want it");
    }

    #[test]
    fn what_is_there_is_taken_as_a_whole_where_there_is_time() {
        let (tx, mut rx) = mpsc::channel(8);
        for n in 1..=8 {
            tx.try_send(n).unwrap();
        }
        let mut taken = 0;
        drain(0, &mut rx, (Duration::from_mins(1), &Door::default()), |_| taken += 1);
        assert_eq!(taken, 9);
    }
}
