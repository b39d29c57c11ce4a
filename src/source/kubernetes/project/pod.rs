//! Pods.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Deserialize;

use super::Projector;
use super::meta::{Condition, Meta, Pairs, Str, condition, nullable};
use crate::domain::{
    Bytes, Container, ContainerRole, ContainerState, Health, Interner, Kind, Millicores, Resources, Task, Text,
    Timestamp,
};

/// Container lists that pods share: those of one replica set are mostly alike.
#[derive(Debug, Default)]
pub struct Shared {
    lists: HashSet<Arc<[Container]>>,
    sweep_at: usize,
}

impl Shared {
    fn share(&mut self, list: Vec<Container>) -> Arc<[Container]> {
        let list: Arc<[Container]> = Arc::from(list);
        if let Some(found) = self.lists.get(&list) {
            return Arc::clone(found);
        }
        if self.lists.len() >= self.sweep_at.max(1024) {
            self.lists.retain(|l| Arc::strong_count(l) > 1);
            self.sweep_at = self.lists.len() * 2;
        }
        self.lists.insert(Arc::clone(&list));
        list
    }
}

/// A pod, as far as it is shown.
#[derive(Debug, Default, Deserialize)]
pub struct Pod<'a> {
    #[serde(borrow)]
    pub(super) metadata: Meta<'a>,
    #[serde(borrow, default)]
    pub(super) spec: Spec<'a>,
    #[serde(borrow, default)]
    pub(super) status: Status<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spec<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub(super) node_name: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub(super) containers: Vec<ContainerSpec<'a>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub(super) init_containers: Vec<ContainerSpec<'a>>,
    #[serde(borrow, default)]
    pub(super) overhead: Pairs<'a>,
    #[serde(default, rename = "terminationGracePeriodSeconds")]
    pub(super) grace: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ContainerSpec<'a> {
    #[serde(borrow, default)]
    pub(super) name: Str<'a>,
    #[serde(borrow, default)]
    pub(super) image: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub(super) restart_policy: Str<'a>,
    #[serde(borrow, default)]
    pub(super) resources: Requirements<'a>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Requirements<'a> {
    #[serde(borrow, default)]
    pub(super) requests: Pairs<'a>,
    #[serde(borrow, default)]
    pub(super) limits: Pairs<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub(super) phase: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub(super) reason: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub(super) message: Str<'a>,
    #[serde(borrow, default, rename = "podIP", deserialize_with = "nullable")]
    pub(super) pod_ip: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub(super) qos_class: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub(super) conditions: Vec<Condition<'a>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub(super) container_statuses: Vec<ContainerStatus<'a>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub(super) init_container_statuses: Vec<ContainerStatus<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ContainerStatus<'a> {
    #[serde(borrow, default)]
    pub(super) name: Str<'a>,
    #[serde(default)]
    pub(super) ready: bool,
    #[serde(default)]
    pub(super) started: Option<bool>,
    #[serde(default)]
    pub(super) restart_count: u32,
    #[serde(borrow, default)]
    pub(super) state: State<'a>,
    #[serde(borrow, default)]
    pub(super) last_state: State<'a>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct State<'a> {
    #[serde(borrow, default)]
    pub(super) waiting: Option<Why<'a>>,
    #[serde(default)]
    pub(super) running: Option<de::IgnoredAny>,
    #[serde(borrow, default)]
    pub(super) terminated: Option<Why<'a>>,
}

use serde::de;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Why<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub(super) reason: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub(super) message: Str<'a>,
    #[serde(default)]
    pub(super) exit_code: i32,
    #[serde(default)]
    pub(super) signal: i32,
    #[serde(default)]
    pub(super) finished_at: Option<Timestamp>,
}

impl ContainerSpec<'_> {
    fn is_sidecar(&self) -> bool {
        self.restart_policy == "Always"
    }
}

/// What kubectl's printer makes of a pod.
struct Printed {
    ready: u16,
    total: u16,
    status: String,
    restarts: u32,
    last_restart: Option<Timestamp>,
}

/// A pod's row.
pub fn task(pod: &Pod<'_>, p: &mut Projector) -> Task {
    let printed = print(pod);
    let health = health(pod, &printed);
    let id = p.identity(Kind::Task, &pod.metadata);
    let (owner_kind, owner) = pod.metadata.owner();
    let owner = p.interner.text(owner);
    let list = containers(pod, &mut p.interner);
    Task {
        uid: Text::new(&pod.metadata.uid),
        created: pod.metadata.creation_timestamp,
        node: p.interner.text(&pod.spec.node_name),
        owner_kind,
        owner,
        ready: printed.ready,
        containers_total: printed.total,
        grace: u16::try_from(pod.spec.grace.unwrap_or(30)).unwrap_or(u16::MAX),
        status: p.interner.text(&printed.status),
        health,
        restarts: printed.restarts,
        last_restart: printed.last_restart,
        since: since(pod),
        message: if health == Health::Ok { Text::empty() } else { p.interner.text(message(pod)) },
        address: Text::new(&pod.status.pod_ip),
        qos: p.interner.text(&pod.status.qos_class),
        requests: requests(pod),
        limits: limits(pod),
        containers: p.pods.share(list),
        labels: pod.metadata.labels.labels(&mut p.interner),
        ecs: None,
        id,
    }
}

