//! What can be changed in an ECS cluster.
//!
//! ```text
//! service   scale, restart, roll-back, set-image     instance   cordon, uncordon, drain     delete stops a task
//! task      exec, port-forward                       (attach says why not)
//! ```
//!
//! Every plan is made of a fresh read, and every run reads again before it acts: what was shown must still be so.

mod back;
mod diff;
mod enter;
mod image;
mod instance;
mod rollout;
mod service;

use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::desk::{Actor, Progress};
use super::intent::{Intent, Verb};
use super::plan::{Change, End, Fate, Outcome, Permission, Plan, Precondition, StepState};
use super::words::joined;
use crate::clock::Clock;
use crate::domain::{ObjectId, Text};
use crate::source::SourceError;
use crate::source::ecs::Writer;

pub use self::enter::Hands;

/// Between two looks at what goes on.
const POLL: Duration = Duration::from_secs(3);
/// So often is asked what AWS throttles; each time the account waits longer for its turn.
const ASKS: u32 = 6;

/// One cluster that may be changed.
#[derive(Debug)]
pub struct Ecs {
    writer: Writer,
    clock: Clock,
    poll: Duration,
    /// For going into tasks, where there is a terminal to lend.
    hands: Option<Hands>,
}

impl Ecs {
    /// Changes what `writer` reaches.
    #[must_use]
    pub fn new(writer: Writer, clock: Clock) -> Self {
        Self { writer, clock, poll: POLL, hands: None }
    }

    /// With another time between two looks, for tests.
    #[must_use]
    pub fn with_poll(self, poll: Duration) -> Self {
        Self { poll, ..self }
    }

    /// An `aws` command of this cluster to copy.
    fn aws(&self, words: &[&str]) -> String {
        let (cluster, _) = self.writer.place();
        let (service, rest) = words.split_at(2.min(words.len()));
        self.aws_anywhere(&[service, &["--cluster", cluster], rest].concat())
    }

    /// An `aws` command to copy.
    fn aws_anywhere(&self, words: &[&str]) -> String {
        let (_, profile) = self.writer.place();
        let mut all: Vec<String> = vec!["aws".to_owned()];
        if let Some(profile) = profile {
            all.extend(["--profile".to_owned(), profile.to_owned()]);
        }
        all.extend(words.iter().map(|w| (*w).to_owned()));
        joined(&all)
    }

    /// Asks again as long as AWS says that it is too much: nothing was done then.
    async fn insist<T, F>(&self, cancel: &CancellationToken, mut ask: impl FnMut() -> F) -> Result<T, SourceError>
    where
        F: Future<Output = Result<T, SourceError>>,
    {
        let mut left = ASKS;
        loop {
            let outcome = ask().await;
            left -= 1;
            if left == 0 || cancel.is_cancelled() || !matches!(outcome, Err(SourceError::Throttled { .. })) {
                return outcome;
            }
        }
    }

    /// Waits for the next look; false if it was cancelled meanwhile.
    async fn pause(&self, cancel: &CancellationToken) -> bool {
        tokio::select! {
            biased;
            () = cancel.cancelled() => false,
            () = tokio::time::sleep(self.poll) => true,
        }
    }

    async fn plan_stop(&self, plan: &mut Plan) {
        for id in plan.intent.targets.clone() {
            match self.writer.object(&id).await {
                Ok(task) if task["desiredStatus"] == "STOPPED" => {
                    plan.changes.push(stays(&id, "stop", "it is on its way out already"));
                }
                Ok(task) => {
                    let group = text(&task, "group");
                    let note = match group.strip_prefix("service:") {
                        Some(service) => format!("service {service} starts another one in its place"),
                        None => "nobody starts another one in its place".to_owned(),
                    };
                    plan.changes.push(Change {
                        target: id.clone(),
                        field: Text::new("status"),
                        from: Text::new(text(&task, "lastStatus")),
                        to: Text::new("STOPPED"),
                        fate: Fate::Acts,
                        note: Text::new(&note),
                        precondition: Precondition::Uid(Text::new(text(&task, "taskArn"))),
                    });
                    plan.equivalent.push(self.aws(&["ecs", "stop-task", "--task", &self.writer.known_as(&id)]));
                }
                Err(error) => plan.changes.push(stays(&id, "stop", &said(&error))),
            }
        }
        plan.needs = vec![needs("ecs:StopTask")];
    }

