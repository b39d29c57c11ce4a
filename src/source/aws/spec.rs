//! Which ECS clusters to read, and with whose credentials.

use std::time::Duration;

use super::profiles::{environment, selected};
use crate::domain::ClusterId;

/// Whose credentials, and where. Clusters with the same are read through the
/// same clients, at one pace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct AccountSpec {
    /// A profile of the shared configuration, whose credentials and no others are used;
    /// the usual environment if `None`.
    pub profile: Option<String>,
    /// The region; the profile's or the environment's if `None`.
    pub region: Option<String>,
    /// Another endpoint for every service.
    pub endpoint: Option<String>,
    /// Fixed keys, for the embedded fleet only.
    pub keys: Option<Keys>,
    /// Dollars a month that reading CloudWatch may cost.
    pub ceiling: Option<u32>,
}

impl AccountSpec {
    /// The profile's name for messages, in the order in which credentials are taken.
    #[must_use]
    pub fn profile_name(&self) -> String {
        match &self.profile {
            Some(profile) => profile.clone(),
            None if environment("AWS_ACCESS_KEY_ID").is_some() => "the environment".to_owned(),
            None => selected(&environment).unwrap_or_else(|| "default".to_owned()),
        }
    }
}

/// An access key and its secret. Its `Debug` shows neither.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Keys {
    /// The key's id.
    pub id: String,
    /// Its secret.
    pub secret: String,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}

/// One ECS cluster to read.
#[derive(Debug, Clone)]
pub struct EcsSpec {
    /// What the console calls it.
    pub id: ClusterId,
    /// Its name or ARN.
    pub cluster: String,
    /// Whose it is.
    pub account: AccountSpec,
    /// Marked as production by configuration.
    pub production: bool,
    /// Nothing may be changed there.
    pub read_only: bool,
    /// Between two rounds of tasks and services.
    pub interval: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_not_shown() {
        let keys = Keys { id: "AKIA1".into(), secret: "hunter2".into() };
        let text = format!("{:?}", AccountSpec { keys: Some(keys), ..AccountSpec::default() });
        assert!(!text.contains("AKIA1") && !text.contains("hunter2"), "{text}");
    }
}
