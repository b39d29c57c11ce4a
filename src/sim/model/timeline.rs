//! The scenario's timeline, and the churn of large fleets.

use std::sync::Arc;

use serde_json::Value;

use super::build::other_version;
use super::deployment::revision;
use super::events::Said;
use super::meta::{Ms, Obj, Ref};
use super::node::Link;
use super::pod::{Ended, PodId, State};
use super::profile::Behaviour;
use super::scenario::{Action, Step};
use super::template::{Role, Template};
use super::world::{Due, World};
use crate::sim::backend::ObjectKind;

impl World {
    /// The controller a scenario's `namespace/name` means.
    fn named(&self, workload: &(String, String)) -> Option<Ref> {
        use ObjectKind as K;
        [K::Deployment, K::StatefulSet, K::DaemonSet, K::CronJob, K::Job]
            .into_iter()
            .map(|k| Ref::new(k, &workload.0, &workload.1))
            .find(|r| self.controllers.contains_key(r))
    }

    /// Does a step and arms its next time.
    pub fn act(&mut self, steps: &[Step], i: usize, times: u32) {
        let Some(step) = steps.get(i) else { return };
        self.perform(&step.action);
        if let Some(ms) = step.lasting {
            self.after(ms, Due::Recover(i));
        }
        if let Some(every) = step.every
            && step.repeat.is_none_or(|n| times + 1 < n)
        {
            self.after(every, Due::Timeline(i, times + 1));
        }
    }

    /// The end of a step that lasts: what went down comes back, what failed is well.
    pub fn recover(&mut self, steps: &[Step], i: usize) {
        let back = match steps.get(i).map(|s| &s.action) {
            Some(Action::ZoneDown { zone }) => Action::Recover { zone: Some(zone.clone()), node: None },
            Some(Action::NodeDown { node } | Action::NodeNotReady { node }) => {
                Action::Recover { zone: None, node: Some(*node) }
            }
            Some(Action::Errors { workload, .. }) => Action::Errors { workload: workload.clone(), ratio: None },
            Some(Action::Latency { workload, .. }) => Action::Latency { workload: workload.clone(), factor: 1.0 },
            _ => return,
        };
        self.perform(&back);
    }

    fn perform(&mut self, action: &Action) {
        match action {
            Action::Rollout { workload, image, behaviour } => self.rollout(workload, image.as_deref(), *behaviour),
            Action::Rollback { workload } => self.rollback(workload),
            Action::Behave { workload, behaviour } => self.behave(workload, *behaviour),
            Action::Kill { workload, pods } => {
                let list = self.named(workload).map(|r| self.target_pods(&r)).unwrap_or_default();
                for id in list.into_iter().take(*pods as usize) {
                    self.delete_pod(id);
                }
            }
            Action::Scale { workload, replicas } => {
                if let Some(at) = self.named(workload) {
                    if let Some(c) = self.controllers.get_mut(&at) {
                        c.set_replicas(*replicas);
                    }
                    self.touch_object(&at);
                    self.enqueue(&at);
                }
            }
            Action::Load { workload, factor } => {
                let (ns, name) = workload.clone().unwrap_or_default();
                self.telemetry.order_load(&ns, &name, *factor, self.now);
                self.load.insert((ns.into(), name.into()), *factor);
            }
            Action::Errors { workload: (ns, name), ratio } => {
                self.telemetry.order_errors(ns, name, *ratio, self.now);
            }
            Action::Latency { workload: (ns, name), factor } => {
                self.telemetry.order_latency(ns, name, *factor, self.now);
            }
            Action::CertificateExpired { workload: (ns, name) } => self.certificate_expired(ns, name),
            Action::ZoneDown { zone } => self.link_where(|w, n| *w.nodes[n].zone == **zone, Link::Lost),
            Action::NodeDown { node } => self.link_node(*node, Link::Lost),
            Action::NodeNotReady { node } => self.link_node(*node, Link::NotReady),
            Action::Recover { zone: Some(zone), .. } => self.link_where(|w, n| *w.nodes[n].zone == **zone, Link::Up),
            Action::Recover { node: Some(node), .. } => self.link_node(*node, Link::Up),
            Action::Recover { .. } => self.link_where(|_, _| true, Link::Up),
            Action::Take(taking) => self.plan_taking(taking),
        }
    }

    /// The old one ends, cert-manager has long made a new one, and nobody has read that.
    fn certificate_expired(&mut self, ns: &str, name: &str) {
        self.telemetry.expire_certificate(ns, name, self.now);
        let about = Ref::new(ObjectKind::ConfigMap, ns, &format!("{name}-tls"));
        self.say(Said {
            about: &about,
            uid: format!("{ns}/{name}-tls"),
            kind: "Normal",
            reason: "Issuing",
            message: "The certificate has been successfully issued",
            component: "cert-manager-certificates-issuing",
            host: Arc::from(""),
            field: None,
            annotations: Obj::new(),
        });
        self.events.of_certificate();
    }

    fn link_node(&mut self, node: u32, link: Link) {
        if let Some(name) = self.node_order.get(node as usize).cloned() {
            self.set_link(&name, link);
        }
    }

