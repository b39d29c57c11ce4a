//! One way to ask a backend: by URL, or through the API of a Kubernetes cluster.

use std::error::Error as StdError;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Certificate, Client, Identity, Method, Proxy, Url, redirect};
use tokio::sync::{Mutex, OnceCell};

use crate::config::{BackendSettings, Secret};
use crate::domain::Text;
use crate::source::SourceError;
use crate::source::alertmanager::{Permit, WriteError};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// What a form is called, and JSON.
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Questions that are shorter are asked with GET through a Kubernetes API, which
/// then needs no more than `get` on `services/proxy`.
const SHORT: usize = 6 << 10;
/// An expression is no longer than this where the question may have to fit into a URL.
pub(super) const SMALL_BATCH: usize = 5 << 10;
/// And no longer than this elsewhere: the windows of 200 objectives are two requests a round.
pub(super) const LARGE_BATCH: usize = 256 << 10;

/// How a backend is reached.
#[derive(Clone)]
pub enum Way {
    /// At this URL.
    Url(String),
    /// Through a Kubernetes API.
    #[cfg(feature = "kubernetes")]
    Service {
        /// Asks that cluster.
        reader: crate::source::kubernetes::Reader,
        /// Changes things there; `None` where nothing may be changed.
        writer: Option<crate::source::kubernetes::Writer>,
        /// The service there.
        service: crate::config::ServiceName,
        /// What comes before `/api`.
        path: String,
    },
    /// Not at all, for this reason.
    Nowhere(Text),
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.endpoint())
    }
}

impl Way {
    /// Host and port, or the service: without a path, and without credentials.
    #[must_use]
    pub fn endpoint(&self) -> String {
        match self {
            Self::Url(url) => endpoint(url),
            #[cfg(feature = "kubernetes")]
            Self::Service { service, .. } => format!("service {service}"),
            Self::Nowhere(_) => String::new(),
        }
    }
}

/// Host and port of a URL, nothing else.
fn endpoint(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return "?".to_owned() };
    let port = url.port_or_known_default().unwrap_or(0);
    format!("{}:{port}", url.host_str().unwrap_or("?"))
}

