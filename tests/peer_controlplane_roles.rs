//! The roles of `docs/kubernetes.md` on a real API server: with neither nothing is read, with the first everything,
//! and only with the second can anything be done.
//!
//! Runs where `QUARTERDECK_CONTROLPLANE=1` is set, with `CONTROLPLANE_STATE`
//! naming a control plane that is up; skips loudly elsewhere.
#![cfg(feature = "kubernetes")]
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn run(arguments: &[&str]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/controlplane/run.sh");
    let out = Command::new(script).args(arguments).output().expect("run.sh runs");
    assert!(out.status.success(), "run.sh {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn kubectl(arguments: &[&str]) -> String {
    run(&[&["kubectl"], arguments].concat())
}

/// The roles as the page has them: its blocks that are whole objects.
fn roles() -> Vec<String> {
    let page = include_str!("../docs/kubernetes.md");
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.filter(|block| block.contains("kind: ClusterRole\n")).map(str::to_owned).collect()
}

fn name_of(role: &str) -> &str {
    role.lines().find_map(|l| l.trim().strip_prefix("name: ")).expect("a name")
}

fn give(role: &str, user: &str, directory: &Path) {
    let (name, file) = (name_of(role), directory.join("role.yaml"));
    std::fs::write(&file, role).expect("a file");
    kubectl(&["apply", "-f", file.to_str().expect("a path")]);
    let (role, to) = (format!("--clusterrole={name}"), format!("--user={user}"));
    kubectl(&["create", "clusterrolebinding", &format!("{name}-{user}"), &role, &to]);
}

struct Person<'a> {
    kubeconfig: String,
    home: &'a Path,
}

impl Person<'_> {
    fn says(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_quarterdeck"))
            .args(["--kubeconfig", &self.kubeconfig])
            .args(arguments)
            .env("HOME", self.home)
            .env("XDG_CONFIG_HOME", self.home)
            .env("XDG_STATE_HOME", self.home)
            .stdin(Stdio::null())
            .output()
            .expect("quarterdeck runs")
    }

    /// The feeds that are not read, and why.
    fn unread(&self) -> Vec<String> {
        let out = self.says(&["status", "--format", "json"]);
        let said: Value = serde_json::from_slice(&out.stdout).expect("JSON");
        let sources = said["clusters"][0]["sources"].as_array().expect("sources");
        // There is no metrics server.
        let unread = sources.iter().filter(|s| !s["because"].as_str().unwrap_or("").contains("metrics"));
        unread.map(|s| format!("{}: {} {}", s["feed"], s["freshness"], s["because"])).collect()
    }

    /// True if it could be done; what is said of it.
    fn can(&self, arguments: &[&str]) -> (bool, String) {
        let out = self.says(&[arguments, &["--dry-run"]].concat());
        let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        (out.status.success(), text)
    }
}

#[test]
fn the_roles_of_the_documents_are_enough_and_no_more() {
    if std::env::var("QUARTERDECK_CONTROLPLANE").as_deref() != Ok("1") {
        eprintln!(
            "SKIP: QUARTERDECK_CONTROLPLANE is not set; tests/peers/controlplane/README.md says how to start one"
        );
        return;
    }
    let home = tempfile::tempdir().expect("a directory");
    run(&["seed", "--nodes", "20", "--pods", "400"]);
    let user = format!("reader-{}", std::process::id());
    let person = Person { kubeconfig: run(&["user", &user]).trim().to_owned(), home: home.path() };
    let unread = person.unread();
    assert!(unread.iter().any(|u| u.starts_with("\"tasks\"")), "no right, and yet it reads tasks: {unread:?}");

    let roles = roles();
    let [read, act] = roles.as_slice() else { panic!("two roles, not {}", roles.len()) };
    give(read, &user, home.path());
    assert_eq!(person.unread(), Vec::<String>::new(), "with {}", name_of(read));

    let deployment = kubectl(&["get", "deployments", "-A", "--no-headers"]);
    let mut words = deployment.lines().next().expect("a deployment").split_whitespace();
    let (namespace, name) = (words.next().expect("a namespace"), words.next().expect("a name"));
    let deploy = format!("deploy/{namespace}/{name}");
    let node = kubectl(&["get", "nodes", "-o", "name"]);
    let node = node.lines().next().expect("a node").trim();
    let pod = kubectl(&["get", "pods", "-n", namespace, "--no-headers"]);
    let pod = format!("pod/{namespace}/{}", pod.split_whitespace().next().expect("a pod"));
    let actions: [&[&str]; 7] = [
        &["cordon", node],
        &["drain", node, "--force", "--delete-emptydir-data"],
        &["scale", &deploy, "--replicas", "3"],
        &["restart", &deploy],
        &["set-image", &deploy, "--image", "registry.example/web:2"],
        &["delete", &deploy],
        &["delete", &pod],
    ];
    for action in actions {
        let (can, said) = person.can(action);
        assert!(!can && said.contains("not allowed"), "{action:?}: {said}");
    }
    give(act, &user, home.path());
    for action in actions {
        let (can, said) = person.can(action);
        assert!(can, "{action:?} with {}: {said}", name_of(act));
    }
}
