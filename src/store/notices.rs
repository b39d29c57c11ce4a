//! What is going to go, what became of it.

use crate::domain::notice::Told;

/// Every notice.
#[derive(Debug, Default)]
pub struct Notices {
    heard: Vec<Told>,
}

impl Notices {
    /// Takes in what a feed tells.
    pub(super) fn hear(&mut self, told: Vec<Told>) {
        self.heard.extend(told);
    }
}
