//! Into a container and out again, in a real terminal: what fills the screen, sizes, ctrl-c, exit codes, a
//! connection that is cut. The terminal comes back as it was each time, and no key is eaten.

#![cfg(all(unix, feature = "kubernetes"))]
#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

#[path = "support/into.rs"]
mod into;
#[expect(dead_code, reason = "the console's own tests use the rest")]
#[path = "support/pty.rs"]
mod pty;

use into::Fleet;
use pty::Pty;

fn enter(fleet: &Fleet, args: &[&str]) -> Pty {
    let config = fleet.kubeconfig();
    let mut all = vec!["--kubeconfig", &config, "exec"];
    all.extend(args);
    Pty::start(&all, &[], 100, 30)
}

/// A shell with its prompt on the screen.
fn shell(fleet: &Fleet) -> Pty {
    let mut pty = enter(fleet, &[&fleet.task()]);
    pty.shows(&format!("root@{}:/#", fleet.pod));
    pty
}

#[track_caller]
fn ends(pty: &mut Pty, code: u32) {
    assert_eq!(pty.wait_exit(), code, "{}", pty.screen());
    pty.assert_screen_restored();
    pty.assert_settings_restored();
}

#[test]
fn a_shell_is_found_and_its_exit_code_is_ours() {
    let fleet = Fleet::start();
    let mut pty = shell(&fleet);
    // The very first key, and every one after it.
    pty.send("hostname\r");
    pty.shows(&format!("\n{}", fleet.pod));
    pty.send("stty size\r");
    pty.shows("30 100");
    pty.send("exit 7\r");
    ends(&mut pty, 7);
}

#[test]
fn what_is_typed_before_the_shell_is_there_reaches_it() {
    let fleet = Fleet::start();
    let mut pty = enter(&fleet, &[&fleet.task()]);
    pty.send("echo typed-ahead-of-it; exit 3\r");
    pty.wait_for("its output", |s| s.contents().lines().any(|l| l.trim() == "typed-ahead-of-it"));
    ends(&mut pty, 3);
}

#[test]
fn a_full_screen_program_has_the_terminal_and_follows_its_size() {
    let fleet = Fleet::start();
    let mut pty = shell(&fleet);
    pty.send("top\r");
    pty.wait_for("the alternate screen", vt100::Screen::alternate_screen);
    pty.shows("100x30");
    pty.resize(64, 20);
    pty.shows("64x20");
    pty.send("q");
    pty.wait_for("the main screen", |s| !s.alternate_screen());
    pty.send("echo still here\r");
    pty.shows("\nstill here");
    pty.send("exit\r");
    ends(&mut pty, 0);
}

#[test]
fn ctrl_c_is_for_what_runs_there() {
    let fleet = Fleet::start();
    let mut pty = shell(&fleet);
    pty.send("sleep 600\r");
    pty.shows("sleep 600");
    pty.send("\u{3}");
    pty.shows("^C");
    pty.send("echo $?\r");
    pty.shows("\n130");
    pty.send("\u{4}");
    pty.wait_exit();
    pty.assert_settings_restored();
}

#[test]
fn a_connection_that_is_cut_is_told_and_the_terminal_is_clean() {
    let fleet = Fleet::start();
    let mut pty = shell(&fleet);
    pty.send("top\r");
    pty.wait_for("the alternate screen", vt100::Screen::alternate_screen);
    fleet.server.faults().go_down();
    pty.shows("was cut off");
    pty.shows("may still run");
    ends(&mut pty, 255);
    assert!(!pty.screen().contains("top -"), "the other screen is gone:\n{}", pty.screen());
}

#[test]
fn what_a_bad_program_leaves_behind_is_reset() {
    let fleet = Fleet::start();
    let mut pty = shell(&fleet);
    pty.send("modes\r");
    pty.wait_for("the modes", |s| s.bracketed_paste() && s.hide_cursor() && s.application_cursor());
    pty.send("exit\r");
    ends(&mut pty, 0);
    let screen = pty.emulator();
    assert!(!screen.application_cursor() && !screen.application_keypad());
    assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
}

#[test]
fn sigterm_ends_it_and_the_terminal_is_clean() {
    let fleet = Fleet::start();
    let mut pty = shell(&fleet);
    pty.signal("TERM");
    ends(&mut pty, 128 + 15);
}

#[test]
fn what_cannot_be_entered_is_told_before_the_terminal_is_touched() {
    let fleet = Fleet::start();
    let mut pty = enter(&fleet, &[&fleet.task(), "-c", "nope"]);
    pty.shows("has no container nope");
    ends(&mut pty, 1);
    let mut pty = enter(&fleet, &[&fleet.task(), "--", "no-such-program"]);
    pty.shows("executable file not found");
    ends(&mut pty, 255);
    fleet.server.faults().forbid("create", "pods/exec");
    let mut pty = enter(&fleet, &[&fleet.task()]);
    pty.shows("not allowed: pods");
    ends(&mut pty, 255);
}

#[test]
fn attach_shows_the_log_and_ctrl_c_leaves_it() {
    let fleet = Fleet::start();
    let config = fleet.kubeconfig();
    let mut pty = Pty::start(&["--kubeconfig", &config, "attach", &fleet.task()], &[], 100, 30);
    pty.wait_for("lines that begin at the left", |s| {
        s.contents().lines().filter(|l| l.len() > 10 && !l.starts_with(' ')).count() > 2
    });
    pty.send("\u{3}");
    ends(&mut pty, 0);
}
