//! Create, update, patch, delete and scale.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use chrono::SecondsFormat;
use http::Response;
use serde_json::{Map, Value, json};

use super::read::{append, scale_of};
use super::reply::{self, Body, Shape};
use super::resource::{self, Resource, Subresource};
use super::route::{Query, Target};
use super::selector::Selection;
use super::status::{self, Failure};
use super::store::{self, Stored};
use super::{Api, Received, State, patch};
use crate::sim::backend::ObjectKind;

const PATCH_TYPES: &str = "application/json-patch+json, application/merge-patch+json, \
     application/strategic-merge-patch+json, application/apply-patch+yaml";

impl Api {
    pub(super) fn write(
        &self,
        verb: &str,
        target: &Target,
        query: &Query,
        received: &Received,
    ) -> Result<Response<Body>, Failure> {
        let shape = Shape::negotiate(&received.headers, query)?;
        match verb {
            "create" if target.sub == Some(Subresource::Eviction) => self.evict(target, query, &received.json()?),
            "create" => {
                let object = self.create(target, received.json()?, query.dry_run())?;
                Ok(self.shaped(201, target.resource, shape, &object))
            }
            "update" => {
                let body = received.json()?;
                let scale = target.sub == Some(Subresource::Scale);
                let object = self
                    .modify(target, query.dry_run(), |old| Ok(if scale { with_replicas(old, &body) } else { body }))?;
                Ok(self.written(target, shape, &object))
            }
            "patch" => self.patch(target, query, received, shape),
            "delete" => self.delete(target, query, received),
            _ => self.delete_collection(target, query, received),
        }
    }

    fn written(&self, target: &Target, shape: Shape, object: &Stored) -> Response<Body> {
        match target.sub {
            Some(Subresource::Scale) => reply::json(200, &scale_of(&object.value())),
            _ => self.shaped(200, target.resource, shape, object),
        }
    }

