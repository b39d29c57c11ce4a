//! CloudWatch's figures of the services and tasks that are on screen: what nobody
//! looks at is not paid for.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_cloudwatch::types as cw;
use tokio::sync::watch;
use tokio::time::Instant;

use super::asks::{Ask, Figure, Insights, Series};
use super::{Link, balancers, lock, trends};
use crate::domain::{Bytes, Kind, Millicores, ObjectId, Resources, Text, Timestamp, Traffic, Usage};
use crate::source::SourceError;
use crate::source::aws::{Bucket, Tokens};
use crate::source::supervise::{Jitter, Supervisor};
use crate::store::observation::{Body, Rows};

/// `GetMetricData` takes so many queries.
const QUERIES: usize = 500;
/// CloudWatch keeps a point a minute; asking more often pays for the same points.
const PERIOD: i64 = 60;
/// What comes on screen gets the sparkline's worth of history.
const HISTORY: i64 = 20 * PERIOD;
/// Points come up to three minutes late.
const OVERLAP: i64 = 4 * PERIOD;
/// A younger minute of a load balancer's counts may still grow.
const SETTLED: i64 = 2 * PERIOD;
/// What was asked for less long ago has no new point yet.
const FRESH: Duration = Duration::from_secs(50);

/// What is known of a cluster's figures between two rounds.
#[derive(Debug, Default)]
struct Known {
    /// The latest point that was sent of each object.
    sent: HashMap<ObjectId, i64>,
    /// When each was asked for.
    asked: HashMap<ObjectId, Instant>,
    /// Services of which Container Insights, though on, has nothing.
    bare: HashSet<ObjectId>,
}

