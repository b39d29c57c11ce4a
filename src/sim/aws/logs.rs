//! CloudWatch Logs: what the tasks write, one stream for each.

use serde_json::{Value, json};

use super::model::{Cluster, Ms, Task};
use super::wire::Refusal;
use super::{Caller, World, strings};
use crate::sim::model::{hash2, unit};

type Answer = Result<Option<Value>, Refusal>;

/// A task writes a line about so often.
const PACE: Ms = 700;
/// Lines older than this are not kept.
const RETENTION: Ms = 6 * 3_600_000;
/// Most events a page holds.
const PAGE: usize = 10_000;

fn gone() -> Refusal {
    Refusal::new("ResourceNotFoundException", "The specified log stream does not exist.")
}

/// `(time, stream, line)`.
type Line = (Ms, String, String);

/// A task's lines in a span of time, oldest first.
fn lines(t: &Task, from: Ms, to: Ms, stream: &str) -> Vec<Line> {
    let Some(start) = t.started else { return Vec::new() };
    let end = t.stopped.unwrap_or(to).min(to);
    let mut n = (from.max(start) - start).div_euclid(PACE);
    let mut out = Vec::new();
    loop {
        let jitter = (hash2(t.seed, n as u64) % 300) as Ms;
        let at = start + n * PACE + jitter;
        if at > end {
            return out;
        }
        if at >= from {
            let failing = t.outcome != super::schema::Outcome::Healthy;
            out.push((at, stream.to_owned(), app_line(hash2(t.seed, n as u64), at, failing)));
        }
        n += 1;
    }
}

impl World {
    pub(super) fn logs(&mut self, caller: &Caller, operation: &str, input: &Value, now: Ms) -> Answer {
        let answer = match operation {
            "DescribeLogGroups" => self.groups(caller, input),
            "DescribeLogStreams" => self.streams(caller, input)?,
            "GetLogEvents" => self.get_events(caller, input, now)?,
            "FilterLogEvents" => self.filter_events(caller, input, now)?,
            _ => return Ok(None),
        };
        Ok(Some(answer))
    }

    /// `EventBridge`'s events, if it is their group that is asked.
    fn events_group(&self, caller: &Caller, input: &Value) -> Option<&super::bus::Events> {
        self.bus.group(caller).filter(|_| input["logGroupName"] == super::bus::GROUP)
    }

    fn groups(&self, caller: &Caller, input: &Value) -> Value {
        let prefix = input["logGroupNamePrefix"].as_str().unwrap_or_default();
        let mut names: Vec<String> = self
            .clusters
            .iter()
            .filter(|c| c.account == caller.account && c.region == caller.region)
            .flat_map(|c| c.services.keys().map(|s| format!("/ecs/{}/{s}", c.name)))
            .chain(self.bus.group(caller).map(|_| super::bus::GROUP.to_owned()))
            .filter(|n| n.starts_with(prefix))
            .collect();
        names.truncate(50);
        json!({"logGroups": names.iter().map(|n| json!({"logGroupName": n, "creationTime": 0, "storedBytes": 0})).collect::<Vec<_>>()})
    }

    /// The cluster and family of a log group.
    fn group(&self, caller: &Caller, input: &Value) -> Result<(&Cluster, String), Refusal> {
        let missing = || Refusal::new("ResourceNotFoundException", "The specified log group does not exist.");
        let name = input["logGroupName"].as_str().unwrap_or_default();
        let (cluster, family) = name.strip_prefix("/ecs/").and_then(|r| r.split_once('/')).ok_or_else(missing)?;
        let c = self
            .clusters
            .iter()
            .find(|c| c.name == cluster && c.account == caller.account && c.region == caller.region)
            .filter(|c| c.services.contains_key(family))
            .ok_or_else(missing)?;
        Ok((c, family.to_owned()))
    }

    fn tasks_of_group(&self, caller: &Caller, input: &Value) -> Result<Vec<(String, Task)>, Refusal> {
        let (c, family) = self.group(caller, input)?;
        let own = c.tasks.values().filter(|t| t.service.as_deref() == Some(&family) && t.started.is_some());
        Ok(own.map(|t| (format!("ecs/app/{}", t.id), t.clone())).collect())
    }

    fn streams(&self, caller: &Caller, input: &Value) -> Result<Value, Refusal> {
        if let Some(events) = self.events_group(caller, input) {
            let first = events.first_entry();
            return Ok(json!({"logStreams": [{"logStreamName": super::bus::STREAM, "creationTime": first,
                "firstEventTimestamp": first}]}));
        }
        let found: Vec<Value> = self
            .tasks_of_group(caller, input)?
            .into_iter()
            .take(50)
            .map(
                |(name, t)| json!({"logStreamName": name, "creationTime": t.started, "firstEventTimestamp": t.started}),
            )
            .collect();
        Ok(json!({"logStreams": found}))
    }

