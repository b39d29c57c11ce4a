//! Error budgets over CloudWatch: which account is asked for which objective, and the task of
//! each that does.

mod fetch;
mod tracked;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use self::fetch::{Found, WHAT, ask};
use self::tracked::{MINUTE, Signal as From, Tracked};
use super::Account;
use crate::clock::Clock;
use crate::domain::{Backend, BackendKind, ClusterId, Freshness, Text};
use crate::slo::{CloudWatchCount, CloudWatchMetric, CloudWatchSignal, Definition, Signal};
use crate::source::SourceError;
use crate::source::supervise::{Jitter, Supervisor, guarded};
use crate::store::observation::{Body, Feed, Observation, Rows, SourceId};

/// The name under which budgets over CloudWatch are shown. Where several accounts or regions
/// are asked, those after the first have theirs behind it.
pub const CLOUDWATCH: &str = "cloudwatch";
/// How long an account may take to say what number it has before others are read without it.
const NAMES_FIRST: Duration = Duration::from_secs(5);

/// The objectives whose indicator is in CloudWatch, and how often they are looked at.
#[derive(Debug, Clone, Default)]
pub struct Objectives {
    /// What is promised; those over anything but CloudWatch are ignored.
    pub definitions: Vec<Definition>,
    /// How often short windows are asked for; a minute at least.
    pub interval: Duration,
}

/// What the tasks of all accounts share.
#[derive(Clone)]
pub(in crate::source) struct Desk {
    pub(in crate::source) tx: mpsc::Sender<Observation>,
    pub(in crate::source) clock: Clock,
    pub(in crate::source) wake: Arc<Notify>,
}

impl Desk {
    fn supervisor(&self, id: &ClusterId) -> Supervisor {
        let source = SourceId { cluster: id.clone(), feed: Feed::Budgets };
        Supervisor::new(source, self.tx.clone(), self.clock.clone(), Arc::clone(&self.wake))
    }

    async fn say(&self, id: &ClusterId, body: Body) {
        let source = SourceId { cluster: id.clone(), feed: Feed::Budgets };
        if self.tx.send(Observation { source, at: self.clock.now(), body }).await.is_err() {
            tracing::debug!("nobody listens any more");
        }
    }

    /// Says that budgets will come, before anything is known of them.
    pub(in crate::source) fn announce(&self) {
        let source = SourceId { cluster: ClusterId::new(CLOUDWATCH), feed: Feed::Budgets };
        let at = self.clock.now();
        let body = Body::Freshness(Freshness::Loading { since: at });
        // A full channel is no loss: the feed will be heard of soon enough.
        drop(self.tx.try_send(Observation { source, at, body }));
    }
}

/// An account that may be asked, and what the console calls the clusters that are read in it.
#[derive(Debug, Clone)]
pub(in crate::source) struct Candidate {
    pub(in crate::source) account: Arc<Account>,
    pub(in crate::source) clusters: Vec<ClusterId>,
}

/// What is known of a candidate when objectives are dealt out.
#[derive(Debug, Clone)]
struct Known {
    /// The profile and the clusters, which an objective's `DataSource` may name.
    names: Vec<String>,
    /// Its region, or why that is not known.
    region: Result<String, String>,
    /// Its number; asked for only where an objective names one.
    number: Option<String>,
}

/// Follows all objectives until it is stopped; `candidates` in the order of the settings.
pub(in crate::source) async fn run(desk: Desk, candidates: Vec<Candidate>, objectives: Objectives) {
    let mut definitions = Vec::new();
    for d in objectives.definitions {
        if let Signal::CloudWatch(signal) = d.signal.clone() {
            definitions.push((d, signal));
        }
    }
    if definitions.is_empty() {
        return;
    }
    let numbers = definitions.iter().any(|(_, s)| metrics(s).any(|m| m.account.is_some()));
    let mut patience = numbers.then_some(NAMES_FIRST);
    loop {
        let known = futures::future::join_all(candidates.iter().map(|c| introduce(c, patience))).await;
        patience = patience.map(|_| Duration::ZERO);
        let works = deal(&desk, &candidates, &definitions, &known, objectives.interval);
        let works = futures::future::join_all(works);
        let unread = |(d, s): &(Definition, CloudWatchSignal)| {
            let numbered = metrics(s).any(|m| m.account.is_some());
            numbered && choose(s, d.source.as_ref().map(Text::as_str), &known).is_err()
        };
        let waiting = definitions.iter().any(unread);
        let nameless = candidates.iter().zip(&known).filter(|(_, k)| waiting && k.number.is_none());
        let late: Vec<_> = nameless.map(|(c, _)| Box::pin(c.account.number())).collect();
        if late.is_empty() {
            works.await;
            return;
        }
        // Whose credentials come later is dealt with later: all is dealt out anew.
        tokio::select! {
            _ = futures::future::select_all(late) => {}
            () = async { works.await; std::future::pending().await } => {}
        }
    }
}

