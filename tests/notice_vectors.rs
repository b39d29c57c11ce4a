//! What clusters tell of machines that are going to go, and how the word of several feeds
//! becomes one notice: the words of SEMANTICS.md, section 4, and its notes.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do, and the lint's exception for tests does not see them"
)]

use chrono::{DateTime, TimeDelta};
use proptest::prelude::*;
use quarterdeck::domain::notice::{
    Deadline, Fate, Notice, NoticeFeed, NoticeKind, Place, Precision, Sighting, Told, Victim, announced, of_event,
    of_node, of_task,
};
use quarterdeck::domain::{
    CapacityType, ClusterId, EcsTask, Event, EventLevel, Health, Kind, Labels, Node, NodeCondition, ObjectId, Stop,
    Text, Timestamp,
};

mod support;
use support::fleet;

fn at(seconds: i64) -> Timestamp {
    DateTime::from_timestamp(1_790_000_000 + seconds, 0).expect("a time")
}

fn node(taints: &str) -> Node {
    let mut node = fleet::node("ip-10-0-1-7", NodeCondition::Ready);
    node.instance = Text::new("i-0b662ef9931388ba0");
    node.capacity_type = CapacityType::Spot;
    node.taints = Text::new(taints);
    node
}

fn notices(told: Vec<Told>) -> Vec<Sighting> {
    told.into_iter()
        .map(|t| match t {
            Told::Notice(s) => s,
            other => panic!("no notice: {other:?}"),
        })
        .collect()
}

#[test]
fn each_taint_says_what_its_writer_means() {
    use NoticeKind::{Interruption, Leaving, Lifecycle, Rebalance, Scheduled};
    let cases: [(&str, Option<NoticeKind>); 13] = [
        ("aws-node-termination-handler/spot-itn=spot-itn-abc:NoSchedule", Some(Interruption)),
        ("aws-node-termination-handler/scheduled-maintenance=x:NoSchedule", Some(Scheduled)),
        ("aws-node-termination-handler/asg-lifecycle-termination=x:NoSchedule", Some(Lifecycle)),
        ("aws-node-termination-handler/rebalance-recommendation=x:NoSchedule", Some(Rebalance)),
        ("cloud.google.com/impending-node-termination:NoSchedule", Some(Interruption)),
        ("node.cloudprovider.kubernetes.io/shutdown:NoSchedule", Some(Leaving)),
        ("node.kubernetes.io/out-of-service=nodeshutdown:NoExecute", Some(Leaving)),
        ("karpenter.sh/disrupted:NoSchedule", Some(Leaving)),
        ("karpenter.sh/disruption=disrupting:NoSchedule", Some(Leaving)),
        ("ToBeDeletedByClusterAutoscaler=1790000000:NoSchedule", Some(Leaving)),
        ("node.kubernetes.io/not-ready:NoExecute", None),
        ("kubernetes.azure.com/scalesetpriority=spot:NoSchedule", None),
        ("dedicated=spot-itn:NoSchedule", None),
    ];
    for (taint, kind) in cases {
        let told = notices(of_node(&node(taint), Some(&node("")), at(0)));
        assert_eq!(told.iter().map(|s| s.kind).collect::<Vec<_>>(), Vec::from_iter(kind), "{taint}");
        for s in &told {
            assert_eq!(s.victim, Victim::Instance(Text::new("i-0b662ef9931388ba0")), "{taint}");
            assert_eq!(s.issued, Some(at(0)), "{taint}: it came just now");
        }
    }
}

#[test]
fn a_taint_of_every_disruption_says_nothing_of_a_machine_on_demand() {
    let mut row = node("karpenter.sh/disrupted:NoSchedule");
    row.capacity_type = CapacityType::OnDemand;
    assert!(of_node(&row, Some(&node("")), at(0)).is_empty());
    row.unschedulable = true;
    assert!(of_node(&row, None, at(0)).is_empty(), "a cordon on demand is somebody's work");
}

