//! The `[[runbook]]` entries: which alarms have which runbook.

use toml::de::DeValue;

use super::diagnostic::{Reader, Value, in_order};

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunbookRule {
    /// The alarms' names, with `*` for anything.
    pub alarm: String,
    /// Where the runbook is.
    pub url: String,
}

/// A key of an entry: name, what may be written, doc, example.
pub static RUNBOOK_KEYS: &[(&str, &str, &str, &str)] = &[
    (
        "alarm",
        "a name, `*` stands for anything",
        "The alarms, by their names or the names of their alerts.",
        "*-5xx-high",
    ),
    (
        "url",
        "a link that begins with https:// or http://",
        "Where their runbook is.",
        "https://runbooks.example.com/5xx",
    ),
];

/// Reads the entries, reporting what is wrong.
pub(super) fn read(reader: &Reader<'_>, value: &Value<'_>) -> Vec<RunbookRule> {
    let DeValue::Array(entries) = value.get_ref() else {
        reader.wrong_type(value, "runbook", "`[[runbook]]` on a line of its own, once for each runbook");
        return Vec::new();
    };
    entries.iter().filter_map(|entry| one(reader, entry)).collect()
}

fn one(reader: &Reader<'_>, entry: &Value<'_>) -> Option<RunbookRule> {
    let table = reader.table(entry, "runbook")?;
    let known: Vec<&str> = RUNBOOK_KEYS.iter().map(|(name, ..)| *name).collect();
    let (mut alarm, mut url) = (None, None);
    for (key, span, value) in in_order(table) {
        let Some((name, allowed, ..)) = RUNBOOK_KEYS.iter().find(|(name, ..)| *name == key) else {
            reader.unknown_key(&span, "key of a runbook", key, &known);
            continue;
        };
        let text = reader.string(value, key, allowed)?;
        let link =
            |text: &str| ["https://", "http://"].iter().any(|s| text.strip_prefix(s).is_some_and(|r| !r.is_empty()));
        let plain = !text.trim().is_empty() && !text.chars().any(char::is_control);
        if !plain || (*name == "url" && !link(text)) {
            let d = reader.source().at(&value.span(), format!("`{key}` cannot be this"));
            reader.report(d.value(text).allowed(*allowed));
            return None;
        }
        *(if *name == "url" { &mut url } else { &mut alarm }) = Some(text.to_owned());
    }
    let missing = if alarm.is_none() { "alarm" } else { "url" };
    let both = alarm.zip(url);
    if both.is_none() {
        reader.report(reader.source().at(&entry.span(), format!("this runbook has no `{missing}`")));
    }
    both.map(|(alarm, url)| RunbookRule { alarm, url })
}
