//! The deployment controller: one replica set per template, rolled within surge and unavailability.

use serde_json::{Value, json};

use super::meta::{Obj, Owner, Ref, kind_name, set_condition};
use super::world::{Controller, Due, World};
use crate::sim::backend::ObjectKind;

/// One replica set as the rollout sees it.
struct Set {
    at: Ref,
    revision: i64,
    replicas: i64,
    exists: i64,
    ready: i64,
}

impl Set {
    /// Ready pods that are there to stay: a set told to shrink may not have done it yet.
    fn serving(&self) -> i64 {
        self.ready.min(self.replicas)
    }
}

/// An absolute count or a percentage of `of`, rounded up or down.
pub fn share(v: &Value, of: i64, up: bool, default: i64) -> i64 {
    match v {
        Value::Number(n) => n.as_i64().unwrap_or(default),
        Value::String(s) => {
            let pct: i64 = s.trim_end_matches('%').parse().unwrap_or(25);
            if up { (of * pct + 99) / 100 } else { of * pct / 100 }
        }
        _ => default,
    }
}

impl World {
    pub fn sync_deployment(&mut self, at: &Ref) {
        let Some(d) = self.controllers.get(at) else { return };
        let (uid, desired, paused) = (d.meta.uid, d.replicas, d.spec["paused"] == true);
        let (hash, deadline) = (d.template.hash.clone(), d.spec["progressDeadlineSeconds"].as_i64().unwrap_or(600));
        let recreate = d.spec["strategy"]["type"] == "Recreate";
        let rolling = &d.spec["strategy"]["rollingUpdate"];
        let surge = if recreate { 0 } else { share(&rolling["maxSurge"], desired, true, 1) };
        let mut unavailable = if recreate { desired } else { share(&rolling["maxUnavailable"], desired, false, 0) };
        if surge == 0 && unavailable == 0 {
            unavailable = 1;
        }
        let new_name = format!("{}-{hash}", at.name);
        let new = Ref::new(ObjectKind::ReplicaSet, &at.ns, &new_name);
        let fresh = !self.controllers.contains_key(&new);
        if fresh && !paused {
            self.new_replica_set(at, &new, &hash);
        } else if !paused {
            self.bump_revision(at, &new);
        }
        let sets = self.sets_of(uid);
        let (mine, old): (Vec<Set>, Vec<Set>) = sets.into_iter().partition(|s| s.at == new);
        if let Some(mine) = mine.into_iter().next() {
            if old.iter().all(|s| s.replicas == 0 && s.exists == 0) || (paused && mine.replicas > 0) {
                self.scale_set(at, &mine, desired);
            } else if !paused && recreate {
                self.roll_recreate(at, &mine, &old, desired);
            } else if !paused {
                self.roll(at, &mine, &old, desired, surge, unavailable);
            }
        }
        self.deployment_status(at, &new, desired, unavailable, deadline, fresh);
        self.trim_history(at, &new);
    }

    fn sets_of(&self, uid: u128) -> Vec<Set> {
        let mut out: Vec<Set> = self
            .children_of(uid)
            .into_iter()
            .filter_map(|at| {
                let c = self.controllers.get(&at)?;
                let pods = self.active_pods(c.meta.uid);
                let ready = pods.iter().filter(|id| self.pods.get(id).is_some_and(|p| p.ready && !p.lost)).count();
                Some(Set {
                    revision: revision(c),
                    replicas: c.replicas,
                    exists: pods.len() as i64,
                    ready: ready as i64,
                    at,
                })
            })
            .collect();
        out.sort_by_key(|s| s.revision);
        out
    }

    fn new_replica_set(&mut self, at: &Ref, new: &Ref, hash: &str) {
        let Some(d) = self.controllers.get(at) else { return };
        let uid = d.meta.uid;
        let next = self.children_of(uid).iter().filter_map(|r| self.controllers.get(r)).map(revision).max();
        let next = next.unwrap_or(0) + 1;
        let Some(d) = self.controllers.get(at) else { return };
        let (profile, template) = (d.profile.clone(), d.template.clone());
        let mut labels = template.labels.clone();
        labels.insert("pod-template-hash".into(), hash.into());
        let mut template_json = d.spec["template"].clone();
        template_json["metadata"]["labels"] = labels.clone().into();
        let mut selector = d.spec["selector"].clone();
        selector["matchLabels"]["pod-template-hash"] = hash.into();
        let spec = json!({"replicas": 0, "selector": selector, "template": template_json});
        let owner = Owner { at: at.clone(), uid };
        let mut meta = self.meta(new.clone(), labels, Some(owner));
        meta.annotations.insert("deployment.kubernetes.io/revision".into(), next.to_string().into());
        let now = self.now;
        let rs = Controller::new(meta, spec, template, profile, 0, now);
        self.add_controller(rs);
        self.set_revision(at, next);
    }

