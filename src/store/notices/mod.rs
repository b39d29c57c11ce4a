//! What is going to go, what that takes along, and what became of it.
//!
//! Rows tell by themselves (taints, events, tasks that are to stop), and so do feeds of
//! their own ([`Told`]); all of it comes together here, by victim.

mod board;
mod case;
mod pools;
mod pulse;
mod sum;

use foldhash::HashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;

use super::Store;
use crate::domain::notice::{
    ANOTHER, Departure, NoticeFeed, NoticeKind, Outcome, Place, Record, Sighting, Told, Victim, of_event, of_node,
    of_task, shuts,
};
use crate::domain::{
    CapacityType, ClusterId, ContainerState, Event, Health, Kind, Node, NodeCondition, ObjectId, Task, Text, Timestamp,
};
pub use board::{Board, Going, NoticeRow, Rush, countdown};
use case::{AFTERMATH, Owners};
pub use case::{AtRisk, Case, Left};
pub use pools::{Concentration, Pool, PoolBoard, PoolRow};
use sum::Sum;
pub use sum::Verdict;

/// How many victims are kept; of those that are over the oldest go first.
const VICTIMS: usize = 5_000;
/// A list that is complete was asked for so much earlier.
const POLLED: TimeDelta = TimeDelta::seconds(2);
/// A node's object is deleted so long after its machine went, at the most.
const DELETED: TimeDelta = TimeDelta::minutes(10);
/// How many words of an end are kept that nobody has announced.
const WORDS: usize = 8;
/// How many are remembered of earlier.
pub const RECORDS: usize = 20_000;
/// What is over stays on the list for so long.
pub const SHOWN_FOR: TimeDelta = TimeDelta::minutes(15);

/// Since when a workload is at its desired count, if it is, and when that was so; `None` of one
/// that is gone.
type Standing = Option<(Option<Timestamp>, Timestamp)>;

/// Every notice.
#[derive(Debug, Default)]
pub struct Notices {
    cases: BTreeMap<Victim, Case>,
    /// The nodes of instances.
    machines: HashMap<Text, ObjectId>,
    /// The victims among nodes, by cluster and node.
    on: HashMap<(ClusterId, Text), Victim>,
    /// Victims whose story is not over.
    open: Vec<Victim>,
    /// What went before anybody told of it.
    departed: HashMap<Victim, Vec<Departure>>,
    /// What is over, oldest first: of earlier and of now.
    past: Vec<Record>,
    /// What is over and has not been written down.
    unwritten: Vec<Record>,
    /// Grows when a case may have changed.
    changes: u64,
    /// Since when it is looked at.
    pulse: pulse::Pulse,
}

impl Notices {
    /// Every victim's story, in no particular order.
    pub fn cases(&self) -> impl Iterator<Item = &Case> {
        self.cases.values()
    }

    /// One victim's.
    #[must_use]
    pub fn case(&self, victim: &Victim) -> Option<&Case> {
        self.cases.get(victim)
    }

    /// The story of the victim that this node is.
    #[must_use]
    pub fn of_node(&self, node: &ObjectId) -> Option<&Case> {
        self.on.get(&(node.cluster.clone(), node.name.clone())).and_then(|v| self.cases.get(v))
    }

    /// The story that this task is part of: its machine's, or its own.
    #[must_use]
    pub fn of_task(&self, task: &Task) -> Option<&Case> {
        if self.cases.is_empty() {
            return None;
        }
        let own = task.ecs.as_ref().and_then(|e| self.cases.get(&Victim::Task(e.arn.clone())));
        own.or_else(|| self.on.get(&(task.id.cluster.clone(), task.node.clone())).and_then(|v| self.cases.get(v)))
    }

    /// What is over, oldest first.
    #[must_use]
    pub fn past(&self) -> &[Record] {
        &self.past
    }

    /// Takes in what was kept of earlier, oldest first.
    pub fn remember(&mut self, mut records: Vec<Record>) {
        records.append(&mut self.past);
        let over = records.len().saturating_sub(RECORDS);
        records.drain(..over);
        self.past = records;
    }

