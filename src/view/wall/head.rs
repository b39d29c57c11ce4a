//! The strip that every page has: one word for it all, how many alarms page, the first deadline, the
//! worst budget, how fresh it all is. And what is so urgent that its page takes the screen.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher as _};

use super::trust::{Trust, Watched, best, is_vital, worst};
use crate::app::wall::{Critical, WallPage};
use crate::domain::slo::Fraction;
use crate::domain::{Budget, Health, Kind, Line, Tone, Workload, age::human_duration};
use crate::store::Feed;
use crate::store::notices::{NoticeRow, Verdict, countdown};
use crate::view::columns::{Context, budget_mark, budgets::tone as budget_tone};
use crate::view::notices::{shape, short};
use crate::view::summary::{ClusterSummary, clusters};

/// One word for it all; the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Headline {
    /// Everything that is read is fresh, and nothing is wrong.
    Ok,
    /// Something is wrong, or something is not known.
    Degraded,
    /// What would tell is not known.
    Blind,
    /// Somebody is called now.
    Page,
}

impl Headline {
    /// The word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Degraded => "DEGRADED",
            Self::Blind => "BLIND",
            Self::Page => "PAGING",
        }
    }

    /// What it looks like.
    #[must_use]
    pub fn tone(self) -> Tone {
        Tone::Health(self.health())
    }

    fn health(self) -> Health {
        match self {
            Self::Ok => Health::Ok,
            Self::Degraded => Health::Warning,
            Self::Blind => Health::Unknown,
            Self::Page => Health::Critical,
        }
    }

    /// A sign beside the word.
    #[must_use]
    pub fn shape(self, ascii: bool) -> &'static str {
        shape(self.health(), ascii)
    }
}

/// The strip.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// One word for it all.
    pub headline: Headline,
    /// Why, in a few words.
    pub why: String,
    /// How many alarms page: a number, `?`, hatched, or with a `+` where more may be.
    pub paging: String,
    /// What that looks like.
    pub paging_tone: Tone,
    /// How far that can be trusted; `None` where no alarms are read.
    pub paging_trust: Option<Trust>,
    /// What goes first, and when.
    pub deadline: Line,
    /// The worst budget.
    pub budget: Line,
    /// How many sources are fresh, and which is the oldest.
    pub fresh: Line,
}

/// The strip at this moment.
#[must_use]
pub fn head(c: Context<'_>, all: &[Watched<'_>]) -> Head {
    let (headline, why) = headline(c, all);
    let paging = c.store.paging();
    let trust = worst(all, &[Feed::Alarms], None);
    let known = best(all, &[Feed::Alarms]);
    let (text, tone) = match (known, trust) {
        (None, _) => ("-".to_owned(), Tone::Dim),
        (Some(Trust::Old(_)), _) => (super::trust::hatched(&paging.to_string(), c.ascii), Tone::Dim),
        (Some(best), _) if best.is_blind() => ("?".to_owned(), Tone::Health(Health::Unknown)),
        // One source of several is blind: it may have more.
        (_, Some(worst)) if worst.is_blind() => (format!("{paging}+"), Tone::Health(Health::Unknown)),
        _ if paging > 0 => (paging.to_string(), Tone::Health(Health::Critical)),
        _ => ("0".to_owned(), Tone::Health(Health::Ok)),
    };
    let tone = if paging > 0 && known.is_some_and(|t| !t.is_blind()) { Tone::Health(Health::Critical) } else { tone };
    Head {
        headline,
        why,
        paging: text,
        paging_tone: tone,
        paging_trust: trust,
        deadline: deadline(c),
        budget: budget(c, all),
        fresh: fresh(c, all),
    }
}

