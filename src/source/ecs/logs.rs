//! Logs of tasks, through CloudWatch Logs: several streams of one group are
//! followed with one request, however many there are.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::sync::mpsc;

use super::Reader;
use super::reader::{LogPlace, LogPlaces};
use crate::domain::{Text, Timestamp};
use crate::source::aws::{Bucket, Tokens};
use crate::source::supervise::Backoff;
use crate::source::{LogStream, LogText, SourceError};

/// Between two questions for new lines.
const POLL: Duration = Duration::from_secs(2);
/// Lines come late, and not in order: so far back is asked for again.
const LATE_MS: i64 = 30_000;
/// `FilterLogEvents` takes so many streams.
const STREAMS: usize = 100;
/// How far back a tail is looked for in a stream that is no longer written to is
/// CloudWatch's affair; this is how many lines a page holds at most.
const PAGE: u32 = 10_000;

/// One log that is wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The caller's number for it.
    pub source: u16,
    /// Task definition's ARN.
    pub definition: Text,
    /// Which, and how much.
    pub stream: LogStream,
}

/// Lines of one log, or why there are no more.
#[derive(Debug)]
pub struct Chunk {
    /// The caller's number.
    pub source: u16,
    /// The lines, or the end.
    pub lines: Result<Vec<LogText>, SourceError>,
}

/// A stream that was found.
#[derive(Debug)]
struct Found {
    source: u16,
    place: LogPlace,
    wanted: LogStream,
}

impl Reader {
    /// Reads logs into `out` until it closes, or until there is no more to come.
    pub async fn logs(self, wanted: Vec<Wanted>, out: mpsc::Sender<Chunk>) {
        let found = self.places(wanted, &out).await;
        let mut groups: BTreeMap<(Option<String>, String), Vec<Found>> = BTreeMap::new();
        for f in found {
            groups.entry((f.place.region.clone(), f.place.group.clone())).or_default().push(f);
        }
        let followed = groups.into_iter().flat_map(|((_, group), mut found)| {
            let mut parts = Vec::new();
            while !found.is_empty() {
                let rest = found.split_off(found.len().min(STREAMS));
                parts.push((group.clone(), found));
                found = rest;
            }
            parts
        });
        futures::future::join_all(followed.map(|(group, streams)| {
            let (reader, out) = (self.clone(), out.clone());
            async move { Follow { reader, group, streams, out, seen: Seen::default() }.run().await }
        }))
        .await;
    }

    /// Asks the task definitions where the logs are; says so of those that are nowhere.
    async fn places(&self, wanted: Vec<Wanted>, out: &mpsc::Sender<Chunk>) -> Vec<Found> {
        let mut found = Vec::new();
        let mut known: HashMap<(Text, Text), Result<LogPlaces, SourceError>> = HashMap::new();
        for w in wanted {
            let task = w.stream.task.name.clone();
            let key = (w.definition.clone(), task.clone());
            if !known.contains_key(&key) {
                let places = self.log_places(&w.definition, super::tail(&task)).await;
                known.insert(key.clone(), places);
            }
            let outcome = match known.get(&key) {
                _ if w.stream.previous => Err(SourceError::Account {
                    what: Text::new("ECS replaces a task instead of restarting it: open the stopped task's log"),
                }),
                Some(Ok(places)) => match places.get(w.stream.container.as_str()) {
                    Some(Ok(place)) => Ok(place.clone()),
                    Some(Err(why)) => Err(SourceError::Account { what: why.clone() }),
                    None => Err(SourceError::NotFound { what: w.stream.container.clone() }),
                },
                Some(Err(error)) => Err(error.clone()),
                None => Err(SourceError::NotFound { what: w.definition.clone() }),
            };
            match outcome {
                Ok(place) => found.push(Found { source: w.source, place, wanted: w.stream }),
                Err(error) => {
                    if out.send(Chunk { source: w.source, lines: Err(error) }).await.is_err() {
                        return Vec::new();
                    }
                }
            }
        }
        found
    }
}

