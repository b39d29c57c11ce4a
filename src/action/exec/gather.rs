//! One-off commands: no terminal, several tasks, their output kept within bounds.

use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::kubernetes::{AT_ONCE, Hands, start};
use crate::action::desk::Progress;
use crate::action::intent::Intent;
use crate::action::plan::{Change, End, Outcome, StepState};
use crate::action::session::{Ended, Output};
use crate::domain::{ObjectId, Text};

/// What is kept of one task's output, in bytes; the rest is read and counted.
pub const LONGEST: usize = 256 << 10;

/// What one task said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gathered {
    /// Which.
    pub target: ObjectId,
    /// Both streams as they came, its beginning. Not cleaned; see [`Gathered::lines`].
    pub output: Vec<u8>,
    /// How many bytes more there were.
    pub left_out: u64,
    /// How it ended.
    pub ended: Ended,
}

impl Gathered {
    /// Its lines, cleaned.
    #[must_use]
    pub fn lines(&self) -> Vec<Text> {
        String::from_utf8_lossy(&self.output).lines().map(Text::new).collect()
    }
}

/// What was gathered and not looked at yet. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct Outputs(Arc<Mutex<Vec<Gathered>>>);

impl Outputs {
    /// Everything so far, once.
    #[must_use]
    pub fn take(&self) -> Vec<Gathered> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, gathered: Gathered) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(gathered);
    }
}

/// Runs the command in every target, a few at a time.
pub async fn run(
    hands: &Hands,
    intent: &Intent,
    changes: &[&Change],
    progress: &Progress,
    cancel: &CancellationToken,
) -> End {
    let each: Vec<_> = changes.iter().map(|change| told(hands, intent, change, progress, cancel)).collect();
    let all: Vec<Option<bool>> = futures::stream::iter(each).buffer_unordered(AT_ONCE).collect().await;
    let count = |wanted: Option<bool>| all.iter().filter(|one| **one == wanted).count();
    let (well, badly, cancelled) = (count(Some(true)), count(Some(false)), count(None));
    let mut text = format!("{well} of {} ended well", all.len());
    if badly > 0 {
        text.push_str(&format!(", {badly} did not"));
    }
    if cancelled > 0 {
        text.push_str(&format!(", {cancelled} cancelled"));
    }
    let outcome = match (badly, cancelled) {
        (_, 1..) => Outcome::Cancelled,
        (1.., _) => Outcome::Failed,
        _ => Outcome::Done,
    };
    End { outcome, text: Text::new(&text), undo: None }
}

/// Runs it in one target; whether it ended well, `None` if it was cancelled.
async fn told(
    hands: &Hands,
    intent: &Intent,
    change: &Change,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Option<bool> {
    let target = change.target.clone();
    if cancel.is_cancelled() {
        progress.step(Some(&target), StepState::Skipped, "cancelled before it began").await;
        return None;
    }
    progress.step(Some(&target), StepState::Doing, "running").await;
    let gathered = tokio::select! {
        biased;
        () = cancel.cancelled() => {
            progress.step(Some(&target), StepState::Skipped, "cancelled; it may still run there").await;
            return None;
        }
        gathered = one(hands, intent, change) => gathered,
    };
    let well = gathered.ended == Ended::Code(0);
    let state = if well { StepState::Done } else { StepState::Failed };
    let last = gathered.lines().pop().filter(|l| !l.as_str().is_empty());
    let text = format!("{}{}", gathered.ended.words(), last.map(|l| format!(": {l}")).unwrap_or_default());
    progress.step(Some(&target), state, &text).await;
    hands.outputs.push(gathered);
    Some(well)
}

async fn one(hands: &Hands, intent: &Intent, change: &Change) -> Gathered {
    let target = change.target.clone();
    let mut gathered = Gathered { target, output: Vec::new(), left_out: 0, ended: Ended::Code(0) };
    let mut remote = match start(hands, intent, change, (false, false)).await {
        Ok((remote, _)) => remote,
        Err(why) => {
            gathered.ended = Ended::Failed(why);
            return gathered;
        }
    };
    gathered.ended = loop {
        match remote.output.recv().await {
            Some(Output::Out(bytes) | Output::Err(bytes)) => {
                let room = LONGEST.saturating_sub(gathered.output.len()).min(bytes.len());
                gathered.output.extend_from_slice(&bytes[..room]);
                gathered.left_out += (bytes.len() - room) as u64;
            }
            Some(Output::Ended(ended)) => break ended,
            None => break Ended::Cut(Text::new("the connection broke")),
        }
    };
    gathered
}
