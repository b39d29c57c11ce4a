//! Tasks of ECS services that cannot be placed: what a feed says of a service, and why.
//!
//! Two feeds tell: the events of the services, which the ECS reader has anyway, and
//! EventBridge's `ECS Service Action` events. Both know a service by its ARN.

use super::{Text, Timestamp};

/// Who told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Teller {
    /// An event of the service, as ECS lists them.
    Service,
    /// EventBridge, by way of a CloudWatch Logs group.
    EventLog,
    /// EventBridge, by way of an SQS queue.
    EventQueue,
}

impl Teller {
    /// In words.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Service => "ECS service event",
            Self::EventLog => "EventBridge log",
            Self::EventQueue => "EventBridge queue",
        }
    }

    /// In one word, as the list of notices has it.
    #[must_use]
    pub fn short(self) -> &'static str {
        match self {
            Self::Service => "ecs",
            Self::EventLog => "log",
            Self::EventQueue => "queue",
        }
    }
}

/// Why a task cannot be placed; what says most first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shortage {
    /// Fargate has no capacity; of which sort, its provider says.
    Fargate,
    /// No container instance has enough CPU left.
    Cpu,
    /// The same of memory.
    Memory,
    /// The same of GPUs.
    Gpu,
    /// A port that the task wants is in use on every instance.
    Ports,
    /// No instance has a network interface left.
    Interfaces,
    /// No instance has an attribute that the task requires.
    Attribute,
    /// The agents of the instances do not answer.
    Agent,
    /// There is no container instance at all.
    NoInstance,
    /// A quota of the account is used up.
    Quota,
    /// Settings of the service or its role are wrong.
    Settings(Text),
    /// In ECS's own words, may be empty.
    Other(Text),
}

impl Shortage {
    /// EventBridge's `reason`: `RESOURCE:FARGATE`, `RESOURCE:CPU`, `AGENT`, ...
    #[must_use]
    pub fn from_code(code: &str) -> Self {
        match code {
            "RESOURCE:FARGATE" => Self::Fargate,
            "RESOURCE:CPU" => Self::Cpu,
            "RESOURCE:MEMORY" => Self::Memory,
            "RESOURCE:GPU" => Self::Gpu,
            "RESOURCE:PORT" | "RESOURCE:PORTS" => Self::Ports,
            "RESOURCE:ENI" => Self::Interfaces,
            "ATTRIBUTE" | "LOCATION" => Self::Attribute,
            "AGENT" => Self::Agent,
            "NO_CONTAINER_INSTANCES" | "EMPTY" | "INACTIVE" => Self::NoInstance,
            other => match Self::from_message(other) {
                Self::Other(_) => Self::Other(Text::new(other)),
                known => known,
            },
        }
    }

    /// What follows `was unable to place a task` in an event of the service, or the whole of it.
    #[must_use]
    pub fn from_message(message: &str) -> Self {
        const KNOWN: [(&str, Shortage); 16] = [
            ("Capacity is unavailable", Shortage::Fargate),
            ("no Container Instances were found", Shortage::NoInstance),
            ("No Container Instances were found", Shortage::NoInstance),
            ("insufficient CPU", Shortage::Cpu),
            ("insufficient memory", Shortage::Memory),
            ("already using a port", Shortage::Ports),
            ("missing an attribute", Shortage::Attribute),
            ("RESOURCE:CPU", Shortage::Cpu),
            ("RESOURCE:MEMORY", Shortage::Memory),
            ("RESOURCE:GPU", Shortage::Gpu),
            ("RESOURCE:PORT", Shortage::Ports),
            ("RESOURCE:ENI", Shortage::Interfaces),
            ("error \"AGENT\"", Shortage::Agent),
            ("error 'AGENT'", Shortage::Agent),
            ("reached the limit on the number of", Shortage::Quota),
            ("is above your limit", Shortage::Quota),
        ];
        if let Some((_, known)) = KNOWN.iter().find(|(part, _)| message.contains(part)) {
            return known.clone();
        }
        let said = message.split_once("unable to place a task").map_or(message, |(_, rest)| rest);
        let said = said.split(" For more information").next().unwrap_or(said);
        let said = said.trim_start_matches(['.', ',', ' ']);
        let said = ["because ", "Reason: "].iter().find_map(|p| said.strip_prefix(p)).unwrap_or(said);
        Self::Other(Text::new(said.trim_end_matches(['.', ' '])))
    }