/// Counts which lines were given out, so that asking again for the last half
/// minute does not repeat them, and two equal lines stay two.
#[derive(Debug, Default)]
struct Seen {
    hasher: RandomState,
    given: HashMap<u64, (u32, i64)>,
}

impl Seen {
    /// Those of `lines` that were not given out before. `lines` is everything
    /// from some time on.
    fn news(&mut self, lines: Vec<(usize, i64, String)>) -> Vec<(usize, i64, String)> {
        let mut counts: HashMap<u64, u32> = HashMap::new();
        lines
            .into_iter()
            .filter(|(stream, at, text)| {
                let key = self.hasher.hash_one((stream, at, text));
                let count = counts.entry(key).or_default();
                *count += 1;
                let given = self.given.entry(key).or_insert((0, *at));
                let new = *count > given.0;
                given.0 = given.0.max(*count);
                new
            })
            .collect()
    }

    fn forget_before(&mut self, at: i64) {
        self.given.retain(|_, (_, t)| *t >= at);
    }
}

struct Follow {
    reader: Reader,
    group: String,
    streams: Vec<Found>,
    out: mpsc::Sender<Chunk>,
    seen: Seen,
}

impl Follow {
    async fn run(mut self) {
        let mut backoff = Backoff::default();
        let mut from = loop {
            match self.begin().await {
                Ok(from) => break from,
                Err(error) => {
                    if self.ends(&error).await {
                        return;
                    }
                    tokio::time::sleep(backoff.after_failure().max(POLL)).await;
                }
            }
        };
        backoff.reset();
        let follow = self.streams.iter().any(|s| s.wanted.follow);
        while follow && !self.out.is_closed() {
            tokio::time::sleep(POLL).await;
            match self.more(from).await {
                Ok(latest) => {
                    backoff.reset();
                    from = from.max(latest.saturating_sub(LATE_MS));
                    self.seen.forget_before(from);
                }
                Err(error) => {
                    if self.ends(&error).await {
                        return;
                    }
                    tokio::time::sleep(backoff.after_failure()).await;
                }
            }
        }
    }

    /// The first lines of every stream; from when on to go on, in milliseconds.
    async fn begin(&mut self) -> Result<i64, SourceError> {
        let now = self.reader.link.account.now().timestamp_millis();
        let mut latest: Option<i64> = None;
        for index in 0..self.streams.len() {
            let Some(s) = self.streams.get(index) else { break };
            let since = s.wanted.since_secs.map(|secs| now - i64::from(secs) * 1000);
            let limit = s.wanted.tail.unwrap_or(PAGE).clamp(1, PAGE);
            let lines = match self.last_lines(&s.place.stream, since, limit).await {
                Ok(lines) => lines,
                // The stream comes with the container's first line.
                Err(SourceError::NotFound { .. }) => Vec::new(),
                Err(error) => return Err(error),
            };
            latest = latest.max(lines.last().map(|(at, _)| *at));
            // Stream by stream: who reads does not wait for the last of twenty.
            self.give(lines.into_iter().map(|(at, text)| (index, at, text)).collect(), index..index + 1).await;
        }
        Ok(latest.map_or(now, |at| at.min(now)) - LATE_MS)
    }

    async fn last_lines(
        &self,
        stream: &str,
        since: Option<i64>,
        limit: u32,
    ) -> Result<Vec<(i64, String)>, SourceError> {
        let account = &self.reader.link.account;
        let clients = account.clients().await?;
        let mut lines: Vec<(i64, String)> = Vec::new();
        let mut token: Option<String> = None;
        // A page may be empty though there are lines before it; the token says
        // when there are none, by staying the same.
        for _ in 0..20 {
            let request = clients
                .logs
                .get_log_events()
                .log_group_name(&self.group)
                .log_stream_name(stream)
                .start_from_head(false)
                .limit(i32::try_from(limit).unwrap_or(i32::MAX))
                .set_start_time(since)
                .set_next_token(token.clone());
            let page = account.ask(Bucket::Logs, "logs:GetLogEvents", request.send()).await?;
            let found = page.events().iter().filter_map(|e| Some((e.timestamp()?, e.message()?.to_owned())));
            let mut older: Vec<(i64, String)> = found.collect();
            older.append(&mut lines);
            lines = older;
            let next = page.next_backward_token().map(str::to_owned);
            if lines.len() >= limit as usize || next.is_none() || next == token {
                break;
            }
            token = next;
        }
        let surplus = lines.len().saturating_sub(limit as usize);
        lines.drain(..surplus);
        Ok(lines)
    }

