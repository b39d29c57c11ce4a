//! Log lines: a pure function of pod, container, run and time, so that tail,
//! since, follow and previous always agree.

use chrono::DateTime;

use super::logtext::{LineOf, dying_words, first_words, line};
use super::meta::Ms;
use super::pod::{Ended, Pod, State};
use super::profile::{Behaviour, LogStyle};
use super::rng::{hash, hash2, unit};
use super::template::Role;
use super::world::World;
use crate::domain::Timestamp;
use crate::sim::backend::{LogLine, LogQuery, Refusal};
use crate::sim::telemetry::Trouble;

/// A kubelet keeps about this much of a run before it rotates the rest away.
const KEPT_LINES: i64 = 10_000;

/// One run of a container.
struct Run {
    seed: u64,
    started: Ms,
    until: Ms,
    ended: Option<Ended>,
    every: Ms,
}

impl World {
    /// Lines of one container, oldest first.
    pub fn logs(&self, query: &LogQuery, now: Ms) -> Result<Vec<LogLine>, Refusal> {
        let id = self.pod_id(&query.namespace, &query.pod).ok_or(Refusal::NotFound)?;
        let p = self.pods.get(&id).ok_or(Refusal::NotFound)?;
        let i = pick(p, query.container.as_deref())?;
        let (spec, c) = (&p.template.containers[i], &p.containers[i]);
        let words = |why: &str| Refusal::Invalid(format!("container \"{}\" in pod \"{}\" is {why}", spec.name, p.name));
        let (started, until, ended, run) = if query.previous {
            let last = c.last.ok_or_else(|| {
                Refusal::Invalid(format!(
                    "previous terminated container \"{}\" in pod \"{}\" not found",
                    spec.name, p.name
                ))
            })?;
            (last.started, last.finished, Some(last), last.run)
        } else {
            match (c.state, c.last) {
                (State::Running(since), _) => (since, now, None, c.restarts),
                (State::Ended(e), _) | (State::Waiting(_), Some(e)) => (e.started, e.finished, Some(e), e.run),
                (State::Waiting(why), None) => {
                    return Err(words(match why {
                        "ErrImagePull" => "waiting to start: image can't be pulled",
                        "ImagePullBackOff" => "waiting to start: trying and failing to pull image",
                        "PodInitializing" => "waiting to start: PodInitializing",
                        _ => "waiting to start: ContainerCreating",
                    }));
                }
            }
        };
        let seed = hash2(p.seed(), hash2(hash(&spec.name), u64::from(run)));
        // From one line in five seconds to five in one: the same for all pods of a workload's container.
        let busy = unit(hash2(hash(&p.profile.workload), hash(&spec.name)));
        let every = (200.0 * 25.0_f64.powf(1.0 - busy)) as Ms;
        let run = Run { seed, started, until: until.min(now), ended, every };
        let style = match spec.role {
            Role::Sidecar => LogStyle::Envoy,
            Role::Main if p.template.containers.iter().position(|s| s.role == Role::Main) == Some(i) => p.profile.logs,
            Role::Init | Role::Main => LogStyle::Plain,
        };
        let failing = ended.is_some_and(|e| e.exit != 0)
            || matches!(self.behaviour(p, i), Behaviour::Crash(_) | Behaviour::Oom(_));
        let trouble = |at| self.telemetry.trouble(&p.ns, &p.profile.workload, p.created, at);
        Ok(collect((p, &trouble), &run, style, failing, query))
    }
}

fn pick(p: &Pod, name: Option<&str>) -> Result<usize, Refusal> {
    let specs = &p.template.containers;
    let unknown = |n: &str| Refusal::Invalid(format!("container {n} is not valid for pod {}", p.name));
    if let Some(n) = name {
        return specs.iter().position(|s| &*s.name == n).ok_or_else(|| unknown(n));
    }
    let wanted = p.all_annotations().get("kubectl.kubernetes.io/default-container");
    let wanted = wanted.and_then(serde_json::Value::as_str);
    let found = specs.iter().position(|s| s.role == Role::Main && wanted.is_none_or(|w| w == &*s.name));
    found.ok_or_else(|| unknown(""))
}

fn collect(
    (p, trouble): (&Pod, &dyn Fn(Ms) -> Option<Trouble>),
    run: &Run,
    style: LogStyle,
    failing: bool,
    q: &LogQuery,
) -> Vec<LogLine> {
    let since = q.since.map_or(run.started, |t| t.timestamp_millis()).max(run.started);
    let tail = q.tail.unwrap_or(usize::MAX);
    if tail == 0 || since > run.until {
        return Vec::new();
    }
    let mut out: Vec<LogLine> = Vec::new();
    let push = |out: &mut Vec<LogLine>, at: Ms, text: String| out.push(LogLine { at: stamp(at), text });
    // Gathered newest first, so that a short tail of a long run costs little.
    if let Some(e) = run.ended.filter(|e| e.finished <= run.until) {
        for (n, text) in dying_words(style, p, e, run.seed).into_iter().rev().enumerate() {
            push(&mut out, e.finished - 3 - n as Ms, text);
        }
    }
    let last = (run.until - run.started) / run.every;
    let first = ((since - run.started) / run.every - 1).max(1).max(last - KEPT_LINES);
    let mut k = last;
    while k >= first {
        let h = hash2(run.seed, k as u64);
        let at = run.started + k * run.every + (unit(h) * 0.9 * run.every as f64) as Ms;
        if at <= run.until && run.ended.is_none_or(|e| at < e.finished - 20) && at > run.started + 900 {
            let trouble = trouble(at);
            let texts = line(&LineOf { style, pod: p, at, h, failing, trouble });
            for (n, text) in texts.into_iter().enumerate().rev() {
                push(&mut out, at + n as Ms / 64, text);
            }
        }
        k -= 1;
        if out.len() >= tail {
            break;
        }
    }
    if last <= KEPT_LINES && out.len() < tail {
        for (n, text) in first_words(style, p).into_iter().enumerate().rev() {
            out.push(LogLine { at: stamp(run.started + 40 + n as Ms * 130), text });
        }
    }
    out.retain(|l| l.at.timestamp_millis() >= since && l.at.timestamp_millis() <= run.until);
    out.truncate(tail);
    out.reverse();
    out
}

fn stamp(ms: Ms) -> Timestamp {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}
