//! Over a real sshd on loopback: a line as slow as a phone's hotspot, a connection that
//! breaks, and a console as the forced command, which is no way to a shell.
//!
//! Needs `sshd`, `ssh`, `ssh-keygen` and `python3`; where one is absent it says so and passes,
//! but not in CI.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests fail as tests do, and figures are told"
)]

#[path = "support/pty.rs"]
#[expect(dead_code, reason = "each test file uses its own part")]
mod pty;

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pty::Pty;
use quarterdeck::clock::instant;

const PATIENCE: Duration = Duration::from_secs(40);

fn has(program: &str) -> bool {
    Command::new("sh").args(["-c", &format!("command -v {program}")]).output().is_ok_and(|o| o.status.success())
}

/// True where what is needed is there; in CI its absence is a failure.
fn can_run() -> bool {
    let missing: Vec<&str> =
        ["/usr/sbin/sshd", "ssh", "ssh-keygen", "python3"].into_iter().filter(|p| !has(p)).collect();
    if missing.is_empty() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "in CI these must be there: {missing:?}");
    eprintln!("SKIPPED: not installed: {missing:?}");
    false
}

/// An sshd of our own: its keys, its port, its settings.
struct Sshd {
    dir: tempfile::TempDir,
    child: Child,
    port: u16,
    user: String,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(program: &str, args: &[&str]) -> String {
    let out = Command::new(program).args(args).stdin(Stdio::null()).output().expect(program);
    assert!(out.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

impl Sshd {
    /// With these lines in its settings beside what it needs.
    fn start(settings: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let file = |name: &str| dir.path().join(name);
        for name in ["host", "user"] {
            run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &file(name).display().to_string()]);
        }
        std::fs::copy(file("user.pub"), file("authorized")).expect("the key is copied");
        std::fs::create_dir(file("home")).expect("a home");
        if run("id", &["-u"]) == "0" {
            // Where sshd as root wants to be when it does nothing.
            std::fs::create_dir_all("/run/sshd").expect("its own directory");
        }
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let home = file("home").display().to_string();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nAcceptEnv LANG LC_*\nPrintMotd no\nPrintLastLog no\n\
             SetEnv HOME={home} XDG_CONFIG_HOME={home}/config XDG_STATE_HOME={home}/state XDG_CACHE_HOME={home}/cache \
             TMPDIR={home}/tmp LANG=C.UTF-8\n{settings}\n",
            file("host").display(),
            file("authorized").display(),
        );
        std::fs::create_dir(file("home/tmp")).expect("a place for what is temporary");
        std::fs::write(file("config"), config).expect("its settings");
        let mut command = Command::new("/usr/sbin/sshd");
        command.args(["-D", "-e", "-f"]).arg(file("config"));
        let log = std::fs::File::create(file("log")).expect("a log");
        let child = command.stdin(Stdio::null()).stderr(log).spawn().expect("sshd starts");
        let user = run("id", &["-un"]);
        let sshd = Self { dir, child, port, user };
        let end = instant() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = std::fs::read_to_string(sshd.file("log")).unwrap_or_default();
            assert!(instant() < end, "sshd does not answer: {log}");
            std::thread::sleep(Duration::from_millis(50));
        }
        sshd
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What ssh is given, with more of its own options.
    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let mut out: Vec<String> = ["-F", "/dev/null", "-i"].map(str::to_owned).to_vec();
        out.push(self.file("user").display().to_string());
        for option in
            ["UserKnownHostsFile=/dev/null", "StrictHostKeyChecking=no", "LogLevel=ERROR", "IdentitiesOnly=yes"]
        {
            out.extend(["-o".to_owned(), option.to_owned()]);
        }
        out.extend(more.iter().map(|m| (*m).to_owned()));
        out.extend(["-p".to_owned(), self.port.to_string(), format!("{}@127.0.0.1", self.user)]);
        out
    }

    /// ssh in a terminal, with a command or without.
    fn open(&self, more: &[&str], command: &str, cols: u16, rows: u16) -> Pty {
        let mut arguments = self.arguments(more);
        arguments.insert(0, "-tt".to_owned());
        if !command.is_empty() {
            arguments.push(command.to_owned());
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Pty::program("ssh", &arguments, &[], cols, rows)
    }
}

/// The slow line as ssh's option, and where it counts.
fn slow(sshd: &Sshd) -> (String, PathBuf) {
    let relay = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/ssh/relay.py");
    let counts = sshd.file("counts");
    let command = format!(
        "ProxyCommand=python3 {} 127.0.0.1 {} --rate 8000 --delay 0.15 --counts {}",
        relay.display(),
        sshd.port,
        counts.display()
    );
    (command, counts)
}

fn counted(counts: &Path) -> u64 {
    std::fs::read_to_string(counts).ok().and_then(|t| t.trim().parse().ok()).unwrap_or(0)
}

