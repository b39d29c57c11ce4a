//! The wallboard in a real terminal: with keys and without, resized, told to end, and never ending by
//! itself.

#![cfg(all(unix, feature = "kubernetes"))]
#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

#[path = "support/pty.rs"]
#[expect(dead_code, reason = "each test file uses its own part")]
mod pty;

use pty::Pty;

const RIGHT: &str = "\u{1b}[C";
const LEFT: &str = "\u{1b}[D";

fn wall(args: &[&str], env: &[(&str, &str)]) -> Pty {
    let mut all = vec!["wallboard"];
    all.extend(args);
    let mut pty = Pty::start(&all, env, 80, 24);
    pty.shows("UTC ");
    pty
}

/// The demo's wallboard, once its first cluster is there.
fn demo(args: &[&str], env: &[(&str, &str)]) -> Pty {
    let mut all = vec!["--demo=calm"];
    all.extend(args);
    let mut pty = wall(&all, env);
    pty.shows("fresh");
    pty.shows("nodes 12/12");
    pty
}

/// The rows with the large clock.
fn clock(screen: &vt100::Screen) -> String {
    let rows: Vec<String> = screen.rows(49, 31).take(4).collect();
    rows.join("\n")
}

/// The process lives: its clock moves, and moves again.
#[track_caller]
fn goes_on(pty: &mut Pty) {
    for _ in 0..2 {
        let before = clock(pty.emulator());
        pty.wait_for("the clock to go on", |s| clock(s) != before);
    }
}

#[test]
fn it_needs_no_input_and_sigterm_gives_the_terminal_back() {
    for stdin in ["/dev/null", "closed"] {
        let mut pty = demo(&[], &[("PTY_STDIN", stdin)]);
        goes_on(&mut pty);
        pty.signal("TERM");
        assert_eq!(pty.wait_exit(), 128 + 15, "{stdin}");
        pty.assert_restored();
    }
}

#[test]
fn without_any_terminal_to_read_from_it_shows_and_follows_the_size() {
    let mut pty = demo(&[], &[("PTY_STDIN", "none")]);
    goes_on(&mut pty);
    for (cols, rows) in [(120, 40), (10, 3), (3, 2), (200, 50)] {
        pty.resize(cols, rows);
    }
    pty.wait_for("the words of a wide one", |s| s.contents().contains("restarts 1h"));
    pty.signal("TERM");
    assert_eq!(pty.wait_exit(), 128 + 15);
    pty.assert_restored();
}

#[test]
fn sighup_and_sigint_end_it() {
    for (name, number) in [("HUP", 1), ("INT", 2)] {
        let mut pty = demo(&[], &[]);
        pty.signal(name);
        assert_eq!(pty.wait_exit(), 128 + number, "{name}");
        pty.assert_restored();
    }
}

#[test]
fn only_the_keys_that_are_named_do_anything() {
    let mut pty = demo(&["--rotate", "1h"], &[]);
    // Enter, escape, palette, filter, errors, logs, exec, control-C, -Z, -D and -\, a paste, function keys.
    pty.send("\r\u{1b}:nodes\r/web\r!lexsDKR~Q1239");
    pty.send("\u{3}\u{1a}\u{4}\u{1c}\u{1b}[200~q\u{1b}[201~\u{1b}[15~\u{1b}[24~");
    goes_on(&mut pty);
    let text = pty.screen();
    assert!(text.contains("overview 1/7") && text.contains("nodes 12/12"), "{text}");
    for other in ["palette", "filter", "WHAT WENT WRONG", "wallboard "] {
        assert!(!text.contains(other), "{other}: {text}");
    }
    pty.send(RIGHT);
    pty.shows("map 2/7");
    pty.send(LEFT);
    pty.shows("overview 1/7");
    pty.send(" ");
    pty.shows("held by space");
    pty.send(" ");
    pty.shows("next: map");
    pty.send("?");
    pty.shows("a wallboard changes nothing");
    pty.send("?");
    pty.hides("a wallboard changes nothing");
    pty.send("q");
    assert_eq!(pty.wait_exit(), 0);
    pty.assert_restored();
}

#[test]
fn pages_rotate_in_the_order_that_was_asked_for() {
    let mut pty = demo(&["--pages", "overview,timeline", "--rotate", "5s"], &[]);
    pty.shows("next: timeline");
    pty.shows("timeline 2/2");
    pty.shows("overview 1/2");
}

#[test]
fn it_is_not_suspended() {
    let mut pty = demo(&[], &[]);
    pty.signal("TSTP");
    goes_on(&mut pty);
    pty.signal("STOP");
    pty.wait_stopped();
    let mark = pty.received();
    pty.signal("CONT");
    pty.receives(mark, "UTC ");
    goes_on(&mut pty);
}

#[test]
fn with_all_sources_down_it_is_blind_and_stays() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("kubeconfig");
    let yaml = "apiVersion: v1\nkind: Config\ncurrent-context: here\ncontexts: [{name: here, context: {cluster: x, user: x}}]\n\
        clusters: [{name: x, cluster: {server: 'http://127.0.0.1:1'}}]\nusers: [{name: x, user: {token: t}}]\n";
    std::fs::write(&config, yaml).expect("a kubeconfig");
    let mut pty = wall(&["--kubeconfig", &config.display().to_string()], &[("PTY_STDIN", "/dev/null")]);
    pty.shows("? BLIND");
    for _ in 0..3 {
        goes_on(&mut pty);
    }
    pty.resize(120, 40);
    pty.shows("blind: 1 source not read");
    assert!(!pty.screen().contains("nothing is wrong"), "{}", pty.screen());
    pty.signal("TERM");
    assert_eq!(pty.wait_exit(), 128 + 15);
}

#[test]
fn without_a_terminal_to_show_on_it_says_what_to_do() {
    let binary = env!("CARGO_BIN_EXE_quarterdeck");
    let out = std::process::Command::new(binary).args(["wallboard", "--demo=calm"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && said.contains("quarterdeck snapshot wallboard"), "{said}");
    let out = std::process::Command::new(binary)
        .args(["wallboard", "--demo=calm", "--pages", "map,nonsense"])
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && said.contains("--pages") && said.contains("timeline"), "{said}");
}
