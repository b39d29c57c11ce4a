//! What the rows of a cluster tell: taints and labels of nodes, events about them, tasks
//! that are to stop. The words are those of aws-node-termination-handler, Karpenter, the
//! cluster autoscaler and the cloud providers.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use super::{
    Deadline, Departure, Fate, INTERRUPTION, NoticeFeed, NoticeKind, Place, STOP_TIMEOUT, Sighting, Told, Victim,
};
use crate::domain::{CapacityType, Event, Kind, Node, Task, Text, Timestamp};

/// How long a preemptible machine of Google's, or a spot one of Azure's, is left.
const SHORT: TimeDelta = TimeDelta::seconds(30);

/// What a taint's key says; those that are not here say nothing of the kind.
const TAINTS: [(&str, NoticeKind); 8] = [
    ("aws-node-termination-handler/spot-itn", NoticeKind::Interruption),
    ("aws-node-termination-handler/scheduled-maintenance", NoticeKind::Scheduled),
    ("aws-node-termination-handler/asg-lifecycle-termination", NoticeKind::Lifecycle),
    ("aws-node-termination-handler/rebalance-recommendation", NoticeKind::Rebalance),
    ("cloud.google.com/impending-node-termination", NoticeKind::Interruption),
    ("node.cloudprovider.kubernetes.io/shutdown", NoticeKind::Leaving),
    ("node.kubernetes.io/out-of-service", NoticeKind::Leaving),
    // An older name of Karpenter's own.
    ("karpenter.sh/interruption", NoticeKind::Interruption),
];

/// Taints of every kind of disruption: of a spot machine they say that it leaves, of any
/// other nothing that would call for somebody.
const DISRUPTED: [&str; 3] = ["karpenter.sh/disrupted", "karpenter.sh/disruption", "ToBeDeletedByClusterAutoscaler"];

/// What Azure announces, as the node-problem-detector of AKS says it in conditions and events.
const AZURE: [(&str, NoticeKind, Fate); 5] = [
    ("PreemptScheduled", NoticeKind::Interruption, Fate::Terminate),
    ("TerminateScheduled", NoticeKind::Leaving, Fate::Terminate),
    ("RedeployScheduled", NoticeKind::Scheduled, Fate::Stop),
    ("RebootScheduled", NoticeKind::Scheduled, Fate::Reboot),
    // It stands still for a few seconds.
    ("FreezeScheduled", NoticeKind::Scheduled, Fate::Unknown),
];
/// What is dated no later than this after it was heard is of now: clocks differ.
const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// What a condition or an event of AKS's announces: one of `PreemptScheduled`, `TerminateScheduled`,
/// `RedeployScheduled`, `RebootScheduled`, `FreezeScheduled` in its type, its reason or, of
/// `VMEventScheduled`, its message, then a colon and the message. `None` of any other.
#[must_use]
pub fn announced(kind: &str, reason: &str, message: &str) -> Option<String> {
    let named = |what: &str| {
        let words = || what.strip_suffix("Scheduled").is_some_and(|w| message.starts_with(&format!("{w} Scheduled")));
        kind == what || reason == what || ([kind, reason].contains(&"VMEventScheduled") && words())
    };
    let (what, ..) = AZURE.iter().find(|(what, ..)| named(what))?;
    Some(format!("{what}: {}", message.chars().take(200).collect::<String>()))
}

/// What was announced: why, what is done, and when if it is said (`19 Sep 2016 18:29:47 GMT`).
fn azure(announced: &str) -> Option<(NoticeKind, Fate, Option<Timestamp>)> {
    let (word, message) = announced.split_once(": ")?;
    let (_, kind, fate) = AZURE.iter().find(|(what, ..)| *what == word)?;
    let stamp = message.split_once(" GMT").map(|(before, _)| before);
    let stamp = stamp.map(|s| s.rsplit_once(", ").map_or(s, |(_, rest)| rest).trim());
    let at = stamp.and_then(|s| NaiveDateTime::parse_from_str(s, "%d %b %Y %H:%M:%S").ok()).map(|t| t.and_utc());
    Some((*kind, *fate, at))
}

/// When it goes of what Azure announces: who says nothing means as soon as it may.
fn azure_deadline(kind: NoticeKind, said: Option<Timestamp>, issued: Option<Timestamp>) -> Option<Deadline> {
    let soon = || issued.filter(|_| kind == NoticeKind::Interruption).map(|t| Deadline::usual(t + SHORT));
    said.map(Deadline::exact).or_else(soon)
}

/// True if this taint (`key=value:Effect`) keeps tasks off a machine that is to be emptied.
#[must_use]
pub fn shuts(taint: &str) -> bool {
    let key = taint.split(['=', ':']).next().unwrap_or_default();
    let known = TAINTS.iter().any(|(k, _)| *k == key) || DISRUPTED.contains(&key) || key.ends_with("/unschedulable");
    known && (taint.ends_with(":NoSchedule") || taint.ends_with(":NoExecute"))
}

