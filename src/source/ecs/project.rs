//! ECS's objects as rows.

use std::sync::Arc;

use aws_sdk_ecs::types as ecs;
use chrono::TimeDelta;

use crate::domain::{
    Bytes, CapacityType, Container, ContainerRole, ContainerState, Deployment, EcsInstance, EcsService, EcsTask, Event,
    EventLevel, Health, Interner, Kind, Labels, Millicores, Node, NodeCondition, ObjectId, Replicas, Resources, Stop,
    Task, Text, Timestamp, Workload,
};

use crate::domain::ClusterId;

/// How long a task that failed counts as trouble after it stopped.
const FRESH_FAILURE: TimeDelta = TimeDelta::minutes(10);

/// Turns objects of one cluster into rows; shares their strings.
#[derive(Debug)]
pub struct Projector {
    cluster: ClusterId,
    interner: Interner,
}

/// The last part of an ARN: `web:12` of `arn:aws:ecs:...:task-definition/web:12`.
#[must_use]
pub fn tail(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// AWS's time, by AWS's clock.
pub(super) fn time(at: Option<&aws_smithy_types::DateTime>) -> Option<Timestamp> {
    let at = at?;
    Timestamp::from_timestamp(at.secs(), at.subsec_nanos())
}

fn count(n: i32) -> u32 {
    u32::try_from(n).unwrap_or_default()
}

/// CPU units, or `1 vCPU`.
fn cpu(text: Option<&str>) -> Millicores {
    let text = text.unwrap_or_default().trim().to_ascii_lowercase();
    let units = match text.strip_suffix("vcpu") {
        Some(cores) => cores.trim().parse::<f64>().map(|c| c * 1024.0),
        None => text.parse::<f64>(),
    };
    units.map_or(Millicores(0), units_to_millicores)
}

/// 1024 units are one vCPU.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what is counted")]
fn units_to_millicores(units: f64) -> Millicores {
    Millicores((units.clamp(0.0, 1e9) * 1000.0 / 1024.0).round() as u64)
}

/// MiB, or `2 GB`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what is counted")]
fn memory(text: Option<&str>) -> Bytes {
    let text = text.unwrap_or_default().trim().to_ascii_lowercase();
    let mib = match text.strip_suffix("gb") {
        Some(gb) => gb.trim().parse::<f64>().map(|g| g * 1024.0),
        None => text.parse::<f64>(),
    };
    Bytes(mib.map_or(0, |m| (m.clamp(0.0, 1e9) * 1_048_576.0) as u64))
}

fn capacity_of(provider: &str, launch: &str) -> CapacityType {
    match (provider, launch) {
        ("FARGATE_SPOT", _) => CapacityType::Spot,
        ("FARGATE", _) | ("", "FARGATE") => CapacityType::OnDemand,
        // An Auto Scaling group may be either: its instances know, ECS does not.
        (name, _) if name.to_ascii_lowercase().contains("spot") => CapacityType::Spot,
        _ => CapacityType::Unknown,
    }
}

impl Projector {
    /// For a cluster's objects.
    #[must_use]
    pub fn new(cluster: ClusterId) -> Self {
        Self { cluster, interner: Interner::default() }
    }

    fn id(&self, kind: Kind, name: &str) -> ObjectId {
        ObjectId { cluster: self.cluster.clone(), kind, namespace: Text::empty(), name: Text::new(name) }
    }

    fn tags(&mut self, tags: &[ecs::Tag]) -> Labels {
        let pairs: Vec<(&str, &str)> =
            tags.iter().filter_map(|t| Some((t.key()?, t.value().unwrap_or_default()))).collect();
        self.interner.labels(pairs)
    }

    /// A task's row. `node` finds the name of a container instance by its ARN.
    pub fn task(&mut self, t: &ecs::Task, node: impl Fn(&str) -> Option<Text>, now: Timestamp) -> Option<Task> {
        let arn = t.task_arn()?;
        let containers: Vec<Container> = t.containers().iter().map(|c| self.container(c)).collect();
        let ready = containers.iter().filter(|c| c.ready).count();
        let total = containers.len();
        let service = t.group().and_then(|g| g.strip_prefix("service:"));
        let stop = self.stop(t);
        let (status, health) = standing(t, stop.as_ref(), &containers, now);
        let message = message(stop.as_ref(), &containers, health);
        // On EC2 a task need not have a size of its own: then its containers' count.
        let sum = |own: Option<&str>, each: fn(&ecs::Container) -> Option<&str>| match own {
            Some(own) => vec![own.to_owned()],
            None => t.containers().iter().filter_map(each).map(str::to_owned).collect(),
        };
        let size = Resources {
            cpu: sum(t.cpu(), ecs::Container::cpu).iter().map(|c| cpu(Some(c))).sum(),
            memory: sum(t.memory(), ecs::Container::memory).iter().map(|m| memory(Some(m))).sum(),
        };
        let launch = t.launch_type().map(ecs::LaunchType::as_str).unwrap_or_default();
        let provider = t.capacity_provider_name().unwrap_or_default();
        let address = t
            .containers()
            .iter()
            .flat_map(ecs::Container::network_interfaces)
            .find_map(ecs::NetworkInterface::private_ipv4_address)
            .unwrap_or_default();
        // The id alone says nothing to a person; its group sorts and reads like a pod's name.
        let family = tail(t.task_definition_arn().unwrap_or_default()).split(':').next().unwrap_or_default();
        let name = format!("{}/{}", service.unwrap_or(family), tail(arn));
        let instance = t.container_instance_arn().map(|arn| node(arn).unwrap_or_else(|| Text::new(tail(arn))));
        Some(Task {
            id: self.id(Kind::Task, name.trim_start_matches('/')),
            uid: Text::new(arn),
            created: time(t.created_at()),
            node: instance.unwrap_or_else(Text::empty),
            owner_kind: if service.is_some() { Kind::EcsService } else { Kind::Other },
            owner: self.interner.text(service.unwrap_or_default()),
            ready: u16::try_from(ready).unwrap_or(u16::MAX),
            containers_total: u16::try_from(total).unwrap_or(u16::MAX),
            grace: 30,
            status: self.interner.text(&status),
            health,
            restarts: 0,
            last_restart: None,
            since: None,
            message: self.interner.text(&message),
            address: Text::new(address),
            qos: Text::empty(),
            requests: size,
            limits: size,
            containers: Arc::from(containers),
            labels: self.tags(t.tags()),
            ecs: Some(Box::new(EcsTask {
                arn: Text::new(arn),
                launch: self.interner.text(launch),
                provider: self.interner.text(provider),
                capacity_type: capacity_of(provider, launch),
                definition: self.interner.text(tail(t.task_definition_arn().unwrap_or_default())),
                definition_arn: self.interner.text(t.task_definition_arn().unwrap_or_default()),
                zone: self.interner.text(t.availability_zone().unwrap_or_default()),
                started: time(t.started_at()),
                started_by: self.interner.text(t.started_by().unwrap_or_default()),
                exec: t.enable_execute_command(),
                protected_until: None,
                stop_timeout: None,
                stop,
            })),
        })
    }

    fn container(&mut self, c: &ecs::Container) -> Container {
        let status = c.last_status().unwrap_or_default();
        let reason = c.reason().unwrap_or_default();
        let state = match (status, c.exit_code()) {
            ("STOPPED", Some(exit_code)) => {
                ContainerState::Terminated { reason: self.interner.text(reason), exit_code }
            }
            ("RUNNING", _) => ContainerState::Running,
            // Not started yet, or it never ran: then ECS gives a reason and no code.
            _ => ContainerState::Waiting { reason: self.interner.text(reason) },
        };
        let healthy = !matches!(c.health_status(), Some(ecs::HealthStatus::Unhealthy));
        Container {
            name: self.interner.text(c.name().unwrap_or_default()),
            image: self.interner.text(c.image().unwrap_or_default()),
            role: ContainerRole::Main,
            ready: status == "RUNNING" && healthy,
            restarts: 0,
            state,
        }
    }

    fn stop(&mut self, t: &ecs::Task) -> Option<Stop> {
        let stopping = t.desired_status() == Some("STOPPED") || t.last_status() == Some("STOPPED");
        let at = (t.last_status() == Some("STOPPED"))
            .then(|| time(t.stopped_at()).or_else(|| time(t.execution_stopped_at())))
            .flatten();
        // A stopped task without a time is one from an endpoint that keeps none.
        let at = at.or_else(|| (t.last_status() == Some("STOPPED")).then(|| time(t.created_at())).flatten());
        stopping.then(|| Stop {
            code: self.interner.text(t.stop_code().map(ecs::TaskStopCode::as_str).unwrap_or_default()),
            reason: self.interner.text(t.stopped_reason().unwrap_or_default()),
            begun: time(t.stopping_at()),
            at,
        })
    }

    /// A service's row.
    pub fn service(&mut self, s: &ecs::Service) -> Option<Workload> {
        let name = s.service_name()?;
        let deployments: Vec<Deployment> = s.deployments().iter().map(|d| self.deployment(d)).collect();
        let primary = deployments.iter().find(|d| d.status == "PRIMARY");
        let replicas = Replicas {
            desired: count(s.desired_count()),
            current: count(s.running_count()).saturating_add(count(s.pending_count())),
            ready: count(s.running_count()),
            updated: primary.map_or(count(s.running_count()), |d| d.running),
            available: count(s.running_count()),
        };
        let (status, health, message) = service_standing(s, replicas, &deployments);
        let configuration = s.deployment_configuration();
        let breaker = configuration
            .and_then(ecs::DeploymentConfiguration::deployment_circuit_breaker)
            .filter(|b| b.enable())
            .map(ecs::DeploymentCircuitBreaker::rollback);
        let share = |n: Option<i32>, default: u32| n.and_then(|n| u32::try_from(n).ok()).unwrap_or(default);
        let providers: Vec<&str> =
            s.capacity_provider_strategy().iter().map(ecs::CapacityProviderStrategyItem::capacity_provider).collect();
        let launch = s.launch_type().map(ecs::LaunchType::as_str).unwrap_or_default();
        let spot = providers.iter().any(|p| capacity_of(p, "") == CapacityType::Spot);
        let subnets = s.network_configuration().and_then(ecs::NetworkConfiguration::awsvpc_configuration);
        Some(Workload {
            id: self.id(Kind::EcsService, name),
            uid: Text::new(s.service_arn().unwrap_or_default()),
            created: time(s.created_at()),
            owner_kind: Kind::Other,
            owner: Text::empty(),
            replicas,
            status: self.interner.text(status),
            health,
            message: self.interner.text(&message),
            images: Text::empty(),
            schedule: Text::empty(),
            last_run: None,
            selector: Arc::from([]),
            labels: self.tags(s.tags()),
            revision: self.interner.text(tail(s.task_definition().unwrap_or_default())),
            ecs: Some(Box::new(EcsService {
                arn: Text::new(s.service_arn().unwrap_or_default()),
                placement: self.interner.text(&placement(s.capacity_provider_strategy(), launch)),
                capacity_type: if spot {
                    CapacityType::Spot
                } else {
                    capacity_of(providers.first().copied().unwrap_or_default(), launch)
                },
                providers: providers.iter().map(|p| self.interner.text(p)).collect(),
                pending: count(s.pending_count()),
                breaker,
                bounds: (
                    share(configuration.and_then(ecs::DeploymentConfiguration::minimum_healthy_percent), 100),
                    share(configuration.and_then(ecs::DeploymentConfiguration::maximum_percent), 200),
                ),
                controller: self.interner.text(s.deployment_controller().map_or("ECS", |c| c.r#type().as_str())),
                target_groups: s
                    .load_balancers()
                    .iter()
                    .filter_map(ecs::LoadBalancer::target_group_arn)
                    .map(|arn| self.interner.text(arn))
                    .collect(),
                subnets: subnets
                    .map(|v| v.subnets().iter().map(|s| self.interner.text(s)).collect())
                    .unwrap_or_default(),
                task_size: Resources::default(),
                deployments,
            })),
        })
    }

    fn deployment(&mut self, d: &ecs::Deployment) -> Deployment {
        Deployment {
            status: self.interner.text(d.status().unwrap_or_default()),
            rollout: self.interner.text(d.rollout_state().map(ecs::DeploymentRolloutState::as_str).unwrap_or_default()),
            reason: Text::new(d.rollout_state_reason().unwrap_or_default()),
            definition: self.interner.text(tail(d.task_definition().unwrap_or_default())),
            desired: count(d.desired_count()),
            running: count(d.running_count()),
            pending: count(d.pending_count()),
            failed: count(d.failed_tasks()),
            created: time(d.created_at()),
        }
    }

    /// A service's events as rows. ECS keeps the last hundred.
    pub fn events(&mut self, s: &ecs::Service) -> Vec<Event> {
        let Some(name) = s.service_name() else { return Vec::new() };
        let about = self.id(Kind::EcsService, name);
        let reporter = self.interner.text("ecs");
        let mut out = Vec::new();
        for event in s.events() {
            let (Some(id), Some(message)) = (event.id(), event.message()) else { continue };
            let (reason, level) = event_reason(message);
            let at = time(event.created_at());
            out.push(Event {
                id: ObjectId { kind: Kind::Other, name: Text::new(id), ..about.clone() },
                about: about.clone(),
                about_kind: self.interner.text("service"),
                level,
                reason: self.interner.text(reason),
                // Every message begins with the service it is about.
                message: Text::new(message.strip_prefix(&format!("(service {name}) ")).unwrap_or(message)),
                reporter: reporter.clone(),
                count: 1,
                first: at,
                last: at,
            });
        }
        out
    }

    /// A container instance's row.
    pub fn instance(&mut self, i: &ecs::ContainerInstance) -> Option<Node> {
        let arn = i.container_instance_arn()?;
        let attribute = |name: &str| {
            i.attributes().iter().find(|a| a.name() == name).and_then(ecs::Attribute::value).unwrap_or_default()
        };
        let status = i.status().unwrap_or_default();
        let impaired = i
            .health_status()
            .is_some_and(|h| matches!(h.overall_status(), Some(ecs::InstanceHealthCheckState::Impaired)));
        let condition = if i.agent_connected() { NodeCondition::Ready } else { NodeCondition::Silent };
        let draining = status == "DRAINING";
        let mut words = vec![capitalized(status)];
        if !i.agent_connected() {
            words.push("AgentDisconnected".to_owned());
        }
        let provider = i.capacity_provider_name().unwrap_or_default();
        let versions = i.version_info();
        let pairs: Vec<(&str, &str)> = i
            .attributes()
            .iter()
            .filter(|a| !a.name().starts_with("ecs.capability") && !a.name().starts_with("com.amazonaws"))
            .map(|a| (a.name(), a.value().unwrap_or_default()))
            .collect();
        Some(Node {
            id: self.id(Kind::Node, i.ec2_instance_id().unwrap_or_else(|| tail(arn))),
            uid: Text::new(arn),
            created: time(i.registered_at()),
            condition,
            condition_since: None,
            message: Text::new(if i.agent_connected() {
                i.status_reason().unwrap_or_default()
            } else {
                "the ECS agent does not talk to ECS; its tasks go on, but cannot be changed"
            }),
            unschedulable: draining,
            pressure: self.interner.text(if impaired { "InstanceImpaired" } else { "" }),
            status: self.interner.text(&words.join(",")),
            roles: self.interner.text("container-instance"),
            version: self.interner.text(
                &versions.and_then(ecs::VersionInfo::agent_version).map_or_else(String::new, |v| format!("agent {v}")),
            ),
            zone: self.interner.text(attribute("ecs.availability-zone")),
            instance_type: self.interner.text(attribute("ecs.instance-type")),
            instance: Text::new(i.ec2_instance_id().unwrap_or_default()),
            capacity_type: capacity_of(provider, "EC2"),
            address: Text::empty(),
            os_image: self.interner.text(attribute("ecs.os-type")),
            runtime: self.interner.text(versions.and_then(ecs::VersionInfo::docker_version).unwrap_or_default()),
            allocatable: resources(i.registered_resources()),
            allocatable_tasks: 0,
            announced: Text::empty(),
            taints: Text::empty(),
            labels: self.interner.labels(pairs),
            ecs: Some(Box::new(EcsInstance {
                arn: Text::new(arn),
                tasks: (count(i.running_tasks_count()), count(i.pending_tasks_count())),
                remaining: resources(i.remaining_resources()),
                connected: i.agent_connected(),
                provider: self.interner.text(provider),
            })),
        })
    }
}

fn resources(list: &[ecs::Resource]) -> Resources {
    let amount = |name: &str| {
        list.iter().find(|r| r.name() == Some(name)).map_or(0.0, |r| f64::from(r.integer_value()).max(0.0))
    };
    Resources { cpu: units_to_millicores(amount("CPU")), memory: memory(Some(&amount("MEMORY").to_string())) }
}

/// `Draining` of `DRAINING`.
fn capitalized(word: &str) -> String {
    let mut out = word.to_ascii_lowercase();
    if let Some(first) = out.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    out
}

/// STATUS and health of a task.
fn standing(t: &ecs::Task, stop: Option<&Stop>, containers: &[Container], now: Timestamp) -> (String, Health) {
    let last = t.last_status().unwrap_or_default();
    if let Some(stop) = stop {
        let code = if stop.code.is_empty() { capitalized(last) } else { stop.code.to_string() };
        let Some(at) = stop.at else {
            // Two minutes of warning are worth more than a word for "on its way out".
            let taken = matches!(stop.code.as_str(), "SpotInterruption" | "TerminationNotice" | "InfrastructureHealth");
            return if taken { (code, Health::Warning) } else { (capitalized(last), Health::Progressing) };
        };
        let failed = match stop.code.as_str() {
            "TaskFailedToStart" | "InfrastructureHealth" => true,
            "EssentialContainerExited" => containers
                .iter()
                .any(|c| !matches!(c.state, ContainerState::Terminated { exit_code: 0, .. } | ContainerState::Running)),
            "ServiceSchedulerInitiated" => stop.reason.contains("failed"),
            _ => false,
        };
        let health = if failed && now - at < FRESH_FAILURE { Health::Warning } else { Health::Done };
        return (code, health);
    }
    match (last, t.health_status()) {
        ("RUNNING", Some(ecs::HealthStatus::Unhealthy)) => ("Unhealthy".to_owned(), Health::Critical),
        ("RUNNING", _) => ("Running".to_owned(), Health::Ok),
        ("STOPPED", _) => ("Stopped".to_owned(), Health::Done),
        (last, _) => (capitalized(last), Health::Progressing),
    }
}

/// Why a task is as it is: ECS's reason, then what its containers say.
fn message(stop: Option<&Stop>, containers: &[Container], health: Health) -> String {
    let mut parts: Vec<String> = Vec::new();
    if let Some(stop) = stop
        && !stop.reason.is_empty()
    {
        parts.push(stop.reason.to_string());
    }
    if stop.is_some() || health.is_problem() {
        for c in containers {
            match &c.state {
                ContainerState::Terminated { reason, exit_code } if *exit_code != 0 || !reason.is_empty() => {
                    let why = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
                    parts.push(format!("{} exited with {exit_code}{why}", c.name));
                }
                ContainerState::Waiting { reason }
                    if !reason.is_empty() && stop.is_none_or(|s| !s.reason.contains(reason.as_str())) =>
                {
                    parts.push(format!("{}: {reason}", c.name));
                }
                _ => {}
            }
        }
    }
    parts.join("; ")
}

/// STATUS, health and reason of a service.
fn service_standing(s: &ecs::Service, r: Replicas, deployments: &[Deployment]) -> (&'static str, Health, String) {
    match s.status() {
        Some("DRAINING") => return ("Draining", Health::Progressing, String::new()),
        Some("INACTIVE") => return ("Inactive", Health::Done, String::new()),
        _ => {}
    }
    let short = r.unavailable();
    if let Some(failed) = deployments.iter().find(|d| d.rollout == "FAILED") {
        let health = if r.desired > 0 && r.ready == 0 { Health::Critical } else { Health::Warning };
        return ("Rollout failed", health, failed.reason.to_string());
    }
    let primary = deployments.iter().find(|d| d.status == "PRIMARY");
    let rolling = primary.is_some_and(|d| d.rollout == "IN_PROGRESS")
        || (primary.is_some_and(|d| d.rollout.is_empty()) && deployments.len() > 1);
    if rolling {
        let failed = primary.map_or(0, |d| d.failed);
        let health = match () {
            () if r.desired > 0 && r.ready == 0 && failed > 0 => Health::Critical,
            () if failed > 0 => Health::Warning,
            () => Health::Progressing,
        };
        let what = if failed > 0 { format!("{failed} tasks failed to start") } else { String::new() };
        return ("Rolling out", health, what);
    }
    if r.desired == 0 && r.ready == 0 {
        return ("Scaled to zero", Health::Done, String::new());
    }
    if short > 0 {
        let health = if r.ready == 0 { Health::Critical } else { Health::Warning };
        return ("Degraded", health, complaint(s));
    }
    ("Steady", Health::Ok, String::new())
}

/// The newest event that says what goes wrong, since the service was last steady; empty if
/// none does: that tasks are started is no reason why some are missing.
fn complaint(s: &ecs::Service) -> String {
    let own = format!("(service {}) ", s.service_name().unwrap_or_default());
    s.events()
        .iter()
        .filter_map(ecs::ServiceEvent::message)
        .take_while(|m| !m.contains("has reached a steady state"))
        .find(|m| event_reason(m).1 == EventLevel::Warning)
        .map(|m| m.strip_prefix(&own).unwrap_or(m).to_owned())
        .unwrap_or_default()
}

/// `fargate-spot 3, fargate 1`, or the launch type.
fn placement(strategy: &[ecs::CapacityProviderStrategyItem], launch: &str) -> String {
    let word = |name: &str| match name {
        "FARGATE" | "FARGATE_SPOT" | "EC2" | "EXTERNAL" | "MANAGED_INSTANCES" => {
            name.to_ascii_lowercase().replace('_', "-")
        }
        _ => name.to_owned(),
    };
    match strategy {
        [] => word(launch),
        [one] => word(one.capacity_provider()),
        several => {
            let parts: Vec<String> =
                several.iter().map(|s| format!("{} {}", word(s.capacity_provider()), s.weight())).collect();
            parts.join(", ")
        }
    }
}

/// A CamelCase reason for one of ECS's messages, so that they sort and filter as
/// Kubernetes' do.
fn event_reason(message: &str) -> (&'static str, EventLevel) {
    const REASONS: [(&str, &str, EventLevel); 14] = [
        ("has reached a steady state", "SteadyState", EventLevel::Normal),
        ("unable to place a task", "PlacementFailed", EventLevel::Warning),
        ("unable to consistently start tasks", "StartImpaired", EventLevel::Warning),
        ("rolling back to deployment", "RollingBack", EventLevel::Warning),
        ("deployment failed", "DeploymentFailed", EventLevel::Warning),
        ("is unhealthy", "Unhealthy", EventLevel::Warning),
        ("failed container health checks", "Unhealthy", EventLevel::Warning),
        ("failed to register", "RegisterFailed", EventLevel::Warning),
        ("was unable to", "ActionFailed", EventLevel::Warning),
        ("deployment completed", "DeploymentCompleted", EventLevel::Normal),
        ("has begun draining connections", "Draining", EventLevel::Normal),
        ("deregistered", "Deregistered", EventLevel::Normal),
        ("registered", "Registered", EventLevel::Normal),
        ("has started", "Started", EventLevel::Normal),
    ];
    if let Some((_, reason, level)) = REASONS.iter().find(|(part, ..)| message.contains(part)) {
        return (reason, *level);
    }
    if message.contains("has stopped") { ("Stopped", EventLevel::Normal) } else { ("Event", EventLevel::Normal) }
}

#[cfg(test)]
#[path = "project_tests.rs"]
mod tests;
