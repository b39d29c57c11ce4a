//! Read-only text that scrolls: describe, YAML, runbooks.

use crate::domain::{Kind, Line, ObjectId, Text};

/// What a text page shows of its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextKind {
    /// The useful parts first, with events.
    Describe,
    /// The object as YAML.
    Yaml,
    /// A runbook; the object's name is its.
    Runbook,
}

/// True for what is described from the store alone, and drawn anew as it changes: no
/// system has an object of this kind that could be read.
#[must_use]
pub fn is_known(id: &ObjectId) -> bool {
    matches!(id.kind, Kind::Budget | Kind::Service | Kind::Notice | Kind::Pool)
}

/// Where the text is.
#[derive(Debug)]
pub enum Content {
    /// On its way.
    Loading,
    /// Here.
    Lines(Vec<Line>),
    /// Not to be had, and why.
    Failed(Text),
}

/// One text page.
#[derive(Debug)]
pub struct TextState {
    /// For routing what was fetched.
    pub page: u64,
    /// What it is about.
    pub id: ObjectId,
    /// How it is shown.
    pub kind: TextKind,
    /// The text.
    pub content: Content,
    /// First visible row: a line, or, when wrapping, one of the rows of a line.
    pub scroll: usize,
    /// Where each line begins when wrapping, in rows as last drawn, and how many there are in all. Empty
    /// where every line is a row.
    pub starts: Vec<usize>,
    /// First visible column.
    pub pan: usize,
    /// Long lines go on in the next row.
    pub wrap: bool,
    /// What is searched for, lower case.
    pub search: String,
    /// Rows that fit when last drawn.
    pub height: usize,
    /// The runbook, where it is one.
    pub runbook: Option<Box<super::runbooks::Opened>>,
}

impl TextState {
    /// A page that waits for its text.
    #[must_use]
    pub fn new(page: u64, id: ObjectId, kind: TextKind) -> Self {
        Self {
            page,
            id,
            kind,
            content: Content::Loading,
            scroll: 0,
            starts: Vec::new(),
            pan: 0,
            wrap: kind == TextKind::Describe,
            search: String::new(),
            height: 20,
            runbook: None,
        }
    }

    /// How many lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.content {
            Content::Lines(lines) => lines.len(),
            Content::Loading | Content::Failed(_) => 0,
        }
    }

    /// True without lines.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Scrolls, staying within the text.
    pub fn scroll_by(&mut self, delta: isize) {
        let rows = self.starts.last().copied().unwrap_or(self.len());
        let last = rows.saturating_sub(self.height.max(1));
        self.scroll = self.scroll.saturating_add_signed(delta).min(last);
    }

    /// The line that the row is of.
    #[must_use]
    pub fn line_at(&self, row: usize) -> usize {
        if self.starts.is_empty() { row } else { self.starts.partition_point(|s| *s <= row).saturating_sub(1) }
    }

    /// Takes in where lines begin now; what was at the top stays there.
    pub fn laid_out(&mut self, starts: Vec<usize>) {
        if starts == self.starts {
            return;
        }
        let top = self.line_at(self.scroll);
        let within = self.scroll.saturating_sub(self.starts.get(top).copied().unwrap_or(self.scroll));
        self.starts = starts;
        let begin = self.starts.get(top).copied().unwrap_or(top);
        let end = self.starts.get(top + 1).copied().unwrap_or(begin + 1);
        self.scroll = (begin + within).min(end.saturating_sub(1)).max(begin);
        self.scroll_by(0);
    }

    /// Goes to the next or previous line with the searched text; false if there is none.
    pub fn find(&mut self, forward: bool, from_here: bool) -> bool {
        let Content::Lines(lines) = &self.content else { return false };
        if self.search.is_empty() || lines.is_empty() {
            return false;
        }
        let n = lines.len();
        let start = self.line_at(self.scroll).min(n - 1);
        let matches = |i: &usize| lines.get(*i % n).is_some_and(|l| l.text().to_lowercase().contains(&self.search));
        // Around the whole text once, the line we stand on last (or first).
        let skip = usize::from(!from_here);
        let found = if forward {
            (start + skip..start + skip + n).find(matches)
        } else {
            (start..start + n).rev().find(matches)
        };
        if let Some(i) = found {
            self.scroll = self.starts.get(i % n).copied().unwrap_or(i % n);
        }
        found.is_some()
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> String {
        match &self.content {
            Content::Lines(lines) => lines.iter().map(|l| l.text() + "\n").collect(),
            Content::Failed(why) => why.to_string(),
            Content::Loading => String::new(),
        }
    }
}
