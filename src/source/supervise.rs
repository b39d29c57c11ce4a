//! What every source does when it fails: say so, wait, try again.
//!
//! Written once, so that the freshness a person sees means the same everywhere.

use std::hash::{BuildHasher, RandomState};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::SourceError;
use crate::clock::Clock;
use crate::domain::{Freshness, Text, Timestamp};
use crate::store::observation::{Body, Observation, SourceId};

/// The first wait is drawn from zero to this.
const BASE: Duration = Duration::from_millis(500);
/// No wait is longer.
const CAP: Duration = Duration::from_secs(30);
/// After this long without a failure, the next failure counts as the first.
const HEALTHY: Duration = Duration::from_mins(1);
/// A complete source that fails for this long is down, not stale.
const DOWN_AFTER: Duration = Duration::from_secs(30);
/// How often a forbidden or missing source is asked again.
pub const ABSENT_RETRY: Duration = Duration::from_mins(1);

/// How long a request that can wait lets others go first: it must never starve.
const STAND_BACK: Duration = Duration::from_secs(2);

/// Random numbers good enough to keep clients from acting in step.
#[derive(Debug, Clone)]
pub struct Jitter(u64);

impl Default for Jitter {
    fn default() -> Self {
        Self(RandomState::new().hash_one(0_u8))
    }
}

impl Jitter {
    /// The same sequence for the same seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// A duration from zero to `max`, inclusive, in whole milliseconds.
    pub fn up_to(&mut self, max: Duration) -> Duration {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let span = u64::try_from(max.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        Duration::from_millis(z % span.max(1))
    }
}

/// Exponential backoff with full jitter: from zero to 0.5 s, 1 s, 2 s, ... 30 s.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    failures: u32,
    jitter: Jitter,
}

impl Backoff {
    /// With a sequence that a test can predict.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { failures: 0, jitter: Jitter::seeded(seed) }
    }

    /// How long to wait after one more failure.
    pub fn after_failure(&mut self) -> Duration {
        let ceiling = self.ceiling();
        self.failures = self.failures.saturating_add(1);
        self.jitter.up_to(ceiling)
    }

    /// The longest the next wait can be.
    #[must_use]
    pub fn ceiling(&self) -> Duration {
        BASE.saturating_mul(1 << self.failures.min(10)).min(CAP)
    }

    /// The next failure is the first again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// How soon a request is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// A person waits for it.
    Wanted,
    /// It can wait: leaves half of the burst to what is wanted, for a while.
    Background,
}

/// The requests that one cluster is asked, as a token bucket: so many at once,
/// then so many a second.
#[derive(Debug)]
pub struct Budget {
    tokens: Mutex<Tokens>,
    /// Who waits is served in the order of coming.
    turn: tokio::sync::Mutex<()>,
    burst: f64,
    per_second: f64,
}

#[derive(Debug)]
struct Tokens {
    left: f64,
    at: Instant,
}

impl Budget {
    /// A full bucket of `burst` requests that fills again at `per_second`.
    #[must_use]
    pub fn new(burst: u16, per_second: u16) -> Self {
        let burst = f64::from(burst.max(2));
        let tokens = Mutex::new(Tokens { left: burst, at: Instant::now() });
        Self { tokens, turn: tokio::sync::Mutex::default(), burst, per_second: f64::from(per_second.max(1)) }
    }

    /// Waits until one more request may be sent, and counts it.
    pub async fn take(&self, priority: Priority) {
        if priority == Priority::Background {
            let until = Instant::now() + STAND_BACK;
            while Instant::now() < until {
                let Some(wait) = self.try_take(priority) else { return };
                tokio::time::sleep(wait.min(STAND_BACK)).await;
            }
        }
        let _turn = self.turn.lock().await;
        while let Some(wait) = self.try_take(Priority::Wanted) {
            tokio::time::sleep(wait).await;
        }
    }

    /// `None` if a request was counted, else how long to wait before asking again.
    fn try_take(&self, priority: Priority) -> Option<Duration> {
        let kept = if priority == Priority::Wanted { 0.0 } else { self.burst / 2.0 };
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        tokens.left = (tokens.left + now.duration_since(tokens.at).as_secs_f64() * self.per_second).min(self.burst);
        tokens.at = now;
        let missing = kept + 1.0 - tokens.left;
        if missing <= 0.0 {
            tokens.left -= 1.0;
            return None;
        }
        // A timer's grain more, so that rounding does not make it ask twice.
        Some(Duration::from_secs_f64(missing / self.per_second) + Duration::from_millis(1))
    }
}

