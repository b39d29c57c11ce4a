//! `EventBridge` bodies.

use serde_json::{Value, json};

use super::{Ms, stamp};
use crate::sim::model::{hash, hash2};

/// An event on its way.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub account: String,
    pub region: String,
    /// When it was sent: its `time` is this in whole seconds.
    pub at: Ms,
    pub body: Value,
}

impl Sent {
    /// An event with an id of its own: the same one for the same content at the same time.
    pub fn new(
        source: &str,
        kind: &str,
        (account, region): (&str, &str),
        resources: &[String],
        detail: &Value,
        at: Ms,
    ) -> Self {
        let h = hash2(hash(&detail.to_string()), hash2(hash(kind), at.cast_unsigned()));
        let id = crate::sim::model::uuid((u128::from(h) << 64) | u128::from(hash2(h, 1)));
        let body = json!({
            "version": "0", "id": id, "detail-type": kind, "source": source, "account": account,
            "time": iso(at), "region": region, "resources": resources, "detail": detail,
        });
        Self { account: account.to_owned(), region: region.to_owned(), at, body }
    }

    /// Something that differs from event to event, for delays.
    pub fn hash(&self) -> u64 {
        hash(self.body["id"].as_str().unwrap_or_default())
    }
}

/// Whole seconds, as `EventBridge` writes its `time`.
pub(crate) fn iso(ms: Ms) -> String {
    stamp(ms).to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// With milliseconds, as ECS writes times in its events.
pub(crate) fn iso_ms(ms: Ms) -> String {
    stamp(ms).to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}
