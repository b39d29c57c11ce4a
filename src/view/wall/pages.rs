//! The pages: which figures are big, and what stands below them.

use unicode_width::UnicodeWidthStr;

use super::head::{by_urgency, down};
use super::trust::{Sum, Trust, Watched, figure, hatched, sum, worst};
use super::{Body, Sheet, Tile, timeline};
use crate::app::table::{Scope, Sort, TableState, ViewKind};
use crate::app::wall::{Wall, WallPage};
use crate::domain::notice::Outcome;
use crate::domain::slo::Exhaustion;
use crate::domain::traffic::{duration, rate, share};
use crate::domain::{Budget, Health, Kind, Line, ObjectId, Service, Severity, Tone, age::age};
use crate::store::Feed;
use crate::store::alarm_groups::trouble;
use crate::store::notices::{NoticeRow, countdown};
use crate::store::problems::{Problem, wrong};
use crate::view::columns::{
    Context, alarm_about, alarm_mark, alarm_tone, budget_mark, budgets, cluster_name, cluster_tone, overview_mark,
};
use crate::view::header::grouped;
use crate::view::map::{Detail, MapCell, elsewhere, map};
use crate::view::notices::{left, left_tone, shape, short, verdict};
use crate::view::placements;
use crate::view::spark::bar;
use crate::view::summary::{ClusterSummary, clusters};
use crate::view::words::cut;

/// A page for `room` columns and rows below its tiles.
pub(super) fn sheet(c: Context<'_>, wall: &Wall, all: &[Watched<'_>], room: (usize, usize)) -> Sheet {
    match wall.page() {
        WallPage::Overview => overview(c, all, room),
        WallPage::Map => nodes(c, all, room),
        WallPage::Budgets => of_budgets(c, all, room),
        WallPage::Alarms => alarms(c, all, room),
        WallPage::Spot => spot(c, all, room),
        WallPage::Services => services(c, all, room),
        WallPage::Timeline => timeline::sheet(c, wall, all, room),
    }
}

/// A tile of a figure that is as good as its feeds are.
pub(super) fn tile(c: Context<'_>, label: &str, text: String, note: &str, tone: Tone, sum: Option<Sum>) -> Tile {
    let (label, note) = (label.to_owned(), note.to_owned());
    // What nobody reads is neither a zero nor unknown.
    let Some(Sum { worst: trust, best }) = sum else {
        let note = "not read".to_owned();
        return Tile { label, figure: "-".to_owned(), note, tone: Tone::Dim, trust: Trust::Fresh };
    };
    if best.is_blind() {
        return Tile { label, figure: figure(text, trust, c.ascii), note, tone: trust.tone(), trust };
    }
    // Of one source nothing is known: there may be more, and what is well is not known to be.
    let (figure, tone) = match (trust.is_blind(), tone) {
        (true, Tone::Health(Health::Ok)) => (format!("{text}+"), Tone::Health(Health::Unknown)),
        (true, tone) => (format!("{text}+"), tone),
        (false, tone) => (text, tone),
    };
    Tile { label, figure, note, tone, trust }
}

/// Those clusters of which these feeds are known; all of them where none is.
fn lit<'a>(all: &[Watched<'_>], sums: &'a [ClusterSummary], feeds: &[Feed]) -> Vec<&'a ClusterSummary> {
    let known = |s: &&ClusterSummary| worst(all, feeds, Some(&s.id)).is_some_and(|t| !t.is_blind());
    let lit: Vec<_> = sums.iter().filter(known).collect();
    if lit.is_empty() { sums.iter().collect() } else { lit }
}

/// Bad where it is not zero.
fn bad(n: usize, health: Health) -> Tone {
    if n > 0 { Tone::Health(health) } else { Tone::Health(Health::Ok) }
}

fn node_tile(c: Context<'_>, all: &[Watched<'_>], sums: &[ClusterSummary]) -> Tile {
    let lit = lit(all, sums, &[Feed::Nodes]);
    let (ready, total) = lit.iter().fold((0, 0), |(r, t), s| (r + s.nodes.0, t + s.nodes.1));
    let down = total - ready.min(total);
    let of = format!("of {}", grouped(total as u64));
    tile(c, "NODES DOWN", down.to_string(), &of, bad(down, Health::Critical), sum(all, &[Feed::Nodes]))
}

