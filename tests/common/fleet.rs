//! A small fleet: two nodes, a deployment with its pods, and what belongs to them.

use std::collections::BTreeMap;

use quarterdeck::domain::{Bytes, Millicores, Timestamp, Usage};
use quarterdeck::sim::backend::{Change, Fleet, LogLine, LogQuery, ObjectKind, Refusal, UsageSample};
use serde_json::{Value, json};

/// The fleet. `extra_pods` makes lists long.
#[derive(Default)]
pub struct TestFleet {
    objects: BTreeMap<(ObjectKind, String, String), Value>,
    extra_pods: usize,
    steps: i64,
    started: Option<Timestamp>,
}

impl TestFleet {
    pub fn boxed() -> Box<dyn Fleet> {
        Box::new(Self::default())
    }

    pub fn with_pods(extra_pods: usize) -> Box<dyn Fleet> {
        Box::new(Self { extra_pods, ..Self::default() })
    }

    fn put(&mut self, kind: ObjectKind, object: Value) -> Change {
        let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default().to_owned();
        self.objects.insert((kind, text("namespace"), text("name")), object.clone());
        Change::Put(kind, object)
    }

    /// Makes a deployment's status and pods follow its replicas, as a controller would at once.
    fn reconcile(&mut self, namespace: &str, name: &str) -> Vec<Change> {
        let key = (ObjectKind::Deployment, namespace.to_owned(), name.to_owned());
        let Some(mut deployment) = self.objects.get(&key).cloned() else { return Vec::new() };
        let replicas = deployment["spec"]["replicas"].as_i64().unwrap_or(1);
        let generation = deployment["metadata"]["generation"].clone();
        deployment["status"] = json!({"observedGeneration": generation, "replicas": replicas,
            "updatedReplicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas,
            "conditions": [{"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}]});
        vec![self.put(ObjectKind::Deployment, deployment)]
    }

    fn pod_names(&self) -> Vec<(String, String)> {
        let pods = self.objects.keys().filter(|(k, ..)| *k == ObjectKind::Pod);
        pods.map(|(_, ns, name)| (ns.clone(), name.clone())).collect()
    }
}

fn stamp(at: Timestamp) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

fn node(name: &str, at: &str, ip: &str) -> Value {
    json!({"metadata": {"name": name, "uid": format!("uid-{name}"), "creationTimestamp": at,
            "labels": {"kubernetes.io/hostname": name, "node-role.kubernetes.io/worker": "",
                "topology.kubernetes.io/zone": "a"}},
        "spec": {"podCIDR": "10.0.0.0/24"},
        "status": {"capacity": {"cpu": "4", "memory": "16Gi", "pods": "110"},
            "allocatable": {"cpu": "3920m", "memory": "15Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "ok",
                "lastHeartbeatTime": at, "lastTransitionTime": at}],
            "addresses": [{"type": "InternalIP", "address": ip}],
            "nodeInfo": {"kubeletVersion": "v1.33.1", "osImage": "Test OS", "kernelVersion": "6.1.0",
                "containerRuntimeVersion": "containerd://2.0.0", "architecture": "amd64",
                "operatingSystem": "linux", "machineID": "", "systemUUID": "", "bootID": "", "kubeProxyVersion": ""}}})
}

/// A running pod of one or two containers.
fn pod(name: &str, at: &str, node: &str, containers: &[&str]) -> Value {
    let specs: Vec<Value> = containers
        .iter()
        .map(|c| {
            json!({"name": c, "image": format!("registry.example/{c}:1.0"),
            "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}})
        })
        .collect();
    let statuses: Vec<Value> = containers
        .iter()
        .map(|c| {
            json!({"name": c, "ready": true, "started": true, "restartCount": 0, "image": "x", "imageID": "",
            "state": {"running": {"startedAt": at}}, "lastState": {}})
        })
        .collect();
    json!({"metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}"), "creationTimestamp": at,
            "labels": {"app": "web", "pod-template-hash": "5d4f"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d4f",
                "uid": "uid-rs", "controller": true, "blockOwnerDeletion": true}]},
        "spec": {"nodeName": node, "containers": specs, "restartPolicy": "Always", "serviceAccountName": "default"},
        "status": {"phase": "Running", "podIP": "10.0.0.9", "podIPs": [{"ip": "10.0.0.9"}], "startTime": at,
            "conditions": [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": "True"}],
            "containerStatuses": statuses}})
}

fn workload(name: &str, at: &str, replicas: i64, owner: Option<&str>) -> Value {
    let mut object = json!({"metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}"),
            "creationTimestamp": at, "generation": 1, "labels": {"app": "web"},
            "annotations": {"deployment.kubernetes.io/revision": "1"}},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            "template": {"metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "app", "image": "registry.example/app:1.0"}]}}},
        "status": {"observedGeneration": 1, "replicas": replicas, "updatedReplicas": replicas,
            "readyReplicas": replicas, "availableReplicas": replicas}});
    if let Some(owner) = owner {
        object["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "Deployment",
            "name": owner, "uid": format!("uid-{owner}"), "controller": true, "blockOwnerDeletion": true}]);
    }
    object
}

