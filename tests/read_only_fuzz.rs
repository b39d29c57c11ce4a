//! Random keys in the console's own terminal, with a recording proxy before Kubernetes, AWS, Prometheus
//! and Alertmanager: read-only, and on the wallboard, nothing is changed whatever is pressed, and otherwise
//! nothing that was not agreed to, and written down before.
//!
//! `QUARTERDECK_FUZZ_KEYS` says how many keys (CI presses 100,000 with the release build, which
//! `QUARTERDECK_FUZZ_BIN` names), `QUARTERDECK_FUZZ_SEED` which.

#![cfg(all(target_os = "linux", feature = "kubernetes", feature = "aws", feature = "prometheus"))]
#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "helpers of tests fail as tests do, the proxy ends with its test, and figures are told"
)]

#[path = "support/fuzz.rs"]
mod fuzz;
#[path = "support/proxy.rs"]
mod proxy;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use fuzz::{Dice, Hands, Program, Shown};
use proxy::{Proxy, Seen, Watch};
use quarterdeck::clock::{Clock, instant};
use quarterdeck::sim::model::{Model, Parameters, Scenario};
use quarterdeck::sim::server::{ServerOptions, SimServer};
use serde_json::Value;

const KEYS: usize = 5_000;
/// From so many keys on, all that can be done is expected to have been tried.
const MANY: usize = 50_000;
/// Of so many times that somebody goes somewhere one ends in something done, at least. Every other one is for a change; most
/// find nothing that can be changed among what random keys filtered and hid.
const VISITS: usize = 40;
/// What was sent before the console was killed, or gave up waiting for an answer, may be here so much later: that is why its end
/// is unknown.
const ON_ITS_WAY: TimeDelta = TimeDelta::seconds(3);

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

fn keys() -> usize {
    env("QUARTERDECK_FUZZ_KEYS").and_then(|k| k.parse().ok()).unwrap_or(KEYS)
}

fn bin() -> String {
    env("QUARTERDECK_FUZZ_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_quarterdeck").to_owned())
}

/// Everything that the audit has, the oldest first.
fn audit(state: &Path) -> Vec<Value> {
    let Ok(entries) = std::fs::read_dir(state) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    files.retain(|p| {
        let name = p.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("audit") && name.ends_with(".jsonl")
    });
    // `audit-00000001.jsonl` goes before `audit.jsonl`.
    files.sort();
    let texts = files.iter().map(|f| std::fs::read_to_string(f).unwrap_or_default());
    texts.flat_map(|t| t.lines().filter_map(|l| serde_json::from_str(l).ok()).collect::<Vec<_>>()).collect()
}

/// What an intent is about: the names of its targets, and of all that its plan said would change.
fn names(intent: &Value) -> Vec<String> {
    let what = &intent["what"];
    let list = |v: &Value| v.as_array().cloned().unwrap_or_default();
    let changes = list(&what["changes"]);
    let through = changes.iter().flat_map(|c| list(&c["through"]));
    let all = list(&what["targets"]).into_iter().chain(changes.iter().map(|c| c["target"].clone())).chain(through);
    // `deploy shop/web`
    all.filter_map(|t| t.as_str()?.rsplit([' ', '/']).next().map(str::to_owned)).collect()
}

/// The audit as far as it was read: what has begun and not ended.
#[derive(Default)]
struct Open {
    /// Bytes of `audit.jsonl`.
    read: usize,
    intents: BTreeMap<u64, Value>,
    /// What ended and nobody can say how, and when that was written down.
    unknown: Vec<(DateTime<Utc>, u64)>,
}

impl Open {
    fn take(&mut self, entry: Value) {
        match (entry["kind"].as_str(), entry["of"].as_u64()) {
            (Some("intent"), _) => drop(self.intents.insert(entry["n"].as_u64().unwrap_or_default(), entry)),
            (_, Some(of)) if entry["outcome"] == "unknown" => {
                let at = entry["at"].as_str().and_then(|at| at.parse().ok()).expect("a line has its time");
                self.unknown.push((at, of));
            }
            (_, Some(of)) => drop(self.intents.remove(&of)),
            _ => {}
        }
    }

    /// Lets go of what ended unknown, once nothing can be on its way any more.
    fn forget(&mut self, now: DateTime<Utc>) {
        let intents = &mut self.intents;
        self.unknown.retain(|(at, of)| {
            let may_come = now - *at <= ON_ITS_WAY;
            if !may_come {
                intents.remove(of);
            }
            may_come
        });
    }

