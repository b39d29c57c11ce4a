//! Every message of SEMANTICS.md section 4, as it comes; then what no sender should send.

use super::*;
use chrono::TimeZone as _;
use proptest::prelude::*;

fn at(h: u32, m: u32, s: u32) -> Timestamp {
    Utc.with_ymd_and_hms(2026, 11, 20, h, m, s).unwrap()
}

fn hearing(feed: NoticeFeed, ahead: TimeDelta) -> Hearing<'static> {
    Hearing { feed, seen: at(10, 0, 3) + ahead, ahead, id: "m-1" }
}

fn heard(body: &str) -> Heard {
    read(body, &hearing(NoticeFeed::EventLog, TimeDelta::zero()))
}

fn told(body: &str) -> Vec<Told> {
    match heard(body).says {
        Says::Tells(told) => told,
        other => panic!("{other:?}: {body}"),
    }
}

fn notice(body: &str) -> Sighting {
    match told(body).as_slice() {
        [Told::Notice(s)] => s.clone(),
        other => panic!("{other:?}: {body}"),
    }
}

/// EventBridge's envelope.
fn envelope(kind: &str, source: &str, detail: &str) -> String {
    format!(
        "{{\"version\":\"0\",\"id\":\"1e5527d7-bb36-4607-3370-4164db56a40e\",\"detail-type\":\"{kind}\",\
         \"source\":\"{source}\",\"account\":\"123456789012\",\"time\":\"2026-11-20T10:00:00Z\",\"region\":\"us-east-1\",\
         \"resources\":[\"arn:aws:ec2:us-east-1b:instance/i-0000000000000dead\"],\"detail\":{detail}}}"
    )
}

fn interruption(action: &str) -> String {
    envelope(
        "EC2 Spot Instance Interruption Warning",
        "aws.ec2",
        &format!("{{\"instance-id\":\"i-0b662ef9931388ba0\",\"instance-action\":\"{action}\"}}"),
    )
}

fn instance_event(kind: &str) -> String {
    envelope(kind, "aws.ec2", "{\"instance-id\":\"i-0b662ef9931388ba0\"}")
}

const HOOK: &str = "{\"LifecycleActionToken\":\"87654321-4321\",\"AutoScalingGroupName\":\"workers\",\
    \"LifecycleHookName\":\"drain\",\"EC2InstanceId\":\"i-0b662ef9931388ba0\",\
    \"LifecycleTransition\":\"autoscaling:EC2_INSTANCE_TERMINATING\"}";
const HEALTH: &str = "{\"eventArn\":\"arn:aws:health:us-east-1::event/EC2/x\",\"service\":\"EC2\",\
    \"eventTypeCode\":\"AWS_EC2_INSTANCE_STOP_SCHEDULED\",\"eventTypeCategory\":\"scheduledChange\",\
    \"startTime\":\"Sat, 21 Nov 2026 15:10:09 GMT\",\"endTime\":\"Sat, 21 Nov 2026 15:10:09 GMT\",\
    \"eventDescription\":[{\"language\":\"en_US\",\"latestDescription\":\"...\"}],\
    \"affectedEntities\":[{\"entityValue\":\"i-0b662ef9931388ba0\",\"tags\":{}},{\"entityValue\":\"i-0000000000000beef\"}]}";

fn task(rest: &str) -> String {
    envelope(
        "ECS Task State Change",
        "aws.ecs",
        &format!(
            "{{\"clusterArn\":\"arn:aws:ecs:us-east-1:1:cluster/C\",\"taskArn\":\"arn:aws:ecs:us-east-1:1:task/C/T\",\
             \"createdAt\":\"2026-11-20T09:00:00Z\",\"version\":5,{rest}}}"
        ),
    )
}

const TAKEN_BACK: &str = "\"desiredStatus\":\"STOPPED\",\"lastStatus\":\"RUNNING\",\"stopCode\":\"SpotInterruption\",\
    \"stoppedReason\":\"Your Spot Task was interrupted.\"";

