//! Notices in words: the banner, the marks on rows, a line for the overview, and what
//! is said where there are none.

use chrono::TimeDelta;
use unicode_width::UnicodeWidthStr;

use super::columns::{Cell, Context, overview_mark};
use super::header::fresh;
use super::words::cut;
use crate::app::table::ViewKind;
use crate::domain::notice::{NoticeFeed, NoticeKind, Outcome, Precision, Victim};
use crate::domain::{Freshness, Health, Line, ObjectId, Task, Tone, age::age};
use crate::store::notices::{Board, NoticeRow, Rush, Verdict, countdown};
use crate::store::placements::Unplaced;
use crate::store::{Feed, SourceState};

/// A sign of how it stands: state is never colour alone.
#[must_use]
pub fn shape(health: Health, ascii: bool) -> &'static str {
    match (health, ascii) {
        (Health::Ok, false) => "✓",
        (Health::Ok, true) => "+",
        (Health::Done, false) => "·",
        (Health::Done, true) => ".",
        (Health::Progressing, _) => "-",
        (other, ascii) => overview_mark(other, ascii).split(' ').next().unwrap_or_default(),
    }
}

/// `1:43`, `~1:43`, `1:43?`, `overdue 0:12`; `-` without a deadline, or once it is over.
#[must_use]
pub fn left(c: Context<'_>, row: &NoticeRow) -> String {
    match (row.left(c.now), row.deadline, went(c, row)) {
        (Some(left), Some(d), _) => countdown(left, d.precision),
        (_, _, Some(ago)) => format!("went {ago}"),
        _ => "-".to_owned(),
    }
}

/// How long ago it went, while word of its tasks is awaited: `0:26`.
fn went(c: Context<'_>, row: &NoticeRow) -> Option<String> {
    let gone = row.gone.filter(|_| row.is_open())?;
    Some(countdown((c.now - gone).num_seconds().max(0), Precision::Exact))
}

/// How long is left in a tone: the last minute stands out.
#[must_use]
pub fn left_tone(c: Context<'_>, row: &NoticeRow) -> Tone {
    match row.left(c.now) {
        None => Tone::Dim,
        Some(_) if !row.urgent || !row.is_known() => Tone::Plain,
        // Nobody has to hurry for it.
        Some(_) if row.verdict == Some(Verdict::Safe) => Tone::Strong,
        Some(..30) => Tone::Health(Health::Critical),
        Some(..60) => Tone::Health(Health::Warning),
        Some(_) => Tone::Strong,
    }
}

/// [`Outcome::words`] in little room: `out, 40s left`, `2 cut`.
#[must_use]
pub fn briefly(outcome: Outcome) -> String {
    match outcome {
        Outcome::Evacuated { left: Some(left) } => format!("out, {left}s left"),
        Outcome::Evacuated { left: None } => "out".to_owned(),
        Outcome::NotReplaced => "not replaced".to_owned(),
        Outcome::Cut { tasks } => format!("{tasks} cut"),
        Outcome::Unseen => "unseen".to_owned(),
        Outcome::Unread => "not read here".to_owned(),
        Outcome::CalledOff | Outcome::TookPlace | Outcome::Stayed => outcome.words(),
    }
}

/// `▲ tight`, `✖ will be cut`; `✓ out, 40s left` once it is over.
#[must_use]
pub fn verdict(c: Context<'_>, row: &NoticeRow) -> Cell {
    if row.is_open() && !row.is_known() {
        return Cell::new(format!("{} no cluster", shape(Health::Done, c.ascii)), Tone::Dim);
    }
    let word = match (row.outcome, row.verdict) {
        (Some(outcome), _) => briefly(outcome),
        (None, Some(Verdict::Cut)) if row.gone.is_some() => "cut".to_owned(),
        (None, Some(_)) if row.gone.is_some() => "waiting for word".to_owned(),
        (None, Some(verdict)) => verdict.word().to_owned(),
        // It is gone, and nobody advised that: what became of its tasks is to be told.
        (None, None) if row.gone.is_some() || row.kind == NoticeKind::Unannounced => "waiting for word".to_owned(),
        (None, None) if row.urgent || row.kind == NoticeKind::Leaving => "no deadline".to_owned(),
        (None, None) => "advised".to_owned(),
    };
    let health = match (row.outcome, row.verdict) {
        (None, Some(Verdict::Safe)) if row.gone.is_none() => Health::Ok,
        _ => row.health(),
    };
    let tone = if health == Health::Progressing { Tone::Plain } else { Tone::Health(health) };
    Cell::new(format!("{} {word}", shape(health, c.ascii)), tone)
}

