//! Where a cluster's capacity comes from: the state of its capacity providers.

use aws_sdk_ecs::types as ecs;

use super::{Link, lock};
use crate::domain::{CapacityProvider, Text};
use crate::source::SourceError;
use crate::source::aws::Bucket;
use crate::source::supervise::Supervisor;
use crate::store::observation::Body;

/// Providers change by the week: they are read every so many rounds of instances.
const EVERY: u32 = 10;
/// `DescribeCapacityProviders` takes so many at once.
const HUNDRED: usize = 100;

/// Looks at them now and then.
#[derive(Debug, Default)]
pub(super) struct Watch {
    rounds: u32,
    names: Vec<String>,
}

impl Watch {
    /// Reads them if it is time, and tells what changed. Where that fails, it is noted:
    /// instances do not depend on it.
    pub async fn look(&mut self, link: &Link, cluster: &ecs::Cluster, supervisor: &Supervisor) {
        let due = self.rounds.is_multiple_of(EVERY) || self.names != cluster.capacity_providers();
        self.rounds = self.rounds.wrapping_add(1);
        if !due {
            return;
        }
        cluster.capacity_providers().clone_into(&mut self.names);
        match read(link, cluster).await {
            Ok(found) => {
                let changed = std::mem::replace(&mut *lock(&link.providers), found.clone()) != found;
                if let (true, Ok(clients)) = (changed, link.account.clients().await) {
                    supervisor.emit(Body::Cluster(link.introduction(&clients.region))).await;
                }
            }
            Err(error) => supervisor.emit(Body::Note(error.text())).await,
        }
    }
}

async fn read(link: &Link, cluster: &ecs::Cluster) -> Result<Vec<CapacityProvider>, SourceError> {
    let clients = link.account.clients().await?;
    let mut out = Vec::new();
    for batch in cluster.capacity_providers().chunks(HUNDRED) {
        let request = clients.ecs.describe_capacity_providers().set_capacity_providers(Some(batch.to_vec()));
        let answer = link.account.ask(Bucket::ProviderRead, "ecs:DescribeCapacityProviders", request.send()).await?;
        out.extend(answer.capacity_providers().iter().map(|p| row(p, cluster.default_capacity_provider_strategy())));
    }
    Ok(out)
}

fn row(p: &ecs::CapacityProvider, strategy: &[ecs::CapacityProviderStrategyItem]) -> CapacityProvider {
    let name = p.name().unwrap_or_default();
    let group = p.auto_scaling_group_provider();
    let kind = match (name, group) {
        ("FARGATE", _) => "fargate",
        ("FARGATE_SPOT", _) => "fargate-spot",
        (_, Some(_)) => "auto scaling group",
        _ if p.managed_instances_provider().is_some() => "managed instances",
        _ => "unknown kind",
    };
    let scaling = group.and_then(ecs::AutoScalingGroupProvider::managed_scaling);
    let scaling = scaling.filter(|s| s.status() == Some(&ecs::ManagedScalingStatus::Enabled));
    let count = |n: i32| u32::try_from(n).unwrap_or_default();
    let failed = p.update_status().is_some_and(|s| s.as_str().ends_with("_FAILED"));
    let why = p.update_status_reason().unwrap_or_else(|| p.update_status().map_or("", |s| s.as_str()));
    CapacityProvider {
        name: Text::new(name),
        kind: Text::new(kind),
        status: Text::new(p.status().map(ecs::CapacityProviderStatus::as_str).unwrap_or_default()),
        failed: Text::new(if failed { why } else { "" }),
        // A hundred, unless it says another.
        scaled_to: scaling.map(|s| s.target_capacity().map_or(100, count)),
        default: strategy.iter().find(|s| s.capacity_provider() == name).map(|s| (count(s.weight()), count(s.base()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_provider_is_and_does() {
        let strategy =
            [ecs::CapacityProviderStrategyItem::builder().capacity_provider("asg").weight(2).base(1).build().unwrap()];
        let scaling = ecs::ManagedScaling::builder().status(ecs::ManagedScalingStatus::Enabled).target_capacity(80);
        let group =
            ecs::AutoScalingGroupProvider::builder().auto_scaling_group_arn("arn").managed_scaling(scaling.build());
        let asg = ecs::CapacityProvider::builder()
            .name("asg")
            .status(ecs::CapacityProviderStatus::Active)
            .auto_scaling_group_provider(group.build().unwrap())
            .update_status(ecs::CapacityProviderUpdateStatus::UpdateFailed)
            .update_status_reason("no such group")
            .build();
        let row_of = row(&asg, &strategy);
        assert_eq!(
            (row_of.scaled_to, row_of.default, row_of.kind.as_str()),
            (Some(80), Some((2, 1)), "auto scaling group")
        );
        assert!(row_of.is_troubled() && row_of.text().ends_with("no such group"));
        let spot = ecs::CapacityProvider::builder().name("FARGATE_SPOT").status(ecs::CapacityProviderStatus::Active);
        assert_eq!(row(&spot.build(), &strategy).text(), "fargate-spot, active");
    }
}
