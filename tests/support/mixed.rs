//! The small fleet, and an ECS cluster beside it.
#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use quarterdeck::domain::{
    Alarm, AlarmSource, AlarmState, Bytes, CapacityProvider, CapacityType, Cluster, ClusterId, Container,
    ContainerRole, ContainerState, Deployment, EcsInstance, EcsService, EcsTask, Health, Kind, Labels, Millicores,
    Node, NodeCondition, ObjectId, Orchestrator, Replicas, Resources, Severity, Stop, TargetHealth, Task, Text,
    Traffic, Usage, Workload,
};
use quarterdeck::store::{Body, Feed, Observation, Rows, SourceId, Store};

use super::fleet::{self, now};

fn id(kind: Kind, name: &str) -> ObjectId {
    ObjectId { cluster: ClusterId::new("shop-ecs"), kind, namespace: Text::empty(), name: Text::new(name) }
}

fn ago(minutes: i64) -> DateTime<Utc> {
    now() - TimeDelta::minutes(minutes)
}

fn arn(kind: &str, name: &str) -> Text {
    Text::new(&format!("arn:aws:ecs:eu-west-1:123456789012:{kind}/shop-ecs/{name}"))
}

fn size() -> Resources {
    Resources { cpu: Millicores(500), memory: Bytes(1 << 30) }
}

/// A task of `web`: by its digits, where it runs, and its stop, if it stops.
fn task(digits: &str, status: &str, health: Health, provider: &str, stop: Option<Stop>) -> Task {
    let exit = stop.as_ref().is_some_and(|s| s.at.is_some());
    Task {
        id: id(Kind::Task, &format!("web/{digits}")),
        uid: arn("task", digits),
        created: Some(ago(95)),
        node: Text::new(if provider == "shop-asg" { "i-0a1b2c3d4e5f60718" } else { "" }),
        owner_kind: Kind::EcsService,
        owner: Text::new("web"),
        ready: u16::from(!exit),
        containers_total: 1,
        grace: 30,
        status: Text::new(status),
        health,
        message: Text::new(if exit {
            "Essential container in task exited; app exited with 137 (OutOfMemoryError)"
        } else {
            ""
        }),
        address: Text::new("10.20.0.7"),
        qos: Text::empty(),
        requests: size(),
        limits: size(),
        containers: Arc::from([Container {
            name: Text::new("app"),
            image: Text::new("registry.example/shop/web:4.18.2"),
            role: ContainerRole::Main,
            ready: !exit,
            restarts: 0,
            state: if exit {
                ContainerState::Terminated { reason: Text::new("OutOfMemoryError"), exit_code: 137 }
            } else {
                ContainerState::Running
            },
        }]),
        ecs: Some(Box::new(EcsTask {
            arn: arn("task", digits),
            launch: Text::new(if provider == "shop-asg" { "EC2" } else { "FARGATE" }),
            provider: Text::new(provider),
            capacity_type: if provider == "FARGATE_SPOT" { CapacityType::Spot } else { CapacityType::OnDemand },
            definition: Text::new("web:41"),
            definition_arn: Text::empty(),
            zone: Text::new("eu-west-1b"),
            started: Some(ago(94)),
            started_by: Text::new("ecs-svc/0123456789012345678"),
            exec: false,
            protected_until: (digits.starts_with("0a")).then(|| now() + TimeDelta::minutes(26)),
            stop_timeout: None,
            stop,
        })),
        restarts: 0,
        last_restart: None,
        since: None,
        labels: Labels::from([]),
    }
}

fn deployment(status: &str, rollout: &str, definition: &str, desired: u32, running: u32) -> Deployment {
    Deployment {
        status: Text::new(status),
        rollout: Text::new(rollout),
        reason: Text::empty(),
        definition: Text::new(definition),
        desired,
        running,
        pending: desired.saturating_sub(running),
        failed: u32::from(desired > running),
        created: Some(ago(8)),
    }
}

fn service(name: &str, rolling: bool) -> Workload {
    let replicas = Replicas { desired: 4, current: 4, ready: 4, updated: if rolling { 2 } else { 4 }, available: 4 };
    let mut deployments =
        vec![deployment("PRIMARY", if rolling { "IN_PROGRESS" } else { "COMPLETED" }, "web:42", 4, replicas.updated)];
    if rolling {
        deployments.push(deployment("ACTIVE", "COMPLETED", "web:41", 0, 2));
    }
    let mut w = fleet::workload(name, 4, 4);
    w.id = id(Kind::EcsService, name);
    w.uid = arn("service", name);
    w.replicas = replicas;
    (w.status, w.health) =
        if rolling { (Text::new("Rolling out"), Health::Warning) } else { (Text::new("Steady"), Health::Ok) };
    w.images = Text::empty();
    w.revision = Text::new("web:42");
    w.ecs = Some(Box::new(EcsService {
        arn: arn("service", name),
        placement: Text::new("fargate 1, fargate-spot 3"),
        providers: vec![Text::new("FARGATE"), Text::new("FARGATE_SPOT")],
        capacity_type: CapacityType::Spot,
        pending: 2,
        deployments,
        breaker: Some(true),
        bounds: (100, 200),
        controller: Text::new("ECS"),
        target_groups: Vec::new(),
        subnets: Vec::new(),
        task_size: size(),
    }));
    w
}

