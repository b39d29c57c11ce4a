//! Cron schedules: five fields of `*`, numbers, ranges, lists and steps, in UTC.

use super::meta::{Ms, civil};

const MINUTE: Ms = 60_000;

/// A parsed schedule: a bit for each minute, hour, day, month and weekday.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Cron's odd rule: with both days given, either will do.
    either: bool,
}

impl Schedule {
    /// `None` when it is not a schedule.
    pub fn parse(text: &str) -> Option<Self> {
        let text = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            other => other,
        };
        let f: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = f.as_slice() else { return None };
        let weekdays = field(weekday, 0, 7)?;
        Some(Self {
            minutes: field(minute, 0, 59)?,
            hours: field(hour, 0, 23)?,
            days: field(day, 1, 31)?,
            months: field(month, 1, 12)?,
            weekdays: weekdays | (weekdays >> 7 & 1),
            either: !day.starts_with('*') && !weekday.starts_with('*'),
        })
    }

    fn day(&self, at: Ms) -> bool {
        let (_, mo, d, _, _, _, w) = civil(at);
        let (by_day, by_week) = (self.days >> d & 1 == 1, self.weekdays >> w & 1 == 1);
        self.months >> mo & 1 == 1 && if self.either { by_day || by_week } else { by_day && by_week }
    }

    /// Whether it rings in this minute.
    pub fn matches(&self, at: Ms) -> bool {
        let (_, _, _, h, m, _, _) = civil(at);
        self.day(at) && self.hours >> h & 1 == 1 && self.minutes >> m & 1 == 1
    }

    /// The first minute after `after` at which it rings, within four years.
    pub fn next(&self, after: Ms) -> Option<Ms> {
        let mut at = (after.div_euclid(MINUTE) + 1) * MINUTE;
        let end = at + 4 * 366 * 1440 * MINUTE;
        while at < end {
            if !self.day(at) {
                at = (at.div_euclid(1440 * MINUTE) + 1) * 1440 * MINUTE;
            } else if self.hours >> civil(at).3 & 1 == 0 {
                at = (at.div_euclid(60 * MINUTE) + 1) * 60 * MINUTE;
            } else if self.matches(at) {
                return Some(at);
            } else {
                at += MINUTE;
            }
        }
        None
    }

    /// The last minutes up to `before` at which it rang, newest first.
    pub fn previous(&self, before: Ms, n: usize) -> Vec<Ms> {
        let start = before.div_euclid(MINUTE) * MINUTE;
        (0..8 * 1440).map(|i| start - i * MINUTE).filter(|at| self.matches(*at)).take(n).collect()
    }
}

fn field(text: &str, lo: u32, hi: u32) -> Option<u64> {
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((r, s)) => (r, s.parse().ok().filter(|s| *s > 0)?),
            None => (part, 1_u32),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (lo, hi),
            Some((a, b)) => (a.parse().ok()?, b.parse().ok()?),
            None => {
                let n = range.parse().ok()?;
                (n, if part.contains('/') { hi } else { n })
            }
        };
        if from < lo || to > hi || from > to {
            return None;
        }
        let mut n = from;
        while n <= to {
            bits |= 1 << n;
            n += step;
        }
    }
    Some(bits)
}
