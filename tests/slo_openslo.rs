//! OpenSLO files, valid and invalid, with the whole of what `slo check` prints.
//!
//! `tests/slo/valid` and `tests/slo/published` are accepted, the latter with warnings, for
//! the specification's own examples do not keep to it. `tests/slo/invalid` is refused.
//! Beside each file stands what is printed, in a `.txt` file; `UPDATE_GOLDENS=1`
//! rewrites these.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use quarterdeck::config::diagnostic::{Severity, Source};
use quarterdeck::slo::query::{self, Query};
use quarterdeck::slo::{self, Outcome, describe};

fn files(folder: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slo").join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "yaml"));
    files.sort();
    assert!(files.len() >= 4, "{folder}");
    files
}

fn valid(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slo/valid").join(name)).unwrap()
}

fn source(path: &Path) -> Source {
    Source::new(path.file_name().unwrap().to_str().unwrap(), std::fs::read_to_string(path).unwrap())
}

fn read(path: &Path) -> Outcome {
    slo::read(&[source(path)])
}

fn printed(outcome: &Outcome) -> String {
    let mut parts: Vec<String> = outcome.found.iter().map(ToString::to_string).collect();
    parts.extend(outcome.definitions.iter().map(|d| describe::describe(d).trim_end().to_owned()));
    for (name, rows) in &outcome.policies {
        let rows: Vec<String> = rows.iter().map(|r| format!("  {r}")).collect();
        parts.push(format!("alert policy {}\n{}", name.as_str(), rows.join("\n")));
    }
    parts.join("\n\n")
}

fn compare(file: &Path, has: &str) -> Option<String> {
    let golden = file.with_extension("txt");
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(&golden, format!("{has}\n")).unwrap();
    }
    let want = std::fs::read_to_string(&golden).unwrap_or_default();
    (want.trim_end() != has.trim_end()).then(|| format!("{}:\n--- want\n{want}\n--- has\n{has}\n", file.display()))
}

