//! The words of a scenario file.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use toml::Spanned;

use crate::sim::aws::schema::Maintenance;
use crate::sim::cloud::Fate;
use crate::sim::model::meta::Ms;
use crate::sim::model::profile::LogStyle;

/// A length of time in milliseconds: `250ms`, `30s`, `4m`, `2h`, `34d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Ms);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        parse_span(&text).map(Self).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "{text:?} is not a length of time; write a whole number and ms, s, m, h or d, as in \"30s\""
            ))
        })
    }
}

fn parse_span(text: &str) -> Option<Ms> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (n, unit) = text.split_at(end);
    let unit = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    n.parse::<Ms>().ok()?.checked_mul(unit).filter(|ms| *ms <= 3650 * 86_400_000)
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub name: Option<String>,
    #[serde(default)]
    pub description: String,
    #[serde(default = "seed")]
    pub seed: u64,
    #[serde(default = "version")]
    pub version: String,
    /// How long pods tolerate a node that is gone.
    #[serde(default = "eviction")]
    pub eviction_after: Span,
    #[serde(default)]
    pub nodes: Vec<NodeGroup>,
    #[serde(default)]
    pub namespaces: Vec<NamespaceDef>,
    #[serde(default)]
    pub workloads: Vec<WorkloadDef>,
    #[serde(default)]
    pub at: Vec<StepDef>,
    /// What users ask of workloads.
    #[serde(default)]
    pub traffic: Vec<TrafficDef>,
    pub generate: Option<Generate>,
    /// ECS clusters, beside the Kubernetes one.
    #[serde(default)]
    pub ecs: Vec<crate::sim::aws::schema::ClusterDef>,
}

