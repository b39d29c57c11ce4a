//! Events from CloudWatch Logs groups, to which EventBridge writes: any number of
//! consoles may read them, and what came before the start is there.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::Talk;
use super::message::Says;
use crate::domain::Text;
use crate::domain::notice::NoticeFeed;
use crate::source::SourceError;
use crate::source::aws::query::JsonService;
use crate::source::aws::{Account, Bucket, Tokens};

/// CloudWatch Logs.
const LOGS: JsonService =
    JsonService { name: "logs", target: "Logs_20140328", version: "1.1", bucket: Bucket::Logs, changes: false };
/// Where EventBridge's console puts groups.
const PREFIX: &str = "/aws/events/";
/// So far back the first question goes, in milliseconds.
const BACK: i64 = 3_600_000;
/// Events come late, and not in order: so far back is asked for again.
const LATE: i64 = 300_000;
/// A page holds so many events at most.
const PAGE: u32 = 10_000;
/// One round reads so many pages; what is left comes with the next.
const PAGES: usize = 50;
/// So many groups are read of those that are found.
const GROUPS: usize = 5;
/// Between two looks for groups.
const LOOK: Duration = Duration::from_mins(10);
/// A message is told so many at a time.
const TOGETHER: usize = 500;

/// One event of a group.
#[derive(Debug)]
struct Event {
    id: String,
    body: String,
}

/// A group, and how far it was read.
#[derive(Debug)]
struct Group {
    name: String,
    /// From when on to ask, by AWS's clock; `None` before the first time.
    from: Option<i64>,
    /// Events since then that were read, and their times.
    known: HashMap<String, i64>,
}

impl Group {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), from: None, known: HashMap::new() }
    }

    /// What came since the last time.
    async fn read(&mut self, account: &Account) -> Result<Vec<Event>, SourceError> {
        const WHAT: &str = "logs:FilterLogEvents";
        let (mut out, mut tokens) = (Vec::new(), Tokens::default());
        // Which is the one with the clock is known once there was an answer.
        let start = self.from.unwrap_or_else(|| (account.now() - account.clock_offset()).timestamp_millis() - BACK);
        let (mut latest, mut reached, mut whole) = (start, start, true);
        for page in 0.. {
            let mut input = json!({"logGroupName": self.name, "startTime": start, "limit": PAGE});
            if let Some(token) = tokens.next() {
                input["nextToken"] = token.into();
            }
            let answer = account.json(LOGS, WHAT, &input).await?;
            for event in answer["events"].as_array().into_iter().flatten() {
                let Some(body) = event["message"].as_str() else { continue };
                let at = event["timestamp"].as_i64().unwrap_or(start);
                let id = event["eventId"].as_str().map_or_else(|| format!("{at} {body}"), str::to_owned);
                latest = latest.max(event["ingestionTime"].as_i64().unwrap_or(at));
                reached = reached.max(at);
                if self.known.insert(id.clone(), at).is_none() {
                    out.push(Event { id, body: body.to_owned() });
                }
            }
            if !tokens.advance(answer["nextToken"].as_str(), WHAT)? {
                break;
            }
            if page + 1 >= PAGES {
                whole = false;
                break;
            }
        }
        // A time that a writer made up does not move the window into the future.
        let now = (account.now() - account.clock_offset()).timestamp_millis();
        let next = if whole { latest.min(now) - LATE } else { reached.min(now) };
        let next = next.max(start);
        self.from = Some(next);
        self.known.retain(|_, at| *at >= next);
        Ok(out)
    }
}

/// Reads a group that was named, until it is stopped.
pub(super) async fn named(mut talk: Talk, name: String, interval: Duration) {
    let mut group = Group::new(&name);
    let mut first = true;
    loop {
        match group.read(&talk.account).await {
            Ok(events) => {
                hear(&mut talk, events, true).await;
                talk.went_well(&mut first).await;
                talk.report().await;
                talk.supervisor.pause(interval).await;
            }
            Err(SourceError::NotFound { .. }) => {
                let who = talk.account.spec.profile_name();
                let what = format!(
                    "there is no log group `{name}` in {} of {who}; docs/spot-feeds.md says how to set one up",
                    talk.account.spec.region.as_deref().unwrap_or("its region")
                );
                talk.supervisor.failed(&SourceError::Account { what: Text::new(&what) }).await;
            }
            Err(error) => talk.supervisor.failed(&error).await,
        }
    }
}

