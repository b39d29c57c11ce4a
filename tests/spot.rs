//! The views of notices and pools, and what a notice does on the other screens.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use quarterdeck::app::table::{Scope, ViewKind};
use quarterdeck::app::{Effect, Page};
use quarterdeck::domain::notice::{Deadline, NoticeFeed, NoticeKind, Outcome, Told, Victim};
use quarterdeck::domain::{ClusterId, Freshness, Health, Kind, NodeCondition, Text, Thresholds};
use quarterdeck::store::notices::{NoticeRow, Verdict};
use quarterdeck::store::problems::problems;
use quarterdeck::store::{Body, Feed, Observation, Rows, SourceId, Store};
use quarterdeck::view::columns::Context;
use quarterdeck::view::notices;
use quarterdeck::view::status::status;
use support::fleet::{Desk, cluster, id, now, observe, small_fleet, task, workload};
use support::taken::{ago, interruption, one_machine, sighting, spot_node, storm, taken_fleet, tell};

fn context(store: &Store, now: DateTime<Utc>, ascii: bool) -> Context<'_> {
    Context { store, now, absolute: false, ascii, thresholds: Thresholds::default() }
}

/// The feed of notices was read: what is not is a source that failed.
fn answered(store: &mut Store) {
    let source = SourceId { cluster: support::taken::events(), feed: Feed::Notices };
    for body in [Body::Backend(support::taken::backend()), Body::Begin, Body::Synced] {
        store.apply(Observation { source: source.clone(), at: now(), body });
    }
}

fn banner(store: &Store, at: DateTime<Utc>) -> String {
    notices::banner(context(store, at, false), Some("0"), 120).map(|l| l.text()).unwrap_or_default()
}

fn left_at(store: &Store, at: DateTime<Utc>) -> String {
    let board = store.board(at);
    notices::left(context(store, at, false), board.rows.first().expect("a notice"))
}

#[test]
fn open_ones_come_first_by_deadline_then_what_is_over() {
    let mut desk = Desk::new(taken_fleet());
    desk.press("0");
    assert_eq!(desk.kind(), ViewKind::Spot);
    let names = desk.names();
    let numbers: Vec<&str> = names.iter().map(|n| n.trim_start_matches("i-0a1b2c3d4e5f6000")).collect();
    assert_eq!(numbers, ["1", "2", "3", "i-0ffffffffffffffff", "5", "test/node-b"]);
    desk.press("H");
    assert_eq!(desk.names().len(), 7, "what is remembered, once each");
    assert!(desk.frame(100, 20).contains("with what is remembered"));
    desk.press("H");
    assert_eq!(desk.names().len(), 6);
    desk.press("S");
    assert_eq!(desk.names().len(), 6, "the list can be sorted otherwise");
    desk.press("g space space");
    let frame = desk.frame(120, 20);
    assert!(frame.contains("2 marked") && !frame.contains("them hidden"), "{frame}");
    desk.press("ctrl-\\");
    desk.type_filter("kind=rebalance");
    assert_eq!(desk.names(), ["i-0a1b2c3d4e5f60003"]);
    desk.type_filter("left<1m");
    assert_eq!(desk.names(), ["i-0a1b2c3d4e5f60001"]);
    desk.type_filter("10-0-2-9");
    assert_eq!(desk.names(), ["i-0a1b2c3d4e5f60003"], "by the name it has in its cluster");
}

