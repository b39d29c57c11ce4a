//! A small fleet in the store, and a desk to press keys at.
#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use quarterdeck::app::filter::Filter;
use quarterdeck::app::table::{TableState, ViewKind};
use quarterdeck::app::{App, Effect, Settings};
use quarterdeck::domain::{
    Bytes, CapacityType, ClusterId, Container, ContainerRole, ContainerState, Health, Kind, Labels, Millicores, Node,
    NodeCondition, ObjectId, Replicas, Resources, Task, Text, Usage, Workload,
};
use quarterdeck::key::{Key, parse_sequence};
use quarterdeck::keymap::Keymap;
use quarterdeck::store::{Body, Feed, Observation, Rows, SourceId, Store};
use quarterdeck::theme::Theme;
use quarterdeck::view::columns::Context;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// The time in these tests.
pub fn now() -> DateTime<Utc> {
    "2026-03-01T03:14:00Z".parse().expect("a time")
}

pub fn cluster() -> ClusterId {
    ClusterId::new("test")
}

pub fn id(kind: Kind, namespace: &str, name: &str) -> ObjectId {
    ObjectId { cluster: cluster(), kind, namespace: Text::new(namespace), name: Text::new(name) }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(k, v)| (Text::new(k), Text::new(v))).collect()
}

pub fn node(name: &str, condition: NodeCondition) -> Node {
    Node {
        id: id(Kind::Node, "", name),
        uid: Text::new(name),
        created: Some(now() - TimeDelta::days(30)),
        condition,
        condition_since: Some(now() - TimeDelta::minutes(3)),
        message: Text::new(if condition == NodeCondition::Ready { "" } else { "Kubelet stopped posting node status." }),
        unschedulable: false,
        pressure: Text::empty(),
        status: Text::new(if condition == NodeCondition::Ready { "Ready" } else { "NotReady" }),
        roles: Text::new("<none>"),
        version: Text::new("v1.34.2"),
        zone: Text::new("eu-west-1a"),
        instance_type: Text::new("m6i.xlarge"),
        instance: Text::empty(),
        capacity_type: CapacityType::Spot,
        address: Text::new("10.0.1.7"),
        os_image: Text::new("Bottlerocket OS 1.42"),
        runtime: Text::new("containerd://2.1.4"),
        allocatable: Resources { cpu: Millicores(3920), memory: Bytes(14 << 30) },
        allocatable_tasks: 58,
        announced: Text::empty(),
        taints: Text::empty(),
        labels: labels(&[("zone", "a")]),
        ecs: None,
    }
}

pub fn task(name: &str, owner: &str, node: &str, status: &str, health: Health) -> Task {
    let bad = health == Health::Critical;
    Task {
        id: id(Kind::Task, "shop", name),
        uid: Text::new(name),
        created: Some(now() - if bad { TimeDelta::minutes(12) } else { TimeDelta::hours(30) }),
        node: Text::new(node),
        owner_kind: Kind::Deployment,
        owner: Text::new(owner),
        ready: u16::from(!bad),
        containers_total: 1,
        grace: 30,
        status: Text::new(status),
        health,
        restarts: if bad { 7 } else { 0 },
        last_restart: bad.then(|| now() - TimeDelta::minutes(2)),
        since: None,
        message: Text::new(if bad { "back-off 5m0s restarting failed container=app" } else { "" }),
        address: Text::new("10.0.1.20"),
        qos: Text::new("Burstable"),
        requests: Resources { cpu: Millicores(100), memory: Bytes(128 << 20) },
        limits: Resources { cpu: Millicores(500), memory: Bytes(256 << 20) },
        containers: Arc::from([Container {
            name: Text::new("app"),
            image: Text::new("registry.example/shop/app:1.4.2"),
            role: ContainerRole::Main,
            ready: !bad,
            restarts: if bad { 7 } else { 0 },
            state: if bad { ContainerState::Waiting { reason: Text::new(status) } } else { ContainerState::Running },
        }]),
        labels: labels(&[("app", owner), ("tier", if owner == "web" { "web" } else { "api" })]),
        ecs: None,
    }
}

