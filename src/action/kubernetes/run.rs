//! Doing what `edit` planned: all preconditions first, then one patch after the other.

use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::super::desk::Progress;
use super::super::intent::{Intent, Options, Verb};
use super::super::plan::{Change, End, Fate, Outcome, Plan, Precondition, StepState};
use super::Kubernetes;
use super::change::Edit;
use super::object::{self, named};
use super::rollout::Followed;
use crate::domain::{Kind, ObjectId, Text};
use crate::source::kubernetes::{WriteError, Writer};

/// How often a patch is tried again on a fresh read when somebody else wrote in between.
const ATTEMPTS: u32 = 5;

/// Why a patch was not made.
enum Miss {
    /// What was planned is not so any more.
    Changed(String),
    Failed(WriteError),
}

impl Kubernetes {
    pub(super) async fn run_edit(&self, plan: &Plan, progress: &Progress, cancel: &CancellationToken) -> End {
        let todo: Vec<&Change> = plan.changes.iter().filter(|c| c.fate != Fate::Stays).collect();
        // Nothing is done unless all of it still is as it was shown.
        for change in &todo {
            let fresh = match self.read(&change.target).await {
                Ok(object) => self.still(&plan.intent, change, &object).await.map(drop),
                Err(error) if error.code() == 404 => Err(format!("{} is not there any more", named(&change.target))),
                Err(error) => Err(format!("{} cannot be read: {error}", named(&change.target))),
            };
            if let Err(why) = fresh {
                progress.step(Some(&change.target), StepState::Failed, &why).await;
                return End::failed(&format!("{why}; nothing was done"), None);
            }
        }
        let mut done: Vec<(ObjectId, Edit)> = Vec::new();
        for change in &todo {
            if cancel.is_cancelled() {
                return stopped(plan, &done, todo.len(), Outcome::Cancelled, "cancelled");
            }
            progress.step(Some(&change.target), StepState::Doing, "").await;
            match self.apply(&plan.intent, change).await {
                Ok(edit) => {
                    let state = if edit.rolls { StepState::Doing } else { StepState::Done };
                    progress.step(Some(&change.target), state, &format!("{} {}", edit.field, edit.to)).await;
                    done.push((change.target.clone(), edit));
                }
                Err(Miss::Changed(why)) => {
                    progress.step(Some(&change.target), StepState::Failed, &why).await;
                    return stopped(plan, &done, todo.len(), Outcome::Failed, &why);
                }
                Err(Miss::Failed(error)) => {
                    let why = format!("{}: {error}", named(&change.target));
                    progress.step(Some(&change.target), StepState::Failed, &why).await;
                    let unknown = matches!(error, WriteError::Unknown(_));
                    let outcome = if unknown { Outcome::Unknown } else { Outcome::Failed };
                    return stopped(plan, &done, todo.len(), outcome, &why);
                }
            }
        }
        self.follow_all(plan, &done, progress, cancel).await
    }

    async fn follow_all(
        &self,
        plan: &Plan,
        done: &[(ObjectId, Edit)],
        progress: &Progress,
        cancel: &CancellationToken,
    ) -> End {
        let undo = undo(plan, done);
        let patience = Duration::from_secs(u64::from(plan.intent.options.timeout.max(1)));
        for (id, _) in done.iter().filter(|(_, edit)| edit.rolls) {
            let text = match self.follow(id, patience, progress, cancel).await {
                Followed::Done => continue,
                Followed::Failed(why) => {
                    return End::failed(&format!("the rollout of {} does not end: {why}", named(id)), undo);
                }
                Followed::Cancelled(how) => {
                    format!("no longer followed; the rollout of {} goes on by itself ({how})", named(id))
                }
            };
            return End { outcome: Outcome::Cancelled, text: Text::new(&text), undo };
        }
        End::done(&summary(plan, done), undo)
    }

    /// What the change is now; an error if it is not what was planned.
    async fn still(&self, intent: &Intent, change: &Change, object: &Value) -> Result<Edit, String> {
        let what = named(&change.target);
        let edit = self.edit(intent, &change.target, object).await;
        let (Precondition::Version { uid, .. } | Precondition::Uid(uid)) = &change.precondition else {
            return Ok(edit);
        };
        if object::uid(object) != uid.as_str() {
            return Err(format!("{what} is another one now: it was deleted and made anew"));
        }
        if let Precondition::Version { uid, version } = &change.precondition
            && !self.is_as_seen(intent.verb, uid, version, object)
        {
            return Err(if edit.from == change.from.as_str() {
                format!("{what} was changed since this was planned")
            } else {
                let then = if change.from.is_empty() { "nothing" } else { change.from.as_str() };
                format!(
                    "{what} was changed since this was planned: {} was {then}, and is {} now",
                    change.field, edit.from
                )
            });
        }
        match edit.refused.first() {
            Some(why) => Err(why.clone()),
            None => Ok(edit),
        }
    }

    async fn apply(&self, intent: &Intent, change: &Change) -> Result<Edit, Miss> {
        let path = Writer::object(&change.target).map_err(Miss::Failed)?;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let object = self.read(&change.target).await.map_err(Miss::Failed)?;
            let edit = self.still(intent, change, &object).await.map_err(Miss::Changed)?;
            let body = edit.at(object::uid(&object), object::version(&object));
            let sent = self.writer.patch(&format!("{path}{}", edit.part), edit.how, &body).await;
            match sent {
                Ok(_) => return Ok(edit),
                // Written in between: perhaps only its status, which the next look tells.
                Err(error) if error.code() == 409 && attempt < ATTEMPTS => {}
                Err(error) => return Err(Miss::Failed(error)),
            }
        }
    }
}

fn stopped(plan: &Plan, done: &[(ObjectId, Edit)], all: usize, outcome: Outcome, why: &str) -> End {
    let so_far = match done.len() {
        _ if outcome == Outcome::Unknown && done.is_empty() => "look whether it was done".to_owned(),
        0 => "nothing was done".to_owned(),
        n => format!("{n} of {all} done"),
    };
    End { outcome, text: Text::new(&format!("{why}; {so_far}")), undo: undo(plan, done) }
}

fn undo(plan: &Plan, done: &[(ObjectId, Edit)]) -> Option<Intent> {
    let back = match plan.intent.verb {
        Verb::Cordon => Verb::Uncordon,
        Verb::Uncordon => Verb::Cordon,
        Verb::Suspend => Verb::Resume,
        Verb::Resume => Verb::Suspend,
        verb => verb,
    };
    let options: Options = done.first()?.1.undo.clone()?;
    // An intent has one set of options: what is undone differently for each is not offered.
    if done.iter().any(|(id, edit)| id.kind == Kind::Autoscaler || edit.undo.as_ref() != Some(&options)) {
        return None;
    }
    Some(Intent { verb: back, targets: done.iter().map(|(id, _)| id.clone()).collect(), options })
}

fn summary(plan: &Plan, done: &[(ObjectId, Edit)]) -> String {
    let verb = plan.intent.verb.info().done;
    match done {
        [(id, edit)] if plan.intent.verb == Verb::Restart => {
            let rest = if edit.rolls { "" } else { "; its tasks are replaced as they are deleted" };
            format!("{} is {verb}{rest}", named(id))
        }
        [(id, edit)] => format!("{}: {} {} -> {}", named(id), edit.field, edit.from, edit.to),
        _ => format!("{} {verb}", done.len()),
    }
}
