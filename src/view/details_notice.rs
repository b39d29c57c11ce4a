//! The details of a notice, and of a pool.

use std::collections::BTreeMap;

use super::columns::pools::{lived, rate_text};
use super::columns::{self, Context, clock_time};
use super::details::Lines;
use super::notices::{lateness, left_tone, verdict};
use crate::domain::age::human_duration;
use crate::domain::notice::{Deadline, Fate, Notice, NoticeFeed, Precision, Record, Victim};
use crate::domain::{CapacityType, Health, Kind, Line, ObjectId, Timestamp, Tone};
use crate::store::notices::{AtRisk, Case, NoticeRow, countdown};

/// How many tasks are named.
const NAMED: usize = 60;

/// What people call it.
pub(super) fn title(c: Context<'_>, id: &ObjectId) -> String {
    let board = c.store.board(c.now);
    let found = board.rows.iter().find(|r| r.id == *id).map(|r| r.name.to_string());
    let earlier = || {
        let told = |r: &&Record| *r.victim.key() == id.name && !r.name.is_empty();
        Some(c.store.notices.past().iter().rev().find(told)?.name.to_string())
    };
    found.or_else(earlier).unwrap_or_else(|| Victim::of_key(&id.name).name().to_owned())
}

/// Everything that is known of a notice.
pub(super) fn notice(d: &mut Lines<'_, '_>, id: &ObjectId) {
    let victim = Victim::of_key(&id.name);
    let case = d.c.store.notices.case(&victim).filter(|_| id.namespace.is_empty());
    let Some(case) = case else {
        let told = |r: &&Record| {
            r.victim == victim && (id.namespace.is_empty() || *id.namespace == r.issued.timestamp().to_string())
        };
        match d.c.store.notices.past().iter().rev().find(told) {
            Some(r) => record(d, r),
            None => d.row("state", "nothing is known of it any more", Tone::Dim),
        }
        return;
    };
    let board = d.c.store.board(d.c.now);
    let Some(row) = board.rows.iter().find(|r| r.victim == victim) else {
        match case.record() {
            Some(r) => record(d, &r),
            None => d.row("state", "nothing is known of it any more", Tone::Dim),
        }
        return;
    };
    state(d, row, case.deadline(), case.gone.as_ref().map(|g| g.at));
    let main = case.notices.first();
    let fate = main.map_or(Fate::Unknown, |n| n.fate).word();
    let kind = if fate.is_empty() { row.kind.word().to_owned() } else { format!("{}: {fate}", row.kind.word()) };
    d.row("kind", &kind, Tone::Plain);
    d.row("detail", main.map_or("", |n| n.detail.as_str()), Tone::Plain);
    let given = if main.is_some_and(|n| n.issued_unknown) { "first seen" } else { "given" };
    d.time(given, Some(row.issued));
    if let Some(gone) = &case.gone {
        if !row.is_open() {
            d.time("went", Some(gone.at));
        }
        d.row("", &format!("as the {} says", gone.feed.word()), Tone::Dim);
    }
    at_risk(d, case);
    owners(d, case);
    machine(d, case);
    told(d, case);
}

/// What only memory knows.
fn record(d: &mut Lines<'_, '_>, r: &Record) {
    let row = NoticeRow::of_record(r);
    state(d, &row, r.deadline.map(Deadline::exact), r.gone);
    let fate = r.fate.word();
    d.row(
        "kind",
        &if fate.is_empty() { r.kind.word().to_owned() } else { format!("{}: {fate}", r.kind.word()) },
        Tone::Plain,
    );
    d.time("given", Some(r.issued));
    d.time("went", r.gone);
    d.row("instance", r.victim.name(), Tone::Plain);
    d.row("type", &r.instance_type, Tone::Plain);
    d.row("zone", if r.zone.is_empty() { &r.region } else { &r.zone }, Tone::Plain);
    d.row("capacity", if r.spot { "spot" } else { "" }, Tone::Spot);
    if let Some(born) = r.born {
        d.row("lived", &human_duration((r.gone.unwrap_or(r.issued) - born).num_seconds().max(0)), Tone::Plain);
    }
    d.row("tasks", &r.tasks.to_string(), Tone::Plain);
    d.row("told by", &super::notices::told_by(&row), Tone::Plain);
}

