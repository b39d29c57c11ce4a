//! What was done, by whom and why: a file that nobody can change unseen.

use super::guard::Assent;
use super::plan::{End, Plan};
use crate::domain::{Text, Timestamp};

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
