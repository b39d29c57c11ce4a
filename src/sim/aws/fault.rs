//! Faults of the AWS façade, on demand.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What goes wrong. The default is nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AwsFaults {
    /// This share of all calls, in per cent, is answered with "slow down".
    pub throttle_percent: u32,
    /// `service:Operation`s that are always answered with "slow down".
    pub throttled: BTreeSet<String>,
    /// `service:Operation`s that the user may not.
    pub denied: BTreeSet<String>,
    /// The credentials have expired.
    pub expired: bool,
    /// The credentials are not known.
    pub unknown_key: bool,
    /// Requests are taken and never answered.
    pub hang: bool,
    /// Every answer waits this long.
    pub delay: Duration,
    /// Every answer is broken.
    pub garbage: bool,
    /// Page tokens never change.
    pub circle: bool,
    /// `GetMetricData` says that its data is partial, and it is.
    pub partial: bool,
    /// The limits that AWS has are not kept.
    pub unlimited: bool,
    /// Seconds that AWS's clock is ahead of this machine's.
    pub skew_secs: i64,
    /// Signatures of any time are good: the fleet's time is not the one that clients sign by.
    pub any_time: bool,
}

/// Turns them on and off. Thread-safe.
#[derive(Debug, Default)]
pub struct AwsFaultControl(Mutex<(AwsFaults, u32)>);

impl AwsFaultControl {
    /// Changes the faults.
    pub fn set(&self, change: impl FnOnce(&mut AwsFaults)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).0);
    }

    /// Ends all faults.
    pub fn clear(&self) {
        self.set(|f| *f = AwsFaults::default());
    }

    /// The faults now.
    #[must_use]
    pub fn now(&self) -> AwsFaults {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// True for the calls that are to be throttled: evenly spread, the same every time.
    pub(super) fn throttles(&self) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 += state.0.throttle_percent.min(100);
        let yes = state.1 >= 100;
        if yes {
            state.1 -= 100;
        }
        yes
    }
}
