//! One objective of an SLO, and how it goes together with the rest.

use super::fields::{Fields, Reading};
use super::indicator::{Indicator, Kind, Threshold};
use super::policy;
use super::slo::Notes;
use crate::domain::slo::exact::{scaled, unscaled};
use crate::domain::slo::{GoodWhen, Lookback, MIN_BAD, Method, Objective, Period, Row, Slicing, Target, TargetError};
use crate::domain::{Text, text};
use crate::slo::Definition;
use crate::slo::signal::{CloudWatchSignal, Comparison, PrometheusSignal, Signal};
use crate::slo::yaml::Node;

/// Decimals of a threshold that are kept.
const VALUE_PLACES: usize = 9;
/// CloudWatch keeps points of one minute for so long, those of five for the next.
const KEPT: [(Lookback, Lookback); 2] =
    [(Lookback::minutes(5), Lookback::days(15)), (Lookback::hours(1), Lookback::days(63))];

/// What the objectives of an SLO share.
pub struct Shared<'a> {
    pub r: &'a Reading<'a>,
    pub slo: Text,
    pub title: Option<Text>,
    pub service: Text,
    pub description: Text,
    pub method: Option<&'static str>,
    pub period: Option<Period>,
    pub indicator: Option<&'a Indicator>,
    pub notes: &'a Notes,
    pub rows: Option<&'a [Row]>,
    pub line: usize,
    pub several: bool,
}

const KEYS: [&str; 7] = ["displayName", "op", "value", "target", "targetPercent", "timeSliceTarget", "timeSliceWindow"];

/// The objective that stands at place `number`, from 1.
pub fn read(shared: &Shared<'_>, number: usize, item: &Node) -> Option<Definition> {
    let r = shared.r;
    let f = Fields::open(r, item, &item.at, "objectives", &KEYS)?;
    let own = f.text(r, "displayName").map(|(t, _)| Text::new(t));
    let target = target(r, &f);
    let method = shared.method.and_then(|m| method(shared, &f, m));
    let signal = shared.indicator.and_then(|i| signal(shared, &f, &i.kind));
    let (target, method, signal, period) = (target?, method?, signal?, shared.period?);
    let rows = rows(shared, &f, target, period, method);
    retention(shared, &f, &signal, method, period);
    if let Some(slicing) = method.slicing()
        && slicing.slice >= period.nominal()
    {
        r.note(r.at(&f.key_at("timeSliceWindow"), "a slice is shorter than the window").allowed("such as 1m or 5m"));
        return None;
    }
    let name = shared.several.then(|| own.clone().unwrap_or_else(|| Text::new(&number.to_string())));
    let title = shared.title.clone().or_else(|| own.filter(|_| !shared.several)).unwrap_or_else(|| shared.slo.clone());
    let objective = Objective {
        slo: shared.slo.clone(),
        objective: name,
        title,
        service: shared.service.clone(),
        description: shared.description.clone(),
        runbook: shared.notes.runbook.as_deref().map(Text::new),
        indicator: Text::new(&signal.to_string()),
        target,
        period,
        method,
        basis: shared.notes.basis,
        rows,
        min_bad: shared.notes.min_bad.unwrap_or(MIN_BAD),
    };
    let source = shared.indicator.and_then(|i| i.source.as_deref()).map(Text::new);
    Some(Definition { objective, signal, source, file: r.source.name.clone(), line: shared.line })
}

fn target(r: &Reading<'_>, f: &Fields<'_>) -> Option<Target> {
    let (key, (text, node), percent) = match (f.text(r, "target"), f.text(r, "targetPercent")) {
        (Some(t), None) => ("target", t, false),
        (None, Some(t)) => ("targetPercent", t, true),
        (Some(_), Some((_, node))) => {
            let d = r.bad(node, "`target` and `targetPercent` say the same twice");
            r.note(d.allowed("one of them").hint("take one of the two lines out"));
            return None;
        }
        (None, None) => {
            if f.get("target").or(f.get("targetPercent")).is_none() {
                f.missing(r, "target", "a decimal above 0 and below 1, or targetPercent", "0.999");
            }
            return None;
        }
    };
    let read = if percent { Target::parse_percent(text) } else { Target::parse(text) };
    read.map_err(|e| {
        let allowed = if percent { "a decimal above 0 and below 100" } else { "a decimal above 0 and below 1" };
        let d = r.bad(node, format!("`{key}` cannot be `{}`: {e}", text::clean(text))).allowed(allowed);
        r.note(match e {
            TargetError::TooLarge if !percent && Target::parse_percent(text).is_ok() => {
                d.hint(format!("for a percentage write `targetPercent: {text}`"))
            }
            TargetError::Whole => d.hint("write what may go wrong, such as 0.9999"),
            _ => d,
        });
    })
    .ok()
}

