//! Services: how many tasks, all of them anew; and the way that every change of a service goes.

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::rollout::{Began, rolls};
use super::{Ecs, Failure, Tally, acting, needs, said, stays, text};
use crate::action::desk::Progress;
use crate::action::intent::{Intent, Options, Verb};
use crate::action::plan::{Change, End, Fate, Plan, Precondition, StepState};
use crate::domain::{ObjectId, Text};
use crate::source::ecs::{ServiceChange, tail};

impl Ecs {
    pub(super) async fn plan_service(&self, plan: &mut Plan) -> Result<(), Text> {
        if plan.intent.verb == Verb::Scale && plan.intent.options.replicas.is_none() {
            return Err(Text::new("say how many tasks are wanted"));
        }
        if plan.intent.verb == Verb::SetImage && plan.intent.options.image.is_none() {
            return Err(Text::new("say which image, or :TAG for another tag of the same"));
        }
        plan.needs = vec![needs("ecs:UpdateService")];
        for id in plan.intent.targets.clone() {
            match self.writer.object(&id).await {
                Ok(service) => self.service(plan, &id, &service).await,
                Err(error) => plan.changes.push(stays(&id, "service", &said(&error))),
            }
        }
        Ok(())
    }

    async fn service(&self, plan: &mut Plan, id: &ObjectId, service: &Value) {
        let name = id.name.as_str();
        if text(service, "status") != "ACTIVE" {
            plan.changes.push(stays(id, "service", &format!("it is {}", text(service, "status"))));
            return;
        }
        let controller = service["deploymentController"]["type"].as_str().unwrap_or("ECS");
        if controller != "ECS" && plan.intent.verb != Verb::Scale {
            let why = format!("its deployments are {controller}'s: they are changed there, not here");
            plan.changes.push(stays(id, "service", &why));
            return;
        }
        let desired = i32::try_from(service["desiredCount"].as_i64().unwrap_or(0)).unwrap_or(i32::MAX);
        let definition = text(service, "taskDefinition").to_owned();
        let mut change = Change {
            target: id.clone(),
            field: Text::new("tasks"),
            from: Text::new(&desired.to_string()),
            to: Text::empty(),
            fate: Fate::Acts,
            note: Text::empty(),
            precondition: Precondition::Desired { count: desired, definition: Text::new(&definition) },
        };
        if rolls(service) && matches!(plan.intent.verb, Verb::Restart | Verb::SetImage) {
            plan.warnings.push(Text::new(&format!("{name} rolls out now: this begins another rollout over it")));
        }
        match plan.intent.verb {
            Verb::Scale => self.scale(plan, id, &mut change, desired).await,
            Verb::Restart => {
                change.field = Text::new("rollout");
                change.from = Text::new(tail(&definition));
                change.to = Text::new("the same, every task anew");
                plan.undo = Text::new("nothing to undo: the same tasks run anew");
                plan.equivalent.push(self.aws(&["ecs", "update-service", "--service", name, "--force-new-deployment"]));
                if desired == 1 {
                    plan.warnings
                        .push(Text::new(&format!("{name} has one task: users wait if the new one is not ready first")));
                }
            }
            Verb::SetImage => self.image(plan, &mut change, &definition).await,
            _ => self.back(plan, &mut change, service).await,
        }
        plan.changes.push(change);
    }

    async fn scale(&self, plan: &mut Plan, id: &ObjectId, change: &mut Change, desired: i32) {
        let wanted = i32::try_from(plan.intent.options.replicas.unwrap_or(0)).unwrap_or(i32::MAX);
        let name = id.name.as_str();
        let scaler = self.writer.scaler(name).await;
        if plan.intent.options.raise_minimum {
            let (min, max) = match scaler {
                Ok(Some(bounds)) => bounds,
                Ok(None) => {
                    let why = "nothing scales this service: say how many tasks are wanted instead";
                    *change = stays(id, "least tasks", why);
                    return;
                }
                Err(error) => {
                    *change = stays(id, "least tasks", &format!("what scales it is not known: {}", said(&error)));
                    return;
                }
            };
            (change.field, change.from) = (Text::new("least tasks"), Text::new(&min.to_string()));
            change.to = Text::new(&wanted.to_string());
            plan.needs.push(needs("application-autoscaling:RegisterScalableTarget"));
            if wanted > max {
                plan.warnings.push(Text::new(&format!("{name}: the most rises from {max} to {wanted} with it")));
            }
            plan.undo = Text::new(&format!("set the least number of tasks back to {min}"));
            let (resource, least, most) = (self.writer.resource(name), wanted.to_string(), max.max(wanted).to_string());
            plan.equivalent.push(self.aws_anywhere(&[
                "application-autoscaling",
                "register-scalable-target",
                "--service-namespace",
                "ecs",
                "--scalable-dimension",
                "ecs:service:DesiredCount",
                "--resource-id",
                &resource,
                "--min-capacity",
                &least,
                "--max-capacity",
                &most,
            ]));
            return;
        }
        change.to = Text::new(&wanted.to_string());
        if wanted == desired {
            change.fate = Fate::Stays;
            change.note = Text::new("so many are wanted already");
        }
        match scaler {
            Ok(Some((min, max))) => plan.warnings.push(Text::new(&format!(
                "{name} is scaled by itself between {min} and {max}: it will change this back; raise its minimum instead"
            ))),
            Ok(None) => {}
            Err(error) => plan.warnings.push(Text::new(&format!("{name}: whether it is scaled by itself is not known: {}", said(&error)))),
        }
        if wanted == 0 {
            plan.warnings.push(Text::new(&format!("{name} will have no task: what calls it fails")));
        }
        plan.undo = Text::new("scale back to the number that is wanted now");
        let count = wanted.to_string();
        plan.equivalent.push(self.aws(&["ecs", "update-service", "--service", name, "--desired-count", &count]));
    }

