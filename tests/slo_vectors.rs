//! The published vectors of error budgets, and laws that hold for all of them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use chrono::{NaiveDate, NaiveDateTime};
use proptest::prelude::*;
use quarterdeck::domain::slo::rolling::Consumed;
use quarterdeck::domain::slo::{
    Assessment, Basis, Buckets, EmptySlices, Exhaustion, Factor, Fraction, GoodWhen, Indicator, Lookback, MIN_BAD,
    Measure, Method, Objective, Period, Quantile, Readings, Row, RowState, Severity, Slicing, State, Target, Unit,
    assess,
};
use quarterdeck::domain::{Text, Timestamp};
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("slo/vectors.json")).unwrap()
}

fn now() -> Timestamp {
    "2026-11-25T08:00:00Z".parse().unwrap()
}

fn objective(target: &str, period: Period) -> Objective {
    Objective {
        slo: Text::new("s"),
        objective: None,
        title: Text::new("s"),
        service: Text::new("s"),
        description: Text::empty(),
        runbook: None,
        indicator: Text::empty(),
        target: Target::parse(target).unwrap(),
        period,
        method: Method::Occurrences,
        basis: Basis::SoFar,
        rows: Row::usual(period.nominal()),
        min_bad: MIN_BAD,
    }
}

fn rolling(days: u64) -> Period {
    Period::Rolling(Lookback::days(days))
}

/// `5m 1/3000, 1h 2/36000` as readings; `W` is the period.
fn readings(text: &str) -> Readings {
    let mut out = Readings::default();
    for part in text.split(',') {
        let (window, counts) = part.trim().split_once(' ').unwrap();
        let (bad, total) = counts.split_once('/').unwrap();
        let measure = Measure::whole(bad.parse().unwrap(), total.parse().unwrap()).unwrap();
        if window == "W" {
            out.period = measure;
        } else {
            out.windows.insert(window.parse().unwrap(), measure);
        }
    }
    out
}

fn near(has: f64, want: f64) -> bool {
    (has - want).abs() <= 1e-9 * want.abs().max(1.0)
}

fn burns(a: &Assessment) -> BTreeMap<String, Option<f64>> {
    a.burns.iter().map(|(w, b)| (w.to_string(), b.map(Fraction::value))).collect()
}

/// The table of the semantics: readings, left, burns, state, and the row that fires.
#[test]
fn the_lettered_vectors() {
    let row = |long: &str| Some(long.to_owned());
    let table = [
        (
            "A",
            "W 6000/25920000, 5m 1/3000, 30m 9/18000, 1h 20/36000, 2h 40/72000, 6h 120/216000, 1d 400/864000, 3d 1500/2592000",
            Some(0.7685),
            "5m 0.333, 30m 0.500, 1h 0.556, 2h 0.556, 6h 0.556, 1d 0.463, 3d 0.579",
            State::Fine,
            None,
        ),
        (
            "B",
            "W 20000/25920000, 5m 60/3000, 30m 330/18000, 1h 600/36000, 6h 700/216000",
            Some(0.2284),
            "5m 20.000, 30m 18.333, 1h 16.667, 6h 3.241",
            State::Page,
            row("1h"),
        ),
        ("C", "W 20000/25920000, 5m 2/3000, 1h 600/36000", Some(0.2284), "5m 0.667, 1h 16.667", State::Fine, None),
        (
            "D",
            "W 15000/25920000, 5m 20/3000, 30m 120/18000, 1h 240/36000, 6h 1400/216000",
            Some(0.4213),
            "5m 6.667, 30m 6.667, 1h 6.667, 6h 6.481",
            State::Page,
            row("6h"),
        ),
        (
            "E",
            "W 15000/25920000, 5m 8/3000, 30m 54/18000, 1h 110/36000, 2h 230/72000, 6h 800/216000, 1d 2700/864000",
            Some(0.4213),
            "5m 2.667, 30m 3.000, 1h 3.056, 2h 3.194, 6h 3.704, 1d 3.125",
            State::Ticket,
            row("1d"),
        ),
        (
            "F",
            "W 15000/25920000, 2h 70/72000, 6h 230/216000, 1d 900/864000, 3d 2700/2592000",
            Some(0.4213),
            "2h 0.972, 6h 1.065, 1d 1.042, 3d 1.042",
            State::Ticket,
            row("3d"),
        ),
        ("H", "5m 0/0, 1h 0/0", None, "", State::NoTraffic, None),
        ("I", "5m 1/4, 1h 1/40", None, "5m 250, 1h 25", State::FewEvents, None),
    ];
    for (name, given, left, burn, state, fires) in table {
        let a = assess(&objective("0.999", rolling(30)), &readings(given), now());
        assert_eq!(a.left.map(|l| (l.value() * 1e4).round() / 1e4), left, "{name}");
        for part in burn.split(',').filter(|p| !p.is_empty()) {
            let (window, want) = part.trim().split_once(' ').unwrap();
            let has = burns(&a)[window].unwrap();
            assert!((has - want.parse::<f64>().unwrap()).abs() < 6e-4, "{name} {window}: {has}");
        }
        assert_eq!(a.state, state, "{name}: {:?}", a.rows);
        let over = a.rows.iter().find(|(_, s)| *s == RowState::Over).map(|(r, _)| r.long.to_string());
        assert_eq!(over, fires, "{name}");
    }
}

