//! Latency from cumulative buckets.

/// Cumulative counts by upper bound, rising; the last bound is infinite.
#[derive(Debug, Clone, PartialEq)]
pub struct Buckets(Vec<(f64, f64)>);

/// A quantile read from buckets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantile {
    /// About this much: within a bucket, a straight line is assumed.
    About(f64),
    /// Somewhere above the last finite bound, which is this.
    Above(f64),
}

impl Buckets {
    /// Bounds with their cumulative counts, in any order. `None` without a bucket for
    /// everything (`+Inf`), or when a count falls as its bound rises.
    #[must_use]
    pub fn new(mut buckets: Vec<(f64, f64)>) -> Option<Self> {
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let rises = buckets.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 <= w[1].1);
        let sound = buckets.iter().all(|(bound, count)| !bound.is_nan() && count.is_finite() && *count >= 0.0);
        let closed = buckets.last().is_some_and(|(bound, _)| *bound == f64::INFINITY);
        (rises && sound && closed).then_some(Self(buckets))
    }

    /// All events.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.0.last().map_or(0.0, |b| b.1)
    }

    /// The finite bounds, rising.
    #[must_use]
    pub fn bounds(&self) -> Vec<f64> {
        self.0.iter().map(|b| b.0).filter(|b| b.is_finite()).collect()
    }

    /// Events up to `threshold`, which has to be a bound.
    ///
    /// # Errors
    /// The bounds there are, when it is none.
    pub fn within(&self, threshold: f64) -> Result<f64, Vec<f64>> {
        let near = |bound: f64| (bound - threshold).abs() <= threshold.abs() * 1e-9;
        self.0.iter().find(|(bound, _)| near(*bound)).map(|b| b.1).ok_or_else(|| self.bounds())
    }

    /// The share of events up to `value`, interpolated: a guess, to be marked as one.
    #[must_use]
    pub fn fraction(&self, value: f64) -> Option<f64> {
        let total = self.total();
        if total <= 0.0 {
            return None;
        }
        let (mut low, mut below) = (0.0, 0.0);
        for (bound, count) in &self.0 {
            if value < *bound {
                let part = if bound.is_finite() { (value - low) / (bound - low) } else { 0.0 };
                return Some((below + (count - below) * part.clamp(0.0, 1.0)) / total);
            }
            (low, below) = (*bound, *count);
        }
        Some(1.0)
    }

    /// The value below which a share `q` of events lies. `None` without events.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<Quantile> {
        let rank = self.total() * q;
        if self.total() <= 0.0 {
            return None;
        }
        let (mut low, mut below) = (0.0, 0.0);
        for (bound, count) in &self.0 {
            if *count >= rank && *count > 0.0 {
                if bound.is_infinite() {
                    return Some(Quantile::Above(low));
                }
                let part = if *count > below { (rank - below) / (count - below) } else { 1.0 };
                return Some(Quantile::About(low + (bound - low) * part.clamp(0.0, 1.0)));
            }
            (low, below) = (*bound, *count);
        }
        None
    }
}