#[test]
fn a_notice_leads_to_its_node_tasks_workload_and_pool() {
    let mut desk = Desk::new(taken_fleet());
    desk.press("0 enter");
    assert!(matches!(&desk.table().scope, Scope::Node(n) if n.name.starts_with("ip-10-0-1-7")));
    assert_eq!((desk.kind(), desk.names().len()), (ViewKind::Tasks, 7));
    desk.press("q o");
    assert_eq!(desk.kind(), ViewKind::Nodes);
    assert!(desk.table().cursor.as_ref().is_some_and(|id| id.name.starts_with("ip-10-0-1-7")));
    desk.press("q J");
    assert_eq!(desk.kind(), ViewKind::Workloads);
    assert_eq!(desk.table().cursor.as_ref().map(|id| id.name.as_str()), Some("cart"), "the one that is short");
    desk.press("q E");
    assert_eq!(desk.kind(), ViewKind::Events);
    // Nothing is known of a stranger but what was told.
    let effects = desk.press("q j j j enter");
    assert_eq!(effects, Vec::<Effect>::new(), "nobody is asked");
    assert!(matches!(desk.app.page(), Some(Page::Text(t)) if t.id.kind == Kind::Notice));
    assert!(desk.frame(100, 30).contains("none of the clusters that are read"));
    desk.press("q o");
    assert_eq!(desk.kind(), ViewKind::Spot);
    assert!(desk.frame(100, 30).contains("not among the nodes"));
    desk.press("p");
    assert_eq!(desk.kind(), ViewKind::Pools);
    desk.press("enter");
    assert_eq!((desk.kind(), desk.names().len()), (ViewKind::Nodes, 3), "its nodes");
    for name in ["spot", "notices", "notice"] {
        assert_eq!(ViewKind::from_name(name), Some(ViewKind::Spot));
    }
    assert_eq!(ViewKind::from_name("pools"), Some(ViewKind::Pools));
}

#[test]
fn details_say_what_is_at_risk_and_why() {
    let mut desk = Desk::new(taken_fleet());
    desk.press("0 d");
    let frame = desk.frame(120, 60);
    for want in [
        "in 0:45, at 03:14:45",
        "interruption: terminate",
        "at risk: 1 of 8 gone",
        "stateful, may take 300s to end, 45s are left",
        "leaving 20s",
        "gone 5s ago",
        "whose they are: 1 of 3 short",
        "3/4 ready",
        "EventBridge log    interruption 03:12:46 +1.2s after",
        "node taint",
    ] {
        assert!(frame.contains(want), "{want}: {frame}");
    }
    desk.press("q j d");
    let frame = desk.frame(120, 60);
    for want in ["the only replica, pdb report allows no eviction", "nobody replaces it"] {
        assert!(frame.contains(want), "{want}: {frame}");
    }
    // Of what is over, and of what only memory knows.
    desk.press("q H G d");
    let frame = desk.frame(120, 60);
    assert!(frame.contains("✖ 2 tasks cut") && frame.contains("node taint +4.1s"), "{frame}");
}

#[test]
fn the_countdown_is_right_to_the_second_and_ticks() {
    let mut store = one_machine(2, 30);
    tell(&mut store, vec![interruption("i-1", 17)], ago(15));
    for (later, want) in
        [(0, "1:43"), (1, "1:42"), (102, "0:01"), (103, "0:00"), (104, "overdue 0:01"), (115, "overdue 0:12")]
    {
        assert_eq!(left_at(&store, now() + TimeDelta::seconds(later)), want);
    }
    // All through one second it says the same.
    assert_eq!(left_at(&store, now() + TimeDelta::milliseconds(999)), "1:43");
    assert_eq!(banner(&store, now()), " ▲ spot 1 machine goes in 1:43  one, 0 of 2 gone  0 tells more");
    assert!(banner(&store, now() + TimeDelta::seconds(1)).contains("in 1:42"));
    let what = |at| problems(&store, at).first().map(|p| p.what.clone()).unwrap_or_default();
    assert_eq!(what(now()), "goes in 1:43, 0 of 2 gone");
    assert_eq!(what(now() + TimeDelta::seconds(50)), "goes in 0:53, 0 of 2 gone, tight");
    assert_eq!(what(now() + TimeDelta::seconds(110)), "overdue 0:07, 0 of 2 gone, will be cut");
    let mut sure =
        sighting("i-1", NoticeKind::Interruption, 17, Some(Deadline::at_latest(now() + TimeDelta::seconds(50))));
    (sure.feed, sure.message) = (NoticeFeed::NodeTaint, Text::new("taint"));
    let mut store = one_machine(2, 30);
    tell(&mut store, vec![Told::Notice(sure)], now());
    assert_eq!(left_at(&store, now()), "~0:50");
}

