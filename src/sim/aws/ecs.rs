//! ECS: lists, descriptions, and the few writes that there are.

use serde_json::{Value, json};

use super::definitions::Definition;
use super::fault::AwsFaults;
use super::model::{Cluster, Deployment, Instance, Ms, Phase, Service, Task, stop};
use super::schema::{Breaker, Exec};
use super::wire::{Refusal, seconds};
use super::{Caller, World, strings, tail};

type Answer = Result<Option<Value>, Refusal>;

impl World {
    pub(super) fn ecs(
        &mut self,
        caller: &Caller,
        operation: &str,
        input: &Value,
        faults: &AwsFaults,
        now: Ms,
    ) -> Answer {
        let answer = match operation {
            "ListClusters" => self.list_clusters(caller, input, faults)?,
            "DescribeClusters" => self.describe_clusters(caller, input),
            "ListServices" => self.list_services(caller, input, faults)?,
            "DescribeServices" => self.describe_services(caller, input)?,
            "ListTasks" => self.list_tasks(caller, input, faults)?,
            "DescribeTasks" => self.describe_tasks(caller, input)?,
            "ListContainerInstances" => self.list_instances(caller, input, faults)?,
            "DescribeContainerInstances" => self.describe_instances(caller, input)?,
            "DescribeCapacityProviders" => self.describe_providers(caller, input),
            "DescribeTaskDefinition" => self.describe_definition(caller, input)?,
            "ListTaskDefinitions" => self.list_definitions(caller, input, faults)?,
            "ListServiceDeployments" => self.list_deployments(caller, input, faults)?,
            "DescribeServiceDeployments" => self.describe_deployments(caller, input)?,
            "StopServiceDeployment" => self.stop_deployment(caller, input)?,
            "RunTask" => self.run_task(caller, input, now)?,
            "UpdateService" => self.update_service(caller, input, now)?,
            "StopTask" => self.stop_task(caller, input, now)?,
            "UpdateContainerInstancesState" => self.update_instances(caller, input)?,
            "RegisterTaskDefinition" => self.register_definition(caller, input, now)?,
            "GetTaskProtection" | "UpdateTaskProtection" => self.protection(caller, operation, input, now)?,
            "ExecuteCommand" => self.execute_command(caller, input)?,
            _ => return Ok(None),
        };
        Ok(Some(answer))
    }

    pub(super) fn list(
        &mut self,
        all: &[String],
        input: &Value,
        key: &str,
        default: u64,
        faults: &AwsFaults,
    ) -> Result<Value, Refusal> {
        let size = input["maxResults"].as_u64().unwrap_or(default);
        if !(1..=100).contains(&size) {
            return Err(Refusal::invalid("maxResults must be between 1 and 100."));
        }
        let (page, next) = self.page(all, input["nextToken"].as_str(), size as usize, faults.circle)?;
        let mut out = json!({key: page});
        if let Some(next) = next {
            out["nextToken"] = next.into();
        }
        Ok(out)
    }

    fn list_clusters(&mut self, caller: &Caller, input: &Value, faults: &AwsFaults) -> Result<Value, Refusal> {
        let mine = self.clusters.iter().filter(|c| c.account == caller.account && c.region == caller.region);
        let all: Vec<String> = mine.map(|c| c.arn("cluster", "")).collect();
        self.list(&all, input, "clusterArns", 100, faults)
    }

    fn describe_clusters(&self, caller: &Caller, input: &Value) -> Value {
        let mut names = strings(input, "clusters");
        if names.is_empty() {
            names.push("default");
        }
        let include = strings(input, "include");
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for name in names {
            if let Ok(at) = self.cluster(caller, &json!({"cluster": name})) {
                found.push(self.clusters[at].json(&include));
            } else {
                let arn = format!("arn:aws:ecs:{}:{}:cluster/{}", caller.region, caller.account, tail(name));
                failures.push(json!({"arn": arn, "reason": "MISSING"}));
            }
        }
        json!({"clusters": found, "failures": failures})
    }

