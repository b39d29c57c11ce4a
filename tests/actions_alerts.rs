//! Silencing and unsilencing alarms: alerts of the embedded fleet's Alertmanager, plainly and through the Kubernetes API,
//! alarms of its CloudWatch, and a made-up Alertmanager for what a good one does not do.

#![cfg(all(feature = "prometheus", feature = "aws", feature = "kubernetes"))]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail as tests do, and the lint's exception for tests does not see them"
)]

#[path = "support/act.rs"]
mod act;
mod common;
#[path = "support/ecs.rs"]
mod ecs;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use act::{plan, run_until};
use common::client::Client;
use common::web::{Asked, Says, Web, says};
use quarterdeck::action::alarms::Alarms;
use quarterdeck::action::{Actor, End, Fate, Intent, Outcome, Plan, Step, StepState, Verb};
use quarterdeck::clock::Clock;
use quarterdeck::config::{BackendSettings, Place, ServiceName};
use quarterdeck::domain::{BackendKind, ClusterId, Kind, ObjectId, Text};
use quarterdeck::sim::model::{Model, Parameters, Scenario};
use quarterdeck::sim::server::{ServerOptions, SimServer};
use quarterdeck::source::alertmanager::Writer;
use quarterdeck::source::aws::Account;
use quarterdeck::source::kubernetes;
use quarterdeck::source::prometheus::{self, BackendSpec, Way};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

fn spec(name: &str, way: Way) -> BackendSpec {
    let settings = BackendSettings {
        timeout: Duration::from_secs(2),
        ..BackendSettings::at(name, Place::Url("http://unused".to_owned()))
    };
    BackendSpec { id: ClusterId::new(name), kind: BackendKind::Alertmanager, way, settings, cluster: None }
}

/// What may change these Alertmanagers; nobody reads what they say.
fn writers(specs: Vec<BackendSpec>) -> Vec<Writer> {
    let (tx, rx) = tokio::sync::mpsc::channel(1);
    drop(rx);
    let plan = prometheus::Plan { interval: Duration::from_mins(1), ..prometheus::Plan::default() };
    prometheus::Sources::spawn(specs, plan, tx, Clock::system()).writers().all()
}

fn actor(specs: Vec<BackendSpec>) -> Alarms {
    Alarms::new(Text::new("ann"), Clock::system()).with_alertmanagers(writers(specs))
}

fn at(url: &str) -> Alarms {
    actor(vec![spec("am", Way::Url(url.to_owned()))])
}

fn alarm(cluster: &str, namespace: &str, name: &str) -> ObjectId {
    let (namespace, name) = (Text::new(namespace), Text::new(name));
    ObjectId { cluster: ClusterId::new(cluster), kind: Kind::Alarm, namespace, name }
}

fn silence(targets: &[ObjectId], secs: u32) -> Intent {
    let mut intent = Intent::new(Verb::Silence, targets.to_vec());
    intent.options.duration = secs;
    intent
}

fn unsilence(targets: &[ObjectId]) -> Intent {
    Intent::new(Verb::Unsilence, targets.to_vec())
}

async fn run(actor: &Alarms, plan: &Plan, reason: &str, cancel: &CancellationToken) -> (End, Vec<Step>) {
    run_until(actor, plan, reason, cancel, |_, _| ()).await
}

async fn done(actor: &Alarms, intent: &Intent, reason: &str) -> End {
    let plan = plan(actor, intent).await;
    assert!(plan.is_possible(), "{plan:#?}");
    run(actor, &plan, reason, &CancellationToken::new()).await.0
}

fn lines(all: &[Text]) -> String {
    all.iter().flat_map(|l| [l.as_str(), "\n"]).collect()
}

// The embedded fleet.

async fn fleet() -> SimServer {
    let scenario = Scenario::embedded("budget-burn", Parameters::default()).expect("a scenario");
    let options = ServerOptions { ecs: scenario.ecs().to_vec(), seed: scenario.seed(), ..ServerOptions::default() };
    SimServer::start(Box::new(Model::new(scenario)), Clock::system(), options).await.expect("starts")
}

/// What another program sees of the one alert that fires in that fleet.
async fn seen(sim: &SimServer) -> Value {
    let anyone = Client { addr: sim.addr(), token: String::new() };
    let all = anyone.get("/alertmanager/api/v2/alerts").await.json();
    all.as_array().unwrap().iter().find(|a| a["labels"]["service"] == "cart").cloned().expect("the alert of the cart")
}