#[test]
fn the_banner_is_there_only_while_something_goes() {
    let mut store = one_machine(2, 30);
    assert_eq!(banner(&store, now()), "");
    tell(&mut store, vec![Told::Notice(sighting("i-1", NoticeKind::Rebalance, 60, None))], ago(58));
    assert_eq!(banner(&store, now()), "", "a recommendation takes nothing away");
    tell(&mut store, vec![interruption("i-stranger", 40)], ago(38));
    assert!(banner(&store, now()).contains("1 machine of no cluster here goes in 1:20"), "{}", banner(&store, now()));
    tell(&mut store, vec![interruption("i-1", 17)], ago(15));
    assert!(banner(&store, now()).contains("spot 1 machine goes, first in 1:43"), "{}", banner(&store, now()));
    let mut desk = Desk::new(store);
    for keys in ["1", "2", "3", "4", "5", "6", "7", "8", "9", "0", "0 p", "3 d"] {
        desk.press(keys);
        for (width, height) in [(80, 24), (40, 10)] {
            let frame = desk.frame(width, height);
            assert!(frame.lines().any(|l| l.contains("machine goes")), "{keys}: {frame}");
        }
    }
    // Nor does it take the rows that say what cannot be read.
    let source = SourceId { cluster: cluster(), feed: Feed::Tasks };
    let freshness = Freshness::Down { since: ago(10), because: Text::new("cannot reach x:443: refused") };
    desk.store.apply(Observation { source, at: now(), body: Body::Freshness(freshness) });
    desk.press("2");
    assert!(desk.frame(80, 24).contains("down 10s"));
}

#[test]
fn a_notice_is_a_line_of_what_is_wrong_and_none_is_told_twice() {
    let mut store = one_machine(2, 30);
    tell(&mut store, vec![interruption("i-1", 17)], ago(15));
    let found = problems(&store, now());
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].id.clone(), found[0].health, found[0].tasks), (id(Kind::Node, "", "one"), Health::Warning, 2));
    assert_eq!(found[0].since, Some(ago(17)));
    answered(&mut store);
    assert_eq!(status(&store, now()).state, "warning");
    // Too late for what runs there.
    let late = now() + TimeDelta::seconds(100);
    assert_eq!(problems(&store, late)[0].health, Health::Critical);
    let said = status(&store, late);
    assert_eq!((said.state, said.notices[0].verdict), ("critical", Some(Verdict::Cut)));
    assert_eq!(said.notices[0].remaining_secs, Some(3));
    // A machine in trouble of its own keeps its line.
    let mut pressed = spot_node("one", "i-1", "eu-west-1a");
    pressed.pressure = Text::new("MemoryPressure");
    observe(&mut store, Feed::Nodes, Rows::Nodes(vec![pressed]));
    let found = problems(&store, now());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].what, "goes in 1:43, 0 of 2 gone, MemoryPressure");
    // In a zone that is lost as a whole it has none.
    let mut nodes = vec![spot_node("one", "i-1", "a"), spot_node("two", "i-2", "a"), spot_node("far", "i-3", "b")];
    for n in nodes.iter_mut().take(2) {
        (n.condition, n.status) = (NodeCondition::NotReady, Text::new("NotReady"));
    }
    observe(&mut store, Feed::Nodes, Rows::Nodes(nodes));
    let found = problems(&store, now());
    assert!(found.iter().any(|p| p.id.kind == Kind::Zone), "{found:?}");
    assert!(!found.iter().any(|p| p.id.kind == Kind::Node), "{found:?}");
}

