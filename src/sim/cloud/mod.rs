//! EC2 and `EventBridge` as both orchestrators of the embedded fleet share them: the
//! machines, what they are told, and the ledger of what became of them. The
//! Kubernetes model and the ECS clusters write here; the AWS façade reads.

pub(crate) mod event;
pub mod ledger;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use self::event::Sent;
pub(crate) use self::ledger::About;
pub use self::ledger::{End, Entry, Ledger, Outcome, Risk, Told};
use crate::domain::Timestamp;

/// Milliseconds since 1970.
type Ms = i64;

/// Terminated machines are shown so long.
const SHOWN: Ms = 3_600_000;

/// A model's time as the console's.
pub(crate) fn stamp(ms: Ms) -> Timestamp {
    Timestamp::from_timestamp_millis(ms).unwrap_or_default()
}

/// What happens to a machine that is taken back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It is terminated.
    #[default]
    Terminate,
    /// It is stopped, and comes back some minutes later.
    Stop,
    /// The same, but at once: hibernation does not wait.
    Hibernate,
}

impl Fate {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Terminate => "terminate",
            Self::Stop => "stop",
            Self::Hibernate => "hibernate",
        }
    }

    /// The spot request's status from the notice on.
    fn status(self) -> (&'static str, &'static str) {
        match self {
            Self::Terminate => (
                "instance-terminated-no-capacity",
                "Your Spot instance was terminated because there is no Spot capacity available.",
            ),
            Self::Stop => ("marked-for-stop", "Your Spot instance is marked for stop."),
            Self::Hibernate => (
                "instance-stopped-no-capacity",
                "Your Spot instance was stopped because there is no Spot capacity available.",
            ),
        }
    }
}

/// Maintenance that is to come, as `DescribeInstanceStatus` has it.
#[derive(Debug, Clone)]
pub(crate) struct Maintenance {
    pub id: String,
    pub code: &'static str,
    pub from: Ms,
    pub until: Ms,
    pub over: bool,
}

/// A machine as EC2 has it.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub id: String,
    pub kind: String,
    pub zone: String,
    pub account: String,
    pub spot: bool,
    pub launched: Ms,
    pub state: &'static str,
    pub state_at: Ms,
    /// `Server.SpotInstanceTermination` when it goes for that.
    pub reason: Option<&'static str>,
    /// The spot request's status: code, message, update time.
    pub request: (&'static str, &'static str, Ms),
    pub maintenance: Vec<Maintenance>,
}

impl Machine {
    pub fn new(id: &str, kind: &str, zone: &str, account: &str, spot: bool, launched: Ms) -> Self {
        Self {
            id: id.to_owned(),
            kind: kind.to_owned(),
            zone: zone.to_owned(),
            account: account.to_owned(),
            spot,
            launched,
            state: "running",
            state_at: launched,
            reason: None,
            request: ("fulfilled", "Your spot request is fulfilled.", launched),
            maintenance: Vec::new(),
        }
    }

    pub fn region(&self) -> &str {
        self.zone.trim_end_matches(|c: char| c.is_ascii_lowercase())
    }
}

#[derive(Debug, Default)]
struct State {
    on: bool,
    /// The Kubernetes cluster's name, in the ledger's ids.
    cluster: String,
    /// Account and regions in which there are machines.
    places: std::collections::BTreeSet<(String, String)>,
    machines: BTreeMap<String, Machine>,
    outbox: Vec<Sent>,
    ledger: Ledger,
}

/// A handle to the cloud; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Cloud(Arc<Mutex<State>>);

