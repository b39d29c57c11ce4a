//! The Kubernetes sources against a server that misbehaves by script: each test
//! says what the server answers and what the console must then know.
#![cfg(feature = "kubernetes")]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt;
use quarterdeck::clock::{self, Clock};
use quarterdeck::domain::{ClusterId, Kind, ObjectId, Text};
use quarterdeck::source::kubernetes::{ClusterSpec, Kubeconfig, Sources};
use quarterdeck::source::{LogItem, LogStream};
use quarterdeck::store::observation::{Body, Feed, Observation, Rows};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

const DEADLINE: Duration = Duration::from_secs(20);
/// Scripted; every other path is forbidden, which is quiet.
const PATH: &str = "/apis/policy/v1/poddisruptionbudgets";

/// What the server does after the last chunk.
#[derive(Clone, Copy)]
enum Then {
    Finish,
    Cut,
    Hang,
}

/// One scripted answer.
struct Reply {
    status: u16,
    header: &'static str,
    chunks: Vec<String>,
    then: Then,
}

fn stream(lines: &[String], then: Then) -> Reply {
    Reply { status: 200, header: "", chunks: lines.iter().map(|l| format!("{l}\n")).collect(), then }
}

fn refuse(status: u16, header: &'static str) -> Reply {
    let body = format!(r#"{{"kind":"Status","code":{status},"message":"scripted {status}"}}"#);
    Reply { status, header, chunks: vec![body], then: Then::Finish }
}

fn whole(body: &str) -> Reply {
    Reply { status: 200, header: "", chunks: vec![body.to_owned()], then: Then::Finish }
}

fn budget(name: &str, version: u32) -> String {
    format!(
        r#"{{"metadata":{{"name":"{name}","namespace":"web","uid":"u-{name}","resourceVersion":"{version}","creationTimestamp":"2026-01-01T00:00:00Z"}},"spec":{{"minAvailable":1}},"status":{{"disruptionsAllowed":1,"currentHealthy":2,"desiredHealthy":1,"expectedPods":2}}}}"#
    )
}

fn event(kind: &str, name: &str, version: u32) -> String {
    format!(r#"{{"type":"{kind}","object":{}}}"#, budget(name, version))
}

fn end_of_list(version: u32) -> String {
    format!(
        r#"{{"type":"BOOKMARK","object":{{"metadata":{{"resourceVersion":"{version}","annotations":{{"k8s.io/initial-events-end":"true"}}}}}}}}"#
    )
}

fn gone() -> String {
    r#"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old resource version"}}"#
        .to_owned()
}

#[derive(Default)]
struct Shared {
    /// The script is of a log, not of the watch.
    log: std::sync::atomic::AtomicBool,
    script: Mutex<VecDeque<Reply>>,
    /// What is said of the pod, one after the other; the last again and again.
    pod: Mutex<VecDeque<Reply>>,
    asked: Mutex<Vec<(Instant, String)>>,
}

struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start(script: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, script)
    }

    fn on(listener: TcpListener, script: Vec<Reply>) -> Self {
        let shared = Arc::new(Shared { script: Mutex::new(script.into()), ..Shared::default() });
        let (address, answering) = (listener.local_addr().unwrap(), Arc::clone(&shared));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                connections.spawn(answer(socket, Arc::clone(&answering)));
            }
        });
        Self { address, shared, _tasks: tasks }
    }

    /// The scripted requests so far, with when they came.
    fn asked(&self) -> Vec<(Instant, String)> {
        self.shared.asked.lock().unwrap().clone()
    }
}

fn scripted(target: &str, shared: &Shared) -> bool {
    if shared.log.load(std::sync::atomic::Ordering::Relaxed) {
        target.contains("/log?")
    } else {
        target.starts_with(PATH)
    }
}

