//! Another image in one container of a service: a new revision of its task definition, and a rollout to it.

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::diff::{container_names, differs};
use super::rollout::Began;
use super::{Ecs, Failure, needs, said, stays};
use crate::action::desk::Progress;
use crate::action::exec::joined;
use crate::action::image::{is_image, loose, meant};
use crate::action::plan::{Change, Fate, Plan, Precondition, StepState};
use crate::domain::Text;
use crate::source::ecs::{ServiceChange, tail};

impl Ecs {
    pub(super) async fn image(&self, plan: &mut Plan, change: &mut Change, definition: &str) {
        let (id, now) = (change.target.clone(), tail(definition));
        let old = match self.writer.definition(definition).await {
            Ok(old) => old,
            Err(error) => {
                *change = stays(&id, "image", &format!("{now}: {}", said(&error)));
                return;
            }
        };
        let options = plan.intent.options.clone();
        let container = match container(&old, options.container.as_deref()) {
            Ok(container) => container,
            Err(why) => {
                *change = stays(&id, "image", &why);
                return;
            }
        };
        let Some(given) = options.image.as_deref().filter(|i| is_image(i)) else {
            *change = stays(&id, "image", "which image? give its name, or :TAG for another tag of the same");
            return;
        };
        let (new, from, to) = with_image(&old, &container, given);
        change.field = Text::new(&format!("image of {container}"));
        (change.from, change.to) = (Text::new(&from), Text::new(&to));
        if from == to {
            change.fate = Fate::Stays;
            change.note = Text::new("it runs that already; a restart pulls its tag anew");
            return;
        }
        change.note = Text::new(&format!("as a new revision of {now}; all else of it is kept"));
        plan.diff.extend(differs(&old, &new));
        plan.warnings.extend(loose(&to).map(|w| Text::new(&w)));
        self.by_hand(plan, change, now, &container);
        plan.undo = Text::new(&format!("roll back to {now}; the new revision stays registered"));
        let mut need = |what: &str| {
            let permission = needs(what);
            if !plan.needs.contains(&permission) {
                plan.needs.push(permission);
            }
        };
        need("ecs:RegisterTaskDefinition");
        if old.get("tags").is_some() {
            need("ecs:TagResource");
        }
        for key in ["taskRoleArn", "executionRoleArn"] {
            if let Some(role) = old[key].as_str().filter(|r| !r.is_empty()) {
                need(&format!("iam:PassRole of {}", tail(role)));
            }
        }
    }

    /// The same with `aws` and `jq`.
    fn by_hand(&self, plan: &mut Plan, change: &Change, now: &str, container: &str) {
        let family = now.split(':').next().unwrap_or(now);
        let string = |text: &str| Value::from(text).to_string();
        let filter = format!(
            "(.tags // []) as $t | .taskDefinition | del(.taskDefinitionArn, .revision, .status, .requiresAttributes, \
             .compatibilities, .registeredAt, .registeredBy) | (.containerDefinitions[] | select(.name == {}) | .image) = {} \
             | if $t == [] then . else .tags = $t end",
            string(container),
            string(&change.to)
        );
        let describe =
            self.aws_anywhere(&["ecs", "describe-task-definition", "--task-definition", now, "--include", "TAGS"]);
        let jq = joined(&["jq".to_owned(), filter]);
        plan.equivalent.push(format!("{describe} | {jq} > definition.json"));
        let register = ["ecs", "register-task-definition", "--cli-input-json", "file://definition.json"];
        plan.equivalent.push(self.aws_anywhere(&register));
        let name = change.target.name.as_str();
        plan.equivalent.push(self.aws(&["ecs", "update-service", "--service", name, "--task-definition", family]));
    }

    pub(super) async fn set_image(
        &self,
        change: &Change,
        progress: &Progress,
        cancel: &CancellationToken,
    ) -> Result<Began, Failure> {
        let (Some(container), Precondition::Desired { definition, .. }) =
            (change.field.strip_prefix("image of "), &change.precondition)
        else {
            return Err(Failure::new("the plan does not say what to change; nothing was done"));
        };
        let old = self.insist(cancel, || self.writer.definition(definition)).await?;
        let (new, from, _) = with_image(&old, container, &change.to);
        // A revision never changes; but what is sent is what was shown, or nothing.
        if change.from != from.as_str() {
            return Err(Failure::new(&format!("{container} runs {from}, and not what was shown; nothing was done")));
        }
        progress.step(Some(&change.target), StepState::Doing, "a new revision is being registered").await;
        let registered = match self.insist(cancel, || self.writer.register(&new)).await {
            Ok(arn) => arn,
            // Whatever was registered: nothing uses it.
            Err(error) => {
                return Err(Failure::new(&format!("no new revision: {}; the service was left as it is", said(&error))));
            }
        };
        let revision = tail(&registered);
        progress.step(Some(&change.target), StepState::Doing, &format!("{revision} is registered")).await;
        let unused = format!("{revision} is registered, and not used");
        if cancel.is_cancelled() {
            return Err(Failure::cancelled(&format!("the service was left as it is; {unused}")));
        }
        self.unchanged(change, cancel).await.map_err(|failure| failure.and(&unused))?;
        let (name, to) = (
            change.target.name.as_str(),
            ServiceChange { definition: Some(registered.clone()), ..ServiceChange::default() },
        );
        match self.insist(cancel, || self.writer.update(name, &to)).await {
            Ok(deployment) => Ok(Began::Rollout(deployment)),
            Err(error) => {
                let failure = Failure::of(&error);
                let unknown = format!("{revision} is registered, and whether the service uses it is not known");
                let text = if failure.is_unknown() { unknown } else { unused };
                Err(failure.and(&text))
            }
        }
    }
}

/// The container that is meant.
fn container(definition: &Value, wanted: Option<&str>) -> Result<String, String> {
    let names = container_names(definition);
    match (wanted, names.as_slice()) {
        (Some(wanted), names) if names.contains(&wanted) => Ok(wanted.to_owned()),
        (Some(wanted), names) => Err(format!("there is no container {wanted}; there are {}", names.join(", "))),
        (None, [one]) => Ok((*one).to_owned()),
        (None, []) => Err("its task definition has no containers".to_owned()),
        (None, names) => Err(format!("which container? there are {}", names.join(", "))),
    }
}

/// The definition with another image in one container, the image that was, and the one that is.
fn with_image(definition: &Value, container: &str, given: &str) -> (Value, String, String) {
    let mut new = definition.clone();
    let (mut from, mut to) = (String::new(), given.to_owned());
    let all = new.get_mut("containerDefinitions").and_then(Value::as_array_mut);
    for c in all.into_iter().flatten().filter(|c| c["name"] == container) {
        c["image"].as_str().unwrap_or_default().clone_into(&mut from);
        to = meant(&from, given);
        c["image"] = to.as_str().into();
    }
    (new, from, to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_container_is_changed_and_which_has_to_be_clear() {
        let definition = json!({"containerDefinitions": [
            {"name": "app", "image": "r/web:1", "user": "x"}, {"name": "side", "image": "r/side:1"}]});
        assert_eq!(container(&definition, None), Err("which container? there are app, side".to_owned()));
        assert_eq!(container(&definition, Some("x")), Err("there is no container x; there are app, side".to_owned()));
        let (new, from, to) = with_image(&definition, "app", ":2");
        assert_eq!((from.as_str(), to.as_str()), ("r/web:1", "r/web:2"));
        let mut expected = definition;
        expected["containerDefinitions"][0]["image"] = "r/web:2".into();
        assert_eq!(new, expected);
    }
}
