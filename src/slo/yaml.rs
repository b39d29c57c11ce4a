//! YAML as a tree in which every key and value knows its place.
//!
//! Numbers stay as they were written: a target of `0.999` must not pass through
//! a float.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, MessageFormatter, Spanned};

use crate::config::diagnostic::{Diagnostic, Source};
use crate::domain::text::clean;

/// A value and where it stands, in bytes of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where; of a list or map, where it begins.
    pub at: Range<usize>,
    /// What.
    pub value: Value,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing: `null`, `~`, or no value.
    Null,
    /// Any scalar, as it was written, without its quotes.
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// Keys and values in the order of the file.
    Map(Vec<(Key, Node)>),
}

/// A key and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// The key.
    pub text: String,
    /// Where.
    pub at: Range<usize>,
}

impl Value {
    /// What it is, with its article.
    #[must_use]
    pub fn described(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Scalar(_) => "a single value",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

/// The documents of a file; empty ones are left out.
///
/// # Errors
/// When it is not YAML, has a key twice in a map, or unfolds to something huge.
pub fn parse(source: &Source) -> Result<Vec<Node>, Box<Diagnostic>> {
    let options = serde_saphyr::options! { strict_booleans: true };
    let raw: Vec<Raw> = serde_saphyr::from_multiple_with_options(&source.text, options).map_err(|error| {
        let at = error.location().map_or(0..0, |l| place(&l, &source.text));
        let message = serde_saphyr::DefaultMessageFormatter.format_message(error.without_snippet()).into_owned();
        // The parser's advice is for programmers.
        let message = message.split(", set DuplicateKeyPolicy").next().unwrap_or_default().to_owned();
        Box::new(source.at(&at, format!("this is not YAML: {}", clean(&message))))
    })?;
    Ok(raw.into_iter().map(|r| r.node(&source.text)).filter(|n| n.value != Value::Null).collect())
}

/// A node before its scalars are cut out of the text.
struct Raw(Spanned<RawValue>);

enum RawValue {
    Null,
    /// A number or boolean: its text is in the file.
    Typed,
    Text(String),
    List(Vec<Raw>),
    Map(Vec<(Spanned<String>, Raw)>),
}

impl Raw {
    fn node(self, text: &str) -> Node {
        let at = place(&self.0.referenced, text);
        let value = match self.0.value {
            RawValue::Null => Value::Null,
            RawValue::Typed => {
                Value::Scalar(text.get(place(&self.0.defined, text)).unwrap_or_default().trim().to_owned())
            }
            RawValue::Text(s) => Value::Scalar(s),
            RawValue::List(items) => Value::List(items.into_iter().map(|i| i.node(text)).collect()),
            RawValue::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(k, v)| (Key { at: place(&k.referenced, text), text: k.value }, v.node(text)))
                    .collect(),
            ),
        };
        Node { at, value }
    }
}

/// A location as bytes of the text.
fn place(location: &Location, text: &str) -> Range<usize> {
    let usize_of = |n: u64| usize::try_from(n).ok();
    let span = location.span();
    if let (Some(start), Some(length)) = (span.byte_offset().and_then(usize_of), span.byte_len().and_then(usize_of)) {
        return start..start + length;
    }
    // Only the line and the column are known.
    let line = usize_of(location.line()).unwrap_or(1).max(1);
    let column = usize_of(location.column()).unwrap_or(1).max(1);
    let start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    let within = rest.char_indices().nth(column - 1).map_or(rest.len(), |(i, _)| i);
    start + within..start + within
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_unit<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<RawValue, E> {
        Ok(RawValue::Typed)
    }

    fn visit_i64<E>(self, _: i64) -> Result<RawValue, E> {
        Ok(RawValue::Typed)
    }

    fn visit_u64<E>(self, _: u64) -> Result<RawValue, E> {
        Ok(RawValue::Typed)
    }

    fn visit_f64<E>(self, _: f64) -> Result<RawValue, E> {
        Ok(RawValue::Typed)
    }

    fn visit_str<E>(self, text: &str) -> Result<RawValue, E> {
        Ok(RawValue::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawValue, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(RawValue::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawValue, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(RawValue::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(source: &Source, node: &Node) -> String {
        match &node.value {
            Value::Scalar(s) => format!("{s}@{}", source.at(&node.at, "").line),
            Value::Null => "-".to_owned(),
            Value::List(items) => format!("[{}]", items.iter().map(|i| cut(source, i)).collect::<Vec<_>>().join(" ")),
            Value::Map(entries) => {
                let parts: Vec<String> = entries
                    .iter()
                    .map(|(k, v)| format!("{}: {}", &source.text[k.at.clone()], cut(source, v)))
                    .collect();
                format!("{{{}}}", parts.join(", "))
            }
        }
    }

    #[test]
    fn scalars_stay_as_written_and_everything_has_a_place() {
        let source = Source::new(
            "f",
            "# é\na: 0.9990 # c\nb: [1, \"two\", true]\n---\n---\nq: sum(x{a=\"b\"})\nn:\nd: 2022-01-01 12:00:00\nyes: no\n",
        );
        let all = parse(&source).unwrap();
        let cut: Vec<String> = all.iter().map(|n| cut(&source, n)).collect();
        assert_eq!(
            cut,
            [
                "{a: 0.9990@2, b: [1@3 two@3 true@3]}",
                "{q: sum(x{a=\"b\"})@6, n: -, d: 2022-01-01 12:00:00@8, yes: no@9}"
            ]
        );
    }

    #[test]
    fn aliases_point_to_where_they_stand() {
        let source = Source::new("f", "a: &x 0.5\nb: *x\n");
        assert_eq!(cut(&source, &parse(&source).unwrap()[0]), "{a: 0.5@1, b: 0.5@2}");
    }

    #[test]
    fn what_is_not_yaml_is_refused_with_its_place() {
        for (text, line, word) in
            [("a: 1\na: 2\n", 2, "uplicate"), ("a: [1, 2\n", 1, "unclosed"), ("a: 1\n b: 2\n", 2, "")]
        {
            let d = parse(&Source::new("f", text)).unwrap_err();
            assert_eq!(d.line, line, "{text:?}: {d}");
            assert!(d.message.starts_with("this is not YAML: ") && d.message.contains(word), "{d}");
        }
    }
}
