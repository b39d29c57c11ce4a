//! What only ECS says of a task, a service or an instance. Kept beside the common
//! rows, so that a Kubernetes task pays one word for it.

use super::{CapacityType, Resources, Text, Timestamp};

/// Why and when a task stopped, or is being stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// ECS's stopCode (`EssentialContainerExited`, `SpotInterruption`), may be empty.
    pub code: Text,
    /// ECS's stoppedReason, may be empty.
    pub reason: Text,
    /// When it was told to stop; `None` if ECS does not say.
    pub begun: Option<Timestamp>,
    /// When it had stopped; `None` while it is still on its way.
    pub at: Option<Timestamp>,
}

/// What only an ECS task has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcsTask {
    /// Its ARN.
    pub arn: Text,
    /// `FARGATE`, `EC2`, `EXTERNAL` or `MANAGED_INSTANCES`.
    pub launch: Text,
    /// Capacity provider, empty without one.
    pub provider: Text,
    /// Spot or on demand.
    pub capacity_type: CapacityType,
    /// Task definition as `family:revision`.
    pub definition: Text,
    /// The task definition's ARN, for asking about it.
    pub definition_arn: Text,
    /// Availability zone.
    pub zone: Text,
    /// When its containers had started.
    pub started: Option<Timestamp>,
    /// Who started it (`ecs-svc/...`).
    pub started_by: Text,
    /// True where ECS Exec may enter it.
    pub exec: bool,
    /// ECS leaves it alone until then; only known of tasks whose service rolls out.
    pub protected_until: Option<Timestamp>,
    /// In seconds, how long after it was told to end it is killed; `None` until its definition was read.
    pub stop_timeout: Option<u16>,
    /// Why it stopped or stops; `None` for a task that is to run.
    pub stop: Option<Stop>,
}

impl EcsTask {
    /// True once it has stopped.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|s| s.at.is_some())
    }

    /// `fargate-spot`, `fargate`, `ec2`, or the capacity provider's name.
    #[must_use]
    pub fn placement(&self) -> String {
        let name = if self.provider.is_empty() { &self.launch } else { &self.provider };
        match name.as_str() {
            "FARGATE" | "FARGATE_SPOT" | "EC2" | "EXTERNAL" | "MANAGED_INSTANCES" => {
                name.to_ascii_lowercase().replace('_', "-")
            }
            _ => name.to_string(),
        }
    }
}

/// One deployment of an ECS service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// `PRIMARY`, `ACTIVE` or `INACTIVE`.
    pub status: Text,
    /// `IN_PROGRESS`, `COMPLETED`, `FAILED`; empty where ECS does not say.
    pub rollout: Text,
    /// ECS's rolloutStateReason.
    pub reason: Text,
    /// Task definition as `family:revision`.
    pub definition: Text,
    /// Tasks wanted of it.
    pub desired: u32,
    /// Tasks running.
    pub running: u32,
    /// Tasks on their way up.
    pub pending: u32,
    /// Tasks that failed to start since the last success.
    pub failed: u32,
    /// When it began.
    pub created: Option<Timestamp>,
}

/// What only an ECS service has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcsService {
    /// Its ARN.
    pub arn: Text,
    /// Where its tasks run: launch type, or capacity providers with weights.
    pub placement: Text,
    /// The capacity providers of its strategy, by name.
    pub providers: Vec<Text>,
    /// Spot, on demand, or not known; spot if any of it may be.
    pub capacity_type: CapacityType,
    /// Tasks on their way up.
    pub pending: u32,
    /// Its deployments, the primary one first.
    pub deployments: Vec<Deployment>,
    /// Circuit breaker: off (`None`), or on with or without rollback.
    pub breaker: Option<bool>,
    /// Lowest and highest share of the desired count during a rollout, in per cent.
    pub bounds: (u32, u32),
    /// Who rolls out: `ECS`, `CODE_DEPLOY` or `EXTERNAL`.
    pub controller: Text,
    /// Target groups by ARN.
    pub target_groups: Vec<Text>,
    /// Subnets that its tasks take addresses from.
    pub subnets: Vec<Text>,
    /// CPU and memory that one task of it asks for; zero until a task was seen.
    pub task_size: Resources,
}

impl EcsService {
    /// The deployment that is wanted.
    #[must_use]
    pub fn primary(&self) -> Option<&Deployment> {
        self.deployments.iter().find(|d| d.status == "PRIMARY")
    }

    /// True while one deployment takes the place of another.
    #[must_use]
    pub fn is_rolling(&self) -> bool {
        self.deployments.len() > 1 || self.primary().is_some_and(|d| d.rollout == "IN_PROGRESS")
    }
}

/// The load balancer's targets behind a service, by state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetHealth {
    /// In service.
    pub healthy: u32,
    /// Failing their health checks.
    pub unhealthy: u32,
    /// On their way out.
    pub draining: u32,
    /// Registering, unused, or not known.
    pub other: u32,
    /// Why those that are unhealthy are so (`Target.FailedHealthChecks`).
    pub reasons: Text,
}

impl TargetHealth {
    /// `3 healthy, 1 unhealthy (Target.Timeout)`.
    #[must_use]
    pub fn text(&self) -> String {
        let mut parts = vec![format!("{} healthy", self.healthy)];
        if self.unhealthy > 0 {
            let why = if self.reasons.is_empty() { String::new() } else { format!(" ({})", self.reasons) };
            parts.push(format!("{} unhealthy{why}", self.unhealthy));
        }
        for (n, word) in [(self.draining, "draining"), (self.other, "registering")] {
            if n > 0 {
                parts.push(format!("{n} {word}"));
            }
        }
        parts.join(", ")
    }
}

/// What only a container instance has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcsInstance {
    /// Its ARN.
    pub arn: Text,
    /// Tasks on it and on their way to it, as ECS counts them.
    pub tasks: (u32, u32),
    /// What is left for new tasks.
    pub remaining: Resources,
    /// True while the agent talks to ECS.
    pub connected: bool,
    /// Capacity provider, empty without one.
    pub provider: Text,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placement_in_words() {
        let task = |launch: &str, provider: &str| EcsTask {
            arn: Text::empty(),
            launch: Text::new(launch),
            provider: Text::new(provider),
            capacity_type: CapacityType::Unknown,
            definition: Text::empty(),
            definition_arn: Text::empty(),
            zone: Text::empty(),
            started: None,
            started_by: Text::empty(),
            exec: false,
            protected_until: None,
            stop_timeout: None,
            stop: None,
        };
        assert_eq!(task("FARGATE", "FARGATE_SPOT").placement(), "fargate-spot");
        assert_eq!(task("FARGATE", "").placement(), "fargate");
        assert_eq!(task("EC2", "shop-asg").placement(), "shop-asg");
    }
}
