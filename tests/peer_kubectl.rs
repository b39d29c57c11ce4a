//! kubectl, which nobody here wrote, against the embedded fleet. It is taken from
//! `QUARTERDECK_KUBECTL` or PATH; without it the test says so and passes, except
//! where `CI=true`.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests fail as tests do, and the lint's exception for tests does not see them"
)]

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use quarterdeck::clock::{Clock, instant};
use quarterdeck::sim::model::{Model, Parameters, Scenario};
use quarterdeck::sim::server::{ServerOptions, SimServer};

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// The fleet under test: the one line to change.
fn fleet() -> Box<dyn quarterdeck::sim::backend::Fleet> {
    Box::new(Model::new(Scenario::embedded("calm", Parameters::default()).expect("an embedded scenario")))
}

/// A kubectl with a configuration and a home of its own.
struct Kubectl {
    program: String,
    home: tempfile::TempDir,
    config: PathBuf,
}

/// What a command printed, and whether it was content.
#[derive(Debug)]
struct Said {
    out: String,
    err: String,
    fine: bool,
}

impl Kubectl {
    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(line.split_whitespace()).env("KUBECONFIG", &self.config).env("HOME", self.home.path());
        command
    }

    fn run(&self, line: &str) -> Said {
        let output = self.command(line).output().expect("kubectl runs");
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        Said { out: text(&output.stdout), err: text(&output.stderr), fine: output.status.success() }
    }

    /// Runs and must succeed without a word on standard error.
    fn ok(&self, line: &str) -> String {
        let said = self.run(line);
        assert!(said.fine && said.err.is_empty(), "kubectl {line}: {said:#?}");
        said.out
    }

    /// Runs something that goes on, and gives its lines as they come.
    fn follow(&self, line: &str) -> Following {
        let mut command = self.command(line);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("kubectl runs");
        let out = child.stdout.take().expect("piped");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Following { child, lines }
    }
}

