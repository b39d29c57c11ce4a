//! What clients write and delete.

use std::sync::Arc;

use serde_json::{Value, json};

use super::meta::{Meta, Obj, Ref, api_version, kind_name, map_of};
use super::node::Taint;
use super::template::{Template, default_template};
use super::world::{Controller, Hpa, Pdb, World};
use crate::sim::backend::{ObjectKind, Refusal};

fn text<'a>(v: &'a Value, key: &str) -> &'a str {
    v["metadata"][key].as_str().unwrap_or_default()
}

/// `Deployment.apps "web" is invalid: ...`, as the API server says it.
fn invalid(at: &Ref, why: &str) -> Refusal {
    let group = api_version(at.kind).split_once('/').map_or(String::new(), |(g, _)| format!(".{g}"));
    Refusal::Invalid(format!("{}{group} \"{}\" is invalid: {why}", kind_name(at.kind), at.name))
}

impl World {
    pub fn write(&mut self, kind: ObjectKind, o: &Value) -> Result<(), Refusal> {
        let at = Ref::new(kind, text(o, "namespace"), text(o, "name"));
        if at.name.is_empty() {
            return Err(invalid(&at, "metadata.name: Required value: name or generateName is required"));
        }
        let needs_namespace = !matches!(kind, ObjectKind::Node | ObjectKind::Namespace);
        if needs_namespace
            && &*at.ns != "kube-node-lease"
            && !self.plain.contains_key(&Ref::new(ObjectKind::Namespace, "", &at.ns))
        {
            return Err(Refusal::NotFound);
        }
        match kind {
            ObjectKind::Node => self.write_node(&at, o),
            ObjectKind::Pod => self.write_pod(&at, o),
            ObjectKind::HorizontalPodAutoscaler => self.write_hpa(&at, o),
            ObjectKind::PodDisruptionBudget => {
                self.write_pdb(&at, o);
                Ok(())
            }
            k if is_controller(k) => self.write_controller(&at, o),
            _ => {
                self.write_plain(&at, o);
                Ok(())
            }
        }
    }

    fn write_plain(&mut self, at: &Ref, o: &Value) {
        let mut o = o.clone();
        self.stamp(&mut o);
        if at.kind == ObjectKind::Namespace {
            o["metadata"]["labels"]["kubernetes.io/metadata.name"] = (&*at.name).into();
            o["spec"] = json!({"finalizers": ["kubernetes"]});
            o["status"] = json!({"phase": "Active"});
        }
        for key in ["apiVersion", "kind"] {
            if let Some(m) = o.as_object_mut() {
                m.shift_remove(key);
            }
        }
        if let Some(m) = o["metadata"].as_object_mut() {
            m.shift_remove("resourceVersion");
        }
        self.plain.insert(at.clone(), o);
        self.touch_object(at);
    }

    fn write_node(&mut self, at: &Ref, o: &Value) -> Result<(), Refusal> {
        let now = self.now;
        let Some(n) = self.nodes.get_mut(&at.name) else { return Err(Refusal::NotFound) };
        n.meta.labels = map_of(&o["metadata"]["labels"]);
        n.meta.annotations = map_of(&o["metadata"]["annotations"]);
        let mut taints = Vec::new();
        for t in o["spec"]["taints"].as_array().into_iter().flatten() {
            let s = |k: &str| t[k].as_str().unwrap_or_default().to_owned();
            let old = n.taints.iter().find(|o| o.key == s("key") && o.effect == s("effect"));
            let added = old.map_or((s("effect") == "NoExecute").then_some(now), |o| o.added);
            taints.push(Taint { key: s("key"), value: s("value"), effect: s("effect"), added });
        }
        let news: Vec<Taint> =
            taints.iter().filter(|t| t.effect == "NoExecute" && !n.taints.contains(t)).cloned().collect();
        n.taints = taints;
        let pods: Vec<u32> = n.pods.iter().copied().collect();
        let on = o["spec"]["unschedulable"] == true;
        let name = n.name().clone();
        self.cordon(&name, on);
        self.touch_object(at);
        for t in news {
            for id in &pods {
                let tolerated = |p: &super::pod::Pod| p.template.tolerates(&t.key, &t.value, &t.effect);
                if self.pods.get(id).is_some_and(|p| p.active() && !tolerated(p)) {
                    self.delete_pod(*id);
                }
            }
        }
        self.enqueue_daemons();
        Ok(())
    }