/// Tells what events say. What is not understood is kept only where somebody has named
/// the group: others hold what they like.
async fn hear(talk: &mut Talk, events: Vec<Event>, keep: bool) {
    let mut all = Vec::new();
    for event in events {
        match talk.hear(NoticeFeed::EventLog, &event.body, &event.id).says {
            Says::Tells(told) => all.extend(told),
            Says::Odd(why) if keep => {
                // It is counted and told of, written down or not.
                drop(talk.keep_odd(&event.body, &event.id, why).await);
            }
            Says::Odd(_) | Says::Ignored(_) => {}
        }
        if all.len() >= TOGETHER {
            talk.tell(std::mem::take(&mut all)).await;
        }
    }
    talk.tell(all).await;
}

/// Looks for groups of events, and reads those that there are, until it is stopped.
pub(super) async fn discovered(mut talk: Talk, interval: Duration) {
    let mut groups: Vec<Group> = Vec::new();
    let mut looked: Option<tokio::time::Instant> = None;
    let mut first = true;
    loop {
        if looked.is_none_or(|at| at.elapsed() >= LOOK) {
            match look(&talk.account).await {
                Ok(found) if found.is_empty() => {
                    let why = format!("no log group under {PREFIX}; docs/spot-feeds.md says how to set one up");
                    groups.clear();
                    first = true;
                    // Waits a while and asks again: somebody may set one up.
                    talk.supervisor.absent(Text::new(&why), false).await;
                    continue;
                }
                Ok(found) => {
                    looked = Some(tokio::time::Instant::now());
                    take(&mut talk, &mut groups, &found).await;
                }
                Err(error) => {
                    talk.supervisor.failed(&error).await;
                    continue;
                }
            }
        }
        let mut failed = None;
        let mut answered = false;
        for group in &mut groups {
            match group.read(&talk.account).await {
                Ok(events) => {
                    answered = true;
                    hear(&mut talk, events, false).await;
                }
                // It was taken away since: the next look does not find it.
                Err(SourceError::NotFound { .. }) => looked = None,
                Err(error) => failed = Some((group.name.clone(), error)),
            }
        }
        match failed {
            Some((_, error)) if !answered => talk.supervisor.failed(&error).await,
            Some((name, error)) => {
                talk.note(&format!("{name}: {error}")).await;
                talk.went_well(&mut first).await;
                talk.supervisor.pause(interval).await;
            }
            None => {
                talk.went_well(&mut first).await;
                talk.report().await;
                talk.supervisor.pause(interval).await;
            }
        }
    }
}

/// Goes on with what was found.
async fn take(talk: &mut Talk, groups: &mut Vec<Group>, found: &[String]) {
    let (some, rest) = found.split_at(found.len().min(GROUPS));
    groups.retain(|g| some.contains(&g.name));
    for name in some {
        if !groups.iter().any(|g| g.name == *name) {
            groups.push(Group::new(name));
        }
    }
    let endpoint = some.join(", ");
    if talk.endpoint != endpoint {
        talk.endpoint = endpoint;
        if !rest.is_empty() {
            let text =
                format!("{} more groups under {PREFIX} are not read; name the right one with [[notices]]", rest.len());
            talk.note(&text).await;
        }
        talk.introduce().await;
    }
}

/// The groups of events of an account, the likeliest first.
async fn look(account: &Account) -> Result<Vec<String>, SourceError> {
    const WHAT: &str = "logs:DescribeLogGroups";
    let (mut out, mut tokens) = (Vec::new(), Tokens::default());
    loop {
        let mut input = json!({"logGroupNamePrefix": PREFIX, "limit": 50});
        if let Some(token) = tokens.next() {
            input["nextToken"] = token.into();
        }
        let answer = account.json(LOGS, WHAT, &input).await?;
        let names = answer["logGroups"].as_array().into_iter().flatten().filter_map(|g| g["logGroupName"].as_str());
        out.extend(names.filter(|n| n.starts_with(PREFIX)).map(str::to_owned));
        if !tokens.advance(answer.get("nextToken").and_then(Value::as_str), WHAT)? || out.len() > 500 {
            break;
        }
    }
    out.sort_by_key(|name| (likelihood(name), name.clone()));
    Ok(out)
}

/// Less for a name that says what it is for.
fn likelihood(name: &str) -> usize {
    let name = name.to_ascii_lowercase();
    let words = ["quarterdeck", "spot", "interrupt", "notice", "ec2", "ecs", "health"];
    words.iter().position(|w| name.contains(w)).unwrap_or(words.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_say_what_they_are_for_come_first() {
        let mut names = ["/aws/events/orders", "/aws/events/ec2-all", "/aws/events/Quarterdeck", "/aws/events/spot"];
        names.sort_by_key(|n| likelihood(n));
        assert_eq!(names, ["/aws/events/Quarterdeck", "/aws/events/spot", "/aws/events/ec2-all", "/aws/events/orders"]);
    }
}
