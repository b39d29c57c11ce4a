//! `histogram_quantile` over classic histograms.

use std::collections::BTreeMap;

use super::data::{Labels, NAME, Sample};

/// A quantile of each histogram in a vector of its buckets.
pub fn quantile(q: f64, v: &[Sample]) -> Vec<Sample> {
    let mut all: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    for s in v {
        // What has no bound is no bucket.
        if let Ok(bound) = s.labels.get("le").parse::<f64>() {
            let key = s.labels.filtered(|k| k != "le" && k != NAME);
            all.entry(key).or_default().push((bound, s.value));
        }
    }
    all.into_iter().map(|(labels, buckets)| Sample { labels, value: of_buckets(q, buckets) }).collect()
}

/// Linear within a bucket, as if its values were spread evenly.
pub fn of_buckets(q: f64, mut buckets: Vec<(f64, f64)>) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    // The same bound twice, as `1` and `1.0`, is one bucket.
    buckets.dedup_by(|later, kept| {
        let same = later.0.total_cmp(&kept.0).is_eq();
        if same {
            kept.1 += later.1;
        }
        same
    });
    let Some((&(last, total), rest)) = buckets.split_last() else { return f64::NAN };
    if last < f64::INFINITY || rest.is_empty() || total <= 0.0 || total.is_nan() {
        return f64::NAN;
    }
    // Counts of different moments may fall a little; a histogram's never do.
    let mut most = 0.0_f64;
    let counts: Vec<f64> = buckets
        .iter()
        .map(|b| {
            most = most.max(b.1);
            most
        })
        .collect();
    let rank = q * counts.last().copied().unwrap_or(total);
    let at = counts.iter().take(rest.len()).position(|c| *c >= rank).unwrap_or(rest.len());
    if at == rest.len() {
        return rest.last().map_or(f64::NAN, |b| b.0);
    }
    let end = buckets[at].0;
    if at == 0 && end <= 0.0 {
        return end;
    }
    let (start, below) = if at == 0 { (0.0, 0.0) } else { (buckets[at - 1].0, counts[at - 1]) };
    start + (end - start) * ((rank - below) / (counts[at] - below))
}
