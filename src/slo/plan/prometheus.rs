//! Questions for Prometheus.
//!
//! Counters are read with `increase`, series by series and summed afterwards, so that a
//! reset is no loss. A part of all events that has no series yet counts 0 where all
//! events have some; without those, there is no data.

use std::fmt;

use super::AnswerError;
use crate::domain::Timestamp;
use crate::domain::slo::{EmptySlices, GoodWhen, Lookback, Measure, Method, Objective, Readings, Slicing};
use crate::slo::query::{Query, Selector};
use crate::slo::signal::{Part, PrometheusSignal};

/// The label that tells, in the answer to a batch, which window a value is of.
pub const WINDOW_LABEL: &str = "quarterdeck_window";
/// The label that tells what a value counts.
pub const ROLE_LABEL: &str = "quarterdeck_role";

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Good events, or the sum of what is good of slices.
    Good,
    /// Bad events.
    Bad,
    /// All events, or slices that had some.
    Total,
    /// A share of good events.
    SuccessRatio,
    /// A share of bad events.
    ErrorRatio,
}

impl Role {
    const ALL: [Self; 5] = [Self::Good, Self::Bad, Self::Total, Self::SuccessRatio, Self::ErrorRatio];

    /// Its word, as a label's value.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Total => "total",
            Self::SuccessRatio => "success_ratio",
            Self::ErrorRatio => "error_ratio",
        }
    }

    /// The role of that word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.word() == word)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// One expression, which gives one value or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Over which window.
    pub window: Lookback,
    /// What it gives.
    pub role: Role,
    /// The expression.
    pub expr: String,
}

/// What to ask for a signal over each window, to be evaluated at one instant.
#[must_use]
pub fn asks(signal: &PrometheusSignal, method: Method, windows: &[Lookback]) -> Vec<Ask> {
    windows
        .iter()
        .flat_map(|window| {
            let pairs = match method {
                Method::Occurrences => events(signal, *window),
                Method::Timeslices(slicing) => good_slices(signal, slicing, *window),
                Method::RatioTimeslices(slicing) => ratio_slices(signal, slicing, *window),
            };
            pairs.into_iter().map(|(role, expr)| Ask { window: *window, role, expr })
        })
        .collect()
}

/// What to ask for an objective at `now`: all its windows, and its period.
#[must_use]
pub fn plan(objective: &Objective, signal: &PrometheusSignal, now: Timestamp) -> Vec<Ask> {
    let mut windows = objective.windows();
    let period = objective.period.elapsed(now);
    if !windows.contains(&period) {
        windows.push(period);
    }
    asks(signal, objective.method, &windows)
}

/// What the answers to [`plan`] mean together; `value` gives that of a window and a role, if
/// one came.
///
/// # Errors
/// The first window whose values mean nothing, as [`measure`] says.
pub fn readings(
    objective: &Objective,
    signal: &PrometheusSignal,
    now: Timestamp,
    value: impl Fn(Lookback, Role) -> Option<f64>,
) -> Result<Readings, (Lookback, AnswerError)> {
    let over = |window: Lookback| {
        measure(signal, objective.method, window, |role| value(window, role)).map_err(|e| (window, e))
    };
    let mut out = Readings { period: over(objective.period.elapsed(now))?, ..Readings::default() };
    for window in objective.windows() {
        out.windows.insert(window, over(window)?);
    }
    Ok(out)
}

/// Many questions as one expression; [`WINDOW_LABEL`] and [`ROLE_LABEL`] tell the
/// answers apart.
#[must_use]
pub fn batch(asks: &[Ask]) -> String {
    let labelled = |ask: &Ask| {
        format!(
            "label_replace(label_replace({}, \"{WINDOW_LABEL}\", \"{}\", \"\", \"\"), \"{ROLE_LABEL}\", \"{}\", \"\", \"\")",
            ask.expr, ask.window, ask.role
        )
    };
    asks.iter().map(labelled).collect::<Vec<_>>().join(" or ")
}

