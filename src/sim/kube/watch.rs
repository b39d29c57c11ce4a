//! Watches: the past if asked for, then what happens, until someone hangs up.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, Response};
use serde_json::json;
use tokio::time::Instant;

use super::read::{append, metadata_of, parse_version};
use super::reply::{self, Body, CHUNK, Shape};
use super::resource::Resource;
use super::route::{Query, Target};
use super::selector::Selection;
use super::status::Failure;
use super::store::{EventKind, LogEntry, Stored};
use super::{Api, table};
use crate::sim::fault::WatchFaults;

/// How long a watch lives that does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(45);
/// How many events are taken from the log at a time.
const BATCH: usize = 256;

impl Api {
    pub(super) fn watch(
        self: Arc<Self>,
        target: &Target,
        headers: &HeaderMap,
        query: &Query,
    ) -> Result<Response<Body>, Failure> {
        let resource = target.resource;
        let shape = Shape::negotiate(headers, query)?;
        let selection = Selection::parse(resource, query.get("labelSelector"), query.get("fieldSelector"))
            .map_err(Failure::bad_request)?;
        let start = Start::of(resource, query)?;
        let timeout = query.number("timeoutSeconds").map_err(Failure::bad_request)?;
        let timeout = timeout.and_then(|s| u64::try_from(s).ok()).filter(|s| *s > 0);
        let mut run = Run {
            resource,
            namespace: target.namespace.clone(),
            selection,
            shape,
            cursor: 0,
            backlog: Vec::new().into_iter(),
            end_of_backlog: false,
            bookmarks: query.flag("allowWatchBookmarks"),
            next_bookmark: Instant::now() + self.tuning.bookmark_every,
            deadline: Instant::now() + timeout.map_or(DEFAULT_TIMEOUT, Duration::from_secs),
            sent_columns: false,
            changes: self.changes.subscribe(),
            faults: self.faults.watches(),
            seen: WatchFaults::default(),
            phase: Phase::Live,
            api: self,
        };
        run.seen = *run.faults.borrow_and_update();
        run.begin(start)?;
        let body = stream::unfold(run, |mut run| async move {
            let chunk = run.next().await?;
            Some((chunk, run))
        });
        Ok(reply::respond(200, "application/json", reply::streamed(body)))
    }
}

/// Where a watch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// Everything there is as ADDED, then on.
    State { marked: bool },
    /// What came after a version.
    After(u64),
    /// From now on.
    Now,
}

impl Start {
    fn of(resource: &Resource, query: &Query) -> Result<Self, Failure> {
        let version = query.get("resourceVersion");
        match (query.get("sendInitialEvents"), query.get("resourceVersionMatch")) {
            ("true" | "1", "NotOlderThan") => return Ok(Self::State { marked: true }),
            ("false" | "0", "NotOlderThan") if version.is_empty() || version == "0" => return Ok(Self::Now),
            ("", "") | ("false" | "0", "NotOlderThan") => {}
            ("", _) => {
                let why = "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
                return Err(Failure::invalid(resource, "", why));
            }
            _ => {
                let why = "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
                return Err(Failure::invalid(resource, "", why));
            }
        }
        match version {
            "" | "0" => Ok(Self::State { marked: false }),
            text => parse_version(text).map(Self::After),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Live,
    /// A fault broke an object in two; the connection goes next.
    Cut,
    Over,
}

struct Run {
    api: Arc<Api>,
    resource: &'static Resource,
    namespace: String,
    selection: Selection,
    shape: Shape,
    /// The version up to which the client knows everything.
    cursor: u64,
    /// What there was at the start and is not sent yet.
    backlog: std::vec::IntoIter<Arc<Stored>>,
    /// The mark at the backlog's end is still owed.
    end_of_backlog: bool,
    bookmarks: bool,
    next_bookmark: Instant,
    deadline: Instant,
    sent_columns: bool,
    changes: tokio::sync::watch::Receiver<u64>,
    faults: tokio::sync::watch::Receiver<WatchFaults>,
    seen: WatchFaults,
    phase: Phase,
}

impl Run {
    fn begin(&mut self, start: Start) -> Result<(), Failure> {
        let state = self.api.state();
        let now = state.store.version();
        match start {
            Start::After(version) if version > now => return Err(Failure::too_new(version, now)),
            Start::After(version) => self.cursor = version,
            Start::Now => self.cursor = now,
            Start::State { marked } => {
                let there = state.store.list(self.resource.kind, &self.namespace, None);
                let all: Vec<_> = there.filter(|o| self.selection.matches(&o.meta)).cloned().collect();
                self.backlog = all.into_iter();
                self.end_of_backlog = marked;
                self.cursor = now;
            }
        }
        Ok(())
    }

    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            match self.phase {
                Phase::Live => {}
                Phase::Over => return None,
                Phase::Cut => {
                    // Lets the half object leave before the connection does.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    self.phase = Phase::Over;
                    return Some(Err(io::Error::new(io::ErrorKind::ConnectionReset, "cut by a fault")));
                }
            }
            let mut out = Vec::new();
            self.fill(&mut out);
            if !out.is_empty() {
                return Some(Ok(out.into()));
            }
            if self.phase == Phase::Live {
                self.wait(&mut out).await;
                if !out.is_empty() {
                    return Some(Ok(out.into()));
                }
            }
        }
    }

