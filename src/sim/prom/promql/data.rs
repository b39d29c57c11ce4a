//! Labels, samples, and where samples come from.

use std::fmt;
use std::sync::Arc;

/// Milliseconds since 1970.
pub type Ms = i64;

/// The label that is a metric's name.
pub const NAME: &str = "__name__";

/// A set of labels in order of their names, without empty values. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Arc<[(Arc<str>, Arc<str>)]>);

impl Default for Labels {
    fn default() -> Self {
        Self(Arc::from(Vec::new()))
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<String> = self.iter().map(|(k, v)| format!("{k}={v:?}")).collect();
        write!(f, "{{{}}}", pairs.join(", "))
    }
}

impl Labels {
    /// From pairs in any order; of a name that comes twice, the last counts.
    pub fn new<K: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut all = std::collections::BTreeMap::new();
        for (k, v) in pairs {
            all.insert(Arc::<str>::from(k.as_ref()), Arc::<str>::from(v.as_ref()));
        }
        Self(all.into_iter().filter(|(_, v)| !v.is_empty()).collect())
    }

    /// The value of a label, empty when there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(k, _)| **k == *name).map_or("", |(_, v)| v)
    }

    /// Names and values, in order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (&**k, &**v))
    }

    /// Those that `keep` says.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|(k, _)| keep(k)).cloned().collect())
    }

    /// Without the metric's name.
    #[must_use]
    pub fn nameless(&self) -> Self {
        if self.get(NAME).is_empty() { self.clone() } else { self.filtered(|k| k != NAME) }
    }

    /// With one label set, or removed if `value` is empty.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        Self::new(self.iter().filter(|(k, _)| *k != name).chain(std::iter::once((name, value))))
    }
}

/// Series with their samples, oldest first.
pub type Matrix = Vec<(Labels, Vec<(Ms, f64)>)>;

/// A value of one series at the time of evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Whose.
    pub labels: Labels,
    /// What.
    pub value: f64,
}

/// What `rate` needs of a range, without every sample in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// The first sample.
    pub first: (Ms, f64),
    /// The last sample.
    pub last: (Ms, f64),
    /// How many there are.
    pub count: u64,
    /// What was lost in resets: the last value before each.
    pub lost: f64,
}

impl Window {
    /// Of samples, oldest first.
    #[must_use]
    pub fn of(samples: &[(Ms, f64)]) -> Option<Self> {
        let (first, last) = (*samples.first()?, *samples.last()?);
        let lost = samples.windows(2).filter(|w| w[1].1 < w[0].1).map(|w| w[0].1).sum();
        Some(Self { first, last, count: samples.len() as u64, lost })
    }
}

/// Where a series' samples come from. Ranges are open at their beginning and
/// closed at their end, as Prometheus 3 has them.
pub trait Timeline: Send + Sync {
    /// The value that an instant selector finds: the newest not older than
    /// [`super::LOOKBACK`] and not followed by the series' end.
    fn at(&self, at: Ms) -> Option<f64>;
    /// Every sample of a range, oldest first.
    fn samples(&self, after: Ms, upto: Ms) -> Vec<(Ms, f64)>;
    /// How many samples [`Timeline::samples`] has, at most.
    fn most(&self, after: Ms, upto: Ms) -> u64;
    /// A range in sum; faster than its samples where a timeline can.
    fn window(&self, after: Ms, upto: Ms) -> Option<Window> {
        Window::of(&self.samples(after, upto))
    }
}

/// One series.
pub struct Series {
    /// Its labels, the name among them.
    pub labels: Labels,
    /// The labels that a function leaves it.
    pub nameless: Labels,
    /// Its samples.
    pub timeline: Box<dyn Timeline>,
}

impl Series {
    /// A series of these labels.
    pub fn new(labels: Labels, timeline: Box<dyn Timeline>) -> Self {
        Self { nameless: labels.nameless(), labels, timeline }
    }
}

impl fmt::Debug for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.labels.fmt(f)
    }
}

/// Samples written out, oldest first.
#[cfg(test)]
#[derive(Debug, Clone, Default)]
pub struct Literal(pub Vec<(Ms, f64)>);

#[cfg(test)]
impl Timeline for Literal {
    fn at(&self, at: Ms) -> Option<f64> {
        self.0.iter().rev().find(|(t, _)| *t <= at).filter(|(t, _)| *t > at - super::LOOKBACK).map(|(_, v)| *v)
    }
    fn samples(&self, after: Ms, upto: Ms) -> Vec<(Ms, f64)> {
        self.0.iter().filter(|(t, _)| *t > after && *t <= upto).copied().collect()
    }
    fn most(&self, _after: Ms, _upto: Ms) -> u64 {
        self.0.len() as u64
    }
}
