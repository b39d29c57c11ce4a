//! What is read: one folder per system. Each turns wire objects into domain
//! rows and streams observations; how failures are told and retried is shared.

pub mod error;
pub mod supervise;

#[cfg(feature = "kubernetes")]
pub mod kubernetes;

pub use error::SourceError;
