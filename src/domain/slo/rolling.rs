//! When a rolling budget runs out or comes back, errors that age out included.
//!
//! The simple time to exhaustion takes what is burned for lost; over a rolling
//! window it comes back, so the simple one is a lower bound.

/// Consumed shares of the budget by age: equal parts of the window, the oldest
/// first.
#[derive(Debug, Clone, PartialEq)]
pub struct Consumed {
    parts: Vec<f64>,
    part_secs: f64,
}

impl Consumed {
    /// Shares in equal parts of a window of so many seconds. `None` without parts or time.
    #[must_use]
    pub fn new(parts: Vec<f64>, window_secs: f64) -> Option<Self> {
        let part_secs = window_secs / count(parts.len());
        (!parts.is_empty() && part_secs > 0.0 && parts.iter().all(|p| p.is_finite()))
            .then_some(Self { parts, part_secs })
    }

    /// All of it.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.parts.iter().sum()
    }

    /// Seconds until all is consumed at this burn; `None` when old errors leave as fast
    /// as new ones come.
    #[must_use]
    pub fn exhausted_in(&self, burn: f64) -> Option<f64> {
        self.first(burn, |c| c >= 1.0 - 1e-9)
    }

    /// Seconds until less than all is consumed, if nothing more goes wrong; `None` when it
    /// is not all consumed.
    #[must_use]
    pub fn back_in(&self) -> Option<f64> {
        if self.sum() < 1.0 { None } else { self.first(0.0, |c| c <= 1.0 + 1e-9) }
    }

    /// When what is consumed first fits. Between two ends of parts it is a straight line.
    fn first(&self, burn: f64, fits: impl Fn(f64) -> bool) -> Option<f64> {
        let window = self.part_secs * count(self.parts.len());
        let mut consumed = self.sum();
        if fits(consumed) && burn > 0.0 {
            return Some(0.0);
        }
        for (i, part) in self.parts.iter().enumerate() {
            let slope = burn / window - part / self.part_secs;
            let end = consumed + slope * self.part_secs;
            if fits(end) {
                let within = if slope == 0.0 { self.part_secs } else { (1.0 - consumed) / slope };
                return Some(self.part_secs * count(i) + within.clamp(0.0, self.part_secs));
            }
            consumed = end;
        }
        None
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand at most")]
fn count(n: usize) -> f64 {
    n as f64
}
