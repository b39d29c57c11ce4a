//! Kinds `SLI` and `DataSource`, and indicators within an SLO.

use std::ops::Range;

use super::fields::{Fields, Reading};
use super::{Document, Names};
use crate::config::diagnostic::Source;
use crate::domain::text;
use crate::slo::query::{self, ADVICE, Query, Selector, Template};
use crate::slo::signal::{CloudWatchCount, CloudWatchMetric, CloudWatchSignal, Part, PrometheusSignal, Signal, Sum};
use crate::slo::yaml::{Node, Value};

/// The systems that can be asked, as OpenSLO files name them.
const TYPES: &str = "Prometheus, CloudWatch";

/// An indicator, read.
#[derive(Debug, Clone)]
pub struct Indicator {
    /// What it measures.
    pub kind: Kind,
    /// Which system, by name.
    pub source: Option<String>,
}

/// What an indicator measures.
#[derive(Debug, Clone)]
pub enum Kind {
    /// It is complete.
    Ratio(Signal),
    /// It needs the objective's threshold.
    Threshold(Threshold),
}

/// Something to be held against a threshold.
#[derive(Debug, Clone)]
pub enum Threshold {
    /// Buckets of a histogram.
    Buckets(Selector),
    /// A value in each slice of time.
    Value(Template),
    /// A metric of CloudWatch.
    CloudWatch(CloudWatchMetric),
    /// A metric of CloudWatch and the statistic of it that is a value in each slice of time.
    CloudWatchValue(CloudWatchMetric, String),
    /// A system that cannot be asked.
    Unsupported(String),
}

/// The type of a data source. What connects to it is not read: credentials do not belong here.
pub fn data_source(d: &Document<'_>) -> Option<String> {
    let spec = d.spec(&["type", "description", "connectionDetails"])?;
    if spec.get("connectionDetails").is_some() {
        spec.unread(
            d.r,
            "connectionDetails",
            "say in the settings how it is reached; take credentials out of this file",
        );
    }
    spec.need(d.r, "type", TYPES, "Prometheus").map(|(t, _)| t.to_owned())
}

/// An SLI.
pub fn read(d: &Document<'_>, names: &Names) -> Option<Indicator> {
    let r = d.r;
    let spec = d.spec(&["description", "ratioMetric", "thresholdMetric"])?;
    match (spec.get("ratioMetric"), spec.get("thresholdMetric")) {
        (Some(_), None) => ratio(r, &spec, names),
        (None, Some(_)) => threshold(r, &spec, names),
        (Some(_), Some(_)) => {
            r.note(
                r.at(&spec.key_at("thresholdMetric"), "an indicator has one metric")
                    .allowed("either ratioMetric or thresholdMetric"),
            );
            None
        }
        (None, None) => {
            let d = r.at(&spec.at, "the indicator measures nothing");
            r.note(d.allowed("ratioMetric, thresholdMetric"));
            None
        }
    }
}

/// A metric source: which system, and what to ask.
struct Metric<'n> {
    kind: System,
    source: Option<String>,
    spec: Option<Fields<'n>>,
    /// A query that stands in the place of a map.
    plain: Option<&'n Node>,
    at: Range<usize>,
}

#[derive(Debug, Clone, PartialEq)]
enum System {
    Prometheus,
    CloudWatch,
    Other(String),
}

