use super::*;
use crate::domain::slo::{Indicator, Lookback, State};
use crate::slo::plan::cloudwatch::Points;

const FILE: &str = include_str!("../../../../scenarios/slo/ecs.yaml");

fn definition(text: &str) -> Definition {
    let outcome = crate::slo::read(&[crate::config::diagnostic::Source::new("ecs.yaml", text)]);
    outcome.definitions.into_iter().next().unwrap()
}

fn signal(text: &str) -> CloudWatchSignal {
    let Signal::CloudWatch(signal) = definition(text).signal else { panic!("over CloudWatch") };
    signal
}

fn known(name: &str, region: &str, number: Option<&str>) -> Known {
    Known { names: vec!["shop".into(), name.into()], region: Ok(region.into()), number: number.map(str::to_owned) }
}

#[test]
fn region_and_account_choose_who_is_asked() {
    let all = [
        known("one", "us-east-1", Some("1")),
        known("two", "eu-west-1", Some("2")),
        known("three", "eu-west-1", Some("3")),
    ];
    let s = signal(FILE);
    assert_eq!(choose(&s, None, &all[..2]), Ok((1, String::new())));
    let (at, remark) = choose(&s, None, &all).unwrap();
    assert!(at == 1 && remark.contains("several accounts fit, two"), "{remark}");
    assert_eq!(choose(&s, Some("three"), &all), Ok((2, String::new())));
    let numbered = signal(&FILE.replace("region: eu-west-1", "region: eu-west-1\n              accountId: \"3\""));
    assert_eq!(choose(&numbered, None, &all), Ok((2, String::new())));
    let why = choose(&numbered, None, &all[..2]).unwrap_err();
    assert!(why.contains("no AWS account 3 in eu-west-1 is read"), "{why}");
    let why = choose(&numbered, None, &[known("late", "eu-west-1", None)]).unwrap_err();
    assert!(why.contains("late may be account 3"), "{why}");
    let why = choose(&numbered, None, &[known("late", "us-east-1", None)]).unwrap_err();
    assert!(why.contains("no AWS account 3 in eu-west-1 is read"), "{why}");
    let why = choose(&s, None, &all[..1]).unwrap_err();
    assert!(why.contains("no AWS account in eu-west-1 is read"), "{why}");
    let anywhere = signal(&FILE.replace("region: eu-west-1", ""));
    assert_eq!(choose(&anywhere, None, &all[..2]).unwrap().0, 0);
    let torn = signal(&FILE.replacen("region: eu-west-1", "region: eu-west-2", 1));
    assert!(choose(&torn, None, &all).unwrap_err().contains("different"));
    let blind = [Known { region: Err("no AWS region".into()), ..known("x", "", None) }];
    assert!(choose(&s, None, &blind).unwrap_err().contains("no AWS region"));
}

fn at(minute: i64) -> crate::domain::Timestamp {
    crate::domain::Timestamp::from_timestamp(1_763_596_800 + minute * 60, 0).unwrap()
}

fn tracked() -> Tracked {
    let d = definition(FILE);
    let Signal::CloudWatch(s) = d.signal else { panic!("over CloudWatch") };
    Tracked::new(d.objective, From::Read(Box::new(s)), Text::empty())
}

/// Whole periods before minute `until`, each with this value a minute.
fn points(secs: i64, n: i64, until: i64, value: f64) -> Points {
    let end = at(until).timestamp().div_euclid(secs) * secs;
    (1..=n).map(|i| (end - i * secs, value * f64::from(i32::try_from(secs / 60).unwrap()))).collect()
}

fn burn(t: &Tracked, minutes: u64) -> Option<f64> {
    let row = t.row(&ClusterId::new("x"));
    let a = row.assessment.unwrap();
    a.burns.iter().find(|(w, _)| *w == Lookback::minutes(minutes))?.1.map(crate::domain::slo::Fraction::value)
}

/// A round at `minute`, of errors in the last `bad` minutes only; what has come is up to `come`.
fn look(t: &mut Tracked, minute: i64, tick: Instant, bad: i64, come: i64) -> Vec<u32> {
    let asked: Vec<u32> = t.due(0, at(minute), tick, 1).iter().map(|a| a.period_secs).collect();
    for secs in &asked {
        let (n, secs) = (if *secs == 60 { 180 } else { 900 }, i64::from(*secs));
        let some = if secs == 60 { points(secs, bad, come, 2.0) } else { Points::new() };
        t.take(u32::try_from(secs).unwrap(), Ok((some, points(secs, n, come, 100.0))), at(minute), tick);
    }
    t.assess(at(minute), tick, 1);
    asked
}

