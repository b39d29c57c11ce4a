//! What was done, by whom and why: files that nobody can change unseen.
//!
//! `audit.jsonl` in the state directory has a line for each intent and for each outcome; every line bears
//! the hash of the one before (docs/audit.md). `audit.head` says how far it goes, so that a missing end is
//! seen. Nothing is changed anywhere unless its intent is on the disk.

mod chain;
mod entry;
mod file;
mod who;

use super::guard::Assent;
use super::plan::{End, Plan};
use crate::domain::{Text, Timestamp};

pub use chain::{Checked, Fault, check, entries};
pub use entry::{Entry, EntryKind, GENESIS, Line, Noted, Said, What, hash};
pub use file::{Audit, LONGEST, Point};
pub use who::{Process, Who};

/// What is written down, and where.
pub trait Record: Send + Sync {
    /// Writes that `plan` is about to be done, and syncs it to the disk. The number is for [`Record::end`].
    ///
    /// # Errors
    /// In words; then nothing may be done.
    fn begin(&self, plan: &Plan, assent: &Assent, now: Timestamp) -> Result<u64, Text>;

    /// Writes how it ended, and syncs it to the disk.
    ///
    /// # Errors
    /// In words; what was done is done.
    fn end(&self, number: u64, end: &End, now: Timestamp) -> Result<(), Text>;
}
