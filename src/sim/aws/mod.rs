//! The façade that speaks AWS: ECS, CloudWatch, CloudWatch Logs, Application
//! Auto Scaling, SQS, Service Quotas, SSM's sessions, and the EC2 and load balancing reads.
//! Honest enough that boto3 cannot tell.
//!
//! ```text
//! request -> parse -> faults -> key, clock -> limits -> service
//! ```

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a model's counts, milliseconds and shares are far from the limits of their types"
)]

mod alarms;
mod bus;
mod cloudwatch;
mod definitions;
mod deployments;
mod ec2;
mod ecs;
mod enter;
pub mod fault;
mod limits;
mod logs;
mod model;
mod network;
mod placement;
mod port;
mod scaling;
mod scheduler;
pub mod schema;
mod spot;
mod sqs;
mod standalone;
mod wire;

use std::sync::{Arc, Mutex, PoisonError};

use http::{Request, Response};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};

pub use self::fault::{AwsFaultControl, AwsFaults};
use self::limits::Limits;
use self::model::{Cluster, Ms};
use self::schema::ClusterDef;
use self::wire::{Call, Refusal};
use crate::clock::Clock;
use crate::sim::cloud::Cloud;
use crate::sim::kube::reply::Body;

pub(crate) use self::wire::is_aws;

/// The largest request body.
const MAX_BODY: usize = 1024 * 1024;
/// AWS refuses signatures that are older or younger.
const SKEW: i64 = 300;
/// Page tokens are remembered so many at a time.
const TOKENS: usize = 4096;

/// How to reach the façade. Its `Debug` does not show the secret.
#[derive(Clone)]
pub struct AwsAccess {
    /// The endpoint of every service.
    pub endpoint: String,
    /// Access key's id, one for each account.
    pub key_id: String,
    /// Its secret.
    pub secret: String,
    /// The clusters: name, region, account.
    pub clusters: Vec<(String, String, String)>,
}

impl std::fmt::Debug for AwsAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AwsAccess")
            .field("endpoint", &self.endpoint)
            .field("clusters", &self.clusters)
            .finish_non_exhaustive()
    }
}

impl AwsAccess {
    /// The access key's id for an account.
    #[must_use]
    pub fn key_for(&self, account: &str) -> String {
        format!("{}{account}", self.key_id)
    }
}

/// The state behind the façade.
#[derive(Debug)]
pub(crate) struct World {
    clusters: Vec<Cluster>,
    cloud: Cloud,
    queues: sqs::Queues,
    bus: bus::Bus,
    limits: Limits,
    /// Page tokens: what they stand for.
    tokens: std::collections::VecDeque<(String, usize)>,
    /// Ways into tasks that were asked for and not taken yet.
    sessions: enter::Sessions,
    made: u64,
    seed: u64,
}

/// One caller: whose account, and which region it asks.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub account: String,
    pub region: String,
}

/// The façade.
pub(crate) struct AwsApi {
    world: Mutex<World>,
    clock: Clock,
    faults: Arc<AwsFaultControl>,
    key: String,
}

impl std::fmt::Debug for AwsApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AwsApi").finish_non_exhaustive()
    }
}

impl AwsApi {
    /// Serves the clusters of a scenario at `addr`. `key` begins every access key's id.
    pub(crate) fn new(
        (clusters, seed): (&[ClusterDef], u64),
        addr: std::net::SocketAddr,
        clock: Clock,
        key: String,
        cloud: Cloud,
    ) -> Self {
        let now = clock.now().timestamp_millis();
        let made = |def: &ClusterDef| {
            let mut c = Cluster::new(def, seed, now);
            c.attach(&cloud, def.takes_back());
            c
        };
        let clusters = clusters.iter().map(made).collect();
        let limits = Limits::default();
        let mut queues = sqs::Queues::default();
        let bus = bus::Bus::new(&cloud, &mut queues);
        let (tokens, sessions) = (std::collections::VecDeque::new(), enter::Sessions::at(addr));
        let world = World { clusters, cloud, queues, bus, limits, tokens, sessions, made: 0, seed };
        Self { world: Mutex::new(world), clock, faults: Arc::default(), key }
    }

    pub(crate) fn faults(&self) -> Arc<AwsFaultControl> {
        Arc::clone(&self.faults)
    }

