//! The header: where we are, how fresh it is, and the numbers that matter.

use unicode_width::UnicodeWidthStr;

use super::columns::overview_mark as mark;
use super::columns::{Context, cluster_tone};
use super::details_notice::title;
use super::notices::short;
use super::summary::{ClusterSummary, clusters};
use super::words::{cause_in, columns, cut};
use crate::app::App;
use crate::app::table::ViewKind;
use crate::domain::{Freshness, Health, Line, Tone, age::human_duration, quantity::percent};

/// `1,234,567`.
#[must_use]
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// The header's lines: brand and breadcrumb with the time at the right; the
/// fleet in numbers; then one line for each cluster that is not live.
#[must_use]
pub fn header(app: &App, c: Context<'_>, width: usize) -> Vec<Line> {
    let all = clusters(c.store, c.now);
    let first = first_line(app, c, width, &all);
    let troubles = troubles(&all, c, width);
    let key = app.keymap.keys_for(crate::key::Context::Global, crate::command::Command::ViewSpot).first();
    // Where more is told there is nowhere to go for it.
    let there = app.table().is_some_and(|t| t.kind == ViewKind::Spot);
    let banner = super::notices::banner(c, key.map(String::as_str).filter(|_| !there), width);
    if app.compact {
        // Why nothing can be seen is worth a row on the shortest screen.
        let blind = |s: &ClusterSummary| {
            s.troubled.iter().any(|(_, f)| matches!(f, Freshness::Down { .. } | Freshness::Stale { .. }))
        };
        let worth = all.iter().any(blind);
        // One row: what goes is gone first, and what cannot be seen stays so.
        let second = banner.or(troubles.into_iter().next().filter(|_| worth));
        return std::iter::once(first).chain(second).collect();
    }
    let mut numbers = numbers(&all, c);
    backends(&mut numbers, c);
    fit(&mut numbers, width);
    let mut out = vec![first, numbers];
    let room = 2 - usize::from(banner.is_some());
    out.extend(banner);
    out.extend(troubles.into_iter().chain(backend_troubles(c)).take(room));
    out
}

fn first_line(app: &App, c: Context<'_>, width: usize, all: &[ClusterSummary]) -> Line {
    let separator = if c.ascii { " > " } else { " › " };
    let mut line = Line::new().with(" quarterdeck ", Tone::Title);
    if let [one] = all {
        whose(&mut line, c, &one.id);
        if one.read_only && !app.settings.read_only {
            line.push("RO ", Tone::Warning);
        }
    }
    // Of several it is said which one a page is about.
    if let (Some(id), [_, _, ..]) = (app.page_cluster(), all)
        && all.iter().any(|s| s.id == *id)
    {
        whose(&mut line, c, id);
    }
    let crumbs = app.breadcrumb(|id| short(&title(c, id)).to_owned());
    let from = line.spans.len();
    for (i, crumb) in crumbs.iter().enumerate() {
        line.push(if i == 0 { " " } else { separator }, Tone::Dim);
        line.push(crumb.clone(), if i + 1 == crumbs.len() { Tone::Strong } else { Tone::Dim });
    }
    if app.compact {
        // What is not offered there is no trouble; what is denied is told on the next line, where there is one.
        let worst = all
            .iter()
            .filter_map(|s| s.worst.as_ref())
            .filter(|(_, f)| !matches!(f, Freshness::Absent { denied: false, .. }))
            .max_by_key(|(_, f)| f.rank());
        line.push("  ", Tone::Plain);
        let (text, tone) = worst.map_or_else(|| live(c.ascii), |(_, f)| fresh(f, c));
        line.push(text, tone);
    }
    let mut right = Line::new();
    let paging = c.store.paging();
    if paging > 0 {
        let shape = mark(Health::Critical, c.ascii).split(' ').next().unwrap_or_default();
        let word = match (width, paging) {
            (..60, _) => "",
            (_, 1) => " alarm",
            _ => " alarms",
        };
        right.push(format!("{shape} {paging}{word}  "), Tone::Health(Health::Critical));
    }
    match app.running() {
        0 => {}
        n => right.push(format!("{n} running  "), Tone::Health(Health::Progressing)),
    }
    if app.settings.read_only {
        right.push("RO  ", Tone::Warning);
    }
    right.push(format!("{} UTC ", c.now.format("%H:%M:%S")), Tone::Time);
    fit_first(&mut line, &mut right, (from, crumbs.len()), c, width);
    let gap = (width + 1).saturating_sub(used(&line, &right)).max(1);
    line.push(" ".repeat(gap), Tone::Plain);
    line.spans.extend(right.spans);
    line
}