    async fn run_stop(&self, plan: &Plan, progress: &Progress, cancel: &CancellationToken) -> End {
        let mut reason = format!("stopped by {} via quarterdeck", who());
        if !progress.reason().is_empty() {
            reason = format!("{reason}: {}", progress.reason());
        }
        let mut tally = Tally::default();
        for change in acting(plan) {
            if cancel.is_cancelled() {
                tally.skipped(progress, change, "cancelled before it began").await;
                continue;
            }
            progress.step(Some(&change.target), StepState::Doing, "stopping").await;
            let Precondition::Uid(arn) = &change.precondition else { continue };
            match self.insist(cancel, || self.writer.stop(arn, &reason)).await {
                Ok(()) => tally.done(progress, change, "told to stop").await,
                Err(error) => tally.failed(progress, change, &error).await,
            }
        }
        tally.end("stopped", None)
    }
}

impl Actor for Ecs {
    fn plan<'a>(&'a self, intent: &'a Intent) -> BoxFuture<'a, Result<Plan, Text>> {
        Box::pin(async move {
            intent.check()?;
            let mut plan = Plan::new(intent.clone(), self.clock.now());
            match intent.verb {
                Verb::Scale | Verb::Restart | Verb::RollBack | Verb::SetImage => self.plan_service(&mut plan).await?,
                Verb::Cordon | Verb::Uncordon | Verb::Drain => self.plan_instance(&mut plan).await,
                Verb::Delete => self.plan_stop(&mut plan).await,
                Verb::Exec | Verb::Attach | Verb::PortForward => return self.plan_session(intent).await,
                verb => return Err(Text::new(&format!("{verb} of an ECS cluster is not done from here yet"))),
            }
            // One target that cannot be looked at has its reason in the way of a button.
            if let ([only], true) = (plan.changes.as_slice(), plan.refused.is_empty())
                && only.fate == Fate::Stays
                && !only.note.is_empty()
            {
                plan.refused.push(only.note.clone());
            }
            Ok(plan)
        })
    }

    fn run<'a>(&'a self, plan: &'a Plan, progress: &'a Progress, cancel: &'a CancellationToken) -> BoxFuture<'a, End> {
        Box::pin(async move {
            match plan.intent.verb {
                Verb::Scale | Verb::Restart | Verb::RollBack | Verb::SetImage => {
                    self.run_service(plan, progress, cancel).await
                }
                Verb::Cordon | Verb::Uncordon => self.run_state(plan, progress, cancel).await,
                Verb::Drain => self.run_drain(plan, progress, cancel).await,
                Verb::Delete => self.run_stop(plan, progress, cancel).await,
                Verb::Exec | Verb::PortForward => self.run_session(plan, progress, cancel).await,
                verb => End::failed(&format!("{verb} of an ECS cluster is not done from here yet"), None),
            }
        })
    }
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Failure {
    text: String,
    outcome: Outcome,
}

impl Failure {
    fn new(text: &str) -> Self {
        Self { text: text.to_owned(), outcome: Outcome::Failed }
    }

    fn cancelled(text: &str) -> Self {
        Self { text: text.to_owned(), outcome: Outcome::Cancelled }
    }

    fn of(error: &SourceError) -> Self {
        // It may have been done all the same.
        let lost = matches!(error, SourceError::TimedOut { .. } | SourceError::Unreachable { .. });
        Self { text: said(error), outcome: if lost { Outcome::Unknown } else { Outcome::Failed } }
    }

