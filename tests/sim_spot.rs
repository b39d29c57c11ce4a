//! Machines that are taken back: what the embedded fleet's APIs show, and what its ledger says.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do, and the lint's exception for tests does not see them"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use common::client::{Client, Says};
use quarterdeck::clock::Clock;
use quarterdeck::domain::Timestamp;
use quarterdeck::sim::cloud::{End, Entry, Ledger, Outcome, Told};
use quarterdeck::sim::model::{Model, Parameters, Scenario};
use quarterdeck::sim::server::{ServerOptions, SimServer};
use serde_json::{Value, json};

/// A fleet with time in the test's hand.
struct Bench {
    sim: SimServer,
    clock: Clock,
    start: Timestamp,
    kube: Client,
}

impl Bench {
    async fn of(scenario: Scenario) -> Self {
        let start: Timestamp = "2026-11-25T08:30:00.400Z".parse().expect("a time");
        let clock = Clock::manual(start);
        let options = ServerOptions { ecs: scenario.ecs().to_vec(), seed: scenario.seed(), ..ServerOptions::default() };
        let sim = SimServer::start(Box::new(Model::new(scenario)), clock.clone(), options).await.expect("a server");
        let kube = Client { addr: sim.addr(), token: sim.token().to_owned() };
        Self { sim, clock, start, kube }
    }

    async fn text(text: &str) -> Self {
        Self::of(Scenario::parse(text, "test.toml").expect("a scenario")).await
    }

    async fn storm() -> Self {
        Self::of(Scenario::embedded("spot-storm", Parameters::default()).expect("a scenario")).await
    }

    /// Lives up to so many seconds after the start, a quarter at a time.
    fn until(&self, secs: i64) {
        while self.clock.now() < self.start + TimeDelta::seconds(secs) {
            self.clock.advance(TimeDelta::milliseconds(250));
            self.sim.tick();
        }
    }

    fn entries(&self) -> Vec<Entry> {
        self.sim.ledger().entries().cloned().collect()
    }

    async fn items(&self, path: &str) -> Vec<Value> {
        self.kube.get(path).await.json()["items"].as_array().cloned().expect("a list")
    }

    async fn node(&self, name: &str) -> Option<Value> {
        self.items("/api/v1/nodes").await.into_iter().find(|n| n["metadata"]["name"] == name)
    }

    /// Asks AWS; JSON services by their target, EC2 by a form.
    async fn aws(&self, service: &str, target: &str, body: &str) -> String {
        let access = self.sim.aws();
        let key = access.key_for("123456789012");
        let signed = format!(
            "AWS4-HMAC-SHA256 Credential={key}/20261125/eu-west-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
        );
        let media = if target.is_empty() { "application/x-www-form-urlencoded" } else { "application/x-amz-json-1.1" };
        let date = self.clock.now().format("%Y%m%dT%H%M%SZ").to_string();
        let headers = [
            ("Authorization", signed.as_str()),
            ("X-Amz-Target", target),
            ("Content-Type", media),
            ("X-Amz-Date", &date),
        ];
        let headers = if target.is_empty() { vec![headers[0], headers[2], headers[3]] } else { headers.to_vec() };
        let client = Client { addr: self.sim.addr(), token: String::new() };
        let answer = client.ask("POST", "/", Says { headers: &headers, body }).await;
        assert_eq!(answer.code, 200, "{target} {body}: {}", answer.text());
        answer.text()
    }

    async fn json(&self, service: &str, target: &str, body: Value) -> Value {
        serde_json::from_str(&self.aws(service, target, &body.to_string()).await).expect("JSON")
    }

    async fn service(&self, name: &str) -> Value {
        let ask = json!({"cluster": "shop-ecs", "services": [name]});
        let found = self.json("ecs", "AmazonEC2ContainerServiceV20141113.DescribeServices", ask).await;
        found["services"][0].clone()
    }

    async fn ec2(&self, action: &str, rest: &str) -> String {
        self.aws("ec2", "", &format!("Action={action}&Version=2016-11-15{rest}")).await
    }

    /// Every event in the log group.
    async fn logged(&self) -> Vec<Value> {
        let (mut out, mut token) = (Vec::new(), Value::Null);
        loop {
            let mut ask = json!({"logGroupName": "/aws/events/quarterdeck", "limit": 1000});
            if !token.is_null() {
                ask["nextToken"] = token;
            }
            let page = self.json("logs", "Logs_20140328.FilterLogEvents", ask).await;
            for e in page["events"].as_array().expect("events") {
                let body: Value = serde_json::from_str(e["message"].as_str().expect("text")).expect("an event");
                let time: Timestamp = body["time"].as_str().and_then(|t| t.parse().ok()).expect("a time");
                assert_eq!(e["timestamp"].as_i64().expect("a time") / 1000, time.timestamp());
                out.push(body);
            }
            token = page["nextToken"].clone();
            if token.is_null() {
                return out;
            }
        }
    }

    /// What is in the queue, each message deleted as it comes.
    async fn queued(&self) -> Vec<Value> {
        let url = json!("https://sqs.eu-west-1.amazonaws.com/123456789012/quarterdeck-events");
        let mut out = Vec::new();
        loop {
            let ask = json!({"QueueUrl": url, "MaxNumberOfMessages": 10});
            let got = self.json("sqs", "AmazonSQS.ReceiveMessage", ask).await;
            let Some(messages) = got["Messages"].as_array() else { return out };
            for m in messages {
                out.push(serde_json::from_str(m["Body"].as_str().expect("a body")).expect("an event"));
                let gone = json!({"QueueUrl": url, "ReceiptHandle": m["ReceiptHandle"]});
                self.json("sqs", "AmazonSQS.DeleteMessage", gone).await;
            }
        }
    }
}

/// What lies between a tag's ends, every time.
fn tags<'t>(xml: &'t str, tag: &str) -> Vec<&'t str> {
    let open = format!("<{tag}>");
    xml.split(open.as_str()).skip(1).filter_map(|rest| rest.split("</").next()).collect()
}

