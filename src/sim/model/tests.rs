//! The fleet as a client of its changes sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Model, Parameters, Scenario, ScenarioError};
use crate::domain::Timestamp;
use crate::sim::backend::{Change, Fleet, LogQuery, ObjectKind as K, Refusal};

type Id = (K, String, String);

/// A model, and what somebody who applies its changes holds.
struct Watcher {
    model: Model,
    now: Timestamp,
    objects: BTreeMap<Id, Value>,
}

fn start() -> Timestamp {
    DateTime::from_timestamp(1_763_679_600, 0).unwrap()
}

impl Watcher {
    fn of(scenario: Scenario) -> Self {
        let mut w = Self { model: Model::new(scenario), now: start(), objects: BTreeMap::new() };
        let all = w.model.initial(w.now);
        w.apply(all);
        w
    }

    fn new(name: &str) -> Self {
        Self::of(Scenario::embedded(name, Parameters::default()).unwrap())
    }

    fn apply(&mut self, changes: Vec<Change>) {
        for c in changes {
            match c {
                Change::Put(kind, v) => {
                    let s = |k: &str| v["metadata"][k].as_str().unwrap_or_default().to_owned();
                    assert!(!s("name").is_empty() && !s("uid").is_empty(), "{v}");
                    assert!(!s("creationTimestamp").is_empty(), "{v}");
                    self.objects.insert((kind, s("namespace"), s("name")), v);
                }
                Change::Delete { kind, namespace, name } => {
                    self.objects.remove(&(kind, namespace, name));
                }
            }
        }
    }

    fn run(&mut self, ms: i64) {
        self.now += TimeDelta::milliseconds(ms);
        let changes = self.model.advance(self.now);
        self.apply(changes);
    }

    fn secs(&mut self, secs: i64) {
        for _ in 0..secs * 2 {
            self.run(500);
        }
    }

    /// Runs until `want` holds, at most `secs`.
    fn until(&mut self, secs: i64, what: &str, want: impl Fn(&Self) -> bool) {
        for _ in 0..secs * 2 {
            if want(self) {
                return;
            }
            self.run(500);
        }
        panic!("not within {secs} s: {what}");
    }

    fn get(&self, kind: K, ns: &str, name: &str) -> &Value {
        &self.objects[&(kind, ns.to_owned(), name.to_owned())]
    }

    fn all(&self, kind: K) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(move |((k, ..), _)| *k == kind).map(|(_, v)| v)
    }

    /// Pods of a workload by its name label.
    fn pods(&self, app: &str) -> Vec<&Value> {
        self.all(K::Pod).filter(|p| p["metadata"]["labels"]["app.kubernetes.io/name"] == app).collect()
    }

    fn write(&mut self, kind: K, ns: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let mut o = self.get(kind, ns, name).clone();
        change(&mut o);
        let changes = self.model.write(kind, &o, self.now).unwrap();
        self.apply(changes);
    }

    fn delete(&mut self, kind: K, ns: &str, name: &str) {
        let changes = self.model.delete(kind, ns, name, self.now).unwrap();
        self.apply(changes);
    }

    fn n(&self, kind: K, ns: &str, name: &str, path: &str) -> i64 {
        self.get(kind, ns, name).pointer(path).and_then(Value::as_i64).unwrap_or(0)
    }
}

fn ready(p: &Value) -> bool {
    let conditions = p["status"]["conditions"].as_array();
    conditions.is_some_and(|c| c.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"))
}

fn condition<'a>(o: &'a Value, kind: &str) -> &'a Value {
    let list = o["status"]["conditions"].as_array().unwrap();
    list.iter().find(|c| c["type"] == kind).unwrap_or(&Value::Null)
}

fn waiting(p: &Value) -> &str {
    p["status"]["containerStatuses"]
        .as_array()
        .map_or("", |l| l.iter().find_map(|c| c["state"]["waiting"]["reason"].as_str()).unwrap_or(""))
}

