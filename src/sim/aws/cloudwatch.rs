//! CloudWatch: metrics that follow the fleet, late as they are in life, with
//! points missing where nothing was measured.

use serde_json::{Value, json};

use super::fault::AwsFaults;
use super::model::{Cluster, Ms, Service, Task};
use super::schema::{Insights, Outcome};
use super::wire::{Refusal, time};
use super::{Caller, World, tail};
use crate::sim::model::{hash, hash2, unit};

type Answer = Result<Option<Value>, Refusal>;

/// CloudWatch takes so many queries at once.
const QUERIES: usize = 500;
/// Points come so late.
pub(super) const LATE: Ms = 90_000;

/// What one minute of a metric was: the sum and count behind its statistics.
pub(super) struct Minute {
    pub value: f64,
    pub spread: f64,
    pub samples: f64,
}

impl World {
    pub(super) fn cloudwatch(
        &mut self,
        caller: &Caller,
        operation: &str,
        input: &Value,
        faults: &AwsFaults,
        now: Ms,
    ) -> Answer {
        match operation {
            "GetMetricData" => self.metric_data(caller, input, faults, now).map(Some),
            "ListMetrics" => Ok(Some(self.list_metrics(caller, input))),
            "DescribeAlarms" => self.describe_alarms(caller, input, faults, now).map(Some),
            "DisableAlarmActions" => self.let_act(caller, input, false, now).map(Some),
            "EnableAlarmActions" => self.let_act(caller, input, true, now).map(Some),
            "SetAlarmState" => self.set_alarm_state(caller, input, now).map(Some),
            "PutMetricData" => Ok(Some(json!({}))),
            _ => Ok(None),
        }
    }

    fn metric_data(&mut self, caller: &Caller, input: &Value, faults: &AwsFaults, now: Ms) -> Result<Value, Refusal> {
        let queries = input["MetricDataQueries"].as_array().cloned().unwrap_or_default();
        let bad = |m: &str| Refusal::new("InvalidParameterValueException", m);
        if queries.is_empty() || queries.len() > QUERIES {
            return Err(bad("The collection MetricDataQueries must not have a size greater than 500."));
        }
        let (start, end) = (moment(&input["StartTime"]), moment(&input["EndTime"]));
        if start >= end {
            return Err(bad("The parameter StartTime must be less than the parameter EndTime."));
        }
        let ascending = input["ScanBy"].as_str() == Some("TimestampAscending");
        self.limits.metrics += queries.iter().filter(|q| q["MetricStat"].is_object()).count() as u64;
        let mut results = Vec::new();
        for (n, query) in queries.iter().enumerate() {
            if let Some(expression) = query["Expression"].as_str() {
                let Some(search) = Search::parse(expression) else {
                    return Err(Refusal::new(
                        "ValidationError",
                        "Error in expression: this fleet knows SEARCH and SUM(SEARCH) only.",
                    ));
                };
                results.extend(self.search(caller, query, &search, (start, end), now));
                continue;
            }
            let stat = &query["MetricStat"];
            let metric = &stat["Metric"];
            let name = metric["MetricName"].as_str().unwrap_or_default();
            let period = stat["Period"].as_i64().unwrap_or(60);
            if period < 60 || period % 60 != 0 {
                return Err(bad(
                    "The parameter MetricDataQueries.member.1.MetricStat.Period must be a multiple of 60.",
                ));
            }
            let statistic = stat["Stat"].as_str().unwrap_or("Average");
            let mut points = self.series(caller, metric, statistic, (start, end), period * 1000, now);
            let partial = faults.partial && n % 2 == 0;
            if partial {
                points.truncate(points.len() / 2);
            }
            if !ascending {
                points.reverse();
            }
            let (stamps, values): (Vec<Value>, Vec<f64>) = points.into_iter().map(|(t, v)| (time(t), v)).unzip();
            results.push(json!({
                "Id": query["Id"], "Label": query["Label"].as_str().unwrap_or(name), "Timestamps": stamps,
                "Values": values, "StatusCode": if partial { "PartialData" } else { "Complete" },
            }));
        }
        Ok(json!({"MetricDataResults": results, "Messages": []}))
    }

