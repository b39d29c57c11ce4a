//! The fleet as it has lived until now: built by the same controllers, in the past.

use std::sync::Arc;

use serde_json::{Value, json};

use super::build;
use super::cron::Schedule;
use super::meta::{Meta, Ms, Obj, Ref, map_of, time};
use super::node::{Link, Node, Taint};
use super::pod::{Ended, Phase, PodId, State};
use super::rng::{hash2, unit, uuid};
use super::scenario::{File, Kind, NodeGroup, WorkloadDef};
use super::template::{Role, Template};
use super::world::{Controller, Due, Hpa, Pdb, World};
use crate::sim::backend::ObjectKind;

const DAY: Ms = 86_400_000;

impl World {
    /// Builds everything; time is `now` afterwards.
    pub fn genesis(&mut self, file: &File, now: Ms) {
        self.genesis = true;
        self.now = now - 150 * DAY;
        let system = ["default", "kube-node-lease", "kube-public", "kube-system"];
        let mut names: Vec<(&str, Obj)> = system.iter().map(|n| (*n, Obj::new())).collect();
        for n in &file.namespaces {
            if !system.contains(&n.name.as_str()) {
                names.push((&n.name, map_of(&json!(n.labels))));
            }
        }
        for (n, labels) in names {
            self.add_namespace(n, labels);
        }
        for g in &file.nodes {
            self.add_nodes(g, now);
        }
        for w in &file.workloads {
            self.add_workload(w, now);
        }
        self.now = now;
        self.settle();
        self.genesis = false;
        self.start_clocks(file, now);
    }

    fn start_clocks(&mut self, file: &File, now: Ms) {
        for w in &file.workloads {
            self.add_policies(w, now);
        }
        for name in self.node_order.clone() {
            let (a, b) = (self.rng.range(1000, 300_000), self.rng.range(100, 10_000));
            self.after(a, Due::Heartbeat(name.clone()));
            self.after(b, Due::Lease(name));
        }
        let crons: Vec<Ref> = self.controllers.keys().filter(|r| r.kind == ObjectKind::CronJob).cloned().collect();
        for at in crons {
            self.arm_cron(&at);
        }
        self.recent_past(now);
        self.know_machines(file);
    }

    /// A few events of the last hour, so that the list is not empty at first sight.
    fn recent_past(&mut self, now: Ms) {
        let mut said: Vec<(Ms, PodId)> = Vec::new();
        for (id, p) in &self.pods {
            if now - p.created < 3_000_000 {
                said.push((p.created, *id));
            }
        }
        said.sort_unstable();
        for (at, id) in said.into_iter().rev().take(40).rev() {
            self.now = at;
            let Some(p) = self.pods.get(&id) else { continue };
            let (ns, name, node) = (p.ns.clone(), p.name.clone(), p.node.clone().unwrap_or_else(|| "".into()));
            let containers: Vec<(Arc<str>, Arc<str>)> =
                p.template.containers.iter().map(|c| (c.name.clone(), c.image.clone())).collect();
            self.pod_event(id, "Normal", "Scheduled", &format!("Successfully assigned {ns}/{name} to {node}"), None);
            self.now = at + 2000;
            for (c, image) in containers {
                let pulled = format!("Container image \"{image}\" already present on machine");
                self.pod_event(id, "Normal", "Pulled", &pulled, Some(&c));
                self.pod_event(id, "Normal", "Created", &format!("Created container: {c}"), Some(&c));
                self.pod_event(id, "Normal", "Started", &format!("Started container {c}"), Some(&c));
            }
        }
        self.now = now;
    }

