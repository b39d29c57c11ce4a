//! Runbooks: read, matched, rendered, and their steps carried out, by keys.

#![expect(clippy::panic, clippy::expect_used, reason = "helpers of tests fail as tests do")]

mod support;
#[cfg(feature = "prometheus")]
#[path = "common/web.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod web;

use std::sync::Arc;

use chrono::TimeDelta;
use quarterdeck::action::{Judged, Policy, Verb};
use quarterdeck::app::overlay::Overlay;
use quarterdeck::app::table::ViewKind;
use quarterdeck::app::{Effect, Page};
use quarterdeck::domain::text::is_unsafe;
use quarterdeck::domain::{Alarm, AlarmMore, AlarmSource, AlarmState, Kind, Labels, ObjectId, Severity, Text};
use quarterdeck::runbook::fill;
use quarterdeck::runbook::render::{Look, What, render};
use quarterdeck::runbook::{Library, Origin, Runbook, StepKind, Subject};
use quarterdeck::store::{Feed, Rows, Store};
use support::fleet::{Desk, id, now, observe, small_fleet};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(k, v)| (Text::new(k), Text::new(v))).collect()
}

fn alarm(name: &str, about: Option<ObjectId>, runbook: &str) -> Alarm {
    Alarm {
        id: id(Kind::Alarm, "", name),
        uid: Text::new(name),
        account_wide: false,
        source: AlarmSource::Prometheus,
        state: AlarmState::Firing,
        severity: Severity::Critical,
        since: Some(now() - TimeDelta::minutes(6)),
        summary: Text::new("What it is for."),
        reason: Text::empty(),
        value: None,
        threshold: None,
        labels: labels(&[("alertname", name), ("host", "shop.example.com")]),
        about,
        suppressed_by: Text::empty(),
        runbook: Text::new(runbook),
        more: AlarmMore::default(),
    }
}

fn alarmed(alarms: Vec<Alarm>) -> Store {
    let mut store = small_fleet();
    observe(&mut store, Feed::Alarms, Rows::Alarms(alarms));
    store
}

fn bad_task() -> ObjectId {
    id(Kind::Task, "shop", "api-1-bad")
}

fn said(desk: &Desk) -> String {
    desk.app.notice.as_ref().map(|(_, n)| n.text.to_string()).unwrap_or_default()
}

fn top(desk: &Desk) -> &str {
    match desk.app.page() {
        Some(Page::Text(t)) => t.runbook.as_ref().map_or("no runbook", |o| o.book.name.as_str()),
        _ => "no text",
    }
}

fn book(text: &str) -> Runbook {
    Runbook::parse("test", Origin::File("test.md".into()), text)
}

/// A desk with one runbook, opened for the task that crashes.
fn reading(text: &str, origin: Origin) -> Desk {
    let mut desk = Desk::new(small_fleet());
    desk.press("3");
    desk.type_filter("api-1-bad");
    let subject = desk.app.subject(&desk.store, desk.now);
    desk.app.open_runbook(Arc::new(Runbook::parse("test", origin, text)), subject, desk.now);
    desk.frame(120, 30);
    desk
}

fn choose(desk: &mut Desk, wanted: impl Fn(&What) -> bool) {
    let Some(Page::Text(text)) = desk.app.stack.last_mut() else { panic!("a runbook") };
    let opened = text.runbook.as_mut().expect("a runbook");
    opened.cursor = opened.items.iter().position(|i| wanted(&i.what)).expect("such an item");
}

#[test]
fn what_ships_is_without_mistakes_and_each_has_a_key_of_its_own() {
    let library = Library::shipped();
    assert_eq!(library.books.len(), 10);
    let mut desk = Desk::new(small_fleet());
    for book in &library.books {
        let wrong: Vec<_> = book.mistakes.iter().map(|m| (m.place(&book.text), m.what.clone())).collect();
        assert!(wrong.is_empty(), "{}: {wrong:?}", book.name);
        assert!(book.steps.len() >= 3, "{} has {} steps", book.name, book.steps.len());
        let [key] = &book.front.keys[..] else { panic!("{} has no key", book.name) };
        desk.press("3");
        desk.press(&format!(", {key}"));
        assert_eq!(top(&desk), book.name.as_str(), ", {key}: {}", said(&desk));
        assert!(book.markdown().contains("- [ ]"), "{} has nothing to tick", book.name);
    }
}

