//! Where observations come from. Each source runs in tasks of its own and
//! pushes [`crate::store::observation::Observation`]s on one bounded channel.

pub mod error;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
pub mod supervise;

pub use error::SourceError;
