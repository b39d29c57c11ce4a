//! Reading on demand: one object, the events about it, logs, permissions.

use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::client::Answer;
use super::decode::{Lines, Page};
use super::project::{Projector, Row};
use super::resource::{Resource, escape};
use super::watch::Shared;
use crate::domain::{Event, Kind, ObjectId, Text, Timestamp};
use crate::source::error::SourceError;
use crate::store::observation::Feed;

/// Reads of one cluster. Cloning shares the connection.
#[derive(Debug, Clone)]
pub struct Reader {
    pub(super) shared: Arc<Shared>,
}

/// Which log is read.
#[derive(Debug, Clone)]
pub struct LogStream {
    /// The task.
    pub task: ObjectId,
    /// The container.
    pub container: Text,
    /// Go on as lines are written.
    pub follow: bool,
    /// Not older than so many seconds.
    pub since_secs: Option<u32>,
    /// At most so many last lines.
    pub tail: Option<u32>,
    /// The run before the last restart.
    pub previous: bool,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogText {
    /// When it was written.
    pub at: Option<Timestamp>,
    /// As written: not cleaned, it may hold escape sequences.
    pub raw: String,
}

#[derive(Deserialize)]
struct Review {
    #[serde(default)]
    status: ReviewStatus,
}

#[derive(Default, Deserialize)]
struct ReviewStatus {
    #[serde(default)]
    allowed: bool,
}

/// How often a follow tries again without a new line before it ends.
const TRIES: u32 = 4;

impl Reader {
    /// An object as it is now, without managed fields. Secrets have no kind here
    /// and cannot be read.
    ///
    /// # Errors
    /// When it cannot be read, or its kind is not one that can.
    pub async fn object(&self, id: &ObjectId) -> Result<Value, SourceError> {
        let resource = Resource::of_kind(id.kind)
            .ok_or_else(|| SourceError::NotFound(format!("objects such as {id} cannot be read here")))?;
        let namespace = Some(id.namespace.as_str()).filter(|n| !n.is_empty());
        let path = format!("{}/{}", resource.path(namespace), escape(&id.name));
        let answer = self.shared.connection.get(&path).await?;
        let garbage = answer.garbage("an object that is none");
        let mut object: Value = serde_json::from_str(&answer.text().await?).map_err(|_| garbage)?;
        if let Some(metadata) = object.pointer_mut("/metadata").and_then(Value::as_object_mut) {
            metadata.shift_remove("managedFields");
        }
        Ok(object)
    }

    /// The events about an object, of this incarnation where its uid is known.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn events(&self, id: &ObjectId, uid: &str) -> Result<Vec<Event>, SourceError> {
        let resource = Resource::of_feed(Feed::Events).ok_or(SourceError::NotFound("events".to_owned()))?;
        let namespace = Some(id.namespace.as_str()).filter(|n| !n.is_empty());
        let mut selector = format!("involvedObject.name={},involvedObject.kind={}", id.name, id.kind.kubernetes());
        if !uid.is_empty() && id.kind != Kind::Node {
            selector += &format!(",involvedObject.uid={uid}");
        }
        let path = format!("{}?fieldSelector={}&limit=500", resource.path(namespace), escape(&selector));
        let answer = self.shared.connection.get(&path).await?;
        let garbage = answer.garbage("a list that is none");
        let text = answer.text().await?;
        let page: Page<'_> = serde_json::from_str(&text).map_err(|_| garbage)?;
        let mut projector = Projector::new(self.shared.id.clone());
        let row = |raw: &RawValue| match projector.row(Feed::Events, raw.get()) {
            Ok(Row::Event(event)) => Some(event),
            _ => None,
        };
        Ok(page.items.unwrap_or_default().into_iter().filter_map(row).collect())
    }