#[test]
fn every_step_of_what_ships_leads_somewhere() {
    let mut seen = Vec::new();
    for book in &Library::shipped().books {
        for number in 0..book.steps.len() {
            let mut desk = Desk::new(alarmed(vec![alarm("Something", Some(bad_task()), "")]));
            desk.press("7");
            let subject = desk.app.subject(&desk.store, desk.now);
            assert_eq!(subject.id().map(|i| i.kind), Some(Kind::Alarm));
            desk.app.open_runbook(Arc::clone(book), subject, desk.now);
            desk.frame(120, 30);
            choose(&mut desk, |what| *what == What::Step(number));
            let effects = desk.press("enter");
            let step = &book.steps[number];
            let what = format!("{} step {}: {}", book.name, number + 1, step.title);
            assert!(desk.app.notice.as_ref().is_none_or(|(_, n)| !n.is_error), "{what}: {}", said(&desk));
            match step.kind.as_ref().expect(&what) {
                StepKind::View { view, .. } => {
                    assert_eq!(desk.kind(), ViewKind::from_name(view).expect(view), "{what}");
                    seen.push("view");
                }
                StepKind::Logs { .. } => {
                    assert!(matches!(effects[..], [Effect::Logs(_)]), "{what}: {effects:?}");
                    seen.push("logs");
                }
                StepKind::Describe(_) => {
                    assert!(matches!(effects[..], [Effect::Fetch { .. }]), "{what}: {effects:?}");
                    seen.push("describe");
                }
                StepKind::Events(_) => {
                    assert_eq!(desk.kind(), ViewKind::Events, "{what}");
                    seen.push("events");
                }
                StepKind::Act { verb: Verb::Scale, .. } => {
                    // How many is asked for first.
                    let effects = desk.press("5 enter");
                    assert!(
                        matches!(&effects[..], [Effect::Plan { intent, .. }] if intent.options.replicas == Some(5))
                    );
                }
                StepKind::Act { verb, .. } => {
                    let [Effect::Plan { intent, .. }] = &effects[..] else { panic!("{what}: {effects:?}") };
                    assert_eq!(intent.verb, *verb);
                    seen.push(verb.name());
                }
                StepKind::Run(_) => {
                    let [Effect::Plan { intent, .. }] = &effects[..] else { panic!("{what}: {effects:?}") };
                    assert_eq!(intent.options.command[3], "shop.example.com:443");
                    seen.push("run");
                }
            }
        }
    }
    for kind in ["view", "logs", "describe", "events", "drain", "cordon", "restart", "roll-back", "run"] {
        assert!(seen.contains(&kind), "no {kind} among what ships");
    }
}

#[test]
fn the_one_that_fits_opens() {
    let mut store = small_fleet();
    let about = Some(id(Kind::Deployment, "shop", "api"));
    observe(&mut store, Feed::Alarms, Rows::Alarms(vec![alarm("ErrorBudgetBurn", about, "")]));
    for (keys, want) in
        [("3 j , b", "crash-loop"), ("4 , b", "crash-loop"), ("2 , b", "node-not-ready"), ("7 , b", "budget-burn")]
    {
        let mut desk = Desk::new(small_fleet());
        desk.store = std::mem::take(&mut store);
        if keys.starts_with('3') {
            desk.press("3");
            desk.type_filter("api-1-bad");
            desk.press(", b");
        } else {
            desk.press(keys);
        }
        assert_eq!(top(&desk), want, "{keys}: {}", said(&desk));
        store = desk.store;
    }
    let mut desk = Desk::new(store);
    desk.press("3");
    desk.type_filter("web-1-a");
    assert_eq!(desk.press(", b"), []);
    assert!(said(&desk).contains("no runbook is for task web-1-a"), "{}", said(&desk));
}

#[test]
fn a_file_goes_before_what_ships_and_an_exact_name_before_a_pattern() {
    let dir = tempfile::tempdir().expect("a directory");
    let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("written");
    put("mine.md", "---\nfor:\n  alarms: KubePod*\n---\n# Mine\n");
    put("exact.md", "---\nfor:\n  alarms: [KubePodCrashLooping]\n---\n");
    put("team.md", "---\nfor:\n  labels: {team: \"pay*\"}\nkeys: [x, b, c]\n---\n# Team\n");
    put("crash-loop.md", "# Replaced\n");
    put("notes.txt", "no runbook");
    std::fs::write(dir.path().join("latin.md"), b"# caf\xe9").expect("written");
    let library = Library::load(&[dir.path().to_owned(), "/nowhere/at/all".into()]);
    let mut subject = Subject { alarms: vec![Text::new("KubePodCrashLooping")], ..Subject::default() };
    let names: Vec<_> = library.rank(&subject).into_iter().map(|(_, b)| b.name.to_string()).collect();
    assert_eq!(names, ["exact", "mine"]);
    subject.alarms.clear();
    subject.labels = vec![(Text::new("team"), Text::new("payments"))];
    assert_eq!(library.best(&subject).map(|b| b.title.to_string()), Some("Team".to_owned()));
    assert_eq!(library.get("crash-loop").map(|b| b.title.to_string()), Some("Replaced".to_owned()));
    assert!(library.unread.iter().any(|w| w.contains("latin.md") && w.contains("UTF-8")), "{:?}", library.unread);
    let mut desk = Desk::new(small_fleet());
    desk.app = quarterdeck::app::App::new(desk.app.settings.clone(), quarterdeck::keymap::Keymap::embedded_default());
    desk.app.set_runbooks(library);
    desk.press("3 , x");
    assert_eq!(top(&desk), "team", "{}", said(&desk));
    desk.press("esc , c");
    assert_eq!(top(&desk), "team", "the user's own key goes before that of what ships");
    let unread = &desk.app.runbooks.library.unread;
    assert!(
        unread.iter().any(|w| w.contains("key b") && w.contains("open-runbook")),
        "a command's key stays: {unread:?}"
    );
}

#[test]
fn which_key_and_the_picker_show_what_there_is() {
    let mut desk =
        Desk::new(alarmed(vec![alarm("NobodyKnows", None, ""), alarm("Linked", None, "https://r.example/x")]));
    desk.press("7");
    let frame = desk.frame(120, 30);
    assert!(frame.contains("1 alarm has no runbook"), "{frame}");
    desk.press(",");
    let frame = desk.frame(120, 40);
    assert!(frame.contains("Crash loop") && frame.contains("Open the runbook that fits"), "{frame}");
    desk.press(",");
    let frame = desk.frame(120, 30);
    assert!(frame.contains("runbooks") && frame.contains("1 alarm has no runbook"), "{frame}");
    desk.press("s p o t enter");
    assert_eq!(top(&desk), "spot-storm");
}

