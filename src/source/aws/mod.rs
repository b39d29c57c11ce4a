//! What every AWS source needs: accounts, errors, paces.

pub mod account;
pub mod alarms;
pub mod budgets;
pub mod capture;
pub mod error;
pub mod limits;
pub mod offset;
pub mod profiles;
pub mod query;
pub mod readonly;
mod registry;
pub mod spec;

pub use account::{Account, Clients};
pub use limits::{Bucket, Limits};
pub use registry::Accounts;
pub use spec::{AccountSpec, EcsSpec, Keys};

use std::collections::HashSet;

use crate::domain::Text;
use crate::source::SourceError;

/// Follows page tokens, and notices when they go round in a circle.
#[derive(Debug, Default)]
pub struct Tokens {
    seen: HashSet<String>,
    next: Option<String>,
}

impl Tokens {
    /// The token of the page to ask for; `None` for the first.
    #[must_use]
    pub fn next(&self) -> Option<String> {
        self.next.clone()
    }

    /// Takes an answer's token; true if there is another page.
    ///
    /// # Errors
    /// [`SourceError::Garbage`] for a token that was used before: following it
    /// would never end.
    pub fn advance(&mut self, token: Option<&str>, what: &str) -> Result<bool, SourceError> {
        let Some(token) = token.filter(|t| !t.is_empty()) else { return Ok(false) };
        if !self.seen.insert(token.to_owned()) {
            return Err(SourceError::Garbage { what: Text::new(&format!("a page token of {what} that repeats")) });
        }
        self.next = Some(token.to_owned());
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_end_and_circles_are_errors() {
        let mut tokens = Tokens::default();
        assert_eq!(tokens.next(), None);
        assert!(tokens.advance(Some("a"), "ecs:ListTasks").unwrap());
        assert_eq!(tokens.next().as_deref(), Some("a"));
        assert!(tokens.advance(Some("b"), "ecs:ListTasks").unwrap());
        let error = tokens.advance(Some("a"), "ecs:ListTasks").unwrap_err().to_string();
        assert!(error.starts_with("a page token of ecs:ListTasks that repeats"), "{error}");
        assert!(!Tokens::default().advance(None, "x").unwrap());
        assert!(!Tokens::default().advance(Some(""), "x").unwrap());
    }
}
