//! A cluster: a kubeconfig context, or an ECS cluster in an account and region.

use super::Text;

/// A cluster's name as the user knows it; unique in one console.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct ClusterId(pub Text);

impl ClusterId {
    /// From a context's or ECS cluster's name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(Text::new(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl std::fmt::Display for ClusterId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.0.as_str())
    }
}

/// Who places the tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Orchestrator {
    /// Kubernetes, EKS included.
    Kubernetes,
    /// Amazon ECS, on instances or Fargate.
    Ecs,
}

/// What is known of a cluster as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Its name.
    pub id: ClusterId,
    /// Its orchestrator.
    pub orchestrator: Orchestrator,
    /// Server version (`v1.34.2`), empty until known.
    pub version: Text,
    /// Where it answers, host and port only.
    pub endpoint: Text,
    /// Marked as production by configuration.
    pub production: bool,
    /// Nothing may be changed there.
    pub read_only: bool,
}
