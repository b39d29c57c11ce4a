//! One victim: what was told of it, what is at risk on it, and how that goes.

use std::cell::RefCell;
use std::sync::Arc;

use chrono::TimeDelta;

use super::sum::{Look, Sum, Verdict};
use crate::domain::notice::{
    AT_ONCE, Deadline, Departure, Ending, Fate, INTERRUPTION, Notice, NoticeFeed, NoticeKind, Outcome, Place,
    Precision, Record, STOP_TIMEOUT, Sighting, Victim,
};
use crate::domain::{CapacityType, ObjectId, Text, Timestamp};

/// A task that ends so shortly after its machine went had ended before: clocks differ.
pub(super) const TOLERANCE: TimeDelta = TimeDelta::seconds(1);
/// How long to wait, after a machine went, for word of the tasks that were on it.
const WORD_OF_TASKS: TimeDelta = TimeDelta::seconds(90);
/// What is still there so long after its time stays.
const STAYS: TimeDelta = TimeDelta::minutes(15);
/// What has no deadline is over after so long.
const NO_DEADLINE: TimeDelta = TimeDelta::hours(1);
/// What belongs to an end may be dated so long after it (ECS stops the tasks, the cloud's
/// controller taints the node); an end from before that is another one: it came back since.
pub(super) const AFTERMATH: TimeDelta = TimeDelta::seconds(90);
/// Who empties machines has begun so long after the console has learnt of it: handlers act within
/// a few seconds of the notice.
const PATIENCE: TimeDelta = TimeDelta::seconds(20);
/// What a disruption budget holds is taken to be held for so long: budgets allow one eviction for a
/// moment, and none the next.
const HELD: TimeDelta = TimeDelta::seconds(15);
/// The longest stopTimeout that Fargate allows.
const LONGEST: TimeDelta = TimeDelta::seconds(120);
/// How many sightings are kept of a victim; EventBridge's and EC2's are a handful.
const SIGHTINGS: usize = 256;
/// How many words of its end are kept; each feed has one or two.
const DEPARTURES: usize = 32;

/// How a task at risk left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// When it was gone.
    pub at: Timestamp,
    /// Its end says that it was killed along with its machine.
    pub killed: bool,
}

/// A task on a victim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtRisk {
    /// Which.
    pub id: ObjectId,
    /// Its unique name: another task of the same name is another task.
    pub uid: Text,
    /// The workload that is to replace it; `None` for a task that nobody owns.
    pub owner: Option<ObjectId>,
    /// How long it may take to end, in seconds.
    pub grace: u16,
    /// When it came there, as far as that is known: seen to, or created.
    pub came: Option<Timestamp>,
    /// Since when it was seen to be on its way out.
    pub leaving: Option<Timestamp>,
    /// How it left; `None` while it is there.
    pub left: Option<Left>,
}

/// How the workloads stand that a case's tasks belong to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owners {
    /// Since when all are at their desired counts, as far as is known; `None` while one is short.
    pub back: Option<Timestamp>,
    /// How things stood then is what is known of them.
    pub as_of: Timestamp,
    /// A disruption budget holds one of the tasks now.
    pub blocked: bool,
}

/// A victim's story from the first word of it to its end.
#[derive(Debug, Clone)]
pub struct Case {
    /// What is going to go.
    pub victim: Victim,
    sightings: Vec<Sighting>,
    /// What is told of it, by kind; what weighs most first. Empty for what went unannounced.
    pub notices: Vec<Notice>,
    /// Its row, if it has had one.
    pub node: Option<ObjectId>,
    /// Where it is, as its row says, else as the feeds do.
    pub place: Place,
    /// What its capacity is.
    pub capacity: CapacityType,
    /// Since when the machine lives.
    pub born: Option<Timestamp>,
    /// When the console learnt of it.
    pub heard: Timestamp,
    /// What was on it since, but for what belongs to the machine.
    pub tasks: Vec<AtRisk>,
    /// Every word of its end, each a time by which it had gone.
    departures: Vec<Departure>,
    /// When it went, by who knows the earliest.
    pub gone: Option<Departure>,
    /// When every task had left.
    pub clear: Option<Timestamp>,
    /// When the owners were back at their desired counts, after that.
    pub back: Option<Timestamp>,
    /// What became of it, and since when that is known.
    pub outcome: Option<(Outcome, Timestamp)>,
    over: Option<(Ending, Timestamp)>,
    /// In seconds, how long a task that goes by itself is left, by its definition.
    pub(super) stop_timeout: Option<u16>,
    /// Since when nothing new is put on it, as far as that was seen: cordoned, or draining.
    pub(super) shut: Option<Timestamp>,
    /// When a disruption budget last held one of its tasks.
    held: Option<Timestamp>,
    /// What its tasks amount to, and for which state of the disruption budgets.
    sum: RefCell<Option<(u64, Arc<Sum>)>>,
}