pub fn workload(name: &str, desired: u32, available: u32) -> Workload {
    let short = available < desired;
    Workload {
        id: id(Kind::Deployment, "shop", name),
        uid: Text::new(name),
        created: Some(now() - TimeDelta::days(90)),
        owner_kind: Kind::Other,
        owner: Text::empty(),
        replicas: Replicas { desired, current: desired, ready: available, updated: desired, available },
        status: Text::new(if short { "Degraded" } else { "Available" }),
        health: if short { Health::Warning } else { Health::Ok },
        message: Text::empty(),
        images: Text::new("registry.example/shop/app:1.4.2"),
        schedule: Text::empty(),
        last_run: None,
        selector: labels(&[("app", name)]),
        labels: labels(&[("app", name)]),
        revision: Text::new("3"),
        ecs: None,
    }
}

pub fn observe(store: &mut Store, feed: Feed, rows: Rows) {
    let source = SourceId { cluster: cluster(), feed };
    for body in [Body::Begin, Body::Upsert(rows), Body::Synced] {
        store.apply(Observation { source: source.clone(), at: now(), body });
    }
}

/// Two nodes; `api` with one of two tasks crash looping; `web` with two fine ones.
pub fn small_fleet() -> Store {
    let mut store = Store::expecting([cluster()]);
    let nodes = vec![node("node-a", NodeCondition::Ready), node("node-b", NodeCondition::Silent)];
    let tasks = vec![
        task("api-1-ok", "api", "node-a", "Running", Health::Ok),
        task("api-1-bad", "api", "node-a", "CrashLoopBackOff", Health::Critical),
        task("web-1-a", "web", "node-a", "Running", Health::Ok),
        task("web-1-b", "web", "node-b", "Running", Health::Ok),
    ];
    observe(&mut store, Feed::Nodes, Rows::Nodes(nodes));
    observe(&mut store, Feed::Tasks, Rows::Tasks(tasks));
    observe(&mut store, Feed::Deployments, Rows::Workloads(vec![workload("api", 2, 1), workload("web", 2, 2)]));
    for feed in [Feed::ReplicaSets, Feed::StatefulSets, Feed::DaemonSets, Feed::Jobs, Feed::CronJobs] {
        observe(&mut store, feed, Rows::Workloads(vec![]));
    }
    observe(&mut store, Feed::Events, Rows::Events(vec![]));
    observe(&mut store, Feed::Autoscalers, Rows::Autoscalers(vec![]));
    observe(&mut store, Feed::DisruptionBudgets, Rows::DisruptionBudgets(vec![]));
    let usage = |name: &str, cpu: u64, mib: u64| {
        (id(Kind::Task, "shop", name), Usage { cpu: Millicores(cpu), memory: Bytes(mib << 20) })
    };
    observe(&mut store, Feed::TaskMetrics, Rows::Usage(vec![usage("web-1-a", 20, 60), usage("web-1-b", 90, 100)]));
    let node_a = id(Kind::Node, "", "node-a");
    let used = Usage { cpu: Millicores(1800), memory: Bytes(9 << 30) };
    observe(&mut store, Feed::NodeMetrics, Rows::Usage(vec![(node_a, used)]));
    store
}

/// An app and a store, driven by key names.
pub struct Desk {
    pub app: App,
    pub store: Store,
    pub ascii: bool,
    pub theme: Theme,
    /// The time: [`now`] unless a test moves it.
    pub now: DateTime<Utc>,
}

/// What lists are ordered with: how times are written does not matter to that.
fn plain(store: &Store, now: DateTime<Utc>, ascii: bool, thresholds: quarterdeck::domain::Thresholds) -> Context<'_> {
    Context { store, now, absolute: false, ascii, thresholds }
}

impl Desk {
    pub fn new(store: Store) -> Self {
        let settings = Settings {
            start: ViewKind::Overview,
            wide: false,
            read_only: false,
            log_bytes: 1 << 20,
            log_tail: 200,
            log_since: None,
            log_wrap: false,
            log_timestamps: false,
            thresholds: quarterdeck::domain::Thresholds::default(),
            log_file: None,
            columns: quarterdeck::view::column_infos,
        };
        let mut desk = Self {
            app: App::new(settings, Keymap::embedded_default()),
            store,
            ascii: false,
            theme: Theme::embedded_default(),
            now: now(),
        };
        desk.frame(120, 30);
        desk
    }

