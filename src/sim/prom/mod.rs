//! The façade that speaks Prometheus and Alertmanager: what the fleet's
//! [`Telemetry`] recorded, as series, rules and alerts.
//! Nothing is evaluated until somebody asks.

mod alertmanager;
mod api;
mod promql;
mod rules;
mod series;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use http::{Method, Response};
use serde_json::{Value, json};

use self::promql::{Cache, Ms};
use self::rules::{Alert, Known, Rule};
use self::series::Catalog;
use super::kube::reply::{self, Body};
use super::telemetry::Telemetry;

/// Which of the two is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Prometheus,
    Alertmanager,
}

impl Which {
    /// By the name of its Service.
    pub(crate) fn of_service(name: &str) -> Option<Self> {
        match name {
            "prometheus-operated" => Some(Self::Prometheus),
            "alertmanager-operated" => Some(Self::Alertmanager),
            _ => None,
        }
    }

    /// Its port.
    pub(crate) fn serves(self, port: &str) -> bool {
        match self {
            Self::Prometheus => matches!(port, "" | "9090" | "web" | "http-web"),
            Self::Alertmanager => matches!(port, "" | "9093" | "web" | "http-web"),
        }
    }

    /// What faults know it by.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::Alertmanager => "alertmanager",
        }
    }
}

/// A question: path without a prefix, and parameters of URL and form.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub which: Which,
    pub method: Method,
    pub path: String,
    pub parameters: Vec<(String, String)>,
    pub body: bytes::Bytes,
}

impl Asked {
    fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.parameters.iter().filter(move |(k, _)| k == name).map(|(_, v)| v.as_str())
    }
}

/// Both servers' state.
#[derive(Debug, Default)]
pub(crate) struct Monitoring {
    telemetry: Mutex<(Arc<Telemetry>, Arc<Catalog>)>,
    cache: Cache,
    known: Mutex<Known>,
    silences: Mutex<Vec<alertmanager::Silence>>,
}

impl Monitoring {
    /// The version of what it knows.
    pub(crate) fn version(&self) -> u64 {
        self.telemetry.lock().unwrap_or_else(PoisonError::into_inner).0.version
    }

    /// Takes over what was recorded since.
    pub(crate) fn update(&self, telemetry: Telemetry) {
        let telemetry = Arc::new(telemetry);
        let catalog = Arc::new(Catalog::new(&telemetry));
        *self.telemetry.lock().unwrap_or_else(PoisonError::into_inner) = (telemetry, catalog);
    }

    fn state(&self, now: Ms) -> (Arc<Telemetry>, Arc<Catalog>) {
        let state = self.telemetry.lock().unwrap_or_else(PoisonError::into_inner).clone();
        state.1.advance(now);
        state
    }

    /// Rules with their active alerts.
    fn rules(&self, now: Ms) -> Vec<(Rule, Result<Vec<Alert>, promql::Error>)> {
        let (telemetry, catalog) = self.state(now);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let all = rules::rules(&telemetry).into_iter().enumerate();
        all.map(|(i, rule)| {
            let alerts = rules::active((i, &rule), &catalog, &self.cache, now, &mut known);
            (rule, alerts)
        })
        .collect()
    }

    /// Answers one question, as things are at `now`.
    pub(crate) fn answer(&self, asked: &Asked, now: Ms) -> Response<Body> {
        match asked.which {
            Which::Prometheus => self.prometheus(asked, now),
            Which::Alertmanager => self.alertmanager(asked, now),
        }
    }
}

/// RFC 3339 with milliseconds.
fn stamp(at: Ms) -> String {
    chrono::DateTime::from_timestamp_millis(at)
        .map_or_else(String::new, |t| t.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
}

fn labels_json(labels: &promql::Labels) -> Value {
    labels.iter().map(|(k, v)| (k.to_owned(), Value::from(v))).collect::<serde_json::Map<_, _>>().into()
}

fn annotations_json(a: &[(&'static str, String)]) -> Value {
    a.iter().map(|(k, v)| ((*k).to_owned(), Value::from(v.as_str()))).collect::<serde_json::Map<_, _>>().into()
}

fn not_found() -> Response<Body> {
    reply::text(404, "404 page not found\n")
}

fn ok(data: &Value) -> Response<Body> {
    reply::json(200, &json!({"status": "success", "data": data}))
}
