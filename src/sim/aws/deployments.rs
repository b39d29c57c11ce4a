//! Deployments: what moves a service from one definition to the next, and the account that ECS keeps of them.

use serde_json::{Value, json};

use super::fault::AwsFaults;
use super::model::{Cluster, Deployment, Ms, Service};
use super::schema::Breaker;
use super::wire::{Refusal, seconds};
use super::{Caller, World, strings, tail};

/// So many service deployments of a service are kept.
const KEPT: usize = 20;

/// A service deployment: from what somebody asked for to its end, with the rollback where there was one.
#[derive(Debug, Clone)]
pub struct Rollout {
    /// Of the deployment that it began with.
    pub deployment: String,
    pub definition: String,
    /// What ran before; a rollback goes there.
    pub before: Option<String>,
    pub created: Ms,
    pub finished: Option<Ms>,
    pub failed: u32,
    pub status: &'static str,
    pub reason: String,
    /// The deployment that goes back, since when, and why.
    pub back: Option<(String, Ms, String)>,
}

impl Rollout {
    /// One that was complete before anybody looked.
    pub fn complete(deployment: &Deployment) -> Self {
        Self {
            deployment: deployment.id.clone(),
            definition: deployment.definition.clone(),
            before: None,
            created: deployment.created,
            finished: Some(deployment.updated),
            failed: 0,
            status: "SUCCESSFUL",
            reason: deployment.reason.clone(),
            back: None,
        }
    }

    fn is_over(&self) -> bool {
        self.finished.is_some()
    }

    fn end(&mut self, status: &'static str, reason: &str, now: Ms) {
        (self.status, self.finished) = (status, Some(now));
        reason.clone_into(&mut self.reason);
    }
}

impl World {
    pub(super) fn update_service(&mut self, caller: &Caller, input: &Value, now: Ms) -> Result<Value, Refusal> {
        let at = self.cluster(caller, input)?;
        let name = tail(input["service"].as_str().unwrap_or_default()).to_owned();
        if !self.clusters[at].services.contains_key(&name) {
            return Err(Refusal::new("ServiceNotFoundException", "Service not found."));
        }
        let wanted = input["taskDefinition"].as_str().map(|wanted| self.adopt(caller, wanted, at)).transpose()?;
        let c = &mut self.clusters[at];
        if let Some(s) = c.services.get_mut(&name) {
            if let Some(n) = input["desiredCount"].as_u64() {
                (s.desired, s.steady) = (n as u32, false);
            }
            let breaker = &input["deploymentConfiguration"]["deploymentCircuitBreaker"];
            if let (Some(on), back) = (breaker["enable"].as_bool(), breaker["rollback"].as_bool().unwrap_or_default()) {
                s.breaker = match (on, back) {
                    (true, true) => Breaker::Rollback,
                    (true, false) => Breaker::On,
                    (false, _) => Breaker::Off,
                };
            }
        }
        let present = c.services.get(&name).and_then(|s| s.deployments.iter().find(|d| d.primary));
        let differs = wanted.as_ref().is_some_and(|w| present.is_none_or(|d| d.definition != *w));
        // The same definition again changes nothing, unless that is asked for.
        if differs || input["forceNewDeployment"].as_bool().unwrap_or_default() {
            c.deploy(&name, wanted.as_deref(), now);
        }
        let json = c.services.get(&name).map(|s| c.service_json(s));
        Ok(json!({"service": json}))
    }

    pub(super) fn list_deployments(
        &mut self,
        caller: &Caller,
        input: &Value,
        faults: &AwsFaults,
    ) -> Result<Value, Refusal> {
        let c = &self.clusters[self.cluster(caller, input)?];
        let name = tail(input["service"].as_str().unwrap_or_default());
        let s = c.services.get(name).ok_or_else(|| Refusal::new("ServiceNotFoundException", "Service not found."))?;
        let wanted = strings(input, "status");
        let all: Vec<Value> = s
            .rollouts
            .iter()
            .filter(|r| wanted.is_empty() || wanted.contains(&r.status))
            .map(|r| c.brief(s, r))
            .collect();
        let size = input["maxResults"].as_u64().unwrap_or(20).clamp(1, 100) as usize;
        let (page, next) = self.page(&all, input["nextToken"].as_str(), size, faults.circle)?;
        let mut out = json!({"serviceDeployments": page});
        if let Some(next) = next {
            out["nextToken"] = next.into();
        }
        Ok(out)
    }

