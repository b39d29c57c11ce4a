//! From an expression to its value at an instant.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::Error;
use super::ast::{Expr, Matcher, Selector};
use super::data::{Matrix, Ms, Sample, Series};
use super::functions::each;

/// What an expression gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number.
    Scalar(f64),
    /// Text.
    Text(String),
    /// Series with a value each.
    Vector(Vec<Sample>),
    /// Series with a range of values each.
    Matrix(Matrix),
}

type Steps = BTreeMap<Ms, Arc<[Sample]>>;

/// What subqueries gave at instants that are past: they give it again.
#[derive(Debug, Default)]
pub struct Cache(Mutex<HashMap<(String, Ms), Steps>>);

/// So many steps are kept in all: a month of minutes of a few questions.
const KEPT: usize = 500_000;

impl Cache {
    pub(super) fn take(&self, key: &str, step: Ms) -> Steps {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&(key.to_owned(), step)).unwrap_or_default()
    }

    pub(super) fn put(&self, key: &str, step: Ms, steps: Steps) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.values().map(BTreeMap::len).sum::<usize>() + steps.len() > KEPT {
            all.clear();
        }
        all.insert((key.to_owned(), step), steps);
    }
}

/// The series that pass, of all there are.
pub type Find<'f> = dyn Fn(&[Matcher]) -> Arc<Vec<Arc<Series>>> + 'f;

/// Evaluates one expression, at one instant or many.
pub struct Engine<'e> {
    find: &'e Find<'e>,
    pub(super) cache: &'e Cache,
    pub(super) now: Ms,
    found: RefCell<HashMap<usize, Arc<Vec<Arc<Series>>>>>,
    pub(super) used: Cell<u64>,
}

impl<'e> Engine<'e> {
    /// One for one expression; `now` is when nothing is known of yet.
    #[must_use]
    pub fn new(find: &'e Find<'e>, cache: &'e Cache, now: Ms) -> Self {
        Self { find, cache, now, found: RefCell::default(), used: Cell::new(0) }
    }

    /// Its value.
    ///
    /// # Errors
    /// When it has none: a match that is ambiguous, too many samples.
    pub fn eval(&self, expr: &Expr, at: Ms) -> Result<Value, Error> {
        match expr {
            Expr::Number(n) => Ok(Value::Scalar(*n)),
            Expr::Text(t) => Ok(Value::Text(t.clone())),
            Expr::Selector(s) => Ok(Value::Vector(self.select(s, at))),
            Expr::Range(..) | Expr::Subquery { .. } => self.matrix(expr, at).map(Value::Matrix),
            Expr::Call { name, args } => self.call(name, args, at),
            Expr::Fold { fold, by, param, expr } => {
                let param = param.as_ref().map(|p| self.scalar(p, at)).transpose()?;
                Ok(Value::Vector(super::aggregate::fold(*fold, by.as_ref(), param, self.vector(expr, at)?)))
            }
            Expr::Binary { op, bool, matching, lhs, rhs } => {
                super::binary::apply(*op, *bool, matching, self.eval(lhs, at)?, self.eval(rhs, at)?)
            }
            Expr::Negative(e) => Ok(match self.eval(e, at)? {
                Value::Scalar(n) => Value::Scalar(-n),
                Value::Vector(v) => Value::Vector(each(v, &|x| -x)),
                other => other,
            }),
        }
    }

    /// The value of what gives a vector.
    ///
    /// # Errors
    /// As [`Engine::eval`].
    pub fn vector(&self, expr: &Expr, at: Ms) -> Result<Vec<Sample>, Error> {
        match self.eval(expr, at)? {
            Value::Vector(v) => Ok(v),
            _ => Err(Error::Execution("an instant vector was expected".to_owned())),
        }
    }

    pub(super) fn scalar(&self, expr: &Expr, at: Ms) -> Result<f64, Error> {
        match self.eval(expr, at)? {
            Value::Scalar(n) => Ok(n),
            _ => Err(Error::Execution("a scalar was expected".to_owned())),
        }
    }

    /// A selector's series; looked for once.
    pub(super) fn series(&self, s: &Selector) -> Arc<Vec<Arc<Series>>> {
        Arc::clone(self.found.borrow_mut().entry(s.id).or_insert_with(|| (self.find)(&s.matchers)))
    }

    fn select(&self, s: &Selector, at: Ms) -> Vec<Sample> {
        let found = self.series(s);
        let now = found
            .iter()
            .filter_map(|one| one.timeline.at(at - s.offset).map(|value| Sample { labels: one.labels.clone(), value }));
        now.collect()
    }
}