/// One word for it all, and why. Never `OK` while something that should speak does not.
#[must_use]
pub fn headline(c: Context<'_>, all: &[Watched<'_>]) -> (Headline, String) {
    if let Some(why) = pages(c, all) {
        return (Headline::Page, why);
    }
    if all.is_empty() {
        return (Headline::Blind, "nothing is read".to_owned());
    }
    if let Some(why) = blind(all) {
        return (Headline::Blind, why);
    }
    let wrong = crate::store::problems::wrong(c.store, c.now);
    let bad: Vec<_> = wrong.iter().filter(|p| p.health.is_problem()).collect();
    if let Some(first) = bad.first() {
        let more = if bad.len() > 1 { format!(", {} more", bad.len() - 1) } else { String::new() };
        return (Headline::Degraded, format!("{} {}{more}", short(&first.id.name), first.what));
    }
    let unread = c.store.budgets.rows().filter(|b| b.health() == Health::Unknown).count();
    if unread > 0 {
        return (Headline::Degraded, format!("{unread} budget{} without data", if unread == 1 { "" } else { "s" }));
    }
    let sick = |s: &&ClusterSummary| s.health.is_problem() || s.tasks.critical + s.tasks.warning + s.tasks.unknown > 0;
    if let Some(s) = clusters(c.store, c.now).iter().find(sick) {
        return (Headline::Degraded, format!("tasks of {} are in trouble", s.id));
    }
    // What is not vital does not blind, but it is not known either.
    let unsure: Vec<_> = all.iter().filter(|w| w.trust != Trust::Fresh).collect();
    if let Some(first) = unsure.iter().max_by_key(|w| w.trust) {
        let more = if unsure.len() > 1 { format!(", {} more", unsure.len() - 1) } else { String::new() };
        return (Headline::Degraded, format!("{}{more}", source(first)));
    }
    (Headline::Ok, "all that is read is well".to_owned())
}

/// `demo tasks stale 2m`.
fn source(w: &Watched<'_>) -> String {
    let mark = w.trust.mark(true);
    format!("{} {} {}", w.id, w.feed.map_or("all", Feed::word), mark.trim_start_matches(['!', 'X', '?', ' ']))
}

