//! Every notice as a line, worked out once for a moment: for the list, and for the marks
//! that rows of nodes, tasks and workloads carry.

use foldhash::HashMap;
use std::cell::OnceCell;
use std::sync::{Arc, OnceLock};

use chrono::TimeDelta;

use super::sum::Sum;
use super::{Case, SHOWN_FOR, Verdict};
use crate::domain::notice::{ANOTHER, Deadline, NoticeFeed, NoticeKind, Outcome, Precision, Record, Victim};
use crate::domain::{ClusterId, DisruptionBudget, Health, Kind, ObjectId, Task, Text, Timestamp};
use crate::store::Store;

/// A notice as a line.
#[derive(Debug, Clone, PartialEq)]
pub struct NoticeRow {
    /// [`Kind::Notice`]; its name is the victim's key, its cluster that of the node or task.
    /// What is told from memory alone has the second in which it was given as namespace.
    pub id: ObjectId,
    /// What goes.
    pub victim: Victim,
    /// What people call it: the node's name, the task's, the instance.
    pub name: Text,
    /// Why.
    pub kind: NoticeKind,
    /// Instance type, may be empty.
    pub instance_type: Text,
    /// Availability zone, may be empty.
    pub zone: Text,
    /// When it goes.
    pub deadline: Option<Deadline>,
    /// Tasks that have left, those that were cut not among them, and all that were at risk.
    pub tasks: (u32, u32),
    /// How it looks while it is open, where that can be said.
    pub verdict: Option<Verdict>,
    /// What became of it; `None` while it is open.
    pub outcome: Option<Outcome>,
    /// When it went, if it has: while it is open, word of its tasks is awaited.
    pub gone: Option<Timestamp>,
    /// It takes away what runs, now ([`Case::is_urgent`]).
    pub urgent: bool,
    /// When it was given.
    pub issued: Timestamp,
    /// Who told first, and how long after it was given.
    pub told_by: Option<(NoticeFeed, Option<TimeDelta>)>,
    /// Its node, if that is known.
    pub node: Option<ObjectId>,
    /// A task that goes by itself.
    pub task: Option<ObjectId>,
    /// The workload of that task.
    pub owner: Option<ObjectId>,
}

impl NoticeRow {
    /// Seconds until it goes, negative once its time has passed; `None` without a
    /// deadline, or once it has gone or is over.
    #[must_use]
    pub fn left(&self, now: Timestamp) -> Option<i64> {
        let deadline = self.deadline.filter(|_| self.is_open() && self.gone.is_none())?;
        Some(deadline.at.timestamp() - now.timestamp())
    }

    /// True until it is known what became of it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.outcome.is_none()
    }

    /// True if something that the console reads goes with it.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.node.is_some() || self.task.is_some()
    }

    /// How bad it is: what goes is a warning, what will be cut is worse, and so is what was.
    #[must_use]
    pub fn health(&self) -> Health {
        match (self.outcome, self.verdict) {
            (Some(Outcome::Cut { .. }), _) => Health::Critical,
            (Some(Outcome::NotReplaced), _) => Health::Warning,
            (Some(Outcome::Evacuated { .. }), _) => Health::Ok,
            (Some(_), _) => Health::Done,
            (None, Some(Verdict::Cut)) if self.urgent || self.gone.is_some() => Health::Critical,
            (None, _) if self.urgent => Health::Warning,
            (None, _) => Health::Progressing,
        }
    }

    fn of_case(case: &Case, sum: &Sum, now: Timestamp) -> Self {
        let task = match case.victim {
            Victim::Task(_) => case.tasks.first().map(|t| t.id.clone()),
            _ => None,
        };
        let known = case.node.as_ref().or(task.as_ref());
        let all = case.tasks.len();
        let whole = left_whole(case.outcome.map(|(o, _)| o), (all - sum.remaining).saturating_sub(case.cut()), all);
        Self {
            id: ObjectId {
                cluster: known.map_or_else(|| ClusterId::new(""), |id| id.cluster.clone()),
                kind: Kind::Notice,
                namespace: Text::empty(),
                name: case.victim.key().clone(),
            },
            name: known.map_or_else(|| Text::new(case.victim.name()), |id| id.name.clone()),
            victim: case.victim.clone(),
            kind: case.kind(),
            instance_type: case.place.instance_type.clone(),
            zone: case.place.zone.clone(),
            deadline: case.deadline(),
            tasks: (whole, count(all)),
            verdict: case.verdict_by(sum, now),
            outcome: case.outcome.map(|(outcome, _)| outcome),
            gone: case.gone.as_ref().map(|g| g.at),
            urgent: case.is_urgent(now),
            issued: case.issued(),
            told_by: case.told_by(),
            node: case.node.clone(),
            owner: case.tasks.first().filter(|_| task.is_some()).and_then(|t| t.owner.clone()),
            task,
        }
    }

    /// What is remembered of one that was over before.
    #[must_use]
    pub fn of_record(r: &Record) -> Self {
        Self {
            id: ObjectId {
                cluster: ClusterId::new(&r.cluster),
                kind: Kind::Notice,
                namespace: Text::new(&r.issued.timestamp().to_string()),
                name: r.victim.key().clone(),
            },
            name: if r.name.is_empty() { Text::new(r.victim.name()) } else { r.name.clone() },
            victim: r.victim.clone(),
            kind: r.kind,
            instance_type: r.instance_type.clone(),
            zone: r.zone.clone(),
            deadline: r.deadline.map(Deadline::exact),
            tasks: (left_whole(Some(r.outcome), r.tasks as usize, r.tasks as usize), r.tasks),
            verdict: None,
            outcome: Some(r.outcome),
            gone: r.gone,
            urgent: false,
            issued: r.issued,
            told_by: r.told_by.map(|feed| (feed, r.late_ms.map(TimeDelta::milliseconds))),
            node: None,
            task: None,
            owner: None,
        }
    }
}