/// Who reads what, as it is known now; what each of them does.
fn deal(
    desk: &Desk,
    candidates: &[Candidate],
    definitions: &[(Definition, CloudWatchSignal)],
    known: &[Known],
    interval: Duration,
) -> Vec<impl Future<Output = ()> + use<>> {
    let mut shares: BTreeMap<usize, Vec<Tracked>> = BTreeMap::new();
    let mut unread = Vec::new();
    for (d, signal) in definitions {
        let named = d.source.as_ref().map(Text::as_str);
        let tracked = |from, remark: &str| Tracked::new(d.objective.clone(), from, Text::new(remark));
        match choose(signal, named, known) {
            Ok((at, remark)) => {
                shares.entry(at).or_default().push(tracked(From::Read(Box::new(signal.clone())), &remark));
            }
            Err(why) => unread.push(tracked(From::Not(Text::new(&why)), "")),
        }
    }
    // What nobody can be asked for is shown with the first that is.
    if shares.is_empty() {
        shares.insert(usize::MAX, Vec::new());
    }
    let mut works = Vec::new();
    for (at, mut all) in shares {
        let account = candidates.get(at).map(|c| Arc::clone(&c.account));
        let id = match &account {
            Some(account) if !works.is_empty() => ClusterId::new(&format!("{CLOUDWATCH} {}", account.name())),
            _ => ClusterId::new(CLOUDWATCH),
        };
        all.append(&mut unread);
        works.push(watched(desk.clone(), id, account, all, interval));
    }
    works
}

/// Learns what a candidate is; waits for its number for so long, if it is wanted.
async fn introduce(candidate: &Candidate, patience: Option<Duration>) -> Known {
    let account = &candidate.account;
    let region = match &account.spec.region {
        Some(region) => Ok(region.clone()),
        None => account.clients().await.map(|c| c.region.clone()).map_err(|e| e.to_string()),
    };
    let number = match patience {
        Some(patience) => tokio::time::timeout(patience, account.number()).await.ok(),
        None => None,
    };
    let names = candidate.clusters.iter().map(ToString::to_string).chain([account.spec.profile_name()]).collect();
    Known { names, region, number }
}

/// The metrics that a signal names.
fn metrics(signal: &CloudWatchSignal) -> impl Iterator<Item = &CloudWatchMetric> {
    fn of(count: &CloudWatchCount) -> Option<&CloudWatchMetric> {
        if let CloudWatchCount::Metric(metric, _) = count { Some(metric) } else { None }
    }
    let both = match signal {
        CloudWatchSignal::Ratio { count, total, .. } => [of(count), of(total)],
        CloudWatchSignal::Latency { metric, .. } | CloudWatchSignal::Value { metric, .. } => [Some(metric), None],
    };
    both.into_iter().flatten()
}

/// The regions that a signal names.
fn regions(signal: &CloudWatchSignal) -> Vec<&str> {
    fn of(count: &CloudWatchCount) -> Option<&str> {
        match count {
            CloudWatchCount::Metric(metric, _) => metric.region.as_deref(),
            CloudWatchCount::Expression(_, region) => region.as_deref(),
        }
    }
    let mut all: Vec<&str> = match signal {
        CloudWatchSignal::Ratio { count, total, .. } => [of(count), of(total)].into_iter().flatten().collect(),
        CloudWatchSignal::Latency { metric, .. } | CloudWatchSignal::Value { metric, .. } => {
            metric.region.as_deref().into_iter().collect()
        }
    };
    all.sort_unstable();
    all.dedup();
    all
}