#[test]
fn calm_is_a_settled_team_cluster() {
    let w = Watcher::new("calm");
    assert_eq!(w.all(K::Node).count(), 12);
    let pods = w.all(K::Pod).count();
    assert!((130..=170).contains(&pods), "{pods} pods");
    for p in w.all(K::Pod) {
        assert!(p["status"]["phase"] == "Succeeded" || ready(p), "{p}");
        assert!(p["spec"]["nodeName"].is_string());
    }
    for d in w.all(K::Deployment) {
        assert_eq!(d["status"]["readyReplicas"], d["spec"]["replicas"], "{}", d["metadata"]["name"]);
        assert_eq!(condition(d, "Progressing")["reason"], "NewReplicaSetAvailable");
    }
    for s in w.all(K::StatefulSet) {
        assert_eq!(s["status"]["readyReplicas"], s["spec"]["replicas"], "{}", s["metadata"]["name"]);
    }
    for s in w.all(K::DaemonSet) {
        assert_eq!(s["status"]["numberReady"], 12, "{}", s["metadata"]["name"]);
    }
    assert!(w.all(K::Job).count() >= 5);
    let restarted = w.all(K::Pod).filter(|p| {
        p["status"]["containerStatuses"][0]["restartCount"].as_i64() > Some(0)
            && p["status"]["containerStatuses"][0]["lastState"]["terminated"].is_object()
    });
    assert!(restarted.count() > 0, "no pod has a past");
    assert!(w.all(K::ReplicaSet).any(|r| r["spec"]["replicas"] == 0), "no old revisions");
}

#[test]
fn something_rolls_within_forty_seconds_and_keeps_its_floor() {
    let mut w = Watcher::new("calm");
    let want = w.n(K::Deployment, "shop", "cart", "/spec/replicas");
    let before = w.n(K::Deployment, "shop", "cart", "/metadata/generation");
    w.until(40, "a rollout", |w| w.n(K::Deployment, "shop", "cart", "/metadata/generation") > before);
    for _ in 0..400 {
        w.run(250);
        let available = w.n(K::Deployment, "shop", "cart", "/status/availableReplicas");
        let really = w.pods("cart").iter().filter(|p| ready(p) && p["metadata"]["deletionTimestamp"].is_null()).count();
        let floor = want - want / 4;
        assert!(available >= floor && really as i64 >= floor, "{available} and {really} of {want}");
        let total = w.n(K::Deployment, "shop", "cart", "/status/replicas");
        assert!(total <= want + (want + 3) / 4, "{total}");
    }
    assert_eq!(w.n(K::Deployment, "shop", "cart", "/status/updatedReplicas"), want);
    assert_eq!(w.n(K::Deployment, "shop", "cart", "/status/readyReplicas"), want);
    assert_eq!(condition(w.get(K::Deployment, "shop", "cart"), "Progressing")["reason"], "NewReplicaSetAvailable");
    assert!(w.all(K::Event).any(|e| e["reason"] == "ScalingReplicaSet"));
}

#[test]
fn references_resolve_and_never_dangle() {
    let mut w = Watcher::new("calm");
    for _ in 0..10 {
        let uids: BTreeSet<&str> = w.objects.values().filter_map(|o| o["metadata"]["uid"].as_str()).collect();
        assert_eq!(uids.len(), w.objects.len(), "uids repeat");
        for o in w.objects.values() {
            for r in o["metadata"]["ownerReferences"].as_array().into_iter().flatten() {
                assert!(uids.contains(r["uid"].as_str().unwrap()), "{o}");
            }
            if let Some(n) = o["spec"]["nodeName"].as_str() {
                assert!(w.objects.contains_key(&(K::Node, String::new(), n.to_owned())));
            }
        }
        w.secs(20);
    }
}

