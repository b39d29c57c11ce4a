//! Into a pod through a real API server and KWOK's kubelet, and its log, each compared with what kubectl
//! makes of the same.
//!
//! Runs where `QUARTERDECK_CONTROLPLANE=1` is set, with `CONTROLPLANE_STATE` naming a
//! control plane that is up; skips loudly elsewhere. KWOK's `exec` runs the command on this machine. It
//! passes on neither the end of standard input, nor the terminal's size, nor exit codes: the fleet of
//! our own does, and `exec_pty` looks at those.
#![cfg(all(unix, feature = "kubernetes"))]
#![expect(clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "each test file uses its own part")]
#[path = "support/actions.rs"]
mod actions;
#[expect(dead_code, reason = "each test file uses its own part")]
#[path = "support/pty.rs"]
mod pty;

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use futures::StreamExt as _;
use quarterdeck::clock::{Clock, instant};
use quarterdeck::domain::{Kind, Text};
use quarterdeck::source::kubernetes::{Kubeconfig, Sources};
use quarterdeck::source::log::{LogItem, LogStream};
use serde_json::{Value, json};

const POD: &str = "web";

fn script(arguments: &[&str]) -> Output {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/controlplane/run.sh");
    Command::new(script).args(arguments).output().expect("run.sh runs")
}

fn kubectl(arguments: &[&str]) -> Output {
    let all: Vec<&str> = std::iter::once("kubectl").chain(arguments.iter().copied()).collect();
    script(&all)
}

