//! CloudWatch alarms that follow the fleet's own metrics: two for each service, and
//! one over two of them for each cluster.

use serde_json::{Value, json};

use super::cloudwatch::{LATE, Minute, usage};
use super::fault::AwsFaults;
use super::model::{Cluster, Ms, Service};
use super::schema::Insights;
use super::wire::{Refusal, time};
use super::{Caller, World, strings};
use crate::sim::model::hash;

/// Alarms are looked at so often.
const EVERY: Ms = 10_000;
/// Per cent of the reserved CPU.
const CPU: f64 = 90.0;
/// So many minutes in a row make an alarm.
const PERIODS: Ms = 3;
/// What is fine when the fleet begins has been so for this long at least, and at most.
const QUIET: (Ms, Ms) = (86_400_000, 30 * 86_400_000);
/// What somebody set by hand is looked at again after so long.
const FORCED: Ms = 60_000;

/// Where an alarm stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    pub state: &'static str,
    pub reason: String,
    /// JSON.
    pub data: String,
    pub since: Ms,
    pub updated: Ms,
    /// Not evaluated before.
    pub not_before: Ms,
    /// It does what it is set up to do when it changes.
    pub enabled: bool,
}

/// What a look at the metrics says.
struct Verdict {
    state: &'static str,
    reason: String,
    data: String,
}

fn cpu_name(c: &Cluster, service: &str) -> String {
    format!("{}-{service}-cpu-high", c.name)
}

fn tasks_name(c: &Cluster, service: &str) -> String {
    format!("{}-{service}-tasks-low", c.name)
}

fn composite_name(c: &Cluster) -> String {
    format!("{}-degraded", c.name)
}

/// The last complete minutes of a metric, newest first; `None` where nothing was measured.
fn minutes(c: &Cluster, s: &Service, name: &str, now: Ms) -> Vec<(Ms, Option<f64>)> {
    let newest = (now - LATE - 60_000).div_euclid(60_000) * 60_000;
    (0..PERIODS)
        .map(|n| newest - n * 60_000)
        .map(|at| (at, usage(c, s, name, at, now).map(|Minute { value, .. }| value)))
        .collect()
}

fn stamp(at: Ms) -> String {
    chrono::DateTime::from_timestamp_millis(at)
        .map_or_else(String::new, |t| t.format("%Y-%m-%dT%H:%M:%S.000+0000").to_string())
}

/// How long before the fleet began an alarm went back to OK: for each name its own.
fn quiet_for(name: &str) -> Ms {
    let span = u64::try_from(QUIET.1 - QUIET.0).unwrap_or(1);
    QUIET.0 + i64::try_from(hash(name) % span).unwrap_or(0)
}

/// What the first look at a fleet that has long been there says: the same, long ago where it is fine.
fn judge_first(name: &str, points: &[(Ms, Option<f64>)], threshold: f64) -> Verdict {
    let verdict = judge(points, threshold);
    if verdict.state != "OK" {
        return verdict;
    }
    let before: Vec<_> =
        points.iter().map(|(at, v)| ((at - quiet_for(name)).div_euclid(60_000) * 60_000, *v)).collect();
    judge(&before, threshold)
}

