//! Fleets whose machines are taken away.
#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use chrono::{DateTime, TimeDelta, Utc};
use quarterdeck::domain::notice::Outcome;
use quarterdeck::domain::notice::{
    Deadline, Departure, Fate, NoticeFeed, NoticeKind, Place, Record, Sighting, Told, Victim,
};
use quarterdeck::domain::{
    Backend, BackendKind, ClusterId, DisruptionBudget, Health, Kind, Node, NodeCondition, ObjectId, Task, Text,
    Workload,
};
use quarterdeck::store::{Body, Feed, Observation, Rows, SourceId, Store};

use super::fleet::{cluster, id, node, now, observe, small_fleet, task, workload};

/// The log of EventBridge's events.
pub fn events() -> ClusterId {
    ClusterId::new("spot-events")
}

pub fn backend() -> Backend {
    Backend {
        id: events(),
        kind: BackendKind::EventLog,
        version: Text::empty(),
        endpoint: Text::new("/aws/events/spot"),
        cluster: None,
        found: false,
    }
}

pub fn tell(store: &mut Store, told: Vec<Told>, at: DateTime<Utc>) {
    let source = SourceId { cluster: events(), feed: Feed::Notices };
    store.apply(Observation { source, at, body: Body::Upsert(Rows::Told(told)) });
}

/// One node called `one` with so many tasks of `web`, each with this grace.
pub fn one_machine(tasks: u32, grace: u16) -> Store {
    let mut store = Store::expecting([cluster()]).and_backends([events()]);
    observe(&mut store, Feed::Nodes, Rows::Nodes(vec![spot_node("one", "i-1", "eu-west-1a")]));
    let on_it = |n| {
        let mut t = task(&format!("web-{n}"), "web", "one", "Running", Health::Ok);
        t.grace = grace;
        t
    };
    observe(&mut store, Feed::Tasks, Rows::Tasks((0..tasks).map(on_it).collect()));
    observe(&mut store, Feed::Deployments, Rows::Workloads(vec![workload("web", tasks, tasks)]));
    store
}

pub fn ago(secs: i64) -> DateTime<Utc> {
    now() - TimeDelta::seconds(secs)
}

/// A notice of an instance, given so many seconds ago and heard 1.2 s later.
pub fn sighting(instance: &str, kind: NoticeKind, issued: i64, deadline: Option<Deadline>) -> Sighting {
    Sighting {
        victim: Victim::Instance(Text::new(instance)),
        kind,
        feed: NoticeFeed::EventLog,
        message: Text::new(&format!("{instance}-{}", kind.word())),
        issued: Some(ago(issued)),
        seen: ago(issued) + TimeDelta::milliseconds(1_240),
        deadline,
        fate: if kind == NoticeKind::Interruption { Fate::Terminate } else { Fate::Unknown },
        place: Place { account: Text::new("123456789012"), region: Text::new("eu-west-1"), ..Place::default() },
        detail: Text::empty(),
    }
}

/// An interruption given so many seconds ago: two minutes from then on.
pub fn interruption(instance: &str, issued: i64) -> Told {
    let deadline = Deadline::exact(ago(issued) + TimeDelta::seconds(120));
    Told::Notice(sighting(instance, NoticeKind::Interruption, issued, Some(deadline)))
}

pub fn spot_node(name: &str, instance: &str, zone: &str) -> Node {
    let mut n = node(name, NodeCondition::Ready);
    n.instance = Text::new(instance);
    n.zone = Text::new(zone);
    n
}

fn owned(name: &str, owner: &str, on: &str, grace: u16) -> Task {
    let mut t = task(name, owner, on, "Running", Health::Ok);
    t.grace = grace;
    t
}

fn stateful(name: &str) -> Workload {
    let mut w = workload(name, 3, 3);
    w.id = id(Kind::StatefulSet, "shop", name);
    w
}

