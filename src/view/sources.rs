//! Every source with its freshness, and the log of what went wrong: one entry for
//! each cluster and cause, however many feeds share it.

use unicode_width::UnicodeWidthStr;

use super::columns::Context;
use super::words::cut;
use crate::domain::{ClusterId, Freshness, Health, Line, Text, Timestamp, Tone, age::age};
use crate::store::{Feed, LogEntry, Store};

/// Feeds of one cluster that are alike: as fresh, for the same reason.
#[derive(Debug, Clone)]
pub struct Alike<'a> {
    /// Whose.
    pub cluster: &'a ClusterId,
    /// How they are.
    pub freshness: &'a Freshness,
    /// Which, most wanted first.
    pub feeds: Vec<Feed>,
    /// When the newest data of any of them came.
    pub last_data: Option<Timestamp>,
}

impl Alike<'_> {
    /// `tasks`, or `13 feeds`.
    #[must_use]
    pub fn name(&self) -> String {
        match self.feeds[..] {
            [one] => one.word().to_owned(),
            ref many => format!("{} feeds", many.len()),
        }
    }

    /// All of them by name.
    #[must_use]
    pub fn names(&self) -> String {
        self.feeds.iter().map(|f| f.word()).collect::<Vec<_>>().join(", ")
    }
}

/// Every source, those alike together; the worst first.
#[must_use]
pub fn alike(store: &Store) -> Vec<Alike<'_>> {
    let mut out: Vec<Alike<'_>> = Vec::new();
    for (id, state) in store.sources() {
        let f = &state.freshness;
        let same = |a: &&mut Alike<'_>| {
            *a.cluster == id.cluster && a.freshness.word() == f.word() && a.freshness.reason() == f.reason()
        };
        match out.iter_mut().find(same) {
            Some(a) => {
                a.feeds.push(id.feed);
                a.last_data = a.last_data.max(state.last_data);
            }
            None => {
                out.push(Alike {
                    cluster: &id.cluster,
                    freshness: f,
                    feeds: vec![id.feed],
                    last_data: state.last_data,
                });
            }
        }
    }
    out.sort_by(|a, b| b.freshness.rank().cmp(&a.freshness.rank()).then_with(|| a.cluster.cmp(b.cluster)));
    out
}

/// The sources, then the log, newest first.
#[must_use]
pub fn sources(c: Context<'_>, log_file: Option<&str>) -> Vec<Line> {
    let (store, now) = (c.store, c.now);
    let mut out = vec![Line::new().with("SOURCES", Tone::Title)];
    let all = alike(store);
    let width = all.iter().map(|a| a.cluster.as_str().width()).max().unwrap_or(0).min(24);
    for a in all {
        let word = a.freshness.word();
        let tone = match word {
            "live" => Tone::Health(Health::Ok),
            "down" => Tone::Error,
            "stale" | "denied" => Tone::Warning,
            _ => Tone::Dim,
        };
        let last = a.last_data.map_or_else(|| "no data yet".to_owned(), |t| format!("data {} ago", age(Some(t), now)));
        let of_cluster = store.sources().filter(|(id, _)| id.cluster == *a.cluster).count();
        let which = match a.feeds.len() {
            1 => a.names(),
            n if n == of_cluster => format!("all {n} feeds"),
            _ => format!("{}: {}", a.name(), a.names()),
        };
        out.push(
            Line::new()
                .with(format!("{:<width$} ", cut(a.cluster.as_str(), width, true, c.ascii)), Tone::Cluster)
                .with(format!("{word:<7} "), tone)
                .with(format!("{last:<13} "), Tone::Dim)
                .with(which, Tone::Plain),
        );
        if let Some(why) = a.freshness.reason() {
            out.push(Line::new().with("  ", Tone::Plain).with(why.as_str(), tone));
        }
    }
    out.push(Line::new());
    out.push(Line::new().with("WHAT WENT WRONG, NEWEST FIRST", Tone::Title));
    if let Some(file) = log_file {
        out.push(Line::new().with("more in ", Tone::Dim).with(file, Tone::Dim));
    }
    let entries = log(store);
    if entries.is_empty() {
        out.push(Line::new().with("nothing so far", Tone::Dim));
    }
    for e in entries {
        // Once each says nothing beside their number.
        let times = if e.times > e.feeds.len() as u64 { format!(" x{}", e.times) } else { String::new() };
        let what = match e.feeds[..] {
            [one] => one.word().to_owned(),
            ref many => format!("{} feeds", many.len()),
        };
        out.push(
            Line::new()
                .with(format!("{} ", e.at.format("%H:%M:%S")), Tone::Time)
                .with(format!("{} {what}{times}", cut(e.cluster.as_str(), 24, true, c.ascii)), Tone::Cluster),
        );
        out.push(Line::new().with("  ", Tone::Plain).with(e.text.as_str(), Tone::Plain));
    }
    out
}

/// What went wrong in one cluster, for however many of its feeds and however often.
struct Entry<'a> {
    /// The last time.
    at: Timestamp,
    cluster: &'a ClusterId,
    feeds: Vec<Feed>,
    times: u64,
    text: &'a Text,
}

fn log(store: &Store) -> Vec<Entry<'_>> {
    let mut out: Vec<Entry<'_>> = Vec::new();
    for LogEntry { at, source, text, count } in store.log().rev() {
        match out.iter_mut().find(|e| *e.cluster == source.cluster && e.text == text) {
            Some(e) => {
                e.times += u64::from(*count);
                if !e.feeds.contains(&source.feed) {
                    e.feeds.push(source.feed);
                }
            }
            None => out.push(Entry {
                at: *at,
                cluster: &source.cluster,
                feeds: vec![source.feed],
                times: u64::from(*count),
                text,
            }),
        }
    }
    out
}
