//! Deployments, replica sets, stateful sets, daemon sets, jobs and cron jobs.

use serde_json::Value;

use super::{containers, created, items, labels_text, n, name, or, s, selector_text, since, time};
use crate::domain::Timestamp;
use crate::domain::age;

const TEMPLATE: &str = "/spec/template/spec/containers";

/// The API server's default of one replica is in every stored object.
fn replicas(o: &Value) -> i64 {
    o.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1)
}

fn selector(o: &Value, pointer: &str) -> Value {
    let text = o.pointer(pointer).map(selector_text).unwrap_or_default();
    or(&text, "<none>").into()
}

pub(super) fn deployment(o: &Value, now: Timestamp) -> Vec<Value> {
    let (names, images) = containers(o, TEMPLATE);
    vec![
        name(o),
        format!("{}/{}", n(o, "/status/readyReplicas"), replicas(o)).into(),
        n(o, "/status/updatedReplicas").into(),
        n(o, "/status/availableReplicas").into(),
        created(o, now),
        names,
        images,
        selector_text(&o["spec"]["selector"]).into(),
    ]
}

pub(super) fn replicaset(o: &Value, now: Timestamp) -> Vec<Value> {
    let (names, images) = containers(o, TEMPLATE);
    vec![
        name(o),
        replicas(o).into(),
        n(o, "/status/replicas").into(),
        n(o, "/status/readyReplicas").into(),
        created(o, now),
        names,
        images,
        selector(o, "/spec/selector"),
    ]
}

pub(super) fn statefulset(o: &Value, now: Timestamp) -> Vec<Value> {
    let (names, images) = containers(o, TEMPLATE);
    let ready = format!("{}/{}", n(o, "/status/readyReplicas"), replicas(o));
    vec![name(o), ready.into(), created(o, now), names, images]
}

pub(super) fn daemonset(o: &Value, now: Timestamp) -> Vec<Value> {
    let (names, images) = containers(o, TEMPLATE);
    vec![
        name(o),
        n(o, "/status/desiredNumberScheduled").into(),
        n(o, "/status/currentNumberScheduled").into(),
        n(o, "/status/numberReady").into(),
        n(o, "/status/updatedNumberScheduled").into(),
        n(o, "/status/numberAvailable").into(),
        labels_text(&o["spec"]["template"]["spec"]["nodeSelector"]).into(),
        created(o, now),
        names,
        images,
        selector(o, "/spec/selector"),
    ]
}

pub(super) fn job(o: &Value, now: Timestamp) -> Vec<Value> {
    let succeeded = n(o, "/status/succeeded");
    let completions = match o.pointer("/spec/completions").and_then(Value::as_i64) {
        Some(wanted) => format!("{succeeded}/{wanted}"),
        None => match n(o, "/spec/parallelism") {
            parallelism @ 2.. => format!("{succeeded}/1 of {parallelism}"),
            _ => format!("{succeeded}/1"),
        },
    };
    let duration = time(s(o, "/status/startTime")).map_or_else(String::new, |start| {
        age::human_duration((time(s(o, "/status/completionTime")).unwrap_or(now) - start).num_seconds())
    });
    let (names, images) = containers(o, TEMPLATE);
    vec![
        name(o),
        job_status(o).into(),
        completions.into(),
        duration.into(),
        created(o, now),
        names,
        images,
        selector(o, "/spec/selector"),
    ]
}

fn job_status(o: &Value) -> &'static str {
    let is = |kind: &str| {
        let found = items(o, "/status/conditions").iter().find(|c| s(c, "/type") == kind);
        found.is_some_and(|c| s(c, "/status") == "True")
    };
    match () {
        () if is("Complete") => "Complete",
        () if is("Failed") => "Failed",
        () if !s(o, "/metadata/deletionTimestamp").is_empty() => "Terminating",
        () if is("Suspended") => "Suspended",
        () if is("FailureTarget") => "FailureTarget",
        () if is("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    }
}

pub(super) fn cronjob(o: &Value, now: Timestamp) -> Vec<Value> {
    let last = match s(o, "/status/lastScheduleTime") {
        "" => "<none>".to_owned(),
        _ => since(o, "/status/lastScheduleTime", now),
    };
    // printBoolPtr: a bool prints as Go does.
    let suspend = match o.pointer("/spec/suspend") {
        Some(Value::Bool(true)) => "True",
        Some(Value::Bool(false)) => "False",
        _ => "<unset>",
    };
    let (names, images) = containers(o, "/spec/jobTemplate/spec/template/spec/containers");
    vec![
        name(o),
        s(o, "/spec/schedule").into(),
        or(s(o, "/spec/timeZone"), "<none>").into(),
        suspend.into(),
        items(o, "/status/active").len().into(),
        last.into(),
        created(o, now),
        names,
        images,
        selector(o, "/spec/jobTemplate/spec/selector"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn jobs() {
        let now = time("2026-01-01T01:00:00Z").expect("a time");
        let done = json!({"metadata": {"name": "j", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"completions": 2},
            "status": {"succeeded": 2, "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:01:30Z",
                "conditions": [{"type": "Complete", "status": "True"}]}});
        assert_eq!(job(&done, now)[..5], [json!("j"), json!("Complete"), json!("2/2"), json!("90s"), json!("60m")]);
        let wide = json!({"spec": {"parallelism": 3}, "status": {"succeeded": 1}});
        assert_eq!(job(&wide, now)[1..4], [json!("Running"), json!("1/1 of 3"), json!("")]);
    }

    #[test]
    fn deployments() {
        let o = json!({"metadata": {"name": "web"}, "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}},
            "template": {"spec": {"containers": [{"name": "a", "image": "x:1"}, {"name": "b", "image": "y:2"}]}}},
            "status": {"readyReplicas": 2, "updatedReplicas": 1, "availableReplicas": 2}});
        let cells = deployment(&o, Timestamp::default());
        assert_eq!(cells[1..4], [json!("2/3"), json!(1), json!(2)]);
        assert_eq!(cells[5..], [json!("a,b"), json!("x:1,y:2"), json!("app=web")]);
    }
}
