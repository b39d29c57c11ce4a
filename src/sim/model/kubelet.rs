//! What a kubelet does with a pod, from accepting it to its end.

use super::meta::Ms;
use super::pod::{Container, Ended, Phase, PodId, State};
use super::profile::Behaviour;
use super::rng::{hash2, unit};
use super::template::Role;
use super::world::{Due, Step, World};
use crate::sim::backend::ObjectKind;

/// Back-off before the restart after this many crashes in a row: 10 s, doubled, 5 min at most.
pub fn backoff(crashes: u32) -> Ms {
    (10_000 << crashes.saturating_sub(2).min(6)).min(300_000)
}

/// The same as the kubelet writes it.
pub fn backoff_words(crashes: u32) -> &'static str {
    match backoff(crashes) {
        10_000 => "10s",
        20_000 => "20s",
        40_000 => "40s",
        80_000 => "1m20s",
        160_000 => "2m40s",
        _ => "5m0s",
    }
}

/// What the runtime says when an image is not there.
pub fn pull_error(image: &str) -> String {
    format!("failed to pull and unpack image \"{image}\": failed to resolve reference \"{image}\": {image}: not found")
}

impl World {
    /// One step of a pod's life, if it still applies.
    pub fn kubelet(&mut self, id: PodId, step: Step) {
        let Some(p) = self.pods.get(&id) else { return };
        if p.lost || p.node.as_ref().and_then(|n| self.nodes.get(n)).is_some_and(super::node::Node::is_down) {
            self.after(5000, Due::Kubelet(id, step));
            return;
        }
        if step == Step::Gone {
            if p.deletion.is_some() {
                self.remove_pod(id);
            }
            return;
        }
        if p.deletion.is_some() || p.finished() {
            return;
        }
        match step {
            Step::Accept => self.accept(id),
            Step::Pull(c, run) | Step::RetryPull(c, run) if self.waits(id, c, run) => {
                self.pull(id, usize::from(c), matches!(step, Step::RetryPull(..)));
            }
            Step::Ready(c, run) if self.runs(id, c, run) => self.set_ready(id, usize::from(c), true),
            Step::Unhealthy(c, run) if self.runs(id, c, run) => self.unhealthy(id, usize::from(c)),
            Step::Exit(c, run) if self.runs(id, c, run) => self.exit(id, usize::from(c)),
            Step::BackOff(c, run) => self.back_off(id, usize::from(c), run),
            Step::Restart(c, run) => self.restart(id, usize::from(c), run),
            _ => {}
        }
    }

    fn container(&self, id: PodId, c: u8) -> Option<&Container> {
        self.pods.get(&id)?.containers.get(usize::from(c))
    }

    fn waits(&self, id: PodId, c: u8, run: u32) -> bool {
        self.container(id, c).is_some_and(|c| c.restarts == run && matches!(c.state, State::Waiting(_)))
    }

    fn runs(&self, id: PodId, c: u8, run: u32) -> bool {
        self.container(id, c).is_some_and(|c| c.restarts == run && c.running())
    }

    fn accept(&mut self, id: PodId) {
        let now = self.now;
        let Some(p) = self.pods.get_mut(&id) else { return };
        if p.started.is_some() {
            return;
        }
        p.started = Some(now);
        let has_init = p.template.containers.iter().any(|c| c.role != Role::Main);
        if has_init {
            for c in &mut p.containers {
                c.state = State::Waiting("PodInitializing");
            }
        }
        self.touch_pod(id);
        self.begin_next(id, 900);
    }

