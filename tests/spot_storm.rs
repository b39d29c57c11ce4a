//! `spot-storm` through the console's own sources. At five times life's pace, all of it: what
//! the console says became of each machine is what the embedded fleet's ledger says. At
//! life's pace, its first waves: how soon each feed's word is on the screen, and what the
//! countdown says.
//!
//! How late something is shown is measured at life's pace only, where the fleet's seconds are the
//! clock's: at another, every answer that is under way for 100 ms would count as half a second of
//! the fleet's, and the intervals of polls, which are the clock's, as five times as long.

#![cfg(all(feature = "kubernetes", feature = "aws"))]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do, and the lint's exception for tests does not see them"
)]

#[path = "support/ecs.rs"]
mod bench;
#[path = "support/feeds.rs"]
mod feeds;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use quarterdeck::clock::{Clock, instant};
use quarterdeck::domain::notice::{NoticeFeed, NoticeKind, Outcome, Precision, Victim};
use quarterdeck::domain::placement::Teller;
use quarterdeck::domain::{ClusterId, Text, Thresholds, Timestamp};
use quarterdeck::sim::cloud::{Entry, Outcome as Truth, Told};
use quarterdeck::sim::model::{Model, Parameters, Scenario};
use quarterdeck::sim::server::{ServerOptions, SimServer};
use quarterdeck::source::kubernetes::{ClusterSpec, Kubeconfig};
use quarterdeck::source::{ecs, kubernetes, spot};
use quarterdeck::store::notices::{Case, countdown};
use quarterdeck::store::{Observation, Store};
use quarterdeck::view::columns::Context;
use quarterdeck::view::{notices, placements};
use tokio::sync::mpsc;

/// A step of the fleet's life.
const STEP: TimeDelta = TimeDelta::milliseconds(250);
/// An event is shown within so many seconds.
const EVENT: i64 = 2;
/// EventBridge itself takes so long for events of tasks (of instances: less than a second, which
/// counts), before anybody can read them.
const DELIVERED: TimeDelta = TimeDelta::milliseconds(2_800);
/// Termination handlers and Karpenter act so long after EC2's notice: before that the cluster
/// does not know.
const HANDLED: TimeDelta = TimeDelta::milliseconds(3_500);
/// An ECS agent asks so often whether its instance is to go, and the console how its tasks are.
const AGENT: TimeDelta = TimeDelta::seconds(1);

/// How fast the storm passes, and how often is asked meanwhile.
#[derive(Clone, Copy)]
struct Pace {
    /// So many of the fleet's seconds in one of the clock's.
    speed: u32,
    /// Between two questions to Logs, to EC2 and to ECS.
    polls: (Duration, Duration, Duration),
}

const FAST: Pace =
    Pace { speed: 5, polls: (Duration::from_millis(100), Duration::from_millis(500), Duration::from_millis(300)) };
/// As `--demo` asks.
const LIFE: Pace = Pace { speed: 1, polls: (Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(1)) };

/// The console without its screen, on a fleet whose time is in the test's hand.
struct Console {
    sim: SimServer,
    clock: Clock,
    start: Timestamp,
    store: Store,
    rx: mpsc::Receiver<Observation>,
    pace: Pace,
    /// When each of the fleet's moments was.
    moments: Vec<(Timestamp, Instant)>,
    /// When each feed's word of each notice was in what the screen is drawn from.
    shown: BTreeMap<(Victim, NoticeKind, NoticeFeed), Instant>,
    _sources: (kubernetes::Sources, ecs::Sources, spot::Sources),
    _state: tempfile::TempDir,
}