fn done(arguments: &[&str]) -> String {
    let out = kubectl(arguments);
    assert!(out.status.success(), "kubectl {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// A control plane that is up, with a home for our program.
struct Plane {
    /// The test's own namespace, and its node's name.
    ns: String,
    state: PathBuf,
    home: tempfile::TempDir,
}

impl Plane {
    /// With a pod that runs, of two containers, on a node that says where its kubelet is.
    fn up(test: &str) -> Option<Self> {
        if std::env::var("QUARTERDECK_CONTROLPLANE").as_deref() != Ok("1") {
            eprintln!(
                "SKIP: QUARTERDECK_CONTROLPLANE is not set; tests/peers/controlplane/README.md says how to start one"
            );
            return None;
        }
        let state = PathBuf::from(std::env::var("CONTROLPLANE_STATE").expect("CONTROLPLANE_STATE"));
        let home = tempfile::tempdir().expect("a directory");
        let ns = format!("entered-{test}");
        let plane = Self { ns, state, home };
        let ns = plane.ns.as_str();
        let ports = std::fs::read_to_string(plane.state.join("ports.json")).expect("its ports");
        let ports: Value = serde_json::from_str(&ports).expect("JSON");
        let room = json!({"cpu": "32", "memory": "64Gi", "pods": "110"});
        let node = json!({"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": ns, "annotations": {"kwok.x-k8s.io/node": "fake"}},
            "status": {"capacity": room, "allocatable": room,
                "addresses": [{"type": "InternalDNS", "address": "localhost"}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": ports["Kubelet"]}},
                "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady",
                    "lastHeartbeatTime": null, "lastTransitionTime": null}]}});
        let container = |name: &str| json!({"name": name, "image": "registry.example/web:1"});
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD, "namespace": ns},
            "spec": {"nodeName": ns, "containers": [container("app"), container("proxy")]}});
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ns}});
        plane.apply(&[namespace, node, pod]);
        done(&["wait", "-n", ns, "--for=condition=Ready", "pod/web", "--timeout=60s"]);
        Some(plane)
    }

    fn apply(&self, objects: &[Value]) {
        let file = self.home.path().join("objects.json");
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        std::fs::write(&file, list.to_string()).expect("a file");
        done(&["apply", "-f", file.to_str().expect("a path")]);
    }

    fn task(&self) -> String {
        format!("{}/{POD}", self.ns)
    }

    fn config(&self) -> PathBuf {
        self.state.join("kubeconfig")
    }

    fn ours(&self, config: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quarterdeck"));
        command.arg("--kubeconfig").arg(config).args(arguments);
        command.env("HOME", self.home.path()).env_remove("KUBECONFIG").env_remove("XDG_STATE_HOME");
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.ours(&self.config(), arguments).output().expect("it runs")
    }

    /// The same exec by both, as theirs and ours.
    fn both(&self, container: &str, command: &[&str]) -> [Output; 2] {
        let theirs: Vec<&str> =
            ["exec", "-n", &self.ns, POD, "-c", container, "--"].into_iter().chain(command.iter().copied()).collect();
        let task = self.task();
        let ours: Vec<&str> =
            ["exec", &task, "-c", container, "--"].into_iter().chain(command.iter().copied()).collect();
        [kubectl(&theirs), self.run(&ours)]
    }

    fn log(&self, sources: &Sources, tail: u32, follow: bool) -> impl futures::Stream<Item = LogItem> + use<> {
        let request = LogStream {
            task: actions::id(Kind::Task, &self.ns, POD),
            container: Text::new("app"),
            follow,
            since_secs: None,
            tail: Some(tail),
            previous: false,
            uid: Text::empty(),
            restarts: None,
        };
        let reader = sources.reader(&actions::spec(Kubeconfig::File(self.config()), true).id).expect("it is read");
        reader.logs(request).map(|item| item.expect("a log"))
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        kubectl(&["delete", "ns", &self.ns, "--ignore-not-found", "--grace-period=0", "--wait=false"]);
        kubectl(&["delete", "node", &self.ns, "--ignore-not-found"]);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What went wrong, in KWOK's words, out of what either program says around it.
fn why(output: &Output) -> String {
    let all = text(&output.stderr);
    let last = all.lines().rfind(|l| l.contains("exec")).unwrap_or_default();
    last.rsplit("command in container: ").next().unwrap_or_default().to_owned()
}

#[test]
fn a_command_prints_the_same_and_fails_the_same() {
    let Some(plane) = Plane::up("command") else { return };
    let [theirs, ours] = plane.both("app", &["sh", "-c", "echo out; echo $CONTROLPLANE_FAKE_POD; echo err >&2"]);
    assert_eq!((text(&ours.stdout), text(&ours.stderr)), ("out\n1\n".to_owned(), "err\n".to_owned()));
    assert_eq!((theirs.stdout, theirs.stderr), (ours.stdout, ours.stderr));
    assert!(theirs.status.success() && ours.status.success());

    let many = plane.both("proxy", &["seq", "20000"]);
    assert_eq!(many[0].stdout, many[1].stdout, "all of it, in order");
    assert!(many[1].stdout.ends_with(b"\n20000\n"));

    // KWOK says the exit code in words only.
    let [theirs, ours] = plane.both("app", &["sh", "-c", "exit 3"]);
    assert!(why(&theirs).ends_with("exit status 3"), "{theirs:?}");
    assert_eq!(why(&theirs), why(&ours));
    assert!(!theirs.status.success() && ours.status.code() == Some(255), "{ours:?}");

    let [theirs, ours] = plane.both("app", &["no-such-program"]);
    assert!(why(&theirs).contains("executable file not found") && why(&ours).contains("executable file not found"));
    let [theirs, ours] = plane.both("nope", &["true"]);
    assert!(!theirs.status.success() && text(&ours.stderr).contains("it has app, proxy"), "{ours:?}");
}

#[test]
fn standard_input_goes_there() {
    let Some(plane) = Plane::up("input") else { return };
    let task = plane.task();
    let mut command = plane.ours(&plane.config(), &["exec", &task, "--", "head", "-n", "2"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
    // It stays open: the end of it is not passed on here.
    let mut input = child.stdin.take().expect("piped");
    input.write_all(b"one\ntwo\nthree\n").expect("it takes them");
    let mut said = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut said).expect("text");
    assert_eq!((said.as_str(), child.wait().expect("it ends").code()), ("one\ntwo\n", Some(0)));
}

#[test]
fn a_terminal_goes_there_and_comes_back() {
    let Some(plane) = Plane::up("terminal") else { return };
    let (config, task) = (plane.config().display().to_string(), plane.task());
    let mut pty = pty::Pty::start(&["--kubeconfig", &config, "exec", &task, "--", "sh"], &[], 100, 30);
    // The first key, and what is typed before the shell is there.
    pty.send("echo first-$((40 + 2)); tty; exit\r");
    pty.shows("first-42");
    pty.shows("/dev/pts/");
    assert_eq!(pty.wait_exit(), 0, "{}", pty.screen());
    pty.assert_screen_restored();
    pty.assert_settings_restored();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_are_what_kubectl_prints_and_are_followed() {
    let Some(plane) = Plane::up("logs") else { return };
    let (tx, rx) = tokio::sync::mpsc::channel(1);
    drop(rx);
    let sources = Sources::spawn(vec![actions::spec(Kubeconfig::File(plane.config()), true)], tx, Clock::system());
    let theirs = done(&["logs", "-n", &plane.ns, POD, "-c", "app", "--tail", "50"]);
    let ours: Vec<LogItem> = plane.log(&sources, 50, false).collect().await;
    let lines = |items: &[LogItem]| -> Vec<String> {
        items.iter().filter_map(|i| if let LogItem::Line(l) = i { Some(l.raw.clone()) } else { None }).collect()
    };
    assert_eq!(lines(&ours), theirs.lines().collect::<Vec<_>>());
    assert_eq!(theirs.lines().count(), 50);

    let mut followed = Box::pin(plane.log(&sources, 1, true));
    let first = tokio::time::timeout(Duration::from_secs(30), followed.next()).await.expect("in time");
    assert!(matches!(first, Some(LogItem::Line(_))), "{first:?}");
    let out = script(&["logs", "--lines", "3", "--text", "written after it was asked for"]);
    assert!(out.status.success(), "{out:?}");
    for _ in 0..3 {
        let next = tokio::time::timeout(Duration::from_secs(30), followed.next()).await.expect("in time");
        let Some(LogItem::Line(line)) = next else { panic!("a line, not {next:?}") };
        assert_eq!(line.raw, "written after it was asked for");
    }
}

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_forwarded_port_answers() {
    let Some(plane) = Plane::up("port") else { return };
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let ports = format!("{port}:8080");
    let child = plane.ours(&plane.config(), &["port-forward", &plane.task(), &ports]).spawn();
    let _running = Running(child.expect("it runs"));
    let end = instant() + Duration::from_secs(30);
    let answer = loop {
        assert!(instant() < end, "it does not answer");
        // KWOK leaves the connection open when its server has closed it: the answer is read, not its end.
        let asked = std::net::TcpStream::connect(("127.0.0.1", port)).and_then(|mut socket| {
            socket.set_read_timeout(Some(Duration::from_secs(5)))?;
            socket.write_all(b"GET /hello HTTP/1.0\r\n\r\n")?;
            let (mut said, mut buffer) = (String::new(), [0; 1024]);
            while !said.contains("GET /hello") {
                let n = socket.read(&mut buffer)?;
                if n == 0 {
                    break;
                }
                said.push_str(&text(&buffer[..n]));
            }
            Ok(said)
        });
        match asked {
            Ok(said) if !said.is_empty() => break said,
            // It is not there yet.
            _ => std::thread::sleep(Duration::from_millis(100)),
        }
    };
    assert!(answer.ends_with("hello from a fake pod: GET /hello\n"), "{answer}");
}

#[test]
fn a_role_needs_get_and_create_both() {
    let Some(plane) = Plane::up("role") else { return };
    let (user, ns) = ("enterer", plane.ns.as_str());
    let out = script(&["user", user]);
    assert!(out.status.success(), "{out:?}");
    let config = PathBuf::from(text(&out.stdout).trim());
    let rule = |verbs: &[&str]| {
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": user, "namespace": ns}, "rules": [
                {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
                {"apiGroups": [""], "resources": ["pods/exec"], "verbs": verbs}]});
        let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": user, "namespace": ns},
            "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}],
            "roleRef": {"kind": "Role", "name": user, "apiGroup": "rbac.authorization.k8s.io"}});
        plane.apply(&[role, binding]);
    };
    let exec = || plane.ours(&config, &["exec", &plane.task(), "--", "echo", "in"]).output().expect("it runs");
    // Roles take effect a moment after they are written.
    let until = |what: &str, good: &dyn Fn(&Output) -> bool| {
        let end = instant() + Duration::from_secs(30);
        loop {
            let out = exec();
            if good(&out) {
                return;
            }
            assert!(instant() < end, "{what}: {out:?}");
        }
    };
    rule(&["get", "create"]);
    until("both are enough", &|out| out.status.success() && out.stdout == b"in\n");
    for one in ["get", "create"] {
        rule(&[one]);
        until(&format!("{one} alone is not"), &|out| text(&out.stderr).contains("not allowed"));
    }
}