    fn set_revision(&mut self, at: &Ref, n: i64) {
        if let Some(d) = self.controllers.get_mut(at) {
            d.meta.annotations.insert("deployment.kubernetes.io/revision".into(), n.to_string().into());
            d.progress = self.now;
        }
        self.touch_object(at);
    }

    /// A rollback makes an old set the newest.
    fn bump_revision(&mut self, at: &Ref, new: &Ref) {
        let Some(uid) = self.controllers.get(at).map(|d| d.meta.uid) else { return };
        let highest = self.children_of(uid).iter().filter_map(|r| self.controllers.get(r)).map(revision).max();
        let highest = highest.unwrap_or(0);
        let Some(rs) = self.controllers.get_mut(new) else { return };
        if revision(rs) < highest {
            let next = highest + 1;
            rs.meta.annotations.insert("deployment.kubernetes.io/revision".into(), next.to_string().into());
            self.touch_object(new);
            self.set_revision(at, next);
        }
    }

    fn roll(&mut self, at: &Ref, mine: &Set, old: &[Set], desired: i64, surge: i64, unavailable: i64) {
        let total: i64 = mine.replicas + old.iter().map(|s| s.replicas).sum::<i64>();
        let mut new_replicas = mine.replicas;
        if mine.replicas > desired {
            new_replicas = desired;
        } else if mine.replicas < desired {
            new_replicas = desired.min(mine.replicas + (desired + surge - total).max(0));
        }
        self.scale_set(at, mine, new_replicas);
        let floor = desired - unavailable;
        let waiting = (new_replicas - mine.serving()).max(0);
        let total = total - mine.replicas + new_replicas;
        let mut room = total - floor - waiting;
        let mut left: Vec<i64> = old.iter().map(|s| s.replicas).collect();
        for (s, left) in old.iter().zip(&mut left) {
            let unhealthy = (s.replicas - s.serving()).max(0).min(room.max(0));
            *left -= unhealthy;
            room -= unhealthy;
        }
        let ready: i64 = mine.serving() + old.iter().map(Set::serving).sum::<i64>();
        let mut room = ready - floor;
        for (s, left) in old.iter().zip(&mut left) {
            let n = (*left).min(room.max(0)).min(s.serving());
            *left -= n;
            room -= n;
        }
        for (s, left) in old.iter().zip(left) {
            self.scale_set(at, s, left);
        }
    }

    fn roll_recreate(&mut self, at: &Ref, mine: &Set, old: &[Set], desired: i64) {
        for s in old {
            self.scale_set(at, s, 0);
        }
        let gone = old.iter().all(|s| {
            self.controllers.get(&s.at).is_none_or(|c| self.all_pods(c.meta.uid).is_empty() && c.replicas == 0)
        });
        if gone {
            self.scale_set(at, mine, desired);
        }
    }

    fn scale_set(&mut self, deployment: &Ref, s: &Set, to: i64) {
        if s.replicas == to {
            return;
        }
        let word = if to > s.replicas { "up" } else { "down" };
        if let Some(c) = self.controllers.get_mut(&s.at) {
            c.set_replicas(to);
        }
        if let Some(d) = self.controllers.get_mut(deployment) {
            d.progress = self.now;
        }
        let message = format!("Scaled {word} replica set {} from {} to {to}", s.at.name, s.replicas);
        self.object_event(deployment, "Normal", "ScalingReplicaSet", &message);
        self.touch_object(&s.at);
        self.enqueue(&s.at);
    }