#[tokio::test(start_paused = true)]
async fn what_is_late_is_no_fall_and_what_is_missing_no_zero() {
    let (mut t, tick) = (tracked(), Instant::now());
    assert_eq!(look(&mut t, 1000, tick, 10, 998), [60, 300, 3600]);
    assert!((burn(&t, 5).unwrap() - 20.0).abs() < 1e-9, "{:?}", burn(&t, 5));
    assert!((burn(&t, 30).unwrap() - 20.0 / 3.0).abs() < 1e-9);
    // A minute later only minutes are asked for, and none has come yet: the windows end where they did.
    let later = tick + MINUTE;
    assert_eq!(look(&mut t, 1001, later, 10, 998), [60]);
    assert!((burn(&t, 5).unwrap() - 20.0).abs() < 1e-9, "{:?}", burn(&t, 5));
    // A minute that still grows is not looked at, though it has a point already.
    t.take(60, Ok((Points::new(), [(at(999).timestamp(), 5.0)].into())), at(1001), later);
    t.assess(at(1001), later, 1);
    assert!((burn(&t, 5).unwrap() - 20.0).abs() < 1e-9);
    // Half an hour without any: not zero, and not fine.
    let much = tick + MINUTE * 30;
    look(&mut t, 1030, much, 0, 998);
    let row = t.row(&ClusterId::new("x"));
    assert_eq!((burn(&t, 5), row.state()), (None, Some(State::NoData)), "{row:?}");
    // The month is known nevertheless.
    assert!(matches!(row.assessment.unwrap().indicator, Indicator::Ratio(_)));
}

#[tokio::test(start_paused = true)]
async fn long_periods_are_asked_for_rarely() {
    let (mut t, tick) = (tracked(), Instant::now());
    let mut asked = BTreeMap::<u32, usize>::new();
    for minute in 0..600 {
        let tick = tick + MINUTE * minute;
        for period in look(&mut t, 1000 + i64::from(minute), tick, 0, 998 + i64::from(minute)) {
            *asked.entry(period).or_default() += 1;
        }
        // No window ever lacks its middle, though its parts are of different age.
        let row = t.row(&ClusterId::new("x"));
        let counts = row.assessment.unwrap().counts.unwrap().total();
        assert!((counts - 4_320_000.0).abs() < 200_000.0 || counts < 4_320_000.0, "{counts}");
    }
    assert_eq!(asked, [(60, 600), (300, 40), (3600, 10)].into());
    // Ten times slower costs a tenth of what costs most.
    let mut t = tracked();
    let slow = (0..600).flat_map(|m| t.due(0, at(m), tick + MINUTE * u32::try_from(m).unwrap(), 10));
    assert_eq!(slow.filter(|a| a.period_secs == 60).count(), 60);
}

#[tokio::test(start_paused = true)]
async fn only_what_is_new_is_asked_for_again() {
    let (mut t, tick) = (tracked(), Instant::now());
    let first = t.due(0, at(1000), tick, 1);
    let from: Vec<i64> = first.iter().map(|a| at(1000).timestamp() - a.from).collect();
    assert!(from[0] >= 3 * 3600 && from[1] >= 3 * 86_400 && from[2] >= 30 * 86_400, "{from:?}");
    // Unanswered, it is asked for whole.
    t.again(60, &Text::new("throttled"));
    assert!(t.row(&ClusterId::new("x")).note.contains("throttled"));
    assert_eq!(t.due(0, at(1000), tick, 1)[0].from, first[0].from);
    t.take(60, Ok((Points::new(), points(60, 180, 998, 100.0))), at(1000), tick);
    let again = t.due(0, at(1001), tick + MINUTE, 1);
    assert_eq!((again.len(), at(1001).timestamp() - again[0].from), (1, 13 * 60));
}

#[tokio::test(start_paused = true)]
async fn failures_that_end_later_than_they_began_are_no_mistake() {
    let (mut t, tick) = (tracked(), Instant::now());
    t.due(0, at(1000), tick, 1);
    let mut all = points(60, 180, 998, 1.0);
    let late = *all.keys().next_back().unwrap();
    all.insert(late, 1.0);
    t.take(60, Ok(([(late, 3.0)].into(), all.clone())), at(1000), tick);
    t.assess(at(1000), tick, 1);
    let row = t.row(&ClusterId::new("x"));
    assert!(burn(&t, 5).is_some_and(|b| b > 100.0) && row.note.contains("late ones"), "{row:?}");
    // More failures than requests altogether: the wrong metrics.
    t.take(60, Ok(([(late, 3000.0)].into(), all)), at(1000), tick);
    t.assess(at(1000), tick, 1);
    assert_eq!(t.row(&ClusterId::new("x")).state(), Some(State::NoData));
    // What CloudWatch refuses is said in the row.
    t.take(60, Err(Text::new("ValidationError: no such statistic")), at(1000), tick);
    assert!(t.row(&ClusterId::new("x")).note.contains("no such statistic"));
}
