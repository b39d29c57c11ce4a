//! Pod logs: the past, and the future with `follow`.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{SecondsFormat, TimeDelta};
use futures::stream;
use http::Response;
use serde_json::Value;

use super::Api;
use super::reply::{self, Body};
use super::route::{Query, Target};
use super::status::Failure;
use crate::domain::Timestamp;
use crate::sim::backend::{LogLine, LogQuery, ObjectKind, Refusal};

impl Api {
    pub(super) fn logs(self: Arc<Self>, target: &Target, query: &Query) -> Result<Response<Body>, Failure> {
        let now = self.clock.now();
        let bytes_left = positive(query, "limitBytes")?;
        let mut wanted = LogQuery {
            namespace: target.namespace.clone(),
            pod: target.name.clone(),
            container: None,
            previous: query.flag("previous"),
            since: since(query, now)?,
            tail: positive(query, "tailLines")?,
        };
        let (first, instance) = {
            let state = self.state();
            let pod = state
                .store
                .get(target.resource.kind, &target.namespace, &target.name)
                .ok_or_else(|| Failure::not_found(target.resource, &target.name))?;
            let pod = pod.value();
            let name = container(&pod, query.get("container"))?;
            let instance = running(&pod, &name);
            wanted.container = Some(name);
            let lines = state.fleet.logs(&wanted, now).map_err(|refusal| match refusal {
                Refusal::NotFound => Failure::not_found(target.resource, &target.name),
                // The kubelet's own words, which the API server passes on.
                Refusal::Invalid(why) | Refusal::Conflict(why) => Failure::bad_request(why),
            })?;
            (lines, instance)
        };
        let mut printer = Printer { timestamps: query.flag("timestamps"), bytes_left, last: None, at_last: 0 };
        let mut body = Vec::new();
        printer.print(&first, &mut body);
        // As the kubelet does it: following ends with the container, whatever comes after it.
        let Some(instance) = instance.filter(|_| query.flag("follow") && !wanted.previous && !printer.is_full()) else {
            return Ok(reply::text(200, body));
        };
        let run = Follow {
            target: (target.resource.kind, target.name.clone()),
            instance,
            over: false,
            ticks: self.ticks.subscribe(),
            api: self,
            query: wanted,
            printer,
            first: body,
            started: now,
        };
        let stream = stream::unfold(run, |mut run| async move {
            let chunk = run.next().await?;
            Some((Ok::<_, io::Error>(chunk), run))
        });
        Ok(reply::respond(200, "text/plain; charset=utf-8", reply::streamed(stream)))
    }
}

fn positive(query: &Query, key: &str) -> Result<Option<usize>, Failure> {
    match query.number(key).map_err(Failure::bad_request)? {
        None => Ok(None),
        // kubectl's -1 is all of them, and it leaves the parameter out for it.
        Some(n) => usize::try_from(n).map(Some).map_err(|_| {
            let message = format!("{key}: Invalid value: {n}: must be greater than or equal to 0");
            Failure::new(422, "Invalid", format!("PodLogOptions \"\" is invalid: {message}"))
        }),
    }
}

fn since(query: &Query, now: Timestamp) -> Result<Option<Timestamp>, Failure> {
    if let Some(secs) = positive(query, "sinceSeconds")? {
        let back = i64::try_from(secs).ok().and_then(TimeDelta::try_seconds).unwrap_or(TimeDelta::MAX);
        return Ok(now.checked_sub_signed(back));
    }
    match query.get("sinceTime") {
        "" => Ok(None),
        text => chrono::DateTime::parse_from_rfc3339(text).map(|t| Some(t.to_utc())).map_err(|e| {
            Failure::bad_request(format!("sinceTime: {text:?} is not a time as 2026-01-31T12:00:00Z: {e}"))
        }),
    }
}

