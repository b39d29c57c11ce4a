//! The app driven by keys as a user presses them: `press("j j d", ...)` and what
//! comes of it, without a terminal or a source.

mod support;

use quarterdeck::app::table::{Scope, ViewKind};
use quarterdeck::app::text::TextKind;
use quarterdeck::app::{Effect, Page};
use quarterdeck::domain::Kind;
use support::fleet::{Desk, now, small_fleet};
use support::mixed::mixed_fleet;

#[test]
fn digits_open_views_and_brackets_walk_through_them() {
    let mut desk = Desk::new(small_fleet());
    assert_eq!(desk.kind(), ViewKind::Overview);
    desk.press("3");
    assert_eq!(desk.kind(), ViewKind::Tasks);
    desk.press("j j 2");
    assert_eq!(desk.kind(), ViewKind::Nodes);
    desk.press("[");
    assert_eq!(desk.kind(), ViewKind::Tasks);
    assert_eq!(desk.table().cursor_at, 2, "a view keeps its position");
    desk.press("]");
    assert_eq!(desk.kind(), ViewKind::Nodes);
}

#[test]
fn drilling_down_and_back_keeps_the_position() {
    let mut desk = Desk::new(small_fleet());
    desk.press("4 j");
    let before = desk.table().cursor.clone().expect("a row");
    desk.press("enter");
    assert_eq!(desk.kind(), ViewKind::Tasks);
    assert!(matches!(&desk.table().scope, Scope::Workload(id) if *id == before));
    desk.press("esc");
    assert_eq!(desk.kind(), ViewKind::Workloads);
    assert_eq!(desk.table().cursor.as_ref(), Some(&before));
}

#[test]
fn a_node_opens_its_own_tasks_only() {
    let mut desk = Desk::new(small_fleet());
    desk.press("2 enter");
    let names = desk.names();
    assert!(!names.is_empty());
    for name in names {
        let task = desk.store.tasks.rows().find(|t| t.id.name == name.as_str()).expect("a task");
        assert_eq!(task.node, "node-a");
    }
}

#[test]
fn filters_apply_as_they_are_typed_and_escape_takes_them_back() {
    let mut desk = Desk::new(small_fleet());
    desk.press("3");
    let all = desk.names().len();
    desk.press("/ a p i");
    assert!(desk.names().iter().all(|n| n.contains("api")) && desk.names().len() < all);
    desk.press("enter");
    assert!(desk.app.prompt.is_none());
    desk.press("esc");
    assert_eq!(desk.names().len(), all);
    desk.type_filter("status=CrashLoop*");
    assert_eq!(desk.names(), ["api-1-bad"]);
    desk.type_filter("!api -l tier=web");
    assert_eq!(desk.names(), ["web-1-a", "web-1-b"]);
    desk.type_filter("restarts>=5");
    assert_eq!(desk.names(), ["api-1-bad"]);
    desk.type_filter("age<30m");
    assert_eq!(desk.names(), ["api-1-bad"]);
    desk.type_filter("cpu>80%");
    assert_eq!(desk.names(), ["web-1-b"]);
}

#[test]
fn a_filter_that_makes_no_sense_says_so_and_stays_open() {
    let mut desk = Desk::new(small_fleet());
    desk.press("3 / c o l o r = r e d enter");
    let prompt = desk.app.prompt.as_ref().expect("still open");
    assert!(prompt.error.as_deref().is_some_and(|e| e.contains("no column `color`")), "{:?}", prompt.error);
    desk.press("esc");
    assert_eq!(desk.names().len(), 4, "escape restores what was in force before");
}

#[test]
fn problems_only_and_sorting() {
    let mut desk = Desk::new(small_fleet());
    desk.press("3 ctrl-z");
    assert_eq!(desk.names(), ["api-1-bad"]);
    desk.press("ctrl-z C");
    assert_eq!(desk.names()[0], "web-1-b", "most CPU first");
    desk.press("N");
    assert_eq!(desk.names(), ["api-1-bad", "api-1-ok", "web-1-a", "web-1-b"]);
    desk.press("O");
    assert_eq!(desk.names()[0], "web-1-b");
    desk.press("S");
    assert_eq!(desk.names()[0], "api-1-bad", "worst first");
}