/// What the figures of workloads come from.
const WORKLOADS: [Feed; 4] = [Feed::Deployments, Feed::StatefulSets, Feed::DaemonSets, Feed::Services];

fn overview(c: Context<'_>, all: &[Watched<'_>], (width, height): (usize, usize)) -> Sheet {
    let sums = clusters(c.store, c.now);
    let of = |feeds: &[Feed], f: fn(&ClusterSummary) -> usize| lit(all, &sums, feeds).into_iter().map(f).sum::<usize>();
    let sick = of(&[Feed::Tasks], |s| s.tasks.critical as usize + s.tasks.unknown as usize);
    let tasks = of(&[Feed::Tasks], |s| s.tasks.unfinished() as usize);
    let short_of = of(&WORKLOADS, |s| s.workloads.0);
    let rush = c.store.board(c.now).rush;
    let tiles = vec![
        node_tile(c, all, &sums),
        tile(
            c,
            "TASKS BROKEN",
            grouped(sick as u64),
            &format!("of {}", grouped(tasks as u64)),
            bad(sick, Health::Critical),
            sum(all, &[Feed::Tasks]),
        ),
        tile(c, "SHORT", short_of.to_string(), "workloads", bad(short_of, Health::Warning), sum(all, &WORKLOADS)),
        tile(
            c,
            "GOING",
            rush.all().to_string(),
            "machines, tasks",
            bad(rush.all() as usize, if rush.cut > 0 { Health::Critical } else { Health::Warning }),
            sum(all, &[Feed::Nodes, Feed::Tasks, Feed::Notices]),
        ),
    ];
    let mut lines = cluster_lines(c, all, &sums, width);
    // Half of the room at the most: what is wrong is there, too.
    let most = (height / 2).max(3);
    if lines.len() > most {
        let hidden = lines.len() - (most - 1);
        lines.truncate(most - 1);
        lines.push(Line::new().with(format!("  and {hidden} more clusters"), Tone::Dim));
    }
    lines.push(Line::new());
    problems(c, all, &mut lines, width, height);
    Sheet { tiles, body: Body::Lines(lines) }
}

/// A line for each cluster, the worst first; figures that are too old are hatched out.
fn cluster_lines(c: Context<'_>, all: &[Watched<'_>], sums: &[ClusterSummary], width: usize) -> Vec<Line> {
    let name_width = sums.iter().map(|s| s.id.as_str().width()).max().unwrap_or(7).clamp(7, (width / 4).max(7));
    let wide = width >= 100;
    sums.iter()
        .map(|s| {
            let of = |feeds: &[Feed]| worst(all, feeds, Some(&s.id)).unwrap_or(Trust::Fresh);
            let trust = of(&[Feed::Tasks, Feed::Nodes]);
            let health = if trust.is_blind() { Health::Unknown } else { s.health };
            let name = cut(&cluster_name(c, &s.id), name_width, true, c.ascii);
            let pad = name_width.saturating_sub(name.width());
            let mut line = Line::new()
                .with(format!("{} ", shape(health, c.ascii)), Tone::Health(health))
                .with(name, cluster_tone(c, &s.id))
                .with(" ".repeat(pad), Tone::Plain);
            let mut say = |label: &str, text: String, tone: Tone, feeds: &[Feed]| {
                let trust = of(feeds);
                let tone = if trust.is_blind() { trust.tone() } else { tone };
                line.push(format!("  {label} "), Tone::Dim);
                line.push(figure(text, trust, c.ascii), tone);
            };
            let (ready, nodes) = s.nodes;
            say("nodes", format!("{ready}/{nodes}"), bad(nodes - ready.min(nodes), Health::Critical), &[Feed::Nodes]);
            let broken = s.tasks.critical as usize + s.tasks.unknown as usize;
            say("tasks", grouped(u64::from(s.tasks.unfinished())), Tone::Plain, &[Feed::Tasks]);
            say("broken", broken.to_string(), bad(broken, Health::Critical), &[Feed::Tasks]);
            if wide {
                say(
                    "short",
                    format!("{} of {}", s.workloads.0, s.workloads.2),
                    bad(s.workloads.0, Health::Warning),
                    &WORKLOADS,
                );
                say("restarts 1h", s.restarts.to_string(), Tone::Plain, &[Feed::Tasks]);
            }
            if trust > Trust::Fresh {
                line.push(format!("  {}", trust.mark(c.ascii)), trust.tone());
            }
            line
        })
        .collect()
}

