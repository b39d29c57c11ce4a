//! An object as JSON, with tones for keys and values: how AWS's own tools show it.

use serde_json::Value;

use crate::domain::{Line, Text, Tone};

/// The object's lines, indented by two.
#[must_use]
pub fn json(value: &Value) -> Vec<Line> {
    let mut out = Vec::new();
    write(value, 0, Line::new(), "", &mut out);
    out
}

fn write(value: &Value, depth: usize, head: Line, end: &str, out: &mut Vec<Line>) {
    let indent = |depth: usize| Line::new().with("  ".repeat(depth), Tone::Plain);
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push(head.with("{", Tone::Dim));
            for (i, (key, child)) in map.iter().enumerate() {
                let line = indent(depth + 1).with(quoted(key), Tone::Key).with(": ", Tone::Dim);
                write(child, depth + 1, line, if i + 1 < map.len() { "," } else { "" }, out);
            }
            out.push(indent(depth).with(format!("}}{end}"), Tone::Dim));
        }
        Value::Array(list) if !list.is_empty() => {
            out.push(head.with("[", Tone::Dim));
            for (i, child) in list.iter().enumerate() {
                write(child, depth + 1, indent(depth + 1), if i + 1 < list.len() { "," } else { "" }, out);
            }
            out.push(indent(depth).with(format!("]{end}"), Tone::Dim));
        }
        scalar => {
            let (text, tone) = match scalar {
                Value::String(s) => (quoted(s), Tone::String),
                Value::Number(n) => (n.to_string(), Tone::Number),
                Value::Bool(b) => (b.to_string(), Tone::Number),
                Value::Null => ("null".to_owned(), Tone::Dim),
                Value::Array(_) => ("[]".to_owned(), Tone::Dim),
                Value::Object(_) => ("{}".to_owned(), Tone::Dim),
            };
            let line = head.with(text, tone);
            out.push(if end.is_empty() { line } else { line.with(end, Tone::Dim) });
        }
    }
}

/// As JSON quotes it, and without anything that a terminal would obey.
fn quoted(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    Text::new(&quoted).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &Value) -> String {
        let line = |l: &Line| l.spans.iter().map(|s| s.text.as_str()).collect::<String>();
        json(value).iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_is_drawn_is_the_json() {
        let value = serde_json::json!({
            "lastStatus": "STOPPED", "containers": [{"name": "app", "exitCode": 137}], "tags": [], "n": null, "ok": true,
        });
        let drawn = text(&value);
        assert_eq!(serde_json::from_str::<Value>(&drawn).unwrap(), value);
        assert!(drawn.starts_with("{\n  \"lastStatus\": \"STOPPED\",\n"), "{drawn}");
    }

    #[test]
    fn nothing_that_a_terminal_obeys() {
        let drawn = text(&serde_json::json!({"a": "x\u{1b}[31m\u{202e}y"}));
        assert!(!drawn.contains('\u{1b}') && !drawn.contains('\u{202e}'), "{drawn:?}");
    }
}