fn metric<'n>(r: &Reading<'_>, parent: &Fields<'n>, key: &str, names: &Names) -> Option<Metric<'n>> {
    let at = parent.key_at(key);
    let holder = parent.map(r, key, &["metricSource"])?;
    if holder.get("metricSource").is_none() {
        holder.missing(r, "metricSource", "a map with type and spec", "{type: Prometheus, spec: {query: ...}}");
    }
    let m = holder.map(r, "metricSource", &["type", "metricSourceRef", "spec"])?;
    let reference = m.text(r, "metricSourceRef");
    let referred = reference.and_then(|(name, _)| names.sources.get(name).cloned().flatten());
    let own = m.text(r, "type");
    if let (Some((own, node)), Some(referred)) = (own, &referred)
        && !own.eq_ignore_ascii_case(referred)
    {
        let name = reference.map_or("", |(name, _)| name);
        r.note(
            r.bad(node, format!("the data source `{}` is of type {}", text::clean(name), text::clean(referred)))
                .allowed(text::clean(referred)),
        );
    }
    let Some(kind) = own.map(|(t, _)| t.to_owned()).or(referred) else {
        m.missing(r, "type", TYPES, "Prometheus");
        return None;
    };
    let kind = match kind.to_ascii_lowercase().as_str() {
        "prometheus" => System::Prometheus,
        "cloudwatch" => System::CloudWatch,
        _ => {
            let node = own.map_or(at.clone(), |(_, n)| n.at.clone());
            let d =
                r.at(&node, format!("`{}` cannot be asked: the SLO is shown, and not measured", text::clean(&kind)));
            r.note(d.warning().value(kind.clone()).allowed(TYPES).did_you_mean(&kind, ["Prometheus", "CloudWatch"]));
            System::Other(kind)
        }
    };
    let source = reference.map(|(name, _)| name.to_owned());
    let known: &[&str] = match kind {
        System::Prometheus => &["query", "promql", "queryType"],
        System::CloudWatch => {
            &["region", "namespace", "metricName", "metric", "stat", "dimensions", "accountId", "expression"]
        }
        System::Other(_) => return Some(Metric { kind, source, spec: None, plain: None, at }),
    };
    match m.get("spec") {
        None => {
            m.missing(r, "spec", "what to ask", "{query: ...}");
            None
        }
        Some(node) if kind == System::Prometheus && matches!(node.value, Value::Scalar(_)) => {
            Some(Metric { kind, source, spec: None, plain: Some(node), at })
        }
        Some(node) => {
            let spec = Fields::open(r, node, &m.key_at("spec"), "spec", known)?;
            Some(Metric { kind, source, spec: Some(spec), plain: None, at })
        }
    }
}

fn ratio(r: &Reading<'_>, spec: &Fields<'_>, names: &Names) -> Option<Indicator> {
    let f = spec.map(r, "ratioMetric", &["counter", "good", "bad", "total", "rawType", "raw"])?;
    if f.get("raw").is_some() {
        return raw(r, &f, names);
    }
    if f.get("rawType").is_some() {
        let d = r.at(&f.key_at("rawType"), "`rawType` says nothing without `raw`").warning();
        r.note(d.hint("take it out: good or bad says which it is"));
    }
    let part = match (f.get("good"), f.get("bad")) {
        (Some(_), None) => Part::Good,
        (None, Some(_)) => Part::Bad,
        (Some(_), Some(_)) => {
            r.note(r.at(&f.key_at("bad"), "`good` and `bad` say the same twice").allowed("one of them, and total"));
            return None;
        }
        (None, None) => {
            r.note(r.at(&f.at, "`ratioMetric` counts nothing").allowed("good or bad with total; or raw with rawType"));
            return None;
        }
    };
    if f.get("total").is_none() {
        f.missing(r, "total", "a metricSource that counts all events", "{metricSource: ...}");
    }
    let counter = f.boolean(r, "counter").unwrap_or(false);
    // Both are read before either gives up, so that one run shows all mistakes.
    let (some, all) = (metric(r, &f, part.word(), names), metric(r, &f, "total", names));
    let (some, all) = (some?, all?);
    if some.kind != all.kind || some.source != all.source {
        let message = format!("`{}` and `total` come from different systems", part.word());
        r.note(r.at(&all.at, message).allowed("the same type and metricSourceRef"));
        return None;
    }
    let signal = match &some.kind {
        System::Prometheus => {
            let (query, total) = (prometheus(r, &some, counter), prometheus(r, &all, counter));
            Signal::Prometheus(PrometheusSignal::Ratio { part, query: query?, total: total? })
        }
        System::CloudWatch => {
            let (count, total) = (cloudwatch(r, &some), cloudwatch(r, &all));
            Signal::CloudWatch(CloudWatchSignal::Ratio { part, count: count?, total: total? })
        }
        System::Other(kind) => Signal::Unsupported(text::clean(kind).into_owned()),
    };
    Some(Indicator { kind: Kind::Ratio(signal), source: some.source })
}

fn raw(r: &Reading<'_>, f: &Fields<'_>, names: &Names) -> Option<Indicator> {
    for key in ["good", "bad", "total"] {
        if f.get(key).is_some() {
            r.note(
                r.at(&f.key_at(key), format!("`raw` is the whole ratio: `{key}` says it twice"))
                    .allowed("raw and rawType"),
            );
        }
    }
    let part = match f.need(r, "rawType", "success, failure", "success")? {
        ("success", _) => Part::Good,
        ("failure", _) => Part::Bad,
        (other, node) => {
            let d = r.bad(node, format!("unknown rawType `{}`", text::clean(other))).allowed("success, failure");
            r.note(d.did_you_mean(other, ["success", "failure"]));
            return None;
        }
    };
    let m = metric(r, f, "raw", names)?;
    let signal = match &m.kind {
        System::Prometheus => match prometheus_raw(r, &m)? {
            Query::Template(query) => Signal::Prometheus(PrometheusSignal::Raw { part, query }),
            Query::Counter(_) => {
                let node = query_node(r, &m)?.1;
                let d = r.bad(node, "a ratio over one window says nothing about another");
                r.note(d.allowed("a query with `{{.window}}` where the range goes"));
                return None;
            }
        },
        System::CloudWatch => {
            let d = r.at(&m.at, "ratios from CloudWatch cannot be added up");
            r.note(d.allowed("good or bad with total"));
            return None;
        }
        System::Other(kind) => Signal::Unsupported(text::clean(kind).into_owned()),
    };
    Some(Indicator { kind: Kind::Ratio(signal), source: m.source })
}

