//! What can be done to a Kubernetes cluster, against the embedded fleet's API: a board of
//! objects that only this test changes.
#![cfg(feature = "kubernetes")]
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;
#[allow(dead_code, reason = "each test file uses its own part")]
#[path = "support/actions.rs"]
mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::client::Client;
use quarterdeck::action::kubernetes::Kubernetes;
use quarterdeck::action::{Actor, Fate, Intent, Options, Outcome, StepState, Verb};
use quarterdeck::clock::Clock;
use quarterdeck::domain::{ClusterId, Kind, Timestamp};
use quarterdeck::sim::backend::{Change, Fleet, LogLine, LogQuery, ObjectKind, Refusal, UsageSample};
use quarterdeck::sim::server::{ServerOptions, SimServer};
use quarterdeck::source::kubernetes::{Kubeconfig, Sources};
use serde_json::{Value, json};
use support::{act, has_step, id, intent, plan, rows, run, says};

const MERGE: &str = "application/merge-patch+json";
const WEB: &str = "/apis/apps/v1/namespaces/shop/deployments/web";
const PDB: &str = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets/web";

/// What the fleet does besides keeping what it is given.
#[derive(Default)]
struct Control {
    /// So many writes are refused as conflicts.
    conflicts: u32,
    /// Each write takes so long.
    slow: Duration,
    /// Pods that are deleted stay, ending.
    lingers: bool,
}

struct Board {
    objects: BTreeMap<(ObjectKind, String, String), Value>,
    control: Arc<Mutex<Control>>,
}

impl Board {
    fn key(kind: ObjectKind, object: &Value) -> (ObjectKind, String, String) {
        let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default().to_owned();
        (kind, text("namespace"), text("name"))
    }
}

impl Fleet for Board {
    fn initial(&mut self, _: Timestamp) -> Vec<Change> {
        self.objects.iter().map(|((kind, ..), object)| Change::Put(*kind, object.clone())).collect()
    }

    fn advance(&mut self, _: Timestamp) -> Vec<Change> {
        Vec::new()
    }

    fn write(&mut self, kind: ObjectKind, object: &Value, _: Timestamp) -> Result<Vec<Change>, Refusal> {
        let slow = {
            let mut control = self.control.lock().expect("no panic");
            if control.conflicts > 0 {
                control.conflicts -= 1;
                return Err(Refusal::Conflict("the object has been modified".to_owned()));
            }
            control.slow
        };
        std::thread::sleep(slow);
        let mut object = object.clone();
        if matches!(kind, ObjectKind::Deployment | ObjectKind::StatefulSet | ObjectKind::DaemonSet) {
            let n = object["spec"]["replicas"].clone();
            object["status"] = json!({"observedGeneration": object["metadata"]["generation"], "replicas": n,
                "updatedReplicas": n, "readyReplicas": n, "availableReplicas": n});
        }
        self.objects.insert(Self::key(kind, &object), object.clone());
        Ok(vec![Change::Put(kind, object)])
    }

    fn delete(&mut self, kind: ObjectKind, ns: &str, name: &str, _: Timestamp) -> Result<Vec<Change>, Refusal> {
        let key = (kind, ns.to_owned(), name.to_owned());
        if kind == ObjectKind::Pod && self.control.lock().expect("no panic").lingers {
            let object = self.objects.get_mut(&key).ok_or(Refusal::NotFound)?;
            object["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
            return Ok(vec![Change::Put(kind, object.clone())]);
        }
        self.objects.remove(&key).ok_or(Refusal::NotFound)?;
        Ok(vec![Change::Delete { kind, namespace: key.1, name: key.2 }])
    }

    fn logs(&self, _: &LogQuery, _: Timestamp) -> Result<Vec<LogLine>, Refusal> {
        Ok(Vec::new())
    }

    fn node_usage(&self, _: Timestamp) -> Vec<UsageSample> {
        Vec::new()
    }

    fn pod_usage(&self, _: Timestamp) -> Vec<UsageSample> {
        Vec::new()
    }
}

fn meta(namespace: &str, name: &str) -> Value {
    let mut meta = json!({"name": name, "uid": format!("uid-{name}"), "generation": 1,
        "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"app": "web"}, "annotations": {}});
    if !namespace.is_empty() {
        meta["namespace"] = namespace.into();
    }
    meta
}

fn owned(mut object: Value, kind: &str, name: &str) -> Value {
    object["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": format!("uid-{name}"), "controller": true}]);
    object
}

fn pod(name: &str, node: &str) -> Value {
    json!({"metadata": meta("shop", name), "spec": {"nodeName": node, "containers": [{"name": "app", "image": "web:1"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}})
}

fn template(image: &str, password: &str) -> Value {
    json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "app", "image": image,
        "env": [{"name": "DB_PASSWORD", "value": password}]}]}})
}

