//! The services behind the API server: Prometheus and Alertmanager, reached
//! through its proxy or plainly.

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;

use super::reply::{self, Body};
use super::resource;
use super::route::{ProxyTarget, parameters};
use super::status::Failure;
use super::{Api, Received};
use crate::sim::backend::ObjectKind;
use crate::sim::prom::{Asked, Which};

impl Api {
    /// What a service answers that is asked through the API server.
    pub(super) async fn proxy(
        self: Arc<Self>,
        target: ProxyTarget,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Failure> {
        let services = resource::of(ObjectKind::Service);
        let verb = match *request.method() {
            http::Method::POST => "create",
            http::Method::DELETE => "delete",
            _ => "get",
        };
        if self.faults.is_forbidden(verb, "services/proxy") {
            let why = format!(
                "User {:?} cannot {verb} resource \"services/proxy\" in API group \"\" in the namespace {:?}",
                super::USER,
                target.namespace
            );
            return Err(Failure::forbidden(services, &target.service, &why));
        }
        if self.state().store.get(ObjectKind::Service, &target.namespace, &target.service).is_none() {
            return Err(Failure::not_found(services, &target.service));
        }
        let Some(which) = Which::of_service(&target.service).filter(|w| w.serves(&target.port)) else {
            let message = format!("no endpoints available for service {:?}", target.service);
            return Err(Failure::new(503, "ServiceUnavailable", message));
        };
        self.monitor(which, target.path, request).await
    }

    /// What Prometheus or Alertmanager answers.
    pub(super) async fn monitor(
        self: Arc<Self>,
        which: Which,
        path: String,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Failure> {
        let method = request.method().clone();
        let mut all = parameters(request.uri().query().unwrap_or_default());
        let received = Received::read(request).await?;
        if received.media == "application/x-www-form-urlencoded" {
            all.extend(parameters(&String::from_utf8_lossy(&received.body)));
        }
        self.refresh();
        let now = self.clock.now().timestamp_millis();
        let asked = Asked { which, method, path, parameters: all, body: received.body };
        // A question over a month takes a moment: it must not keep the others waiting.
        let monitoring = Arc::clone(&self.monitoring);
        let answer = tokio::task::spawn_blocking(move || monitoring.answer(&asked, now)).await;
        Ok(answer.unwrap_or_else(|_| reply::text(500, "the question could not be answered\n")))
    }

    /// Lets monitoring see what happened since it was last asked.
    fn refresh(&self) {
        let state = self.state();
        let seen = state.fleet.telemetry().filter(|t| t.version != self.monitoring.version()).cloned();
        drop(state);
        if let Some(telemetry) = seen {
            self.monitoring.update(telemetry);
        }
    }
}