async fn silences(sim: &SimServer) -> Vec<Value> {
    let anyone = Client { addr: sim.addr(), token: String::new() };
    anyone.get("/alertmanager/api/v2/silences").await.json().as_array().unwrap().clone()
}

/// Its row where the labels name no cluster that is read.
fn cart(cluster: &str) -> ObjectId {
    alarm(cluster, "shop", "ErrorBudgetBurn cart")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_silenced_by_all_its_labels_and_that_is_undone() {
    let sim = fleet().await;
    let actor = at(&sim.alertmanager());
    let first = plan(&actor, &silence(&[cart("am")], 7200)).await;
    assert!(first.is_possible(), "{first:#?}");
    let change = &first.changes[0];
    assert_eq!((change.field.as_str(), change.from.as_str()), ("notifications", "not silenced"));
    assert!(change.to.starts_with("silenced until 20") && change.to.ends_with("UTC (2h)"), "{}", change.to);
    let alert = seen(&sim).await;
    let labels = alert["labels"].as_object().unwrap();
    let matchers = lines(&first.diff);
    for (name, value) in labels {
        assert!(matchers.contains(&format!("+ {name}=\"{}\"\n", value.as_str().unwrap())), "{name}: {matchers}");
    }
    assert_eq!(first.diff.len(), labels.len());
    let [by_hand] = first.equivalent.as_slice() else { panic!("{:?}", first.equivalent) };
    assert!(by_hand.starts_with("amtool --alertmanager.url=http://"), "{by_hand}");
    assert!(by_hand.contains("silence add --author=ann --duration=2h '--comment=silenced by ann via quarterdeck'"));
    assert!(by_hand.contains(r#"'alertname="ErrorBudgetBurn"'"#), "{by_hand}");
    assert!(silences(&sim).await.is_empty(), "a plan changes nothing");

    let (end, steps) = run(&actor, &first, "deploying cart", &CancellationToken::new()).await;
    assert_eq!(end.outcome, Outcome::Done, "{end:?}");
    assert_eq!(end.text, "1 of 1 silenced");
    assert!(steps.iter().any(|s| s.state == StepState::Done && s.text.starts_with("silenced until")), "{steps:?}");
    let all = silences(&sim).await;
    let [made] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((&made["createdBy"], &made["comment"]), (&json!("ann"), &json!("deploying cart")));
    assert_eq!(made["matchers"].as_array().unwrap().len(), labels.len());
    let time = |key: &str| made[key].as_str().unwrap().parse::<quarterdeck::domain::Timestamp>().unwrap();
    let lasts = (time("endsAt") - time("startsAt")).num_seconds();
    assert!((7190..=7200).contains(&lasts), "{lasts}");
    assert_eq!(seen(&sim).await["status"]["silencedBy"], json!([made["id"]]));

    // The same again would change nothing; longer does.
    let again = plan(&actor, &silence(&[cart("am")], 3600)).await;
    assert!(!again.is_possible() && again.changes[0].fate == Fate::Stays, "{again:#?}");
    assert!(lines(&again.refused).contains("silenced by ann until"), "{again:#?}");
    assert!(plan(&actor, &silence(&[cart("am")], 90_000)).await.is_possible());

    let undo = end.undo.expect("the way back");
    assert_eq!((undo.verb, undo.targets.as_slice()), (Verb::Unsilence, &[cart("am")][..]));
    let back = plan(&actor, &undo).await;
    assert!(back.changes[0].from.contains("by ann until") && back.changes[0].from.ends_with(": deploying cart"));
    assert!(back.warnings.is_empty(), "{:?}", back.warnings);
    assert!(back.equivalent[0].contains(&format!("silence expire {}", made["id"].as_str().unwrap())));
    let (end, _) = run(&actor, &back, "", &CancellationToken::new()).await;
    assert_eq!((end.outcome, end.text.as_str()), (Outcome::Done, "1 of 1 unsilenced"));
    assert_eq!(silences(&sim).await[0]["status"]["state"], "expired");
    assert_eq!(seen(&sim).await["status"]["silencedBy"], json!([]));
    // Silencing it again is for the time that was left.
    let undo = end.undo.expect("the way back");
    assert_eq!(undo.verb, Verb::Silence);
    assert!((7100..=7200).contains(&undo.options.duration), "{}", undo.options.duration);
    // And nothing is left to end.
    let nothing = plan(&actor, &unsilence(&[cart("am")])).await;
    assert!(lines(&nothing.refused).contains("nothing silences it"), "{nothing:#?}");
    assert_eq!(done(&actor, &undo, "").await.outcome, Outcome::Done);
    sim.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_since_the_plan_stops_it() {
    let sim = fleet().await;
    let actor = at(&sim.alertmanager());
    let (before, token) = (plan(&actor, &silence(&[cart("am")], 600)).await, CancellationToken::new());
    assert_eq!(done(&actor, &silence(&[cart("am")], 60), "a minute").await.outcome, Outcome::Done);
    let (end, steps) = run(&actor, &before, "", &token).await;
    assert_eq!((end.outcome, end.undo), (Outcome::Failed, None));
    assert!(
        end.text.contains("nothing was done") && end.text.contains("meanwhile it is silenced by ann"),
        "{}",
        end.text
    );
    assert!(steps.iter().any(|s| s.state == StepState::Failed), "{steps:?}");
    assert_eq!(silences(&sim).await.len(), 1);
    // The silence is over before it is ended.
    let late = plan(&actor, &unsilence(&[cart("am")])).await;
    assert_eq!(done(&actor, &unsilence(&[cart("am")]), "").await.outcome, Outcome::Done);
    let (end, _) = run(&actor, &late, "", &token).await;
    assert_eq!(end.outcome, Outcome::Failed);
    assert!(end.text.contains("nothing silences it any more"), "{}", end.text);
    // Cancelled before it begins.
    let plan = plan(&actor, &silence(&[cart("am")], 600)).await;
    token.cancel();
    let (end, _) = run(&actor, &plan, "", &token).await;
    assert_eq!((end.outcome, end.undo), (Outcome::Cancelled, None));
    assert_eq!(silences(&sim).await.len(), 1, "nothing was made");
    sim.stop().await;
}

/// Sources of the fleet's Kubernetes API whose observations go nowhere.
fn api(sim: &SimServer, read_only: bool) -> kubernetes::Sources {
    let (tx, rx) = tokio::sync::mpsc::channel(1);
    drop(rx);
    let spec = kubernetes::ClusterSpec {
        id: ClusterId::new("demo"),
        context: None,
        kubeconfig: kubernetes::Kubeconfig::Inline(sim.kubeconfig()),
        namespace: None,
        production: false,
        read_only,
        metrics_interval: Duration::from_secs(30),
        silence: kubernetes::SILENCE,
    };
    kubernetes::Sources::spawn(vec![spec], tx, Clock::system())
}

fn behind(sources: &kubernetes::Sources) -> BackendSpec {
    let demo = ClusterId::new("demo");
    let way = Way::Service {
        reader: sources.reader(&demo).expect("a reader"),
        writer: sources.writer(&demo),
        service: ServiceName::parse("monitoring/alertmanager-operated:9093").expect("a name"),
        path: String::new(),
    };
    BackendSpec { cluster: Some(demo), ..spec("demo/alertmanager", way) }
}

#[tokio::test(flavor = "multi_thread")]
async fn through_the_kubernetes_api_as_reading_does() {
    let sim = fleet().await;
    let sources = api(&sim, false);
    let actor = actor(vec![behind(&sources)]);
    let first = plan(&actor, &silence(&[cart("demo")], 3600)).await;
    assert!(first.is_possible(), "{first:#?}");
    assert_eq!(first.needs[0].what, "create services/proxy alertmanager-operated in monitoring");
    assert_eq!(first.needs[0].allowed, Some(true));
    assert_eq!(first.equivalent[0], "kubectl -n monitoring port-forward svc/alertmanager-operated 9093:9093");
    assert!(first.equivalent[1].starts_with("amtool --alertmanager.url=http://localhost:9093 silence add"));
    let (end, _) = run(&actor, &first, "", &CancellationToken::new()).await;
    assert_eq!(end.outcome, Outcome::Done, "{end:?}");
    assert_eq!(silences(&sim).await.len(), 1);
    assert_eq!(done(&actor, &end.undo.expect("the way back"), "").await.outcome, Outcome::Done);
    assert_eq!(silences(&sim).await[0]["status"]["state"], "expired");
    // A role that may look, and no more.
    sim.faults().forbid("create", "services/proxy");
    let denied = plan(&actor, &silence(&[cart("demo")], 3600)).await;
    assert_eq!(denied.needs[0].allowed, Some(false));
    assert!(!denied.is_possible());
    let (end, _) = run(&actor, &denied, "", &CancellationToken::new()).await;
    assert_eq!(end.outcome, Outcome::Failed);
    assert!(end.text.contains("not allowed") && end.text.contains("services/proxy"), "{}", end.text);
    sim.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_only_has_no_writer() {
    let sim = fleet().await;
    let url = || spec("am", Way::Url(sim.alertmanager()));
    assert_eq!(writers(vec![url()]).len(), 1);
    let mut marked = url();
    marked.settings.read_only = true;
    assert!(writers(vec![marked.clone()]).is_empty());
    let sources = api(&sim, true);
    assert!(writers(vec![behind(&sources)]).is_empty(), "the API that it is behind is read-only");
    assert!(actor(vec![marked]).is_empty(), "there is nobody to ask");
    sim.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alertmanager_that_is_away_is_said_and_is_not_waited_for_long() {
    let sim = fleet().await;
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = at(&format!("http://{gone}"));
    let why = away.plan(&silence(&[cart("am")], 60)).await.expect_err("nobody can say");
    assert!(why.contains("am: cannot reach 127.0.0.1"), "{why}");
    // Another one that is away does not keep the first from it, but is told.
    let both = actor(vec![spec("am", Way::Url(sim.alertmanager())), spec("bm", Way::Url(format!("http://{gone}")))]);
    let first = plan(&both, &silence(&[cart("am")], 60)).await;
    assert!(first.is_possible() && lines(&first.warnings).contains("not looked at"), "{first:#?}");
    // It goes away between plan and act.
    let actor = at(&sim.alertmanager());
    let first = plan(&actor, &silence(&[cart("am")], 60)).await;
    sim.stop().await;
    let (end, _) = run(&actor, &first, "", &CancellationToken::new()).await;
    assert_eq!(end.outcome, Outcome::Failed);
    assert!(end.text.contains("nothing was done") && end.text.contains("could not be looked at"), "{}", end.text);
}

// An Alertmanager of the test's own.

#[derive(Default)]
struct Held {
    alerts: Vec<Value>,
    silences: Vec<Value>,
    /// What a change is answered with, if not well.
    refuse: Option<(u16, &'static str)>,
    /// Changes are made, and no answer comes.
    lose: bool,
    /// Its own name, and those of all that share its silences.
    cluster: (String, Vec<String>),
}

type Shared = Arc<Mutex<Held>>;

static NUMBER: AtomicUsize = AtomicUsize::new(0);

fn covers(silence: &Value, alert: &Value) -> bool {
    let is = |m: &Value| alert["labels"][m["name"].as_str().unwrap()] == m["value"];
    silence["status"]["state"] == "active" && silence["matchers"].as_array().unwrap().iter().all(is)
}

fn answer(held: &Shared, asked: &Asked) -> Says {
    let mut held = held.lock().unwrap();
    let path = asked.path.split('?').next().unwrap();
    let change = asked.method != "GET";
    if let Some((code, body)) = held.refuse.filter(|_| change) {
        return says(code, body);
    }
    let after = if change && held.lose { Duration::from_mins(5) } else { Duration::ZERO };
    let said = match (asked.method.as_str(), path) {
        ("GET", "/api/v2/status") => {
            let peers: Vec<Value> = held.cluster.1.iter().map(|n| json!({"name": n, "address": "x"})).collect();
            json!({"cluster": {"name": held.cluster.0, "status": "ready", "peers": peers}, "versionInfo": {"version": "x"}})
        }
        ("GET", "/api/v2/alerts") => {
            let with = |a: &Value| {
                let by: Vec<Value> = held.silences.iter().filter(|s| covers(s, a)).map(|s| s["id"].clone()).collect();
                let mut a = a.clone();
                a["status"] = json!({"state": "active", "silencedBy": by, "inhibitedBy": [], "mutedBy": []});
                a
            };
            held.alerts.iter().map(with).collect()
        }
        ("GET", "/api/v2/silences") => json!(held.silences),
        ("POST", "/api/v2/silences") => {
            let mut new: Value = serde_json::from_str(&asked.body).unwrap();
            // Alertmanagers make them of chance: none has another's.
            let id = format!("id-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
            new["id"] = json!(id);
            new["status"] = json!({"state": "active"});
            held.silences.push(new);
            json!({"silenceID": id})
        }
        ("DELETE", path) => {
            let id = path.rsplit('/').next().unwrap();
            let Some(s) = held.silences.iter_mut().find(|s| s["id"] == id) else { return says(404, "") };
            s["status"]["state"] = json!("expired");
            return Says { after, ..says(200, "") };
        }
        _ => return says(404, "404 page not found"),
    };
    Says { after, ..says(200, said.to_string()) }
}

fn alert(labels: &[(&str, &str)]) -> Value {
    let labels: serde_json::Map<String, Value> = labels.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
    json!({"labels": labels, "annotations": {}, "startsAt": "2026-03-01T03:00:00Z"})
}

async fn fake(alerts: Vec<Value>) -> (Web, Shared, Alarms) {
    let held: Shared = Arc::new(Mutex::new(Held { alerts, ..Held::default() }));
    let shared = Arc::clone(&held);
    let web = Web::start(move |asked| answer(&shared, asked)).await;
    let actor = at(&web.url());
    (web, held, actor)
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_values_go_to_the_letter() {
    let odd = "/a|b.*\"x\"\\d\nend 'q' $HOME ünïcode";
    let (web, held, actor) =
        fake(vec![alert(&[("alertname", "Odd"), ("pod", "web-0"), ("path", odd), ("my.label", "x")])]).await;
    let first = plan(&actor, &silence(&[alarm("am", "", "Odd web-0")], 60)).await;
    assert!(first.is_possible(), "{first:#?}");
    // Plainly on the screen, each on one line.
    assert!(
        lines(&first.diff).contains("+ path=\"/a|b.*\\\"x\\\"\\\\d\\nend 'q' $HOME ünïcode\"\n"),
        "{:?}",
        first.diff
    );
    assert!(lines(&first.diff).contains("+ \"my.label\"=\"x\"\n"));
    let (end, _) = run(&actor, &first, "why: \"because\"\nof\u{1b}[31m it", &CancellationToken::new()).await;
    assert_eq!(end.outcome, Outcome::Done, "{end:?}");
    let posts: Vec<Asked> = web.requests().into_iter().filter(|r| r.method == "POST").collect();
    let [post] = posts.as_slice() else { panic!("{posts:?}") };
    assert!(post.head.to_lowercase().contains("content-type: application/json"), "{}", post.head);
    let sent: Value = serde_json::from_str(&post.body).unwrap();
    let path = sent["matchers"].as_array().unwrap().iter().find(|m| m["name"] == "path").unwrap();
    assert_eq!(*path, json!({"name": "path", "value": odd, "isRegex": false, "isEqual": true}));
    assert!(!sent["comment"].as_str().unwrap().contains('\u{1b}'), "{sent}");
    assert_eq!(held.lock().unwrap().silences.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_and_what_a_silence_covers_besides() {
    let of = |pod: &str| alert(&[("alertname", "Full"), ("pod", pod), ("severity", "page")]);
    let (web, held, actor) = fake(vec![of("web-0"), of("web-1"), of("web-2"), alert(&[("alertname", "Full")])]).await;
    let ids = ["Full web-0", "Full web-1"].map(|n| alarm("am", "", n));
    let both = plan(&actor, &silence(&ids, 3600)).await;
    let targets: Vec<&ObjectId> = both.changes.iter().map(|c| &c.target).collect();
    assert_eq!(targets, [&ids[0], &ids[1]]);
    assert!(lines(&both.diff).contains("Full web-1:"), "which matchers are whose: {:?}", both.diff);
    let (end, _) = run(&actor, &both, "", &CancellationToken::new()).await;
    assert_eq!((end.outcome, end.text.as_str()), (Outcome::Done, "2 of 2 silenced"));
    assert_eq!(held.lock().unwrap().silences.len(), 2);
    // One with few labels silences more than itself.
    let few = plan(&actor, &silence(&[alarm("am", "", "Full")], 3600)).await;
    assert!(few.is_possible());
    let said = lines(&few.warnings);
    assert!(said.contains("3 other alerts") && said.contains("Full web-2"), "{said}");
    // One silence over three alerts: ended once, and the third is told of.
    let (start, end) = ("2026-03-01T03:00:00Z", "2126-03-01T03:00:00Z");
    held.lock().unwrap().silences = vec![json!({"id": "all", "status": {"state": "active"}, "createdBy": "bob",
        "comment": "noise", "startsAt": start, "endsAt": end,
        "matchers": [{"name": "alertname", "value": "Full", "isRegex": false}, {"name": "severity", "value": "page", "isRegex": false}]})];
    let back = plan(&actor, &unsilence(&ids)).await;
    let said = lines(&back.warnings);
    assert!(said.contains("the silence by bob") && said.contains("covers 1 other alert,"), "{said}");
    assert!(said.contains("Full web-2") && !said.contains("Full web-0"), "{said}");
    assert_eq!(lines(&back.diff), "- alertname=\"Full\"\n- severity=\"page\"\n");
    let (end, _) = run(&actor, &back, "", &CancellationToken::new()).await;
    assert_eq!((end.outcome, end.text.as_str()), (Outcome::Done, "2 of 2 unsilenced"));
    assert_eq!(web.requests().iter().filter(|r| r.method == "DELETE").count(), 1);
    // Nobody is called so any more, or several are.
    let gone = plan(&actor, &silence(&[alarm("am", "", "Empty")], 60)).await;
    assert!(!gone.is_possible() && lines(&gone.refused).contains("Empty is held by nobody"), "{gone:#?}");
    let none = plan(&actor, &silence(&ids, 0)).await;
    assert!(lines(&none.refused).contains("no time at all"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_found_though_its_name_was_told_apart_since() {
    let of = |shard: &str| alert(&[("alertname", "Full"), ("pod", "web-0"), ("shard", shard)]);
    let (web, held, actor) = fake(vec![of("a"), of("b")]).await;
    // As the two are told apart on the screen.
    let rows = writers(vec![spec("am", Way::Url(web.url()))])[0].held().await.expect("alerts");
    assert!(rows[0].id.name.starts_with("Full web-0 #"), "{rows:?}");
    let both = plan(&actor, &silence(&[alarm("am", "", "Full web-0")], 60)).await;
    assert!(lines(&both.refused).contains("several alerts are called Full web-0 now"), "{both:#?}");
    let one = rows[0].id.clone();
    held.lock().unwrap().alerts.truncate(1);
    let wanted = plan(&actor, &silence(std::slice::from_ref(&one), 60)).await;
    assert_eq!(rows[0].alert.labels["shard"], "a");
    assert!(wanted.is_possible(), "the one that is left: {wanted:#?}");
    let other = plan(&actor, &silence(&[rows[1].id.clone()], 60)).await;
    assert!(!other.is_possible(), "and no other in its place: {other:#?}");
    // And it is resolved before it is silenced.
    held.lock().unwrap().alerts.clear();
    let (end, _) = run(&actor, &wanted, "", &CancellationToken::new()).await;
    assert!(end.text.contains("it fires no longer"), "{}", end.text);
    assert!(held.lock().unwrap().silences.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_said_in_words_and_nothing_is_undone() {
    let (_web, held, actor) = fake(vec![alert(&[("alertname", "Full")])]).await;
    let id = alarm("am", "", "Full");
    for (code, body, says) in [
        (403, "ann may only look", "not allowed: ann may only look"),
        (401, "", "credentials were refused (401)"),
        (400, "\"invalid silence: start time must be before end time\"", "invalid silence: start time"),
        (413, "<html><title>Too large</title>", "413: a web page \"Too large\""),
    ] {
        held.lock().unwrap().refuse = Some((code, body));
        let end = done(&actor, &silence(std::slice::from_ref(&id), 60), "").await;
        assert_eq!((end.outcome, end.undo), (Outcome::Failed, None), "{code}");
        assert!(end.text.starts_with("0 of 1 silenced; Full: am: ") && end.text.contains(says), "{}", end.text);
    }
    // What stands between has lost the answer, and nobody can say whether it was done: it is looked at.
    held.lock().unwrap().refuse = Some((504, "upstream timed out"));
    let end = done(&actor, &silence(std::slice::from_ref(&id), 60), "").await;
    assert_eq!(end.outcome, Outcome::Failed);
    assert!(end.text.contains("504") && end.text.contains("it was not done"), "{}", end.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_is_looked_up() {
    let (_web, held, actor) = fake(vec![alert(&[("alertname", "Full")])]).await;
    let id = alarm("am", "", "Full");
    held.lock().unwrap().lose = true;
    let end = done(&actor, &silence(std::slice::from_ref(&id), 600), "lost").await;
    assert_eq!(end.outcome, Outcome::Done, "it was made: {end:?}");
    let end = done(&actor, &end.undo.expect("the way back"), "").await;
    assert_eq!(end.outcome, Outcome::Done, "it was ended: {end:?}");
    assert_eq!(held.lock().unwrap().silences.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_that_share_their_silences_are_told_once() {
    let full = || vec![alert(&[("alertname", "Full"), ("cluster", "eu")])];
    let ((a, at_a, _), (b, at_b, _)) = (fake(full()).await, fake(full()).await);
    let about =
        |name: &str, url: String| BackendSpec { cluster: Some(ClusterId::new("eu")), ..spec(name, Way::Url(url)) };
    let pair = actor(vec![about("a", a.url()), about("b", b.url())]);
    let id = alarm("eu", "", "Full");
    let made = || at_a.lock().unwrap().silences.len() + at_b.lock().unwrap().silences.len();
    let names = ["01A", "01B"].map(str::to_owned);
    for (held, own) in [(&at_a, &names[0]), (&at_b, &names[1])] {
        held.lock().unwrap().cluster = (own.clone(), names.to_vec());
    }
    assert_eq!(done(&pair, &silence(std::slice::from_ref(&id), 60), "").await.outcome, Outcome::Done);
    assert_eq!(made(), 1, "the other one hears of it");
    for held in [&at_a, &at_b] {
        let mut held = held.lock().unwrap();
        (held.cluster, held.silences) = ((String::new(), Vec::new()), Vec::new());
    }
    let plan = plan(&pair, &silence(std::slice::from_ref(&id), 60)).await;
    assert_eq!(plan.changes[0].note, "at a and b");
    let (end, _) = run(&pair, &plan, "", &CancellationToken::new()).await;
    assert_eq!((end.outcome, made()), (Outcome::Done, 2), "each has to be told");
    let end = done(&pair, &unsilence(std::slice::from_ref(&id)), "").await;
    assert_eq!(end.outcome, Outcome::Done);
    let active =
        |held: &Shared| held.lock().unwrap().silences.iter().filter(|s| s["status"]["state"] == "active").count();
    assert_eq!(active(&at_a) + active(&at_b), 0);
}

// CloudWatch.

const SHOP: &str = "[[ecs]]\nname = 'shop'\n[[ecs.services]]\nname = 'web'\ndesired = 2\nimage = 'r/web:1'\n\
    [[ecs.services]]\nname = 'api'\ndesired = 1\nimage = 'r/api:1'\n";

async fn clients(sim: &SimServer) -> Arc<quarterdeck::source::aws::Clients> {
    let spec = ecs::specs(sim, Duration::from_secs(1)).remove(0).account;
    Account::new(spec, Clock::system()).clients().await.expect("clients")
}

/// Whether an alarm's actions are enabled, as another program sees it.
async fn enabled(sim: &SimServer, name: &str) -> bool {
    let answer = clients(sim).await.cloudwatch.describe_alarms().alarm_names(name).send().await.expect("an answer");
    answer.metric_alarms()[0].actions_enabled().expect("it says")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_of_cloudwatch_is_kept_from_acting_and_shows_as_silenced() {
    let mut bench = ecs::Bench::new(SHOP, |_| {}).await;
    bench.complete().await;
    let shop = ClusterId::new("shop");
    let actor = Alarms::new(Text::new("ann"), Clock::system()).with_cloudwatch(bench.sources.writer(&shop));
    let [cpu, composite] = ["shop-web-cpu-high", "shop-degraded"].map(|n| alarm("shop", "", n));
    let first = plan(&actor, &silence(&[cpu.clone(), composite.clone()], 3600)).await;
    assert!(first.is_possible(), "{first:#?}");
    let change = &first.changes[0];
    assert_eq!((change.field.as_str(), change.from.as_str(), change.to.as_str()), ("actions", "enabled", "disabled"));
    assert!(lines(&first.warnings).contains("stay disabled until somebody enables them"), "{:?}", first.warnings);
    assert_eq!(first.needs[0].what, "cloudwatch:DisableAlarmActions");
    assert_eq!(
        first.equivalent,
        [
            "aws --profile test --region eu-west-1 cloudwatch disable-alarm-actions --alarm-names shop-web-cpu-high shop-degraded"
        ]
    );
    let (end, _) = run(&actor, &first, "", &CancellationToken::new()).await;
    assert_eq!((end.outcome, end.text.as_str()), (Outcome::Done, "2 of 2 silenced"));
    assert!(!enabled(&bench.sim, "shop-web-cpu-high").await);
    // The list shows it soon, and no sooner.
    let says = |s: &quarterdeck::store::Store, id: &ObjectId| s.alarms.get(id).map(|a| a.suppressed_by.to_string());
    bench
        .until("a silenced alarm", Duration::from_secs(30), |s| {
            [&cpu, &composite].iter().all(|id| says(s, id).is_some_and(|w| w.contains("disabled")))
        })
        .await;
    // Already so, changed since the plan, gone.
    let same = plan(&actor, &silence(std::slice::from_ref(&cpu), 60)).await;
    assert!(lines(&same.refused).contains("disabled already"), "{same:#?}");
    let late = plan(&actor, &unsilence(std::slice::from_ref(&cpu))).await;
    assert!(late.is_possible() && late.equivalent[0].contains("enable-alarm-actions"), "{late:#?}");
    let end = done(&actor, &end.undo.expect("the way back"), "").await;
    assert_eq!((end.outcome, end.undo.expect("a way back").verb), (Outcome::Done, Verb::Silence));
    assert!(enabled(&bench.sim, "shop-web-cpu-high").await);
    let (end, _) = run(&actor, &late, "", &CancellationToken::new()).await;
    assert_eq!(end.outcome, Outcome::Failed);
    assert!(end.text.contains("its actions were enabled meanwhile"), "{}", end.text);
    let gone = plan(&actor, &silence(&[alarm("shop", "", "no-such")], 60)).await;
    assert!(lines(&gone.refused).contains("no-such is held by nobody"), "{gone:#?}");
    // Not allowed.
    bench.faults.set(|f| f.denied.extend(["cloudwatch:DisableAlarmActions".to_owned()]));
    let end = done(&actor, &silence(std::slice::from_ref(&cpu), 60), "").await;
    assert_eq!(end.outcome, Outcome::Failed);
    assert!(end.text.contains("not allowed") && end.text.contains("DisableAlarmActions"), "{}", end.text);
    assert!(enabled(&bench.sim, "shop-web-cpu-high").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_read_cannot_keep_an_alarm_from_anything() {
    let bench = ecs::Bench::new(SHOP, |spec| spec.read_only = true).await;
    assert!(bench.sources.writer(&ClusterId::new("shop")).is_none());
    let clients = clients(&bench.sim).await;
    let told = clients.cloudwatch.disable_alarm_actions().alarm_names("shop-web-cpu-high").send().await;
    let why = format!("{:?}", told.expect_err("it is refused"));
    assert!(why.contains("this client only reads"), "{why}");
    assert!(enabled(&bench.sim, "shop-web-cpu-high").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_plan_for_alarms_of_both() {
    let mut bench = ecs::Bench::new(SHOP, |_| {}).await;
    bench.complete().await;
    let (web, held, _) = fake(vec![alert(&[("alertname", "Full")])]).await;
    let shop = ClusterId::new("shop");
    let about = BackendSpec { cluster: Some(shop.clone()), ..spec("am", Way::Url(web.url())) };
    let actor = actor(vec![about]).with_cloudwatch(bench.sources.writer(&shop));
    let ids = ["shop-api-cpu-high", "Full"].map(|n| alarm("shop", "", n));
    let both = plan(&actor, &silence(&ids, 3600)).await;
    let fields: Vec<&str> = both.changes.iter().map(|c| c.field.as_str()).collect();
    assert_eq!(fields, ["actions", "notifications"], "in the order of the targets");
    let (end, _) = run(&actor, &both, "", &CancellationToken::new()).await;
    assert_eq!((end.outcome, end.text.as_str()), (Outcome::Done, "2 of 2 silenced"));
    assert!(!enabled(&bench.sim, "shop-api-cpu-high").await);
    assert_eq!(held.lock().unwrap().silences.len(), 1);
    let end = done(&actor, &end.undo.expect("the way back"), "").await;
    assert_eq!(end.outcome, Outcome::Done, "{end:?}");
    assert!(enabled(&bench.sim, "shop-api-cpu-high").await);
    // The first that fails ends it, and what was done can be undone.
    held.lock().unwrap().refuse = Some((403, "no"));
    let end = done(&actor, &silence(&ids, 3600), "").await;
    assert_eq!(end.outcome, Outcome::Failed);
    assert!(end.text.starts_with("1 of 2 silenced; Full: am: not allowed"), "{}", end.text);
    assert_eq!(end.undo.expect("of the first").targets, ids[..1]);
}
