//! What to ask for an objective, as text, and what the answers mean.
//!
//! Nothing is sent here. Windows are given by the caller: those of
//! [`Objective::windows`](crate::domain::slo::Objective::windows), and the period,
//! whose length for a calendar one is what has passed of it.

pub mod cloudwatch;
pub mod prometheus;
pub mod search;

use crate::domain::Timestamp;
use crate::domain::slo::{Basis, CountError, Indicator, Measure, Objective};

/// Why an answer says nothing.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AnswerError {
    /// The numbers cannot be counts.
    #[error(transparent)]
    Count(#[from] CountError),
    /// The histogram has no bucket that ends at the threshold.
    #[error("no bucket ends at {0}")]
    NoSuchBound(String),
}

/// Points of a burn-down chart.
pub const POINTS: u64 = 200;

/// The share of the budget that was left at the end of each part of the period, given by the second
/// (since 1970) and in order; none where nothing happened.
#[must_use]
pub fn burn_down(objective: &Objective, now: Timestamp, parts: &[(i64, Measure)]) -> Vec<(Timestamp, f64)> {
    let parts: Vec<(i64, (f64, f64))> = parts.iter().filter_map(|(at, m)| Some((*at, bad_of_all(m)?))).collect();
    let events: f64 = parts.iter().map(|(_, (_, total))| total).sum();
    let share = match objective.basis {
        Basis::SoFar => 1.0,
        Basis::WholePeriod => ratio(objective.period.length(now).secs(), objective.period.elapsed(now).secs()),
    };
    let budget = events * objective.target.budget().value() * share;
    if budget <= 0.0 {
        return Vec::new();
    }
    let mut bad_so_far = 0.0;
    let point = |(at, (bad, _)): (i64, (f64, f64))| {
        bad_so_far += bad;
        Some((Timestamp::from_timestamp(at, 0)?, 1.0 - bad_so_far / budget))
    };
    parts.into_iter().filter_map(point).collect()
}

/// Bad and all; a ratio counts as one.
fn bad_of_all(measure: &Measure) -> Option<(f64, f64)> {
    match measure {
        Measure::Events(counts) => Some((counts.bad(), counts.total())),
        Measure::Ratio(_) => match measure.indicator() {
            Indicator::Ratio(good) => Some((1.0 - good.value(), 1.0)),
            _ => None,
        },
        Measure::NoTraffic => Some((0.0, 0.0)),
        Measure::NoData => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a period")]
fn ratio(a: u64, b: u64) -> f64 {
    a as f64 / b.max(1) as f64
}