    pub fn add_namespace(&mut self, name: &str, mut labels: Obj) {
        labels.insert("kubernetes.io/metadata.name".into(), name.into());
        let at = Ref::new(ObjectKind::Namespace, "", name);
        let meta = self.meta(at.clone(), labels, None).render();
        let v = json!({"metadata": meta, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}});
        self.plain.insert(at.clone(), v);
        self.touch_object(&at);
    }

    fn add_nodes(&mut self, g: &NodeGroup, now: Ms) {
        for i in 0..g.count {
            let zone: &str = g.zones.get(i as usize % g.zones.len().max(1)).map_or("eu-west-1a", |z| z);
            self.now = now - g.age.0 - self.rng.range(0, g.age.0 / 8);
            let mut node = self.make_node(g, zone);
            node.heartbeat = now - self.rng.range(1000, 290_000);
            let name = node.name().clone();
            self.node_order.push(name.clone());
            self.nodes.insert(name, node);
        }
    }

    /// A node of a group, born now.
    pub fn make_node(&mut self, g: &NodeGroup, zone: &str) -> Node {
        let n = self.made_nodes;
        self.made_nodes += 1;
        let number = zone.bytes().last().map_or(0, |b| u32::from(b.wrapping_sub(b'a')) % 3);
        let address = format!("10.0.{}.{}", number * 16 + n / 200, 10 + (n * 37) % 200);
        let name = format!("ip-{}.eu-west-1.compute.internal", address.replace('.', "-"));
        let (spot, cap) = match g.capacity {
            super::scenario::Capacity::Spot => ("SPOT", "spot"),
            super::scenario::Capacity::OnDemand => ("ON_DEMAND", "on-demand"),
        };
        let mut labels = map_of(&json!({
            "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
            "node.kubernetes.io/instance-type": g.instance, "topology.kubernetes.io/region": "eu-west-1",
            "topology.kubernetes.io/zone": zone, "eks.amazonaws.com/capacityType": spot,
            "eks.amazonaws.com/nodegroup": g.group, "karpenter.sh/capacity-type": cap,
            "karpenter.sh/nodepool": g.group,
        }));
        labels.extend(g.labels.iter().map(|(k, v)| (k.clone(), v.clone().into())));
        let at = Ref::new(ObjectKind::Node, "", &name);
        let mut meta = self.meta(at, labels, None);
        meta.annotations.insert("node.alpha.kubernetes.io/ttl".into(), "0".into());
        let id = self.rng.next();
        let taints = g.taints.iter().map(|t| Taint {
            key: t.key.clone(),
            value: t.value.clone(),
            effect: format!("{:?}", t.effect),
            added: None,
        });
        Node {
            zone: zone.into(),
            instance_id: format!("i-0{id:016x}"),
            address: address.as_str().into(),
            cpu: g.cpu * 1000,
            memory: g.memory << 30,
            max_pods: g.pods,
            unschedulable: false,
            taints: taints.collect(),
            link: Link::Up,
            link_at: meta.created + 25_000,
            heartbeat: meta.created,
            pods: std::collections::BTreeSet::new(),
            used_cpu: 0,
            used_memory: 0,
            version: self.version.clone(),
            dead: false,
            deletion: None,
            meta,
        }
    }

    fn add_workload(&mut self, w: &WorkloadDef, now: Ms) {
        let ns: &str = w.namespace.get_ref();
        let profile = Arc::new(build::profile(w));
        self.profiles.insert((ns.into(), profile.workload.clone()), profile.clone());
        let age = w.age.map_or_else(|| self.rng.range(20 * DAY, 140 * DAY), |a| a.0);
        let rolled = w.last_rollout.map_or_else(|| self.rng.range(DAY / 8, 9 * DAY), |r| r.0).min(age);
        self.now = now - age;
        self.add_plain(w);
        let kind = match w.kind {
            Kind::Deployment => ObjectKind::Deployment,
            Kind::StatefulSet => ObjectKind::StatefulSet,
            Kind::DaemonSet => ObjectKind::DaemonSet,
            Kind::Job => ObjectKind::Job,
            Kind::CronJob => ObjectKind::CronJob,
        };
        let at = Ref::new(kind, ns, &w.name);
        let meta = self.meta(at.clone(), build::labels(w), None);
        match w.kind {
            Kind::Deployment => self.add_deployment(w, &meta, &profile, (age, rolled), now),
            Kind::Job => {
                let job = self.make_job(meta, build::spec(w, &w.image), profile);
                self.add_controller(job);
                self.settle();
                self.finish_job(&at, now);
            }
            Kind::CronJob => {
                self.add_cron_job(w, meta, profile, now);
            }
            Kind::StatefulSet | Kind::DaemonSet => {
                let spec = build::spec(w, &w.image);
                let template = Arc::new(Template::parse(&spec["template"]));
                let replicas = if w.kind == Kind::StatefulSet { w.replicas } else { 0 };
                let mut c = Controller::new(meta, spec, template, profile, replicas, self.now);
                c.meta.generation = i64::from(w.revisions.max(1));
                if w.kind == Kind::DaemonSet {
                    c.meta.annotations.insert("deprecated.daemonset.template.generation".into(), "1".into());
                }
                let uid = c.meta.uid;
                self.add_controller(c);
                self.now = now - rolled;
                // An ordered set makes one pod at a time and waits for it.
                for _ in 0..w.replicas.max(1) {
                    self.enqueue(&at);
                    self.settle();
                    self.settle_pods(uid, w, now);
                    self.now += 30_000;
                }
                self.enqueue(&at);
                self.settle();
            }
        }
    }

    fn add_deployment(
        &mut self,
        w: &WorkloadDef,
        meta: &Meta,
        profile: &Arc<super::profile::Profile>,
        (age, rolled): (Ms, Ms),
        now: Ms,
    ) {
        let at = meta.at.clone();
        let revisions = i64::from(w.revisions.max(1));
        for r in (0..revisions).rev() {
            let image = if r == 0 { w.image.clone() } else { build::other_version(&w.image, -r) };
            let mut spec = build::spec(w, &image);
            // Between its creation and the last rollout, evenly; the last one gets the pods.
            self.now = now - if r == 0 { rolled } else { rolled + (age - rolled) * r / revisions.max(2) };
            let replicas = if r == 0 { w.replicas } else { 0 };
            spec["replicas"] = replicas.into();
            let template = Arc::new(Template::parse(&spec["template"]));
            if let Some(c) = self.controllers.get_mut(&at) {
                c.spec = spec;
                c.template = template;
                c.replicas = replicas;
                c.meta.generation += 1;
                self.enqueue(&at);
            } else {
                let c = Controller::new(meta.clone(), spec, template, profile.clone(), replicas, self.now);
                self.add_controller(c);
            }
            self.settle();
        }
        let sets = self.children_of(meta.uid);
        for set in sets {
            if let Some(uid) = self.controllers.get(&set).map(|c| c.meta.uid) {
                self.settle_pods(uid, w, now);
                self.enqueue(&set);
            }
        }
        self.now += 40_000;
        self.settle();
    }

    fn add_cron_job(&mut self, w: &WorkloadDef, meta: Meta, profile: Arc<super::profile::Profile>, now: Ms) {
        let at = meta.at.clone();
        let spec = build::spec(w, &w.image);
        let template = Arc::new(Template::parse(&spec["jobTemplate"]["spec"]["template"]));
        let c = Controller::new(meta, spec, template, profile, 0, self.now);
        self.add_controller(c);
        let schedule = w.schedule.as_ref().and_then(|s| Schedule::parse(s.get_ref()));
        let mut runs = schedule.map(|s| s.previous(now, 4)).unwrap_or_default();
        runs.retain(|t| t + w.duration.0 * 2 + 10_000 < now);
        runs.truncate(3);
        for t in runs.into_iter().rev() {
            self.now = t;
            let name = self.new_job(&at, t);
            self.settle();
            if let Some(c) = self.controllers.get_mut(&at) {
                c.finished = Some(t);
            }
            if let Some(name) = name {
                self.finish_job(&Ref::new(ObjectKind::Job, &at.ns, &name), now);
            }
        }
        self.enqueue(&at);
        self.settle();
    }

    /// Lets a job of the past have ended well.
    fn finish_job(&mut self, at: &Ref, now: Ms) {
        let Some(c) = self.controllers.get(at) else { return };
        let (uid, created, work) = (c.meta.uid, c.meta.created, c.profile.duration);
        let end = (created + work + 3000).min(now - 1000);
        for id in self.all_pods(uid) {
            self.place(id);
            let Some(p) = self.pods.get_mut(&id) else { continue };
            let started = created + 1000;
            p.started = Some(started);
            p.initialized = Some(started + 1000);
            p.phase = Phase::Succeeded;
            p.ready_at = end;
            for c in &mut p.containers {
                let ended = Ended { started: started + 1500, finished: end, exit: 0, reason: "Completed", run: 0 };
                c.state = State::Ended(ended);
            }
            let (cpu, memory) = (p.template.cpu, p.template.memory);
            if let Some(n) = p.node.as_ref().and_then(|n| self.nodes.get_mut(n)) {
                n.used_cpu = n.used_cpu.saturating_sub(cpu);
                n.used_memory = n.used_memory.saturating_sub(memory);
            }
        }
        self.now = end;
        self.enqueue(at);
        self.settle();
    }

    fn place(&mut self, id: PodId) {
        if self.pods.get(&id).is_some_and(|p| p.node.is_none()) {
            match self.find_node(id) {
                Ok(n) => self.bind(id, &n),
                Err(why) => {
                    if let Some(p) = self.pods.get_mut(&id) {
                        p.unschedulable = Some(why);
                    }
                    // There is no room: it waits, as it would have.
                    self.pending.insert(id);
                }
            }
        }
    }

    /// Lets the pods of a controller have run since they were made.
    fn settle_pods(&mut self, uid: u128, w: &WorkloadDef, now: Ms) {
        for id in self.all_pods(uid) {
            if self.pods.get(&id).is_some_and(|p| p.started.is_none()) {
                self.place(id);
                self.settle_pod(id, w, now);
            }
        }
    }

    fn settle_pod(&mut self, id: PodId, w: &WorkloadDef, now: Ms) {
        let jitter = self.rng.range(0, 25_000);
        let Some(p) = self.pods.get_mut(&id) else { return };
        let Some(n) = p.node.as_ref().and_then(|n| self.nodes.get(n)) else { return };
        // No pod is older than its node.
        let created = (p.created + jitter).max(n.meta.created + 30_000 + jitter).min(now - 60_000);
        p.created = created;
        p.scheduled = created;
        p.started = Some(created + 300);
        p.phase = Phase::Running;
        let seed = p.seed();
        let restarted = unit(hash2(seed, 41)) < w.restarts;
        let mut at = created + 1200;
        let specs = p.template.clone();
        for (i, (spec, c)) in specs.containers.iter().zip(&mut p.containers).enumerate() {
            if spec.role == Role::Init {
                let ended = Ended { started: at, finished: at + 1800, exit: 0, reason: "Completed", run: 0 };
                c.state = State::Ended(ended);
                at += 2200;
                continue;
            }
            c.state = State::Running(at);
            c.ready = true;
            if restarted && spec.role == Role::Main && i + 1 == specs.containers.len() {
                let share = 0.05 + 0.9 * unit(hash2(seed, 42));
                let end = created + ((now - created) as f64 * share) as Ms;
                let n = 1 + (hash2(seed, 43) % 3) as u32;
                let oom = hash2(seed, 44) & 1 == 0;
                let (exit, reason) = if oom { (137, "OOMKilled") } else { (1, "Error") };
                c.last = Some(Ended { started: at, finished: end, exit, reason, run: n - 1 });
                c.restarts = n;
                c.crashes = 1;
                c.state = State::Running(end + 1200);
            }
            at += 700;
        }
        p.initialized = Some(at);
        p.ready = true;
        p.ready_at = at + p.profile.ready_after;
    }

    /// Services and configuration beside a workload.
    fn add_plain(&mut self, w: &WorkloadDef) {
        let ns: &str = w.namespace.get_ref();
        if w.service {
            let at = Ref::new(ObjectKind::Service, ns, &w.name);
            let ip = format!("10.100.{}.{}", self.rng.range(0, 255), self.rng.range(2, 250));
            let meta = self.meta(at.clone(), build::labels(w), None).render();
            let v = json!({"metadata": meta, "spec": {"type": "ClusterIP", "clusterIP": ip, "clusterIPs": [ip],
                "selector": build::selector(w)["matchLabels"], "sessionAffinity": "None",
                "internalTrafficPolicy": "Cluster", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
                "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}]},
                "status": {"loadBalancer": {}}});
            self.plain.insert(at, v);
        }
        if w.config_map {
            let at = Ref::new(ObjectKind::ConfigMap, ns, &format!("{}-config", w.name));
            let meta = self.meta(at.clone(), build::labels(w), None).render();
            self.plain.insert(at, json!({"metadata": meta, "data": {"LOG_LEVEL": "info", "REGION": "eu-west-1"}}));
        }
    }

    fn add_policies(&mut self, w: &WorkloadDef, now: Ms) {
        let ns: &str = w.namespace.get_ref();
        let kind = if w.kind == Kind::StatefulSet { ObjectKind::StatefulSet } else { ObjectKind::Deployment };
        let target = Ref::new(kind, ns, &w.name);
        let born = self.controllers.get(&target).map_or(now, |c| c.meta.created + 5000);
        if let Some(spec) = build::pdb_spec(w) {
            let mut meta = self.meta(Ref::new(ObjectKind::PodDisruptionBudget, ns, &w.name), build::labels(w), None);
            meta.created = born;
            self.add_pdb(Pdb { meta, spec, target: target.clone(), status: Obj::new() });
        }
        if let Some(spec) = build::hpa_spec(w) {
            let at = Ref::new(ObjectKind::HorizontalPodAutoscaler, ns, &w.name);
            let mut meta = self.meta(at.clone(), build::labels(w), None);
            meta.created = born;
            let scaled = Some(now - self.rng.range(200_000, 9_000_000));
            self.add_hpa(Hpa { meta, spec, target, status: Obj::new(), scaled });
            self.hpa_first_look(&at);
        }
    }

    /// A status from the first moment, without scaling anything.
    fn hpa_first_look(&mut self, at: &Ref) {
        let current = self.hpas.get(at).and_then(|h| self.controllers.get(&h.target)).map_or(0, |c| c.replicas);
        if let Some(h) = self.hpas.get_mut(at) {
            h.status.insert("currentReplicas".into(), current.into());
            h.status.insert("desiredReplicas".into(), current.into());
            h.status.insert("currentMetrics".into(), Value::Null);
        }
    }

    /// A pod made by hand, as `kubectl run` does.
    pub fn bare_pod(&mut self, ns: &str, name: &str, object: &Value) -> PodId {
        let mut template = json!({"metadata": {"labels": object["metadata"]["labels"],
            "annotations": object["metadata"]["annotations"]}, "spec": object["spec"]});
        super::template::default_template(&mut template);
        if let Some(s) = template["spec"].as_object_mut() {
            s.remove("nodeName");
        }
        let template = Arc::new(Template::parse(&template));
        let profile = self.profile(ns, name);
        self.add_pod(&ns.into(), name, &template, &profile, None, Vec::new())
    }

    /// Everything that exists, in an order in which owners come before what they own.
    pub fn everything(&self, sink: &mut dyn FnMut(crate::sim::backend::Change)) {
        use ObjectKind as K;

        use crate::sim::backend::Change::Put;
        let of = |kind: ObjectKind| {
            let plain = self.plain.keys().chain(self.controllers.keys());
            let all = plain.chain(self.hpas.keys()).chain(self.pdbs.keys());
            all.filter(|r| r.kind == kind).cloned().collect::<Vec<Ref>>()
        };
        for r in of(ObjectKind::Namespace) {
            self.render(&r).into_iter().for_each(|v| sink(Put(r.kind, v)));
        }
        for n in self.nodes.values() {
            sink(Put(ObjectKind::Node, n.render()));
            sink(Put(ObjectKind::Lease, super::nodes::lease(n, self.now)));
        }
        for kind in [
            K::ConfigMap,
            K::Service,
            K::Deployment,
            K::ReplicaSet,
            K::StatefulSet,
            K::DaemonSet,
            K::CronJob,
            K::Job,
            K::HorizontalPodAutoscaler,
            K::PodDisruptionBudget,
        ] {
            for r in of(kind) {
                self.render(&r).into_iter().for_each(|v| sink(Put(r.kind, v)));
            }
        }
        for p in self.pods.values() {
            sink(Put(K::Pod, p.render()));
        }
        for id in self.events.all.keys() {
            self.events.render(*id).into_iter().for_each(|v| sink(Put(K::Event, v)));
        }
    }

    /// The uid and time of a new object that is kept as written.
    pub fn stamp(&mut self, object: &mut Value) {
        let (uid, now) = (uuid(self.rng.uid()), time(self.now));
        let m = &mut object["metadata"];
        if m["uid"].is_null() {
            m["uid"] = uid.into();
        }
        if m["creationTimestamp"].is_null() {
            m["creationTimestamp"] = now.into();
        }
    }
}
