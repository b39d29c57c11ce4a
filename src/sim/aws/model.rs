//! ECS in miniature: services that keep tasks, deployments that move, circuit
//! breakers that trip, tasks that stop for every reason. Pure: time comes in.

use std::collections::{BTreeMap, VecDeque};

use super::alarms::Standing;
use super::definitions::{Definition, version_before};
use super::deployments::Rollout;
use super::schema::{ActionDef, Breaker, ClusterDef, Exec, Insights, Outcome, StepDef};
use super::spot::Spot;
use crate::sim::cloud::Cloud;
use crate::sim::model::{Rng, hash2};

/// Milliseconds since 1970.
pub type Ms = i64;

/// Stopped tasks are kept so long.
const KEPT: Ms = 3_600_000;
/// The zones there are, by letter.
const ZONES: [&str; 3] = ["a", "b", "c"];
/// Events that ECS keeps of a service.
const EVENTS: usize = 100;

/// Where a task is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Provisioning,
    Pending,
    Activating,
    Running,
    Deactivating,
    Stopping,
    Deprovisioning,
    Stopped,
}

impl Phase {
    pub fn word(self) -> &'static str {
        match self {
            Self::Provisioning => "PROVISIONING",
            Self::Pending => "PENDING",
            Self::Activating => "ACTIVATING",
            Self::Running => "RUNNING",
            Self::Deactivating => "DEACTIVATING",
            Self::Stopping => "STOPPING",
            Self::Deprovisioning => "DEPROVISIONING",
            Self::Stopped => "STOPPED",
        }
    }
}

/// Why a task stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    pub code: &'static str,
    pub reason: String,
    pub exit: Option<i32>,
    pub container_reason: String,
}

#[derive(Debug, Clone)]
pub struct Task {
    pub id: String,
    pub service: Option<String>,
    pub deployment: String,
    pub group: String,
    pub definition: String,
    pub launch: &'static str,
    pub provider: String,
    pub instance: Option<String>,
    pub zone: usize,
    pub ip: u32,
    pub cpu: u32,
    pub memory: u32,
    pub created: Ms,
    pub started: Option<Ms>,
    pub stopping: Option<Ms>,
    pub stopped: Option<Ms>,
    pub phase: Phase,
    /// When the next phase begins.
    pub next: Option<Ms>,
    pub outcome: Outcome,
    pub stop: Option<Stop>,
    pub version: u32,
    pub seed: u64,
    /// Left alone until then.
    pub protected: Option<Ms>,
    /// The version that `EventBridge` was last told of.
    pub told: u32,
}

impl Task {
    /// ECS wants it to run.
    pub fn wanted(&self) -> bool {
        self.stop.is_none()
    }
    pub fn running(&self) -> bool {
        self.phase == Phase::Running
    }
    pub fn is_protected(&self, now: Ms) -> bool {
        self.protected.is_some_and(|until| until > now)
    }
    /// It ran at this time, as far as its hour of history goes.
    pub fn ran_at(&self, at: Ms) -> bool {
        self.started.is_some_and(|began| began <= at) && self.stopped.is_none_or(|ended| ended > at)
    }
    pub fn is_fargate(&self) -> bool {
        self.launch == "FARGATE"
    }

    /// It has an address of its zone's subnet.
    pub fn has_address(&self) -> bool {
        self.is_fargate() && self.phase < Phase::Stopped && self.outcome != Outcome::NoAddress
    }
}

#[derive(Debug, Clone)]
pub struct Deployment {
    pub id: String,
    pub primary: bool,
    pub definition: String,
    pub created: Ms,
    pub updated: Ms,
    pub failed: u32,
    pub state: &'static str,
    pub reason: String,
    /// No task is started before.
    pub not_before: Ms,
}

#[derive(Debug, Clone)]
pub struct Event {
    pub id: String,
    pub at: Ms,
    pub message: String,
}

#[derive(Debug, Clone)]
pub struct Service {
    pub name: String,
    pub desired: u32,
    pub launch: String,
    pub cpu: u32,
    pub memory: u32,
    pub breaker: Breaker,
    pub balanced: bool,
    pub scaling: Option<[u32; 2]>,
    pub load: f64,
    pub created: Ms,
    pub deployments: Vec<Deployment>,
    /// The account of them, newest first.
    pub rollouts: VecDeque<Rollout>,
    pub events: VecDeque<Event>,
    pub family: String,
    pub bounds: (u32, u32),
    pub steady: bool,
    /// `stopTimeout`, if the task definition has one.
    pub stop_timeout: Option<Ms>,
    /// From SIGTERM to the container's end, if it is let.
    pub stops_after: Ms,
    /// Whether its tasks can be entered.
    pub exec: Exec,
}

