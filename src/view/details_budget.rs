//! The details of an error budget: the whole assessment in words, its burn-down, and
//! what else happened on the same axis of time.

use super::chart::{self, Chart, Series};
use super::columns::budgets::{caveat, tone};
use super::columns::{budget_mark, clock_time};
use super::details::Lines;
use super::spark::bar;
use crate::domain::age::age;
use crate::domain::budget::{burn_text, grouped, span_text};
use crate::domain::slo::{Exhaustion, Lookback, Objective, Row, RowState, Severity};
use crate::domain::{Alarm, AlarmState, Budget, Health, Line, ObjectId, Timestamp, Tone};
use crate::store::services::Change;

/// A budget's lines, for a pane or page of this width.
pub(super) fn budget(d: &mut Lines<'_, '_>, id: &ObjectId, width: usize) {
    let c = d.c;
    let Some(b) = c.store.budgets.get(id) else {
        d.row("verdict", "it is no longer among the budgets that are read", Tone::Warning);
        return;
    };
    let o = &b.objective;
    d.row("verdict", &format!("{} {}", budget_mark(b, c.ascii), b.word()), tone(b));
    d.row("means", meaning(b), Tone::Plain);
    figures(d, b);
    if let Some(link) = &o.runbook {
        d.row("runbook", link, Tone::String);
    }
    d.time("read", b.at);
    d.row("trust", &caveat(c, b), Tone::Warning);
    let scope = c.store.about(&b.id);
    let workloads = c.store.workloads_of(&o.service, scope);
    let alarms = c.store.alarms_of(&o.service, Some(o), &workloads, scope);
    let changes = c.store.changes_of(&workloads);
    burn_down(d, b, &alarms, &changes, width);
    events(d, &alarms, &changes);
    rows(d, b);
    burns(d, b);
    d.heading("objective");
    if o.title != o.slo {
        d.row("title", &o.title, Tone::Plain);
    }
    d.row("service", &o.service, Tone::Plain);
    d.row("target", &format!("{}, counted in {}", o.target, o.method), Tone::Plain);
    d.row("window", &o.period.to_string(), Tone::Plain);
    d.row("about", &o.description, Tone::Plain);
    d.row("measures", &o.indicator, Tone::Plain);
    d.row("origin", &b.origin, Tone::Plain);
}

/// The state as a sentence.
fn meaning(b: &Budget) -> &'static str {
    use crate::domain::slo::State;
    match b.state() {
        None => "no reading has come yet",
        Some(State::Page) => "somebody should look now: it burns fast, and goes on",
        Some(State::Ticket) => "somebody should look in working hours: it burns steadily",
        Some(State::Exhausted) => "nothing is left, though nothing burns fast now",
        Some(State::ExhaustedAndBurning) => "nothing is left, and it still burns",
        Some(State::FewEvents) => "it would fire, with more bad events than these few",
        Some(State::NoTraffic) => "nothing happened lately: neither good nor bad",
        Some(State::NoData) => "nothing is known about the last minutes",
        Some(State::Fine) => "no row fires, and there is budget left",
    }
}

fn figures(d: &mut Lines<'_, '_>, b: &Budget) {
    let Some(a) = &b.assessment else { return };
    let now = d.c.now;
    d.row("indicator", &b.indicator_text(), Tone::Plain);
    if let Some(counts) = a.counts {
        let text = format!("{} bad of {}", grouped(counts.bad()), grouped(counts.total()));
        d.row("events", &text, Tone::Plain);
    }
    let left = match b.remaining_text(now) {
        Some(rest) => format!("{}: {rest}", b.left_text()),
        None => b.left_text(),
    };
    d.row("left", &left, b.left().map_or(Tone::Dim, super::columns::budgets::left_tone));
    if let Some(allowed) = a.allowed_bad {
        d.row("allowed", &format!("{} bad at the traffic of this window", grouped(allowed)), Tone::Plain);
    }
    let gone = match a.exhaustion {
        Exhaustion::In(secs) if b.outlasts() => format!(
            "not within its {}: {} at the rate of the last {}, and by then old errors fall out",
            b.objective.period,
            span_text(secs),
            Objective::REFERENCE
        ),
        Exhaustion::In(_) => {
            format!("in {} at the rate of the last {}, if traffic stays", b.gone_text(), Objective::REFERENCE)
        }
        Exhaustion::NotAtThisRate => "not at this rate: no errors in the last 1h".to_owned(),
        Exhaustion::NotThisPeriod => "not before the period ends and the budget is new".to_owned(),
        Exhaustion::Exhausted => "exhausted".to_owned(),
        Exhaustion::Unknown => "unknown: nothing to tell a rate from".to_owned(),
    };
    d.row("gone", &gone, Tone::Plain);
    if a.low_traffic {
        let text = format!("low: one failure alone is over a row, so {} bad events are needed", b.objective.min_bad);
        d.row("traffic", &text, Tone::Warning);
    }
}

