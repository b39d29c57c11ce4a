//! Alarms in words and figures: amounts with their units, the details, the page.

use super::bars::Chart;
use super::columns::{self, Context, alarm_about, alarm_mark, alarm_state, alarm_tone, clock_time};
use super::details::Lines;
use crate::domain::{Alarm, AlarmSource, AlarmState, Bytes, Health, Line, ObjectId, Tone, age::human_duration};
use crate::store::alarm_groups::{Group, groups, subject, trouble};

/// How many other alarms the details name.
const NAMED: usize = 20;
/// Rows of the chart.
const CHART: usize = 6;

/// A value in its unit: `93.5%`, `120ms`, `1.5Gi`, `17`, `3 Terabits/Second`.
#[must_use]
pub fn amount(value: f64, unit: &str) -> String {
    match unit {
        "Percent" | "%" | "percent" => format!("{}%", plain(value)),
        "Seconds" | "seconds" | "s" if value != 0.0 && value.abs() < 1.0 => format!("{}ms", plain(value * 1e3)),
        "Seconds" | "seconds" | "s" => format!("{}s", plain(value)),
        "Milliseconds" | "ms" => format!("{}ms", plain(value)),
        "Microseconds" => format!("{}us", plain(value)),
        "Bytes" | "bytes" if (0.0..1e18).contains(&value) => Bytes(whole(value)).to_string(),
        "Count" | "" | "None" => plain(value),
        "Count/Second" => format!("{}/s", plain(value)),
        other => format!("{} {other}", plain(value)),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be within 0 and 1e18")]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

/// Three places at the most, and no more than matter.
fn plain(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    let size = value.abs();
    if size >= 1e9 || (size > 0.0 && size < 1e-3) {
        return format!("{value:.2e}");
    }
    let places = match size {
        s if s >= 1000.0 => 0,
        s if s >= 10.0 => 1,
        s if s >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// What the value is held against: `> 80%`; empty if nobody says.
#[must_use]
pub fn limit(a: &Alarm) -> String {
    let sign = if a.more.below { '<' } else { '>' };
    a.threshold.map(|t| format!("{sign} {}", amount(t, &a.more.unit))).unwrap_or_default()
}

/// An alarm as a page, for as long as it is open: also when it is gone.
#[must_use]
pub fn page(c: Context<'_>, id: &ObjectId, width: usize) -> Vec<Line> {
    let mut out = vec![Line::new().with("alarm ", Tone::Dim).with(id.name.as_str(), Tone::Title)];
    let mut d = Lines { out: &mut out, c };
    d.row("cluster", &columns::cluster_name(d.c, &id.cluster), columns::cluster_tone(d.c, &id.cluster));
    alarm(&mut d, id, width);
    out
}

/// Everything that is known of an alarm.
pub(super) fn alarm(d: &mut Lines<'_, '_>, id: &ObjectId, width: usize) {
    let Some(a) = d.c.store.alarms.get(id) else {
        d.row("state", "gone: its system does not list it any more", Tone::Dim);
        history(d, id);
        return;
    };
    let tone = alarm_tone(a.health());
    d.row("level", &alarm_mark(a, d.c.ascii), tone);
    d.row("state", alarm_state(a), tone);
    if a.is_firing() && d.c.store.alarm_log.is_new(id) {
        d.row("new", "since somebody last looked", Tone::Strong);
    }
    let flaps = d.c.store.alarm_log.recent(id, d.c.now);
    if d.c.store.alarm_log.is_flapping(id, d.c.now) {
        d.row("flapping", &format!("{flaps} changes in the last hour"), Tone::Warning);
    }
    d.row("silenced", &a.suppressed_by, Tone::Warning);
    if let Some(until) = a.more.silences.iter().filter_map(|s| s.until).max() {
        let left = (until - d.c.now).num_seconds().max(0);
        d.row("ends", &format!("in {}, {}", human_duration(left), clock_time(until, d.c.now)), Tone::Plain);
    }
    d.time("since", a.since);
    if let Some(about) = subject(d.c.store, a) {
        d.row("about", &alarm_about(&about), Tone::Strong);
    } else if a.account_wide {
        d.row("about", "the account, not one cluster", Tone::Plain);
    }
    if let Some(v) = a.value {
        d.row("value", &amount(v, &a.more.unit), tone);
    }
    d.row("limit", &limit(a), Tone::Plain);
    d.row("metric", &a.more.metric, Tone::Plain);
    d.row("watched by", a.source.word(), Tone::Plain);
    d.row("runbook", &a.runbook, Tone::Plain);
    d.row("link", &a.more.link, Tone::Dim);
    for (title, text) in [("what it is for", &a.summary), ("why it stands so", &a.reason)] {
        if !text.is_empty() {
            d.heading(title);
            d.out.push(Line::new().with(text.as_str(), Tone::Plain));
        }
    }
    chart(d, a, width);
    beside(d, a);
    history(d, id);
    for (title, pairs) in [("labels", &a.labels), ("annotations", &a.more.annotations)] {
        if !pairs.is_empty() {
            d.heading(title);
        }
        for (key, value) in pairs.iter() {
            d.out.push(Line::new().with(format!("{key} "), Tone::Key).with(value.as_str(), Tone::Plain));
        }
    }
    d.row("known as", &a.uid, Tone::Dim);
}

fn chart(d: &mut Lines<'_, '_>, a: &Alarm, width: usize) {
    let points = d.c.store.trends.get(&a.id);
    let known = points.is_some_and(|p| !p.is_empty());
    if !known && a.source != AlarmSource::CloudWatchMetric {
        return;
    }
    d.heading("against its limit");
    let Some(points) = points.filter(|_| known) else {
        let text =
            if points.is_some() { "its metric has no points" } else { "its points are asked for while this is open" };
        d.out.push(Line::new().with(text, Tone::Dim));
        return;
    };
    let chart = Chart {
        points,
        threshold: a.threshold.filter(|t| t.is_finite()),
        below: a.more.below,
        width: width.min(100),
        height: CHART,
        ascii: d.c.ascii,
        label: amount,
        unit: &a.more.unit,
    };
    d.out.extend(chart.lines());
}

/// The alarms that are shown as one line with it, and those a composite one watches.
fn beside(d: &mut Lines<'_, '_>, a: &Alarm) {
    let store = d.c.store;
    let group = trouble(store).into_iter().find(|g| g.alarms().any(|other| other.id == a.id));
    let others: Vec<&Alarm> = group.iter().flat_map(Group::alarms).filter(|other| other.id != a.id).collect();
    if !others.is_empty() {
        d.heading(&format!("fire with it: {}", others.len()));
    }
    list(d, &others);
    let quiet: Vec<&Alarm> = store
        .alarms
        .rows()
        .filter(|child| child.source.is_cloudwatch() && child.id.cluster == a.id.cluster)
        .filter(|child| a.more.children.contains(&child.id.name) && !others.iter().any(|o| o.id == child.id))
        .collect();
    if !quiet.is_empty() {
        d.heading("it watches, too");
    }
    list(d, &quiet);
}

fn list(d: &mut Lines<'_, '_>, alarms: &[&Alarm]) {
    for a in alarms.iter().take(NAMED) {
        let line = Line::new()
            .with(format!("{:<9} ", alarm_mark(a, d.c.ascii)), alarm_tone(a.health()))
            .with(format!("{:<9} ", alarm_state(a)), alarm_tone(a.health()))
            .with(a.id.name.as_str(), Tone::Plain);
        d.out.push(line);
    }
    if alarms.len() > NAMED {
        d.out.push(Line::new().with(format!("and {} more", alarms.len() - NAMED), Tone::Dim));
    }
}

/// The alarms about an object, for its own details.
pub(super) fn of_object(d: &mut Lines<'_, '_>, id: &ObjectId) {
    let store = d.c.store;
    let firing = store.alarms.rows().filter(|a| a.health().is_problem());
    let about: Vec<&Alarm> = firing.filter(|a| subject(store, a).as_ref() == Some(id)).collect();
    let groups = groups(store, about.into_iter());
    let alarms: Vec<&Alarm> = groups.iter().flat_map(Group::alarms).collect();
    if !alarms.is_empty() {
        d.heading("alarms");
    }
    list(d, &alarms);
}

/// Transitions, newest first, each with how long it lasted.
fn history(d: &mut Lines<'_, '_>, id: &ObjectId) {
    let (store, now) = (d.c.store, d.c.now);
    let changes: Vec<_> = store.alarm_log.changes(id).collect();
    if changes.is_empty() {
        return;
    }
    d.heading("history");
    let mut until = now;
    for change in changes.iter().rev() {
        let tone = match change.state {
            AlarmState::Firing => Tone::Health(Health::Warning),
            AlarmState::Pending => Tone::Health(Health::Progressing),
            AlarmState::InsufficientData => Tone::Dim,
            AlarmState::Ok => Tone::Health(Health::Ok),
        };
        let mut line = Line::new()
            .with(format!("{:<12} ", clock_time(change.at, now)), Tone::Time)
            .with(format!("{:<8} ", change.state.word()), tone)
            .with(format!("for {}", human_duration((until - change.at).num_seconds().max(0))), Tone::Dim);
        if !change.seen {
            line.push(", as it was found", Tone::Dim);
        }
        d.out.push(line);
        until = change.at;
    }
}

#[cfg(test)]
mod tests {
    use super::amount;

    #[test]
    fn amounts_have_their_units_and_no_more_places_than_matter() {
        for (value, unit, want) in [
            (93.456, "Percent", "93.5%"),
            (100.0, "Percent", "100%"),
            (0.12, "Seconds", "120ms"),
            (1.5, "Seconds", "1.5s"),
            (17.0, "Count", "17"),
            (0.0, "", "0"),
            (123_456.7, "", "123457"),
            (0.0144, "", "0.014"),
            (f64::NAN, "", "NaN"),
            (2.0, "Terabits/Second", "2 Terabits/Second"),
        ] {
            assert_eq!(amount(value, unit), want, "{value} {unit}");
        }
    }
}