fn count(ledger: &Ledger, word: &str) -> usize {
    ledger.outcomes().filter(|(_, o)| o.word() == word).count()
}

/// An entry contradicts itself nowhere.
fn coherent(e: &Entry) {
    let Some(outcome) = e.outcome else {
        assert!(e.told.iter().all(|(t, _)| *t == Told::Rebalance), "only a recommendation stays undecided: {e:?}");
        return;
    };
    let went = e.went.expect("it went");
    for t in &e.tasks {
        match t.end.expect("all have ended") {
            End::Evacuated(at) => assert!(at <= went, "{e:?}"),
            End::Cut(at) => assert_eq!(at, went, "{e:?}"),
        }
    }
    assert!(e.all_gone.is_some(), "{e:?}");
    match outcome {
        Outcome::Evacuated { left_ms } => {
            let (at, deadline) = (e.evacuated.expect("a time"), e.deadline.expect("a deadline"));
            assert_eq!((deadline - at).num_milliseconds(), left_ms);
            assert!((0..=400_000).contains(&left_ms) && e.cut() == 0 && e.all_gone <= Some(at), "{e:?}");
            assert!(e.owners.values().all(|back| back.is_some_and(|b| b <= at)), "{e:?}");
        }
        Outcome::NotReplaced => assert!(e.cut() == 0 && e.evacuated.is_none() && !e.tasks.is_empty(), "{e:?}"),
        Outcome::Cut(n) => assert!(n == e.cut() && n > 0, "{e:?}"),
        Outcome::Unannounced => {
            assert!(e.deadline.is_none() && e.cut() == e.tasks.len(), "{e:?}");
        }
    }
    if let Some(deadline) = e.deadline {
        let late = (went - deadline).num_milliseconds();
        assert!(late <= 0, "it goes at its deadline, a task when it has ended: {e:?}");
        assert!(late == 0 || e.host.is_empty(), "{e:?}");
    }
}

#[tokio::test]
async fn the_storm_holds_a_hundred_and_every_outcome() {
    let bench = Bench::storm().await;
    bench.until(10);
    let first = bench.entries();
    assert!(!first.is_empty() && first.iter().all(|e| e.was_told(Told::Rebalance)), "warnings come first");
    bench.until(15 * 60);
    let ledger = bench.sim.ledger();
    ledger.entries().for_each(coherent);
    assert!(ledger.outcomes().count() >= 100, "{}", ledger.outcomes().count());
    for word in ["evacuated", "not-replaced", "cut", "unannounced"] {
        assert!(count(&ledger, word) >= 8, "{word}: {}", count(&ledger, word));
    }
    let interrupted: Vec<&Entry> = ledger.entries().filter(|e| e.was_told(Told::Interruption)).collect();
    let since = |t: Timestamp| (t - bench.start).num_seconds();
    assert_eq!(interrupted.iter().filter_map(|e| e.issued).map(since).min(), Some(30));
    let of = |f: &dyn Fn(&Entry) -> bool| interrupted.iter().filter(|e| f(e)).count();
    assert!(of(&|e| e.cluster == "demo") >= 50 && of(&|e| e.cluster == "shop-ecs" && !e.host.is_empty()) >= 12);
    assert!(of(&|e| e.victim.starts_with("arn:aws:ecs:") && e.host.is_empty()) >= 20);
    let last = ledger.entries().filter_map(|e| e.went).map(since).max().expect("some");
    assert!((11 * 60..14 * 60).contains(&last), "{last}");
}

#[tokio::test]
async fn the_same_seed_gives_the_same_storm() {
    let (one, two) = (Bench::storm().await, Bench::storm().await);
    one.until(240);
    two.until(240);
    assert!(one.sim.ledger().outcomes().count() > 20);
    assert_eq!(one.sim.ledger(), two.sim.ledger());
    let ids = |events: Vec<Value>| events.iter().map(|e| e["id"].to_string()).collect::<BTreeSet<_>>();
    assert_eq!(ids(one.logged().await), ids(two.logged().await));
}

/// What the Kubernetes API shows of a victim agrees with the ledger at every second.
#[tokio::test]
async fn the_ledger_says_what_the_api_shows() {
    let bench = Bench::storm().await;
    let (mut seen_gone, mut orphans_seen, mut back_seen) = (0, 0, 0);
    for second in (28..220).step_by(2) {
        bench.until(second);
        let (pods, nodes) = (bench.items("/api/v1/pods").await, bench.items("/api/v1/nodes").await);
        let on: BTreeMap<String, &Value> = pods
            .iter()
            .map(|p| {
                let name = |k: &str| p["metadata"][k].as_str().expect("text");
                (format!("demo/{}/{}", name("namespace"), name("name")), p)
            })
            .collect();
        let now = bench.clock.now();
        for e in bench.entries().iter().filter(|e| e.cluster == "demo" && e.was_told(Told::Interruption)) {
            let node = nodes.iter().find(|n| n["metadata"]["name"] == e.host.as_str());
            for t in &e.tasks {
                let here = on.get(&t.id).is_some_and(|p| p["spec"]["nodeName"] == e.host.as_str());
                match t.end {
                    None => assert!(here, "{second} s: {} is at risk on {} and not there", t.id, e.host),
                    Some(End::Evacuated(_)) => {
                        let done = on.get(&t.id).is_some_and(|p| p["status"]["phase"] == "Succeeded");
                        assert!(!here || done, "{second} s: {} is gone from {} and there", t.id, e.host);
                    }
                    Some(End::Cut(_)) => {}
                }
            }
            match e.went {
                None => {
                    let n = node.expect("it runs: it has a node");
                    let zone = n["metadata"]["labels"]["topology.kubernetes.io/zone"].as_str().expect("a zone");
                    assert_eq!(n["spec"]["providerID"], format!("aws:///{zone}/{}", e.victim));
                }
                Some(went) => {
                    let waited = (now - went).num_milliseconds();
                    assert!(waited >= 5_000 || node.is_some(), "the object outlives the machine: {e:?}");
                    assert!(waited <= 22_000 || node.is_none() || e.instance_type == "m7i.xlarge", "{e:?}");
                    seen_gone += u32::from(node.is_none());
                    let left = pods.iter().filter(|p| p["spec"]["nodeName"] == e.host.as_str()).count();
                    orphans_seen += u32::from(node.is_none() && left > 0);
                    assert!(node.is_some() || waited < 35_000 || left == 0, "the collector came: {e:?}");
                }
            }
            if let Some(at) = e.evacuated.filter(|at| now - *at < TimeDelta::seconds(2)) {
                back_seen += 1;
                assert!(at <= now);
            }
        }
    }
    assert!(seen_gone > 0 && orphans_seen > 0 && back_seen > 0, "{seen_gone} {orphans_seen} {back_seen}");
}