/// A name without the domain that all names of its network share: `ip-10-0-1-7`; an ECS
/// task by the first digits of its id: `web/1b22f2c3`.
#[must_use]
pub fn short(name: &str) -> &str {
    if let Some((service, id)) = name.split_once('/')
        && id.len() == 32
        && id.bytes().all(|b| b.is_ascii_hexdigit())
    {
        return name.get(..service.len() + 9).unwrap_or(name);
    }
    match name.split_once('.') {
        Some((host, _)) if name.starts_with("ip-") || name.starts_with("i-") => host,
        _ => name,
    }
}

/// `EventBridge log +1.2s`.
#[must_use]
pub fn told_by(row: &NoticeRow) -> String {
    row.told_by.map_or_else(String::new, |(feed, late)| match late {
        Some(late) => format!("{} {}", feed.word(), lateness(late)),
        None => feed.word().to_owned(),
    })
}

/// Who told in one word, as there is no room for more in a list.
fn feed_word(feed: NoticeFeed) -> &'static str {
    match feed {
        NoticeFeed::EventLog => "log",
        NoticeFeed::EventQueue => "queue",
        NoticeFeed::Ec2 => "ec2",
        NoticeFeed::EcsTask => "task",
        NoticeFeed::EcsInstance => "ecs",
        NoticeFeed::NodeEvent => "event",
        NoticeFeed::NodeTaint => "taint",
        NoticeFeed::Node => "node",
    }
}

/// [`told_by`] in little room: `log +1.2s`.
#[must_use]
pub fn told_briefly(row: &NoticeRow) -> String {
    row.told_by.map_or_else(String::new, |(feed, late)| match late {
        Some(late) => format!("{} {}", feed_word(feed), lateness(late)),
        None => feed_word(feed).to_owned(),
    })
}

/// `+1.2s`, `+85s`, `+3m10s`: tenths where they tell something.
#[must_use]
pub fn lateness(late: TimeDelta) -> String {
    let millis = late.num_milliseconds().max(0);
    if millis < 10_000 {
        format!("+{}.{}s", millis / 1000, millis % 1000 / 100)
    } else {
        format!("+{}", crate::domain::age::human_duration(millis / 1000))
    }
}

/// `goes 1:43`, `overdue 0:12`, `leaving`.
fn going(c: Context<'_>, row: &NoticeRow) -> String {
    match (row.left(c.now), row.deadline, went(c, row)) {
        (Some(left), ..) if left < 0 => countdown(left, Precision::Exact),
        (Some(left), Some(d), _) => format!("goes {}", countdown(left, d.precision)),
        (_, _, Some(ago)) => format!("went {ago} ago"),
        _ => row.kind.word().to_owned(),
    }
}

/// The status of a node, marked if it is going to go: `▲ goes 1:43, Ready`.
#[must_use]
pub fn node_status(c: Context<'_>, node: &ObjectId, status: &str, tone: Tone) -> Cell {
    marked(c, c.store.board(c.now).of_node(node), status, tone)
}

/// The status of a task, marked if it, or its machine, is going to go.
#[must_use]
pub fn task_status(c: Context<'_>, task: &Task, tone: Tone) -> Cell {
    let board = c.store.board(c.now);
    let row = board.of_task(task);
    // Nobody has heard of it since its machine fell silent: that is no state of its own, and no colour alone.
    if c.store.is_lost(task) && tone == Tone::Health(Health::Unknown) {
        return marked(c, row, &format!("{}?", task.status), tone);
    }
    marked(c, row, &task.status, tone)
}

/// A workload's status, marked while some of its tasks are on what goes: `▲ 2 go, Available`.
#[must_use]
pub fn workload_status(c: Context<'_>, workload: &ObjectId, status: &str, tone: Tone) -> Cell {
    let Some(going) = c.store.board(c.now).of_workload(workload) else { return Cell::new(status, tone) };
    let bad = matches!(tone, Tone::Health(h) if h.is_problem());
    let verb = if going.tasks == 1 { "goes" } else { "go" };
    let text = format!("{} {} {verb}, {status}", shape(Health::Warning, c.ascii), going.tasks);
    Cell::new(text, if bad { tone } else { Tone::Health(Health::Warning) })
}

fn marked(c: Context<'_>, row: Option<&NoticeRow>, status: &str, tone: Tone) -> Cell {
    let Some(row) = row else { return Cell::new(status, tone) };
    let bad = matches!(tone, Tone::Health(h) if h.is_problem());
    if !row.urgent {
        let tone = if bad { tone } else { Tone::Spot };
        let word = went(c, row).map_or_else(|| row.kind.word().to_owned(), |ago| format!("went {ago} ago"));
        return Cell::new(format!("{status}, {word}"), tone);
    }
    let health = row.health();
    let tone = if bad && health < Health::Critical { tone } else { Tone::Health(health) };
    Cell::new(format!("{} {}, {status}", shape(health, c.ascii), going(c, row)), tone)
}

