//! CloudWatch's alarms of one account and region: read once for all its clusters.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_sdk_cloudwatch::types as cw;
use tokio::time::Instant;

use super::{Account, Bucket, Tokens};
use crate::domain::alarm::runbook_in;
use crate::domain::{AlarmMore, AlarmSource, AlarmState, Severity, Text, Timestamp};
use crate::source::SourceError;

/// `DescribeAlarms` gives so many at once.
const HUNDRED: i32 = 100;

/// An alarm as CloudWatch has it, before it is known which cluster it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Its name, unique in the account and region.
    pub name: Text,
    /// Its ARN.
    pub arn: Text,
    /// On a metric, or on other alarms.
    pub source: AlarmSource,
    /// Where it stands.
    pub state: AlarmState,
    /// How much it matters.
    pub severity: Severity,
    /// Since when it stands there.
    pub since: Option<Timestamp>,
    /// Its description.
    pub summary: Text,
    /// Why it stands there.
    pub reason: Text,
    /// The latest value, if it says.
    pub value: Option<f64>,
    /// What the value is held against.
    pub threshold: Option<f64>,
    /// Dimensions of the metrics that it watches.
    pub dimensions: Vec<(Text, Text)>,
    /// The rest: the alarms that it watches, what it measures.
    pub more: AlarmMore,
    /// What to ask `GetMetricData` for its points; empty for a composite alarm.
    pub queries: Vec<cw::MetricDataQuery>,
    /// Why its actions are suppressed.
    pub suppressed_by: Text,
    /// Link to its runbook.
    pub runbook: Text,
}

/// What was read last, and when.
pub type Kept = Option<(Instant, Arc<Vec<Found>>)>;

impl Account {
    /// Every alarm, whatever its state: those that another cluster of this account
    /// had read, if that is not longer ago than `age`.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn alarms(&self, age: Duration) -> Result<Arc<Vec<Found>>, SourceError> {
        // Who comes second waits for the answer to the first.
        let mut kept = self.alarms.lock().await;
        if let Some((at, found)) = kept.as_ref()
            && at.elapsed() < age
            && self.alarms_fresh.load(Ordering::Relaxed)
        {
            return Ok(Arc::clone(found));
        }
        let found = Arc::new(self.describe_alarms().await?);
        self.alarms_fresh.store(true, Ordering::Relaxed);
        *kept = Some((Instant::now(), Arc::clone(&found)));
        Ok(found)
    }

    /// What to ask `GetMetricData` for the points of an alarm; empty if it is not known,
    /// or a composite one.
    pub async fn alarm_queries(&self, name: &Text) -> Vec<cw::MetricDataQuery> {
        let kept = self.alarms.lock().await;
        let found = kept.as_ref().and_then(|(_, found)| found.iter().find(|f| f.name == *name));
        found.map(|f| f.queries.clone()).unwrap_or_default()
    }

    /// The next question is answered by CloudWatch, not from memory.
    pub fn forget_alarms(&self) {
        self.alarms_fresh.store(false, Ordering::Relaxed);
    }

    /// They were changed from here: whoever reads them asks soon.
    pub(in crate::source) fn change_alarms(&self) {
        self.forget_alarms();
        self.alarms_changed.notify_waiters();
    }

    /// Waits until they are changed from here.
    pub(in crate::source) async fn alarms_change(&self) {
        self.alarms_changed.notified().await;
    }

    async fn describe_alarms(&self) -> Result<Vec<Found>, SourceError> {
        const WHAT: &str = "cloudwatch:DescribeAlarms";
        let clients = self.clients().await?;
        let (mut out, mut tokens) = (Vec::new(), Tokens::default());
        loop {
            let request = clients
                .cloudwatch
                .describe_alarms()
                // Without types CloudWatch leaves composite alarms out.
                .alarm_types(cw::AlarmType::MetricAlarm)
                .alarm_types(cw::AlarmType::CompositeAlarm)
                .max_records(HUNDRED)
                .set_next_token(tokens.next());
            self.limits.call();
            let page = self.ask(Bucket::Alarms, WHAT, request.send()).await?;
            let more = tokens.advance(page.next_token(), WHAT)?;
            out.extend(page.metric_alarms().iter().filter_map(metric));
            out.extend(page.composite_alarms().iter().filter_map(composite));
            if !more {
                return Ok(out);
            }
        }
    }
}