#[test]
fn a_taint_that_was_there_before_has_no_known_deadline_unless_the_handler_says_when() {
    let mut row = node("aws-node-termination-handler/spot-itn=abc:NoSchedule");
    let first = notices(of_node(&row, None, at(0)));
    assert_eq!((first[0].issued, first[0].deadline), (None, None));
    let acted = at(-30).timestamp().to_string();
    row.labels = Labels::from([(Text::new("aws-node-termination-handler/action-time"), Text::new(&acted))]);
    let told = notices(of_node(&row, None, at(0)));
    assert_eq!(told[0].issued, Some(at(-30)));
    assert_eq!(told[0].deadline, Some(Deadline::at_latest(at(90))));
    // Google leaves half a minute.
    let gone =
        notices(of_node(&node("cloud.google.com/impending-node-termination:NoSchedule"), Some(&node("")), at(0)));
    assert_eq!(gone[0].deadline, Some(Deadline::at_latest(at(30))));
}

#[test]
fn a_cordon_of_a_spot_machine_is_a_departure_of_unknown_cause() {
    let mut row = node("");
    row.unschedulable = true;
    let told = notices(of_node(&row, Some(&node("")), at(0)));
    assert_eq!((told[0].kind, told[0].feed, told[0].deadline), (NoticeKind::Leaving, NoticeFeed::Node, None));
    // Who says more makes the cordon say nothing.
    row.taints = Text::new("aws-node-termination-handler/spot-itn=abc:NoSchedule");
    assert_eq!(notices(of_node(&row, Some(&node("")), at(0))).len(), 1);
}

fn event(reason: &str, message: &str) -> Event {
    let id = |kind, name: &str| ObjectId {
        cluster: ClusterId::new("prod"),
        kind,
        namespace: Text::empty(),
        name: Text::new(name),
    };
    Event {
        id: id(Kind::Other, "ip-10-0-1-7.18a"),
        about: id(Kind::Node, "ip-10-0-1-7"),
        about_kind: Text::new("Node"),
        level: EventLevel::Warning,
        reason: Text::new(reason),
        message: Text::new(message),
        reporter: Text::new("karpenter"),
        count: 1,
        first: Some(at(0)),
        last: Some(at(0)),
    }
}

#[test]
fn each_event_says_what_its_writer_means() {
    use NoticeKind::{Interruption, Leaving, Lifecycle, Rebalance, Scheduled};
    let t = |text: &str| DateTime::parse_from_rfc3339(text).expect("a time").to_utc();
    let spot = "Spot interruption warning was triggered";
    let cases: [(&str, &str, NoticeKind, Fate, Option<Deadline>); 13] = [
        ("SpotInterrupted", spot, Interruption, Fate::Terminate, Some(Deadline::at_latest(at(120)))),
        (
            "CapacityReservationInstanceInterrupted",
            "",
            Interruption,
            Fate::Terminate,
            Some(Deadline::at_latest(at(120))),
        ),
        (
            "SpotInterruption",
            "Spot ITN received. Instance will be interrupted at 2017-09-18T08:22:00Z \n",
            Interruption,
            Fate::Unknown,
            Some(Deadline::exact(t("2017-09-18T08:22:00Z"))),
        ),
        (
            "SpotInterruption",
            "Spot Interruption notice for instance i-0b was sent at 2020-10-26 14:14:14 +0000 UTC \n",
            Interruption,
            Fate::Unknown,
            Some(Deadline::exact(t("2020-10-26T14:16:14Z"))),
        ),
        ("SQSTermination", "", Interruption, Fate::Unknown, Some(Deadline::at_latest(at(120)))),
        ("SpotRebalanceRecommendation", "", Rebalance, Fate::Unknown, None),
        ("RebalanceRecommendation", "", Rebalance, Fate::Unknown, None),
        (
            "ScheduledEvent",
            "system-reboot will occur between 21 Jan 2019 09:00:43 GMT and 21 Jan 2019 09:17:23 GMT because \"x\"\n",
            Scheduled,
            Fate::Unknown,
            Some(Deadline::exact(t("2019-01-21T09:00:43Z"))),
        ),
        ("ASGLifecycle", "", Lifecycle, Fate::Terminate, None),
        ("InstanceStopping", "", Leaving, Fate::Stop, None),
        ("InstanceTerminating", "", Leaving, Fate::Terminate, None),
        ("InstanceUnhealthy", "", Leaving, Fate::Unknown, None),
        ("TerminatingOnInterruption", "", Leaving, Fate::Unknown, None),
    ];
    for (reason, message, kind, fate, deadline) in cases {
        let Some(Told::Notice(s)) = of_event(&event(reason, message), Some(&node("")), at(2)) else {
            panic!("{reason} tells nothing")
        };
        assert_eq!((s.kind, s.fate, s.deadline), (kind, fate, deadline), "{reason}: {message}");
        assert_eq!(s.victim, Victim::Instance(Text::new("i-0b662ef9931388ba0")));
    }
    let sent = event("SpotInterruption", "notice for instance i-0b was sent at 2020-10-26 14:14:14 +0000 UTC");
    let Some(Told::Notice(s)) = of_event(&sent, None, at(2)) else { panic!("tells nothing") };
    assert_eq!(s.issued, Some(t("2020-10-26T14:14:14Z")), "when it was sent, not when the event was made");
    assert!(matches!(s.victim, Victim::Node(_)), "without its row the node stands for the machine");
}

