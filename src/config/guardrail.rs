//! The `[[guardrail]]` entries: what may not be done, or not so.

use toml::de::DeValue;

use super::diagnostic::{Reader, Value, in_order};
use super::kinds::Kind as _;
use super::notify::{Quiet, QuietHours};

/// What a guardrail does to what fits it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuardrailEffect {
    /// Forbids it.
    Deny,
    /// The name must be typed, and a reason given.
    Confirm,
    /// No more than so many at once.
    AtOnce(u16),
    /// Forbids it between these times of the day in this zone.
    Quiet(QuietHours, chrono_tz::Tz),
}

/// One entry. Patterns that are empty fit everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardrailSettings {
    /// What messages call it; its number in the file where it has no name.
    pub name: String,
    /// Clusters, by name.
    pub cluster: String,
    /// Namespaces.
    pub namespace: String,
    /// Kinds, by their short names.
    pub kind: String,
    /// Names of objects.
    pub object: String,
    /// Names of actions, each one of [`ACTIONS`]; empty: all.
    pub actions: Vec<String>,
    /// What it does.
    pub effect: GuardrailEffect,
    /// Why it is there, for the message; may be empty.
    pub why: String,
}

/// Every action that can be named, as `action::intent` has them (a test compares).
pub const ACTIONS: &[&str] = &[
    "cordon",
    "uncordon",
    "drain",
    "scale",
    "restart",
    "roll-back",
    "set-image",
    "delete",
    "trigger",
    "suspend-job",
    "resume-job",
    "silence",
    "unsilence",
    "exec",
    "attach",
    "port-forward",
    "run",
];
/// Every kind that something can be done to, by its short name (a test compares).
pub const ACTION_KINDS: &[&str] = &["node", "task", "deploy", "rs", "sts", "ds", "job", "cronjob", "service", "alarm"];

const PATTERN: &str = "a name; `*` stands for anything";
const KINDS: &str = "node, task, deploy, rs, sts, ds, job, cronjob, service or alarm; `*` stands for anything";
const VERBS: &str = "a list of cordon, uncordon, drain, scale, restart, roll-back, set-image, delete, trigger, suspend-job, resume-job, silence, unsilence, exec, attach, port-forward, run";
const EFFECT: &str = "\"deny\" or \"confirm\"";
const AT_ONCE: &str = "a whole number from 1 to 1000";
const ZONE: &str = "a time zone, such as \"Europe/Berlin\" or \"UTC\"";

/// A key of an entry: name, what may be written, doc, example.
pub static GUARDRAIL_KEYS: &[(&str, &str, &str, &str)] = &[
    ("name", "a name", "What messages call it. Default: its number in the file.", "\"payments\""),
    ("cluster", PATTERN, "Only in these clusters, by the names they are shown by.", "\"prod*\""),
    ("namespace", PATTERN, "Only in these namespaces. Nodes have none.", "\"payments\""),
    ("kind", KINDS, "Only for objects of this kind.", "\"deploy\""),
    ("object", PATTERN, "Only for objects of this name.", "\"ledger-*\""),
    ("actions", VERBS, "Only these actions. Default: all.", "[\"delete\", \"scale\"]"),
    (
        "effect",
        EFFECT,
        "`deny` forbids it; `confirm` wants the name typed and a reason given. One of `effect`, `at_once` and `quiet` is required.",
        "\"deny\"",
    ),
    (
        "at_once",
        AT_ONCE,
        "Instead of `effect`: no more targets than this of one action. What other actions or consoles do meanwhile is not counted. Of a drain, nodes that are drained at the same time.",
        "1",
    ),
    (
        "quiet",
        "two different times with a dash between them, such as \"22:00-06:00\"",
        "Instead of `effect`: forbids it between these times, the second not included; over midnight where it is the earlier one.",
        "\"22:00-06:00\"",
    ),
    ("zone", ZONE, "Where `quiet` is that time, daylight saving included. Required with `quiet`.", "\"Europe/Berlin\""),
    ("why", "a sentence", "Told to whoever meets it.", "\"ask in #payments\""),
];

/// Reads the entries, reporting what is wrong.
pub(super) fn read(reader: &Reader<'_>, value: &Value<'_>) -> Vec<GuardrailSettings> {
    let DeValue::Array(entries) = value.get_ref() else {
        reader.wrong_type(value, "guardrail", "`[[guardrail]]` on a line of its own, once for each");
        return Vec::new();
    };
    entries.iter().zip(1..).filter_map(|(entry, number)| one(reader, entry, number)).collect()
}

/// What an entry says, as far as it has been read.
#[derive(Default)]
struct Said {
    texts: std::collections::BTreeMap<&'static str, String>,
    actions: Vec<String>,
    confirm: Option<bool>,
    at_once: Option<u16>,
    quiet: Option<QuietHours>,
    zone: Option<chrono_tz::Tz>,
}

