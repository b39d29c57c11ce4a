//! Good and all events of a window, and what their absence means.

use super::exact::{Fraction, Target, compare_products};
use super::slices::GoodWhen;
use std::cmp::Ordering;

/// Parts of one event: queries extrapolate, so counts are not whole.
const MICRO: f64 = 1e6;
/// More events than any window has.
const LARGEST: f64 = 1e18;
/// Parts of one whole in a ratio that comes without counts.
const RATIO_PARTS: f64 = 1e12;
/// How far a count may be beyond what is possible before it is an error: rounding on the way here.
const SLACK: f64 = 1e-6;

/// Why numbers from a query cannot be counts.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum CountError {
    /// Fewer than no events.
    #[error("a count of {0} is negative")]
    Negative(f64),
    /// More of one kind than of all.
    #[error("{part} of {total} events is a ratio above 1")]
    MoreThanAll {
        /// The good or the bad ones.
        part: f64,
        /// All of them.
        total: f64,
    },
    /// A ratio that is none.
    #[error("{0} is not a ratio from 0 to 1")]
    NoRatio(f64),
    /// Too many.
    #[error("a count of {0} is too large")]
    TooLarge(f64),
}

/// Bad and all events, at least some: exact to a millionth of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Counts {
    bad: u128,
    /// Never 0, never below `bad`.
    total: u128,
}

impl Counts {
    /// Whole events; `None` when there are none, or more bad ones than all.
    #[must_use]
    pub fn whole(bad: u64, total: u64) -> Option<Self> {
        let micro = |n: u64| u128::from(n) * 1_000_000;
        (total > 0 && bad <= total).then(|| Self { bad: micro(bad), total: micro(total) })
    }

    /// Bad events.
    #[must_use]
    pub fn bad(&self) -> f64 {
        events(self.bad)
    }

    /// Good events.
    #[must_use]
    pub fn good(&self) -> f64 {
        events(self.total - self.bad)
    }

    /// All events.
    #[must_use]
    pub fn total(&self) -> f64 {
        events(self.total)
    }

    /// Whether at least `n` events were bad.
    #[must_use]
    pub fn bad_at_least(&self, n: u32) -> bool {
        self.bad >= u128::from(n) * 1_000_000
    }

    /// Whether the share of good ones is at least the target.
    #[must_use]
    pub fn meets(&self, target: Target) -> bool {
        let good = self.total - self.bad;
        let ppb = u128::from(super::exact::PPB);
        compare_products(good, ppb, self.total, target.ppb().into()) != Ordering::Less
    }

    /// Both together, as of two windows side by side.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self { bad: self.bad.saturating_add(other.bad), total: self.total.saturating_add(other.total) }
    }
}

/// What is known about one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Measure {
    /// Nothing: no samples, `NaN` or infinite counts, a gap.
    #[default]
    NoData,
    /// It was measured, and nothing happened.
    NoTraffic,
    /// Events were counted.
    Events(Counts),
    /// Only the ratio is known, as from somebody else's recording rule.
    Ratio(RatioOnly),
}

/// A share of bad events whose number is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RatioOnly(Counts);

impl Measure {
    /// From whole events; `NoTraffic` for none.
    ///
    /// # Errors
    /// When more were bad than there were.
    pub fn whole(bad: u64, total: u64) -> Result<Self, CountError> {
        if total == 0 && bad == 0 {
            return Ok(Self::NoTraffic);
        }
        let more = || CountError::MoreThanAll { part: float(bad), total: float(total) };
        Counts::whole(bad, total).map(Self::Events).ok_or_else(more)
    }

    /// From what queries for bad and for all events gave.
    ///
    /// # Errors
    /// When one is negative, or more were bad than there were.
    pub fn from_bad(bad: f64, total: f64) -> Result<Self, CountError> {
        Self::read(bad, total, |part, _| part)
    }

    /// From what queries for good and for all events gave.
    ///
    /// # Errors
    /// When one is negative, or more were good than there were.
    pub fn from_good(good: f64, total: f64) -> Result<Self, CountError> {
        Self::read(good, total, |part, total| total - part)
    }

