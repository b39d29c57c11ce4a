//! One machine's story as the store tells it while it lasts: how it is going to end, what counts
//! as gone, what is taken back, what became of it.

#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

mod support;

use chrono::{DateTime, TimeDelta, Utc};
use quarterdeck::domain::notice::{
    Deadline, Departure, Ending, NoticeFeed, NoticeKind, Outcome, Sighting, Told, Victim,
};
use quarterdeck::domain::{CapacityType, DisruptionBudget, EcsTask, Health, Kind, Node, Stop, Task, Text};
use quarterdeck::store::notices::{NoticeRow, Verdict};
use quarterdeck::store::{Body, Feed, Observation, Rows, SourceId, Store};
use support::fleet::{cluster, id, now, observe, task};
use support::taken::{interruption, one_machine, sighting, spot_node, tell};

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
    let last = &board.rows[1];
    assert_eq!((last.gone, last.urgent, last.is_open()), (Some(later(121)), false, true));
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

fn outcome(store: &Store) -> Option<Outcome> {
    store.notices.case(&victim()).and_then(|c| c.outcome).map(|(o, _)| o)
}

#[test]
fn a_cordon_or_taint_that_is_taken_back_takes_its_notice_back() {
    let mut store = one_machine(2, 30);
    node(&mut store, later(0), |n| n.unschedulable = true);
    assert_eq!(row(&store, later(1)).kind, NoticeKind::Leaving);
    node(&mut store, later(60), |_| ());
    assert_eq!(outcome(&store), Some(Outcome::CalledOff));
    assert!(!row(&store, later(61)).is_open());
    // That does not hide what comes then.
    tell(&mut store, vec![interruption("i-1", -70)], later(71));
    let seen = row(&store, later(72));
    assert_eq!((seen.kind, seen.urgent, seen.tasks), (NoticeKind::Interruption, true, (0, 2)));
    for taint in ["spot-itn=x", "rebalance-recommendation=x", "asg-lifecycle-termination=x", "scheduled-maintenance=x"]
    {
        let mut store = one_machine(2, 30);
        let taint = format!("aws-node-termination-handler/{taint}:NoSchedule");
        node(&mut store, later(0), |n| n.taints = Text::new(&taint));
        assert!(row(&store, later(1)).is_open(), "{taint}");
        node(&mut store, later(30), |_| ());
        assert_eq!(outcome(&store), Some(Outcome::CalledOff), "{taint}");
        // And again: another story.
        node(&mut store, later(40), |n| n.taints = Text::new(&taint));
        assert!(row(&store, later(41)).is_open(), "{taint}");
    }
}

#[test]
fn what_another_feed_still_tells_stands() {
    let mut store = one_machine(2, 30);
    node(&mut store, later(0), |n| n.taints = Text::new("aws-node-termination-handler/spot-itn=x:NoSchedule"));
    tell(&mut store, vec![interruption("i-1", -1)], later(2));
    node(&mut store, later(5), |_| ());
    let seen = row(&store, later(6));
    assert_eq!((seen.kind, seen.urgent, seen.left(later(6))), (NoticeKind::Interruption, true, Some(115)));
    // A cordon is not taken back by a taint that says more, and stands when that one goes.
    let mut store = one_machine(2, 30);
    node(&mut store, later(0), |n| n.unschedulable = true);
    let tainted = |n: &mut Node| {
        (n.unschedulable, n.taints) = (true, Text::new("aws-node-termination-handler/spot-itn=x:NoSchedule"));
    };
    node(&mut store, later(3), tainted);
    assert_eq!(row(&store, later(4)).kind, NoticeKind::Interruption);
    node(&mut store, later(9), |n| n.unschedulable = true);
    assert_eq!(row(&store, later(10)).kind, NoticeKind::Leaving);
    node(&mut store, later(20), |_| ());
    assert_eq!(outcome(&store), Some(Outcome::CalledOff));
}

#[test]
fn an_end_that_nobody_reads_is_no_evacuation() {
    let stranger = Victim::Instance(Text::new("i-0ffffffffffffffff"));
    for left in [true, false] {
        let mut store = one_machine(2, 30);
        tell(&mut store, vec![interruption("i-0ffffffffffffffff", 0)], now());
        if left {
            let at = later(119);
            let gone = Departure { victim: stranger.clone(), feed: NoticeFeed::EventLog, at, taken: true };
            tell(&mut store, vec![Told::Gone(gone)], later(120));
        }
        for second in 1..400 {
            store.settle(later(second));
        }
        let kept: Vec<_> = store.notices.past().iter().map(|r| (r.outcome, r.is_interruption())).collect();
        assert_eq!(kept, [(Outcome::Unread, false)]);
    }
}