/// When a feed's word was given, as far as it says.
fn word(s: &Sighting) -> Timestamp {
    s.issued.unwrap_or(s.seen)
}

impl Case {
    pub(super) fn new(victim: Victim, heard: Timestamp) -> Self {
        Self {
            victim,
            sightings: Vec::new(),
            notices: Vec::new(),
            node: None,
            place: Place::default(),
            capacity: CapacityType::Unknown,
            born: None,
            heard,
            tasks: Vec::new(),
            departures: Vec::new(),
            gone: None,
            clear: None,
            back: None,
            outcome: None,
            over: None,
            stop_timeout: None,
            shut: None,
            held: None,
            sum: RefCell::new(None),
        }
    }

    /// Its tasks, to be changed; or the row of one of them was, and what holds it with it.
    pub(super) fn tasks_mut(&mut self) -> &mut Vec<AtRisk> {
        self.sum.take();
        &mut self.tasks
    }

    /// What its tasks amount to. `budgets` tells one state of the disruption budgets from
    /// another, `blocked` whether one holds a task.
    pub(super) fn sum(&self, budgets: u64, blocked: impl Fn(&AtRisk) -> bool) -> Arc<Sum> {
        if let Some((kept_for, sum)) = self.sum.borrow().as_ref()
            && *kept_for == budgets
        {
            return Arc::clone(sum);
        }
        let sum = Arc::new(Sum::of(&self.tasks, blocked));
        self.sum.replace(Some((budgets, Arc::clone(&sum))));
        sum
    }

    /// Takes in a sighting; false if nothing of it was new.
    pub(super) fn hear(&mut self, s: Sighting) -> bool {
        let same = |known: &&mut Sighting| {
            known.feed == s.feed && known.kind == s.kind && known.message == s.message && !s.message.is_empty()
        };
        // Maintenance is put off under the same name: its words are kept, the newest counts.
        if s.kind == NoticeKind::Scheduled && !s.message.is_empty() {
            let said = |known: &Sighting| Sighting { seen: known.seen, ..s.clone() } == *known;
            let last =
                self.sightings.iter().filter(|k| k.feed == s.feed && k.message == s.message).max_by_key(|k| word(k));
            if last.is_some_and(said) || self.sightings.contains(&s) || self.sightings.len() >= SIGHTINGS {
                return false;
            }
            self.sightings.push(s);
            self.merge();
            return true;
        }
        if let Some(known) = self.sightings.iter_mut().find(same) {
            // The same message again may know more (a deadline moved), and is no later for it.
            let newer = Sighting { seen: known.seen.min(s.seen), issued: known.issued.or(s.issued), ..s };
            if *known == newer || (newer.deadline.is_none() && known.deadline.is_some()) {
                return false;
            }
            *known = newer;
        } else if self.sightings.len() < SIGHTINGS {
            self.sightings.push(s);
        } else {
            return false;
        }
        self.merge();
        true
    }

