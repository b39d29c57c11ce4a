//! Silencing alarms: in the Alertmanagers that hold them, or by what CloudWatch does with them.
//!
//! Whose an alarm is shows only when they are asked: an Alertmanager holds alerts about clusters of any kind. So the
//! Alertmanagers are asked first, and CloudWatch for those that none of them holds.

#[cfg(feature = "prometheus")]
mod alertmanager;
#[cfg(feature = "aws")]
mod cloudwatch;

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

#[cfg(feature = "prometheus")]
use self::alertmanager::World;
use super::desk::{Actor, Progress};
use super::intent::{Intent, Verb};
use super::plan::{Change, End, Fate, Outcome, Permission, Plan, Precondition, StepState};
use crate::clock::Clock;
use crate::domain::{ObjectId, Text};
use crate::source::SourceError;

/// How many names a warning has.
const NAMED: usize = 5;

/// Silences alarms, and ends that.
#[derive(Debug)]
pub struct Alarms {
    #[cfg(feature = "prometheus")]
    alertmanagers: Vec<crate::source::alertmanager::Writer>,
    #[cfg(feature = "aws")]
    cloudwatch: Option<crate::source::ecs::Writer>,
    /// As Alertmanagers will tell others.
    #[cfg(feature = "prometheus")]
    who: Text,
    clock: Clock,
}

impl Alarms {
    /// For `who`, as others will read it; with nobody to ask yet.
    #[must_use]
    pub fn new(who: Text, clock: Clock) -> Self {
        let who = if who.is_empty() { Text::new("somebody") } else { who };
        let _ = &who;
        Self {
            #[cfg(feature = "prometheus")]
            alertmanagers: Vec::new(),
            #[cfg(feature = "aws")]
            cloudwatch: None,
            #[cfg(feature = "prometheus")]
            who,
            clock,
        }
    }

    /// With these Alertmanagers.
    #[cfg(feature = "prometheus")]
    #[must_use]
    pub fn with_alertmanagers(self, alertmanagers: Vec<crate::source::alertmanager::Writer>) -> Self {
        Self { alertmanagers, ..self }
    }

    /// With CloudWatch in the account of this ECS cluster.
    #[cfg(feature = "aws")]
    #[must_use]
    pub fn with_cloudwatch(self, cloudwatch: Option<crate::source::ecs::Writer>) -> Self {
        Self { cloudwatch, ..self }
    }

    /// True if there is nobody to ask.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let is_empty = true;
        #[cfg(feature = "prometheus")]
        let is_empty = is_empty && self.alertmanagers.is_empty();
        #[cfg(feature = "aws")]
        let is_empty = is_empty && self.cloudwatch.is_none();
        is_empty
    }

    async fn make_plan(&self, intent: &Intent) -> Result<Plan, Text> {
        let mut plan = Plan::new(intent.clone(), self.clock.now());
        if intent.verb == Verb::Silence && intent.options.duration == 0 {
            plan.refused.push(Text::new("a silence of no time at all silences nothing"));
        }
        let mut rest: Vec<ObjectId> = intent.targets.clone();
        let mut away: Vec<String> = Vec::new();
        #[cfg(feature = "prometheus")]
        {
            let world = World::look(&self.alertmanagers).await;
            rest = self.plan_alerts(&world, rest, &mut plan).await;
            away.extend(world.away());
        }
        #[cfg(feature = "aws")]
        if let (false, Some(writer)) = (rest.is_empty(), &self.cloudwatch) {
            match cloudwatch::plan(writer, &rest, &mut plan).await {
                Ok(unknown) => rest = unknown,
                Err(error) => away.push(format!("CloudWatch: {}", said(&error))),
            }
        }
        if !rest.is_empty() && !away.is_empty() {
            // Who did not answer may hold it.
            return Err(Text::new(&format!("{} was not found: {}", named(&rest), away.join("; "))));
        }
        plan.warnings.extend(
            away.iter()
                .map(|a| Text::new(&format!("not looked at, and nothing is done there if it holds it, too: {a}"))),
        );
        for id in &rest {
            plan.refused.push(Text::new(&format!(
                "{} is held by nobody who may be changed from here: it is over, not yet told to an Alertmanager, or that is read-only",
                id.name
            )));
        }
        let place = |c: &Change| intent.targets.iter().position(|t| *t == c.target);
        plan.changes.sort_by_key(place);
        // One target that stays has its reason in the way of a button.
        if let ([only], true) = (plan.changes.as_slice(), plan.refused.is_empty())
            && only.fate == Fate::Stays
            && !only.note.is_empty()
        {
            plan.refused.push(only.note.clone());
        }
        Ok(plan)
    }

    async fn act(&self, plan: &Plan, progress: &Progress, cancel: &CancellationToken) -> End {
        #[cfg(feature = "prometheus")]
        let world = World::look(&self.alertmanagers).await;
        // All are checked before the first is changed.
        let mut not: Vec<String> = Vec::new();
        #[cfg(feature = "aws")]
        let alarms = cloudwatch::now(self.cloudwatch.as_ref(), plan).await;
        for change in acting(plan) {
            let checked = match &change.precondition {
                #[cfg(feature = "prometheus")]
                Precondition::Alert { fingerprint, silences } => world.check(fingerprint, silences),
                #[cfg(feature = "aws")]
                Precondition::Actions { enabled } => cloudwatch::check(&alarms, &change.target, *enabled),
                _ => Err("nobody is there who could do it".to_owned()),
            };
            if let Err(why) = checked {
                progress.step(Some(&change.target), StepState::Failed, &why).await;
                not.push(format!("{}: {why}", change.target.name));
            }
        }
        if !not.is_empty() {
            return End::failed(&format!("nothing was done; {}", not.join("; ")), None);
        }
        let mut tally = Tally::default();
        #[cfg(feature = "prometheus")]
        let mut hand = alertmanager::Hand::new(&world, self.wanted(plan, progress));
        for change in acting(plan) {
            if cancel.is_cancelled() || tally.has_failed() {
                let why =
                    if cancel.is_cancelled() { "cancelled before it began" } else { "left: one before it failed" };
                tally.skipped(progress, change, why).await;
                continue;
            }
            progress.step(Some(&change.target), StepState::Doing, "being told").await;
            let went = match &change.precondition {
                #[cfg(feature = "prometheus")]
                Precondition::Alert { fingerprint, .. } => hand.act(plan.intent.verb, fingerprint).await,
                #[cfg(feature = "aws")]
                Precondition::Actions { enabled } => {
                    cloudwatch::act(self.cloudwatch.as_ref(), &change.target, !enabled).await
                }
                _ => Err(Lost::No("nobody is there who could do it".to_owned())),
            };
            tally.went(progress, change, went).await;
        }
        let back = if plan.intent.verb == Verb::Silence { Verb::Unsilence } else { Verb::Silence };
        #[cfg_attr(not(feature = "prometheus"), expect(unused_mut, reason = "the same in every build"))]
        let mut undo = Intent::new(back, Vec::new());
        // Nothing was ended by silencing.
        #[cfg(feature = "prometheus")]
        if let Some(left) = hand.left(self.clock.now()) {
            undo.options.duration = left;
        }
        tally.end(plan.intent.verb.info().done, undo)
    }
}