    /// What a search finds, as a series each or as their sum. All of it is counted as asked for.
    fn search(&mut self, caller: &Caller, query: &Value, search: &Search, range: (Ms, Ms), now: Ms) -> Vec<Value> {
        let mine = |c: &&Cluster| c.account == caller.account && c.region == caller.region;
        let mut found = Vec::new();
        for c in self.clusters.iter().filter(mine) {
            for s in c.services.values().filter(|s| s.balanced) {
                let dimensions = json!([
                    {"Name": "TargetGroup", "Value": dimension_of(&c.target_group(&s.name))},
                    {"Name": "LoadBalancer", "Value": format!("app/{}/50dc6c495c0c9188", c.name)}]);
                let metric =
                    json!({"Namespace": search.namespace, "MetricName": search.metric, "Dimensions": dimensions});
                let points = self.series(caller, &metric, &search.stat, range, search.period * 1000, now);
                if !points.is_empty() {
                    found.push((s.name.clone(), points));
                }
            }
        }
        self.limits.metrics += found.len() as u64;
        if search.summed {
            let mut sum = std::collections::BTreeMap::new();
            for (at, value) in found.drain(..).flat_map(|(_, points)| points) {
                *sum.entry(at).or_insert(0.0) += value;
            }
            found.push((search.metric.clone(), sum.into_iter().collect()));
        }
        let result = |(label, points): (String, Vec<(Ms, f64)>)| {
            let (stamps, values): (Vec<Value>, Vec<f64>) = points.into_iter().map(|(t, v)| (time(t), v)).unzip();
            json!({"Id": query["Id"], "Label": label, "Timestamps": stamps, "Values": values, "StatusCode": "Complete"})
        };
        found.into_iter().map(result).collect()
    }

    /// A metric's points, oldest first.
    fn series(
        &self,
        caller: &Caller,
        metric: &Value,
        statistic: &str,
        (start, end): (Ms, Ms),
        period: Ms,
        now: Ms,
    ) -> Vec<(Ms, f64)> {
        let mut points = Vec::new();
        let mut at = start.div_euclid(period) * period;
        while at < end {
            let minutes: Vec<Minute> = (0..period / 60_000)
                .map(|m| at + m * 60_000)
                .filter(|t| t + 60_000 + LATE <= now)
                .filter_map(|t| self.minute(caller, metric, t, now))
                .collect();
            if !minutes.is_empty() && at >= start - period {
                points.push((at, fold(&minutes, statistic)));
            }
            at += period;
        }
        points
    }

    fn minute(&self, caller: &Caller, metric: &Value, at: Ms, now: Ms) -> Option<Minute> {
        let dimension = |name: &str| {
            let all = metric["Dimensions"].as_array()?;
            all.iter().find(|d| d["Name"] == name)?["Value"].as_str()
        };
        let namespace = metric["Namespace"].as_str().unwrap_or_default();
        let name = metric["MetricName"].as_str().unwrap_or_default();
        let mine = |c: &&Cluster| c.account == caller.account && c.region == caller.region;
        if namespace == "AWS/Usage" {
            let spot = dimension("Class") == Some("Standard/Spot");
            let vcpu: u32 = self
                .clusters
                .iter()
                .filter(mine)
                .flat_map(|c| c.tasks.values())
                .filter(|t| t.is_fargate() && t.stopped.is_none() && (t.provider == "FARGATE_SPOT") == spot)
                .map(|t| t.cpu)
                .sum();
            // Published every five minutes.
            return (at.rem_euclid(300_000) == 0).then(|| Minute {
                value: f64::from(vcpu) / 1024.0,
                spread: 0.0,
                samples: 1.0,
            });
        }
        if namespace == "AWS/ApplicationELB" {
            let group = dimension("TargetGroup")?;
            let service = group.split('/').nth(1)?;
            // There are no figures of a target group without its load balancer, which has the cluster's name.
            let cluster = dimension("LoadBalancer")?.split('/').nth(1)?;
            let c = self.clusters.iter().filter(mine).find(|c| c.name == cluster)?;
            return balancer(c, c.services.get(service)?, name, at);
        }
        let cluster = dimension("ClusterName")?;
        let c = self.clusters.iter().filter(mine).find(|c| c.name == cluster)?;
        if namespace == "ECS/ContainerInsights" && c.insights == Insights::Disabled {
            return None;
        }
        if let Some(task) = dimension("TaskId") {
            return task_usage(c, c.tasks.get(task).filter(|_| c.insights == Insights::Enhanced)?, name, at, now);
        }
        let s = c.services.get(dimension("ServiceName")?)?;
        usage(c, s, name, at, now)
    }

