//! Two hours of the wallboard under a storm of faults, in minutes: it draws every other second, its memory
//! stays where it was after warming up, and its figures are right in the end.
//!
//! The fleet's time is in the test's hand; the sources read it over the real wire. What the real loop adds,
//! a terminal and signals, is in `wallboard_pty.rs`.

#![cfg(all(feature = "kubernetes", feature = "aws", feature = "prometheus", target_os = "linux"))]
#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

#[path = "support/ecs.rs"]
mod bench;
mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use common::client::{Client, Says};
use quarterdeck::app::wall::{Pace, Rules, Wall, WallPage};
use quarterdeck::clock::{Clock, instant};
use quarterdeck::config::{BackendSettings, Place};
use quarterdeck::domain::{BackendKind, ClusterId, Thresholds};
use quarterdeck::run::notify::Notifier;
use quarterdeck::run::wall::Wallboard;
use quarterdeck::sim::model::{Model, Parameters, Scenario};
use quarterdeck::sim::server::{ServerOptions, SimServer, Tuning};
use quarterdeck::source::kubernetes::{ClusterSpec, Kubeconfig};
use quarterdeck::source::prometheus::{self, BackendSpec, Way};
use quarterdeck::source::{ecs, kubernetes};
use quarterdeck::store::{Observation, Store};
use quarterdeck::theme::Theme;
use quarterdeck::view::wall::{Headline, Trust, headline, watched};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::sync::mpsc;

/// Seconds of the fleet's life in a second of this machine's.
const SPEED: u32 = 48;
/// The whole: two hours, the last sixth of them calm.
const WHOLE: i64 = 7_200;
const CALM: i64 = 1_200;
/// What a step of the fleet's life is.
const STEP: i64 = 2;
/// From when on memory has to stay where it is.
const WARM: i64 = 3_600;

struct Soak {
    sim: SimServer,
    clock: Clock,
    board: Wallboard,
    rx: mpsc::Receiver<Observation>,
    _sources: (kubernetes::Sources, ecs::Sources, prometheus::Sources),
}

fn real(secs: u32) -> Duration {
    Duration::from_secs(u64::from(secs)) / SPEED
}

impl Soak {
    async fn new() -> Self {
        let clock = Clock::manual(Clock::system().now());
        let scenario = Scenario::embedded("spot-storm", Parameters::default()).expect("a scenario");
        // The fleet lives in the same process: what it keeps is full before memory is measured.
        let tuning = Tuning { bookmark_every: real(48), event_log: 1_000, ..Tuning::default() };
        let options =
            ServerOptions { ecs: scenario.ecs().to_vec(), seed: scenario.seed(), tuning, ..ServerOptions::default() };
        let sim = SimServer::start(Box::new(Model::new(scenario)), clock.clone(), options).await.expect("a server");
        let (tx, rx) = mpsc::channel(4096);
        let demo = ClusterId::new("demo");
        let of_cluster = ClusterSpec {
            id: demo.clone(),
            context: None,
            kubeconfig: Kubeconfig::Inline(sim.kubeconfig()),
            namespace: None,
            production: false,
            read_only: true,
            metrics_interval: real(48),
            // A bookmark that is missed, and a half.
            silence: real(120),
        };
        let mut specs = bench::specs(&sim, real(24));
        for spec in &mut specs {
            spec.read_only = true;
        }
        let backends: Vec<BackendSpec> = [
            (BackendKind::Prometheus, "prometheus", sim.prometheus()),
            (BackendKind::Alertmanager, "alertmanager", sim.alertmanager()),
        ]
        .into_iter()
        .map(|(kind, name, url)| BackendSpec {
            id: ClusterId::new(name),
            kind,
            way: Way::Url(url.clone()),
            settings: BackendSettings::at(name, Place::Url(url)),
            cluster: Some(demo.clone()),
        })
        .collect();
        let store = Store::expecting([demo.clone()])
            .and_ecs(specs.iter().map(|s| s.id.clone()))
            .and_backends(backends.iter().map(|b| b.id.clone()));
        let plan = prometheus::Plan {
            known: vec![demo.clone()],
            interval: real(30),
            slo_interval: real(60),
            ..prometheus::Plan::default()
        };
        let of_pods = kubernetes::Sources::spawn(vec![of_cluster], tx.clone(), clock.clone());
        let of_ecs = ecs::Sources::spawn(specs, None, tx.clone(), clock.clone());
        let of_metrics = prometheus::Sources::spawn(backends, plan, tx, clock.clone());
        let minute = Duration::from_mins(1);
        let board = Wallboard {
            store,
            wall: Wall::new(Rules::new(&[], Duration::from_secs(20), Duration::from_mins(5)), clock.now()),
            pace: Pace { metrics: minute, aws: minute, backends: minute, slo: minute * 2, notices: minute },
            theme: Theme::embedded_default(),
            ascii: false,
            thresholds: Thresholds::default(),
            clock: clock.clone(),
            journal: None,
            notifier: Notifier::default(),
        };
        let soak = Self { sim, clock, board, rx, _sources: (of_pods, of_ecs, of_metrics) };
        soak.calm();
        soak
    }

