//! Silencing alerts. There is no writer for an Alertmanager that is marked read-only, none in a read-only console, and
//! none behind the API of a Kubernetes cluster that may not be changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Method;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::api::{Alert, Api, Cluster, Matcher, Silence, explain};
use crate::domain::{ClusterId, ObjectId, Text, Timestamp};
use crate::source::SourceError;
use crate::source::prometheus::{Backend, Http, Way, fingerprint, garbage};

/// Opens the way for requests that change something. Only this file makes one.
#[derive(Clone)]
pub(crate) struct Permit(());

/// Why a change was not made, or may not have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteError {
    /// Nothing was changed: it was refused, or never left.
    Refused(SourceError),
    /// It was sent, and no answer came that says what became of it.
    Unknown(SourceError),
}

impl WriteError {
    /// What went wrong.
    #[must_use]
    pub fn error(&self) -> &SourceError {
        match self {
            Self::Refused(error) | Self::Unknown(error) => error,
        }
    }
}

impl std::fmt::Display for WriteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(SourceError::Server { code, message }) => {
                write!(f, "Alertmanager answers {code}: {message}")
            }
            Self::Refused(error) => error.fmt(f),
            Self::Unknown(error) => write!(f, "no answer came, and it may have been done: {error}"),
        }
    }
}

#[cfg(feature = "kubernetes")]
impl From<crate::source::kubernetes::WriteError> for WriteError {
    fn from(error: crate::source::kubernetes::WriteError) -> Self {
        use crate::source::kubernetes::WriteError as E;
        match error {
            E::NotSent(error) => Self::Refused(error),
            E::Unknown(error) => Self::Unknown(error),
            E::Refused(refusal) => {
                Self::Refused(SourceError::Server { code: refusal.code, message: refusal.message.clone() })
            }
        }
    }
}

/// A silence to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewSilence {
    /// What it is about: all of them must fit.
    pub matchers: Vec<Matcher>,
    /// From when on.
    pub starts_at: Timestamp,
    /// Until when.
    pub ends_at: Timestamp,
    /// Who makes it.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

impl NewSilence {
    /// True if `other`, which Alertmanager has, is this one.
    #[must_use]
    pub fn is(&self, other: &Silence) -> bool {
        let mut matchers = other.matchers.clone();
        matchers.sort();
        let mut own = self.matchers.clone();
        own.sort();
        // It keeps milliseconds.
        let near = other.ends_at.is_some_and(|t| (t - self.ends_at).num_milliseconds().abs() <= 1);
        near && other.created_by == self.created_by && other.comment == self.comment && matchers == own
    }
}

/// An alert that an Alertmanager holds now.
#[derive(Debug, Clone)]
pub struct Held {
    /// Its row.
    pub id: ObjectId,
    /// What identifies it there, whatever its row is called.
    pub fingerprint: Text,
    /// The alert.
    pub alert: Alert,
}

/// How somebody reaches an Alertmanager by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByHand {
    /// What has to run beside it: the words of a command; none where it is reached without.
    pub before: Vec<String>,
    /// Its URL.
    pub url: String,
}

/// Changes one Alertmanager. Cheap to clone.
#[derive(Clone)]
pub struct Writer {
    backend: Backend,
    http: Http,
    permit: Permit,
    wake: Arc<Notify>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Writer").field(&self.backend.id).finish()
    }
}

impl Writer {
    /// `None` where nothing may be changed. `wake` ends the wait between two polls.
    pub(crate) fn new(backend: &Backend, http: &Http, wake: &Arc<Notify>) -> Option<Self> {
        let may = match http.way() {
            Way::Url(_) => true,
            #[cfg(feature = "kubernetes")]
            Way::Service { writer, .. } => writer.is_some(),
            Way::Nowhere(_) => false,
        };
        let (backend, http, wake) = (backend.clone(), http.clone(), Arc::clone(wake));
        (may && !backend.settings.read_only).then_some(Self { backend, http, permit: Permit(()), wake })
    }

    /// What the console calls it.
    #[must_use]
    pub fn id(&self) -> &ClusterId {
        &self.backend.id
    }

    /// Where it is, as a person may read it.
    #[must_use]
    pub fn endpoint(&self) -> Text {
        self.http.endpoint()
    }

