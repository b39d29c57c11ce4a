//! One objective as it is followed: what was measured, when each part is due again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::ask::{Got, Question};
use crate::domain::slo::{Assessment, Basis, Lookback, Measure, Method, Objective, Period, Readings, assess};
use crate::domain::{Budget, ClusterId, Text, Timestamp};
use crate::slo::PrometheusSignal;
use crate::slo::plan::prometheus::{self as plan, Role};
use crate::slo::plan::{POINTS, burn_down};
use crate::slo::recorded::{Recorded, Recorder};

/// Windows up to here are asked for each time: a page waits for none of them.
const EACH_TIME: Lookback = Lookback::hours(6);

/// Where an objective's figures come from.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// Computed here.
    Measured(PrometheusSignal),
    /// Recorded by somebody else.
    Recorded(Recorded),
    /// From nowhere yet, for this reason.
    Not(Text),
}

/// What is asked for on its own schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// A window that looks back from now.
    Window(Lookback),
    /// The whole period.
    Period,
    /// The burn-down chart.
    History,
}

impl Slot {
    /// One that is asked for each time.
    fn is_short(self) -> bool {
        matches!(self, Self::Window(w) if w <= EACH_TIME)
    }
}

/// A value's place: slot, the window that was asked for, and what it counts.
pub type Key = (Slot, Lookback, Role);

/// One objective that is followed.
#[derive(Debug, Clone)]
pub struct Tracked {
    /// What is promised.
    pub objective: Arc<Objective>,
    /// Where its figures come from.
    pub what: What,
    /// How it was come by.
    pub origin: &'static str,
    /// Said about it whatever happens.
    pub remark: String,
    measures: BTreeMap<Slot, (Measure, Instant)>,
    asked: HashMap<Slot, Instant>,
    /// What was refused is not asked for before then.
    held: HashMap<Slot, Instant>,
    history: Arc<[(Timestamp, f64)]>,
    errors: BTreeMap<Slot, String>,
    /// Whether the server has refused a question of it, for the short windows and for the rest,
    /// and when it is asked again.
    refused: [Option<Instant>; 2],
    partial: String,
    at: Option<Timestamp>,
    assessment: Option<Assessment>,
}

impl Tracked {
    /// Nothing known yet.
    pub fn new(objective: Objective, what: What, origin: &'static str, remark: String) -> Self {
        Self {
            objective: Arc::new(objective),
            what,
            origin,
            remark,
            measures: BTreeMap::new(),
            asked: HashMap::new(),
            held: HashMap::new(),
            history: Arc::from([]),
            errors: BTreeMap::new(),
            refused: [None; 2],
            partial: String::new(),
            at: None,
            assessment: None,
        }
    }

    /// One that somebody records.
    pub fn recorded(recorded: Recorded) -> Self {
        let objective = Objective {
            slo: Text::new(&recorded.name),
            objective: None,
            title: Text::new(&recorded.name),
            service: Text::new(recorded.service.as_deref().unwrap_or_default()),
            description: Text::empty(),
            runbook: None,
            indicator: Text::new(&format!("recorded by {}", recorded.recorder.word())),
            target: recorded.target,
            period: Period::Rolling(recorded.period),
            method: Method::Occurrences,
            basis: Basis::SoFar,
            rows: recorded.rows(),
            min_bad: crate::domain::slo::MIN_BAD,
        };
        let origin = match recorded.recorder {
            Recorder::Pyrra => "pyrra",
            Recorder::Sloth => "sloth",
        };
        let remark = recorded.recorder.caveat().unwrap_or_default().to_owned();
        Self::new(objective, What::Recorded(recorded), origin, remark)
    }

    /// Questions of the slots that are due at `tick`, the short windows or the rest, which counts as
    /// asking them. `base` is the interval of the short ones.
    pub fn due(
        &mut self,
        owner: usize,
        short: bool,
        now: Timestamp,
        tick: Instant,
        base: Duration,
    ) -> Vec<Question<Key>> {
        let mut out = Vec::new();
        for slot in self.slots() {
            if slot.is_short() != short || slot == Slot::History || !self.is_due(slot, now, tick, base) {
                continue;
            }
            self.asked.insert(slot, tick);
            let window = match slot {
                Slot::Window(w) => w,
                _ => self.objective.period.elapsed(now),
            };
            out.extend(self.exprs(slot, window).into_iter().map(|(role, expr)| Question {
                key: (slot, window, role),
                owner,
                expr,
            }));
        }
        out
    }