    fn write_pod(&mut self, at: &Ref, o: &Value) -> Result<(), Refusal> {
        if let Some(id) = self.pod_id(&at.ns, &at.name) {
            if let Some(p) = self.pods.get_mut(&id) {
                p.labels = Some(Box::new(map_of(&o["metadata"]["labels"])));
                p.annotations = Some(Box::new(map_of(&o["metadata"]["annotations"])));
            }
            self.touch_pod(id);
            return Ok(());
        }
        if o["spec"]["containers"].as_array().is_none_or(Vec::is_empty) {
            return Err(invalid(at, "spec.containers: Required value"));
        }
        if o["spec"]["containers"].as_array().map_or(0, Vec::len)
            + o["spec"]["initContainers"].as_array().map_or(0, Vec::len)
            > 100
        {
            return Err(invalid(at, "spec.containers: Too many: must have at most 100 items"));
        }
        self.bare_pod(&at.ns, &at.name, o);
        Ok(())
    }

    fn write_hpa(&mut self, at: &Ref, o: &Value) -> Result<(), Refusal> {
        let spec = &o["spec"];
        let (min, max) = (spec["minReplicas"].as_i64().unwrap_or(1), spec["maxReplicas"].as_i64().unwrap_or(0));
        if max < 1 || max < min || min < 0 {
            let m = format!("spec.maxReplicas: Invalid value: {max}: must be greater than or equal to `minReplicas`");
            return Err(invalid(at, &m));
        }
        let t = &spec["scaleTargetRef"];
        let kind = if t["kind"] == "StatefulSet" { ObjectKind::StatefulSet } else { ObjectKind::Deployment };
        let target = Ref::new(kind, &at.ns, t["name"].as_str().unwrap_or_default());
        if let Some(h) = self.hpas.get_mut(at) {
            h.meta.labels = map_of(&o["metadata"]["labels"]);
            h.meta.annotations = map_of(&o["metadata"]["annotations"]);
            h.meta.generation += i64::from(h.spec != *spec);
            h.spec = spec.clone();
            h.target = target;
            self.touch_object(at);
        } else {
            let meta = self.client_meta(at, o);
            self.add_hpa(Hpa { meta, spec: spec.clone(), target, status: Obj::new(), scaled: None });
        }
        Ok(())
    }

    fn write_pdb(&mut self, at: &Ref, o: &Value) {
        let target = self
            .selected(&at.ns, &o["spec"]["selector"])
            .unwrap_or_else(|| Ref::new(ObjectKind::Deployment, &at.ns, ""));
        let old = self.pdbs.get(at);
        let status = old.map(|p| p.status.clone()).unwrap_or_default();
        let meta = match old {
            Some(p) => Meta {
                labels: map_of(&o["metadata"]["labels"]),
                annotations: map_of(&o["metadata"]["annotations"]),
                generation: p.meta.generation + i64::from(p.spec != o["spec"]),
                ..p.meta.clone()
            },
            None => self.client_meta(at, o),
        };
        self.add_pdb(Pdb { meta, spec: o["spec"].clone(), target, status });
    }

    fn client_meta(&mut self, at: &Ref, o: &Value) -> Meta {
        let mut meta = self.meta(at.clone(), map_of(&o["metadata"]["labels"]), None);
        meta.annotations = map_of(&o["metadata"]["annotations"]);
        meta
    }