/// What is wrong, until the page is full.
fn problems(c: Context<'_>, all: &[Watched<'_>], lines: &mut Vec<Line>, width: usize, height: usize) {
    let found = wrong(c.store, c.now);
    if found.is_empty() {
        let unsure = all.iter().filter(|w| w.trust != Trust::Fresh).count();
        let (text, tone) = match (all.is_empty(), unsure) {
            (true, _) => ("nothing is read".to_owned(), Tone::Health(Health::Unknown)),
            (_, 0) => ("nothing is wrong".to_owned(), Tone::Health(Health::Ok)),
            (_, n) => (format!("nothing else is known to be wrong; {n} sources are not fresh"), Tone::Warning),
        };
        lines.push(Line::new().with(text, tone));
        return;
    }
    let room = height.saturating_sub(lines.len()).max(1);
    let shown = if found.len() > room { room - 1 } else { found.len() };
    lines.extend(found.iter().take(shown).map(|p| problem(c, all, p, width)));
    if found.len() > shown {
        lines.push(Line::new().with(format!("  and {} more", found.len() - shown), Tone::Dim));
    }
}

fn problem(c: Context<'_>, all: &[Watched<'_>], p: &Problem, width: usize) -> Line {
    let old = worst(all, &[Feed::Tasks, Feed::Nodes, Feed::Services], Some(&p.id.cluster));
    let health = if old.is_some_and(Trust::is_blind) { Health::Unknown } else { p.health };
    let since = p.lasted(c.now);
    let name_width = (width / 3).max(12);
    let name = cut(short(&p.id.name), name_width, true, c.ascii);
    let pad = name_width.saturating_sub(name.width());
    let what_width = width.saturating_sub(name_width + 10 + 8).max(8);
    let what = cut(&p.what, what_width, false, c.ascii);
    let gap = what_width.saturating_sub(what.width());
    let mut line = Line::new()
        .with(format!("{:<6} ", overview_mark(health, c.ascii)), Tone::Health(health))
        .with(format!("{name}{}  ", " ".repeat(pad)), Tone::Strong)
        .with(format!("{what}{}", " ".repeat(gap)), Tone::Plain);
    if health == Health::Unknown && p.health != Health::Unknown {
        line.push(format!(" {:>7}", "then"), Tone::Dim);
    } else {
        line.push(format!(" {since:>7}"), Tone::Time);
    }
    line
}

fn nodes(c: Context<'_>, all: &[Watched<'_>], (width, height): (usize, usize)) -> Sheet {
    let sums = clusters(c.store, c.now);
    let cordoned: usize = lit(all, &sums, &[Feed::Nodes]).iter().map(|s| s.cordoned).sum();
    let tasks: usize = lit(all, &sums, &[Feed::Tasks]).iter().map(|s| s.tasks.unfinished() as usize).sum();
    let (nodes, trust) = (sum(all, &[Feed::Nodes]), sum(all, &[Feed::Tasks]));
    let tiles = vec![
        node_tile(c, all, &sums),
        tile(c, "CORDONED", cordoned.to_string(), "take nothing new", bad(cordoned, Health::Warning), nodes),
        tile(c, "TASKS", grouped(tasks as u64), "not finished", Tone::Strong, trust),
    ];
    let dark = |s: Option<Sum>| s.is_none_or(|s| s.best.is_blind());
    let (cells, cell_width, cell_height) = cells(c, (width, height), dark(nodes) || dark(trust));
    Sheet { tiles, body: Body::Map { cells, width: cell_width, height: cell_height } }
}

