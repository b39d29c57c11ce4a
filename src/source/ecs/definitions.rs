//! Task definitions, as ECS has them: what this program knows nothing of is read and registered, too.

use std::sync::Arc;

use aws_sdk_ecs::types::{SortOrder, TaskDefinitionField};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextMut;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use serde_json::Value;

use super::tail;
use super::writer::Writer;
use crate::source::SourceError;
use crate::source::aws::Bucket;
use crate::source::aws::capture::Capture;
use crate::source::aws::error::garbage;
use crate::source::redact::{HIDDEN, is_secret, redact};

/// What `DescribeTaskDefinition` adds, and `RegisterTaskDefinition` does not take.
const ADDED: [&str; 9] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "deleteRequestedAt",
];

/// Sends this body instead of the one that the client library writes: its types would lose what they do not know.
#[derive(Debug)]
struct Body(Arc<Vec<u8>>);

impl Intercept for Body {
    fn name(&self) -> &'static str {
        "Body"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        request.headers_mut().insert("content-length", self.0.len().to_string());
        *request.body_mut() = SdkBody::from(self.0.as_slice());
        Ok(())
    }
}

/// A definition as `RegisterTaskDefinition` takes it: all that somebody once said of it, and nothing that ECS adds.
#[must_use]
pub fn registrable(definition: &Value) -> Value {
    let mut out = definition.clone();
    if let Some(fields) = out.as_object_mut() {
        fields.retain(|key, value| !ADDED.contains(&key.as_str()) && !value.is_null());
        if let Some(tags) = fields.get_mut("tags").and_then(Value::as_array_mut) {
            // Those are AWS's own, and nobody else may set them.
            tags.retain(|t| !t["key"].as_str().is_some_and(|k| k.to_ascii_lowercase().starts_with("aws:")));
        }
        if fields.get("tags").and_then(Value::as_array).is_some_and(Vec::is_empty) {
            fields.shift_remove("tags");
        }
    }
    out
}

/// A definition for showing: without any variable's value, where its secrets are kept, and what is secret by its name.
#[must_use]
pub fn shown(definition: &Value) -> Value {
    let mut out = definition.clone();
    let containers = out.get_mut("containerDefinitions").and_then(Value::as_array_mut);
    for container in containers.into_iter().flatten() {
        hide(container.get_mut("environment"), "value");
        hide(container.get_mut("secrets"), "valueFrom");
        let Some(log) = container.get_mut("logConfiguration") else { continue };
        hide(log.get_mut("secretOptions"), "valueFrom");
        let options = log.get_mut("options").and_then(Value::as_object_mut);
        for (_, value) in options.into_iter().flatten().filter(|(name, _)| is_secret(name)) {
            *value = HIDDEN.into();
        }
    }
    redact(&mut out);
    out
}

fn hide(list: Option<&mut Value>, key: &str) {
    for item in list.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(value) = item.get_mut(key) {
            *value = HIDDEN.into();
        }
    }
}