    fn list_services(&mut self, caller: &Caller, input: &Value, faults: &AwsFaults) -> Result<Value, Refusal> {
        let c = &self.clusters[self.cluster(caller, input)?];
        let all: Vec<String> = c.services.keys().map(|name| c.arn("service", name)).collect();
        // AWS gives ten unless asked for more.
        self.list(&all, input, "serviceArns", 10, faults)
    }

    fn describe_services(&self, caller: &Caller, input: &Value) -> Result<Value, Refusal> {
        let c = &self.clusters[self.cluster(caller, input)?];
        let names = strings(input, "services");
        if names.is_empty() {
            return Err(Refusal::invalid("Services cannot be empty."));
        }
        if names.len() > 10 {
            return Err(Refusal::invalid("Services cannot be longer than 10."));
        }
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for name in names {
            match c.services.get(tail(name)) {
                Some(s) => found.push(c.service_json(s)),
                None => failures.push(json!({"arn": c.arn("service", tail(name)), "reason": "MISSING"})),
            }
        }
        Ok(json!({"services": found, "failures": failures}))
    }

    fn list_tasks(&mut self, caller: &Caller, input: &Value, faults: &AwsFaults) -> Result<Value, Refusal> {
        let c = &self.clusters[self.cluster(caller, input)?];
        let wanted = input["desiredStatus"].as_str().unwrap_or("RUNNING");
        if !matches!(wanted, "RUNNING" | "PENDING" | "STOPPED") {
            return Err(Refusal::invalid("Desired status should be one of [RUNNING, STOPPED, PENDING]."));
        }
        if let Some(service) = input["serviceName"].as_str()
            && !c.services.contains_key(tail(service))
        {
            return Err(Refusal::new("ServiceNotFoundException", "Service not found."));
        }
        let text = |key: &str| input[key].as_str();
        let all: Vec<String> = c
            .tasks
            .values()
            .filter(|t| match wanted {
                "RUNNING" => t.wanted(),
                "STOPPED" => !t.wanted(),
                _ => false,
            })
            .filter(|t| text("serviceName").is_none_or(|s| t.service.as_deref() == Some(tail(s))))
            .filter(|t| text("containerInstance").is_none_or(|i| t.instance.as_deref() == Some(tail(i))))
            .filter(|t| text("launchType").is_none_or(|l| t.launch == l))
            .filter(|t| text("family").is_none_or(|f| t.definition.split(':').next() == Some(f)))
            .filter(|t| text("startedBy").is_none_or(|s| t.deployment == s))
            .map(|t| c.arn("task", &t.id))
            .collect();
        self.list(&all, input, "taskArns", 100, faults)
    }

    fn describe_tasks(&self, caller: &Caller, input: &Value) -> Result<Value, Refusal> {
        let c = &self.clusters[self.cluster(caller, input)?];
        let ids = strings(input, "tasks");
        if ids.is_empty() {
            return Err(Refusal::invalid("Tasks cannot be empty."));
        }
        if ids.len() > 100 {
            return Err(Refusal::invalid("Tasks cannot be longer than 100."));
        }
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for id in ids {
            match c.tasks.get(tail(id)) {
                Some(t) => found.push(c.task_json(t)),
                None => failures.push(json!({"arn": c.arn("task", tail(id)), "reason": "MISSING"})),
            }
        }
        Ok(json!({"tasks": found, "failures": failures}))
    }

    fn list_instances(&mut self, caller: &Caller, input: &Value, faults: &AwsFaults) -> Result<Value, Refusal> {
        let c = &self.clusters[self.cluster(caller, input)?];
        let status = input["status"].as_str();
        let all: Vec<String> = c
            .instances
            .iter()
            .filter(|i| status.is_none_or(|s| i.status() == s))
            .map(|i| c.arn("container-instance", &i.id))
            .collect();
        self.list(&all, input, "containerInstanceArns", 100, faults)
    }

