//! Get and list.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{HeaderMap, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::reply::{self, Body, Render, Shape};
use super::resource::{Resource, Subresource};
use super::route::{Query, Target};
use super::selector::Selection;
use super::status::Failure;
use super::store::{Store, Stored};
use super::{Api, table};

/// Where the next page starts. Opaque to clients.
#[derive(Debug, Serialize, Deserialize)]
struct PageToken {
    /// The version of the first page, which all pages carry.
    rv: u64,
    ns: String,
    name: String,
}

impl Api {
    pub(super) fn get(&self, target: &Target, headers: &HeaderMap, query: &Query) -> Result<Response<Body>, Failure> {
        let shape = Shape::negotiate(headers, query)?;
        let object = self
            .state()
            .store
            .get(target.resource.kind, &target.namespace, &target.name)
            .ok_or_else(|| Failure::not_found(target.resource, &target.name))?;
        if target.sub == Some(Subresource::Scale) {
            return Ok(reply::json(200, &scale_of(&object.value())));
        }
        Ok(self.shaped(200, target.resource, shape, &object))
    }

    /// One object in the form the client wants.
    pub(super) fn shaped(
        &self,
        code: u16,
        resource: &'static Resource,
        shape: Shape,
        object: &Stored,
    ) -> Response<Body> {
        match shape {
            Shape::Json => reply::respond(code, "application/json", reply::full(object.json.clone())),
            Shape::Metadata => reply::json(code, &metadata_of(&object.value())),
            Shape::Table(include) => {
                let mut out = table::head(resource, Some(&object.version.to_string()), "").into_bytes();
                table::row(resource, &object.value(), include, self.clock.now(), &mut out);
                out.extend_from_slice(b"]}");
                reply::respond(code, "application/json", reply::full(out))
            }
        }
    }

    pub(super) fn list(&self, target: &Target, headers: &HeaderMap, query: &Query) -> Result<Response<Body>, Failure> {
        let resource = target.resource;
        let shape = Shape::negotiate(headers, query)?;
        let selection = Selection::parse(resource, query.get("labelSelector"), query.get("fieldSelector"))
            .map_err(Failure::bad_request)?;
        let page = self.page(target, query, &selection)?;
        let now = self.clock.now();
        let rest = list_rest(&page);
        let (head, render): (String, Render) = match shape {
            Shape::Json => (list_head(resource, &page.version, &rest), Box::new(item_render(resource))),
            Shape::Metadata => (
                format!(
                    "{{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":\"meta.k8s.io/v1\",\
                     \"metadata\":{{\"resourceVersion\":\"{}\"{rest}}},\"items\":[",
                    page.version
                ),
                Box::new(|o, out| append(out, &metadata_of(&o.value()))),
            ),
            Shape::Table(include) => (
                table::head(resource, Some(&page.version), &rest),
                Box::new(move |o, out| table::row(resource, &o.value(), include, now, out)),
            ),
        };
        Ok(reply::list(headers, head, page.items, "]}", render))
    }

    fn page(&self, target: &Target, query: &Query, selection: &Selection) -> Result<Page, Failure> {
        let kind = target.resource.kind;
        let limit = query.number("limit").map_err(Failure::bad_request)?.unwrap_or(0);
        let limit = usize::try_from(limit).ok().filter(|l| *l > 0);
        let state = self.state();
        let store = &state.store;
        let token = match query.get("continue") {
            "" => None,
            text => Some(parse_token(text, store, target)?),
        };
        if token.is_none() {
            check_version(store, target, query)?;
        }
        let start = token.as_ref().map(|t| (t.ns.as_str(), t.name.as_str()));
        let mut matching = store.list(kind, &target.namespace, start).filter(|o| selection.matches(&o.meta));
        let Some(limit) = limit else {
            let version = token.as_ref().map_or(store.version(), |t| t.rv);
            let items = matching.cloned().collect();
            return Ok(Page { items, version: version.to_string(), token: String::new(), remaining: None });
        };
        let items: Vec<Arc<Stored>> = matching.by_ref().take(limit).cloned().collect();
        let remaining = matching.count();
        let version = token.as_ref().map_or(store.version(), |t| t.rv);
        let next = items.last().filter(|_| remaining > 0).map(|last| {
            let token =
                PageToken { rv: version, ns: last.meta.namespace.to_string(), name: last.meta.name.to_string() };
            BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(&token).unwrap_or_default())
        });
        Ok(Page {
            items,
            version: version.to_string(),
            // The API server counts what remains only where it need not look at each object.
            remaining: next.as_ref().filter(|_| selection.is_everything()).map(|_| remaining),
            token: next.unwrap_or_default(),
        })
    }
}

