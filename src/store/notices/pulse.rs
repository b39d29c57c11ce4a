//! A console that was stopped (`ctrl-z`, a lid that was closed) saw nothing meanwhile: what
//! became of notices is judged once the sources have caught up, and not by what it saw too late.

use chrono::TimeDelta;

use super::Case;
use super::case::TOLERANCE;
use crate::domain::Timestamp;
use crate::domain::notice::Outcome;
use crate::store::Store;

/// Seconds come one by one; after a gap like this nobody was there.
const PAUSE: TimeDelta = TimeDelta::seconds(10);
/// Sources need so long until they have told what happened meanwhile: some must connect again.
const CATCH_UP: TimeDelta = TimeDelta::seconds(20);

/// When the console looked.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    last: Option<Timestamp>,
    /// From when until when it last did not.
    slept: Option<(Timestamp, Timestamp)>,
}

impl Pulse {
    fn beat(&mut self, now: Timestamp) {
        if let Some(last) = self.last.replace(now).filter(|last| now - *last >= PAUSE) {
            // What it slept through before, and had not caught up with, is one with it.
            let from = self.slept.filter(|_| !self.is_awake(last)).map_or(last, |(from, _)| from);
            self.slept = Some((from, now));
        }
    }

    /// False while what happened meanwhile may not have been told yet.
    pub(super) fn is_awake(&self, now: Timestamp) -> bool {
        self.slept.is_none_or(|(_, woke)| now >= woke + CATCH_UP)
    }

    /// What can be said of a case that ended meanwhile: what has no time of its own was seen
    /// late, which does not make it late.
    pub(super) fn doubt(&self, case: &Case) -> Option<Outcome> {
        let (outcome, _) = case.outcome?;
        let (from, woke) = self.slept?;
        let gone = case.gone.as_ref().map(|g| g.at);
        let end = gone.or(case.deadline().map(|d| d.at))?;
        if end <= from || end > woke + CATCH_UP {
            return None;
        }
        match outcome {
            Outcome::Cut { tasks } => {
                let late = case
                    .tasks
                    .iter()
                    .filter_map(|t| t.left)
                    .filter(|l| !l.killed && l.at > end + TOLERANCE && l.at >= woke && l.at <= woke + CATCH_UP);
                match (u32::try_from(late.count()).unwrap_or(u32::MAX), tasks) {
                    (0, _) => None,
                    (late, all) if late >= all => Some(Outcome::Unseen),
                    (late, all) => Some(Outcome::Cut { tasks: all - late }),
                }
            }
            // Back, but since when?
            Outcome::NotReplaced if case.back.is_some_and(|back| back >= woke) => Some(Outcome::Unseen),
            _ => None,
        }
    }
}

impl Store {
    /// Lets a second pass: says what became of what is over ([`Store::settle`]), unless the
    /// console has just been woken and has not heard yet what happened meanwhile. To be called
    /// once a second, by whoever is there all the time.
    pub fn keep_up(&mut self, now: Timestamp) {
        self.notices.pulse.beat(now);
        if self.notices.pulse.is_awake(now) {
            self.settle(now);
        }
    }
}
