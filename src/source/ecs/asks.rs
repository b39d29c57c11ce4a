//! What CloudWatch is asked of a service or a task, and what it answered.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_cloudwatch::types as cw;

use super::Link;
use super::balancers::Group;
use super::metrics::Running;
use crate::domain::{ObjectId, Text};

/// How much of Container Insights a cluster has on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Insights {
    /// Nothing, or not known yet.
    #[default]
    Off,
    /// By cluster, service and family.
    On,
    /// By task and container, too.
    Enhanced,
}

impl Insights {
    /// Of the value of the cluster setting `containerInsights`.
    pub fn of(value: &str) -> Self {
        match value {
            "enhanced" => Self::Enhanced,
            "enabled" => Self::On,
            _ => Self::Off,
        }
    }
}

/// One figure of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Figure {
    /// CPU in per cent of what is reserved.
    CpuShare,
    /// Memory in per cent of what is reserved.
    MemoryShare,
    /// CPU units in use, of one task.
    CpuUsed,
    /// CPU units reserved, by one task.
    CpuReserved,
    /// MiB in use, of one task.
    MemoryUsed,
    /// MiB reserved, by one task.
    MemoryReserved,
    /// Requests in a minute.
    Requests,
    /// Answers with 5xx in a minute.
    Errors,
    /// Seconds, the median.
    P50,
    /// Seconds, 95 per cent.
    P95,
    /// Seconds, 99 per cent.
    P99,
}

/// One question.
#[derive(Debug, Clone)]
pub struct Ask {
    /// What it is about.
    pub about: ObjectId,
    figure: Figure,
    /// Which of a service's target groups.
    group: u8,
    metric: cw::Metric,
    statistic: &'static str,
}

fn metric(namespace: &str, name: &str, dimensions: &[(&str, &str)]) -> cw::Metric {
    let dimensions = dimensions.iter().map(|(n, v)| cw::Dimension::builder().name(*n).value(*v).build()).collect();
    cw::Metric::builder().namespace(namespace).metric_name(name).set_dimensions(Some(dimensions)).build()
}

/// Figures of Container Insights, with their metrics: averages over tasks.
const INSIGHTS: [(Figure, &str); 4] = [
    (Figure::CpuUsed, "CpuUtilized"),
    (Figure::CpuReserved, "CpuReserved"),
    (Figure::MemoryUsed, "MemoryUtilized"),
    (Figure::MemoryReserved, "MemoryReserved"),
];

