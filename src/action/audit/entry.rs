//! One line of the audit, and how lines are chained.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::who::{Process, Who};
use crate::action::guard::Assent;
use crate::action::intent::Verb;
use crate::action::plan::{Change, End, Fate, Plan, Precondition};
use crate::domain::{Text, Timestamp};

/// The version of the format.
pub const VERSION: u32 = 1;
/// What stands before the first line.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// So many changes of a plan are written down; how many more there were is said.
const CHANGES: usize = 500;
/// A field of a change is not longer, in characters.
const FIELD: usize = 300;
/// Between what is hashed of a line, and its hash.
const BEFORE_HASH: &str = ",\"hash\":\"";

/// What a line tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// Something is about to be done.
    Intent,
    /// How it ended.
    Outcome,
    /// What was found when the audit was opened: an intent whose program has gone, a line that was cut off.
    Recovered,
}

impl EntryKind {
    /// As a line has it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Outcome => "outcome",
            Self::Recovered => "recovered",
        }
    }
}

/// A change of the plan, without what may be secret: no diff, no precondition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// What: `deploy shop/web`.
    pub target: Text,
    /// Which part of it.
    pub field: Text,
    /// As it was.
    pub from: Text,
    /// As it was to be.
    pub to: Text,
    /// `acts`, `waits` or `stays`.
    pub fate: Text,
    /// Identities of what else is changed for it: the silences that end, the service deployment that stops.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub through: Vec<Text>,
}

/// What was to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct What {
    /// The verb's name.
    pub verb: Text,
    /// Where.
    pub cluster: Text,
    /// To what: `deploy shop/web`.
    pub targets: Vec<Text>,
    /// The verb's options; arguments that are secrets by their names are hidden.
    pub options: serde_json::Value,
    /// What the plan said.
    pub changes: Vec<Noted>,
    /// How many changes more it had.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub changes_left_out: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// How the user said yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// `chosen`, `typed`, or `flag` for `--yes` and `--confirm`.
    pub how: Text,
    /// What was typed, empty where nothing had to be.
    #[serde(default, skip_serializing_if = "text_is_empty")]
    pub typed: Text,
}

fn text_is_empty(text: &Text) -> bool {
    text.is_empty()
}

/// One line, without its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// `VERSION`.
    pub v: u32,
    /// Its number: one more than that of the line before.
    pub n: u64,
    /// When.
    #[serde(with = "millis")]
    pub at: Timestamp,
    /// What it tells.
    pub kind: EntryKind,
    /// The number of the intent that it is about; of an intent, none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u64>,
    /// Who.
    pub who: Who,
    /// By which program.
    pub process: Process,
    /// Of an intent: what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<What>,
    /// Of an intent: why, if somebody said.
    #[serde(default, skip_serializing_if = "text_is_empty")]
    pub why: Text,
    /// Of an intent: how yes was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Said>,
    /// Of an outcome, and of one that was recovered: `done`, `failed`, `cancelled`, `unknown`.
    #[serde(default, skip_serializing_if = "text_is_empty")]
    pub outcome: Text,
    /// In a sentence, how it ended, or what was found.
    #[serde(default, skip_serializing_if = "text_is_empty")]
    pub text: Text,
    /// The hash of the line before.
    pub prev: Text,
}

/// Times with three places, as people compare them.
mod millis {
    use chrono::SecondsFormat;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::domain::Timestamp;

    pub fn serialize<S: Serializer>(at: &Timestamp, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&at.to_rfc3339_opts(SecondsFormat::Millis, true))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Timestamp, D::Error> {
        Timestamp::deserialize(d)
    }
}

/// SHA-256 of the hash before, a line break, and the line's body, in hexadecimal.
#[must_use]
pub fn hash(prev: &str, body: &str) -> String {
    let mut sha = Sha256::new();
    sha.update(prev.as_bytes());
    sha.update(b"\n");
    sha.update(body.as_bytes());
    sha.finalize().iter().fold(String::with_capacity(64), |mut hex, byte| {
        hex.push_str(&format!("{byte:02x}"));
        hex
    })
}

