//! The deployments of a service, as ECS keeps account of them, and what their tasks failed of.

use aws_sdk_ecs::types::{DesiredStatus, ServiceDeploymentStatus, StopServiceDeploymentStopType};

use super::writer::Writer;
use crate::domain::Text;
use crate::source::SourceError;
use crate::source::aws::Bucket;

/// How a service deployment stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Its ARN.
    pub arn: String,
    /// `IN_PROGRESS`, `ROLLBACK_SUCCESSFUL` and others.
    pub status: String,
    /// Why, as ECS puts it; may be empty.
    pub reason: Text,
}

impl Standing {
    /// It can still be stopped; else ECS stops it or goes back already, or it is over.
    #[must_use]
    pub fn is_in_progress(&self) -> bool {
        matches!(self.status.as_str(), "PENDING" | "IN_PROGRESS")
    }
}

impl Writer {
    /// The service deployment that has not ended, going forth or back; `None` if there is none.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn under_way(&self, service: &str) -> Result<Option<Standing>, SourceError> {
        use ServiceDeploymentStatus as S;
        let (account, cluster) = (&self.link.account, &self.link.spec.cluster);
        let request = account.clients().await?.ecs.list_service_deployments().cluster(cluster).service(service);
        let open = vec![S::Pending, S::InProgress, S::StopRequested, S::RollbackRequested, S::RollbackInProgress];
        let request = request.set_status(Some(open)).send();
        let answer = account.ask(Bucket::DeploymentRead, "ecs:ListServiceDeployments", request).await?;
        // A service has one at a time; where one replaces another it is the newest.
        let newest = answer.service_deployments.unwrap_or_default().into_iter().max_by_key(|d| d.created_at);
        Ok(newest.map(|d| Standing {
            status: d.status().map(|s| s.as_str().to_owned()).unwrap_or_default(),
            reason: Text::new(d.status_reason().unwrap_or_default()),
            arn: d.service_deployment_arn.unwrap_or_default(),
        }))
    }

    /// How a service deployment stands; `None` if ECS knows none by that ARN.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn standing(&self, arn: &str) -> Result<Option<Standing>, SourceError> {
        let account = &self.link.account;
        let request = account.clients().await?.ecs.describe_service_deployments().service_deployment_arns(arn).send();
        let answer = account.ask(Bucket::DeploymentRead, "ecs:DescribeServiceDeployments", request).await?;
        Ok(answer.service_deployments().first().map(|d| Standing {
            arn: arn.to_owned(),
            status: d.status().map(|s| s.as_str().to_owned()).unwrap_or_default(),
            reason: Text::new(d.status_reason().unwrap_or_default()),
        }))
    }

    /// Stops a service deployment that is in progress; ECS then rolls back to what was before.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn stop_deployment(&self, arn: &str) -> Result<(), SourceError> {
        let request = self.writing().await?.ecs.stop_service_deployment().service_deployment_arn(arn);
        let request = request.stop_type(StopServiceDeploymentStopType::Rollback).send();
        self.link.account.ask(Bucket::Change, "ecs:StopServiceDeployment", request).await.map(drop)
    }

    /// Why the task of a deployment (`ecs-svc/...`) that stopped last did so; `None` if none has, or ECS does not say.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn failure(&self, service: &str, deployment: &str) -> Result<Option<Text>, SourceError> {
        let (account, cluster) = (&self.link.account, &self.link.spec.cluster);
        let clients = account.clients().await?;
        // ECS takes `startedBy` only without any other filter: those of the deployment are chosen here.
        let request = clients.ecs.list_tasks().cluster(cluster).service_name(service);
        let request = request.desired_status(DesiredStatus::Stopped).max_results(100).send();
        let arns = account.ask(Bucket::ResourceRead, "ecs:ListTasks", request).await?.task_arns.unwrap_or_default();
        if arns.is_empty() {
            return Ok(None);
        }
        let request = clients.ecs.describe_tasks().cluster(cluster).set_tasks(Some(arns)).send();
        let tasks = account.ask(Bucket::ResourceRead, "ecs:DescribeTasks", request).await?.tasks.unwrap_or_default();
        let own = tasks.into_iter().filter(|t| t.started_by() == Some(deployment));
        let Some(last) = own.max_by_key(|t| t.stopping_at) else { return Ok(None) };
        let (why, exit) = (
            last.stopped_reason().unwrap_or_default(),
            last.containers().iter().find_map(|c| Some((c.name()?, c.exit_code().filter(|code| *code != 0)?))),
        );
        let text = match exit {
            Some((container, code)) => format!("{why} ({container} ended with {code})"),
            None => why.to_owned(),
        };
        Ok(Some(text).filter(|t| !t.is_empty()).map(|t| Text::new(&t)))
    }
}