    fn change<T>(&self, f: impl FnOnce(&mut World) -> T) -> T {
        f(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Name, region and account of every cluster.
    pub(crate) fn clusters(&self) -> Vec<(String, String, String)> {
        self.change(|w| w.clusters.iter().map(|c| (c.name.clone(), c.region.clone(), c.account.clone())).collect())
    }

    /// Lets the clusters live up to now.
    pub(crate) fn tick(&self) {
        let now = self.clock.now().timestamp_millis();
        self.change(|w| {
            w.clusters.iter_mut().for_each(|c| {
                c.advance(now);
                c.watch(now);
            });
            w.bus.deliver(&w.cloud, &mut w.queues);
        });
    }

    /// What was asked so far.
    pub(crate) fn report(&self) -> Value {
        self.change(|w| {
            let mut report = w.limits.report();
            report["sessions"] = w.sessions.open().into();
            report
        })
    }

    /// Answers one request.
    pub(crate) async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        if request.uri().path().starts_with("/_sim/") {
            return wire::respond(200, "application/json", self.report().to_string(), None);
        }
        if request.uri().path().starts_with(enter::PATH) {
            return self.data_channel(request);
        }
        let faults = self.faults.now();
        if faults.hang {
            std::future::pending::<()>().await;
        }
        if !faults.delay.is_zero() {
            tokio::time::sleep(faults.delay).await;
        }
        if faults.garbage {
            return wire::respond(200, "application/x-amz-json-1.1", "{\"tasks\": [{\"lastSta", None);
        }
        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
            let refusal = Refusal::new("RequestEntityTooLarge", "the request is too large").with(413);
            return wire::refuse(wire::Protocol::Json("1.1"), &refusal);
        };
        let call = match wire::parse(&parts.headers, parts.uri.path(), &body.to_bytes()) {
            Ok(call) => call,
            Err(refusal) => return wire::refuse(wire::Protocol::Json("1.1"), &refusal),
        };
        let mut response = match self.admit(&parts.headers, &call, &faults) {
            Ok(caller) => self.serve(&caller, &call, &faults).await,
            Err(refusal) => wire::refuse(call.protocol, &refusal),
        };
        let date = self.clock.now() + chrono::TimeDelta::seconds(faults.skew_secs);
        if let Ok(date) = date.format("%a, %d %b %Y %H:%M:%S GMT").to_string().parse() {
            response.headers_mut().insert(http::header::DATE, date);
        }
        response
    }

    /// Who asks, if they may.
    fn admit(&self, headers: &http::HeaderMap, call: &Call, faults: &AwsFaults) -> Result<Caller, Refusal> {
        let (key, region, _) = wire::scope(headers);
        if key.is_empty() {
            let code = "MissingAuthenticationTokenException";
            return Err(Refusal::new(code, "Missing Authentication Token").with(403));
        }
        let is_ec2 = matches!(call.protocol, wire::Protocol::Query { ec2: true });
        let Some(account) = key.strip_prefix(&self.key).filter(|_| !faults.unknown_key) else {
            let (code, message) = if is_ec2 {
                ("AuthFailure", "AWS was not able to validate the provided access credentials")
            } else {
                ("UnrecognizedClientException", "The security token included in the request is invalid.")
            };
            return Err(Refusal::new(code, message).with(if is_ec2 { 401 } else { 400 }));
        };
        if faults.expired {
            let code = if is_ec2 { "RequestExpired" } else { "ExpiredTokenException" };
            return Err(Refusal::new(code, "The security token included in the request is expired"));
        }
        self.check_clock(headers, faults)?;
        let account = if account.is_empty() { "123456789012" } else { account };
        let caller = Caller { account: account.to_owned(), region };
        let now = self.clock.now().timestamp_millis();
        let on = !faults.unlimited;
        let fits = self.change(|w| {
            w.limits.on = on;
            w.limits.take(&caller.account, &caller.region, call.service, &call.operation, now)
        });
        let prefix = match call.service {
            "monitoring" => "cloudwatch",
            other => other,
        };
        let action = format!("{prefix}:{}", call.operation);
        let unlucky = self.faults.throttles() || faults.throttled.contains(&action);
        if unlucky {
            self.change(|w| w.limits.throttle());
        }
        if !fits || unlucky {
            return Err(match call.protocol {
                wire::Protocol::Query { ec2: true } => {
                    Refusal::new("RequestLimitExceeded", "Request limit exceeded.").with(503)
                }
                wire::Protocol::Query { ec2: false } => Refusal::new("Throttling", "Rate exceeded"),
                _ => Refusal::new("ThrottlingException", "Rate exceeded"),
            });
        }
        if faults.denied.contains(&action) {
            let code = match call.protocol {
                wire::Protocol::Query { ec2: true } => "UnauthorizedOperation",
                wire::Protocol::Query { ec2: false } => "AccessDenied",
                _ => "AccessDeniedException",
            };
            let message = format!(
                "User: arn:aws:iam::{account}:user/quarterdeck is not authorized to perform: {action} on resource: * because no identity-based policy allows the {action} action"
            );
            return Err(Refusal::new(code, message).with(if is_ec2 { 403 } else { 400 }));
        }
        Ok(caller)
    }

