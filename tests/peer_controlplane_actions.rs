//! Actions against a real API server, each compared with what kubectl reports afterwards, and
//! the plan of a drain with what `kubectl drain --dry-run=server` would evict.
//!
//! Runs where `QUARTERDECK_CONTROLPLANE=1` is set, with `CONTROLPLANE_STATE` naming a
//! control plane that is up; skips loudly elsewhere.
#![cfg(feature = "kubernetes")]
#![expect(clippy::expect_used, clippy::print_stderr, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test file uses its own part")]
#[path = "support/actions.rs"]
mod support;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use quarterdeck::action::kubernetes::Kubernetes;
use quarterdeck::action::{Fate, Intent, Options, Outcome, StepState, Verb};
use quarterdeck::clock::instant;
use quarterdeck::domain::{Kind, ObjectId};
use quarterdeck::source::kubernetes::{Kubeconfig, Sources};
use serde_json::{Value, json};
use support::{act, id, intent, plan, rows, run, says};

const NS: &str = "actions";

fn plane(arguments: &[&str]) -> Output {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/controlplane/run.sh");
    Command::new(script).args(arguments).output().expect("run.sh runs")
}

fn kubectl(arguments: &[&str]) -> String {
    let all: Vec<&str> = std::iter::once("kubectl").chain(arguments.iter().copied()).collect();
    let out = plane(&all);
    assert!(out.status.success(), "kubectl {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn get(what: &str, name: &str) -> Value {
    let text = kubectl(&["get", what, name, "-n", NS, "-o", "json"]);
    serde_json::from_str(&text).expect("JSON")
}

fn is_there(what: &str, name: &str) -> bool {
    !kubectl(&["get", what, name, "-n", NS, "--ignore-not-found", "-o", "name"]).trim().is_empty()
}

/// Names of what is on a node, by `selector`.
fn on(node: &str) -> BTreeSet<String> {
    let field = format!("spec.nodeName={node}");
    let text = kubectl(&["get", "pods", "-n", NS, "--field-selector", &field, "-o", "name"]);
    text.lines().map(|l| l.trim_start_matches("pod/").to_owned()).collect()
}

fn apply(objects: &[Value]) {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("objects.json");
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    std::fs::write(&file, list.to_string()).expect("a file");
    kubectl(&["apply", "-f", file.to_str().expect("a path")]);
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let start = instant();
    while !done() {
        assert!(start.elapsed() < Duration::from_mins(1), "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

fn state() -> Option<PathBuf> {
    if std::env::var("QUARTERDECK_CONTROLPLANE").as_deref() != Ok("1") {
        eprintln!(
            "SKIP: QUARTERDECK_CONTROLPLANE is not set; tests/peers/controlplane/README.md says how to start one"
        );
        return None;
    }
    Some(PathBuf::from(std::env::var("CONTROLPLANE_STATE").expect("CONTROLPLANE_STATE")))
}

/// A node whose pods run, with a label that a test's own workloads choose.
fn node(name: &str, labels: &Value) -> Value {
    let mut labels = labels.clone();
    labels["kubernetes.io/hostname"] = name.into();
    let room = json!({"cpu": "32", "memory": "64Gi", "pods": "110"});
    json!({"apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "status": {"capacity": room, "allocatable": room,
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady",
                "lastHeartbeatTime": null, "lastTransitionTime": null}]}})
}

fn template(app: &str, more: &Value) -> Value {
    let mut spec =
        json!({"containers": [{"name": "app", "image": "registry.example/web:1"}], "terminationGracePeriodSeconds": 1});
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    json!({"metadata": {"labels": {"app": app}}, "spec": spec})
}

fn workload(kind: &str, name: &str, replicas: Option<u32>, template: &Value) -> Value {
    let mut object = json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": NS},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template}});
    if let Some(n) = replicas {
        object["spec"]["replicas"] = n.into();
    }
    if kind == "StatefulSet" {
        object["spec"]["serviceName"] = name.into();
    }
    object
}

fn budget(name: &str, min: u32) -> Value {
    json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name, "namespace": NS},
        "spec": {"minAvailable": min, "selector": {"matchLabels": {"app": name}}}})
}

fn namespace() {
    apply(&[json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NS}})]);
}

fn clean(nodes: &[&str]) {
    kubectl(&["delete", "ns", NS, "--ignore-not-found", "--grace-period=0"]);
    for name in nodes {
        kubectl(&["delete", "node", name, "--ignore-not-found"]);
    }
}

