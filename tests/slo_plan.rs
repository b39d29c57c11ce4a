//! What Prometheus and CloudWatch are asked, as text, and what their answers mean.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;

use quarterdeck::config::diagnostic::Source;
use quarterdeck::domain::Timestamp;
use quarterdeck::domain::slo::{
    CountError, EmptySlices, Fraction, GoodWhen, Indicator, Lookback, Measure, Method, Slicing, State, Target, assess,
};
use quarterdeck::slo::plan::AnswerError;
use quarterdeck::slo::plan::cloudwatch::{self, Answer, Points, What};
use quarterdeck::slo::plan::prometheus::{self, Role};
use quarterdeck::slo::recorded::{Recorded, Recorder, Series, recorded};
use quarterdeck::slo::{CloudWatchSignal, Definition, PrometheusSignal, Signal};

fn definitions(name: &str) -> Vec<Definition> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slo/valid").join(name);
    let outcome = quarterdeck::slo::read(&[Source::new(name, std::fs::read_to_string(path).unwrap())]);
    assert!(!outcome.has_errors());
    outcome.definitions
}

fn prometheus(d: &Definition) -> &PrometheusSignal {
    match &d.signal {
        Signal::Prometheus(signal) => signal,
        other => panic!("{other}"),
    }
}

fn cloudwatch(d: &Definition) -> &CloudWatchSignal {
    match &d.signal {
        Signal::CloudWatch(signal) => signal,
        other => panic!("{other}"),
    }
}

/// An indicator's file, with its queries replaced.
fn signal_of(metric: &str) -> PrometheusSignal {
    let text = format!(
        "apiVersion: openslo/v1\nkind: SLO\nmetadata: {{name: x}}\nspec:\n  service: x\n  budgetingMethod: Occurrences\n  \
         timeWindow: [{{duration: 30d, isRolling: true}}]\n  indicator:\n    metadata: {{name: x}}\n    spec:\n{metric}\n  \
         objectives: [{{target: 0.99}}]\n"
    );
    let outcome = quarterdeck::slo::read(&[Source::new("x", text)]);
    assert!(!outcome.has_errors(), "{:?}", outcome.found);
    prometheus(&outcome.definitions[0]).clone()
}

fn asked(signal: &PrometheusSignal, method: Method, window: &str) -> Vec<String> {
    let asks = prometheus::asks(signal, method, &[window.parse().unwrap()]);
    asks.into_iter().map(|a| format!("{}: {}", a.role, a.expr)).collect()
}

fn minutes(good: GoodWhen, empty: EmptySlices) -> Slicing {
    Slicing { slice: Lookback::minutes(1), good, empty }
}

#[test]
fn counters_are_increased_then_summed() {
    let d = &definitions("minimal-prometheus.yaml")[0];
    assert_eq!(
        asked(prometheus(d), d.objective.method, "5m"),
        [
            "bad: (sum(increase(http_requests_total{job=\"checkout\",code=~\"5..\"}[5m])) or vector(0))",
            "total: sum(increase(http_requests_total{job=\"checkout\"}[5m]))",
        ]
    );
}

#[test]
fn templates_are_filled_and_rates_made_counts() {
    let d = &definitions("everything.yaml")[0];
    assert_eq!(
        asked(prometheus(d), d.objective.method, "1h")[1],
        "total: sum(sum(increase(http_requests_total{job=\"checkout\"}[1h])))"
    );
    let source = |q: &str| format!("{{metricSource: {{type: Prometheus, spec: {{query: '{q}'}}}}}}");
    let rates = signal_of(&format!(
        "      ratioMetric:\n        good: {}\n        total: {}",
        source("rate(a[{{.window}}])"),
        source("rate(b[{{.window}}])")
    ));
    assert_eq!(
        asked(&rates, Method::Occurrences, "5m"),
        ["good: (sum(rate(a[5m])) * 300 or vector(0))", "total: sum(rate(b[5m])) * 300"]
    );
}

