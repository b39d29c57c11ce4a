//! One-shot commands, run as a script runs them.
#![cfg(feature = "kubernetes")]
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

fn quarterdeck(arguments: &[&str]) -> Output {
    let home = tempfile::tempdir().expect("a directory");
    Command::new(env!("CARGO_BIN_EXE_quarterdeck"))
        .args(arguments)
        .env_clear()
        .env("HOME", home.path())
        .env("PATH", "/usr/bin:/bin")
        .output()
        .expect("it runs")
}

fn text(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn error(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

#[test]
fn status_as_json_fits_its_schema() {
    let out = quarterdeck(&["status", "--demo", "--format", "json"]);
    assert_eq!(out.status.code(), Some(0), "{}", error(&out));
    let status: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let schema = serde_json::from_str(include_str!("../docs/schema/status-v2.json")).expect("a schema");
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    let wrong: Vec<String> = validator.iter_errors(&status).map(|e| e.to_string()).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    let of = |orchestrator: &str| {
        let clusters = status["clusters"].as_array().expect("a list");
        clusters.iter().find(|c| c["orchestrator"] == orchestrator).cloned().expect(orchestrator)
    };
    assert_eq!(of("kubernetes")["nodes"]["all"], 12);
    assert_eq!(of("ecs")["nodes"]["all"], 3);
    assert_eq!(of("ecs")["workloads"]["all"], 11);
    assert!(!validator.is_valid(&serde_json::json!({"version": 1})), "the schema would fit anything");
}

#[test]
fn a_report_has_the_demo_s_budgets_and_one_of_a_file_misses_its_objectives() {
    let said = text(&quarterdeck(&["slo", "report", "--demo"]));
    assert!(said.lines().any(|l| l.starts_with("fine") && l.contains("gateway-availability")), "{said}");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/slo/valid/minimal-cloudwatch.yaml");
    let out = quarterdeck(&["slo", "report", "--demo", "--format", "json", file]);
    assert_eq!(out.status.code(), Some(2), "{}", error(&out));
    let said: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!(said["version"], 1);
    assert!(said["missing"].as_array().is_some_and(|m| !m.is_empty()), "{said}");
    let out = quarterdeck(&["slo", "report", "/nowhere.yaml", "--demo"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out).is_empty() && error(&out).contains("nowhere.yaml"), "{}", error(&out));
}

#[test]
fn snapshots_settle_at_both_sizes() {
    for view in ["overview", "nodes", "tasks", "workloads"] {
        for (size, width, height) in [("80x24", 80, 24), ("200x50", 200, 50)] {
            let out = quarterdeck(&["snapshot", view, "--demo", "--size", size]);
            assert_eq!(out.status.code(), Some(0), "{view} {size}: {}", error(&out));
            let text = text(&out);
            assert_eq!(text.lines().count(), height, "{view} {size}");
            assert!(text.lines().all(|l| l.chars().count() <= width), "{view} {size}:\n{text}");
            assert!(!text.contains("loading"), "{view} {size} has not settled:\n{text}");
            assert!(text.contains("nodes 15/15"), "both clusters: {view} {size}:\n{text}");
        }
    }
}

#[test]
fn a_bad_deployment_is_critical() {
    // A machine that is busy with other things may need longer.
    let mut last = String::new();
    for after in ["30", "60", "90"] {
        let out = quarterdeck(&["snapshot", "overview", "--demo", "bad-deploy", "--after", after, "--size", "120x30"]);
        last = text(&out);
        if last.contains("CrashLoopBackOff") || last.contains("Error") {
            return;
        }
    }
    panic!("{last}");
}

#[test]
fn the_first_step_of_each_runbook_that_ships_works_on_the_embedded_fleet() {
    let cases = [
        ("c", "runbook crash-loop › tasks", "status=CrashLoopBackOff"),
        ("i", "runbook image-pull › describe", "CONDITIONS"),
        ("n", "runbook node-not-ready › nodes", "filter status!=Ready"),
        ("s", "runbook spot-storm › spot", "nothing is going to go"),
        ("u", "runbook budget-burn › budgets", "VERDICT"),
        ("d", "runbook ecs-deployment-stuck › describe", "Deployment"),
        ("f", "runbook fargate-out-of-ips › overview", "filter addresses"),
        ("q", "runbook quota-reached › events", "REASON"),
        ("t", "runbook certificate-expired › logs", "lines"),
        ("y", "runbook dependency-slow › services", "P99"),
    ];
    // One after the other: each is a fleet of its own.
    for (key, place, shows) in cases {
        let keys = format!(", {key} enter");
        let arguments = ["snapshot", "tasks", "--demo", "--filter", "name=gateway*", "--size", "170x30", "--keys"];
        let out = quarterdeck(&[&arguments[..], &[keys.as_str()]].concat());
        let said = text(&out);
        assert_eq!(out.status.code(), Some(0), "{key}: {}", error(&out));
        assert!(said.contains(place), "{key}: {place}:\n{said}");
        assert!(said.to_lowercase().contains(&shows.to_lowercase()), "{key}: {shows}:\n{said}");
    }
}

#[test]
fn runbooks_are_listed_printed_and_checked() {
    let said = text(&quarterdeck(&["runbook", "list"]));
    assert_eq!(said.lines().count(), 11, "{said}");
    assert!(said.contains("crash-loop") && said.contains(",c"), "{said}");
    let said: serde_json::Value =
        serde_json::from_slice(&quarterdeck(&["runbook", "list", "--format", "json"]).stdout).expect("JSON");
    assert_eq!((&said["version"], said["runbooks"].as_array().map(Vec::len)), (&1.into(), Some(10)));
    let said = text(&quarterdeck(&["runbook", "show", "spot-storm.md"]));
    assert!(said.starts_with("Spot capacity is taken back\n═") && said.contains("[ ] "), "{said}");
    assert!(said.lines().all(|l| l.chars().count() <= 80), "{said}");
    let out = quarterdeck(&["runbook", "show", "nothing"]);
    assert!(out.status.code() == Some(1) && error(&out).contains("there are budget-burn"), "{}", error(&out));
    let ours = concat!(env!("CARGO_MANIFEST_DIR"), "/runbooks");
    let out = quarterdeck(&["runbook", "check", ours]);
    assert_eq!(out.status.code(), Some(0), "{}", error(&out));
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("bad.md");
    let bad = "---\nkeys: hyper-x\n---\n# Bad\n\n```step view\nview = \"tasks\"\nfilter = \"colour=red\"\n```\n\n```step run\nargv = [\"sh\", \"-c\", \"{name}\"]\n```\n\n[gone](gone.md)\n";
    std::fs::write(&file, bad).expect("written");
    let out = quarterdeck(&["runbook", "check", &file.display().to_string(), "/nowhere.md"]);
    let said = error(&out);
    assert_eq!(out.status.code(), Some(1));
    for what in [
        "bad.md:2:7",
        "bad.md:8:11",
        "no column `colour`",
        "bad.md:11:1",
        "`{name}` is not declared",
        "bad.md:15:8",
        "no runbook `gone.md`",
        "/nowhere.md",
    ] {
        assert!(said.contains(what), "{what}: {said}");
    }
}

#[test]
fn mistakes_are_told_with_what_would_be_right() {
    for (arguments, code, says) in [
        (&["snapshot", "pots", "--demo"][..], 1, "there is no view `pots`; there are overview"),
        (&["snapshot", "tasks", "--demo", "--size", "80"], 1, "`80` is no size"),
        (&["snapshot", "wallboard:tasks", "--demo"], 1, "the wallboard has no page `tasks`; there are overview"),
        (&["wallboard", "--demo"], 1, "needs a terminal"),
        (&["snapshot", "tasks", "--demo", "--filter", "colour=red"], 1, "no column `colour`"),
        (&["status", "--demo", "calmer"], 2, "calmer"),
        (&["status"], 2, "no cluster was found"),
        (&["status", "--kubeconfig", "/nonexistent/config"], 2, "/nonexistent/config"),
        (&["--theme", "nope", "--demo"], 1, "nope"),
        (&["sim", "--listen", "0.0.0.0:0"], 1, "loopback"),
        (&[], 1, "needs a terminal"),
    ] {
        let out = quarterdeck(arguments);
        let said = error(&out);
        assert_eq!(out.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
}

#[test]
fn config_is_written_once_checked_and_shown() {
    let home = tempfile::tempdir().expect("a directory");
    let run = |arguments: &[&str]| at_home(home.path(), arguments);
    assert!(run(&["config", "init"]).status.success());
    let again = run(&["config", "init"]);
    assert!(!again.status.success() && error(&again).contains("left as it is"));
    let checked = run(&["config", "check"]);
    assert!(checked.status.success(), "{}", error(&checked));
    assert!(text(&run(&["config", "show"])).contains("logs.tail"));
}

#[test]
fn keys_themes_completions_and_the_man_page() {
    assert!(text(&quarterdeck(&["keys"])).contains("problems-only"));
    assert!(quarterdeck(&["keys", "--lint"]).status.success());
    assert!(text(&quarterdeck(&["themes"])).contains("colour-blind"));
    assert!(quarterdeck(&["themes", "--lint"]).status.success());
    assert!(text(&quarterdeck(&["completions", "bash"])).contains("_quarterdeck"));
    assert!(text(&quarterdeck(&["man"])).contains(".TH"));
    for name in ["exec", "attach", "port\\-forward"] {
        assert!(text(&quarterdeck(&["man"])).contains(&format!("quarterdeck\\-{name}(1)")), "{name}");
    }
}

#[test]
fn help_says_where_the_json_of_each_command_is_described() {
    for (arguments, page) in [
        (&["status"][..], "docs/status.md"),
        (&["drain"], "docs/actions-cli.md"),
        (&["silence"], "docs/actions-cli.md"),
        (&["audit", "tail"], "docs/audit.md"),
        (&["slo", "report"], "docs/slo.md"),
    ] {
        let said = text(&quarterdeck(&[arguments, &["--help"]].concat()));
        let option = said.split_once("--format ").expect("it has a format").1;
        let option = option.split("\n\n      ").take(3).collect::<String>();
        assert!(option.contains(page), "{arguments:?}: {said}");
        let other = page != "docs/status.md" && said.contains("docs/status.md");
        assert!(!other, "{arguments:?}: {said}");
    }
}

/// What the program says with these files in its configuration directory.
fn configured(files: &[(&str, &str)], arguments: &[&str]) -> Output {
    let home = tempfile::tempdir().expect("a directory");
    for (name, content) in files {
        let path = home.path().join(".config/quarterdeck").join(name);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        std::fs::write(path, content).expect("a file");
    }
    at_home(home.path(), arguments)
}

/// Runs it with nothing but this home.
fn at_home(home: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_quarterdeck"))
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .output()
        .expect("it runs")
}

#[test]
fn keys_lists_what_is_bound_wherever_it_is_bound_and_says_what_is_doubtful() {
    let mine = "inherits = \"default\"\n[task]\n\"ctrl-d\" = \"view-nodes\"\n[logs]\n\"ctrl-j\" = \"back\"\n\
         [[command]]\nkey = \"alt-l\"\nname = \"Lines\"\ncontext = \"node\"\nargv = [\"wc\", \"-l\"]\n";
    let out = configured(&[("keymaps/mine.toml", mine)], &["keys", "--keymap", "mine"]);
    let said = text(&out);
    let section = |name: &str| -> Vec<String> {
        let of = said.lines().skip_while(|l| *l != name).skip(1);
        of.take_while(|l| l.starts_with(' ')).map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    };
    assert!(out.status.success(), "{}", error(&out));
    assert!(section("task").iter().any(|l| l.starts_with("ctrl-d view-nodes ")), "{said}");
    assert!(section("node").contains(&"alt-l run Lines: wc -l".to_owned()), "{said}");
    assert!(section("global").iter().any(|l| l.starts_with(", c runbook ") && l.contains("crash-loop")), "{said}");
    assert!(section("global").iter().any(|l| l.starts_with("ctrl-x q quit ")), "{said}");
    assert!(error(&out).contains("terminals send `ctrl-j` as"), "{}", error(&out));
    // The embedded one has nothing to say.
    assert_eq!(error(&configured(&[], &["keys"])), "");
}

#[test]
fn themes_lists_files_too_and_one_that_is_broken_hides_none() {
    let files = [
        ("themes/mine.toml", "inherits = \"nord\"\ndoc = \"Mine.\"\n"),
        ("themes/broken.toml", "inherits = \"nowhere\"\n"),
    ];
    let out = configured(&files, &["themes"]);
    assert!(text(&out).lines().any(|l| l.starts_with("mine ") && l.ends_with("yours: Mine.")), "{}", text(&out));
    assert!(text(&out).contains("colour-blind") && text(&out).contains("mono"), "{}", text(&out));
    assert!(!out.status.success() && error(&out).contains("nowhere"), "{}", error(&out));
    let out = configured(&files[..1], &["themes", "--lint"]);
    assert!(out.status.success() && text(&out).contains("theme mine is fine"), "{}{}", text(&out), error(&out));
    let out = configured(&files[..1], &["--theme", "mien", "--demo=calm", "themes"]);
    assert!(!out.status.success(), "{}", text(&out));
    let out = configured(&files[..1], &["--theme", "mien", "themes"]);
    assert!(error(&out).contains("did you mean `mine`"), "{}", error(&out));
}

#[test]
fn config_show_names_every_entry() {
    let file = r#"
[[cluster]]
context = "prod"
production = true
namespace = "shop"
accent = "red"
[[cluster]]
ecs = "ops@eu-west-1/shop"
name = "till"
read_only = true
[[prometheus]]
name = "prom"
url = "http://prom:9090"
cluster = "prod"
[[alertmanager]]
name = "am"
url = "http://am:9093"
read_only = true
[[services]]
preset = "istio"
prometheus = "prom"
[[notices]]
name = "spot"
log_group = "/aws/events/spot"
profile = "ops"
region = "eu-west-1"
[[guardrail]]
cluster = "prod*"
actions = ["drain", "delete"]
effect = "deny"
why = "not by hand"
[[guardrail]]
name = "nights"
quiet = "22:00-06:30"
zone = "Europe/Berlin"
[[guardrail]]
namespace = "kube-*"
at_once = 2
[[runbook]]
alarm = "api-*"
url = "https://runbooks.example.com/api"
"#;
    let out = configured(&[("config.toml", file)], &["config", "show"]);
    let said = text(&out);
    for line in [
        "cluster prod (context prod), production, namespace shop, red",
        "cluster till (ECS ops@eu-west-1/shop), read-only",
        "prometheus prom (http://prom:9090), cluster prod",
        "alertmanager am (http://am:9093), read-only",
        "services all (any namespace), prometheus prom, preset istio",
        "notices spot (log group /aws/events/spot), profile ops, region eu-west-1",
        "guardrail number 1 (deny), cluster prod*, actions delete drain: not by hand",
        "guardrail nights (quiet 22:00-06:30 Europe/Berlin)",
        "guardrail number 3 (at once 2), namespace kube-*",
        "runbook api-* (https://runbooks.example.com/api)",
    ] {
        assert!(said.lines().any(|l| l == line), "{line} in\n{said}{}", error(&out));
    }
}

#[test]
fn settings_that_are_wrong_are_no_verdict() {
    let wrong = [("config.toml", "theem = 1\n")];
    for arguments in [
        &["status"][..],
        &["slo", "report"],
        &["audit", "verify"],
        &["audit", "tail"],
        &["audit", "export"],
        &["spot", "history"],
        &["drain", "x"],
    ] {
        let out = configured(&wrong, arguments);
        assert_eq!(out.status.code(), Some(2), "{arguments:?}: {}", error(&out));
        assert!(out.stdout.is_empty() && error(&out).contains("theem"), "{arguments:?}: {}", error(&out));
    }
    let out = configured(&[], &["slo", "report"]);
    assert_eq!(out.status.code(), Some(2), "{}", error(&out));
    // Who asks whether they are right hears that they are not.
    assert_eq!(configured(&wrong, &["config", "check"]).status.code(), Some(1));
}

#[test]
fn help_has_a_line_for_each_command_and_ends_with_examples() {
    for flag in ["-h", "--help"] {
        let help = text(&quarterdeck(&[flag]));
        let after = help.split_once("Commands:\n").expect("commands").1;
        let commands: Vec<&str> = after.lines().take_while(|l| !l.is_empty()).collect();
        let names: Vec<&str> = commands.iter().filter_map(|l| l.split_whitespace().next()).collect();
        let order = [
            "wallboard",
            "status",
            "snapshot",
            "doctor",
            "config",
            "keys",
            "themes",
            "slo",
            "runbook",
            "spot",
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
            "audit",
            "exec",
            "attach",
            "port-forward",
            "sim",
            "completions",
            "man",
            "help",
        ];
        assert_eq!(names, order, "one line each, in order of use: {help}");
        assert!(commands.iter().all(|l| l.len() <= 80), "{help}");
        let examples = help.split_once("Examples:\n").expect("examples").1;
        assert!(examples.trim().lines().all(|l| l.trim_start().starts_with("quarterdeck")), "{help}");
    }
}

#[test]
fn every_setting_that_is_shown_is_heeded() {
    // The state directory and the level of the log, as doctor tells them.
    let home = tempfile::tempdir().expect("a directory");
    let config = home.path().join("c.toml");
    std::fs::write(&config, "log = \"debug\"\n[state]\ndir = \"~/here\"\n").expect("a file");
    let out = Command::new(env!("CARGO_BIN_EXE_quarterdeck"))
        .args(["doctor", "--config"])
        .arg(&config)
        .env_clear()
        .env("HOME", home.path())
        .output()
        .expect("it runs");
    let log = home.path().join("here/quarterdeck.log");
    let told = format!("{} (level debug, not written yet)", log.display());
    assert!(text(&out).contains(&told), "{told} in:\n{}", text(&out));
    // A demo writes nothing there.
    let out = Command::new(env!("CARGO_BIN_EXE_quarterdeck"))
        .args(["doctor", "--demo"])
        .env_clear()
        .env("HOME", home.path())
        .env("QUARTERDECK_STATE_DIR", home.path().join("not-here"))
        .output()
        .expect("it runs");
    assert!(!text(&out).contains("not-here"), "{}", text(&out));
}

#[test]
fn a_cluster_that_is_read_only_by_its_settings_has_a_badge() {
    let home = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let kubeconfig = file(
        "kubeconfig",
        "apiVersion: v1\nkind: Config\ncurrent-context: here\ncontexts: [{name: here, context: {cluster: x, user: x}}]\n\
         clusters: [{name: x, cluster: {server: 'http://127.0.0.1:1'}}]\nusers: [{name: x, user: {token: x}}]\n",
    );
    for (read_only, badge) in [(false, false), (true, true)] {
        let config = file("c.toml", &format!("[[cluster]]\ncontext = \"here\"\nread_only = {read_only}\n"));
        let out = quarterdeck(&[
            "snapshot",
            "overview",
            "--kubeconfig",
            &kubeconfig,
            "--config",
            &config,
            "--size",
            "100x20",
        ]);
        let text = text(&out);
        assert!(text.contains(" here "), "{text}{}", error(&out));
        assert_eq!(text.lines().next().is_some_and(|l| l.contains(" RO ")), badge, "{text}");
    }
}

#[test]
fn what_would_stop_the_start_is_told_by_the_check() {
    let home = tempfile::tempdir().expect("a directory");
    let config = home.path().join("c.toml");
    let run = |text: &str, variable: (&str, &str), arguments: &[&str]| {
        std::fs::write(&config, text).expect("a file");
        Command::new(env!("CARGO_BIN_EXE_quarterdeck"))
            .args(arguments)
            .env_clear()
            .env("HOME", home.path())
            .env(variable.0, variable.1)
            .output()
            .expect("it runs")
    };
    let file = config.display().to_string();
    let check = ["config", "check", "--config", &file];
    for (text, variable, says) in [
        ("theme = \"nope\"\n", ("X", ""), "nope"),
        ("keymap = \"nope\"\n", ("X", ""), "nope"),
        ("kubeconfig = \"/nonexistent/kc\"\n", ("X", ""), "/nonexistent/kc does not exist"),
        ("wide = true\n", ("QUARTERDECK_VIEW", "zzz"), "zzz"),
        ("wide = true\n", ("QUARTERDECK_THEME", "zzz"), "zzz"),
    ] {
        let out = run(text, variable, &check);
        assert!(!out.status.success() && error(&out).contains(says), "{text} {variable:?}: {}", error(&out));
    }
    let out = run("theme = \"mono\"\n", ("X", ""), &check);
    assert!(out.status.success(), "{}", error(&out));
    for arguments in [&["themes", "--theme", "nope.toml"][..], &["status", "--theme", "nope", "--demo"]] {
        let out = run("", ("X", ""), arguments);
        assert!(!out.status.success() && error(&out).contains("nope"), "{arguments:?}: {}", error(&out));
    }
}

#[test]
fn a_namespace_that_does_not_exist_is_not_fine() {
    let out = quarterdeck(&["status", "--demo", "-n", "tpyo"]);
    assert_eq!(out.status.code(), Some(2), "{}", text(&out));
    assert!(text(&out).contains("there is no namespace `tpyo`"), "{}", text(&out));
}

#[test]
fn the_history_of_notices_is_printed_in_three_ways() {
    let home = tempfile::tempdir().expect("a directory");
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_quarterdeck"))
            .args(arguments)
            .env("HOME", home.path())
            .env("XDG_STATE_HOME", home.path().join("state"))
            .env("XDG_CONFIG_HOME", home.path().join("config"))
            .output()
            .expect("runs")
    };
    assert!(text(&run(&["spot", "history"])).contains("No notice has been kept"));
    let dir = home.path().join("state/quarterdeck");
    std::fs::create_dir_all(&dir).expect("a directory");
    let lines = concat!(
        r#"{"victim":{"instance":"i-0b66"},"cluster":"prod","name":"node, \"a\"","kind":"interruption","issued":"2026-11-25T03:14:00Z","#,
        r#""deadline":"2026-11-25T03:16:00Z","tasks":11,"outcome":"cut","tasks_cut":2,"told_by":"event-log","late_ms":1200}"#,
        "\n",
        r#"{"victim":{"instance":"i-0b67"},"kind":"interruption","issued":"2026-11-25T03:15:00Z","tasks":3,"outcome":"evacuated","left":40}"#,
        "\n{\"victim\":\n",
    );
    std::fs::write(dir.join("spot-history.jsonl"), lines).expect("writes");
    let table = run(&["spot", "history"]);
    let rows: Vec<String> = text(&table).lines().map(str::to_owned).collect();
    assert!(rows[0].contains("VICTIM") && rows[1].contains("i-0b67") && rows[2].ends_with("2 tasks cut"), "{rows:?}");
    assert!(String::from_utf8_lossy(&table.stderr).contains("1 lines"), "what is damaged is told");
    let json: serde_json::Value =
        serde_json::from_str(&text(&run(&["spot", "history", "--format", "json"]))).expect("JSON");
    assert_eq!(json["version"], 1);
    let first = &json["notices"][0];
    assert_eq!((&first["outcome"], &first["tasks"], &first["tasks_cut"]), (&"cut".into(), &11.into(), &2.into()));
    assert_eq!(json["notices"][1]["seconds_left"], 40);
    let csv = text(&run(&["spot", "history", "--format", "csv"]));
    assert!(csv.contains(r#""node, ""a""""#), "{csv}");
    assert_eq!(csv.lines().count(), 3);
    assert!(text(&run(&["spot", "history", "--since", "1m"])).contains("No notice has been kept"));
    let wrong = run(&["spot", "history", "--since", "soon"]);
    assert!(!wrong.status.success() && String::from_utf8_lossy(&wrong.stderr).contains("7d"));
}
