//! ECS's lists, whole: every page, every batch.

use aws_sdk_ecs::types as ecs;

use super::Link;
use crate::source::SourceError;
use crate::source::aws::{Bucket, Tokens};

/// `DescribeTasks` and `DescribeContainerInstances` take so many at once.
const HUNDRED: usize = 100;
/// `DescribeServices` takes so many at once.
const TEN: usize = 10;

impl Link {
    /// ARNs of the tasks that are to run, or of those that are to be stopped or are.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub(super) async fn task_arns(&self, desired: ecs::DesiredStatus) -> Result<Vec<String>, SourceError> {
        const WHAT: &str = "ecs:ListTasks";
        let clients = self.account.clients().await?;
        let (mut arns, mut tokens) = (Vec::new(), Tokens::default());
        loop {
            let request = clients
                .ecs
                .list_tasks()
                .cluster(&self.spec.cluster)
                .desired_status(desired.clone())
                .max_results(100)
                .set_next_token(tokens.next());
            let page = self.account.ask(Bucket::ResourceRead, WHAT, request.send()).await?;
            let more = tokens.advance(page.next_token(), WHAT)?;
            arns.extend(page.task_arns.unwrap_or_default());
            if !more {
                return Ok(arns);
            }
        }
    }

    /// Up to a hundred tasks. What is gone meanwhile is not in the answer.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub(super) async fn tasks(&self, arns: &[String]) -> Result<Vec<ecs::Task>, SourceError> {
        let clients = self.account.clients().await?;
        let request = clients
            .ecs
            .describe_tasks()
            .cluster(&self.spec.cluster)
            .set_tasks(Some(arns.to_vec()))
            .include(ecs::TaskField::Tags);
        let answer = self.account.ask(Bucket::ResourceRead, "ecs:DescribeTasks", request.send()).await?;
        Ok(answer.tasks.unwrap_or_default())
    }

    /// Batches for [`Link::tasks`].
    pub(super) fn batches(arns: &[String]) -> impl Iterator<Item = &[String]> {
        arns.chunks(HUNDRED)
    }

    /// Every service.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub(super) async fn services(&self) -> Result<Vec<ecs::Service>, SourceError> {
        const WHAT: &str = "ecs:ListServices";
        let clients = self.account.clients().await?;
        let (mut arns, mut tokens) = (Vec::new(), Tokens::default());
        loop {
            let request = clients.ecs.list_services().cluster(&self.spec.cluster).max_results(100);
            let request = request.set_next_token(tokens.next());
            let page = self.account.ask(Bucket::ServiceRead, WHAT, request.send()).await?;
            let more = tokens.advance(page.next_token(), WHAT)?;
            arns.extend(page.service_arns.unwrap_or_default());
            if !more {
                break;
            }
        }
        let mut services = Vec::with_capacity(arns.len());
        for batch in arns.chunks(TEN) {
            let request = clients
                .ecs
                .describe_services()
                .cluster(&self.spec.cluster)
                .set_services(Some(batch.to_vec()))
                .include(ecs::ServiceField::Tags);
            let answer = self.account.ask(Bucket::ServiceRead, "ecs:DescribeServices", request.send()).await?;
            services.extend(answer.services.unwrap_or_default());
        }
        Ok(services)
    }

    /// Every container instance.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub(super) async fn instances(&self) -> Result<Vec<ecs::ContainerInstance>, SourceError> {
        const WHAT: &str = "ecs:ListContainerInstances";
        let clients = self.account.clients().await?;
        let (mut arns, mut tokens) = (Vec::new(), Tokens::default());
        loop {
            let request = clients.ecs.list_container_instances().cluster(&self.spec.cluster).max_results(100);
            let request = request.set_next_token(tokens.next());
            let page = self.account.ask(Bucket::ResourceRead, WHAT, request.send()).await?;
            let more = tokens.advance(page.next_token(), WHAT)?;
            arns.extend(page.container_instance_arns.unwrap_or_default());
            if !more {
                break;
            }
        }
        let mut instances = Vec::with_capacity(arns.len());
        for batch in arns.chunks(HUNDRED) {
            let request = clients
                .ecs
                .describe_container_instances()
                .cluster(&self.spec.cluster)
                .set_container_instances(Some(batch.to_vec()))
                .include(ecs::ContainerInstanceField::Tags)
                .include(ecs::ContainerInstanceField::ContainerInstanceHealth);
            let answer =
                self.account.ask(Bucket::ResourceRead, "ecs:DescribeContainerInstances", request.send()).await?;
            instances.extend(answer.container_instances.unwrap_or_default());
        }
        Ok(instances)
    }

    /// The cluster itself.
    ///
    /// # Errors
    /// As [`SourceError`]; `NotFound` for one that is not there.
    pub(super) async fn cluster(&self) -> Result<ecs::Cluster, SourceError> {
        let clients = self.account.clients().await?;
        let request = clients.ecs.describe_clusters().clusters(&self.spec.cluster).include(ecs::ClusterField::Settings);
        let answer = self.account.ask(Bucket::ClusterRead, "ecs:DescribeClusters", request.send()).await?;
        let found = answer.clusters.unwrap_or_default().into_iter().find(|c| c.status() != Some("INACTIVE"));
        found.ok_or_else(|| {
            let (name, region) = (&self.spec.cluster, &clients.region);
            let what = format!(
                "there is no ECS cluster {name} in {region}; check its name and region (`aws ecs list-clusters`)"
            );
            SourceError::Account { what: crate::domain::Text::new(&what) }
        })
    }
}
