//! A recording proxy: passes every request on to one server, and remembers those that would
//! change something there, as the wire says and not as anybody promises.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http::{Method, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// What was seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// How many requests there were.
    pub all: usize,
    /// How many went to which system.
    pub systems: BTreeMap<&'static str, usize>,
    /// Those that would change something.
    pub mutating: Vec<String>,
    /// What the watch said of those that it did not expect.
    pub unexpected: Vec<String>,
}

/// Looks at a request that would change something before it is passed on: what it is, and its body.
/// An error is kept among [`Seen::unexpected`].
pub type Watch = Arc<dyn Fn(&str, &str) -> Result<(), String> + Send + Sync>;

/// A proxy that runs until it is dropped.
pub struct Proxy {
    /// Where it listens.
    pub addr: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// In front of the server at `to`.
    pub async fn before(to: SocketAddr, watch: Watch) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Small answers do not wait for each other.
                let _ = stream.set_nodelay(true);
                let (seen, watch) = (Arc::clone(&shared), Arc::clone(&watch));
                tokio::spawn(async move {
                    let service = service_fn(move |request| pass(request, to, Arc::clone(&seen), Arc::clone(&watch)));
                    let served = hyper::server::conn::http1::Builder::new();
                    // A client that hangs up is no failure of the proxy's.
                    let _ = served.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
                });
            }
        });
        Self { addr, seen, task }
    }

    /// What was seen so far.
    pub fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().expect("nobody panics with it")
    }
}

type Answer = Response<BoxBody<Bytes, hyper::Error>>;

async fn pass(
    mut request: Request<Incoming>,
    to: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    watch: Watch,
) -> Result<Answer, hyper::Error> {
    let ours = request.headers().contains_key(http::header::UPGRADE).then(|| hyper::upgrade::on(&mut request));
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let change = mutates(&head, &body);
    let unexpected = change.as_ref().and_then(|what| watch(what, &String::from_utf8_lossy(&body)).err());
    {
        let mut seen = seen.lock().expect("nobody panics with it");
        seen.all += 1;
        *seen.systems.entry(system(&head)).or_default() += 1;
        seen.mutating.extend(change);
        seen.unexpected.extend(unexpected);
    }
    let gone = |what: &str| {
        let body = Full::new(Bytes::from(what.to_owned())).map_err(|never| match never {}).boxed();
        Response::builder().status(502).body(body).expect("an answer")
    };
    let Ok(stream) = TcpStream::connect(to).await else { return Ok(gone("the server is gone")) };
    let _ = stream.set_nodelay(true);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        let _ = connection.with_upgrades().await;
    });
    let mut answer = sender.send_request(Request::from_parts(head, Full::new(body))).await?;
    if let Some(ours) = ours.filter(|_| answer.status() == http::StatusCode::SWITCHING_PROTOCOLS) {
        let theirs = hyper::upgrade::on(&mut answer);
        tokio::spawn(async move {
            if let (Ok(ours), Ok(theirs)) = (ours.await, theirs.await) {
                let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(ours), &mut TokioIo::new(theirs)).await;
            }
        });
    }
    Ok(answer.map(BodyExt::boxed))
}

/// Which of the systems behind the one address a request is for.
fn system(head: &http::request::Parts) -> &'static str {
    let signed = head.headers.get(http::header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    match head.uri.path() {
        path if path.starts_with("/prometheus/") => "prometheus",
        path if path.starts_with("/alertmanager/") => "alertmanager",
        _ if signed.is_some_and(|v| v.starts_with("AWS4-")) => "aws",
        _ => "kubernetes",
    }
}

/// What a request would change; `None` for one that only asks.
fn mutates(head: &http::request::Parts, body: &[u8]) -> Option<String> {
    let path = head.uri.path();
    let asks = |operation: &str| {
        ["Describe", "List", "Get", "Filter", "BatchGet"].iter().any(|verb| operation.starts_with(verb))
    };
    let what = format!("{} {path}", head.method);
    // A shell in a container is a GET on the wire.
    if head.headers.contains_key(http::header::UPGRADE) {
        return Some(what);
    }
    if head.method == Method::GET || head.method == Method::HEAD {
        return None;
    }
    if head.method != Method::POST {
        return Some(what);
    }
    let operation = if let Some(target) = head.headers.get("x-amz-target").and_then(|t| t.to_str().ok()) {
        target.rsplit('.').next().map(str::to_owned)
    } else if let Some((_, operation)) = path.rsplit_once("/operation/") {
        Some(operation.to_owned())
    } else {
        let form = String::from_utf8_lossy(body);
        form.split('&').find_map(|pair| pair.strip_prefix("Action=")).map(str::to_owned)
    };
    if let Some(operation) = operation {
        return (!asks(&operation)).then(|| format!("{what} {operation}"));
    }
    let reviews = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"].iter().any(|r| path.ends_with(r));
    let queries = ["/api/v1/query", "/api/v1/query_range", "/api/v1/series"].iter().any(|q| path.ends_with(q));
    (!reviews && !queries).then_some(what)
}
