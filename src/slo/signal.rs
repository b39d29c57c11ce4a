//! Where the figures of an objective come from.

use std::fmt;

use super::query::{Query, Selector, Template};

/// What to ask, and whom.
#[derive(Debug, Clone, PartialEq)]
pub enum Signal {
    /// Prometheus, or what speaks its language.
    Prometheus(PrometheusSignal),
    /// Amazon CloudWatch.
    CloudWatch(CloudWatchSignal),
    /// A system that cannot be asked, by its type in the file: shown, not measured.
    Unsupported(String),
}

/// Which events a query counts beside all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The good ones.
    Good,
    /// The bad ones.
    Bad,
}

impl Part {
    /// `good` or `bad`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
        }
    }
}

/// How a value must stand to its threshold to be good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// Below.
    Lt,
    /// At or below.
    Lte,
    /// Above.
    Gt,
    /// At or above.
    Gte,
}

impl Comparison {
    /// As OpenSLO writes it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Lt => "lt",
            Self::Lte => "lte",
            Self::Gt => "gt",
            Self::Gte => "gte",
        }
    }

    /// As a query writes it.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Lt => "<",
            Self::Lte => "<=",
            Self::Gt => ">",
            Self::Gte => ">=",
        }
    }

    /// Whether a value stands so to a limit.
    #[must_use]
    pub fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Lt => value < limit,
            Self::Lte => value <= limit,
            Self::Gt => value > limit,
            Self::Gte => value >= limit,
        }
    }

    /// Whether small values are good.
    #[must_use]
    pub fn small_is_good(self) -> bool {
        matches!(self, Self::Lt | Self::Lte)
    }
}

/// Queries for Prometheus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrometheusSignal {
    /// Some events of all.
    Ratio {
        /// Which of them.
        part: Part,
        /// How many.
        query: Query,
        /// How many there are.
        total: Query,
    },
    /// A ratio that somebody else computes.
    Raw {
        /// Which events it is the share of.
        part: Part,
        /// The ratio.
        query: Template,
    },
    /// Events in the buckets of a histogram up to a threshold.
    Latency {
        /// The buckets, without `le`.
        buckets: Selector,
        /// The bound, as a decimal without needless zeros.
        threshold: String,
    },
    /// A value that is compared in each slice of time.
    Value {
        /// The value.
        query: Template,
        /// How it must stand.
        op: Comparison,
        /// To this, as a decimal.
        threshold: String,
    },
}

/// How many events a metric of CloudWatch says there were in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sum {
    /// Its values added up.
    Sum,
    /// How many values there are.
    SampleCount,
}

impl Sum {
    /// The statistic's name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Sum => "Sum",
            Self::SampleCount => "SampleCount",
        }
    }
}

/// One metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudWatchMetric {
    /// Its namespace, such as `AWS/ApplicationELB`.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its dimensions, in the order of the file.
    pub dimensions: Vec<(String, String)>,
    /// Its region, where the file says one.
    pub region: Option<String>,
    /// Its account, where it is another one.
    pub account: Option<String>,
}

/// What to count in CloudWatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloudWatchCount {
    /// A metric.
    Metric(CloudWatchMetric, Sum),
    /// Metric math that gives one series of counts, and the region it is asked in.
    Expression(String, Option<String>),
}

/// Queries for CloudWatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloudWatchSignal {
    /// Some events of all.
    Ratio {
        /// Which of them.
        part: Part,
        /// How many.
        count: CloudWatchCount,
        /// How many there are.
        total: CloudWatchCount,
    },
    /// Values at or below a threshold, by their percentile rank.
    Latency {
        /// The metric.
        metric: CloudWatchMetric,
        /// The threshold, in the metric's unit, as a decimal.
        threshold: String,
    },
    /// A statistic that is compared in each slice of time.
    Value {
        /// The metric.
        metric: CloudWatchMetric,
        /// Its statistic, as CloudWatch writes it: `p99`, `Average`.
        stat: String,
        /// How it must stand.
        op: Comparison,
        /// To this, in the metric's unit, as a decimal.
        threshold: String,
    },
}

/// In words, for a reader who wants to know what is measured.
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prometheus(signal) => write!(f, "{signal}"),
            Self::CloudWatch(signal) => write!(f, "{signal}"),
            Self::Unsupported(kind) => write!(f, "not measured: `{kind}` cannot be asked"),
        }
    }
}

impl fmt::Display for PrometheusSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ratio { part, query, total } => {
                write!(f, "{} events {} of all {}", part.word(), query_text(query), query_text(total))
            }
            Self::Raw { part, query } => write!(f, "the ratio of {} events {}", part.word(), query.fill("WINDOW")),
            Self::Latency { buckets, threshold } => {
                write!(f, "events up to {threshold} by the histogram {}", buckets.text())
            }
            Self::Value { query, op, threshold } => {
                write!(f, "slices in which {} {} {threshold}", query.fill("SLICE"), op.sign())
            }
        }
    }
}

impl fmt::Display for CloudWatchSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ratio { part, count, total } => write!(f, "{} events {count} of all {total}", part.word()),
            Self::Latency { metric, threshold } => write!(f, "events up to {threshold} of {metric}"),
            Self::Value { metric, stat, op, threshold } => {
                write!(f, "slices in which {stat} of {metric} {} {threshold}", op.sign())
            }
        }
    }
}

impl fmt::Display for CloudWatchCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metric(metric, stat) => write!(f, "{metric} ({})", stat.word()),
            Self::Expression(text, _) => write!(f, "{text}"),
        }
    }
}

/// `Namespace/Name{Dimension=value}`.
impl fmt::Display for CloudWatchMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.namespace, self.name)?;
        let parts: Vec<String> = self.dimensions.iter().map(|(k, v)| format!("{k}={v}")).collect();
        if parts.is_empty() { Ok(()) } else { write!(f, "{{{}}}", parts.join(", ")) }
    }
}

fn query_text(query: &Query) -> String {
    match query {
        Query::Counter(selector) => selector.text(),
        Query::Template(template) => template.fill("WINDOW"),
    }
}
