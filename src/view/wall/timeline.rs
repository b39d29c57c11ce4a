//! Today: what came and went, by the hour, and the latest of it below. Only what is known: systems
//! forget, and the wallboard says since when it has been reading.

use chrono::{NaiveTime, TimeDelta, Timelike as _};
use std::collections::BTreeMap;

use super::pages::tile;
use super::trust::{Watched, sum};
use super::{Body, Sheet};
use crate::app::wall::Wall;
use crate::domain::notice::Outcome;
use crate::domain::{AlarmState, EventLevel, Health, Kind, Line, Severity, Timestamp, Tone};
use crate::store::Feed;
use crate::view::columns::{Context, alarm_about};
use crate::view::notices::{shape, short};
use crate::view::words::cut;

/// What kind of thing happened, in the order of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    /// An alarm came or went.
    Alarm,
    /// Something was taken away.
    Notice,
    /// Somebody changed what runs.
    Change,
    /// A cluster warned.
    Warning,
}

impl Sort {
    const ALL: [Self; 4] = [Self::Alarm, Self::Notice, Self::Change, Self::Warning];

    fn word(self) -> &'static str {
        match self {
            Self::Alarm => "alarms",
            Self::Notice => "spot",
            Self::Change => "change",
            Self::Warning => "warn",
        }
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// What kind.
    pub sort: Sort,
    /// How bad.
    pub health: Health,
    /// What it is about.
    pub name: String,
    /// What happened.
    pub what: String,
}

/// The day of the wallboard's clock, which is UTC.
fn midnight(now: Timestamp) -> Timestamp {
    now.date_naive().and_time(NaiveTime::MIN).and_utc()
}

/// What is known of today, the oldest first.
#[must_use]
pub fn entries(c: Context<'_>) -> Vec<Entry> {
    let from = midnight(c.now);
    let today = |t: Timestamp| t >= from && t <= c.now;
    let mut out = Vec::new();
    alarms(c, &today, &mut out);
    notices(c, &today, &mut out);
    changes(c, &today, &mut out);
    warnings(c, &today, &mut out);
    out.sort_by(|a, b| (a.at, a.sort, &a.name, &a.what).cmp(&(b.at, b.sort, &b.name, &b.what)));
    out
}

fn alarms(c: Context<'_>, today: &dyn Fn(Timestamp) -> bool, out: &mut Vec<Entry>) {
    for (id, change) in c.store.alarm_log.all().filter(|(_, change)| today(change.at)) {
        let row = c.store.alarms.get(id);
        let severity = row.map_or(Severity::Unknown, |a| a.severity);
        let (health, what) = match change.state {
            // What drives a machine is no news for people.
            _ if severity == Severity::Info => continue,
            AlarmState::Firing => {
                (if severity == Severity::Critical { Health::Critical } else { Health::Warning }, severity.word())
            }
            // What was found well did not become so.
            AlarmState::Ok if change.seen => (Health::Ok, "cleared"),
            _ => continue,
        };
        let about = row.and_then(|a| a.about.as_ref()).map_or_else(String::new, |id| format!(": {}", alarm_about(id)));
        let what = format!("{}{about}", if health == Health::Ok { what.to_owned() } else { format!("fires, {what}") });
        out.push(Entry { at: change.at, sort: Sort::Alarm, health, name: id.name.to_string(), what });
    }
}

fn notices(c: Context<'_>, today: &dyn Fn(Timestamp) -> bool, out: &mut Vec<Entry>) {
    for r in c.store.notices.past() {
        let at = r.gone.unwrap_or(r.issued);
        if !today(at) || r.cluster.is_empty() {
            continue;
        }
        let health = match r.outcome {
            Outcome::Cut { .. } => Health::Critical,
            Outcome::NotReplaced => Health::Warning,
            _ => Health::Done,
        };
        let name = if r.name.is_empty() { r.victim.name() } else { r.name.as_str() };
        let what = format!("{}, {}", r.kind.word(), r.outcome.words());
        out.push(Entry { at, sort: Sort::Notice, health, name: short(name).to_owned(), what });
    }
}

fn changes(c: Context<'_>, today: &dyn Fn(Timestamp) -> bool, out: &mut Vec<Entry>) {
    // A deployment's revisions are its replica sets, an ECS service's its deployments.
    for w in c.store.workloads.rows() {
        if let Some(ecs) = &w.ecs {
            let rolling = if ecs.is_rolling() { ", rolling out" } else { "" };
            let begun = ecs.primary().and_then(|d| d.created);
            if let Some(at) = begun.filter(|t| today(*t)) {
                let (name, what) = (w.id.name.to_string(), format!("{}{rolling}", w.revision));
                out.push(Entry { at, sort: Sort::Change, health: Health::Progressing, name, what });
            }
        } else if w.id.kind == Kind::ReplicaSet
            && w.owner_kind.is_workload()
            && let Some(at) = w.created.filter(|t| today(*t))
        {
            let what =
                if w.revision.is_empty() { "new revision".to_owned() } else { format!("revision {}", w.revision) };
            let name = w.owner.to_string();
            out.push(Entry { at, sort: Sort::Change, health: Health::Progressing, name, what });
        }
    }
}