#[test]
fn alarms_that_nobody_wrote_a_runbook_for_are_counted() {
    let unknown = |n: usize| alarm(&format!("NobodyKnows{n}"), None, "");
    let mut alarms: Vec<_> = (0..14).map(unknown).collect();
    // None of these: one has a runbook, one a link, one does not fire.
    alarms.push(alarm("KubePodCrashLooping", None, ""));
    alarms.push(alarm("Linked", None, "https://r.example/x"));
    alarms.push(Alarm { state: AlarmState::Ok, ..unknown(14) });
    let mut desk = Desk::new(alarmed(alarms.clone()));
    desk.press("7");
    for (width, height) in [(80, 24), (120, 30)] {
        let frame = desk.frame(width, height);
        assert!(frame.contains("14 alarms have no runbook"), "{frame}");
    }
    desk.press(", ,");
    let frame = desk.frame(120, 30);
    assert!(frame.contains("14 alarms have no runbook"), "{frame}");
    // Fewer fire, and somebody writes a runbook.
    desk.press("esc");
    alarms.drain(..3);
    observe(&mut desk.store, Feed::Alarms, Rows::Alarms(alarms));
    assert!(desk.frame(120, 30).contains("11 alarms have no runbook"), "{}", desk.frame(120, 30));
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("ours.md"), "---\nfor:\n  alarms: \"NobodyKnows*\"\n---\n# Ours\n")
        .expect("written");
    desk.app.set_runbooks(Library::load(&[dir.path().to_owned()]));
    assert!(!desk.frame(120, 30).contains("no runbook"), "{}", desk.frame(120, 30));
}

#[test]
fn an_alarm_s_link_is_copied_or_fetched_where_that_is_allowed() {
    let url = "https://raw.example.com/books/disk.md";
    let mut desk = Desk::new(alarmed(vec![alarm("DiskFull", None, url)]));
    assert_eq!(desk.press("7 , b"), [Effect::Copy(url.to_owned())]);
    assert!(said(&desk).contains(url));
    desk.app.runbooks.fetch = vec!["https://raw.example.com/books/".to_owned()];
    let effects = desk.press(", b");
    let [Effect::FetchRunbook { page, url: asked }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((asked.as_str(), top(&desk)), (url, "disk"));
    assert!(desk.frame(80, 24).contains("loading"));
    desk.app.runbook_fetched(*page, Err(Text::new("there is no such page: 404")));
    let frame = desk.frame(80, 24);
    assert!(frame.contains("404") && frame.contains("ctrl-r"), "{frame}");
    let effects = desk.press("ctrl-r");
    assert!(effects.iter().any(|e| matches!(e, Effect::FetchRunbook { .. })), "{effects:?}");
    let text = "# Disk\n\n```step run Clean up\nargv = [\"rm\", \"-rf\", \"/\"]\n```\n\n```step drain\n```\n";
    desk.app.runbook_fetched(*page, Ok(text.to_owned()));
    let frame = desk.frame(80, 24);
    assert!(frame.contains("Clean up") && frame.contains("never run"), "{frame}");
    assert_eq!(desk.press("enter"), [], "a command of somebody else's is never run");
    assert!(said(&desk).contains("never run") && desk.app.overlay.is_none(), "{}", said(&desk));
}

#[test]
fn ticks_are_kept_for_the_incident() {
    let mut desk = Desk::new(alarmed(vec![alarm("KubePodCrashLooping", None, "")]));
    desk.press("7 , b");
    choose(&mut desk, |what| matches!(what, What::Check(_)));
    let effects = desk.press("space");
    let [Effect::KeepProgress(json)] = &effects[..] else { panic!("{effects:?}") };
    assert!(json.contains("crash-loop") && json.contains("KubePodCrashLooping since 2026-03-01T03:08:00Z"), "{json}");
    assert!(desk.frame(120, 60).contains("[✔]"), "{}", desk.frame(120, 60));
    desk.press("esc , b");
    assert!(desk.frame(120, 60).contains("[✔]"), "it is there when one comes back");
    // The same alarm fires anew: another incident.
    let mut again = alarm("KubePodCrashLooping", None, "");
    again.since = Some(now());
    desk.press("esc");
    observe(&mut desk.store, Feed::Alarms, Rows::Alarms(vec![again]));
    desk.press("7 , b");
    assert!(!desk.frame(120, 60).contains("[✔]"));
}

#[test]
fn tab_goes_from_step_to_step_and_shows_it() {
    let mut desk = Desk::new(small_fleet());
    desk.press("3");
    desk.type_filter("api-1-bad");
    desk.press(", c");
    let at = |desk: &Desk| match desk.app.page() {
        Some(Page::Text(t)) => {
            let o = t.runbook.as_ref().expect("a runbook");
            let item = o.item().expect("an item").clone();
            let seen = t.scroll <= item.from && item.from < t.scroll + t.height;
            (o.cursor, seen)
        }
        _ => panic!("a runbook"),
    };
    assert_eq!(at(&desk).0, 0);
    for n in 1..12 {
        desk.press("tab");
        assert_eq!(at(&desk), (n, true), "after {n}");
    }
    desk.press("p shift-tab");
    assert_eq!(at(&desk), (9, true));
    // Who has scrolled away goes on from where one looks.
    desk.press("g");
    desk.press("n");
    assert_eq!(at(&desk), (0, true));
}

#[test]
fn links_go_round_in_circles_without_an_end() {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, to) in [("a.md", "b.md"), ("b.md", "./a.md#part")] {
        std::fs::write(dir.path().join(name), format!("# {name}\n\nSee [the other]({to}).\n")).expect("written");
    }
    let mut desk = Desk::new(small_fleet());
    desk.app.set_runbooks(Library::load(&[dir.path().to_owned()]));
    desk.press("3");
    desk.app.open_named("a", &desk.store, desk.now);
    desk.frame(80, 24);
    for n in 0..20 {
        desk.press("enter");
        assert_eq!(top(&desk), if n % 2 == 0 { "b" } else { "a" });
    }
    assert!(desk.app.stack.len() <= 3, "{}", desk.app.stack.len());
    let mut desk = reading("[out](https://example.com/x)\n", Origin::Shipped);
    assert_eq!(desk.press("enter"), [Effect::Copy("https://example.com/x".to_owned())]);
}

