//! What EC2 says itself: the status of spot requests, scheduled events, why instances
//! ended. Needs no set-up but permissions; a few seconds later than events.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, TimeDelta};
use tokio::time::Instant;

use super::{Talk, clipped};
use crate::domain::notice::{
    AT_ONCE, Deadline, Departure, Ending, Fate, INTERRUPTION, NoticeFeed, NoticeKind, Place, Sighting,
};
use crate::domain::notice::{Told, Victim};
use crate::domain::{Text, Timestamp};
use crate::source::SourceError;
use crate::source::aws::query::Xml;
use crate::source::aws::{Account, Tokens};
use crate::source::supervise::ABSENT_RETRY;

/// EC2's API version.
const VERSION: &str = "2016-11-15";
/// A request gets one of these the moment its capacity is taken back, two minutes before
/// the instance goes; `marked-for-*` only where it is stopped or hibernated instead.
const STATUS: [(&str, Fate); 8] = [
    ("instance-terminated-no-capacity", Fate::Terminate),
    ("instance-terminated-by-price", Fate::Terminate),
    ("instance-terminated-capacity-oversubscribed", Fate::Terminate),
    ("instance-terminated-by-experiment", Fate::Terminate),
    ("marked-for-termination", Fate::Terminate),
    ("marked-for-stop", Fate::Stop),
    ("marked-for-stop-by-experiment", Fate::Stop),
    ("marked-for-hibernation", Fate::Hibernate),
];
/// What is scheduled.
const EVENTS: [(&str, Fate); 5] = [
    ("instance-reboot", Fate::Reboot),
    ("system-reboot", Fate::Reboot),
    ("system-maintenance", Fate::Unknown),
    ("instance-retirement", Fate::Unknown),
    ("instance-stop", Fate::Stop),
];
/// Requests that changed longer ago tell nothing that could still matter.
const LATELY: TimeDelta = TimeDelta::hours(1);
/// EC2 leaves what it announces its two minutes, to within so much.
const EARLY: TimeDelta = TimeDelta::seconds(15);
/// What is scheduled is days ahead.
const SCHEDULED: Duration = Duration::from_mins(1);
/// In so many rounds at the latest, where they are quick.
const SELDOM: u32 = 20;
/// Instances that were taken without a word.
const TAKEN: Duration = Duration::from_secs(20);
/// A filter takes so many values.
const VALUES: usize = 200;

/// A request for a spot instance that EC2 takes back.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Request {
    id: String,
    victim: String,
    code: String,
    updated: Option<Timestamp>,
    zone: String,
    size: String,
}

/// What an instance is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Instance {
    state: String,
    /// Why it is in that state, by code.
    reason: String,
    /// The same in words, with the time.
    words: String,
    zone: String,
    size: String,
}

impl Instance {
    fn runs(&self) -> bool {
        matches!(self.state.as_str(), "pending" | "running")
    }

    fn was_taken(&self) -> bool {
        matches!(self.reason.as_str(), "Server.SpotInstanceTermination" | "Server.SpotInstanceShutdown")
    }
}

