//! Which object a target on the command line means.

use crate::action::Verb;
use crate::config::diagnostic::suggest;
use crate::domain::{Kind, ObjectId};
use crate::store::Store;

/// Everything that `verb` means something for.
fn candidates(store: &Store, verb: Verb) -> Vec<&ObjectId> {
    let kinds = verb.info().kinds;
    let mut out: Vec<&ObjectId> = Vec::new();
    if kinds.contains(&Kind::Node) {
        out.extend(store.nodes.rows().map(|n| &n.id));
    }
    if kinds.contains(&Kind::Task) {
        out.extend(store.tasks.rows().map(|t| &t.id));
    }
    if kinds.contains(&Kind::Alarm) {
        out.extend(store.alarms.rows().map(|a| &a.id));
    }
    out.extend(store.workloads.rows().map(|w| &w.id).filter(|id| kinds.contains(&id.kind)));
    out.sort();
    out
}

/// The target that a text can be given as everywhere: `CLUSTER:KIND/NAMESPACE/NAME`.
#[must_use]
pub fn full(id: &ObjectId) -> String {
    let ns = if id.namespace.is_empty() { String::new() } else { format!("{}/", id.namespace) };
    format!("{}:{}/{ns}{}", id.cluster, id.kind.short(), id.name)
}

/// True if `text` can mean this object: its name, with any of namespace, kind and cluster before it. Names of
/// clusters and of ECS tasks may have colons and slashes in them, so the text is held against what there is.
fn means(text: &str, id: &ObjectId, namespace: Option<&str>) -> bool {
    let cluster = id.cluster.as_str();
    let after_cluster = text.strip_prefix(cluster).and_then(|rest| rest.strip_prefix([':', '/']));
    [Some(text), after_cluster].into_iter().flatten().any(|rest| {
        let after_kind = rest.split_once('/').filter(|(kind, _)| Kind::named(kind) == Some(id.kind)).map(|(_, r)| r);
        [Some(rest), after_kind].into_iter().flatten().any(|rest| {
            let name = id.name.as_str();
            let last = name.rsplit_once('/').map(|(_, last)| last);
            let is_named = |text: &str| text == name || Some(text) == last;
            let here = id.namespace.is_empty() || namespace.is_none_or(|ns| ns == id.namespace.as_str());
            let long = rest.strip_prefix(id.namespace.as_str()).and_then(|rest| rest.strip_prefix('/'));
            (here && is_named(rest)) || (!id.namespace.is_empty() && long.is_some_and(is_named))
        })
    })
}

/// The objects that these texts mean, each once, in their order.
///
/// # Errors
/// In words, for the first that means nothing, or several.
pub fn resolve(store: &Store, verb: Verb, texts: &[String], namespace: Option<&str>) -> Result<Vec<ObjectId>, String> {
    let all = candidates(store, verb);
    let mut out: Vec<ObjectId> = Vec::new();
    for text in texts {
        let found: Vec<&ObjectId> = all.iter().filter(|id| means(text, id, namespace)).copied().collect();
        match found.as_slice() {
            [] => return Err(nothing(text, verb, &all)),
            [id] => {
                if !out.contains(id) {
                    out.push((*id).clone());
                }
            }
            several => {
                let names: Vec<String> = several.iter().take(5).map(|id| full(id)).collect();
                let more = if several.len() > 5 { ", ..." } else { "" };
                return Err(format!("`{text}` may be any of {}: {}{more}", several.len(), names.join(", ")));
            }
        }
    }
    Ok(out)
}

fn nothing(text: &str, verb: Verb, all: &[&ObjectId]) -> String {
    let kinds: Vec<&str> = verb.info().kinds.iter().map(|k| k.short()).collect();
    let last = text.rsplit(['/', ':']).next().unwrap_or(text);
    let near = suggest(last, all.iter().map(|id| id.name.as_str())).map(|n| format!("; did you mean `{n}`?"));
    format!("there is no {} called `{text}`{}", kinds.join(", "), near.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ClusterId, Text};

    fn id(cluster: &str, kind: Kind, namespace: &str, name: &str) -> ObjectId {
        let (namespace, name) = (Text::new(namespace), Text::new(name));
        ObjectId { cluster: ClusterId::new(cluster), kind, namespace, name }
    }

    #[test]
    fn an_object_is_meant_by_its_name_and_whatever_stands_before() {
        let web = id("prod", Kind::Deployment, "shop", "web");
        for text in [
            "web",
            "shop/web",
            "deploy/web",
            "Deployments/web",
            "deploy/shop/web",
            "prod/web",
            "prod:web",
            "prod/shop/web",
            "prod:shop/web",
            "prod:deploy/web",
            "prod:deployment/shop/web",
        ] {
            assert!(means(text, &web, None), "{text}");
        }
        for text in ["we", "web2", "sts/web", "staging/web", "staging:web", "pay/web", "prod", "", "/web", "shop/"] {
            assert!(!means(text, &web, None), "{text}");
        }
        assert!(means("web", &web, Some("shop")) && !means("web", &web, Some("pay")));
        assert!(means("shop/web", &web, Some("pay")), "what is said wins over the flag");
    }

    #[test]
    fn names_with_colons_and_slashes() {
        let arn = "arn:aws:eks:eu-west-1:123456789012:cluster/live";
        let node = id(arn, Kind::Node, "", "ip-10-0-1-7");
        for text in
            ["ip-10-0-1-7", "node/ip-10-0-1-7", &format!("{arn}:node/ip-10-0-1-7"), &format!("{arn}/ip-10-0-1-7")]
        {
            assert!(means(text, &node, Some("shop")), "{text}");
        }
        let task = id("live", Kind::Task, "", "web/0123456789abcdef");
        for text in
            ["web/0123456789abcdef", "0123456789abcdef", "live:task/web/0123456789abcdef", "task/0123456789abcdef"]
        {
            assert!(means(text, &task, None), "{text}");
        }
        assert_eq!(full(&node), format!("{arn}:node/ip-10-0-1-7"));
        assert!(means(&full(&task), &task, None) && means(&full(&node), &node, None));
    }
}