    /// In plain words. `providers` are the capacity providers that were tried, by name.
    #[must_use]
    pub fn words(&self, providers: &[Text]) -> String {
        let on = || match own(providers) {
            names if names.is_empty() => "the container instances".to_owned(),
            names => format!("the container instances of {names}"),
        };
        self.said(providers, &on())
    }

    /// The same in little room: `not enough CPU on shop-asg`.
    #[must_use]
    pub fn briefly(&self, providers: &[Text]) -> String {
        let names = own(providers);
        self.said(providers, if names.is_empty() { "the instances" } else { &names })
    }

    /// `on` are the instances that were tried.
    fn said(&self, providers: &[Text], on: &str) -> String {
        let fargate = |name: &str| providers.iter().any(|p| *p == *name);
        match self {
            Self::Fargate => match (fargate("FARGATE_SPOT"), fargate("FARGATE")) {
                (true, false) => "no Fargate Spot capacity".to_owned(),
                (true, true) => "no Fargate or Fargate Spot capacity".to_owned(),
                (false, _) => "no Fargate capacity".to_owned(),
            },
            Self::Cpu => format!("not enough CPU on {on}"),
            Self::Memory => format!("not enough memory on {on}"),
            Self::Gpu => format!("not enough GPUs on {on}"),
            Self::Ports => format!("no port is free on {on}"),
            Self::Interfaces => format!("no network interface is left on {on}"),
            Self::Attribute => format!("a required attribute is missing on {on}"),
            Self::Agent => format!("no agent answers on {on}"),
            Self::NoInstance if own(providers).is_empty() => "there are no container instances".to_owned(),
            Self::NoInstance => format!("there are no container instances of {}", own(providers)),
            Self::Quota => "a quota of the account is used up".to_owned(),
            Self::Settings(text) if text.is_empty() => "its settings do not allow it".to_owned(),
            Self::Settings(text) => format!("its settings do not allow it: {text}"),
            Self::Other(text) if text.is_empty() => "nobody says why".to_owned(),
            Self::Other(text) => text.to_string(),
        }
    }
}

/// Capacity providers that are groups of instances: `shop-asg, shop-spot`.
fn own(providers: &[Text]) -> String {
    let own: Vec<&str> =
        providers.iter().map(Text::as_str).filter(|p| !matches!(*p, "FARGATE" | "FARGATE_SPOT")).collect();
    own.join(", ")
}

/// What is said of a service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Placing {
    /// Its tasks are all placed, and run.
    Steady,
    /// A task cannot be placed.
    Failed {
        /// Why.
        why: Shortage,
        /// The capacity providers that were tried, by name; empty where nobody says.
        providers: Vec<Text>,
    },
}

/// One word of one feed on one service. The order is that of the time it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Placement {
    /// When that was so, by the console's clock.
    pub at: Timestamp,
    /// The service, as [`service_key`] has it.
    pub service: Text,
    /// What.
    pub says: Placing,
    /// Who says so.
    pub teller: Teller,
}

/// A service's ARN with its cluster in it; those of old have none. `cluster` is the ARN or
/// the name of the cluster. `None` for what is no service's ARN.
#[must_use]
pub fn service_key(arn: &str, cluster: &str) -> Option<Text> {
    let (head, rest) = arn.split_once(":service/")?;
    if !head.starts_with("arn:") || rest.is_empty() {
        return None;
    }
    if rest.contains('/') {
        return Some(Text::new(arn));
    }
    let cluster = tail(cluster);
    (!cluster.is_empty()).then(|| Text::new(&format!("{head}:service/{cluster}/{rest}")))
}

/// The cluster and the name in a [`service_key`].
#[must_use]
pub fn names(key: &str) -> (&str, &str) {
    let rest = key.split_once(":service/").map_or(key, |(_, rest)| rest);
    rest.split_once('/').unwrap_or(("", rest))
}