    fn check_clock(&self, headers: &http::HeaderMap, faults: &AwsFaults) -> Result<(), Refusal> {
        let text = headers.get("x-amz-date").and_then(|v| v.to_str().ok()).unwrap_or_default();
        let Ok(signed) = chrono::NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%SZ") else { return Ok(()) };
        let now = self.clock.now() + chrono::TimeDelta::seconds(faults.skew_secs);
        let off = (now - signed.and_utc()).num_seconds();
        if off.abs() <= SKEW || faults.any_time {
            return Ok(());
        }
        let stamp = |t: chrono::DateTime<chrono::Utc>| t.format("%Y%m%dT%H%M%SZ").to_string();
        let message = if off > 0 {
            let bound = stamp(now - chrono::TimeDelta::seconds(SKEW));
            format!("Signature expired: {text} is now earlier than {bound} ({} - 5 min.)", stamp(now))
        } else {
            let bound = stamp(now + chrono::TimeDelta::seconds(SKEW));
            format!("Signature not yet current: {text} is still later than {bound} ({} + 5 min.)", stamp(now))
        };
        Err(Refusal::new("InvalidSignatureException", message).with(403))
    }

    async fn serve(&self, caller: &Caller, call: &Call, faults: &AwsFaults) -> Response<Body> {
        if call.service == "sqs" && call.operation == "ReceiveMessage" {
            self.wait_for_messages(caller, call).await;
        }
        let now = self.clock.now().timestamp_millis();
        let outcome = self.change(|w| w.answer(caller, call, faults, now));
        match outcome {
            Ok(output) if call.protocol == wire::Protocol::Cbor => wire::answer(call, &output),
            Ok(output) => wire::answer(call, &wire::plain_times(output)),
            Err(refusal) => wire::refuse(call.protocol, &refusal),
        }
    }

    /// A long poll waits until there is something, or the time is up.
    async fn wait_for_messages(&self, caller: &Caller, call: &Call) {
        let secs = call.input["WaitTimeSeconds"].as_u64().unwrap_or(0).min(20);
        for _ in 0..secs * 10 {
            let now = self.clock.now().timestamp_millis();
            if self.change(|w| w.queues.has_some(caller, &call.input, now)) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
}

impl World {
    fn answer(&mut self, caller: &Caller, call: &Call, faults: &AwsFaults, now: Ms) -> Result<Value, Refusal> {
        let found = match call.service {
            "ecs" => self.ecs(caller, &call.operation, &call.input, faults, now),
            "monitoring" => self.cloudwatch(caller, &call.operation, &call.input, faults, now),
            "logs" => self.logs(caller, &call.operation, &call.input, now),
            "application-autoscaling" => self.scaling(caller, &call.operation, &call.input, faults),
            "servicequotas" => self.quotas(caller, &call.operation, &call.input),
            "ssm" => self.ssm(caller, &call.operation, &call.input),
            "sqs" => self.queues.answer(caller, &call.operation, &call.input, now),
            "sts" => Ok(Some(json!({"Arn": format!("arn:aws:iam::{}:user/quarterdeck", caller.account),
                "UserId": "SIM", "Account": caller.account}))),
            "ec2" | "elasticloadbalancing" => self.network(caller, &call.operation, &call.input, now),
            _ => Ok(None),
        };
        found?.ok_or_else(|| {
            Refusal::new(
                "UnknownOperationException",
                format!("the embedded fleet does not know {}:{}", call.service, call.operation),
            )
        })
    }

    /// One page of `all`, and the token of the next. `faults.circle` never ends.
    fn page<T: Clone>(
        &mut self,
        all: &[T],
        token: Option<&str>,
        size: usize,
        circle: bool,
    ) -> Result<(Vec<T>, Option<String>), Refusal> {
        let from = match token.filter(|t| !t.is_empty()) {
            None => 0,
            Some(token) => self
                .tokens
                .iter()
                .find(|(t, _)| t == token)
                .map(|(_, from)| *from)
                .ok_or_else(|| Refusal::invalid("Invalid token."))?,
        };
        let page: Vec<T> = all.iter().skip(from).take(size).cloned().collect();
        let next = from + page.len();
        if next >= all.len() && !circle {
            return Ok((page, None));
        }
        self.made += 1;
        let number = if circle { 1 } else { self.made };
        let token = format!("{:016x}{:016x}", crate::sim::model::hash2(self.seed, number), number);
        self.tokens.push_back((token.clone(), if circle { 0 } else { next }));
        if self.tokens.len() > TOKENS {
            self.tokens.pop_front();
        }
        Ok((page, Some(token)))
    }

    /// The cluster that a request names, `default` without a name.
    fn cluster(&self, caller: &Caller, input: &Value) -> Result<usize, Refusal> {
        let name = input["cluster"].as_str().unwrap_or("default");
        let name = name.rsplit('/').next().unwrap_or(name);
        self.clusters
            .iter()
            .position(|c| c.name == name && c.account == caller.account && c.region == caller.region)
            .ok_or_else(|| Refusal::new("ClusterNotFoundException", "Cluster not found."))
    }
}

/// The strings of a list in a request.
fn strings<'v>(input: &'v Value, key: &str) -> Vec<&'v str> {
    input[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The last part of an ARN.
fn tail(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
