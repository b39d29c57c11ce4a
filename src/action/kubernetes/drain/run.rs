//! Draining: nothing until all of it may be, then node by node.

use std::time::Duration;

use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::super::desk::Progress;
use super::super::super::intent::{Intent, Verb};
use super::super::super::plan::{Change, End, Outcome, Plan, Precondition, StepState};
use super::super::Kubernetes;
use super::super::object::{self, flag, named};
use super::classify::Class;
use super::evict::{Left, Limits};
use super::{Pod, refusals};
use crate::domain::{Kind, ObjectId, Text};
use crate::source::kubernetes::{Patch, WriteError, Writer};

/// How many pods of a node are seen out at once.
const PODS_AT_ONCE: usize = 50;
/// How often cordoning is tried again when somebody else wrote the node in between.
const ATTEMPTS: u32 = 5;

/// What became of one node.
#[derive(Default)]
struct Drained {
    /// This drain has cordoned it.
    cordoned: bool,
    gone: usize,
    left: usize,
    /// What is still there of what should have gone.
    rest: Vec<String>,
    unknown: bool,
    /// Nothing of it was begun.
    untouched: bool,
}

impl Kubernetes {
    pub(in super::super) async fn run_drain(
        &self,
        plan: &Plan,
        progress: &Progress,
        cancel: &CancellationToken,
    ) -> End {
        let nodes: Vec<&Change> = plan.changes.iter().filter(|c| c.target.kind == Kind::Node).collect();
        for change in &nodes {
            if let Err(why) = self.may_drain(plan, change).await {
                progress.step(Some(&change.target), StepState::Failed, &why).await;
                return End::failed(&format!("{why}; nothing was done"), None);
            }
        }
        let until = Instant::now() + Duration::from_secs(u64::from(plan.intent.options.timeout.max(1)));
        let limits = Limits { until, cancel };
        let at_once = usize::from(plan.intent.options.at_once.max(1));
        let mut work = Vec::new();
        for change in nodes {
            let limits = &limits;
            work.push(
                async move { (change.target.clone(), self.drain_node(plan, &change.target, limits, progress).await) },
            );
        }
        let ends: Vec<(ObjectId, Drained)> = futures::stream::iter(work).buffered(at_once).collect().await;
        end(&ends, cancel.is_cancelled(), Instant::now() >= until)
    }

    /// Whether it is still as it was planned.
    async fn may_drain(&self, plan: &Plan, change: &Change) -> Result<(), String> {
        let what = named(&change.target);
        let node = self.read(&change.target).await.map_err(|error| match error.code() {
            404 => format!("{what} is not there any more"),
            _ => format!("{what} cannot be read: {error}"),
        })?;
        if let Precondition::Version { uid, version } = &change.precondition
            && !self.is_as_seen(Verb::Drain, uid, version, &node)
        {
            let now = if flag(&node, "/spec/unschedulable") { "no" } else { "yes" };
            return Err(if object::uid(&node) == uid.as_str() {
                format!("{what} was changed since this was planned: schedulable was {}, and is {now} now", change.from)
            } else {
                format!("{what} is another one now: it was deleted and made anew")
            });
        }
        let pods = self.pods_on(&change.target, &plan.intent.options).await;
        let pods = pods.map_err(|e| format!("the tasks on {what} cannot be read: {e}"))?;
        match refusals(&pods).into_iter().next() {
            Some(why) => Err(format!("{what}: {why}")),
            None => Ok(()),
        }
    }

    async fn drain_node(&self, plan: &Plan, id: &ObjectId, limits: &Limits<'_>, progress: &Progress) -> Drained {
        let mut out = Drained::default();
        if limits.cancel.is_cancelled() || Instant::now() >= limits.until {
            out.untouched = true;
            progress.step(Some(id), StepState::Skipped, "not begun").await;
            return out;
        }
        progress.step(Some(id), StepState::Doing, "cordoning").await;
        match self.cordon_now(id).await {
            Ok(cordoned) => out.cordoned = cordoned,
            Err(error) => {
                out.unknown = matches!(error, WriteError::Unknown(_));
                // It may be cordoned: then undoing that does no harm.
                out.cordoned = out.unknown;
                out.rest.push(format!("{} could not be cordoned: {error}", named(id)));
                progress.step(Some(id), StepState::Failed, &format!("not cordoned: {error}")).await;
                return out;
            }
        }
        // Only now nothing new can come: these are the ones that go.
        let pods = match self.pods_on(id, &plan.intent.options).await {
            Ok(pods) => pods,
            Err(error) => {
                out.rest.push(format!("the tasks on {} cannot be read: {error}", named(id)));
                return out;
            }
        };
        let (stay, go): (Vec<&Pod>, Vec<&Pod>) =
            pods.iter().partition(|p| matches!(p.judged.class, Class::Daemon | Class::Mirror));
        out.left = stay.len();
        for pod in stay {
            progress.step(Some(&pod.id), StepState::Skipped, &pod.judged.note).await;
        }
        let (came, go): (Vec<&Pod>, Vec<&Pod>) = go.into_iter().partition(|p| p.judged.class == Class::Refused);
        for pod in came {
            // It was not there when all was still untouched.
            out.rest.push(format!("{}: {}", named(&pod.id), pod.judged.note));
            progress.step(Some(&pod.id), StepState::Failed, &pod.judged.note).await;
        }
        self.see_all_out(plan, id, &go, limits, progress, &mut out).await;
        let (state, text) = if out.rest.is_empty() {
            (StepState::Done, format!("drained: {} gone, {} left where they are", out.gone, out.left))
        } else {
            (StepState::Failed, format!("{} gone, {} still there", out.gone, out.rest.len()))
        };
        progress.step(Some(id), state, &text).await;
        out
    }