#[test]
fn a_read_only_console_shows_and_never_runs() {
    for keys in ["3 , n", "3 , t"] {
        let mut desk = Desk::new(alarmed(vec![alarm("X", Some(bad_task()), "")]));
        desk.app.settings.read_only = true;
        desk.press("7");
        desk.press(&keys[2..]);
        let Some(Page::Text(t)) = desk.app.page() else { panic!("a runbook") };
        let opened = t.runbook.as_ref().expect("a runbook");
        let steps = opened.book.steps.clone();
        for (n, step) in steps.iter().enumerate() {
            if !matches!(step.kind, Ok(StepKind::Act { .. } | StepKind::Run(_))) {
                continue;
            }
            choose(&mut desk, |what| *what == What::Step(n));
            assert_eq!(desk.press("enter"), [], "{keys} {n}");
            assert!(said(&desk).starts_with("read-only: "), "{}", said(&desk));
            assert!(desk.app.overlay.is_none());
        }
    }
}

const HOSTILE: [&str; 12] = [
    "a'b",
    "a\"b",
    "$(touch /tmp/x)",
    "`touch /tmp/x`",
    "a;b",
    "a|b",
    "a&b",
    "a b",
    "a*b",
    "a\nb",
    "{name}",
    "../../x",
];

/// A command that hands on the name and a label.
const ECHO: &str = "```step run\nargv = [\"echo\", \"--name={n}\", \"--\", \"{n}\", \"x{l}y\"]\n[params]\nn = \"name\"\nl = \"label.app\"\n[env]\nNAME = \"<{n}>\"\n```\n";

fn named(name: &str) -> Subject {
    let label = (Text::new("app"), Text::new(name));
    Subject { ids: vec![id(Kind::Task, "shop", name)], labels: vec![label], ..Subject::default() }
}

#[test]
fn whatever_is_selected_stays_one_argument() {
    let book = book(ECHO);
    assert_eq!(book.mistakes, []);
    let kind = book.steps[0].kind.as_ref().expect("a step");
    for name in HOSTILE.iter().chain(&["--all", "-rf"]) {
        let clean = Text::new(name);
        let intent = kind.intent(&named(name)).expect(name).expect("it runs something");
        let want = vec![
            "echo".to_owned(),
            format!("--name={clean}"),
            "--".to_owned(),
            clean.to_string(),
            format!("x{clean}y"),
        ];
        assert_eq!(intent.options.command, want, "{name:?}");
        assert_eq!(intent.options.env, [("NAME".to_owned(), format!("<{clean}>"))]);
    }
}

#[test]
fn what_would_be_an_option_or_a_file_is_refused() {
    let command = |argv: &str| {
        let text = format!("```step run\nargv = {argv}\nparams = {{ n = \"name\" }}\n```\n");
        let book = book(&text);
        assert_eq!(book.mistakes, [], "{argv}");
        let kind = book.steps.into_iter().next().expect("a step").kind.expect("a step");
        move |name: &str| kind.intent(&named(name)).map(|i| i.expect("an intent").options.command)
    };
    let bare = command("[\"kubectl\", \"get\", \"pod\", \"{n}\"]");
    assert!(bare("web").is_ok());
    for name in ["--all", "-A", "-"] {
        let why = bare(name).expect_err(name);
        assert!(why.contains("would be read as an option") && why.contains("--"), "{why}");
    }
    assert!(bare("@/etc/passwd").expect_err("a file").contains("begins with @"));
    let apart = command("[\"kubectl\", \"get\", \"pod\", \"--\", \"{n}\"]");
    assert_eq!(apart("--all").expect("after --"), ["kubectl", "get", "pod", "--", "--all"]);
    let joined = command("[\"kubectl\", \"get\", \"--selector=app={n}\"]");
    assert!(joined("--all").is_ok());
    let form =
        book("```step run\nargv = [\"x\", \"{n}\"]\n[params]\nn = { from = \"name\", matches = \"[a-z-]+\" }\n```\n");
    let kind = form.steps[0].kind.as_ref().expect("a step");
    assert!(kind.intent(&named("web-1")).expect_err("a digit").contains("not of the form"));
    assert!(kind.intent(&named("web")).is_ok());
    assert!(kind.intent(&Subject::default()).is_err(), "nothing is selected");
}