/// What is said of an alarm that does nothing when it changes: it has nothing to do, or is kept from it.
const DISABLED: &str = "its actions are disabled, until somebody enables them";

/// Why nobody is told of an alarm. One that is not said to be kept from it is not.
fn disabled(actions_enabled: Option<bool>) -> &'static str {
    if actions_enabled == Some(false) { DISABLED } else { "" }
}

fn time(at: Option<&aws_smithy_types::DateTime>) -> Option<Timestamp> {
    let at = at?;
    Timestamp::from_timestamp(at.secs(), at.subsec_nanos())
}

fn state(value: Option<&cw::StateValue>) -> AlarmState {
    match value {
        Some(cw::StateValue::Alarm) => AlarmState::Firing,
        Some(cw::StateValue::Ok) => AlarmState::Ok,
        // What is not understood is not fine.
        _ => AlarmState::InsufficientData,
    }
}

/// What its author says, or what its name gives away: the alarms that a target
/// tracking policy makes fire whenever there is something to scale.
fn severity(name: &str, description: &str) -> Severity {
    if name.starts_with("TargetTracking-") {
        return Severity::Info;
    }
    Severity::in_text(description).unwrap_or_default()
}

/// A row of a metric alarm.
pub(super) fn metric(a: &cw::MetricAlarm) -> Option<Found> {
    let name = a.alarm_name()?;
    let description = a.alarm_description().unwrap_or_default();
    let of_metrics = a.metrics().iter().filter_map(|q| q.metric_stat()?.metric());
    let dimensions = a.dimensions().iter().chain(of_metrics.flat_map(cw::Metric::dimensions));
    // An expression over several metrics names the same cluster with each of them.
    let dimensions: BTreeSet<(Text, Text)> = dimensions
        .map(|d| (Text::new(d.name().unwrap_or_default()), Text::new(d.value().unwrap_or_default())))
        .collect();
    let data = data(a.state_reason_data());
    Some(Found {
        name: Text::new(name),
        arn: Text::new(a.alarm_arn().unwrap_or_default()),
        source: AlarmSource::CloudWatchMetric,
        state: state(a.state_value()),
        severity: severity(name, description),
        since: time(a.state_transitioned_timestamp().or(a.state_updated_timestamp())),
        summary: Text::new(description),
        reason: Text::new(a.state_reason().unwrap_or_default()),
        value: latest(&data),
        threshold: data["threshold"].as_f64().or(a.threshold()).filter(|t| t.is_finite()),
        dimensions: dimensions.into_iter().collect(),
        more: measured(a),
        queries: queries(a),
        suppressed_by: Text::new(disabled(a.actions_enabled())),
        runbook: Text::new(runbook_in(description).unwrap_or_default()),
    })
}

/// What a metric alarm measures, in words.
fn measured(a: &cw::MetricAlarm) -> AlarmMore {
    let name = a.metric_name().unwrap_or_default();
    let statistic = a.statistic().map(cw::Statistic::as_str).or(a.extended_statistic()).unwrap_or_default();
    let expression =
        || a.metrics().iter().find(|q| q.return_data() != Some(false)).and_then(|q| q.label().or(q.expression()));
    let metric = match (name, a.period()) {
        ("", _) => expression().unwrap_or_default().to_owned(),
        (name, Some(period)) => format!("{name}, {statistic} of {period}s"),
        (name, None) => format!("{name}, {statistic}"),
    };
    // An alarm seldom names the unit, but these metrics have no other.
    let unit = match a.unit().map(cw::StandardUnit::as_str) {
        Some(unit) if unit != "None" => unit,
        _ if name.ends_with("Utilization") => "Percent",
        _ if name.ends_with("ResponseTime") => "Seconds",
        _ => "",
    };
    let below = a.comparison_operator().is_some_and(|o| o.as_str().starts_with("LessThan"));
    AlarmMore { metric: Text::new(&metric), unit: Text::new(unit), below, ..AlarmMore::default() }
}

