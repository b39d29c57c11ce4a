//! What really became of everything that was taken back: what the console's
//! own verdicts are compared with.
//!
//! The definitions, exact to the model's step (a quarter of a second on
//! Kubernetes, a second on ECS):
//!
//! - **Task at risk**: a pod on the machine at the moment of the notice that is
//!   neither a `DaemonSet`'s, nor a mirror pod, nor finished; or an ECS task that
//!   is placed on the instance and whose containers have not exited. For a
//!   Fargate Spot task it is the task itself. A pod that is already terminating is
//!   at risk, too. A later, weightier notice for the same victim (an interruption after
//!   a rebalance recommendation) draws up the list anew.
//! - **Gone**: a pod's object has been removed or the pod has finished; an ECS task's
//!   containers have exited (`lastStatus` is `DEPROVISIONING` or `STOPPED`).
//! - **Evacuated** (a task): it was gone before the machine went, and was not
//!   killed by a `SIGKILL` at a Fargate Spot task's deadline.
//! - **Cut** (a task): it was not gone when the machine went, or was killed so.
//! - **The machine goes**: EC2's state leaves `running` (`shutting-down`, `stopping`, or a
//!   reboot begins). The node's object is removed later. A Fargate Spot task goes
//!   when its containers exit, at its deadline at the latest.
//! - **Owner**: of a pod, the Deployment (not the `ReplicaSet`), `StatefulSet`, bare `ReplicaSet` or
//!   Job; of an ECS task, its service. A bare pod has none and never comes back.
//! - **Back at the desired count**: as many ready pods that are not terminating as
//!   `spec.replicas`; for a Job, one that runs, or the Job has finished; for a service, as many
//!   `RUNNING` tasks that are not told to stop as `desiredCount`. An owner that no longer exists
//!   is back. *Desired* is what it is at that moment; *ready* and `RUNNING` are what the API shows. Only for
//!   `owners` of a machine that has gone, what is on machines that have gone does not count, though
//!   the API shows it a few seconds longer.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::Timestamp;

/// What a victim was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// A rebalance recommendation: no deadline.
    Rebalance,
    /// Maintenance that begins at the deadline.
    Scheduled,
    /// A spot interruption.
    Interruption,
}

/// What became of a victim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// At some moment not after the deadline every task at risk was gone, none of them cut, and
    /// every owner was back at its desired count. The first such moment counts: what happens
    /// to an owner afterwards, on account of another machine, changes nothing.
    Evacuated {
        /// From that moment to the deadline, in milliseconds. All of it where nothing was at risk.
        left_ms: i64,
    },
    /// Every task at risk was gone when the machine went, but until the deadline there was no
    /// moment at which all were gone and all owners back.
    NotReplaced,
    /// So many tasks were cut.
    Cut(usize),
    /// It went and nobody had said so. Its tasks were all cut.
    Unannounced,
}

impl Outcome {
    /// One word, as the console has it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Evacuated { .. } => "evacuated",
            Self::NotReplaced => "not-replaced",
            Self::Cut(_) => "cut",
            Self::Unannounced => "unannounced",
        }
    }
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// Gone in time, and when.
    Evacuated(Timestamp),
    /// Ended with its machine, and when.
    Cut(Timestamp),
}

/// A task at risk.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Risk {
    /// A pod as `cluster/namespace/name`; an ECS task by its ARN.
    pub id: String,
    /// Its owner, as `cluster/namespace/Kind/name`, or a service's ARN; `None` for a bare pod.
    pub owner: Option<String>,
    /// `None` as long as it is there.
    pub end: Option<End>,
}

/// One victim: an EC2 instance, or a Fargate Spot task.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Entry {
    /// `i-...`, or a task's ARN.
    pub victim: String,
    /// The cluster: the kubeconfig's context, or the ECS cluster's name.
    pub cluster: String,
    /// The node's name, or the container instance's ARN; empty for a Fargate Spot task.
    pub host: String,
    /// Instance type; empty for a Fargate Spot task.
    pub instance_type: String,
    /// Availability zone.
    pub zone: String,
    /// What it was told, and when: whole seconds, as the event's `time`. In order of time.
    pub told: Vec<(Told, Timestamp)>,
    /// When the weightiest of them was issued; `None` when nothing was.
    pub issued: Option<Timestamp>,
    /// When the machine goes, as the weightiest of them says; `None` for a mere rebalance
    /// recommendation and where nothing was said.
    pub deadline: Option<Timestamp>,
    /// Tasks at risk at that notice, and those put there later that went with it; without one,
    /// those that were there when it went.
    pub tasks: Vec<Risk>,
    /// When the last of the tasks was gone or cut; the time of the notice when there were none.
    pub all_gone: Option<Timestamp>,
    /// Each owner, and the first moment at which its own tasks at risk were gone and it was back
    /// at its desired count. Looked for until the outcome is known, and for ten minutes after.
    pub owners: BTreeMap<String, Option<Timestamp>>,
    /// When all were gone and all owners back at the same time, if not after the deadline.
    pub evacuated: Option<Timestamp>,
    /// When the machine went.
    pub went: Option<Timestamp>,
    /// Known at the deadline, an evacuated one's, too; of an unannounced one when it went; never for a
    /// mere recommendation.
    pub outcome: Option<Outcome>,
}