impl Entry {
    /// The line of this entry, with its line break, and its hash.
    ///
    /// # Errors
    /// When it cannot be put as JSON.
    pub fn line(&self) -> serde_json::Result<(String, String)> {
        let body = serde_json::to_string(self)?;
        let hash = hash(&self.prev, &body);
        let open = body.strip_suffix('}').unwrap_or(&body);
        Ok((format!("{open}{BEFORE_HASH}{hash}\"}}\n"), hash))
    }

    /// What is about to be done.
    pub(super) fn what_of(plan: &Plan) -> What {
        let intent = &plan.intent;
        let mut options = serde_json::to_value(&intent.options).unwrap_or_default();
        if let Some(command) = options.get_mut("command").and_then(serde_json::Value::as_array_mut) {
            crate::source::redact::arguments(command);
        }
        What {
            verb: Text::new(intent.verb.name()),
            cluster: intent.targets.first().map_or_else(Text::empty, |t| t.cluster.0.clone()),
            targets: intent.targets.iter().map(name).collect(),
            options,
            changes: plan.changes.iter().take(CHANGES).map(|c| noted(c, intent.verb)).collect(),
            changes_left_out: plan.changes.len().saturating_sub(CHANGES),
        }
    }

    /// How yes was said.
    pub(super) fn said(assent: &Assent) -> Said {
        let how = match (assent.by_flag, assent.typed.is_empty()) {
            (true, _) => "flag",
            (false, true) => "chosen",
            (false, false) => "typed",
        };
        Said { how: Text::new(how), typed: Text::new(&assent.typed) }
    }
}

/// The word of an outcome.
pub(super) fn outcome(end: &End) -> Text {
    let word = serde_json::to_value(end.outcome).unwrap_or_default();
    Text::new(word.as_str().unwrap_or_default())
}

/// `deploy shop/web`.
fn name(id: &crate::domain::ObjectId) -> Text {
    let ns = if id.namespace.is_empty() { String::new() } else { format!("{}/", id.namespace) };
    Text::new(&format!("{} {ns}{}", id.kind.short(), id.name))
}

fn noted(change: &Change, verb: Verb) -> Noted {
    let fate = match change.fate {
        Fate::Acts => "acts",
        Fate::Waits => "waits",
        Fate::Stays => "stays",
    };
    Noted {
        target: name(&change.target),
        field: short(&change.field),
        from: short(&change.from),
        to: short(&change.to),
        fate: Text::new(fate),
        through: match &change.precondition {
            Precondition::Alert { silences, .. } if verb == Verb::Unsilence => silences.clone(),
            Precondition::Deployment(arn) => vec![arn.clone()],
            _ => Vec::new(),
        },
    }
}

fn short(text: &Text) -> Text {
    match text.char_indices().nth(FIELD) {
        Some((end, _)) => Text::new(&format!("{}...", text.get(..end).unwrap_or_default())),
        None => text.clone(),
    }
}

/// A line that was read: what it says, and whether its hash fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it says.
    pub entry: Entry,
    /// The hash that it bears.
    pub hash: String,
    /// Its hash fits what it says, and what it says stood before.
    pub fits: bool,
}

impl Line {
    /// Reads a line without its line break; `None` for what is none.
    #[must_use]
    pub fn read(raw: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(raw).ok()?;
        let at = text.rfind(BEFORE_HASH)?;
        let (open, rest) = text.split_at(at);
        let stated = rest.strip_prefix(BEFORE_HASH)?.strip_suffix("\"}")?;
        let body = format!("{open}}}");
        let entry: Entry = serde_json::from_str(&body).ok()?;
        let fits = hash(&entry.prev, &body) == stated;
        Some(Self { entry, hash: stated.to_owned(), fits })
    }
}
