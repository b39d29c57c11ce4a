//! What OpenSLO v1 knows and this does not do: each is named, at its line, and the rest goes on.

#![expect(
    clippy::panic,
    reason = "helpers of tests fail as tests do, and the lint's exception for tests does not see them"
)]

use quarterdeck::config::diagnostic::{Diagnostic, Severity, Source};
use quarterdeck::slo::{self, Outcome};

/// An SLO with all that is needed, to be changed in one place.
const GOOD: &str = "\
apiVersion: openslo/v1
kind: SLO
metadata:
  name: checkout
spec:
  service: checkout
  budgetingMethod: Occurrences
  timeWindow: [{duration: 30d, isRolling: true}]
  indicator:
    metadata: {name: checkout-ratio}
    spec:
      ratioMetric:
        counter: true
        bad: {metricSource: {type: Prometheus, spec: {query: 'errors_total'}}}
        total: {metricSource: {type: Prometheus, spec: {query: 'requests_total'}}}
  objectives:
    - target: 0.999
";

/// A document of another kind, after the good one.
fn beside(kind: &str, name: &str, spec: &str) -> String {
    format!("{GOOD}---\napiVersion: openslo/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n{spec}")
}

fn changed(from: &str, to: &str) -> String {
    assert_eq!(GOOD.matches(from).count(), 1, "{from}");
    GOOD.replace(from, to)
}

fn read(text: &str) -> Outcome {
    slo::read(&[Source::new("a.yaml", text)])
}

/// The line on which `mark` stands first, from 1.
fn line_of(text: &str, mark: &str) -> usize {
    let at = text.find(mark).unwrap_or_else(|| panic!("no {mark} in\n{text}"));
    text[..at].matches('\n').count() + 1
}

fn printed(found: &[Diagnostic]) -> String {
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n")
}

/// One thing is said, of `mark` and where it stands.
fn says(text: &str, mark: &str, word: &str, severity: Severity) -> Outcome {
    let outcome = read(text);
    let [only] = outcome.found.as_slice() else { panic!("{mark}: one thing is wrong\n{}", printed(&outcome.found)) };
    assert!(only.message.contains(word), "{word}: {only}");
    assert_eq!((only.line, only.severity), (line_of(text, mark), severity), "{mark}\n{only}");
    assert!(only.allowed.is_some() || only.hint.is_some(), "what to do instead: {only}");
    outcome
}

#[test]
fn the_good_one_is_good() {
    let outcome = read(GOOD);
    assert!(outcome.found.is_empty(), "{}", printed(&outcome.found));
    assert_eq!(outcome.definitions.len(), 1);
}

/// Kinds and versions that are not read: a warning each, and the objective beside them is read.
#[test]
fn kinds_that_are_not_read_are_named() {
    for (kind, spec) in [
        ("AlertNotificationTarget", "  target: slack\n"),
        ("BudgetAdjustment", "  service: checkout\n"),
        ("PrometheusRule", "  groups: []\n"),
    ] {
        let text = beside(kind, "other", spec);
        let outcome = says(&text, &format!("kind: {kind}"), &format!("kind `{kind}` is not read"), Severity::Warning);
        assert_eq!(outcome.definitions.len(), 1, "{kind}");
    }
    for version in ["openslo/v1alpha", "openslo/v1beta1", "openslo/v2alpha1", "openslo.com/v1"] {
        let text = format!("{GOOD}---\napiVersion: {version}\nkind: SLO\nmetadata: {{name: old}}\nspec: {{}}\n");
        let outcome = says(
            &text,
            &format!("apiVersion: {version}"),
            &format!("apiVersion `{version}` is not read"),
            Severity::Warning,
        );
        assert_eq!(outcome.definitions.len(), 1, "{version}");
    }
}

/// Every kind of the specification is read, or named.
#[test]
fn each_kind_of_the_specification_is_read_or_named() {
    for kind in ["SLO", "SLI", "DataSource", "Service", "AlertPolicy", "AlertCondition", "AlertNotificationTarget"] {
        let text = format!("apiVersion: openslo/v1\nkind: {kind}\nmetadata: {{name: x}}\nspec: {{}}\n");
        let outcome = read(&text);
        let is_named = outcome.found.iter().any(|d| d.line == 2 && d.message.contains(&format!("kind `{kind}`")));
        assert_eq!(is_named, !slo::openslo::KINDS.contains(&kind), "{kind}:\n{}", printed(&outcome.found));
    }
}

#[test]
fn systems_that_cannot_be_asked_are_named_where_they_are_said() {
    for system in ["Datadog", "NewRelic", "Redshift", "AppDynamics"] {
        let text = GOOD.replace("type: Prometheus", &format!("type: {system}"));
        let outcome = read(&text);
        // Good or bad, and all.
        let lines: Vec<usize> = outcome.found.iter().map(|d| d.line).collect();
        assert_eq!(lines, [14, 15], "{}", printed(&outcome.found));
        for d in &outcome.found {
            assert!(
                d.message.contains(&format!("`{system}` cannot be asked")) && d.severity == Severity::Warning,
                "{d}"
            );
        }
        assert_eq!(outcome.definitions.len(), 1, "it is shown all the same");
    }
    // Said by the data source, it is named where that is used.
    let referred = GOOD.replace("type: Prometheus", "metricSourceRef: dog");
    let text = format!(
        "{referred}---\napiVersion: openslo/v1\nkind: DataSource\nmetadata: {{name: dog}}\nspec: {{type: Datadog}}\n"
    );
    let found = read(&text).found;
    assert_eq!(found.iter().map(|d| d.line).collect::<Vec<_>>(), [14, 15], "{}", printed(&found));
}

