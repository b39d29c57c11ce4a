//! Alerts that Alertmanagers hold.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use futures::future::join_all;

use super::{Alarms, Lost, listed, needs, said, warn};
use crate::action::desk::Progress;
use crate::action::intent::Verb;
use crate::action::plan::{Change, Fate, Plan, Precondition};
use crate::action::words::joined;
use crate::domain::{ObjectId, Text, Timestamp};
use crate::source::SourceError;
use crate::source::alertmanager::{Cluster, Held, Matcher, NewSilence, Silence, WriteError, Writer};
use crate::source::prometheus::LabelMap;

/// An Alertmanager that may be changed, as it is now.
struct Seen {
    writer: Writer,
    held: Vec<Held>,
    /// Those in force, by identity.
    silences: BTreeMap<String, Silence>,
    cluster: Cluster,
}

/// All of them.
pub(super) struct World {
    seen: Vec<Seen>,
    away: Vec<String>,
}

/// An alert, and those that hold it.
struct Found<'w> {
    alert: &'w Held,
    at: Vec<&'w Seen>,
}

impl Seen {
    async fn look(writer: &Writer, alone: bool) -> Result<Self, SourceError> {
        let (held, silences) = (writer.held().await?, writer.silences().await?);
        // One that does not say is taken for one that is alone: it is told, too.
        let cluster = if alone { Cluster::default() } else { writer.cluster().await.unwrap_or_default() };
        Ok(Self { writer: writer.clone(), held, silences, cluster })
    }
}

impl World {
    /// Asks all at once.
    pub(super) async fn look(writers: &[Writer]) -> Self {
        let alone = writers.len() < 2;
        let answers = join_all(writers.iter().map(|w| Seen::look(w, alone))).await;
        let mut world = Self { seen: Vec::new(), away: Vec::new() };
        for (writer, answer) in writers.iter().zip(answers) {
            match answer {
                Ok(seen) => world.seen.push(seen),
                Err(error) => world.away.push(format!("{}: {}", writer.id(), said(&error))),
            }
        }
        world
    }

    /// Those that could not be looked at, and why.
    pub(super) fn away(&self) -> Vec<String> {
        self.away.clone()
    }

    /// The alert of a row. Where other alerts of its name have come or gone since the row was drawn, its name has a part
    /// of the fingerprint more or less.
    ///
    /// # Errors
    /// In words, where it could be any of several.
    fn find(&self, id: &ObjectId) -> Result<Option<Found<'_>>, String> {
        let all = || self.seen.iter().flat_map(|s| &s.held);
        let exact = all().find(|h| h.id == *id);
        let same_place = |h: &&Held| h.id.cluster == id.cluster && h.id.namespace == id.namespace;
        let found = match (exact, id.name.rsplit_once(" #")) {
            (Some(held), _) => Some(held),
            (None, Some((name, part))) => {
                all().filter(same_place).find(|h| h.id.name.as_str() == name && h.fingerprint.starts_with(part))
            }
            (None, None) => {
                let begins = |h: &&Held| h.id.name.rsplit_once(" #").is_some_and(|(n, _)| n == id.name.as_str());
                let several: BTreeSet<&Text> = all().filter(same_place).filter(begins).map(|h| &h.id.name).collect();
                if !several.is_empty() {
                    let names = listed(several.iter().map(|n| n.as_str()));
                    return Err(format!("several alerts are called {} now; choose of {names}", id.name));
                }
                None
            }
        };
        Ok(found.and_then(|held| self.with(&held.fingerprint)))
    }

    /// The alert with this fingerprint.
    fn with(&self, fingerprint: &Text) -> Option<Found<'_>> {
        let holds = |s: &&Seen| s.held.iter().any(|h| h.fingerprint == *fingerprint);
        let at: Vec<&Seen> = self.seen.iter().filter(holds).collect();
        let alert = at.first()?.held.iter().find(|h| h.fingerprint == *fingerprint)?;
        Some(Found { alert, at })
    }

    /// Whether what a plan was made of is still so.
    ///
    /// # Errors
    /// In words: what is so now.
    pub(super) fn check(&self, fingerprint: &Text, silences: &[Text]) -> Result<(), String> {
        let Some(found) = self.with(fingerprint) else {
            return Err(match self.away.as_slice() {
                [] => "it fires no longer".to_owned(),
                away => format!("it could not be looked at: {}", away.join("; ")),
            });
        };
        let now = found.silences();
        if now.keys().map(|id| Text::new(id)).eq(silences.iter().cloned()) {
            return Ok(());
        }
        Err(if now.is_empty() {
            "nothing silences it any more".to_owned()
        } else {
            format!("meanwhile it is {}", found.silenced())
        })
    }
}

