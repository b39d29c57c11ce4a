//! Getting into a task: `ExecuteCommand`, and what the plugin needs to know of its session.

use std::sync::Arc;

use serde_json::json;

use super::Link;
use crate::domain::Text;
use crate::source::SourceError;
use crate::source::aws::Bucket;
use crate::source::session::Started;

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
        let name = |arn: &str| arn.rsplit('/').next().unwrap_or_default().to_owned();
        let target = format!("ecs:{}_{}_{runtime}", name(answer.cluster_arn().unwrap_or(cluster)), name(task));
        let endpoint = self.link.spec.account.endpoint.clone().unwrap_or_else(|| endpoint(&clients.region));
        Ok(Started { session: json.to_string(), target, endpoint })
    }
}

/// Where SSM is in a region.
fn endpoint(region: &str) -> String {
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://ssm.{region}.{suffix}")
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