    pub(super) fn describe_deployments(&self, caller: &Caller, input: &Value) -> Result<Value, Refusal> {
        let wanted = strings(input, "serviceDeploymentArns");
        if wanted.is_empty() || wanted.len() > 20 {
            return Err(Refusal::invalid("serviceDeploymentArns must have between 1 and 20 elements."));
        }
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for arn in wanted {
            let mine = self.clusters.iter().filter(|c| c.account == caller.account && c.region == caller.region);
            let mut all = mine.flat_map(|c| c.services.values().map(move |s| (c, s)));
            match all.find_map(|(c, s)| Some((c, s, s.rollouts.iter().find(|r| c.rollout_arn(s, r) == arn)?))) {
                Some((c, s, r)) => found.push(c.rollout_json(s, r)),
                None => failures.push(json!({"arn": arn, "reason": "MISSING"})),
            }
        }
        Ok(json!({"serviceDeployments": found, "failures": failures}))
    }

    pub(super) fn stop_deployment(&mut self, caller: &Caller, input: &Value) -> Result<Value, Refusal> {
        let arn = input["serviceDeploymentArn"].as_str().unwrap_or_default();
        if input["stopType"].as_str().is_some_and(|t| t != "ROLLBACK") {
            return Err(Refusal::invalid("stopType should be one of [ROLLBACK]."));
        }
        let mine = self.clusters.iter_mut().filter(|c| c.account == caller.account && c.region == caller.region);
        let mut hit = None;
        for c in mine {
            let is = |s: &Service| s.rollouts.iter().position(|r| c.rollout_arn(s, r) == arn);
            if let Some((name, at)) = c.services.iter().find_map(|(name, s)| Some((name.clone(), is(s)?))) {
                hit = c.services.get_mut(&name).and_then(|s| s.rollouts.get_mut(at));
                break;
            }
        }
        let missing = "The service deployment was not found.";
        let r = hit.ok_or_else(|| Refusal::new("ServiceDeploymentNotFoundException", missing))?;
        if r.status != "IN_PROGRESS" {
            let m = "The service deployment is not in a state in which it can be stopped.";
            return Err(Refusal::new("ConflictException", m));
        }
        if r.before.is_none() {
            return Err(Refusal::invalid("There is no service revision to roll back to."));
        }
        r.status = "ROLLBACK_REQUESTED";
        "Service deployment rollback requested.".clone_into(&mut r.reason);
        Ok(json!({"serviceDeploymentArn": arn}))
    }
}

impl Cluster {
    fn rollout_arn(&self, s: &Service, r: &Rollout) -> String {
        format!("{}/{}", self.arn("service-deployment", &s.name), tail(&r.deployment))
    }

    fn revision_arn(&self, s: &Service, definition: &str) -> String {
        let id = crate::sim::model::hash(&format!("{}/{definition}", s.name));
        format!("{}/{id:019}", self.arn("service-revision", &s.name))
    }

    /// As the list has it.
    fn brief(&self, s: &Service, r: &Rollout) -> Value {
        let mut out = json!({
            "serviceDeploymentArn": self.rollout_arn(s, r), "serviceArn": self.arn("service", &s.name),
            "clusterArn": self.arn("cluster", ""), "createdAt": at(r.created), "startedAt": at(r.created),
            "status": r.status, "statusReason": r.reason,
            "targetServiceRevisionArn": self.revision_arn(s, &r.definition),
        });
        if let Some(end) = r.finished {
            out["finishedAt"] = at(end);
        }
        out
    }

    fn rollout_json(&self, s: &Service, r: &Rollout) -> Value {
        let mut out = self.brief(s, r);
        if let Some(fields) = out.as_object_mut() {
            fields.retain(|key, _| key != "targetServiceRevisionArn");
        }
        let revision = |definition: &str, deployment: Option<&str>| {
            let (running, pending) = deployment.map_or((0, 0), |d| self.tasks_of(&s.name, Some(d)));
            json!({"arn": self.revision_arn(s, definition), "requestedTaskCount": s.desired,
                "runningTaskCount": running, "pendingTaskCount": pending})
        };
        out["targetServiceRevision"] = revision(&r.definition, Some(&r.deployment));
        out["sourceServiceRevisions"] = r.before.iter().map(|d| revision(d, None)).collect();
        out["deploymentCircuitBreaker"] = json!({
            "status": match (r.is_over() || r.back.is_some(), r.status) {
                _ if s.breaker == Breaker::Off => "DISABLED",
                (_, "STOPPED") => "TRIGGERED",
                (true, _) => "MONITORING_COMPLETE",
                (false, _) => "MONITORING",
            },
            "failureCount": r.failed, "threshold": threshold(s)});
        if let (Some((_, since, why)), Some(before)) = (&r.back, &r.before) {
            out["rollback"] = json!({"reason": why, "startedAt": at(*since),
                "serviceRevisionArn": self.revision_arn(s, before)});
        }
        out["deploymentConfiguration"] = json!({"maximumPercent": s.bounds.1, "minimumHealthyPercent": s.bounds.0,
            "deploymentCircuitBreaker": {"enable": s.breaker != Breaker::Off, "rollback": s.breaker == Breaker::Rollback}});
        out
    }

