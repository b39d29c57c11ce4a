//! What to ask for an objective, as text, and what the answers mean.
//!
//! Nothing is sent here. Windows are given by the caller: those of
//! [`Objective::windows`](crate::domain::slo::Objective::windows), and the period,
//! whose length for a calendar one is what has passed of it.

pub mod cloudwatch;
pub mod prometheus;

use crate::domain::slo::CountError;

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