/// What is sent.
enum Sent<'a> {
    /// A question in the URL.
    Get(&'a [(&'a str, &'a str)]),
    /// A question in a form.
    Form(&'a [(&'a str, &'a str)]),
    /// A change, in JSON if there is anything to say.
    Change(Method, Option<String>),
}

/// What failed, and whether anything may have been sent before.
struct Failed {
    error: SourceError,
    may_be_sent: bool,
}

impl From<SourceError> for Failed {
    /// Of what fails before anything is sent.
    fn from(error: SourceError) -> Self {
        Self { error, may_be_sent: false }
    }
}

/// Asks one backend. Cheap to clone.
#[derive(Clone)]
pub struct Http(Arc<Inner>);

struct Inner {
    way: Way,
    settings: BackendSettings,
    client: Mutex<Option<Client>>,
    may_post: OnceCell<bool>,
    /// The longest expression that the server has not said to be too long.
    longest: AtomicUsize,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) location: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Http {
    /// With what the settings say about credentials, TLS, time and size.
    #[must_use]
    pub fn new(way: Way, settings: BackendSettings) -> Self {
        let longest = AtomicUsize::new(LARGE_BATCH);
        Self(Arc::new(Inner { way, settings, client: Mutex::default(), may_post: OnceCell::new(), longest }))
    }

    /// Where it goes, as a person may read it.
    #[must_use]
    pub fn endpoint(&self) -> Text {
        let via = self.0.settings.proxy.as_deref().filter(|p| !p.is_empty());
        let via = via.map(|p| format!(" (through the proxy {})", endpoint(p))).unwrap_or_default();
        Text::new(&format!("{}{via}", self.0.way.endpoint()))
    }

    /// The longest expression that one question should have. Through a Kubernetes API a long
    /// one needs `create` on `services/proxy`, which is found out by trying once.
    pub(super) async fn batch(&self) -> usize {
        let longest = self.0.longest.load(Ordering::Relaxed);
        if matches!(self.0.way, Way::Url(_)) {
            return longest;
        }
        let may_post = self.0.may_post.get_or_try_init(|| async {
            let tried = self.send("/api/v1/query", &[("query", "vector(1)")], true).await?;
            Ok::<bool, SourceError>((200..300).contains(&tried.code))
        });
        longest.min(if may_post.await.is_ok_and(|may| *may) { LARGE_BATCH } else { SMALL_BATCH })
    }

    /// No expression is to be longer than this from now on.
    pub(super) fn shorten(&self, length: usize) {
        self.0.longest.fetch_min(length, Ordering::Relaxed);
    }

    /// Asks with GET. Any answer whose status is no success is an error, `explain` may make
    /// words of its body.
    pub(crate) async fn get(
        &self,
        path: &str,
        params: &[(&str, &str)],
        explain: fn(&[u8]) -> Option<String>,
    ) -> Result<Vec<u8>, SourceError> {
        let answer = self.send(path, params, false).await?;
        self.judge(path, answer, explain)
    }

    /// Asks with POST, for what may be long; with GET where POST is not allowed.
    pub(crate) async fn ask(
        &self,
        path: &str,
        params: &[(&str, &str)],
        explain: fn(&[u8]) -> Option<String>,
    ) -> Result<Vec<u8>, SourceError> {
        let direct = matches!(self.0.way, Way::Url(_));
        let long = encoded(params).len() > SHORT;
        let mut answer = self.send(path, params, direct || long).await?;
        if answer.code == 405 && (direct || long) {
            answer = self.send(path, params, false).await?;
        }
        self.judge(path, answer, explain)
    }

    async fn send(&self, path: &str, params: &[(&str, &str)], post: bool) -> Result<Answer, SourceError> {
        match &self.0.way {
            Way::Url(url) => {
                let sent = if post { Sent::Form(params) } else { Sent::Get(params) };
                self.direct(url, path, sent).await.map_err(|failed| failed.error)
            }
            #[cfg(feature = "kubernetes")]
            Way::Service { reader, service, path: base, .. } => {
                let query = encoded(params);
                let mut at = behind(service, base, path);
                let body = if post { Some(query) } else { None };
                if !post && !params.is_empty() {
                    at = format!("{at}?{}", encoded(params));
                }
                let limit = usize::try_from(self.0.settings.limit).unwrap_or(usize::MAX);
                let (code, retry_after, body) = reader.proxy(&at, body, limit, self.0.settings.timeout).await?;
                Ok(Answer { code, retry_after, location: None, body })
            }
            Way::Nowhere(why) => Err(SourceError::Account { what: why.clone() }),
        }
    }

    /// Sends a change: only who has a permit can. Any answer whose status is no success is an error; `explain` as
    /// for questions.
    pub(crate) async fn change(
        &self,
        _: &Permit,
        method: Method,
        path: &str,
        json: Option<String>,
        explain: fn(&[u8]) -> Option<String>,
    ) -> Result<Vec<u8>, WriteError> {
        let answer = match &self.0.way {
            Way::Url(url) => self.direct(url, path, Sent::Change(method, json)).await.map_err(|failed| {
                if failed.may_be_sent { WriteError::Unknown(failed.error) } else { WriteError::Refused(failed.error) }
            })?,
            #[cfg(feature = "kubernetes")]
            Way::Service { writer, service, path: base, .. } => {
                let nothing = || WriteError::Refused(account("nothing may be changed through this cluster"));
                let writer = writer.as_ref().ok_or_else(nothing)?;
                let limit = usize::try_from(self.0.settings.limit).unwrap_or(usize::MAX);
                let (code, body) = writer.proxy(method, &behind(service, base, path), json, limit).await?;
                Answer { code, retry_after: None, location: None, body }
            }
            Way::Nowhere(why) => return Err(WriteError::Refused(SourceError::Account { what: why.clone() })),
        };
        let code = answer.code;
        self.judge(path, answer, explain).map_err(|error| match code {
            // Something between us and the backend has lost its answer.
            502 | 504 => WriteError::Unknown(error),
            _ => WriteError::Refused(error),
        })
    }

    /// How it is reached.
    pub(crate) fn way(&self) -> &Way {
        &self.0.way
    }

    async fn direct(&self, url: &str, path: &str, sent: Sent<'_>) -> Result<Answer, Failed> {
        let settings = &self.0.settings;
        let mut at = Url::parse(&format!("{}{path}", url.trim_end_matches('/')))
            .map_err(|e| account(&format!("the URL: {e}")))?;
        let client = self.client().await?;
        let host = match &settings.server_name {
            // The connection goes where the URL says; the certificate is held against this name.
            Some(name) => {
                let host = at.host_str().map(|h| at.port().map_or_else(|| h.to_owned(), |p| format!("{h}:{p}")));
                at.set_host(Some(name)).map_err(|e| account(&format!("server_name: {e}")))?;
                host
            }
            None => None,
        };
        let mut request = match sent {
            Sent::Form(params) => client.post(at).header(CONTENT_TYPE, FORM).body(encoded(params)),
            Sent::Get(params) => {
                if !params.is_empty() {
                    at.set_query(Some(&encoded(params)));
                }
                client.get(at)
            }
            Sent::Change(method, None) => client.request(method, at),
            Sent::Change(method, Some(json)) => client.request(method, at).header(CONTENT_TYPE, JSON).body(json),
        };
        if let Some(host) = host {
            request = request.header(reqwest::header::HOST, host);
        }
        request = request.headers(own_headers(settings)?);
        if let Some(user) = &settings.username {
            request =
                request.basic_auth(user, secret(settings.password.as_ref(), settings.password_file.as_deref()).await?);
        } else if let Some(token) = secret(settings.bearer.as_ref(), settings.bearer_file.as_deref()).await? {
            request = request.bearer_auth(token);
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(e) => {
                // Certificates may have been renewed: the next one reads them again.
                *self.0.client.lock().await = None;
                let may_be_sent = !(e.is_connect() || e.is_builder());
                return Err(Failed { error: self.failure(&e), may_be_sent });
            }
        };
        let code = response.status().as_u16();
        let header = |name| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let retry_after =
            header(RETRY_AFTER).and_then(|v| v.parse().ok()).map(|s: u64| Duration::from_secs(s.min(600)));
        let location = header(LOCATION);
        let body = self.body(response).await.map_err(|error| Failed { error, may_be_sent: true })?;
        Ok(Answer { code, retry_after, location, body })
    }

    async fn body(&self, mut response: reqwest::Response) -> Result<Vec<u8>, SourceError> {
        let limit = self.0.settings.limit;
        let mut all: Vec<u8> = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.failure(&e))? {
            if all.len() as u64 + chunk.len() as u64 > limit {
                return Err(SourceError::TooLarge { endpoint: self.endpoint(), limit });
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }

    /// The client; reads the certificates if there is none yet.
    async fn client(&self) -> Result<Client, SourceError> {
        let mut slot = self.0.client.lock().await;
        if let Some(client) = &*slot {
            return Ok(client.clone());
        }
        let client = build(&self.0.way, &self.0.settings).await?;
        Ok(slot.insert(client).clone())
    }

    fn failure(&self, error: &reqwest::Error) -> SourceError {
        let endpoint = self.endpoint();
        if error.is_timeout() {
            let after = if error.is_connect() { CONNECT } else { self.0.settings.timeout };
            return SourceError::TimedOut { what: endpoint, after };
        }
        let mut innermost: &dyn StdError = error;
        let mut tls = false;
        loop {
            let text = innermost.to_string();
            tls |= ["certificate", "TLS", "tls", "handshake", "corrupt message"].iter().any(|w| text.contains(w));
            let Some(next) = innermost.source() else { break };
            innermost = next;
        }
        // The library's outer message has the URL, and with it the query; the innermost has not.
        let reason = Text::new(&innermost.to_string());
        if tls { SourceError::Tls { endpoint, reason } } else { SourceError::Unreachable { endpoint, reason } }
    }

    fn judge(&self, path: &str, answer: Answer, explain: fn(&[u8]) -> Option<String>) -> Result<Vec<u8>, SourceError> {
        let Answer { code, retry_after, location, body } = answer;
        if (200..300).contains(&code) {
            return Ok(body);
        }
        let words = explain(&body).unwrap_or_else(|| plain(&body));
        let at = format!("{}{path}", self.0.way.endpoint());
        let message = Text::new(&clipped(if words.is_empty() { &at } else { &words }, 400));
        Err(match code {
            300..=399 => {
                let to =
                    location.map(|l| endpoint(&l)).filter(|l| l != "?").unwrap_or_else(|| "another place".to_owned());
                let what = format!("{at} sends us to {to}, perhaps to log in; give the URL where the API itself is");
                SourceError::Account { what: Text::new(&what) }
            }
            401 => SourceError::Unauthorized,
            403 => SourceError::Forbidden { what: message },
            404 => SourceError::NotFound { what: Text::new(&at) },
            429 => SourceError::Throttled { retry_after },
            code => SourceError::Server { code, message },
        })
    }
}

/// The path of a path behind a service.
#[cfg(feature = "kubernetes")]
fn behind(service: &crate::config::ServiceName, base: &str, path: &str) -> String {
    let scheme = if service.tls { "https:" } else { "" };
    let base = base.trim_matches('/');
    let slash = if base.is_empty() { "" } else { "/" };
    format!(
        "/api/v1/namespaces/{}/services/{scheme}{}:{}/proxy{slash}{base}{path}",
        service.namespace, service.name, service.port
    )
}

/// As a form has it, and a URL.
fn encoded(params: &[(&str, &str)]) -> String {
    let Ok(mut url) = Url::parse("http://x/") else { return String::new() };
    url.query_pairs_mut().extend_pairs(params);
    url.query().unwrap_or_default().to_owned()
}

/// What a body says that is not the API's: nothing of a page's markup.
fn plain(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4096)]);
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    if !lower.starts_with('<') {
        return text.lines().next().unwrap_or_default().to_owned();
    }
    let title = lower.find("<title>").zip(lower.find("</title>")).and_then(|(a, b)| text.get(a + 7..b));
    format!("a web page{}", title.map(|t| format!(" \"{}\"", t.trim())).unwrap_or_default())
}