fn workload(name: &str, replicas: i64, template: &Value) -> Value {
    json!({"metadata": meta("shop", name), "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
        "template": template},
        "status": {"observedGeneration": 1, "replicas": replicas, "updatedReplicas": replicas,
            "readyReplicas": replicas, "availableReplicas": replicas}})
}

/// Two nodes; `web` of two tasks on the first, with a budget that allows none; an agent on each.
fn board() -> Vec<(ObjectKind, Value)> {
    use ObjectKind as K;
    let revision = |name: &str, image: &str, number: &str| {
        let mut set = owned(workload(name, 2, &template(image, "hunter2")), "Deployment", "web");
        set["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = number.into();
        set["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] = name.into();
        set
    };
    let mut web = workload("web", 2, &template("reg.example:5000/web:2", "hunter3"));
    web["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "2".into();
    let agent = |node: &str| owned(pod(&format!("agent-{node}"), node), "DaemonSet", "agent");
    let mut agents = workload("agent", 2, &template("agent:1", "x"));
    agents["metadata"]["labels"] = json!({"app": "agent"});
    let mut all: Vec<(K, Value)> = ["default", "shop"]
        .map(|ns| (K::Namespace, json!({"metadata": meta("", ns), "status": {"phase": "Active"}})))
        .to_vec();
    for node in ["n1", "n2"] {
        let object = json!({"metadata": meta("", node), "spec": {}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        all.push((K::Node, object));
        let mut pod = agent(node);
        pod["metadata"]["labels"] = json!({"app": "agent"});
        all.push((K::Pod, pod));
    }
    all.push((K::Deployment, web));
    all.push((K::ReplicaSet, revision("web-1", "reg.example:5000/web:1", "1")));
    all.push((K::ReplicaSet, revision("web-2", "reg.example:5000/web:2", "2")));
    all.push((K::DaemonSet, agents));
    for name in ["web-a", "web-b"] {
        all.push((K::Pod, owned(pod(name, "n1"), "ReplicaSet", "web-2")));
    }
    let mut budget = json!({"metadata": meta("shop", "web"), "spec": {"selector": {"matchLabels": {"app": "web"}}}});
    budget["status"] = json!({"disruptionsAllowed": 0, "currentHealthy": 2, "desiredHealthy": 2});
    all.push((K::PodDisruptionBudget, budget));
    let job = json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "report:1"}]}}}});
    all.push((
        K::CronJob,
        json!({"metadata": meta("shop", "report"), "spec": {"schedule": "* * * * *", "jobTemplate": job}}),
    ));
    all
}

struct Bench {
    server: SimServer,
    client: Client,
    actor: Kubernetes,
    control: Arc<Mutex<Control>>,
    sources: Sources,
}