fn seed() -> u64 {
    1
}
fn version() -> String {
    "v1.33.5-eks-113cf36".to_owned()
}
fn eviction() -> Span {
    Span(300_000)
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    pub nodes: u32,
    pub pods: u32,
    pub changes_per_second: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeGroup {
    pub group: String,
    pub count: u32,
    pub instance: String,
    #[serde(default)]
    pub capacity: Capacity,
    pub zones: Vec<String>,
    /// Cores.
    pub cpu: u64,
    /// Gibibytes.
    pub memory: u64,
    #[serde(default = "max_pods")]
    pub pods: u64,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub taints: Vec<TaintDef>,
    #[serde(default = "node_age")]
    pub age: Span,
}

fn max_pods() -> u64 {
    58
}
fn node_age() -> Span {
    Span(21 * 86_400_000)
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capacity {
    #[default]
    OnDemand,
    Spot,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaintDef {
    pub key: String,
    #[serde(default)]
    pub value: String,
    pub effect: Effect,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub enum Effect {
    NoSchedule,
    PreferNoSchedule,
    NoExecute,
}

/// The requests of one service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrafficDef {
    /// `namespace/name`
    pub workload: Spanned<String>,
    /// Its name in the metrics; the workload's without it.
    pub service: Option<String>,
    /// Requests a second, the day's mean.
    pub rate: f64,
    #[serde(default = "usual_errors")]
    pub errors: Spanned<f64>,
    /// The median.
    #[serde(default = "latency")]
    pub latency: Span,
    #[serde(default = "spread")]
    pub spread: f64,
    #[serde(default)]
    pub entry: bool,
    pub objective: Option<Spanned<f64>>,
    /// An alert fires when the 99th percentile of latencies is above this.
    pub slow: Option<Span>,
    /// What it waits for when it is slow, as its log names it.
    pub waits_for: Option<String>,
    /// It serves TLS under this name, and a prober looks at its certificate.
    pub host: Option<String>,
    #[serde(default)]
    pub history: Vec<EpisodeDef>,
}

/// A time of the past when it did otherwise.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpisodeDef {
    pub ago: Span,
    #[serde(rename = "for")]
    pub lasting: Option<Span>,
    pub errors: Option<f64>,
    #[serde(default = "as_usual")]
    pub slower: f64,
}

fn usual_errors() -> Spanned<f64> {
    Spanned::new(0..0, 0.0002)
}
fn latency() -> Span {
    Span(40)
}
fn spread() -> f64 {
    0.8
}
fn as_usual() -> f64 {
    1.0
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamespaceDef {
    pub name: String,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Deployment,
    StatefulSet,
    DaemonSet,
    Job,
    CronJob,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the file, and any combination is fine")]
pub struct WorkloadDef {
    pub kind: Kind,
    pub namespace: Spanned<String>,
    pub name: String,
    #[serde(default = "one")]
    pub replicas: i64,
    pub image: String,
    #[serde(default)]
    pub cpu: Option<String>,
    #[serde(default)]
    pub memory: Option<String>,
    #[serde(default)]
    pub cpu_limit: Option<String>,
    #[serde(default)]
    pub memory_limit: Option<String>,
    #[serde(default = "logs")]
    pub logs: LogStyle,
    /// With an init container and a proxy as a native sidecar.
    #[serde(default)]
    pub mesh: bool,
    #[serde(default)]
    pub init: Vec<ContainerDef>,
    #[serde(default)]
    pub extra: Vec<ContainerDef>,
    #[serde(default = "ready_after")]
    pub ready_after: Span,
    /// CPU in use at load 1, as a share of the request.
    #[serde(default = "load")]
    pub load: f64,
    #[serde(default = "memory_use")]
    pub memory_use: f64,
    pub hpa: Option<HpaDef>,
    pub pdb: Option<PdbDef>,
    #[serde(default)]
    pub service: bool,
    #[serde(default)]
    pub config_map: bool,
    /// Cron.
    pub schedule: Option<Spanned<String>>,
    #[serde(default = "duration")]
    pub duration: Span,
    #[serde(default)]
    pub fails: f64,
    #[serde(default)]
    pub completions: Option<i64>,
    #[serde(default)]
    pub max_surge: Option<String>,
    #[serde(default)]
    pub max_unavailable: Option<String>,
    #[serde(default)]
    pub recreate: bool,
    #[serde(default = "deadline")]
    pub progress_deadline: Span,
    #[serde(default = "grace")]
    pub grace: Span,
    /// How long its pods take to end after SIGTERM, if grace lets them; about two seconds without it.
    pub stops_after: Option<Span>,
    #[serde(default)]
    pub age: Option<Span>,
    #[serde(default)]
    pub last_rollout: Option<Span>,
    #[serde(default = "revisions")]
    pub revisions: u32,
    /// The share of its pods that have restarted at some time.
    #[serde(default)]
    pub restarts: f64,
    #[serde(default)]
    pub node_selector: BTreeMap<String, String>,
    #[serde(default)]
    pub tolerations: Vec<TolerationDef>,
    #[serde(default)]
    pub priority_class: Option<String>,
    #[serde(default)]
    pub host_network: bool,
    /// Without probes and token, for very many pods.
    #[serde(default)]
    pub slim: bool,
}

fn one() -> i64 {
    1
}
fn logs() -> LogStyle {
    LogStyle::Plain
}
fn ready_after() -> Span {
    Span(4000)
}
fn load() -> f64 {
    0.4
}
fn memory_use() -> f64 {
    0.7
}
fn duration() -> Span {
    Span(20_000)
}
fn deadline() -> Span {
    Span(600_000)
}
fn grace() -> Span {
    Span(30_000)
}
fn revisions() -> u32 {
    3
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerDef {
    pub name: String,
    pub image: String,
    #[serde(default)]
    pub cpu: Option<String>,
    #[serde(default)]
    pub memory: Option<String>,
    #[serde(default)]
    pub memory_limit: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HpaDef {
    pub min: i64,
    pub max: i64,
    #[serde(default = "goal")]
    pub cpu: i64,
}

fn goal() -> i64 {
    70
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PdbDef {
    pub min_available: Option<String>,
    pub max_unavailable: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TolerationDef {
    #[serde(default)]
    pub key: Option<String>,
    #[serde(default)]
    pub value: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionName {
    Rollout,
    Rollback,
    Behave,
    Kill,
    Scale,
    Load,
    Errors,
    Latency,
    CertificateExpired,
    ZoneDown,
    NodeDown,
    NodeNotReady,
    Recover,
    SpotInterrupt,
    Rebalance,
    Scheduled,
}

/// Who acts on a notice, as it acts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Handler {
    #[default]
    Karpenter,
    /// aws-node-termination-handler that asks the metadata service, with taints and events switched on.
    #[serde(rename = "termination-handler")]
    Nth,
    /// The same that reads a queue.
    #[serde(rename = "termination-handler-queue")]
    NthQueue,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BehaviourName {
    Healthy,
    Crash,
    Oom,
    ImagePullFailure,
    SlowReadiness,
    NotReady,
}

/// A step of the timeline. One table for all actions, so that a wrong key is
/// found at its place; which keys an action takes is checked afterwards.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepDef {
    pub t: Span,
    pub every: Option<Spanned<Span>>,
    pub repeat: Option<u32>,
    pub action: Spanned<ActionName>,
    pub workload: Option<Spanned<String>>,
    pub image: Option<Spanned<String>>,
    pub behaviour: Option<Spanned<BehaviourName>>,
    pub after: Option<Spanned<Span>>,
    pub zone: Option<Spanned<String>>,
    pub node: Option<Spanned<u32>>,
    pub factor: Option<Spanned<f64>>,
    pub ratio: Option<Spanned<f64>>,
    pub replicas: Option<Spanned<i64>>,
    pub pods: Option<Spanned<u32>>,
    #[serde(rename = "for")]
    pub lasting: Option<Spanned<Span>>,
    pub group: Option<Spanned<String>>,
    pub count: Option<Spanned<u32>>,
    pub percent: Option<Spanned<u32>>,
    pub notice: Option<Spanned<Span>>,
    pub fate: Option<Spanned<Fate>>,
    pub handler: Option<Spanned<Handler>>,
    pub spread: Option<Spanned<Span>>,
    pub unannounced: Option<Spanned<bool>>,
    pub replacement: Option<Spanned<Span>>,
    pub code: Option<Spanned<Maintenance>>,
}
