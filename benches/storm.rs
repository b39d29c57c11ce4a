//! What a key can meet while 500 of 2,000 machines are taken back within ten seconds, and 12,000 of 50,000 pods with them.
//!
//! One storm of the embedded fleet is recorded as the console's sources tell of it, and replayed in the console's loop several
//! times over: the same keys at the same moments among the same observations. Of each piece of work the median over all replays
//! counts. What else a replay took was given to somebody else, by the scheduler or by the host of a virtual machine, which takes
//! milliseconds from whoever runs and says nothing of it (`benches/key-to-frame.py` begins with how much that is).
//!
//! ```sh
//! cargo bench --bench storm
//! ```

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "its output is the point; it ends where something is wrong"
)]

#[path = "../tests/support/fleet.rs"]
#[expect(dead_code, reason = "the tests' fleet; benches use a part")]
mod fleet;

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use fleet::Desk;
use quarterdeck::clock::{Clock, instant};
use quarterdeck::domain::{ClusterId, Timestamp};
use quarterdeck::key::parse_sequence;
use quarterdeck::store::memo::Patience;
use quarterdeck::store::{Feed, Observation, Store};

const STORM: &str = r#"description = "A fleet of which a part is taken back at once."
seed = 23
[generate]
nodes = 2000
pods = 50000
changes_per_second = 1000.0
[[at]]
t = "30s"
action = "spot-interrupt"
group = "spot"
count = 500
handler = "karpenter"
spread = "10s"
"#;
/// From the fleet's start until the notices begin, and until all is over.
const FIRST: Duration = Duration::from_secs(30);
const LAST: Duration = Duration::from_secs(72);
/// As in a terminal on this machine.
const FRAME: Duration = Duration::from_millis(33);
const KEY: Duration = Duration::from_millis(134);
const REPLAYS: usize = 9;
const SIZE: (u16, u16) = (160, 48);

/// What was told, and when after the beginning.
struct Recording {
    clusters: Vec<ClusterId>,
    began: Timestamp,
    told: Vec<(Duration, Observation)>,
}

async fn record() -> Recording {
    let dir = tempfile::tempdir().expect("a directory");
    let scenario = dir.path().join("storm.toml");
    std::fs::write(&scenario, STORM).expect("a scenario");
    let clock = Clock::system();
    let name = scenario.to_str().expect("a path of plain letters");
    let mut demo = quarterdeck::cli::demo::open(name, 0, (&clock, dir.path()), |desk| desk).await.expect("a fleet");
    let (start, began) = (instant(), clock.now());
    let mut told = Vec::new();
    while let Some(left) = LAST.checked_sub(start.elapsed()) {
        match tokio::time::timeout(left, demo.observations.recv()).await {
            Ok(Some(observation)) => told.push((start.elapsed(), observation)),
            Ok(None) | Err(_) => break,
        }
    }
    let clusters = demo.store.clusters().map(|(id, _)| id.clone()).collect();
    drop(demo.backend);
    demo.sim.stop().await;
    Recording { clusters, began, told }
}

/// One piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Observation,
    Second,
    /// A frame that data asks for, from its beginning to its end.
    Frame,
    /// The same if somebody knocks when it begins.
    CutShort,
    /// A key and its frame.
    Key,
}

/// Does the work that comes to the console's loop, and takes the time of each piece.
struct Replay {
    desk: Desk,
    began: Timestamp,
    took: Vec<(Work, Duration)>,
}

impl Replay {
    fn of(recording: &Recording) -> Self {
        let mut store = Store::expecting(recording.clusters.clone());
        store.patience = Patience::of(TimeDelta::milliseconds(250));
        let mut desk = Desk::new(store);
        desk.press("3");
        Self { desk, began: recording.began, took: Vec::new() }
    }

    fn take<T>(&mut self, work: Work, what: impl FnOnce(&mut Desk) -> T) -> T {
        let start: Instant = instant();
        let out = what(&mut self.desk);
        self.took.push((work, start.elapsed()));
        out
    }

    fn at(&mut self, offset: Duration) {
        self.desk.now = self.began + TimeDelta::from_std(offset).expect("a minute or two");
    }

    fn frame(&mut self, work: Work) {
        self.take(work, |desk| {
            desk.store.patience.begin();
            let _ = desk.buffer(SIZE.0, SIZE.1);
        });
    }

    /// A key, and the frame that answers it, as in `run`.
    fn key(&mut self, key: &str) {
        self.desk.store.patience.hurry(true);
        self.take(Work::Key, |desk| {
            desk.arrange();
            for key in parse_sequence(key).expect("a key") {
                let _ = desk.app.press(key, &desk.store, desk.now);
            }
            desk.store.patience.begin();
            let _ = desk.buffer(SIZE.0, SIZE.1);
        });
        self.desk.store.patience.hurry(false);
    }