/// The bounds of a histogram, one series each with its label `le`: asked for when the
/// threshold is none of them.
#[must_use]
pub fn bounds(buckets: &Selector) -> String {
    format!("group by (le) ({})", buckets.text())
}

/// What the values for one window mean. A value that did not come is `None`.
///
/// # Errors
/// When they cannot be counts or a ratio, or the threshold is no bound of the histogram.
pub fn measure(
    signal: &PrometheusSignal,
    method: Method,
    window: Lookback,
    value: impl Fn(Role) -> Option<f64>,
) -> Result<Measure, AnswerError> {
    if let Some(slicing) = method.slicing() {
        return slices(method, slicing, window, value(Role::Good), value(Role::Total));
    }
    // Only what was asked for is looked at.
    match signal {
        PrometheusSignal::Raw { part: Part::Bad, .. } => {
            value(Role::ErrorRatio).map_or(Ok(Measure::NoData), |r| Ok(Measure::from_error_ratio(r)?))
        }
        PrometheusSignal::Raw { part: Part::Good, .. } | PrometheusSignal::Value { .. } => {
            value(Role::SuccessRatio).map_or(Ok(Measure::NoData), |r| Ok(Measure::from_success_ratio(r)?))
        }
        PrometheusSignal::Ratio { part, .. } => match (value(part_role(*part)), value(Role::Total), part) {
            (Some(good), Some(total), Part::Good) => Ok(Measure::from_good(good, total)?),
            (Some(bad), Some(total), Part::Bad) => Ok(Measure::from_bad(bad, total)?),
            _ => Ok(Measure::NoData),
        },
        PrometheusSignal::Latency { threshold, .. } => match (value(Role::Good), value(Role::Total)) {
            (Some(good), Some(total)) => Ok(Measure::from_good(good, total)?),
            (None, Some(_)) => Err(AnswerError::NoSuchBound(threshold.clone())),
            (_, None) => Ok(Measure::NoData),
        },
    }
}

/// Slices without events are in neither figure; the window says how many there were.
fn slices(
    method: Method,
    slicing: Slicing,
    window: Lookback,
    good: Option<f64>,
    seen: Option<f64>,
) -> Result<Measure, AnswerError> {
    let Some(seen) = seen else {
        // Nothing at all was seen: no data, unless such slices are said to be good or bad.
        return Ok(method.count(std::iter::once(Measure::NoData)));
    };
    let all = count(window.secs() / slicing.slice.secs()).max(seen);
    let good = good.unwrap_or(0.0);
    Ok(match slicing.empty {
        EmptySlices::LeftOut => Measure::from_good(good, seen),
        EmptySlices::Good => Measure::from_good(good + (all - seen), all),
        EmptySlices::Bad => Measure::from_good(good, all),
    }?)
}

#[expect(clippy::cast_precision_loss, reason = "slices of a window, a few hundred thousand at most")]
fn count(n: u64) -> f64 {
    n as f64
}

fn events(signal: &PrometheusSignal, window: Lookback) -> Vec<(Role, String)> {
    match signal {
        PrometheusSignal::Ratio { part, query, total } => {
            vec![
                (part_role(*part), format!("({} or vector(0))", summed(query, window))),
                (Role::Total, summed(total, window)),
            ]
        }
        PrometheusSignal::Raw { part, query } => {
            let role = if *part == Part::Good { Role::SuccessRatio } else { Role::ErrorRatio };
            vec![(role, query.fill(&window.to_string()))]
        }
        PrometheusSignal::Latency { buckets, threshold } => {
            // A bucket that is missing is a threshold that is none: it is not taken for zero events.
            vec![
                (Role::Good, increase(&buckets.with(&le(threshold)), window)),
                (Role::Total, increase(&buckets.with("le=\"+Inf\""), window)),
            ]
        }
        // Good or bad as a whole; only slices ask for it.
        PrometheusSignal::Value { query, op, threshold } => {
            vec![(
                Role::SuccessRatio,
                format!("(({}) {} bool {threshold})", query.fill(&window.to_string()), op.sign()),
            )]
        }
    }
}

