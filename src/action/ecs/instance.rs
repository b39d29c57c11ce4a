//! Container instances: no new tasks, tasks again, and until they are empty.

use std::collections::BTreeSet;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Ecs, Tally, acting, needs, said, stays, text};
use crate::action::desk::Progress;
use crate::action::intent::{Intent, Verb};
use crate::action::plan::{Change, End, Fate, Outcome, Plan, Precondition, StepState};
use crate::clock::instant;
use crate::domain::{ObjectId, Text};
use crate::source::ecs::{AT_ONCE, tail};

impl Ecs {
    pub(super) async fn plan_instance(&self, plan: &mut Plan) {
        let drains = plan.intent.verb != Verb::Uncordon;
        plan.needs = vec![needs("ecs:UpdateContainerInstancesState")];
        for id in plan.intent.targets.clone() {
            match self.writer.object(&id).await {
                Ok(instance) => self.instance(plan, &id, &instance, drains).await,
                Err(error) => plan.changes.push(stays(&id, "status", &said(&error))),
            }
        }
        plan.undo = Text::new(match plan.intent.verb {
            Verb::Uncordon => "cordon it again",
            _ => "uncordon makes it ACTIVE again; tasks that have moved stay where they are then",
        });
        if plan.intent.verb == Verb::Cordon && plan.changes.iter().any(|c| c.fate == Fate::Acts) {
            let what =
                "ECS knows no cordon: DRAINING takes no new tasks AND moves the tasks of services away, as drain does";
            plan.warnings.push(Text::new(what));
        }
    }

    async fn instance(&self, plan: &mut Plan, id: &ObjectId, instance: &Value, drains: bool) {
        let (status, arn) = (text(instance, "status"), text(instance, "containerInstanceArn").to_owned());
        let wanted = if drains { "DRAINING" } else { "ACTIVE" };
        let is_so = status == wanted;
        let change = Change {
            target: id.clone(),
            field: Text::new("status"),
            from: Text::new(status),
            to: Text::new(wanted),
            // A drain of one that drains already waits for its end.
            fate: if is_so && plan.intent.verb != Verb::Drain { Fate::Stays } else { Fate::Acts },
            note: Text::new(if is_so { "it is so already" } else { "" }),
            precondition: Precondition::Uid(Text::new(&arn)),
        };
        plan.changes.push(change);
        let state = ["ecs", "update-container-instances-state", "--container-instances", &arn, "--status", wanted];
        plan.equivalent.push(self.aws(&state));
        if !drains {
            return;
        }
        let tasks = match self.writer.tasks_on(&arn).await {
            Ok(tasks) => tasks,
            Err(error) => {
                plan.warnings.push(Text::new(&format!("{}: its tasks cannot be read: {}", id.name, said(&error))));
                return;
            }
        };
        let mut services = BTreeSet::new();
        for task in &tasks {
            let service = text(task, "group").strip_prefix("service:");
            services.extend(service.map(str::to_owned));
            let target = Self::row_of(id, task);
            let from = Text::new(text(task, "lastStatus"));
            plan.changes.push(match service {
                None if text(task, "desiredStatus") == "STOPPED" => {
                    Change { from, ..stays(&target, "leave", "on its way out already: it is waited for") }
                }
                Some(service) => Change {
                    field: Text::new("replace"),
                    from,
                    to: Text::new("gone"),
                    fate: Fate::Acts,
                    note: Text::new(&format!("of service {service}")),
                    ..stays(&target, "", "")
                },
                None => Change {
                    from,
                    ..stays(&target, "leave", "stays: it belongs to no service, and draining never stops it")
                },
            });
        }
        for service in services {
            self.room(plan, id, &service).await;
        }
    }

    /// A service that may lose no task, and may start none beside: its tasks never leave.
    async fn room(&self, plan: &mut Plan, node: &ObjectId, service: &str) {
        let id = ObjectId { kind: crate::domain::Kind::EcsService, name: Text::new(service), ..node.clone() };
        let Ok(found) = self.writer.object(&id).await else { return };
        let percent = |key: &str, default: i64| found["deploymentConfiguration"][key].as_i64().unwrap_or(default);
        let (least, most) = (percent("minimumHealthyPercent", 100), percent("maximumPercent", 200));
        let desired = found["desiredCount"].as_i64().unwrap_or(0);
        if least >= 100 {
            let what = if most <= 100 {
                format!(
                    "service {service} may lose no task and start none beside them (100 to {most}%): this never ends"
                )
            } else {
                format!(
                    "service {service} keeps all {desired} tasks (at least {least}%): they leave only once others run elsewhere"
                )
            };
            plan.warnings.push(Text::new(&what));
        }
    }

    /// A task as the lists name it.
    fn row_of(node: &ObjectId, task: &Value) -> ObjectId {
        let (group, short) = (text(task, "group"), tail(text(task, "taskArn")));
        let name = if let Some(service) = group.strip_prefix("service:") {
            format!("{service}/{short}")
        } else {
            let family = tail(text(task, "taskDefinitionArn")).split(':').next().unwrap_or_default();
            format!("{family}/{short}")
        };
        ObjectId { kind: crate::domain::Kind::Task, name: Text::new(&name), ..node.clone() }
    }

