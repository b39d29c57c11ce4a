//! Tasks, round after round: those that run, those that are being stopped, and
//! those that have stopped, which are evidence.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use aws_sdk_ecs::types::DesiredStatus;
use chrono::TimeDelta;
use tokio::time::Instant;

use super::metrics::Running;
use super::stop_timeouts::StopTimeouts;
use super::{Link, lock};
use crate::domain::{Health, Resources, Task, Text, Timestamp};
use crate::source::SourceError;
use crate::source::supervise::{ABSENT_RETRY, Jitter, Supervisor};
use crate::store::observation::{Body, Rows};

/// How long a stopped task is kept, whatever ECS keeps.
const EVIDENCE: TimeDelta = TimeDelta::hours(1);
/// As in the projection: how long a failure counts as trouble.
const FRESH_FAILURE: TimeDelta = TimeDelta::minutes(10);
/// Stopped tasks are listed every so many rounds, and whenever a task is missing.
const STOPPED_EVERY: u32 = 4;

/// Tasks of one service and definition that failed a short while ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// How many.
    pub count: u32,
    /// When the last one stopped.
    pub last: Timestamp,
    /// Why it did.
    pub why: Text,
}

/// By service and definition.
pub(super) type Failures = HashMap<(Text, Text), Failure>;

/// What is known, by ARN.
#[derive(Debug, Default)]
struct Known {
    tasks: HashMap<String, Task>,
    rounds: u32,
    complete: bool,
    /// Protection is not asked for before: it may not be, or failed.
    unprotected_until: Option<Instant>,
    stop_timeouts: StopTimeouts,
}

/// Reads until it is stopped.
pub async fn run(link: Arc<Link>, mut supervisor: Supervisor) {
    supervisor.loading().await;
    let mut known = Known::default();
    let mut jitter = Jitter::default();
    loop {
        match round(&link, &mut known, &supervisor).await {
            Ok(()) => {
                known.rounds += 1;
                if known.complete {
                    supervisor.alive();
                    supervisor.emit(Body::Alive).await;
                    supervisor.resumed().await;
                } else {
                    known.complete = true;
                    supervisor.synced().await;
                }
                supervisor.pause(link.interval(1, &mut jitter)).await;
            }
            Err(error) => supervisor.failed(&error).await,
        }
    }
}

async fn round(link: &Link, known: &mut Known, supervisor: &Supervisor) -> Result<(), SourceError> {
    if !known.complete {
        // A list that begins anew sends everything anew.
        known.tasks.clear();
        supervisor.emit(Body::Begin).await;
    }
    let running = link.task_arns(DesiredStatus::Running).await?;
    read(link, known, &running, supervisor).await?;
    let runs: HashSet<&String> = running.iter().collect();
    let missing = known.tasks.iter().any(|(arn, t)| !has_stopped(t) && !runs.contains(arn));
    let mut listed = None;
    if missing || known.rounds.is_multiple_of(STOPPED_EVERY) {
        let stopped = link.task_arns(DesiredStatus::Stopped).await?;
        let open: Vec<String> =
            stopped.iter().filter(|arn| !known.tasks.get(*arn).is_some_and(has_stopped)).cloned().collect();
        read(link, known, &open, supervisor).await?;
        listed = Some(stopped.into_iter().collect::<HashSet<String>>());
    }
    let now = link.account.now();
    forget(known, &running, listed.as_ref(), now, supervisor).await;
    age(known, now, supervisor).await;
    define(link, known, supervisor).await;
    protect(link, known, supervisor).await;
    measure(link, known);
    Ok(())
}

fn has_stopped(t: &Task) -> bool {
    t.ecs.as_ref().is_some_and(|e| e.has_stopped())
}

fn stopped_at(t: &Task) -> Option<Timestamp> {
    t.ecs.as_ref()?.stop.as_ref()?.at
}

/// Describes tasks and sends those that are new or different, batch by batch.
async fn read(link: &Link, known: &mut Known, arns: &[String], supervisor: &Supervisor) -> Result<(), SourceError> {
    for batch in Link::batches(arns) {
        let found = link.tasks(batch).await?;
        let now = link.account.now();
        let names = lock(&link.names).clone();
        let rows: Vec<Task> =
            link.project(|p| found.iter().filter_map(|t| p.task(t, |arn| names.get(arn).cloned(), now)).collect());
        let mut news = Vec::new();
        for mut row in rows {
            let arn = row.uid.to_string();
            // Protection is asked for apart.
            if let (Some(new), Some(old)) = (&mut row.ecs, known.tasks.get(&arn).and_then(|t| t.ecs.as_ref())) {
                new.protected_until = old.protected_until.filter(|_| new.stop.is_none());
            }
            known.stop_timeouts.fill(&mut row);
            if known.tasks.get(&arn) != Some(&row) {
                news.push(row.clone());
                known.tasks.insert(arn, row);
            }
        }
        if !news.is_empty() {
            supervisor.emit(Body::Upsert(Rows::Tasks(news))).await;
        }
    }
    Ok(())
}

