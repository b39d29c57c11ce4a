//! Every view, at three sizes, in every theme, without colours and in ASCII: what holds for all of them.

#![expect(clippy::panic, reason = "helpers of tests fail as tests do")]

mod support;

use chrono::TimeDelta;
use quarterdeck::domain::{Accent, Cluster, Orchestrator, Text};
use quarterdeck::store::memo::Patience;
use quarterdeck::store::{Body, Feed, Observation, SourceId, Store};
use quarterdeck::theme::{ColorDepth, Theme, contrast};
use quarterdeck::view::columns::{Align, Context};
use quarterdeck::view::table::table;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};
use support::budgets::fleet_with_budgets;
use support::fleet::{Desk, cluster, now, small_fleet};
use support::mixed::{alarmed_fleet, mixed_fleet};
use support::taken::taken_fleet;
use unicode_width::UnicodeWidthStr;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 50)];

/// A fleet, and the keys that open a screen of it.
type Screen = (fn() -> Store, &'static str);

/// Lists, by the keys that open them.
const LISTS: [Screen; 16] = [
    (small_fleet, "1"),
    (small_fleet, "2"),
    (small_fleet, "3"),
    (small_fleet, "3 v"),
    (small_fleet, "4"),
    (mixed_fleet, "1"),
    (mixed_fleet, "2"),
    (mixed_fleet, "3"),
    (mixed_fleet, "4"),
    (mixed_fleet, "5"),
    (alarmed_fleet, "7"),
    (fleet_with_budgets, "8"),
    (fleet_with_budgets, "9"),
    (taken_fleet, "0"),
    (taken_fleet, "0 p"),
    (taken_fleet, "2"),
];

/// Everything else.
const OTHERS: [Screen; 11] = [
    (small_fleet, "6"),
    (mixed_fleet, "6"),
    (small_fleet, "3 ?"),
    (small_fleet, "3 :"),
    (small_fleet, "3 !"),
    (small_fleet, "4 s 5"),
    (alarmed_fleet, "7 j enter"),
    (fleet_with_budgets, "8 j enter"),
    (fleet_with_budgets, "9 G d"),
    (taken_fleet, "0 d"),
    (production, "2"),
];

fn all() -> impl Iterator<Item = Screen> {
    LISTS.into_iter().chain(OTHERS)
}

/// Two clusters: one of them production, with a colour.
fn production() -> Store {
    let mut store = mixed_fleet().and_accents([(cluster(), Accent::Orange)]);
    mark(&mut store);
    store
}

fn mark(store: &mut Store) {
    let of = Cluster {
        id: cluster(),
        orchestrator: Orchestrator::Kubernetes,
        version: Text::new("v1.34.2"),
        endpoint: Text::new("prod.example:443"),
        production: true,
        read_only: false,
        providers: Vec::new(),
    };
    let source = SourceId { cluster: cluster(), feed: Feed::Nodes };
    store.apply(Observation { source, at: now(), body: Body::Cluster(of) });
}

fn open(store: fn() -> Store, keys: &str, theme: &str) -> Desk {
    let mut desk = Desk::new(store());
    desk.theme = Theme::load(theme, None).unwrap_or_else(|e| panic!("{theme}: {e}"));
    desk.press(keys);
    desk
}

/// The text of a row, and how wide it is.
fn row(buf: &Buffer, y: u16) -> (String, usize) {
    let (mut text, mut wide, mut skip) = (String::new(), 0, 0);
    for x in 0..buf.area.width {
        if skip > 0 {
            skip -= 1;
            continue;
        }
        let symbol = buf[(x, y)].symbol();
        skip = symbol.width().saturating_sub(1);
        wide += symbol.width();
        text.push_str(symbol);
    }
    (text, wide)
}

#[test]
fn every_row_is_as_wide_as_the_screen_and_the_header_is_whole() {
    for (store, keys) in all() {
        let mut desk = open(store, keys, "quarterdeck-dark");
        for ascii in [false, true] {
            desk.ascii = ascii;
            for (width, height) in SIZES {
                let buf = desk.buffer(width, height);
                let what = format!("{keys} at {width}x{height}, ascii {ascii}");
                for y in 0..height {
                    let (text, wide) = row(&buf, y);
                    assert_eq!(wide, usize::from(width), "{what}: {text}");
                    assert!(!ascii || text.is_ascii(), "{what}: {text}");
                }
                let (first, second) = (row(&buf, 0).0, row(&buf, 1).0);
                assert!(first.trim_end().ends_with("UTC") || first.trim_end().ends_with("03:14"), "{what}: {first}");
                // A popup may lie over the numbers; nothing else shortens them.
                if !second.contains(['╭', '+']) {
                    assert!(!second.contains('…') && !second.contains("..."), "{what}: {second}");
                    let last = second.split_whitespace().last().unwrap_or_default();
                    let value = last.chars().any(|c| c.is_ascii_digit()) || second.contains("live");
                    assert!(value, "{what}: a name without its number: {second}");
                }
            }
        }
    }
}

#[test]
fn the_cursor_is_seen_wherever_it_goes() {
    for (store, keys) in LISTS {
        for (width, height) in SIZES {
            for to in ["g", "G"] {
                let mut desk = open(store, keys, "quarterdeck-dark");
                desk.buffer(width, height);
                desk.press(to);
                let buf = desk.buffer(width, height);
                let rows = desk.table().order.len();
                let signs = (0..height).filter(|y| row(&buf, *y).0.starts_with('▶')).count();
                assert_eq!(signs, usize::from(rows > 0), "{keys} {to} at {width}x{height}");
            }
        }
    }
}

#[test]
fn columns_stand_under_their_titles() {
    for (store, keys) in LISTS.into_iter().chain([(production as fn() -> Store, "2")]) {
        for (width, height) in SIZES {
            let mut desk = open(store, keys, "quarterdeck-dark");
            let buf = desk.buffer(width, height);
            let left = if keys.ends_with('v') { (0..width).find(|x| buf[(*x, 3)].symbol() == "│") } else { None };
            let room = left.map_or(width, |x| x - 1);
            let c = Context {
                store: &desk.store,
                now: now(),
                absolute: false,
                ascii: false,
                thresholds: desk.app.settings.thresholds,
            };
            let model = table(desk.app.table_mut().expect("a list"), c, room, false);
            let Some(head) = (0..height).rev().find(|y| {
                let text = row(&buf, *y).0;
                model.heads.iter().all(|h| text.contains(h.title))
            }) else {
                panic!("{keys} at {width}x{height}: no titles")
            };
            for (at, cells) in model.rows.iter().enumerate() {
                let y = head + 1 + u16::try_from(at).expect("a row");
                let mut x = 3;
                for (h, cell) in model.heads.iter().zip(&cells.cells) {
                    let text =
                        |y: u16| -> String { (x..(x + h.width).min(room)).map(|x| buf[(x, y)].symbol()).collect() };
                    let what = format!("{keys} at {width}x{height}, {} in row {at}: {:?}", h.title, text(y));
                    let title = text(head);
                    match h.align {
                        Align::Left => {
                            assert!(title.starts_with(h.title), "{what}: {title:?}");
                        }
                        Align::Right => {
                            assert!(title.trim_end_matches(['↑', '↓']).ends_with(h.title), "{what}: {title:?}");
                        }
                    }
                    if !cell.text.trim().is_empty() && x + h.width <= room {
                        let edge = if h.align == Align::Left { x } else { x + h.width - 1 };
                        assert_ne!(buf[(edge, y)].symbol(), " ", "{what}");
                    }
                    for gap in (x + h.width..x + h.width + 2).filter(|x| *x < room) {
                        assert_eq!(buf[(gap, y)].symbol(), " ", "{what}");
                        assert_eq!(buf[(gap, head)].symbol(), " ", "{what}");
                    }
                    x += h.width + 2;
                }
            }
        }
    }
}

#[test]
fn without_colours_there_are_none() {
    for (store, keys) in all() {
        for name in ["mono", "quarterdeck-dark", "ansi16"] {
            let mut desk = open(store, keys, name);
            if name != "mono" {
                desk.theme = desk.theme.clone().with_depth(ColorDepth::None);
            }
            for ascii in [false, true] {
                desk.ascii = ascii;
                for (width, height) in SIZES {
                    for cell in desk.buffer(width, height).content() {
                        let colours = (cell.fg, cell.bg);
                        assert_eq!(colours, (Color::Reset, Color::Reset), "{keys} in {name}: {}", cell.symbol());
                    }
                }
            }
        }
    }
}

/// Lines, bars and points are no text.
fn is_drawing(symbol: &str) -> bool {
    symbol.chars().all(|c| matches!(c, ' ' | '\u{2500}'..='\u{259f}' | '\u{2800}'..='\u{28ff}'))
}

#[test]
fn whatever_is_written_can_be_read_in_every_theme() {
    for name in Theme::names() {
        let mut pairs = 0;
        for (store, keys) in all() {
            let mut desk = open(store, keys, name);
            for (width, height) in SIZES {
                for cell in desk.buffer(width, height).content() {
                    if is_drawing(cell.symbol()) {
                        continue;
                    }
                    let (mut fg, mut bg) = (cell.fg, cell.bg);
                    if cell.modifier.contains(Modifier::REVERSED) {
                        std::mem::swap(&mut fg, &mut bg);
                    }
                    assert!(fg != bg || fg == Color::Reset, "{keys} in {name}: {} is not seen", cell.symbol());
                    let rgb = |colour| if let Color::Rgb(r, g, b) = colour { Some([r, g, b]) } else { None };
                    let (Some(front), Some(behind)) = (rgb(fg), rgb(bg)) else { continue };
                    pairs += 1;
                    let has = contrast(front, behind);
                    assert!(has >= 3.0, "{keys} in {name}: `{}` has {has:.2}, {fg:?} on {bg:?}", cell.symbol());
                }
            }
        }
        assert!(pairs > 0 || matches!(name, "ansi16" | "mono"), "{name}: nothing was compared");
    }
}

#[test]
fn the_selected_row_is_of_one_piece_where_it_is_reversed() {
    for name in ["ansi16", "mono"] {
        let mut desk = open(small_fleet, "3", name);
        let buf = desk.buffer(120, 24);
        let y = (0..24).find(|y| buf[(0, *y)].symbol() == "▶").expect("a cursor");
        for x in 0..120 {
            let cell = &buf[(x, y)];
            assert!(cell.modifier.contains(Modifier::REVERSED), "{name} at {x}");
            assert_eq!((cell.fg, cell.bg), (buf[(110, y)].fg, buf[(110, y)].bg), "{name} at {x}");
        }
    }
}

#[test]
fn production_looks_like_production_in_every_theme() {
    for name in Theme::names() {
        for ascii in [false, true] {
            let mut desk = open(production, "2", name);
            desk.ascii = ascii;
            let buf = desk.buffer(120, 40);
            let text: Vec<String> = (0..40).map(|y| row(&buf, y).0).collect();
            assert!(text[1].contains("2 clusters, 1 production"), "{name}: {}", text[1]);
            let marked: Vec<usize> = (2..40).filter(|y| text[*y].contains("test!")).collect();
            assert!(!marked.is_empty(), "{name}: {text:#?}");
            assert!(text.iter().any(|t| t.contains("shop-ecs ")), "{name}");
            // A page about one thing says whose it is.
            desk.press("G v d");
            let top = row(&desk.buffer(120, 40), 0).0;
            assert!(top.contains(" test  PRODUCTION "), "{name}: {top}");
            // Alone, it is said all the time.
            let mut alone = small_fleet();
            mark(&mut alone);
            let mut desk = Desk::new(alone);
            desk.theme = Theme::load(name, None).unwrap_or_else(|e| panic!("{name}: {e}"));
            let buf = desk.buffer(80, 24);
            let top = row(&buf, 0).0;
            let at = top.find(" PRODUCTION ").unwrap_or_else(|| panic!("{name}: {top}"));
            let badge = &buf[(u16::try_from(at).expect("a column") + 1, 0)];
            assert!(badge.modifier.contains(Modifier::REVERSED), "{name}: {badge:?}");
        }
    }
}

#[test]
fn an_accent_is_the_same_colour_in_the_header_and_in_lists() {
    for accent in Accent::ALL {
        let mut desk = Desk::new(mixed_fleet().and_accents([(cluster(), accent)]));
        desk.press("2");
        let buf = desk.buffer(120, 40);
        let y = (3..40).find(|y| row(&buf, *y).0.contains("  test ")).expect("a node");
        let listed = buf[(3, y)].fg;
        desk.press("G d");
        let buf = desk.buffer(120, 40);
        let top = row(&buf, 0).0;
        let x = u16::try_from(top.find("test").expect("its cluster")).expect("a column");
        assert_eq!(buf[(x, 0)].fg, listed, "{}", accent.name());
    }
    let colours: std::collections::BTreeSet<String> = Accent::ALL
        .into_iter()
        .map(|accent| {
            let mut desk = Desk::new(mixed_fleet().and_accents([(cluster(), accent)]));
            desk.press("2 G");
            let buf = desk.buffer(120, 40);
            let y = (3..40).find(|y| row(&buf, *y).0.contains(" test ")).expect("a node");
            format!("{:?}", buf[(3, y)].fg)
        })
        .collect();
    assert_eq!(colours.len(), Accent::ALL.len(), "{colours:?}");
}

/// While nothing changes, what a key's frame takes from the one before it is what would be made anew, whatever the keys do.
#[test]
fn a_frame_that_answers_a_key_is_as_one_that_was_made_anew() {
    const KEYS: [&str; 34] = [
        "j", "k", "j", "k", "G", "g g", "ctrl-d", "ctrl-u", "space", "esc", "esc", "enter", "left", "right", "w", "t",
        "T", "d", "v", "p", "z", "ctrl-z", "N", "S", "A", "/", "o", "?", "1", "2", "3", "4", "tab", "e",
    ];
    for (n, (store, keys)) in all().enumerate() {
        let (mut hurried, mut anew) = (Desk::new(store()), Desk::new(store()));
        hurried.store.patience = Patience::of(TimeDelta::milliseconds(250));
        hurried.store.patience.hurry(true);
        let mut pressed = keys.to_owned();
        for desk in [&mut hurried, &mut anew] {
            desk.press(keys);
        }
        let mut random = 7919 * (n + 1);
        for _ in 0..100 {
            random = (random * 1_103_515_245 + 12_345) % (1 << 31);
            let key = KEYS[(random >> 16) % KEYS.len()];
            pressed = format!("{pressed} {key}");
            for desk in [&mut hurried, &mut anew] {
                desk.press(key);
            }
            assert_eq!(hurried.frame(120, 30), anew.frame(120, 30), "{pressed}");
            assert_eq!(hurried.buffer(120, 30), anew.buffer(120, 30), "{pressed}");
        }
    }
}