    /// Whether we may do something (`SelfSubjectAccessReview`).
    ///
    /// # Errors
    /// When the question cannot be asked.
    pub async fn can_i(
        &self,
        verb: &str,
        group: &str,
        resource: &str,
        namespace: Option<&str>,
    ) -> Result<bool, SourceError> {
        let body = serde_json::json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {
                "verb": verb, "group": group, "resource": resource, "namespace": namespace.unwrap_or_default()}}
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let answer = self.shared.connection.post(path, &body).await?;
        let garbage = answer.garbage("an access review that is none");
        let review: Review = serde_json::from_str(&answer.text().await?).map_err(|_| garbage)?;
        Ok(review.status.allowed)
    }

    /// A log's lines as they come. A follow that is cut goes on where it was,
    /// without repeating or losing a line; it ends when the container has.
    pub fn logs(&self, request: LogStream) -> impl Stream<Item = Result<LogText, SourceError>> + Send + 'static {
        let tail =
            Tail { reader: self.clone(), request, open: None, last: None, same: 0, skip: 0, tries: 0, ended: false };
        futures::stream::unfold(tail, |mut tail| async move {
            let item = tail.next().await?;
            Some((item, tail))
        })
    }
}

/// A log being read.
struct Tail {
    reader: Reader,
    request: LogStream,
    open: Option<(Answer, Lines)>,
    /// The time of the last line given out, and how many lines had it.
    last: Option<Timestamp>,
    same: u32,
    /// Lines with that time still to be left out after a resume.
    skip: u32,
    tries: u32,
    ended: bool,
}

impl Tail {
    async fn next(&mut self) -> Option<Result<LogText, SourceError>> {
        loop {
            if self.ended {
                return None;
            }
            if self.open.is_none() {
                match self.connect().await {
                    Ok(answer) => self.open = Some((answer, Lines::default())),
                    Err(error) => {
                        if self.last.is_none() || !self.may_retry().await {
                            self.ended = true;
                            return Some(Err(error));
                        }
                        continue;
                    }
                }
            }
            let (answer, lines) = self.open.as_mut()?;
            if let Some(line) = lines.next_line() {
                if let Some(line) = self.keep(&line) {
                    return Some(Ok(line));
                }
                continue;
            }
            match answer.piece().await {
                Ok(Some(piece)) => {
                    if lines.feed(&piece).is_err() {
                        self.ended = true;
                        return Some(Err(answer.garbage("a log line of more than 16 MiB")));
                    }
                }
                Ok(None) | Err(_) => {
                    let rest = lines.rest().to_vec();
                    self.open = None;
                    if !(self.request.follow && self.may_retry().await) {
                        self.ended = true;
                        return self.keep(&rest).map(Ok);
                    }
                }
            }
        }
    }

    async fn connect(&mut self) -> Result<Answer, SourceError> {
        let r = &self.request;
        let mut path = format!(
            "/api/v1/namespaces/{}/pods/{}/log?container={}&timestamps=true",
            escape(&r.task.namespace),
            escape(&r.task.name),
            escape(&r.container)
        );
        if r.follow {
            path += "&follow=true";
        }
        if r.previous {
            path += "&previous=true";
        }
        if let Some(last) = self.last {
            // The server counts in whole seconds: what we have already is left out below.
            path += &format!("&sinceTime={}", escape(&last.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)));
            self.skip = self.same;
        } else {
            if let Some(secs) = r.since_secs {
                path += &format!("&sinceSeconds={secs}");
            }
            if let Some(tail) = r.tail {
                path += &format!("&tailLines={tail}");
            }
        }
        self.reader.shared.connection.get(&path).await
    }

    async fn may_retry(&mut self) -> bool {
        self.tries += 1;
        if self.tries > TRIES {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(400 << self.tries)).await;
        true
    }

    /// Parses a line; `None` for one that was given out before a resume.
    fn keep(&mut self, line: &[u8]) -> Option<LogText> {
        if line.is_empty() {
            return None;
        }
        let text = String::from_utf8_lossy(line);
        let (at, raw) = match text.split_once(' ') {
            Some((time, rest)) => match time.parse::<Timestamp>() {
                Ok(at) => (Some(at), rest),
                Err(_) => (None, text.as_ref()),
            },
            None => (text.parse().ok(), if text.parse::<Timestamp>().is_ok() { "" } else { text.as_ref() }),
        };
        if let (Some(at), Some(last)) = (at, self.last) {
            if at < last {
                return None;
            }
            if at == last && self.skip > 0 {
                self.skip -= 1;
                return None;
            }
        }
        if let Some(at) = at {
            self.same = if self.last == Some(at) { self.same + 1 } else { 1 };
            self.last = Some(at);
        }
        self.tries = 0;
        Some(LogText { at, raw: raw.to_owned() })
    }
}
