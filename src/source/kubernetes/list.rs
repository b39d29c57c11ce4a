//! Everything of one kind, once: in pages, or as one protobuf list.

use http_body_util::BodyExt;
use kube::client::Body as Answer;

use super::client::{ANSWER, Connected, content_type, cut};
use super::decode::{Page, garbage};
use super::paths;
use super::protobuf::{self, ListMeta, Malformed};
use super::watch::Watcher;
use crate::domain::Text;
use crate::source::SourceError;
use crate::store::observation::{Body, Feed};

/// Objects to a page.
const PAGE: u32 = 500;
/// The first page of a kind that may be large: soon there, and a screenful.
const FIRST_PAGE: u32 = 250;

/// What a listing came to.
pub(super) enum Listed {
    /// All of it is known: follow from its version.
    All,
    /// Only a page: the server speaks JSON, and more there is where this token says.
    Begun(String),
}

impl Watcher {
    /// True for kinds that we read as protobuf: those there are most of, and the
    /// largest. The others are few enough for JSON.
    pub(super) fn reads_protobuf(&self) -> bool {
        matches!(self.feed, Feed::Tasks | Feed::Nodes)
    }

    /// Lists a kind that may be large: a page for the screen, then the rest as
    /// one list from the server's cache, compressed.
    pub(super) async fn list(&mut self, connected: &Connected) -> Result<Listed, SourceError> {
        self.begin().await;
        let path = paths::list(self.feed, self.link.spec.namespace.as_deref());
        let answer = connected.get(&format!("{path}?limit={FIRST_PAGE}"), protobuf::ACCEPT).await?;
        let speaks = is_protobuf(&answer);
        let first = self.read(connected, answer).await?;
        if first.r#continue.is_empty() {
            self.complete(first.resource_version).await;
            return Ok(Listed::All);
        }
        if !speaks {
            return Ok(Listed::Begun(first.r#continue));
        }
        let version = paths::encode(&first.resource_version);
        let whole = format!("{path}?resourceVersion={version}&resourceVersionMatch=NotOlderThan");
        match connected.get(&whole, protobuf::ACCEPT).await {
            Ok(answer) => {
                // What goes away between the two is in the first alone.
                self.begin().await;
                let all = self.read(connected, answer).await?;
                self.complete(all.resource_version).await;
            }
            // A cache that lags behind says so: pages do not need it.
            Err(SourceError::Server { .. } | SourceError::Expired) => {
                self.pages(connected, first.r#continue).await?;
            }
            Err(error) => return Err(error),
        }
        Ok(Listed::All)
    }

    /// Lists in pages, on from `next` or from the start where that is empty.
    pub(super) async fn pages(&mut self, connected: &Connected, mut next: String) -> Result<(), SourceError> {
        let list = paths::list(self.feed, self.link.spec.namespace.as_deref());
        let accept = if self.reads_protobuf() { protobuf::ACCEPT } else { "application/json" };
        if next.is_empty() {
            self.begin().await;
        }
        loop {
            let position = if next.is_empty() { next } else { format!("&continue={}", paths::encode(&next)) };
            let answer = connected.get(&format!("{list}?limit={PAGE}{position}"), accept).await?;
            let meta = self.read(connected, answer).await?;
            next = meta.r#continue;
            if next.is_empty() {
                self.complete(meta.resource_version).await;
                return Ok(());
            }
        }
    }

    async fn complete(&mut self, version: String) {
        self.version = Some(version);
        self.supervisor.synced().await;
        self.answered();
    }

    async fn begin(&mut self) {
        self.batch = super::watch::Batch::default();
        self.supervisor.emit(Body::Begin).await;
    }

    /// Reads an answer that is a list, whichever way it is written.
    async fn read(&mut self, connected: &Connected, answer: http::Response<Answer>) -> Result<ListMeta, SourceError> {
        let meta = if is_protobuf(&answer) {
            self.read_protobuf(connected, answer.into_body()).await?
        } else {
            let json = connected.collect(answer).await?;
            let page: Page<'_> = serde_json::from_slice(&json).map_err(|e| garbage("the list", &e))?;
            for item in page.items {
                match self.projector.row(self.feed, item.get()) {
                    Ok(row) => self.upsert(row).await,
                    Err(e) => self.note(&format!("skipped: {e}")).await,
                }
            }
            ListMeta { resource_version: page.metadata.resource_version, r#continue: page.metadata.r#continue }
        };
        self.flush().await;
        Ok(meta)
    }

    async fn read_protobuf(&mut self, connected: &Connected, mut body: Answer) -> Result<ListMeta, SourceError> {
        let malformed = |Malformed| SourceError::Garbage { what: Text::new("the list (as protobuf)") };
        let mut list = protobuf::List::default();
        loop {
            let frame = tokio::time::timeout(ANSWER, body.frame())
                .await
                .map_err(|_| SourceError::TimedOut { what: connected.endpoint.clone(), after: ANSWER })?;
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|e| cut(&connected.endpoint, &e))?;
            list.push(&frame.into_data().unwrap_or_default());
            while let Some(place) = list.next().map_err(malformed)? {
                match self.projector.row_of_protobuf(self.feed, list.item(place)) {
                    Ok(row) => self.upsert(row).await,
                    Err(e) => self.note(&format!("skipped: {e}")).await,
                }
            }
        }
        list.finish().ok_or_else(|| super::watch::cut_short(connected))
    }
}

fn is_protobuf(answer: &http::Response<Answer>) -> bool {
    content_type(answer).starts_with(protobuf::CONTENT_TYPE)
}