    /// Everything of all streams from `from` on; the latest time seen.
    async fn more(&mut self, from: i64) -> Result<i64, SourceError> {
        const WHAT: &str = "logs:FilterLogEvents";
        let account = &self.reader.link.account;
        let clients = account.clients().await?;
        let names: Vec<String> = self.streams.iter().map(|s| s.place.stream.clone()).collect();
        let index: HashMap<&str, usize> =
            self.streams.iter().enumerate().map(|(i, s)| (s.place.stream.as_str(), i)).collect();
        let (mut lines, mut latest, mut tokens) = (Vec::new(), from, Tokens::default());
        loop {
            let request = clients
                .logs
                .filter_log_events()
                .log_group_name(&self.group)
                .set_log_stream_names(Some(names.clone()))
                .start_time(from)
                .set_next_token(tokens.next());
            let page = account.ask(Bucket::Logs, WHAT, request.send()).await?;
            for event in page.events() {
                let (Some(at), Some(text), Some(stream)) =
                    (event.timestamp(), event.message(), event.log_stream_name().and_then(|s| index.get(s)))
                else {
                    continue;
                };
                latest = latest.max(at);
                lines.push((*stream, at, text.to_owned()));
            }
            if !tokens.advance(page.next_token(), WHAT)? {
                break;
            }
        }
        let all = 0..self.streams.len();
        self.give(lines, all).await;
        Ok(latest)
    }

    async fn give(&mut self, lines: Vec<(usize, i64, String)>, streams: std::ops::Range<usize>) {
        let mut by_stream: BTreeMap<usize, Vec<LogText>> = BTreeMap::new();
        for (stream, at, text) in self.seen.news(lines) {
            let at = Timestamp::from_timestamp_millis(at);
            let raw = text.trim_end_matches(['\n', '\r']).to_owned();
            by_stream.entry(stream).or_default().push(LogText { at, raw });
        }
        for (index, s) in self.streams.iter().enumerate().filter(|(index, _)| streams.contains(index)) {
            // An empty answer is an answer: the page says "no lines", not "loading".
            let lines = by_stream.remove(&index).unwrap_or_default();
            if self.out.send(Chunk { source: s.source, lines: Ok(lines) }).await.is_err() {
                return;
            }
        }
    }

    /// Says what went wrong if going on is no use; true then.
    async fn ends(&self, error: &SourceError) -> bool {
        let final_ = matches!(error, SourceError::Forbidden { .. } | SourceError::NotFound { .. });
        if final_ {
            for s in &self.streams {
                let lines = Err(error.clone());
                if self.out.send(Chunk { source: s.source, lines }).await.is_err() {
                    break;
                }
            }
        }
        final_ || self.out.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_again_repeats_nothing_and_loses_nothing() {
        let line = |at: i64, text: &str| (0_usize, at, text.to_owned());
        let mut seen = Seen::default();
        assert_eq!(seen.news(vec![line(1, "a"), line(2, "b"), line(2, "b")]).len(), 3, "two equal lines are two");
        let news = seen.news(vec![line(2, "b"), line(2, "b"), line(2, "b"), line(3, "c")]);
        assert_eq!(news, [line(2, "b"), line(3, "c")]);
        seen.forget_before(3);
        assert_eq!(seen.news(vec![line(3, "c"), line(4, "d")]), [line(4, "d")]);
    }
}
