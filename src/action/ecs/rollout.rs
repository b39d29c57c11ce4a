//! Rollouts, followed to their end.

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Ecs, Failure, Tally, text};
use crate::action::desk::Progress;
use crate::action::plan::{Change, StepState};
use crate::source::SourceError;
use crate::source::ecs::tail;

/// So many looks at a rollout, and it is left to itself: with [`super::POLL`] half an hour.
const LOOKS: u32 = 600;
/// So many tasks of a rollout have failed and none runs: where no circuit breaker ends it, this does not wait for more.
const HOPELESS: i64 = 3;

/// What has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Began {
    /// Nothing: it is done.
    Nothing,
    /// A deployment, with its id if it is known.
    Rollout(Option<String>),
    /// The rollback of a service deployment, by its ARN.
    Back(String),
}

/// What one look at a rollout says.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    Goes(String),
    Done(String),
    /// It failed: what is said, of which deployment, and whether ECS itself goes back.
    Failed {
        why: String,
        deployment: String,
        goes_back: bool,
    },
    /// Another one has taken its place.
    Replaced(String),
}

impl Ecs {
    /// Follows a rollout to its end.
    pub(super) async fn follow(
        &self,
        (change, began): &(&Change, Began),
        tally: &mut Tally,
        progress: &Progress,
        cancel: &CancellationToken,
    ) {
        let id = &change.target;
        let mut failures = Failures::default();
        for _ in 0..LOOKS {
            if !self.pause(cancel).await {
                return tally.left(progress, change, "not followed any more; the rollout goes on").await;
            }
            let service = match self.writer.object(id).await {
                Ok(service) => service,
                Err(error @ (SourceError::NotFound { .. } | SourceError::Forbidden { .. })) => {
                    let why = format!("it cannot be looked at any more: {}", super::said(&error));
                    return tally.unfinished(progress, change, &why).await;
                }
                Err(_) => continue,
            };
            let look = match began {
                Began::Nothing => return,
                Began::Rollout(own) => look(&service, own.as_deref()),
                Began::Back(arn) => match self.writer.standing(arn).await {
                    Ok(standing) => stands(&service, &standing.unwrap_or_default()),
                    Err(_) => continue,
                },
            };
            match look {
                Look::Done(text) => return tally.done(progress, change, &text).await,
                Look::Replaced(text) => return tally.changed(progress, change, &text).await,
                Look::Failed { why, deployment, goes_back } => {
                    failures.ask(self, change, &deployment, i64::MAX).await;
                    let why = format!("{why}{}", failures.text());
                    return if goes_back {
                        tally.changed(progress, change, &why).await;
                    } else {
                        tally.unfinished(progress, change, &why).await;
                    };
                }
                Look::Goes(said) => {
                    let primary = primary(&service).cloned().unwrap_or_default();
                    failures.ask(self, change, text(&primary, "id"), count(&primary, "failedTasks")).await;
                    let said = format!("{said}{}", failures.text());
                    progress.step(Some(id), StepState::Doing, &said).await;
                }
            }
        }
        tally.unfinished(progress, change, "not at its end after half an hour; look at its events").await;
    }
}

/// Why tasks of a rollout failed: asked whenever more have.
#[derive(Debug, Default)]
struct Failures {
    count: i64,
    last: String,
}

impl Failures {
    async fn ask(&mut self, ecs: &Ecs, change: &Change, deployment: &str, count: i64) {
        if count <= self.count || deployment.is_empty() {
            return;
        }
        // What is not known now is asked again when one more has failed.
        if let Ok(Some(why)) = ecs.writer.failure(&change.target.name, deployment).await {
            self.last = why.to_string();
        }
        self.count = count;
    }

    fn text(&self) -> String {
        if self.last.is_empty() { String::new() } else { format!("; the last task: {}", self.last) }
    }
}

fn count(deployment: &Value, key: &str) -> i64 {
    deployment[key].as_i64().unwrap_or(0)
}

fn deployments(service: &Value) -> &[Value] {
    service["deployments"].as_array().map_or(&[], Vec::as_slice)
}

fn primary(service: &Value) -> Option<&Value> {
    deployments(service).iter().find(|d| d["status"] == "PRIMARY")
}

/// True while a service is between two definitions, or replaces its tasks.
pub(super) fn rolls(service: &Value) -> bool {
    deployments(service).len() > 1 || primary(service).is_some_and(|d| d["rolloutState"] == "IN_PROGRESS")
}