/// CloudWatch's words for a threshold that all points have crossed, or not.
fn judge(points: &[(Ms, Option<f64>)], threshold: f64) -> Verdict {
    let known: Vec<(Ms, f64)> = points.iter().filter_map(|(at, v)| Some((*at, (*v)?))).collect();
    let list: Vec<String> = known.iter().map(|(at, v)| format!("{v} ({})", stamp(*at))).collect();
    let (state, reason) = if known.is_empty() {
        ("INSUFFICIENT_DATA", "Insufficient Data: no datapoints were received.".to_owned())
    } else if known.len() == points.len() && known.iter().all(|(_, v)| *v > threshold) {
        let n = known.len();
        let list = list.join(", ");
        (
            "ALARM",
            format!(
                "Threshold Crossed: {n} out of the last {n} datapoints [{list}] were greater than the threshold ({threshold})."
            ),
        )
    } else {
        let newest = list.first().cloned().unwrap_or_default();
        ("OK", format!("Threshold Crossed: 1 datapoint [{newest}] was not greater than the threshold ({threshold})."))
    };
    let evaluated: Vec<Value> =
        known.iter().map(|(at, v)| json!({"timestamp": stamp(*at), "sampleCount": 1.0, "value": v})).collect();
    let recent: Vec<f64> = known.iter().rev().map(|(_, v)| *v).collect();
    let data = json!({"version": "1.0", "queryDate": stamp(points.first().map_or(0, |p| p.0)), "statistic": "Average",
        "period": 60, "recentDatapoints": recent, "threshold": threshold, "evaluatedDatapoints": evaluated});
    Verdict { state, reason, data: data.to_string() }
}

impl Cluster {
    /// Looks at every alarm whose time has come.
    pub fn watch(&mut self, now: Ms) {
        let is_first = self.alarms.is_empty();
        let mut verdicts: Vec<(String, Verdict)> = Vec::new();
        let look = |name: String, points: &[(Ms, Option<f64>)], threshold: f64| {
            let verdict = if is_first { judge_first(&name, points, threshold) } else { judge(points, threshold) };
            (name, verdict)
        };
        let due = |c: &Self, name: &str| c.alarms.get(name).is_none_or(|s| now >= s.not_before);
        for s in self.services.values() {
            let cpu = cpu_name(self, &s.name);
            if due(self, &cpu) {
                verdicts.push(look(cpu, &minutes(self, s, "CPUUtilization", now), CPU));
            }
            let tasks = tasks_name(self, &s.name);
            if self.insights > Insights::Disabled && due(self, &tasks) {
                let (running, desired) =
                    (minutes(self, s, "RunningTaskCount", now), minutes(self, s, "DesiredTaskCount", now));
                let missing: Vec<(Ms, Option<f64>)> = running
                    .iter()
                    .zip(&desired)
                    .map(|((at, r), (_, d))| (*at, r.zip(*d).map(|(r, d)| d - r)))
                    .collect();
                verdicts.push(look(tasks, &missing, 0.0));
            }
        }
        for (name, verdict) in verdicts {
            self.stand(name, verdict, now, is_first);
        }
        let name = composite_name(self);
        if let (Some(children), true) = (self.children(), due(self, &name)) {
            let firing: Vec<&String> =
                children.iter().filter(|c| self.alarms.get(*c).is_some_and(|s| s.state == "ALARM")).collect();
            let triggering: Vec<Value> = firing
                .iter()
                .map(|name| json!({"arn": self.alarm_arn(name), "state": {"value": "ALARM", "timestamp": stamp(now)}}))
                .collect();
            let verdict = match firing.first() {
                Some(first) => Verdict {
                    state: "ALARM",
                    reason: format!("{} transitioned to ALARM at {}", self.alarm_arn(first), stamp(now)),
                    data: json!({"triggeringAlarms": triggering}).to_string(),
                },
                None => Verdict {
                    state: "OK",
                    reason: "No alarm of the rule is in ALARM".to_owned(),
                    data: json!({"triggeringAlarms": []}).to_string(),
                },
            };
            self.stand(name, verdict, now, is_first);
        }
    }

    fn stand(&mut self, name: String, verdict: Verdict, now: Ms, is_first: bool) {
        let Verdict { state, reason, data } = verdict;
        let old = self.alarms.get(&name);
        let enabled = old.is_none_or(|old| old.enabled);
        // The reason is that of the transition; it does not follow every minute.
        let standing = match old {
            Some(old) if old.state == state => Standing { not_before: now + EVERY, ..old.clone() },
            _ => {
                let since = if is_first && state == "OK" { now - quiet_for(&name) } else { now };
                Standing { state, reason, data, since, updated: since, not_before: now + EVERY, enabled }
            }
        };
        self.alarms.insert(name, standing);
    }