/// `EventBridge` told of everything, at least once, by both ways.
#[tokio::test]
async fn every_event_comes_by_log_and_queue() {
    let bench = Bench::storm().await;
    let groups = json!({"logGroupNamePrefix": "/aws/events/"});
    let groups = bench.json("logs", "Logs_20140328.DescribeLogGroups", groups).await;
    assert_eq!(groups["logGroups"][0]["logGroupName"], "/aws/events/quarterdeck");
    assert!(bench.logged().await.is_empty() && bench.queued().await.is_empty());
    let mut queued = Vec::new();
    for second in 1..=225 {
        bench.until(second);
        queued.extend(bench.queued().await);
    }
    let logged = bench.logged().await;
    for body in logged.iter().chain(&queued) {
        for key in ["version", "id", "detail-type", "source", "account", "time", "region"] {
            assert!(body[key].is_string(), "{key}: {body}");
        }
        assert!(body["resources"].is_array() && body["detail"].is_object(), "{body}");
    }
    let id = |b: &Value| b["id"].as_str().expect("an id").to_owned();
    let log_ids: BTreeSet<String> = logged.iter().map(id).collect();
    assert_eq!(log_ids.len(), logged.len(), "the log has each once");
    let old = |b: &&Value| {
        let t: Timestamp = b["time"].as_str().and_then(|t| t.parse().ok()).expect("a time");
        (bench.clock.now() - t).num_seconds() > 20
    };
    let settled: BTreeSet<String> = logged.iter().filter(old).map(id).collect();
    let queue_ids: BTreeSet<String> = queued.iter().map(id).collect();
    let queue_settled: BTreeSet<String> = queued.iter().filter(old).map(id).collect();
    assert!(settled.is_subset(&queue_ids) && queue_settled.is_subset(&log_ids));
    assert!(queued.len() > queue_ids.len(), "now and then one comes twice");
    let times: Vec<&str> = queued.iter().filter_map(|b| b["time"].as_str()).collect();
    assert!(times.windows(2).any(|w| w[0] > w[1]), "and out of order");
    let of = |kind: &str| logged.iter().filter(|b| b["detail-type"] == kind).collect::<Vec<_>>();
    for e in bench.entries() {
        let Some(issued) =
            e.issued.filter(|at| e.was_told(Told::Interruption) && (bench.clock.now() - *at).num_seconds() > 20)
        else {
            continue;
        };
        let time = issued.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        if e.host.is_empty() {
            let warning = of("ECS Task State Change").into_iter().find(|b| {
                let d = &b["detail"];
                d["taskArn"] == e.victim.as_str() && d["desiredStatus"] == "STOPPED" && d["lastStatus"] == "RUNNING"
            });
            let b = warning.unwrap_or_else(|| panic!("no warning of {}", e.victim));
            assert_eq!(
                (b["time"].as_str(), &b["detail"]["stopCode"]),
                (Some(time.as_str()), &json!("SpotInterruption"))
            );
            assert_eq!(b["detail"]["stoppedReason"], "Your Spot Task was interrupted.");
            assert!(b["detail"]["stoppingAt"].is_string() && b["detail"]["version"].is_u64());
        } else {
            let told: Vec<&Value> = of("EC2 Spot Instance Interruption Warning")
                .into_iter()
                .filter(|b| b["detail"]["instance-id"] == e.victim.as_str())
                .collect();
            assert_eq!(told.len(), 1, "{}", e.victim);
            assert_eq!((told[0]["time"].as_str(), &told[0]["source"]), (Some(time.as_str()), &json!("aws.ec2")));
        }
    }
    assert!(of("EC2 Instance Rebalance Recommendation").len() >= 5);
    let states: BTreeSet<&str> = of("EC2 Instance State-change Notification")
        .into_iter()
        .filter_map(|b| b["detail"]["state"].as_str())
        .collect();
    assert!(states.is_superset(&BTreeSet::from(["running", "shutting-down", "terminated", "stopping"])), "{states:?}");
    let draining = of("ECS Container Instance State Change");
    assert!(draining.iter().any(|b| b["detail"]["status"] == "DRAINING" && b["detail"]["ec2InstanceId"].is_string()));
    assert_eq!(of("AWS Health Event")[0]["detail"]["eventTypeCode"], "AWS_EC2_SYSTEM_REBOOT_SCHEDULED");
}

const ONE: &str = "seed = 5\n[[nodes]]\ngroup = 'fixed'\ncount = 2\ninstance = 'm7i.large'\nzones = ['eu-west-1a']\ncpu = 4\n\
    memory = 16\n[[nodes]]\ngroup = 'spot'\ncount = 1\ninstance = 'c7i.large'\ncapacity = 'spot'\nzones = ['eu-west-1b']\n\
    cpu = 4\nmemory = 16\n[[namespaces]]\nname = 'shop'\n\
    [[workloads]]\nkind = 'deployment'\nnamespace = 'shop'\nname = 'web'\nreplicas = 3\nimage = 'r/web:1'\ncpu = '100m'\n\
    [[workloads]]\nkind = 'daemon-set'\nnamespace = 'shop'\nname = 'agent'\nimage = 'r/agent:1'\ncpu = '10m'\ntolerations = [{}]\n";

