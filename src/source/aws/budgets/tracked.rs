//! One objective as it is followed: the points that are known, when more of them are due, and
//! what they say.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::fetch::{Ask, Got};
use crate::domain::slo::{Assessment, Measure, Method, Objective, Readings, assess};
use crate::domain::{Budget, ClusterId, Text, Timestamp};
use crate::slo::plan::cloudwatch::{Answer, Fetch, Points, periods, plan, readings};
use crate::slo::plan::{POINTS, burn_down};
use crate::slo::{CloudWatchSignal, Part};

/// A younger period may still grow: errors come later than the requests they are of.
const SETTLED: i64 = 120;
/// The newest points may be so many periods late before that is a gap.
const LATE: i64 = 2;
/// So much of what was read already is read again, for points that came late.
const OVERLAP: i64 = 600;
/// No period is renewed more often: CloudWatch has no point sooner.
pub const MINUTE: Duration = Duration::from_mins(1);
/// Of minutes this much is kept, so that the longer periods may be older than one round.
const MINUTES: u64 = 3 * 3600;

/// Where an objective's figures come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Signal {
    /// CloudWatch.
    Read(Box<CloudWatchSignal>),
    /// Nobody, for this reason.
    Not(Text),
}

/// The points of one period.
#[derive(Debug, Clone, Default)]
struct Kept {
    some: Points,
    all: Points,
    /// Points are known from this second on.
    from: i64,
    /// The end of the newest whole period.
    end: i64,
    taken: Option<Instant>,
    due: Option<Instant>,
    error: Text,
}

/// One objective that is followed.
#[derive(Debug, Clone)]
pub struct Tracked {
    pub objective: Arc<Objective>,
    signal: Signal,
    /// Said about it whatever happens.
    remark: Text,
    kept: BTreeMap<u32, Kept>,
    history: Arc<[(Timestamp, f64)]>,
    assessment: Option<Assessment>,
    at: Option<Timestamp>,
    mistake: String,
    /// Said while polling is slowed down.
    slow: String,
}

impl Tracked {
    /// Nothing known yet.
    pub fn new(objective: Objective, signal: Signal, remark: Text) -> Self {
        Self {
            objective: Arc::new(objective),
            signal,
            remark,
            kept: BTreeMap::new(),
            history: Arc::from([]),
            assessment: None,
            at: None,
            mistake: String::new(),
            slow: String::new(),
        }
    }

    fn fetches(&self, now: Timestamp) -> Vec<Fetch> {
        match &self.signal {
            Signal::Read(signal) => plan(&self.objective, signal, now),
            Signal::Not(_) => Vec::new(),
        }
    }

    /// What is due at `tick`; each part's next turn is then set. Reading is `slower` by so much.
    pub fn due(&mut self, owner: usize, now: Timestamp, tick: Instant, slower: u32) -> Vec<Ask> {
        let whole = self.objective.method == Method::Occurrences;
        let fetches = self.fetches(now);
        let finest = fetches.first().map(|f| interval(f.period_secs, whole, slower).as_secs() / 60);
        self.slow = match (slower, finest) {
            (0 | 1, _) | (_, None) => String::new(),
            (_, Some(n)) => format!("read every {n} min only: aws.ceiling"),
        };
        let mut out = Vec::new();
        for fetch in fetches {
            let kept = self.kept.entry(fetch.period_secs).or_default();
            if kept.due.is_some_and(|at| at > tick) {
                continue;
            }
            kept.due = Some(tick + interval(fetch.period_secs, whole, slower));
            let period = i64::from(fetch.period_secs);
            let least = if whole && period == 60 { MINUTES } else { 0 };
            let reach = i64::try_from(fetch.reach.secs().max(least)).unwrap_or(i64::MAX);
            let settled = settled(now, period);
            let from = settled.saturating_sub(reach);
            let known = kept.taken.is_some() && kept.from <= from + period;
            let again = (kept.end - OVERLAP.max(2 * period)).div_euclid(period) * period;
            out.push(Ask {
                owner,
                period_secs: fetch.period_secs,
                from: if known { again.max(from) } else { from },
                queries: fetch.queries,
            });
            kept.some = kept.some.split_off(&from);
            kept.all = kept.all.split_off(&from);
            kept.from = from;
            if !known {
                kept.taken = None;
            }
        }
        out
    }

    /// Takes in what came for one period.
    pub fn take(&mut self, period_secs: u32, got: Got, now: Timestamp, tick: Instant) {
        let Some(kept) = self.kept.get_mut(&period_secs) else { return };
        let (some, all) = match got {
            Ok(points) => points,
            Err(why) => {
                kept.error = why;
                return;
            }
        };
        let period = i64::from(period_secs);
        let settled = settled(now, period);
        kept.some.extend(some);
        kept.all.extend(all);
        kept.error = Text::empty();
        kept.taken = Some(tick);
        let newest = kept.all.range(..settled).next_back().map_or(i64::MIN, |(at, _)| at.saturating_add(period));
        // What is late is not yet missing: the windows end where the points do.
        kept.end = if newest >= settled - LATE * 60 { newest } else { settled };
    }

    /// This was not answered, for this reason: it is due at once.
    pub fn again(&mut self, period_secs: u32, why: &Text) {
        if let Some(kept) = self.kept.get_mut(&period_secs) {
            kept.due = None;
            kept.error = why.clone();
        }
    }

    /// Nobody is asked, for this reason.
    pub fn forgo(&mut self, why: Text) {
        if let Signal::Read(_) = self.signal {
            self.signal = Signal::Not(why);
        }
    }