fn one(reader: &Reader<'_>, entry: &Value<'_>, number: usize) -> Option<GuardrailSettings> {
    let table = reader.table(entry, "guardrail")?;
    let known: Vec<&str> = GUARDRAIL_KEYS.iter().map(|(name, ..)| *name).collect();
    let mut said = Said::default();
    for (key, span, value) in in_order(table) {
        match GUARDRAIL_KEYS.iter().find(|(name, ..)| *name == key) {
            Some((name, allowed, ..)) => take(reader, &mut said, name, allowed, value),
            None => reader.unknown_key(&span, "key of [[guardrail]]", key, &known),
        }
    }
    let has = |key: &str| table.iter().any(|(k, _)| k.get_ref() == key);
    let whole = |message: &str, hint: &str| reader.report(reader.source().at(&entry.span(), message).hint(hint));
    match [has("effect"), has("at_once"), has("quiet")].iter().filter(|has| **has).count() {
        0 => whole(
            "this guardrail has no `effect`, no `at_once` and no `quiet`",
            "add what it is to do, such as `effect = \"deny\"`",
        ),
        1 => {}
        _ => whole(
            "this guardrail has more than one of `effect`, `at_once` and `quiet`",
            "make an entry of each: all that fit count",
        ),
    }
    match (has("quiet"), has("zone")) {
        (true, false) => whole("this guardrail has `quiet` and no `zone`", "add `zone = \"UTC\"`, or where you live"),
        (false, true) => whole("this guardrail has a `zone` and no `quiet`", "take it away, or add `quiet`"),
        _ => {}
    }
    let effect = match (said.confirm, said.at_once, said.quiet, said.zone) {
        (Some(true), ..) => GuardrailEffect::Confirm,
        (Some(false), ..) => GuardrailEffect::Deny,
        (None, Some(n), ..) => GuardrailEffect::AtOnce(n),
        (None, None, Some(hours), Some(zone)) => GuardrailEffect::Quiet(hours, zone),
        _ => return None,
    };
    let mut text = |key: &str| said.texts.remove(key);
    Some(GuardrailSettings {
        name: text("name").unwrap_or_else(|| format!("number {number}")),
        cluster: text("cluster").unwrap_or_default(),
        namespace: text("namespace").unwrap_or_default(),
        kind: text("kind").unwrap_or_default(),
        object: text("object").unwrap_or_default(),
        actions: said.actions,
        effect,
        why: text("why").unwrap_or_default(),
    })
}

/// Takes the value of one key.
fn take(reader: &Reader<'_>, said: &mut Said, key: &'static str, allowed: &str, value: &Value<'_>) {
    match key {
        "at_once" => {
            let number = value.get_ref().as_integer();
            said.at_once =
                number.and_then(|n| u16::from_str_radix(n.as_str(), n.radix()).ok()).filter(|n| (1..=1000).contains(n));
            if said.at_once.is_none() {
                reader.wrong_type(value, key, allowed);
            }
            return;
        }
        "actions" => {
            said.actions = actions(reader, value);
            return;
        }
        _ => {}
    }
    let Some(text) = reader.string(value, key, allowed) else { return };
    let known: &[&str] = match key {
        "kind" => ACTION_KINDS,
        "effect" => &["deny", "confirm"],
        _ => &[],
    };
    let plain = !text.trim().is_empty() && !text.chars().any(char::is_control);
    let fits = match key {
        "kind" => text.contains('*') || known.contains(&text),
        "effect" => {
            said.confirm = known.contains(&text).then_some(text == "confirm");
            said.confirm.is_some()
        }
        "quiet" => {
            said.quiet = Quiet::from_text(text).flatten();
            said.quiet.is_some()
        }
        "zone" => {
            said.zone = text.parse().ok();
            said.zone.is_some()
        }
        _ => plain,
    };
    if fits {
        said.texts.insert(key, text.to_owned());
    } else {
        let d = reader.source().at(&value.span(), format!("`{key}` cannot be \"{}\"", text.escape_debug()));
        reader.report(d.value(text).allowed(allowed).did_you_mean(text, known.iter().copied()));
    }
}

fn actions(reader: &Reader<'_>, value: &Value<'_>) -> Vec<String> {
    let DeValue::Array(items) = value.get_ref() else {
        reader.wrong_type(value, "actions", VERBS);
        return Vec::new();
    };
    if items.is_empty() {
        let d = reader.source().at(&value.span(), "`actions` is empty: this guardrail would fit nothing");
        reader.report(d.allowed(VERBS).hint("leave it out where all are meant"));
    }
    let one = |item: &Value<'_>| {
        let text = reader.string(item, "actions", VERBS)?;
        let known = ACTIONS.contains(&text);
        if !known {
            let d = reader.source().at(&item.span(), format!("there is no action \"{}\"", text.escape_debug()));
            reader.report(d.value(text).allowed(ACTIONS.join(", ")).did_you_mean(text, ACTIONS.iter().copied()));
        }
        known.then(|| text.to_owned())
    };
    items.iter().filter_map(one).collect()
}
