//! The order of a list that is brought up to date is that of one which is made anew.

#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

mod support;

use chrono::TimeDelta;
use proptest::prelude::*;
use quarterdeck::app::table::{Scope, Sort, TableState, ViewKind};
use quarterdeck::domain::{Health, NodeCondition, Task, Thresholds, Timestamp};
use quarterdeck::store::memo::Patience;
use quarterdeck::store::observation::{Body, Feed, Rows};
use quarterdeck::store::problems::wrong;
use quarterdeck::store::{Observation, SourceId, Store};
use quarterdeck::view::arrange;
use quarterdeck::view::columns::Context;
use quarterdeck::view::table::{TableRow, table as list};
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
    bring_up_to_date(table, store, now);
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
    apply(&mut store, Feed::Tasks, now(), put(&[1, 2, 3, 4]));
    let mut table = TableState::new(ViewKind::Tasks, Scope::All, Sort { column: "status", descending: true });
    table.page = 10;
    assert_eq!(order(&mut table, &store, now()), ["t001", "t002", "t003", "t004"]);
    table.go(&store, 1);
    // What goes leaves its slot to what comes.
    let later = now() + TimeDelta::milliseconds(100);
    apply(&mut store, Feed::Tasks, later, Body::Remove(vec![of(3, 4).id]));
    apply(&mut store, Feed::Tasks, later, put(&[9]));
    store.patience.hurry(true);
    assert_eq!(
        order(&mut table, &store, later),
        ["t001", "t002", "t009", "t004"],
        "the order of a moment ago: its slots"
    );
    assert!(table.id_at(&store, 2).is_none(), "t009 is not where t003 was");
    let selected = table.selected(&store).expect("a row");
    assert_eq!(selected.name.as_str(), "t002");
    // What is gone under the cursor leaves it to the next, without an order of everything.
    apply(&mut store, Feed::Tasks, later, Body::Remove(vec![selected]));
    apply(&mut store, Feed::Tasks, later, put(&[0]));
    assert_eq!(order(&mut table, &store, later), ["t001", "t004"], "what has come since has no place yet");
    assert_eq!(table.selected(&store), Some(of(4, 4).id));
    assert_eq!(table.selected(&store), table.cursor, "keys act on what the cursor is on");
    store.patience.hurry(false);
    assert_eq!(order(&mut table, &store, later), ["t000", "t001", "t004", "t009"]);
    assert_eq!(table.selected(&store), Some(of(4, 4).id), "it stays there");
    // Without any row that was there before, there is no waiting.
    table.go(&store, 2);
    for name in [0, 1, 4, 9] {
        apply(&mut store, Feed::Tasks, later, Body::Remove(vec![of(name, 4).id]));
    }
    apply(&mut store, Feed::Tasks, later, put(&[5]));
    store.patience.hurry(true);
    assert_eq!(order(&mut table, &store, later), ["t005"]);
}

