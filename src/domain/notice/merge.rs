//! What several feeds tell of one victim, as one notice.

use std::collections::{BTreeMap, HashSet};

use chrono::TimeDelta;

use super::{Deadline, Fate, NoticeFeed, NoticeKind, Place, Sighting, Victim};
use crate::domain::{Text, Timestamp};

/// What is told further apart than this is of two stories: an instance that was stopped
/// and came back may be interrupted again.
pub const ANOTHER: TimeDelta = TimeDelta::minutes(30);

/// How one feed told of a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telling {
    /// Who.
    pub feed: NoticeFeed,
    /// When the notice was given, by its word.
    pub issued: Option<Timestamp>,
    /// When the console learnt of it from there first.
    pub seen: Timestamp,
    /// How many messages said so; the same message twice counts once.
    pub messages: u32,
}

/// A notice: what is known of one victim's end from all feeds together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What is going to go.
    pub victim: Victim,
    /// Why.
    pub kind: NoticeKind,
    /// When the notice was given: the earliest that anybody says, else when it was seen.
    pub issued: Timestamp,
    /// True if [`Notice::issued`] is when it was seen: nobody says when it was given.
    pub issued_unknown: bool,
    /// When it goes, as the one who knows best says; the earliest of several who do. Of maintenance
    /// the newest word of each feed counts.
    pub deadline: Option<Deadline>,
    /// What is done to it.
    pub fate: Fate,
    /// Where it is.
    pub place: Place,
    /// More, in words.
    pub detail: Text,
    /// Who told, the first first.
    pub told: Vec<Telling>,
}

impl Notice {
    /// The notices that a set of sightings of one victim and kind amounts to, oldest
    /// first. Neither the order nor repetition matters.
    #[must_use]
    pub fn merged(sightings: &[Sighting]) -> Vec<Self> {
        let mut all: Vec<&Sighting> = sightings.iter().collect();
        // One message is one sighting, the first, whenever it comes again; maintenance has a name
        // that all that is said of it carries.
        all.sort_by(|a, b| a.seen.cmp(&b.seen).then_with(|| a.cmp(b)));
        let mut known = HashSet::new();
        let scheduled = |s: &Sighting| s.kind == NoticeKind::Scheduled;
        all.retain(|s| s.message.is_empty() || scheduled(s) || known.insert((s.feed, &s.message)));
        all.sort_by(|a, b| order(a).cmp(&order(b)).then_with(|| a.cmp(b)));
        let mut out: Vec<Vec<&Sighting>> = Vec::new();
        let mut last: Option<Timestamp> = None;
        for s in all {
            let at = s.issued.unwrap_or(s.seen);
            // What is to come in weeks is told of for weeks.
            if last.is_some_and(|l| at - l <= ANOTHER || scheduled(s)) && !out.is_empty() {
                if let Some(story) = out.last_mut() {
                    story.push(s);
                }
            } else {
                out.push(vec![s]);
            }
            last = last.max(Some(at));
        }
        out.iter().filter_map(|story| Self::of(story)).collect()
    }

    /// The one that a story amounts to; `None` for an empty one.
    fn of(story: &[&Sighting]) -> Option<Self> {
        let first = story.iter().min_by_key(|s| (s.seen, s.feed))?;
        let issued = story.iter().filter_map(|s| s.issued).min();
        let mut messages: BTreeMap<NoticeFeed, (Vec<&Text>, Telling)> = BTreeMap::new();
        for s in story {
            let fresh = || (Vec::new(), Telling { feed: s.feed, issued: s.issued, seen: s.seen, messages: 0 });
            let (known, telling) = messages.entry(s.feed).or_insert_with(fresh);
            telling.seen = telling.seen.min(s.seen);
            telling.issued = telling.issued.into_iter().chain(s.issued).min();
            if !known.contains(&&s.message) {
                known.push(&s.message);
                telling.messages += 1;
            }
        }
        let mut told: Vec<Telling> = messages.into_values().map(|(_, t)| t).collect();
        told.sort_by_key(|t| (t.seen, t.feed));
        // Words and places: of those that say something, the one who knows best.
        let mut by_rank: Vec<&&Sighting> = story.iter().collect();
        by_rank.sort_by_key(|s| (s.feed, s.issued.unwrap_or(s.seen), &s.detail, &s.place, s.fate));
        let said = |of: fn(&Sighting) -> &Text| {
            by_rank.iter().map(|s| of(s)).find(|t| !t.is_empty()).cloned().unwrap_or_else(Text::empty)
        };
        Some(Self {
            victim: first.victim.clone(),
            kind: first.kind,
            issued: issued.unwrap_or(first.seen),
            issued_unknown: issued.is_none(),
            deadline: if first.kind == NoticeKind::Scheduled {
                // It may be put off, or be brought forward.
                newest(story).iter().filter_map(|s| s.deadline).min()
            } else {
                story.iter().filter_map(|s| s.deadline).min()
            },
            fate: by_rank.iter().map(|s| s.fate).find(|f| *f != Fate::Unknown).unwrap_or_default(),
            place: Place {
                account: said(|s| &s.place.account),
                region: said(|s| &s.place.region),
                zone: said(|s| &s.place.zone),
                instance_type: said(|s| &s.place.instance_type),
            },
            detail: said(|s| &s.detail),
            told,
        })
    }

    /// Who told first.
    #[must_use]
    pub fn told_by(&self) -> Option<&Telling> {
        self.told.first()
    }

    /// How long after the notice was given the console learnt of it; `None` if nobody
    /// says when it was given.
    #[must_use]
    pub fn lateness(&self) -> Option<TimeDelta> {
        let first = self.told_by()?;
        (!self.issued_unknown).then(|| (first.seen - self.issued).max(TimeDelta::zero()))
    }

    /// What is left until the deadline at `now`: negative once it has passed.
    #[must_use]
    pub fn left(&self, now: Timestamp) -> Option<TimeDelta> {
        self.deadline.map(|d| d.at - now)
    }
}

/// Of each feed's word of each event the newest.
fn newest<'s>(story: &[&'s Sighting]) -> Vec<&'s Sighting> {
    let mut by_age = story.to_vec();
    by_age.sort_by(|a, b| order(b).cmp(&order(a)).then_with(|| b.seen.cmp(&a.seen)).then_with(|| b.cmp(a)));
    let mut known = HashSet::new();
    by_age.retain(|s| s.message.is_empty() || known.insert((s.feed, &s.message)));
    by_age
}

fn order(s: &Sighting) -> (Timestamp, NoticeFeed) {
    (s.issued.unwrap_or(s.seen), s.feed)
}
