//! An error budget as a row: an objective, and what is known of it now.

use std::sync::Arc;

use super::slo::{Assessment, Exhaustion, Fraction, Indicator, Lookback, Method, Objective, Period, State};
use super::{ClusterId, Health, Kind, ObjectId, Text, Timestamp};

/// One objective of an SLO with what was measured last.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    /// Identity: kind [`super::Kind::Budget`], in the backend (or cluster) that is
    /// asked; namespace is the service, name is [`Objective::key`].
    pub id: ObjectId,
    /// What was promised.
    pub objective: Arc<Objective>,
    /// What follows from the last readings; `None` until there were any.
    pub assessment: Option<Assessment>,
    /// When those readings were taken.
    pub at: Option<Timestamp>,
    /// The share of the budget that was left, oldest first, over the period: the
    /// burn-down chart. Points are `(when, left)`; left may be below 0. Gaps are gaps.
    pub history: Arc<[(Timestamp, f64)]>,
    /// What limits how far it can be trusted (a partial answer, a time-weighted
    /// indicator of somebody else's), or why it cannot be had; may be empty.
    pub note: Text,
    /// How it was come by: `openslo`, `pyrra`, `sloth`.
    pub origin: Text,
}

impl Budget {
    /// The identity of an objective's row in the backend `of`.
    #[must_use]
    pub fn id_of(objective: &Objective, of: &ClusterId) -> ObjectId {
        let (namespace, name) = (objective.service.clone(), Text::new(&objective.key()));
        ObjectId { cluster: of.clone(), kind: Kind::Budget, namespace, name }
    }

    /// How bad it is: what calls somebody now is critical, a ticket or an exhausted
    /// budget a warning, no data unknown.
    #[must_use]
    pub fn health(&self) -> Health {
        match self.state() {
            None | Some(State::NoData) => Health::Unknown,
            Some(State::Page | State::ExhaustedAndBurning) => Health::Critical,
            Some(State::Exhausted | State::Ticket) => Health::Warning,
            Some(State::NoTraffic | State::Fine | State::FewEvents) => Health::Ok,
        }
    }

    /// One word for it all; `None` until there were readings.
    #[must_use]
    pub fn state(&self) -> Option<State> {
        self.assessment.as_ref().map(|a| a.state)
    }

