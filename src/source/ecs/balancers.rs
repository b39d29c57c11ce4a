//! Which application load balancer is in front of a target group: CloudWatch wants
//! to know both.

use std::collections::HashMap;

use super::{Link, alarms::target_of, lock, targets::ELB};
use crate::domain::{Kind, ObjectId, Text};
use crate::source::SourceError;
use crate::source::supervise::Supervisor;
use crate::store::observation::Body;

/// Target groups are looked up so many at a time.
const BATCH: usize = 20;

/// A target group behind an application load balancer, by the ends of their ARNs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// `targetgroup/web/0123456789abcdef`.
    pub target: String,
    /// `app/shop/0123456789abcdef`.
    pub balancer: String,
}

/// The target groups of each of these services that CloudWatch has figures of. What
/// cannot be looked up is said, and does without.
pub(super) async fn of(link: &Link, due: &[ObjectId], supervisor: &Supervisor) -> HashMap<ObjectId, Vec<Group>> {
    let groups: Vec<(ObjectId, Vec<Text>)> = {
        let known = lock(&link.target_groups);
        let services = due.iter().filter(|id| id.kind == Kind::EcsService);
        services.filter_map(|id| Some((id.clone(), known.get(&id.name).filter(|g| !g.is_empty())?.clone()))).collect()
    };
    let mut missing: Vec<Text> = {
        let known = lock(&link.balancers);
        groups.iter().flat_map(|(_, arns)| arns).filter(|arn| !known.contains_key(*arn)).cloned().collect()
    };
    missing.sort();
    missing.dedup();
    for batch in missing.chunks(BATCH) {
        if let Err(error) = look_up(link, batch).await {
            supervisor.emit(Body::Note(error.text())).await;
            break;
        }
    }
    let known = lock(&link.balancers);
    let found = |arn: &Text| {
        let balancer = known.get(arn)?.clone()?;
        Some(Group { target: target_of(arn).to_owned(), balancer })
    };
    let all = groups.into_iter().map(|(id, arns)| (id, arns.iter().filter_map(found).collect::<Vec<Group>>()));
    all.filter(|(_, groups)| !groups.is_empty()).collect()
}

async fn look_up(link: &Link, arns: &[Text]) -> Result<(), SourceError> {
    match ask(link, arns).await {
        // One that is gone spoils the answer for all: each is asked for by itself.
        Err(SourceError::NotFound { .. }) if arns.len() > 1 => {
            for arn in arns {
                match ask(link, std::slice::from_ref(arn)).await {
                    Err(SourceError::NotFound { .. }) => drop(lock(&link.balancers).insert(arn.clone(), None)),
                    other => other?,
                }
            }
            Ok(())
        }
        Err(SourceError::NotFound { .. }) => {
            lock(&link.balancers).extend(arns.iter().map(|arn| (arn.clone(), None)));
            Ok(())
        }
        other => other,
    }
}

async fn ask(link: &Link, arns: &[Text]) -> Result<(), SourceError> {
    let parameters: Vec<(String, String)> =
        arns.iter().zip(1..).map(|(arn, n)| (format!("TargetGroupArns.member.{n}"), arn.to_string())).collect();
    let xml = link.account.query("elasticloadbalancing", ELB, "DescribeTargetGroups", &parameters).await?;
    let mut known = lock(&link.balancers);
    // A group that is not in the answer has none, either.
    known.extend(arns.iter().map(|arn| (arn.clone(), None)));
    xml.each("TargetGroups", "member", |get| {
        let balancer = get("LoadBalancerArns/member");
        let end = balancer.split_once(":loadbalancer/").map(|(_, end)| end);
        // Network and gateway load balancers count no requests.
        let application = end.filter(|end| end.starts_with("app/")).map(str::to_owned);
        known.insert(Text::new(&get("TargetGroupArn")), application);
    });
    Ok(())
}