impl Actor for Alarms {
    fn plan<'a>(&'a self, intent: &'a Intent) -> BoxFuture<'a, Result<Plan, Text>> {
        Box::pin(async move {
            intent.check()?;
            match intent.verb {
                Verb::Silence | Verb::Unsilence => self.make_plan(intent).await,
                verb => Err(Text::new(&format!("{verb} means nothing for an alarm"))),
            }
        })
    }

    fn run<'a>(&'a self, plan: &'a Plan, progress: &'a Progress, cancel: &'a CancellationToken) -> BoxFuture<'a, End> {
        Box::pin(self.act(plan, progress, cancel))
    }
}

/// Why something was not done.
#[derive(Debug)]
enum Lost {
    /// It was not.
    No(String),
    /// Nobody knows whether it was.
    Unknown(String),
}

/// How the targets went.
#[derive(Debug, Default)]
struct Tally {
    done: Vec<ObjectId>,
    failed: Vec<String>,
    unknown: Vec<String>,
    skipped: usize,
}

impl Tally {
    fn has_failed(&self) -> bool {
        !self.failed.is_empty() || !self.unknown.is_empty()
    }

    async fn went(&mut self, progress: &Progress, change: &Change, went: Result<String, Lost>) {
        let (state, text) = match went {
            Ok(text) => {
                self.done.push(change.target.clone());
                (StepState::Done, text)
            }
            Err(Lost::No(why)) => {
                self.failed.push(format!("{}: {why}", change.target.name));
                (StepState::Failed, why)
            }
            Err(Lost::Unknown(why)) => {
                let why = format!("it may have been done: {why}");
                self.unknown.push(format!("{}: {why}", change.target.name));
                (StepState::Failed, why)
            }
        };
        progress.step(Some(&change.target), state, &text).await;
    }

    async fn skipped(&mut self, progress: &Progress, change: &Change, why: &str) {
        progress.step(Some(&change.target), StepState::Skipped, why).await;
        self.skipped += 1;
    }

    /// The end, with what undoes what was done.
    fn end(self, word: &str, undo: Intent) -> End {
        let all = self.done.len() + self.failed.len() + self.unknown.len() + self.skipped;
        let mut text = format!("{} of {all} {word}", self.done.len());
        for line in self.failed.iter().chain(&self.unknown) {
            text.push_str("; ");
            text.push_str(line);
        }
        let outcome = match (self.unknown.len(), self.failed.len(), self.skipped) {
            (1.., ..) => Outcome::Unknown,
            (_, 1.., _) => Outcome::Failed,
            (_, _, 1..) => Outcome::Cancelled,
            _ => Outcome::Done,
        };
        let undo = (!self.done.is_empty()).then_some(Intent { targets: self.done, ..undo });
        End { outcome, text: Text::new(&text), undo }
    }
}

fn acting(plan: &Plan) -> impl Iterator<Item = &Change> {
    plan.changes.iter().filter(|c| c.fate == Fate::Acts)
}

/// A permission that only shows when it is used, or that was asked for.
fn needs(plan: &mut Plan, what: &Text, allowed: Option<bool>) {
    if !plan.needs.iter().any(|p| p.what == *what) {
        plan.needs.push(Permission { what: what.clone(), allowed });
    }
}

fn warn(plan: &mut Plan, text: &str) {
    let text = Text::new(text);
    if !plan.warnings.contains(&text) {
        plan.warnings.push(text);
    }
}

/// `a, b and 3 more`.
fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(NAMED);
    let shown: Vec<&str> = names.take(NAMED).collect();
    let shown = shown.join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

fn named(ids: &[ObjectId]) -> String {
    listed(ids.iter().map(|id| id.name.as_str()))
}

/// What went wrong, without what only readers say of it.
fn said(error: &SourceError) -> String {
    match error {
        SourceError::Server { code, message } => format!("it answers {code}: {message}"),
        SourceError::Forbidden { what } => format!("not allowed: {what}"),
        SourceError::Unauthorized => "credentials were refused (401)".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_an_end() {
        assert_eq!(listed(["a", "b"].into_iter()), "a, b");
        assert_eq!(listed(["a", "b", "c", "d", "e", "f", "g"].into_iter()), "a, b, c, d, e and 2 more");
    }
}
