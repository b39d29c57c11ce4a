//! Changing something: what only a [`Writer`] can send, and what the server says to it.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use kube::client::Body;
use serde_json::Value;

use super::client::{ANSWER, Connected, Link, chain, classify, redirected, retry_after};
use super::decode::{Status, garbage};
use super::{paths, reader};
use crate::domain::{ClusterId, Kind, ObjectId, Text};
use crate::source::SourceError;
use crate::source::redact::redact;

/// An answer to a change, or a page of a list, is never larger.
const MAX_ANSWER: usize = 64 << 20;
/// How many objects are asked for at once.
const PAGE: u32 = 500;

/// How often a request is sent again that the server was too busy for.
const BUSY: u32 = 3;
/// However long it asks to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Opens the way for requests that change something. Only this file makes one.
#[derive(Clone)]
pub(super) struct Permit(());

/// Changes one cluster. There is none for a cluster that is marked read-only. Cloning shares the client.
#[derive(Clone)]
pub struct Writer {
    link: Arc<Link>,
    permit: Permit,
    patience: Duration,
}

/// How a patch is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patch {
    /// RFC 7386: what is there is merged in, null removes, lists are replaced.
    Merge,
    /// Kubernetes's own: lists of named things are merged by name.
    Strategic,
    /// RFC 6902: a list of operations.
    Json,
}

impl Patch {
    fn media(self) -> &'static str {
        match self {
            Self::Merge => "application/merge-patch+json",
            Self::Strategic => "application/strategic-merge-patch+json",
            Self::Json => "application/json-patch+json",
        }
    }
}

/// One of the reasons that the server gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// `DisruptionBudget`, `FieldValueInvalid`.
    pub reason: Text,
    /// In words.
    pub message: Text,
    /// Which field, if it is about one.
    pub field: Text,
}

/// The server says no. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status: 403 forbidden, 404 gone, 409 changed meanwhile, 422 invalid, 429 not now.
    pub code: u16,
    /// `NotFound`, `Conflict`, `TooManyRequests`.
    pub reason: Text,
    /// The server's own words.
    pub message: Text,
    /// Why, in parts.
    pub causes: Vec<Cause>,
    /// How long it asks to wait.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// The cause with this reason.
    #[must_use]
    pub fn cause(&self, reason: &str) -> Option<&Cause> {
        self.causes.iter().find(|c| c.reason.as_str() == reason)
    }

    /// A disruption budget that allows no eviction now. A 429 without this is throttling.
    #[must_use]
    pub fn budget(&self) -> Option<&Cause> {
        self.cause("DisruptionBudget").filter(|_| self.code == 429)
    }

    /// More than one budget is over the task: the eviction API refuses that for ever.
    #[must_use]
    pub fn is_several_budgets(&self) -> bool {
        self.code == 500 && self.message.contains("more than one PodDisruptionBudget")
    }

    /// The namespace is being deleted.
    #[must_use]
    pub fn is_namespace_terminating(&self) -> bool {
        self.code == 403
            && (self.cause("NamespaceTerminating").is_some() || self.message.contains("because it is being terminated"))
    }

    /// The answer comes from between us and the store, or the store did not answer in time: the change may
    /// have been made.
    fn is_uncertain(&self) -> bool {
        matches!(self.code, 502 | 504) || (self.code == 500 && self.message.contains("timed out"))
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code {
            403 => write!(f, "not allowed: {}", self.message),
            _ if self.message.is_empty() => write!(f, "the server says {}", self.code),
            code => write!(f, "{} ({code})", self.message),
        }
    }
}

/// Why a change was not made, or may not have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteError {
    /// The server says no.
    Refused(Box<Refusal>),
    /// It never reached the server.
    NotSent(SourceError),
    /// It was sent, and no answer came that says what became of it.
    Unknown(SourceError),
}

impl WriteError {
    /// The server's no, if it is one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Its status code, 0 where there is none.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.refusal().map_or(0, |r| r.code)
    }
}

impl std::fmt::Display for WriteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::NotSent(error) => error.fmt(f),
            Self::Unknown(error) => write!(f, "no answer came, and it may have been done: {error}"),
        }
    }
}