fn scheduled(event: &str, seen: i64, deadline: i64) -> Sighting {
    Sighting {
        feed: NoticeFeed::Ec2,
        message: Text::new(event),
        issued: None,
        seen: later(seen),
        ..sighting("i-1", NoticeKind::Scheduled, 0, Some(Deadline::exact(later(deadline))))
    }
}

fn over(event: &str, end: Ending, at: i64) -> Told {
    Told::Over { victim: victim(), kind: NoticeKind::Scheduled, message: Text::new(event), end, at: later(at) }
}

#[test]
fn maintenance_that_took_place_was_not_called_off() {
    for (end, at, want) in [
        (Ending::Cancelled, 600, Outcome::CalledOff),
        (Ending::Completed, 4_000, Outcome::TookPlace),
        (Ending::Unknown, 4_000, Outcome::TookPlace),
        (Ending::Unknown, 600, Outcome::Stayed),
    ] {
        let mut store = one_machine(2, 30);
        tell(&mut store, vec![Told::Notice(scheduled("event-1", 0, 3_600))], now());
        tell(&mut store, vec![over("event-1", end, at)], later(at));
        store.settle(later(at + 1));
        assert_eq!(outcome(&store), Some(want), "{end:?} at {at}");
    }
    // Two events of one machine: the other stands.
    let mut store = one_machine(2, 30);
    let two = [scheduled("event-1", 0, 3_600), scheduled("event-2", 0, 7_200)].map(Told::Notice);
    tell(&mut store, two.to_vec(), now());
    tell(&mut store, vec![over("event-1", Ending::Cancelled, 60)], later(60));
    store.settle(later(61));
    assert_eq!(row(&store, later(61)).left(later(61)), Some(7_200 - 61));
}

#[test]
fn maintenance_that_is_put_off_has_its_new_date_in_whatever_order() {
    let words =
        [scheduled("event-1", 0, 3_600), scheduled("event-1", 10_000, 90_000), scheduled("event-1", 20_000, 50_000)];
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0], [0, 2, 1], [2, 0, 1]] {
        let mut store = one_machine(2, 30);
        for n in order {
            tell(&mut store, vec![Told::Notice(words[n].clone())], later(20_001));
            // At least once means: twice.
            tell(&mut store, vec![Told::Notice(words[n].clone())], later(20_002));
        }
        assert_eq!(row(&store, later(20_003)).deadline, Some(Deadline::exact(later(50_000))), "{order:?}");
        let case = store.notices.case(&victim()).expect("a case");
        assert_eq!(case.main().map(|n| n.told.iter().map(|t| t.messages).sum()), Some(1), "{order:?}");
    }
}

#[test]
fn what_ends_by_itself_has_not_been_evacuated() {
    // A job that is done on a machine that is being emptied.
    let mut store = one_machine(2, 30);
    let job = |status: &str| {
        let mut t = task("report-1", "report", "one", status, Health::Ok);
        t.owner_kind = Kind::Job;
        if status == "Completed" {
            t.health = Health::Done;
        }
        t
    };
    apply(&mut store, Feed::Tasks, later(0), Body::Upsert(Rows::Tasks(vec![job("Running")])));
    node(&mut store, later(1), |n| n.unschedulable = true);
    assert_eq!(row(&store, later(2)).tasks, (0, 3));
    apply(&mut store, Feed::Tasks, later(3), Body::Upsert(Rows::Tasks(vec![job("Completed")])));
    assert_eq!(row(&store, later(4)).tasks, (0, 2));
    // What left before the notice that takes away is none of what that takes.
    remove(&mut store, &["web-0"], 5);
    store.settle(later(6));
    assert_eq!(row(&store, later(6)).tasks, (1, 2));
    tell(&mut store, vec![interruption("i-1", -60)], later(61));
    store.settle(later(62));
    assert_eq!(row(&store, later(62)).tasks, (0, 1));
    remove(&mut store, &["web-1"], 70);
    store.settle(later(71));
    assert_eq!(row(&store, later(71)).tasks, (1, 1));
    // Weeks before maintenance tasks come and go.
    for notice in [scheduled("event-1", 0, 90_000), sighting("i-1", NoticeKind::Rebalance, 0, None)] {
        let mut store = one_machine(2, 30);
        tell(&mut store, vec![Told::Notice(notice)], now());
        remove(&mut store, &["web-0"], 5);
        store.settle(later(6));
        assert_eq!(row(&store, later(6)).tasks, (0, 1));
        node(&mut store, later(7), |n| n.unschedulable = true);
        remove(&mut store, &["web-1"], 9);
        store.settle(later(10));
        assert_eq!(row(&store, later(10)).tasks, (1, 1));
    }
}