/// An order that takes long is given up when a key comes, and made as if nothing had been.
#[test]
fn an_order_that_is_given_up_is_made_later() {
    for column in ["status", "name"] {
        let mut store = Store::expecting([cluster()]);
        store.patience = Patience::of(TimeDelta::milliseconds(250));
        let put = |names: std::ops::Range<u8>| Body::Upsert(Rows::Tasks(names.map(|n| of(n, 4)).collect()));
        apply(&mut store, Feed::Tasks, now(), put(200..203));
        let made = || TableState::new(ViewKind::Tasks, Scope::All, Sort { column, descending: false });
        let mut table = made();
        table.page = 10;
        assert_eq!(order(&mut table, &store, now()), ["t200", "t201", "t202"]);
        table.go(&store, 2);
        let later = now() + TimeDelta::milliseconds(500);
        // More than find their places before anybody looks whether a key has come.
        apply(&mut store, Feed::Tasks, later, put(0..180));
        apply(&mut store, Feed::Tasks, later, Body::Remove(vec![of(200, 4).id]));
        store.patience.door.knock();
        bring_up_to_date(&mut table, &store, later);
        assert!(store.patience.was_used(), "{column}: it is made soon");
        assert_eq!(table.order.iter().filter(|s| store.tasks.at(**s).is_some()).count(), 2, "{column}");
        assert_eq!(table.selected(&store), Some(of(202, 4).id), "{column}");
        assert_eq!(table.selected(&store), table.cursor, "{column}");
        store.patience.door.answer();
        assert_eq!(order(&mut table, &store, later), order(&mut made(), &store, later), "{column}");
        assert_eq!(table.selected(&store), Some(of(202, 4).id), "{column}: the cursor stays on its row");
        // Who knocks without end sees what has come all the same.
        store.patience.door.knock();
        let much_later = later + TimeDelta::milliseconds(1500);
        for name in 0..180 {
            apply(&mut store, Feed::Tasks, much_later, Body::Remove(vec![of(name, 4).id]));
        }
        apply(&mut store, Feed::Tasks, much_later, put(0..199));
        apply(&mut store, Feed::Tasks, much_later, put(203..255));
        assert_eq!(order(&mut table, &store, much_later), order(&mut made(), &store, much_later), "{column}");
    }
}

/// The rows of a list's page as they are drawn, each in one text, with `>` before the one under the cursor.
fn page(table: &mut TableState, store: &Store, now: Timestamp, wide: bool) -> Vec<String> {
    let c = Context { store, now, absolute: false, ascii: false, thresholds: Thresholds::default() };
    arrange(table, c);
    let model = list(table, c, 120, wide);
    let text = |row: &TableRow| {
        let cells: Vec<&str> = row.cells.iter().map(|cell| cell.text.as_str()).collect();
        format!("{}{}", if row.selected { ">" } else { "" }, cells.join(" ").trim_end())
    };
    let rows = model.rows.iter().map(text).collect();
    table.shown = model;
    rows
}

/// A frame that answers a key has the rows of the last one, with the cursor where it is now; the next has them as they are.
#[test]
fn a_key_s_frame_has_the_rows_that_were_shown() {
    let mut store = Store::expecting([cluster()]);
    let put = |tasks: &[Task]| Body::Upsert(Rows::Tasks(tasks.to_vec()));
    apply(&mut store, Feed::Tasks, now(), put(&[of(1, 4), of(2, 4), of(3, 4), of(4, 4)]));
    // By name the time changes nothing but how old they are.
    let made = || {
        let mut table = TableState::new(ViewKind::Tasks, Scope::All, Sort { column: "name", descending: false });
        table.page = 10;
        table
    };
    let after = |millis| now() + TimeDelta::milliseconds(millis);
    let (mut table, mut strict) = (made(), made());
    let before = page(&mut table, &store, now(), false);
    assert_eq!(page(&mut strict, &store, now(), false), before);
    assert!(before[0].starts_with(">shop t001") && before[1].contains("Running"), "{before:?}");
    apply(&mut store, Feed::Tasks, after(100), put(&[of(2, 3)]));
    apply(&mut store, Feed::Tasks, after(100), Body::Remove(vec![of(3, 4).id]));
    apply(&mut store, Feed::Tasks, after(100), put(&[of(9, 4)]));
    // Where nothing may be old, nothing is.
    store.patience.hurry(true);
    let as_it_is = page(&mut made(), &store, after(100), false);
    assert_eq!(page(&mut strict, &store, after(100), false), as_it_is);
    store.patience = Patience::of(TimeDelta::milliseconds(250));
    store.patience.hurry(true);
    table.go(&store, 1);
    let for_a_key = page(&mut table, &store, after(100), false);
    assert!(store.patience.was_used(), "the next comes soon");
    assert_eq!(for_a_key[1], format!(">{}", before[1]), "as it was");
    assert_eq!(for_a_key[0], before[0][1..]);
    assert_eq!((for_a_key[2].as_str(), &for_a_key[3]), ("", &before[3]), "none stands for another");
    table.toggle_mark();
    let _ = page(&mut table, &store, after(100), false);
    assert_eq!((table.shown.rows[1].marked, table.shown.marked), (true, (1, 0)), "marks are those of now");
    assert!(page(&mut table, &store, after(100), true)[1].contains("CrashLoopBackOff"), "other columns are made");
    store.patience.hurry(false);
    table.go(&store, 0);
    assert_eq!(page(&mut table, &store, after(100), false), as_it_is, "nobody waits");
}

