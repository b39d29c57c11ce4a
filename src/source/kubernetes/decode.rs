//! From a byte stream to lines, and from lines to watch events.

use std::borrow::Cow;

use bytes::{Buf, Bytes, BytesMut};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The longest line that is waited for; etcd's objects end far below.
const LONGEST: usize = 16 << 20;

/// Splits pieces of a body at line ends, wherever the pieces were cut.
#[derive(Debug, Default)]
pub struct Lines {
    buffer: BytesMut,
    /// Up to here there is no line end.
    searched: usize,
}

/// A line is longer than any object can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line of more than 16 MiB")]
pub struct TooLong;

impl Lines {
    /// Takes in a piece.
    ///
    /// # Errors
    /// When a line has grown past all reason.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), TooLong> {
        self.buffer.extend_from_slice(piece);
        if self.buffer.len() - self.searched > LONGEST { Err(TooLong) } else { Ok(()) }
    }

    /// The next whole line, without its end.
    pub fn next_line(&mut self) -> Option<Bytes> {
        let from = self.buffer.get(self.searched..)?;
        let Some(at) = memchr::memchr(b'\n', from) else {
            self.searched = self.buffer.len();
            return None;
        };
        let mut line = self.buffer.split_to(self.searched + at).freeze();
        self.buffer.advance(1);
        self.searched = 0;
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        Some(line)
    }

    /// What is left when the body ended: half a line, or nothing.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        &self.buffer
    }
}

/// One line of a watch.
#[derive(Debug, Deserialize)]
pub struct WatchEvent<'a> {
    /// `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK` or `ERROR`.
    #[serde(rename = "type", borrow)]
    pub kind: Cow<'a, str>,
    /// The object.
    #[serde(borrow)]
    pub object: &'a RawValue,
}

/// One page of a list.
#[derive(Debug, Deserialize)]
pub struct Page<'a> {
    /// The list's version and whether there is more.
    #[serde(default)]
    pub metadata: ListMeta,
    /// Its objects; null when there are none.
    #[serde(borrow, default)]
    pub items: Option<Vec<&'a RawValue>>,
}

/// A list's metadata.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListMeta {
    /// Where a watch goes on.
    #[serde(default)]
    pub resource_version: String,
    /// The next page, empty on the last.
    #[serde(default, rename = "continue")]
    pub next: Option<String>,
}

/// What a bookmark or an object says of its version.
#[derive(Debug, Deserialize)]
pub struct Versioned<'a> {
    /// Its metadata.
    #[serde(borrow)]
    pub metadata: VersionMeta<'a>,
}

/// The part of an object's metadata that watches need.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionMeta<'a> {
    /// Its version.
    #[serde(borrow, default)]
    pub resource_version: Cow<'a, str>,
    /// Where a bookmark says that the initial events have ended.
    #[serde(default)]
    pub annotations: Option<std::collections::HashMap<String, String>>,
}

/// The object of an `ERROR` event.
#[derive(Debug, Default, Deserialize)]
pub struct StatusObject {
    /// HTTP status.
    #[serde(default)]
    pub code: u16,
    /// Its message.
    #[serde(default)]
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lines_survive_any_cut(lines in prop::collection::vec("[a-z{}\" ]{0,40}", 0..20), cuts in prop::collection::vec(1_usize..17, 1..50)) {
            let whole: String = lines.iter().map(|l| format!("{l}\n")).collect();
            let mut decoder = Lines::default();
            let mut out = Vec::new();
            let (mut rest, mut cuts) = (whole.as_bytes(), cuts.into_iter().cycle());
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
                decoder.feed(piece).expect("short");
                rest = after;
                while let Some(line) = decoder.next_line() {
                    out.push(String::from_utf8_lossy(&line).into_owned());
                }
            }
            prop_assert_eq!(out, lines);
            prop_assert!(decoder.rest().is_empty());
        }
    }

    #[test]
    fn events_and_pages_are_read() {
        let event: WatchEvent<'_> =
            serde_json::from_str(r#"{"type":"ADDED","object":{"metadata":{"resourceVersion":"7"}}}"#).expect("event");
        let object: Versioned<'_> = serde_json::from_str(event.object.get()).expect("object");
        assert_eq!((event.kind.as_ref(), object.metadata.resource_version.as_ref()), ("ADDED", "7"));
        let page: Page<'_> = serde_json::from_str(
            r#"{"kind":"PodList","metadata":{"resourceVersion":"9","continue":"x"},"items":null}"#,
        )
        .expect("page");
        assert_eq!(page.metadata.next.as_deref(), Some("x"));
    }
}