    fn describe_instances(&self, caller: &Caller, input: &Value) -> Result<Value, Refusal> {
        let c = &self.clusters[self.cluster(caller, input)?];
        let ids = strings(input, "containerInstances");
        if ids.is_empty() {
            return Err(Refusal::invalid("Container instances cannot be empty."));
        }
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for id in ids.into_iter().take(100) {
            match c.instances.iter().find(|i| i.id == tail(id)) {
                Some(i) => found.push(c.instance_json(i)),
                None => failures.push(json!({"arn": c.arn("container-instance", tail(id)), "reason": "MISSING"})),
            }
        }
        Ok(json!({"containerInstances": found, "failures": failures}))
    }

    fn describe_providers(&self, caller: &Caller, input: &Value) -> Value {
        let wanted = strings(input, "capacityProviders");
        let mut names = vec!["FARGATE".to_owned(), "FARGATE_SPOT".to_owned()];
        for c in self.clusters.iter().filter(|c| c.account == caller.account && c.region == caller.region) {
            names.extend(c.instances.iter().map(|i| i.provider.clone()));
        }
        names.dedup();
        let found: Vec<Value> = names
            .iter()
            .filter(|n| wanted.is_empty() || wanted.contains(&n.as_str()))
            .map(|n| {
                let arn = format!("arn:aws:ecs:{}:{}:capacity-provider/{n}", caller.region, caller.account);
                let mut json = json!({"capacityProviderArn": arn, "name": n, "status": "ACTIVE"});
                if n.starts_with("FARGATE") {
                    json["type"] = n.as_str().into();
                } else {
                    let group = format!(
                        "arn:aws:autoscaling:{}:{}:autoScalingGroup:0:autoScalingGroupName/{n}",
                        caller.region, caller.account
                    );
                    json["type"] = "EC2_AUTOSCALING".into();
                    json["autoScalingGroupProvider"] = json!({"autoScalingGroupArn": group,
                        "managedScaling": {"status": "ENABLED", "targetCapacity": 100, "minimumScalingStepSize": 1,
                            "maximumScalingStepSize": 10000, "instanceWarmupPeriod": 300},
                        "managedTerminationProtection": "DISABLED", "managedDraining": "ENABLED"});
                }
                json
            })
            .collect();
        let missing = wanted.iter().filter(|w| !names.iter().any(|n| n == *w));
        let failures: Vec<Value> = missing.map(|n| json!({"arn": n, "reason": "MISSING"})).collect();
        json!({"capacityProviders": found, "failures": failures})
    }

    fn stop_task(&mut self, caller: &Caller, input: &Value, now: Ms) -> Result<Value, Refusal> {
        let at = self.cluster(caller, input)?;
        let id = tail(input["task"].as_str().unwrap_or_default()).to_owned();
        let c = &mut self.clusters[at];
        if !c.tasks.contains_key(&id) {
            return Err(Refusal::invalid("The referenced task was not found."));
        }
        let reason = input["reason"].as_str().unwrap_or("Task stopped by user");
        c.stop(&id, stop("UserInitiated", reason), now, 0);
        let json = c.tasks.get(&id).map(|t| c.task_json(t));
        Ok(json!({"task": json}))
    }

    fn protection(&mut self, caller: &Caller, operation: &str, input: &Value, now: Ms) -> Result<Value, Refusal> {
        let at = self.cluster(caller, input)?;
        let ids = strings(input, "tasks");
        let most = if operation == "GetTaskProtection" { 100 } else { 10 };
        if ids.is_empty() || ids.len() > most {
            return Err(Refusal::invalid(format!("Tasks must have between 1 and {most} elements.")));
        }
        let minutes = input["expiresInMinutes"].as_i64().unwrap_or(120);
        if !(1..=2880).contains(&minutes) {
            return Err(Refusal::invalid("expiresInMinutes must be between 1 and 2880."));
        }
        let c = &mut self.clusters[at];
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for id in ids {
            let arn = c.arn("task", tail(id));
            match c.tasks.get_mut(tail(id)) {
                Some(t) if t.service.is_some() && t.wanted() => {
                    if operation == "UpdateTaskProtection" {
                        let on = input["protectionEnabled"].as_bool().unwrap_or_default();
                        t.protected = on.then_some(now + minutes * 60_000);
                    }
                    let mut json = json!({"taskArn": arn, "protectionEnabled": t.is_protected(now)});
                    if let Some(until) = t.protected.filter(|until| *until > now) {
                        json["expirationDate"] = seconds(until).into();
                    }
                    found.push(json);
                }
                Some(_) => failures.push(json!({"arn": arn, "reason": "TASK_NOT_VALID"})),
                None => failures.push(json!({"arn": arn, "reason": "MISSING"})),
            }
        }
        Ok(json!({"protectedTasks": found, "failures": failures}))
    }

