//! Objectives as people write them, and the questions that follow from them.
//!
//! [`openslo`] reads files, [`plan`] says what to ask Prometheus or CloudWatch, and
//! [`recorded`] knows what Pyrra and Sloth have computed already. Nothing here talks
//! to anybody; the arithmetic is in [`crate::domain::slo`].

pub mod describe;
mod files;
pub mod openslo;
pub mod plan;
pub mod query;
pub mod recorded;
pub mod signal;
pub mod yaml;

pub use files::load;
pub use openslo::{Outcome, read};
pub use signal::{
    CloudWatchCount, CloudWatchMetric, CloudWatchSignal, Comparison, Part, PrometheusSignal, Signal, Sum,
};

use crate::domain::Text;
use crate::domain::slo::Objective;

/// One objective, and where its figures come from.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// What is promised.
    pub objective: Objective,
    /// What to ask for.
    pub signal: Signal,
    /// Which of several systems of that kind to ask; the name of a `DataSource`, or
    /// of one that only the configuration knows.
    pub source: Option<Text>,
    /// The file it stands in.
    pub file: String,
    /// The line on which its document begins, from 1.
    pub line: usize,
}