/// Follows `printPod`.
fn print(pod: &Pod<'_>) -> Printed {
    let status = &pod.status;
    let mut reason = if status.reason.is_empty() { status.phase.to_string() } else { status.reason.to_string() };
    if status.conditions.iter().any(|c| c.kind == "PodScheduled" && c.reason == "SchedulingGated") {
        "SchedulingGated".clone_into(&mut reason);
    }
    let sidecar = |name: &str| pod.spec.init_containers.iter().any(|c| c.name == name && c.is_sidecar());
    let sidecars = pod.spec.init_containers.iter().filter(|c| c.is_sidecar()).count();
    let mut out = Printed {
        ready: 0,
        total: u16::try_from(pod.spec.containers.len() + sidecars).unwrap_or(u16::MAX),
        status: String::new(),
        restarts: 0,
        last_restart: None,
    };
    let (mut sidecar_restarts, mut sidecar_last) = (0, None);
    let mut initializing = false;
    for (i, c) in status.init_container_statuses.iter().enumerate() {
        out.restarts += c.restart_count;
        let ended = c.last_state.terminated.as_ref().and_then(|t| t.finished_at);
        out.last_restart = out.last_restart.max(ended);
        if sidecar(&c.name) {
            sidecar_restarts += c.restart_count;
            sidecar_last = sidecar_last.max(ended);
        }
        match (&c.state.terminated, &c.state.waiting) {
            (Some(t), _) if t.exit_code == 0 => continue,
            _ if sidecar(&c.name) && c.started == Some(true) => {
                out.ready += u16::from(c.ready);
                continue;
            }
            (Some(t), _) => reason = format!("Init:{}", ended_as(t)),
            (None, Some(w)) if !w.reason.is_empty() && w.reason != "PodInitializing" => {
                reason = format!("Init:{}", w.reason);
            }
            _ => reason = format!("Init:{i}/{}", pod.spec.init_containers.len()),
        }
        initializing = true;
        break;
    }
    let is_true = |kind: &str| condition(&status.conditions, kind).is_some_and(|c| c.status == "True");
    if !initializing || is_true("Initialized") {
        (out.restarts, out.last_restart) = (sidecar_restarts, sidecar_last);
        let mut running = false;
        let mut error = None;
        for c in status.container_statuses.iter().rev() {
            out.restarts += c.restart_count;
            out.last_restart = out.last_restart.max(c.last_state.terminated.as_ref().and_then(|t| t.finished_at));
            if let Some(w) = c.state.waiting.as_ref().filter(|w| !w.reason.is_empty()) {
                w.reason.as_ref().clone_into(&mut reason);
            } else if let Some(t) = &c.state.terminated {
                reason = ended_as(t);
                if t.exit_code != 0 {
                    error = Some(reason.clone());
                }
            } else if c.ready && c.state.running.is_some() {
                running = true;
                out.ready += 1;
            }
        }
        if reason == "Completed" {
            if running && is_true("Ready") {
                "Running".clone_into(&mut reason);
            } else if let Some(error) = error {
                reason = error;
            } else if running {
                "NotReady".clone_into(&mut reason);
            }
        }
    }
    if pod.metadata.deletion_timestamp.is_some() {
        if status.reason == "NodeLost" {
            "Unknown".clone_into(&mut reason);
        } else if !matches!(status.phase.as_ref(), "Succeeded" | "Failed") {
            "Terminating".clone_into(&mut reason);
        }
    }
    out.status = reason;
    if out.restarts == 0 {
        out.last_restart = None;
    }
    out
}

fn ended_as(t: &Why<'_>) -> String {
    match (t.reason.is_empty(), t.signal) {
        (false, _) => t.reason.to_string(),
        (true, 0) => format!("ExitCode:{}", t.exit_code),
        (true, signal) => format!("Signal:{signal}"),
    }
}

/// How a pod is, from the words kubectl has for it.
#[expect(clippy::match_same_arms, reason = "one arm per story, not per result")]
fn health(pod: &Pod<'_>, printed: &Printed) -> Health {
    let status = printed.status.as_str();
    let is_false = |kind: &str| condition(&pod.status.conditions, kind).is_some_and(|c| c.status == "False");
    let step = status.strip_prefix("Init:").unwrap_or(status);
    match step {
        "Running" if printed.ready >= printed.total => Health::Ok,
        "Completed" | "Succeeded" => Health::Done,
        "Unknown" | "NodeLost" => Health::Unknown,
        // Not ready: on its way up if it was never ready nor restarted.
        "Running" | "NotReady" if !(printed.restarts == 0 && young(pod)) => Health::Warning,
        "Pending" if is_false("PodScheduled") => Health::Warning,
        // Leftovers of what happened to a node: replaced already, if anything owns them.
        "Evicted" | "NodeAffinity" | "NodeShutdown" | "Preempting" | "Shutdown" => Health::Warning,
        "Running" | "NotReady" | "Pending" => Health::Progressing,
        "ContainerCreating" | "PodInitializing" | "Terminating" | "SchedulingGated" => Health::Progressing,
        _ if step.starts_with(|c: char| c.is_ascii_digit()) => Health::Progressing,
        _ => Health::Critical,
    }
}

