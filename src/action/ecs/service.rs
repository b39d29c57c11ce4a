//! Services: how many tasks, all of them anew, an earlier task definition.

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Ecs, Tally, acting, needs, said, stays, text};
use crate::action::desk::Progress;
use crate::action::intent::{Intent, Options, Verb};
use crate::action::plan::{Change, End, Fate, Plan, Precondition, StepState};
use crate::domain::{ObjectId, Text};
use crate::source::ecs::{ServiceChange, tail};

/// So many looks at a rollout, and it is left to itself: with [`super::POLL`] half an hour.
const LOOKS: u32 = 600;

impl Ecs {
    pub(super) async fn plan_service(&self, plan: &mut Plan) -> Result<(), Text> {
        if plan.intent.verb == Verb::Scale && plan.intent.options.replicas.is_none() {
            return Err(Text::new("say how many tasks are wanted"));
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
        if rolls(service) && plan.intent.verb != Verb::Scale {
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
            _ => self.back(plan, &mut change, &definition, name).await,
        }
        plan.changes.push(change);
    }

    async fn scale(&self, plan: &mut Plan, id: &ObjectId, change: &mut Change, desired: i32) {
        let wanted = i32::try_from(plan.intent.options.replicas.unwrap_or(0)).unwrap_or(i32::MAX);
        let name = id.name.as_str();
        let scaler = self.writer.scaler(name).await;
        if plan.intent.options.raise_minimum {
            let Ok(Some((min, max))) = scaler else {
                *change =
                    stays(id, "least tasks", "nothing scales this service: say how many tasks are wanted instead");
                return;
            };
            (change.field, change.from) = (Text::new("least tasks"), Text::new(&min.to_string()));
            change.to = Text::new(&wanted.to_string());
            plan.needs.push(needs("application-autoscaling:RegisterScalableTarget"));
            if wanted > max {
                plan.warnings.push(Text::new(&format!("{name}: the most rises from {max} to {wanted} with it")));
            }
            plan.undo = Text::new(&format!("set the least number of tasks back to {min}"));
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

    /// Back to an earlier task definition: the one asked for, else the newest before this one.
    async fn back(&self, plan: &mut Plan, change: &mut Change, definition: &str, name: &str) {
        let now = tail(definition);
        let family = now.split(':').next().unwrap_or_default();
        change.field = Text::new("definition");
        change.from = Text::new(now);
        let wanted = match &plan.intent.options.revision {
            Some(asked) if asked.contains(':') => Some(asked.clone()),
            Some(asked) => Some(format!("{family}:{asked}")),
            None => match self.writer.revisions(family).await {
                Ok(all) => {
                    let number = |arn: &str| tail(arn).rsplit(':').next().and_then(|n| n.parse::<u32>().ok());
                    let current = number(definition).unwrap_or(0);
                    all.iter()
                        .filter(|arn| number(arn).is_some_and(|n| n < current))
                        .max_by_key(|arn| number(arn))
                        .map(|arn| tail(arn).to_owned())
                }
                Err(error) => {
                    *change = stays(&change.target, "definition", &said(&error));
                    return;
                }
            },
        };
        let Some(wanted) = wanted else {
            *change = stays(&change.target, "definition", &format!("there is no revision before {now}"));
            return;
        };
        let (old, new) = (self.writer.definition(now).await, self.writer.definition(&wanted).await);
        match (old, new) {
            (Ok(old), Ok(new)) => plan.diff.extend(differs(&old, &new)),
            (_, Err(error)) => {
                *change = stays(&change.target, "definition", &format!("{wanted}: {}", said(&error)));
                return;
            }
            (Err(_), Ok(_)) => {}
        }
        change.to = Text::new(&wanted);
        plan.needs.push(needs("iam:PassRole, where the definition names a role"));
        plan.undo = Text::new("roll back to the definition that runs now");
        plan.equivalent.push(self.aws(&["ecs", "update-service", "--service", name, "--task-definition", &wanted]));
    }

    pub(super) async fn run_service(&self, plan: &Plan, progress: &Progress, cancel: &CancellationToken) -> End {
        let mut tally = Tally::default();
        let (mut begun, mut undo) = (Vec::new(), None);
        for change in acting(plan) {
            if cancel.is_cancelled() {
                tally.skipped(progress, change, "cancelled before it began").await;
                continue;
            }
            let id = &change.target;
            progress.step(Some(id), StepState::Doing, "looking once more").await;
            let (Precondition::Desired { count, definition }, Ok(service)) =
                (&change.precondition, self.writer.object(id).await)
            else {
                tally.changed(progress, change, "it cannot be looked at any more; nothing was done").await;
                continue;
            };
            let is = (service["desiredCount"].as_i64().unwrap_or(-1), text(&service, "taskDefinition"));
            if is != (i64::from(*count), definition.as_str()) {
                let why = format!(
                    "it was {count} tasks of {}, it is {} of {} now; nothing was done",
                    tail(definition),
                    is.0,
                    tail(is.1)
                );
                tally.changed(progress, change, &why).await;
                continue;
            }
            match self.do_service(plan, change).await {
                Ok(()) if plan.intent.verb == Verb::Scale => {
                    let text = format!("{} {} -> {}", change.field, change.from, change.to);
                    tally.done(progress, change, &text).await;
                }
                Ok(()) => begun.push(change),
                Err(error) => tally.failed(progress, change, &error).await,
            }
            undo = undone(plan, change);
        }
        for change in begun {
            self.follow(change, &mut tally, progress, cancel).await;
        }
        tally.end(plan.intent.verb.info().done, undo)
    }

    async fn do_service(&self, plan: &Plan, change: &Change) -> Result<(), crate::source::SourceError> {
        let name = change.target.name.as_str();
        let options = &plan.intent.options;
        let wanted = options.replicas.and_then(|n| i32::try_from(n).ok());
        match plan.intent.verb {
            Verb::Scale if options.raise_minimum => {
                let max = self.writer.scaler(name).await?.map_or(0, |(_, max)| max);
                self.writer.raise(name, wanted.unwrap_or(0), max).await
            }
            Verb::Scale => {
                self.writer.update(name, &ServiceChange { desired: wanted, ..ServiceChange::default() }).await
            }
            Verb::Restart => self.writer.update(name, &ServiceChange { force: true, ..ServiceChange::default() }).await,
            _ => {
                let definition = Some(change.to.to_string());
                self.writer.update(name, &ServiceChange { definition, ..ServiceChange::default() }).await
            }
        }
    }

    /// Follows a rollout to its end.
    async fn follow(&self, change: &Change, tally: &mut Tally, progress: &Progress, cancel: &CancellationToken) {
        let id = &change.target;
        for _ in 0..LOOKS {
            if !self.pause(cancel).await {
                tally.skipped(progress, change, "not followed any more; the rollout goes on").await;
                return;
            }
            let Ok(service) = self.writer.object(id).await else { continue };
            let all = service["deployments"].as_array().cloned().unwrap_or_default();
            let Some(primary) = all.iter().find(|d| d["status"] == "PRIMARY") else { continue };
            let count = |key: &str| primary[key].as_i64().unwrap_or(0);
            let (running, desired) = (count("runningCount"), count("desiredCount"));
            match text(primary, "rolloutState") {
                "FAILED" => {
                    let why = format!("the rollout failed: {}", text(primary, "rolloutStateReason"));
                    tally.changed(progress, change, &why).await;
                    return;
                }
                state if all.len() == 1 && running >= desired && state != "IN_PROGRESS" => {
                    tally.done(progress, change, &format!("rolled out, {running} of {desired} tasks run")).await;
                    return;
                }
                _ => {
                    let failed = match count("failedTasks") {
                        0 => String::new(),
                        n => format!(", {n} failed"),
                    };
                    let text = format!("{running} of {desired} new tasks run{failed}");
                    progress.step(Some(id), StepState::Doing, &text).await;
                }
            }
        }
        tally.changed(progress, change, "not at its end after half an hour; look at its events").await;
    }
}

fn rolls(service: &Value) -> bool {
    service["deployments"].as_array().is_some_and(|d| d.len() > 1)
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
        Verb::RollBack => back(Options { revision: Some(change.from.to_string()), ..Options::default() }),
        _ => None,
    }
}

/// What differs between two task definitions, container by container: never a variable's value.
fn differs(old: &Value, new: &Value) -> Vec<Text> {
    let mut out = Vec::new();
    let mut line = |what: &str, old: &str, new: &str| {
        if old != new {
            out.push(Text::new(&format!("- {what}: {old}")));
            out.push(Text::new(&format!("+ {what}: {new}")));
        }
    };
    let shown = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    for key in ["cpu", "memory", "taskRoleArn", "executionRoleArn"] {
        line(key, &shown(&old[key]), &shown(&new[key]));
    }
    let containers = |v: &Value| v["containerDefinitions"].as_array().cloned().unwrap_or_default();
    let (before, after) = (containers(old), containers(new));
    for container in &after {
        let name = text(container, "name");
        let was = before.iter().find(|c| c["name"] == container["name"]).cloned().unwrap_or_default();
        for key in ["image", "cpu", "memory", "command", "stopTimeout"] {
            line(&format!("{name} {key}"), &shown(&was[key]), &shown(&container[key]));
        }
        let variables = |c: &Value| {
            let names = c["environment"].as_array().into_iter().flatten().filter_map(|e| e["name"].as_str());
            let mut names: Vec<&str> = names.collect();
            names.sort_unstable();
            names.join(", ")
        };
        line(&format!("{name} variables"), &variables(&was), &variables(container));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn definitions_are_told_apart_without_their_secrets() {
        let of = |image: &str, value: &str| {
            json!({"cpu": "256", "containerDefinitions": [{"name": "app", "image": image,
                "environment": [{"name": "TOKEN", "value": value}]}]})
        };
        let lines = differs(&of("web:1", "hunter2"), &of("web:2", "hunter3"));
        let lines: Vec<&str> = lines.iter().map(Text::as_str).collect();
        assert_eq!(lines, ["- app image: web:1", "+ app image: web:2"]);
    }
}