    fn list_metrics(&self, caller: &Caller, input: &Value) -> Value {
        let mut all = Vec::new();
        let wanted = input["Namespace"].as_str();
        for c in self.clusters.iter().filter(|c| c.account == caller.account && c.region == caller.region) {
            for s in c.services.values() {
                for name in ["CPUUtilization", "MemoryUtilization"] {
                    all.push(json!({"Namespace": "AWS/ECS", "MetricName": name, "Dimensions": [
                        {"Name": "ClusterName", "Value": c.name}, {"Name": "ServiceName", "Value": s.name}]}));
                }
            }
        }
        all.retain(|m| wanted.is_none_or(|n| m["Namespace"] == n));
        all.truncate(500);
        json!({"Metrics": all})
    }
}

/// `SEARCH('{Namespace,...} MetricName="X"', 'Sum', 60)`, alone or in `SUM(...)`: so much of metric math is known here.
struct Search {
    summed: bool,
    namespace: String,
    metric: String,
    stat: String,
    period: i64,
}

impl Search {
    fn parse(text: &str) -> Option<Self> {
        let inner = text.strip_prefix("SUM(").and_then(|t| t.strip_suffix(')'));
        let call = inner.unwrap_or(text).strip_prefix("SEARCH('{")?.strip_suffix(')')?;
        let (terms, rest) = call.split_once("', '")?;
        let (schema, terms) = terms.split_once('}')?;
        let (stat, period) = rest.split_once("', ")?;
        Some(Self {
            summed: inner.is_some(),
            namespace: schema.split(',').next()?.to_owned(),
            metric: terms.split_once("MetricName=\"")?.1.split('"').next()?.to_owned(),
            stat: stat.to_owned(),
            period: period.parse::<i64>().ok().filter(|p| *p >= 60 && *p % 60 == 0)?,
        })
    }
}

/// A time in a request: seconds, or RFC 3339.
fn moment(value: &Value) -> Ms {
    match value.as_f64() {
        Some(seconds) => (seconds * 1000.0) as Ms,
        None => value
            .as_str()
            .and_then(|s| chrono::DateTime::parse_from_rfc3339(s).ok())
            .map_or(0, |t| t.timestamp_millis()),
    }
}

fn wave(key: &str, at: Ms) -> f64 {
    let h = hash(key);
    let phase = unit(h) * std::f64::consts::TAU;
    let slow = ((at as f64 / 1_800_000.0) + phase).sin();
    let noise = unit(hash2(h, (at / 60_000) as u64)) - 0.5;
    1.0 + 0.25 * slow + 0.2 * noise
}

