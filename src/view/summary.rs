//! The numbers that matter, cluster by cluster: worked out beside the rows they are of, so that
//! they are kept for all parts of a frame.

pub use crate::store::summary::{ClusterSummary, Known, clusters};