    /// How it is reached by hand.
    #[must_use]
    pub fn by_hand(&self) -> ByHand {
        match self.http.way() {
            Way::Url(url) => ByHand { before: Vec::new(), url: url.trim_end_matches('/').to_owned() },
            #[cfg(feature = "kubernetes")]
            Way::Service { writer, service, path, .. } => {
                let own = |w: &str| w.to_owned();
                let mut before = vec![own("kubectl")];
                let context = writer.as_ref().and_then(crate::source::kubernetes::Writer::context);
                before.extend(context.into_iter().flat_map(|c| [own("--context"), own(c)]));
                before.extend([own("-n"), service.namespace.clone(), own("port-forward")]);
                before.extend([format!("svc/{}", service.name), format!("9093:{}", service.port)]);
                let scheme = if service.tls { "https" } else { "http" };
                let path = path.trim_matches('/');
                let slash = if path.is_empty() { "" } else { "/" };
                ByHand { before, url: format!("{scheme}://localhost:9093{slash}{path}") }
            }
            Way::Nowhere(_) => ByHand { before: Vec::new(), url: String::new() },
        }
    }

    /// What is needed to send a change, and whether it is there; `None` where nobody can say beforehand. `create` makes
    /// a silence, else one is ended.
    pub async fn needs(&self, create: bool) -> (Text, Option<bool>) {
        match self.http.way() {
            #[cfg(feature = "kubernetes")]
            Way::Service { writer: Some(writer), service, .. } => {
                let verb = if create { "create" } else { "delete" };
                let (namespace, name) = (&service.namespace, &service.name);
                // A proxied service is named with its port.
                let full = format!("{}{name}:{}", if service.tls { "https:" } else { "" }, service.port);
                let may = writer.can_i(verb, "", "services/proxy", namespace, &full).await.ok();
                (Text::new(&format!("{verb} services/proxy {name} in {namespace}")), may)
            }
            _ => {
                let verb = if create { "make" } else { "end" };
                (Text::new(&format!("{verb} silences at {}", self.endpoint())), None)
            }
        }
    }

    fn api(&self) -> Api {
        Api::new(self.http.clone())
    }

    /// The alerts that it holds, named as their rows are.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn held(&self) -> Result<Vec<Held>, SourceError> {
        let alerts = self.api().alerts().await?;
        let rows = super::rows(&self.backend, &alerts, &BTreeMap::new());
        let mut by_uid: BTreeMap<Text, Alert> = alerts
            .into_iter()
            .map(|a| {
                // As the row has it.
                let computed = || format!("{:016x}", fingerprint(&a.labels));
                let uid = if a.fingerprint.is_empty() { computed() } else { super::clipped(&a.fingerprint, 64) };
                (Text::new(&uid), a)
            })
            .collect();
        let held = |row: crate::domain::Alarm| {
            let alert = by_uid.remove(&row.uid)?;
            Some(Held { id: row.id, fingerprint: row.uid, alert })
        };
        Ok(rows.into_iter().filter_map(held).collect())
    }

    /// The silences in force, by identity.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn silences(&self) -> Result<BTreeMap<String, Silence>, SourceError> {
        let all = self.api().silences().await?;
        Ok(all.into_iter().filter(Silence::is_active).map(|s| (s.id.clone(), s)).collect())
    }

    /// Who shares its silences.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn cluster(&self) -> Result<Cluster, SourceError> {
        self.api().cluster().await
    }

    /// Makes a silence; returns its identity.
    ///
    /// # Errors
    /// As [`WriteError`].
    pub async fn silence(&self, new: &NewSilence) -> Result<String, WriteError> {
        #[derive(Deserialize)]
        struct Made {
            #[serde(rename = "silenceID")]
            id: String,
        }
        let json = serde_json::to_string(new).map_err(|e| WriteError::Refused(garbage("the silence", &e)))?;
        let sent = self.http.change(&self.permit, Method::POST, "/api/v2/silences", Some(json), explain).await;
        self.wake.notify_waiters();
        let made: Result<Made, _> = serde_json::from_slice(&sent?);
        Ok(made.map_err(|e| WriteError::Unknown(garbage("the answer", &e)))?.id)
    }

    /// Ends a silence.
    ///
    /// # Errors
    /// As [`WriteError`].
    pub async fn expire(&self, id: &str) -> Result<(), WriteError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if id.is_empty() || !id.chars().all(plain) {
            let what = Text::new("a silence whose identity is none");
            return Err(WriteError::Refused(SourceError::Garbage { what }));
        }
        let path = format!("/api/v2/silence/{id}");
        let sent = self.http.change(&self.permit, Method::DELETE, &path, None, explain).await;
        self.wake.notify_waiters();
        sent.map(drop)
    }
}

/// The Alertmanagers that may be changed; more may be found while the console runs. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct Writers(Arc<Mutex<BTreeMap<ClusterId, Writer>>>);

impl Writers {
    pub(crate) fn add(&self, writer: Writer) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(writer.id().clone(), writer);
    }

    /// All of them, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Writer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Their names.
    #[must_use]
    pub fn names(&self) -> BTreeSet<ClusterId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}