    /// Starts what is next: the first init container not done, else all main ones.
    fn begin_next(&mut self, id: PodId, base: Ms) {
        let now = self.now;
        let Some(p) = self.pods.get_mut(&id) else { return };
        for (i, (spec, c)) in p.template.containers.iter().zip(&p.containers).enumerate() {
            let done = match spec.role {
                Role::Init => matches!(c.state, State::Ended(Ended { exit: 0, .. })),
                Role::Sidecar => c.running() || c.last.is_some(),
                Role::Main => true,
            };
            if !done {
                if matches!(c.state, State::Waiting(_)) {
                    let run = c.restarts;
                    let delay = base + (p.uid as i64 & 0x1FF);
                    self.after(delay, Due::Kubelet(id, Step::Pull(i as u8, run)));
                }
                return;
            }
        }
        if p.initialized.is_none() {
            p.initialized = Some(now);
        }
        let main: Vec<(usize, u32)> = (0..p.containers.len())
            .filter(|&i| p.template.containers[i].role == Role::Main)
            .filter(|&i| matches!(p.containers[i].state, State::Waiting(_)))
            .map(|i| (i, p.containers[i].restarts))
            .collect();
        let jitter = p.uid as i64 & 0x3FF;
        self.touch_pod(id);
        for (n, (i, run)) in main.into_iter().enumerate() {
            let delay = base + jitter + n as i64 * 120;
            self.after(delay, Due::Kubelet(id, Step::Pull(i as u8, run)));
        }
    }

    fn pull(&mut self, id: PodId, c: usize, again: bool) {
        let Some(p) = self.pods.get(&id) else { return };
        let (spec, run) = (p.template.containers[c].clone(), p.containers[c].restarts);
        if self.behaviour(p, c) != Behaviour::ImagePull {
            let message = format!("Container image \"{}\" already present on machine", spec.image);
            self.pod_event(id, "Normal", "Pulled", &message, Some(&spec.name));
            self.start(id, c);
            return;
        }
        let Some(p) = self.pods.get_mut(&id) else { return };
        let tries = p.containers[c].crashes;
        let error = matches!(p.containers[c].state, State::Waiting("ErrImagePull"));
        if error {
            p.containers[c].state = State::Waiting("ImagePullBackOff");
            self.touch_pod(id);
            let message = format!("Back-off pulling image \"{}\"", spec.image);
            self.pod_event(id, "Normal", "BackOff", &message, Some(&spec.name));
            self.pod_event(id, "Warning", "Failed", "Error: ImagePullBackOff", Some(&spec.name));
            self.after(backoff(tries + 1), Due::Kubelet(id, Step::RetryPull(c as u8, run)));
            return;
        }
        p.containers[c].state = State::Waiting("ErrImagePull");
        p.containers[c].crashes += 1;
        self.touch_pod(id);
        let pulling = format!("Pulling image \"{}\"", spec.image);
        self.pod_event(id, "Normal", "Pulling", &pulling, Some(&spec.name));
        let failed = format!("Failed to pull image \"{}\": {}", spec.image, pull_error(&spec.image));
        self.pod_event(id, "Warning", "Failed", &failed, Some(&spec.name));
        self.pod_event(id, "Warning", "Failed", "Error: ErrImagePull", Some(&spec.name));
        let delay = if again { 2000 } else { 4000 };
        self.after(delay, Due::Kubelet(id, Step::RetryPull(c as u8, run)));
    }

    /// A container starts; what follows depends on its role and behaviour.
    fn start(&mut self, id: PodId, c: usize) {
        let now = self.now;
        let Some(p) = self.pods.get_mut(&id) else { return };
        p.containers[c].state = State::Running(now);
        let spec = p.template.containers[c].clone();
        if spec.role == Role::Main {
            p.phase = Phase::Running;
        }
        let run = p.containers[c].restarts;
        self.touch_pod(id);
        self.pod_event(id, "Normal", "Created", &format!("Created container: {}", spec.name), Some(&spec.name));
        self.pod_event(id, "Normal", "Started", &format!("Started container {}", spec.name), Some(&spec.name));
        let ci = c as u8;
        match spec.role {
            Role::Init => {
                let work = self.rng.range(900, 2400);
                self.after(work, Due::Kubelet(id, Step::Exit(ci, run)));
            }
            Role::Sidecar => {
                self.after(1200, Due::Kubelet(id, Step::Ready(ci, run)));
                self.begin_next(id, 700);
            }
            Role::Main => self.start_main(id, c, run),
        }
    }

