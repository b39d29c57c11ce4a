//! A file's text, and how places in it become line and column.

use std::io;
use std::ops::Range;
use std::path::Path;

use toml::de::DeTable;

use super::{Diagnostic, Diagnostics};

/// Settings files are small; something larger was named by mistake.
const LARGEST: usize = 4 << 20;

/// The text of a file and the name the user knows it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its path as given, or what stands for one.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl Source {
    /// Text that is already at hand.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it is missing, a directory, not readable, larger than 4 MiB, or not
    /// UTF-8; the last with the place of the first bad byte.
    pub fn read(path: &Path) -> Result<Self, Diagnostics> {
        let name = path.display().to_string();
        let fail = |message: String, hint: &str| Diagnostics::from(Diagnostic::new(name.clone(), message).hint(hint));
        if path.is_dir() {
            return Err(fail("this is a directory, not a file".to_owned(), "name the TOML file in it"));
        }
        let bytes = std::fs::read(path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => fail("no such file".to_owned(), "check the path for a typing mistake"),
            io::ErrorKind::PermissionDenied => {
                fail("this file may not be read".to_owned(), "make it readable for your user, such as with `chmod u+r`")
            }
            _ => fail(format!("this file cannot be read: {e}"), "check that it is an ordinary file"),
        })?;
        if bytes.len() > LARGEST {
            return Err(fail(
                format!("this file is too large: {} bytes", bytes.len()),
                "a settings file has 4 MiB at most",
            ));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self { name, text }),
            Err(e) => {
                let at = e.utf8_error().valid_up_to();
                let bad = e.as_bytes().get(at).copied().unwrap_or_default();
                let text = String::from_utf8_lossy(e.as_bytes()).into_owned();
                // The text up to there is valid, so the offset is the same in the repaired copy.
                let source = Self { name, text };
                let d = source.at(&(at..at + 1), format!("this is not UTF-8: byte 0x{bad:02x}"));
                Err(d.hint("save the file as UTF-8").into())
            }
        }
    }

    /// An error about the bytes `span` of this text.
    pub fn at(&self, span: &Range<usize>, message: impl Into<String>) -> Diagnostic {
        let start = self.floor(span.start);
        let end = self.floor(span.end).max(start);
        let line_start = self.text[..start].rfind('\n').map_or(0, |i| i + 1);
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |i| start + i);
        let source_line = self.text[line_start..line_end].trim_end_matches('\r');
        Diagnostic {
            line: self.text[..start].matches('\n').count() + 1,
            column: self.text[line_start..start].chars().count() + 1,
            width: self.text[start..end.min(line_end)].chars().count().max(1),
            source_line: source_line.chars().map(printable).collect(),
            ..Diagnostic::new(self.name.clone(), message)
        }
    }

    /// The text as a TOML tree in which every key and value knows its place.
    ///
    /// # Errors
    /// When it is not TOML: every mistake found, with its place.
    pub fn parse(&self) -> Result<DeTable<'_>, Diagnostics> {
        let (table, errors) = DeTable::parse_recoverable(&self.text);
        let mut found: Vec<Diagnostic> = Vec::new();
        for error in &errors {
            let span = error.span().unwrap_or(0..0);
            let d = self.at(&span, format!("this is not TOML: {}", error.message()));
            // One slip often upsets several rules; the first says it best.
            if found.iter().all(|before| before.line != d.line) {
                found.push(d);
            }
        }
        Diagnostics::check(found)?;
        Ok(table.into_inner())
    }

    /// `index` moved back to the start of its character.
    fn floor(&self, index: usize) -> usize {
        let mut index = index.min(self.text.len());
        while !self.text.is_char_boundary(index) {
            index -= 1;
        }
        index
    }
}

/// The character, unless it could do something to the terminal.
fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
        {
            char::REPLACEMENT_CHARACTER
        }
        c => c,
    }
}