    /// What has ended since this was last asked: to be written down.
    pub fn take_unwritten(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.unwritten)
    }

    /// True if this story was over, and written down, before.
    fn is_past(&self, s: &Sighting) -> bool {
        let at = s.issued.unwrap_or(s.seen);
        // What was called off says nothing of what is told for another reason.
        let other = |r: &Record| r.outcome == Outcome::CalledOff && r.kind != s.kind;
        self.past.iter().rev().any(|r| r.victim == s.victim && (at - r.issued).abs() <= ANOTHER && !other(r))
    }

    /// Word of what is over may come late: what is kept of it follows.
    fn amend(&mut self, victim: &Victim) {
        self.changes += 1;
        let Some(record) = self.cases.get(victim).filter(|c| !c.is_open()).and_then(Case::record) else { return };
        let same = |r: &&mut Record| r.victim == *victim && (r.issued - record.issued).abs() <= ANOTHER;
        if let Some(kept) = self.past.iter_mut().rev().find(same).filter(|kept| **kept != record) {
            kept.clone_from(&record);
            self.unwritten.push(record);
        }
    }

    fn make_room(&mut self) {
        while self.cases.len() >= VICTIMS {
            let oldest = self.cases.values().min_by_key(|c| (c.is_open(), c.heard)).map(|c| c.victim.clone());
            let Some(oldest) = oldest else { return };
            self.cases.remove(&oldest);
            self.open.retain(|v| *v != oldest);
            self.on.retain(|_, v| *v != oldest);
        }
    }
}

impl Store {
    /// Takes in what a feed tells.
    pub(super) fn hear(&mut self, told: Vec<Told>, at: Timestamp) {
        self.notices.changes += 1;
        let mut fresh = Vec::new();
        for one in told {
            match one {
                Told::Notice(s) => {
                    if let Some(victim) = self.hear_notice(s, at) {
                        fresh.push(victim);
                    }
                }
                Told::Gone(d) => self.hear_departure(d, at, &mut fresh),
                Told::Placement(word) => self.hear_placement(word, at),
                Told::Over { victim, kind, message, end, at } => {
                    if let Some(case) = self.notices.cases.get_mut(&victim) {
                        case.finish(kind, &message, end, at);
                    }
                }
            }
        }
        self.find_tasks(&fresh, at);
    }

    /// The victim, if its story begins.
    fn hear_notice(&mut self, s: Sighting, at: Timestamp) -> Option<Victim> {
        let victim = s.victim.clone();
        let told_at = s.issued.unwrap_or(s.seen);
        let anew = self.notices.case(&victim).is_some_and(|case| case.is_anew(&s));
        if let Some(case) = self.notices.cases.get_mut(&victim).filter(|_| !anew) {
            let ended = case.outcome.map(|(_, at)| at);
            // The same story, or a late word of it.
            if ended.is_none() || (told_at - case.issued()).abs() <= ANOTHER {
                if case.hear(s) {
                    self.revision += 1;
                    self.notices.amend(&victim);
                }
                return None;
            }
        }
        if !anew && self.notices.is_past(&s) {
            return None;
        }
        self.begin(victim.clone(), at, told_at - AFTERMATH).hear(s);
        Some(victim)
    }

    fn hear_departure(&mut self, d: Departure, at: Timestamp, fresh: &mut Vec<Victim>) {
        if let Some(case) = self.notices.cases.get_mut(&d.victim)
            && (case.is_open() || (d.at - case.issued()).abs() <= ANOTHER)
        {
            let victim = d.victim.clone();
            case.depart(d);
            self.revision += 1;
            self.notices.amend(&victim);
            return;
        }
        if d.taken
            && !self.notices.past.iter().rev().any(|r| r.victim == d.victim && (d.at - r.issued).abs() <= ANOTHER)
        {
            let victim = d.victim.clone();
            let case = self.begin(victim.clone(), at, d.at - AFTERMATH);
            case.capacity = CapacityType::Spot;
            case.depart(d);
            fresh.push(victim);
            return;
        }
        // Word of its end may come before the notice does.
        self.notices.departed.retain(|_, known| known.iter().any(|d| at - d.at <= ANOTHER));
        if self.notices.departed.len() < VICTIMS {
            let known = self.notices.departed.entry(d.victim.clone()).or_default();
            if known.len() < WORDS && !known.contains(&d) {
                known.push(d);
            }
        }
    }

