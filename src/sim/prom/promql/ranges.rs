//! Functions over ranges: `rate` and its sisters, extrapolated as Prometheus does it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ast::Expr;
use super::data::{Labels, Matrix, Ms, Sample, Window};
use super::eval::Engine;
use super::functions::seconds;
use super::{Error, LOOKBACK};

/// So many samples for one question; a tenth of what Prometheus allows.
const SAMPLES: u64 = 5_000_000;
/// The step of a subquery that names none: the interval of rules.
const STEP: Ms = 30_000;
/// So many steps in a subquery.
const STEPS: Ms = 1_000_000;

/// Whether a function takes a range.
pub fn is_one(name: &str) -> bool {
    by_window(name) || by_samples(name).is_some()
}

fn by_window(name: &str) -> bool {
    matches!(name, "rate" | "increase" | "delta" | "count_over_time")
}

type OverSamples = fn(&[(Ms, f64)]) -> Option<f64>;

fn by_samples(name: &str) -> Option<OverSamples> {
    fn values(s: &[(Ms, f64)]) -> impl Iterator<Item = f64> {
        s.iter().map(|(_, v)| *v)
    }
    Some(match name {
        "irate" => |s| {
            let [.., a, b] = s else { return None };
            let more = if b.1 < a.1 { b.1 } else { b.1 - a.1 };
            (b.0 > a.0).then(|| more / seconds(b.0 - a.0))
        },
        "sum_over_time" => |s| Some(values(s).sum()),
        "avg_over_time" => |s| Some(values(s).sum::<f64>() / count(s.len())),
        // NaN counts only where there is nothing else.
        "min_over_time" => |s| values(s).reduce(|a, b| if b < a || a.is_nan() { b } else { a }),
        "max_over_time" => |s| values(s).reduce(|a, b| if b > a || a.is_nan() { b } else { a }),
        "last_over_time" => |s| s.last().map(|l| l.1),
        "present_over_time" => |_| Some(1.0),
        "changes" => |s| Some(count(s.windows(2).filter(|w| w[0].1.total_cmp(&w[1].1).is_ne()).count())),
        "resets" => |s| Some(count(s.windows(2).filter(|w| w[1].1 < w[0].1).count())),
        _ => return None,
    })
}

#[expect(clippy::cast_precision_loss, reason = "a few million at most")]
fn count(n: usize) -> f64 {
    n as f64
}

/// `increase` or `rate` (or `delta`, of what is no counter) of what is known of a range.
#[expect(clippy::cast_precision_loss, reason = "samples of a range, a few hundred thousand")]
pub fn extrapolated(w: &Window, (after, upto): (Ms, Ms), counter: bool, rate: bool) -> Option<f64> {
    if w.count < 2 || w.last.0 <= w.first.0 {
        return None;
    }
    let gained = w.last.1 - w.first.1 + if counter { w.lost } else { 0.0 };
    let sampled = seconds(w.last.0 - w.first.0);
    let between = sampled / (w.count - 1) as f64;
    let (mut to_start, mut to_end) = (seconds(w.first.0 - after), seconds(upto - w.last.0));
    // The series begins or ends within the range: half an interval more is likely.
    if to_start >= between * 1.1 {
        to_start = between / 2.0;
    }
    // A counter was never below zero.
    if counter && gained > 0.0 && w.first.1 >= 0.0 {
        to_start = to_start.min(sampled * (w.first.1 / gained));
    }
    if to_end >= between * 1.1 {
        to_end = between / 2.0;
    }
    let whole = gained * ((sampled + to_start + to_end) / sampled);
    Some(if rate { whole / seconds(upto - after) } else { whole })
}

