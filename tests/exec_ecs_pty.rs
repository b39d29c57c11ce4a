//! Into an ECS task from the console, through a plugin that speaks SSM's data channel with the embedded fleet, in a
//! real terminal. What stands in the way is said before the screen is left.

#![cfg(all(unix, feature = "aws", feature = "kubernetes"))]
#![expect(clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "helpers of tests fail as tests do")]

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/pty.rs"]
mod pty;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use pty::Pty;

const ENTER: &str = "\r";
const ESC: &str = "\u{1b}";

const FLEET: &str = "[[nodes]]\ngroup = 'g'\ncount = 1\ninstance = 'm7i.large'\nzones = ['eu-west-1a']\ncpu = 2\nmemory = 8\n\n\
    [[ecs]]\nname = 'shop'\n\
    services = [\n\
    { name = 'open', desired = 1, image = 'open:1', exec = 'on' },\n\
    { name = 'shut', desired = 1, image = 'shut:1' },\n\
    { name = 'mute', desired = 1, image = 'mute:1', exec = 'agent-stopped' },\n\
    ]\n";

/// A fleet with three services, and a plugin.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// `None` where there is no Python for the plugin.
    fn new() -> Option<Self> {
        let python = std::process::Command::new("python3").arg("--version").output();
        if !python.is_ok_and(|o| o.status.success()) {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "CI needs python3 for the plugin");
            eprintln!("SKIP: no python3 for the plugin");
            return None;
        }
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("fleet.toml"), FLEET).expect("writes");
        Some(Self { dir })
    }

    fn arguments(&self) -> PathBuf {
        self.dir.path().join("arguments")
    }

    /// The console on the one task of a service.
    fn console(&self, service: &str, more: &[&str], env: &[(&str, &str)]) -> Pty {
        let path = std::env::var("PATH").unwrap_or_default();
        let plugin = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/plugin");
        let path = format!("{}:{path}", plugin.display());
        let arguments = self.arguments().display().to_string();
        let mut all = vec![("PATH", path.as_str()), ("PLUGIN_ARGUMENTS", &arguments)];
        all.extend(env);
        let demo = format!("--demo={}", self.dir.path().join("fleet.toml").display());
        let args: Vec<&str> = std::iter::once(demo.as_str()).chain(more.iter().copied()).collect();
        let mut pty = Pty::start(&args, &all, 120, 36);
        pty.shows("live");
        pty.send("3");
        pty.shows("READY");
        pty.shows(service);
        pty.send(&format!("/{service}{ENTER}"));
        pty.shows("1-1 of 1 ");
        pty
    }
}

fn plan(pty: &mut Pty) {
    pty.send("s");
    pty.shows("command  ");
    pty.shows("Cancel ]");
}

/// A shell with its prompt.
fn shell(pty: &mut Pty) {
    plan(pty);
    pty.shows("[ Exec ]");
    pty.send("\t");
    pty.shows("▶[ Exec ]");
    // The main screen may still show the prompt of a session before.
    let mark = pty.received();
    pty.send(ENTER);
    pty.receives(mark, ":/# ");
    assert!(!pty.emulator().alternate_screen());
}

#[track_caller]
fn back(pty: &mut Pty, said: &str) {
    pty.wait_for(&format!("the console, which says `{said}`"), |s| s.alternate_screen() && s.contents().contains(said));
    assert!(pty.emulator().hide_cursor() && !pty.emulator().application_cursor());
    pty.send(ESC);
    pty.hides(said);
}

fn quit(mut pty: Pty) {
    pty.send("\u{3}");
    assert_eq!(pty.wait_exit(), 0, "{}", pty.screen());
    pty.assert_restored();
}

#[test]
fn a_task_is_entered_and_left() {
    let Some(place) = Place::new() else { return };
    let mut pty = place.console("open", &[], &[]);
    for round in 0..3 {
        shell(&mut pty);
        pty.send(&format!("echo in-{round}{ENTER}"));
        pty.wait_for("its output", |s| s.contents().lines().any(|l| l.trim() == format!("in-{round}")));
        pty.send(&format!("stty size{ENTER}"));
        pty.shows("\n36 120");
        pty.send(&format!("sleep 600{ENTER}"));
        pty.shows("sleep 600");
        pty.send("\u{3}");
        pty.shows("^C");
        pty.send(&format!("modes{ENTER}"));
        pty.wait_for("its modes", vt100::Screen::application_cursor);
        pty.send(&format!("exit{ENTER}"));
        back(&mut pty, "done: exec in");
    }
    shell(&mut pty);
    pty.send(&format!("top{ENTER}"));
    pty.shows("120x36");
    pty.resize(90, 30);
    pty.shows("90x30");
    pty.send("q");
    pty.send(&format!("exit{ENTER}"));
    back(&mut pty, "done: exec in");
    quit(pty);
    // The token went through a variable: nobody else could read it.
    let arguments = std::fs::read_to_string(place.arguments()).expect("its arguments");
    assert!(arguments.contains("AWS_SSM_START_SESSION_RESPONSE_QUARTERDECK") && arguments.contains("ecs:shop_"));
    assert!(!arguments.contains("token-") && !arguments.contains("ws://"), "{arguments}");
}