fn state(d: &mut Lines<'_, '_>, row: &NoticeRow, deadline: Option<Deadline>, gone: Option<Timestamp>) {
    let cell = verdict(d.c, row);
    match row.outcome {
        None => d.row("verdict", &cell.text, cell.tone),
        Some(outcome) => {
            let sign = super::notices::shape(row.health(), d.c.ascii);
            d.row("outcome", &format!("{sign} {}", outcome.words()), cell.tone);
        }
    }
    if let Some(text) = waiting(d.c, row, gone) {
        d.row("went", &text, Tone::Strong);
        return;
    }
    let Some(deadline) = deadline else {
        d.row("goes", "nobody says when", Tone::Dim);
        return;
    };
    let at = clock_time(deadline.at, d.c.now);
    let sure = match deadline.precision {
        Precision::Exact => "",
        Precision::AtLatest => " at the latest",
        Precision::Usual => ", as is usual",
    };
    match row.left(d.c.now) {
        Some(left) if left < 0 => {
            d.row("goes", &format!("{}, at {at}{sure}", countdown(left, Precision::Exact)), left_tone(d.c, row));
        }
        Some(left) => {
            d.row("goes", &format!("in {}, at {at}{sure}", countdown(left, Precision::Exact)), left_tone(d.c, row));
        }
        None => d.row("deadline", &format!("{at}{sure}"), Tone::Plain),
    }
}

/// Of a machine that has gone while what became of its tasks is not known: `0:26 ago, waiting for
/// word of its tasks`.
fn waiting(c: Context<'_>, row: &NoticeRow, gone: Option<Timestamp>) -> Option<String> {
    let ago = (c.now - gone.filter(|_| row.is_open())?).num_seconds().max(0);
    let word = if row.tasks.1 > row.tasks.0 { ", waiting for word of its tasks" } else { "" };
    Some(format!("{} ago{word}", countdown(ago, Precision::Exact)))
}

fn machine(d: &mut Lines<'_, '_>, case: &Case) {
    let store = d.c.store;
    d.heading(if matches!(case.victim, Victim::Task(_)) { "where" } else { "machine" });
    match (&case.node, &case.victim) {
        (Some(node), _) => {
            let there = store.nodes.get(node);
            d.row("status", there.map_or("gone", |n| n.status.as_str()), Tone::Plain);
        }
        (None, Victim::Task(_)) => {}
        (None, _) => d.row("node", "none of the clusters that are read", Tone::Dim),
    }
    if case.node.as_ref().is_none_or(|n| n.name != case.victim.name()) {
        d.row(
            if matches!(case.victim, Victim::Task(_)) { "task" } else { "instance" },
            case.victim.name(),
            Tone::Plain,
        );
    }
    d.row("type", &case.place.instance_type, Tone::Plain);
    d.row("zone", &case.place.zone, Tone::Plain);
    d.row("account", &case.place.account, Tone::Plain);
    let spot = case.capacity == CapacityType::Spot;
    d.row("capacity", case.capacity.word(), if spot { Tone::Spot } else { Tone::Plain });
    d.time("created", case.born);
    if let Some(node) = &case.node {
        let runs = store.totals.node(&node.cluster, &node.name).active;
        let own = (runs as usize).saturating_sub(case.remaining());
        let own = if own > 0 { format!(", {own} of them the machine's own") } else { String::new() };
        d.row("runs", &format!("{runs} task{}{own}", if runs == 1 { "" } else { "s" }), Tone::Plain);
    }
}

/// Each task with how far it has come and what may keep it, the worst first.
fn at_risk(d: &mut Lines<'_, '_>, case: &Case) {
    if case.tasks.is_empty() {
        d.heading("at risk");
        d.out.push(Line::new().with("nothing that anybody would miss", Tone::Dim));
        return;
    }
    d.heading(&format!("at risk: {} of {} gone", case.tasks.len() - case.remaining(), case.tasks.len()));
    let mut tasks: Vec<(&AtRisk, Vec<String>)> = case.tasks.iter().map(|t| (t, why(d.c, case, t))).collect();
    tasks.sort_by(|(a, x), (b, y)| {
        (a.left.is_some(), a.leaving.is_some(), std::cmp::Reverse(x.len()), &a.id).cmp(&(
            b.left.is_some(),
            b.leaving.is_some(),
            std::cmp::Reverse(y.len()),
            &b.id,
        ))
    });
    for (t, why) in tasks.iter().take(NAMED) {
        let (text, health) = progress(d.c, case, t);
        let mark = super::notices::shape(health, d.c.ascii);
        let tone = if health == Health::Progressing { Tone::Plain } else { Tone::Health(health) };
        let namespace = if t.id.namespace.is_empty() { String::new() } else { format!("{}/", t.id.namespace) };
        let line = Line::new()
            .with(format!("{mark} {text:<14} "), tone)
            .with(namespace, Tone::Dim)
            .with(t.id.name.as_str(), Tone::Plain);
        d.out.push(line);
        if !why.is_empty() && t.left.is_none() {
            d.out.push(Line::new().with(format!("  {}", why.join(", ")), Tone::Warning));
        }
    }
    if tasks.len() > NAMED {
        d.out.push(Line::new().with(format!("and {} more", tasks.len() - NAMED), Tone::Dim));
    }
}