impl Engine<'_> {
    /// A function of one range, for each series that has an answer.
    pub(super) fn over_range(&self, name: &str, arg: &Expr, at: Ms) -> Result<Vec<Sample>, Error> {
        let keeps_name = name == "last_over_time";
        match arg {
            Expr::Range(s, range) => {
                let (after, upto) = (at - s.offset - range, at - s.offset);
                let found = self.series(s);
                let mut out = Vec::with_capacity(found.len());
                for one in found.iter() {
                    let value = if by_window(name) {
                        one.timeline.window(after, upto).and_then(|w| from_window(name, &w, (after, upto)))
                    } else {
                        self.spend(one.timeline.most(after, upto))?;
                        let samples = one.timeline.samples(after, upto);
                        if samples.is_empty() { None } else { by_samples(name).and_then(|f| f(&samples)) }
                    };
                    let labels = if keeps_name { &one.labels } else { &one.nameless };
                    out.extend(value.map(|value| Sample { labels: labels.clone(), value }));
                }
                Ok(out)
            }
            Expr::Subquery { .. } => {
                let (all, range) = self.subquery(arg, at)?;
                let mut out = Vec::with_capacity(all.len());
                for (labels, samples) in all {
                    let value = if by_window(name) {
                        Window::of(&samples).and_then(|w| from_window(name, &w, range))
                    } else {
                        by_samples(name).and_then(|f| f(&samples))
                    };
                    let labels = if keeps_name { labels } else { labels.nameless() };
                    out.extend(value.map(|value| Sample { labels, value }));
                }
                Ok(out)
            }
            _ => Err(Error::Execution(format!("{name}() takes a range"))),
        }
    }

    /// Every series of a range in full, for those who ask for `x[5m]` itself.
    pub(super) fn matrix(&self, expr: &Expr, at: Ms) -> Result<Matrix, Error> {
        let Expr::Range(s, range) = expr else { return Ok(self.subquery(expr, at)?.0) };
        let upto = at - s.offset;
        let mut out = Vec::new();
        for one in self.series(s).iter() {
            self.spend(one.timeline.most(upto - range, upto))?;
            let samples = one.timeline.samples(upto - range, upto);
            if !samples.is_empty() {
                out.push((one.labels.clone(), samples));
            }
        }
        Ok(out)
    }

    /// Takes samples from what one question may have.
    fn spend(&self, samples: u64) -> Result<(), Error> {
        let used = self.used.get() + samples;
        self.used.set(used);
        if used > SAMPLES {
            return Err(Error::Execution(
                "query processing would load too many samples into memory in query execution".to_owned(),
            ));
        }
        Ok(())
    }

    /// A subquery's series, and the range it is over. Its steps are at whole
    /// multiples of its interval, so they are the same whenever it is asked,
    /// and what they gave is kept.
    fn subquery(&self, expr: &Expr, at: Ms) -> Result<(Matrix, (Ms, Ms)), Error> {
        let Expr::Subquery { expr, range, step, offset, key } = expr else {
            return Err(Error::Execution("a range was expected".to_owned()));
        };
        let step = step.unwrap_or(STEP).max(1);
        let (after, upto) = (at - offset - range, at - offset);
        if range / step > STEPS {
            return Err(Error::Execution(format!(
                "the subquery has {} steps; at most {STEPS} are evaluated",
                range / step
            )));
        }
        let mut by_labels: BTreeMap<Labels, Vec<(Ms, f64)>> = BTreeMap::new();
        let mut known = self.cache.take(key, step);
        let mut t = (after.div_euclid(step) + 1) * step;
        while t <= upto {
            let found = if let Some(found) = known.get(&t) {
                Arc::clone(found)
            } else {
                let found: Arc<[Sample]> = self.vector(expr, t)?.into();
                // The newest instants may not have happened in full yet.
                if t + LOOKBACK / 60 < self.now {
                    known.insert(t, Arc::clone(&found));
                }
                found
            };
            for s in found.iter() {
                match by_labels.get_mut(&s.labels) {
                    Some(list) => list.push((t, s.value)),
                    None => {
                        by_labels.insert(s.labels.clone(), vec![(t, s.value)]);
                    }
                }
            }
            t += step;
        }
        self.cache.put(key, step, known);
        Ok((by_labels.into_iter().collect(), (after, upto)))
    }
}

#[expect(clippy::cast_precision_loss, reason = "samples of a range, a few hundred thousand")]
fn from_window(name: &str, w: &Window, range: (Ms, Ms)) -> Option<f64> {
    match name {
        "count_over_time" => Some(w.count as f64),
        "delta" => extrapolated(w, range, false, false),
        _ => extrapolated(w, range, true, name == "rate"),
    }
}
