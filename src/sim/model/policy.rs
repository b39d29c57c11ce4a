//! Autoscalers and disruption budgets.

use serde_json::{Value, json};

use super::deployment::share;
use super::meta::{Obj, Ref, set_condition, time};
use super::world::{Due, Hpa, Pdb, World};
use crate::sim::backend::ObjectKind;

/// How often an autoscaler looks.
const PERIOD: i64 = 15_000;
/// How long it waits between two scalings.
const COOL: i64 = 60_000;

impl World {
    pub fn add_hpa(&mut self, h: Hpa) {
        let at = h.meta.at.clone();
        self.hpas.insert(at.clone(), h);
        self.touch_object(&at);
        let first = self.rng.range(1000, PERIOD);
        self.after(first, Due::Autoscale(at));
    }

    /// The pods of a scale target, whichever controllers stand between.
    pub fn target_pods(&self, target: &Ref) -> Vec<super::pod::PodId> {
        let Some(c) = self.controllers.get(target) else { return Vec::new() };
        let mut pods = self.active_pods(c.meta.uid);
        for child in self.children_of(c.meta.uid) {
            pods.extend(self.controllers.get(&child).map(|c| self.active_pods(c.meta.uid)).unwrap_or_default());
        }
        pods
    }

    /// One look of an autoscaler at its target's CPU.
    pub fn autoscale(&mut self, at: &Ref) {
        if !self.hpas.contains_key(at) {
            return;
        }
        self.scale_by_load(at);
        self.after(PERIOD, Due::Autoscale(at.clone()));
    }

    /// Utilisation of the target, in per cent of its requests, and its average in millicores.
    fn utilization(&self, target: &Ref) -> Option<(i64, u64)> {
        let pods = self.target_pods(target);
        let (mut used, mut asked, mut n) = (0, 0, 0);
        for p in pods.iter().filter_map(|id| self.pods.get(id)).filter(|p| p.ready) {
            used += self.usage_of(p, self.now).iter().map(|(_, u)| u.cpu.0).sum::<u64>();
            asked += p.template.cpu;
            n += 1;
        }
        (asked > 0).then(|| ((used * 100 / asked) as i64, used / n))
    }

    fn scale_by_load(&mut self, at: &Ref) {
        let Some(h) = self.hpas.get(at) else { return };
        let target = h.target.clone();
        let goal = h.spec["metrics"][0]["resource"]["target"]["averageUtilization"].as_i64().unwrap_or(80).max(1);
        let (min, max) = (h.spec["minReplicas"].as_i64().unwrap_or(1), h.spec["maxReplicas"].as_i64().unwrap_or(1));
        let Some(current) = self.controllers.get(&target).map(|c| c.replicas) else { return };
        let seen = self.utilization(&target);
        let now = self.now;
        let raw =
            seen.map_or(
                current,
                |(u, _)| {
                    if (u - goal).abs() * 10 <= goal { current } else { (current * u + goal - 1) / goal }
                },
            );
        let wanted = raw.min(current * 2).clamp(min, max.max(min));
        let Some(h) = self.hpas.get_mut(at) else { return };
        let rested = h.scaled.is_none_or(|t| now - t >= if wanted < current { COOL * 3 } else { COOL / 2 });
        let scale = current > 0 && wanted != current && rested;
        if scale {
            h.scaled = Some(now);
        }
        let desired = if scale || wanted == current { wanted } else { current };
        self.hpa_status(at, current, desired, seen, raw);
        if scale {
            let word = if wanted > current { "above" } else { "below" };
            let reason = if raw < min || raw > max {
                "current number of replicas outside of the allowed range".to_owned()
            } else {
                format!("cpu resource utilization (percentage of request) {word} target")
            };
            let message = format!("New size: {wanted}; reason: {reason}");
            self.object_event(at, "Normal", "SuccessfulRescale", &message);
            if let Some(c) = self.controllers.get_mut(&target) {
                c.set_replicas(wanted);
            }
            self.touch_object(&target);
            self.enqueue(&target);
        }
    }