/// A cluster's name, and that it is production.
pub(super) fn whose(line: &mut Line, c: Context<'_>, id: &crate::domain::ClusterId) {
    line.push(format!("{id} "), cluster_tone(c, id));
    if c.store.is_production(id) {
        production(line, c, id);
    }
}

/// The word, as loud as anything in a header.
pub(super) fn production(line: &mut Line, c: Context<'_>, id: &crate::domain::ClusterId) {
    line.push(" PRODUCTION ", Tone::Badge(c.store.accent(id)));
    line.push(" ", Tone::Plain);
}

/// How wide both are, with a space between them.
fn used(line: &Line, right: &Line) -> usize {
    line.spans.iter().chain(&right.spans).map(|s| columns(&s.text)).sum::<usize>() + 1
}

/// Makes both fit. Where it is narrow, the name of the program goes first, then the middles of long
/// names, then the seconds: the time, where we are and how fresh it is stay. The breadcrumb's `count`
/// names are in every second span after `from`.
fn fit_first(line: &mut Line, right: &mut Line, (from, count): (usize, usize), c: Context<'_>, width: usize) {
    let over = |line: &Line, right: &Line| used(line, right).saturating_sub(width);
    if over(line, right) > 0
        && let Some(brand) = line.spans.first_mut()
    {
        brand.text = " ".into();
    }
    // The longest names of the breadcrumb, then that of the cluster, then the shorter ones.
    for (first, step, names, least) in [(from + 1, 2, count, 24), (1, 1, from.min(2) - 1, 16), (from + 1, 2, count, 12)]
    {
        for _ in 0..names {
            let over = over(line, right);
            let own = line.spans.iter_mut().skip(first).step_by(step).take(names);
            let Some(longest) = own.max_by_key(|s| columns(&s.text)).filter(|_| over > 0) else { break };
            longest.text = cut(&longest.text, columns(&longest.text).saturating_sub(over).max(least), true, c.ascii);
        }
    }
    // Then where we came from, and the seconds.
    let mut left = count;
    while over(line, right) > 0 && left > 2 {
        line.spans.drain(from + 1..from + 3);
        left -= 1;
    }
    if over(line, right) > 0
        && let Some(time) = right.spans.last_mut()
    {
        time.text = c.now.format("%H:%M ").to_string();
    }
    // On the narrowest screen what else stands at the right, then whatever there is.
    while over(line, right) > 0 && right.spans.len() > 1 && used(&Line::new(), right) * 2 > width {
        right.spans.remove(0);
    }
    while over(line, right) > 0 {
        let (over, Some(last)) = (over(line, right), line.spans.last_mut()) else { break };
        match columns(&last.text).saturating_sub(over) {
            0 => drop(line.spans.pop()),
            room => last.text = cut(&last.text, room, false, c.ascii),
        }
    }
}

fn live(ascii: bool) -> (String, Tone) {
    (if ascii { "* live" } else { "● live" }.to_owned(), Tone::Health(Health::Ok))
}

/// A freshness as shape, word and age.
#[must_use]
pub fn fresh(f: &Freshness, c: Context<'_>) -> (String, Tone) {
    let since = |t: &crate::domain::Timestamp| human_duration(crate::domain::age::elapsed(*t, c.now));
    match (f, c.ascii) {
        (Freshness::Live { .. }, ascii) => live(ascii),
        (Freshness::Loading { .. }, false) => ("◌ loading".to_owned(), Tone::Health(Health::Progressing)),
        (Freshness::Loading { .. }, true) => ("~ loading".to_owned(), Tone::Health(Health::Progressing)),
        (Freshness::Stale { since: t, .. }, false) => (format!("▲ stale {}", since(t)), Tone::Health(Health::Warning)),
        (Freshness::Stale { since: t, .. }, true) => (format!("! stale {}", since(t)), Tone::Health(Health::Warning)),
        (Freshness::Down { since: t, .. }, false) => (format!("✖ down {}", since(t)), Tone::Health(Health::Critical)),
        (Freshness::Down { since: t, .. }, true) => (format!("X down {}", since(t)), Tone::Health(Health::Critical)),
        (Freshness::Absent { denied: true, .. }, _) => ("- denied".to_owned(), Tone::Warning),
        (Freshness::Absent { denied: false, .. }, _) => ("- absent".to_owned(), Tone::Dim),
    }
}

/// Leaves out the last of the numbers, whole with their names, until the rest has room.
fn fit(line: &mut Line, width: usize) {
    while line.spans.iter().map(|s| columns(&s.text)).sum::<usize>() > width
        && let Some(last) = line.spans.iter().rposition(|s| s.text.starts_with("  ")).filter(|at| *at > 1)
    {
        line.spans.truncate(last);
    }
}