    /// Reads on; from the beginning where a new file was begun.
    fn update(&mut self, state: &Path) {
        let text = std::fs::read_to_string(state.join("audit.jsonl")).unwrap_or_default();
        if text.len() < self.read {
            *self = Self { read: text.len(), ..Self::default() };
            for entry in audit(state) {
                self.take(entry);
            }
            return;
        }
        let whole = text.rfind('\n').map_or(0, |at| at + 1).max(self.read);
        for entry in text[self.read..whole].lines().filter_map(|l| serde_json::from_str(l).ok()) {
            self.take(entry);
        }
        self.read = whole;
    }
}

/// Says of a request that would change something whether it was agreed to: whether the audit has, already,
/// an intent about just this that somebody has confirmed, and that has not ended.
fn agreed(open: &BTreeMap<u64, Value>, what: &str, body: &str) -> Result<(), String> {
    let confirmed = |e: &Value| matches!(e["confirmed"]["how"].as_str(), Some("chosen" | "typed"));
    let named = |e: &Value| names(e).iter().any(|n| what.contains(n.as_str()) || body.contains(n.as_str()));
    // A drain takes what has come to its node since the plan was made, too, and ECS knows an instance by
    // an id that nobody is shown.
    let of_node = |e: &Value| match e["what"]["verb"].as_str() {
        Some("drain") => what.ends_with("/eviction") || what.contains("UpdateContainerInstancesState"),
        Some("cordon" | "uncordon") => what.contains("UpdateContainerInstancesState"),
        _ => false,
    };
    let of_this = |e: &Value| named(e) || of_node(e);
    if open.values().any(|e| confirmed(e) && of_this(e)) {
        return Ok(());
    }
    let open: Vec<String> =
        open.values().map(|e| format!("{} {:?} by {}", e["what"]["verb"], names(e), e["confirmed"])).collect();
    Err(format!("{what} {body}\n  while these were open: {open:?}"))
}

struct Run {
    shown: Shown,
    seen: Seen,
    dir: tempfile::TempDir,
}

impl Run {
    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// It was not quiet because nothing happened.
    fn reads_all(&self) {
        for system in ["kubernetes", "aws", "prometheus", "alertmanager"] {
            let asked = self.seen.systems.get(system).copied().unwrap_or_default();
            assert!(asked > 3, "{system} is read through the proxy: {:?}", self.seen.systems);
        }
    }

    /// Nothing was changed, and nothing was about to be.
    fn changed_nothing(&self) {
        assert_eq!(self.seen.mutating, Vec::<String>::new(), "of {} requests", self.seen.all);
        assert_eq!(audit(&self.state()), Vec::<Value>::new());
    }
}

