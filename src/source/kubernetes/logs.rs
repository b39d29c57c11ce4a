//! A container's log as a stream of lines that outlives its connections.

use std::collections::VecDeque;

use http_body_util::BodyExt;
use kube::client::Body;

use super::decode::Lines;
use super::{Reader, client, paths};
use crate::domain::{ObjectId, Text, Timestamp};
use crate::source::SourceError;
use crate::source::supervise::Backoff;

/// How often in a row a cut log is asked for again.
const RESUMES: u32 = 8;

/// Which log, and how much of it.
#[derive(Debug, Clone)]
pub struct LogStream {
    /// The pod.
    pub task: ObjectId,
    /// The container in it; empty for the only one.
    pub container: Text,
    /// Go on with new lines as they come.
    pub follow: bool,
    /// Only what is newer than this many seconds.
    pub since_secs: Option<u32>,
    /// Only this many last lines.
    pub tail: Option<u32>,
    /// Of the container's last instance, not this one.
    pub previous: bool,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogText {
    /// When it was written.
    pub at: Option<Timestamp>,
    /// The line without its end, exactly as written: not cleaned.
    pub raw: String,
}

/// Knows which lines were already given out, so that asking again from the
/// last time repeats none.
#[derive(Debug, Default)]
struct Seen {
    last: Option<Timestamp>,
    /// Lines given out that carry the last time.
    equal: u32,
    /// Of those, how many are yet to come again.
    repeats: u32,
}

impl Seen {
    fn resume(&mut self) {
        self.repeats = self.equal;
    }

    /// True if the line is new.
    fn admit(&mut self, at: Option<Timestamp>) -> bool {
        let Some(at) = at else { return true };
        match self.last {
            Some(last) if at < last => false,
            Some(last) if at == last => {
                if self.repeats > 0 {
                    self.repeats -= 1;
                    return false;
                }
                self.equal += 1;
                true
            }
            _ => {
                (self.last, self.equal, self.repeats) = (Some(at), 1, 0);
                true
            }
        }
    }
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
            self.body = Some(connected.get(&path, self.request.follow).await?.into_body());
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
            if self.seen.admit(text.at) {
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
            let at = last.to_rfc3339_opts(chrono::SecondsFormat::Nanos, true);
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

    #[test]
    fn no_line_twice_and_none_lost() {
        let at = |secs| chrono::DateTime::from_timestamp(secs, 0);
        let mut seen = Seen::default();
        assert!([1, 2, 2].into_iter().all(|t| seen.admit(at(t))));
        seen.resume();
        let again: Vec<bool> = [1, 2, 2, 2, 3].into_iter().map(|t| seen.admit(at(t))).collect();
        assert_eq!(again, [false, false, false, true, true]);
    }
}
