//! The `[[notices]]` entries: where EventBridge's events are read.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::backend::Names;
use super::diagnostic::{Reader, Value, in_order};

/// Where events are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoticePlace {
    /// A `CloudWatch` Logs group by its name.
    LogGroup(String),
    /// An SQS queue by its name, URL or ARN.
    Queue(String),
}

/// One feed of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeSettings {
    /// What to call it on screen.
    pub name: String,
    /// The AWS profile; the usual environment if `None`.
    pub profile: Option<String>,
    /// The region; the profile's or the environment's if `None`.
    pub region: Option<String>,
    /// What is read.
    pub place: NoticePlace,
}

/// A key of an entry: name, what may be written, doc, example.
pub static NOTICE_KEYS: &[(&str, &str, &str, &str)] = &[
    ("name", "a name", "What to call it on screen. Required, and distinct from every cluster's.", "\"spot\""),
    ("profile", "the name of an AWS profile", "Whose credentials. Default: the usual environment's.", "\"prod\""),
    ("region", "a region, such as \"eu-west-1\"", "Default: the profile's, or the environment's.", "\"eu-west-1\""),
    (
        "log_group",
        "the name of a CloudWatch Logs group",
        "The group that EventBridge writes to; any number of consoles may read it. This or `queue` is required.",
        "\"/aws/events/quarterdeck\"",
    ),
    (
        "queue",
        "the name, URL or ARN of an SQS queue",
        "Instead: a queue that nobody but this console receives from. Never Karpenter's or the termination handler's.",
        "\"quarterdeck-events\"",
    ),
];

/// Reads the entries, reporting what is wrong.
pub(super) fn read(reader: &Reader<'_>, value: &Value<'_>, names: &mut Names) -> Vec<NoticeSettings> {
    let DeValue::Array(entries) = value.get_ref() else {
        reader.wrong_type(value, "notices", "`[[notices]]` on a line of its own, once for each");
        return Vec::new();
    };
    entries.iter().filter_map(|entry| one(reader, entry, names)).collect()
}

fn one(reader: &Reader<'_>, entry: &Value<'_>, names: &mut Names) -> Option<NoticeSettings> {
    let table = reader.table(entry, "notices")?;
    let known: Vec<&str> = NOTICE_KEYS.iter().map(|(name, ..)| *name).collect();
    let mut texts: BTreeMap<&str, String> = BTreeMap::new();
    for (key, span, value) in in_order(table) {
        let Some((name, allowed, ..)) = NOTICE_KEYS.iter().find(|(name, ..)| *name == key) else {
            reader.unknown_key(&span, "key of [[notices]]", key, &known);
            continue;
        };
        let Some(text) = reader.string(value, key, allowed) else { continue };
        let fits = match *name {
            "region" => !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'),
            // As CloudWatch and SQS have them, and their URLs and ARNs.
            "log_group" | "queue" => {
                !text.is_empty() && text.len() <= 600 && text.chars().all(|c| c.is_ascii_graphic() && c != '"')
            }
            _ => !text.trim().is_empty(),
        };
        if !fits {
            let d = reader.source().at(&value.span(), format!("`{key}` cannot be \"{}\"", text.escape_debug()));
            reader.report(d.value(text).allowed(*allowed));
            continue;
        }
        if *name == "name" {
            names.push(("notices", text.to_owned(), value.span()));
        }
        texts.insert(name, text.to_owned());
    }
    let said = |key: &str| table.iter().any(|(k, _)| k.get_ref() == key);
    let whole = |message: &str, hint: &str| reader.report(reader.source().at(&entry.span(), message).hint(hint));
    if !said("name") {
        whole("this [[notices]] has no `name`", "add `name = \"spot\"`");
    }
    match (said("log_group"), said("queue")) {
        (true, true) => whole(
            "this [[notices]] has both `log_group` and `queue`",
            "make two entries of it: `[[notices]]` once for each",
        ),
        (false, false) => whole(
            "this [[notices]] has no `log_group` and no `queue`",
            "add `log_group = \"/aws/events/quarterdeck\"`; docs/spot-feeds.md says how to make one",
        ),
        _ => {}
    }
    let mut take = |key: &str| texts.remove(key);
    let group = take("log_group").map(NoticePlace::LogGroup);
    let place = group.or(take("queue").map(NoticePlace::Queue))?;
    Some(NoticeSettings { name: take("name")?, profile: take("profile"), region: take("region"), place })
}
