//! Windows: those that look back from now, and those of the calendar.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, Days, LocalResult, Months, NaiveDateTime, TimeDelta, TimeZone};
use chrono_tz::Tz;

use crate::domain::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Why a window cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// No number with a unit.
    #[error("not a duration")]
    NotADuration,
    /// Nothing, or more than ten years.
    #[error("a window has a minute at least and ten years at most")]
    OutOfRange,
    /// A month has no fixed length.
    #[error("months, quarters and years belong to the calendar")]
    NeedsCalendar,
    /// The calendar has no such period.
    #[error("a calendar window is of days, weeks, months, quarters or years")]
    NoCalendarUnit,
}

/// A window of fixed length that ends now, in seconds; at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lookback(u64);

impl Lookback {
    /// So many minutes; 0 counts as one.
    #[must_use]
    pub const fn minutes(n: u64) -> Self {
        Self::seconds(n.saturating_mul(MINUTE))
    }

    /// So many hours; 0 counts as a second.
    #[must_use]
    pub const fn hours(n: u64) -> Self {
        Self::seconds(n.saturating_mul(HOUR))
    }

    /// So many days; 0 counts as a second.
    #[must_use]
    pub const fn days(n: u64) -> Self {
        Self::seconds(n.saturating_mul(DAY))
    }

    /// So many seconds; 0 counts as one.
    #[must_use]
    pub const fn seconds(n: u64) -> Self {
        Self(if n == 0 { 1 } else { n })
    }

    /// Its length.
    #[must_use]
    pub const fn secs(self) -> u64 {
        self.0
    }

    /// Its length as a span of time.
    #[must_use]
    pub fn delta(self) -> TimeDelta {
        TimeDelta::seconds(i64::try_from(self.0).unwrap_or(i64::MAX / 1000))
    }
}

/// As Prometheus writes it, in one unit: `5m`, `90m`, `1h`, `30d`.
impl fmt::Display for Lookback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (n, unit) = match self.0 {
            n if n % DAY == 0 => (n / DAY, 'd'),
            n if n % HOUR == 0 => (n / HOUR, 'h'),
            n if n % MINUTE == 0 => (n / MINUTE, 'm'),
            n => (n, 's'),
        };
        f.pad(&format!("{n}{unit}"))
    }
}

/// Reads `30s`, `5m`, `1h`, `3d` and `4w`.
impl FromStr for Lookback {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, WindowError> {
        let (n, unit) = number_and_unit(text)?;
        let unit = match unit {
            "s" => 1,
            "m" => MINUTE,
            "h" => HOUR,
            "d" => DAY,
            "w" => 7 * DAY,
            "M" | "Q" | "Y" => return Err(WindowError::NeedsCalendar),
            _ => return Err(WindowError::NotADuration),
        };
        let secs = n.checked_mul(unit).ok_or(WindowError::OutOfRange)?;
        if secs == 0 || secs > 3660 * DAY { Err(WindowError::OutOfRange) } else { Ok(Self(secs)) }
    }
}

fn number_and_unit(text: &str) -> Result<(u64, &str), WindowError> {
    let at = text.find(|c: char| !c.is_ascii_digit()).ok_or(WindowError::NotADuration)?;
    let (n, unit) = text.split_at(at);
    if n.is_empty() {
        return Err(WindowError::NotADuration);
    }
    Ok((n.parse().map_err(|_| WindowError::OutOfRange)?, unit))
}

/// A period of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// From midnight to midnight, 23 to 25 hours.
    Day,
    /// Seven days.
    Week,
    /// 28 to 31 days.
    Month,
    /// Three months.
    Quarter,
    /// Twelve months.
    Year,
}

impl Unit {
    /// Its word, in the singular.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }

    /// As days or as months.
    fn steps(self) -> (u32, u32) {
        match self {
            Self::Day => (1, 0),
            Self::Week => (7, 0),
            Self::Month => (0, 1),
            Self::Quarter => (0, 3),
            Self::Year => (0, 12),
        }
    }
}

/// Reads a calendar duration as OpenSLO writes it: `1d`, `2w`, `1M`, `1Q`, `1Y`.
///
/// # Errors
/// When it is something else, or of hours or minutes.
pub fn calendar_unit(text: &str) -> Result<(Unit, u32), WindowError> {
    let (n, unit) = number_and_unit(text)?;
    let unit = match unit {
        "d" => Unit::Day,
        "w" => Unit::Week,
        "M" => Unit::Month,
        "Q" => Unit::Quarter,
        "Y" => Unit::Year,
        "s" | "m" | "h" => return Err(WindowError::NoCalendarUnit),
        _ => return Err(WindowError::NotADuration),
    };
    match u32::try_from(n) {
        Ok(n @ 1..=120) => Ok((unit, n)),
        _ => Err(WindowError::OutOfRange),
    }
}

