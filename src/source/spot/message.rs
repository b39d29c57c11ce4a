//! What EventBridge sends of instances and tasks that are going to go, and of services whose tasks
//! cannot be placed: the bodies of SQS messages and of CloudWatch Logs events. They come bare,
//! wrapped by SNS, or, from an auto scaling group's hook, without EventBridge's envelope.
//! SEMANTICS.md section 4.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use serde_json::Value;

use super::clipped;
use crate::domain::notice::{
    Deadline, Departure, Ending, Fate, INTERRUPTION, NoticeFeed, NoticeKind, Place, STOP_TIMEOUT,
};
use crate::domain::notice::{Sighting, Told, Victim};
use crate::domain::placement::{Placement, Placing, Shortage, Teller, service_key, tail};
use crate::domain::{Text, Timestamp};

/// What is dated later than this after it was heard has a date that says nothing.
const FUTURE: TimeDelta = TimeDelta::seconds(10);
/// Envelopes in envelopes are opened so deep.
const WRAPPED: usize = 3;
/// An event is about so many instances at most.
const MANY: usize = 1000;
/// The same of capacity providers.
const PROVIDERS: usize = 20;

/// How a message came.
#[derive(Debug, Clone, Copy)]
pub struct Hearing<'a> {
    /// Through what.
    pub feed: NoticeFeed,
    /// When, by the console's clock.
    pub seen: Timestamp,
    /// How far the console's clock is ahead of the sender's.
    pub ahead: TimeDelta,
    /// What the channel calls the message: its name where the body has none.
    pub id: &'a str,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq)]
pub enum Says {
    /// That something is going to go, or has gone.
    Tells(Vec<Told>),
    /// Nothing that matters here; what it is about.
    Ignored(String),
    /// It is not understood; why.
    Odd(&'static str),
}

/// A message that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// EventBridge's id, or the channel's: the same again is the same event.
    pub id: String,
    /// What it says.
    pub says: Says,
}

/// Reads a message. Whatever it is, this returns.
#[must_use]
pub fn read(body: &str, hearing: &Hearing<'_>) -> Heard {
    let odd = |why| Heard { id: clipped(hearing.id, 200), says: Says::Odd(why) };
    let mut text = body.to_owned();
    for _ in 0..WRAPPED {
        let value: Value = match serde_json::from_str(&text) {
            Ok(value) => value,
            Err(e) if e.is_eof() => return odd("it ends in the middle of its JSON"),
            Err(_) => return odd("it is no JSON"),
        };
        if !value.is_object() {
            return odd("it is no JSON object");
        }
        match value["Message"].as_str() {
            // SNS puts the event into a text.
            Some(inner) if value.get("detail-type").is_none() => text = inner.into(),
            _ => return event(&value, hearing),
        }
    }
    odd("it is wrapped again and again")
}

/// An event, and how it came.
struct Event<'e> {
    value: &'e Value,
    detail: &'e Value,
    hearing: &'e Hearing<'e>,
    id: String,
    issued: Option<Timestamp>,
}

fn event(value: &Value, hearing: &Hearing<'_>) -> Heard {
    let id = value["id"].as_str().filter(|id| !id.is_empty());
    // Without an envelope the hook's token is what tells two of them apart.
    let id = id.or_else(|| value["LifecycleActionToken"].as_str()).or_else(|| value["RequestId"].as_str());
    let id = clipped(id.unwrap_or(hearing.id), 200);
    let direct = value.get("detail-type").is_none();
    let said = if direct { &value["Time"] } else { &value["time"] };
    let issued = said.as_str().and_then(time).and_then(|t| t.checked_add_signed(hearing.ahead));
    let issued = issued.filter(|t| *t <= hearing.seen + FUTURE);
    let detail = if direct { value } else { &value["detail"] };
    let event = Event { value, detail, hearing, id: id.clone(), issued };
    let says = match value["detail-type"].as_str() {
        Some(kind) if !detail.is_object() => match kind {
            _ if matters(kind) => Says::Odd("its `detail` is no object"),
            kind => Says::Ignored(clipped(kind, 80)),
        },
        Some(kind) => event.of(kind),
        None if direct => event.of_hook(),
        None => Says::Odd("its `detail-type` is no text"),
    };
    Heard { id, says }
}