#[test]
fn many_at_once_are_one_line_that_leads_to_their_list() {
    let mut store = Store::expecting([cluster()]).and_backends([support::taken::events()]);
    let nodes = (0..40).map(|n| spot_node(&format!("node-{n:02}"), &format!("i-{n}"), "eu-west-1a")).collect();
    observe(&mut store, Feed::Nodes, Rows::Nodes(nodes));
    let tasks =
        (0..80).map(|n| task(&format!("web-{n}"), "web", &format!("node-{:02}", n % 40), "Running", Health::Ok));
    observe(&mut store, Feed::Tasks, Rows::Tasks(tasks.collect()));
    observe(&mut store, Feed::Deployments, Rows::Workloads(vec![workload("web", 80, 80)]));
    tell(&mut store, (0..5).map(|n| interruption(&format!("i-{n}"), 17)).collect(), ago(15));
    assert_eq!(problems(&store, now()).len(), 5, "a few are told one by one");
    // Four more go earlier than the rest, too early for what runs there.
    let early = |n: i64| {
        let soon = Deadline::exact(now() + TimeDelta::seconds(4));
        Told::Notice(sighting(&format!("i-{n}"), NoticeKind::Interruption, 17, Some(soon)))
    };
    tell(
        &mut store,
        (5..37).map(|n| if n < 9 { early(n) } else { interruption(&format!("i-{n}"), 17) }).collect(),
        ago(15),
    );
    let found = problems(&store, now());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].what, "37 with tasks go, first in 0:04, 4 will be cut");
    assert_eq!((found[0].id.name.as_str(), found[0].health, found[0].tasks), ("spot machines", Health::Critical, 74));
    let mut desk = Desk::new(store);
    desk.press("1");
    let frame = desk.frame(120, 30);
    assert!(frame.contains("37 with tasks go, first in 0:04, 4 will be cut"), "{frame}");
    desk.press("enter");
    assert_eq!((desk.kind(), desk.names().len()), (ViewKind::Spot, 37));
    // One that is in trouble besides keeps its line.
    let mut pressed = spot_node("node-20", "i-20", "eu-west-1a");
    pressed.pressure = Text::new("MemoryPressure");
    let source = SourceId { cluster: cluster(), feed: Feed::Nodes };
    desk.store.apply(Observation { source, at: now(), body: Body::Upsert(Rows::Nodes(vec![pressed])) });
    let found = problems(&desk.store, now());
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().any(|p| p.what == "goes in 1:43, 0 of 2 gone, MemoryPressure"), "{found:?}");
}

#[test]
fn a_machine_that_somebody_empties_alarms_nobody_until_its_end_is_known() {
    let mut store = one_machine(2, 30);
    let mut cordoned = spot_node("one", "i-1", "eu-west-1a");
    (cordoned.unschedulable, cordoned.status) = (true, Text::new("Ready,SchedulingDisabled"));
    let source = SourceId { cluster: cluster(), feed: Feed::Nodes };
    store.apply(Observation { source, at: now(), body: Body::Upsert(Rows::Nodes(vec![cordoned])) });
    assert_eq!(banner(&store, now()), "");
    assert!(problems(&store, now()).is_empty());
    answered(&mut store);
    assert_eq!(status(&store, now()).state, "ok");
    let mut desk = Desk::new(store);
    for (keys, want) in [("0", "leaving"), ("2", "Ready,SchedulingDisabled,"), ("1", "1 leaving")] {
        desk.press(keys);
        let frame = desk.frame(140, 30);
        assert!(frame.contains(want), "{want}: {frame}");
    }
    tell(&mut desk.store, vec![interruption("i-1", 17)], ago(15));
    assert!(banner(&desk.store, now()).contains("1 machine goes in 1:43"));
}

