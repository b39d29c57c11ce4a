//! Questions for CloudWatch's `GetMetricData`.
//!
//! Three fetches answer all windows: minutes for the last hours, five minutes for the
//! last days, hours for the rest. What is counted per period is then added up; ratios
//! and percentiles never are.

use std::collections::BTreeMap;

use super::{AnswerError, search};
use crate::domain::Timestamp;
use crate::domain::slo::{Lookback, Measure, Method, Objective, Readings};
use crate::slo::signal::{CloudWatchCount, CloudWatchMetric, CloudWatchSignal, Part};

/// Period in seconds, and how far back it is asked for.
const FETCHES: [(u32, Lookback); 3] = [(60, Lookback::hours(3)), (300, Lookback::days(3)), (3600, Lookback::days(455))];
/// The identity of the series that counts some of the events, or ranks a threshold.
pub const SOME: &str = "some";
/// The identity of the series that counts all events, or is the value itself where slices are held against it.
pub const ALL: &str = "total";

/// One call's worth of questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// The period of its points, in seconds.
    pub period_secs: u32,
    /// How far back it goes: as far as the windows it answers, whole periods.
    pub reach: Lookback,
    /// The windows that it answers.
    pub windows: Vec<Lookback>,
    /// The region to ask; `None` for the source's own.
    pub region: Option<String>,
    /// Two queries, [`SOME`] and [`ALL`]; of a value only [`ALL`].
    pub queries: Vec<DataQuery>,
}

/// One element of `MetricDataQueries`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataQuery {
    /// Its identity in the answer.
    pub id: &'static str,
    /// What it asks for.
    pub what: What,
}

/// A metric with a statistic, or metric math.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// `MetricStat`.
    Stat {
        /// The metric.
        metric: CloudWatchMetric,
        /// The statistic: `Sum`, `SampleCount`, `PR(:0.3)`.
        stat: String,
    },
    /// `Expression`.
    Expression(String),
}

/// What to ask for a signal, the finest period first. With slices of time, their length is
/// the period.
#[must_use]
pub fn fetches(signal: &CloudWatchSignal, method: Method, windows: &[Lookback]) -> Vec<Fetch> {
    let region = region(signal);
    let fetch = |period_secs: u32, windows: Vec<Lookback>| {
        let queries = queries(signal, period_secs);
        let furthest = windows.iter().max()?.secs();
        let period = u64::from(period_secs);
        let reach = Lookback::seconds(furthest.div_ceil(period) * period);
        Some(Fetch { period_secs, reach, windows, region: region.clone(), queries })
    };
    if let Some(slicing) = method.slicing() {
        let period = slicing.slice.secs().div_ceil(60) * 60;
        return fetch(u32::try_from(period).unwrap_or(3600), windows.to_vec()).into_iter().collect();
    }
    let mut below = Lookback::seconds(0);
    FETCHES
        .iter()
        .filter_map(|(period, upto)| {
            let mine = windows.iter().copied().filter(|w| *w > below && w <= upto).collect();
            below = *upto;
            fetch(*period, mine)
        })
        .collect()
}

fn queries(signal: &CloudWatchSignal, period_secs: u32) -> Vec<DataQuery> {
    let counted = |count: &CloudWatchCount| match count {
        CloudWatchCount::Metric(metric, stat) => stat_of(metric, stat.word()),
        CloudWatchCount::Expression(text, _) => What::Expression(search::with_period(text, period_secs)),
    };
    let (some, all) = match signal {
        CloudWatchSignal::Ratio { count, total, .. } => (Some(counted(count)), counted(total)),
        CloudWatchSignal::Latency { metric, threshold } => {
            (Some(stat_of(metric, &format!("PR(:{threshold})"))), stat_of(metric, "SampleCount"))
        }
        CloudWatchSignal::Value { metric, stat, .. } => (None, stat_of(metric, stat)),
    };
    let some = some.map(|what| DataQuery { id: SOME, what });
    some.into_iter().chain([DataQuery { id: ALL, what: all }]).collect()
}

fn stat_of(metric: &CloudWatchMetric, stat: &str) -> What {
    What::Stat { metric: metric.clone(), stat: stat.to_owned() }
}

fn region(signal: &CloudWatchSignal) -> Option<String> {
    match signal {
        CloudWatchSignal::Ratio { total: CloudWatchCount::Metric(metric, _), .. }
        | CloudWatchSignal::Latency { metric, .. }
        | CloudWatchSignal::Value { metric, .. } => metric.region.clone(),
        CloudWatchSignal::Ratio { total: CloudWatchCount::Expression(_, region), .. } => region.clone(),
    }
}

/// What to ask for an objective at `now`: all its windows, and its period.
#[must_use]
pub fn plan(objective: &Objective, signal: &CloudWatchSignal, now: Timestamp) -> Vec<Fetch> {
    let mut windows = objective.windows();
    windows.push(objective.period.elapsed(now));
    fetches(signal, objective.method, &windows)
}