fn method(shared: &Shared<'_>, f: &Fields<'_>, method: &str) -> Option<Method> {
    let r = shared.r;
    if method == "Occurrences" {
        for key in ["timeSliceTarget", "timeSliceWindow"] {
            if f.get(key).is_some() {
                let d =
                    r.at(&f.key_at(key), format!("`{key}` says nothing with budgetingMethod Occurrences")).warning();
                r.note(d.hint("take it out, or write `budgetingMethod: Timeslices`"));
            }
        }
        return Some(Method::Occurrences);
    }
    let slice = f.need(r, "timeSliceWindow", "a duration, such as 1m", "1m");
    let slice = slice.and_then(|(text, node)| {
        // A bare number is in minutes.
        let minutes = text.parse::<u64>().is_ok().then(|| format!("{text}m"));
        policy::duration(r, node, minutes.as_deref().unwrap_or(text))
    });
    let empty = shared.notes.empty;
    if method == "RatioTimeslices" {
        if f.get("timeSliceTarget").is_some() {
            let message = "`timeSliceTarget` says nothing with budgetingMethod RatioTimeslices";
            let d = r.at(&f.key_at("timeSliceTarget"), message).warning();
            r.note(d.hint("take it out, or write `budgetingMethod: Timeslices`"));
        }
        return Some(Method::RatioTimeslices(Slicing { slice: slice?, good: GoodWhen::Said, empty }));
    }
    let said = matches!(
        shared.indicator,
        Some(Indicator { kind: Kind::Threshold(Threshold::Value(_) | Threshold::CloudWatchValue(..)), .. })
    );
    if said && f.get("timeSliceTarget").is_none() {
        return Some(Method::Timeslices(Slicing { slice: slice?, good: GoodWhen::Said, empty }));
    }
    let (text, node) = f.need(r, "timeSliceTarget", "a decimal above 0 and up to 1", "0.95")?;
    let good = match Target::parse(text) {
        _ if said => GoodWhen::Said,
        Ok(target) => GoodWhen::Share(target),
        Err(TargetError::Whole) => GoodWhen::All,
        Err(e) => {
            let why = e
                .to_string()
                .replace("a target", "a slice's target")
                .replace("below 1, or below 100 as a percentage", "1 at most");
            let d = r.bad(node, format!("`timeSliceTarget` cannot be `{}`: {why}", text::clean(text)));
            r.note(d.allowed("a decimal above 0 and up to 1"));
            return None;
        }
    };
    Some(Method::Timeslices(Slicing { slice: slice?, good, empty }))
}

/// The indicator with the objective's threshold, if it takes one.
fn signal(shared: &Shared<'_>, f: &Fields<'_>, kind: &Kind) -> Option<Signal> {
    let r = shared.r;
    match kind {
        Kind::Ratio(signal) => ratio_without_threshold(shared, f).then(|| signal.clone()),
        Kind::Threshold(source) => {
            let op = comparison(r, f);
            let value = value(r, f);
            let (op, threshold) = (op?, value?);
            match source {
                Threshold::Unsupported(kind) => Some(Signal::Unsupported(kind.clone())),
                Threshold::Value(query) => {
                    if shared.method.is_some_and(|m| m != "Timeslices") {
                        let d = r.at(
                            &f.key_at("op"),
                            "a value that is no histogram is good or bad for a slice of time, not for an event",
                        );
                        r.note(d.allowed("budgetingMethod: Timeslices; or a thresholdMetric with the `_bucket` metric of a histogram"));
                        return None;
                    }
                    Some(Signal::Prometheus(PrometheusSignal::Value { query: query.clone(), op, threshold }))
                }
                Threshold::CloudWatchValue(metric, stat) => {
                    if shared.method.is_some_and(|m| m != "Timeslices") {
                        let message = format!(
                            "`{}` of a period is good or bad for a slice of time, not for an event",
                            text::clean(stat)
                        );
                        let d = r.at(&f.key_at("op"), message);
                        r.note(d.allowed(
                            "budgetingMethod: Timeslices; or no `stat`, which counts the events up to `value`",
                        ));
                        return None;
                    }
                    let (metric, stat) = (metric.clone(), stat.clone());
                    Some(Signal::CloudWatch(CloudWatchSignal::Value { metric, stat, op, threshold }))
                }
                Threshold::Buckets(_) | Threshold::CloudWatch(_) if !op.small_is_good() => {
                    let d = r.at(&f.key_at("op"), format!("`op: {}` would count slow events as good", op.word()));
                    r.note(d.value(op.word()).allowed("lt, lte"));
                    None
                }
                Threshold::Buckets(buckets) => {
                    Some(Signal::Prometheus(PrometheusSignal::Latency { buckets: buckets.clone(), threshold }))
                }
                Threshold::CloudWatch(metric) => {
                    Some(Signal::CloudWatch(CloudWatchSignal::Latency { metric: metric.clone(), threshold }))
                }
            }
        }
    }
}