    fn create(&self, target: &Target, mut object: Value, dry_run: bool) -> Result<Arc<Stored>, Failure> {
        let resource = target.resource;
        check_type(resource, &object)?;
        let now = self.clock.now();
        let mut state = self.state();
        let metadata = metadata_mut(&mut object)?;
        if resource.namespaced {
            let own = metadata.get("namespace").and_then(Value::as_str).unwrap_or(&target.namespace);
            if own != target.namespace {
                return Err(Failure::bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request",
                ));
            }
            metadata.insert("namespace".to_owned(), target.namespace.as_str().into());
            if state.store.get(ObjectKind::Namespace, "", &target.namespace).is_none() {
                return Err(Failure::not_found(resource::of(ObjectKind::Namespace), &target.namespace));
            }
        }
        let text = |m: &Map<String, Value>, key| m.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut name = text(metadata, "name");
        if name.is_empty() {
            let prefix = text(metadata, "generateName");
            if prefix.is_empty() {
                let why = "metadata.name: Required value: name or generateName is required";
                return Err(Failure::invalid(resource, "", why));
            }
            name = format!("{prefix}{}", suffix());
        }
        if state.store.get(resource.kind, &target.namespace, &name).is_some() {
            return Err(Failure::already_exists(resource, &name));
        }
        metadata.insert("name".to_owned(), name.as_str().into());
        metadata.insert("uid".to_owned(), store::uid(state.store.version() + 1).into());
        metadata.insert("creationTimestamp".to_owned(), now.to_rfc3339_opts(SecondsFormat::Secs, true).into());
        metadata.shift_remove("resourceVersion");
        validate(resource, &name, &object)?;
        self.commit(&mut state, resource, &target.namespace, &name, object, dry_run)
    }

    /// Replaces an object by what `change` makes of it.
    fn modify(
        &self,
        target: &Target,
        dry_run: bool,
        change: impl FnOnce(&Value) -> Result<Value, Failure>,
    ) -> Result<Arc<Stored>, Failure> {
        let resource = target.resource;
        let mut state = self.state();
        let old = state
            .store
            .get(resource.kind, &target.namespace, &target.name)
            .ok_or_else(|| Failure::not_found(resource, &target.name))?;
        let before = old.value();
        let mut object = change(&before)?;
        check_type(resource, &object)?;
        let metadata = metadata_mut(&mut object)?;
        let named = metadata.get("name").and_then(Value::as_str).unwrap_or(&target.name);
        if named != target.name {
            return Err(Failure::bad_request(format!(
                "the name of the object ({named}) does not match the name on the URL ({})",
                target.name
            )));
        }
        let version = metadata.get("resourceVersion").and_then(Value::as_str).unwrap_or_default();
        if !version.is_empty() && version != old.version.to_string() {
            return Err(Failure::stale(resource, &target.name));
        }
        let uid = metadata.get("uid").and_then(Value::as_str).unwrap_or_default();
        let own = before["metadata"]["uid"].as_str().unwrap_or_default();
        if !uid.is_empty() && uid != own {
            let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {own}");
            return Err(Failure::conflict(resource, &target.name, &why));
        }
        keep_what_is_not_theirs(target, &before, &mut object);
        validate(resource, &target.name, &object)?;
        if object == before {
            return Ok(old);
        }
        self.commit(&mut state, resource, &target.namespace, &target.name, object, dry_run)
    }

    fn commit(
        &self,
        state: &mut State,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
        object: Value,
        dry_run: bool,
    ) -> Result<Arc<Stored>, Failure> {
        if !dry_run {
            let changes = state
                .fleet
                .write(resource.kind, &object, self.clock.now())
                .map_err(|refusal| Failure::of_refusal(refusal, resource, name))?;
            state.store.apply(changes);
            self.announce(&state.store);
            if let Some(stored) = state.store.get(resource.kind, namespace, name) {
                return Ok(stored);
            }
        }
        // What would be stored, or what was written and went at once.
        let meta = Arc::new(store::meta_of(resource, &object, &mut store::Interned::default()));
        let mut whole = Map::new();
        whole.insert("kind".to_owned(), resource.kind_name.into());
        whole.insert("apiVersion".to_owned(), resource.api_version().into());
        if let Value::Object(members) = object {
            whole.extend(members);
        }
        let json = serde_json::to_vec(&whole).unwrap_or_default().into();
        Ok(Arc::new(Stored { meta, version: state.store.version(), json }))
    }

    fn patch(
        &self,
        target: &Target,
        query: &Query,
        received: &Received,
        shape: Shape,
    ) -> Result<Response<Body>, Failure> {
        let applied = received.media == "application/apply-patch+yaml";
        if !PATCH_TYPES.split(", ").any(|t| t == received.media) {
            return Err(Failure::unsupported_media_type(&received.media, PATCH_TYPES));
        }
        let body = received.json()?;
        let there = self.state().store.get(target.resource.kind, &target.namespace, &target.name).is_some();
        if applied && !there && target.sub.is_none() {
            let named = body.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            if named != target.name {
                return Err(Failure::bad_request(format!(
                    "the name of the object ({named}) does not match the name on the URL ({})",
                    target.name
                )));
            }
            let object = self.create(target, body, query.dry_run())?;
            return Ok(self.shaped(201, target.resource, shape, &object));
        }
        let scale = target.sub == Some(Subresource::Scale);
        let object = self.modify(target, query.dry_run(), |old| {
            let mut new = if scale { scale_of(old) } else { old.clone() };
            match received.media.as_str() {
                "application/json-patch+json" => patch::json(&mut new, &body).map_err(|why| {
                    let message = format!("the server rejected our request due to an error in our request: {why}");
                    Failure::new(422, "Invalid", message)
                })?,
                "application/merge-patch+json" => patch::merge(&mut new, &body),
                _ => patch::strategic(&mut new, &body),
            }
            Ok(if scale { with_replicas(old, &new) } else { new })
        })?;
        Ok(self.written(target, shape, &object))
    }

    fn delete(&self, target: &Target, query: &Query, received: &Received) -> Result<Response<Body>, Failure> {
        let options = delete_options(received)?;
        let dry_run = query.dry_run() || options["dryRun"].as_array().is_some_and(|d| !d.is_empty());
        let mut state = self.state();
        let old = state
            .store
            .get(target.resource.kind, &target.namespace, &target.name)
            .ok_or_else(|| Failure::not_found(target.resource, &target.name))?;
        let uid = old.value()["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        let wanted = options.pointer("/preconditions/uid").and_then(Value::as_str);
        if let Some(wanted) = wanted.filter(|w| *w != uid) {
            let why = format!("Precondition failed: UID in precondition: {wanted}, UID in object meta: {uid}");
            return Err(Failure::conflict(target.resource, &target.name, &why));
        }
        if !dry_run {
            self.remove(&mut state, target.resource, &target.namespace, &target.name)?;
        }
        // An object that takes its time to go is shown as it goes.
        match state.store.get(target.resource.kind, &target.namespace, &target.name) {
            Some(going) if !dry_run => Ok(reply::respond(200, "application/json", reply::full(going.json.clone()))),
            _ => Ok(reply::json(200, &status::deleted(target.resource, &target.name, &uid))),
        }
    }

    fn delete_collection(
        &self,
        target: &Target,
        query: &Query,
        received: &Received,
    ) -> Result<Response<Body>, Failure> {
        let options = delete_options(received)?;
        let dry_run = query.dry_run() || options["dryRun"].as_array().is_some_and(|d| !d.is_empty());
        let resource = target.resource;
        let selection = Selection::parse(resource, query.get("labelSelector"), query.get("fieldSelector"))
            .map_err(Failure::bad_request)?;
        let mut state = self.state();
        let there = state.store.list(resource.kind, &target.namespace, None);
        let all: Vec<Arc<Stored>> = there.filter(|o| selection.matches(&o.meta)).cloned().collect();
        let mut out = Vec::new();
        for (i, object) in all.iter().enumerate() {
            if !dry_run {
                match self.remove(&mut state, resource, &object.meta.namespace, &object.meta.name) {
                    Ok(()) => {}
                    // It went with one before it.
                    Err(gone) if gone.code == 404 => {}
                    Err(other) => return Err(other),
                }
            }
            if i > 0 {
                out.push(b',');
            }
            append(&mut out, &object.value());
        }
        let head = format!(
            "{{\"kind\":\"{}List\",\"apiVersion\":\"{}\",\"metadata\":{{\"resourceVersion\":\"{}\"}},\"items\":[",
            resource.kind_name,
            resource.api_version(),
            state.store.version()
        );
        let mut body = head.into_bytes();
        body.append(&mut out);
        body.extend_from_slice(b"]}");
        Ok(reply::respond(200, "application/json", reply::full(body)))
    }

    pub(super) fn remove(
        &self,
        state: &mut State,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
    ) -> Result<(), Failure> {
        let changes = state
            .fleet
            .delete(resource.kind, namespace, name, self.clock.now())
            .map_err(|refusal| Failure::of_refusal(refusal, resource, name))?;
        state.store.apply(changes);
        self.announce(&state.store);
        Ok(())
    }
}