#[test]
fn a_change_of_state_is_an_end_only_if_it_is_one() {
    let told = |state: &str| {
        let message = format!(
            "EC2 State Change event received. Instance i-0b went into {state} at 2020-10-26 14:14:14 +0000 UTC"
        );
        of_event(&event("StateChange", &message), Some(&node("")), at(2))
    };
    assert!(matches!(told("shutting-down"), Some(Told::Gone(_))));
    assert!(matches!(told("stopping"), Some(Told::Gone(_))));
    assert_eq!(told("running"), None);
    for reason in ["Cordon", "CordonAndDrain", "PreDrain", "Uncordon", "NodeReady", "Unconsolidatable"] {
        assert_eq!(of_event(&event(reason, ""), Some(&node("")), at(0)), None, "{reason}");
    }
    let mut claim = event("SpotInterrupted", "");
    claim.about.kind = Kind::Other;
    assert_eq!(of_event(&claim, None, at(0)), None, "a node claim's event is said of the node, too");
}

#[test]
fn hostile_events_tell_what_they_can_and_no_more() {
    let long = format!("at {}", "9".repeat(300_000));
    for message in ["", " at ", " at 2020-13-45 99:99:99", " between  GMT", " at \u{202e}", &long] {
        for reason in ["SpotInterruption", "ScheduledEvent", "StateChange"] {
            // No panic, and no deadline out of nothing.
            if let Some(Told::Notice(s)) = of_event(&event(reason, message), None, at(0)) {
                assert_ne!(s.deadline.map(|d| d.precision), Some(Precision::Exact), "{reason} {message:.40}");
            }
        }
    }
}

#[test]
fn a_task_that_fargate_takes_back_is_a_victim_by_itself() {
    let task = |code: &str, reason: &str, node: &str, stopped: Option<Timestamp>| {
        let mut task = fleet::task("web-1", "web", node, "Running", Health::Ok);
        task.node = Text::new(node);
        task.ecs = Some(Box::new(EcsTask {
            arn: Text::new("arn:aws:ecs:eu-west-1:1:task/shop/abc"),
            launch: Text::new("FARGATE"),
            provider: Text::new("FARGATE_SPOT"),
            capacity_type: CapacityType::Spot,
            definition: Text::new("web:12"),
            definition_arn: Text::empty(),
            zone: Text::new("eu-west-1a"),
            started: None,
            started_by: Text::empty(),
            exec: false,
            protected_until: None,
            stop_timeout: None,
            stop: Some(Stop { code: Text::new(code), reason: Text::new(reason), begun: Some(at(-5)), at: stopped }),
        }));
        task
    };
    for (code, reason) in [("SpotInterruption", ""), ("TerminationNotice", ""), ("", "Your Spot Task was interrupted.")]
    {
        let Some(Told::Notice(s)) = of_task(&task(code, reason, "", None), at(0)) else {
            panic!("{code} tells nothing")
        };
        assert!(matches!(s.victim, Victim::Task(_)));
        assert_eq!(s.deadline, Some(Deadline::usual(at(25))), "half a minute from when it was told to stop");
        let Some(Told::Notice(s)) = of_task(&task(code, reason, "i-0b662", None), at(0)) else { panic!("{code}") };
        assert_eq!(s.victim, Victim::Instance(Text::new("i-0b662")));
        assert_eq!(s.deadline, Some(Deadline::at_latest(at(115))));
    }
    // By its definition.
    let mut own = task("SpotInterruption", "", "", None);
    if let Some(ecs) = &mut own.ecs {
        ecs.stop_timeout = Some(100);
    }
    let Some(Told::Notice(s)) = of_task(&own, at(0)) else { panic!("tells nothing") };
    assert_eq!(s.deadline, Some(Deadline::exact(at(95))));
    assert_eq!(of_task(&task("UserInitiated", "somebody", "", None), at(0)), None);
    assert_eq!(of_task(&task("SpotInterruption", "", "", Some(at(-1))), at(0)), None, "it is over");
}