/// One spot node, told after two seconds (at 08:30:03) and handled by somebody.
async fn one(rest: &str) -> (Bench, String, String) {
    let bench = Bench::text(&format!("{ONE}[[at]]\nt = '2s'\n{rest}\n")).await;
    let nodes = bench.items("/api/v1/nodes").await;
    let spot = nodes.iter().find(|n| n["metadata"]["labels"]["karpenter.sh/nodepool"] == "spot").expect("a spot node");
    let name = spot["metadata"]["name"].as_str().expect("a name").to_owned();
    let provider = spot["spec"]["providerID"].as_str().expect("an id");
    let id = provider.strip_prefix("aws:///eu-west-1b/").expect("its zone").to_owned();
    (bench, name, id)
}

/// The events about a node: component, type, reason, message.
async fn said(bench: &Bench, node: &str) -> Vec<[String; 4]> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let mut all: Vec<Value> = bench.items("/api/v1/namespaces/default/events").await;
    all.retain(|e| e["involvedObject"]["kind"] == "Node" && e["involvedObject"]["name"] == node);
    all.retain(|e| e["source"]["component"] != "kubelet");
    all.sort_by_key(|e| {
        (
            e["firstTimestamp"].to_string(),
            e["reason"].to_string().starts_with("\"Cordon") || e["reason"] == "TerminatingOnInterruption",
        )
    });
    all.iter()
        .map(|e| [text(&e["source"]["component"]), text(&e["type"]), text(&e["reason"]), text(&e["message"])])
        .collect()
}

#[tokio::test]
async fn karpenter_leaves_its_marks() {
    let (bench, name, id) = one("action = 'spot-interrupt'\nhandler = 'karpenter'").await;
    bench.until(7);
    let n = bench.node(&name).await.expect("there");
    assert_eq!(n["spec"]["taints"], json!([{"key": "karpenter.sh/disrupted", "effect": "NoSchedule"}]));
    assert!(n["spec"]["unschedulable"].is_null(), "Karpenter does not cordon");
    let label = "node.kubernetes.io/exclude-from-external-load-balancers";
    assert_eq!(n["metadata"]["labels"][label], "karpenter");
    assert_eq!(n["metadata"]["finalizers"], json!(["karpenter.sh/termination"]));
    assert!(n["metadata"]["deletionTimestamp"].is_string());
    let owned = |parts: [&str; 4]| parts.map(str::to_owned);
    let want = [
        owned(["karpenter", "Warning", "SpotInterrupted", "Spot interruption warning was triggered"]),
        owned(["karpenter", "Warning", "TerminatingOnInterruption", "Interruption triggered termination for the Node"]),
    ];
    assert_eq!(said(&bench, &name).await, want);
    let e = bench.sim.ledger().get(&id).cloned().expect("an entry");
    assert_eq!(e.issued.map(|t| t.to_rfc3339()), Some("2026-11-25T08:30:03+00:00".to_owned()));
    assert_eq!((e.host.as_str(), e.tasks.len(), e.owners.len()), (name.as_str(), 1, 1), "the daemon is not at risk");
    assert_eq!(e.tasks[0].owner.as_deref(), Some("demo/shop/Deployment/web"));
    let pods = bench.items("/api/v1/namespaces/shop/pods").await;
    let going = pods.iter().find(|p| p["metadata"]["deletionTimestamp"].is_string());
    if let Some(p) = going {
        let found =
            p["status"]["conditions"].as_array().into_iter().flatten().find(|c| c["type"] == "DisruptionTarget");
        assert_eq!(found.expect("evicted")["reason"], "EvictionByEvictionAPI");
    }
    bench.until(124);
    let e = bench.sim.ledger().get(&id).cloned().expect("an entry");
    assert!(matches!(e.outcome, Some(Outcome::Evacuated { left_ms: 80_000..119_000 })), "{e:?}");
    coherent(&e);
}

#[tokio::test]
async fn the_termination_handler_leaves_its_marks() {
    for (handler, message, value) in [
        (
            "termination-handler",
            "Spot ITN received. Instance will be interrupted at 2026-11-25T08:32:03Z \n",
            "spot-itn-",
        ),
        ("termination-handler-queue", "was sent at 2026-11-25 08:30:03 +0000 UTC \n", "spot-itn-event-"),
    ] {
        let (bench, name, id) = one(&format!("action = 'spot-interrupt'\nhandler = '{handler}'")).await;
        bench.until(20);
        let n = bench.node(&name).await.expect("there");
        assert_eq!(n["spec"]["unschedulable"], true);
        let taints = n["spec"]["taints"].as_array().expect("taints");
        assert_eq!(taints[0]["key"], "node.kubernetes.io/unschedulable");
        assert_eq!(
            (&taints[1]["key"], &taints[1]["effect"]),
            (&json!("aws-node-termination-handler/spot-itn"), &json!("NoSchedule"))
        );
        let given = taints[1]["value"].as_str().expect("a value");
        assert!(given.starts_with(value) && given.len() == 63, "{given}");
        let said = said(&bench, &name).await;
        let nth: Vec<&[String; 4]> = said.iter().filter(|e| e[0] == "aws-node-termination-handler").collect();
        assert_eq!((nth[0][1].as_str(), nth[0][2].as_str()), ("Warning", "SpotInterruption"));
        assert!(nth[0][3].ends_with(message), "{}", nth[0][3]);
        assert!(!handler.ends_with("queue") || nth[0][3].contains(&id));
        assert_eq!(
            (nth[1][2].as_str(), nth[1][3].as_str()),
            ("CordonAndDrain", "Node successfully cordoned and drained")
        );
        let all = bench.items("/api/v1/namespaces/default/events").await;
        let e = all.iter().find(|e| e["reason"] == "SpotInterruption").expect("it");
        assert_eq!(e["metadata"]["annotations"]["instance-id"], id);
        assert_eq!(e["metadata"]["annotations"]["instance-type"], "c7i.large");
        let daemon = bench.items("/api/v1/namespaces/shop/pods").await;
        assert!(daemon.iter().any(|p| p["spec"]["nodeName"] == name.as_str()), "daemons stay");
    }
}

