//! How a rollout stands, what it costs while it goes on, and following it to its end.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::desk::Progress;
use super::super::plan::StepState;
use super::Kubernetes;
use super::object::{self, flag, items, named, number, text};
use crate::domain::{Kind, ObjectId};

/// How a rollout stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stand {
    /// Every task runs the new definition and serves.
    Done,
    /// It goes on; how far it is.
    Goes(String),
    /// The controller has given up.
    Stuck(String),
}

/// How the rollout of `object` stands.
pub(super) fn stand(kind: Kind, object: &Value) -> Stand {
    let status = |key: &str| number(object, &format!("/status/{key}"));
    if status("observedGeneration") < number(object, "/metadata/generation") {
        return Stand::Goes("the controller has not seen it yet".to_owned());
    }
    let wanted = if kind == Kind::DaemonSet { status("desiredNumberScheduled") } else { object::replicas(object) };
    let (updated, ready) = match kind {
        Kind::DaemonSet => (status("updatedNumberScheduled"), status("numberAvailable")),
        Kind::StatefulSet => (status("updatedReplicas"), status("readyReplicas")),
        _ => (status("updatedReplicas"), status("availableReplicas")),
    };
    if kind == Kind::Deployment {
        let progressing = items(object, "/status/conditions").iter().find(|c| text(c, "/type") == "Progressing");
        if let Some(c) = progressing.filter(|c| text(c, "/reason") == "ProgressDeadlineExceeded") {
            return Stand::Stuck(format!("{updated} of {wanted} new, no progress: {}", text(c, "/message")));
        }
    }
    let old = if kind == Kind::Deployment { (status("replicas") - updated).max(0) } else { 0 };
    let held = number(object, "/spec/updateStrategy/rollingUpdate/partition");
    let enough = if kind == Kind::StatefulSet { (wanted - held).max(0) } else { wanted };
    let same = kind != Kind::StatefulSet
        || held > 0
        || text(object, "/status/updateRevision") == text(object, "/status/currentRevision");
    if updated >= enough && old == 0 && ready >= wanted && same {
        return Stand::Done;
    }
    let leaving = if old > 0 { format!(", {old} old to go") } else { String::new() };
    Stand::Goes(format!("{updated} of {wanted} new, {ready} serving{leaving}"))
}

/// What users will notice of a rollout, and why one would not begin.
pub(super) struct Cost {
    pub(super) warnings: Vec<String>,
    pub(super) paused: bool,
    /// Tasks are replaced only as somebody deletes them.
    pub(super) by_hand: bool,
}

/// What a rollout of `object` costs.
pub(super) fn cost(id: &ObjectId, object: &Value) -> Cost {
    let mut warnings = Vec::new();
    let what = named(id);
    let strategy = if id.kind == Kind::Deployment { "/spec/strategy" } else { "/spec/updateStrategy" };
    let how = text(object, &format!("{strategy}/type"));
    let rolling = |key: &str| object.pointer(&format!("{strategy}/rollingUpdate/{key}")).unwrap_or(&Value::Null);
    let paused = flag(object, "/spec/paused");
    let by_hand = how == "OnDelete";
    let wanted = match id.kind {
        Kind::DaemonSet => number(object, "/status/desiredNumberScheduled"),
        _ => object::replicas(object),
    };
    if by_hand {
        warnings.push(format!("{what} replaces tasks only as they are deleted (OnDelete)"));
    } else if how == "Recreate" {
        warnings.push(format!("all {wanted} tasks of {what} end before new ones start (Recreate)"));
    } else if id.kind == Kind::Deployment {
        let (surge, away) =
            fenced(share(rolling("maxSurge"), wanted, true), share(rolling("maxUnavailable"), wanted, false));
        warnings.push(format!("up to {surge} more at once, up to {away} of {wanted} away meanwhile"));
        if wanted == 1 && away > 0 {
            warnings.push(format!("{what} has one task, and it may be away until the new one serves"));
        }
    } else {
        let away = share(rolling("maxUnavailable"), wanted, true).max(1);
        warnings.push(format!("{} of {wanted} at a time is away", away.min(wanted.max(1))));
        if id.kind == Kind::StatefulSet && wanted == 1 {
            warnings.push(format!("{what} has one task: it is away until the new one serves"));
        }
        let held = number(object, &format!("{strategy}/rollingUpdate/partition"));
        if held > 0 {
            warnings.push(format!("tasks below {held} stay as they are (partition)"));
        }
    }
    Cost { warnings, paused, by_hand }
}