impl<'w> Found<'w> {
    /// The silences over it, by identity.
    fn silences(&self) -> BTreeMap<&'w str, &'w Silence> {
        let mut out = BTreeMap::new();
        for seen in &self.at {
            let held = seen.held.iter().filter(|h| h.fingerprint == self.alert.fingerprint);
            let over = held.flat_map(|h| &h.alert.status.silenced_by);
            out.extend(over.filter_map(|id| seen.silences.get(id)).map(|s| (s.id.as_str(), s)));
        }
        out
    }

    /// Until when it is silenced at the longest.
    fn until(&self) -> Option<Timestamp> {
        self.silences().values().filter_map(|s| s.ends_at).max()
    }

    /// `silenced by ann until ...: upgrade, and by 1 more silence`.
    fn silenced(&self) -> String {
        let all = self.silences();
        let Some(first) = all.values().max_by_key(|s| s.ends_at) else { return "not silenced".to_owned() };
        let more = match all.len() {
            1 => String::new(),
            2 => ", and by 1 more silence".to_owned(),
            n => format!(", and by {} more silences", n - 1),
        };
        format!("silenced by {}{more}", described(first))
    }

    /// Where a new silence has to be made: not twice among those that share theirs.
    fn places(&self) -> Vec<&'w Seen> {
        let mut out: Vec<&Seen> = Vec::new();
        for seen in &self.at {
            let own = &seen.cluster.name;
            if own.is_empty() || !out.iter().any(|s| s.cluster.peers.contains(own)) {
                out.push(seen);
            }
        }
        out
    }

    fn labels(&self) -> &'w LabelMap {
        &self.alert.alert.labels
    }

    fn matchers(&self) -> Vec<Matcher> {
        self.labels().iter().map(|(name, value)| Matcher::equal(name, value)).collect()
    }

    /// Names of other alerts that have the same labels, and more.
    fn also(&self) -> BTreeSet<&'w str> {
        let labels = self.labels();
        let all = self.at.iter().flat_map(|s| &s.held).filter(|h| h.fingerprint != self.alert.fingerprint);
        let same = all.filter(|h| labels.iter().all(|(k, v)| h.alert.labels.get(k) == Some(v)));
        same.map(|h| h.id.name.as_str()).collect()
    }
}

/// `ann until 2026-03-01 16:00 UTC: upgrade`.
fn described(silence: &Silence) -> String {
    let by = if silence.created_by.is_empty() { "somebody" } else { silence.created_by.as_str() };
    let until = silence.ends_at.map(|t| format!(" until {}", moment(t))).unwrap_or_default();
    let why = if silence.comment.is_empty() { String::new() } else { format!(": {}", silence.comment) };
    format!("{by}{until}{why}")
}

/// The words of an `amtool` command.
fn amtool(writer: &Writer, words: Vec<String>) -> Vec<String> {
    let hand = writer.by_hand();
    let mut out = Vec::new();
    if !hand.before.is_empty() {
        out.push(joined(&hand.before));
    }
    let mut all = vec!["amtool".to_owned(), format!("--alertmanager.url={}", hand.url)];
    all.extend(words);
    out.push(joined(&all));
    out
}

/// What every silence of a run has in common.
pub(super) struct Wanted {
    starts: Timestamp,
    duration: u32,
    who: String,
    why: String,
}

impl Wanted {
    fn until(&self) -> Timestamp {
        self.starts + TimeDelta::seconds(i64::from(self.duration))
    }

    fn silence(&self, found: &Found<'_>) -> NewSilence {
        NewSilence {
            matchers: found.matchers(),
            starts_at: self.starts,
            ends_at: self.until(),
            created_by: self.who.clone(),
            comment: self.why.clone(),
        }
    }
}

impl Alarms {
    /// What a run of this plan wants of a silence. Alertmanager keeps milliseconds.
    pub(super) fn wanted(&self, plan: &Plan, progress: &Progress) -> Wanted {
        let reason = progress.reason().trim();
        Wanted { why: self.because(reason), ..self.want(plan, self.clock.now()) }
    }

    fn want(&self, plan: &Plan, now: Timestamp) -> Wanted {
        let starts = Timestamp::from_timestamp_millis(now.timestamp_millis()).unwrap_or(now);
        Wanted { starts, duration: plan.intent.options.duration, who: self.who.to_string(), why: self.because("") }
    }

    fn because(&self, reason: &str) -> String {
        if reason.is_empty() { format!("silenced by {} via quarterdeck", self.who) } else { reason.to_owned() }
    }

