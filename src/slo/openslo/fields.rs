//! Reading a map key by key, and noting everything that is wrong with it.

use std::cell::RefCell;
use std::ops::Range;

use crate::config::diagnostic::{Diagnostic, Severity, Source};
use crate::domain::text;
use crate::slo::yaml::{Node, Value};

/// A file being read, and what is wrong with it so far.
pub struct Reading<'s> {
    /// The file.
    pub source: &'s Source,
    found: &'s RefCell<Vec<Diagnostic>>,
}

impl<'s> Reading<'s> {
    /// Reads `source`, noting into `found`.
    pub fn new(source: &'s Source, found: &'s RefCell<Vec<Diagnostic>>) -> Self {
        Self { source, found }
    }

    /// How many errors were noted so far, in all files.
    pub fn errors(&self) -> usize {
        self.found.borrow().iter().filter(|d| d.severity == Severity::Error).count()
    }

    /// Notes something.
    pub fn note(&self, d: Diagnostic) {
        self.found.borrow_mut().push(d);
    }

    /// An error at a place.
    pub fn at(&self, at: &Range<usize>, message: impl Into<String>) -> Diagnostic {
        self.source.at(at, message)
    }

    /// An error about a value, which it names.
    pub fn bad(&self, node: &Node, message: impl Into<String>) -> Diagnostic {
        let d = self.source.at(&node.at, message);
        match &node.value {
            Value::Scalar(text) => d.value(text.clone()),
            _ => d,
        }
    }
}

/// A map with its known keys.
pub struct Fields<'n> {
    /// What it is called in messages, such as `spec`.
    pub what: String,
    /// Its own place, for what is missing in it.
    pub at: Range<usize>,
    entries: &'n [(crate::slo::yaml::Key, Node)],
}

impl<'n> Fields<'n> {
    /// Opens a map that has no keys but `known`. `None`, with a note, when it is no map.
    pub fn open(r: &Reading<'_>, node: &'n Node, key_at: &Range<usize>, what: &str, known: &[&str]) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            let at = if node.value == Value::Null { key_at } else { &node.at };
            let message = format!("`{what}` is {} where a map belongs", node.value.described());
            r.note(r.at(at, message).allowed(known.join(", ")));
            return None;
        };
        for (key, _) in entries.iter().filter(|(k, _)| !known.contains(&k.text.as_str())) {
            let d =
                r.at(&key.at, format!("unknown key `{}` in `{what}`", text::clean(&key.text))).value(key.text.clone());
            r.note(d.allowed(known.join(", ")).did_you_mean(&key.text, known.iter().copied()));
        }
        Some(Self { what: what.to_owned(), at: key_at.clone(), entries })
    }

    /// The value of a key; one without a value counts as missing.
    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(k, n)| k.text == key && n.value != Value::Null).map(|(_, n)| n)
    }

    /// Where the key stands, or the map when it does not.
    pub fn key_at(&self, key: &str) -> Range<usize> {
        self.entries.iter().find(|(k, _)| k.text == key).map_or_else(|| self.at.clone(), |(k, _)| k.at.clone())
    }

    /// The map of a key, opened. `None` when it is missing, or is none.
    pub fn map(&self, r: &Reading<'_>, key: &str, known: &[&str]) -> Option<Self> {
        Self::open(r, self.get(key)?, &self.key_at(key), key, known)
    }

    /// Notes that a key is missing.
    pub fn missing(&self, r: &Reading<'_>, key: &str, allowed: &str, example: &str) {
        let d = r.at(&self.key_at(key), format!("`{}` has no `{key}`", self.what));
        r.note(d.allowed(allowed).hint(format!("add `{key}: {example}`")));
    }

    /// Notes that a key is known, and does nothing here.
    pub fn unread(&self, r: &Reading<'_>, key: &str, instead: &str) {
        let d = r.at(&self.key_at(key), format!("`{key}` is not read")).warning();
        r.note(d.hint(instead));
    }

    /// The single value of a key. `None` when it is missing; with a note, when it is a list or map.
    pub fn text(&self, r: &Reading<'_>, key: &str) -> Option<(&'n str, &'n Node)> {
        let node = self.get(key)?;
        if let Value::Scalar(text) = &node.value {
            return Some((text, node));
        }
        let d = r.at(&self.key_at(key), format!("`{key}` is {} where a single value belongs", node.value.described()));
        r.note(d.allowed("text"));
        None
    }

    /// Like `text`, and a note when it is missing.
    pub fn need(&self, r: &Reading<'_>, key: &str, allowed: &str, example: &str) -> Option<(&'n str, &'n Node)> {
        if self.get(key).is_none() {
            self.missing(r, key, allowed, example);
        }
        self.text(r, key)
    }

    /// The boolean of a key.
    pub fn boolean(&self, r: &Reading<'_>, key: &str) -> Option<bool> {
        match self.text(r, key)? {
            ("true", _) => Some(true),
            ("false", _) => Some(false),
            (text, node) => {
                r.note(r.bad(node, format!("`{key}` cannot be `{text}`")).allowed("true, false"));
                None
            }
        }
    }

    /// The list of a key; empty when it is missing or, with a note, none.
    pub fn list(&self, r: &Reading<'_>, key: &str) -> &'n [Node] {
        match self.get(key).map(|n| (&n.value, n)) {
            Some((Value::List(items), _)) => items,
            Some((value, node)) => {
                let message = format!("`{key}` is {} where a list belongs", value.described());
                let at = if matches!(value, Value::Scalar(_)) { node.at.clone() } else { self.key_at(key) };
                r.note(r.at(&at, message).hint("begin each item with `- `"));
                &[]
            }
            None => &[],
        }
    }
}
