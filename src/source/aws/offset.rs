//! How far this machine's clock is from AWS's, by the `Date` of its answers.

use chrono::{DateTime, TimeDelta};

use crate::domain::Timestamp;

/// Less than this is no difference: a `Date` has whole seconds, and takes its time.
const IGNORED: TimeDelta = TimeDelta::seconds(2);
/// How much the two may drift apart before what was learnt earlier is given up.
const DRIFT: TimeDelta = TimeDelta::milliseconds(500);

/// What the answers so far leave possible: each narrows it, and one that does not fit
/// begins anew, since somebody set a clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offset(Option<(TimeDelta, TimeDelta)>);

impl Offset {
    /// Takes in one answer: when it was asked and when it came by this machine's clock,
    /// and its `Date`, which is in whole seconds, rounded down.
    pub fn learn(&mut self, asked: Timestamp, came: Timestamp, date: &str) {
        let Ok(theirs) = DateTime::parse_from_rfc2822(date) else { return };
        let theirs = theirs.to_utc();
        // Their clock stood between `date` and a second later, at some time between the two.
        let (low, high) = (asked - theirs - TimeDelta::seconds(1), came - theirs);
        if low > high {
            return;
        }
        self.0 = Some(match self.0 {
            Some((l, h)) if low <= h + DRIFT && l <= high + DRIFT => {
                let (l, h) = (l.max(low), h.min(high));
                if l <= h { (l, h) } else { (low, high) }
            }
            _ => (low, high),
        });
    }

    /// How far this machine's clock is ahead of AWS's; negative if behind. Zero where the
    /// difference is no more than that of two good clocks, or nothing is known.
    #[must_use]
    pub fn get(&self) -> TimeDelta {
        let Some((low, high)) = self.0 else { return TimeDelta::zero() };
        let middle = low + (high - low) / 2;
        if middle.abs() < IGNORED { TimeDelta::zero() } else { middle }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{TimeZone, Utc};

    fn at(secs: i64, millis: i64) -> Timestamp {
        Utc.with_ymd_and_hms(2026, 11, 20, 3, 14, 0).unwrap()
            + TimeDelta::seconds(secs)
            + TimeDelta::milliseconds(millis)
    }

    fn date(t: Timestamp) -> String {
        t.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    #[test]
    fn many_answers_make_it_exact_to_less_than_the_seconds_they_have() {
        let mut offset = Offset::default();
        assert_eq!(offset.get(), TimeDelta::zero());
        let ahead = TimeDelta::milliseconds(90_300);
        for n in 0..20 {
            let theirs = at(n, (n * 137) % 1000);
            offset.learn(theirs + ahead - TimeDelta::milliseconds(20), theirs + ahead, &date(theirs));
        }
        assert!((offset.get() - ahead).abs() < TimeDelta::milliseconds(120), "{:?}", offset.get());
    }

    #[test]
    fn good_clocks_are_left_alone_and_a_clock_that_is_set_is_followed() {
        let mut offset = Offset::default();
        offset.learn(at(0, 0), at(1, 500), &date(at(0, 0)));
        assert_eq!(offset.get(), TimeDelta::zero());
        offset.learn(at(90, 0), at(90, 100), &date(at(0, 0)));
        assert!((offset.get().num_milliseconds() - 89_550).abs() <= 50, "{:?}", offset.get());
        offset.learn(at(0, 0), at(0, 100), &date(at(90, 0)));
        assert!((offset.get().num_milliseconds() + 90_450).abs() <= 50, "{:?}", offset.get());
        offset.learn(at(0, 0), at(0, 100), "yesterday");
        assert_ne!(offset.get(), TimeDelta::zero());
    }
}
