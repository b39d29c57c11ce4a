//! How far each source can be trusted by the age of its data. Nothing old is shown as if it were new,
//! and what is not known is no zero.

use std::time::Duration;

use crate::app::wall::Pace;
use crate::domain::{BackendKind, ClusterId, Freshness, Health, Orchestrator, Tone, age::human_duration};
use crate::store::{Feed, SourceState};
use crate::view::columns::Context;

/// How far data can be trusted; the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// Not older than twice its interval.
    Fresh,
    /// Older, or its source is down: the figure is shown with its age, in seconds.
    Stale(i64),
    /// It may not be read at all.
    Denied,
    /// Nothing has come yet.
    Never,
    /// Older than ten times its interval: no figure any more. The age in seconds.
    Old(i64),
}

impl Trust {
    /// True where figures must not be shown as figures.
    #[must_use]
    pub fn is_blind(self) -> bool {
        matches!(self, Self::Denied | Self::Never | Self::Old(_))
    }

    /// `▲ stale 2m`, `✖ old 12m`, `? no data yet`; empty where there is nothing to say.
    #[must_use]
    pub fn mark(self, ascii: bool) -> String {
        match (self, ascii) {
            (Self::Fresh, _) => String::new(),
            (Self::Stale(age), false) => format!("▲ stale {}", human_duration(age)),
            (Self::Stale(age), true) => format!("! stale {}", human_duration(age)),
            (Self::Denied, _) => "? denied".to_owned(),
            (Self::Never, _) => "? no data yet".to_owned(),
            (Self::Old(age), false) => format!("✖ old {}", human_duration(age)),
            (Self::Old(age), true) => format!("X old {}", human_duration(age)),
        }
    }

    /// The tone of its mark.
    #[must_use]
    pub fn tone(self) -> Tone {
        match self {
            Self::Fresh => Tone::Dim,
            Self::Stale(_) => Tone::Health(Health::Warning),
            Self::Denied | Self::Never => Tone::Health(Health::Unknown),
            Self::Old(_) => Tone::Health(Health::Critical),
        }
    }
}

/// A source that is expected to speak.
#[derive(Debug, Clone, Copy)]
pub struct Watched<'a> {
    /// The cluster or backend.
    pub id: &'a ClusterId,
    /// What of it; `None` of a backend that has said nothing at all.
    pub feed: Option<Feed>,
    /// How far it can be trusted.
    pub trust: Trust,
    /// Seconds since it spoke last.
    pub age: Option<i64>,
}

/// Without these nobody can say that all is well: what runs, and who would be called.
#[must_use]
pub fn is_vital(feed: Option<Feed>) -> bool {
    feed.is_none_or(|f| matches!(f, Feed::Tasks | Feed::Nodes | Feed::Services | Feed::Alarms | Feed::Budgets))
}

/// How often a source speaks when all is well.
#[must_use]
pub fn interval(pace: &Pace, feed: Feed, ecs: bool) -> Duration {
    match feed {
        Feed::NodeMetrics | Feed::TaskMetrics => pace.metrics,
        Feed::ServiceMetrics => Duration::from_mins(1),
        Feed::Budgets | Feed::Signals => pace.slo,
        Feed::Notices => pace.notices,
        // As far apart as its source asks.
        Feed::Tasks | Feed::Services | Feed::Events | Feed::Targets if ecs => pace.aws,
        Feed::Nodes if ecs => pace.aws * 2,
        Feed::Alarms | Feed::Autoscalers if ecs => pace.aws * 4,
        Feed::Limits => pace.aws * 8,
        Feed::Alarms => pace.backends,
        _ => Pace::WATCH,
    }
}

/// Every source that is to be trusted or not; those that are not offered are left out, and those that
/// are asked only while somebody looks.
#[must_use]
pub fn watched<'a>(c: Context<'a>, pace: &Pace) -> Vec<Watched<'a>> {
    let mut out = Vec::new();
    for (id, _) in c.store.clusters() {
        let who = c.store.orchestrator(id);
        for feed in Feed::of(who).iter().filter(|f| !f.is_on_demand()) {
            out.extend(one(c, pace, id, *feed, c.store.source(id, *feed), who == Orchestrator::Ecs));
        }
    }
    for (id, known) in c.store.backends() {
        // Its metrics are by the minute, however often they are asked for.
        let by_minute = known.is_some_and(|b| b.kind == BackendKind::CloudWatch);
        let slo = if by_minute { pace.slo.max(Duration::from_mins(1)) } else { pace.slo };
        let pace = &Pace { slo, ..*pace };
        let own: Vec<_> = c.store.sources().filter(|(s, _)| s.cluster == *id).collect();
        // What nobody can be asked about is told once, by a backend that does not exist: it ages in no
        // sense, and its budgets say themselves that they have no data.
        if known.is_none() && !own.is_empty() && own.iter().all(|(_, s)| s.complete) {
            continue;
        }
        if own.is_empty() {
            out.push(Watched { id, feed: None, trust: Trust::Never, age: None });
        }
        for (source, state) in own {
            out.extend(one(c, pace, id, source.feed, Some(state), false));
        }
    }
    out
}

