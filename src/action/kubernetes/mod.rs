//! What can be changed in a Kubernetes cluster.
//!
//! ```text
//! edit     one patch for each target: cordon, scale, restart, roll-back, set-image, suspend
//! remove   delete            trigger  a job from a cron job
//! drain    classify, plan, run
//! ```
//!
//! Every plan is made of a fresh read, and every run reads again before it acts: what was shown must still be so.

mod budgets;
mod change;
mod drain;
mod edit;
mod image;
mod object;
mod remove;
mod revisions;
mod rollout;
mod run;
mod scale;
mod shell;
mod trigger;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::desk::{Actor, Progress};
use super::exec::kubernetes::{self as exec, Hands, Place};
use super::intent::{Intent, Verb};
use super::plan::{End, Permission, Plan};
use crate::clock::Clock;
use crate::domain::{ObjectId, Text};
use crate::source::kubernetes::{WriteError, Writer};

/// How many remembered versions are too many: then all are forgotten, and runs are stricter.
const REMEMBERED: usize = 4096;

/// How long it waits between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Before an eviction that a budget holds back is tried again; kubectl's five seconds.
    pub retry: Duration,
    /// Between two looks at what goes on.
    pub poll: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { retry: Duration::from_secs(5), poll: Duration::from_secs(1) }
    }
}

/// One cluster that may be changed.
pub struct Kubernetes {
    writer: Writer,
    clock: Clock,
    pace: Pace,
    /// For going into tasks, where somebody has a terminal for that.
    hands: Option<Hands>,
    production: bool,
    /// What a plan saw: unique name, version and verb, and what of it the plan was about. A status
    /// that moved on since is no change; only this is.
    seen: Mutex<BTreeMap<(String, String, Verb), u64>>,
}

impl std::fmt::Debug for Kubernetes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kubernetes").field("writer", &self.writer).finish_non_exhaustive()
    }
}

impl Kubernetes {
    /// Changes what `writer` reaches.
    #[must_use]
    pub fn new(writer: Writer, clock: Clock) -> Self {
        Self { writer, clock, pace: Pace::default(), hands: None, production: false, seen: Mutex::default() }
    }

    /// With what goes into tasks: exec, attach, port-forward.
    #[must_use]
    pub fn with_hands(self, hands: Hands, production: bool) -> Self {
        Self { hands: Some(hands), production, ..self }
    }

    /// The plan of going into tasks.
    async fn plan_session(&self, intent: &Intent) -> Result<Plan, Text> {
        let Some(hands) = &self.hands else { return Err(Text::new("there is no way into tasks from here")) };
        let pods = join_all(
            intent
                .targets
                .iter()
                .map(|id| async move { (id.clone(), hands.reader.object(id).await.map_err(|e| exec::words(&e))) }),
        )
        .await;
        let mut namespaces: Vec<String> = intent.targets.iter().map(|t| t.namespace.to_string()).collect();
        namespaces.sort();
        namespaces.dedup();
        let resource = exec::resource(intent.verb);
        let questions = namespaces.iter().flat_map(|n| exec::VERBS.map(|verb| (verb, n.as_str())));
        let answers = join_all(questions.map(|(verb, namespace)| async move {
            ((verb, namespace), self.writer.can_i(verb, "", resource, namespace, "").await.ok())
        }));
        let answers = answers.await;
        let allowed = |verb: &str, namespace: &str| {
            answers.iter().find(|(asked, _)| *asked == (verb, namespace)).and_then(|(_, allowed)| *allowed)
        };
        let place = Place { context: self.writer.context().map(str::to_owned), production: self.production };
        Ok(exec::plan(intent, &pods, &place, allowed, self.clock.now()))
    }

    /// Goes into tasks; what one-off commands printed is told line by line.
    async fn run_session(&self, plan: &Plan, progress: &Progress, cancel: &CancellationToken) -> End {
        let Some(hands) = &self.hands else { return End::failed("there is no way into tasks from here", None) };
        let end = exec::run(hands, plan, progress, cancel).await;
        for one in hands.outputs.take() {
            progress.output(&format!("== {}/{} {}", one.target.namespace, one.target.name, one.ended.words())).await;
            for line in one.lines() {
                progress.output(&line).await;
            }
            if one.left_out > 0 {
                progress.output(&format!("... and {} bytes more", one.left_out)).await;
            }
        }
        end
    }