/// The nodes and other places as cells, the worst first, and how large one is; of `dark` ones only the
/// names are known.
fn cells(c: Context<'_>, (width, height): (usize, usize), dark: bool) -> (Vec<MapCell>, usize, usize) {
    let mut table = TableState::new(ViewKind::Map, Scope::All, Sort { column: "name", descending: false });
    crate::view::arrange(&mut table, c);
    let places = elsewhere(&table, c);
    let cell_width = if width >= 100 { 22 } else { 17 };
    let columns = (width / (cell_width + 2)).max(1);
    let rows = (table.order.len() + places.len()).div_ceil(columns).max(1);
    let (cell_height, detail) = match height.saturating_sub(1) / rows {
        tall @ 6.. => (tall.min(9), Detail::Full(tall.min(9) - 5)),
        4.. => (4, Detail::Compact),
        2.. => (2, Detail::Compact),
        _ => (1, Detail::Compact),
    };
    let mut cells = map(&table, c, places, cell_width, detail);
    let board = c.store.board(c.now);
    for (cell, node) in cells.iter_mut().zip(table.order.iter().filter_map(|slot| c.store.nodes.at(*slot))) {
        // What goes is in trouble, too, however well it is.
        let going = board.of_node(&node.id).filter(|r| r.urgent).map_or(Health::Ok, NoticeRow::health);
        cell.health = cell.health.max(going);
        if let Some(first) = cell.lines.first_mut() {
            let tone = if cell.health.is_problem() { Tone::Health(cell.health) } else { Tone::Strong };
            *first = Line::new().with(cut(short(&node.id.name), cell_width, true, c.ascii), tone);
        }
    }
    for cell in &mut cells {
        cell.selected = false;
        if dark {
            cell.health = Health::Unknown;
            for line in cell.lines.iter_mut().skip(1) {
                *line = Line::new().with(hatched(&line.text(), c.ascii), Tone::Dim);
            }
        }
        if cell_height < 4 {
            // Shape and name, and the tasks where there is a second row.
            let name = cell.lines.first().map(Line::text).unwrap_or_default();
            let first = Line::new()
                .with(format!("{} ", shape(cell.health, c.ascii)), Tone::Health(cell.health))
                .with(cut(&name, cell_width - 2, true, c.ascii), Tone::Plain);
            let marks = cell.lines.pop().unwrap_or_default();
            cell.lines = vec![first, marks];
            cell.lines.truncate(cell_height);
        }
    }
    cells.sort_by_key(|cell| std::cmp::Reverse(cell.health));
    (cells, cell_width, cell_height)
}

fn of_budgets(c: Context<'_>, all: &[Watched<'_>], (width, height): (usize, usize)) -> Sheet {
    let budgets = by_urgency(c);
    let trust_of = |b: &Budget| worst(all, &[Feed::Budgets], Some(&b.id.cluster)).unwrap_or(Trust::Never);
    let overall = sum(all, &[Feed::Budgets]);
    let count = |h: Health| budgets.iter().filter(|b| b.health() == h).count();
    let mut tiles = vec![
        tile(
            c,
            "BURNING",
            count(Health::Critical).to_string(),
            "page",
            bad(count(Health::Critical), Health::Critical),
            overall,
        ),
        tile(
            c,
            "TICKETS",
            count(Health::Warning).to_string(),
            "or exhausted",
            bad(count(Health::Warning), Health::Warning),
            overall,
        ),
    ];
    if let Some(b) = budgets.first() {
        let note = cut(&format!("{} left of {}", b.left_text(), b.objective.service), 30, true, c.ascii);
        let gone = match b.assessment.as_ref().map(|a| a.exhaustion) {
            Some(Exhaustion::In(_)) => b.gone_text().replace(' ', ""),
            Some(Exhaustion::Exhausted) => "0".to_owned(),
            _ => "-".to_owned(),
        };
        tiles.push(tile(c, "GONE IN", gone, &note, budgets::tone(b), Some(trust_of(b).into())));
    }
    let room = height.max(2);
    let shown = if budgets.len() > room { room - 1 } else { budgets.len() };
    let mut lines: Vec<Line> = budgets.iter().take(shown).map(|b| budget(c, b, trust_of(b), width)).collect();
    if budgets.is_empty() {
        let text =
            if overall.is_some() { "no budget is known" } else { "no error budgets are read: docs/slo.md says how" };
        lines.push(Line::new().with(text, Tone::Dim));
    }
    if budgets.len() > shown {
        lines.push(Line::new().with(format!("  and {} more", budgets.len() - shown), Tone::Dim));
    }
    Sheet { tiles, body: Body::Lines(lines) }
}

