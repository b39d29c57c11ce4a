//! What a plan is told beside what its maker asked for.

#[path = "support/mod.rs"]
mod support;

use chrono::TimeDelta;
use quarterdeck::action::{Intent, Plan, Verb, facts};
use quarterdeck::domain::notice::{Deadline, Fate, NoticeFeed, NoticeKind, Place, Sighting, Told, Victim};
use quarterdeck::domain::{
    Autoscaler, Bytes, Health, Kind, Millicores, Node, NodeCondition, ObjectId, Resources, Task, Text,
};
use quarterdeck::store::{Feed, Rows, Store};
use support::budgets::{backend, lettered, observe_backend};
use support::fleet::{cluster, id, node, now, observe, task, workload};

fn asking(task: Task, millicores: u64, gib: u64) -> Task {
    Task { requests: Resources { cpu: Millicores(millicores), memory: Bytes(gib << 30) }, ..task }
}

fn running(name: &str, owner: &str, on: &str) -> Task {
    task(name, owner, on, "Running", Health::Ok)
}

/// Nodes a, b and c of 3920m and 14 GiB; `web` has two tasks on a, `api` one there and one on b, `one` one on a.
fn fleet(nodes: Vec<Node>, more: Vec<Task>) -> Store {
    let mut store = Store::expecting([cluster()]).and_backends([backend()]);
    let mut tasks = vec![
        asking(running("web-1", "web", "node-a"), 1500, 4),
        asking(running("web-2", "web", "node-a"), 1500, 4),
        asking(running("api-1", "api", "node-a"), 200, 1),
        asking(running("api-2", "api", "node-b"), 200, 1),
        asking(running("one-1", "one", "node-a"), 100, 1),
    ];
    tasks.extend(more);
    observe(&mut store, Feed::Nodes, Rows::Nodes(nodes));
    observe(
        &mut store,
        Feed::Deployments,
        Rows::Workloads(vec![workload("web", 2, 2), workload("api", 2, 2), workload("one", 1, 1)]),
    );
    observe(&mut store, Feed::Tasks, Rows::Tasks(tasks));
    store
}

fn ready(names: &[&str]) -> Vec<Node> {
    names.iter().map(|n| node(n, NodeCondition::Ready)).collect()
}

fn plan(verb: Verb, targets: Vec<ObjectId>, store: &Store, change: impl Fn(&mut Plan)) -> Plan {
    let mut plan = Plan::new(Intent::new(verb, targets), now());
    change(&mut plan);
    facts::add(&mut plan, store, now());
    plan
}

/// Warnings, then what is merely good to know.
fn told(verb: Verb, targets: Vec<ObjectId>, store: &Store, change: impl Fn(&mut Plan)) -> Vec<String> {
    let plan = plan(verb, targets, store, change);
    plan.warnings.iter().chain(&plan.facts).map(ToString::to_string).collect()
}

fn drain(store: &Store) -> Vec<String> {
    told(Verb::Drain, vec![id(Kind::Node, "", "node-a")], store, |_| {})
}

fn has(lines: &[String], what: &str) -> bool {
    lines.iter().any(|l| l.contains(what))
}

#[test]
fn a_drain_says_whether_what_leaves_fits() {
    let said = drain(&fleet(ready(&["node-a", "node-b", "node-c"]), vec![]));
    let fits = "what leaves fits elsewhere: 3.3 cores, 10 GiB requested by 4 tasks; 7.7 cores and 27 GiB free on 2 other nodes";
    assert!(has(&said, fits), "{said:#?}");
    assert!(has(&said, "taints, architecture, affinity and volumes are not looked at"), "{said:#?}");
    assert!(has(&said, "2 nodes of 3 are left"), "{said:#?}");
    // The sum fits, and no single node has room for the second.
    let full = |n: &str, on: &str| asking(running(n, "other", on), 2000, 1);
    let said =
        drain(&fleet(ready(&["node-a", "node-b", "node-c"]), vec![full("o-1", "node-b"), full("o-2", "node-c")]));
    assert!(has(&said, "fits elsewhere: 3.3 cores"), "{said:#?}");
    let fuller = |n: &str, on: &str| asking(running(n, "other", on), 2500, 1);
    let said =
        drain(&fleet(ready(&["node-a", "node-b", "node-c"]), vec![fuller("o-1", "node-b"), fuller("o-2", "node-c")]));
    assert!(has(&said, "does NOT fit elsewhere: 3.3 cores") && has(&said, "2 of them find no place"), "{said:#?}");
}

#[test]
fn good_news_is_no_warning() {
    let drained =
        |nodes: &[&str]| plan(Verb::Drain, vec![id(Kind::Node, "", "node-a")], &fleet(ready(nodes), vec![]), |_| {});
    let lines = |texts: &[Text]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let well = drained(&["node-a", "node-b", "node-c"]);
    let (warnings, good) = (lines(&well.warnings), lines(&well.facts));
    assert!(has(&good, "fits elsewhere") && has(&good, "2 nodes of 3 are left"), "{good:#?}");
    assert!(!has(&warnings, "fits elsewhere") && !has(&warnings, "are left"), "{warnings:#?}");
    let ill = drained(&["node-a", "node-b"]);
    let (warnings, good) = (lines(&ill.warnings), lines(&ill.facts));
    assert!(has(&warnings, "1 node of 2 is left"), "half of them is a warning: {warnings:#?} {good:#?}");
}

