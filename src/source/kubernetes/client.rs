//! Connecting, asking, and saying what went wrong in our own words.

use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_TYPE, LOCATION, RETRY_AFTER, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use kube::client::Body;
use kube::config::{ExecInteractiveMode, KubeConfigOptions};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::decode::Status;
use super::spec::{self, ClusterSpec};
use super::writer::Permit;
use crate::domain::Text;
use crate::source::SourceError;
use crate::source::supervise::{Budget, Priority};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a credential command may take.
const CREDENTIALS: Duration = Duration::from_secs(30);
/// How long the server may take to begin its answer.
pub(super) const ANSWER: Duration = Duration::from_secs(30);
/// A whole answer that is held at once is never larger.
const MAX_BODY: usize = 256 << 20;
/// Feeds that fail to connect together share one attempt for this long.
const SHARE_FAILURE: Duration = Duration::from_millis(300);

/// Requests to one cluster at once, and then a second: room for a list of ten
/// thousand in pages, and never a flood.
const BURST: u16 = 40;
const PER_SECOND: u16 = 20;

/// A way to one cluster, shared by its feeds: one client, made when first asked for.
pub(super) struct Link {
    pub(super) spec: ClusterSpec,
    slot: Mutex<Slot>,
    /// Set when the server turned a streaming list down, so that the other feeds need not ask.
    pub(super) pages_only: AtomicBool,
    budget: Arc<Budget>,
}

#[derive(Default)]
struct Slot {
    connected: Option<Connected>,
    failed: Option<(Instant, SourceError)>,
    /// A client being made that took too long. A command cannot be interrupted, so
    /// it is waited for again instead of being started once more beside itself.
    late: Option<Making>,
}

/// A client on its way: the thread that runs the credential command, and where it goes.
struct Making {
    thread: JoinHandle<Result<kube::Client, SourceError>>,
    endpoint: Text,
}

/// A client, and where it goes.
#[derive(Clone)]
///
/// By itself it only reads: [`reads`] says what it will send. What changes something takes the
/// [`Permit`] that only a [`super::Writer`] has.
pub(super) struct Connected {
    client: kube::Client,
    pub(super) endpoint: Text,
    refused: Arc<AtomicBool>,
    budget: Arc<Budget>,
    priority: Priority,
}

impl Link {
    pub(super) fn new(spec: ClusterSpec) -> Self {
        Self {
            spec,
            slot: Mutex::default(),
            pages_only: AtomicBool::new(false),
            budget: Arc::new(Budget::new(BURST, PER_SECOND)),
        }
    }