fn budget(c: Context<'_>, b: &Budget, trust: Trust, width: usize) -> Line {
    let gauge = if width >= 110 { 30 } else { 12 };
    let name_width = width.saturating_sub(gauge + 52).clamp(12, 48);
    let name = cut(&b.title(), name_width, true, c.ascii);
    let pad = name_width.saturating_sub(name.width());
    let tone = if trust.is_blind() { trust.tone() } else { budgets::tone(b) };
    let left = b.left().map(|l| l.value().clamp(0.0, 1.0));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1000")]
    let part = left.map(|l| (l * 1000.0).round() as u64);
    let drawn = match part {
        Some(part) if !trust.is_blind() => bar(part, 1000, gauge, c.ascii),
        _ => hatched(&"x".repeat(gauge), c.ascii),
    };
    let mut line = Line::new()
        .with(format!("{} ", budget_mark(b, c.ascii)), tone)
        .with(format!("{name}{}  ", " ".repeat(pad)), Tone::Strong)
        .with(drawn, tone)
        .with(format!(" {:>9}", figure(b.left_text(), trust, c.ascii)), tone)
        .with(format!("  {:<18}", b.word()), tone);
    if trust > Trust::Fresh {
        line.push(trust.mark(c.ascii), trust.tone());
    } else {
        line.push(format!("{:>16}", b.gone_text()), Tone::Plain);
    }
    line
}

fn alarms(c: Context<'_>, all: &[Watched<'_>], (width, height): (usize, usize)) -> Sheet {
    let trust = sum(all, &[Feed::Alarms]);
    let count = |f: &dyn Fn(&crate::domain::Alarm) -> bool| c.store.alarms.rows().filter(|a| f(a)).count();
    let tickets = count(&|a| a.is_firing() && matches!(a.severity, Severity::Warning | Severity::Unknown));
    let silenced = count(&|a| !a.suppressed_by.is_empty());
    let paging = c.store.paging();
    let tiles = vec![
        tile(c, "PAGE", paging.to_string(), "look now", bad(paging, Health::Critical), trust),
        tile(c, "TICKET", tickets.to_string(), "in working hours", bad(tickets, Health::Warning), trust),
        tile(c, "SILENCED", silenced.to_string(), "nobody is told", Tone::Dim, trust),
    ];
    let groups = trouble(c.store);
    let room = height.max(2);
    let shown = if groups.len() > room { room - 1 } else { groups.len() };
    let mut lines = Vec::new();
    for g in groups.iter().take(shown) {
        let Some(lead) = g.lead() else { continue };
        let tone = alarm_tone(lead.health());
        let more = if g.len() > 1 { format!(" +{}", g.len() - 1) } else { String::new() };
        let name_width = (width / 2).saturating_sub(12).max(12);
        let name = cut(&lead.id.name, name_width.saturating_sub(more.len()), true, c.ascii);
        let name = format!("{name}{more}");
        let pad = name_width.saturating_sub(name.width());
        let about = g.about.as_ref().map_or_else(|| lead.summary.to_string(), alarm_about);
        let about_width = width.saturating_sub(name_width + 12 + 9).max(8);
        let about = cut(&about, about_width, true, c.ascii);
        let gap = about_width.saturating_sub(about.width());
        let line = Line::new()
            .with(format!("{:<9} ", alarm_mark(lead, c.ascii)), tone)
            .with(format!("{name}{}  ", " ".repeat(pad)), Tone::Strong)
            .with(format!("{about}{}", " ".repeat(gap)), Tone::Plain);
        lines.push(line.with(format!(" {:>7}", age(lead.since, c.now)), Tone::Time));
    }
    if groups.len() > shown {
        lines.push(Line::new().with(format!("  and {} more", groups.len() - shown), Tone::Dim));
    }
    if groups.is_empty() {
        lines.push(match trust {
            None => Line::new().with("no alarms are read", Tone::Dim),
            Some(t) if t.worst.is_blind() => {
                Line::new().with("whether any fires is not known", Tone::Health(Health::Unknown))
            }
            Some(_) => Line::new().with("no alarm fires", Tone::Health(Health::Ok)),
        });
    }
    Sheet { tiles, body: Body::Lines(lines) }
}

