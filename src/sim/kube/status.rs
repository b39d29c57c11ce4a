//! The API server's errors, as `Status` objects with its own words.

use serde_json::{Map, Value, json};

use super::resource::Resource;
use crate::sim::backend::Refusal;

/// A failure to be sent as a `Status` object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub code: u16,
    pub reason: &'static str,
    pub message: String,
    /// `details`, empty when there are none.
    pub details: Box<Map<String, Value>>,
    /// Seconds, for the `Retry-After` header.
    pub retry_after: Option<u64>,
}

impl Failure {
    pub(crate) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Box::default(), retry_after: None }
    }

    fn about(mut self, resource: &Resource, name: &str) -> Self {
        if !name.is_empty() {
            self.details.insert("name".to_owned(), name.into());
        }
        if !resource.group.is_empty() {
            self.details.insert("group".to_owned(), resource.group.into());
        }
        self.details.insert("kind".to_owned(), resource.plural.into());
        self
    }

    pub(crate) fn not_found(resource: &Resource, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} \"{name}\" not found", resource.qualified())).about(resource, name)
    }

    /// A path that leads nowhere.
    pub(crate) fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource")
    }

    pub(crate) fn already_exists(resource: &Resource, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} \"{name}\" already exists", resource.qualified()))
            .about(resource, name)
    }

    pub(crate) fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.qualified());
        Self::new(409, "Conflict", message).about(resource, name)
    }

    /// The object changed since the client read it.
    pub(crate) fn stale(resource: &Resource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    pub(crate) fn invalid(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("{} \"{name}\" is invalid: {why}", resource.qualified_kind());
        let mut failure = Self::new(422, "Invalid", message).about(resource, name);
        failure.details.insert("kind".to_owned(), resource.kind_name.into());
        // `spec.replicas: Invalid value: -1: must be ...`: the field is what stands before the first colon.
        let field = why.split_once(": ").map_or("", |(f, _)| f);
        if !field.is_empty() && !field.contains(' ') {
            let rest = why[field.len() + 2..].to_owned();
            failure
                .details
                .insert("causes".to_owned(), json!([{"reason": "FieldValueInvalid", "message": rest, "field": field}]));
        }
        failure
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    pub(crate) fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        let what = resource.qualified();
        let message = if name.is_empty() {
            format!("{what} is forbidden: {why}")
        } else {
            format!("{what} \"{name}\" is forbidden: {why}")
        };
        Self::new(403, "Forbidden", message).about(resource, name)
    }

    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// A version that this server has not reached, as after a restore.
    pub(crate) fn too_new(asked: u64, current: u64) -> Self {
        let message = format!("Too large resource version: {asked}, current: {current}");
        let mut failure = Self::new(504, "Timeout", message);
        failure.details.insert(
            "causes".to_owned(),
            json!([{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]),
        );
        failure.details.insert("retryAfterSeconds".to_owned(), 1.into());
        failure.retry_after = Some(1);
        failure
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    }

    pub(crate) fn unsupported_media_type(got: &str, allowed: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {allowed} (got \"{got}\")"
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// Any code a test wishes for, with the reason and words the API server has for it.
    pub(crate) fn of_code(code: u16, retry_after: Option<u64>) -> Self {
        let (reason, message) = match code {
            401 => ("Unauthorized", "Unauthorized"),
            403 => ("Forbidden", "forbidden"),
            404 => ("NotFound", "the server could not find the requested resource"),
            409 => ("Conflict", "the server reported a conflict"),
            410 => ("Expired", "The resourceVersion for the provided list is too old."),
            429 => ("TooManyRequests", "Too many requests, please try again later."),
            500 => ("InternalError", "Internal error occurred: etcdserver: request timed out"),
            503 => ("ServiceUnavailable", "apiserver not ready"),
            504 => ("Timeout", "Timeout: request did not complete within the allotted timeout"),
            _ => ("", "an error on the server has prevented the request from succeeding"),
        };
        let mut failure = Self::new(code, reason, message);
        failure.retry_after = retry_after;
        if let Some(secs) = retry_after {
            failure.details.insert("retryAfterSeconds".to_owned(), secs.into());
        }
        failure
    }

    /// What the fleet refused, said about one object.
    pub(crate) fn of_refusal(refusal: Refusal, resource: &Resource, name: &str) -> Self {
        match refusal {
            Refusal::NotFound => Self::not_found(resource, name),
            Refusal::Invalid(why) => Self::invalid(resource, name, &why),
            Refusal::Conflict(why) => Self::conflict(resource, name, &why),
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        if !self.details.is_empty() {
            status["details"] = Value::Object((*self.details).clone());
        }
        status["code"] = self.code.into();
        status
    }
}

/// The `Status` of a delete that left nothing behind.
pub(crate) fn deleted(resource: &Resource, name: &str, uid: &str) -> Value {
    let mut details = Map::new();
    details.insert("name".to_owned(), name.into());
    if !resource.group.is_empty() {
        details.insert("group".to_owned(), resource.group.into());
    }
    details.insert("kind".to_owned(), resource.plural.into());
    details.insert("uid".to_owned(), uid.into());
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::backend::ObjectKind;
    use crate::sim::kube::resource;

    #[test]
    fn speaks_as_the_api_server_does() {
        let deployments = resource::of(ObjectKind::Deployment);
        assert_eq!(
            Failure::not_found(deployments, "web").to_json(),
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": "deployments.apps \"web\" not found", "reason": "NotFound",
                "details": {"name": "web", "group": "apps", "kind": "deployments"}, "code": 404})
        );
        let invalid = Failure::invalid(deployments, "web", "spec.replicas: Invalid value: -1: must be more");
        assert_eq!(
            invalid.message,
            "Deployment.apps \"web\" is invalid: spec.replicas: Invalid value: -1: must be more"
        );
        assert_eq!(invalid.details["causes"][0]["field"], "spec.replicas");
    }
}