/// A sighting out of small numbers: few feeds, few messages, times within a story or far apart.
fn sighting() -> impl Strategy<Value = Sighting> {
    let feeds =
        [NoticeFeed::EventLog, NoticeFeed::EventQueue, NoticeFeed::Ec2, NoticeFeed::NodeEvent, NoticeFeed::NodeTaint];
    (
        0..feeds.len(),
        0..4u8,
        proptest::option::of(0..3i64),
        0..200i64,
        proptest::option::of((0..3u8, 0..100i64)),
        0..3u8,
    )
        .prop_map(move |(feed, message, story, seen, deadline, fate)| {
            let issued = story.map(|s| at(s * 3 * 3600));
            let deadline = deadline.map(|(precision, after)| {
                let when = at(after);
                match precision {
                    0 => Deadline::exact(when),
                    1 => Deadline::at_latest(when),
                    _ => Deadline::usual(when),
                }
            });
            Sighting {
                victim: Victim::Instance(Text::new("i-1")),
                kind: NoticeKind::Interruption,
                feed: feeds[feed],
                message: if message == 0 { Text::empty() } else { Text::new(&format!("m{message}")) },
                issued,
                seen: issued.unwrap_or_else(|| at(0)) + TimeDelta::seconds(seen),
                deadline,
                fate: [Fate::Unknown, Fate::Terminate, Fate::Stop][usize::from(fate)],
                place: Place { zone: Text::new(["", "a", "b"][usize::from(fate)]), ..Place::default() },
                detail: Text::empty(),
            }
        })
}

proptest! {
    #[test]
    fn the_merged_notice_does_not_depend_on_order_or_repetition(
        sightings in proptest::collection::vec(sighting(), 1..12),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 24),
    ) {
        let whole = Notice::merged(&sightings);
        // Any order, with some of them twice; each of them once at least.
        let mut mixed: Vec<Sighting> = order.iter().map(|i| i.get(&sightings).clone()).collect();
        let mut rest = sightings.clone();
        rest.reverse();
        mixed.extend(rest);
        prop_assert_eq!(&Notice::merged(&mixed), &whole);
        for notice in &whole {
            prop_assert!(!notice.told.is_empty());
            prop_assert!(notice.told.windows(2).all(|w| w[0].seen <= w[1].seen), "the first to tell stands first");
        }
    }
}