    /// No faults; the SDK signs by this machine's time, and asks at another pace than in life.
    fn calm(&self) {
        self.sim.faults().clear();
        self.sim.aws_faults().clear();
        self.sim.aws_faults().set(|f| (f.any_time, f.unlimited) = (true, true));
    }

    /// The storm: another fault each time, each for a while.
    fn fault(&self, n: i64) {
        let (api, aws) = (self.sim.faults(), self.sim.aws_faults());
        self.calm();
        match n % 10 {
            0 => api.go_down(),
            1 => aws.set(|f| f.throttle_percent = 70),
            2 => api.status(401, None, None),
            3 => {
                api.slow(Duration::from_millis(700));
                aws.set(|f| f.delay = Duration::from_millis(700));
            }
            4 => aws.set(|f| f.expired = true),
            5 => {
                api.garbage(true);
                aws.set(|f| f.garbage = true);
            }
            6 => {
                api.hang(true);
                aws.set(|f| f.hang = true);
            }
            7 => {
                api.cut_watches();
                api.expire();
            }
            8 => api.retry_after(1, None, Some(200)),
            _ => {
                api.status(503, None, None);
                aws.set(|f| f.unknown_key = true);
            }
        }
    }

    /// A step of the fleet's life, and what came of it.
    async fn step(&mut self) {
        let begun = instant();
        self.clock.advance(TimeDelta::seconds(STEP));
        self.sim.tick();
        let length = real(2);
        loop {
            while let Ok(observation) = self.rx.try_recv() {
                self.board.store.apply(observation);
            }
            let Some(left) = length.checked_sub(begun.elapsed()) else { break };
            if let Ok(Some(observation)) = tokio::time::timeout(left, self.rx.recv()).await {
                self.board.store.apply(observation);
            }
        }
        let now = self.clock.now();
        self.board.step(now);
        let _ = self.board.notifier.due(&mut self.board.store, now);
    }

    fn frame(&self, (width, height): (u16, u16)) -> String {
        let area = Rect::new(0, 0, width, height);
        let mut buf = Buffer::empty(area);
        self.board.draw(&mut buf, area, self.clock.now());
        quarterdeck::cli::export::text(&buf)
    }

    fn headline(&self) -> (Headline, String) {
        let c = self.board.context(self.clock.now());
        headline(c, &watched(c, &self.board.pace))
    }
}

