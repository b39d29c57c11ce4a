//! What ECS does when its machines and Fargate Spot tasks are taken back.

use serde_json::{Value, json};

use super::model::{Cluster, Instance, Ms, Phase, Stop, Task};
use super::schema::{ActionDef, Maintenance, StepDef};
use crate::sim::cloud::event::{Sent, iso, iso_ms};
use crate::sim::cloud::{About, Cloud, Fate, Machine, Risk, Told, stamp};

/// What spot gives, and maintenance where the step does not say.
const NOTICE: Ms = 120_000;
/// `stopTimeout` of a task definition that has none.
const STOP_TIMEOUT: Ms = 30_000;

/// What is to come.
#[derive(Debug, Clone)]
enum Coming {
    /// An instance is told.
    Notice(String, Box<StepDef>),
    /// Its agent has seen the notice.
    Drain(String),
    /// It goes.
    Down(String, Box<StepDef>),
    /// ECS notices.
    Lost(String, Away),
    /// EC2 is done with it, by EC2 id.
    Settled(String, &'static str),
    /// Another one registers, like this one.
    Another(Box<Instance>),
    /// It is back.
    Back(String),
    /// A Fargate Spot task is told.
    Task(String),
    /// Its deadline.
    TaskDue(String),
}

/// How an instance is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Away {
    ForGood,
    /// For so long.
    For(Ms),
}

/// What a cluster knows of what is taken back.
#[derive(Debug, Default)]
pub struct Spot {
    coming: Vec<(Ms, Coming)>,
    /// Instances that are on their way out, or have been told to be at risk.
    marked: Vec<String>,
    warned: Vec<String>,
    /// Fargate Spot has no capacity until then.
    pub dry_until: Ms,
}

impl Cluster {
    /// Connects the cluster to the cloud its machines are in.
    pub fn attach(&mut self, cloud: &Cloud, takes_back: bool) {
        self.cloud = cloud.clone();
        cloud.add_place(&self.account, &self.region);
        if takes_back {
            cloud.switch_on();
        }
        for i in &self.instances {
            let zone = self.zone_name(i.zone);
            cloud.add(Machine::new(&i.ec2, &i.kind, &zone, &self.account, i.spot, i.registered - 90_000));
        }
        for t in self.tasks.values_mut() {
            t.told = t.version;
        }
    }

    fn come(&mut self, at: Ms, what: Coming) {
        self.spot.coming.push((at, what));
    }

    /// Chooses the victims of a step, and when each is told.
    pub fn plan(&mut self, step: &StepDef, now: Ms) {
        let spread = step.spread.map_or(0, |s| s.0);
        let when = |k: usize, n: usize| now + spread * k as Ms / n.max(1) as Ms;
        if step.provider.is_none() {
            let n = step.tasks.unwrap_or(1);
            let ids = self.some_tasks(step.service.as_deref(), |t| t.provider == "FARGATE_SPOT", n);
            if let Some(dry) = step.no_capacity {
                self.spot.dry_until = now + dry.0;
            }
            for (k, id) in ids.iter().enumerate() {
                self.come(when(k, ids.len()), Coming::Task(id.clone()));
            }
            return;
        }
        let action = *step.action.get_ref();
        let marked = if action == ActionDef::Rebalance { &self.spot.warned } else { &self.spot.marked };
        let fits = |i: &&Instance| {
            Some(&i.provider) == step.provider.as_ref()
                && !i.dead
                && !i.draining
                && step.zone.as_ref().is_none_or(|z| self.zone_name(i.zone) == *z)
                && !marked.contains(&i.id)
                && !self.spot.marked.contains(&i.id)
        };
        // Those that were warned go first.
        let mut all: Vec<(bool, u64, String)> = self
            .instances
            .iter()
            .filter(fits)
            .map(|i| {
                let luck = crate::sim::model::hash2(crate::sim::model::hash(&i.id), now as u64);
                (!self.spot.warned.contains(&i.id), luck, i.id.clone())
            })
            .collect();
        all.sort();
        let n = match step.percent {
            Some(p) => (all.len() * p as usize).div_ceil(100),
            None => step.count.unwrap_or(1) as usize,
        };
        all.truncate(n);
        for (k, (_, _, id)) in all.iter().enumerate() {
            let list = if action == ActionDef::Rebalance { &mut self.spot.warned } else { &mut self.spot.marked };
            list.push(id.clone());
            let at = when(k, all.len());
            let coming = if step.unannounced {
                Coming::Down(id.clone(), Box::new(step.clone()))
            } else {
                Coming::Notice(id.clone(), Box::new(step.clone()))
            };
            self.come(at, coming);
        }
    }

