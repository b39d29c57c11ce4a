//! A real Alertmanager, and its `amtool`: what our actor silences is silenced there, and the command that a plan gives to
//! copy makes the same silence.
//!
//! Needs `prometheus-alertmanager` and `amtool` (Debian's names, or upstream's) in PATH; without them the test says so
//! and passes, but fails where `CI` is set.

#![cfg(feature = "prometheus")]
#![expect(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "a peer that is left out is said loudly")]

#[path = "support/act.rs"]
mod act;
mod common;
#[path = "support/peer.rs"]
mod peer;

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use act::run_because;
use common::client::Client;
use peer::{Process, find, free};
use quarterdeck::action::alarms::Alarms;
use quarterdeck::action::{End, Intent, Outcome, Plan, Verb};
use quarterdeck::clock::{Clock, instant};
use quarterdeck::config::{BackendSettings, Place};
use quarterdeck::domain::{BackendKind, ClusterId, Kind, ObjectId, Text};
use quarterdeck::source::prometheus::{self, BackendSpec, Sources, Way};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_mins(1);
/// Quotes of both kinds, a backslash, a line's end, what a shell and an expression would take for theirs.
const ODD: &str = "/a|b.*\"x\"\\d\nend 'q' $HOME `id` {}=~ünïcode, y";

struct Peer {
    addr: SocketAddr,
    client: Client,
    _process: Process,
    _dir: tempfile::TempDir,
}

