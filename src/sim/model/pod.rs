//! A pod: its state, and its JSON.

use std::sync::Arc;

use serde_json::{Value, json};

use super::meta::{Ms, Obj, Owner, owner_json, time};
use super::profile::Profile;
use super::rng::{hash, uuid};
use super::template::{Role, Template};

/// A pod of the model; never used twice.
pub type PodId = u32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
}

impl Phase {
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }
}

/// How a container's run ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    pub started: Ms,
    pub finished: Ms,
    pub exit: i32,
    pub reason: &'static str,
    pub run: u32,
}

#[derive(Debug, Clone, Copy)]
pub enum State {
    /// Not started, for a reason.
    Waiting(&'static str),
    Running(Ms),
    Ended(Ended),
}

#[derive(Debug, Clone)]
pub struct Container {
    pub state: State,
    pub last: Option<Ended>,
    pub restarts: u32,
    /// Crashes in a row, for the back-off.
    pub crashes: u32,
    pub ready: bool,
}

impl Container {
    pub fn new() -> Self {
        Self { state: State::Waiting("ContainerCreating"), last: None, restarts: 0, crashes: 0, ready: false }
    }

    pub fn running(&self) -> bool {
        matches!(self.state, State::Running(_))
    }
}

#[derive(Debug)]
pub struct Pod {
    pub name: Arc<str>,
    pub ns: Arc<str>,
    pub uid: u128,
    pub created: Ms,
    pub owner: Option<Owner>,
    pub template: Arc<Template>,
    pub profile: Arc<Profile>,
    /// Labels the controller adds to the template's.
    pub extra_labels: Vec<(&'static str, String)>,
    /// Labels and annotations as a client rewrote them.
    pub labels: Option<Box<Obj>>,
    pub annotations: Option<Box<Obj>>,
    pub node: Option<Arc<str>>,
    pub host_ip: Arc<str>,
    pub ip: u32,
    pub scheduled: Ms,
    /// When the kubelet took it on.
    pub started: Option<Ms>,
    pub initialized: Option<Ms>,
    pub ready: bool,
    pub ready_at: Ms,
    pub phase: Phase,
    pub unschedulable: Option<String>,
    pub reason: Option<(&'static str, String)>,
    pub containers: Vec<Container>,
    /// When it is to be gone, and its grace in seconds.
    pub deletion: Option<(Ms, i64)>,
    /// Its node does not answer.
    pub lost: bool,
    /// When it was evicted.
    pub evicted: Option<Ms>,
}

impl Pod {
    pub fn seed(&self) -> u64 {
        self.uid as u64
    }

    pub fn active(&self) -> bool {
        self.deletion.is_none() && !self.finished()
    }

    pub fn finished(&self) -> bool {
        matches!(self.phase, Phase::Succeeded | Phase::Failed)
    }

    /// The pod's own address.
    pub fn pod_ip(&self) -> String {
        format!("10.{}.{}.{}", 64 + (self.ip >> 16) % 64, (self.ip >> 8) & 255, self.ip & 255)
    }

    pub fn all_labels(&self) -> Obj {
        if let Some(l) = &self.labels {
            return (**l).clone();
        }
        let mut out = self.template.labels.clone();
        for (k, v) in &self.extra_labels {
            out.insert((*k).into(), v.clone().into());
        }
        out
    }

    pub fn all_annotations(&self) -> &Obj {
        self.annotations.as_deref().unwrap_or(&self.template.annotations)
    }

    pub fn render(&self) -> Value {
        let mut meta = Obj::new();
        meta.insert("name".into(), (&*self.name).into());
        if let Some(o) = &self.owner {
            meta.insert("generateName".into(), format!("{}-", o.at.name).into());
        }
        meta.insert("namespace".into(), (&*self.ns).into());
        meta.insert("uid".into(), uuid(self.uid).into());
        meta.insert("creationTimestamp".into(), time(self.created).into());
        if let Some((at, grace)) = self.deletion {
            meta.insert("deletionTimestamp".into(), time(at).into());
            meta.insert("deletionGracePeriodSeconds".into(), grace.into());
        }
        let labels = self.all_labels();
        if !labels.is_empty() {
            meta.insert("labels".into(), labels.into());
        }
        let annotations = self.all_annotations();
        if !annotations.is_empty() {
            meta.insert("annotations".into(), annotations.clone().into());
        }
        if let Some(o) = &self.owner {
            meta.insert("ownerReferences".into(), owner_json(o));
        }
        let mut spec = self.template.pod_spec.clone();
        if let Some(n) = &self.node {
            spec.insert("nodeName".into(), (&**n).into());
        }
        let mut out = Obj::new();
        out.insert("metadata".into(), meta.into());
        out.insert("spec".into(), spec.into());
        out.insert("status".into(), self.status().into());
        out.into()
    }

    fn status(&self) -> Obj {
        let mut s = Obj::new();
        s.insert("phase".into(), self.phase.word().into());
        s.insert("conditions".into(), self.conditions());
        if let Some((reason, message)) = &self.reason {
            s.insert("reason".into(), (*reason).into());
            s.insert("message".into(), message.clone().into());
        }
        s.insert("qosClass".into(), self.template.qos.into());
        let Some(started) = self.started else { return s };
        s.insert("hostIP".into(), (&*self.host_ip).into());
        s.insert("hostIPs".into(), json!([{"ip": &*self.host_ip}]));
        s.insert("startTime".into(), time(started).into());
        if self.containers.iter().any(|c| !matches!(c.state, State::Waiting(_)) || c.last.is_some()) {
            let ip = if self.template.pod_spec.get("hostNetwork") == Some(&Value::Bool(true)) {
                self.host_ip.to_string()
            } else {
                self.pod_ip()
            };
            s.insert("podIPs".into(), json!([{"ip": ip}]));
            s.insert("podIP".into(), ip.into());
        }
        let (mut init, mut main) = (Vec::new(), Vec::new());
        for i in 0..self.containers.len() {
            let list = if self.template.containers[i].role == Role::Main { &mut main } else { &mut init };
            list.push(self.container_status(i));
        }
        if !init.is_empty() {
            s.insert("initContainerStatuses".into(), init.into());
        }
        s.insert("containerStatuses".into(), main.into());
        s
    }

    fn conditions(&self) -> Value {
        let mut out = Vec::with_capacity(5);
        let mut push = |kind: &str, ok: bool, at: Ms, why: Option<(&str, String)>| {
            let mut c = Obj::new();
            c.insert("type".into(), kind.into());
            c.insert("status".into(), if ok { "True" } else { "False" }.into());
            c.insert("lastProbeTime".into(), Value::Null);
            c.insert("lastTransitionTime".into(), time(at).into());
            if let Some((reason, message)) = why {
                c.insert("reason".into(), reason.into());
                if !message.is_empty() {
                    c.insert("message".into(), message.into());
                }
            }
            out.push(c.into());
        };
        if self.node.is_none() {
            let why = self.unschedulable.clone().map(|m| ("Unschedulable", m));
            push("PodScheduled", false, self.created, why);
            return Value::Array(out);
        }
        if let Some(started) = self.started {
            let done = self.phase == Phase::Succeeded;
            let unready = self.names(|c| !c.ready, Role::Main);
            let why = || {
                if done {
                    Some(("PodCompleted", String::new()))
                } else {
                    Some(("ContainersNotReady", format!("containers with unready status: [{unready}]")))
                }
            };
            let sandbox = started + 900;
            let alive = self.containers.iter().any(|c| !matches!(c.state, State::Waiting(_)) || c.last.is_some());
            push("PodReadyToStartContainers", alive && !self.finished(), sandbox, None);
            if let Some(at) = self.initialized {
                push("Initialized", true, at, done.then_some(("PodCompleted", String::new())));
            } else {
                let names = self.names(|c| !matches!(c.state, State::Ended(_)), Role::Init);
                let message = format!("containers with incomplete status: [{names}]");
                push("Initialized", false, started, Some(("ContainersNotInitialized", message)));
            }
            push("Ready", self.ready && !self.lost, self.ready_at, if self.ready { None } else { why() });
            push("ContainersReady", self.ready, self.ready_at, if self.ready { None } else { why() });
        }
        push("PodScheduled", true, self.scheduled, None);
        if let Some(at) = self.evicted {
            push("DisruptionTarget", true, at, Some(("EvictionByEvictionAPI", "Eviction API: evicting".to_owned())));
        }
        Value::Array(out)
    }

    fn names(&self, want: impl Fn(&Container) -> bool, role: Role) -> String {
        let specs = self.template.containers.iter().zip(&self.containers);
        let names: Vec<&str> = specs.filter(|(s, c)| s.role == role && want(c)).map(|(s, _)| &*s.name).collect();
        names.join(" ")
    }

    fn container_status(&self, i: usize) -> Value {
        let (spec, c) = (&self.template.containers[i], &self.containers[i]);
        let mut s = Obj::new();
        s.insert("name".into(), (&*spec.name).into());
        s.insert("state".into(), self.state_json(i, &c.state));
        let last = c.last.map_or_else(|| json!({}), |e| self.state_json(i, &State::Ended(e)));
        s.insert("lastState".into(), last);
        let done = spec.role == Role::Init && matches!(c.state, State::Ended(Ended { exit: 0, .. }));
        s.insert("ready".into(), (c.ready || done).into());
        s.insert("restartCount".into(), c.restarts.into());
        s.insert("image".into(), (&*spec.image).into());
        let known = !matches!(c.state, State::Waiting(_)) || c.last.is_some();
        let image_id = if known { digest(&spec.image) } else { String::new() };
        s.insert("imageID".into(), image_id.into());
        if known {
            s.insert("containerID".into(), self.container_id(i, c.restarts).into());
        }
        s.insert("started".into(), (c.running() && (spec.role != Role::Init)).into());
        s.into()
    }

    fn container_id(&self, i: usize, run: u32) -> String {
        let a = hash(&format!("{}/{i}/{run}", self.uid));
        format!("containerd://{:016x}{:016x}{:016x}{:016x}", a, a.rotate_left(17) ^ self.seed(), !a, a ^ 0x5555_AAAA)
    }

    fn state_json(&self, i: usize, state: &State) -> Value {
        let spec = &self.template.containers[i];
        match state {
            State::Waiting(reason) => {
                let message = match *reason {
                    "CrashLoopBackOff" => format!(
                        "back-off {} restarting failed container={} pod={}_{}({})",
                        super::kubelet::backoff_words(self.containers[i].crashes),
                        spec.name,
                        self.name,
                        self.ns,
                        uuid(self.uid)
                    ),
                    "ImagePullBackOff" => format!("Back-off pulling image \"{}\"", spec.image),
                    "ErrImagePull" => super::kubelet::pull_error(&spec.image),
                    _ => return json!({"waiting": {"reason": reason}}),
                };
                json!({"waiting": {"reason": reason, "message": message}})
            }
            State::Running(since) => json!({"running": {"startedAt": time(*since)}}),
            State::Ended(e) => json!({"terminated": {"exitCode": e.exit, "reason": e.reason,
                "startedAt": time(e.started), "finishedAt": time(e.finished),
                "containerID": self.container_id(i, e.run)}}),
        }
    }
}

/// What an image resolves to: its repository and a digest.
pub fn digest(image: &str) -> String {
    let repository = image.rsplit_once(':').map_or(image, |(r, _)| r);
    let a = hash(image);
    format!(
        "{repository}@sha256:{a:016x}{:016x}{:016x}{:016x}",
        !a,
        a.rotate_left(23),
        a.rotate_right(11) ^ 0x00C0_FFEE
    )
}