    /// [`Budget::state`] in words; `not read` until there were readings.
    #[must_use]
    pub fn word(&self) -> &'static str {
        self.state().map_or("not read", State::word)
    }

    /// `checkout 99.9%`: which objective, in the fewest words.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} {}", self.objective.key(), self.objective.target)
    }

    /// The indicator: `99.9228%`, or one of three different words where there is no
    /// figure that says as much: `no data`, `no traffic`, `no errors`.
    #[must_use]
    pub fn indicator_text(&self) -> String {
        match self.assessment.as_ref().map(|a| a.indicator) {
            None | Some(Indicator::NoData) => "no data".to_owned(),
            Some(Indicator::NoTraffic) => "no traffic".to_owned(),
            Some(Indicator::Ratio(r)) if r.rest().is_zero() => "no errors".to_owned(),
            Some(Indicator::Ratio(r)) => r.percent(4),
        }
    }

    /// The share that is left; `None` without traffic or data.
    #[must_use]
    pub fn left(&self) -> Option<Fraction> {
        self.assessment.as_ref()?.left
    }

    /// `22.8%`, `-40.0%`, or why there is no figure.
    #[must_use]
    pub fn left_text(&self) -> String {
        self.left().map_or_else(|| self.indicator_text(), |l| l.percent(1))
    }

    /// What is left in its own unit: events, or minutes of slices or of a total
    /// outage where there are no events behind the indicator. Below 0 when overspent.
    #[must_use]
    pub fn remaining(&self, now: Timestamp) -> Option<(f64, &'static str)> {
        let a = self.assessment.as_ref()?;
        let left = a.left?.value();
        match (self.objective.method, a.allowed_bad) {
            (Method::Occurrences, Some(allowed)) => Some((left * allowed, "events")),
            _ => Some((left * self.objective.budget_secs(self.objective.period.length(now)) / 60.0, "min")),
        }
    }

    /// `5,920 events`, `9.9 min`.
    #[must_use]
    pub fn remaining_text(&self, now: Timestamp) -> Option<String> {
        let (n, unit) = self.remaining(now)?;
        Some(if unit == "events" { format!("{} {unit}", grouped(n)) } else { format!("{n:.1} {unit}") })
    }

    /// How fast it burns over a window: 1 is used up exactly at the end. `None`
    /// without traffic, without data, or where nobody asked.
    #[must_use]
    pub fn burn(&self, window: Lookback) -> Option<Fraction> {
        self.assessment.as_ref()?.burns.iter().find(|(w, _)| *w == window)?.1
    }

    /// At the rate of now it would take longer than its rolling window: by then what was burned has fallen
    /// out of that again, so that it never comes.
    #[must_use]
    pub fn outlasts(&self) -> bool {
        match (self.assessment.as_ref().map(|a| a.exhaustion), &self.objective.period) {
            #[expect(clippy::cast_precision_loss, reason = "windows are some weeks long")]
            (Some(Exhaustion::In(secs)), Period::Rolling(w)) => secs > w.secs() as f64,
            _ => false,
        }
    }

    /// When it is gone: `9.9h`, `exhausted`, `not at this rate`, `lasts the period`, `unknown`.
    #[must_use]
    pub fn gone_text(&self) -> String {
        match self.assessment.as_ref().map_or(Exhaustion::Unknown, |a| a.exhaustion) {
            Exhaustion::Exhausted => "exhausted".to_owned(),
            Exhaustion::In(_) if self.outlasts() => "lasts the window".to_owned(),
            Exhaustion::In(secs) => span_text(secs),
            Exhaustion::NotThisPeriod => "lasts the period".to_owned(),
            Exhaustion::NotAtThisRate => "not at this rate".to_owned(),
            Exhaustion::Unknown => "unknown".to_owned(),
        }
    }

    /// For sorting, the most urgent least: what is overspent by how much, then
    /// seconds, then what lasts. `None` where it is not known.
    #[must_use]
    pub fn urgency(&self) -> Option<f64> {
        let a = self.assessment.as_ref()?;
        match a.exhaustion {
            Exhaustion::Exhausted => Some(a.left.map_or(0.0, Fraction::value).min(0.0)),
            Exhaustion::In(secs) => Some(secs),
            Exhaustion::NotThisPeriod => Some(1e15),
            Exhaustion::NotAtThisRate => Some(2e15),
            Exhaustion::Unknown => None,
        }
    }

    /// `checkout 99.9%: 22.8% left, at this rate gone in 9.9h, page`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let mut out = format!("{}: ", self.title());
        match self.left() {
            Some(left) => out += &format!("{} left, ", left.percent(1)),
            None => return out + self.word(),
        }
        match self.assessment.as_ref().map(|a| a.exhaustion) {
            Some(Exhaustion::In(secs)) if !self.outlasts() => {
                out += &format!("at this rate gone in {}, ", span_text(secs));
            }
            Some(Exhaustion::Exhausted | Exhaustion::Unknown) | None => {}
            Some(_) => out += &format!("{}, ", self.gone_text()),
        }
        out + self.word()
    }
}

/// `16.7x`, `0.56x`, `250x`: a burn with three figures, in multiples of the even pace.
#[must_use]
pub fn burn_text(burn: Fraction) -> String {
    match burn.value() {
        0.0 => "0x".to_owned(),
        // Some are some: they do not round to none.
        n if n < 0.005 => "<0.01x".to_owned(),
        n if n >= 99.95 => format!("{n:.0}x"),
        n if n >= 9.995 => format!("{n:.1}x"),
        n => format!("{n:.2}x"),
    }
}

/// `95s`, `57m`, `9.9h`, `41.5d`: one unit, so that a column of them compares.
#[must_use]
pub fn span_text(secs: f64) -> String {
    match secs {
        s if s < 120.0 => format!("{s:.0}s"),
        s if s < 7200.0 => format!("{:.0}m", s / 60.0),
        s if s < 172_800.0 => format!("{:.1}h", s / 3600.0),
        s if s < 86_400_000.0 => format!("{:.1}d", s / 86_400.0),
        _ => ">1000d".to_owned(),
    }
}

/// `25,920`, `-400`; below ten with one decimal, for a burn of few events.
pub(crate) fn grouped(n: f64) -> String {
    if n.abs() < 9.95 {
        return format!("{n:.1}").trim_end_matches(".0").to_owned();
    }
    let digits = format!("{:.0}", n.abs());
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    if n < 0.0 { format!("-{out}") } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_their_size() {
        assert_eq!(
            [0.0, 0.001, 0.5556, 16.667, 250.0].map(|n| burn_text(fraction(n))),
            ["0x", "<0.01x", "0.56x", "16.7x", "250x"]
        );
        assert_eq!(
            [95.0, 3420.0, 35_532.0, 3_585_600.0, 1e12].map(span_text),
            ["95s", "57m", "9.9h", "41.5d", ">1000d"]
        );
        assert_eq!([5920.0, -400.0, 1_234_567.2, 0.4, 3.0].map(grouped), ["5,920", "-400", "1,234,567", "0.4", "3"]);
    }

    #[expect(clippy::cast_possible_truncation, reason = "small")]
    fn fraction(n: f64) -> Fraction {
        Fraction::new((n * 1e6) as i128, 1_000_000)
    }
}
