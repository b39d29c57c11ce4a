//! What the views of notices and pools say, by itself and in little room.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use chrono::{DateTime, TimeDelta, Utc};
use quarterdeck::domain::notice::{Deadline, Departure, NoticeFeed, NoticeKind, Outcome, Record, Told, Victim};
use quarterdeck::domain::{ClusterId, Health, Kind, NodeCondition, ObjectId, Text, Thresholds};
use quarterdeck::store::problems::problems;
use quarterdeck::store::{Body, Feed, Observation, Rows, SourceId, Store};
use quarterdeck::view::columns::Context;
use quarterdeck::view::notices;
use support::fleet::{Desk, cluster, now, observe, task, workload};
use support::taken::{ago, interruption, sighting, spot_node, taken_fleet, tell};

/// One node called `one` with two tasks of `web`.
fn one_machine() -> Store {
    support::taken::one_machine(2, 30)
}

fn apply(store: &mut Store, feed: Feed, at: DateTime<Utc>, body: Body) {
    store.apply(Observation { source: SourceId { cluster: cluster(), feed }, at, body });
}

fn tasks_go(store: &mut Store, at: DateTime<Utc>) {
    let ids: Vec<ObjectId> = store.tasks.rows().map(|t| t.id.clone()).collect();
    apply(store, Feed::Tasks, at, Body::Remove(ids));
}

fn went(at: DateTime<Utc>) -> Vec<Told> {
    let victim = Victim::Instance(Text::new("i-1"));
    vec![Told::Gone(Departure { victim, feed: NoticeFeed::EventLog, at, taken: true })]
}

fn outcome(store: &Store) -> Option<Outcome> {
    store.notices.case(&Victim::Instance(Text::new("i-1"))).expect("a case").outcome.map(|(o, _)| o)
}

fn seconds(store: &mut Store, from: i64, to: i64) {
    for secs in (to..=from).rev() {
        store.keep_up(ago(secs));
    }
}

#[test]
fn what_happened_while_the_console_was_stopped_is_not_judged_by_when_it_was_seen() {
    // Given 600 s ago, gone two minutes later; the console looks all the time, or was stopped between.
    for (stops, want) in [(false, Outcome::Cut { tasks: 2 }), (true, Outcome::Unseen)] {
        let mut store = one_machine();
        seconds(&mut store, 601, 600);
        tell(&mut store, vec![interruption("i-1", 600)], ago(599));
        seconds(&mut store, 599, if stops { 580 } else { 401 });
        if stops {
            store.keep_up(ago(400));
            assert_eq!(outcome(&store), None, "nothing of what happened is told yet");
        }
        tell(&mut store, went(ago(480)), ago(399));
        seconds(&mut store, 399, 397);
        tasks_go(&mut store, ago(396));
        seconds(&mut store, 396, 300);
        assert_eq!(outcome(&store), Some(want), "stopped: {stops}");
        assert_eq!(store.notices.take_unwritten().len(), 1, "it is kept once");
    }
}

#[test]
fn a_replacement_that_came_while_the_console_was_stopped_is_none_that_was_missing() {
    for (stops, want) in [(false, Outcome::NotReplaced), (true, Outcome::Unseen)] {
        let mut store = one_machine();
        seconds(&mut store, 601, 600);
        tell(&mut store, vec![interruption("i-1", 600)], ago(599));
        seconds(&mut store, 599, 580);
        tasks_go(&mut store, ago(579));
        apply(&mut store, Feed::Deployments, ago(579), Body::Upsert(Rows::Workloads(vec![workload("web", 2, 0)])));
        seconds(&mut store, 579, if stops { 570 } else { 401 });
        store.keep_up(ago(400));
        let node = store.nodes.rows().next().expect("a node").id.clone();
        apply(&mut store, Feed::Nodes, ago(399), Body::Remove(vec![node]));
        apply(&mut store, Feed::Deployments, ago(398), Body::Upsert(Rows::Workloads(vec![workload("web", 2, 2)])));
        seconds(&mut store, 398, 300);
        assert_eq!(outcome(&store), Some(want), "stopped: {stops}");
    }
    // What is seen all along is judged as ever, however long the console slept before.
    let mut store = one_machine();
    store.keep_up(ago(9_000));
    seconds(&mut store, 300, 201);
    tell(&mut store, vec![interruption("i-1", 200)], ago(199));
    seconds(&mut store, 199, 180);
    tasks_go(&mut store, ago(180));
    seconds(&mut store, 179, 82);
    tell(&mut store, went(ago(80)), ago(79));
    seconds(&mut store, 79, 60);
    assert!(matches!(outcome(&store), Some(Outcome::Evacuated { left: Some(98..=100) })), "{:?}", outcome(&store));
}