fn queries(a: &cw::MetricAlarm) -> Vec<cw::MetricDataQuery> {
    let Some(name) = a.metric_name() else { return a.metrics().to_vec() };
    let metric = cw::Metric::builder()
        .set_namespace(a.namespace().map(ToOwned::to_owned))
        .metric_name(name)
        .set_dimensions(Some(a.dimensions().to_vec()))
        .build();
    let statistic = a.statistic().map(cw::Statistic::as_str).or(a.extended_statistic()).unwrap_or("Average");
    let stat = cw::MetricStat::builder()
        .metric(metric)
        .period(a.period().unwrap_or(60))
        .stat(statistic)
        .set_unit(a.unit().cloned())
        .build();
    vec![cw::MetricDataQuery::builder().id("alarm").metric_stat(stat).build()]
}

/// A row of a composite alarm.
pub(super) fn composite(a: &cw::CompositeAlarm) -> Option<Found> {
    let name = a.alarm_name()?;
    let description = a.alarm_description().unwrap_or_default();
    let suppressed_by = match (a.actions_suppressed_by(), a.actions_suppressed_reason().unwrap_or_default()) {
        (None, _) => disabled(a.actions_enabled()).to_owned(),
        (Some(by), "") => by.as_str().to_owned(),
        (Some(by), reason) => format!("{}: {reason}", by.as_str()),
    };
    Some(Found {
        name: Text::new(name),
        arn: Text::new(a.alarm_arn().unwrap_or_default()),
        source: AlarmSource::CloudWatchComposite,
        state: state(a.state_value()),
        severity: severity(name, description),
        since: time(a.state_transitioned_timestamp().or(a.state_updated_timestamp())),
        summary: Text::new(description),
        reason: Text::new(a.state_reason().unwrap_or_default()),
        value: None,
        threshold: None,
        dimensions: Vec::new(),
        more: AlarmMore {
            children: children(a.alarm_rule().unwrap_or_default()).iter().map(|c| Text::new(c)).collect(),
            ..AlarmMore::default()
        },
        queries: Vec::new(),
        suppressed_by: Text::new(&suppressed_by),
        runbook: Text::new(runbook_in(description).unwrap_or_default()),
    })
}

/// `StateReasonData`: JSON, by CloudWatch's promise; null if it is none.
fn data(text: Option<&str>) -> serde_json::Value {
    text.and_then(|t| serde_json::from_str(t).ok()).unwrap_or_default()
}

/// The value of the newest point that was looked at.
fn latest(data: &serde_json::Value) -> Option<f64> {
    let evaluated = data["evaluatedDatapoints"].as_array().into_iter().flatten();
    let newest = evaluated
        .filter_map(|p| Some((p["timestamp"].as_str()?, p["value"].as_f64()?)))
        // All in one form and one zone: their order is the order of their texts.
        .max_by(|a, b| a.0.cmp(b.0))
        .map(|(_, value)| value);
    let recent = || data["recentDatapoints"].as_array()?.iter().rev().find_map(serde_json::Value::as_f64);
    newest.or_else(recent).filter(|v| v.is_finite())
}