    /// Plans for those that an Alertmanager holds; returns the others.
    pub(super) async fn plan_alerts(&self, world: &World, targets: Vec<ObjectId>, plan: &mut Plan) -> Vec<ObjectId> {
        let mut rest = Vec::new();
        let mut places: BTreeMap<&str, &Writer> = BTreeMap::new();
        let several = targets.len() > 1;
        // Who is silenced or not together with them is no surprise.
        let chosen: BTreeSet<Text> =
            targets.iter().filter_map(|t| world.find(t).ok().flatten()).map(|f| f.alert.fingerprint.clone()).collect();
        for id in targets {
            let found = match world.find(&id) {
                Ok(Some(found)) => found,
                Ok(None) => {
                    rest.push(id);
                    continue;
                }
                Err(why) => {
                    plan.refused.push(Text::new(&why));
                    continue;
                }
            };
            let mut change = Change {
                target: id,
                field: Text::new("notifications"),
                from: Text::new(&found.silenced()),
                to: Text::empty(),
                fate: Fate::Acts,
                note: Text::empty(),
                precondition: Precondition::Alert {
                    fingerprint: found.alert.fingerprint.clone(),
                    silences: found.silences().keys().map(|id| Text::new(id)).collect(),
                },
            };
            let at: Vec<&Seen> = if plan.intent.verb == Verb::Silence {
                self.plan_silence(&found, &mut change, several, plan)
            } else {
                plan_unsilence(&found, &mut change, &chosen, plan)
            };
            places.extend(at.iter().map(|s| (s.writer.id().as_str(), &s.writer)));
            plan.changes.push(change);
        }
        for writer in places.values() {
            let (what, allowed) = writer.needs(plan.intent.verb == Verb::Silence).await;
            needs(plan, &what, allowed);
        }
        if !places.is_empty() {
            plan.undo = Text::new(if plan.intent.verb == Verb::Silence {
                "unsilence ends it again, with whatever else silences the same alert by then"
            } else {
                "silence it again for the time that was left; not the other alerts that its silence covered"
            });
        }
        rest
    }

    fn plan_silence<'w>(
        &self,
        found: &Found<'w>,
        change: &mut Change,
        several: bool,
        plan: &mut Plan,
    ) -> Vec<&'w Seen> {
        let wanted = self.want(plan, plan.made);
        let until = wanted.until();
        if found.labels().is_empty() {
            plan.refused.push(Text::new(&format!("{} has no labels to silence it by", change.target.name)));
            return Vec::new();
        }
        if found.until().is_some_and(|t| t >= until) {
            change.fate = Fate::Stays;
            change.note = Text::new(&format!("it is {} already", found.silenced()));
            return Vec::new();
        }
        change.to = Text::new(&format!("silenced until {} ({})", moment(until), span(wanted.duration)));
        let places = found.places();
        let names: Vec<&str> = places.iter().map(|s| s.writer.id().as_str()).collect();
        change.note = Text::new(&format!("at {}", names.join(" and ")));
        if several {
            plan.diff.push(Text::new(&format!("  {}:", change.target.name)));
        }
        let matchers = found.matchers();
        plan.diff.extend(matchers.iter().map(|m| Text::new(&format!("+ {m}"))));
        for seen in &places {
            let mut words = ["silence", "add"].map(str::to_owned).to_vec();
            words.push(format!("--author={}", wanted.who));
            words.push(format!("--duration={}", span(wanted.duration)));
            words.push(format!("--comment={}", wanted.why));
            words.extend(matchers.iter().map(ToString::to_string));
            equivalent(plan, amtool(&seen.writer, words));
        }
        let also = found.also();
        if !also.is_empty() {
            let (n, names) = (also.len(), listed(also.iter().copied()));
            let text = format!("the same labels and more have {n} other alerts, which are silenced with it: {names}");
            warn(plan, &text);
        }
        if found.alert.alert.status.inhibited_by.is_empty() {
            return places;
        }
        warn(plan, &format!("nobody is told of {} now: another alert inhibits it", change.target.name));
        places
    }
}

fn plan_unsilence<'w>(
    found: &Found<'w>,
    change: &mut Change,
    chosen: &BTreeSet<Text>,
    plan: &mut Plan,
) -> Vec<&'w Seen> {
    let silences = found.silences();
    let status = &found.alert.alert.status;
    let hushed = !status.inhibited_by.is_empty() || !status.muted_by.is_empty();
    if silences.is_empty() {
        change.fate = Fate::Stays;
        let note = if hushed {
            "no silence is over it: another alert or a time interval hushes it"
        } else {
            "nothing silences it"
        };
        change.note = Text::new(note);
        return Vec::new();
    }
    change.to = Text::new(if hushed { "not silenced; something else hushes it still" } else { "not silenced" });
    let mut at: Vec<&Seen> = Vec::new();
    for (id, silence) in silences {
        let Some(seen) = found.at.iter().find(|s| s.silences.contains_key(id)) else { continue };
        if !at.iter().any(|s| s.writer.id() == seen.writer.id()) {
            at.push(seen);
        }
        plan.diff.extend(
            silence
                .matchers
                .iter()
                .map(|m| Text::new(&format!("- {m}")))
                .filter(|l| !plan.diff.contains(l))
                .collect::<Vec<_>>(),
        );
        equivalent(plan, amtool(&seen.writer, ["silence", "expire", id].map(str::to_owned).to_vec()));
        let covers = |h: &&Held| h.alert.status.silenced_by.iter().any(|s| s == id);
        let others: BTreeSet<&str> = seen
            .held
            .iter()
            .filter(|h| !chosen.contains(&h.fingerprint))
            .filter(covers)
            .map(|h| h.id.name.as_str())
            .collect();
        if !others.is_empty() {
            let (n, names) = (others.len(), listed(others.iter().copied()));
            let word = if n == 1 { "alert" } else { "alerts" };
            warn(
                plan,
                &format!(
                    "the silence by {} covers {n} other {word}, and ends for them, too: {names}",
                    described(silence)
                ),
            );
        }
    }
    at
}

