//! Asking about one object: its description, and its logs.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_ecs::types::TaskDefinition;
use serde_json::{Map, Value, json};

use super::Link;
use crate::domain::{Kind, ObjectId, Text};
use crate::source::SourceError;
use crate::source::aws::Bucket;
use crate::source::aws::capture::Capture;
use crate::source::redact::redact;

/// What comes first when an object is described, in this order: what one looks for.
const FIRST: [&str; 35] = [
    "serviceName",
    "taskDefinitionArn",
    "status",
    "lastStatus",
    "desiredStatus",
    "healthStatus",
    "stopCode",
    "stoppedReason",
    "stoppedAt",
    "name",
    "image",
    "exitCode",
    "reason",
    "desiredCount",
    "runningCount",
    "pendingCount",
    "rolloutState",
    "rolloutStateReason",
    "failedTasks",
    "taskDefinition",
    "containers",
    "deployments",
    "deploymentConfiguration",
    "launchType",
    "capacityProviderName",
    "capacityProviderStrategy",
    "agentConnected",
    "ec2InstanceId",
    "remainingResources",
    "registeredResources",
    "runningTasksCount",
    "group",
    "protection",
    "startedAt",
    "createdAt",
];

/// Where a container's log is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogPlace {
    pub group: String,
    pub stream: String,
    pub region: Option<String>,
}

/// Of each container: where it logs to, or why that cannot be read.
pub(super) type LogPlaces = HashMap<String, Result<LogPlace, Text>>;

/// For asking one cluster about one object.
#[derive(Debug, Clone)]
pub struct Reader {
    pub(super) link: Arc<Link>,
}

impl Reader {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self { link }
    }

    /// The object as ECS has it, what matters first, with the values of variables
    /// that are secrets by their name hidden: a task's overrides may have some.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn object(&self, id: &ObjectId, arn: &str) -> Result<Value, SourceError> {
        let (list, what) = match id.kind {
            Kind::Task => ("tasks", "ecs:DescribeTasks"),
            Kind::Node => ("containerInstances", "ecs:DescribeContainerInstances"),
            _ => ("services", "ecs:DescribeServices"),
        };
        let link = &self.link;
        let clients = link.account.clients().await?;
        let (capture, cluster) = (Capture::default(), &link.spec.cluster);
        let intercept = capture.clone();
        match id.kind {
            Kind::Task => {
                let request = clients.ecs.describe_tasks().cluster(cluster).tasks(arn);
                let request = request.customize().interceptor(intercept).send();
                link.account.ask(Bucket::ResourceRead, what, request).await.map(drop)?;
            }
            Kind::Node => {
                let request = clients.ecs.describe_container_instances().cluster(cluster).container_instances(arn);
                let request = request.customize().interceptor(intercept).send();
                link.account.ask(Bucket::ResourceRead, what, request).await.map(drop)?;
            }
            _ => {
                let request = clients.ecs.describe_services().cluster(cluster).services(arn);
                let request = request.customize().interceptor(intercept).send();
                link.account.ask(Bucket::ServiceRead, what, request).await.map(drop)?;
            }
        }
        let endpoint = link.account.endpoint();
        let mut json =
            capture.json().ok_or_else(|| crate::source::aws::error::garbage(link.account.asked(what, &endpoint)))?;
        if id.kind == Kind::Task
            && let Some(protection) = self.protection(&json[list][0], arn).await
        {
            json[list][0]["protection"] = protection;
        }
        let found = json.get_mut(list).and_then(Value::as_array_mut).filter(|l| !l.is_empty()).map(|l| l.remove(0));
        found
            .map(|mut object| {
                redact(&mut object);
                ordered(object, 0)
            })
            .ok_or_else(|| SourceError::NotFound { what: Text::new(&format!("{} {}", id.kind.short(), id.name)) })
    }

    /// Whether ECS leaves a task of a service alone, for its description; `None` for
    /// other tasks, of which that cannot be said.
    async fn protection(&self, task: &Value, arn: &str) -> Option<Value> {
        let of_service = task["group"].as_str().is_some_and(|g| g.starts_with("service:"));
        if !of_service || task["desiredStatus"] == "STOPPED" {
            return None;
        }
        let arns = [arn.to_owned()];
        Some(match self.link.protected(&arns).await {
            Ok(found) => match found.get(arn) {
                Some(until) => json!({"protectionEnabled": true, "expirationDate": until.timestamp()}),
                None => json!({"protectionEnabled": false}),
            },
            // The rest of the description is worth having without it.
            Err(error) => format!("not known: {}", error.text()).into(),
        })
    }

    /// Where a task's containers log to, by container; why not, where they do not
    /// log to CloudWatch.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub(super) async fn log_places(&self, definition: &str, task: &str) -> Result<LogPlaces, SourceError> {
        let clients = self.link.account.clients().await?;
        let request = clients.ecs.describe_task_definition().task_definition(definition).send();
        let answer = self.link.account.ask(Bucket::DefinitionRead, "ecs:DescribeTaskDefinition", request).await?;
        let mut out = HashMap::new();
        for container in answer.task_definition().map(TaskDefinition::container_definitions).unwrap_or_default() {
            let name = container.name().unwrap_or_default();
            let place = match container.log_configuration() {
                None => Err(format!("{name} has no log configuration; its task definition can give it one")),
                Some(c) if c.log_driver().as_str() != "awslogs" => Err(format!(
                    "{name} logs through {}, not awslogs; look where that sends it",
                    c.log_driver().as_str()
                )),
                Some(c) => {
                    let option = |key: &str| c.options().and_then(|o| o.get(key)).cloned();
                    match (option("awslogs-group"), option("awslogs-stream-prefix")) {
                        (Some(group), Some(prefix)) => {
                            let stream = format!("{prefix}/{name}/{task}");
                            Ok(LogPlace { group, stream, region: option("awslogs-region") })
                        }
                        _ => Err(format!("{name} has no awslogs-stream-prefix, so its log stream cannot be told")),
                    }
                }
            };
            out.insert(name.to_owned(), place.map_err(|why| Text::new(&why)));
        }
        Ok(out)
    }
}

