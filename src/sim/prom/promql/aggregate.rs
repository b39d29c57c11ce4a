//! `sum by (...)` and its sisters.

use std::collections::BTreeMap;

use super::ast::Fold;
use super::data::{Labels, NAME, Sample};

/// One fold over a vector.
pub fn fold(fold: Fold, by: Option<&(bool, Vec<String>)>, param: Option<f64>, v: Vec<Sample>) -> Vec<Sample> {
    let mut groups: BTreeMap<Labels, Vec<Sample>> = BTreeMap::new();
    for s in v {
        let key = match by {
            None => Labels::default(),
            Some((true, names)) => s.labels.filtered(|k| names.iter().any(|n| n == k)),
            Some((false, names)) => s.labels.filtered(|k| k != NAME && !names.iter().any(|n| n == k)),
        };
        groups.entry(key).or_default().push(s);
    }
    let mut out = Vec::with_capacity(groups.len());
    for (labels, group) in groups {
        match fold {
            Fold::TopK | Fold::BottomK => out.extend(extremes(group, param.unwrap_or(0.0), fold == Fold::TopK)),
            _ => out.push(Sample { labels, value: one(fold, param, &group) }),
        }
    }
    out
}

#[expect(clippy::cast_precision_loss, reason = "series, some thousands")]
fn one(fold: Fold, param: Option<f64>, group: &[Sample]) -> f64 {
    let values = || group.iter().map(|s| s.value);
    let n = group.len() as f64;
    match fold {
        Fold::Sum => values().sum(),
        Fold::Avg => values().sum::<f64>() / n,
        Fold::Min => values().reduce(|a, b| if b < a || a.is_nan() { b } else { a }).unwrap_or(f64::NAN),
        Fold::Max => values().reduce(|a, b| if b > a || a.is_nan() { b } else { a }).unwrap_or(f64::NAN),
        Fold::Count => n,
        Fold::Group => 1.0,
        Fold::Quantile => quantile(param.unwrap_or(f64::NAN), values().collect()),
        Fold::Stddev | Fold::Stdvar => {
            let mean = values().sum::<f64>() / n;
            let variance = values().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
            if fold == Fold::Stddev { variance.sqrt() } else { variance }
        }
        Fold::TopK | Fold::BottomK => f64::NAN,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, cut to the vector's length")]
fn extremes(mut group: Vec<Sample>, k: f64, top: bool) -> Vec<Sample> {
    group.sort_by(|a, b| {
        let order = a.value.total_cmp(&b.value);
        if top { order.reverse() } else { order }
    });
    // NaN is no extreme.
    group.sort_by_key(|s| s.value.is_nan());
    group.truncate(if k >= 1.0 { k as usize } else { 0 });
    group
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank among some thousand values"
)]
fn quantile(q: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(f64::total_cmp);
    let rank = q * (values.len() - 1) as f64;
    let (low, share) = (rank.floor(), rank.fract());
    let high = ((low + 1.0) as usize).min(values.len() - 1);
    values[low as usize] * (1.0 - share) + values[high] * share
}