impl Console {
    async fn new(pace: Pace) -> Self {
        let start: Timestamp = Clock::system().now();
        let clock = Clock::manual(start);
        let scenario = Scenario::embedded("spot-storm", Parameters::default()).expect("a scenario");
        let options = ServerOptions {
            name: "demo".to_owned(),
            ecs: scenario.ecs().to_vec(),
            seed: scenario.seed(),
            ..ServerOptions::default()
        };
        let sim = SimServer::start(Box::new(Model::new(scenario)), clock.clone(), options).await.expect("a server");
        // The SDK signs by the machine's clock.
        sim.aws_faults().set(|f| (f.any_time, f.unlimited) = (true, true));
        let (tx, rx) = mpsc::channel(4096);
        let of_cluster = ClusterSpec {
            id: ClusterId::new("demo"),
            context: None,
            kubeconfig: Kubeconfig::Inline(sim.kubeconfig()),
            namespace: None,
            production: false,
            read_only: true,
            metrics_interval: Duration::from_secs(5),
            silence: kubernetes::SILENCE,
        };
        let specs = bench::specs(&sim, pace.polls.2);
        let store = Store::expecting([of_cluster.id.clone()]).and_ecs(specs.iter().map(|s| s.id.clone()));
        let of_pods = kubernetes::Sources::spawn(vec![of_cluster], tx.clone(), clock.clone());
        let of_ecs = ecs::Sources::spawn(specs, None, tx.clone(), clock.clone());
        let state = tempfile::tempdir().expect("a directory");
        let access = sim.aws();
        let account = feeds::account(&access.endpoint, &access.key_for("123456789012"), &access.secret);
        let plan = spot::Plan {
            feeds: vec![feeds::queue(account, "quarterdeck-events")],
            accounts: of_ecs.accounts(),
            discover: true,
            ec2: true,
            interval: pace.polls.0,
            ec2_interval: pace.polls.1,
            state: Some(state.path().to_owned()),
            receive: true,
            clusters: Vec::new(),
        };
        let of_spot = spot::Sources::spawn(plan, tx, clock.clone());
        Self {
            sim,
            clock,
            start,
            store,
            rx,
            pace,
            moments: Vec::new(),
            shown: BTreeMap::new(),
            _sources: (of_pods, of_ecs, of_spot),
            _state: state,
        }
    }

    /// Lives until so many seconds after the start.
    async fn until(&mut self, secs: i64) {
        while self.clock.now() < self.start + TimeDelta::seconds(secs) {
            self.step().await;
        }
    }

    async fn step(&mut self) {
        let step = STEP.to_std().expect("a step") / self.pace.speed;
        let begun = instant();
        self.clock.advance(STEP);
        self.moments.push((self.clock.now(), begun));
        self.sim.tick();
        while let Some(left) = step.checked_sub(begun.elapsed()) {
            if let Ok(Some(observation)) = tokio::time::timeout(left, self.rx.recv()).await {
                let tells = observation.source.feed;
                self.store.apply(observation);
                if self.pace.speed == 1 && !matches!(tells, quarterdeck::store::Feed::Tasks) {
                    self.note();
                }
            }
        }
        self.store.settle(self.clock.now());
        self.note();
    }

    /// Notes what is there for the first time.
    fn note(&mut self) {
        let at = instant();
        for case in self.store.notices.cases() {
            for notice in &case.notices {
                for told in &notice.told {
                    let key = (case.victim.clone(), notice.kind, told.feed);
                    self.shown.entry(key).or_insert(at);
                }
            }
        }
    }

    /// When the fleet's time was this.
    fn instant_of(&self, at: Timestamp) -> Option<Instant> {
        self.moments.iter().find(|(moment, _)| *moment >= at).map(|(_, instant)| *instant)
    }

    fn case(&self, entry: &Entry) -> Option<&Case> {
        self.store.notices.case(&victim(entry))
    }
}

fn victim(entry: &Entry) -> Victim {
    let id = Text::new(&entry.victim);
    if entry.victim.starts_with("arn:") { Victim::Task(id) } else { Victim::Instance(id) }
}

fn said(case: &Case) -> String {
    if !case.is_open() && case.kind() == NoticeKind::Unannounced {
        return "unannounced".to_owned();
    }
    match case.outcome {
        Some((Outcome::Evacuated { .. }, _)) => "evacuated".to_owned(),
        Some((Outcome::NotReplaced, _)) => "not replaced".to_owned(),
        Some((Outcome::Cut { tasks }, _)) => format!("{tasks} cut"),
        Some((other, _)) => other.words(),
        None => "open".to_owned(),
    }
}