/// The window over which a budget is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Period {
    /// The time up to now: what is old falls out, and the budget comes back.
    Rolling(Lookback),
    /// From one civil date to the next; the budget is new at each.
    Calendar {
        /// Of what.
        unit: Unit,
        /// How many of them, at least 1.
        count: u32,
        /// A moment at which one begins, as clocks in `zone` show it.
        anchor: NaiveDateTime,
        /// Whose clocks.
        zone: Tz,
    },
}

impl Period {
    /// When the period that holds `now` begins and ends. A rolling one ends now.
    #[must_use]
    pub fn bounds(&self, now: Timestamp) -> (Timestamp, Timestamp) {
        match self {
            Self::Rolling(w) => (now.checked_sub_signed(w.delta()).unwrap_or(now), now),
            Self::Calendar { unit, count, anchor, zone } => {
                let local = now.with_timezone(zone).naive_local();
                let (days, months) = unit.steps();
                let (days, months) = (i64::from(days * count), i64::from(months * count));
                let guess = if months > 0 {
                    let month = |t: &NaiveDateTime| i64::from(t.year()) * 12 + i64::from(t.month0());
                    (month(&local) - month(anchor)).div_euclid(months)
                } else {
                    (local.date() - anchor.date()).num_days().div_euclid(days.max(1))
                };
                let start = |k: i64| civil(step(*anchor, k * days, k * months), *zone).unwrap_or(now);
                // The time of day can make it the one before, an odd zone the one after.
                let k = [guess + 1, guess, guess - 1].into_iter().find(|k| start(*k) <= now).unwrap_or(guess - 2);
                (start(k), start(k + 1))
            }
        }
    }

    /// The real length of the period that holds `now`: a March in New York has 743 hours.
    #[must_use]
    pub fn length(&self, now: Timestamp) -> Lookback {
        match self {
            Self::Rolling(w) => *w,
            Self::Calendar { .. } => {
                let (start, end) = self.bounds(now);
                Lookback::seconds(u64::try_from((end - start).num_seconds()).unwrap_or(0))
            }
        }
    }

    /// How far into the period `now` is. A rolling one is always full.
    #[must_use]
    pub fn elapsed(&self, now: Timestamp) -> Lookback {
        let (start, _) = self.bounds(now);
        Lookback::seconds(u64::try_from((now - start).num_seconds()).unwrap_or(0))
    }

    /// A length that does not change with the date, for thresholds: a month counts 30
    /// days, a quarter 90, a year 365.
    #[must_use]
    pub fn nominal(&self) -> Lookback {
        match self {
            Self::Rolling(w) => *w,
            Self::Calendar { unit, count, .. } => {
                let days = match unit {
                    Unit::Day => 1,
                    Unit::Week => 7,
                    Unit::Month => 30,
                    Unit::Quarter => 90,
                    Unit::Year => 365,
                };
                Lookback::days(days * u64::from(*count))
            }
        }
    }

    /// The shortest and the longest it can be, summer time aside.
    #[must_use]
    pub fn range(&self) -> (Lookback, Lookback) {
        let (short, long) = match self {
            Self::Rolling(w) => return (*w, *w),
            Self::Calendar { unit: Unit::Month, count: 1, .. } => (28, 31),
            Self::Calendar { unit: Unit::Quarter, count: 1, .. } => (90, 92),
            Self::Calendar { unit: Unit::Year, count: 1, .. } => (365, 366),
            Self::Calendar { .. } => return (self.nominal(), self.nominal()),
        };
        (Lookback::days(short), Lookback::days(long))
    }
}

/// `30d rolling`, or `each month, Europe/Berlin`.
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rolling(w) => f.pad(&format!("{w} rolling")),
            Self::Calendar { unit, count: 1, zone, .. } => f.pad(&format!("each {}, {zone}", unit.word())),
            Self::Calendar { unit, count, zone, .. } => f.pad(&format!("every {count} {}s, {zone}", unit.word())),
        }
    }
}

fn step(from: NaiveDateTime, days: i64, months: i64) -> Option<NaiveDateTime> {
    let size = |n: i64| u32::try_from(n.unsigned_abs()).ok();
    let at = if months >= 0 {
        from.checked_add_months(Months::new(size(months)?))
    } else {
        from.checked_sub_months(Months::new(size(months)?))
    }?;
    let days_abs = Days::new(days.unsigned_abs());
    if days >= 0 { at.checked_add_days(days_abs) } else { at.checked_sub_days(days_abs) }
}