    fn write_controller(&mut self, at: &Ref, o: &Value) -> Result<(), Refusal> {
        let spec = checked_spec(at, &o["spec"])?;
        let Some(c) = self.controllers.get_mut(at) else { return self.create_controller(at, o, spec) };
        if at.kind == ObjectKind::Job {
            c.replicas = spec["parallelism"].as_i64().unwrap_or(c.replicas);
        } else if c.spec["selector"] != spec["selector"] {
            return Err(invalid(at, "spec.selector: Invalid value: field is immutable"));
        }
        c.meta.labels = map_of(&o["metadata"]["labels"]);
        let revision = c.meta.annotations.get("deployment.kubernetes.io/revision").cloned();
        c.meta.annotations = map_of(&o["metadata"]["annotations"]);
        if let Some(r) = revision {
            c.meta.annotations.insert("deployment.kubernetes.io/revision".into(), r);
        }
        if c.spec != spec {
            c.meta.generation += 1;
            c.replicas = spec["replicas"].as_i64().unwrap_or(c.replicas);
            let path = template_path(at.kind);
            let (old, new) = (c.spec.pointer(path), spec.pointer(path));
            if old != new {
                c.template = Arc::new(Template::parse(new.unwrap_or(&Value::Null)));
            }
            let rescheduled = c.spec["schedule"] != spec["schedule"];
            c.spec = spec;
            if at.kind == ObjectKind::CronJob && rescheduled {
                self.arm_cron(at);
            }
        }
        self.touch_object(at);
        self.enqueue(at);
        Ok(())
    }

    fn create_controller(&mut self, at: &Ref, o: &Value, spec: Value) -> Result<(), Refusal> {
        let mut meta = self.client_meta(at, o);
        let profile = self.profile(&at.ns, &at.name);
        if at.kind == ObjectKind::Job {
            meta.owner = self.cron_owner(at, o);
            let job = self.make_job(meta, spec, profile);
            self.add_controller(job);
            return Ok(());
        }
        let template = Arc::new(Template::parse(spec.pointer(template_path(at.kind)).unwrap_or(&Value::Null)));
        if !matches!(at.kind, ObjectKind::CronJob) {
            let want = map_of(&spec["selector"]["matchLabels"]);
            if want.is_empty() || want.iter().any(|(k, v)| template.labels.get(k) != Some(v)) {
                let m = "spec.template.metadata.labels: Invalid value: `selector` does not match template `labels`";
                return Err(invalid(at, m));
            }
        }
        let replicas = spec["replicas"].as_i64().unwrap_or(0);
        let c = Controller::new(meta, spec, template, profile, replicas, self.now);
        self.add_controller(c);
        self.arm_cron(at);
        Ok(())
    }

    /// `kubectl create job --from=cronjob/x` names its owner.
    fn cron_owner(&self, at: &Ref, o: &Value) -> Option<super::meta::Owner> {
        let r = o["metadata"]["ownerReferences"].as_array()?.iter().find(|r| r["kind"] == "CronJob")?;
        let owner = Ref::new(ObjectKind::CronJob, &at.ns, r["name"].as_str()?);
        self.controllers.get(&owner).map(|c| super::meta::Owner { at: owner.clone(), uid: c.meta.uid })
    }

    pub fn delete(&mut self, kind: ObjectKind, ns: &str, name: &str) -> Result<(), Refusal> {
        let at = Ref::new(kind, ns, name);
        match kind {
            ObjectKind::Node => {
                if !self.nodes.contains_key(&at.name) {
                    return Err(Refusal::NotFound);
                }
                self.remove_node(&at.name);
            }
            ObjectKind::Pod => {
                let id = self.pod_id(ns, name).ok_or(Refusal::NotFound)?;
                self.delete_pod(id);
            }
            ObjectKind::Event => {
                let found = self.events.all.iter().find(|(_, e)| e.at == at).map(|(id, _)| *id);
                let id = found.ok_or(Refusal::NotFound)?;
                self.events.all.remove(&id);
                self.gone(at);
            }
            ObjectKind::Namespace => {
                if !self.plain.contains_key(&at) {
                    return Err(Refusal::NotFound);
                }
                self.delete_namespace(&at);
            }
            _ => {
                let there = self.controllers.contains_key(&at)
                    || self.plain.contains_key(&at)
                    || self.hpas.contains_key(&at)
                    || self.pdbs.contains_key(&at);
                if !there {
                    return Err(Refusal::NotFound);
                }
                self.remove_object(&at);
            }
        }
        Ok(())
    }

