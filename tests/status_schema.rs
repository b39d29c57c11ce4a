//! `status` as JSON, held to its published schema, and the documented example with it.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;

use jsonschema::Validator;
use quarterdeck::domain::notice::{NoticeKind, Precision};
use quarterdeck::domain::{AlarmSource, Backend, BackendKind, ClusterId, Freshness, Health, Kind, Severity, Text};
use quarterdeck::store::notices::Verdict;
use quarterdeck::store::{Body, Feed, Observation, SourceId, Store};
use quarterdeck::view::status::{VERSION, status};
use serde_json::{Value, json};
use support::budgets::fleet_with_budgets;
use support::fleet::{cluster, now, small_fleet};
use support::mixed::mixed_fleet;
use support::taken::taken_fleet;
use support::unplaced::unplaced_fleet;

const SCHEMA: &str = include_str!("../docs/schema/status-v2.json");
const PAGE: &str = include_str!("../docs/status.md");

fn schema() -> Value {
    serde_json::from_str(SCHEMA).expect("the schema is JSON")
}

fn validator() -> Validator {
    let schema = schema();
    assert!(jsonschema::draft202012::meta::is_valid(&schema), "the schema is one of draft 2020-12");
    jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(&schema)
        .expect("its references lead somewhere")
}

fn faults(value: &Value) -> Vec<String> {
    validator().iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect()
}

fn taken(store: &Store) -> Value {
    serde_json::to_value(status(store, now())).expect("it serializes")
}

fn freshness(store: &mut Store, feed: Feed, freshness: Freshness) {
    let source = SourceId { cluster: cluster(), feed };
    store.apply(Observation { source, at: now(), body: Body::Freshness(freshness) });
}

/// A fleet with a feed in every freshness that is not live.
fn troubled() -> Store {
    let mut store = small_fleet();
    let because = Text::new("connection refused");
    freshness(&mut store, Feed::Jobs, Freshness::Loading { since: now() });
    freshness(&mut store, Feed::Events, Freshness::Stale { since: now(), because: because.clone() });
    freshness(&mut store, Feed::Nodes, Freshness::Down { since: now(), because: because.clone() });
    freshness(&mut store, Feed::CronJobs, Freshness::Absent { because: because.clone(), denied: true });
    freshness(&mut store, Feed::Autoscalers, Freshness::Absent { because, denied: false });
    store
}

const BACKENDS: [(&str, BackendKind, Feed); 6] = [
    ("prom", BackendKind::Prometheus, Feed::Signals),
    ("am", BackendKind::Alertmanager, Feed::Alarms),
    ("events", BackendKind::EventLog, Feed::Notices),
    ("queue", BackendKind::EventQueue, Feed::Notices),
    ("ec2 eu-west-1", BackendKind::Ec2, Feed::Notices),
    ("cloudwatch", BackendKind::CloudWatch, Feed::Budgets),
];

/// The same, with a backend of each kind, all of them live.
fn with_backends(store: Store) -> Store {
    let mut store = store.and_backends(BACKENDS.map(|(name, ..)| ClusterId::new(name)));
    for (name, kind, feed) in BACKENDS {
        let id = ClusterId::new(name);
        let cluster = (kind == BackendKind::Prometheus).then(cluster);
        let (version, endpoint) = (Text::empty(), Text::empty());
        let backend = Backend { id: id.clone(), kind, version, endpoint, cluster, found: false };
        for body in [Body::Backend(backend), Body::Synced] {
            store.apply(Observation { source: SourceId { cluster: id.clone(), feed }, at: now(), body });
        }
    }
    store
}

/// Makes a fleet.
type Fleet = fn() -> Store;

#[test]
fn what_status_says_is_as_the_schema_has_it() {
    let fleets: [(&str, Fleet); 9] = [
        ("a fleet with problems", small_fleet),
        ("a fleet with an alarm", mixed_fleet),
        ("feeds that are not live", troubled),
        ("a cluster not heard of yet", || Store::expecting([cluster()])),
        ("nothing at all", || Store::expecting([])),
        ("budgets in every state", fleet_with_budgets),
        ("machines that go", taken_fleet),
        ("services that find no place", unplaced_fleet),
        ("backends that fail", || with_backends(troubled())),
    ];
    for (what, store) in fleets {
        let store = store();
        let said = taken(&store);
        assert_eq!(faults(&said), Vec::<String>::new(), "{what}: {said:#}");
    }
    let alarm = &taken(&mixed_fleet())["alarms"][0];
    assert_eq!((&alarm["name"], &alarm["severity"]), (&json!("web-5xx-high"), &json!("critical")));
    assert_eq!(alarm["about"], json!({"kind": "service", "namespace": "", "name": "web"}));
    // What is checked has something of each part in it.
    let said = taken(&troubled());
    assert!(!said["problems"].as_array().expect("a list").is_empty());
    let words: BTreeSet<&str> = said["clusters"][0]["sources"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|s| s["freshness"].as_str())
        .collect();
    assert_eq!(words, BTreeSet::from(["loading", "stale", "down", "absent", "denied"]));
    assert!(said["clusters"][0]["cpu_percent"].is_number(), "measured");
    assert_eq!(said["state"], "unknown", "a failed source wins over something critical");
}