    pub(super) async fn run_service(&self, plan: &Plan, progress: &Progress, cancel: &CancellationToken) -> End {
        let mut tally = Tally::default();
        let (mut begun, mut undo) = (Vec::new(), None);
        for change in acting(plan) {
            if cancel.is_cancelled() {
                tally.skipped(progress, change, "cancelled before it began").await;
                continue;
            }
            progress.step(Some(&change.target), StepState::Doing, "looking once more").await;
            match self.do_service(plan, change, progress, cancel).await {
                Ok(Began::Nothing) => {
                    let text = format!("{} {} -> {}", change.field, change.from, change.to);
                    tally.done(progress, change, &text).await;
                }
                Ok(began) => begun.push((change, began)),
                Err(failure) => tally.fell(progress, change, failure).await,
            }
            undo = undone(plan, change);
        }
        for one in &begun {
            self.follow(one, &mut tally, progress, cancel).await;
        }
        tally.end(plan.intent.verb.info().done, undo)
    }

    /// That a service is as the plan showed it.
    pub(super) async fn unchanged(&self, change: &Change, cancel: &CancellationToken) -> Result<(), Failure> {
        let Precondition::Desired { count, definition } = &change.precondition else {
            return Err(Failure::new("the plan does not say what was there; nothing was done"));
        };
        let service = match self.insist(cancel, || self.writer.object(&change.target)).await {
            Ok(service) => service,
            Err(error) => {
                let why = format!("it cannot be looked at any more, and nothing was done: {}", said(&error));
                return Err(Failure::new(&why));
            }
        };
        let is = (service["desiredCount"].as_i64().unwrap_or(-1), text(&service, "taskDefinition"));
        if is == (i64::from(*count), definition.as_str()) {
            return Ok(());
        }
        Err(Failure::new(&format!(
            "it was {count} tasks of {}, it is {} of {} now; nothing was done",
            tail(definition),
            is.0,
            tail(is.1)
        )))
    }

    async fn do_service(
        &self,
        plan: &Plan,
        change: &Change,
        progress: &Progress,
        cancel: &CancellationToken,
    ) -> Result<Began, Failure> {
        if let Precondition::Deployment(arn) = &change.precondition {
            return self.stop_rollout(change, arn, cancel).await;
        }
        self.unchanged(change, cancel).await?;
        let name = change.target.name.as_str();
        let options = &plan.intent.options;
        let wanted = options.replicas.and_then(|n| i32::try_from(n).ok());
        let to = match plan.intent.verb {
            Verb::SetImage => return self.set_image(change, progress, cancel).await,
            Verb::Scale if options.raise_minimum => {
                let max = self.insist(cancel, || self.writer.scaler(name)).await?.map_or(0, |(_, max)| max);
                self.insist(cancel, || self.writer.raise(name, wanted.unwrap_or(0), max)).await?;
                return Ok(Began::Nothing);
            }
            Verb::Scale => ServiceChange { desired: wanted, ..ServiceChange::default() },
            Verb::Restart => ServiceChange { force: true, ..ServiceChange::default() },
            _ => ServiceChange { definition: Some(change.to.to_string()), ..ServiceChange::default() },
        };
        let deployment = self.insist(cancel, || self.writer.update(name, &to)).await?;
        Ok(if plan.intent.verb == Verb::Scale { Began::Nothing } else { Began::Rollout(deployment) })
    }
}

/// What brings back what was.
fn undone(plan: &Plan, change: &Change) -> Option<Intent> {
    let back = |options| Some(Intent { verb: plan.intent.verb, targets: vec![change.target.clone()], options });
    // Several have had several values: no one intent brings all of them back.
    if plan.intent.targets.len() > 1 {
        return None;
    }
    match plan.intent.verb {
        Verb::Scale => {
            let replicas = change.from.parse().ok();
            back(Options { replicas, raise_minimum: plan.intent.options.raise_minimum, ..Options::default() })
        }
        Verb::SetImage => {
            let Precondition::Desired { definition, .. } = &change.precondition else { return None };
            let options = Options { revision: Some(tail(definition).to_owned()), ..Options::default() };
            Some(Intent { verb: Verb::RollBack, targets: vec![change.target.clone()], options })
        }
        // A restart was stopped.
        Verb::RollBack if change.from == change.to => Some(Intent::new(Verb::Restart, vec![change.target.clone()])),
        Verb::RollBack => back(Options { revision: Some(change.from.to_string()), ..Options::default() }),
        _ => None,
    }
}
