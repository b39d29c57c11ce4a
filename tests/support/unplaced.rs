//! An ECS cluster whose services find no place for their tasks.

use chrono::{DateTime, TimeDelta, Utc};
use quarterdeck::domain::notice::Told;
use quarterdeck::domain::placement::{Placement, Placing, Shortage, Teller};
use quarterdeck::domain::{
    CapacityType, Cluster, ClusterId, Deployment, EcsService, EcsTask, Health, Kind, ObjectId, Orchestrator, Replicas,
    Resources, Stop, Task, Text, Workload,
};
use quarterdeck::store::{Body, Feed, Observation, Rows, SourceId, Store};

use super::fleet::{self, now};
use super::taken::{ago, taken_fleet, tell};

pub fn shop() -> ClusterId {
    ClusterId::new("shop-ecs")
}

pub fn service_id(name: &str) -> ObjectId {
    ObjectId { cluster: shop(), kind: Kind::EcsService, namespace: Text::empty(), name: Text::new(name) }
}

pub fn service_arn(name: &str) -> Text {
    Text::new(&format!("arn:aws:ecs:eu-west-1:123456789012:service/shop-ecs/{name}"))
}

/// A service that wants so many tasks and has so many, some of them on their way.
pub fn service(name: &str, providers: &[&str], (desired, running, pending): (u32, u32, u32)) -> Workload {
    let mut w = fleet::workload(name, desired, running);
    w.id = service_id(name);
    w.uid = service_arn(name);
    w.replicas = Replicas { desired, current: running + pending, ready: running, updated: running, available: running };
    (w.status, w.health) = match running {
        n if n >= desired => (Text::new("Steady"), Health::Ok),
        0 => (Text::new("Degraded"), Health::Critical),
        _ => (Text::new("Degraded"), Health::Warning),
    };
    w.ecs = Some(Box::new(EcsService {
        arn: service_arn(name),
        placement: Text::new(&providers.join(", ").to_lowercase()),
        providers: providers.iter().map(|p| Text::new(p)).collect(),
        capacity_type: CapacityType::Spot,
        pending,
        deployments: Vec::new(),
        breaker: None,
        bounds: (100, 200),
        controller: Text::new("ECS"),
        target_groups: Vec::new(),
        subnets: Vec::new(),
        task_size: Resources::default(),
    }));
    w
}

/// One deployment of two, of a service that rolls out.
pub fn deployment(status: &str, (desired, running, pending): (u32, u32, u32)) -> Deployment {
    Deployment {
        status: Text::new(status),
        rollout: Text::new(if status == "PRIMARY" { "IN_PROGRESS" } else { "COMPLETED" }),
        reason: Text::empty(),
        definition: Text::new("web:1"),
        desired,
        running,
        pending,
        failed: 0,
        created: Some(ago(500)),
    }
}

/// A task of a service, which runs; `going` if it is taken back.
pub fn task_of(service: &str, n: u32, going: bool) -> Task {
    let mut t = fleet::task(&format!("{service}/{n}"), service, "", "Running", Health::Ok);
    t.id = ObjectId { kind: Kind::Task, ..service_id(&format!("{service}/{n}")) };
    t.owner_kind = Kind::EcsService;
    let stop = Stop {
        code: Text::new("SpotInterruption"),
        reason: Text::new("Your Spot Task was interrupted."),
        begun: Some(ago(20)),
        at: None,
    };
    t.ecs = Some(Box::new(EcsTask {
        arn: Text::new(&format!("arn:aws:ecs:eu-west-1:123456789012:task/shop-ecs/{service}{n}")),
        launch: Text::new("FARGATE"),
        provider: Text::new("FARGATE_SPOT"),
        capacity_type: CapacityType::Spot,
        definition: Text::new("web:1"),
        definition_arn: Text::empty(),
        zone: Text::new("eu-west-1b"),
        started: Some(ago(900)),
        started_by: Text::empty(),
        exec: false,
        protected_until: None,
        stop_timeout: None,
        stop: going.then_some(stop),
    }));
    t
}

/// The services as ECS lists them at this moment; a list like the first is a sign of life.
pub fn list(store: &mut Store, services: Vec<Workload>, at: DateTime<Utc>) {
    whole(store, Feed::Services, Rows::Workloads(services), at);
}

/// The same of their tasks.
pub fn list_tasks(store: &mut Store, tasks: Vec<Task>, at: DateTime<Utc>) {
    whole(store, Feed::Tasks, Rows::Tasks(tasks), at);
}

fn whole(store: &mut Store, feed: Feed, rows: Rows, at: DateTime<Utc>) {
    let source = SourceId { cluster: shop(), feed };
    for body in [Body::Begin, Body::Upsert(rows), Body::Synced] {
        store.apply(Observation { source: source.clone(), at, body });
    }
}

/// A word on a service, so many seconds ago.
pub fn word(service: &str, teller: Teller, secs: i64, says: Placing) -> Placement {
    Placement { at: ago(secs), service: service_arn(service), says, teller }
}

pub fn failed(why: Shortage, providers: &[&str]) -> Placing {
    Placing::Failed { why, providers: providers.iter().map(|p| Text::new(p)).collect() }
}

pub fn say(store: &mut Store, words: impl IntoIterator<Item = Placement>, at: DateTime<Utc>) {
    tell(store, words.into_iter().map(Told::Placement).collect(), at);
}

/// Machines that go, and services that lack tasks: on Fargate Spot, on instances, with a long name
/// and nothing running, and of a cluster that is not read.
pub fn unplaced_fleet() -> Store {
    let mut store = taken_fleet().and_ecs([shop()]);
    let cluster = Cluster {
        id: shop(),
        orchestrator: Orchestrator::Ecs,
        version: Text::empty(),
        endpoint: Text::new("eu-west-1"),
        production: false,
        read_only: false,
        providers: Vec::new(),
    };
    let source = SourceId { cluster: shop(), feed: Feed::Nodes };
    store.apply(Observation { source, at: now(), body: Body::Cluster(cluster) });
    list(
        &mut store,
        vec![
            service("search", &["FARGATE_SPOT"], (6, 4, 1)),
            service("images", &["shop-asg"], (4, 3, 0)),
            service("recommendations-for-returning-customers", &["FARGATE", "FARGATE_SPOT"], (2, 0, 0)),
            service("web", &["FARGATE_SPOT"], (2, 2, 0)),
        ],
        now(),
    );
    let mut far = word("orders", Teller::EventQueue, 65, failed(Shortage::Agent, &["far-asg"]));
    far.service = Text::new("arn:aws:ecs:eu-west-1:123456789012:service/elsewhere/orders");
    say(
        &mut store,
        [
            word("search", Teller::Service, 188, failed(Shortage::Fargate, &[])),
            word("search", Teller::EventLog, 187, failed(Shortage::Fargate, &["FARGATE_SPOT"])),
            word("images", Teller::EventLog, 725, failed(Shortage::Cpu, &["shop-asg"])),
            word("recommendations-for-returning-customers", Teller::Service, 40, failed(Shortage::Fargate, &[])),
            word("web", Teller::EventLog, 400, failed(Shortage::Fargate, &["FARGATE_SPOT"])),
            word("web", Teller::Service, 300, Placing::Steady),
            far,
        ],
        now() - TimeDelta::seconds(30),
    );
    store
}