/// Of a node that goes, on the map: `▲ goes 1:43`.
#[must_use]
pub fn on_map(c: Context<'_>, node: &ObjectId) -> Option<(String, Tone)> {
    let board = c.store.board(c.now);
    let row = board.of_node(node)?;
    if !row.urgent {
        let text = went(c, row).map_or_else(|| row.kind.word().to_owned(), |ago| format!("went {ago} ago"));
        return Some((text, Tone::Spot));
    }
    let health = row.health();
    Some((format!("{} {}", shape(health, c.ascii), going(c, row)), Tone::Health(health)))
}

/// `3 machines`, `spot 1 machine and 2 tasks`; `12 spot machines, 1 other and 2 tasks` where not all
/// of it is taken back.
fn who(rush: Rush, board: &Board) -> String {
    let of = |n: u32, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let spot = if rush.taken == rush.all() { "spot " } else { "" };
    if rush.machines + rush.tasks == 0 {
        return format!("{spot}{} of no cluster here", of(rush.strangers, "machine"));
    }
    let is_machine = |r: &&NoticeRow| r.is_known() && !matches!(r.victim, Victim::Task(_));
    let taken = board.urgent().filter(is_machine).filter(|r| r.kind >= NoticeKind::Interruption).count();
    let taken = u32::try_from(taken).unwrap_or(rush.machines).min(rush.machines);
    let mut parts = match (taken, rush.machines - taken) {
        (taken, 0) if spot.is_empty() => vec![(taken, "spot machine")],
        (0, n) | (n, 0) => vec![(n, "machine")],
        (taken, others) => vec![(taken, "spot machine"), (others, "other")],
    };
    parts.push((rush.tasks, "task"));
    let parts: Vec<String> = parts.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| of(n, what)).collect();
    match parts.split_last() {
        Some((last, [])) => format!("{spot}{last}"),
        Some((last, more)) => format!("{spot}{} and {last}", more.join(", ")),
        None => String::new(),
    }
}

/// What goes now, in one line of the header; `None` while nothing does. `key` opens the
/// list.
#[must_use]
pub fn banner(c: Context<'_>, key: Option<&str>, width: usize) -> Option<Line> {
    let board = c.store.board(c.now);
    let rush = board.rush;
    if rush.all() == 0 {
        return None;
    }
    let health = match (rush.cut, rush.machines + rush.tasks) {
        (0, 0) => Health::Progressing,
        (0, _) => Health::Warning,
        _ => Health::Critical,
    };
    let tone = if health == Health::Progressing { Tone::Spot } else { Tone::Health(health) };
    let ours = rush.machines + rush.tasks;
    let verb = if ours == 1 || (ours == 0 && rush.strangers == 1) { "goes" } else { "go" };
    let mut line = Line::new().with(format!(" {} ", shape(health, c.ascii)), tone);
    line.push(format!("{} {verb}", who(rush, &board)), tone);
    if let Some(first) = rush.first {
        let ahead = first.at.timestamp() - c.now.timestamp();
        line.push(if ours + rush.strangers == 1 { " " } else { ", first " }, tone);
        let text = countdown(ahead, first.precision);
        line.push(if ahead < 0 { text } else { format!("in {text}") }, Tone::Strong);
    }
    let verdicts: Vec<String> = [(rush.cut, "will be cut"), (rush.tight, "tight")]
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| if ours == 1 { word.to_owned() } else { format!("{n} {word}") })
        .collect();
    if !verdicts.is_empty() {
        line.push(format!(" ({})", verdicts.join(", ")), tone);
    }
    let used = |line: &Line| line.spans.iter().map(|s| s.text.width()).sum::<usize>();
    // Whom it hits first, and where more is told, as far as there is room.
    let hint = key.map_or_else(String::new, |k| format!("  {k} tells more"));
    let room = width.saturating_sub(used(&line) + hint.width() + 3);
    let in_danger = |r: &&NoticeRow| matches!(r.verdict, Some(Verdict::Cut | Verdict::Tight));
    let known = || board.urgent().filter(|r| r.is_known());
    if let Some(first) = known().find(in_danger).or_else(|| known().next()).filter(|_| room >= 12) {
        let text = if ours == 1 {
            format!("{}, {} of {} gone", short(&first.name), first.tasks.0, first.tasks.1)
        } else {
            short(&first.name).to_owned()
        };
        line.push(format!("  {}", cut(&text, room, true, c.ascii)), Tone::Plain);
    }
    if used(&line) + hint.width() <= width {
        line.push(hint, Tone::Dim);
    }
    Some(line)
}

