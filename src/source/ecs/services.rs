//! Services and their events, round after round.

use std::sync::Arc;

use chrono::TimeDelta;

use super::limits::Surge;
use super::placements::Placements;
use super::tasks::Failures;
use super::{Link, Rounds, lock};
use crate::domain::{CapacityType, Event, Health, Text, Timestamp, Workload};
use crate::source::supervise::{Jitter, Supervisor};
use crate::store::observation::{Body, Rows};

/// Events that are older are history, not news.
const EVENTS_FOR: TimeDelta = TimeDelta::hours(3);
/// So many failures within ten minutes, of tasks of one definition, make a service unstable,
const LOOP: u32 = 3;
/// until this long after the last.
const QUIET: TimeDelta = TimeDelta::minutes(3);
/// ECS keeps a hundred for each service, most of them "steady state".
const EVENTS_EACH: usize = 20;

/// Reads until it is stopped.
pub async fn run(link: Arc<Link>, mut supervisor: Supervisor, mut events: Supervisor) {
    supervisor.loading().await;
    events.loading().await;
    let (mut rounds, mut event_rounds) = (Rounds::<Workload>::default(), Rounds::<Event>::default());
    let (mut jitter, mut placements) = (Jitter::default(), Placements::default());
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
                {
                    let (failures, now) = (lock(&link.failures), link.account.now());
                    for w in &mut workloads {
                        judge(w, &failures, now);
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
                let told = placements.news(&found, link.account.now(), link.account.clock_offset());
                if !told.is_empty() {
                    events.emit(Body::Upsert(Rows::Told(told))).await;
                }
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

/// What a service says of itself is half of it. Tasks that come up and die leave it steady
/// at each look; and of one that is short its events may say no more than that it tries.
fn judge(w: &mut Workload, failures: &Failures, now: Timestamp) {
    let current = failures.get(&(w.id.name.clone(), w.revision.clone()));
    match w.health {
        Health::Ok => {
            let Some(failure) = current.filter(|f| f.count >= LOOP && now - f.last < QUIET) else { return };
            w.status = Text::new("Unstable");
            w.health = Health::Warning;
            w.message = Text::new(&format!("{} tasks failed within ten minutes: {}", failure.count, failure.why));
        }
        health if health.is_problem() && w.message.is_empty() => {
            let of_service = failures.iter().filter(|((service, _), _)| *service == w.id.name).map(|(_, f)| f);
            if let Some(newest) = current.or_else(|| of_service.max_by_key(|f| f.last)) {
                w.message = newest.why.clone();
            }
        }
        _ => {}
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

#[cfg(test)]
mod tests {
    use super::super::project::Projector;
    use super::super::tasks::failures;
    use super::*;
    use crate::domain::{ClusterId, Task};
    use aws_sdk_ecs::types as ecs;
    use chrono::{TimeZone, Utc};

    fn now() -> Timestamp {
        Utc.with_ymd_and_hms(2026, 11, 20, 3, 14, 0).unwrap()
    }

    fn service(running: i32) -> Workload {
        let service = ecs::Service::builder().service_name("web").status("ACTIVE").task_definition("d/web:8");
        Projector::new(ClusterId::new("shop"))
            .service(&service.desired_count(2).running_count(running).build())
            .unwrap()
    }

    /// One that died of itself so many seconds ago.
    fn died(definition: &str, seconds: i64) -> Task {
        let at = aws_sdk_ecs::primitives::DateTime::from_secs(now().timestamp() - seconds);
        let container = ecs::Container::builder().name("app").last_status("STOPPED").exit_code(1).build();
        let task = ecs::Task::builder()
            .task_arn(format!("arn:aws:ecs:eu-west-1:1:task/shop/{definition}{seconds}"))
            .task_definition_arn(format!("d/{definition}"))
            .group("service:web")
            .last_status("STOPPED")
            .stop_code(ecs::TaskStopCode::EssentialContainerExited)
            .stopped_reason(format!("died {seconds} s ago"))
            .stopped_at(at)
            .containers(container);
        Projector::new(ClusterId::new("shop")).task(&task.build(), |_| None, now()).unwrap()
    }

    fn judged(running: i32, tasks: &[Task]) -> (String, Health, String) {
        let mut w = service(running);
        judge(&mut w, &failures(tasks.iter()), now());
        (w.status.to_string(), w.health, w.message.to_string())
    }

    #[test]
    fn a_service_whose_tasks_die_is_not_steady() {
        let dying = [died("web:8", 15), died("web:8", 30), died("web:8", 45)];
        let (status, health, why) = judged(2, &dying);
        assert_eq!((status.as_str(), health), ("Unstable", Health::Warning));
        assert!(why.starts_with("3 tasks failed within ten minutes: died 15 s ago"), "{why}");
        assert_eq!(judged(2, &dying[..2]).0, "Steady", "one that dies is replaced");
        let before = [died("web:7", 15), died("web:7", 30), died("web:7", 45)];
        assert_eq!(judged(2, &before).0, "Steady", "it was rolled back");
        let over = [died("web:8", 200), died("web:8", 230), died("web:8", 260)];
        assert_eq!(judged(2, &over).0, "Steady");
    }

    #[test]
    fn one_that_is_short_says_what_its_last_task_died_of() {
        let (status, _, why) = judged(0, &[died("web:8", 45), died("web:8", 15), died("web:7", 5)]);
        assert_eq!(status, "Degraded");
        assert!(why.starts_with("died 15 s ago"), "{why}");
    }
}
