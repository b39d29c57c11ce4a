//! Application Auto Scaling and Service Quotas.

use serde_json::{Value, json};

use super::fault::AwsFaults;
use super::wire::{Refusal, seconds};
use super::{Caller, World, strings};

type Answer = Result<Option<Value>, Refusal>;

impl World {
    pub(super) fn scaling(&mut self, caller: &Caller, operation: &str, input: &Value, faults: &AwsFaults) -> Answer {
        let mine = self.clusters.iter().filter(|c| c.account == caller.account && c.region == caller.region);
        let wanted = strings(input, "ResourceIds");
        let (mut targets, mut policies, mut activities) = (Vec::new(), Vec::new(), Vec::new());
        for c in mine {
            for s in c.services.values() {
                let Some([min, max]) = s.scaling else { continue };
                let resource = format!("service/{}/{}", c.name, s.name);
                if !wanted.is_empty() && !wanted.contains(&resource.as_str()) {
                    continue;
                }
                let common = json!({"ServiceNamespace": "ecs", "ResourceId": resource, "ScalableDimension": "ecs:service:DesiredCount"});
                let with = |more: Value| {
                    let mut out = common.clone();
                    if let (Some(out), Some(more)) = (out.as_object_mut(), more.as_object()) {
                        out.extend(more.clone());
                    }
                    out
                };
                targets.push(with(json!({"MinCapacity": min, "MaxCapacity": max, "CreationTime": seconds(s.created),
                    "RoleARN": format!("arn:aws:iam::{}:role/autoscaling", c.account),
                    "SuspendedState": {"DynamicScalingInSuspended": false, "DynamicScalingOutSuspended": false, "ScheduledScalingSuspended": false}})));
                policies.push(with(json!({"PolicyARN": format!("arn:aws:autoscaling:{}:{}:scalingPolicy:{}", c.region, c.account, s.name),
                    "PolicyName": format!("{}-cpu", s.name), "PolicyType": "TargetTrackingScaling", "CreationTime": seconds(s.created),
                    "Alarms": [],
                    "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 60.0,
                        "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}}})));
                activities.push(with(json!({"ActivityId": format!("{:016x}", crate::sim::model::hash(&resource)),
                    "Description": format!("Setting desired count to {}.", s.desired),
                    "Cause": format!("monitor alarm TargetTracking-{resource}-AlarmHigh in state ALARM triggered policy {}-cpu", s.name),
                    "StartTime": seconds(s.deployments.first().map_or(s.created, |d| d.created)), "StatusCode": "Successful",
                    "StatusMessage": format!("Successfully set desired count to {}.", s.desired)})));
            }
        }
        let (key, all) = match operation {
            "DescribeScalableTargets" => ("ScalableTargets", targets),
            "DescribeScalingPolicies" => ("ScalingPolicies", policies),
            "DescribeScalingActivities" => ("ScalingActivities", activities),
            "RegisterScalableTarget" => return self.register_target(caller, input).map(Some),
            _ => return Ok(None),
        };
        let most = if operation == "DescribeScalingPolicies" { 10 } else { 50 };
        let size = input["MaxResults"].as_u64().unwrap_or(most).clamp(1, most) as usize;
        let (page, next) = self.page(&all, input["NextToken"].as_str(), size, faults.circle)?;
        let mut out = json!({key: page});
        if let Some(next) = next {
            out["NextToken"] = next.into();
        }
        Ok(Some(out))
    }

    fn register_target(&mut self, caller: &Caller, input: &Value) -> Result<Value, Refusal> {
        let resource = input["ResourceId"].as_str().unwrap_or_default();
        let mut parts = resource.split('/').skip(1);
        let (cluster, service) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let s = self
            .clusters
            .iter_mut()
            .find(|c| c.name == cluster && c.account == caller.account && c.region == caller.region)
            .and_then(|c| c.services.get_mut(service))
            .ok_or_else(|| Refusal::new("ValidationException", "ECS service doesn't exist: ".to_owned() + resource))?;
        let [min, max] = s.scaling.unwrap_or([1, s.desired.max(1)]);
        let bound = |key: &str, old: u32| input[key].as_u64().map_or(old, |n| n as u32);
        let new = [bound("MinCapacity", min), bound("MaxCapacity", max)];
        if new[0] > new[1] {
            return Err(Refusal::new("ValidationException", "Maximum capacity cannot be less than minimum capacity"));
        }
        s.scaling = Some(new);
        s.desired = s.desired.clamp(new[0], new[1]);
        Ok(json!({}))
    }

    pub(super) fn quotas(&self, caller: &Caller, operation: &str, input: &Value) -> Answer {
        if operation != "GetServiceQuota" {
            return Ok(None);
        }
        let code = input["QuotaCode"].as_str().unwrap_or_default();
        let own = |c: &&super::model::Cluster| c.account == caller.account && c.region == caller.region;
        let vcpus = self.clusters.iter().filter(own).find_map(|c| c.vcpus).unwrap_or(64);
        let (name, value) = match code {
            "L-3032A538" => ("Fargate On-Demand vCPU resource count", f64::from(vcpus)),
            "L-36FBB829" => ("Fargate Spot vCPU resource count", f64::from(vcpus)),
            _ => {
                return Err(Refusal::new(
                    "NoSuchResourceException",
                    "The request failed because the specified resource does not exist.",
                ));
            }
        };
        Ok(Some(json!({"Quota": {"ServiceCode": "fargate", "ServiceName": "AWS Fargate", "QuotaCode": code,
            "QuotaName": name, "Value": value, "Unit": "None", "Adjustable": true, "GlobalQuota": false}})))
    }
}
