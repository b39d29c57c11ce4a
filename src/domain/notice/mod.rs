//! Notices: a machine or a task is going to be taken away, and when.
//!
//! A feed tells ([`Told`]) of a victim; what several feeds tell of one victim is merged
//! into one [`Notice`] ([`Notice::merged`]): a function of the set of what was told, whatever
//! its order, however often it came. Source: SEMANTICS.md section 4.

mod cluster;
mod merge;
mod record;

use chrono::TimeDelta;

pub use cluster::{announced, of_event, of_node, of_task, shuts};
pub use merge::{ANOTHER, Notice, Telling};
pub use record::{Outcome, Record};

use super::placement::Placement;
use super::{ObjectId, Text, Timestamp};

/// How long EC2 leaves a spot instance from the interruption notice on.
pub const INTERRUPTION: TimeDelta = TimeDelta::seconds(120);

/// How long ECS leaves a task from when it is told to end on, unless its definition says otherwise.
pub const STOP_TIMEOUT: TimeDelta = TimeDelta::seconds(30);

/// What EC2 says of a request's status and of the instance's end within this time it says of one
/// thing: its two stamps differ, and no reclaim that was announced ends so soon. Whoever empties a
/// machine takes longer, too.
pub const AT_ONCE: TimeDelta = TimeDelta::seconds(20);

/// Why something is going to go; what weighs most last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeKind {
    /// Elevated risk, no deadline: EC2's rebalance recommendation.
    Rebalance,
    /// Maintenance with a start: reboot, stop, retirement.
    Scheduled,
    /// An auto scaling group terminates it, and a hook holds it.
    Lifecycle,
    /// It is being emptied, by whom or why is not known.
    Leaving,
    /// Capacity is taken back.
    Interruption,
    /// It went, and nobody had said so.
    Unannounced,
}

impl NoticeKind {
    /// Every kind, in the order above.
    pub const ALL: [Self; 6] =
        [Self::Rebalance, Self::Scheduled, Self::Lifecycle, Self::Leaving, Self::Interruption, Self::Unannounced];

    /// One word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Rebalance => "rebalance",
            Self::Scheduled => "scheduled",
            Self::Lifecycle => "lifecycle",
            Self::Leaving => "leaving",
            Self::Interruption => "interruption",
            Self::Unannounced => "unannounced",
        }
    }
}

/// Who told; those that know the deadline best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeFeed {
    /// EventBridge, by way of a CloudWatch Logs group.
    EventLog,
    /// EventBridge, by way of an SQS queue.
    EventQueue,
    /// The status of a spot request, or of an instance, as EC2 has it.
    Ec2,
    /// An ECS task that is to stop while it still runs.
    EcsTask,
    /// An ECS container instance that drains.
    EcsInstance,
    /// An event in the cluster: Karpenter, aws-node-termination-handler.
    NodeEvent,
    /// A taint, a label or a condition of the node.
    NodeTaint,
    /// The node itself: it went, or is being emptied.
    Node,
}

impl NoticeFeed {
    /// In words.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::EventLog => "EventBridge log",
            Self::EventQueue => "EventBridge queue",
            Self::Ec2 => "EC2",
            Self::EcsTask => "ECS task",
            Self::EcsInstance => "ECS instance",
            Self::NodeEvent => "cluster event",
            Self::NodeTaint => "node taint",
            Self::Node => "node",
        }
    }
}

/// What is going to go. One instance may be a node of several clusters' rows; a machine
/// whose instance id nobody knows is known by its node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Victim {
    /// An EC2 instance, by its id (`i-0b662ef9931388ba0`).
    Instance(Text),
    /// A node by `cluster/name`, where nothing says which instance it is.
    Node(Text),
    /// A Fargate task by its ARN.
    Task(Text),
}

impl Victim {
    /// The victim that this node is: its instance, if that is an EC2 one, else itself.
    #[must_use]
    pub fn of_node(id: &ObjectId, instance: &Text) -> Self {
        if instance.starts_with("i-") {
            Self::Instance(instance.clone())
        } else {
            Self::Node(Text::new(&id.to_string()))
        }
    }

    /// What tells it from all others: the instance id, `cluster/name`, the ARN.
    #[must_use]
    pub fn key(&self) -> &Text {
        match self {
            Self::Instance(key) | Self::Node(key) | Self::Task(key) => key,
        }
    }

    /// The victim with this [`Victim::key`].
    #[must_use]
    pub fn of_key(key: &Text) -> Self {
        match key.as_str() {
            k if k.starts_with("arn:") => Self::Task(key.clone()),
            k if k.contains('/') => Self::Node(key.clone()),
            _ => Self::Instance(key.clone()),
        }
    }