impl Writer {
    /// A task definition as ECS has it, with its tags as `tags` where it has any. `name` is a family,
    /// `family:revision`, or an ARN.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn definition(&self, name: &str) -> Result<Value, SourceError> {
        const WHAT: &str = "ecs:DescribeTaskDefinition";
        let (account, capture) = (&self.link.account, Capture::default());
        let request = account.clients().await?.ecs.describe_task_definition().task_definition(name);
        let request = request.include(TaskDefinitionField::Tags).customize().interceptor(capture.clone()).send();
        account.ask(Bucket::DefinitionRead, WHAT, request).await?;
        let nonsense = || garbage(account.asked(WHAT, &account.endpoint()));
        let mut json = capture.json().ok_or_else(nonsense)?;
        let mut definition = json["taskDefinition"].take();
        if !definition.is_object() {
            return Err(nonsense());
        }
        if let Some(tags) = json["tags"].as_array().filter(|t| !t.is_empty()) {
            definition["tags"] = tags.clone().into();
        }
        Ok(definition)
    }

    /// The revisions of a family that may be run, as ARNs, the newest hundred, newest first.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn revisions(&self, family: &str) -> Result<Vec<String>, SourceError> {
        let account = &self.link.account;
        let request = account.clients().await?.ecs.list_task_definitions().family_prefix(family);
        let request = request.sort(SortOrder::Desc).max_results(100).send();
        let answer = account.ask(Bucket::DefinitionRead, "ecs:ListTaskDefinitions", request).await?;
        let number = |arn: &String| {
            let (of, revision) = tail(arn).rsplit_once(':')?;
            // Its name says that it is a prefix.
            revision.parse::<u64>().ok().filter(|_| of == family)
        };
        let mut found: Vec<(u64, String)> = answer
            .task_definition_arns
            .unwrap_or_default()
            .into_iter()
            .filter_map(|arn| Some((number(&arn)?, arn)))
            .collect();
        found.sort_by(|a, b| b.cmp(a));
        Ok(found.into_iter().map(|(_, arn)| arn).collect())
    }

    /// Registers a revision of a task definition: exactly what `definition` says but for what ECS adds by itself.
    /// Returns its ARN.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn register(&self, definition: &Value) -> Result<String, SourceError> {
        const WHAT: &str = "ecs:RegisterTaskDefinition";
        let account = &self.link.account;
        let body = Body(Arc::new(registrable(definition).to_string().into_bytes()));
        let family = definition["family"].as_str().unwrap_or_default();
        let request = self.writing().await?.ecs.register_task_definition().family(family);
        let request = request.customize().interceptor(body).send();
        let answer = Box::pin(account.ask(Bucket::Change, WHAT, request)).await?;
        let arn = answer.task_definition().and_then(|d| d.task_definition_arn());
        arn.map(str::to_owned).ok_or_else(|| garbage(account.asked(WHAT, &account.endpoint())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_somebody_said_is_registered_and_what_ecs_adds_is_not() {
        let described = json!({
            "taskDefinitionArn": "arn", "revision": 4, "status": "ACTIVE", "requiresAttributes": [],
            "compatibilities": ["EC2"], "registeredAt": 1.0, "registeredBy": "me", "family": "web",
            "fieldOfTomorrow": {"a": 1}, "runtimePlatform": {"cpuArchitecture": "ARM64"}, "pidMode": null,
            "tags": [{"key": "team", "value": "a"}, {"key": "aws:cloudformation:stack-name", "value": "x"}],
        });
        let expected = json!({"family": "web", "fieldOfTomorrow": {"a": 1},
            "runtimePlatform": {"cpuArchitecture": "ARM64"}, "tags": [{"key": "team", "value": "a"}]});
        assert_eq!(registrable(&described), expected);
        assert_eq!(registrable(&json!({"family": "web", "tags": [{"key": "AWS:x"}]})), json!({"family": "web"}));
    }

    #[test]
    fn nothing_secret_is_shown() {
        let definition = json!({"family": "web", "containerDefinitions": [
            {"name": "app", "image": "r/web:1", "environment": [{"name": "LOG_LEVEL", "value": "hunter1"}],
                "secrets": [{"name": "DB", "valueFrom": "arn:hunter2"}], "command": ["serve", "--password=hunter3"],
                "logConfiguration": {"logDriver": "splunk", "options": {"splunk-token": "hunter4", "tag": "kept"},
                    "secretOptions": [{"name": "x", "valueFrom": "hunter5"}]}},
            {"name": "side", "image": "r/side:1"}]});
        let text = shown(&definition).to_string();
        assert!(!text.contains("hunter"), "{text}");
        for kept in ["LOG_LEVEL", "r/web:1", "\"DB\"", "kept", "splunk-token"] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
        let side = &shown(&definition)["containerDefinitions"][1];
        assert_eq!(*side, json!({"name": "side", "image": "r/side:1"}), "nothing is added to it");
    }
}
