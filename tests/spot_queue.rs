//! A queue of events in the embedded fleet, read by the console's source: nothing is lost,
//! nothing told twice, whatever happens to the process.

#![cfg(feature = "aws")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do, and the lint's exception for tests does not see them"
)]

#[path = "support/feeds.rs"]
mod feeds;

use std::path::Path;
use std::time::Duration;

use feeds::{Hold, Listener, Reader, Sender, account, held_up, interruption, plan, proxy, queue, stamp};
use quarterdeck::clock::Clock;
use quarterdeck::domain::notice::NoticeFeed;
use quarterdeck::sim::model::{Model, Scenario};
use quarterdeck::sim::server::{ServerOptions, SimServer};
use quarterdeck::source::aws::AccountSpec;

const FLEET: &str = "[[nodes]]\ngroup = 'g'\ncount = 1\ninstance = 'm7i.large'\nzones = ['eu-west-1a']\ncpu = 2\nmemory = 8\n\
    [[ecs]]\nname = 'shop'\n[[ecs.services]]\nname = 'api'\ndesired = 1\nimage = 'r/api:1'\n";

struct Fleet {
    sim: SimServer,
    key: String,
}

impl Fleet {
    async fn start(clock: Clock) -> Self {
        let scenario = Scenario::parse(FLEET, "test.toml").expect("a scenario");
        let options = ServerOptions { ecs: scenario.ecs().to_vec(), seed: 7, ..ServerOptions::default() };
        let sim = SimServer::start(Box::new(Model::new(scenario)), clock, options).await.expect("a server");
        let key = sim.aws().key_for("123456789012");
        Self { sim, key }
    }

    fn account(&self) -> AccountSpec {
        account(&self.sim.aws().endpoint, &self.key, &self.sim.aws().secret)
    }

    fn reader(&self, dir: &Path) -> Listener {
        let mut plan = plan(Some(dir));
        plan.feeds.push(queue(self.account(), "quarterdeck-events"));
        Listener::start(plan, Clock::system())
    }
}

#[test]
fn reads_as_a_child() {
    feeds::child();
}

