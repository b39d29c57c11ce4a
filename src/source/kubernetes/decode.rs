//! Bytes to watch events, lists and statuses, without copying objects.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::Text;
use crate::source::SourceError;

/// No object is larger: etcd takes 1.5 MiB, and a watch line holds one object.
const MAX_LINE: usize = 16 << 20;

/// Collects chunks and gives back whole lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// How much of the buffer is whole lines.
    whole: usize,
    /// Dropping the rest of a line that was too long.
    dropping: bool,
    dropped: u32,
}

impl Lines {
    /// Takes in a chunk. Call [`Lines::take`] after the lines were read.
    pub(super) fn push(&mut self, mut chunk: &[u8]) {
        if self.dropping {
            let Some(end) = chunk.iter().position(|b| *b == b'\n') else { return };
            chunk = &chunk[end + 1..];
            self.dropping = false;
        }
        let old = self.buffer.len();
        self.buffer.extend_from_slice(chunk);
        if let Some(last) = chunk.iter().rposition(|b| *b == b'\n') {
            self.whole = old + last + 1;
        }
        if self.buffer.len() - self.whole > MAX_LINE {
            self.buffer.truncate(self.whole);
            self.dropping = true;
            self.dropped += 1;
        }
    }

    /// The whole lines received and not taken, without line ends, empty ones left out.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.buffer[..self.whole].split(|b| *b == b'\n').filter(|line| !line.is_empty())
    }

    /// Forgets the whole lines; the beginning of the next one stays.
    pub(super) fn take(&mut self) {
        self.buffer.drain(..self.whole);
        self.whole = 0;
        if self.buffer.capacity() > 1 << 20 && self.buffer.len() < 1 << 16 {
            self.buffer.shrink_to(1 << 16);
        }
    }

    /// How many lines were too long to keep since this was last asked.
    pub(super) fn dropped(&mut self) -> u32 {
        std::mem::take(&mut self.dropped)
    }

    /// What came after the last line end.
    pub(super) fn rest(&self) -> &[u8] {
        &self.buffer[self.whole..]
    }
}

/// One line of a watch.
#[derive(Debug, Deserialize)]
pub(super) struct Event<'a> {
    /// `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK` or `ERROR`.
    #[serde(rename = "type", borrow)]
    pub(super) kind: std::borrow::Cow<'a, str>,
    /// The object, not looked into.
    #[serde(borrow)]
    pub(super) object: &'a RawValue,
}

/// A page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Page<'a> {
    #[serde(default)]
    pub(super) metadata: Meta,
    #[serde(borrow, default, deserialize_with = "null_is_none")]
    pub(super) items: Vec<&'a RawValue>,
}

/// Go marshals an empty slice that was never made as `null`.
fn null_is_none<'de: 'a, 'a, D: serde::Deserializer<'de>>(d: D) -> Result<Vec<&'a RawValue>, D::Error> {
    Ok(Option::<Vec<&'a RawValue>>::deserialize(d)?.unwrap_or_default())
}

/// What we need of a list's or bookmark's metadata.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Meta {
    pub(super) resource_version: String,
    pub(super) r#continue: String,
    pub(super) annotations: Option<std::collections::BTreeMap<String, String>>,
}

impl Meta {
    /// True on the bookmark that ends a streaming list.
    pub(super) fn ends_initial_events(&self) -> bool {
        self.annotations.as_ref().is_some_and(|a| a.get("k8s.io/initial-events-end").is_some_and(|v| v == "true"))
    }
}

/// The metadata of an object.
pub(super) fn meta(object: &RawValue) -> Option<Meta> {
    #[derive(Deserialize)]
    struct Object {
        metadata: Meta,
    }
    serde_json::from_str::<Object>(object.get()).ok().map(|o| o.metadata)
}

/// A `metav1.Status`: what the server says when it says no.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    pub(super) code: u16,
    pub(super) message: String,
    pub(super) reason: String,
    pub(super) details: Details,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Details {
    pub(super) retry_after_seconds: u64,
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) causes: Vec<StatusCause>,
}

