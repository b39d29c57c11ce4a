//! Services over all sources, and what else is known about one: its budgets, its
//! alarms, the workloads behind it and what changed there.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::TimeDelta;

use super::Store;
use crate::domain::slo::Objective;
use crate::domain::{
    Alarm, Budget, ClusterId, Covers, Health, Kind, ObjectId, Service, Signals, Text, Timestamp, Traffic, Workload,
};

/// How many minutes of a service's traffic are remembered.
const MINUTES: usize = 60;

/// Labels that name the service an alarm is about.
const SERVICE_LABELS: [&str; 9] = [
    "service",
    "service_name",
    "sloth_service",
    "app",
    "app_kubernetes_io_name",
    "job",
    "destination_service_name",
    "deployment",
    "ServiceName",
];
/// Labels that name the objective an alarm is about.
const SLO_LABELS: [&str; 3] = ["slo", "sloth_slo", "slo_name"];

/// Something that changed what runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// When it began; `None` where only is known that it goes on.
    pub at: Option<Timestamp>,
    /// The workload.
    pub id: ObjectId,
    /// `revision 7`, `web:12`.
    pub what: String,
    /// It is not finished.
    pub rolling: bool,
}

impl Store {
    /// Takes in a minute of a service's traffic.
    pub(super) fn remember_traffic(&mut self, id: ObjectId, traffic: Traffic) {
        if traffic.at.is_some() {
            let past = self.traffic_trend.entry(id.clone()).or_default();
            if past.back().is_some_and(|last| last.at == traffic.at) {
                past.pop_back();
            }
            past.push_back(traffic);
            while past.len() > MINUTES {
                past.pop_front();
            }
        }
        self.traffic.insert(id, traffic);
    }

    /// Every service: those that a source made rows of, and ECS services behind a
    /// load balancer.
    #[must_use]
    pub fn all_services(&self) -> Vec<Service> {
        let balanced = self.workloads.rows().filter_map(|w| self.behind_balancer(w));
        let mut all: Vec<Service> = self.services.rows().cloned().collect();
        all.extend(balanced.filter(|s| self.services.get(&s.id).is_none()));
        all
    }

    /// One service.
    #[must_use]
    pub fn service(&self, id: &ObjectId) -> Option<Service> {
        self.services.get(id).cloned().or_else(|| {
            let of = ObjectId { kind: Kind::EcsService, ..id.clone() };
            self.workloads.get(&of).and_then(|w| self.behind_balancer(w))
        })
    }

    /// An ECS service as what its load balancer sees of it.
    fn behind_balancer(&self, w: &Workload) -> Option<Service> {
        let ecs = w.ecs.as_ref()?;
        let traffic = self.traffic.get(&w.id);
        if ecs.target_groups.is_empty() && traffic.is_none() {
            return None;
        }
        let used = self.usage.get(&w.id).map(|u| u.latest().shares());
        let saturation = used.map(|(cpu, memory)| cpu.max(memory) / 100.0);
        let now = traffic.map_or_else(Signals::default, |t| Signals { saturation, ..signals(t) });
        let trend = self.traffic_trend.get(&w.id).map_or_else(Vec::new, minutes);
        Some(Service {
            id: ObjectId { kind: Kind::Service, ..w.id.clone() },
            origin: Text::new("alb"),
            at: traffic.and_then(|t| t.at),
            now: Signals { saturation, ..now },
            trend: Arc::from(trend),
            workloads: Arc::from([w.id.clone()]),
            note: Text::empty(),
        })
    }

    /// The budgets that are about a service, by its name or `namespace/name`; the
    /// worst first: by health, then by what is left.
    #[must_use]
    pub fn budgets_of(&self, id: &ObjectId) -> Vec<&Budget> {
        let mut found: Vec<&Budget> = self.budgets.rows().filter(|b| self.is_budget_of(b, id)).collect();
        found.sort_by(|a, b| {
            let left = |b: &Budget| b.left().map_or(f64::INFINITY, crate::domain::slo::Fraction::value);
            b.health().cmp(&a.health()).then(left(a).total_cmp(&left(b))).then_with(|| a.id.cmp(&b.id))
        });
        found
    }

    /// The worst of [`Store::budgets_of`] a service; `None` without any.
    #[must_use]
    pub fn budgets_health(&self, id: &ObjectId) -> Option<Health> {
        self.budgets.rows().filter(|b| self.is_budget_of(b, id)).map(Budget::health).max()
    }

    fn is_budget_of(&self, b: &Budget, id: &ObjectId) -> bool {
        let service = b.objective.service.as_str();
        let named = service == id.name.as_str()
            || service.split_once('/').is_some_and(|(space, name)| id.namespace == space && id.name == name);
        if !named {
            return false;
        }
        // A backend that is about one cluster says nothing of a namesake in another.
        let of = self.backends.get(&b.id.cluster).and_then(Option::as_ref).and_then(|b| b.cluster.as_ref());
        of.is_none_or(|of| *of == id.cluster) || b.id.cluster == id.cluster
    }

    /// The cluster that a row is about: its own, or that of the metric backend it comes from. `None`
    /// where the backend is about none in particular.
    #[must_use]
    pub fn about<'a>(&'a self, id: &'a ObjectId) -> Option<&'a ClusterId> {
        match self.backends.get(&id.cluster) {
            Some(backend) => backend.as_ref()?.cluster.as_ref(),
            None => Some(&id.cluster),
        }
    }