/// Runs a source's work. `Some` if it panicked: what to say of it.
///
/// Other sources go on. Where panics abort, as in release builds, this never returns `Some`.
pub async fn guarded(what: &str, work: impl Future<Output = ()>) -> Option<Text> {
    let panic = AssertUnwindSafe(work).catch_unwind().await.err()?;
    let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let said = said.unwrap_or("without a message");
    tracing::error!(what, said, "a source panicked");
    Some(Text::new(&format!(
        "reading {what} stopped by a fault of this program ({said}); start it again, and report it"
    )))
}

#[derive(Debug)]
struct Failing {
    at: Instant,
    down: bool,
    because: Text,
}

/// Speaks for one source: sends its observations, keeps its freshness honest,
/// and waits between attempts.
#[derive(Debug)]
pub struct Supervisor {
    source: SourceId,
    tx: mpsc::Sender<Observation>,
    clock: Clock,
    wake: Arc<Notify>,
    backoff: Backoff,
    started: Timestamp,
    /// The last sign of life of complete data, if there ever was one.
    complete: Option<Timestamp>,
    healthy: Option<Instant>,
    failing: Option<Failing>,
    absent: bool,
}

impl Supervisor {
    /// For `source`. A notification on `wake` ends every wait.
    #[must_use]
    pub fn new(source: SourceId, tx: mpsc::Sender<Observation>, clock: Clock, wake: Arc<Notify>) -> Self {
        let started = clock.now();
        Self {
            source,
            tx,
            clock,
            wake,
            backoff: Backoff::default(),
            started,
            complete: None,
            healthy: None,
            failing: None,
            absent: false,
        }
    }

    /// Who this speaks for.
    #[must_use]
    pub fn source(&self) -> &SourceId {
        &self.source
    }

    /// Sends one observation. Waits while the channel is full; a closed channel
    /// swallows it, since then nobody wants to know.
    pub async fn emit(&self, body: Body) {
        let observation = Observation { source: self.source.clone(), at: self.clock.now(), body };
        if self.tx.send(observation).await.is_err() {
            tracing::debug!(feed = self.source.feed.word(), "nobody listens any more");
        }
    }

    /// Says that the source is being read for the first time.
    pub async fn loading(&self) {
        self.emit(Body::Freshness(Freshness::Loading { since: self.started })).await;
    }

    /// A sign of life of a source whose data is complete, already sent as something else.
    pub fn alive(&mut self) {
        if self.complete.is_some() {
            self.complete = Some(self.clock.now());
        }
    }

    /// The list is complete.
    pub async fn synced(&mut self) {
        if self.complete.is_none() || self.failing.is_some() {
            let (cluster, feed) = (self.source.cluster.as_str(), self.source.feed.word());
            tracing::info!(cluster, feed, "is read completely");
        }
        self.complete = Some(self.clock.now());
        self.absent = false;
        self.failing = None;
        self.healthy.get_or_insert_with(Instant::now);
        self.emit(Body::Synced).await;
    }

    /// A source with complete data follows changes again.
    pub async fn resumed(&mut self) {
        let now = self.clock.now();
        self.healthy.get_or_insert_with(Instant::now);
        if self.complete.is_some() && (self.failing.take().is_some() || self.absent) {
            self.absent = false;
            self.complete = Some(now);
            tracing::info!(cluster = self.source.cluster.as_str(), feed = self.source.feed.word(), "is live again");
            self.emit(Body::Freshness(Freshness::Live { at: now })).await;
        }
    }

    /// Says what failed, without waiting: for a feed that comes with another,
    /// which waits for both.
    pub async fn mark_failed(&mut self, error: &SourceError) {
        let because = error.text();
        let now = Instant::now();
        let (at, was) = self.failing.take().map_or((now, None), |f| (f.at, Some((f.down, f.because))));
        let down = self.complete.is_none() || now.duration_since(at) >= DOWN_AFTER;
        let news = was.as_ref().is_none_or(|(d, b)| *d != down || *b != because);
        self.failing = Some(Failing { at, down, because });
        if news {
            let (cluster, feed) = (self.source.cluster.as_str(), self.source.feed.word());
            tracing::warn!(cluster, feed, error = %error, down, "is not read");
            self.show_failure().await;
        }
    }