    fn merge(&mut self) {
        let mut kinds: Vec<NoticeKind> = self.sightings.iter().map(|s| s.kind).collect();
        kinds.sort_by_key(|k| std::cmp::Reverse(*k));
        kinds.dedup();
        self.notices = kinds
            .into_iter()
            .filter_map(|kind| {
                let of: Vec<Sighting> = self.sightings.iter().filter(|s| s.kind == kind).cloned().collect();
                Notice::merged(&of).pop()
            })
            .collect();
        let said = |of: fn(&Place) -> &Text| {
            self.notices.iter().map(|n| of(&n.place)).find(|t| !t.is_empty()).cloned().unwrap_or_default()
        };
        let fill = |own: &mut Text, said: Text| {
            if own.is_empty() {
                *own = said;
            }
        };
        let more = [said(|p| &p.account), said(|p| &p.region), said(|p| &p.zone), said(|p| &p.instance_type)];
        let own = &mut self.place;
        for (own, said) in
            [&mut own.account, &mut own.region, &mut own.zone, &mut own.instance_type].into_iter().zip(more)
        {
            fill(own, said);
        }
        if self.notices.first().is_some_and(|n| n.kind == NoticeKind::Interruption) {
            self.capacity = CapacityType::Spot;
        }
        self.find_end();
    }

    /// The earliest word of its end that is one of this story's: whatever was heard first.
    fn find_end(&mut self) {
        let since = self.sightings.iter().map(word).min().map(|first| first - AFTERMATH);
        let own = |d: &&Departure| since.is_none_or(|since| d.at >= since);
        let end = self.departures.iter().filter(own).min_by_key(|d| (d.at, !d.taken, d.feed));
        // What is over has ended; word of what came later does not undo that.
        if end.is_some() || self.is_open() {
            self.gone = end.cloned();
        }
    }

    /// What weighs most of what is told.
    #[must_use]
    pub fn main(&self) -> Option<&Notice> {
        self.notices.first()
    }

    /// Why it goes, or went. A function of what was told, not of its order: the same however
    /// late each feed is.
    #[must_use]
    pub fn kind(&self) -> NoticeKind {
        match (self.main(), &self.gone) {
            (Some(n), Some(gone)) if !self.was_given(n, gone.at) => NoticeKind::Unannounced,
            (Some(n), _) => n.kind,
            (None, _) => NoticeKind::Unannounced,
        }
    }

    /// True if anybody gave this notice before the end: word that comes along with the end, or
    /// after it, is none. EC2's status of a request changes when the capacity is taken, with
    /// notice or without: by itself it is one only of a machine that ran on.
    fn was_given(&self, notice: &Notice, gone: Timestamp) -> bool {
        let polled = |s: &Sighting| s.feed == NoticeFeed::Ec2 && matches!(s.victim, Victim::Instance(_));
        self.sightings.iter().filter(|s| s.kind == notice.kind && word(s) >= notice.issued).any(|s| {
            // Hibernation begins with its notice.
            s.fate == Fate::Hibernate || if polled(s) { gone - word(s) >= AT_ONCE } else { word(s) < gone }
        })
    }

    /// When the notice that weighs most was given; of what went unannounced when it went.
    #[must_use]
    pub fn issued(&self) -> Timestamp {
        self.main().map_or_else(|| self.gone.as_ref().map_or(self.heard, |g| g.at), |n| n.issued)
    }