async fn answer(mut socket: TcpStream, shared: Arc<Shared>) {
    let (mut head, mut chunk) = (Vec::new(), [0_u8; 4096]);
    while !head.windows(4).any(|w| w == b"\r\n\r\n") {
        match socket.read(&mut chunk).await {
            Ok(n) if n > 0 => head.extend_from_slice(&chunk[..n]),
            _ => return,
        }
    }
    let target = String::from_utf8_lossy(&head).split(' ').nth(1).unwrap_or_default().to_owned();
    let reply = if target == "/version" {
        whole(r#"{"gitVersion":"v1.99.0"}"#)
    } else if scripted(&target, &shared) {
        shared.asked.lock().unwrap().push((clock::instant(), target));
        let next = shared.script.lock().unwrap().pop_front();
        next.unwrap_or_else(|| stream(&[], Then::Hang))
    } else if target.ends_with("/pods/p") {
        let mut pod = shared.pod.lock().unwrap();
        let next = pod.pop_front().expect("the test says what the pod is like");
        if pod.is_empty() {
            pod.push_back(Reply { status: next.status, header: "", chunks: next.chunks.clone(), then: Then::Finish });
        }
        next
    } else if target.starts_with("/apis/metrics.k8s.io") {
        refuse(404, "")
    } else {
        refuse(403, "")
    };
    let Reply { status, header, chunks, then } = reply;
    let head = format!("HTTP/1.1 {status} x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n{header}\r\n");
    let _ = socket.write_all(head.as_bytes()).await;
    for chunk in chunks {
        let _ = socket.write_all(format!("{:x}\r\n{chunk}\r\n", chunk.len()).as_bytes()).await;
        let _ = socket.flush().await;
    }
    match then {
        Then::Finish => drop(socket.write_all(b"0\r\n\r\n").await),
        Then::Cut => {}
        // Until the client goes away.
        Then::Hang => drop(socket.read(&mut chunk).await),
    }
}

struct Console {
    rx: mpsc::Receiver<Observation>,
    sources: Sources,
    seen: Vec<Observation>,
}

impl Console {
    fn open(address: SocketAddr) -> Self {
        Self::open_as(address, "{}")
    }

    /// With this `user` of the kubeconfig.
    fn open_as(address: SocketAddr, user: &str) -> Self {
        Self::open_with(address, user, quarterdeck::source::kubernetes::SILENCE)
    }

    fn open_with(address: SocketAddr, user: &str, silence: Duration) -> Self {
        let yaml = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts: [{{name: x, context: {{cluster: x, user: x}}}}]\n\
             clusters: [{{name: x, cluster: {{server: \"http://{address}\"}}}}]\nusers: [{{name: x, user: {user}}}]\n"
        );
        let spec = ClusterSpec {
            id: ClusterId::new("x"),
            context: None,
            kubeconfig: Kubeconfig::Inline(yaml),
            namespace: None,
            production: false,
            read_only: false,
            metrics_interval: Duration::from_secs(30),
            silence,
        };
        let (tx, rx) = mpsc::channel(256);
        Self { rx, sources: Sources::spawn(vec![spec], tx, Clock::system()), seen: Vec::new() }
    }

    /// Reads on until `done` holds of all that was observed of the scripted kind.
    async fn until(&mut self, what: &str, done: impl Fn(&[String]) -> bool) -> Vec<String> {
        let wait = async {
            loop {
                let said = self.said(Feed::DisruptionBudgets);
                if done(&said) {
                    return said;
                }
                let next = self.rx.recv().await.expect("the sources go on");
                self.seen.push(next);
            }
        };
        if let Ok(said) = tokio::time::timeout(DEADLINE, wait).await {
            return said;
        }
        panic!("waited in vain for {what}; saw {:?}", self.said(Feed::DisruptionBudgets));
    }

    fn said(&self, feed: Feed) -> Vec<String> {
        self.seen.iter().filter(|o| o.source.feed == feed).map(|o| word(&o.body)).collect()
    }
}

fn word(body: &Body) -> String {
    match body {
        Body::Cluster(cluster) => format!("cluster {}", cluster.version),
        Body::Begin => "begin".into(),
        Body::Upsert(Rows::DisruptionBudgets(rows)) => {
            let names: Vec<&str> = rows.iter().map(|r| r.id.name.as_str()).collect();
            format!("+{}", names.join(","))
        }
        Body::Upsert(rows) => format!("+{} rows", rows.len()),
        Body::Remove(ids) => format!("-{}", ids.iter().map(|i| i.name.as_str()).collect::<Vec<_>>().join(",")),
        Body::Synced => "synced".into(),
        Body::Alive => "alive".into(),
        Body::Freshness(f) => {
            format!("{}{}", f.word(), f.reason().map(|r| format!(": {r}")).unwrap_or_default())
        }
        Body::Note(text) => format!("note: {text}"),
        Body::Spend(_) => "spend".into(),
        Body::Backend(_) => "backend".into(),
    }
}

fn has(said: &[String], what: &str) -> bool {
    said.iter().any(|s| s.starts_with(what))
}

fn count(said: &[String], what: &str) -> usize {
    said.iter().filter(|s| s.starts_with(what)).count()
}

#[tokio::test]
async fn a_streaming_list_then_changes() {
    let script = [
        event("ADDED", "a", 1),
        event("ADDED", "b", 2),
        end_of_list(5),
        event("DELETED", "a", 6),
        event("ADDED", "c", 7),
    ];
    let server = Server::start(vec![stream(&script, Then::Hang)]).await;
    let mut console = Console::open(server.address);
    let said = console.until("the last change", |s| has(s, "+c")).await;
    let flat = said.join(" ").replace("+a +b", "+a,b");
    assert_eq!(flat, "loading begin +a,b synced -a +c");
    let asked = &server.asked()[0].1;
    for part in
        ["watch=true", "sendInitialEvents=true", "resourceVersionMatch=NotOlderThan", "allowWatchBookmarks=true"]
    {
        assert!(asked.contains(part), "{asked}");
    }
}

#[tokio::test]
async fn the_cluster_introduces_itself_and_the_rest_is_denied_or_absent() {
    let server = Server::start(vec![]).await;
    let mut console = Console::open(server.address);
    let wait = async {
        while !(has(&console.said(Feed::Nodes), "cluster v1.99.0")
            && has(&console.said(Feed::Tasks), "denied: ")
            && has(&console.said(Feed::TaskMetrics), "absent: no metrics API"))
        {
            let next = console.rx.recv().await.unwrap();
            console.seen.push(next);
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.expect("an introduction and the denials");
}

#[tokio::test]
async fn pages_where_streaming_lists_are_not_known() {
    let page = |name: &str, more: &str| {
        whole(&format!(r#"{{"metadata":{{"resourceVersion":"9","continue":"{more}"}},"items":[{}]}}"#, budget(name, 1)))
    };
    let server = Server::start(vec![
        refuse(422, ""),
        page("a", "next/+"),
        page("b", ""),
        stream(&[event("MODIFIED", "c", 10)], Then::Hang),
    ])
    .await;
    let mut console = Console::open(server.address);
    let said = console.until("the change after the pages", |s| has(s, "+c")).await;
    assert_eq!(said, ["loading", "begin", "+a", "+b", "synced", "+c"]);
    let asked = server.asked();
    assert!(asked[1].1.ends_with("?limit=500"));
    assert!(asked[2].1.ends_with("?limit=500&continue=next%2F%2B"));
    assert!(asked[3].1.contains("resourceVersion=9"));
}

#[tokio::test]
async fn too_old_lists_again_at_once_and_is_never_shown_as_a_failure() {
    let server = Server::start(vec![
        stream(&[event("ADDED", "a", 1), end_of_list(5), gone()], Then::Finish),
        stream(&[event("ADDED", "b", 8), end_of_list(9)], Then::Finish),
        refuse(410, ""),
        stream(&[event("ADDED", "c", 11), end_of_list(12)], Then::Hang),
    ])
    .await;
    let mut console = Console::open(server.address);
    let said = console.until("three lists", |s| count(s, "synced") == 3).await;
    assert_eq!(said, ["loading", "begin", "+a", "synced", "begin", "+b", "synced", "begin", "+c", "synced"]);
}

#[tokio::test]
async fn denied_is_absent_and_a_refresh_asks_again() {
    let server =
        Server::start(vec![refuse(403, ""), stream(&[event("ADDED", "a", 1), end_of_list(5)], Then::Hang)]).await;
    let mut console = Console::open(server.address);
    let said = console.until("the denial", |s| has(s, "denied")).await;
    assert!(said.last().unwrap().contains("scripted 403"), "{said:?}");
    let started = clock::instant();
    while server.asked().len() < 2 && started.elapsed() < DEADLINE {
        console.sources.refresh();
        tokio::task::yield_now().await;
    }
    assert!(server.asked().len() >= 2, "a refresh, however often, reaches what was denied");
    console.until("the list", |s| has(s, "synced")).await;
}

#[tokio::test]
async fn throttled_waits_as_long_as_it_is_told() {
    let server = Server::start(vec![
        refuse(429, "Retry-After: 2\r\n"),
        stream(&[event("ADDED", "a", 1), end_of_list(5)], Then::Hang),
    ])
    .await;
    let mut console = Console::open(server.address);
    let said = console.until("the list", |s| has(s, "synced")).await;
    assert!(has(&said, "down: throttled by the server and asks to wait 2 s"), "{said:?}");
    let asked = server.asked();
    assert!(asked[1].0 - asked[0].0 >= Duration::from_secs(2));
}

#[tokio::test]
async fn a_failing_server_makes_complete_data_stale_then_live() {
    let server = Server::start(vec![
        stream(&[event("ADDED", "a", 1), end_of_list(5)], Then::Finish),
        refuse(500, ""),
        stream(&[event("ADDED", "b", 6)], Then::Hang),
    ])
    .await;
    let mut console = Console::open(server.address);
    let said = console.until("the change after the failure", |s| has(s, "+b")).await;
    assert!(said[4].starts_with("stale: the server answered 500: scripted 500"), "{said:?}");
    assert_eq!(said[5..], ["live", "+b"]);
    assert!(server.asked()[2].1.contains("resourceVersion=5"));
}

#[tokio::test]
async fn a_connection_that_hangs_is_stale_after_a_missed_bookmark() {
    let bookmark = r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7"}}}"#.to_owned();
    let server = Server::start(vec![
        stream(&[event("ADDED", "a", 1), end_of_list(5), bookmark], Then::Hang),
        stream(&[event("ADDED", "b", 8)], Then::Hang),
    ])
    .await;
    let mut console = Console::open_with(server.address, "{}", Duration::from_millis(300));
    let said = console.until("the change after the silence", |s| has(s, "+b")).await;
    let at = said.iter().position(|s| s.starts_with("stale: ")).expect("said to be stale");
    assert_eq!(said[at + 1..], ["live", "+b"], "{said:?}");
    assert!(server.asked()[1].1.contains("resourceVersion=7"), "it goes on where it was");
}

#[tokio::test]
async fn refused_credentials_are_read_again() {
    let server =
        Server::start(vec![refuse(401, ""), stream(&[event("ADDED", "a", 1), end_of_list(5)], Then::Hang)]).await;
    let mut console = Console::open(server.address);
    let said = console.until("the list", |s| has(s, "synced")).await;
    assert!(has(&said, "down: credentials were refused (401)"), "{said:?}");
}

#[tokio::test]
async fn a_failing_credential_command_is_told_without_its_arguments_and_variables() {
    let server = Server::start(vec![]).await;
    let user = r#"{exec: {apiVersion: client.authentication.k8s.io/v1, command: sh, interactiveMode: Never, args: ["-c", "echo on-stdout; echo the session has expired >&2; exit 3", in-argument], env: [{name: KEY, value: in-variable}]}}"#;
    let mut console = Console::open_as(server.address, user);
    let said = console.until("the failure", |s| has(s, "down: ")).await;
    let down = said.last().unwrap();
    assert!(down.starts_with("down: no credentials: ") && down.contains("the session has expired"), "{down}");
    for secret in ["on-stdout", "in-argument", "in-variable", "KUBERNETES_EXEC_INFO"] {
        assert!(!down.contains(secret), "{down}");
    }
    assert!(server.asked().is_empty(), "nothing is asked without credentials");
}

#[tokio::test]
async fn garbage_is_named_and_not_repeated_on_the_screen() {
    let server = Server::start(vec![
        whole("<html>please log in</html>\n"),
        stream(&[event("ADDED", "a", 1), end_of_list(5)], Then::Hang),
    ])
    .await;
    let mut console = Console::open(server.address);
    let said = console.until("the list", |s| has(s, "synced")).await;
    let down = said.iter().find(|s| s.starts_with("down: ")).expect("a failure is shown");
    assert!(down.contains("is not what this API sends") && !down.contains("html"), "{down}");
}

#[tokio::test]
async fn a_malformed_object_is_skipped_and_the_rest_is_read() {
    let bad = r#"{"type":"ADDED","object":{"metadata":{"name":7}}}"#.to_owned();
    let server =
        Server::start(vec![stream(&[event("ADDED", "a", 1), bad, event("ADDED", "b", 2), end_of_list(5)], Then::Hang)])
            .await;
    let mut console = Console::open(server.address);
    let said = console.until("the list", |s| has(s, "synced")).await;
    assert!(has(&said, "note: skipped: "), "{said:?}");
    assert!(said.join(" ").contains('b'), "{said:?}");
}

#[tokio::test]
async fn a_cut_in_the_middle_of_an_object_goes_on_from_the_last_whole_one() {
    let half = event("ADDED", "c", 7)[..40].to_owned();
    let mut first = stream(&[event("ADDED", "a", 1), end_of_list(5), event("ADDED", "b", 6)], Then::Cut);
    first.chunks.push(half);
    let server = Server::start(vec![first, stream(&[event("ADDED", "c", 7)], Then::Hang)]).await;
    let mut console = Console::open(server.address);
    let said = console.until("the object that was cut", |s| has(s, "+c")).await;
    assert_eq!(said, ["loading", "begin", "+a", "synced", "+b", "+c"]);
    assert!(server.asked()[1].1.contains("resourceVersion=6"));
}

#[tokio::test]
async fn a_list_cut_short_is_never_taken_for_complete() {
    let server = Server::start(vec![
        stream(&[event("ADDED", "a", 1)], Then::Cut),
        stream(&[event("ADDED", "a", 1), event("ADDED", "b", 2), end_of_list(5)], Then::Hang),
    ])
    .await;
    let mut console = Console::open(server.address);
    let said = console.until("the list", |s| has(s, "synced")).await;
    assert_eq!((count(&said, "begin"), count(&said, "synced")), (2, 1), "{said:?}");
    assert!(has(&said, "down: cannot reach"), "{said:?}");
}

#[tokio::test]
async fn unreachable_then_up() {
    // A port that was ours a moment ago: nobody listens there.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut console = Console::open(address);
    let said = console.until("the failure", |s| has(s, "down: ")).await;
    assert!(said.last().unwrap().contains(&format!("cannot reach {address}")), "{said:?}");
    let listener = TcpListener::bind(address).await.unwrap();
    let _server = Server::on(listener, vec![stream(&[event("ADDED", "a", 1), end_of_list(5)], Then::Hang)]);
    console.sources.refresh();
    console.until("the list", |s| has(s, "synced")).await;
}

/// A pod whose container was restarted so often, is in this state, and ended with 1 before.
fn pod(restarts: u32, state: &str) -> Reply {
    whole(&format!(
        r#"{{"metadata":{{"name":"p","uid":"u","managedFields":[1]}},"spec":{{"containers":[{{"name":"c"}}]}},"status":{{"containerStatuses":[{{"name":"c","restartCount":{restarts},"state":{state},"lastState":{{"terminated":{{"exitCode":1}}}}}}]}}}}"#
    ))
}

const RUNS: &str = r#"{"running":{}}"#;
const BACKS_OFF: &str = r#"{"waiting":{"reason":"CrashLoopBackOff"}}"#;
const COMPLETED: &str =
    r#"{"terminated":{"exitCode":0}}}],"phase":"Succeeded","initContainerStatuses":[{"name":"i","state":{}"#;

fn line(second: u32, text: &str) -> String {
    format!("2026-01-02T03:04:0{second}Z {text}")
}

fn told(item: LogItem) -> String {
    match item {
        LogItem::Line(line) => line.raw,
        LogItem::Marker { text, .. } => format!("-- {text}"),
        LogItem::Ended { why, .. } => format!("== {why}"),
    }
}

/// Everything that following the log of pod `p` brings, until it ends.
async fn followed(log: Vec<Reply>, pods: Vec<Reply>) -> (Vec<String>, Vec<String>) {
    let server = Server::start(log).await;
    server.shared.log.store(true, std::sync::atomic::Ordering::Relaxed);
    server.shared.pod.lock().unwrap().extend(pods);
    let console = Console::open(server.address);
    let cluster = ClusterId::new("x");
    let reader = console.sources.reader(&cluster).expect("x is read");
    let request = LogStream {
        task: ObjectId { cluster, kind: Kind::Task, namespace: Text::new("web"), name: Text::new("p") },
        container: Text::new("c"),
        follow: true,
        since_secs: None,
        tail: Some(10),
        previous: false,
        uid: Text::new("u"),
        restarts: Some(0),
    };
    let items = reader.logs(request).map(|i| i.map_or_else(|e| format!("!! {e}"), told)).collect::<Vec<_>>();
    let items = tokio::time::timeout(DEADLINE, items).await.expect("the log ends");
    (items, server.asked().into_iter().map(|(_, path)| path).collect())
}

#[tokio::test]
async fn a_followed_log_goes_on_with_the_restarted_container() {
    let mut cut = stream(&[line(1, "one"), line(2, "two")], Then::Cut);
    cut.chunks.push("2026-01-02T03:04:02Z last wo".to_owned());
    let (items, asked) = followed(
        vec![
            cut,
            stream(&[line(2, "two"), line(2, "last words")], Then::Finish),
            stream(&[line(4, "new"), line(5, "newer")], Then::Finish),
        ],
        vec![pod(1, RUNS), refuse(404, "")],
    )
    .await;
    // What the first instance said last, after the cut, is not lost.
    let restarted = "-- container restarted (exit 1)";
    assert_eq!(items, ["one", "two", "last words", restarted, "new", "newer", "== the pod is gone"]);
    assert!(asked.iter().any(|a| a.contains("previous=true") && a.contains("sinceTime=")), "{asked:?}");
}

#[tokio::test]
async fn a_followed_log_waits_for_a_crashing_container_and_says_so() {
    let (items, asked) = followed(
        vec![
            stream(&[line(1, "one")], Then::Finish),
            stream(&[line(1, "one"), line(1, "last words")], Then::Finish),
            stream(&[line(3, "two")], Then::Finish),
        ],
        vec![pod(0, BACKS_OFF), pod(0, BACKS_OFF), pod(1, RUNS), pod(1, COMPLETED)],
    )
    .await;
    let waits = "-- container exited (exit 1), waiting for its restart";
    let restarted = "-- container restarted (exit 1)";
    let over = "== the container ended (exit 0) and will not run again";
    assert_eq!(items, ["one", waits, "last words", restarted, "two", over]);
    assert!(asked[1].contains("previous=true") && !asked[1].contains("follow"), "{asked:?}");
    assert!(asked[2].contains("follow=true") && asked[2].contains("sinceTime=2026-01-02T03%3A04%3A01Z"), "{asked:?}");
}

#[tokio::test]
async fn an_instance_that_came_and_went_between_two_looks_has_its_lines_after_the_marker() {
    let (items, asked) = followed(
        vec![
            stream(&[line(1, "one")], Then::Finish),
            // Of a container that waits, "previous" would be this same log.
            stream(&[line(3, "two")], Then::Finish),
            stream(&[line(5, "three")], Then::Finish),
            stream(&[line(7, "four")], Then::Finish),
        ],
        vec![pod(1, BACKS_OFF), pod(1, BACKS_OFF), pod(3, RUNS), refuse(404, "")],
    )
    .await;
    let restarted = "-- container restarted (exit 1)";
    let waits = "-- container exited (exit 1), waiting for its restart";
    let twice = "-- container restarted";
    assert_eq!(items, ["one", restarted, "two", waits, twice, "three", restarted, "four", "== the pod is gone"]);
    let previous: Vec<bool> = asked.iter().map(|a| a.contains("previous=true")).collect();
    assert_eq!(previous, [false, false, true, false]);
}

#[tokio::test]
async fn a_followed_log_waits_for_a_container_that_has_not_begun() {
    let pending = |reason: &str| {
        whole(&format!(
            r#"{{"metadata":{{"uid":"u"}},"spec":{{"containers":[{{"name":"c"}}]}},"status":{{"containerStatuses":[{{"name":"c","state":{{"waiting":{{"reason":"{reason}"}}}}}}]}}}}"#
        ))
    };
    let (items, _) = followed(
        vec![refuse(400, ""), stream(&[line(1, "one")], Then::Finish)],
        vec![pending("ContainerCreating"), pending("ErrImagePull"), pod(0, RUNS), refuse(404, "")],
    )
    .await;
    assert_eq!(items, ["-- container is waiting: ErrImagePull", "one", "== the pod is gone"]);
}

#[tokio::test]
async fn another_pod_of_the_same_name_is_not_taken_for_it() {
    let other = whole(r#"{"metadata":{"name":"p","uid":"another"},"status":{}}"#);
    let (items, _) = followed(vec![stream(&[line(1, "one")], Then::Finish)], vec![other]).await;
    assert_eq!(items, ["one", "== the pod is gone; another one has its name"]);
}

#[tokio::test]
async fn a_server_that_fails_for_a_while_does_not_end_a_followed_log() {
    let mut log = vec![stream(&[line(1, "one")], Then::Cut)];
    log.extend((0..4).map(|_| refuse(503, "")));
    log.push(stream(&[line(1, "one"), line(2, "two")], Then::Finish));
    let mut pods: Vec<Reply> = (0..5).map(|_| pod(0, RUNS)).collect();
    pods.push(refuse(404, ""));
    let (items, _) = followed(log, pods).await;
    assert_eq!(items[0], "one");
    assert!(items[1].starts_with("-- reading was cut: ") && items[1].contains("scripted 503"), "{items:?}");
    assert_eq!(items[2..], ["two", "== the pod is gone"]);
}

#[tokio::test]
async fn a_followed_log_survives_a_cut_without_repeating_lines() {
    let mut first = stream(&[line(1, "one"), line(2, "two"), line(2, "two again")], Then::Cut);
    first.chunks.push("2026-01-02T03:04:03Z thr".to_owned());
    let server = Server::start(vec![
        first,
        stream(&[line(2, "two"), line(2, "two again"), line(3, "three \u{1b}[31mred")], Then::Finish),
    ])
    .await;
    server.shared.log.store(true, std::sync::atomic::Ordering::Relaxed);
    server.shared.pod.lock().unwrap().push_back(pod(0, COMPLETED));
    let console = Console::open(server.address);
    let cluster = ClusterId::new("x");
    let reader = console.sources.reader(&cluster).expect("x is read");
    let task = ObjectId { cluster, kind: Kind::Task, namespace: Text::new("web"), name: Text::new("p") };
    let request = LogStream {
        task: task.clone(),
        container: Text::new("c"),
        follow: true,
        since_secs: None,
        tail: Some(10),
        previous: false,
        uid: Text::empty(),
        restarts: None,
    };
    let lines = tokio::time::timeout(DEADLINE, reader.logs(request).map(|l| told(l.unwrap())).collect::<Vec<_>>());
    let ended = "== the container ended (exit 0) and will not run again";
    assert_eq!(lines.await.unwrap(), ["one", "two", "two again", "three \u{1b}[31mred", ended]);
    let pod = reader.object(&task).await.unwrap();
    assert!(pod["metadata"].get("managedFields").is_none());
    assert_eq!(reader.version().await.unwrap(), "v1.99.0");
}
