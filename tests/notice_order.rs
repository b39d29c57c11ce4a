//! The words of one machine's end, in every order and with every delay that feeds have: what
//! is said of it does not depend on who was heard first.

mod support;

use chrono::{DateTime, TimeDelta, Utc};
use quarterdeck::domain::notice::{
    Deadline, Departure, Fate, NoticeFeed, NoticeKind, Outcome, Place, Sighting, Told, Victim,
};
use quarterdeck::domain::{Health, NodeCondition, Text};
use quarterdeck::store::{Body, Feed, Observation, Rows, SourceId, Store};
use support::fleet::{cluster, id, now, observe, task, workload};
use support::taken::{spot_node, tell};

const TASKS: u32 = 3;

/// What is heard of a machine that goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// EventBridge's state change, by way of the log or of the queue.
    State(NoticeFeed),
    /// EventBridge's warning.
    Warning(NoticeFeed),
    /// The status of the spot request and, in the same answer, that it does not run. EC2 does
    /// not say when it went: at the latest now.
    Poll,
    /// The status of the spot request, of an instance that runs as far as EC2 knows.
    Status,
    /// The kubelet is silent.
    NotReady,
    /// The node's object is deleted.
    Deleted,
}

/// When EC2 gave notice, if it did, and when the machine went.
#[derive(Debug, Clone, Copy)]
struct Story {
    issued: DateTime<Utc>,
    went: DateTime<Utc>,
}

fn fleet() -> Store {
    let mut store = Store::expecting([cluster()]).and_backends([support::taken::events()]);
    observe(&mut store, Feed::Nodes, Rows::Nodes(vec![spot_node("one", "i-1", "eu-west-1a")]));
    let on_it = |n| task(&format!("web-{n}"), "web", "one", "Running", Health::Ok);
    observe(&mut store, Feed::Tasks, Rows::Tasks((0..TASKS).map(on_it).collect()));
    observe(&mut store, Feed::Deployments, Rows::Workloads(vec![workload("web", TASKS, TASKS)]));
    store
}

fn victim() -> Victim {
    Victim::Instance(Text::new("i-1"))
}

fn told(feed: NoticeFeed, story: Story, seen: DateTime<Utc>) -> Told {
    Told::Notice(Sighting {
        victim: victim(),
        kind: NoticeKind::Interruption,
        feed,
        message: Text::new(feed.word()),
        issued: Some(story.issued),
        seen,
        deadline: Some(Deadline::exact(story.issued + TimeDelta::seconds(120))),
        fate: Fate::Terminate,
        place: Place::default(),
        detail: Text::empty(),
    })
}

fn gone(feed: NoticeFeed, at: DateTime<Utc>, taken: bool) -> Told {
    Told::Gone(Departure { victim: victim(), feed, at, taken })
}

fn apply(store: &mut Store, feed: Feed, at: DateTime<Utc>, body: Body) {
    store.apply(Observation { source: SourceId { cluster: cluster(), feed }, at, body });
}

fn say(store: &mut Store, word: Word, story: Story, at: DateTime<Utc>) {
    match word {
        Word::State(feed) => tell(store, vec![gone(feed, story.went, false)], at),
        Word::Warning(feed) => tell(store, vec![told(feed, story, at)], at),
        Word::Poll => tell(store, vec![told(NoticeFeed::Ec2, story, at), gone(NoticeFeed::Ec2, at, true)], at),
        Word::Status => tell(store, vec![told(NoticeFeed::Ec2, story, at)], at),
        Word::NotReady => {
            let mut row = spot_node("one", "i-1", "eu-west-1a");
            (row.condition, row.status) = (NodeCondition::NotReady, Text::new("NotReady"));
            row.condition_since = Some(story.went + TimeDelta::seconds(1));
            // Its object may be gone already: then there is nothing to be watched.
            if store.nodes.get(&row.id).is_some() {
                apply(store, Feed::Nodes, at, Body::Upsert(Rows::Nodes(vec![row])));
            }
        }
        Word::Deleted => {
            apply(store, Feed::Nodes, at, Body::Remove(vec![id(quarterdeck::domain::Kind::Node, "", "one")]));
        }
    }
}

/// Every order of these.
fn orders(words: &[Word]) -> Vec<Vec<Word>> {
    let Some((first, rest)) = words.split_first() else { return vec![Vec::new()] };
    let mut out = Vec::new();
    for order in orders(rest) {
        for at in 0..=order.len() {
            let mut one = order.clone();
            one.insert(at, *first);
            out.push(one);
        }
    }
    out
}

