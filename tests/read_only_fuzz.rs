//! Random keys in the console's own terminal, with a recording proxy before the fleet: read-only
//! nothing is changed whatever is pressed, and otherwise nothing without a yes.
//!
//! `QUARTERDECK_FUZZ_KEYS` says how many keys (CI presses 100,000 with the release build, which
//! `QUARTERDECK_FUZZ_BIN` names), `QUARTERDECK_FUZZ_SEED` which.

#![cfg(all(feature = "kubernetes", feature = "aws", feature = "prometheus"))]
#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "helpers of tests fail as tests do, and the proxy ends with its test"
)]

#[path = "support/proxy.rs"]
mod proxy;

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use proxy::Proxy;
use quarterdeck::clock::{Clock, instant};
use quarterdeck::sim::model::{Model, Parameters, Scenario};
use quarterdeck::sim::server::{ServerOptions, SimServer};

const KEYS: usize = 3_000;
/// How long a batch of keys may take to be read.
const PATIENCE: Duration = Duration::from_mins(1);

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

/// A small generator: the same seed presses the same keys.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(below).expect("small")).expect("small")
    }

    /// A key as a terminal sends it. Often one that changes something, and what leads there.
    /// Not the two that end or suspend the console: they end the test's fun, no more.
    fn key(&mut self, enter: bool) -> String {
        const MUTATING: &[&str] =
            &["c", "u", "r", "s", "i", "T", "\x04", "e", "a", "f", "S", "U", "\x18a", "\x18s", "\x18r"];
        const MOVES: &[&str] = &[
            "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[5~", "\x1b[6~", "\t", "\x1b[Z", " ", "\x1b", "j", "k", "1",
            "2", "3", "4", "7", "0", "G", "g",
        ];
        match self.roll(10) {
            0..=2 => MUTATING[self.roll(MUTATING.len())].to_owned(),
            3..=6 => MOVES[self.roll(MOVES.len())].to_owned(),
            7 if enter => "\r".to_owned(),
            _ => loop {
                let code = u8::try_from(self.roll(127)).expect("ASCII");
                // ctrl-c, enter, ctrl-x (the way to suspending), escape's own sequences, q.
                if !matches!(code, 0x03 | 0x0a | 0x0d | 0x18 | 0x1b | b'q') {
                    break char::from(code).to_string();
                }
            },
        }
    }
}

struct Run {
    mutating: Vec<String>,
    all: usize,
    audit: String,
}

/// Presses so many keys; starts the console again where it has ended.
async fn fuzz(flags: &[&str], enter: bool, keys: usize) -> Run {
    let scenario = Scenario::embedded("calm", Parameters::default()).expect("a scenario");
    let options = ServerOptions {
        name: "demo".to_owned(),
        ecs: scenario.ecs().to_vec(),
        seed: scenario.seed(),
        ..ServerOptions::default()
    };
    let sim = SimServer::start(Box::new(Model::new(scenario)), Clock::system(), options).await.expect("a server");
    let proxy = Proxy::before(sim.addr()).await;
    let dir = tempfile::tempdir().expect("a directory");
    let here = |url: String| url.replace(&sim.addr().to_string(), &proxy.addr.to_string());
    let kubeconfig = dir.path().join("kubeconfig");
    std::fs::write(&kubeconfig, here(sim.kubeconfig())).expect("it is written");
    let aws = sim.aws();
    let (cluster, region, account) = &aws.clusters[0];
    let bin = env("QUARTERDECK_FUZZ_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_quarterdeck").to_owned());
    let mut arguments: Vec<String> = flags.iter().map(|f| (*f).to_owned()).collect();
    arguments.extend(["--kubeconfig".to_owned(), kubeconfig.display().to_string()]);
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
        ("HOME", dir.path().display().to_string()),
        ("QUARTERDECK_STATE_DIR", dir.path().join("state").display().to_string()),
    ];
    let home = dir.path().to_owned();
    let seed = env("QUARTERDECK_FUZZ_SEED").and_then(|s| s.parse().ok()).unwrap_or(0x5eed_1234_abcd_0001);
    let pressed = tokio::task::spawn_blocking(move || {
        let mut dice = Dice(seed);
        let mut pressed = 0;
        while pressed < keys {
            let size = PtySize { rows: 40, cols: 120, pixel_width: 0, pixel_height: 0 };
            let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
            let mut command = CommandBuilder::new(&bin);
            command.args(&arguments);
            command.env_clear();
            command.cwd(&home);
            for (name, value) in &environment {
                command.env(name, value);
            }
            let mut child = pair.slave.spawn_command(command).expect("it starts");
            drop(pair.slave);
            let mut reader = pair.master.try_clone_reader().expect("a reader");
            let mut writer = pair.master.take_writer().expect("a writer");
            let drawn = Arc::new(AtomicUsize::new(0));
            let counter = Arc::clone(&drawn);
            std::thread::spawn(move || {
                let mut buffer = vec![0; 64 * 1024];
                while let Ok(n @ 1..) = reader.read(&mut buffer) {
                    counter.fetch_add(n, Ordering::Relaxed);
                }
            });
            // Rows first: keys on an empty list do nothing.
            let begun = instant();
            while drawn.load(Ordering::Relaxed) < 4_000 && begun.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(20));
            }
            std::thread::sleep(Duration::from_secs(2));
            while pressed < keys && child.try_wait().expect("it can be asked").is_none() {
                let batch: Vec<String> = (0..20).map(|_| dice.key(enter)).collect();
                // A terminal takes no more than its program reads: this waits for it.
                if writer.write_all(batch.concat().as_bytes()).is_err() {
                    break;
                }
                pressed += batch.len();
                // Lone escapes are told from sequences by the pause after them.
                std::thread::sleep(Duration::from_millis(3));
            }
            // What was pressed last is still acted on.
            std::thread::sleep(Duration::from_secs(2));
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
        pressed
    });
    assert!(pressed.await.expect("it pressed") >= keys);
    let audit = std::fs::read_to_string(dir.path().join("state/audit.jsonl")).unwrap_or_default();
    let seen = proxy.seen();
    Run { mutating: seen.mutating.clone(), all: seen.all, audit }
}

fn keys() -> usize {
    env("QUARTERDECK_FUZZ_KEYS").and_then(|k| k.parse().ok()).unwrap_or(KEYS)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_only_nothing_is_changed_whatever_is_pressed() {
    let run = fuzz(&["--read-only"], true, keys()).await;
    assert!(run.all > 50, "the console did read through the proxy: {} requests", run.all);
    assert_eq!(run.mutating, Vec::<String>::new(), "of {} requests", run.all);
    assert_eq!(run.audit, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_yes_nothing_is_changed() {
    // Enter is how a button is pressed: without it plans are shown, and none is agreed to.
    let run = fuzz(&[], false, keys()).await;
    assert!(run.all > 50, "the console did read through the proxy: {} requests", run.all);
    assert_eq!(run.mutating, Vec::<String>::new(), "of {} requests", run.all);
    assert_eq!(run.audit, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_changed_was_written_down_first() {
    let run = fuzz(&[], true, keys()).await;
    let intents = run.audit.lines().filter(|l| l.contains("\"kind\":\"intent\"")).count();
    assert!(run.mutating.is_empty() || intents > 0, "{:?} without a word in the audit", run.mutating);
    eprintln!("{} mutating requests of {}, {intents} intents", run.mutating.len(), run.all);
}
