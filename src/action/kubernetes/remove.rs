//! Deleting.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::desk::Progress;
use super::super::plan::{Change, End, Fate, Outcome, Plan, Precondition, StepState};
use super::budgets::Budgets;
use super::edit::missing;
use super::object::{self, kept_by, named, number, slashed, text};
use super::{Kubernetes, Need};
use crate::domain::{Kind, ObjectId, Text};
use crate::source::kubernetes::{WriteError, Writer};

impl Kubernetes {
    pub(super) async fn plan_delete(&self, plan: &mut Plan) -> Result<(), Text> {
        let intent = plan.intent.clone();
        let mut needs = Vec::new();
        let mut budgets = Budgets::default();
        for id in &intent.targets {
            let object = match self.read(id).await {
                Ok(object) => object,
                Err(error) => {
                    missing(plan, id, &error)?;
                    continue;
                }
            };
            if id.kind == Kind::Task {
                budgets.load(self, id.namespace.as_str()).await;
                warn_task(plan, id, &object, &budgets);
            } else {
                warn_workload(plan, id, &object);
            }
            let going = !text(&object, "/metadata/deletionTimestamp").is_empty();
            needs.push(Need::of("delete", id));
            let grace = intent.options.grace.map(|g| format!("--grace-period={g}"));
            let cascade = intent.options.orphan.then(|| "--cascade=orphan".to_owned());
            let (what, more) = (slashed(id), grace.into_iter().chain(cascade).collect::<Vec<_>>());
            let mut arguments = vec!["delete", &what, "-n", id.namespace.as_str()];
            arguments.extend(more.iter().map(String::as_str));
            plan.equivalent.push(self.kubectl(&arguments));
            plan.changes.push(Change {
                target: id.clone(),
                field: Text::new("delete"),
                from: Text::new(&standing(id.kind, &object)),
                to: Text::new("gone"),
                fate: if going { Fate::Stays } else { Fate::Acts },
                note: Text::new(if going { "it is being deleted already" } else { "" }),
                precondition: Precondition::Uid(Text::new(object::uid(&object))),
            });
        }
        plan.needs = self.permissions(needs).await;
        Ok(())
    }

    pub(super) async fn run_delete(&self, plan: &Plan, progress: &Progress, cancel: &CancellationToken) -> End {
        let todo: Vec<&Change> = plan.changes.iter().filter(|c| c.fate != Fate::Stays).collect();
        for change in &todo {
            let fresh = self.read(&change.target).await;
            let why = match &fresh {
                Ok(object) if is_other(change, object) => {
                    Some(format!("{} is another one now: it was made anew", named(&change.target)))
                }
                Ok(_) => None,
                Err(error) if error.code() == 404 => Some(format!("{} is not there any more", named(&change.target))),
                Err(error) => Some(format!("{} cannot be read: {error}", named(&change.target))),
            };
            if let Some(why) = why {
                progress.step(Some(&change.target), StepState::Failed, &why).await;
                return End::failed(&format!("{why}; nothing was done"), None);
            }
        }
        let (mut done, mut failed, mut unknown) = (0_usize, Vec::new(), false);
        for change in &todo {
            if cancel.is_cancelled() {
                let text = format!("cancelled; {done} of {} deleted", todo.len());
                return End { outcome: Outcome::Cancelled, text: Text::new(&text), undo: None };
            }
            match self.delete_one(plan, change).await {
                Ok(()) => {
                    progress.step(Some(&change.target), StepState::Doing, "deleted, and ending").await;
                    done += 1;
                }
                Err(error) => {
                    unknown |= matches!(error, WriteError::Unknown(_));
                    progress.step(Some(&change.target), StepState::Failed, &error.to_string()).await;
                    failed.push(format!("{}: {error}", named(&change.target)));
                }
            }
        }
        if !failed.is_empty() {
            let outcome = if unknown { Outcome::Unknown } else { Outcome::Failed };
            let text = format!("{done} of {} deleted; {}", todo.len(), failed.join("; "));
            return End { outcome, text: Text::new(&text), undo: None };
        }
        let patience = Duration::from_secs(u64::from(plan.intent.options.timeout.max(1)));
        self.until_gone(&todo, patience, progress, cancel).await
    }

