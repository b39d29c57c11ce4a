//! What several test files share.
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod budgets;
pub mod fleet;
pub mod mixed;
pub mod taken;
pub mod unplaced;