/// While the store is as it was, only the time decides whether the rows of the last frame will do.
#[test]
fn rows_that_were_shown_are_made_again_where_nobody_waits_or_they_are_two_seconds_old() {
    let mut store = Store::expecting([cluster()]);
    store.patience = Patience::of(TimeDelta::milliseconds(250));
    apply(&mut store, Feed::Tasks, now(), Body::Upsert(Rows::Tasks((1..5).map(|n| of(n, 4)).collect())));
    let mut table = TableState::new(ViewKind::Tasks, Scope::All, Sort { column: "name", descending: false });
    table.page = 10;
    let mut made_at = |store: &Store, millis| {
        let at = now() + TimeDelta::milliseconds(millis);
        let _ = page(&mut table, store, at, false);
        let made = table.shown.made.as_ref().expect("rows");
        ((made.at - now()).num_milliseconds(), store.patience.was_used())
    };
    assert_eq!(made_at(&store, 0), (0, false));
    assert_eq!(made_at(&store, 1), (1, false), "nobody waits");
    store.patience.hurry(true);
    assert_eq!(made_at(&store, 999), (1, false), "of the same moment: nothing else would come of it");
    assert_eq!(made_at(&store, 1000), (1, true), "they are a second older by now");
    assert_eq!(made_at(&store, 2000), (1, true));
    assert_eq!(made_at(&store, 2001), (2001, false), "two seconds are too old");
    store.patience.hurry(false);
    assert_eq!(made_at(&store, 2002), (2002, false));
}

fn bring_up_to_date(table: &mut TableState, store: &Store, now: Timestamp) {
    let c = Context { store, now, absolute: false, ascii: false, thresholds: Thresholds::default() };
    arrange(table, c);
}

/// So is the search for what is wrong, by all who ask within one frame.
#[test]
fn a_search_for_what_is_wrong_that_is_given_up_is_made_later() {
    let mut store = Store::expecting([cluster()]);
    store.patience = Patience::of(TimeDelta::milliseconds(250));
    // More than are looked at before anybody looks whether a key has come.
    let ill = |last: u16| {
        Body::Upsert(Rows::Tasks(
            (0..last)
                .map(|n| {
                    let mut task = of(0, 3);
                    task.id.name = quarterdeck::domain::Text::new(&format!("ill-{n:04}"));
                    task.owner = task.id.name.clone();
                    task
                })
                .collect(),
        ))
    };
    apply(&mut store, Feed::Tasks, now(), ill(600));
    let later = now() + TimeDelta::minutes(1);
    assert_eq!(wrong(&store, later).len(), 600);
    apply(&mut store, Feed::Tasks, later, ill(700));
    let then = later + TimeDelta::milliseconds(400);
    store.patience.door.knock();
    assert_eq!(wrong(&store, then).len(), 600, "as it was a moment ago");
    assert!(store.patience.was_used());
    store.patience.door.answer();
    store.patience.begin();
    assert_eq!(wrong(&store, then).len(), 700);
    assert!(!store.patience.was_used());
    apply(&mut store, Feed::Tasks, then, ill(800));
    store.patience.begin();
    store.patience.door.knock();
    assert_eq!(wrong(&store, then + TimeDelta::milliseconds(1500)).len(), 800, "that is too old, whoever knocks");
}