/// How much of the fleet may be taken back, and what is announced: one line for the
/// overview; none while nothing was told.
#[must_use]
pub fn overview(c: Context<'_>) -> Option<Line> {
    let board = c.store.board(c.now);
    let unplaced = c.store.unplaced(c.now);
    if board.rows.is_empty() && unplaced.is_empty() {
        return None;
    }
    let rush = board.rush;
    let over = board.rows.iter().filter(|r| !r.is_open());
    let cut = over.clone().filter(|r| matches!(r.outcome, Some(Outcome::Cut { .. }))).count();
    let over = over.count();
    let mut line = Line::new().with(" SPOT   ", Tone::Title);
    let mut say = |n: u32, word: &str, health: Health| {
        if n > 0 {
            let between = if line.spans.len() > 1 { "  " } else { "" };
            line.push(format!("{between}{} {n} {word}", shape(health, c.ascii)), Tone::Health(health));
        }
    };
    say(rush.cut, "will be cut", Health::Critical);
    say(rush.tight, "tight", Health::Warning);
    let unsure = (rush.machines + rush.tasks).saturating_sub(rush.cut + rush.tight + rush.safe);
    say(unsure, "without a deadline", Health::Warning);
    let worst = unplaced.first().map_or(Health::Warning, Unplaced::health);
    let (n, word) = (unplaced.len(), if unplaced.len() == 1 { "service lacks tasks" } else { "services lack tasks" });
    say(u32::try_from(n).unwrap_or(u32::MAX), word, worst);
    say(rush.safe, "safe", Health::Ok);
    say(rush.strangers, "of no cluster here", Health::Done);
    say(board.advised, "advised", Health::Progressing);
    say(board.leaving, "leaving", Health::Progressing);
    let (cut, over) = (u32::try_from(cut).unwrap_or(u32::MAX), u32::try_from(over).unwrap_or(u32::MAX));
    say(cut, "cut just now", Health::Critical);
    say(over - cut, "over just now", Health::Done);
    Some(line)
}

/// Workloads that lean on one pool, in at most so many lines and one for the rest, `width` columns wide. The
/// pool is what tells them apart: the workload's name is cut before that.
#[must_use]
pub fn leaning(c: Context<'_>, most: usize, width: usize) -> Vec<Line> {
    let board = c.store.pool_board(c.now);
    let all = &board.concentrated;
    let mut out: Vec<Line> = all
        .iter()
        .take(if all.len() == most + 1 { most + 1 } else { most })
        .map(|l| {
            let namespace =
                if l.workload.namespace.is_empty() { String::new() } else { format!("{}/", l.workload.namespace) };
            let head = format!(" {} {} of {} tasks ", shape(Health::Warning, c.ascii), l.there, l.tasks);
            let (of, are) = ("of ", " are on one spot pool: ");
            let pool = format!("{} {}", l.pool.1, l.pool.0);
            let room = width.saturating_sub(head.width() + of.width() + are.width() + pool.width()).max(8);
            Line::new()
                .with(head, Tone::Warning)
                .with(of, Tone::Dim)
                .with(cut(&format!("{namespace}{}", l.workload.name), room, true, c.ascii), Tone::Strong)
                .with(are, Tone::Dim)
                .with(pool, Tone::Plain)
        })
        .collect();
    if all.len() > out.len() {
        out.push(Line::new().with(format!("   and {} more workloads", all.len() - out.len()), Tone::Dim));
    }
    out
}

