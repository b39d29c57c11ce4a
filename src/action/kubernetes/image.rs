//! Another image in one container.

use serde_json::{Value, json};

use super::super::image::{is_image, loose, meant};
use super::super::intent::Options;
use super::change::{Edit, diff};
use super::object::{items, text};
use crate::domain::{Kind, ObjectId};
use crate::source::kubernetes::Patch;

/// Where a kind keeps the template of its tasks.
pub(super) fn template(kind: Kind) -> &'static str {
    if kind == Kind::CronJob { "/spec/jobTemplate/spec/template" } else { "/spec/template" }
}

/// The container's new image, or why not.
pub(super) fn edit(id: &ObjectId, object: &Value, options: &Options) -> Edit {
    let template = template(id.kind);
    let plain = items(object, &format!("{template}/spec/containers"));
    let init = items(object, &format!("{template}/spec/initContainers"));
    let names: Vec<&str> = plain.iter().chain(init).map(|c| text(c, "/name")).collect();
    let refuse = |why: String| {
        let mut edit = Edit::new(id, "image", "", "");
        edit.refused.push(why);
        edit
    };
    let chosen = match &options.container {
        Some(name) => plain.iter().chain(init).find(|c| text(c, "/name") == name),
        None if plain.len() == 1 => plain.first(),
        None => return refuse(format!("which container? there are {}", names.join(", "))),
    };
    let Some(container) = chosen else {
        let name = options.container.as_deref().unwrap_or_default();
        return refuse(format!("there is no container {name}; there are {}", names.join(", ")));
    };
    let (name, from) = (text(container, "/name"), text(container, "/image"));
    let Some(to) = options.image.as_deref().filter(|i| is_image(i)).map(|i| meant(from, i)) else {
        return refuse("which image? give its name, or :TAG for another tag of the same".to_owned());
    };
    let list = if plain.iter().any(|c| text(c, "/name") == name) { "containers" } else { "initContainers" };
    let spec = json!({"template": {"spec": {list: [{"name": name, "image": to}]}}});
    let body = if id.kind == Kind::CronJob { json!({"jobTemplate": {"spec": spec}}) } else { spec };
    let mut edit =
        Edit::new(id, &format!("image of {name}"), from, &to).sends(Patch::Strategic, json!({ "spec": body }));
    let (old, new) = (json!({list: [{"name": name, "image": from}]}), json!({list: [{"name": name, "image": to}]}));
    edit.diff = diff(&old, &new);
    let (container, image) = (Some(name.to_owned()), Some(from.to_owned()));
    edit.undo = Some(Options { container, image, ..options.clone() });
    edit.warnings.extend(loose(&to));
    edit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ClusterId, Text};

    #[test]
    fn the_container_is_chosen() {
        let id = ObjectId {
            cluster: ClusterId::new("c"),
            kind: Kind::Deployment,
            namespace: Text::new("shop"),
            name: Text::new("web"),
        };
        let object = json!({"spec": {"template": {"spec": {
            "containers": [{"name": "app", "image": "web:1"}, {"name": "proxy", "image": "p:1"}],
            "initContainers": [{"name": "wait", "image": "w:1"}]}}}});
        let with = |container: Option<&str>, image: &str| Options {
            container: container.map(str::to_owned),
            image: Some(image.to_owned()),
            ..Options::default()
        };
        assert_eq!(edit(&id, &object, &with(None, ":2")).refused, ["which container? there are app, proxy, wait"]);
        assert!(edit(&id, &object, &with(Some("x"), ":2")).refused[0].contains("no container x"));
        assert!(!edit(&id, &object, &with(Some("app"), ":")).refused.is_empty());
        let init = edit(&id, &object, &with(Some("wait"), ":2"));
        assert_eq!(init.body.pointer("/spec/template/spec/initContainers/0/image"), Some(&json!("w:2")));
        assert_eq!(init.undo.unwrap().image.as_deref(), Some("w:1"));
        let same = edit(&id, &object, &with(Some("app"), ":1"));
        assert!(!same.acts && same.diff.is_empty());
        assert_eq!(edit(&id, &object, &with(Some("app"), "web")).warnings.len(), 1);
    }
}