    fn context(&self) -> Context<'_> {
        Context {
            store: &self.store,
            now: self.now,
            absolute: self.app.absolute,
            ascii: self.ascii,
            thresholds: self.app.settings.thresholds,
        }
    }

    pub fn arrange(&mut self) {
        let c = plain(&self.store, self.now, self.ascii, self.app.settings.thresholds);
        if let Some(table) = self.app.table_mut() {
            quarterdeck::view::arrange(table, c);
        }
    }

    /// Presses keys, drawing in between as the loop does; the last key's effects.
    pub fn press(&mut self, keys: &str) -> Vec<Effect> {
        let mut effects = Vec::new();
        for key in parse_sequence(keys).expect(keys) {
            effects = self.press_one(key);
            self.frame(120, 30);
        }
        effects
    }

    /// Presses keys without a frame in between, or after them.
    pub fn press_unseen(&mut self, keys: &str) -> Vec<Effect> {
        parse_sequence(keys).expect(keys).into_iter().map(|key| self.press_one(key)).last().unwrap_or_default()
    }

    fn press_one(&mut self, key: Key) -> Vec<Effect> {
        let c = plain(&self.store, self.now, self.ascii, self.app.settings.thresholds);
        quarterdeck::view::before_a_key(&mut self.app, c);
        self.app.press(key, &self.store, self.now)
    }

    pub fn type_filter(&mut self, raw: &str) {
        let kind = self.kind();
        let keys: Vec<&str> = quarterdeck::view::column_infos(kind).iter().map(|c| c.key).collect();
        let filter = Filter::parse(raw, &keys).expect(raw);
        let table = self.app.table_mut().expect("a table");
        table.filter = filter;
        table.touch();
        self.arrange();
    }

    pub fn table(&self) -> &TableState {
        self.app.table().expect("a table")
    }

    pub fn kind(&self) -> ViewKind {
        self.table().kind
    }

    /// The names of the rows, in order.
    pub fn names(&mut self) -> Vec<String> {
        self.arrange();
        let table = self.table();
        (0..table.order.len()).filter_map(|i| table.id_at(&self.store, i).map(|id| id.name.to_string())).collect()
    }

    pub fn buffer(&mut self, width: u16, height: u16) -> Buffer {
        let area = Rect::new(0, 0, width, height);
        let mut buf = Buffer::empty(area);
        let c = Context {
            store: &self.store,
            now: self.now,
            absolute: self.app.absolute,
            ascii: self.ascii,
            thresholds: self.app.settings.thresholds,
        };
        let under_cursor = self.app.table().and_then(|t| t.under_cursor().cloned());
        quarterdeck::ui::draw(&mut buf, area, &mut self.app, c, &self.theme);
        self.app.drawn(under_cursor);
        buf
    }

    /// The screen as text.
    pub fn frame(&mut self, width: u16, height: u16) -> String {
        quarterdeck::cli::export::text(&self.buffer(width, height))
    }

    pub fn add_task(&mut self, name: &str, status: &str) {
        self.put_task(task(name, "web", "node-a", status, Health::Ok));
    }

    pub fn put_task(&mut self, task: Task) {
        let rows = Rows::Tasks(vec![task]);
        let source = SourceId { cluster: cluster(), feed: Feed::Tasks };
        self.store.apply(Observation { source, at: self.now, body: Body::Upsert(rows) });
    }

    pub fn remove_task(&mut self, id: &ObjectId) {
        let source = SourceId { cluster: cluster(), feed: Feed::Tasks };
        self.store.apply(Observation { source, at: self.now, body: Body::Remove(vec![id.clone()]) });
    }
}

/// A wallboard that nobody has touched.
pub fn board(store: Store) -> quarterdeck::run::wall::Wallboard {
    use quarterdeck::app::wall::{Rules, Wall};
    use std::time::Duration;
    quarterdeck::run::wall::Wallboard {
        store,
        wall: Wall::new(Rules::new(&[], Duration::from_secs(20), Duration::from_mins(5)), now()),
        pace: quarterdeck::app::wall::Pace::default(),
        theme: quarterdeck::theme::Theme::embedded_default(),
        ascii: false,
        thresholds: quarterdeck::domain::Thresholds::default(),
        clock: quarterdeck::clock::Clock::manual(now()),
        journal: None,
        notifier: quarterdeck::run::notify::Notifier::default(),
    }
}
