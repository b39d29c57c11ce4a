//! Events, autoscalers, disruption budgets, metrics.

use serde::Deserialize;

use super::Projector;
use super::meta::{Condition, Meta, Pairs, Str, condition, nullable};
use crate::domain::{
    Autoscaler, Bytes, DisruptionBudget, Event, EventLevel, Kind, Millicores, ObjectId, Timestamp, Usage,
};

/// A core/v1 event.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventObject<'a> {
    #[serde(borrow)]
    metadata: Meta<'a>,
    #[serde(borrow, default)]
    involved_object: Involved<'a>,
    #[serde(borrow, default, rename = "type", deserialize_with = "nullable")]
    level: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    reason: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    message: Str<'a>,
    #[serde(default, deserialize_with = "nullable")]
    count: u32,
    #[serde(default)]
    first_timestamp: Option<Timestamp>,
    #[serde(default)]
    last_timestamp: Option<Timestamp>,
    #[serde(default)]
    event_time: Option<Timestamp>,
    #[serde(default)]
    series: Option<Series>,
    #[serde(borrow, default)]
    source: Source<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    reporting_component: Str<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct Involved<'a> {
    #[serde(borrow, default)]
    kind: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    namespace: Str<'a>,
    #[serde(borrow, default)]
    name: Str<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Series {
    #[serde(default)]
    count: u32,
    #[serde(default)]
    last_observed_time: Option<Timestamp>,
}

#[derive(Debug, Default, Deserialize)]
struct Source<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    component: Str<'a>,
}

/// An event's row.
pub fn event(o: EventObject<'_>, p: &mut Projector) -> Event {
    let id = p.identity(Kind::Other, &o.metadata);
    let kind = Kind::from_kubernetes(&o.involved_object.kind);
    // Events about nodes live in a namespace; nodes do not.
    let namespace = if kind == Kind::Node { "" } else { o.involved_object.namespace.as_ref() };
    let about = ObjectId {
        cluster: p.cluster.clone(),
        kind,
        namespace: p.interner.text(namespace),
        name: p.interner.text(&o.involved_object.name),
    };
    let reporter = if o.source.component.is_empty() { &o.reporting_component } else { &o.source.component };
    let series = o.series.as_ref();
    Event {
        id,
        about,
        about_kind: p.interner.text(&o.involved_object.kind),
        level: if o.level == "Warning" { EventLevel::Warning } else { EventLevel::Normal },
        reason: p.interner.text(&o.reason),
        message: p.interner.text(&o.message),
        reporter: p.interner.text(reporter),
        count: series.map_or(o.count, |s| s.count).max(1),
        first: o.first_timestamp.or(o.event_time).or(o.metadata.creation_timestamp),
        last: series
            .and_then(|s| s.last_observed_time)
            .or(o.last_timestamp)
            .or(o.event_time)
            .or(o.metadata.creation_timestamp),
    }
}

/// An autoscaling/v2 autoscaler.
#[derive(Debug, Deserialize)]
pub struct AutoscalerObject<'a> {
    #[serde(borrow)]
    metadata: Meta<'a>,
    #[serde(borrow, default)]
    spec: AutoscalerSpec<'a>,
    #[serde(borrow, default)]
    status: AutoscalerStatus<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AutoscalerSpec<'a> {
    #[serde(borrow, default)]
    scale_target_ref: Involved<'a>,
    #[serde(default)]
    min_replicas: Option<u32>,
    #[serde(default)]
    max_replicas: u32,
    #[serde(borrow, default, deserialize_with = "nullable")]
    metrics: Vec<Metric<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AutoscalerStatus<'a> {
    #[serde(default)]
    current_replicas: u32,
    #[serde(default)]
    desired_replicas: u32,
    #[serde(borrow, default, deserialize_with = "nullable")]
    current_metrics: Vec<Metric<'a>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    conditions: Vec<Condition<'a>>,
}

/// One metric, wanted or current: whichever member is there.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metric<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Str<'a>,
    #[serde(borrow, default)]
    resource: Option<MetricValue<'a>>,
    #[serde(borrow, default)]
    container_resource: Option<MetricValue<'a>>,
    #[serde(borrow, default)]
    pods: Option<MetricValue<'a>>,
    #[serde(borrow, default)]
    object: Option<MetricValue<'a>>,
    #[serde(borrow, default)]
    external: Option<MetricValue<'a>>,
}

#[derive(Debug, Default, Deserialize)]
struct MetricValue<'a> {
    #[serde(borrow, default)]
    name: Str<'a>,
    #[serde(borrow, default)]
    metric: MetricName<'a>,
    #[serde(borrow, default)]
    target: Amount<'a>,
    #[serde(borrow, default)]
    current: Amount<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct MetricName<'a> {
    #[serde(borrow, default)]
    name: Str<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Amount<'a> {
    #[serde(default)]
    average_utilization: Option<u32>,
    #[serde(borrow, default)]
    average_value: Option<Str<'a>>,
    #[serde(borrow, default)]
    value: Option<Str<'a>>,
}