/// How many left, without those that were cut.
fn left_whole(outcome: Option<Outcome>, gone: usize, all: usize) -> u32 {
    match outcome {
        Some(Outcome::Cut { tasks }) => count(all).saturating_sub(tasks),
        _ => count(gone),
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// What a workload loses to machines and tasks that go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Going {
    /// How many of its tasks are still on what goes.
    pub tasks: u32,
    /// When the first of them goes, as far as that is known.
    pub first: Option<Deadline>,
}

/// What goes now, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rush {
    /// Machines that the console reads.
    pub machines: u32,
    /// Tasks that go by themselves.
    pub tasks: u32,
    /// What is in no cluster that is read.
    pub strangers: u32,
    /// Those whose capacity is taken back; the others are emptied for another reason.
    pub taken: u32,
    /// Those for which there is time.
    pub safe: u32,
    /// Those that are tight.
    pub tight: u32,
    /// Those where something will be cut.
    pub cut: u32,
    /// When the first of those goes that are counted here, strangers only where there
    /// are no others.
    pub first: Option<Deadline>,
}

impl Rush {
    /// How many go, strangers included.
    #[must_use]
    pub fn all(&self) -> u32 {
        self.machines + self.tasks + self.strangers
    }
}

/// Every notice at one moment.
#[derive(Debug, Default)]
pub struct Board {
    /// Open ones first by deadline, of them those that have gone last, then those that are over, the last first.
    pub rows: Vec<NoticeRow>,
    /// What goes now.
    pub rush: Rush,
    /// Open notices that take nothing away yet: recommendations, maintenance to come.
    pub advised: u32,
    /// Machines that are emptied, with no deadline known.
    pub leaving: u32,
    machines: HashMap<(ClusterId, Text), usize>,
    tasks: HashMap<ObjectId, usize>,
    /// Of what goes now: how many tasks of which workloads are there, until when.
    here: Vec<(Arc<Sum>, Option<Deadline>)>,
    /// The same by workload; made when it is asked for.
    owners: OnceLock<HashMap<ObjectId, Going>>,
}

impl Board {
    /// The open notice of this machine.
    #[must_use]
    pub fn of_node(&self, node: &ObjectId) -> Option<&NoticeRow> {
        if self.machines.is_empty() {
            return None;
        }
        self.machines.get(&(node.cluster.clone(), node.name.clone())).and_then(|at| self.rows.get(*at))
    }

    /// The open notice that takes this task along, or is about it.
    #[must_use]
    pub fn of_task(&self, task: &Task) -> Option<&NoticeRow> {
        if self.rows.is_empty() || !task.is_active() {
            return None;
        }
        let own = self.tasks.get(&task.id).and_then(|at| self.rows.get(*at));
        own.or_else(|| {
            if self.machines.is_empty() || task.node.is_empty() {
                return None;
            }
            self.machines.get(&(task.id.cluster.clone(), task.node.clone())).and_then(|at| self.rows.get(*at))
        })
    }