/// The object with what matters first; the rest by name, events last.
fn ordered(value: Value, depth: u8) -> Value {
    match value {
        Value::Object(mut fields) => {
            let mut out = Map::with_capacity(fields.len());
            for key in FIRST {
                if let Some(value) = fields.shift_remove(key) {
                    out.insert(key.to_owned(), ordered(value, depth + 1));
                }
            }
            let mut rest: Vec<(String, Value)> = fields.into_iter().collect();
            rest.sort_by(|(a, _), (b, _)| (a == "events", a).cmp(&(b == "events", b)));
            for (key, value) in rest {
                let value = time_or(&key, value);
                out.insert(key, ordered(value, depth + 1));
            }
            for (key, value) in &mut out {
                *value = time_or(key, std::mem::take(value));
            }
            Value::Object(out)
        }
        Value::Array(items) if depth < 16 => Value::Array(items.into_iter().map(|v| ordered(v, depth + 1)).collect()),
        other => other,
    }
}

/// ECS sends times as seconds since 1970: nobody reads those at night.
fn time_or(key: &str, value: Value) -> Value {
    let is_time = key.ends_with("At") || key.ends_with("Date");
    match value.as_f64().filter(|_| is_time) {
        #[expect(clippy::cast_possible_truncation, reason = "seconds of this century")]
        Some(secs) => crate::domain::Timestamp::from_timestamp(secs as i64, 0)
            .map_or(value, |t| t.to_rfc3339_opts(chrono::SecondsFormat::Secs, true).into()),
        None => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_comes_first_and_times_are_read() {
        let object = json!({
            "attachments": [], "createdAt": 1_763_600_000.123, "lastStatus": "STOPPED", "stopCode": "SpotInterruption",
            "containers": [{"taskArn": "x", "name": "app", "exitCode": 137}], "events": [1], "zone": "a",
        });
        let Value::Object(out) = ordered(object, 0) else { panic!("an object stays one") };
        let keys: Vec<&str> = out.keys().map(String::as_str).collect();
        assert_eq!(keys, ["lastStatus", "stopCode", "containers", "createdAt", "attachments", "zone", "events"]);
        assert_eq!(out["createdAt"], "2025-11-20T00:53:20Z");
        assert_eq!(out["containers"][0].as_object().unwrap().keys().next().unwrap(), "name");
    }
}