#[test]
fn latency_takes_the_bucket_at_the_threshold() {
    let all = definitions("latency.yaml");
    assert_eq!(
        asked(prometheus(&all[0]), Method::Occurrences, "1h"),
        [
            "good: sum(increase(http_request_duration_seconds_bucket{job=\"search\",le=\"0.5\"}[1h]))",
            "total: sum(increase(http_request_duration_seconds_bucket{job=\"search\",le=\"+Inf\"}[1h]))",
        ]
    );
    assert!(asked(prometheus(&all[1]), Method::Occurrences, "1h")[0].contains(r#",le=~"1(\\.0)?"}"#));
    let PrometheusSignal::Latency { buckets, .. } = prometheus(&all[0]) else { panic!() };
    assert_eq!(prometheus::bounds(buckets), "group by (le) (http_request_duration_seconds_bucket{job=\"search\"})");
    let missing = |role| (role == Role::Total).then_some(10.0);
    assert_eq!(
        prometheus::measure(prometheus(&all[0]), Method::Occurrences, Lookback::hours(1), missing),
        Err(AnswerError::NoSuchBound("0.5".to_owned()))
    );
}

#[test]
fn slices_are_judged_in_whole_numbers() {
    let d = &definitions("minimal-prometheus.yaml")[0];
    let method = Method::Timeslices(minutes(GoodWhen::Share(Target::parse("0.95").unwrap()), EmptySlices::LeftOut));
    let bad = "(sum(increase(http_requests_total{job=\"checkout\",code=~\"5..\"}[1m])) or vector(0))";
    let total = "(sum(increase(http_requests_total{job=\"checkout\"}[1m])) > 0)";
    assert_eq!(
        asked(prometheus(d), method, "30d"),
        [
            format!("good: sum_over_time((({total} - {bad}) * 20 >= bool {total} * 19)[30d:1m])"),
            format!("total: count_over_time(({total})[30d:1m])"),
        ]
    );
    let method = Method::RatioTimeslices(minutes(GoodWhen::Said, EmptySlices::LeftOut));
    assert_eq!(
        asked(prometheus(d), method, "30d")[0],
        format!("good: sum_over_time((({total} - {bad}) / {total})[30d:1m])")
    );
}

#[test]
fn values_and_ratios_of_slices_leave_out_what_is_no_number() {
    let d = &definitions("latency.yaml")[3];
    let asked_value = asked(prometheus(d), d.objective.method, "1h");
    assert!(
        asked_value[0].starts_with("good: sum_over_time(((") && asked_value[0].contains(") < bool 0.5)[1h:5m])"),
        "{asked_value:?}"
    );
    assert!(asked_value[1].starts_with("total: count_over_time(((histogram_quantile(0.9"), "{asked_value:?}");
    let d = &definitions("warnings.yaml")[0];
    assert_eq!(asked(prometheus(d), Method::Occurrences, "5m"), ["error_ratio: 1 - avg_over_time(up{job=\"s\"}[5m])"]);
    let method = Method::Timeslices(minutes(GoodWhen::All, EmptySlices::LeftOut));
    assert_eq!(
        asked(prometheus(d), method, "1h")[1],
        "total: count_over_time(((1 - avg_over_time(up{job=\"s\"}[1m])) == (1 - avg_over_time(up{job=\"s\"}[1m])))[1h:1m])"
    );
}

#[test]
fn a_batch_tells_its_answers_apart() {
    let d = &definitions("minimal-prometheus.yaml")[0];
    let windows = [Lookback::minutes(5), Lookback::hours(1)];
    let asks = prometheus::asks(prometheus(d), d.objective.method, &windows);
    assert_eq!(asks.len(), 4);
    let text = prometheus::batch(&asks);
    assert_eq!(text.matches(" or label_replace(label_replace(").count(), 3);
    assert!(text.contains("\"quarterdeck_window\", \"5m\", \"\", \"\"), \"quarterdeck_role\", \"bad\", \"\", \"\")"));
    assert!(Role::of("bad") == Some(Role::Bad) && Role::of("worse").is_none());
}

#[test]
fn answers_become_measures() {
    let d = &definitions("minimal-prometheus.yaml")[0];
    let measure = |bad: Option<f64>, total: Option<f64>| {
        let value = |role| match role {
            Role::Bad => bad,
            Role::Total => total,
            _ => None,
        };
        prometheus::measure(prometheus(d), Method::Occurrences, Lookback::minutes(5), value)
    };
    assert_eq!(measure(Some(1.0), Some(10.0)), Ok(Measure::whole(1, 10).unwrap()));
    assert_eq!(measure(Some(0.0), Some(0.0)), Ok(Measure::NoTraffic));
    assert_eq!(measure(Some(0.0), None), Ok(Measure::NoData), "vector(0) alone is no data");
    assert_eq!(measure(Some(f64::NAN), Some(1.0)), Ok(Measure::NoData));
    assert!(matches!(measure(Some(2.0), Some(1.0)), Err(AnswerError::Count(CountError::MoreThanAll { .. }))));
    assert!(matches!(measure(Some(-2.0), Some(1.0)), Err(AnswerError::Count(CountError::Negative(_)))));
}

#[test]
fn silent_slices_count_as_they_are_told_to() {
    let d = &definitions("minimal-prometheus.yaml")[0];
    for (empty, want) in [
        (EmptySlices::LeftOut, Measure::whole(5, 55)),
        (EmptySlices::Good, Measure::whole(5, 60)),
        (EmptySlices::Bad, Measure::whole(10, 60)),
    ] {
        let method = Method::Timeslices(minutes(GoodWhen::All, empty));
        let value = |role| match role {
            Role::Good => Some(50.0),
            Role::Total => Some(55.0),
            _ => None,
        };
        let has = prometheus::measure(prometheus(d), method, Lookback::hours(1), value);
        assert_eq!(has.unwrap(), want.unwrap(), "{empty:?}");
    }
    let method = Method::Timeslices(minutes(GoodWhen::All, EmptySlices::LeftOut));
    assert_eq!(prometheus::measure(prometheus(d), method, Lookback::hours(1), |_| None), Ok(Measure::NoData));
}

#[test]
fn cloudwatch_is_asked_in_three_fetches() {
    let d = &definitions("minimal-cloudwatch.yaml")[0];
    let mut windows = d.objective.windows();
    windows.push(Lookback::days(30));
    let fetches = cloudwatch::fetches(cloudwatch(d), d.objective.method, &windows);
    let shape: Vec<String> = fetches
        .iter()
        .map(|f| {
            let windows: Vec<String> = f.windows.iter().map(ToString::to_string).collect();
            format!("{}s back {}: {}", f.period_secs, f.reach, windows.join(" "))
        })
        .collect();
    assert_eq!(shape, ["60s back 2h: 5m 30m 1h 2h", "300s back 3d: 6h 1d 3d", "3600s back 30d: 30d"]);
    assert_eq!(fetches[0].region.as_deref(), Some("eu-west-1"));
    let What::Stat { metric, stat } = &fetches[0].queries[0].what else { panic!() };
    assert_eq!((metric.name.as_str(), stat.as_str()), ("HTTPCode_Target_5XX_Count", "Sum"));
    assert_eq!(metric.dimensions[0].0, "LoadBalancer");
}

#[test]
fn latency_in_cloudwatch_is_a_percentile_rank() {
    let d = &definitions("latency.yaml")[2];
    let signal = cloudwatch(d);
    let fetches = cloudwatch::fetches(signal, d.objective.method, &[Lookback::hours(1), Lookback::days(14)]);
    assert_eq!((fetches.len(), fetches[0].period_secs), (1, 60), "slices are the periods");
    let stats: Vec<String> = fetches[0]
        .queries
        .iter()
        .map(|q| match &q.what {
            What::Stat { stat, .. } => format!("{} {stat}", q.id),
            What::Expression(e) => e.clone(),
        })
        .collect();
    assert_eq!(stats, ["some PR(:0.3)", "total SampleCount"]);
    let some: Points = [(0, 90.0), (60, 100.0)].into();
    let all: Points = [(0, 1000.0), (60, 10.0), (120, 5.0), (180, 0.0)].into();
    let periods = cloudwatch::periods(signal, &some, &all).unwrap();
    assert_eq!(periods[2], (120, Measure::NoData), "a rank that is missing is not zero");
    assert_eq!(periods[3], (180, Measure::NoTraffic));
    // The sum of counts, and not the mean of ranks.
    let sum = cloudwatch::over(&periods, Method::Occurrences, 60, 240, Lookback::minutes(4));
    assert_eq!(sum, Measure::whole(100, 1010).unwrap());
    let sliced = cloudwatch::over(&periods, d.objective.method, 60, 240, Lookback::minutes(4));
    assert_eq!(sliced, Measure::whole(1, 2).unwrap());
}

#[test]
fn a_percentile_of_a_slice_is_good_or_bad_and_never_averaged() {
    let d = &definitions("latency.yaml")[4];
    let signal = cloudwatch(d);
    let fetches = cloudwatch::plan(&d.objective, signal, now());
    assert_eq!((fetches.len(), fetches[0].period_secs), (1, 300), "slices are the periods");
    let [query] = fetches[0].queries.as_slice() else { panic!("one query") };
    let What::Stat { metric, stat } = &query.what else { panic!("a statistic") };
    assert_eq!((metric.name.as_str(), stat.as_str(), query.id), ("TargetResponseTime", "p99", cloudwatch::ALL));
    let end = now().timestamp().div_euclid(300) * 300;
    // Over two hours: two slices just good, one far from it, one without data. Their mean would be bad.
    let all: Points = [(end - 300, 0.3), (end - 600, 0.3), (end - 900, 9.0)].into();
    let periods = cloudwatch::periods(signal, &Points::new(), &all).unwrap();
    let over = |minutes| cloudwatch::over(&periods, d.objective.method, 300, end, Lookback::minutes(minutes));
    assert_eq!((over(10), over(20)), (Measure::whole(0, 2).unwrap(), Measure::whole(1, 3).unwrap()));
    let answer = Answer { period_secs: 300, end, some: Points::new(), all };
    let r = cloudwatch::readings(&d.objective, signal, now(), &[answer]).unwrap();
    assert_eq!(r.over(Lookback::hours(2)), Measure::whole(1, 3).unwrap());
    assert_eq!(r.period, Measure::whole(1, 3).unwrap());
}

#[test]
fn a_search_is_asked_for_the_points_of_each_fetch() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slo/valid/minimal-cloudwatch.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, total) = text.split_once("        total:").unwrap();
    let (_, after) = total.split_once("  objectives:").unwrap();
    let search = "\"SUM(SEARCH('{AWS/ApplicationELB,LoadBalancer} MetricName=\\\"RequestCount\\\"', 'Sum', 60))\"";
    let total = format!(
        "        total:\n          metricSource:\n            type: CloudWatch\n            spec: {{region: eu-west-1, \
         expression: {search}}}\n"
    );
    let outcome = quarterdeck::slo::read(&[Source::new("x", format!("{before}{total}  objectives:{after}"))]);
    assert!(!outcome.has_errors(), "{:?}", outcome.found);
    let d = &outcome.definitions[0];
    let periods: Vec<String> = cloudwatch::plan(&d.objective, cloudwatch(d), now())
        .iter()
        .map(|f| match &f.queries[1].what {
            What::Expression(text) => text.rsplit_once(", ").unwrap().1.to_owned(),
            What::Stat { .. } => panic!("an expression"),
        })
        .collect();
    assert_eq!(periods, ["60))", "300))", "3600))"]);
}

