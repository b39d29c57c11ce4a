//! An object described: the useful parts first, then everything, then events.

use serde_json::Value;

use crate::domain::{Event, EventLevel, Health, Line, Task, Text, Timestamp, Tone, age::age};

/// Describes an object as the API returned it, with the row that is made of it if it is a task, and with
/// the events about it, newest last as `kubectl describe` has them. What is likely to say why comes
/// first: how it stands, its containers, its events.
#[must_use]
pub fn describe(object: &Value, task: Option<&Task>, events: &[Event], now: Timestamp) -> Vec<Line> {
    let mut out = Vec::new();
    head(object, task, now, &mut out);
    containers(object, now, &mut out);
    event_lines(events, now, &mut out);
    conditions(object, now, &mut out);
    metadata(object, &mut out);
    for part in ["spec", "status", "data"] {
        if let Some(value) = object.get(part).filter(|v| !is_empty(v)) {
            section(part, &mut out);
            out.extend(super::yaml::yaml(value));
        }
    }
    out
}

fn is_empty(v: &Value) -> bool {
    v.as_object().is_some_and(serde_json::Map::is_empty) || v.is_null()
}

fn section(title: &str, out: &mut Vec<Line>) {
    if !out.is_empty() {
        out.push(Line::new());
    }
    out.push(Line::new().with(title.to_uppercase(), Tone::Title));
}

