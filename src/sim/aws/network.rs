//! The EC2 and load balancing reads: subnets, target groups; instances are in `ec2`.

use serde_json::{Value, json};

use super::model::{Cluster, Ms, Phase};
use super::wire::Refusal;
use super::{Caller, World};

type Answer = Result<Option<Value>, Refusal>;

/// The values of `Name.1`, `Name.2`, ... of a form.
pub(super) fn numbered<'v>(input: &'v Value, name: &str) -> Vec<&'v str> {
    (1..=1000).map_while(|n| input.get(format!("{name}.{n}")).and_then(Value::as_str)).collect()
}

impl World {
    pub(super) fn network(&mut self, caller: &Caller, operation: &str, input: &Value, now: Ms) -> Answer {
        if let Some(answer) = super::ec2::machines(&self.cloud, caller, operation, input, now) {
            return answer.map(Some);
        }
        let mine: Vec<&Cluster> =
            self.clusters.iter().filter(|c| c.account == caller.account && c.region == caller.region).collect();
        let answer = match operation {
            "DescribeSubnets" => subnets(&mine, input)?,
            "DescribeSpotPriceHistory" => json!({"spotPriceHistorySet": [], "nextToken": ""}),
            "DescribeTargetGroups" => target_groups(&mine, input),
            "DescribeTargetHealth" => target_health(&mine, input)?,
            "DescribeLoadBalancers" => json!({"LoadBalancers": []}),
            _ => return Ok(None),
        };
        Ok(Some(answer))
    }
}

fn subnets(mine: &[&Cluster], input: &Value) -> Result<Value, Refusal> {
    let wanted = numbered(input, "SubnetId");
    let mut out = Vec::new();
    let Some(first) = mine.first() else { return Ok(json!({"subnetSet": []})) };
    for zone in 0..3 {
        let id = first.subnet(zone);
        if !wanted.is_empty() && !wanted.contains(&id.as_str()) {
            continue;
        }
        let others = mine.iter().skip(1).flat_map(|c| c.tasks.values());
        let used = others.filter(|t| t.zone == zone && t.has_address()).count();
        let free = first.free_addresses(zone).saturating_sub(used);
        out.push(json!({"subnetId": id, "state": "available", "vpcId": "vpc-0a1b2c3d",
            "cidrBlock": format!("10.{}.0.0/{}", 20 + zone, first.prefix), "availableIpAddressCount": free,
            "availabilityZone": first.zone_name(zone)}));
    }
    if let Some(missing) = wanted.iter().find(|w| !out.iter().any(|s| s["subnetId"] == **w)) {
        return Err(Refusal::new("InvalidSubnetID.NotFound", format!("The subnet ID '{missing}' does not exist")));
    }
    Ok(json!({"subnetSet": out}))
}

fn target_groups(mine: &[&Cluster], input: &Value) -> Value {
    let wanted = numbered(input, "TargetGroupArns.member");
    let found: Vec<Value> = mine
        .iter()
        .flat_map(|c| c.services.values().filter(|s| s.balanced).map(move |s| (c, s)))
        .map(|(c, s)| (c.target_group(&s.name), c, s))
        .filter(|(arn, ..)| wanted.is_empty() || wanted.contains(&arn.as_str()))
        .map(|(arn, c, s)| {
            let balancer = format!(
                "arn:aws:elasticloadbalancing:{}:{}:loadbalancer/app/{}/50dc6c495c0c9188",
                c.region, c.account, c.name
            );
            json!({"TargetGroupArn": arn, "TargetGroupName": s.name, "Protocol": "HTTP", "Port": 8080,
                "TargetType": "ip", "HealthCheckPath": "/healthz", "LoadBalancerArns": [balancer],
                "Dimension": super::cloudwatch::dimension_of(&arn)})
        })
        .collect();
    json!({"TargetGroups": found})
}

fn target_health(mine: &[&Cluster], input: &Value) -> Result<Value, Refusal> {
    let arn = input["TargetGroupArn"].as_str().unwrap_or_default();
    let found = mine
        .iter()
        .find_map(|c| c.services.values().find(|s| s.balanced && c.target_group(&s.name) == arn).map(|s| (c, s)))
        .ok_or_else(|| Refusal::new("TargetGroupNotFound", "One or more target groups not found"))?;
    let (c, s) = found;
    let targets: Vec<Value> = c
        .tasks
        .values()
        .filter(|t| t.service.as_deref() == Some(&s.name))
        .filter_map(|t| {
            let (state, reason) = match (t.phase, t.outcome) {
                (Phase::Activating, _) => ("initial", "Elb.RegistrationInProgress"),
                (Phase::Running, super::schema::Outcome::Unhealthy) => ("unhealthy", "Target.FailedHealthChecks"),
                (Phase::Running, _) => ("healthy", ""),
                (Phase::Deactivating, _) => ("draining", "Target.DeregistrationInProgress"),
                _ => return None,
            };
            let mut health = json!({"State": state});
            if !reason.is_empty() {
                health["Reason"] = reason.into();
            }
            Some(json!({"Target": {"Id": Cluster::ip(t), "Port": 8080}, "TargetHealth": health}))
        })
        .collect();
    Ok(json!({"TargetHealthDescriptions": targets}))
}