/// The last part of an ARN: `FARGATE_SPOT`.
#[must_use]
pub fn tail(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_in_plain_words() {
        let spot = [Text::new("FARGATE_SPOT")];
        let both = [Text::new("FARGATE_SPOT"), Text::new("FARGATE")];
        let nearest = |what: &str| {
            format!(
                "(service web) was unable to place a task because no container instance met all of its requirements. \
                 The closest matching (container-instance 0123-4567) {what}. For more information, see the \
                 Troubleshooting section of the Amazon ECS Developer Guide."
            )
        };
        let reason = |what: &str| format!("(service web) was unable to place a task. Reason: {what}");
        for (message, providers, want) in [
            (
                reason("Capacity is unavailable at this time. Please try again later or in a different availability zone. For more information, see the Troubleshooting section."),
                &spot[..],
                "no Fargate Spot capacity",
            ),
            (
                reason("Capacity is unavailable at this time."),
                &both[..],
                "no Fargate or Fargate Spot capacity",
            ),
            (reason("Capacity is unavailable at this time."), &[], "no Fargate capacity"),
            (nearest("has insufficient CPU units available"), &[], "not enough CPU on the container instances"),
            (nearest("has insufficient memory available"), &[], "not enough memory on the container instances"),
            (
                nearest("is already using a port required by your task"),
                &[],
                "no port is free on the container instances",
            ),
            (
                nearest("is missing an attribute required by your task"),
                &[],
                "a required attribute is missing on the container instances",
            ),
            (nearest("encountered error \"AGENT\""), &[], "no agent answers on the container instances"),
            (
                nearest("encountered error \"RESOURCE:ENI\""),
                &[],
                "no network interface is left on the container instances",
            ),
            (
                "(service web) was unable to place a task because no container instance met all of its requirements. Reason: No Container Instances were found in your capacity provider.".to_owned(),
                &[],
                "there are no container instances",
            ),
            (
                reason("You've reached the limit on the number of vCPUs you can run concurrently"),
                &[],
                "a quota of the account is used up",
            ),
            (reason("The requested CPU configuration is above your limit"), &[], "a quota of the account is used up"),
            (reason("Internal error."), &[], "Internal error"),
            (
                "(service web) was unable to place a task because the resources could not be found.".to_owned(),
                &[],
                "the resources could not be found",
            ),
            ("(service web) was unable to place a task.".to_owned(), &[], "nobody says why"),
        ] {
            assert_eq!(Shortage::from_message(&message).words(providers), want, "{message}");
        }
        let asg = [Text::new("shop-asg")];
        assert_eq!(Shortage::Cpu.words(&asg), "not enough CPU on the container instances of shop-asg");
        assert_eq!(Shortage::Cpu.briefly(&asg), "not enough CPU on shop-asg");
        assert_eq!(Shortage::Cpu.briefly(&[]), "not enough CPU on the instances");
        assert_eq!(Shortage::Fargate.briefly(&spot), "no Fargate Spot capacity");
        for (code, want) in [
            ("RESOURCE:FARGATE", Shortage::Fargate),
            ("RESOURCE:CPU", Shortage::Cpu),
            ("RESOURCE:MEMORY", Shortage::Memory),
            ("RESOURCE:GPU", Shortage::Gpu),
            ("RESOURCE:PORTS", Shortage::Ports),
            ("RESOURCE:ENI", Shortage::Interfaces),
            ("ATTRIBUTE", Shortage::Attribute),
            ("AGENT", Shortage::Agent),
            ("RESOURCE:TAPE", Shortage::Other(Text::new("RESOURCE:TAPE"))),
            ("", Shortage::Other(Text::empty())),
        ] {
            assert_eq!(Shortage::from_code(code), want, "{code}");
        }
    }

    #[test]
    fn a_service_is_known_by_its_cluster_too() {
        let new = "arn:aws:ecs:eu-west-1:1:service/shop/web";
        for (arn, cluster, want) in [
            (new, "", Some(new)),
            ("arn:aws:ecs:eu-west-1:1:service/web", "arn:aws:ecs:eu-west-1:1:cluster/shop", Some(new)),
            ("arn:aws:ecs:eu-west-1:1:service/web", "shop", Some(new)),
            ("arn:aws:ecs:eu-west-1:1:service/web", "", None),
            ("arn:aws:ecs:eu-west-1:1:task/shop/web", "shop", None),
            ("web", "shop", None),
            ("", "", None),
        ] {
            assert_eq!(service_key(arn, cluster).as_deref(), want, "{arn} {cluster}");
        }
        assert_eq!(names(new), ("shop", "web"));
    }
}
