//! Who may do what: read-only, production, guardrails. Pure.

use std::collections::BTreeMap;

use chrono::Timelike as _;

use super::intent::Verb;
use super::plan::{Fate, Plan};
use crate::domain::glob::glob;
use crate::domain::{ClusterId, ObjectId, Text, Timestamp};

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
    /// Why, for the message; may be empty.
    pub why: Text,
}

/// What a guardrail does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Forbids it.
    Deny,
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

impl Guardrail {
    fn fits(&self, id: &ObjectId) -> bool {
        let fits = |pattern: &str, text: &str| pattern.is_empty() || glob(pattern, text);
        fits(&self.cluster, id.cluster.as_str())
            && fits(&self.namespace, &id.namespace)
            && fits(&self.kind, id.kind.short())
            && fits(&self.object, &id.name)
    }

    /// What it fits of a plan: how many of its targets, and the first object of all that it changes.
    fn of<'p>(&self, plan: &'p Plan) -> (usize, Option<&'p ObjectId>) {
        if !self.verbs.is_empty() && !self.verbs.contains(&plan.intent.verb) {
            return (0, None);
        }
        let targets = || plan.intent.targets.iter().filter(|id| self.fits(id));
        // What a drain evicts is changed as much as its node is.
        let changed = plan.changes.iter().filter(|c| c.fate != Fate::Stays).map(|c| &c.target);
        (targets().count(), targets().next().or_else(|| changed.into_iter().find(|id| self.fits(id))))
    }

    /// Why it forbids a plan, if it does.
    fn refuses(&self, plan: &Plan, now: Timestamp) -> Option<Text> {
        let (count, first) = self.of(plan);
        let first = first?;
        let what = match &self.effect {
            Effect::Confirm => return None,
            Effect::Deny => format!("forbids to {} {}", plan.intent.verb, called(first)),
            Effect::AtOnce(most) => {
                let count = if plan.intent.verb == Verb::Drain {
                    // What waits for its turn is not drained yet.
                    count.min(usize::from(plan.intent.options.at_once))
                } else {
                    count
                };
                if count <= usize::from(*most) {
                    return None;
                }
                format!("allows {most} at once, and this is {count}")
            }
            Effect::Quiet { from, to, zone } => {
                let local = now.with_timezone(zone);
                let minute = u16::try_from(local.hour() * 60 + local.minute()).unwrap_or_default();
                if !is_between(minute, *from, *to) {
                    return None;
                }
                let time = |m: u16| format!("{:02}:{:02}", m / 60, m % 60);
                format!(
                    "forbids to {} {} from {} to {} ({zone}), and it is {}",
                    plan.intent.verb,
                    called(first),
                    time(*from),
                    time(*to),
                    time(minute)
                )
            }
        };
        let why = if self.why.is_empty() { String::new() } else { format!(": {}", self.why) };
        Some(Text::new(&format!("guardrail {} {what}{why}", self.name)))
    }
}

/// From the first minute on, up to the last and not included; over midnight where that is the earlier one. All
/// day where both are the same.
fn is_between(minute: u16, from: u16, to: u16) -> bool {
    if from < to { (from..to).contains(&minute) } else { minute >= from || minute < to }
}

/// `deploy shop/web`.
fn called(id: &ObjectId) -> String {
    let ns = if id.namespace.is_empty() { String::new() } else { format!("{}/", id.namespace) };
    format!("{} {ns}{}", id.kind.short(), id.name)
}

impl Policy {
    /// What it says of a plan at `now`: everything that forbids it, and the most that anything asks for.
    ///
    /// Where something has to be typed it is the target's name. Of several targets it is their number, and in
    /// production the cluster's name: the one mistake is one more than was meant, the other a cluster that was not.
    #[must_use]
    pub fn judge(&self, plan: &Plan, now: Timestamp) -> Verdict {
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
        refused.extend(self.guardrails.iter().filter_map(|rule| rule.refuses(plan, now)));
        let asks = |rule: &Guardrail| rule.effect == Effect::Confirm && rule.of(plan).1.is_some();
        let careful = of_cluster.production || self.guardrails.iter().any(asks);
        let typed = careful || plan.intent.verb.info().is_final;
        Verdict {
            refused,
            confirm: if typed { Confirm::Type(to_type(plan, of_cluster.production)) } else { Confirm::Choose },
            needs_reason: careful,
            production: of_cluster.production,
        }
    }
}

/// What is to be typed for a plan, where something has to be.
#[must_use]
pub fn to_type(plan: &Plan, production: bool) -> Text {
    match plan.intent.targets.as_slice() {
        [] => Text::empty(),
        [one] => one.name.clone(),
        [first, ..] if production => first.cluster.0.clone(),
        many => Text::new(&many.len().to_string()),
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

#[cfg(test)]
mod tests;