impl From<SourceError> for WriteError {
    /// Of what fails before anything is sent.
    fn from(error: SourceError) -> Self {
        Self::NotSent(error)
    }
}

impl Writer {
    /// `None` where nothing may be changed.
    pub(super) fn new(link: &Arc<Link>) -> Option<Self> {
        let link = Arc::clone(link);
        (!link.spec.read_only).then_some(Self { link, permit: Permit(()), patience: ANSWER })
    }

    /// For connecting into the pods of this cluster.
    pub(super) fn streams(&self) -> super::Streams {
        super::Streams::new(Arc::clone(&self.link), self.permit.clone())
    }

    /// Waits for answers this long, instead of half a minute.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Which cluster it changes.
    #[must_use]
    pub fn cluster(&self) -> &ClusterId {
        &self.link.spec.id
    }

    /// The kubeconfig's context, if it is not just the current one.
    #[must_use]
    pub fn context(&self) -> Option<&str> {
        self.link.spec.context.as_deref()
    }

    /// The path of an object.
    ///
    /// # Errors
    /// For a kind that Kubernetes does not have.
    pub fn object(id: &ObjectId) -> Result<String, WriteError> {
        paths::object(id).ok_or_else(|| not_known(id.kind))
    }

    /// The path of the objects of a kind, in one namespace or, with an empty one, in all.
    ///
    /// # Errors
    /// For a kind that Kubernetes does not have.
    pub fn collection(kind: Kind, namespace: &str) -> Result<String, WriteError> {
        paths::collection(kind, Some(namespace).filter(|n| !n.is_empty())).ok_or_else(|| not_known(kind))
    }

    /// The path of what a set's revisions are kept in.
    #[must_use]
    pub fn revisions(namespace: &str) -> String {
        format!("/apis/apps/v1/namespaces/{}/controllerrevisions", paths::encode(namespace))
    }

    /// API group and resource of a kind, as access rules name them; empty for one that is not known.
    #[must_use]
    pub fn rule(kind: Kind) -> (&'static str, &'static str) {
        paths::rule(kind).unwrap_or_default()
    }

    /// Takes secrets out of an object, for showing it.
    pub fn redact(object: &mut Value) {
        redact(object);
    }

    /// Reads one object, whole.
    ///
    /// # Errors
    /// As [`WriteError`]; nothing is changed by it.
    pub async fn get(&self, path: &str) -> Result<Value, WriteError> {
        self.ask(Method::GET, path, "", Vec::new()).await
    }