impl Ask {
    fn average(
        id: &ObjectId,
        namespace: &str,
        dimensions: &[(&str, &str)],
        figures: &[(Figure, &'static str)],
    ) -> Vec<Self> {
        let ask = |(figure, name): &(Figure, &str)| Self {
            about: id.clone(),
            figure: *figure,
            group: 0,
            metric: metric(namespace, name, dimensions),
            statistic: "Average",
        };
        figures.iter().map(ask).collect()
    }

    /// CPU and memory of a service: what is used and reserved where Container Insights
    /// is on, ECS's own shares where it is not.
    pub fn service(link: &Link, id: &ObjectId, level: Insights) -> Vec<Self> {
        let cluster = super::tail(&link.spec.cluster);
        if level == Insights::Off {
            // This order, for a server that does not sort dimensions.
            let dimensions = [("ClusterName", cluster), ("ServiceName", id.name.as_str())];
            let figures = [(Figure::CpuShare, "CPUUtilization"), (Figure::MemoryShare, "MemoryUtilization")];
            return Self::average(id, "AWS/ECS", &dimensions, &figures);
        }
        let dimensions = [("ClusterName", cluster), ("ServiceName", id.name.as_str())];
        Self::average(id, "ECS/ContainerInsights", &dimensions, &INSIGHTS)
    }

    /// CPU and memory of one task. Without enhanced observability there are averages of
    /// a service or a family only: they are a task's own if it is the only one.
    pub fn task(
        link: &Link,
        id: &ObjectId,
        level: Insights,
        task: &Running,
        running: &HashMap<Text, Running>,
    ) -> Vec<Self> {
        const NAMESPACE: &str = "ECS/ContainerInsights";
        let cluster = super::tail(&link.spec.cluster);
        let of = if task.service.is_empty() {
            ("TaskDefinitionFamily", task.family.as_str())
        } else {
            ("ServiceName", task.service.as_str())
        };
        if level == Insights::Enhanced {
            let figures = [(Figure::CpuShare, "TaskCpuUtilization"), (Figure::MemoryShare, "TaskMemoryUtilization")];
            let dimensions = [("ClusterName", cluster), of, ("TaskId", task.id.as_str())];
            return Self::average(id, NAMESPACE, &dimensions, &figures);
        }
        let kin = |other: &&Running| {
            if task.service.is_empty() { other.family == task.family } else { other.service == task.service }
        };
        if running.values().filter(kin).count() > 1 {
            return Vec::new();
        }
        Self::average(id, NAMESPACE, &[("ClusterName", cluster), of], &[INSIGHTS[0], INSIGHTS[2]])
    }

    /// What a load balancer counts of a target group.
    pub fn traffic(id: &ObjectId, number: u8, group: &Group) -> Vec<Self> {
        let figures = [
            (Figure::Requests, "RequestCount", "Sum"),
            (Figure::Errors, "HTTPCode_Target_5XX_Count", "Sum"),
            (Figure::P50, "TargetResponseTime", "p50"),
            (Figure::P95, "TargetResponseTime", "p95"),
            (Figure::P99, "TargetResponseTime", "p99"),
        ];
        let dimensions = [("TargetGroup", group.target.as_str()), ("LoadBalancer", group.balancer.as_str())];
        let ask = |(figure, name, statistic)| Self {
            about: id.clone(),
            figure,
            group: number,
            metric: metric("AWS/ApplicationELB", name, &dimensions),
            statistic,
        };
        figures.into_iter().map(ask).collect()
    }

    /// As `GetMetricData` takes it.
    pub fn query(&self, id: String) -> cw::MetricDataQuery {
        let stat = cw::MetricStat::builder().metric(self.metric.clone()).period(60).stat(self.statistic).build();
        cw::MetricDataQuery::builder().id(id).metric_stat(stat).build()
    }
}

/// What was answered: values by the second at which their minute began.
#[derive(Debug, Default)]
pub struct Series(HashMap<(ObjectId, u8, Figure), BTreeMap<i64, f64>>);

/// For what there is nothing of.
static NOTHING: BTreeMap<i64, f64> = BTreeMap::new();

impl Series {
    /// Takes one answer. Of partial data, what is there is taken: the rest comes with
    /// the next round, which asks again from the last point.
    pub fn take(&mut self, result: &cw::MetricDataResult, batch: &[Ask]) {
        let number = result.id().and_then(|id| id.strip_prefix('q')).and_then(|n| n.parse::<usize>().ok());
        let Some(ask) = number.and_then(|n| batch.get(n)) else { return };
        let points = result.timestamps().iter().zip(result.values());
        let points = points.filter(|(_, value)| value.is_finite()).map(|(at, value)| (at.secs(), *value));
        self.0.entry((ask.about.clone(), ask.group, ask.figure)).or_default().extend(points);
    }

    /// Takes another's answers, too.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// A figure of an object.
    pub fn of(&self, id: &ObjectId, figure: Figure) -> &BTreeMap<i64, f64> {
        self.of_group(id, 0, figure)
    }

    /// A figure of one of a service's target groups.
    pub fn of_group(&self, id: &ObjectId, group: u8, figure: Figure) -> &BTreeMap<i64, f64> {
        self.0.get(&(id.clone(), group, figure)).unwrap_or(&NOTHING)
    }

    /// True if there is any point of a figure.
    pub fn has(&self, id: &ObjectId, figure: Figure) -> bool {
        !self.of(id, figure).is_empty()
    }
}
