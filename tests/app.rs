//! The app driven by keys as a user presses them: `press("j j d", ...)` and what
//! comes of it, without a terminal or a source.

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

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
    desk.press("2 N enter");
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
    assert_eq!(desk.names(), ["web-1-b", "web-1-a"], "on a silent machine, so first");
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
    assert_eq!(desk.names(), ["api-1-bad", "web-1-b"], "and what is on a silent machine");
    desk.press("ctrl-z C");
    assert_eq!(desk.names()[0], "web-1-b", "most CPU first");
    desk.press("N");
    assert_eq!(desk.names(), ["api-1-bad", "api-1-ok", "web-1-a", "web-1-b"]);
    desk.press("O");
    assert_eq!(desk.names()[0], "web-1-b");
    desk.press("S");
    assert_eq!(desk.names()[0], "api-1-bad", "worst first");
    desk.press("S");
    assert_eq!(desk.names()[0], "api-1-bad", "who asks again is not shown the best first");
    desk.press("O");
    assert_eq!(desk.names()[3], "api-1-bad", "the last when it is asked for");
}

#[test]
fn marks_survive_filters_and_are_counted() {
    let mut desk = Desk::new(small_fleet());
    desk.press("3 N space space");
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
    desk.press("3 N G o");
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
        logs.buffer.push_all(0, [(Some(now()), parse_sgr(&format!("line {i} \u{1b}[31mred\u{1b}[0m")))]);
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
fn a_log_line_looks_as_bad_as_it_says_it_is() {
    use quarterdeck::domain::line::parse_sgr;
    use quarterdeck::theme::Role;
    let mut desk = Desk::new(small_fleet());
    desk.press("3 l");
    let lines = [
        "level=info msg=\"served\"",
        "level=error msg=\"refused\"",
        "W0301 03:14:07.123456       1 x.go:1] slow",
        "\u{1b}[32mERROR painted itself\u{1b}[0m",
    ];
    for line in lines {
        log_page(&mut desk).buffer.push_all(0, [(Some(now()), parse_sgr(line))]);
    }
    let theme = quarterdeck::theme::Theme::load("quarterdeck-dark", None).expect("a theme");
    let colour = |role| theme.style(role).fg;
    assert_eq!(style_of(&mut desk, "", "served").fg, colour(Role::Text));
    assert_eq!(style_of(&mut desk, "", "refused").fg, colour(Role::LogError));
    assert_eq!(style_of(&mut desk, "", "slow").fg, colour(Role::LogWarn));
    let own = style_of(&mut desk, "", "painted").fg;
    assert!(own != colour(Role::LogError) && own != colour(Role::Text), "it keeps its own colour: {own:?}");
    // What is looked for is seen in it, too.
    desk.press("/ r e f u s e d enter");
    assert_ne!(style_of(&mut desk, "msg=\"", "refused").fg, colour(Role::LogError));
}

fn log_page(desk: &mut Desk) -> &mut quarterdeck::app::logs::LogState {
    let Some(Page::Logs(logs)) = desk.app.stack.last_mut() else { panic!("no log page") };
    logs
}

#[test]
fn matches_in_logs_are_walked_highlighted_and_counted() {
    use quarterdeck::domain::line::parse_sgr;
    let mut desk = Desk::new(small_fleet());
    desk.press("3 l");
    for i in 0..200 {
        let text = if i % 10 == 7 { format!("line {i} failed") } else { format!("line {i} fine") };
        log_page(&mut desk).buffer.push_all(0, [(Some(now()), parse_sgr(&text))]);
    }
    desk.press("n");
    assert!(desk.frame(120, 30).contains("nothing is looked for"));
    desk.press("/ f a i l enter");
    let shown = desk.frame(120, 30);
    assert!(shown.contains("only lines with fail: 20") && !shown.contains("fine"), "{shown}");
    desk.press("N");
    assert!(desk.frame(120, 30).contains("fail 20/20"), "the last on the screen");
    desk.press("N N");
    assert!(desk.frame(120, 30).contains("fail 18/20"));
    desk.press("n n n");
    assert!(desk.frame(120, 30).contains("fail 1/20"), "around the end");
    // All lines: the match that was gone to stays on the screen, with those around it.
    desk.press("N N &");
    let shown = desk.frame(120, 30);
    assert!(shown.contains("search fail 19/20") && shown.contains("line 187 failed"), "{shown}");
    assert!(shown.contains("line 186 fine") && shown.contains("line 188 fine"), "{shown}");
    desk.press("N N N N N N N N N N");
    let shown = desk.frame(120, 30);
    assert!(shown.contains("search fail 9/20") && shown.contains("line 87 failed"), "{shown}");
    // It looks different from the other matches, also without colours.
    let buffer = desk.buffer(120, 30);
    let style = |line: &str| {
        let shown = quarterdeck::cli::export::text(&buffer);
        let y = shown.lines().position(|l| l.contains(line)).expect(line);
        let x = shown.lines().nth(y).and_then(|l| l.find("fail")).expect(line);
        buffer[(u16::try_from(x).expect("a column"), u16::try_from(y).expect("a row"))].style()
    };
    assert_ne!(style("line 87 failed"), style("line 97 failed"));
    desk.press("&");
    assert!(!desk.frame(120, 30).contains("fine"));
    desk.press("esc");
    assert!(desk.frame(120, 30).contains("fine"), "escape looks for nothing any more");
}

#[test]
fn matches_are_counted_as_lines_come_and_go() {
    use quarterdeck::domain::line::parse_sgr;
    let mut desk = Desk::new(small_fleet());
    desk.press("3 l / x enter");
    let logs = log_page(&mut desk);
    for i in 0..40_000 {
        logs.buffer.push_all(0, [(Some(now()), parse_sgr(if i % 2 == 0 { "x" } else { "y" }))]);
    }
    assert!(logs.buffer.dropped() > 0);
    assert_eq!(logs.buffer.hits(), logs.buffer.lines().iter().filter(|l| l.text() == "x").count());
    logs.set_filter("!x").expect("a filter");
    assert_eq!(logs.buffer.hits(), logs.buffer.lines().iter().filter(|l| l.text() == "y").count());
}

#[test]
fn a_workload_s_log_follows_its_tasks_as_they_come_and_go() {
    let mut desk = Desk::new(small_fleet());
    desk.press("4 j l");
    let at = |secs| now() + chrono::TimeDelta::seconds(secs);
    assert_eq!(desk.app.keep_up_logs(&desk.store, at(1)), [], "nothing has changed");
    desk.add_task("web-2-c", "Running");
    let effects = desk.app.keep_up_logs(&desk.store, at(2));
    let [Effect::MoreLogs { request, from: 2 }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(request.sources[2].label, "web-2-c/app");
    assert_eq!(desk.app.keep_up_logs(&desk.store, at(3)), [], "once");
    assert!(desk.frame(100, 24).contains("-- web-2-c is read from now on --"));
    // A task that is gone is read on for a while, for its last lines.
    let gone = request.sources[0].task.clone();
    desk.remove_task(&gone);
    assert_eq!(desk.app.keep_up_logs(&desk.store, at(4)), []);
    assert_eq!(desk.app.keep_up_logs(&desk.store, at(13)), []);
    let page = log_page(&mut desk).page;
    assert_eq!(desk.app.keep_up_logs(&desk.store, at(14)), [Effect::EndLog { page, source: 0 }]);
    assert_eq!(desk.app.keep_up_logs(&desk.store, at(15)), []);
    let shown = desk.frame(100, 24);
    assert!(shown.contains("-- web-1-a/app: the task is gone --") && shown.contains("2 containers"), "{shown}");
    // Another task of the same name is another source.
    let mut again = support::fleet::task("web-2-c", "web", "node-a", "Running", quarterdeck::domain::Health::Ok);
    again.uid = quarterdeck::domain::Text::new("another");
    desk.put_task(again);
    let effects = desk.app.keep_up_logs(&desk.store, at(16));
    assert!(matches!(&effects[..], [Effect::MoreLogs { from: 3, .. }]), "{effects:?}");
}

#[test]
fn too_many_containers_are_capped_and_the_page_says_so() {
    let mut desk = Desk::new(small_fleet());
    for i in 0..48 {
        desk.add_task(&format!("web-3-{i:02}"), "Running");
    }
    desk.press("4 j");
    let effects = desk.press("l");
    let [Effect::Logs(request)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(request.sources.len(), 40);
    let shown = desk.frame(120, 24);
    assert!(shown.contains("50 containers: 40 are read, the most at once"), "{shown}");
    assert!(shown.contains("40 containers (10 more not read)"), "{shown}");
    // Whoever ends makes room for another.
    let first = request.sources[0].task.clone();
    log_page(&mut desk).has_ended(0, &quarterdeck::domain::Text::new("the pod is gone"), None, true);
    desk.remove_task(&first);
    let effects = desk.app.keep_up_logs(&desk.store, now());
    assert!(matches!(&effects[..], [Effect::MoreLogs { from: 40, .. }]), "{effects:?}");
    assert!(desk.frame(120, 24).contains("40 containers (9 more not read)"));
}

#[test]
fn reading_a_range_again_takes_the_tasks_there_are_now() {
    let mut desk = Desk::new(small_fleet());
    desk.press("4 j l");
    let old = log_page(&mut desk).request.sources[0].task.clone();
    desk.remove_task(&old);
    desk.add_task("web-2-c", "Running");
    let effects = desk.press("3");
    let [Effect::Logs(request)] = &effects[..] else { panic!("{effects:?}") };
    let labels: Vec<_> = request.sources.iter().map(|s| s.label.to_string()).collect();
    assert_eq!(labels, ["web-1-b/app", "web-2-c/app"]);
}

/// The style of the first `text` on the screen after `after`.
fn style_of(desk: &mut Desk, after: &str, text: &str) -> ratatui::style::Style {
    let buffer = desk.buffer(160, 30);
    let shown = quarterdeck::cli::export::text(&buffer);
    for (y, line) in shown.lines().enumerate() {
        let Some(from) = line.find(after) else { continue };
        if let Some(at) = line[from + after.len()..].find(text) {
            let x = line[..from + after.len() + at].chars().count();
            return buffer[(u16::try_from(x).expect("a column"), u16::try_from(y).expect("a row"))].style();
        }
    }
    panic!("no `{text}` after `{after}`:\n{shown}")
}

#[test]
fn thresholds_colour_what_is_used() {
    use quarterdeck::domain::{Threshold, Thresholds};
    let limits = |warn, critical| Threshold { warn, critical };
    let mut desk = Desk::new(small_fleet());
    // node-a: 46 % of its CPU, 64 % of its memory; the whole: 23 % and 32 %.
    for (keys, after, cpu, memory) in
        [("2", "node-a", "46%", "64%"), ("6", "cpu ", "46%", "64%"), ("1", "test ", "23%", "32%")]
    {
        desk.app.settings.thresholds = Thresholds::default();
        desk.press(keys);
        let after_memory = if keys == "6" { "mem " } else { after };
        let calm = (style_of(&mut desk, after, cpu), style_of(&mut desk, after_memory, memory));
        desk.app.settings.thresholds = Thresholds { cpu: limits(20.0, 200.0), memory: limits(10.0, 30.0) };
        let (warned, critical) = (style_of(&mut desk, after, cpu), style_of(&mut desk, after_memory, memory));
        assert_ne!(calm.0, warned, "{keys}: CPU is warned of");
        assert_ne!(calm.1, critical, "{keys}: memory is critical");
        assert_ne!(warned, critical, "{keys}: each by its own limits");
    }
}

#[test]
fn a_log_is_read_from_as_long_ago_as_is_set() {
    use quarterdeck::app::logs::Range;
    let mut desk = Desk::new(small_fleet());
    desk.app.settings.log_since = Some(900);
    desk.press("3");
    let effects = desk.press("l");
    assert!(matches!(&effects[..], [Effect::Logs(r)] if r.range == Range::Since(900)), "{effects:?}");
    let effects = desk.press("0");
    assert!(matches!(&effects[..], [Effect::Logs(r)] if r.range == Range::Tail(200)), "{effects:?}");
}

#[test]
fn a_key_does_not_act_on_a_row_that_came_under_the_cursor_unseen() {
    let notice = |desk: &Desk| desk.app.notice.clone().map(|(_, n)| n.text.to_string()).unwrap_or_default();
    let slips = |keys: &[&str]| {
        let mut desk = Desk::new(small_fleet());
        desk.press("3 j");
        let seen = desk.table().cursor.clone().expect("a row");
        desk.remove_task(&seen);
        // No frame between them.
        for key in keys {
            desk.press_unseen(key);
        }
        (desk, seen)
    };
    // Deleting, and marking what would be deleted then.
    for key in ["ctrl-d", "space", "e"] {
        let (mut desk, seen) = slips(&[key]);
        assert!(desk.app.overlay.is_none() && desk.table().marks.is_empty(), "{key}");
        let why = format!("{} went from under the cursor as you pressed; look, and press again", seen.name);
        assert_eq!(notice(&desk), why, "{key}");
        assert_ne!(desk.table().cursor, Some(seen));
        desk.frame(120, 30);
        desk.press(key);
        assert!(desk.app.overlay.is_some() || desk.table().marks.len() == 1, "{key}: seen, and pressed again");
    }
    let (desk, _) = slips(&["d"]);
    assert!(matches!(desk.app.stack.last(), Some(Page::Text(_))), "looking does no harm");
    let (desk, _) = slips(&["j", "ctrl-d"]);
    assert!(desk.app.overlay.is_none(), "nor is it known where that led");
    assert_eq!(notice(&desk), "the list changed as you pressed; look, and press again");
    // Who types ahead of what is drawn means what comes of it; the plan has its name.
    for keys in ["3 ctrl-d", "3 j / w e b enter ctrl-d", "3 N ctrl-d", "3 d esc ctrl-d"] {
        let mut desk = Desk::new(small_fleet());
        desk.press_unseen(keys);
        assert!(desk.app.overlay.is_some(), "{keys}: {}", notice(&desk));
    }
    // Under the palette a frame shows nothing of it.
    let mut desk = Desk::new(small_fleet());
    desk.press("3 j :");
    let seen = desk.table().cursor.clone().expect("a row");
    desk.remove_task(&seen);
    desk.press("d e l e t e enter");
    assert!(desk.app.overlay.is_none(), "{:?}", desk.app.overlay);
    assert!(notice(&desk).starts_with(seen.name.as_str()), "{}", notice(&desk));
    // What is marked is what it was.
    let mut desk = Desk::new(small_fleet());
    desk.press("3 space j");
    let (seen, marked) = (desk.table().cursor.clone().expect("a row"), desk.table().marks.clone());
    desk.remove_task(&seen);
    desk.press_unseen("ctrl-d");
    assert!(desk.app.overlay.is_some() && !marked.contains(&seen));
}

#[test]
fn a_key_acts_on_the_row_that_was_seen_wherever_it_is_now() {
    let mut desk = Desk::new(small_fleet());
    desk.press("3 N");
    let first = desk.table().cursor.clone().expect("a row");
    assert_eq!(desk.table().cursor_at, 0, "nobody has moved it, so it stays on the first row");
    let mut early = desk.store.tasks.get(&first).expect("a task").clone();
    early.id.name = quarterdeck::domain::Text::new("a-first");
    desk.put_task(early.clone());
    desk.press_unseen("space");
    assert_eq!(desk.table().marks.iter().collect::<Vec<_>>(), [&first]);
    // A look is of what is there.
    let mut desk = Desk::new(small_fleet());
    desk.press("3 N");
    desk.put_task(early.clone());
    assert_eq!(desk.press_unseen("c"), [Effect::Copy("a-first".into())]);
}

#[test]
fn what_is_read_only_has_a_badge_and_the_app_knows() {
    use quarterdeck::domain::{Cluster, Orchestrator, Text};
    use quarterdeck::store::{Body, Feed, Observation, SourceId};
    let mut desk = Desk::new(small_fleet());
    let id = support::fleet::cluster();
    let badge = |desk: &mut Desk| desk.frame(100, 24).lines().next().is_some_and(|l| l.contains(" RO "));
    assert!(!badge(&mut desk) && !desk.app.is_read_only(&desk.store, &id));
    desk.app.settings.read_only = true;
    assert!(badge(&mut desk) && desk.app.is_read_only(&desk.store, &id));
    desk.app.settings.read_only = false;
    let cluster = Cluster {
        id: id.clone(),
        orchestrator: Orchestrator::Kubernetes,
        version: Text::new("v1.34.2"),
        endpoint: Text::new("127.0.0.1:1"),
        production: false,
        providers: Vec::new(),
        read_only: true,
    };
    let source = SourceId { cluster: id.clone(), feed: Feed::Nodes };
    desk.store.apply(Observation { source, at: now(), body: Body::Cluster(cluster) });
    assert!(badge(&mut desk) && desk.app.is_read_only(&desk.store, &id));
    assert!(desk.frame(100, 24).contains("test RO"), "on its line of the overview, too");
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
fn an_alarm_on_what_is_wrong_already_is_on_its_line() {
    let mut desk = Desk::new(mixed_fleet());
    desk.press("1");
    desk.type_filter("kind=alarm");
    assert_eq!(desk.names(), [] as [&str; 0]);
    desk.type_filter("name=web kind=service");
    assert_eq!(desk.names(), ["web"]);
    let frame = desk.frame(160, 30);
    assert!(frame.contains("+1 alarm") && frame.contains("✖ 1 alarm"), "{frame}");
    desk.press("v");
    assert!(desk.frame(160, 60).contains("web-5xx-high"), "the details name it");
    desk.press("v enter");
    assert_eq!(desk.kind(), ViewKind::Tasks);
    desk.press("7 y");
    assert!(desk.frame(120, 30).contains("objects of this kind cannot be read here"));
    desk.press("o");
    assert_eq!(desk.kind(), ViewKind::Workloads);
    assert_eq!(desk.names()[desk.table().cursor_at], "web");
}

#[test]
fn a_notice_goes_with_the_next_key_and_a_key_that_does_nothing_says_so() {
    let mut desk = Desk::new(small_fleet());
    desk.press("3 c");
    assert!(desk.app.notice.is_some(), "copied");
    desk.press("2");
    assert!(desk.app.notice.is_none(), "another view");
    desk.press("f7");
    let frame = desk.frame(100, 24);
    assert!(frame.contains("nothing is bound to f7 here; ? shows every key"), "{frame}");
    desk.press("j");
    assert!(desk.app.notice.is_none());
}

#[test]
fn long_log_lines_say_that_they_go_on_and_labels_are_short() {
    use quarterdeck::domain::line::parse_sgr;
    let mut desk = Desk::new(small_fleet());
    desk.press("4 j l");
    let text = format!("a request took {}the end", "rather long ".repeat(12));
    for source in 0..2 {
        log_page(&mut desk).buffer.push_all(source, [(Some(now()), parse_sgr(&text))]);
    }
    let shown = desk.frame(80, 24);
    let line = shown.lines().find(|l| l.contains("a request")).expect("a line");
    assert!(line.starts_with(" a a request") && line.trim_end().ends_with('…'), "{shown}");
    assert!(shown.contains("last 200 of each") && shown.contains("right: more"), "{shown}");
    desk.press("w");
    let shown = desk.frame(80, 24);
    assert!(shown.contains("the end") && !shown.contains('…') && !shown.contains("right: more"), "{shown}");
    // Words stay whole.
    for line in shown.lines().filter(|l| l.contains("long")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert!(words.iter().all(|w| "a b request took rather long the end".split(' ').any(|k| k == *w)), "{line}");
    }
}