    /// The service deployment that is in progress.
    pub(super) fn rollout_in_progress(&self, s: &Service) -> Option<String> {
        s.rollouts.iter().find(|r| !r.is_over()).map(|r| self.rollout_arn(s, r))
    }

    /// A new deployment of a service. Without a definition it is the present one.
    pub fn deploy(&mut self, service: &str, definition: Option<&str>, now: Ms) {
        let before = self.services.get(service).and_then(|s| {
            // What was being rolled out and never came to its end is nothing to go back to.
            let unfinished = s.rollouts.iter().find(|r| !r.is_over()).and_then(|r| r.before.clone());
            unfinished.or_else(|| s.deployments.iter().find(|d| d.primary).map(|d| d.definition.clone()))
        });
        let Some(new) = self.put(service, definition, now) else { return };
        let Some(s) = self.services.get_mut(service) else { return };
        if let Some(r) = s.rollouts.iter_mut().find(|r| !r.is_over()) {
            r.end("STOPPED", "Service deployment was superseded by a newer one.", now);
        }
        s.rollouts.push_front(Rollout {
            deployment: new.id,
            definition: new.definition,
            before,
            created: now,
            finished: None,
            failed: 0,
            status: "IN_PROGRESS",
            reason: String::new(),
            back: None,
        });
        s.rollouts.truncate(KEPT);
    }

    /// Puts a deployment in the place of the primary one.
    fn put(&mut self, service: &str, definition: Option<&str>, now: Ms) -> Option<Deployment> {
        let id = format!("ecs-svc/{}", self.digits());
        let s = self.services.get_mut(service)?;
        let present = s.deployments.iter().find(|d| d.primary).map(|d| d.definition.clone()).unwrap_or_default();
        for d in &mut s.deployments {
            d.primary = false;
        }
        s.steady = false;
        let new = Deployment {
            reason: format!("ECS deployment {id} in progress."),
            id,
            primary: true,
            definition: definition.map_or(present, str::to_owned),
            created: now,
            updated: now,
            failed: 0,
            state: "IN_PROGRESS",
            not_before: now,
        };
        s.deployments.insert(0, new.clone());
        Some(new)
    }

    /// The deployment of this definition that was complete before, and still has its tasks, becomes the primary one
    /// again: it needs no others.
    fn resume(&mut self, service: &str, definition: &str, now: Ms) -> Option<Deployment> {
        let s = self.services.get_mut(service)?;
        let at =
            s.deployments.iter().position(|d| !d.primary && d.definition == definition && d.state == "COMPLETED")?;
        let mut old = s.deployments.remove(at);
        s.deployments.iter_mut().for_each(|d| d.primary = false);
        s.steady = false;
        old.reason = format!("ECS deployment {} in progress.", old.id);
        (old.primary, old.state, old.updated, old.not_before) = (true, "IN_PROGRESS", now, now);
        s.deployments.insert(0, old.clone());
        Some(old)
    }

    /// Goes back from a rollout to what was before it.
    fn go_back(&mut self, service: &str, deployment: &str, why: &str, now: Ms) {
        let find = |s: &Service| s.rollouts.iter().position(|r| r.deployment == deployment);
        let Some((at, before)) = self.services.get(service).and_then(|s| {
            let at = find(s)?;
            Some((at, s.rollouts[at].before.clone()?))
        }) else {
            return;
        };
        let Some(new) = self.resume(service, &before, now).or_else(|| self.put(service, Some(&before), now)) else {
            return;
        };
        if let Some(r) = self.services.get_mut(service).and_then(|s| s.rollouts.get_mut(at)) {
            r.status = "ROLLBACK_IN_PROGRESS";
            why.clone_into(&mut r.reason);
            r.back = Some((new.id.clone(), now, why.to_owned()));
        }
        self.event(service, now, format!("(service {service}) rolling back to deployment {}.", new.id));
    }

