//! What is worked out from all rows, kept until something it depends on has changed:
//! several parts of one frame ask for the same.

use std::cell::RefCell;

/// A value, and the moment it was worked out for, or whatever else it depends on.
#[derive(Debug)]
pub struct Memo<T, K = Moment>(RefCell<Option<(K, T)>>);

/// The store's revisions, and the second: how a thing is depends on for how long it
/// has been so.
pub type Moment = (u64, u64, i64);

impl<T, K> Default for Memo<T, K> {
    fn default() -> Self {
        Self(RefCell::new(None))
    }
}

impl<T: Clone, K: PartialEq> Memo<T, K> {
    /// The value at `moment`, made if another is kept. `make` must not ask for it itself.
    pub fn at(&self, moment: K, make: impl FnOnce() -> T) -> T {
        if let Some((_, kept)) = self.0.borrow().as_ref().filter(|(m, _)| *m == moment) {
            return kept.clone();
        }
        let made = make();
        *self.0.borrow_mut() = Some((moment, made.clone()));
        made
    }
}
