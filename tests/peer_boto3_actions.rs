//! Every action on ECS from the command line against `quarterdeck sim`, each one seen by boto3 afterwards. Python
//! is found as in `peer_boto3.rs`; without it the test says so and passes, except where `CI=true`.

#![cfg(feature = "aws")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests fail as tests do, and the lint's exception for tests does not see them"
)]

#[path = "support/python.rs"]
mod python;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use quarterdeck::clock::instant;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_mins(2);
const SCENARIO: &str = "description = 'actions'\n\
    [[nodes]]\ngroup = 'g'\ncount = 1\ninstance = 'm7i.large'\nzones = ['eu-west-1a']\ncpu = 2\nmemory = 8\n\
    [[ecs]]\nname = 'shop'\n[[ecs.instances]]\nprovider = 'asg'\ncount = 3\ninstance = 'm7i.large'\ncpu = 2\nmemory = 8\n\
    [[ecs.services]]\nname = 'web'\ndesired = 2\nimage = 'r/web:1'\n\
    [[ecs.services]]\nname = 'api'\ndesired = 4\nimage = 'r/api:1'\nlaunch = 'asg'\n\
    [[ecs.services]]\nname = 'pay'\ndesired = 2\nimage = 'r/pay:1'\nscaling = [2, 6]\n";

/// `quarterdeck sim`, and a home for the console.
struct Fleet {
    child: Child,
    python: PathBuf,
    home: tempfile::TempDir,
    /// What a shell exports to reach it.
    env: BTreeMap<String, String>,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Fleet {
    fn start(python: PathBuf) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let scenario = home.path().join("actions.toml");
        std::fs::write(&scenario, SCENARIO).expect("a file");
        let mut child = Command::new(env!("CARGO_BIN_EXE_quarterdeck"))
            .args(["sim", "--print", "aws", "--scenario"])
            .arg(&scenario)
            .env("HOME", home.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        let mut env = BTreeMap::new();
        for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
            let line = line.expect("reads");
            match line.strip_prefix("export ").and_then(|l| l.split_once('=')) {
                Some((name, value)) => drop(env.insert(name.to_owned(), value.to_owned())),
                None => break,
            }
        }
        Self { child, python, home, env }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quarterdeck"));
        command
            .args(arguments)
            .args(["--ecs-cluster", "eu-west-1/shop", "--yes", "--reason", "practice"])
            .env_clear()
            .envs(&self.env)
            .env("HOME", self.home.path())
            .env("USER", "tester")
            .env("QUARTERDECK_STATE_DIR", self.home.path().join("state"))
            .stdin(Stdio::null());
        command
    }

    /// Does it, and gives what was said.
    fn act(&self, arguments: &[&str]) -> String {
        let out = self.command(arguments).output().expect("it runs");
        assert!(out.status.success(), "{arguments:?}: {}", said(&out));
        said(&out)
    }