/// Drops what ECS lists no longer, and evidence that is old.
async fn forget(
    known: &mut Known,
    running: &[String],
    stopped: Option<&HashSet<String>>,
    now: Timestamp,
    supervisor: &Supervisor,
) {
    let running: HashSet<&String> = running.iter().collect();
    let mut gone = Vec::new();
    known.tasks.retain(|arn, t| {
        let keep = match stopped_at(t) {
            Some(at) if has_stopped(t) => now - at < EVIDENCE || stopped.is_some_and(|s| s.contains(arn)),
            _ => running.contains(arn) || stopped.is_none_or(|s| s.contains(arn)),
        };
        if !keep {
            gone.push(t.id.clone());
        }
        keep
    });
    if !gone.is_empty() {
        supervisor.emit(Body::Remove(gone)).await;
    }
}

/// A failure is trouble for a while, then evidence.
async fn age(known: &mut Known, now: Timestamp, supervisor: &Supervisor) {
    let mut news = Vec::new();
    for t in known.tasks.values_mut().filter(|t| t.health == Health::Warning) {
        if stopped_at(t).is_some_and(|at| now - at >= FRESH_FAILURE) {
            t.health = Health::Done;
            news.push(t.clone());
        }
    }
    if !news.is_empty() {
        supervisor.emit(Body::Upsert(Rows::Tasks(news))).await;
    }
}

/// Reads how long tasks may take to end. Where that may not be asked, it is noted, and stays
/// unknown.
async fn define(link: &Link, known: &mut Known, supervisor: &Supervisor) {
    if let Err(error) = known.stop_timeouts.read(link, known.tasks.values()).await {
        supervisor.emit(Body::Note(error.text())).await;
    }
    let Known { tasks, stop_timeouts, .. } = known;
    let mut news = Vec::new();
    for t in tasks.values_mut() {
        if stop_timeouts.fill(t) {
            news.push(t.clone());
        }
    }
    if !news.is_empty() {
        supervisor.emit(Body::Upsert(Rows::Tasks(news))).await;
    }
}

/// Marks the tasks that a rollout has to wait for. Where that may not be asked, it is
/// noted: tasks do not depend on it.
async fn protect(link: &Link, known: &mut Known, supervisor: &Supervisor) {
    let candidates: Vec<String> =
        known.tasks.iter().filter(|(_, t)| link.may_be_in_the_way(t)).map(|(arn, _)| arn.clone()).collect();
    let waits = known.unprotected_until.is_some_and(|until| Instant::now() < until);
    let found = if candidates.is_empty() || waits { Ok(HashMap::new()) } else { link.protected(&candidates).await };
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            known.unprotected_until = Some(Instant::now() + ABSENT_RETRY);
            supervisor.emit(Body::Note(error.text())).await;
            HashMap::new()
        }
    };
    let mut news = Vec::new();
    for (arn, t) in &mut known.tasks {
        let until = found.get(arn).copied();
        if let Some(e) = &mut t.ecs
            && e.protected_until != until
        {
            e.protected_until = until;
            news.push(t.clone());
        }
    }
    if !news.is_empty() {
        supervisor.emit(Body::Upsert(Rows::Tasks(news))).await;
    }
}

/// What one task of each service asks for: percentages of it become amounts.
fn measure(link: &Link, known: &Known) {
    let mut sizes: HashMap<Text, (Resources, u32)> = HashMap::new();
    for t in known.tasks.values().filter(|t| !has_stopped(t) && !t.owner.is_empty()) {
        let size = sizes.entry(t.owner.clone()).or_insert((t.requests, 0));
        size.1 += 1;
    }
    *lock(&link.sizes) = sizes;
    let running = known.tasks.values().filter(|t| !has_stopped(t)).map(|t| {
        let definition = t.ecs.as_ref().map(|e| e.definition.as_str()).unwrap_or_default();
        let running = Running {
            id: Text::new(super::tail(&t.uid)),
            service: t.owner.clone(),
            family: Text::new(definition.split(':').next().unwrap_or_default()),
            size: t.requests,
        };
        (t.id.name.clone(), running)
    });
    *lock(&link.running) = running.collect();
    *lock(&link.failures) = failures(known.tasks.values());
}

/// What failed lately.
pub(super) fn failures<'t>(tasks: impl Iterator<Item = &'t Task>) -> Failures {
    let mut out = Failures::new();
    for t in tasks.filter(|t| t.health == Health::Warning && has_stopped(t) && !t.owner.is_empty()) {
        let (Some(ecs), Some(at)) = (&t.ecs, stopped_at(t)) else { continue };
        let new = Failure { count: 0, last: at, why: t.message.clone() };
        let known = out.entry((t.owner.clone(), ecs.definition.clone())).or_insert(new);
        known.count += 1;
        if at > known.last {
            (known.last, known.why) = (at, t.message.clone());
        }
    }
    out
}
