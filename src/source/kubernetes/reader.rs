//! Asking for one thing, once: an object, its events, the version, a permission.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{Connected, Link};
use super::decode::{Page, garbage};
use super::logs;
use super::paths;
use super::project::{Projector, Row};
use crate::domain::{Event, ObjectId, Text};
use crate::source::SourceError;
use crate::source::redact::redact;
use crate::source::{LogItem, LogStream};
use crate::store::observation::Feed;

/// Asks one cluster. Cloning shares the client, which the first question makes.
#[derive(Clone)]
pub struct Reader {
    pub(super) link: Arc<Link>,
}

impl Reader {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self { link }
    }

    /// The object as the server has it, without `metadata.managedFields`, and with
    /// the values of variables that are secrets by their name hidden.
    ///
    /// # Errors
    /// As [`SourceError`]; `NotFound` as well for a kind that is not known here.
    pub async fn object(&self, id: &ObjectId) -> Result<Value, SourceError> {
        let path = paths::object(id).ok_or_else(|| SourceError::NotFound { what: Text::new(&id.to_string()) })?;
        let json = self.link.connect().await?.get_all(&path).await?;
        let mut object: Value = serde_json::from_slice(&json).map_err(|e| garbage("the object", &e))?;
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.shift_remove("managedFields");
        }
        redact(&mut object);
        Ok(object)
    }

    /// The events about an object, oldest first as the server has them. Those
    /// that make no sense are left out. `uid` may be empty: then of any object
    /// of that name.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn events(&self, id: &ObjectId, uid: &str) -> Result<Vec<Event>, SourceError> {
        let mut fields = vec![format!("involvedObject.name={}", id.name.as_str())];
        let kind = id.kind.kubernetes();
        if !kind.is_empty() {
            fields.push(format!("involvedObject.kind={kind}"));
        }
        // Events about nodes carry the node's name for a uid.
        if !uid.is_empty() && !id.namespace.is_empty() {
            fields.push(format!("involvedObject.uid={uid}"));
        }
        let namespace = Some(id.namespace.as_str()).filter(|n| !n.is_empty());
        let list = paths::list(Feed::Events, namespace);
        let path = format!("{list}?limit=500&fieldSelector={}", paths::encode(&fields.join(",")));
        let json = self.link.connect().await?.get_all(&path).await?;
        let page: Page<'_> = serde_json::from_slice(&json).map_err(|e| garbage("the list of events", &e))?;
        let mut projector = Projector::new(self.link.spec.id.clone());
        let rows = page.items.into_iter().filter_map(|item| match projector.row(Feed::Events, item.get()) {
            Ok(Row::Event(event)) => Some(event),
            _ => None,
        });
        let mut events: Vec<Event> = rows.collect();
        events.sort_by_key(|e| e.last);
        Ok(events)
    }

    /// The server's version, as `v1.34.2`.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn version(&self) -> Result<String, SourceError> {
        version(&self.link.connect().await?).await
    }

    /// Asks a service behind the API: the path with its query, and a form to post, if any. Returns
    /// its status, how long it asks to wait, and its answer, which is cut off with an error at `limit` bytes.
    ///
    /// # Errors
    /// When there is no answer; any status is one.
    #[cfg(feature = "prometheus")]
    pub async fn proxy(
        &self,
        path: &str,
        form: Option<String>,
        limit: usize,
        timeout: std::time::Duration,
    ) -> Result<(u16, Option<std::time::Duration>, Vec<u8>), SourceError> {
        let connected = self.link.connect().await?.in_background();
        let asked = connected.raw(path, form, limit);
        tokio::time::timeout(timeout, asked)
            .await
            .map_err(|_| SourceError::TimedOut { what: connected.endpoint.clone(), after: timeout })?
    }

    /// The services of every namespace, or of the only one that may be read; up to `limit`. Forbidden
    /// is an error like any other.
    ///
    /// # Errors
    /// As [`SourceError`].
    #[cfg(feature = "prometheus")]
    pub async fn services(&self, limit: u32) -> Result<Vec<Value>, SourceError> {
        let namespace = self.link.spec.namespace.as_ref().map(|n| format!("namespaces/{n}/")).unwrap_or_default();
        let path = format!("/api/v1/{namespace}services?limit={limit}");
        let json = self.link.connect().await?.in_background().get_all(&path).await?;
        let page: Page<'_> = serde_json::from_slice(&json).map_err(|e| garbage("the list of services", &e))?;
        Ok(page.items.into_iter().filter_map(|item| serde_json::from_str(item.get()).ok()).collect())
    }

    /// Whether we may `verb` that `resource` (`pods`, `deployments/scale`) of
    /// that API `group` (empty for the core), in a namespace or everywhere.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn can_i(
        &self,
        verb: &str,
        group: &str,
        resource: &str,
        namespace: Option<&str>,
    ) -> Result<bool, SourceError> {
        may(&self.link.connect().await?, verb, group, resource, namespace, "").await
    }

    /// A container's log, line by line. Following, it survives cut connections and
    /// the container's restarts without repeating or losing lines, and ends when
    /// the pod is gone or the container will not run again; the last item says which.
    pub fn logs(
        &self,
        request: LogStream,
    ) -> impl futures::Stream<Item = Result<LogItem, SourceError>> + Send + 'static + use<> {
        logs::stream(self.clone(), request)
    }
}

pub(super) async fn version(connected: &Connected) -> Result<String, SourceError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Info {
        git_version: String,
    }
    let json = connected.get_all("/version").await?;
    let info: Info = serde_json::from_slice(&json).map_err(|e| garbage("/version", &e))?;
    Ok(info.git_version)
}

/// Whether we may do something; `name` may be empty: then to any.
pub(super) async fn may(
    connected: &Connected,
    verb: &str,
    group: &str,
    resource: &str,
    namespace: Option<&str>,
    name: &str,
) -> Result<bool, SourceError> {
    #[derive(Deserialize)]
    struct Review {
        status: Allowed,
    }
    #[derive(Deserialize)]
    struct Allowed {
        allowed: bool,
    }
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {
            "verb": verb, "group": group, "resource": resource, "subresource": subresource,
            "namespace": namespace.unwrap_or_default(), "name": name,
        }},
    });
    let json = connected.review(review.to_string().into_bytes()).await?;
    let review: Review = serde_json::from_slice(&json).map_err(|e| garbage("the access review", &e))?;
    Ok(review.status.allowed)
}