/// Why the server says no, one of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct StatusCause {
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) field: String,
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Vec<StatusCause>, D::Error> {
    Ok(Option::<Vec<StatusCause>>::deserialize(d)?.unwrap_or_default())
}

/// [`SourceError::Garbage`], with where the text stops making sense but none of it.
pub(super) fn garbage(what: &str, error: &serde_json::Error) -> SourceError {
    let what = format!("{what} (line {}, column {})", error.line(), error.column());
    SourceError::Garbage { what: Text::new(&what) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(chunks: &[&[u8]]) -> (Vec<Vec<u8>>, Vec<u8>) {
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.push(chunk);
            out.extend(lines.iter().map(<[u8]>::to_vec));
            lines.take();
        }
        (out, lines.rest().to_vec())
    }

    #[test]
    fn lines_across_chunks() {
        let (lines, rest) = split(&[b"on", b"e\ntwo\n\nth", b"", b"ree\nfo"]);
        assert_eq!(lines, [&b"one"[..], b"two", b"three"]);
        assert_eq!(rest, b"fo");
    }

    #[test]
    fn a_line_that_never_ends_is_dropped_and_the_next_is_read() {
        let mut lines = Lines::default();
        let chunk = vec![b'x'; 1 << 20];
        for _ in 0..20 {
            lines.push(&chunk);
            lines.take();
            assert!(lines.rest().len() <= MAX_LINE);
        }
        lines.push(b"tail\nnext\n");
        assert_eq!(lines.iter().collect::<Vec<_>>(), [b"next"]);
        assert_eq!((lines.dropped(), lines.dropped()), (1, 0));
    }

    #[test]
    fn an_event_is_not_looked_into() {
        let event: Event<'_> = serde_json::from_slice(br#"{"type":"ADDED","object":{"a": [1, 2]}}"#).unwrap();
        assert_eq!((event.kind.as_ref(), event.object.get()), ("ADDED", r#"{"a": [1, 2]}"#));
    }

    #[test]
    fn a_page_may_have_null_items() {
        let page: Page<'_> = serde_json::from_str(r#"{"metadata":{"resourceVersion":"7"},"items":null}"#).unwrap();
        assert_eq!((page.metadata.resource_version.as_str(), page.items.len()), ("7", 0));
        let page: Page<'_> =
            serde_json::from_str(r#"{"kind":"PodList","metadata":{"continue":"x"},"items":[{"a":1},{}]}"#).unwrap();
        assert_eq!((page.metadata.r#continue.as_str(), page.items.len()), ("x", 2));
    }

    #[test]
    fn the_bookmark_that_ends_the_initial_events() {
        let raw = |json: &str| serde_json::value::RawValue::from_string(json.to_owned()).unwrap();
        let end = raw(r#"{"metadata":{"resourceVersion":"9","annotations":{"k8s.io/initial-events-end":"true"}}}"#);
        assert!(meta(&end).unwrap().ends_initial_events());
        let plain = meta(&raw(r#"{"metadata":{"resourceVersion":"9"}}"#)).unwrap();
        assert!(!plain.ends_initial_events());
        assert_eq!(plain.resource_version, "9");
    }

    proptest! {
        #[test]
        fn chunk_boundaries_do_not_matter(
            lines in prop::collection::vec("[a-zé{}\"]{1,40}", 0..20),
            cuts in prop::collection::vec(0_usize..2000, 0..30),
        ) {
            let whole: Vec<u8> = lines.iter().flat_map(|l| format!("{l}\n").into_bytes()).collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(whole.len())).chain([0, whole.len()]).collect();
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &whole[w[0]..w[1]]).collect();
            let (got, rest) = split(&chunks);
            prop_assert_eq!(got, lines.iter().map(|l| l.as_bytes().to_vec()).collect::<Vec<_>>());
            prop_assert!(rest.is_empty());
        }
    }
}
