//! Back to what was: a deployment that is in progress is stopped, or an earlier task definition is given.

use tokio_util::sync::CancellationToken;

use super::diff::differs;
use super::rollout::Began;
use super::{Ecs, Failure, needs, said, stays, text};
use crate::action::plan::{Change, Plan, Precondition};
use crate::domain::Text;
use crate::source::SourceError;
use crate::source::ecs::tail;
use serde_json::Value;

impl Ecs {
    /// Stops what is in progress where nobody named a revision, else gives the one asked for or the newest before.
    pub(super) async fn back(&self, plan: &mut Plan, change: &mut Change, service: &Value) {
        let name = change.target.name.to_string();
        change.field = Text::new("definition");
        change.from = Text::new(tail(text(service, "taskDefinition")));
        if plan.intent.options.revision.is_none() {
            match self.writer.under_way(&name).await {
                Ok(Some(open)) if !open.is_in_progress() => {
                    let status = open.status.to_ascii_lowercase().replace('_', " ");
                    let why = format!("ECS goes back already ({status}): wait, or name a revision");
                    *change = stays(&change.target, "definition", &why);
                    return;
                }
                Ok(Some(open)) => {
                    let Some(definition) = before(service) else {
                        let why = "nothing was before the deployment that is in progress: name a revision";
                        *change = stays(&change.target, "definition", why);
                        return;
                    };
                    return self.stopping(plan, change, &open.arn, &definition).await;
                }
                Ok(None) => {}
                Err(error) => plan.warnings.push(Text::new(&format!(
                    "{name}: whether a deployment is in progress, which could be stopped, is not known: {}",
                    said(&error)
                ))),
            }
        }
        self.earlier(plan, change, text(service, "taskDefinition")).await;
        if super::rollout::rolls(service) && change.fate == crate::action::plan::Fate::Acts {
            plan.warnings.push(Text::new(&format!("{name} rolls out now: this begins another rollout over it")));
        }
    }

    async fn stopping(&self, plan: &mut Plan, change: &mut Change, arn: &str, to: &str) {
        let now = change.from.clone();
        change.to = Text::new(tail(to));
        change.note = Text::new("the deployment in progress is stopped (StopServiceDeployment), and ECS rolls back");
        change.precondition = Precondition::Deployment(Text::new(arn));
        if let (Ok(old), Ok(new)) = (self.writer.definition(&now).await, self.writer.definition(to).await) {
            plan.diff.extend(differs(&old, &new));
        }
        plan.needs.retain(|p| p.what != "ecs:UpdateService" || plan.intent.targets.len() > 1);
        plan.needs.push(needs("ecs:StopServiceDeployment"));
        let stop = ["ecs", "stop-service-deployment", "--service-deployment-arn", arn, "--stop-type", "ROLLBACK"];
        plan.equivalent.push(self.aws_anywhere(&stop));
        plan.undo = Text::new(&if change.to == now {
            "restart it again".to_owned()
        } else {
            format!("roll back to {now}, which begins that deployment again")
        });
    }

    async fn earlier(&self, plan: &mut Plan, change: &mut Change, definition: &str) {
        let (name, now) = (change.target.name.to_string(), tail(definition));
        let family = now.split(':').next().unwrap_or_default();
        let wanted = match &plan.intent.options.revision {
            Some(asked) if asked.contains(':') => Some(tail(asked).to_owned()),
            Some(asked) => Some(format!("{family}:{asked}")),
            None => match self.writer.revisions(family).await {
                Ok(all) => {
                    let number = |arn: &str| tail(arn).rsplit(':').next().and_then(|n| n.parse::<u64>().ok());
                    let current = number(definition).unwrap_or(0);
                    all.iter().find(|arn| number(arn).is_some_and(|n| n < current)).map(|arn| tail(arn).to_owned())
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
        if wanted == now {
            *change = stays(&change.target, "definition", &format!("it is at {now} already"));
            return;
        }
        match (self.writer.definition(now).await, self.writer.definition(&wanted).await) {
            (_, Ok(new)) if new["status"].as_str().is_some_and(|s| s != "ACTIVE") => {
                let why = format!("{wanted} is {}: register it again, or name another", text(&new, "status"));
                *change = stays(&change.target, "definition", &why);
                return;
            }
            (Ok(old), Ok(new)) => plan.diff.extend(differs(&old, &new)),
            (_, Err(error)) => {
                *change = stays(&change.target, "definition", &format!("{wanted}: {}", said(&error)));
                return;
            }
            (Err(_), Ok(_)) => {}
        }
        change.to = Text::new(&wanted);
        change.note = Text::new("an earlier task definition is given (UpdateService): no deployment is in progress");
        if plan.intent.options.revision.is_some() {
            change.note = Text::new("this task definition is given (UpdateService)");
        }
        plan.needs.push(needs("iam:PassRole, where the definition names a role"));
        plan.undo = Text::new("roll back to the definition that runs now");
        plan.equivalent.push(self.aws(&["ecs", "update-service", "--service", &name, "--task-definition", &wanted]));
    }

    pub(super) async fn stop_rollout(
        &self,
        change: &Change,
        arn: &str,
        cancel: &CancellationToken,
    ) -> Result<Began, Failure> {
        let now = self.insist(cancel, || self.writer.under_way(&change.target.name)).await?;
        let why = match now {
            Some(open) if open.arn == arn && open.is_in_progress() => None,
            Some(open) if open.arn == arn => Some("ECS goes back from that deployment already"),
            Some(_) => Some("that deployment is over, and another one is in progress"),
            None => Some("that deployment is over, and none is in progress any more"),
        };
        if let Some(why) = why {
            return Err(Failure::new(&format!("{why}; nothing was done")));
        }
        match self.insist(cancel, || self.writer.stop_deployment(arn)).await {
            Ok(()) => Ok(Began::Back(arn.to_owned())),
            Err(error @ SourceError::Server { .. }) => {
                Err(Failure::new(&format!("it could not be stopped: {}", said(&error))))
            }
            Err(error) => Err(Failure::of(&error)),
        }
    }
}

/// What ran before the deployment that is in progress: of those that are still there the newest that was complete.
fn before(service: &Value) -> Option<String> {
    let others = || service["deployments"].as_array().into_iter().flatten().filter(|d| d["status"] != "PRIMARY");
    let complete = others().find(|d| d["rolloutState"] == "COMPLETED").or_else(|| others().next());
    complete.map(|d| text(d, "taskDefinition").to_owned())
}
