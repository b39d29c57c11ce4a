//! One machine's story as the store tells it while it lasts: how it is going to end, what counts
//! as gone, what is taken back, what became of it.

#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

mod support;

use chrono::{DateTime, TimeDelta, Utc};
use quarterdeck::domain::notice::{Departure, NoticeFeed, Outcome, Told, Victim};
use quarterdeck::domain::{DisruptionBudget, Health, Kind, Node, Text};
use quarterdeck::store::notices::{NoticeRow, Verdict};
use quarterdeck::store::{Body, Feed, Observation, Rows, SourceId, Store};
use support::fleet::{cluster, id, now, observe, task, workload};
use support::taken::{one_machine, interruption, spot_node, tell};

fn victim() -> Victim {
    Victim::Instance(Text::new("i-1"))
}

fn later(secs: i64) -> DateTime<Utc> {
    now() + TimeDelta::seconds(secs)
}

fn apply(store: &mut Store, feed: Feed, at: DateTime<Utc>, body: Body) {
    store.apply(Observation { source: SourceId { cluster: cluster(), feed }, at, body });
}

fn node(store: &mut Store, at: DateTime<Utc>, change: impl FnOnce(&mut Node)) {
    let mut row = spot_node("one", "i-1", "eu-west-1a");
    change(&mut row);
    apply(store, Feed::Nodes, at, Body::Upsert(Rows::Nodes(vec![row])));
}

fn row(store: &Store, at: DateTime<Utc>) -> NoticeRow {
    let board = store.board(at);
    board.rows.iter().find(|r| r.victim == victim()).cloned().expect("a notice")
}

fn verdicts(store: &mut Store, secs: impl IntoIterator<Item = i64>) -> Vec<Verdict> {
    secs.into_iter()
        .map(|s| {
            store.settle(later(s));
            row(store, later(s)).verdict.expect("a verdict")
        })
        .collect()
}

#[test]
fn what_nobody_empties_is_not_safe_and_is_cut_once_its_tasks_have_no_time_to_end() {
    use Verdict::{Cut, Safe, Tight};
    let mut store = one_machine(2, 40);
    tell(&mut store, vec![interruption("i-1", 0)], now());
    assert_eq!(verdicts(&mut store, [1, 10, 21, 60, 79, 81, 110]), [Safe, Safe, Tight, Tight, Tight, Cut, Cut]);
    // Somebody has closed it: they leave next.
    let mut store = one_machine(2, 40);
    tell(&mut store, vec![interruption("i-1", 0)], now());
    node(&mut store, later(3), |n| n.unschedulable = true);
    assert_eq!(verdicts(&mut store, [1, 10, 21, 50]), [Safe, Safe, Safe, Safe]);
    let mut store = one_machine(2, 40);
    tell(&mut store, vec![interruption("i-1", 0)], now());
    node(&mut store, later(3), |n| n.taints = Text::new("karpenter.sh/disrupted:NoSchedule"));
    assert_eq!(verdicts(&mut store, [10, 21, 50]), [Safe, Safe, Safe]);
    // One has begun to leave.
    let mut store = one_machine(2, 40);
    tell(&mut store, vec![interruption("i-1", 0)], now());
    let leaving = task("web-0", "web", "one", "Terminating", Health::Ok);
    apply(&mut store, Feed::Tasks, later(5), Body::Upsert(Rows::Tasks(vec![leaving])));
    assert_eq!(verdicts(&mut store, [10, 21, 50]), [Safe, Safe, Safe]);
}

#[test]
fn a_budget_that_allows_one_for_a_moment_does_not_make_the_verdict_flap() {
    let mut store = one_machine(3, 30);
    tell(&mut store, vec![interruption("i-1", 0)], now());
    node(&mut store, later(2), |n| n.unschedulable = true);
    let budget = |store: &mut Store, allowed, at| {
        let row = DisruptionBudget {
            id: id(Kind::DisruptionBudget, "shop", "web"),
            selector: [(Text::new("app"), Text::new("web"))].into_iter().collect(),
            allowed,
            min_available: Text::new("2"),
            max_unavailable: Text::empty(),
            healthy: 3,
            expected: 3,
            created: None,
        };
        apply(store, Feed::DisruptionBudgets, at, Body::Upsert(Rows::DisruptionBudgets(vec![row])));
    };
    let mut seen = Vec::new();
    for second in 3..30 {
        budget(&mut store, u32::from(second % 4 == 3), later(second));
        seen.extend(verdicts(&mut store, [second]));
    }
    let changes = seen.windows(2).filter(|w| w[0] != w[1]).count();
    assert_eq!((changes, seen.last()), (1, Some(&Verdict::Tight)), "{seen:?}");
    // Allowed for good.
    budget(&mut store, 1, later(31));
    assert_eq!(verdicts(&mut store, [31, 55]), [Verdict::Tight, Verdict::Safe]);
}

fn gone(at: i64) -> Told {
    Told::Gone(Departure { victim: victim(), feed: NoticeFeed::EventLog, at: later(at), taken: true })
}

fn remove(store: &mut Store, names: &[&str], at: i64) {
    let ids = names.iter().map(|n| id(Kind::Task, "shop", n)).collect();
    apply(store, Feed::Tasks, later(at), Body::Remove(ids));
}

#[test]
fn what_has_gone_leads_nothing_while_word_of_its_tasks_is_awaited() {
    let mut store = one_machine(3, 30);
    observe(
        &mut store,
        Feed::Nodes,
        Rows::Nodes(vec![spot_node("one", "i-1", "eu-west-1a"), spot_node("two", "i-2", "eu-west-1a")]),
    );
    tell(&mut store, vec![interruption("i-1", 0), interruption("i-2", -30)], now());
    remove(&mut store, &["web-0"], 100);
    tell(&mut store, vec![gone(121)], later(122));
    store.settle(later(123));
    let board = store.board(later(123));
    assert_eq!(board.rows.iter().map(|r| r.victim.name()).collect::<Vec<_>>(), ["i-2", "i-1"]);
    let waits = &board.rows[1];
    assert_eq!((waits.gone, waits.urgent, waits.is_open()), (Some(later(121)), false, true));
    let rush = board.rush;
    assert_eq!((rush.machines, rush.cut, rush.first.map(|d| d.at)), (1, 0, Some(later(150))));
    // What is cut of it is known once it is known.
    store.settle(later(220));
    assert_eq!(row(&store, later(220)).outcome, Some(Outcome::Cut { tasks: 2 }));
}

#[test]
fn tasks_that_are_killed_are_not_counted_as_gone_at_any_time() {
    let mut store = one_machine(3, 30);
    tell(&mut store, vec![interruption("i-1", 0)], now());
    remove(&mut store, &["web-0"], 60);
    tell(&mut store, vec![gone(121)], later(122));
    // It is a while until the cluster says that this one has ended, too.
    remove(&mut store, &["web-1"], 130);
    store.settle(later(131));
    let seen = row(&store, later(131));
    assert_eq!((seen.tasks, seen.verdict, seen.is_open()), ((1, 3), Some(Verdict::Cut), true));
    remove(&mut store, &["web-2"], 140);
    store.settle(later(141));
    let seen = row(&store, later(141));
    assert_eq!((seen.tasks, seen.outcome), ((1, 3), Some(Outcome::Cut { tasks: 2 })));
}
