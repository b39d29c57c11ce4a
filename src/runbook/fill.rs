//! Filling a step from what is selected, without giving what is selected any say.
//!
//! Names and labels come from machines that may be hostile. So: what is filled in is one argument, or part of
//! one, whatever is in it; the program is never filled in; where a value would be read as an option or a file it
//! is refused; and what would read an argument as a program of its own (`sh -c`, `ssh`) takes none at all.

use super::Subject;
use super::step::{Command, Param};
use crate::domain::{Kind, Text};

/// No longer than this, in bytes.
const LONGEST: usize = 4096;

/// A command with everything filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// What is set in its environment besides.
    pub env: Vec<(String, String)>,
    /// How long it may take, in seconds.
    pub timeout: u32,
}

/// A piece of a template.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// As it stands.
    Literal(&'a str),
    /// `{name}`.
    Hole(&'a str),
}

/// The pieces of a template. Only `{name}` is a hole, with a name of lower-case letters, digits and `_`, or a
/// label's: `{label.app}`; any other brace is itself, so that JSON and `JSONPath` can be written as they are.
#[must_use]
pub fn pieces(template: &str) -> Vec<Piece<'_>> {
    let mut out = Vec::new();
    let mut from = 0;
    let mut at = 0;
    while let Some(open) = template[at..].find('{').map(|i| at + i) {
        let rest = &template[open + 1..];
        let name = rest.find('}').map(|end| &rest[..end]).filter(|name| is_name(name));
        let Some(name) = name else {
            at = open + 1;
            continue;
        };
        if open > from {
            out.push(Piece::Literal(&template[from..open]));
        }
        out.push(Piece::Hole(name));
        from = open + name.len() + 2;
        at = from;
    }
    if from < template.len() {
        out.push(Piece::Literal(&template[from..]));
    }
    out
}

fn is_name(name: &str) -> bool {
    if let Some(key) = name.strip_prefix("label.") {
        return !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "._/-".contains(c));
    }
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'))
}

/// The names of a template's holes.
pub fn holes(template: &str) -> impl Iterator<Item = &str> {
    pieces(template).into_iter().filter_map(|p| if let Piece::Hole(name) = p { Some(name) } else { None })
}

/// A command with its parameters from what is selected.
///
/// # Errors
/// Which parameter has no value, or one that is refused, and why.
pub fn command(command: &Command, subject: &Subject) -> Result<Filled, Text> {
    let mut values: Vec<(&str, Text)> = Vec::new();
    for param in &command.params {
        values.push((param.name.as_str(), value(param, subject)?));
    }
    let put = |template: &str| -> String {
        pieces(template)
            .into_iter()
            .map(|piece| match piece {
                Piece::Literal(text) => text,
                Piece::Hole(name) => values.iter().find(|(n, _)| *n == name).map_or("", |(_, v)| v.as_str()),
            })
            .collect()
    };
    let mut argv = Vec::with_capacity(command.argv.len());
    let mut options_over = false;
    for template in &command.argv {
        let made = put(template);
        let begins_filled = matches!(pieces(template).first(), Some(Piece::Hole(_)));
        if begins_filled && !options_over && made.starts_with('-') {
            let why = format!(
                "`{made}` would be read as an option; put `--` before {template}, or write it as `--option={template}`"
            );
            return Err(Text::new(&why));
        }
        if begins_filled && made.starts_with('@') {
            return Err(Text::new(&format!("`{made}` could be read as a file's name: it begins with @")));
        }
        options_over |= template == "--";
        argv.push(made);
    }
    let env = command.env.iter().map(|(name, template)| (name.clone(), put(template))).collect();
    Ok(Filled { argv, env, timeout: command.timeout })
}

fn value(param: &Param, subject: &Subject) -> Result<Text, Text> {
    let Some(value) = subject.value(&param.from) else {
        let what = subject.id().map_or_else(|| "nothing".to_owned(), |id| format!("{} {}", id.kind.short(), id.name));
        return Err(Text::new(&format!("`{}` is wanted, and {what} is selected, which has none", param.from)));
    };
    if value.len() > LONGEST {
        return Err(Text::new(&format!("the {} is too long to be handed on", param.from)));
    }
    if let Some(pattern) = &param.matches {
        let whole = regex_lite::Regex::new(&format!("^(?:{pattern})$"));
        if !whole.is_ok_and(|r| r.is_match(&value)) {
            return Err(Text::new(&format!("the {} `{value}` is not of the form {pattern}", param.from)));
        }
    }
    Ok(value)
}

/// A filter with what is selected in it.
///
/// # Errors
/// When something has no value, or one that would mean more than itself in a filter.
pub fn filter(template: &str, subject: &Subject) -> Result<String, Text> {
    let mut out = String::new();
    for piece in pieces(template) {
        match piece {
            Piece::Literal(text) => out.push_str(text),
            Piece::Hole(name) => {
                let param = Param { name: name.to_owned(), from: name.to_owned(), matches: None };
                let value = value(&param, subject)?;
                let plain = |c: char| c.is_alphanumeric() || "._:/@-".contains(c);
                if !value.chars().all(plain) || value.starts_with('-') {
                    return Err(Text::new(&format!("the {name} `{value}` cannot stand in a filter")));
                }
                out.push_str(&value);
            }
        }
    }
    Ok(out)
}

/// As a person may read it, and paste it: what is more than letters is in single quotes.
#[must_use]
pub fn quoted(argv: &[String]) -> String {
    let one = |word: &String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._/:=@%+,-".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    argv.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// The kinds that a step's `target` may name.
pub(super) fn is_target(kind: Kind) -> bool {
    kind.is_workload() || matches!(kind, Kind::Node | Kind::Task | Kind::Alarm)
}
