//! The console in a real terminal: start, act, resize, suspend, end in every way,
//! and the terminal given back each time.

#![cfg(all(unix, feature = "kubernetes"))]
#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

#[path = "support/pty.rs"]
#[expect(dead_code, reason = "each test file uses its own part")]
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
    pty.shows("nodes 15/15");
}

/// The row with the cursor on it, up to its name.
fn cursor_row(screen: &vt100::Screen) -> Option<String> {
    let text = screen.contents();
    let row = text.lines().find(|l| l.starts_with('▶'))?;
    Some(row.split_whitespace().take(4).collect::<Vec<_>>().join(" "))
}

/// How many log lines the console says it holds.
fn log_lines(screen: &vt100::Screen) -> Option<u32> {
    let text = screen.contents();
    let status = text.lines().find(|l| l.trim_start().starts_with("following"))?;
    let words: Vec<&str> = status.split_whitespace().collect();
    words.windows(2).find(|w| w[1] == "lines").and_then(|w| w[0].parse().ok())
}

#[test]
fn a_filter_narrows_the_tasks_and_escape_widens_them() {
    let mut pty = tasks();
    let running = |s: &vt100::Screen| s.contents().matches("Running").count();
    pty.wait_for("a screen full of tasks", |s| running(s) > 10);
    pty.send("/");
    pty.shows("filter");
    pty.send("alertmanager");
    pty.wait_for("only the two that fit", |s| running(s) == 2 && s.contents().matches("alertmanager-").count() == 2);
    pty.send(ENTER);
    pty.hides("age<1h");
    pty.wait_for("still only the two", |s| running(s) == 2);
    pty.send(ESC);
    pty.wait_for("all tasks again", |s| running(s) > 10);
}

#[test]
fn drilling_down_and_back_keeps_the_position() {
    let mut pty = demo();
    pty.send("4");
    pty.shows("KIND");
    // The kinds and clusters come one after the other, and a cursor that nobody moved stays on
    // top: keys in a list of one row go nowhere.
    pty.wait_for("a full list", |s| {
        let text = s.contents();
        cursor_row(s).is_some()
            && ["sts", "deploy", "ds", "service", "cronjob"].iter().all(|kind| text.contains(kind))
            && text.contains("1-35 of 46")
    });
    let first = cursor_row(pty.emulator());
    pty.send("jj");
    pty.wait_for("the cursor further down", |s| cursor_row(s).is_some_and(|r| Some(&r) != first.as_ref()));
    // The second `j` may be drawn by a frame of its own: the third row has it.
    pty.wait_for("the third row", |s| {
        let text = s.contents();
        let head = text.lines().position(|l| l.contains("KIND"));
        let cursor = text.lines().position(|l| l.starts_with('▶'));
        head.zip(cursor).is_some_and(|(h, c)| c == h + 3)
    });
    let row = cursor_row(pty.emulator());
    pty.send(ENTER);
    pty.shows("tasks of");
    pty.hides("KIND");
    pty.send(ESC);
    pty.shows("KIND");
    pty.wait_for("the row before", |s| cursor_row(s) == row);
}

#[test]
fn logs_appear_and_are_followed() {
    let mut pty = tasks();
    pty.send("l");
    pty.shows("level=");
    pty.wait_for("a number of lines", |s| log_lines(s).is_some_and(|n| n > 0));
    let before = log_lines(pty.emulator());
    pty.wait_for("more lines", |s| log_lines(s) > before);
    pty.send(ESC);
    pty.shows("READY");
}

#[test]
fn the_console_writes_its_own_log_without_secrets_and_a_demo_does_not() {
    let state = tempfile::tempdir().expect("a directory");
    let dir = state.path().display().to_string();
    let config = state.path().join("kubeconfig");
    let yaml = "apiVersion: v1\nkind: Config\ncurrent-context: here\ncontexts: [{name: here, context: {cluster: x, user: x}}]\n\
        clusters: [{name: x, cluster: {server: 'http://127.0.0.1:1'}}]\nusers: [{name: x, user: {token: s3cr3t}}]\n";
    std::fs::write(&config, yaml).expect("a kubeconfig");
    let file = state.path().join("quarterdeck.log");

    let mut demo = Pty::start(&["--demo"], &[("QUARTERDECK_STATE_DIR", &dir)], 120, 40);
    demo.shows("live");
    demo.send("!");
    demo.shows("more in");
    assert!(!demo.screen().contains(&dir), "{}", demo.screen());
    demo.signal("TERM");
    demo.wait_exit();
    assert!(!file.exists(), "a demo leaves nothing behind");

    let env = [("QUARTERDECK_STATE_DIR", &*dir), ("QUARTERDECK_LOG", "debug")];
    let mut pty = Pty::start(&["--kubeconfig", &config.display().to_string()], &env, 200, 50);
    pty.shows("down");
    pty.send("!");
    pty.shows("quarterdeck.log");
    pty.signal("TERM");
    assert_eq!(pty.wait_exit(), 128 + 15);
    let log = std::fs::read_to_string(&file).expect("a log");
    for said in ["started", "cluster=\"here\"", "is not read", "cannot reach 127.0.0.1:1", "Signal(15)"] {
        assert!(log.contains(said), "{said} in:\n{log}");
    }
    assert!(!log.contains("s3cr3t"), "{log}");
    assert!(log.lines().all(|l| l.contains(" quarterdeck::")), "only what the console says itself:\n{log}");
}

#[test]
fn a_workload_s_log_follows_a_rollout_and_its_crashes() {
    let mut pty = Pty::start(&["--demo", "bad-deploy"], &[], 160, 40);
    pty.shows("live");
    pty.send("4");
    pty.shows("KIND");
    pty.send("/payments");
    pty.wait_for("its first row", |s| cursor_row(s).is_some_and(|r| r.contains("payments deploy")));
    pty.send(ENTER);
    pty.hides("age<1h");
    pty.send("l");
    pty.shows("following");
    // Markers stay where nothing else does.
    pty.send("/no-line-has-this");
    pty.send(ENTER);
    pty.shows("no-line-has-this: 0");
    pty.shows("is read from now on --");
    pty.shows("container exited (exit 1), waiting for its restart --");
    pty.shows("container restarted (exit 1) --");
}

#[test]
fn any_size_is_survived() {
    let mut pty = demo();
    for (cols, rows) in [(20, 6), (10, 3), (2, 2), (200, 50), (20, 6), (120, 40)] {
        let mark = pty.received();
        pty.resize(cols, rows);
        pty.receives(mark, "\u{1b}[");
    }
    pty.shows("nodes 15/15");
    pty.resize(10, 3);
    pty.shows("too small");
    pty.resize(80, 24);
    pty.shows("nodes 15/15");
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
    pty.shows("nodes 15/15");
    pty.wait_for("the alternate screen", vt100::Screen::alternate_screen);
    pty.send("q");
    assert_eq!(pty.wait_exit(), 0);
    pty.assert_restored();
}