pub(super) fn usage(c: &Cluster, s: &Service, name: &str, at: Ms, now: Ms) -> Option<Minute> {
    let young = c.tasks.values().filter(|t| t.service.as_deref() == Some(&s.name) && t.ran_at(at.min(now))).count();
    match name {
        "RunningTaskCount" => return Some(Minute { value: young as f64, spread: 0.0, samples: 1.0 }),
        "DesiredTaskCount" => return Some(Minute { value: f64::from(s.desired), spread: 0.0, samples: 1.0 }),
        _ => {}
    }
    // Nothing runs, nothing is measured: a gap, not a zero.
    if young == 0 {
        return None;
    }
    let cpu = (s.load * wave(&s.name, at) * f64::from(s.desired.max(1)) / young as f64).clamp(0.5, 100.0);
    let memory = (s.load * 0.8 + 25.0 + 4.0 * wave(&format!("{}m", s.name), at)).clamp(1.0, 100.0);
    let tasks = young as f64;
    let (value, spread) = match name {
        "CPUUtilization" => (cpu, cpu * 0.3),
        "MemoryUtilization" => (memory, memory * 0.05),
        // One sample a task: their average is a task's, their sum is the service's.
        "CpuUtilized" => (cpu / 100.0 * f64::from(s.cpu), 0.0),
        "CpuReserved" => (f64::from(s.cpu), 0.0),
        "MemoryUtilized" => (memory / 100.0 * f64::from(s.memory), 0.0),
        "MemoryReserved" => (f64::from(s.memory), 0.0),
        _ => return None,
    };
    Some(Minute { value, spread, samples: tasks })
}

/// One task's share of what it has: around that of its service.
fn task_usage(c: &Cluster, t: &Task, name: &str, at: Ms, now: Ms) -> Option<Minute> {
    if !t.ran_at(at.min(now)) {
        return None;
    }
    let s = c.services.get(t.service.as_ref()?)?;
    let (of_service, least) = match name {
        "TaskCpuUtilization" => ("CPUUtilization", 0.1),
        "TaskMemoryUtilization" => ("MemoryUtilization", 1.0),
        _ => return None,
    };
    let mean = usage(c, s, of_service, at, now)?.value;
    let value = (mean * (0.85 + 0.3 * unit(t.seed))).clamp(least, 100.0);
    Some(Minute { value, spread: 0.0, samples: 1.0 })
}

fn balancer(c: &Cluster, s: &Service, name: &str, at: Ms) -> Option<Minute> {
    let running = c.tasks.values().filter(|t| t.service.as_deref() == Some(&s.name) && t.running()).count() as f64;
    let requests = (s.load * 40.0 * wave(&format!("{}r", s.name), at)).max(0.0).round();
    let failed = failing(c, s, at);
    let (value, samples) = match name {
        "RequestCount" => (requests, 1.0),
        "TargetResponseTime" if requests > 0.0 => (0.04 * wave(&format!("{}l", s.name), at), requests),
        // Sparse: a minute without errors has no point.
        "HTTPCode_Target_5XX_Count" if failed > 0.0 && (requests * failed).round() > 0.0 => {
            ((requests * failed).round(), 1.0)
        }
        "HTTPCode_Target_5XX_Count" if unit(hash2(hash(&s.name), (at / 60_000) as u64)) < 0.1 => {
            (requests * 0.002, 1.0)
        }
        "HealthyHostCount" => (running, 1.0),
        "UnHealthyHostCount" => (0.0, 1.0),
        _ => return None,
    };
    Some(Minute { value, spread: value * 0.5, samples })
}

/// The share of a minute's requests that failed beyond the usual: what was ordered, and what went to
/// tasks that do not fare well while they ran.
fn failing(c: &Cluster, s: &Service, at: Ms) -> f64 {
    let end = at + 60_000;
    let ordered: f64 = c
        .errors
        .iter()
        .filter(|(service, ..)| *service == s.name)
        .map(|(_, from, until, ratio)| ratio * ((*until).min(end) - (*from).max(at)).max(0) as f64 / 60_000.0)
        .sum();
    let ran = || c.tasks.values().filter(|t| t.service.as_deref() == Some(&s.name) && t.ran_at(end - 1));
    let unwell = ran().filter(|t| t.outcome != Outcome::Healthy).count() as f64;
    (ordered + 0.5 * unwell / (ran().count() as f64).max(1.0)).min(1.0)
}

/// The per cent of a mean's distribution that is not above a value: what [`fold`] takes for percentiles, reversed.
fn rank(mean: f64, value: f64) -> f64 {
    if mean <= 0.0 { 100.0 } else { 100.0 * (1.0 - (-((value / mean - 0.7) / 0.45).max(0.0)).exp()) }
}

