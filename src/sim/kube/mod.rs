//! The façade that speaks the Kubernetes API: plain HTTP/1.1 on top of a
//! [`Fleet`], honest enough that kubectl cannot tell.
//!
//! ```text
//! request -> route -> faults -> token -> access rules -> discovery | read | watch | write | logs | metrics | review
//! ```

mod discovery;
mod evict;
mod logs;
mod metrics;
mod patch;
mod protobuf;
mod proxy;
mod read;
pub(crate) mod reply;
mod resource;
mod review;
mod route;
mod selector;
mod status;
mod store;
pub(crate) mod stream;
mod table;
mod watch;
mod write;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;

use self::reply::Body;
use self::route::{Query, Route, Target};
use self::status::Failure;
use self::store::Store;
pub(crate) use self::store::uid;
use super::backend::Fleet;
use super::fault::{FaultControl, Verdict};
use super::prom::Monitoring;
use super::server::Tuning;
use crate::clock::Clock;

/// Who the one user is, in messages and reviews.
const USER: &str = "quarterdeck-demo";
/// The largest request body, as the API server has it.
const MAX_BODY: usize = 3 * 1024 * 1024;

/// The fleet and what the wire knows of it, changed together.
struct State {
    fleet: Box<dyn Fleet>,
    store: Store,
    /// [`super::fault::WatchFaults::expiries`] that the store has obeyed.
    expiries: u64,
}

/// One API server.
pub(crate) struct Api {
    state: Mutex<State>,
    /// Prometheus and Alertmanager.
    monitoring: Arc<Monitoring>,
    faults: Arc<FaultControl>,
    clock: Clock,
    token: String,
    address: String,
    tuning: Tuning,
    /// The store's version, for watchers to wake up by.
    changes: tokio::sync::watch::Sender<u64>,
    /// Counts ticks, for log followers to wake up by.
    ticks: tokio::sync::watch::Sender<u64>,
}

impl Api {
    pub(crate) fn new(
        mut fleet: Box<dyn Fleet>,
        clock: Clock,
        faults: Arc<FaultControl>,
        token: String,
        address: String,
        tuning: Tuning,
    ) -> Self {
        let mut store = Store::new(tuning.event_log);
        fleet.initial_each(clock.now(), &mut |change| store.apply(vec![change]));
        // What was there at the start never happened: no watch can begin before it.
        store.forget_events();
        let changes = tokio::sync::watch::Sender::new(store.version());
        Self {
            state: Mutex::new(State { fleet, store, expiries: 0 }),
            monitoring: Arc::default(),
            faults,
            clock,
            token,
            address,
            tuning,
            changes,
            ticks: tokio::sync::watch::Sender::new(0),
        }
    }

    /// Lets the fleet live up to now.
    pub(crate) fn tick(&self) {
        let now = self.clock.now();
        let mut state = self.state();
        let changes = state.fleet.advance(now);
        state.store.apply(changes);
        self.announce(&state.store);
        drop(state);
        self.ticks.send_modify(|n| *n += 1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let expiries = self.faults.watches().borrow().expiries;
        if state.expiries != expiries {
            state.expiries = expiries;
            state.store.forget_events();
        }
        state
    }

    fn announce(&self, store: &Store) {
        let version = store.version();
        self.changes.send_if_modified(|v| std::mem::replace(v, version) != version);
    }

    /// Answers one request.
    pub(crate) async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let (path, has_key) = self.without_key(request.uri().path());
        let route = Route::parse(path);
        let (delay, verdict) = self.faults.judge(route.plural());
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        match verdict {
            Verdict::Serve => {}
            Verdict::Hang => std::future::pending().await,
            Verdict::Garbage => {
                let broken = r#"{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"#;
                return reply::respond(200, "application/json", reply::full(broken));
            }
            Verdict::Status { code, retry_after } => return reply::failure(&Failure::of_code(code, retry_after)),
        }
        if !route.is_public() && !self.is_known(request.headers(), has_key) {
            return reply::failure(&Failure::unauthorized());
        }
        match self.dispatch(route, request).await {
            Ok(response) => response,
            Err(failure) => reply::failure(&failure),
        }
    }