    /// What all of it means at `now`. What was not renewed for long is no data.
    pub fn assess(&mut self, now: Timestamp, tick: Instant, slower: u32) {
        let Signal::Read(signal) = &self.signal else { return };
        if self.kept.values().all(|k| k.taken.is_none()) {
            return;
        }
        let whole = self.objective.method == Method::Occurrences;
        let fetches = plan(&self.objective, signal, now);
        let mut mistakes = String::new();
        let answers: Vec<Answer> = fetches
            .iter()
            .map(|f| {
                let fresh = |k: &&Kept| {
                    let old = interval(f.period_secs, whole, slower) * 3 + MINUTE;
                    k.taken.is_some_and(|at| tick.duration_since(at) <= old)
                };
                let kept = self.kept.get(&f.period_secs).filter(fresh);
                kept.map_or_else(
                    || Answer {
                        period_secs: f.period_secs,
                        end: settled(now, f.period_secs.into()),
                        ..Answer::default()
                    },
                    |k| Answer {
                        period_secs: f.period_secs,
                        end: k.end,
                        some: within(signal, &k.some, &k.all, k.end, &mut mistakes),
                        all: k.all.range(..k.end).map(|(at, v)| (*at, *v)).collect(),
                    },
                )
            })
            .collect();
        let read = readings(&self.objective, signal, now, &answers).unwrap_or_else(|e| {
            mistakes = e.to_string();
            Readings::default()
        });
        let assessment = assess(&self.objective, &read, now);
        if let Some((fetch, answer)) = fetches.iter().zip(&answers).next_back() {
            let measured = periods(signal, &answer.some, &answer.all).unwrap_or_default();
            let mut history = self.chart(&measured, fetch, answer.end, now);
            if let (Some(left), false) = (assessment.left, history.is_empty()) {
                history.push((now, left.value()));
            }
            self.history = history.into();
        }
        self.assessment = Some(assessment);
        self.mistake = mistakes;
        self.at = Some(now);
    }

    /// The burn-down over the period, in whole periods of the points.
    fn chart(&self, measured: &[(i64, Measure)], fetch: &Fetch, end: i64, now: Timestamp) -> Vec<(Timestamp, f64)> {
        let elapsed = self.objective.period.elapsed(now);
        let period = u64::from(fetch.period_secs).max(1);
        let step = elapsed.secs().div_ceil(POINTS).div_ceil(period).max(1) * period;
        let (step, length) = (i64::try_from(step).unwrap_or(3600), i64::try_from(elapsed.secs()).unwrap_or(i64::MAX));
        let mut groups: BTreeMap<i64, Vec<Measure>> = BTreeMap::new();
        for (at, measure) in measured.iter().filter(|(at, _)| *at >= end.saturating_sub(length) && *at < end) {
            // The end of the part that it falls in.
            groups.entry(end - (end - at - 1).div_euclid(step) * step).or_default().push(*measure);
        }
        let parts: Vec<(i64, Measure)> =
            groups.into_iter().map(|(at, all)| (at, self.objective.method.count(all))).collect();
        burn_down(&self.objective, now, &parts)
    }

    /// As a row of `cluster`.
    pub fn row(&self, cluster: &ClusterId) -> Budget {
        let mut notes: Vec<&str> = vec![self.remark.as_str()];
        if let Signal::Not(why) = &self.signal {
            notes.push(why.as_str());
        }
        notes.extend(self.kept.values().map(|k| k.error.as_str()).find(|e| !e.is_empty()));
        notes.extend([self.mistake.as_str(), self.slow.as_str()]);
        notes.retain(|n| !n.is_empty());
        Budget {
            id: Budget::id_of(&self.objective, cluster),
            objective: Arc::clone(&self.objective),
            assessment: self.assessment.clone(),
            at: self.at,
            history: Arc::clone(&self.history),
            note: Text::new(&notes.join("; ")),
            origin: Text::new("openslo"),
        }
    }
}

/// The end of the newest period that grows no more.
fn settled(now: Timestamp, period: i64) -> i64 {
    (now.timestamp() - SETTLED).div_euclid(period) * period
}

/// How often points of a period are asked for. What is longer than a minute is completed by what is
/// shorter, as far as that goes back: it may be read seldom, but not too seldom.
fn interval(period_secs: u32, whole: bool, slower: u32) -> Duration {
    let (base, most) = match period_secs {
        _ if !whole => (u64::from(period_secs), 24 * 3600),
        60 => (60, 3600),
        300 => (15 * 60, 2 * 3600),
        _ => (3600, 24 * 3600),
    };
    Duration::from_secs((base * u64::from(slower.max(1))).min(most.max(base)))
}

/// A load balancer counts requests when they come and failures when they end: a minute can have more
/// failures than requests. As long as there are fewer overall, the minute counts as failed altogether.
fn within(signal: &CloudWatchSignal, some: &Points, all: &Points, end: i64, said: &mut String) -> Points {
    let mut out: Points = some.range(..end).map(|(at, v)| (*at, *v)).collect();
    let CloudWatchSignal::Ratio { part, .. } = signal else { return out };
    let total: f64 = all.values().sum();
    if out.values().sum::<f64>() > total {
        return out;
    }
    for (at, value) in &mut out {
        if let Some(most) = all.get(at).filter(|m| **m >= 0.0 && *value > **m) {
            *value = *most;
            if *part == Part::Bad {
                "failures of some periods are more than their requests: late ones".clone_into(said);
            }
        }
    }
    out
}