/// Both zero would never move; the controller then takes one away.
fn fenced(surge: i64, away: i64) -> (i64, i64) {
    if surge == 0 && away == 0 { (0, 1) } else { (surge, away) }
}

/// A number, or a percentage of `of`.
fn share(value: &Value, of: i64, up: bool) -> i64 {
    match value {
        Value::Number(n) => n.as_i64().unwrap_or(0),
        Value::String(s) => {
            let percent: i64 = s.trim_end_matches('%').parse().unwrap_or(0);
            if up { (of * percent + 99) / 100 } else { of * percent / 100 }
        }
        _ => 0,
    }
}

/// How following ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Followed {
    Done,
    Failed(String),
    Cancelled(String),
}

impl Kubernetes {
    /// Follows a rollout until it is done, stuck, without progress for `patience`, or nobody wants to wait.
    pub(super) async fn follow(
        &self,
        id: &ObjectId,
        patience: Duration,
        progress: &Progress,
        cancel: &CancellationToken,
    ) -> Followed {
        let (mut last, mut since) = (String::new(), Instant::now());
        loop {
            let read = tokio::select! {
                read = self.read(id) => read,
                () = cancel.cancelled() => return Followed::Cancelled(last),
            };
            let now = match read {
                Ok(object) => match stand(id.kind, &object) {
                    Stand::Done => {
                        progress.step(Some(id), StepState::Done, "every task is new and serves").await;
                        return Followed::Done;
                    }
                    Stand::Stuck(why) => {
                        progress.step(Some(id), StepState::Failed, &why).await;
                        return Followed::Failed(why);
                    }
                    Stand::Goes(how) => how,
                },
                Err(error) if error.code() == 404 => return Followed::Failed("it was deleted meanwhile".to_owned()),
                Err(error) => format!("it cannot be read now: {error}"),
            };
            if now != last {
                progress.step(Some(id), StepState::Doing, &now).await;
                (last, since) = (now, Instant::now());
            } else if since.elapsed() >= patience {
                return Followed::Failed(format!("no progress for {} s: {last}", patience.as_secs()));
            }
            tokio::select! {
                () = tokio::time::sleep(self.pace.poll) => {}
                () = cancel.cancelled() => return Followed::Cancelled(last),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_deployment_s_rollout() {
        let of = |observed: i64, updated: i64, available: i64, all: i64| {
            json!({"metadata": {"generation": 2}, "spec": {"replicas": 3}, "status": {"observedGeneration": observed,
                "updatedReplicas": updated, "availableReplicas": available, "replicas": all}})
        };
        assert!(matches!(stand(Kind::Deployment, &of(1, 3, 3, 3)), Stand::Goes(_)));
        assert_eq!(stand(Kind::Deployment, &of(2, 1, 3, 4)), Stand::Goes("1 of 3 new, 3 serving, 3 old to go".into()));
        assert_eq!(stand(Kind::Deployment, &of(2, 3, 3, 3)), Stand::Done);
        let mut stuck = of(2, 1, 3, 4);
        stuck["status"]["conditions"] =
            json!([{"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "timed out"}]);
        assert!(matches!(stand(Kind::Deployment, &stuck), Stand::Stuck(_)));
    }

    #[test]
    fn a_set_s_rollout() {
        let of = |updated: i64, ready: i64, same: bool| {
            json!({"metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": {"observedGeneration": 2,
                "updatedReplicas": updated, "readyReplicas": ready, "updateRevision": "b",
                "currentRevision": if same { "b" } else { "a" }}})
        };
        assert!(matches!(stand(Kind::StatefulSet, &of(1, 2, false)), Stand::Goes(_)));
        assert!(matches!(stand(Kind::StatefulSet, &of(2, 2, false)), Stand::Goes(_)));
        assert_eq!(stand(Kind::StatefulSet, &of(2, 2, true)), Stand::Done);
    }

    #[test]
    fn shares() {
        assert_eq!(
            (share(&json!("25%"), 10, true), share(&json!("25%"), 10, false), share(&json!(2), 10, true)),
            (3, 2, 2)
        );
    }
}
