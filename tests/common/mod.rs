//! A fleet of a handful of objects, and a client of raw requests: nothing here
//! knows more of the server than its wire.
#![allow(dead_code, reason = "each test binary uses its own part of this")]

pub mod client;
pub mod fleet;
#[cfg(feature = "prometheus")]
pub mod prometheus;
pub mod web;
