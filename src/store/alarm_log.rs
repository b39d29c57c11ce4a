//! What was seen of each alarm: its transitions, whether it flaps, whether anybody has
//! looked since it appeared, and whom it pages.

use foldhash::HashMap;
use std::collections::VecDeque;

use chrono::TimeDelta;

use crate::domain::glob::glob;
use crate::domain::{Alarm, AlarmState, ObjectId, Severity, Text, Timestamp};

/// How many transitions are kept of one alarm; the oldest go first.
pub const CHANGES: usize = 32;
/// An alarm that changed its state so often within [`FLAPPING_WITHIN`] flaps: it fired and
/// recovered twice, or more.
pub const FLAPPING: usize = 4;
/// How far back changes count as flapping.
pub const FLAPPING_WITHIN: TimeDelta = TimeDelta::hours(1);
/// An alarm that was told of and fires again within this time is not told of again.
pub const TOLD_FOR: TimeDelta = TimeDelta::hours(1);
/// How many alarms are remembered at the most; of those that are gone, any may go.
const REMEMBERED: usize = 10_000;

/// One transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// When, as the alarm's system says, else when it was noticed.
    pub at: Timestamp,
    /// What it became.
    pub state: AlarmState,
    /// False for the state that the alarm was found in: its change was not seen.
    pub seen: bool,
}

/// One alarm as it was seen.
#[derive(Debug, Default)]
struct Seen {
    changes: VecDeque<Change>,
    /// When it began to fire, before anybody's eyes; `None` for what fired already when
    /// its source was first read.
    appeared: Option<Timestamp>,
    paging: bool,
    gone: bool,
}

/// The transitions of all alarms.
#[derive(Debug, Default)]
pub struct AlarmLog {
    of: HashMap<ObjectId, Seen>,
    /// What appeared until then has been looked at.
    looked: Option<Timestamp>,
    /// When each alarm was told of last, by its own system's name.
    told: HashMap<Text, Timestamp>,
    pages: Vec<ObjectId>,
}

impl AlarmLog {
    /// Takes in an alarm as it stands; `first` if its source's first list is not complete.
    pub(super) fn record(&mut self, alarm: &Alarm, at: Timestamp, first: bool) {
        let seen = self.of.entry(alarm.id.clone()).or_default();
        seen.gone = false;
        let last = seen.changes.back().copied();
        if last.is_none_or(|l| l.state != alarm.state) {
            // Never before what came before it, whatever the other side's clock says.
            let told = alarm.since.filter(|t| *t <= at && last.is_none_or(|l| *t >= l.at));
            // What appears firing after the first list has changed before our eyes.
            let new = last.is_some() || (!first && alarm.state == AlarmState::Firing);
            if seen.changes.len() == CHANGES {
                seen.changes.pop_front();
            }
            seen.changes.push_back(Change { at: told.unwrap_or(at), state: alarm.state, seen: new });
            seen.appeared = (alarm.state == AlarmState::Firing && new && !first).then_some(at);
        }
        let paging = alarm.is_paging();
        if paging && !seen.paging && !first {
            let name = if alarm.uid.is_empty() { Text::new(&alarm.id.to_string()) } else { alarm.uid.clone() };
            let again = self.told.insert(name, at).is_some_and(|before| at - before < TOLD_FOR);
            if !again {
                self.pages.push(alarm.id.clone());
            }
        }
        seen.paging = paging;
    }

    /// The alarm is not there any more: as good as over.
    pub(super) fn gone(&mut self, id: &ObjectId, at: Timestamp) {
        if let Some(seen) = self.of.get_mut(id) {
            (seen.gone, seen.paging, seen.appeared) = (true, false, None);
            if seen.changes.back().is_some_and(|c| c.state != AlarmState::Ok) {
                if seen.changes.len() == CHANGES {
                    seen.changes.pop_front();
                }
                seen.changes.push_back(Change { at, state: AlarmState::Ok, seen: true });
            }
        }
        if self.of.len() > REMEMBERED {
            self.of.retain(|_, seen| !seen.gone);
        }
        self.told.retain(|_, told| at - *told < TOLD_FOR);
    }

    /// How many alarms are remembered, those that are gone included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.of.len()
    }

    /// True if none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// The transitions of an alarm that were seen, oldest first, at most [`CHANGES`].
    pub fn changes(&self, id: &ObjectId) -> impl DoubleEndedIterator<Item = &Change> {
        self.of.get(id).into_iter().flat_map(|seen| &seen.changes)
    }

    /// The transitions of every alarm that is remembered, those that are gone included; of each alarm
    /// the oldest first.
    pub fn all(&self) -> impl Iterator<Item = (&ObjectId, &Change)> {
        self.of.iter().flat_map(|(id, seen)| seen.changes.iter().map(move |c| (id, c)))
    }

    /// How often an alarm changed within the last hour.
    #[must_use]
    pub fn recent(&self, id: &ObjectId, now: Timestamp) -> usize {
        self.changes(id).filter(|c| c.seen && now - c.at < FLAPPING_WITHIN).count()
    }

    /// True if it goes up and down: [`FLAPPING`] changes within [`FLAPPING_WITHIN`].
    #[must_use]
    pub fn is_flapping(&self, id: &ObjectId, now: Timestamp) -> bool {
        self.recent(id, now) >= FLAPPING
    }

    /// True if it began to fire since somebody last looked at the alarms.
    #[must_use]
    pub fn is_new(&self, id: &ObjectId) -> bool {
        let appeared = self.of.get(id).and_then(|seen| seen.appeared);
        appeared.is_some_and(|at| self.looked.is_none_or(|until| at > until))
    }

    /// Somebody has looked at all that had appeared until then.
    pub fn look(&mut self, until: Timestamp) {
        self.looked = self.looked.max(Some(until));
    }

    /// Page-level alarms that began to fire since this was last asked; each once, and not
    /// again for an hour, however often it recovers and fires.
    pub fn take_pages(&mut self) -> Vec<ObjectId> {
        std::mem::take(&mut self.pages)
    }
}

/// What the user says of alarms in general.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AlarmRules {
    /// What the words of labels and descriptions mean, lower case; before what the
    /// console takes them for.
    pub severities: Vec<(String, Severity)>,
    /// Runbooks by the names of alarms; the first pattern that fits counts.
    pub runbooks: Vec<(String, Text)>,
}

/// The labels that may say how much an alarm matters.
const SEVERITY_LABELS: [&str; 3] = ["severity", "priority", "level"];

impl AlarmRules {
    /// Puts the user's word in force.
    pub(super) fn apply(&self, alarm: &mut Alarm) {
        let mapped = |word: &str| self.severities.iter().find(|(w, _)| w.eq_ignore_ascii_case(word)).map(|(_, s)| *s);
        if !self.severities.is_empty() {
            let by_label = SEVERITY_LABELS.iter().find_map(|l| mapped(alarm.label(l)?));
            let by_text = || mapped(&Severity::word_in(&alarm.summary)?);
            if let Some(severity) = by_label.or_else(by_text) {
                alarm.severity = severity;
            }
        }
        if alarm.runbook.is_empty() {
            let fits = |pattern: &str| glob(pattern, &alarm.id.name) || glob(pattern, alarm.alert_name());
            if let Some((_, url)) = self.runbooks.iter().find(|(pattern, _)| fits(pattern)) {
                alarm.runbook = url.clone();
            }
        }
    }
}
