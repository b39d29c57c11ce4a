//! Faults on demand: what a test or a game-day does to the façade's wire.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// An answer that replaces the real one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusFault {
    /// HTTP status code, such as 429 or 500.
    pub code: u16,
    /// Only requests for this plural resource name, such as `pods`; `None` is all requests.
    pub resource: Option<String>,
    /// How many requests; `None` is all of them until cleared.
    pub times: Option<u32>,
    /// Seconds for a `Retry-After` header.
    pub retry_after: Option<u64>,
}

/// The faults a server has at a time. The default is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// The port is closed and every connection cut.
    pub down: bool,
    /// Requests are taken and never answered.
    pub hang: bool,
    /// Every answer waits this long.
    pub delay: Duration,
    /// Every answer is broken JSON.
    pub garbage: bool,
    /// Answers that replace the real ones, the first that fits.
    pub statuses: Vec<StatusFault>,
    /// Pairs of verb and plural resource that the user may not; `*` is any.
    pub forbidden: BTreeSet<(String, String)>,
}

/// What to do with one request, as the faults stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Serve,
    Hang,
    Garbage,
    Status { code: u16, retry_after: Option<u64> },
}

/// What watches are told while they run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct WatchFaults {
    /// Grows each time watches are to be cut in the middle of an object.
    pub cuts: u64,
    /// Grows each time watches are to be told 410.
    pub expiries: u64,
}

/// Turns faults on and off while the server runs. Thread-safe.
#[derive(Debug)]
pub struct FaultControl {
    faults: Mutex<Faults>,
    down: watch::Sender<bool>,
    watches: watch::Sender<WatchFaults>,
    requests: std::sync::atomic::AtomicU64,
}

impl FaultControl {
    pub(crate) fn new(faults: Faults) -> Self {
        let down = watch::Sender::new(faults.down);
        Self {
            faults: Mutex::new(faults),
            down,
            watches: watch::Sender::default(),
            requests: std::sync::atomic::AtomicU64::new(0),
        }
    }

    fn change<T>(&self, f: impl FnOnce(&mut Faults) -> T) -> T {
        f(&mut self.faults.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Closes the port and cuts every connection, as a dead server would.
    pub fn go_down(&self) {
        self.change(|f| f.down = true);
        self.down.send_replace(true);
    }

    /// Listens again, on the same port.
    pub fn come_back(&self) {
        self.change(|f| f.down = false);
        self.down.send_replace(false);
    }

    /// Makes every answer wait; zero ends it.
    pub fn slow(&self, by: Duration) {
        self.change(|f| f.delay = by);
    }

    /// Takes requests and never answers them.
    pub fn hang(&self, on: bool) {
        self.change(|f| f.hang = on);
    }

    /// Answers every request with broken JSON.
    pub fn garbage(&self, on: bool) {
        self.change(|f| f.garbage = on);
    }

    /// Answers requests with `code`: those for `resource` (a plural name, or all
    /// for `None`), the next `times` of them or, with `None`, until [`FaultControl::clear`].
    pub fn status(&self, code: u16, resource: Option<&str>, times: Option<u32>) {
        self.change(|f| {
            f.statuses.push(StatusFault { code, resource: resource.map(str::to_owned), times, retry_after: None });
        });
    }

    /// Answers the next `times` requests with 429 and `Retry-After: secs`.
    pub fn retry_after(&self, secs: u64, resource: Option<&str>, times: Option<u32>) {
        let resource = resource.map(str::to_owned);
        self.change(|f| f.statuses.push(StatusFault { code: 429, resource, times, retry_after: Some(secs) }));
    }

    /// Cuts every running watch in the middle of an object.
    pub fn cut_watches(&self) {
        self.watches.send_modify(|w| w.cuts += 1);
    }

    /// Tells every running watch 410, and forgets the events and pages before now.
    pub fn expire(&self) {
        self.watches.send_modify(|w| w.expiries += 1);
    }

    /// Forbids a verb (`get list watch create update patch delete deletecollection`) on a plural
    /// resource, or on a subresource as `pods/log`; `*` is any.
    pub fn forbid(&self, verb: &str, resource: &str) {
        self.change(|f| f.forbidden.insert((verb.to_owned(), resource.to_owned())));
    }

    /// Ends all faults; a server that was down comes back.
    pub fn clear(&self) {
        self.change(|f| *f = Faults::default());
        self.down.send_replace(false);
    }

    /// The faults now.
    pub fn current(&self) -> Faults {
        self.change(|f| f.clone())
    }

    /// How many requests were received since the start.
    pub fn requests(&self) -> u64 {
        self.requests.load(std::sync::atomic::Ordering::Relaxed)
    }

    pub(crate) fn is_forbidden(&self, verb: &str, resource: &str) -> bool {
        self.change(|f| f.forbidden.iter().any(|(v, r)| (v == "*" || v == verb) && (r == "*" || r == resource)))
    }

    pub(crate) fn down(&self) -> watch::Receiver<bool> {
        self.down.subscribe()
    }

    pub(crate) fn watches(&self) -> watch::Receiver<WatchFaults> {
        self.watches.subscribe()
    }

    /// Counts a request and says what becomes of it, and after what delay.
    pub(crate) fn judge(&self, resource: Option<&str>) -> (Duration, Verdict) {
        self.requests.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.change(|f| {
            let verdict = if f.hang {
                Verdict::Hang
            } else if f.garbage {
                Verdict::Garbage
            } else {
                f.take_status(resource)
            };
            (f.delay, verdict)
        })
    }
}

impl Faults {
    fn take_status(&mut self, resource: Option<&str>) -> Verdict {
        let fits = |s: &StatusFault| s.resource.is_none() || s.resource.as_deref() == resource;
        let Some(at) = self.statuses.iter().position(fits) else { return Verdict::Serve };
        let fault = &mut self.statuses[at];
        let verdict = Verdict::Status { code: fault.code, retry_after: fault.retry_after };
        if let Some(left) = &mut fault.times {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.statuses.remove(at);
            }
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_statuses_run_out() {
        let control = FaultControl::new(Faults::default());
        control.status(500, Some("pods"), Some(2));
        control.retry_after(7, None, Some(1));
        let failed = Verdict::Status { code: 500, retry_after: None };
        assert_eq!(control.judge(Some("pods")).1, failed);
        assert_eq!(control.judge(Some("nodes")).1, Verdict::Status { code: 429, retry_after: Some(7) });
        assert_eq!(control.judge(Some("nodes")).1, Verdict::Serve);
        assert_eq!(control.judge(Some("pods")).1, failed);
        assert_eq!(control.judge(Some("pods")).1, Verdict::Serve);
        assert_eq!(control.requests(), 5);
    }

    #[test]
    fn forbids_by_pattern() {
        let control = FaultControl::new(Faults::default());
        control.forbid("*", "secrets");
        control.forbid("list", "pods");
        assert!(control.is_forbidden("get", "secrets"));
        assert!(control.is_forbidden("list", "pods"));
        assert!(!control.is_forbidden("get", "pods"));
        control.clear();
        assert!(!control.is_forbidden("list", "pods"));
    }
}
