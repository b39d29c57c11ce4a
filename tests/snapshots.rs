//! Frames and view models as they are, to be looked at when they change
//! (`cargo insta review`, or the `.snap.new` files beside the old ones).

mod support;

use quarterdeck::theme::Theme;
use support::budgets::fleet_with_budgets;
use support::fleet::{Desk, now, small_fleet};
use support::mixed::{alarmed_fleet, mixed_fleet};
use support::taken::taken_fleet;

/// A screen by the keys that open it.
const SCREENS: [(&str, &str); 10] = [
    ("overview", "1"),
    ("nodes", "2"),
    ("tasks", "3"),
    ("tasks-details", "3 v"),
    ("workloads", "4"),
    ("events", "5"),
    ("map", "6"),
    ("help", "3 ?"),
    ("palette", "3 :"),
    ("errors", "3 !"),
];

/// Screens of error budgets and services.
const USERS: [(&str, &str); 7] = [
    ("budgets", "8"),
    ("budgets-details", "8 v"),
    ("budget-page", "8 enter"),
    ("budgets-overview", "1"),
    ("services", "9"),
    ("services-details", "9 G v"),
    ("service-page", "9 G d"),
];

#[test]
fn frames() {
    for (name, keys) in SCREENS {
        for (width, height) in [(80, 24), (120, 40), (200, 50), (40, 12)] {
            let mut desk = Desk::new(small_fleet());
            desk.press(keys);
            // Lines end where the text does: what follows is empty in every frame.
            let frame: String =
                desk.frame(width, height).lines().map(|line| line.trim_end().to_owned() + "\n").collect();
            insta::assert_snapshot!(format!("{name}-{width}x{height}"), frame);
        }
    }
}

/// The alarms of a fleet: one group of several, a silenced one, one that is fine.
#[test]
fn frames_of_alarms() {
    for (name, keys) in [
        ("alarms", "7"),
        ("alarms-unfolded", "7 enter"),
        ("alarms-details", "7 j v"),
        ("alarm", "7 j enter"),
        ("alarms-overview", "1"),
    ] {
        for (width, height) in [(80, 24), (120, 40), (200, 50), (40, 12)] {
            let mut desk = Desk::new(alarmed_fleet());
            desk.press(keys);
            let frame: String =
                desk.frame(width, height).lines().map(|line| line.trim_end().to_owned() + "\n").collect();
            insta::assert_snapshot!(format!("{name}-{width}x{height}"), frame);
        }
    }
}

#[test]
fn frames_with_budgets() {
    for (name, keys) in USERS {
        for (width, height) in [(80, 24), (120, 40), (200, 50), (40, 12)] {
            let mut desk = Desk::new(fleet_with_budgets());
            desk.press(keys);
            let frame: String =
                desk.frame(width, height).lines().map(|line| line.trim_end().to_owned() + "\n").collect();
            insta::assert_snapshot!(format!("{name}-{width}x{height}"), frame);
        }
    }
}

/// Machines that are taken away, on every screen.
#[test]
fn frames_of_notices() {
    for (name, keys) in [
        ("spot", "0"),
        ("spot-history", "0 H"),
        ("spot-details", "0 v"),
        ("notice", "0 d"),
        ("spot-overview", "1"),
        ("spot-nodes", "2"),
        ("spot-tasks", "3"),
        ("spot-workloads", "4"),
        ("spot-map", "6"),
        ("pools", "0 p"),
        ("pool", "0 p d"),
    ] {
        for (width, height) in [(80, 24), (120, 40), (200, 50), (40, 12)] {
            let mut desk = Desk::new(taken_fleet());
            desk.press(keys);
            let frame: String =
                desk.frame(width, height).lines().map(|line| line.trim_end().to_owned() + "\n").collect();
            insta::assert_snapshot!(format!("{name}-{width}x{height}"), frame);
        }
    }
    let mut desk = Desk::new(small_fleet());
    desk.press("0");
    insta::assert_snapshot!(
        "spot-empty-80x24",
        desk.frame(80, 24).lines().map(|l| l.trim_end().to_owned() + "\n").collect::<String>()
    );
    let mut desk = Desk::new(taken_fleet());
    desk.press("0");
    desk.ascii = true;
    insta::assert_snapshot!(
        "spot-ascii-80x24",
        desk.frame(80, 24).lines().map(|l| l.trim_end().to_owned() + "\n").collect::<String>()
    );
}

/// Both orchestrators side by side, and ECS alone in each list.
#[test]
fn frames_with_ecs() {
    for (name, keys, filter) in [
        ("ecs-overview", "1", ""),
        ("ecs-nodes", "2", "cluster=shop-ecs"),
        ("ecs-nodes-details", "2 v", "cluster=shop-ecs"),
        ("ecs-tasks", "3", "cluster=shop-ecs"),
        ("ecs-tasks-details", "3 v", "cluster=shop-ecs"),
        ("ecs-workloads", "4", "cluster=shop-ecs"),
        ("ecs-map", "6", ""),
        ("ecs-spot", "0", ""),
        ("ecs-spot-details", "0 j v", ""),
        ("ecs-workloads-details", "4 v", "name=web cluster=shop-ecs"),
    ] {
        for (width, height) in [(80, 24), (120, 40), (200, 50)] {
            let mut desk = Desk::new(mixed_fleet());
            desk.press(keys);
            if !filter.is_empty() {
                desk.type_filter(filter);
            }
            let frame: String =
                desk.frame(width, height).lines().map(|line| line.trim_end().to_owned() + "\n").collect();
            insta::assert_snapshot!(format!("{name}-{width}x{height}"), frame);
        }
    }
}

/// One styled frame per theme: where a colour or a weight changes, this says so.
#[test]
fn themes() {
    for name in Theme::names() {
        let mut desk = Desk::new(small_fleet());
        desk.theme = Theme::load(name, None).unwrap_or_else(|e| panic!("{name}: {e}"));
        desk.press("3 j");
        insta::assert_snapshot!(format!("theme-{name}"), format!("{:?}", desk.buffer(80, 12)));
        let mut desk = Desk::new(taken_fleet());
        desk.theme = Theme::load(name, None).unwrap_or_else(|e| panic!("{name}: {e}"));
        desk.press("0");
        insta::assert_snapshot!(format!("theme-spot-{name}"), format!("{:?}", desk.buffer(80, 12)));
    }
}

#[test]
fn status_as_data() {
    let status = quarterdeck::view::status::status(&small_fleet(), now());
    let json = serde_json::to_string_pretty(&status).unwrap_or_default();
    insta::assert_snapshot!("status", json);
}
