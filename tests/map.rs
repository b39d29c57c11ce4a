//! The map shows every task that is not finished, whether it has a node or not.

mod support;

use quarterdeck::domain::Health;
use support::fleet::{Desk, small_fleet, task};
use support::mixed::mixed_fleet;

#[test]
fn tasks_without_nodes_are_on_the_map() {
    let mut desk = Desk::new(mixed_fleet());
    let ecs: Vec<_> =
        desk.store.tasks.rows().filter(|t| t.node.is_empty() && t.ecs.is_some() && t.is_active()).collect();
    let fargate = |spot: bool| {
        let mine = |provider: &str| (provider == "FARGATE_SPOT") == spot;
        ecs.iter().filter(|t| t.ecs.as_ref().is_some_and(|e| mine(&e.provider))).count()
    };
    let (plain, spot) = (fargate(false), fargate(true));
    assert!(plain + spot > 0, "the fleet has Fargate tasks");
    desk.press("6");
    let frame = desk.frame(160, 40);
    let place = if plain > 0 { "fargate " } else { "fargate spot" };
    assert!(frame.contains(place), "{frame}");
    let n = if plain > 0 { plain } else { spot };
    assert!(frame.contains(&format!("{n} task")), "{frame}");
    // One cluster's map has its own only, and a filter of nodes leaves none.
    desk.type_filter("name=no-such-node");
    assert!(!desk.frame(160, 40).contains("fargate"), "a place is no node of that name");
}

#[test]
fn what_is_not_placed_is_seen_and_the_r_is_explained() {
    let mut desk = Desk::new(small_fleet());
    desk.press("6");
    let frame = desk.frame(80, 24);
    // node-b is not measured: its load is what is asked of it.
    assert!(frame.contains("cpu~") && frame.contains("~ requested"), "{frame}");
    assert!(!frame.contains("pending"), "{frame}");
    desk.put_task(task("waits", "web", "", "Pending", Health::Progressing));
    let frame = desk.frame(80, 24);
    assert!(frame.contains("pending") && frame.contains("1 task\n") && frame.contains('◌'), "{frame}");
}

#[test]
fn a_fleet_without_nodes_has_a_map() {
    let mut desk = Desk::new(mixed_fleet());
    let nodes: Vec<_> = desk.store.nodes.rows().map(|n| n.id.clone()).collect();
    for id in nodes {
        desk.remove_task(&id);
    }
    desk.press("6");
    let frame = desk.frame(120, 30);
    assert!(frame.contains("fargate") && !frame.contains("no nodes here"), "{frame}");
}
