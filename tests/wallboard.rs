//! The wallboard: frames at four sizes, one word that is never OK on missing data, figures that are
//! hatched out when they are old, and what takes the screen.

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use quarterdeck::app::wall::{Pace, Stay, WallPage};
use quarterdeck::domain::{Alarm, Freshness, Health, NodeCondition, Severity, Text, Thresholds};
use quarterdeck::run::wall::Wallboard;
use quarterdeck::store::{Body, Feed, Observation, Rows, SourceId, Store};
use quarterdeck::view::wall::{Headline, Trust, headline, interval, watched};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use support::budgets::{backend, fleet_with_budgets, observe_backend};
use support::fleet::{board, cluster, node, now, small_fleet, task, workload};
use support::mixed::alarmed_fleet;
use support::taken::taken_fleet;

const SIZES: [(u16, u16); 4] = [(80, 24), (120, 40), (200, 50), (400, 120)];

fn buffer(board: &Wallboard, (width, height): (u16, u16), at: DateTime<Utc>) -> Buffer {
    let area = Rect::new(0, 0, width, height);
    let mut buf = Buffer::empty(area);
    board.draw(&mut buf, area, at);
    buf
}

fn frame_at(board: &Wallboard, size: (u16, u16), at: DateTime<Utc>) -> String {
    let text = quarterdeck::cli::export::text(&buffer(board, size, at));
    text.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

fn frame(board: &Wallboard, size: (u16, u16)) -> String {
    frame_at(board, size, now())
}

fn page(board: &mut Wallboard, page: WallPage, size: (u16, u16)) -> String {
    board.wall.choose(page, now());
    frame(board, size)
}

/// One cluster and one backend, all of them read so many seconds ago by `age`, nothing wrong.
fn well(age: impl Fn(Feed) -> i64) -> Store {
    let mut store = Store::expecting([cluster()]).and_backends([backend()]);
    let at = |feed| now() - TimeDelta::seconds(age(feed));
    let mut say = |cluster, feed, body, at| store.apply(Observation { source: SourceId { cluster, feed }, at, body });
    for feed in Feed::KUBERNETES {
        let rows = match feed {
            Feed::Nodes => Rows::Nodes(vec![node("node-a", NodeCondition::Ready)]),
            Feed::Tasks => Rows::Tasks(vec![task("web-1", "web", "node-a", "Running", Health::Ok)]),
            Feed::Deployments => Rows::Workloads(vec![workload("web", 1, 1)]),
            _ => Rows::Events(Vec::new()),
        };
        for body in [Body::Begin, Body::Upsert(rows), Body::Synced] {
            say(cluster(), feed, body, at(feed));
        }
    }
    let prometheus = quarterdeck::domain::Backend {
        id: backend(),
        kind: quarterdeck::domain::BackendKind::Prometheus,
        version: Text::new("3.5.0"),
        endpoint: Text::new("prom.example:9090"),
        cluster: None,
        found: false,
    };
    say(backend(), Feed::Alarms, Body::Backend(prometheus), at(Feed::Alarms));
    for feed in Feed::BACKEND {
        for body in [Body::Begin, Body::Synced] {
            say(backend(), feed, body, at(feed));
        }
    }
    store
}

fn said(store: &Store) -> (Headline, String) {
    let board_context = |store| quarterdeck::view::columns::Context {
        store,
        now: now(),
        absolute: false,
        ascii: false,
        thresholds: Thresholds::default(),
    };
    let c = board_context(store);
    headline(c, &watched(c, &Pace::default()))
}

fn paging(name: &str) -> Alarm {
    let mut alarm = support::budgets::alarm_about(name, None);
    alarm.severity = Severity::Critical;
    alarm
}

#[test]
fn frames_of_the_overview_at_four_sizes() {
    for size in SIZES {
        let mut board = board(fleet_with_budgets());
        insta::assert_snapshot!(format!("overview-{}x{}", size.0, size.1), page(&mut board, WallPage::Overview, size));
    }
}

#[test]
fn frames_of_every_page() {
    for wall_page in WallPage::ALL {
        let store = match wall_page {
            WallPage::Alarms | WallPage::Timeline => alarmed_fleet(),
            WallPage::Spot | WallPage::Map => taken_fleet(),
            _ => fleet_with_budgets(),
        };
        let mut board = board(store);
        for size in [(80, 24), (200, 50)] {
            let name = format!("{}-{}x{}", wall_page.name(), size.0, size.1);
            insta::assert_snapshot!(name, page(&mut board, wall_page, size));
        }
    }
}

#[test]
fn every_page_draws_at_every_size() {
    for store in [small_fleet as fn() -> Store, alarmed_fleet, taken_fleet, fleet_with_budgets, Store::default] {
        let mut board = board(store());
        for ascii in [false, true] {
            board.ascii = ascii;
            for wall_page in WallPage::ALL {
                for size in [(1, 1), (2, 9), (10, 3), (20, 6), (40, 12), (60, 20), (80, 24), (120, 40), (400, 120)] {
                    let text = page(&mut board, wall_page, size);
                    assert_eq!(text.lines().count(), usize::from(size.1), "{} {size:?}", wall_page.name());
                    assert!(!ascii || text.is_ascii(), "{} {size:?}: {text}", wall_page.name());
                }
            }
        }
    }
}

#[test]
fn the_strip_is_at_the_same_place_on_every_page() {
    for size in SIZES {
        let mut board = board(alarmed_fleet());
        let strips: BTreeSet<String> = WallPage::ALL
            .into_iter()
            .map(|p| {
                page(&mut board, p, size).lines().take_while(|l| !l.contains("───")).collect::<Vec<_>>().join("\n")
            })
            .collect();
        assert_eq!(strips.len(), 1, "{size:?}: {strips:#?}");
        let strip = strips.first().expect("a strip");
        assert!(strip.contains("✖ PAGING") && strip.contains("fresh") && strip.contains('█'), "{strip}");
    }
}

#[test]
fn every_second_shows() {
    let board = board(small_fleet());
    for size in SIZES {
        let frames: BTreeSet<String> = (0..10).map(|s| frame_at(&board, size, now() + TimeDelta::seconds(s))).collect();
        assert_eq!(frames.len(), 10, "{size:?}");
    }
}

#[test]
fn the_picture_moves_by_a_cell_and_nothing_is_lost() {
    let mut board = board(fleet_with_budgets());
    board.pace = Pace { backends: Duration::from_hours(9), slo: Duration::from_hours(9), ..Pace::default() };
    board.wall.choose(WallPage::Budgets, now());
    let inside = |at: DateTime<Utc>| -> Vec<String> {
        let (dx, dy) = quarterdeck::app::wall::shift(at);
        let buf = buffer(&board, (80, 24), at);
        let row = |y: u16| (0..79).map(|x| buf[(x + dx, y + dy)].symbol()).collect::<String>();
        // The budgets' lines, where nothing has to do with the time.
        (12..20).map(row).collect()
    };
    let places: BTreeSet<_> =
        (0..4).map(|n| quarterdeck::app::wall::shift(now() + TimeDelta::minutes(3 * n))).collect();
    assert_eq!(places.len(), 4);
    let pictures: BTreeSet<Vec<String>> = (0..4).map(|n| inside(now() + TimeDelta::minutes(3 * n))).collect();
    assert_eq!(pictures.len(), 1, "{pictures:#?}");
}

#[test]
fn each_headline_is_told_by_word_and_shape() {
    let fresh = |_| 0;
    assert_eq!(said(&well(fresh)).0, Headline::Ok);
    let mut pages = well(fresh);
    observe_backend(&mut pages, Feed::Alarms, Rows::Alarms(vec![paging("CheckoutErrors"), paging("CheckoutSlow")]));
    assert_eq!(said(&pages), (Headline::Page, "2 alarms page".to_owned()));
    assert_eq!(said(&small_fleet()).0, Headline::Degraded);
    assert_eq!(said(&Store::expecting([cluster()])).0, Headline::Blind, "feeds that never spoke");
    assert_eq!(said(&Store::default()), (Headline::Blind, "nothing is read".to_owned()));
    let degraded = well(|feed| if feed == Feed::Events { 130 } else { 0 });
    assert_eq!(said(&degraded), (Headline::Degraded, "test events stale 2m10s".to_owned()));
    let blind = well(|feed| if feed == Feed::Tasks { 700 } else { 0 });
    assert_eq!(said(&blind), (Headline::Blind, "test tasks old 11m".to_owned()));
    for (store, word) in [(well(fresh), "✓ OK"), (pages, "✖ PAGING"), (degraded, "▲ DEGRADED"), (blind, "? BLIND")]
    {
        let mut board = board(store);
        let text = frame(&board, (80, 24));
        assert!(text.contains(word), "{word}: {text}");
        board.ascii = true;
        let text = frame(&board, (80, 24));
        assert!(text.contains(&word[word.find(' ').expect("a word")..]) && text.is_ascii(), "{word}: {text}");
    }
}

#[test]
fn old_figures_cannot_be_read_and_say_how_old_they_are() {
    let of = |age: i64| {
        let board = board(well(move |feed| if feed == Feed::Nodes || feed == Feed::Tasks { age } else { 0 }));
        frame(&board, (120, 40))
    };
    let row =
        |text: &str| text.lines().find(|l| l.contains("test ") && l.contains("broken")).expect("a row").to_owned();
    let fresh = of(5);
    assert!(row(&fresh).contains("nodes 1/1  tasks 1"), "{fresh}");
    let stale = of(150);
    assert!(row(&stale).contains("nodes 1/1  tasks 1") && row(&stale).contains("▲ stale 2m30s"), "{stale}");
    assert!(stale.matches("▲ stale 2m30s").count() >= 3, "tiles say so, too: {stale}");
    let old = of(900);
    assert!(row(&old).contains("nodes ░░░  tasks ░  broken ░") && row(&old).contains("✖ old 15m"), "{old}");
    assert!(!old.contains("1/1"), "{old}");
    let mut board = board(well(|feed| if feed == Feed::Nodes { 900 } else { 0 }));
    board.ascii = true;
    let ascii = frame(&board, (120, 40));
    assert!(row(&ascii).contains("nodes ///") && ascii.contains("X old 15m"), "{ascii}");
}

#[test]
fn no_data_is_no_zero() {
    let mut board = board(Store::expecting([cluster()]));
    for wall_page in WallPage::ALL {
        let text = page(&mut board, wall_page, (120, 40));
        assert!(text.contains("BLIND"), "{text}");
        for lie in ["nothing is wrong", "no alarm fires", "nothing is going to go", "all ready", " 0 "] {
            assert!(!text.contains(lie), "{lie} on {}: {text}", wall_page.name());
        }
    }
}

#[test]
fn one_source_of_several_that_is_blind_makes_a_sum_a_lower_bound() {
    let mut store = well(|_| 0);
    observe_backend(&mut store, Feed::Alarms, Rows::Alarms(vec![paging("CheckoutErrors")]));
    let source = SourceId { cluster: "second".into_id(), feed: Feed::Alarms };
    let because = Text::new("connection refused");
    let down = Body::Freshness(Freshness::Down { since: now(), because });
    let mut store = store.and_backends(["second".into_id()]);
    store.apply(Observation { source, at: now(), body: down });
    assert_eq!(said(&store), (Headline::Page, "1 alarm pages".to_owned()));
    let board = board(store);
    let c = board.context(now());
    let head = quarterdeck::view::wall::head(c, &watched(c, &board.pace));
    assert_eq!((head.paging.as_str(), head.paging_trust), ("1+", Some(Trust::Never)));
}

trait IntoId {
    fn into_id(self) -> quarterdeck::domain::ClusterId;
}

impl IntoId for &str {
    fn into_id(self) -> quarterdeck::domain::ClusterId {
        quarterdeck::domain::ClusterId::new(self)
    }
}

#[test]
fn what_pages_takes_the_screen_and_gives_it_back() {
    let mut board = board(well(|_| 0));
    board.pace = Pace { metrics: Duration::from_hours(1), backends: Duration::from_hours(1), ..Pace::default() };
    assert!(!board.step(now() + TimeDelta::seconds(1)));
    observe_backend(&mut board.store, Feed::Alarms, Rows::Alarms(vec![paging("CheckoutErrors")]));
    assert!(board.step(now() + TimeDelta::seconds(2)));
    assert_eq!(board.wall.page(), WallPage::Alarms);
    let text = frame_at(&board, (80, 24), now() + TimeDelta::seconds(3));
    assert!(text.contains("stays: 1 alarm pages; until it clears, 4:59 at most"), "{text}");
    assert!(text.contains("✖ page") && text.contains("CheckoutErrors"), "{text}");
    observe_backend(&mut board.store, Feed::Alarms, Rows::Alarms(Vec::new()));
    board.step(now() + TimeDelta::seconds(10));
    assert_eq!(board.wall.page(), WallPage::Alarms, "that it has cleared is to be seen");
    assert!(matches!(board.wall.stay(now() + TimeDelta::seconds(10)), Stay::Turn { .. }));
    assert!(board.step(now() + TimeDelta::seconds(31)));
}

#[test]
fn blindness_takes_the_screen() {
    let mut board = board(well(|_| 0));
    for s in 0..60 {
        board.step(now() + TimeDelta::seconds(s));
    }
    assert_ne!(board.wall.page(), WallPage::Overview);
    for s in 60..700 {
        board.step(now() + TimeDelta::seconds(s));
    }
    // Everything stands still: alarms are old after five minutes, tasks after ten.
    let text = frame_at(&board, (120, 40), now() + TimeDelta::seconds(700));
    assert!(text.contains("BLIND") && text.contains("blind: 2 sources not read"), "{text}");
    assert_eq!(board.wall.page(), WallPage::Overview);
}

#[test]
fn the_timeline_says_since_when_it_knows() {
    let mut board = board(alarmed_fleet());
    board.wall.choose(WallPage::Timeline, now());
    let text = frame(&board, (120, 40));
    assert!(text.contains("read since 03:14 UTC"), "{text}");
    let lines: Vec<&str> = text.lines().filter(|l| l.contains("orders-queue-age")).collect();
    assert!(lines.len() == 3 && lines[1].contains("cleared") && lines[2].contains("03:07"), "{text}");
    let times: Vec<&str> =
        text.lines().filter_map(|l| l.trim_start().get(..5)).filter(|t| t.as_bytes().get(2) == Some(&b':')).collect();
    assert!(times.len() >= 3 && times.is_sorted(), "the newest at the bottom: {times:?}");
    let hours = text.lines().find(|l| l.trim_start().starts_with("alarms ")).expect("a row of hours");
    assert!(hours.contains('░'), "before it was read nothing is known: {hours}");
}

#[derive(Debug, Clone)]
enum State {
    Age(i64),
    Never,
    Down(i64),
    Denied,
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![
        6 => (0_i64..20).prop_map(State::Age),
        2 => (0_i64..2000).prop_map(State::Age),
        1 => Just(State::Never),
        1 => (0_i64..2000).prop_map(State::Down),
        1 => Just(State::Denied),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// OK exactly while all that should speak has spoken within twice its interval.
    #[test]
    fn never_ok_on_missing_data(
        states in prop::collection::vec(state(), Feed::KUBERNETES.len() + Feed::BACKEND.len()),
        calm in any::<bool>(),
    ) {
        let states: Vec<State> = if calm { states.iter().map(|_| State::Age(3)).collect() } else { states };
        let age_of = |s: &State| match s { State::Age(a) | State::Down(a) => *a, State::Never | State::Denied => 0 };
        let feeds: Vec<_> = Feed::KUBERNETES.iter().map(|f| (cluster(), *f))
            .chain(Feed::BACKEND.iter().map(|f| (backend(), *f))).collect();
        let of = |feed: Feed| feeds.iter().position(|(_, f)| *f == feed).and_then(|i| states.get(i));
        let mut store = well(|feed| of(feed).map_or(0, age_of));
        // What was never read is a source of its own, so that everything else is as it was.
        let mut trusted = true;
        for (i, (id, feed)) in feeds.iter().enumerate() {
            let source = SourceId { cluster: id.clone(), feed: *feed };
            let because = Text::new("as the test wants");
            let say = |freshness| store.apply(Observation { source, at: now(), body: Body::Freshness(freshness) });
            let every = i64::try_from(interval(&Pace::default(), *feed, false).as_secs()).expect("seconds");
            match &states[i] {
                State::Age(age) => trusted &= *age <= 2 * every,
                State::Down(_) => { say(Freshness::Down { since: now(), because }); trusted = false }
                State::Denied => { say(Freshness::Absent { because, denied: true }); trusted = false }
                State::Never => {
                    let source = SourceId { cluster: "other".into_id(), feed: *feed };
                    let body = Body::Freshness(Freshness::Loading { since: now() });
                    store.apply(Observation { source, at: now(), body });
                    trusted = false;
                }
            }
        }
        let (headline, why) = said(&store);
        prop_assert_eq!(headline == Headline::Ok, trusted, "{:?} {}: {:?}", headline, why, states);
        prop_assert!(!why.is_empty());
    }
}
