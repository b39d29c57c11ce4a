//! Planning an action and running it to its end, whoever does it.

#![allow(dead_code, reason = "each test uses its part")]
#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::time::Duration;

use quarterdeck::action::desk::Progress;
use quarterdeck::action::{Actor, End, Event, Intent, Plan, Step};
use quarterdeck::clock::Clock;
use tokio_util::sync::CancellationToken;

/// Longer than any of it takes.
pub const DEADLINE: Duration = Duration::from_mins(2);

pub async fn plan(actor: &impl Actor, intent: &Intent) -> Plan {
    tokio::time::timeout(DEADLINE, actor.plan(intent)).await.expect("in time").expect("a plan")
}

/// Runs a plan to its end; `watch` sees each step, and may cancel.
pub async fn run(actor: &impl Actor, plan: &Plan, watch: impl FnMut(&Step, &CancellationToken)) -> (End, Vec<Step>) {
    run_because(actor, plan, "", watch).await
}

/// The same as somebody says why.
pub async fn run_because(
    actor: &impl Actor,
    plan: &Plan,
    reason: &str,
    watch: impl FnMut(&Step, &CancellationToken),
) -> (End, Vec<Step>) {
    run_until(actor, plan, reason, &CancellationToken::new(), watch).await
}

/// The same until somebody cancels it, who may have done so already.
pub async fn run_until(
    actor: &impl Actor,
    plan: &Plan,
    reason: &str,
    cancel: &CancellationToken,
    mut watch: impl FnMut(&Step, &CancellationToken),
) -> (End, Vec<Step>) {
    let (progress, mut events) = Progress::channel(Clock::system());
    let progress = progress.because(reason);
    let mut steps = Vec::new();
    let acts = async {
        let end = actor.run(plan, &progress, cancel).await;
        // The channel ends only when its sender does.
        drop(progress);
        end
    };
    let listen = async {
        while let Some(event) = events.recv().await {
            if let Event::Step(step) = event {
                watch(&step, cancel);
                steps.push(step);
            }
        }
    };
    let both = async { tokio::join!(acts, listen) };
    let Ok((end, ())) = tokio::time::timeout(DEADLINE, both).await else { panic!("{} does not end", plan.intent.verb) };
    (end, steps)
}

/// Plans and runs what must be possible.
pub async fn act(actor: &impl Actor, intent: &Intent) -> (End, Vec<Step>) {
    let plan = plan(actor, intent).await;
    assert!(plan.is_possible(), "{plan:#?}");
    run(actor, &plan, |_, _| ()).await
}
