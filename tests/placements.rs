//! Services whose tasks find no place: what two feeds say of each is one line, whatever the order
//! and however often it comes, until it is over; and where that line stands.

mod support;

use chrono::{DateTime, TimeDelta, Utc};
use quarterdeck::app::wall::WallPage;
use quarterdeck::domain::placement::{Placement, Placing, Shortage, Teller};
use quarterdeck::domain::{Freshness, Health, Text, Thresholds};
use quarterdeck::store::placements::Unplaced;
use quarterdeck::store::{Body, Feed, Observation, SourceId, Store};
use quarterdeck::view::columns::Context;
use quarterdeck::view::placements::{line, lines};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use support::fleet::{Desk, board, now, small_fleet};
use support::taken::{ago, events};
use support::unplaced::{
    deployment, failed, list, list_tasks, say, service, service_arn, service_id, shop, task_of, unplaced_fleet, word,
};
use unicode_width::UnicodeWidthStr;

const SPOT: &[&str] = &["FARGATE_SPOT"];

/// `search` wants so many tasks and has so many.
fn fleet(counts: (u32, u32, u32)) -> Store {
    let mut store = Store::expecting([]).and_ecs([shop()]).and_backends([events()]);
    list(&mut store, vec![service("search", SPOT, counts)], ago(1));
    store
}

fn fargate(teller: Teller, secs: i64) -> Placement {
    let providers = if teller == Teller::Service { &[][..] } else { SPOT };
    word("search", teller, secs, failed(Shortage::Fargate, providers))
}

fn steady(teller: Teller, secs: i64) -> Placement {
    word("search", teller, secs, Placing::Steady)
}

/// Since when, in seconds, how many it lacks, and who told.
type Seen = (i64, Option<(u32, u32)>, Vec<Teller>);

fn seen(store: &Store, at: DateTime<Utc>) -> Vec<Seen> {
    let brief = |u: &Unplaced| {
        assert_eq!(u.why, Shortage::Fargate);
        assert_eq!(u.providers, SPOT.iter().map(|p| Text::new(p)).collect::<Vec<_>>());
        ((at - u.since).num_seconds(), u.missing.map(|m| (m.tasks, m.desired)), u.tellers.clone())
    };
    store.unplaced(at).iter().map(brief).collect()
}

#[test]
fn a_story_begins_with_the_first_failure_since_the_service_was_steady_and_ends_with_steadiness() {
    use Teller::{EventLog, EventQueue, Service};
    let open = |since: i64, tellers: &[Teller]| vec![(since, Some((2, 6)), tellers.to_vec())];
    let table: Vec<(&str, Vec<Placement>, Vec<Seen>)> = vec![
        ("nothing", vec![], vec![]),
        ("only steady", vec![steady(Service, 60)], vec![]),
        ("ECS alone", vec![fargate(Service, 60)], open(60, &[Service])),
        ("EventBridge alone", vec![fargate(EventQueue, 60)], open(60, &[EventQueue])),
        (
            "all three of one failure",
            vec![fargate(Service, 60), fargate(EventLog, 60), fargate(EventQueue, 59)],
            open(60, &[Service, EventLog, EventQueue]),
        ),
        (
            "again and again",
            vec![fargate(Service, 180), fargate(Service, 120), fargate(Service, 60)],
            open(180, &[Service]),
        ),
        ("steady again, says the same feed", vec![fargate(Service, 60), steady(Service, 30)], vec![]),
        ("steady again, says the other", vec![fargate(Service, 60), steady(EventLog, 30)], vec![]),
        ("anew", vec![fargate(Service, 300), steady(EventLog, 200), fargate(EventLog, 60)], open(60, &[EventLog])),
        ("at one moment", vec![fargate(Service, 60), steady(Service, 60)], vec![]),
        // ECS says it once and is silent for six hours.
        ("long ago", vec![fargate(Service, 6 * 3_600)], open(6 * 3_600, &[Service])),
        ("too long ago", vec![fargate(Service, 6 * 3_600 + 601)], vec![]),
    ];
    for (what, words, want) in table {
        let mut store = fleet((6, 4, 0));
        say(&mut store, words, now());
        assert_eq!(seen(&store, now()), want, "{what}");
        store.settle(now());
        assert_eq!(seen(&store, now()), want, "{what}, a second later");
    }
}

/// Every order of these.
fn orders<T: Clone>(all: &[T]) -> Vec<Vec<T>> {
    if all.len() < 2 {
        return vec![all.to_vec()];
    }
    let mut out = Vec::new();
    for at in 0..all.len() {
        let mut rest = all.to_vec();
        let first = rest.remove(at);
        for mut order in orders(&rest) {
            order.insert(0, first.clone());
            out.push(order);
        }
    }
    out
}