/// Which candidate is asked for a signal, with a remark; or why none is.
fn choose(signal: &CloudWatchSignal, named: Option<&str>, known: &[Known]) -> Result<(usize, String), String> {
    let regions = regions(signal);
    let mut numbers: Vec<&str> = metrics(signal).filter_map(|m| m.account.as_deref()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    if regions.len() > 1 || numbers.len() > 1 {
        return Err("not read: its two metrics are in different accounts or regions".to_owned());
    }
    let (region, number) = (regions.first().copied(), numbers.first().copied());
    let fits = |k: &Known| {
        region.is_none_or(|r| k.region.as_deref() == Ok(r)) && number.is_none_or(|n| k.number.as_deref() == Some(n))
    };
    let mut fitting: Vec<usize> = (0..known.len()).filter(|i| known.get(*i).is_some_and(fits)).collect();
    let by_name = |i: &usize| named.is_some_and(|n| known.get(*i).is_some_and(|k| k.names.iter().any(|own| own == n)));
    if fitting.iter().any(by_name) {
        fitting.retain(by_name);
    }
    let name = |i: usize| known.get(i).and_then(|k| k.names.last()).cloned().unwrap_or_default();
    match fitting.as_slice() {
        [] => {
            let place = match (number, region) {
                (Some(n), Some(r)) => format!("account {n} in {r}"),
                (Some(n), None) => format!("account {n}"),
                (None, Some(r)) => format!("account in {r}"),
                (None, None) => "account".to_owned(),
            };
            let maybe = |k: &&Known| k.number.is_none() && region.is_none_or(|r| k.region.as_deref() == Ok(r));
            if let (Some(n), Some(k)) = (number, known.iter().find(maybe)) {
                let name = k.names.last().map_or("", String::as_str);
                let why = format!("not read: {name} may be account {n}, but its ECS clusters have not answered yet");
                return Err(why);
            }
            let unknown = known.iter().find_map(|k| k.region.as_ref().err());
            let why = unknown.map_or_else(String::new, |e| format!(" ({e})"));
            Err(format!("not read: no AWS {place} is read; add an ECS cluster in it{why}"))
        }
        [one] => Ok((*one, String::new())),
        [first, ..] if number.is_some() || fitting.iter().any(by_name) => Ok((*first, String::new())),
        [first, ..] => {
            let remark = format!("several accounts fit, {} is asked: `accountId` says which is meant", name(*first));
            Ok((*first, remark))
        }
    }
}

/// Follows one account's, and says so if that stops by a fault of its own.
async fn watched(desk: Desk, id: ClusterId, account: Option<Arc<Account>>, all: Vec<Tracked>, interval: Duration) {
    let endpoint = account.as_ref().map_or_else(String::new, |a| a.name().to_string());
    let backend = Backend {
        id: id.clone(),
        kind: BackendKind::CloudWatch,
        version: Text::empty(),
        endpoint: Text::new(&endpoint),
        cluster: None,
        found: false,
    };
    desk.say(&id, Body::Backend(backend)).await;
    let supervisor = desk.supervisor(&id);
    let work: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> = match account {
        Some(account) => Box::pin(follow(id.clone(), account, all, interval, supervisor)),
        None => Box::pin(unread(id.clone(), all, supervisor)),
    };
    if let Some(because) = guarded(Feed::Budgets.word(), work).await {
        desk.say(&id, Body::Freshness(Freshness::Down { since: desk.clock.now(), because })).await;
    }
}

async fn unread(id: ClusterId, all: Vec<Tracked>, mut supervisor: Supervisor) {
    show(&id, &all, &supervisor).await;
    supervisor.synced().await;
}

async fn show(id: &ClusterId, all: &[Tracked], supervisor: &Supervisor) {
    supervisor.emit(Body::Begin).await;
    for chunk in all.chunks(100) {
        supervisor.emit(Body::Upsert(Rows::Budgets(chunk.iter().map(|t| t.row(id)).collect()))).await;
    }
}

async fn follow(
    id: ClusterId,
    account: Arc<Account>,
    mut all: Vec<Tracked>,
    interval: Duration,
    mut supervisor: Supervisor,
) {
    if account.spec.ceiling == Some(0) {
        for tracked in &mut all {
            tracked.forgo(Text::new("not read: aws.ceiling is 0, and CloudWatch costs money"));
        }
        return unread(id, all, supervisor).await;
    }
    let mut jitter = Jitter::default();
    let mut found = Found::default();
    loop {
        let outcome = round(&account, &mut found, &mut all).await;
        // A row says why it has no figures, or why they age.
        show(&id, &all, &supervisor).await;
        supervisor.emit(Body::Spend(account.limits.spend(account.now()))).await;
        match outcome {
            Ok(()) => {
                supervisor.synced().await;
                let slower = account.limits.metrics_slowdown(account.now());
                supervisor.pause(interval.max(MINUTE) * slower + jitter.up_to(Duration::from_secs(5))).await;
            }
            Err(error) => supervisor.failed(&error).await,
        }
    }
}

/// Asks for what is due, and says what it means.
async fn round(account: &Account, found: &mut Found, all: &mut [Tracked]) -> Result<(), SourceError> {
    let (now, tick) = (account.now(), Instant::now());
    let slower = account.limits.metrics_slowdown(now);
    let asks: Vec<_> = all.iter_mut().enumerate().flat_map(|(i, t)| t.due(i, now, tick, slower)).collect();
    let asked: Vec<(usize, u32)> = asks.iter().map(|a| (a.owner, a.period_secs)).collect();
    let answers = if asks.is_empty() { Ok(Vec::new()) } else { ask(account, found, asks, now.timestamp()).await };
    let failed = match answers {
        Ok(answers) => {
            for (owner, period, got) in answers {
                if let Some(tracked) = all.get_mut(owner) {
                    tracked.take(period, got, now, tick);
                }
            }
            None
        }
        Err(error) => {
            let why = unanswered(&error, account.name());
            for (owner, period) in asked {
                if let Some(tracked) = all.get_mut(owner) {
                    tracked.again(period, &why);
                }
            }
            Some(error)
        }
    };
    for tracked in all.iter_mut() {
        tracked.assess(now, tick, slower);
    }
    failed.map_or(Ok(()), Err)
}

/// Why an account's objectives have no new figures, for their rows.
fn unanswered(error: &SourceError, account: &Text) -> Text {
    match error {
        SourceError::Forbidden { .. } => Text::new(&format!("denied: {WHAT} in {account}")),
        SourceError::Throttled { .. } => Text::new(&format!("throttled: {WHAT} in {account}")),
        other => Text::new(&format!("not read: {other}")),
    }
}

#[cfg(test)]
mod tests;