#[tokio::test]
async fn warnings_and_maintenance_leave_theirs() {
    let (bench, name, id) = one("action = 'rebalance'\nhandler = 'termination-handler'").await;
    bench.until(10);
    let taints = bench.node(&name).await.expect("there")["spec"]["taints"].clone();
    assert_eq!(taints[1]["key"], "aws-node-termination-handler/rebalance-recommendation");
    let all = said(&bench, &name).await;
    assert_eq!(
        all[0][2..],
        [
            "RebalanceRecommendation",
            "Rebalance recommendation received. Instance will be cordoned at 2026-11-25T08:30:03Z \n"
        ]
    );
    let e = bench.sim.ledger().get(&id).cloned().expect("an entry");
    assert_eq!((e.deadline, e.outcome), (None, None));
    let (bench, name, id) = one("action = 'rebalance'\nhandler = 'karpenter'").await;
    bench.until(10);
    assert_eq!(said(&bench, &name).await[0][1..3], ["Normal", "SpotRebalanceRecommendation"]);
    assert!(bench.node(&name).await.expect("there")["spec"]["taints"].is_null(), "and nothing else, for {id}");

    let (bench, name, id) = one(
        "action = 'scheduled'\ngroup = 'spot'\ncode = 'system-reboot'\nnotice = '3m'\nhandler = 'termination-handler'",
    )
    .await;
    bench.until(10);
    let status = bench.ec2("DescribeInstanceStatus", &format!("&InstanceId.1={id}")).await;
    assert_eq!(tags(&status, "code")[0], "system-reboot");
    assert_eq!(tags(&status, "notBefore"), ["2026-11-25T08:33:03.000Z"]);
    bench.until(80);
    let n = bench.node(&name).await.expect("there");
    assert_eq!(n["spec"]["taints"][1]["key"], "aws-node-termination-handler/scheduled-maintenance");
    assert_eq!(n["metadata"]["labels"]["aws-node-termination-handler/action"], "UncordonAfterReboot");
    assert!(tags(&status, "instanceEventId")[0] == n["metadata"]["labels"]["aws-node-termination-handler/event-id"]);
    bench.until(190);
    let ready = |n: &Value| {
        let all = n["status"]["conditions"].as_array().cloned().expect("conditions");
        all.iter().find(|c| c["type"] == "Ready").expect("ready")["status"] == "True"
    };
    assert!(!ready(&bench.node(&name).await.expect("there")));
    bench.until(270);
    let n = bench.node(&name).await.expect("there");
    assert!(ready(&n) && n["spec"]["taints"].is_null() && n["spec"]["unschedulable"].is_null(), "{}", n["spec"]);
    assert!(bench.ec2("DescribeInstanceStatus", "").await.contains("[Completed]"));
}

/// EC2's view of an interruption, from the notice to the end.
#[tokio::test]
async fn ec2_knows_at_the_notice_and_the_machine_goes_at_the_deadline() {
    let (bench, name, id) = one("action = 'spot-interrupt'\nhandler = 'none'").await;
    let taken = "&Filter.1.Name=status-code&Filter.1.Value.1=instance-terminated-no-capacity&Filter.1.Value.2=marked-for-termination";
    assert!(tags(&bench.ec2("DescribeSpotInstanceRequests", taken).await, "instanceId").is_empty());
    let all = bench.ec2("DescribeSpotInstanceRequests", "").await;
    assert_eq!(
        (tags(&all, "instanceId"), tags(&all, "code")),
        (vec![id.as_str()], vec!["fulfilled"]),
        "only what is spot"
    );
    bench.until(4);
    let now = bench.ec2("DescribeSpotInstanceRequests", taken).await;
    assert_eq!(
        (tags(&now, "instanceId"), tags(&now, "updateTime")),
        (vec![id.as_str()], vec!["2026-11-25T08:30:03.000Z"])
    );
    let mine = format!("&InstanceId.1={id}");
    assert_eq!(tags(&bench.ec2("DescribeInstances", &mine).await, "name"), ["running"]);
    bench.until(122);
    assert_eq!(tags(&bench.ec2("DescribeInstances", &mine).await, "name"), ["running"]);
    assert!(bench.sim.ledger().get(&id).expect("an entry").outcome.is_none());
    bench.until(123);
    let xml = bench.ec2("DescribeInstances", &mine).await;
    assert_eq!(tags(&xml, "name"), ["shutting-down"]);
    assert!(xml.contains("<stateReason><code>Server.SpotInstanceTermination</code>"), "{xml}");
    let e = bench.sim.ledger().get(&id).cloned().expect("an entry");
    assert_eq!((e.outcome, e.went), (Some(Outcome::Cut(1)), e.deadline));
    let cut = e.tasks[0].id.clone();
    assert!(bench.node(&name).await.is_some(), "the node's object is still there");
    // Then not ready, then without an object, then without pods: never at the same moment.
    let (mut not_ready, mut forgotten, mut collected) = (None, None, None);
    for second in 124..175 {
        bench.until(second);
        let node = bench.node(&name).await;
        let pods = bench.items("/api/v1/namespaces/shop/pods").await;
        let on = pods.iter().filter(|p| p["spec"]["nodeName"] == name.as_str()).count();
        if let Some(n) = &node {
            let taints = n["spec"]["taints"].to_string();
            if taints.contains("node.kubernetes.io/not-ready") {
                not_ready.get_or_insert(second);
            }
        } else {
            forgotten.get_or_insert(second);
        }
        if on == 0 {
            collected.get_or_insert(second);
        }
    }
    let (a, b, c) = (not_ready.expect("not ready"), forgotten.expect("gone"), collected.expect("collected"));
    assert!(124 <= a && a < b && b < c, "{a} {b} {c} for {cut}");
    bench.until(240);
    assert_eq!(tags(&bench.ec2("DescribeInstances", &mine).await, "name"), ["terminated"]);
    let nodes = bench.items("/api/v1/nodes").await;
    let new = nodes.iter().find(|n| n["metadata"]["labels"]["karpenter.sh/nodepool"] == "spot").expect("another");
    assert_ne!(new["metadata"]["name"], name.as_str());
    assert!(new["spec"]["taints"].is_null(), "and it is ready: {}", new["spec"]);
    let e = bench.sim.ledger().get(&id).cloned().expect("an entry");
    assert!(e.owners["demo/shop/Deployment/web"].is_some_and(|back| Some(back) > e.went), "back later: {e:?}");
}

