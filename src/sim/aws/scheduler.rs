//! The scheduler: tasks go through their phases, and services get the tasks that are wanted of them.

use super::model::{Cluster, Ms, Phase, Stop, stop};
use super::schema::Outcome;

impl Cluster {
    /// Every task whose time has come goes one phase on.
    pub(super) fn live(&mut self, now: Ms) {
        let dead: Vec<&str> = self.instances.iter().filter(|i| i.dead).map(|i| i.id.as_str()).collect();
        let due: Vec<String> = self
            .tasks
            .values()
            .filter(|t| t.next.is_some_and(|n| n <= now))
            .filter(|t| t.instance.as_deref().is_none_or(|i| !dead.contains(&i)))
            .map(|t| t.id.clone())
            .collect();
        for id in due {
            self.next_phase(&id, now);
        }
    }

    fn next_phase(&mut self, id: &str, now: Ms) {
        let wait = self.rng.range(1_500, 5_000);
        let subnet = self.tasks.get(id).map(|t| self.subnet(t.zone)).unwrap_or_default();
        let Some(t) = self.tasks.get_mut(id) else { return };
        t.version += 1;
        let balanced = t.service.as_ref().and_then(|s| self.services.get(s)).is_some_and(|s| s.balanced);
        let going = t.stop.is_some();
        (t.phase, t.next) = match t.phase {
            Phase::Provisioning if t.outcome == Outcome::NoAddress => {
                t.stopping = Some(now);
                t.stop = Some(Stop {
                    code: "TaskFailedToStart",
                    reason: format!(
                        "Unexpected EC2 error while attempting to Create Network Interface with public IP assignment disabled in subnet '{subnet}': InsufficientFreeAddressesInSubnet"
                    ),
                    exit: None,
                    container_reason: String::new(),
                });
                (Phase::Deprovisioning, Some(now + wait))
            }
            Phase::Provisioning => (Phase::Pending, Some(now + wait + 2_000)),
            Phase::Pending if t.outcome == Outcome::NoImage => {
                let image = self.definitions.get(&t.definition).map(|d| d.image.clone()).unwrap_or_default();
                t.stopping = Some(now);
                t.stop = Some(Stop {
                    code: "TaskFailedToStart",
                    reason: format!(
                        "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {image}: {image}: not found"
                    ),
                    exit: None,
                    container_reason: String::new(),
                });
                (Phase::Deprovisioning, Some(now + wait))
            }
            Phase::Pending if balanced => (Phase::Activating, Some(now + wait)),
            Phase::Pending | Phase::Activating => {
                t.started = Some(now);
                let end = match t.outcome {
                    Outcome::Healthy | Outcome::NoAddress => None,
                    Outcome::Crash | Outcome::NoImage => Some(now + 4_000 + wait),
                    Outcome::OutOfMemory => Some(now + 20_000 + wait),
                    Outcome::Unhealthy => Some(now + 30_000 + wait),
                };
                (Phase::Running, end)
            }
            // What spot takes back runs until its container ends.
            Phase::Running if t.stop.as_ref().is_some_and(|s| s.code == "SpotInterruption") => {
                (Phase::Deprovisioning, Some(now + wait))
            }
            Phase::Running if going => (Phase::Deactivating, Some(now + if balanced { 5_000 } else { 1_000 })),
            Phase::Running => {
                t.stopping = Some(now);
                t.stop = Some(ending(t.outcome, &self.name));
                (Phase::Stopping, Some(now + 1_000))
            }
            Phase::Deactivating => (Phase::Stopping, Some(now + wait)),
            Phase::Stopping => (Phase::Deprovisioning, Some(now + wait)),
            Phase::Deprovisioning => {
                t.stopped = Some(now);
                if let Some(s) = &mut t.stop
                    && s.exit.is_none()
                    && t.started.is_some()
                {
                    // SIGTERM was obeyed.
                    s.exit = Some(if s.code == "InfrastructureHealth" { 137 } else { 0 });
                }
                (Phase::Stopped, None)
            }
            Phase::Stopped => (Phase::Stopped, None),
        };
        if t.phase >= Phase::Deprovisioning {
            let killed = t.stop.as_ref().is_some_and(|s| s.code == "SpotInterruption" && s.exit == Some(137));
            let id = t.id.clone();
            self.ended(&id, now, killed);
        }
        let Some(t) = self.tasks.get(id) else { return };
        if t.phase == Phase::Stopped {
            let failed = t.stop.as_ref().is_some_and(|s| {
                s.code == "TaskFailedToStart" || s.code == "EssentialContainerExited" || s.reason.contains("failed")
            });
            if let (true, Some(service), deployment) = (failed, t.service.clone(), t.deployment.clone()) {
                self.count_failure(&service, &deployment, now);
            }
        }
    }

