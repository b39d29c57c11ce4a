//! Who may do what: read-only, production, guardrails. Pure.

use std::collections::BTreeMap;

use super::intent::Verb;
use super::plan::Plan;
use crate::domain::{ClusterId, Text, Timestamp};

/// What has to be done to say yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirm {
    /// Choose it; the focus is on Cancel first.
    Choose,
    /// Type this.
    Type(Text),
}

/// What the guard says of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Why not. Empty: it may be done.
    pub refused: Vec<Text>,
    /// How to say yes.
    pub confirm: Confirm,
    /// A reason must be given.
    pub needs_reason: bool,
    /// The cluster is marked as production.
    pub production: bool,
}

/// What the user said to a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assent {
    /// What was typed, where something had to be.
    pub typed: String,
    /// Why it is done; empty if nobody said.
    pub reason: String,
    /// A flag said it (`--yes`, `--confirm`), not somebody at a terminal.
    pub by_flag: bool,
}

/// What is allowed where.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Nothing is changed anywhere.
    pub read_only: bool,
    /// By cluster.
    pub clusters: BTreeMap<ClusterId, ClusterPolicy>,
    /// In the order of the configuration; all that fit count.
    pub guardrails: Vec<Guardrail>,
}

/// What is said of one cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClusterPolicy {
    /// Names have to be typed, and reasons given.
    pub production: bool,
    /// Nothing is changed there.
    pub read_only: bool,
}

/// A rule of the user's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guardrail {
    /// Whose rule it is, for the message: its name or its number in the file.
    pub name: Text,
    /// Glob patterns that must all fit; empty fits everything.
    pub cluster: String,
    /// Namespace.
    pub namespace: String,
    /// Kind, by its short name.
    pub kind: String,
    /// Name.
    pub object: String,
    /// What is asked for; empty: anything.
    pub verbs: Vec<Verb>,
    /// What then.
    pub effect: Effect,
}

/// What a guardrail does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Forbids it, for this reason.
    Deny(Text),
    /// The name must be typed, and a reason given.
    Confirm,
    /// No more than so many targets at once.
    AtOnce(u16),
    /// Forbids it in this part of each day, in minutes after midnight of `zone`; may go past midnight.
    Quiet {
        /// From.
        from: u16,
        /// To, not included.
        to: u16,
        /// Where it is that time.
        zone: chrono_tz::Tz,
    },
}

impl Policy {
    /// What it says of a plan at `now`.
    #[must_use]
    pub fn judge(&self, plan: &Plan, now: Timestamp) -> Verdict {
        let _ = now;
        let cluster = plan.intent.targets.first().map(|t| &t.cluster);
        let of_cluster = cluster.and_then(|c| self.clusters.get(c)).copied().unwrap_or_default();
        let mut refused = plan.refused.clone();
        if self.read_only {
            refused.push(Text::new("the console is read-only (--read-only, or read_only in config.toml)"));
        } else if of_cluster.read_only {
            refused.push(Text::new("this cluster is marked read_only in config.toml"));
        }
        refused.extend(
            plan.needs
                .iter()
                .filter(|p| p.allowed == Some(false))
                .map(|p| Text::new(&format!("you are not allowed to {}", p.what))),
        );
        let name = plan.intent.targets.first().map(|t| t.name.clone()).unwrap_or_default();
        let typed = plan.intent.verb.info().is_final || of_cluster.production;
        Verdict {
            refused,
            confirm: if typed { Confirm::Type(name) } else { Confirm::Choose },
            needs_reason: of_cluster.production,
            production: of_cluster.production,
        }
    }
}

impl Verdict {
    /// Whether what the user said is enough.
    ///
    /// # Errors
    /// What is missing.
    pub fn accepts(&self, assent: &Assent) -> Result<(), Text> {
        if let Some(why) = self.refused.first() {
            return Err(why.clone());
        }
        if let Confirm::Type(name) = &self.confirm
            && assent.typed != name.as_str()
        {
            return Err(Text::new(&format!("type {name} to confirm")));
        }
        if self.needs_reason && assent.reason.trim().is_empty() {
            return Err(Text::new("say why: a reason is asked for here"));
        }
        Ok(())
    }
}
