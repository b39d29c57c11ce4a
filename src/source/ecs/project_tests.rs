use super::*;
use aws_smithy_types::DateTime;
use chrono::{TimeZone, Utc};

fn now() -> Timestamp {
    Utc.with_ymd_and_hms(2026, 11, 20, 3, 14, 0).unwrap()
}

fn ago(secs: i64) -> DateTime {
    DateTime::from_secs(now().timestamp() - secs)
}

fn row(t: &ecs::Task) -> Task {
    Projector::new(ClusterId::new("shop")).task(t, |_| Some(Text::new("i-0abc")), now()).unwrap()
}

fn running() -> ecs::builders::TaskBuilder {
    ecs::Task::builder()
        .task_arn("arn:aws:ecs:eu-west-1:123456789012:task/shop/0123456789abcdef")
        .task_definition_arn("arn:aws:ecs:eu-west-1:123456789012:task-definition/web:12")
        .group("service:web")
        .last_status("RUNNING")
        .desired_status("RUNNING")
        .launch_type(ecs::LaunchType::Fargate)
        .capacity_provider_name("FARGATE_SPOT")
        .cpu("512")
        .memory("1024")
        .containers(ecs::Container::builder().name("app").image("r/web:1").last_status("RUNNING").build())
}

fn stopped(code: &str, reason: &str, exit: Option<i32>, secs_ago: i64) -> Task {
    let container = ecs::Container::builder().name("app").last_status("STOPPED").set_exit_code(exit).build();
    row(&running()
        .set_containers(Some(vec![container]))
        .last_status("STOPPED")
        .desired_status("STOPPED")
        .stop_code(ecs::TaskStopCode::from(code))
        .stopped_reason(reason)
        .stopped_at(ago(secs_ago))
        .build())
}

#[test]
fn a_running_task() {
    let t = row(&running().build());
    assert_eq!((t.status.as_str(), t.health, t.ready_text()), ("Running", Health::Ok, "1/1".to_owned()));
    assert_eq!((t.id.name.as_str(), t.owner.as_str(), t.owner_kind), ("web/0123456789abcdef", "web", Kind::EcsService));
    assert_eq!((t.requests.cpu, t.requests.memory), (Millicores(500), Bytes(1 << 30)));
    let e = t.ecs.as_ref().unwrap();
    assert_eq!(
        (e.placement().as_str(), e.capacity_type, e.definition.as_str()),
        ("fargate-spot", CapacityType::Spot, "web:12")
    );
    assert!(t.is_active());
    assert_eq!(t.restarts_text(now()), "-");
    assert_eq!(t.short_name(), "01234567");
}

#[test]
fn every_stop_code_says_why() {
    let t = stopped("EssentialContainerExited", "Essential container in task exited", Some(137), 60);
    assert_eq!((t.status.as_str(), t.health), ("EssentialContainerExited", Health::Warning));
    assert_eq!(t.message.as_str(), "Essential container in task exited; app exited with 137");
    assert!(!t.is_active());
    let t = stopped("EssentialContainerExited", "Essential container in task exited", Some(0), 60);
    assert_eq!(t.health, Health::Done);
    let t = stopped("TaskFailedToStart", "CannotPullContainerError: not found", None, 60);
    assert_eq!((t.status.as_str(), t.health), ("TaskFailedToStart", Health::Warning));
    let t = stopped("TaskFailedToStart", "CannotPullContainerError: not found", None, 660);
    assert_eq!(t.health, Health::Done, "evidence, no longer trouble");
    for (code, reason, health) in [
        ("UserInitiated", "Task stopped by user", Health::Done),
        ("ServiceSchedulerInitiated", "Scaling activity initiated by (deployment ecs-svc/1)", Health::Done),
        ("ServiceSchedulerInitiated", "Task failed ELB health checks in (target-group x)", Health::Warning),
        ("SpotInterruption", "Your Spot Task was interrupted.", Health::Done),
        ("TerminationNotice", "", Health::Done),
        ("InfrastructureHealth", "", Health::Warning),
    ] {
        let t = stopped(code, reason, Some(0), 60);
        assert_eq!((t.status.as_str(), t.health), (code, health));
    }
}

#[test]
fn a_task_that_spot_takes_is_a_warning_before_it_is_gone() {
    let t = row(&running().desired_status("STOPPED").stop_code(ecs::TaskStopCode::SpotInterruption).build());
    assert_eq!((t.status.as_str(), t.health), ("SpotInterruption", Health::Warning));
    assert!(t.is_active());
    let t = row(&running().desired_status("STOPPED").last_status("DEACTIVATING").build());
    assert_eq!((t.status.as_str(), t.health), ("Deactivating", Health::Progressing));
}

#[test]
fn sizes_in_both_spellings() {
    assert_eq!(cpu(Some("1024")), Millicores(1000));
    assert_eq!(cpu(Some(".5 vCPU")), Millicores(500));
    assert_eq!(cpu(Some("garbage")), Millicores(0));
    assert_eq!(memory(Some("2 GB")), Bytes(2 << 30));
    assert_eq!(memory(Some("512")), Bytes(512 << 20));
}

fn service() -> ecs::builders::ServiceBuilder {
    ecs::Service::builder().service_name("web").status("ACTIVE").desired_count(4).running_count(4)
}