    /// Begins the rollbacks that were asked for.
    pub fn turn_back(&mut self, name: &str, now: Ms) {
        let Some(s) = self.services.get_mut(name) else { return };
        let Some(id) = s.rollouts.iter().find(|r| r.status == "ROLLBACK_REQUESTED").map(|r| r.deployment.clone())
        else {
            return;
        };
        let why = "Service deployment rollback was requested by the user.";
        if let Some(d) = s.deployments.iter_mut().find(|d| d.id == id) {
            (d.state, d.updated) = ("FAILED", now);
            why.clone_into(&mut d.reason);
        }
        self.go_back(name, &id, why, now);
    }

    pub fn count_failure(&mut self, service: &str, deployment: &str, now: Ms) {
        let mut impaired = false;
        if let Some(s) = self.services.get_mut(service)
            && let Some(d) = s.deployments.iter_mut().find(|d| d.id == deployment && d.state == "IN_PROGRESS")
        {
            d.failed += 1;
            d.updated = now;
            // ECS slows down what keeps failing.
            d.not_before = now + i64::from(d.failed.min(6)) * 3_000;
            impaired = d.failed == 3;
            if let Some(r) = s.rollouts.iter_mut().find(|r| r.deployment == deployment) {
                r.failed += 1;
            }
        }
        if impaired {
            let m = format!(
                "(service {service}) is unable to consistently start tasks successfully. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."
            );
            self.event(service, now, m);
        }
    }

    /// Everything is as wanted: the deployment is complete.
    pub fn settle(&mut self, name: &str, now: Ms) {
        let mut done = None;
        let Some(s) = self.services.get_mut(name) else { return };
        if let Some(d) = s.deployments.iter_mut().find(|d| d.primary && d.state == "IN_PROGRESS") {
            d.state = "COMPLETED";
            d.reason = format!("ECS deployment {} completed.", d.id);
            d.updated = now;
            done = Some(d.id.clone());
        }
        if let Some(id) = &done {
            for r in s.rollouts.iter_mut().filter(|r| !r.is_over()) {
                if r.back.as_ref().is_some_and(|(back, ..)| back == id) {
                    let why = r.reason.clone();
                    r.end("ROLLBACK_SUCCESSFUL", &why, now);
                } else if r.deployment == *id {
                    r.end("SUCCESSFUL", "", now);
                }
            }
        }
        s.deployments.retain(|d| d.primary);
        let news = !s.steady;
        s.steady = true;
        if let Some(id) = done {
            self.event(name, now, format!("(service {name}) (deployment {id}) deployment completed."));
        }
        if news {
            self.steady(name, now);
        }
    }

    /// Trips the circuit breaker when too many tasks failed.
    pub fn trip(&mut self, name: &str, now: Ms) {
        let Some(s) = self.services.get_mut(name) else { return };
        if s.breaker == Breaker::Off {
            return;
        }
        let threshold = threshold(s);
        let previous = s.deployments.iter().any(|d| !d.primary && d.state != "FAILED");
        let Some(d) = s.deployments.iter_mut().find(|d| d.primary && d.state == "IN_PROGRESS" && d.failed >= threshold)
        else {
            return;
        };
        let why = "ECS deployment circuit breaker: tasks failed to start.";
        d.state = "FAILED";
        why.clone_into(&mut d.reason);
        d.updated = now;
        let (id, rollback) = (d.id.clone(), s.breaker == Breaker::Rollback && previous);
        self.event(name, now, format!("(service {name}) (deployment {id}) deployment failed: tasks failed to start."));
        if rollback {
            self.go_back(
                name,
                &id,
                "Service deployment rolled back because the circuit breaker threshold was exceeded.",
                now,
            );
        } else if let Some(s) = self.services.get_mut(name)
            && let Some(r) = s.rollouts.iter_mut().find(|r| r.deployment == id)
        {
            r.end("STOPPED", why, now);
        }
    }
}

/// So many failed tasks trip the circuit breaker.
fn threshold(s: &Service) -> u32 {
    s.desired.div_ceil(2).clamp(3, 200)
}

fn at(ms: Ms) -> Value {
    seconds(ms).into()
}