    /// Begins a victim's story; what was said of its end since `since` belongs to it.
    fn begin(&mut self, victim: Victim, at: Timestamp, since: Timestamp) -> &mut Case {
        self.notices.changes += 1;
        self.revision += 1;
        self.notices.make_room();
        let node = match &victim {
            Victim::Instance(id) => self.notices.machines.get(id).cloned(),
            Victim::Node(_) => self.notices.machines.get(victim.key()).cloned(),
            Victim::Task(_) => None,
        };
        self.notices.open.retain(|v| *v != victim);
        self.notices.open.push(victim.clone());
        let mut case = Case::new(victim.clone(), at);
        if let Some(row) = node.as_ref().and_then(|id| self.nodes.get(id)) {
            describe(&mut case, row);
            self.notices.on.insert((row.id.cluster.clone(), row.id.name.clone()), victim.clone());
        }
        for d in self.notices.departed.get(&victim).into_iter().flatten().filter(|d| d.at >= since) {
            case.depart(d.clone());
        }
        self.notices.cases.insert(victim.clone(), case);
        // It was put there just now.
        self.notices.cases.entry(victim.clone()).or_insert_with(|| Case::new(victim, at))
    }

    /// Finds what is on the machines of stories that have begun.
    fn find_tasks(&mut self, fresh: &[Victim], at: Timestamp) {
        if fresh.is_empty() {
            return;
        }
        self.notices.changes += 1;
        let mut found: HashMap<Victim, Vec<AtRisk>> = HashMap::default();
        for victim in fresh {
            let Some(node) = self.notices.cases.get(victim).and_then(|c| c.node.as_ref()) else { continue };
            let on_it = self.placed.on(&node.cluster, &node.name).iter().filter_map(|slot| self.tasks.at(*slot));
            let risks: Vec<AtRisk> = on_it.filter_map(|task| self.at_risk(task, at)).collect();
            if !risks.is_empty() {
                found.insert(victim.clone(), risks);
            }
        }
        // Those that go by themselves are known by their ARNs only.
        let mut alone: HashMap<&Text, &Victim> = HashMap::default();
        for victim in fresh {
            if let Victim::Task(arn) = victim {
                alone.insert(arn, victim);
            }
        }
        if !alone.is_empty() {
            for task in self.tasks.rows() {
                if let Some(victim) = task.ecs.as_ref().and_then(|e| alone.get(&e.arn))
                    && let Some(risk) = self.at_risk(task, at)
                {
                    let own = task.ecs.as_ref().and_then(|e| e.stop_timeout);
                    if let Some(case) = self.notices.cases.get_mut(*victim) {
                        case.stop_timeout = own.or(case.stop_timeout);
                    }
                    found.entry((*victim).clone()).or_default().push(risk);
                }
            }
        }
        for (victim, mut tasks) in found {
            tasks.sort_by(|a, b| a.id.cmp(&b.id));
            if let Some(case) = self.notices.cases.get_mut(&victim) {
                *case.tasks_mut() = tasks;
            }
        }
    }

    /// A task as what is at risk; `None` for what has ended, and for what belongs to the
    /// machine (a daemon set's, a static one).
    fn at_risk(&self, task: &Task, at: Timestamp) -> Option<AtRisk> {
        if !task.is_active() || matches!(task.owner_kind, Kind::DaemonSet | Kind::Node) {
            return None;
        }
        Some(self.risk_of(task, at))
    }

    fn risk_of(&self, task: &Task, at: Timestamp) -> AtRisk {
        AtRisk {
            id: task.id.clone(),
            uid: task.uid.clone(),
            owner: self.workload_id_of(task),
            grace: task.grace,
            came: task.created,
            leaving: is_leaving(task).then_some(at),
            left: None,
        }
    }

