//! Alarms: gathered so that one outage is not ninety lines, with their history, what is
//! new of them, and what the user does with them.

mod support;

use std::collections::HashSet;
use std::sync::Arc;

use chrono::TimeDelta;
use quarterdeck::app::table::{Scope, ViewKind};
use quarterdeck::app::{Effect, Page};
use quarterdeck::config::Notify;
use quarterdeck::domain::{
    Alarm, AlarmMore, AlarmSilence, AlarmSource, AlarmState, ClusterId, Health, Kind, Labels, NodeCondition, ObjectId,
    Severity, Text, Timestamp,
};
use quarterdeck::key::parse_sequence;
use quarterdeck::run::notify::Notifier;
use quarterdeck::store::alarm_groups::{Group, groups, lines, trouble};
use quarterdeck::store::alarm_log::{AlarmRules, CHANGES, FLAPPING};
use quarterdeck::store::problems::problems;
use quarterdeck::store::{Body, Feed, Observation, Rows, SourceId, Store};
use quarterdeck::term::Signal;
use support::fleet::{Desk, cluster, id, node, now, observe, small_fleet, task, workload};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(k, v)| (Text::new(k), Text::new(v))).collect()
}

fn alarm(name: &str, severity: Severity, about: Option<ObjectId>) -> Alarm {
    Alarm {
        id: id(Kind::Alarm, "", name),
        uid: Text::new(&format!("arn:aws:cloudwatch:eu-west-1:1:alarm:{name}")),
        account_wide: false,
        source: AlarmSource::CloudWatchMetric,
        state: AlarmState::Firing,
        severity,
        since: Some(now() - TimeDelta::minutes(6)),
        summary: Text::new("What it is for."),
        reason: Text::empty(),
        value: Some(93.5),
        threshold: Some(80.0),
        labels: labels(&[]),
        about,
        suppressed_by: Text::empty(),
        runbook: Text::empty(),
        more: AlarmMore { unit: Text::new("Percent"), ..AlarmMore::default() },
    }
}

fn alert(name: &str, pod: &str, severity: Severity, about: Option<ObjectId>) -> Alarm {
    Alarm {
        id: id(Kind::Alarm, "", &format!("{name}/{pod}")),
        uid: Text::new(&format!("{name}-{pod}")),
        source: AlarmSource::Alertmanager,
        labels: labels(&[("alertname", name), ("pod", pod), ("team", "shop")]),
        ..alarm(name, severity, about)
    }
}

fn web() -> ObjectId {
    id(Kind::Deployment, "shop", "web")
}

/// One outage: each of 40 pods of `web` restarts and is unready, two alerts are about
/// `web` itself, seven about a node; and a composite alarm.
fn outage() -> Vec<Alarm> {
    let pod = |n: i32| id(Kind::Task, "shop", &format!("web-1-{n:02}"));
    let mut out: Vec<Alarm> = Vec::new();
    for n in 0..40 {
        out.push(alert("PodRestarts", &format!("web-1-{n:02}"), Severity::Warning, Some(pod(n))));
        out.push(alert("PodNotReady", &format!("web-1-{n:02}"), Severity::Warning, Some(pod(n))));
    }
    out.push(alert("HighErrors", "web", Severity::Critical, Some(web())));
    out.push(alert("SlowAnswers", "web", Severity::Warning, Some(web())));
    for n in 0..7 {
        out.push(alert(&format!("Node{n}"), "node-a", Severity::Warning, Some(id(Kind::Node, "", "node-a"))));
    }
    let queue = alarm("queue-age", Severity::Warning, None);
    out.push(queue);
    out
}

fn fleet_in_outage() -> Store {
    let mut store = Store::expecting([cluster()]);
    let tasks = (0..40).map(|n| task(&format!("web-1-{n:02}"), "web", "node-a", "Running", Health::Ok)).collect();
    observe(&mut store, Feed::Nodes, Rows::Nodes(vec![node("node-a", NodeCondition::Ready)]));
    observe(&mut store, Feed::Tasks, Rows::Tasks(tasks));
    observe(&mut store, Feed::Deployments, Rows::Workloads(vec![workload("web", 40, 40)]));
    observe(&mut store, Feed::Alarms, Rows::Alarms(outage()));
    store
}

fn say(store: &mut Store, at: Timestamp, body: Body) {
    store.apply(Observation { source: SourceId { cluster: cluster(), feed: Feed::Alarms }, at, body });
}

fn upsert(store: &mut Store, at: Timestamp, alarms: Vec<Alarm>) {
    say(store, at, Body::Upsert(Rows::Alarms(alarms)));
}

fn minutes(n: i64) -> Timestamp {
    now() + TimeDelta::minutes(n)
}