#[test]
fn marks_survive_filters_and_are_counted() {
    let mut desk = Desk::new(small_fleet());
    desk.press("3 space space");
    assert_eq!(desk.table().marks.len(), 2);
    desk.type_filter("web");
    assert_eq!(desk.table().marks.len(), 2);
    assert!(desk.frame(100, 20).contains("2 marked, 2 of them hidden"));
    desk.press("ctrl-\\");
    assert!(desk.table().marks.is_empty());
    desk.press("esc g space G ctrl-space");
    assert_eq!(desk.table().marks.len(), 4, "a range");
}

#[test]
fn keys_ask_for_what_they_say() {
    let mut desk = Desk::new(small_fleet());
    desk.press("3");
    let effects = desk.press("d");
    assert!(matches!(&effects[..], [Effect::Fetch { kind: TextKind::Describe, id, .. }] if id.name == "api-1-bad"));
    desk.press("esc");
    let effects = desk.press("y");
    assert!(matches!(&effects[..], [Effect::Fetch { kind: TextKind::Yaml, .. }]));
    desk.press("esc");
    assert_eq!(desk.press("c"), [Effect::Copy("api-1-bad".into())]);
    assert_eq!(desk.press("n"), [Effect::Copy("test/shop/api-1-bad".into())]);
    let effects = desk.press("l");
    assert!(matches!(&effects[..], [Effect::Logs(r)] if r.sources.len() == 1));
    let effects = desk.press("esc");
    assert!(matches!(&effects[..], [Effect::StopLogs(_)]), "nobody reads on: {effects:?}");
    assert_eq!(desk.press("ctrl-r"), [Effect::Refresh]);
    assert_eq!(desk.press("q"), [Effect::Quit]);
}

#[test]
fn a_workload_s_logs_read_all_its_tasks() {
    let mut desk = Desk::new(small_fleet());
    desk.press("4 j");
    let effects = desk.press("l");
    let [Effect::Logs(request)] = &effects[..] else { panic!("{effects:?}") };
    let labels: Vec<_> = request.sources.iter().map(|s| s.label.to_string()).collect();
    assert_eq!(labels, ["web-1-a/app", "web-1-b/app"]);
}

#[test]
fn going_to_node_and_owner() {
    let mut desk = Desk::new(small_fleet());
    desk.press("3 G o");
    assert_eq!(desk.kind(), ViewKind::Nodes);
    assert_eq!(desk.names()[desk.table().cursor_at], "node-b");
    desk.press("esc J");
    assert_eq!(desk.kind(), ViewKind::Workloads);
    assert_eq!(desk.names()[desk.table().cursor_at], "web");
}

#[test]
fn the_palette_finds_views_by_the_names_people_bring() {
    let mut desk = Desk::new(small_fleet());
    desk.press(": p o d s enter");
    assert_eq!(desk.kind(), ViewKind::Tasks);
    desk.press(": d e p l o y enter");
    assert_eq!(desk.kind(), ViewKind::Workloads);
    let effects = desk.press(": q u i t enter");
    assert_eq!(effects, [Effect::Quit]);
}

#[test]
fn an_unfinished_sequence_shows_what_can_follow() {
    let mut desk = Desk::new(small_fleet());
    desk.press("ctrl-x");
    assert!(desk.frame(80, 24).contains("Suspend the console"));
    assert_eq!(desk.press("z"), [Effect::Suspend]);
    desk.press("ctrl-x j");
    assert!(desk.frame(80, 24).contains("nothing is bound to ctrl-x j"));
}

#[test]
fn the_cursor_stays_on_its_object_when_rows_move() {
    let mut desk = Desk::new(small_fleet());
    desk.press("3 j j");
    let id = desk.table().cursor.clone().expect("a row");
    desk.add_task("aaa-first", "Running");
    desk.arrange();
    assert_eq!(desk.table().cursor.as_ref(), Some(&id));
    assert_eq!(desk.table().cursor_at, 3);
    desk.remove_task(&id);
    desk.arrange();
    assert_eq!(desk.table().cursor_at, 3, "the row now in its place");
}

