//! One pod on its way out: asked to go until it may, then waited for until it is gone.

use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::super::desk::Progress;
use super::super::super::plan::StepState;
use super::super::Kubernetes;
use super::super::budgets::Budget;
use super::super::object::{self, text};
use super::Pod;
use super::classify::Class;
use crate::domain::{Kind, ObjectId, Text};
use crate::source::kubernetes::{Refusal, WriteError, Writer};

/// How long an answer may still take after somebody has cancelled.
const ANSWER: std::time::Duration = std::time::Duration::from_secs(3);

/// What became of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Left {
    Gone,
    /// It is still there, and why.
    Stays(String),
    /// Asked to go, and not gone yet when nobody waited any more.
    Going(String),
    /// Nobody can say.
    Unknown(String),
}

/// What one attempt came to.
enum Tried {
    /// It goes, or is gone.
    Goes,
    /// Not now: for this reason, and after so long.
    Later(String, std::time::Duration),
    Never(String),
    Unknown(String),
}

/// How long, and whether at all.
pub(super) struct Limits<'a> {
    pub(super) until: Instant,
    pub(super) cancel: &'a CancellationToken,
}

impl Limits<'_> {
    /// Over when somebody has cancelled, and an answer that was on its way would have come.
    async fn patience(&self) {
        self.cancel.cancelled().await;
        tokio::time::sleep(ANSWER).await;
    }

    /// Waits, or says why waiting is over.
    async fn wait(&self, for_: std::time::Duration) -> Result<(), &'static str> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err("cancelled"),
            () = tokio::time::sleep_until(self.until) => Err("the time is up"),
            () = tokio::time::sleep(for_) => Ok(()),
        }
    }
}

impl Kubernetes {
    /// Evicts a pod and waits until it is gone.
    pub(super) async fn see_out(
        &self,
        pod: &Pod,
        grace: Option<u32>,
        limits: &Limits<'_>,
        progress: &Progress,
    ) -> Left {
        let id = &pod.id;
        if pod.judged.class != Class::Terminating
            && let Err(left) = self.evict(pod, grace, limits, progress).await
        {
            let (state, why) = match &left {
                Left::Stays(why) if limits.cancel.is_cancelled() => (StepState::Skipped, why),
                Left::Stays(why) | Left::Unknown(why) | Left::Going(why) => (StepState::Failed, why),
                Left::Gone => (StepState::Done, &String::new()),
            };
            progress.step(Some(id), state, why).await;
            return left;
        }
        let how = if pod.judged.class == Class::Terminating { "ending already" } else { "evicted, and ending" };
        progress.step(Some(id), StepState::Doing, how).await;
        let left = self.until_out(pod, limits).await;
        match &left {
            Left::Gone => progress.step(Some(id), StepState::Done, "gone").await,
            Left::Going(why) | Left::Stays(why) | Left::Unknown(why) => {
                progress.step(Some(id), StepState::Waiting, why).await;
            }
        }
        left
    }

    async fn evict(&self, pod: &Pod, grace: Option<u32>, limits: &Limits<'_>, progress: &Progress) -> Result<(), Left> {
        let mut last = "it was not asked".to_owned();
        loop {
            if limits.cancel.is_cancelled() {
                return Err(Left::Stays(format!("cancelled; {last}")));
            }
            let tried = tokio::select! {
                tried = self.try_evict(pod, grace) => tried,
                () = limits.patience() => Tried::Unknown("the server has not answered whether it goes".to_owned()),
            };
            let wait = match tried {
                Tried::Goes => return Ok(()),
                Tried::Later(why, wait) => {
                    progress.step(Some(&pod.id), StepState::Waiting, &why).await;
                    last = why;
                    wait
                }
                Tried::Never(why) => return Err(Left::Stays(why)),
                Tried::Unknown(why) => return Err(Left::Unknown(why)),
            };
            limits.wait(wait).await.map_err(|over| Left::Stays(format!("{over}; {last}")))?;
        }
    }