    /// What the loop does from the beginning of the storm on, by a clock that stands while it works.
    fn run(mut self, told: &[(Duration, Observation)]) -> Vec<(Work, Duration)> {
        let (mut told, mut dirty, mut is_open) = (told.iter().peekable(), true, false);
        let (mut key, mut drawn) = (FIRST + KEY, Duration::ZERO);
        for millis in 0..LAST.as_millis() {
            let now = Duration::from_millis(u64::try_from(millis).expect("a minute or two"));
            self.at(now);
            if now.subsec_millis() == 0 {
                self.take(Work::Second, |desk| desk.store.keep_up(desk.now));
                dirty = true;
            }
            while let Some((_, observation)) = told.next_if(|(at, _)| *at <= now) {
                let observation = observation.clone();
                self.take(Work::Observation, |desk| desk.store.apply(observation));
                dirty = true;
            }
            if now < FIRST {
                continue;
            }
            if now >= key {
                key = now + KEY;
                // Data asked for a frame, and a key came as soon as it was begun.
                self.desk.store.patience.door.knock();
                self.frame(Work::CutShort);
                self.desk.store.patience.door.answer();
                self.key(if is_open { "esc" } else { "?" });
                is_open = !is_open;
                // What was cut short follows.
                (dirty, drawn) = (true, Duration::ZERO);
            }
            if dirty && now >= drawn + FRAME {
                self.frame(Work::Frame);
                (dirty, drawn) = (self.desk.store.patience.was_used(), now);
            }
        }
        self.took
    }
}

/// Each piece of work with its median over all replays, in milliseconds, in the order of the first. One with as many before it of
/// its own kind is the same in each replay, but for frames that data asks for: what was left out decides how many there are.
fn medians(replays: &[Vec<(Work, Duration)>]) -> Vec<(Work, f64)> {
    let of_kind = |replay: &[(Work, Duration)], kind: Work| -> Vec<f64> {
        replay.iter().filter(|(work, _)| *work == kind).map(|(_, took)| took.as_secs_f64() * 1e3).collect()
    };
    let kinds = [Work::Observation, Work::Second, Work::Frame, Work::CutShort, Work::Key];
    let mut next = kinds.map(|kind| (replays.iter().map(|r| of_kind(r, kind)).collect::<Vec<_>>(), 0_usize));
    let first = replays.first().expect("a replay");
    let median = |(work, _): &(Work, Duration)| {
        let at = kinds.iter().position(|kind| kind == work).expect("a kind");
        let (took, nth) = &mut next[at];
        let mut all: Vec<f64> = took.iter().filter_map(|replay| replay.get(*nth)).copied().collect();
        all.sort_by(f64::total_cmp);
        *nth += 1;
        (*work, all.get(all.len() / 2).copied().unwrap_or_default())
    };
    first.iter().map(median).collect()
}

fn say(what: &str, mut all: Vec<f64>) {
    all.sort_by(f64::total_cmp);
    let rank = |q: usize| all.get((all.len() * q / 100).min(all.len().saturating_sub(1))).copied().unwrap_or_default();
    println!("{what:<62} {:>6} {:>7.2} {:>7.2} {:>7.2} {:>7.2}", all.len(), rank(50), rank(90), rank(99), rank(100));
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let recording = runtime.block_on(record());
    let rows = recording.told.iter().filter(|(_, o)| o.source.feed == Feed::Tasks).count();
    println!("{} observations in {} s, {rows} of tasks; {REPLAYS} replays", recording.told.len(), LAST.as_secs());
    let replays: Vec<_> = (0..REPLAYS).map(|_| Replay::of(&recording).run(&recording.told)).collect();
    let works = medians(&replays);
    // From the first notice on; what was read before is the fleet.
    let from = works.iter().position(|(work, _)| *work == Work::Frame).unwrap_or(0);
    let works = works.get(from..).unwrap_or_default();
    let of = |wanted: Work| works.iter().filter(|(work, _)| *work == wanted).map(|(_, ms)| *ms).collect::<Vec<_>>();
    println!("\n{:<62} {:>6} {:>7} {:>7} {:>7} {:>7}", "ms", "", "median", "p90", "p99", "most");
    say("a key and its frame", of(Work::Key));
    say("a frame that data asks for", of(Work::Frame));
    say("the same, cut short by a key", of(Work::CutShort));
    say("an observation", of(Work::Observation));
    say("what is done every second", of(Work::Second));
    // Whatever the loop did last, or would do next, when the key came.
    let (mut least, mut most, mut since, mut frame) = (Vec::new(), Vec::new(), 0.0_f64, 0.0_f64);
    for (work, ms) in works {
        match work {
            Work::Observation | Work::Second | Work::CutShort => since = since.max(*ms),
            Work::Frame => frame = frame.max(*ms),
            Work::Key => {
                least.push(since + ms);
                most.push(since.max(frame) + ms);
                (since, frame) = (0.0, 0.0);
            }
        }
    }
    say("a key behind the longest of what it waits for", least);
    say("a key behind the longest, if nothing were cut short", most);
}