    fn delete_namespace(&mut self, at: &Ref) {
        let inside = |r: &&Ref| *r.ns == *at.name;
        let all: Vec<Ref> = self
            .controllers
            .keys()
            .filter(inside)
            .chain(self.plain.keys().filter(inside))
            .chain(self.hpas.keys().filter(inside))
            .chain(self.pdbs.keys().filter(inside))
            .cloned()
            .collect();
        for r in all {
            self.remove_object(&r);
        }
        let pods: Vec<u32> = self.pods.iter().filter(|(_, p)| *p.ns == *at.name).map(|(id, _)| *id).collect();
        for id in pods {
            self.remove_pod(id);
        }
        let events: Vec<u64> =
            self.events.all.iter().filter(|(_, e)| *e.at.ns == *at.name).map(|(id, _)| *id).collect();
        for id in events {
            if let Some(e) = self.events.all.remove(&id) {
                self.gone(e.at);
            }
        }
        self.remove_object(at);
    }
}

fn is_controller(kind: ObjectKind) -> bool {
    use ObjectKind as K;
    matches!(kind, K::Deployment | K::ReplicaSet | K::StatefulSet | K::DaemonSet | K::Job | K::CronJob)
}

/// Where a kind keeps its pod template.
fn template_path(kind: ObjectKind) -> &'static str {
    if kind == ObjectKind::CronJob { "/jobTemplate/spec/template" } else { "/template" }
}

/// A controller's spec with defaults, or why it may not be so.
fn checked_spec(at: &Ref, given: &Value) -> Result<Value, Refusal> {
    use ObjectKind as K;
    let mut spec = if given.is_object() { given.clone() } else { json!({}) };
    let counts = ["replicas", "parallelism", "completions", "backoffLimit"];
    for key in counts {
        if let Some(n) = spec[key].as_i64().filter(|n| !(0..=100_000).contains(n)) {
            let m = format!("spec.{key}: Invalid value: {n}: must be greater than or equal to 0");
            return Err(invalid(at, &m));
        }
    }
    if matches!(at.kind, K::Deployment | K::ReplicaSet | K::StatefulSet) && spec["replicas"].is_null() {
        spec["replicas"] = 1.into();
    }
    if at.kind == K::Deployment {
        for (k, v) in [("revisionHistoryLimit", 10), ("progressDeadlineSeconds", 600)] {
            if spec[k].is_null() {
                spec[k] = v.into();
            }
        }
        if spec["strategy"]["type"].is_null() {
            spec["strategy"] =
                json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}});
        }
    }
    if at.kind == K::CronJob && super::cron::Schedule::parse(spec["schedule"].as_str().unwrap_or("")).is_none() {
        let m = format!("spec.schedule: Invalid value: {}: is not a cron schedule", spec["schedule"]);
        return Err(invalid(at, &m));
    }
    // Reading a missing key leaves nothing behind; writing one does.
    if let Some(o) = spec.as_object_mut() {
        o.retain(|_, v| !v.is_null());
    }
    let path = template_path(at.kind);
    if at.kind == K::CronJob && spec.pointer(path).is_none() {
        return Err(invalid(at, "spec.jobTemplate.spec.template: Required value"));
    }
    if spec.pointer(path).is_none() {
        return Err(invalid(at, "spec.template: Required value"));
    }
    if let Some(t) = spec.pointer_mut(path) {
        default_template(t);
        let n = |k: &str| t["spec"][k].as_array().map_or(0, Vec::len);
        if n("containers") == 0 || n("containers") + n("initContainers") > 100 {
            return Err(invalid(at, "spec.template.spec.containers: Required value"));
        }
    }
    Ok(spec)
}
