//! A container's log as a stream of lines that outlives its connections, and
//! the instances of its container.

mod fate;
mod seen;

use std::collections::VecDeque;
use std::time::Duration;

use http_body_util::BodyExt;
use kube::client::Body;

use self::fate::{Fate, Run, fate, is_init};
use self::seen::{Seen, second};
use super::decode::Lines;
use super::{Reader, client, paths};
use crate::domain::Text;
use crate::source::supervise::Backoff;
use crate::source::{LogItem, LogStream, LogText, SourceError};

/// Failures in a row that are told between the lines. Less often is a hiccup.
const TOLD: u32 = 3;

/// How often in a row a pod's log may be refused before it is read for the first time.
const REFUSALS: u32 = 5;

/// Between two looks at a pod whose container does not run: at least, and at most.
const LOOK: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

struct Log {
    reader: Reader,
    request: LogStream,
    body: Option<Body>,
    lines: Lines,
    ready: VecDeque<LogItem>,
    seen: Seen,
    backoff: Backoff,
    /// A log was read.
    opened: bool,
    /// The server knows the pod, so that from now on failures are survived.
    patient: bool,
    /// The log ended, or was cut: next is to find out what became of the container.
    ask: bool,
    /// It was cut: this instance may have written more than was read.
    cut: bool,
    /// The pod still said that the container runs on, right after its log had ended.
    asked_again: bool,
    /// It was seen to run, or to wait: its end is news.
    lived: bool,
    /// What was last said of a container that waits.
    waits: Option<String>,
    failures: u32,
    over: bool,
}

pub(super) fn stream(
    reader: Reader,
    request: LogStream,
) -> impl futures::Stream<Item = Result<LogItem, SourceError>> + Send + 'static {
    let log = Log {
        reader,
        request,
        body: None,
        lines: Lines::default(),
        ready: VecDeque::new(),
        seen: Seen::default(),
        backoff: Backoff::default(),
        opened: false,
        patient: false,
        ask: false,
        cut: false,
        asked_again: false,
        lived: false,
        waits: None,
        failures: 0,
        over: false,
    };
    futures::stream::unfold(log, |mut log| async move { log.next().await.map(|item| (item, log)) })
}