#[test]
fn nothing_is_filled_into_what_another_program_runs() {
    for argv in [
        "[\"sh\", \"-c\", \"echo {n}\"]",
        "[\"bash\", \"-lc\", \"{n}\"]",
        "[\"/bin/bash\", \"-c\", \"x; {n}\"]",
        "[\"env\", \"A=b\", \"sh\", \"-c\", \"{n}\"]",
        "[\"sudo\", \"-u\", \"x\", \"sh\", \"-c\", \"{n}\"]",
        "[\"python3\", \"-c\", \"print('{n}')\"]",
        "[\"perl\", \"-e{n}\"]",
        "[\"node\", \"--eval\", \"{n}\"]",
        "[\"ssh\", \"host\", \"uptime {n}\"]",
        "[\"ssh\", \"{n}\"]",
        "[\"watch\", \"kubectl\", \"{n}\"]",
        "[\"xargs\", \"{n}\"]",
        "[\"sh\", \"{n}\"]",
        "[\"{n}\"]",
        "[\"./run\", \"x\"]",
        "[]",
        "[\"echo\", \"{m}\"]",
    ] {
        let book = book(&format!("```step run\nargv = {argv}\nparams = {{ n = \"name\" }}\n```\n"));
        assert_eq!(book.mistakes.len(), 1, "{argv}");
        assert!(book.steps[0].kind.is_err(), "{argv}");
    }
    for (extra, says) in [
        ("[env]\nLD_PRELOAD = \"/x.so\"", "may not be set"),
        ("[env]\nPATH = \"/x\"", "may not be set"),
        ("[env]\n\"A=B\" = \"x\"", "no name of an environment variable"),
        ("[params]\nx = \"colour\"", "nothing selected has a `colour`"),
        ("timeout = 0", "1 to 3600"),
        ("shell = true", "unknown field"),
    ] {
        let book = book(&format!("```step run\nargv = [\"x\"]\n{extra}\n```\n"));
        assert!(book.mistakes.iter().any(|m| m.what.contains(says)), "{extra}: {:?}", book.mistakes);
    }
    // As an argument after the script it is data.
    let fine = book(
        "```step run\nargv = [\"sh\", \"-c\", \"echo \\\"$1\\\"\", \"sh\", \"{n}\"]\nparams = { n = \"name\" }\n```\n",
    );
    assert_eq!(fine.mistakes, []);
}

#[test]
fn a_filter_takes_nothing_that_means_more_than_itself() {
    for name in ["a b", "\"x", "x=y", "!x", "a*", "-l"] {
        assert!(fill::filter("name={name}", &named(name)).is_err(), "{name}");
    }
    assert_eq!(fill::filter("name={name} age<1h", &named("web-1")).as_deref(), Ok("name=web-1 age<1h"));
}

#[test]
fn the_plan_of_a_command_shows_exactly_what_is_run() {
    let mut desk = reading(ECHO, Origin::File("x.md".into()));
    let effects = desk.press("enter");
    let [Effect::Plan { ticket, round, intent }] = &effects[..] else { panic!("{effects:?}") };
    let clock = quarterdeck::clock::Clock::system();
    let local = quarterdeck::runbook::process::Local::looking_in("/usr/bin:/bin", clock);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let plan = runtime.block_on(quarterdeck::action::Actor::plan(&*local, intent)).expect("a plan");
    let verdict = Policy::default().judge(&plan, now());
    desk.app.planned(*ticket, *round, Ok(Judged { plan, verdict }));
    let frame = desk.frame(100, 40);
    for line in ["argv[0] echo", "argv[1] --name=api-1-bad", "argv[3] api-1-bad", "env NAME=<api-1-bad>", "[ Run ]"] {
        assert!(frame.contains(line), "{line}: {frame}");
    }
    assert!(matches!(desk.app.overlay, Some(Overlay::Action(_))));
    desk.press("enter");
    assert!(desk.app.runs.is_empty(), "enter leaves it undone");
}

#[test]
fn mistakes_have_their_line_and_column() {
    for (text, line, column, says) in [
        ("---\ntitle: x\nkinds: [task]\n---\n# x\n", 3, 1, "unknown field `kinds`"),
        ("---\ntitle: [x\n---\n", 2, 8, "front matter"),
        ("---\nfor:\n  kinds: [pod, spaceship]\n---\n", 3, 16, "`spaceship` is no kind"),
        ("---\nfor:\n  regex: \"(\"\n---\n", 3, 11, "no regular expression"),
        ("---\ntitle: x\n# no end\n", 1, 1, "has no end"),
        ("# x\n\n```step jump\n```\n", 3, 1, "`jump` is no step"),
        ("# x\n\n```step view\nview = \"pots\"\n```\n", 4, 9, "there is no view `pots`"),
        ("# x\n\n```step drain\nreplicas = 3\n```\n", 3, 1, "`replicas` means nothing for drain"),
        ("# x\n\n```step scale\ntarget = \"node\"\n```\n", 3, 1, "scale means nothing for its node"),
        ("# x\n\n```step scale\nreplicas = many\n```\n", 4, 12, ""),
    ] {
        let book = book(text);
        let [mistake] = &book.mistakes[..] else { panic!("{text}: {:?}", book.mistakes) };
        assert!(mistake.what.contains(says), "{text}: {}", mistake.what);
        assert_eq!(mistake.place(&book.text), (line, column), "{text}: {}", mistake.what);
        // It is shown all the same, with what is wrong above.
        let shown = render(&book, Look { width: 80, ascii: false }, &|_| false);
        assert!(shown.lines[0].text().starts_with(&format!("line {line}, column {column}: ")));
    }
}

#[test]
fn hostile_text_is_only_text() {
    let evil = "---\ntitle: \"a\\x1b]0;owned\\x07b\"\n---\n# He\u{1b}[2Jad \u{202e}x\n\n\u{1b}]52;c;eA==\u{7} text `co\u{9b}2Jde` [li\u{1b}nk](http://x/\u{1b}[31m)\n\n- [ ] bo\u{7}x\n\n```\n\u{1b}[?1049l\ttab\n```\n\n| a\u{1b}c | b |\n|---|---|\n| \u{200b}x | y |\n\n<b>\u{1b}[0m</b>\n\n```step run ti\u{1b}[1mtle\nargv = [\"echo\", \"\\u001B[31m\"]\n```\n";
    let book = book(evil);
    for ascii in [false, true] {
        for width in [20, 80] {
            let shown = render(&book, Look { width, ascii }, &|_| false);
            for line in &shown.lines {
                assert!(!line.text().chars().any(is_unsafe), "{:?}", line.text());
            }
        }
    }
    assert!(!book.title.chars().any(is_unsafe) && !book.steps[0].title.chars().any(is_unsafe));
}

