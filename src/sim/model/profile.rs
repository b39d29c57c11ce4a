//! How a workload's containers behave: what no API object says.

use std::sync::Arc;

use super::meta::Ms;

/// What a container does with its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Runs and becomes ready.
    Healthy,
    /// Exits with code 1 after this long.
    Crash(Ms),
    /// Is killed for memory after this long.
    Oom(Ms),
    /// The image cannot be pulled.
    ImagePull,
    /// Becomes ready only after this long.
    SlowReady(Ms),
    /// Runs, and its readiness probe never passes.
    NotReady,
}

/// How a container writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogStyle {
    /// One JSON object a line.
    Json,
    /// Combined access log.
    Access,
    /// Log4j with stack traces.
    Java,
    /// Colour by SGR sequences.
    Ansi,
    /// `level key=value`.
    Plain,
    /// Kubernetes' own (`I1120 22:55:07.123456 ...`).
    Klog,
    /// A proxy's access log.
    Envoy,
}

/// What is known of a workload beyond its object.
#[derive(Debug)]
pub struct Profile {
    /// The workload's name, the same over its revisions.
    pub workload: Arc<str>,
    /// From the container's start to ready.
    pub ready_after: Ms,
    /// CPU use at load 1, as a share of the request.
    pub load: f64,
    /// Memory in use, as a share of the request.
    pub memory: f64,
    pub logs: LogStyle,
    /// From SIGTERM to the end, if grace lets it.
    pub stops: Option<Ms>,
    /// For jobs: how long a pod works.
    pub duration: Ms,
    /// For jobs: how often it fails.
    pub fails: f64,
}

impl Profile {
    /// For what a client created.
    pub fn plain(workload: &str) -> Self {
        Self {
            workload: workload.into(),
            ready_after: 2000,
            load: 0.3,
            memory: 0.5,
            logs: LogStyle::Plain,
            stops: None,
            duration: 15_000,
            fails: 0.0,
        }
    }
}
