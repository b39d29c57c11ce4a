//! Whatever a colour says is said in letters or shapes as well: with the colours taken away, and in ASCII, no two
//! states of one kind look alike.

#![expect(clippy::panic, reason = "helpers of tests fail as tests do")]

mod support;

use std::collections::BTreeMap;

use chrono::TimeDelta;
use quarterdeck::domain::slo::State;
use quarterdeck::domain::{Alarm, AlarmState, Freshness, Health, Kind, NodeCondition, Severity, Text};
use quarterdeck::store::notices::Verdict;
use quarterdeck::store::{Body, Feed, Observation, Rows, SourceId, Store};
use quarterdeck::theme::Theme;
use quarterdeck::view::columns::{alarm_mark, alarm_state, overview_mark};
use quarterdeck::view::map::task_mark;
use quarterdeck::view::wall::{Headline, Trust};
use support::budgets::{alarm_about, fleet_with_budgets};
use support::fleet::{Desk, cluster, node, now, observe, small_fleet, task, workload};
use support::mixed::mixed_fleet;

/// No two of these are the same.
fn differ<K: std::fmt::Debug + Clone>(what: &str, all: impl IntoIterator<Item = (K, String)>) {
    let mut seen: BTreeMap<String, K> = BTreeMap::new();
    for (state, text) in all {
        assert!(!text.trim().is_empty(), "{what}: nothing is said of {state:?}");
        if let Some(other) = seen.insert(text.clone(), state.clone()) {
            panic!("{what}: {state:?} and {other:?} both look like `{text}`");
        }
    }
    assert!(seen.len() > 1, "{what}: nothing was compared");
}

/// The rows of a list without colours, by name; the name itself is taken out.
fn rows(store: Store, keys: &str, names: &[&str], ascii: bool) -> Vec<(String, String)> {
    let mut desk = Desk::new(store);
    desk.theme = Theme::load("mono", None).unwrap_or_else(|e| panic!("{e}"));
    desk.ascii = ascii;
    desk.press(keys);
    let frame = desk.frame(200, 50);
    assert!(!ascii || frame.is_ascii(), "{frame}");
    let of = |name: &&str| {
        let line = frame.lines().skip(2).find(|l| l.split_whitespace().any(|w| w == *name));
        let line = line.unwrap_or_else(|| panic!("{name} is not in\n{frame}"));
        let words: Vec<&str> = line.split_whitespace().filter(|w| w != name && !matches!(*w, "▶" | ">")).collect();
        ((*name).to_owned(), words.join(" "))
    };
    names.iter().map(of).collect()
}

const HEALTHS: [Health; 6] =
    [Health::Ok, Health::Done, Health::Progressing, Health::Unknown, Health::Warning, Health::Critical];

#[test]
fn marks_of_health() {
    for ascii in [false, true] {
        differ("tasks on the map", HEALTHS.map(|h| (h, task_mark(h, ascii).to_string())));
        let wrong = [Health::Unknown, Health::Warning, Health::Critical, Health::Ok];
        differ("what is wrong", wrong.map(|h| (h, overview_mark(h, ascii).to_owned())));
    }
}

#[test]
fn tasks() {
    let mut store = small_fleet();
    let all = [
        task("t-ok", "web", "node-a", "Running", Health::Ok),
        task("t-lost", "web", "node-b", "Running", Health::Ok),
        task("t-starting", "web", "node-a", "ContainerCreating", Health::Progressing),
        task("t-done", "web", "node-a", "Completed", Health::Done),
        task("t-crashing", "web", "node-a", "CrashLoopBackOff", Health::Critical),
        task("t-unknown", "web", "node-a", "Unknown", Health::Unknown),
        {
            let mut unready = task("t-unready", "web", "node-a", "Running", Health::Warning);
            unready.ready = 0;
            unready
        },
    ];
    let names = ["t-ok", "t-lost", "t-starting", "t-done", "t-crashing", "t-unknown", "t-unready"];
    observe(&mut store, Feed::Tasks, Rows::Tasks(all.to_vec()));
    for ascii in [false, true] {
        let mut again = small_fleet();
        observe(&mut again, Feed::Tasks, Rows::Tasks(all.to_vec()));
        differ("tasks", rows(again, "3", &names, ascii));
    }
    // On a machine that is not heard of, a task that runs is not known to.
    let lost = rows(store, "3", &["t-lost"], true).remove(0).1;
    assert!(lost.contains("Running?"), "{lost}");
}