/// A question that may not be asked, and since when.
#[derive(Debug, Default)]
struct Denied(HashMap<&'static str, Instant>);

impl Denied {
    /// True if it is not to be asked now.
    fn holds(&self, what: &str) -> bool {
        self.0.get(what).is_some_and(|at| at.elapsed() < ABSENT_RETRY)
    }
}

struct Poll {
    talk: Talk,
    /// Requests that were told of: id, code and time.
    told: HashSet<(String, String, Option<Timestamp>)>,
    /// Instances that are going to go, until they have gone.
    going: BTreeMap<String, Request>,
    /// Instances that were told to be gone.
    gone: HashSet<String>,
    /// Scheduled events by instance and event, and whether they are over.
    scheduled: HashMap<(String, String), (bool, String)>,
    denied: Denied,
    scheduled_at: Option<Instant>,
    /// Between two questions for maintenance.
    scheduled_every: Duration,
    taken_at: Option<Instant>,
    /// The first look at what was taken: nobody says when that was.
    first_taken: bool,
}

/// Reads until it is stopped.
pub(super) async fn run(talk: Talk, interval: Duration) {
    let mut poll = Poll {
        talk,
        told: HashSet::new(),
        going: BTreeMap::new(),
        gone: HashSet::new(),
        scheduled: HashMap::new(),
        denied: Denied::default(),
        scheduled_at: None,
        scheduled_every: SCHEDULED.min(interval * SELDOM),
        taken_at: None,
        first_taken: true,
    };
    let mut first = true;
    loop {
        match poll.round().await {
            Ok(told) => {
                poll.talk.tell(told).await;
                poll.talk.went_well(&mut first).await;
                poll.talk.supervisor.pause(interval).await;
            }
            Err(error @ SourceError::NotFound { .. }) => poll.talk.supervisor.absent(error.text(), false).await,
            Err(error) => poll.talk.supervisor.failed(&error).await,
        }
    }
}

fn due(at: Option<Instant>, every: Duration) -> bool {
    at.is_none_or(|at| at.elapsed() >= every)
}

impl Poll {
    /// One round. One question that may not be asked does not hide the others; none that
    /// may is an error.
    async fn round(&mut self) -> Result<Vec<Told>, SourceError> {
        let mut told = Vec::new();
        let (mut answered, mut refused) = (false, None);
        if Part::ALL.iter().all(|part| self.denied.holds(part.action())) {
            // Nothing would be asked at all, and that is no good round.
            self.denied.0.clear();
        }
        for part in Part::ALL {
            if self.denied.holds(part.action()) {
                continue;
            }
            let outcome = match part {
                Part::Requests => self.requests(&mut told).await,
                Part::Scheduled if due(self.scheduled_at, self.scheduled_every) => self.scheduled(&mut told).await,
                Part::Taken if due(self.taken_at, TAKEN) => self.taken(&mut told).await,
                Part::Scheduled | Part::Taken => continue,
            };
            match outcome {
                Ok(()) => answered = true,
                Err(error @ (SourceError::Forbidden { .. } | SourceError::NotFound { .. })) => {
                    self.denied.0.insert(part.action(), Instant::now());
                    refused = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        match refused {
            Some(error) if answered => {
                self.talk.note(&error.to_string()).await;
                Ok(told)
            }
            Some(error) => Err(error),
            None => Ok(told),
        }
    }

    async fn ask(&self, action: &'static str, filters: &[(&str, Vec<String>)]) -> Result<Vec<Xml>, SourceError> {
        pages(&self.talk.account, action, filters).await
    }

    /// Spot requests whose capacity is taken back.
    async fn requests(&mut self, told: &mut Vec<Told>) -> Result<(), SourceError> {
        let codes = STATUS.iter().map(|(code, _)| (*code).to_owned()).collect();
        let mut found: Vec<Request> = Vec::new();
        for page in self.ask("DescribeSpotInstanceRequests", &[("status-code", codes)]).await? {
            page.each("spotInstanceRequestSet", "item", |get| found.extend(request(get)));
        }
        let now = self.talk.clock.now();
        let recent: Vec<Request> = found
            .into_iter()
            .map(|r| Request { updated: r.updated.map(|t| self.talk.here(t)), ..r })
            .filter(|r| r.updated.is_none_or(|t| t >= now - LATELY) && !self.gone.contains(&r.victim))
            .collect();
        for r in &recent {
            self.going.insert(r.victim.clone(), r.clone());
        }
        if self.going.is_empty() {
            return Ok(());
        }
        let ids: BTreeSet<String> = self.going.keys().cloned().collect();
        let instances = if self.denied.holds(Part::Taken.action()) { None } else { self.those_of(&ids).await? };
        for r in recent {
            let instance = instances.as_ref().and_then(|all| all.get(&r.victim));
            // One that nobody knows any more went long ago.
            if instances.is_some() && instance.is_none() {
                continue;
            }
            if self.told.insert((r.id.clone(), r.code.clone(), r.updated))
                && instance.is_none_or(|i| self.ran_on(&r, i, now))
            {
                told.push(Told::Notice(self.interruption(&r, instance, now)));
            }
        }
        if let Some(instances) = instances {
            self.departed(&instances, now, told);
        }
        Ok(())
    }

    /// The same as [`Poll::instances`]; `None` if that may not be asked: whether they still
    /// run is not known then, but that they go is.
    async fn those_of(&mut self, ids: &BTreeSet<String>) -> Result<Option<HashMap<String, Instance>>, SourceError> {
        match self.instances(ids).await {
            Ok(instances) => Ok(Some(instances)),
            Err(error @ SourceError::Forbidden { .. }) => {
                self.denied.0.insert(Part::Taken.action(), Instant::now());
                self.talk.note(&error.to_string()).await;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn place(&self, zone: &str, instance_type: &str) -> Place {
        Place {
            account: Text::empty(),
            region: Text::new(self.talk.account.spec.region.as_deref().unwrap_or_default()),
            zone: Text::new(&clipped(zone, 40)),
            instance_type: Text::new(&clipped(instance_type, 40)),
        }
    }

    fn interruption(&self, r: &Request, instance: Option<&Instance>, now: Timestamp) -> Sighting {
        let fate = STATUS.iter().find(|(code, _)| *code == r.code).map_or(Fate::Unknown, |(_, fate)| *fate);
        let spell = if fate == Fate::Hibernate { TimeDelta::zero() } else { INTERRUPTION };
        let deadline = match r.updated {
            Some(at) => Deadline::exact(at + spell),
            None => Deadline::at_latest(now + spell),
        };
        let own = |of: fn(&Instance) -> &String, other: &String| {
            instance.map(of).filter(|s| !s.is_empty()).unwrap_or(other).clone()
        };
        let stamp = r.updated.map(|t| t.timestamp()).unwrap_or_default();
        Sighting {
            victim: Victim::Instance(Text::new(&r.victim)),
            kind: NoticeKind::Interruption,
            feed: NoticeFeed::Ec2,
            message: Text::new(&format!("{}/{}/{stamp}", r.id, r.code)),
            issued: r.updated,
            seen: now,
            deadline: Some(deadline),
            fate,
            place: self.place(&own(|i| &i.zone, &r.zone), &own(|i| &i.size, &r.size)),
            detail: Text::new(&r.code),
        }
    }

    /// True if the instance ran on when its request's status changed: then it was a notice. Of
    /// one that had ended before this was first asked, what EC2 says of its end tells, else
    /// the time: what was announced has two minutes, unless somebody else ends it.
    fn ran_on(&self, r: &Request, instance: &Instance, now: Timestamp) -> bool {
        // Hibernation begins with its notice.
        let asked = !instance.runs() && r.code != "marked-for-hibernation";
        let Some(updated) = r.updated.filter(|_| asked) else { return true };
        match when(&instance.words).map(|t| self.talk.here(t)) {
            Some(went) => went - updated >= AT_ONCE,
            None if instance.was_taken() || instance.reason.is_empty() => now - updated >= INTERRUPTION - EARLY,
            None => true,
        }
    }

    /// Which of those that were going have gone.
    fn departed(&mut self, instances: &HashMap<String, Instance>, now: Timestamp, told: &mut Vec<Told>) {
        let going = std::mem::take(&mut self.going);
        for (id, r) in going {
            match instances.get(&id) {
                Some(instance) if instance.runs() => {
                    self.going.insert(id, r);
                }
                known => {
                    let Some(instance) = known else {
                        self.gone.insert(id);
                        continue;
                    };
                    let taken = instance.was_taken() || instance.reason.is_empty();
                    let went = when(&instance.words).map(|t| self.talk.here(t));
                    let at = went.or_else(|| {
                        let updated = r.updated?;
                        // Nobody says when. Before its time EC2 takes it only without notice: then the
                        // request's status is of the end itself.
                        let early = taken && now - updated < INTERRUPTION - EARLY;
                        Some(if early { updated } else { (updated + INTERRUPTION).min(now) })
                    });
                    if self.gone.insert(id.clone()) {
                        told.push(gone(&id, at.unwrap_or(now), taken));
                    }
                }
            }
        }
    }

    /// Instances by id, those that EC2 still knows.
    async fn instances(&self, ids: &BTreeSet<String>) -> Result<HashMap<String, Instance>, SourceError> {
        let ids: Vec<String> = ids.iter().cloned().collect();
        let mut out = HashMap::new();
        for batch in ids.chunks(VALUES) {
            // By filter: an id that is not known any more is no error then.
            for page in self.ask("DescribeInstances", &[("instance-id", batch.to_vec())]).await? {
                page.each("instancesSet", "item", |get| out.extend(instance(get)));
            }
        }
        Ok(out)
    }

    /// Maintenance.
    async fn scheduled(&mut self, told: &mut Vec<Told>) -> Result<(), SourceError> {
        let codes = EVENTS.iter().map(|(code, _)| (*code).to_owned()).collect();
        let pages = self.ask("DescribeInstanceStatus", &[("event.code", codes)]).await?;
        self.scheduled_at = Some(Instant::now());
        let now = self.talk.clock.now();
        let mut seen = HashSet::new();
        for page in pages {
            page.each_in("instanceStatusSet", "eventsSet", |instance, event| {
                let (id, code) = (instance("instanceId"), event("code"));
                let Some((_, fate)) = EVENTS.iter().find(|(known, _)| *known == code) else { return };
                if !id.starts_with("i-") {
                    return;
                }
                let own = event("instanceEventId");
                let key = (id.clone(), if own.is_empty() { format!("{code} {}", event("notBefore")) } else { own });
                seen.insert(key.clone());
                let description = event("description");
                let end = match description.as_str() {
                    d if d.starts_with("[Completed]") => Some(Ending::Completed),
                    d if d.starts_with("[Canceled]") => Some(Ending::Cancelled),
                    _ => None,
                };
                let victim = Victim::Instance(Text::new(&id));
                // Its date may be moved.
                let state = (end.is_some(), event("notBefore"));
                let message = Text::new(&clipped(&key.1, 200));
                if self.scheduled.insert(key.clone(), state.clone()).as_ref() == Some(&state) {
                    return;
                }
                if let Some(end) = end {
                    told.push(Told::Over { victim, kind: NoticeKind::Scheduled, message, end, at: now });
                    return;
                }
                let start = timestamp(&state.1).map(|t| self.talk.here(t));
                told.push(Told::Notice(Sighting {
                    victim,
                    kind: NoticeKind::Scheduled,
                    feed: NoticeFeed::Ec2,
                    message,
                    issued: None,
                    seen: now,
                    deadline: start.map(Deadline::exact),
                    fate: *fate,
                    place: self.place(&instance("availabilityZone"), ""),
                    detail: Text::new(&clipped(&code, 80)),
                }));
            });
        }
        // What is not listed any more has happened, or is not going to.
        for (key, (over, _)) in &mut self.scheduled {
            if !*over && !seen.contains(key) {
                *over = true;
                let victim = Victim::Instance(Text::new(&key.0));
                let (message, end) = (Text::new(&clipped(&key.1, 200)), Ending::Unknown);
                told.push(Told::Over { victim, kind: NoticeKind::Scheduled, message, end, at: now });
            }
        }
        self.scheduled.retain(|key, (over, _)| !*over || seen.contains(key));
        Ok(())
    }

    /// Instances that were taken, whether anybody said so before or not.
    async fn taken(&mut self, told: &mut Vec<Told>) -> Result<(), SourceError> {
        let codes = vec!["Server.SpotInstanceTermination".to_owned(), "Server.SpotInstanceShutdown".to_owned()];
        let mut found = HashMap::new();
        for page in self.ask("DescribeInstances", &[("state-reason-code", codes)]).await? {
            page.each("instancesSet", "item", |get| found.extend(instance(get)));
        }
        self.taken_at = Some(Instant::now());
        let first = std::mem::take(&mut self.first_taken);
        let now = self.talk.clock.now();
        for (id, instance) in found.into_iter().filter(|(_, i)| i.was_taken() && !i.runs()) {
            let at = when(&instance.words).map(|t| self.talk.here(t));
            if !self.gone.insert(id.clone()) {
                continue;
            }
            match at {
                Some(at) if at >= now - LATELY => told.push(gone(&id, at, true)),
                None if !first => told.push(gone(&id, now, true)),
                // Too long ago, or nobody knows when.
                _ => {}
            }
        }
        Ok(())
    }
}

/// The questions of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Requests,
    Scheduled,
    Taken,
}

impl Part {
    const ALL: [Self; 3] = [Self::Requests, Self::Scheduled, Self::Taken];

    fn action(self) -> &'static str {
        match self {
            Self::Requests => "ec2:DescribeSpotInstanceRequests",
            Self::Scheduled => "ec2:DescribeInstanceStatus",
            Self::Taken => "ec2:DescribeInstances",
        }
    }
}

fn gone(id: &str, at: Timestamp, taken: bool) -> Told {
    Told::Gone(Departure { victim: Victim::Instance(Text::new(id)), feed: NoticeFeed::Ec2, at, taken })
}

/// Every page of an answer.
async fn pages(
    account: &Account,
    action: &'static str,
    filters: &[(&str, Vec<String>)],
) -> Result<Vec<Xml>, SourceError> {
    let mut parameters: Vec<(String, String)> = vec![("MaxResults".to_owned(), "1000".to_owned())];
    for ((name, values), n) in filters.iter().zip(1..) {
        parameters.push((format!("Filter.{n}.Name"), (*name).to_owned()));
        for (value, m) in values.iter().zip(1..) {
            parameters.push((format!("Filter.{n}.Value.{m}"), value.clone()));
        }
    }
    let (mut out, mut tokens) = (Vec::new(), Tokens::default());
    loop {
        let mut asked = parameters.clone();
        asked.extend(tokens.next().map(|token| ("NextToken".to_owned(), token)));
        let page = account.query("ec2", VERSION, action, &asked).await.map_err(|e| match e {
            // EC2 does not say what it is that is not allowed.
            SourceError::Forbidden { what } => {
                let what = format!("ec2:{action} ({})", clipped(what.as_str(), 120));
                SourceError::Forbidden { what: Text::new(&what) }
            }
            // What only looks like AWS knows some of it.
            SourceError::Server { message, .. }
                if ["UnknownOperation", "InvalidAction"].iter().any(|code| message.starts_with(code)) =>
            {
                SourceError::NotFound { what: Text::new(&format!("ec2:{action}")) }
            }
            other => other,
        })?;
        let more = tokens.advance(Some(page.text("nextToken").as_str()), action)?;
        out.push(page);
        if !more {
            return Ok(out);
        }
    }
}

/// A request that is taken back; a server that knows no filters lists all of them.
fn request(get: &dyn Fn(&str) -> String) -> Option<Request> {
    let (victim, code) = (get("instanceId"), get("status/code"));
    let taken_back = STATUS.iter().any(|(known, _)| *known == code);
    (victim.starts_with("i-") && taken_back).then(|| Request {
        id: get("spotInstanceRequestId"),
        victim,
        code,
        updated: timestamp(&get("status/updateTime")),
        zone: get("launchedAvailabilityZone"),
        size: get("launchSpecification/instanceType"),
    })
}

fn instance(get: &dyn Fn(&str) -> String) -> Option<(String, Instance)> {
    let id = get("instanceId");
    let instance = Instance {
        state: get("instanceState/name"),
        reason: get("stateReason/code"),
        words: get("reason"),
        zone: get("placement/availabilityZone"),
        size: get("instanceType"),
    };
    id.starts_with("i-").then_some((id, instance))
}

/// EC2's times; `None` for what cannot be one.
fn timestamp(text: &str) -> Option<Timestamp> {
    let at = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    (946_684_800..7_258_118_400).contains(&at.timestamp()).then_some(at)
}

/// When, out of `Server.SpotInstanceTermination (2026-11-20 10:02:00 GMT)`.
fn when(words: &str) -> Option<Timestamp> {
    let inner = words.rsplit_once('(')?.1.split_once(')')?.0;
    let inner = inner.trim_end_matches(" GMT").trim_end_matches(" UTC");
    NaiveDateTime::parse_from_str(inner, "%Y-%m-%d %H:%M:%S").ok().map(|t| t.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_when() {
        let at = when("Server.SpotInstanceTermination: Spot instance termination (2026-11-20 10:02:00 GMT)").unwrap();
        assert_eq!(at.to_rfc3339(), "2026-11-20T10:02:00+00:00");
        for none in ["", "User initiated", "User initiated (yesterday)", ")("] {
            assert_eq!(when(none), None, "{none}");
        }
    }
}