fn one<'a>(
    c: Context<'_>,
    pace: &Pace,
    id: &'a ClusterId,
    feed: Feed,
    state: Option<&SourceState>,
    ecs: bool,
) -> Option<Watched<'a>> {
    let age = state.and_then(|s| s.last_data).map(|t| (c.now - t).num_seconds().max(0));
    let trust = match state {
        None => Trust::Never,
        Some(SourceState { freshness: Freshness::Absent { denied: false, .. }, .. }) => return None,
        Some(SourceState { freshness: Freshness::Absent { denied: true, .. }, .. }) => Trust::Denied,
        Some(s) if !s.complete => Trust::Never,
        Some(s) => of_age(age, interval(pace, feed, ecs), matches!(s.freshness, Freshness::Down { .. })),
    };
    Some(Watched { id, feed: Some(feed), trust, age })
}

/// What an age means for data that comes at this interval.
#[must_use]
pub fn of_age(age: Option<i64>, interval: Duration, down: bool) -> Trust {
    let Some(age) = age else { return Trust::Never };
    let every = i64::try_from(interval.as_secs()).unwrap_or(i64::MAX).max(1);
    match age {
        a if a > every.saturating_mul(10) => Trust::Old(a),
        a if down || a > every.saturating_mul(2) => Trust::Stale(a),
        _ => Trust::Fresh,
    }
}

/// The worst of these feeds, in one cluster or backend or in all; `None` where none of them is read.
#[must_use]
pub fn worst(all: &[Watched<'_>], feeds: &[Feed], of: Option<&ClusterId>) -> Option<Trust> {
    let wanted = |w: &&Watched<'_>| w.feed.is_some_and(|f| feeds.contains(&f)) && of.is_none_or(|id| w.id == id);
    all.iter().filter(wanted).map(|w| w.trust).max()
}

/// How far a figure can be trusted that is put together from several sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum {
    /// The source that is worst off.
    pub worst: Trust,
    /// The one that is best off: where that is blind, nothing is known at all.
    pub best: Trust,
}

impl From<Trust> for Sum {
    fn from(one: Trust) -> Self {
        Self { worst: one, best: one }
    }
}

/// All sources of these feeds together; `None` where none of them is read.
#[must_use]
pub fn sum(all: &[Watched<'_>], feeds: &[Feed]) -> Option<Sum> {
    Some(Sum { worst: worst(all, feeds, None)?, best: best(all, feeds)? })
}

/// The best of them: where that is blind, nothing is known at all.
#[must_use]
pub fn best(all: &[Watched<'_>], feeds: &[Feed]) -> Option<Trust> {
    all.iter().filter(|w| w.feed.is_some_and(|f| feeds.contains(&f))).map(|w| w.trust).min()
}

/// A figure as it may be shown: hatched where it is too old, a question where there never was one.
#[must_use]
pub fn figure(text: String, trust: Trust, ascii: bool) -> String {
    match trust {
        Trust::Fresh | Trust::Stale(_) => text,
        Trust::Denied | Trust::Never => "?".to_owned(),
        Trust::Old(_) => hatched(&text, ascii),
    }
}

/// The same length, and nothing to read.
#[must_use]
pub fn hatched(text: &str, ascii: bool) -> String {
    let mark = if ascii { '/' } else { '░' };
    text.chars().map(|c| if c == ' ' { ' ' } else { mark }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_the_interval_is_stale_and_ten_times_is_no_figure() {
        let every = Duration::from_secs(30);
        for (age, down, want) in [
            (Some(0), false, Trust::Fresh),
            (Some(60), false, Trust::Fresh),
            (Some(61), false, Trust::Stale(61)),
            (Some(5), true, Trust::Stale(5)),
            (Some(300), false, Trust::Stale(300)),
            (Some(301), false, Trust::Old(301)),
            (Some(301), true, Trust::Old(301)),
            (None, false, Trust::Never),
        ] {
            assert_eq!(of_age(age, every, down), want, "{age:?} {down}");
        }
        assert!(Trust::Old(1) > Trust::Stale(900) && Trust::Never > Trust::Stale(900));
    }

    #[test]
    fn what_is_hatched_cannot_be_read() {
        assert_eq!(figure("12/12".into(), Trust::Old(9), false), "░░░░░");
        assert_eq!(figure("1 2".into(), Trust::Old(9), true), "/ /");
        assert_eq!(figure("0".into(), Trust::Never, true), "?");
        assert_eq!(figure("7".into(), Trust::Stale(9), true), "7");
    }
}
