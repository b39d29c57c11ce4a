//! The details of a service: its golden signals in full, and what stands behind it.

use super::chart::{self, Chart, Series};
use super::columns::services::caveat;
use super::columns::{budget_mark, budgets};
use super::details::Lines;
use crate::domain::traffic::{duration, rate, share};
use crate::domain::{Covers, Line, ObjectId, Service, Signals, Tone};

/// A service's lines, for a pane or page of this width.
pub(super) fn service(d: &mut Lines<'_, '_>, id: &ObjectId, width: usize) {
    let c = d.c;
    let Some(s) = c.store.service(id) else {
        d.row("trust", "it is no longer among the services that are read", Tone::Warning);
        return;
    };
    let or_no_data = |text: Option<String>| text.unwrap_or_else(|| "no data".to_owned());
    d.row("from", &s.origin, Tone::Plain);
    d.time("minute", s.at);
    d.row("trust", &caveat(c, &s), Tone::Warning);
    d.heading("golden signals");
    d.row("rate", &or_no_data(s.now.requests.map(|n| format!("{}/s", rate(n)))), Tone::Plain);
    let errors = match (s.now.requests, s.now.errors) {
        (Some(0.0), None) => "no traffic".to_owned(),
        (_, errors) => or_no_data(errors.map(share)),
    };
    d.row("errors", &errors, Tone::Plain);
    let of = match s.now.covers {
        Covers::All => "all responses: a fast failure can flatter it",
        Covers::Successes => "successes only",
    };
    d.row("latency", &format!("{} ({of})", latency(s.now.latency)), Tone::Plain);
    if s.now.failure_latency.iter().any(Option::is_some) {
        d.row("failures", &latency(s.now.failure_latency), Tone::Plain);
    }
    d.row("saturation", &or_no_data(s.now.saturation.map(|n| format!("{:.0}%", n * 100.0))), Tone::Plain);
    trend(d, &s, "requests a second", width, |t| t.requests, &|n| format!("{}/s", rate(n)));
    trend(d, &s, "errors", width, |t| t.errors, &share);
    trend(d, &s, "p99", width, |t| t.latency[2], &duration);
    trend(d, &s, "saturation", width, |t| t.saturation, &|n| format!("{:.0}%", n * 100.0));
    let all = c.store.budgets_of(id);
    if !all.is_empty() {
        d.heading("error budgets");
    }
    for b in all {
        let line = Line::new().with(format!("{} ", budget_mark(b, c.ascii)), budgets::tone(b));
        d.out.push(line.with(b.sentence(), Tone::Plain));
    }
    d.heading("workloads");
    if s.workloads.is_empty() {
        d.out.push(Line::new().with("none is known", Tone::Dim));
    }
    for w in s.workloads.iter() {
        let mut line = Line::new().with(format!("{} {} ", w.kind.short(), w.name), Tone::Plain);
        match c.store.workloads.get(w) {
            Some(w) => {
                let counts = format!("{}, {}/{} ready", w.status, w.replicas.ready, w.replicas.desired);
                line.push(counts, Tone::Health(w.health));
            }
            None => line.push("not read here", Tone::Dim),
        }
        d.out.push(line);
    }
    let changes = c.store.changes_of(&s.workloads);
    let alarms = c.store.alarms_of(&s.id.name, None, &s.workloads, c.store.about(&s.id));
    super::details_budget::events(d, &alarms, &changes);
}

/// `p50 41ms p95 120ms p99 1.2s`; `no data` for all of them at once.
fn latency(all: crate::domain::service::Latency) -> String {
    if all.iter().all(Option::is_none) {
        return "no data".to_owned();
    }
    let parts = ["p50", "p95", "p99"].iter().zip(all);
    let text = parts.map(|(name, n)| format!("{name} {}", n.map_or_else(|| "-".to_owned(), duration)));
    text.collect::<Vec<_>>().join(" ")
}

/// One figure over the last minutes; a minute without it is a gap.
fn trend(
    d: &mut Lines<'_, '_>,
    s: &Service,
    name: &str,
    width: usize,
    of: fn(&Signals) -> Option<f64>,
    text: &dyn Fn(f64) -> String,
) {
    let values: Vec<Option<f64>> = s.trend.iter().map(of).map(|v| v.filter(|v| v.is_finite())).collect();
    let points: Vec<(f64, f64)> = (0_u32..).zip(&values).filter_map(|(i, v)| v.map(|v| (f64::from(i), v))).collect();
    if points.is_empty() {
        return;
    }
    let last = u32::try_from(values.len()).unwrap_or(1).saturating_sub(1).max(1);
    let top = points.iter().map(|p| p.1).fold(0.0, f64::max);
    d.heading(&format!("{name}, last {} min", values.len()));
    // All zeros are a line at the bottom, not in the middle of nowhere.
    let scale = if top > 0.0 { top } else { 1.0 };
    let mut ticks = vec![(0.0, "0".to_owned())];
    if top > 0.0 {
        ticks.push((top, text(top)));
    }
    let chart = Chart {
        series: vec![Series { points: &points, tone: Tone::Gauge(0), ascii: '*', gap: 1.0 }],
        x: (0.0, f64::from(last)),
        y: (0.0, scale),
        ticks,
        size: (width.clamp(24, 100), 4),
    };
    d.out.extend(chart::plot(&chart, d.c.ascii));
}