fn equivalent(plan: &mut Plan, lines: Vec<String>) {
    for line in lines {
        if !plan.equivalent.contains(&line) {
            plan.equivalent.push(line);
        }
    }
}

/// Does what was planned, one alert after the other.
pub(super) struct Hand<'w> {
    world: &'w World,
    wanted: Wanted,
    /// Silences that were ended, and when they would have.
    ended: BTreeMap<String, Option<Timestamp>>,
}

impl<'w> Hand<'w> {
    pub(super) fn new(world: &'w World, wanted: Wanted) -> Self {
        Self { world, wanted, ended: BTreeMap::new() }
    }

    /// How long the longest of what was ended would have gone on, in seconds.
    pub(super) fn left(&self, now: Timestamp) -> Option<u32> {
        let until = self.ended.values().flatten().max()?;
        Some(u32::try_from((*until - now).num_seconds()).unwrap_or(u32::MAX).max(1))
    }

    pub(super) async fn act(&mut self, verb: Verb, fingerprint: &Text) -> Result<String, Lost> {
        let Some(found) = self.world.with(fingerprint) else {
            return Err(Lost::No("it fires no longer".to_owned()));
        };
        if verb == Verb::Silence { self.silence(&found).await } else { self.unsilence(&found).await }
    }

    async fn silence(&self, found: &Found<'_>) -> Result<String, Lost> {
        let new = self.wanted.silence(found);
        for seen in found.places() {
            match seen.writer.silence(&new).await {
                Ok(_) => {}
                Err(error) => settled(&seen.writer, error, |all| all.values().any(|s| new.is(s))).await?,
            }
        }
        Ok(format!("silenced until {}", moment(new.ends_at)))
    }

    async fn unsilence(&mut self, found: &Found<'_>) -> Result<String, Lost> {
        let silences = found.silences();
        let count = silences.len();
        for (id, silence) in silences {
            let Some(seen) = found.at.iter().find(|s| s.silences.contains_key(id)) else { continue };
            if self.ended.contains_key(id) {
                continue;
            }
            if let Err(error) = seen.writer.expire(id).await {
                settled(&seen.writer, error, |all| !all.contains_key(id)).await?;
            }
            self.ended.insert(id.to_owned(), silence.ends_at);
        }
        Ok(if count == 1 { "its silence is ended".to_owned() } else { format!("its {count} silences are ended") })
    }
}

/// What became of a change that got no good answer: where nobody can say, what is there now says it.
async fn settled(
    writer: &Writer,
    error: WriteError,
    is_done: impl Fn(&BTreeMap<String, Silence>) -> bool,
) -> Result<(), Lost> {
    let lost = match error {
        WriteError::Refused(error) => return Err(Lost::No(format!("{}: {}", writer.id(), said(&error)))),
        WriteError::Unknown(error) => error,
    };
    match writer.silences().await {
        Ok(all) if is_done(&all) => Ok(()),
        Ok(_) => Err(Lost::No(format!("{}: {}; it was not done", writer.id(), said(&lost)))),
        Err(_) => Err(Lost::Unknown(format!("{}: {}", writer.id(), said(&lost)))),
    }
}

/// As the console writes the end of a silence elsewhere.
fn moment(at: Timestamp) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// `2h`, `90m`, `45s`: the largest unit that fits.
fn span(secs: u32) -> String {
    match secs {
        s if s > 0 && s % 86_400 == 0 => format!("{}d", s / 86_400),
        s if s > 0 && s % 3600 == 0 => format!("{}h", s / 3600),
        s if s > 0 && s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_in_the_largest_unit_that_fits() {
        assert_eq!([0, 45, 90, 120, 5400, 7200, 172_800].map(span), ["0s", "45s", "90s", "2m", "90m", "2h", "2d"]);
    }
}