    /// Says what failed and waits until it is time to try again.
    pub async fn failed(&mut self, error: &SourceError) {
        if self.healthy.take().is_some_and(|since| since.elapsed() >= HEALTHY) {
            self.backoff.reset();
        }
        let because = error.text();
        tracing::debug!(cluster = self.source.cluster.as_str(), feed = self.source.feed.word(), error = %because, "failed");
        if let SourceError::Forbidden { .. } = error {
            self.absent(because, true).await;
            return;
        }
        self.absent = false;
        self.mark_failed(error).await;
        let delay = self.backoff.after_failure();
        let delay = match error {
            SourceError::Throttled { retry_after: Some(asked) } => delay.max(*asked),
            _ => delay,
        };
        self.pause(delay).await;
    }

    /// The source is not here or not allowed: says so and waits to ask again.
    pub async fn absent(&mut self, because: Text, denied: bool) {
        self.healthy = None;
        self.failing = None;
        if !self.absent {
            self.absent = true;
            let (cluster, feed) = (self.source.cluster.as_str(), self.source.feed.word());
            tracing::info!(cluster, feed, because = %because, denied, "is absent");
            self.emit(Body::Freshness(Freshness::Absent { because, denied })).await;
        }
        let extra = self.backoff.jitter.up_to(Duration::from_secs(3));
        self.pause(ABSENT_RETRY + extra).await;
    }

    /// Waits without having failed, as after a connection that ended too soon.
    pub async fn breathe(&mut self) {
        let delay = self.backoff.after_failure();
        self.pause(delay).await;
    }

    /// Waits, or less if somebody asks for a refresh. Turns stale into down on time.
    pub async fn pause(&mut self, delay: Duration) {
        let until = Instant::now() + delay;
        let wake = Arc::clone(&self.wake);
        let woken = wake.notified();
        tokio::pin!(woken);
        loop {
            let down_at = self.failing.as_ref().filter(|f| !f.down).map(|f| f.at + DOWN_AFTER);
            let next = down_at.map_or(until, |d| d.min(until));
            tokio::select! {
                () = &mut woken => return,
                () = tokio::time::sleep_until(next) => {}
            }
            if next >= until {
                return;
            }
            if let Some(failing) = &mut self.failing {
                failing.down = true;
            }
            self.show_failure().await;
        }
    }

