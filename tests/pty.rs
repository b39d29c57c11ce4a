//! The console in a real terminal: start, act, resize, suspend, end in every way,
//! and the terminal given back each time.

#![cfg(all(unix, feature = "kubernetes"))]
#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

#[path = "support/pty.rs"]
mod pty;

use pty::Pty;

const ENTER: &str = "\r";
const ESC: &str = "\u{1b}";
const F12: &str = "\u{1b}[24~";

/// The demo, its overview filled.
fn demo() -> Pty {
    demo_with(&[], 120, 40)
}

fn demo_with(env: &[(&str, &str)], cols: u16, rows: u16) -> Pty {
    let mut pty = Pty::start(&["--demo"], env, cols, rows);
    pty.shows("demo");
    pty.shows("live");
    pty
}

/// The demo, its tasks on the screen.
fn tasks() -> Pty {
    let mut pty = demo();
    pty.send("3");
    pty.shows("READY");
    pty.shows("Running");
    pty
}

#[test]
fn the_demo_opens_on_its_overview() {
    let mut pty = demo();
    pty.shows("quarterdeck");
    pty.shows("nodes 12/12");
}

#[test]
fn a_filter_narrows_the_tasks_and_escape_widens_them() {
    let mut pty = tasks();
    let running = |s: &vt100::Screen| s.contents().matches("Running").count();
    pty.wait_for("a screen full of tasks", |s| running(s) > 10);
    pty.send("/");
    pty.shows("filter");
    pty.send("no-task-has-this-name");
    pty.wait_for("no task", |s| running(s) == 0);
    pty.send(ENTER);
    pty.send(ESC);
    pty.wait_for("all tasks again", |s| running(s) > 10);
}

#[test]
fn drilling_down_and_back() {
    let mut pty = demo();
    pty.send("4");
    pty.shows("KIND");
    pty.send("jj");
    pty.send(ENTER);
    pty.shows("READY");
    pty.shows("NODE");
    pty.hides("KIND");
    pty.send(ESC);
    pty.shows("KIND");
}

#[test]
fn logs_appear() {
    let mut pty = tasks();
    pty.send("l");
    pty.hides("RESTARTS");
    pty.shows("follow");
    pty.send(ESC);
    pty.shows("Running");
}

#[test]
fn any_size_is_survived() {
    let mut pty = demo();
    for (cols, rows) in [(20, 6), (10, 3), (2, 2), (200, 50), (20, 6), (120, 40)] {
        let mark = pty.received();
        pty.resize(cols, rows);
        pty.receives(mark, "\u{1b}[");
    }
    pty.shows("nodes 12/12");
    pty.resize(10, 3);
    pty.shows("too small");
    pty.resize(80, 24);
    pty.shows("nodes 12/12");
    pty.send("q");
    assert_eq!(pty.wait_exit(), 0);
    pty.assert_restored();
}

#[test]
fn quitting_gives_the_terminal_back() {
    let mut pty = demo();
    pty.send("q");
    assert_eq!(pty.wait_exit(), 0);
    pty.assert_restored();
}

#[test]
fn sigterm_gives_the_terminal_back() {
    let mut pty = demo();
    pty.signal("TERM");
    assert_eq!(pty.wait_exit(), 128 + 15);
    pty.assert_restored();
}

#[test]
fn sighup_gives_the_terminal_back() {
    let mut pty = demo();
    pty.signal("HUP");
    assert_eq!(pty.wait_exit(), 128 + 1);
    pty.assert_restored();
}

#[test]
fn a_panic_gives_the_terminal_back_and_is_told() {
    let mut pty = demo_with(&[("QUARTERDECK_TEST_PANIC", "1")], 120, 40);
    pty.send(F12);
    assert_ne!(pty.wait_exit(), 0);
    pty.assert_restored();
    assert!(pty.screen().contains("panic"), "the message is on the main screen:\n{}", pty.screen());
}

#[test]
fn suspending_lends_the_terminal_and_takes_it_again() {
    let mut pty = demo();
    let mark = pty.received();
    pty.signal("TSTP");
    pty.receives(mark, "\u{1b}[?1049l");
    pty.wait_stopped();
    pty.wait_for("the cursor shown", |s| !s.hide_cursor());
    pty.assert_screen_restored();
    pty.signal("CONT");
    pty.shows("nodes 12/12");
    pty.wait_for("the alternate screen", vt100::Screen::alternate_screen);
    pty.send("q");
    assert_eq!(pty.wait_exit(), 0);
    pty.assert_restored();
}