    fn deployment_status(&mut self, at: &Ref, new: &Ref, desired: i64, unavailable: i64, deadline: i64, fresh: bool) {
        let Some(d) = self.controllers.get(at) else { return };
        let sets = self.sets_of(d.meta.uid);
        let sum = |f: fn(&Set) -> i64| sets.iter().map(f).sum::<i64>();
        let (exists, ready) = (sum(|s| s.exists), sum(|s| s.ready));
        let (updated, updated_ready) = sets.iter().find(|s| s.at == *new).map_or((0, 0), |s| (s.exists, s.ready));
        let now = self.now;
        let Some(d) = self.controllers.get_mut(at) else { return };
        let n = |s: &Obj, k: &str| s.get(k).and_then(Value::as_i64).unwrap_or(0);
        if updated > n(&d.status, "updatedReplicas") || ready > n(&d.status, "readyReplicas") {
            d.progress = now;
        }
        let mut status = Obj::new();
        status.insert("observedGeneration".into(), d.meta.generation.into());
        for (k, v) in [
            ("replicas", exists),
            ("updatedReplicas", updated),
            ("readyReplicas", ready),
            ("availableReplicas", ready),
            ("unavailableReplicas", (desired.max(exists) - ready).max(0)),
        ] {
            if v > 0 {
                status.insert(k.into(), v.into());
            }
        }
        let mut changed = d.status != status;
        d.status = status;
        let enough = ready >= desired - unavailable;
        let (reason, message) = if enough {
            ("MinimumReplicasAvailable", "Deployment has minimum availability.")
        } else {
            ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
        };
        changed |= set_condition(&mut d.conditions, now, "Available", enough, reason, message);
        let complete = updated == desired && updated_ready >= desired && exists == desired;
        let overdue = now >= d.progress + deadline * 1000;
        let was_complete = d.conditions.iter().any(|c| c["reason"] == "NewReplicaSetAvailable");
        let paused = d.spec["paused"] == true;
        let (ok, reason, message) = if complete || (was_complete && updated == exists && !fresh) {
            (true, "NewReplicaSetAvailable", format!("ReplicaSet \"{}\" has successfully progressed.", new.name))
        } else if paused {
            (true, "DeploymentPaused", "Deployment is paused".to_owned())
        } else if overdue {
            (false, "ProgressDeadlineExceeded", format!("ReplicaSet \"{}\" has timed out progressing.", new.name))
        } else if fresh {
            (true, "NewReplicaSetCreated", format!("Created new replica set \"{}\"", new.name))
        } else {
            (true, "ReplicaSetUpdated", format!("ReplicaSet \"{}\" is progressing.", new.name))
        };
        changed |= set_condition(&mut d.conditions, now, "Progressing", ok, reason, &message);
        let check = d.progress + deadline * 1000;
        if changed {
            self.touch_object(at);
            if !complete && !overdue {
                self.at(check, Due::Sync(at.clone()));
            }
        }
    }

    fn trim_history(&mut self, at: &Ref, new: &Ref) {
        let Some(d) = self.controllers.get(at) else { return };
        let limit = d.spec["revisionHistoryLimit"].as_u64().unwrap_or(10) as usize;
        let idle: Vec<Ref> = self
            .sets_of(d.meta.uid)
            .into_iter()
            .filter(|s| s.at != *new && s.replicas == 0 && s.exists == 0)
            .map(|s| s.at)
            .collect();
        for old in idle.iter().take(idle.len().saturating_sub(limit)) {
            self.remove_object(old);
        }
    }

    /// A replica set: as many pods as it should have.
    pub fn sync_replica_set(&mut self, at: &Ref) {
        let Some(c) = self.controllers.get(at) else { return };
        let (uid, want) = (c.meta.uid, c.replicas);
        let (template, profile, owner) = (c.template.clone(), c.profile.clone(), c.meta.owner.clone());
        let hash = c.meta.labels.get("pod-template-hash").and_then(Value::as_str).map(str::to_owned);
        let mut pods = self.active_pods(uid);
        let have = pods.len() as i64;
        for _ in have..want {
            let name = format!("{}-{}", at.name, self.rng.suffix(5));
            let labels = hash.iter().map(|h| ("pod-template-hash", h.clone())).collect();
            let me = Owner { at: at.clone(), uid };
            self.add_pod(&at.ns, &name, &template, &profile, Some(me), labels);
            self.object_event(at, "Normal", "SuccessfulCreate", &format!("Created pod: {name}"));
        }
        if have > want {
            pods.sort_by_key(|id| {
                self.pods
                    .get(id)
                    .map(|p| (p.node.is_some(), p.started.is_some(), p.ready, std::cmp::Reverse(p.created)))
            });
            for id in pods.into_iter().take((have - want) as usize) {
                let name = self.pods.get(&id).map(|p| p.name.clone());
                self.delete_pod(id);
                if let Some(name) = name {
                    self.object_event(at, "Normal", "SuccessfulDelete", &format!("Deleted pod: {name}"));
                }
            }
        }
        self.replica_set_status(at, uid);
        if let Some(o) = owner.filter(|o| kind_name(o.at.kind) == "Deployment") {
            self.enqueue(&o.at);
        }
    }

    fn replica_set_status(&mut self, at: &Ref, uid: u128) {
        let pods = self.active_pods(uid);
        let ready = pods.iter().filter(|id| self.pods.get(id).is_some_and(|p| p.ready && !p.lost)).count();
        let Some(c) = self.controllers.get_mut(at) else { return };
        let mut status = Obj::new();
        status.insert("replicas".into(), pods.len().into());
        if !pods.is_empty() {
            status.insert("fullyLabeledReplicas".into(), pods.len().into());
        }
        if ready > 0 {
            status.insert("readyReplicas".into(), ready.into());
            status.insert("availableReplicas".into(), ready.into());
        }
        status.insert("observedGeneration".into(), c.meta.generation.into());
        if c.status != status {
            c.status = status;
            self.touch_object(at);
        }
    }
}

/// A set's or deployment's revision.
pub fn revision(c: &Controller) -> i64 {
    let v = c.meta.annotations.get("deployment.kubernetes.io/revision");
    v.and_then(Value::as_str).and_then(|s| s.parse().ok()).unwrap_or(0)
}