impl Bench {
    async fn of(objects: Vec<(ObjectKind, Value)>) -> Self {
        let control = Arc::new(Mutex::new(Control::default()));
        let objects = objects.into_iter().map(|(kind, object)| (Board::key(kind, &object), object)).collect();
        let board = Board { objects, control: Arc::clone(&control) };
        let server =
            SimServer::start(Box::new(board), Clock::system(), ServerOptions::default()).await.expect("starts");
        let client = Client { addr: server.addr(), token: server.token().to_owned() };
        let (sources, actor) = support::actor(Kubeconfig::Inline(server.kubeconfig()));
        Self { server, client, actor, control, sources }
    }

    async fn start() -> Self {
        Self::of(board()).await
    }

    async fn get(&self, path: &str) -> Value {
        self.client.get(path).await.json()
    }

    async fn patch(&self, path: &str, patch: Value) {
        let answer = self.client.send("PATCH", path, MERGE, &patch).await;
        assert_eq!(answer.code, 200, "{}", answer.text());
    }

    async fn unschedulable(&self, node: &str) -> bool {
        self.get(&format!("/api/v1/nodes/{node}")).await["spec"]["unschedulable"] == true
    }

    /// The budget allows so many from now on.
    async fn allow(&self, n: i64) {
        self.patch(&format!("{PDB}/status"), json!({"status": {"disruptionsAllowed": n}})).await;
    }
}

fn web() -> quarterdeck::domain::ObjectId {
    id(Kind::Deployment, "shop", "web")
}

fn node(name: &str) -> quarterdeck::domain::ObjectId {
    id(Kind::Node, "", name)
}

fn with(verb: Verb, target: quarterdeck::domain::ObjectId, options: Options) -> Intent {
    Intent { verb, targets: vec![target], options }
}

#[tokio::test]
async fn there_is_no_writer_where_nothing_may_be_changed() {
    let server = SimServer::start(
        Box::new(Board { objects: BTreeMap::new(), control: Arc::default() }),
        Clock::system(),
        ServerOptions::default(),
    )
    .await
    .expect("starts");
    let (tx, _rx) = tokio::sync::mpsc::channel(64);
    let spec = support::spec(Kubeconfig::Inline(server.kubeconfig()), true);
    let sources = Sources::spawn(vec![spec], tx, Clock::system());
    assert!(sources.writer(&ClusterId::new("c")).is_none() && sources.writer(&ClusterId::new("other")).is_none());
    assert!(sources.reader(&ClusterId::new("c")).is_some());
}

#[tokio::test]
async fn cordon_and_back() {
    let b = Bench::start().await;
    let both = Intent::new(Verb::Cordon, vec![node("n1"), node("n2")]);
    let planned = plan(&b.actor, &both).await;
    assert_eq!(rows(&planned, "schedulable"), [("n1", Fate::Acts), ("n2", Fate::Acts)]);
    assert_eq!(planned.equivalent, ["kubectl cordon n1", "kubectl cordon n2"]);
    assert_eq!(planned.needs.iter().map(|n| n.what.as_str()).collect::<Vec<_>>(), ["patch nodes n1", "patch nodes n2"]);
    assert!(!b.unschedulable("n1").await, "a plan changes nothing");
    let (end, _) = run(&b.actor, &planned, |_, _| ()).await;
    assert_eq!((end.outcome, b.unschedulable("n1").await, b.unschedulable("n2").await), (Outcome::Done, true, true));
    let again = plan(&b.actor, &both).await;
    assert!(!again.is_possible() && again.changes[0].note.contains("already"));
    let undo = end.undo.expect("a way back");
    assert_eq!((undo.verb, undo.targets.len()), (Verb::Uncordon, 2));
    assert_eq!(act(&b.actor, &undo).await.0.outcome, Outcome::Done);
    assert!(!b.unschedulable("n1").await && !b.unschedulable("n2").await);
}