#[derive(Debug, Clone)]
pub struct Instance {
    pub id: String,
    pub ec2: String,
    pub provider: String,
    pub kind: String,
    pub spot: bool,
    pub zone: usize,
    pub cpu: u32,
    pub memory: u32,
    pub registered: Ms,
    pub draining: bool,
    pub connected: bool,
    /// The machine under it does not run.
    pub dead: bool,
    pub version: u32,
}

/// What a task is started with.
#[derive(Debug, Clone)]
pub struct Order {
    pub service: Option<String>,
    /// Deployment, or who started it.
    pub deployment: String,
    pub group: String,
    pub definition: String,
    pub launch: &'static str,
    /// Empty: any instance does.
    pub provider: String,
    pub cpu: u32,
    pub memory: u32,
}

#[derive(Debug)]
struct Step {
    due: Ms,
    times: u32,
    def: StepDef,
}

/// One cluster.
#[derive(Debug)]
pub struct Cluster {
    pub name: String,
    pub region: String,
    pub account: String,
    pub insights: Insights,
    /// Of each of its subnets.
    pub prefix: u8,
    /// The account's quota of Fargate vCPUs; it is only kept where a scenario sets one.
    pub vcpus: Option<u32>,
    pub instances: Vec<Instance>,
    pub services: BTreeMap<String, Service>,
    pub tasks: BTreeMap<String, Task>,
    /// By `family:revision`.
    pub definitions: BTreeMap<String, Definition>,
    pub zone_down: Option<usize>,
    /// Where each alarm stands, by name.
    pub alarms: BTreeMap<String, Standing>,
    /// Services whose requests failed: from when to when, and what share of them.
    pub errors: Vec<(String, Ms, Ms, f64)>,
    /// The machines, and where events go.
    pub cloud: Cloud,
    pub spot: Spot,
    steps: Vec<Step>,
    pub rng: Rng,
    second: Ms,
    next_ip: u32,
}

impl Cluster {
    /// A cluster as its definition wants it, with all its tasks running.
    pub fn new(def: &ClusterDef, seed: u64, now: Ms) -> Self {
        let mut c = Self {
            name: def.name.clone(),
            region: def.region.clone(),
            account: def.account.clone(),
            insights: def.insights,
            prefix: def.subnet_prefix,
            vcpus: def.fargate_vcpus,
            instances: Vec::new(),
            services: BTreeMap::new(),
            tasks: BTreeMap::new(),
            definitions: BTreeMap::new(),
            zone_down: None,
            alarms: BTreeMap::new(),
            errors: Vec::new(),
            cloud: Cloud::default(),
            spot: Spot::default(),
            steps: def.at.iter().map(|s| Step { due: now + s.t.0, times: 0, def: s.clone() }).collect(),
            rng: Rng::new(hash2(seed, crate::sim::model::hash(&def.name))),
            // Whole seconds: what EventBridge says of a time is then all of it.
            second: now - now.rem_euclid(1000),
            next_ip: 10,
        };
        for group in &def.instances {
            for n in 0..group.count {
                let (id, ec2) = (c.hex(32), format!("i-0{}", c.hex(16)));
                c.instances.push(Instance {
                    id,
                    ec2,
                    provider: group.provider.clone(),
                    kind: group.instance.clone(),
                    spot: group.spot,
                    zone: n as usize % ZONES.len(),
                    cpu: group.cpu * 1024,
                    // The agent and the system keep some for themselves.
                    memory: group.memory * 1024 - 512,
                    registered: now - 9 * 86_400_000 - i64::from(n) * 3_600_000,
                    draining: false,
                    connected: true,
                    dead: false,
                    version: 17,
                });
            }
        }
        for s in &def.services {
            for n in 0..s.count {
                let name = if s.count > 1 { format!("{}-{n:03}", s.name) } else { s.name.clone() };
                c.add_service(s, &name, now);
            }
        }
        c
    }