    /// Arms the timers of a main container that has just started.
    pub fn start_main(&mut self, id: PodId, c: usize, run: u32) {
        let Some(p) = self.pods.get(&id) else { return };
        let (behaviour, profile) = (self.behaviour(p, c), p.profile.clone());
        let job = p.owner.as_ref().is_some_and(|o| o.at.kind == ObjectKind::Job);
        let spread = 0.8 + 0.4 * unit(hash2(p.seed(), u64::from(run)));
        let about = |ms: Ms| (ms as f64 * spread) as Ms;
        let ci = c as u8;
        let ready = match behaviour {
            Behaviour::SlowReady(ms) => Some(ms),
            Behaviour::NotReady => None,
            _ => Some(profile.ready_after),
        };
        match behaviour {
            Behaviour::Crash(ms) | Behaviour::Oom(ms) => {
                self.after(about(ms), Due::Kubelet(id, Step::Exit(ci, run)));
            }
            _ if job => self.after(about(profile.duration), Due::Kubelet(id, Step::Exit(ci, run))),
            _ => {}
        }
        if let Some(ms) = ready {
            self.after(about(ms), Due::Kubelet(id, Step::Ready(ci, run)));
        }
        if matches!(behaviour, Behaviour::NotReady | Behaviour::SlowReady(_)) {
            self.after(8000, Due::Kubelet(id, Step::Unhealthy(ci, run)));
        }
    }

    fn unhealthy(&mut self, id: PodId, c: usize) {
        let Some(p) = self.pods.get(&id) else { return };
        if p.containers[c].ready {
            return;
        }
        let message = "Readiness probe failed: HTTP probe failed with statuscode: 503";
        let (name, run) = (p.template.containers[c].name.clone(), p.containers[c].restarts);
        self.pod_event(id, "Warning", "Unhealthy", message, Some(&name));
        self.after(10_000, Due::Kubelet(id, Step::Unhealthy(c as u8, run)));
    }

    /// A readiness probe changed its mind.
    pub fn set_ready(&mut self, id: PodId, c: usize, ready: bool) {
        let Some(p) = self.pods.get_mut(&id) else { return };
        if p.containers[c].ready != ready {
            p.containers[c].ready = ready;
            self.touch_pod(id);
            self.update_ready(id);
        }
    }

    /// Derives the pod's readiness from its containers'; tells the owner.
    pub fn update_ready(&mut self, id: PodId) {
        let now = self.now;
        let Some(p) = self.pods.get_mut(&id) else { return };
        let ready = p.phase == Phase::Running
            && p.template.containers.iter().zip(&p.containers).all(|(s, c)| s.role == Role::Init || c.ready);
        if ready == p.ready {
            return;
        }
        p.ready = ready;
        p.ready_at = now;
        let owner = p.owner.as_ref().map(|o| o.at.clone());
        self.touch_pod(id);
        if let Some(o) = owner {
            self.enqueue(&o);
        }
    }

    /// A run ends: by its behaviour, or because its work is done.
    fn exit(&mut self, id: PodId, c: usize) {
        let Some(p) = self.pods.get(&id) else { return };
        let role = p.template.containers[c].role;
        let job = p.owner.as_ref().is_some_and(|o| o.at.kind == ObjectKind::Job);
        let unlucky = unit(hash2(p.seed(), 77)) < p.profile.fails;
        let (exit, reason) = match self.behaviour(p, c) {
            _ if role == Role::Init => (0, "Completed"),
            Behaviour::Oom(_) => (137, "OOMKilled"),
            Behaviour::Crash(_) => (1, "Error"),
            _ if job && unlucky => (1, "Error"),
            _ => (0, "Completed"),
        };
        self.end_run(id, c, exit, reason);
    }