    /// Reads a list, page by page. `selector` is a label or field selector as a query, without its `&`.
    ///
    /// # Errors
    /// As [`WriteError`]; nothing is changed by it.
    pub async fn list(&self, path: &str, selector: &[(&str, &str)]) -> Result<Vec<Value>, WriteError> {
        let mut query = format!("limit={PAGE}");
        for (key, value) in selector {
            query = format!("{query}&{key}={}", paths::encode(value));
        }
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            let next = if token.is_empty() { String::new() } else { format!("&continue={}", paths::encode(&token)) };
            let mut page = self.ask(Method::GET, &format!("{path}?{query}{next}"), "", Vec::new()).await?;
            if let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) {
                all.extend(items);
            }
            let next = page.pointer("/metadata/continue").and_then(Value::as_str).unwrap_or_default();
            next.clone_into(&mut token);
            if token.is_empty() {
                return Ok(all);
            }
        }
    }

    /// Makes an object, or sends one to a subresource: a POST.
    ///
    /// # Errors
    /// As [`WriteError`].
    pub async fn create(&self, path: &str, object: &Value) -> Result<Value, WriteError> {
        self.ask(Method::POST, path, "application/json", object.to_string().into_bytes()).await
    }

    /// Replaces an object: a PUT.
    ///
    /// # Errors
    /// As [`WriteError`].
    pub async fn replace(&self, path: &str, object: &Value) -> Result<Value, WriteError> {
        self.ask(Method::PUT, path, "application/json", object.to_string().into_bytes()).await
    }

    /// Changes a part of an object.
    ///
    /// # Errors
    /// As [`WriteError`].
    pub async fn patch(&self, path: &str, how: Patch, patch: &Value) -> Result<Value, WriteError> {
        self.ask(Method::PATCH, path, how.media(), patch.to_string().into_bytes()).await
    }

    /// Deletes an object, with `DeleteOptions`.
    ///
    /// # Errors
    /// As [`WriteError`].
    pub async fn delete(&self, path: &str, options: &Value) -> Result<Value, WriteError> {
        self.ask(Method::DELETE, path, "application/json", options.to_string().into_bytes()).await
    }

    /// Sends a change to a service behind the API, in JSON if there is any. Returns its status and the answer, which
    /// is cut off with an error at `limit` bytes.
    ///
    /// # Errors
    /// When there is no answer; any status is one. Never [`WriteError::Refused`].
    #[cfg(feature = "prometheus")]
    pub async fn proxy(
        &self,
        method: Method,
        path: &str,
        json: Option<String>,
        limit: usize,
    ) -> Result<(u16, Vec<u8>), WriteError> {
        let connected = self.link.connect().await?;
        connected.turn().await;
        let mut request = Request::builder().method(method).uri(path).header(ACCEPT, "application/json");
        if json.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Body::from(json.unwrap_or_default().into_bytes()));
        let request = request.map_err(|e| SourceError::Config { what: Text::new(&e.to_string()) })?;
        let sent = async {
            let (head, body) = self.send(&connected, request).await?.into_parts();
            let body = Limited::new(body, limit).collect().await;
            let body = body.map_err(|e| WriteError::Unknown(super::client::cut(&connected.endpoint, e.as_ref())))?;
            if head.status == StatusCode::UNAUTHORIZED {
                connected.refuse();
            }
            Ok((head.status.as_u16(), body.to_bytes().to_vec()))
        };
        let answered = tokio::time::timeout(self.patience, sent).await;
        answered.unwrap_or_else(|_| Err(WriteError::Unknown(self.late(&connected))))
    }

    async fn send(&self, connected: &Connected, request: Request<Body>) -> Result<Response<Body>, WriteError> {
        let sent = connected.client(&self.permit).send(request).await;
        sent.map_err(|error| {
            let said = classify(&error, &connected.endpoint);
            if never_left(&error, &said) { WriteError::NotSent(said) } else { WriteError::Unknown(said) }
        })
    }

    /// Whether we may `verb` that `resource` (`pods/eviction`) of that API `group`, in a namespace or, with an
    /// empty one, everywhere; of that `name`, or of any.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn can_i(
        &self,
        verb: &str,
        group: &str,
        resource: &str,
        namespace: &str,
        name: &str,
    ) -> Result<bool, SourceError> {
        let connected = self.link.connect().await?;
        let namespace = Some(namespace).filter(|n| !n.is_empty());
        let asked = reader::may(&connected, verb, group, resource, namespace, name);
        tokio::time::timeout(self.patience, asked).await.map_err(|_| self.late(&connected))?
    }

    /// Sends it, and again when the server was too busy to look at it: then it has done nothing.
    async fn ask(&self, method: Method, path: &str, media: &str, body: Vec<u8>) -> Result<Value, WriteError> {
        let mut busy = 0;
        loop {
            let outcome = self.once(&method, path, media, body.clone()).await;
            let wait = match &outcome {
                Err(WriteError::Refused(r)) if r.code == 429 && r.budget().is_none() => r.retry_after,
                _ => None,
            };
            match wait {
                Some(wait) if busy < BUSY => {
                    busy += 1;
                    tokio::time::sleep(wait.min(LONGEST_WAIT)).await;
                }
                _ => return outcome,
            }
        }
    }

    async fn once(&self, method: &Method, path: &str, media: &str, body: Vec<u8>) -> Result<Value, WriteError> {
        let connected = self.link.connect().await?;
        connected.turn().await;
        let mut request = Request::builder().method(method).uri(path).header(ACCEPT, "application/json");
        if !media.is_empty() {
            request = request.header(CONTENT_TYPE, media);
        }
        let request = request.body(Body::from(body));
        let request = request.map_err(|e| SourceError::Config { what: Text::new(&e.to_string()) })?;
        let answered = tokio::time::timeout(self.patience, self.answer(&connected, request, path)).await;
        let outcome = answered.unwrap_or_else(|_| Err(WriteError::Unknown(self.late(&connected))));
        match outcome {
            // What only reads has changed nothing, whatever became of it.
            Err(WriteError::Unknown(error)) if *method == Method::GET => Err(WriteError::NotSent(error)),
            Err(WriteError::Refused(refusal)) if *method != Method::GET && refusal.is_uncertain() => {
                let (code, message) = (refusal.code, refusal.message);
                Err(WriteError::Unknown(SourceError::Server { code, message }))
            }
            outcome => outcome,
        }
    }

    async fn answer(&self, connected: &Connected, request: Request<Body>, path: &str) -> Result<Value, WriteError> {
        let (head, body) = self.send(connected, request).await?.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await;
        if head.status.is_success() {
            // It is done; only what it looks like now is not known.
            let body = body.map_err(|e| WriteError::Unknown(super::client::cut(&connected.endpoint, e.as_ref())))?;
            let value = serde_json::from_slice(&body.to_bytes());
            return value.map_err(|e| WriteError::Unknown(garbage("the answer", &e)));
        }
        if head.status.is_redirection() {
            let to = head.headers.get(LOCATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
            return Err(WriteError::NotSent(redirected(head.status, to)));
        }
        if head.status == StatusCode::UNAUTHORIZED {
            connected.refuse();
            return Err(WriteError::NotSent(SourceError::Unauthorized));
        }
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let status: Status = serde_json::from_slice(&body).unwrap_or_default();
        let wait = retry_after(&head.headers, &status);
        Err(WriteError::Refused(Box::new(refusal(head.status.as_u16(), status, wait, path))))
    }

    fn late(&self, connected: &Connected) -> SourceError {
        SourceError::TimedOut { what: connected.endpoint.clone(), after: self.patience }
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Writer").field(&self.link.spec.id).finish()
    }
}

