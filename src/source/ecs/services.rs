//! Services and their events, round after round.

use std::sync::Arc;

use chrono::TimeDelta;

use super::limits::Surge;
use super::{Link, Rounds, lock};
use crate::domain::{CapacityType, Event, Workload};
use crate::source::supervise::{Jitter, Supervisor};
use crate::store::observation::{Body, Rows};

/// Events that are older are history, not news.
const EVENTS_FOR: TimeDelta = TimeDelta::hours(3);
/// ECS keeps a hundred for each service, most of them "steady state".
const EVENTS_EACH: usize = 20;

/// Reads until it is stopped.
pub async fn run(link: Arc<Link>, mut supervisor: Supervisor, mut events: Supervisor) {
    supervisor.loading().await;
    events.loading().await;
    let (mut rounds, mut event_rounds) = (Rounds::<Workload>::default(), Rounds::<Event>::default());
    let mut jitter = Jitter::default();
    loop {
        match link.services().await {
            Ok(found) => {
                let oldest = link.account.now() - EVENTS_FOR;
                let (mut workloads, mut news) = (Vec::with_capacity(found.len()), Vec::new());
                link.project(|p| {
                    for service in &found {
                        workloads.extend(p.service(service));
                        let recent = p.events(service).into_iter().filter(|e| e.last.is_none_or(|at| at >= oldest));
                        news.extend(recent.take(EVENTS_EACH));
                    }
                });
                {
                    let (sizes, mut desired) = (lock(&link.sizes), lock(&link.desired));
                    desired.clear();
                    for w in &mut workloads {
                        desired.insert(w.id.name.clone(), w.replicas.desired);
                        if let (Some(ecs), Some((size, _))) = (&mut w.ecs, sizes.get(&w.id.name)) {
                            ecs.task_size = *size;
                        }
                    }
                }
                *lock(&link.target_groups) = workloads
                    .iter()
                    .filter_map(|w| Some((w.id.name.clone(), w.ecs.as_ref()?.target_groups.clone())))
                    .collect();
                let rolling = workloads.iter().filter(|w| w.ecs.as_ref().is_some_and(|e| e.is_rolling()));
                *lock(&link.rolling) = rolling.map(|w| w.id.name.clone()).collect();
                *lock(&link.surges) = workloads.iter().filter_map(surge).collect();
                rounds.send(&mut supervisor, workloads, |w| &w.id, Rows::Workloads).await;
                event_rounds.send(&mut events, news, |e| &e.id, Rows::Events).await;
                link.services_known.send_replace(true);
                let spend = link.account.limits.spend(link.account.now());
                supervisor.emit(Body::Spend(spend)).await;
                supervisor.pause(link.interval(1, &mut jitter)).await;
            }
            Err(error) => {
                link.services_known.send_replace(true);
                // The events come with the services: they are as old.
                events.mark_failed(&error).await;
                supervisor.failed(&error).await;
            }
        }
    }
}

/// What a rollout takes on top: as many tasks as may run at once beyond the desired count.
fn surge(w: &Workload) -> Option<Surge> {
    let ecs = w.ecs.as_ref()?;
    let most = u64::from(w.replicas.desired) * u64::from(ecs.bounds.1) / 100;
    let extra = u32::try_from(most).unwrap_or(u32::MAX).saturating_sub(w.replicas.desired);
    Some(Surge {
        service: w.id.name.clone(),
        tasks: extra,
        vcpu: f64::from(u32::try_from(ecs.task_size.cpu.0).unwrap_or(u32::MAX)) / 1000.0,
        subnets: ecs.subnets.clone(),
        fargate: ecs.placement.contains("fargate"),
        spot: ecs.capacity_type == CapacityType::Spot,
    })
}