    async fn delete_one(&self, plan: &Plan, change: &Change) -> Result<(), WriteError> {
        let mut options = json!({"apiVersion": "v1", "kind": "DeleteOptions",
            "propagationPolicy": if plan.intent.options.orphan { "Orphan" } else { "Background" }});
        if let Precondition::Uid(uid) = &change.precondition {
            options["preconditions"] = json!({"uid": uid.as_str()});
        }
        if let Some(grace) = plan.intent.options.grace {
            options["gracePeriodSeconds"] = grace.into();
        }
        match self.writer.delete(&Writer::object(&change.target)?, &options).await {
            Ok(_) => Ok(()),
            // Somebody else was faster, and it is what was wanted.
            Err(error) if error.code() == 404 => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn until_gone(
        &self,
        todo: &[&Change],
        patience: Duration,
        progress: &Progress,
        cancel: &CancellationToken,
    ) -> End {
        let mut left: Vec<&&Change> = todo.iter().collect();
        let start = Instant::now();
        loop {
            let mut still = Vec::new();
            for change in left {
                match self.read(&change.target).await {
                    Ok(object) if !is_other(change, &object) => still.push(change),
                    Err(error) if error.code() != 404 => still.push(change),
                    _ => progress.step(Some(&change.target), StepState::Done, "gone").await,
                }
            }
            left = still;
            let Some(first) = left.first() else {
                let text = match todo {
                    [one] => format!("{} is deleted", named(&one.target)),
                    all => format!("{} deleted", all.len()),
                };
                return End::done(&text, None);
            };
            let waits = format!("{} of {} still end, {} among them", left.len(), todo.len(), named(&first.target));
            if start.elapsed() >= patience {
                return End::failed(&format!("deleted, and not gone within {} s: {waits}", patience.as_secs()), None);
            }
            tokio::select! {
                () = tokio::time::sleep(self.pace.poll) => {}
                () = cancel.cancelled() => {
                    let text = format!("no longer waited for; {waits}");
                    return End { outcome: Outcome::Cancelled, text: Text::new(&text), undo: None };
                }
            }
        }
    }
}

fn warn_task(plan: &mut Plan, id: &ObjectId, pod: &Value, budgets: &Budgets) {
    let what = named(id);
    if super::drain::classify::is_mirror(pod) {
        plan.refused.push(Text::new(&format!(
            "{what} is the kubelet's own, from a file on its node: deleting it here changes nothing"
        )));
    }
    match object::controller(pod) {
        None => plan.warnings.push(Text::new(&format!("{what} has no owner: nothing will replace it"))),
        Some((kind, name, _)) => {
            plan.undo = Text::new(&format!("its owner, {kind} {name}, starts another by itself"));
        }
    }
    for budget in budgets.over(pod).filter(|b| b.allowed <= 0) {
        plan.warnings.push(Text::new(&format!(
            "budget {} allows no task to go now ({} healthy, {} needed); deleting does not ask it",
            budget.name, budget.healthy, budget.needed
        )));
    }
}

fn is_other(change: &Change, object: &Value) -> bool {
    matches!(&change.precondition, Precondition::Uid(uid) if uid.as_str() != object::uid(object))
}

fn warn_workload(plan: &mut Plan, id: &ObjectId, object: &Value) {
    let what = named(id);
    let keeper = kept_by(object);
    if !keeper.is_empty() {
        plan.warnings.push(Text::new(&format!("{what}: {keeper}; it may make it anew")));
    }
    if let Some((kind, name, _)) = object::controller(object) {
        plan.warnings.push(Text::new(&format!("{what}: its owner, {kind} {name}, may make it anew")));
    }
    let tasks = if plan.intent.options.orphan { "its tasks stay, without an owner" } else { "its tasks go with it" };
    plan.warnings.push(Text::new(&format!("{what}: {tasks}")));
}

fn standing(kind: Kind, object: &Value) -> String {
    match kind {
        Kind::Task => text(object, "/status/phase").to_owned(),
        Kind::Job => format!("{} running", number(object, "/status/active")),
        Kind::CronJob => text(object, "/spec/schedule").to_owned(),
        Kind::DaemonSet => format!("{} tasks", number(object, "/status/currentNumberScheduled")),
        _ => format!("{} tasks", number(object, "/status/replicas")),
    }
}