#[tokio::test]
async fn what_is_stopped_comes_back_and_what_says_nothing_is_unannounced() {
    let (bench, name, id) = one("action = 'spot-interrupt'\nfate = 'stop'\nhandler = 'termination-handler'").await;
    bench.until(5);
    assert_eq!(tags(&bench.ec2("DescribeSpotInstanceRequests", "").await, "code"), ["marked-for-stop"]);
    bench.until(124);
    assert_eq!(tags(&bench.ec2("DescribeInstances", &format!("&InstanceId.1={id}")).await, "name"), ["stopping"]);
    bench.until(200);
    let spec = bench.node(&name).await.expect("it keeps its object")["spec"].clone();
    assert!(spec.to_string().contains("node.cloudprovider.kubernetes.io/shutdown"), "{spec}");
    bench.until(345);
    assert!(bench.node(&name).await.expect("there")["spec"]["taints"].is_null());
    let (bench, _, id) = one("action = 'spot-interrupt'\nunannounced = true").await;
    bench.until(4);
    let e = bench.sim.ledger().get(&id).cloned().expect("an entry");
    assert_eq!((e.outcome, e.issued, e.cut()), (Some(Outcome::Unannounced), None, 1));
    bench.until(20);
    let kinds: Vec<String> = bench.logged().await.iter().map(|b| b["detail-type"].to_string()).collect();
    assert!(!kinds.is_empty() && kinds.iter().all(|k| k.contains("State-change")), "{kinds:?}");
    let (bench, _, id) = one("action = 'spot-interrupt'\nfate = 'hibernate'").await;
    bench.until(5);
    let e = bench.sim.ledger().get(&id).cloned().expect("an entry");
    assert_eq!((e.deadline, e.outcome), (e.issued, Some(Outcome::Cut(1))), "hibernation does not wait");
}

/// A budget is kept until the machine goes, whoever drains.
#[tokio::test]
async fn evictions_keep_budgets() {
    for handler in ["karpenter", "termination-handler"] {
        let text = format!(
            "seed = 9\neviction_after = '1m'\n[[nodes]]\ngroup = 'spot'\ncount = 4\ninstance = 'c7i.large'\ncapacity = 'spot'\n\
             zones = ['eu-west-1a']\ncpu = 4\nmemory = 16\n[[namespaces]]\nname = 'shop'\n[[workloads]]\nkind = 'deployment'\n\
             namespace = 'shop'\nname = 'web'\nreplicas = 6\nimage = 'r/web:1'\ncpu = '100m'\nready_after = '12s'\n\
             pdb = {{ max_unavailable = '1' }}\n[[workloads]]\nkind = 'stateful-set'\nnamespace = 'shop'\nname = 'db'\n\
             image = 'r/db:1'\npdb = {{ max_unavailable = '0' }}\n\
             [[at]]\nt = '2s'\naction = 'spot-interrupt'\ncount = 3\nhandler = '{handler}'\n"
        );
        let bench = Bench::text(&text).await;
        let mut least = 6;
        for second in 3..122 {
            bench.until(second);
            let web = bench.kube.get("/apis/apps/v1/namespaces/shop/deployments/web").await.json();
            least = least.min(web["status"]["readyReplicas"].as_i64().unwrap_or(0));
        }
        assert_eq!(least, 5, "{handler}: one at a time");
        let victims: BTreeSet<String> = bench.entries().iter().map(|e| e.host.clone()).collect();
        let db = bench.kube.get("/api/v1/namespaces/shop/pods/db-0").await.json();
        let stuck = victims.contains(db["spec"]["nodeName"].as_str().unwrap_or_default());
        bench.until(125);
        let cut: usize = bench.entries().iter().map(Entry::cut).sum();
        assert_eq!(cut, usize::from(stuck), "{handler}: only what may not go is cut");
    }
}

/// Fargate Spot: a signal at the notice, another at the stop timeout.
#[tokio::test]
async fn fargate_spot_tasks_end_by_themselves_or_are_killed() {
    let text = "seed = 3\n[[nodes]]\ngroup = 'g'\ncount = 1\ninstance = 'm7i.large'\nzones = ['eu-west-1a']\ncpu = 2\nmemory = 8\n\
        [[ecs]]\nname = 'shop'\n[[ecs.services]]\nname = 'quick'\ndesired = 4\nlaunch = 'fargate-spot'\nimage = 'r/q:1'\n\
        [[ecs.services]]\nname = 'slow'\ndesired = 2\nlaunch = 'fargate-spot'\nimage = 'r/s:1'\nstop_timeout = '40s'\nstops_after = '5m'\n\
        [[ecs.services]]\nname = 'poor'\ndesired = 1\nlaunch = 'fargate-spot'\nimage = 'r/p:1'\n\
        [[ecs.at]]\nt = '5s'\naction = 'spot-interrupt'\nservice = 'quick'\ntasks = 3\n\
        [[ecs.at]]\nt = '5s'\naction = 'spot-interrupt'\nservice = 'slow'\n\
        [[ecs.at]]\nt = '2m'\naction = 'spot-interrupt'\nservice = 'poor'\nno_capacity = '1m'\n";
    let bench = Bench::text(text).await;
    bench.until(6);
    let describe = async |arns: &[String]| {
        let ask = json!({"cluster": "shop", "tasks": arns});
        let all = bench.json("ecs", "AmazonEC2ContainerServiceV20141113.DescribeTasks", ask).await;
        all["tasks"].as_array().cloned().expect("tasks")
    };
    let arns: Vec<String> = bench.entries().iter().map(|e| e.victim.clone()).collect();
    assert_eq!(arns.len(), 4);
    for t in describe(&arns).await {
        assert_eq!((&t["desiredStatus"], &t["lastStatus"]), (&json!("STOPPED"), &json!("RUNNING")));
        assert_eq!(
            (&t["stopCode"], &t["stoppedReason"]),
            (&json!("SpotInterruption"), &json!("Your Spot Task was interrupted."))
        );
        assert!(t["stoppingAt"].is_number() && t["containers"][0]["exitCode"].is_null());
    }
    bench.until(75);
    for t in describe(&arns).await {
        assert_eq!(t["lastStatus"], "STOPPED");
        let slow = t["group"] == "service:slow";
        let exit = t["containers"][0]["exitCode"].as_i64().expect("an exit code");
        assert!(if slow { exit == 137 } else { exit == 0 || exit == 143 }, "{exit}");
        let arn = t["taskArn"].as_str().expect("an ARN");
        let e = bench.sim.ledger().get(arn).cloned().expect("an entry");
        coherent(&e);
        let notice = (e.deadline.expect("one") - e.issued.expect("one")).num_seconds();
        assert_eq!(notice, if slow { 40 } else { 30 });
        match e.outcome {
            Some(Outcome::Cut(1)) => assert!(slow),
            Some(Outcome::Evacuated { .. } | Outcome::NotReplaced) => assert!(!slow),
            other => panic!("{other:?}"),
        }
    }
    let definition = json!({"taskDefinition": "slow"});
    let d = bench.json("ecs", "AmazonEC2ContainerServiceV20141113.DescribeTaskDefinition", definition).await;
    assert_eq!(d["taskDefinition"]["containerDefinitions"][0]["stopTimeout"], 40);
    bench.until(160);
    let poor = bench.entries().into_iter().find(|e| !arns.contains(&e.victim)).expect("the last one");
    assert_eq!(poor.outcome, Some(Outcome::NotReplaced), "there was no capacity");
}

