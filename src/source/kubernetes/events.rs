//! A watch's events as they arrive, whichever way they are written.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::decode::{self, Event, Lines, Meta, Status, garbage};
use super::project::{ProjectError, Projector, Row};
use super::protobuf::{self, Fields, Frames, Malformed};
use crate::domain::{ObjectId, Text};
use crate::source::SourceError;
use crate::store::observation::Feed;

/// The object of an event, not looked into yet.
#[derive(Clone, Copy)]
pub(super) enum Object<'a> {
    Json(&'a RawValue),
    /// The message, out of its envelope.
    Protobuf(&'a [u8]),
}

impl Object<'_> {
    pub(super) fn row(self, feed: Feed, projector: &mut Projector) -> Result<Row, ProjectError> {
        match self {
            Self::Json(raw) => projector.row(feed, raw.get()),
            Self::Protobuf(bytes) => projector.row_of_protobuf(feed, bytes),
        }
    }

    pub(super) fn id(self, feed: Feed, projector: &mut Projector) -> Result<ObjectId, ProjectError> {
        match self {
            Self::Json(raw) => projector.id(feed, raw.get()),
            Self::Protobuf(bytes) => projector.id_of_protobuf(feed, bytes),
        }
    }

    pub(super) fn meta(self) -> Option<Meta> {
        match self {
            Self::Json(raw) => decode::meta(raw),
            Self::Protobuf(bytes) => meta(bytes).ok(),
        }
    }

    /// The object of an `ERROR`.
    pub(super) fn status(self) -> Status {
        match self {
            Self::Json(raw) => serde_json::from_str(raw.get()).unwrap_or_default(),
            Self::Protobuf(bytes) => status(bytes).unwrap_or_default(),
        }
    }
}

/// The version of an object. Streaming lists are asked for as JSON only, so a
/// bookmark's annotations are of no use here.
fn meta(object: &[u8]) -> Result<Meta, Malformed> {
    let mut meta = Meta::default();
    for field in Fields::of(object) {
        let (1, value) = field? else { continue };
        for field in Fields::of(value.bytes()?) {
            if let (6, value) = field? {
                meta.resource_version = value.text()?.into_owned();
            }
        }
    }
    Ok(meta)
}

fn status(object: &[u8]) -> Result<Status, Malformed> {
    let mut status = Status::default();
    for field in Fields::of(object) {
        match field? {
            (3, v) => status.message = v.text()?.into_owned(),
            (4, v) => status.reason = v.text()?.into_owned(),
            (5, v) => {
                for field in Fields::of(v.bytes()?) {
                    if let (5, v) = field? {
                        status.details.retry_after_seconds = v.count()?.into();
                    }
                }
            }
            (6, v) => status.code = u16::try_from(v.count()?).map_err(|_| Malformed)?,
            _ => {}
        }
    }
    Ok(status)
}

/// Type and object of an event.
type Parts<'a> = (Cow<'a, str>, Object<'a>);

/// The body of a watch, cut into events.
pub(super) enum Stream {
    Json(Lines),
    Protobuf(Frames),
}

impl Stream {
    /// For an answer of this kind.
    pub(super) fn of(content_type: &str) -> Self {
        if content_type.starts_with(protobuf::CONTENT_TYPE) {
            Self::Protobuf(Frames::default())
        } else {
            Self::Json(Lines::default())
        }
    }

    /// Takes in a chunk.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        match self {
            Self::Json(lines) => lines.push(chunk),
            Self::Protobuf(frames) => frames.push(chunk),
        }
    }

    /// The whole events received and not taken. The first that makes no sense is the last.
    pub(super) fn events(&self) -> Vec<Result<Parts<'_>, SourceError>> {
        match self {
            Self::Json(lines) => lines
                .iter()
                .map(|line| match serde_json::from_slice::<Event<'_>>(line) {
                    Ok(event) => Ok((event.kind, Object::Json(event.object))),
                    Err(e) => Err(garbage("a line of the watch", &e)),
                })
                .collect(),
            Self::Protobuf(frames) => frames
                .iter()
                .map(|frame| {
                    let event = frame.and_then(protobuf::event);
                    let malformed = |Malformed| SourceError::Garbage { what: Text::new("the watch (as protobuf)") };
                    event.map(|(kind, object)| (kind, Object::Protobuf(object))).map_err(malformed)
                })
                .collect(),
        }
    }

    /// Forgets the whole events; the beginning of the next one stays.
    pub(super) fn take(&mut self) {
        match self {
            Self::Json(lines) => lines.take(),
            Self::Protobuf(frames) => frames.take(),
        }
    }

    /// How many events were too long to keep since this was last asked.
    pub(super) fn dropped(&mut self) -> u32 {
        match self {
            Self::Json(lines) => lines.dropped(),
            // Too long a frame is no frame.
            Self::Protobuf(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_reads_the_same_both_ways() {
        // `{"message":"too old","reason":"Expired","details":{"retryAfterSeconds":3},"code":410}`
        let bytes =
            [&[0x1a, 7][..], b"too old", &[0x22, 7], b"Expired", &[0x2a, 2, 0x28, 3], &[0x30, 0x9a, 3]].concat();
        let json = r#"{"message":"too old","reason":"Expired","details":{"retryAfterSeconds":3},"code":410}"#;
        let json = RawValue::from_string(json.to_owned()).unwrap();
        for status in [Object::Protobuf(&bytes).status(), Object::Json(&json).status()] {
            assert_eq!((status.message.as_str(), status.reason.as_str(), status.code), ("too old", "Expired", 410));
            assert_eq!(status.details.retry_after_seconds, 3);
        }
    }

    #[test]
    fn the_language_is_that_of_the_answer() {
        assert!(matches!(Stream::of("application/json"), Stream::Json(_)));
        assert!(matches!(Stream::of("application/vnd.kubernetes.protobuf;stream=watch"), Stream::Protobuf(_)));
    }
}