fn threshold(r: &Reading<'_>, spec: &Fields<'_>, names: &Names) -> Option<Indicator> {
    let m = metric(r, spec, "thresholdMetric", names)?;
    let kind = match &m.kind {
        System::Prometheus => match threshold_query(r, &m)? {
            Query::Template(query) => Threshold::Value(query),
            Query::Counter(selector) => {
                let node = query_node(r, &m)?.1;
                if selector.matchers.split(',').any(|m| m.trim_start().starts_with("le=")) {
                    r.note(
                        r.bad(node, "`le` comes from the objective's `value`").hint("take `le` out of the selector"),
                    );
                    return None;
                }
                if !selector.metric.ends_with("_bucket") {
                    let d = r.bad(node, "a threshold counts events in the buckets of a histogram, and this is none");
                    r.note(d.allowed("the selector of a metric that ends in `_bucket`; or, with Timeslices, a query with `{{.window}}`"));
                    return None;
                }
                Threshold::Buckets(selector)
            }
        },
        System::CloudWatch => match cloudwatch_metric(r, &m)? {
            (metric, None) => Threshold::CloudWatch(metric),
            (metric, Some((stat, _))) if is_statistic(&stat) => Threshold::CloudWatchValue(metric, stat),
            (_, Some((stat, node))) => {
                let d = r.bad(&node, format!("`{}` is no statistic of CloudWatch", text::clean(&stat)));
                r.note(d.allowed(STATISTICS).did_you_mean(&stat, WORDS));
                return None;
            }
        },
        System::Other(kind) => Threshold::Unsupported(text::clean(kind).into_owned()),
    };
    Some(Indicator { kind: Kind::Threshold(kind), source: m.source })
}

/// The query of a Prometheus source.
fn query_node<'n>(r: &Reading<'_>, m: &Metric<'n>) -> Option<(&'n str, &'n Node)> {
    if let Some(node) = m.plain
        && let Value::Scalar(text) = &node.value
    {
        return Some((text, node));
    }
    let spec = m.spec.as_ref()?;
    let key = if spec.get("promql").is_some() && spec.get("query").is_none() { "promql" } else { "query" };
    spec.need(r, key, "a query", "http_requests_total{job=\"checkout\"}")
}

fn prometheus(r: &Reading<'_>, m: &Metric<'_>, counter: bool) -> Option<Query> {
    let (text, node) = query_node(r, m)?;
    query::read(text, counter).map_err(|e| mistake(r, node, text, &e)).ok()
}

/// A query that need not be a counter.
fn prometheus_raw(r: &Reading<'_>, m: &Metric<'_>) -> Option<Query> {
    prometheus(r, m, true)
}

/// A query whose value is held against a threshold. One with ranges of its own can be asked in each
/// slice as it stands.
fn threshold_query(r: &Reading<'_>, m: &Metric<'_>) -> Option<Query> {
    let (text, node) = query_node(r, m)?;
    match (query::read(text, true), query::fixed(text)) {
        (Err(_), Some(fixed)) => {
            let message = "the query has no `{{.window}}`: it is asked in each slice of time as it stands";
            r.note(r.bad(node, message).warning().hint("write `{{.window}}` where the length of a slice belongs"));
            Some(Query::Template(fixed))
        }
        (read, _) => read.map_err(|e| mistake(r, node, text, &e)).ok(),
    }
}

/// Notes what is wrong with a query, at the place in the file where it stands as it is
/// written, else at its beginning.
fn mistake(r: &Reading<'_>, node: &Node, text: &str, e: &query::Mistake) {
    let source: &Source = r.source;
    let written = source.text.get(node.at.clone()).and_then(|w| w.find(text));
    let at = match written {
        Some(offset) if !e.at.is_empty() => node.at.start + offset + e.at.start..node.at.start + offset + e.at.end,
        _ => node.at.clone(),
    };
    let d = r.at(&at, e.message.clone()).value(text.to_owned()).allowed(ADVICE);
    r.note(if e.message.contains("counter: true") { d.hint("add `counter: true` to `ratioMetric`") } else { d });
}