impl Amount<'_> {
    fn text(&self) -> Option<String> {
        if let Some(percent) = self.average_utilization {
            return Some(format!("{percent}%"));
        }
        self.average_value.as_ref().or(self.value.as_ref()).map(ToString::to_string)
    }
}

impl<'a> Metric<'a> {
    fn value(&self) -> Option<&MetricValue<'a>> {
        self.resource
            .as_ref()
            .or(self.container_resource.as_ref())
            .or(self.pods.as_ref())
            .or(self.object.as_ref())
            .or(self.external.as_ref())
    }

    fn name(&self) -> &str {
        self.value().map_or("", |v| if v.name.is_empty() { &v.metric.name } else { &v.name })
    }
}

/// `cpu: 82%/70%`, one per metric, as kubectl prints targets.
fn targets(spec: &[Metric<'_>], current: &[Metric<'_>]) -> String {
    let parts: Vec<String> = spec
        .iter()
        .map(|wanted| {
            let now = current
                .iter()
                .find(|c| c.kind == wanted.kind && c.name() == wanted.name())
                .and_then(|c| c.value()?.current.text());
            let target = wanted.value().and_then(|v| v.target.text()).unwrap_or_else(|| "?".to_owned());
            format!("{}: {}/{target}", wanted.name(), now.as_deref().unwrap_or("<unknown>"))
        })
        .collect();
    parts.join(", ")
}

/// An autoscaler's row.
pub fn autoscaler(o: AutoscalerObject<'_>, p: &mut Projector) -> Autoscaler {
    let id = p.identity(Kind::Autoscaler, &o.metadata);
    let limited = condition(&o.status.conditions, "ScalingLimited");
    Autoscaler {
        id,
        target_kind: Kind::from_kubernetes(&o.spec.scale_target_ref.kind),
        target: p.interner.text(&o.spec.scale_target_ref.name),
        min: o.spec.min_replicas.unwrap_or(1),
        max: o.spec.max_replicas,
        current: o.status.current_replicas,
        desired: o.status.desired_replicas,
        targets: p.interner.text(&targets(&o.spec.metrics, &o.status.current_metrics)),
        limited: limited.is_some_and(|c| c.status == "True" && c.reason == "TooManyReplicas"),
        created: o.metadata.creation_timestamp,
    }
}

/// A policy/v1 disruption budget.
#[derive(Debug, Deserialize)]
pub struct BudgetObject<'a> {
    #[serde(borrow)]
    metadata: Meta<'a>,
    #[serde(borrow, default)]
    spec: BudgetSpec<'a>,
    #[serde(default)]
    status: BudgetStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BudgetSpec<'a> {
    #[serde(default)]
    min_available: Option<serde_json::Value>,
    #[serde(default)]
    max_unavailable: Option<serde_json::Value>,
    #[serde(borrow, default)]
    selector: BudgetSelector<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BudgetSelector<'a> {
    #[serde(borrow, default)]
    match_labels: Pairs<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BudgetStatus {
    #[serde(default)]
    disruptions_allowed: u32,
    #[serde(default)]
    current_healthy: u32,
    #[serde(default)]
    expected_pods: u32,
}

/// A disruption budget's row.
pub fn disruption_budget(o: BudgetObject<'_>, p: &mut Projector) -> DisruptionBudget {
    let id = p.identity(Kind::DisruptionBudget, &o.metadata);
    // An IntOrString: 1 or "25%".
    let written = |v: &Option<serde_json::Value>| match v {
        Some(serde_json::Value::String(s)) => s.clone(),
        Some(v) if !v.is_null() => v.to_string(),
        _ => String::new(),
    };
    DisruptionBudget {
        id,
        min_available: p.interner.text(&written(&o.spec.min_available)),
        max_unavailable: p.interner.text(&written(&o.spec.max_unavailable)),
        allowed: o.status.disruptions_allowed,
        healthy: o.status.current_healthy,
        expected: o.status.expected_pods,
        selector: o.spec.selector.match_labels.labels(&mut p.interner),
        created: o.metadata.creation_timestamp,
    }
}

#[derive(Deserialize)]
struct Sample<'a> {
    #[serde(borrow)]
    metadata: Meta<'a>,
    #[serde(borrow, default)]
    usage: Pairs<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    containers: Vec<ContainerSample<'a>>,
}

#[derive(Deserialize)]
struct ContainerSample<'a> {
    #[serde(borrow, default)]
    usage: Pairs<'a>,
}

fn amount(pairs: &Pairs<'_>) -> Usage {
    Usage {
        cpu: pairs.get("cpu").and_then(Millicores::parse).unwrap_or_default(),
        memory: pairs.get("memory").and_then(Bytes::parse).unwrap_or_default(),
    }
}

/// One entry of a metrics list.
pub fn usage(json: &str, kind: Kind, p: &mut Projector) -> Option<(ObjectId, Usage)> {
    let sample: Sample<'_> = serde_json::from_str(json).ok()?;
    let total = sample
        .containers
        .iter()
        .map(|c| amount(&c.usage))
        .fold(amount(&sample.usage), |sum, u| Usage { cpu: sum.cpu + u.cpu, memory: sum.memory + u.memory });
    Some((p.identity(kind, &sample.metadata), total))
}