fn field(name: &str, value: &str, tone: Tone, out: &mut Vec<Line>) {
    out.push(Line::new().with(format!("{name:<14} "), Tone::Key).with(Text::new(value).to_string(), tone));
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// `2026-03-01 03:10:10 UTC (3m50s ago)`.
fn moment(at: Timestamp, now: Timestamp) -> String {
    format!("{} ({} ago)", at.format("%Y-%m-%d %H:%M:%S UTC"), age(Some(at), now))
}

fn head(object: &Value, task: Option<&Task>, now: Timestamp, out: &mut Vec<Line>) {
    let kind = text(object, "/kind");
    out.push(
        Line::new()
            .with(format!("{kind} "), Tone::Dim)
            .with(Text::new(text(object, "/metadata/name")).to_string(), Tone::Title),
    );
    // In the phase `Running` are pods that crash all day long.
    if let Some(task) = task {
        field("status", &task.status, Tone::Health(task.health), out);
        if !task.message.is_empty() {
            field("message", &task.message, Tone::Warning, out);
        }
    }
    let told: &[(&str, &str)] = if task.is_some() {
        &[]
    } else {
        &[("phase", "/status/phase"), ("reason", "/status/reason"), ("message", "/status/message")]
    };
    for (name, pointer) in told.iter().chain(&[
        ("namespace", "/metadata/namespace"),
        ("node", "/spec/nodeName"),
        ("pod ip", "/status/podIP"),
        ("schedule", "/spec/schedule"),
    ]) {
        let value = text(object, pointer);
        if !value.is_empty() {
            let tone = if matches!(*name, "reason" | "message") { Tone::Warning } else { Tone::Plain };
            field(name, value, tone, out);
        }
    }
    for (name, pointer) in [("created", "/metadata/creationTimestamp"), ("deleting", "/metadata/deletionTimestamp")] {
        if let Ok(at) = text(object, pointer).parse::<Timestamp>() {
            field(name, &moment(at, now), Tone::Plain, out);
        }
    }
    let (spec, status) = (object.get("spec"), object.get("status"));
    let count = |v: Option<&Value>, k: &str| v.and_then(|v| v.get(k)).and_then(Value::as_u64).unwrap_or(0);
    if spec.is_some_and(|s| s.get("replicas").is_some()) {
        let line = format!(
            "{} wanted, {} ready, {} updated, {} available",
            count(spec, "replicas"),
            count(status, "readyReplicas"),
            count(status, "updatedReplicas"),
            count(status, "availableReplicas")
        );
        field("replicas", &line, Tone::Plain, out);
    }
}

/// What it belongs to, and what it is labelled with: seldom why it is unwell.
fn metadata(object: &Value, out: &mut Vec<Line>) {
    section("metadata", out);
    if let Some(owner) = object.pointer("/metadata/ownerReferences/0") {
        field("owner", &format!("{}/{}", text(owner, "/kind"), text(owner, "/name")), Tone::Plain, out);
    }
    for (name, pointer) in [("service acct", "/spec/serviceAccountName"), ("uid", "/metadata/uid")] {
        let value = text(object, pointer);
        if !value.is_empty() {
            field(name, value, Tone::Plain, out);
        }
    }
    pairs("labels", object.pointer("/metadata/labels"), out);
    pairs("annotations", object.pointer("/metadata/annotations"), out);
}

fn pairs(title: &str, map: Option<&Value>, out: &mut Vec<Line>) {
    let Some(map) = map.and_then(Value::as_object) else { return };
    for (i, (key, value)) in map.iter().enumerate() {
        let name = if i == 0 { title } else { "" };
        let mut value = Text::new(value.as_str().unwrap_or_default()).to_string();
        // kubectl's last-applied annotation is the whole object once more.
        if value.chars().count() > 160 {
            value = value.chars().take(160).collect::<String>() + "…";
        }
        field(name, &format!("{key}={value}"), Tone::Plain, out);
    }
}

fn conditions(object: &Value, now: Timestamp, out: &mut Vec<Line>) {
    let Some(list) = object.pointer("/status/conditions").and_then(Value::as_array).filter(|l| !l.is_empty()) else {
        return;
    };
    section("conditions", out);
    for c in list {
        let (kind, status) = (text(c, "/type"), text(c, "/status"));
        // Most conditions are good when true; these are bad.
        let inverted = kind.ends_with("Pressure")
            || kind.ends_with("Unavailable")
            || kind.contains("Failure")
            || kind.ends_with("Problem");
        let good = (status == "True") != inverted;
        let tone = Tone::Health(match (status, good) {
            ("Unknown", _) => Health::Unknown,
            (_, true) => Health::Ok,
            (_, false) => Health::Warning,
        });
        let since = text(c, "/lastTransitionTime").parse::<Timestamp>().ok();
        let line = Line::new()
            .with(format!("{:<28} ", Text::new(kind)), Tone::Key)
            .with(format!("{status:<8} "), tone)
            .with(format!("{:>8}  ", since.map_or_else(|| "-".to_owned(), |t| age(Some(t), now))), Tone::Dim)
            .with(Text::new(text(c, "/reason")).to_string(), Tone::Plain)
            .with(format!("  {}", Text::new(text(c, "/message"))), Tone::Dim);
        out.push(line);
    }
}

/// The heading of init containers and sidecars.
const INIT: &str = "init containers";

fn containers(object: &Value, now: Timestamp, out: &mut Vec<Line>) {
    for (title, statuses) in [("containers", "/status/containerStatuses"), (INIT, "/status/initContainerStatuses")] {
        let Some(list) = object.pointer(statuses).and_then(Value::as_array).filter(|l| !l.is_empty()) else { continue };
        section(title, out);
        for c in list {
            let ready = c.get("ready").and_then(Value::as_bool).unwrap_or(false);
            let name = Text::new(text(c, "/name"));
            let (state, bad) = state(c.get("state"), now);
            // An init container that is well says nothing about what is not: a line is enough.
            let restarts = c.get("restartCount").and_then(Value::as_u64).unwrap_or(0);
            if title == INIT && ready && !bad && restarts == 0 {
                out.push(Line::new().with(format!("{name:<14} "), Tone::Strong).with(state, Tone::Dim));
                continue;
            }
            out.push(Line::new().with(name.to_string(), Tone::Strong));
            let tone = Tone::Health(if bad {
                Health::Critical
            } else if ready {
                Health::Ok
            } else {
                Health::Progressing
            });
            field("  state", &state, tone, out);
            let (last, bad) = state_of_last(c, now);
            if !last.is_empty() {
                field("  last state", &last, if bad { Tone::Warning } else { Tone::Plain }, out);
            }
            field("  ready", if ready { "yes" } else { "no" }, Tone::Plain, out);
            field("  restarts", &restarts.to_string(), Tone::Plain, out);
            field("  image", text(c, "/image"), Tone::Plain, out);
        }
    }
}

fn state_of_last(container: &Value, now: Timestamp) -> (String, bool) {
    match container.get("lastState") {
        Some(v) if !is_empty(v) => state(Some(v), now),
        _ => (String::new(), false),
    }
}

/// A container state in words, and whether it is a bad one.
fn state(value: Option<&Value>, now: Timestamp) -> (String, bool) {
    let Some((name, inner)) = value.and_then(Value::as_object).and_then(|m| m.iter().next()) else {
        return ("waiting".to_owned(), false);
    };
    let mut words = name.clone();
    for key in ["reason", "message"] {
        if let Some(s) = inner.get(key).and_then(Value::as_str).filter(|s| !s.is_empty()) {
            words += &format!(", {s}");
        }
    }
    let exit = inner.get("exitCode").and_then(Value::as_i64);
    if let Some(code) = exit {
        words += &format!(", exit code {code}");
    }
    for key in ["startedAt", "finishedAt"] {
        if let Some(s) = inner.get(key).and_then(Value::as_str) {
            let at = s.parse::<Timestamp>().map_or_else(|_| s.to_owned(), |at| moment(at, now));
            words += &format!(", {} {at}", if key == "startedAt" { "started" } else { "finished" });
        }
    }
    let bad = exit.is_some_and(|c| c != 0)
        || inner.get("reason").and_then(Value::as_str).is_some_and(|r| r.contains("BackOff") || r.contains("Err"));
    (words, bad)
}

fn event_lines(events: &[Event], now: Timestamp, out: &mut Vec<Line>) {
    section("events", out);
    if events.is_empty() {
        out.push(Line::new().with("none in the last hour", Tone::Dim));
        return;
    }
    let mut sorted: Vec<&Event> = events.iter().collect();
    sorted.sort_by_key(|e| e.last.or(e.first));
    for e in sorted {
        let tone = if e.level == EventLevel::Warning { Tone::Warning } else { Tone::Plain };
        let times = if e.count > 1 { format!(" x{}", e.count) } else { String::new() };
        out.push(
            Line::new()
                .with(format!("{:>7}{times:<5} ", age(e.last.or(e.first), now)), Tone::Dim)
                .with(format!("{:<20} ", e.reason), tone)
                .with(e.message.as_str(), if e.level == EventLevel::Warning { Tone::Plain } else { Tone::Dim }),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_says_why_comes_first_and_times_have_one_spelling() {
        let pod = json!({"kind": "Pod",
            "metadata": {"name": "p", "namespace": "shop", "creationTimestamp": "2026-03-01T03:00:00Z",
                "labels": {"app": "p"}},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}],
                "initContainerStatuses": [{"name": "first", "ready": true, "state": {"terminated": {"exitCode": 0}}},
                    {"name": "second", "ready": false, "state": {"running": {}}}],
                "containerStatuses": [{"name": "main", "ready": false, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                    "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-03-01T03:09:00Z"}}}]}});
        let now = "2026-03-01T03:10:00Z".parse().unwrap();
        let text: Vec<String> = describe(&pod, None, &[], now).iter().map(Line::text).collect();
        let at =
            |what: &str| text.iter().position(|l| l.starts_with(what)).unwrap_or_else(|| panic!("{what}: {text:#?}"));
        let order = ["phase", "CONTAINERS", "INIT CONTAINERS", "EVENTS", "CONDITIONS", "METADATA", "labels", "STATUS"];
        assert!(order.map(at).is_sorted(), "{text:#?}");
        // What is well takes a line, what is not has all that is known of it.
        assert_eq!((at("first "), at("second"), at("EVENTS")), (at("INIT") + 1, at("INIT") + 2, at("INIT") + 8));
        assert!(
            text.iter().any(|l| l.ends_with("exit code 1, finished 2026-03-01 03:09:00 UTC (60s ago)")),
            "{text:#?}"
        );
    }
}
