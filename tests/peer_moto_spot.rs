//! Notices by way of moto's EventBridge, which nobody here wrote: a rule, a queue and a
//! Logs group as docs/spot-feeds.md sets them up, events put, and a reader that is killed.
//! Python is found as in `peer_boto3.rs`; without it the test says so and passes, except
//! where `CI=true`.

#![cfg(feature = "aws")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests fail as tests do, and the lint's exception for tests does not see them"
)]

#[path = "support/feeds.rs"]
mod feeds;
#[path = "support/python.rs"]
mod python;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use feeds::{Hold, Listener, Reader, Sender, account, held_up, plan, proxy, queue};
use quarterdeck::clock::{Clock, instant};
use quarterdeck::domain::ClusterId;
use quarterdeck::domain::notice::{NoticeFeed, NoticeKind};
use quarterdeck::source::spot::{FeedSpec, Way};

#[test]
fn reads_as_a_child() {
    feeds::child();
}

/// A server that ends with the test.
struct Moto {
    child: Child,
    python: PathBuf,
    endpoint: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Moto {
    fn start(what: &str) -> Option<Self> {
        let python = python::find(what)?;
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let child = Command::new(python.with_file_name("moto_server"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let moto = Self { child, python, endpoint: format!("http://127.0.0.1:{port}") };
        let start = instant();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < Duration::from_mins(1), "nothing listens on {port}");
            std::thread::sleep(Duration::from_millis(100));
        }
        moto.run(&["set-up"]);
        Some(moto)
    }

    fn run(&self, arguments: &[&str]) {
        let mut all = vec![self.endpoint.as_str()];
        all.extend(arguments);
        python::run(&self.python, "spot_events.py", &all, Duration::from_mins(2));
    }

    fn listener(&self, dir: &Path) -> Listener {
        let mut plan = plan(Some(dir));
        plan.feeds.push(queue(account(&self.endpoint, "test", "test"), "quarterdeck-events"));
        Listener::start(plan, Clock::system())
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().expect("a runtime")
}

#[test]
fn a_rule_brings_events_to_the_queue_and_to_the_group() {
    let Some(moto) = Moto::start("EventBridge to a queue and to a Logs group") else { return };
    let ids: Vec<String> = (0..12).map(|n| format!("i-{n:017x}")).collect();
    let mut put = vec!["put"];
    put.extend(ids.iter().map(String::as_str));
    moto.run(&put);
    runtime().block_on(async {
        let dir = tempfile::tempdir().expect("a directory");
        let spec = account(&moto.endpoint, "test", "test");
        let mut plan = plan(Some(dir.path()));
        plan.feeds.push(queue(spec.clone(), "quarterdeck-events"));
        plan.feeds.push(FeedSpec {
            id: ClusterId::new("group"),
            account: spec.clone(),
            way: Way::Group("/aws/events/quarterdeck".to_owned()),
        });
        let mut listener = Listener::start(plan, Clock::system());
        // An interruption and a recommendation for each, and both feeds told of each.
        let both = |l: &Listener| l.notices().len() == 24 && l.notices().iter().all(|n| n.told.len() == 2);
        listener.until("all of them, twice", both).await;
        assert_eq!(listener.sightings().len(), 48);
        for n in listener.notices() {
            let exact = n.deadline.map(|d| d.at - n.issued);
            match n.kind {
                NoticeKind::Interruption => assert_eq!(exact, Some(chrono::TimeDelta::seconds(120))),
                _ => assert_eq!(exact, None),
            }
            assert!(n.told.iter().any(|t| t.feed == NoticeFeed::EventLog));
            assert_eq!(n.place.region.as_str(), "eu-west-1");
        }
        let sender = Sender::new(spec, "quarterdeck-events").await;
        sender.until_left(0).await;
        listener.until("both live", |l| l.is_live("queue") && l.is_live("group")).await;
        assert!(listener.notes.is_empty(), "{:?}", listener.notes);
    });
}

fn killed(hold: Hold) {
    let Some(moto) = Moto::start("a reader of a queue that is killed") else { return };
    moto.run(&["put", "i-0b662ef9931388ba0"]);
    let dir = tempfile::tempdir().expect("a directory");
    let (endpoint, held) = proxy(&moto.endpoint, hold);
    let reader = Reader::start("reads_as_a_child", &endpoint, "test", "test", "quarterdeck-events", dir.path());
    let body = runtime().block_on(held_up(&held));
    reader.kill();
    let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    if hold == Hold::Before {
        for entry in body["Entries"].as_array().expect("entries") {
            moto.run(&["show", entry["ReceiptHandle"].as_str().expect("a receipt")]);
        }
    }
    runtime().block_on(async {
        let mut listener = moto.listener(dir.path());
        listener.until("the notices", |l| l.notices().len() == 2).await;
        let sender = Sender::new(account(&moto.endpoint, "test", "test"), "quarterdeck-events").await;
        sender.until_left(0).await;
        listener.until("the queue", |l| l.is_live("queue")).await;
        listener.pass(Duration::from_millis(300)).await;
        assert_eq!((listener.sightings().len(), listener.notices().len()), (2, 2), "{:?}", listener.told);
    });
}

#[test]
fn killed_before_it_is_deleted_it_is_there_once() {
    killed(Hold::Before);
}

#[test]
fn killed_after_it_is_deleted_it_is_there_once() {
    killed(Hold::After);
}
