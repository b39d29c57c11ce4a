//! A container's log as a stream of lines that outlives its connections.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use http_body_util::BodyExt;
use kube::client::Body;

use super::decode::Lines;
use super::{Reader, client, paths};
use crate::domain::{ObjectId, Text, Timestamp};
use crate::source::supervise::Backoff;
use crate::source::{LogStream, LogText, SourceError};

/// How often in a row a cut log is asked for again.
const RESUMES: u32 = 8;

/// Lines remembered for recognising repeats, at most.
const REMEMBERED: usize = 1 << 16;

/// Knows which lines were already given out, so that asking again from the
/// last time repeats none and loses none.
///
/// Times are nearly sorted, not sorted: standard output and error are written
/// side by side. So a line is left out only if that very line was given out
/// before the connection was cut, never because its time is not the newest.
#[derive(Debug, Default)]
struct Seen {
    last: Option<Timestamp>,
    /// Lines of the last second, as time and hash: servers cut `sinceTime` to
    /// whole seconds on its way to the node, so all of these may come again.
    recent: VecDeque<(Timestamp, u64)>,
    /// Of those, the ones that may come again on this connection, with how often.
    repeats: HashMap<(Timestamp, u64), u32>,
    /// On this connection, what is before this was given out long ago.
    floor: Option<Timestamp>,
    hasher: RandomState,
}

impl Seen {
    fn resume(&mut self) {
        self.floor = self.last.map(second);
        self.repeats.clear();
        for line in &self.recent {
            *self.repeats.entry(*line).or_default() += 1;
        }
    }

    /// True if the line is new.
    fn admit(&mut self, line: &LogText) -> bool {
        let Some(at) = line.at else { return true };
        if self.floor.is_some_and(|floor| at < floor) {
            return false;
        }
        let key = (at, self.hasher.hash_one(&line.raw));
        if let Some(left) = self.repeats.get_mut(&key) {
            *left -= 1;
            if *left == 0 {
                self.repeats.remove(&key);
            }
            return false;
        }
        self.last = self.last.max(Some(at));
        let floor = self.last.map(second);
        while self.recent.len() >= REMEMBERED || self.recent.front().is_some_and(|(t, _)| Some(*t) < floor) {
            self.recent.pop_front();
        }
        if Some(at) >= floor {
            self.recent.push_back(key);
        }
        true
    }
}

/// The whole second a time is in.
fn second(at: Timestamp) -> Timestamp {
    Timestamp::from_timestamp(at.timestamp(), 0).unwrap_or(at)
}

struct Log {
    reader: Reader,
    request: LogStream,
    body: Option<Body>,
    lines: Lines,
    ready: VecDeque<LogText>,
    seen: Seen,
    backoff: Backoff,
    opened: bool,
    failures: u32,
    over: bool,
}

pub(super) fn stream(
    reader: Reader,
    request: LogStream,
) -> impl futures::Stream<Item = Result<LogText, SourceError>> + Send + 'static {
    let log = Log {
        reader,
        request,
        body: None,
        lines: Lines::default(),
        ready: VecDeque::new(),
        seen: Seen::default(),
        backoff: Backoff::default(),
        opened: false,
        failures: 0,
        over: false,
    };
    futures::stream::unfold(log, |mut log| async move { log.next().await.map(|item| (item, log)) })
}

impl Log {
    async fn next(&mut self) -> Option<Result<LogText, SourceError>> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(Ok(line));
            }
            if self.over {
                return None;
            }
            if let Err(error) = self.advance().await {
                if let Some(error) = self.give_up(error) {
                    self.over = true;
                    return Some(Err(error));
                }
                if !self.over {
                    tokio::time::sleep(self.backoff.after_failure()).await;
                }
            }
        }
    }

    /// `None` if the failure is to be survived, or is the natural end.
    fn give_up(&mut self, error: SourceError) -> Option<SourceError> {
        self.body = None;
        if !self.opened || !self.request.follow {
            return Some(error);
        }
        // The pod is gone, or the container is: that is how following ends.
        if matches!(error, SourceError::NotFound { .. } | SourceError::Server { code: 400, .. }) {
            self.over = true;
            return None;
        }
        self.failures += 1;
        (self.failures > RESUMES).then_some(error)
    }

    async fn advance(&mut self) -> Result<(), SourceError> {
        let Some(body) = &mut self.body else {
            let connected = self.reader.link.connect().await?;
            let path = self.path();
            self.lines = Lines::default();
            let answer = if self.request.follow {
                connected.watch(&path, "*/*").await?
            } else {
                connected.get(&path, "*/*").await?
            };
            self.body = Some(answer.into_body());
            if self.opened {
                self.seen.resume();
            }
            self.opened = true;
            return Ok(());
        };
        match body.frame().await {
            Some(Ok(frame)) => {
                let chunk = frame.into_data().unwrap_or_default();
                self.lines.push(&chunk);
                self.take_lines();
                self.failures = 0;
                self.backoff.reset();
                Ok(())
            }
            Some(Err(e)) => {
                let endpoint = Text::new(&self.request.task.to_string());
                Err(client::cut(&endpoint, &e))
            }
            None => {
                // A last line need not end in a line break.
                if !self.lines.rest().is_empty() {
                    self.lines.push(b"\n");
                    self.take_lines();
                }
                self.body = None;
                let LogStream { task, container, follow, .. } = &self.request;
                let asked = running(self.reader.clone(), task.clone(), container.clone());
                self.over = !*follow || !asked.await?;
                if !self.over {
                    // A server that closes at once, again and again, must not be hammered.
                    tokio::time::sleep(self.backoff.after_failure()).await;
                }
                Ok(())
            }
        }
    }

    fn take_lines(&mut self) {
        for line in self.lines.iter() {
            let line = String::from_utf8_lossy(line);
            let line = line.strip_suffix('\r').unwrap_or(&line);
            let text = split_time(line);
            if self.seen.admit(&text) {
                self.ready.push_back(text);
            }
        }
        self.lines.take();
    }

    fn path(&self) -> String {
        use std::fmt::Write;
        let LogStream { task, container, follow, since_secs, tail, previous } = &self.request;
        let mut path = format!("{}/log?timestamps=true", paths::object(task).unwrap_or_default());
        // Writing to a String does not fail.
        if !container.is_empty() {
            let _ = write!(path, "&container={}", paths::encode(container.as_str()));
        }
        if *follow {
            path.push_str("&follow=true");
        }
        if *previous {
            path.push_str("&previous=true");
        }
        if let Some(last) = self.seen.last {
            // From the whole second, whatever the server makes of fractions.
            let at = second(last).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
            let _ = write!(path, "&sinceTime={}", paths::encode(&at));
            return path;
        }
        if let Some(secs) = since_secs {
            let _ = write!(path, "&sinceSeconds={secs}");
        }
        if let Some(lines) = tail {
            let _ = write!(path, "&tailLines={lines}");
        }
        path
    }
}