impl Log {
    async fn next(&mut self) -> Option<Result<LogItem, SourceError>> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(Ok(item));
            }
            if self.over {
                return None;
            }
            let outcome = if self.ask { self.look().await } else { self.advance().await };
            if let Err(error) = outcome
                && let Some(error) = self.survive(error).await
            {
                self.over = true;
                return Some(Err(error));
            }
        }
    }

    /// `None` if the failure is survived.
    async fn survive(&mut self, error: SourceError) -> Option<SourceError> {
        self.body = None;
        if !self.request.follow {
            return Some(error);
        }
        self.failures += 1;
        match error {
            SourceError::NotFound { .. } if self.patient => {
                self.end("the pod is gone", true);
                return None;
            }
            // The container does not run (yet): the pod says why.
            SourceError::Server { code: 400, .. } if !self.ask && (self.opened || self.failures <= REFUSALS) => {
                (self.ask, self.patient) = (true, true);
                return None;
            }
            error if !self.patient || matches!(error, SourceError::Forbidden { .. }) => return Some(error),
            // A server that refuses what its pod has will go on doing so.
            error if !self.opened && matches!(error, SourceError::Server { code: 400, .. }) => return Some(error),
            error if self.failures == TOLD => {
                self.mark(&format!("reading was cut: {}; trying again", error.text()));
            }
            _ => {}
        }
        // Before reading on: there may be another instance by now.
        (self.ask, self.cut) = (self.ask || self.opened, self.opened);
        tokio::time::sleep(self.backoff.after_failure()).await;
        None
    }

    fn mark(&mut self, text: &str) {
        self.ready.push_back(LogItem::Marker { at: self.seen.last, text: Text::new(text) });
    }

    fn end(&mut self, why: &str, news: bool) {
        self.ready.push_back(LogItem::Ended { why: Text::new(why), news });
        self.over = true;
    }

    async fn advance(&mut self) -> Result<(), SourceError> {
        let Some(body) = &mut self.body else {
            let connected = self.reader.link.connect().await?;
            let path = self.path(self.request.previous);
            self.lines = Lines::default();
            let answer = if self.request.follow {
                connected.watch(&path, "*/*").await?
            } else {
                connected.get(&path, "*/*").await?
            };
            self.begin(answer.into_body());
            return Ok(());
        };
        match body.frame().await {
            Some(Ok(frame)) => {
                let chunk = frame.into_data().unwrap_or_default();
                self.lines.push(&chunk);
                if self.take_lines() {
                    (self.failures, self.asked_again) = (0, false);
                    self.backoff.reset();
                }
                Ok(())
            }
            Some(Err(e)) => {
                let endpoint = Text::new(&self.request.task.to_string());
                Err(client::cut(&endpoint, &e))
            }
            None => {
                self.finish_lines();
                self.body = None;
                self.over = !self.request.follow;
                self.ask = self.request.follow;
                Ok(())
            }
        }
    }

    fn begin(&mut self, body: Body) {
        self.body = Some(body);
        if self.opened {
            self.seen.resume();
        }
        (self.opened, self.patient) = (true, true);
    }

    /// Finds out what became of the container, and what to do then.
    async fn look(&mut self) -> Result<(), SourceError> {
        let pod = self.reader.object(&self.request.task).await;
        let pod = match pod {
            Err(SourceError::NotFound { .. }) => {
                self.end("the pod is gone", true);
                return Ok(());
            }
            pod => pod?,
        };
        let (run, waits) = match fate(&pod, self.request.uid.as_str(), self.request.container.as_str()) {
            Fate::Replaced => {
                self.end("the pod is gone; another one has its name", true);
                return Ok(());
            }
            Fate::Unknown => {
                self.end("the pod has no such container", true);
                return Ok(());
            }
            Fate::Waits { reason, last } => (last, Some(reason)),
            Fate::Over(run) if self.opened && !self.cut && !self.is_new(run) => {
                let news = self.lived && !(run.exit == Some(0) && is_init(&pod, self.request.container.as_str()));
                self.end(&format!("the container ended{} and will not run again", exit_words(run)), news);
                return Ok(());
            }
            Fate::Runs(run) | Fate::Over(run) => (Some(run), None),
        };
        if let Some(run) = run.filter(|run| self.is_new(*run)) {
            self.restarted(run).await?;
            return Ok(());
        }
        if let Some(run) = run {
            self.request.restarts.get_or_insert(run.restarts);
        }
        self.lived = true;
        match waits {
            // The rest of this instance's log.
            _ if self.cut => (self.ask, self.cut) = (false, false),
            // A log that was never read can be read once there is an instance.
            _ if run.is_some() && !self.opened => {
                self.ask = false;
                tokio::time::sleep(self.backoff.after_failure().max(LOOK.0)).await;
            }
            Some(reason) => self.wait(run, reason).await,
            // The pod's status lags behind its log: it is asked twice before
            // somebody between is blamed for the cut.
            None if !self.asked_again => {
                self.asked_again = true;
                tokio::time::sleep(LOOK.0).await;
            }
            None => {
                self.ask = false;
                tokio::time::sleep(self.backoff.after_failure()).await;
            }
        }
        Ok(())
    }

    fn is_new(&self, run: Run) -> bool {
        self.request.restarts.is_some_and(|known| run.restarts > known)
    }

    /// A new instance: what is left of the one before it, a marker, and then its own log.
    async fn restarted(&mut self, run: Run) -> Result<(), SourceError> {
        let times = run.restarts.saturating_sub(self.request.restarts.unwrap_or(run.restarts));
        if self.opened {
            if times > 1 {
                // Of those that came and went between two looks only the last can be read.
                let times = if times > 2 { format!(" {} times", times - 1) } else { String::new() };
                self.mark(&format!("container restarted{times}"));
            }
            if run.before {
                self.rest_of_previous().await?;
            }
            self.mark(&format!("container restarted{}", exit_words(run)));
        }
        self.request.restarts = Some(run.restarts);
        (self.ask, self.cut, self.asked_again, self.waits) = (false, false, false, None);
        Ok(())
    }

    /// What the instance before this one wrote after the last line that was read:
    /// there is some if the connection was cut before the container ended.
    async fn rest_of_previous(&mut self) -> Result<(), SourceError> {
        let connected = self.reader.link.connect().await?;
        let answer = match connected.get(&self.path(true), "*/*").await {
            Ok(answer) => answer,
            // It was thrown away: nothing can be had.
            Err(SourceError::NotFound { .. } | SourceError::Server { code: 400, .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        self.lines = Lines::default();
        self.seen.resume();
        let mut body = answer.into_body();
        while let Some(frame) = body.frame().await {
            let endpoint = Text::new(&self.request.task.to_string());
            let frame = frame.map_err(|e| client::cut(&endpoint, &e))?;
            self.lines.push(&frame.into_data().unwrap_or_default());
            self.take_lines();
        }
        self.finish_lines();
        Ok(())
    }

    /// Says once what is waited for, and waits.
    async fn wait(&mut self, last: Option<Run>, reason: String) {
        let said = match (last, reason.as_str()) {
            (Some(run), _) => format!("container exited{}, waiting for its restart", exit_words(run)),
            // Every container begins so.
            (None, "" | "ContainerCreating" | "PodInitializing") => String::new(),
            (None, reason) => format!("container is waiting: {reason}"),
        };
        if !said.is_empty() && self.waits.as_ref() != Some(&said) {
            self.mark(&said);
            self.waits = Some(said);
            return;
        }
        self.failures = 0;
        tokio::time::sleep(self.backoff.after_failure().clamp(LOOK.0, LOOK.1)).await;
    }

    /// Gives out whole lines; true if any was new.
    fn take_lines(&mut self) -> bool {
        let before = self.ready.len();
        for line in self.lines.iter() {
            let line = String::from_utf8_lossy(line);
            let line = line.strip_suffix('\r').unwrap_or(&line);
            let text = split_time(line);
            if self.seen.admit(&text) {
                self.ready.push_back(LogItem::Line(text));
            }
        }
        self.lines.take();
        self.ready.len() > before
    }

    /// A last line need not end in a line break.
    fn finish_lines(&mut self) {
        if !self.lines.rest().is_empty() {
            self.lines.push(b"\n");
            self.take_lines();
        }
    }

    fn path(&self, previous: bool) -> String {
        use std::fmt::Write;
        let LogStream { task, container, follow, since_secs, tail, .. } = &self.request;
        let mut path = format!("{}/log?timestamps=true", paths::object(task).unwrap_or_default());
        // Writing to a String does not fail.
        if !container.is_empty() {
            let _ = write!(path, "&container={}", paths::encode(container.as_str()));
        }
        if *follow && !previous {
            path.push_str("&follow=true");
        }
        if previous {
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

/// ` (exit 1)`, or nothing where it is not known.
fn exit_words(run: Run) -> String {
    run.exit.map_or_else(String::new, |code| format!(" (exit {code})"))
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
}