    /// The two alarms that the composite one watches; `None` in a cluster too small for two.
    fn children(&self) -> Option<[String; 2]> {
        let mut services = self.services.keys();
        let first = services.next()?;
        if self.insights > Insights::Disabled {
            return Some([cpu_name(self, first), tasks_name(self, first)]);
        }
        Some([cpu_name(self, first), cpu_name(self, services.next()?)])
    }

    fn alarm_arn(&self, name: &str) -> String {
        format!("arn:aws:cloudwatch:{}:{}:alarm:{name}", self.region, self.account)
    }

    fn common(&self, name: &str, standing: &Standing, description: &str) -> Value {
        let topic = format!("arn:aws:sns:{}:{}:on-call", self.region, self.account);
        json!({
            "AlarmName": name, "AlarmArn": self.alarm_arn(name), "AlarmDescription": description,
            "AlarmConfigurationUpdatedTimestamp": time(standing.since - 86_400_000), "ActionsEnabled": standing.enabled,
            "OKActions": [], "AlarmActions": [topic], "InsufficientDataActions": [], "StateValue": standing.state,
            "StateReason": standing.reason, "StateReasonData": standing.data,
            "StateUpdatedTimestamp": time(standing.updated), "StateTransitionedTimestamp": time(standing.since),
        })
    }

