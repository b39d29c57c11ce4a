//! A job from a cron job, as `kubectl create job --from` makes it.

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::super::desk::Progress;
use super::super::intent::{Intent, Verb};
use super::super::plan::{Change, End, Fate, Outcome, Plan, Precondition, StepState};
use super::edit::missing;
use super::object::{self, flag, items, named, slashed, text};
use super::{Kubernetes, Need};
use crate::domain::{Kind, ObjectId, Text};
use crate::source::kubernetes::{WriteError, Writer};

/// The longest name whose pods still get whole names.
const LONGEST: usize = 52;

impl Kubernetes {
    pub(super) async fn plan_trigger(&self, plan: &mut Plan) -> Result<(), Text> {
        let intent = plan.intent.clone();
        let mut needs = Vec::new();
        for id in &intent.targets {
            let cron = match self.read(id).await {
                Ok(object) => object,
                Err(error) => {
                    missing(plan, id, &error)?;
                    continue;
                }
            };
            self.remember(Verb::Trigger, &cron);
            let running = items(&cron, "/status/active").len();
            if running > 0 {
                let policy = text(&cron, "/spec/concurrencyPolicy");
                let rule = if policy == "Forbid" {
                    ", and its own rule against that (Forbid) does not hold for this one"
                } else {
                    ""
                };
                plan.warnings.push(Text::new(&format!("{}: {running} of its jobs run already{rule}", named(id))));
            }
            let job = ObjectId {
                kind: Kind::Job,
                name: Text::new(&name(id.name.as_str(), plan.made.timestamp())),
                ..id.clone()
            };
            needs.push(Need { name: String::new(), ..Need::of("create", &job) });
            plan.equivalent.push(self.kubectl(&[
                "create",
                "job",
                job.name.as_str(),
                &format!("--from={}", slashed(id)),
                "-n",
                id.namespace.as_str(),
            ]));
            plan.changes.push(Change {
                target: id.clone(),
                field: Text::new("job"),
                from: Text::empty(),
                to: job.name,
                fate: Fate::Acts,
                note: Text::new(if flag(&cron, "/spec/suspend") {
                    "it is suspended; this one runs all the same"
                } else {
                    ""
                }),
                precondition: object::as_it_is(&cron),
            });
        }
        plan.needs = self.permissions(needs).await;
        plan.undo = Text::new("delete the job");
        Ok(())
    }

    pub(super) async fn run_trigger(&self, plan: &Plan, progress: &Progress, cancel: &CancellationToken) -> End {
        let mut made: Vec<ObjectId> = Vec::new();
        let undo = |made: &[ObjectId]| (!made.is_empty()).then(|| Intent::new(Verb::Delete, made.to_vec()));
        for change in plan.changes.iter().filter(|c| c.fate != Fate::Stays) {
            if cancel.is_cancelled() {
                let text = format!("cancelled; {} jobs were made", made.len());
                return End { outcome: Outcome::Cancelled, text: Text::new(&text), undo: undo(&made) };
            }
            let failed = match self.make_job(change).await {
                Ok(job) => {
                    progress.step(Some(&change.target), StepState::Done, &format!("made {}", named(&job))).await;
                    made.push(job);
                    continue;
                }
                Err(failed) => failed,
            };
            let (outcome, why) = failed;
            progress.step(Some(&change.target), StepState::Failed, &why).await;
            let text = format!("{}: {why}; {} jobs were made", named(&change.target), made.len());
            return End { outcome, text: Text::new(&text), undo: undo(&made) };
        }
        let names: Vec<String> = made.iter().map(named).collect();
        End::done(&format!("made {}", names.join(", ")), undo(&made))
    }

    async fn make_job(&self, change: &Change) -> Result<ObjectId, (Outcome, String)> {
        let failed = |error: WriteError| {
            let unknown = matches!(error, WriteError::Unknown(_));
            (if unknown { Outcome::Unknown } else { Outcome::Failed }, error.to_string())
        };
        let cron = self.read(&change.target).await.map_err(failed)?;
        if let Precondition::Version { uid, version } = &change.precondition
            && !self.is_as_seen(Verb::Trigger, uid, version, &cron)
        {
            return Err((Outcome::Failed, "its template was changed since this was planned; look again".to_owned()));
        }
        let path = Writer::collection(Kind::Job, &change.target.namespace).map_err(failed)?;
        self.writer.create(&path, &job(&cron, change.to.as_str())).await.map_err(failed)?;
        Ok(ObjectId { kind: Kind::Job, name: change.to.clone(), ..change.target.clone() })
    }
}

/// As kubectl makes it.
fn job(cron: &Value, name: &str) -> Value {
    let template = cron.pointer("/spec/jobTemplate").cloned().unwrap_or_default();
    let mut annotations = template.pointer("/metadata/annotations").cloned().unwrap_or_else(|| json!({}));
    annotations["cronjob.kubernetes.io/instantiate"] = "manual".into();
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": text(cron, "/metadata/namespace"),
            "labels": template.pointer("/metadata/labels").cloned().unwrap_or_else(|| json!({})),
            "annotations": annotations,
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "CronJob", "name": text(cron, "/metadata/name"),
                "uid": object::uid(cron), "controller": true, "blockOwnerDeletion": true}],
        },
        "spec": template.get("spec").cloned().unwrap_or_default(),
    })
}

/// The cron job's name with the second in which it was planned.
fn name(cron: &str, second: i64) -> String {
    let end = format!("-manual-{second:x}");
    let kept: String = cron.chars().take(LONGEST.saturating_sub(end.len())).collect();
    format!("{}{end}", kept.trim_end_matches(['-', '.']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_short() {
        assert_eq!(name("report", 0x1234), "report-manual-1234");
        let long = name(&"x".repeat(52), 0x6789_abcd);
        assert!(long.len() <= LONGEST && long.ends_with("-manual-6789abcd"), "{long}");
    }
}
