//! From counts to a verdict.

use std::collections::BTreeMap;

use super::count::{Counts, Indicator, Measure};
use super::exact::{Factor, Fraction, Target};
use super::objective::{Basis, Objective};
use super::rows::{Row, Severity};
use super::window::{Lookback, Period};
use crate::domain::Timestamp;

/// What was measured for one objective at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Readings {
    /// Over the whole period; of a calendar one, since its start.
    pub period: Measure,
    /// Over each window that looks back from now. One that is missing has no data.
    pub windows: BTreeMap<Lookback, Measure>,
}

impl Readings {
    /// What is known about `window`.
    #[must_use]
    pub fn over(&self, window: Lookback) -> Measure {
        self.windows.get(&window).copied().unwrap_or_default()
    }
}

/// When the budget runs out, if all goes on as in the reference window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Exhaustion {
    /// It has.
    Exhausted,
    /// In so many seconds. Of a rolling period this is a lower bound: errors age out.
    In(f64),
    /// Not before the calendar period ends and the budget is new.
    NotThisPeriod,
    /// Nothing goes wrong.
    NotAtThisRate,
    /// There is no traffic or no data to tell from.
    Unknown,
}

/// How one row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowState {
    /// Both windows are over it.
    Over,
    /// Both are over it, with too few bad events to call somebody for.
    FewEvents,
    /// At least one window is not over it.
    Under,
    /// Nothing happened in the one that would decide.
    NoTraffic,
    /// The one that would decide has no data.
    NoData,
}

/// One word for it all, worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Nothing happened.
    NoTraffic,
    /// No row fires, and there is budget left.
    Fine,
    /// It would fire, with more events.
    FewEvents,
    /// Somebody should look in working hours.
    Ticket,
    /// Nothing is left, though nothing burns fast now.
    Exhausted,
    /// Somebody should look now.
    Page,
    /// Nothing is left, and it still burns.
    ExhaustedAndBurning,
    /// Nothing is known.
    NoData,
}

impl State {
    /// In words.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NoTraffic => "no traffic",
            Self::Fine => "fine",
            Self::FewEvents => "few events",
            Self::Ticket => "ticket",
            Self::Exhausted => "exhausted",
            Self::Page => "page",
            Self::ExhaustedAndBurning => "exhausted, burning",
            Self::NoData => "no data",
        }
    }
}

/// What follows from the readings.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// The share of good events in the period.
    pub indicator: Indicator,
    /// What counts behind it, when they are known.
    pub counts: Option<Counts>,
    /// The share of the budget that is used up; more than 1 is possible.
    pub consumed: Option<Fraction>,
    /// The share that is left, 1 minus `consumed`: below 0 when it is overspent.
    pub left: Option<Fraction>,
    /// Events (or slices) that may be bad in the period, at its traffic.
    pub allowed_bad: Option<f64>,
    /// Burn over each window, short to long; `None` without traffic or data.
    pub burns: Vec<(Lookback, Option<Fraction>)>,
    /// When it runs out, by the burn over [`Objective::REFERENCE`].
    pub exhaustion: Exhaustion,
    /// How each row stands, in the order of the objective's.
    pub rows: Vec<(Row, RowState)>,
    /// The worst that fires.
    pub firing: Option<Severity>,
    /// Rows whose long window has so few events that one failure alone is over.
    pub low_traffic: bool,
    /// One word for it all.
    pub state: State,
}

/// What `readings` mean for `objective` at `now`.
#[must_use]
pub fn assess(objective: &Objective, readings: &Readings, now: Timestamp) -> Assessment {
    let target = objective.target;
    let consumed = consumed(objective, &readings.period, now);
    let left = consumed.map(Fraction::rest);
    let rows: Vec<(Row, RowState)> =
        objective.rows.iter().map(|r| (*r, row_state(r, target, objective.min_bad, readings))).collect();
    let firing = rows.iter().filter(|(_, s)| *s == RowState::Over).map(|(r, _)| r.severity).max();
    let counts = readings.period.counts();
    Assessment {
        indicator: readings.period.indicator(),
        counts,
        consumed,
        left,
        allowed_bad: allowed_bad(objective, counts, now),
        burns: readings.windows.iter().map(|(w, m)| (*w, m.burn(target))).collect(),
        exhaustion: exhaustion(objective, left, readings, now),
        state: state(&rows, firing, left, readings),
        rows,
        firing,
        low_traffic: low_traffic(objective, readings),
    }
}