    /// A node's row comes in.
    pub(super) fn notice_node(&mut self, row: &Node, at: Timestamp) {
        let key = if row.instance.starts_with("i-") { row.instance.clone() } else { Text::new(&row.id.to_string()) };
        let before = self.nodes.get(&row.id);
        let told = of_node(row, before, at);
        // What the row said before and says no more.
        let said = before.filter(|b| b.uid == row.uid).map(|b| of_node(b, None, at)).unwrap_or_default();
        let opened = before.is_some_and(|b| b.unschedulable && !row.unschedulable);
        if before.is_none() {
            self.notices.machines.entry(key).or_insert_with(|| row.id.clone());
        }
        // The feed may have told of it before the cluster did.
        let victim = Victim::of_node(&row.id, &row.instance);
        let mut fresh = Vec::new();
        let unhealthy = matches!(row.condition, NodeCondition::NotReady | NodeCondition::Silent);
        if let Some(case) = self.notices.cases.get_mut(&victim) {
            self.notices.changes += 1;
            case.shut = is_shut(row).then(|| case.shut.unwrap_or(at));
            if case.node.is_none() && case.is_open() {
                describe(case, row);
                self.notices.on.insert((row.id.cluster.clone(), row.id.name.clone()), victim.clone());
                fresh.push(victim.clone());
            }
            // A machine that falls silent after its time has gone.
            let due = case.deadline().is_some_and(|d| at >= d.at - TimeDelta::seconds(15));
            if unhealthy && due && case.is_open() {
                let at = row.condition_since.filter(|s| *s <= at && *s >= case.issued()).unwrap_or(at);
                case.depart(Departure { victim: victim.clone(), feed: NoticeFeed::Node, at, taken: false });
            }
        }
        self.find_tasks(&fresh, at);
        let says: Vec<(NoticeFeed, Text)> = told.iter().filter_map(name_of).collect();
        self.pending_told(told, row, at);
        let taken_back: Vec<(NoticeFeed, Text)> = said
            .iter()
            .filter_map(name_of)
            // Who says more than a cordon does not take that back.
            .filter(|(feed, _)| *feed == NoticeFeed::NodeTaint || opened)
            .filter(|one| !says.contains(one))
            .collect();
        if !taken_back.is_empty() || opened {
            self.take_back(&victim, row, (&taken_back, opened), at);
        }
    }

    /// A node says no more what it said: taints that are gone, and whether it takes tasks again.
    fn take_back(&mut self, victim: &Victim, row: &Node, said: (&[(NoticeFeed, Text)], bool), at: Timestamp) {
        let Some(case) = self.notices.cases.get_mut(victim) else { return };
        let (gone, opened) = said;
        let words = [format!("{}/cordoned", row.uid), format!("{}/draining", row.uid)];
        let told = |s: &Sighting| {
            gone.iter().any(|(feed, message)| s.feed == *feed && s.message == *message)
                // EventBridge tells of the same draining.
                || (opened
                    && s.kind == NoticeKind::Leaving
                    && (words.iter().any(|w| s.message == **w) || s.detail == "draining"))
        };
        case.retract(told, at);
        self.notices.changes += 1;
        self.settle_one(victim, at, &mut HashMap::default());
    }

    /// A node that tells something may not be in its table yet.
    fn pending_told(&mut self, told: Vec<Told>, row: &Node, at: Timestamp) {
        for one in told {
            let Told::Notice(s) = one else { continue };
            let Some(victim) = self.hear_notice(s, at) else { continue };
            self.notices.changes += 1;
            if let Some(case) = self.notices.cases.get_mut(&victim) {
                describe(case, row);
            }
            self.notices.on.insert((row.id.cluster.clone(), row.id.name.clone()), victim.clone());
            self.find_tasks(&[victim], at);
        }
    }

