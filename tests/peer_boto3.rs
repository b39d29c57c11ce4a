//! boto3, which nobody here wrote, against the embedded fleet. Its Python is taken
//! from `QUARTERDECK_AWS_PYTHON`, as `tests/peers/aws/install.sh` prints it; without
//! it the test says so and passes, except where `CI=true`.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests fail as tests do, and the lint's exception for tests does not see them"
)]

#[path = "support/python.rs"]
mod python;

use std::time::Duration;

use quarterdeck::clock::Clock;
use quarterdeck::sim::model::{Model, Scenario};
use quarterdeck::sim::server::{ServerOptions, SimServer};

#[test]
fn boto3_drives_the_embedded_fleet() {
    let Some(python) = python::find("boto3 against the embedded fleet") else { return };
    // What happens by itself in the scenario would be in the way.
    let text = include_str!("../scenarios/calm.toml").split("[[ecs.at]]").next().expect("a first part");
    let scenario = Scenario::parse(text, "quiet.toml").expect("a scenario");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(async {
        let options = ServerOptions { ecs: scenario.ecs().to_vec(), seed: scenario.seed(), ..ServerOptions::default() };
        SimServer::start(Box::new(Model::new(scenario)), Clock::system(), options).await.expect("a server")
    });
    let access = server.aws();
    let key = access.key_for("123456789012");
    let arguments = [access.endpoint.as_str(), &key, &access.secret, "shop-ecs"];
    let said = python::run(&python, "drive.py", &arguments, Duration::from_mins(4));
    assert!(said.ends_with("ok\n"), "{said}");
    runtime.block_on(server.stop());
}