/// The share of the budget that is used up. Against the whole period, as much of it
/// as has passed.
fn consumed(objective: &Objective, period: &Measure, now: Timestamp) -> Option<Fraction> {
    let so_far = period.burn(objective.target)?;
    Some(match objective.basis {
        Basis::SoFar => so_far,
        Basis::WholePeriod => so_far.times(objective.period.elapsed(now).secs(), objective.period.length(now).secs()),
    })
}

fn allowed_bad(objective: &Objective, counts: Option<Counts>, now: Timestamp) -> Option<f64> {
    let so_far = counts?.total() * objective.target.budget().value();
    Some(match objective.basis {
        Basis::SoFar => so_far,
        Basis::WholePeriod => so_far * secs(objective.period.length(now)) / secs(objective.period.elapsed(now)),
    })
}

fn row_state(row: &Row, target: Target, min_bad: u32, readings: &Readings) -> RowState {
    let (long, short) = (readings.over(row.long), readings.over(row.short));
    match (is_over(&long, target, row.factor), is_over(&short, target, row.factor)) {
        (Some(true), Some(true)) => {
            let enough = long.counts().is_none_or(|c| c.bad_at_least(min_bad));
            if enough { RowState::Over } else { RowState::FewEvents }
        }
        (Some(false), _) | (_, Some(false)) => RowState::Under,
        _ if long == Measure::NoData || short == Measure::NoData => RowState::NoData,
        _ => RowState::NoTraffic,
    }
}

/// Whether it burns faster than `factor`, strictly; `None` without traffic or data.
fn is_over(measure: &Measure, target: Target, factor: Factor) -> Option<bool> {
    measure.burn(target).map(|burn| {
        let (num, den) = factor.parts();
        burn.compare_to(num, den).is_gt()
    })
}

fn exhaustion(objective: &Objective, left: Option<Fraction>, readings: &Readings, now: Timestamp) -> Exhaustion {
    let Some(left) = left else { return Exhaustion::Unknown };
    if left.is_spent() {
        return Exhaustion::Exhausted;
    }
    let Some(burn) = readings.over(Objective::REFERENCE).burn(objective.target) else { return Exhaustion::Unknown };
    if burn.is_spent() {
        return Exhaustion::NotAtThisRate;
    }
    let in_secs = left.value() * secs(objective.period.length(now)) / burn.value();
    if let Period::Calendar { .. } = objective.period {
        let rest = secs(objective.period.length(now)) - secs(objective.period.elapsed(now));
        if in_secs > rest {
            return Exhaustion::NotThisPeriod;
        }
    }
    Exhaustion::In(in_secs)
}

fn low_traffic(objective: &Objective, readings: &Readings) -> bool {
    let few = |row: &Row| {
        // One bad of all of them is over: n times factor times budget is below 1.
        let one = readings.over(row.long).counts().map(|c| Measure::from_bad(1.0, c.total().max(1.0)));
        matches!(one, Some(Ok(m)) if is_over(&m, objective.target, row.factor) == Some(true))
    };
    objective.rows.iter().any(few)
}

fn state(rows: &[(Row, RowState)], firing: Option<Severity>, left: Option<Fraction>, readings: &Readings) -> State {
    let exhausted = left.is_some_and(Fraction::is_spent);
    let few = rows.iter().any(|(_, s)| *s == RowState::FewEvents);
    match firing {
        Some(_) if exhausted => return State::ExhaustedAndBurning,
        Some(Severity::Page) => return State::Page,
        Some(Severity::Ticket) => return State::Ticket,
        None if exhausted => return State::Exhausted,
        None if few => return State::FewEvents,
        None => {}
    }
    // The fastest row tells whether anything is to be seen now: what was fine an hour ago and has
    // been silent since is not fine. Without rows, the period tells.
    let fastest = rows.iter().min_by_key(|(r, _)| r.short);
    let now = fastest.map_or(readings.period, |(r, _)| readings.over(r.short));
    match (now, fastest.map(|(_, s)| *s)) {
        (Measure::NoData, _) => State::NoData,
        (Measure::NoTraffic, None | Some(RowState::NoTraffic)) => State::NoTraffic,
        _ => State::Fine,
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown, never compared")]
fn secs(w: Lookback) -> f64 {
    w.secs() as f64
}