    /// A node is gone; `seen` if it was there a moment ago.
    pub(super) fn notice_node_gone(&mut self, row: &Node, seen: bool, at: Timestamp) {
        let key = if row.instance.starts_with("i-") { row.instance.clone() } else { Text::new(&row.id.to_string()) };
        if self.notices.machines.get(&key) == Some(&row.id) {
            self.notices.machines.remove(&key);
        }
        let victim = Victim::of_node(&row.id, &row.instance);
        let departure = Departure { victim: victim.clone(), feed: NoticeFeed::Node, at, taken: false };
        if let Some(case) = self.notices.cases.get_mut(&victim) {
            self.notices.changes += 1;
            if case.is_open() {
                case.depart(departure);
                if !self.notices.pulse.is_awake(at) {
                    return;
                }
                self.settle_one(&victim, at, &mut HashMap::default());
            }
            return;
        }
        // Spot capacity that goes with tasks on it, and nobody had said a word.
        if !seen || row.capacity_type != CapacityType::Spot {
            return;
        }
        let case = self.begin(victim.clone(), at, at - DELETED);
        describe(case, row);
        case.depart(departure);
        self.notices.changes += 1;
        self.notices.on.insert((row.id.cluster.clone(), row.id.name.clone()), victim.clone());
        self.find_tasks(std::slice::from_ref(&victim), at);
        if self.notices.cases.get(&victim).is_some_and(|c| c.tasks.is_empty()) {
            // Nothing ran on it: somebody made the group smaller.
            self.notices.cases.remove(&victim);
            self.notices.open.retain(|v| *v != victim);
            self.notices.on.remove(&(row.id.cluster.clone(), row.id.name.clone()));
        }
    }

    /// A task's row comes in.
    pub(super) fn notice_task(&mut self, row: &Task, at: Timestamp) {
        if let Some(told) = of_task(row, at) {
            let Told::Notice(s) = told else { return };
            // Seen first at its very end: nothing was going to go any more.
            if let Some(victim) = self.hear_notice(s, at)
                && let (Some(case), Some(ecs)) = (self.notices.cases.get_mut(&victim), &row.ecs)
                && matches!(victim, Victim::Task(_))
            {
                (case.capacity, case.place.zone) = (ecs.capacity_type, ecs.zone.clone());
            }
        }
        if self.notices.open.is_empty() {
            return;
        }
        let Some(victim) = self.notices.of_task(row).map(|c| c.victim.clone()) else { return };
        let risk = self.at_risk(row, at);
        let late = if risk.is_none() { Some(self.risk_of(row, at)) } else { None };
        // Nothing that waits for a place is anywhere: it was seen to come. What has started by then was there before.
        let before = self.tasks.get(&row.id).filter(|old| old.uid == row.uid);
        let started = row.health == Health::Ok || row.status == "Running";
        let came = if !started && before.is_some_and(|old| old.node.is_empty()) { Some(at) } else { row.created };
        let was_there = before.is_some_and(|old| old.node == row.node);
        self.notices.changes += 1;
        let Some(case) = self.notices.cases.get_mut(&victim).filter(|c| c.is_open()) else { return };
        if let (Victim::Task(_), Some(ecs)) = (&case.victim, &row.ecs) {
            case.stop_timeout = ecs.stop_timeout.or(case.stop_timeout);
        }
        if is_done(row) {
            case.tasks_mut().retain(|t| t.uid != row.uid || t.id != row.id);
            return;
        }
        let too_late = was_there && case.gone.is_some() && !matches!(case.victim, Victim::Task(_));
        match (case.tasks_mut().iter_mut().find(|t| t.uid == row.uid && t.id == row.id), risk) {
            (Some(known), Some(_)) => {
                known.grace = row.grace;
                if known.leaving.is_none() && is_leaving(row) {
                    known.leaving = Some(at);
                }
            }
            (Some(known), None) => {
                if known.left.is_none() {
                    let left = left(row, at);
                    known.left = Some(left);
                    if let Victim::Task(_) = &case.victim {
                        let feed = NoticeFeed::EcsTask;
                        case.depart(Departure { victim, feed, at: left.at, taken: true });
                    }
                }
            }
            // It was there and is none of those at risk: it came when the machine had gone.
            (None, Some(_)) if too_late => {}
            (None, Some(risk)) => case.tasks_mut().push(AtRisk { came, ..risk }),
            // A poll may show a task for the first time when it has ended.
            (None, None) => {
                let Some(late) = late else { return };
                let stopped = row.ecs.as_ref().and_then(|e| e.stop.as_ref()?.at);
                if stopped.is_some_and(|at| at >= case.issued()) && row.created.is_none_or(|c| c <= case.issued()) {
                    let left = left(row, at);
                    case.tasks_mut().push(AtRisk { left: Some(left), ..late });
                    if let Victim::Task(_) = &case.victim {
                        case.depart(Departure { victim, feed: NoticeFeed::EcsTask, at: left.at, taken: true });
                    }
                }
            }
        }
    }