#[test]
fn sparse_errors_are_zero_only_where_there_was_traffic() {
    let d = &definitions("minimal-cloudwatch.yaml")[0];
    let some: Points = [(60, 3.0), (300, 1.0)].into();
    let all: Points = [(0, 100.0), (60, 100.0), (120, 0.0), (300, 50.0)].into();
    let periods = cloudwatch::periods(cloudwatch(d), &some, &all).unwrap();
    let of = |at| periods.iter().find(|(t, _)| *t == at).map(|(_, m)| *m);
    assert_eq!(of(0), Some(Measure::whole(0, 100).unwrap()));
    assert_eq!((of(120), of(180)), (Some(Measure::NoTraffic), None));
    // The window ends where the newest complete period does: what begins at 300 is not in it.
    let over = |end, window| cloudwatch::over(&periods, Method::Occurrences, 60, end, Lookback::minutes(window));
    assert_eq!(over(300, 5), Measure::whole(3, 200).unwrap());
    assert_eq!(over(300, 4), Measure::whole(3, 100).unwrap());
    assert_eq!(over(300, 2), Measure::NoData);
    assert_eq!(over(300, 3), Measure::NoTraffic);
    assert_eq!(over(360, 1), Measure::whole(1, 50).unwrap());
    let impossible: Points = [(0, 101.0)].into();
    assert!(cloudwatch::periods(cloudwatch(d), &impossible, &all).is_err());
}

