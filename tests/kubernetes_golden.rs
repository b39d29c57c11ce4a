//! READY, STATUS and RESTARTS against what kubectl printed of the same pods on
//! a real API server (`tests/golden/capture.sh` captures both again).
#![expect(clippy::expect_used, clippy::panic, reason = "a test says what it expected by failing")]
#![cfg(feature = "kubernetes")]

use std::collections::HashMap;

use quarterdeck::domain::{ClusterId, Health, Kind, Task, Workload};
use quarterdeck::source::kubernetes::project::{Projector, Row};
use quarterdeck::store::Feed;
use serde_json::value::RawValue;

#[derive(serde::Deserialize)]
struct List {
    items: Vec<Box<RawValue>>,
}

fn pods() -> HashMap<String, Task> {
    let list: List = serde_json::from_str(include_str!("golden/pods.json")).expect("a list");
    let mut projector = Projector::new(ClusterId::new("golden"));
    list.items
        .iter()
        .map(|raw| match projector.row(Feed::Tasks, raw.get()) {
            Ok(Row::Task(task)) => (task.id.name.to_string(), task),
            other => panic!("no pod: {other:?}"),
        })
        .collect()
}

#[test]
fn pods_read_as_kubectl_prints_them() {
    let pods = pods();
    let mut seen = 0;
    for line in include_str!("golden/pods.txt").lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, ready, status, restarts, rest @ ..] = &words[..] else { panic!("{line}") };
        let task = pods.get(*name).unwrap_or_else(|| panic!("no pod {name}"));
        assert_eq!(task.ready_text(), *ready, "{name}: READY");
        assert_eq!(task.status.as_str(), *status, "{name}: STATUS");
        assert_eq!(task.restarts.to_string(), *restarts, "{name}: RESTARTS");
        // `3 (10h ago)` against `3`: that there is a time, not which.
        let has_time = rest.first().is_some_and(|w| w.starts_with('('));
        assert_eq!(task.last_restart.is_some(), has_time, "{name}: when it restarted");
        seen += 1;
    }
    assert!(seen >= 25, "only {seen} shapes");
    assert_eq!(seen, pods.len());
}

#[test]
fn what_is_broken_is_ranked_as_broken() {
    for (name, task) in pods() {
        let wanted = match task.status.as_str() {
            "CrashLoopBackOff"
            | "ImagePullBackOff"
            | "ErrImagePull"
            | "OOMKilled"
            | "Init:CrashLoopBackOff"
            | "CreateContainerConfigError" => Health::Critical,
            "Completed" => Health::Done,
            "Terminating" | "ContainerCreating" | "PodInitializing" | "SchedulingGated" => Health::Progressing,
            "Running" if task.ready == task.containers_total => Health::Ok,
            _ => continue,
        };
        assert_eq!(task.health, wanted, "{name} is {}", task.status);
    }
}

/// The rows of a golden list.
fn rows(feed: impl Fn(&str) -> Feed, json: &str) -> Vec<Row> {
    #[derive(serde::Deserialize)]
    struct Named {
        kind: String,
    }
    let list: List = serde_json::from_str(json).expect("a list");
    let mut projector = Projector::new(ClusterId::new("golden"));
    let mut row = |raw: &RawValue| {
        let named: Named = serde_json::from_str(raw.get()).expect("an object");
        projector.row(feed(&named.kind), raw.get()).expect("a row")
    };
    list.items.iter().map(|raw| row(raw)).collect()
}

#[test]
fn nodes_read_as_kubectl_prints_them() {
    let nodes = rows(|_| Feed::Nodes, include_str!("golden/nodes.json"));
    let lines: Vec<&str> = include_str!("golden/nodes.txt").lines().collect();
    assert!(lines.len() >= 10 && lines.len() == nodes.len(), "{} shapes", lines.len());
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, status, roles, _age, version] = &words[..] else { panic!("{line}") };
        let node = nodes.iter().find_map(|r| match r {
            Row::Node(n) if n.id.name == *name => Some(n),
            _ => None,
        });
        let node = node.unwrap_or_else(|| panic!("no node {name}"));
        assert_eq!(node.status, *status, "{name}: STATUS");
        assert_eq!(node.roles, *roles, "{name}: ROLES");
        assert_eq!(node.version, *version, "{name}: VERSION");
    }
}

/// kubectl's columns of a kind, from the counts of ours.
fn printed(w: &Workload) -> Vec<String> {
    let r = w.replicas;
    let of = |n: u32| format!("{n}/{}", r.desired);
    let number = |n: &u32| n.to_string();
    match w.id.kind {
        Kind::Deployment => vec![of(r.ready), r.updated.to_string(), r.available.to_string()],
        Kind::StatefulSet => vec![of(r.ready)],
        Kind::DaemonSet => [r.desired, r.current, r.ready, r.updated, r.available].iter().map(number).collect(),
        Kind::ReplicaSet => [r.desired, r.current, r.ready].iter().map(number).collect(),
        Kind::Job => vec![w.status.to_string(), of(r.available)],
        Kind::CronJob => w.schedule.as_str().split(' ').map(ToOwned::to_owned).collect(),
        other => panic!("{other:?} is no workload"),
    }
}

#[test]
fn workloads_read_as_kubectl_prints_them() {
    let feed = |kind: &str| match kind {
        "Deployment" => Feed::Deployments,
        "StatefulSet" => Feed::StatefulSets,
        "DaemonSet" => Feed::DaemonSets,
        "ReplicaSet" => Feed::ReplicaSets,
        "Job" => Feed::Jobs,
        "CronJob" => Feed::CronJobs,
        other => panic!("{other}"),
    };
    let workloads = rows(feed, include_str!("golden/workloads.json"));
    let mut seen = 0;
    for line in include_str!("golden/workloads.txt").lines() {
        let (what, columns) = line.split_once(char::is_whitespace).expect("a name and columns");
        let (kind, name) = what.split_once('/').expect("a kind and a name");
        let kind = kind.split('.').next().unwrap_or_default();
        let workload = workloads.iter().find_map(|r| match r {
            Row::Workload(w) if w.id.name == name && w.id.kind.kubernetes().eq_ignore_ascii_case(kind) => Some(w),
            _ => None,
        });
        let workload = workload.unwrap_or_else(|| panic!("no {what}"));
        let wanted: Vec<String> = columns.split_whitespace().map(ToOwned::to_owned).collect();
        let ours = printed(workload);
        assert_eq!(ours[..], wanted[..ours.len()], "{what}");
        if workload.id.kind == Kind::CronJob {
            let suspended = columns.contains("True");
            assert_eq!(workload.status == "Suspended", suspended, "{what}: SUSPEND");
        }
        seen += 1;
    }
    assert!(seen >= 15 && seen == workloads.len(), "{seen} of {}", workloads.len());
}

#[test]
fn protobuf_reads_as_json_does() {
    for (feed, json, protobuf) in [
        (Feed::Tasks, include_str!("golden/pods.json"), &include_bytes!("golden/pods.pb")[..]),
        (Feed::Nodes, include_str!("golden/nodes.json"), &include_bytes!("golden/nodes.pb")[..]),
    ] {
        let mut projector = Projector::new(ClusterId::new("golden"));
        let read = projector.rows_of_protobuf(feed, protobuf).expect("rows");
        assert_eq!(read, rows(|_| feed, json));
        let cut = projector.rows_of_protobuf(feed, &protobuf[..protobuf.len() / 2]).expect_err("half a list");
        assert!(cut.to_string().contains("cut short"), "{cut}");
    }
}