    /// The client; reads the kubeconfig and runs its credential command if there is none yet.
    pub(super) async fn connect(&self) -> Result<Connected, SourceError> {
        let mut slot = self.slot.lock().await;
        if let Some(connected) = &slot.connected
            && !connected.refused.load(Ordering::Relaxed)
        {
            return Ok(connected.clone());
        }
        slot.connected = None;
        if let Some((at, error)) = &slot.failed
            && at.elapsed() < SHARE_FAILURE
        {
            return Err(error.clone());
        }
        match build(&self.spec, &mut slot.late, CREDENTIALS).await {
            Ok((client, endpoint)) => {
                let (refused, budget) = (Arc::default(), Arc::clone(&self.budget));
                let connected = Connected { client, endpoint, refused, budget, priority: Priority::Wanted };
                slot.failed = None;
                Ok(slot.connected.insert(connected).clone())
            }
            Err(error) => {
                slot.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}

async fn build(
    spec: &ClusterSpec,
    late: &mut Option<Making>,
    patience: Duration,
) -> Result<(kube::Client, Text), SourceError> {
    let mut making = match late.take() {
        Some(making) => making,
        None => start(spec).await?,
    };
    match tokio::time::timeout(patience, &mut making.thread).await {
        Ok(Ok(client)) => Ok((client?, making.endpoint)),
        Ok(Err(_)) => Err(SourceError::Credentials { what: Text::new("making the client was interrupted") }),
        Err(_) => {
            *late = Some(making);
            let what = format!(
                "the kubeconfig's credential command did not end within {} s; it may be waiting for an answer",
                patience.as_secs()
            );
            Err(SourceError::Credentials { what: Text::new(&what) })
        }
    }
}

/// Reads the kubeconfig and begins to make a client of it.
async fn start(spec: &ClusterSpec) -> Result<Making, SourceError> {
    let (kubeconfig, context) = (spec.kubeconfig.clone(), spec.context.clone());
    let files = spec::files(&kubeconfig);
    let file = blocking(move || spec::load(&kubeconfig)).await??;
    let mut config = match file {
        Some(file) => {
            spec::check_user(&file, context.as_deref(), &files)?;
            let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
            kube::Config::from_custom_kubeconfig(file, &options).await.map_err(|e| spec::config_error(&e, &files))?
        }
        None => kube::Config::incluster().map_err(|_| SourceError::Config {
            what: Text::new("there is none; set KUBECONFIG, write ~/.kube/config, or start with --demo to look around"),
        })?,
    };
    config.connect_timeout = Some(CONNECT);
    // Watches are silent for long; each request has its own time limit instead.
    config.read_timeout = None;
    config.default_retry = false;
    let plugin = Plugin::of(&config);
    if let Some(exec) = &mut config.auth_info.exec {
        // The terminal is ours: a command that wants to ask must fail instead.
        exec.interactive_mode = Some(ExecInteractiveMode::Never);
    }
    let mut endpoint = endpoint(&config.cluster_url);
    if let Some(proxy) = &config.proxy_url {
        // Without its user and password.
        endpoint = Text::new(&format!("{endpoint} (through the proxy {})", self::endpoint(proxy)));
    }
    let at = endpoint.clone();
    let thread =
        tokio::task::spawn_blocking(move || kube::Client::try_from(config).map_err(|e| plugin.explain(&e, &at)));
    Ok(Making { thread, endpoint })
}

/// The credential command of a kubeconfig: its name is no secret, its arguments and variables are.
#[derive(Default)]
struct Plugin {
    program: String,
    /// What the kubeconfig says to somebody who does not have it.
    hint: String,
}

impl Plugin {
    fn of(config: &kube::Config) -> Self {
        let exec = config.auth_info.exec.as_ref();
        exec.map_or_else(Self::default, |exec| Self {
            program: exec.command.clone().unwrap_or_default(),
            hint: exec.install_hint.clone().unwrap_or_default(),
        })
    }

    /// [`classify`], with the command by its name where that could not be started.
    fn explain(&self, error: &kube::Error, endpoint: &Text) -> SourceError {
        let start = chain(error).find_map(|e| match e.downcast_ref::<kube::client::AuthError>() {
            Some(kube::client::AuthError::AuthExecStart(io)) => Some(io),
            _ => None,
        });
        let Some(io) = start else { return classify(error, endpoint) };
        let program = &self.program;
        let why = if io.kind() == std::io::ErrorKind::NotFound {
            format!("the kubeconfig's credential command `{program}` is not installed, or not in PATH")
        } else {
            format!("the kubeconfig's credential command `{program}` cannot be started: {io}")
        };
        // A hint is often several lines long.
        let hint: Vec<&str> = self.hint.split_whitespace().collect();
        let hint: String = hint.join(" ").chars().take(300).collect();
        let what = if hint.is_empty() { format!("{why}; install it, then ctrl-r") } else { format!("{why}; {hint}") };
        SourceError::Login { what: Text::new(&what) }
    }
}

/// Runs what may wait for a file off the async threads, within a time.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, SourceError> {
    match tokio::time::timeout(CONNECT, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(_)) => Err(SourceError::Config { what: Text::new("reading it was interrupted; it is read again") }),
        Err(_) => Err(SourceError::TimedOut { what: Text::new("the kubeconfig's file system"), after: CONNECT }),
    }
}

/// Host and port, nothing else of the URL.
fn endpoint(url: &http::Uri) -> Text {
    let port = url.port_u16().unwrap_or(if url.scheme_str() == Some("http") { 80 } else { 443 });
    Text::new(&format!("{}:{port}", url.host().unwrap_or("?")))
}

impl Connected {
    /// The same connection for requests that nobody waits for.
    pub(super) fn in_background(self) -> Self {
        Self { priority: Priority::Background, ..self }
    }

    /// Sends a GET that says which languages are understood, and returns the
    /// answer once its head is there and says success.
    pub(super) async fn get(&self, path: &str, accept: &'static str) -> Result<Response<Body>, SourceError> {
        self.send(Request::get(path).header(ACCEPT, accept), Vec::new()).await
    }