/// Presses so many keys with the fleet behind the proxy.
async fn fuzz(scenario: &str, arguments: &[&str], hands: Hands) -> Run {
    let scenario = Scenario::embedded(scenario, Parameters::default()).expect("a scenario");
    let options = ServerOptions {
        name: "demo".to_owned(),
        ecs: scenario.ecs().to_vec(),
        seed: scenario.seed(),
        ..ServerOptions::default()
    };
    let sim = SimServer::start(Box::new(Model::new(scenario)), Clock::system(), options).await.expect("a server");
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let open = Mutex::new(Open::default());
    let watch: Watch = Arc::new(move |what, body| {
        let mut open = open.lock().expect("nobody panics with it");
        open.update(&state);
        open.forget(Utc::now());
        agreed(&open.intents, what, body)
    });
    let proxy = Proxy::before(sim.addr(), watch).await;
    let here = |url: String| url.replace(&sim.addr().to_string(), &proxy.addr.to_string());
    let put = |name: &str, text: String| {
        let file = dir.path().join(name);
        std::fs::write(&file, text).expect("it is written");
        file.display().to_string()
    };
    let kubeconfig = put("kubeconfig", here(sim.kubeconfig()));
    let aws = sim.aws();
    let (cluster, region, account) = &aws.clusters[0];
    // Who may change nothing must not receive from a queue: it takes messages from whoever else reads.
    let read_only = hands == Hands::Wallboard || arguments.contains(&"--read-only");
    let queue = format!("[[notices]]\nname = \"queue\"\nregion = \"{region}\"\nqueue = \"quarterdeck-events\"\n");
    let config = put("config.toml", if read_only { queue } else { String::new() });
    let mut arguments: Vec<String> = arguments.iter().map(|f| (*f).to_owned()).collect();
    arguments.extend(["--config".to_owned(), config, "--kubeconfig".to_owned(), kubeconfig]);
    arguments.extend(["--context".to_owned(), "demo".to_owned()]);
    arguments.extend(["--ecs-cluster".to_owned(), format!("{region}/{cluster}")]);
    arguments.extend(["--prometheus".to_owned(), here(sim.prometheus())]);
    arguments.extend(["--alertmanager".to_owned(), here(sim.alertmanager())]);
    let environment = [
        ("AWS_ENDPOINT_URL", format!("http://{}", proxy.addr)),
        ("AWS_ACCESS_KEY_ID", aws.key_for(account)),
        ("AWS_SECRET_ACCESS_KEY", aws.secret.clone()),
        ("TERM", "xterm-256color".to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("PATH", "/usr/bin:/bin".to_owned()),
        ("HOME", dir.path().display().to_string()),
        ("QUARTERDECK_STATE_DIR", dir.path().join("state").display().to_string()),
    ];
    let seed = env("QUARTERDECK_FUZZ_SEED").and_then(|s| s.parse().ok()).unwrap_or(0x5eed_1234_abcd_0001);
    let (home, bin, begun) = (dir.path().to_owned(), bin(), instant());
    let pressing = tokio::task::spawn_blocking(move || {
        let ready = if hands == Hands::Wallboard { "fresh" } else { "clusters  ● live" };
        let program = Program { bin: &bin, arguments: &arguments, environment: &environment, home: &home, ready };
        fuzz::press(&program, hands, keys(), &mut Dice(seed))
    });
    let shown = pressing.await.expect("keys were pressed");
    let seen = std::mem::take(&mut *proxy.seen());
    eprintln!("{hands:?}: {:?}\n  {shown:?}\n  {:?}, {} mutating", begun.elapsed(), seen.systems, seen.mutating.len());
    Run { shown, seen, dir }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_only_nothing_is_changed_whatever_is_pressed() {
    let run = fuzz("bad-deploy", &["--read-only"], Hands::Console).await;
    run.reads_all();
    run.changed_nothing();
    let Shown { keys, views, dialogs, refusals, popups, .. } = &run.shown;
    assert!(*refusals > keys / 1_500, "keys asked for changes: {:?}", run.shown);
    assert!(views.len() > 8 && *popups > 3, "it was used: {:?}", run.shown);
    assert_eq!(*dialogs, 0, "no plan is ever made: {:?}", run.shown);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_wallboard_nothing_is_changed_whatever_is_pressed() {
    let run = fuzz("spot-storm", &["wallboard"], Hands::Wallboard).await;
    run.reads_all();
    run.changed_nothing();
    let Shown { views, popups, starts, .. } = &run.shown;
    assert!(views.len() >= 6 && *popups > 3 && *starts > 1, "it was used: {:?}", run.shown);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_yes_nothing_is_changed() {
    let run = fuzz("calm", &[], Hands::WithoutEnter).await;
    run.reads_all();
    run.changed_nothing();
    let Shown { keys, visits, plans, dialogs, .. } = &run.shown;
    let (made, verbs) = (plans.values().sum::<usize>(), if *keys < MANY { 2 } else { 6 });
    assert!(
        *dialogs > visits / 10 && made > visits / VISITS && plans.len() >= verbs,
        "plans were shown: {:?}",
        run.shown
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_changed_was_agreed_to_and_written_down_first() {
    let run = fuzz("bad-deploy", &[], Hands::Console).await;
    run.reads_all();
    assert!(run.seen.unexpected.is_empty(), "{}", run.seen.unexpected.join("\n"));
    let entries = audit(&run.state());
    let intents: Vec<&Value> = entries.iter().filter(|e| e["kind"] == "intent").collect();
    let mut verbs: BTreeMap<&str, usize> = BTreeMap::new();
    for verb in intents.iter().filter_map(|i| i["what"]["verb"].as_str()) {
        *verbs.entry(verb).or_default() += 1;
    }
    eprintln!("  agreed to: {verbs:?}");
    assert!(intents.iter().all(|i| i["confirmed"]["how"] != "flag" && !i["confirmed"].is_null()), "{intents:?}");
    let (enough, kinds) = (run.shown.visits / VISITS, if run.shown.keys < MANY { 2 } else { 6 });
    assert!(intents.len() >= enough && run.seen.mutating.len() >= enough, "things were done: {:?}", run.shown);
    assert!(run.shown.plans.len() >= kinds && verbs.len() >= kinds, "{:?}, {verbs:?}", run.shown);
    let verified = std::process::Command::new(bin())
        .args(["audit", "verify"])
        .env("QUARTERDECK_STATE_DIR", run.state())
        .env("HOME", run.dir.path())
        .output()
        .expect("it runs");
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}