/// Reads until it is stopped.
pub async fn run(link: Arc<Link>, mut supervisor: Supervisor, mut shown: watch::Receiver<Vec<ObjectId>>) {
    if link.account.spec.ceiling == Some(0) {
        return;
    }
    let mut known = Known::default();
    let mut jitter = Jitter::default();
    let mut insights = link.insights.subscribe();
    let mut begun = false;
    loop {
        let level = *insights.borrow_and_update();
        let wanted = wanted(&link, level, &shown.borrow_and_update());
        if wanted.is_empty() {
            // Nobody looks: nothing is asked.
            let changed = tokio::select! {
                changed = shown.changed() => changed,
                changed = insights.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
            continue;
        }
        if !begun {
            begun = true;
            supervisor.loading().await;
        }
        let due: Vec<ObjectId> =
            wanted.iter().filter(|id| known.asked.get(id).is_none_or(|at| at.elapsed() >= FRESH)).cloned().collect();
        match round(&link, level, &due, &mut known, &supervisor).await {
            Ok(()) => {
                supervisor.synced().await;
                let slower = link.account.limits.metrics_slowdown(link.account.now());
                let pause = Duration::from_mins(1) * slower + jitter.up_to(Duration::from_secs(5));
                let until = supervisor.pause(pause);
                // What has just come on screen does not wait for the minute.
                tokio::select! {
                    () = until => {}
                    () = news(&mut shown, &link, level, &wanted) => {}
                }
            }
            Err(error) => supervisor.failed(&error).await,
        }
    }
}

/// What is on screen of this cluster and has figures: services and alarms always, tasks
/// where Container Insights tells them apart.
fn wanted(link: &Link, level: Insights, shown: &[ObjectId]) -> Vec<ObjectId> {
    let kinds = |id: &&ObjectId| match id.kind {
        Kind::EcsService | Kind::Alarm => true,
        Kind::Task => level != Insights::Off,
        _ => false,
    };
    shown.iter().filter(|id| id.cluster == link.spec.id).filter(kinds).cloned().collect()
}

/// Waits until something is shown that was not.
async fn news(shown: &mut watch::Receiver<Vec<ObjectId>>, link: &Link, level: Insights, known: &[ObjectId]) {
    let fresh = |ids: &Vec<ObjectId>| wanted(link, level, ids).iter().any(|id| !known.contains(id));
    if shown.wait_for(fresh).await.is_err() {
        std::future::pending::<()>().await;
    }
    // Somebody who scrolls passes many: wait for where it ends.
    tokio::time::sleep(Duration::from_secs(2)).await;
}

/// Asks for what is due, and sends what was not sent yet.
async fn round(
    link: &Link,
    level: Insights,
    due: &[ObjectId],
    known: &mut Known,
    supervisor: &Supervisor,
) -> Result<(), SourceError> {
    let alarms: Vec<&ObjectId> = due.iter().filter(|id| id.kind == Kind::Alarm).collect();
    let trends = trends::of(link, &alarms).await?;
    if !trends.is_empty() {
        supervisor.emit(Body::Upsert(Rows::Trends(trends))).await;
    }
    let groups = balancers::of(link, due, supervisor).await;
    let running = lock(&link.running).clone();
    let mut asks: Vec<Ask> = Vec::new();
    for id in due {
        if id.kind == Kind::EcsService {
            let level = if known.bare.contains(id) { Insights::Off } else { level };
            asks.extend(Ask::service(link, id, level));
            for (n, group) in groups.get(id).into_iter().flatten().enumerate() {
                asks.extend(Ask::traffic(id, u8::try_from(n).unwrap_or(u8::MAX), group));
            }
        } else if let Some(task) = running.get(&id.name) {
            asks.extend(Ask::task(link, id, level, task, &running));
        }
    }
    let mut series = read(link, &asks, known).await?;
    // Container Insights may be on for a minute only, or the agent too old for it.
    let bare: Vec<&ObjectId> = due.iter().filter(|id| id.kind == Kind::EcsService && level != Insights::Off).collect();
    let bare: Vec<ObjectId> =
        bare.into_iter().filter(|id| !known.bare.contains(*id) && !series.has(id, Figure::CpuUsed)).cloned().collect();
    if !bare.is_empty() {
        let asks: Vec<Ask> = bare.iter().flat_map(|id| Ask::service(link, id, Insights::Off)).collect();
        series.extend(read(link, &asks, known).await?);
        known.bare.extend(bare);
    }
    let now = Instant::now();
    known.asked.extend(due.iter().map(|id| (id.clone(), now)));
    for (_, rows) in usage(due, &series, &running, &mut known.sent) {
        supervisor.emit(Body::Upsert(Rows::Usage(rows))).await;
    }
    let settled = link.account.now().timestamp() - SETTLED;
    let traffic: Vec<(ObjectId, Traffic)> =
        due.iter().filter_map(|id| Some((id.clone(), traffic(id, groups.get(id)?.len(), &series, settled)))).collect();
    if !traffic.is_empty() {
        supervisor.emit(Body::Upsert(Rows::Traffic(traffic))).await;
    }
    Ok(())
}

/// The points of all that is asked, in as few requests as it takes.
async fn read(link: &Link, asks: &[Ask], known: &Known) -> Result<Series, SourceError> {
    const WHAT: &str = "cloudwatch:GetMetricData";
    let clients = link.account.clients().await?;
    let now = link.account.now().timestamp().div_euclid(PERIOD) * PERIOD;
    let mut series = Series::default();
    for batch in asks.chunks(QUERIES) {
        let from = batch.iter().map(|a| known.sent.get(&a.about).map_or(now - HISTORY, |at| at - OVERLAP)).min();
        let from = from.unwrap_or(now).max(now - HISTORY);
        let queries: Vec<cw::MetricDataQuery> =
            batch.iter().enumerate().map(|(n, ask)| ask.query(format!("q{n}"))).collect();
        let mut tokens = Tokens::default();
        loop {
            let request = clients
                .cloudwatch
                .get_metric_data()
                .start_time(aws_smithy_types::DateTime::from_secs(from))
                .end_time(aws_smithy_types::DateTime::from_secs(now + PERIOD))
                .scan_by(cw::ScanBy::TimestampAscending)
                .set_metric_data_queries(Some(queries.clone()))
                .set_next_token(tokens.next());
            link.account.limits.metrics(queries.len() as u64);
            let page = link.account.ask(Bucket::Metrics, WHAT, request.send()).await?;
            for result in page.metric_data_results() {
                series.take(result, batch);
            }
            if !tokens.advance(page.next_token(), WHAT)? {
                break;
            }
        }
    }
    Ok(series)
}

/// CPU and memory as rows, by time: shares of services, amounts of tasks. A point
/// without CPU or without memory waits for the other.
fn usage(
    due: &[ObjectId],
    series: &Series,
    running: &HashMap<Text, Running>,
    sent: &mut HashMap<ObjectId, i64>,
) -> BTreeMap<i64, Vec<(ObjectId, Usage)>> {
    let mut out: BTreeMap<i64, Vec<(ObjectId, Usage)>> = BTreeMap::new();
    for id in due {
        let points = match id.kind {
            Kind::Alarm => continue,
            Kind::EcsService => shares(id, series),
            _ => running.get(&id.name).map(|t| amounts(id, series, t.size)).unwrap_or_default(),
        };
        let last = sent.get(id).copied().unwrap_or(i64::MIN);
        for (at, usage) in points.range(last.saturating_add(1)..) {
            out.entry(*at).or_default().push((id.clone(), *usage));
        }
        if let Some((newest, _)) = points.last_key_value() {
            sent.insert(id.clone(), last.max(*newest));
        }
    }
    out
}

/// A service's use in per cent of what its tasks reserve.
fn shares(id: &ObjectId, series: &Series) -> BTreeMap<i64, Usage> {
    let of_insights = |used, reserved| {
        let reserved = series.of(id, reserved);
        let share = |(at, used): (&i64, &f64)| Some((*at, used / reserved.get(at).filter(|r| **r > 0.0)? * 100.0));
        series.of(id, used).iter().filter_map(share).collect::<BTreeMap<i64, f64>>()
    };
    let mut cpu = of_insights(Figure::CpuUsed, Figure::CpuReserved);
    let mut memory = of_insights(Figure::MemoryUsed, Figure::MemoryReserved);
    if cpu.is_empty() {
        cpu.clone_from(series.of(id, Figure::CpuShare));
        memory.clone_from(series.of(id, Figure::MemoryShare));
    }
    both(&cpu, &memory, |cpu, memory| Some(Usage::of_shares(cpu, memory)))
}

/// A task's use as amounts: from its share of its size, or as it was measured.
fn amounts(id: &ObjectId, series: &Series, size: Resources) -> BTreeMap<i64, Usage> {
    let by_share = both(series.of(id, Figure::CpuShare), series.of(id, Figure::MemoryShare), |cpu, memory| {
        // A share of nothing that is known is no amount.
        (size.cpu.0 > 0 && size.memory.0 > 0)
            .then(|| Usage { cpu: Millicores(part(size.cpu.0, cpu)), memory: Bytes(part(size.memory.0, memory)) })
    });
    if !by_share.is_empty() {
        return by_share;
    }
    // CPU in units of which a vCPU has 1024, memory in MiB.
    both(series.of(id, Figure::CpuUsed), series.of(id, Figure::MemoryUsed), |cpu, memory| {
        Some(Usage { cpu: Millicores(part(1000, cpu / 10.24)), memory: Bytes(part(1 << 20, memory * 100.0)) })
    })
}

/// `percent` of a whole.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "clamped; amounts of one task"
)]
fn part(whole: u64, percent: f64) -> u64 {
    (whole as f64 * percent.clamp(0.0, 1e9) / 100.0).round() as u64
}

