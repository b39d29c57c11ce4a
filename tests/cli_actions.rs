//! What changes something, and the record of it, as a script runs it.
#![cfg(feature = "kubernetes")]
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

use quarterdeck::action::audit::{Audit, Record, Who};
use quarterdeck::action::{Assent, End, Intent, Plan, Verb};
use quarterdeck::domain::{ClusterId, Kind, ObjectId, Text, Timestamp};

fn run(home: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_quarterdeck"))
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .env("PATH", "/usr/bin:/bin")
        .env("QUARTERDECK_STATE_DIR", home.join("state"))
        .stdin(std::process::Stdio::null())
        .output()
        .expect("it runs")
}

fn said(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

fn at(seconds: i64) -> Timestamp {
    chrono::DateTime::from_timestamp(1_795_000_000 + seconds, 0).unwrap()
}

/// Two actions in the state directory of `home`.
fn fill(home: &Path) {
    let env = |name: &str| (name == "SSH_CONNECTION").then(|| "192.0.2.7 1 2 3".to_owned());
    let audit = Audit::new(&home.join("state"), Who::here(&env));
    for (i, name) in ["web", "api, \"old\""].iter().enumerate() {
        let seconds = 60 * i64::try_from(i).unwrap();
        let target = ObjectId {
            cluster: ClusterId::new("prod"),
            kind: Kind::Deployment,
            namespace: Text::new("shop"),
            name: Text::new(name),
        };
        let plan = Plan::new(Intent::new(Verb::Restart, vec![target]), at(seconds));
        let assent = Assent { reason: "leaks memory".to_owned(), ..Assent::default() };
        let number = audit.begin(&plan, &assent, at(seconds)).unwrap();
        audit.end(number, &End::done("restarted in 12 s", None), at(seconds + 12)).unwrap();
    }
}

#[test]
fn nothing_that_is_read_only_is_changed() {
    let home = tempfile::tempdir().expect("a directory");
    for arguments in [
        &["cordon", "node-1", "--demo", "--read-only", "--yes"][..],
        &["scale", "web", "--replicas", "3", "--demo", "--read-only", "--dry-run"],
        &["delete", "task/x", "--read-only", "--demo"],
    ] {
        let out = run(home.path(), arguments);
        assert_eq!(out.status.code(), Some(1), "{arguments:?}: {}", said(&out));
        assert!(said(&out).contains("read-only"), "{arguments:?}: {}", said(&out));
    }
    assert!(!home.path().join("state").exists(), "nothing is written either");
}

#[test]
fn what_is_not_there_or_not_reached_is_two() {
    let home = tempfile::tempdir().expect("a directory");
    for (arguments, says) in [
        (&["drain", "no-such-node", "--demo", "--dry-run"][..], "there is no node called `no-such-node`"),
        (&["cordon", "x", "--kubeconfig", "/nonexistent/config"], "/nonexistent/config"),
        (&["scale", "web", "--demo"], "--replicas"),
        (&["drain", "--demo"], "TARGET"),
        (&["silence", "x", "--for", "soon", "--demo"], "30m"),
        (&["drain", "x", "--at-once", "0", "--demo"], "at-once"),
    ] {
        let out = run(home.path(), arguments);
        assert_eq!(out.status.code(), Some(2), "{arguments:?}: {}", said(&out));
        assert!(said(&out).contains(says), "{arguments:?}: {}", said(&out));
    }
}

#[cfg(all(feature = "prometheus", feature = "aws"))]
#[test]
fn alarms_are_silenced_where_they_are_held() {
    let home = tempfile::tempdir().expect("a directory");
    // Of a cluster that Kubernetes runs; its Alertmanager is found in it.
    let cart = ["silence", "ErrorBudgetBurn cart", "--demo", "budget-burn", "--duration", "2h", "--reason", "a deploy"];
    let out = run(home.path(), &[&cart[..], &["--dry-run"]].concat());
    assert!(out.status.success(), "{}", said(&out));
    for text in ["at demo/alertmanager", "(2h)", "+ alertname=\"ErrorBudgetBurn\"", "amtool", "port-forward"] {
        assert!(said(&out).contains(text), "{text} in {}", said(&out));
    }
    let out = run(home.path(), &[&cart[..], &["--yes"]].concat());
    assert!(out.status.success() && said(&out).contains("done: 1 of 1 silenced"), "{}", said(&out));
    assert!(
        said(&out).contains("to undo: quarterdeck unsilence 'demo:alarm/shop/ErrorBudgetBurn cart'"),
        "{}",
        said(&out)
    );
    let out = run(home.path(), &["unsilence", "ErrorBudgetBurn cart", "--demo", "budget-burn", "--yes"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(said(&out).contains("nothing silences it"), "{}", said(&out));
    // CloudWatch's, of an ECS cluster.
    let out = run(home.path(), &["silence", "shop-ecs-web-cpu-high", "--demo", "calm", "--yes"]);
    assert!(out.status.success() && said(&out).contains("done: 1 of 1 silenced"), "{}", said(&out));
    assert!(said(&out).contains("until somebody enables them"), "{}", said(&out));
}

#[test]
fn every_verb_has_help_that_fits() {
    let home = tempfile::tempdir().expect("a directory");
    for verb in [
        "cordon",
        "uncordon",
        "drain",
        "scale",
        "restart",
        "roll-back",
        "set-image",
        "delete",
        "trigger",
        "suspend-job",
        "resume-job",
        "silence",
        "unsilence",
    ] {
        assert!(Verb::from_name(verb).is_some(), "{verb}");
        let help = said(&run(home.path(), &[verb, "--help"]));
        for flag in ["--dry-run", "--yes", "--confirm", "--reason", "--format", "<TARGET>..."] {
            assert!(help.contains(flag), "{verb}: {help}");
        }
        assert!(help.lines().all(|l| l.chars().count() <= 100), "{help}");
    }
}

#[test]
fn the_audit_is_printed_exported_and_checked() {
    let home = tempfile::tempdir().expect("a directory");
    let empty = run(home.path(), &["audit", "tail"]);
    assert!(empty.status.success() && said(&empty).contains("Nothing has been done yet"), "{}", said(&empty));
    assert!(run(home.path(), &["audit", "verify"]).status.success());
    fill(home.path());
    let tail = said(&run(home.path(), &["audit", "tail"]));
    let rows: Vec<&str> = tail.lines().collect();
    assert_eq!(rows.len(), 5, "{tail}");
    assert!(
        rows[1].contains("192.0.2.7") && rows[1].ends_with("restart deploy shop/web in prod: leaks memory"),
        "{tail}"
    );
    assert!(rows[2].ends_with("done of 1: restarted in 12 s"), "{tail}");
    assert_eq!(said(&run(home.path(), &["audit", "tail", "-n", "1"])).lines().count(), 2);
    let json = said(&run(home.path(), &["audit", "tail", "-n", "1", "--format", "json"]));
    let line: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&line["n"], &line["of"]), (&4.into(), &3.into()));
    // What is exported line by line is what the file has.
    let exported = said(&run(home.path(), &["audit", "export"]));
    let file = home.path().join("state/audit.jsonl");
    assert_eq!(exported, std::fs::read_to_string(&file).expect("is there"));
    let csv = said(&run(home.path(), &["audit", "export", "--format", "csv"]));
    assert_eq!(csv.lines().count(), 5, "{csv}");
    assert!(csv.contains(r#""deploy shop/api, ""old""""#), "{csv}");
    let since = said(&run(home.path(), &["audit", "export", "--since", "soon"]));
    assert!(since.contains("7d"), "{since}");
    let fine = run(home.path(), &["audit", "verify"]);
    assert!(
        fine.status.success() && said(&fine).contains("entries 1 to 4 are as they were written"),
        "{}",
        said(&fine)
    );
    let text = std::fs::read_to_string(&file).expect("is there");
    std::fs::write(&file, text.replacen("restarted in 12 s", "restarted in 13 s", 1)).expect("writes");
    let wrong = run(home.path(), &["audit", "verify"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(said(&wrong).contains("audit.jsonl:2:"), "{}", said(&wrong));
    assert!(said(&run(home.path(), &["audit", "tail"])).contains("entry 2 was changed"));
}

#[test]
fn what_is_added_is_followed() {
    use std::io::BufRead as _;
    let home = tempfile::tempdir().expect("a directory");
    fill(home.path());
    let mut child = Command::new(env!("CARGO_BIN_EXE_quarterdeck"))
        .args(["audit", "tail", "-n", "1", "--follow", "--format", "json"])
        .env("HOME", home.path())
        .env("QUARTERDECK_STATE_DIR", home.path().join("state"))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut lines = std::io::BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut next = || {
        let line = lines.next().expect("a line").expect("reads");
        serde_json::from_str::<serde_json::Value>(&line).expect("JSON")["n"].as_u64()
    };
    assert_eq!(next(), Some(4));
    fill(home.path());
    assert_eq!([next(), next(), next(), next()], [5, 6, 7, 8].map(Some));
    child.kill().expect("ends");
    child.wait().expect("ended");
}
