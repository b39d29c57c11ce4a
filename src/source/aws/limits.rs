//! How often each API of an account is asked, and what that costs.
//!
//! AWS limits callers by buckets of operations, shared by everybody in an account
//! and region. One console takes at most two requests a second from any of them,
//! and less as soon as AWS says that it is too much.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::{Spend, Text, Timestamp};

/// Between two requests to one bucket, when all is well.
const SPACING: Duration = Duration::from_millis(600);
/// The same for a queue: what waits there has two minutes.
const QUEUE_SPACING: Duration = Duration::from_millis(20);
/// The longest spacing that throttling leads to.
const SLOWEST: Duration = Duration::from_secs(4);
/// Good answers after which the spacing is halved again.
const RECOVER_AFTER: u32 = 4;
/// What the meter calls an hour.
const HOUR: Duration = Duration::from_hours(1);

/// The buckets that AWS counts by, of what is asked here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bucket {
    /// `ListClusters`, `DescribeClusters`.
    ClusterRead,
    /// `ListServices`, `DescribeServices`.
    ServiceRead,
    /// `ListTasks`, `DescribeTasks`, `ListContainerInstances`, `DescribeContainerInstances`.
    ResourceRead,
    /// `DescribeTaskDefinition`.
    DefinitionRead,
    /// CloudWatch `GetMetricData`.
    Metrics,
    /// CloudWatch `DescribeAlarms`.
    Alarms,
    /// CloudWatch Logs reads.
    Logs,
    /// Application Auto Scaling reads.
    AutoScaling,
    /// EC2 reads.
    Ec2,
    /// Elastic Load Balancing reads.
    LoadBalancing,
    /// Service Quotas reads.
    Quotas,
    /// `DescribeCapacityProviders`.
    ProviderRead,
    /// `GetTaskProtection`.
    Protection,
    /// SQS: each queue has a limit of its own, far from what one reader asks.
    Queue,
    /// `ListServiceDeployments`, `DescribeServiceDeployments`.
    DeploymentRead,
    /// What changes something: `UpdateService`, `StopTask` and the like.
    Change,
}

impl Bucket {
    const ALL: [Self; 16] = [
        Self::ClusterRead,
        Self::ServiceRead,
        Self::ResourceRead,
        Self::DefinitionRead,
        Self::Metrics,
        Self::Alarms,
        Self::Logs,
        Self::AutoScaling,
        Self::Ec2,
        Self::LoadBalancing,
        Self::Quotas,
        Self::ProviderRead,
        Self::Protection,
        Self::Queue,
        Self::DeploymentRead,
        Self::Change,
    ];

    /// Between two requests, when all is well.
    fn spacing(self) -> Duration {
        if self == Self::Queue { QUEUE_SPACING } else { SPACING }
    }

    /// As the meter names it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::ClusterRead => "ecs clusters",
            Self::ServiceRead => "ecs services",
            Self::ResourceRead => "ecs tasks and instances",
            Self::DefinitionRead => "ecs task definitions",
            Self::Metrics => "cloudwatch metrics",
            Self::Alarms => "cloudwatch alarms",
            Self::Logs => "cloudwatch logs",
            Self::AutoScaling => "application autoscaling",
            Self::Ec2 => "ec2",
            Self::LoadBalancing => "load balancing",
            Self::Quotas => "service quotas",
            Self::ProviderRead => "ecs capacity providers",
            Self::Protection => "ecs task protection",
            Self::Queue => "sqs",
            Self::DeploymentRead => "ecs deployments",
            Self::Change => "changes",
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Pace {
    /// When the next request may go.
    next: Option<Instant>,
    spacing: Duration,
    good: u32,
    requests: u64,
}

#[derive(Debug)]
struct State {
    paces: [Pace; Bucket::ALL.len()],
    throttled: u64,
    metrics: u64,
    /// CloudWatch's calls that are paid by the call.
    calls: u64,
    /// Metrics asked for and calls, by the minute, for the last hour.
    recent: VecDeque<(Instant, u64, u64)>,
}

/// The paces and counters of one account and region. Thread-safe.
#[derive(Debug)]
pub struct Limits {
    account: Text,
    since: Timestamp,
    ceiling: Option<u32>,
    state: Mutex<State>,
}

impl Limits {
    /// Nothing asked yet. `ceiling` is in dollars a month.
    #[must_use]
    pub fn new(account: Text, since: Timestamp, ceiling: Option<u32>) -> Self {
        let paces = Bucket::ALL.map(|b| Pace { next: None, spacing: b.spacing(), good: 0, requests: 0 });
        let state = State { paces, throttled: 0, metrics: 0, calls: 0, recent: VecDeque::new() };
        Self { account, since, ceiling, state: Mutex::new(state) }
    }