fn drain(status: &str, instance: &str) -> String {
    envelope(
        "ECS Container Instance State Change",
        "aws.ecs",
        &format!(
            "{{\"clusterArn\":\"c\",\"containerInstanceArn\":\"a\",\"ec2InstanceId\":\"{instance}\",\
             \"status\":\"{status}\",\"agentConnected\":true,\"runningTasksCount\":3,\"version\":7}}"
        ),
    )
}

fn victim() -> Victim {
    Victim::Instance(Text::new("i-0b662ef9931388ba0"))
}

/// A message, and what it says: of whom, why, what is done, when, and more.
type Row = (String, Victim, NoticeKind, Fate, Option<Deadline>, &'static str);

#[test]
fn every_kind_of_notice() {
    use NoticeKind::{Interruption, Leaving, Lifecycle, Rebalance};
    let exact = |h, m, s| Some(Deadline::exact(at(h, m, s)));
    let direct = format!(
        "{},\"Service\":\"AWS Auto Scaling\",\"AccountId\":\"123456789012\",\"RequestId\":\"r-1\",\
         \"Time\":\"2026-11-20T10:00:00.000Z\"}}",
        HOOK.trim_end_matches('}')
    );
    let fargate = Victim::Task(Text::new("arn:aws:ecs:us-east-1:1:task/C/T"));
    let usual = Some(Deadline::usual(at(10, 0, 30)));
    let table: Vec<Row> = vec![
        (interruption("terminate"), victim(), Interruption, Fate::Terminate, exact(10, 2, 0), ""),
        (interruption("stop"), victim(), Interruption, Fate::Stop, exact(10, 2, 0), ""),
        (interruption("hibernate"), victim(), Interruption, Fate::Hibernate, exact(10, 0, 0), ""),
        (interruption("vaporize"), victim(), Interruption, Fate::Unknown, exact(10, 2, 0), ""),
        (
            instance_event("EC2 Capacity Reservation Instance Interruption Warning"),
            victim(),
            Interruption,
            Fate::Unknown,
            exact(10, 2, 0),
            "",
        ),
        (instance_event("EC2 Instance Rebalance Recommendation"), victim(), Rebalance, Fate::Unknown, None, ""),
        (instance_event("EC2 Spot Instance Rebalance Recommended"), victim(), Rebalance, Fate::Unknown, None, ""),
        (
            envelope("EC2 Instance-terminate Lifecycle Action", "aws.autoscaling", HOOK),
            victim(),
            Lifecycle,
            Fate::Terminate,
            None,
            "workers",
        ),
        (direct, victim(), Lifecycle, Fate::Terminate, None, "workers"),
        (task(TAKEN_BACK), fargate.clone(), Interruption, Fate::Terminate, usual, "Your Spot Task was interrupted."),
        (
            task(
                "\"lastStatus\":\"RUNNING\",\"stopCode\":\"TerminationNotice\",\"stoppingAt\":\"2026-11-20T10:00:10Z\"",
            ),
            fargate.clone(),
            Interruption,
            Fate::Terminate,
            Some(Deadline::usual(at(10, 0, 40))),
            "",
        ),
        (
            task("\"launchType\":\"FARGATE\",\"stoppedReason\":\"Your Spot Task was interrupted.\""),
            fargate,
            Interruption,
            Fate::Terminate,
            usual,
            "Your Spot Task was interrupted.",
        ),
        (
            task("\"launchType\":\"EC2\",\"ec2InstanceId\":\"i-0b662ef9931388ba0\",\"stopCode\":\"SpotInterruption\""),
            victim(),
            Interruption,
            Fate::Terminate,
            Some(Deadline::at_latest(at(10, 2, 0))),
            "",
        ),
        (drain("DRAINING", "i-0b662ef9931388ba0"), victim(), Leaving, Fate::Unknown, None, "draining"),
    ];
    for (body, victim, kind, fate, deadline, detail) in table {
        // Bare, wrapped by SNS, and wrapped twice.
        let sns = |body: &str| {
            serde_json::json!({"Type": "Notification", "MessageId": "x", "TopicArn": "arn:aws:sns:r:1:t",
                "Message": body, "Timestamp": "2026-11-20T10:00:01Z"})
            .to_string()
        };
        for body in [body.clone(), sns(&body), sns(&sns(&body))] {
            let s = notice(&body);
            assert_eq!((&s.victim, s.kind, s.fate), (&victim, kind, fate), "{body}");
            assert_eq!((s.deadline, s.detail.as_str()), (deadline, detail), "{body}");
            assert_eq!((s.issued, s.seen), (Some(at(10, 0, 0)), at(10, 0, 3)), "{body}");
            assert_eq!((s.feed, s.place.account.as_str()), (NoticeFeed::EventLog, "123456789012"), "{body}");
            // The same again is the same, through the other feed as well but for its name.
            assert_eq!(notice(&body), s);
            let other = read(&body, &hearing(NoticeFeed::EventQueue, TimeDelta::zero()));
            let Says::Tells(other) = other.says else { panic!("{body}") };
            assert_eq!(other, [Told::Notice(Sighting { feed: NoticeFeed::EventQueue, ..s })]);
        }
    }
}

#[test]
fn duplicates_in_any_order_are_one_notice() {
    use crate::domain::notice::Notice;
    let bodies = [interruption("terminate"), interruption("terminate"), drain("DRAINING", "i-0b662ef9931388ba0")];
    let mut sightings: Vec<Sighting> =
        bodies.iter().map(|b| notice(b)).filter(|s| s.kind == NoticeKind::Interruption).collect();
    let other = Sighting { feed: NoticeFeed::EventQueue, seen: at(10, 0, 1), ..sightings[0].clone() };
    sightings.push(other);
    let merged = Notice::merged(&sightings);
    sightings.reverse();
    assert_eq!(Notice::merged(&sightings), merged);
    let [one] = merged.as_slice() else { panic!("{merged:?}") };
    assert_eq!(
        one.told.iter().map(|t| (t.feed, t.messages)).collect::<Vec<_>>(),
        [(NoticeFeed::EventQueue, 1), (NoticeFeed::EventLog, 1)]
    );
}

#[test]
fn maintenance_is_of_every_instance_and_may_be_called_off() {
    let body = envelope("AWS Health Event", "aws.health", HEALTH);
    let start = Deadline::exact(Utc.with_ymd_and_hms(2026, 11, 21, 15, 10, 9).unwrap());
    let found: Vec<(String, Option<Deadline>, Fate, String)> = told(&body)
        .iter()
        .map(|t| match t {
            Told::Notice(s) => (s.victim.name().to_owned(), s.deadline, s.fate, s.detail.to_string()),
            other => panic!("{other:?}"),
        })
        .collect();
    let row = |id: &str| (id.to_owned(), Some(start), Fate::Stop, "AWS_EC2_INSTANCE_STOP_SCHEDULED".to_owned());
    assert_eq!(found, [row("i-0b662ef9931388ba0"), row("i-0000000000000beef")]);
    // The day of the week may be wrong, as it is in AWS's own example.
    let wrong_day = body.replace("Sat, 21 Nov", "Mon, 21 Nov");
    assert_eq!(told(&wrong_day), told(&body));
    let closed = envelope(
        "AWS Health Event",
        "aws.health",
        &HEALTH.replace("\"service\"", "\"statusCode\":\"closed\",\"service\""),
    );
    let over = |v: Victim| Told::Over {
        victim: v,
        kind: NoticeKind::Scheduled,
        message: Text::new("arn:aws:health:us-east-1::event/EC2/x"),
        end: Ending::Unknown,
        at: at(10, 0, 0),
    };
    assert_eq!(told(&closed), [over(victim()), over(Victim::Instance(Text::new("i-0000000000000beef")))]);
    let no_start = envelope("AWS Health Event", "aws.health", &HEALTH.replace("startTime", "beginTime"));
    assert!(told(&no_start).iter().all(|t| matches!(t, Told::Notice(s) if s.deadline.is_none())));
}

#[test]
fn what_has_gone() {
    for state in ["stopping", "stopped", "shutting-down", "terminated"] {
        let body = envelope(
            "EC2 Instance State-change Notification",
            "aws.ec2",
            &format!("{{\"instance-id\":\"i-0b662ef9931388ba0\",\"state\":\"{state}\"}}"),
        );
        let gone = Departure { victim: victim(), feed: NoticeFeed::EventLog, at: at(10, 0, 0), taken: false };
        assert_eq!(told(&body), [Told::Gone(gone)]);
    }
    let stopped = task(
        &TAKEN_BACK
            .replace("RUNNING", "STOPPED")
            .replace("\"stopCode\"", "\"stoppedAt\":\"2026-11-20T09:59:58Z\",\"stopCode\""),
    );
    let all = told(&stopped);
    let [Told::Gone(gone)] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((gone.at, gone.taken, gone.victim.name()), (at(9, 59, 58), true, "T"));
}

/// AWS's own example, of this action and with this in its detail.
fn action(name: &str, rest: &str) -> String {
    let detail = format!(
        "{{\"eventType\":\"INFO\",\"eventName\":\"{name}\",{rest}\"clusterArn\":\"arn:aws:ecs:us-east-1:1:cluster/C\",\
         \"createdAt\":\"2026-11-20T10:00:00.725Z\"}}"
    );
    envelope("ECS Service Action", "aws.ecs", &detail)
        .replace("arn:aws:ec2:us-east-1b:instance/i-0000000000000dead", "arn:aws:ecs:us-east-1:1:service/C/web")
}

#[test]
fn what_services_say_of_their_placement() {
    use crate::domain::placement::{Placement, Placing, Shortage, Teller};
    const FAILURE: &str = "SERVICE_TASK_PLACEMENT_FAILURE";
    let providers = "\"capacityProviderArns\":[\"arn:aws:ecs:us-east-1:1:capacity-provider/FARGATE_SPOT\"],";
    let failed =
        |why, providers: &[&str]| Placing::Failed { why, providers: providers.iter().map(|p| Text::new(p)).collect() };
    let table = [
        (
            action(FAILURE, &format!("{providers}\"reason\":\"RESOURCE:FARGATE\",")),
            failed(Shortage::Fargate, &["FARGATE_SPOT"]),
        ),
        // With the ARNs of the nearest instances instead of a provider.
        (
            action(FAILURE, "\"containerInstanceArns\":[\"arn:x\"],\"reason\":\"RESOURCE:CPU\","),
            failed(Shortage::Cpu, &[]),
        ),
        (
            action(
                FAILURE,
                "\"capacityProviderArns\":[\"arn:b/y\",5,\"arn:a/x\",\"arn:b/y\"],\"reason\":\"RESOURCE:MEMORY\",",
            ),
            failed(Shortage::Memory, &["x", "y"]),
        ),
        (action(FAILURE, "\"capacityProviderArns\":{},"), failed(Shortage::Other(Text::empty()), &[])),
        (
            action("SERVICE_TASK_CONFIGURATION_FAILURE", "\"reason\":\"role\","),
            failed(Shortage::Settings(Text::new("role")), &[]),
        ),
        (action("SERVICE_STEADY_STATE", ""), Placing::Steady),
    ];
    for (body, says) in table {
        let at = at(10, 0, 0) + TimeDelta::milliseconds(725);
        let service = Text::new("arn:aws:ecs:us-east-1:1:service/C/web");
        let want = Placement { at, service, says, teller: Teller::EventLog };
        assert_eq!(told(&body), [Told::Placement(want.clone())], "{body}");
        // An ARN of old has no cluster in it.
        assert_eq!(told(&body.replace("service/C/web", "service/web")), [Told::Placement(want.clone())]);
        // A time that is not the event's is not believed.
        let other = told(&body.replace("2026-11-20T10:00:00.725Z", "2026-11-06T19:09:33.087Z"));
        assert_eq!(other, [Told::Placement(Placement { at: self::at(10, 0, 0), ..want.clone() })]);
        // The queue says the same, by the console's clock.
        let ahead = TimeDelta::seconds(90);
        let Says::Tells(queued) = read(&body, &hearing(NoticeFeed::EventQueue, ahead)).says else { panic!("{body}") };
        assert_eq!(queued, [Told::Placement(Placement { at: at + ahead, teller: Teller::EventQueue, ..want })]);
    }
}

#[test]
fn what_does_not_matter_is_ignored_by_name() {
    let state = |s: &str| {
        envelope(
            "EC2 Instance State-change Notification",
            "aws.ec2",
            &format!("{{\"instance-id\":\"i-0b662ef9931388ba0\",\"state\":\"{s}\"}}"),
        )
    };
    let table = [
        state("running"),
        state("pending"),
        envelope("CloudWatch Alarm State Change", "aws.cloudwatch", "{\"alarmName\":\"x\"}"),
        envelope("Something New", "aws.new", "{}"),
        envelope("Something New", "aws.new", "5"),
        envelope(
            "EC2 Instance-terminate Lifecycle Action",
            "aws.autoscaling",
            &HOOK.replace("TERMINATING", "LAUNCHING"),
        ),
        "{\"AccountId\":\"1\",\"Event\":\"autoscaling:TEST_NOTIFICATION\",\"Service\":\"AWS Auto Scaling\"}".to_owned(),
        "{\"AccountId\":\"1\",\"LifecycleTransition\":\"autoscaling:TEST_NOTIFICATION\"}".to_owned(),
        envelope("AWS Health Event", "aws.health", &HEALTH.replace("\"EC2\"", "\"RDS\"")),
        envelope("AWS Health Event", "aws.health", &HEALTH.replace("scheduledChange", "issue")),
        task("\"lastStatus\":\"STOPPED\",\"stopCode\":\"UserInitiated\",\"stoppedReason\":\"bye\""),
        task(&format!("{TAKEN_BACK},\"launchType\":\"EC2\",\"containerInstanceArn\":\"arn:x\"")),
        drain("ACTIVE", "i-0b662ef9931388ba0"),
        drain("DRAINING", "mi-0b662ef9931388ba0"),
        action("SERVICE_TASK_START_IMPAIRED", ""),
        action("CAPACITY_PROVIDER_STEADY_STATE", ""),
    ];
    for body in table {
        assert!(matches!(heard(&body).says, Says::Ignored(what) if !what.is_empty()), "{body}");
    }
}

#[test]
fn what_makes_no_sense_is_odd_and_has_a_name() {
    let deep = "[".repeat(200_000);
    let nested = format!("{{\"detail-type\":\"EC2 Spot Instance Interruption Warning\",\"detail\":{deep}");
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(256 * 1024));
    let wrapped = (0..5).fold(interruption("stop"), |body, _| serde_json::json!({"Message": body}).to_string());
    let warning = "EC2 Spot Instance Interruption Warning";
    let table = [
        String::new(),
        "not JSON".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        interruption("stop")[..200].to_owned(),
        "\u{feff}{}".to_owned(),
        "{\"Message\":\"hello\"}".to_owned(),
        deep,
        nested,
        long,
        wrapped,
        "{\"detail-type\":5,\"detail\":{}}".to_owned(),
        envelope(warning, "aws.ec2", "{}"),
        envelope(warning, "aws.ec2", "null"),
        envelope(warning, "aws.ec2", "[1]"),
        envelope(warning, "aws.ec2", "{\"instance-id\":5}"),
        envelope(warning, "aws.ec2", "{\"instance-id\":\"\"}"),
        envelope(warning, "aws.ec2", "{\"instance-id\":\"i-\\u001b[31m\"}"),
        envelope(warning, "aws.ec2", &format!("{{\"instance-id\":\"i-{}\"}}", "a".repeat(100_000))),
        envelope("EC2 Instance State-change Notification", "aws.ec2", "{\"state\":\"melting\"}"),
        envelope("AWS Health Event", "aws.health", &HEALTH.replace("affectedEntities", "other")),
        envelope("ECS Task State Change", "aws.ecs", "{\"stopCode\":\"SpotInterruption\",\"taskArn\":[]}"),
        envelope("ECS Container Instance State Change", "aws.ecs", "{\"status\":\"DRAINING\"}"),
        // The resources of these are an instance.
        envelope("ECS Service Action", "aws.ecs", "{}"),
        envelope("ECS Service Action", "aws.ecs", "{\"eventName\":\"SERVICE_STEADY_STATE\"}"),
        action("SERVICE_STEADY_STATE", "").replace("[\"arn:aws:ecs:us-east-1:1:service/C/web\"]", "{}"),
        "{\"LifecycleTransition\":\"autoscaling:EC2_INSTANCE_TERMINATING\"}".to_owned(),
    ];
    for body in table {
        let start: String = body.chars().take(120).collect();
        let heard = heard(&body);
        assert!(matches!(heard.says, Says::Odd(_)), "{heard:?}: {start}");
        assert!(!heard.id.is_empty() && heard.id.len() <= 210, "{start}");
    }
}

