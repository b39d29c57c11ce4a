//! One objective: what is promised, over which time, and who is called.

use super::exact::Target;
use super::rows::Row;
use super::slices::Method;
use super::window::{Lookback, Period};
use crate::domain::Text;

/// What the budget of a calendar period is measured against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Basis {
    /// The events so far.
    #[default]
    SoFar,
    /// The events expected for the whole period, at the traffic so far.
    WholePeriod,
}

/// One objective of an SLO.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// The SLO's name.
    pub slo: Text,
    /// The objective's own name, where the SLO has several.
    pub objective: Option<Text>,
    /// A name for people.
    pub title: Text,
    /// The service it is about.
    pub service: Text,
    /// What the file says it is for.
    pub description: Text,
    /// Where it says what to do.
    pub runbook: Option<Text>,
    /// The indicator in words.
    pub indicator: Text,
    /// What is promised.
    pub target: Target,
    /// Over which time.
    pub period: Period,
    /// What counts as one.
    pub method: Method,
    /// What is left is measured against this.
    pub basis: Basis,
    /// Who is called when, the fastest first.
    pub rows: Vec<Row>,
    /// Bad events in the long window without which nobody is called.
    pub min_bad: u32,
}

impl Objective {
    /// The window whose burn tells the time to exhaustion.
    pub const REFERENCE: Lookback = Lookback::hours(1);

    /// Windows whose burn is shown, and those that the rows ask for: short to long,
    /// each once, without the period itself.
    #[must_use]
    pub fn windows(&self) -> Vec<Lookback> {
        let shown = [5, 30, 60, 6 * 60, 24 * 60, 3 * 24 * 60].map(Lookback::minutes);
        let mut all: Vec<Lookback> = shown.into_iter().filter(|w| *w < self.period.nominal()).collect();
        all.extend(self.rows.iter().flat_map(|r| [r.short, r.long]));
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Seconds that may be bad in a period of this length.
    #[must_use]
    pub fn budget_secs(&self, length: Lookback) -> f64 {
        self.target.budget().times(length.secs(), 1).value()
    }

    /// A name that no other objective has: `SLO`, or `SLO/OBJECTIVE`.
    #[must_use]
    pub fn key(&self) -> String {
        match &self.objective {
            Some(own) => format!("{}/{}", self.slo.as_str(), own.as_str()),
            None => self.slo.as_str().to_owned(),
        }
    }
}
