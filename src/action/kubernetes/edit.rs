//! What is one patch for each target: planned here, done in `run`.

use serde_json::{Value, json};

use super::super::intent::{Intent, Verb};
use super::super::plan::{Change, Fate, Plan, Precondition};
use super::change::Edit;
use super::object::{self, flag, kept_by, named, slashed, text};
use super::{Kubernetes, Need, image, rollout, scale};
use crate::domain::{Kind, ObjectId, Text};
use crate::source::kubernetes::{Patch, WriteError};

const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";

/// Whether a verb is one patch for each target.
pub(super) fn is_edit(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::Cordon
            | Verb::Uncordon
            | Verb::Scale
            | Verb::Restart
            | Verb::RollBack
            | Verb::SetImage
            | Verb::Suspend
            | Verb::Resume
    )
}

impl Kubernetes {
    pub(super) async fn plan_edit(&self, plan: &mut Plan) -> Result<(), Text> {
        let intent = plan.intent.clone();
        let mut needs = Vec::new();
        for id in &intent.targets {
            let object = match self.read(id).await {
                Ok(object) => object,
                Err(error) => {
                    missing(plan, id, &error)?;
                    continue;
                }
            };
            let edit = self.edit(&intent, id, &object).await;
            let keeper = kept_by(&object);
            if !keeper.is_empty() && !matches!(id.kind, Kind::Node) {
                let change = if keeper.contains("change it back") { "" } else { "; it will change this back" };
                plan.warnings.push(Text::new(&format!("{}: {keeper}{change}", named(id))));
            }
            let seen = if edit.target == *id {
                object
            } else {
                self.read(&edit.target).await.map_err(|e| Text::new(&e.to_string()))?
            };
            self.remember(intent.verb, &seen);
            let mut need = Need::of("patch", &edit.target);
            if edit.part == "/scale" {
                need.resource = scale_of(edit.target.kind);
            }
            needs.push(need);
            if let Some(line) = self.equivalent(&intent, &edit, id) {
                plan.equivalent.push(line);
            }
            add(plan, edit, object::as_it_is(&seen));
        }
        plan.needs = self.permissions(needs).await;
        plan.undo = Text::new(undone(plan));
        Ok(())
    }

    /// What `object` becomes.
    pub(super) async fn edit(&self, intent: &Intent, id: &ObjectId, object: &Value) -> Edit {
        match intent.verb {
            Verb::Cordon | Verb::Uncordon => cordon(id, object, intent.verb == Verb::Cordon),
            Verb::Suspend | Verb::Resume => suspend(id, object, intent.verb == Verb::Suspend),
            // A run of a plan that raised a minimum has the autoscaler itself.
            Verb::Scale if id.kind == Kind::Autoscaler => {
                scale::raise(id, object, intent.options.replicas.unwrap_or(0))
            }
            Verb::Scale => self.edit_scale(intent, id, object).await,
            Verb::SetImage => rolls(image::edit(id, object, &intent.options), id, object),
            Verb::RollBack => rolls(self.edit_revision(intent, id, object).await, id, object),
            _ => {
                let now = self.clock.now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
                let was = text(object, "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt");
                let mut edit = Edit::new(id, "restarted at", was, "now");
                edit.acts = true;
                let edit = edit.sends(
                    Patch::Strategic,
                    json!({"spec": {"template": {"metadata": {"annotations": {RESTARTED: now}}}}}),
                );
                rolls(edit, id, object)
            }
        }
    }

    fn equivalent(&self, intent: &Intent, edit: &Edit, id: &ObjectId) -> Option<String> {
        let (ns, what) = (id.namespace.as_str(), slashed(id));
        let what = what.as_str();
        Some(match intent.verb {
            Verb::Cordon => self.kubectl(&["cordon", id.name.as_str()]),
            Verb::Uncordon => self.kubectl(&["uncordon", id.name.as_str()]),
            Verb::Scale if edit.target.kind == Kind::Autoscaler => {
                let patch = edit.body.to_string();
                self.kubectl(&["patch", "hpa", edit.target.name.as_str(), "-n", ns, "--type=merge", "-p", &patch])
            }
            Verb::Scale => self.kubectl(&["scale", what, "-n", ns, &format!("--replicas={}", edit.to)]),
            Verb::Restart => self.kubectl(&["rollout", "restart", what, "-n", ns]),
            Verb::RollBack if !edit.to.is_empty() => {
                self.kubectl(&["rollout", "undo", what, "-n", ns, &format!("--to-revision={}", edit.to)])
            }
            Verb::SetImage if !edit.to.is_empty() => {
                let container = edit.field.strip_prefix("image of ").unwrap_or_default();
                self.kubectl(&["set", "image", what, "-n", ns, &format!("{container}={}", edit.to)])
            }
            Verb::Suspend | Verb::Resume => {
                let patch = edit.body.to_string();
                self.kubectl(&["patch", what, "-n", ns, "--type=merge", "-p", &patch])
            }
            _ => return None,
        })
    }
}

