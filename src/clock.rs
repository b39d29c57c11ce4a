//! The only place that asks what time it is.
//!
//! Everything else is given a [`Clock`] or a [`Timestamp`], so that tests and
//! the embedded fleet decide what time it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::Timestamp;

/// A source of the current time. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Clock(Inner);

#[derive(Debug, Clone)]
enum Inner {
    System,
    /// Microseconds since the epoch.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's wall clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Inner::System)
    }

    /// A clock that stands at `at` until [`Clock::advance`] moves it.
    #[must_use]
    pub fn manual(at: Timestamp) -> Self {
        Self(Inner::Manual(Arc::new(AtomicI64::new(at.timestamp_micros()))))
    }

    /// The time now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is its one home")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Inner::System => Utc::now(),
            Inner::Manual(micros) => {
                DateTime::from_timestamp_micros(micros.load(Ordering::Relaxed)).unwrap_or_default()
            }
        }
    }

    /// Moves a manual clock; the system's clock is not ours to move.
    pub fn advance(&self, by: TimeDelta) {
        if let Inner::Manual(micros) = &self.0 {
            micros.fetch_add(by.num_microseconds().unwrap_or(0), Ordering::Relaxed);
        }
    }
}

/// The minute of the day, by the clock on the machine's wall: its own time zone.
#[must_use]
pub fn minute_of_day(at: Timestamp) -> u16 {
    use chrono::Timelike;
    let local = at.with_timezone(&chrono::Local);
    u16::try_from(local.hour() * 60 + local.minute()).unwrap_or(0)
}

/// A monotonic instant, for measuring how long something took.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is its one home")]
pub fn instant() -> Instant {
    Instant::now()
}
