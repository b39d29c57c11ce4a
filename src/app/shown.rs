//! A list as it stands on the screen. It is kept: the next frame that answers a key is made of it, where that asks for the
//! same rows.

use super::table::TableState;
use crate::domain::{Health, Timestamp, Tone};
use crate::store::Slot;
use crate::store::memo::Moment;

/// Which edge the text keeps to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// One cell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cell {
    /// What it says.
    pub text: String,
    /// What it means.
    pub tone: Tone,
}

impl Cell {
    /// A cell.
    pub fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone }
    }

    /// A plain cell.
    pub fn plain(text: impl Into<String>) -> Self {
        Self::new(text, Tone::Plain)
    }

    /// A dim cell; `-` where there is nothing to say.
    pub fn dim(text: &str) -> Self {
        Self::new(if text.is_empty() { "-" } else { text }, Tone::Dim)
    }
}

/// A column on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its header.
    pub title: &'static str,
    /// Alignment.
    pub align: Align,
    /// Columns of the terminal.
    pub width: u16,
    /// Sorted by it, and whether largest first.
    pub sorted: Option<bool>,
    /// Names keep both ends when they are cut.
    pub cut_middle: bool,
}

/// A row on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRow {
    /// One per column.
    pub cells: Vec<Cell>,
    /// Under the cursor.
    pub selected: bool,
    /// Marked.
    pub marked: bool,
    /// How it is, where no column of its own has a sign for that, and it is not well.
    pub health: Option<Health>,
}

/// A list on the screen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableModel {
    /// Columns that fit.
    pub heads: Vec<Head>,
    /// Visible rows.
    pub rows: Vec<TableRow>,
    /// Rows after filtering.
    pub shown: usize,
    /// Rows before filtering.
    pub total: usize,
    /// Marked rows, and how many of them the filter hides.
    pub marked: (usize, usize),
    /// Index of the first visible row.
    pub offset: usize,
    /// Columns that found no room.
    pub hidden: usize,
    /// What to say instead of rows.
    pub empty: Option<String>,
    /// What the rows were made from; `None` where they are not to be used again.
    pub made: Option<Made>,
}

/// What the rows of a list were made from. An order that is made anew takes this away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// When the oldest of it was so.
    pub at: Timestamp,
    /// The store's moment, unless something old went into them: while it lasts nothing has changed but what the next second
    /// brings to every row.
    pub moment: Option<Moment>,
    /// What the frame asked for.
    pub of: Wanted,
}

/// What a frame asks for: which rows, and how they look. Cursor and marks are set in each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The rows.
    pub slots: Vec<Slot>,
    /// The columns of the terminal, and how many of them are scrolled away.
    pub columns: (u16, u16),
    /// All columns, times as clock times, no Unicode.
    pub how: (bool, bool, bool),
}

impl Wanted {
    /// What a list's page asks for.
    #[must_use]
    pub fn of(table: &TableState, width: u16, how: (bool, bool, bool)) -> Self {
        Self {
            slots: table.order.iter().skip(table.offset).take(table.page).copied().collect(),
            columns: (width, table.pan),
            how,
        }
    }
}
