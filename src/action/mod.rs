//! What changes something outside: intent, plan, guard, confirmation, audit, run.
//!
//! One way for key, palette and command line:
//!
//! ```text
//! Intent --Actor::plan--> Plan --Policy::judge--> Verdict --the user--> Assent
//!                                                              |
//!        End <--Actor::run-- audit of the intent <-- Desk::act-+
//! ```
//!
//! A [`desk::Desk`] has an [`desk::Actor`] for each source that may be changed. In read-only mode there is
//! none, and no writing client is ever made.

#[cfg(any(feature = "prometheus", feature = "aws"))]
pub mod alarms;
pub mod audit;
pub(crate) mod child;
pub mod desk;
#[cfg(feature = "aws")]
pub mod ecs;
#[cfg(any(feature = "kubernetes", feature = "aws"))]
pub mod exec;
pub mod facts;
pub mod guard;
#[cfg(any(feature = "kubernetes", feature = "aws"))]
mod image;
pub mod intent;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
pub mod plan;
pub mod session;
#[cfg(any(feature = "kubernetes", feature = "aws", feature = "prometheus"))]
mod words;

pub use desk::{Actor, Desk, Judged, Running};
pub use guard::{Assent, Confirm, Policy, Verdict};
pub use intent::{Intent, Options, Verb};
pub use plan::{Change, End, Event, Fate, Outcome, Permission, Plan, Precondition, Step, StepState};
