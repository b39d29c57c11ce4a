//! Telling somebody who does not look at the screen of a new page-level alarm.

use crate::clock::minute_of_day;
use crate::config::{Notify, QuietHours};
use crate::domain::{ObjectId, Timestamp};
use crate::store::Store;
use crate::term::Signal;

/// How many alarms a message names.
const NAMED: usize = 3;

/// How, and when not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Notifier {
    /// How.
    pub how: Notify,
    /// When not, by the machine's own clock.
    pub quiet: Option<QuietHours>,
}

impl Notifier {
    /// What the terminal is sent now, if anything. Each alarm is taken from the store's
    /// list, so that it is told once; what began in quiet hours is not told afterwards:
    /// the screen has it, marked as new.
    pub fn due(&self, store: &mut Store, now: Timestamp) -> Option<(Signal, String)> {
        let new = store.alarm_log.take_pages();
        let signal = match self.how {
            Notify::Off => return None,
            Notify::Bell => Signal::Bell,
            Notify::Osc9 => Signal::Osc9,
            Notify::Osc777 => Signal::Osc777,
        };
        if new.is_empty() || self.quiet.is_some_and(|q| q.has(minute_of_day(now))) {
            return None;
        }
        Some((signal, words(&new)))
    }
}

/// `web-5xx-high fires`, `5 alarms fire: a, b, c and 2 more`.
fn words(alarms: &[ObjectId]) -> String {
    if let [one] = alarms {
        return format!("{} fires ({})", one.name, one.cluster);
    }
    let names: Vec<&str> = alarms.iter().take(NAMED).map(|a| a.name.as_str()).collect();
    let more = alarms.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{} alarms fire: {}{more}", alarms.len(), names.join(", "))
}