#[test]
fn the_order_does_not_matter_nor_how_often_it_comes() {
    let words = [
        fargate(Teller::Service, 300),
        steady(Teller::EventLog, 200),
        fargate(Teller::EventLog, 100),
        fargate(Teller::Service, 101),
        fargate(Teller::EventQueue, 60),
        steady(Teller::EventQueue, 199),
    ];
    let want = vec![(101, Some((2, 6)), vec![Teller::Service, Teller::EventLog, Teller::EventQueue])];
    for (n, order) in orders(&words).into_iter().enumerate() {
        let mut store = fleet((6, 4, 0));
        for word in &order {
            say(&mut store, [word.clone()], now());
            if n % 2 == 0 {
                say(&mut store, [word.clone(), order[0].clone()], now());
                store.settle(now());
            }
        }
        assert_eq!(seen(&store, now()), want, "{order:?}");
    }
}

#[test]
fn a_service_that_is_whole_again_is_over_for_good() {
    let mut store = fleet((6, 4, 0));
    say(&mut store, [fargate(Teller::EventLog, 100)], ago(99));
    store.settle(ago(98));
    assert_eq!(seen(&store, ago(98)).len(), 1);
    list(&mut store, vec![service("search", SPOT, (6, 6, 0))], ago(60));
    assert_eq!(seen(&store, ago(60)), [], "at once");
    store.settle(ago(60));
    // What is short later is short for another reason, until somebody says otherwise.
    list(&mut store, vec![service("search", SPOT, (6, 5, 0))], ago(30));
    assert_eq!(seen(&store, ago(30)), []);
    // Late word of what is over does not begin it again.
    say(&mut store, [fargate(Teller::Service, 101)], ago(29));
    assert_eq!(seen(&store, ago(29)), []);
    say(&mut store, [fargate(Teller::Service, 20)], ago(19));
    assert_eq!(seen(&store, ago(19)), [(1, Some((1, 6)), vec![Teller::Service])]);
}

#[test]
fn a_task_that_goes_is_missing_already() {
    // ECS counts it as long as it runs: six of six, two of them taken back.
    let mut store = fleet((6, 6, 0));
    list_tasks(&mut store, (0..6).map(|n| task_of("search", n, n < 2)).collect(), ago(1));
    say(&mut store, [fargate(Teller::Service, 19)], ago(18));
    store.settle(now());
    assert_eq!(seen(&store, now()), [(19, Some((2, 6)), vec![Teller::Service])]);
    // Before their stop is seen the row looks whole; that is no end of it.
    let mut store = fleet((6, 6, 0));
    list_tasks(&mut store, (0..6).map(|n| task_of("search", n, false)).collect(), ago(18));
    say(&mut store, [fargate(Teller::Service, 19)], ago(18));
    store.settle(ago(17));
    assert_eq!(seen(&store, ago(17)), []);
    list_tasks(&mut store, (0..6).map(|n| task_of("search", n, n < 2)).collect(), ago(15));
    assert_eq!(seen(&store, ago(15)), [(4, Some((2, 6)), vec![Teller::Service])]);
}

#[test]
fn what_a_service_lacks_is_of_what_it_wants_now() {
    let told = |mut store: Store| {
        say(&mut store, [fargate(Teller::Service, 60)], ago(59));
        let all = store.unplaced(now());
        all.iter().map(|u| (u.missing.map(|m| (m.tasks, m.desired, m.starting)), u.health())).collect::<Vec<_>>()
    };
    let (warning, critical) = (Health::Warning, Health::Critical);
    for (counts, want) in [
        ((6, 4, 0), vec![(Some((2, 6, 0)), warning)]),
        ((6, 4, 1), vec![(Some((2, 6, 1)), warning)]),
        ((6, 0, 0), vec![(Some((6, 6, 0)), critical)]),
        ((6, 7, 0), vec![]),
        // Somebody gave up.
        ((0, 0, 0), vec![]),
    ] {
        assert_eq!(told(fleet(counts)), want, "{counts:?}");
    }
    // The old ones run on while the new ones find no place.
    let mut rolling = service("search", SPOT, (6, 6, 0));
    let both = vec![deployment("PRIMARY", (6, 1, 2)), deployment("ACTIVE", (5, 5, 0))];
    rolling.ecs.as_mut().expect("an ECS service").deployments = both;
    let mut store = fleet((6, 6, 0));
    list(&mut store, vec![rolling], ago(1));
    assert_eq!(told(store), [(Some((5, 6, 2)), warning)]);
}

