//! Changing one ECS cluster. There is no writer for a cluster that is marked read-only.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_applicationautoscaling::types as scaling;
use aws_sdk_cloudwatch::types as cw;
use aws_sdk_ecs::types::{ContainerInstanceStatus, DesiredStatus};
use serde_json::Value;

use super::{Link, lock};
use crate::domain::{ClusterId, Kind, ObjectId, Text};
use crate::source::SourceError;
use crate::source::aws::account::Writing;
use crate::source::aws::capture::Capture;
use crate::source::aws::{Bucket, Tokens};

/// How many instances one call may change; ECS's own limit.
pub const AT_ONCE: usize = 10;

/// What is to be changed of a service: only what is named is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceChange {
    /// How many tasks are wanted.
    pub desired: Option<i32>,
    /// Replace every task.
    pub force: bool,
    /// Another task definition, as ARN or `family:revision`.
    pub definition: Option<String>,
}

/// An alarm of CloudWatch, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlarmNow {
    /// It does what it is set up to do when it changes.
    pub enabled: bool,
    /// How many things that are.
    pub actions: usize,
    /// `OK`, `ALARM` or `INSUFFICIENT_DATA`.
    pub state: Text,
}

/// How many alarms one call may ask for, or change; CloudWatch's own limit.
const ALARMS: usize = 100;

/// Changes one cluster. Cloning shares the account.
#[derive(Debug, Clone)]
pub struct Writer {
    pub(super) link: Arc<Link>,
}

impl Writer {
    /// `None` where nothing may be changed.
    pub(super) fn new(link: &Arc<Link>) -> Option<Self> {
        (!link.spec.read_only).then(|| Self { link: Arc::clone(link) })
    }

    /// Which cluster it changes.
    #[must_use]
    pub fn cluster(&self) -> &ClusterId {
        &self.link.spec.id
    }

    /// The cluster's own name, and the profile, for a command to copy.
    #[must_use]
    pub fn place(&self) -> (&str, Option<&str>) {
        (&self.link.spec.cluster, self.link.spec.account.profile.as_deref())
    }

    /// What ECS knows an object by: a service's name, a task's id, a container instance's ARN.
    #[must_use]
    pub fn known_as(&self, id: &ObjectId) -> String {
        match id.kind {
            Kind::Node => {
                let names = lock(&self.link.names);
                names
                    .iter()
                    .find(|(_, name)| **name == id.name)
                    .map_or_else(|| id.name.to_string(), |(arn, _)| arn.clone())
            }
            Kind::Task => {
                let known = lock(&self.link.running).get(&id.name).map(|t| t.id.to_string());
                known.unwrap_or_else(|| id.name.rsplit('/').next().unwrap_or_default().to_owned())
            }
            _ => id.name.to_string(),
        }
    }