#[test]
fn times_that_nobody_can_have_are_not_believed() {
    for time in ["", "yesterday", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-11-20T11:00:00Z"] {
        let s = notice(&interruption("terminate").replace("2026-11-20T10:00:00Z", time));
        assert_eq!((s.issued, s.deadline), (None, Some(Deadline::at_latest(at(10, 2, 3)))), "{time}");
    }
    let without = notice(&interruption("terminate").replace("\"time\"", "\"zeit\""));
    assert_eq!(without.issued, None);
    let late = notice(&interruption("terminate").replace("10:00:00Z", "08:00:00+00:00"));
    assert_eq!(late.deadline, Some(Deadline::exact(at(8, 2, 0))), "old ones are told as old");
}

#[test]
fn the_consoles_clock_is_the_one_that_counts() {
    for ahead in [TimeDelta::seconds(90), TimeDelta::seconds(-90)] {
        let heard = read(&interruption("terminate"), &hearing(NoticeFeed::EventLog, ahead));
        let Says::Tells(told) = heard.says else { panic!() };
        let [Told::Notice(s)] = told.as_slice() else { panic!() };
        assert_eq!(s.deadline, Some(Deadline::exact(at(10, 2, 0) + ahead)));
        let left = s.deadline.unwrap().at - s.seen;
        assert_eq!(left, TimeDelta::seconds(117), "what is left is what is left");
    }
}