/// How the deployment `own` goes; the primary one where its id is not known.
fn look(service: &Value, own: Option<&str>) -> Look {
    let all = deployments(service);
    let Some(primary) = primary(service) else { return Look::Goes("no deployment is the primary one".to_owned()) };
    let instead = tail(text(primary, "taskDefinition"));
    let Some(d) = own.map_or(Some(primary), |id| all.iter().find(|d| d["id"] == id)) else {
        return Look::Replaced(format!("another deployment, of {instead}, has taken its place"));
    };
    let (running, desired, failed) = (count(d, "runningCount"), count(d, "desiredCount"), count(d, "failedTasks"));
    let (is_primary, state) = (d["status"] == "PRIMARY", text(d, "rolloutState"));
    let deployment = text(d, "id").to_owned();
    if state == "FAILED" {
        let back = if is_primary { String::new() } else { format!("; ECS goes back to {instead}") };
        let why = format!("the rollout failed: {}{back}", text(d, "rolloutStateReason"));
        return Look::Failed { why, deployment, goes_back: !is_primary };
    }
    if !is_primary {
        return Look::Replaced(format!("another deployment, of {instead}, has taken its place"));
    }
    if all.len() == 1 && running >= desired && state != "IN_PROGRESS" {
        return Look::Done(format!("rolled out, {running} of {desired} tasks run"));
    }
    let breaker = service["deploymentConfiguration"]["deploymentCircuitBreaker"]["enable"] == true;
    if !breaker && failed >= HOPELESS && running == 0 {
        let why = format!("{failed} new tasks failed and none runs; without a circuit breaker ECS goes on trying");
        return Look::Failed { why, deployment, goes_back: false };
    }
    let failures = if failed == 0 { String::new() } else { format!(", {failed} failed") };
    Look::Goes(format!("{running} of {desired} new tasks run{failures}"))
}

/// How the rollback of a service deployment goes.
fn stands(service: &Value, standing: &crate::source::ecs::Standing) -> Look {
    let d = primary(service).cloned().unwrap_or_default();
    let to = tail(text(&d, "taskDefinition"));
    let tasks = format!("{} of {} tasks of {to} run", count(&d, "runningCount"), count(&d, "desiredCount"));
    let why = if standing.reason.is_empty() { String::new() } else { format!(": {}", standing.reason) };
    match standing.status.as_str() {
        "ROLLBACK_SUCCESSFUL" => Look::Done(format!("rolled back, {tasks}")),
        "ROLLBACK_FAILED" => {
            let why = format!("the rollback failed{why}");
            Look::Failed { why, deployment: text(&d, "id").to_owned(), goes_back: true }
        }
        "SUCCESSFUL" => Look::Replaced("it was complete before it could be stopped".to_owned()),
        "STOPPED" => Look::Replaced(format!("it was stopped, and not rolled back{why}")),
        status => Look::Goes(format!("{}, {tasks}", status.to_ascii_lowercase().replace('_', " "))),
    }
}

impl Failure {
    /// The same, with more to be said.
    pub(super) fn and(mut self, more: &str) -> Self {
        self.text = format!("{}; {more}", self.text);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn service(breaker: bool, deployments: &Value) -> Value {
        json!({"deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": breaker}}, "deployments": deployments})
    }

    fn deployment(id: &str, status: &str, state: &str, running: u32, failed: u32) -> Value {
        json!({"id": id, "status": status, "rolloutState": state, "runningCount": running, "desiredCount": 3,
            "failedTasks": failed, "taskDefinition": format!("arn:x/web:{id}"), "rolloutStateReason": "tripped"})
    }

    #[test]
    fn a_rollout_is_told_from_the_one_that_takes_its_place() {
        let (new, old) = (
            |state, running, failed| deployment("2", "PRIMARY", state, running, failed),
            |status, state| deployment("1", status, state, 3, 0),
        );
        let active = old("ACTIVE", "COMPLETED");
        let goes = look(&service(true, &json!([new("IN_PROGRESS", 1, 2), active])), Some("2"));
        assert_eq!(goes, Look::Goes("1 of 3 new tasks run, 2 failed".to_owned()));
        let done = look(&service(true, &json!([new("COMPLETED", 3, 0)])), Some("2"));
        assert_eq!(done, Look::Done("rolled out, 3 of 3 tasks run".to_owned()));
        // The breaker has gone back: what is complete is the old one, not what was begun.
        let failed = deployment("2", "ACTIVE", "FAILED", 0, 3);
        let back = look(&service(true, &json!([old("PRIMARY", "IN_PROGRESS"), failed])), Some("2"));
        let why = "the rollout failed: tripped; ECS goes back to web:1".to_owned();
        assert_eq!(back, Look::Failed { why, deployment: "2".to_owned(), goes_back: true });
        let gone = look(&service(true, &json!([old("PRIMARY", "COMPLETED")])), Some("2"));
        assert_eq!(gone, Look::Replaced("another deployment, of web:1, has taken its place".to_owned()));
        let stuck = |breaker| look(&service(breaker, &json!([new("IN_PROGRESS", 0, 3), active])), Some("2"));
        assert!(matches!(stuck(false), Look::Failed { goes_back: false, .. }));
        assert!(matches!(stuck(true), Look::Goes(_)), "its circuit breaker will end it");
    }
}