#[test]
fn the_most_precise_deadline_wins_and_the_earliest_feed_is_named() {
    let base = Sighting {
        victim: Victim::Instance(Text::new("i-1")),
        kind: NoticeKind::Interruption,
        feed: NoticeFeed::NodeTaint,
        message: Text::new("taint"),
        issued: None,
        seen: at(3),
        deadline: Some(Deadline::at_latest(at(118))),
        fate: Fate::Unknown,
        place: Place::default(),
        detail: Text::empty(),
    };
    let event = Sighting {
        feed: NoticeFeed::EventLog,
        message: Text::new("1e5527d7"),
        issued: Some(at(0)),
        seen: at(5),
        deadline: Some(Deadline::exact(at(120))),
        fate: Fate::Terminate,
        ..base.clone()
    };
    let merged = Notice::merged(&[event.clone(), base.clone(), event]);
    assert_eq!(merged.len(), 1);
    let notice = &merged[0];
    assert_eq!(notice.deadline, Some(Deadline::exact(at(120))), "exact beats earlier");
    assert_eq!(notice.told_by().map(|t| t.feed), Some(NoticeFeed::NodeTaint));
    assert_eq!(notice.lateness(), Some(TimeDelta::seconds(3)));
    assert_eq!(notice.left(at(17)), Some(TimeDelta::seconds(103)));
    assert_eq!(notice.told.iter().map(|t| t.messages).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn what_azure_announces_is_read_in_conditions_and_events() {
    use NoticeKind::{Interruption, Leaving, Scheduled};
    let when = |word: &str| format!("{word} Scheduled: Mon, 02 Mar 2026 19:01:45 GMT");
    let said = DateTime::parse_from_rfc3339("2026-03-02T19:01:45Z").expect("a time").to_utc();
    for (word, kind, fate) in [
        ("Preempt", Interruption, Fate::Terminate),
        ("Terminate", Leaving, Fate::Terminate),
        ("Redeploy", Scheduled, Fate::Stop),
        ("Reboot", Scheduled, Fate::Reboot),
        ("Freeze", Scheduled, Fate::Unknown),
    ] {
        let own = format!("{word}Scheduled");
        // By type, by reason, or by message.
        for (condition, reason) in [(own.as_str(), ""), ("VMEventScheduled", own.as_str()), ("VMEventScheduled", "")] {
            let mut row = node("");
            row.announced = Text::new(&announced(condition, reason, &when(word)).expect("it announces"));
            let told = notices(of_node(&row, Some(&node("")), at(0)));
            assert_eq!(told.len(), 1, "{condition} {reason}");
            let s = &told[0];
            assert_eq!((s.kind, s.fate, s.issued), (kind, fate, Some(at(0))), "{condition} {reason}");
            assert_eq!((s.deadline, s.detail.as_str()), (Some(Deadline::exact(said)), own.as_str()));
        }
        for reason in [own.as_str(), "VMEventScheduled"] {
            let Some(Told::Notice(s)) = of_event(&event(reason, &when(word)), Some(&node("")), at(2)) else {
                panic!("{reason} tells nothing")
            };
            assert_eq!((s.kind, s.fate, s.deadline), (kind, fate, Some(Deadline::exact(said))), "{reason}");
        }
        // Without a date a preemption comes when it usually does.
        let Some(Told::Notice(s)) = of_event(&event(&own, ""), Some(&node("")), at(2)) else { panic!("{own}") };
        assert_eq!(s.deadline, (kind == Interruption).then(|| Deadline::usual(at(30))), "{own}");
    }
    for (condition, reason, message) in [
        ("VMEventScheduled", "NoVMEventScheduled", "VM has no scheduled event"),
        ("VMEventScheduled", "VMEventScheduled", "IMDS unavailable"),
        ("KernelDeadlock", "", "Preempt Scheduled"),
        ("", "Scheduled", "Successfully assigned"),
    ] {
        assert_eq!(announced(condition, reason, message), None, "{condition} {reason} {message}");
    }
}

#[test]
fn a_cluster_whose_clock_is_ahead_is_heard_all_the_same() {
    let acted = at(200).timestamp().to_string();
    let mut row = node("aws-node-termination-handler/spot-itn=abc:NoSchedule");
    row.labels = Labels::from([(Text::new("aws-node-termination-handler/action-time"), Text::new(&acted))]);
    let told = notices(of_node(&row, None, at(0)));
    assert_eq!((told[0].issued, told[0].deadline), (Some(at(0)), Some(Deadline::at_latest(at(120)))));
    let far = at(900).timestamp().to_string();
    row.labels = Labels::from([(Text::new("aws-node-termination-handler/action-time"), Text::new(&far))]);
    assert_eq!(notices(of_node(&row, None, at(0)))[0].issued, None, "that is no time of now");
    let Some(Told::Notice(s)) = of_event(&event("SpotInterrupted", ""), Some(&node("")), at(-90)) else {
        panic!("tells nothing")
    };
    assert_eq!((s.issued, s.deadline), (Some(at(-90)), Some(Deadline::at_latest(at(30)))));
}