/// What a node's taints and labels tell. `before` is the row that it replaces: what is new
/// since then is of now. Kubernetes nodes and ECS container instances.
#[must_use]
pub fn of_node(node: &Node, before: Option<&Node>, at: Timestamp) -> Vec<Told> {
    let sighting = |kind, feed, message: &str, issued: Option<Timestamp>, detail: &str| Sighting {
        victim: Victim::of_node(&node.id, &node.instance),
        kind,
        feed,
        message: Text::new(message),
        issued,
        seen: at,
        deadline: None,
        fate: Fate::Unknown,
        place: place(node),
        detail: Text::new(detail),
    };
    let is_spot = node.capacity_type == CapacityType::Spot;
    let mut out = Vec::new();
    for taint in node.taints.split(',').filter(|t| !t.is_empty()) {
        let key = taint.split(['=', ':']).next().unwrap_or_default();
        let kind = TAINTS.iter().find(|(k, _)| *k == key).map(|(_, kind)| *kind);
        let kind = kind.or_else(|| (is_spot && DISRUPTED.contains(&key)).then_some(NoticeKind::Leaving));
        let Some(kind) = kind else { continue };
        let is_new = before.is_some_and(|b| !b.taints.split(',').any(|t| t == taint));
        // The handler says when it acted: a moment after it was told.
        let acted = node.labels.iter().find(|(k, _)| k.as_str() == "aws-node-termination-handler/action-time");
        let acted = acted.and_then(|(_, v)| DateTime::from_timestamp(v.parse().ok()?, 0)).filter(|t| *t <= at + AHEAD);
        let acted = acted.map(|t| t.min(at));
        let since = acted.filter(|_| key.starts_with("aws-node-termination-handler/")).or(is_new.then_some(at));
        // One node may carry a taint, lose it and get it again: each time is another.
        let message = format!("{}/{taint}", node.uid);
        let mut s = sighting(kind, NoticeFeed::NodeTaint, &message, since, key);
        if kind == NoticeKind::Interruption {
            let spell = if key.starts_with("cloud.google.com/") { SHORT } else { INTERRUPTION };
            s.deadline = since.map(|t| Deadline::at_latest(t + spell));
        }
        out.push(Told::Notice(s));
    }
    if let Some((kind, fate, said)) = azure(&node.announced) {
        let is_new = before.is_some_and(|b| b.announced != node.announced);
        let message = format!("{}/{}", node.uid, node.announced);
        let detail = node.announced.split(':').next().unwrap_or_default();
        let s = sighting(kind, NoticeFeed::NodeTaint, &message, is_new.then_some(at), detail);
        let deadline = azure_deadline(kind, said, s.issued);
        out.push(Told::Notice(Sighting { deadline, fate, ..s }));
    }
    if out.is_empty() && is_spot && node.unschedulable {
        let is_new = before.is_some_and(|b| !b.unschedulable);
        let (feed, words) = match &node.ecs {
            Some(_) => (NoticeFeed::EcsInstance, "draining"),
            None => (NoticeFeed::Node, "cordoned"),
        };
        let message = format!("{}/{words}", node.uid);
        out.push(Told::Notice(sighting(NoticeKind::Leaving, feed, &message, is_new.then_some(at), words)));
    }
    out
}

/// Where a node is.
fn place(node: &Node) -> Place {
    let region = node.zone.trim_end_matches(|c: char| c.is_ascii_lowercase());
    Place {
        account: Text::empty(),
        region: if region.ends_with(|c: char| c.is_ascii_digit()) { Text::new(region) } else { Text::empty() },
        zone: node.zone.clone(),
        instance_type: node.instance_type.clone(),
    }
}

/// What an event's reason says.
fn reason(reason: &str) -> Option<(NoticeKind, Fate)> {
    Some(match reason {
        // Karpenter; then the termination handler, whose queue mode has other names.
        "SpotInterrupted" | "CapacityReservationInstanceInterrupted" => (NoticeKind::Interruption, Fate::Terminate),
        "SpotInterruption" | "SQSTermination" => (NoticeKind::Interruption, Fate::Unknown),
        "SpotRebalanceRecommendation" | "RebalanceRecommendation" => (NoticeKind::Rebalance, Fate::Unknown),
        "ScheduledEvent" => (NoticeKind::Scheduled, Fate::Unknown),
        "ASGLifecycle" => (NoticeKind::Lifecycle, Fate::Terminate),
        "InstanceStopping" => (NoticeKind::Leaving, Fate::Stop),
        "InstanceTerminating" => (NoticeKind::Leaving, Fate::Terminate),
        "InstanceUnhealthy" | "TerminatingOnInterruption" | "UnknownInterruption" => {
            (NoticeKind::Leaving, Fate::Unknown)
        }
        _ => return None,
    })
}

