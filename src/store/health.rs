//! How a thing is, once everything that is known is taken into account: its own
//! row, its machine, what it did a little while ago, and for how long.
//!
//! Lists, map, counts and the list of what is wrong all ask here, so that they
//! agree.

use std::sync::Arc;

use chrono::TimeDelta;

use super::problems::found;
use super::{STREAK, Slot, Store, TaskTotals};
use crate::domain::{ClusterId, Health, Node, NodeCondition, ObjectId, Task, Text, Timestamp, Workload};

/// A task that is on its way for so long has lost it.
const STUCK: TimeDelta = TimeDelta::minutes(10);
/// This much longer than its grace may ending take.
const OVERDUE: TimeDelta = TimeDelta::minutes(2);
/// So many restarts, each soon after the one before, make a loop.
const LOOP_RESTARTS: u32 = 3;
/// What has just begun may pass: a task that comes up, a replica being replaced.
const GRACE: TimeDelta = TimeDelta::seconds(30);

/// Since when something has been unwell, as far as the console has seen it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unwell {
    pub(super) since: Timestamp,
    /// It was seen to begin; else it was so when first seen.
    pub(super) begun: bool,
}

/// Restarts of one task of which each came soon after the one before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Streak {
    pub(super) count: u32,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
}

impl Streak {
    /// Several restarts are known of at first sight: they are one story if the task
    /// has had little time for more.
    pub(super) fn at_first_sight(task: &Task, last: Timestamp) -> Self {
        let restarts = i32::try_from(task.restarts.max(1)).unwrap_or(i32::MAX);
        let made = task.created.unwrap_or(last);
        let often = (last - made) / restarts < STREAK;
        Self { count: if often { task.restarts } else { 1 }, first: if often { made } else { last }, last }
    }

    pub(super) fn and(self, count: u32, at: Timestamp) -> Self {
        if at - self.last < STREAK {
            Self { count: self.count + count, last: at, ..self }
        } else {
            Self { count, first: at, last: at }
        }
    }

    fn is_loop(self, now: Timestamp) -> bool {
        self.count >= LOOP_RESTARTS && now - self.last < STREAK
    }
}

/// A task, once everything is taken into account.
#[derive(Debug, Clone, Copy)]
pub(super) struct Looks {
    pub(super) health: Health,
    /// It crashes again and again, even though it may run at the moment: a loop must
    /// not look well between two crashes.
    pub(super) looping: bool,
    /// Since when it restarts, at the latest.
    pub(super) looping_since: Option<Timestamp>,
}

impl Store {
    /// How a task is: what its row says, unless its machine is silent, it crashes
    /// again and again and happens to run at the moment, or it has been on its way
    /// for too long, or hardly at all.
    #[must_use]
    pub fn health(&self, task: &Task, now: Timestamp) -> Health {
        self.look(task, now).health
    }

    /// True for a task that is well or has ended, whatever the time, as long as its row is not written again.
    #[must_use]
    pub fn stays_well(&self, slot: Slot) -> bool {
        self.silent.is_empty() && !self.suspects.contains(slot as usize)
    }

    /// [`Store::health`] of the task in each slot that may be in trouble, as last looked at.
    #[must_use]
    pub fn looks(&self, now: Timestamp) -> Arc<[Option<Health>]> {
        found(self, now).looks
    }

    /// True for a task that may be in trouble at some time, as its row stands now.
    #[must_use]
    pub fn is_suspect(&self, slot: Slot) -> bool {
        self.suspects.contains(slot as usize)
    }

    /// The slots of the tasks on a node.
    #[must_use]
    pub fn slots_on(&self, node: &ObjectId) -> &[Slot] {
        self.placed.on(&node.cluster, &node.name)
    }

    /// [`Store::health`] of a task that is known to be in this slot: nothing is looked up.
    #[must_use]
    pub fn health_in(&self, slot: Slot, task: &Task, now: Timestamp) -> Health {
        // Most have nothing that is to be looked up.
        if task.restarts >= LOOP_RESTARTS && task.is_active() {
            return self.look_at(task, Some(slot), now).health;
        }
        self.health_without_loops(task, now)
    }

    /// The same, with what was looked up on the way.
    fn look(&self, task: &Task, now: Timestamp) -> Looks {
        let slot = if task.restarts > 1 { self.tasks.slot(&task.id) } else { None };
        self.look_at(task, slot, now)
    }

    /// The same for a task that is known to be in this slot.
    pub(super) fn look_at(&self, task: &Task, slot: Option<Slot>, now: Timestamp) -> Looks {
        let slot = slot.filter(|_| task.restarts > 1);
        let streak = slot.and_then(|slot| self.streaks.get(&slot)).copied();
        let looping = task.restarts >= LOOP_RESTARTS && streak.is_some_and(|s| s.is_loop(now)) && task.is_active();
        let health = if looping { Health::Critical } else { self.health_without_loops(task, now) };
        // One restart that is known of several is no beginning.
        Looks { health, looping, looping_since: streak.filter(|s| s.count > 1).map(|s| s.first) }
    }

