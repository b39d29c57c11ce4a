//! Functions of instants: what they take, and what they do.

use regex_lite::Regex;

use super::ast::{Expr, Type};
use super::data::{Labels, Ms, NAME, Sample};
use super::eval::{Engine, Value};
use super::{Error, histogram, ranges};

/// What a function takes and gives.
#[derive(Debug, Clone, Copy)]
pub struct Signature {
    pub takes: &'static [Type],
    pub least: usize,
    pub gives: Type,
}

/// Functions that Prometheus has and this server has not.
const KNOWN: &str = " deriv predict_linear holt_winters double_exponential_smoothing quantile_over_time stddev_over_time \
    stdvar_over_time mad_over_time absent_over_time label_join sort_by_label sort_by_label_desc count_values exp ln log2 \
    log10 sqrt sgn deg rad pi sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh day_of_month day_of_week \
    day_of_year days_in_month hour minute month year histogram_avg histogram_count histogram_sum histogram_fraction \
    histogram_stddev histogram_stdvar info idelta ";

/// Whether it is a function of Prometheus, evaluated here or not.
pub fn is_known(name: &str) -> bool {
    KNOWN.contains(&format!(" {name} "))
}

/// The signature of a function that is evaluated here.
pub fn signature(name: &str) -> Option<Signature> {
    use Type::{Matrix, Scalar, Text, Vector};
    let of = |takes, gives| Some(Signature { takes, least: takes.len(), gives });
    match name {
        _ if ranges::is_one(name) => of(&[Matrix], Vector),
        "histogram_quantile" => of(&[Scalar, Vector], Vector),
        "label_replace" => of(&[Vector, Text, Text, Text, Text], Vector),
        "clamp" => of(&[Vector, Scalar, Scalar], Vector),
        "clamp_min" | "clamp_max" => of(&[Vector, Scalar], Vector),
        "round" => Some(Signature { takes: &[Vector, Scalar], least: 1, gives: Vector }),
        "abs" | "ceil" | "floor" | "sort" | "sort_desc" | "absent" | "timestamp" => of(&[Vector], Vector),
        "vector" => of(&[Scalar], Vector),
        "scalar" => of(&[Vector], Scalar),
        "time" => of(&[], Scalar),
        _ => None,
    }
}

impl Engine<'_> {
    pub(super) fn call(&self, name: &str, args: &[Expr], at: Ms) -> Result<Value, Error> {
        let vector = |n: usize| self.vector(&args[n], at);
        let scalar = |n: usize| self.scalar(&args[n], at);
        let plain = |n: usize, f: &dyn Fn(f64) -> f64| Ok(Value::Vector(each(vector(n)?, f)));
        match name {
            "time" => Ok(Value::Scalar(seconds(at))),
            "vector" => Ok(Value::Vector(vec![Sample { labels: Labels::default(), value: scalar(0)? }])),
            "scalar" => Ok(Value::Scalar(match vector(0)?.as_slice() {
                [one] => one.value,
                _ => f64::NAN,
            })),
            "abs" => plain(0, &f64::abs),
            "ceil" => plain(0, &f64::ceil),
            "floor" => plain(0, &f64::floor),
            "round" => {
                let to = if args.len() > 1 { scalar(1)? } else { 1.0 };
                plain(0, &|v| (v / to + 0.5).floor() * to)
            }
            "clamp_min" => {
                let least = scalar(1)?;
                plain(0, &|v| if v.is_nan() { v } else { v.max(least) })
            }
            "clamp_max" => {
                let most = scalar(1)?;
                plain(0, &|v| if v.is_nan() { v } else { v.min(most) })
            }
            "clamp" => {
                let (least, most) = (scalar(1)?, scalar(2)?);
                if least > most {
                    return Ok(Value::Vector(Vec::new()));
                }
                plain(0, &|v| if v.is_nan() { v } else { v.min(most).max(least) })
            }
            "timestamp" => self.timestamps(&args[0], at),
            "sort" | "sort_desc" => {
                let mut v = vector(0)?;
                v.sort_by(|a, b| a.value.total_cmp(&b.value));
                if name == "sort_desc" {
                    v.reverse();
                }
                Ok(Value::Vector(v))
            }
            "absent" => Ok(Value::Vector(if vector(0)?.is_empty() { vec![absent(&args[0])] } else { Vec::new() })),
            "histogram_quantile" => Ok(Value::Vector(histogram::quantile(scalar(0)?, &vector(1)?))),
            "label_replace" => label_replace(vector(0)?, &args[1..]).map(Value::Vector),
            _ => self.over_range(name, &args[0], at).map(Value::Vector),
        }
    }

    /// The time of each sample: of a selector, when it was taken.
    fn timestamps(&self, arg: &Expr, at: Ms) -> Result<Value, Error> {
        let Expr::Selector(s) = arg else {
            return Ok(Value::Vector(each(self.vector(arg, at)?, &|_| seconds(at))));
        };
        let upto = at - s.offset;
        let found = self.series(s);
        let taken = found.iter().filter_map(|one| {
            one.timeline.at(upto)?;
            let last = one.timeline.samples(upto - super::LOOKBACK, upto).last().copied()?;
            Some(Sample { labels: one.nameless.clone(), value: seconds(last.0) })
        });
        Ok(Value::Vector(taken.collect()))
    }
}

/// Milliseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "times of this millennium fit")]
pub fn seconds(ms: Ms) -> f64 {
    ms as f64 / 1000.0
}

/// Each value through `f`, without the metric's name.
pub fn each(mut v: Vec<Sample>, f: &dyn Fn(f64) -> f64) -> Vec<Sample> {
    for s in &mut v {
        s.labels = s.labels.nameless();
        s.value = f(s.value);
    }
    v
}

/// What is absent, with the labels that the selector said it would have.
fn absent(arg: &Expr) -> Sample {
    let labels = match arg {
        Expr::Selector(s) => Labels::new(
            s.matchers
                .iter()
                .filter(|m| m.name != NAME && matches!(m.test, super::ast::Test::Is))
                .map(|m| (&m.name, &m.value)),
        ),
        _ => Labels::default(),
    };
    Sample { labels, value: 1.0 }
}

fn label_replace(mut v: Vec<Sample>, args: &[Expr]) -> Result<Vec<Sample>, Error> {
    let text = |n: usize| match args.get(n) {
        Some(Expr::Text(t)) => Ok(t.as_str()),
        _ => Err(Error::Execution("label_replace takes strings".to_owned())),
    };
    let (to, replacement, from) = (text(0)?, text(1)?, text(2)?);
    let regex = Regex::new(&format!("^(?s:{})$", text(3)?))
        .map_err(|e| Error::Execution(format!("invalid regular expression in label_replace(): {}: {e}", args.len())))?;
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if to.is_empty() || to.starts_with(|c: char| c.is_ascii_digit()) || !to.chars().all(valid) {
        return Err(Error::Execution(format!("invalid destination label name in label_replace(): {to}")));
    }
    for s in &mut v {
        if let Some(groups) = regex.captures(s.labels.get(from)) {
            let mut value = String::new();
            groups.expand(replacement, &mut value);
            s.labels = s.labels.with(to, &value);
        }
    }
    let mut seen = std::collections::HashSet::new();
    if v.iter().all(|s| seen.insert(s.labels.clone())) {
        Ok(v)
    } else {
        Err(Error::Execution("vector cannot contain metrics with the same labelset".to_owned()))
    }
}