#[test]
fn a_feed_that_was_only_looked_for_is_not_counted_where_it_is_denied() {
    for (found, counted) in [(true, false), (false, true)] {
        let mut store = one_machine(1, 30);
        let source = SourceId { cluster: support::taken::events(), feed: Feed::Notices };
        let backend = quarterdeck::domain::Backend { found, ..support::taken::backend() };
        let denied = Freshness::Absent { because: Text::new("logs:FilterLogEvents is not allowed"), denied: true };
        for body in [Body::Backend(backend), Body::Freshness(denied)] {
            store.apply(Observation { source: source.clone(), at: now(), body });
        }
        let mut desk = Desk::new(store);
        desk.press("2");
        let frame = desk.frame(120, 24);
        assert_eq!(frame.contains("notices 0/1"), counted, "{frame}");
        assert_eq!(frame.contains("logs:FilterLogEvents is not allowed"), counted, "{frame}");
        desk.press("!");
        assert!(desk.frame(120, 24).contains("logs:FilterLogEvents is not allowed"), "it is told there all the same");
    }
}

/// A row that stands so; everything else as it may be.
fn row(verdict: Option<Verdict>, outcome: Option<Outcome>, urgent: bool) -> NoticeRow {
    let node = id(Kind::Node, "", "one");
    NoticeRow {
        id: id(Kind::Notice, "", "i-1"),
        victim: Victim::Instance(Text::new("i-1")),
        name: Text::new("one"),
        kind: NoticeKind::Interruption,
        instance_type: Text::empty(),
        zone: Text::empty(),
        deadline: verdict.map(|_| Deadline::exact(now())),
        tasks: (0, 1),
        verdict,
        outcome,
        gone: None,
        urgent,
        issued: now(),
        told_by: None,
        node: Some(node),
        task: None,
        owner: None,
    }
}

#[test]
fn state_is_told_apart_without_colour() {
    let store = Store::default();
    let states = [
        row(Some(Verdict::Safe), None, true),
        row(Some(Verdict::Tight), None, true),
        row(Some(Verdict::Cut), None, true),
        row(None, None, true),
        row(None, None, false),
        row(None, Some(Outcome::Evacuated { left: Some(40) }), false),
        row(None, Some(Outcome::Evacuated { left: None }), false),
        row(None, Some(Outcome::NotReplaced), false),
        row(None, Some(Outcome::Cut { tasks: 2 }), false),
        row(None, Some(Outcome::CalledOff), false),
        row(None, Some(Outcome::Stayed), false),
        row(None, Some(Outcome::Unseen), false),
        NoticeRow { node: None, ..row(Some(Verdict::Safe), None, true) },
    ];
    for ascii in [false, true] {
        let said: BTreeSet<String> =
            states.iter().map(|r| notices::verdict(context(&store, now(), ascii), r).text).collect();
        assert_eq!(said.len(), states.len(), "{said:?}");
        assert!(!ascii || said.iter().all(|s| s.is_ascii()), "{said:?}");
    }
    // Good and bad differ by their first sign already.
    let sign = |r: &NoticeRow| notices::verdict(context(&store, now(), false), r).text.chars().next();
    let signs: BTreeSet<_> = states[..3].iter().map(sign).collect();
    assert_eq!(signs.len(), 3, "{signs:?}");
}

#[test]
fn rows_of_what_goes_are_marked_everywhere() {
    let mut desk = Desk::new(taken_fleet());
    for (keys, want) in [
        ("2", vec!["▲ goes 0:45, Ready,", "▲ goes 1:43, Ready ", "Ready, rebalance"]),
        ("3", vec!["▲ goes 0:45, Running", "▲ goes 1:43, Running"]),
        ("4", vec!["▲ 4 go, Available", "▲ 1 goes, Available"]),
        ("6", vec!["▲ goes 0:45 spot", "rebalance spot"]),
        ("1", vec!["goes in 0:45, 1 of 8 gone, tight", "SPOT   ▲ 2 tight"]),
    ] {
        desk.press(keys);
        let frame = desk.frame(140, 40);
        for want in want {
            assert!(frame.contains(want), "{want}: {frame}");
        }
    }
    // What is healthy by itself is worth a look when it goes.
    desk.press("2 ctrl-z");
    assert_eq!(desk.names().len(), 2);
    // And what has a row of its own says so in its details.
    desk.press("ctrl-z v");
    assert!(desk.frame(140, 40).contains("interruption, goes in 0:45"));
}