/// Three tasks of `web` move from one zone to another: the old ones end while the new ones run.
#[test]
fn no_more_tasks_of_a_workload_lean_on_pools_than_it_has() {
    let mut store = Store::expecting([cluster()]);
    let nodes = vec![spot_node("old", "i-1", "eu-west-1a"), spot_node("new", "i-2", "eu-west-1b")];
    observe(&mut store, Feed::Nodes, Rows::Nodes(nodes));
    let on = |node: &'static str, status: &'static str| {
        move |n| task(&format!("web-{node}-{n}"), "web", node, status, Health::Ok)
    };
    let mut tasks: Vec<_> = (0..3).map(on("old", "Terminating")).chain((0..3).map(on("new", "Running"))).collect();
    observe(&mut store, Feed::Tasks, Rows::Tasks(tasks.clone()));
    observe(&mut store, Feed::Deployments, Rows::Workloads(vec![workload("web", 3, 3)]));
    let lean = |store: &Store| -> Vec<(String, u32, u32)> {
        store.concentrated().into_iter().map(|l| (l.pool.1.to_string(), l.there, l.tasks)).collect()
    };
    assert_eq!(lean(&store), [("eu-west-1b".to_owned(), 3, 3)]);
    // More are there than are wanted, in both zones: neither has most of them.
    for t in &mut tasks {
        t.status = Text::new("Running");
    }
    observe(&mut store, Feed::Tasks, Rows::Tasks(tasks));
    assert_eq!(lean(&store), []);
}

/// A machine that falls silent while it goes says both on the map, and keeps the worse colour.
#[test]
fn a_node_in_trouble_keeps_its_countdown_on_the_map() {
    let mut store = one_machine();
    tell(&mut store, vec![interruption("i-1", 90)], ago(88));
    let mut silent = spot_node("one", "i-1", "eu-west-1a");
    (silent.condition, silent.status) = (NodeCondition::NotReady, Text::new("NotReady"));
    apply(&mut store, Feed::Nodes, now(), Body::Upsert(Rows::Nodes(vec![silent])));
    let mut desk = Desk::new(store);
    desk.press("6");
    let frame = desk.frame(120, 24);
    assert!(frame.contains(" goes 0:30 NotReady"), "{frame}");
    // Where it only may go, the trouble is read first.
    let mut store = one_machine();
    tell(&mut store, vec![Told::Notice(sighting("i-1", NoticeKind::Rebalance, 60, None))], ago(59));
    let mut silent = spot_node("one", "i-1", "eu-west-1a");
    (silent.condition, silent.status) = (NodeCondition::NotReady, Text::new("NotReady"));
    apply(&mut store, Feed::Nodes, now(), Body::Upsert(Rows::Nodes(vec![silent])));
    let mut desk = Desk::new(store);
    desk.press("6");
    let frame = desk.frame(120, 24);
    assert!(frame.contains("NotReady rebalance"), "{frame}");
}

/// Who told, and how late, is on the screen however long the outcomes are.
#[test]
fn who_told_how_late_is_shown_at_120_columns() {
    let mut desk = Desk::new(taken_fleet());
    desk.press("0");
    for (width, heads) in [
        (80, &["LEFT", "KIND", "VICTIM", "GONE", "VERDICT"][..]),
        (120, &["LEFT", "KIND", "VICTIM", "GONE", "VERDICT", "ZONE", "TOLD BY"][..]),
        (200, &["LEFT", "KIND", "VICTIM", "GONE", "VERDICT", "TYPE", "ZONE", "TOLD BY", "GIVEN"][..]),
    ] {
        let frame = desk.frame(width, 40);
        for head in heads {
            assert!(frame.contains(head), "{width}: {head}:\n{frame}");
        }
        assert!(frame.contains("log +1.2s"), "{width}:\n{frame}");
        assert!(frame.contains("✓ out, ") && !frame.contains("evacuated"), "{width}:\n{frame}");
    }
    // The full words are in the details, and what is filtered by.
    desk.type_filter("status=*evacuated*");
    desk.press("v");
    let frame = desk.frame(120, 40);
    assert!(frame.contains("✓ evacuated with ") && frame.contains("EventBridge log"), "{frame}");
}