    async fn show_failure(&self) {
        let Some(failing) = &self.failing else { return };
        let (since, because) = (self.complete.unwrap_or(self.started), failing.because.clone());
        let freshness =
            if failing.down { Freshness::Down { since, because } } else { Freshness::Stale { since, because } };
        self.emit(Body::Freshness(freshness)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ClusterId;
    use crate::store::observation::Feed;

    fn supervisor() -> (Supervisor, mpsc::Receiver<Observation>, Arc<Notify>) {
        let (tx, rx) = mpsc::channel(64);
        let wake = Arc::new(Notify::new());
        let source = SourceId { cluster: ClusterId::new("test"), feed: Feed::Tasks };
        (Supervisor::new(source, tx, Clock::system(), Arc::clone(&wake)), rx, wake)
    }

    fn refused() -> SourceError {
        SourceError::Unreachable { endpoint: Text::new("127.0.0.1:1"), reason: Text::new("connection refused") }
    }

    fn words(rx: &mut mpsc::Receiver<Observation>) -> Vec<&'static str> {
        let mut words = Vec::new();
        while let Ok(observation) = rx.try_recv() {
            if let Body::Freshness(freshness) = observation.body {
                words.push(freshness.word());
            }
        }
        words
    }

    #[test]
    fn waits_double_to_the_cap_and_start_over() {
        let mut backoff = Backoff::seeded(7);
        let mut ceilings = Vec::new();
        for _ in 0..9 {
            let ceiling = backoff.ceiling();
            assert!(backoff.after_failure() <= ceiling);
            ceilings.push(ceiling.as_millis());
        }
        assert_eq!(ceilings, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
        backoff.reset();
        assert_eq!(backoff.ceiling(), BASE);
    }

    #[test]
    fn jitter_fills_the_whole_range() {
        let mut jitter = Jitter::seeded(1);
        let draws: Vec<_> = (0..1000).map(|_| jitter.up_to(Duration::from_secs(1)).as_millis()).collect();
        assert!(draws.iter().any(|d| *d < 100) && draws.iter().any(|d| *d > 900));
        assert!(draws.iter().all(|d| *d <= 1000));
    }

    #[tokio::test(start_paused = true)]
    async fn never_loaded_is_down_at_once() {
        let (mut supervisor, mut rx, _wake) = supervisor();
        supervisor.failed(&refused()).await;
        assert_eq!(words(&mut rx), ["down"]);
        supervisor.failed(&refused()).await;
        assert!(words(&mut rx).is_empty(), "the same failure is not repeated");
    }

    #[tokio::test(start_paused = true)]
    async fn complete_turns_stale_then_down_after_thirty_seconds_then_live() {
        let (mut supervisor, mut rx, _wake) = supervisor();
        supervisor.synced().await;
        supervisor.failed(&refused()).await;
        assert_eq!(words(&mut rx), ["stale"]);
        supervisor.pause(Duration::from_secs(40)).await;
        assert_eq!(words(&mut rx), ["down"]);
        supervisor.resumed().await;
        assert_eq!(words(&mut rx), ["live"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_minute_of_health_forgives() {
        let (mut supervisor, _rx, _wake) = supervisor();
        for _ in 0..6 {
            supervisor.failed(&refused()).await;
        }
        assert_eq!(supervisor.backoff.ceiling(), Duration::from_secs(30));
        supervisor.synced().await;
        tokio::time::advance(Duration::from_secs(59)).await;
        supervisor.failed(&refused()).await;
        assert_eq!(supervisor.backoff.ceiling(), Duration::from_secs(30));
        supervisor.synced().await;
        tokio::time::advance(Duration::from_secs(61)).await;
        supervisor.failed(&refused()).await;
        assert_eq!(supervisor.backoff.ceiling(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_server_says_how_long_to_wait() {
        let (mut supervisor, _rx, _wake) = supervisor();
        let started = Instant::now();
        supervisor.failed(&SourceError::Throttled { retry_after: Some(Duration::from_secs(17)) }).await;
        assert!(started.elapsed() >= Duration::from_secs(17));
    }

    #[tokio::test(start_paused = true)]
    async fn denied_is_asked_again_after_a_minute_and_a_refresh_does_not_wait() {
        let (mut supervisor, mut rx, wake) = supervisor();
        let started = Instant::now();
        let denied = SourceError::Forbidden { what: Text::new("pods") };
        supervisor.failed(&denied).await;
        assert_eq!(words(&mut rx), ["denied"]);
        assert!(started.elapsed() >= ABSENT_RETRY);
        let started = Instant::now();
        let _joined = tokio::join!(supervisor.failed(&denied), async {
            tokio::task::yield_now().await;
            wake.notify_waiters();
        });
        assert!(started.elapsed() < Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_budget_allows_a_burst_then_a_rate() {
        let budget = Budget::new(10, 5);
        let started = Instant::now();
        for _ in 0..10 {
            budget.take(Priority::Wanted).await;
        }
        assert_eq!(started.elapsed(), Duration::ZERO);
        for _ in 0..10 {
            budget.take(Priority::Wanted).await;
        }
        let took = started.elapsed();
        assert!(took >= Duration::from_secs(2) && took < Duration::from_millis(2100), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_can_wait_leaves_room_for_what_is_wanted() {
        let budget = Budget::new(10, 5);
        for _ in 0..5 {
            assert_eq!(budget.try_take(Priority::Background), None);
        }
        assert!(budget.try_take(Priority::Background).is_some());
        for _ in 0..5 {
            assert_eq!(budget.try_take(Priority::Wanted), None);
        }
        assert!(budget.try_take(Priority::Wanted).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_can_wait_is_not_starved() {
        let budget = Budget::new(10, 5);
        let started = Instant::now();
        let greedy = async {
            loop {
                budget.take(Priority::Wanted).await;
            }
        };
        tokio::select! {
            () = greedy => {}
            () = budget.take(Priority::Background) => {}
        }
        assert!(started.elapsed() < STAND_BACK * 2, "{:?}", started.elapsed());
    }

    #[tokio::test]
    async fn a_panic_is_reported_in_words() {
        let said = guarded("tasks", async { panic!("index 7 out of bounds") }).await.unwrap();
        assert!(said.as_str().starts_with("reading tasks stopped") && said.as_str().contains("index 7"), "{said}");
        assert_eq!(guarded("tasks", async {}).await, None);
    }
}
