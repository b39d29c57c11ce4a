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

/// The colour that a cluster's name is shown in, to tell one from another at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Accent {
    /// Red.
    Red,
    /// Orange.
    Orange,
    /// Yellow.
    Yellow,
    /// Green.
    Green,
    /// Blue.
    Blue,
    /// Violet.
    Violet,
}

impl Accent {
    /// Every accent.
    pub const ALL: [Self; 6] = [Self::Red, Self::Orange, Self::Yellow, Self::Green, Self::Blue, Self::Violet];

    /// Its name in settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Orange => "orange",
            Self::Yellow => "yellow",
            Self::Green => "green",
            Self::Blue => "blue",
            Self::Violet => "violet",
        }
    }

    /// The accent of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.name() == name)
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
    /// Where an ECS cluster gets its capacity from; empty until known, and elsewhere.
    pub providers: Vec<CapacityProvider>,
}

/// A capacity provider that an ECS cluster may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapacityProvider {
    /// Its name.
    pub name: Text,
    /// What it is: `fargate`, `fargate-spot`, `auto scaling group`, `managed instances`.
    pub kind: Text,
    /// ECS's status: `ACTIVE`, `PROVISIONING`, `INACTIVE`, ...
    pub status: Text,
    /// Why its last change failed; empty if it did not.
    pub failed: Text,
    /// ECS scales its group so that this share of it is used, in per cent; `None` if
    /// ECS does not scale it.
    pub scaled_to: Option<u32>,
    /// Weight and base in the cluster's default strategy; `None` if it is not in it.
    pub default: Option<(u32, u32)>,
}

impl CapacityProvider {
    /// True if it gives nothing, or its last change failed.
    #[must_use]
    pub fn is_troubled(&self) -> bool {
        self.status != "ACTIVE" || !self.failed.is_empty()
    }

    /// `auto scaling group, active, scaled to 100% use; by default weight 1, base 0`.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!("{}, {}", self.kind, self.status.to_ascii_lowercase());
        match self.scaled_to {
            Some(target) => out += &format!(", scaled to {target}% use"),
            // Nobody scales Fargate.
            None if self.kind.starts_with("fargate") => {}
            None => out += ", not scaled by ECS",
        }
        if let Some((weight, base)) = self.default {
            out += &format!("; by default weight {weight}, base {base}");
        }
        if !self.failed.is_empty() {
            out += &format!("; {}", self.failed);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_says_whether_it_scales() {
        let mut p = CapacityProvider {
            name: Text::new("asg"),
            kind: Text::new("auto scaling group"),
            status: Text::new("ACTIVE"),
            failed: Text::empty(),
            scaled_to: Some(90),
            default: Some((1, 0)),
        };
        assert_eq!(p.text(), "auto scaling group, active, scaled to 90% use; by default weight 1, base 0");
        assert!(!p.is_troubled());
        (p.scaled_to, p.default, p.failed) = (None, None, Text::new("the group is gone"));
        assert_eq!(p.text(), "auto scaling group, active, not scaled by ECS; the group is gone");
        assert!(p.is_troubled());
        (p.kind, p.failed) = (Text::new("fargate"), Text::empty());
        assert_eq!(p.text(), "fargate, active");
    }
}