/// True for the kinds of events that tell of something that goes.
fn matters(kind: &str) -> bool {
    ["EC2 ", "ECS ", "AWS Health Event"].iter().any(|start| kind.starts_with(start))
}

/// A time as EventBridge writes it, or as AWS Health does. `None` for none, and for one that
/// no event of AWS's can have.
fn time(text: &str) -> Option<Timestamp> {
    let rfc_3339 = DateTime::parse_from_rfc3339(text).ok().map(|t| t.with_timezone(&Utc));
    // Health names the day of the week, and not always the right one.
    let named = || {
        let rest = text.split_once(", ").map_or(text, |(_, rest)| rest);
        let rest = rest.trim_end_matches(" GMT").trim_end_matches(" UTC").trim_end_matches(" +0000");
        NaiveDateTime::parse_from_str(rest, "%d %b %Y %H:%M:%S").ok().map(|t| t.and_utc())
    };
    // 2000 to 2200: arithmetic on these never runs over.
    rfc_3339.or_else(named).filter(|t| (946_684_800..7_258_118_400).contains(&t.timestamp()))
}

/// An instance's id, also in the last part of an ARN.
fn instance(text: &str) -> Option<Text> {
    let id = text.rsplit('/').next().unwrap_or(text);
    let rest = id.strip_prefix("i-")?;
    let fits = (1..=40).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_alphanumeric());
    fits.then(|| Text::new(id))
}