fn cloudwatch(r: &Reading<'_>, m: &Metric<'_>) -> Option<CloudWatchCount> {
    let spec = m.spec.as_ref()?;
    if let Some((expression, node)) = spec.text(r, "expression") {
        for key in ["metricName", "metric", "namespace", "stat", "dimensions"] {
            if spec.get(key).is_some() {
                r.note(r.at(&spec.key_at(key), format!("an expression has no `{key}` beside it")).hint("take it out"));
            }
        }
        if expression.trim().is_empty() {
            r.note(r.bad(node, "the expression is empty").allowed("metric math that gives one series of counts"));
            return None;
        }
        let region = spec.text(r, "region").map(|(s, _)| s.to_owned());
        return Some(CloudWatchCount::Expression(expression.trim().to_owned(), region));
    }
    let (metric, stat) = cloudwatch_metric(r, m)?;
    let Some((stat, node)) = stat else {
        spec.missing(r, "stat", "Sum, SampleCount", "Sum");
        return None;
    };
    match stat.as_str() {
        "Sum" => Some(CloudWatchCount::Metric(metric, Sum::Sum)),
        "SampleCount" => Some(CloudWatchCount::Metric(metric, Sum::SampleCount)),
        other => {
            let d = r.bad(&node, format!("`{}` does not count events: it cannot be added up", text::clean(other)));
            r.note(d.allowed("Sum, SampleCount").did_you_mean(other, ["Sum", "SampleCount"]));
            None
        }
    }
}

/// Statistics that are a word.
const WORDS: [&str; 6] = ["Average", "Maximum", "Minimum", "Sum", "SampleCount", "IQM"];
const STATISTICS: &str = "p99 and the like, Average, Maximum, Minimum, Sum, SampleCount, IQM, tm99, wm99; none for a \
    count of the events up to `value`";

/// Whether CloudWatch has a statistic of this name that is one value for a period.
fn is_statistic(stat: &str) -> bool {
    let number = |text: &str| {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |s: &str| !s.is_empty() && s.len() <= 10 && s.bytes().all(|b| b.is_ascii_digit());
        digits(whole) && digits(part) && text.parse::<f64>().is_ok_and(|n| n <= 100.0)
    };
    WORDS.contains(&stat) || ["p", "tm", "wm"].iter().any(|word| stat.strip_prefix(word).is_some_and(number))
}

/// A metric and its statistic with its place.
fn cloudwatch_metric(r: &Reading<'_>, m: &Metric<'_>) -> Option<(CloudWatchMetric, Option<(String, Node)>)> {
    let spec = m.spec.as_ref()?;
    let owned = |key: &str| spec.text(r, key).map(|(s, _)| s.to_owned());
    let namespace = spec.need(r, "namespace", "a namespace of CloudWatch", "AWS/ApplicationELB");
    let name_key =
        if spec.get("metric").is_some() && spec.get("metricName").is_none() { "metric" } else { "metricName" };
    let name = spec.need(r, name_key, "the name of a metric", "RequestCount");
    let dimensions = dimensions(r, spec);
    let stat = spec.text(r, "stat").map(|(s, n)| (s.to_owned(), n.clone()));
    let metric = CloudWatchMetric {
        namespace: namespace?.0.to_owned(),
        name: name?.0.to_owned(),
        dimensions: dimensions?,
        region: owned("region"),
        account: owned("accountId"),
    };
    Some((metric, stat))
}

/// `- {name: ..., value: ...}` for each, or a map of names to values.
fn dimensions(r: &Reading<'_>, spec: &Fields<'_>) -> Option<Vec<(String, String)>> {
    let Some(node) = spec.get("dimensions") else { return Some(Vec::new()) };
    if let Value::Map(entries) = &node.value {
        let mut out = Vec::new();
        for (key, value) in entries {
            let Value::Scalar(text) = &value.value else {
                r.note(r.at(&key.at, format!("the dimension `{}` has no single value", text::clean(&key.text))));
                return None;
            };
            out.push((key.text.clone(), text.clone()));
        }
        return Some(out);
    }
    spec.list(r, "dimensions")
        .iter()
        .map(|item| {
            let f = Fields::open(r, item, &item.at, "dimensions", &["name", "value"])?;
            let (name, value) =
                (f.need(r, "name", "the dimension", "LoadBalancer"), f.need(r, "value", "its value", "app/..."));
            Some((name?.0.to_owned(), value?.0.to_owned()))
        })
        .collect()
}