    fn script(&self, more: &[&str]) -> Value {
        let value = |name: &str| self.env.get(name).map_or("", String::as_str);
        let mut arguments =
            vec![value("AWS_ENDPOINT_URL"), value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY"), "shop"];
        arguments.extend(more);
        serde_json::from_str(&python::run(&self.python, "ecs_state.py", &arguments, PATIENCE)).expect("JSON")
    }

    /// What boto3 sees, as soon as that is so.
    fn until(&self, what: &str, done: impl Fn(&Value) -> bool) -> Value {
        let start = instant();
        loop {
            let state = self.script(&[]);
            if done(&state) {
                return state;
            }
            assert!(start.elapsed() < PATIENCE, "boto3 waits in vain for {what}: {state:#}");
        }
    }

    /// What boto3 sees now.
    fn state(&self) -> Value {
        self.script(&[])
    }
}

fn said(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

/// The ids of tasks that are of this group and are to run.
fn tasks(state: &Value, group: &str) -> Vec<String> {
    let all = state["tasks"].as_object().expect("tasks").iter();
    all.filter(|(_, t)| t["group"] == group && t["desired"] == "RUNNING").map(|(id, _)| id.clone()).collect()
}

fn image(state: &Value, service: &str) -> String {
    let containers = &state["services"][service]["described"]["containerDefinitions"];
    containers[0]["image"].as_str().expect("an image").to_owned()
}

fn definition(state: &Value, service: &str) -> String {
    state["services"][service]["definition"].as_str().expect("a definition").to_owned()
}

#[test]
fn boto3_sees_what_is_done_to_services() {
    let Some(python) = python::find("services changed from the command line, as boto3 sees them") else { return };
    let fleet = Fleet::start(python);
    let first = fleet.state();
    let web = |state: &Value| state["services"]["web"].clone();

    fleet.act(&["scale", "web", "--replicas", "3"]);
    let scaled = fleet.until("three tasks", |s| web(s)["running"] == 3);
    assert_eq!(web(&scaled)["desired"], 3);
    assert_eq!(web(&scaled)["deployments"], {
        let mut same = web(&first)["deployments"].clone();
        same[0]["running"] = 3.into();
        same
    });
    let warned = fleet.act(&["scale", "pay", "--replicas", "3"]);
    assert!(warned.contains("between 2 and 6"), "{warned}");
    fleet.act(&["scale", "pay", "--replicas", "4", "--raise-minimum"]);
    let raised = fleet.state();
    assert_eq!((&raised["scaled"]["pay"], &raised["services"]["pay"]["desired"]), (&[4, 6].into(), &4.into()));

    let before = tasks(&scaled, "service:web");
    fleet.act(&["restart", "web"]);
    let restarted = fleet.state();
    let after = tasks(&restarted, "service:web");
    assert!(after.len() == 3 && after.iter().all(|t| !before.contains(t)), "{before:?} {after:?}");
    assert_eq!(web(&restarted)["deployments"][0]["rollout"], "COMPLETED");
    assert_eq!(
        (definition(&restarted, "web"), image(&restarted, "web")),
        (definition(&first, "web"), "r/web:1".into())
    );

    let done = fleet.act(&["set-image", "web", "--image", ":2"]);
    let set = fleet.state();
    assert_eq!(image(&set, "web"), "r/web:2", "{done}");
    assert!(done.contains(&format!("roll-back shop:service/web --to {}", definition(&first, "web"))), "{done}");
    let mut same = web(&first)["described"].clone();
    same["containerDefinitions"][0]["image"] = "r/web:2".into();
    assert_eq!(web(&set)["described"], same, "all else is kept");
    assert_eq!(web(&set)["tags"], web(&first)["tags"]);
    assert!(tasks(&set, "service:web").iter().all(|t| set["tasks"][t]["images"][0] == "r/web:2"), "{set:#}");

    // Nothing rolls out: the revision before is given.
    let done = fleet.act(&["roll-back", "web"]);
    assert!(done.contains("UpdateService"), "{done}");
    let back = fleet.state();
    assert_eq!((definition(&back, "web"), image(&back, "web")), (definition(&first, "web"), "r/web:1".into()));
    assert_eq!(web(&back)["rollouts"][0], "SUCCESSFUL");
    stop_what_rolls_out(&fleet, &back);

    // Who did what, and why, is written down; nobody has changed it.
    let audit = said(&fleet.command_of_audit());
    assert!(audit.contains("as they were written"), "{audit}");
}

/// An image that is not there, and the way back while it rolls out.
fn stop_what_rolls_out(fleet: &Fleet, before: &Value) {
    let mut begun = fleet.command(&["set-image", "web", "--image", ":missing"]);
    let mut begun = begun.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let rolls = fleet.until("a rollout", |s| s["services"]["web"]["rollouts"][0] == "IN_PROGRESS");
    assert_eq!(image(&rolls, "web"), "r/web:missing");
    let done = fleet.act(&["roll-back", "web"]);
    assert!(done.contains("StopServiceDeployment") && done.contains("rolled back"), "{done}");
    let after = fleet.state();
    let web = &after["services"]["web"];
    assert_eq!(web["rollouts"][0], "ROLLBACK_SUCCESSFUL");
    assert!(web["rollbacks"][0].as_str().is_some_and(|why| why.contains("requested by the user")), "{web:#}");
    assert_eq!((definition(&after, "web"), web["running"].as_i64()), (definition(before, "web"), Some(3)));
    // Whoever followed the rollout was told.
    let status = begun.wait().expect("ends");
    assert_eq!(status.code(), Some(1), "its rollout was stopped by somebody else");
}

impl Fleet {
    fn command_of_audit(&self) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quarterdeck"));
        command.args(["audit", "verify"]).env_clear().env("HOME", self.home.path());
        command.env("QUARTERDECK_STATE_DIR", self.home.path().join("state")).output().expect("it runs")
    }
}

#[test]
fn boto3_sees_what_is_done_to_instances_and_tasks() {
    let Some(python) = python::find("instances changed from the command line, as boto3 sees them") else { return };
    let fleet = Fleet::start(python);
    let alone = fleet.script(&["run-task", "api"])["task"].as_str().expect("a task").to_owned();
    let first = fleet.until("the standalone task", |s| s["tasks"][&alone]["status"] == "RUNNING");
    let node = first["tasks"][&alone]["on"].as_str().expect("an instance").to_owned();
    let on = |state: &Value, group: &str| {
        let all = tasks(state, group);
        all.into_iter().filter(|t| state["tasks"][t]["on"] == node.as_str()).collect::<Vec<_>>()
    };

    fleet.act(&["cordon", &node]);
    assert_eq!(fleet.state()["instances"][&node], "DRAINING");
    fleet.act(&["uncordon", &node]);
    assert_eq!(fleet.state()["instances"][&node], "ACTIVE");

    let done = fleet.act(&["drain", &node]);
    assert!(done.contains("belongs to no service"), "{done}");
    let drained = fleet.state();
    assert_eq!(drained["instances"][&node], "DRAINING");
    assert_eq!(on(&drained, "service:api"), Vec::<String>::new(), "{drained:#}");
    assert_eq!(drained["services"]["api"]["running"], 4, "others run in their place");
    assert_eq!(
        (on(&drained, "family:api"), &drained["tasks"][&alone]["status"]),
        (vec![alone.clone()], &"RUNNING".into())
    );
    fleet.act(&["uncordon", &node]);

    let task = tasks(&drained, "service:api").remove(0);
    let done = fleet.act(&["delete", &format!("task/api/{task}")]);
    assert!(done.contains("starts another one in its place"), "{done}");
    let stopped = fleet.until("a stopped task", |s| s["tasks"][&task]["status"] == "STOPPED");
    let task = &stopped["tasks"][&task];
    assert_eq!(task["code"], "UserInitiated");
    assert_eq!(task["reason"], "stopped by tester via quarterdeck: practice");
    fleet.until("its replacement", |s| s["services"]["api"]["running"] == 4);
}