    /// The same for an answer that goes on and on.
    pub(super) async fn watch(&self, path: &str, accept: &'static str) -> Result<Response<Body>, SourceError> {
        // Some servers compress each event of a watch as a gzip member of its
        // own, and the client reads only the first.
        let request = Request::get(path).header(ACCEPT, accept).header(ACCEPT_ENCODING, "identity");
        self.send(request, Vec::new()).await
    }

    /// Sends a GET and returns the whole answer.
    pub(super) async fn get_all(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        let response = self.get(path, "application/json").await?;
        self.collect(response).await
    }

    /// Asks whether we may do something, and returns the whole answer.
    pub(super) async fn review(&self, json: Vec<u8>) -> Result<Vec<u8>, SourceError> {
        let request = Request::post(REVIEWS).header(CONTENT_TYPE, "application/json");
        let response = self.send(request, json).await?;
        self.collect(response).await
    }

    /// The client itself, for what changes something.
    pub(super) fn client(&self, _: &Permit) -> &kube::Client {
        &self.client
    }

    /// Waits until one more request may be sent.
    pub(super) async fn turn(&self) {
        self.budget.take(self.priority).await;
    }

    /// The credentials were refused: the next one to ask gets a client made anew.
    pub(super) fn refuse(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }

    /// Sends a GET, or a POST of a form, and returns whatever is answered: what stands
    /// behind the API has errors of its own.
    #[cfg(feature = "prometheus")]
    pub(super) async fn raw(
        &self,
        path: &str,
        form: Option<String>,
        limit: usize,
    ) -> Result<(u16, Option<Duration>, Vec<u8>), SourceError> {
        let request = match &form {
            Some(_) => Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded"),
            None => Request::get(path),
        };
        let body = Body::from(form.unwrap_or_default().into_bytes());
        let request = request.header(ACCEPT, "application/json").body(body);
        let request = request.map_err(|e| SourceError::Config { what: Text::new(&e.to_string()) })?;
        reads_only(&request)?;
        self.budget.take(self.priority).await;
        let response = self.client.send(request).await.map_err(|e| classify(&e, &self.endpoint))?;
        let (head, body) = response.into_parts();
        let wait =
            head.headers.get(RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok()).map(bounded);
        let mut body = Limited::new(body, limit);
        let mut all = Vec::new();
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => all.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Err(e) if e.is::<http_body_util::LengthLimitError>() => {
                    return Err(SourceError::TooLarge { endpoint: self.endpoint.clone(), limit: limit as u64 });
                }
                Err(e) => return Err(cut(&self.endpoint, e.as_ref())),
            }
        }
        Ok((head.status.as_u16(), wait, all))
    }

    /// Asks for a websocket that speaks one of these subprotocols: the connection, and the one that was chosen.
    pub(super) async fn upgrade(
        &self,
        _: &Permit,
        path: &str,
        protocols: &'static str,
    ) -> Result<(hyper::upgrade::Upgraded, String), SourceError> {
        let key = generate_key();
        let request = Request::get(path)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, &key)
            .header(SEC_WEBSOCKET_PROTOCOL, protocols);
        let request =
            request.body(Body::empty()).map_err(|e| SourceError::Config { what: Text::new(&e.to_string()) })?;
        let response = self.deliver(request).await?;
        let (protocol, is_it) = {
            let header = |name| response.headers().get(name).and_then(|v: &http::HeaderValue| v.to_str().ok());
            let protocol = header(SEC_WEBSOCKET_PROTOCOL).unwrap_or_default().to_owned();
            let is_it = response.status() == StatusCode::SWITCHING_PROTOCOLS
                && header(SEC_WEBSOCKET_ACCEPT) == Some(&derive_accept_key(key.as_bytes()))
                && protocols.split(", ").any(|p| p == protocol);
            (protocol, is_it)
        };
        if !is_it {
            let what = "the answer to a websocket: a server before Kubernetes 1.29, or a proxy that passes none on,";
            return Err(SourceError::Garbage { what: Text::new(what) });
        }
        let upgraded = tokio::time::timeout(ANSWER, hyper::upgrade::on(response)).await;
        let upgraded = upgraded.map_err(|_| SourceError::TimedOut { what: self.endpoint.clone(), after: ANSWER })?;
        Ok((upgraded.map_err(|e| cut(&self.endpoint, &e))?, protocol))
    }

    async fn send(&self, request: http::request::Builder, body: Vec<u8>) -> Result<Response<Body>, SourceError> {
        let request =
            request.body(Body::from(body)).map_err(|e| SourceError::Config { what: Text::new(&e.to_string()) })?;
        reads_only(&request)?;
        self.deliver(request).await
    }

    /// Sends what somebody else has looked at.
    async fn deliver(&self, request: Request<Body>) -> Result<Response<Body>, SourceError> {
        let path = Text::new(request.uri().path());
        self.budget.take(self.priority).await;
        let response = tokio::time::timeout(ANSWER, self.client.send(request))
            .await
            .map_err(|_| SourceError::TimedOut { what: self.endpoint.clone(), after: ANSWER })?
            .map_err(|e| classify(&e, &self.endpoint))?;
        // Only who asked for another protocol gets a 101.
        if response.status().is_success() || response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(response);
        }
        if response.status() == StatusCode::UNAUTHORIZED {
            // The next one to ask gets a client made anew, with the credentials read again.
            self.refused.store(true, Ordering::Relaxed);
        }
        if response.status().is_redirection() {
            let to = response.headers().get(LOCATION).and_then(|v| v.to_str().ok());
            return Err(redirected(response.status(), to.unwrap_or_default()));
        }
        let (head, body) = response.into_parts();
        let body = tokio::time::timeout(Duration::from_secs(5), Limited::new(body, 64 << 10).collect()).await;
        let body = body.ok().and_then(Result::ok).map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let status: Status = serde_json::from_slice(&body).unwrap_or_default();
        Err(refusal(head.status, retry_after(&head.headers, &status), &status.message, path.as_str()))
    }

    pub(super) async fn collect(&self, response: Response<Body>) -> Result<Vec<u8>, SourceError> {
        let mut body = Limited::new(response.into_body(), MAX_BODY);
        let mut all = Vec::new();
        loop {
            let frame = tokio::time::timeout(ANSWER, body.frame())
                .await
                .map_err(|_| SourceError::TimedOut { what: self.endpoint.clone(), after: ANSWER })?;
            match frame {
                None => return Ok(all),
                Some(Ok(frame)) => all.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Some(Err(e)) => return Err(cut(&self.endpoint, e.as_ref())),
            }
        }
    }
}