fn part_role(part: Part) -> Role {
    match part {
        Part::Good => Role::Good,
        Part::Bad => Role::Bad,
    }
}

/// The events of a query over a window.
fn summed(query: &Query, window: Lookback) -> String {
    match query {
        Query::Counter(selector) => increase(selector, window),
        Query::Template(template) => {
            let sum = format!("sum({})", template.fill(&window.to_string()));
            if template.per_second { format!("{sum} * {}", window.secs()) } else { sum }
        }
    }
}

fn increase(selector: &Selector, window: Lookback) -> String {
    format!("sum(increase({}[{window}]))", selector.text())
}

/// Prometheus 3 writes the bound 1 as `1.0`.
fn le(threshold: &str) -> String {
    if threshold.contains('.') { format!("le=\"{threshold}\"") } else { format!("le=~\"{threshold}(\\\\.0)?\"") }
}

/// For one slice: good events, and all events where there are any.
fn of_slice(signal: &PrometheusSignal, slice: Lookback) -> Option<(String, String)> {
    let mut values = events(signal, slice).into_iter();
    let ((first, some), (_, total)) = (values.next()?, values.next()?);
    let total = format!("({total} > 0)");
    Some((if first == Role::Bad { format!("({total} - {some})") } else { some }, total))
}

/// How many slices of a window were good, and how many had events.
fn good_slices(signal: &PrometheusSignal, slicing: Slicing, window: Lookback) -> Vec<(Role, String)> {
    let slice = slicing.slice;
    let over = |function: &str, expr: &str| format!("{function}(({expr})[{window}:{slice}])");
    let share = match slicing.good {
        // Without a common factor, so that whole counts stay exact in a float.
        GoodWhen::Share(t) => reduced(t.ppb().into(), crate::domain::slo::exact::PPB.into()),
        GoodWhen::All | GoodWhen::Said => (1, 1),
    };
    let (good, seen) = match (of_slice(signal, slice), signal) {
        (Some((good, total)), _) => (format!("{good} * {} >= bool {total} * {}", share.1, share.0), total),
        (None, PrometheusSignal::Raw { part, query }) => {
            let ratio = format!("({})", query.fill(&slice.to_string()));
            let good = if *part == Part::Good { ratio.clone() } else { format!("(1 - {ratio})") };
            // NaN is 0 divided by 0, and equals nothing, not even itself.
            (format!("({good} == {good}) * {} >= bool {}", share.1, share.0), format!("{ratio} == {ratio}"))
        }
        (None, PrometheusSignal::Value { query, op, threshold }) => {
            let value = format!("({})", query.fill(&slice.to_string()));
            (format!("({value} == {value}) {} bool {threshold}", op.sign()), format!("{value} == {value}"))
        }
        (None, _) => return Vec::new(),
    };
    vec![(Role::Good, over("sum_over_time", &good)), (Role::Total, over("count_over_time", &seen))]
}

/// The sum of the ratios of slices, and how many had events.
fn ratio_slices(signal: &PrometheusSignal, slicing: Slicing, window: Lookback) -> Vec<(Role, String)> {
    let slice = slicing.slice;
    let ratio = match (of_slice(signal, slice), signal) {
        (Some((good, total)), _) => format!("{good} / {total}"),
        (None, PrometheusSignal::Raw { part, query }) => {
            let ratio = format!("({})", query.fill(&slice.to_string()));
            let good = if *part == Part::Good { ratio.clone() } else { format!("(1 - {ratio})") };
            format!("{good} == {good}")
        }
        (None, _) => return Vec::new(),
    };
    let over = |function: &str| format!("{function}(({ratio})[{window}:{slice}])");
    vec![(Role::Good, over("sum_over_time")), (Role::Total, over("count_over_time"))]
}

fn reduced(a: u64, b: u64) -> (u64, u64) {
    crate::domain::slo::Factor::new(a, b).map_or((a, b), crate::domain::slo::Factor::parts)
}