fn spot(c: Context<'_>, all: &[Watched<'_>], (width, height): (usize, usize)) -> Sheet {
    let board = c.store.board(c.now);
    let rush = board.rush;
    let trust = sum(all, &[Feed::Nodes, Feed::Tasks, Feed::Notices]);
    let first = rush.first.map_or_else(
        || "-".to_owned(),
        |d| countdown(d.at.timestamp() - c.now.timestamp(), d.precision).replace("overdue ", "-"),
    );
    let name = board
        .urgent()
        .find(|r| r.is_known())
        .map_or_else(|| "nothing is leaving".to_owned(), |r| short(&r.name).to_owned());
    let soon = rush.first.is_some_and(|d| d.at.timestamp() - c.now.timestamp() < 60);
    let tone = match (rush.first.is_some(), soon) {
        (false, _) => Tone::Health(Health::Ok),
        (true, false) => Tone::Health(Health::Warning),
        (true, true) => Tone::Health(Health::Critical),
    };
    let tiles = vec![
        tile(c, "FIRST GOES IN", first, &name, tone, trust),
        tile(c, "GOING", rush.all().to_string(), "machines, tasks", bad(rush.all() as usize, Health::Warning), trust),
        tile(
            c,
            "WILL BE CUT",
            rush.cut.to_string(),
            &format!("{} tight", rush.tight),
            bad(rush.cut as usize, Health::Critical),
            trust,
        ),
    ];
    // Services that find no place first: they lack tasks already.
    let mut lines = placements::lines(c, (height / 4).clamp(1, 4), width);
    let room = height.saturating_sub(lines.len()).max(2);
    let shown = if board.rows.len() > room { room - 1 } else { board.rows.len() };
    let name_width = (width / 3).max(12);
    lines.extend(board.rows.iter().take(shown).map(|r| {
        let name = cut(short(&r.name), name_width, true, c.ascii);
        let pad = name_width.saturating_sub(name.width());
        let v = verdict(c, r);
        Line::new()
            .with(format!("{:>12}  ", left(c, r)), left_tone(c, r))
            .with(format!("{name}{}  ", " ".repeat(pad)), Tone::Strong)
            .with(format!("{:>7}  ", format!("{}/{}", r.tasks.0, r.tasks.1)), Tone::Plain)
            .with(format!("{:<13} ", r.kind.word()), Tone::Dim)
            .with(v.text, v.tone)
    }));
    if board.rows.len() > shown {
        lines.push(Line::new().with(format!("  and {} more", board.rows.len() - shown), Tone::Dim));
    }
    if board.rows.is_empty() {
        let day = c.store.notices.past().iter().filter(|r| c.now - r.issued < chrono::TimeDelta::days(1));
        let cut = day.clone().filter(|r| matches!(r.outcome, Outcome::Cut { .. })).count();
        let text = match trust {
            Some(t) if t.worst.is_blind() => "whether anything goes is not known".to_owned(),
            _ => format!("nothing is going to go; {} in the last 24 hours, {cut} of them cut", day.count()),
        };
        lines.push(Line::new().with(text, Tone::Dim));
    }
    Sheet { tiles, body: Body::Lines(lines) }
}

/// Services, what has failures first, then by traffic.
fn ordered(c: Context<'_>) -> Vec<Service> {
    let mut all = c.store.all_services();
    let worst = |s: &Service| c.store.budgets_of(&s.id).first().map_or(Health::Ok, |b| Budget::health(b));
    all.sort_by_cached_key(|s| {
        let errors = s.now.errors.unwrap_or(0.0);
        #[expect(clippy::cast_possible_truncation, reason = "thousandths of a share, and requests a second")]
        let (errors, requests) = ((errors * 1000.0) as i64, s.now.requests.unwrap_or(0.0) as i64);
        (std::cmp::Reverse((worst(s), errors, requests)), s.id.clone())
    });
    all
}

/// The ECS services behind the first services, for their figures.
pub(super) fn ecs_services(c: Context<'_>) -> Vec<ObjectId> {
    /// As many as a page shows at its largest.
    const MOST: usize = 60;
    let of = |s: Service| s.workloads.iter().filter(|w| w.kind == Kind::EcsService).cloned().collect::<Vec<_>>();
    let mut ids: Vec<ObjectId> = ordered(c).into_iter().take(MOST).flat_map(of).collect();
    ids.sort();
    ids.dedup();
    ids
}