    /// Everything that has come by this second.
    pub fn take_back(&mut self, now: Ms) {
        self.look(now);
        loop {
            self.spot.coming.sort_by_key(|(at, _)| *at);
            if self.spot.coming.first().is_none_or(|(at, _)| *at > now) {
                break;
            }
            let (_, what) = self.spot.coming.remove(0);
            self.come_true(what, now);
        }
        self.tell_tasks(now);
    }

    fn come_true(&mut self, what: Coming, now: Ms) {
        match what {
            Coming::Notice(id, step) => self.notice(&id, &step, now),
            Coming::Drain(id) => {
                if let Some(i) = self.instance_mut(&id).filter(|i| !i.dead) {
                    i.draining = true;
                    self.tell_instance(&id, now);
                }
            }
            Coming::Down(id, step) => self.down(&id, &step, now),
            Coming::Lost(id, away) => self.lost(&id, away, now),
            Coming::Settled(ec2, state) => self.cloud.turn(&ec2, state, false, now),
            Coming::Another(i) => self.another(*i, now),
            Coming::Back(id) => self.back(&id, now),
            Coming::Task(id) => self.take_task(&id, now),
            Coming::TaskDue(id) => {
                let arn = self.arn("task", &id);
                self.cloud.on_ledger(|l| l.close(&arn));
            }
        }
    }

    fn instance_mut(&mut self, id: &str) -> Option<&mut Instance> {
        let i = self.instances.iter_mut().find(|i| i.id == id)?;
        i.version += 1;
        Some(i)
    }

    fn instance(&self, id: &str) -> Option<Instance> {
        self.instances.iter().find(|i| i.id == id).cloned()
    }

    fn about(&self, i: &Instance) -> About {
        About {
            victim: i.ec2.clone(),
            cluster: self.name.clone(),
            host: self.arn("container-instance", &i.id),
            instance_type: i.kind.clone(),
            zone: self.zone_name(i.zone),
        }
    }

    fn risks(&self, instance: &str) -> Vec<Risk> {
        let on = self.tasks.values().filter(|t| t.instance.as_deref() == Some(instance));
        on.filter(|t| t.phase < Phase::Deprovisioning).map(|t| self.risk(t)).collect()
    }

    fn risk(&self, t: &Task) -> Risk {
        Risk { id: self.arn("task", &t.id), owner: t.service.as_ref().map(|s| self.arn("service", s)), end: None }
    }

    fn notice(&mut self, id: &str, step: &StepDef, now: Ms) {
        let Some(i) = self.instance(id).filter(|i| !i.dead) else { return };
        let fate = step.fate.unwrap_or_default();
        let notice = match fate {
            Fate::Hibernate => 0,
            _ => step.notice.map_or(NOTICE, |n| n.0),
        };
        let (about, risks) = (self.about(&i), self.risks(id));
        let (told, deadline) = match *step.action.get_ref() {
            ActionDef::Rebalance => {
                self.cloud.recommend(&i.ec2, now);
                (Told::Rebalance, None)
            }
            ActionDef::Scheduled => {
                self.cloud.schedule(&i.ec2, step.code.unwrap_or_default().word(), now + notice, now);
                (Told::Scheduled, Some(now + notice))
            }
            _ => {
                self.cloud.interrupt(&i.ec2, fate, now);
                (Told::Interruption, Some(now + notice))
            }
        };
        self.cloud.on_ledger(|l| l.tell(&about, told, stamp(now), deadline.map(stamp), risks));
        let Some(deadline) = deadline else { return };
        // The agent asks the metadata service every second.
        if told == Told::Interruption && step.draining.unwrap_or(true) {
            self.come(now + 1_000, Coming::Drain(id.to_owned()));
        }
        if let Some(after) = step.replacement {
            self.come(now + after.0, Coming::Another(Box::new(i)));
        }
        self.come(deadline, Coming::Down(id.to_owned(), Box::new(step.clone())));
    }

    /// The machine goes.
    fn down(&mut self, id: &str, step: &StepDef, now: Ms) {
        let Some(i) = self.instance(id).filter(|i| !i.dead) else { return };
        let spot = *step.action.get_ref() == ActionDef::SpotInterrupt;
        if step.unannounced {
            self.cloud.reclaim(&i.ec2, now);
        }
        let code = step.code.unwrap_or_default();
        let (state, away) = match (spot, step.fate.unwrap_or_default(), code) {
            (true, Fate::Terminate, _) | (false, _, Maintenance::InstanceRetirement) => {
                ("shutting-down", Away::ForGood)
            }
            (true, ..) | (false, _, Maintenance::InstanceStop) => ("stopping", Away::For(210_000)),
            (false, _, Maintenance::SystemReboot) => ("running", Away::For(75_000)),
        };
        let (about, risks) = (self.about(&i), self.risks(id));
        self.cloud.on_ledger(|l| l.went(&about, stamp(now), risks));
        if state != "running" {
            self.cloud.turn(&i.ec2, state, spot, now);
            let done = if state == "stopping" { "stopped" } else { "terminated" };
            let after = 1_000 * self.rng.range(25, 50);
            self.come(now + after, Coming::Settled(i.ec2.clone(), done));
        }
        if let Some(i) = self.instance_mut(id) {
            i.dead = true;
        }
        let (lost, another) = (1_000 * self.rng.range(4, 12), 1_000 * self.rng.range(35, 60));
        self.come(now + lost, Coming::Lost(id.to_owned(), away));
        match away {
            Away::ForGood if step.replacement.is_none() || step.unannounced => {
                self.come(now + another, Coming::Another(Box::new(i)));
            }
            Away::For(ms) => self.come(now + ms, Coming::Back(id.to_owned())),
            Away::ForGood => {}
        }
    }