#[test]
fn the_same_seed_and_times_give_the_same_bytes() {
    let run = || {
        let mut m = Model::new(Scenario::embedded("bad-deploy", Parameters::default()).unwrap());
        let mut all = format!("{:?}", m.initial(start()));
        for i in 1..200 {
            let changes = m.advance(start() + TimeDelta::milliseconds(i * 700));
            write!(all, "{changes:?}").unwrap();
        }
        all
    };
    assert!(run() == run());
}

#[test]
fn a_bad_deploy_crashes_and_gets_stuck() {
    let mut w = Watcher::new("bad-deploy");
    w.until(60, "CrashLoopBackOff", |w| w.pods("api").iter().any(|p| waiting(p) == "CrashLoopBackOff"));
    w.until(60, "ImagePullBackOff", |w| w.pods("suggest").iter().any(|p| waiting(p) == "ImagePullBackOff"));
    w.until(120, "OOMKilled", |w| {
        w.pods("exporter")
            .iter()
            .any(|p| p["status"]["containerStatuses"][0]["lastState"]["terminated"]["reason"] == "OOMKilled")
    });
    w.until(150, "a stuck rollout", |w| {
        condition(w.get(K::Deployment, "payments", "api"), "Progressing")["reason"] == "ProgressDeadlineExceeded"
    });
    assert_eq!(w.n(K::Deployment, "payments", "api", "/status/readyReplicas"), 6, "the old revision still serves");
    let crashed =
        w.pods("api").into_iter().find(|p| p["status"]["containerStatuses"][0]["restartCount"].as_i64() >= Some(2));
    let crashed = crashed.expect("restarts climb").clone();
    assert!(
        w.all(K::Event).any(|e| e["reason"] == "BackOff" && e["type"] == "Warning" && e["count"].as_i64() > Some(1))
    );
    let query = LogQuery {
        namespace: "payments".into(),
        pod: crashed["metadata"]["name"].as_str().unwrap().into(),
        previous: true,
        ..LogQuery::default()
    };
    let lines = w.model.logs(&query, w.now).unwrap();
    assert!(lines.iter().any(|l| l.text.contains("PAYMENT_GATEWAY_URL")), "{lines:?}");
    // The old template again: the old set is the new one, and all is well.
    let old = w
        .all(K::ReplicaSet)
        .find(|r| r["metadata"]["labels"]["app.kubernetes.io/name"] == "api" && r["status"]["readyReplicas"] == 6)
        .unwrap()
        .clone();
    w.write(K::Deployment, "payments", "api", |d| {
        d["spec"]["template"] = old["spec"]["template"].clone();
        d["spec"]["template"]["metadata"]["labels"].as_object_mut().unwrap().shift_remove("pod-template-hash");
    });
    w.until(30, "the rollback", |w| {
        condition(w.get(K::Deployment, "payments", "api"), "Progressing")["reason"] == "NewReplicaSetAvailable"
    });
    let name = old["metadata"]["name"].as_str().unwrap();
    assert_eq!(w.n(K::ReplicaSet, "payments", name, "/spec/replicas"), 6, "the old set is taken up again");
}

#[test]
fn a_zone_goes_and_comes_back() {
    let mut w = Watcher::new("zone-down");
    let unknown = |w: &Watcher| w.all(K::Node).filter(|n| condition(n, "Ready")["status"] == "Unknown").count();
    w.until(30, "nodes lost", |w| unknown(w) == 4);
    assert!(w.all(K::Pod).any(|p| condition(p, "Ready")["status"] == "False"));
    w.until(120, "evictions", |w| {
        w.all(K::Pod).any(|p| p["status"]["reason"] == "NodeLost" && p["metadata"]["deletionTimestamp"].is_string())
    });
    w.until(120, "the shop is whole in two zones", |w| {
        w.n(K::Deployment, "shop", "cart", "/status/readyReplicas") == 6
    });
    w.until(300, "nodes back", |w| unknown(w) == 0);
    w.secs(60);
    for p in w.all(K::Pod) {
        assert!(p["metadata"]["deletionTimestamp"].is_null(), "{p}");
        assert!(p["status"]["phase"] == "Succeeded" || ready(p), "{p}");
    }
}