/// Composite objectives, in each way to write one: the SLO is left out, and named.
#[test]
fn composite_objectives_are_named() {
    for key in ["indicatorRef: other", "compositeWeight: 2", "indicator: {}"] {
        let text = changed("    - target: 0.999\n", &format!("    - target: 0.999\n      {key}\n"));
        let text = format!("{text}---\n{}", GOOD.replace("name: checkout\n", "name: second\n"));
        let mark = format!("      {key}");
        let outcome = says(&text, &mark, "composite SLOs are not supported", Severity::Warning);
        assert_eq!(outcome.definitions.len(), 1, "{key}: the other one is read");
    }
}

/// Fields of kinds that are read, which change nothing here.
#[test]
fn fields_that_do_nothing_are_named() {
    let condition = "  conditions: [{kind: AlertCondition, metadata: {name: c}, spec: {severity: page, condition: {kind: burnrate, op: gt, threshold: 2, lookbackWindow: 1h}}}]\n";
    for (field, mark) in [
        ("  alertWhenNoData: true\n", "alertWhenNoData"),
        ("  alertWhenResolved: true\n", "alertWhenResolved"),
        ("  alertWhenBreaching: false\n", "alertWhenBreaching"),
        ("  notificationTargets: [{targetRef: oncall}]\n", "notificationTargets"),
    ] {
        let text = beside("AlertPolicy", "p", &format!("{condition}{field}"));
        let outcome = says(&text, mark, &format!("`{mark}` is not read"), Severity::Warning);
        assert_eq!((outcome.definitions.len(), outcome.policies.len()), (1, 1), "{field}");
    }
    // Said as it is done anyway, there is nothing to say.
    let text = beside(
        "AlertPolicy",
        "p",
        &format!("{condition}  alertWhenNoData: false\n  alertWhenResolved: false\n  alertWhenBreaching: true\n"),
    );
    assert!(read(&text).found.is_empty(), "{}", printed(&read(&text).found));
    let one = "  severity: page\n  condition:\n    op: gt\n    threshold: 2\n    lookbackWindow: 1h\n";
    let text = beside("AlertCondition", "c", &format!("{one}    alertAfter: 5m\n"));
    says(&text, "alertAfter", "`alertAfter` is not read", Severity::Warning);
    // `burnrate` and `0m` are what is meant when nothing is said.
    let text = beside("AlertCondition", "c", &format!("{one}    alertAfter: 0m\n"));
    assert!(read(&text).found.is_empty(), "{}", printed(&read(&text).found));
    let text = beside("AlertCondition", "c", &format!("{one}    kind: anomaly\n"));
    says(&text, "kind: anomaly", "conditions of kind `anomaly` are not read", Severity::Warning);
    let text = beside("AlertCondition", "c", &one.replace("gt", "lte"));
    says(&text, "op: lte", "`op: lte` is read as `gt`", Severity::Warning);
    let text = beside("AlertCondition", "c", &one.replace("page", "sev1"));
    says(&text, "severity: sev1", "severity `sev1` is read as `ticket`", Severity::Warning);
    let details =
        "  type: Prometheus\n  connectionDetails:\n    - url: http://prometheus.example\n      apiKey: s3cret\n";
    let text = beside("DataSource", "d", details);
    let outcome = says(&text, "connectionDetails", "`connectionDetails` is not read", Severity::Warning);
    assert!(!printed(&outcome.found).contains("s3cret"));
}

#[test]
fn fields_that_do_not_go_together_are_named() {
    let slices = |method: &str, objective: &str| {
        changed("Occurrences", method).replace("    - target: 0.999\n", &format!("    - target: 0.999\n{objective}"))
    };
    let target = "      timeSliceTarget: 0.9\n";
    let window = "      timeSliceWindow: 1m\n";
    for (text, mark, word, severity) in [
        (
            slices("Occurrences", target),
            "timeSliceTarget",
            "says nothing with budgetingMethod Occurrences",
            Severity::Warning,
        ),
        (
            slices("Occurrences", window),
            "timeSliceWindow",
            "says nothing with budgetingMethod Occurrences",
            Severity::Warning,
        ),
        (
            slices("RatioTimeslices", &format!("{window}{target}")),
            "timeSliceTarget",
            "says nothing with budgetingMethod RatioTimeslices",
            Severity::Warning,
        ),
        (slices("Timeslices", window), "- target", "has no `timeSliceTarget`", Severity::Error),
        (slices("RatioTimeslices", ""), "- target", "has no `timeSliceWindow`", Severity::Error),
        (changed("Occurrences", "Rolling"), "Rolling", "unknown budgetingMethod `Rolling`", Severity::Error),
        (
            changed("counter: true", "counter: true\n        rawType: success"),
            "rawType",
            "says nothing without `raw`",
            Severity::Warning,
        ),
        (
            changed("isRolling: true}]", "isRolling: true}, {duration: 7d, isRolling: true}]"),
            "timeWindow",
            "has 2 windows",
            Severity::Error,
        ),
        (changed("isRolling: true}]", "isRolling: false}]"), "isRolling", "needs a `calendar`", Severity::Error),
        (
            changed("- target: 0.999", "- target: 0.999\n      op: lt"),
            "op: lt",
            "`op` belongs to a thresholdMetric",
            Severity::Error,
        ),
        (
            changed("- target: 0.999", "- target: 0.999\n      value: 3"),
            "value: 3",
            "`value` belongs to a thresholdMetric",
            Severity::Error,
        ),
        (changed("- target: 0.999", "- target: 0.0"), "target: 0.0", "always met", Severity::Error),
    ] {
        says(&text, mark, word, severity);
    }
}

