//! Where actions are planned, judged, written down and run.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures::future::BoxFuture;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::audit::Record;
use super::guard::{Assent, Policy, Verdict};
use super::intent::{Intent, Verb};
use super::plan::{End, Event, Outcome, Plan, Step, StepState};
use crate::clock::Clock;
use crate::domain::{ClusterId, Kind, ObjectId, Text};

/// How many steps may wait to be shown.
const STEPS: usize = 256;

/// One system that can be changed: a Kubernetes cluster, an ECS cluster, an Alertmanager.
pub trait Actor: Send + Sync + 'static {
    /// Looks at what is there, and says what would happen. Changes nothing. What stands in the way is in
    /// the plan; an error is only for what could not be looked at.
    fn plan<'a>(&'a self, intent: &'a Intent) -> BoxFuture<'a, Result<Plan, Text>>;

    /// Does it, checking each change's precondition at the moment of acting. Returns soon after `cancel`,
    /// leaving what was done done and saying what was not.
    fn run<'a>(&'a self, plan: &'a Plan, progress: &'a Progress, cancel: &'a CancellationToken) -> BoxFuture<'a, End>;
}

/// Where a running action says how it goes.
#[derive(Debug, Clone)]
pub struct Progress {
    tx: mpsc::Sender<Event>,
    clock: Clock,
    reason: Text,
}

impl Progress {
    /// With why it is done, for systems that keep it beside what was done; empty if nobody said.
    #[must_use]
    pub fn because(self, reason: &str) -> Self {
        Self { reason: Text::new(reason), ..self }
    }

    /// Why it is done; empty if nobody said.
    #[must_use]
    pub fn reason(&self) -> &Text {
        &self.reason
    }

    /// Says how `target`, or all of it, stands.
    pub async fn step(&self, target: Option<&ObjectId>, state: StepState, text: &str) {
        let step = Step { at: self.clock.now(), target: target.cloned(), state, text: Text::new(text) };
        // Nobody looks any more: it is done all the same.
        let _ = self.tx.send(Event::Step(step)).await;
    }

    /// Hands on a line of what it prints.
    pub async fn output(&self, line: &str) {
        let _ = self.tx.send(Event::Output(Text::new(line.trim_end_matches(['\n', '\r'])))).await;
    }

    /// For tests and callers that look at the steps themselves.
    #[must_use]
    pub fn channel(clock: Clock) -> (Self, mpsc::Receiver<Event>) {
        let (tx, rx) = mpsc::channel(STEPS);
        (Self { tx, clock, reason: Text::empty() }, rx)
    }

    /// The time.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }
}

/// A plan, and what the guard says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// What would happen.
    pub plan: Plan,
    /// Whether it may, and how to say yes.
    pub verdict: Verdict,
}

/// An action under way.
#[derive(Debug)]
pub struct Running {
    /// Its number in the audit.
    pub number: u64,
    /// How it goes; ends with [`Event::Ended`].
    pub events: mpsc::Receiver<Event>,
    /// To end it early.
    pub cancel: CancellationToken,
}

/// Finds who changes an object: that of its cluster, or for an alarm who watches. `None` where nothing can be changed.
/// Sources may appear while the console runs.
pub type Actors = Arc<dyn Fn(&ObjectId) -> Option<Arc<dyn Actor>> + Send + Sync>;

/// Where actions are planned and run. Cloning shares it.
#[derive(Clone)]
pub struct Desk(Arc<Inner>);

struct Inner {
    actors: Actors,
    policy: Policy,
    record: Option<Arc<dyn Record>>,
    clock: Clock,
    /// What runs programs on this machine; not there where nothing may be changed.
    local: OnceLock<Arc<dyn Actor>>,
    /// Numbers of what runs, for the end of the console.
    running: Mutex<BTreeMap<u64, CancellationToken>>,
    /// How many have not come to their end, written down or not.
    alive: AtomicUsize,
}

/// One action that has not come to its end.
struct Alive(Desk);

