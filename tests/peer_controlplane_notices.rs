//! Notices out of a real API server: taints, labels and events as aws-node-termination-handler
//! and Karpenter write them, applied with kubectl.
//!
//! Runs where `QUARTERDECK_CONTROLPLANE=1` is set, with `CONTROLPLANE_STATE` naming a
//! control plane that is up; skips loudly elsewhere.
#![cfg(feature = "kubernetes")]
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use chrono::{SecondsFormat, TimeDelta};
use quarterdeck::clock::{Clock, instant};
use quarterdeck::domain::notice::{Deadline, NoticeFeed, NoticeKind, Victim};
use quarterdeck::domain::{CapacityType, ClusterId, Text, Timestamp};
use quarterdeck::source::kubernetes::{ClusterSpec, Kubeconfig, SILENCE, Sources};
use quarterdeck::store::notices::Case;
use quarterdeck::store::{Feed, Observation, Store};
use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;

fn kubectl(arguments: &[&str]) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/controlplane/run.sh");
    let out = Command::new(script).arg("kubectl").args(arguments).output().expect("run.sh runs");
    assert!(out.status.success(), "kubectl {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
}

fn apply(dir: &std::path::Path, object: &Value) {
    let file = dir.join("object.json");
    std::fs::write(&file, object.to_string()).expect("a file");
    kubectl(&["apply", "-f", file.to_str().expect("a path")]);
}

use NoticeKind::{Interruption, Leaving, Rebalance, Scheduled};

const NODES: [(&str, &str); 6] = [
    ("notice-itn", "i-0000000000000a001"),
    ("notice-karpenter", "i-0000000000000a002"),
    ("notice-rebalance", "i-0000000000000a003"),
    ("notice-maintenance", "i-0000000000000a004"),
    ("notice-queue", "i-0000000000000a005"),
    ("notice-cordoned", "i-0000000000000a006"),
];

fn node(name: &str, instance: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {"karpenter.sh/capacity-type": "spot", "topology.kubernetes.io/zone": "eu-west-1a",
            "node.kubernetes.io/instance-type": "m7i.large"}},
        "spec": {"providerID": format!("aws:///eu-west-1a/{instance}")}})
}

fn event(node: &str, reason: &str, message: &str, reporter: &str, at: Timestamp) -> Value {
    let stamp = at.to_rfc3339_opts(SecondsFormat::Secs, true);
    json!({"apiVersion": "v1", "kind": "Event", "type": "Warning", "reason": reason, "message": message,
        "metadata": {"name": format!("{node}.{}", reason.to_lowercase()), "namespace": "default"},
        "involvedObject": {"apiVersion": "v1", "kind": "Node", "name": node},
        "source": {"component": reporter}, "count": 1, "firstTimestamp": stamp, "lastTimestamp": stamp})
}

struct Desk {
    store: Store,
    rx: Receiver<Observation>,
}

impl Desk {
    fn case(&self, n: usize) -> Option<&Case> {
        self.store.notices.case(&Victim::Instance(Text::new(NODES[n].1)))
    }

