//! Machines that do not answer, and what that explains: a zone that is gone is
//! one line, not a line for each machine and for each workload that misses a
//! replica there.

use foldhash::HashMap;
use std::collections::{BTreeMap, BTreeSet};

use super::Problem;
use crate::domain::{ClusterId, Health, Kind, Node, NodeCondition, ObjectId, Task, Text, Timestamp};
use crate::store::Store;

/// Machines that do not answer for one reason, as far as can be told.
struct Cause<'a> {
    nodes: Vec<&'a Node>,
    /// How many machines the zone has in all; `None` for a machine by itself.
    zone: Option<usize>,
    /// Workloads whose missing replicas it explains.
    workloads: BTreeSet<ObjectId>,
}

/// What is lost.
pub(super) struct Lost<'a> {
    causes: Vec<Cause<'a>>,
    /// By cluster, then by node name: which cause.
    nodes: HashMap<&'a ClusterId, HashMap<&'a str, usize>>,
    /// Unfinished tasks on such machines by workload, and by which causes.
    away: HashMap<ObjectId, (u32, BTreeSet<usize>)>,
}

/// A zone is called lost when most of its machines are, and more than one.
fn is_zone(lost: usize, all: usize) -> bool {
    lost >= 2 && lost * 2 > all
}

impl<'a> Lost<'a> {
    pub(super) fn of(store: &'a Store) -> Self {
        let mut zones: BTreeMap<(&ClusterId, &Text), (Vec<&Node>, usize)> = BTreeMap::new();
        let mut by_cluster: BTreeMap<&ClusterId, BTreeSet<&Text>> = BTreeMap::new();
        for node in store.nodes.rows() {
            let zone = zones.entry((&node.id.cluster, &node.zone)).or_default();
            zone.1 += 1;
            if node.condition != NodeCondition::Ready {
                zone.0.push(node);
            }
            by_cluster.entry(&node.id.cluster).or_default().insert(&node.zone);
        }
        let mut lost = Self { causes: Vec::new(), nodes: HashMap::default(), away: HashMap::default() };
        for ((cluster, zone), (mut nodes, all)) in zones {
            nodes.sort_by(|a, b| a.id.name.cmp(&b.id.name));
            // Where there is one zone only, its loss is the cluster's: the machines say more.
            let several = by_cluster.get(cluster).is_some_and(|zones| zones.len() > 1);
            if several && !zone.is_empty() && is_zone(nodes.len(), all) {
                lost.push(nodes, Some(all));
            } else {
                for node in nodes {
                    lost.push(vec![node], None);
                }
            }
        }
        if !lost.causes.is_empty() {
            lost.find_away(store);
        }
        lost
    }

    fn push(&mut self, nodes: Vec<&'a Node>, zone: Option<usize>) {
        let cause = self.causes.len();
        for node in &nodes {
            self.nodes.entry(&node.id.cluster).or_default().insert(node.id.name.as_str(), cause);
        }
        self.causes.push(Cause { nodes, zone, workloads: BTreeSet::new() });
    }

    fn find_away(&mut self, store: &Store) {
        for task in store.tasks.rows().filter(|t| t.is_active()) {
            let Some(cause) = self.cause_of(task) else { continue };
            let Some(workload) = store.workload_id_of(task) else { continue };
            let (count, causes) = self.away.entry(workload).or_default();
            *count += 1;
            causes.insert(cause);
        }
    }

    fn cause_of(&self, task: &Task) -> Option<usize> {
        if self.causes.is_empty() || task.node.is_empty() {
            return None;
        }
        self.nodes.get(&task.id.cluster)?.get(task.node.as_str()).copied()
    }

    /// True for an unfinished task that is in trouble where nothing answers.
    pub(super) fn explains(&self, task: &Task) -> bool {
        task.is_active() && self.cause_of(task).is_some()
    }

    /// Takes a workload's missing replicas upon the machines, if as many of its
    /// tasks are on them and others still serve.
    pub(super) fn takes(&mut self, workload: &ObjectId, short: u32, serving: u32) -> bool {
        let Some((away, causes)) = self.away.get(workload) else { return false };
        if serving == 0 || short > *away {
            return false;
        }
        for cause in causes {
            if let Some(cause) = self.causes.get_mut(*cause) {
                cause.workloads.insert(workload.clone());
            }
        }
        true
    }

    /// The machines, each with whether its zone is lost as a whole.
    pub(super) fn machines(&self) -> HashMap<ObjectId, bool> {
        let of = |c: &Cause<'_>| c.nodes.iter().map(|n| (n.id.clone(), c.zone.is_some())).collect::<Vec<_>>();
        self.causes.iter().flat_map(of).collect()
    }

    /// One line for each cause.
    pub(super) fn problems(self, store: &Store) -> Vec<Problem> {
        self.causes.into_iter().filter_map(|c| c.problem(store)).collect()
    }
}

impl Cause<'_> {
    fn problem(self, store: &Store) -> Option<Problem> {
        let first = *self.nodes.first()?;
        let mut what = match self.zone {
            Some(all) => format!("{} of {all} nodes not ready", self.nodes.len()),
            None => words(first).to_owned(),
        };
        let workloads = self.workloads.len();
        if workloads > 0 {
            what += &format!(", {workloads} workload{} short", if workloads == 1 { "" } else { "s" });
        }
        let id = match self.zone {
            Some(_) => ObjectId { kind: Kind::Zone, name: first.zone.clone(), ..first.id.clone() },
            None => first.id.clone(),
        };
        // Since when, and whether that is only the latest that it can have begun.
        let began = |n: &&Node| match n.condition_since {
            Some(at) => Some((at, false)),
            None => Some((store.unwell_since(&n.id)?, store.was_unwell(&n.id))),
        };
        let (since, at_least): (Option<Timestamp>, bool) =
            self.nodes.iter().filter_map(began).min().map_or((None, false), |(at, least)| (Some(at), least));
        Some(Problem {
            id,
            health: self.nodes.iter().map(|n| n.health()).max().unwrap_or(Health::Unknown),
            what,
            why: first.message.clone(),
            since,
            at_least,
            tasks: self.nodes.iter().map(|n| store.totals.node(&n.id.cluster, &n.id.name).active).sum(),
        })
    }
}

/// A machine's state in words.
pub(super) fn words(node: &Node) -> &str {
    match node.condition {
        NodeCondition::NotReady => "NotReady",
        NodeCondition::Silent if node.ecs.is_some() => "agent not connected",
        NodeCondition::Silent => "NotReady, kubelet silent",
        NodeCondition::Missing => "no Ready condition",
        NodeCondition::Ready => node.pressure.as_str(),
    }
}