/// At most so many characters of what is left of a text once it is clean: a cut in the middle of
/// an escape sequence would take its own mark with it.
pub(crate) fn clipped(text: &str, most: usize) -> String {
    let text = &*crate::domain::text::clean(text);
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

fn account(what: &str) -> SourceError {
    SourceError::Account { what: Text::new(what) }
}

fn own_headers(settings: &BackendSettings) -> Result<HeaderMap, SourceError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &settings.headers {
        let wrong = || {
            account(&format!("the header `{name}` of `{}` cannot be sent; correct it in the settings", settings.name))
        };
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(&value.0).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}

/// A secret as it is said, or as its file has it now.
async fn secret(said: Option<&Secret>, file: Option<&Path>) -> Result<Option<String>, SourceError> {
    match (said, file) {
        (Some(said), _) => Ok(Some(said.0.clone())),
        (None, Some(file)) => Ok(Some(String::from_utf8_lossy(&read(file).await?).trim().to_owned())),
        (None, None) => Ok(None),
    }
}

async fn read(file: &Path) -> Result<Vec<u8>, SourceError> {
    let what = |e: std::io::Error| Text::new(&format!("{} cannot be read: {e}", file.display()));
    tokio::fs::read(file).await.map_err(|e| SourceError::Credentials { what: what(e) })
}

async fn build(way: &Way, settings: &BackendSettings) -> Result<Client, SourceError> {
    static RING: Once = Once::new();
    // The library takes what the process has; the other clients name theirs, which is the same.
    RING.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let mut builder = Client::builder()
        .user_agent(concat!("quarterdeck/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .timeout(settings.timeout)
        // A login page is no answer, and our headers are for this host.
        .redirect(redirect::Policy::none())
        .tls_danger_accept_invalid_certs(settings.insecure);
    if let Some(file) = &settings.ca_file {
        let certificates = Certificate::from_pem_bundle(&read(file).await?);
        let certificates =
            certificates.map_err(|_| account(&format!("{} has no certificate in PEM", file.display())))?;
        builder = builder.tls_certs_only(certificates);
    }
    if let (Some(certificate), Some(key)) = (&settings.cert_file, &settings.key_file) {
        let mut pem = read(certificate).await?;
        pem.push(b'\n');
        pem.extend(read(key).await?);
        let identity = Identity::from_pem(&pem).map_err(|_| {
            account(&format!("{} and {} are no certificate and key", certificate.display(), key.display()))
        })?;
        builder = builder.identity(identity);
    }
    match settings.proxy.as_deref() {
        None => {}
        Some("") => builder = builder.no_proxy(),
        Some(proxy) => {
            let proxy = Proxy::all(proxy).map_err(|_| account("`proxy` is no URL of a proxy"))?;
            builder = builder.proxy(proxy);
        }
    }
    if let (Some(_), Way::Url(url)) = (&settings.server_name, way) {
        let host = Url::parse(url).ok().and_then(|u| u.host_str().map(str::to_owned)).unwrap_or_default();
        // A certificate's name only makes sense for a direct connection.
        builder = builder.dns_resolver(Elsewhere(host.trim_matches(['[', ']']).to_owned())).no_proxy();
    }
    builder.build().map_err(|e| {
        let reason = e.source().map_or_else(|| e.to_string(), ToString::to_string);
        account(&format!("no client for `{}` can be made: {reason}", settings.name))
    })
}

/// Answers every question for an address with that of one host.
struct Elsewhere(String);

impl reqwest::dns::Resolve for Elsewhere {
    fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let host = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            let found: reqwest::dns::Addrs = Box::new(found.collect::<Vec<_>>().into_iter());
            Ok(found)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_told_by_its_title_alone() {
        assert_eq!(plain(b"<html><head><title> Log in </title></head>secret"), "a web page \"Log in\"");
        assert_eq!(plain(b"no healthy upstream\nx"), "no healthy upstream");
    }

    #[test]
    fn an_endpoint_has_no_credentials() {
        assert_eq!(endpoint("https://u:p@h.example/base"), "h.example:443");
        assert_eq!(clipped("äöü", 2), "äö...");
    }
}
