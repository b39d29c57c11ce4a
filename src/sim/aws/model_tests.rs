use super::*;

const START: Ms = 1_763_600_000_000;

fn cluster(text: &str) -> Cluster {
    let def: ClusterDef = toml::from_str(text).unwrap();
    def.check().unwrap();
    Cluster::new(&def, 7, START)
}

fn service(breaker: &str, outcome: &str) -> Cluster {
    cluster(&format!(
        "name = 'shop'\n[[services]]\nname = 'web'\ndesired = 4\nimage = 'r/web:1.4.2'\nbreaker = '{breaker}'\n\
         [[at]]\nt = '5s'\naction = 'deploy'\nservice = 'web'\noutcome = '{outcome}'\n"
    ))
}

fn running(c: &Cluster, definition: &str) -> usize {
    c.tasks.values().filter(|t| t.running() && t.wanted() && t.definition == definition).count()
}

fn primary(c: &Cluster) -> &Deployment {
    c.services["web"].deployments.iter().find(|d| d.primary).unwrap()
}

#[test]
fn a_rollout_replaces_every_task_and_never_has_too_few() {
    let mut c = service("off", "healthy");
    let before = primary(&c).definition.clone();
    for second in 1..=180 {
        c.advance(START + second * 1000);
        let all = c.tasks.values().filter(|t| t.running() && t.wanted()).count();
        assert!(all >= 4, "at {second} s only {all} run");
        assert!(c.tasks.values().filter(|t| t.wanted()).count() <= 8);
    }
    let d = primary(&c);
    assert_eq!(d.state, "COMPLETED");
    assert_ne!(d.definition, before);
    assert_eq!((running(&c, &d.definition), running(&c, &before)), (4, 0));
    assert_eq!(c.definitions[&d.definition].image, "r/web:1.4.3");
    let events: Vec<&str> = c.services["web"].events.iter().map(|e| e.message.as_str()).collect();
    assert_eq!(events[0], "(service web) has reached a steady state.");
    let stopped = c.tasks.values().find(|t| t.phase == Phase::Stopped).unwrap();
    assert_eq!(stopped.stop.as_ref().unwrap().code, "ServiceSchedulerInitiated");
}

#[test]
fn a_breaker_trips_and_rolls_back() {
    let mut c = service("rollback", "no-image");
    let before = primary(&c).definition.clone();
    c.advance(START + 240_000);
    let messages: Vec<String> = c.services["web"].events.iter().map(|e| e.message.clone()).collect();
    assert!(messages.iter().any(|m| m.contains("deployment failed: tasks failed to start")), "{messages:?}");
    assert!(messages.iter().any(|m| m.contains("rolling back to deployment")), "{messages:?}");
    assert_eq!((primary(&c).state, primary(&c).definition.as_str()), ("COMPLETED", before.as_str()));
    assert_eq!(running(&c, &before), 4, "those that ran never stopped");
    let failed = c.tasks.values().find(|t| t.stop.as_ref().is_some_and(|s| s.code == "TaskFailedToStart")).unwrap();
    assert!(failed.stop.as_ref().unwrap().reason.starts_with("CannotPullContainerError"));
}

#[test]
fn a_breaker_without_rollback_stays_failed() {
    let mut c = service("on", "no-image");
    c.advance(START + 240_000);
    assert_eq!(primary(&c).state, "FAILED");
    assert!(primary(&c).failed >= 3);
    let before = c.tasks.len();
    c.advance(START + 300_000);
    assert_eq!(c.tasks.len(), before, "a failed deployment starts nothing more");
}

#[test]
fn spot_gives_two_minutes_and_evidence_goes_after_an_hour() {
    let mut c = cluster(
        "name = 'shop'\n[[services]]\nname = 'web'\ndesired = 2\nimage = 'r/web:1'\nlaunch = 'fargate-spot'\n\
         stop_timeout = '2m'\nstops_after = '5m'\n\
         [[at]]\nt = '1s'\naction = 'interrupt'\nservice = 'web'\n",
    );
    c.advance(START + 60_000);
    let taken = c.tasks.values().find(|t| !t.wanted()).unwrap();
    let id = taken.id.clone();
    assert_eq!((taken.phase, taken.stop.as_ref().unwrap().code), (Phase::Running, "SpotInterruption"));
    assert_eq!(c.tasks.values().filter(|t| t.wanted()).count(), 2, "its replacement is on its way already");
    c.advance(START + 150_000);
    assert_eq!(c.tasks[&id].phase, Phase::Stopped);
    assert_eq!(c.tasks[&id].stop.as_ref().unwrap().exit, Some(137), "it did not end by itself");
    for minutes in 3..70 {
        c.advance(START + minutes * 60_000);
    }
    assert!(!c.tasks.contains_key(&id));
}

#[test]
fn a_draining_instance_empties_and_what_has_no_room_says_so() {
    let mut c = cluster(
        "name = 'shop'\n[[instances]]\nprovider = 'asg'\ncount = 2\ninstance = 'm6i.large'\ncpu = 2\nmemory = 8\n\
         [[services]]\nname = 'web'\ndesired = 4\nimage = 'r/web:1'\nlaunch = 'asg'\ncpu = 512\n\
         [[at]]\nt = '1s'\naction = 'drain'\ninstance = 0\n",
    );
    c.advance(START + 120_000);
    let first = c.instances[0].id.clone();
    assert!(c.tasks.values().filter(|t| t.wanted()).all(|t| t.instance.as_ref() != Some(&first)));
    assert_eq!(c.tasks.values().filter(|t| t.running() && t.wanted()).count(), 4);
    c.services.get_mut("web").unwrap().desired = 9;
    c.advance(START + 180_000);
    assert!(c.services["web"].events.iter().any(|e| e.message.contains("unable to place a task")));
}

#[test]
fn the_same_seed_gives_the_same_fleet() {
    let (mut a, mut b) = (service("on", "unhealthy"), service("on", "unhealthy"));
    a.advance(START + 90_000);
    b.advance(START + 90_000);
    assert_eq!(a.tasks.keys().collect::<Vec<_>>(), b.tasks.keys().collect::<Vec<_>>());
}

#[test]
fn names_that_are_not_there_are_said() {
    let check = |text: &str| toml::from_str::<ClusterDef>(text).unwrap().check().unwrap_err();
    let text = check("name='c'\n[[services]]\nname='web'\ndesired=1\nimage='x'\nlaunch='asg'\n");
    assert!(text.1.contains("allowed: fargate, fargate-spot"), "{text:?}");
    let text = check("name='c'\n[[at]]\nt='1s'\naction='deploy'\nservice='api'\n");
    assert!(text.1.contains("no service \"api\""), "{text:?}");
}