#[test]
fn nodes_and_workloads() {
    let states =
        [(NodeCondition::Ready, "Ready"), (NodeCondition::NotReady, "NotReady"), (NodeCondition::Missing, "Unknown")];
    for ascii in [false, true] {
        let mut store = small_fleet();
        let mut all: Vec<_> = states
            .iter()
            .map(|(condition, status)| {
                let mut n = node(&format!("n-{status}"), *condition);
                n.status = Text::new(status);
                n
            })
            .collect();
        let mut cordoned = node("n-cordoned", NodeCondition::Ready);
        cordoned.unschedulable = true;
        cordoned.status = Text::new("Ready,SchedulingDisabled");
        all.push(cordoned);
        observe(&mut store, Feed::Nodes, Rows::Nodes(all));
        differ("nodes", rows(store, "2", &["n-Ready", "n-NotReady", "n-Unknown", "n-cordoned"], ascii));
        let mut store = small_fleet();
        observe(
            &mut store,
            Feed::Deployments,
            Rows::Workloads(vec![workload("w-ok", 2, 2), workload("w-short", 2, 1), workload("w-none", 2, 0)]),
        );
        differ("workloads", rows(store, "4", &["w-ok", "w-short", "w-none"], ascii));
    }
}

#[test]
fn alarms() {
    let of = |state, severity, silenced: bool| -> Alarm {
        let mut alarm = alarm_about("a", None);
        (alarm.state, alarm.severity) = (state, severity);
        alarm.suppressed_by = Text::new(if silenced { "silence 1" } else { "" });
        alarm
    };
    for ascii in [false, true] {
        let states = [AlarmState::Ok, AlarmState::InsufficientData, AlarmState::Pending, AlarmState::Firing];
        let said = |a: &Alarm| format!("{} {}", alarm_mark(a, ascii), alarm_state(a));
        differ("alarms", states.map(|s| (s, said(&of(s, Severity::Critical, false)))));
        let severities = [Severity::Info, Severity::Unknown, Severity::Warning, Severity::Critical];
        differ("severities", severities.map(|s| (s, said(&of(AlarmState::Firing, s, false)))));
        let silenced = [false, true].map(|s| (s, said(&of(AlarmState::Firing, Severity::Critical, s))));
        differ("silenced", silenced);
    }
}

#[test]
fn budgets() {
    let states = [
        State::NoTraffic,
        State::Fine,
        State::FewEvents,
        State::Ticket,
        State::Exhausted,
        State::Page,
        State::ExhaustedAndBurning,
        State::NoData,
    ];
    differ("budgets", states.map(|s| (s, s.word().to_owned())));
    // And that word is in the list, without colours.
    let mut words: BTreeMap<&'static str, usize> = BTreeMap::new();
    for ascii in [false, true] {
        let mut desk = Desk::new(fleet_with_budgets());
        desk.theme = Theme::load("mono", None).unwrap_or_else(|e| panic!("{e}"));
        desk.ascii = ascii;
        desk.press("8");
        let frame = desk.frame(200, 50);
        for b in desk.store.budgets.rows() {
            let word = b.state().map_or("no data", State::word);
            assert!(frame.contains(word), "{}: {word}: {frame}", b.id.name);
            *words.entry(word).or_default() += 1;
        }
    }
    assert!(words.len() >= 6, "the vectors have most states: {words:?}");
}

#[test]
fn notices() {
    differ("verdicts", [Verdict::Safe, Verdict::Tight, Verdict::Cut].map(|v| (v, v.word().to_owned())));
    for ascii in [false, true] {
        let mut desk = Desk::new(support::taken::taken_fleet());
        desk.theme = Theme::load("mono", None).unwrap_or_else(|e| panic!("{e}"));
        desk.ascii = ascii;
        desk.press("0");
        let frame = desk.frame(200, 50);
        // The shape beside the word is another one, too.
        let of = |word: &str| frame.lines().skip(4).find(|l| l.contains(word)).map(str::to_owned);
        let shape = |line: &str, word: &str| line.split(word).next().and_then(|l| l.trim_end().chars().last());
        let all = ["tight", "no cluster"].map(|word| (word, of(word).unwrap_or_else(|| panic!("{word}: {frame}"))));
        differ("shapes", all.map(|(word, line)| (word, format!("{:?}", shape(&line, word)))));
    }
}

