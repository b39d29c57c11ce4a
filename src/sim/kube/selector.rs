//! Label and field selectors.

use super::resource::Resource;
use super::store::Meta;

/// One term of a label selector.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    Exists(String),
    Absent(String),
    In(String, Vec<String>),
    /// Also true where the label is absent.
    NotIn(String, Vec<String>),
    Greater(String, i64),
    Less(String, i64),
}

/// One term of a field selector.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FieldTerm {
    field: String,
    value: String,
    equal: bool,
}

/// What a list or watch is limited to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    labels: Vec<Term>,
    fields: Vec<FieldTerm>,
}

impl Selection {
    /// Parses both query parameters. The error is the API server's message.
    pub(crate) fn parse(resource: &Resource, labels: &str, fields: &str) -> Result<Self, String> {
        let selection = Self { labels: parse_labels(labels)?, fields: parse_fields(fields)? };
        for term in &selection.fields {
            let known = matches!(term.field.as_str(), "metadata.name" | "metadata.namespace")
                || resource.fields.iter().any(|f| f.name == term.field);
            if !known {
                return Err(format!(
                    "Unable to find {:?} that match label selector {labels:?}, field selector {fields:?}: \
                     field label not supported: {}",
                    format!("{}, Resource={}", resource.api_version(), resource.plural),
                    term.field
                ));
            }
        }
        Ok(selection)
    }

    /// Only the labels' part, as metrics take it.
    pub(crate) fn of_labels(labels: &str) -> Result<Self, String> {
        Ok(Self { labels: parse_labels(labels)?, fields: Vec::new() })
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(crate) fn matches(&self, meta: &Meta) -> bool {
        self.labels.iter().all(|t| t.matches(meta))
            && self.fields.iter().all(|t| (meta.field(&t.field) == t.value) == t.equal)
    }
}

impl Term {
    fn matches(&self, meta: &Meta) -> bool {
        match self {
            Self::Exists(key) => meta.label(key).is_some(),
            Self::Absent(key) => meta.label(key).is_none(),
            Self::In(key, values) => meta.label(key).is_some_and(|v| values.iter().any(|w| w == v)),
            Self::NotIn(key, values) => meta.label(key).is_none_or(|v| !values.iter().any(|w| w == v)),
            Self::Greater(key, bound) => number(meta, key).is_some_and(|n| n > *bound),
            Self::Less(key, bound) => number(meta, key).is_some_and(|n| n < *bound),
        }
    }
}

fn number(meta: &Meta, key: &str) -> Option<i64> {
    meta.label(key)?.parse().ok()
}

/// Splits at commas that are not inside parentheses.
fn split_terms(s: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    let mut start = 0;
    let mut terms = Vec::new();
    for (i, c) in s.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                terms.push(&s[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    terms.push(&s[start..]);
    terms.into_iter().map(str::trim).filter(|t| !t.is_empty()).collect()
}

fn parse_labels(s: &str) -> Result<Vec<Term>, String> {
    split_terms(s).into_iter().map(parse_label_term).collect()
}

fn parse_label_term(term: &str) -> Result<Term, String> {
    if let Some(key) = term.strip_prefix('!') {
        return Ok(Term::Absent(checked_key(key.trim())?));
    }
    if let Some(open) = term.find('(') {
        let (head, set) = term.split_at(open);
        let set = set[1..]
            .strip_suffix(')')
            .ok_or_else(|| format!("unable to parse requirement: found '{set}', expected: ',' or ')'"))?;
        let values: Vec<String> = set.split(',').map(|v| v.trim().to_owned()).collect();
        let (key, operator) = head.trim().rsplit_once(char::is_whitespace).unwrap_or(("", head.trim()));
        return match operator {
            "in" => Ok(Term::In(checked_key(key.trim())?, values)),
            "notin" => Ok(Term::NotIn(checked_key(key.trim())?, values)),
            other => {
                Err(format!("unable to parse requirement: found '{other}', expected: in, notin, =, ==, !=, gt, lt"))
            }
        };
    }
    if let Some((key, value)) = term.split_once("!=") {
        return Ok(Term::NotIn(checked_key(key.trim())?, vec![value.trim().to_owned()]));
    }
    if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        return Ok(Term::In(checked_key(key.trim())?, vec![value.trim().to_owned()]));
    }
    for (sign, make) in [('>', Term::Greater as fn(String, i64) -> Term), ('<', Term::Less)] {
        if let Some((key, value)) = term.split_once(sign) {
            let bound = value
                .trim()
                .parse()
                .map_err(|_| format!("unable to parse requirement: values[0]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer"))?;
            return Ok(make(checked_key(key.trim())?, bound));
        }
    }
    Ok(Term::Exists(checked_key(term)?))
}

fn checked_key(key: &str) -> Result<String, String> {
    let fine = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b));
    if fine {
        Ok(key.to_owned())
    } else {
        Err(format!(
            "unable to parse requirement: <nil>: Invalid value: {key:?}: name part must consist of alphanumeric characters, '-', '_' or '.'"
        ))
    }
}