#[test]
fn a_huge_runbook_is_cut_and_a_larger_one_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("large.md"), "# Large\n\nline of text\n\n".repeat(70_000)).expect("written");
    std::fs::write(dir.path().join("huge.md"), vec![b'x'; (10 << 20) + 1]).expect("written");
    let library = Library::load(&[dir.path().to_owned()]);
    let large = library.get("large").expect("it is there");
    assert!(large.text.len() <= 1 << 20);
    assert!(large.mistakes.iter().any(|m| m.what.contains("larger than 1024 KiB")));
    assert!(library.get("huge").is_none());
    assert!(library.unread.iter().any(|w| w.contains("huge.md") && w.contains("10 MiB")), "{:?}", library.unread);
    // Nesting without an end is shown as well.
    for deep in [">".repeat(5000), "- ".repeat(5000), "[".repeat(20_000), "*".repeat(20_000)] {
        let _ = render(&book(&(deep + "x\n")), Look { width: 80, ascii: false }, &|_| false);
    }
}

#[test]
fn what_ships_as_it_is_drawn() {
    let sample = "---\ntitle: A sample\n---\n# A sample\n\nA paragraph with **strong**, *emphasis*, `code`, ~~gone~~ and a [link](https://example.com/a/b), long enough to be wrapped at eighty columns.\n\n> A quote, that is long enough to be wrapped as well, since it goes on and on and on.\n>\n> - with a list\n\n1. first\n2. second, which is long enough to go on in the next row, where it begins below its own text\n   - nested\n     - deeper\n   - [x] ticked in the file\n3. third\n\n- [ ] a box\n- [ ] a box\n\n| left | middle | right |\n|:-----|:------:|------:|\n| a | b | 1 |\n| a longer cell that has to be wrapped somewhere | `code` | 1234 |\n\n---\n\n```sh\nkubectl get pods\t-A\n```\n\n```step run Ask\nargv = [\"kubectl\", \"get\", \"pod\", \"--\", \"{pod}\"]\nparams = { pod = \"task\" }\nenv = { KUBE = \"{pod}\" }\n```\n\n### Third\n\n```step nonsense\n```\n";
    for width in [80, 120] {
        let draw = |book: &Runbook| {
            let shown = render(book, Look { width, ascii: false }, &|t| t == "a box #2");
            for line in &shown.lines {
                let wide = unicode_width::UnicodeWidthStr::width(line.text().as_str());
                assert!(wide <= width, "{wide} of {width}: {}", line.text());
            }
            shown.lines.iter().map(|l| l.text().trim_end().to_owned() + "\n").collect::<String>()
        };
        insta::assert_snapshot!(format!("sample-{width}"), draw(&book(sample)));
        for name in ["crash-loop", "fargate-out-of-ips"] {
            insta::assert_snapshot!(format!("{name}-{width}"), draw(Library::shipped().get(name).expect(name)));
        }
    }
    for (width, height) in [(80, 24), (120, 40)] {
        let mut desk = Desk::new(small_fleet());
        desk.press("3");
        desk.type_filter("api-1-bad");
        desk.press(", b tab");
        let frame: String = desk.frame(width, height).lines().map(|l| l.trim_end().to_owned() + "\n").collect();
        insta::assert_snapshot!(format!("page-{width}x{height}"), frame);
    }
}