/// The multi-window table, each row in words.
fn rows(d: &mut Lines<'_, '_>, b: &Budget) {
    let Some(a) = &b.assessment else { return };
    d.heading("who is called when");
    for (row, state) in &a.rows {
        let (text, tone) = match state {
            RowState::Over => ("fires", Tone::Health(severity(row.severity))),
            RowState::FewEvents => ("few events: both are over, nobody is called", Tone::Warning),
            RowState::Under => ("does not fire", Tone::Dim),
            RowState::NoTraffic => ("no traffic", Tone::Dim),
            RowState::NoData => ("no data", Tone::Health(Health::Unknown)),
        };
        d.out.push(
            Line::new()
                .with(format!("{:<7}", row.severity.word()), Tone::Key)
                .with(format!("over {}: ", row.factor), Tone::Plain)
                .with(text, tone),
        );
        for window in [row.long, row.short] {
            d.out.push(Line::new().with("       ", Tone::Plain).with(side(b, row, window), Tone::Dim));
        }
    }
}

/// `1h burns 16.7, over`.
fn side(b: &Budget, row: &Row, window: Lookback) -> String {
    match b.burn(window) {
        None => format!("{window} has no burn"),
        Some(burn) => {
            let word = if is_over(burn, row) { "over" } else { "not over" };
            format!("{window} burns {}, {word}", burn_text(burn))
        }
    }
}

fn is_over(burn: crate::domain::slo::Fraction, row: &Row) -> bool {
    let (num, den) = row.factor.parts();
    burn.compare_to(num, den).is_gt()
}

fn severity(s: Severity) -> Health {
    if s == Severity::Page { Health::Critical } else { Health::Warning }
}

/// Each window's burn as a bar against the threshold that is lowest for it: full is over.
fn burns(d: &mut Lines<'_, '_>, b: &Budget) {
    let Some(a) = &b.assessment else { return };
    d.heading("burn");
    for (window, burn) in &a.burns {
        let row = b.objective.rows.iter().filter(|r| r.long == *window || r.short == *window);
        let row = row.min_by(|x, y| x.factor.value().total_cmp(&y.factor.value()));
        let Some(burn) = burn else {
            d.out.push(Line::new().with(format!("{:>4} ", window.to_string()), Tone::Key).with("-", Tone::Dim));
            continue;
        };
        let mut line = Line::new()
            .with(format!("{:>4} ", window.to_string()), Tone::Key)
            .with(format!("{:>6} ", burn_text(*burn)), Tone::Plain);
        if let Some(row) = row {
            let share = (burn.value() / row.factor.value()).clamp(0.0, 1.0);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1000")]
            let part = (share * 1000.0) as u64;
            let over = is_over(*burn, row);
            line.push(bar(part, 1000, 10, d.c.ascii), Tone::Gauge(if over { 2 } else { u8::from(share > 0.5) }));
            let word = if over { "over" } else { "of" };
            line.push(format!(" {word} {} ({})", row.factor, row.severity.word()), Tone::Dim);
        }
        d.out.push(line);
    }
}

