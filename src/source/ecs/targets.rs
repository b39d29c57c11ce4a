//! Health of the load balancer's targets behind the services that are on screen.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::{Link, lock};
use crate::domain::{Kind, ObjectId, TargetHealth, Text};
use crate::source::SourceError;
use crate::source::supervise::{Jitter, Supervisor};
use crate::store::observation::{Body, Rows};

/// Elastic Load Balancing's API version.
pub(super) const ELB: &str = "2015-12-01";
/// More than fit on a screen are not asked for in one round.
const MOST: usize = 60;

/// Reads until it is stopped.
pub async fn run(link: Arc<Link>, mut supervisor: Supervisor, mut shown: watch::Receiver<Vec<ObjectId>>) {
    let mut jitter = Jitter::default();
    let mut begun = false;
    loop {
        let wanted = groups(&link, &shown.borrow_and_update());
        if wanted.is_empty() {
            // Nobody looks at a service with targets: nothing is asked. What is
            // shown, and what is known of services, both may change that.
            let pause = supervisor.pause(link.interval(1, &mut jitter));
            tokio::select! {
                () = pause => {}
                changed = shown.changed() => if changed.is_err() { return },
            }
            continue;
        }
        if !begun {
            begun = true;
            supervisor.loading().await;
        }
        match read(&link, &wanted).await {
            Ok(rows) => {
                supervisor.emit(Body::Upsert(Rows::Targets(rows))).await;
                supervisor.synced().await;
                supervisor.pause(link.interval(3, &mut jitter)).await;
            }
            Err(error) => supervisor.failed(&error).await,
        }
    }
}

/// The target groups of the services on screen.
fn groups(link: &Link, shown: &[ObjectId]) -> Vec<(ObjectId, Vec<Text>)> {
    let known = lock(&link.target_groups);
    shown
        .iter()
        .filter(|id| id.cluster == link.spec.id && id.kind == Kind::EcsService)
        .filter_map(|id| Some((id.clone(), known.get(&id.name).filter(|g| !g.is_empty())?.clone())))
        .take(MOST)
        .collect()
}

async fn read(link: &Link, wanted: &[(ObjectId, Vec<Text>)]) -> Result<Vec<(ObjectId, TargetHealth)>, SourceError> {
    let mut rows = Vec::with_capacity(wanted.len());
    for (id, groups) in wanted {
        let mut health = TargetHealth::default();
        let mut reasons: BTreeMap<String, u32> = BTreeMap::new();
        for group in groups {
            let parameters = [("TargetGroupArn".to_owned(), group.to_string())];
            let xml = link.account.query("elasticloadbalancing", ELB, "DescribeTargetHealth", &parameters).await?;
            xml.each("TargetHealthDescriptions", "member", |get| match get("TargetHealth/State").as_str() {
                "healthy" => health.healthy += 1,
                "unhealthy" => {
                    health.unhealthy += 1;
                    *reasons.entry(get("TargetHealth/Reason")).or_default() += 1;
                }
                "draining" => health.draining += 1,
                _ => health.other += 1,
            });
        }
        let reasons: Vec<String> = reasons.into_keys().filter(|r| !r.is_empty()).collect();
        health.reasons = Text::new(&reasons.join(", "));
        rows.push((id.clone(), health));
    }
    Ok(rows)
}