#[test]
fn where_there_is_nothing_it_is_said_who_was_asked() {
    let mut desk = Desk::new(Store::expecting([ClusterId::new("slow")]));
    desk.press("0");
    assert!(desk.frame(100, 20).contains("loading: not every node"));
    let mut desk = Desk::new(small_fleet());
    desk.press("0");
    let frame = desk.frame(100, 20);
    for want in
        ["nothing is going to go", "none was seen in the last 24 hours", "test: nodes live", "docs/spot-feeds.md"]
    {
        assert!(frame.contains(want), "{want}: {frame}");
    }
    let mut store = one_machine(1, 30);
    tell(&mut store, Vec::new(), now());
    let denied = Freshness::Absent { because: Text::new("sqs:ReceiveMessage is denied"), denied: true };
    let source = SourceId { cluster: support::taken::events(), feed: Feed::Notices };
    store.apply(Observation { source: source.clone(), at: now(), body: Body::Backend(support::taken::backend()) });
    store.apply(Observation { source, at: now(), body: Body::Freshness(denied) });
    let mut desk = Desk::new(store);
    desk.press("0");
    let frame = desk.frame(100, 24);
    assert!(frame.contains("spot-events: event log denied (sqs:ReceiveMessage is denied)"), "{frame}");
    assert!(!frame.contains("docs/spot-feeds.md"), "who reads one knows how: {frame}");
    desk.press("!");
    assert!(desk.frame(100, 24).contains("notices"), "among the sources");
    // Where there are notices, it stands below them.
    tell(&mut desk.store, vec![interruption("i-1", 17)], ago(15));
    desk.press("esc");
    let frame = desk.frame(100, 24);
    assert!(frame.contains("1 of 1 feeds not read (!)"), "{frame}");
}

#[test]
fn pools_count_and_name_who_leans_on_one() {
    let mut desk = Desk::new(taken_fleet());
    desk.press("0 p");
    let frame = desk.frame(120, 30);
    for want in ["4 of 4 tasks of shop/api are on one spot pool: eu-west-1a m6i.xlarge", "NODE-DAYS", "0.066"] {
        assert!(frame.contains(want), "{want}: {frame}");
    }
    let board = desk.store.pool_board(now());
    assert_eq!(board.pools, desk.store.pools(now()), "kept or not, it is the same");
    assert_eq!(board.concentrated, desk.store.concentrated());
}

/// Bounds for a build without optimization on a busy machine: what grew with the square of
/// the notices, or looked at every task for every row, took ten times as long.
#[test]
fn five_hundred_notices_do_not_slow_a_frame() {
    let start = quarterdeck::clock::instant();
    let mut store = storm();
    for n in 500..1_000 {
        tell(&mut store, vec![interruption(&format!("i-{n}"), 17)], ago(15));
    }
    let told = start.elapsed();
    assert!(told < Duration::from_secs(20), "500 at once and 500 one by one: {told:?}");
    let mut desk = Desk::new(store);
    for keys in ["0", "1", "2", "3", "4", "6", "0 p"] {
        desk.press(keys);
        let mut best = Duration::MAX;
        for n in 0..3 {
            // A task on what goes changes between two frames, so that nothing is kept.
            desk.put_task(task(&format!("new-{n}"), "web-1", "node-1", "Running", Health::Ok));
            let start = quarterdeck::clock::instant();
            desk.frame(120, 40);
            best = best.min(start.elapsed());
        }
        println!("{keys}: {best:?}");
        assert!(best < Duration::from_millis(500), "{keys}: {best:?}");
    }
}
