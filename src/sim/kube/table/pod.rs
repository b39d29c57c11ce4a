//! Pods: `printPod`.

use serde_json::{Value, json};

use super::{created, items, n, name, or, s, time};
use crate::domain::Timestamp;
use crate::domain::age;

/// Restarts so far and when the last run before one of them ended.
#[derive(Default, Clone, Copy)]
struct Restarts {
    count: i64,
    last: Option<Timestamp>,
}

impl Restarts {
    fn add(&mut self, status: &Value) {
        self.count += n(status, "/restartCount");
        self.last = self.last.max(time(s(status, "/lastState/terminated/finishedAt")));
    }
}

/// What the printer works out from a pod's containers.
struct Summary {
    ready: usize,
    total: usize,
    reason: String,
    restarts: Restarts,
}

pub(super) fn cells(pod: &Value, now: Timestamp) -> Vec<Value> {
    let sum = summary(pod);
    let restarts = match sum.restarts.last {
        Some(last) if sum.restarts.count != 0 => format!("{} ({} ago)", sum.restarts.count, age::age(Some(last), now)),
        _ => sum.restarts.count.to_string(),
    };
    vec![
        name(pod),
        format!("{}/{}", sum.ready, sum.total).into(),
        sum.reason.into(),
        restarts.into(),
        created(pod, now),
        or(s(pod, "/status/podIPs/0/ip"), "<none>").into(),
        or(s(pod, "/spec/nodeName"), "<none>").into(),
        or(s(pod, "/status/nominatedNodeName"), "<none>").into(),
        gates(pod).into(),
    ]
}

/// The row's condition once a pod has ended.
pub(super) fn conditions(pod: &Value) -> Option<Value> {
    let (reason, message) = match s(pod, "/status/phase") {
        "Succeeded" => ("Succeeded", "The pod has completed successfully."),
        "Failed" => ("Failed", "The pod failed."),
        _ => return None,
    };
    Some(json!([{"type": "Completed", "status": "True", "reason": reason, "message": message}]))
}

fn summary(pod: &Value) -> Summary {
    let mut reason = or(s(pod, "/status/reason"), s(pod, "/status/phase")).to_owned();
    let gated = |c: &&Value| s(c, "/type") == "PodScheduled" && s(c, "/reason") == "SchedulingGated";
    if items(pod, "/status/conditions").iter().any(|c| gated(&c)) {
        "SchedulingGated".clone_into(&mut reason);
    }
    let sidecars = items(pod, "/spec/initContainers").iter().filter(|c| s(c, "/restartPolicy") == "Always").count();
    let mut sum = Summary {
        ready: 0,
        total: items(pod, "/spec/containers").len() + sidecars,
        reason,
        restarts: Restarts::default(),
    };
    let mut of_sidecars = Restarts::default();
    let initializing = init(pod, &mut sum, &mut of_sidecars);
    if !initializing || condition_is_true(pod, "Initialized") {
        sum.restarts = of_sidecars;
        main(pod, &mut sum);
    }
    deletion(pod, &mut sum);
    sum
}

/// Init containers in order, up to the first that is not done. True while one is not.
fn init(pod: &Value, sum: &mut Summary, of_sidecars: &mut Restarts) -> bool {
    let specs = items(pod, "/spec/initContainers");
    for (i, status) in items(pod, "/status/initContainerStatuses").iter().enumerate() {
        let sidecar = specs.iter().any(|c| s(c, "/name") == s(status, "/name") && s(c, "/restartPolicy") == "Always");
        sum.restarts.add(status);
        if sidecar {
            of_sidecars.add(status);
        }
        let terminated = status.pointer("/state/terminated");
        if terminated.is_some_and(|t| n(t, "/exitCode") == 0) {
            continue;
        }
        if sidecar && status["started"] == true {
            sum.ready += usize::from(status["ready"] == true);
            continue;
        }
        let waiting = s(status, "/state/waiting/reason");
        sum.reason = if let Some(t) = terminated {
            format!("Init:{}", ended_as(t))
        } else if !waiting.is_empty() && waiting != "PodInitializing" {
            format!("Init:{waiting}")
        } else {
            format!("Init:{i}/{}", specs.len())
        };
        return true;
    }
    false
}

/// The main containers, last first, so that the first one's reason wins.
fn main(pod: &Value, sum: &mut Summary) {
    let mut running = false;
    let mut error = String::new();
    for status in items(pod, "/status/containerStatuses").iter().rev() {
        sum.restarts.add(status);
        let waiting = s(status, "/state/waiting/reason");
        if !waiting.is_empty() {
            waiting.clone_into(&mut sum.reason);
        } else if let Some(t) = status.pointer("/state/terminated") {
            sum.reason = ended_as(t);
            if n(t, "/exitCode") != 0 {
                error.clone_from(&sum.reason);
            }
        } else if status["ready"] == true && status.pointer("/state/running").is_some() {
            running = true;
            sum.ready += 1;
        }
    }
    if sum.reason == "Completed" {
        if running && condition_is_true(pod, "Ready") {
            "Running".clone_into(&mut sum.reason);
        } else if !error.is_empty() {
            sum.reason = error;
        } else if running {
            "NotReady".clone_into(&mut sum.reason);
        }
    }
}

