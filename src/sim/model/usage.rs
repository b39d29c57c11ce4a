//! CPU and memory in use: smooth in time, and a pure function of pod, load and time.

use std::sync::Arc;

use super::meta::Ms;
use super::pod::{Pod, State};
use super::rng::{hash2, noise, unit};
use super::template::Role;
use super::world::World;
use crate::domain::{Bytes, Millicores, Usage};
use crate::sim::backend::UsageSample;

/// The day's curve: low at 04:00 UTC, high at 16:00, mean 1.
fn day(at: Ms) -> f64 {
    let hours = at.rem_euclid(86_400_000) as f64 / 3_600_000.0;
    1.0 + 0.25 * ((hours - 10.0) / 24.0 * std::f64::consts::TAU).sin()
}

impl World {
    /// The load factor of a pod's workload.
    fn load_of(&self, p: &Pod) -> f64 {
        if self.load.is_empty() {
            return 1.0;
        }
        let of = |ns: &Arc<str>, name: &Arc<str>| self.load.get(&(ns.clone(), name.clone())).copied().unwrap_or(1.0);
        let whole: Arc<str> = "".into();
        of(&whole, &whole) * of(&p.ns, &p.profile.workload)
    }

    /// What each running container of a pod uses.
    pub fn usage_of(&self, p: &Pod, at: Ms) -> Vec<(String, Usage)> {
        let load = self.load_of(p) * day(at);
        let mut out = Vec::new();
        for (i, (spec, c)) in p.template.containers.iter().zip(&p.containers).enumerate() {
            let State::Running(since) = c.state else { continue };
            if spec.role == Role::Init {
                continue;
            }
            let seed = hash2(p.seed(), i as u64);
            let share = if spec.role == Role::Main { p.profile.load } else { 0.2 };
            let wave = 0.7 + 0.35 * noise(seed, at, 240_000) + 0.25 * noise(!seed, at, 35_000);
            let own = 0.85 + 0.3 * unit(seed);
            // A container that has just started, or never gets far, does little but start.
            let warm = ((at - since) as f64 / 20_000.0).clamp(0.1, 1.0);
            let cpu = spec.cpu.max(20) as f64 * share * load * wave * own * warm;
            let asked = spec.memory.max(24 << 20) as f64;
            let ceiling = if spec.memory_limit > 0 { spec.memory_limit as f64 * 0.97 } else { f64::MAX };
            let held = p.profile.memory * (0.88 + 0.16 * noise(seed ^ 5, at, 900_000)) * (0.95 + 0.1 * unit(!seed));
            let memory = (asked * held * (0.4 + 0.6 * warm)).min(ceiling);
            let usage = Usage { cpu: Millicores(cpu.max(1.0) as u64), memory: Bytes(memory as u64 & !0xFFF) };
            out.push((spec.name.to_string(), usage));
        }
        out
    }

    pub fn pod_usage(&self, at: Ms) -> Vec<UsageSample> {
        self.pods
            .values()
            .filter(|p| !p.lost)
            .map(|p| UsageSample {
                namespace: p.ns.to_string(),
                name: p.name.to_string(),
                containers: self.usage_of(p, at),
            })
            .filter(|s| !s.containers.is_empty())
            .collect()
    }

    /// A node uses what its pods use, and what its system takes.
    pub fn node_usage(&self, at: Ms) -> Vec<UsageSample> {
        self.nodes
            .values()
            .filter(|n| n.link != super::node::Link::Lost)
            .map(|n| {
                let seed = super::rng::hash(n.name());
                let mut cpu = 60 + (noise(seed, at, 60_000) * 60.0) as u64;
                let mut memory = 620 << 20;
                for p in n.pods.iter().filter_map(|id| self.pods.get(id)) {
                    for (_, u) in self.usage_of(p, at) {
                        cpu += u.cpu.0;
                        memory += u.memory.0;
                    }
                }
                let usage = Usage { cpu: Millicores(cpu.min(n.cpu)), memory: Bytes(memory.min(n.memory)) };
                UsageSample {
                    namespace: String::new(),
                    name: n.name().to_string(),
                    containers: vec![(String::new(), usage)],
                }
            })
            .collect()
    }
}