fn deployment(status: &str, state: ecs::DeploymentRolloutState, failed: i32) -> ecs::Deployment {
    ecs::Deployment::builder()
        .status(status)
        .rollout_state(state)
        .rollout_state_reason("ECS deployment circuit breaker: tasks failed to start.")
        .task_definition("arn:aws:ecs:eu-west-1:123456789012:task-definition/web:13")
        .failed_tasks(failed)
        .desired_count(4)
        .running_count(1)
        .build()
}

fn standing_of(s: ecs::builders::ServiceBuilder) -> (String, Health, String) {
    let w = Projector::new(ClusterId::new("shop")).service(&s.build()).unwrap();
    (w.status.to_string(), w.health, w.message.to_string())
}

#[test]
fn services_from_steady_to_failed() {
    use ecs::DeploymentRolloutState as R;
    assert_eq!(standing_of(service()).0, "Steady");
    let (status, health, _) = standing_of(service().deployments(deployment("PRIMARY", R::InProgress, 0)));
    assert_eq!((status.as_str(), health), ("Rolling out", Health::Progressing));
    let (status, health, why) = standing_of(service().deployments(deployment("PRIMARY", R::InProgress, 3)));
    assert_eq!((status.as_str(), health, why.as_str()), ("Rolling out", Health::Warning, "3 tasks failed to start"));
    let (status, health, why) = standing_of(service().deployments(deployment("PRIMARY", R::Failed, 3)));
    assert_eq!((status.as_str(), health), ("Rollout failed", Health::Warning));
    assert!(why.contains("circuit breaker"), "{why}");
    let (status, health, _) =
        standing_of(service().running_count(1).deployments(deployment("PRIMARY", R::Completed, 0)));
    assert_eq!((status.as_str(), health), ("Degraded", Health::Warning));
    let (_, health, _) = standing_of(service().running_count(0));
    assert_eq!(health, Health::Critical);
    assert_eq!(standing_of(service().desired_count(0).running_count(0)).0, "Scaled to zero");
}

#[test]
fn a_service_that_is_short_says_why() {
    let said = |messages: &[&str]| {
        let events =
            messages.iter().map(|m| ecs::ServiceEvent::builder().message(format!("(service web) {m}")).build());
        standing_of(service().running_count(1).set_events(Some(events.collect()))).2
    };
    let unable = "was unable to place a task because no container instance met all of its requirements.";
    assert_eq!(said(&["has started 1 tasks: (task a).", unable]), unable);
    // Neither that tasks are started, nor what was wrong before all was well, is a reason.
    assert_eq!(said(&["has started 1 tasks: (task a).", "has reached a steady state.", unable]), "");
}

#[test]
fn instances_drain_and_fall_silent() {
    let resource = |name: &str, n: i32| ecs::Resource::builder().name(name).r#type("INTEGER").integer_value(n).build();
    let instance = |status: &str, connected: bool| {
        let i = ecs::ContainerInstance::builder()
            .container_instance_arn("arn:aws:ecs:eu-west-1:123456789012:container-instance/shop/feed")
            .ec2_instance_id("i-0abc")
            .status(status)
            .agent_connected(connected)
            .registered_resources(resource("CPU", 4096))
            .registered_resources(resource("MEMORY", 15_000))
            .remaining_resources(resource("CPU", 1024))
            .attributes(ecs::Attribute::builder().name("ecs.instance-type").value("m6i.xlarge").build().unwrap())
            .build();
        Projector::new(ClusterId::new("shop")).instance(&i).unwrap()
    };
    let n = instance("ACTIVE", true);
    assert_eq!((n.id.name.as_str(), n.status.as_str(), n.health()), ("i-0abc", "Active", Health::Ok));
    assert_eq!((n.allocatable.cpu, n.ecs.as_ref().unwrap().remaining.cpu), (Millicores(4000), Millicores(1000)));
    assert_eq!(n.instance_type.as_str(), "m6i.xlarge");
    let n = instance("DRAINING", true);
    assert_eq!((n.status.as_str(), n.health(), n.unschedulable), ("Draining", Health::Progressing, true));
    let n = instance("ACTIVE", false);
    assert_eq!((n.status.as_str(), n.health()), ("Active,AgentDisconnected", Health::Critical));
}

#[test]
fn events_get_reasons() {
    let event =
        |id: &str, message: &str| ecs::ServiceEvent::builder().id(id).message(message).created_at(ago(5)).build();
    let s = service()
        .events(event("1", "(service web) has reached a steady state."))
        .events(event(
            "2",
            "(service web) was unable to place a task because no container instance met all of its requirements.",
        ))
        .events(event("3", "(service web) has stopped 1 running tasks: (task ab)."))
        .build();
    let events = Projector::new(ClusterId::new("shop")).events(&s);
    let reasons: Vec<_> = events.iter().map(|e| (e.reason.as_str(), e.level)).collect();
    assert_eq!(
        reasons,
        [
            ("SteadyState", EventLevel::Normal),
            ("PlacementFailed", EventLevel::Warning),
            ("Stopped", EventLevel::Normal)
        ]
    );
    assert_eq!(events[0].message.as_str(), "has reached a steady state.");
}