struct Following {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Following {
    fn line_where(&self, wanted: impl Fn(&str) -> bool) -> String {
        let end = instant() + PATIENCE;
        let mut seen = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(instant())) {
            if wanted(&line) {
                return line;
            }
            seen.push(line);
        }
        panic!("the line did not come; these did: {seen:#?}");
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The kubectl to use, or `None` where there is none and that is all right.
fn kubectl(server: &SimServer) -> Option<Kubectl> {
    let program = std::env::var("QUARTERDECK_KUBECTL").unwrap_or_else(|_| "kubectl".to_owned());
    let there = Command::new(&program).args(["version", "--client"]).output().is_ok_and(|o| o.status.success());
    if !there {
        let must = std::env::var("CI").is_ok_and(|v| v == "true");
        assert!(!must, "CI needs kubectl: put it in PATH or name it in QUARTERDECK_KUBECTL");
        eprintln!("SKIP: no kubectl ({program}): put it in PATH or name it in QUARTERDECK_KUBECTL");
        return None;
    }
    let home = tempfile::tempdir().expect("a directory");
    let config = home.path().join("config");
    std::fs::write(&config, server.kubeconfig()).expect("writes");
    Some(Kubectl { program, home, config })
}

async fn start() -> SimServer {
    SimServer::start(fleet(), Clock::system(), ServerOptions::default()).await.expect("starts")
}

/// The cells of a printed table, by row.
fn cells(table: &str) -> Vec<Vec<&str>> {
    table.lines().map(|l| l.split_whitespace().collect()).collect()
}

/// A namespace and a deployment in it that has pods, and one of its pods.
fn a_deployment(k: &Kubectl) -> (String, String, String) {
    let list = k.ok("get deploy -A --no-headers");
    let rows = cells(&list);
    for row in &rows {
        let (ns, name) = (row[0], row[1]);
        let selector = k.ok(&format!("get deploy {name} -n {ns} -o jsonpath={{.spec.selector.matchLabels}}"));
        let labels: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&selector).expect("labels");
        let selector: Vec<String> =
            labels.iter().map(|(key, v)| format!("{key}={}", v.as_str().expect("text"))).collect();
        let pods = k.run(&format!("get pods -n {ns} --no-headers -l {}", selector.join(",")));
        if let Some(pod) = cells(&pods.out).iter().find(|r| r.get(2) == Some(&"Running")) {
            return (ns.to_owned(), name.to_owned(), pod[0].to_owned());
        }
    }
    panic!("no deployment has a running pod: {rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reads() {
    let server = start().await;
    let Some(k) = kubectl(&server) else { return };
    let nodes = k.ok("get nodes");
    assert_eq!(cells(&nodes)[0], ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]);
    assert!(cells(&nodes)[1..].iter().all(|r| r[1].contains("Ready")), "{nodes}");
    let wide = k.ok("get nodes -o wide");
    assert!(wide.lines().next().expect("a header").ends_with("CONTAINER-RUNTIME"), "{wide}");
    let pods = k.ok("get pods -A -o wide");
    let header = "NAMESPACE NAME READY STATUS RESTARTS AGE IP NODE NOMINATED NODE READINESS GATES";
    assert_eq!(cells(&pods)[0].join(" "), header);
    let deployments = k.ok("get deploy -A");
    assert_eq!(cells(&deployments)[0].join(" "), "NAMESPACE NAME READY UP-TO-DATE AVAILABLE AGE");
    let resources = k.ok("api-resources");
    for (short, kind) in [("po", "Pod"), ("deploy", "Deployment"), ("hpa", "HorizontalPodAutoscaler")] {
        let row = cells(&resources).into_iter().find(|r| r.last() == Some(&kind)).expect("listed");
        assert_eq!(row[1], short);
    }
    assert!(k.ok("api-versions").contains("metrics.k8s.io/v1beta1"));
    assert!(k.ok("version").contains("Server Version"));
    let events = k.ok("get events -A");
    assert_eq!(cells(&events)[0].join(" "), "NAMESPACE LAST SEEN TYPE REASON OBJECT MESSAGE");
    assert!(k.ok("top nodes").lines().count() > 1);
    assert!(k.ok("top pods -A --containers").lines().count() > 1);
    assert_eq!(k.ok("auth can-i list pods").trim(), "yes");
    assert!(k.ok("auth whoami").contains("quarterdeck"));
    for many in ["ns", "rs", "sts", "ds", "jobs", "cj", "svc", "hpa", "pdb", "cm", "leases"] {
        assert!(k.run(&format!("get {many} -A -o wide")).fine, "{many}");
    }
    let missing = k.run("get pod no-such-pod");
    assert_eq!(missing.err.trim(), "Error from server (NotFound): pods \"no-such-pod\" not found");
    server.faults().forbid("delete", "pods");
    assert_eq!(k.run("auth can-i delete pods").out.trim(), "no");
    server.faults().forbid("list", "nodes");
    let denied = k.run("get nodes");
    assert!(denied.err.starts_with("Error from server (Forbidden): nodes is forbidden: User"), "{denied:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn describes_and_logs() {
    let server = start().await;
    let Some(k) = kubectl(&server) else { return };
    let (ns, deployment, pod) = a_deployment(&k);
    let described = k.ok(&format!("describe pod {pod} -n {ns}"));
    assert!(described.contains("Containers:") && described.contains("Events:"), "{described}");
    let described = k.ok(&format!("describe deploy {deployment} -n {ns}"));
    assert!(described.contains("StrategyType:") && described.contains("Replicas:"), "{described}");
    let node = k.ok(&format!("get pod {pod} -n {ns} -o jsonpath={{.spec.nodeName}}"));
    let described = k.ok(&format!("describe node {node}"));
    assert!(described.contains("Non-terminated Pods:") && described.contains(&pod), "{described}");
    assert!(described.contains("Allocated resources:"), "{described}");
    let container = k.ok(&format!("get pod {pod} -n {ns} -o jsonpath={{.spec.containers[0].name}}"));
    let lines = k.ok(&format!("logs {pod} -n {ns} -c {container} --tail=3 --timestamps"));
    assert!((1..=3).contains(&lines.lines().count()), "{lines}");
    let live = k.follow(&format!("logs -f {pod} -n {ns} -c {container} --tail=0"));
    assert!(!live.line_where(|l| !l.trim().is_empty()).is_empty(), "a line that was not there before");
    let wrong = k.run(&format!("logs {pod} -n {ns} -c no-such"));
    assert!(wrong.err.contains("container no-such is not valid for pod"), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes() {
    let server = start().await;
    let Some(k) = kubectl(&server) else { return };
    let (ns, name, pod) = a_deployment(&k);
    let replicas = k.ok(&format!("get deploy {name} -n {ns} -o jsonpath={{.spec.replicas}}"));
    let more = replicas.parse::<u32>().expect("a number") + 1;
    let watch = k.follow(&format!("get deploy {name} -n {ns} -w"));
    watch.line_where(|l| l.starts_with(&name));
    let scaled = k.ok(&format!("scale deploy {name} -n {ns} --replicas={more}"));
    assert_eq!(scaled.trim(), format!("deployment.apps/{name} scaled"));
    assert_eq!(k.ok(&format!("get deploy {name} -n {ns} -o jsonpath={{.spec.replicas}}")), more.to_string());
    watch.line_where(|l| l.starts_with(&name) && l.contains(&format!("/{more}")));
    drop(watch);
    let restarted = k.ok(&format!("rollout restart deploy {name} -n {ns}"));
    assert_eq!(restarted.trim(), format!("deployment.apps/{name} restarted"));
    let status = k.follow(&format!("rollout status deploy {name} -n {ns} --timeout=120s"));
    let end = instant() + Duration::from_mins(2);
    while let Ok(line) = status.lines.recv_timeout(end.saturating_duration_since(instant())) {
        if line.contains("successfully rolled out") {
            break;
        }
        assert!(line.starts_with("Waiting for deployment"), "{line}");
    }
    assert!(instant() < end, "rolled out in time");
    k.ok(&format!("label deploy {name} -n {ns} colour=blue"));
    let labelled = k.ok(&format!("get deploy -n {ns} -l colour=blue -L colour --no-headers"));
    assert_eq!(cells(&labelled)[0].last(), Some(&"blue"));
    k.ok(&format!("annotate deploy {name} -n {ns} note=here"));
    let node = cells(&k.ok("get nodes --no-headers"))[0][0].to_owned();
    k.ok(&format!("cordon {node}"));
    assert!(k.ok(&format!("get node {node}")).contains("SchedulingDisabled"));
    k.ok(&format!("uncordon {node}"));
    let wrong = k.run(&format!("scale deploy {name} -n {ns} --replicas=4 --current-replicas=77"));
    assert!(!wrong.fine, "the precondition holds");
    // The pod may have been replaced by the restart; either way it is gone afterwards.
    let _ = k.run(&format!("delete pod {pod} -n {ns} --wait=false"));
    let end = instant() + Duration::from_mins(1);
    while k.run(&format!("get pod {pod} -n {ns}")).fine {
        assert!(instant() < end, "the pod goes in time");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Runs with something on standard input, to its end.
fn with_input(k: &Kubectl, line: &[&str], input: &str) -> (Said, Option<i32>) {
    use std::io::Write as _;
    let mut command = k.command("");
    command.args(line).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("kubectl runs");
    // It may have ended by itself before it read anything.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("kubectl ends");
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    let said = Said { out: text(&output.stdout), err: text(&output.stderr), fine: output.status.success() };
    (said, output.status.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn enters_and_attaches() {
    let server = start().await;
    let Some(k) = kubectl(&server) else { return };
    let (ns, _, pod) = a_deployment(&k);
    let container = k.ok(&format!("get pod {pod} -n {ns} -o jsonpath={{.spec.containers[0].name}}"));
    let exec = |rest: &[&str], input: &str| {
        let mut line = vec!["exec", "-n", &ns, &pod, "-c", &container];
        line.extend(rest);
        with_input(&k, &line, input)
    };
    let (said, code) = exec(&["--", "hostname"], "");
    assert_eq!((said.out.trim(), code), (pod.as_str(), Some(0)), "{said:?}");
    let (said, code) = exec(&["--", "sh", "-c", "echo out; fail 3"], "");
    assert_eq!((said.out.as_str(), code), ("out\n", Some(3)), "{said:?}");
    let (said, code) = exec(&["-i", "--", "cat"], "one\ntwo\n");
    assert_eq!((said.out.as_str(), code), ("one\ntwo\n", Some(0)), "v5 ends standard input: {said:?}");
    let (said, code) = exec(&["--", "no-such-program"], "");
    assert!(said.err.contains("executable file not found") && code == Some(1), "{said:?}");
    let attached = k.follow(&format!("attach -n {ns} {pod} -c {container}"));
    assert!(!attached.line_where(|l| !l.trim().is_empty()).is_empty());
    // It asks by websocket, or by SPDY where that is refused: both create.
    server.faults().forbid("create", "pods/exec");
    let (said, _) = exec(&["--", "hostname"], "");
    assert!(said.err.contains("Forbidden"), "{said:?}");
}