fn instance() -> Node {
    let mut n = fleet::node("i-0a1b2c3d4e5f60718", NodeCondition::Ready);
    n.id = id(Kind::Node, "i-0a1b2c3d4e5f60718");
    n.uid = arn("container-instance", "77");
    n.condition_since = None;
    n.unschedulable = true;
    n.status = Text::new("Draining");
    n.roles = Text::new("container-instance");
    n.version = Text::new("agent 1.98.0");
    n.ecs = Some(Box::new(EcsInstance {
        arn: arn("container-instance", "77"),
        tasks: (1, 0),
        remaining: Resources { cpu: Millicores(1500), memory: Bytes(6 << 30) },
        connected: true,
        provider: Text::new("shop-asg"),
    }));
    n
}

fn provider(name: &str, kind: &str, scaled_to: Option<u32>) -> CapacityProvider {
    CapacityProvider {
        name: Text::new(name),
        kind: Text::new(kind),
        status: Text::new("ACTIVE"),
        failed: Text::empty(),
        scaled_to,
        default: scaled_to.map(|_| (1, 0)),
    }
}

fn alarm() -> Alarm {
    Alarm {
        id: id(Kind::Alarm, "web-5xx-high"),
        uid: Text::new("arn:aws:cloudwatch:eu-west-1:123456789012:alarm:web-5xx-high"),
        account_wide: false,
        source: AlarmSource::CloudWatchMetric,
        state: AlarmState::Firing,
        severity: Severity::Critical,
        since: Some(ago(6)),
        summary: Text::new("Customers see errors."),
        reason: Text::new("Threshold Crossed: 3 out of the last 3 datapoints were greater than the threshold (10.0)."),
        value: Some(17.0),
        threshold: Some(10.0),
        labels: Labels::from([]),
        about: Some(id(Kind::EcsService, "web")),
        suppressed_by: Text::empty(),
        runbook: Text::empty(),
        more: quarterdeck::domain::AlarmMore::default(),
    }
}

/// Two Kubernetes nodes with four tasks, and an ECS cluster: `web` rolls out and waits
/// for a protected task, `cart` is steady, one instance drains.
pub fn mixed_fleet() -> Store {
    let mut store = fleet::small_fleet();
    let mut say = |feed: Feed, body: Body| {
        let source = SourceId { cluster: ClusterId::new("shop-ecs"), feed };
        store.apply(Observation { source, at: now(), body });
    };
    let cluster = Cluster {
        id: ClusterId::new("shop-ecs"),
        orchestrator: Orchestrator::Ecs,
        version: Text::empty(),
        endpoint: Text::new("eu-west-1"),
        production: false,
        read_only: false,
        providers: vec![
            provider("FARGATE", "fargate", None),
            provider("FARGATE_SPOT", "fargate-spot", None),
            provider("shop-asg", "auto scaling group", Some(90)),
        ],
    };
    say(Feed::Nodes, Body::Cluster(cluster));
    let stopped = Stop {
        code: Text::new("EssentialContainerExited"),
        reason: Text::new("Essential container in task exited"),
        begun: None,
        at: Some(ago(3)),
    };
    let taken = Stop {
        code: Text::new("SpotInterruption"),
        reason: Text::new("Your Spot Task was interrupted."),
        begun: None,
        at: None,
    };
    let tasks = vec![
        task("0a11f2c3d4e5f60718293a4b5c6d7e8f", "Running", Health::Ok, "FARGATE", None),
        task("1b22f2c3d4e5f60718293a4b5c6d7e8f", "SpotInterruption", Health::Warning, "FARGATE_SPOT", Some(taken)),
        task(
            "2c33f2c3d4e5f60718293a4b5c6d7e8f",
            "EssentialContainerExited",
            Health::Warning,
            "FARGATE_SPOT",
            Some(stopped),
        ),
        task("3d44f2c3d4e5f60718293a4b5c6d7e8f", "Running", Health::Ok, "shop-asg", None),
    ];
    let first = tasks.first().expect("a task").id.clone();
    let web = id(Kind::EcsService, "web");
    for (feed, rows) in [
        (Feed::Nodes, Rows::Nodes(vec![instance()])),
        (Feed::Tasks, Rows::Tasks(tasks)),
        (Feed::Services, Rows::Workloads(vec![service("web", true), service("cart", false)])),
        (Feed::Events, Rows::Events(Vec::new())),
        (Feed::Alarms, Rows::Alarms(vec![alarm()])),
        (Feed::Autoscalers, Rows::Autoscalers(Vec::new())),
        (Feed::Limits, Rows::Limits(Vec::new())),
    ] {
        for body in [Body::Begin, Body::Upsert(rows), Body::Synced] {
            say(feed, body);
        }
    }
    let used = Usage { cpu: Millicores(210), memory: Bytes(560 << 20) };
    let usage = vec![(web.clone(), Usage::of_shares(42.0, 55.0)), (first, used)];
    say(Feed::ServiceMetrics, Body::Upsert(Rows::Usage(usage)));
    let traffic = Traffic {
        at: Some(ago(3)),
        requests: Some(12.34),
        errors: Some(0.004),
        latency: [Some(0.041), Some(0.12), Some(1.24)],
    };
    say(Feed::ServiceMetrics, Body::Upsert(Rows::Traffic(vec![(web.clone(), traffic)])));
    let health =
        TargetHealth { healthy: 3, unhealthy: 1, reasons: Text::new("Target.Timeout"), ..TargetHealth::default() };
    say(Feed::Targets, Body::Upsert(Rows::Targets(vec![(web, health)])));
    for feed in [Feed::ServiceMetrics, Feed::Targets] {
        say(feed, Body::Synced);
    }
    store
}