    /// A task is gone.
    pub(super) fn notice_task_gone(&mut self, row: &Task, at: Timestamp) {
        if self.notices.open.is_empty() {
            return;
        }
        let Some(victim) = self.notices.of_task(row).map(|c| c.victim.clone()) else { return };
        self.notices.changes += 1;
        let Some(case) = self.notices.cases.get_mut(&victim) else { return };
        if let Some(known) = case.tasks_mut().iter_mut().find(|t| t.uid == row.uid && t.id == row.id) {
            known.left = known.left.or(Some(Left { at, killed: false }));
        }
    }

    /// An event comes in.
    pub(super) fn notice_event(&mut self, row: &Event, at: Timestamp) {
        if row.about.kind != Kind::Node {
            return;
        }
        if let Some(told) = of_event(row, self.nodes.get(&row.about), at) {
            self.hear(vec![told], at);
        }
    }

    /// Says what became of what is over. To be called once a second; costs what is open.
    pub fn settle(&mut self, now: Timestamp) {
        self.notices.changes += 1;
        self.settle_placements(now);
        board::add_up(self);
        // Many cases have the same owners.
        let mut standings = HashMap::default();
        for victim in self.notices.open.clone() {
            self.settle_one(&victim, now, &mut standings);
        }
    }

    /// The same of one victim.
    fn settle_one(&mut self, victim: &Victim, now: Timestamp, standings: &mut HashMap<ObjectId, Standing>) {
        let Some(case) = self.notices.cases.get(victim) else {
            self.notices.open.retain(|v| v != victim);
            return;
        };
        let owners = self.owners(case, now, standings);
        let Some(case) = self.notices.cases.get_mut(victim) else { return };
        case.settle(owners, now);
        if case.is_open() {
            return;
        }
        if let Some(sure) = self.notices.pulse.doubt(case) {
            case.outcome = Some((sure, now));
        }
        let record = case.record();
        self.notices.open.retain(|v| v != victim);
        if let Some(record) = record {
            self.notices.unwritten.push(record.clone());
            self.notices.past.push(record);
            let over = self.notices.past.len().saturating_sub(RECORDS);
            self.notices.past.drain(..over);
        }
        self.revision += 1;
    }

    /// How the workloads stand that a case's tasks belong to.
    fn owners(&self, case: &Case, now: Timestamp, known: &mut HashMap<ObjectId, Standing>) -> Owners {
        let mut standing = Owners { back: Some(Timestamp::MIN_UTC), as_of: now, blocked: false };
        let sum = self.sum(case);
        standing.blocked = sum.blocked;
        for id in &sum.owners {
            let one = match known.get(id) {
                Some(one) => *one,
                None => *known.entry(id.clone()).or_insert(self.standing(id, now)),
            };
            // One that is gone wants nothing back.
            let Some((back, as_of)) = one else { continue };
            standing.as_of = standing.as_of.min(as_of);
            standing.back = standing.back.zip(back).map(|(all, own)| all.max(own));
        }
        standing
    }