fn truth(entry: &Entry) -> Option<String> {
    Some(match entry.outcome? {
        Truth::Evacuated { .. } => "evacuated".to_owned(),
        Truth::NotReplaced => "not replaced".to_owned(),
        Truth::Cut(tasks) => format!("{tasks} cut"),
        Truth::Unannounced => "unannounced".to_owned(),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_became_of_each_machine_is_what_the_ledger_says() {
    let mut console = Console::new(FAST).await;
    console.until(1000).await;
    let ledger = console.sim.ledger();
    let entries: Vec<&Entry> = ledger.entries().filter(|e| truth(e).is_some()).collect();
    let mut wrong = Vec::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for entry in &entries {
        let Some(expected) = truth(entry) else { continue };
        *counts.entry(expected.trim_start_matches(char::is_numeric).trim().to_owned()).or_default() += 1;
        let case = console.case(entry);
        let seen = case.map_or("never heard of".to_owned(), said);
        if seen != expected {
            wrong.push(format!("{seen:>24} is {expected:>14}: {entry:#?}\n{case:#?}"));
        }
    }
    eprintln!("{counts:?}");
    for (id, state) in console.store.sources() {
        eprintln!("{} {}: {:?}", id.cluster, id.feed.word(), state.freshness);
    }
    let few: Vec<&String> = wrong.iter().take(3).collect();
    for w in few {
        eprintln!("{w}");
    }
    for w in &wrong {
        eprintln!("{}", w.lines().next().unwrap_or_default());
    }
    assert!(wrong.is_empty(), "{} of {} are wrong", wrong.len(), entries.len());
}

/// A picture that is taken later says the same as a console that was there all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_says_of_what_is_over_what_the_ledger_says() {
    let mut console = Console::new(FAST).await;
    let (clock, pace) = (console.clock.clone(), STEP.to_std().expect("a step") / FAST.speed);
    let life = async move {
        let mut ticks = tokio::time::interval(pace);
        loop {
            ticks.tick().await;
            clock.advance(STEP);
        }
    };
    let passed = Duration::from_mins(5) / FAST.speed;
    tokio::select! {
        () = quarterdeck::run::gather::pass(&mut console.store, &mut console.rx, &console.clock, passed) => {}
        () = life => {}
    }
    let ledger = console.sim.ledger();
    // Word of tasks is awaited for a minute and a half.
    let long_ago = console.clock.now() - TimeDelta::seconds(100);
    let over: Vec<&Entry> = ledger.entries().filter(|e| e.deadline.is_some_and(|d| d < long_ago)).collect();
    let mut compared = 0;
    for entry in over {
        let Some(expected) = truth(entry) else { continue };
        let seen = console.case(entry).map_or("never heard of".to_owned(), said);
        assert_eq!(seen, expected, "{entry:#?}\n{:#?}", console.case(entry));
        compared += 1;
    }
    assert!(compared >= 5, "{compared} compared");
}

fn kind(told: Told) -> NoticeKind {
    match told {
        Told::Rebalance => NoticeKind::Rebalance,
        Told::Scheduled => NoticeKind::Scheduled,
        Told::Interruption => NoticeKind::Interruption,
    }
}

/// How long after EC2's notice a feed's word is to be on the screen at the latest: two seconds
/// after the event where there is an event, one poll and two seconds where somebody asks.
fn allowed(feed: NoticeFeed, told: Told) -> Option<TimeDelta> {
    let event = TimeDelta::seconds(EVENT);
    let poll = |every: Duration| TimeDelta::from_std(every).expect("an interval") + event;
    Some(match feed {
        NoticeFeed::EventQueue => event,
        // Asked for as well, but every second.
        NoticeFeed::EventLog => poll(LIFE.polls.0),
        NoticeFeed::Ec2 if told == Told::Scheduled => poll(Duration::from_mins(1)),
        NoticeFeed::Ec2 => poll(LIFE.polls.1),
        NoticeFeed::EcsTask | NoticeFeed::EcsInstance => poll(LIFE.polls.2) + AGENT,
        // A handler waits with maintenance until two minutes before it.
        NoticeFeed::NodeEvent | NoticeFeed::NodeTaint | NoticeFeed::Node if told == Told::Scheduled => return None,
        NoticeFeed::NodeEvent | NoticeFeed::NodeTaint | NoticeFeed::Node => event + HANDLED,
    })
}

/// What the list and the header say of what is left, against the ledger, at this moment.
fn check_countdowns(console: &Console, checked: &mut BTreeSet<String>, wrong: &mut Vec<String>) {
    let now = console.clock.now();
    let c = Context { store: &console.store, now, absolute: false, ascii: false, thresholds: Thresholds::default() };
    let board = console.store.board(now);
    let ledger = console.sim.ledger();
    let mut first: Option<Timestamp> = None;
    let mut urgent = 0;
    for entry in ledger.entries() {
        let (Some(deadline), Some(issued)) = (entry.deadline, entry.issued) else { continue };
        // Until the events are there, nobody knows it to the second.
        let row = board.rows.iter().find(|r| r.victim == victim(entry) && r.is_open());
        let Some(row) = row.filter(|_| now - issued >= TimeDelta::seconds(EVENT)) else { continue };
        // What has gone counts no further down.
        if row.gone.is_some() {
            continue;
        }
        let want = countdown(deadline.timestamp() - now.timestamp(), Precision::Exact);
        let shown = notices::left(c, row);
        if shown != want {
            wrong.push(format!("{now}: {} shows {shown}, {want} are left", entry.victim));
        }
        checked.insert(entry.victim.clone());
        if row.urgent && row.is_known() {
            urgent += 1;
            first = first.into_iter().chain([deadline]).min();
        }
    }
    // The header counts for the first of all of them.
    let all = board.urgent().filter(|r| r.is_known()).count();
    if let Some(first) = first.filter(|_| all == urgent) {
        let ahead = first.timestamp() - now.timestamp();
        let want = countdown(ahead, Precision::Exact);
        let want = if ahead < 0 { want } else { format!("in {want}") };
        let banner = notices::banner(c, None, 160).map(|l| l.text()).unwrap_or_default();
        if !banner.contains(&want) {
            wrong.push(format!("{now}: the header says `{banner}`, not `{want}`"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_is_on_the_screen_in_time_and_counts_down_to_the_second() {
    let mut console = Console::new(LIFE).await;
    let (mut checked, mut wrong) = (BTreeSet::new(), Vec::new());
    while console.clock.now() < console.start + TimeDelta::seconds(80) {
        console.step().await;
        check_countdowns(&console, &mut checked, &mut wrong);
    }
    let mut worst: BTreeMap<NoticeFeed, (TimeDelta, u32)> = BTreeMap::new();
    let ledger = console.sim.ledger();
    for entry in ledger.entries() {
        for (told, at) in &entry.told {
            // What was told in the last seconds may still be on its way.
            if *at > console.clock.now() - TimeDelta::seconds(9) {
                continue;
            }
            let given = console.instant_of(*at).expect("a moment of the fleet's");
            let is_task = matches!(victim(entry), Victim::Task(_));
            let delivered = if is_task { DELIVERED } else { TimeDelta::zero() };
            let mut first = None;
            for ((_, _, feed), shown) in
                console.shown.iter().filter(|((v, k, _), _)| *v == victim(entry) && *k == kind(*told))
            {
                let late = TimeDelta::from_std(shown.saturating_duration_since(given)).expect("a while");
                first = Some(first.map_or(late, |f: TimeDelta| f.min(late)));
                let (most, count) = worst.entry(*feed).or_insert((late, 0));
                (*most, *count) = ((*most).max(late), *count + 1);
                if allowed(*feed, *told).is_some_and(|allowed| late > delivered + allowed) {
                    wrong.push(format!(
                        "{}: {told:?} by {} after {} ms",
                        entry.victim,
                        feed.word(),
                        late.num_milliseconds()
                    ));
                }
            }
            if first.is_none_or(|f| f > delivered + TimeDelta::seconds(EVENT)) {
                wrong.push(format!("{}: {told:?} is first shown after {first:?}", entry.victim));
            }
        }
    }
    for (feed, (most, count)) in &worst {
        eprintln!("{}: {count} notices, the latest after {} ms", feed.word(), most.num_milliseconds());
    }
    eprintln!("{} countdowns followed", checked.len());
    for feed in
        [NoticeFeed::EventLog, NoticeFeed::EventQueue, NoticeFeed::Ec2, NoticeFeed::NodeEvent, NoticeFeed::NodeTaint]
    {
        assert!(worst.get(&feed).is_some_and(|(_, count)| *count > 0), "nothing came by way of {}", feed.word());
    }
    assert!(checked.len() >= 10, "{} countdowns followed", checked.len());
    for w in wrong.iter().take(20) {
        eprintln!("{w}");
    }
    assert!(wrong.is_empty(), "{} are wrong", wrong.len());
}

/// What finds no place in the storm is a line while it lasts, by both feeds, and no longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_that_find_no_place_are_told_of_by_both_feeds_until_they_are_whole() {
    let mut console = Console::new(FAST).await;
    // Fargate Spot is dry from 110 s to 200 s; at 128 s tasks of these are taken back.
    console.until(165).await;
    let now = console.clock.now();
    let all = console.store.unplaced(now);
    let search = all.iter().find(|u| u.name == *"search").unwrap_or_else(|| panic!("{all:#?}"));
    let missing = search.missing.expect("how many");
    assert!((1..=2).contains(&missing.tasks) && missing.desired == 6, "{search:#?}");
    assert_eq!(search.why.words(&search.providers), "no Fargate Spot capacity");
    let tellers: BTreeSet<Teller> = search.tellers.iter().copied().collect();
    assert_eq!(tellers, BTreeSet::from([Teller::Service, Teller::EventLog, Teller::EventQueue]));
    let since = search.since - console.start;
    assert!((TimeDelta::seconds(120)..=TimeDelta::seconds(160)).contains(&since), "{since}");
    let c = Context { store: &console.store, now, absolute: false, ascii: false, thresholds: Thresholds::default() };
    let text: Vec<String> = placements::lines(c, 5, 120).iter().map(quarterdeck::domain::Line::text).collect();
    assert!(text.iter().any(|l| l.contains("search in shop-ecs lacks")), "{text:#?}");
    console.until(275).await;
    let now = console.clock.now();
    let all = console.store.unplaced(now);
    assert!(all.iter().all(|u| u.name != *"search" || u.since > console.start + TimeDelta::seconds(200)), "{all:#?}");
}