    fn slots(&self) -> Vec<Slot> {
        if matches!(self.what, What::Not(_)) {
            return Vec::new();
        }
        let mut slots: Vec<Slot> = self.objective.windows().into_iter().map(Slot::Window).collect();
        slots.push(Slot::Period);
        slots
    }

    /// By the interval of now, not of when it was asked for: one that begins to burn does not wait for
    /// the turn it had while it was quiet.
    fn is_due(&self, slot: Slot, now: Timestamp, tick: Instant, base: Duration) -> bool {
        self.held.get(&slot).is_none_or(|at| *at <= tick)
            && self.asked.get(&slot).is_none_or(|at| tick.duration_since(*at) >= self.interval(slot, now, base))
    }

    fn interval(&self, slot: Slot, now: Timestamp, base: Duration) -> Duration {
        let long = base.saturating_mul(10);
        let length = match slot {
            Slot::Window(w) if w <= EACH_TIME => return base.saturating_sub(base / 10),
            Slot::Window(w) => w,
            // What burns is looked at more closely.
            Slot::Period if self.burns() => return long,
            Slot::Period | Slot::History => self.objective.period.elapsed(now),
        };
        long.max(Duration::from_secs(length.secs() / POINTS))
    }

    fn burns(&self) -> bool {
        let Some((measure, _)) = self.measures.get(&Slot::Window(Objective::REFERENCE)) else { return false };
        measure.burn(self.objective.target).is_some_and(|b| b.value() > 1.0)
    }

    fn exprs(&self, slot: Slot, window: Lookback) -> Vec<(Role, String)> {
        match &self.what {
            What::Measured(signal) => {
                plan::asks(signal, self.objective.method, &[window]).into_iter().map(|a| (a.role, a.expr)).collect()
            }
            What::Recorded(recorded) if slot == Slot::Period => vec![(Role::SuccessRatio, recorded.indicator())],
            What::Recorded(recorded) => {
                recorded.error_ratio(window).map(|e| (Role::ErrorRatio, e)).into_iter().collect()
            }
            What::Not(_) => Vec::new(),
        }
    }

    /// The burn-down's questions if it is due: from, to, step, and what to ask at each.
    pub fn history_due(
        &mut self,
        owner: usize,
        now: Timestamp,
        tick: Instant,
        base: Duration,
    ) -> Option<(Timestamp, Timestamp, u64, Vec<Question<Key>>)> {
        let refused = self.refused.iter().any(Option::is_some);
        if matches!(self.what, What::Not(_)) || refused || !self.is_due(Slot::History, now, tick, base) {
            return None;
        }
        self.asked.insert(Slot::History, tick);
        let elapsed = self.objective.period.elapsed(now).secs();
        let part = self.objective.method.slicing().map_or(60, |s| s.slice.secs().max(60));
        let step = elapsed.div_ceil(POINTS).div_ceil(part).saturating_mul(part).max(part);
        if elapsed < step {
            return None;
        }
        let window = Lookback::seconds(step);
        let from = now - Lookback::seconds(elapsed / step * step).delta() + window.delta();
        let exprs = match &self.what {
            What::Recorded(recorded) => vec![(Role::Total, recorded.left())],
            _ => self.exprs(Slot::History, window),
        };
        let question = |(role, expr)| Question { key: (Slot::History, window, role), owner, expr };
        Some((from, now, step, exprs.into_iter().map(question).collect()))
    }

    /// Takes in what came for one slot at one moment.
    pub fn take(&mut self, slot: Slot, window: Lookback, values: &BTreeMap<Role, Got<f64>>, tick: Instant) {
        let several = values.values().find_map(|got| if let Got::Several(all) = got { Some(all.len()) } else { None });
        let value = |role| match values.get(&role) {
            Some(Got::One(v)) => Some(*v),
            _ => None,
        };
        let measured = match several {
            Some(n) => Err(format!("the query gives {n} series where one is meant: add them up with sum(...)")),
            None => self.measure(window, value),
        };
        self.refused[part(slot.is_short())] = None;
        match measured {
            Ok(measure) => {
                self.errors.remove(&slot);
                self.measures.insert(slot, (measure, tick));
            }
            Err(why) => {
                self.errors.insert(slot, format!("{window}: {why}"));
                self.measures.insert(slot, (Measure::NoData, tick));
            }
        }
    }