#[test]
fn scaling_deleting_restarting_and_cordoning() {
    let mut w = Watcher::new("calm");
    w.write(K::Deployment, "platform", "flags", |d| d["spec"]["replicas"] = json!(5));
    w.until(40, "five", |w| w.n(K::Deployment, "platform", "flags", "/status/readyReplicas") == 5);
    w.write(K::Deployment, "platform", "flags", |d| d["spec"]["replicas"] = json!(1));
    w.until(40, "one", |w| w.pods("flags").len() == 1);
    let name = w.pods("flags")[0]["metadata"]["name"].as_str().unwrap().to_owned();
    w.delete(K::Pod, "platform", &name);
    assert!(w.get(K::Pod, "platform", &name)["metadata"]["deletionTimestamp"].is_string());
    w.until(40, "a new pod", |w| {
        let pods = w.pods("flags");
        pods.len() == 1 && pods[0]["metadata"]["name"] != name && ready(pods[0])
    });
    let name = "index";
    w.write(K::StatefulSet, "search", name, |s| {
        s["spec"]["template"]["metadata"]["annotations"] =
            json!({"kubectl.kubernetes.io/restartedAt": "2025-11-20T23:00:00Z"});
    });
    w.until(200, "a restarted stateful set", |w| {
        w.n(K::StatefulSet, "search", name, "/status/updatedReplicas") == 3
            && w.n(K::StatefulSet, "search", name, "/status/readyReplicas") == 3
    });
    let node = w.pods("flags")[0]["spec"]["nodeName"].as_str().unwrap().to_owned();
    w.write(K::Node, "", &node, |n| n["spec"]["unschedulable"] = json!(true));
    let taints = &w.get(K::Node, "", &node)["spec"]["taints"];
    assert_eq!(taints[0]["key"], "node.kubernetes.io/unschedulable");
    w.write(K::Deployment, "platform", "flags", |d| d["spec"]["replicas"] = json!(12));
    w.until(60, "twelve", |w| w.n(K::Deployment, "platform", "flags", "/status/readyReplicas") == 12);
    let there = w.pods("flags").iter().filter(|p| p["spec"]["nodeName"] == node).count();
    assert!(there <= 1, "{there} pods on a cordoned node");
    w.write(K::Deployment, "platform", "flags", |d| d["spec"]["replicas"] = json!(2000));
    w.until(60, "too many", |w| w.all(K::Event).any(|e| e["reason"] == "FailedScheduling"));
    w.delete(K::Deployment, "platform", "flags");
    w.until(60, "gone", |w| w.pods("flags").is_empty());
    assert!(!w.all(K::ReplicaSet).any(|r| r["metadata"]["labels"]["app.kubernetes.io/name"] == "flags"));
    w.delete(K::Namespace, "", "search");
    assert!(!w.objects.keys().any(|(_, ns, _)| ns == "search"));
    assert_eq!(w.model.delete(K::Pod, "shop", "nobody", w.now).unwrap_err(), Refusal::NotFound);
}

#[test]
fn cron_jobs_fire_and_keep_their_history() {
    let mut w = Watcher::new("calm");
    let jobs = |w: &Watcher| {
        w.all(K::Job).filter(|j| j["metadata"]["name"].as_str().unwrap().starts_with("cart-cleanup-")).count()
    };
    let last = |w: &Watcher| w.get(K::CronJob, "shop", "cart-cleanup")["status"]["lastScheduleTime"].clone();
    let before = last(&w);
    w.until(130, "a run", |w| last(w) != before);
    w.secs(300);
    assert!((1..=4).contains(&jobs(&w)), "{}", jobs(&w));
    w.write(K::CronJob, "shop", "cart-cleanup", |c| c["spec"]["suspend"] = json!(true));
    let before = last(&w);
    w.secs(200);
    assert_eq!(last(&w), before);
}