impl Event<'_> {
    fn text(&self, key: &str) -> &str {
        self.detail[key].as_str().unwrap_or_default()
    }

    /// The same as text of a row.
    fn short(&self, key: &str) -> Text {
        Text::new(&clipped(self.text(key), 200))
    }

    /// A time in the detail, by the console's clock.
    fn time(&self, key: &str) -> Option<Timestamp> {
        time(self.text(key))?.checked_add_signed(self.hearing.ahead)
    }

    fn place(&self) -> Place {
        let own = |key: &str| Text::new(&clipped(self.value[key].as_str().unwrap_or_default(), 40));
        let account = if self.value["account"].is_string() { own("account") } else { own("AccountId") };
        Place { account, region: own("region"), ..Place::default() }
    }

    fn sighting(&self, victim: Victim, kind: NoticeKind) -> Sighting {
        Sighting {
            victim,
            kind,
            feed: self.hearing.feed,
            message: Text::new(&self.id),
            issued: self.issued,
            seen: self.hearing.seen,
            deadline: None,
            fate: Fate::Unknown,
            place: self.place(),
            detail: Text::empty(),
        }
    }

    /// So long after the notice; where nobody says when that was, after it was heard of.
    fn after(&self, spell: TimeDelta) -> Deadline {
        match self.issued {
            Some(at) => Deadline::exact(at + spell),
            None => Deadline::at_latest(self.hearing.seen + spell),
        }
    }

    fn gone(&self, victim: Victim, at: Option<Timestamp>, taken: bool) -> Says {
        let at = at.or(self.issued).unwrap_or(self.hearing.seen);
        Says::Tells(vec![Told::Gone(Departure { victim, feed: self.hearing.feed, at, taken })])
    }

    fn of(&self, kind: &str) -> Says {
        match kind {
            "EC2 Spot Instance Interruption Warning" | "EC2 Capacity Reservation Instance Interruption Warning" => {
                self.interruption()
            }
            "EC2 Instance Rebalance Recommendation" | "EC2 Spot Instance Rebalance Recommended" => {
                self.instance("instance-id", |id| {
                    let risk = self.sighting(Victim::Instance(id), NoticeKind::Rebalance);
                    Says::Tells(vec![Told::Notice(risk)])
                })
            }
            "EC2 Instance State-change Notification" => self.state_change(),
            "EC2 Instance-terminate Lifecycle Action" => self.of_hook(),
            "AWS Health Event" => self.health(),
            "ECS Task State Change" => self.task(),
            "ECS Container Instance State Change" => self.container_instance(),
            "ECS Service Action" => self.service_action(),
            other => Says::Ignored(clipped(other, 80)),
        }
    }

    fn instance(&self, key: &str, f: impl FnOnce(Text) -> Says) -> Says {
        match instance(self.text(key)) {
            Some(id) => f(id),
            None => Says::Odd("it names no instance"),
        }
    }

    fn interruption(&self) -> Says {
        self.instance("instance-id", |id| {
            let fate = Fate::from_word(self.text("instance-action"));
            // Hibernation begins at once.
            let spell = if fate == Fate::Hibernate { TimeDelta::zero() } else { INTERRUPTION };
            let notice = self.sighting(Victim::Instance(id), NoticeKind::Interruption);
            Says::Tells(vec![Told::Notice(Sighting { deadline: Some(self.after(spell)), fate, ..notice })])
        })
    }

    fn state_change(&self) -> Says {
        match self.text("state") {
            "stopping" | "stopped" | "shutting-down" | "terminated" => {
                self.instance("instance-id", |id| self.gone(Victim::Instance(id), None, false))
            }
            "pending" | "running" => Says::Ignored("EC2 instance that runs".to_owned()),
            _ => Says::Odd("its state is none of an instance"),
        }
    }

    /// An auto scaling group's hook, in EventBridge's envelope or without.
    fn of_hook(&self) -> Says {
        let transition = self.text("LifecycleTransition");
        if self.text("Event") == "autoscaling:TEST_NOTIFICATION" || transition == "autoscaling:TEST_NOTIFICATION" {
            return Says::Ignored("test of an auto scaling group".to_owned());
        }
        match transition {
            "autoscaling:EC2_INSTANCE_TERMINATING" => self.instance("EC2InstanceId", |id| {
                let notice = self.sighting(Victim::Instance(id), NoticeKind::Lifecycle);
                let detail = self.short("AutoScalingGroupName");
                // How long the hook holds it is the hook's affair, and nobody says it here.
                Says::Tells(vec![Told::Notice(Sighting { fate: Fate::Terminate, detail, ..notice })])
            }),
            "autoscaling:EC2_INSTANCE_LAUNCHING" => Says::Ignored("launch in an auto scaling group".to_owned()),
            _ => Says::Odd("it is no event that is known"),
        }
    }

    /// Maintenance of instances.
    fn health(&self) -> Says {
        if self.text("service") != "EC2" || self.text("eventTypeCategory") != "scheduledChange" {
            return Says::Ignored("AWS Health, of something else".to_owned());
        }
        let (code, start) = (self.text("eventTypeCode"), self.time("startTime"));
        let fate = match code {
            c if c.contains("REBOOT") => Fate::Reboot,
            c if c.contains("TERMINAT") => Fate::Terminate,
            c if c.contains("STOP") || c.contains("PERSISTENT_INSTANCE_RETIREMENT") => Fate::Stop,
            _ => Fate::Unknown,
        };
        let closed = self.text("statusCode") == "closed";
        // Every word of one event has its ARN: a later one may move it.
        let event = self.short("eventArn");
        let entities = self.detail["affectedEntities"].as_array().map(Vec::as_slice).unwrap_or_default();
        let named = entities.iter().filter_map(|e| Some((e["entityValue"].as_str()?, e["status"].as_str())));
        let mut told = Vec::new();
        for (entity, status) in named.take(MANY) {
            let Some(victim) = instance(entity).map(Victim::Instance) else { continue };
            if closed || status == Some("RESOLVED") {
                let at = self.issued.unwrap_or(self.hearing.seen);
                // Health closes what was done and what was called off alike.
                let (message, end) = (event.clone(), Ending::Unknown);
                told.push(Told::Over { victim, kind: NoticeKind::Scheduled, message, end, at });
            } else {
                let notice = self.sighting(victim, NoticeKind::Scheduled);
                let (deadline, detail) = (start.map(Deadline::exact), self.short("eventTypeCode"));
                let message = if event.is_empty() { notice.message.clone() } else { event.clone() };
                told.push(Told::Notice(Sighting { message, deadline, fate, detail, ..notice }));
            }
        }
        if told.is_empty() { Says::Odd("it names no instance") } else { Says::Tells(told) }
    }

    /// A task that is taken back. ECS stops tasks for many reasons: only this one matters.
    fn task(&self) -> Says {
        let taken = matches!(self.text("stopCode"), "SpotInterruption" | "TerminationNotice")
            || self.text("stoppedReason").starts_with("Your Spot Task was interrupted");
        if !taken {
            return Says::Ignored("ECS task that is not taken back".to_owned());
        }
        let arn = self.short("taskArn");
        if !arn.starts_with("arn:") || !arn.contains(":task/") {
            return Says::Odd("it names no task");
        }
        let on_instance = self.text("launchType") == "EC2" || self.detail["containerInstanceArn"].is_string();
        let victim = match (instance(self.text("ec2InstanceId")), on_instance) {
            // The end of its machine, after the fact, announces nothing.
            (Some(_), _) if self.text("stoppedReason").starts_with("Host EC2") => {
                return Says::Ignored("ECS task whose machine has gone".to_owned());
            }
            (Some(id), _) => Victim::Instance(id),
            // All its tasks go with the instance, and that is told of itself.
            (None, true) => return Says::Ignored("ECS task on an instance that is taken back".to_owned()),
            (None, false) => Victim::Task(arn),
        };
        if self.text("lastStatus") == "STOPPED" && !on_instance {
            return self.gone(victim, self.time("stoppedAt"), true);
        }
        let deadline = if on_instance {
            self.issued.map_or(self.hearing.seen, |at| at) + INTERRUPTION
        } else {
            self.time("stoppingAt").or(self.issued).unwrap_or(self.hearing.seen) + STOP_TIMEOUT
        };
        let deadline = if on_instance { Deadline::at_latest(deadline) } else { Deadline::usual(deadline) };
        let notice = self.sighting(victim, NoticeKind::Interruption);
        let place = Place { zone: self.short("availabilityZone"), ..notice.place };
        let (fate, detail) = (Fate::Terminate, self.short("stoppedReason"));
        Says::Tells(vec![Told::Notice(Sighting { deadline: Some(deadline), fate, place, detail, ..notice })])
    }

    /// A service's tasks cannot be placed, or are all placed.
    fn service_action(&self) -> Says {
        let providers = || {
            let arns = self.detail["capacityProviderArns"].as_array().map(Vec::as_slice).unwrap_or_default();
            let named = arns.iter().filter_map(Value::as_str).take(PROVIDERS);
            let mut names: Vec<Text> = named.map(|arn| Text::new(&clipped(tail(arn), 100))).collect();
            names.sort();
            names.dedup();
            names
        };
        let reason = self.short("reason");
        let says = match self.text("eventName") {
            "SERVICE_STEADY_STATE" => Placing::Steady,
            "SERVICE_TASK_PLACEMENT_FAILURE" => {
                Placing::Failed { why: Shortage::from_code(&reason), providers: providers() }
            }
            "SERVICE_TASK_CONFIGURATION_FAILURE" => {
                Placing::Failed { why: Shortage::Settings(reason), providers: providers() }
            }
            "" => return Says::Odd("it names no action of a service"),
            _ => return Says::Ignored("ECS service that does something else".to_owned()),
        };
        let resources = self.value["resources"].as_array().map(Vec::as_slice).unwrap_or_default();
        let arns = resources.iter().filter_map(Value::as_str).filter(|arn| arn.len() <= 512);
        let Some(service) = arns.take(MANY).find_map(|arn| service_key(arn, self.text("clusterArn"))) else {
            return Says::Odd("it names no service");
        };
        let teller = if self.hearing.feed == NoticeFeed::EventQueue { Teller::EventQueue } else { Teller::EventLog };
        // The envelope has whole seconds only.
        let whole = self.issued.unwrap_or(self.hearing.seen);
        let finer = self.time("createdAt").filter(|at| (*at - whole).abs() < TimeDelta::seconds(60));
        Says::Tells(vec![Told::Placement(Placement { at: finer.unwrap_or(whole), service, says, teller })])
    }

    /// A container instance that is emptied: by the agent, or by somebody.
    fn container_instance(&self) -> Says {
        if self.text("status") != "DRAINING" {
            return Says::Ignored("ECS instance that does not drain".to_owned());
        }
        // A machine of one's own (ECS Anywhere) has none of EC2's ids.
        if self.text("ec2InstanceId").starts_with("mi-") {
            return Says::Ignored("ECS instance outside EC2".to_owned());
        }
        self.instance("ec2InstanceId", |id| {
            let notice = self.sighting(Victim::Instance(id), NoticeKind::Leaving);
            Says::Tells(vec![Told::Notice(Sighting { detail: Text::new("draining"), ..notice })])
        })
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