/// The mixed fleet with alarms of every state, one of which has its points.
pub fn alarmed_fleet() -> Store {
    let mut store = mixed_fleet();
    let mut say = |body: Body, at| {
        let source = SourceId { cluster: ClusterId::new("shop-ecs"), feed: Feed::Alarms };
        store.apply(Observation { source, at, body });
    };
    let named = |name: &str, severity: Severity, state: AlarmState| {
        let mut a = alarm();
        a.id = id(Kind::Alarm, name);
        a.uid = Text::new(&format!("arn:aws:cloudwatch:eu-west-1:123456789012:alarm:{name}"));
        (a.severity, a.state) = (severity, state);
        a
    };
    let mut cpu = named("web-cpu-high", Severity::Warning, AlarmState::Firing);
    (cpu.value, cpu.threshold) = (Some(93.456), Some(90.0));
    cpu.more.unit = Text::new("Percent");
    cpu.more.metric = Text::new("CPUUtilization, Average of 60s");
    cpu.runbook = Text::new("https://runbooks.example.com/web");
    let mut instances: Vec<Alarm> = ["0a11", "1b22", "2c33"]
        .into_iter()
        .map(|task| {
            let mut a = named(&format!("TaskRestarts/{task}"), Severity::Warning, AlarmState::Firing);
            a.source = AlarmSource::Alertmanager;
            a.labels = [("alertname", "TaskRestarts"), ("task", task)]
                .into_iter()
                .map(|(k, v)| (Text::new(k), Text::new(v)))
                .collect();
            (a.value, a.threshold) = (None, None);
            a
        })
        .collect();
    let mut queue = named("orders-queue-age", Severity::Warning, AlarmState::Firing);
    (queue.about, queue.since) = (None, Some(ago(63)));
    (queue.value, queue.threshold) = (Some(312.0), Some(300.0));
    queue.more.unit = Text::new("Seconds");
    queue.more.metric = Text::new("ApproximateAgeOfOldestMessage, Maximum of 60s");
    queue.summary = Text::new("Orders wait to be sent.");
    queue.reason = Text::new("Threshold Crossed: 1 datapoint [312.0] was greater than the threshold (300.0).");
    queue.runbook = Text::new("https://runbooks.example.com/orders");
    let mut silenced = named("cart-5xx-high", Severity::Critical, AlarmState::Firing);
    silenced.about = Some(id(Kind::EcsService, "cart"));
    silenced.suppressed_by = Text::new("Alarm: maintenance is in ALARM");
    let mut fine = named("cart-cpu-high", Severity::Unknown, AlarmState::Ok);
    (fine.about, fine.value) = (Some(id(Kind::EcsService, "cart")), Some(12.0));
    let blind = named("cart-tasks-low", Severity::Unknown, AlarmState::InsufficientData);
    let mut all = vec![queue.clone(), silenced, fine, blind];
    say(Body::Upsert(Rows::Alarms(all.clone())), ago(30));
    // The queue was fine for a while.
    queue.state = AlarmState::Ok;
    queue.since = Some(ago(20));
    say(Body::Upsert(Rows::Alarms(vec![queue.clone()])), ago(20));
    queue.state = AlarmState::Firing;
    queue.since = Some(ago(7));
    all.clear();
    all.append(&mut instances);
    all.extend([cpu, queue.clone()]);
    say(Body::Upsert(Rows::Alarms(all)), ago(7));
    let points: Vec<(DateTime<Utc>, f64)> = (0..120)
        .map(|n| {
            (
                ago(120 - n),
                if (60..75).contains(&n) { 320.0 } else { 40.0 + f64::from(u8::try_from(n).unwrap_or(0)) * 2.3 },
            )
        })
        .collect();
    say(Body::Upsert(Rows::Trends(vec![(queue.id, Arc::from(points))])), now());
    store
}
