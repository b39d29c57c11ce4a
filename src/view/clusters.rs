//! One line per cluster for the overview and `status`: how it is, in numbers.

use unicode_width::UnicodeWidthStr;

use super::columns::{Context, overview_mark as mark};
use super::header::{grouped, state};
use super::status::has_failed;
use super::summary::{ClusterSummary, clusters};
use crate::domain::{Freshness, Health, Line, Tone, quantity::percent};

/// One column of the list of clusters.
struct Column {
    title: &'static str,
    /// Columns of the terminal; figures keep to the right edge.
    width: usize,
    /// Which go first where it is narrow: the highest number.
    priority: u8,
    /// Text keeps to the left edge.
    left: bool,
    cell: fn(&ClusterSummary, Context<'_>) -> (String, Tone),
}

const COLUMNS: &[Column] = &[
    Column { title: "STATE", width: 10, priority: 0, left: true, cell: |s, c| state(s, c) },
    Column { title: "NODES", width: 7, priority: 0, left: false, cell: nodes },
    Column { title: "TASKS", width: 6, priority: 2, left: false, cell: |s, c| (tasks(s, c), Tone::Plain) },
    Column { title: "CRIT", width: 4, priority: 0, left: false, cell: |s, c| of_health(s, c, Health::Critical) },
    Column { title: "WARN", width: 4, priority: 3, left: false, cell: |s, c| of_health(s, c, Health::Warning) },
    Column { title: "UNKN", width: 4, priority: 4, left: false, cell: |s, c| of_health(s, c, Health::Unknown) },
    Column { title: "PROG", width: 4, priority: 8, left: false, cell: |s, c| of_health(s, c, Health::Progressing) },
    Column { title: "SHORT", width: 5, priority: 1, left: false, cell: short },
    Column { title: "RST1H", width: 5, priority: 4, left: false, cell: restarts },
    Column { title: "EV1H", width: 4, priority: 5, left: false, cell: warnings },
    Column { title: "CPU", width: 4, priority: 6, left: false, cell: |s, c| share(s, c, true) },
    Column { title: "MEM", width: 4, priority: 6, left: false, cell: |s, c| share(s, c, false) },
    Column { title: "CPU TREND", width: 10, priority: 9, left: true, cell: |s, c| (trend(s, c, true), Tone::Gauge(0)) },
    Column {
        title: "MEM TREND",
        width: 10,
        priority: 9,
        left: true,
        cell: |s, c| (trend(s, c, false), Tone::Gauge(0)),
    },
];

/// The list of clusters, its header first, in at most `width` columns of the
/// terminal.
#[must_use]
pub fn cluster_lines(c: Context<'_>, width: usize) -> Vec<Line> {
    let all = clusters(c.store, c.now);
    let shown = |s: &ClusterSummary| s.id.as_str().width() + if s.read_only { 3 } else { 0 };
    let name_width = all.iter().map(shown).max().unwrap_or(7).clamp(7, 24);
    let mut columns: Vec<&Column> = COLUMNS.iter().collect();
    let needed =
        |columns: &[&Column]| 2 + name_width + columns.iter().map(|c| c.width + 1 + usize::from(c.left)).sum::<usize>();
    while needed(&columns) > width
        && let Some((i, last)) = columns.iter().enumerate().max_by_key(|(_, c)| c.priority)
        && last.priority > 0
    {
        columns.remove(i);
    }
    let mut head = format!("  {:<name_width$}", "CLUSTER");
    for column in &columns {
        let (title, width) = (column.title, column.width);
        head += &if column.left { format!("  {title:<width$}") } else { format!(" {title:>width$}") };
    }
    let mut out = vec![Line::new().with(head, Tone::Key)];
    for s in all.iter() {
        let badge = if s.read_only { " RO" } else { "" };
        let name = super::columns::cluster_name(c, &s.id);
        let name = super::words::cut(&name, name_width - badge.len(), true, c.ascii);
        let rest = name_width.saturating_sub(name.width());
        let shape = if s.health.is_problem() { mark(s.health, c.ascii).split(' ').next().unwrap_or(" ") } else { " " };
        let mut line = Line::new()
            .with(format!("{shape} "), Tone::Health(s.health))
            .with(name, super::columns::cluster_tone(c, &s.id))
            .with(format!("{badge:<rest$}"), Tone::Warning);
        for column in &columns {
            let (text, tone) = (column.cell)(s, c);
            let width = column.width;
            // Blanks have no tone: some are underlined.
            let pad = " ".repeat(width.saturating_sub(text.width()));
            let (before, after) = if column.left { ("  ".to_owned(), pad) } else { (format!(" {pad}"), String::new()) };
            line.push(before, Tone::Plain);
            line.push(text, tone);
            line.push(after, Tone::Plain);
        }
        out.push(line);
    }
    out
}

/// How many of the clusters after the first `shown` are in trouble.
#[must_use]
pub fn troubled_after(c: Context<'_>, shown: usize) -> usize {
    let in_trouble = |s: &&ClusterSummary| {
        let blind = |(_, f): &(_, Freshness)| matches!(f, Freshness::Down { .. } | Freshness::Stale { .. });
        s.health.is_problem() || s.troubled.iter().any(blind)
    };
    clusters(c.store, c.now).iter().skip(shown).filter(in_trouble).count()
}

/// `text` where it is known; else not yet, or not at all: neither is a zero.
fn known(s: &ClusterSummary, c: Context<'_>, known: bool, text: impl FnOnce() -> String) -> String {
    match (known, s.loading && !has_failed(s)) {
        (true, _) => text(),
        (false, true) => if c.ascii { "..." } else { "…" }.to_owned(),
        (false, false) => "?".to_owned(),
    }
}

fn pick(bad: bool, health: Health) -> Tone {
    if bad { Tone::Health(health) } else { Tone::Plain }
}

fn nodes(s: &ClusterSummary, c: Context<'_>) -> (String, Tone) {
    let (ready, all) = s.nodes;
    let text = known(s, c, s.known.nodes || all > 0, || format!("{ready}/{all}"));
    (text, pick(ready < all, Health::Critical))
}

fn tasks(s: &ClusterSummary, c: Context<'_>) -> String {
    known(s, c, s.known.tasks || s.tasks.all > 0, || grouped(u64::from(s.tasks.unfinished())))
}

fn of_health(s: &ClusterSummary, c: Context<'_>, health: Health) -> (String, Tone) {
    let n = s.tasks.of(health);
    if n > 0 {
        // Three digits and a mark; thousands that are broken need no exact figure.
        let figure = if n < 1000 { n.to_string() } else { format!("{}k", n / 1000) };
        let shape = super::map::task_mark(health, c.ascii);
        return (if figure.len() < 4 { format!("{shape}{figure}") } else { figure }, Tone::Health(health));
    }
    (known(s, c, s.known.tasks, || "0".to_owned()), Tone::Dim)
}

fn short(s: &ClusterSummary, c: Context<'_>) -> (String, Tone) {
    let (short, ..) = s.workloads;
    let tone = if short > 0 { Tone::Health(Health::Warning) } else { Tone::Dim };
    (known(s, c, s.known.workloads, || short.to_string()), tone)
}

fn restarts(s: &ClusterSummary, c: Context<'_>) -> (String, Tone) {
    // Before the console looked, only each task's last restart is known.
    let more = if s.restarts_at_least { "+" } else { "" };
    let text = known(s, c, s.known.tasks, || format!("{}{more}", s.restarts));
    (text, pick(s.restarts > 0, Health::Warning))
}

fn warnings(s: &ClusterSummary, c: Context<'_>) -> (String, Tone) {
    (known(s, c, s.known.events, || s.warnings.to_string()), Tone::Plain)
}

fn share(s: &ClusterSummary, c: Context<'_>, cpu: bool) -> (String, Tone) {
    let (used, limits) = if cpu {
        (s.usage.and_then(|u| percent(u.cpu.0, s.allocatable.cpu.0)), c.thresholds.cpu)
    } else {
        (s.usage.and_then(|u| percent(u.memory.0, s.allocatable.memory.0)), c.thresholds.memory)
    };
    // What is calm need not be green in a line of numbers.
    let tone = used.filter(|p| *p >= limits.warn).map_or(Tone::Plain, |p| limits.tone(p));
    (used.map_or_else(|| "-".to_owned(), |p| format!("{p:.0}%")), tone)
}

fn trend(s: &ClusterSummary, c: Context<'_>, cpu: bool) -> String {
    let max = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let whole = max(if cpu { s.allocatable.cpu.0 } else { s.allocatable.memory.0 >> 20 });
    let points = s.trend.iter().map(|t| if cpu { t.0 } else { t.1 });
    super::spark::sparkline(points, whole, 10, c.ascii)
}
