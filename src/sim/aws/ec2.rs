//! What EC2 says of machines: their states, their spot requests, what is scheduled for them.

use serde_json::{Value, json};

use super::Caller;
use super::model::Ms;
use super::network::numbered;
use super::wire::Refusal;
use crate::sim::cloud::event::iso_ms;
use crate::sim::cloud::{Cloud, Machine};

/// The filters of a request: name, and values of which one must hold.
fn filters(input: &Value) -> Vec<(String, Vec<&str>)> {
    (1..=200)
        .map_while(|n| {
            let name = input.get(format!("Filter.{n}.Name")).and_then(Value::as_str)?;
            Some((name.to_owned(), numbered(input, &format!("Filter.{n}.Value"))))
        })
        .collect()
}

fn code(state: &str) -> u32 {
    match state {
        "pending" => 0,
        "running" => 16,
        "shutting-down" => 32,
        "terminated" => 48,
        "stopping" => 64,
        _ => 80,
    }
}

fn request_id(m: &Machine) -> String {
    format!("sir-{}", m.id.get(4..12).unwrap_or(&m.id))
}

/// The state of a spot request, from its status.
fn request_state(m: &Machine) -> &'static str {
    match m.request.0 {
        "instance-terminated-no-capacity" => "closed",
        "instance-stopped-no-capacity" => "disabled",
        _ => "active",
    }
}

/// What a filter looks at; `None` for one that is not known.
fn field(m: &Machine, name: &str) -> Option<String> {
    Some(match name {
        "instance-id" => m.id.clone(),
        "instance-state-name" => m.state.to_owned(),
        "instance-state-code" => code(m.state).to_string(),
        "instance-type" | "launch.instance-type" => m.kind.clone(),
        "availability-zone" | "launched-availability-zone" => m.zone.clone(),
        "instance-lifecycle" => if m.spot { "spot" } else { "" }.to_owned(),
        "spot-instance-request-id" => request_id(m),
        "state" => request_state(m).to_owned(),
        "status-code" => m.request.0.to_owned(),
        "state-reason-code" => m.reason.unwrap_or_default().to_owned(),
        "event.code" => m.maintenance.first().map_or("", |e| e.code).to_owned(),
        _ => return None,
    })
}

/// The answer to a read of instances; `None` for any other operation.
pub fn machines(
    cloud: &Cloud,
    caller: &Caller,
    operation: &str,
    input: &Value,
    now: Ms,
) -> Option<Result<Value, Refusal>> {
    if !matches!(operation, "DescribeInstances" | "DescribeInstanceStatus" | "DescribeSpotInstanceRequests") {
        return None;
    }
    let filters = filters(input);
    let mut found = cloud.machines(&caller.account, &caller.region, now);
    for (name, values) in &filters {
        if found.iter().any(|m| field(m, name).is_none()) {
            return Some(Err(Refusal::new("InvalidParameterValue", format!("The filter '{name}' is invalid"))));
        }
        found.retain(|m| field(m, name).is_some_and(|v| values.contains(&v.as_str())));
    }
    Some(match operation {
        "DescribeInstances" => instances(found, &numbered(input, "InstanceId")),
        "DescribeInstanceStatus" => Ok(statuses(&found, input)),
        _ => Ok(requests(&found, &numbered(input, "SpotInstanceRequestId"))),
    })
}

fn instances(mut found: Vec<Machine>, wanted: &[&str]) -> Result<Value, Refusal> {
    if !wanted.is_empty() {
        if let Some(missing) = wanted.iter().find(|w| !found.iter().any(|m| m.id == **w)) {
            let m = format!("The instance ID '{missing}' does not exist");
            return Err(Refusal::new("InvalidInstanceID.NotFound", m));
        }
        found.retain(|m| wanted.contains(&m.id.as_str()));
    }
    let one = |m: &Machine| {
        let mut item = json!({"instanceId": m.id, "instanceType": m.kind, "launchTime": iso_ms(m.launched),
            "instanceState": {"code": code(m.state), "name": m.state}, "placement": {"availabilityZone": m.zone}});
        if m.spot {
            item["instanceLifecycle"] = "spot".into();
            item["spotInstanceRequestId"] = request_id(m).into();
        }
        if let Some(reason) = m.reason {
            item["stateReason"] = json!({"code": reason, "message": format!("{reason}: Spot instance termination")});
            let at = crate::sim::cloud::stamp(m.state_at).format("%Y-%m-%d %H:%M:%S GMT");
            item["reason"] = format!("{reason} ({at})").into();
        }
        json!({"reservationId": format!("r-{}", m.id.get(2..).unwrap_or_default()), "ownerId": m.account, "instancesSet": [item]})
    };
    Ok(json!({"reservationSet": found.iter().map(one).collect::<Vec<_>>()}))
}

fn statuses(found: &[Machine], input: &Value) -> Value {
    let wanted = numbered(input, "InstanceId");
    let all = input["IncludeAllInstances"] == "true";
    let one = |m: &Machine| {
        let events: Vec<Value> = m
            .maintenance
            .iter()
            .map(|e| {
                let done = if e.over { "[Completed] " } else { "" };
                json!({"instanceEventId": e.id, "code": e.code, "notBefore": iso_ms(e.from), "notAfter": iso_ms(e.until),
                    "description": format!("{done}The instance is scheduled for {}", e.code.replace('-', " "))})
            })
            .collect();
        let health = json!({"status": if m.state == "running" { "ok" } else { "not-applicable" },
            "details": [{"name": "reachability", "status": "passed"}]});
        json!({"instanceId": m.id, "availabilityZone": m.zone, "eventsSet": events,
            "instanceState": {"code": code(m.state), "name": m.state}, "systemStatus": health, "instanceStatus": health})
    };
    let shown = found
        .iter()
        .filter(|m| all || m.state == "running")
        .filter(|m| wanted.is_empty() || wanted.contains(&m.id.as_str()));
    json!({"instanceStatusSet": shown.map(one).collect::<Vec<_>>()})
}

fn requests(found: &[Machine], wanted: &[&str]) -> Value {
    let one = |m: &Machine| {
        let (code, message, at) = m.request;
        json!({"spotInstanceRequestId": request_id(m), "state": request_state(m), "instanceId": m.id,
            "type": "one-time", "createTime": iso_ms(m.launched - 4_000), "launchedAvailabilityZone": m.zone,
            "launchSpecification": {"instanceType": m.kind},
            "status": {"code": code, "message": message, "updateTime": iso_ms(at)}})
    };
    let spot = found.iter().filter(|m| m.spot && (wanted.is_empty() || wanted.contains(&request_id(m).as_str())));
    json!({"spotInstanceRequestSet": spot.map(one).collect::<Vec<_>>()})
}
