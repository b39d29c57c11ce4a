//! The `[[cluster]]` entries.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::diagnostic::{Reader, Value, in_order};
use super::ecs::{self, EcsName};

/// What the user says of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterSettings {
    /// The kubeconfig context, empty for an ECS cluster.
    pub context: String,
    /// The ECS cluster, for one.
    pub ecs: Option<EcsName>,
    /// What to call it on screen; the context's or the ECS cluster's name when nothing else is said.
    pub name: String,
    /// Only this namespace, for users who may not read the others.
    pub namespace: Option<String>,
    /// Marked as production: shown as such, and changes want the target's name typed.
    pub production: bool,
    /// Never change anything there.
    pub read_only: bool,
    /// The colour of its name on screen, one of [`ACCENTS`].
    pub accent: Option<&'static str>,
}

/// What is said of an ECS cluster, by whichever entries may mean it.
///
/// One cluster can be spelled in several ways: with a profile or without, with its region or by the environment's.
/// What protects it holds for each of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EcsSaid<'a> {
    /// The entry that it is: the one that is spelled alike, else the only one that nothing speaks against.
    pub entry: Option<&'a ClusterSettings>,
    /// Marked as production by any that may mean it.
    pub production: bool,
    /// Never to be changed, by any that may mean it.
    pub read_only: bool,
    /// The entries that are spelled otherwise, and say one of the two.
    pub stricter: Vec<&'a ClusterSettings>,
}

impl EcsSaid<'_> {
    /// Why a cluster that was called `shown` is kept stricter than its own spelling says; `None` where it is not.
    #[must_use]
    pub fn remark(&self, shown: &str) -> Option<String> {
        let what = match (self.production, self.read_only) {
            (true, true) => "production and read-only",
            (true, false) => "production",
            (false, _) => "read-only",
        };
        let spelled = |c: &&ClusterSettings| c.ecs.as_ref().map(|n| format!("`{}`", n.full()));
        let entries: Vec<String> = self.stricter.iter().filter_map(spelled).collect();
        (!entries.is_empty()).then(|| {
            format!(
                "{shown} is {what}, as the settings say of {}, which may be the same cluster; where it is not, give \
                 it a [[cluster]] of its own",
                entries.join(" and ")
            )
        })
    }
}

/// What these entries say of an ECS cluster, however it is spelled. One that is spelled alike is believed alone;
/// else every entry that may mean it protects it, whatever profile it names.
pub(super) fn of_ecs<'a>(clusters: &'a [ClusterSettings], name: &EcsName) -> EcsSaid<'a> {
    if let Some(entry) = clusters.iter().find(|c| c.ecs.as_ref() == Some(name)) {
        let ClusterSettings { production, read_only, .. } = *entry;
        return EcsSaid { entry: Some(entry), production, read_only, stricter: Vec::new() };
    }
    let all = |fits: fn(&EcsName, &EcsName) -> bool| {
        clusters.iter().filter(move |c| c.ecs.as_ref().is_some_and(|other| fits(name, other)))
    };
    let mut alike = all(EcsName::is_like);
    EcsSaid {
        entry: alike.next().filter(|_| alike.next().is_none()),
        production: all(EcsName::may_be).any(|c| c.production),
        read_only: all(EcsName::may_be).any(|c| c.read_only),
        stricter: all(EcsName::may_be).filter(|c| c.production || c.read_only).collect(),
    }
}

/// The colours that a cluster's name can have.
pub static ACCENTS: [&str; 6] = ["red", "orange", "yellow", "green", "blue", "violet"];

/// A key of an entry: name, what may be written, doc.
pub static CLUSTER_KEYS: &[(&str, &str, &str)] = &[
    ("context", "the name of a kubeconfig context", "The kubeconfig context. This or `ecs` is required."),
    ("ecs", ecs::ALLOWED, "The ECS cluster, with the AWS profile and region to read it with."),
    ("name", "a name, not empty", "What to call it on screen. Default: the context's or the ECS cluster's name."),
    ("namespace", "the name of a namespace", "Read only this namespace, when you may not read the others."),
    ("production", "true or false", "Mark it as production: its name is shown so, and changes want it typed."),
    ("read_only", "true or false", "Never change anything there."),
    (
        "accent",
        "red, orange, yellow, green, blue or violet",
        "The colour of its name in the header, in lists and in plans. Default: the theme's, and its own for production.",
    ),
];