/// The container asked for, or the only one, in the API server's words when neither will do.
pub(super) fn container(pod: &Value, asked: &str) -> Result<String, Failure> {
    let pod_name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let names = |list: &str| -> Vec<&str> {
        let containers = pod["spec"][list].as_array();
        containers.into_iter().flatten().filter_map(|c| c["name"].as_str()).collect()
    };
    let (init, main) = (names("initContainers"), names("containers"));
    if asked.is_empty() {
        return match main.as_slice() {
            [only] => Ok((*only).to_owned()),
            several => {
                let mut message = format!("a container name must be specified for pod {pod_name}");
                if !several.is_empty() {
                    message = format!("{message}, choose one of: [{}]", several.join(" "));
                }
                if !init.is_empty() {
                    message = format!("{message} or one of the init containers: [{}]", init.join(" "));
                }
                Err(Failure::bad_request(message))
            }
        };
    }
    if main.contains(&asked) || init.contains(&asked) {
        return Ok(asked.to_owned());
    }
    Err(Failure::bad_request(format!("container {asked} is not valid for pod {pod_name}")))
}

fn status<'a>(pod: &'a Value, container: &str) -> Option<&'a Value> {
    let lists = ["containerStatuses", "initContainerStatuses"].map(|list| pod["status"][list].as_array());
    lists.into_iter().flatten().flatten().find(|c| c["name"] == container)
}

/// How many instances of the container came before this one.
fn restarts(pod: &Value, container: &str) -> Option<u64> {
    status(pod, container).map(|c| c["restartCount"].as_u64().unwrap_or(0))
}

/// The same, if it runs.
pub(super) fn running(pod: &Value, container: &str) -> Option<u64> {
    restarts(pod, container).filter(|_| status(pod, container).is_some_and(|c| c["state"]["running"].is_object()))
}

/// Writes lines and remembers how far it came.
struct Printer {
    timestamps: bool,
    bytes_left: Option<usize>,
    /// When the last line was written, and how many lines had that time.
    last: Option<Timestamp>,
    at_last: usize,
}

impl Printer {
    fn print(&mut self, lines: &[LogLine], out: &mut Vec<u8>) {
        for line in lines {
            if self.is_full() {
                return;
            }
            if self.last == Some(line.at) {
                self.at_last += 1;
            } else {
                self.last = Some(line.at);
                self.at_last = 1;
            }
            let mut text = String::new();
            if self.timestamps {
                text.push_str(&line.at.to_rfc3339_opts(SecondsFormat::Nanos, true));
                text.push(' ');
            }
            text.push_str(&line.text);
            text.push('\n');
            let most = self.bytes_left.unwrap_or(usize::MAX).min(text.len());
            out.extend_from_slice(&text.as_bytes()[..most]);
            self.bytes_left = self.bytes_left.map(|left| left - most);
        }
    }

    fn is_full(&self) -> bool {
        self.bytes_left == Some(0)
    }
}

struct Follow {
    /// The pod: its kind, for the store, and its name.
    target: (ObjectKind, String),
    /// Which of the container's instances: how many came before it.
    instance: u64,
    /// It has ended, and its last lines were given out.
    over: bool,
    api: Arc<Api>,
    query: LogQuery,
    printer: Printer,
    ticks: tokio::sync::watch::Receiver<u64>,
    /// What is there already and not sent yet.
    first: Vec<u8>,
    started: Timestamp,
}

impl Follow {
    /// The next lines; `None` when the pod is gone, the server ends, or enough bytes are sent.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.first.is_empty() {
            return Some(std::mem::take(&mut self.first).into());
        }
        loop {
            if self.printer.is_full() || self.over {
                return None;
            }
            self.ticks.changed().await.ok()?;
            let mut out = Vec::new();
            self.more(&mut out)?;
            if !out.is_empty() {
                return Some(out.into());
            }
        }
    }

    fn more(&mut self, out: &mut Vec<u8>) -> Option<()> {
        let from = self.printer.last.unwrap_or(self.started);
        let query = LogQuery { since: Some(from), tail: None, ..self.query.clone() };
        let now = self.api.clock.now();
        let lines = {
            let state = self.api.state();
            let pod = state.store.get(self.target.0, &query.namespace, &self.target.1)?.value();
            let name = query.container.as_deref().unwrap_or_default();
            let runs = running(&pod, name);
            self.over = runs != Some(self.instance);
            // What the next instance writes is another log.
            if self.over && restarts(&pod, name) != Some(self.instance) {
                return None;
            }
            state.fleet.logs(&query, now).ok()?
        };
        // Lines of the very instant that was reached are known already.
        let fresh = lines.iter().position(|l| l.at > from).unwrap_or(lines.len());
        let known = if self.printer.last.is_some() { self.printer.at_last.min(fresh) } else { 0 };
        self.printer.print(&lines[known..], out);
        Some(())
    }
}