    /// Takes what is there to send.
    fn fill(&mut self, out: &mut Vec<u8>) {
        while out.len() < CHUNK {
            let Some(object) = self.backlog.next() else { break };
            self.event(EventKind::Added, &object, out);
        }
        if self.backlog.len() > 0 {
            return;
        }
        if std::mem::take(&mut self.end_of_backlog) {
            self.bookmark(true, out);
        }
        if !out.is_empty() {
            return;
        }
        self.changes.borrow_and_update();
        let api = Arc::clone(&self.api);
        let state = api.state();
        let Some(events) = state.store.events_after(self.resource.kind, self.cursor, BATCH) else {
            let oldest = state.store.horizon(self.resource.kind);
            drop(state);
            self.expire(&format!("too old resource version: {} ({oldest})", self.cursor), out);
            return;
        };
        let newest = if events.len() < BATCH { Some(state.store.version()) } else { events.last().map(|e| e.version) };
        drop(state);
        for entry in &events {
            if let Some((event, object)) = self.selected(entry) {
                self.event(event, object, out);
            }
        }
        self.cursor = newest.unwrap_or(self.cursor);
    }

    /// What an event is to this watch: an object that leaves the selection is
    /// deleted for it, one that enters is added.
    fn selected<'e>(&self, entry: &'e LogEntry) -> Option<(EventKind, &'e Arc<Stored>)> {
        let object = &entry.object;
        if !self.namespace.is_empty() && *object.meta.namespace != *self.namespace {
            return None;
        }
        let is = self.selection.matches(&object.meta);
        let was = entry.before.as_ref().is_some_and(|m| self.selection.matches(m));
        let event = match (entry.event, was, is) {
            (EventKind::Modified, false, true) => EventKind::Added,
            (EventKind::Modified, true, false) => EventKind::Deleted,
            (event, _, true) => event,
            (_, _, false) => return None,
        };
        Some((event, object))
    }

    async fn wait(&mut self, out: &mut Vec<u8>) {
        tokio::select! {
            biased;
            changed = self.faults.changed() => {
                if changed.is_err() {
                    self.phase = Phase::Over;
                    return;
                }
                let faults = *self.faults.borrow_and_update();
                if faults.cuts != self.seen.cuts {
                    let half = format!(r#"{{"type":"MODIFIED","object":{{"kind":"{}","apiVersion":"{}","metadata":{{"na"#,
                        self.resource.kind_name, self.resource.api_version());
                    out.extend_from_slice(half.as_bytes());
                    self.phase = Phase::Cut;
                } else if faults.expiries != self.seen.expiries {
                    self.expire("The resourceVersion for the provided watch is too old.", out);
                }
                self.seen = faults;
            }
            () = tokio::time::sleep_until(self.deadline) => self.phase = Phase::Over,
            changed = self.changes.changed() => {
                if changed.is_err() {
                    self.phase = Phase::Over;
                }
            }
            () = tokio::time::sleep_until(self.next_bookmark), if self.bookmarks => {
                self.next_bookmark = Instant::now() + self.api.tuning.bookmark_every;
                self.bookmark(false, out);
            }
        }
    }

    fn expire(&mut self, message: &str, out: &mut Vec<u8>) {
        let status = Failure::expired(message).to_json();
        append(out, &json!({"type": "ERROR", "object": status}));
        out.push(b'\n');
        self.phase = Phase::Over;
    }

    fn event(&mut self, event: EventKind, object: &Stored, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(event.name().as_bytes());
        out.extend_from_slice(b"\",\"object\":");
        match self.shape {
            Shape::Json => out.extend_from_slice(&object.json),
            Shape::Metadata => append(out, &metadata_of(&object.value())),
            Shape::Table(include) => {
                self.table_head(object.version, out);
                table::row(self.resource, &object.value(), include, self.api.clock.now(), out);
                out.extend_from_slice(b"]}");
            }
        }
        out.extend_from_slice(b"}\n");
    }

    /// Columns go with the first table only.
    fn table_head(&mut self, version: u64, out: &mut Vec<u8>) {
        let version = version.to_string();
        let head = if std::mem::replace(&mut self.sent_columns, true) {
            table::head_without_columns(&version)
        } else {
            table::head(self.resource, Some(&version), "")
        };
        out.extend_from_slice(head.as_bytes());
    }

    fn bookmark(&mut self, initial_end: bool, out: &mut Vec<u8>) {
        let mut metadata = json!({"resourceVersion": self.cursor.to_string(), "creationTimestamp": null});
        if initial_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = match self.shape {
            Shape::Json => {
                json!({"kind": self.resource.kind_name, "apiVersion": self.resource.api_version(), "metadata": metadata})
            }
            Shape::Metadata => metadata_of(&json!({"metadata": metadata})),
            Shape::Table(_) => {
                let partial = metadata_of(&json!({"metadata": metadata}));
                json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1",
                    "metadata": {"resourceVersion": self.cursor.to_string()}, "columnDefinitions": null,
                    "rows": [{"cells": table::blank_cells(self.resource), "object": partial}]})
            }
        };
        append(out, &json!({"type": "BOOKMARK", "object": object}));
        out.push(b'\n');
    }
}