impl Fleet for TestFleet {
    fn initial(&mut self, now: Timestamp) -> Vec<Change> {
        use ObjectKind as K;
        self.started = Some(now);
        let at = stamp(now - chrono::TimeDelta::minutes(5));
        let at = at.as_str();
        let mut all: Vec<(K, Value)> = ["default", "shop", "kube-node-lease", "kube-system"]
            .iter()
            .map(|ns| {
                let labels = json!({"kubernetes.io/metadata.name": ns});
                let object = json!({"metadata": {"name": ns, "creationTimestamp": at, "labels": labels},
                    "spec": {}, "status": {"phase": "Active"}});
                (K::Namespace, object)
            })
            .collect();
        all.push((K::Node, node("node-1", at, "10.0.1.1")));
        all.push((K::Node, node("node-2", at, "10.0.1.2")));
        all.push((K::Deployment, workload("web", at, 2, None)));
        all.push((K::ReplicaSet, workload("web-5d4f", at, 2, Some("web"))));
        all.push((K::Pod, pod("web-5d4f-a", at, "node-1", &["app"])));
        all.push((K::Pod, pod("web-5d4f-b", at, "node-2", &["app", "proxy"])));
        for i in 0..self.extra_pods {
            all.push((K::Pod, pod(&format!("extra-{i:05}"), at, "node-2", &["app"])));
        }
        all.push((
            K::Event,
            json!({"metadata": {"name": "web-5d4f-a.1", "namespace": "shop", "creationTimestamp": at},
            "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "web-5d4f-a", "uid": "uid-web-5d4f-a"},
            "reason": "Started", "message": "Started container app", "type": "Normal", "count": 1,
            "firstTimestamp": at, "lastTimestamp": at, "source": {"component": "kubelet", "host": "node-1"}}),
        ));
        all.push((
            K::ConfigMap,
            json!({"metadata": {"name": "settings", "namespace": "shop", "creationTimestamp": at},
            "data": {"a": "1", "b": "2"}}),
        ));
        all.push((
            K::Lease,
            json!({"metadata": {"name": "node-1", "namespace": "kube-node-lease",
            "creationTimestamp": at}, "spec": {"holderIdentity": "node-1", "leaseDurationSeconds": 40}}),
        ));
        all.into_iter().map(|(kind, object)| self.put(kind, object)).collect()
    }

    /// Each step marks the config map, so that there is always something to watch.
    fn advance(&mut self, _now: Timestamp) -> Vec<Change> {
        self.steps += 1;
        let key = (ObjectKind::ConfigMap, "shop".to_owned(), "settings".to_owned());
        let Some(mut object) = self.objects.get(&key).cloned() else { return Vec::new() };
        object["data"]["step"] = self.steps.to_string().into();
        vec![self.put(ObjectKind::ConfigMap, object)]
    }

    fn write(&mut self, kind: ObjectKind, object: &Value, _now: Timestamp) -> Result<Vec<Change>, Refusal> {
        if object["metadata"]["labels"]["refuse"] == "yes" {
            return Err(Refusal::Invalid("metadata.labels: Invalid value: \"yes\": refused".to_owned()));
        }
        let mut changes = vec![self.put(kind, object.clone())];
        if kind == ObjectKind::Deployment {
            let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default().to_owned();
            changes.extend(self.reconcile(&text("namespace"), &text("name")));
        }
        Ok(changes)
    }

    fn delete(&mut self, kind: ObjectKind, ns: &str, name: &str, _now: Timestamp) -> Result<Vec<Change>, Refusal> {
        let key = (kind, ns.to_owned(), name.to_owned());
        self.objects.remove(&key).ok_or(Refusal::NotFound)?;
        Ok(vec![Change::Delete { kind, namespace: key.1, name: key.2 }])
    }

    /// One line for each of the ten seconds before the start, then one a second.
    fn logs(&self, query: &LogQuery, now: Timestamp) -> Result<Vec<LogLine>, Refusal> {
        let key = (ObjectKind::Pod, query.namespace.clone(), query.pod.clone());
        if !self.objects.contains_key(&key) {
            return Err(Refusal::NotFound);
        }
        let container = query.container.clone().unwrap_or_default();
        if query.previous {
            let why = format!("previous terminated container {container:?} in pod {:?} not found", query.pod);
            return Err(Refusal::Invalid(why));
        }
        let start = self.started.unwrap_or(now) - chrono::TimeDelta::seconds(10);
        let count = (now - start).num_seconds();
        let lines = (0..=count)
            .map(|i| LogLine { at: start + chrono::TimeDelta::seconds(i), text: format!("{container} line {i}") });
        let mut lines: Vec<LogLine> = lines.filter(|l| query.since.is_none_or(|s| l.at >= s)).collect();
        if let Some(tail) = query.tail {
            lines.drain(..lines.len().saturating_sub(tail));
        }
        Ok(lines)
    }

    fn node_usage(&self, _now: Timestamp) -> Vec<UsageSample> {
        ["node-1", "node-2"]
            .map(|name| UsageSample {
                namespace: String::new(),
                name: name.to_owned(),
                containers: vec![(String::new(), Usage { cpu: Millicores(1250), memory: Bytes(4 << 30) })],
            })
            .into()
    }

    fn pod_usage(&self, _now: Timestamp) -> Vec<UsageSample> {
        self.pod_names()
            .into_iter()
            .map(|(namespace, name)| UsageSample {
                namespace,
                name,
                containers: vec![("app".to_owned(), Usage { cpu: Millicores(40), memory: Bytes(96 << 20) })],
            })
            .collect()
    }
}