#[test]
fn pasted_text_runs_no_commands() {
    let mut desk = Desk::new(small_fleet());
    desk.app.paste("q3\u{1b}[31m\nq");
    assert!(desk.app.prompt.is_none() && desk.kind() == ViewKind::Overview);
    desk.press("3 /");
    desk.app.paste("we\u{1b}[31mb\nq");
    assert_eq!(desk.app.prompt.as_ref().map(|p| p.input.value().to_owned()), Some("web".into()));
}

#[test]
fn logs_follow_hold_and_filter() {
    use quarterdeck::domain::line::parse_sgr;
    let mut desk = Desk::new(small_fleet());
    desk.press("3 l");
    let Some(Page::Logs(logs)) = desk.app.stack.last_mut() else { panic!("no log page") };
    for i in 0..200 {
        logs.buffer.push(Some(now()), 0, parse_sgr(&format!("line {i} \u{1b}[31mred\u{1b}[0m")), false);
    }
    assert!(desk.frame(80, 24).contains("line 199 red"));
    desk.press("k k");
    let held = desk.frame(80, 24);
    assert!(held.contains("holding") && held.contains("line 197 red") && !held.contains("line 198"), "{held}");
    desk.press("g");
    assert!(desk.frame(80, 24).contains("line 0 red"));
    desk.press("G / 1 5 enter");
    let shown = desk.frame(80, 24);
    assert!(shown.contains("line 159 red") && shown.contains("line 15 red") && !shown.contains("line 160"), "{shown}");
}

#[test]
fn the_map_is_walked_in_two_dimensions() {
    let mut store = small_fleet();
    let node = store.nodes.rows().next().expect("a node").clone();
    let nodes = (0..11).map(|i| {
        let mut node = node.clone();
        node.id.name = quarterdeck::domain::Text::new(&format!("node-{i:02}"));
        node
    });
    support::fleet::observe(
        &mut store,
        quarterdeck::store::Feed::Nodes,
        quarterdeck::store::Rows::Nodes(nodes.collect()),
    );
    let mut desk = Desk::new(store);
    desk.press("6");
    desk.buffer(100, 40);
    assert_eq!(desk.table().columns, 5);
    let mut at = |keys: &str| {
        desk.press(keys);
        desk.table().cursor_at
    };
    assert_eq!(at("right right"), 2);
    assert_eq!(at("j"), 7);
    assert_eq!(at("j"), 7, "there is no third row below this column");
    assert_eq!(at("left"), 6);
    assert_eq!(at("k"), 1);
    assert_eq!(at("k"), 1);
    assert_eq!(at("G"), 10);
    assert_eq!(at("g g"), 0);
}

#[test]
fn what_ecs_runs_is_asked_about_while_it_is_on_screen() {
    let mut desk = Desk::new(mixed_fleet());
    desk.press("3");
    desk.arrange();
    let shown = desk.app.shown(&desk.store);
    let of = |kind| shown.iter().filter(|id| id.kind == kind).map(|id| id.name.as_str()).collect::<Vec<_>>();
    // Neither pods, which have a metrics server, nor what has stopped.
    let running = ["web/0a11", "web/1b22", "web/3d44"];
    let tasks = of(Kind::Task);
    assert_eq!(tasks.len(), running.len(), "{tasks:?}");
    assert!(tasks.iter().zip(running).all(|(task, start)| task.starts_with(start)), "{tasks:?}");
    assert!(shown.iter().all(|id| id.cluster.as_str() == "shop-ecs"));
    desk.press("4");
    desk.arrange();
    let services: Vec<String> = desk.app.shown(&desk.store).iter().map(|id| id.name.to_string()).collect();
    assert_eq!(services, ["cart", "web"]);
}

#[test]
fn an_alarm_leads_to_the_tasks_of_what_it_is_about() {
    let mut desk = Desk::new(mixed_fleet());
    desk.press("1");
    desk.type_filter("kind=alarm");
    assert_eq!(desk.names(), ["web-5xx-high"]);
    desk.press("d");
    assert!(desk.frame(120, 30).contains("objects of this kind cannot be read here"));
    desk.press("enter");
    assert_eq!(desk.kind(), ViewKind::Tasks);
    assert!(desk.names().iter().all(|name| name.starts_with("web/")), "{:?}", desk.names());
}