/// What an event tells; `node` is the row of the node that it is about, if there is one.
/// Events about anything but nodes tell nothing (Karpenter says all of it on the node, too).
#[must_use]
pub fn of_event(event: &Event, node: Option<&Node>, at: Timestamp) -> Option<Told> {
    if event.about.kind != Kind::Node {
        return None;
    }
    let instance = node.map_or_else(Text::empty, |n| n.instance.clone());
    let victim = Victim::of_node(&event.about, &instance);
    // Nothing was given after it was heard: then the clocks differ.
    let issued = event.first.or(event.last).map(|t| t.min(at));
    if event.reason == "StateChange" {
        let ended = ["shutting-down", "terminated", "stopping", "stopped"].iter().any(|s| event.message.contains(s));
        let at = sent_at(&event.message).or(issued).unwrap_or(at).min(at);
        return ended.then_some(Told::Gone(Departure { victim, feed: NoticeFeed::NodeEvent, at, taken: false }));
    }
    let azure = announced("", &event.reason, &event.message).and_then(|a| azure(&a));
    let (kind, fate) = azure.map(|(kind, fate, _)| (kind, fate)).or_else(|| reason(&event.reason))?;
    let sent = sent_at(&event.message).map(|t| t.min(at));
    let deadline = match kind {
        _ if azure.is_some() => azure_deadline(kind, azure.and_then(|(.., said)| said), issued),
        // In the machine's own metadata is when it ends, in the queue's message when it was sent.
        NoticeKind::Interruption => ends_at(&event.message)
            .map(Deadline::exact)
            .or_else(|| sent.map(|t| Deadline::exact(t + INTERRUPTION)))
            .or_else(|| issued.map(|t| Deadline::at_latest(t + INTERRUPTION))),
        NoticeKind::Scheduled => ends_at(&event.message).or_else(|| between(&event.message)).map(Deadline::exact),
        _ => None,
    };
    Some(Told::Notice(Sighting {
        victim,
        kind,
        feed: NoticeFeed::NodeEvent,
        message: Text::new(&event.id.to_string()),
        issued: sent.or(issued),
        seen: at,
        deadline,
        fate,
        place: node.map(place).unwrap_or_default(),
        detail: Text::new(&format!("{} of {}", event.reason, event.reporter)),
    }))
}

/// `... was sent at 2020-10-26 14:14:14 +0000 UTC ...`
fn sent_at(message: &str) -> Option<Timestamp> {
    let rest = message.split_once(" at ")?.1;
    let stamp = rest.get(.."2020-10-26 14:14:14".len())?;
    NaiveDateTime::parse_from_str(stamp, "%Y-%m-%d %H:%M:%S").ok().map(|t| t.and_utc())
}

/// `... will be interrupted at 2017-09-18T08:22:00Z ...`
fn ends_at(message: &str) -> Option<Timestamp> {
    let rest = message.split_once(" at ")?.1;
    let stamp = rest.split_whitespace().next()?;
    DateTime::parse_from_rfc3339(stamp).ok().map(|t| t.with_timezone(&Utc))
}

/// `... will occur between 21 Jan 2019 09:00:43 GMT and ...`
fn between(message: &str) -> Option<Timestamp> {
    let rest = message.split_once(" between ")?.1;
    let stamp = rest.split_once(" GMT")?.0;
    NaiveDateTime::parse_from_str(stamp, "%d %b %Y %H:%M:%S").ok().map(|t| t.and_utc())
}

/// What a task tells: ECS takes it back while it still runs. Of a task on an instance it
/// is the instance that goes.
#[must_use]
pub fn of_task(task: &Task, at: Timestamp) -> Option<Told> {
    let ecs = task.ecs.as_ref()?;
    let stop = ecs.stop.as_ref().filter(|s| s.at.is_none())?;
    let taken = matches!(stop.code.as_str(), "SpotInterruption" | "TerminationNotice")
        || stop.reason.starts_with("Your Spot Task was interrupted");
    if !taken {
        return None;
    }
    let on_instance = task.node.starts_with("i-");
    let issued = stop.begun;
    let from = issued.unwrap_or(at);
    let deadline = match (on_instance, ecs.stop_timeout) {
        (true, _) => Deadline::at_latest(from + INTERRUPTION),
        (false, Some(own)) if issued.is_some() => Deadline::exact(from + TimeDelta::seconds(i64::from(own))),
        (false, Some(own)) => Deadline::at_latest(from + TimeDelta::seconds(i64::from(own))),
        // How long it is left is its definition's affair, and that is not known.
        (false, None) => Deadline::usual(from + STOP_TIMEOUT),
    };
    Some(Told::Notice(Sighting {
        victim: if on_instance { Victim::Instance(task.node.clone()) } else { Victim::Task(ecs.arn.clone()) },
        kind: NoticeKind::Interruption,
        feed: NoticeFeed::EcsTask,
        message: Text::new(&format!("{}/{}", ecs.arn, stop.code)),
        issued,
        seen: at,
        deadline: Some(deadline),
        fate: Fate::Terminate,
        place: Place { zone: ecs.zone.clone(), ..Place::default() },
        detail: stop.reason.clone(),
    }))
}