/// Container instances drain where the agent does so, and are gone with their tasks.
#[tokio::test]
async fn container_instances_drain_or_are_cut() {
    let text = "seed = 3\n[[nodes]]\ngroup = 'g'\ncount = 1\ninstance = 'm7i.large'\nzones = ['eu-west-1a']\ncpu = 2\nmemory = 8\n\
        [[ecs]]\nname = 'shop'\n[[ecs.instances]]\nprovider = 'a'\ncount = 3\ninstance = 'c7i.large'\ncpu = 2\nmemory = 4\nspot = true\n\
        [[ecs.instances]]\nprovider = 'b'\ncount = 2\ninstance = 'c7i.large'\ncpu = 2\nmemory = 4\nspot = true\n\
        [[ecs.services]]\nname = 'web'\ndesired = 3\nlaunch = 'a'\nimage = 'r/w:1'\n\
        [[ecs.services]]\nname = 'old'\ndesired = 2\nlaunch = 'b'\nimage = 'r/o:1'\n\
        [[ecs.at]]\nt = '5s'\naction = 'spot-interrupt'\nprovider = 'a'\n\
        [[ecs.at]]\nt = '5s'\naction = 'spot-interrupt'\nprovider = 'b'\ndraining = false\n";
    let bench = Bench::text(text).await;
    bench.until(8);
    let list = async |status: &str| {
        let ask = json!({"cluster": "shop", "status": status});
        let got = bench.json("ecs", "AmazonEC2ContainerServiceV20141113.ListContainerInstances", ask).await;
        let arns = got["containerInstanceArns"].as_array().cloned().expect("a list");
        arns.iter().map(|a| a.as_str().expect("an ARN").to_owned()).collect::<Vec<_>>()
    };
    let entries = bench.entries();
    let drained = entries.iter().find(|e| list_has(&e.tasks, "web")).expect("one of a");
    let left = entries.iter().find(|e| list_has(&e.tasks, "old")).expect("one of b");
    assert_eq!(list("DRAINING").await, std::slice::from_ref(&drained.host));
    assert!(list("ACTIVE").await.contains(&left.host), "nobody drains it");
    bench.until(130);
    let ledger = bench.sim.ledger();
    let of = |e: &Entry| ledger.get(&e.victim).cloned().expect("an entry");
    assert!(matches!(of(drained).outcome, Some(Outcome::Evacuated { .. })), "{:?}", of(drained));
    assert_eq!(of(left).outcome, Some(Outcome::Cut(1)), "{:?}", of(left));
    bench.until(150);
    let all = [list("ACTIVE").await, list("DRAINING").await].concat();
    assert!(!all.contains(&drained.host) && !all.contains(&left.host));
    let ask = json!({"cluster": "shop", "tasks": [left.tasks[0].id]});
    let t = bench.json("ecs", "AmazonEC2ContainerServiceV20141113.DescribeTasks", ask).await["tasks"][0].clone();
    assert_eq!(t["stoppedReason"], format!("Host EC2 (instance {}) terminated.", left.victim));
    bench.until(240);
    assert_eq!(list("ACTIVE").await.len(), 5, "others came");
    let xml = bench.ec2("DescribeInstances", &format!("&InstanceId.1={}", left.victim)).await;
    assert_eq!(tags(&xml, "name"), ["terminated"]);
}

fn list_has(tasks: &[quarterdeck::sim::cloud::Risk], service: &str) -> bool {
    tasks.iter().any(|t| t.owner.as_deref().is_some_and(|o| o.ends_with(&format!("/{service}"))))
}

