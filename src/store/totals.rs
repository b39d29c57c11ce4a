//! Sums kept as rows come and go, so that no frame has to count everything.

use foldhash::HashMap;

use crate::domain::{ClusterId, Health, Resources, Task, Text};

/// Tasks of one cluster or node, by health.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskTotals {
    /// All, finished ones included.
    pub all: u32,
    /// Serving or working as they should.
    pub ok: u32,
    /// Finished, as intended or not.
    pub done: u32,
    /// Starting or stopping.
    pub progressing: u32,
    /// On a silent node.
    pub unknown: u32,
    /// Impaired, and not finished.
    pub warning: u32,
    /// Broken, and not finished.
    pub critical: u32,
    /// Not finished: these hold their requests.
    pub active: u32,
    /// What the active ones ask for.
    pub requests: Resources,
}

impl TaskTotals {
    /// How many are so.
    #[must_use]
    pub fn of(&self, health: Health) -> u32 {
        match health {
            Health::Ok => self.ok,
            Health::Done => self.done,
            Health::Progressing => self.progressing,
            Health::Unknown => self.unknown,
            Health::Warning => self.warning,
            Health::Critical => self.critical,
        }
    }

    /// How many are not finished.
    #[must_use]
    pub fn unfinished(&self) -> u32 {
        self.all.saturating_sub(self.done)
    }

    /// Counts so many that were counted as `from` as `to`.
    pub(super) fn move_to(&mut self, from: Health, to: Health, n: u32) {
        let n = n.min(self.of(from));
        *self.slot(from) -= n;
        *self.slot(to) += n;
    }

    /// Counts what was well, or on its way, among `node`'s as unknown.
    pub(super) fn lose(&mut self, node: &Self) {
        for (from, n) in [(Health::Ok, node.ok), (Health::Progressing, node.progressing)] {
            let n = n.min(self.of(from));
            *self.slot(from) -= n;
            self.unknown += n;
        }
    }

    fn slot(&mut self, health: Health) -> &mut u32 {
        match health {
            Health::Ok => &mut self.ok,
            Health::Done => &mut self.done,
            Health::Progressing => &mut self.progressing,
            Health::Unknown => &mut self.unknown,
            Health::Warning => &mut self.warning,
            Health::Critical => &mut self.critical,
        }
    }

    fn add(&mut self, task: &Task) {
        self.all += 1;
        *self.slot(counted_as(task)) += 1;
        if task.is_active() {
            self.active += 1;
            self.requests = self.requests + task.requests;
        }
    }

    fn sub(&mut self, task: &Task) {
        self.all = self.all.saturating_sub(1);
        let slot = self.slot(counted_as(task));
        *slot = slot.saturating_sub(1);
        if task.is_active() {
            self.active = self.active.saturating_sub(1);
            self.requests = self.requests - task.requests;
        }
    }
}

/// What is finished counts as such, however it ended.
pub(super) fn counted_as(task: &Task) -> Health {
    // A pod says Error between two crashes as well as at its end: that one counts as it is.
    let finished = !task.is_active() && task.status != "Error";
    if finished { Health::Done } else { task.health }
}

/// Task totals by cluster and by node.
#[derive(Debug, Default)]
pub struct Totals {
    clusters: HashMap<ClusterId, TaskTotals>,
    nodes: HashMap<ClusterId, HashMap<Text, TaskTotals>>,
}

impl Totals {
    /// Of a cluster.
    #[must_use]
    pub fn cluster(&self, id: &ClusterId) -> TaskTotals {
        self.clusters.get(id).copied().unwrap_or_default()
    }

    /// Of a node.
    #[must_use]
    pub fn node(&self, cluster: &ClusterId, name: &Text) -> TaskTotals {
        self.nodes.get(cluster).and_then(|n| n.get(name)).copied().unwrap_or_default()
    }

    pub(super) fn add(&mut self, task: &Task) {
        let cluster = &task.id.cluster;
        entry(&mut self.clusters, cluster).add(task);
        if !task.node.is_empty() {
            entry(entry(&mut self.nodes, cluster), &task.node).add(task);
        }
    }

    pub(super) fn sub(&mut self, task: &Task) {
        if let Some(t) = self.clusters.get_mut(&task.id.cluster) {
            t.sub(task);
        }
        if let Some(nodes) = self.nodes.get_mut(&task.id.cluster)
            && let Some(t) = nodes.get_mut(&task.node)
        {
            t.sub(task);
            if t.all == 0 {
                nodes.remove(&task.node);
            }
        }
    }
}

/// `entry().or_default()` that clones the key only when it is new.
pub(super) fn entry<'a, K: Clone + Eq + std::hash::Hash, V: Default>(map: &'a mut HashMap<K, V>, key: &K) -> &'a mut V {
    if !map.contains_key(key) {
        map.insert(key.clone(), V::default());
    }
    map.entry(key.clone()).or_default()
}
