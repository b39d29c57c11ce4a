//! The connection to one cluster: made off the user's path, remade when
//! credentials are refused.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures::TryFutureExt;
use http::Request;
use http_body_util::BodyExt;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig as KubeFile};
use kube::{Client, Config};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::domain::Text;
use crate::source::error::SourceError;

/// How long connecting may take, exec plugins included: some open a browser.
const CONNECT: Duration = Duration::from_secs(30);
/// How long an answer's head may take.
const ANSWER: Duration = Duration::from_secs(20);
/// The largest answer that is read whole: a page of 500 large objects.
const LARGEST: usize = 256 << 20;

/// Where a kubeconfig comes from.
#[derive(Debug, Clone)]
pub enum Kubeconfig {
    /// `KUBECONFIG`, `~/.kube/config`, or the pod's own service account.
    Default,
    /// A file.
    File(PathBuf),
    /// Its text.
    Inline(String),
}

/// A context of a kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextInfo {
    /// Its name.
    pub name: String,
    /// The cluster it names.
    pub cluster: String,
    /// Its default namespace.
    pub namespace: Option<String>,
    /// The current one.
    pub current: bool,
}

/// The contexts of a kubeconfig; none when there is no kubeconfig at all.
///
/// # Errors
/// When there is one and it cannot be read.
pub fn contexts(kubeconfig: &Kubeconfig) -> Result<Vec<ContextInfo>, SourceError> {
    let Some(file) = read(kubeconfig)? else { return Ok(Vec::new()) };
    let current = file.current_context.unwrap_or_default();
    Ok(file
        .contexts
        .into_iter()
        .map(|c| {
            let inner = c.context.unwrap_or_default();
            ContextInfo { current: c.name == current, name: c.name, cluster: inner.cluster, namespace: inner.namespace }
        })
        .collect())
}

/// True inside a pod that may ask its own API server.
#[must_use]
pub fn in_cluster() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
}

fn read(kubeconfig: &Kubeconfig) -> Result<Option<KubeFile>, SourceError> {
    let config = |what: String, e: &dyn std::error::Error| SourceError::Config(format!("{what}: {}", chain(e)));
    match kubeconfig {
        Kubeconfig::Inline(text) => {
            KubeFile::from_yaml(text).map(Some).map_err(|e| config("the kubeconfig cannot be read".to_owned(), &e))
        }
        Kubeconfig::File(path) => KubeFile::read_from(path)
            .map(Some)
            .map_err(|e| config(format!("the kubeconfig {} cannot be read", path.display()), &e)),
        Kubeconfig::Default => {
            let home = std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".kube/config"));
            let named = std::env::var_os("KUBECONFIG").is_some_and(|v| !v.is_empty());
            if !named && !home.is_some_and(|h| h.exists()) {
                return Ok(None);
            }
            KubeFile::read().map(Some).map_err(|e| config("the kubeconfig cannot be read".to_owned(), &e))
        }
    }
}

/// An error with its causes, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !out.contains(&text) {
            out += &format!(": {text}");
        }
        next = cause.source();
    }
    Text::new(&out).to_string()
}

/// A cluster's connection, shared by its feeds.
pub struct Connection {
    context: Option<String>,
    kubeconfig: Kubeconfig,
    client: Mutex<Option<(Client, String)>>,
}

impl std::fmt::Debug for Connection {
    /// Without the client: it holds credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("context", &self.context).finish_non_exhaustive()
    }
}

/// An open answer.
pub struct Answer {
    /// Its body, to be read piece by piece.
    pub body: Body,
    /// Who answers.
    pub endpoint: String,
}

#[derive(Deserialize)]
struct StatusBody {
    #[serde(default)]
    message: String,
}

impl Connection {
    /// Not connected yet: that happens with the first request.
    #[must_use]
    pub fn new(context: Option<String>, kubeconfig: Kubeconfig) -> Self {
        Self { context, kubeconfig, client: Mutex::new(None) }
    }

    /// The client and the endpoint it talks to. The first caller connects, the
    /// others wait for it.
    async fn client(&self) -> Result<(Client, String), SourceError> {
        let mut place = self.client.lock().await;
        if let Some(found) = place.as_ref() {
            return Ok(found.clone());
        }
        let made = tokio::time::timeout(CONNECT, self.connect()).await.map_err(|_| {
            SourceError::Credentials(format!(
                "the credential plugin did not answer in {} s; run it by hand, it may want input",
                CONNECT.as_secs()
            ))
        })??;
        *place = Some(made.clone());
        Ok(made)
    }

