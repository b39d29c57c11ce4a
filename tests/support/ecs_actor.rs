//! The embedded fleet's `shop`, and the actor that changes it.

#![allow(dead_code, reason = "each test uses its part")]

#[path = "ecs.rs"]
pub mod bench;
#[path = "act.rs"]
mod runs;

use std::time::Duration;

pub use bench::Bench;
use quarterdeck::action::ecs::Ecs;
use quarterdeck::action::{Intent, Verb};
use quarterdeck::clock::{Clock, instant};
use quarterdeck::domain::{ClusterId, Kind, ObjectId, Text};
use quarterdeck::source::aws::Account;
use quarterdeck::source::ecs::Writer;
pub use runs::*;

pub const PATIENCE: Duration = DEADLINE;
/// `web` on Fargate, `api` on instances, `cart` with a circuit breaker, `pay` that is scaled by itself.
pub const SHOP: &str = "[[ecs]]\nname = 'shop'\n[[ecs.instances]]\nprovider = 'asg'\ncount = 3\ninstance = 'm7i.large'\ncpu = 2\nmemory = 8\n\
    [[ecs.services]]\nname = 'web'\ndesired = 3\nimage = 'r/web:1'\nlaunch = 'fargate'\n\
    [[ecs.services]]\nname = 'api'\ndesired = 4\nimage = 'r/api:1'\nlaunch = 'asg'\n\
    [[ecs.services]]\nname = 'cart'\ndesired = 2\nimage = 'r/cart:1'\nbreaker = 'rollback'\n\
    [[ecs.services]]\nname = 'pay'\ndesired = 2\nimage = 'r/pay:1'\nscaling = [2, 6]\n";

pub async fn ready() -> (Bench, Ecs) {
    let mut bench = Bench::new(SHOP, |_| {}).await;
    bench.complete().await;
    let ecs = Ecs::new(writer(&bench), Clock::system()).with_poll(Duration::from_millis(500));
    (bench, ecs)
}

pub fn writer(bench: &Bench) -> Writer {
    bench.sources.writer(&ClusterId::new("shop")).expect("a writer")
}

pub fn service(name: &str) -> ObjectId {
    ObjectId {
        cluster: ClusterId::new("shop"),
        kind: Kind::EcsService,
        namespace: Text::empty(),
        name: Text::new(name),
    }
}

pub fn scale(name: &str, replicas: u32) -> Intent {
    let mut intent = Intent::new(Verb::Scale, vec![service(name)]);
    intent.options.replicas = Some(replicas);
    intent
}

pub fn image(name: &str, container: Option<&str>, image: &str) -> Intent {
    let mut intent = Intent::new(Verb::SetImage, vec![service(name)]);
    (intent.options.container, intent.options.image) = (container.map(str::to_owned), Some(image.to_owned()));
    intent
}

pub fn roll_back(name: &str, revision: Option<&str>) -> Intent {
    let mut intent = Intent::new(Verb::RollBack, vec![service(name)]);
    intent.options.revision = revision.map(str::to_owned);
    intent
}

/// Clients of another program, which may change things.
pub async fn somebody(bench: &Bench) -> aws_sdk_ecs::Client {
    let spec = bench::specs(&bench.sim, Duration::from_secs(1)).remove(0).account;
    let clients = Account::new(spec, Clock::system()).clients().await.expect("clients");
    aws_sdk_ecs::Client::new(&clients.config)
}

/// What another program sees of a service: how many tasks are wanted, and its definition as `family:revision`.
pub async fn seen(bench: &Bench, name: &str) -> (i32, String) {
    let answer = somebody(bench).await.describe_services().cluster("shop").services(name).send().await;
    let answer = answer.expect("an answer");
    let service = answer.services().first().expect("the service");
    let definition = service.task_definition().unwrap_or_default();
    (service.desired_count(), definition.rsplit('/').next().unwrap_or_default().to_owned())
}

/// Waits until nothing of a service rolls out any more.
pub async fn settled(bench: &Bench, name: &str) {
    let (began, client) = (instant(), somebody(bench).await);
    loop {
        let answer = client.describe_services().cluster("shop").services(name).send().await.expect("an answer");
        let [one] = answer.services()[0].deployments() else {
            assert!(began.elapsed() < PATIENCE, "{name} rolls out for ever");
            tokio::time::sleep(Duration::from_millis(500)).await;
            continue;
        };
        if one.rollout_state().is_some_and(|s| s.as_str() == "COMPLETED") {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{name} is never complete");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// How often the fleet was asked for an operation.
pub fn asked(bench: &Bench, operation: &str) -> u64 {
    bench.sim.aws_report()["operations"][operation].as_u64().unwrap_or_default()
}