#[test]
fn vector_g_is_exhausted_though_nothing_fires() {
    let a = assess(&objective("0.995", rolling(28)), &readings("W 7000/1000000, 1h 12/1000"), now());
    assert_eq!(a.left, Some(Fraction::new(-4, 10)));
    assert_eq!(a.left.unwrap().percent(2), "-40.00%");
    assert_eq!((a.state, a.exhaustion, a.firing), (State::Exhausted, Exhaustion::Exhausted, None));
    assert!(near(burns(&a)["1h"].unwrap(), 2.4));
    assert_eq!(objective("0.995", rolling(28)).rows[0].factor.to_string(), "13.44");
}

#[test]
fn vector_h_knows_nothing_from_silence() {
    let o = objective("0.999", rolling(30));
    let a = assess(&o, &readings("W 0/0, 5m 0/0, 1h 0/0"), now());
    assert_eq!((a.indicator, a.left, a.exhaustion), (Indicator::NoTraffic, None, Exhaustion::Unknown));
    assert_eq!(a.rows[0].1, RowState::NoTraffic);
    let a = assess(&o, &Readings::default(), now());
    assert_eq!((a.indicator, a.state, a.rows[0].1), (Indicator::NoData, State::NoData, RowState::NoData));
    // Zero errors are neither.
    let a = assess(&o, &readings("W 0/100, 5m 0/3, 1h 0/30"), now());
    assert_eq!((a.indicator, a.state), (Indicator::Ratio(Fraction::new(1, 1)), State::Fine));
    assert_eq!((a.left, a.exhaustion), (Some(Fraction::new(1, 1)), Exhaustion::NotAtThisRate));
    // An hour that was fine does not answer for five minutes without data.
    let a = assess(&o, &readings("W 0/100, 1h 0/30"), now());
    assert_eq!((a.state, a.rows[0].1), (State::NoData, RowState::Under));
}

#[test]
fn vector_i_has_too_few_events() {
    let mut o = objective("0.999", rolling(30));
    let a = assess(&o, &readings("5m 1/4, 1h 1/40"), now());
    assert_eq!((a.rows[0].1, a.firing, a.low_traffic), (RowState::FewEvents, None, true));
    o.min_bad = 1;
    assert_eq!(assess(&o, &readings("5m 1/4, 1h 1/40"), now()).state, State::Page);
}

#[test]
fn times_to_exhaustion() {
    let o = objective("0.999", rolling(30));
    let days = |given: &str| match assess(&o, &readings(given), now()).exhaustion {
        Exhaustion::In(secs) => secs / 86400.0,
        other => panic!("{other:?}"),
    };
    assert!((days("W 6000/25920000, 1h 20/36000") - 41.5).abs() < 0.01);
    assert!((days("W 20000/25920000, 1h 600/36000") * 24.0 - 9.87).abs() < 0.01);
}

fn row_names(pyrra: bool) -> [&'static str; 4] {
    if pyrra {
        ["warning-1", "warning-2", "warning-3", "warning-4"]
    } else {
        ["page-quick", "page-slow", "ticket-quick", "ticket-slow"]
    }
}