impl Entry {
    /// How many of its tasks were cut.
    #[must_use]
    pub fn cut(&self) -> usize {
        self.tasks.iter().filter(|t| matches!(t.end, Some(End::Cut(_)))).count()
    }

    /// True if it was told this.
    #[must_use]
    pub fn was_told(&self, what: Told) -> bool {
        self.told.iter().any(|(t, _)| *t == what)
    }

    fn gone(&self, owner: Option<&str>) -> bool {
        self.tasks.iter().filter(|t| owner.is_none_or(|o| t.owner.as_deref() == Some(o))).all(|t| t.end.is_some())
    }

    /// Notes when the last task ended.
    fn count(&mut self, at: Timestamp) {
        if self.all_gone.is_none() && self.gone(None) {
            self.all_gone = Some(at);
        }
    }
}

/// Who a victim is.
#[derive(Debug, Clone, Default)]
pub(crate) struct About {
    pub victim: String,
    pub cluster: String,
    pub host: String,
    pub instance_type: String,
    pub zone: String,
}

/// Every victim there was, by its id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    entries: BTreeMap<String, Entry>,
    /// Undecided victims by their tasks at risk.
    by_task: BTreeMap<String, BTreeSet<String>>,
}

impl Ledger {
    /// Every entry, by victim.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// The entry of one victim.
    #[must_use]
    pub fn get(&self, victim: &str) -> Option<&Entry> {
        self.entries.get(victim)
    }

    /// The victims whose outcome is known, with it.
    pub fn outcomes(&self) -> impl Iterator<Item = (&str, Outcome)> {
        self.entries.values().filter_map(|e| Some((e.victim.as_str(), e.outcome?)))
    }

    fn entry(&mut self, about: &About) -> &mut Entry {
        self.entries.entry(about.victim.clone()).or_insert_with(|| Entry {
            victim: about.victim.clone(),
            cluster: about.cluster.clone(),
            host: about.host.clone(),
            instance_type: about.instance_type.clone(),
            zone: about.zone.clone(),
            told: Vec::new(),
            issued: None,
            deadline: None,
            tasks: Vec::new(),
            all_gone: None,
            owners: BTreeMap::new(),
            evacuated: None,
            went: None,
            outcome: None,
        })
    }

    /// A victim is told something.
    pub(crate) fn tell(
        &mut self,
        about: &About,
        what: Told,
        at: Timestamp,
        deadline: Option<Timestamp>,
        tasks: Vec<Risk>,
    ) {
        for t in &tasks {
            self.by_task.entry(t.id.clone()).or_default().insert(about.victim.clone());
        }
        let e = self.entry(about);
        let weightiest = e.told.iter().all(|(t, _)| *t <= what);
        e.told.push((what, at));
        if weightiest && e.went.is_none() {
            (e.issued, e.deadline) = (Some(at), deadline);
            Self::list(e, tasks, at);
        }
    }

    fn list(e: &mut Entry, tasks: Vec<Risk>, at: Timestamp) {
        e.owners = tasks.iter().filter_map(|t| Some((t.owner.clone()?, None))).collect();
        e.tasks = tasks;
        e.all_gone = None;
        e.evacuated = (e.tasks.is_empty() && e.deadline.is_some()).then_some(at);
        e.count(at);
    }

    /// A task is put on a machine: if that has been told of its end, it is at risk, too.
    pub(crate) fn placed(&mut self, victim: &str, task: Risk) {
        let told = |e: &&mut Entry| e.issued.is_some() && e.went.is_none() && e.outcome.is_none();
        let Some(e) = self.entries.get_mut(victim).filter(told) else { return };
        self.by_task.entry(task.id.clone()).or_default().insert(victim.to_owned());
        if let Some(owner) = &task.owner {
            e.owners.insert(owner.clone(), None);
        }
        e.tasks.push(task);
        (e.all_gone, e.evacuated) = (None, None);
    }