/// Bytes a second that came over the line.
fn rate(pty: &mut Pty, counts: &Path, time: Duration) -> f64 {
    let (before, begun) = (counted(counts), instant());
    pty.wait_some(time);
    #[expect(clippy::cast_precision_loss, reason = "bytes of some seconds")]
    let bytes = (counted(counts) - before) as f64;
    bytes / begun.elapsed().as_secs_f64()
}

/// The programs whose command line has this text.
fn processes(text: &str) -> Vec<u32> {
    let all = run("ps", &["-eo", "pid=,args="]);
    let own = std::process::id();
    all.lines()
        .filter(|l| l.contains(text) && !l.contains("ps -eo") && !l.contains("sshd"))
        .filter_map(|l| l.split_whitespace().next()?.parse().ok())
        .filter(|pid| *pid != own)
        .collect()
}

fn children(pid: u32) -> Vec<String> {
    let all = run("ps", &["-eo", "ppid=,args="]);
    let pid = pid.to_string();
    all.lines().filter(|l| l.split_whitespace().next() == Some(pid.as_str())).map(str::to_owned).collect()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[test]
fn a_slow_line_is_usable() {
    if !can_run() {
        return;
    }
    let sshd = Sshd::start("");
    let (proxy, counts) = slow(&sshd);
    let bin = env!("CARGO_BIN_EXE_quarterdeck");

    // What the line itself costs: a key that comes back as it is.
    let mut echo = sshd.open(&["-o", &proxy], "stty raw -echo; cat", 80, 24);
    echo.wait_some(Duration::from_secs(3));
    let mut there_and_back = Vec::new();
    for key in ["a", "b", "c", "d", "e", "f", "g"] {
        let begun = instant();
        echo.send(key);
        echo.shows(key);
        there_and_back.push(begun.elapsed());
    }
    drop(echo);
    let line = median(there_and_back);

    let mut pty = sshd.open(&["-o", &proxy], &format!("{bin} --demo"), 80, 24);
    pty.shows("USERS");
    // The first seconds bring what is read first.
    pty.wait_some(Duration::from_secs(8));
    let idle = rate(&mut pty, &counts, Duration::from_secs(15));
    pty.send("2");
    pty.shows("STATUS");
    let mut keys = Vec::new();
    for n in 0..20 {
        pty.wait_some(Duration::from_millis(700));
        let at = |pty: &Pty| pty.screen().lines().position(|l| l.starts_with('▶'));
        let before = at(&pty);
        let begun = instant();
        pty.send(if n % 2 == 0 { "j" } else { "k" });
        pty.wait_for("the cursor moves", |s| s.contents().lines().position(|l| l.starts_with('▶')) != before);
        keys.push(begun.elapsed());
    }
    let key = median(keys.clone());
    pty.send("\u{3}");
    pty.wait_exit();

    let mut busy = sshd.open(&["-o", &proxy], &format!("{bin} --demo bad-deploy --view tasks"), 80, 24);
    busy.shows("STATUS");
    busy.wait_some(Duration::from_secs(8));
    let changing = rate(&mut busy, &counts, Duration::from_secs(15));
    busy.send("\u{3}");
    busy.wait_exit();

    eprintln!(
        "64 kbit/s, 300 ms: line {line:?}; key to screen {key:?} (most {:?}); overview idle {idle:.0} B/s; tasks of bad-deploy {changing:.0} B/s",
        keys.iter().max().expect("keys were pressed")
    );
    // No stopwatch: on a busy machine everything is late. But a line that is full is seconds late, not fractions.
    assert!(key < line * 3 + Duration::from_secs(1), "key to screen {key:?} on a line of {line:?}");
    assert!(idle < 2_000.0 && changing < 6_000.0, "the line is not filled: {idle:.0} and {changing:.0} B/s");
}

#[test]
fn a_broken_connection_leaves_nothing_behind() {
    if !can_run() {
        return;
    }
    let sshd = Sshd::start("");
    let (proxy, _) = slow(&sshd);
    let mark = sshd.file("home/marked.toml").display().to_string();
    std::fs::write(&mark, "").expect("it is written");
    let command = format!("{} --demo --config {mark}", env!("CARGO_BIN_EXE_quarterdeck"));
    let mut pty = sshd.open(&["-o", &proxy], &command, 80, 24);
    pty.shows("USERS");
    let of_console = format!("quarterdeck --demo --config {mark}");
    assert!(!processes(&of_console).is_empty(), "it runs");
    // The phone is gone: no goodbye on the line.
    let counts = sshd.file("counts").display().to_string();
    for pid in processes(&format!("--counts {counts}")) {
        let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
    }
    let end = instant() + PATIENCE;
    while !processes(&of_console).is_empty() {
        assert!(instant() < end, "an orphan: {:?}", processes(&of_console));
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Every file below a directory.
fn files(dir: &Path) -> BTreeSet<PathBuf> {
    let mut out = BTreeSet::new();
    let Ok(entries) = std::fs::read_dir(dir) else { return out };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            out.extend(files(&path));
        } else {
            out.insert(path);
        }
    }
    out
}

/// Keys that lead out of other programs, each from the first screen.
const WAYS: &[(&str, &str)] = &[
    ("suspend", "\u{18}z"),
    ("job control", "\u{1a}"),
    ("quit signal", "\u{1c}"),
    ("a shell as vi has it", ":!sh\r"),
    ("a shell by name", ":shell\r"),
    ("suspend from the palette", ":suspend\r"),
    ("errors, then a shell as less has it", "!!sh\r"),
    ("help, then an editor", "?v"),
    ("a shell in a container", "3s"),
    ("a command in a container", "3e"),
    ("attach", "3a"),
    ("port-forward", "3f"),
    ("delete", "3\u{4}"),
    ("drain", "2r"),
    ("scale", "4s9\r\t\t\r"),
    ("YAML in an editor", "3yv"),
    ("a pager's pipe", "3y|sh\r"),
    ("a pager's save", "3ys/etc/quarterdeck\r"),
    ("a runbook", ",b"),
    ("save the screen", "\u{13}"),
    ("a name as a path", "/../../etc/passwd\r"),
    ("a paste", "\u{1b}[200~!sh\r:!sh\r\u{1b}[201~"),
];

#[test]
fn as_a_forced_command_it_is_no_way_out() {
    if !can_run() {
        return;
    }
    let bin = env!("CARGO_BIN_EXE_quarterdeck");
    let sshd = Sshd::start(&format!("ForceCommand {bin} --demo --read-only\nDisableForwarding yes\n"));
    let before = files(&sshd.file("home"));
    for (name, keys) in WAYS {
        let mut pty = sshd.open(&[], "", 80, 24);
        pty.shows("USERS");
        let pids = processes("quarterdeck --demo --read-only");
        let console = *pids.last().unwrap_or_else(|| panic!("{name}: it runs"));
        pty.send(keys);
        pty.wait_some(Duration::from_millis(400));
        assert_eq!(children(console), Vec::<String>::new(), "{name}: a child process");
        // A shell would answer; the console does not. It is still there, or has ended, and not stopped.
        pty.send("\u{1b}\u{1b}");
        pty.wait_some(Duration::from_millis(200));
        let state = Command::new("ps").args(["-o", "stat=", "-p", &console.to_string()]).output().expect("ps is there");
        assert!(!state.stdout.trim_ascii().starts_with(b"T"), "{name}: it is stopped");
        assert!(!pty.screen().contains("uid=") && !pty.screen().contains("$ "), "{name}:\n{}", pty.screen());
        drop(pty);
        let end = instant() + PATIENCE;
        while processes("quarterdeck --demo --read-only").contains(&console) {
            assert!(instant() < end, "{name}: it outlives its connection");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    // Whatever the client asks for instead: the same console, or nothing.
    let other: [&[&str]; 4] = [&["id"], &["-s", "sftp"], &["sh", "-c", "id"], &["scp", "-t", "/tmp/x"]];
    for way in other {
        let mut arguments = sshd.arguments(&[]);
        if way[0] == "-s" {
            arguments.insert(0, "-s".to_owned());
            arguments.push("sftp".to_owned());
        } else {
            arguments.extend(way.iter().map(|w| (*w).to_owned()));
        }
        let out = Command::new("ssh").args(&arguments).stdin(Stdio::null()).output().expect("ssh runs");
        let said = String::from_utf8_lossy(&out.stdout).to_string() + &String::from_utf8_lossy(&out.stderr);
        assert!(!said.contains("uid="), "{way:?}: {said}");
        let refused = said.contains("needs a terminal") || said.contains("subsystem request failed");
        assert!(refused, "{way:?}: only the console answers: {said}");
    }
    // Variables that the server takes from a client say nothing of files or programs.
    let mut arguments = sshd.arguments(&["-o", "SetEnv=LC_ALL=$(id) QUARTERDECK_CONFIG=/etc/passwd"]);
    arguments.push("id".to_owned());
    let out = Command::new("ssh").args(&arguments).stdin(Stdio::null()).output().expect("ssh runs");
    let said = String::from_utf8_lossy(&out.stderr).to_string();
    assert!(said.contains("needs a terminal") && !said.contains("uid=") && !said.contains("/etc/passwd"), "{said}");
    // What was written is below the console's own directories; a demo's screens are where it was started.
    let after = files(&sshd.file("home"));
    let strange: Vec<&PathBuf> = after
        .difference(&before)
        .filter(|p| !p.starts_with(sshd.file("home/state")) && !p.starts_with(sshd.file("home/tmp")))
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
}