    fn is_unknown(&self) -> bool {
        self.outcome == Outcome::Unknown
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Self::of(&error)
    }
}

/// How the targets went.
#[derive(Debug, Default)]
struct Tally {
    done: Vec<ObjectId>,
    /// Changed, and not as it was to be.
    begun: Vec<ObjectId>,
    failed: Vec<String>,
    /// No answer came: nobody knows.
    unknown: Vec<String>,
    cancelled: Vec<String>,
    skipped: usize,
}

impl Tally {
    async fn done(&mut self, progress: &Progress, change: &Change, text: &str) {
        progress.step(Some(&change.target), StepState::Done, text).await;
        self.done.push(change.target.clone());
    }

    async fn failed(&mut self, progress: &Progress, change: &Change, error: &SourceError) {
        self.fell(progress, change, Failure::of(error)).await;
    }

    async fn fell(&mut self, progress: &Progress, change: &Change, failure: Failure) {
        let is_cancelled = failure.outcome == Outcome::Cancelled;
        let state = if is_cancelled { StepState::Skipped } else { StepState::Failed };
        progress.step(Some(&change.target), state, &failure.text).await;
        let line = format!("{}: {}", change.target.name, failure.text);
        match failure.outcome {
            Outcome::Unknown => self.unknown.push(line),
            Outcome::Cancelled => self.cancelled.push(line),
            _ => self.failed.push(line),
        }
    }

    /// It was changed, and did not come to its end.
    async fn unfinished(&mut self, progress: &Progress, change: &Change, text: &str) {
        self.changed(progress, change, text).await;
        self.begun.push(change.target.clone());
    }

    /// It was changed, and goes on by itself.
    async fn left(&mut self, progress: &Progress, change: &Change, text: &str) {
        self.fell(progress, change, Failure::cancelled(text)).await;
        self.begun.push(change.target.clone());
    }

    async fn changed(&mut self, progress: &Progress, change: &Change, text: &str) {
        progress.step(Some(&change.target), StepState::Failed, text).await;
        self.failed.push(format!("{}: {text}", change.target.name));
    }

    async fn skipped(&mut self, progress: &Progress, change: &Change, text: &str) {
        progress.step(Some(&change.target), StepState::Skipped, text).await;
        self.skipped += 1;
    }

    /// The end, with what undoes what was done.
    fn end(self, word: &str, undo: Option<Intent>) -> End {
        let not = [&self.failed, &self.unknown, &self.cancelled];
        let all = self.done.len() + not.iter().map(|n| n.len()).sum::<usize>() + self.skipped;
        let mut text = format!("{} of {all} {word}", self.done.len());
        for line in not.into_iter().flatten() {
            text.push_str(&format!("; {line}"));
        }
        let outcome = match (self.unknown.len(), self.failed.len(), self.skipped + self.cancelled.len()) {
            (1.., ..) => Outcome::Unknown,
            (_, 1.., _) => Outcome::Failed,
            (_, _, 1..) => Outcome::Cancelled,
            _ => Outcome::Done,
        };
        let changed: Vec<ObjectId> = self.done.into_iter().chain(self.begun).collect();
        let undo = undo.filter(|_| !changed.is_empty()).map(|intent| Intent { targets: changed, ..intent });
        End { outcome, text: Text::new(&text), undo }
    }
}

fn acting(plan: &Plan) -> impl Iterator<Item = &Change> {
    plan.changes.iter().filter(|c| c.fate == Fate::Acts)
}

fn stays(id: &ObjectId, field: &str, why: &str) -> Change {
    Change {
        target: id.clone(),
        field: Text::new(field),
        from: Text::empty(),
        to: Text::empty(),
        fate: Fate::Stays,
        note: Text::new(why),
        precondition: Precondition::Nothing,
    }
}

/// A permission that only shows when it is used: IAM cannot be asked cheaply.
fn needs(action: &str) -> Permission {
    Permission { what: Text::new(action), allowed: None }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// What went wrong, without what only readers say of it.
fn said(error: &SourceError) -> String {
    match error {
        SourceError::Server { code, message } => format!("AWS answered {code}: {message}"),
        SourceError::Forbidden { what } => format!("not allowed: {what}"),
        other => other.to_string(),
    }
}

/// Who does it, as ECS will tell others.
fn who() -> String {
    std::env::var("USER").ok().filter(|u| !u.is_empty()).unwrap_or_else(|| "somebody".to_owned())
}