#[tokio::test]
async fn what_was_changed_meanwhile_is_left_alone() {
    let b = Bench::start().await;
    let both = plan(&b.actor, &Intent::new(Verb::Cordon, vec![node("n1"), node("n2")])).await;
    let scale = with(Verb::Scale, web(), Options { replicas: Some(5), ..Options::default() });
    let scale = plan(&b.actor, &scale).await;
    b.patch("/api/v1/nodes/n2", json!({"spec": {"unschedulable": true}})).await;
    b.patch(WEB, json!({"spec": {"replicas": 3}})).await;
    let (end, _) = run(&b.actor, &both, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Failed);
    assert!(end.text.contains("schedulable was yes, and is no now; nothing was done"), "{}", end.text);
    assert!(!b.unschedulable("n1").await && end.undo.is_none());
    let (end, _) = run(&b.actor, &scale, |_, _| ()).await;
    assert!(end.text.contains("replicas was 2, and is 3 now"), "{}", end.text);
    assert_eq!(b.get(WEB).await["spec"]["replicas"], 3);
}

#[tokio::test]
async fn a_status_that_moves_on_is_no_change() {
    let b = Bench::start().await;
    let planned = plan(&b.actor, &intent(Verb::Cordon, node("n1"))).await;
    b.patch("/api/v1/nodes/n1/status", json!({"status": {"phase": "new"}})).await;
    b.patch("/api/v1/nodes/n1", json!({"metadata": {"labels": {"x": "y"}}})).await;
    assert_eq!(run(&b.actor, &planned, |_, _| ()).await.0.outcome, Outcome::Done);
}

