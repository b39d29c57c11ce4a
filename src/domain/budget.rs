//! An error budget as a row: an objective, and what is known of it now.

use std::sync::Arc;

use super::slo::{Assessment, Objective};
use super::{Health, ObjectId, Text, Timestamp};

/// One objective of an SLO with what was measured last.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    /// Identity: kind [`super::Kind::Budget`], in the backend (or cluster) that is
    /// asked; namespace is the service, name is [`Objective::key`].
    pub id: ObjectId,
    /// What was promised.
    pub objective: Arc<Objective>,
    /// What follows from the last readings; `None` until there were any.
    pub assessment: Option<Assessment>,
    /// When those readings were taken.
    pub at: Option<Timestamp>,
    /// The share of the budget that was left, oldest first, over the period: the
    /// burn-down chart. Points are `(when, left)`; left may be below 0. Gaps are gaps.
    pub history: Arc<[(Timestamp, f64)]>,
    /// What limits how far it can be trusted (a partial answer, a time-weighted
    /// indicator of somebody else's), or why it cannot be had; may be empty.
    pub note: Text,
    /// How it was come by: `openslo`, `pyrra`, `sloth`.
    pub origin: Text,
}

impl Budget {
    /// How bad it is: what calls somebody now is critical, a ticket or an exhausted
    /// budget a warning, no data unknown.
    #[must_use]
    pub fn health(&self) -> Health {
        use super::slo::State;
        match self.assessment.as_ref().map(|a| a.state) {
            None | Some(State::NoData) => Health::Unknown,
            Some(State::Page | State::ExhaustedAndBurning) => Health::Critical,
            Some(State::Exhausted | State::Ticket) => Health::Warning,
            Some(State::NoTraffic | State::Fine | State::FewEvents) => Health::Ok,
        }
    }
}