    async fn see_all_out(
        &self,
        plan: &Plan,
        id: &ObjectId,
        go: &[&Pod],
        limits: &Limits<'_>,
        progress: &Progress,
        out: &mut Drained,
    ) {
        let grace = plan.intent.options.grace;
        let mut work = Vec::new();
        for pod in go.iter().copied() {
            work.push(async move { (pod, self.see_out(pod, grace, limits, progress).await) });
        }
        let mut all = futures::stream::iter(work).buffer_unordered(PODS_AT_ONCE);
        while let Some((pod, left)) = all.next().await {
            match left {
                Left::Gone => out.gone += 1,
                Left::Stays(why) | Left::Going(why) => out.rest.push(format!("{}: {why}", named(&pod.id))),
                Left::Unknown(why) => {
                    out.unknown = true;
                    out.rest.push(format!("{}: {why}", named(&pod.id)));
                }
            }
            let text = format!("{} of {} gone", out.gone, go.len());
            progress.step(Some(id), StepState::Doing, &text).await;
        }
    }

    /// Cordons a node; false if it was so already.
    async fn cordon_now(&self, id: &ObjectId) -> Result<bool, WriteError> {
        let path = Writer::object(id)?;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let node: Value = self.writer.get(&path).await?;
            if flag(&node, "/spec/unschedulable") {
                return Ok(false);
            }
            let patch = json!({"metadata": {"uid": object::uid(&node), "resourceVersion": object::version(&node)},
                "spec": {"unschedulable": true}});
            match self.writer.patch(&path, Patch::Merge, &patch).await {
                Ok(_) => return Ok(true),
                Err(error) if error.code() == 409 && attempt < ATTEMPTS => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn end(ends: &[(ObjectId, Drained)], cancelled: bool, late: bool) -> End {
    let gone: usize = ends.iter().map(|(_, d)| d.gone).sum();
    let left: usize = ends.iter().map(|(_, d)| d.left).sum();
    let rest: Vec<&str> = ends.iter().flat_map(|(_, d)| d.rest.iter().map(String::as_str)).collect();
    let untouched: Vec<String> = ends.iter().filter(|(_, d)| d.untouched).map(|(id, _)| named(id)).collect();
    let cordoned: Vec<ObjectId> = ends.iter().filter(|(_, d)| d.cordoned).map(|(id, _)| id.clone()).collect();
    let undo = (!cordoned.is_empty()).then(|| Intent::new(Verb::Uncordon, cordoned.clone()));
    let names: Vec<String> = ends.iter().map(|(id, _)| named(id)).collect();
    if rest.is_empty() && untouched.is_empty() {
        let stay = if left > 0 { format!(", {left} left where they are") } else { String::new() };
        return End::done(&format!("{} drained: {gone} tasks gone{stay}", names.join(", ")), undo);
    }
    let outcome = match (ends.iter().any(|(_, d)| d.unknown), cancelled) {
        (_, true) => Outcome::Cancelled,
        (true, false) => Outcome::Unknown,
        _ => Outcome::Failed,
    };
    let mut text = match (cancelled, late) {
        (true, _) => "cancelled".to_owned(),
        (_, true) => "not done in time".to_owned(),
        _ => "not all of it went".to_owned(),
    };
    text.push_str(&format!(": {gone} tasks gone, {} not", rest.len()));
    if !rest.is_empty() {
        let shown: Vec<&str> = rest.iter().take(5).copied().collect();
        let more = if rest.len() > 5 { format!("; and {} more", rest.len() - 5) } else { String::new() };
        text.push_str(&format!(" ({}{more})", shown.join("; ")));
    }
    if !untouched.is_empty() {
        text.push_str(&format!("; not begun: {}", untouched.join(", ")));
    }
    if !cordoned.is_empty() {
        let names: Vec<String> = cordoned.iter().map(named).collect();
        text.push_str(&format!("; {} stays cordoned", names.join(", ")));
    }
    End { outcome, text: Text::new(&text), undo }
}
