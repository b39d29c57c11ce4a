//! Stateful sets and daemon sets.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::meta::{Meta, Ms, Obj, Owner, Ref};
use super::node::{Link, Node};
use super::pod::PodId;
use super::profile::Profile;
use super::template::Template;
use super::world::{Controller, Due, Step, World};
use crate::sim::backend::ObjectKind;

impl Controller {
    /// A controller without status.
    pub fn new(
        meta: Meta,
        spec: Value,
        template: Arc<Template>,
        profile: Arc<Profile>,
        replicas: i64,
        now: Ms,
    ) -> Self {
        Self {
            meta,
            spec,
            template,
            profile,
            replicas,
            status: Obj::new(),
            conditions: Vec::new(),
            progress: now,
            succeeded: 0,
            failed: 0,
            finished: None,
            settled_revision: None,
        }
    }

    /// Changes `spec.replicas`.
    pub fn set_replicas(&mut self, to: i64) {
        self.replicas = to;
        self.spec["replicas"] = json!(to);
        self.meta.generation += 1;
    }
}

impl World {
    /// Takes a controller off the queue and reconciles it.
    pub fn sync(&mut self, at: &Ref) {
        match at.kind {
            ObjectKind::Deployment => self.sync_deployment(at),
            ObjectKind::ReplicaSet => self.sync_replica_set(at),
            ObjectKind::StatefulSet => self.sync_stateful_set(at),
            ObjectKind::DaemonSet => self.sync_daemon_set(at),
            ObjectKind::Job => self.sync_job(at),
            ObjectKind::CronJob => self.sync_cron_job(at),
            _ => {}
        }
        self.sync_budgets(at);
    }

    /// Reconciles until nothing is left to do.
    pub fn settle(&mut self) {
        // A controller that kept waking another for ever would be a bug; the bound makes it a visible one.
        for _ in 0..200_000 {
            let Some(at) = self.queue.pop_first() else { return };
            self.sync(&at);
        }
    }

    fn sync_stateful_set(&mut self, at: &Ref) {
        let Some(c) = self.controllers.get(at) else { return };
        let (uid, want, template, profile) = (c.meta.uid, c.replicas, c.template.clone(), c.profile.clone());
        let parallel = c.spec["podManagementPolicy"] == "Parallel";
        let revision = format!("{}-{}", at.name, template.hash);
        let mut have: BTreeMap<i64, PodId> = BTreeMap::new();
        for id in self.all_pods(uid) {
            let ordinal = self.pods.get(&id).and_then(|p| p.name.rsplit('-').next()?.parse().ok());
            have.extend(ordinal.map(|n: i64| (n, id)));
        }
        self.stateful_step(at, uid, want, &template, &profile, parallel, &revision, &have);
        self.stateful_status(at, uid, want, &revision);
    }

    #[expect(clippy::too_many_arguments, reason = "one reconcile step over what the caller gathered")]
    fn stateful_step(
        &mut self,
        at: &Ref,
        uid: u128,
        want: i64,
        template: &Arc<Template>,
        profile: &Arc<Profile>,
        parallel: bool,
        revision: &str,
        have: &BTreeMap<i64, PodId>,
    ) {
        for n in 0..want {
            match have.get(&n).and_then(|id| self.pods.get(id).map(|p| (*id, p))) {
                None => {
                    let name = format!("{}-{n}", at.name);
                    let labels = vec![
                        ("statefulset.kubernetes.io/pod-name", name.clone()),
                        ("apps.kubernetes.io/pod-index", n.to_string()),
                        ("controller-revision-hash", revision.to_owned()),
                    ];
                    let me = Owner { at: at.clone(), uid };
                    self.add_pod(&at.ns, &name, template, profile, Some(me), labels);
                    let message = format!("create Pod {name} in StatefulSet {} successful", at.name);
                    self.object_event(at, "Normal", "SuccessfulCreate", &message);
                    if !parallel {
                        return;
                    }
                }
                Some((id, p)) if p.finished() => {
                    self.delete_pod(id);
                    return;
                }
                // A pod of an old revision that never gets ready must not block its own replacement.
                Some((_, p)) if !parallel && !p.ready && p.template.hash == template.hash => return,
                Some((_, p)) if !parallel && p.deletion.is_some() => return,
                Some(_) => {}
            }
        }
        if let Some((n, id)) = have.range(want..).next_back().map(|(n, id)| (*n, *id)) {
            if self.pods.get(&id).is_some_and(|p| p.deletion.is_none()) {
                self.delete_pod(id);
                let message = format!("delete Pod {}-{n} in StatefulSet {} successful", at.name, at.name);
                self.object_event(at, "Normal", "SuccessfulDelete", &message);
            }
            return;
        }
        self.stateful_update(at, want, template, have);
    }

    /// Replaces the highest pod of an old revision, when those above it are ready.
    fn stateful_update(&mut self, at: &Ref, want: i64, template: &Template, have: &BTreeMap<i64, PodId>) {
        let on_delete = self.controllers.get(at).is_some_and(|c| c.spec["updateStrategy"]["type"] == "OnDelete");
        if on_delete {
            return;
        }
        for (n, id) in have.range(..want).rev() {
            let Some(p) = self.pods.get(id) else { return };
            if p.deletion.is_some() {
                return;
            }
            if p.template.hash != template.hash {
                let name = format!("{}-{n}", at.name);
                self.delete_pod(*id);
                let message = format!("delete Pod {name} in StatefulSet {} successful", at.name);
                self.object_event(at, "Normal", "SuccessfulDelete", &message);
                return;
            }
            if !p.ready {
                return;
            }
        }
    }

