//! How long a task may take to end: the stopTimeout of its definition, read once for each.

use std::collections::{HashMap, HashSet};

use aws_sdk_ecs::types::TaskDefinition;
use tokio::time::Instant;

use super::Link;
use crate::domain::notice::STOP_TIMEOUT;
use crate::domain::{CapacityType, Task, Text};
use crate::source::SourceError;
use crate::source::aws::Bucket;
use crate::source::supervise::ABSENT_RETRY;

/// So many are read in one round: a fleet's are known after a few.
const AT_ONCE: usize = 20;
/// How many are kept; a revision never changes.
const KEPT: usize = 2_000;
/// Fargate allows no more, in seconds.
const LONGEST: u16 = 120;

/// What is known of definitions, by ARN: seconds, `None` of those that cannot be read.
#[derive(Debug, Default)]
pub(super) struct StopTimeouts {
    known: HashMap<Text, Option<u16>>,
    /// Nothing is asked for before: it may not be, or failed.
    waits_until: Option<Instant>,
}

impl StopTimeouts {
    /// Puts what is known of a task's definition into its row; true if that changed it.
    pub fn fill(&self, task: &mut Task) -> bool {
        let Some(ecs) = &mut task.ecs else { return false };
        let Some(Some(own)) = self.known.get(&ecs.definition_arn) else { return false };
        let own = if ecs.launch == "FARGATE" { (*own).min(LONGEST) } else { *own };
        let before = (ecs.stop_timeout.replace(own), std::mem::replace(&mut task.grace, own));
        before != (Some(own), own)
    }

    /// Reads those that are not known, of tasks on capacity that may be taken back; those on spot
    /// capacity first.
    ///
    /// # Errors
    /// As [`SourceError`], once in a minute.
    pub async fn read<'t>(&mut self, link: &Link, tasks: impl Iterator<Item = &'t Task>) -> Result<(), SourceError> {
        if self.waits_until.is_some_and(|until| Instant::now() < until) {
            return Ok(());
        }
        let mut used: HashSet<&Text> = HashSet::new();
        let mut open: Vec<(bool, &Text)> = Vec::new();
        for ecs in tasks.filter_map(|t| t.ecs.as_ref()).filter(|e| !e.has_stopped() && !e.definition_arn.is_empty()) {
            let new = used.insert(&ecs.definition_arn) && !self.known.contains_key(&ecs.definition_arn);
            if new && ecs.capacity_type != CapacityType::OnDemand {
                open.push((ecs.capacity_type != CapacityType::Spot, &ecs.definition_arn));
            }
        }
        open.sort_unstable();
        if self.known.len() + open.len() > KEPT {
            self.known.retain(|arn, _| used.contains(arn));
        }
        for (_, arn) in open.into_iter().take(AT_ONCE) {
            match link.stop_timeout(arn).await {
                Ok(own) => {
                    self.known.insert(arn.clone(), Some(own));
                }
                Err(SourceError::NotFound { .. }) => {
                    self.known.insert(arn.clone(), None);
                }
                Err(error) => {
                    self.waits_until = Some(Instant::now() + ABSENT_RETRY);
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

impl Link {
    /// In seconds, how long the slowest container of a definition may take to end.
    async fn stop_timeout(&self, definition: &str) -> Result<u16, SourceError> {
        let clients = self.account.clients().await?;
        let request = clients.ecs.describe_task_definition().task_definition(definition).send();
        let answer = self.account.ask(Bucket::DefinitionRead, "ecs:DescribeTaskDefinition", request).await?;
        let usual = u16::try_from(STOP_TIMEOUT.num_seconds()).unwrap_or_default();
        let containers = answer.task_definition().map(TaskDefinition::container_definitions).unwrap_or_default();
        let own = containers.iter().map(|c| c.stop_timeout().and_then(|t| u16::try_from(t).ok()).unwrap_or(usual));
        Ok(own.max().unwrap_or(usual))
    }
}