    /// Its name by itself: the instance id, the node's name, the task's id.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Instance(id) => id,
            Self::Node(name) | Self::Task(name) => name.rsplit('/').next().unwrap_or(name),
        }
    }
}

/// How well a deadline is known; the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// Said so, or follows from when the notice was given.
    Exact,
    /// It may be earlier, not later: counted from when it was heard of.
    AtLatest,
    /// Counted by what is usual: it may be earlier or later.
    Usual,
}

/// When it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline {
    /// How well it is known; first, so that the best is the least.
    pub precision: Precision,
    /// When.
    pub at: Timestamp,
}

impl Deadline {
    /// A deadline that is known.
    #[must_use]
    pub fn exact(at: Timestamp) -> Self {
        Self { precision: Precision::Exact, at }
    }

    /// A deadline as it usually is.
    #[must_use]
    pub fn usual(at: Timestamp) -> Self {
        Self { precision: Precision::Usual, at }
    }

    /// A deadline that cannot be later.
    #[must_use]
    pub fn at_latest(at: Timestamp) -> Self {
        Self { precision: Precision::AtLatest, at }
    }
}

/// What is done to the victim.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Nobody said.
    #[default]
    Unknown,
    /// It is terminated.
    Terminate,
    /// It is stopped.
    Stop,
    /// It is hibernated; that starts at once.
    Hibernate,
    /// It is rebooted.
    Reboot,
}

impl Fate {
    /// What EC2 writes: `terminate`, `stop`, `hibernate`; anything else is [`Fate::Unknown`].
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "terminate" => Self::Terminate,
            "stop" => Self::Stop,
            "hibernate" => Self::Hibernate,
            "reboot" => Self::Reboot,
            _ => Self::Unknown,
        }
    }

    /// One word, empty where nobody said.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "",
            Self::Terminate => "terminate",
            Self::Stop => "stop",
            Self::Hibernate => "hibernate",
            Self::Reboot => "reboot",
        }
    }
}

/// Where a victim is, as far as a feed says; any of it may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// AWS account.
    pub account: Text,
    /// Region.
    pub region: Text,
    /// Availability zone.
    pub zone: Text,
    /// Instance type.
    pub instance_type: Text,
}

/// That something is going to go, as one feed has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sighting {
    /// What.
    pub victim: Victim,
    /// Why.
    pub kind: NoticeKind,
    /// Who says so.
    pub feed: NoticeFeed,
    /// By what the feed knows the message (EventBridge's id, an event's name); may be
    /// empty. The same message twice is the same.
    pub message: Text,
    /// When the notice was given, by the console's clock; `None` if nobody says.
    pub issued: Option<Timestamp>,
    /// When the console learnt of it.
    pub seen: Timestamp,
    /// When it goes; `None` for a rebalance recommendation, or if nobody says.
    pub deadline: Option<Deadline>,
    /// What is done to it.
    pub fate: Fate,
    /// Where it is.
    pub place: Place,
    /// More in the feed's words (`instance-retirement`, an auto scaling group); may be empty.
    pub detail: Text,
}

/// That something has gone, as one feed has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Departure {
    /// What.
    pub victim: Victim,
    /// Who says so.
    pub feed: NoticeFeed,
    /// When it went, or began to (`shutting-down`).
    pub at: Timestamp,
    /// It was taken by EC2, not by somebody (`Server.SpotInstanceTermination`).
    pub taken: bool,
}

/// How what was to happen is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ending {
    /// It was done.
    Completed,
    /// It is not going to be done.
    Cancelled,
    /// It is told of no more; why is not known.
    Unknown,
}

/// What a feed tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// Something is going to go.
    Notice(Sighting),
    /// Something has gone.
    Gone(Departure),
    /// It is not going to happen any more: maintenance that was called off, or is over.
    Over {
        /// To whom it was going to happen.
        victim: Victim,
        /// What was going to happen.
        kind: NoticeKind,
        /// The [`Sighting::message`] that told of it; empty where all of this kind is over.
        message: Text,
        /// Why it is not going to happen.
        end: Ending,
        /// When that was known.
        at: Timestamp,
    },
    /// Whether an ECS service's tasks can be placed: no notice, nothing goes.
    Placement(Placement),
}

impl Told {
    /// What is going to go, or has gone; `None` where nothing does.
    #[must_use]
    pub fn victim(&self) -> Option<&Victim> {
        match self {
            Self::Notice(s) => Some(&s.victim),
            Self::Gone(d) => Some(&d.victim),
            Self::Over { victim, .. } => Some(victim),
            Self::Placement(_) => None,
        }
    }
}
