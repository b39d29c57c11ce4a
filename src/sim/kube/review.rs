//! What the one user is and may.

use http::Response;
use serde_json::{Value, json};

use super::reply::{self, Body};
use super::route::Review;
use super::status::Failure;
use super::{Api, USER};

impl Api {
    pub(super) fn review(&self, review: Review, mut asked: Value) -> Result<Response<Body>, Failure> {
        if !asked.is_object() {
            return Err(Failure::bad_request("the object provided is unrecognized: a review is an object"));
        }
        let (kind, version, status) = match review {
            Review::Access => ("SelfSubjectAccessReview", "authorization.k8s.io/v1", self.access(&asked)),
            Review::Rules => ("SelfSubjectRulesReview", "authorization.k8s.io/v1", self.rules()),
            Review::SelfSubject => {
                let user = json!({"username": USER, "groups": ["system:masters", "system:authenticated"]});
                ("SelfSubjectReview", "authentication.k8s.io/v1", json!({"userInfo": user}))
            }
        };
        asked["kind"] = kind.into();
        asked["apiVersion"] = version.into();
        if asked.get("metadata").is_none() {
            asked["metadata"] = json!({"creationTimestamp": null});
        }
        asked["status"] = status;
        Ok(reply::json(201, &asked))
    }

    fn access(&self, asked: &Value) -> Value {
        let of = |key: &str| {
            asked.pointer(&format!("/spec/resourceAttributes/{key}")).and_then(Value::as_str).unwrap_or_default()
        };
        let resource = match of("subresource") {
            "" => of("resource").to_owned(),
            sub => format!("{}/{sub}", of("resource")),
        };
        if self.faults.is_forbidden(of("verb"), &resource) {
            return json!({"allowed": false});
        }
        json!({"allowed": true, "reason": "the user of the embedded fleet may do everything"})
    }

    fn rules(&self) -> Value {
        // Exceptions cannot be written as rules; saying the list is incomplete is the honest form.
        let excepted = !self.faults.current().forbidden.is_empty();
        json!({
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": excepted,
        })
    }
}
