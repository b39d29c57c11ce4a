//! Whether what leaves fits elsewhere.

use crate::action::plan::Plan;
use crate::domain::{Bytes, Millicores, Node, Resources, Task, Timestamp};
use crate::store::Store;

/// What a node has left for new tasks.
struct Room {
    free: Resources,
    /// How many tasks it still takes; `None` where it does not say.
    tasks: Option<u32>,
}

/// `3.2 cores`.
fn cores(cpu: Millicores) -> String {
    match cpu.0 {
        1000 => "1 core".to_owned(),
        m if m.is_multiple_of(1000) => format!("{} cores", m / 1000),
        m => format!("{}.{} cores", m.div_ceil(100) / 10, m.div_ceil(100) % 10),
    }
}

/// `9 GiB`.
fn memory(memory: Bytes) -> String {
    let tenths = (u128::from(memory.0) * 10).div_ceil(1 << 30);
    match (tenths / 10, tenths % 10) {
        (whole, 0) => format!("{whole} GiB"),
        (whole, tenth) => format!("{whole}.{tenth} GiB"),
    }
}

/// Says whether the requests of `leaving` fit on the other nodes that take tasks, each task on one of them:
/// that they do is told among what is good to know.
pub(super) fn add(
    plan: &Plan,
    store: &Store,
    leaving: &[&Task],
    now: Timestamp,
    (out, good): (&mut Vec<String>, &mut Vec<String>),
) {
    let Some(first) = plan.intent.targets.first() else { return };
    let board = store.board(now);
    let others = store
        .nodes
        .rows()
        .filter(|n| n.id.cluster == first.cluster && super::takes_tasks(n) && !plan.intent.targets.contains(&n.id));
    let (going, staying): (Vec<&Node>, Vec<&Node>) =
        others.partition(|n| board.of_node(&n.id).is_some_and(|notice| notice.is_open() && notice.urgent));
    // What nobody starts again needs no room.
    let again: Vec<&&Task> = leaving.iter().filter(|t| t.owner_kind.is_workload() || t.ecs.is_some()).collect();
    let need = again.iter().fold(Resources::default(), |sum, t| sum + t.requests);
    let mut rooms: Vec<Room> = staying.iter().map(|n| room(n, store)).collect();
    let free = rooms.iter().fold(Resources::default(), |sum, r| sum + r.free);
    let homeless = place(&again, &mut rooms);
    let needs = format!("{}, {} requested by {} tasks", cores(need.cpu), memory(need.memory), again.len());
    let has = format!("{} and {} free on {} other nodes", cores(free.cpu), memory(free.memory), staying.len());
    let ignored = "taints, architecture, affinity and volumes are not looked at";
    match homeless {
        0 => good.push(format!("what leaves fits elsewhere: {needs}; {has} ({ignored})")),
        n => out
            .push(format!("what leaves does NOT fit elsewhere: {needs}; {has}; {n} of them find no place ({ignored})")),
    }
    let unstated = again.iter().filter(|t| t.requests == Resources::default()).count();
    if unstated > 0 {
        out.push(format!("{unstated} of the tasks that leave request nothing: what they need is not known"));
    }
    if !going.is_empty() {
        let names: Vec<&str> = going.iter().take(3).map(|n| n.id.name.as_str()).collect();
        let more = if going.len() > 3 { format!(" and {} more", going.len() - 3) } else { String::new() };
        out.push(format!(
            "{} of the other nodes are being taken away themselves, and not counted: {}{more}",
            going.len(),
            names.join(", ")
        ));
    }
    let advised: Vec<&str> =
        staying.iter().filter(|n| board.of_node(&n.id).is_some()).map(|n| n.id.name.as_str()).collect();
    if !advised.is_empty() {
        out.push(format!("of the other nodes these have a notice to go later: {}", advised.join(", ")));
    }
}

fn room(node: &Node, store: &Store) -> Room {
    let totals = store.totals.node(&node.id.cluster, &node.id.name);
    let tasks = (node.allocatable_tasks > 0).then(|| node.allocatable_tasks.saturating_sub(totals.active));
    let free = node.ecs.as_ref().map_or_else(|| node.allocatable - totals.requests, |ecs| ecs.remaining);
    Room { free, tasks }
}

/// Puts the largest first on the first node with room; how many find none.
fn place(tasks: &[&&Task], rooms: &mut [Room]) -> usize {
    let mut wanted: Vec<Resources> = tasks.iter().map(|t| t.requests).collect();
    wanted.sort_by_key(|r| std::cmp::Reverse((r.memory, r.cpu)));
    wanted
        .into_iter()
        .filter(|want| {
            let fits =
                |r: &&mut Room| r.free.cpu >= want.cpu && r.free.memory >= want.memory && r.tasks.is_none_or(|n| n > 0);
            let Some(room) = rooms.iter_mut().find(fits) else { return true };
            room.free = room.free - *want;
            room.tasks = room.tasks.map(|n| n - 1);
            false
        })
        .count()
}