    fn measure(&self, window: Lookback, value: impl Fn(Role) -> Option<f64>) -> Result<Measure, String> {
        match &self.what {
            What::Measured(signal) => {
                plan::measure(signal, self.objective.method, window, value).map_err(|e| e.to_string())
            }
            What::Recorded(_) => {
                let ratio = match (value(Role::ErrorRatio), value(Role::SuccessRatio)) {
                    (Some(bad), _) => Measure::from_error_ratio(bad),
                    (None, Some(good)) => Measure::from_success_ratio(good),
                    (None, None) => Ok(Measure::NoData),
                };
                ratio.map_err(|e| e.to_string())
            }
            What::Not(_) => Ok(Measure::NoData),
        }
    }

    /// Takes in the burn-down: values by role and time.
    pub fn take_history(&mut self, window: Lookback, series: &BTreeMap<Role, Vec<(f64, f64)>>, now: Timestamp) {
        let mut moments: BTreeMap<i64, BTreeMap<Role, f64>> = BTreeMap::new();
        for (role, points) in series {
            for (at, value) in points {
                #[expect(clippy::cast_possible_truncation, reason = "seconds of our time")]
                moments.entry(at.round() as i64).or_default().insert(*role, *value);
            }
        }
        let time = |secs: i64| Timestamp::from_timestamp(secs, 0);
        if let What::Recorded(_) = self.what {
            let point = |(at, values): (i64, BTreeMap<Role, f64>)| {
                let left = values.get(&Role::Total).copied().filter(|v| v.is_finite())?;
                Some((time(at)?, left))
            };
            self.history = moments.into_iter().filter_map(point).collect();
            return;
        }
        let parts: Vec<(i64, Measure)> = moments
            .into_iter()
            .filter_map(|(at, values)| Some((at, self.measure(window, |role| values.get(&role).copied()).ok()?)))
            .collect();
        self.history = burn_down(&self.objective, now, &parts).into();
    }

    /// The server refuses its questions: they are asked again at `again`, not before.
    pub fn refused(&mut self, slots: &[Slot], why: &str, again: Instant) {
        for slot in slots {
            self.refused[part(slot.is_short())] = Some(again);
            self.held.insert(*slot, again);
        }
        self.failed(slots, why);
    }

    /// These could not be had.
    pub fn failed(&mut self, slots: &[Slot], why: &str) {
        for slot in slots {
            self.errors.insert(*slot, why.to_owned());
        }
    }

    /// These are due at once.
    pub fn again(&mut self, slots: &[Slot]) {
        for slot in slots {
            self.asked.remove(slot);
        }
    }

    /// When the server, which has refused it, is asked again for the short windows, or the rest.
    pub fn is_refused(&self, short: bool) -> Option<Instant> {
        self.refused[part(short)]
    }

    /// True where a threshold is no bound of the histogram.
    pub fn misses_a_bound(&self) -> bool {
        self.errors.values().any(|why| why.contains("no bucket ends"))
    }

    /// What the server adds to its answers.
    pub fn limited_by(&mut self, note: &str) {
        note.clone_into(&mut self.partial);
    }

    /// What all of it means at `now`. A measure that was not renewed for long is none.
    pub fn assess(&mut self, now: Timestamp, tick: Instant, base: Duration) {
        if self.measures.is_empty() {
            return;
        }
        let fresh = |slot: Slot| {
            let (measure, at) = self.measures.get(&slot)?;
            let old = self.interval(slot, now, base).saturating_mul(3) + base;
            (tick.duration_since(*at) <= old).then_some(*measure)
        };
        let windows = self.objective.windows().into_iter();
        let readings = Readings {
            period: fresh(Slot::Period).unwrap_or_default(),
            windows: windows.filter_map(|w| Some((w, fresh(Slot::Window(w))?))).collect(),
        };
        self.assessment = Some(assess(&self.objective, &readings, now));
        self.at = Some(now);
    }

    /// As a row of `cluster`.
    pub fn row(&self, cluster: &ClusterId) -> Budget {
        let mut notes: Vec<&str> = vec![&self.remark];
        if let What::Not(why) = &self.what {
            notes.push(why.as_str());
        }
        notes.extend(self.errors.values().next().map(String::as_str));
        notes.push(&self.partial);
        notes.retain(|n| !n.is_empty());
        Budget {
            id: Budget::id_of(&self.objective, cluster),
            objective: Arc::clone(&self.objective),
            assessment: self.assessment.clone(),
            at: self.at,
            history: Arc::clone(&self.history),
            note: Text::new(&notes.join("; ")),
            origin: Text::new(self.origin),
        }
    }
}

/// Where the short windows are, and the rest.
fn part(short: bool) -> usize {
    usize::from(!short)
}
