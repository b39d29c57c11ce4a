//! Whole screens at several sizes: nothing overflows, nothing panics, state is
//! never colour alone.

mod support;

use quarterdeck::domain::{ClusterId, Freshness, Text};
use quarterdeck::store::{Body, Feed, Observation, SourceId, Store};
use quarterdeck::theme::Theme;
use support::budgets::fleet_with_budgets;
use support::fleet::{Desk, now, small_fleet};
use support::mixed::mixed_fleet;
use support::taken::taken_fleet;

#[test]
fn every_view_draws_at_every_size() {
    let mut desk = Desk::new(small_fleet());
    for keys in ["1", "2", "3", "v", "4", "5", "6", "7", "?", "esc", "!", "esc", ":", "esc", "3 d", "esc", "l"] {
        desk.press(keys);
        for (width, height) in [(1, 1), (10, 3), (20, 6), (40, 8), (40, 12), (80, 24), (120, 40), (200, 50), (400, 120)]
        {
            let frame = desk.frame(width, height);
            assert_eq!(frame.lines().count(), usize::from(height), "{keys} at {width}x{height}");
        }
    }
    assert!(desk.frame(20, 6).contains("too small"));
}

#[test]
fn budgets_and_services_draw_at_every_size() {
    let mut desk = Desk::new(fleet_with_budgets());
    for keys in ["1", "8", "v", "enter", "esc", "9", "G", "d", "esc", "v"] {
        desk.press(keys);
        for ascii in [false, true] {
            desk.ascii = ascii;
            for (width, height) in [(1, 1), (10, 3), (40, 8), (40, 12), (80, 24), (120, 40), (400, 120)] {
                let frame = desk.frame(width, height);
                assert_eq!(frame.lines().count(), usize::from(height), "{keys} at {width}x{height}");
                assert!(!ascii || frame.is_ascii(), "{keys} at {width}x{height}: {frame}");
            }
        }
    }
}

#[test]
fn notices_and_pools_draw_at_every_size() {
    let mut desk = Desk::new(taken_fleet());
    for keys in ["1", "2", "3", "4", "6", "0", "v", "H", "d", "esc", "p", "enter", "esc", "0 p d"] {
        desk.press(keys);
        for ascii in [false, true] {
            desk.ascii = ascii;
            for (width, height) in [(1, 1), (10, 3), (40, 8), (40, 12), (80, 24), (120, 40), (400, 120)] {
                let frame = desk.frame(width, height);
                assert_eq!(frame.lines().count(), usize::from(height), "{keys} at {width}x{height}");
                assert!(!ascii || frame.is_ascii(), "{keys} at {width}x{height}: {frame}");
            }
        }
    }
}

#[test]
fn what_is_wrong_is_said_in_words_and_shapes() {
    let mut desk = Desk::new(small_fleet());
    let frame = desk.frame(120, 24);
    assert!(frame.contains("✖ crit") && frame.contains("NotReady, kubelet silent"), "{frame}");
    assert!(frame.contains("CrashLoopBackOff, 7 restarts"), "{frame}");
    desk.ascii = true;
    let frame = desk.frame(120, 24);
    assert!(frame.is_ascii(), "{frame}");
    assert!(frame.contains("X crit"), "{frame}");
}

#[test]
fn marks_are_counted_in_every_list() {
    for (store, keys) in [
        (small_fleet as fn() -> Store, "1"),
        (small_fleet, "2"),
        (fleet_with_budgets, "8"),
        (fleet_with_budgets, "9"),
        (mixed_fleet, "7"),
        (taken_fleet, "0"),
        (taken_fleet, "P"),
    ] {
        let mut desk = Desk::new(store());
        desk.press(keys);
        desk.press("space");
        let frame = desk.frame(120, 30);
        assert!(frame.contains("1 marked") && !frame.contains("them hidden"), "{keys}: {frame}");
    }
}

#[test]
fn empty_is_not_loading() {
    let mut desk = Desk::new(Store::expecting([ClusterId::new("slow")]));
    assert!(desk.frame(100, 20).contains("loading"));
    desk.press("3");
    assert!(desk.frame(100, 20).contains("loading tasks"));
    let mut desk = Desk::new(small_fleet());
    desk.press("3");
    desk.type_filter("nothing-is-called-so");
    assert!(desk.frame(100, 20).contains("hides all 4"));
}

#[test]
fn every_theme_draws() {
    for name in Theme::names() {
        let mut desk = Desk::new(small_fleet());
        desk.theme = Theme::load(name, None).unwrap_or_else(|e| panic!("{name}: {e}"));
        let plain = desk.frame(120, 30);
        assert!(plain.contains("WRONG NOW"), "{name}");
    }
}

#[test]
fn columns_align() {
    let mut desk = Desk::new(small_fleet());
    desk.press("3");
    let frame = desk.frame(120, 24);
    let head = frame.lines().find(|l| l.contains("RESTARTS")).unwrap_or_default();
    // Byte offsets would count arrows wrongly.
    let place = |line: &str, what: &str| line.find(what).map(|at| line[..at].chars().count());
    let status = place(head, "STATUS");
    for line in frame.lines().filter(|l| l.contains("Running")) {
        assert_eq!(place(line, "Running"), status, "{frame}");
    }
}

