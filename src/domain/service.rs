//! What a user calls, with its golden signals.

use std::sync::Arc;

use super::{Health, ObjectId, Text, Timestamp};

/// What a figure covers: whether a fast failure can flatter it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Covers {
    /// Successes only.
    Successes,
    /// All responses: the source cannot tell them apart.
    #[default]
    All,
}

/// Seconds until half, 95 and 99 per cent of responses had come; each on its own,
/// never averaged.
pub type Latency = [Option<f64>; 3];

/// One look at a service. What was not measured is `None`, never zero.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Signals {
    /// Requests a second.
    pub requests: Option<f64>,
    /// Share of requests that failed, from 0 to 1; `None` without requests, which
    /// have no share of errors.
    pub errors: Option<f64>,
    /// Latency of [`Signals::covers`].
    pub latency: Latency,
    /// Latency of failures, where the source tells them apart.
    pub failure_latency: Latency,
    /// What `latency` covers.
    pub covers: Covers,
    /// How full the fullest resource is, from 0 to 1 of what is reserved.
    pub saturation: Option<f64>,
}

/// One service, as a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// Identity: kind [`super::Kind::Service`].
    pub id: ObjectId,
    /// Where the figures come from: `prometheus istio`, `alb`, `ecs`.
    pub origin: Text,
    /// The minute that `now` is about began then.
    pub at: Option<Timestamp>,
    /// The latest complete minute.
    pub now: Signals,
    /// Request rate, error ratio and p99 of the last minutes, oldest first; a gap is `None`.
    pub trend: Arc<[Signals]>,
    /// The workloads that it points at.
    pub workloads: Arc<[ObjectId]>,
    /// Why figures are missing or late; may be empty.
    pub note: Text,
}

impl Service {
    /// Nothing said about whether users hurt: budgets and alarms say that. No figures
    /// at all is unknown.
    #[must_use]
    pub fn health(&self) -> Health {
        if self.now.requests.is_none() { Health::Unknown } else { Health::Ok }
    }
}
