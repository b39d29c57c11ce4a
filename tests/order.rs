//! The order of a list that is brought up to date is that of one which is made anew.

#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

mod support;

use chrono::TimeDelta;
use proptest::prelude::*;
use quarterdeck::app::table::{Scope, Sort, TableState, ViewKind};
use quarterdeck::domain::{Health, NodeCondition, Task, Thresholds, Timestamp};
use quarterdeck::store::memo::Patience;
use quarterdeck::store::observation::{Body, Feed, Rows};
use quarterdeck::store::{Observation, SourceId, Store};
use quarterdeck::view::arrange;
use quarterdeck::view::columns::Context;
use support::fleet::{cluster, node, now, task};

/// How a task may be: well, done, on its way, in trouble, in a loop.
fn of(name: u8, how: u8) -> Task {
    let (status, health) = match how {
        0 => ("Completed", Health::Done),
        1 => ("Pending", Health::Progressing),
        2 => ("NotReady", Health::Warning),
        3 => ("CrashLoopBackOff", Health::Critical),
        _ => ("Running", Health::Ok),
    };
    let node = if name.is_multiple_of(3) { "node-b" } else { "node-a" };
    let mut task = task(&format!("t{name:03}"), "api", node, status, health);
    task.since = Some(now());
    task.restarts = if how == 5 { 9 } else { task.restarts };
    task
}

fn apply(store: &mut Store, feed: Feed, at: Timestamp, body: Body) {
    store.apply(Observation { source: SourceId { cluster: cluster(), feed }, at, body });
}

fn order(table: &mut TableState, store: &Store, now: Timestamp) -> Vec<String> {
    let c = Context { store, now, absolute: false, ascii: false, thresholds: Thresholds::default() };
    arrange(table, c);
    table.order.iter().map(|slot| store.tasks.at(*slot).expect("a row").id.name.to_string()).collect()
}

proptest! {
    #[test]
    fn tasks_that_stay_well_are_where_a_look_at_each_would_put_them(
        steps in prop::collection::vec((0_u8..40, 0_u8..9, 1_i64..40, any::<bool>()), 1..120),
    ) {
        let mut store = Store::expecting([cluster()]);
        apply(&mut store, Feed::Nodes, now(), Body::Upsert(Rows::Nodes(vec![node("node-a", NodeCondition::Ready)])));
        let all = (0..40).map(|n| of(n, 4)).collect();
        apply(&mut store, Feed::Tasks, now(), Body::Upsert(Rows::Tasks(all)));
        let made = || TableState::new(ViewKind::Tasks, Scope::All, Sort { column: "status", descending: true });
        let (mut kept, mut at) = (made(), now());
        for (name, how, seconds, looked) in steps {
            at += TimeDelta::seconds(seconds);
            let (feed, body) = match how {
                0..6 => (Feed::Tasks, Body::Upsert(Rows::Tasks(vec![of(name, how)]))),
                6 => (Feed::Tasks, Body::Remove(vec![of(name, 0).id])),
                how => {
                    let condition = if how == 7 { NodeCondition::Silent } else { NodeCondition::Ready };
                    (Feed::Nodes, Body::Upsert(Rows::Nodes(vec![node("node-b", condition)])))
                }
            };
            apply(&mut store, feed, at, body);
            if looked {
                prop_assert_eq!(order(&mut kept, &store, at), order(&mut made(), &store, at));
            }
        }
    }
}

/// What is drawn from an order of a moment ago, because a key waits, never stands for another row.
#[test]
fn a_row_that_came_meanwhile_is_not_taken_for_the_one_that_was_there() {
    let mut store = Store::expecting([cluster()]);
    store.patience = Patience::of(TimeDelta::milliseconds(250));
    let put = |names: &[u8]| Body::Upsert(Rows::Tasks(names.iter().map(|n| of(*n, 4)).collect()));
    apply(&mut store, Feed::Tasks, now(), put(&[1, 2, 3]));
    let mut table = TableState::new(ViewKind::Tasks, Scope::All, Sort { column: "status", descending: true });
    table.page = 10;
    assert_eq!(order(&mut table, &store, now()), ["t001", "t002", "t003"]);
    table.go(&store, 1);
    // What goes leaves its slot to what comes.
    let later = now() + TimeDelta::milliseconds(100);
    apply(&mut store, Feed::Tasks, later, Body::Remove(vec![of(3, 4).id]));
    apply(&mut store, Feed::Tasks, later, put(&[9]));
    store.patience.hurry(true);
    assert_eq!(order(&mut table, &store, later), ["t001", "t002", "t009"], "the order of a moment ago: its slots");
    assert!(table.id_at(&store, 2).is_none(), "t009 is not where t003 was");
    let selected = table.selected(&store).expect("a row");
    assert_eq!(selected.name.as_str(), "t002");
    // Under the cursor it is looked at again, whoever waits.
    apply(&mut store, Feed::Tasks, later, Body::Remove(vec![selected]));
    apply(&mut store, Feed::Tasks, later, put(&[0]));
    assert_eq!(order(&mut table, &store, later), ["t000", "t001", "t009"]);
    assert_eq!(table.selected(&store), table.cursor, "keys act on what the cursor is on");
}