/// How far a task's evacuation has come.
fn progress(c: Context<'_>, case: &Case, t: &AtRisk) -> (String, Health) {
    let ago = |at: Timestamp| human_duration((c.now - at).num_seconds().max(0));
    let gone = case.gone.as_ref().map(|g| g.at);
    match (t.left, t.leaving) {
        (Some(left), _) if left.killed || gone.is_some_and(|g| left.at > g + chrono::TimeDelta::seconds(1)) => {
            ("cut".to_owned(), Health::Critical)
        }
        (Some(left), _) => (format!("gone {} ago", ago(left.at)), Health::Ok),
        (None, _) if gone.is_some() => ("was still there".to_owned(), Health::Critical),
        (None, Some(since)) => (format!("leaving {}", ago(since)), Health::Progressing),
        (None, None) => ("not leaving".to_owned(), Health::Warning),
    }
}

/// What makes a task's loss worse, or keeps it.
fn why(c: Context<'_>, case: &Case, t: &AtRisk) -> Vec<String> {
    let store = c.store;
    let mut out = Vec::new();
    match t.owner.as_ref().map(|o| (o, store.workloads.get(o))) {
        None => out.push("nobody replaces it".to_owned()),
        Some((_, Some(w))) if w.replicas.desired == 1 => out.push("the only replica".to_owned()),
        Some(_) => {}
    }
    if t.owner.as_ref().is_some_and(|o| o.kind == Kind::StatefulSet) {
        out.push("stateful".to_owned());
    }
    if let Some(budget) = store.blocking_budget(&t.id) {
        out.push(format!("{} {} allows no eviction", Kind::DisruptionBudget.short(), budget.id.name));
    }
    if let Some(deadline) = case.deadline().filter(|_| case.gone.is_none()) {
        let spent = t.leaving.map_or(0, |since| (c.now - since).num_seconds());
        let (need, left) = (i64::from(t.grace) - spent, (deadline.at - c.now).num_seconds());
        if need > left && left >= 0 {
            out.push(format!("may take {need}s to end, {left}s are left"));
        }
    }
    out
}