fn series(name: &str, labels: &[(&str, &str)], value: f64) -> Series {
    let mut all: BTreeMap<String, String> = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    all.insert("__name__".to_owned(), name.to_owned());
    (all, value)
}

fn found() -> Vec<Recorded> {
    let sloth = [("sloth_id", "shop-requests"), ("sloth_service", "shop"), ("sloth_slo", "requests")];
    recorded(&[
        series("slo:objective:ratio", &sloth, 0.999_000_000_000_000_1),
        series("slo:time_period:days", &sloth, 28.0),
        series("sloth_slo_info", &sloth, 1.0),
        series("pyrra_objective", &[("slo", "api \"x\""), ("namespace", "prod")], 0.99),
        series("pyrra_window", &[("slo", "api \"x\""), ("namespace", "prod")], 604_800.0),
        series("pyrra_objective", &[("slo", "no-window")], 0.99),
        series("up", &[], 1.0),
    ])
}

#[test]
fn recorded_objectives_are_recognised() {
    let all = found();
    assert_eq!(all.len(), 2);
    let (pyrra, sloth) = (&all[0], &all[1]);
    assert_eq!((pyrra.recorder, pyrra.name.as_str(), pyrra.period), (Recorder::Pyrra, "api \"x\"", Lookback::days(7)));
    assert_eq!(
        (sloth.recorder, sloth.name.as_str(), sloth.service.as_deref()),
        (Recorder::Sloth, "requests", Some("shop"))
    );
    assert_eq!((sloth.target.ppb(), sloth.period), (999_000_000, Lookback::days(28)));
    assert_eq!((sloth.recorder.caveat(), pyrra.recorder.caveat()), (Some("time-weighted"), None));
    // Pyrra scales windows, Sloth factors.
    assert_eq!(pyrra.rows()[0].to_string(), "page when 15m and 1m are over 14");
    assert_eq!(sloth.rows()[0].to_string(), "page when 1h and 5m are over 13.44");
}