    /// What this workload loses to what goes now.
    #[must_use]
    pub fn of_workload(&self, workload: &ObjectId) -> Option<Going> {
        if self.here.is_empty() {
            return None;
        }
        self.owners.get_or_init(|| by_owner(&self.here)).get(workload).copied()
    }

    /// What goes now, the one with the least time first.
    pub fn urgent(&self) -> impl Iterator<Item = &NoticeRow> {
        self.rows.iter().take_while(|r| r.is_open()).filter(|r| r.urgent)
    }
}

/// Disruption budgets that allow nothing, by namespace and one of the labels they want:
/// what blocks is looked up for thousands of tasks.
struct Blocks<'a> {
    store: &'a Store,
    by_label: HashMap<Wanted<'a>, Vec<&'a DisruptionBudget>>,
}

/// A label in a cluster's namespace.
type Wanted<'a> = (&'a ClusterId, &'a Text, &'a (Text, Text));

impl<'a> Blocks<'a> {
    fn of(store: &'a Store) -> Self {
        let mut by_label: HashMap<_, Vec<&DisruptionBudget>> = HashMap::default();
        for b in store.disruption_budgets.rows().filter(|b| b.allowed == 0) {
            if let Some(pair) = b.selector.iter().next() {
                by_label.entry((&b.id.cluster, &b.id.namespace, pair)).or_default().push(b);
            }
        }
        Self { store, by_label }
    }

    fn hold(&self, task: &ObjectId) -> bool {
        if self.by_label.is_empty() {
            return false;
        }
        let Some(row) = self.store.tasks.get(task) else { return false };
        let wants = |b: &&DisruptionBudget| b.selector.iter().all(|pair| row.labels.contains(pair));
        row.labels.iter().any(|pair| {
            self.by_label.get(&(&task.cluster, &task.namespace, pair)).is_some_and(|found| found.iter().any(wants))
        })
    }
}

impl Store {
    /// Every notice at this moment; worked out once for all who ask.
    #[must_use]
    pub fn board(&self, now: Timestamp) -> Arc<Board> {
        // Not the store's revision: in a fleet where thousands of rows change, most change no notice.
        let moment = (self.notices.changes, self.disruption_budgets.revision(), now.timestamp());
        self.patience.of_memo(&self.board, (moment, now), || Arc::new(Board::of(self, now)))
    }

    /// What is remembered and not among the lines of [`Store::board`], the last first.
    #[must_use]
    pub fn remembered(&self) -> Vec<NoticeRow> {
        let known =
            |r: &&Record| self.notices.case(&r.victim).is_some_and(|case| (case.issued() - r.issued).abs() <= ANOTHER);
        self.notices.past().iter().rev().filter(|r| !known(r)).map(NoticeRow::of_record).collect()
    }
}

impl Board {
    fn of(store: &Store, now: Timestamp) -> Self {
        let mut cases: Vec<&Case> =
            store.notices.cases().filter(|c| c.outcome.is_none_or(|(_, since)| now - since <= SHOWN_FOR)).collect();
        if cases.is_empty() {
            return Self::default();
        }
        cases.sort_by(|a, b| {
            let over = |c: &Case| c.outcome.map(|(_, since)| std::cmp::Reverse(since));
            // Who has gone is not the next to go, nothing of ours goes with a stranger, and what is overdue
            // can no more be hurried: a countdown that still runs comes first.
            let due = |c: &Case| {
                let at = c.deadline().map(|d| d.at);
                let ours = c.node.is_some() || !c.tasks.is_empty();
                (c.gone.is_some(), !ours, at.is_none(), at.is_some_and(|at| at < now), at)
            };
            (over(a).is_some().cmp(&over(b).is_some()))
                .then_with(|| over(a).cmp(&over(b)))
                .then_with(|| if a.is_open() { due(a).cmp(&due(b)) } else { std::cmp::Ordering::Equal })
                .then_with(|| b.kind().cmp(&a.kind()))
                .then_with(|| (a.heard, &a.victim).cmp(&(b.heard, &b.victim)))
        });
        let sums = sums(store, cases.iter().copied());
        let rows = cases.iter().zip(&sums).map(|(case, sum)| NoticeRow::of_case(case, sum, now)).collect();
        let mut board = Self { rows, ..Self::default() };
        for (at, case) in cases.iter().enumerate().take_while(|(_, c)| c.is_open()) {
            let Some(row) = board.rows.get(at) else { break };
            board.rush.add(row);
            board.leaving += u32::from(!row.urgent && row.kind == NoticeKind::Leaving);
            board.advised += u32::from(!row.urgent && row.kind != NoticeKind::Leaving);
            if let Some(node) = &case.node {
                board.machines.entry((node.cluster.clone(), node.name.clone())).or_insert(at);
            }
            if let Some(task) = &row.task {
                board.tasks.entry(task.clone()).or_insert(at);
            }
            if row.urgent
                && let Some(sum) = sums.get(at)
            {
                board.here.push((Arc::clone(sum), row.deadline));
            }
        }
        board
    }
}

