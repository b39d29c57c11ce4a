//! Deployments and their kin.

use serde::Deserialize;

use super::Projector;
use super::meta::{Condition, Meta, Pairs, Str, condition, nullable};
use crate::domain::{Health, Kind, Replicas, Text, Timestamp, Workload};

/// Any workload, as far as it is shown: kinds share most fields.
#[derive(Debug, Deserialize)]
pub struct Object<'a> {
    #[serde(borrow)]
    metadata: Meta<'a>,
    #[serde(borrow, default)]
    spec: Spec<'a>,
    #[serde(borrow, default)]
    status: Status<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    #[serde(default)]
    replicas: Option<u32>,
    #[serde(default)]
    paused: bool,
    #[serde(default)]
    suspend: Option<bool>,
    #[serde(default)]
    completions: Option<u32>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    update_strategy: UpdateStrategy<'a>,
    #[serde(borrow, default)]
    schedule: Str<'a>,
    #[serde(borrow, default)]
    selector: Selector<'a>,
    #[serde(borrow, default)]
    template: Template<'a>,
    #[serde(borrow, default)]
    job_template: JobTemplate<'a>,
}

/// How pods of a `StatefulSet` or `DaemonSet` come to a new revision.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UpdateStrategy<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Str<'a>,
    #[serde(default)]
    rolling_update: Option<RollingUpdate>,
}

#[derive(Debug, Default, Deserialize)]
struct RollingUpdate {
    #[serde(default)]
    partition: Option<u32>,
}

impl UpdateStrategy<'_> {
    /// Pods that the controller will bring to the new revision by itself: those
    /// under the partition, and all under `OnDelete`, keep the old one until
    /// somebody acts.
    fn to_update(&self, desired: u32) -> u32 {
        if self.kind == "OnDelete" {
            return 0;
        }
        desired.saturating_sub(self.rolling_update.as_ref().and_then(|r| r.partition).unwrap_or(0))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Selector<'a> {
    #[serde(borrow, default)]
    match_labels: Pairs<'a>,
    #[serde(default)]
    match_expressions: Option<Vec<serde::de::IgnoredAny>>,
}

#[derive(Debug, Default, Deserialize)]
struct JobTemplate<'a> {
    #[serde(borrow, default)]
    spec: JobSpec<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct JobSpec<'a> {
    #[serde(borrow, default)]
    template: Template<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct Template<'a> {
    #[serde(borrow, default)]
    spec: PodSpec<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct PodSpec<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    containers: Vec<Image<'a>>,
}

#[derive(Debug, Deserialize)]
struct Image<'a> {
    #[serde(borrow, default)]
    image: Str<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    #[serde(default)]
    observed_generation: i64,
    #[serde(default)]
    replicas: u32,
    #[serde(default)]
    ready_replicas: u32,
    #[serde(default)]
    updated_replicas: u32,
    #[serde(default)]
    available_replicas: u32,
    #[serde(default)]
    desired_number_scheduled: u32,
    #[serde(default)]
    current_number_scheduled: u32,
    #[serde(default)]
    number_ready: u32,
    #[serde(default)]
    updated_number_scheduled: u32,
    #[serde(default)]
    number_available: u32,
    #[serde(default)]
    succeeded: u32,
    #[serde(default)]
    failed: u32,
    // A number in a Job, a list in a CronJob.
    #[serde(default)]
    active: Active,
    #[serde(default)]
    completion_time: Option<Timestamp>,
    #[serde(default)]
    last_schedule_time: Option<Timestamp>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    conditions: Vec<Condition<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Active {
    Count(u32),
    List(Vec<serde::de::IgnoredAny>),
    None(()),
}

impl Default for Active {
    fn default() -> Self {
        Self::None(())
    }
}

impl Active {
    fn count(&self) -> u32 {
        match self {
            Self::Count(n) => *n,
            Self::List(v) => u32::try_from(v.len()).unwrap_or(u32::MAX),
            Self::None(()) => 0,
        }
    }
}

/// What a workload is doing, in a word, with how that is, and why.
struct Verdict {
    status: &'static str,
    health: Health,
    message: String,
}

fn verdict(status: &'static str, health: Health) -> Verdict {
    Verdict { status, health, message: String::new() }
}

fn row(kind: Kind, o: &Object<'_>, replicas: Replicas, v: &Verdict, p: &mut Projector) -> Workload {
    let id = p.identity(kind, &o.metadata);
    let (owner_kind, owner) = o.metadata.owner();
    let owner = p.interner.text(owner);
    let containers =
        if kind == Kind::CronJob { &o.spec.job_template.spec.template.spec } else { &o.spec.template.spec };
    let images: Vec<&str> = containers.containers.iter().map(|c| c.image.as_ref()).collect();
    let simple = o.spec.selector.match_expressions.as_ref().is_none_or(Vec::is_empty);
    let none = Pairs::default();
    Workload {
        id,
        uid: Text::new(&o.metadata.uid),
        created: o.metadata.creation_timestamp,
        owner_kind,
        owner,
        replicas,
        status: p.interner.text(v.status),
        health: v.health,
        message: p.interner.text(&v.message),
        images: p.interner.text(&images.join(",")),
        schedule: p.interner.text(&o.spec.schedule),
        last_run: o.status.completion_time.or(o.status.last_schedule_time),
        selector: if simple { &o.spec.selector.match_labels } else { &none }.labels(&mut p.interner),
        labels: o.metadata.labels.labels(&mut p.interner),
        revision: p.interner.text(&o.metadata.annotations.revision),
        ecs: None,
    }
}

fn counts(o: &Object<'_>) -> Replicas {
    Replicas {
        desired: o.spec.replicas.unwrap_or(1),
        current: o.status.replicas,
        ready: o.status.ready_replicas,
        updated: o.status.updated_replicas,
        available: o.status.available_replicas,
    }
}