#[test]
fn what_is_recorded_is_asked_for_by_its_name() {
    let all = found();
    let (pyrra, sloth) = (&all[0], &all[1]);
    let sloth_labels = "sloth_id=\"shop-requests\",sloth_service=\"shop\",sloth_slo=\"requests\"";
    assert_eq!(sloth.left(), format!("slo:period_error_budget_remaining:ratio{{{sloth_labels}}}"));
    assert_eq!(sloth.indicator(), format!("1 - slo:sli_error:ratio_rate4w{{{sloth_labels}}}"));
    assert_eq!(
        sloth.burn(Lookback::hours(1)).unwrap(),
        format!("slo:sli_error:ratio_rate1h{{{sloth_labels}}} / 0.001")
    );
    assert_eq!(sloth.burn(Lookback::hours(4)), None);
    let pyrra_labels = "slo=\"api \\\"x\\\"\",namespace=\"prod\"";
    assert_eq!(pyrra.left(), format!("1 - (1 - pyrra_availability{{{pyrra_labels}}}) / 0.01"));
    assert_eq!(
        pyrra.burn(Lookback::minutes(90)).unwrap(),
        "{__name__=~\".+:burnrate1h30m\",slo=\"api \\\"x\\\"\"} / 0.01",
        "what it calls a burn rate is an error ratio"
    );
    assert_eq!(pyrra.error_ratio(Lookback::hours(1)), None);
}

