//! What happens when a source fails, once for all sources: backoff with jitter,
//! and how trust in what is shown fades.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::mpsc;

use super::error::SourceError;
use crate::clock::Clock;
use crate::domain::{Freshness, Text, Timestamp};
use crate::store::observation::{Body, Observation, SourceId};

/// First wait.
const BASE: Duration = Duration::from_millis(500);
/// Longest wait.
const CAP: Duration = Duration::from_secs(30);
/// How long something denied or not installed is left alone.
const ABSENT: Duration = Duration::from_secs(60);
/// A source that fails for so long is down rather than stale.
const DOWN_AFTER: TimeDelta = TimeDelta::seconds(30);

/// Exponential backoff with full jitter: a fleet of consoles that lost the same
/// server does not come back at once.
#[derive(Debug)]
pub struct Backoff {
    attempt: u32,
    seed: u64,
}

impl Backoff {
    /// Starts at the shortest wait; `seed` makes consoles differ.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { attempt: 0, seed: seed | 1 }
    }

    /// The next wait: between half the bound and the bound, which doubles.
    pub fn next(&mut self) -> Duration {
        let bound = BASE.saturating_mul(1 << self.attempt.min(10)).min(CAP);
        self.attempt += 1;
        // xorshift64: jitter needs no better randomness.
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        let half = bound / 2;
        let jitter = self.seed % u64::try_from(half.as_millis()).unwrap_or(1).max(1);
        half + Duration::from_millis(jitter)
    }

    /// After success.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }
}

/// One source's voice: sends its observations and keeps its freshness honest.
#[derive(Debug)]
pub struct Voice {
    source: SourceId,
    tx: mpsc::Sender<Observation>,
    clock: Clock,
    backoff: Backoff,
    complete: bool,
    last_life: Timestamp,
    failing_since: Option<Timestamp>,
}

/// The store is gone: the console ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

impl Voice {
    /// A source that has said nothing yet.
    #[must_use]
    pub fn new(source: SourceId, tx: mpsc::Sender<Observation>, clock: Clock) -> Self {
        let now = clock.now();
        let seed = now.timestamp_micros().unsigned_abs() ^ ((source.feed as u64) << 40);
        Self { source, tx, clock, backoff: Backoff::new(seed), complete: false, last_life: now, failing_since: None }
    }

    /// Sends one observation; waits while the console is behind.
    ///
    /// # Errors
    /// When the console has ended.
    pub async fn say(&mut self, body: Body) -> Result<(), Gone> {
        let at = self.clock.now();
        match body {
            Body::Synced => {
                self.complete = true;
                self.alive(at);
            }
            Body::Upsert(_) | Body::Remove(_) | Body::Alive => self.alive(at),
            _ => {}
        }
        self.tx.send(Observation { source: self.source.clone(), at, body }).await.map_err(|_| Gone)
    }

    fn alive(&mut self, at: Timestamp) {
        self.last_life = at;
        self.failing_since = None;
        self.backoff.reset();
    }

    /// Says that it is being asked for the first time.
    ///
    /// # Errors
    /// When the console has ended.
    pub async fn loading(&mut self) -> Result<(), Gone> {
        let since = self.clock.now();
        self.say(Body::Freshness(Freshness::Loading { since })).await
    }

    /// Says why reading failed; how long to wait before the next try.
    ///
    /// # Errors
    /// When the console has ended.
    pub async fn failed(&mut self, error: &SourceError) -> Result<Duration, Gone> {
        let now = self.clock.now();
        let because = Text::new(&error.to_string());
        let since = *self.failing_since.get_or_insert(now);
        let (freshness, wait) = match error {
            SourceError::Expired => return Ok(Duration::ZERO),
            SourceError::Forbidden(_) => (Freshness::Absent { because, denied: true }, ABSENT),
            SourceError::NotFound(_) => (Freshness::Absent { because, denied: false }, ABSENT),
            SourceError::Throttled { retry_after } => {
                let wait = self.backoff.next().max(retry_after.unwrap_or_default());
                (self.fading(since, now, because), wait)
            }
            _ => (self.fading(since, now, because), self.backoff.next()),
        };
        self.say(Body::Freshness(freshness)).await?;
        Ok(wait)
    }

    /// Stale while what is shown was complete a moment ago, down otherwise.
    fn fading(&self, since: Timestamp, now: Timestamp, because: Text) -> Freshness {
        if self.complete && now - since < DOWN_AFTER {
            Freshness::Stale { since: self.last_life, because }
        } else {
            let since = if self.complete { self.last_life } else { since };
            Freshness::Down { since, because }
        }
    }

    /// The source's clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The source.
    #[must_use]
    pub fn source(&self) -> &SourceId {
        &self.source
    }

    /// True once a complete list was sent.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ClusterId;
    use crate::store::observation::Feed;

    #[test]
    fn backoff_doubles_to_its_cap_and_resets() {
        let mut backoff = Backoff::new(7);
        let mut bound = BASE;
        for _ in 0..12 {
            let wait = backoff.next();
            assert!(wait >= bound / 2 && wait <= bound, "{wait:?} of {bound:?}");
            bound = (bound * 2).min(CAP);
        }
        backoff.reset();
        assert!(backoff.next() <= BASE);
    }

    #[tokio::test]
    async fn trust_fades_from_stale_to_down_and_comes_back() {
        let (tx, mut rx) = mpsc::channel(16);
        let clock = Clock::manual("2026-01-01T00:00:00Z".parse().expect("time"));
        let source = SourceId { cluster: ClusterId::new("c"), feed: Feed::Tasks };
        let mut voice = Voice::new(source, tx, clock.clone());
        let cut = SourceError::Cut { endpoint: "h".into(), reason: "eof".into() };
        let word = |rx: &mut mpsc::Receiver<Observation>| match rx.try_recv().map(|o| o.body) {
            Ok(Body::Freshness(f)) => f.word(),
            other => panic!("{other:?}"),
        };
        voice.failed(&cut).await.expect("sent");
        assert_eq!(word(&mut rx), "down", "nothing was ever shown");
        voice.say(Body::Synced).await.expect("sent");
        assert!(matches!(rx.try_recv().map(|o| o.body), Ok(Body::Synced)));
        voice.failed(&cut).await.expect("sent");
        assert_eq!(word(&mut rx), "stale");
        clock.advance(TimeDelta::seconds(31));
        voice.failed(&cut).await.expect("sent");
        assert_eq!(word(&mut rx), "down");
        voice.failed(&SourceError::Forbidden("x".into())).await.expect("sent");
        assert_eq!(word(&mut rx), "denied");
        let retry_after = Some(Duration::from_secs(90));
        assert!(voice.failed(&SourceError::Throttled { retry_after }).await.expect("sent") >= Duration::from_secs(90));
    }
}