    /// When it goes; the deadline of what weighs most. Who tells what is usual only does not know the
    /// task's definition.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        let told = self.main().and_then(|n| n.deadline)?;
        Some(match (&self.victim, told.precision, self.stop_timeout) {
            (Victim::Task(_), Precision::Usual, Some(own)) => {
                Deadline::exact(told.at - STOP_TIMEOUT + TimeDelta::seconds(i64::from(own)))
            }
            _ => told,
        })
    }

    /// True until it is known what became of it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.outcome.is_none()
    }

    /// True while it takes away what runs, and soon: of a recommendation, of a machine that is
    /// emptied with no deadline known, or of maintenance that is more than a quarter of an hour
    /// ahead, it does not.
    #[must_use]
    pub fn is_urgent(&self, now: Timestamp) -> bool {
        // What has gone takes nothing away any more: what became of its tasks is all that is awaited.
        self.is_open()
            && self.gone.is_none()
            && match self.kind() {
                NoticeKind::Rebalance => false,
                // Somebody empties it, for whatever reason: with no end in sight nobody has to hurry.
                NoticeKind::Leaving => self.deadline().is_some(),
                NoticeKind::Scheduled => self.deadline().is_some_and(|d| d.at - now < STAYS),
                _ => true,
            }
    }

    /// How many tasks are known to have been cut: killed along with the machine, or still there
    /// when it went.
    pub(super) fn cut(&self) -> usize {
        let gone = self.gone.as_ref().map(|g| g.at + TOLERANCE);
        let late = |l: &Left| l.killed || gone.is_some_and(|gone| l.at > gone);
        self.tasks.iter().filter_map(|t| t.left.as_ref()).filter(|l| late(l)).count()
    }

    /// How many tasks at risk are still there.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.tasks.iter().filter(|t| t.left.is_none()).count()
    }

    /// The first who told, and how long after the notice was given.
    #[must_use]
    pub fn told_by(&self) -> Option<(NoticeFeed, Option<TimeDelta>)> {
        let notice = self.main()?;
        Some((notice.told_by()?.feed, notice.lateness()))
    }

    /// What one message told of is over; of several the others stand.
    pub(super) fn finish(&mut self, kind: NoticeKind, message: &Text, end: Ending, at: Timestamp) {
        if self.kind() != kind || self.gone.is_some() {
            return;
        }
        let about = |s: &Sighting| s.kind == kind && s.message == *message;
        let feeds: Vec<NoticeFeed> = self.sightings.iter().filter(|s| about(s)).map(|s| s.feed).collect();
        let others = self.sightings.iter().any(|s| s.kind == kind && feeds.contains(&s.feed) && !about(s));
        if message.is_empty() || !others {
            self.over = Some((end, at));
            return;
        }
        self.sightings.retain(|s| !about(s));
        self.merge();
    }

    /// Who told this takes it back; what nobody tells any more is called off.
    pub(super) fn retract(&mut self, told: impl Fn(&Sighting) -> bool, at: Timestamp) {
        if self.gone.is_some() || !self.is_open() || !self.sightings.iter().any(&told) {
            return;
        }
        if self.sightings.iter().all(&told) {
            // After its time it is not for that reason that it stays.
            let due = self.deadline().is_some_and(|d| d.at <= at);
            self.over = Some((if due { Ending::Unknown } else { Ending::Cancelled }, at));
            return;
        }
        self.sightings.retain(|s| !told(s));
        self.merge();
    }

    /// True if this begins another story although this one was over a moment ago: it had been
    /// called off, and that is what changes.
    pub(super) fn is_anew(&self, s: &Sighting) -> bool {
        match self.outcome {
            Some((Outcome::CalledOff, at)) => s.kind != self.kind() || word(s) > at,
            _ => false,
        }
    }

    /// Tasks that left before anything was taken away left for reasons of their own: they are none
    /// of those at risk.
    pub(super) fn forget_earlier(&mut self, now: Timestamp) {
        let Some(from) = self.taking(now) else { return };
        if self.tasks.iter().any(|t| t.left.is_some_and(|l| l.at < from)) {
            self.tasks_mut().retain(|t| t.left.is_none_or(|l| l.at >= from));
        }
    }

    /// A scheduler goes on placing tasks on a machine that has gone until it hears of that: they never ran
    /// there, and nothing was taken from them.
    fn forget_later(&mut self) {
        let Some(gone) = self.gone.as_ref().filter(|_| !matches!(self.victim, Victim::Task(_))).map(|g| g.at) else {
            return;
        };
        let later = |t: &AtRisk| t.came.is_some_and(|came| came > gone);
        if self.tasks.iter().any(later) {
            self.tasks_mut().retain(|t| !later(t));
        }
    }

    /// Since when it takes away what runs; in the future if it does not yet, `None` where that is
    /// not known.
    fn taking(&self, now: Timestamp) -> Option<Timestamp> {
        let main = self.main()?;
        if self.gone.is_some() {
            return None;
        }
        let not_yet = now + STAYS;
        let closed = self.shut.unwrap_or(not_yet);
        Some(match main.kind {
            NoticeKind::Rebalance => closed,
            NoticeKind::Scheduled => main.deadline.map_or(not_yet, |d| d.at - STAYS).min(closed),
            _ => main.issued,
        })
    }

    /// Takes in that it has gone; the earliest word counts.
    pub(super) fn depart(&mut self, d: Departure) {
        if !self.departures.contains(&d) && self.departures.len() < DEPARTURES {
            self.departures.push(d);
            self.find_end();
        }
    }

    /// Looks how it stands at `now`.
    pub(super) fn settle(&mut self, owners: Owners, now: Timestamp) {
        if self.outcome.is_some() {
            return;
        }
        if owners.blocked {
            self.held = Some(now);
        }
        self.forget_earlier(now);
        self.forget_later();
        let lefts = || self.tasks.iter().map(|t| t.left);
        self.clear = if lefts().all(|l| l.is_some()) {
            Some(lefts().flatten().map(|l| l.at).max().unwrap_or(self.heard))
        } else {
            None
        };
        match (self.clear, owners.back) {
            // What was known before the last task left says nothing of its replacement.
            (Some(clear), Some(back)) if owners.as_of >= clear || self.tasks.is_empty() => {
                self.back = self.back.or(Some(clear.max(back)));
            }
            (None, _) => self.back = None,
            // Short again for another reason: it was back.
            (Some(_), _) => {}
        }
        self.outcome = self.judge(owners.as_of, now).map(|o| (o, now));
    }

    fn judge(&self, as_of: Timestamp, now: Timestamp) -> Option<Outcome> {
        let deadline = self.deadline().map(|d| d.at);
        let gone = self.gone.as_ref().map(|g| g.at);
        if let Some((end, at)) = self.over {
            return Some(self.after(end, at));
        }
        // It was over before anybody could see what was on it.
        if gone.is_some_and(|g| g < self.heard) && self.tasks.is_empty() && self.kind() != NoticeKind::Unannounced {
            let is_row_due = matches!(self.victim, Victim::Task(_)) && now - self.heard < WORD_OF_TASKS;
            return (!is_row_due).then_some(Outcome::Unseen);
        }
        if self.is_stranger() {
            // What ran there nobody can see.
            let over = gone.is_some() || deadline.is_some_and(|d| now > d);
            let stays = deadline.is_none() && now - self.heard > NO_DEADLINE;
            return if over { Some(Outcome::Unread) } else { stays.then_some(Outcome::Stayed) };
        }
        // Its own row is still to come.
        if matches!(self.victim, Victim::Task(_)) && self.tasks.is_empty() && now - self.heard < WORD_OF_TASKS {
            return None;
        }
        if let Some(gone) = gone {
            let late = |t: &&AtRisk| t.left.is_none_or(|l| l.killed || l.at > gone + TOLERANCE);
            let cut = self.tasks.iter().filter(late).count();
            if cut > 0 {
                // Word of a task that had ended in time may still be on its way.
                let unresolved = self.tasks.iter().any(|t| t.left.is_none());
                let known = !unresolved || now - gone > WORD_OF_TASKS;
                return known.then_some(Outcome::Cut { tasks: u32::try_from(cut).unwrap_or(u32::MAX) });
            }
        }
        let end = match (deadline, gone) {
            (Some(d), Some(g)) => d.max(g),
            (Some(d), None) => d,
            (None, Some(g)) => g,
            (None, None) => return (now - self.heard > NO_DEADLINE).then_some(Outcome::Stayed),
        };
        let Some(clear) = self.clear else {
            return (gone.is_none() && now - end > STAYS).then_some(Outcome::Stayed);
        };
        if self.kind() == NoticeKind::Rebalance && gone.is_none() {
            return None;
        }
        match self.back {
            Some(back) if back <= end || (gone.is_some() && deadline.is_none()) => {
                let done = clear.max(back);
                // Nothing is over while the machine may take tasks again.
                let sure = gone.is_some() || now >= end;
                sure.then(|| Outcome::Evacuated { left: deadline.map(|d| (d - done).num_seconds().max(0)) })
            }
            // What is polled is known later; of what is not heard any more it is not awaited for ever.
            _ if as_of < end && now - end < STAYS => None,
            // Without a deadline they are given as long as with one.
            None if deadline.is_none() && now - end < WORD_OF_TASKS => None,
            _ => Some(Outcome::NotReplaced),
        }
    }

    /// True of a machine that is none of a cluster that is read.
    fn is_stranger(&self) -> bool {
        matches!(self.victim, Victim::Instance(_)) && self.node.is_none() && self.tasks.is_empty()
    }

    /// What became of what was over at `at`, though the machine is still there.
    fn after(&self, end: Ending, at: Timestamp) -> Outcome {
        let deadline = self.deadline().map(|d| d.at);
        let done = match end {
            Ending::Cancelled => return Outcome::CalledOff,
            Ending::Completed => true,
            // What is told of no more after it was to begin has been done; before, nobody knows.
            Ending::Unknown => deadline.is_some_and(|d| d <= at) && self.kind() == NoticeKind::Scheduled,
        };
        match (done, self.clear, self.back) {
            (false, ..) => Outcome::Stayed,
            _ if self.is_stranger() => Outcome::TookPlace,
            (true, Some(clear), Some(back)) if !self.tasks.is_empty() && deadline.is_none_or(|d| clear <= d) => {
                let left = deadline.map(|d| (d - clear.max(back)).num_seconds().max(0));
                Outcome::Evacuated { left }
            }
            _ => Outcome::TookPlace,
        }
    }

    /// How it is going to end, as it looks now; `None` without a deadline, or once it has.
    /// `blocked` tells whether a disruption budget holds a task.
    #[must_use]
    pub fn verdict(&self, blocked: impl Fn(&AtRisk) -> bool, now: Timestamp) -> Option<Verdict> {
        self.verdict_by(&Sum::of(&self.tasks, blocked), now)
    }

    /// The same, by what its tasks amount to.
    pub(super) fn verdict_by(&self, sum: &Sum, now: Timestamp) -> Option<Verdict> {
        if !self.is_open() {
            return None;
        }
        let Deadline { at: deadline, precision } = self.deadline()?;
        if self.cut() > 0 {
            return Some(Verdict::Cut);
        }
        // Fargate leaves no task longer than this; until then nobody knows that one is cut.
        let is_sure = precision != Precision::Usual || now > deadline - STOP_TIMEOUT + LONGEST;
        let look = Look {
            deadline,
            now,
            held: self.held.is_some_and(|at| (now - at).abs() <= HELD),
            idle: self.is_idle(sum, deadline, now),
        };
        Some(match sum.verdict(look) {
            Some(v) if is_sure => v,
            Some(v) => v.min(Verdict::Tight),
            None if self.back.is_none() && deadline - now < TimeDelta::seconds(30) => Verdict::Tight,
            None => Verdict::Safe,
        })
    }

    /// True if nobody seems to empty it, though it is time: a while after the notice nothing has
    /// begun to leave, and it still takes tasks.
    fn is_idle(&self, sum: &Sum, deadline: Timestamp, now: Timestamp) -> bool {
        // Who takes back a task of Fargate's tells it to end with the notice.
        let machine = !matches!(self.victim, Victim::Task(_));
        let due = deadline - now <= INTERRUPTION && now - self.heard > PATIENCE;
        machine && due && self.shut.is_none() && !sum.begun && self.tasks.iter().all(|t| t.left.is_none())
    }

    /// What is kept of it once it is over.
    #[must_use]
    pub fn record(&self) -> Option<Record> {
        let (outcome, _) = self.outcome?;
        let (cluster, name) = match (&self.node, self.tasks.first()) {
            (Some(node), _) => (node.cluster.clone(), node.name.clone()),
            (None, Some(task)) => (task.id.cluster.clone(), task.id.name.clone()),
            (None, None) => (crate::domain::ClusterId::new(""), Text::empty()),
        };
        Some(Record {
            victim: self.victim.clone(),
            cluster: Text::new(cluster.as_str()),
            name,
            kind: self.kind(),
            fate: self.main().map(|n| n.fate).unwrap_or_default(),
            born: self.born,
            issued: self.issued(),
            deadline: self.deadline().map(|d| d.at),
            gone: self.gone.as_ref().map(|g| g.at),
            instance_type: self.place.instance_type.clone(),
            zone: self.place.zone.clone(),
            region: self.place.region.clone(),
            spot: self.capacity == CapacityType::Spot,
            tasks: u32::try_from(self.tasks.len()).unwrap_or(u32::MAX),
            outcome,
            told_by: self.told_by().map(|(feed, _)| feed),
            late_ms: self.told_by().and_then(|(_, late)| late).map(|l| l.num_milliseconds()),
        })
    }
}