    async fn connect(&self) -> Result<(Client, String), SourceError> {
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        let mut config = match read(&self.kubeconfig)? {
            Some(file) => Config::from_custom_kubeconfig(file, &options).await.map_err(|e| {
                let context = self.context.as_deref().unwrap_or("current");
                SourceError::Config(format!("context {context} of the kubeconfig cannot be used: {}", chain(&e)))
            })?,
            None => Config::incluster().map_err(|e| {
                SourceError::Config(format!("there is no kubeconfig, and this is no pod: {}", chain(&e)))
            })?,
        };
        config.connect_timeout = Some(Duration::from_secs(10));
        config.read_timeout = None;
        let endpoint = config.cluster_url.authority().map(ToString::to_string).unwrap_or_default();
        // Exec plugins run here, and they block.
        let client = tokio::task::spawn_blocking(move || Client::try_from(config))
            .await
            .map_err(|e| SourceError::Credentials(e.to_string()))?
            .map_err(|e| SourceError::Credentials(chain(&e)))?;
        Ok((client, endpoint))
    }

    /// Credentials were refused: the next request reads them again.
    pub async fn forget(&self) {
        *self.client.lock().await = None;
    }

    /// Sends a GET; the answer's body is open when this returns.
    ///
    /// # Errors
    /// When the server is not reached or does not answer with success.
    pub async fn get(&self, path: &str) -> Result<Answer, SourceError> {
        let request = Request::get(path).header("accept", "application/json").body(Body::empty());
        self.send(request.map_err(|e| SourceError::Config(e.to_string()))?).await
    }

    /// Sends a POST with a JSON body.
    ///
    /// # Errors
    /// When the server is not reached or does not answer with success.
    pub async fn post(&self, path: &str, body: &serde_json::Value) -> Result<Answer, SourceError> {
        let request = Request::post(path)
            .header("accept", "application/json")
            .header("content-type", "application/json")
            .body(Body::from(body.to_string().into_bytes()));
        self.send(request.map_err(|e| SourceError::Config(e.to_string()))?).await
    }

    async fn send(&self, request: Request<Body>) -> Result<Answer, SourceError> {
        let (client, endpoint) = self.client().await?;
        let timed_out = || SourceError::TimedOut { endpoint: endpoint.clone(), secs: ANSWER.as_secs() };
        let sent = client.send(request).map_err(|e| failure(&e, &endpoint));
        let response = tokio::time::timeout(ANSWER, sent).await.map_err(|_| timed_out())??;
        let status = response.status();
        if status.is_success() {
            return Ok(Answer { body: response.into_body(), endpoint });
        }
        let retry_after = response
            .headers()
            .get("retry-after")
            .and_then(|v| v.to_str().ok())
            .and_then(|v| v.parse().ok())
            .map(Duration::from_secs);
        let answer = Answer { body: response.into_body(), endpoint };
        let text = tokio::time::timeout(ANSWER, answer.text()).await.ok().and_then(Result::ok).unwrap_or_default();
        let message = serde_json::from_str::<StatusBody>(&text).map_or_else(
            |_| Text::new(text.get(..200).unwrap_or(&text)).to_string(),
            |s| Text::new(&s.message).to_string(),
        );
        Err(match status.as_u16() {
            401 => {
                self.forget().await;
                SourceError::Unauthorized
            }
            403 => SourceError::Forbidden(message),
            404 => SourceError::NotFound(message),
            410 => SourceError::Expired,
            429 => SourceError::Throttled { retry_after },
            code => SourceError::Server { code, message },
        })
    }
}

impl Answer {
    /// The next piece of the body, `None` at its end.
    ///
    /// # Errors
    /// When the connection is cut.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, SourceError> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(e)) => return Err(SourceError::Cut { endpoint: self.endpoint.clone(), reason: chain(&e) }),
            }
        }
    }

    /// The whole body.
    ///
    /// # Errors
    /// When the connection is cut, or the body is no text or absurdly large.
    pub async fn text(mut self) -> Result<String, SourceError> {
        let mut all = Vec::new();
        while let Some(piece) = self.piece().await? {
            all.extend_from_slice(&piece);
            if all.len() > LARGEST {
                return Err(self.garbage("the answer has no end"));
            }
        }
        let endpoint = self.endpoint;
        String::from_utf8(all)
            .map_err(|_| SourceError::Garbage { endpoint, reason: "the answer is no UTF-8".to_owned() })
    }

    /// The answer makes no sense.
    #[must_use]
    pub fn garbage(&self, reason: &str) -> SourceError {
        SourceError::Garbage { endpoint: self.endpoint.clone(), reason: Text::new(reason).to_string() }
    }
}

/// What kube's client says, by what can be done about it.
fn failure(error: &kube::Error, endpoint: &str) -> SourceError {
    let reason = chain(error);
    let endpoint = endpoint.to_owned();
    let low = reason.to_lowercase();
    if matches!(error, kube::Error::Auth(_)) {
        SourceError::Credentials(reason)
    } else if low.contains("certificate")
        || low.contains("tls")
        || low.contains("handshake")
        || low.contains("corrupt message")
    {
        SourceError::Tls { endpoint, reason }
    } else if low.contains("invalid http") || low.contains("parsing") {
        SourceError::Garbage { endpoint, reason }
    } else {
        SourceError::Unreachable { endpoint, reason }
    }
}