fn parse_fields(s: &str) -> Result<Vec<FieldTerm>, String> {
    split_escaped(s)
        .into_iter()
        .map(|term| {
            let (field, value, equal) = if let Some((f, v)) = term.split_once("!=") {
                (f, v, false)
            } else if let Some((f, v)) = term.split_once("==").or_else(|| term.split_once('=')) {
                (f, v, true)
            } else {
                return Err(format!("invalid selector: '{s}'; can't understand '{term}'"));
            };
            Ok(FieldTerm { field: field.to_owned(), value: unescape(value), equal })
        })
        .collect()
}

/// Splits at commas that no backslash stands before.
fn split_escaped(s: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (i, c) in s.char_indices() {
        if c == ',' && !escaped {
            terms.push(&s[start..i]);
            start = i + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    terms.push(&s[start..]);
    terms.retain(|t| !t.is_empty());
    terms
}

fn unescape(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    let mut chars = s.chars();
    while let Some(c) = chars.next() {
        out.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::backend::ObjectKind;
    use crate::sim::kube::{resource, store};
    use serde_json::json;

    fn pod() -> Meta {
        let object = json!({"metadata": {"name": "web-1", "namespace": "shop",
            "labels": {"app": "web", "tier": "front", "weight": "5"}},
            "spec": {"nodeName": "n1"}, "status": {"phase": "Running"}});
        store::meta_of(resource::of(ObjectKind::Pod), &object, &mut store::Interned::default())
    }

    fn matches(labels: &str, fields: &str) -> bool {
        Selection::parse(resource::of(ObjectKind::Pod), labels, fields).expect("parses").matches(&pod())
    }

    #[test]
    fn labels() {
        for (selector, want) in [
            ("", true),
            ("app=web", true),
            ("app==web,tier=front", true),
            ("app=web, tier=back", false),
            ("app!=web", false),
            ("other!=x", true),
            ("app in (web, api)", true),
            ("app in (api)", false),
            ("app notin (api,db)", true),
            ("other notin (api)", true),
            ("tier", true),
            ("!tier", false),
            ("!other", true),
            ("weight>4", true),
            ("weight<4", false),
        ] {
            assert_eq!(matches(selector, ""), want, "{selector}");
        }
    }

    #[test]
    fn fields() {
        for (selector, want) in [
            ("metadata.name=web-1", true),
            ("metadata.namespace!=shop", false),
            ("spec.nodeName=n1,status.phase!=Succeeded,status.phase!=Failed", true),
            ("spec.nodeName=", false),
            ("status.nominatedNodeName=", true),
        ] {
            assert_eq!(matches("", selector), want, "{selector}");
        }
    }

    #[test]
    fn refused() {
        let pods = resource::of(ObjectKind::Pod);
        assert!(Selection::parse(pods, "a in (b", "").is_err());
        assert!(Selection::parse(pods, "a near (b)", "").is_err());
        assert!(Selection::parse(pods, "b ad=x", "").is_err());
        let err = Selection::parse(pods, "", "spec.colour=red").expect_err("unknown field");
        assert!(err.ends_with("field label not supported: spec.colour"), "{err}");
    }
}
