//! An object as YAML, with tones for keys and values.
//!
//! The text is written here rather than by a serializer because each token
//! carries its tone, and because the quoting rules can be the strict ones that
//! every reader understands.

use serde_json::Value;

use crate::domain::{Line, Text, Tone};

/// The object's lines.
#[must_use]
pub fn yaml(value: &Value) -> Vec<Line> {
    let mut out = Vec::new();
    write(value, 0, Line::new(), &mut out);
    out
}

fn write(value: &Value, depth: usize, head: Line, out: &mut Vec<Line>) {
    match value {
        Value::Object(map) if map.is_empty() => out.push(head.with("{}", Tone::Plain)),
        Value::Array(list) if list.is_empty() => out.push(head.with("[]", Tone::Plain)),
        Value::Object(map) => {
            // After `- ` the first key stands on the same line, after `key:` on the next.
            let mut first = starts_item(&head).then_some(head.clone());
            if first.is_none() && !head.spans.is_empty() {
                out.push(trimmed(head));
            }
            for (key, child) in map {
                let line = first.take().unwrap_or_else(|| indent(depth));
                let line = line.with(scalar_text(key), Tone::Key).with(": ", Tone::Dim);
                write(child, child_depth(child, depth), line, out);
            }
        }
        Value::Array(list) => {
            let mut first = starts_item(&head).then_some(head.clone());
            if first.is_none() && !head.spans.is_empty() {
                out.push(trimmed(head));
            }
            for child in list {
                let line = first.take().unwrap_or_else(|| indent(depth)).with("- ", Tone::Dim);
                write(child, depth + 1, line, out);
            }
        }
        Value::String(s) if s.contains('\n') => {
            out.push(head.with(if s.ends_with('\n') { "|" } else { "|-" }, Tone::Dim));
            for line in s.lines() {
                out.push(indent(depth.max(1)).with(Text::new(line).to_string(), Tone::String));
            }
        }
        Value::String(s) => out.push(head.with(scalar_text(s), Tone::String)),
        Value::Number(n) => out.push(head.with(n.to_string(), Tone::Number)),
        Value::Bool(b) => out.push(head.with(b.to_string(), Tone::Number)),
        Value::Null => out.push(head.with("null", Tone::Dim)),
    }
}

/// Lists stand at their key's depth, as kubectl prints them.
fn child_depth(child: &Value, depth: usize) -> usize {
    if child.is_array() { depth } else { depth + 1 }
}

fn indent(depth: usize) -> Line {
    if depth == 0 { Line::new() } else { Line::new().with("  ".repeat(depth), Tone::Plain) }
}

fn starts_item(head: &Line) -> bool {
    head.spans.last().is_some_and(|s| s.text == "- ")
}

fn trimmed(mut head: Line) -> Line {
    if let Some(last) = head.spans.last_mut() {
        last.text = last.text.trim_end().to_owned();
    }
    head
}

/// A plain scalar where YAML reads it back as the same string, else quoted.
fn scalar_text(s: &str) -> String {
    let text = Text::new(s);
    let plain = !text.is_empty()
        && !text.starts_with([
            ' ', '-', '?', ':', ',', '[', ']', '{', '}', '#', '&', '*', '!', '|', '>', '\'', '"', '%', '@', '`', '=',
            '~',
        ])
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !matches!(
            text.to_lowercase().as_str(),
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n" | ".inf" | ".nan"
        )
        && !text.starts_with(|c: char| c.is_ascii_digit() || c == '.' || c == '+');
    if plain { text.to_string() } else { format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(v: &Value) -> String {
        yaml(v).iter().map(|l| l.text() + "\n").collect()
    }

    #[test]
    fn as_kubectl_prints_it() {
        let v = json!({"metadata": {"name": "web", "labels": {}, "n": "1", "on": "yes"},
            "spec": {"list": [{"a": 1, "b": [true, null]}, "x"], "text": "one\ntwo\n"}});
        assert_eq!(
            text(&v),
            "metadata:\n  name: web\n  labels: {}\n  \"n\": \"1\"\n  \"on\": \"yes\"\nspec:\n  list:\n  - a: 1\n    b:\n    - true\n    - null\n  - x\n  text: |\n    one\n    two\n"
        );
    }

    #[test]
    fn it_reads_back_as_the_same() {
        let v = json!({"a": {"b": [{"c": "- x", "d": {"e": ["1", "2.5", "0x1f", ":", "a: b", "k #c"]}}, [1, [2]]], "empty": ""}});
        let back: Value = serde_saphyr::from_str(&text(&v)).expect("valid YAML");
        assert_eq!(back, v);
    }
}
