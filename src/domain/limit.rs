//! What bites when it runs out: addresses of a subnet, a quota.

use super::{Health, ObjectId, Text};

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitKind {
    /// Addresses of a subnet: each awsvpc task takes one.
    SubnetAddresses,
    /// vCPUs that Fargate may run on demand.
    FargateVcpu,
    /// vCPUs that Fargate may run on spot.
    FargateSpotVcpu,
}

impl LimitKind {
    /// In words: `addresses`, `Fargate vCPU`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::SubnetAddresses => "addresses",
            Self::FargateVcpu => "Fargate vCPU",
            Self::FargateSpotVcpu => "Fargate Spot vCPU",
        }
    }
}

/// One limit, how much of it is left, and how much will be asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Identity; the name is the subnet's, or the quota's.
    pub id: ObjectId,
    /// What it limits.
    pub kind: LimitKind,
    /// What is left of it.
    pub free: u32,
    /// The whole, where it is known; 0 otherwise.
    pub total: u32,
    /// What the largest rollout of a service that uses it would take on top.
    pub needed: u32,
    /// That service, empty if none uses it.
    pub service: Text,
}

impl Limit {
    /// Nothing left is critical; less than a rollout takes is a warning, and so
    /// is less than a tenth of the whole.
    #[must_use]
    pub fn health(&self) -> Health {
        if self.free == 0 {
            return Health::Critical;
        }
        let scarce = self.total > 0 && u64::from(self.free) * 10 < u64::from(self.total);
        if self.free < self.needed || scarce { Health::Warning } else { Health::Ok }
    }

    /// What to say of it: `3 addresses free, a rollout of web takes 5`.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{} {} free", self.free, self.kind.word());
        if self.total > 0 {
            text += &format!(" of {}", self.total);
        }
        if self.free < self.needed {
            text += &format!(", a rollout of {} takes {}", self.service, self.needed);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ClusterId, Kind};

    #[test]
    fn scarce_before_gone() {
        let limit = |free, total, needed| Limit {
            id: ObjectId {
                cluster: ClusterId::new("c"),
                kind: Kind::Other,
                namespace: Text::empty(),
                name: Text::new("subnet-1"),
            },
            kind: LimitKind::SubnetAddresses,
            free,
            total,
            needed,
            service: Text::new("web"),
        };
        assert_eq!(limit(0, 0, 0).health(), Health::Critical);
        assert_eq!(limit(3, 0, 5).health(), Health::Warning);
        assert_eq!(limit(3, 0, 5).text(), "3 addresses free, a rollout of web takes 5");
        assert_eq!(limit(9, 100, 5).health(), Health::Warning);
        assert_eq!(limit(50, 100, 5).health(), Health::Ok);
        assert_eq!(limit(50, 100, 5).text(), "50 addresses free of 100");
    }
}