fn not_known(kind: Kind) -> WriteError {
    WriteError::NotSent(SourceError::NotFound { what: Text::new(kind.short()) })
}

fn refusal(code: u16, status: Status, retry_after: Option<Duration>, path: &str) -> Refusal {
    let path = path.split('?').next().unwrap_or_default();
    Refusal {
        code,
        reason: Text::new(&status.reason),
        message: Text::new(if status.message.is_empty() { path } else { &status.message }),
        causes: status
            .details
            .causes
            .into_iter()
            .map(|c| Cause { reason: Text::new(&c.reason), message: Text::new(&c.message), field: Text::new(&c.field) })
            .collect(),
        retry_after,
    }
}

/// No connection, so no request.
fn never_left(error: &kube::Error, said: &SourceError) -> bool {
    let refused = chain(error)
        .filter_map(|e| e.downcast_ref::<std::io::Error>())
        .any(|io| matches!(io.kind(), std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::TimedOut));
    let connecting = chain(error).any(|e| e.to_string().contains("(Connect)"));
    let before = matches!(said, SourceError::Credentials { .. } | SourceError::Tls { .. } | SourceError::Config { .. });
    refused || connecting || before
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: u16, json: &str) -> Refusal {
        refusal(code, serde_json::from_str(json).unwrap(), None, "/api/v1/pods?limit=5")
    }

    #[test]
    fn a_budget_is_told_from_throttling() {
        let budget = of(
            429,
            r#"{"reason":"TooManyRequests","message":"Cannot evict pod as it would violate the pod's disruption budget.",
            "details":{"causes":[{"reason":"DisruptionBudget","message":"The disruption budget web needs 2 healthy pods and has 2 currently"}]}}"#,
        );
        assert!(budget.budget().is_some_and(|c| c.message.contains("budget web needs 2")));
        let busy = of(429, r#"{"reason":"TooManyRequests","message":"slow down","details":{"causes":null}}"#);
        assert_eq!(busy.budget(), None);
        let several = of(
            500,
            r#"{"message":"This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."}"#,
        );
        assert!(several.is_several_budgets() && !several.is_uncertain());
        let going = of(
            403,
            r#"{"message":"x","details":{"causes":[{"reason":"NamespaceTerminating","field":"metadata.namespace"}]}}"#,
        );
        assert!(going.is_namespace_terminating());
        assert!(of(504, "{}").is_uncertain() && !of(409, "{}").is_uncertain());
        assert_eq!(of(404, "{}").to_string(), "/api/v1/pods (404)");
    }
}