    /// Since when one workload is at its desired count, if it is, and when that was so; `None`
    /// of one that is gone.
    fn standing(&self, id: &ObjectId, now: Timestamp) -> Standing {
        let row = self.workloads.get(id)?;
        let is_back = row.replicas.ready >= row.replicas.desired;
        if row.ecs.is_none() {
            return Some((is_back.then_some(now), now));
        }
        // A poll says how it was, and its tasks since when.
        let listed = self.source(&id.cluster, super::Feed::Services).and_then(|s| s.last_data);
        let own = self.tasks.rows().filter(|t| t.is_active() && t.owner == id.name && t.id.cluster == id.cluster);
        let since = is_back.then(|| own.filter_map(|t| t.ecs.as_ref()?.started).max().unwrap_or(now));
        Some((since, listed.map_or(Timestamp::MIN_UTC, |l| l - POLLED)))
    }

    /// What a case's tasks amount to.
    fn sum(&self, case: &Case) -> Arc<Sum> {
        case.sum(self.disruption_budgets.revision(), |t| self.blocking_budget(&t.id).is_some())
    }

    /// The disruption budget that allows no eviction of this task now.
    #[must_use]
    pub fn blocking_budget(&self, task: &ObjectId) -> Option<&crate::domain::DisruptionBudget> {
        let row = self.tasks.get(task)?;
        self.disruption_budgets.rows().find(|b| {
            b.allowed == 0
                && b.id.cluster == task.cluster
                && b.id.namespace == task.namespace
                && !b.selector.is_empty()
                && b.selector.iter().all(|pair| row.labels.contains(pair))
        })
    }

    /// How a case is going to end, as it looks now.
    #[must_use]
    pub fn verdict(&self, case: &Case, now: Timestamp) -> Option<Verdict> {
        case.verdict_by(&self.sum(case), now)
    }

    /// Machines and tasks that are being taken away, the one with the least time first;
    /// those without a deadline last.
    #[must_use]
    pub fn urgent(&self, now: Timestamp) -> Vec<&Case> {
        let mut found: Vec<&Case> =
            self.notices.open.iter().filter_map(|v| self.notices.cases.get(v)).filter(|c| c.is_urgent(now)).collect();
        found.sort_by_key(|c| (c.deadline().is_none(), c.deadline().map(|d| d.at), c.heard, c.victim.clone()));
        found
    }
}

/// By what a sighting of a node's row is known.
fn name_of(told: &Told) -> Option<(NoticeFeed, Text)> {
    match told {
        Told::Notice(s) => Some((s.feed, s.message.clone())),
        _ => None,
    }
}

/// A job's task that has done its work: it left because it was done.
fn is_done(task: &Task) -> bool {
    matches!(task.owner_kind, Kind::Job | Kind::CronJob) && task.status == "Completed"
}

/// What a victim's row says of it.
fn describe(case: &mut Case, row: &Node) {
    case.node = Some(row.id.clone());
    let Place { account, region, .. } = std::mem::take(&mut case.place);
    case.place = Place { account, region, zone: row.zone.clone(), instance_type: row.instance_type.clone() };
    case.capacity = row.capacity_type;
    case.born = row.created;
    case.shut = is_shut(row).then(|| case.shut.unwrap_or(case.heard));
}

/// True if nothing new is put on it: who empties a machine begins with that. ECS's that drain are so.
fn is_shut(row: &Node) -> bool {
    row.unschedulable || row.taints.split(',').any(shuts)
}

/// On its way out.
fn is_leaving(task: &Task) -> bool {
    match &task.ecs {
        Some(ecs) => ecs.stop.is_some(),
        None => task.status == "Terminating",
    }
}

/// How a task that has ended did so, seen at `at`.
fn left(task: &Task, at: Timestamp) -> Left {
    let stop = task.ecs.as_ref().and_then(|e| e.stop.as_ref());
    let with_host = stop.is_some_and(|s| s.reason.starts_with("Host EC2"));
    let exit = |c: &crate::domain::Container| matches!(c.state, ContainerState::Terminated { exit_code: 137, .. });
    Left {
        at: stop.and_then(|s| s.at).filter(|s| *s <= at).unwrap_or(at),
        killed: with_host || (stop.is_some() && task.containers.iter().any(exit)),
    }
}