struct Page {
    items: Vec<Arc<Stored>>,
    version: String,
    token: String,
    remaining: Option<usize>,
}

fn parse_token(text: &str, store: &Store, target: &Target) -> Result<PageToken, Failure> {
    let token: PageToken =
        BASE64_URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or_else(
            || Failure::bad_request("continue key is not valid: encoded start key must be a key of this list"),
        )?;
    if token.rv < store.horizon(target.resource.kind) {
        return Err(Failure::expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new \
             list without the continue parameter.",
        ));
    }
    Ok(token)
}

/// Whether the version a list asks for can be had: only `Exact` and the future cannot.
fn check_version(store: &Store, target: &Target, query: &Query) -> Result<(), Failure> {
    let text = query.get("resourceVersion");
    if text.is_empty() {
        return Ok(());
    }
    let version = parse_version(text)?;
    if version > store.version() {
        return Err(Failure::too_new(version, store.version()));
    }
    if query.get("resourceVersionMatch") == "Exact" && version < store.horizon(target.resource.kind) {
        return Err(Failure::expired("The resourceVersion for the provided list is too old."));
    }
    Ok(())
}

/// A resourceVersion parameter.
pub(super) fn parse_version(text: &str) -> Result<u64, Failure> {
    text.parse().map_err(|_| {
        Failure::bad_request(format!("resourceVersion: Invalid value: {text:?}: strconv.ParseUint: invalid syntax"))
    })
}

/// The list's metadata after its version.
fn list_rest(page: &Page) -> String {
    let mut rest = String::new();
    if !page.token.is_empty() {
        rest = format!(",\"continue\":\"{}\"", page.token);
    }
    if let Some(remaining) = page.remaining {
        rest = format!("{rest},\"remainingItemCount\":{remaining}");
    }
    rest
}

fn list_head(resource: &Resource, version: &str, rest: &str) -> String {
    format!(
        "{{\"kind\":\"{}List\",\"apiVersion\":\"{}\",\"metadata\":{{\"resourceVersion\":\"{version}\"{rest}}},\"items\":[",
        resource.kind_name,
        resource.api_version()
    )
}

/// Items of a list do not repeat kind and apiVersion; the stored bytes begin with them.
fn item_render(resource: &Resource) -> impl Fn(&Stored, &mut Vec<u8>) + Send + Sync + 'static {
    let prefix = format!("{{\"kind\":\"{}\",\"apiVersion\":\"{}\",", resource.kind_name, resource.api_version());
    move |object, out| match object.json.strip_prefix(prefix.as_bytes()) {
        Some(rest) => {
            out.push(b'{');
            out.extend_from_slice(rest);
        }
        None => out.extend_from_slice(&object.json),
    }
}

pub(super) fn append(out: &mut Vec<u8>, value: &Value) {
    out.extend_from_slice(value.to_string().as_bytes());
}

/// Only the metadata, as `PartialObjectMetadata`.
pub(super) fn metadata_of(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

/// The `Scale` of a workload.
pub(super) fn scale_of(object: &Value) -> Value {
    let from = &object["metadata"];
    let mut metadata = serde_json::Map::new();
    for key in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if !from[key].is_null() {
            metadata.insert(key.to_owned(), from[key].clone());
        }
    }
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
        "spec": {"replicas": object.pointer("/spec/replicas").cloned().unwrap_or_else(|| 1.into())},
        "status": {
            "replicas": object.pointer("/status/replicas").cloned().unwrap_or_else(|| 0.into()),
            "selector": table::selector_text(&object["spec"]["selector"]),
        },
    })
}
