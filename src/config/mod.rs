//! The user's settings: typed files, where each value comes from, and messages
//! that point at the line to mend.

pub mod diagnostic;