/// What the list shows while a machine is overdue and another was evacuated, as in the storm.
#[test]
fn the_longest_words_leave_room_for_who_told() {
    let mut store = one_machine();
    tell(&mut store, vec![interruption("i-1", 254), interruption("i-0ffffffffffffffff", 254)], ago(253));
    let mut desk = Desk::new(store);
    desk.press("0");
    let frame = desk.frame(120, 24);
    assert!(frame.contains("overdue 2:14") && frame.contains("log +1.2s"), "{frame}");
}

const ARN: &str = "arn:aws:ecs:eu-west-1:123456789012:task/shop-ecs/1b22f2c3d4e5f60718293a4b5c6d7e8f";

#[test]
fn the_breadcrumb_of_a_notice_is_what_the_list_calls_it() {
    let mut desk = Desk::new(taken_fleet());
    desk.press("0 d");
    let first = desk.frame(80, 24).lines().next().unwrap_or_default().to_owned();
    assert!(first.contains("› notice ip-10-0-1-7 ") && first.trim_end().ends_with(":00 UTC"), "{first}");
    let mut store = taken_fleet();
    let mut alone = sighting("i-1", NoticeKind::Interruption, 17, None);
    alone.victim = Victim::Task(Text::new(ARN));
    tell(&mut store, vec![Told::Notice(alone)], ago(15));
    let mut desk = Desk::new(store);
    desk.press("0");
    desk.type_filter("1b22f2c3");
    desk.press("d");
    let first = desk.frame(80, 24).lines().next().unwrap_or_default().to_owned();
    assert!(first.contains("notice 1b22f2c3") && !first.contains("arn:"), "{first}");
}

/// The clock is whole at the right of the first line in every view, whatever stands before it.
#[test]
fn no_name_pushes_the_clock_out() {
    let long = "payments-reconciliation-worker-with-a-very-long-name-7f9c4d8b6-abcde".repeat(3);
    for keys in [
        "1",
        "2",
        "3",
        "4",
        "5",
        "6",
        "7",
        "8",
        "9",
        "0",
        "0 p",
        "0 d",
        "0 p d",
        "2 enter",
        "2 d",
        "3 d",
        "3 y",
        "3 l",
        "4 enter",
        "4 enter enter",
        "4 enter d",
    ] {
        let mut store = taken_fleet();
        let nodes = vec![spot_node(&format!("{long}.compute.internal"), "i-9", "eu-west-1a")];
        apply(&mut store, Feed::Nodes, now(), Body::Upsert(Rows::Nodes(nodes)));
        let mine = task(&long, &long, &format!("{long}.compute.internal"), "Running", Health::Critical);
        apply(&mut store, Feed::Tasks, now(), Body::Upsert(Rows::Tasks(vec![mine])));
        apply(&mut store, Feed::Deployments, now(), Body::Upsert(Rows::Workloads(vec![workload(&long, 1, 0)])));
        tell(&mut store, vec![interruption("i-9", 100)], ago(98));
        let mut desk = Desk::new(store);
        desk.press(keys);
        desk.app.settings.read_only = true;
        for (width, clock) in [(200, ":00 UTC"), (120, ":00 UTC"), (80, ":00 UTC"), (40, " 03:14")] {
            for height in [12, 24] {
                let first = desk.frame(width, height).lines().next().unwrap_or_default().to_owned();
                assert!(first.contains(clock), "{keys} at {width}x{height}: {first}");
                assert!(first.trim_end().chars().count() <= usize::from(width), "{first}");
            }
        }
    }
}