impl Cloud {
    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What became of everything so far.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.with(|s| s.ledger.clone())
    }

    /// True if anything is taken back in this scenario: only then are there events.
    pub(crate) fn is_on(&self) -> bool {
        self.with(|s| s.on)
    }

    pub(crate) fn switch_on(&self) {
        self.with(|s| s.on = true);
    }

    /// What the Kubernetes cluster is called in the ledger.
    pub(crate) fn name_cluster(&self, name: &str) {
        self.with(|s| name.clone_into(&mut s.cluster));
    }

    pub(crate) fn cluster(&self) -> String {
        self.with(|s| s.cluster.clone())
    }

    pub(crate) fn add_place(&self, account: &str, region: &str) {
        self.with(|s| s.places.insert((account.to_owned(), region.to_owned())));
    }

    /// Every account and region in which there are machines.
    pub(crate) fn places(&self) -> Vec<(String, String)> {
        self.with(|s| s.places.iter().cloned().collect())
    }

    pub(crate) fn add(&self, machine: Machine) {
        self.add_place(&machine.account, machine.region());
        self.with(|s| s.machines.insert(machine.id.clone(), machine));
    }

    /// A new machine runs.
    pub(crate) fn launch(&self, machine: Machine, at: Ms) {
        let id = machine.id.clone();
        self.add(machine);
        self.send_state(&id, "running", at);
    }

    /// The machines of an account and region, by id.
    pub(crate) fn machines(&self, account: &str, region: &str, now: Ms) -> Vec<Machine> {
        self.with(|s| {
            s.machines.retain(|_, m| m.state != "terminated" || now - m.state_at < SHOWN);
            s.machines.values().filter(|m| m.account == account && m.region() == region).cloned().collect()
        })
    }

    pub(crate) fn on_ledger<T>(&self, f: impl FnOnce(&mut Ledger) -> T) -> T {
        self.with(|s| f(&mut s.ledger))
    }

    /// What has been sent since the last time.
    pub(crate) fn take_events(&self) -> Vec<Sent> {
        self.with(|s| std::mem::take(&mut s.outbox))
    }

    /// Sends an event, if anybody listens.
    pub(crate) fn send(&self, sent: Sent) {
        self.with(|s| {
            if s.on {
                s.outbox.push(sent);
            }
        });
    }

    fn of(&self, id: &str) -> Option<Machine> {
        self.with(|s| s.machines.get(id).cloned())
    }

    fn send_about(&self, id: &str, kind: &str, detail: &Value, at: Ms) {
        if let Some(m) = self.of(id) {
            let arn = format!("arn:aws:ec2:{}:{}:instance/{id}", m.region(), m.account);
            self.send(Sent::new("aws.ec2", kind, (&m.account, m.region()), &[arn], detail, at));
        }
    }

    fn send_state(&self, id: &str, state: &str, at: Ms) {
        let detail = json!({"instance-id": id, "state": state});
        self.send_about(id, "EC2 Instance State-change Notification", &detail, at);
    }

    /// EC2 gives notice: the request's status changes now, the machine runs on.
    pub(crate) fn interrupt(&self, id: &str, fate: Fate, at: Ms) {
        self.with(|s| {
            if let Some(m) = s.machines.get_mut(id) {
                let (code, message) = fate.status();
                m.request = (code, message, at);
            }
        });
        let detail = json!({"instance-id": id, "instance-action": fate.word()});
        self.send_about(id, "EC2 Spot Instance Interruption Warning", &detail, at);
    }

    /// The status of a request changes without anybody being told.
    pub(crate) fn reclaim(&self, id: &str, at: Ms) {
        self.with(|s| {
            if let Some(m) = s.machines.get_mut(id) {
                let (code, message) = Fate::Terminate.status();
                m.request = (code, message, at);
            }
        });
    }

    pub(crate) fn recommend(&self, id: &str, at: Ms) {
        self.send_about(id, "EC2 Instance Rebalance Recommendation", &json!({"instance-id": id}), at);
    }

    /// Maintenance is announced: an instance event, and one of AWS Health.
    pub(crate) fn schedule(&self, id: &str, code: &'static str, from: Ms, at: Ms) {
        let until = from + 7_200_000;
        let event = format!(
            "instance-event-0{:016x}",
            crate::sim::model::hash2(crate::sim::model::hash(id), from.cast_unsigned())
        );
        self.with(|s| {
            if let Some(m) = s.machines.get_mut(id) {
                m.maintenance.push(Maintenance { id: event, code, from, until, over: false });
            }
        });
        let Some(m) = self.of(id) else { return };
        let word = format!("AWS_EC2_{}_SCHEDULED", code.replace('-', "_").to_ascii_uppercase());
        let rfc1123 = |ms: Ms| stamp(ms).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let detail = json!({
            "eventArn": format!("arn:aws:health:{}::event/EC2/{word}/{word}_{:016x}", m.region(), crate::sim::model::hash(id)),
            "service": "EC2", "eventTypeCode": word, "eventTypeCategory": "scheduledChange",
            "startTime": rfc1123(from), "endTime": rfc1123(until),
            "eventDescription": [{"language": "en_US", "latestDescription":
                format!("{id} is scheduled for {}.", code.replace('-', " "))}],
            "affectedEntities": [{"entityValue": id, "tags": {}}],
        });
        let place = (m.account.as_str(), m.region());
        self.send(Sent::new("aws.health", "AWS Health Event", place, &[id.to_owned()], &detail, at));
    }

    /// The id of a machine's last maintenance event.
    pub(crate) fn maintenance(&self, id: &str) -> String {
        self.of(id).and_then(|m| m.maintenance.last().map(|e| e.id.clone())).unwrap_or_default()
    }

    /// Maintenance is done.
    pub(crate) fn complete(&self, id: &str) {
        self.with(|s| {
            for e in s.machines.get_mut(id).into_iter().flat_map(|m| &mut m.maintenance) {
                e.over = true;
            }
        });
    }

    /// A machine changes its state, and `EventBridge` says so.
    pub(crate) fn turn(&self, id: &str, state: &'static str, spot: bool, at: Ms) {
        self.with(|s| {
            if let Some(m) = s.machines.get_mut(id) {
                (m.state, m.state_at) = (state, at);
                if spot {
                    m.reason = Some("Server.SpotInstanceTermination");
                }
                if state == "running" {
                    m.reason = None;
                    m.request = ("fulfilled", "Your spot request is fulfilled.", at);
                }
            }
        });
        self.send_state(id, state, at);
    }
}