    fn update_instances(&mut self, caller: &Caller, input: &Value) -> Result<Value, Refusal> {
        let at = self.cluster(caller, input)?;
        let ids = strings(input, "containerInstances");
        if ids.len() > 10 {
            return Err(Refusal::invalid("Container instances cannot be longer than 10."));
        }
        let status = input["status"].as_str().unwrap_or_default();
        if !matches!(status, "ACTIVE" | "DRAINING") {
            return Err(Refusal::invalid("Container instances status should be one of [ACTIVE, DRAINING]."));
        }
        let c = &mut self.clusters[at];
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for id in ids {
            match c.instances.iter_mut().find(|i| i.id == tail(id)) {
                Some(i) => {
                    i.draining = status == "DRAINING";
                    i.version += 1;
                    found.push(i.id.clone());
                }
                None => failures.push(json!({"arn": id, "reason": "MISSING"})),
            }
        }
        let found: Vec<Value> =
            c.instances.iter().filter(|i| found.contains(&i.id)).map(|i| c.instance_json(i)).collect();
        Ok(json!({"containerInstances": found, "failures": failures}))
    }
}

/// The container number `n` of a task, as the first one is.
fn container_json(first: &Value, t: &Task, n: usize, (name, image): (&str, &str)) -> Value {
    let mut out = first.clone();
    (out["name"], out["image"]) = (name.into(), image.into());
    if n > 0 {
        let arn = first["containerArn"].as_str().unwrap_or_default();
        out["containerArn"] = format!("{arn}{n}").into();
    }
    if t.started.is_some() {
        out["imageDigest"] = format!("sha256:{:064x}", crate::sim::model::hash(image)).into();
    }
    out
}

impl Instance {
    pub fn status(&self) -> &'static str {
        if self.draining { "DRAINING" } else { "ACTIVE" }
    }
}

/// A time as JSON wants it: seconds with a fraction.
fn at(ms: Ms) -> Value {
    seconds(ms).into()
}

impl Cluster {
    /// `arn:aws:ecs:REGION:ACCOUNT:KIND/CLUSTER/NAME`, of the cluster itself without a name.
    pub fn arn(&self, kind: &str, name: &str) -> String {
        let rest = if name.is_empty() { String::new() } else { format!("/{name}") };
        format!("arn:aws:ecs:{}:{}:{kind}/{}{rest}", self.region, self.account, self.name)
    }

    pub fn target_group(&self, service: &str) -> String {
        let id = crate::sim::model::hash(service);
        format!("arn:aws:elasticloadbalancing:{}:{}:targetgroup/{service}/{id:016x}", self.region, self.account)
    }

    pub fn subnet(&self, zone: usize) -> String {
        format!("subnet-{:08x}{zone}", crate::sim::model::hash(&self.region) as u32)
    }

    pub fn ip(t: &Task) -> String {
        format!("10.{}.{}.{}", 20 + t.zone, t.ip / 250 % 250, t.ip % 250 + 4)
    }