#[test]
fn sources() {
    let at = now() - TimeDelta::seconds(40);
    let because = || Text::new("connection refused");
    let states = [
        Freshness::Loading { since: at },
        Freshness::Live { at },
        Freshness::Stale { since: at, because: because() },
        Freshness::Down { since: at, because: because() },
        Freshness::Absent { because: because(), denied: true },
        Freshness::Absent { because: because(), denied: false },
    ];
    for ascii in [false, true] {
        let said = states.clone().map(|freshness| {
            let mut store = mixed_fleet();
            let source = SourceId { cluster: cluster(), feed: Feed::TaskMetrics };
            store.apply(Observation { source, at: now(), body: Body::Freshness(freshness.clone()) });
            let mut desk = Desk::new(store);
            desk.theme = Theme::load("mono", None).unwrap_or_else(|e| panic!("{e}"));
            desk.ascii = ascii;
            desk.press("!");
            let frame = desk.frame(160, 60);
            (format!("{freshness:?}"), frame)
        });
        differ("sources", said);
    }
}

#[test]
fn the_wallboard() {
    let words = [Headline::Ok, Headline::Degraded, Headline::Blind, Headline::Page];
    differ("headlines", words.map(|h| (h.word(), h.word().to_owned())));
    for ascii in [false, true] {
        differ("signs", words.map(|h| (h.word(), h.shape(ascii).to_owned())));
        let trusts = [Trust::Stale(100), Trust::Denied, Trust::Never, Trust::Old(100)];
        differ("trust", trusts.map(|t| (format!("{t:?}"), t.mark(ascii))));
        assert!(Trust::Fresh.mark(ascii).is_empty(), "what is fresh needs no sign");
    }
}

#[test]
fn every_kind_has_a_short_name_of_its_own() {
    let kinds = [Kind::Node, Kind::Task, Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet, Kind::Job, Kind::Alarm];
    differ("kinds", kinds.map(|k| (k, k.short().to_owned())));
}

#[test]
fn every_list_opens_with_what_is_unhealthy() {
    // Keys, the row that comes first, and the title that says what it is sorted by.
    let lists = [
        ("2", "node-b", "STATUS"),
        ("3", "api-1-bad", "STATUS"),
        ("4", "api", "STATUS"),
        ("6", "node-b", ""),
        ("8", "slo-b", "VERDICT"),
        ("9", "web", "STATE"),
    ];
    for ascii in [false, true] {
        for (keys, worst, title) in lists {
            let mut desk = Desk::new(fleet_with_budgets());
            desk.ascii = ascii;
            desk.press(keys);
            let frame = desk.frame(200, 50);
            assert_eq!(desk.names().first().map(String::as_str), Some(worst), "{keys}: {frame}");
            let mark = if ascii { "v" } else { "↓" };
            assert!(title.is_empty() || frame.contains(&format!("{title}{mark}")), "{keys}: {frame}");
            // One key away from what it was, with the names in order.
            desk.press("N");
            let names = desk.names();
            assert!(names.is_sorted(), "{keys}: {names:?}");
            desk.press("S");
            assert_eq!(desk.names().first().map(String::as_str), Some(worst), "{keys}");
        }
    }
    // What goes at any moment stands above what is well, in whatever it takes along.
    for (keys, mark) in [("2", "goes 0:45"), ("3", "goes 0:45"), ("4", "go")] {
        let mut desk = Desk::new(support::taken::taken_fleet());
        desk.press(keys);
        let frame = desk.frame(160, 40);
        let lines: Vec<&str> = frame.lines().skip_while(|l| !l.contains("STATUS↓")).skip(1).collect();
        let last = lines.iter().rposition(|l| l.contains(mark)).unwrap_or_else(|| panic!("{keys}: {frame}"));
        let well =
            lines.iter().position(|l| l.contains(" Ready") || l.contains(" Running") || l.contains(" Available"));
        assert!(well.is_none_or(|well| well >= last || lines[well].contains("go")), "{keys}: {frame}");
    }
    // In a node and in a workload, too.
    for keys in ["2 N enter", "4 enter"] {
        let mut desk = Desk::new(small_fleet());
        desk.press(keys);
        assert_eq!(desk.names().first().map(String::as_str), Some("api-1-bad"), "{keys}");
    }
}