    fn add_service(&mut self, s: &super::schema::ServiceDef, name: &str, now: Ms) {
        let age = self.rng.range(3, 40) * 86_400_000;
        let revision = u32::try_from(self.rng.range(4, 60)).unwrap_or(4);
        let definition = Definition {
            family: name.to_owned(),
            revision,
            image: s.image.clone(),
            cpu: s.cpu,
            memory: s.memory,
            fargate: s.launch.starts_with("fargate"),
            outcome: Outcome::Healthy,
            stop_timeout: s.stop_timeout.and_then(|t| u32::try_from(t.0 / 1000).ok()),
            given: None,
            tags: vec![serde_json::json!({"key": "team", "value": name.split('-').next().unwrap_or_default()})],
            registered: now - age,
        };
        let key = definition.key();
        // What ran before, to go back to.
        if let Some(image) = version_before(&s.image) {
            let before = definition.with(revision - 1, &image, Outcome::Healthy);
            self.definitions.insert(before.key(), before);
        }
        self.definitions.insert(key.clone(), definition);
        let deployed = now - self.rng.range(2, 72) * 3_600_000;
        let deployment = Deployment {
            id: format!("ecs-svc/{}", self.digits()),
            primary: true,
            definition: key,
            created: deployed,
            updated: deployed + 90_000,
            failed: 0,
            state: "COMPLETED",
            reason: String::new(),
            not_before: 0,
        };
        let deployment = Deployment { reason: format!("ECS deployment {} completed.", deployment.id), ..deployment };
        let service = Service {
            name: name.to_owned(),
            desired: s.desired,
            launch: s.launch.clone(),
            cpu: s.cpu,
            memory: s.memory,
            breaker: s.breaker,
            balanced: s.balanced,
            scaling: s.scaling,
            load: s.load,
            created: now - age,
            rollouts: VecDeque::from([Rollout::complete(&deployment)]),
            deployments: vec![deployment.clone()],
            events: VecDeque::new(),
            family: name.to_owned(),
            bounds: (100, 200),
            steady: true,
            stop_timeout: s.stop_timeout.map(|t| t.0),
            stops_after: s.stops_after.0,
            exec: s.exec,
        };
        self.services.insert(name.to_owned(), service);
        for _ in 0..s.desired {
            let born = deployed + self.rng.range(0, 60_000);
            if let Some(id) = self.launch(name, &deployment.id, born)
                && let Some(t) = self.tasks.get_mut(&id)
            {
                (t.phase, t.next, t.started) = (Phase::Running, None, Some(born + 21_000));
            }
        }
        let at = now - self.rng.range(600_000, 20_000_000);
        self.event(name, at, format!("(service {name}) has reached a steady state."));
    }

    pub fn hex(&mut self, n: usize) -> String {
        let mut out = String::new();
        while out.len() < n {
            out.push_str(&format!("{:016x}", self.rng.next()));
        }
        out.truncate(n);
        out
    }

    pub fn digits(&mut self) -> String {
        format!("{:019}", self.rng.next() % 10_000_000_000_000_000_000)
    }

    pub fn event(&mut self, service: &str, at: Ms, message: String) {
        let raw = self.hex(32);
        let id = format!("{}-{}-{}-{}-{}", &raw[..8], &raw[8..12], &raw[12..16], &raw[16..20], &raw[20..32]);
        if let Some(s) = self.services.get_mut(service) {
            s.events.push_front(Event { id, at, message });
            s.events.truncate(EVENTS);
        }
    }

    pub fn zone_name(&self, zone: usize) -> String {
        format!("{}{}", self.region, ZONES[zone % ZONES.len()])
    }

    /// What an instance has left, CPU units and MiB.
    pub fn remaining(&self, instance: &Instance) -> (u32, u32) {
        let on =
            self.tasks.values().filter(|t| t.instance.as_deref() == Some(&instance.id) && t.phase < Phase::Stopped);
        let (cpu, memory) = on.fold((0, 0), |(c, m), t| (c + t.cpu, m + t.memory));
        (instance.cpu.saturating_sub(cpu), instance.memory.saturating_sub(memory))
    }

