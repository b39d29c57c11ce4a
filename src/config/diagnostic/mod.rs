//! What is wrong with a file that somebody wrote, and where.
//!
//! Config, keymap and theme files, environment variables and flags all report
//! through [`Diagnostic`], so that every mistake looks the same: the place, the
//! line itself with a caret, what is allowed, and the likely intention.

mod inherit;
mod reader;
mod source;
mod suggest;

use std::fmt;

use unicode_width::UnicodeWidthStr;

pub use inherit::{Inherit, locate, toml_names};
pub use reader::{Reader, Value, in_order};
pub use source::Source;
pub use suggest::suggest;

/// How much a diagnostic matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It works, though perhaps not as meant.
    Warning,
    /// It does not work.
    Error,
}

/// One thing wrong, at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How much it matters.
    pub severity: Severity,
    /// The file's path as the user gave it, or what stands for one: `default (built in)`,
    /// `environment variable QUARTERDECK_THEME`, `flag --theme`.
    pub file: String,
    /// The line, from 1; 0 when the file as a whole is meant.
    pub line: usize,
    /// The column in characters, from 1; 0 when the file as a whole is meant.
    pub column: usize,
    /// How many characters are meant, at least 1.
    pub width: usize,
    /// The line as it stands in the file, with control characters replaced.
    pub source_line: String,
    /// The value that is not acceptable, when one is at fault.
    pub value: Option<String>,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What would be acceptable there.
    pub allowed: Option<String>,
    /// What to do next, such as "did you mean `theme`?".
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error about a file, variable or flag as a whole.
    pub fn new(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            file: file.into(),
            line: 0,
            column: 0,
            width: 1,
            source_line: String::new(),
            value: None,
            message: message.into(),
            allowed: None,
            hint: None,
        }
    }

    /// The same as a warning.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// With the value at fault.
    #[must_use]
    pub fn value(mut self, value: impl Into<String>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// With what is allowed there.
    #[must_use]
    pub fn allowed(mut self, allowed: impl Into<String>) -> Self {
        self.allowed = Some(allowed.into());
        self
    }

    /// With what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With a "did you mean" if one of `candidates` is close to `word`.
    #[must_use]
    pub fn did_you_mean<'a>(self, word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        match suggest(word, candidates) {
            Some(best) => self.hint(format!("did you mean `{best}`?")),
            None => self,
        }
    }
}

/// As rustc prints one: message, place, the line and a caret, notes. No
/// newline at the end.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{kind}: {}", self.message)?;
        let gutter = if self.line == 0 { 1 } else { self.line.to_string().len() };
        write!(f, "\n{:gutter$}--> {}", "", self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
            let before: String = self.source_line.chars().take(self.column.saturating_sub(1)).collect();
            let marked: String =
                self.source_line.chars().skip(self.column.saturating_sub(1)).take(self.width).collect();
            write!(f, "\n{:gutter$} |", "")?;
            write!(f, "\n{} | {}", self.line, self.source_line)?;
            write!(f, "\n{:gutter$} | {:pad$}{}", "", "", "^".repeat(marked.width().max(1)), pad = before.width())?;
        }
        for (label, note) in [("allowed", &self.allowed), ("help", &self.hint)] {
            if let Some(note) = note {
                write!(f, "\n{:gutter$} = {label}: {note}", "")?;
            }
        }
        Ok(())
    }
}

/// Everything wrong with what was read: at least one [`Diagnostic`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// `Ok` when nothing is wrong.
    ///
    /// # Errors
    /// All of `found`, when there is any.
    pub fn check(found: Vec<Diagnostic>) -> Result<(), Self> {
        if found.is_empty() { Ok(()) } else { Err(Self(found)) }
    }

    /// Each of them, in the order found.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter()
    }

    /// The first one.
    #[must_use]
    pub fn first(&self) -> &Diagnostic {
        &self.0[0]
    }

    /// As a list.
    #[must_use]
    pub fn into_vec(self) -> Vec<Diagnostic> {
        self.0
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(only: Diagnostic) -> Self {
        Self(vec![only])
    }
}

/// All of them, a blank line between two.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, d) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n\n")?;
            }
            write!(f, "{d}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_like_rustc() {
        let source = Source::new("config.toml", "a = 1\ntheem = \"dark\"\n");
        let d =
            source.at(&(6..11), "unknown key `theem`").allowed("theme, view").did_you_mean("theem", ["theme", "view"]);
        let want = "error: unknown key `theem`\n --> config.toml:2:1\n  |\n2 | theem = \"dark\"\n  | ^^^^^\n  = allowed: theme, view\n  = help: did you mean `theme`?";
        assert_eq!(d.to_string(), want);
    }

    #[test]
    fn the_caret_stands_under_wide_characters() {
        let source = Source::new("f", "x = \"日本\u{7}\" # y");
        let d = source.at(&(4..13), "bad").warning();
        assert_eq!(d.to_string(), "warning: bad\n --> f:1:5\n  |\n1 | x = \"日本\u{fffd}\" # y\n  |     ^^^^^^^",);
    }

    #[test]
    fn without_a_place_only_the_name_is_printed() {
        let d = Diagnostic::new("flag --theme", "no such theme").hint("see `quarterdeck themes`");
        assert_eq!(d.to_string(), "error: no such theme\n --> flag --theme\n  = help: see `quarterdeck themes`");
        assert_eq!(Diagnostics::check(vec![d.clone(), d]).map_err(|all| all.iter().count()), Err(2));
    }
}