#[test]
fn keys_of_a_keymap_file_run_programs_the_same_way() {
    let dir = tempfile::tempdir().expect("a directory");
    let load = |text: &str| {
        std::fs::write(dir.path().join("mine.toml"), format!("inherits = \"default\"\n{text}")).expect("written");
        quarterdeck::keymap::Keymap::load("mine", Some(dir.path()))
    };
    let good = "[[command]]\nkey = \"ctrl-k\"\nname = \"Neat\"\ncontext = \"task\"\nargv = [\"neat\", \"--ns={ns}\", \"--\", \"{pod}\"]\nparams = { pod = \"task\", ns = \"namespace\" }\n";
    let map = load(good).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(map.lint(), []);
    let mut desk = Desk::new(small_fleet());
    desk.app = quarterdeck::app::App::new(desk.app.settings.clone(), map);
    desk.press("2");
    assert_eq!(desk.press("ctrl-k"), [], "only where it is bound");
    assert!(said(&desk).contains("nothing is bound"), "{}", said(&desk));
    desk.press("3");
    desk.type_filter("api-1-bad");
    let effects = desk.press("ctrl-k");
    let [Effect::Plan { intent, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((intent.verb, intent.options.command.join(" ").as_str()), (Verb::Run, "neat --ns=shop -- api-1-bad"));
    desk.press("esc");
    desk.app.settings.read_only = true;
    assert_eq!(desk.press("ctrl-k"), []);
    assert!(said(&desk).starts_with("read-only: ") && desk.app.overlay.is_none());
    for (change, line, says) in [
        (("ctrl-k", "l"), 2, "`l` is `logs` in [task]"),
        (("ctrl-k", "ctrl-x"), 2, "`ctrl-x a` is `view-actions`"),
        (("ctrl-k", "hyper-k"), 2, "is not a key"),
        (("task", "pods"), 2, "there is no context `pods`"),
        (("\"neat\"", "\"{pod}\""), 2, "the program cannot be filled in"),
        (("argv", "args"), 6, "unknown field `args`"),
        (("{ns}", "{nx}"), 2, "`{nx}` is not declared"),
    ] {
        let wrong = load(&good.replacen(change.0, change.1, 1)).expect_err(says).to_string();
        assert!(wrong.contains(says) && wrong.contains(&format!("mine.toml:{line}:")), "{says}: {wrong}");
    }
}

mod running {
    //! Programs as the desk runs them: written down, without a terminal, ended in time.

    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use quarterdeck::action::audit::Record;
    use quarterdeck::action::{Assent, Desk, End, Event, Intent, Options, Outcome, Plan, Policy, Verb};
    use quarterdeck::clock::{Clock, instant};
    use quarterdeck::domain::{Kind, Text, Timestamp};
    use quarterdeck::runbook::process::Local;

    use super::support::fleet::{cluster, id};

    #[derive(Default)]
    struct Log(Mutex<Vec<String>>);

    impl Record for Log {
        fn begin(&self, plan: &Plan, _: &Assent, _: Timestamp) -> Result<u64, Text> {
            let text = serde_json::to_string(&plan.intent).expect("JSON");
            self.0.lock().expect("no panic").push(format!("begin {text}"));
            Ok(1)
        }

        fn end(&self, _: u64, end: &End, _: Timestamp) -> Result<(), Text> {
            self.0.lock().expect("no panic").push(format!("end {}", end.text));
            Ok(())
        }
    }

    fn desk(policy: Policy) -> (Desk, Arc<Log>) {
        let log = Arc::new(Log::default());
        let record: Arc<dyn Record> = log.clone();
        let desk = Desk::new(Arc::new(|_| None), policy, Some(record), Clock::system());
        (desk.and_local(Local::looking_in("/usr/bin:/bin", Clock::system())), log)
    }

    fn intent(argv: &[&str], timeout: u32) -> Intent {
        let command = argv.iter().map(|a| (*a).to_owned()).collect();
        let env = vec![("SAID".to_owned(), "$(id) `id`".to_owned())];
        let options = Options { command, env, timeout, ..Options::default() };
        Intent { verb: Verb::Run, targets: vec![id(Kind::Task, "shop", "web")], options }
    }

    /// What it printed, and how it ended.
    async fn run(argv: &[&str], timeout: u32, cancel_at: Option<&str>) -> (Vec<String>, End) {
        let (desk, log) = desk(Policy::default());
        let plan = desk.plan(&intent(argv, timeout)).await.expect("a plan");
        let mut running = desk.act(plan, &Assent::default()).expect("it begins");
        let mut printed = Vec::new();
        loop {
            let event = tokio::time::timeout(Duration::from_secs(30), running.events.recv()).await;
            match event.expect("in time").expect("an end") {
                Event::Output(line) => {
                    if cancel_at == Some(line.as_str()) {
                        running.cancel.cancel();
                    }
                    printed.push(line.to_string());
                }
                Event::Step(_) => {}
                Event::Ended(end) => {
                    let log = log.0.lock().expect("no panic");
                    assert_eq!(log.len(), 2, "{log:?}");
                    assert!(log[0].contains("\"verb\":\"run\"") && log[0].contains(argv[0]), "{log:?}");
                    assert!(log[0].contains("SAID") && log[1].starts_with("end "), "{log:?}");
                    return (printed, end);
                }
            }
        }
    }

    #[tokio::test]
    async fn arguments_arrive_as_they_are_and_the_exit_code_is_told() {
        for name in super::HOSTILE.iter().filter(|n| !n.contains('\n')) {
            let (printed, end) = run(&["printf", "%s|%s\\n", name, "--"], 10, None).await;
            assert_eq!(printed, [format!("{name}|--")]);
            assert_eq!((end.outcome, end.text.as_str()), (Outcome::Done, "exit code 0"));
        }
        let (printed, _) =
            run(&["sh", "-c", "echo \"$SAID\"; echo \"$1\"; tty; read x || echo no input", "sh", "a;b"], 10, None)
                .await;
        assert_eq!(printed, ["$(id) `id`", "a;b", "not a tty", "no input"]);
        let (_, end) = run(&["sh", "-c", "exit 3"], 10, None).await;
        assert_eq!((end.outcome, end.text.as_str()), (Outcome::Failed, "exit code 3"));
    }

    #[tokio::test]
    async fn output_is_cleaned_and_bounded() {
        let (printed, _) = run(&["printf", "a\\033[2Jb\\007c\\n\\033]52;c;eA==\\007d"], 10, None).await;
        assert_eq!(printed, ["abc", "d"]);
        let (printed, end) = run(&["sh", "-c", "yes 0123456789 | head -c 3000000"], 20, None).await;
        assert_eq!(end.outcome, Outcome::Done);
        let bytes: usize = printed.iter().map(String::len).sum();
        assert!(bytes <= 257 << 10, "{bytes}");
        assert!(printed.last().is_some_and(|l| l.ends_with("more bytes, which are not kept")), "{:?}", printed.last());
        let (printed, _) = run(&["sh", "-c", "head -c 10000 /dev/zero | tr '\\0' x"], 10, None).await;
        assert_eq!(printed.iter().map(String::len).collect::<Vec<_>>(), [4096, 4096, 1808]);
    }

    #[tokio::test]
    async fn it_is_ended_with_all_it_started() {
        let dir = tempfile::tempdir().expect("a directory");
        let mark = dir.path().join("mark");
        let script = format!("(sleep 4; touch {}) & echo begun; sleep 60", mark.display());
        let start = instant();
        let (_, end) = run(&["sh", "-c", &script], 60, Some("begun")).await;
        assert_eq!(end.outcome, Outcome::Cancelled, "{}", end.text);
        let (_, end) = run(&["sh", "-c", "trap '' TERM; echo x; sleep 60"], 1, None).await;
        assert_eq!(end.outcome, Outcome::Failed);
        assert!(end.text.contains("longer than 1 s"), "{}", end.text);
        assert!(start.elapsed() < Duration::from_secs(20));
        while start.elapsed() < Duration::from_secs(5) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(!mark.exists(), "what it had started went on");
        // One that leaves somebody behind with its output open ends all the same.
        let (printed, end) = run(&["sh", "-c", "sleep 20 & echo gone"], 60, None).await;
        assert_eq!((printed, end.outcome), (vec!["gone".to_owned()], Outcome::Done));
        assert!(start.elapsed() < Duration::from_secs(19));
    }

    #[tokio::test]
    async fn nothing_runs_where_nothing_may_be_changed_or_written_down() {
        let (read_only, log) = desk(Policy { read_only: true, ..Policy::default() });
        let why = read_only.plan(&intent(&["true"], 10)).await.expect_err("read-only");
        assert!(why.contains("read-only"), "{why}");
        let closed = quarterdeck::action::guard::ClusterPolicy { production: false, read_only: true };
        let one = Policy { clusters: [(cluster(), closed)].into(), ..Policy::default() };
        assert!(desk(one).0.plan(&intent(&["true"], 10)).await.is_err());
        let unwritten = Desk::new(Arc::new(|_| None), Policy::default(), None, Clock::system());
        assert!(unwritten.plan(&intent(&["true"], 10)).await.is_err(), "without what runs it there is no plan");
        let unwritten = unwritten.and_local(Local::looking_in("/usr/bin:/bin", Clock::system()));
        let plan = unwritten.plan(&intent(&["true"], 10)).await.expect("a plan");
        assert!(unwritten.act(plan, &Assent::default()).expect_err("no audit").contains("audit"));
        let (desk, _) = desk(Policy::default());
        let plan = desk.plan(&intent(&["no-such-program-here"], 10)).await.expect("a plan");
        assert!(plan.refused[0].contains("there is no program `no-such-program-here`"));
        assert!(desk.act(plan, &Assent::default()).is_err());
        assert!(log.0.lock().expect("no panic").is_empty());
    }
}

#[cfg(feature = "prometheus")]
mod fetching {
    //! An alarm's link, against a server that means ill.

    use super::web::{self, Says, Web, says};
    use quarterdeck::source::runbook::fetch;

    fn markdown(body: impl Into<String>) -> Says {
        Says { headers: "content-type: text/markdown; charset=utf-8\r\n", ..says(200, body) }
    }

    #[tokio::test]
    async fn raw_markdown_of_an_allowed_place_and_nothing_else() {
        let web = Web::start(|asked| match asked.path.as_str() {
            "/books/a.md" => markdown("# A\n"),
            "/books/page.md" => Says { headers: "content-type: text/html\r\n", ..says(200, "<html>") },
            "/books/sly.md" => markdown("\n<!DOCTYPE html><html>"),
            "/books/nothing.md" => says(200, "x"),
            "/books/large.md" => markdown("x".repeat((10 << 20) + 1)),
            "/books/moved.md" => Says { headers: "location: /books/a.md\r\n", ..says(302, "") },
            "/books/away.md" => Says { headers: "location: http://localhost:1/books/a.md\r\n", ..says(302, "") },
            "/books/out.md" => Says { headers: "location: /secret.md\r\n", ..says(302, "") },
            "/books/round.md" => Says { headers: "location: /books/round.md\r\n", ..says(302, "") },
            "/secret.md" => markdown("secret"),
            _ => says(404, "no"),
        })
        .await;
        let allowed = vec![format!("{}/books/", web.url())];
        for (path, want) in [
            ("/books/a.md", Ok("# A\n")),
            ("/books/moved.md", Ok("# A\n")),
            ("/books/gone.md", Err("there is no such page: 404")),
            ("/books/page.md", Err("text/html, not Markdown")),
            ("/books/sly.md", Err("a web page")),
            ("/books/nothing.md", Err("of no kind")),
            ("/books/large.md", Err("larger than 10 MiB")),
            ("/books/away.md", Err("another host, localhost")),
            ("/books/out.md", Err("does not allow")),
            ("/books/round.md", Err("round and round")),
            ("/secret.md", Err("does not allow")),
            ("/books/../secret.md", Err("does not allow")),
        ] {
            let got = fetch(&format!("{}{path}", web.url()), &allowed).await;
            match (&got, want) {
                (Ok(text), Ok(want)) => assert_eq!(text, want, "{path}"),
                (Err(why), Err(want)) => assert!(why.contains(want), "{path}: {why}"),
                _ => panic!("{path}: {got:?}"),
            }
        }
        assert!(fetch(&format!("{}/books/a.md", web.url()), &[]).await.is_err(), "nothing is allowed at first");
        let asked = web.requests();
        assert!(asked.iter().all(|a| a.path != "/secret.md"), "what is not allowed is not even asked for");
        let sent = |a: &web::Asked| a.head.to_ascii_lowercase();
        assert!(asked.iter().all(|a| !sent(a).contains("authorization") && !sent(a).contains("cookie")));
        let nobody = fetch("http://127.0.0.1:9/books/a.md", &["http://127.0.0.1:9/".to_owned()]).await;
        assert!(nobody.expect_err("nobody").contains("cannot be reached"));
    }
}
