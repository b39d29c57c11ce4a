//! Arithmetic, comparison and set operators, and which series go together.

use std::collections::{HashMap, HashSet};

use super::Error;
use super::ast::{Many, Matching, Op};
use super::data::{Labels, NAME, Sample};
use super::eval::Value;

/// One operator between two values.
pub fn apply(op: Op, bool: bool, matching: &Matching, lhs: Value, rhs: Value) -> Result<Value, Error> {
    match (lhs, rhs) {
        (Value::Scalar(a), Value::Scalar(b)) => {
            Ok(Value::Scalar(if op.compares() { f64::from(u8::from(holds(op, a, b))) } else { compute(op, a, b) }))
        }
        (Value::Vector(v), Value::Scalar(n)) => Ok(Value::Vector(with_scalar(op, bool, v, n, false))),
        (Value::Scalar(n), Value::Vector(v)) => Ok(Value::Vector(with_scalar(op, bool, v, n, true))),
        (Value::Vector(a), Value::Vector(b)) if op.is_set() => Ok(Value::Vector(sets(op, matching, a, b))),
        (Value::Vector(a), Value::Vector(b)) => vectors(op, bool, matching, a, b).map(Value::Vector),
        _ => Err(Error::Execution("operators take numbers and instant vectors".to_owned())),
    }
}

fn compute(op: Op, a: f64, b: f64) -> f64 {
    match op {
        Op::Add => a + b,
        Op::Sub => a - b,
        Op::Mul => a * b,
        Op::Div => a / b,
        Op::Mod => a % b,
        Op::Pow => a.powf(b),
        _ => f64::NAN,
    }
}

#[expect(clippy::float_cmp, reason = "PromQL's == is exact")]
fn holds(op: Op, a: f64, b: f64) -> bool {
    match op {
        Op::Eq => a == b,
        Op::Ne => a != b,
        Op::Gt => a > b,
        Op::Lt => a < b,
        Op::Ge => a >= b,
        Op::Le => a <= b,
        _ => false,
    }
}

fn with_scalar(op: Op, bool: bool, v: Vec<Sample>, n: f64, first: bool) -> Vec<Sample> {
    let mut out = Vec::with_capacity(v.len());
    for s in v {
        let (a, b) = if first { (n, s.value) } else { (s.value, n) };
        if !op.compares() {
            out.push(Sample { labels: s.labels.nameless(), value: compute(op, a, b) });
        } else if bool {
            out.push(Sample { labels: s.labels.nameless(), value: f64::from(u8::from(holds(op, a, b))) });
        } else if holds(op, a, b) {
            out.push(s);
        }
    }
    out
}

/// What two series must have in common to be a pair.
fn key(m: &Matching, labels: &Labels) -> Labels {
    let named = |k: &str| m.labels.iter().any(|l| l == k);
    if m.on { labels.filtered(named) } else { labels.filtered(|k| k != NAME && !named(k)) }
}

fn sets(op: Op, m: &Matching, a: Vec<Sample>, b: Vec<Sample>) -> Vec<Sample> {
    let keys = |v: &[Sample]| v.iter().map(|s| key(m, &s.labels)).collect::<HashSet<Labels>>();
    if op == Op::Or {
        let have = keys(&a);
        let more = b.into_iter().filter(|s| !have.contains(&key(m, &s.labels)));
        let mut out = a;
        out.extend(more);
        return out;
    }
    let other = keys(&b);
    a.into_iter().filter(|s| other.contains(&key(m, &s.labels)) == (op == Op::And)).collect()
}

fn vectors(op: Op, bool: bool, matching: &Matching, lhs: Vec<Sample>, rhs: Vec<Sample>) -> Result<Vec<Sample>, Error> {
    // The side of one is looked up; the other is gone through.
    let swapped = matching.many == Many::Right;
    let (many, one) = if swapped { (rhs, lhs) } else { (lhs, rhs) };
    let mut index: HashMap<Labels, Sample> = HashMap::with_capacity(one.len());
    for s in one {
        let common = key(matching, &s.labels);
        if let Some(other) = index.insert(common.clone(), s) {
            let side = if swapped { "left" } else { "right" };
            return Err(Error::Execution(format!(
                "found duplicate series for the match group {common:?} on the {side} hand-side of the operation: {:?};many-to-many matching not allowed: matching labels must be unique on one side",
                other.labels
            )));
        }
    }
    let mut seen: HashSet<Labels> = HashSet::new();
    let mut out = Vec::new();
    for s in many {
        let common = key(matching, &s.labels);
        let Some(other) = index.get(&common) else { continue };
        if matching.many == Many::None && !seen.insert(common) {
            let why = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
            return Err(Error::Execution(why.to_owned()));
        }
        let (left, right) = if swapped { (other.value, s.value) } else { (s.value, other.value) };
        let value = if op.compares() {
            let holds = holds(op, left, right);
            if !bool && !holds {
                continue;
            }
            if bool { f64::from(u8::from(holds)) } else { left }
        } else {
            compute(op, left, right)
        };
        let labels = result_labels(op.compares() && !bool, matching, &s.labels, &other.labels);
        if matching.many != Many::None && !seen.insert(labels.clone()) {
            let why = "multiple matches for labels: grouping labels must ensure unique matches";
            return Err(Error::Execution(why.to_owned()));
        }
        out.push(Sample { labels, value });
    }
    Ok(out)
}

fn result_labels(keeps_name: bool, m: &Matching, many: &Labels, one: &Labels) -> Labels {
    let base = if keeps_name { many.clone() } else { many.nameless() };
    if m.many == Many::None {
        let named = |k: &str| m.labels.iter().any(|l| l == k);
        return if m.on { base.filtered(|k| named(k)) } else { base.filtered(|k| !named(k)) };
    }
    m.include.iter().fold(base, |labels, name| labels.with(name, one.get(name)))
}