    /// ECS notices that a machine is gone: its tasks are stopped, it is deregistered.
    fn lost(&mut self, id: &str, away: Away, now: Ms) {
        let Some(i) = self.instance_mut(id) else { return };
        i.connected = false;
        let ec2 = i.ec2.clone();
        let word = if away == Away::ForGood { "terminated" } else { "stopped" };
        let mut gone = Vec::new();
        for t in self.tasks.values_mut().filter(|t| t.instance.as_deref() == Some(id) && t.phase < Phase::Stopped) {
            let reason = format!("Host EC2 (instance {ec2}) {word}.");
            t.stop.get_or_insert(Stop {
                code: "TerminationNotice",
                reason,
                exit: None,
                container_reason: String::new(),
            });
            t.stopping.get_or_insert(now);
            (t.phase, t.next, t.stopped) = (Phase::Stopped, None, Some(now));
            t.version += 1;
            gone.push(t.id.clone());
        }
        for t in gone {
            self.ended(&t, now, false);
        }
        self.tell_instance(id, now);
        if away == Away::ForGood {
            self.instances.retain(|i| i.id != id);
            self.spot.marked.retain(|m| m != id);
        }
    }

    fn another(&mut self, like: Instance, now: Ms) {
        let zone = usize::try_from(self.rng.range(0, 2)).unwrap_or(0);
        let (id, ec2) = (self.hex(32), format!("i-0{}", self.hex(16)));
        let i = Instance {
            id: id.clone(),
            ec2,
            zone,
            registered: now,
            draining: false,
            connected: true,
            dead: false,
            version: 1,
            ..like
        };
        let (name, from) = (self.zone_name(zone), now - 40_000);
        self.cloud.launch(Machine::new(&i.ec2, &i.kind, &name, &self.account, i.spot, from), now);
        self.instances.push(i);
        self.tell_instance(&id, now);
    }

    fn back(&mut self, id: &str, now: Ms) {
        let Some(i) = self.instance_mut(id) else { return };
        (i.dead, i.connected, i.draining) = (false, true, false);
        let ec2 = i.ec2.clone();
        self.spot.marked.retain(|m| m != id);
        self.spot.warned.retain(|m| m != id);
        self.cloud.complete(&ec2);
        self.cloud.turn(&ec2, "running", false, now);
        self.tell_instance(id, now);
    }

    /// A Fargate Spot task gets its notice: SIGTERM now, SIGKILL when its stop timeout is over.
    fn take_task(&mut self, id: &str, now: Ms) {
        let Some(t) = self.tasks.get(id).filter(|t| t.running() && t.wanted()).cloned() else { return };
        let service = t.service.as_ref().and_then(|s| self.services.get(s));
        let timeout = service.and_then(|s| s.stop_timeout).unwrap_or(STOP_TIMEOUT);
        let own = service.map_or(3_000, |s| s.stops_after);
        // Between nine and eleven tenths of what it usually takes.
        let own = own * (90 + (t.seed % 21) as Ms) / 100;
        let exit = match t.seed % 3 {
            _ if own >= timeout => 137,
            0 => 143,
            _ => 0,
        };
        let why = Stop {
            code: "SpotInterruption",
            reason: "Your Spot Task was interrupted.".to_owned(),
            exit: Some(exit),
            container_reason: String::new(),
        };
        self.stop(id, why, now, own.min(timeout));
        let about = About {
            victim: self.arn("task", id),
            cluster: self.name.clone(),
            zone: self.zone_name(t.zone),
            ..About::default()
        };
        let risk = self.risk(&t);
        let deadline = now + timeout;
        self.cloud.on_ledger(|l| l.tell(&about, Told::Interruption, stamp(now), Some(stamp(deadline)), vec![risk]));
        self.come(deadline, Coming::TaskDue(id.to_owned()));
    }