#[test]
fn what_is_printed_is_what_it_was() {
    let all = ["valid", "published", "invalid"].into_iter().flat_map(files);
    let wrong: Vec<String> = all.filter_map(|f| compare(&f, &printed(&read(&f)))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn valid_files_are_accepted() {
    for file in files("valid") {
        let outcome = read(&file);
        assert!(!outcome.has_errors(), "{}:\n{}", file.display(), printed(&outcome));
        assert!(!outcome.definitions.is_empty() || !outcome.policies.is_empty(), "{}", file.display());
        let warns = file.file_stem().is_some_and(|stem| stem == "warnings" || stem == "alert-policy");
        assert_eq!(!outcome.found.is_empty(), warns, "{}:\n{}", file.display(), printed(&outcome));
    }
}

#[test]
fn the_specifications_examples_are_accepted_with_warnings() {
    for file in files("published") {
        let outcome = read(&file);
        assert!(!outcome.has_errors(), "{}:\n{}", file.display(), printed(&outcome));
        assert!(!outcome.definitions.is_empty(), "{}", file.display());
        assert!(outcome.found.iter().all(|d| d.severity == Severity::Warning && d.line > 0));
        // `type: Any` is no system.
        assert!(outcome.found.iter().any(|d| d.message.contains("`Any` cannot be asked")));
    }
}

#[test]
fn invalid_files_are_refused_at_a_line() {
    for file in files("invalid") {
        let outcome = read(&file);
        assert!(outcome.has_errors(), "{} was accepted:\n{}", file.display(), printed(&outcome));
        for d in outcome.found {
            assert!(d.line > 0 && d.column > 0, "{}:\n{d}", file.display());
            assert!(d.allowed.is_some() || d.hint.is_some() || d.message.contains("YAML"), "{}:\n{d}", file.display());
        }
    }
}

/// Each published mistake, refused for what it was made to show, and nothing else.
#[test]
fn every_known_mistake_is_refused_for_its_reason() {
    for (name, line, value, word) in [
        ("no-method", 5, None, "`spec` has no `budgetingMethod`"),
        ("both-targets", 31, Some("99.9"), "`target` and `targetPercent` say the same twice"),
        ("target1", 30, Some("1.0"), "a target of 100% leaves no budget"),
        ("name", 4, Some("Checkout_Availability"), "is not a name"),
        ("nocal", 10, Some("false"), "a window that does not roll needs a `calendar`"),
        ("op-ratio", 31, Some("gt"), "`op` belongs to a thresholdMetric"),
        ("unknown", 7, Some("runbook"), "unknown key `runbook` in `spec`"),
        ("empty-objectives", 29, None, "without objectives promises nothing"),
    ] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/slo/invalid/{name}.yaml"));
        let outcome = read(&file);
        let [only] = outcome.found.as_slice() else { panic!("{name}:\n{}", printed(&outcome)) };
        assert!(only.message.contains(word), "{only}");
        assert_eq!((only.line, only.value.as_deref()), (line, value), "{only}");
    }
}

#[test]
fn references_lead_from_file_to_file() {
    let whole = valid("everything.yaml");
    let parts: Vec<Source> =
        whole.split("---\n").enumerate().map(|(i, t)| Source::new(format!("{i}.yaml"), t)).collect();
    let apart = slo::read(&parts);
    let together = slo::read(&[Source::new("all.yaml", whole.as_str())]);
    assert!(apart.found.is_empty(), "{}", printed(&apart));
    assert_eq!(printed(&apart), printed(&together));
    // Without the SLI, its name is missed where it is used.
    let missing = slo::read(&parts[..1]);
    assert!(missing.found.iter().any(|d| d.file == "0.yaml" && d.message == "there is no SLI called `checkout-ratio`"));
}

#[test]
fn one_mistake_does_not_hide_the_rest() {
    let good = valid("minimal-prometheus.yaml");
    let bad = good.replace("checkout-availability\n", "other\n").replace("0.999", "1");
    let outcome = slo::read(&[Source::new("a.yaml", format!("{bad}---\n{good}")), Source::new("b.yaml", "a: [")]);
    assert_eq!(outcome.definitions.len(), 1);
    assert_eq!(outcome.found.len(), 2, "{}", printed(&outcome));
}

#[test]
fn hostile_text_stays_harmless() {
    let good = valid("minimal-prometheus.yaml");
    let text = good
        .replace("service: checkout", "service: \"\\e]52;c;eA==\\a\\u202echeckout\"")
        .replace("target: 0.999", "target: \"0.9\\e[31m\"");
    let outcome = slo::read(&[Source::new("a.yaml", text.as_str())]);
    let all = printed(&outcome);
    assert!(
        outcome.has_errors() && !all.chars().any(|c| c != '\n' && quarterdeck::domain::text::is_unsafe(c)),
        "{all:?}"
    );
    // A bomb of aliases is refused, not unfolded.
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..10 {
        let items = vec![format!("*a{}", i - 1); 10].join(", ");
        bomb.push_str(&format!("a{i}: &a{i} [{items}]\n"));
    }
    assert!(slo::read(&[Source::new("bomb.yaml", bomb)]).has_errors());
}

#[test]
fn objectives_with_one_name_stay_apart() {
    let good = valid("everything.yaml");
    let outcome = slo::read(&[Source::new("a.yaml", good.replace("displayName: contract", "displayName: internal"))]);
    let keys: Vec<String> = outcome.definitions.iter().map(|d| d.objective.key()).collect();
    assert_eq!(keys, ["checkout-availability/internal #1", "checkout-availability/internal #2"]);
}

proptest! {
    /// Whatever a file has become, it is read or refused, at a place that it has.
    #[test]
    fn damaged_files_are_no_trouble(which in 0_usize..5, cuts in prop::collection::vec((0.0_f64..1.0, 0_usize..12, "[ -~é\\n]{0,4}"), 1..6)) {
        let names = ["everything.yaml", "latency.yaml", "calendar.yaml", "minimal-cloudwatch.yaml", "warnings.yaml"];
        let mut text: Vec<char> = valid(names[which]).chars().collect();
        for (at, length, put) in cuts {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a short text")]
            let at = (at * text.len() as f64) as usize;
            let end = (at + length).min(text.len());
            text.splice(at..end, put.chars());
        }
        let text: String = text.into_iter().collect();
        let lines = text.matches('\n').count() + 1;
        let outcome = slo::read(&[Source::new("x.yaml", text)]);
        for d in &outcome.found {
            prop_assert!((1..=lines).contains(&d.line), "{d}");
        }
        for d in &outcome.definitions {
            prop_assert!(describe::describe(d).contains("target"));
        }
    }

    #[test]
    fn what_is_taken_for_a_selector_stays_one(text in "(sum ?)?(by \\(a\\) )?\\(?[a-z_:]{0,5}(\\{[a-z]{0,3}[=~!]{0,2}[\"'a}é\\\\]{0,6}\\})?(\\[5m\\])?[) ]{0,2}") {
        if let Ok(Query::Counter(selector)) = query::read(&text, true) {
            prop_assert_eq!(query::read(&selector.text(), true), Ok(Query::Counter(selector)), "{}", text);
        }
    }
}
