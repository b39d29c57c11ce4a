//! Our sources against a real API server (`tests/peers/controlplane`), counts
//! compared with kubectl's, across a restart of the server.
//!
//! Runs where `QUARTERDECK_CONTROLPLANE=1` is set, with `CONTROLPLANE_STATE`
//! naming a control plane that is up; skips loudly elsewhere.
#![cfg(feature = "kubernetes")]
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use quarterdeck::clock::{Clock, instant};
use quarterdeck::domain::{ClusterId, Freshness};
use quarterdeck::source::kubernetes::project::{Projector, Row};
use quarterdeck::source::kubernetes::{ClusterSpec, Kubeconfig, Sources};
use quarterdeck::store::{Feed, Observation, Store};
use tokio::sync::mpsc::Receiver;

fn run(arguments: &[&str]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/controlplane/run.sh");
    let out = Command::new(script).args(arguments).output().expect("run.sh runs");
    assert!(out.status.success(), "run.sh {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn kubectl_count(kind: &str) -> usize {
    run(&["kubectl", "get", kind, "-A", "--no-headers", "--ignore-not-found"]).lines().count()
}

async fn until(store: &mut Store, rx: &mut Receiver<Observation>, what: &str, done: impl Fn(&Store) -> bool) {
    let start = instant();
    while !done(store) {
        let left = Duration::from_mins(1).saturating_sub(start.elapsed());
        if let Ok(next) = tokio::time::timeout(left, rx.recv()).await {
            store.apply(next.unwrap_or_else(|| panic!("the sources ended while waiting for {what}")));
        } else {
            let tasks = store.source(&ClusterId::new("plane"), Feed::Tasks).map(|s| &s.freshness);
            panic!("not within a minute: {what}; tasks are {tasks:?}");
        }
    }
}

/// How large the cluster is to be, for runs at full size.
fn size(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// The same pods and nodes, as JSON and as protobuf, must make the same rows.
async fn both_readings_agree(kubeconfig: &std::path::Path) {
    let file = kube::config::Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
    let config = kube::Config::from_custom_kubeconfig(file, &kube::config::KubeConfigOptions::default()).await;
    let client = kube::Client::try_from(config.expect("a configuration")).expect("a client");
    for (feed, path) in [(Feed::Tasks, "/api/v1/namespaces/shapes/pods"), (Feed::Nodes, "/api/v1/nodes")] {
        let mut projector = Projector::new(ClusterId::new("plane"));
        let (mut rows, mut difference) = (0, None);
        // Between the two requests something may change: then they are asked again.
        for _ in 0..5 {
            let body = get(&client, path, "application/json").await;
            let list: List = serde_json::from_slice(&body).expect("a list");
            let json: Vec<Row> = list.items.iter().map(|o| projector.row(feed, o.get()).expect("a row")).collect();
            let body = get(&client, path, "application/vnd.kubernetes.protobuf").await;
            let protobuf = projector.rows_of_protobuf(feed, &body).expect("the rows of a protobuf list");
            rows = json.len();
            difference = json.into_iter().zip(protobuf).find(|(a, b)| a != b);
            if difference.is_none() {
                break;
            }
        }
        assert!(difference.is_none(), "{path} reads differently as JSON and as protobuf: {difference:?}");
        assert!(rows >= 20, "only {rows} of {path}");
    }
}

#[derive(serde::Deserialize)]
struct List {
    items: Vec<Box<serde_json::value::RawValue>>,
}

async fn get(client: &kube::Client, path: &str, accept: &str) -> Vec<u8> {
    let request = http::Request::get(path).header(http::header::ACCEPT, accept);
    let response = client.send(request.body(kube::client::Body::empty()).expect("a request")).await.expect("an answer");
    assert!(response.status().is_success(), "{path}: {}", response.status());
    response.into_body().collect_bytes().await.expect("a whole answer").to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_equal_kubectl_s_before_and_after_the_server_is_gone() {
    if std::env::var("QUARTERDECK_CONTROLPLANE").as_deref() != Ok("1") {
        eprintln!(
            "SKIP: QUARTERDECK_CONTROLPLANE is not set; tests/peers/controlplane/README.md says how to start one"
        );
        return;
    }
    let state = PathBuf::from(std::env::var("CONTROLPLANE_STATE").expect("CONTROLPLANE_STATE"));
    let (wanted_nodes, wanted_pods) = (size("CONTROLPLANE_NODES", 20), size("CONTROLPLANE_PODS", 400));
    run(&["seed", "--nodes", &wanted_nodes.to_string(), "--pods", &wanted_pods.to_string()]);
    run(&["shapes"]);
    both_readings_agree(&state.join("kubeconfig")).await;
    let cluster = ClusterId::new("plane");
    let spec = ClusterSpec {
        id: cluster.clone(),
        context: None,
        kubeconfig: Kubeconfig::File(state.join("kubeconfig")),
        namespace: None,
        production: false,
        read_only: false,
        metrics_interval: Duration::from_secs(30),
        silence: quarterdeck::source::kubernetes::SILENCE,
    };
    let (tx, mut rx) = tokio::sync::mpsc::channel(256);
    let sources = Sources::spawn(vec![spec], tx, Clock::system());
    let mut store = Store::expecting([cluster.clone()]);
    let complete = |s: &Store| s.is_complete(&[Feed::Tasks, Feed::Nodes, Feed::Deployments, Feed::ReplicaSets]);
    until(&mut store, &mut rx, "complete lists", complete).await;
    let (pods, nodes) = (kubectl_count("pods"), kubectl_count("nodes"));
    assert!(pods >= wanted_pods && nodes >= wanted_nodes, "{pods} pods, {nodes} nodes");
    until(&mut store, &mut rx, "kubectl's count of pods", |s| s.tasks.len() == pods).await;
    assert_eq!(store.nodes.len(), nodes);
    let deployments =
        |s: &Store| s.workloads.rows().filter(|w| w.id.kind == quarterdeck::domain::Kind::Deployment).count();
    assert_eq!(deployments(&store), kubectl_count("deployments"));

    let fresh = |s: &Store, words: &[&str]| {
        s.source(&cluster, Feed::Tasks).is_some_and(|s| words.contains(&s.freshness.word()))
    };
    run(&["kill-apiserver"]);
    until(&mut store, &mut rx, "stale", |s| fresh(s, &["stale"])).await;
    assert_eq!(store.tasks.len(), pods, "what was shown stays, and says that it is stale");
    until(&mut store, &mut rx, "down", |s| fresh(s, &["down"])).await;
    run(&["start-apiserver"]);
    sources.refresh();
    until(&mut store, &mut rx, "live again", |s| fresh(s, &["live"])).await;
    let pods = kubectl_count("pods");
    until(&mut store, &mut rx, "the right count again", |s| s.tasks.len() == pods).await;
    let state = store.source(&cluster, Feed::TaskMetrics).map(|s| s.freshness.clone());
    assert!(
        matches!(
            state,
            Some(
                Freshness::Absent { .. } | Freshness::Loading { .. } | Freshness::Down { .. } | Freshness::Stale { .. }
            )
        ),
        "no metrics API is no harm: {state:?}"
    );
    sources.stop();
}