    fn json(&self, include: &[&str]) -> Value {
        let count = |f: fn(&Task) -> bool| self.tasks.values().filter(|t| f(t)).count();
        let running = count(|t| t.phase == Phase::Running);
        let pending = count(|t| t.phase < Phase::Running);
        let mut providers = vec!["FARGATE".to_owned(), "FARGATE_SPOT".to_owned()];
        providers.extend(self.instances.iter().map(|i| i.provider.clone()));
        providers.dedup();
        // A strategy has either Fargate's providers or groups, never both.
        let default = self.instances.first().map_or("FARGATE", |i| i.provider.as_str());
        let mut out = json!({
            "clusterArn": self.arn("cluster", ""), "clusterName": self.name, "status": "ACTIVE",
            "registeredContainerInstancesCount": self.instances.len(), "runningTasksCount": running,
            "pendingTasksCount": pending, "activeServicesCount": self.services.len(), "statistics": [],
            "tags": [], "settings": [], "capacityProviders": providers,
            "defaultCapacityProviderStrategy": [{"capacityProvider": default, "weight": 1, "base": 0}],
        });
        if include.contains(&"SETTINGS") {
            out["settings"] = json!([{"name": "containerInsights", "value": self.insights.word()}]);
        }
        if include.contains(&"STATISTICS") {
            let of = |launch: &'static str, f: fn(&Task) -> bool| {
                self.tasks.values().filter(|t| t.launch == launch && f(t)).count().to_string()
            };
            out["statistics"] = json!([
                {"name": "runningEC2TasksCount", "value": of("EC2", |t| t.phase == Phase::Running)},
                {"name": "runningFargateTasksCount", "value": of("FARGATE", |t| t.phase == Phase::Running)},
                {"name": "pendingEC2TasksCount", "value": of("EC2", |t| t.phase < Phase::Running)},
                {"name": "pendingFargateTasksCount", "value": of("FARGATE", |t| t.phase < Phase::Running)},
            ]);
        }
        out
    }

    fn strategy(launch: &str) -> Value {
        let item = |name: &str, weight: u32| json!({"capacityProvider": name, "weight": weight, "base": 0});
        match launch {
            "fargate" => json!([]),
            "fargate-spot" => json!([item("FARGATE_SPOT", 1)]),
            "fargate-mixed" => json!([item("FARGATE", 1), item("FARGATE_SPOT", 3)]),
            provider => json!([item(provider, 1)]),
        }
    }

    pub(super) fn tasks_of(&self, service: &str, deployment: Option<&str>) -> (u32, u32) {
        let mut counts = (0, 0);
        for t in self.tasks.values() {
            if t.service.as_deref() == Some(service) && deployment.is_none_or(|d| t.deployment == d) {
                counts.0 += u32::from(t.phase == Phase::Running);
                counts.1 += u32::from(t.wanted() && t.phase < Phase::Running);
            }
        }
        counts
    }

    fn network(&self) -> Value {
        json!({"awsvpcConfiguration": {"subnets": [self.subnet(0), self.subnet(1), self.subnet(2)],
            "securityGroups": ["sg-0f1e2d3c4b5a69788"], "assignPublicIp": "DISABLED"}})
    }

    pub fn service_json(&self, s: &Service) -> Value {
        let (running, pending) = self.tasks_of(&s.name, None);
        let primary = s.deployments.iter().find(|d| d.primary);
        let balancers = if s.balanced {
            json!([{"targetGroupArn": self.target_group(&s.name), "containerName": "app", "containerPort": 8080}])
        } else {
            json!([])
        };
        let events: Vec<Value> =
            s.events.iter().map(|e| json!({"id": e.id, "createdAt": at(e.at), "message": e.message})).collect();
        let fargate = s.launch.starts_with("fargate");
        let mut out = json!({
            "serviceArn": self.arn("service", &s.name), "serviceName": s.name, "clusterArn": self.arn("cluster", ""),
            "loadBalancers": balancers, "serviceRegistries": [], "status": "ACTIVE", "desiredCount": s.desired,
            "runningCount": running, "pendingCount": pending,
            "capacityProviderStrategy": Self::strategy(&s.launch),
            "taskDefinition": self.definition_arn(primary.map_or("", |d| d.definition.as_str())),
            "deploymentConfiguration": {
                "deploymentCircuitBreaker": {"enable": s.breaker != Breaker::Off, "rollback": s.breaker == Breaker::Rollback},
                "maximumPercent": s.bounds.1, "minimumHealthyPercent": s.bounds.0, "strategy": "ROLLING",
            },
            "deployments": s.deployments.iter().map(|d| self.deployment_json(s, d)).collect::<Vec<_>>(),
            "roleArn": format!("arn:aws:iam::{}:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS", self.account),
            "events": events, "createdAt": at(s.created), "placementConstraints": [], "placementStrategy": [],
            "healthCheckGracePeriodSeconds": 0, "schedulingStrategy": "REPLICA",
            "deploymentController": {"type": "ECS"},
            "createdBy": format!("arn:aws:iam::{}:role/deployer", self.account),
            "enableECSManagedTags": true, "propagateTags": "SERVICE", "enableExecuteCommand": s.exec != Exec::Off,
            "availabilityZoneRebalancing": "ENABLED",
            "tags": [{"key": "team", "value": s.family.split('-').next().unwrap_or_default()}],
        });
        if fargate {
            out["networkConfiguration"] = self.network();
            out["platformVersion"] = "LATEST".into();
            out["platformFamily"] = "Linux".into();
        }
        if s.launch == "fargate" {
            out["launchType"] = "FARGATE".into();
        }
        if let Some(arn) = self.rollout_in_progress(s) {
            out["currentServiceDeployment"] = arn.into();
        }
        out
    }

    fn deployment_json(&self, s: &Service, d: &Deployment) -> Value {
        let (running, pending) = self.tasks_of(&s.name, Some(&d.id));
        let desired = if d.primary { s.desired } else { 0 };
        let mut out = json!({
            "id": d.id, "status": if d.primary { "PRIMARY" } else { "ACTIVE" },
            "taskDefinition": self.definition_arn(&d.definition), "desiredCount": desired, "pendingCount": pending,
            "runningCount": running, "failedTasks": d.failed, "createdAt": at(d.created), "updatedAt": at(d.updated),
            "capacityProviderStrategy": Self::strategy(&s.launch), "rolloutState": d.state,
            "rolloutStateReason": d.reason,
        });
        if s.launch == "fargate" {
            out["launchType"] = "FARGATE".into();
        }
        out
    }

    pub fn task_json(&self, t: &Task) -> Value {
        let d = self.definitions.get(&t.definition);
        let stopped = t.phase == Phase::Stopped;
        let all = d.map_or_else(|| vec![("app", "")], Definition::containers);
        let exec = self.exec(t);
        let mut container = json!({
            "containerArn": self.arn("container", &format!("{}/{:016x}", t.id, t.seed)),
            "taskArn": self.arn("task", &t.id), "name": "app", "image": "",
            "lastStatus": match t.phase {
                Phase::Running | Phase::Deactivating | Phase::Stopping => "RUNNING",
                Phase::Deprovisioning | Phase::Stopped => "STOPPED",
                _ => "PENDING",
            },
            "networkBindings": [], "cpu": t.cpu.to_string(), "memory": t.memory.to_string(),
            "healthStatus": "UNKNOWN",
            "networkInterfaces": [{"attachmentId": format!("{:016x}", t.seed), "privateIpv4Address": Self::ip(t)}],
        });
        if t.started.is_some() {
            container["runtimeId"] = format!("{}-{:010}", t.id, t.seed % 10_000_000_000).into();
        }
        if exec != Exec::Off {
            let status = match (exec, t.phase) {
                (Exec::On, Phase::Running) => "RUNNING",
                (_, phase) if phase < Phase::Running => "PENDING",
                _ => "STOPPED",
            };
            container["managedAgents"] = json!([{"name": "ExecuteCommandAgent", "lastStatus": status}]);
        }
        let mut out = json!({
            "attachments": [], "attributes": [{"name": "ecs.cpu-architecture", "value": "x86_64"}],
            "availabilityZone": self.zone_name(t.zone), "clusterArn": self.arn("cluster", ""),
            "connectivity": "CONNECTED", "cpu": t.cpu.to_string(), "createdAt": at(t.created),
            "desiredStatus": if t.wanted() { "RUNNING" } else { "STOPPED" },
            "enableExecuteCommand": exec != Exec::Off,
            "group": t.group, "healthStatus": "UNKNOWN",
            "lastStatus": t.phase.word(), "launchType": t.launch, "memory": t.memory.to_string(),
            "overrides": {"containerOverrides": all.iter().map(|(name, _)| json!({"name": name})).collect::<Vec<_>>(),
                "inferenceAcceleratorOverrides": []},
            "tags": [], "taskArn": self.arn("task", &t.id),
            "taskDefinitionArn": self.definition_arn(&t.definition), "version": t.version,
        });
        if t.is_fargate() {
            out["platformVersion"] = "1.4.0".into();
            out["platformFamily"] = "Linux".into();
            out["attachments"] = json!([{"id": format!("{:016x}", t.seed), "type": "ElasticNetworkInterface",
                "status": if stopped { "DELETED" } else { "ATTACHED" },
                "details": [{"name": "subnetId", "value": self.subnet(t.zone)},
                    {"name": "privateIPv4Address", "value": Self::ip(t)}]}]);
        }
        for (key, value) in [("startedAt", t.started), ("stoppingAt", t.stopping), ("stoppedAt", t.stopped)] {
            if let Some(ms) = value {
                out[key] = at(ms);
            }
        }
        if t.started.is_some() {
            out["pullStartedAt"] = at(t.created + 6_000);
            out["connectivityAt"] = at(t.created + 4_000);
        }
        if !t.provider.is_empty() {
            out["capacityProviderName"] = t.provider.as_str().into();
        }
        if let Some(id) = &t.instance {
            out["containerInstanceArn"] = self.arn("container-instance", id).into();
        }
        if let Some(s) = &t.stop {
            out["stopCode"] = s.code.into();
            out["stoppedReason"] = s.reason.as_str().into();
            if t.phase >= Phase::Deprovisioning {
                if let Some(exit) = s.exit {
                    container["exitCode"] = exit.into();
                }
                if s.code == "TaskFailedToStart" {
                    container["reason"] = s.reason.as_str().into();
                } else if !s.container_reason.is_empty() {
                    container["reason"] = s.container_reason.as_str().into();
                }
            }
        }
        if !t.deployment.is_empty() {
            out["startedBy"] = t.deployment.as_str().into();
        }
        out["containers"] = all.iter().enumerate().map(|(n, of)| container_json(&container, t, n, *of)).collect();
        out
    }

    pub fn instance_json(&self, i: &Instance) -> Value {
        let resource = |name: &str, n: u32| json!({"name": name, "type": "INTEGER", "doubleValue": 0.0, "longValue": 0, "integerValue": n});
        let (cpu, memory) = self.remaining(i);
        let on = |f: fn(&Task) -> bool| {
            self.tasks.values().filter(|t| t.instance.as_deref() == Some(i.id.as_str()) && f(t)).count()
        };
        json!({
            "containerInstanceArn": self.arn("container-instance", &i.id), "ec2InstanceId": i.ec2,
            "capacityProviderName": i.provider, "version": i.version,
            "versionInfo": {"agentVersion": "1.98.0", "agentHash": "a1b2c3d4", "dockerVersion": "DockerVersion: 25.0.8"},
            "remainingResources": [resource("CPU", cpu), resource("MEMORY", memory)],
            "registeredResources": [resource("CPU", i.cpu), resource("MEMORY", i.memory)],
            "status": i.status(), "agentConnected": i.connected,
            "runningTasksCount": on(|t| t.phase == Phase::Running),
            "pendingTasksCount": on(|t| t.phase < Phase::Running), "registeredAt": at(i.registered),
            "attributes": [
                {"name": "ecs.availability-zone", "value": self.zone_name(i.zone)},
                {"name": "ecs.instance-type", "value": i.kind}, {"name": "ecs.os-type", "value": "linux"},
                {"name": "ecs.capability.docker-remote-api.1.44"}],
            "attachments": [], "tags": [],
        })
    }
}