    pub(super) async fn run_state(&self, plan: &Plan, progress: &Progress, cancel: &CancellationToken) -> End {
        let on = plan.intent.verb != Verb::Uncordon;
        let mut tally = Tally::default();
        let nodes: Vec<&Change> = acting(plan).filter(|c| plan.intent.targets.contains(&c.target)).collect();
        self.turn(&nodes, on, &mut tally, (progress, cancel)).await;
        let back = if on { Verb::Uncordon } else { Verb::Cordon };
        tally.end(if on { "DRAINING" } else { "ACTIVE" }, Some(Intent::new(back, Vec::new())))
    }

    /// Changes the state of instances, in calls of ten.
    async fn turn(
        &self,
        nodes: &[&Change],
        on: bool,
        tally: &mut Tally,
        (progress, cancel): (&Progress, &CancellationToken),
    ) {
        let arn = |c: &Change| match &c.precondition {
            Precondition::Uid(arn) => arn.to_string(),
            _ => String::new(),
        };
        for ten in nodes.chunks(AT_ONCE) {
            let arns: Vec<String> = ten.iter().map(|c| arn(c)).collect();
            match self.insist(cancel, || self.writer.drain(&arns, on)).await {
                Ok(failures) => {
                    for change in ten {
                        let own = arn(change);
                        match failures.iter().find(|(failed, _)| *failed == own || tail(failed) == tail(&own)) {
                            Some((_, why)) => tally.changed(progress, change, &format!("ECS says: {why}")).await,
                            None => tally.done(progress, change, if on { "DRAINING" } else { "ACTIVE" }).await,
                        }
                    }
                }
                Err(error) => {
                    for change in ten {
                        tally.failed(progress, change, &error).await;
                    }
                }
            }
        }
    }

    pub(super) async fn run_drain(&self, plan: &Plan, progress: &Progress, cancel: &CancellationToken) -> End {
        let mut tally = Tally::default();
        let nodes: Vec<&Change> = acting(plan).filter(|c| plan.intent.targets.contains(&c.target)).collect();
        let at_once = usize::from(plan.intent.options.at_once.max(1));
        let until = instant() + std::time::Duration::from_secs(u64::from(plan.intent.options.timeout));
        let (mut left, mut cancelled) = (Vec::new(), false);
        for some in nodes.chunks(at_once) {
            if cancel.is_cancelled() {
                cancelled = true;
                break;
            }
            self.turn(some, true, &mut tally, (progress, cancel)).await;
            let drained: Vec<&Change> = some.iter().copied().filter(|c| tally.done.contains(&c.target)).collect();
            loop {
                left = self.watch(plan, &drained, progress).await;
                if left.is_empty() || instant() >= until {
                    break;
                }
                if !self.pause(cancel).await {
                    cancelled = true;
                    break;
                }
            }
            if cancelled || !left.is_empty() {
                break;
            }
        }
        let undo = Some(Intent::new(Verb::Uncordon, Vec::new()));
        let done = tally.done.len();
        let mut end = tally.end("drained", undo);
        if cancelled {
            let text = format!(
                "cancelled; {} stay DRAINING, and ECS goes on moving tasks until they are ACTIVE again",
                counted(done, "instance")
            );
            (end.outcome, end.text) = (Outcome::Cancelled, Text::new(&text));
        } else if !left.is_empty() && end.outcome == Outcome::Done {
            let text = format!(
                "the time is up: {} still there ({}); it stays DRAINING",
                counted(left.len(), "task"),
                left.join(", ")
            );
            (end.outcome, end.text) = (Outcome::Failed, Text::new(&text));
        }
        end
    }

    /// What of services is still there, with a step for each task that was planned for.
    async fn watch(&self, plan: &Plan, nodes: &[&Change], progress: &Progress) -> Vec<String> {
        let mut there: Vec<(String, ObjectId, String)> = Vec::new();
        for node in nodes {
            let Precondition::Uid(arn) = &node.precondition else { continue };
            let Ok(tasks) = self.writer.tasks_on(arn).await else {
                there.push(("not read".to_owned(), node.target.clone(), "its tasks cannot be read now".to_owned()));
                continue;
            };
            let leaves = |t: &&Value| text(t, "group").starts_with("service:") || text(t, "desiredStatus") == "STOPPED";
            for task in tasks.iter().filter(leaves) {
                let id = Self::row_of(&node.target, task);
                there.push((id.name.to_string(), id, text(task, "lastStatus").to_owned()));
            }
        }
        let of_these = |c: &&Change| c.fate == Fate::Acts && c.field == "replace";
        for change in plan.changes.iter().filter(of_these) {
            match there.iter().find(|(_, id, _)| *id == change.target) {
                Some((_, _, status)) => {
                    progress.step(Some(&change.target), StepState::Doing, &format!("still {status}")).await;
                }
                None => progress.step(Some(&change.target), StepState::Done, "gone").await,
            }
        }
        there.into_iter().map(|(name, ..)| name).collect()
    }
}

fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
