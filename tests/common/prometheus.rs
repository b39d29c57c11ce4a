//! What a Prometheus says, for a test's script.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::needless_pass_by_value, reason = "what `json!` makes is handed over")]

use serde_json::json;

use super::web::{Asked, Says, says};

/// An answer with this.
pub fn success(data: serde_json::Value) -> Says {
    says(200, json!({"status": "success", "data": data}).to_string())
}

/// A vector of these series.
pub fn vector(result: serde_json::Value) -> Says {
    success(json!({"resultType": "vector", "result": result}))
}

/// The questions of a batch: number, and expression.
pub fn questions(form: &str) -> Vec<(String, String)> {
    let query = form.split('&').find_map(|p| p.strip_prefix("query=")).unwrap_or_default();
    let bytes: Vec<u8> = query.replace('+', " ").into_bytes();
    let mut text = Vec::new();
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i] == b'%' {
            text.push(u8::from_str_radix(std::str::from_utf8(&bytes[i + 1..i + 3]).unwrap(), 16).unwrap());
            i += 3;
        } else {
            text.push(bytes[i]);
            i += 1;
        }
    }
    let text = String::from_utf8(text).unwrap();
    text.split("label_replace(")
        .skip(1)
        .filter_map(|part| {
            let (expr, rest) = part.split_once(", \"quarterdeck_question\", \"")?;
            Some((rest.split('"').next()?.to_owned(), expr.to_owned()))
        })
        .collect()
}

/// Answers each question with what `value` says.
pub fn answered(asked: &Asked, value: impl Fn(&str) -> Option<&'static str>) -> Says {
    let series = questions(&asked.body)
        .into_iter()
        .filter_map(|(n, expr)| Some(json!({"metric": {"quarterdeck_question": n}, "value": [1, value(&expr)?]})))
        .collect();
    vector(series)
}
