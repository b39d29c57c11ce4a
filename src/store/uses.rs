//! What the measured tasks of Kubernetes workloads use, added up for those who ask: of 50,000 tasks
//! that takes longer than a key may wait for its frame.

use std::sync::Arc;

use foldhash::HashMap;

use super::Store;
use super::history::Samples;
use crate::domain::{ObjectId, Resources, Timestamp, Usage};

/// Used and asked for, by workload.
pub(super) type Uses = HashMap<ObjectId, (Usage, Resources)>;

impl Store {
    /// What the measured tasks of a Kubernetes workload use, and what they ask for, as of the last
    /// complete round of measurements.
    #[must_use]
    pub fn workload_use(&self, workload: &ObjectId, now: Timestamp) -> Option<(Usage, Resources)> {
        let round = (self.usage.rounds(), 0, 0);
        let uses = self.patience.of_memo(&self.uses, (round, now), || Arc::new(self.added_up()));
        uses.get(workload).copied()
    }

    fn added_up(&self) -> Uses {
        let mut sums = Uses::default();
        for task in self.tasks.rows().filter(|t| t.ecs.is_none() && t.is_active()) {
            let Some(used) = self.usage.get(&task.id).map(Samples::latest) else { continue };
            let Some(workload) = self.workload_id_of(task) else { continue };
            let (usage, requests) = sums.entry(workload).or_default();
            usage.cpu += used.cpu;
            usage.memory += used.memory;
            *requests = *requests + task.requests;
        }
        sums
    }
}