/// The bounds of `PR(a:b)`, either of which may be missing.
fn rank_bounds(statistic: &str) -> Option<(Option<f64>, Option<f64>)> {
    let (from, to) = statistic.strip_prefix("PR(")?.strip_suffix(')')?.split_once(':')?;
    let bound = |text: &str| if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) };
    Some((bound(from)?, bound(to)?))
}

/// A statistic over minutes.
fn fold(minutes: &[Minute], statistic: &str) -> f64 {
    let samples: f64 = minutes.iter().map(|m| m.samples).sum();
    let mean = minutes.iter().map(|m| m.value * m.samples).sum::<f64>() / samples.max(1.0);
    let most = minutes.iter().map(|m| m.value + m.spread).fold(f64::MIN, f64::max);
    let least = minutes.iter().map(|m| (m.value - m.spread).max(0.0)).fold(f64::MAX, f64::min);
    if let Some((from, to)) = rank_bounds(statistic) {
        return to.map_or(100.0, |v| rank(mean, v)) - from.map_or(0.0, |v| rank(mean, v));
    }
    let percentile = statistic.strip_prefix('p').and_then(|p| p.parse::<f64>().ok());
    match (statistic, percentile) {
        (_, Some(p)) => {
            // A long tail, as latencies have it.
            let share = (p / 100.0).clamp(0.0, 0.9999);
            mean * (0.7 + 0.45 * (-(1.0 - share).ln()))
        }
        ("Sum", _) => minutes.iter().map(|m| m.value * m.samples).sum(),
        ("Minimum", _) => least,
        ("Maximum", _) => most,
        ("SampleCount", _) => samples,
        _ => mean,
    }
}

/// A target group's name for dimensions: the end of its ARN.
pub(super) fn dimension_of(arn: &str) -> String {
    arn.split_once(":targetgroup/").map_or_else(|| tail(arn).to_owned(), |(_, rest)| format!("targetgroup/{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::aws::schema::ClusterDef;

    const START: Ms = 1_763_600_040_000;

    #[test]
    fn ordered_errors_show_in_the_minutes_they_fall_in() {
        let text = "name = 'shop'\n[[services]]\nname = 'web'\ndesired = 4\nimage = 'r/web:1'\nbalanced = true\n\
            [[at]]\nt = '30s'\naction = 'errors'\nservice = 'web'\nratio = 0.4\nfor = '2m'\n";
        let def: ClusterDef = toml::from_str(text).unwrap();
        def.check().unwrap();
        let mut c = Cluster::new(&def, 7, START);
        for second in 0..=200 {
            c.advance(START + second * 1000);
        }
        let from = START.div_euclid(60_000) * 60_000;
        let shares: Vec<f64> = (0..4).map(|m| failing(&c, &c.services["web"], from + m * 60_000)).collect();
        let sum: f64 = shares.iter().sum();
        // 120 s of 0.4, however the minutes cut them.
        assert!((sum - 0.8).abs() < 0.02 && shares.iter().all(|s| *s < 0.41), "{shares:?}");
        let (all, bad) = ["RequestCount", "HTTPCode_Target_5XX_Count"]
            .map(|name| balancer(&c, &c.services["web"], name, from + 60_000).map_or(0.0, |m| m.value))
            .into();
        assert!((bad / all - shares[1]).abs() < 0.01, "{bad} of {all}");
    }

    #[test]
    fn a_rank_is_a_percentile_reversed() {
        let minutes = [Minute { value: 0.04, spread: 0.0, samples: 10.0 }];
        let p90 = fold(&minutes, "p90");
        assert!((fold(&minutes, &format!("PR(:{p90})")) - 90.0).abs() < 1e-6);
        assert!((fold(&minutes, &format!("PR({p90}:)")) - 10.0).abs() < 1e-6);
        assert_eq!(rank_bounds("PR(0.1:0.5)"), Some((Some(0.1), Some(0.5))));
        assert_eq!(rank_bounds("p90"), None);
    }
}
