//! Into a container from the console and back, in a real terminal: no key is eaten on the way there or back,
//! and the console's screen comes back whole, however the session ends.

#![cfg(all(unix, feature = "kubernetes"))]
#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/into.rs"]
mod into;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/pty.rs"]
mod pty;

use into::Fleet;
use pty::Pty;

const ENTER: &str = "\r";
const ESC: &str = "\u{1b}";

/// The console on the list of tasks, of which only the fleet's pod is shown.
fn console(fleet: &Fleet) -> Pty {
    let mut pty = Pty::start(&["--kubeconfig", &fleet.kubeconfig()], &[], 120, 36);
    pty.shows("live");
    pty.send("3");
    pty.shows("READY");
    pty.send(&format!("/{}{ENTER}", fleet.pod));
    pty.wait_for("only the pod", |s| s.contents().contains("1-1 of 1 ") && s.contents().contains('▶'));
    pty
}

/// The plan of a shell is on the screen, and the focus is on what does it.
fn about_to_enter(pty: &mut Pty) {
    pty.send("s");
    pty.shows("a shell");
    pty.shows("[ Exec ]");
    // From where nothing happens to the button.
    pty.send("\t");
    pty.shows("▶[ Exec ]");
}

/// A shell with its prompt, and nothing of the console.
fn shell(pty: &mut Pty, fleet: &Fleet) {
    about_to_enter(pty);
    pty.send(ENTER);
    prompt(pty, fleet);
}

fn prompt(pty: &mut Pty, fleet: &Fleet) {
    let prompt = format!("root@{}:/#", fleet.pod);
    pty.wait_for("the prompt on the main screen", |s| !s.alternate_screen() && s.contents().contains(&prompt));
}

/// The console has its terminal again, as it left it, and says how it went; the next key works.
#[track_caller]
fn back(pty: &mut Pty, said: &str) {
    pty.wait_for(&format!("the console, which says `{said}`"), |s| s.alternate_screen() && s.contents().contains(said));
    let screen = pty.emulator();
    assert!(screen.hide_cursor() && !screen.application_cursor() && !screen.application_keypad());
    assert!(screen.bracketed_paste(), "the console's own mode");
    assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
    pty.send(ESC);
    pty.hides(said);
    pty.shows("1-1 of 1 ");
}

fn quit(mut pty: Pty) {
    pty.send("\u{3}");
    assert_eq!(pty.wait_exit(), 0, "{}", pty.screen());
    pty.assert_restored();
}

#[test]
fn no_key_is_eaten_on_the_way_in_or_out() {
    let fleet = Fleet::start();
    let mut pty = console(&fleet);
    for round in 0..12 {
        about_to_enter(&mut pty);
        // The yes and what is typed behind it, as fast as can be: nothing of it is the console's.
        pty.send(&format!("{ENTER}echo {round}-abcdefghijklmnopqrstuvwxyz{ENTER}"));
        let line = format!("{round}-abcdefghijklmnopqrstuvwxyz");
        pty.wait_for("what was typed, run by the shell", |s| s.contents().lines().any(|l| l.trim() == line));
        // Then one key at a time.
        for key in "echo single".chars() {
            pty.send(&key.to_string());
        }
        pty.send(ENTER);
        pty.wait_for("the line", |s| s.contents().lines().any(|l| l.trim() == "single"));
        pty.send(&format!("modes{ENTER}"));
        pty.wait_for("its modes", |s| s.application_cursor() && s.hide_cursor());
        pty.send(&format!("exit 9{ENTER}"));
        back(&mut pty, "exit code 9");
    }
    quit(pty);
}

#[test]
fn a_full_screen_program_has_the_terminal_to_itself() {
    let fleet = Fleet::start();
    let mut pty = console(&fleet);
    shell(&mut pty, &fleet);
    pty.send(&format!("top{ENTER}"));
    pty.wait_for("its screen", |s| s.alternate_screen() && s.contents().contains("120x36"));
    pty.resize(80, 24);
    pty.shows("80x24");
    // Keys of the console, which are not for it now.
    pty.send("3q");
    prompt(&mut pty, &fleet);
    pty.send(&format!("sleep 600{ENTER}"));
    pty.shows("sleep 600");
    pty.send("\u{3}");
    pty.shows("^C");
    pty.send(&format!("stty size{ENTER}"));
    pty.shows("\n24 80");
    pty.send(&format!("exit 3{ENTER}"));
    back(&mut pty, "exit code 3");
    // It draws for the size that the terminal has by now.
    pty.wait_for("the key hints on the last row", |s| s.rows(0, 80).last().is_some_and(|r| r.contains("enter open")));
    quit(pty);
}

#[test]
fn a_connection_that_is_cut_gives_the_console_back() {
    let fleet = Fleet::start();
    let mut pty = console(&fleet);
    shell(&mut pty, &fleet);
    pty.send(&format!("top{ENTER}"));
    pty.wait_for("its screen", |s| s.contents().contains("q quits"));
    fleet.server.faults().go_down();
    back(&mut pty, "was cut off");
    assert!(!pty.screen().contains("q quits"), "{}", pty.screen());
    // It can be entered again once it is there again.
    fleet.server.faults().come_back();
    // `live` may still be said of before.
    let deadline = quarterdeck::clock::instant() + std::time::Duration::from_secs(30);
    while std::net::TcpStream::connect(fleet.server.addr()).is_err() {
        assert!(quarterdeck::clock::instant() < deadline, "the fleet comes back");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    pty.shows("live");
    shell(&mut pty, &fleet);
    pty.send(&format!("exit{ENTER}"));
    back(&mut pty, "done: exec in");
    quit(pty);
}

#[test]
fn what_is_typed_for_a_session_that_does_not_come_does_nothing() {
    let fleet = Fleet::start();
    let mut pty = console(&fleet);
    about_to_enter(&mut pty);
    fleet.server.faults().forbid("create", "pods/exec");
    // As commands these keys would leave the page, mark a task, and ask to delete it.
    pty.send(&format!("{ENTER}qq D{ENTER}"));
    back(&mut pty, "not allowed");
    quit(pty);
}

#[test]
fn a_signal_in_mid_session_gives_the_terminal_back() {
    let fleet = Fleet::start();
    let mut pty = console(&fleet);
    shell(&mut pty, &fleet);
    pty.send(&format!("modes{ENTER}"));
    pty.wait_for("its modes", vt100::Screen::application_cursor);
    pty.signal("TERM");
    assert_eq!(pty.wait_exit(), 128 + 15);
    pty.assert_restored();
}

#[test]
fn a_read_only_console_lets_nobody_in() {
    let fleet = Fleet::start();
    let mut pty = Pty::start(&["--kubeconfig", &fleet.kubeconfig(), "--read-only"], &[], 120, 36);
    pty.shows("live");
    pty.send("3");
    pty.shows("READY");
    pty.send("s");
    pty.shows("read-only: exec is not possible");
    quit(pty);
}