/// Tells the words one after the other, `step` apart from `from` on, the seconds passing; then
/// the tasks go, and a minute passes.
fn tell_all(words: &[Word], story: Story, from: DateTime<Utc>, step: TimeDelta) -> Store {
    let mut store = fleet();
    let mut at = from;
    for word in words {
        say(&mut store, *word, story, at);
        store.settle(at);
        at += step;
    }
    let tasks = (0..TASKS).map(|n| id(quarterdeck::domain::Kind::Task, "shop", &format!("web-{n}"))).collect();
    at = at.max(story.went) + TimeDelta::seconds(5);
    apply(&mut store, Feed::Tasks, at, Body::Remove(tasks));
    for _ in 0..200 {
        at += TimeDelta::seconds(1);
        store.settle(at);
    }
    store
}

fn subsets(words: &[Word]) -> Vec<Vec<Word>> {
    (1..1_u32 << words.len())
        .map(|bits| words.iter().enumerate().filter(|(n, _)| bits >> n & 1 == 1).map(|(_, w)| *w).collect())
        .collect()
}

const STEPS: [i64; 5] = [0, 250, 1_000, 2_000, 2_400];

#[test]
fn word_that_comes_with_the_end_is_no_notice_whoever_is_heard_first() {
    let words = [
        Word::State(NoticeFeed::EventLog),
        Word::State(NoticeFeed::EventQueue),
        Word::Poll,
        Word::NotReady,
        Word::Deleted,
    ];
    let story = Story { issued: now(), went: now() };
    let mut wrong = Vec::new();
    let mut told = 0;
    for some in subsets(&words) {
        // Events and silence alone say nothing of spot capacity.
        if !some.contains(&Word::Poll) && !some.contains(&Word::Deleted) {
            continue;
        }
        for order in orders(&some) {
            for step in STEPS {
                for delay in [0, 300, 9_900 - step * order.iter().skip(1).map(|_| 1).sum::<i64>()] {
                    told += 1;
                    let from = story.went + TimeDelta::milliseconds(delay);
                    let store = tell_all(&order, story, from, TimeDelta::milliseconds(step));
                    let case = store.notices.case(&victim()).expect("a case");
                    let kept: Vec<_> = store.notices.past().iter().map(|r| (r.kind, r.outcome)).collect();
                    let want = (NoticeKind::Unannounced, Outcome::Cut { tasks: TASKS });
                    if (case.kind(), case.outcome.map(|o| o.0)) != (want.0, Some(want.1)) || kept != [want] {
                        wrong.push(format!("{order:?} after {delay} ms by {step} ms: {:?} {kept:?}", case.kind()));
                    }
                }
            }
        }
    }
    for w in wrong.iter().take(10) {
        println!("{w}");
    }
    assert!(wrong.is_empty(), "{} of {told} are wrong", wrong.len());
}

#[test]
fn a_notice_that_was_given_is_one_whoever_is_heard_first() {
    let words = [
        Word::Warning(NoticeFeed::EventLog),
        Word::Status,
        Word::State(NoticeFeed::EventQueue),
        Word::NotReady,
        Word::Deleted,
    ];
    let story = Story { issued: now() - TimeDelta::seconds(120), went: now() };
    let mut wrong = Vec::new();
    let mut told = 0;
    for some in subsets(&words) {
        if !some.contains(&Word::Warning(NoticeFeed::EventLog)) && !some.contains(&Word::Status) {
            continue;
        }
        for order in orders(&some) {
            for step in STEPS {
                told += 1;
                let store = tell_all(&order, story, story.went, TimeDelta::milliseconds(step));
                let case = store.notices.case(&victim()).expect("a case");
                if case.kind() != NoticeKind::Interruption {
                    wrong.push(format!("{order:?} by {step} ms: {:?}", case.kind()));
                }
            }
        }
    }
    for w in wrong.iter().take(10) {
        println!("{w}");
    }
    assert!(wrong.is_empty(), "{} of {told} are wrong", wrong.len());
}

#[test]
fn an_end_of_earlier_is_none_of_this_story() {
    // It was stopped, came back, and is interrupted now.
    let story = Story { issued: now(), went: now() + TimeDelta::seconds(120) };
    let before = gone(NoticeFeed::EventLog, now() - TimeDelta::minutes(20), false);
    let warning = told(NoticeFeed::EventQueue, story, now());
    for order in [[before.clone(), warning.clone()], [warning, before]] {
        let mut store = fleet();
        for word in order {
            tell(&mut store, vec![word], now() + TimeDelta::seconds(1));
        }
        store.settle(now() + TimeDelta::seconds(2));
        let case = store.notices.case(&victim()).expect("a case");
        assert_eq!((case.kind(), case.is_open(), case.gone.is_none()), (NoticeKind::Interruption, true, true));
    }
}