#[test]
fn logs_agree_whichever_way_they_are_asked_for() {
    let mut w = Watcher::new("calm");
    w.secs(5);
    let pods: Vec<(String, String)> = w
        .all(K::Pod)
        .map(|p| {
            let s = |k: &str| p["metadata"][k].as_str().unwrap().to_owned();
            (s("namespace"), s("name"))
        })
        .collect();
    for (namespace, pod) in pods {
        let q = |tail: Option<usize>, since: Option<Timestamp>| LogQuery {
            namespace: namespace.clone(),
            pod: pod.clone(),
            tail,
            since,
            ..LogQuery::default()
        };
        let all = w.model.logs(&q(None, None), w.now).unwrap();
        assert!(!all.is_empty(), "{pod}");
        assert!(all.windows(2).all(|l| l[0].at <= l[1].at), "{pod} out of order");
        let tail = w.model.logs(&q(Some(7), None), w.now).unwrap();
        assert_eq!(tail, all[all.len() - 7.min(all.len())..], "{pod}");
        let since = w.now - TimeDelta::seconds(30);
        let recent = w.model.logs(&q(None, Some(since)), w.now).unwrap();
        let expected: Vec<_> = all.iter().filter(|l| l.at >= since).cloned().collect();
        assert_eq!(recent, expected, "{pod}");
        let later = w.model.logs(&q(None, Some(since)), w.now + TimeDelta::seconds(5)).unwrap();
        assert_eq!(later[..recent.len()], recent, "{pod}: what was read is not rewritten");
    }
}

#[test]
fn usage_stays_within_reason() {
    let w = Watcher::new("calm");
    let nodes = w.model.node_usage(w.now);
    assert_eq!(nodes.len(), 12);
    for n in &nodes {
        let u = n.containers[0].1;
        assert!(u.cpu.0 > 50 && u.cpu.0 < 8000 && u.memory.0 > 500 << 20, "{n:?}");
    }
    let pods = w.model.pod_usage(w.now);
    assert!(pods.len() > 130);
    assert!(pods.iter().any(|p| p.containers.len() > 1));
}

#[test]
fn big_is_as_large_and_busy_as_asked() {
    let p = Parameters { nodes: Some(200), pods: Some(4000), changes_per_second: Some(50.0) };
    let mut w = Watcher::of(Scenario::embedded("big", p).unwrap());
    assert_eq!(w.all(K::Node).count(), 200);
    assert_eq!(w.all(K::Pod).count(), 4000);
    assert!(w.all(K::Pod).all(ready));
    let mut puts = 0;
    for i in 1..=100 {
        let changes = w.model.advance(w.now + TimeDelta::milliseconds(i * 100));
        puts += changes.iter().filter(|c| matches!(c, Change::Put(K::Pod, _))).count();
    }
    assert!((300..=700).contains(&puts), "{puts} pod changes in 10 s");
}

#[test]
fn parameters_are_checked() {
    let p = Parameters { nodes: Some(3), ..Parameters::default() };
    assert!(matches!(Scenario::embedded("calm", p), Err(ScenarioError::Parameter(_))));
    let p = Parameters { nodes: Some(0), ..Parameters::default() };
    let e = Scenario::embedded("big", p).unwrap_err().to_string();
    assert_eq!(e, "nodes = 0 is out of range; give 1 to 10000");
    let e = Scenario::embedded("storm", Parameters::default()).unwrap_err().to_string();
    assert!(e.contains("calm, bad-deploy, zone-down, budget-burn, spot-storm, bad-night, big"), "{e}");
}