#[test]
fn where_nobody_can_look_the_feed_is_believed() {
    // A service of no cluster that is read.
    let mut store = Store::expecting([]).and_backends([events()]);
    say(&mut store, [fargate(Teller::EventLog, 60)], ago(59));
    let all = store.unplaced(now());
    assert_eq!((all[0].id.clone(), all[0].missing, all[0].cluster.as_str()), (None, None, "shop-ecs"));
    // Its cluster comes, with it.
    list(&mut store, vec![service("search", SPOT, (6, 4, 0))], now());
    assert_eq!(store.unplaced(now())[0].id, Some(service_id("search")));
    // It was deleted.
    list(&mut store, vec![service("cart", SPOT, (6, 4, 0))], now());
    assert_eq!(store.unplaced(now()).len(), 0);
    // One that was made after the list was read is not deleted.
    let mut store = Store::expecting([]).and_backends([events()]);
    list(&mut store, vec![service("cart", SPOT, (6, 4, 0))], ago(61));
    say(&mut store, [fargate(Teller::EventLog, 60)], ago(59));
    assert_eq!(store.unplaced(now()).len(), 1);
    // A row that was whole before, and is not read any more, does not contradict.
    let mut store = fleet((6, 6, 0));
    let source = SourceId { cluster: shop(), feed: Feed::Services };
    let body = Body::Freshness(Freshness::Stale { since: ago(1), because: Text::new("connection refused") });
    store.apply(Observation { source, at: ago(1), body });
    say(&mut store, [word("search", Teller::EventLog, -5, failed(Shortage::Fargate, SPOT))], now());
    assert_eq!(store.unplaced(now() + TimeDelta::seconds(6))[0].missing, None);
}

#[test]
fn the_reason_is_the_last_one_and_the_more_exact_one() {
    let mut store = fleet((6, 4, 0));
    let other = |secs, text| word("search", Teller::Service, secs, failed(Shortage::Other(Text::new(text)), &[]));
    say(&mut store, [fargate(Teller::EventLog, 900), other(300, "Internal error")], now());
    assert_eq!(store.unplaced(now())[0].why, Shortage::Other(Text::new("Internal error")));
    say(&mut store, [word("search", Teller::EventLog, 301, failed(Shortage::Cpu, &["b", "a"]))], now());
    let one = &store.unplaced(now())[0];
    assert_eq!((one.why.clone(), one.providers.len()), (Shortage::Cpu, 2));
    // Nobody named a provider: those of its strategy.
    let mut store = fleet((6, 4, 0));
    say(&mut store, [fargate(Teller::Service, 60)], now());
    assert_eq!(store.unplaced(now())[0].providers, [Text::new("FARGATE_SPOT")]);
}

#[test]
fn nothing_grows_without_bound() {
    let mut store = fleet((6, 4, 0));
    say(&mut store, (0..5_000).map(|n| fargate(Teller::EventLog, 20_000 - n)), now());
    assert_eq!(seen(&store, now()), [(20_000, Some((2, 6)), vec![Teller::EventLog])]);
    let of = |n: i64, says: Placing| {
        let mut one = word("x", Teller::EventLog, n % 9_000, says);
        one.service = Text::new(&format!("arn:aws:ecs:eu-west-1:1:service/far/{n}"));
        one
    };
    say(&mut store, (0..9_000).map(|n| of(n, Placing::Steady)), now());
    say(&mut store, (0..9_000).map(|n| of(n, failed(Shortage::Cpu, &[]))), now());
    let kept = store.unplaced(now()).len();
    assert!((4_000..=5_000).contains(&kept), "{kept}");
    let later = now() + TimeDelta::hours(7);
    store.settle(later);
    assert_eq!(store.unplaced(later).len(), 0);
}

fn context(store: &Store) -> Context<'_> {
    Context { store, now: now(), absolute: false, ascii: false, thresholds: Thresholds::default() }
}