/// A ratio that somebody has computed, of every type.
#[test]
fn raw_ratios_are_read_and_what_spoils_them_is_named() {
    let with = |raw: &str| {
        let from = GOOD.find("        counter").unwrap();
        let to = GOOD.find("  objectives").unwrap();
        format!("{}{raw}{}", &GOOD[..from], &GOOD[to..])
    };
    let raw = "        raw: {metricSource: {type: Prometheus, spec: {query: 'avg(ratio[{{.window}}])'}}}\n";
    for kind in ["success", "failure"] {
        let outcome = read(&with(&format!("        rawType: {kind}\n{raw}")));
        assert!(outcome.found.is_empty() && outcome.definitions.len() == 1, "{}", printed(&outcome.found));
    }
    says(&with(raw), "ratioMetric", "has no `rawType`", Severity::Error);
    says(&with(&format!("        rawType: median\n{raw}")), "rawType", "unknown rawType `median`", Severity::Error);
    let both = format!("        rawType: success\n{raw}        total: {{}}\n");
    says(&with(&both), "total", "`raw` is the whole ratio", Severity::Error);
    let fixed = raw.replace("avg(ratio[{{.window}}])", "ratio");
    says(&with(&format!("        rawType: success\n{fixed}")), "raw:", "a ratio over one window", Severity::Error);
    let cloud = raw.replace(
        "Prometheus, spec: {query: 'avg(ratio[{{.window}}])'}",
        "CloudWatch, spec: {namespace: A, metricName: B}",
    );
    says(&with(&format!("        rawType: success\n{cloud}")), "raw:", "ratios from CloudWatch", Severity::Error);
}

/// A threshold on any expression, as OpenSLO's examples have it: by slices of time.
#[test]
fn a_query_with_ranges_of_its_own_is_asked_as_it_stands() {
    let threshold = |query: &str, method: &str| {
        format!(
            "apiVersion: openslo/v1\nkind: SLO\nmetadata: {{name: lag}}\nspec:\n  service: s\n  budgetingMethod: {method}\n  \
             timeWindow: [{{duration: 30d, isRolling: true}}]\n  indicator:\n    metadata: {{name: lag}}\n    spec:\n      \
             thresholdMetric:\n        metricSource:\n          type: Prometheus\n          spec:\n            query: {query}\n  \
             objectives:\n    - {{op: lt, value: 100, target: 0.99, timeSliceWindow: 1, timeSliceTarget: 1}}\n"
        )
    };
    let query = "sum(min_over_time(lag{topic=\"in\"}[2m]))";
    let outcome = says(&threshold(query, "Timeslices"), "query:", "has no `{{.window}}`", Severity::Warning);
    let [one] = outcome.definitions.as_slice() else { panic!() };
    assert_eq!(one.objective.method.slicing().unwrap().slice.secs(), 60, "a bare number is in minutes");
    // For events there is nothing to count.
    let outcome = read(&threshold(query, "Occurrences"));
    assert!(outcome.has_errors() && outcome.definitions.is_empty());
    for broken in ["sum(min_over_time(lag[2m])", "lag[2m", "lag / other"] {
        assert!(read(&threshold(broken, "Timeslices")).has_errors(), "{broken}");
    }
}

/// A key that no kind has is a mistake, with those that it has.
#[test]
fn unknown_keys_are_mistakes_in_every_kind() {
    for (kind, spec) in [
        ("SLI", "  ratioMetric: {}\n  odd: 1\n"),
        ("DataSource", "  type: Prometheus\n  odd: 1\n"),
        ("Service", "  odd: 1\n"),
        ("AlertPolicy", "  odd: 1\n"),
        ("AlertCondition", "  odd: 1\n"),
    ] {
        let text = beside(kind, "x", spec);
        let found = read(&text).found;
        let line = line_of(&text, "odd");
        assert!(
            found.iter().any(|d| d.line == line && d.message == "unknown key `odd` in `spec`" && d.allowed.is_some()),
            "{kind}:\n{}",
            printed(&found)
        );
    }
}
