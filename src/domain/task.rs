//! A running unit: a Kubernetes Pod or an ECS task.

use std::sync::Arc;

use super::{EcsTask, Health, Kind, Labels, ObjectId, Resources, Text, Timestamp};

/// What a container is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContainerRole {
    /// Runs once before the others.
    Init,
    /// An init container with `restartPolicy: Always`: runs beside the others.
    Sidecar,
    /// The work itself.
    Main,
    /// Added for debugging.
    Ephemeral,
}

/// Where a container stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum ContainerState {
    /// Not started; the reason where there is one (`ImagePullBackOff`).
    Waiting {
        /// The kubelet's reason, may be empty.
        reason: Text,
    },
    /// Running.
    Running,
    /// Ended.
    Terminated {
        /// The kubelet's reason (`OOMKilled`, `Error`, `Completed`), may be empty.
        reason: Text,
        /// Exit code.
        exit_code: i32,
    },
}

/// One container of a task.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Container {
    /// Its name.
    pub name: Text,
    /// Its image.
    pub image: Text,
    /// What it is for.
    pub role: ContainerRole,
    /// Passing its readiness probe.
    pub ready: bool,
    /// How often it was restarted.
    pub restarts: u32,
    /// Where it stands.
    pub state: ContainerState,
}

/// One task, as a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Identity.
    pub id: ObjectId,
    /// The object's uid.
    pub uid: Text,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// The node it is on, empty before it is scheduled.
    pub node: Text,
    /// Its controller's kind; [`Kind::Other`] without one.
    pub owner_kind: Kind,
    /// Its controller's name, empty without one.
    pub owner: Text,
    /// Containers ready, as kubectl counts them (sidecars included).
    pub ready: u16,
    /// Containers in all, as kubectl counts them.
    pub containers_total: u16,
    /// How long it may take to end once it is told to, in seconds (`terminationGracePeriodSeconds`).
    pub grace: u16,
    /// kubectl's STATUS: `Running`, `CrashLoopBackOff`, `Init:1/2`, ...
    pub status: Text,
    /// How it is.
    pub health: Health,
    /// Restarts, as kubectl counts them.
    pub restarts: u32,
    /// When a container last ended before its restart; kubectl's `(3m ago)`.
    pub last_restart: Option<Timestamp>,
    /// Since when it has stood as it stands, where the object says: not ready, not
    /// placed. For one that terminates: when its grace ends, or has ended.
    pub since: Option<Timestamp>,
    /// Why it is as it is, when it is not well: the kubelet's or scheduler's message.
    pub message: Text,
    /// Address.
    pub address: Text,
    /// Quality of service class (`Guaranteed`, `Burstable`, `BestEffort`).
    pub qos: Text,
    /// What it asks for, init containers and overhead included, as the scheduler counts.
    pub requests: Resources,
    /// Its limits; zero where unlimited.
    pub limits: Resources,
    /// Its containers: init and sidecar first, in the object's order.
    pub containers: Arc<[Container]>,
    /// Labels, shared; an ECS task's tags.
    pub labels: Labels,
    /// What only ECS says; `None` for a Kubernetes pod.
    pub ecs: Option<Box<EcsTask>>,
}

impl Task {
    /// Its name among the tasks of its workload: an ECS task's id is 32 digits, of
    /// which eight tell it from the others.
    #[must_use]
    pub fn short_name(&self) -> &str {
        let name = self.id.name.as_str();
        match (&self.ecs, name.rsplit_once('/')) {
            (Some(_), Some((_, id))) => id.get(..8).unwrap_or(id),
            _ => name,
        }
    }

    /// kubectl's RESTARTS: `4`, or `4 (3m ago)`.
    #[must_use]
    pub fn restarts_text(&self, now: Timestamp) -> String {
        match self.last_restart {
            // ECS does not count restarts: a task that ends is replaced.
            _ if self.ecs.is_some() => "-".to_owned(),
            Some(t) if self.restarts > 0 => format!("{} ({} ago)", self.restarts, super::age::age(Some(t), now)),
            _ => self.restarts.to_string(),
        }
    }

    /// kubectl's READY: `1/2`.
    #[must_use]
    pub fn ready_text(&self) -> String {
        format!("{}/{}", self.ready, self.containers_total)
    }

    /// True while it holds its requests on a node: not finished.
    #[must_use]
    pub fn is_active(&self) -> bool {
        if let Some(ecs) = &self.ecs {
            return !ecs.has_stopped();
        }
        !matches!(self.status.as_str(), "Completed" | "Succeeded" | "Failed" | "Evicted" | "Error")
            || self.health == Health::Progressing
    }
}
