//! Which tasks are on which node, by their slots: what a machine takes along is asked for
//! hundreds of times in ten seconds, and a look at every task of a large fleet is no frame's.

use foldhash::HashMap;

use super::Slot;
use crate::domain::{ClusterId, Task, Text};

/// Slots of tasks by cluster and node.
#[derive(Debug, Default)]
pub(super) struct Placed(HashMap<ClusterId, HashMap<Text, Vec<Slot>>>);

impl Placed {
    /// The slots of the tasks on this node, in no particular order.
    pub(super) fn on(&self, cluster: &ClusterId, node: &Text) -> &[Slot] {
        self.0.get(cluster).and_then(|nodes| nodes.get(node)).map_or(&[], Vec::as_slice)
    }

    /// A task is in this slot, in which `before` was.
    pub(super) fn put(&mut self, slot: Slot, before: Option<&Text>, task: &Task) {
        if before == Some(&task.node) {
            return;
        }
        if let Some(node) = before {
            self.take(slot, &task.id.cluster, node);
        }
        if !task.node.is_empty() {
            super::totals::entry(super::totals::entry(&mut self.0, &task.id.cluster), &task.node).push(slot);
        }
    }

    /// A slot is free again.
    pub(super) fn take(&mut self, slot: Slot, cluster: &ClusterId, node: &Text) {
        let Some(nodes) = self.0.get_mut(cluster) else { return };
        let Some(slots) = nodes.get_mut(node) else { return };
        if let Some(at) = slots.iter().position(|s| *s == slot) {
            slots.swap_remove(at);
        }
        if slots.is_empty() {
            nodes.remove(node);
        }
    }
}
