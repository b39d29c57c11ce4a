//! Who can change what: the desk, from the configuration and the sources.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
#[cfg(any(feature = "kubernetes", feature = "aws"))]
use std::sync::Weak;

use super::session::env;
use crate::action::audit::{Audit, Record, Who};
use crate::action::desk::Actors;
use crate::action::guard::{ClusterPolicy, Effect, Guardrail};
use crate::action::{Actor, Desk, Policy, Verb};
use crate::clock::Clock;
use crate::config::{Config, GuardrailEffect, GuardrailSettings};
use crate::domain::{ClusterId, Kind, Text};

/// The sources whose clusters may be changed. They are not kept alive by it.
#[derive(Clone, Default)]
pub struct Systems {
    /// Where sessions ask for the terminal; `None` where nobody lends one.
    pub stage: Option<crate::action::session::Stage>,
    /// Actors remember what their plans saw: each is made once.
    made: Arc<std::sync::Mutex<BTreeMap<ClusterId, Arc<dyn Actor>>>>,
    /// Kubernetes clusters.
    #[cfg(feature = "kubernetes")]
    pub kubernetes: Option<Weak<crate::source::kubernetes::Sources>>,
    /// ECS clusters, those that are found later among them.
    #[cfg(feature = "aws")]
    pub ecs: Option<Weak<crate::source::ecs::Sources>>,
    /// Alertmanagers, those that are found later among them.
    #[cfg(feature = "prometheus")]
    pub alertmanagers: Option<crate::source::alertmanager::Writers>,
}

impl Systems {
    /// Finds the actor of an object whenever somebody asks.
    #[must_use]
    pub fn actors(self, policy: &Policy, clock: &Clock) -> Actors {
        let (clock, clusters) = (clock.clone(), policy.clusters.clone());
        Arc::new(move |id| {
            let cluster = &id.cluster;
            // Who watches a cluster is not who runs it.
            if id.kind == Kind::Alarm {
                return self.of_alarms(cluster, &clock);
            }
            let mut made = self.made.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if let Some(actor) = made.get(cluster) {
                return Some(Arc::clone(actor));
            }
            let production = clusters.get(cluster).is_some_and(|c| c.production);
            let actor = self.actor(cluster, production, &clock)?;
            made.insert(cluster.clone(), Arc::clone(&actor));
            Some(actor)
        })
    }

    /// Who silences the alarms of a cluster: any Alertmanager may hold them, and CloudWatch those of an ECS cluster.
    fn of_alarms(&self, cluster: &ClusterId, clock: &Clock) -> Option<Arc<dyn Actor>> {
        #[cfg(any(feature = "prometheus", feature = "aws"))]
        {
            let actor = crate::action::alarms::Alarms::new(Who::here(&env).user, clock.clone());
            #[cfg(feature = "prometheus")]
            let actor = actor.with_alertmanagers(
                self.alertmanagers.iter().flat_map(crate::source::alertmanager::Writers::all).collect(),
            );
            #[cfg(feature = "aws")]
            let actor =
                actor.with_cloudwatch(self.ecs.as_ref().and_then(Weak::upgrade).and_then(|s| s.writer(cluster)));
            let _ = cluster;
            (!actor.is_empty()).then(|| Arc::new(actor) as Arc<dyn Actor>)
        }
        #[cfg(not(any(feature = "prometheus", feature = "aws")))]
        {
            let _ = (self, cluster, clock);
            None
        }
    }

    /// The actor of a cluster; `None` where it may not be changed, or nothing can.
    fn actor(&self, cluster: &ClusterId, production: bool, clock: &Clock) -> Option<Arc<dyn Actor>> {
        // A writer exists only where the cluster's specification is not read-only.
        #[cfg(feature = "kubernetes")]
        if let Some(sources) = self.kubernetes.as_ref().and_then(Weak::upgrade)
            && let Some(writer) = sources.writer(cluster)
        {
            let actor = crate::action::kubernetes::Kubernetes::new(writer, clock.clone());
            let hands = self.stage.clone().and_then(|stage| {
                let (reader, streams) = (sources.reader(cluster)?, sources.streams(cluster)?);
                let (outputs, forwards) = Default::default();
                Some(crate::action::exec::kubernetes::Hands { reader, streams, stage, outputs, forwards })
            });
            return Some(match hands {
                Some(hands) => Arc::new(actor.with_hands(hands, production)),
                None => Arc::new(actor),
            });
        }
        #[cfg(feature = "aws")]
        if let Some(sources) = self.ecs.as_ref().and_then(Weak::upgrade)
            && let Some(writer) = sources.writer(cluster)
        {
            let actor = crate::action::ecs::Ecs::new(writer, clock.clone());
            let hands = self.stage.clone().and_then(|stage| {
                let entry = sources.entry(cluster)?;
                let forwards = crate::action::exec::forward::Forwards::default();
                Some(crate::action::ecs::Hands { entry, stage, forwards, production })
            });
            return Some(match hands {
                Some(hands) => Arc::new(actor.with_hands(hands)),
                None => Arc::new(actor),
            });
        }
        let _ = (self, cluster, production, clock);
        None
    }
}

/// What is allowed where: by the configuration, and by what is said of the clusters that are read.
#[must_use]
pub fn policy(config: &Config, clusters: BTreeMap<ClusterId, ClusterPolicy>) -> Policy {
    Policy { read_only: config.read_only, clusters, guardrails: config.guardrails.iter().map(guardrail).collect() }
}

fn guardrail(settings: &GuardrailSettings) -> Guardrail {
    let s = settings.clone();
    Guardrail {
        name: Text::new(&s.name),
        cluster: s.cluster,
        namespace: s.namespace,
        kind: s.kind,
        object: s.object,
        verbs: s.actions.iter().filter_map(|name| Verb::from_name(name)).collect(),
        effect: match s.effect {
            GuardrailEffect::Deny => Effect::Deny,
            GuardrailEffect::Confirm => Effect::Confirm,
            GuardrailEffect::AtOnce(n) => Effect::AtOnce(n),
            GuardrailEffect::Quiet(hours, zone) => {
                let (from, to) = hours.bounds();
                Effect::Quiet { from, to, zone }
            }
        },
        why: Text::new(&s.why),
    }
}

/// The desk: with the audit of this state directory, unless nothing may be changed at all.
#[must_use]
pub fn desk(policy: Policy, systems: Systems, state_dir: &Path, clock: &Clock) -> Desk {
    if policy.read_only {
        return Desk::closed_for_all(policy, clock.clone());
    }
    let record: Arc<dyn Record> = Arc::new(Audit::new(state_dir, Who::here(&env)));
    Desk::new(systems.actors(&policy, clock), policy, Some(record), clock.clone())
}

#[cfg(test)]
mod tests {
    use crate::action::Verb;
    use crate::action::intent::VERBS;
    use crate::config::{ACTION_KINDS, ACTIONS};

    #[test]
    fn the_configuration_knows_every_action_and_kind() {
        let verbs: Vec<&str> = VERBS.iter().map(|v| v.name).collect();
        assert_eq!(verbs, ACTIONS);
        // A program may be about anything; a rule for it goes by what systems change.
        let of_systems = VERBS.iter().filter(|v| v.verb != Verb::Run);
        let mut kinds: Vec<&str> = of_systems.flat_map(|v| v.kinds).map(|k| k.short()).collect();
        let mut known = ACTION_KINDS.to_vec();
        for list in [&mut kinds, &mut known] {
            list.sort_unstable();
            list.dedup();
        }
        assert_eq!(kinds, known);
    }
}