impl Alive {
    fn new(desk: &Desk) -> Self {
        desk.0.alive.fetch_add(1, Ordering::Relaxed);
        Self(desk.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.0.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Desk {
    /// With what can be changed. Without a `record` nothing is done.
    #[must_use]
    pub fn new(actors: Actors, policy: Policy, record: Option<Arc<dyn Record>>, clock: Clock) -> Self {
        let (local, running, alive) = (OnceLock::new(), Mutex::default(), AtomicUsize::new(0));
        Self(Arc::new(Inner { actors, policy, record, clock, local, running, alive }))
    }

    /// With what runs programs on this machine, for [`Verb::Run`]. In a read-only console it is not taken.
    #[must_use]
    pub fn and_local(self, actor: Arc<dyn Actor>) -> Self {
        if !self.0.policy.read_only {
            let _ = self.0.local.set(actor);
        }
        self
    }

    /// Who does it.
    fn actor(&self, intent: &Intent) -> Option<Arc<dyn Actor>> {
        if intent.verb == Verb::Run {
            return self.0.local.get().cloned();
        }
        intent.targets.first().and_then(|t| (self.0.actors)(t))
    }

    /// What is allowed.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// Why nothing can be done to this object, or its like in its cluster, at all; `None` where something can.
    #[must_use]
    pub fn closed(&self, id: &ObjectId) -> Option<Text> {
        if let Some(why) = self.read_only(&id.cluster) {
            return Some(why);
        }
        if (self.0.actors)(id).is_none() {
            let what = if id.kind == Kind::Alarm { "no alarm can be silenced" } else { "nothing can be changed" };
            return Some(Text::new(&format!("{what} in {} from here", id.cluster)));
        }
        None
    }

    fn read_only(&self, cluster: &ClusterId) -> Option<Text> {
        let policy = &self.0.policy;
        if policy.read_only {
            return Some(Text::new("the console is read-only; start it without --read-only to change things"));
        }
        if policy.clusters.get(cluster).is_some_and(|c| c.read_only) {
            return Some(Text::new(&format!("{cluster} is marked read_only in config.toml")));
        }
        None
    }

    /// Looks at what is there, and says what would happen. Changes nothing.
    ///
    /// # Errors
    /// When the intent makes no sense, or it cannot be looked at.
    pub async fn plan(&self, intent: &Intent) -> Result<Plan, Text> {
        intent.check()?;
        let Some(first) = intent.targets.first() else { return Err(Text::new("nothing is selected")) };
        let closed = if intent.verb == Verb::Run { self.read_only(&first.cluster) } else { self.closed(first) };
        if let Some(why) = closed {
            return Err(why);
        }
        let Some(actor) = self.actor(intent) else { return Err(Text::new("nothing can be changed")) };
        actor.plan(intent).await
    }

    /// What the guard says of a plan now.
    #[must_use]
    pub fn judge(&self, plan: Plan) -> Judged {
        let verdict = self.0.policy.judge(&plan, self.0.clock.now());
        Judged { plan, verdict }
    }

    /// Writes it down and begins.
    ///
    /// # Errors
    /// When the guard says no by now, the user has not said enough, or it cannot be written down.
    pub fn act(&self, plan: Plan, assent: &Assent) -> Result<Running, Text> {
        let now = self.0.clock.now();
        let Judged { plan, verdict } = self.judge(plan);
        verdict.accepts(assent)?;
        if !plan.is_possible() {
            return Err(Text::new("there is nothing to do"));
        }
        let Some(actor) = self.actor(&plan.intent) else { return Err(Text::new("nothing can be changed there")) };
        let Some(record) = &self.0.record else {
            return Err(Text::new("there is no audit, and without one nothing is changed"));
        };
        let number = record.begin(&plan, assent, now)?;
        let (progress, events) = Progress::channel(self.0.clock.clone());
        let progress = progress.because(&assent.reason);
        let cancel = CancellationToken::new();
        self.running().insert(number, cancel.clone());
        let (desk, record, token) = (self.clone(), Arc::clone(record), cancel.clone());
        let alive = Alive::new(self);
        spawn(async move {
            let _alive = alive;
            let end = actor.run(&plan, &progress, &token).await;
            // Whoever takes it off the list writes it down: this, or the end of the console.
            if desk.running().remove(&number).is_some()
                && let Err(why) = record.end(number, &end, desk.0.clock.now())
            {
                let text = format!("{}; the audit could not be written: {why}", end.text);
                let _ = progress.tx.send(Event::Ended(End { text: Text::new(&text), ..end })).await;
                return;
            }
            let _ = progress.tx.send(Event::Ended(end)).await;
        });
        Ok(Running { number, events, cancel })
    }

    /// With nothing that can be changed: in read-only mode no writing client is made.
    #[must_use]
    pub fn closed_for_all(policy: Policy, clock: Clock) -> Self {
        Self::new(Arc::new(|_| None), policy, None, clock)
    }

    /// How many actions run.
    #[must_use]
    pub fn is_busy(&self) -> usize {
        self.running().len()
    }

    /// Ends what runs, and waits so long for its end to be written down; what has none by then is written
    /// down as unknown.
    pub async fn close(&self, patience: std::time::Duration) {
        let tokens: Vec<CancellationToken> = self.running().values().cloned().collect();
        tokens.iter().for_each(CancellationToken::cancel);
        let all_over = async {
            while self.is_busy() > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(patience, all_over).await.is_err() {
            self.abandon("the console ended before it was known how this went");
        }
    }

    /// The console ends: what runs is written down as unknown.
    pub fn abandon(&self, why: &str) {
        let running = std::mem::take(&mut *self.running());
        // Writing takes a while, and in it nothing more may begin.
        running.values().for_each(CancellationToken::cancel);
        for number in running.into_keys() {
            let end = End { outcome: Outcome::Unknown, text: Text::new(why), undo: None };
            if let Some(record) = &self.0.record
                && let Err(error) = record.end(number, &end, self.0.clock.now())
            {
                tracing::error!(%error, number, "the audit could not be written");
            }
        }
    }

    /// Waits at most so long until what was ended has let go of what it had: programs that it ran, sessions elsewhere.
    pub async fn settle(&self, patience: std::time::Duration) {
        let all_gone = async {
            while self.0.alive.load(Ordering::Relaxed) > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        let _ = tokio::time::timeout(patience, all_gone).await;
    }

    fn running(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, CancellationToken>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Desk {
    fn default() -> Self {
        Self::closed_for_all(Policy { read_only: true, ..Policy::default() }, Clock::system())
    }
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("policy", &self.0.policy).finish_non_exhaustive()
    }
}

#[expect(clippy::disallowed_methods, reason = "an action outlives the call that begins it; its end is written down")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(task));
}

#[cfg(test)]
mod tests;