    /// The path without the token it may begin with, and whether it did. kubectl
    /// sends no bearer token over plain HTTP, so the kubeconfig's URL carries it too.
    fn without_key<'p>(&self, path: &'p str) -> (&'p str, bool) {
        let rest = path.strip_prefix('/').and_then(|p| p.strip_prefix(self.token.as_str()));
        match rest {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => (rest, true),
            _ => (path, false),
        }
    }

    /// A bearer token decides when there is one, else the path.
    fn is_known(&self, headers: &HeaderMap, has_key: bool) -> bool {
        match headers.get(AUTHORIZATION) {
            Some(value) => value.to_str().ok().and_then(|v| v.strip_prefix("Bearer ")) == Some(self.token.as_str()),
            None => has_key,
        }
    }

    async fn dispatch(self: Arc<Self>, route: Route, request: Request<Incoming>) -> Result<Response<Body>, Failure> {
        let found =
            |value: Option<serde_json::Value>| value.map(|v| reply::json(200, &v)).ok_or_else(Failure::no_such_path);
        match route {
            Route::Object(target) => self.object(target, request).await,
            Route::Monitoring(which, path) => self.monitor(which, path, request).await,
            Route::Proxy(target) => self.proxy(target, request).await,
            Route::Review(review) => {
                if request.method() != Method::POST {
                    return Err(Failure::method_not_allowed());
                }
                let body = Received::read(request).await?;
                self.review(review, body.json()?)
            }
            Route::Nowhere => Err(Failure::no_such_path()),
            _ if request.method() != Method::GET => Err(Failure::method_not_allowed()),
            Route::Health => Ok(reply::text(200, "ok")),
            Route::Version => Ok(reply::json(200, &discovery::version())),
            Route::CoreVersions => Ok(discovery::core(request.headers(), &self.address)),
            Route::Groups => Ok(discovery::groups(request.headers())),
            Route::Group(name) => found(discovery::group(&name)),
            Route::Resources { group, version } => found(discovery::resources(&group, &version)),
            Route::OpenApiV3 => Ok(reply::json(200, &serde_json::json!({"paths": {}}))),
            Route::Metrics(target) => {
                let query = Query::parse(request.uri().query().unwrap_or_default());
                self.metrics(&target, &query)
            }
        }
    }

    async fn object(self: Arc<Self>, target: Target, request: Request<Incoming>) -> Result<Response<Body>, Failure> {
        let query = Query::parse(request.uri().query().unwrap_or_default());
        if target.sub.is_some_and(resource::Subresource::is_stream) {
            // As 1.35 does: a websocket's GET has to be allowed, and so has what it does, which is to create.
            if request.method() == Method::GET {
                self.permit("get", &target)?;
            }
            self.permit("create", &target)?;
            return self.stream(&target, &query, request);
        }
        let verb = verb(&request, &target, &query)?;
        self.permit(verb, &target)?;
        match verb {
            "get" => match target.sub {
                Some(resource::Subresource::Log) => self.logs(&target, &query),
                _ => self.get(&target, request.headers(), &query),
            },
            "list" => self.list(&target, request.headers(), &query),
            "watch" => self.watch(&target, request.headers(), &query),
            _ => {
                let received = Received::read(request).await?;
                self.write(verb, &target, &query, &received)
            }
        }
    }

    /// 403 in the API server's words when a fault forbids it.
    fn permit(&self, verb: &str, target: &Target) -> Result<(), Failure> {
        let resource = target.resource;
        let what = match target.sub {
            Some(sub) => format!("{}/{}", resource.plural, sub.name()),
            None => resource.plural.to_owned(),
        };
        if !self.faults.is_forbidden(verb, &what) {
            return Ok(());
        }
        let scope = if target.namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace {:?}", target.namespace)
        };
        let why = format!("User {USER:?} cannot {verb} resource {what:?} in API group {:?} {scope}", resource.group);
        Err(Failure::forbidden(resource, &target.name, &why))
    }
}

/// The API's verb for a request.
fn verb(request: &Request<Incoming>, target: &Target, query: &Query) -> Result<&'static str, Failure> {
    use resource::Subresource::{Eviction, Scale, Status};
    let collection = target.name.is_empty();
    match (request.method(), target.sub) {
        (&Method::GET, None) if collection => Ok(if query.flag("watch") { "watch" } else { "list" }),
        (&Method::POST, Some(Eviction)) if !collection => Ok("create"),
        (_, Some(Eviction)) => Err(Failure::method_not_allowed()),
        (&Method::GET, _) => Ok("get"),
        (&Method::POST, None) if collection => Ok("create"),
        (&Method::PUT, None | Some(Status | Scale)) if !collection => Ok("update"),
        (&Method::PATCH, None | Some(Status | Scale)) if !collection => Ok("patch"),
        (&Method::DELETE, None) => Ok(if collection { "deletecollection" } else { "delete" }),
        _ => Err(Failure::method_not_allowed()),
    }
}

/// A request whose body has arrived.
struct Received {
    headers: HeaderMap,
    media: String,
    body: bytes::Bytes,
}

impl Received {
    async fn read(request: Request<Incoming>) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let media = parts.headers.get(http::header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim().to_owned();
        match Limited::new(body, MAX_BODY).collect().await {
            Ok(collected) => Ok(Self { headers: parts.headers, media, body: collected.to_bytes() }),
            Err(e) if e.is::<http_body_util::LengthLimitError>() => {
                let message = format!("Request entity too large: limit is {MAX_BODY}");
                Err(Failure::new(413, "RequestEntityTooLarge", message))
            }
            Err(e) => Err(Failure::bad_request(format!("the request's body could not be read: {e}"))),
        }
    }

    /// The body as an object, JSON or YAML.
    fn json(&self) -> Result<serde_json::Value, Failure> {
        let bad = |e: &dyn std::fmt::Display| {
            Failure::bad_request(format!("the object provided is unrecognized (must be of type object): {e}"))
        };
        let value: serde_json::Value = match self.media.as_str() {
            "application/yaml" | "application/apply-patch+yaml" => {
                let text = std::str::from_utf8(&self.body).map_err(|e| bad(&e))?;
                serde_saphyr::from_str(text).map_err(|e| bad(&e))?
            }
            ""
            | "application/json"
            | "application/merge-patch+json"
            | "application/strategic-merge-patch+json"
            | "application/json-patch+json" => serde_json::from_slice(&self.body).map_err(|e| bad(&e))?,
            "application/vnd.kubernetes.protobuf" => {
                protobuf::decode(&self.body).map_err(|why| Failure::unsupported_media_type(&why, "application/json"))?
            }
            other => {
                return Err(Failure::unsupported_media_type(other, "application/json, application/yaml"));
            }
        };
        if value.is_object() || value.is_array() { Ok(value) } else { Err(bad(&"it is neither object nor list")) }
    }
}