    fn change<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for the next turn of a bucket, and counts the request.
    pub async fn turn(&self, bucket: Bucket) {
        let at = self.change(|s| {
            let pace = &mut s.paces[bucket as usize];
            let now = Instant::now();
            let at = pace.next.map_or(now, |next| next.max(now));
            pace.next = Some(at + pace.spacing);
            pace.requests += 1;
            at
        });
        tokio::time::sleep_until(at).await;
    }

    /// An answer that was no refusal: after some of them the pace quickens again.
    pub fn went_well(&self, bucket: Bucket) {
        self.change(|s| {
            let pace = &mut s.paces[bucket as usize];
            pace.good += 1;
            if pace.good >= RECOVER_AFTER && pace.spacing > bucket.spacing() {
                pace.spacing = (pace.spacing / 2).max(bucket.spacing());
                pace.good = 0;
            }
        });
    }

    /// AWS said that it is too much: half the pace.
    pub fn throttled(&self, bucket: Bucket) {
        self.change(|s| {
            s.throttled += 1;
            let pace = &mut s.paces[bucket as usize];
            pace.spacing = (pace.spacing * 2).clamp(SPACING, SLOWEST);
            pace.good = 0;
            pace.next = Some(pace.next.unwrap_or_else(Instant::now).max(Instant::now() + pace.spacing));
        });
    }

    /// Somebody asks to be shown the present: as if nothing had been throttled.
    pub fn relax(&self) {
        self.change(|s| {
            let soon = Instant::now() + SPACING;
            for (bucket, pace) in Bucket::ALL.iter().zip(&mut s.paces) {
                pace.spacing = bucket.spacing();
                pace.next = pace.next.map(|next| next.min(soon));
            }
        });
    }

    /// Counts metrics that were asked for: they are what costs.
    pub fn metrics(&self, count: u64) {
        self.pay(count, 0);
    }

    /// Counts a call of CloudWatch's that is paid as such.
    pub fn call(&self) {
        self.pay(0, 1);
    }

    fn pay(&self, metrics: u64, calls: u64) {
        self.change(|s| {
            s.metrics += metrics;
            s.calls += calls;
            let now = Instant::now();
            match s.recent.back_mut() {
                Some((at, m, c)) if now.duration_since(*at) < Duration::from_mins(1) => {
                    *m += metrics;
                    *c += calls;
                }
                _ => s.recent.push_back((now, metrics, calls)),
            }
            while s.recent.front().is_some_and(|(at, ..)| now.duration_since(*at) > HOUR) {
                s.recent.pop_front();
            }
        });
    }

    /// How much slower metrics are to be asked for, to stay below the ceiling:
    /// 1 without one, or below it.
    #[must_use]
    pub fn metrics_slowdown(&self, now: Timestamp) -> u32 {
        let spend = self.spend(now);
        let (Some(ceiling), Some(month)) = (spend.ceiling, spend.month_micro_usd(now)) else { return 1 };
        let ceiling = u64::from(ceiling).max(1) * 1_000_000;
        u32::try_from(month.div_ceil(ceiling)).unwrap_or(u32::MAX).clamp(1, 60)
    }