fn deletion(pod: &Value, sum: &mut Summary) {
    if s(pod, "/metadata/deletionTimestamp").is_empty() {
        return;
    }
    if s(pod, "/status/reason") == "NodeLost" {
        "Unknown".clone_into(&mut sum.reason);
    } else if !matches!(s(pod, "/status/phase"), "Succeeded" | "Failed") {
        "Terminating".clone_into(&mut sum.reason);
    }
}

/// A terminated state's reason, or its signal or exit code.
fn ended_as(terminated: &Value) -> String {
    let (reason, signal) = (s(terminated, "/reason"), n(terminated, "/signal"));
    if !reason.is_empty() {
        reason.to_owned()
    } else if signal != 0 {
        format!("Signal:{signal}")
    } else {
        format!("ExitCode:{}", n(terminated, "/exitCode"))
    }
}

fn condition_is_true(pod: &Value, kind: &str) -> bool {
    let found = items(pod, "/status/conditions").iter().find(|c| s(c, "/type") == kind);
    found.is_some_and(|c| s(c, "/status") == "True")
}

fn gates(pod: &Value) -> String {
    let gates = items(pod, "/spec/readinessGates");
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let open = gates.iter().filter(|g| condition_is_true(pod, s(g, "/conditionType"))).count();
    format!("{open}/{}", gates.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pod: &Value) -> [String; 3] {
        let now = time("2026-01-01T01:00:00Z").expect("a time");
        let cells = cells(pod, now);
        [1, 2, 3].map(|i| cells[i].as_str().expect("text").to_owned())
    }

    #[test]
    fn shapes() {
        let running = json!({"name": "a", "ready": true, "restartCount": 0, "state": {"running": {}}});
        let crashing = json!({"name": "a", "ready": false, "restartCount": 3,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:55:00Z"}}});
        let one = json!([{"name": "a"}]);
        let ready = json!([{"type": "Ready", "status": "True"}]);
        let done =
            json!({"name": "b", "restartCount": 0, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}});
        for (pod, want) in [
            (
                json!({"spec": {"containers": one}, "status": {"phase": "Running", "containerStatuses": [running]}}),
                ["1/1", "Running", "0"],
            ),
            (
                json!({"spec": {"containers": one}, "status": {"phase": "Running", "containerStatuses": [crashing]}}),
                ["0/1", "CrashLoopBackOff", "3 (5m ago)"],
            ),
            (json!({"spec": {"containers": one}, "status": {"phase": "Pending"}}), ["0/1", "Pending", "0"]),
            (
                json!({"spec": {"containers": one}, "status": {"phase": "Failed", "reason": "Evicted"}}),
                ["0/1", "Evicted", "0"],
            ),
            (
                json!({"spec": {"containers": one}, "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]}}),
                ["0/1", "SchedulingGated", "0"],
            ),
            (
                json!({"metadata": {"deletionTimestamp": "2026-01-01T00:59:00Z"}, "spec": {"containers": one}, "status": {"phase": "Running", "containerStatuses": [running]}}),
                ["1/1", "Terminating", "0"],
            ),
            (
                json!({"metadata": {"deletionTimestamp": "2026-01-01T00:59:00Z"}, "spec": {"containers": one}, "status": {"phase": "Running", "reason": "NodeLost", "containerStatuses": [running]}}),
                ["1/1", "Unknown", "0"],
            ),
            (
                json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}, "status": {"phase": "Running", "conditions": ready, "containerStatuses": [running, done]}}),
                ["1/2", "Running", "0"],
            ),
            (
                json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}, "status": {"phase": "Running", "containerStatuses": [running, done]}}),
                ["1/2", "NotReady", "0"],
            ),
            (
                json!({"spec": {"containers": one, "initContainers": [{"name": "i"}, {"name": "j"}]}, "status": {"phase": "Pending", "initContainerStatuses": [{"name": "i", "state": {"terminated": {"exitCode": 0}}}, {"name": "j", "state": {"running": {}}}]}}),
                ["0/1", "Init:1/2", "0"],
            ),
            (
                json!({"spec": {"containers": one, "initContainers": [{"name": "i"}]}, "status": {"phase": "Pending", "initContainerStatuses": [{"name": "i", "restartCount": 2, "state": {"terminated": {"exitCode": 7}}}]}}),
                ["0/1", "Init:ExitCode:7", "2"],
            ),
            (
                json!({"spec": {"containers": one, "initContainers": [{"name": "i"}]}, "status": {"phase": "Pending", "initContainerStatuses": [{"name": "i", "restartCount": 0, "state": {"waiting": {"reason": "ImagePullBackOff"}}}]}}),
                ["0/1", "Init:ImagePullBackOff", "0"],
            ),
            (
                json!({"spec": {"containers": one, "initContainers": [{"name": "i", "restartPolicy": "Always"}]}, "status": {"phase": "Running", "initContainerStatuses": [{"name": "i", "restartCount": 1, "started": true, "ready": true, "state": {"running": {}}}], "containerStatuses": [running]}}),
                ["2/2", "Running", "1"],
            ),
            (
                json!({"spec": {"containers": one}, "status": {"phase": "Failed", "containerStatuses": [{"name": "a", "restartCount": 0, "state": {"terminated": {"exitCode": 137, "signal": 9}}}]}}),
                ["0/1", "Signal:9", "0"],
            ),
        ] {
            assert_eq!(shown(&pod), want.map(str::to_owned), "{pod}");
        }
    }
}
