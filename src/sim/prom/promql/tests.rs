//! Figures worked out by hand, and what must be refused.

use std::sync::Arc;

use super::ranges::extrapolated;
use super::*;

type Data = Vec<(&'static str, Vec<(Ms, f64)>)>;

/// `name{a="b"}` with its samples, times in seconds.
fn series(data: Data) -> Vec<Arc<Series>> {
    data.into_iter()
        .map(|(text, samples)| {
            let found = matchers(text).unwrap();
            let labels = Labels::new(found.iter().map(|m| (&m.name, &m.value)));
            let samples = samples.into_iter().map(|(t, v)| (t * 1000, v)).collect();
            Arc::new(Series::new(labels, Box::new(Literal(samples))))
        })
        .collect()
}

fn eval(data: &[Arc<Series>], text: &str, secs: Ms) -> Result<Value, Error> {
    let find = |wanted: &[ast::Matcher]| {
        Arc::new(data.iter().filter(|s| wanted.iter().all(|m| m.matches(&s.labels))).cloned().collect::<Vec<_>>())
    };
    let cache = Cache::default();
    let engine = Engine::new(&find, &cache, i64::MAX / 2);
    engine.eval(&parse(text)?, secs * 1000)
}

/// The values of a vector or a scalar, in order.
fn values(data: &[Arc<Series>], text: &str, secs: Ms) -> Vec<f64> {
    match eval(data, text, secs).unwrap_or_else(|e| panic!("{text}: {e}")) {
        Value::Scalar(n) => vec![n],
        Value::Vector(v) => v.into_iter().map(|s| s.value).collect(),
        other => panic!("{text}: {other:?}"),
    }
}

fn near(found: &[f64], wanted: &[f64]) {
    let ok = found.len() == wanted.len()
        && found
            .iter()
            .zip(wanted)
            .all(|(a, b)| (a - b).abs() < 1e-9 || (a.is_nan() && b.is_nan()) || a.total_cmp(b).is_eq());
    assert!(ok, "{found:?}, wanted {wanted:?}");
}

fn counter() -> Vec<Arc<Series>> {
    // Every 10 s, 5 a sample, from 100.
    series(vec![(
        "c{job=\"a\"}",
        (0..=30).map(|i| (i * 10, 100.0 + 5.0 * f64::from(i32::try_from(i).unwrap()))).collect(),
    )])
}

#[test]
fn rates_are_extrapolated_to_the_range() {
    let c = counter();
    // In (5 s, 65 s] are samples from 10 s to 60 s: 25 in 50 s; 5 s more at either end.
    near(&values(&c, "increase(c[1m])", 65), &[25.0 * 60.0 / 50.0]);
    near(&values(&c, "rate(c[1m])", 65), &[0.5]);
    // (0 s, 60 s]: the one at 0 s is outside. 10 s are missing at the start, less than 11.
    near(&values(&c, "increase(c[1m])", 60), &[30.0]);
    // The series ends at 300 s: 40 s are missing, so half an interval is added.
    near(&values(&c, "increase(c[2m])", 340), &[35.0 * (70.0 + 10.0 + 5.0) / 70.0]);
    near(&values(&c, "irate(c[1m])", 65), &[0.5]);
    assert!(values(&c, "rate(c[10s])", 65).is_empty(), "one sample is no rate");
    near(&values(&c, "rate(c[1m] offset 1m)", 125), &[0.5]);
}

#[test]
fn resets_are_no_loss() {
    let c = series(vec![("c", vec![(0, 100.0), (10, 110.0), (20, 3.0), (30, 9.0), (40, 2.0), (50, 4.0)])]);
    // Gained 10, then 3, 6, then 2, 2: 23 in 50 s; from -1 s, as nothing is before 0.
    let w = Window::of(&[(0, 100.0), (10_000, 110.0), (20_000, 3.0), (30_000, 9.0), (40_000, 2.0), (50_000, 4.0)]);
    let w = w.unwrap();
    near(&[w.lost], &[119.0]);
    near(&[extrapolated(&w, (-1000, 50_000), true, false).unwrap()], &[23.0 * 51.0 / 50.0]);
    near(&values(&c, "resets(c[1m])", 50), &[2.0]);
    near(&values(&c, "irate(c[1m])", 20), &[0.3]);
}

#[test]
fn a_counter_was_never_below_zero() {
    // It begins at 1 and gains 10 in 20 s: it was zero 2 s before, not 10.
    let c = series(vec![("c", vec![(40, 1.0), (50, 6.0), (60, 11.0)])]);
    near(&values(&c, "increase(c[30s])", 60), &[10.0 * 22.0 / 20.0]);
    near(&values(&c, "delta(c[30s])", 60), &[10.0 * 30.0 / 20.0]);
}

#[test]
fn quantiles_are_linear_within_a_bucket() {
    let b = |le: &'static str, n: f64| (le, vec![(0, n)]);
    let h = series(vec![
        b("h{le=\"0.1\"}", 10.0),
        b("h{le=\"0.5\"}", 30.0),
        b("h{le=\"1.0\"}", 40.0),
        b("h{le=\"+Inf\"}", 50.0),
    ]);
    // Rank 25 of 50: 15 of 20 within 0.1 to 0.5.
    near(&values(&h, "histogram_quantile(0.5, h)", 0), &[0.1 + 0.4 * 0.75]);
    near(&values(&h, "histogram_quantile(0.1, h)", 0), &[0.05]);
    near(&values(&h, "histogram_quantile(0.99, h)", 0), &[1.0]);
    near(&values(&h, "histogram_quantile(2, h)", 0), &[f64::INFINITY]);
    near(&values(&h, "histogram_quantile(0.5, h{le!=\"+Inf\"})", 0), &[f64::NAN]);
    let empty = series(vec![b("h{le=\"0.1\"}", 0.0), b("h{le=\"+Inf\"}", 0.0)]);
    near(&values(&empty, "histogram_quantile(0.5, h)", 0), &[f64::NAN]);
}

#[test]
fn operators_bind_and_match_as_they_should() {
    let v = |t: &'static str, x: f64| (t, vec![(0, x)]);
    let d = series(vec![
        v("a{i=\"1\",z=\"x\"}", 1.0),
        v("a{i=\"2\",z=\"x\"}", 2.0),
        v("b{i=\"1\"}", 10.0),
        v("b{i=\"3\"}", 30.0),
    ]);
    near(&values(&d, "2 + 3 * 4 ^ 2 ^ 0.5 - -1", 0), &[3.0 + 3.0 * 4.0_f64.powf(2.0_f64.sqrt())]);
    near(&values(&d, "-2 ^ 2", 0), &[-4.0]);
    near(&values(&d, "a + on(i) b", 0), &[11.0]);
    near(&values(&d, "a * ignoring(z) b", 0), &[10.0]);
    near(&values(&d, "a > 1", 0), &[2.0]);
    near(&values(&d, "a > bool 1", 0), &[0.0, 1.0]);
    near(&values(&d, "1 < bool 2", 0), &[1.0]);
    near(&values(&d, "sum(a) or vector(0)", 0), &[3.0]);
    near(&values(&d, "sum(nothing) or vector(0)", 0), &[0.0]);
    near(&values(&d, "a and on(i) b", 0), &[1.0]);
    near(&values(&d, "a unless on(i) b", 0), &[2.0]);
    near(&values(&d, "sum by (z) (a) / on() group_right sum(b) ", 0), &[3.0 / 40.0]);
    near(&values(&d, "a * on() group_left sum(b)", 0), &[40.0, 80.0]);
    near(&values(&d, "topk(1, {__name__=~\"a|b\"})", 0), &[30.0]);
    near(&values(&d, "count({i=~\"1|2\"}) by (z)", 0), &[1.0, 2.0]);
    near(&values(&d, "avg without (i) (b)", 0), &[20.0]);
    near(&values(&d, "quantile(0.5, b)", 0), &[20.0]);
    near(&values(&d, "clamp_max(clamp_min(a, 1.5), 1.8)", 0), &[1.5, 1.8]);
    near(&values(&d, "time() - 1", 7), &[6.0]);
    near(&values(&d, "absent(c)", 0), &[1.0]);
    assert!(matches!(eval(&d, "a + on(z) a", 0), Err(Error::Execution(_))));
    near(&values(&d, "count(a) by (i) == 1", 0), &[1.0, 1.0]);
    // Too old after five minutes.
    assert!(values(&d, "a", 299).len() == 2 && values(&d, "a", 300).is_empty());
}

#[test]
fn labels_are_replaced() {
    let d = series(vec![("a{i=\"x-1\"}", vec![(0, 1.0)])]);
    let Value::Vector(v) = eval(&d, "label_replace(a, \"n\", \"$2.$1\", \"i\", \"(.*)-(.*)\")", 0).unwrap() else {
        panic!("no vector");
    };
    assert_eq!(v[0].labels, Labels::new([("__name__", "a"), ("i", "x-1"), ("n", "1.x")]));
    let Value::Vector(v) = eval(&d, "label_replace(vector(3), \"w\", \"5m\", \"\", \"\")", 0).unwrap() else {
        panic!("no vector");
    };
    assert_eq!(v[0].labels.get("w"), "5m");
}

#[test]
fn subqueries_step_at_whole_multiples() {
    let c = counter();
    // At 60, 120, 180, 240 and 300 s: those after 20 s and up to 310 s.
    near(&values(&c, "count_over_time((c)[290s:1m])", 310), &[5.0]);
    near(&values(&c, "max_over_time(c[290s:1m])", 310), &[250.0]);
    near(&values(&c, "sum_over_time((increase(c[1m]) > bool 1)[2m:1m])", 250), &[2.0]);
    near(&values(&c, "avg_over_time(c[20s])", 30), &[112.5]);
}

#[test]
fn a_subquery_is_the_same_from_the_cache() {
    let data = counter();
    let find = |wanted: &[ast::Matcher]| {
        Arc::new(data.iter().filter(|s| wanted.iter().all(|m| m.matches(&s.labels))).cloned().collect::<Vec<_>>())
    };
    let cache = Cache::default();
    let text = parse("sum_over_time(rate(c[1m])[3m:10s])").unwrap();
    let engine = || Engine::new(&find, &cache, 300_000);
    let fresh = engine().eval(&text, 280_000).unwrap();
    assert_eq!(engine().eval(&text, 280_000).unwrap(), fresh);
    let other = Engine::new(&find, &Cache::default(), 300_000).eval(&text, 290_000).unwrap();
    assert_eq!(engine().eval(&text, 290_000).unwrap(), other);
}

#[test]
fn what_is_not_understood_is_refused() {
    for (text, wanted) in [
        ("", "no expression found"),
        ("a{", "1:3: parse error"),
        ("{}", "at least one non-empty matcher"),
        ("a{b=~\"(\"}", "regexp"),
        ("rate(a)", "expected type range vector"),
        ("sum(a[5m])", "expected type instant vector"),
        ("nonsense(a)", "unknown function"),
        ("1 > 2", "BOOL modifier"),
        ("a and 1", "set operator not allowed"),
        ("a offset", "expected a duration"),
        ("\"x", "unterminated"),
        ("sum(a) +", "unexpected end of input"),
    ] {
        match parse(text) {
            Err(Error::Parse(m)) => assert!(m.contains(wanted), "{text}: {m}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    for text in ["a @ 5", "predict_linear(a[5m], 3)", "quantile_over_time(0.5, a[5m])"] {
        assert!(matches!(parse(text), Err(Error::Execution(m)) if m.contains("does not evaluate")), "{text}");
    }
    assert!(matches!(parse(&"(".repeat(5000)), Err(Error::Parse(m)) if m.contains("deeply")));
}