/// A target that cannot be read: gone is a refusal, no answer is no plan.
pub(super) fn missing(plan: &mut Plan, id: &ObjectId, error: &WriteError) -> Result<(), Text> {
    match error.code() {
        404 => plan.refused.push(Text::new(&format!("{} is not there any more", named(id)))),
        403 => plan.refused.push(Text::new(&format!("{} may not be read: {error}", named(id)))),
        _ => return Err(Text::new(&format!("{} cannot be read: {error}", named(id)))),
    }
    Ok(())
}

fn add(plan: &mut Plan, edit: Edit, precondition: Precondition) {
    let several = plan.intent.targets.len() > 1;
    let say = |text: &String| {
        let what = named(&edit.target);
        Text::new(&if several && !text.contains(&what) { format!("{what}: {text}") } else { text.clone() })
    };
    plan.refused.extend(edit.refused.iter().map(say));
    plan.warnings.extend(edit.warnings.iter().map(say));
    plan.diff.extend(edit.diff.iter().map(|l| Text::new(l)));
    let acts = edit.acts && edit.refused.is_empty();
    let note = if edit.acts || !edit.refused.is_empty() || !edit.note.is_empty() {
        edit.note.as_str()
    } else {
        "it is so already"
    };
    plan.changes.push(Change {
        target: edit.target,
        field: Text::new(&edit.field),
        from: Text::new(&edit.from),
        to: Text::new(&edit.to),
        fate: if acts { Fate::Acts } else { Fate::Stays },
        note: Text::new(note),
        precondition,
    });
}

fn undone(plan: &Plan) -> &'static str {
    match plan.intent.verb {
        Verb::Cordon => "uncordon",
        Verb::Uncordon => "cordon",
        Verb::Suspend => "resume-job",
        Verb::Resume => "suspend-job",
        Verb::Scale if plan.intent.options.raise_minimum => "set the autoscaler's minimum back to what it is now",
        Verb::Scale => "scale back to the number that is wanted now",
        Verb::SetImage => "set the image back, or roll back",
        Verb::RollBack => "roll back to the revision that is current now",
        _ => "",
    }
}

fn cordon(id: &ObjectId, object: &Value, on: bool) -> Edit {
    let word = |on: bool| if on { "no" } else { "yes" };
    let now = flag(object, "/spec/unschedulable");
    let mut edit = Edit::new(id, "schedulable", word(now), word(on))
        .sends(Patch::Merge, json!({"spec": {"unschedulable": if on { json!(true) } else { Value::Null }}}));
    edit.undo = Some(super::super::intent::Options::default());
    let taints = object::items(object, "/spec/taints");
    if !on
        && let Some(taint) = taints
            .iter()
            .find(|t| text(t, "/key") != "node.kubernetes.io/unschedulable" && text(t, "/effect").starts_with("No"))
    {
        edit.warnings.push(format!("taint {} still keeps most tasks away", text(taint, "/key")));
    }
    edit
}

fn suspend(id: &ObjectId, object: &Value, on: bool) -> Edit {
    let word = |on: bool| if on { "yes" } else { "no" };
    let now = flag(object, "/spec/suspend");
    let mut edit =
        Edit::new(id, "suspended", word(now), word(on)).sends(Patch::Merge, json!({"spec": {"suspend": on}}));
    edit.undo = Some(super::super::intent::Options::default());
    if on && id.kind == Kind::Job {
        let active = object::number(object, "/status/active");
        edit.warnings.push(format!("its {active} running tasks are deleted; they begin anew when it is resumed"));
    }
    let active = object::items(object, "/status/active").len();
    if on && active > 0 {
        edit.warnings.push(format!("{active} jobs of it run already, and go on"));
    }
    edit
}

/// What a new template costs, and whether it is rolled out at all.
fn rolls(mut edit: Edit, id: &ObjectId, object: &Value) -> Edit {
    if id.kind == Kind::CronJob {
        edit.warnings.push("jobs that run already keep the old image".to_owned());
        return edit;
    }
    let cost = rollout::cost(id, object);
    edit.warnings.extend(cost.warnings);
    edit.rolls = !cost.paused && !cost.by_hand;
    if cost.paused {
        let resume = format!("{} is paused; resume its rollout first", named(id));
        // Setting an image on what is paused gathers changes, which is what pausing is for.
        if edit.field.starts_with("image") {
            edit.warnings.push(format!("{} is paused: nothing is rolled out before it is resumed", named(id)));
        } else {
            edit.refused.push(resume);
        }
    }
    edit
}

/// The resource's scale, as access rules name it.
fn scale_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Deployment => "deployments/scale",
        Kind::ReplicaSet => "replicasets/scale",
        _ => "statefulsets/scale",
    }
}