/// Every feed of `cluster` is down for the same reason.
fn down(store: &mut Store, cluster: &str, why: &str) {
    for feed in Feed::KUBERNETES {
        let source = SourceId { cluster: ClusterId::new(cluster), feed };
        let freshness = Freshness::Down { since: now() - chrono::TimeDelta::seconds(10), because: Text::new(why) };
        store.apply(Observation { source, at: now(), body: Body::Freshness(freshness) });
    }
}

const REFUSED: &str = "cannot reach 127.0.0.1:18002: Connection refused (os error 111); check the network, VPN or proxy, and that the server is up";

#[test]
fn what_cannot_be_read_is_not_loading() {
    let mut store = Store::expecting([ClusterId::new("gone")]);
    down(&mut store, "gone", REFUSED);
    let mut desk = Desk::new(store);
    for keys in ["1", "2", "3", "4", "5", "6"] {
        desk.press(keys);
        let frame = desk.frame(100, 24);
        assert!(!frame.contains("loading") && frame.contains("gone cannot be read: cannot reach"), "{keys}: {frame}");
    }
    desk.press("0");
    let frame = desk.frame(100, 24);
    assert!(!frame.contains("loading") && frame.contains("not all can be read"), "{frame}");
    assert!(frame.contains("nodes down 10s (cannot reach"), "{frame}");
}

#[test]
fn the_cause_of_an_outage_is_read_at_eighty_columns() {
    let host = "0123456789ABCDEF0123456789ABCDEF.gr7.eu-west-1.eks.amazonaws.com:443";
    let mut store = small_fleet();
    down(&mut store, "test", &REFUSED.replace("127.0.0.1:18002", host));
    let mut desk = Desk::new(store);
    for (width, height) in [(80, 24), (80, 12), (60, 10)] {
        let frame = desk.frame(width, height);
        let line = frame.lines().find(|l| l.contains("connection refused, 0123")).unwrap_or_default();
        assert!(line.contains("down 10s: ") && line.contains("(!"), "{width}x{height}: {frame}");
        assert!(width < 80 || line.contains(".com:443"), "{frame}");
    }
    assert!(desk.frame(200, 50).contains("and 12 more  (! for all)"));
}

#[test]
fn sources_that_share_a_cause_share_an_entry() {
    let mut store = Store::expecting([ClusterId::new("one"), ClusterId::new("two")]);
    down(&mut store, "one", REFUSED);
    down(&mut store, "two", REFUSED);
    let mut desk = Desk::new(store);
    desk.press("!");
    let frame = desk.frame(80, 24);
    assert!(frame.contains("all 13 feeds") && frame.contains("WHAT WENT WRONG"), "{frame}");
    assert!(!frame.contains("more lines"), "all of it on one screen: {frame}");
    let long = frame.lines().filter(|l| l.contains("cannot reach 127.0.0.1:18002: Connection refused")).count();
    assert!(long <= 4, "once for each cluster, and once in the log: {frame}");
    assert!(frame.lines().skip(1).any(|l| l.starts_with('╭') && l.ends_with('╮')), "the whole width: {frame}");
}

/// The titles of the list's columns.
fn titles(frame: &str) -> Vec<String> {
    let head = frame.lines().rfind(|l| l.contains("NAME") || l.contains("REASON")).unwrap_or_default();
    head.split_whitespace().map(|t| t.trim_matches(['↑', '↓']).to_owned()).collect()
}

#[test]
fn what_tells_rows_apart_and_what_they_are_sorted_by_stays() {
    let mut desk = Desk::new(small_fleet());
    desk.press("3");
    let head = titles(&desk.frame(80, 24));
    assert!(head.contains(&"CPU".to_owned()) && head.contains(&"MEM".to_owned()), "{head:?}");
    // Whatever it is sorted by is on the screen, at its place.
    for _ in 0..12 {
        desk.press("shift-right");
        let (frame, sort) = (desk.frame(80, 24), desk.table().sort);
        assert!(frame.contains(['↑', '↓']), "{sort:?}: {frame}");
    }
    let mut desk = Desk::new(mixed_fleet());
    for keys in ["1", "2", "3", "4"] {
        desk.press(keys);
        let before = titles(&desk.frame(80, 24));
        assert!(before.contains(&"CLUSTER".to_owned()), "{keys}: {before:?}");
        desk.press("ctrl-w");
        let after = titles(&desk.frame(80, 24));
        assert!(before.iter().all(|t| after.contains(t)), "{keys}: {before:?} {after:?}");
        desk.press("ctrl-w");
    }
    desk.press("1");
    let head = titles(&desk.frame(80, 24));
    assert!(head.contains(&"SINCE".to_owned()), "{head:?}");
}

#[test]
fn a_long_breadcrumb_leaves_the_clock() {
    let mut desk = Desk::new(small_fleet());
    let long = "payments-reconciliation-worker-with-a-very-long-name-7f9c4d8b6-abcde";
    desk.add_task(long, "Running");
    desk.press("3");
    desk.type_filter("name=payments*");
    desk.press("d");
    for width in [60, 80] {
        let first = desk.frame(width, 24).lines().next().unwrap_or_default().to_owned();
        assert!(first.contains(" 03:14") && first.contains("abcde"), "{first}");
    }
}
