//! `quarterdeck slo check`, run as a script runs it, and the page that documents it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const PAGE: &str = include_str!("../docs/slo.md");

fn check(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_quarterdeck"))
        .args(["slo", "check"])
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slo"))
        .env_clear()
        .output()
        .unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn error(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The fenced blocks of a language on the page.
fn blocks(language: &str) -> Vec<&'static str> {
    PAGE.split(&format!("```{language}\n")).skip(1).map(|b| b.split("```").next().unwrap()).collect()
}

#[test]
fn a_fine_file_is_explained() {
    let has = check(&["valid/minimal-prometheus.yaml"]);
    assert_eq!((has.status.code(), error(&has).as_str()), (Some(0), ""));
    let golden =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slo/valid/minimal-prometheus.txt"));
    assert_eq!(out(&has), golden.unwrap());
}

#[test]
fn mistakes_exit_with_two_and_warnings_do_not() {
    let has = check(&["invalid/target1.yaml", "valid/minimal-cloudwatch.yaml"]);
    assert_eq!(has.status.code(), Some(2));
    assert!(error(&has).starts_with("quarterdeck: 1 mistake\nerror: `target` cannot be `1.0`"), "{}", error(&has));
    assert!(error(&has).contains(" --> invalid/target1.yaml:30:15"), "{}", error(&has));
    assert!(out(&has).contains("checkout-alb-availability"), "the other file is read all the same");
    let has = check(&["valid/warnings.yaml"]);
    assert_eq!(has.status.code(), Some(0));
    assert!(error(&has).starts_with("quarterdeck: 10 warnings\n"), "{}", error(&has));
    assert_eq!(check(&[]).status.code(), Some(2), "at least one file");
}

#[test]
fn what_cannot_be_read_is_a_mistake() {
    let has = check(&["nowhere.yaml"]);
    assert_eq!(has.status.code(), Some(2));
    assert!(error(&has).contains("error: no such file\n --> nowhere.yaml"), "{}", error(&has));
}

#[test]
fn a_directory_stands_for_its_files() {
    // Two of the specification's examples have the same name: of those, the first one holds.
    let has = check(&["published", "--format", "json"]);
    assert_eq!(has.status.code(), Some(2));
    let json: Value = serde_json::from_str(&out(&has)).unwrap();
    assert_eq!((json["version"].as_u64(), json["ok"].as_bool()), (Some(1), Some(false)));
    assert_eq!(json["slos"].as_array().unwrap().len(), 4);
    let names: Vec<&str> = json["slos"].as_array().unwrap().iter().map(|s| s["slo"].as_str().unwrap()).collect();
    assert!(names.contains(&"search-slo"));
    let errors: Vec<&str> = json["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|d| d["severity"] == "error")
        .map(|d| d["message"].as_str().unwrap())
        .collect();
    assert_eq!(errors, ["there are two of kind SLO called `service-availability`"]);
    let files = ["occurences-slo", "ratio-timeslices", "timeslices-slo"]
        .map(|f| format!("published/budgeting-method--{f}.yaml"));
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    assert_eq!(check(&files).status.code(), Some(0));
}

#[test]
fn json_says_it_all() {
    let has =
        check(&["--format", "json", "invalid/both-targets.yaml", "valid/calendar.yaml", "valid/alert-policy.yaml"]);
    assert_eq!((has.status.code(), error(&has).as_str()), (Some(2), ""));
    let json: Value = serde_json::from_str(&out(&has)).unwrap();
    let d = &json["diagnostics"][0];
    assert_eq!(
        (d["severity"].as_str(), d["line"].as_u64(), d["column"].as_u64(), d["value"].as_str()),
        (Some("error"), Some(31), Some(22), Some("99.9"))
    );
    assert_eq!(json["policies"][0]["rows"][0]["factor"], 14.4);
    for key in ["version", "ok", "slos", "policies", "diagnostics"] {
        assert!(json.get(key).is_some() && PAGE.contains(&format!("`{key}`")), "{key}");
    }
    for list in [&json["diagnostics"][0], &json["policies"][0]["rows"][0]] {
        for key in list.as_object().unwrap().keys() {
            assert!(PAGE.contains(&format!("`{key}`")), "docs/slo.md does not have {key}");
        }
    }
}

#[test]
fn the_pages_examples_are_what_they_say() {
    let dir = tempfile::tempdir().unwrap();
    let yaml = blocks("yaml");
    assert_eq!(yaml.len(), 3);
    for (i, text) in yaml.iter().enumerate() {
        let file = dir.path().join(format!("{i}.yaml"));
        std::fs::write(&file, text).unwrap();
        let has = check(&[file.to_str().unwrap()]);
        assert_eq!((has.status.code(), error(&has).as_str()), (Some(0), ""), "{text}");
        if i == 0 {
            assert_eq!(out(&has), blocks("text")[0]);
        }
    }
    for key in ["slo", "objective", "title", "service", "window_secs", "budget_secs", "min_bad", "rows"] {
        assert!(PAGE.contains(&format!("`{key}`")), "{key}");
    }
}