fn actor(state: &std::path::Path) -> (Sources, Kubernetes) {
    support::actor(Kubeconfig::File(state.join("kubeconfig")))
}

fn of(kind: Kind, name: &str) -> ObjectId {
    id(kind, NS, name)
}

fn with(verb: Verb, target: ObjectId, options: Options) -> Intent {
    Intent { verb, targets: vec![target], options }
}

fn available(what: &str, name: &str, n: i64) -> bool {
    get(what, name)["status"]["readyReplicas"].as_i64().unwrap_or(0) == n
}

fn is_cordoned(name: &str) -> bool {
    get("node", name)["spec"]["unschedulable"] == true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cordon_drain_and_cancel() {
    let Some(state) = state() else { return };
    let nodes = ["act-a", "act-b"];
    clean(&nodes);
    namespace();
    apply(&[node("act-a", &json!({"group": "act"})), node("act-b", &json!({"group": "act"}))]);
    let (_sources, actor) = actor(&state);
    let b = id(Kind::Node, "", "act-b");
    let (end, _) = act(&actor, &intent(Verb::Cordon, b.clone())).await;
    assert_eq!((end.outcome, is_cordoned("act-b")), (Outcome::Done, true), "{}", end.text);

    let chosen = json!({"nodeSelector": {"group": "act"}});
    let scratch = json!({"nodeSelector": {"group": "act"}, "volumes": [{"name": "d", "emptyDir": {}}]});
    apply(&[
        workload("DaemonSet", "agent", None, &template("agent", &chosen)),
        workload("Deployment", "web", Some(2), &template("web", &chosen)),
        workload("Deployment", "scratch", Some(1), &template("scratch", &scratch)),
        budget("web", 2),
    ]);
    until("web and scratch on act-a, agents everywhere", || {
        available("deployment", "web", 2) && available("deployment", "scratch", 1) && on("act-a").len() == 4
    })
    .await;
    until("the budget", || get("pdb", "web")["status"]["currentHealthy"] == 2).await;
    let (end, _) = act(&actor, &end.undo.expect("a way back")).await;
    assert_eq!((end.outcome, is_cordoned("act-b")), (Outcome::Done, false), "{}", end.text);

    // Refused without the option, and nothing is touched.
    let a = id(Kind::Node, "", "act-a");
    let refused = plan(&actor, &intent(Verb::Drain, a.clone())).await;
    assert!(says(&refused.refused, "emptyDir") && !refused.is_possible(), "{refused:?}");
    let (end, _) = run(&actor, &refused, |_, _| ()).await;
    assert_eq!((end.outcome, is_cordoned("act-a")), (Outcome::Failed, false), "{}", end.text);

    // Cancelled while the budget blocks.
    let options = Options { delete_emptydir_data: true, ..Options::default() };
    let drain = plan(&actor, &with(Verb::Drain, a.clone(), options.clone())).await;
    assert_eq!(rows(&drain, "evict").iter().filter(|(n, f)| n.starts_with("web-") && *f == Fate::Waits).count(), 2);
    let (end, steps) = run(&actor, &drain, |step, cancel| {
        if step.state == StepState::Waiting && step.text.contains("budget actions/web allows 0") {
            cancel.cancel();
        }
    })
    .await;
    assert_eq!(end.outcome, Outcome::Cancelled, "{}", end.text);
    assert!(is_cordoned("act-a") && end.text.contains("stays cordoned"), "{}", end.text);
    assert_eq!(on("act-a").iter().filter(|n| n.starts_with("web-")).count(), 2, "{steps:?}");
    let (end, _) = act(&actor, &end.undo.expect("a way back")).await;
    assert_eq!((end.outcome, is_cordoned("act-a")), (Outcome::Done, false), "{}", end.text);

    // The budget blocks at first; with a third task it lets one go after the other.
    until("web on act-a", || available("deployment", "web", 2) && get("pdb", "web")["status"]["currentHealthy"] == 2)
        .await;
    let drain = plan(&actor, &with(Verb::Drain, a, options)).await;
    let agent: Vec<String> = on("act-a").into_iter().filter(|n| n.starts_with("agent-")).collect();
    let mut scaled = false;
    let (end, steps) = run(&actor, &drain, |step, _| {
        if !scaled && step.state == StepState::Waiting && step.text.contains("budget actions/web allows 0") {
            scaled = true;
            kubectl(&["scale", "deployment/web", "-n", NS, "--replicas=3"]);
        }
    })
    .await;
    assert_eq!(end.outcome, Outcome::Done, "{} {steps:?}", end.text);
    assert!(scaled && is_cordoned("act-a"));
    assert_eq!(on("act-a").into_iter().collect::<Vec<_>>(), agent, "only the DaemonSet's is left");
    until("all of web elsewhere", || available("deployment", "web", 3)).await;
    clean(&nodes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scale_restart_roll_back_and_delete() {
    let Some(state) = state() else { return };
    let nodes = ["work-a"];
    clean(&nodes);
    namespace();
    let chosen = json!({"nodeSelector": {"group": "work"}});
    apply(&[
        node("work-a", &json!({"group": "work"})),
        workload("Deployment", "web", Some(2), &template("web", &chosen)),
        workload("StatefulSet", "db", Some(1), &template("db", &chosen)),
        workload("DaemonSet", "agent", None, &template("agent", &chosen)),
        json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "report", "namespace": NS},
            "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": {"spec": {"restartPolicy": "Never",
                "containers": [{"name": "main", "image": "registry.example/report:1"}]}}}}}}),
    ]);
    until("both run", || available("deployment", "web", 2) && available("statefulset", "db", 1)).await;
    let (_sources, actor) = actor(&state);
    scaling(&actor).await;
    rollouts(&actor).await;
    sets(&actor).await;
    jobs_and_deletion(&actor).await;
    clean(&nodes);
}