/// Memory of this process in KiB: its own, without what is mapped from files.
fn memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|l| l.starts_with("RssAnon:")).expect("a line");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hours_under_a_storm_of_faults() {
    let begun = instant();
    let mut soak = Soak::new().await;
    let sizes = [(80, 24), (200, 50), (40, 10), (120, 40), (7, 2), (400, 120)];
    let (mut pages, mut headlines, mut samples) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    let (mut frames, mut lies) = (0_usize, Vec::new());
    for second in (0..WHOLE).step_by(usize::try_from(STEP).expect("small")) {
        soak.step().await;
        // A fault for four minutes, then two of peace; the end is calm.
        let (n, within) = (second / 360, second % 360);
        match within {
            0 if second < WHOLE - CALM => soak.fault(n),
            240 => soak.calm(),
            _ if second == WHOLE - CALM => soak.calm(),
            _ => {}
        }
        let text = soak.frame(sizes[frames % sizes.len()]);
        assert!(!text.is_empty());
        frames += 1;
        pages.insert(soak.board.wall.page());
        let (headline, why) = soak.headline();
        let c = soak.board.context(soak.clock.now());
        if headline == Headline::Ok && watched(c, &soak.board.pace).iter().any(|w| w.trust != Trust::Fresh) {
            lies.push((second, why.clone()));
        }
        headlines.insert(headline.word());
        if second % 20 == 0 {
            samples.push((second, memory()));
        }
        if second % 600 == 0 {
            eprintln!(
                "{:>5} s, {:>4} s here: {} KiB, {}: {why}",
                second,
                begun.elapsed().as_secs(),
                memory(),
                headline.word()
            );
        }
    }
    assert_eq!(pages.len(), WallPage::ALL.len(), "{pages:?}");
    assert!(headlines.contains("BLIND") && headlines.contains("DEGRADED"), "{headlines:?}");
    assert!(lies.is_empty(), "{lies:?}");
    let of =
        |from: i64, to: i64| median(samples.iter().filter(|(s, _)| (from..to).contains(s)).map(|(_, m)| *m).collect());
    let (warm, end) = (of(WARM, WARM + 1_200), of(WHOLE - 1_200, WHOLE));
    eprintln!("{frames} frames in {} s; memory {warm:.0} KiB, at the end {end:.0} KiB", begun.elapsed().as_secs());
    eprintln!("in the end: {}", right_at_the_end(&mut soak).await);
    assert!(end <= warm * 1.05, "memory grew from {warm:.0} to {end:.0} KiB: {samples:?}");
}

/// What the wall says is what the fleet says of itself, asked by nothing but its wire.
async fn right_at_the_end(soak: &mut Soak) -> String {
    let client = Client { addr: soak.sim.addr(), token: soak.sim.token().to_owned() };
    let patience = instant() + Duration::from_mins(1);
    loop {
        soak.step().await;
        soak.board.wall.choose(WallPage::Overview, soak.clock.now());
        let text = soak.frame((120, 40));
        let row = text.lines().find(|l| l.contains(" demo ") && l.contains("broken")).unwrap_or_default().to_owned();
        let want = truth(&client).await;
        let c = soak.board.context(soak.clock.now());
        let all = watched(c, &soak.board.pace);
        let unsure: Vec<_> = all.iter().filter(|w| w.trust != Trust::Fresh).collect();
        let seen = firing(&soak.board.store);
        let alarms = alerts(&client, &soak.sim).await;
        if row.contains(&want) && unsure.is_empty() && seen == alarms {
            assert!(!alarms.is_empty(), "a fleet without an alert proves little");
            return format!("{row}; alerts: {alarms:?}");
        }
        assert!(
            instant() < patience,
            "`{want}` is not in `{row}`; {seen:?} are {alarms:?}; not fresh: {unsure:?}\n{text}"
        );
    }
}

/// `nodes 31/32  tasks 242`, counted by hand.
async fn truth(client: &Client) -> String {
    let items = |v: serde_json::Value| v["items"].as_array().cloned().unwrap_or_default();
    let nodes = items(client.get("/api/v1/nodes").await.json());
    let is_ready = |n: &&serde_json::Value| {
        let all = n["status"]["conditions"].as_array().cloned().unwrap_or_default();
        all.iter().any(|c| c["type"] == "Ready" && c["status"] == "True")
    };
    let ready = nodes.iter().filter(is_ready).count();
    let pods = items(client.get("/api/v1/pods").await.json());
    let over = |p: &&serde_json::Value| !matches!(p["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    format!("nodes {ready}/{}  tasks {}", nodes.len(), pods.iter().filter(over).count())
}

/// The names of alerts that fire, as the wall knows them.
fn firing(store: &Store) -> BTreeSet<String> {
    let fires = store.alarms.rows().filter(|a| a.is_firing() && !a.source.is_cloudwatch());
    fires.map(|a| a.alert_name().to_string()).collect()
}

/// The names of alerts that the fleet's Alertmanager holds, and does not suppress.
async fn alerts(client: &Client, sim: &SimServer) -> BTreeSet<String> {
    let path = format!("{}/api/v2/alerts", sim.alertmanager());
    let path = path.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    let answer = client.ask("GET", &format!("/{path}"), Says::default()).await.json();
    let all = answer.as_array().cloned().unwrap_or_default();
    let active = all.iter().filter(|a| a["status"]["state"] == "active");
    active.filter_map(|a| a["labels"]["alertname"].as_str().map(str::to_owned)).collect()
}