#[test]
fn who_may_not_see_the_tasks_does_not_hear_that_all_is_fine() {
    let denied = || Freshness::Absent { because: Text::new("pods is forbidden"), denied: true };
    let mut store = Store::expecting([cluster()]);
    freshness(&mut store, Feed::Nodes, denied());
    assert_eq!(taken(&store)["state"], "ok", "a role that sees only its namespace");
    freshness(&mut store, Feed::Tasks, denied());
    assert_eq!(taken(&store)["state"], "unknown");
}

#[test]
fn a_backend_that_fails_is_a_source_that_failed() {
    let because = || Text::new("connection refused");
    let calm = || with_backends(Store::expecting([]));
    let said = taken(&calm());
    assert_eq!(said["state"], "ok");
    let backends = said["backends"].as_array().expect("a list");
    let names: Vec<&str> = backends.iter().filter_map(|b| b["name"].as_str()).collect();
    assert_eq!(names, ["am", "cloudwatch", "ec2 eu-west-1", "events", "prom", "queue"]);
    assert_eq!(
        backends[4],
        json!({"name": "prom", "kind": "prometheus", "cluster": cluster().as_str(), "sources": []})
    );
    for (name, _, feed) in BACKENDS {
        for (freshness, state) in [
            (Freshness::Down { since: now(), because: because() }, "unknown"),
            (Freshness::Stale { since: now(), because: because() }, "unknown"),
            (Freshness::Loading { since: now() }, "unknown"),
            (Freshness::Absent { because: because(), denied: true }, "ok"),
            (Freshness::Absent { because: because(), denied: false }, "ok"),
        ] {
            let mut store = calm();
            let source = SourceId { cluster: ClusterId::new(name), feed };
            let (word, reason) = (freshness.word(), freshness.reason().map(ToString::to_string));
            store.apply(Observation { source, at: now(), body: Body::Freshness(freshness) });
            let said = taken(&store);
            assert_eq!(said["state"], state, "{name} is {word}");
            let of = |b: &&Value| b["name"] == name;
            let backends = said["backends"].as_array().expect("a list");
            let found = backends.iter().find(of).expect("it is listed");
            assert_eq!(
                found["sources"],
                json!([{"feed": feed.word(), "freshness": word, "because": reason}]),
                "{name}"
            );
            assert_eq!(said["backends"][0]["name"] == name, state == "unknown" || name == "am", "{name} is {word}");
            assert_eq!(faults(&said), Vec::<String>::new(), "{said:#}");
        }
    }
    // One that was expected and of which nothing was heard is not fine.
    let silent = calm().and_backends([ClusterId::new("zzz")]);
    let said = taken(&silent);
    assert_eq!((&said["state"], &said["backends"][0]["name"]), (&json!("unknown"), &json!("zzz")));
    assert_eq!(said["backends"][0]["sources"][0]["freshness"], "loading");
    assert_eq!(faults(&said), Vec::<String>::new(), "{said:#}");
}

#[test]
fn services_that_find_no_place_are_listed() {
    let store = unplaced_fleet();
    let said = taken(&store);
    let (listed, all) = (said["unplaced"].as_array().expect("a list"), store.unplaced(now()));
    assert!(!all.is_empty() && listed.len() == all.len(), "{said:#}");
    for (one, u) in listed.iter().zip(all.iter()) {
        assert_eq!((&one["service"], &one["cluster"]), (&json!(u.name.as_str()), &json!(u.cluster.as_str())));
        assert_eq!(one["why"], json!(u.why.words(&u.providers)));
        assert_eq!(one["missing"]["tasks"], json!(u.missing.map(|m| m.tasks)));
        assert_eq!(one["read"], json!(u.id.is_some()));
    }
}

#[test]
fn the_pages_example_is_as_the_schema_has_it() {
    let examples: Vec<&str> =
        PAGE.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect();
    assert_eq!(examples.len(), 1, "the page has its example");
    for example in examples {
        assert_eq!(faults(&serde_json::from_str(example).expect("the example is JSON")), Vec::<String>::new());
    }
}