    /// What was asked and what it cost.
    #[must_use]
    pub fn spend(&self, now: Timestamp) -> Spend {
        let mut spend = self.change(|s| {
            let at = Instant::now();
            let recent = s.recent.iter().filter(|(t, ..)| at.duration_since(*t) <= HOUR);
            let last_hour = recent.fold((0, 0), |(m, c), (_, metrics, calls)| (m + metrics, c + calls));
            let mut requests: Vec<_> =
                Bucket::ALL.iter().map(|b| (b.word(), s.paces[*b as usize].requests)).filter(|(_, n)| *n > 0).collect();
            requests.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
            Spend {
                account: self.account.clone(),
                since: self.since,
                requests,
                throttled: s.throttled,
                metrics: s.metrics,
                // GetMetricData is paid by the metric, everything else by the call.
                calls: s.calls,
                last_hour,
                ceiling: self.ceiling,
                slowed: false,
                backing_off: Bucket::ALL.iter().zip(&s.paces).any(|(b, p)| p.spacing > b.spacing()),
            }
        });
        if let (Some(ceiling), Some(month)) = (spend.ceiling, spend.month_micro_usd(now)) {
            spend.slowed = month > u64::from(ceiling) * 1_000_000;
        }
        spend
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{TimeDelta, TimeZone, Utc};

    fn start() -> Timestamp {
        Utc.with_ymd_and_hms(2026, 11, 20, 3, 14, 0).unwrap()
    }

    fn limits(ceiling: Option<u32>) -> Limits {
        Limits::new(Text::new("default eu-west-1"), start(), ceiling)
    }

    #[tokio::test(start_paused = true)]
    async fn never_more_than_two_a_second_in_a_bucket() {
        let limits = limits(None);
        let began = Instant::now();
        let mut times = Vec::new();
        for _ in 0..20 {
            limits.turn(Bucket::ResourceRead).await;
            times.push(began.elapsed());
        }
        for pair in times.windows(3) {
            assert!(pair[2] > pair[0] + Duration::from_secs(1), "{times:?}");
        }
        let before = began.elapsed();
        limits.turn(Bucket::ServiceRead).await;
        assert_eq!(began.elapsed(), before, "another bucket does not wait");
        assert_eq!(limits.spend(start()).all_requests(), 21);
    }

    #[tokio::test(start_paused = true)]
    async fn throttling_slows_down_and_good_answers_recover() {
        let limits = limits(None);
        for _ in 0..3 {
            limits.throttled(Bucket::ServiceRead);
        }
        assert!(limits.spend(start()).backing_off);
        let began = Instant::now();
        limits.turn(Bucket::ServiceRead).await;
        limits.turn(Bucket::ServiceRead).await;
        assert!(began.elapsed() > Duration::from_secs(7), "{:?}", began.elapsed());
        for _ in 0..40 {
            limits.went_well(Bucket::ServiceRead);
        }
        let spend = limits.spend(start());
        assert!(!spend.backing_off);
        assert_eq!(spend.throttled, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_ceiling_slows_metrics_down() {
        let limits = limits(Some(20));
        for _ in 0..60 {
            limits.metrics(400);
            tokio::time::advance(Duration::from_secs(59)).await;
        }
        let now = start() + TimeDelta::hours(1);
        let spend = limits.spend(now);
        assert_eq!(spend.metrics, 24_000);
        assert_eq!(spend.hour_micro_usd(), 240_000);
        assert!(spend.slowed);
        // 175 dollars a month against 20.
        assert_eq!(limits.metrics_slowdown(now), 9);
        limits.call();
        let spend = limits.spend(now);
        assert_eq!((spend.calls, spend.last_hour.1, spend.hour_micro_usd()), (1, 1, 240_010));
        assert_eq!(super::tests::limits(None).metrics_slowdown(now), 1);
    }
}