    /// Starts a task of a deployment; `None` if nothing has room for it.
    pub(super) fn launch(&mut self, service: &str, deployment: &str, now: Ms) -> Option<String> {
        let s = self.services.get(service)?;
        let definition = s.deployments.iter().find(|d| d.id == deployment)?.definition.clone();
        let (launch, provider) = match s.launch.as_str() {
            "fargate" => ("FARGATE", String::new()),
            "fargate-spot" => ("FARGATE", "FARGATE_SPOT".to_owned()),
            // One on demand for every three on spot.
            "fargate-mixed" => {
                let spot = self.rng.range(0, 3) > 0;
                ("FARGATE", if spot { "FARGATE_SPOT" } else { "FARGATE" }.to_owned())
            }
            provider => ("EC2", provider.to_owned()),
        };
        let order = Order {
            service: Some(service.to_owned()),
            deployment: deployment.to_owned(),
            group: format!("service:{service}"),
            definition,
            launch,
            provider,
            cpu: s.cpu,
            memory: s.memory,
        };
        self.begin(order, now)
    }

    /// Addresses that are left in the subnet of a zone.
    pub fn free_addresses(&self, zone: usize) -> usize {
        let all = 2_usize.pow(32 - u32::from(self.prefix.min(32))).saturating_sub(5);
        all.saturating_sub(self.tasks.values().filter(|t| t.zone == zone && t.has_address()).count())
    }

    /// Starts a task; `None` if nothing has room for it.
    pub fn begin(&mut self, order: Order, now: Ms) -> Option<String> {
        let Order { service, deployment, group, definition, launch, provider, cpu, memory } = order;
        let outcome = self.definitions.get(&definition).map_or(Outcome::Healthy, |d| d.outcome);
        let mut zone = usize::try_from(self.rng.range(0, 2)).unwrap_or(0);
        if self.zone_down == Some(zone) {
            zone = (zone + 1) % ZONES.len();
        }
        let mut instance = None;
        if provider == "FARGATE_SPOT" && self.spot.dry_until > now {
            return None;
        }
        let mut outcome = outcome;
        if launch == "FARGATE" {
            if !self.has_vcpus(&provider, cpu) {
                return None;
            }
            let open = (zone..zone + ZONES.len()).map(|z| z % ZONES.len());
            match open.into_iter().find(|z| self.zone_down != Some(*z) && self.free_addresses(*z) > 0) {
                Some(found) => zone = found,
                None => outcome = Outcome::NoAddress,
            }
        }
        if launch == "EC2" {
            let roomy = self
                .instances
                .iter()
                .filter(|i| {
                    (provider.is_empty() || i.provider == provider)
                        && !i.draining
                        && i.connected
                        && self.zone_down != Some(i.zone)
                })
                .map(|i| (self.remaining(i), i))
                .filter(|((c, m), _)| *c >= cpu && *m >= memory)
                .max_by_key(|(left, _)| *left);
            let (_, found) = roomy?;
            (instance, zone) = (Some(found.id.clone()), found.zone);
        }
        self.next_ip += 1;
        let (id, seed) = (self.hex(32), self.rng.next());
        // Fargate tries for a while before it gives up.
        let patience = if outcome == Outcome::NoAddress { 40_000 } else { 0 };
        let next = now + patience + self.rng.range(2_000, 5_000);
        self.tasks.insert(
            id.clone(),
            Task {
                id: id.clone(),
                service,
                deployment,
                group,
                definition,
                launch,
                provider,
                instance,
                zone,
                ip: self.next_ip,
                cpu,
                memory,
                created: now,
                started: None,
                stopping: None,
                stopped: None,
                phase: Phase::Provisioning,
                next: Some(next),
                outcome,
                stop: None,
                version: 1,
                seed,
                protected: None,
                told: 0,
            },
        );
        Some(id)
    }

    /// Begins to stop a task; `after` is how long it still runs.
    pub fn stop(&mut self, id: &str, stop: Stop, now: Ms, after: Ms) {
        if let Some(t) = self.tasks.get_mut(id)
            && t.stop.is_none()
        {
            t.stop = Some(stop);
            t.stopping = Some(now);
            t.next = Some(now + after);
            t.version += 1;
            // What never ran has nothing to be deactivated.
            if t.phase < Phase::Running {
                t.phase = Phase::Stopping;
            }
        }
    }