/// A ratio has no threshold: `value` is wrong, and so is `op`. With slices of time
/// OpenSLO's own examples write `op: gt` for what `timeSliceTarget` means anyway.
fn ratio_without_threshold(shared: &Shared<'_>, f: &Fields<'_>) -> bool {
    let r = shared.r;
    let mut fine = true;
    if let Some((text, node)) = f.text(r, "op") {
        let slices = shared.method.is_some_and(|m| m != "Occurrences");
        let message = "`op` belongs to a thresholdMetric: a ratio has no threshold";
        let d = r.bad(node, message).allowed("target alone").hint("take the line out");
        if slices && matches!(text, "gt" | "gte") {
            r.note(d.warning());
        } else {
            r.note(d);
            fine = false;
        }
    }
    if let Some(node) = f.get("value") {
        let d = r.bad(node, "`value` belongs to a thresholdMetric: a ratio has no threshold");
        r.note(d.allowed("target alone").hint("take the line out"));
        fine = false;
    }
    fine
}

fn comparison(r: &Reading<'_>, f: &Fields<'_>) -> Option<Comparison> {
    let words = ["lt", "lte", "gt", "gte"];
    let (word, node) = f.need(r, "op", &words.join(", "), "lte")?;
    let op = match word {
        "lt" => Comparison::Lt,
        "lte" => Comparison::Lte,
        "gt" => Comparison::Gt,
        "gte" => Comparison::Gte,
        _ => {
            let d = r.bad(node, format!("unknown op `{}`", text::clean(word))).allowed(words.join(", "));
            r.note(d.did_you_mean(word, words));
            return None;
        }
    };
    Some(op)
}

/// The threshold as a decimal without needless zeros.
fn value(r: &Reading<'_>, f: &Fields<'_>) -> Option<String> {
    let (text, node) = f.need(r, "value", "a decimal, in the metric's unit", "0.5")?;
    match scaled(text, VALUE_PLACES) {
        Ok(n) => Some(unscaled(n, VALUE_PLACES)),
        Err(e) => {
            let d = r.bad(node, format!("`value` cannot be `{}`: {e}", text::clean(text)));
            r.note(d.allowed("a decimal from 0 with nine decimals at most, such as 0.5"));
            None
        }
    }
}

/// The rows in force, and a warning about those that can never fire.
fn rows(shared: &Shared<'_>, f: &Fields<'_>, target: Target, period: Period, method: Method) -> Vec<Row> {
    let r = shared.r;
    let rows = shared.rows.map_or_else(|| Row::usual(period.nominal()), <[Row]>::to_vec);
    let dead: Vec<String> = rows.iter().filter(|row| row.factor.unreachable(target)).map(ToString::to_string).collect();
    if !dead.is_empty() {
        let key = if f.get("target").is_some() { "target" } else { "targetPercent" };
        let most = format!("{:.2}", 1.0 / target.budget().value());
        let most = most.trim_end_matches('0').trim_end_matches('.');
        let message = format!("at {target}, all errors burn at {most}: `{}` can never fire", dead.join("`, `"));
        let d = r.at(&f.key_at(key), message).warning();
        r.note(d.hint("an AlertPolicy can have lower thresholds; or promise more"));
    }
    let slice = method.slicing().map(|s| s.slice);
    let short: Vec<String> =
        rows.iter().filter(|row| slice.is_some_and(|s| row.short < s)).map(ToString::to_string).collect();
    if !short.is_empty() {
        let message = format!("slices are longer than the short window of `{}`", short.join("`, `"));
        let d =
            r.at(&f.key_at("timeSliceWindow"), message).warning().hint("write a shorter `timeSliceWindow`, such as 1m");
        r.note(d);
    }
    let long: Vec<String> = rows.iter().filter(|row| row.long >= period.nominal()).map(ToString::to_string).collect();
    if !long.is_empty() {
        let message = format!("`{}` looks back further than the window of {}", long.join("`, `"), period.nominal());
        r.note(r.at(&f.at, message).warning());
    }
    rows
}

/// CloudWatch forgets small periods; a budget over them would have gaps.
fn retention(shared: &Shared<'_>, f: &Fields<'_>, signal: &Signal, method: Method, period: Period) {
    let (Signal::CloudWatch(_), Some(slicing)) = (signal, method.slicing()) else { return };
    let r = shared.r;
    let at = f.key_at("timeSliceWindow");
    if slicing.slice.secs() % 60 != 0 {
        r.note(r.at(&at, "CloudWatch has no periods of seconds here").warning().allowed("whole minutes"));
    }
    if let Some((finer, kept)) = KEPT.iter().find(|(finer, _)| slicing.slice < *finer)
        && period.nominal() > *kept
    {
        let message = format!("CloudWatch keeps periods below {finer} for {kept}: older slices have no data");
        r.note(r.at(&at, message).warning().hint(format!("write `timeSliceWindow: {finer}`")));
    }
}
