//! AWS's own limits, and what was asked: token buckets by account and region.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

/// Burst and sustained rate per second of an operation's bucket, and its name.
pub fn bucket(service: &str, operation: &str) -> (&'static str, f64, f64) {
    match (service, operation) {
        ("ecs", "ListClusters" | "DescribeClusters") => ("ecs cluster read", 50.0, 20.0),
        ("ecs", "ListServices" | "DescribeServices") => ("ecs service read", 100.0, 20.0),
        (
            "ecs",
            "ListTasks" | "DescribeTasks" | "ListContainerInstances" | "DescribeContainerInstances" | "ListAttributes",
        ) => ("ecs resource read", 100.0, 20.0),
        ("ecs", "CreateService" | "UpdateService" | "DeleteService") => ("ecs service modify", 50.0, 5.0),
        ("ecs", "DescribeTaskDefinition" | "ListTaskDefinitions") => ("ecs definition read", 50.0, 20.0),
        ("ecs", "RegisterTaskDefinition") => ("ecs definition modify", 20.0, 1.0),
        ("ecs", "ListServiceDeployments" | "DescribeServiceDeployments") => ("ecs deployments", 50.0, 20.0),
        ("ecs", "DescribeCapacityProviders") => ("ecs capacity providers", 50.0, 20.0),
        ("ecs", "GetTaskProtection" | "UpdateTaskProtection") => ("ecs task protection", 200.0, 80.0),
        ("ecs", _) => ("ecs resource modify", 100.0, 40.0),
        ("monitoring", "GetMetricData") => ("cloudwatch metric data", 500.0, 500.0),
        ("monitoring", "DescribeAlarms") => ("cloudwatch alarms", 9.0, 9.0),
        ("monitoring", _) => ("cloudwatch", 25.0, 25.0),
        ("logs", "FilterLogEvents") => ("logs filter", 10.0, 10.0),
        ("logs", _) => ("logs", 25.0, 25.0),
        ("application-autoscaling", _) => ("application autoscaling", 30.0, 10.0),
        ("ec2", _) => ("ec2", 100.0, 20.0),
        ("elasticloadbalancing", _) => ("elasticloadbalancing", 40.0, 10.0),
        ("servicequotas", _) => ("service quotas", 10.0, 10.0),
        ("sqs", _) => ("sqs", 3000.0, 3000.0),
        _ => ("other", 20.0, 10.0),
    }
}

#[derive(Debug, Default)]
struct Use {
    tokens: Option<(f64, i64)>,
    last_second: VecDeque<i64>,
    most_in_a_second: usize,
    requests: u64,
}

/// What was asked of the façade. Times are in milliseconds.
#[derive(Debug, Default)]
pub struct Limits {
    buckets: BTreeMap<(String, String, &'static str), Use>,
    operations: BTreeMap<String, u64>,
    throttled: u64,
    /// Metrics asked for with `GetMetricData`.
    pub metrics: u64,
    /// Without limits when false.
    pub on: bool,
}

impl Limits {
    /// Counts a request; false if it is too much.
    pub fn take(&mut self, account: &str, region: &str, service: &str, operation: &str, now: i64) -> bool {
        let (name, burst, rate) = bucket(service, operation);
        *self.operations.entry(format!("{service}:{operation}")).or_default() += 1;
        let u = self.buckets.entry((account.to_owned(), region.to_owned(), name)).or_default();
        u.requests += 1;
        u.last_second.push_back(now);
        while u.last_second.front().is_some_and(|t| now - t >= 1000) {
            u.last_second.pop_front();
        }
        u.most_in_a_second = u.most_in_a_second.max(u.last_second.len());
        let (left, at) = u.tokens.unwrap_or((burst, now));
        #[expect(clippy::cast_precision_loss, reason = "milliseconds between two requests")]
        let left = (left + (now - at).max(0) as f64 / 1000.0 * rate).min(burst);
        let fits = left >= 1.0 || !self.on;
        u.tokens = Some((if left >= 1.0 { left - 1.0 } else { left }, now));
        self.throttled += u64::from(!fits);
        fits
    }

    /// Counts a request that a fault throttled.
    pub fn throttle(&mut self) {
        self.throttled += 1;
    }

    /// Everything, for tests and for people.
    pub fn report(&self) -> Value {
        let buckets: Vec<Value> = self
            .buckets
            .iter()
            .map(|((account, region, name), u)| {
                json!({"account": account, "region": region, "bucket": name, "requests": u.requests,
                    "most_in_a_second": u.most_in_a_second})
            })
            .collect();
        json!({"operations": self.operations, "buckets": buckets, "throttled": self.throttled,
            "metrics_requested": self.metrics})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills() {
        let mut limits = Limits { on: true, ..Limits::default() };
        let mut take = |now| limits.take("1", "eu-west-1", "ecs", "ListServices", now);
        assert!((0..100).all(|_| take(0)));
        assert!(!take(0));
        assert!((0..20).all(|_| take(1000)), "20 come back in a second");
        assert!(!take(1000));
        let report = limits.report();
        assert_eq!((report["throttled"].as_u64(), report["buckets"][0]["requests"].as_u64()), (Some(2), Some(122)));
        assert_eq!(report["operations"]["ecs:ListServices"], 122);
    }
}
