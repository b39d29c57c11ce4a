//! Kinds `AlertPolicy` and `AlertCondition`: rows that take the place of the usual ones.

use super::fields::{Fields, Reading};
use super::{Document, Names, find};
use crate::domain::slo::{DecimalError, Factor, Lookback, Row, Severity};
use crate::domain::text;
use crate::slo::yaml::{Node, Value};

/// A row, or part of one.
#[derive(Debug, Clone, Copy)]
pub struct Condition {
    row: Row,
}

/// The rows of a policy, the fastest first.
pub fn rows(conditions: &[Condition]) -> Vec<Row> {
    let mut rows: Vec<Row> = conditions.iter().map(|c| c.row).collect();
    rows.sort_by_key(|r| (r.long, std::cmp::Reverse(r.severity)));
    rows
}

/// The conditions of a policy, its own and those it refers to.
pub fn policy(d: &Document<'_>, names: &Names) -> Option<Vec<Condition>> {
    let r = d.r;
    let known = [
        "description",
        "alertWhenNoData",
        "alertWhenResolved",
        "alertWhenBreaching",
        "conditions",
        "notificationTargets",
    ];
    let spec = d.spec(&known)?;
    unread(r, &spec);
    let items = spec.list(r, "conditions");
    if items.is_empty() {
        if spec.get("conditions").is_none_or(|n| matches!(n.value, Value::List(_))) {
            spec.missing(r, "conditions", "a list of conditions", "[{conditionRef: my-condition}]");
        }
        return None;
    }
    // All are read before one that is wrong spoils the policy.
    let read: Vec<Option<Condition>> = items.iter().map(|item| item_condition(r, item, names)).collect();
    read.into_iter().collect()
}

/// What a policy may say that changes nothing here.
fn unread(r: &Reading<'_>, spec: &Fields<'_>) {
    if spec.boolean(r, "alertWhenNoData") == Some(true) {
        spec.unread(r, "alertWhenNoData", "an objective without data is shown as such, and calls nobody");
    }
    if spec.boolean(r, "alertWhenResolved") == Some(true) {
        spec.unread(r, "alertWhenResolved", "what has recovered is shown as fine, and calls nobody");
    }
    if spec.boolean(r, "alertWhenBreaching") == Some(false) {
        spec.unread(r, "alertWhenBreaching", "conditions always count; take the policy out of the SLO instead");
    }
    if spec.get("notificationTargets").is_some() {
        spec.unread(
            r,
            "notificationTargets",
            "whoever looks sees the page; the settings' `notify.how` can ring a bell",
        );
    }
}

fn item_condition<'n>(r: &'n Reading<'n>, item: &'n Node, names: &Names) -> Option<Condition> {
    let f = Fields::open(r, item, &item.at, "conditions", &["conditionRef", "apiVersion", "kind", "metadata", "spec"])?;
    if let Some((name, node)) = f.text(r, "conditionRef") {
        return find(r, node, "AlertCondition", name, &names.conditions).copied();
    }
    condition(&Document::with_kind(r, &f, "AlertCondition")?)
}

/// A condition.
pub fn condition(d: &Document<'_>) -> Option<Condition> {
    let r = d.r;
    let spec = d.spec(&["description", "severity", "condition"])?;
    let severity = severity(r, &spec);
    if spec.get("condition").is_none() {
        spec.missing(r, "condition", "a map", "{kind: burnrate, op: gt, threshold: 14.4, lookbackWindow: 1h}");
    }
    let f = spec.map(r, "condition", &["kind", "op", "threshold", "lookbackWindow", "alertAfter"])?;
    // Without one it is the only one there is.
    let kind = f.text(r, "kind");
    if let Some((kind, node)) = kind
        && !kind.eq_ignore_ascii_case("burnrate")
    {
        r.note(
            r.bad(node, format!("conditions of kind `{}` are not read", text::clean(kind)))
                .warning()
                .allowed("burnrate"),
        );
        return None;
    }
    if let Some((op, node)) = f.text(r, "op") {
        match op {
            "gt" => {}
            "gte" | "lt" | "lte" => {
                let message = format!("`op: {op}` is read as `gt`: a budget is in danger when it burns faster");
                r.note(r.bad(node, message).warning().allowed("gt"));
            }
            _ => r.note(
                r.bad(node, format!("unknown op `{}`", text::clean(op))).allowed("gt").did_you_mean(op, ["gt", "gte"]),
            ),
        }
    }
    let factor = f.need(r, "threshold", "a decimal above 0", "14.4").and_then(|(text, node)| {
        let why = |e: DecimalError| {
            let message = match e {
                DecimalError::NotADecimal => format!("`{}` is not a burn rate", text::clean(text)),
                other => format!("`{}` has {other}", text::clean(text)).replace("has too large", "is too large"),
            };
            r.note(r.bad(node, message).allowed("a decimal above 0 with six decimals at most, such as 14.4"));
        };
        text.parse::<Factor>().map_err(why).ok()
    });
    let long = f.need(r, "lookbackWindow", "a duration", "1h").and_then(|(text, node)| duration(r, node, text));
    if let Some((text, node)) = f.text(r, "alertAfter")
        && duration_or_none(r, node, text)
    {
        f.unread(r, "alertAfter", "a row fires once both its windows are over; write `0m`");
    }
    let (severity, factor, long) = (severity?, factor?, long?);
    // A twelfth, as in the usual rows, in whole minutes.
    let short = Lookback::minutes(long.secs().div_ceil(12 * 60));
    Some(Condition { row: Row { severity, long, short, factor } })
}

fn severity(r: &Reading<'_>, spec: &Fields<'_>) -> Option<Severity> {
    let (word, node) = spec.need(r, "severity", "page, ticket", "page")?;
    match word.to_ascii_lowercase().as_str() {
        "page" | "critical" => Some(Severity::Page),
        "ticket" | "warning" => Some(Severity::Ticket),
        _ => {
            let d = r.bad(node, format!("severity `{}` is read as `ticket`", text::clean(word))).warning();
            r.note(d.allowed("page (or critical), ticket (or warning)").did_you_mean(word, ["page", "ticket"]));
            Some(Severity::Ticket)
        }
    }
}

/// A window of fixed length, or a note that it is none.
pub fn duration(r: &Reading<'_>, node: &Node, text: &str) -> Option<Lookback> {
    text.parse::<Lookback>()
        .map_err(|e| {
            let d = r.bad(node, format!("`{}`: {e}", text::clean(text)));
            r.note(d.allowed("a whole number with m, h, d or w, such as 30m or 28d"));
        })
        .ok()
}

/// Like [`duration`], and `0m` is fine. Whether it is a duration, and more than none.
fn duration_or_none(r: &Reading<'_>, node: &Node, text: &str) -> bool {
    let is_some = text.trim_end_matches(char::is_alphabetic).bytes().any(|b| b != b'0');
    is_some && duration(r, node, text).is_some()
}