/// The alarms that a rule names: `ALARM("a") AND NOT OK(arn:aws:cloudwatch:...:alarm:b)`.
fn children(rule: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = rule;
    while let Some(open) = rest.find('(') {
        let is_state = ["ALARM", "OK", "INSUFFICIENT_DATA"].iter().any(|word| rest[..open].trim_end().ends_with(word));
        rest = &rest[open + 1..];
        if !is_state {
            continue;
        }
        let inner = rest.trim_start();
        // A quoted name may have brackets of its own.
        let quote = inner.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (inner, end) = match quote {
            Some(quote) => (&inner[1..], quote),
            None => (inner, ')'),
        };
        let (name, after) = inner.split_once(end).unwrap_or((inner, ""));
        let name = name.trim();
        rest = after;
        let name = name.split_once(":alarm:").map_or(name, |(_, name)| name);
        if !name.is_empty() {
            out.push(name);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_types::DateTime;

    #[test]
    fn a_rule_names_its_children() {
        assert_eq!(
            children(
                "(ALARM(\"web (eu)\") OR OK('b')) AND NOT INSUFFICIENT_DATA ( arn:aws:cloudwatch:eu-west-1:1:alarm:c )"
            ),
            ["web (eu)", "b", "c"]
        );
        assert_eq!(children("TRUE"), Vec::<&str>::new());
        assert_eq!(children("ALARM("), Vec::<&str>::new());
        assert_eq!(children("ALARM(\"ü"), ["ü"]);
    }

    #[test]
    fn a_metric_alarm_says_since_when_and_how_far() {
        let data = r#"{"version":"1.0","statistic":"Average","period":60,"recentDatapoints":[1.0],"threshold":80.0,
            "evaluatedDatapoints":[{"timestamp":"2026-11-20T03:12:00.000+0000","value":93.5},
            {"timestamp":"2026-11-20T03:11:00.000+0000","value":91.0}]}"#;
        let dimension = |name: &str, value: &str| cw::Dimension::builder().name(name).value(value).build();
        let builder = cw::MetricAlarm::builder()
            .alarm_name("web-cpu-high")
            .alarm_arn("arn:aws:cloudwatch:eu-west-1:1:alarm:web-cpu-high")
            .alarm_description("CPU of web.\nSeverity: critical. Runbook: https://r.example/web")
            .state_value(cw::StateValue::Alarm)
            .state_reason("Threshold Crossed: \u{1b}[31m1 datapoint")
            .state_reason_data(data)
            .state_updated_timestamp(DateTime::from_secs(1_000))
            .threshold(70.0)
            .dimensions(dimension("ServiceName", "web"))
            .dimensions(dimension("ClusterName", "shop"));
        let found = metric(&builder.clone().build()).unwrap();
        assert_eq!((found.value, found.threshold, found.severity), (Some(93.5), Some(80.0), Severity::Critical));
        assert_eq!((found.state, found.runbook.as_str()), (AlarmState::Firing, "https://r.example/web"));
        assert_eq!(found.reason, "Threshold Crossed: 1 datapoint");
        assert_eq!(found.since.map(|t| t.timestamp()), Some(1_000), "without a transition, the last update");
        let both = builder.state_transitioned_timestamp(DateTime::from_secs(500)).build();
        assert_eq!(metric(&both).unwrap().since.map(|t| t.timestamp()), Some(500));
        let odd = cw::MetricAlarm::builder().alarm_name("x").state_reason_data("{\"threshold\":").build();
        let odd = metric(&odd).unwrap();
        assert_eq!((odd.value, odd.threshold, odd.state), (None, None, AlarmState::InsufficientData));
        let recent = cw::MetricAlarm::builder().alarm_name("x").state_reason_data(r#"{"recentDatapoints":[1.0,2.5]}"#);
        assert_eq!(metric(&recent.build()).unwrap().value, Some(2.5));
    }

    #[test]
    fn what_scales_is_no_trouble_and_suppression_is_told() {
        assert_eq!(severity("TargetTracking-service/shop/web-AlarmLow-1", ""), Severity::Info);
        let alarm = cw::CompositeAlarm::builder()
            .alarm_name("shop")
            .alarm_rule("ALARM(\"a\") OR ALARM(\"b\")")
            .state_value(cw::StateValue::Alarm)
            .actions_suppressed_by(cw::ActionsSuppressedBy::Alarm)
            .actions_suppressed_reason("maintenance is in ALARM")
            .build();
        let found = composite(&alarm).unwrap();
        assert_eq!(found.suppressed_by, "Alarm: maintenance is in ALARM");
        let kept = cw::MetricAlarm::builder().alarm_name("x").state_value(cw::StateValue::Alarm);
        assert_eq!(metric(&kept.clone().actions_enabled(false).build()).unwrap().suppressed_by, DISABLED);
        assert_eq!(metric(&kept.clone().actions_enabled(true).build()).unwrap().suppressed_by, "");
        assert_eq!(metric(&kept.build()).unwrap().suppressed_by, "", "it is on unless it says it is not");
        let kept = cw::CompositeAlarm::builder().alarm_name("x").actions_enabled(false).build();
        assert_eq!(composite(&kept).unwrap().suppressed_by, DISABLED);
        assert_eq!(found.more.children, [Text::new("a"), Text::new("b")]);
    }
}