fn warnings(c: Context<'_>, today: &dyn Fn(Timestamp) -> bool, out: &mut Vec<Entry>) {
    // One line for a reason in an hour: a crash loop is not forty.
    let mut by_hour: BTreeMap<(u32, &str), (Timestamp, &str, u32, usize)> = BTreeMap::new();
    for e in c.store.events.rows().filter(|e| e.level == EventLevel::Warning) {
        let Some(at) = e.last.or(e.first).filter(|t| today(*t)) else { continue };
        let entry = by_hour.entry((at.hour(), e.reason.as_str())).or_insert((at, e.about.name.as_str(), 0, 0));
        if at >= entry.0 {
            (entry.0, entry.1) = (at, e.about.name.as_str());
        }
        entry.2 = entry.2.saturating_add(e.count.max(1));
        entry.3 += 1;
    }
    for ((_, reason), (at, name, count, objects)) in by_hour {
        let others = if objects > 1 { format!(" and {} more", objects - 1) } else { String::new() };
        let times = if count > 1 { format!(", {count} times") } else { String::new() };
        let what = format!("{reason}{times}");
        let name = format!("{}{others}", short(name));
        out.push(Entry { at, sort: Sort::Warning, health: Health::Warning, name, what });
    }
}

/// The page.
pub(super) fn sheet(c: Context<'_>, wall: &Wall, all: &[Watched<'_>], (width, height): (usize, usize)) -> Sheet {
    let entries = entries(c);
    let count = |sort: Sort, f: &dyn Fn(&Entry) -> bool| entries.iter().filter(|e| e.sort == sort && f(e)).count();
    let fired = count(Sort::Alarm, &|e| e.health > Health::Ok);
    let taken = count(Sort::Notice, &|_| true);
    let changed = count(Sort::Change, &|_| true);
    let tiles = vec![
        tile(c, "FIRED TODAY", fired.to_string(), "alarms, UTC", Tone::Strong, sum(all, &[Feed::Alarms])),
        tile(c, "TAKEN", taken.to_string(), "machines, tasks", Tone::Strong, sum(all, &[Feed::Nodes, Feed::Tasks])),
        tile(
            c,
            "CHANGES",
            changed.to_string(),
            "revisions",
            Tone::Strong,
            sum(all, &[Feed::Deployments, Feed::ReplicaSets, Feed::Services]),
        ),
    ];
    let mut lines = by_hour(c, wall, &entries, width);
    let started = wall.started();
    let since = if started <= midnight(c.now) { "midnight".to_owned() } else { started.format("%H:%M").to_string() };
    let text = format!("read since {since} UTC: of the time before only what systems still tell");
    lines.push(Line::new().with(cut(&text, width, false, c.ascii), Tone::Dim));
    let room = height.saturating_sub(lines.len());
    let hidden = entries.len().saturating_sub(room);
    // Newest at the bottom: what is left out is the oldest.
    let skip = if hidden > 0 { hidden + 1 } else { 0 };
    if skip > 0 && room > 0 {
        lines.push(Line::new().with(format!("{skip} earlier"), Tone::Dim));
    }
    lines.extend(entries.iter().skip(skip).take(room).map(|e| line(c, e, width)));
    if entries.is_empty() {
        lines.push(Line::new().with("nothing is known to have happened today", Tone::Dim));
    }
    Sheet { tiles, body: Body::Lines(lines) }
}

fn line(c: Context<'_>, e: &Entry, width: usize) -> Line {
    let name_width = (width / 3).max(12);
    let name = cut(&e.name, name_width, true, c.ascii);
    let pad = name_width.saturating_sub(unicode_width::UnicodeWidthStr::width(name.as_str()));
    Line::new()
        .with(format!("{} ", e.at.format("%H:%M")), Tone::Time)
        .with(format!("{} {:<6} ", shape(e.health, c.ascii), e.sort.word()), Tone::Health(e.health))
        .with(format!("{name}{}  ", " ".repeat(pad)), Tone::Strong)
        .with(cut(&e.what, width.saturating_sub(name_width + 17).max(8), false, c.ascii), Tone::Plain)
}

/// A row for each kind, a column for each hour. An hour in which nobody read is marked as such, and an
/// hour to come is empty: neither is a zero.
fn by_hour(c: Context<'_>, wall: &Wall, entries: &[Entry], width: usize) -> Vec<Line> {
    let cell = (width.saturating_sub(7) / 24).clamp(1, 6);
    let from = midnight(c.now);
    let start = |hour: u32| from + TimeDelta::hours(i64::from(hour));
    let mut head = Line::new().with(format!("{:<7}", "hour"), Tone::Dim);
    for hour in 0..24_u32 {
        let text = if cell >= 3 || hour % 6 == 0 { format!("{hour:02}") } else { String::new() };
        let tone = if hour == c.now.hour() { Tone::Strong } else { Tone::Dim };
        if cell >= 2 {
            head.push(format!("{text:>cell$}"), tone);
        }
    }
    let mut out = if cell >= 2 { vec![head] } else { Vec::new() };
    for sort in Sort::ALL {
        let mut line = Line::new().with(format!("{:<7}", sort.word()), Tone::Dim);
        for hour in 0..24 {
            let of = |e: &&Entry| e.sort == sort && e.at >= start(hour) && e.at < start(hour + 1);
            let (n, worst) =
                entries.iter().filter(of).fold((0_usize, Health::Ok), |(n, h), e| (n + 1, h.max(e.health)));
            let (text, tone) = match n {
                _ if start(hour) > c.now => (String::new(), Tone::Dim),
                0 if start(hour + 1) <= wall.started() => (if c.ascii { "/" } else { "░" }.to_owned(), Tone::Dim),
                0 => (if c.ascii { "." } else { "·" }.to_owned(), Tone::Dim),
                n if cell < 3 && n > 9 => ("+".to_owned(), Tone::Health(worst)),
                n if n > 99 => ("++".to_owned(), Tone::Health(worst)),
                n => (n.to_string(), Tone::Health(worst)),
            };
            line.push(format!("{text:>cell$}"), tone);
        }
        out.push(line);
    }
    out
}
