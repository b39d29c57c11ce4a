//! Responses: whole, streamed, gzipped, and what form of an answer a client accepts.

use std::io::{self, Write as _};
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream::{self, Stream};
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use serde_json::Value;

use super::route::Query;
use super::status::Failure;
use super::store::Stored;

/// A response's body. An error in it cuts the connection.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Answers smaller than this are not compressed, as in the API server.
const GZIP_FROM: usize = 128 * 1024;
/// How much of a long answer is made at a time.
pub(crate) const CHUNK: usize = 64 * 1024;

/// The form a client wants objects in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Json,
    Metadata,
    Table(Include),
}

/// How much of the object goes with a table's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Include {
    Nothing,
    Metadata,
    Object,
}

impl Shape {
    /// What the Accept header asks for first that is spoken here.
    pub(crate) fn negotiate(headers: &HeaderMap, query: &Query) -> Result<Self, Failure> {
        let accept = headers.get(ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("*/*");
        for wanted in accept.split(',') {
            let mut parts = wanted.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let form = parts.find_map(|p| p.strip_prefix("as="));
            match (media, form) {
                ("application/json" | "application/*" | "*/*" | "", None) => return Ok(Self::Json),
                ("application/json", Some("Table")) => return Ok(Self::Table(include(query)?)),
                ("application/json", Some("PartialObjectMetadataList" | "PartialObjectMetadata")) => {
                    return Ok(Self::Metadata);
                }
                _ => {}
            }
        }
        let message = "only the following media types are accepted: application/json";
        Err(Failure::new(406, "NotAcceptable", message))
    }
}

fn include(query: &Query) -> Result<Include, Failure> {
    match query.get("includeObject") {
        "" | "Metadata" => Ok(Include::Metadata),
        "None" => Ok(Include::Nothing),
        "Object" => Ok(Include::Object),
        other => Err(Failure::bad_request(format!("unrecognized includeObject value: {other:?}"))),
    }
}

/// A body that is there already.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A response of `code` with a body of `media` type.
pub(crate) fn respond(code: u16, media: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    response
}

/// JSON with `code`.
pub(crate) fn json(code: u16, value: &Value) -> Response<Body> {
    respond(code, "application/json", full(serde_json::to_vec(value).unwrap_or_default()))
}

/// Plain text.
pub(crate) fn text(code: u16, body: impl Into<Bytes>) -> Response<Body> {
    respond(code, "text/plain; charset=utf-8", full(body))
}

/// A failure as its `Status`.
pub(crate) fn failure(failure: &Failure) -> Response<Body> {
    let mut response = json(failure.code, &failure.to_json());
    if let Some(secs) = failure.retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(secs));
    }
    response
}

/// A body that is made while it is sent.
pub(crate) fn streamed(chunks: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Body {
    use futures::TryStreamExt as _;
    StreamBody::new(chunks.map_ok(Frame::data)).boxed_unsync()
}

/// How an object becomes an item of a list.
pub(crate) type Render = Box<dyn Fn(&Stored, &mut Vec<u8>) + Send + Sync>;

/// A list sent piece by piece, so that a long one never exists as a whole.
pub(crate) fn list(
    headers: &HeaderMap,
    head: String,
    items: Vec<Arc<Stored>>,
    tail: &'static str,
    render: Render,
) -> Response<Body> {
    let size: usize = items.iter().map(|o| o.json.len()).sum();
    let accepts = headers.get(ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let gzip = size >= GZIP_FROM && accepts.split(',').any(|e| e.trim().split(';').next() == Some("gzip"));
    let run = ListRun {
        head: Some(head),
        items: items.into_iter(),
        tail: Some(tail),
        first: true,
        render,
        out: if gzip { Sink::Gzip(GzEncoder::new(Vec::new(), Compression::fast())) } else { Sink::Plain },
    };
    let mut response = respond(200, "application/json", streamed(run.into_stream()));
    if gzip {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

struct ListRun {
    head: Option<String>,
    items: std::vec::IntoIter<Arc<Stored>>,
    tail: Option<&'static str>,
    first: bool,
    render: Render,
    out: Sink,
}

enum Sink {
    Plain,
    Gzip(GzEncoder<Vec<u8>>),
}

impl ListRun {
    fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send {
        stream::unfold(self, |mut run| async move {
            let chunk = run.next_chunk()?;
            Some((chunk, run))
        })
    }

    fn next_chunk(&mut self) -> Option<io::Result<Bytes>> {
        self.tail?;
        loop {
            let mut piece = self.head.take().map_or_else(Vec::new, String::into_bytes);
            while piece.len() < CHUNK {
                let Some(object) = self.items.next() else {
                    piece.extend_from_slice(self.tail.take().unwrap_or_default().as_bytes());
                    break;
                };
                if !std::mem::take(&mut self.first) {
                    piece.push(b',');
                }
                (self.render)(&object, &mut piece);
            }
            let ended = self.tail.is_none();
            let chunk = match &mut self.out {
                Sink::Plain => Ok(piece),
                Sink::Gzip(encoder) => encoder.write_all(&piece).and_then(|()| {
                    if ended {
                        encoder.try_finish()?;
                    }
                    Ok(std::mem::take(encoder.get_mut()))
                }),
            };
            // A compressor may keep a piece to itself; an empty chunk would say nothing.
            match chunk {
                Ok(bytes) if bytes.is_empty() && !ended => {}
                other => return Some(other.map(Bytes::from)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(accept: &str) -> Result<Shape, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_str(accept).expect("ascii"));
        Shape::negotiate(&headers, &Query::default())
    }

    #[test]
    fn negotiates() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(shape(kubectl), Ok(Shape::Table(Include::Metadata)));
        assert_eq!(shape("application/vnd.kubernetes.protobuf, application/json"), Ok(Shape::Json));
        assert_eq!(shape("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"), Ok(Shape::Metadata));
        assert_eq!(shape("*/*"), Ok(Shape::Json));
        assert_eq!(shape("application/vnd.kubernetes.protobuf").map_err(|f| f.code), Err(406));
    }
}