#[test]
fn what_recovers_goes_back_to_its_place_and_what_is_alike_stays() {
    let mut store = small_fleet();
    let all = |sick: &str| {
        let of = |name: &str| {
            let health = if name == sick { Health::Critical } else { Health::Ok };
            task(name, "web", "node-a", if name == sick { "CrashLoopBackOff" } else { "Running" }, health)
        };
        Rows::Tasks(["d", "a", "c", "b", "e"].map(of).to_vec())
    };
    observe(&mut store, Feed::Tasks, all("c"));
    let mut desk = Desk::new(store);
    desk.press("3");
    assert_eq!(desk.names(), ["c", "a", "b", "d", "e"]);
    observe(&mut desk.store, Feed::Tasks, all("e"));
    assert_eq!(desk.names(), ["e", "a", "b", "c", "d"]);
    observe(&mut desk.store, Feed::Tasks, all(""));
    assert_eq!(desk.names(), ["a", "b", "c", "d", "e"]);
    // Who reads a row goes on reading it.
    desk.press("j j j");
    observe(&mut desk.store, Feed::Tasks, all("e"));
    assert_eq!(desk.names(), ["e", "a", "b", "c", "d"]);
    assert_eq!(desk.names()[desk.table().cursor_at], "d");
}

#[test]
fn rows_of_a_silent_source_look_old() {
    let because = || Text::new("connection refused");
    let since = now() - TimeDelta::seconds(40);
    let says = [
        (Freshness::Stale { since, because: because() }, "stale 40s, "),
        (Freshness::Down { since, because: because() }, "down 40s, "),
    ];
    for theme in Theme::names() {
        for (freshness, word) in says.clone() {
            for ascii in [false, true] {
                let mut store = mixed_fleet();
                for feed in [Feed::Tasks, Feed::Nodes, Feed::Deployments] {
                    let source = SourceId { cluster: cluster(), feed };
                    store.apply(Observation { source, at: now(), body: Body::Freshness(freshness.clone()) });
                }
                let mut desk = Desk::new(store);
                desk.theme = Theme::load(theme, None).unwrap_or_else(|e| panic!("{e}"));
                desk.ascii = ascii;
                let dim = desk.theme.style(quarterdeck::theme::Role::Dim).fg;
                for (keys, name, status) in
                    [("2", "node-a", "Ready"), ("3", "api-1-bad", "CrashLoopBackOff"), ("4", "api", "")]
                {
                    desk.press(keys);
                    // Away from the selected row, which has colours of its own.
                    desk.press("G");
                    if desk.names()[desk.table().cursor_at] == name {
                        desk.press("g");
                    }
                    let buffer = desk.buffer(160, 40);
                    let frame = quarterdeck::cli::export::text(&buffer);
                    let row = |l: &str| l.split_whitespace().any(|w| w == name);
                    let (y, line) =
                        frame.lines().enumerate().skip(2).find(|(_, l)| row(l)).unwrap_or_else(|| panic!("{frame}"));
                    assert!(line.contains(&format!("{word}{status}")), "{theme} {keys}: {line}");
                    let y = u16::try_from(y).unwrap_or_default();
                    let loud = (2..160).filter(|x| {
                        buffer[(*x, y)].symbol() != " " && dim.is_some_and(|dim| buffer[(*x, y)].fg != dim)
                    });
                    assert_eq!(loud.count(), 0, "{theme} {keys}: {line}");
                    // What another source tells is as new as ever.
                    let others = frame.lines().filter(|l| l.contains("shop-ecs "));
                    assert!(others.clone().count() > 0 && others.into_iter().all(|l| !l.contains(word)), "{frame}");
                }
            }
        }
    }
}

#[test]
fn what_was_so_before_anybody_looked_has_lasted_for_longer() {
    // Seven restarts in forty days, the last two minutes ago: since when it loops nobody knows.
    let mut old = task("api-1-bad", "api", "node-a", "CrashLoopBackOff", Health::Critical);
    old.created = Some(now() - TimeDelta::days(40));
    let mut store = Store::expecting([cluster()]);
    observe(&mut store, Feed::Deployments, Rows::Workloads(vec![workload("api", 2, 1)]));
    observe(&mut store, Feed::Tasks, Rows::Tasks(vec![old]));
    let frame = Desk::new(store).frame(120, 40);
    let line = frame.lines().find(|l| l.contains(" api ")).unwrap_or_else(|| panic!("{frame}"));
    assert!(line.split_whitespace().any(|w| w == "2m+"), "{frame}");
    // A clock that is ahead is no reason for `<invalid>`.
    let mut store = small_fleet();
    let mut young = task("t-young", "web", "node-a", "Running", Health::Ok);
    young.created = Some(now() + TimeDelta::seconds(4));
    observe(&mut store, Feed::Tasks, Rows::Tasks(vec![young]));
    let line = rows(store, "3", &["t-young"], false).remove(0).1;
    assert!(line.ends_with(" 0s"), "{line}");
}