#[test]
fn the_same_event_from_four_feeds_is_one_notice() {
    let story = Story { issued: now() - TimeDelta::seconds(10), went: now() + TimeDelta::seconds(110) };
    let mut store = fleet();
    let mut words = [Word::Warning(NoticeFeed::EventLog), Word::Warning(NoticeFeed::EventQueue), Word::Status].to_vec();
    // At least once means: twice.
    words.extend(words.clone());
    for word in words {
        say(&mut store, word, story, now());
    }
    let mut tainted = spot_node("one", "i-1", "eu-west-1a");
    tainted.taints = Text::new("aws-node-termination-handler/spot-itn=spot-itn-abc:NoSchedule");
    apply(&mut store, Feed::Nodes, now(), Body::Upsert(Rows::Nodes(vec![tainted])));
    let board = store.board(now());
    let [row] = &board.rows[..] else { panic!("{:?}", board.rows) };
    assert_eq!((row.left(now()), row.tasks, board.rush.all()), (Some(110), (0, TASKS), 1));
    let case = store.notices.case(&victim()).expect("a case");
    let told: Vec<_> = case.main().expect("a notice").told.iter().map(|t| (t.feed, t.messages)).collect();
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told.iter().all(|(_, messages)| *messages == 1), "{told:?}");
    say(&mut store, Word::State(NoticeFeed::EventLog), story, story.went);
    say(&mut store, Word::State(NoticeFeed::EventQueue), story, story.went);
    for secs in 0..200 {
        store.settle(story.went + TimeDelta::seconds(secs));
    }
    assert_eq!((store.notices.past().len(), store.notices.take_unwritten().len()), (1, 1), "and it is kept once");
}

#[test]
fn a_notice_that_comes_after_its_instance_has_gone_is_told_once_and_is_no_alarm() {
    let story = Story { issued: now() - TimeDelta::seconds(200), went: now() - TimeDelta::seconds(80) };
    let mut store = fleet();
    // Somebody emptied it before, and it went with nothing on it.
    let tasks = (0..TASKS).map(|n| id(quarterdeck::domain::Kind::Task, "shop", &format!("web-{n}"))).collect();
    apply(&mut store, Feed::Tasks, now() - TimeDelta::seconds(100), Body::Remove(tasks));
    say(&mut store, Word::State(NoticeFeed::EventLog), story, story.went);
    say(&mut store, Word::Deleted, story, now() - TimeDelta::seconds(60));
    assert!(store.board(now()).rows.is_empty());
    for feed in [NoticeFeed::EventLog, NoticeFeed::EventQueue] {
        say(&mut store, Word::Warning(feed), story, now());
        store.settle(now());
    }
    let board = store.board(now());
    let [row] = &board.rows[..] else { panic!("{:?}", board.rows) };
    assert_eq!((row.outcome, row.urgent, board.rush.all()), (Some(Outcome::Unseen), false, 0));
    assert_eq!((row.kind, store.notices.past().len()), (NoticeKind::Interruption, 1));
}

#[test]
fn a_notice_of_an_instance_that_nobody_reads_is_in_the_list_and_stays_one() {
    let mut store = fleet();
    for feed in [NoticeFeed::EventLog, NoticeFeed::EventQueue, NoticeFeed::Ec2] {
        let story = Story { issued: now(), went: now() + TimeDelta::seconds(120) };
        let Told::Notice(s) = told(feed, story, now()) else { continue };
        let stranger = Victim::Instance(Text::new("i-0ffffffffffffffff"));
        tell(&mut store, vec![Told::Notice(Sighting { victim: stranger, ..s })], now());
    }
    let board = store.board(now());
    assert_eq!((board.rows.len(), board.rush.strangers, board.rush.all()), (1, 1, 1));
    assert!(!board.rows[0].is_known());
    assert!(quarterdeck::store::problems::problems(&store, now()).is_empty(), "nothing that is read is hit");
    // And past its end nothing is made up of what ran there.
    for secs in 0..400 {
        store.settle(now() + TimeDelta::seconds(secs));
    }
    let kept: Vec<_> = store.notices.past().iter().map(|r| (r.outcome, r.is_interruption())).collect();
    assert_eq!(kept, [(Outcome::Unread, false)]);
}