    /// Lets time pass, second by second.
    pub fn advance(&mut self, now: Ms) {
        // What a machine slept away beyond a quarter of an hour is skipped.
        self.second = self.second.max(now - 900_000);
        while self.second + 1000 <= now {
            self.second += 1000;
            let at = self.second;
            self.happen(at);
            self.live(at);
            let names: Vec<String> = self.services.keys().cloned().collect();
            for name in names {
                self.reconcile(&name, at);
            }
            self.take_back(at);
        }
        self.tasks.retain(|_, t| t.stopped.is_none_or(|at| now - at < KEPT));
    }

    fn happen(&mut self, now: Ms) {
        let mut due = Vec::new();
        self.steps.retain_mut(|step| {
            if step.due > now {
                return true;
            }
            due.push(step.def.clone());
            step.times += 1;
            match step.def.every {
                Some(every) if step.def.repeat.is_none_or(|n| step.times < n) => {
                    step.due += every.0.max(1000);
                    true
                }
                _ => false,
            }
        });
        for step in due {
            self.perform(&step, now);
        }
    }

    pub fn some_tasks(&self, service: Option<&str>, keep: impl Fn(&Task) -> bool, n: u32) -> Vec<String> {
        self.tasks
            .values()
            .filter(|t| t.running() && t.wanted() && service.is_none_or(|s| t.service.as_deref() == Some(s)) && keep(t))
            .take(n as usize)
            .map(|t| t.id.clone())
            .collect()
    }

    fn perform(&mut self, step: &StepDef, now: Ms) {
        let service = step.service.as_deref();
        let tasks = step.tasks.unwrap_or(1);
        match *step.action.get_ref() {
            ActionDef::Deploy => {
                let Some(service) = service else { return };
                if let Some(definition) = self.register(service, step.image.as_deref(), step.outcome) {
                    self.deploy(service, Some(&definition), now);
                }
            }
            ActionDef::Scale => {
                if let Some(s) = service.and_then(|s| self.services.get_mut(s)) {
                    (s.desired, s.steady) = (tasks, false);
                }
            }
            ActionDef::Stop => {
                for id in self.some_tasks(service, |_| true, tasks) {
                    self.stop(&id, stop("UserInitiated", "Task stopped by user"), now, 0);
                }
            }
            ActionDef::Interrupt | ActionDef::SpotInterrupt | ActionDef::Rebalance | ActionDef::Scheduled => {
                self.plan(step, now);
            }
            ActionDef::Crash => {
                for id in self.some_tasks(service, |_| true, tasks) {
                    let why = Stop {
                        exit: Some(1),
                        ..stop("EssentialContainerExited", "Essential container in task exited")
                    };
                    self.stop(&id, why, now, 0);
                }
            }
            ActionDef::Break => {
                let reason = "The underlying infrastructure of the task was impaired.";
                for id in self.some_tasks(service, |_| true, tasks) {
                    self.stop(&id, stop("InfrastructureHealth", reason), now, 0);
                }
            }
            ActionDef::Drain => {
                if let Some(i) = step.instance.and_then(|n| self.instances.get_mut(n)) {
                    i.draining = true;
                }
            }
            ActionDef::Disconnect => {
                if let Some(i) = step.instance.and_then(|n| self.instances.get_mut(n)) {
                    i.connected = false;
                }
            }
            ActionDef::Errors => {
                if let (Some(service), Some(ratio)) = (service, step.ratio) {
                    let until = step.lasting.map_or(Ms::MAX, |l| now + l.0);
                    self.errors.push((service.to_owned(), now, until, ratio));
                }
            }
            ActionDef::ZoneDown => self.zone_down(step.zone.as_deref().unwrap_or_default(), now),
        }
    }

    fn zone_down(&mut self, name: &str, now: Ms) {
        let Some(zone) = (0..ZONES.len()).find(|z| self.zone_name(*z) == name) else { return };
        self.zone_down = Some(zone);
        for i in self.instances.iter_mut().filter(|i| i.zone == zone) {
            i.connected = false;
        }
        let lost = self.some_tasks(None, |t| t.zone == zone && t.is_fargate(), u32::MAX);
        for id in lost {
            self.stop(&id, stop("TerminationNotice", "The task's host is going away."), now, 4_000);
        }
    }
}

/// A stop with nothing special about it.
pub fn stop(code: &'static str, reason: &str) -> Stop {
    Stop { code, reason: reason.to_owned(), exit: None, container_reason: String::new() }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