fn numbers(all: &[ClusterSummary], c: Context<'_>) -> Line {
    let mut line = Line::new().with(" ", Tone::Plain);
    let sum = |f: fn(&ClusterSummary) -> u64| all.iter().map(f).sum::<u64>();
    match all {
        [] if c.store.backends().next().is_some() => return line.with("no cluster is read", Tone::Dim),
        [] => return line.with("no cluster is configured", Tone::Warning),
        [one] => {
            let (text, tone) = state(one, c);
            line.push(text, tone);
            if !one.version.is_empty() {
                line.push(format!("  {}", one.version), Tone::Dim);
            }
        }
        several => {
            line.push(format!("{} clusters", several.len()), Tone::Strong);
            let marked: Vec<_> = several.iter().filter(|s| s.production).collect();
            if let Some(first) = marked.first() {
                line.push(", ", Tone::Dim);
                line.push(format!("{} production", marked.len()), cluster_tone(c, &first.id));
            }
            let not_live = several.iter().filter(|s| !matches!(state(s, c).0.as_str(), "● live" | "* live")).count();
            if not_live > 0 {
                line.push(format!(", {not_live} not live"), Tone::Warning);
            } else {
                let (text, tone) = live(c.ascii);
                line.push(format!("  {text}"), tone);
            }
        }
    }
    let read = |known: fn(&ClusterSummary) -> bool| all.iter().any(known);
    let unknown = if c.ascii { "..." } else { "…" };
    let (ready, nodes) = (sum(|s| s.nodes.0 as u64), sum(|s| s.nodes.1 as u64));
    line.push("  nodes ", Tone::Dim);
    let tone = if ready < nodes { Tone::Health(Health::Critical) } else { Tone::Plain };
    let text = format!("{}/{}", grouped(ready), grouped(nodes));
    line.push(if nodes > 0 || read(|s| s.known.nodes) { text } else { unknown.to_owned() }, tone);
    line.push("  tasks ", Tone::Dim);
    let tasks = sum(|s| u64::from(s.tasks.unfinished()));
    line.push(if tasks > 0 || read(|s| s.known.tasks) { grouped(tasks) } else { unknown.to_owned() }, Tone::Plain);
    for (n, health) in [
        (sum(|s| u64::from(s.tasks.critical)), Health::Critical),
        (sum(|s| u64::from(s.tasks.warning)), Health::Warning),
        (sum(|s| u64::from(s.tasks.unknown)), Health::Unknown),
    ] {
        if n > 0 {
            let shape = mark(health, c.ascii).split(' ').next().unwrap_or_default();
            // Blanks of their own: some themes underline what has a tone.
            line.push("  ", Tone::Plain);
            line.push(format!("{shape} {}", grouped(n)), Tone::Health(health));
        }
    }
    let used: Vec<_> = all.iter().filter_map(|s| s.usage.map(|u| (u, s.allocatable))).collect();
    if !used.is_empty() {
        let cpu = percent(used.iter().map(|(u, _)| u.cpu.0).sum(), used.iter().map(|(_, a)| a.cpu.0).sum());
        let memory = percent(used.iter().map(|(u, _)| u.memory.0).sum(), used.iter().map(|(_, a)| a.memory.0).sum());
        for (name, p, limits) in [("cpu", cpu, c.thresholds.cpu), ("mem", memory, c.thresholds.memory)] {
            if let Some(p) = p {
                line.push(format!("  {name} "), Tone::Dim);
                line.push(format!("{p:.0}%"), limits.tone(p));
            }
        }
    }
    line
}

/// How many metric backends are read, and how many that tell of notices, with how fresh
/// the worst of them is.
fn backends(line: &mut Line, c: Context<'_>) {
    for (word, notices) in [("metrics", false), ("notices", true)] {
        let of = |known: Option<&crate::domain::Backend>| known.is_some_and(|b| b.kind.tells_notices()) == notices;
        // What was only looked for, and is not there or not allowed, is told under `!` and by doctor.
        let expected = |known: Option<&crate::domain::Backend>, f: &Freshness| {
            !(known.is_some_and(|b| b.found) && matches!(f, Freshness::Absent { .. }))
        };
        let of_kind = c.store.backends().filter(|(_, b)| of(*b));
        let feeds = of_kind.filter_map(|(id, b)| worst_feed(c, id).filter(|(_, f)| expected(b, f)));
        let feeds: Vec<_> = feeds.collect();
        // A backend that may not be asked one thing of several is read; a feed has one thing to tell.
        read(line, c, word, &feeds, if notices { 1 } else { 2 });
    }
}

