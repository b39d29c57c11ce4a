//! Whole screens at several sizes: nothing overflows, nothing panics, state is
//! never colour alone.

mod support;

use quarterdeck::domain::ClusterId;
use quarterdeck::store::Store;
use quarterdeck::theme::Theme;
use support::budgets::fleet_with_budgets;
use support::fleet::{Desk, small_fleet};

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
