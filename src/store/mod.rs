//! The shared state: what every source has said, indexed for the screens.

pub mod observation;

pub use observation::{Body, Feed, Observation, Rows, SourceId};