/// Says how a store came to be: rows first, then what is told, in the order of time.
pub fn taken_fleet() -> Store {
    let mut store = small_fleet().and_backends([events()]);
    let source = SourceId { cluster: events(), feed: Feed::Notices };
    for body in [Body::Backend(backend()), Body::Begin, Body::Synced] {
        store.apply(Observation { source: source.clone(), at: ago(300), body });
    }
    let nodes = vec![
        spot_node("ip-10-0-1-7.eu-west-1.compute.internal", "i-0a1b2c3d4e5f60001", "eu-west-1a"),
        spot_node("ip-10-0-1-8.eu-west-1.compute.internal", "i-0a1b2c3d4e5f60002", "eu-west-1a"),
        spot_node("ip-10-0-2-9.eu-west-1.compute.internal", "i-0a1b2c3d4e5f60003", "eu-west-1b"),
        spot_node("ip-10-0-2-10.eu-west-1.compute.internal", "i-0a1b2c3d4e5f60004", "eu-west-1b"),
        spot_node("ip-10-0-3-11.eu-west-1.compute.internal", "i-0a1b2c3d4e5f60005", "eu-west-1c"),
        node("node-a", NodeCondition::Ready),
    ];
    let first = "ip-10-0-1-7.eu-west-1.compute.internal";
    let second = "ip-10-0-1-8.eu-west-1.compute.internal";
    let fifth = "ip-10-0-3-11.eu-west-1.compute.internal";
    let mut db = owned("orders-db-0", "orders-db", first, 300);
    db.owner_kind = Kind::StatefulSet;
    let mut lone = owned("migrate", "", second, 30);
    lone.owner_kind = Kind::Other;
    let mut tasks = vec![
        db,
        owned("cart-5d8f-1", "cart", first, 30),
        owned("cart-5d8f-2", "cart", first, 30),
        owned("cart-5d8f-3", "cart", first, 30),
        owned("cart-5d8f-4", "cart", second, 30),
        owned("report-1", "report", second, 30),
        lone,
        owned("web-9", "web", fifth, 30),
    ];
    tasks.extend((1..=4).map(|n| owned(&format!("api-2-{n}"), "api", first, 30)));
    let owners = vec![workload("cart", 4, 4), workload("report", 1, 1), workload("api", 6, 6)];
    observe_at(&mut store, Feed::Nodes, Rows::Nodes(nodes), 240);
    observe_at(&mut store, Feed::Tasks, Rows::Tasks(tasks.clone()), 240);
    observe_at(&mut store, Feed::Deployments, Rows::Workloads(owners), 240);
    observe_at(&mut store, Feed::StatefulSets, Rows::Workloads(vec![stateful("orders-db")]), 240);
    let blocks = DisruptionBudget {
        id: id(Kind::DisruptionBudget, "shop", "report"),
        selector: [(Text::new("app"), Text::new("report"))].into_iter().collect(),
        allowed: 0,
        min_available: Text::new("1"),
        max_unavailable: Text::empty(),
        healthy: 1,
        expected: 1,
        created: None,
    };
    observe(&mut store, Feed::DisruptionBudgets, Rows::DisruptionBudgets(vec![blocks]));
    // One went well, a moment ago.
    tell(&mut store, vec![interruption("i-0a1b2c3d4e5f60005", 200)], ago(198));
    let gone = ObjectId { name: Text::new("web-9"), ..tasks[0].id.clone() };
    forget(&mut store, Feed::Tasks, &gone, ago(120));
    store.settle(ago(119));
    let departure = Departure {
        victim: Victim::Instance(Text::new("i-0a1b2c3d4e5f60005")),
        feed: NoticeFeed::EventLog,
        at: ago(80),
        taken: true,
    };
    tell(&mut store, vec![Told::Gone(departure)], ago(79));
    store.settle(ago(78));
    // Two are taken now, one of them is nearly over; one is advised; one is a stranger.
    tell(
        &mut store,
        vec![
            interruption("i-0a1b2c3d4e5f60001", 75),
            interruption("i-0a1b2c3d4e5f60002", 17),
            Told::Notice(sighting("i-0a1b2c3d4e5f60003", NoticeKind::Rebalance, 60, None)),
            interruption("i-0ffffffffffffffff", 40),
        ],
        ago(15),
    );
    for name in ["cart-5d8f-1", "cart-5d8f-2"] {
        let mut t = tasks.iter().find(|t| *t.id.name == *name).expect("a task").clone();
        t.status = Text::new("Terminating");
        observe_row(&mut store, Rows::Tasks(vec![t]), ago(20));
    }
    forget(&mut store, Feed::Tasks, &ObjectId { name: Text::new("cart-5d8f-1"), ..tasks[0].id.clone() }, ago(5));
    let mut short = workload("cart", 4, 3);
    short.message = Text::new("Deployment does not have minimum availability.");
    let source = SourceId { cluster: cluster(), feed: Feed::Deployments };
    store.apply(Observation { source, at: ago(4), body: Body::Upsert(Rows::Workloads(vec![short])) });
    // The node says so, too.
    let mut tainted = spot_node(first, "i-0a1b2c3d4e5f60001", "eu-west-1a");
    tainted.taints = Text::new("aws-node-termination-handler/spot-itn=1764034440:NoSchedule");
    tainted.unschedulable = true;
    tainted.status = Text::new("Ready,SchedulingDisabled");
    let source = SourceId { cluster: cluster(), feed: Feed::Nodes };
    store.apply(Observation { source, at: ago(70), body: Body::Upsert(Rows::Nodes(vec![tainted])) });
    store.notices.remember(vec![earlier()]);
    store.settle(now());
    store
}

