//! Where observations come from. Each source runs in tasks of its own and
//! pushes [`crate::store::observation::Observation`]s on one bounded channel.

#[cfg(feature = "prometheus")]
pub mod alertmanager;
#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "aws")]
pub mod ecs;
pub mod error;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
pub mod log;
#[cfg(feature = "prometheus")]
pub mod prometheus;
pub mod redact;
#[cfg(feature = "prometheus")]
pub mod runbook;
pub mod session;
#[cfg(feature = "aws")]
pub mod spot;
pub mod supervise;

pub use error::SourceError;
pub use log::{LogItem, LogStream, LogText};
