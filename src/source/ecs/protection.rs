//! Which tasks ECS leaves alone: a rollout waits for them.

use std::collections::HashMap;

use aws_sdk_ecs::types as ecs;

use super::{Link, lock};
use crate::domain::{Task, Timestamp};
use crate::source::SourceError;
use crate::source::aws::Bucket;

/// `GetTaskProtection` takes so many at once.
const HUNDRED: usize = 100;

impl Link {
    /// Of these tasks of services, those that are protected, and until when.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub(super) async fn protected(&self, arns: &[String]) -> Result<HashMap<String, Timestamp>, SourceError> {
        let clients = self.account.clients().await?;
        let mut out = HashMap::new();
        for batch in arns.chunks(HUNDRED) {
            let request = clients.ecs.get_task_protection().cluster(&self.spec.cluster).set_tasks(Some(batch.to_vec()));
            let answer = self.account.ask(Bucket::Protection, "ecs:GetTaskProtection", request.send()).await?;
            out.extend(answer.protected_tasks().iter().filter_map(until));
        }
        Ok(out)
    }

    /// True for a task that runs, of a service that rolls out: it may be in the way.
    pub(super) fn may_be_in_the_way(&self, t: &Task) -> bool {
        let to_run = t.ecs.as_ref().is_some_and(|e| e.stop.is_none());
        to_run && !t.owner.is_empty() && lock(&self.rolling).contains(&t.owner)
    }
}

fn until(task: &ecs::ProtectedTask) -> Option<(String, Timestamp)> {
    let at = task.expiration_date().filter(|_| task.protection_enabled())?;
    Some((task.task_arn()?.to_owned(), Timestamp::from_timestamp(at.secs(), at.subsec_nanos())?))
}
