//! A node: its state, and its JSON.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::meta::{Meta, Ms, Obj, time};
use super::pod::PodId;
use super::rng::{hash, uuid};

/// A taint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taint {
    pub key: String,
    pub value: String,
    pub effect: String,
    pub added: Option<Ms>,
}

/// Whether the node's kubelet is heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    Up,
    /// The kubelet says that it is not ready.
    NotReady,
    /// Nothing is heard.
    Lost,
}

#[derive(Debug)]
pub struct Node {
    pub meta: Meta,
    pub zone: Arc<str>,
    pub instance_id: String,
    pub address: Arc<str>,
    pub cpu: u64,
    pub memory: u64,
    pub max_pods: u64,
    pub unschedulable: bool,
    pub taints: Vec<Taint>,
    pub link: Link,
    /// When `link` last changed.
    pub link_at: Ms,
    pub heartbeat: Ms,
    pub pods: BTreeSet<PodId>,
    pub used_cpu: u64,
    pub used_memory: u64,
    pub version: Arc<str>,
    /// The machine under it does not run; the control plane may not have noticed.
    pub dead: bool,
    /// When somebody deleted the object, which waits for a finalizer.
    pub deletion: Option<Ms>,
}

/// The taint and reason of a link that is down.
pub fn down_taint(link: Link) -> Option<&'static str> {
    match link {
        Link::Up => None,
        Link::NotReady => Some("node.kubernetes.io/not-ready"),
        Link::Lost => Some("node.kubernetes.io/unreachable"),
    }
}

impl Node {
    /// Its kubelet does nothing.
    pub fn is_down(&self) -> bool {
        self.dead || self.link != Link::Up
    }

    pub fn name(&self) -> &Arc<str> {
        &self.meta.at.name
    }

    /// What pods may ask for: capacity without the system's share.
    pub fn allocatable(&self) -> (u64, u64) {
        (self.cpu.saturating_sub(80), self.memory.saturating_sub(1_100 << 20))
    }

    pub fn render(&self) -> Value {
        let mut spec = Obj::new();
        spec.insert("providerID".into(), format!("aws:///{}/{}", self.zone, self.instance_id).into());
        let taints: Vec<Value> = self
            .taints
            .iter()
            .map(|t| {
                let mut o = Obj::new();
                o.insert("key".into(), t.key.clone().into());
                if !t.value.is_empty() {
                    o.insert("value".into(), t.value.clone().into());
                }
                o.insert("effect".into(), t.effect.clone().into());
                if let Some(at) = t.added {
                    o.insert("timeAdded".into(), time(at).into());
                }
                o.into()
            })
            .collect();
        if !taints.is_empty() {
            spec.insert("taints".into(), taints.into());
        }
        if self.unschedulable {
            spec.insert("unschedulable".into(), true.into());
        }
        let (cpu, memory) = self.allocatable();
        let quantities = |cpu: String, memory: u64, disk: &str| {
            json!({"cpu": cpu, "ephemeral-storage": disk, "hugepages-1Gi": "0", "hugepages-2Mi": "0",
                   "memory": format!("{}Ki", memory >> 10), "pods": self.max_pods.to_string()})
        };
        let id = hash(&self.instance_id);
        let mut meta = self.meta.render();
        if let Some(at) = self.deletion {
            meta.insert("deletionTimestamp".into(), time(at).into());
            meta.insert("deletionGracePeriodSeconds".into(), 0.into());
            meta.insert("finalizers".into(), json!(["karpenter.sh/termination"]));
        }
        json!({
            "metadata": meta,
            "spec": spec,
            "status": {
                "capacity": quantities((self.cpu / 1000).to_string(), self.memory, "83873772Ki"),
                "allocatable": quantities(format!("{cpu}m"), memory, "76224326324"),
                "conditions": self.conditions(),
                "addresses": [
                    {"type": "InternalIP", "address": &*self.address},
                    {"type": "InternalDNS", "address": &**self.name()},
                    {"type": "Hostname", "address": &**self.name()},
                ],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
                "nodeInfo": {
                    "architecture": "amd64", "operatingSystem": "linux",
                    "bootID": uuid((u128::from(id) << 64) | u128::from(!id)),
                    "machineID": format!("ec2{:013x}{:016x}", id >> 12, !id),
                    "systemUUID": format!("ec2{:05x}-{:04x}-{:04x}-{:04x}-{:012x}",
                        id >> 44, id >> 28 & 0xFFFF, id >> 12 & 0xFFFF, !id >> 48, id & 0xFFFF_FFFF_FFFF),
                    "kernelVersion": "6.12.46-66.121.amzn2023.x86_64",
                    "osImage": "Amazon Linux 2023.9.20251110",
                    "containerRuntimeVersion": "containerd://2.1.4",
                    "kubeletVersion": &*self.version, "kubeProxyVersion": "",
                },
                "images": [],
            },
        })
    }

    fn conditions(&self) -> Value {
        let fine = [
            ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            ("Ready", "KubeletReady", "kubelet is posting ready status"),
        ];
        let born = self.meta.created + 22_000;
        fine.iter()
            .map(|&(kind, reason, message)| {
                let ready = kind == "Ready";
                let (status, reason, message, moved) = match self.link {
                    Link::Lost => {
                        ("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.", self.link_at)
                    }
                    Link::NotReady if ready => {
                        let m = if self.dead {
                            "node is shutting down"
                        } else if self.link_at == self.meta.created {
                            "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized"
                        } else {
                            "container runtime is down, PLEG is not healthy: pleg was last seen active 3m11s ago"
                        };
                        ("False", "KubeletNotReady", m, self.link_at)
                    }
                    _ => (if ready { "True" } else { "False" }, reason, message, self.link_at.max(born)),
                };
                json!({"type": kind, "status": status, "lastHeartbeatTime": time(self.heartbeat),
                       "lastTransitionTime": time(moved), "reason": reason, "message": message})
            })
            .collect()
    }
}