fn both(a: &BTreeMap<i64, f64>, b: &BTreeMap<i64, f64>, f: impl Fn(f64, f64) -> Option<Usage>) -> BTreeMap<i64, Usage> {
    a.iter().filter_map(|(at, a)| Some((*at, f(*a, *b.get(at)?)?))).collect()
}

/// The newest minute that is whole. A minute without errors has no point of them: that
/// is none only if requests were counted in it.
fn traffic(id: &ObjectId, groups: usize, series: &Series, settled: i64) -> Traffic {
    let numbers = 0..u8::try_from(groups).unwrap_or(u8::MAX);
    let counts: Vec<(u8, &BTreeMap<i64, f64>)> =
        numbers.map(|n| (n, series.of_group(id, n, Figure::Requests))).collect();
    let newest = counts.iter().filter_map(|(_, c)| c.range(..=settled).next_back().map(|(at, _)| *at)).max();
    let Some(at) = newest else { return Traffic::default() };
    let (mut requests, mut errors) = (0.0, 0.0);
    for (n, count) in &counts {
        if let Some(counted) = count.get(&at) {
            requests += counted;
            errors += series.of_group(id, *n, Figure::Errors).get(&at).copied().unwrap_or(0.0);
        }
    }
    // Percentiles of several groups cannot be put together.
    let latency = |figure| (groups == 1).then(|| series.of_group(id, 0, figure).get(&at).copied()).flatten();
    Traffic {
        at: Timestamp::from_timestamp(at, 0),
        requests: Some(requests / 60.0),
        errors: (requests > 0.0).then(|| (errors / requests).clamp(0.0, 1.0)),
        latency: [latency(Figure::P50), latency(Figure::P95), latency(Figure::P99)],
    }
}

/// What has to be known of a running task to ask for its figures.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Running {
    /// Its id, the last part of its ARN.
    pub id: Text,
    /// Its service, empty without one.
    pub service: Text,
    /// Its task definition's family.
    pub family: Text,
    /// What it asks for.
    pub size: Resources,
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