/// What was left over the window, the even pace, and under it on the same axis what
/// fired and what changed.
fn burn_down(d: &mut Lines<'_, '_>, b: &Budget, alarms: &[&Alarm], changes: &[Change], width: usize) {
    let c = d.c;
    d.heading("burn-down: budget left over the window");
    if b.history.is_empty() {
        d.out.push(Line::new().with("no history yet", Tone::Dim));
        return;
    }
    let span = b.objective.period.bounds(c.now);
    let points: Vec<(f64, f64)> = b.history.iter().map(|(t, left)| (chart::secs(*t), *left)).collect();
    let low = points.iter().map(|p| p.1).filter(|l| l.is_finite()).fold(0.0_f64, f64::min);
    // Down to the next quarter, so that the scale does not wobble.
    let low = (low * 4.0).floor() / 4.0;
    let x = (chart::secs(span.0), chart::secs(span.1));
    let even = [(x.0, 1.0), (x.1, 0.0)];
    let zero = [(x.0, 0.0), (x.1, 0.0)];
    let mut ticks = vec![(1.0, "100%".to_owned()), (0.0, "0%".to_owned())];
    ticks.push(if low < 0.0 { (low, format!("{:.0}%", low * 100.0)) } else { (0.5, "50%".to_owned()) });
    let mut series = vec![Series { points: &even, tone: Tone::Dim, ascii: '.', gap: f64::INFINITY }];
    if low < 0.0 {
        series.push(Series { points: &zero, tone: Tone::Health(Health::Critical), ascii: '-', gap: f64::INFINITY });
    }
    series.push(Series { points: &points, tone: Tone::Health(Health::Ok), ascii: '*', gap: usual_step(&points) * 3.5 });
    let size = width.clamp(24, 120);
    let height = (size / 10).clamp(5, 12);
    let plot = Chart { series, x, y: (low, 1.0), ticks, size: (size, height) };
    d.out.extend(chart::plot(&plot, c.ascii));
    d.out.extend(chart::time_axis(c, span, size));
    let fired: Vec<_> = alarms
        .iter()
        .filter(|a| a.state == AlarmState::Firing)
        .filter_map(|a| {
            let mark = if c.ascii { '!' } else { '▲' };
            a.since.map(|since| (since, Some(c.now), mark, Tone::Health(a.health().max(Health::Warning))))
        })
        .collect();
    let changed: Vec<_> = changes
        .iter()
        .filter_map(|ch| {
            let mark = if c.ascii { '+' } else { '◆' };
            ch.at.filter(|at| *at >= span.0).map(|at| (at, ch.rolling.then_some(c.now), mark, Tone::Strong))
        })
        .collect();
    for (name, row) in [("alarms", fired), ("changes", changed)] {
        if !row.is_empty() {
            d.out.push(chart::marks(name, span, &row, size, c.ascii));
        }
    }
    let (line, dots) = if c.ascii { ("*", ".") } else { ("the line", "the straight one") };
    d.out.push(Line::new().with(format!("{line} is what was left, {dots} an even pace"), Tone::Dim));
}

/// The median distance between points: what is much further apart has a gap.
fn usual_step(points: &[(f64, f64)]) -> f64 {
    let mut steps: Vec<f64> = points.windows(2).map(|w| w[1].0 - w[0].0).collect();
    steps.sort_by(f64::total_cmp);
    steps.get(steps.len() / 2).copied().unwrap_or(0.0)
}

/// Alarms and changes about the same service, with their times.
pub(super) fn events(d: &mut Lines<'_, '_>, alarms: &[&Alarm], changes: &[Change]) {
    let now = d.c.now;
    let when =
        |at: Option<Timestamp>| at.map_or_else(|| format!("{:>6} ", "?"), |t| format!("{:>6} ", age(Some(t), now)));
    if !alarms.is_empty() {
        d.heading("alarms about it");
    }
    for a in alarms.iter().take(8) {
        let tone = if a.health().is_problem() { Tone::Health(a.health()) } else { Tone::Dim };
        let silenced = if a.suppressed_by.is_empty() { "" } else { ", silenced" };
        d.out.push(
            Line::new()
                .with(when(a.since), Tone::Dim)
                .with(format!("{}{silenced} ", a.state.word()), tone)
                .with(a.id.name.as_str(), Tone::Plain),
        );
    }
    if alarms.len() > 8 {
        d.out.push(Line::new().with(format!("and {} more", alarms.len() - 8), Tone::Dim));
    }
    if !changes.is_empty() {
        d.heading("changes behind it");
    }
    for change in changes.iter().take(8) {
        let going = if change.rolling { ", still rolling out" } else { "" };
        let clock = change.at.map_or_else(String::new, |t| format!(" ({})", clock_time(t, now)));
        d.out.push(
            Line::new()
                .with(when(change.at), Tone::Dim)
                .with(format!("{} {} ", change.id.kind.short(), change.id.name), Tone::Plain)
                .with(format!("{}{going}{clock}", change.what), if change.rolling { Tone::Warning } else { Tone::Dim }),
        );
    }
}