#[test]
fn raw_ratios_have_no_counts() {
    let d = &definitions("warnings.yaml")[0];
    let value = |role| (role == Role::ErrorRatio).then_some(0.25);
    let m = prometheus::measure(prometheus(d), Method::Occurrences, Lookback::hours(1), value).unwrap();
    assert_eq!((m.indicator(), m.counts()), (Indicator::Ratio(Fraction::new(3, 4)), None));
}

fn now() -> Timestamp {
    "2026-11-25T08:30:00Z".parse().unwrap()
}

#[test]
fn from_question_to_verdict() {
    let d = &definitions("minimal-prometheus.yaml")[0];
    let plan = prometheus::plan(&d.objective, prometheus(d), now());
    // 5m 30m 1h 2h 6h 1d 3d and the period, each with two roles.
    assert_eq!(plan.len(), 16);
    assert!(plan[15].expr.contains("[30d]"));
    let errors = |window: Lookback| if window <= Lookback::hours(1) { 0.02 } else { 0.0001 };
    let value = |window: Lookback, role| {
        let total = f64::from(u32::try_from(window.secs()).unwrap()) * 10.0;
        Some(if role == Role::Bad { total * errors(window) } else { total })
    };
    let readings = prometheus::readings(&d.objective, prometheus(d), now(), value).unwrap();
    let a = assess(&d.objective, &readings, now());
    assert_eq!((a.state, a.left), (State::Page, Some(Fraction::new(9, 10))));
    let wrong = prometheus::readings(&d.objective, prometheus(d), now(), |_, role| {
        Some(if role == Role::Bad { 2.0 } else { 1.0 })
    });
    assert_eq!(wrong.unwrap_err().0, Lookback::days(30));
}

#[test]
fn a_calendar_period_is_asked_for_since_it_began() {
    let d = &definitions("calendar.yaml")[0];
    let plan = prometheus::plan(&d.objective, prometheus(d), now());
    // From 31 October, 23:00 UTC: 24 days, 9 hours and a half.
    assert!(plan.last().unwrap().expr.contains("[35130m]"), "{:?}", plan.last());
}

#[test]
fn the_newest_minutes_complete_the_hours() {
    let d = &definitions("minimal-cloudwatch.yaml")[0];
    let signal = cloudwatch(d);
    let end = now().timestamp();
    let hour = end - 3600;
    let points =
        |secs: i64, upto: i64, n: i64, value: f64| -> Points { (1..=n).map(|i| (upto - i * secs, value)).collect() };
    let answers = [
        Answer { period_secs: 60, end, some: points(60, end, 120, 1.0), all: points(60, end, 120, 100.0) },
        Answer { period_secs: 300, end, some: Points::new(), all: points(300, end, 864, 500.0) },
        Answer { period_secs: 3600, end: hour, some: Points::new(), all: points(3600, hour, 721, 6000.0) },
    ];
    let r = cloudwatch::readings(&d.objective, signal, now(), &answers).unwrap();
    assert_eq!(r.over(Lookback::minutes(5)), Measure::whole(5, 500).unwrap());
    assert_eq!(r.over(Lookback::hours(6)), Measure::whole(0, 36_000).unwrap());
    // 719 hours up to the full one, and an hour of five-minute points since: no point is counted twice.
    let total = r.period.counts().unwrap().total();
    assert!((total - (719.0 * 6000.0 + 12.0 * 500.0)).abs() < 1.0, "{total}");
    // Nothing lately, though the hours are full, is no data for the verdict.
    let stale = [Answer { period_secs: 60, end, ..Answer::default() }, answers[1].clone(), answers[2].clone()];
    let r = cloudwatch::readings(&d.objective, signal, now(), &stale).unwrap();
    assert_eq!(assess(&d.objective, &r, now()).state, State::NoData);
}