    /// The workloads behind the service of this name, in one cluster or all: those that a source
    /// says, else those that are called so.
    #[must_use]
    pub fn workloads_of(&self, service: &str, within: Option<&ClusterId>) -> Vec<ObjectId> {
        let is_there = |id: &ObjectId| within.is_none_or(|c| id.cluster == *c);
        let called = |name: &Text, namespace: &Text| {
            name.as_str() == service || service.split_once('/') == Some((namespace.as_str(), name.as_str()))
        };
        let said = self.services.rows().filter(|s| called(&s.id.name, &s.id.namespace));
        let mut ids: Vec<ObjectId> = said.flat_map(|s| s.workloads.iter().filter(|w| is_there(w)).cloned()).collect();
        if ids.is_empty() {
            let own = self.workloads.rows().filter(|w| !w.owner_kind.is_workload());
            ids =
                own.filter(|w| called(&w.id.name, &w.id.namespace) && is_there(&w.id)).map(|w| w.id.clone()).collect();
        }
        ids.sort();
        ids.dedup();
        ids
    }

    /// The alarms about a service, or about one objective of it: by what they are
    /// about, or by their labels; the worst first. One cluster's alarms say nothing of a namesake in
    /// another: with `within`, only that one's are taken, and those that are about no cluster.
    #[must_use]
    pub fn alarms_of(
        &self,
        service: &str,
        slo: Option<&Objective>,
        workloads: &[ObjectId],
        within: Option<&ClusterId>,
    ) -> Vec<&Alarm> {
        let short = service.rsplit('/').next().unwrap_or(service);
        let about = |a: &Alarm| {
            a.about.as_ref().is_some_and(|about| {
                workloads.contains(about) || (about.kind == Kind::Service && about.name.as_str() == short)
            })
        };
        let says = |a: &Alarm| {
            a.labels.iter().any(|(k, v)| {
                let (k, v) = (k.as_str(), v.as_str());
                (SERVICE_LABELS.contains(&k) && (v == service || v == short))
                    || (SLO_LABELS.contains(&k) && slo.is_some_and(|o| o.slo.as_str() == v))
            })
        };
        let is_there = |a: &Alarm| {
            let of = a.about.as_ref().map_or_else(|| self.about(&a.id), |about| Some(&about.cluster));
            within.is_none_or(|within| of.is_none_or(|of| of == within))
        };
        let mut found: Vec<&Alarm> = self.alarms.rows().filter(|a| is_there(a) && (about(a) || says(a))).collect();
        found.sort_by(|a, b| (b.state, b.severity).cmp(&(a.state, a.severity)).then_with(|| a.id.cmp(&b.id)));
        found
    }

    /// What changed in these workloads, as far as the store knows: each one's latest
    /// revision, and rollouts that go on. The latest first.
    #[must_use]
    pub fn changes_of(&self, workloads: &[ObjectId]) -> Vec<Change> {
        let mut out: Vec<Change> =
            workloads.iter().filter_map(|id| self.workloads.get(id)).filter_map(|w| self.last_change(w)).collect();
        out.sort_by(|a, b| (b.rolling, b.at).cmp(&(a.rolling, a.at)).then_with(|| a.id.cmp(&b.id)));
        out
    }

    fn last_change(&self, w: &Workload) -> Option<Change> {
        let change = |at, what: &str, rolling| {
            let what = if w.ecs.is_some() || what.is_empty() { what.to_owned() } else { format!("revision {what}") };
            Some(Change { at, id: w.id.clone(), what, rolling })
        };
        if let Some(ecs) = &w.ecs {
            let at = ecs.primary().and_then(|d| d.created);
            return change(at, &w.revision, ecs.is_rolling());
        }
        let rolling = matches!(w.status.as_str(), "Rolling out" | "Stuck");
        // A deployment's revisions are replica sets: the newest was made when it changed.
        let sets = self.workloads.rows().filter(|r| {
            r.id.kind == Kind::ReplicaSet
                && r.owner_kind == w.id.kind
                && r.owner == w.id.name
                && r.id.namespace == w.id.namespace
                && r.id.cluster == w.id.cluster
        });
        let at = sets.filter_map(|r| r.created).max();
        if at.is_none() && !rolling {
            return None;
        }
        change(at, &w.revision, rolling)
    }
}

fn signals(t: &Traffic) -> Signals {
    Signals {
        requests: t.requests,
        errors: t.errors,
        latency: t.latency,
        failure_latency: [None; 3],
        covers: Covers::All,
        saturation: None,
    }
}

/// Minute by minute: those that were not read are gaps.
fn minutes(past: &VecDeque<Traffic>) -> Vec<Signals> {
    let mut out: Vec<Signals> = Vec::new();
    let mut next: Option<Timestamp> = None;
    for t in past {
        let Some(at) = t.at else { continue };
        while out.len() < MINUTES * 2 && next.is_some_and(|n| n < at) {
            out.push(Signals::default());
            next = next.map(|n| n + TimeDelta::minutes(1));
        }
        out.push(signals(t));
        next = Some(at + TimeDelta::minutes(1));
    }
    let skip = out.len().saturating_sub(MINUTES);
    out.split_off(skip)
}
