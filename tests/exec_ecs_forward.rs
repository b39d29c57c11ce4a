//! A port of an ECS task, forwarded by the command line: the session is asked of the embedded fleet with a signed
//! request, and carried by a plugin that speaks SSM's data channel with it. Nothing outlives the forward.

#![cfg(all(unix, feature = "aws"))]
#![expect(clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "helpers of tests fail as tests do")]

#[path = "support/ecs.rs"]
mod bench;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use quarterdeck::clock::{Clock, instant};
use quarterdeck::sim::server::SimServer;
use quarterdeck::source::aws::Account;
use tokio::runtime::Runtime;

const PATIENCE: Duration = Duration::from_mins(1);
const SHOP: &str = "[[ecs]]\nname = 'shop'\nservices = [\n\
    { name = 'open', desired = 1, image = 'open:1', exec = 'on' },\n\
    { name = 'shut', desired = 1, image = 'shut:1' },\n]\n";

/// The fleet, and where the command line is at home.
struct Place {
    sim: SimServer,
    /// The running tasks of both services.
    open: String,
    shut: String,
    path: String,
    home: tempfile::TempDir,
    runtime: Runtime,
}

impl Place {
    /// `None` where there is no Python for the plugin.
    fn new() -> Option<Self> {
        // The plugin's home is not the user's, where what chooses a Python may look.
        let python = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
        let Some(python) = python.ok().filter(|o| o.status.success()) else {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "CI needs python3 for the plugin");
            eprintln!("SKIP: no python3 for the plugin");
            return None;
        };
        let python = PathBuf::from(String::from_utf8_lossy(&python.stdout).trim());
        let plugin = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/plugin");
        let plugin = std::env::var_os("QUARTERDECK_TEST_PLUGIN").map_or(plugin, PathBuf::from);
        let python = python.parent().expect("a directory").display();
        let path = format!("{}:{python}:/usr/bin:/bin", plugin.display());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let sim = runtime.block_on(bench::serve(SHOP));
        let (open, shut) = runtime.block_on(async { (task(&sim, "open").await, task(&sim, "shut").await) });
        Some(Self { sim, open, shut, path, home: tempfile::tempdir().expect("a directory"), runtime })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// `port-forward` to a task.
    fn forward(&self, more: &[&str], task: &str, ports: &str) -> Command {
        let access = self.sim.aws();
        let mut command = Command::new(env!("CARGO_BIN_EXE_quarterdeck"));
        command.args(["--ecs-cluster", "eu-west-1/shop", "port-forward"]).args(more).args([task, ports]).env_clear();
        command.env("AWS_ENDPOINT_URL", &access.endpoint).env("AWS_REGION", "eu-west-1");
        command.env("AWS_ACCESS_KEY_ID", access.key_for("123456789012")).env("AWS_SECRET_ACCESS_KEY", &access.secret);
        command.env("HOME", self.home.path()).env("QUARTERDECK_STATE_DIR", self.file("state")).env("PATH", &self.path);
        command.env("PLUGIN_ARGUMENTS", self.file("arguments")).env("PLUGIN_PID", self.file("pid"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// It must not be possible: what was said.
    fn refused(&self, more: &[&str], task: &str, ports: &str) -> String {
        let out = self.forward(more, task, ports).output().expect("it runs");
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success() && !self.file("pid").exists(), "{said}");
        said
    }

    fn asked(&self, operation: &str) -> u64 {
        self.sim.aws_report()["operations"][operation].as_u64().unwrap_or_default()
    }

    fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let began = instant();
        while !done(self) {
            assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The number of the plugin's process.
    fn plugin(&self) -> String {
        std::fs::read_to_string(self.file("pid")).expect("its number")
    }

    /// Everything in the state directory.
    fn state(&self) -> String {
        let files = std::fs::read_dir(self.file("state")).expect("a directory").flatten();
        files.filter_map(|f| std::fs::read(f.path()).ok()).map(|b| String::from_utf8_lossy(&b).into_owned()).collect()
    }

    /// Nothing goes on, here or there.
    fn is_over(&self) {
        let plugin = self.plugin();
        self.until("the plugin is gone", |_| !is_alive(&plugin));
        self.until("its session is over", |p| p.sim.aws_report()["sessions"] == 0);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Ok(pid) = std::fs::read_to_string(self.file("pid")) {
            kill("KILL", &pid);
        }
    }
}

/// A running task of a service.
async fn task(sim: &SimServer, service: &str) -> String {
    let spec = bench::specs(sim, Duration::from_secs(1)).remove(0).account;
    let clients = Account::new(spec, Clock::system()).clients().await.expect("clients");
    let began = instant();
    loop {
        let listed = clients.ecs.list_tasks().cluster("shop").service_name(service).send().await.expect("an answer");
        for arn in listed.task_arns() {
            let told = clients.ecs.describe_tasks().cluster("shop").tasks(arn).send().await.expect("an answer");
            if told.tasks()[0].last_status() == Some("RUNNING") {
                return arn.rsplit('/').next().expect("an id").to_owned();
            }
        }
        assert!(began.elapsed() < PATIENCE, "no task of {service} runs");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn kill(signal: &str, pid: &str) -> bool {
    let status = Command::new("kill").args(["-s", signal, pid]).stderr(Stdio::null()).status();
    status.expect("kill is there").success()
}

fn is_alive(pid: &str) -> bool {
    kill("0", pid)
}

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A forward that listens.
struct Open {
    child: Running,
    at: SocketAddr,
    said: Vec<String>,
    rest: BufReader<ChildStderr>,
}

impl Open {
    fn new(command: &mut Command) -> Self {
        let mut running = Running(command.spawn().expect("it runs"));
        let mut rest = BufReader::new(running.0.stderr.take().expect("piped"));
        let mut said = Vec::new();
        loop {
            let mut line = String::new();
            assert!(rest.read_line(&mut line).expect("reads") > 0, "it ended: {said:?}");
            said.push(line.trim().to_owned());
            if let Some((at, _)) = line.split_once(" leads to port ") {
                let at = at.parse().expect("an address");
                return Self { child: running, at, said, rest };
            }
        }
    }

    /// The next line that has this.
    fn hears(&mut self, what: &str) {
        loop {
            let mut line = String::new();
            assert!(self.rest.read_line(&mut line).expect("reads") > 0, "it ended: {:?}", self.said);
            self.said.push(line.trim().to_owned());
            if line.contains(what) {
                return;
            }
        }
    }

    fn signal(&self, name: &str) {
        assert!(kill(name, &self.child.0.id().to_string()));
    }

    /// What it said to the end, and how it ended.
    fn ends(mut self) -> Ended {
        let (mut last, mut out) = (String::new(), String::new());
        self.rest.read_to_string(&mut last).expect("reads");
        self.child.0.stdout.take().expect("piped").read_to_string(&mut out).expect("reads");
        let code = self.child.0.wait().expect("it ends").code();
        Ended { code, out, said: self.said.join("\n") + "\n" + &last }
    }
}

/// How a forward ended.
struct Ended {
    code: Option<i32>,
    out: String,
    said: String,
}

/// What the task's server answers on a connection of its own.
fn get(socket: &mut TcpStream) -> String {
    socket.set_read_timeout(Some(PATIENCE)).expect("a limit");
    socket.write_all(b"GET / HTTP/1.1\r\nHost: task\r\n\r\n").expect("writes");
    let (mut said, mut buffer) = (String::new(), [0; 1024]);
    while !said.ends_with('\n') || !said.contains("\r\n\r\n") || said.ends_with("\r\n") {
        let n = socket.read(&mut buffer).expect("reads");
        assert!(n > 0, "closed after {said:?}");
        said += &String::from_utf8_lossy(&buffer[..n]);
    }
    said
}

#[test]
fn a_port_is_forwarded_both_ways_until_it_is_interrupted() {
    let Some(place) = Place::new() else { return };
    let open = Open::new(&mut place.forward(&[], &format!("open/{}", place.open), "0:8080"));
    assert!(open.at.ip().is_loopback() && open.at.port() != 0);
    assert!(is_alive(&place.plugin()));
    // Several connections, none of which waits for another, and each carries more than one request.
    let mut sockets: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(open.at).expect("connects")).collect();
    for round in 0..2 {
        for socket in sockets.iter_mut().rev() {
            let answer = get(socket);
            assert!(answer.contains("200 OK") && answer.ends_with(&format!("\n{}\n", place.open)), "{round}: {answer}");
        }
    }
    drop(sockets);
    assert_eq!((place.asked("ssm:StartSession"), place.asked("ssm:TerminateSession")), (1, 0));
    open.signal("INT");
    let at = open.at;
    let Ended { code, out: told, said } = open.ends();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(told.trim(), format!("{at} is closed"));
    assert_eq!(place.asked("ssm:TerminateSession"), 1);
    place.is_over();
    assert!(TcpListener::bind(at).is_ok(), "nobody listens there any more");
    // The session's token is nowhere but in a variable of the plugin's.
    let arguments = std::fs::read_to_string(place.file("arguments")).expect("its arguments");
    for wanted in ["AWS_SSM_START_SESSION_RESPONSE_QUARTERDECK", "AWS-StartPortForwardingSession", "ecs:shop_"] {
        assert!(arguments.contains(wanted), "{wanted}: {arguments}");
    }
    let state = place.state();
    assert!(state.contains("port-forward") && state.contains("is closed"), "{state}");
    for text in [&arguments, &said, &told, &state] {
        assert!(!text.contains("token-") && !text.contains("ws://"), "{text}");
    }
}

#[test]
fn whatever_ends_the_forward_ends_the_plugin() {
    let Some(place) = Place::new() else { return };
    for signal in ["TERM", "HUP"] {
        let open = Open::new(&mut place.forward(&[], &place.open, "0:8080"));
        open.signal(signal);
        let Ended { code, said, .. } = open.ends();
        assert_eq!(code, Some(0), "{said}");
        place.is_over();
    }
    assert_eq!((place.asked("ssm:StartSession"), place.asked("ssm:TerminateSession")), (2, 2));
}

#[test]
fn a_plugin_that_dies_is_told_and_so_is_a_port_where_nobody_listens() {
    let Some(place) = Place::new() else { return };
    let mut open = Open::new(&mut place.forward(&[], &place.open, "0:9"));
    let mut socket = TcpStream::connect(open.at).expect("connects");
    socket.set_read_timeout(Some(PATIENCE)).expect("a limit");
    assert_eq!(socket.read(&mut [0; 16]).expect("it is closed"), 0);
    open.hears("Connection to destination port failed");
    assert!(kill("KILL", &place.plugin()));
    let at = open.at;
    let Ended { code, said, .. } = open.ends();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("{at} is closed: session-manager-plugin was killed by signal 9")), "{said}");
    assert_eq!(place.asked("ssm:TerminateSession"), 1);
    place.is_over();
    assert!(place.state().contains("was killed by signal 9"), "{}", place.state());
}

#[test]
fn a_session_that_ends_elsewhere_is_told_in_its_words() {
    let Some(place) = Place::new() else { return };
    let open = Open::new(&mut place.forward(&[], &place.open, "0:8080"));
    let line = open.said.iter().find_map(|l| l.split_once("begins session ")).expect("its number").1.to_owned();
    let spec = bench::specs(&place.sim, Duration::from_secs(1)).remove(0);
    let (_, entry) = quarterdeck::source::ecs::on_demand(spec, &Clock::system()).expect("it may be changed");
    place.runtime.block_on(entry.end(&line)).expect("it is ended");
    let Ended { code, said, .. } = open.ends();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("Session terminated"), "{said}");
    place.is_over();
}

#[test]
fn what_stands_in_the_way_is_told_and_nothing_is_begun() {
    let Some(place) = Place::new() else { return };
    let said = place.refused(&[], &place.shut, "0:8080");
    assert!(said.contains("exec is not enabled for this task"), "{said}");
    let said = place.refused(&[], &place.open, "8080:0");
    assert!(said.contains("say which port"), "{said}");
    let said = place.refused(&["--read-only"], &place.open, "0:8080");
    assert!(said.contains("is read-only: nothing is run there"), "{said}");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let said = place.refused(&[], &place.open, &format!("{port}:8080"));
    assert!(said.contains("cannot be listened on"), "{said}");
    assert_eq!(place.asked("ssm:StartSession"), 0);
    place.sim.aws_faults().set(|f| f.denied = ["ssm:StartSession".to_owned()].into());
    let said = place.refused(&[], &place.open, "0:8080");
    assert!(said.contains("not allowed: User:") && said.contains("perform: ssm:StartSession"), "{said}");
    // It is written down that somebody tried.
    assert!(place.state().contains("perform: ssm:StartSession"), "{}", place.state());
}

#[test]
fn a_key_that_is_not_known_begins_nothing() {
    let Some(place) = Place::new() else { return };
    let mut command = place.forward(&[], &place.open, "0:8080");
    let out = command.env("AWS_ACCESS_KEY_ID", "AKIANOBODY").output().expect("it runs");
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && said.contains("AWS does not know those"), "{said}");
    assert_eq!(place.asked("ssm:StartSession"), 0);
}