fn image(what: &str, name: &str) -> String {
    let object = get(what, name);
    object["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default().to_owned()
}

fn to(n: u32, raise_minimum: bool) -> Intent {
    let options = Options { replicas: Some(n), raise_minimum, ..Options::default() };
    with(Verb::Scale, of(Kind::Deployment, "web"), options)
}

async fn scaling(actor: &Kubernetes) {
    let (end, _) = act(actor, &to(3, false)).await;
    assert_eq!(
        (end.outcome, get("deployment", "web")["spec"]["replicas"].as_i64()),
        (Outcome::Done, Some(3)),
        "{}",
        end.text
    );
    apply(&[json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": NS}, "spec": {"minReplicas": 2, "maxReplicas": 6,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}})]);
    let warned = plan(actor, &to(1, false)).await;
    assert!(says(&warned.warnings, "autoscaler web (2 to 6) will change it back at once"), "{:?}", warned.warnings);
    let (end, _) = act(actor, &to(4, true)).await;
    assert_eq!(
        (end.outcome, get("hpa", "web")["spec"]["minReplicas"].as_i64()),
        (Outcome::Done, Some(4)),
        "{}",
        end.text
    );
    until("the autoscaler's four", || available("deployment", "web", 4)).await;
    kubectl(&["delete", "hpa", "web", "-n", NS]);
}

async fn rollouts(actor: &Kubernetes) {
    let web = of(Kind::Deployment, "web");
    let before: BTreeSet<String> = on("work-a");
    let (end, steps) = act(actor, &intent(Verb::Restart, web.clone())).await;
    assert_eq!(end.outcome, Outcome::Done, "{} {steps:?}", end.text);
    kubectl(&["rollout", "status", "deployment/web", "-n", NS, "--timeout=1s"]);
    until("none of the old ones", || {
        on("work-a").iter().filter(|n| n.starts_with("web-")).all(|n| !before.contains(n))
    })
    .await;
    let set = with(Verb::SetImage, web.clone(), Options { image: Some(":2".to_owned()), ..Options::default() });
    let (end, _) = act(actor, &set).await;
    assert_eq!(
        (end.outcome, image("deployment", "web").as_str()),
        (Outcome::Done, "registry.example/web:2"),
        "{}",
        end.text
    );
    let back = plan(actor, &intent(Verb::RollBack, web.clone())).await;
    assert!(says(&back.diff, "+ spec.containers.app.image: registry.example/web:1"), "{:?}", back.diff);
    let (end, _) = run(actor, &back, |_, _| ()).await;
    assert_eq!(
        (end.outcome, image("deployment", "web").as_str()),
        (Outcome::Done, "registry.example/web:1"),
        "{}",
        end.text
    );
    kubectl(&["rollout", "status", "deployment/web", "-n", NS, "--timeout=1s"]);
}

async fn sets(actor: &Kubernetes) {
    let db = of(Kind::StatefulSet, "db");
    let set = with(Verb::SetImage, db.clone(), Options { image: Some(":2".to_owned()), ..Options::default() });
    let (end, steps) = act(actor, &set).await;
    assert_eq!(
        (end.outcome, image("statefulset", "db").as_str()),
        (Outcome::Done, "registry.example/web:2"),
        "{} {steps:?}",
        end.text
    );
    let (end, _) = act(actor, &end.undo.expect("a way back")).await;
    assert_eq!(end.outcome, Outcome::Done, "{}", end.text);
    let to_two = with(Verb::RollBack, db, Options { revision: Some("2".to_owned()), ..Options::default() });
    let (end, _) = act(actor, &to_two).await;
    assert_eq!(
        (end.outcome, image("statefulset", "db").as_str()),
        (Outcome::Done, "registry.example/web:2"),
        "{}",
        end.text
    );

    let agent = of(Kind::DaemonSet, "agent");
    let set = with(Verb::SetImage, agent.clone(), Options { image: Some("other:7".to_owned()), ..Options::default() });
    let (end, steps) = act(actor, &set).await;
    assert_eq!(
        (end.outcome, image("daemonset", "agent").as_str()),
        (Outcome::Done, "other:7"),
        "{} {steps:?}",
        end.text
    );
    let (end, _) = act(actor, &intent(Verb::RollBack, agent)).await;
    let now = image("daemonset", "agent");
    assert_eq!((end.outcome, now.as_str()), (Outcome::Done, "registry.example/web:1"), "{}", end.text);
    kubectl(&["rollout", "status", "daemonset/agent", "-n", NS, "--timeout=1s"]);
}

async fn jobs_and_deletion(actor: &Kubernetes) {
    let web = of(Kind::Deployment, "web");
    // Changed meanwhile: nothing is done.
    let stale = plan(actor, &to(5, false)).await;
    kubectl(&["scale", "deployment/web", "-n", NS, "--replicas=2"]);
    let (end, _) = run(actor, &stale, |_, _| ()).await;
    assert!(end.outcome == Outcome::Failed && end.text.contains("replicas was 4, and is 2 now"), "{}", end.text);
    assert_eq!(get("deployment", "web")["spec"]["replicas"], 2);

    let cron = of(Kind::CronJob, "report");
    let (end, _) = act(actor, &intent(Verb::Suspend, cron.clone())).await;
    assert_eq!((end.outcome, get("cronjob", "report")["spec"]["suspend"].as_bool()), (Outcome::Done, Some(true)));
    let triggered = plan(actor, &intent(Verb::Trigger, cron)).await;
    let (end, _) = run(actor, &triggered, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Done, "{}", end.text);
    let job = get("job", triggered.changes[0].to.as_str());
    assert_eq!(job["metadata"]["annotations"]["cronjob.kubernetes.io/instantiate"], "manual");
    assert_eq!(job["metadata"]["ownerReferences"][0]["kind"], "CronJob");
    let (end, _) = act(actor, &end.undo.expect("a way back")).await;
    assert_eq!(
        (end.outcome, is_there("job", triggered.changes[0].to.as_str())),
        (Outcome::Done, false),
        "{}",
        end.text
    );

    let task = on("work-a").into_iter().find(|n| n.starts_with("web-")).expect("a task");
    let (end, _) = act(actor, &intent(Verb::Delete, of(Kind::Task, &task))).await;
    assert_eq!((end.outcome, is_there("pod", &task)), (Outcome::Done, false), "{}", end.text);
    let (end, _) = act(actor, &intent(Verb::Delete, web)).await;
    assert_eq!((end.outcome, is_there("deployment", "web")), (Outcome::Done, false), "{}", end.text);
    until("its tasks gone with it", || !on("work-a").iter().any(|n| n.starts_with("web-"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_is_told_no_before_anything_runs() {
    let Some(_) = state() else { return };
    clean(&["view-a"]);
    namespace();
    apply(&[
        node("view-a", &json!({"group": "view"})),
        workload("Deployment", "web", Some(1), &template("web", &json!({"nodeSelector": {"group": "view"}}))),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": "actions-view"}, "subjects": [{"kind": "User", "name": "viewer"}],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}}),
    ]);
    let out = plane(&["user", "viewer"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let path = PathBuf::from(String::from_utf8_lossy(&out.stdout).trim());
    let (_sources, viewer) = support::actor(Kubeconfig::File(path));
    let web = of(Kind::Deployment, "web");
    for (verb, options, needed) in [
        (Verb::Scale, Options { replicas: Some(3), ..Options::default() }, "patch deployments/scale web in actions"),
        (Verb::Restart, Options::default(), "patch deployments web in actions"),
        (Verb::Delete, Options::default(), "delete deployments web in actions"),
    ] {
        let planned = plan(&viewer, &with(verb, web.clone(), options)).await;
        let needs: Vec<_> = planned.needs.iter().map(|n| (n.what.as_str(), n.allowed)).collect();
        assert_eq!(needs, [(needed, Some(false))]);
        assert!(!planned.is_possible());
    }
    // Nodes are not even shown to that role.
    let planned = plan(&viewer, &intent(Verb::Drain, id(Kind::Node, "", "view-a"))).await;
    assert!(says(&planned.refused, "may not be read") && !planned.is_possible(), "{planned:?}");
    assert_eq!(get("deployment", "web")["spec"]["replicas"], 1);
    kubectl(&["delete", "clusterrolebinding", "actions-view"]);
    clean(&["view-a"]);
}

/// What is on one of the nodes, and the options to drain it with.
struct Shape {
    objects: Vec<Value>,
    /// How many pods are on it once all have come.
    pods: usize,
    options: Options,
    refused: bool,
}

/// A replica set whose pods go straight to a node.
fn set(node: &str, name: &str, n: u32, more: &Value) -> Value {
    let mut spec = more.clone();
    spec["nodeName"] = node.into();
    workload("ReplicaSet", name, Some(n), &template(name, &spec))
}

fn alone(node: &str, name: &str, more: &Value) -> Value {
    let mut pod = template("alone", more);
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    pod["metadata"] = json!({"name": name, "namespace": NS});
    pod["spec"]["nodeName"] = node.into();
    pod
}

fn mirror(node: &str, name: &str) -> Value {
    let mut pod = alone(node, name, &json!({}));
    pod["metadata"]["annotations"] =
        json!({"kubernetes.io/config.mirror": "0123456789abcdef", "kubernetes.io/config.source": "file"});
    pod
}

/// Twelve nodes, `shape-0` on; those with `ds` have a DaemonSet's pod as well.
fn shapes() -> Vec<(bool, Shape)> {
    let none = json!({});
    let volume = json!({"volumes": [{"name": "d", "emptyDir": {}}]});
    let usual = Options { timeout: 20, ..Options::default() };
    let force = Options { force: true, ..usual.clone() };
    let data = Options { delete_emptydir_data: true, ..usual.clone() };
    let both = Options { force: true, ..data.clone() };
    let strict = Options { ignore_daemonsets: false, ..usual.clone() };
    let name = |n: usize| format!("shape-{n}");
    let of = |objects: Vec<Value>, pods: usize, options: &Options, refused: bool| Shape {
        objects,
        pods,
        options: options.clone(),
        refused,
    };
    let mut held = alone(&name(10), "s10-going", &none);
    held["metadata"]["finalizers"] = json!(["quarterdeck.dev/held"]);
    vec![
        (false, of(vec![], 0, &usual, false)),
        (false, of(vec![set(&name(1), "s1", 2, &none)], 2, &usual, false)),
        (true, of(vec![set(&name(2), "s2", 1, &none)], 2, &usual, false)),
        (true, of(vec![set(&name(3), "s3", 1, &none)], 2, &strict, true)),
        (false, of(vec![set(&name(4), "s4", 1, &none), mirror(&name(4), "s4-static")], 2, &usual, false)),
        (false, of(vec![set(&name(5), "s5", 1, &none), alone(&name(5), "s5-alone", &none)], 2, &usual, true)),
        (false, of(vec![set(&name(6), "s6", 1, &none), alone(&name(6), "s6-alone", &none)], 2, &force, false)),
        (false, of(vec![set(&name(7), "s7", 1, &volume)], 1, &usual, true)),
        (false, of(vec![set(&name(8), "s8", 2, &volume)], 2, &data, false)),
        (false, of(vec![set(&name(9), "s9", 1, &none), alone(&name(9), "s9-done", &volume)], 2, &usual, false)),
        (false, of(vec![set(&name(10), "s10", 1, &none), held], 2, &force, false)),
        (
            true,
            of(
                vec![
                    set(&name(11), "s11", 2, &volume),
                    alone(&name(11), "s11-alone", &volume),
                    mirror(&name(11), "s11-static"),
                    budget("s11", 0),
                ],
                5,
                &both,
                false,
            ),
        ),
    ]
}

/// What kubectl would evict, or `None` where it refuses.
fn kubectl_evicts(node: &str, options: &Options) -> Option<BTreeSet<String>> {
    let mut arguments = vec!["kubectl", "drain", node, "--dry-run=server", "--timeout=20s"];
    for (on, flag) in [
        (options.ignore_daemonsets, "--ignore-daemonsets"),
        (options.delete_emptydir_data, "--delete-emptydir-data"),
        (options.force, "--force"),
    ] {
        arguments.extend(on.then_some(flag));
    }
    let out = plane(&arguments);
    let text = format!("{}\n{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    if text.contains("cannot delete") {
        assert!(!out.status.success());
        return None;
    }
    assert!(out.status.success(), "{text}");
    let prefix = format!("evicting pod {NS}/");
    Some(text.lines().filter_map(|l| Some(l.strip_prefix(&prefix)?.split_whitespace().next()?.to_owned())).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_s_plan_is_what_kubectl_would_evict_for_twelve_nodes() {
    let Some(state) = state() else { return };
    let names: Vec<String> = (0..12).map(|n| format!("shape-{n}")).collect();
    let nodes: Vec<&str> = names.iter().map(String::as_str).collect();
    if is_there("pod", "s10-going") {
        kubectl(&["patch", "pod", "s10-going", "-n", NS, "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#]);
    }
    clean(&nodes);
    namespace();
    let shapes = shapes();
    assert_eq!(shapes.len(), 12);
    let mut objects =
        vec![workload("DaemonSet", "agent", None, &template("agent", &json!({"nodeSelector": {"ds": "yes"}})))];
    for (name, (ds, shape)) in nodes.iter().zip(&shapes) {
        objects.insert(0, node(name, &if *ds { json!({"ds": "yes"}) } else { json!({}) }));
        objects.extend(shape.objects.iter().cloned());
    }
    apply(&objects);
    for (name, (_, shape)) in nodes.iter().zip(&shapes) {
        until(name, || on(name).len() == shape.pods).await;
    }
    let phase = |name: &str| get("pod", name)["status"]["phase"].as_str().unwrap_or_default().to_owned();
    until("all of them run", || {
        ["s9-done", "s10-going", "s11-alone"].iter().all(|n| phase(n) == "Running") && available("rs", "s11", 2)
    })
    .await;
    let done = r#"{"status":{"phase":"Succeeded"}}"#;
    kubectl(&["patch", "pod", "s9-done", "-n", NS, "--subresource=status", "--type=merge", "-p", done]);
    kubectl(&["delete", "pod", "s10-going", "-n", NS, "--wait=false"]);
    until("its ending", || get("pod", "s10-going")["metadata"]["deletionTimestamp"].is_string()).await;

    let (_sources, actor) = actor(&state);
    let mut seen = 0;
    for (name, (_, shape)) in nodes.iter().zip(&shapes) {
        let planned = plan(&actor, &with(Verb::Drain, id(Kind::Node, "", name), shape.options.clone())).await;
        let theirs = kubectl_evicts(name, &shape.options);
        assert_eq!(theirs.is_none(), shape.refused, "{name}: {theirs:?}");
        assert_eq!(!planned.refused.is_empty(), shape.refused, "{name}: {:?}", planned.refused);
        let Some(theirs) = theirs else { continue };
        // kubectl evicts what ends already once more; here it is only waited for.
        let goes = |(name, fate): &(&str, Fate)| (*fate != Fate::Stays).then(|| (*name).to_owned());
        let ours: BTreeSet<String> =
            rows(&planned, "evict").iter().chain(&rows(&planned, "wait")).filter_map(goes).collect();
        assert_eq!(ours, theirs, "{name}");
        seen += ours.len();
        if shape.pods > 0 && !is_cordoned(name) {
            assert_eq!(on(name).len(), shape.pods, "a plan evicts nothing");
        }
    }
    assert!(seen >= 14, "only {seen} pods were compared");
    kubectl(&["patch", "pod", "s10-going", "-n", NS, "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#]);
    clean(&nodes);
}