/// Workloads that are to replace what goes, those that are short first.
fn owners(d: &mut Lines<'_, '_>, case: &Case) {
    let mut owners: BTreeMap<&ObjectId, usize> = BTreeMap::new();
    for owner in case.tasks.iter().filter_map(|t| t.owner.as_ref()) {
        *owners.entry(owner).or_default() += 1;
    }
    let mut rows: Vec<(bool, Line)> = owners
        .into_iter()
        .filter_map(|(id, here)| {
            let w = d.c.store.workloads.get(id)?;
            let short = w.replicas.ready < w.replicas.desired;
            let health = if short { Health::Warning } else { Health::Ok };
            let text = format!("{}/{} ready", w.replicas.ready, w.replicas.desired);
            let line = Line::new()
                .with(format!("{} {text:<14} ", super::notices::shape(health, d.c.ascii)), Tone::Health(health))
                .with(format!("{} ", id.kind.short()), Tone::Dim)
                .with(id.name.as_str(), Tone::Plain)
                .with(format!(", {here} of them here"), Tone::Dim);
            Some((!short, line))
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    let short = rows.iter().filter(|(fine, _)| !fine).count();
    rows.sort_by_key(|(fine, _)| *fine);
    d.heading(&format!("whose they are: {short} of {} short", rows.len()));
    d.out.extend(rows.into_iter().map(|(_, line)| line));
}

/// Who told what, and how late.
fn told(d: &mut Lines<'_, '_>, case: &Case) {
    d.heading("told by");
    let mut all: Vec<(Timestamp, NoticeFeed, Line)> = Vec::new();
    for n in &case.notices {
        for t in &n.told {
            let mut line = Line::new()
                .with(format!("{:<18} ", t.feed.word()), Tone::Key)
                .with(format!("{:<12} ", n.kind.word()), Tone::Plain)
                .with(format!("{} ", clock_time(t.seen, d.c.now)), Tone::Time)
                .with(late(n, t.seen), Tone::Dim);
            if t.messages > 1 {
                line.push(format!(", {} messages", t.messages), Tone::Dim);
            }
            all.push((t.seen, t.feed, line));
        }
    }
    all.sort_by_key(|(seen, feed, _)| (*seen, *feed));
    if all.is_empty() {
        d.out.push(Line::new().with("nobody: it went without a word", Tone::Warning));
    }
    d.out.extend(all.into_iter().map(|(_, _, line)| line));
}

fn late(n: &Notice, seen: Timestamp) -> String {
    if n.issued_unknown {
        "nobody says when it was given".to_owned()
    } else {
        format!("{} after", lateness(seen - n.issued))
    }
}

/// The notice that is about a node or takes a task along, for its own details.
pub(super) fn of_row(d: &mut Lines<'_, '_>, row: Option<&NoticeRow>) {
    let Some(row) = row else { return };
    let cell = verdict(d.c, row);
    let mut text = row.kind.word().to_owned();
    let gone = d.c.store.notices.case(&row.victim).and_then(|c| Some(c.gone.as_ref()?.at));
    if let Some(waiting) = waiting(d.c, row, gone) {
        text += &format!(", went {waiting}");
    } else if let (Some(left), Some(deadline)) = (row.left(d.c.now), row.deadline) {
        text += &if left < 0 {
            format!(", {}", countdown(left, Precision::Exact))
        } else {
            format!(", goes in {}", countdown(left, deadline.precision))
        };
    }
    let tone = if row.urgent { Tone::Health(row.health()) } else { Tone::Spot };
    d.row("notice", &text, tone);
    if row.tasks.1 > 0 {
        d.row("", &format!("{}, {} of {} tasks gone", cell.text, row.tasks.0, row.tasks.1), tone);
    }
}

/// A pool, and who leans on it.
pub(super) fn pool(d: &mut Lines<'_, '_>, id: &ObjectId) {
    let board = d.c.store.pool_board(d.c.now);
    let Some(p) = board.pools.iter().find(|p| p.instance_type == id.name && p.zone == id.namespace) else {
        d.row("state", "there are no such machines any more", Tone::Dim);
        return;
    };
    d.row("zone", &p.zone, Tone::Plain);
    d.row("spot", &p.spot.to_string(), Tone::Spot);
    d.row("other", &p.other.to_string(), Tone::Plain);
    d.row("tasks", &format!("{} on its spot machines", p.tasks), Tone::Plain);
    d.row("going", &format!("{} being taken back", p.open), if p.open > 0 { Tone::Warning } else { Tone::Plain });
    d.heading("taken back");
    for (window, name) in ["last hour", "last day", "last week"].into_iter().enumerate() {
        let (Some(taken), Some(days)) = (p.taken.get(window), p.days.get(window)) else { continue };
        let rate = match (p.rate(window), taken) {
            (Some(rate), _) => format!("{} per node-day", rate_text(rate)),
            (None, 0) => "none".to_owned(),
            (None, _) => "too little was lived for a rate".to_owned(),
        };
        let line = Line::new()
            .with(format!("{name:<11} "), Tone::Key)
            .with(format!("{taken:>4}  "), if *taken > 0 { Tone::Warning } else { Tone::Plain })
            .with(format!("in {} node-days, {rate}", lived(*days)), Tone::Dim);
        d.out.push(line);
    }
    let leaning: Vec<_> =
        board.concentrated.iter().filter(|l| l.pool.0 == p.instance_type && l.pool.1 == p.zone).collect();
    if !leaning.is_empty() {
        d.heading("lean on it");
    }
    for l in leaning.iter().take(NAMED) {
        let line = Line::new()
            .with(format!("{} of {} ", l.there, l.tasks), Tone::Warning)
            .with(format!("{} ", l.workload.kind.short()), Tone::Dim)
            .with(l.workload.name.as_str(), Tone::Plain)
            .with(
                format!("  {}", columns::cluster_name(d.c, &l.workload.cluster)),
                columns::cluster_tone(d.c, &l.workload.cluster),
            );
        d.out.push(line);
    }
}