fn banner(store: &Store) -> String {
    let c = Context { store, now: now(), absolute: false, ascii: false, thresholds: Thresholds::default() };
    notices::banner(c, None, 160).map(|l| l.text()).unwrap_or_default()
}

fn machines(spot: u32, scheduled: u32) -> Store {
    let mut store = Store::expecting([cluster()]).and_backends([support::taken::events()]);
    let all = spot + scheduled;
    let nodes = (0..all).map(|n| spot_node(&format!("node-{n:02}"), &format!("i-{n}"), "eu-west-1a"));
    observe(&mut store, Feed::Nodes, Rows::Nodes(nodes.collect()));
    let soon = Deadline::exact(now() + TimeDelta::seconds(200));
    let told = (0..all).map(|n| match n {
        n if n < spot => interruption(&format!("i-{n}"), 17),
        n => Told::Notice(sighting(&format!("i-{n}"), NoticeKind::Scheduled, 17, Some(soon))),
    });
    tell(&mut store, told.collect(), ago(15));
    store
}

#[test]
fn only_what_is_taken_back_is_called_spot() {
    for (spot, scheduled, want) in [
        (12, 0, "▲ spot 12 machines go, first in 1:43"),
        (12, 1, "▲ 12 spot machines and 1 other go, first in 1:43"),
        (1, 2, "▲ 1 spot machine and 2 others go, first in 1:43"),
        (0, 2, "▲ 2 machines go, first in 3:20"),
        (1, 0, "▲ spot 1 machine goes in 1:43"),
    ] {
        let said = banner(&machines(spot, scheduled));
        assert!(said.contains(want), "{want}: {said}");
    }
    // A pool has as many open as are taken back from it.
    let store = machines(2, 3);
    assert_eq!(store.pools(now()).iter().map(|p| p.open).collect::<Vec<_>>(), [2]);
}

#[test]
fn a_rate_is_as_exact_as_what_it_is_of() {
    let (hours, days) = (TimeDelta::hours(7), TimeDelta::days(5));
    for (lived, taken, row) in
        [(days, false, ["-", "5", "-"]), (hours, false, ["-", "<1", "-"]), (days, true, ["1", "5", "0.20"])]
    {
        let mut store = Store::expecting([cluster()]);
        let mut here = spot_node("one", "i-1", "eu-west-1a");
        here.created = Some(now() - lived);
        observe(&mut store, Feed::Nodes, Rows::Nodes(vec![here]));
        if taken {
            let mut gone = record();
            gone.born = gone.gone;
            store.notices.remember(vec![gone]);
        }
        let pools = store.pools(now());
        assert_eq!(pools[0].rate(2).is_some(), taken, "{pools:?}");
        let mut desk = Desk::new(store);
        desk.press("0 p");
        let frame = desk.frame(120, 20);
        // The week's count, the days lived in it, and one by the other.
        let cells: Vec<&str> =
            frame.lines().find(|l| l.contains("m6i.xlarge")).expect("a row").split_whitespace().collect();
        assert!(cells.windows(3).any(|w| w == row), "{row:?}:\n{frame}");
        assert!(!frame.contains("0.000"), "{frame}");
        let narrow = desk.frame(80, 24);
        for head in ["TASKS", "LEANING", "GOING", "7D", "PER NODE-DAY"] {
            assert!(narrow.contains(head), "{head}:\n{narrow}");
        }
    }
}

fn record() -> Record {
    let mut store = one_machine();
    tell(&mut store, vec![interruption("i-1", 7_200)], ago(7_199));
    tell(&mut store, went(ago(7_080)), ago(7_079));
    store.settle(ago(6_900));
    store.notices.past().first().expect("a record").clone()
}

