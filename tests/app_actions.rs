//! What changes something, driven by keys: the plan on screen, its fields, yes and no, and
//! what is shown while it runs.

#![expect(clippy::panic, reason = "helpers of tests fail as tests do")]

mod support;

use quarterdeck::action::guard::ClusterPolicy;
use quarterdeck::action::intent::VERBS;
use quarterdeck::action::{
    Assent, Change, End, Event, Fate, Intent, Judged, Outcome, Plan, Policy, Precondition, Step, StepState, Verb,
};
use quarterdeck::app::Effect;
use quarterdeck::app::actions::dialog::{Focus, Making};
use quarterdeck::app::overlay::Overlay;
use quarterdeck::command::{COMMANDS, Danger};
use quarterdeck::domain::{Alarm, AlarmMore, AlarmSource, AlarmState, Kind, Severity, Text};
use quarterdeck::store::{Feed, Rows};
use support::fleet::{Desk, id, now, observe, small_fleet};

/// The plan that one of the effects asks for.
fn asked(effects: Vec<Effect>) -> (u64, u64, Intent) {
    match effects.into_iter().next() {
        Some(Effect::Plan { ticket, round, intent }) => (ticket, round, intent),
        other => panic!("a plan is asked for, not {other:?}"),
    }
}

/// A plan that changes every target of its intent.
fn plan(intent: &Intent) -> Plan {
    let mut plan = Plan::new(intent.clone(), now());
    plan.changes = intent
        .targets
        .iter()
        .map(|t| Change {
            target: t.clone(),
            field: Text::new("schedulable"),
            from: Text::new("yes"),
            to: Text::new("no"),
            fate: Fate::Acts,
            note: Text::empty(),
            precondition: Precondition::Nothing,
        })
        .collect();
    plan.undo = Text::new("uncordon it");
    plan.equivalent = vec!["kubectl cordon node-a".to_owned()];
    plan
}

fn answer(desk: &mut Desk, ask: &(u64, u64, Intent), policy: &Policy) {
    let plan = plan(&ask.2);
    let verdict = policy.judge(&plan, now());
    desk.app.planned(ask.0, ask.1, Ok(Judged { plan, verdict }));
}

fn focus(desk: &Desk) -> Focus {
    match &desk.app.overlay {
        Some(Overlay::Action(d)) => d.focus,
        other => panic!("a dialog, not {other:?}"),
    }
}

fn said(desk: &Desk) -> String {
    desk.app.notice.as_ref().map(|(_, n)| n.text.to_string()).unwrap_or_default()
}

#[test]
fn every_command_that_changes_something_is_a_verb_and_the_other_way_round() {
    let commands: Vec<&str> = COMMANDS.iter().filter(|c| c.danger == Danger::Changes).map(|c| c.name).collect();
    for name in &commands {
        assert!(Verb::from_name(name).is_some(), "{name} is no verb");
    }
    for verb in VERBS {
        assert!(commands.contains(&verb.name), "{} is no command", verb.name);
    }
}

#[test]
fn a_key_shows_the_plan_and_enter_leaves_it_undone() {
    let mut desk = Desk::new(small_fleet());
    desk.press("2");
    let ask = asked(desk.press("c"));
    assert_eq!(ask.2.verb, Verb::Cordon);
    answer(&mut desk, &ask, &Policy::default());
    assert_eq!(focus(&desk), Focus::Cancel, "the focus is where nothing happens");
    assert_eq!(desk.press("enter"), []);
    assert!(desk.app.overlay.is_none() && desk.app.runs.is_empty());
    assert_eq!(said(&desk), "nothing was changed");
}