    fn hpa_status(&mut self, at: &Ref, current: i64, desired: i64, seen: Option<(i64, u64)>, raw: i64) {
        let now = self.now;
        let Some(h) = self.hpas.get_mut(at) else { return };
        let mut conditions = h.status.get("conditions").and_then(Value::as_array).cloned().unwrap_or_default();
        set_condition(
            &mut conditions,
            now,
            "AbleToScale",
            true,
            "ReadyForNewScale",
            "recommended size matches current size",
        );
        let (ok, reason, message) = if seen.is_some() {
            (
                true,
                "ValidMetricFound",
                "the HPA was able to successfully calculate a replica count from cpu resource utilization (percentage of request)",
            )
        } else {
            (false, "FailedGetResourceMetric", "the HPA was unable to compute the replica count: no ready pods")
        };
        set_condition(&mut conditions, now, "ScalingActive", ok, reason, message);
        let limited = raw != desired && desired != current;
        let (reason, message) = if limited {
            ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
        } else {
            ("DesiredWithinRange", "the desired count is within the acceptable range")
        };
        set_condition(&mut conditions, now, "ScalingLimited", limited, reason, message);
        let mut s = Obj::new();
        s.insert("observedGeneration".into(), h.meta.generation.into());
        if let Some(t) = h.scaled {
            s.insert("lastScaleTime".into(), time(t).into());
        }
        s.insert("currentReplicas".into(), current.into());
        s.insert("desiredReplicas".into(), desired.into());
        if let Some((u, avg)) = seen {
            s.insert(
                "currentMetrics".into(),
                json!([{"type": "Resource", "resource": {"name": "cpu", "current":
                    {"averageUtilization": u, "averageValue": format!("{avg}m")}}}]),
            );
        }
        s.insert("conditions".into(), conditions.into());
        if h.status != s {
            h.status = s;
            self.touch_object(at);
        }
    }

    pub fn add_pdb(&mut self, p: Pdb) {
        let at = p.meta.at.clone();
        self.pdbs.insert(at.clone(), p);
        self.touch_object(&at);
        self.sync_budget(&at);
    }

    /// Refreshes the budgets over a workload.
    pub fn sync_budgets(&mut self, target: &Ref) {
        let list: Vec<Ref> = self.pdbs.values().filter(|p| p.target == *target).map(|p| p.meta.at.clone()).collect();
        for at in list {
            self.sync_budget(&at);
        }
    }

    fn sync_budget(&mut self, at: &Ref) {
        let Some(p) = self.pdbs.get(at) else { return };
        let target = p.target.clone();
        let expected = self.controllers.get(&target).map_or(0, |c| c.replicas);
        let pods = self.target_pods(&target);
        let healthy = pods.iter().filter(|id| self.pods.get(id).is_some_and(|p| p.ready && !p.lost)).count() as i64;
        let now = self.now;
        let Some(p) = self.pdbs.get_mut(at) else { return };
        let desired = if p.spec["minAvailable"].is_null() {
            (expected - share(&p.spec["maxUnavailable"], expected, true, 1)).max(0)
        } else {
            share(&p.spec["minAvailable"], expected, true, 1)
        };
        let allowed = (healthy - desired).max(0);
        let mut conditions = p.status.get("conditions").and_then(Value::as_array).cloned().unwrap_or_default();
        let reason = if allowed > 0 { "SufficientPods" } else { "InsufficientPods" };
        set_condition(&mut conditions, now, "DisruptionAllowed", allowed > 0, reason, "");
        let mut s = Obj::new();
        s.insert("conditions".into(), conditions.into());
        for (k, v) in [
            ("currentHealthy", healthy),
            ("desiredHealthy", desired),
            ("disruptionsAllowed", allowed),
            ("expectedPods", expected),
            ("observedGeneration", p.meta.generation),
        ] {
            s.insert(k.into(), v.into());
        }
        if p.status != s {
            p.status = s;
            self.touch_object(at);
        }
    }

    /// The workload a selector means, among those of a namespace.
    pub fn selected(&self, ns: &str, selector: &Value) -> Option<Ref> {
        let want = selector["matchLabels"].as_object()?;
        let top = [ObjectKind::Deployment, ObjectKind::StatefulSet];
        let found = self.controllers.values().find(|c| {
            top.contains(&c.meta.at.kind)
                && &*c.meta.at.ns == ns
                && want.iter().all(|(k, v)| c.template.labels.get(k) == Some(v))
        });
        found.map(|c| c.meta.at.clone())
    }
}
