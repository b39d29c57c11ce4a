//! What we do to an ECS cluster, on moto, which nobody here wrote, read by boto3 afterwards. moto has no service
//! deployments and starts no tasks for services: what waits for those is tried on the embedded fleet
//! (`peer_boto3_actions.rs`). Python is found as in `peer_boto3.rs`.

#![cfg(feature = "aws")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests fail as tests do, and the lint's exception for tests does not see them"
)]

#[path = "support/act.rs"]
mod act;
#[path = "support/peer.rs"]
mod peer;
#[path = "support/python.rs"]
mod python;

use std::path::PathBuf;
use std::time::Duration;

use act::{plan, run_because};
use quarterdeck::action::ecs::Ecs;
use quarterdeck::action::{End, Fate, Intent, Options, Outcome, Plan, Verb};
use quarterdeck::clock::{Clock, instant};
use quarterdeck::domain::{ClusterId, Kind, ObjectId, Text};
use quarterdeck::source::aws::{AccountSpec, EcsSpec, Keys};
use quarterdeck::source::ecs::Sources;
use quarterdeck::store::{Feed, Observation, Store};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_mins(1);

/// Our reader, our actor, and what boto3 sees.
struct Bench {
    ecs: Ecs,
    sources: Sources,
    store: Store,
    rx: mpsc::Receiver<Observation>,
    python: PathBuf,
    moto: String,
}

impl Bench {
    async fn start(python: PathBuf, moto: String, shim: String) -> Self {
        let id = ClusterId::new("shop");
        let account = AccountSpec {
            profile: Some("moto".to_owned()),
            region: Some("eu-west-1".to_owned()),
            endpoint: Some(shim),
            keys: Some(Keys { id: "test".to_owned(), secret: "test".to_owned() }),
            ceiling: Some(100),
        };
        let spec = EcsSpec {
            id: id.clone(),
            cluster: "shop".to_owned(),
            account,
            production: false,
            read_only: false,
            interval: Duration::from_secs(1),
        };
        let (tx, rx) = mpsc::channel(256);
        let sources = Sources::spawn(vec![spec], None, tx, Clock::system());
        let writer = sources.writer(&id).expect("a writer");
        let ecs = Ecs::new(writer, Clock::system()).with_poll(Duration::from_millis(500));
        let mut bench = Self { ecs, sources, store: Store::expecting([]).and_ecs([id]), rx, python, moto };
        bench.until("a whole picture", |s| s.is_complete(&[Feed::Tasks, Feed::Services, Feed::Nodes])).await;
        bench
    }

    async fn until(&mut self, what: &str, done: impl Fn(&Store) -> bool) {
        let start = instant();
        while !done(&self.store) {
            let left = PATIENCE.checked_sub(start.elapsed());
            let left = left.unwrap_or_else(|| panic!("waited in vain for {what}"));
            if let Ok(Some(observation)) = tokio::time::timeout(left, self.rx.recv()).await {
                self.store.apply(observation);
            }
        }
    }

    async fn plan(&self, intent: &Intent) -> Plan {
        let plan = plan(&self.ecs, intent).await;
        assert!(plan.is_possible(), "{plan:#?}");
        plan
    }

    /// Does it as an operator says why, to its end or until `watch`, which is told every step, cancels it.
    async fn run(&self, plan: &Plan, watch: impl Fn(&str, &CancellationToken)) -> (End, Vec<String>) {
        let (end, steps) = run_because(&self.ecs, plan, "practice", |step, cancel| watch(&step.text, cancel)).await;
        (end, steps.iter().map(|s| s.text.to_string()).collect())
    }

    async fn act(&self, intent: &Intent) -> (Plan, End) {
        let plan = self.plan(intent).await;
        let (end, said) = self.run(&plan, |_, _| ()).await;
        assert_eq!(end.outcome, Outcome::Done, "{end:?} {said:#?}");
        (plan, end)
    }

    fn state(&self) -> Value {
        let arguments = [self.moto.as_str(), "test", "test", "shop"];
        serde_json::from_str(&python::run(&self.python, "ecs_state.py", &arguments, PATIENCE)).expect("JSON")
    }
}

fn service() -> ObjectId {
    ObjectId {
        cluster: ClusterId::new("shop"),
        kind: Kind::EcsService,
        namespace: Text::empty(),
        name: Text::new("web"),
    }
}

fn with(verb: Verb, options: Options) -> Intent {
    Intent { verb, targets: vec![service()], options }
}

#[test]
fn what_we_do_to_moto_is_what_boto3_sees() {
    let Some(python) = python::find("actions on moto") else { return };
    // So many tasks does moto say that services run.
    let (moto, shim, _processes) = peer::moto(&python, &[("MOTO_ECS_SERVICE_RUNNING", "2")]);
    let moto = format!("http://{moto}");
    let filled = python::run(&python, "populate_moto_actions.py", &[&moto], Duration::from_mins(2));
    let filled: Value = serde_json::from_str(&filled).expect("JSON");
    tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        let mut bench = Bench::start(python, moto, format!("http://{shim}")).await;
        services(&bench).await;
        tasks_and_instances(&mut bench, filled["alone"].as_str().expect("a task")).await;
        bench.sources.stop();
    });
}