/// Who calls somebody: page-level alarms and budgets, as far as what tells of them is known.
fn pages(c: Context<'_>, all: &[Watched<'_>]) -> Option<String> {
    let mut parts = Vec::new();
    let alarms = c.store.paging();
    if alarms > 0 && best(all, &[Feed::Alarms]).is_some_and(|t| !t.is_blind()) {
        parts.push(format!("{alarms} alarm{}", if alarms == 1 { " pages" } else { "s page" }));
    }
    let budgets = burning(c, all);
    match budgets.as_slice() {
        [] => {}
        [one] => parts.push(format!("{} burns", one.objective.service)),
        several => parts.push(format!("{} budgets burn", several.len())),
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Budgets that call somebody now, and are known.
fn burning<'a>(c: Context<'a>, all: &[Watched<'_>]) -> Vec<&'a Budget> {
    let known = |b: &&Budget| worst(all, &[Feed::Budgets], Some(&b.id.cluster)).is_none_or(|t| !t.is_blind());
    c.store.budgets.rows().filter(|b| b.health() == Health::Critical).filter(known).collect()
}

/// Vital, and not known. Who may not read nodes has a role for a namespace, and is not blind for that.
fn is_dark(w: &Watched<'_>) -> bool {
    w.trust.is_blind() && is_vital(w.feed) && !(w.trust == Trust::Denied && w.feed == Some(Feed::Nodes))
}

/// What is vital and not known: which clusters and backends, and for how long.
fn blind(all: &[Watched<'_>]) -> Option<String> {
    let dark: Vec<_> = all.iter().filter(|w| is_dark(w)).collect();
    let first = dark.iter().max_by_key(|w| w.trust)?;
    let others: BTreeSet<_> = dark.iter().filter(|w| w.id != first.id).map(|w| w.id).collect();
    let more = if others.is_empty() { String::new() } else { format!(", {} more", others.len()) };
    Some(format!("{}{more}", source(first)))
}

fn deadline(c: Context<'_>) -> Line {
    let board = c.store.board(c.now);
    let rush = board.rush;
    let Some(first) = rush.first else {
        let text =
            if rush.all() > 0 { format!("{} go, no deadline", rush.all()) } else { "nothing is leaving".to_owned() };
        return Line::new().with(text, Tone::Dim);
    };
    let left = first.at.timestamp() - c.now.timestamp();
    let health = if rush.cut > 0 { Health::Critical } else { Health::Warning };
    let line = Line::new()
        .with(format!("{} ", shape(health, c.ascii)), Tone::Health(health))
        .with(countdown(left, first.precision), Tone::Health(health));
    let name = board.urgent().find(|r| r.is_known()).map_or("", |r| short(&r.name));
    let others = rush.all().saturating_sub(1);
    let more = if others > 0 { format!(", {others} more") } else { String::new() };
    line.with(format!(" {name}{more}"), Tone::Plain)
}

/// The budgets, the most urgent first.
pub(super) fn by_urgency(c: Context<'_>) -> Vec<&Budget> {
    let mut all: Vec<&Budget> = c.store.budgets.rows().collect();
    let left = |b: &Budget| b.left().map_or(f64::INFINITY, Fraction::value);
    let urgency = |b: &Budget| b.urgency().unwrap_or(f64::INFINITY);
    all.sort_by(|a, b| {
        b.health()
            .cmp(&a.health())
            .then_with(|| urgency(a).total_cmp(&urgency(b)))
            .then_with(|| left(a).total_cmp(&left(b)))
            .then_with(|| a.id.cmp(&b.id))
    });
    all
}

fn budget(c: Context<'_>, all: &[Watched<'_>]) -> Line {
    let Some(worst_one) = by_urgency(c).into_iter().next() else {
        let text = if worst(all, &[Feed::Budgets], None).is_some() { "no budget" } else { "no budgets are read" };
        return Line::new().with(text, Tone::Dim);
    };
    let trust = worst(all, &[Feed::Budgets], Some(&worst_one.id.cluster)).unwrap_or(Trust::Never);
    let line = Line::new().with(format!("{} ", budget_mark(worst_one, c.ascii)), budget_tone(worst_one));
    let name = worst_one.objective.service.as_str();
    if trust.is_blind() {
        return line.with(format!("{name} {}", trust.mark(c.ascii)), trust.tone());
    }
    let mut line = line.with(format!("{name} {}", worst_one.left_text()), budget_tone(worst_one));
    line.push(format!(" {}", worst_one.word()), Tone::Plain);
    line
}

fn fresh(c: Context<'_>, all: &[Watched<'_>]) -> Line {
    let live = all.iter().filter(|w| w.trust == Trust::Fresh).count();
    let worst = all.iter().max_by_key(|w| (w.trust, w.age));
    let tone = worst.map_or(Tone::Dim, |w| if w.trust == Trust::Fresh { Tone::Plain } else { w.trust.tone() });
    let mut line = Line::new().with(format!("{live}/{} fresh", all.len()), tone);
    match worst {
        Some(w) if w.trust != Trust::Fresh => {
            line.push(format!(" {} {}", w.trust.mark(c.ascii), w.id), w.trust.tone());
        }
        Some(_) => {
            let age = all.iter().filter_map(|w| w.age).max().unwrap_or(0);
            line.push(format!(", oldest {}", human_duration(age)), Tone::Dim);
        }
        None => {}
    }
    line
}

/// Workloads of which nothing serves.
pub(super) fn down(c: Context<'_>) -> impl Iterator<Item = &Workload> {
    let serves = |k: Kind| matches!(k, Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet | Kind::EcsService);
    c.store.workloads.rows().filter(move |w| {
        serves(w.id.kind)
            && !w.owner_kind.is_workload()
            && w.replicas.desired > 0
            && w.replicas.available == 0
            && w.health == Health::Critical
    })
}

/// Notices of what will be cut.
fn cut(row: &NoticeRow) -> bool {
    row.is_open() && row.urgent && row.verdict == Some(Verdict::Cut)
}

fn number(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// What takes the screen, the most urgent first.
#[must_use]
pub fn criticals(c: Context<'_>, all: &[Watched<'_>]) -> Vec<Critical> {
    let mut out = Vec::new();
    let mut add = |page, members: BTreeSet<u64>, why: &dyn Fn(usize) -> String| {
        if !members.is_empty() {
            out.push(Critical { page, why: why(members.len()), members });
        }
    };
    let s = |n: usize| if n == 1 { "" } else { "s" };
    if best(all, &[Feed::Alarms]).is_some_and(|t| !t.is_blind()) {
        let paging = c.store.alarms.rows().filter(|a| a.is_paging());
        // Read through two profiles it is one alarm.
        let members = paging.map(|a| if a.uid.is_empty() { number(&a.id) } else { number(&a.uid) }).collect();
        add(WallPage::Alarms, members, &|n| format!("{n} alarm{} {}", s(n), if n == 1 { "pages" } else { "page" }));
    }
    let members = burning(c, all).into_iter().map(|b| number(&b.id)).collect();
    add(WallPage::Budgets, members, &|n| format!("{n} budget{} {}", s(n), if n == 1 { "burns" } else { "burn" }));
    let members = down(c).map(|w| number(&w.id)).collect();
    add(WallPage::Services, members, &|n| format!("{n} workload{} down", s(n)));
    let board = c.store.board(c.now);
    let members = board.rows.iter().filter(|r| cut(r)).map(|r| number(&r.victim)).collect();
    add(WallPage::Spot, members, &|n| format!("{n} machine{} will be cut", s(n)));
    // By cluster: its feeds fail one after the other.
    let dark = all.iter().filter(|w| is_dark(w));
    let members = dark.map(|w| number(&w.id)).collect();
    add(WallPage::Overview, members, &|n| format!("blind: {n} source{} not read", s(n)));
    out
}