#[test]
fn going_to_the_button_does_it_once() {
    let mut desk = Desk::new(small_fleet());
    desk.press("2");
    let ask = asked(desk.press("c"));
    // Before the plan is there nothing says yes.
    for keys in ["tab", "right", "y"] {
        assert_eq!(desk.press(keys), [], "{keys}");
    }
    answer(&mut desk, &ask, &Policy::default());
    desk.press("tab");
    assert_eq!(focus(&desk), Focus::Go);
    match &desk.press("enter")[..] {
        [Effect::Act { ticket, plan, assent }] => {
            assert_eq!(*ticket, ask.0);
            assert_eq!(plan.intent, ask.2);
            assert_eq!(*assent, Assent::default());
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(desk.app.running(), 1);
    assert_eq!(desk.press("enter"), [], "enter again begins nothing");
}

#[test]
fn production_wants_the_name_typed_and_a_reason() {
    let mut desk = Desk::new(small_fleet());
    desk.press("2 N");
    let ask = asked(desk.press("c"));
    let cluster = ask.2.targets[0].cluster.clone();
    let production = ClusterPolicy { production: true, read_only: false };
    let policy = Policy { clusters: [(cluster, production)].into(), ..Policy::default() };
    answer(&mut desk, &ask, &policy);
    assert_eq!(focus(&desk), Focus::Cancel);
    desk.press("tab");
    assert_eq!(focus(&desk), Focus::Go);
    assert_eq!(desk.press("enter"), []);
    assert_eq!(focus(&desk), Focus::Typed, "it shows what is missing");
    desk.press("n o d e - b");
    desk.press("tab tab tab");
    assert_eq!(desk.press("enter"), [], "another name is no yes");
    desk.press("ctrl-u n o d e - a tab b e c a u s e tab tab");
    assert_eq!(focus(&desk), Focus::Go);
    match &desk.press("enter")[..] {
        [Effect::Act { assent, .. }] => {
            assert_eq!(assent.typed, "node-a");
            assert_eq!(assent.reason, "because");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_paste_goes_into_what_is_typed_and_never_says_yes() {
    let mut desk = Desk::new(small_fleet());
    desk.press("4");
    desk.press("s");
    assert!(matches!(focus(&desk), Focus::Field(0)), "how many is asked first");
    desk.app.paste("7\n\n\r");
    let ask = asked(desk.press("enter"));
    assert_eq!(ask.2.options.replicas, Some(7));
    answer(&mut desk, &ask, &Policy::default());
    desk.press("tab");
    assert_eq!(focus(&desk), Focus::Go);
    desk.app.paste("\n");
    assert!(desk.app.runs.is_empty());
}

#[test]
fn several_targets_get_no_number_offered_and_all_are_named() {
    let mut desk = Desk::new(small_fleet());
    desk.press("4 space space");
    desk.press("s");
    match &desk.app.overlay {
        Some(Overlay::Action(d)) => {
            assert_eq!(d.intent.targets.len(), 2);
            assert!(matches!(d.making, Making::Waiting));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(desk.press("enter"), [], "without a number there is nothing to plan");
    assert!(desk.frame(100, 30).contains("say what"), "{}", desk.frame(100, 30));
    let ask = asked(desk.press("2 enter"));
    assert_eq!(ask.2.options.replicas, Some(2));
}

#[test]
fn what_is_said_anew_is_planned_anew_and_an_older_plan_is_dropped() {
    let mut desk = Desk::new(small_fleet());
    desk.press("2");
    let old = asked(desk.press("r"));
    // The first field: emptyDir data.
    desk.press("tab");
    assert!(matches!(focus(&desk), Focus::Field(0)));
    let new = asked(desk.press("space"));
    assert!(new.2.options.delete_emptydir_data && new.1 > old.1);
    answer(&mut desk, &old, &Policy::default());
    match &desk.app.overlay {
        Some(Overlay::Action(d)) => assert!(matches!(d.making, Making::Asked), "the old plan is not this one's"),
        other => panic!("{other:?}"),
    }
    answer(&mut desk, &new, &Policy::default());
    assert!(desk.frame(100, 30).contains("2 are changed") || desk.frame(100, 30).contains("1 is changed"));
}

#[test]
fn what_is_refused_has_no_button() {
    let mut desk = Desk::new(small_fleet());
    desk.press("2");
    let ask = asked(desk.press("r"));
    let mut plan = plan(&ask.2);
    plan.refused.push(Text::new("task web-1-a has emptyDir data"));
    let verdict = Policy::default().judge(&plan, now());
    desk.app.planned(ask.0, ask.1, Ok(Judged { plan, verdict }));
    match &desk.app.overlay {
        Some(Overlay::Action(d)) => assert!(!d.stops().contains(&Focus::Go)),
        other => panic!("{other:?}"),
    }
    let frame = desk.frame(80, 24);
    assert!(frame.contains("not possible: task web-1-a has emptyDir data"), "{frame}");
}

#[test]
fn read_only_keys_say_why_they_do_nothing() {
    for keys in ["2 c", "2 r", "4 s", "4 r", "4 ctrl-d", "3 s", "3 ctrl-d"] {
        let mut desk = Desk::new(small_fleet());
        desk.app.settings.read_only = true;
        assert_eq!(desk.press(keys), [], "{keys}");
        assert!(desk.app.overlay.is_none(), "{keys}");
        assert!(said(&desk).starts_with("read-only: "), "{keys}: {}", said(&desk));
    }
}

#[test]
fn a_running_action_is_followed_cancelled_and_undone() {
    let mut desk = Desk::new(small_fleet());
    desk.press("2");
    let ask = asked(desk.press("r"));
    answer(&mut desk, &ask, &Policy::default());
    // To the button: what stands before it are the fields.
    for _ in 0..8 {
        if focus(&desk) == Focus::Go {
            break;
        }
        desk.press("tab");
    }
    assert!(matches!(desk.press("enter")[..], [Effect::Act { .. }]));
    desk.app.begun(ask.0, Ok(()), now());
    let target = ask.2.targets[0].clone();
    let step = Step {
        at: now(),
        target: Some(target),
        state: StepState::Waiting,
        text: Text::new("429: budget shop/web allows 0"),
    };
    desk.app.acted(ask.0, Event::Step(step), now());
    let frame = desk.frame(80, 24);
    assert!(frame.contains("waits") && frame.contains("budget shop/web allows 0"), "{frame}");
    assert!(frame.contains("1 running"), "every screen says that something runs: {frame}");
    // It runs on behind other pages, and quitting asks.
    desk.press("esc 3");
    assert_eq!(desk.press("ctrl-c"), []);
    assert!(matches!(desk.app.overlay, Some(Overlay::Quit)));
    desk.press("esc");
    desk.press("ctrl-x a");
    assert!(desk.frame(80, 24).contains("drain node"), "{}", desk.frame(80, 24));
    assert_eq!(desk.press("x"), [Effect::CancelAct(ask.0)]);
    let undo = Intent::new(Verb::Uncordon, ask.2.targets.clone());
    let end = End { outcome: Outcome::Cancelled, text: Text::new("1 of 2 was evicted"), undo: Some(undo.clone()) };
    desk.app.acted(ask.0, Event::Ended(end), now());
    assert_eq!(desk.app.running(), 0);
    desk.press("enter");
    assert!(desk.frame(80, 24).contains("cancelled: 1 of 2 was evicted"), "{}", desk.frame(80, 24));
    let (_, _, intent) = asked(desk.press("u"));
    assert_eq!(intent, undo, "undoing is planned like anything else");
}

#[test]
fn what_cannot_be_written_down_is_not_done_and_says_so() {
    let mut desk = Desk::new(small_fleet());
    desk.press("2");
    let ask = asked(desk.press("c"));
    answer(&mut desk, &ask, &Policy::default());
    desk.press("tab enter");
    desk.app.begun(ask.0, Err(Text::new("the audit cannot be written: no space left")), now());
    assert_eq!(desk.app.running(), 0);
    let frame = desk.frame(80, 24);
    assert!(frame.contains("nothing was done") && frame.contains("no space left"), "{frame}");
}

/// An alert of one instance among many.
fn alert(pod: &str, source: AlarmSource) -> Alarm {
    Alarm {
        id: id(Kind::Alarm, "shop", &format!("Full {pod}")),
        uid: Text::new(pod),
        account_wide: false,
        source,
        state: AlarmState::Firing,
        severity: Severity::Warning,
        since: None,
        summary: Text::empty(),
        reason: Text::empty(),
        value: None,
        threshold: None,
        labels: [(Text::new("alertname"), Text::new("Full"))].into_iter().collect(),
        about: None,
        suppressed_by: Text::empty(),
        runbook: Text::empty(),
        more: AlarmMore::default(),
    }
}

#[test]
fn a_closed_line_of_alarms_stands_for_what_is_behind_it() {
    let mut store = small_fleet();
    let rows = ["web-0", "web-1", "web-2"].map(|pod| alert(pod, AlarmSource::Alertmanager));
    observe(&mut store, Feed::Alarms, Rows::Alarms(rows.to_vec()));
    let mut desk = Desk::new(store);
    desk.press("7");
    assert!(desk.frame(120, 30).contains("Full x3"));
    let (.., intent) = asked(desk.press("S"));
    assert_eq!((intent.verb, intent.options.duration), (Verb::Silence, 3600));
    assert_eq!(intent.targets, rows.iter().map(|r| r.id.clone()).collect::<Vec<_>>());
    assert!(desk.frame(120, 30).contains("such as 30m, 2h or 1d"), "how long is asked");
    // Open, each line is its own.
    desk.press("esc enter");
    let (.., intent) = asked(desk.press("S"));
    assert_eq!(intent.targets.len(), 1, "{intent:?}");
    // What a filter leaves out is not silenced either.
    desk.press("esc enter");
    desk.type_filter("web-1");
    let (.., intent) = asked(desk.press("S"));
    assert_eq!(intent.targets, [rows[1].id.clone()]);
}

#[test]
fn cloudwatch_is_not_asked_for_how_long() {
    let mut store = small_fleet();
    observe(&mut store, Feed::Alarms, Rows::Alarms(vec![alert("cpu", AlarmSource::CloudWatchMetric)]));
    let mut desk = Desk::new(store);
    desk.press("7");
    let (.., intent) = asked(desk.press("U"));
    assert_eq!(intent.verb, Verb::Unsilence);
    desk.press("esc");
    asked(desk.press("S"));
    assert!(!desk.frame(120, 30).contains("such as 30m, 2h or 1d"));
}