#[tokio::test(flavor = "multi_thread")]
async fn received_told_stored_and_deleted_each_once() {
    let clock = Clock::system();
    let fleet = Fleet::start(clock.clone()).await;
    let sender = Sender::new(fleet.account(), "quarterdeck-events").await;
    let now = stamp(&clock);
    for n in 0..25 {
        sender.send(&interruption(&format!("e-{n}"), &format!("i-{n:017x}"), &now)).await;
    }
    // The same once more, by SNS; a test; one of no interest; and what makes no sense.
    let again =
        serde_json::json!({"Type": "Notification", "Message": interruption("e-3", "i-00000000000000003", &now)});
    sender.send(&again.to_string()).await;
    sender.send("{\"Event\":\"autoscaling:TEST_NOTIFICATION\"}").await;
    sender.send("{\"id\":\"x\",\"detail-type\":\"Something New\",\"detail\":{}}").await;
    sender.send("\u{1b}[31mnot JSON").await;
    sender
        .send(&format!(
            "{{\"detail-type\":\"EC2 Spot Instance Interruption Warning\",\"detail\":{}",
            "[".repeat(250_000)
        ))
        .await;
    let dir = tempfile::tempdir().expect("a directory");
    let mut listener = fleet.reader(dir.path());
    listener.until("all of them", |l| l.notices().len() == 25).await;
    sender.until_left(0).await;
    listener.until("two odd ones", |l| l.notes.iter().filter(|n| n.contains("is not understood")).count() == 2).await;
    listener
        .until("the counts", |l| {
            l.backends.get("queue").is_some_and(|b| b.endpoint.contains("2 about something else, 2 not understood"))
        })
        .await;
    assert_eq!(listener.sightings().len(), 25, "each is told once");
    assert!(listener.is_live("queue"));
    let odd = std::fs::read_to_string(dir.path().join("spot-odd.jsonl")).expect("what is odd is kept");
    assert_eq!(odd.lines().count(), 2);
    assert!(odd.contains("\\u001b[31mnot JSON") && odd.contains("queue"), "{odd}");
    assert!(!listener.notes.iter().any(|n| n.contains("looks shared")), "{:?}", listener.notes);
    let first = listener.sightings();
    drop(listener);

    // The next console knows them, with the time at which they were heard of first.
    let mut listener = fleet.reader(dir.path());
    listener.until("what was stored", |l| l.notices().len() == 25).await;
    listener.until("the queue", |l| l.is_live("queue")).await;
    let again = listener.sightings();
    assert_eq!(again.len(), 25);
    for s in again {
        let before = first.iter().find(|f| f.message == s.message).expect("the same");
        assert!((before.seen - s.seen).num_milliseconds().abs() < 1000 && before.deadline == s.deadline);
        assert_eq!(s.feed, NoticeFeed::EventQueue);
    }
    // Known ones are deleted, and told no more.
    sender.send(&interruption("e-7", "i-00000000000000007", &now)).await;
    sender.until_left(0).await;
    sender.send(&interruption("e-new", "i-0000000000000beef", &now)).await;
    listener.until("the new one", |l| l.notices().len() == 26).await;
    assert_eq!(listener.sightings().len(), 26);
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_at_once_are_told_within_seconds() {
    let clock = Clock::system();
    let fleet = Fleet::start(clock.clone()).await;
    fleet.sim.aws_faults().set(|f| f.unlimited = true);
    let sender = Sender::new(fleet.account(), "quarterdeck-events").await;
    let now = stamp(&clock);
    for n in 0..500 {
        sender.send(&interruption(&format!("e-{n}"), &format!("i-{n:017x}"), &now)).await;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let began = quarterdeck::clock::instant();
    let mut listener = fleet.reader(dir.path());
    listener.until("all of them", |l| l.sightings().len() == 500).await;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    sender.until_left(0).await;
    assert_eq!(listener.notices().len(), 500);
}

/// Killed with SIGKILL where it hurts most.
async fn killed(hold: Hold) {
    let clock = Clock::manual(Clock::system().now());
    let fleet = Fleet::start(clock.clone()).await;
    let sender = Sender::new(fleet.account(), "quarterdeck-events").await;
    sender.send(&interruption("e-1", "i-0b662ef9931388ba0", &stamp(&clock))).await;
    let access = fleet.sim.aws();
    let (endpoint, held) = proxy(&access.endpoint, hold);
    let dir = tempfile::tempdir().expect("a directory");
    let reader =
        Reader::start("reads_as_a_child", &endpoint, &fleet.key, &access.secret, "quarterdeck-events", dir.path());
    held_up(&held).await;
    reader.kill();
    assert_eq!(sender.left().await, u64::from(hold == Hold::Before));
    let mut listener = fleet.reader(dir.path());
    listener.until("the notice", |l| !l.notices().is_empty()).await;
    // What was hidden comes again, and goes.
    clock.advance(chrono::TimeDelta::seconds(31));
    sender.until_left(0).await;
    listener.until("the queue", |l| l.is_live("queue")).await;
    listener.pass(Duration::from_millis(300)).await;
    assert_eq!((listener.sightings().len(), listener.notices().len()), (1, 1), "{:?}", listener.told);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_it_is_deleted_it_is_there_once() {
    killed(Hold::Before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_it_is_deleted_it_is_there_once() {
    killed(Hold::After).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_consoles_of_one_machine_share_what_one_receives() {
    let clock = Clock::system();
    let fleet = Fleet::start(clock.clone()).await;
    let sender = Sender::new(fleet.account(), "quarterdeck-events").await;
    let dir = tempfile::tempdir().expect("a directory");
    let mut one = fleet.reader(dir.path());
    one.until("the queue", |l| l.is_live("queue")).await;
    let mut other = fleet.reader(dir.path());
    other.until("the file", |l| l.is_live("queue")).await;
    assert!(other.backends["queue"].endpoint.contains("another console on this machine"));
    sender.send(&interruption("e-1", "i-0b662ef9931388ba0", &stamp(&clock))).await;
    one.until("the notice", |l| l.notices().len() == 1).await;
    other.until("the notice", |l| l.notices().len() == 1).await;
    drop(one);
    // The one that is left takes over.
    sender.send(&interruption("e-2", "i-00000000000000002", &stamp(&clock))).await;
    other.until("both", |l| l.notices().len() == 2).await;
    sender.until_left(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_looks_once_takes_nothing() {
    let clock = Clock::system();
    let fleet = Fleet::start(clock.clone()).await;
    let sender = Sender::new(fleet.account(), "quarterdeck-events").await;
    sender.send(&interruption("e-1", "i-0b662ef9931388ba0", &stamp(&clock))).await;
    let dir = tempfile::tempdir().expect("a directory");
    let mut plan = plan(Some(dir.path()));
    plan.receive = false;
    plan.feeds.push(queue(fleet.account(), "quarterdeck-events"));
    let mut listener = Listener::start(plan, clock);
    listener.until("an answer", |l| l.is_live("queue")).await;
    assert_eq!((sender.left().await, listener.told.len()), (1, 0));
    assert!(std::fs::read_dir(dir.path()).expect("a directory").next().is_none(), "nothing is written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_not_there_or_not_allowed_or_anothers_is_told_plainly() {
    let clock = Clock::system();
    let fleet = Fleet::start(clock.clone()).await;
    let dir = tempfile::tempdir().expect("a directory");
    let mut listener = fleet.reader(dir.path());
    listener.until("the reason", |l| l.state("queue").0 == "down").await;
    let why = listener.state("queue").1;
    assert!(why.starts_with("there is no queue `quarterdeck-events` in eu-west-1 of test"), "{why}");
    drop(listener);

    let sender = Sender::new(fleet.account(), "quarterdeck-events").await;
    fleet.sim.aws_faults().set(|f| f.denied = ["sqs:ReceiveMessage".to_owned()].into());
    let mut listener = fleet.reader(dir.path());
    listener.until("the reason", |l| l.state("queue").0 == "denied").await;
    let why = listener.state("queue").1;
    assert!(why.contains("not authorized to perform: sqs:ReceiveMessage"), "{why}");
    fleet.sim.aws_faults().set(|f| f.denied = ["sqs:DeleteMessageBatch".to_owned()].into());
    sender.send(&interruption("e-1", "i-0b662ef9931388ba0", &stamp(&clock))).await;
    let began = quarterdeck::clock::instant();
    // It says that it is denied a moment before it waits, and only a wait can be ended.
    while listener.notices().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(40), "no notice: {:?}", listener.fresh);
        listener.sources.refresh();
        listener.pass(Duration::from_millis(200)).await;
    }
    assert_eq!(listener.notices().len(), 1);
    listener.until("the reason", |l| l.notes.iter().any(|n| n.contains("cannot be deleted"))).await;
    drop(listener);

    fleet.sim.aws_faults().set(|f| f.denied.clear());
    let shared = Sender::new(fleet.account(), "Karpenter-shop").await;
    let mut plan = plan(Some(dir.path()));
    plan.feeds.push(queue(fleet.account(), &shared.url));
    let mut listener = Listener::start(plan, clock);
    listener
        .until("a warning", |l| l.notes.iter().any(|n| n.contains("looks shared: its name is one of Karpenter's")))
        .await;
    listener.until("a remark", |l| l.backends["queue"].endpoint.contains("looks shared")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_stored_stays_in_the_queue_and_is_told() {
    let clock = Clock::system();
    let fleet = Fleet::start(clock.clone()).await;
    let sender = Sender::new(fleet.account(), "quarterdeck-events").await;
    sender.send(&interruption("e-1", "i-0b662ef9931388ba0", &stamp(&clock))).await;
    let dir = tempfile::tempdir().expect("a directory");
    // No directory can be made there.
    let file = dir.path().join("state");
    std::fs::write(&file, "").expect("a file");
    let mut listener = fleet.reader(&file);
    listener.until("the reason", |l| l.state("queue").0 == "down").await;
    assert!(listener.state("queue").1.contains("a queue is only read where what it has can be kept"));
    assert_eq!(sender.left().await, 1);
}
