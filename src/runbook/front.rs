//! Front matter: what a runbook is for.

use serde::Deserialize;

use super::Mistake;
use crate::domain::{Kind, Text};

/// What the front matter says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Front {
    /// Its title.
    pub title: Option<Text>,
    /// What it is for.
    pub fits: Fits,
    /// Keys after the leader, as written; the keymap's grammar decides.
    pub keys: Vec<String>,
    /// Words to find it by.
    pub tags: Vec<Text>,
}

/// What a runbook is for. It fits when one of `alarms`, `status` and `regex` does, or, where none of these is
/// given, all `labels`, or `kinds` alone; `labels` and `kinds` that are given must fit besides.
#[derive(Debug, Clone, Default)]
pub struct Fits {
    /// Names of alarms or of their alerts; `*` stands for anything.
    pub alarms: Vec<String>,
    /// Labels that must be there, `*` in values.
    pub labels: Vec<(String, String)>,
    /// What is selected, or what the alarm is about.
    pub kinds: Vec<Kind>,
    /// Status words, `*` stands for anything: `CrashLoopBackOff`.
    pub status: Vec<String>,
    /// Looked for in names, states and messages.
    pub regex: Vec<regex_lite::Regex>,
}

impl PartialEq for Fits {
    fn eq(&self, other: &Self) -> bool {
        let regexes = |f: &Self| f.regex.iter().map(|r| r.as_str().to_owned()).collect::<Vec<_>>();
        self.alarms == other.alarms
            && self.labels == other.labels
            && self.kinds == other.kinds
            && self.status == other.status
            && regexes(self) == regexes(other)
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Raw {
    title: Option<String>,
    #[serde(rename = "for")]
    fits: RawFits,
    keys: OneOrMany,
    tags: OneOrMany,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawFits {
    alarms: OneOrMany,
    labels: std::collections::BTreeMap<String, String>,
    kinds: OneOrMany,
    status: OneOrMany,
    regex: OneOrMany,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<String>),
    One(String),
}

impl Default for OneOrMany {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl OneOrMany {
    fn all(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

/// The front matter, and where the Markdown begins.
pub(super) fn front(text: &str, mistakes: &mut Vec<Mistake>) -> (Front, usize) {
    let mut lines = text.split_inclusive('\n');
    let Some(first) = lines.next().filter(|l| l.trim_end() == "---") else { return (Front::default(), 0) };
    let begin = first.len();
    let mut end = begin;
    let close = lines.find(|line| {
        let found = matches!(line.trim_end(), "---" | "...");
        if !found {
            end += line.len();
        }
        found
    });
    let Some(close) = close else {
        let hint = "end it with a line `---`";
        mistakes.push(Mistake::new(0..first.trim_end().len(), "the front matter has no end").hint(hint));
        return (Front::default(), begin);
    };
    let yaml = &text[begin..end];
    let body = end + close.len();
    if yaml.trim().is_empty() {
        return (Front::default(), body);
    }
    // Else the key `n` would be the word no.
    let options = serde_saphyr::options! { strict_booleans: true };
    match serde_saphyr::from_str_with_options::<Raw>(yaml, options) {
        Ok(raw) => (checked(raw, text, begin, mistakes), body),
        Err(error) => {
            let at = error.location().map_or(begin..begin, |l| place(&l, yaml, begin));
            // It counts lines from where the YAML begins; ours are of the file.
            let words = serde_saphyr::Error::without_snippet(&error).to_string();
            let words = words.split(" at line ").next().unwrap_or_default();
            let what = format!("the front matter cannot be read: {}", Text::new(words));
            let hint = "it has `title`, `for` (with `alarms`, `labels`, `kinds`, `status`, `regex`), `keys` and `tags`";
            mistakes.push(Mistake::new(at, what).hint(hint));
            (Front::default(), body)
        }
    }
}

/// A place of the YAML as bytes of the file.
fn place(at: &serde_saphyr::Location, yaml: &str, begin: usize) -> std::ops::Range<usize> {
    let number = |n: u64| usize::try_from(n).unwrap_or(1).max(1);
    let (line, column) = (number(at.line()), number(at.column()));
    let start: usize = yaml.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let rest = yaml.get(start..).unwrap_or_default();
    let within = rest.char_indices().nth(column - 1).map_or(rest.trim_end().len(), |(i, _)| i);
    let from = begin + start + within;
    from..from
}

fn checked(raw: Raw, text: &str, begin: usize, mistakes: &mut Vec<Mistake>) -> Front {
    // Where a word stands in the front matter: good enough to point at.
    let find = |word: &str| {
        let at = text.get(begin..).and_then(|rest| rest.find(word)).map_or(begin, |i| begin + i);
        at..at + word.len()
    };
    let mut kinds = Vec::new();
    for name in raw.fits.kinds.all() {
        if name == "workload" {
            kinds.extend(Kind::ALL.into_iter().filter(|k| k.is_workload()));
            continue;
        }
        if let Some(kind) = kind(&name) {
            kinds.push(kind);
        } else {
            let known: Vec<&str> = Kind::ALL.iter().map(|k| k.short()).chain(["workload"]).collect();
            let what = format!("`{}` is no kind", Text::new(&name));
            mistakes.push(Mistake::new(find(&name), what).hint(format!("there are {}", known.join(", "))));
        }
    }
    let mut regex = Vec::new();
    for pattern in raw.fits.regex.all() {
        match regex_lite::Regex::new(&pattern) {
            Ok(made) => regex.push(made),
            Err(e) => {
                let what = format!("this is no regular expression: {}", Text::new(&e.to_string()));
                mistakes.push(Mistake::new(find(&pattern), what));
            }
        }
    }
    Front {
        title: raw.title.map(|t| Text::new(&t)),
        fits: Fits {
            alarms: raw.fits.alarms.all(),
            labels: raw.fits.labels.into_iter().collect(),
            kinds,
            status: raw.fits.status.all(),
            regex,
        },
        keys: raw.keys.all(),
        tags: raw.tags.all().iter().map(|t| Text::new(t)).collect(),
    }
}

/// The kind that people call so.
pub(super) fn kind(name: &str) -> Option<Kind> {
    Kind::named(name).or(match name {
        "budget" => Some(Kind::Budget),
        "ecs-service" => Some(Kind::EcsService),
        _ => None,
    })
}