#[tokio::test]
async fn a_conflict_is_tried_again_and_not_for_ever() {
    let b = Bench::start().await;
    let to = |n| with(Verb::Scale, web(), Options { replicas: Some(n), ..Options::default() });
    b.control.lock().expect("no panic").conflicts = 2;
    let (end, _) = act(&b.actor, &to(4)).await;
    assert_eq!(end.outcome, Outcome::Done, "{}", end.text);
    assert_eq!(b.get(WEB).await["spec"]["replicas"], 4);
    let undo = end.undo.expect("a way back");
    assert_eq!(undo.options.replicas, Some(2));
    b.control.lock().expect("no panic").conflicts = 100;
    let (end, _) = act(&b.actor, &to(5)).await;
    assert_eq!(end.outcome, Outcome::Failed);
    assert!(end.text.contains("(409); nothing was done"), "{}", end.text);
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_unknown() {
    let b = Bench::start().await;
    let actor = Kubernetes::new(
        b.sources.writer(&ClusterId::new("c")).expect("one").with_patience(Duration::from_millis(400)),
        Clock::system(),
    );
    let planned = plan(&actor, &intent(Verb::Cordon, node("n1"))).await;
    b.control.lock().expect("no panic").slow = Duration::from_secs(2);
    let (end, _) = run(&actor, &planned, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Unknown, "{}", end.text);
    assert!(end.text.contains("may have been done"), "{}", end.text);
    b.server.faults().go_down();
    let error = actor.plan(&intent(Verb::Cordon, node("n1"))).await.expect_err("nobody is there");
    assert!(error.contains("cannot be read"), "{error}");
}

#[tokio::test]
async fn what_is_not_allowed_is_told_beforehand_and_refused_all_the_same() {
    let b = Bench::start().await;
    b.server.faults().forbid("patch", "nodes");
    let planned = plan(&b.actor, &intent(Verb::Cordon, node("n1"))).await;
    assert_eq!((planned.needs[0].allowed, planned.is_possible()), (Some(false), false));
    let (end, _) = run(&b.actor, &planned, |_, _| ()).await;
    assert!(end.outcome == Outcome::Failed && end.text.contains("not allowed"), "{}", end.text);
    b.server.faults().clear();
    b.server.faults().forbid("create", "pods/eviction");
    let drain = plan(&b.actor, &intent(Verb::Drain, node("n1"))).await;
    let needs: Vec<_> = drain.needs.iter().map(|n| (n.what.as_str(), n.allowed)).collect();
    assert_eq!(needs, [("create pods/eviction in shop", Some(false)), ("patch nodes n1", Some(true))]);
}

#[tokio::test]
async fn scale_with_and_without_an_autoscaler() {
    let b = Bench::start().await;
    let to =
        |n, raise_minimum| with(Verb::Scale, web(), Options { replicas: Some(n), raise_minimum, ..Options::default() });
    let planned = plan(&b.actor, &to(0, false)).await;
    assert!(says(&planned.warnings, "no task of deploy shop/web is left"), "{planned:?}");
    assert_eq!(planned.equivalent, ["kubectl scale deployment/web -n shop --replicas=0"]);
    assert_eq!(planned.needs[0].what.as_str(), "patch deployments/scale web in shop");
    let none = plan(&b.actor, &to(3, true)).await;
    assert!(says(&none.refused, "nothing scales deploy shop/web"), "{none:?}");
    assert!(says(&plan(&b.actor, &intent(Verb::Scale, web())).await.refused, "to how many"));
    let hpa = json!({"metadata": meta("shop", "web-hpa"), "spec": {"minReplicas": 2, "maxReplicas": 6,
        "scaleTargetRef": {"kind": "Deployment", "name": "web"}}});
    let mut objects = board();
    objects.push((ObjectKind::HorizontalPodAutoscaler, hpa));
    let b = Bench::of(objects).await;
    assert!(says(&plan(&b.actor, &to(1, false)).await.warnings, "web-hpa (2 to 6) will change it back at once"));
    assert!(says(&plan(&b.actor, &to(9, true)).await.refused, "more than its maximum of 6"));
    let raise = plan(&b.actor, &to(4, true)).await;
    assert_eq!(rows(&raise, "minReplicas"), [("web-hpa", Fate::Acts)]);
    let (end, _) = run(&b.actor, &raise, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Done, "{}", end.text);
    let hpa = b.get("/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers/web-hpa").await;
    assert_eq!(
        (hpa["spec"]["minReplicas"].as_i64(), b.get(WEB).await["spec"]["replicas"].as_i64()),
        (Some(4), Some(2))
    );
}

#[tokio::test]
async fn restart_set_image_and_roll_back() {
    let b = Bench::start().await;
    b.patch(WEB, json!({"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}})).await;
    let restart = plan(&b.actor, &intent(Verb::Restart, web())).await;
    assert!(says(&restart.warnings, "Flux keeps this by its Kustomization apps"), "{restart:?}");
    assert!(says(&restart.warnings, "up to 1 more at once"), "{restart:?}");
    let (end, steps) = run(&b.actor, &restart, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Done, "{}", end.text);
    assert!(has_step(&steps, "web", StepState::Done));
    let at =
        b.get(WEB).await["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"].clone();
    assert!(at.is_string());

    let image = Options { image: Some(":3".to_owned()), ..Options::default() };
    let set = plan(&b.actor, &with(Verb::SetImage, web(), image)).await;
    let diff: Vec<&str> = set.diff.iter().map(quarterdeck::domain::Text::as_str).collect();
    assert_eq!(
        diff,
        ["- containers.app.image: reg.example:5000/web:2", "+ containers.app.image: reg.example:5000/web:3"]
    );
    assert_eq!(set.equivalent, ["kubectl set image deployment/web -n shop app=reg.example:5000/web:3"]);
    let (end, _) = run(&b.actor, &set, |_, _| ()).await;
    assert_eq!(end.undo.expect("a way back").options.image.as_deref(), Some("reg.example:5000/web:2"));

    let back = with(Verb::RollBack, web(), Options { revision: Some("1".to_owned()), ..Options::default() });
    let planned = plan(&b.actor, &back).await;
    let text = format!("{:?}", planned.diff);
    assert!(text.contains("web:3") && text.contains("web:1") && !text.contains("hunter"), "{text}");
    let (end, _) = run(&b.actor, &planned, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Done, "{}", end.text);
    let now = b.get(WEB).await["spec"]["template"].clone();
    assert_eq!(now["spec"]["containers"][0]["image"], "reg.example:5000/web:1");
    assert!(now["metadata"]["labels"].get("pod-template-hash").is_none());
    let missing = with(Verb::RollBack, web(), Options { revision: Some("9".to_owned()), ..Options::default() });
    assert!(says(&plan(&b.actor, &missing).await.refused, "revision 9 of deploy shop/web is not kept; there are 2, 1"));
    b.patch(WEB, json!({"spec": {"paused": true}})).await;
    assert!(says(&plan(&b.actor, &intent(Verb::Restart, web())).await.refused, "is paused"));
}

#[tokio::test]
async fn delete_trigger_and_suspend() {
    let b = Bench::start().await;
    let task = id(Kind::Task, "shop", "web-a");
    let planned = plan(&b.actor, &intent(Verb::Delete, task)).await;
    assert!(says(&planned.warnings, "budget shop/web allows no task to go now"), "{planned:?}");
    assert!(planned.undo.contains("ReplicaSet web-2"), "{}", planned.undo);
    let (end, _) = run(&b.actor, &planned, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Done, "{}", end.text);
    let (end, _) = run(&b.actor, &planned, |_, _| ()).await;
    assert!(
        end.outcome == Outcome::Failed && end.text.contains("not there any more; nothing was done"),
        "{}",
        end.text
    );

    let cron = id(Kind::CronJob, "shop", "report");
    let (end, _) = act(&b.actor, &intent(Verb::Suspend, cron.clone())).await;
    assert_eq!(end.undo.as_ref().map(|u| u.verb), Some(Verb::Resume));
    let planned = plan(&b.actor, &intent(Verb::Trigger, cron)).await;
    let name = planned.changes[0].to.clone();
    assert!(planned.equivalent[0].starts_with(&format!("kubectl create job {name} --from=cronjob/report")));
    assert!(planned.changes[0].note.contains("suspended"));
    let (end, _) = run(&b.actor, &planned, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Done, "{}", end.text);
    let job = b.get(&format!("/apis/batch/v1/namespaces/shop/jobs/{name}")).await;
    assert_eq!(job["metadata"]["annotations"]["cronjob.kubernetes.io/instantiate"], "manual");
    assert_eq!(job["metadata"]["ownerReferences"][0]["name"], "report");
    assert_eq!(job["spec"]["template"]["spec"]["containers"][0]["image"], "report:1");
    let (end, _) = act(&b.actor, &end.undo.expect("a way back")).await;
    assert_eq!(end.outcome, Outcome::Done, "{}", end.text);
}

#[tokio::test]
async fn a_budget_holds_a_drain_until_it_lets_go() {
    let b = Bench::start().await;
    let planned = plan(&b.actor, &intent(Verb::Drain, node("n1"))).await;
    assert_eq!(rows(&planned, "evict"), [("web-a", Fate::Waits), ("web-b", Fate::Waits)]);
    assert_eq!(rows(&planned, "leave"), [("agent-n1", Fate::Stays)]);
    assert!(planned.changes.iter().any(|c| c.note.contains("budget shop/web allows 0")), "{planned:?}");
    assert_eq!(planned.equivalent, ["kubectl drain n1 --ignore-daemonsets --timeout=600s"]);
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let release = async {
        told.recv().await;
        b.allow(2).await;
    };
    let drain = run(&b.actor, &planned, |step, _| {
        if step.text.contains("429: budget shop/web allows 0 (2 healthy, 2 needed)") {
            let _ = tell.send(());
        }
    });
    let ((end, steps), ()) = tokio::join!(drain, release);
    assert_eq!(end.outcome, Outcome::Done, "{}", end.text);
    assert_eq!(end.text.as_str(), "node n1 drained: 2 tasks gone, 1 left where they are");
    assert!(has_step(&steps, "web-a", StepState::Waiting) && has_step(&steps, "web-a", StepState::Done));
    assert!(b.unschedulable("n1").await);
    let left = b.get("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1").await;
    assert_eq!(left["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_cancelled_drain_leaves_the_node_cordoned_and_says_how_to_undo_that() {
    let b = Bench::start().await;
    b.allow(2).await;
    b.control.lock().expect("no panic").lingers = true;
    let planned = plan(&b.actor, &intent(Verb::Drain, node("n1"))).await;
    assert_eq!(rows(&planned, "evict"), [("web-a", Fate::Acts), ("web-b", Fate::Acts)]);
    let (end, _) = run(&b.actor, &planned, |step, cancel| {
        if step.text.contains("evicted, and ending") {
            cancel.cancel();
        }
    })
    .await;
    assert_eq!(end.outcome, Outcome::Cancelled, "{}", end.text);
    assert!(end.text.contains("node n1 stays cordoned") && end.text.contains("0 tasks gone, 2 not"), "{}", end.text);
    let undo = end.undo.expect("a way back");
    assert_eq!((undo.verb, undo.targets[0].name.as_str()), (Verb::Uncordon, "n1"));
    assert!(b.unschedulable("n1").await);
}

#[tokio::test]
async fn a_drain_gives_up_when_its_time_is_up() {
    let b = Bench::start().await;
    let short = with(Verb::Drain, node("n1"), Options { timeout: 1, ..Options::default() });
    let planned = plan(&b.actor, &short).await;
    let (end, _) = run(&b.actor, &planned, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Failed, "{}", end.text);
    assert!(end.text.starts_with("not done in time: 0 tasks gone, 2 not"), "{}", end.text);
    assert!(end.text.contains("budget shop/web allows 0") && end.undo.is_some(), "{}", end.text);
}

#[tokio::test]
async fn several_nodes_go_one_after_the_other() {
    let b = Bench::start().await;
    b.allow(5).await;
    let both = Intent::new(Verb::Drain, vec![node("n1"), node("n2")]);
    let (end, steps) = act(&b.actor, &both).await;
    assert_eq!(end.outcome, Outcome::Done, "{}", end.text);
    let at = |name: &str, text: &str| {
        let is = |s: &quarterdeck::action::Step| {
            s.target.as_ref().is_some_and(|t| t.name.as_str() == name) && s.text.starts_with(text)
        };
        steps.iter().position(is).expect(text)
    };
    assert!(at("n1", "drained") < at("n2", "cordoning"));
}

#[tokio::test]
async fn cancelling_leaves_the_nodes_that_were_not_begun() {
    let b = Bench::start().await;
    let planned = plan(&b.actor, &Intent::new(Verb::Drain, vec![node("n1"), node("n2")])).await;
    let (end, steps) = run(&b.actor, &planned, |step, cancel| {
        if step.text.contains("429") {
            cancel.cancel();
        }
    })
    .await;
    assert_eq!(end.outcome, Outcome::Cancelled, "{}", end.text);
    assert!(end.text.contains("not begun: node n2; node n1 stays cordoned"), "{}", end.text);
    assert!(has_step(&steps, "n2", StepState::Skipped) && !b.unschedulable("n2").await);
}

#[tokio::test]
async fn a_busy_server_is_asked_again() {
    let b = Bench::start().await;
    b.server.faults().retry_after(1, Some("nodes"), Some(2));
    let (end, _) = act(&b.actor, &intent(Verb::Cordon, node("n1"))).await;
    assert_eq!((end.outcome, b.unschedulable("n1").await), (Outcome::Done, true), "{}", end.text);
}

#[tokio::test]
async fn what_a_drain_refuses_leaves_the_node_untouched() {
    let mut objects = board();
    let mut scratch = owned(pod("scratch", "n2"), "ReplicaSet", "web-2");
    scratch["spec"]["volumes"] = json!([{"name": "d", "emptyDir": {}}]);
    objects.push((ObjectKind::Pod, scratch));
    objects.push((ObjectKind::Pod, pod("alone", "n2")));
    let twice =
        json!({"metadata": meta("shop", "more"), "spec": {"selector": {}}, "status": {"disruptionsAllowed": 9}});
    let b = Bench::of(objects).await;
    b.allow(9).await;
    let planned = plan(&b.actor, &intent(Verb::Drain, node("n2"))).await;
    assert!(
        says(&planned.refused, "task shop/alone: it has no owner")
            && says(&planned.refused, "task shop/scratch: it has emptyDir")
    );
    assert!(!planned.is_possible());
    let (end, _) = run(&b.actor, &planned, |_, _| ()).await;
    assert!(end.outcome == Outcome::Failed && end.text.contains("nothing was done"), "{}", end.text);
    assert!(!b.unschedulable("n2").await);
    // A second budget is over all of them: that never ends.
    let made =
        b.client.send("POST", "/apis/policy/v1/namespaces/shop/poddisruptionbudgets", "application/json", &twice).await;
    assert_eq!(made.code, 201, "{}", made.text());
    let planned = plan(&b.actor, &intent(Verb::Drain, node("n1"))).await;
    assert!(says(&planned.refused, "2 budgets are over it (shop/more, shop/web)"), "{:?}", planned.refused);
    let forced = Options { force: true, delete_emptydir_data: true, ..Options::default() };
    b.client
        .ask("DELETE", "/apis/policy/v1/namespaces/shop/poddisruptionbudgets/more", common::client::Says::default())
        .await;
    let (end, _) = act(&b.actor, &with(Verb::Drain, node("n2"), forced)).await;
    assert_eq!(end.outcome, Outcome::Done, "{}", end.text);
}

/// A fleet that lives: tasks come up elsewhere, and budgets let go one by one.
const LIVING: &str = r#"
name = "living"
seed = 3
[[nodes]]
group = "general"
count = 3
instance = "m7i.2xlarge"
zones = ["eu-west-1a"]
cpu = 8
memory = 32
[[namespaces]]
name = "shop"
[[namespaces]]
name = "kube-system"
[[workloads]]
kind = "deployment"
namespace = "shop"
name = "web"
replicas = 6
image = "registry.example.com/shop/web:1"
cpu = "100m"
memory = "64Mi"
ready_after = "1s"
pdb = { max_unavailable = "1" }
[[workloads]]
kind = "daemon-set"
namespace = "kube-system"
name = "agent"
image = "registry.example.com/agent:1"
cpu = "10m"
memory = "16Mi"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_living_fleet_is_drained_within_its_budget() {
    let scenario = quarterdeck::sim::model::Scenario::parse(LIVING, "living.toml").expect("a scenario");
    let fleet = Box::new(quarterdeck::sim::model::Model::new(scenario));
    let server = SimServer::start(fleet, Clock::system(), ServerOptions::default()).await.expect("starts");
    let client = Client { addr: server.addr(), token: server.token().to_owned() };
    let (_sources, actor) = support::actor(Kubeconfig::Inline(server.kubeconfig()));
    let pods = client.get("/api/v1/namespaces/shop/pods").await.json();
    let name = pods["items"][0]["spec"]["nodeName"].as_str().expect("a node").to_owned();
    let planned = plan(&actor, &intent(Verb::Drain, node(&name))).await;
    assert_eq!(rows(&planned, "leave").len(), 1, "{planned:?}");
    let (end, steps) = run(&actor, &planned, |_, _| ()).await;
    assert_eq!(end.outcome, Outcome::Done, "{} {steps:?}", end.text);
    let left = client.get(&format!("/api/v1/pods?fieldSelector=spec.nodeName%3D{name}")).await.json();
    assert_eq!(left["items"].as_array().map(Vec::len), Some(1));
    let restart = act(&actor, &intent(Verb::Restart, web())).await.0;
    assert_eq!(restart.outcome, Outcome::Done, "{}", restart.text);
}