/// The options a delete may bring; none is an empty object.
fn delete_options(received: &Received) -> Result<Value, Failure> {
    if received.body.is_empty() { Ok(json!({})) } else { received.json() }
}

/// A body that says what it is must be what the path says.
fn check_type(resource: &Resource, object: &Value) -> Result<(), Failure> {
    let said = |key| object.get(key).and_then(Value::as_str).unwrap_or_default();
    let (kind, version) = (said("kind"), said("apiVersion"));
    let version_fits = version.is_empty() || version == resource.api_version();
    if version_fits && (kind.is_empty() || kind == resource.kind_name) {
        return Ok(());
    }
    Err(Failure::bad_request(format!(
        "{kind} in version {version:?} cannot be handled as a {}: the API version in the data ({version}) does not \
         match the expected API version ({})",
        resource.kind_name,
        resource.api_version()
    )))
}

fn metadata_mut(object: &mut Value) -> Result<&mut Map<String, Value>, Failure> {
    object
        .as_object_mut()
        .ok_or_else(|| Failure::bad_request("the object provided is unrecognized: it is not an object"))?
        .entry("metadata")
        .or_insert_with(|| json!({}))
        .as_object_mut()
        .ok_or_else(|| Failure::bad_request("the object provided is unrecognized: metadata is not an object"))
}

/// What a client may not change stays: identity always, the status through the
/// object, everything but the status through `/status`.
fn keep_what_is_not_theirs(target: &Target, before: &Value, object: &mut Value) {
    if target.sub == Some(Subresource::Status) {
        let status = object.get("status").cloned();
        object.clone_from(before);
        if let Some(status) = status {
            object["status"] = status;
        }
        return;
    }
    for key in ["name", "namespace", "uid", "creationTimestamp", "generation", "deletionTimestamp", "resourceVersion"] {
        match before["metadata"].get(key) {
            Some(own) => object["metadata"][key] = own.clone(),
            None => {
                if let Some(metadata) = object["metadata"].as_object_mut() {
                    metadata.shift_remove(key);
                }
            }
        }
    }
    if target.resource.has(Subresource::Status) {
        match before.get("status") {
            Some(status) => object["status"] = status.clone(),
            None => {
                if let Some(members) = object.as_object_mut() {
                    members.shift_remove("status");
                }
            }
        }
    }
    let generation = before["metadata"]["generation"].as_i64();
    if let Some(generation) = generation.filter(|_| object.get("spec") != before.get("spec")) {
        object["metadata"]["generation"] = (generation + 1).into();
    }
}

/// The object with a `Scale`'s replicas; a version in the Scale is the object's.
fn with_replicas(old: &Value, scale: &Value) -> Value {
    let mut new = old.clone();
    new["spec"]["replicas"] = scale.pointer("/spec/replicas").cloned().unwrap_or_else(|| 0.into());
    match scale.pointer("/metadata/resourceVersion") {
        Some(version) => new["metadata"]["resourceVersion"] = version.clone(),
        None => new["metadata"]["resourceVersion"] = "".into(),
    }
    new
}

/// The few rules that a person at a console runs into.
fn validate(resource: &Resource, name: &str, object: &Value) -> Result<(), Failure> {
    if let Some(replicas) = object.pointer("/spec/replicas").filter(|r| !r.is_null()) {
        match replicas.as_i64() {
            Some(0..) => {}
            Some(n) => {
                let why = format!("spec.replicas: Invalid value: {n}: must be greater than or equal to 0");
                return Err(Failure::invalid(resource, name, &why));
            }
            None => {
                let why = format!("spec.replicas: Invalid value: {replicas}: must be an integer");
                return Err(Failure::invalid(resource, name, &why));
            }
        }
    }
    Ok(())
}

/// Five characters as `generateName` appends them.
fn suffix() -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    // The standard library's seed for hash maps is random, and randomness is all this needs.
    let mut seed = std::hash::RandomState::new().hash_one(0);
    (0..5)
        .map(|_| {
            let at = usize::try_from(seed % ALPHABET.len() as u64).unwrap_or(0);
            seed /= ALPHABET.len() as u64;
            char::from(ALPHABET[at])
        })
        .collect()
}