/// The moment at which clocks in `zone` show `local`: the first one of two, and
/// the end of the gap when clocks skip it.
fn civil(local: Option<NaiveDateTime>, zone: Tz) -> Option<Timestamp> {
    let local = local?;
    (0..=16).find_map(|quarter| {
        let later = local.checked_add_signed(TimeDelta::minutes(15 * quarter))?;
        match zone.from_local_datetime(&later) {
            LocalResult::Single(t) | LocalResult::Ambiguous(t, _) => Some(t.to_utc()),
            LocalResult::None => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::NaiveDate;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn calendar(unit: Unit, count: u32, anchor: &str, zone: &str) -> Period {
        let anchor = NaiveDateTime::parse_from_str(anchor, "%Y-%m-%d %H:%M:%S").unwrap();
        Period::Calendar { unit, count, anchor, zone: zone.parse().unwrap() }
    }

    #[test]
    fn durations_are_read_and_written_alike() {
        for (text, secs, back) in
            [("5m", 300, "5m"), ("90m", 5400, "90m"), ("24h", 86400, "1d"), ("4w", 2_419_200, "28d")]
        {
            let w: Lookback = text.parse().unwrap();
            assert_eq!((w.secs(), w.to_string().as_str()), (secs, back));
        }
        for (text, why) in [
            ("1M", WindowError::NeedsCalendar),
            ("0m", WindowError::OutOfRange),
            ("99999d", WindowError::OutOfRange),
            ("99999999999999999999d", WindowError::OutOfRange),
            ("30", WindowError::NotADuration),
            ("m", WindowError::NotADuration),
            ("1.5h", WindowError::NotADuration),
            ("1h30m", WindowError::NotADuration),
        ] {
            assert_eq!(text.parse::<Lookback>(), Err(why), "{text}");
        }
        assert_eq!(calendar_unit("1M"), Ok((Unit::Month, 1)));
        assert_eq!(calendar_unit("1m"), Err(WindowError::NoCalendarUnit));
        assert_eq!(calendar_unit("0d"), Err(WindowError::OutOfRange));
    }

    #[test]
    fn periods_begin_where_clocks_say() {
        let month = calendar(Unit::Month, 1, "2026-01-01 00:00:00", "Europe/Berlin");
        assert_eq!(month.bounds(at("2026-03-31T21:59:59Z")).0, at("2026-02-28T23:00:00Z"));
        assert_eq!(month.bounds(at("2026-03-31T22:00:00Z")).0, at("2026-03-31T22:00:00Z"));
        // The last day of a month, from an anchor on the 31st.
        let late = calendar(Unit::Month, 1, "2026-01-31 12:00:00", "UTC");
        assert_eq!(late.bounds(at("2026-03-01T00:00:00Z")), (at("2026-02-28T12:00:00Z"), at("2026-03-31T12:00:00Z")));
        let noon = calendar(Unit::Week, 1, "2022-01-01 12:00:00", "America/New_York");
        assert_eq!(noon.bounds(at("2026-11-25T08:00:00Z")).0, at("2026-11-21T17:00:00Z"));
        let quarter = calendar(Unit::Quarter, 1, "2026-01-01 00:00:00", "UTC");
        assert_eq!(quarter.bounds(at("2025-12-31T23:00:00Z")).0, at("2025-10-01T00:00:00Z"), "before the anchor, too");
        let year = calendar(Unit::Year, 1, "2024-02-29 00:00:00", "UTC");
        assert_eq!(year.bounds(at("2025-02-28T00:00:00Z")).0, at("2025-02-28T00:00:00Z"));
    }

    #[test]
    fn a_day_that_begins_in_a_gap_begins_after_it() {
        // Clocks in Santiago went from 23:59:59 to 01:00:00 on 7 September 2025.
        let day = calendar(Unit::Day, 1, "2025-09-01 00:00:00", "America/Santiago");
        let (start, end) = day.bounds(at("2025-09-07T12:00:00Z"));
        assert_eq!((start, end), (at("2025-09-07T04:00:00Z"), at("2025-09-08T03:00:00Z")));
        assert_eq!(day.length(at("2025-09-07T12:00:00Z")), Lookback::hours(23));
    }

    #[test]
    fn months_have_their_real_length() {
        let month = calendar(Unit::Month, 1, "2020-01-01 00:00:00", "America/New_York");
        for (y, m, hours) in [(2026, 2, 672), (2026, 3, 743), (2026, 4, 720), (2026, 11, 721)] {
            let day = NaiveDate::from_ymd_opt(y, m, 15).unwrap().and_hms_opt(0, 0, 0).unwrap().and_utc();
            assert_eq!(month.length(day), Lookback::hours(hours), "{y}-{m}");
        }
        assert_eq!(month.nominal(), Lookback::days(30));
    }
}
