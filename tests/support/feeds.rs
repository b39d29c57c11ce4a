//! Feeds of notices under test: what they told, a queue to put messages into, and a
//! reader in a process of its own that can be killed.

#![allow(dead_code, reason = "each test uses its part")]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quarterdeck::clock::{Clock, instant};
use quarterdeck::domain::notice::{Notice, Sighting, Told};
use quarterdeck::domain::{Backend, ClusterId, Freshness};
use quarterdeck::source::aws::query::JsonService;
use quarterdeck::source::aws::{Account, AccountSpec, Bucket, Keys};
use quarterdeck::source::spot::{FeedSpec, Plan, Sources, Way};
use quarterdeck::store::Observation;
use quarterdeck::store::observation::{Body, Rows};
use serde_json::{Value, json};
use tokio::sync::mpsc;

pub const SQS: JsonService =
    JsonService { name: "sqs", target: "AmazonSQS", version: "1.0", bucket: Bucket::Queue, changes: true };

pub fn account(endpoint: &str, id: &str, secret: &str) -> AccountSpec {
    AccountSpec {
        profile: Some("test".to_owned()),
        region: Some("eu-west-1".to_owned()),
        endpoint: Some(endpoint.to_owned()),
        keys: Some(Keys { id: id.to_owned(), secret: secret.to_owned() }),
        ceiling: Some(100),
    }
}

/// A plan that reads nothing yet.
pub fn plan(state: Option<&Path>) -> Plan {
    Plan {
        interval: Duration::from_millis(200),
        ec2_interval: Duration::from_millis(200),
        state: state.map(Path::to_owned),
        receive: true,
        ..Plan::default()
    }
}

pub fn queue(account: AccountSpec, name: &str) -> FeedSpec {
    FeedSpec { id: ClusterId::new("queue"), account, way: Way::Queue(name.to_owned()) }
}

/// Feeds at work, and what they have said.
pub struct Listener {
    pub sources: Sources,
    pub rx: mpsc::Receiver<Observation>,
    pub told: Vec<Told>,
    pub notes: Vec<String>,
    pub fresh: BTreeMap<String, Freshness>,
    pub backends: BTreeMap<String, Backend>,
}

impl Listener {
    pub fn start(plan: Plan, clock: Clock) -> Self {
        let (tx, rx) = mpsc::channel(1024);
        let sources = Sources::spawn(plan, tx, clock);
        Self { sources, rx, told: Vec::new(), notes: Vec::new(), fresh: BTreeMap::new(), backends: BTreeMap::new() }
    }

    fn take(&mut self, observation: Observation) {
        let from = observation.source.cluster.to_string();
        match observation.body {
            Body::Upsert(Rows::Told(told)) => self.told.extend(told),
            Body::Note(text) => self.notes.push(text.to_string()),
            Body::Freshness(fresh) => drop(self.fresh.insert(from, fresh)),
            Body::Synced => drop(self.fresh.insert(from, Freshness::Live { at: observation.at })),
            Body::Backend(backend) => drop(self.backends.insert(from, backend)),
            _ => {}
        }
    }

    /// Takes what comes until `done`, or fails with what was said.
    pub async fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let start = instant();
        while !done(self) {
            let Some(left) = Duration::from_secs(40).checked_sub(start.elapsed()) else {
                panic!("waited in vain for {what}: {:#?}\n{:#?}\n{:#?}", self.told, self.notes, self.fresh);
            };
            if let Ok(Some(observation)) = tokio::time::timeout(left, self.rx.recv()).await {
                self.take(observation);
            }
        }
    }

    /// Takes what comes for so long.
    pub async fn pass(&mut self, time: Duration) {
        let start = instant();
        while let Some(left) = time.checked_sub(start.elapsed()) {
            if let Ok(Some(observation)) = tokio::time::timeout(left, self.rx.recv()).await {
                self.take(observation);
            }
        }
    }

    pub fn sightings(&self) -> Vec<Sighting> {
        let notices = self.told.iter().filter_map(|t| if let Told::Notice(s) = t { Some(s.clone()) } else { None });
        notices.collect()
    }

    /// The notices that all this amounts to, by victim.
    pub fn notices(&self) -> Vec<Notice> {
        let mut by_victim: BTreeMap<_, Vec<Sighting>> = BTreeMap::new();
        for s in self.sightings() {
            by_victim.entry((s.victim.clone(), s.kind)).or_default().push(s);
        }
        by_victim.values().flat_map(|all| Notice::merged(all)).collect()
    }

    pub fn state(&self, id: &str) -> (&'static str, String) {
        self.fresh
            .get(id)
            .map_or(("", String::new()), |f| (f.word(), f.reason().map(ToString::to_string).unwrap_or_default()))
    }

    pub fn is_live(&self, id: &str) -> bool {
        self.state(id).0 == "live"
    }
}

/// An interruption notice as EventBridge sends it.
pub fn interruption(event: &str, instance: &str, time: &str) -> String {
    json!({"version": "0", "id": event, "detail-type": "EC2 Spot Instance Interruption Warning", "source": "aws.ec2",
        "account": "123456789012", "time": time, "region": "eu-west-1",
        "resources": [format!("arn:aws:ec2:eu-west-1a:instance/{instance}")],
        "detail": {"instance-id": instance, "instance-action": "terminate"}})
    .to_string()
}

