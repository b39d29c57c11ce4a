//! READY, STATUS and RESTARTS against what kubectl printed of the same pods on
//! a real API server (`tests/golden/capture.sh` captures both again).
#![expect(clippy::expect_used, clippy::panic, reason = "a test says what it expected by failing")]
#![cfg(feature = "kubernetes")]

use std::collections::HashMap;

use quarterdeck::domain::{ClusterId, Health, Task};
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