const ARN: &str = "arn:aws:ecs:eu-west-1:1:task/shop/abc";

fn of_fargate(stop_timeout: Option<u16>, stop: Option<Stop>) -> Task {
    let mut t = task("web-9", "web", "", "Running", Health::Ok);
    t.grace = stop_timeout.unwrap_or(30);
    t.ecs = Some(Box::new(EcsTask {
        arn: Text::new(ARN),
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
        stop_timeout,
        stop,
    }));
    t
}

#[test]
fn a_task_of_fargates_is_left_what_its_definition_says_and_cut_only_when_that_is_known() {
    let stop = Stop { code: Text::new("SpotInterruption"), reason: Text::empty(), begun: Some(now()), at: None };
    let event = Sighting {
        victim: Victim::Task(Text::new(ARN)),
        ..sighting("x", NoticeKind::Interruption, 0, Some(Deadline::usual(later(30))))
    };
    let says = |store: &Store, at: i64| {
        let board = store.board(later(at));
        let row = board.rows.first().expect("a notice");
        (row.left(later(at)), row.verdict, row.health())
    };
    for (known, deadline, cut_at) in [(Some(100), 100, 101), (None, 30, 121)] {
        for told_first in [true, false] {
            let mut store = one_machine(1, 30);
            let rows = Rows::Tasks(vec![of_fargate(known, None)]);
            apply(&mut store, Feed::Tasks, later(-9), Body::Upsert(rows));
            let going = Rows::Tasks(vec![of_fargate(known, Some(stop.clone()))]);
            if told_first {
                tell(&mut store, vec![Told::Notice(event.clone())], later(1));
                assert_eq!(says(&store, 2).0, Some(deadline - 2), "by the event alone, {known:?}");
            }
            apply(&mut store, Feed::Tasks, later(3), Body::Upsert(going));
            tell(&mut store, vec![Told::Notice(event.clone())], later(4));
            store.settle(later(4));
            assert_eq!(says(&store, 5).0, Some(deadline - 5));
            let (_, verdict, health) = says(&store, cut_at - 2);
            assert!(verdict < Some(Verdict::Cut) && health < Health::Critical, "{known:?}: {verdict:?} {health:?}");
            let (_, verdict, health) = says(&store, cut_at);
            assert_eq!((verdict, health), (Some(Verdict::Cut), Health::Critical), "{known:?}");
        }
    }
}

/// A scheduler does not hear at once that a machine has gone.
#[test]
fn what_is_placed_on_a_machine_that_has_gone_was_not_cut() {
    let mut store = one_machine(1, 40);
    tell(&mut store, vec![interruption("i-1", 0)], now());
    let placed = |store: &mut Store, name: &str, at: i64| {
        let mut waiting = task(name, "web", "", "Pending", Health::Warning);
        waiting.created = Some(later(at - 60));
        let there = Task { node: Text::new("one"), ..waiting.clone() };
        apply(store, Feed::Tasks, later(at - 60), Body::Upsert(Rows::Tasks(vec![waiting])));
        apply(store, Feed::Tasks, later(at), Body::Upsert(Rows::Tasks(vec![there])));
    };
    // One comes while it still runs, one when the console has heard of its end, one just before that.
    placed(&mut store, "web-late", 119);
    placed(&mut store, "web-later", 121);
    tell(&mut store, vec![gone(120)], later(122));
    placed(&mut store, "web-latest", 123);
    store.settle(later(124));
    // What is told of them afterwards, while the others are waited for, makes them none of those that were there.
    for name in ["web-later", "web-latest"] {
        let mut leaving = task(name, "web", "one", "Terminating", Health::Progressing);
        leaving.created = Some(later(60));
        apply(&mut store, Feed::Tasks, later(130), Body::Upsert(Rows::Tasks(vec![leaving])));
    }
    for second in [131, 300] {
        store.settle(later(second));
    }
    assert_eq!(row(&store, later(300)).outcome, Some(Outcome::Cut { tasks: 2 }));
}