    /// A task is gone, or was killed.
    pub(crate) fn ended(&mut self, task: &str, at: Timestamp, killed: bool) {
        for victim in self.by_task.remove(task).unwrap_or_default() {
            let Some(e) = self.entries.get_mut(&victim).filter(|e| e.outcome.is_none()) else { continue };
            let end = if killed { End::Cut(at) } else { End::Evacuated(at) };
            for t in e.tasks.iter_mut().filter(|t| t.id == task && t.end.is_none()) {
                t.end = Some(end);
            }
            e.count(at);
        }
    }

    /// Victims whose owners are still to be watched.
    pub(crate) fn watched(&self, at: Timestamp) -> bool {
        self.entries.values().any(|e| watches(e, at))
    }

    /// Looks whether owners are back. `back` says it of one, `None` when it is not this side's; its
    /// second argument is whether only machines that run count, whatever the API shows yet.
    pub(crate) fn look(&mut self, at: Timestamp, back: &dyn Fn(&str, bool) -> Option<bool>) {
        // Many victims have the same owners.
        let mut known: BTreeMap<(String, bool), Option<bool>> = BTreeMap::new();
        for e in self.entries.values_mut().filter(|e| watches(e, at)) {
            if e.evacuated.is_some() && e.owners.values().all(Option::is_some) {
                continue;
            }
            let mut all =
                e.gone(None) && e.tasks.iter().all(|t| t.owner.is_some() && !matches!(t.end, Some(End::Cut(_))));
            let names: Vec<String> = e.owners.keys().cloned().collect();
            let (mut mine, mut all_back) = (e.owners.is_empty(), true);
            for name in names {
                let alive = e.went.is_some() && !e.host.is_empty();
                let Some(is) = *known.entry((name.clone(), alive)).or_insert_with(|| back(&name, alive)) else {
                    continue;
                };
                mine = true;
                all_back &= is;
                if is
                    && e.gone(Some(&name))
                    && let Some(slot) = e.owners.get_mut(&name)
                {
                    slot.get_or_insert(at);
                }
            }
            all &= mine && all_back;
            let announced = e.deadline.is_some_and(|d| at <= d) && e.outcome.is_none();
            if all && announced && e.evacuated.is_none() {
                e.evacuated = Some(at);
            }
        }
    }

    /// The machine goes: what is left on it is cut. The outcome is known now if it goes at its
    /// deadline, or without one; else when [`Ledger::close`] is called at the deadline.
    pub(crate) fn went(&mut self, about: &About, at: Timestamp, here: Vec<Risk>) {
        let e = self.entry(about);
        if e.went.is_some() {
            return;
        }
        e.went = Some(at);
        if e.deadline.is_none() {
            Self::list(e, here, at);
        } else {
            // What was put there after the notice goes with the rest.
            for t in here {
                if !e.tasks.iter().any(|known| known.id == t.id) {
                    e.tasks.push(t);
                }
            }
        }
        for t in e.tasks.iter_mut().filter(|t| t.end.is_none()) {
            t.end = Some(End::Cut(at));
        }
        e.count(at);
        if e.deadline.is_none_or(|d| at >= d) {
            Self::decide(e);
        }
    }

    /// The deadline of a victim that has gone before it.
    pub(crate) fn close(&mut self, victim: &str) {
        if let Some(e) = self.entries.get_mut(victim).filter(|e| e.outcome.is_none() && e.went.is_some()) {
            Self::decide(e);
        }
    }

    fn decide(e: &mut Entry) {
        let left = e.deadline.zip(e.evacuated).map(|(d, t)| (d - t).num_milliseconds());
        e.outcome = Some(match (e.deadline.is_some(), e.cut(), left) {
            (false, ..) => Outcome::Unannounced,
            (true, 0, Some(left_ms)) => Outcome::Evacuated { left_ms },
            (true, 0, None) => Outcome::NotReplaced,
            (true, n, _) => Outcome::Cut(n),
        });
    }
}

/// Owners of a victim are watched for ten minutes after it went.
fn watches(e: &Entry, at: Timestamp) -> bool {
    let recent = e.went.is_none_or(|w| (at - w).num_minutes() < 10);
    let undecided = e.outcome.is_none() && e.deadline.is_some();
    recent && (undecided || (e.went.is_some() && e.owners.values().any(Option::is_none)))
}
