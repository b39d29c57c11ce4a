//! Logs groups and EC2, as a server of the test's own plays them: what is told, by whose
//! clock, and how little is asked where nothing may be.

#![cfg(feature = "aws")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do, and the lint's exception for tests does not see them"
)]

#[path = "support/feeds.rs"]
mod feeds;
#[path = "common/web.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod web;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::TimeDelta;
use feeds::{Listener, account, interruption, plan};
use quarterdeck::clock::Clock;
use quarterdeck::domain::ClusterId;
use quarterdeck::domain::notice::{Deadline, Ending, Fate, NoticeFeed, NoticeKind, Told};
use quarterdeck::source::aws::Accounts;
use quarterdeck::source::spot::{FeedSpec, Plan, Way};
use serde_json::{Value, json};
use web::{Asked, Says, Web, says};

const GROUP: &str = "/aws/events/quarterdeck";

/// A plan that reads an account and names nothing.
fn of_account(endpoint: &str, discover: bool, ec2: bool, clock: &Clock) -> Plan {
    let accounts = Accounts::default();
    accounts.get(&account(endpoint, "k", "s"), clock);
    Plan { accounts, discover, ec2, ..plan(None) }
}

fn target(asked: &Asked) -> String {
    let head = asked.head.to_lowercase();
    let line = head.lines().find_map(|l| l.strip_prefix("x-amz-target: ")).unwrap_or_default();
    line.rsplit('.').next().unwrap_or_default().to_owned()
}

fn refused() -> Says {
    says(
        400,
        json!({"__type": "AccessDeniedException", "message": "User: u is not authorized to perform: x"}).to_string(),
    )
}

/// A Logs group: `(event id, milliseconds, message)`, two on a page.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(String, i64, String)>>>);

impl Log {
    fn put(&self, id: &str, at: i64, message: &str) {
        self.0.lock().expect("no panic").push((id.to_owned(), at, message.to_owned()));
    }

    fn page(&self, input: &Value) -> String {
        let from = input["startTime"].as_i64().unwrap_or_default();
        let skip: usize = input["nextToken"].as_str().and_then(|t| t.parse().ok()).unwrap_or_default();
        let all: Vec<_> = self.0.lock().expect("no panic").iter().filter(|e| e.1 >= from).cloned().collect();
        let events: Vec<Value> = all
            .iter()
            .skip(skip)
            .take(2)
            .map(|(id, at, m)| json!({"eventId": id, "timestamp": at, "ingestionTime": at + 500, "message": m}))
            .collect();
        let mut out = json!({"events": events});
        if skip + 2 < all.len() {
            out["nextToken"] = (skip + 2).to_string().into();
        }
        out.to_string()
    }

    async fn serve(&self) -> Web {
        let log = self.clone();
        Web::start(move |asked| {
            let input: Value = serde_json::from_str(&asked.body).unwrap_or_default();
            match target(asked).as_str() {
                "describeloggroups" => says(200, json!({"logGroups": [{"logGroupName": GROUP}]}).to_string()),
                "filterlogevents" => says(200, log.page(&input)),
                _ => refused(),
            }
        })
        .await
    }
}