/// One of yesterday's.
fn earlier() -> Record {
    Record {
        victim: Victim::Instance(Text::new("i-0a1b2c3d4e5f6aaaa")),
        cluster: Text::new("test"),
        name: Text::new("ip-10-0-1-3.eu-west-1.compute.internal"),
        kind: NoticeKind::Interruption,
        fate: Fate::Terminate,
        born: Some(now() - TimeDelta::days(3)),
        issued: now() - TimeDelta::hours(20),
        deadline: Some(now() - TimeDelta::hours(20) + TimeDelta::minutes(2)),
        gone: Some(now() - TimeDelta::hours(20) + TimeDelta::minutes(2)),
        instance_type: Text::new("m6i.xlarge"),
        zone: Text::new("eu-west-1a"),
        region: Text::new("eu-west-1"),
        spot: true,
        tasks: 7,
        outcome: Outcome::Cut { tasks: 2 },
        told_by: Some(NoticeFeed::NodeTaint),
        late_ms: Some(4_100),
    }
}

fn observe_at(store: &mut Store, feed: Feed, rows: Rows, secs: i64) {
    let source = SourceId { cluster: cluster(), feed };
    for body in [Body::Begin, Body::Upsert(rows), Body::Synced] {
        store.apply(Observation { source: source.clone(), at: ago(secs), body });
    }
}

fn observe_row(store: &mut Store, rows: Rows, at: DateTime<Utc>) {
    let source = SourceId { cluster: cluster(), feed: Feed::Tasks };
    store.apply(Observation { source, at, body: Body::Upsert(rows) });
}

fn forget(store: &mut Store, feed: Feed, id: &ObjectId, at: DateTime<Utc>) {
    let source = SourceId { cluster: cluster(), feed };
    store.apply(Observation { source, at, body: Body::Remove(vec![id.clone()]) });
}

/// 500 notices on 2,000 nodes with 50,000 tasks.
pub fn storm() -> Store {
    let mut store = Store::expecting([cluster()]).and_backends([events()]);
    let nodes: Vec<_> =
        (0..2_000).map(|n| spot_node(&format!("node-{n}"), &format!("i-{n}"), ["a", "b", "c"][n % 3])).collect();
    let tasks = (0..50_000).map(|n| {
        task(&format!("web-{n}"), &format!("web-{}", n % 500), &format!("node-{}", n % 2_000), "Running", Health::Ok)
    });
    observe(&mut store, Feed::Nodes, Rows::Nodes(nodes));
    observe(&mut store, Feed::Tasks, Rows::Tasks(tasks.collect()));
    let owners = (0..500).map(|n| workload(&format!("web-{n}"), 100, 100)).collect();
    observe(&mut store, Feed::Deployments, Rows::Workloads(owners));
    let blocks = (0..200).map(|n| DisruptionBudget {
        id: id(Kind::DisruptionBudget, "shop", &format!("web-{n}")),
        min_available: Text::empty(),
        max_unavailable: Text::empty(),
        selector: [(Text::new("app"), Text::new(&format!("web-{n}")))].into_iter().collect(),
        allowed: 0,
        healthy: 100,
        expected: 100,
        created: None,
    });
    observe(&mut store, Feed::DisruptionBudgets, Rows::DisruptionBudgets(blocks.collect()));
    tell(&mut store, (0..500).map(|n| interruption(&format!("i-{n}"), 17)).collect(), ago(15));
    store
}