#[test]
fn malformed_scenarios_say_where_and_what_is_allowed() {
    let base = "[[nodes]]\ngroup = \"a\"\ncount = 1\ninstance = \"m\"\nzones = [\"z1\"]\ncpu = 4\nmemory = 8\n\
                [[namespaces]]\nname = \"n\"\n[[workloads]]\nkind = \"deployment\"\nnamespace = \"n\"\nname = \"w\"\nimage = \"i:1\"\n";
    assert!(Scenario::parse(base, "s.toml").is_ok());
    for (more, line, column, word) in [
        ("colour = \"red\"\n", 15, 1, "colour"),
        ("[[at]]\nt = \"5s\"\naction = \"explode\"\n", 17, 10, "zone-down"),
        ("[[at]]\nt = \"5 parsecs\"\naction = \"recover\"\n", 16, 5, "5 parsecs"),
        ("[[at]]\nt = \"5s\"\naction = \"rollout\"\nworkload = \"n/x\"\n", 18, 12, "n/w"),
        ("[[at]]\nt = \"5s\"\naction = \"zone-down\"\nzone = \"z9\"\n", 18, 8, "z1"),
        ("[[at]]\nt = \"5s\"\naction = \"scale\"\nworkload = \"n/w\"\n", 17, 10, "replicas"),
        ("[[at]]\nt = \"5s\"\naction = \"recover\"\nfactor = 2.0\n", 18, 10, "takes no factor"),
        ("[[at]]\nt = \"5s\"\naction = \"node-down\"\nnode = 4\n", 18, 8, "0 to 0"),
    ] {
        let e = Scenario::parse(&format!("{base}{more}"), "s.toml").unwrap_err();
        let ScenarioError::Invalid { line: l, column: c, message, .. } = &e else { panic!("{e}") };
        assert_eq!((*l, *c), (line, column), "{e}");
        assert!(message.contains(word), "{e}");
    }
}

#[derive(Debug, Clone)]
enum Op {
    Scale(usize, i64),
    Restart(usize, u32),
    DeletePod(usize),
    Cordon(usize, bool),
    DeleteNode(usize),
    DeleteWorkload(usize),
    Run(i64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (any::<usize>(), 0..12_i64).prop_map(|(i, n)| Op::Scale(i, n)),
        (any::<usize>(), any::<u32>()).prop_map(|(i, n)| Op::Restart(i, n)),
        any::<usize>().prop_map(Op::DeletePod),
        (any::<usize>(), any::<bool>()).prop_map(|(i, b)| Op::Cordon(i, b)),
        any::<usize>().prop_map(Op::DeleteNode),
        any::<usize>().prop_map(Op::DeleteWorkload),
        (1..40_000_i64).prop_map(Op::Run),
    ]
}

fn nth(w: &Watcher, kinds: &[K], i: usize) -> Option<Id> {
    let all: Vec<&Id> = w.objects.keys().filter(|(k, ..)| kinds.contains(k)).collect();
    (!all.is_empty()).then(|| all[i % all.len()].clone())
}