    /// Metric alarms, then composite ones, as `DescribeAlarms` has them.
    fn alarms_json(&self) -> Vec<(&'static str, Value)> {
        let mut out = Vec::new();
        for s in self.services.values() {
            let dimensions =
                json!([{"Name": "ClusterName", "Value": self.name}, {"Name": "ServiceName", "Value": s.name}]);
            let runbook = format!("Runbook: https://runbooks.example.com/{}", s.name);
            let name = cpu_name(self, &s.name);
            if let Some(standing) = self.alarms.get(&name) {
                let text = format!("{} uses nearly all of its CPU. {runbook}", s.name);
                let mut a = self.common(&name, standing, &text);
                merge(
                    &mut a,
                    json!({"MetricName": "CPUUtilization", "Namespace": "AWS/ECS", "Statistic": "Average",
                        "Dimensions": dimensions, "Period": 60, "EvaluationPeriods": PERIODS, "Threshold": CPU,
                        "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "missing"}),
                );
                out.push(("MetricAlarm", a));
            }
            let name = tasks_name(self, &s.name);
            if let Some(standing) = self.alarms.get(&name) {
                let text = format!("{} runs fewer tasks than it should. Severity: critical. {runbook}", s.name);
                let mut a = self.common(&name, standing, &text);
                let metric = |id: &str, name: &str| {
                    json!({"Id": id, "ReturnData": false, "MetricStat": {"Period": 60, "Stat": "Average", "Metric": {
                        "Namespace": "ECS/ContainerInsights", "MetricName": name, "Dimensions": dimensions}}})
                };
                merge(
                    &mut a,
                    json!({"Dimensions": [], "EvaluationPeriods": PERIODS, "Threshold": 0.0,
                        "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "missing",
                        "Metrics": [metric("running", "RunningTaskCount"), metric("desired", "DesiredTaskCount"),
                            {"Id": "missing", "Expression": "desired - running", "Label": "missing", "ReturnData": true}]}),
                );
                out.push(("MetricAlarm", a));
            }
        }
        let name = composite_name(self);
        if let (Some([a, b]), Some(standing)) = (self.children(), self.alarms.get(&name)) {
            let mut composite = self.common(&name, standing, "Something that customers see is not as it should be.");
            merge(&mut composite, json!({"AlarmRule": format!("ALARM(\"{a}\") OR ALARM(\"{b}\")")}));
            out.push(("CompositeAlarm", composite));
        }
        out
    }
}

fn merge(into: &mut Value, more: Value) {
    if let (Some(into), Value::Object(more)) = (into.as_object_mut(), more) {
        into.extend(more);
    }
}

impl World {
    pub(super) fn describe_alarms(
        &mut self,
        caller: &Caller,
        input: &Value,
        faults: &AwsFaults,
        now: Ms,
    ) -> Result<Value, Refusal> {
        let mine = |c: &&mut Cluster| c.account == caller.account && c.region == caller.region;
        self.clusters.iter_mut().filter(mine).for_each(|c| c.watch(now));
        let size = input["MaxRecords"].as_u64().unwrap_or(50);
        if !(1..=100).contains(&size) {
            let message = format!(
                "Value '{size}' at 'maxRecords' failed to satisfy constraint: Member must have value less than or equal to 100"
            );
            return Err(Refusal::new("ValidationError", message));
        }
        let types = strings(input, "AlarmTypes");
        let names = strings(input, "AlarmNames");
        let text = |key: &str| input[key].as_str();
        let mut all: Vec<(&'static str, Value)> = self
            .clusters
            .iter()
            .filter(|c| c.account == caller.account && c.region == caller.region)
            .flat_map(Cluster::alarms_json)
            // Composite alarms only come to those who ask for them.
            .filter(|(kind, _)| if types.is_empty() { *kind == "MetricAlarm" } else { types.contains(kind) })
            .filter(|(_, a)| names.is_empty() || names.iter().any(|n| a["AlarmName"] == *n))
            .filter(|(_, a)| text("StateValue").is_none_or(|s| a["StateValue"] == s))
            .filter(|(_, a)| {
                text("AlarmNamePrefix").is_none_or(|p| a["AlarmName"].as_str().is_some_and(|n| n.starts_with(p)))
            })
            .collect();
        all.sort_by_key(|(kind, _)| *kind != "MetricAlarm");
        let (page, next) = self.page(&all, text("NextToken"), size as usize, faults.circle)?;
        let of = |wanted: &str| {
            page.iter().filter(|(kind, _)| *kind == wanted).map(|(_, a)| a.clone()).collect::<Vec<Value>>()
        };
        let mut out = json!({"MetricAlarms": of("MetricAlarm"), "CompositeAlarms": of("CompositeAlarm")});
        if let Some(next) = next {
            out["NextToken"] = next.into();
        }
        Ok(out)
    }

    /// Lets alarms do what they are set up to do, or keeps them from it. Names of none are passed over, as by
    /// CloudWatch.
    pub(super) fn let_act(&mut self, caller: &Caller, input: &Value, enabled: bool, now: Ms) -> Result<Value, Refusal> {
        let names = strings(input, "AlarmNames");
        if names.is_empty() || names.len() > 100 {
            let message = format!(
                "{} validation error detected: Value at 'alarmNames' failed to satisfy constraint: Member must have length less than or equal to 100",
                names.len()
            );
            return Err(Refusal::new("ValidationError", message));
        }
        let mine = |c: &&mut Cluster| c.account == caller.account && c.region == caller.region;
        for c in self.clusters.iter_mut().filter(mine) {
            c.watch(now);
            for name in &names {
                if let Some(standing) = c.alarms.get_mut(*name) {
                    standing.enabled = enabled;
                }
            }
        }
        Ok(json!({}))
    }

    /// What people do to see whether an alarm reaches anybody. It lasts until the alarm is looked at again.
    pub(super) fn set_alarm_state(&mut self, caller: &Caller, input: &Value, now: Ms) -> Result<Value, Refusal> {
        let name = input["AlarmName"].as_str().unwrap_or_default();
        let state = match input["StateValue"].as_str() {
            Some("OK") => "OK",
            Some("ALARM") => "ALARM",
            Some("INSUFFICIENT_DATA") => "INSUFFICIENT_DATA",
            _ => return Err(Refusal::new("ValidationError", "StateValue must be OK, ALARM or INSUFFICIENT_DATA")),
        };
        let mine = |c: &&mut Cluster| c.account == caller.account && c.region == caller.region;
        let standing = self.clusters.iter_mut().filter(mine).find_map(|c| {
            c.watch(now);
            c.alarms.get_mut(name)
        });
        let standing = standing.ok_or_else(|| Refusal::new("ResourceNotFound", "").with(404))?;
        let text = |key: &str| input[key].as_str().unwrap_or_default().to_owned();
        *standing = Standing {
            since: if standing.state == state { standing.since } else { now },
            state,
            reason: text("StateReason"),
            data: text("StateReasonData"),
            updated: now,
            not_before: now + FORCED,
            enabled: standing.enabled,
        };
        Ok(json!({}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::aws::schema::ClusterDef;

    const START: Ms = 1_763_600_000_000;

    fn cluster(more: &str) -> Cluster {
        let text = format!(
            "name = 'shop'\ninsights = 'enabled'\n[[services]]\nname = 'web'\ndesired = 4\nimage = 'r/web:1'\n{more}"
        );
        let def: ClusterDef = toml::from_str(&text).unwrap();
        Cluster::new(&def, 7, START)
    }

    fn state(c: &Cluster, name: &str) -> (&'static str, Ms) {
        c.alarms.get(name).map_or(("", 0), |s| (s.state, (s.since - START) / 1000))
    }

    fn live(c: &mut Cluster, from: i64, to: i64) {
        for second in from..=to {
            c.advance(START + second * 1000);
            c.watch(START + second * 1000);
        }
    }

    #[test]
    fn an_alarm_follows_its_metric() {
        let mut c = cluster("load = 20\n");
        live(&mut c, 1, 20);
        assert_eq!(state(&c, "shop-web-cpu-high").0, "OK");
        assert_eq!(state(&c, "shop-degraded").0, "OK");
        c.services.get_mut("web").unwrap().load = 400.0;
        live(&mut c, 21, 60);
        assert_eq!(state(&c, "shop-web-cpu-high").0, "ALARM");
        assert_eq!(state(&c, "shop-degraded").0, "ALARM");
        let since = state(&c, "shop-web-cpu-high").1;
        live(&mut c, 61, 120);
        assert_eq!(state(&c, "shop-web-cpu-high"), ("ALARM", since), "since is the transition");
        c.services.get_mut("web").unwrap().load = 20.0;
        live(&mut c, 121, 150);
        assert_eq!(state(&c, "shop-web-cpu-high").0, "OK");
    }

    #[test]
    fn too_few_tasks_for_three_minutes_is_an_alarm_and_a_stop_that_is_mended_is_none() {
        let mut c = cluster(
            "launch = 'asg'\n[[instances]]\nprovider = 'asg'\ncount = 1\ninstance = 'm7i.large'\ncpu = 2\nmemory = 8\n",
        );
        live(&mut c, 1, 10);
        let first = state(&c, "shop-web-tasks-low");
        assert!(first.0 == "OK" && (-30 * 86_400..=-86_400).contains(&first.1), "fine for days: {first:?}");
        assert_ne!(state(&c, "shop-web-cpu-high").1, first.1, "each since its own time");
        let one = c.tasks.keys().next().unwrap().clone();
        c.stop(&one, super::super::model::stop("UserInitiated", "practice"), START + 10_000, 0);
        live(&mut c, 11, 300);
        assert_eq!(state(&c, "shop-web-tasks-low"), first, "replaced within a minute");
        // Nothing has room for what is stopped now.
        c.instances[0].draining = true;
        let ids: Vec<String> = c.tasks.keys().cloned().collect();
        for id in ids {
            c.stop(&id, super::super::model::stop("UserInitiated", "practice"), START + 300_000, 0);
        }
        live(&mut c, 301, 700);
        let (now, since) = state(&c, "shop-web-tasks-low");
        assert_eq!(now, "ALARM");
        assert!((420..700).contains(&since), "three whole minutes, and late: {since}");
        assert_eq!(state(&c, "shop-web-cpu-high").0, "INSUFFICIENT_DATA", "nothing runs, nothing is measured");
    }
}