async fn services(bench: &Bench) {
    let before = bench.state()["services"]["web"].clone();
    let (restart, end) = bench.act(&with(Verb::Restart, Options::default())).await;
    assert!(restart.equivalent[0].contains("--force-new-deployment"), "{end:?}");
    let after = bench.state()["services"]["web"].clone();
    assert_ne!(after["deployments"][0]["id"], before["deployments"][0]["id"], "a deployment of its own");
    assert_eq!((&after["desired"], &after["definition"]), (&before["desired"], &before["definition"]));

    let (scale, end) = bench.act(&with(Verb::Scale, Options { replicas: Some(5), ..Options::default() })).await;
    assert!(scale.warnings.iter().any(|w| w.contains("between 1 and 8")), "{scale:#?}");
    assert_eq!(end.undo.and_then(|u| u.options.replicas), Some(2));
    let scaled = bench.state();
    assert_eq!(scaled["services"]["web"]["desired"], 5);
    assert_eq!(scaled["services"]["web"]["definition"], before["definition"], "it is not sent again");
    let raise = Options { replicas: Some(3), raise_minimum: true, ..Options::default() };
    bench.act(&with(Verb::Scale, raise)).await;
    assert_eq!(bench.state()["scaled"]["web"], Value::from([3, 8]));

    // moto rolls nothing out: what was registered and given is seen, and no end.
    let image = with(Verb::SetImage, Options { image: Some(":3".to_owned()), ..Options::default() });
    let image = bench.plan(&image).await;
    assert_eq!(image.diff, ["- image: registry.example/web:2", "+ image: registry.example/web:3"]);
    let looked = |step: &str, cancel: &CancellationToken| {
        if step.contains("new tasks run") {
            cancel.cancel();
        }
    };
    let (end, said) = bench.run(&image, looked).await;
    assert!(said.iter().any(|s| s == "web:3 is registered"), "{end:?} {said:#?}");
    let set = bench.state()["services"]["web"].clone();
    assert_eq!(set["described"]["containerDefinitions"][0]["image"], "registry.example/web:3", "{end:?}");
    let mut same = before["described"].clone();
    same["containerDefinitions"][0]["image"] = "registry.example/web:3".into();
    assert_eq!(set["described"], same, "all else is kept");
}

async fn tasks_and_instances(bench: &mut Bench, alone: &str) {
    let is_web = |t: &&quarterdeck::domain::Task| t.owner == "web";
    bench.until("the service's tasks", |s| s.tasks.rows().filter(is_web).count() == 3).await;
    let tasks: Vec<ObjectId> = bench.store.tasks.rows().filter(is_web).map(|t| t.id.clone()).collect();
    let node = bench.store.tasks.rows().find(is_web).expect("a task").node.clone();
    let node = bench.store.nodes.rows().find(|n| n.id.name == node).expect("its instance").id.clone();
    let ec2 = node.name.to_string();

    bench.act(&Intent::new(Verb::Cordon, vec![node.clone()])).await;
    assert_eq!(bench.state()["instances"][&ec2], "DRAINING");
    bench.act(&Intent::new(Verb::Uncordon, vec![node.clone()])).await;
    assert_eq!(bench.state()["instances"][&ec2], "ACTIVE");

    bench.act(&Intent::new(Verb::Delete, vec![tasks[0].clone()])).await;
    let id = |task: &ObjectId| task.name.rsplit('/').next().unwrap_or_default().to_owned();
    let stopped = bench.state()["tasks"][id(&tasks[0])].clone();
    assert_eq!(stopped["status"], "STOPPED");
    assert!(stopped["reason"].as_str().is_some_and(|r| r.ends_with("via quarterdeck: practice")), "{stopped}");

    let drain = bench.plan(&Intent::new(Verb::Drain, vec![node])).await;
    let listed: Vec<(&str, Fate)> = drain
        .changes
        .iter()
        .filter(|c| c.target.kind == Kind::Task)
        .map(|c| (c.target.name.as_str(), c.fate))
        .collect();
    assert!(listed.contains(&(&format!("web/{alone}"), Fate::Stays)), "{listed:?}");
    assert_eq!(listed.iter().filter(|(_, fate)| *fate == Fate::Acts).count(), 2, "{listed:?}");
    // moto moves nothing away: somebody stops what is there while we wait for it.
    let waits = tokio::sync::Notify::new();
    let somebody = async {
        waits.notified().await;
        bench.act(&Intent::new(Verb::Delete, tasks[1..].to_vec())).await
    };
    let watched = bench.run(&drain, |step, _| {
        if step.starts_with("still ") {
            waits.notify_one();
        }
    });
    let ((end, said), _) = tokio::join!(watched, somebody);
    assert_eq!(end.outcome, Outcome::Done, "{end:?} {said:#?}");
    assert!(said.iter().any(|s| s.starts_with("still ")), "it waited: {said:#?}");
    let state = bench.state();
    assert_eq!((&state["instances"][&ec2], &state["tasks"][alone]["desired"]), (&"DRAINING".into(), &"RUNNING".into()));
    assert!(tasks.iter().all(|t| state["tasks"][id(t)]["status"] == "STOPPED"), "{state:#}");
}