/// True while the container runs, so that a log that ended was cut by someone between.
async fn running(reader: Reader, task: ObjectId, container: Text) -> Result<bool, SourceError> {
    let pod = reader.object(&task).await?;
    let containers = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"]
        .into_iter()
        .filter_map(|list| pod["status"][list].as_array())
        .flatten();
    let wanted = container.as_str();
    let mut ours = containers.filter(|c| wanted.is_empty() || c["name"] == wanted);
    Ok(ours.any(|c| c["state"]["running"].is_object()))
}

/// Parses the time the server puts before each line.
fn split_time(line: &str) -> LogText {
    if let Some((time, rest)) = line.split_once(' ')
        && let Ok(at) = chrono::DateTime::parse_from_rfc3339(time)
    {
        return LogText { at: Some(at.to_utc()), raw: rest.to_owned() };
    }
    match chrono::DateTime::parse_from_rfc3339(line) {
        Ok(at) => LogText { at: Some(at.to_utc()), raw: String::new() },
        Err(_) => LogText { at: None, raw: line.to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_parsed_off_and_the_rest_kept_raw() {
        let line = split_time("2026-01-02T03:04:05.000000006Z \u{1b}[31mred");
        assert_eq!(line.at.unwrap().timestamp_subsec_nanos(), 6);
        assert_eq!(line.raw, "\u{1b}[31mred");
        assert_eq!(split_time("no time here"), LogText { at: None, raw: "no time here".into() });
        assert_eq!(split_time("2026-01-02T03:04:05Z").raw, "");
    }

    fn admitted(seen: &mut Seen, lines: &[(i64, &str)]) -> Vec<bool> {
        let line = |(millis, raw): &(i64, &str)| LogText {
            at: chrono::DateTime::from_timestamp_millis(*millis),
            raw: (*raw).to_owned(),
        };
        lines.iter().map(|l| seen.admit(&line(l))).collect()
    }

    #[test]
    fn no_line_twice_and_none_lost() {
        let mut seen = Seen::default();
        assert_eq!(admitted(&mut seen, &[(1000, "a"), (2000, "b"), (2000, "b")]), [true; 3]);
        seen.resume();
        let again = [(1000, "a"), (2000, "b"), (2000, "b"), (2000, "b"), (3000, "c")];
        assert_eq!(admitted(&mut seen, &again), [false, false, false, true, true]);
    }

    #[test]
    fn lines_whose_times_are_out_of_order_are_kept() {
        let mut seen = Seen::default();
        assert_eq!(admitted(&mut seen, &[(2500, "out"), (2400, "err"), (1900, "late")]), [true; 3]);
        // The node sends the whole second again, and a line that was never received.
        seen.resume();
        assert_eq!(
            admitted(&mut seen, &[(2500, "out"), (2400, "err"), (2450, "missed"), (2600, "new")]),
            [false, false, true, true]
        );
        // What was given out after the first cut is known after the second.
        seen.resume();
        assert_eq!(admitted(&mut seen, &[(2450, "missed"), (2600, "new"), (2600, "newer")]), [false, false, true]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut seen = Seen::default();
        for n in 0..REMEMBERED + 10 {
            assert!(admitted(&mut seen, &[(1500, &n.to_string())])[0]);
        }
        assert_eq!(seen.recent.len(), REMEMBERED);
        assert!(admitted(&mut seen, &[(9000, "later")])[0]);
        assert_eq!(seen.recent.len(), 1);
    }
}