/// What has nothing left to lose is marked in its row, and is nothing that is wrong.
#[test]
fn emptied_machines_stand_above_no_shortage() {
    let mut store = one_machine();
    tell(&mut store, vec![interruption("i-1", 57)], ago(56));
    assert_eq!(problems(&store, now()).len(), 1);
    let mut short = workload("web", 2, 0);
    short.message = Text::new("Deployment does not have minimum availability.");
    apply(&mut store, Feed::Deployments, ago(21), Body::Upsert(Rows::Workloads(vec![short])));
    tasks_go(&mut store, ago(20));
    store.settle(ago(19));
    let found = problems(&store, now());
    assert!(found.iter().all(|p| p.id.kind == Kind::Deployment) && found.len() == 1, "{found:?}");
    let mut desk = Desk::new(store);
    desk.press("2");
    assert!(desk.frame(120, 24).contains("goes 1:03"), "its row is marked");
    // Near its end, with nobody in their place, it is worth a line again.
    let late = now() + TimeDelta::seconds(45);
    let found = problems(&desk.store, late);
    assert!(found.iter().any(|p| p.what == "goes in 0:18, 2 of 2 gone, tight"), "{found:?}");
}

/// Two clusters at once: each is one line, however few of them are of the second.
#[test]
fn each_cluster_is_gathered_once_many_go() {
    let other = ClusterId::new("shop-ecs");
    let mut store = Store::expecting([cluster(), other.clone()]).and_backends([support::taken::events()]);
    let (mut nodes, mut tasks) = (Vec::new(), Vec::new());
    for n in 0..7 {
        let mut node = spot_node(&format!("node-{n}"), &format!("i-{n}"), "eu-west-1a");
        let mut on_it = task(&format!("web-{n}"), "web", &format!("node-{n}"), "Running", Health::Ok);
        if n >= 4 {
            (node.id.cluster, on_it.id.cluster) = (other.clone(), other.clone());
        }
        nodes.push(node);
        tasks.push(on_it);
    }
    observe(&mut store, Feed::Nodes, Rows::Nodes(nodes));
    observe(&mut store, Feed::Tasks, Rows::Tasks(tasks));
    tell(&mut store, (0..7).map(|n| interruption(&format!("i-{n}"), 17)).collect(), ago(15));
    let found = problems(&store, now());
    let what: Vec<_> = found.iter().map(|p| p.what.as_str()).collect();
    assert_eq!(what, ["4 with tasks go, first in 1:43", "3 with tasks go, first in 1:43"], "{found:?}");
}

#[test]
fn what_is_known_to_be_gone_does_not_go_any_more() {
    let mut store = one_machine();
    tell(&mut store, vec![interruption("i-1", 114)], ago(112));
    tell(&mut store, went(ago(26)), ago(25));
    store.settle(now());
    let mut desk = Desk::new(store);
    // The pane stays open in the next list.
    for keys in ["0 d", "0 v", "2"] {
        desk.press(keys);
        let frame = desk.frame(200, 40);
        assert!(frame.contains("0:26 ago, waiting for word"), "{keys}: {frame}");
        // Below the header, which counts all that goes.
        assert!(frame.lines().skip(3).all(|l| !l.contains("0:06") && !l.contains("6s are left")), "{keys}: {frame}");
    }
}

#[test]
fn a_countdown_that_still_runs_stands_above_what_is_overdue_and_ours_above_strangers() {
    let mut store = one_machine();
    tell(&mut store, vec![interruption("i-9", 130), interruption("i-8", 10), interruption("i-1", 60)], now());
    let names = |store: &Store, at| store.board(at).rows.iter().map(|r| r.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&store, now()), ["one", "i-8", "i-9"]);
    // Ours is overdue, too, and there is still something to lose with it.
    assert_eq!(names(&store, now() + TimeDelta::seconds(62)), ["one", "i-8", "i-9"]);
    let mut desk = Desk::new(store);
    desk.press("0");
    let frame = desk.frame(120, 40);
    let at = |what: &str| frame.lines().position(|l| l.contains(what)).expect(what);
    assert!(at(" one ") < at("i-8") && at("i-8") < at("overdue 0:10"), "{frame}");
}

#[test]
fn nobody_has_advised_what_went_without_a_word() {
    let mut store = one_machine();
    tell(&mut store, went(ago(3)), ago(2));
    let mut desk = Desk::new(store);
    desk.press("0");
    let frame = desk.frame(120, 40);
    let line = frame.lines().find(|l| l.contains("unannounced")).expect("a line of it");
    assert!(line.contains("waiting for word") && !line.contains("advised"), "{frame}");
}