    /// An object as ECS has it.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn object(&self, id: &ObjectId) -> Result<Value, SourceError> {
        super::Reader::new(Arc::clone(&self.link)).object(id, &self.known_as(id)).await
    }

    /// The tasks on a container instance, as ECS has them, those among them that are to stop and have not yet.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn tasks_on(&self, instance: &str) -> Result<Vec<Value>, SourceError> {
        const WHAT: &str = "ecs:ListTasks";
        let (account, cluster) = (&self.link.account, &self.link.spec.cluster);
        let clients = account.clients().await?;
        let mut arns: Vec<String> = Vec::new();
        for desired in [DesiredStatus::Running, DesiredStatus::Stopped] {
            let mut tokens = Tokens::default();
            loop {
                let request = clients.ecs.list_tasks().cluster(cluster).container_instance(instance);
                let request = request.desired_status(desired.clone()).max_results(100).set_next_token(tokens.next());
                let page = account.ask(Bucket::ResourceRead, WHAT, request.send()).await?;
                let more = tokens.advance(page.next_token(), WHAT)?;
                arns.extend(page.task_arns.unwrap_or_default());
                if !more {
                    break;
                }
            }
        }
        let mut out = Vec::new();
        for some in arns.chunks(100) {
            let capture = Capture::default();
            let request = clients.ecs.describe_tasks().cluster(cluster).set_tasks(Some(some.to_vec()));
            let request = request.customize().interceptor(capture.clone()).send();
            account.ask(Bucket::ResourceRead, "ecs:DescribeTasks", request).await?;
            let mut json = capture.json().unwrap_or_default();
            let tasks = json["tasks"].as_array_mut().map(std::mem::take).unwrap_or_default();
            out.extend(tasks.into_iter().filter(|t| t["lastStatus"] != "STOPPED"));
        }
        Ok(out)
    }

    /// The alarms of these names in the cluster's account; those that there are not are not among them.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn alarms(&self, names: &[String]) -> Result<BTreeMap<String, AlarmNow>, SourceError> {
        let account = &self.link.account;
        let clients = account.clients().await?;
        let mut out = BTreeMap::new();
        for batch in names.chunks(ALARMS) {
            let request = clients.cloudwatch.describe_alarms().set_alarm_names(Some(batch.to_vec()));
            // Without types CloudWatch leaves composite alarms out.
            let request = request.alarm_types(cw::AlarmType::MetricAlarm).alarm_types(cw::AlarmType::CompositeAlarm);
            let request = request.max_records(100).send();
            let page = account.ask(Bucket::Alarms, "cloudwatch:DescribeAlarms", request).await?;
            let state = |s: Option<&cw::StateValue>| Text::new(s.map_or("", cw::StateValue::as_str));
            for a in page.metric_alarms() {
                let actions = a.alarm_actions().len() + a.ok_actions().len() + a.insufficient_data_actions().len();
                let enabled = a.actions_enabled().unwrap_or(true);
                let now = AlarmNow { enabled, actions, state: state(a.state_value()) };
                out.insert(a.alarm_name().unwrap_or_default().to_owned(), now);
            }
            for a in page.composite_alarms() {
                let actions = a.alarm_actions().len() + a.ok_actions().len() + a.insufficient_data_actions().len();
                let enabled = a.actions_enabled().unwrap_or(true);
                let now = AlarmNow { enabled, actions, state: state(a.state_value()) };
                out.insert(a.alarm_name().unwrap_or_default().to_owned(), now);
            }
        }
        Ok(out)
    }

    /// Lets an alarm do what it is set up to do when it changes, or keeps it from that.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn set_actions(&self, alarm: &str, enabled: bool) -> Result<(), SourceError> {
        let account = &self.link.account;
        let clients = self.writing().await?.cloudwatch;
        let outcome = if enabled {
            let request = clients.enable_alarm_actions().alarm_names(alarm).send();
            account.ask(Bucket::Change, "cloudwatch:EnableAlarmActions", request).await.map(drop)
        } else {
            let request = clients.disable_alarm_actions().alarm_names(alarm).send();
            account.ask(Bucket::Change, "cloudwatch:DisableAlarmActions", request).await.map(drop)
        };
        account.change_alarms();
        outcome
    }

    /// What scales a service, if anything does: the least and the most tasks.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn scaler(&self, service: &str) -> Result<Option<(i32, i32)>, SourceError> {
        let account = &self.link.account;
        let request = account.clients().await?.scaling.describe_scalable_targets();
        let request = request.service_namespace(scaling::ServiceNamespace::Ecs).resource_ids(self.resource(service));
        let answer =
            account.ask(Bucket::AutoScaling, "application-autoscaling:DescribeScalableTargets", request.send()).await?;
        let found = answer.scalable_targets.unwrap_or_default();
        Ok(found.first().map(|t| (t.min_capacity(), t.max_capacity())))
    }

    /// What Application Auto Scaling calls a service.
    #[must_use]
    pub fn resource(&self, service: &str) -> String {
        format!("service/{}/{service}", super::tail(&self.link.spec.cluster))
    }

    /// The region, where it is said, for a command to copy.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.link.spec.account.region.as_deref()
    }

    pub(super) async fn writing(&self) -> Result<Writing, SourceError> {
        self.link.account.writing().await
    }

    /// Changes a service. Returns the id of the deployment that this made the primary one, if the answer names one.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn update(&self, service: &str, change: &ServiceChange) -> Result<Option<String>, SourceError> {
        let account = &self.link.account;
        let mut request = self.writing().await?.ecs.update_service().cluster(&self.link.spec.cluster).service(service);
        request = request.set_desired_count(change.desired).set_task_definition(change.definition.clone());
        if change.force {
            request = request.force_new_deployment(true);
        }
        // Its answer is a whole service: too large for the stack of whoever waits.
        let answer = Box::pin(account.ask(Bucket::Change, "ecs:UpdateService", request.send())).await?;
        let all = answer.service.and_then(|s| s.deployments).unwrap_or_default();
        Ok(all.into_iter().find(|d| d.status() == Some("PRIMARY")).and_then(|d| d.id))
    }

    /// Stops a task.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn stop(&self, task: &str, reason: &str) -> Result<(), SourceError> {
        let account = &self.link.account;
        let request = self.writing().await?.ecs.stop_task().cluster(&self.link.spec.cluster).task(task).reason(reason);
        account.ask(Bucket::Change, "ecs:StopTask", request.send()).await.map(drop)
    }

    /// Lets container instances take no tasks, or take them again; [`AT_ONCE`] at the most. Returns those that
    /// ECS did not know, with its word for it.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn drain(&self, instances: &[String], on: bool) -> Result<Vec<(String, Text)>, SourceError> {
        let account = &self.link.account;
        let status = if on { ContainerInstanceStatus::Draining } else { ContainerInstanceStatus::Active };
        let request = self.writing().await?.ecs.update_container_instances_state().cluster(&self.link.spec.cluster);
        let request = request.set_container_instances(Some(instances.to_vec())).status(status).send();
        let answer = account.ask(Bucket::Change, "ecs:UpdateContainerInstancesState", request).await?;
        let failure = |f: aws_sdk_ecs::types::Failure| {
            (f.arn.unwrap_or_default(), Text::new(&f.reason.unwrap_or_else(|| "not known".to_owned())))
        };
        Ok(answer.failures.unwrap_or_default().into_iter().map(failure).collect())
    }

    /// Raises the least number of tasks that a service is scaled to.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn raise(&self, service: &str, min: i32, max: i32) -> Result<(), SourceError> {
        let account = &self.link.account;
        let request = self.writing().await?.scaling.register_scalable_target();
        let request = request
            .service_namespace(scaling::ServiceNamespace::Ecs)
            .resource_id(self.resource(service))
            .scalable_dimension(scaling::ScalableDimension::EcsServiceDesiredCount)
            .min_capacity(min)
            .max_capacity(max.max(min));
        account.ask(Bucket::Change, "application-autoscaling:RegisterScalableTarget", request.send()).await.map(drop)
    }
}