async fn peer() -> Option<Peer> {
    let (Some(alertmanager), Some(_)) = (find(&["prometheus-alertmanager", "alertmanager"]), find(&["amtool"])) else {
        assert!(std::env::var_os("CI").is_none(), "Alertmanager and amtool are part of the checks: install them");
        eprintln!("LEFT OUT: prometheus-alertmanager and amtool are not both in PATH");
        return None;
    };
    let dir = tempfile::tempdir().unwrap();
    let config = "route: {receiver: nobody, group_wait: 1s}\nreceivers: [{name: nobody}]\n\
        inhibit_rules: [{source_matchers: ['severity=\"page\"'], target_matchers: ['severity=\"ticket\"'], equal: [shop]}]\n";
    std::fs::write(dir.path().join("alertmanager.yml"), config).unwrap();
    let (addr, log) = (free(), dir.path().join("log"));
    let mut command = Command::new(alertmanager);
    command.args(["--config.file=alertmanager.yml", "--storage.path=am", "--cluster.listen-address="]);
    command.arg(format!("--web.listen-address={addr}")).current_dir(dir.path());
    let process = Process::start(&mut command, Some(&log));
    let began = instant();
    while tokio::net::TcpStream::connect(addr).await.is_err() {
        assert!(
            began.elapsed() < PATIENCE,
            "it does not listen: {}",
            std::fs::read_to_string(&log).unwrap_or_default()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Some(Peer { addr, client: Client { addr, token: String::new() }, _process: process, _dir: dir })
}

impl Peer {
    async fn fire(&self, alerts: &Value) {
        let made = self.client.send("POST", "/api/v2/alerts", "application/json", alerts).await;
        assert_eq!(made.code, 200, "{}", made.text());
        let began = instant();
        let wanted = alerts.as_array().unwrap().len();
        while self.get("/api/v2/alerts").await.len() < wanted {
            assert!(began.elapsed() < PATIENCE, "the alerts do not show");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn get(&self, path: &str) -> Vec<Value> {
        self.client.get(path).await.json().as_array().unwrap().clone()
    }

    /// The silences in force.
    async fn silences(&self) -> Vec<Value> {
        let all = self.get("/api/v2/silences").await;
        all.into_iter().filter(|s| s["status"]["state"] == "active").collect()
    }

    /// Names of the alerts that people are told of.
    async fn told(&self) -> Vec<String> {
        let all = self.get("/api/v2/alerts?silenced=false&inhibited=false").await;
        let mut names: Vec<String> =
            all.iter().map(|a| a["labels"]["pod"].as_str().unwrap_or_default().to_owned()).collect();
        names.sort();
        names
    }

    fn actor(&self) -> Alarms {
        let url = format!("http://{}", self.addr);
        let settings = BackendSettings::at("am", Place::Url(url.clone()));
        let kind = BackendKind::Alertmanager;
        let spec = BackendSpec { id: ClusterId::new("am"), kind, way: Way::Url(url), settings, cluster: None };
        let (tx, rx) = tokio::sync::mpsc::channel(1);
        drop(rx);
        let sources = Sources::spawn(vec![spec], prometheus::Plan::default(), tx, Clock::system());
        Alarms::new(Text::new("ann"), Clock::system()).with_alertmanagers(sources.writers().all())
    }
}

fn alarm(name: &str) -> ObjectId {
    let (namespace, name) = (Text::empty(), Text::new(name));
    ObjectId { cluster: ClusterId::new("am"), kind: Kind::Alarm, namespace, name }
}

async fn plan(actor: &Alarms, verb: Verb, names: &[&str], secs: u32) -> Plan {
    let mut intent = Intent::new(verb, names.iter().map(|n| alarm(n)).collect());
    intent.options.duration = secs;
    act::plan(actor, &intent).await
}

async fn run(actor: &Alarms, plan: &Plan, reason: &str) -> End {
    assert!(plan.is_possible(), "{plan:#?}");
    run_because(actor, plan, reason, |_, _| ()).await.0
}

/// Matchers in an order of their own: name, value, whether they are expressions.
fn matchers(silence: &Value) -> Vec<(String, String, bool)> {
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    let one = |m: &Value| (text(&m["name"]), text(&m["value"]), m["isRegex"].as_bool().unwrap());
    let mut all: Vec<_> = silence["matchers"].as_array().unwrap().iter().map(one).collect();
    all.sort();
    all
}

#[tokio::test]
async fn what_we_silence_is_silenced_there() {
    let Some(peer) = peer().await else { return };
    let of = |pod: &str, path: &str| json!({"labels": {"alertname": "Full", "pod": pod, "path": path}});
    peer.fire(&json!([of("a", ODD), of("b", "/a|b.*"), of("c", "x")])).await;
    let actor = peer.actor();
    assert_eq!(peer.told().await, ["a", "b", "c"]);

    let two = plan(&actor, Verb::Silence, &["Full a", "Full b"], 7200).await;
    let end = run(&actor, &two, "deploy: \"it\"").await;
    assert_eq!((end.outcome, end.text.as_str()), (Outcome::Done, "2 of 2 silenced"));
    assert_eq!(peer.told().await, ["c"]);
    let own = peer.silences().await;
    assert_eq!(own.len(), 2);
    assert!(own.iter().all(|s| s["createdBy"] == "ann" && s["comment"] == "deploy: \"it\""), "{own:?}");
    let odd =
        own.iter().find(|s| matchers(s).contains(&("pod".to_owned(), "a".to_owned(), false))).expect("its silence");
    assert!(matchers(odd).contains(&("path".to_owned(), ODD.to_owned(), false)), "{odd}");

    // The way back, and forth again.
    let end = run(&actor, &plan(&actor, Verb::Unsilence, &["Full a", "Full b"], 0).await, "").await;
    assert_eq!((end.outcome, end.text.as_str()), (Outcome::Done, "2 of 2 unsilenced"));
    assert_eq!(peer.told().await, ["a", "b", "c"]);
    assert!(peer.silences().await.is_empty());

    // The command that the plan gives makes the same silence.
    let Some(line) = two.equivalent.first() else { panic!("{two:?}") };
    let said = Command::new("sh").args(["-c", line]).output().unwrap();
    assert!(said.status.success(), "{line}: {}", String::from_utf8_lossy(&said.stderr));
    let by_hand = peer.silences().await;
    let [made] = by_hand.as_slice() else { panic!("{by_hand:?}") };
    assert_eq!(matchers(made), matchers(odd));
    assert_eq!(peer.told().await, ["b", "c"]);
    // And the one to end it.
    let back = plan(&actor, Verb::Unsilence, &["Full a"], 0).await;
    let said = Command::new("sh").args(["-c", &back.equivalent[0]]).output().unwrap();
    assert!(said.status.success(), "{:?}: {}", back.equivalent, String::from_utf8_lossy(&said.stderr));
    assert_eq!(peer.told().await, ["a", "b", "c"]);
    // Ours finds it gone.
    let end = run(&actor, &back, "").await;
    assert_eq!(end.outcome, Outcome::Failed);
    assert!(end.text.contains("nothing silences it any more"), "{}", end.text);
}

#[tokio::test]
async fn a_silence_of_somebody_else_and_what_it_covers() {
    let Some(peer) = peer().await else { return };
    let of = |pod: &str, severity: &str| json!({"labels": {"alertname": "Full", "pod": pod, "shop": "eu", "severity": severity}});
    peer.fire(&json!([of("a", "page"), of("b", "page"), of("c", "ticket")])).await;
    let silence = json!({"matchers": [{"name": "pod", "value": "a|b", "isRegex": true, "isEqual": true},
            {"name": "severity", "value": "ticket", "isRegex": false, "isEqual": false}],
        "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2099-01-01T12:00:00Z", "createdBy": "bob", "comment": "upgrade"});
    let made = peer.client.send("POST", "/api/v2/silences", "application/json", &silence).await;
    assert_eq!(made.code, 200, "{}", made.text());
    let actor = peer.actor();
    let back = plan(&actor, Verb::Unsilence, &["Full a"], 0).await;
    assert_eq!(back.changes[0].from, "silenced by bob until 2099-01-01 12:00 UTC: upgrade");
    let warnings: Vec<&str> = back.warnings.iter().map(Text::as_str).collect();
    assert!(warnings[0].contains("covers 1 other alert,") && warnings[0].contains("Full b"), "{warnings:?}");
    let lines: Vec<&str> = back.diff.iter().map(Text::as_str).collect();
    assert_eq!(lines, ["- pod=~\"a|b\"", "- severity!=\"ticket\""]);
    // What another alert inhibits has no silence to end.
    let hushed = plan(&actor, Verb::Unsilence, &["Full c"], 0).await;
    assert!(!hushed.is_possible() && hushed.refused[0].contains("no silence is over it"), "{hushed:#?}");
    let end = run(&actor, &back, "").await;
    assert_eq!(end.outcome, Outcome::Done, "{end:?}");
    assert!(peer.silences().await.is_empty());
    assert_eq!(peer.told().await, ["a", "b"]);
    // In 2099 is a long time; it is what was left.
    let undo = end.undo.expect("the way back");
    assert!(undo.options.duration > 70 * 365 * 86_400, "{}", undo.options.duration);
    // It is resolved before it is silenced.
    let late = plan(&actor, Verb::Silence, &["Full b"], 60).await;
    let over = json!([{"labels": {"alertname": "Full", "pod": "b", "shop": "eu", "severity": "page"},
        "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2020-01-01T00:00:01Z"}]);
    let made = peer.client.send("POST", "/api/v2/alerts", "application/json", &over).await;
    assert_eq!(made.code, 200, "{}", made.text());
    let began = instant();
    while peer.told().await != ["a"] {
        assert!(began.elapsed() < PATIENCE, "it is not resolved");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let end = run(&actor, &late, "").await;
    assert_eq!(end.outcome, Outcome::Failed);
    assert!(end.text.contains("it fires no longer"), "{}", end.text);
    assert!(peer.silences().await.is_empty());
}