/// Its containers became unready less than two minutes after it was created:
/// it is still starting, as opposed to having stopped being ready.
fn young(pod: &Pod<'_>) -> bool {
    let since = condition(&pod.status.conditions, "Ready").and_then(|c| c.last_transition_time);
    match (pod.metadata.creation_timestamp, since) {
        (Some(created), Some(since)) => (since - created).num_seconds() < 120,
        _ => true,
    }
}

/// Since when it has stood as it stands; see [`Task::since`].
fn since(pod: &Pod<'_>) -> Option<Timestamp> {
    if pod.metadata.deletion_timestamp.is_some() {
        return pod.metadata.deletion_timestamp;
    }
    let unmet = |kind: &str| condition(&pod.status.conditions, kind).filter(|c| c.status != "True");
    unmet("PodScheduled").or_else(|| unmet("Ready")).and_then(|c| c.last_transition_time)
}

/// The first message that says why: a container's, the pod's, a condition's.
fn message<'p>(pod: &'p Pod<'_>) -> &'p str {
    let s = &pod.status;
    let from_state = s.init_container_statuses.iter().chain(&s.container_statuses).find_map(|c| {
        let why = c.state.waiting.as_ref().or(c.state.terminated.as_ref())?;
        Some(why.message.as_ref()).filter(|m| !m.is_empty())
    });
    if let Some(m) = from_state {
        return m;
    }
    if !s.message.is_empty() {
        return &s.message;
    }
    let unmet = s.conditions.iter().find(|c| c.status == "False" && !c.message.is_empty());
    unmet.map_or("", |c| c.message.as_ref())
}

fn amounts(pairs: &Pairs<'_>) -> Resources {
    Resources {
        cpu: pairs.get("cpu").and_then(Millicores::parse).unwrap_or_default(),
        memory: pairs.get("memory").and_then(Bytes::parse).unwrap_or_default(),
    }
}

/// What the scheduler reserves: the sum of what runs together, or the largest
/// init step if that is more; init steps run beside the sidecars before them.
fn requests(pod: &Pod<'_>) -> Resources {
    let mut running: Resources =
        pod.spec.containers.iter().fold(Resources::default(), |sum, c| sum + amounts(&c.resources.requests));
    let mut sidecars = Resources::default();
    let mut peak = Resources::default();
    for c in &pod.spec.init_containers {
        let own = amounts(&c.resources.requests);
        if c.is_sidecar() {
            sidecars = sidecars + own;
            peak = peak.max(sidecars);
        } else {
            peak = peak.max(sidecars + own);
        }
    }
    running = running + sidecars;
    running.max(peak) + amounts(&pod.spec.overhead)
}

fn limits(pod: &Pod<'_>) -> Resources {
    let sidecars = pod.spec.init_containers.iter().filter(|c| c.is_sidecar());
    pod.spec.containers.iter().chain(sidecars).fold(Resources::default(), |sum, c| sum + amounts(&c.resources.limits))
}

fn containers(pod: &Pod<'_>, interner: &mut Interner) -> Vec<Container> {
    let init = pod.spec.init_containers.iter().map(|c| {
        let role = if c.is_sidecar() { ContainerRole::Sidecar } else { ContainerRole::Init };
        (c, role, &pod.status.init_container_statuses)
    });
    let main = pod.spec.containers.iter().map(|c| (c, ContainerRole::Main, &pod.status.container_statuses));
    init.chain(main)
        .map(|(spec, role, statuses)| {
            let status = statuses.iter().find(|s| s.name == spec.name);
            let state = match status.map(|s| &s.state) {
                Some(State { running: Some(_), .. }) => ContainerState::Running,
                Some(State { terminated: Some(t), .. }) => {
                    ContainerState::Terminated { reason: interner.text(&t.reason), exit_code: t.exit_code }
                }
                Some(State { waiting: Some(w), .. }) => ContainerState::Waiting { reason: interner.text(&w.reason) },
                _ => ContainerState::Waiting { reason: Text::empty() },
            };
            Container {
                name: interner.text(&spec.name),
                image: interner.text(&spec.image),
                role,
                ready: status.is_some_and(|s| s.ready),
                restarts: status.map_or(0, |s| s.restart_count),
                state,
            }
        })
        .collect()
}