    async fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let start = instant();
        while !done(self) {
            let left = Duration::from_mins(1).saturating_sub(start.elapsed());
            match tokio::time::timeout(left, self.rx.recv()).await {
                Ok(Some(next)) => self.store.apply(next),
                _ => panic!("not within a minute: {what}; {:?}", self.store.notices.cases().collect::<Vec<_>>()),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_handlers_write_is_a_notice() {
    if std::env::var("QUARTERDECK_CONTROLPLANE").as_deref() != Ok("1") {
        eprintln!(
            "SKIP: QUARTERDECK_CONTROLPLANE is not set; tests/peers/controlplane/README.md says how to start one"
        );
        return;
    }
    let state = PathBuf::from(std::env::var("CONTROLPLANE_STATE").expect("CONTROLPLANE_STATE"));
    let dir = tempfile::tempdir().expect("a directory");
    for (name, _) in NODES {
        kubectl(&["delete", "node", name, "--ignore-not-found"]);
    }
    kubectl(&["delete", "events", "-n", "default", "--all"]);
    for (name, instance) in NODES {
        apply(dir.path(), &node(name, instance));
    }
    let spec = ClusterSpec {
        id: ClusterId::new("plane"),
        context: None,
        kubeconfig: Kubeconfig::File(state.join("kubeconfig")),
        namespace: None,
        production: false,
        read_only: true,
        metrics_interval: Duration::from_secs(30),
        silence: SILENCE,
    };
    let clock = Clock::system();
    let (tx, rx) = tokio::sync::mpsc::channel(512);
    let sources = Sources::spawn(vec![spec], tx, clock.clone());
    let mut desk = Desk { store: Store::expecting([ClusterId::new("plane")]), rx };
    desk.until("a whole picture", |d| d.store.is_complete(&[Feed::Nodes, Feed::Tasks, Feed::Events])).await;
    let ours = desk.store.nodes.rows().filter(|n| n.instance.starts_with("i-0000000000000a")).count();
    assert_eq!(ours, NODES.len());
    assert_eq!(desk.store.notices.cases().filter(|c| NODES.iter().any(|(_, i)| c.victim.name() == *i)).count(), 0);

    // The termination handler on the machine itself: label, taint, event with the deadline.
    let ends = (clock.now() + TimeDelta::seconds(118)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let acted = clock.now().timestamp().to_string();
    kubectl(&["label", "node", NODES[0].0, &format!("aws-node-termination-handler/action-time={acted}")]);
    kubectl(&["taint", "node", NODES[0].0, "aws-node-termination-handler/spot-itn=spot-itn-1f2e:NoSchedule"]);
    let told = clock.now();
    let message = format!("Spot ITN received. Instance will be interrupted at {ends} \n");
    apply(dir.path(), &event(NODES[0].0, "SpotInterruption", &message, "aws-node-termination-handler", told));
    // Karpenter: its event on the node, and a taint that alone would say nothing.
    kubectl(&["taint", "node", NODES[1].0, "karpenter.sh/disrupted:NoSchedule"]);
    let karpenter = clock.now();
    apply(
        dir.path(),
        &event(NODES[1].0, "SpotInterrupted", "Spot interruption warning was triggered", "karpenter", karpenter),
    );
    apply(
        dir.path(),
        &event(
            NODES[2].0,
            "SpotRebalanceRecommendation",
            "Spot rebalance recommendation was triggered",
            "karpenter",
            karpenter,
        ),
    );
    kubectl(&[
        "taint",
        "node",
        NODES[3].0,
        "aws-node-termination-handler/scheduled-maintenance=system-reboot:NoSchedule",
    ]);
    // The handler's queue mode says when it was sent, as Go prints it.
    let sent = clock.now() - TimeDelta::seconds(4);
    let message = format!(
        "Spot Interruption notice for instance {} was sent at {} +0000 UTC \n",
        NODES[4].1,
        sent.format("%Y-%m-%d %H:%M:%S")
    );
    apply(dir.path(), &event(NODES[4].0, "SpotInterruption", &message, "aws-node-termination-handler", clock.now()));
    kubectl(&["cordon", NODES[5].0]);

    let of = |d: &Desk, n: usize| d.case(n).and_then(|c| c.main().map(|m| (m.kind, m.told.len())));
    desk.until("all six notices", |d| {
        of(d, 0) == Some((Interruption, 2))
            && of(d, 1).is_some_and(|(kind, _)| kind == Interruption)
            && (2..6).all(|n| of(d, n).is_some())
    })
    .await;
    let deadline = |n: usize| desk.case(n).and_then(Case::deadline);
    let seconds = |t: Timestamp| Text::new(&t.to_rfc3339_opts(SecondsFormat::Secs, true));
    let itn = deadline(0).expect("a deadline");
    assert_eq!((itn.precision, seconds(itn.at).as_str()), (Deadline::exact(itn.at).precision, ends.as_str()));
    assert_eq!(deadline(1).map(|d| seconds(d.at)), Some(seconds(karpenter + TimeDelta::seconds(120))));
    let kinds: Vec<NoticeKind> = (0..6).filter_map(|n| desk.case(n).map(Case::kind)).collect();
    assert_eq!(kinds, [Interruption, Interruption, Rebalance, Scheduled, Interruption, Leaving]);
    assert_eq!(deadline(4).map(|d| seconds(d.at)), Some(seconds(sent + TimeDelta::seconds(120))));
    assert_eq!(desk.case(5).and_then(Case::told_by).map(|(feed, _)| feed), Some(NoticeFeed::Node));
    for (n, (name, _)) in NODES.iter().enumerate() {
        let case = desk.case(n).expect("a notice");
        assert_eq!(case.node.as_ref().map(|id| id.name.as_str()), Some(*name));
        assert_eq!((case.place.zone.as_str(), case.capacity), ("eu-west-1a", CapacityType::Spot));
    }

    // A node that goes after its notice, and one that goes without anything on it.
    kubectl(&["delete", "node", NODES[0].0]);
    desk.until("its end", |d| d.case(0).is_some_and(|c| c.gone.is_some())).await;
    drop(sources);
    for (name, _) in NODES {
        kubectl(&["delete", "node", name, "--ignore-not-found"]);
    }
}
