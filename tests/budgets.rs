//! What the views say of budgets and services made by hand: every lettered vector,
//! and figures that are missing, late or sparse.

#![expect(clippy::panic, reason = "a test fails by panicking")]

mod support;

use chrono::TimeDelta;
use quarterdeck::app::Page;
use quarterdeck::app::table::{Scope, ViewKind};
use quarterdeck::domain::{Backend, BackendKind, ClusterId, Freshness, Health, Kind, Text, Traffic};
use quarterdeck::store::problems::problems;
use quarterdeck::store::{Body, Feed, Observation, Rows, SourceId};
use quarterdeck::view::report::{Report, markdown, table};
use quarterdeck::view::status::status;
use support::budgets::{backend, budget, fleet_with_budgets, lettered, observe_backend};
use support::fleet::{Desk, cluster, now, small_fleet};
use support::mixed::mixed_fleet;

/// The row of `name`, its blanks made one.
fn row(frame: &str, name: &str) -> String {
    let line = frame.lines().find(|l| l.contains(name)).unwrap_or_else(|| panic!("no {name} in\n{frame}"));
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_view_says_of_each_vector_what_the_table_does() {
    let mut desk = Desk::new(fleet_with_budgets());
    desk.press("8");
    assert_eq!(desk.kind(), ViewKind::Budgets);
    let frame = desk.frame(120, 40);
    for (name, wants) in [
        ("slo-a ", ["● fine", "76.8%", "0.56x", "lasts"]),
        ("slo-b ", ["✖ page", "22.8%", "16.7x", "9.9h"]),
        ("slo-c ", ["● fine", "22.8%", "0.67x", "9.9h"]),
        ("slo-d ", ["✖ page", "42.1%", "6.67x", "45.5h"]),
        ("slo-e ", ["▲ ticket", "42.1%", "3.06x", "4.1d"]),
        ("slo-f ", ["▲ ticket", "42.1%", "1.04x", " - "]),
        ("slo-g ", ["▲ exhausted", "-40.0%", "2.40x", "exhausted"]),
        ("slo-h ", ["- no traffic", "99.9%", "99.9%", " - "]),
        ("slo-i ", ["○ few events", "99.9%", "250x", "25.0x"]),
        ("slo-none", ["? no data", "99%", "no data", " - "]),
        ("slo-clean", ["● fine", "100.0%", "0x", "no burn"]),
    ] {
        let line = row(&frame, name);
        for want in wants {
            assert!(line.contains(want), "{want} of {name}: {line}\n{frame}");
        }
    }
    // No errors, no traffic and no data are three words, also where the indicator is shown.
    let wide = desk.frame(200, 50);
    assert!(row(&wide, "slo-clean").contains("no errors"), "{wide}");
    assert!(row(&wide, "slo-none").matches("no data").count() >= 2, "{wide}");
    assert!(row(&wide, "slo-g").contains("-2,000 events"), "{wide}");
    assert!(row(&wide, "slo-b").contains("5,920 events"), "{wide}");
    assert!(row(&wide, "slo-clean").contains("time-weighted"), "{wide}");
}

#[test]
fn the_worst_is_first_and_of_those_the_first_to_be_gone() {
    let mut desk = Desk::new(fleet_with_budgets());
    desk.press("8");
    let names = desk.names();
    assert_eq!(
        names,
        ["slo-b", "slo-d", "slo-g", "slo-e", "slo-f", "slo-none", "slo-c", "slo-i", "slo-a", "slo-clean", "slo-h"]
    );
    desk.type_filter("gone<24h");
    assert_eq!(desk.names(), ["slo-b", "slo-g", "slo-c"]);
    desk.type_filter("left<0");
    assert_eq!(desk.names(), ["slo-g"]);
    desk.type_filter("1h>6");
    assert_eq!(desk.names(), ["slo-b", "slo-d", "slo-c", "slo-i"]);
    desk.type_filter("few");
    assert_eq!(desk.names(), ["slo-i"]);
}

#[test]
fn the_essentials_fit_a_small_screen() {
    let mut desk = Desk::new(fleet_with_budgets());
    desk.press("8");
    let frame = desk.frame(80, 24);
    for head in ["VERDICT", "SLO", "TARGET", "LEFT", "1h", "6h", "GONE IN"] {
        assert!(frame.contains(head), "{head}\n{frame}");
    }
    let frame = desk.frame(120, 40);
    for head in ["5m", "30m", "1h", "6h", "1d", "3d"] {
        assert!(frame.contains(&format!(" {head} ")), "{head}\n{frame}");
    }
    desk.ascii = true;
    assert!(desk.frame(200, 50).is_ascii());
}

#[test]
fn a_stale_source_is_said_in_the_row() {
    let mut store = fleet_with_budgets();
    let because = Text::new("connection refused");
    store.apply(Observation {
        source: SourceId { cluster: backend(), feed: Feed::Budgets },
        at: now(),
        body: Body::Freshness(Freshness::Stale { since: now(), because }),
    });
    let mut desk = Desk::new(store);
    desk.press("8");
    assert!(row(&desk.frame(240, 50), "slo-b").contains("stale: connection refused"));
}

#[test]
fn the_details_say_the_whole_assessment_in_words() {
    let mut desk = Desk::new(fleet_with_budgets());
    desk.press("8 enter");
    assert!(matches!(desk.app.stack.last(), Some(Page::Text(_))));
    let frame = desk.frame(120, 100);
    for want in [
        "✖ page",
        "over 14.4: fires",
        "1h burns 16.7x, over",
        "5m burns 20.0x, over",
        "over 6: does not fire",
        "6h burns 3.24x, not over",
        "in 9.9h at the rate of the last 1h",
        "20,000 bad of 25,920,000",
        "22.8%: 5,920 events",
        "https://runbooks.example.com/checkout",
        "burn-down",
        "100%",
        "0%",
        "now",
        "alarms │",
        "firing CheckoutErrors",
        "changes │",
        "deploy web revision 3",
    ] {
        assert!(frame.contains(want), "{want}\n{frame}");
    }
    // The same as a description, and a description of what is known needs nobody.
    desk.press("esc");
    assert!(desk.press("d").is_empty());
    assert!(desk.frame(100, 100).contains("burn-down"));
    assert_eq!(desk.press("ctrl-r").len(), 1, "only the sources are asked again");
    desk.ascii = true;
    let frame = desk.frame(100, 100);
    assert!(frame.is_ascii(), "{frame}");
    desk.ascii = false;
    // Search works as in any text.
    desk.press("/ f i r e s enter");
    assert!(desk.app.prompt.is_none());
}

#[test]
fn few_events_and_overspending_are_said() {
    let mut desk = Desk::new(fleet_with_budgets());
    desk.press("8");
    desk.type_filter("slo-i");
    desk.press("enter");
    let frame = desk.frame(120, 100);
    assert!(frame.contains("few events: both are over, nobody is called"), "{frame}");
    assert!(frame.contains("low: one failure alone is over a row"), "{frame}");
    desk.press("esc");
    desk.type_filter("slo-g");
    desk.press("enter");
    let frame = desk.frame(120, 100);
    assert!(frame.contains("-40.0%: -2,000 events") && frame.contains("-50%"), "{frame}");
    desk.press("esc");
    desk.type_filter("slo-none");
    desk.press("enter");
    assert!(desk.frame(120, 100).contains("nothing is known about the last minutes"));
}

#[test]
fn a_namesake_in_another_cluster_is_somebody_else() {
    let mut store = fleet_with_budgets();
    let mut elsewhere = store.alarms.rows().next().expect("an alarm").clone();
    elsewhere.id.cluster = ClusterId::new("other");
    elsewhere.id.name = Text::new("OtherClusterErrors");
    elsewhere.uid = Text::new("other");
    let source = SourceId { cluster: ClusterId::new("other"), feed: Feed::Alarms };
    store.apply(Observation { source, at: now(), body: Body::Upsert(Rows::Alarms(vec![elsewhere])) });
    let mut desk = Desk::new(store);
    desk.press("8 enter");
    // A backend that is about no cluster in particular is about all.
    let all = desk.frame(120, 100);
    assert!(all.contains("CheckoutErrors") && all.contains("OtherClusterErrors"), "{all}");
    let of = Backend {
        id: backend(),
        kind: BackendKind::Prometheus,
        version: Text::new("3.5.0"),
        endpoint: Text::new("prom.example:9090"),
        cluster: Some(cluster()),
        found: false,
    };
    let source = SourceId { cluster: backend(), feed: Feed::Budgets };
    desk.store.apply(Observation { source, at: now(), body: Body::Backend(of) });
    let one = desk.frame(120, 100);
    assert!(one.contains("CheckoutErrors") && one.contains("deploy web revision 3"), "{one}");
    assert!(!one.contains("OtherClusterErrors"), "{one}");
}

#[test]
fn the_overview_answers_whether_users_hurt() {
    let mut desk = Desk::new(fleet_with_budgets());
    let frame = desk.frame(80, 24);
    assert!(frame.contains("slo-b 99.9%: 22.8% left, at this rate gone in 9.9h, page"), "{frame}");
    assert!(frame.contains("11 budgets:  ✖ 2 page  ▲ 1 exhausted  ▲ 2 ticket"), "{frame}");
    let at = |what: &str| frame.lines().position(|l| l.contains(what));
    assert!(at("USERS") < at("WRONG NOW"), "{frame}");
    assert!(frame.contains("page: burning 16.7x over 1h"), "{frame}");
    // A budget among the problems opens its details.
    desk.type_filter("kind=slo");
    desk.press("g enter");
    assert!(desk.frame(120, 60).contains("burn-down"));
    let mut desk = Desk::new(small_fleet());
    assert!(!desk.frame(120, 40).contains("USERS"), "absent without budgets");
}

#[test]
fn since_when_it_pages_is_known_where_its_start_was_seen() {
    let mut store = fleet_with_budgets();
    let of = |store: &quarterdeck::store::Store, name: &str| {
        problems(store, now()).into_iter().find(|p| p.id.name == name && p.id.kind == Kind::Budget)
    };
    let first = of(&store, "slo-b").expect("it pages");
    assert_eq!((first.health, first.since), (Health::Critical, None), "it did so when first seen");
    assert_eq!(of(&store, "slo-e").map(|p| p.health), Some(Health::Warning));
    assert!(of(&store, "slo-g").is_none() && of(&store, "slo-i").is_none(), "they call nobody");
    let mut turned = lettered("B");
    turned.id = lettered("A").id;
    turned.at = Some(now() + TimeDelta::minutes(1));
    observe_backend(&mut store, Feed::Budgets, Rows::Budgets(vec![turned]));
    assert_eq!(of(&store, "slo-a").and_then(|p| p.since), Some(now() + TimeDelta::minutes(1)));
    observe_backend(&mut store, Feed::Budgets, Rows::Budgets(vec![lettered("A")]));
    assert!(of(&store, "slo-a").is_none() && store.calling_since(&lettered("A").id).is_none());
}

#[test]
fn services_keep_each_figure_in_its_place() {
    let mut desk = Desk::new(fleet_with_budgets());
    desk.press("9 ctrl-w");
    assert_eq!(desk.kind(), ViewKind::Services);
    let frame = desk.frame(240, 50);
    let web = row(&frame, " web ");
    for want in ["71.5/s", "1.2%", "41ms", "120ms", "1.2s", "successes", "62%", "✖ 22.8%", "4 of 30 min missing"] {
        assert!(web.contains(want), "{want}: {web}\n{frame}");
    }
    // Gaps are blanks, not a fall to zero.
    let line = frame.lines().find(|l| l.contains(" web ")).expect("web");
    assert!(line.contains("▄▄    ▄▄▄▄  ") && line.contains("▁▁    ▁▁▁▁  "), "{line}");
    let api = row(&frame, " api ");
    assert!(api.contains("0.0/s") && api.contains("no traffic") && !api.contains("0%  "), "{api}");
    assert!(row(&frame, " mail ").contains("no data"));
    let late = row(&frame, " search ");
    assert!(
        late.contains("late: nothing since 11m ago") && late.contains("late 3.0/s") && late.contains(" all "),
        "{late}"
    );
    desk.press("ctrl-w");
    let small = desk.frame(80, 24);
    for head in ["SERVICE", "RATE", "ERRORS", "P99", "BUDGET"] {
        assert!(small.contains(head), "{head}\n{small}");
    }
    desk.type_filter("errors>1%");
    assert_eq!(desk.names(), ["web"]);
}

#[test]
fn a_service_leads_to_its_tasks_and_describes_itself() {
    let mut desk = Desk::new(fleet_with_budgets());
    desk.press("9");
    desk.type_filter("name=web");
    desk.press("enter");
    assert_eq!(desk.kind(), ViewKind::Tasks);
    assert!(matches!(&desk.table().scope, Scope::Workload(id) if id.name == "web"));
    desk.press("esc d");
    let frame = desk.frame(120, 100);
    for want in [
        "requests a second, last 30 min",
        "p50 41ms p95 120ms p99 1.2s (successes only)",
        "slo-g 99.5%: -40.0% left, exhausted",
        "deploy web Available, 2/2 ready",
    ] {
        assert!(frame.contains(want), "{want}\n{frame}");
    }
    desk.press("esc");
    desk.type_filter("mail");
    desk.press("enter");
    assert!(desk.frame(120, 60).contains("none is known"), "one that points at nothing is described");
}

#[test]
fn ecs_services_behind_a_balancer_are_rows_and_are_asked_for() {
    let mut desk = Desk::new(mixed_fleet());
    let web = desk.store.workloads.rows().find(|w| w.id.kind == Kind::EcsService && w.id.name == "web");
    let id = web.expect("an ECS service").id.clone();
    let source = SourceId { cluster: id.cluster.clone(), feed: Feed::ServiceMetrics };
    for (minute, requests) in [(9, 10.0), (8, 20.0), (5, 40.0)] {
        let traffic = Traffic {
            at: Some(now() - TimeDelta::minutes(minute)),
            requests: Some(requests),
            errors: Some(0.0),
            latency: [Some(0.04), Some(0.1), Some(0.2)],
        };
        let body = Body::Upsert(Rows::Traffic(vec![(id.clone(), traffic)]));
        desk.store.apply(Observation { source: source.clone(), at: now(), body });
    }
    desk.press("9 ctrl-w");
    let frame = desk.frame(240, 50);
    let line = row(&frame, " web ");
    assert!(line.contains("40.0/s") && line.contains("alb") && line.contains("all"), "{frame}");
    assert!(line.contains("▃▅  █") || frame.contains("▃▅  █"), "two minutes nobody looked at are blank\n{frame}");
    assert!(desk.app.shown(&desk.store).contains(&id), "what is on screen is asked for");
}

#[test]
fn status_and_report_have_every_budget() {
    let store = fleet_with_budgets();
    let said = serde_json::to_value(status(&store, now())).expect("it serializes");
    assert_eq!(said["state"], "critical", "a page of a backend's budget counts");
    assert_eq!(said["budgets"].as_array().map(Vec::len), Some(11));
    assert_eq!(said["budgets"][0]["slo"], "slo-g");
    assert_eq!(said["budgets"][1]["exhausted_in_secs"], 35_520.0);
    let all = Report::new(&store, &[], now());
    assert!(all.missing.is_empty() && all.budgets.len() == 11);
    let wanted = ["slo-b".to_owned(), "gone".to_owned()];
    let some = Report::new(&store, &wanted, now());
    assert_eq!((some.budgets.len(), some.missing.len()), (1, 1));
    let text = table(&store, &some, now());
    assert!(text.contains("page") && text.contains("5,920 events") && text.contains("gone: not read"), "{text}");
    let page = markdown(&store, &some, now());
    assert!(page.contains("| page | slo-b | web | 99.9% |"), "{page}");
    assert!(page.contains("- page when 1h and 5m are over 14.4: **fires** (16.7x and 20.0x)"), "{page}");
    let mut store = small_fleet();
    observe_backend(&mut store, Feed::Budgets, Rows::Budgets(vec![budget("a|b<c", "x", "0.9", 7, "W 1/100, 1h 1/10")]));
    let page = markdown(&store, &Report::new(&store, &[], now()), now());
    assert!(page.contains("a\\|b\\<c"), "{page}");
}

#[test]
fn the_report_is_as_its_schema_has_it() {
    let read = |text: &str| -> serde_json::Value { serde_json::from_str(text).expect("a schema") };
    let schema = read(include_str!("../docs/schema/slo-report-v1.json"));
    let of_status = read(include_str!("../docs/schema/status-v2.json"));
    assert_eq!(schema["$defs"]["budget"], of_status["$defs"]["budget"], "one budget, one description");
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    let store = fleet_with_budgets();
    let mut said = serde_json::to_value(Report::new(&store, &["slo-none".to_owned()], now())).expect("it serializes");
    let faults = |said: &serde_json::Value| validator.iter_errors(said).map(|e| e.to_string()).collect::<Vec<_>>();
    assert_eq!(faults(&said), Vec::<String>::new());
    let all = serde_json::to_value(Report::new(&store, &[], now())).expect("it serializes");
    assert_eq!(faults(&all), Vec::<String>::new());
    said["budgets"][0]["state"] = "perfect".into();
    assert!(!faults(&said).is_empty());
}

#[test]
fn the_views_answer_to_the_names_people_bring() {
    for name in ["budgets", "budget", "slo", "slos"] {
        assert_eq!(ViewKind::from_name(name), Some(ViewKind::Budgets), "{name}");
    }
    for name in ["services", "service", "svc", "golden", "red"] {
        assert_eq!(ViewKind::from_name(name), Some(ViewKind::Services), "{name}");
    }
    let mut desk = Desk::new(fleet_with_budgets());
    desk.press(": s v c enter");
    assert_eq!(desk.kind(), ViewKind::Services);
    desk.press(": s l o s enter");
    assert_eq!(desk.kind(), ViewKind::Budgets);
    assert_eq!(desk.press("y"), [], "no system has such an object as YAML");
    assert!(desk.app.notice.as_ref().is_some_and(|(_, n)| n.is_error));
    desk.press("c");
    assert!(desk.app.notice.as_ref().is_some_and(|(_, n)| n.text.as_str().contains("slo-b")));
}

#[test]
fn an_empty_list_is_no_list_that_has_not_come() {
    let mut desk = Desk::new(small_fleet().and_backends([backend()]));
    desk.press("8");
    assert!(desk.frame(100, 20).contains("loading budgets"));
    let mut desk = Desk::new(small_fleet());
    desk.press("8");
    assert!(desk.frame(100, 20).contains("no error budgets here"));
}