    /// Brings a service's tasks towards what is wanted.
    pub(super) fn reconcile(&mut self, name: &str, now: Ms) {
        self.turn_back(name, now);
        self.trip(name, now);
        let Some(s) = self.services.get(name) else { return };
        let Some(primary) = s.deployments.iter().find(|d| d.primary).cloned() else { return };
        let (desired, bounds) = (s.desired, s.bounds);
        let (mut own, mut old, mut own_running, mut old_running) = (Vec::new(), Vec::new(), 0_u32, 0_u32);
        for t in self.tasks.values().filter(|t| t.service.as_deref() == Some(name) && t.wanted()) {
            let drained =
                t.instance.as_ref().is_some_and(|id| self.instances.iter().any(|i| i.id == *id && i.draining));
            // What the load balancer finds unhealthy is not what was wanted.
            let runs = u32::from(t.running() && t.outcome != Outcome::Unhealthy);
            if t.deployment == primary.id && !drained {
                own_running += runs;
                own.push((t.created, t.id.clone()));
            } else {
                old_running += runs;
                old.push((t.created, t.id.clone()));
            }
        }
        let count = |v: &[(Ms, String)]| u32::try_from(v.len()).unwrap_or(u32::MAX);
        let most = (desired * bounds.1 / 100).max(desired);
        let least = (desired * bounds.0).div_ceil(100);
        let room = most.saturating_sub(count(&own) + count(&old));
        let wanted = desired.saturating_sub(count(&own)).min(room);
        if wanted > 0 && primary.state != "FAILED" && now >= primary.not_before {
            self.start_tasks(name, &primary.id, wanted, now);
        }
        // Old ones go as far as enough others run, pending ones first.
        let spare = (own_running + old_running).saturating_sub(least);
        old.sort();
        let gone: Vec<String> = old.iter().take(spare as usize).map(|(_, id)| id.clone()).collect();
        self.stop_tasks(name, &primary.id, &gone, now);
        if count(&own) > desired {
            own.sort();
            let gone: Vec<String> = own.iter().skip(desired as usize).map(|(_, id)| id.clone()).collect();
            self.stop_tasks(name, &primary.id, &gone, now);
        }
        if old.is_empty() && own_running == desired && count(&own) == desired {
            self.settle(name, now);
        } else if let Some(s) = self.services.get_mut(name) {
            s.steady = false;
        }
    }

    fn start_tasks(&mut self, name: &str, deployment: &str, wanted: u32, now: Ms) {
        let started: Vec<String> = (0..wanted).map_while(|_| self.launch(name, deployment, now)).collect();
        if started.is_empty() {
            return self.no_place(name, now);
        }
        let list: Vec<String> = started.iter().map(|id| format!("(task {id})")).collect();
        let m = format!("(service {name}) has started {} tasks: {}.", started.len(), list.join(" "));
        self.event(name, now, m);
    }

    fn stop_tasks(&mut self, name: &str, deployment: &str, ids: &[String], now: Ms) {
        // What is protected is left alone: a rollout waits.
        let ids: Vec<&String> =
            ids.iter().filter(|id| self.tasks.get(*id).is_some_and(|t| !t.is_protected(now))).collect();
        if ids.is_empty() {
            return;
        }
        for id in &ids {
            let reason = format!("Scaling activity initiated by (deployment {deployment})");
            self.stop(id, stop("ServiceSchedulerInitiated", &reason), now, 0);
        }
        let list: Vec<String> = ids.iter().map(|id| format!("(task {id})")).collect();
        let m = format!("(service {name}) has stopped {} running tasks: {}.", ids.len(), list.join(" "));
        self.event(name, now, m);
    }
}

/// How a task ends that does not fare well.
fn ending(outcome: Outcome, cluster: &str) -> Stop {
    let exited = |exit, why: &str| Stop {
        exit: Some(exit),
        container_reason: why.to_owned(),
        ..stop("EssentialContainerExited", "Essential container in task exited")
    };
    match outcome {
        Outcome::OutOfMemory => exited(137, "OutOfMemoryError: Container killed due to memory usage"),
        Outcome::Unhealthy => stop(
            "ServiceSchedulerInitiated",
            &format!(
                "Task failed ELB health checks in (target-group arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/{cluster}/0123456789abcdef)"
            ),
        ),
        Outcome::Healthy | Outcome::Crash | Outcome::NoImage | Outcome::NoAddress => exited(1, ""),
    }
}
