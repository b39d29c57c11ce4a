//! `PromQL`, as far as a console and a person at a shell use it. What is not
//! understood is refused with its name: an answer is right, or there is none.
//!
//! Its own parser, for the one there is on the registry draws in thirty crates,
//! one of them without a maintainer.

mod aggregate;
mod ast;
mod binary;
mod data;
mod eval;
mod functions;
mod histogram;
mod lex;
mod parse;
mod ranges;
#[cfg(test)]
mod tests;

pub use ast::{Expr, Matcher, Type};
#[cfg(test)]
pub use data::Literal;
pub use data::{Labels, Ms, Sample, Series, Timeline, Window};
pub use eval::{Cache, Engine, Value};
pub use lex::span;
pub use parse::{matchers, parse};

/// The longest instant an instant selector looks back, as Prometheus has it by default.
pub const LOOKBACK: Ms = 300_000;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is no `PromQL`.
    #[error("{0}")]
    Parse(String),
    /// It has no answer, or this server cannot give it.
    #[error("{0}")]
    Execution(String),
}

/// An expression that this server does not evaluate.
fn unsupported(what: &str) -> Error {
    Error::Execution(format!("the embedded fleet does not evaluate {what}"))
}