    fn read(part: f64, total: f64, bad: impl Fn(u128, u128) -> u128) -> Result<Self, CountError> {
        if !part.is_finite() || !total.is_finite() {
            return Ok(Self::NoData);
        }
        for n in [part, total] {
            if n < 0.0 {
                return Err(CountError::Negative(n));
            }
            if n > LARGEST {
                return Err(CountError::TooLarge(n));
            }
        }
        if part > total * (1.0 + SLACK) + SLACK {
            return Err(CountError::MoreThanAll { part, total });
        }
        let all = parts(total, MICRO);
        if all == 0 {
            return Ok(Self::NoTraffic);
        }
        let part = parts(part, MICRO).min(all);
        Ok(Self::Events(Counts { bad: bad(part, all), total: all }))
    }

    /// From a share of bad events. `NaN` is 0 divided by 0: no traffic.
    ///
    /// # Errors
    /// When it is not from 0 to 1.
    pub fn from_error_ratio(ratio: f64) -> Result<Self, CountError> {
        if ratio.is_nan() {
            return Ok(Self::NoTraffic);
        }
        if ratio.is_infinite() {
            return Ok(Self::NoData);
        }
        if !(-SLACK..=1.0 + SLACK).contains(&ratio) {
            return Err(CountError::NoRatio(ratio));
        }
        let total = parts(1.0, RATIO_PARTS);
        let bad = parts(ratio.clamp(0.0, 1.0), RATIO_PARTS).min(total);
        Ok(Self::Ratio(RatioOnly(Counts { bad, total })))
    }

    /// From a share of good events.
    ///
    /// # Errors
    /// When it is not from 0 to 1.
    pub fn from_success_ratio(ratio: f64) -> Result<Self, CountError> {
        Self::from_error_ratio(ratio)
            .map(|m| match m {
                Self::Ratio(RatioOnly(c)) => Self::Ratio(RatioOnly(Counts { bad: c.total - c.bad, total: c.total })),
                other => other,
            })
            .map_err(|_| CountError::NoRatio(ratio))
    }

    /// The share of good events, or why there is none.
    #[must_use]
    pub fn indicator(&self) -> Indicator {
        match self.pair() {
            Some(c) => Indicator::Ratio(Fraction::new(signed(c.total - c.bad), c.total)),
            None if *self == Self::NoTraffic => Indicator::NoTraffic,
            None => Indicator::NoData,
        }
    }

    /// How many times faster than even the budget goes: the share of bad events
    /// divided by what may be bad.
    #[must_use]
    pub fn burn(&self, target: Target) -> Option<Fraction> {
        let c = self.pair()?;
        // Counts are below 2^80 and a share of 10^9 below 2^30: both products fit.
        Some(Fraction::new(
            signed(c.bad.saturating_mul(super::exact::PPB.into())),
            c.total.saturating_mul(target.budget_ppb().into()),
        ))
    }

    /// The events behind it, when they were counted.
    #[must_use]
    pub fn counts(&self) -> Option<Counts> {
        match self {
            Self::Events(c) => Some(*c),
            _ => None,
        }
    }

    /// Two windows side by side as one. What is not known stays out of the sum; two
    /// ratios without counts cannot be added.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Events(a), Self::Events(b)) => Self::Events(a.plus(b)),
            (Self::Events(a), Self::NoData | Self::NoTraffic) | (Self::NoData | Self::NoTraffic, Self::Events(a)) => {
                Self::Events(*a)
            }
            (Self::NoTraffic, Self::NoTraffic | Self::NoData) | (Self::NoData, Self::NoTraffic) => Self::NoTraffic,
            _ => Self::NoData,
        }
    }

    /// Whether a slice with this measure is good.
    pub(super) fn is_good(&self, when: GoodWhen) -> Option<bool> {
        let c = self.pair()?;
        Some(match when {
            GoodWhen::Share(target) => c.meets(target),
            GoodWhen::All => c.bad == 0,
            GoodWhen::Said => c.bad < c.total,
        })
    }

    /// The share of good events as a float, for means.
    pub(super) fn good_share(&self) -> Option<f64> {
        self.pair().map(|c| Fraction::new(signed(c.total - c.bad), c.total).value())
    }

    fn pair(&self) -> Option<Counts> {
        match self {
            Self::Events(c) | Self::Ratio(RatioOnly(c)) => Some(*c),
            Self::NoData | Self::NoTraffic => None,
        }
    }
}