/// Reads the entries, reporting what is wrong.
pub(super) fn read(reader: &Reader<'_>, value: &Value<'_>) -> Vec<ClusterSettings> {
    let DeValue::Array(entries) = value.get_ref() else {
        reader.wrong_type(value, "cluster", "`[[cluster]]` on a line of its own, once for each cluster");
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut lines: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for entry in entries {
        let Some((cluster, places)) = one(reader, entry) else { continue };
        for (key, text) in [("context", &cluster.context), ("name", &cluster.name)] {
            // ECS clusters of several accounts may have one name; only what is shown must differ.
            if text.is_empty() {
                continue;
            }
            let span = places
                .get(key)
                .or(places.get("context"))
                .or(places.get("ecs"))
                .cloned()
                .unwrap_or_else(|| entry.span());
            let d = reader.source().at(&span, format!("two clusters have the {key} `{text}`")).value(text);
            match lines.get(&(key, text.clone())) {
                // A shared context is said once, not again for the name that follows from it.
                Some(_) if key == "name" && !places.contains_key("name") => {}
                Some(line) => {
                    reader.report(d.hint(format!("the other one is in line {line}; give this one another {key}")));
                }
                None => {
                    lines.insert((key, text.clone()), d.line);
                }
            }
        }
        found.push(cluster);
    }
    found
}

type Places = BTreeMap<&'static str, std::ops::Range<usize>>;

fn one(reader: &Reader<'_>, entry: &Value<'_>) -> Option<(ClusterSettings, Places)> {
    let table = reader.table(entry, "cluster")?;
    let known: Vec<&str> = CLUSTER_KEYS.iter().map(|(name, ..)| *name).collect();
    let mut texts: BTreeMap<&str, String> = BTreeMap::new();
    let mut flags: BTreeMap<&str, bool> = BTreeMap::new();
    let mut places = Places::new();
    for (key, span, value) in in_order(table) {
        let Some((name, allowed, _)) = CLUSTER_KEYS.iter().find(|(name, ..)| *name == key) else {
            reader.unknown_key(&span, "key of a cluster", key, &known);
            continue;
        };
        places.insert(name, value.span());
        if matches!(*name, "production" | "read_only") {
            flags.insert(name, reader.boolean(value, key).unwrap_or_default());
            continue;
        }
        let Some(text) = reader.string(value, key, allowed) else { continue };
        if text.trim().is_empty() {
            reader.report(reader.source().at(&value.span(), format!("`{key}` is empty")).value(text).allowed(*allowed));
            continue;
        }
        texts.insert(name, text.to_owned());
    }
    let named = (places.contains_key("context"), places.contains_key("ecs"));
    if named == (false, false) {
        let d = reader.source().at(&entry.span(), "this cluster has no `context` and no `ecs`");
        reader.report(d.hint(
            "add `context = \"NAME\"`, one of `kubectl config get-contexts -o name`, or `ecs = \"PROFILE@REGION/NAME\"`",
        ));
    }
    if named == (true, true) {
        let place = places.get("ecs").cloned().unwrap_or_else(|| entry.span());
        let d = reader.source().at(&place, "this cluster has both `context` and `ecs`");
        reader.report(d.hint("a cluster is one or the other: give each an entry of its own"));
        return None;
    }
    let ecs = texts.remove("ecs").and_then(|text| {
        let found = ecs::parse(&text);
        if found.is_none() {
            let place = places.get("ecs").cloned().unwrap_or_else(|| entry.span());
            reader.report(reader.source().at(&place, "`ecs` names no ECS cluster").value(&text).allowed(ecs::ALLOWED));
        }
        found
    });
    let context = texts.remove("context").unwrap_or_default();
    let own = ecs.as_ref().map_or_else(|| context.clone(), |e| e.name.clone());
    if own.is_empty() {
        return None;
    }
    let accent = texts.remove("accent").and_then(|text| {
        let found = ACCENTS.into_iter().find(|a| *a == text);
        if found.is_none() {
            let place = places.get("accent").cloned().unwrap_or_else(|| entry.span());
            let d = reader.source().at(&place, "`accent` is no colour that a cluster can have").value(&text);
            reader.report(d.allowed("red, orange, yellow, green, blue or violet"));
        }
        found
    });
    let cluster = ClusterSettings {
        accent,
        name: texts.remove("name").unwrap_or(own),
        context,
        ecs,
        namespace: texts.remove("namespace"),
        production: flags.remove("production").unwrap_or_default(),
        read_only: flags.remove("read_only").unwrap_or_default(),
    };
    Some((cluster, places))
}
