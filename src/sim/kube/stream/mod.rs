//! Connections of their own: exec, attach and port-forward over websockets, as the kubelet has them.

mod forward;
mod process;
pub(crate) mod shell;

use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

pub(crate) use self::forward::replies;
pub(crate) use self::process::{Asked, pause};
use super::Api;
use super::logs;
use super::reply::{self, Body};
use super::resource::Subresource;
use super::route::{Query, Target, parameters};
use super::status::Failure;

/// The connection once it is upgraded.
pub(crate) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// What goes on on a connection after its answer; in the answer's extensions.
#[derive(Clone)]
pub(crate) struct Upgrade(Arc<Mutex<Option<BoxFuture<'static, ()>>>>);

impl Upgrade {
    pub(crate) fn take(&self) -> Option<BoxFuture<'static, ()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Which of the protocols with channels is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    V4,
    /// With an end for each channel.
    V5,
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Self::V4 => "v4.channel.k8s.io",
            Self::V5 => "v5.channel.k8s.io",
        }
    }

    /// The first of the client's that is known here.
    fn choose(headers: &HeaderMap) -> Option<Self> {
        let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|v| v.to_str().ok());
        offered
            .flat_map(|v| v.split(',').map(str::trim))
            .find_map(|name| [Self::V5, Self::V4].into_iter().find(|p| p.name() == name))
    }
}

impl Api {
    /// Answers an exec, an attach or a port-forward, and goes on on its connection.
    pub(super) fn stream(
        self: Arc<Self>,
        target: &Target,
        query: &Query,
        mut request: Request<Incoming>,
    ) -> Result<Response<Body>, Failure> {
        let pod = {
            let state = self.state();
            let pod = state.store.get(target.resource.kind, &target.namespace, &target.name);
            pod.ok_or_else(|| Failure::not_found(target.resource, &target.name))?.value()
        };
        let headers = request.headers();
        let is = |name, wanted: &str| {
            let value = headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok()).unwrap_or_default();
            value.split(',').any(|v| v.trim().eq_ignore_ascii_case(wanted))
        };
        let key = headers.get(SEC_WEBSOCKET_KEY).map(|k| derive_accept_key(k.as_bytes()));
        let (true, true, Some(accept)) = (is(UPGRADE, "websocket"), is(CONNECTION, "upgrade"), key) else {
            return Err(Failure::bad_request("Upgrade request required: a websocket"));
        };
        let Some(protocol) = Protocol::choose(headers) else {
            return Err(Failure::bad_request(
                "none of the offered subprotocols is served: v5 and v4.channel.k8s.io are",
            ));
        };
        let all = parameters(request.uri().query().unwrap_or_default());
        let on = hyper::upgrade::on(&mut request);
        let then: BoxFuture<'static, ()> = if target.sub == Some(Subresource::PortForward) {
            let ports = forward::ports(&all)?;
            Box::pin(async move {
                if let Some(socket) = socket(on).await {
                    forward::serve(socket, &pod, &ports).await;
                }
            })
        } else {
            let name = self.container_to_enter(&pod, query)?;
            let asked = process::Asked::new(&pod, &name, query, &all);
            if target.sub == Some(Subresource::Exec) {
                asked.check()?;
                Box::pin(async move {
                    if let Some(socket) = socket(on).await {
                        process::exec(socket, protocol, asked).await;
                    }
                })
            } else {
                let query = Query::parse(&format!("follow=1&tailLines=5&container={name}"));
                let log = self.logs(target, &query)?.into_body();
                Box::pin(async move {
                    if let Some(socket) = socket(on).await {
                        process::attach(socket, protocol, asked, log).await;
                    }
                })
            }
        };
        let mut response = switching(&accept, then).ok_or_else(|| Failure::bad_request("the key makes no sense"))?;
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol.name()));
        Ok(response)
    }

    /// The container that is asked for, if it runs.
    #[expect(clippy::unused_self, reason = "it is a question to the API")]
    fn container_to_enter(&self, pod: &Value, query: &Query) -> Result<String, Failure> {
        let phase = pod["status"]["phase"].as_str().unwrap_or_default();
        if matches!(phase, "Succeeded" | "Failed") {
            let why = format!("cannot exec into a container in a completed pod; current phase is {phase}");
            return Err(Failure::new(500, "InternalError", why));
        }
        let name = logs::container(pod, query.get("container"))?;
        if logs::running(pod, &name).is_none() {
            let why = format!("unable to upgrade connection: container not found (\"{name}\")");
            return Err(Failure::new(500, "InternalError", format!("Internal error occurred: {why}")));
        }
        Ok(name)
    }
}

/// Says yes to a websocket.
fn switching(accept: &str, then: BoxFuture<'static, ()>) -> Option<Response<Body>> {
    let mut response = Response::new(reply::full(""));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let to = response.headers_mut();
    to.insert(UPGRADE, HeaderValue::from_static("websocket"));
    to.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    to.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_str(accept).ok()?);
    response.extensions_mut().insert(Upgrade(Arc::new(Mutex::new(Some(then)))));
    Some(response)
}

/// A websocket without a subprotocol, for another façade: `then` has it once it stands. `None` if the request
/// asks for none.
pub(crate) fn websocket<F>(
    mut request: Request<Incoming>,
    then: impl FnOnce(Socket) -> F + Send + 'static,
) -> Option<Response<Body>>
where
    F: Future<Output = ()> + Send,
{
    let accept = derive_accept_key(request.headers().get(SEC_WEBSOCKET_KEY)?.as_bytes());
    let on = hyper::upgrade::on(&mut request);
    let then = Box::pin(async move {
        if let Some(socket) = socket(on).await {
            then(socket).await;
        }
    });
    switching(&accept, then)
}

async fn socket(on: OnUpgrade) -> Option<Socket> {
    let upgraded = on.await.ok()?;
    Some(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await)
}
