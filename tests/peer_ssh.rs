//! Over a real sshd on loopback: a line as slow as a phone's hotspot, a connection that
//! breaks, also while something is done, and a console or a wallboard as the forced command, which is no
//! way to a shell.
//!
//! Needs `sshd`, `ssh`, `ssh-keygen` and `python3`; where one is absent it says so and passes,
//! but not in CI.

#![cfg(all(target_os = "linux", feature = "kubernetes"))]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests fail as tests do, and figures are told"
)]

#[path = "support/into.rs"]
#[expect(dead_code, reason = "only its fleet is of use here")]
mod into;
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

/// As `docs/ssh.md` has it, but for the user, who is whoever runs this test.
const AS_DOCUMENTED: &str = "DisableForwarding yes\nPermitUserRC no\nAcceptEnv LANG LC_*\n";

#[test]
fn the_documented_settings_are_those_that_are_tried() {
    let page = include_str!("../docs/ssh.md");
    for line in AS_DOCUMENTED.lines() {
        assert!(page.contains(line), "docs/ssh.md has no `{line}`");
    }
    assert!(
        page.contains("ForceCommand quarterdeck --read-only") && page.contains("ForceCommand quarterdeck wallboard")
    );
}

#[test]
fn as_a_forced_command_it_is_no_way_out() {
    no_way_out("--demo --read-only", "USERS", WAYS);
}

#[test]
fn a_wallboard_as_a_forced_command_is_no_way_out() {
    let mut ways = WAYS.to_vec();
    // Whatever begins or ends something elsewhere, one after the other.
    ways.extend([("interrupt", "\u{3}"), ("end of input", "\u{4}"), ("help", "?"), ("every letter", ALPHABET)]);
    no_way_out("wallboard --demo", "UTC ", &ways);
}

/// All but `q`, which ends a wallboard.
const ALPHABET: &str = "abcdefghijklmnoprstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!@#$%^&*()_+-=[]{};:'\",.<>/?|~`";

/// Everything that runs below a process: number and command line.
fn tree(pid: u32) -> Vec<(u32, String)> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("Linux").flatten() {
        let Some(number) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        // `pid (name) state parent ...`, and the name may have anything in it.
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        if parent == Some(pid) {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            out.push((number, String::from_utf8_lossy(&line).replace('\0', " ").trim().to_owned()));
            out.extend(tree(number));
        }
    }
    out
}

/// The console that this sshd has started; nothing but it and sshd's own processes is there.
#[track_caller]
fn console(sshd: &Sshd, of_console: &str, name: &str) -> u32 {
    let mut found = None;
    for (pid, line) in tree(sshd.child.id()) {
        // A process that has ended and was not yet asked for has no command line.
        if line.ends_with(of_console) && line.contains("quarterdeck") {
            assert_eq!(found, None, "{name}: two of them");
            found = Some(pid);
        } else {
            assert!(line.is_empty() || line.contains("sshd"), "{name}: {line} runs");
        }
    }
    found.unwrap_or_else(|| panic!("{name}: it does not run: {:?}", tree(sshd.child.id())))
}