    /// With other waits, for tests.
    #[must_use]
    pub fn with_pace(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// Reads a target.
    async fn read(&self, id: &ObjectId) -> Result<Value, WriteError> {
        self.writer.get(&Writer::object(id)?).await
    }

    fn remember(&self, verb: Verb, object: &Value) {
        let key = (object::uid(object).to_owned(), object::version(object).to_owned(), verb);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= REMEMBERED {
            seen.clear();
        }
        seen.insert(key, subject(verb, object));
    }

    /// Whether what `verb` is about is as it was at that version.
    fn is_as_seen(&self, verb: Verb, uid: &str, version: &str, object: &Value) -> bool {
        if object::uid(object) != uid {
            return false;
        }
        if object::version(object) == version {
            return true;
        }
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(&(uid.to_owned(), version.to_owned(), verb)) == Some(&subject(verb, object))
    }

    /// Asks whether what is needed is allowed, each only once.
    async fn permissions(&self, mut needs: Vec<Need>) -> Vec<Permission> {
        needs.sort();
        needs.dedup();
        join_all(needs.iter().map(|need| async move {
            let asked = self.writer.can_i(need.verb, need.group, need.resource, &need.namespace, &need.name).await;
            Permission { what: Text::new(&need.to_string()), allowed: asked.ok() }
        }))
        .await
    }

    fn kubectl(&self, arguments: &[&str]) -> String {
        shell::kubectl(self.writer.context(), arguments)
    }
}

impl Actor for Kubernetes {
    fn plan<'a>(&'a self, intent: &'a Intent) -> BoxFuture<'a, Result<Plan, Text>> {
        Box::pin(async move {
            intent.check()?;
            if matches!(intent.verb, Verb::Exec | Verb::Attach | Verb::PortForward) {
                return self.plan_session(intent).await;
            }
            let mut plan = Plan::new(intent.clone(), self.clock.now());
            match intent.verb {
                Verb::Drain => self.plan_drain(&mut plan).await,
                Verb::Delete => self.plan_delete(&mut plan).await,
                Verb::Trigger => self.plan_trigger(&mut plan).await,
                verb if edit::is_edit(verb) => self.plan_edit(&mut plan).await,
                verb => Err(Text::new(&format!("{verb} is not done by a change of objects"))),
            }?;
            Ok(plan)
        })
    }

    fn run<'a>(&'a self, plan: &'a Plan, progress: &'a Progress, cancel: &'a CancellationToken) -> BoxFuture<'a, End> {
        Box::pin(async move {
            match plan.intent.verb {
                Verb::Exec | Verb::Attach | Verb::PortForward => self.run_session(plan, progress, cancel).await,
                Verb::Drain => self.run_drain(plan, progress, cancel).await,
                Verb::Delete => self.run_delete(plan, progress, cancel).await,
                Verb::Trigger => self.run_trigger(plan, progress, cancel).await,
                verb if edit::is_edit(verb) => self.run_edit(plan, progress, cancel).await,
                verb => End::failed(&format!("{verb} is not done by a change of objects"), None),
            }
        })
    }
}

/// What has to be allowed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Need {
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    /// Empty: everywhere, or a kind without namespaces.
    namespace: String,
    /// Empty: any.
    name: String,
}

impl Need {
    /// To do something to an object, or to a part of it.
    fn of(verb: &'static str, id: &ObjectId) -> Self {
        let (group, resource) = Writer::rule(id.kind);
        Self { verb, group, resource, namespace: id.namespace.to_string(), name: id.name.to_string() }
    }
}

impl std::fmt::Display for Need {
    /// `create pods/eviction in shop`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.name.is_empty() {
            write!(f, " {}", self.name)?;
        }
        if self.namespace.is_empty() { Ok(()) } else { write!(f, " in {}", self.namespace) }
    }
}

/// What of an object a verb is about, as a number to compare.
fn subject(verb: Verb, object: &Value) -> u64 {
    let at = |pointer: &str| object.pointer(pointer).map(ToString::to_string).unwrap_or_default();
    let about = match verb {
        Verb::Cordon | Verb::Uncordon | Verb::Drain => at("/spec/unschedulable"),
        // Of an autoscaler the bounds, of all else how many are wanted.
        Verb::Scale => format!("{} {} {}", at("/spec/replicas"), at("/spec/minReplicas"), at("/spec/maxReplicas")),
        Verb::Suspend | Verb::Resume => at("/spec/suspend"),
        Verb::Trigger => at("/spec/jobTemplate"),
        _ => {
            // An autoscaler may scale while somebody reads a plan to restart.
            let mut spec = object.get("spec").cloned().unwrap_or_default();
            if let Some(fields) = spec.as_object_mut() {
                fields.shift_remove("replicas");
            }
            spec.to_string()
        }
    };
    let mut hasher = DefaultHasher::new();
    about.hash(&mut hasher);
    hasher.finish()
}
