//! Reading a parsed file key by key, collecting everything that is wrong.
//!
//! A file is turned straight into typed values from the parser's own tree, so
//! every message has the exact place, and one run shows all mistakes.

use std::cell::RefCell;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Diagnostic, Diagnostics, Source};

/// A value and where it stands.
pub type Value<'a> = Spanned<DeValue<'a>>;

/// Collects what is wrong with one [`Source`].
#[derive(Debug)]
pub struct Reader<'s> {
    source: &'s Source,
    found: RefCell<Vec<Diagnostic>>,
}

impl<'s> Reader<'s> {
    /// A reader of `source`.
    #[must_use]
    pub fn new(source: &'s Source) -> Self {
        Self { source, found: RefCell::new(Vec::new()) }
    }

    /// What is being read.
    #[must_use]
    pub fn source(&self) -> &'s Source {
        self.source
    }

    /// Notes something wrong.
    pub fn report(&self, d: Diagnostic) {
        self.found.borrow_mut().push(d);
    }

    /// Notes an unknown key, naming the known ones.
    pub fn unknown_key(&self, span: &Range<usize>, what: &str, key: &str, known: &[&str]) {
        let d = self.source.at(span, format!("unknown {what} `{key}`")).value(key);
        self.report(d.allowed(known.join(", ")).did_you_mean(key, known.iter().copied()));
    }

    /// Notes a value of the wrong type, and what was expected of `key`.
    pub fn wrong_type(&self, value: &Value<'_>, key: &str, allowed: &str) {
        let d = self.source.at(&value.span(), format!("`{key}` cannot be {}", described(value.get_ref())));
        self.report(d.value(raw(self.source, value)).allowed(allowed));
    }

    /// The string of `key`, or a note that it is none.
    pub fn string<'v>(&self, value: &'v Value<'_>, key: &str, allowed: &str) -> Option<&'v str> {
        let s = value.get_ref().as_str();
        if s.is_none() {
            self.wrong_type(value, key, allowed);
        }
        s
    }

    /// The boolean of `key`, or a note that it is none.
    pub fn boolean(&self, value: &Value<'_>, key: &str) -> Option<bool> {
        let b = value.get_ref().as_bool();
        if b.is_none() {
            self.wrong_type(value, key, "true or false");
        }
        b
    }

    /// The table of `key`, or a note that it is none.
    pub fn table<'v, 'a>(&self, value: &'v Value<'a>, key: &str) -> Option<&'v DeTable<'a>> {
        let t = value.get_ref().as_table();
        if t.is_none() {
            self.wrong_type(value, key, &format!("a table, such as `[{key}]` on a line of its own"));
        }
        t
    }

    /// `Ok` when nothing was wrong.
    ///
    /// # Errors
    /// Everything noted, in the order of the file.
    pub fn finish(self) -> Result<(), Diagnostics> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|d| (d.line, d.column));
        Diagnostics::check(found)
    }
}

/// The entries of a table in the order of the file.
pub fn in_order<'v, 'a>(table: &'v DeTable<'a>) -> Vec<(&'v str, Range<usize>, &'v Value<'a>)> {
    let mut entries: Vec<_> = table.iter().map(|(k, v)| (k.get_ref().as_ref(), k.span(), v)).collect();
    entries.sort_by_key(|(_, span, _)| span.start);
    entries
}

/// A value as it is written in the file.
fn raw(source: &Source, value: &Value<'_>) -> String {
    source.text.get(value.span()).unwrap_or_default().to_owned()
}

/// A value as a sentence calls it.
fn described(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(s) => format!("the text \"{}\"", s.escape_debug()),
        DeValue::Integer(i) => format!("the number {i}"),
        DeValue::Float(x) => format!("the number {x}"),
        DeValue::Boolean(b) => b.to_string(),
        DeValue::Datetime(d) => format!("the date {d}"),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