/// Forces this command on whoever comes, and tries to get anything else.
fn no_way_out(arguments: &str, shows: &str, ways: &[(&str, &str)]) {
    if !can_run() {
        return;
    }
    let bin = env!("CARGO_BIN_EXE_quarterdeck");
    let sshd = Sshd::start(&format!("ForceCommand {bin} {arguments}\n{AS_DOCUMENTED}"));
    let before = files(&sshd.file("home"));
    let gone = |name: &str| {
        let end = instant() + PATIENCE;
        while tree(sshd.child.id()).iter().any(|(_, line)| line.ends_with(arguments)) {
            assert!(instant() < end, "{name}: it outlives its connection: {:?}", tree(sshd.child.id()));
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    for (name, keys) in ways {
        let mut pty = sshd.open(&[], "", 80, 24);
        pty.shows(shows);
        let pid = console(&sshd, arguments, name);
        pty.send(keys);
        pty.wait_some(Duration::from_millis(400));
        assert_eq!(children(pid), Vec::<String>::new(), "{name}: a child process");
        // A shell would answer; the console does not. It is still there, or has ended, and not stopped.
        pty.send("\u{1b}\u{1b}");
        pty.wait_some(Duration::from_millis(200));
        let state = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().expect("ps is there");
        assert!(!state.stdout.trim_ascii().starts_with(b"T"), "{name}: it is stopped");
        assert!(!pty.screen().contains("uid=") && !pty.screen().contains("$ "), "{name}:\n{}", pty.screen());
        for (pid, line) in tree(sshd.child.id()) {
            assert!(line.is_empty() || line.contains("sshd") || line.ends_with(arguments), "{name}: {pid} {line}");
        }
        drop(pty);
        gone(name);
    }
    asks_for_something_else(&sshd);
    asks_for_forwarding(&sshd, arguments, shows);
    gone("forwarding");
    // What was written is below the console's own directories; a demo's screens are where it was started.
    let after = files(&sshd.file("home"));
    let strange: Vec<&PathBuf> = after
        .difference(&before)
        .filter(|p| !p.starts_with(sshd.file("home/state")) && !p.starts_with(sshd.file("home/tmp")))
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
}

/// Whatever the client asks for instead: the same console, or nothing.
fn asks_for_something_else(sshd: &Sshd) {
    let other: [&[&str]; 5] = [&["id"], &["-s", "sftp"], &["sh", "-c", "id"], &["scp", "-t", "/tmp/x"], &["$(id)"]];
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
    let sent = "SetEnv=LC_ALL=$(id) QUARTERDECK_CONFIG=/etc/passwd QUARTERDECK_READ_ONLY=false PATH=/nowhere";
    let mut arguments = sshd.arguments(&["-o", sent]);
    arguments.push("id".to_owned());
    let out = Command::new("ssh").args(&arguments).stdin(Stdio::null()).output().expect("ssh runs");
    let said = String::from_utf8_lossy(&out.stderr).to_string();
    assert!(said.contains("needs a terminal") && !said.contains("uid=") && !said.contains("/etc/passwd"), "{said}");
}

/// Ports and an agent: neither is there for who has nothing but the console.
fn asks_for_forwarding(sshd: &Sshd, arguments: &str, shows: &str) {
    use std::io::{Read as _, Write as _};
    let free = || TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let behind = TcpListener::bind("127.0.0.1:0").expect("a port");
    behind.set_nonblocking(true).expect("it can be");
    let target = behind.local_addr().expect("an address").port();
    let (local, remote) = (free(), free());
    let agent = sshd.file("agent").display().to_string();
    let mut pty = sshd.open(
        &[
            "-A",
            "-o",
            &format!("IdentityAgent={agent}"),
            "-o",
            "ExitOnForwardFailure=no",
            "-L",
            &format!("127.0.0.1:{local}:127.0.0.1:{target}"),
            "-R",
            &format!("127.0.0.1:{remote}:127.0.0.1:{target}"),
        ],
        "SSH_ORIGINAL_COMMAND",
        80,
        24,
    );
    pty.shows(shows);
    // The client listens, but the server opens nothing for it.
    let mut socket = TcpStream::connect(("127.0.0.1", local)).expect("the client listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("it can be");
    let _ = socket.write_all(b"x");
    let mut rest = Vec::new();
    let read = socket.read_to_end(&mut rest);
    assert!(rest.is_empty() && read.is_ok_and(|n| n == 0) || rest.is_empty(), "{rest:?}");
    assert!(TcpStream::connect(("127.0.0.1", remote)).is_err(), "the server listens for the client");
    let reached = behind.accept().is_ok();
    assert!(!reached, "a port was forwarded");
    let pid = console(sshd, arguments, "forwarding");
    let variables = std::fs::read(format!("/proc/{pid}/environ")).expect("it runs");
    let variables = String::from_utf8_lossy(&variables).replace('\0', "\n");
    assert!(variables.contains("SSH_ORIGINAL_COMMAND="), "{variables}");
    assert!(!variables.contains("SSH_AUTH_SOCK="), "{variables}");
}

#[test]
fn an_action_that_ran_when_the_line_broke_is_written_down_as_not_known() {
    if !can_run() {
        return;
    }
    let fleet = into::Fleet::start();
    let sshd = Sshd::start("");
    let state = sshd.file("home/state/ours");
    let of_console = format!("--kubeconfig {} --view workloads", fleet.kubeconfig());
    let command =
        format!("env QUARTERDECK_STATE_DIR={} {} {of_console}", state.display(), env!("CARGO_BIN_EXE_quarterdeck"));
    let mut pty = sshd.open(&[], &command, 120, 40);
    pty.shows("deploy");
    pty.send("/kind=deploy\r");
    pty.hides("kube-proxy");
    pty.shows("▶");
    // A rollout takes its time.
    pty.send("r");
    pty.shows("[ Restart ]");
    pty.send("\t\r");
    pty.shows("x ends it");
    let pid = console(&sshd, &of_console, "restarting");
    let audit = || std::fs::read_to_string(state.join("audit.jsonl")).unwrap_or_default();
    assert!(audit().contains("\"verb\":\"restart\"") && !audit().contains("\"kind\":\"outcome\""), "{}", audit());
    // The client is gone, and sshd hangs up.
    pty.signal("KILL");
    let end = instant() + PATIENCE;
    while Path::new(&format!("/proc/{pid}")).exists() {
        assert!(instant() < end, "an orphan: {:?}", tree(sshd.child.id()));
        std::thread::sleep(Duration::from_millis(50));
    }
    let last = audit().lines().last().unwrap_or_default().to_owned();
    assert!(last.contains("\"kind\":\"outcome\"") && last.contains("\"outcome\":\"unknown\""), "{last}");
    assert!(last.contains("signal 1"), "{last}");
    let verified = Command::new(env!("CARGO_BIN_EXE_quarterdeck"))
        .args(["audit", "verify"])
        .env("QUARTERDECK_STATE_DIR", &state)
        .output()
        .expect("it runs");
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}