fn play(w: &mut Watcher, op: &Op) {
    let scaled = [K::Deployment, K::StatefulSet];
    match *op {
        Op::Scale(i, n) => {
            if let Some((k, ns, name)) = nth(w, &scaled, i) {
                w.write(k, &ns, &name, |o| o["spec"]["replicas"] = json!(n));
            }
        }
        Op::Restart(i, n) => {
            if let Some((k, ns, name)) = nth(w, &[K::Deployment, K::StatefulSet, K::DaemonSet], i) {
                w.write(k, &ns, &name, |o| {
                    o["spec"]["template"]["metadata"]["annotations"] = json!({"restartedAt": n.to_string()});
                });
            }
        }
        Op::DeletePod(i) => {
            if let Some((k, ns, name)) = nth(w, &[K::Pod], i) {
                w.delete(k, &ns, &name);
            }
        }
        Op::Cordon(i, on) => {
            if let Some((k, ns, name)) = nth(w, &[K::Node], i) {
                w.write(k, &ns, &name, |o| o["spec"]["unschedulable"] = json!(on));
            }
        }
        Op::DeleteNode(i) => {
            if w.all(K::Node).count() > 9
                && let Some((k, ns, name)) = nth(w, &[K::Node], i)
            {
                w.delete(k, &ns, &name);
            }
        }
        Op::DeleteWorkload(i) => {
            if let Some((k, ns, name)) = nth(w, &[K::Deployment, K::StatefulSet, K::DaemonSet, K::CronJob, K::Job], i) {
                w.delete(k, &ns, &name);
            }
        }
        Op::Run(ms) => w.run(ms),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn whatever_clients_do_counts_converge(ops in proptest::collection::vec(op(), 1..25)) {
        let text = include_str!("../../../scenarios/calm.toml");
        let quiet = text.split("# What happens.").next().unwrap();
        let mut w = Watcher::of(Scenario::parse(quiet, "quiet.toml").unwrap());
        for o in &ops {
            play(&mut w, o);
        }
        let nodes: Vec<Id> = w.objects.keys().filter(|(k, ..)| *k == K::Node).cloned().collect();
        for (k, ns, name) in nodes {
            w.write(k, &ns, &name, |o| o["spec"]["unschedulable"] = json!(false));
        }
        for _ in 0..14 {
            w.run(60_000);
        }
        let waits = |ns: &str, app: &Value| w.all(K::Pod).any(|p| {
            p["metadata"]["namespace"] == ns && p["spec"]["nodeName"].is_null()
                && p["metadata"]["labels"]["app.kubernetes.io/name"] == *app
        });
        for ((k, ns, name), o) in &w.objects {
            if matches!(k, K::Deployment | K::StatefulSet) {
                let want = o["spec"]["replicas"].as_i64().unwrap_or(0);
                let have = o["status"]["readyReplicas"].as_i64().unwrap_or(0);
                let short = waits(ns, &o["metadata"]["labels"]["app.kubernetes.io/name"]);
                prop_assert!(want == have || short, "{name}: {have} of {want}: {o}");
            }
        }
    }
}

#[test]
fn cron_schedules_ring_when_they_should() {
    use super::cron::Schedule;
    use super::meta::time;
    let at = start().timestamp_millis();
    let next = |s: &str| Schedule::parse(s).and_then(|s| s.next(at)).map(time);
    assert_eq!(time(at), "2025-11-20T23:00:00Z");
    assert_eq!(next("*/5 * * * *").unwrap(), "2025-11-20T23:05:00Z");
    assert_eq!(next("17 */4 * * *").unwrap(), "2025-11-21T00:17:00Z");
    assert_eq!(next("0 9 * * 1-5").unwrap(), "2025-11-21T09:00:00Z");
    assert_eq!(next("30 6 29 2 *").unwrap(), "2028-02-29T06:30:00Z");
    assert_eq!(next("0 0 * * 7").unwrap(), "2025-11-23T00:00:00Z");
    assert_eq!(next("@monthly").unwrap(), "2025-12-01T00:00:00Z");
    for bad in ["", "* * * *", "60 * * * *", "*/0 * * * *", "5-1 * * * *", "a b c d e"] {
        assert_eq!(Schedule::parse(bad), None, "{bad}");
    }
}

#[test]
fn restarts_back_off_as_the_kubelet_does() {
    let delays: Vec<i64> = (2..9).map(|n| super::kubelet::backoff(n) / 1000).collect();
    assert_eq!(delays, [10, 20, 40, 80, 160, 300, 300]);
}

#[test]
fn a_slept_away_day_is_skipped_not_simulated() {
    let mut w = Watcher::new("calm");
    w.run(24 * 3_600_000);
    w.secs(120);
    let young = w.all(K::Job).filter(|j| j["metadata"]["name"].as_str().unwrap().starts_with("cart-cleanup"));
    assert!(young.count() <= 4);
    assert!(w.all(K::Pod).filter(|p| p["status"]["phase"] == "Running" && !ready(p)).count() < 5);
}

#[test]
fn the_documented_example_is_a_scenario() {
    let page = include_str!("../../../docs/scenarios.md");
    let example = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let scenario = Scenario::parse(example, "example.toml").unwrap();
    assert_eq!((scenario.steps.len(), scenario.ecs().len()), (1, 1));
}