    fn stateful_status(&mut self, at: &Ref, uid: u128, want: i64, revision: &str) {
        let (mut total, mut ready, mut updated) = (0_i64, 0_i64, 0_i64);
        for p in self.all_pods(uid).iter().filter_map(|id| self.pods.get(id)) {
            total += 1;
            ready += i64::from(p.ready && !p.lost && p.deletion.is_none());
            updated += i64::from(revision.ends_with(&p.template.hash));
        }
        let Some(c) = self.controllers.get_mut(at) else { return };
        if updated == total && total == want {
            c.settled_revision = Some(revision.to_owned());
        }
        let current = c.settled_revision.clone().unwrap_or_else(|| revision.to_owned());
        let mut status = Obj::new();
        status.insert("observedGeneration".into(), c.meta.generation.into());
        status.insert("replicas".into(), total.into());
        status.insert("readyReplicas".into(), ready.into());
        status.insert("availableReplicas".into(), ready.into());
        let same = current == revision;
        status.insert("currentReplicas".into(), if same { total } else { total - updated }.into());
        status.insert("updatedReplicas".into(), updated.into());
        status.insert("currentRevision".into(), current.into());
        status.insert("updateRevision".into(), revision.into());
        status.insert("collisionCount".into(), 0.into());
        if c.status != status {
            c.status = status;
            self.touch_object(at);
        }
    }

    fn sync_daemon_set(&mut self, at: &Ref) {
        let Some(c) = self.controllers.get(at) else { return };
        let (uid, template, profile) = (c.meta.uid, c.template.clone(), c.profile.clone());
        let limit = super::deployment::share(
            &c.spec["updateStrategy"]["rollingUpdate"]["maxUnavailable"],
            self.nodes.len() as i64,
            true,
            1,
        );
        let wanted: Vec<Arc<str>> =
            self.nodes.values().filter(|n| wants_daemon(n, &template)).map(|n| n.name().clone()).collect();
        let mut have: BTreeMap<Arc<str>, PodId> = BTreeMap::new();
        for id in self.all_pods(uid) {
            let Some(p) = self.pods.get(&id) else { continue };
            if p.finished() {
                self.delete_pod(id);
            } else if let Some(n) = p.node.clone() {
                have.insert(n, id);
            }
        }
        for n in &wanted {
            if !have.contains_key(n) {
                let name = format!("{}-{}", at.name, self.rng.suffix(5));
                let labels = vec![
                    ("controller-revision-hash", template.hash.clone()),
                    ("pod-template-generation", "1".to_owned()),
                ];
                let me = Owner { at: at.clone(), uid };
                let id = self.add_pod(&at.ns, &name, &template, &profile, Some(me), labels);
                self.object_event(at, "Normal", "SuccessfulCreate", &format!("Created pod: {name}"));
                self.bind(id, n);
                if !self.genesis {
                    self.pod_event(
                        id,
                        "Normal",
                        "Scheduled",
                        &format!("Successfully assigned {}/{name} to {n}", at.ns),
                        None,
                    );
                    self.after(400, Due::Kubelet(id, Step::Accept));
                }
                have.insert(n.clone(), id);
            }
        }
        let misplaced: Vec<PodId> = have.iter().filter(|(n, _)| !wanted.contains(n)).map(|(_, id)| *id).collect();
        for id in misplaced {
            self.delete_pod(id);
        }
        let mut down = have.values().filter(|id| self.pods.get(id).is_none_or(|p| !p.ready)).count() as i64;
        let on_delete = self.controllers.get(at).is_some_and(|c| c.spec["updateStrategy"]["type"] == "OnDelete");
        for id in have.values().filter(|_| !on_delete) {
            let Some(p) = self.pods.get(id) else { continue };
            if p.deletion.is_some() || p.template.hash == template.hash {
                continue;
            }
            if p.ready && down >= limit {
                continue;
            }
            down += i64::from(p.ready);
            self.delete_pod(*id);
        }
        self.daemon_status(at, uid, wanted.len() as i64, &template.hash);
    }

    fn daemon_status(&mut self, at: &Ref, uid: u128, wanted: i64, hash: &str) {
        let pods: Vec<_> =
            self.all_pods(uid).into_iter().filter_map(|id| self.pods.get(&id)).filter(|p| p.active()).collect();
        let ready = pods.iter().filter(|p| p.ready && !p.lost).count() as i64;
        let updated = pods.iter().filter(|p| p.template.hash == hash).count();
        let total = pods.len() as i64;
        let Some(c) = self.controllers.get_mut(at) else { return };
        let mut status = Obj::new();
        status.insert("currentNumberScheduled".into(), total.min(wanted).into());
        status.insert("desiredNumberScheduled".into(), wanted.into());
        status.insert("numberMisscheduled".into(), (total - wanted).max(0).into());
        status.insert("numberReady".into(), ready.into());
        status.insert("observedGeneration".into(), c.meta.generation.into());
        status.insert("updatedNumberScheduled".into(), updated.into());
        if ready > 0 {
            status.insert("numberAvailable".into(), ready.into());
        }
        if wanted > ready {
            status.insert("numberUnavailable".into(), (wanted - ready).into());
        }
        if c.status != status {
            c.status = status;
            self.touch_object(at);
        }
    }
}

/// Daemons run on cordoned and unreachable nodes too.
fn wants_daemon(n: &Node, t: &Template) -> bool {
    let down = super::node::down_taint(n.link);
    t.selector.iter().all(|(k, v)| n.meta.labels.get(k) == Some(v))
        && n.taints.iter().all(|taint| {
            taint.effect == "PreferNoSchedule"
                || taint.key == "node.kubernetes.io/unschedulable"
                // What is there already goes on: only NoExecute moves it.
                || super::spot::is_mark(&taint.key)
                || (n.link != Link::Up && Some(&*taint.key) == down)
                || t.tolerates(&taint.key, &taint.value, &taint.effect)
        })
}
