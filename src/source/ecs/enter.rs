//! Getting into a task: `ExecuteCommand`, SSM's `StartSession` for a port, and what the plugin needs to know of
//! the session.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Link;
use crate::domain::Text;
use crate::source::SourceError;
use crate::source::aws::Bucket;
use crate::source::aws::query::JsonService;
use crate::source::session::Started;

/// What forwards a port of the target's own.
pub const DOCUMENT: &str = "AWS-StartPortForwardingSession";

/// SSM's sessions. Nothing else here may ask it for anything: see [`Entry`].
const SSM: JsonService =
    JsonService { name: "ssm", target: "AmazonSSM", version: "1.1", bucket: Bucket::Change, changes: true };

/// For getting into the tasks of one cluster. Only where it may be changed.
#[derive(Debug, Clone)]
pub struct Entry {
    link: Arc<Link>,
}

impl Entry {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self { link }
    }

    /// Cluster, region and profile, for a command to copy.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn place(&self) -> Result<(String, String, Option<String>), SourceError> {
        let region = self.link.account.clients().await?.region.clone();
        Ok((self.link.spec.cluster.clone(), region, self.link.spec.account.profile.clone()))
    }

    /// Runs `command` in a container of a task, whose runtime id is known, and leaves the session to the plugin.
    ///
    /// # Errors
    /// As [`SourceError`]; exec that is not enabled, and an agent that does not run, in ECS's words.
    pub async fn start(
        &self,
        task: &str,
        container: &str,
        runtime: &str,
        command: &str,
    ) -> Result<Started, SourceError> {
        let (account, cluster) = (&self.link.account, &self.link.spec.cluster);
        let clients = account.clients().await?;
        let request = account.writing().await?.ecs.execute_command().cluster(cluster).task(task).container(container);
        let request = request.command(command).interactive(true).send();
        let answer = account.ask(Bucket::Change, "ecs:ExecuteCommand", request).await?;
        let session = answer.session().ok_or_else(|| {
            let endpoint = account.endpoint();
            crate::source::aws::error::garbage(account.asked("ecs:ExecuteCommand", &endpoint))
        })?;
        let json = json!({
            "SessionId": session.session_id(), "StreamUrl": session.stream_url(), "TokenValue": session.token_value(),
        });
        let request = json!({"Target": target(answer.cluster_arn().unwrap_or(cluster), task, runtime)});
        Ok(Started {
            id: session.session_id().unwrap_or_default().to_owned(),
            session: json.to_string(),
            request: request.to_string(),
            endpoint: account.endpoint_of(&clients, SSM.name),
        })
    }

    /// Begins a session for a port of a task, for the plugin to listen on `local` of this machine.
    ///
    /// # Errors
    /// As [`SourceError`]; an agent that does not answer, in SSM's words.
    pub async fn forward(
        &self,
        (task, runtime): (&str, &str),
        (local, remote): (u16, u16),
    ) -> Result<Started, SourceError> {
        const WHAT: &str = "ssm:StartSession";
        let account = &self.link.account;
        let clients = account.clients().await?;
        let request = json!({
            "Target": target(&self.link.spec.cluster, task, runtime),
            "DocumentName": DOCUMENT,
            "Parameters": {"portNumber": [remote.to_string()], "localPortNumber": [local.to_string()]},
        });
        let answer = account.json(SSM, WHAT, &request).await?;
        let field = |name: &str| answer[name].as_str().filter(|text| !text.is_empty());
        let (Some(id), Some(url), Some(token)) = (field("SessionId"), field("StreamUrl"), field("TokenValue")) else {
            let endpoint = account.endpoint();
            return Err(crate::source::aws::error::garbage(account.asked(WHAT, &endpoint)));
        };
        let session: Value = json!({"SessionId": id, "StreamUrl": url, "TokenValue": token});
        Ok(Started {
            id: id.to_owned(),
            session: session.to_string(),
            request: request.to_string(),
            endpoint: account.endpoint_of(&clients, SSM.name),
        })
    }

    /// Ends a session. One that is over already is no error.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn end(&self, session: &str) -> Result<(), SourceError> {
        let input = json!({"SessionId": session});
        self.link.account.json(SSM, "ssm:TerminateSession", &input).await.map(drop)
    }
}

/// What SSM calls a container of a task.
fn target(cluster: &str, task: &str, runtime: &str) -> String {
    let name = |arn: &str| arn.rsplit('/').next().unwrap_or_default().to_owned();
    format!("ecs:{}_{}_{runtime}", name(cluster), name(task))
}

/// What a task's container is called by its runtime, out of its description.
///
/// # Errors
/// In words: it has none yet.
pub fn runtime(task: &serde_json::Value, container: &str) -> Result<String, Text> {
    let found = task["containers"].as_array().into_iter().flatten().find(|c| c["name"] == container);
    let id = found.and_then(|c| c["runtimeId"].as_str()).filter(|id| !id.is_empty());
    id.map(str::to_owned).ok_or_else(|| Text::new(&format!("its container {container} has no runtime id yet")))
}