#[test]
fn a_plugin_that_dies_gives_the_console_back() {
    let Some(place) = Place::new() else { return };
    let mut pty = place.console("open", &[], &[]);
    shell(&mut pty);
    pty.send(&format!("modes{ENTER}"));
    pty.wait_for("its modes", vt100::Screen::application_cursor);
    let children = std::process::Command::new("pgrep").args(["-P", &pty.pid()]).output().expect("pgrep is there");
    let child = String::from_utf8_lossy(&children.stdout).trim().to_owned();
    assert!(child.parse::<u32>().is_ok(), "one child, the plugin: {child:?}");
    let killed = std::process::Command::new("kill").args(["-s", "KILL", &child]).status().expect("kill is there");
    assert!(killed.success());
    back(&mut pty, "was cut off");
    quit(pty);
}

/// The plan says what stands in the way, and there is no button.
fn refused(service: &str, env: &[(&str, &str)], why: &[&str]) {
    let Some(place) = Place::new() else { return };
    let mut pty = place.console(service, &[], env);
    plan(&mut pty);
    for why in why {
        pty.shows(why);
    }
    assert!(!pty.screen().contains("[ Exec ]"), "{}", pty.screen());
    pty.send(ESC);
    // Escape and another key at once are one key.
    pty.hides("Cancel ]");
    quit(pty);
}

#[test]
fn what_is_not_enabled_is_told_with_what_enables_it() {
    refused("shut", &[], &["exec is not enabled for this task", "--enable-execute-command"]);
}

#[test]
fn an_agent_that_does_not_run_is_told() {
    refused("mute", &[], &["ExecuteCommandAgent in app is STOPPED, not RUNNING"]);
}

#[test]
fn a_plugin_that_is_too_old_or_absent_is_told() {
    refused("open", &[("PLUGIN_VERSION", "1.2.497.0")], &["1.2.497.0 is too old"]);
    refused("open", &[("PATH", "/usr/bin:/bin")], &["session-manager-plugin is not in PATH"]);
}

fn is_alive(pid: &str) -> bool {
    let mut kill = std::process::Command::new("kill");
    let status = kill.args(["-s", "0", pid]).stderr(std::process::Stdio::null()).status();
    status.expect("kill is there").success()
}

/// The plugin ends with the console.
fn is_gone(pid: &str) {
    let began = quarterdeck::clock::instant();
    while is_alive(pid) {
        assert!(began.elapsed() < pty::PATIENCE, "the plugin outlives what it was for");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// A forward that answers: the number of the plugin that carries it.
fn forwarded(place: &Place, pty: &mut Pty, pid: &Path) -> String {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    pty.send("f");
    pty.shows("LOCAL:TASK");
    pty.send(&format!("{}:8080{ENTER}", taken.port()));
    pty.shows("the agent in app");
    pty.shows("[ Port-forward ]");
    // Each tab has to be seen before the next: the clock in the first line moves by itself.
    let below = |all: String| all.split_once('\n').map(|(_, rest)| rest.to_owned()).unwrap_or_default();
    for _ in 0..12 {
        let before = below(pty.screen());
        if before.contains("▶[ Port-forward ]") {
            break;
        }
        pty.send("\t");
        pty.wait_for("the focus somewhere else", |s| below(s.contents()) != before);
    }
    pty.shows("▶[ Port-forward ]");
    pty.send(ENTER);
    pty.shows(&format!("{taken} leads to port 8080"));
    let mut socket = TcpStream::connect(taken).expect("connects");
    socket.set_read_timeout(Some(pty::PATIENCE)).expect("a limit");
    socket.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("writes");
    let mut said = [0; 15];
    socket.read_exact(&mut said).expect("an answer");
    assert_eq!(&said, b"HTTP/1.1 200 OK");
    assert!(!std::fs::read_to_string(place.arguments()).expect("its arguments").contains("token-"));
    let pid = std::fs::read_to_string(pid).expect("its number");
    assert!(is_alive(&pid));
    pid
}

#[test]
fn a_port_is_forwarded_until_it_is_cancelled_or_the_console_ends() {
    let Some(place) = Place::new() else { return };
    let pid = place.dir.path().join("pid");
    let env = [("PLUGIN_PID", pid.to_str().expect("UTF-8"))];
    let mut pty = place.console("open", &[], &env);
    // From its page.
    let plugin = forwarded(&place, &mut pty, &pid);
    pty.send("x");
    pty.shows("is closed");
    is_gone(&plugin);
    pty.send(ESC);
    pty.hides("is closed");
    // It goes on when nobody looks at it; the end of the console ends it.
    let plugin = forwarded(&place, &mut pty, &pid);
    pty.send(ESC);
    pty.hides("leads to port");
    pty.send("\u{3}");
    pty.shows("Quitting ends them");
    assert!(is_alive(&plugin));
    pty.send(ENTER);
    assert_eq!(pty.wait_exit(), 0, "{}", pty.screen());
    is_gone(&plugin);
    // So does what ends the console.
    let mut pty = place.console("open", &[], &env);
    let plugin = forwarded(&place, &mut pty, &pid);
    pty.signal("TERM");
    assert_eq!(pty.wait_exit(), 128 + 15);
    is_gone(&plugin);
}

#[test]
fn a_read_only_console_lets_nobody_in() {
    let Some(place) = Place::new() else { return };
    let mut pty = place.console("open", &["--read-only"], &[]);
    pty.send("s");
    pty.shows("read-only: exec is not possible");
    pty.send("f");
    pty.shows("read-only: port-forward is not possible");
    quit(pty);
}