pub fn stamp(clock: &Clock) -> String {
    clock.now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// Puts messages into a queue, and looks into it.
pub struct Sender {
    account: Account,
    pub url: String,
}

impl Sender {
    pub async fn new(spec: AccountSpec, name: &str) -> Self {
        let account = Account::new(spec, Clock::system());
        let made = account.json(SQS, "sqs:CreateQueue", &json!({"QueueName": name})).await.expect("a queue");
        let url = made["QueueUrl"].as_str().expect("its URL").to_owned();
        Self { account, url }
    }

    pub async fn ask(&self, operation: &str, mut input: Value) -> Value {
        input["QueueUrl"] = self.url.clone().into();
        self.account.json(SQS, &format!("sqs:{operation}"), &input).await.expect("an answer")
    }

    pub async fn send(&self, body: &str) {
        self.ask("SendMessage", json!({"MessageBody": body})).await;
    }

    /// How many messages there are, hidden ones included.
    pub async fn left(&self) -> u64 {
        let names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
        let answer = self.ask("GetQueueAttributes", json!({"AttributeNames": names})).await;
        names.iter().filter_map(|n| answer["Attributes"][*n].as_str()?.parse::<u64>().ok()).sum()
    }

    pub async fn until_left(&self, left: u64) {
        let start = instant();
        loop {
            let now = self.left().await;
            if now == left {
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(40), "{now} messages are left, not {left}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// What a proxy does with the deletion of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Keeps the request: the queue never hears of it.
    Before,
    /// Lets it through and keeps the answer: the queue has deleted, the reader does not know.
    After,
}

/// Stands before a queue, and holds up its deletions. The bodies of those that it held.
pub fn proxy(upstream: &str, hold: Hold) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let here = format!("http://{}", listener.local_addr().expect("an address"));
    let upstream = upstream.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let held: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&held);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (upstream, log) = (upstream.clone(), Arc::clone(&log));
            std::thread::spawn(move || drop(pass_on(client, &upstream, hold, &log)));
        }
    });
    (here, held)
}

fn pass_on(mut client: TcpStream, upstream: &str, hold: Hold, held: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut got = Vec::new();
    let mut piece = [0; 8192];
    let (head, body) = loop {
        let text = String::from_utf8_lossy(&got).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.to_lowercase().lines().find_map(|l| l.strip_prefix("content-length:")?.trim().parse().ok());
            if body.len() >= length.unwrap_or(0) {
                break (head.to_owned(), body.to_owned());
            }
        }
        match client.read(&mut piece)? {
            0 => return Ok(()),
            n => got.extend_from_slice(&piece[..n]),
        }
    };
    let deletes = head.contains("AmazonSQS.DeleteMessage");
    let kept: Vec<&str> = head.lines().filter(|l| !l.to_lowercase().starts_with("connection:")).collect();
    let mut answer = Vec::new();
    if !deletes || hold == Hold::After {
        let mut server = TcpStream::connect(upstream)?;
        server.write_all(format!("{}\r\nConnection: close\r\n\r\n{body}", kept.join("\r\n")).as_bytes())?;
        server.read_to_end(&mut answer)?;
    }
    if deletes {
        held.lock().expect("no panic").push(body);
        // For as long as the reader lives.
        while client.read(&mut piece)? > 0 {}
        return Ok(());
    }
    client.write_all(&answer)
}

const CHILD: &str = "QUARTERDECK_TEST_QUEUE_READER";

/// A reader of a queue in a process of its own: this test's binary, running [`child`].
pub struct Reader(Child);

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Reader {
    /// `test` is the name of the test that calls [`child`].
    pub fn start(test: &str, endpoint: &str, key: &str, secret: &str, queue: &str, state: &Path) -> Self {
        let what = json!({"endpoint": endpoint, "key": key, "secret": secret, "queue": queue, "state": state});
        let program = std::env::current_exe().expect("this binary");
        let child = Command::new(program)
            .args(["--exact", test, "--nocapture"])
            .env(CHILD, what.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        Self(child)
    }

    /// SIGKILL: no destructor runs, nothing is flushed.
    pub fn kill(mut self) {
        self.0.kill().expect("a process");
        self.0.wait().expect("its end");
    }
}

/// The reader, if this process is one; else nothing.
pub fn child() {
    let Ok(what) = std::env::var(CHILD) else { return };
    let what: Value = serde_json::from_str(&what).expect("JSON");
    let text = |key: &str| what[key].as_str().expect("a text").to_owned();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let spec = account(&text("endpoint"), &text("key"), &text("secret"));
        let mut plan = plan(Some(Path::new(&text("state"))));
        plan.feeds.push(queue(spec, &text("queue")));
        let mut listener = Listener::start(plan, Clock::system());
        listener.pass(Duration::from_mins(2)).await;
    });
}

/// Waits until the proxy has held up a deletion; its body.
pub async fn held_up(held: &Mutex<Vec<String>>) -> String {
    let start = instant();
    loop {
        if let Some(body) = held.lock().expect("no panic").first() {
            return body.clone();
        }
        assert!(start.elapsed() < Duration::from_secs(40), "nothing was deleted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