/// Where one asks what one may do. It changes nothing.
pub(super) const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// Whether a request changes nothing: a GET, the question what we may do, and a form for a service behind
/// the API, which is how a metrics system is asked what is too long for a URL.
fn reads(method: &http::Method, path: &str, media: &str) -> bool {
    // `api/v1/namespaces/NS/KIND/NAME/PART`; a terminal or a port is opened with a GET, too.
    let parts: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    let is = |kind: &str, part: &[&str]| parts.get(4) == Some(&kind) && parts.get(6).is_some_and(|p| part.contains(p));
    let opens = is("pods", &["exec", "attach", "portforward"]);
    let form = media == "application/x-www-form-urlencoded" && is("services", &["proxy"]);
    match *method {
        http::Method::GET => !opens,
        http::Method::POST => path == REVIEWS || form,
        _ => false,
    }
}

/// The last check of what is sent by those who only read; it is for our own mistakes.
fn reads_only<B>(request: &Request<B>) -> Result<(), SourceError> {
    let media = request.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if reads(request.method(), request.uri().path(), media) {
        return Ok(());
    }
    let what = format!("{} {} would change something, and is not sent", request.method(), request.uri().path());
    Err(SourceError::Config { what: Text::new(&what) })
}

/// What an answer says it is; empty if nothing.
pub(super) fn content_type(response: &Response<Body>) -> String {
    let value = response.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    value.unwrap_or_default().to_owned()
}