    fn health_without_loops(&self, task: &Task, now: Timestamp) -> Health {
        if self.is_lost(task) {
            return task.health.max(Health::Unknown);
        }
        match task.health {
            Health::Progressing if is_stuck(task, now) || is_overdue(task, now) => Health::Warning,
            // Not ready, or not placed, since a moment ago.
            Health::Warning if task.is_active() && task.since.is_some_and(|at| now - at < GRACE) => Health::Progressing,
            health => health,
        }
    }

    /// How a workload is: what its row says, unless that is a shortage which was seen
    /// to begin a moment ago, while some of it serves.
    #[must_use]
    pub fn workload_health(&self, workload: &Workload, now: Timestamp) -> Health {
        let young = || self.unwell.get(&workload.id).is_some_and(|u| u.begun && now - u.since < GRACE);
        if workload.health == Health::Warning && workload.replicas.available > 0 && young() {
            return Health::Progressing;
        }
        workload.health
    }

    /// The same with what is wrong with its tasks, and what alarms say of it.
    #[must_use]
    pub fn workload_trouble(&self, workload: &Workload, now: Timestamp) -> Health {
        let found = found(self, now).workloads.get(&workload.id).copied();
        self.workload_health(workload, now).max(found.unwrap_or(Health::Ok))
    }

    /// True for a task that runs on a machine of which nothing is heard.
    #[must_use]
    pub fn is_lost(&self, task: &Task) -> bool {
        !self.silent.is_empty()
            && task.is_active()
            && self.silent.get(&task.id.cluster).is_some_and(|nodes| nodes.contains(&task.node))
    }

    /// A cluster's tasks by [`Store::health`].
    #[must_use]
    pub fn task_totals(&self, cluster: &ClusterId, now: Timestamp) -> TaskTotals {
        let mut totals = self.totals.cluster(cluster);
        for node in self.silent.get(cluster).into_iter().flatten() {
            totals.lose(&self.totals.node(cluster, node));
        }
        for other in found(self, now).others.iter().filter(|o| o.cluster == *cluster) {
            totals.move_to(other.counted, other.is, other.count);
        }
        totals
    }

    /// Since when something has been unwell, at the latest: as its row says, else as
    /// the console has seen it.
    #[must_use]
    pub fn unwell_since(&self, id: &ObjectId) -> Option<Timestamp> {
        self.unwell.get(id).map(|u| u.since)
    }

    /// True if it was unwell already when it was first seen.
    #[must_use]
    pub fn was_unwell(&self, id: &ObjectId) -> bool {
        self.unwell.get(id).is_some_and(|u| !u.begun)
    }

    /// Remembers when something became unwell. `first` sight of it says nothing of
    /// its beginning.
    pub(super) fn note_health(&mut self, id: &ObjectId, health: Health, first: bool, at: Timestamp) {
        if !health.is_problem() {
            self.unwell.remove(id);
        } else if !self.unwell.contains_key(id) {
            self.unwell.insert(id.clone(), Unwell { since: at, begun: !first });
        }
    }

    /// Remembers which machines nothing is heard of.
    pub(super) fn note_silence(&mut self, node: &Node) {
        let (cluster, name) = (&node.id.cluster, &node.id.name);
        if node.condition == NodeCondition::Silent {
            self.silent.entry(cluster.clone()).or_default().insert(name.clone());
        } else {
            self.forget_silence(cluster, name);
        }
    }

    pub(super) fn forget_silence(&mut self, cluster: &ClusterId, name: &Text) {
        if let Some(nodes) = self.silent.get_mut(cluster) {
            nodes.remove(name);
            if nodes.is_empty() {
                self.silent.remove(cluster);
            }
        }
    }
}

/// May be in trouble at some time, as its row stands: one that is well, and has hardly
/// restarted, can only be lost with its machine.
pub(super) fn is_suspect(task: &Task) -> bool {
    !matches!(task.health, Health::Ok | Health::Done) || task.restarts >= LOOP_RESTARTS
}

/// On its way up, and that for too long.
pub(super) fn is_stuck(task: &Task, now: Timestamp) -> bool {
    task.health == Health::Progressing
        && !matches!(task.status.as_str(), "Terminating" | "Deactivating" | "Stopping" | "Deprovisioning" | "Stopped")
        && task.created.is_some_and(|at| now - at > STUCK)
}

/// On its way out, and past the end of its grace.
fn is_overdue(task: &Task, now: Timestamp) -> bool {
    task.status.as_str() == "Terminating" && task.since.is_some_and(|end| now - end > OVERDUE)
}
