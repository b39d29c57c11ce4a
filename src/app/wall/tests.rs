use super::*;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_timestamp(1_772_000_000 + secs, 0).unwrap_or_default()
}

fn wall(pages: &[WallPage]) -> Wall {
    Wall::new(Rules::new(pages, Duration::from_secs(20), Duration::from_mins(5)), at(0))
}

fn critical(page: WallPage, members: &[u64]) -> Critical {
    Critical { page, why: format!("{} of {}", members.len(), page.name()), members: members.iter().copied().collect() }
}

fn key(text: &str) -> Key {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// The page at each second where it changes.
fn course(
    wall: &mut Wall,
    secs: std::ops::Range<i64>,
    criticals: impl Fn(i64) -> Vec<Critical>,
) -> Vec<(i64, WallPage)> {
    let mut out = Vec::new();
    for s in secs {
        if wall.tick(at(s), criticals(s)) {
            out.push((s, wall.page()));
        }
    }
    out
}

use WallPage::{Alarms, Budgets, Map, Overview, Spot};

#[test]
fn pages_rotate_and_come_round() {
    let mut w = wall(&[Overview, Map, Alarms]);
    let seen = course(&mut w, 1..85, |_| Vec::new());
    assert_eq!(seen, [(20, Map), (40, Alarms), (60, Overview), (80, Map)]);
    assert_eq!(w.stay(at(84)), Stay::Turn { next: Alarms, secs: 16 });
}

#[test]
fn one_page_alone_stays_and_every_page_is_named_once() {
    let mut w = wall(&[Map]);
    assert!(course(&mut w, 1..100, |_| Vec::new()).is_empty());
    assert_eq!(wall(&[Map, Alarms, Map]).pages(), [Map, Alarms]);
    assert_eq!(wall(&[]).pages(), WallPage::ALL);
}

#[test]
fn what_turns_critical_takes_the_screen_until_it_clears() {
    let mut w = wall(&[Overview, Map, Alarms]);
    let seen = course(&mut w, 1..130, |s| if (5..95).contains(&s) { vec![critical(Alarms, &[1])] } else { vec![] });
    // At once; and when it has cleared, for one more turn.
    assert_eq!(seen, [(5, Alarms), (115, Map)]);
    let mut w = wall(&[Overview, Map, Alarms]);
    w.tick(at(5), vec![critical(Alarms, &[1])]);
    assert_eq!(w.stay(at(65)), Stay::Critical { why: "1 of alarms".into(), secs: 240, others: 0 });
}

#[test]
fn what_stays_critical_gives_way_and_comes_back_with_every_other_turn() {
    let mut w = wall(&[Overview, Map, Alarms, Spot]);
    let seen = course(&mut w, 1..420, |_| vec![critical(Alarms, &[1])]);
    let pages: Vec<_> = seen.iter().map(|(_, p)| *p).collect();
    assert_eq!(seen.first(), Some(&(1, Alarms)));
    assert_eq!(seen.get(1).map(|(s, _)| *s), Some(301), "it had its five minutes");
    assert_eq!(pages, [Alarms, Map, Alarms, Spot, Alarms, Overview, Alarms], "{seen:?}");
    assert!(matches!(w.stay(at(420)), Stay::Returns { next: Map, .. }), "{:?}", w.stay(at(420)));
}

#[test]
fn one_more_takes_the_screen_again_and_one_less_does_not() {
    let mut w = wall(&[Overview, Map, Alarms]);
    let members = |s: i64| match s {
        ..400 => vec![1, 2],
        400..500 => vec![2],
        _ => vec![2, 3],
    };
    course(&mut w, 1..400, |s| vec![critical(Alarms, &members(s))]);
    let fewer = course(&mut w, 400..500, |s| vec![critical(Alarms, &members(s))]);
    assert!(fewer.len() >= 4, "the rotation goes on: {fewer:?}");
    let more = course(&mut w, 500..790, |s| vec![critical(Alarms, &members(s))]);
    assert!(w.page() == Alarms && more.len() <= 1, "{more:?}");
}

#[test]
fn several_critical_pages_share_the_screen_the_new_one_first() {
    let mut w = wall(&[Overview, Budgets, Alarms, Spot]);
    let of = |s: i64| match s {
        ..10 => vec![critical(Budgets, &[1])],
        _ => vec![critical(Spot, &[7]), critical(Budgets, &[1])],
    };
    let seen = course(&mut w, 1..75, of);
    assert_eq!(seen, [(1, Budgets), (10, Spot), (30, Budgets), (50, Spot), (70, Budgets)]);
    assert!(matches!(w.stay(at(74)), Stay::Critical { others: 1, .. }));
}

#[test]
fn a_held_page_stays_even_so_and_is_let_go_in_the_end() {
    let mut w = wall(&[Overview, Map, Alarms]);
    assert_eq!(w.press(key("space"), at(1)), Pressed::Changed);
    let seen = course(&mut w, 2..330, |_| vec![critical(Alarms, &[1])]);
    assert_eq!(seen, [(301, Alarms)], "nobody holds it for longer than `hold`");
    let mut w = wall(&[Overview, Map, Alarms]);
    w.press(key("space"), at(1));
    w.tick(at(2), vec![critical(Alarms, &[1])]);
    assert_eq!(w.stay(at(11)), Stay::Held { secs: 290, waiting: 1 });
    w.press(key("space"), at(12));
    assert!(w.tick(at(13), vec![critical(Alarms, &[1])]), "let go, what is critical takes it");
    assert_eq!(w.page(), Alarms);
}

#[test]
fn arrows_leaf_and_what_was_chosen_has_its_turn() {
    let mut w = wall(&[Overview, Map, Alarms]);
    for (keys, page) in [("right", Map), ("down", Alarms), ("right", Overview), ("left", Alarms), ("up", Map)] {
        assert_eq!(w.press(key(keys), at(3)), Pressed::Changed);
        assert_eq!(w.page(), page, "{keys}");
    }
    assert_eq!(course(&mut w, 4..50, |_| Vec::new()), [(23, Alarms), (43, Overview)], "on from there");
    // Also while another page is critical.
    w.tick(at(50), vec![critical(Alarms, &[1])]);
    w.press(key("left"), at(52));
    assert_eq!(w.page(), Map);
    assert_eq!(course(&mut w, 53..80, |_| vec![critical(Alarms, &[1])]), [(72, Alarms)]);
}

#[test]
fn other_keys_do_nothing() {
    let mut w = wall(&[Overview, Map]);
    for text in ["enter", "esc", "x", "Q", "!", ":", "/", "d", "ctrl-c", "ctrl-z", "ctrl-q", "alt-q", "f12", "tab", "e"]
    {
        assert_eq!(w.press(key(text), at(1)), Pressed::Nothing, "{text}");
    }
    assert_eq!((w.page(), w.is_help()), (Overview, false));
    assert_eq!(w.press(key("q"), at(1)), Pressed::Quit);
}

#[test]
fn help_goes_by_itself() {
    let mut w = wall(&[Overview, Map]);
    w.press(key("?"), at(1));
    assert!(w.is_help());
    w.tick(at(30), Vec::new());
    assert!(w.is_help());
    w.tick(at(31), Vec::new());
    assert!(!w.is_help());
}

#[test]
fn a_clock_set_back_does_not_stop_it() {
    let mut w = wall(&[Overview, Map]);
    w.tick(at(10), Vec::new());
    assert!(course(&mut w, -5000..-4970, |_| Vec::new()).contains(&(-4980, Map)));
}

#[test]
fn pages_that_are_not_shown_take_no_screen() {
    let mut w = wall(&[Overview, Map]);
    assert!(!w.tick(at(1), vec![critical(Alarms, &[1])]));
    assert!(!w.is_critical(Alarms));
}

#[test]
fn the_picture_moves_by_one_cell_and_comes_back() {
    let places: Vec<_> = (0..8).map(|n| shift(at(0) + TimeDelta::minutes(3 * n))).collect();
    assert_eq!(places[..4], places[4..]);
    assert_eq!(places[..4].iter().collect::<BTreeSet<_>>().len(), 4, "{places:?}");
}

proptest::proptest! {
    /// Whatever happens, the page on the screen is one of those that are shown, and none stays for
    /// ever: without anything critical, each page comes within a round.
    #[test]
    fn it_never_gets_stuck(events in proptest::collection::vec((0_u8..6, 1_i64..40, 0_usize..7, 0_u64..3), 1..60)) {
        let mut w = wall(&[]);
        let mut s = 0;
        for (what, wait, page, member) in events {
            s += wait;
            let criticals = if what < 3 { vec![critical(WallPage::ALL[page], &[member])] } else { Vec::new() };
            w.tick(at(s), criticals);
            match what {
                4 => drop(w.press(key("space"), at(s))),
                5 => drop(w.press(key("right"), at(s))),
                _ => {}
            }
            proptest::prop_assert!(w.pages().contains(&w.page()));
        }
        let mut seen = BTreeSet::new();
        for more in s..s + 300 + 8 * 20 {
            w.tick(at(more), Vec::new());
            seen.insert(w.page());
        }
        proptest::prop_assert_eq!(seen.len(), WallPage::ALL.len());
    }
}
