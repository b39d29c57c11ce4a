//! What a plan, an action under way and the list of them look like.

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod support;

use chrono::TimeDelta;
use quarterdeck::action::guard::ClusterPolicy;
use quarterdeck::action::{
    Change, End, Event, Fate, Intent, Judged, Outcome, Permission, Plan, Policy, Precondition, Step, StepState, Verb,
};
use quarterdeck::app::Effect;
use quarterdeck::domain::{Kind, ObjectId, Text};
use support::fleet::{Desk, now, small_fleet};

fn task(like: &ObjectId, namespace: &str, name: &str) -> ObjectId {
    ObjectId { cluster: like.cluster.clone(), kind: Kind::Task, namespace: Text::new(namespace), name: Text::new(name) }
}

/// A drain as a real one looks: tasks that move, one that a budget holds, some that stay.
fn drain(intent: &Intent) -> Plan {
    let node = &intent.targets[0];
    let mut plan = Plan::new(intent.clone(), now());
    let mut add = |target: ObjectId, field: &str, from: &str, to: &str, fate: Fate, note: &str| {
        plan.changes.push(Change {
            target,
            field: Text::new(field),
            from: Text::new(from),
            to: Text::new(to),
            fate,
            note: Text::new(note),
            precondition: Precondition::Nothing,
        });
    };
    add(node.clone(), "schedulable", "yes", "no", Fate::Acts, "");
    add(task(node, "shop", "web-6d4b9c7f5-x2x9k"), "evict", "", "", Fate::Acts, "30 s to end");
    add(task(node, "shop", "cart-7c9dd-lk4nn"), "evict", "", "", Fate::Acts, "30 s to end");
    add(
        task(node, "payments", "payments-api-gateway-v2-5f6d8c7b9-qqw8z"),
        "evict",
        "",
        "",
        Fate::Waits,
        "budget payments/api allows 0 of 3 to be down",
    );
    for (set, name) in [("aws-node", "aws-node-7xk2p"), ("kube-proxy", "kube-proxy-q4x8v")] {
        let note = format!("DaemonSet {set} would start it again at once");
        add(task(node, "kube-system", name), "leave", "Running", "", Fate::Stays, &note);
    }
    add(task(node, "batch", "report-28911-4kd9x"), "evict", "", "", Fate::Acts, "finished");
    plan.warnings = vec![Text::new("deploy shop/cart has 1 task: it is down until it runs elsewhere")];
    plan.facts =
        vec![Text::new("fits elsewhere: 3.2 cores and 9.1 GiB are wanted, 11 cores and 40 GiB are free on 6 nodes")];
    plan.undo = Text::new("uncordon lets it take tasks again; what has moved stays where it is then");
    plan.equivalent = vec![format!("kubectl --context prod drain {} --ignore-daemonsets --timeout 600s", node.name)];
    plan.needs = vec![
        Permission { what: Text::new("patch nodes"), allowed: Some(true) },
        Permission { what: Text::new("create pods/eviction in shop"), allowed: Some(true) },
    ];
    plan
}

fn proposed(policy: &Policy, change: impl FnOnce(&mut Plan)) -> (Desk, u64) {
    let mut desk = Desk::new(small_fleet());
    desk.press("2 N");
    let Some(Effect::Plan { ticket, round, intent }) = desk.press("r").into_iter().next() else {
        panic!("a plan is asked for")
    };
    let mut plan = drain(&intent);
    change(&mut plan);
    let verdict = policy.judge(&plan, now());
    desk.app.planned(ticket, round, Ok(Judged { plan, verdict }));
    (desk, ticket)
}

fn production(desk: &Desk) -> Policy {
    let cluster = desk.store.clusters().next().expect("a cluster").0.clone();
    Policy { clusters: [(cluster, ClusterPolicy { production: true, read_only: false })].into(), ..Policy::default() }
}

fn shown(name: &str, desk: &mut Desk) {
    for (width, height) in [(80, 24), (120, 40)] {
        insta::assert_snapshot!(format!("{name}-{width}x{height}"), desk.frame(width, height));
    }
}

#[test]
fn a_drain() {
    let (mut desk, _) = proposed(&Policy::default(), |_| {});
    shown("drain", &mut desk);
    let policy = production(&desk);
    let (mut desk, _) = proposed(&policy, |_| {});
    // To the button: it says what is missing.
    desk.press("tab enter");
    shown("drain-in-production", &mut desk);
}

#[test]
fn what_is_not_possible() {
    let (mut desk, _) = proposed(&Policy::default(), |plan| {
        plan.refused = vec![Text::new(
            "task shop/web-6d4b9c7f5-x2x9k keeps data in an emptyDir: it would be lost; say `delete emptyDir data` above to let it go",
        )];
        plan.needs[1].allowed = Some(false);
    });
    shown("drain-refused", &mut desk);
    desk.ascii = true;
    shown("drain-refused-ascii", &mut desk);
}

#[test]
fn a_number_that_is_asked_first() {
    let mut desk = Desk::new(small_fleet());
    desk.press("4 s 5");
    shown("scale", &mut desk);
}

#[test]
fn an_action_under_way_and_over() {
    let (mut desk, ticket) = proposed(&Policy::default(), |_| {});
    desk.press("tab enter");
    desk.app.begun(ticket, Ok(()), now());
    let targets: Vec<ObjectId> = desk.app.runs[0].plan.changes.iter().map(|c| c.target.clone()).collect();
    let step = |at: usize, state, text: &str| {
        let target = targets.get(at).cloned();
        Event::Step(Step { at: now(), target, state, text: Text::new(text) })
    };
    for event in [
        step(0, StepState::Done, "takes no new tasks"),
        step(1, StepState::Done, "gone after 12 s"),
        step(2, StepState::Doing, "evicted, ending"),
        step(3, StepState::Waiting, "429: budget payments/api allows 0; next try in 4 s"),
    ] {
        desk.app.acted(ticket, event, now());
    }
    desk.now += TimeDelta::seconds(42);
    shown("running", &mut desk);
    desk.press("esc");
    desk.press("ctrl-c");
    shown("quit", &mut desk);
    desk.press("esc");
    let undo = Intent::new(Verb::Uncordon, vec![targets[0].clone()]);
    let end = End {
        outcome: Outcome::Failed,
        text: Text::new(
            "3 of 4 tasks left; payments/payments-api-gateway-v2-5f6d8c7b9-qqw8z is held by budget payments/api after 10m",
        ),
        undo: Some(undo),
    };
    desk.app.acted(ticket, Event::Ended(end), desk.now);
    desk.press("ctrl-x a");
    shown("actions", &mut desk);
    desk.press("enter");
    shown("ended", &mut desk);
}
