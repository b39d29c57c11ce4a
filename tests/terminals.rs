//! The console in terminals of many kinds: one that can do nothing, tmux and screen, without colours,
//! without Unicode; and the clipboard, also through a real tmux.

#![cfg(all(unix, feature = "kubernetes"))]
#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

#[path = "support/pty.rs"]
#[expect(dead_code, reason = "each test file uses its own part")]
mod pty;

use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use pty::{PATIENCE, Pty};
use quarterdeck::clock::instant;

/// The demo's tasks in such an environment.
fn tasks(env: &[(&str, &str)]) -> Pty {
    let mut pty = Pty::start(&["--demo=calm", "--view", "tasks"], env, 120, 40);
    pty.shows("Running");
    pty.wait_for("a cursor", |s| s.contents().lines().any(|l| l.starts_with(['▶', '>'])));
    pty
}

#[track_caller]
fn ends(mut pty: Pty) {
    pty.send("\u{3}");
    assert_eq!(pty.wait_exit(), 0);
    pty.assert_restored();
}

#[test]
fn a_dumb_terminal_is_refused_with_advice() {
    for (arguments, advice) in [
        (&["--demo=calm"][..], "quarterdeck status"),
        (&["wallboard", "--demo=calm"], "set TERM to what the terminal is"),
    ] {
        let mut pty = Pty::start(arguments, &[("TERM", "dumb")], 80, 24);
        assert_ne!(pty.wait_exit(), 0);
        // Words may be wrapped.
        let said = pty.screen().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("TERM is `dumb`") && said.contains(advice), "{said}");
        assert!(!pty.emulator().alternate_screen());
        pty.assert_settings_restored();
    }
}

#[test]
fn multiplexers_and_other_terminals_are_drawn_in_and_left() {
    for term in [
        "tmux-256color",
        "tmux",
        "screen-256color",
        "screen",
        "xterm",
        "linux",
        "vt220",
        "xterm-kitty",
        "no-such-terminal",
    ] {
        let pty = tasks(&[("TERM", term)]);
        assert!(pty.screen().contains("NAMESPACE"), "{term}:\n{}", pty.screen());
        ends(pty);
    }
}

/// Whether any cell has a colour of its own.
fn is_coloured(pty: &Pty) -> bool {
    let screen = pty.emulator();
    (0..40).any(|row| {
        (0..120).any(|col| {
            screen
                .cell(row, col)
                .is_some_and(|c| c.fgcolor() != vt100::Color::Default || c.bgcolor() != vt100::Color::Default)
        })
    })
}

#[test]
fn no_color_is_heeded() {
    let with = tasks(&[]);
    assert!(is_coloured(&with), "else this test sees nothing");
    ends(with);
    let without = tasks(&[("NO_COLOR", "1"), ("COLORTERM", "truecolor")]);
    assert!(!is_coloured(&without), "{}", without.screen());
    ends(without);
}

#[test]
fn a_locale_without_unicode_gets_none() {
    for (name, value) in [("LANG", "C"), ("LC_ALL", "C"), ("LC_ALL", "POSIX")] {
        let mut pty = tasks(&[(name, value)]);
        let plain = |pty: &Pty| pty.screen().is_ascii();
        assert!(plain(&pty), "{name}={value}:\n{}", pty.screen());
        for keys in ["1", "2", "4", "6", "7", "8", "9", "0", "?"] {
            pty.send(keys);
            pty.wait_some(Duration::from_millis(150));
            assert!(plain(&pty), "{name}={value} after {keys}:\n{}", pty.screen());
        }
    }
}

/// The name on the cursor's row.
fn name(pty: &Pty) -> String {
    let text = pty.screen();
    let row = text.lines().find(|l| l.starts_with('▶')).expect("a cursor");
    row.split_whitespace().nth(3).expect("a name").to_owned()
}

#[test]
fn what_is_copied_goes_to_the_terminal_and_through_tmux() {
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let mut pty = tasks(&[]);
    let (name_of, mark) = (name(&pty), pty.received());
    pty.send("c");
    pty.receives(mark, &format!("\u{1b}]52;c;{}\u{7}", encode(&name_of)));
    ends(pty);
    let mut pty = tasks(&[("TMUX", "/tmp/tmux-0/default,1,0"), ("TERM", "tmux-256color")]);
    let (name_of, mark) = (name(&pty), pty.received());
    pty.send("c");
    pty.receives(mark, &format!("\u{1b}Ptmux;\u{1b}\u{1b}]52;c;{}\u{7}\u{1b}\\", encode(&name_of)));
    ends(pty);
}

/// A tmux of our own, ended with this.
struct Tmux(tempfile::TempDir);

impl Tmux {
    fn command(&self, arguments: &[&str]) -> String {
        let out = Command::new("tmux")
            .arg("-S")
            .arg(self.0.path().join("socket"))
            .args(["-f", "/dev/null"])
            .args(arguments)
            .env_remove("TMUX")
            .env("HOME", self.0.path())
            .env("XDG_STATE_HOME", self.0.path())
            .env("LANG", "C.UTF-8")
            .stdin(Stdio::null())
            .output()
            .expect("tmux runs");
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// Waits until what a command of tmux's prints is as wanted.
    #[track_caller]
    fn until(&self, what: &str, arguments: &[&str], wanted: impl Fn(&str) -> bool) -> String {
        let end = instant() + PATIENCE;
        loop {
            let said = self.command(arguments);
            if wanted(&said) {
                return said;
            }
            assert!(instant() < end, "{what}: {said}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.command(&["kill-server"]);
    }
}

#[test]
fn in_a_real_tmux_it_is_drawn_and_its_clipboard_has_what_is_copied() {
    if Command::new("tmux").arg("-V").stdout(Stdio::null()).status().is_err() {
        assert!(std::env::var_os("CI").is_none(), "in CI tmux must be there");
        eprintln!("SKIPPED: tmux is not installed");
        return;
    }
    let tmux = Tmux(tempfile::tempdir().expect("a directory"));
    let console = format!("{} --demo=calm --view tasks", env!("CARGO_BIN_EXE_quarterdeck"));
    tmux.command(&["new-session", "-d", "-x", "120", "-y", "40", &console]);
    tmux.command(&["set-option", "-g", "set-clipboard", "on"]);
    let screen = tmux.until("the tasks", &["capture-pane", "-p"], |s| s.contains("Running") && s.contains('▶'));
    let row = screen.lines().find(|l| l.starts_with('▶')).expect("a cursor");
    let name = row.split_whitespace().nth(3).expect("a name").to_owned();
    tmux.command(&["send-keys", "c"]);
    tmux.until("what was copied", &["show-buffer"], |s| s == name);
    // Its size follows, and it leaves by its key.
    tmux.command(&["send-keys", "q"]);
    tmux.until("the end", &["list-sessions"], str::is_empty);
}
