//! The few protobuf bodies that kubectl sends: its typed clients write reviews
//! so, while they are content with JSON in return.
//!
//! The envelope is `k8s\0` and a `runtime.Unknown`, whose second field is the
//! object; objects are decoded to JSON by the tables below.

use serde_json::{Map, Value};

/// What a field holds.
enum Field {
    Text,
    Message(&'static [(u64, &'static str, Field)]),
}

type Message = &'static [(u64, &'static str, Field)];

const RESOURCE_ATTRIBUTES: Message = &[
    (1, "namespace", Field::Text),
    (2, "verb", Field::Text),
    (3, "group", Field::Text),
    (4, "version", Field::Text),
    (5, "resource", Field::Text),
    (6, "subresource", Field::Text),
    (7, "name", Field::Text),
];
const NON_RESOURCE_ATTRIBUTES: Message = &[(1, "path", Field::Text), (2, "verb", Field::Text)];
const ACCESS_SPEC: Message = &[
    (1, "resourceAttributes", Field::Message(RESOURCE_ATTRIBUTES)),
    (2, "nonResourceAttributes", Field::Message(NON_RESOURCE_ATTRIBUTES)),
];
const RULES_SPEC: Message = &[(1, "namespace", Field::Text)];

const OBJECTS: &[(&str, Message)] = &[
    ("SelfSubjectAccessReview", &[(2, "spec", Field::Message(ACCESS_SPEC))]),
    ("SelfSubjectRulesReview", &[(2, "spec", Field::Message(RULES_SPEC))]),
    ("SelfSubjectReview", &[]),
];

const TYPE_META: Message = &[(1, "apiVersion", Field::Text), (2, "kind", Field::Text)];

/// Decodes a body. The error says what is not understood.
pub(crate) fn decode(body: &[u8]) -> Result<Value, String> {
    let unknown = body.strip_prefix(b"k8s\0").ok_or("provided data does not appear to be a protobuf message")?;
    let mut types = Map::new();
    let mut raw: &[u8] = &[];
    for field in Fields(unknown) {
        match field? {
            (1, bytes) => types = message(TYPE_META, bytes)?,
            (2, bytes) => raw = bytes,
            _ => {}
        }
    }
    let kind = types.get("kind").and_then(Value::as_str).unwrap_or_default();
    let schema = OBJECTS.iter().find(|(name, _)| *name == kind).map(|(_, m)| *m);
    let schema = schema.ok_or_else(|| format!("no protobuf of kind {kind:?} is understood here; send JSON"))?;
    let mut object = types.clone();
    object.extend(message(schema, raw)?);
    Ok(Value::Object(object))
}

fn message(schema: Message, bytes: &[u8]) -> Result<Map<String, Value>, String> {
    let mut object = Map::new();
    for field in Fields(bytes) {
        let (number, content) = field?;
        let Some((_, name, kind)) = schema.iter().find(|(n, ..)| *n == number) else { continue };
        let value = match kind {
            Field::Text => Value::from(std::str::from_utf8(content).map_err(|e| format!("{name}: {e}"))?),
            Field::Message(inner) => Value::Object(message(inner, content)?),
        };
        object.insert((*name).to_owned(), value);
    }
    Ok(object)
}

/// The length-delimited fields of a message; numbers are passed over.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, &'a [u8]), String>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.0.is_empty() {
            match self.field() {
                Some(Wire::Bytes(number, content)) => return Some(Ok((number, content))),
                Some(Wire::Number) => {}
                None => {
                    self.0 = &[];
                    return Some(Err("the protobuf message ends too early".to_owned()));
                }
            }
        }
        None
    }
}

/// A field as the wire has it.
enum Wire<'a> {
    Number,
    Bytes(u64, &'a [u8]),
}

impl<'a> Fields<'a> {
    /// One field; `None` when the bytes run out.
    fn field(&mut self) -> Option<Wire<'a>> {
        let tag = self.varint()?;
        let length = match tag & 7 {
            0 => return self.varint().map(|_| Wire::Number),
            1 => 8,
            5 => 4,
            2 => usize::try_from(self.varint()?).ok()?,
            _ => return None,
        };
        let (content, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(if tag & 7 == 2 { Wire::Bytes(tag >> 3, content) } else { Wire::Number })
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn text(number: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, u8::try_from(content.len()).expect("short")];
        out.extend_from_slice(content);
        out
    }

    #[test]
    fn an_access_review() {
        let attributes = [text(2, b"list"), text(5, b"pods")].concat();
        let review = text(2, &text(1, &attributes));
        let types = [text(1, b"authorization.k8s.io/v1"), text(2, b"SelfSubjectAccessReview")].concat();
        let body = [b"k8s\0".to_vec(), text(1, &types), text(2, &review)].concat();
        assert_eq!(
            decode(&body),
            Ok(json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": {"verb": "list", "resource": "pods"}}}))
        );
        assert!(decode(&body[..body.len() - 1]).is_err());
        assert!(decode(b"{}").is_err());
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&[b"k8s\0".to_vec(), bytes].concat());
        }
    }
}