#[test]
fn ninety_alarms_of_one_outage_are_three_lines_and_none_is_lost() {
    let store = fleet_in_outage();
    assert_eq!(store.alarms.len(), 90);
    let found = groups(&store, store.alarms.rows());
    let told: Vec<(Option<&str>, &str, usize, usize)> = found
        .iter()
        .map(|g| {
            (
                g.about.as_ref().map(|a| a.name.as_str()),
                g.lead().expect("a lead").id.name.as_str(),
                g.alerts.len(),
                g.len(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [(Some("web"), "HighErrors/web", 4, 82), (Some("node-a"), "Node0/node-a", 7, 7), (None, "queue-age", 1, 1)]
    );
    let all: HashSet<&ObjectId> = found.iter().flat_map(Group::alarms).map(|a| &a.id).collect();
    assert_eq!(all.len(), 90, "each is behind one of them");
    // Unfolded step by step, every alarm has its line, once.
    let open: HashSet<ObjectId> = store.alarms.rows().map(|a| a.id.clone()).collect();
    let shown: Vec<_> = found.iter().flat_map(|g| lines(g, &store, &open)).collect();
    let ids: HashSet<&ObjectId> = shown.iter().map(|l| &l.id).collect();
    assert_eq!((shown.len(), ids.len()), (90, 90));
    // The problems are as few, and each has the count of what is behind it.
    let what: Vec<String> = problems(&store, now()).into_iter().map(|p| p.what).collect();
    assert_eq!(what, ["82 alarms on deploy web", "7 alarms on node node-a", "alarm"]);
}

#[test]
fn alarms_go_to_the_line_of_what_they_are_about() {
    let mut store = fleet_in_outage();
    observe(&mut store, Feed::Deployments, Rows::Workloads(vec![workload("web", 40, 38)]));
    // A shortage that begins is given a moment first.
    let found = problems(&store, now() + TimeDelta::minutes(1));
    let told: Vec<(Kind, &str, Health)> = found.iter().map(|p| (p.id.kind, p.what.as_str(), p.health)).collect();
    assert_eq!(
        told,
        [
            // A page on a service that is a little short is what matters about it.
            (Kind::Deployment, "2 of 40 short, +82 alarms", Health::Critical),
            (Kind::Alarm, "7 alarms on node node-a", Health::Warning),
            (Kind::Alarm, "alarm", Health::Warning),
        ]
    );
}

#[test]
fn alarms_on_the_nodes_of_a_lost_zone_are_the_zone_s() {
    let mut store = Store::default();
    let mut nodes: Vec<_> = (0..3).map(|n| node(&format!("n{n}"), NodeCondition::Silent)).collect();
    nodes.extend((3..6).map(|n| node(&format!("n{n}"), NodeCondition::Ready)));
    for (n, node) in nodes.iter_mut().enumerate() {
        node.zone = Text::new(if n < 3 { "a" } else { "b" });
    }
    observe(&mut store, Feed::Nodes, Rows::Nodes(nodes));
    let on =
        |n: i32| alert("NodeDown", &format!("n{n}"), Severity::Critical, Some(id(Kind::Node, "", &format!("n{n}"))));
    observe(&mut store, Feed::Alarms, Rows::Alarms((0..3).map(on).collect()));
    let found = problems(&store, now());
    let [zone] = found.as_slice() else { panic!("one line: {found:?}") };
    assert_eq!((zone.id.kind, zone.what.as_str()), (Kind::Zone, "3 of 3 nodes not ready, +3 alarms"));
}

#[test]
fn a_composite_alarm_has_its_firing_ones_behind_it_and_circles_end() {
    let with = |name: &str, children: &[&str]| {
        let mut a = alarm(name, Severity::Warning, None);
        a.source = AlarmSource::CloudWatchComposite;
        a.more.children = children.iter().map(|c| Text::new(c)).collect();
        a
    };
    let mut quiet = alarm("quiet", Severity::Warning, Some(web()));
    quiet.state = AlarmState::Ok;
    let mut elsewhere = alarm("cpu", Severity::Warning, None);
    elsewhere.uid = Text::new("arn:aws:cloudwatch:us-east-1:1:alarm:cpu");
    elsewhere.id.cluster = ClusterId::new("us");
    let rows = vec![
        with("all", &["some", "memory", "quiet", "gone"]),
        with("some", &["cpu", "all"]),
        alarm("cpu", Severity::Critical, Some(web())),
        alarm("memory", Severity::Warning, Some(web())),
        alarm("disk", Severity::Warning, Some(web())),
        quiet,
        elsewhere,
    ];
    let mut store = Store::default();
    observe(&mut store, Feed::Alarms, Rows::Alarms(rows));
    let found = groups(&store, store.alarms.rows());
    let told: Vec<Vec<&str>> = found.iter().map(|g| g.alarms().map(|a| a.id.name.as_str()).collect()).collect();
    assert_eq!(told, [vec!["disk"], vec!["all", "cpu", "memory", "some"], vec!["cpu"], vec!["quiet"]]);
}

#[test]
fn the_same_alarm_through_two_profiles_is_one_and_suppressed_ones_come_last() {
    let mut again = alarm("cpu", Severity::Warning, Some(web()));
    again.id.cluster = ClusterId::new("again");
    let mut silenced = alarm("silenced", Severity::Critical, Some(web()));
    silenced.suppressed_by = Text::new("silence 1");
    let mut pending = alarm("pending", Severity::Critical, Some(web()));
    pending.state = AlarmState::Pending;
    let mut fine = alarm("fine", Severity::Critical, Some(web()));
    fine.state = AlarmState::Ok;
    let mut store = Store::default();
    let rows = vec![fine, silenced, pending, again, alarm("cpu", Severity::Warning, Some(web()))];
    observe(&mut store, Feed::Alarms, Rows::Alarms(rows));
    let found = groups(&store, store.alarms.rows());
    let names: Vec<&str> = found.iter().flat_map(Group::alarms).map(|a| a.id.name.as_str()).collect();
    assert_eq!(names, ["cpu", "pending", "silenced", "fine"]);
    assert_eq!(store.paging(), 0);
}

#[test]
fn the_view_unfolds_and_a_filter_finds_what_is_folded() {
    let mut desk = Desk::new(fleet_in_outage());
    desk.press("7");
    assert_eq!(desk.kind(), ViewKind::Alarms);
    assert_eq!(desk.names(), ["HighErrors/web", "Node0/node-a", "queue-age"]);
    let frame = desk.frame(160, 24);
    for text in ["▸ HighErrors/web +81", "deploy shop/web", "93.5%", "> 80%", "90 alarms", "✖ page", "✖ 1 alarm"]
    {
        assert!(frame.contains(text), "{text} in:\n{frame}");
    }
    desk.press("enter");
    assert_eq!(
        desk.names(),
        [
            "HighErrors/web",
            "PodNotReady/web-1-00",
            "PodRestarts/web-1-00",
            "SlowAnswers/web",
            "Node0/node-a",
            "queue-age"
        ]
    );
    assert!(desk.frame(160, 24).contains("▸ PodNotReady x40"));
    desk.press("j enter");
    assert_eq!(desk.names().len(), 45, "its other instances");
    desk.press("N");
    assert_eq!(desk.names()[0], "HighErrors/web", "what is unfolded stays below its line");
    assert_eq!(desk.names()[2], "PodNotReady/web-1-01");
    desk.press("k k k k enter");
    assert_eq!(desk.names().len(), 3);
    desk.type_filter("web-1-17");
    assert_eq!(desk.names(), ["PodNotReady/web-1-17"]);
    desk.type_filter("-l alertname=SlowAnswers");
    assert_eq!(desk.names(), ["SlowAnswers/web"]);
    desk.type_filter("value>90 state=firing health=page");
    assert_eq!(desk.names(), ["HighErrors/web"]);
}

#[test]
fn problems_only_are_those_that_fire_and_that_nobody_silenced() {
    let mut store = fleet_in_outage();
    let mut fine = alarm("fine", Severity::Critical, None);
    fine.state = AlarmState::Ok;
    let mut silenced = alarm("silenced", Severity::Critical, None);
    silenced.suppressed_by = Text::new("silence 1 until 07:00");
    upsert(&mut store, now(), vec![fine, silenced]);
    let mut desk = Desk::new(store);
    desk.press("7");
    assert_eq!(desk.names(), ["HighErrors/web", "Node0/node-a", "queue-age", "silenced", "fine"]);
    assert!(desk.frame(200, 24).contains("silence 1 until 07:00"));
    desk.press("ctrl-z");
    assert_eq!(desk.names(), ["HighErrors/web", "Node0/node-a", "queue-age"]);
}

#[test]
fn an_alarm_leads_to_its_details_its_subject_and_its_runbook() {
    let mut store = small_fleet();
    let mut api = alarm("api-cpu", Severity::Critical, Some(id(Kind::Deployment, "shop", "api")));
    api.runbook = Text::new("https://runbooks.example.com/api");
    api.more.metric = Text::new("CPUUtilization, Average of 60s");
    api.reason = Text::new("Threshold Crossed: [93.5] was greater than the threshold (80.0).");
    let other = alarm("other", Severity::Warning, None);
    observe(&mut store, Feed::Alarms, Rows::Alarms(vec![api.clone(), other]));
    let points: Vec<(Timestamp, f64)> =
        (0..60_i32).map(|n| (now() - TimeDelta::minutes(i64::from(60 - n)), f64::from(n) + 35.0)).collect();
    say(&mut store, now(), Body::Upsert(Rows::Trends(vec![(api.id.clone(), Arc::from(points))])));
    let mut desk = Desk::new(store);
    desk.press("7");
    assert_eq!(desk.press("b"), [Effect::Copy("https://runbooks.example.com/api".into())]);
    assert!(desk.frame(120, 30).contains("https://runbooks.example.com/api"));
    desk.press("enter");
    assert_eq!(desk.app.shown(&desk.store), [api.id.clone()], "its points are asked for while this is open");
    let page = desk.frame(120, 50);
    for text in ["alarm api-cpu", "✖ page", "deploy shop/api", "CPUUtilization", "> 80%", "█", "history", "known as"]
    {
        assert!(page.contains(text), "{text} in:\n{page}");
    }
    desk.ascii = true;
    let plain = desk.frame(120, 50);
    assert!(plain.is_ascii() && plain.contains('#'), "{plain}");
    desk.ascii = false;
    desk.press("esc o");
    assert_eq!(desk.kind(), ViewKind::Workloads);
    assert_eq!(desk.names()[desk.table().cursor_at], "api");
    desk.press("v");
    assert!(desk.frame(160, 40).contains("api-cpu"), "the alarms about it");
    desk.press("v esc j b");
    assert!(desk.frame(120, 30).contains("names no runbook"));
    desk.press("o");
    assert!(desk.frame(120, 30).contains("nobody says what this alarm is about"));
    desk.press("d");
    assert!(matches!(desk.app.page(), Some(Page::Text(t)) if t.id.name == "other"));
    assert!(desk.frame(120, 40).contains("its points are asked for"));
    // It ends while it is read.
    let gone = desk.store.alarms.rows().find(|a| a.id.name == "other").expect("it").id.clone();
    say(&mut desk.store, minutes(1), Body::Remove(vec![gone]));
    assert!(desk.frame(120, 40).contains("gone: its system does not list it any more"));
    assert_eq!(desk.app.page_context(), quarterdeck::key::Context::Text);
}

#[test]
fn a_silenced_alarm_says_by_whom_why_and_for_how_long_still() {
    let mut store = small_fleet();
    let mut alarm = alarm("cpu", Severity::Warning, None);
    alarm.suppressed_by = Text::new("silenced by ann until 2026-03-01 04:26 UTC: upgrade");
    let by =
        |minutes: i64| AlarmSilence { until: Some(now() + TimeDelta::minutes(minutes)), ..AlarmSilence::default() };
    alarm.more.silences = vec![by(5), by(72)];
    observe(&mut store, Feed::Alarms, Rows::Alarms(vec![alarm]));
    let mut desk = Desk::new(store);
    desk.press("7 d");
    let page = desk.frame(120, 40);
    for text in ["silenced by ann", "upgrade", "in 72m, 04:26:00"] {
        assert!(page.contains(text), "{text} in:\n{page}");
    }
}

#[test]
fn an_alarm_of_several_opens_unfolded_from_the_overview() {
    let mut desk = Desk::new(fleet_in_outage());
    desk.press("1");
    assert_eq!(desk.table().id_at(&desk.store, 0).map(|id| id.kind), Some(Kind::Alarm));
    desk.press("enter");
    assert_eq!((desk.kind(), &desk.table().scope), (ViewKind::Alarms, &Scope::All));
    assert!(desk.names().len() > 3);
    assert_eq!(desk.names()[desk.table().cursor_at], "HighErrors/web");
}

#[test]
fn transitions_are_kept_and_an_alarm_that_goes_up_and_down_flaps() {
    let mut store = small_fleet();
    let mut a = alarm("cpu", Severity::Warning, None);
    observe(&mut store, Feed::Alarms, Rows::Alarms(vec![a.clone()]));
    let states = |store: &Store| store.alarm_log.changes(&a.id).map(|c| (c.at, c.state, c.seen)).collect::<Vec<_>>();
    assert_eq!(states(&store), [(now() - TimeDelta::minutes(6), AlarmState::Firing, false)], "as it was found");
    for (times, n) in (1..=4_usize).zip(1_i64..) {
        a.state = if n % 2 == 0 { AlarmState::Firing } else { AlarmState::Ok };
        a.since = Some(minutes(n));
        // Told twice, it changed once.
        upsert(&mut store, minutes(n) + TimeDelta::seconds(20), vec![a.clone()]);
        upsert(&mut store, minutes(n) + TimeDelta::seconds(40), vec![a.clone()]);
        assert_eq!(store.alarm_log.is_flapping(&a.id, minutes(n)), times >= FLAPPING, "after {n}");
    }
    assert_eq!(states(&store)[4], (minutes(4), AlarmState::Firing, true));
    assert!(store.alarm_log.is_flapping(&a.id, minutes(60)));
    assert!(!store.alarm_log.is_flapping(&a.id, minutes(65)), "an hour later it has settled");
    // A clock that is wrong on the other side does not turn the order around.
    (a.state, a.since) = (AlarmState::Ok, Some(minutes(-500)));
    upsert(&mut store, minutes(70), vec![a.clone()]);
    assert_eq!(states(&store).last(), Some(&(minutes(70), AlarmState::Ok, true)));
    // What its system forgets is over, and comes back as the same.
    a.state = AlarmState::Firing;
    upsert(&mut store, minutes(71), vec![a.clone()]);
    say(&mut store, minutes(72), Body::Remove(vec![a.id.clone()]));
    assert_eq!(states(&store).last(), Some(&(minutes(72), AlarmState::Ok, true)));
    for n in 0..200 {
        a.state = if n % 2 == 0 { AlarmState::Firing } else { AlarmState::Ok };
        upsert(&mut store, minutes(80 + n), vec![a.clone()]);
    }
    assert_eq!(states(&store).len(), CHANGES, "and no more");
    let mut desk = Desk::new(store);
    desk.press("7");
    let id = desk.store.alarms.rows().next().expect("it").id.clone();
    assert!(desk.store.alarm_log.is_flapping(&id, minutes(280)));
}

#[test]
fn what_appears_is_new_until_alarms_were_on_screen_for_a_while() {
    let mut store = small_fleet();
    observe(&mut store, Feed::Alarms, Rows::Alarms(vec![alarm("old", Severity::Warning, None)]));
    let mut desk = Desk::new(store);
    desk.press("3");
    let new = alarm("new", Severity::Warning, None);
    upsert(&mut desk.store, minutes(1), vec![new.clone()]);
    let old = id(Kind::Alarm, "", "old");
    assert!(desk.store.alarm_log.is_new(&new.id) && !desk.store.alarm_log.is_new(&old));
    let look = |desk: &mut Desk, secs: i64| {
        if let Some(until) = desk.app.look(minutes(1) + TimeDelta::seconds(secs)) {
            desk.store.alarm_log.look(until);
        }
        desk.store.alarm_log.is_new(&new.id)
    };
    assert!(look(&mut desk, 60), "the tasks are on screen");
    desk.press("7");
    assert!(desk.frame(160, 24).lines().any(|l| l.contains(" new ") && l.contains("What it is for")));
    assert!(look(&mut desk, 61) && look(&mut desk, 70));
    // A glance is no look: it begins again.
    desk.press("3");
    assert!(look(&mut desk, 71));
    desk.press("1");
    assert!(look(&mut desk, 72) && look(&mut desk, 80));
    assert!(!look(&mut desk, 90), "the overview shows alarms, too");
    // It recovers and fires again: that is news.
    let mut again = new.clone();
    again.state = AlarmState::Ok;
    upsert(&mut desk.store, minutes(5), vec![again.clone()]);
    again.state = AlarmState::Firing;
    upsert(&mut desk.store, minutes(6), vec![again]);
    assert!(desk.store.alarm_log.is_new(&new.id));
}

#[test]
fn new_pages_are_told_once_and_not_in_quiet_hours() {
    let page = |name: &str| alarm(name, Severity::Critical, None);
    let mut store = small_fleet();
    observe(&mut store, Feed::Alarms, Rows::Alarms(vec![page("there-before")]));
    let bell = Notifier { how: Notify::Bell, quiet: None };
    assert_eq!(bell.due(&mut store, now()), None, "what fired before the console looked is on its screen");
    let mut twice = page("queue");
    twice.id.cluster = ClusterId::new("second-profile");
    upsert(&mut store, minutes(1), vec![page("queue"), twice, alarm("ticket", Severity::Warning, None)]);
    assert_eq!(bell.due(&mut store, now()), Some((Signal::Bell, "queue fires (test)".to_owned())));
    assert_eq!(bell.due(&mut store, now()), None);
    let mut flaps = page("queue");
    for n in 2..10 {
        flaps.state = if n % 2 == 0 { AlarmState::Ok } else { AlarmState::Firing };
        upsert(&mut store, minutes(n), vec![flaps.clone()]);
        assert_eq!(bell.due(&mut store, minutes(n)), None, "never twice");
    }
    let mut silenced = page("silenced");
    silenced.suppressed_by = Text::new("silence 1");
    upsert(&mut store, minutes(10), vec![silenced.clone()]);
    assert_eq!(bell.due(&mut store, minutes(10)), None);
    silenced.suppressed_by = Text::empty();
    let many: Vec<Alarm> = ["a", "b", "c"].into_iter().map(page).chain([silenced]).collect();
    upsert(&mut store, minutes(11), many);
    let osc = Notifier { how: Notify::Osc9, quiet: None };
    let told = osc.due(&mut store, minutes(11));
    assert_eq!(told, Some((Signal::Osc9, "4 alarms fire: a, b, c and 1 more".to_owned())));
    assert_eq!(store.paging(), 6, "those of the header: one of two profiles, five others");
    // By the machine's own clock it is some minute now, and quiet around it.
    let minute = quarterdeck::clock::minute_of_day(minutes(12));
    let time = |m: u16| format!("{:02}:{:02}", m % 1440 / 60, m % 60);
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("config.toml");
    let text = format!("[notify]\nhow = \"bell\"\nquiet = \"{}-{}\"\n", time(minute + 1435), time(minute + 5));
    std::fs::write(&file, text).expect("a file");
    let paths = quarterdeck::config::Paths::demo(dir.path());
    let options = quarterdeck::config::LoadOptions {
        file: Some(&file),
        env: &|_| None,
        cli: quarterdeck::config::Overrides::default(),
        paths: &paths,
    };
    let config = quarterdeck::config::load(options).expect("a configuration");
    let quiet = Notifier { how: config.notify_how, quiet: config.notify_quiet };
    upsert(&mut store, minutes(12), vec![page("at-night")]);
    assert_eq!(quiet.due(&mut store, minutes(12)), None);
    assert_eq!(bell.due(&mut store, minutes(13)), None, "nor afterwards");
}

#[test]
fn the_user_s_words_and_runbooks_are_in_force() {
    let rules = AlarmRules {
        severities: vec![("sev1".to_owned(), Severity::Critical), ("urgent".to_owned(), Severity::Critical)],
        runbooks: vec![
            ("High*".to_owned(), Text::new("https://r.example/errors")),
            ("*".to_owned(), Text::new("https://r.example/all")),
        ],
    };
    let mut store = Store::default().and_alarm_rules(rules);
    let mut urgent = alarm("queue", Severity::Unknown, None);
    urgent.summary = Text::new("Orders wait. Severity: Urgent");
    let mut labelled = alert("HighErrors", "web", Severity::Warning, None);
    labelled.labels = labels(&[("alertname", "HighErrors"), ("severity", "SEV1")]);
    let mut own = alert("HighLatency", "web", Severity::Warning, None);
    own.runbook = Text::new("https://own.example");
    observe(&mut store, Feed::Alarms, Rows::Alarms(vec![urgent, labelled, own]));
    let mut told: Vec<(String, Severity, String)> =
        store.alarms.rows().map(|a| (a.id.name.to_string(), a.severity, a.runbook.to_string())).collect();
    told.sort();
    let expect = |name: &str, severity, runbook: &str| (name.to_owned(), severity, runbook.to_owned());
    assert_eq!(
        told,
        [
            expect("HighErrors/web", Severity::Critical, "https://r.example/errors"),
            expect("HighLatency/web", Severity::Warning, "https://own.example"),
            expect("queue", Severity::Critical, "https://r.example/all"),
        ]
    );
}

#[test]
fn runbooks_and_words_are_read_from_the_settings_and_mistakes_are_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("config.toml");
    let load = |text: &str| {
        std::fs::write(&file, text).expect("a file");
        let paths = quarterdeck::config::Paths::demo(dir.path());
        quarterdeck::config::load(quarterdeck::config::LoadOptions {
            file: Some(&file),
            env: &|_| None,
            cli: quarterdeck::config::Overrides::default(),
            paths: &paths,
        })
    };
    let text = "[severity]\npage = [\"Sev1\", \"urgent\"]\n\n[[runbook]]\nalarm = \"*-5xx\"\nurl = \"https://r.example/5xx\"\n";
    let config = load(text).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(config.severity_page, ["sev1", "urgent"]);
    assert_eq!(
        (config.runbooks[0].alarm.as_str(), config.runbooks[0].url.as_str()),
        ("*-5xx", "https://r.example/5xx")
    );
    let text = "[severity]\npage = \"two words\"\n[notify]\nhow = \"shout\"\nquiet = \"night\"\n\
        [[runbook]]\nalarm = \"x\"\nurl = \"file:///etc/passwd\"\n[[runbook]]\nurl = \"https://r.example\"\n\
        [[runbook]]\nalarm = \"x\"\nurk = \"https://r.example\"\n";
    let error = load(text).expect_err("mistakes").to_string();
    for part in ["severity.page", "notify.how", "notify.quiet", "`url` cannot be this", "no `alarm`", "`urk`"] {
        assert!(error.contains(part), "{part} in:\n{error}");
    }
}

#[test]
fn hostile_figures_and_texts_are_drawn() {
    let mut store = small_fleet();
    let mut odd: Vec<Alarm> = Vec::new();
    for (n, value) in [f64::NAN, f64::INFINITY, -1.0, 1e300, 1e-300, 0.0].into_iter().enumerate() {
        let mut a = alarm(&format!("odd-{n}"), Severity::Critical, Some(id(Kind::Service, "shop", "nowhere")));
        (a.value, a.threshold) = (Some(value), Some(-value));
        a.more.unit = Text::new(["", "Percent", "Bytes", "Seconds", "x\u{1b}[31m", "Count"][n]);
        a.summary = Text::new(&"\u{1b}[2J\u{202e}long ".repeat(2000));
        odd.push(a);
    }
    let points: Vec<(Timestamp, f64)> =
        vec![(now(), f64::NAN), (now(), f64::INFINITY), (now(), 1e300), (now(), -1e300)];
    let first = odd[0].id.clone();
    observe(&mut store, Feed::Alarms, Rows::Alarms(odd));
    say(&mut store, now(), Body::Upsert(Rows::Trends(vec![(first, Arc::from(points))])));
    let mut desk = Desk::new(store);
    for keys in ["7", "enter", "v", "j", "d", "esc", "1"] {
        desk.press(keys);
        for (width, height) in [(40, 8), (80, 24), (200, 50)] {
            let frame = desk.frame(width, height);
            assert!(!frame.contains('\u{1b}') && !frame.contains('\u{202e}'), "{frame}");
        }
    }
}

#[test]
fn two_thousand_alarms_are_arranged_within_a_frame() {
    let mut store = small_fleet();
    let rows = (0..2000)
        .map(|n| {
            let about = id(Kind::Deployment, "shop", &format!("w{}", n % 200));
            alert(&format!("Alert{}", n % 40), &format!("i{n}"), Severity::Warning, Some(about))
        })
        .collect();
    observe(&mut store, Feed::Alarms, Rows::Alarms(rows));
    let start = quarterdeck::clock::instant();
    let found = groups(&store, store.alarms.rows());
    assert_eq!(found.len(), 200);
    assert_eq!(found.iter().map(Group::len).sum::<usize>(), 2000);
    // Many times what it takes, for slow machines and builds without optimization.
    assert!(start.elapsed() < std::time::Duration::from_millis(500), "{:?}", start.elapsed());
}

#[test]
fn ten_kilobytes_of_escape_codes_are_cut_in_the_list_and_scrolled_in_the_details() {
    let evil =
        "\u{1b}[31mred \u{1b}]8;;https://evil.example\u{7}link\u{1b}]8;;\u{7} \u{9b}2Jwiped \u{202e}back\r\n\u{7}";
    let text = format!("{}THE END", evil.repeat(10_240 / evil.len() + 1));
    assert!(text.len() > 10_000);
    let mut store = small_fleet();
    let mut long = alarm("long-winded", Severity::Critical, Some(web()));
    long.reason = Text::new(&text);
    long.summary = Text::new(&text);
    observe(&mut store, Feed::Alarms, Rows::Alarms(vec![long, alarm("other", Severity::Warning, None)]));
    let mut desk = Desk::new(store);
    let clean = |frame: &str| {
        assert!(!frame.chars().any(|c| c != '\n' && quarterdeck::domain::text::is_unsafe(c)), "{frame:?}");
        assert!(frame.lines().count() <= 24 && frame.lines().all(|l| l.chars().count() <= 80), "{frame}");
        assert!(!frame.contains("evil.example"), "a link's target is no text:\n{frame}");
    };
    // The overview, then the list: one line each, and the others still stand below.
    for keys in ["1", "7"] {
        desk.press(keys);
        let frame = desk.frame(80, 24);
        clean(&frame);
        assert_eq!(frame.lines().filter(|l| l.contains("long-winded")).count(), 1, "{frame}");
        assert!(frame.contains("other"), "{frame}");
    }
    desk.press("v");
    clean(&desk.frame(80, 24));
    desk.press("v d");
    let top = desk.frame(80, 24);
    clean(&top);
    assert!(top.contains("alarm long-winded") && top.contains("✖ page"), "what matters comes first:\n{top}");
    // Page by page to the end, nothing left out: the end of both texts is passed.
    let mut ends = 0;
    for _ in 0..60 {
        let frame = desk.frame(80, 24);
        clean(&frame);
        ends += usize::from(frame.contains("THE END"));
        for key in parse_sequence("ctrl-f").expect("a key") {
            desk.app.press(key, &desk.store, now());
        }
    }
    assert!(ends >= 2, "{ends} ends were seen; the last screen:\n{}", desk.frame(80, 24));
    assert!(desk.frame(80, 24).contains("known as"), "{}", desk.frame(80, 24));
    desk.press("g g");
    assert!(desk.frame(80, 24).contains("alarm long-winded"));
}

/// Ten minutes of 40 new alerts a second, each of which ends after a minute, as polls of 30 s find
/// them.
#[test]
fn a_flood_of_alerts_moves_nothing_and_stays_bounded() {
    let mut store = small_fleet();
    let steady = alert("Steady", "web", Severity::Warning, Some(web()));
    let flood =
        |second: i64| (0..40).map(move |i| alert("Flood", &format!("{second:05}-{i:02}"), Severity::Warning, None));
    observe(&mut store, Feed::Alarms, Rows::Alarms(vec![steady.clone()]));
    let mut desk = Desk::new(store);
    desk.press("7");
    assert_eq!(desk.names(), ["Steady/web"]);
    let at = |frame: &str| frame.lines().position(|l| l.contains("Steady"));
    let mut most = 0;
    for poll in 1..=20_i64 {
        let time = now() + TimeDelta::seconds(30 * poll);
        let mut rows = vec![steady.clone()];
        rows.extend((30 * poll - 60..30 * poll).filter(|s| *s >= 0).flat_map(flood));
        let expected = rows.len();
        say(&mut desk.store, time, Body::Begin);
        for chunk in rows.chunks(500) {
            upsert(&mut desk.store, time, chunk.to_vec());
            // In the middle of a list nothing is missing.
            assert!(desk.store.alarms.len() >= most.min(expected));
            desk.arrange();
        }
        say(&mut desk.store, time, Body::Synced);
        assert_eq!(desk.store.alarms.len(), expected, "no row is lost, none is left over");
        most = most.max(expected);
        let frame = desk.frame(160, 40);
        assert_eq!(desk.names()[desk.table().cursor_at], "Steady/web", "the cursor stays on its alarm");
        assert!(at(&frame).is_some(), "and in sight:\n{frame}");
        // One alert of many instances is one line: two lines in all.
        assert_eq!(desk.names().len(), 2, "{frame}");
        assert!(
            frame.contains(&format!("{expected} alarms")) || frame.contains(&grouped(expected)),
            "{expected} in\n{frame}"
        );
    }
    assert_eq!(most, 2401);
    // What has ended is remembered up to a bound.
    for second in 1000..1400 {
        let time = now() + TimeDelta::seconds(second);
        say(&mut desk.store, time, Body::Begin);
        upsert(&mut desk.store, time, flood(second).collect());
        say(&mut desk.store, time, Body::Synced);
    }
    assert_eq!(desk.store.alarms.len(), 40);
    assert!(desk.store.alarm_log.len() <= 10_000 + 40, "{} alarms are remembered", desk.store.alarm_log.len());
}

fn grouped(n: usize) -> String {
    quarterdeck::view::header::grouped(n as u64)
}

/// What is kept between frames is what would be gathered anew: whenever an alarm changes, and
/// whenever what a task belongs to does.
#[test]
fn groups_that_are_kept_follow_alarms_and_owners() {
    let told = |store: &Store| -> Vec<(Option<ObjectId>, Vec<ObjectId>)> {
        trouble(store).iter().map(|g| (g.about.clone(), g.alarms().map(|a| a.id.clone()).collect())).collect()
    };
    let anew = |store: &Store| -> Vec<(Option<ObjectId>, Vec<ObjectId>)> {
        let problems = store.alarms.rows().filter(|a| a.health().is_problem());
        groups(store, problems).iter().map(|g| (g.about.clone(), g.alarms().map(|a| a.id.clone()).collect())).collect()
    };
    let mut store = small_fleet();
    let late = id(Kind::Task, "shop", "late-1");
    let of_late = alert("PodRestarts", "late-1", Severity::Warning, Some(late.clone()));
    observe(&mut store, Feed::Alarms, Rows::Alarms(vec![of_late, alarm("other", Severity::Critical, None)]));
    assert_eq!(told(&store), anew(&store));
    assert!(told(&store).iter().any(|(about, _)| about.as_ref() == Some(&late)), "nobody knows whose it is yet");
    let tasks = |owner| Body::Upsert(Rows::Tasks(vec![task("late-1", owner, "node-a", "Running", Health::Ok)]));
    let source = SourceId { cluster: cluster(), feed: Feed::Tasks };
    for (owner, about) in [("web", web()), ("api", id(Kind::Deployment, "shop", "api"))] {
        store.apply(Observation { source: source.clone(), at: now(), body: tasks(owner) });
        assert_eq!(told(&store), anew(&store));
        assert!(told(&store).iter().any(|(a, _)| a.as_ref() == Some(&about)), "{owner}: {:?}", told(&store));
    }
    let gone = store.alarms.rows().find(|a| a.id.name == "other").expect("it").id.clone();
    say(&mut store, minutes(1), Body::Remove(vec![gone]));
    assert_eq!(told(&store), anew(&store));
    assert_eq!(told(&store).len(), 1);
}