fn stamp(clock: &Clock, before: TimeDelta) -> (String, i64) {
    let at = clock.now() - before;
    (at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true), at.timestamp_millis())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_found_and_every_event_told_once() {
    let clock = Clock::system();
    let log = Log::default();
    let (long_ago, long_ago_ms) = stamp(&clock, TimeDelta::minutes(40));
    for n in 0..5 {
        log.put(
            &format!("l-{n}"),
            long_ago_ms + n,
            &interruption(&format!("e-{n}"), &format!("i-{n:017x}"), &long_ago),
        );
    }
    log.put("l-odd", long_ago_ms, "no JSON");
    let web = log.serve().await;
    let mut listener = Listener::start(of_account(&web.url(), true, false, &clock), clock.clone());
    let id = "events test@eu-west-1";
    listener.until("what came before the start", |l| l.notices().len() == 5 && l.is_live(id)).await;
    // One late, one now, and one of those again under another name.
    let (late, late_ms) = stamp(&clock, TimeDelta::minutes(2));
    let (now, now_ms) = stamp(&clock, TimeDelta::zero());
    log.put("l-now", now_ms, &interruption("e-now", "i-00000000000000aaa", &now));
    log.put("l-late", late_ms, &interruption("e-late", "i-00000000000000bbb", &late));
    log.put("l-again", now_ms, &interruption("e-now", "i-00000000000000aaa", &now));
    listener.until("what came since", |l| l.notices().len() == 7).await;
    listener.pass(Duration::from_secs(1)).await;
    assert_eq!(listener.sightings().len(), 8, "each event of the log once, whatever it repeats");
    assert!(listener.notices().iter().all(|n| n.told[0].feed == NoticeFeed::EventLog && n.told[0].messages == 1));
    assert!(listener.backends[id].endpoint.starts_with(GROUP), "{}", listener.backends[id].endpoint);
    assert!(listener.notes.is_empty(), "a group that is found may hold anything: {:?}", listener.notes);
    let starts: Vec<i64> = web
        .requests()
        .iter()
        .filter(|a| target(a) == "filterlogevents")
        .filter_map(|a| serde_json::from_str::<Value>(&a.body).ok()?["startTime"].as_i64())
        .collect();
    let hour = clock.now().timestamp_millis() - 3_600_000;
    assert!((starts[0] - hour).abs() < 60_000, "one hour back at first");
    assert!(starts.is_sorted() && starts.last().is_some_and(|s| *s > starts[0]), "{starts:?}");
    assert_eq!(web.requests().iter().filter(|a| target(a) == "describeloggroups").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_named_keeps_what_is_odd_and_is_missed_if_it_is_not_there() {
    let log = Log::default();
    let (_, now) = stamp(&Clock::system(), TimeDelta::zero());
    log.put("l-odd", now, "no JSON");
    let web = log.serve().await;
    let named = |endpoint: &str, state: Option<&std::path::Path>| {
        let way = Way::Group(GROUP.to_owned());
        let feeds = vec![FeedSpec { id: ClusterId::new("spot"), account: account(endpoint, "k", "s"), way }];
        // It is not looked for as well.
        Plan { feeds, discover: true, ..plan(state) }
    };
    let dir = tempfile::tempdir().expect("a directory");
    let mut listener = Listener::start(named(&web.url(), Some(dir.path())), Clock::system());
    listener
        .until("the reason", |l| l.notes.iter().any(|n| n.contains("message l-odd is not understood: it is no JSON")))
        .await;
    listener.until("life", |l| l.is_live("spot")).await;
    assert!(std::fs::read_to_string(dir.path().join("spot-odd.jsonl")).expect("a file").contains("no JSON"));
    assert_eq!(listener.backends.len(), 1);

    let gone =
        Web::start(|_| says(400, json!({"__type": "ResourceNotFoundException", "message": "no"}).to_string())).await;
    let mut listener = Listener::start(named(&gone.url(), None), Clock::system());
    listener.until("the reason", |l| l.state("spot").0 == "down").await;
    let why = listener.state("spot").1;
    assert!(why.starts_with("there is no log group `/aws/events/quarterdeck` in eu-west-1 of test"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_asked_is_said_once_and_hardly_asked_again() {
    let web = Web::start(|asked| {
        if asked.body.starts_with("Action=") {
            says(403, "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are not authorized to perform this operation.</Message></Error></Errors></Response>")
        } else {
            refused()
        }
    })
    .await;
    let mut listener = Listener::start(of_account(&web.url(), true, true, &Clock::system()), Clock::system());
    let (events, ec2) = ("events test@eu-west-1", "ec2 test@eu-west-1");
    listener.until("both refusals", |l| l.state(events).0 == "denied" && l.state(ec2).0 == "denied").await;
    assert!(listener.state(ec2).1.contains("not allowed: ec2:Describe"), "{:?}", listener.state(ec2));
    listener.pass(Duration::from_secs(3)).await;
    assert!(web.requests().len() <= 4, "{} requests", web.requests().len());
    // Who asks for the present gets it, and is not told that all is well.
    listener.sources.refresh();
    listener.pass(Duration::from_secs(3)).await;
    assert!((5..=8).contains(&web.requests().len()), "{} requests", web.requests().len());
    assert_eq!((listener.state(events).0, listener.state(ec2).0), ("denied", "denied"));

    let none = Web::start(|_| says(200, "{\"logGroups\":[]}")).await;
    let mut listener = Listener::start(of_account(&none.url(), true, false, &Clock::system()), Clock::system());
    listener.until("that there is none", |l| l.state(events).0 == "absent").await;
    assert!(listener.state(events).1.contains("no log group under /aws/events/; docs/spot-feeds.md"));
}

/// EC2 as it stands: requests, instances and scheduled events, as XML items.
#[derive(Clone, Default)]
struct Ec2(Arc<Mutex<(String, String, String)>>);

impl Ec2 {
    async fn serve(&self) -> Web {
        let ec2 = self.clone();
        Web::start(move |asked| says(200, ec2.answer(&asked.body))).await
    }

    fn answer(&self, body: &str) -> String {
        let (requests, instances, events) = self.0.lock().expect("no panic").clone();
        match body.split(['=', '&']).nth(1).unwrap_or_default() {
            "DescribeSpotInstanceRequests" => {
                format!("<R><spotInstanceRequestSet>{requests}</spotInstanceRequestSet></R>")
            }
            "DescribeInstances" if body.contains("state-reason-code") => "<R><reservationSet/></R>".to_owned(),
            "DescribeInstances" => {
                format!("<R><reservationSet><item><instancesSet>{instances}</instancesSet></item></reservationSet></R>")
            }
            _ => format!("<R><instanceStatusSet>{events}</instanceStatusSet></R>"),
        }
    }

    fn request(&self, id: &str, code: &str, at: &str) {
        self.0.lock().expect("no panic").0 += &format!(
            "<item><spotInstanceRequestId>sir-{id}</spotInstanceRequestId><instanceId>{id}</instanceId>\
             <status><code>{code}</code><updateTime>{at}</updateTime><message>m</message></status>\
             <launchedAvailabilityZone>eu-west-1a</launchedAvailabilityZone></item>"
        );
    }

    fn instance(&self, id: &str, state: &str, reason: &str) {
        self.0.lock().expect("no panic").1 = format!(
            "<item><instanceId>{id}</instanceId><instanceState><name>{state}</name></instanceState><reason>{reason}</reason>\
             <instanceType>m7i.large</instanceType><placement><availabilityZone>eu-west-1b</availabilityZone></placement></item>"
        );
    }

    fn scheduled(&self, id: &str, description: &str) {
        self.scheduled_for(id, description, "2026-12-24T00:00:00.000Z");
    }

    fn scheduled_for(&self, id: &str, description: &str, start: &str) {
        self.0.lock().expect("no panic").2 = format!(
            "<item><instanceId>{id}</instanceId><availabilityZone>eu-west-1c</availabilityZone><eventsSet><item>\
             <instanceEventId>instance-event-1</instanceEventId><code>instance-retirement</code>\
             <description>{description}</description><notBefore>{start}</notBefore></item></eventsSet></item>"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ec2_tells_of_what_is_taken_while_it_runs_and_when_it_went() {
    let clock = Clock::system();
    let ec2 = Ec2::default();
    let victim = "i-0b662ef9931388ba0";
    let at = clock.now() - TimeDelta::seconds(10);
    let text = at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    ec2.request(victim, "instance-terminated-no-capacity", &text);
    // Too long ago to matter, and one that nobody knows any more.
    ec2.request("i-00000000000000001", "instance-terminated-no-capacity", "2020-01-01T00:00:00.000Z");
    ec2.request("i-00000000000000002", "instance-terminated-by-price", &text);
    // What a server lists that knows no filters.
    ec2.request("i-00000000000000009", "fulfilled", &text);
    ec2.instance(victim, "running", "");
    ec2.scheduled("i-00000000000000003", "The instance is running on degraded hardware");
    let web = ec2.serve().await;
    let mut listener = Listener::start(of_account(&web.url(), false, true, &clock), clock.clone());
    listener.until("both notices", |l| l.notices().len() == 2).await;
    let [taken, maintenance] = listener.notices().try_into().unwrap_or_else(|n| panic!("{n:?}"));
    let (taken, maintenance) =
        if taken.kind == NoticeKind::Interruption { (taken, maintenance) } else { (maintenance, taken) };
    assert_eq!((taken.victim.name(), taken.fate), (victim, Fate::Terminate));
    let issued = chrono::DateTime::from_timestamp_millis(at.timestamp_millis()).expect("a time");
    assert_eq!((taken.issued, taken.deadline), (issued, Some(Deadline::exact(issued + TimeDelta::seconds(120)))));
    assert_eq!((taken.place.zone.as_str(), taken.place.instance_type.as_str()), ("eu-west-1b", "m7i.large"));
    assert_eq!((maintenance.kind, maintenance.detail.as_str()), (NoticeKind::Scheduled, "instance-retirement"));
    assert_eq!(maintenance.deadline.map(|d| d.at.to_rfc3339()), Some("2026-12-24T00:00:00+00:00".to_owned()));
    listener.pass(Duration::from_secs(2)).await;
    assert_eq!(listener.told.len(), 2, "each is told once, however often it is read: {:?}", listener.told);

    ec2.instance(victim, "shutting-down", "Server.SpotInstanceTermination (2026-11-20 10:02:00 GMT)");
    listener.until("its end", |l| l.told.iter().any(|t| matches!(t, Told::Gone(_)))).await;
    let gone =
        listener.told.iter().find_map(|t| if let Told::Gone(g) = t { Some(g.clone()) } else { None }).expect("one");
    assert_eq!(
        (gone.victim.name(), gone.taken, gone.at.to_rfc3339().as_str()),
        (victim, true, "2026-11-20T10:02:00+00:00")
    );
    listener.pass(Duration::from_secs(1)).await;
    assert_eq!(listener.told.len(), 3, "{:?}", listener.told);
}

/// What a poll makes of an instance that ended before it came by: whether notice was given, and
/// how long after the request's status it went.
async fn late_poll(code: &str, since: i64, reason: &str) -> (bool, i64, bool) {
    let clock = Clock::system();
    let ec2 = Ec2::default();
    let victim = "i-0b662ef9931388ba0";
    // What EC2 writes of an end is to the second.
    let at = chrono::DateTime::from_timestamp(clock.now().timestamp() - since, 0).expect("a time");
    ec2.request(victim, code, &at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
    let ended = (at + TimeDelta::seconds(119)).format("%Y-%m-%d %H:%M:%S GMT").to_string();
    ec2.instance(victim, "shutting-down", &reason.replace("ENDED", &ended));
    let web = ec2.serve().await;
    let mut listener = Listener::start(of_account(&web.url(), false, true, &clock), clock.clone());
    listener.until("its end", |l| l.told.iter().any(|t| matches!(t, Told::Gone(_)))).await;
    let gone = listener.told.iter().find_map(|t| if let Told::Gone(g) = t { Some(g.clone()) } else { None });
    let gone = gone.expect("its end");
    (!listener.notices().is_empty(), (gone.at - at).num_seconds(), gone.taken)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_that_comes_late_tells_a_notice_from_an_end_without_one() {
    let taken = "instance-terminated-no-capacity";
    // EC2 does not say when: gone before its two minutes, it had none.
    assert_eq!(late_poll(taken, 30, "").await, (false, 0, true));
    assert_eq!(late_poll(taken, 90, "").await, (false, 0, true));
    assert_eq!(late_poll(taken, 200, "").await, (true, 120, true));
    // It says when.
    assert_eq!(late_poll(taken, 200, "Server.SpotInstanceTermination (ENDED)").await, (true, 119, true));
    // Hibernation begins with its notice.
    assert!(late_poll("marked-for-hibernation", 10, "").await.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn maintenance_that_is_over_says_whether_it_was_called_off() {
    for (word, want) in [("Canceled", Ending::Cancelled), ("Completed", Ending::Completed)] {
        let clock = Clock::system();
        let ec2 = Ec2::default();
        ec2.scheduled("i-00000000000000003", &format!("[{word}] The instance is running on degraded hardware"));
        let web = ec2.serve().await;
        let mut listener = Listener::start(of_account(&web.url(), false, true, &clock), clock.clone());
        listener.until("its end", |l| !l.told.is_empty()).await;
        let over = |t: &Told| matches!(t, Told::Over { victim, kind: NoticeKind::Scheduled, end, .. } if victim.name() == "i-00000000000000003" && *end == want);
        listener.pass(Duration::from_secs(1)).await;
        assert!(listener.told.len() == 1 && listener.told.iter().all(over), "{:?}", listener.told);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn maintenance_that_is_moved_has_the_date_that_was_told_last() {
    let (clock, ec2, id) = (Clock::system(), Ec2::default(), "i-00000000000000003");
    let hardware = "The instance is running on degraded hardware";
    ec2.scheduled(id, hardware);
    let web = ec2.serve().await;
    let mut listener = Listener::start(of_account(&web.url(), false, true, &clock), clock.clone());
    let date = |l: &Listener| match l.notices().as_slice() {
        [one] => one.deadline.map(|d| d.at.to_rfc3339()),
        other => panic!("one event is one notice: {other:?}"),
    };
    listener.until("the first date", |l| !l.told.is_empty()).await;
    assert_eq!(date(&listener).as_deref(), Some("2026-12-24T00:00:00+00:00"));
    // Later, and earlier than it was first.
    for (told, start, want) in [
        (2, "2027-01-07T00:00:00.000Z", "2027-01-07T00:00:00+00:00"),
        (3, "2026-12-23T12:00:00.000Z", "2026-12-23T12:00:00+00:00"),
    ] {
        ec2.scheduled_for(id, hardware, start);
        listener.until("the new date", |l| l.told.len() >= told).await;
        assert_eq!(date(&listener).as_deref(), Some(want));
        assert!(listener.told.iter().all(|t| matches!(t, Told::Notice(_))), "it is not over: {:?}", listener.told);
    }
    // The same date again is no news, and its end ends the one notice.
    listener.pass(Duration::from_secs(5)).await;
    assert_eq!(listener.told.len(), 3);
    ec2.scheduled_for(id, &format!("[Canceled] {hardware}"), "2026-12-23T12:00:00.000Z");
    let over =
        |t: &Told| matches!(t, Told::Over { message, end: Ending::Cancelled, .. } if *message == *"instance-event-1");
    listener.until("its end", |l| l.told.last().is_some_and(over)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_look_at_instances_what_is_taken_is_told_all_the_same() {
    let clock = Clock::system();
    let ec2 = Ec2::default();
    let at = clock.now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    ec2.request("i-0b662ef9931388ba0", "marked-for-stop", &at);
    let web = Web::start(move |asked| {
        if asked.body.starts_with("Action=DescribeInstances&") {
            let body = "<R><Errors><Error><Code>UnauthorizedOperation</Code><Message>no</Message></Error></Errors></R>";
            return says(403, body);
        }
        says(200, ec2.answer(&asked.body))
    })
    .await;
    let mut listener = Listener::start(of_account(&web.url(), false, true, &clock), clock.clone());
    listener.until("the notice", |l| l.notices().len() == 1).await;
    assert_eq!(listener.notices()[0].fate, Fate::Stop);
    listener.until("the rest", |l| l.is_live("ec2 test@eu-west-1")).await;
    listener.pass(Duration::from_secs(2)).await;
    let said: Vec<&String> =
        listener.notes.iter().filter(|n| n.contains("not allowed: ec2:DescribeInstances")).collect();
    assert_eq!((said.len(), listener.told.len()), (1, 1), "{:?}", listener.notes);
    assert_eq!(web.requests().iter().filter(|a| a.body.starts_with("Action=DescribeInstances&")).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_wrong_by_ninety_seconds_shows_what_is_left() {
    // AWS's clock is the machine's; the console's is ahead.
    let aws = Clock::system();
    let clock = Clock::manual(aws.now() + TimeDelta::seconds(90));
    let at = aws.now() - TimeDelta::seconds(30);
    let text = at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let log = Log::default();
    log.put("l-1", at.timestamp_millis(), &interruption("e-1", "i-0b662ef9931388ba0", &text));
    let ec2 = Ec2::default();
    ec2.request("i-0b662ef9931388ba0", "instance-terminated-no-capacity", &text);
    ec2.instance("i-0b662ef9931388ba0", "running", "");
    let web = Web::start(move |asked| {
        let date = Clock::system().now().format("Date: %a, %d %b %Y %H:%M:%S GMT\r\n").to_string();
        let headers: &'static str = Box::leak(date.into_boxed_str());
        let body = match target(asked).as_str() {
            "describeloggroups" => json!({"logGroups": [{"logGroupName": GROUP}]}).to_string(),
            "filterlogevents" => log.page(&serde_json::from_str(&asked.body).unwrap_or_default()),
            _ => ec2.answer(&asked.body),
        };
        Says { headers, ..says(200, body) }
    })
    .await;
    let mut listener = Listener::start(of_account(&web.url(), true, true, &clock), clock.clone());
    listener.until("both feeds", |l| l.notices().first().is_some_and(|n| n.told.len() == 2)).await;
    for s in listener.sightings() {
        let left = s.deadline.expect("a deadline").at - s.seen;
        let off = (left - TimeDelta::seconds(90)).num_milliseconds().abs();
        assert!(off <= 2_500, "{left} left by {:?}, which is {off} ms off", s.feed);
    }
}
