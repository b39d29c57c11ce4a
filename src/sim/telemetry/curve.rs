//! How many requests there are by when: in closed form, so that a month is as
//! cheap as a minute.

use std::f64::consts::TAU;

use crate::sim::model::{hash, hash2, unit};

/// Milliseconds since 1970.
pub type Ms = i64;

/// Upper bounds of the latency buckets in seconds; the last is infinite.
pub const BOUNDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, f64::INFINITY];
/// Buckets, and behind them the sum of all latencies.
pub const WIDTH: usize = 13;
/// The place of the whole count.
pub const COUNT: usize = 11;
/// The place of the sum.
pub const SUM: usize = 12;

/// Waves on the mean of 1: height, period in seconds.
const WAVES: [(f64, f64); 3] = [(0.25, 86_400.0), (0.05, 2820.0), (0.03, 660.0)];
/// The day's wave is lowest at 04:00 UTC: it goes up through its mean at 10:00.
const MORNING: f64 = 36_000.0;

/// The shape of a service's traffic over time, with mean 1.
#[derive(Debug, Clone, Copy)]
pub struct Curve {
    phases: [f64; 3],
}

impl Curve {
    /// The curve of a service, a little different for each.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let h = hash(name);
        Self { phases: [0.0, unit(h) * TAU, unit(hash2(h, 1)) * TAU] }
    }

    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this millennium fit")]
    fn angles(self, at: Ms) -> [f64; 3] {
        let secs = at as f64 / 1000.0 - MORNING;
        [0, 1, 2].map(|n| (secs / WAVES[n].1).fract() * TAU + self.phases[n])
    }

    /// The height at a time.
    #[must_use]
    pub fn height(self, at: Ms) -> f64 {
        let angles = self.angles(at);
        1.0 + (0..3).map(|n| WAVES[n].0 * angles[n].sin()).sum::<f64>()
    }

    /// The area up to a time, in seconds; only differences mean something.
    fn area(self, at: Ms) -> f64 {
        let angles = self.angles(at);
        -(0..3).map(|n| WAVES[n].0 * WAVES[n].1 / TAU * angles[n].cos()).sum::<f64>()
    }

    /// The area between two times, in seconds.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a difference of times")]
    pub fn between(self, from: Ms, to: Ms) -> f64 {
        (to - from) as f64 / 1000.0 + self.area(to) - self.area(from)
    }
}

/// Shares of requests not slower than each bound, and their mean, when the median is
/// `median` seconds and latencies are log-normal with this spread.
#[must_use]
pub fn latencies(median: f64, spread: f64) -> [f64; WIDTH] {
    let mut out = [1.0; WIDTH];
    for (share, bound) in out.iter_mut().zip(BOUNDS).filter(|(_, b)| b.is_finite()) {
        *share = normal((bound / median).ln() / spread);
    }
    out[SUM] = median * (spread * spread / 2.0).exp();
    out
}

/// The normal distribution's share below `x`, to seven digits (Abramowitz and Stegun, 7.1.26).
fn normal(x: f64) -> f64 {
    let z = x.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let poly = [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592]
        .iter()
        .fold(0.0, |sum, c| (sum + c) * t);
    let above = poly * (-z * z).exp() / 2.0;
    if x < 0.0 { above } else { 1.0 - above }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    fn the_area_is_the_sum_of_the_heights() {
        let (curve, from) = (Curve::of("web"), 1_763_600_000_000);
        let steps = 36_000;
        let sum: f64 = (0..steps).map(|i| curve.height(from + i * 100 + 50) * 0.1).sum();
        let area = curve.between(from, from + steps * 100);
        assert!((sum - area).abs() < 0.01, "{sum} {area}");
        let day = curve.between(from, from + 86_400_000);
        assert!((day - 86_400.0).abs() / 86_400.0 < 0.002, "a day's mean is 1: {day}");
        assert!((steps as f64 / 10.0 - area).abs() > 1.0, "there is a wave");
    }

    #[test]
    fn half_are_faster_than_the_median() {
        let shares = latencies(0.1, 0.8);
        assert!((shares[4] - 0.5).abs() < 1e-6, "{shares:?}");
        assert!(shares.windows(2).take(11).all(|w| w[0] <= w[1]) && (shares[COUNT] - 1.0).abs() < 1e-12);
        // ln 2.5 / 0.8 = 1.1454 standard deviations.
        assert!((shares[5] - 0.873_98).abs() < 1e-3, "{shares:?}");
    }
}