/// The share of good events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Indicator {
    /// Nothing is known.
    NoData,
    /// Nothing happened: neither 0 nor 100%.
    NoTraffic,
    /// This share.
    Ratio(Fraction),
}

/// How much a counter grew over its samples. A fall is a reset, from which it
/// counts anew; samples that are no numbers are left out. `None` without any.
#[must_use]
pub fn increase(samples: &[f64]) -> Option<f64> {
    let mut known = samples.iter().copied().filter(|v| v.is_finite());
    let mut before = known.next()?;
    let mut sum = 0.0;
    for value in known {
        sum += if value < before { value } else { value - before };
        before = value;
    }
    Some(sum)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "finite, not negative, below 10^24")]
fn parts(n: f64, scale: f64) -> u128 {
    (n * scale).round() as u128
}

#[expect(clippy::cast_precision_loss, reason = "shown, never compared")]
fn events(micro: u128) -> f64 {
    micro as f64 / MICRO
}

#[expect(clippy::cast_precision_loss, reason = "for a message")]
fn float(n: u64) -> f64 {
    n as f64
}

fn signed(n: u128) -> i128 {
    i128::try_from(n).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_has_three_forms() {
        assert_eq!(Measure::from_bad(f64::NAN, 10.0), Ok(Measure::NoData));
        assert_eq!(Measure::from_bad(0.0, f64::INFINITY), Ok(Measure::NoData));
        assert_eq!(Measure::from_bad(0.0, 0.0), Ok(Measure::NoTraffic));
        assert_eq!(Measure::from_error_ratio(f64::NAN), Ok(Measure::NoTraffic));
        assert_eq!(Measure::from_bad(0.0, 5.0).unwrap().indicator(), Indicator::Ratio(Fraction::new(1, 1)));
    }

    #[test]
    fn what_is_impossible_is_an_error() {
        assert_eq!(Measure::from_bad(6.0, 5.0), Err(CountError::MoreThanAll { part: 6.0, total: 5.0 }));
        assert_eq!(Measure::from_bad(1.0, 0.0), Err(CountError::MoreThanAll { part: 1.0, total: 0.0 }));
        assert_eq!(Measure::from_good(-1.0, 5.0), Err(CountError::Negative(-1.0)));
        assert_eq!(Measure::from_error_ratio(1.2), Err(CountError::NoRatio(1.2)));
        assert_eq!(Measure::from_bad(5.000_000_1, 5.0).unwrap().indicator(), Indicator::Ratio(Fraction::new(0, 1)));
    }

    #[test]
    fn a_reset_is_no_loss() {
        assert_eq!(increase(&[100.0, 150.0, 10.0, 30.0]), Some(80.0));
        assert_eq!(increase(&[200.0, 260.0, 300.0, 330.0]), Some(130.0));
        assert_eq!(increase(&[1.0, f64::NAN, 4.0]), Some(3.0));
        assert_eq!(increase(&[f64::NAN]), None);
    }

    #[test]
    fn good_and_bad_are_two_sides() {
        let (good, bad) = (Measure::from_good(990.0, 1000.0).unwrap(), Measure::from_bad(10.0, 1000.0).unwrap());
        assert_eq!(good, bad);
        let (good, bad) = (Measure::from_success_ratio(0.99).unwrap(), Measure::from_error_ratio(0.01).unwrap());
        assert_eq!(good, bad);
        assert_eq!(Measure::from_success_ratio(2.0), Err(CountError::NoRatio(2.0)));
    }
}