#[test]
fn a_notice_in_a_message_of_256_kb_is_a_notice() {
    let body = interruption("terminate").replacen('{', &format!("{{\"more\":\"{}\",", "ü".repeat(128 * 1024)), 1);
    assert!(body.len() > 256 * 1024);
    assert_eq!(notice(&body).deadline, Some(Deadline::exact(at(10, 2, 0))));
}

#[test]
fn the_end_of_a_machine_is_no_notice_of_it() {
    let body = r#"{"id": "e", "detail-type": "ECS Task State Change", "source": "aws.ecs", "time": "2026-11-20T10:00:00Z",
        "detail": {"taskArn": "arn:aws:ecs:eu-west-1:123456789012:task/shop/0123", "launchType": "EC2",
        "ec2InstanceId": "i-0b662ef9931388ba0", "lastStatus": "STOPPED", "desiredStatus": "STOPPED",
        "stopCode": "TerminationNotice", "stoppedReason": "Host EC2 (instance i-0b662ef9931388ba0) terminated."}}"#;
    assert_eq!(heard(body).says, Says::Ignored("ECS task whose machine has gone".to_owned()));
}

#[test]
fn the_event_has_a_name_whatever_brings_it() {
    assert_eq!(heard(&interruption("stop")).id, "1e5527d7-bb36-4607-3370-4164db56a40e");
    assert_eq!(heard(HOOK).id, "87654321-4321");
    assert_eq!(heard("{\"Event\":\"x\",\"RequestId\":\"r\"}").id, "r");
    assert_eq!(heard("garbage").id, "m-1");
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(body in any::<String>(), cut in 0_usize..600, with in any::<String>()) {
        let _ = heard(&body);
        for whole in [interruption("terminate"), envelope("AWS Health Event", "aws.health", HEALTH), task(TAKEN_BACK)] {
            let mut cut = cut.min(whole.len());
            while !whole.is_char_boundary(cut) {
                cut -= 1;
            }
            let _ = heard(&format!("{}{with}{}", &whole[..cut], &whole[cut..]));
            let _ = heard(&whole[..cut]);
        }
    }
}