#[test]
fn nodes_that_take_nothing_have_no_room() {
    let mut nodes = ready(&["node-a", "node-b", "node-c"]);
    nodes[1].unschedulable = true;
    nodes[2] = node("node-c", NodeCondition::Silent);
    let said = drain(&fleet(nodes, vec![]));
    assert!(has(&said, "does NOT fit") && has(&said, "0 other nodes; 4 of them"), "{said:#?}");
    assert!(has(&said, "NO node of 3 is left"), "{said:#?}");
    let mut nodes = ready(&["node-a", "node-b"]);
    nodes[1].allocatable_tasks = 3;
    let said = drain(&fleet(nodes, vec![]));
    assert!(has(&said, "2 of them find no place"), "one of three is taken: {said:#?}");
}

#[test]
fn what_goes_down_is_said_and_daemons_are_left_out() {
    let daemon = Task { owner_kind: Kind::DaemonSet, ..asking(running("ds-1", "agent", "node-a"), 3000, 12) };
    let said = drain(&fleet(ready(&["node-a", "node-b", "node-c"]), vec![daemon]));
    assert!(has(&said, "requested by 4 tasks"), "{said:#?}");
    assert!(has(&said, "shop/one will be down until its only task is back"), "{said:#?}");
    assert!(has(&said, "shop/web will be down if they leave together: all of its 2 ready tasks do"), "{said:#?}");
    assert!(!has(&said, "shop/api"), "one of two stays: {said:#?}");
    let said = told(Verb::Delete, vec![id(Kind::Task, "shop", "one-1")], &fleet(ready(&["node-a"]), vec![]), |_| {});
    assert!(has(&said, "shop/one will be down"), "{said:#?}");
    let store = fleet(ready(&["node-a"]), vec![]);
    let said =
        told(Verb::Scale, vec![id(Kind::Deployment, "shop", "web")], &store, |p| p.intent.options.replicas = Some(0));
    assert!(has(&said, "shop/web will have no task left"), "{said:#?}");
}

#[test]
fn a_node_that_is_taken_away_is_no_place_to_go() {
    let mut store = fleet(ready(&["node-a", "node-b", "node-c"]), vec![]);
    let sighting = Sighting {
        victim: Victim::of_node(&id(Kind::Node, "", "node-c"), &Text::empty()),
        kind: NoticeKind::Interruption,
        feed: NoticeFeed::EventLog,
        message: Text::new("1"),
        issued: Some(now()),
        seen: now(),
        deadline: Some(Deadline::exact(now() + TimeDelta::seconds(120))),
        fate: Fate::Terminate,
        place: Place::default(),
        detail: Text::empty(),
    };
    observe_backend(&mut store, Feed::Notices, Rows::Told(vec![Told::Notice(sighting)]));
    let said = drain(&store);
    assert!(has(&said, "1 of the other nodes are being taken away themselves, and not counted: node-c"), "{said:#?}");
    assert!(has(&said, "free on 1 other nodes"), "{said:#?}");
}

#[test]
fn rollouts_autoscalers_and_budgets_are_told() {
    let mut store = fleet(ready(&["node-a", "node-b"]), vec![]);
    let web = || vec![id(Kind::Deployment, "shop", "web")];
    let mut rolling = workload("web", 2, 2);
    rolling.status = Text::new("Rolling out");
    rolling.replicas.updated = 1;
    observe(&mut store, Feed::Deployments, Rows::Workloads(vec![rolling]));
    let hpa = Autoscaler {
        id: id(Kind::Autoscaler, "shop", "web-hpa"),
        target_kind: Kind::Deployment,
        target: Text::new("web"),
        min: 2,
        max: 9,
        current: 2,
        desired: 4,
        targets: Text::empty(),
        limited: false,
        created: None,
    };
    observe(&mut store, Feed::Autoscalers, Rows::Autoscalers(vec![hpa]));
    let budgets = ["A", "B", "C", "D", "E"].map(lettered).to_vec();
    observe_backend(&mut store, Feed::Budgets, Rows::Budgets(budgets));
    let said = told(Verb::Scale, web(), &store, |_| {});
    assert!(has(&said, "shop/web is being rolled out at this moment (1 of 2 updated)"), "{said:#?}");
    assert!(has(&said, "hpa web-hpa keeps shop/web between 2 and 9, now at 4"), "{said:#?}");
    let urgent: Vec<&String> = said.iter().filter(|l| l.contains("error budget slo-")).collect();
    assert!(!urgent.is_empty() && urgent.len() <= 5, "{said:#?}");
    // Whoever made the plan has said it already.
    let said = told(Verb::Scale, web(), &store, |p| p.warnings.push(Text::new("hpa web-hpa owns the number")));
    assert_eq!(said.iter().filter(|l| l.contains("web-hpa")).count(), 1, "{said:#?}");
    let other = told(Verb::Scale, vec![id(Kind::Deployment, "shop", "api")], &store, |_| {});
    assert!(!has(&other, "budget") && !has(&other, "hpa"), "{other:#?}");
}

#[test]
fn nothing_is_said_of_what_nobody_asked() {
    let store = Store::expecting([cluster()]);
    let said = told(Verb::Drain, vec![id(Kind::Node, "", "node-a")], &store, |_| {});
    assert!(said.len() == 1 && has(&said, "not every task"), "{said:#?}");
    let said = told(Verb::Scale, vec![id(Kind::Deployment, "shop", "api")], &fleet(vec![], vec![]), |_| {});
    assert_eq!(said, Vec::<String>::new());
}
