//! What reading AWS costs: requests counted, CloudWatch's price estimated.

use super::{Text, Timestamp};

/// Price of one metric in a `GetMetricData` call, in millionths of a dollar.
pub const METRIC_MICRO_USD: u64 = 10;
/// Price of one other CloudWatch call, in millionths of a dollar.
pub const CALL_MICRO_USD: u64 = 10;
/// Hours in a month, as bills count them.
const HOURS: u64 = 730;

/// What reading one account has cost since the console started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spend {
    /// Profile and region.
    pub account: Text,
    /// Since when it is counted.
    pub since: Timestamp,
    /// Requests by API bucket, most first.
    pub requests: Vec<(&'static str, u64)>,
    /// Requests that were answered with "slow down".
    pub throttled: u64,
    /// Metrics asked for with `GetMetricData`.
    pub metrics: u64,
    /// Other CloudWatch calls.
    pub calls: u64,
    /// The same two in the last sixty minutes.
    pub last_hour: (u64, u64),
    /// Dollars a month that must not be passed, if any.
    pub ceiling: Option<u32>,
    /// True while polling is slowed down to stay below the ceiling.
    pub slowed: bool,
    /// True while an API asks to be left in peace.
    pub backing_off: bool,
}

impl Spend {
    /// Price of so many metrics and other calls, in millionths of a dollar.
    #[must_use]
    pub fn micro_usd(metrics: u64, calls: u64) -> u64 {
        metrics.saturating_mul(METRIC_MICRO_USD).saturating_add(calls.saturating_mul(CALL_MICRO_USD))
    }

    /// CloudWatch's price of the last sixty minutes, in millionths of a dollar.
    #[must_use]
    pub fn hour_micro_usd(&self) -> u64 {
        Self::micro_usd(self.last_hour.0, self.last_hour.1)
    }

    /// What a month would cost at the pace of the last hour, in millionths of a
    /// dollar; `None` in the first five minutes, which say nothing.
    #[must_use]
    pub fn month_micro_usd(&self, now: Timestamp) -> Option<u64> {
        let secs = u64::try_from((now - self.since).num_seconds()).ok()?.min(3600);
        (secs >= 300).then(|| self.hour_micro_usd().saturating_mul(3600) / secs * HOURS)
    }

    /// Requests of every kind.
    #[must_use]
    pub fn all_requests(&self) -> u64 {
        self.requests.iter().map(|(_, n)| n).sum()
    }
}

/// Dollars with as many digits as are worth reading: `$0.0042`, `$1.37`, `$207`.
#[must_use]
pub fn dollars(micro: u64) -> String {
    match micro {
        0 => "$0".to_owned(),
        1..100_000 => format!("${}.{:04}", micro / 1_000_000, micro % 1_000_000 / 100),
        100_000..100_000_000 => format!("${}.{:02}", micro / 1_000_000, micro % 1_000_000 / 10_000),
        _ => format!("${}", micro / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{TimeDelta, TimeZone, Utc};

    #[test]
    fn what_an_hour_and_a_month_cost() {
        let since = Utc.with_ymd_and_hms(2026, 11, 20, 3, 0, 0).unwrap();
        let spend = Spend {
            account: Text::new("default eu-west-1"),
            since,
            requests: vec![("cloudwatch", 60)],
            throttled: 0,
            metrics: 24_000,
            calls: 0,
            last_hour: (24_000, 0),
            ceiling: Some(50),
            slowed: false,
            backing_off: false,
        };
        assert_eq!(dollars(spend.hour_micro_usd()), "$0.24");
        assert_eq!(spend.month_micro_usd(since + TimeDelta::minutes(2)), None);
        // AWS.md: 60 services x 8 metrics each minute are 207 dollars a month in 30 days.
        let month = spend.month_micro_usd(since + TimeDelta::hours(2)).unwrap();
        assert_eq!(dollars(month), "$175");
        assert_eq!(dollars(4_200), "$0.0042");
        assert_eq!(dollars(0), "$0");
    }
}