/// What is said where there are no notices, or no pools: whether any could be seen, who
/// is listened to, and how more can be.
#[must_use]
pub fn empty(c: Context<'_>, kind: ViewKind) -> String {
    let store = c.store;
    let unread = |feed, of: fn(&SourceState) -> bool| {
        store.clusters().any(|(id, _)| store.source(id, feed).is_none_or(|s| !s.complete && of(s)))
    };
    let loading = |feed| unread(feed, |s| matches!(s.freshness, Freshness::Loading { .. }));
    if kind == ViewKind::Pools {
        return match (loading(Feed::Nodes), unread(Feed::Nodes, |_| true)) {
            (true, _) => "loading nodes…",
            (false, true) => "no nodes are known: ! says what cannot be read",
            (false, false) => "no nodes here, so no pools",
        }
        .to_owned();
    }
    let none = store.clusters().next().is_none() && notice_feeds(c).next().is_none();
    let mut out = vec![
        match () {
            () if loading(Feed::Nodes) || loading(Feed::Tasks) => "loading: not every node and task has been read yet",
            () if none => "nothing is read that could tell of notices",
            () if unread(Feed::Nodes, |_| true) || unread(Feed::Tasks, |_| true) => {
                "nothing is known to go, but not all can be read"
            }
            () => "nothing is going to go",
        }
        .to_owned(),
    ];
    let day = store.notices.past().iter().filter(|r| c.now - r.gone.unwrap_or(r.issued) <= TimeDelta::days(1));
    let cut = day.clone().filter(|r| matches!(r.outcome, Outcome::Cut { .. })).count();
    out.push(match (day.count(), cut) {
        (0, _) => "none was seen in the last 24 hours".to_owned(),
        (n, 0) => format!("{n} seen in the last 24 hours, no task was cut"),
        (n, cut) => format!("{n} seen in the last 24 hours, {cut} of them with tasks cut"),
    });
    out.push(String::new());
    for (id, _) in store.clusters() {
        let feeds = [Feed::Nodes, Feed::Tasks, Feed::Events];
        let parts: Vec<String> =
            feeds.iter().filter_map(|f| Some(format!("{} {}", f.word(), said(c, store.source(id, *f)?)))).collect();
        let parts = if parts.is_empty() { "loading".to_owned() } else { parts.join(", ") };
        out.push(format!("{id}: {parts}"));
    }
    let mut any = false;
    for (id, what, feed) in notice_feeds(c) {
        any = true;
        let state = feed.map_or_else(|| "loading".to_owned(), |s| said(c, s));
        let data =
            feed.and_then(|s| s.last_data).map_or_else(String::new, |t| format!(", heard {} ago", age(Some(t), c.now)));
        out.push(format!("{id}: {what} {state}{data}"));
    }
    if !any {
        out.push(String::new());
        out.push(
            "Taints, labels and events of nodes and tasks that ECS stops are read as they are. EventBridge's events \
             come sooner and know the deadline: docs/spot-feeds.md says how to have them read."
                .to_owned(),
        );
    }
    out.join("\n")
}

/// How a feed is, in words, with the reason if it is not read.
fn said(c: Context<'_>, s: &SourceState) -> String {
    let text = fresh(&s.freshness, c).0;
    let bare = text.trim_start_matches(['●', '◌', '▲', '✖', '*', '~', '!', 'X', '-', ' ']);
    s.freshness.reason().map_or_else(|| bare.to_owned(), |why| format!("{bare} ({why})"))
}

/// Backends that tell of notices: name, what they are, how their feed is.
fn notice_feeds(
    c: Context<'_>,
) -> impl Iterator<Item = (&crate::domain::ClusterId, &'static str, Option<&SourceState>)> {
    c.store.backends().filter_map(move |(id, known)| {
        let kind = known.map(|b| b.kind).filter(|k| k.tells_notices())?;
        Some((id, kind.word(), c.store.source(id, Feed::Notices)))
    })
}

/// How many feeds of notices are not read as they should be, in words; empty if all are.
#[must_use]
pub fn unread(c: Context<'_>) -> String {
    let bad = |s: Option<&SourceState>| {
        s.is_some_and(|s| !matches!(s.freshness, Freshness::Live { .. } | Freshness::Loading { .. }))
    };
    let all: Vec<bool> = notice_feeds(c).map(|(_, _, s)| bad(s)).collect();
    match all.iter().filter(|bad| **bad).count() {
        0 => String::new(),
        n => format!("{n} of {} feeds not read (!)", all.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::{lateness, short};
    use chrono::TimeDelta;

    #[test]
    fn names_are_as_short_as_they_tell_apart() {
        for (name, want) in [
            ("ip-10-0-1-7.eu-west-1.compute.internal", "ip-10-0-1-7"),
            ("i-0a1b2c3d4e5f60718.eu-west-1.compute.internal", "i-0a1b2c3d4e5f60718"),
            ("node.example.com", "node.example.com"),
            ("web/1b22f2c3d4e5f60718293a4b5c6d7e8f", "web/1b22f2c3"),
            ("web/short", "web/short"),
            ("", ""),
        ] {
            assert_eq!(short(name), want);
        }
    }

    #[test]
    fn lateness_is_short() {
        for (millis, want) in
            [(0, "+0.0s"), (1_240, "+1.2s"), (9_990, "+9.9s"), (85_040, "+85s"), (190_000, "+3m10s"), (-5, "+0.0s")]
        {
            assert_eq!(lateness(TimeDelta::milliseconds(millis)), want);
        }
    }
}