#[test]
fn the_numbered_vectors() {
    let all = vectors();
    let all = all["windows"].as_array().unwrap();
    assert_eq!(all.len(), 11);
    for v in all {
        let name = v["name"].as_str().unwrap();
        let period: Lookback = v["period"].as_str().unwrap().parse().unwrap();
        let mut o = objective(v["target"].as_str().unwrap(), Period::Rolling(period));
        o.min_bad = v["min_bad"].as_u64().unwrap_or(1).try_into().unwrap();
        let pyrra = name.contains("Pyrra");
        if pyrra {
            o.rows = Row::pyrra(period);
        }
        let mut given = Readings::default();
        for (window, c) in v["counts"].as_object().unwrap() {
            let measure = Measure::whole(c["bad"].as_u64().unwrap(), c["total"].as_u64().unwrap()).unwrap();
            given.windows.insert(window.parse().unwrap(), measure);
        }
        given.period = given.over(period);
        let a = assess(&o, &given, now());
        let want = &v["expect"];
        let Indicator::Ratio(sli) = a.indicator else { panic!("{name}") };
        let counts = a.counts.unwrap();
        for (has, key) in [
            (sli.value(), "sli"),
            (a.consumed.unwrap().value(), "consumed"),
            (a.left.unwrap().value(), "remaining"),
            (a.allowed_bad.unwrap(), "allowed_bad"),
            (a.allowed_bad.unwrap() - counts.bad(), "bad_left"),
        ] {
            assert!(near(has, want[key].as_f64().unwrap()), "{name} {key}: {has}");
        }
        for (window, burn) in want["burn"].as_object().unwrap() {
            match (burns(&a)[window], burn.as_f64()) {
                (Some(has), Some(want)) => assert!(near(has, want), "{name} {window}: {has}"),
                (has, want) => assert_eq!(has, want, "{name} {window}"),
            }
        }
        let fires: Vec<&str> =
            a.rows.iter().zip(row_names(pyrra)).filter(|(r, _)| r.1 == RowState::Over).map(|r| r.1).collect();
        let wanted: Vec<&str> = want["fires"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
        assert_eq!(fires, wanted, "{name}");
        assert_eq!(a.firing.map_or("none", Severity::word), want["severity"], "{name}");
        match (a.exhaustion, want["tte_naive_s"].as_f64()) {
            (Exhaustion::In(has), Some(want)) => assert!(near(has, want), "{name}: {has}"),
            (has, _) => {
                assert_eq!((has, want["tte_naive_s"].as_str()), (Exhaustion::Unknown, Some("unknown")), "{name}");
            }
        }
        assert!(o.rows.iter().all(|r| !r.factor.unreachable(o.target)), "{name}");
    }
}

#[test]
fn latency_from_buckets() {
    let all = vectors();
    let h = &all["other"]["histogram"];
    let bound = |v: &Value| v.as_f64().unwrap_or(f64::INFINITY);
    let list = h["buckets"].as_array().unwrap().iter().map(|b| (bound(&b[0]), b[1].as_f64().unwrap())).collect();
    let buckets = Buckets::new(list).unwrap();
    assert_eq!(buckets.within(0.5), Ok(990.0));
    assert_eq!(buckets.within(0.3), Err(vec![0.1, 0.25, 0.5, 1.0]));
    assert!(near(buckets.fraction(0.3).unwrap(), h["fraction_0.3_interpolated"].as_f64().unwrap()));
    for (q, want) in h["quantiles"].as_object().unwrap() {
        let want = want.as_f64().unwrap();
        match buckets.quantile(q.parse().unwrap()).unwrap() {
            Quantile::About(has) => assert!((has - want).abs() < 1e-9, "{q}: {has}"),
            Quantile::Above(has) => assert_eq!((q.as_str(), has.to_bits()), ("0.999", want.to_bits())),
        }
    }
    let measure = Measure::from_good(990.0, buckets.total()).unwrap();
    let burn = measure.burn(Target::parse("0.99").unwrap()).unwrap();
    assert_eq!(burn, Fraction::new(1, 1));
    assert!(burn.rest().is_zero(), "nothing is left");
    assert!(!burn.compare_to(1, 1).is_gt(), "and yet it is not over 1");
}

#[test]
fn slices_of_a_week() {
    let all = vectors();
    let v = &all["other"]["time_slices"];
    let target = Target::parse("0.9995").unwrap();
    let slicing = Slicing { slice: Lookback::minutes(1), good: GoodWhen::Share(target), empty: EmptySlices::LeftOut };
    let mut o = objective("0.9995", rolling(7));
    o.method = Method::Timeslices(slicing);
    for (bad, key) in [(4, "remaining_after_4_bad"), (6, "remaining_after_6_bad")] {
        let slices = (0..10_080).map(|i| Measure::whole(u64::from(i < bad), 1).unwrap());
        let given = Readings { period: o.method.count(slices), ..Readings::default() };
        let a = assess(&o, &given, now());
        assert!((a.left.unwrap().value() - v[key].as_f64().unwrap()).abs() < 1e-9, "{key}");
        assert!(near(a.allowed_bad.unwrap(), v["allowed_bad"].as_f64().unwrap()));
    }
    // In time: 5 min 2.4 s.
    assert!(near(o.budget_secs(Lookback::days(7)), 302.4));
}

#[test]
fn months_in_new_york() {
    let all = vectors();
    let v = &all["other"]["calendar"];
    let period = Period::Calendar {
        unit: Unit::Month,
        count: 1,
        anchor: NaiveDateTime::parse_from_str("2026-01-01 00:00:00", "%Y-%m-%d %H:%M:%S").unwrap(),
        zone: v["tz"].as_str().unwrap().parse().unwrap(),
    };
    let middle = |month: &str| {
        NaiveDate::parse_from_str(&format!("{month}-15"), "%Y-%m-%d").unwrap().and_hms_opt(0, 0, 0).unwrap().and_utc()
    };
    for (month, hours) in v["hours"].as_object().unwrap() {
        assert_eq!(period.length(middle(month)), Lookback::hours(hours.as_u64().unwrap()), "{month}");
    }
    let o = objective("0.999", period);
    for (month, minutes) in v["allowed_bad_minutes_99.9"].as_object().unwrap() {
        let secs = o.budget_secs(period.length(middle(month)));
        assert!(near(secs / 60.0, minutes.as_f64().unwrap()), "{month}: {secs}");
    }
}

#[test]
fn a_calendar_budget_is_measured_so_far_or_as_a_whole() {
    let all = vectors();
    let v = &all["other"]["calendar_occurrences"];
    let anchor = NaiveDateTime::parse_from_str("2026-11-01 00:00:00", "%Y-%m-%d %H:%M:%S").unwrap();
    let period = Period::Calendar { unit: Unit::Month, count: 1, anchor, zone: "UTC".parse().unwrap() };
    let mut o = objective("0.999", period);
    let given = readings("W 7200/14400000, 1h 20/40000");
    let tenth: Timestamp = "2026-11-11T00:00:00Z".parse().unwrap();
    let a = assess(&o, &given, tenth);
    assert!(near(a.left.unwrap().value(), v["to_date"]["remaining"].as_f64().unwrap()));
    o.basis = Basis::WholePeriod;
    let a = assess(&o, &given, tenth);
    assert!((a.consumed.unwrap().value() - v["projected"]["consumed"].as_f64().unwrap()).abs() < 1e-9);
    assert!((a.left.unwrap().value() - v["projected"]["remaining"].as_f64().unwrap()).abs() < 1e-9);
    assert!(near(a.allowed_bad.unwrap() / 0.001, v["projected"]["total"].as_f64().unwrap()));
    // At a burn of 0.5, five sixths would last for fifty days: the month has twenty left.
    assert_eq!(a.exhaustion, Exhaustion::NotThisPeriod);
}

#[test]
fn errors_that_age_out() {
    let all = vectors();
    let v = &all["other"]["rolling_tte_days"];
    for (key, at) in [("half_burned_on_oldest_day", 0), ("half_burned_yesterday", 29)] {
        let mut parts = vec![0.0; 30];
        parts[at] = 0.5;
        let consumed = Consumed::new(parts, 30.0 * 86400.0).unwrap();
        for (burn, want) in v[key].as_object().unwrap() {
            let has = consumed.exhausted_in(burn.parse().unwrap()).map(|s| s / 86400.0);
            match (has, want.as_f64()) {
                (Some(has), Some(want)) => assert!((has - want).abs() < 1e-6, "{key} {burn}: {has}"),
                (has, want) => assert_eq!(has, want, "{key} {burn}"),
            }
        }
    }
    let mut parts = vec![0.0; 30];
    (parts[5], parts[20]) = (0.75, 0.5);
    let back = Consumed::new(parts, 30.0 * 86400.0).unwrap().back_in().unwrap() / 86400.0;
    assert!((back - 16.0 / 3.0).abs() < 1e-6, "{back}");
}

#[test]
fn how_soon_a_total_outage_calls_and_clears() {
    let all = vectors();
    let rows = Row::usual(Lookback::days(30));
    let index = |name: &str| usize::from(name.starts_with("6h"));
    for (target, times) in all["other"]["detection_full_outage_seconds"].as_object().unwrap() {
        for (name, want) in times.as_object().unwrap() {
            let has = rows[index(name)].fires_after(Target::parse(target).unwrap(), 1.0).unwrap();
            assert!((has - want.as_f64().unwrap()).abs() < 1e-6, "{target} {name}: {has}");
        }
    }
    for (target, times) in all["other"]["clear_after_recovery_seconds"].as_object().unwrap() {
        for (name, want) in times.as_object().unwrap() {
            let has = rows[index(name)].clears_after(Target::parse(target).unwrap());
            assert!((has - want.as_f64().unwrap()).abs() < 1e-6, "{target} {name}: {has}");
        }
    }
    assert_eq!(rows[0].fires_after(Target::parse("0.9").unwrap(), 1.0), None);
}

#[test]
fn factors_for_other_periods() {
    let all = vectors();
    let table = &all["other"]["factor_table"];
    for (days, key) in [(30, "30d"), (28, "28d"), (7, "7d_same_percent")] {
        let rows = Row::usual(Lookback::days(days));
        assert_eq!(rows.len(), 4);
        for (row, want) in rows.iter().zip(table[key].as_array().unwrap()) {
            assert!((row.factor.value() - want.as_f64().unwrap()).abs() < 1e-9, "{key}: {row}");
        }
    }
    assert_eq!(Row::usual(Lookback::days(3)).len(), 3, "a long window as long as the period says nothing");
    let target = Target::parse("0.999").unwrap();
    let wants = &all["other"]["single_failure_trips_below_total"]["0.999"];
    for (row, want) in Row::usual(Lookback::days(30)).iter().zip(wants.as_array().unwrap()) {
        assert!((row.needs_events(target) - want.as_f64().unwrap()).abs() < 1e-3, "{row}");
    }
}

#[test]
fn pyrra_scales_its_windows() {
    for (days, want) in
        [(28, "1h/5m 6h/30m 1d/2h 4d/6h"), (14, "30m/3m 3h/15m 12h/1h 2d/3h"), (7, "15m/1m 90m/8m 6h/30m 1d/90m")]
    {
        let has: Vec<String> =
            Row::pyrra(Lookback::days(days)).iter().map(|r| format!("{}/{}", r.long, r.short)).collect();
        assert_eq!(has.join(" "), want);
    }
}

#[test]
fn the_float_trap() {
    // An error ratio of exactly 0.0144 burns at exactly 14.4, which is not over 14.4.
    let o = objective("0.999", rolling(30));
    let a = assess(&o, &readings("W 1/10, 5m 144/10000, 1h 144/10000"), now());
    assert_eq!(a.rows[0].1, RowState::Under);
    let a = assess(&o, &readings("W 1/10, 5m 144/10000, 1h 1440001/100000000"), now());
    assert_eq!(a.rows[0].1, RowState::Under, "the short one is not over");
    let a = assess(&o, &readings("W 1/10, 5m 145/10000, 1h 1440001/100000000"), now());
    assert_eq!(a.rows[0].1, RowState::Over);
}

#[test]
fn a_target_of_all_is_refused() {
    let text = Target::parse("1").unwrap_err().to_string();
    assert_eq!(text, "a target of 100% leaves no budget");
    assert!(Target::parse_percent("100.0").is_err());
}

fn targets() -> impl Strategy<Value = Target> {
    (1_u32..1_000_000_000).prop_map(|n| Target::parse(&format!("0.{n:09}")).unwrap())
}

/// A minute of a history: events of which some are bad, or silence.
fn slices() -> impl Strategy<Value = Vec<Measure>> {
    let slice = prop_oneof![
        6 => (0_u64..20, 1_u64..1000).prop_map(|(bad, more)| Measure::whole(bad, bad + more).unwrap()),
        3 => (1_u64..1000).prop_map(|total| Measure::whole(0, total).unwrap()),
        1 => (1_u64..1000).prop_map(|total| Measure::whole(total, total).unwrap()),
        1 => Just(Measure::NoTraffic),
        1 => Just(Measure::NoData),
    ];
    prop::collection::vec(slice, 1..60)
}

/// Every way to count, in minutes.
fn methods() -> Vec<Method> {
    let mut all = vec![Method::Occurrences];
    for empty in [EmptySlices::LeftOut, EmptySlices::Good, EmptySlices::Bad] {
        let good = GoodWhen::Share(Target::parse("0.99").unwrap());
        let slicing = Slicing { slice: Lookback::minutes(1), good, empty };
        all.extend([Method::Timeslices(slicing), Method::RatioTimeslices(slicing)]);
    }
    all
}

/// Whether anything in this minute is against the promise.
fn is_error(method: Method, slice: &Measure) -> bool {
    let is_silent = slice.counts().is_none();
    match method {
        Method::Occurrences => slice.counts().is_some_and(|c| c.bad() > 0.0),
        Method::Timeslices(by) | Method::RatioTimeslices(by) if is_silent => by.empty == EmptySlices::Bad,
        Method::Timeslices(_) => slice.counts().is_some_and(|c| c.bad() * 100.0 > c.total()),
        Method::RatioTimeslices(_) => slice.counts().is_some_and(|c| c.bad() > 0.0),
    }
}

fn left(o: &Objective, period: Measure, at: Timestamp) -> Option<Fraction> {
    assess(o, &Readings { period, ..Readings::default() }, at).left
}

fn counts() -> impl Strategy<Value = (u64, u64)> {
    (1_u64..1_000_000_000_000).prop_flat_map(|total| (0..=total, Just(total)))
}

proptest! {
    #[test]
    fn left_and_consumed_are_one(target in targets(), (bad, total) in counts()) {
        let burn = Measure::whole(bad, total).unwrap().burn(target).unwrap();
        let left = burn.rest();
        prop_assert_eq!(left.rest(), burn);
        prop_assert!((left.value() + burn.value() - 1.0).abs() <= 1e-9 * burn.value().max(1.0));
        prop_assert_eq!(left.is_spent(), burn >= Fraction::new(1, 1));
    }

    #[test]
    fn left_falls_only_when_something_goes_wrong(target in targets(), (bad, total) in counts(), good in 0_u64..1_000_000) {
        let o = Objective { target, ..objective("0.5", rolling(30)) };
        let left = |bad, total| {
            let given = Readings { period: Measure::whole(bad, total).unwrap(), ..Readings::default() };
            assess(&o, &given, now()).left.unwrap()
        };
        prop_assert!(left(bad, total + good) >= left(bad, total));
        prop_assert!(left(bad + 1, total + 1) <= left(bad, total));
        if bad < total {
            prop_assert!(left(bad + 1, total + 1) < left(bad, total));
        }
    }

    #[test]
    fn burn_is_linear_in_bad_events(target in targets(), total in 10_u64..1_000_000, bad in 1_u64..10, k in 1_u64..1000) {
        let burn = |bad: u64, total: u64| Measure::whole(bad, total).unwrap().burn(target).unwrap();
        prop_assert_eq!(burn(bad, total * k).times(k, 1), burn(bad, total));
        prop_assert!(burn(bad, total) > burn(bad - 1, total));
    }

    #[test]
    fn windows_may_be_split(a in counts(), b in counts()) {
        let one = Measure::whole(a.0, a.1).unwrap().plus(&Measure::whole(b.0, b.1).unwrap());
        prop_assert_eq!(one, Measure::whole(a.0 + b.0, a.1 + b.1).unwrap());
        prop_assert_eq!(one, one.plus(&Measure::NoData).plus(&Measure::NoTraffic));
    }

    /// Burn over a window is the mix of the burns over its parts, each by its traffic; by slices,
    /// each by its slices. And what is counted in parts is what is counted at once.
    #[test]
    fn burn_over_a_window_is_the_mix_of_its_parts(target in targets(), all in slices(), cuts in prop::collection::vec(0_usize..60, 0..4)) {
        for method in methods() {
            let mut cuts: Vec<usize> = cuts.iter().map(|c| c % (all.len() + 1)).chain([0, all.len()]).collect();
            cuts.sort_unstable();
            let parts: Vec<Measure> =
                cuts.windows(2).map(|w| method.count(all[w[0]..w[1]].iter().copied())).collect();
            let whole = method.count(all.iter().copied());
            let sum = parts.iter().fold(Measure::NoData, |sum, part| sum.plus(part));
            let exact = !matches!(method, Method::RatioTimeslices(_));
            prop_assert!(!exact || sum == whole, "{method}: {sum:?} {whole:?}");
            let Some(burn) = whole.burn(target) else {
                prop_assert!(parts.iter().all(|p| p.burn(target).is_none()) && sum == whole, "{method}: {parts:?} {whole:?}");
                continue;
            };
            let known: Vec<(Fraction, f64)> =
                parts.iter().filter_map(|p| Some((p.burn(target)?, p.counts()?.total()))).collect();
            let traffic: f64 = known.iter().map(|(_, n)| n).sum();
            let mix = known.iter().map(|(burn, n)| burn.value() * n).sum::<f64>() / traffic;
            // Means of ratios are kept to a millionth of a slice.
            let slack = if exact { 1e-9 * mix.max(1.0) } else { 1e-5 / target.budget().value() };
            prop_assert!((burn.value() - mix).abs() <= slack, "{method}: {burn:?} {mix}");
            prop_assert!((whole.counts().unwrap().total() - traffic).abs() < 1e-3);
            if exact {
                let burns = || known.iter().map(|(burn, _)| *burn);
                prop_assert!(burns().min().unwrap() <= burn && burn <= burns().max().unwrap(), "{method}: {known:?} {burn:?}");
            }
        }
    }

    #[test]
    fn burn_grows_with_bad_events_and_bad_slices_alike(target in targets(), bad in 1_u64..1000, more in 0_u64..1000, k in 1_u64..50) {
        let total = (bad + more) * 50;
        let burn = |bad: u64| Measure::whole(bad, total).unwrap().burn(target).unwrap();
        prop_assert_eq!(burn(bad * k), burn(bad).times(k, 1));
        prop_assert!(burn(0).is_zero());
        prop_assert!((burn(bad).value() + burn(more).value() - burn(bad + more).value()).abs() <= 1e-9 * burn(bad + more).value());
        for method in methods() {
            // Bad slices among good ones, however they lie.
            let by = |bad: u64, n: u64| {
                let slices = (0..n).map(|i| Measure::whole(u64::from((i * 7) % n < bad) * 100, 100).unwrap());
                method.count(slices).burn(target).unwrap()
            };
            let n = 60 * (1 + k % 2);
            let (one, some) = (by(1, n), by(k % 40 + 1, n));
            prop_assert_eq!(some, one.times(k % 40 + 1, 1), "{}", method);
        }
    }

    /// Event by event and slice by slice: what is left falls where something went wrong, and nowhere else.
    #[test]
    fn left_falls_only_with_errors_along_a_history(target in targets(), all in slices()) {
        for method in methods() {
            let o = Objective { target, method, ..objective("0.5", rolling(30)) };
            let mut before: Option<Fraction> = None;
            for end in 1..=all.len() {
                let after = left(&o, method.count(all[..end].iter().copied()), now());
                let newest = &all[end - 1];
                if let (Some(before), Some(after)) = (before, after) {
                    // A millionth of a slice is lost where ratios are added up.
                    let fell = after < before && (before.value() - after.value()) * target.budget().value() > 2e-6;
                    prop_assert!(!fell || is_error(method, newest), "{method}: {before:?} {after:?} {newest:?}");
                    let worst = newest.counts().is_some_and(|c| c.good() <= 0.0);
                    prop_assert!(!worst || after <= before, "{method}: all bad, and {before:?} became {after:?}");
                }
                before = after.or(before);
            }
        }
    }

    /// A window that rolls over even traffic loses old errors and gains new ones; one that is measured
    /// against its whole period loses nothing by the mere passing of time.
    #[test]
    fn left_falls_only_with_errors_as_time_passes(target in targets(), bad in prop::collection::vec(prop_oneof![3 => Just(0_u64), 1 => 1_u64..100], 2..60), width in 1_usize..20) {
        let hour = |bad: &u64| Measure::whole(*bad, 100).unwrap();
        let o = Objective { target, ..objective("0.5", rolling(30)) };
        let over = |end: usize| Method::Occurrences.count(bad[end.saturating_sub(width)..end].iter().map(hour));
        for (end, newest) in bad.iter().enumerate().skip(width) {
            let (before, after) = (left(&o, over(end), now()).unwrap(), left(&o, over(end + 1), now()).unwrap());
            prop_assert!(after >= before || *newest > 0, "{:?} {:?}", before, after);
        }
        let anchor = NaiveDateTime::parse_from_str("2026-11-01 00:00:00", "%Y-%m-%d %H:%M:%S").unwrap();
        let period = Period::Calendar { unit: Unit::Month, count: 1, anchor, zone: "UTC".parse().unwrap() };
        let o = Objective { target, basis: Basis::WholePeriod, ..objective("0.5", period) };
        let start: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        let at = |end: usize| {
            let so_far = Method::Occurrences.count(bad[..end].iter().map(hour));
            left(&o, so_far, start + chrono::TimeDelta::hours(i64::try_from(end).unwrap())).unwrap()
        };
        for (end, newest) in bad.iter().enumerate().skip(1) {
            let (before, after) = (at(end), at(end + 1));
            prop_assert_eq!(after.cmp(&before), 0.cmp(newest), "{:?} {:?}", before, after);
        }
    }

    #[test]
    fn a_verdict_is_strict(bad in 2_u64..1_000_000, tenths in 10_u64..1000) {
        // Totals are chosen so that the burn is exactly the factor.
        let factor: Factor = format!("{}.{}", tenths / 10, tenths % 10).parse().unwrap();
        let mut o = objective("0.9999999", rolling(30));
        o.rows = vec![Row { severity: Severity::Page, long: Lookback::hours(1), short: Lookback::minutes(5), factor }];
        let total = bad * 100_000_000;
        let state = |bad: u64| {
            let m = Measure::whole(bad, total).unwrap();
            let windows = [(Lookback::hours(1), m), (Lookback::minutes(5), m)].into();
            assess(&o, &Readings { period: Measure::NoData, windows }, now()).rows[0].1
        };
        prop_assert_eq!(state(bad * tenths), RowState::Under);
        prop_assert_eq!(state(bad * tenths + 1), RowState::Over);
        prop_assert_eq!(state(bad * tenths - 1), RowState::Under);
    }

    #[test]
    fn fractions_are_ordered_as_their_values(a in -1_000_000_i64..1_000_000, b in 1_u32..1_000_000, c in -1_000_000_i64..1_000_000, d in 1_u32..1_000_000) {
        let (x, y) = (Fraction::new(a.into(), b.into()), Fraction::new(c.into(), d.into()));
        let want = (i128::from(a) * i128::from(d)).cmp(&(i128::from(c) * i128::from(b)));
        prop_assert_eq!(x.cmp(&y), want);
    }

    #[test]
    fn a_calendar_period_holds_now_and_touches_its_neighbours(secs in 1_600_000_000_i64..2_000_000_000, unit in 0_usize..5, count in 1_u32..4, day in 1_u32..29) {
        let unit = [Unit::Day, Unit::Week, Unit::Month, Unit::Quarter, Unit::Year][unit];
        let anchor = NaiveDate::from_ymd_opt(2022, 1, day).unwrap().and_hms_opt(2, 30, 0).unwrap();
        for zone in ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "UTC"] {
            let period = Period::Calendar { unit, count, anchor, zone: zone.parse().unwrap() };
            let t = chrono::DateTime::from_timestamp(secs, 0).unwrap();
            let (start, end) = period.bounds(t);
            prop_assert!(start <= t && t < end, "{} {} {}", start, t, end);
            prop_assert_eq!(period.bounds(end).0, end);
            prop_assert_eq!(period.bounds(start).0, start);
        }
    }
}