/// The connection broke in the middle of an answer.
pub(super) fn cut(endpoint: &Text, error: &(dyn StdError + 'static)) -> SourceError {
    let reason = Text::new(&format!("the connection broke ({})", innermost(error)));
    SourceError::Unreachable { endpoint: endpoint.clone(), reason }
}

pub(super) fn retry_after(headers: &HeaderMap, status: &Status) -> Option<Duration> {
    let header = headers.get(RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    header.or(Some(status.details.retry_after_seconds).filter(|s| *s > 0)).map(bounded)
}

/// Ten minutes at most, whatever the server says.
fn bounded(secs: u64) -> Duration {
    Duration::from_secs(secs.min(600))
}

/// An API answers by itself; what sends elsewhere is a proxy's login page. Without the
/// query, which may hold a secret.
pub(super) fn redirected(code: StatusCode, to: &str) -> SourceError {
    let to = to.split(['?', '#']).next().unwrap_or_default();
    // Nor a user and password.
    let to = match (to.split_once("://"), to.split_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        _ => to.to_owned(),
    };
    let where_to = if to.is_empty() { "elsewhere".to_owned() } else { format!("to {to}") };
    let what = format!(
        "the server sends {where_to} ({code}) instead of an answer; log in there, or correct `server`",
        code = code.as_u16()
    );
    SourceError::Login { what: Text::new(&what) }
}

/// What a status that is no success means. `path` is named when the server says nothing.
pub(super) fn refusal(code: StatusCode, retry_after: Option<Duration>, message: &str, path: &str) -> SourceError {
    let what = Text::new(if message.is_empty() { path } else { message });
    match code.as_u16() {
        401 => SourceError::Unauthorized,
        403 => SourceError::Forbidden { what },
        404 => SourceError::NotFound { what },
        410 => SourceError::Expired,
        429 => SourceError::Throttled { retry_after },
        code => SourceError::Server { code, message: what },
    }
}

/// What an `ERROR` event of a watch means.
pub(super) fn event_error(status: &Status) -> SourceError {
    if status.reason == "Expired" || status.reason == "Gone" {
        return SourceError::Expired;
    }
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let after = Some(status.details.retry_after_seconds).filter(|s| *s > 0).map(bounded);
    refusal(code, after, &status.message, "the watch ended with an error")
}

pub(super) fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let this = next?;
        next = this.source();
        Some(this)
    })
}

