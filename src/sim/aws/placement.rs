//! What ECS says of tasks that find no place: an event of the service, and `EventBridge`'s.

use serde_json::{Value, json};

use super::model::{Cluster, Ms};
use crate::sim::cloud::event::{Sent, iso_ms};

/// The same is not said again so soon. ECS itself waits for six hours, or until it was solved.
const AGAIN: Ms = 60_000;
/// With what the longer messages end.
const MORE: &str = "For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.";

impl Cluster {
    /// A service wants tasks, and none of them can be placed.
    pub fn no_place(&mut self, name: &str, now: Ms) {
        let Some(s) = self.services.get(name) else { return };
        if s.events.front().is_some_and(|e| now - e.at <= AGAIN && e.message.contains("unable to place")) {
            return;
        }
        let (provider, code, why) = if s.launch.starts_with("fargate") {
            let provider = if s.launch == "fargate" { "FARGATE" } else { "FARGATE_SPOT" };
            let why = if self.has_vcpus(provider, s.cpu) {
                format!(
                    "Capacity is unavailable at this time. Please try again later or in a different availability zone. {MORE}"
                )
            } else {
                "You've reached the limit on the number of vCPUs you can run concurrently.".to_owned()
            };
            (provider.to_owned(), "RESOURCE:FARGATE", format!(". Reason: {why}"))
        } else {
            let (code, why) = self.nearest(&s.launch, (s.cpu, s.memory));
            (s.launch.clone(), code, format!(" because no container instance met all of its requirements. {why}"))
        };
        self.event(name, now, format!("(service {name}) was unable to place a task{why}"));
        let provider = format!("arn:aws:ecs:{}:{}:capacity-provider/{provider}", self.region, self.account);
        let detail = json!({"capacityProviderArns": [provider], "reason": code});
        self.send_action(name, "ERROR", "SERVICE_TASK_PLACEMENT_FAILURE", detail, now);
    }

    /// Whether the quota lets a task of so many CPU units start, on demand or on spot.
    pub fn has_vcpus(&self, provider: &str, cpu: u32) -> bool {
        let spot = provider == "FARGATE_SPOT";
        let like =
            |t: &&super::model::Task| t.is_fargate() && t.stopped.is_none() && (t.provider == "FARGATE_SPOT") == spot;
        let used: u32 = self.tasks.values().filter(like).map(|t| t.cpu).sum();
        self.vcpus.is_none_or(|all| used + cpu <= all * 1024)
    }

    /// A service has what it wants, and had not before.
    pub fn steady(&mut self, name: &str, now: Ms) {
        self.event(name, now, format!("(service {name}) has reached a steady state."));
        self.send_action(name, "INFO", "SERVICE_STEADY_STATE", json!({}), now);
    }

    /// What the instance lacks that comes nearest.
    fn nearest(&self, provider: &str, (cpu, memory): (u32, u32)) -> (&'static str, String) {
        let of_provider = |i: &&super::model::Instance| i.provider == provider && !i.draining && i.connected;
        let left = self.instances.iter().filter(of_provider).map(|i| (self.remaining(i), &i.id));
        let Some(((has_cpu, has_memory), id)) = left.max() else {
            let why = "Reason: No Container Instances were found in your capacity provider.";
            return ("EMPTY", why.to_owned());
        };
        let near = |what: &str| format!("The closest matching (container-instance {id}) {what} {MORE}");
        match (has_cpu < cpu, has_memory < memory) {
            (true, _) => ("RESOURCE:CPU", near("has insufficient CPU units available.")),
            (false, true) => ("RESOURCE:MEMORY", near("has insufficient memory available.")),
            (false, false) => ("AGENT", near("encountered error \"AGENT\".")),
        }
    }

    fn send_action(&self, service: &str, kind: &str, name: &str, mut detail: Value, now: Ms) {
        for (key, value) in [
            ("eventType", kind.to_owned()),
            ("eventName", name.to_owned()),
            ("clusterArn", self.arn("cluster", "")),
            ("createdAt", iso_ms(now)),
        ] {
            detail[key] = value.into();
        }
        let place = (self.account.as_str(), self.region.as_str());
        let arns = [self.arn("service", service)];
        self.cloud.send(Sent::new("aws.ecs", "ECS Service Action", place, &arns, &detail, now));
    }
}