#[test]
fn a_line_says_at_any_width_which_service_how_many_and_why() {
    let store = unplaced_fleet();
    let all = store.unplaced(now());
    assert_eq!(all.len(), 4);
    for u in all.iter() {
        for width in [60, 80, 100, 120, 200] {
            let text = line(context(&store), u, width).text();
            assert!(text.width() <= width, "{width}: {text}");
            let start: String = u.name.chars().take(3).collect();
            assert!(text.contains(&start), "{width}: {text}");
            let lacks =
                u.missing.map_or("cannot place tasks".to_owned(), |m| format!("lacks {} of {}", m.tasks, m.desired));
            assert!(text.contains(&lacks), "{width}: {text}");
            assert!(text.contains(" for "), "{width}: {text}");
        }
        assert!(line(context(&store), u, 3).text().width() > 0, "and nothing panics");
    }
    let text: Vec<String> = lines(context(&store), 5, 120).iter().map(|l| l.text().trim_end().to_owned()).collect();
    assert_eq!(
        text,
        [
            " ✖ recommendations-for-returning-customers lacks 2 of 2 tasks for 40s: no Fargate or Fargate Spot capacity  ecs",
            " ▲ search in shop-ecs lacks 2 of 6 tasks (1 starting) for 3m8s: no Fargate Spot capacity  told by ecs, log",
            " ▲ images in shop-ecs lacks 1 of 4 tasks for 12m: not enough CPU on the container instances of shop-asg  told by log",
            " ▲ orders in elsewhere (not read here) cannot place tasks for 65s: no agent answers on far-asg  queue",
        ]
    );
    let few = lines(context(&store), 2, 120);
    assert_eq!(few.last().map(quarterdeck::domain::Line::text), Some("   and 2 more services lack tasks".to_owned()));
}

#[test]
fn frames() {
    for (name, keys) in [("spot", "0"), ("pools", "0 p"), ("overview", "1"), ("service-pane", "4 v")] {
        for (width, height) in [(80, 24), (120, 40)] {
            let mut desk = Desk::new(unplaced_fleet());
            desk.press("4");
            desk.type_filter("name=search cluster=shop-ecs");
            desk.press(keys);
            let frame: String =
                desk.frame(width, height).lines().map(|line| line.trim_end().to_owned() + "\n").collect();
            insta::assert_snapshot!(format!("{name}-{width}x{height}"), frame);
        }
    }
    let mut desk = Desk::new(unplaced_fleet());
    desk.ascii = true;
    desk.press("0");
    let frame = desk.frame(80, 24);
    assert!(frame.is_ascii() && frame.contains(" ! search lacks 2 of 6"), "{frame}");
}

/// Where no machine goes the view says so, and the lines stand above it all the same.
#[test]
fn a_service_that_lacks_tasks_is_seen_where_no_machine_goes() {
    let mut store = small_fleet().and_ecs([shop()]);
    list(&mut store, vec![service("search", SPOT, (6, 4, 0))], now());
    let mut desk = Desk::new(store);
    desk.press("1");
    assert!(!desk.frame(120, 40).contains(" SPOT "));
    say(&mut desk.store, [fargate(Teller::Service, 60)], now());
    assert!(desk.frame(120, 40).contains(" SPOT   ▲ 1 service lacks tasks"), "{}", desk.frame(120, 40));
    desk.press("0");
    let frame = desk.frame(120, 40);
    assert!(frame.contains("search in shop-ecs lacks 2 of 6 tasks for 60s: no Fargate Spot capacity"), "{frame}");
    // It is no notice: nothing counts down.
    assert!(desk.store.board(now()).rows.is_empty());
    for (width, height) in [(40, 12), (20, 6), (200, 50)] {
        desk.frame(width, height);
    }
}

#[test]
fn the_wallboard_says_it_on_the_page_of_spot() {
    let mut board = board(unplaced_fleet());
    board.wall.choose(WallPage::Spot, now());
    for (width, height) in [(80, 24), (120, 40)] {
        let area = Rect::new(0, 0, width, height);
        let mut buf = Buffer::empty(area);
        board.draw(&mut buf, area, now());
        let text = quarterdeck::cli::export::text(&buf);
        let frame: String = text.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
        insta::assert_snapshot!(format!("wall-spot-{width}x{height}"), frame);
    }
}

/// Two profiles may read one cluster; its service is one line.
#[test]
fn a_service_that_two_read_is_one_line() {
    let mut store = fleet((6, 4, 0));
    let mut twin = service("search", SPOT, (6, 4, 0));
    twin.id.cluster = quarterdeck::domain::ClusterId::new("shop-too");
    assert_eq!(twin.uid, service_arn("search"));
    let source = SourceId { cluster: twin.id.cluster.clone(), feed: Feed::Services };
    for body in [Body::Begin, Body::Upsert(quarterdeck::store::Rows::Workloads(vec![twin])), Body::Synced] {
        store.apply(Observation { source: source.clone(), at: ago(1), body });
    }
    say(&mut store, [fargate(Teller::Service, 60)], now());
    let all = store.unplaced(now());
    assert_eq!(all.iter().map(|u| u.cluster.as_str()).collect::<Vec<_>>(), ["shop-ecs"]);
}