/// None of those wanted is there, or some are missing.
fn short(r: Replicas) -> Verdict {
    if r.available == 0 { verdict("Unavailable", Health::Critical) } else { verdict("Degraded", Health::Warning) }
}

/// A Deployment's row.
pub fn deployment(o: &Object<'_>, p: &mut Projector) -> Workload {
    let r = counts(o);
    let of = |kind| condition(&o.status.conditions, kind);
    let stuck = of("Progressing").filter(|c| c.reason == "ProgressDeadlineExceeded");
    let failure = of("ReplicaFailure").filter(|c| c.status == "True");
    // The controller finishes a rollout only when old replicas are gone.
    let rolling =
        o.status.observed_generation < o.metadata.generation || r.updated < r.desired || r.current > r.updated;
    let mut v = if r.desired == 0 {
        verdict("Scaled to zero", Health::Ok)
    } else if stuck.is_some() {
        verdict("Stuck", if r.available < r.desired { Health::Critical } else { Health::Warning })
    } else if o.spec.paused {
        verdict("Paused", if r.available < r.desired { Health::Warning } else { Health::Ok })
    } else if rolling {
        let floor_broken = r.available == 0;
        verdict("Rolling out", if floor_broken { Health::Critical } else { Health::Progressing })
    } else if r.available < r.desired {
        short(r)
    } else {
        verdict("Available", Health::Ok)
    };
    if let Some(c) = failure.or(stuck) {
        v.message = c.message.to_string();
        v.health = v.health.max(Health::Warning);
    }
    // New and never available yet: it is starting, not broken.
    if v.health == Health::Critical && v.status == "Rolling out" && o.metadata.annotations.revision == "1" {
        v.health = Health::Progressing;
    }
    row(Kind::Deployment, o, r, &v, p)
}

/// A `ReplicaSet`'s row.
pub fn replica_set(o: &Object<'_>, p: &mut Projector) -> Workload {
    let mut r = counts(o);
    r.updated = r.current;
    let v = if r.desired == 0 {
        verdict("Scaled to zero", Health::Ok)
    } else if r.available < r.desired {
        short(r)
    } else {
        verdict("Available", Health::Ok)
    };
    row(Kind::ReplicaSet, o, r, &v, p)
}

/// What replaces its pods where they are: on the move only while the controller
/// itself has something left to replace.
fn in_place(o: &Object<'_>, r: Replicas) -> Verdict {
    let old = r.desired.saturating_sub(r.updated);
    if o.status.observed_generation < o.metadata.generation || r.updated < o.spec.update_strategy.to_update(r.desired) {
        verdict("Rolling out", if r.available == 0 { Health::Critical } else { Health::Progressing })
    } else if r.available < r.desired {
        short(r)
    } else if old > 0 {
        let mut v = verdict("Partly updated", Health::Ok);
        v.message = if o.spec.update_strategy.kind == "OnDelete" {
            format!("{old} of {} keep the old revision until they are deleted (OnDelete)", r.desired)
        } else {
            format!("{old} of {} keep the old revision (partition)", r.desired)
        };
        v
    } else {
        verdict("Available", Health::Ok)
    }
}

/// A `StatefulSet`'s row.
pub fn stateful_set(o: &Object<'_>, p: &mut Projector) -> Workload {
    let r = counts(o);
    let v = if r.desired == 0 { verdict("Scaled to zero", Health::Ok) } else { in_place(o, r) };
    row(Kind::StatefulSet, o, r, &v, p)
}

/// A `DaemonSet`'s row.
pub fn daemon_set(o: &Object<'_>, p: &mut Projector) -> Workload {
    let status = &o.status;
    let r = Replicas {
        desired: status.desired_number_scheduled,
        current: status.current_number_scheduled,
        ready: status.number_ready,
        updated: status.updated_number_scheduled,
        available: status.number_available,
    };
    let v = if r.desired == 0 { verdict("No nodes", Health::Ok) } else { in_place(o, r) };
    row(Kind::DaemonSet, o, r, &v, p)
}

/// A Job's row: completions wanted as desired, succeeded as available.
pub fn job(o: &Object<'_>, p: &mut Projector) -> Workload {
    let status = &o.status;
    let active = status.active.count();
    let r = Replicas {
        // Without completions the first success is enough: kubectl's `0/1 of 3`.
        desired: o.spec.completions.unwrap_or(1),
        current: active,
        ready: active,
        updated: active,
        available: status.succeeded,
    };
    let is = |kind| condition(&status.conditions, kind).filter(|c| c.status == "True");
    let mut v = if is("Complete").is_some() {
        verdict("Complete", Health::Done)
    } else if is("Failed").is_some() {
        verdict("Failed", Health::Critical)
    } else if is("Suspended").is_some() || o.spec.suspend == Some(true) {
        verdict("Suspended", Health::Ok)
    } else if status.failed > 0 {
        verdict("Retrying", Health::Warning)
    } else {
        verdict("Running", Health::Progressing)
    };
    if let Some(c) = is("Failed") {
        v.message = c.message.to_string();
    }
    row(Kind::Job, o, r, &v, p)
}

/// A `CronJob`'s row.
pub fn cron_job(o: &Object<'_>, p: &mut Projector) -> Workload {
    let active = o.status.active.count();
    let r = Replicas { desired: 0, current: active, ready: active, updated: active, available: 0 };
    let v = match (o.spec.suspend, active) {
        (Some(true), _) => verdict("Suspended", Health::Ok),
        (_, 0) => verdict("Scheduled", Health::Ok),
        (_, _) => verdict("Running", Health::Ok),
    };
    row(Kind::CronJob, o, r, &v, p)
}