    async fn try_evict(&self, pod: &Pod, grace: Option<u32>) -> Tried {
        let path = match Writer::object(&pod.id) {
            Ok(path) => path,
            Err(error) => return Tried::Never(error.to_string()),
        };
        let mut options = json!({"preconditions": {"uid": pod.uid}});
        if let Some(grace) = grace {
            options["gracePeriodSeconds"] = grace.into();
        }
        let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "deleteOptions": options,
            "metadata": {"name": pod.id.name.as_str(), "namespace": pod.id.namespace.as_str()}});
        match self.writer.create(&format!("{path}/eviction"), &eviction).await {
            Ok(_) => Tried::Goes,
            Err(WriteError::Refused(refusal)) => self.refused(pod, &refusal).await,
            // Asking twice for the same one does no harm: what is known of it decides.
            Err(error) => match self.writer.get(&path).await {
                Ok(now) if is_going(pod, &now) => Tried::Goes,
                Err(gone) if gone.code() == 404 => Tried::Goes,
                Err(_) if matches!(error, WriteError::Unknown(_)) => Tried::Unknown(error.to_string()),
                _ => Tried::Later(error.to_string(), self.pace.retry),
            },
        }
    }

    async fn refused(&self, pod: &Pod, refusal: &Refusal) -> Tried {
        let pause = refusal.retry_after.unwrap_or_default().max(self.pace.retry);
        if let Some(cause) = refusal.budget() {
            return Tried::Later(format!("429: {}", self.budget_now(&pod.id, &cause.message).await), pause);
        }
        match refusal.code {
            404 => Tried::Goes,
            // Another one has its name by now.
            409 if refusal.message.contains("UID") => Tried::Goes,
            409 | 503 => Tried::Later(refusal.to_string(), pause),
            429 => Tried::Later(format!("429: the server is busy: {}", refusal.message), pause),
            403 if refusal.is_namespace_terminating() => {
                let path = Writer::object(&pod.id).unwrap_or_default();
                match self.writer.get(&path).await {
                    Ok(now) if is_going(pod, &now) => Tried::Goes,
                    Err(gone) if gone.code() == 404 => Tried::Goes,
                    _ => Tried::Later("its namespace is being deleted, and it with it".to_owned(), pause),
                }
            }
            500 if refusal.is_several_budgets() => Tried::Never(
                "more than one disruption budget is over it: the API refuses that for ever; leave one of them"
                    .to_owned(),
            ),
            _ => Tried::Never(refusal.to_string()),
        }
    }

    /// Which budget it is, and what it allows now; in the server's words if it cannot be read.
    async fn budget_now(&self, near: &ObjectId, message: &str) -> String {
        let mut words = message.split_whitespace().skip_while(|w| *w != "budget");
        let Some(name) = words.nth(1) else { return message.to_owned() };
        let id = ObjectId { kind: Kind::DisruptionBudget, name: Text::new(name), ..near.clone() };
        match self.read(&id).await {
            Ok(budget) => Budget::of(&budget).says(),
            Err(_) => message.to_owned(),
        }
    }

    async fn until_out(&self, pod: &Pod, limits: &Limits<'_>) -> Left {
        let path = Writer::object(&pod.id).unwrap_or_default();
        loop {
            let now = tokio::select! {
                now = self.writer.get(&path) => now,
                () = limits.patience() => return Left::Going("cancelled; it still ends".to_owned()),
            };
            match now {
                Ok(now) if object::uid(&now) == pod.uid => {}
                Ok(_) => return Left::Gone,
                Err(error) if error.code() == 404 => return Left::Gone,
                Err(_) => {}
            }
            if let Err(over) = limits.wait(self.pace.poll).await {
                return Left::Going(format!("{over}; it still ends"));
            }
        }
    }
}

/// Whether a pod is ending, or is another one by now.
fn is_going(pod: &Pod, now: &Value) -> bool {
    object::uid(now) != pod.uid || !text(now, "/metadata/deletionTimestamp").is_empty()
}