/// `good` is the worst rank of what counts as read.
fn read(line: &mut Line, c: Context<'_>, word: &str, feeds: &[(crate::store::Feed, &Freshness)], good: u8) {
    let Some(worst) = feeds.iter().map(|(_, f)| *f).max_by_key(|f| f.rank()) else { return };
    let live = feeds.iter().filter(|(_, f)| f.rank() <= good).count();
    line.push(format!("  {word} "), Tone::Dim);
    let (text, tone) = fresh(worst, c);
    if live == feeds.len() {
        line.push(format!("{live}/{live}"), Tone::Plain);
    } else {
        line.push(format!("{live}/{} {text}", feeds.len()), tone);
    }
}

/// The feed of a backend that is worst off.
fn worst_feed<'a>(c: Context<'a>, id: &crate::domain::ClusterId) -> Option<(crate::store::Feed, &'a Freshness)> {
    let own = c.store.sources().filter(|(s, _)| s.cluster == *id);
    own.map(|(s, state)| (s.feed, &state.freshness)).max_by_key(|(_, f)| f.rank())
}

/// Metric backends that are not read as they should be, with the reason.
fn backend_troubles(c: Context<'_>) -> Vec<Line> {
    let trouble = |(id, known): (&crate::domain::ClusterId, Option<&crate::domain::Backend>)| {
        let (feed, f) = worst_feed(c, id)?;
        // What nobody set up and may not be read is told under `!`, not all day long.
        let denied = !known.is_some_and(|b| b.found);
        let bad = match f {
            Freshness::Stale { .. } | Freshness::Down { .. } => true,
            Freshness::Absent { denied: true, .. } => denied,
            Freshness::Absent { .. } | Freshness::Loading { .. } | Freshness::Live { .. } => false,
        };
        let (text, tone) = fresh(f, c);
        let mut line = Line::new().with(format!(" {id} "), Tone::Cluster).with(format!("{} {text}", feed.word()), tone);
        if let Some(why) = f.reason() {
            line.push(format!(": {why}"), Tone::Plain);
        }
        line.push("  (! for all)", Tone::Dim);
        bad.then_some(line)
    };
    c.store.backends().filter_map(trouble).collect()
}

/// A cluster's state in the header: the worst feed that matters; what is not
/// offered there or not allowed is named on the troubles line.
pub(super) fn state(s: &ClusterSummary, c: Context<'_>) -> (String, Tone) {
    match s.troubled.iter().find(|(_, f)| !matches!(f, Freshness::Absent { .. })) {
        Some((_, f)) => fresh(f, c),
        None if s.loading => fresh(&Freshness::Loading { since: c.now }, c),
        None => live(c.ascii),
    }
}

/// Feeds that are not as they should be, cluster by cluster: the cause first.
fn troubles(all: &[ClusterSummary], c: Context<'_>, width: usize) -> Vec<Line> {
    let of = |s: &ClusterSummary| {
        let mut bad: Vec<_> = s
            .troubled
            .iter()
            .filter(|(_, f)| {
                matches!(f, Freshness::Stale { .. } | Freshness::Down { .. } | Freshness::Absent { denied: true, .. })
            })
            .collect();
        bad.sort_by_key(|(_, f)| std::cmp::Reverse(f.rank()));
        let (feed, f) = bad.first()?;
        Some(trouble(s.id.as_str(), feed.word(), f, bad.len(), c, width))
    };
    all.iter().filter_map(of).collect()
}

/// The worst of `count` feeds that are in trouble, in `width` columns. What is told in
/// `!` as well goes before the cause is cut.
fn trouble(id: &str, feed: &str, f: &Freshness, count: usize, c: Context<'_>, width: usize) -> Line {
    let (text, tone) = fresh(f, c);
    let id = cut(id, 24, true, c.ascii);
    let lead = id.width() + text.width() + 4;
    let what = if count > 1 { format!("{feed} and {} more", count - 1) } else { feed.to_owned() };
    let few = if count > 1 { format!("{count} feeds") } else { feed.to_owned() };
    let because = f.reason().map_or("", |why| why.as_str());
    let whole = cause_in(because, usize::MAX, c.ascii);
    let asides = [format!("  {what}  (! for all)"), format!("  {few}  (!)"), "  (!)".to_owned()];
    let fits = |aside: &&String| lead + whole.width() + aside.width() <= width;
    let aside = asides.iter().find(fits).unwrap_or(&asides[2]);
    let room = width.saturating_sub(lead + aside.width());
    Line::new()
        .with(format!(" {id} "), Tone::Cluster)
        .with(text, tone)
        .with(format!(": {}", cause_in(because, room, c.ascii)), Tone::Plain)
        .with(aside.as_str(), Tone::Dim)
}