/// What the tasks of each of these amount to; only of those that have changed it is worked out.
fn sums<'a>(store: &Store, cases: impl Iterator<Item = &'a Case>) -> Vec<Arc<Sum>> {
    let budgets = store.disruption_budgets.revision();
    let blocks = OnceCell::new();
    let hold = |id: &ObjectId| blocks.get_or_init(|| Blocks::of(store)).hold(id);
    cases.map(|c| c.sum(budgets, |t| hold(&t.id))).collect()
}

/// Adds up what is open, all at once: hundreds share the index of what blocks.
pub(super) fn add_up(store: &Store) {
    drop(sums(store, store.notices.cases().filter(|c| c.is_open())));
}

fn by_owner(here: &[(Arc<Sum>, Option<Deadline>)]) -> HashMap<ObjectId, Going> {
    let mut owners: HashMap<&ObjectId, Going> = HashMap::default();
    for (sum, deadline) in here {
        for (owner, tasks) in &sum.here {
            let going = owners.entry(owner).or_default();
            going.tasks += tasks;
            going.first = earlier(going.first, *deadline);
        }
    }
    owners.into_iter().map(|(id, going)| (id.clone(), going)).collect()
}

impl Rush {
    fn add(&mut self, row: &NoticeRow) {
        if !row.urgent {
            return;
        }
        self.taken += u32::from(row.kind >= NoticeKind::Interruption);
        match (row.is_known(), &row.victim) {
            (false, _) => {
                self.strangers += 1;
                if self.machines + self.tasks == 0 {
                    self.first = earlier(self.first, row.deadline);
                }
                return;
            }
            (true, Victim::Task(_)) => self.tasks += 1,
            (true, _) => self.machines += 1,
        }
        self.first = if self.machines + self.tasks == 1 { row.deadline } else { earlier(self.first, row.deadline) };
        self.safe += u32::from(row.verdict == Some(Verdict::Safe));
        self.tight += u32::from(row.verdict == Some(Verdict::Tight));
        self.cut += u32::from(row.verdict == Some(Verdict::Cut));
    }
}

fn earlier(a: Option<Deadline>, b: Option<Deadline>) -> Option<Deadline> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.at < a.at { b } else { a }),
        (a, b) => a.or(b),
    }
}

/// `1:43`, `~1:43` if it may be earlier, `1:43?` if it is as it usually is, `overdue 0:12`;
/// hours and days from an hour on. `ahead` is in seconds.
#[must_use]
pub fn countdown(ahead: i64, precision: Precision) -> String {
    let clock = |secs: i64| {
        if secs < 3_600 { format!("{}:{:02}", secs / 60, secs % 60) } else { crate::domain::age::human_duration(secs) }
    };
    match precision {
        _ if ahead < 0 => format!("overdue {}", clock(-ahead)),
        Precision::Exact => clock(ahead),
        Precision::AtLatest => format!("~{}", clock(ahead)),
        Precision::Usual => format!("{}?", clock(ahead)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_countdown_says_how_long_and_how_sure() {
        for (ahead, precision, want) in [
            (120, Precision::Exact, "2:00"),
            (103, Precision::Exact, "1:43"),
            (103, Precision::AtLatest, "~1:43"),
            (103, Precision::Usual, "1:43?"),
            (9, Precision::Exact, "0:09"),
            (0, Precision::Exact, "0:00"),
            (-1, Precision::Exact, "overdue 0:01"),
            (-12, Precision::AtLatest, "overdue 0:12"),
            (-3_700, Precision::Usual, "overdue 61m"),
            (3_599, Precision::Exact, "59:59"),
            (3_600, Precision::Exact, "60m"),
            (3 * 3_600 + 60, Precision::Usual, "3h1m?"),
            (3 * 86_400, Precision::Exact, "3d"),
        ] {
            assert_eq!(countdown(ahead, precision), want, "{ahead} {precision:?}");
        }
    }
}