    /// A task's containers have exited, or its machine has.
    pub fn ended(&mut self, id: &str, now: Ms, killed: bool) {
        let arn = self.arn("task", id);
        let spot = self.tasks.get(id).and_then(|t| t.stop.as_ref()).is_some_and(|s| s.code == "SpotInterruption");
        self.cloud.on_ledger(|l| {
            l.ended(&arn, stamp(now), killed);
            if spot {
                // The task is the victim as well.
                l.went(&About { victim: arn.clone(), ..About::default() }, stamp(now), Vec::new());
            }
        });
    }

    /// Looks whether services have what they want.
    fn look(&self, now: Ms) {
        if !self.cloud.on_ledger(|l| l.watched(stamp(now))) {
            return;
        }
        let dead: Vec<&str> = self.instances.iter().filter(|i| i.dead).map(|i| i.id.as_str()).collect();
        let mut running: std::collections::BTreeMap<&str, (u32, u32)> = std::collections::BTreeMap::new();
        for t in self.tasks.values().filter(|t| t.running() && t.wanted()) {
            let counts = running.entry(t.service.as_deref().unwrap_or_default()).or_default();
            counts.0 += 1;
            counts.1 += u32::from(t.instance.as_deref().is_none_or(|i| !dead.contains(&i)));
        }
        let prefix = self.arn("service", "-");
        let prefix = prefix.trim_end_matches('-');
        let back = |owner: &str, alive: bool| {
            let name = owner.strip_prefix(prefix)?;
            let (all, live) = running.get(name).copied().unwrap_or_default();
            Some(self.services.get(name).is_none_or(|s| if alive { live } else { all } >= s.desired))
        };
        self.cloud.on_ledger(|l| l.look(stamp(now), &back));
    }

    fn send(&self, kind: &str, arn: String, detail: &Value, now: Ms) {
        self.cloud.send(Sent::new("aws.ecs", kind, (&self.account, &self.region), &[arn], detail, now));
    }

    fn tell_instance(&self, id: &str, now: Ms) {
        let Some(i) = self.instances.iter().find(|i| i.id == id) else { return };
        let on =
            |f: fn(&Task) -> bool| self.tasks.values().filter(|t| t.instance.as_deref() == Some(id) && f(t)).count();
        let arn = self.arn("container-instance", id);
        let status = if i.dead && !i.connected { "INACTIVE" } else { i.status() };
        let detail = json!({
            "agentConnected": i.connected, "clusterArn": self.arn("cluster", ""), "containerInstanceArn": arn,
            "ec2InstanceId": i.ec2, "status": status, "runningTasksCount": on(|t| t.phase == Phase::Running),
            "pendingTasksCount": on(|t| t.phase < Phase::Running), "version": i.version, "updatedAt": iso_ms(now),
            "accountId": self.account, "registeredAt": iso_ms(i.registered),
        });
        self.send("ECS Container Instance State Change", arn, &detail, now);
    }

    /// `EventBridge` hears of every task that changed.
    fn tell_tasks(&mut self, now: Ms) {
        if !self.cloud.is_on() {
            return;
        }
        let changed: Vec<String> = self.tasks.values().filter(|t| t.version != t.told).map(|t| t.id.clone()).collect();
        for id in changed {
            if let Some(t) = self.tasks.get_mut(&id) {
                t.told = t.version;
            }
            if let Some(t) = self.tasks.get(&id) {
                self.send("ECS Task State Change", self.arn("task", &id), &self.task_detail(t, now), now);
            }
        }
    }

    fn task_detail(&self, t: &Task, now: Ms) -> Value {
        let plain = self.task_json(t);
        let mut out = json!({
            "clusterArn": plain["clusterArn"], "taskArn": plain["taskArn"], "group": plain["group"],
            "taskDefinitionArn": plain["taskDefinitionArn"], "launchType": plain["launchType"],
            "availabilityZone": plain["availabilityZone"], "cpu": plain["cpu"], "memory": plain["memory"],
            "desiredStatus": plain["desiredStatus"], "lastStatus": plain["lastStatus"], "startedBy": t.deployment,
            "version": t.version, "createdAt": iso_ms(t.created), "updatedAt": iso(now),
            "containers": [{"name": "app", "taskArn": plain["taskArn"],
                "lastStatus": plain["containers"][0]["lastStatus"]}],
        });
        for (key, at) in [("startedAt", t.started), ("stoppingAt", t.stopping), ("stoppedAt", t.stopped)] {
            if let Some(at) = at {
                out[key] = iso_ms(at).into();
            }
        }
        for key in ["stopCode", "stoppedReason", "capacityProviderName", "containerInstanceArn"] {
            if !plain[key].is_null() {
                out[key] = plain[key].clone();
            }
        }
        if !plain["containers"][0]["exitCode"].is_null() {
            out["containers"][0]["exitCode"] = plain["containers"][0]["exitCode"].clone();
        }
        out
    }
}
