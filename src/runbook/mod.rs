//! Runbooks: what to do, written in Markdown by those who have done it before.
//!
//! ```text
//! file or URL --parse--> Runbook --render--> lines and items (steps, checkboxes, links)
//!                           |
//!   Subject --rank----------+   what is selected decides which one fits, and fills the steps
//! ```
//!
//! A step is data, never code: a view, logs, one of the verbs of [`crate::action`], or a program with its
//! arguments. Nothing here is ever handed to a shell; see [`fill`].

pub mod fill;
mod front;
pub mod library;
pub mod process;
pub mod progress;
pub mod render;
pub mod step;
pub mod subject;

use std::ops::Range;
use std::sync::Arc;

use crate::domain::Text;

pub use front::{Fits, Front};
pub use library::Library;
pub use step::{Command, Param, Step, StepKind, Target};
pub use subject::Subject;

/// What is larger is not read at all, in bytes.
pub const REFUSED: usize = 10 << 20;
/// So much of a runbook is shown, in bytes; what follows is left out, and that is said.
pub const SHOWN: usize = 1 << 20;

/// Something wrong with a runbook, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Bytes of the file.
    pub at: Range<usize>,
    /// What is wrong, without a full stop.
    pub what: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

impl Mistake {
    fn new(at: Range<usize>, what: impl Into<String>) -> Self {
        Self { at, what: what.into(), hint: String::new() }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Line and column in `text`, both from 1.
    #[must_use]
    pub fn place(&self, text: &str) -> (usize, usize) {
        let mut at = self.at.start.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let before = &text[..at];
        let line = before.rfind('\n').map_or(0, |i| i + 1);
        (before.matches('\n').count() + 1, before[line..].chars().count() + 1)
    }
}

/// Where a runbook comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Inside the program.
    Shipped,
    /// A file.
    File(std::path::PathBuf),
    /// An alarm's own link, without the console's user having written it: its commands are shown and never run.
    Fetched(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shipped => f.write_str("built in"),
            Self::File(path) => write!(f, "{}", Text::new(&path.display().to_string())),
            Self::Fetched(url) => f.write_str(&Text::new(url)),
        }
    }
}

/// One runbook. However broken its file is, what can be read of it can be shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Runbook {
    /// Its file's name without the ending; what another runbook of the same name replaces.
    pub name: Text,
    /// Where it comes from.
    pub origin: Origin,
    /// What its front matter says.
    pub front: Front,
    /// What it is called: its title, else its first heading, else its name.
    pub title: Text,
    /// The whole file.
    pub text: Arc<str>,
    /// Where the Markdown begins, in bytes.
    pub body: usize,
    /// Its steps, in order.
    pub steps: Vec<Step>,
    /// What is wrong with it.
    pub mistakes: Vec<Mistake>,
}

impl Runbook {
    /// Reads one; what is wrong with it is in its `mistakes`.
    #[must_use]
    pub fn parse(name: &str, origin: Origin, text: &str) -> Self {
        let mut mistakes = Vec::new();
        let mut text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.len() > SHOWN {
            let mut end = SHOWN;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            let what = format!("this is larger than {} KiB: what follows is left out", SHOWN >> 10);
            mistakes.push(Mistake::new(end..end, what).hint("split it into several runbooks that link to each other"));
            text = &text[..end];
        }
        let (front, body) = front::front(text, &mut mistakes);
        let markdown = &text[body..];
        let (steps, heading) = step::steps(markdown, body, &mut mistakes);
        let title = [front.title.clone(), heading].into_iter().flatten().find(|t| !t.is_empty());
        mistakes.sort_by_key(|m| m.at.start);
        Self {
            name: Text::new(name),
            title: title.unwrap_or_else(|| Text::new(name)),
            origin,
            front,
            text: text.into(),
            body,
            steps,
            mistakes,
        }
    }

    /// Its Markdown.
    #[must_use]
    pub fn markdown(&self) -> &str {
        self.text.get(self.body..).unwrap_or_default()
    }

    /// Its commands may run: somebody put it on this machine.
    #[must_use]
    pub fn may_run(&self) -> bool {
        !matches!(self.origin, Origin::Fetched(_))
    }

    /// What it is found by in the picker.
    #[must_use]
    pub fn words(&self) -> String {
        let tags: Vec<&str> = self.front.tags.iter().map(Text::as_str).collect();
        let alarms = self.front.fits.alarms.join(" ");
        format!("{}  {} {} {alarms}", self.title, self.name, tags.join(" "))
    }
}