#[test]
fn mistakes_are_found_at_their_place() {
    let of = |rest: &str| {
        Scenario::parse(&format!("{ONE}[[at]]\nt = '2s'\n{rest}\n"), "t.toml").expect_err("wrong").to_string()
    };
    let line = ONE.matches('\n').count() + 3;
    for (text, at, says) in [
        ("action = 'spot-interrupt'\ngroup = 'fixed'", 1, "there is no spot group \"fixed\"; [[nodes]] has spot"),
        (
            "action = 'rebalance'\nnotice = '2m'",
            1,
            "takes no notice; it takes group, zone, count, percent, handler, spread",
        ),
        ("action = 'spot-interrupt'\npercent = 0", 1, "percent = 0 is out of range; give 1 to 100"),
        ("action = 'spot-interrupt'\ncount = 1\npercent = 5", 2, "give count or percent, not both"),
        ("action = 'spot-interrupt'\nunannounced = true\nhandler = 'none'", 2, "nobody handles it"),
        ("action = 'spot-interrupt'\nhandler = 'nth'", 1, "unknown variant `nth`"),
        ("action = 'scheduled'\nfate = 'stop'", 1, "takes no fate"),
    ] {
        let error = of(text);
        assert!(error.starts_with(&format!("t.toml:{}:", line + at)) && error.contains(says), "{text}: {error}");
    }
    let ecs = |rest: &str| {
        let text = format!(
            "{ONE}[[ecs]]\nname = 'shop'\n[[ecs.instances]]\nprovider = 'a'\ncount = 1\ninstance = 'm'\ncpu = 2\nmemory = 4\n\
             [[ecs.services]]\nname = 'web'\ndesired = 1\nimage = 'r/w:1'\n[[ecs.at]]\nt = '1s'\n{rest}\n"
        );
        (text.matches('\n').count(), Scenario::parse(&text, "t.toml").expect_err("wrong").to_string())
    };
    for (text, says) in [
        ("action = 'spot-interrupt'", "needs `provider`"),
        ("provider = 'b'\naction = 'rebalance'", "there is no provider \"b\""),
        ("provider = 'a'\naction = 'rebalance'", "are not spot"),
        ("service = 'web'\naction = 'spot-interrupt'", "does not run on Fargate Spot"),
        ("service = 'web'\npercent = 4\naction = 'deploy'", "takes no percent"),
    ] {
        let (last, error) = ecs(text);
        assert!(error.starts_with(&format!("t.toml:{last}:")) && error.contains(says), "{text}: {error}");
    }
}

/// Five hundred in ten seconds, on two thousand nodes: none is lost, and the model keeps up.
#[test]
fn five_hundred_at_once() {
    use quarterdeck::sim::backend::Fleet as _;
    let text = "seed = 4\n[generate]\nnodes = 2000\npods = 8000\nchanges_per_second = 0.0\n\
        [[at]]\nt = '1s'\naction = 'spot-interrupt'\ncount = 500\nspread = '10s'\nhandler = 'karpenter'\n";
    let mut model = Model::new(Scenario::parse(text, "t.toml").expect("a scenario"));
    let start: Timestamp = "2026-11-25T08:30:00Z".parse().expect("a time");
    model.initial_each(start, &mut |_| {});
    for half in 1..=280 {
        model.advance(start + TimeDelta::milliseconds(half * 500));
    }
    let ledger = model.cloud().expect("a cloud").ledger();
    assert_eq!(ledger.outcomes().count(), 500);
    ledger.entries().for_each(coherent);
    let told: BTreeSet<Timestamp> = ledger.entries().filter_map(|e| e.issued).collect();
    assert!((9..=11).contains(&told.len()), "over ten seconds: {told:?}");
}

/// Of services, by name: what ECS lists, what EventBridge sent to the group and to the queue.
#[tokio::test]
async fn what_finds_no_place_is_told_by_ecs_and_by_event_bridge_until_it_is_placed() {
    let bench = Bench::storm().await;
    // Fargate Spot is dry from 110 s to 200 s; tasks of search are taken back at 128 s.
    bench.until(150);
    let short = bench.service("search").await;
    let said = |v: &Value, part: &str| {
        v["events"]
            .as_array()
            .expect("events")
            .iter()
            .position(|e| e["message"].as_str().is_some_and(|m| m.contains(part)))
    };
    let (unable, steady) =
        (said(&short, "was unable to place a task. Reason: Capacity is unavailable"), said(&short, "steady state"));
    assert!(unable.is_some_and(|at| steady.is_none_or(|s| at < s)), "the newest come first: {short:#}");
    // Before it is dry again.
    bench.until(280);
    let back = bench.service("search").await;
    assert_eq!(back["runningCount"], back["desiredCount"]);
    let actions = |all: Vec<Value>| -> BTreeMap<String, Value> {
        let action = |e: &Value| e["detail-type"] == "ECS Service Action";
        all.into_iter().filter(action).map(|e| (e["id"].as_str().expect("an id").to_owned(), e)).collect()
    };
    let logged = actions(bench.logged().await);
    assert_eq!(logged, actions(bench.queued().await), "both targets have the same");
    let of_search: Vec<&Value> =
        logged.values().filter(|e| e["resources"][0].as_str().is_some_and(|r| r.ends_with("/search"))).collect();
    let named = |name: &str| of_search.iter().filter(|e| e["detail"]["eventName"] == name).collect::<Vec<_>>();
    let (failed, steady) = (named("SERVICE_TASK_PLACEMENT_FAILURE"), named("SERVICE_STEADY_STATE"));
    assert!(!failed.is_empty() && !steady.is_empty(), "{of_search:#?}");
    let region = "arn:aws:ecs:eu-west-1:123456789012";
    for e in failed {
        assert_eq!(e["resources"], json!([format!("{region}:service/shop-ecs/search")]));
        let d = &e["detail"];
        assert_eq!((&d["eventType"], &d["reason"]), (&json!("ERROR"), &json!("RESOURCE:FARGATE")));
        assert_eq!(d["clusterArn"], format!("{region}:cluster/shop-ecs"));
        assert_eq!(d["capacityProviderArns"], json!([format!("{region}:capacity-provider/FARGATE_SPOT")]));
        let (whole, fine) = (e["time"].as_str().expect("a time"), d["createdAt"].as_str().expect("a time"));
        assert_eq!(whole[..19], fine[..19]);
    }
    for e in steady {
        assert_eq!((&e["detail"]["eventType"], e["detail"].get("reason")), (&json!("INFO"), None));
    }
    // Where no machine is left of a provider, or none has room, its own provider is named.
    let of_machines = |e: &&Value| e["detail"]["reason"].as_str().is_some_and(|r| r != "RESOURCE:FARGATE");
    for e in logged.values().filter(of_machines) {
        let named = e["detail"]["capacityProviderArns"][0].as_str().expect("a provider");
        assert!(!named.contains("FARGATE"), "{e:#}");
    }
}