fn innermost(error: &(dyn StdError + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

pub(super) fn classify(error: &kube::Error, endpoint: &Text) -> SourceError {
    if let Some(auth) = chain(error).find_map(|e| e.downcast_ref::<kube::client::AuthError>()) {
        return SourceError::Credentials { what: Text::new(&credentials(auth)) };
    }
    let endpoint = endpoint.clone();
    if let Some(io) = chain(error).find_map(|e| e.downcast_ref::<std::io::Error>())
        && io.kind() == std::io::ErrorKind::TimedOut
    {
        return SourceError::TimedOut { what: endpoint, after: CONNECT };
    }
    let reason = Text::new(&innermost(error));
    let tls = chain(error).any(|e| {
        let text = e.to_string();
        ["certificate", "TLS", "tls", "handshake", "corrupt message"].iter().any(|word| text.contains(word))
    });
    match error {
        kube::Error::InferKubeconfig(e) => spec::config_error(e, ""),
        _ if tls => SourceError::Tls { endpoint, reason },
        _ => SourceError::Unreachable { endpoint, reason },
    }
}

/// What to say of failed authentication. Never what a command printed on its
/// standard output: that is where the token is.
fn credentials(error: &kube::client::AuthError) -> String {
    use kube::client::AuthError as E;
    match error {
        E::AuthExecStart(e) => format!("the kubeconfig's credential command cannot be started: {e}"),
        // Not `cmd`: it is the whole command line, with the arguments and variables
        // of the kubeconfig, and those may be secrets.
        E::AuthExecRun { out, .. } => {
            let said = String::from_utf8_lossy(&out.stderr);
            let last = said.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("it said nothing");
            let last: String = last.chars().take(200).collect();
            format!("the kubeconfig's credential command failed ({}): {last}", out.status)
        }
        E::AuthExecParse(_) | E::ParseTokenKey(_) => {
            "the credential command's answer is not an ExecCredential".to_owned()
        }
        E::ReadTokenFile(e, path) => format!("cannot read the token file {}: {e}", path.display()),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_is_host_and_port_only() {
        let at = |url: &str| endpoint(&url.parse().unwrap()).as_str().to_owned();
        assert_eq!(at("https://api.example.com/k8s/clusters/c-1"), "api.example.com:443");
        assert_eq!(at("http://127.0.0.1:8080"), "127.0.0.1:8080");
    }

    #[test]
    fn who_reads_sends_nothing_that_changes() {
        use http::Method as M;
        let (json, form) = ("application/json", "application/x-www-form-urlencoded");
        let proxy = "/api/v1/namespaces/m/services/http:prometheus:9090/proxy/api/v1/query";
        let exec = "/api/v1/namespaces/shop/pods/exec";
        for (method, path, media) in
            [(M::GET, "/api/v1/pods", ""), (M::GET, exec, ""), (M::POST, REVIEWS, json), (M::POST, proxy, form)]
        {
            assert!(reads(&method, path, media), "{method} {path}");
        }
        let pod = "/api/v1/namespaces/shop/pods/web";
        for (method, path, media) in [
            (M::POST, proxy, json),
            (M::POST, "/api/v1/namespaces/shop/pods", form),
            (M::POST, "/api/v1/namespaces/shop/pods/web/eviction", json),
            (M::GET, "/api/v1/namespaces/shop/pods/web/exec", ""),
            (M::PUT, pod, json),
            (M::PATCH, pod, "application/merge-patch+json"),
            (M::DELETE, pod, ""),
            (M::DELETE, REVIEWS, json),
            (M::PUT, proxy, form),
        ] {
            assert!(!reads(&method, path, media), "{method} {path}");
            let request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, media).body(()).unwrap();
            assert!(reads_only(&request).is_err());
        }
    }

    #[test]
    fn refusals_are_classified() {
        let of = |code| refusal(StatusCode::from_u16(code).unwrap(), None, "because", "/p");
        assert_eq!(of(401), SourceError::Unauthorized);
        assert_eq!(of(410), SourceError::Expired);
        assert_eq!(of(403), SourceError::Forbidden { what: Text::new("because") });
        assert_eq!(of(500), SourceError::Server { code: 500, message: Text::new("because") });
    }

    #[test]
    fn a_redirect_says_where_to_without_what_may_be_secret() {
        let said = |to| redirected(StatusCode::FOUND, to).to_string();
        let login = said("https://me:hunter2@login.example.com/start?state=hunter2#hunter2");
        assert!(login.contains("to https://login.example.com/start (302)") && !login.contains("hunter2"), "{login}");
        assert!(said("").contains("elsewhere (302)"));
    }

    #[test]
    fn an_expired_event_means_list_again() {
        let status: Status = serde_json::from_str(r#"{"code":410,"reason":"Expired","message":"too old"}"#).unwrap();
        assert_eq!(event_error(&status), SourceError::Expired);
        let status: Status = serde_json::from_str(r#"{"code":429,"details":{"retryAfterSeconds":3}}"#).unwrap();
        assert_eq!(event_error(&status), SourceError::Throttled { retry_after: Some(Duration::from_secs(3)) });
    }

    #[tokio::test]
    async fn a_hanging_credential_command_is_named_and_not_started_twice() {
        let (end, ended) = std::sync::mpsc::channel();
        let thread = tokio::task::spawn_blocking(move || Err(ended.recv().unwrap_or(SourceError::Expired)));
        let mut late = Some(Making { thread, endpoint: Text::new("x:443") });
        // Were it started again, this kubeconfig would be the error.
        let spec = ClusterSpec {
            id: crate::domain::ClusterId::new("x"),
            context: None,
            kubeconfig: spec::Kubeconfig::Inline("[".to_owned()),
            namespace: None,
            production: false,
            read_only: false,
            metrics_interval: Duration::from_secs(30),
            silence: spec::SILENCE,
        };
        for _ in 0..2 {
            let error = build(&spec, &mut late, Duration::from_millis(1)).await.err().unwrap();
            assert!(matches!(error, SourceError::Credentials { .. }), "{error}");
            assert!(error.to_string().contains("did not end within"), "{error}");
        }
        end.send(SourceError::Unauthorized).unwrap();
        let error = build(&spec, &mut late, DEADLINE).await.err().unwrap();
        assert_eq!(error, SourceError::Unauthorized);
        assert!(late.is_none());
        let error = build(&spec, &mut late, DEADLINE).await.err().unwrap();
        assert!(matches!(error, SourceError::Config { .. }), "{error}");
    }

    const DEADLINE: Duration = Duration::from_secs(20);
}