    fn link_where(&mut self, want: impl Fn(&Self, &Arc<str>) -> bool, link: Link) {
        let names: Vec<Arc<str>> = self.node_order.iter().filter(|n| want(self, n)).cloned().collect();
        for n in names {
            self.set_link(&n, link);
        }
    }

    fn rollout(&mut self, workload: &(String, String), image: Option<&str>, behaviour: Option<Behaviour>) {
        let Some(at) = self.named(workload) else { return };
        let Some(c) = self.controllers.get(&at) else { return };
        let path = if at.kind == ObjectKind::CronJob { "/jobTemplate/spec/template" } else { "/template" };
        let mut template = c.spec.pointer(path).cloned().unwrap_or_default();
        let present = template["spec"]["containers"][0]["image"].as_str().unwrap_or_default().to_owned();
        let next = image.map_or_else(|| other_version(&present, 1), str::to_owned);
        match behaviour {
            Some(b) => {
                self.images.insert(next.clone(), b);
            }
            None => {
                self.images.remove(&next);
            }
        }
        template["spec"]["containers"][0]["image"] = next.as_str().into();
        self.rolled_out.insert(at.clone(), next.clone());
        if let Some((_, version)) = next.rsplit_once(':') {
            template["metadata"]["labels"]["app.kubernetes.io/version"] = version.into();
        }
        self.set_template(&at, path, template);
    }

    fn set_template(&mut self, at: &Ref, path: &str, template: Value) {
        let Some(c) = self.controllers.get_mut(at) else { return };
        c.template = Arc::new(Template::parse(&template));
        if let Some(slot) = c.spec.pointer_mut(path) {
            *slot = template;
        }
        c.meta.generation += 1;
        self.touch_object(at);
        self.enqueue(at);
    }

    fn rollback(&mut self, workload: &(String, String)) {
        let Some(at) = self.named(workload) else { return };
        let Some(c) = self.controllers.get(&at) else { return };
        // Whoever watches has gone back already, or on to something else.
        let image = c.spec["template"]["spec"]["containers"][0]["image"].as_str();
        if self.rolled_out.get(&at).is_some_and(|rolled| image != Some(rolled)) {
            return;
        }
        let mut sets: Vec<&super::world::Controller> =
            self.children_of(c.meta.uid).iter().filter_map(|r| self.controllers.get(r)).collect();
        sets.sort_by_key(|s| std::cmp::Reverse(revision(s)));
        let Some(previous) = sets.get(1) else { return };
        let mut template = previous.spec["template"].clone();
        if let Some(l) = template["metadata"]["labels"].as_object_mut() {
            l.shift_remove("pod-template-hash");
        }
        self.set_template(&at, "/template", template);
    }

    /// Running pods change their ways: those that will crash begin to now.
    fn behave(&mut self, workload: &(String, String), behaviour: Behaviour) {
        let Some(at) = self.named(workload) else { return };
        let key = (Arc::from(workload.0.as_str()), Arc::from(workload.1.as_str()));
        if behaviour == Behaviour::Healthy {
            self.overrides.remove(&key);
        } else {
            self.overrides.insert(key, behaviour);
        }
        for id in self.target_pods(&at) {
            let Some(p) = self.pods.get(&id) else { continue };
            let Some(c) = p.template.containers.iter().position(|s| s.role == Role::Main) else { continue };
            if !p.containers[c].running() {
                continue;
            }
            let run = p.containers[c].restarts;
            if matches!(behaviour, Behaviour::NotReady | Behaviour::SlowReady(_)) {
                self.set_ready(id, c, false);
            }
            self.start_main(id, c, run);
        }
    }

    /// One pod's status changes: mostly a restart, sometimes its readiness.
    pub fn churn(&mut self) {
        if self.next_pod < 2 {
            return;
        }
        let from = (self.rng.next() % u64::from(self.next_pod)) as PodId;
        let Some(id) = self.pods.range(from..).next().or_else(|| self.pods.iter().next()).map(|(id, _)| *id) else {
            return;
        };
        let now = self.now;
        let flip = self.rng.chance(0.2);
        let Some(p) = self.pods.get_mut(&id) else { return };
        if !p.active() || p.lost || p.phase != super::pod::Phase::Running {
            return;
        }
        let c = p.containers.len() - 1;
        if flip || !p.containers[c].ready {
            let ready = !p.containers[c].ready;
            self.set_ready(id, c, ready);
        } else if let State::Running(since) = p.containers[c].state {
            let run = p.containers[c].restarts;
            p.containers[c].last = Some(Ended { started: since, finished: now, exit: 1, reason: "Error", run });
            p.containers[c].restarts += 1;
            p.containers[c].state = State::Running(now);
            self.touch_pod(id);
        }
    }

    /// Milliseconds between two rounds of churn, and changes in a round.
    pub fn churn_step(rate: f64) -> (Ms, f64) {
        let every = (1000.0 / rate).clamp(10.0, 60_000.0).round();
        (every as Ms, rate * every / 1000.0)
    }
}