#[test]
fn what_the_schema_does_not_know_is_caught() {
    let good = taken(&with_backends(troubled()));
    // Where, and what stands there instead; null removes the field.
    for (pointer, field, value) in [
        ("", "extra", json!(1)),
        ("", "problems", Value::Null),
        ("", "version", json!(1)),
        ("", "alarms", Value::Null),
        ("", "state", json!("fine")),
        ("", "at", json!("yesterday")),
        ("", "at", json!("2026-02-30T00:00:00Z")),
        ("/clusters/0", "extra", json!(1)),
        ("/clusters/0", "name", Value::Null),
        ("/clusters/0", "health", json!("bad")),
        ("/clusters/0/nodes", "drained", json!(1)),
        ("/clusters/0/nodes", "ready", json!(-1)),
        ("/clusters/0/tasks", "critical", json!(0.5)),
        ("/clusters/0/workloads", "all", json!("2")),
        ("/clusters/0/sources/0", "freshness", json!("live")),
        ("/clusters/0/sources/0", "feed", json!("pods")),
        ("", "backends", Value::Null),
        ("", "unplaced", Value::Null),
        ("/backends/0", "kind", json!("grafana")),
        ("/backends/0", "sources", Value::Null),
        ("/problems/0", "health", json!("ok")),
        ("/problems/0", "kind", json!("pod")),
        ("/problems/0", "since", json!(0)),
    ] {
        let mut bad = good.clone();
        let object = bad.pointer_mut(pointer).and_then(Value::as_object_mut).expect(pointer);
        if value.is_null() {
            assert!(object.remove(field).is_some(), "{pointer}/{field} is there");
        } else {
            object.insert(field.to_owned(), value.clone());
        }
        assert!(!faults(&bad).is_empty(), "{pointer}/{field} = {value}");
    }
}

/// Every object in the schema, by its place.
fn objects<'v>(at: &str, value: &'v Value, out: &mut Vec<(String, &'v Value)>) {
    if let Some(map) = value.as_object() {
        if map.contains_key("properties") && map.get("type").is_some_and(|t| t == "object" || t[0] == "object") {
            out.push((at.to_owned(), value));
        }
        for (name, inner) in map {
            objects(&format!("{at}/{name}"), inner, out);
        }
    }
}

#[test]
fn every_object_is_closed_and_whole() {
    let schema = schema();
    let mut found = Vec::new();
    objects("", &schema, &mut found);
    assert_eq!(
        found.len(),
        14,
        "the report, a cluster and its three counts, a backend, a source, a problem, an alarm and its subject, a budget, \
         a notice, a service without a place and what it lacks: {found:?}"
    );
    for (at, object) in found {
        assert_eq!(object["additionalProperties"], false, "{at}");
        let names: BTreeSet<&str> = object["properties"].as_object().expect(&at).keys().map(String::as_str).collect();
        let required: BTreeSet<&str> =
            object["required"].as_array().expect(&at).iter().filter_map(Value::as_str).collect();
        assert_eq!(names, required, "{at}: every field is always there");
    }
}

#[test]
fn the_words_are_those_of_the_program() {
    let schema = schema();
    let words = |pointer: &str| -> BTreeSet<String> {
        let list = schema.pointer(pointer).and_then(Value::as_array).expect(pointer);
        list.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect()
    };
    let own = |words: &[&str]| words.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    assert_eq!(schema["properties"]["version"]["const"], VERSION);
    assert_eq!(words("/$defs/source/properties/feed/enum"), own(&Feed::ALL.map(Feed::word)));
    assert_eq!(words("/$defs/problem/properties/kind/enum"), own(&Kind::ALL.map(Kind::short)));
    let healths = [Health::Ok, Health::Done, Health::Progressing, Health::Unknown, Health::Warning, Health::Critical];
    assert_eq!(words("/$defs/health/enum"), own(&healths.map(Health::word)));
    let problems: Vec<&str> = healths.into_iter().filter(|h| h.is_problem()).map(Health::word).collect();
    assert_eq!(words("/$defs/problem/properties/health/enum"), own(&problems));
    let word = |v: Value| v.as_str().expect("a word").to_owned();
    let severities = [Severity::Info, Severity::Unknown, Severity::Warning, Severity::Critical];
    let severities = severities.map(|s| word(serde_json::to_value(s).expect("it serializes")));
    assert_eq!(words("/$defs/alarm/properties/severity/enum"), BTreeSet::from(severities));
    let sources = [
        AlarmSource::CloudWatchMetric,
        AlarmSource::CloudWatchComposite,
        AlarmSource::Alertmanager,
        AlarmSource::Prometheus,
    ]
    .map(|s| word(serde_json::to_value(s).expect("it serializes")));
    assert_eq!(words("/$defs/alarm/properties/source/enum"), BTreeSet::from(sources));
    let kinds = NoticeKind::ALL.map(NoticeKind::word);
    assert_eq!(words("/$defs/notice/properties/kind/enum"), own(&kinds));
    let verdicts =
        [Verdict::Safe, Verdict::Tight, Verdict::Cut].map(|v| word(serde_json::to_value(v).expect("it serializes")));
    assert_eq!(words("/$defs/notice/properties/verdict/enum"), BTreeSet::from(verdicts));
    let kinds = BACKENDS.map(|(_, kind, _)| word(serde_json::to_value(kind).expect("it serializes")));
    assert_eq!(words("/$defs/backend/properties/kind/enum"), BTreeSet::from(kinds));
    let precisions = [Precision::Exact, Precision::AtLatest, Precision::Usual]
        .map(|p| word(serde_json::to_value(p).expect("it serializes")));
    assert_eq!(words("/$defs/notice/properties/precision/enum"), BTreeSet::from(precisions));
}

