//! What the console talks about: nodes, tasks, workloads, events, and how
//! healthy they are. Plain data and pure arithmetic: no I/O, no async runtime,
//! no terminal and no SDK type comes in here.

pub mod age;
pub mod alarm;
pub mod backend;
pub mod budget;
pub mod cluster;
pub mod ecs;
pub mod event;
pub mod freshness;
pub mod glob;
pub mod health;
pub mod id;
pub mod limit;
pub mod line;
pub mod node;
pub mod notice;
pub mod placement;
pub mod quantity;
pub mod service;
pub mod slo;
pub mod spend;
pub mod task;
pub mod text;
pub mod threshold;
pub mod traffic;
pub mod workload;

pub use alarm::{Alarm, AlarmMore, AlarmSilence, AlarmSource, AlarmState, Severity};
pub use backend::{Backend, BackendKind};
pub use budget::Budget;
pub use cluster::{Accent, CapacityProvider, Cluster, ClusterId, Orchestrator};
pub use ecs::{Deployment, EcsInstance, EcsService, EcsTask, Stop, TargetHealth};
pub use event::{Event, EventLevel};
pub use freshness::Freshness;
pub use health::Health;
pub use id::{Kind, ObjectId};
pub use limit::{Limit, LimitKind};
pub use line::{Line, Span, Tone};
pub use node::{CapacityType, Node, NodeCondition};
pub use quantity::{Bytes, Millicores, Resources, Usage};
pub use service::{Covers, Service, Signals};
pub use spend::Spend;
pub use task::{Container, ContainerRole, ContainerState, Task};
pub use text::{Interner, Labels, Text};
pub use threshold::{Threshold, Thresholds};
pub use traffic::Traffic;
pub use workload::{Autoscaler, DisruptionBudget, Replicas, Workload};

/// A point in time, UTC. Only [`crate::clock`] makes new ones from the wall.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