fn services(c: Context<'_>, all: &[Watched<'_>], (width, height): (usize, usize)) -> Sheet {
    let services = ordered(c);
    let gone: Vec<_> = down(c).collect();
    let workloads = sum(all, &WORKLOADS);
    let failing = services.iter().filter(|s| s.now.errors.is_some_and(|e| e >= 0.01)).count();
    let known = services.iter().filter(|s| s.now.requests.is_some()).count();
    let signals = match (sum(all, &[Feed::Signals]), services.is_empty()) {
        (None, false) => workloads,
        (trust, _) => trust,
    };
    let tiles = vec![
        tile(c, "DOWN", gone.len().to_string(), "nothing serves", bad(gone.len(), Health::Critical), workloads),
        tile(c, "FAILING", failing.to_string(), "over 1% errors", bad(failing, Health::Warning), signals),
        tile(c, "MEASURED", format!("{known}/{}", services.len()), "services", Tone::Strong, signals),
    ];
    let name_width = (width / 3).max(12);
    let mut lines: Vec<Line> = Vec::new();
    for w in gone.iter().take(height / 2) {
        let name = cut(&w.id.name, name_width, true, c.ascii);
        let pad = name_width.saturating_sub(name.width());
        let line = Line::new()
            .with(format!("{} ", shape(Health::Critical, c.ascii)), Tone::Health(Health::Critical))
            .with(format!("{name}{}  ", " ".repeat(pad)), Tone::Strong);
        lines.push(
            line.with(format!("down, 0 of {}  {}", w.replicas.desired, w.status), Tone::Health(Health::Critical)),
        );
    }
    let room = height.saturating_sub(lines.len()).max(1);
    let shown = if services.len() > room { room - 1 } else { services.len() };
    lines.extend(services.iter().take(shown).map(|s| service(c, all, s, (width, name_width))));
    if services.len() > shown {
        lines.push(Line::new().with(format!("  and {} more", services.len() - shown), Tone::Dim));
    }
    if lines.is_empty() {
        lines.push(Line::new().with("no golden signals are read: docs/metrics.md says how", Tone::Dim));
    }
    Sheet { tiles, body: Body::Lines(lines) }
}

fn service(c: Context<'_>, all: &[Watched<'_>], s: &Service, (width, name_width): (usize, usize)) -> Line {
    let trust = worst(all, &[Feed::Signals], Some(&s.id.cluster))
        .or_else(|| worst(all, &[Feed::Services], Some(&s.id.cluster)))
        .unwrap_or(Trust::Fresh);
    // A minute that was over long ago is no figure of now, whoever still answers.
    let late = s.at.map(|t| (c.now - t).num_seconds() - 60);
    let trust = trust.max(
        late.map_or(Trust::Fresh, |age| super::of_age(Some(age.max(0)), std::time::Duration::from_mins(2), false)),
    );
    let budget = c.store.budgets_of(&s.id).first().copied();
    let errors = s.now.errors;
    let health = match (errors, budget.map(Budget::health)) {
        // Who has not been heard of for a while is not known to be well.
        _ if trust > Trust::Fresh || s.now.requests.is_none() => Health::Unknown,
        (Some(e), _) if e >= 0.05 => Health::Critical,
        (_, Some(Health::Critical)) => Health::Critical,
        (Some(e), _) if e >= 0.01 => Health::Warning,
        (_, Some(h)) if h.is_problem() => h,
        _ => Health::Ok,
    };
    let name = cut(&s.id.name, name_width, true, c.ascii);
    let pad = name_width.saturating_sub(name.width());
    let known = |text: Option<String>| figure(text.unwrap_or_else(|| "-".to_owned()), trust, c.ascii);
    let mut line = Line::new()
        .with(format!("{} ", shape(health, c.ascii)), Tone::Health(health))
        .with(format!("{name}{}", " ".repeat(pad)), Tone::Strong)
        .with(format!(" {:>9}", known(s.now.requests.map(|n| format!("{}/s", rate(n))))), Tone::Plain)
        .with("  err ", Tone::Dim)
        .with(format!("{:>7}", known(errors.map(share))), Tone::Health(health))
        .with("  p99 ", Tone::Dim)
        .with(format!("{:>7}", known(s.now.latency[2].map(duration))), Tone::Plain);
    if trust > Trust::Fresh {
        line.push(format!("  {}", trust.mark(c.ascii)), trust.tone());
    } else if s.now.requests.is_none() {
        // Whose it is tells it from its namesake that is measured.
        line.push(format!("  no figures, {}", s.id.cluster), Tone::Dim);
    } else if let Some(b) = budget.filter(|_| width >= 76) {
        line.push(format!("  {} {} left", budget_mark(b, c.ascii), b.left_text()), budgets::tone(b));
    }
    line
}