    fn get_events(&self, caller: &Caller, input: &Value, now: Ms) -> Result<Value, Refusal> {
        let wanted = input["logStreamName"].as_str().unwrap_or_default();
        let tasks = self.tasks_of_group(caller, input)?;
        let (stream, task) = tasks.iter().find(|(name, _)| name == wanted).ok_or_else(gone)?;
        let start = input["startTime"].as_i64().unwrap_or(now - RETENTION).max(now - RETENTION);
        let end = input["endTime"].as_i64().map_or(now, |e| e - 1).min(now);
        let limit = input["limit"].as_u64().unwrap_or(PAGE as u64).clamp(1, PAGE as u64) as usize;
        let head = input["startFromHead"].as_bool().unwrap_or_default();
        // Tokens are the times between which a page lies.
        let token = input["nextToken"].as_str().unwrap_or_default();
        let (lines, cut) = match token.split_once('/') {
            Some(("f", ms)) => (lines(task, start.max(number(ms)? + 1), end, stream), true),
            Some(("b", ms)) => (lines(task, start, end.min(number(ms)? - 1), stream), false),
            Some(_) => return Err(Refusal::invalid("The specified nextToken is invalid.")),
            None => (lines(task, start, end, stream), head),
        };
        let page: Vec<&Line> = if cut {
            lines.iter().take(limit).collect()
        } else {
            lines.iter().skip(lines.len().saturating_sub(limit)).collect()
        };
        // At the end the token that was sent comes back.
        let edge = |line: Option<&&Line>, kind: &str, fallback: Ms| match line {
            Some((at, ..)) => format!("{kind}/{at}"),
            None if token.starts_with(kind) => token.to_owned(),
            None => format!("{kind}/{fallback}"),
        };
        let (backward, forward) = (edge(page.first(), "b", start), edge(page.last(), "f", end));
        let events: Vec<Value> = page
            .iter()
            .map(|(at, _, text)| json!({"timestamp": at, "message": text, "ingestionTime": at + 800}))
            .collect();
        Ok(json!({"events": events, "nextForwardToken": forward, "nextBackwardToken": backward}))
    }

    fn filter_events(&mut self, caller: &Caller, input: &Value, now: Ms) -> Result<Value, Refusal> {
        let events = self.events_group(caller, input);
        let tasks = if events.is_some() { Vec::new() } else { self.tasks_of_group(caller, input)? };
        let names = strings(input, "logStreamNames");
        if names.len() > 100 {
            return Err(Refusal::invalid("logStreamNames must have at most 100 items."));
        }
        let prefix = input["logStreamNamePrefix"].as_str();
        let start = input["startTime"].as_i64().unwrap_or(now - RETENTION).max(now - RETENTION);
        let end = input["endTime"].as_i64().unwrap_or(now).min(now);
        let limit = input["limit"].as_u64().unwrap_or(PAGE as u64).clamp(1, PAGE as u64) as usize;
        let pattern = input["filterPattern"].as_str().unwrap_or_default();
        let mut all: Vec<Line> = tasks
            .iter()
            .filter(|(name, _)| names.is_empty() || names.contains(&name.as_str()))
            .filter(|(name, _)| prefix.is_none_or(|p| name.starts_with(p)))
            .flat_map(|(name, t)| lines(t, start, end, name))
            .chain(events.iter().flat_map(|e| e.lines(start, end, now)))
            .filter(|(_, _, text)| fits(pattern, text))
            .collect();
        all.sort();
        let (page, next) = self.page(&all, input["nextToken"].as_str(), limit, false)?;
        let events: Vec<Value> = page
            .iter()
            .map(|(at, stream, text)| {
                let id = format!("{at:020}{:016x}", crate::sim::model::hash(&format!("{stream}{text}")));
                json!({"logStreamName": stream, "timestamp": at, "message": text, "ingestionTime": at + 800, "eventId": id})
            })
            .collect();
        let mut out = json!({"events": events, "searchedLogStreams": []});
        if let Some(next) = next {
            out["nextToken"] = next.into();
        }
        Ok(out)
    }
}

/// What a service's application writes.
fn app_line(h: u64, at: Ms, failing: bool) -> String {
    const WORK: [&str; 6] = [
        "request served",
        "cache refreshed",
        "batch written",
        "message acknowledged",
        "lease renewed",
        "offset committed",
    ];
    const TROUBLE: [&str; 3] = ["upstream timed out, retrying", "slow query", "connection pool nearly used up"];
    let pick = |list: &[&'static str]| list.get((h >> 8) as usize % list.len().max(1)).copied().unwrap_or_default();
    let (level, text) = match unit(hash2(h, 1)) {
        u if failing && u < 0.3 => ("error", "dial tcp 10.20.14.7:5432: connect: connection refused"),
        u if u < 0.05 => ("warn", pick(&TROUBLE)),
        _ => ("info", pick(&WORK)),
    };
    let stamp = crate::domain::Timestamp::from_timestamp_millis(at)
        .map_or_else(String::new, |t| t.to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
    format!("{{\"ts\":\"{stamp}\",\"level\":\"{level}\",\"msg\":\"{text}\",\"duration_ms\":{}}}", 3 + h % 90)
}

fn number(text: &str) -> Result<Ms, Refusal> {
    text.parse().map_err(|_| Refusal::invalid("The specified nextToken is invalid."))
}

/// Words are all needed; of `?words` one is enough.
fn fits(pattern: &str, text: &str) -> bool {
    let words: Vec<&str> = pattern.split_whitespace().collect();
    let any: Vec<&str> = words.iter().filter_map(|w| w.strip_prefix('?')).collect();
    let all = words.iter().filter(|w| !w.starts_with('?')).all(|w| text.contains(w.trim_matches('"')));
    all && (any.is_empty() || any.iter().any(|w| text.contains(w.trim_matches('"'))))
}