    /// Ends a running container; restarts it, or finishes the pod.
    pub fn end_run(&mut self, id: PodId, c: usize, exit: i32, reason: &'static str) {
        let now = self.now;
        let Some(p) = self.pods.get_mut(&id) else { return };
        let State::Running(started) = p.containers[c].state else { return };
        let role = p.template.containers[c].role;
        let run = p.containers[c].restarts;
        let ended = Ended { started, finished: now, exit, reason, run };
        p.containers[c].state = State::Ended(ended);
        p.containers[c].ready = false;
        let policy = p.template.restart_policy;
        self.touch_pod(id);
        if role == Role::Init {
            self.begin_next(id, 300);
            return;
        }
        let again = role == Role::Sidecar || policy == "Always" || (policy == "OnFailure" && exit != 0);
        if again {
            let Some(p) = self.pods.get_mut(&id) else { return };
            let k = &mut p.containers[c];
            k.crashes = if now - started > 600_000 { 1 } else { k.crashes + 1 };
            let (crashes, ci) = (k.crashes, c as u8);
            if crashes <= 1 {
                self.after(1100, Due::Kubelet(id, Step::Restart(ci, run)));
            } else {
                self.after(1400, Due::Kubelet(id, Step::BackOff(ci, run)));
            }
        } else {
            self.maybe_finish(id);
        }
        self.update_ready(id);
    }

    fn maybe_finish(&mut self, id: PodId) {
        let now = self.now;
        let Some(p) = self.pods.get_mut(&id) else { return };
        let specs = &p.template.containers;
        let mains = || specs.iter().zip(&p.containers).filter(|(s, _)| s.role == Role::Main);
        if mains().any(|(_, c)| !matches!(c.state, State::Ended(_))) {
            return;
        }
        let failed = mains().any(|(_, c)| matches!(c.state, State::Ended(Ended { exit, .. }) if exit != 0));
        p.phase = if failed { Phase::Failed } else { Phase::Succeeded };
        for (s, c) in p.template.containers.iter().zip(&mut p.containers) {
            if s.role == Role::Sidecar
                && let State::Running(started) = c.state
            {
                let run = c.restarts;
                c.state = State::Ended(Ended { started, finished: now, exit: 0, reason: "Completed", run });
                c.ready = false;
            }
        }
        p.ready = false;
        p.ready_at = now;
        let (cpu, memory) = (p.template.cpu, p.template.memory);
        let owner = p.owner.as_ref().map(|o| o.at.clone());
        if let Some(n) = p.node.as_ref().and_then(|n| self.nodes.get_mut(n)) {
            n.used_cpu = n.used_cpu.saturating_sub(cpu);
            n.used_memory = n.used_memory.saturating_sub(memory);
        }
        if let Some(p) = self.pods.get(&id) {
            self.spot.ended(p, now);
        }
        self.touch_pod(id);
        if let Some(o) = owner {
            self.enqueue(&o);
        }
        self.kick();
    }

    fn back_off(&mut self, id: PodId, c: usize, run: u32) {
        let Some(p) = self.pods.get_mut(&id) else { return };
        let Some(k) = p.containers.get_mut(c) else { return };
        let State::Ended(e) = k.state else { return };
        if k.restarts != run {
            return;
        }
        k.last = Some(e);
        k.state = State::Waiting("CrashLoopBackOff");
        let delay = backoff(k.crashes);
        let name = p.template.containers[c].name.clone();
        let message = format!("Back-off restarting failed container {name} in pod {}_{}", p.name, p.ns);
        self.touch_pod(id);
        self.pod_event(id, "Warning", "BackOff", &message, Some(&name));
        self.after(delay, Due::Kubelet(id, Step::Restart(c as u8, run)));
    }

    fn restart(&mut self, id: PodId, c: usize, run: u32) {
        let Some(p) = self.pods.get_mut(&id) else { return };
        let Some(k) = p.containers.get_mut(c) else { return };
        if k.restarts != run || k.running() {
            return;
        }
        if let State::Ended(e) = k.state {
            k.last = Some(e);
        }
        k.restarts += 1;
        let spec = &p.template.containers[c];
        let (name, message) =
            (spec.name.clone(), format!("Container image \"{}\" already present on machine", spec.image));
        self.pod_event(id, "Normal", "Pulled", &message, Some(&name));
        self.start(id, c);
    }
}
