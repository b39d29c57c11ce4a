//! What an expression says.

use regex_lite::Regex;

use super::data::{Labels, Ms};

/// How a selector tests a label.
#[derive(Debug, Clone)]
pub enum Test {
    /// `=`
    Is,
    /// `!=`
    IsNot,
    /// `=~`, anchored at both ends.
    Like(Regex),
    /// `!~`
    Unlike(Regex),
}

/// One test of one label. A label that is missing is empty.
#[derive(Debug, Clone)]
pub struct Matcher {
    /// The label.
    pub name: String,
    /// How.
    pub test: Test,
    /// Against what.
    pub value: String,
}

impl Matcher {
    /// Whether a value passes.
    #[must_use]
    pub fn accepts(&self, value: &str) -> bool {
        match &self.test {
            Test::Is => self.value == value,
            Test::IsNot => self.value != value,
            Test::Like(r) => r.is_match(value),
            Test::Unlike(r) => !r.is_match(value),
        }
    }

    /// Whether a label set passes.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.accepts(labels.get(&self.name))
    }
}

/// `name{label="value"} offset 5m`
#[derive(Debug, Clone)]
pub struct Selector {
    /// Its number in the expression.
    pub id: usize,
    /// All of them must pass; the name is one.
    pub matchers: Vec<Matcher>,
    /// How far back.
    pub offset: Ms,
}

/// `sum`, `avg` and their sisters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    TopK,
    BottomK,
    Quantile,
    Stddev,
    Stdvar,
}

/// Between two expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Eq,
    Ne,
    Gt,
    Lt,
    Ge,
    Le,
    And,
    Or,
    Unless,
}

impl Op {
    /// A comparison.
    #[must_use]
    pub fn compares(self) -> bool {
        matches!(self, Self::Eq | Self::Ne | Self::Gt | Self::Lt | Self::Ge | Self::Le)
    }

    /// `and`, `or`, `unless`.
    #[must_use]
    pub fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }
}

/// Which side of a match may have several series.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Many {
    /// Neither.
    #[default]
    None,
    /// `group_left`
    Left,
    /// `group_right`
    Right,
}

/// Which series of two vectors belong together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matching {
    /// `on` rather than `ignoring`.
    pub on: bool,
    /// The labels of either.
    pub labels: Vec<String>,
    /// `group_left` or `group_right`.
    pub many: Many,
    /// Labels taken over from the side of one.
    pub include: Vec<String>,
}

/// An expression.
#[derive(Debug, Clone)]
pub enum Expr {
    Number(f64),
    Text(String),
    Selector(Selector),
    Range(Selector, Ms),
    Subquery { expr: Box<Expr>, range: Ms, step: Option<Ms>, offset: Ms, key: String },
    Call { name: String, args: Vec<Expr> },
    Fold { fold: Fold, by: Option<(bool, Vec<String>)>, param: Option<Box<Expr>>, expr: Box<Expr> },
    Binary { op: Op, bool: bool, matching: Matching, lhs: Box<Expr>, rhs: Box<Expr> },
    Negative(Box<Expr>),
}

/// What an expression gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A number.
    Scalar,
    /// Series with a value each.
    Vector,
    /// Series with a range of values each.
    Matrix,
    /// Text.
    Text,
}

impl Type {
    /// As Prometheus names it in errors.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            Self::Text => "string",
        }
    }
}

impl Expr {
    /// What it gives. [`super::parse`] has checked it.
    #[must_use]
    pub fn kind(&self) -> Type {
        match self {
            Self::Number(_) => Type::Scalar,
            Self::Text(_) => Type::Text,
            Self::Selector(_) | Self::Fold { .. } => Type::Vector,
            Self::Range(..) | Self::Subquery { .. } => Type::Matrix,
            Self::Call { name, .. } => super::functions::signature(name).map_or(Type::Vector, |s| s.gives),
            Self::Binary { lhs, rhs, .. } => {
                if lhs.kind() == Type::Scalar && rhs.kind() == Type::Scalar {
                    Type::Scalar
                } else {
                    Type::Vector
                }
            }
            Self::Negative(e) => e.kind(),
        }
    }
}