/// A deployment that fits on no node: none of its replicas runs, ever.
#[cfg(feature = "kubernetes")]
const NOTHING_FITS: &str = r#"
description = "A deployment that fits on no node."
seed = 1

[[nodes]]
group = "general"
count = 1
instance = "m7i.xlarge"
zones = ["eu-west-1a"]
cpu = 4
memory = 16
age = "1d"

[[namespaces]]
name = "shop"

[[workloads]]
kind = "deployment"
namespace = "shop"
name = "web"
replicas = 2
image = "registry.example.com/shop/web:1.0.0"
cpu = "64"
memory = "64Mi"
"#;

/// A cluster on a port where nobody listens.
#[cfg(feature = "kubernetes")]
const NOBODY_THERE: &str = r#"
apiVersion: v1
kind: Config
current-context: away
contexts: [{name: away, context: {cluster: away, user: away}}]
clusters: [{name: away, cluster: {server: "http://127.0.0.1:9"}}]
users: [{name: away, user: {}}]
"#;

#[cfg(feature = "kubernetes")]
#[test]
fn the_exit_code_follows_the_state() {
    let home = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::write(&path, text).expect("the directory can be written to");
        path.into_os_string().into_string().expect("a path in UTF-8")
    };
    let (nothing_fits, nobody_there) = (file("scenario.toml", NOTHING_FITS), file("kubeconfig", NOBODY_THERE));
    for (arguments, state, code) in [
        (&["--demo", "calm"][..], "ok", 0),
        (&["--demo", &nothing_fits], "critical", 1),
        (&["--kubeconfig", &nobody_there], "unknown", 2),
        // All that is read is a Prometheus where nobody listens.
        #[cfg(feature = "prometheus")]
        (&["--prometheus", "http://127.0.0.1:9"], "unknown", 2),
    ] {
        let out = std::process::Command::new(env!("CARGO_BIN_EXE_quarterdeck"))
            .args(["status", "--format", "json"])
            .args(arguments)
            .env_clear()
            .env("HOME", home.path())
            .stdin(std::process::Stdio::null())
            .output()
            .expect("it runs");
        let error = String::from_utf8_lossy(&out.stderr);
        let said: Value = serde_json::from_slice(&out.stdout).expect(&error);
        assert_eq!(faults(&said), Vec::<String>::new(), "{arguments:?}: {said:#}");
        assert_eq!((said["state"].as_str(), out.status.code()), (Some(state), Some(code)), "{arguments:?}: {said:#}");
    }
}

#[cfg(all(feature = "kubernetes", feature = "prometheus"))]
#[test]
fn the_table_says_which_backend_failed() {
    let home = tempfile::tempdir().expect("a directory");
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_quarterdeck"))
        .args(["status", "--prometheus", "http://127.0.0.1:9"])
        .env_clear()
        .env("HOME", home.path())
        .stdin(std::process::Stdio::null())
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&out.stdout);
    assert_eq!(out.status.code(), Some(2), "{text}");
    assert!(text.contains("nothing is known to be wrong, but not all is known"), "{text}");
    let line = text.lines().find(|l| l.starts_with("127.0.0.1:9  ")).unwrap_or_default();
    assert!(line.contains(" down: ") || line.contains(" stale: "), "{text}");
}