/// The answer to one [`Fetch`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// The period of its points, in seconds.
    pub period_secs: u32,
    /// The end of the newest period that is complete, in seconds since 1970.
    pub end: i64,
    /// The points of [`SOME`].
    pub some: Points,
    /// The points of [`ALL`].
    pub all: Points,
}

/// What the answers to [`plan`] mean together, in the same order, the finest first. What happened since
/// the newest complete hour is taken from the finer ones.
///
/// # Errors
/// When the numbers of one period cannot be counts.
pub fn readings(
    objective: &Objective,
    signal: &CloudWatchSignal,
    now: Timestamp,
    answers: &[Answer],
) -> Result<Readings, AnswerError> {
    let measured: Vec<Measured> = answers
        .iter()
        .map(|a| Ok(Measured { periods: periods(signal, &a.some, &a.all)?, secs: a.period_secs, end: a.end }))
        .collect::<Result<_, AnswerError>>()?;
    let fetches = plan(objective, signal, now);
    let over_window = |window: Lookback| {
        let index = fetches.iter().position(|f| f.windows.contains(&window));
        index.map_or(Measure::NoData, |i| joined(&measured, i, objective.method, window))
    };
    let windows = objective.windows().into_iter().map(|w| (w, over_window(w))).collect();
    Ok(Readings { period: over_window(objective.period.elapsed(now)), windows })
}

struct Measured {
    periods: Vec<(i64, Measure)>,
    secs: u32,
    end: i64,
}

/// A window from the answer at `index`, and from finer ones what has happened since it ends.
fn joined(all: &[Measured], index: usize, method: Method, window: Lookback) -> Measure {
    let Some(own) = all.get(index) else { return Measure::NoData };
    if method != Method::Occurrences {
        return over(&own.periods, method, own.secs, own.end, window);
    }
    let newest = all[..=index].iter().map(|m| m.end).max().unwrap_or(own.end);
    let missed = u64::try_from(newest.saturating_sub(own.end)).unwrap_or(0);
    let mut sum = match window.secs().saturating_sub(missed) {
        0 => Measure::NoData,
        rest => over(&own.periods, method, own.secs, own.end, Lookback::seconds(rest)),
    };
    let mut told = own.end;
    for finer in all[..index].iter().rev().filter(|f| f.end > own.end) {
        let rest = u64::try_from(finer.end.saturating_sub(told)).unwrap_or(0);
        if rest > 0 {
            sum = sum.plus(&over(&finer.periods, method, finer.secs, finer.end, Lookback::seconds(rest)));
            told = finer.end;
        }
    }
    sum
}

/// Values by the second (since 1970) at which their period begins.
pub type Points = BTreeMap<i64, f64>;

/// What each period means, in order of time. Where all events have a point and some of them have
/// none, it is zero: CloudWatch keeps no points for what did not happen. A period
/// without a point for all events has no data, and is left out.
///
/// # Errors
/// When the numbers of one period cannot be counts.
pub fn periods(signal: &CloudWatchSignal, some: &Points, all: &Points) -> Result<Vec<(i64, Measure)>, AnswerError> {
    all.iter()
        .map(|(at, total)| {
            let value = some.get(at).copied();
            let measure = match signal {
                CloudWatchSignal::Ratio { part: Part::Bad, .. } => Measure::from_bad(value.unwrap_or(0.0), *total),
                CloudWatchSignal::Ratio { part: Part::Good, .. } => Measure::from_good(value.unwrap_or(0.0), *total),
                // A rank is the percentage of events at or below the threshold; without one nothing is known.
                CloudWatchSignal::Latency { .. } => match value {
                    Some(rank) => Measure::from_good(rank / 100.0 * total, *total),
                    None if *total == 0.0 => Ok(Measure::NoTraffic),
                    None => Ok(Measure::NoData),
                },
                // The period is good or bad as a whole: what it holds is never put together with others'.
                CloudWatchSignal::Value { op, threshold, .. } => match threshold.parse::<f64>() {
                    Ok(limit) if total.is_finite() => Measure::whole(u64::from(!op.holds(*total, limit)), 1),
                    _ => Ok(Measure::NoData),
                },
            }?;
            Ok((*at, measure))
        })
        .collect()
}

/// What the periods that end in `(end - window, end]` say together. `end`, in seconds since 1970, is
/// the end of the newest period that is complete: a younger one is still growing.
#[must_use]
pub fn over(periods: &[(i64, Measure)], method: Method, period_secs: u32, end: i64, window: Lookback) -> Measure {
    let period = i64::from(period_secs);
    let window = i64::try_from(window.secs()).unwrap_or(i64::MAX);
    let from = end.saturating_sub(window);
    let inside = |at: i64| at.saturating_add(period) > from && at.saturating_add(period) <= end;
    let found: BTreeMap<i64, Measure> = periods.iter().copied().filter(|(at, _)| inside(*at)).collect();
    if method == Method::Occurrences {
        return method.count(found.into_values());
    }
    // Slices without a point count, too.
    let slots = window / period.max(1);
    method.count((1..=slots).map(|i| found.get(&(end - i * period)).copied().unwrap_or_default()))
}
