//! AWS's ways to ask and to answer: JSON 1.0 and 1.1, CBOR, query and XML.

use std::collections::BTreeMap;

use ciborium::Value as Cbor;
use http::{HeaderMap, Response};
use serde_json::{Map, Value, json};

use crate::sim::kube::reply::{Body, full};

/// How a request was put, and so how it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// awsJson 1.0 or 1.1.
    Json(&'static str),
    /// rpc-v2-cbor.
    Cbor,
    /// A form in, XML out: EC2's way, or that of the other query services.
    Query { ec2: bool },
}

/// A request, understood.
#[derive(Debug, Clone)]
pub struct Call {
    pub service: &'static str,
    pub operation: String,
    pub protocol: Protocol,
    pub input: Value,
}

/// A refusal, as AWS words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub code: String,
    pub message: String,
}

impl Refusal {
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { status: 400, code: code.to_owned(), message: message.into() }
    }
    pub fn with(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterException", message)
    }
}

/// The services by their JSON target.
const TARGETS: [(&str, &str); 7] = [
    ("AmazonEC2ContainerServiceV20141113", "ecs"),
    ("GraniteServiceVersion20100801", "monitoring"),
    ("Logs_20140328", "logs"),
    ("AnyScaleFrontendService", "application-autoscaling"),
    ("AmazonSQS", "sqs"),
    ("ServiceQuotasV20190624", "servicequotas"),
    ("AmazonSSM", "ssm"),
];

/// True for a request that is AWS's and not Kubernetes'.
pub fn is_aws(headers: &HeaderMap, method: &http::Method, path: &str) -> bool {
    headers.contains_key("x-amz-target")
        || headers.contains_key("smithy-protocol")
        || (method == http::Method::POST && path == "/")
        || path.starts_with("/_sim/")
        || path.starts_with(super::enter::PATH)
}

/// Understands a request.
pub fn parse(headers: &HeaderMap, path: &str, body: &[u8]) -> Result<Call, Refusal> {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let unknown = |what: &str| Refusal::new("UnknownOperationException", format!("unknown operation {what}"));
    if text("smithy-protocol") == "rpc-v2-cbor" {
        let operation = path.rsplit('/').next().unwrap_or_default().to_owned();
        let input = if body.is_empty() {
            json!({})
        } else {
            let value: Cbor = ciborium::from_reader(body)
                .map_err(|e| Refusal::new("SerializationException", format!("malformed CBOR: {e}")))?;
            from_cbor(value)
        };
        return Ok(Call { service: "monitoring", operation, protocol: Protocol::Cbor, input });
    }
    let target = text("x-amz-target");
    if let Some((prefix, operation)) = target.rsplit_once('.') {
        let service = TARGETS.iter().find(|(t, _)| *t == prefix).ok_or_else(|| unknown(target))?.1;
        let version = if text("content-type").contains("1.0") { "1.0" } else { "1.1" };
        let input = if body.is_empty() {
            json!({})
        } else {
            serde_json::from_slice(body)
                .map_err(|e| Refusal::new("SerializationException", format!("malformed JSON: {e}")))?
        };
        return Ok(Call { service, operation: operation.to_owned(), protocol: Protocol::Json(version), input });
    }
    let form: BTreeMap<String, String> = std::str::from_utf8(body)
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(k, v)| (unescape(k), unescape(v)))
        .collect();
    let operation = form.get("Action").cloned().ok_or_else(|| unknown("without Action"))?;
    let service = match scope(headers).2.as_str() {
        "elasticloadbalancing" => "elasticloadbalancing",
        "sts" => "sts",
        _ => "ec2",
    };
    let input = Value::Object(form.into_iter().map(|(k, v)| (k, Value::from(v))).collect());
    Ok(Call { service, operation, protocol: Protocol::Query { ec2: service == "ec2" }, input })
}

fn unescape(text: &str) -> String {
    let mut out = Vec::new();
    let bytes = text.as_bytes();
    let mut i = 0;
    while let Some(b) = bytes.get(i) {
        let hex = || u8::from_str_radix(text.get(i + 1..i + 3)?, 16).ok();
        match (b, hex()) {
            (b'+', _) => out.push(b' '),
            (b'%', Some(byte)) => {
                out.push(byte);
                i += 2;
            }
            (b, _) => out.push(*b),
        }
        i += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Access key, region and service of a request's signature; empty without one.
pub fn scope(headers: &HeaderMap) -> (String, String, String) {
    let text = headers.get("authorization").and_then(|v| v.to_str().ok()).unwrap_or_default();
    let credential = text.split("Credential=").nth(1).and_then(|c| c.split(',').next()).unwrap_or_default();
    let mut parts = credential.split('/');
    let key = parts.next().unwrap_or_default().to_owned();
    let region = parts.nth(1).unwrap_or_default().to_owned();
    let service = parts.next().unwrap_or_default().to_owned();
    (key, region, service)
}

/// A good answer.
pub fn answer(call: &Call, output: &Value) -> Response<Body> {
    match call.protocol {
        Protocol::Json(version) => respond(200, &format!("application/x-amz-json-{version}"), output.to_string(), None),
        Protocol::Cbor => {
            let mut bytes = Vec::new();
            // Writing to memory does not fail.
            let _ = ciborium::into_writer(&to_cbor(output), &mut bytes);
            respond(200, "application/cbor", bytes, Some(("smithy-protocol", "rpc-v2-cbor")))
        }
        Protocol::Query { ec2 } => {
            let op = &call.operation;
            let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
            if ec2 {
                xml += &format!(
                    "<{op}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>sim</requestId>"
                );
                write_xml(output, "item", &mut xml);
            } else {
                xml += &format!("<{op}Response xmlns=\"http://quarterdeck.sim/doc/\"><{op}Result>");
                write_xml(output, "member", &mut xml);
                xml += &format!("</{op}Result><ResponseMetadata><RequestId>sim</RequestId></ResponseMetadata>");
            }
            xml += &format!("</{op}Response>");
            respond(200, "text/xml;charset=UTF-8", xml, None)
        }
    }
}

/// A refusal, in the words of the protocol.
pub fn refuse(protocol: Protocol, refusal: &Refusal) -> Response<Body> {
    let Refusal { status, code, message } = refusal;
    match protocol {
        Protocol::Json(version) => {
            let body = json!({"__type": code, "message": message, "Message": message}).to_string();
            respond(*status, &format!("application/x-amz-json-{version}"), body, Some(("x-amzn-errortype", code)))
        }
        Protocol::Cbor => {
            let mut bytes = Vec::new();
            let body = json!({"__type": format!("com.amazonaws.cloudwatch#{code}"), "message": message});
            let _ = ciborium::into_writer(&to_cbor(&body), &mut bytes);
            respond(*status, "application/cbor", bytes, Some(("smithy-protocol", "rpc-v2-cbor")))
        }
        Protocol::Query { ec2 } => {
            let (code, message) = (escape(code), escape(message));
            let error = format!("<Code>{code}</Code><Message>{message}</Message>");
            let body = if ec2 {
                format!("<Response><Errors><Error>{error}</Error></Errors><RequestID>sim</RequestID></Response>")
            } else {
                format!(
                    "<ErrorResponse><Error><Type>Sender</Type>{error}</Error><RequestId>sim</RequestId></ErrorResponse>"
                )
            };
            respond(*status, "text/xml;charset=UTF-8", body, None)
        }
    }
}

/// Any answer.
pub fn respond(
    status: u16,
    media: &str,
    body: impl Into<bytes::Bytes>,
    header: Option<(&str, &str)>,
) -> Response<Body> {
    let mut builder =
        Response::builder().status(status).header("content-type", media).header("x-amzn-requestid", "sim");
    if let Some((name, value)) = header {
        builder = builder.header(name, value);
    }
    builder.body(full(body)).unwrap_or_default()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn write_xml(value: &Value, item: &str, out: &mut String) {
    match value {
        Value::Object(fields) => {
            for (key, child) in fields {
                out.push_str(&format!("<{key}>"));
                write_xml(child, item, out);
                out.push_str(&format!("</{key}>"));
            }
        }
        Value::Array(items) => {
            for child in items {
                out.push_str(&format!("<{item}>"));
                write_xml(child, item, out);
                out.push_str(&format!("</{item}>"));
            }
        }
        Value::String(s) => out.push_str(&escape(s)),
        Value::Null => {}
        other => out.push_str(&other.to_string()),
    }
}

/// Times are tagged in CBOR: here they are `{"$time": seconds}`.
pub fn time(ms: i64) -> Value {
    json!({"$time": seconds(ms)})
}

/// Milliseconds as seconds with a fraction.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of this century fit")]
pub fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// `{"$time": ..}` as plain seconds, for JSON.
pub fn plain_times(value: Value) -> Value {
    match value {
        Value::Object(map) => match map.get("$time") {
            Some(seconds) => seconds.clone(),
            None => Value::Object(map.into_iter().map(|(k, v)| (k, plain_times(v))).collect()),
        },
        Value::Array(items) => Value::Array(items.into_iter().map(plain_times).collect()),
        other => other,
    }
}

fn to_cbor(value: &Value) -> Cbor {
    match value {
        Value::Null => Cbor::Null,
        Value::Bool(b) => Cbor::Bool(*b),
        Value::Number(n) => {
            n.as_i64().map_or_else(|| Cbor::Float(n.as_f64().unwrap_or_default()), |n| Cbor::Integer(n.into()))
        }
        Value::String(s) => Cbor::Text(s.clone()),
        Value::Array(items) => Cbor::Array(items.iter().map(to_cbor).collect()),
        Value::Object(map) => match map.get("$time").and_then(Value::as_f64) {
            Some(seconds) => Cbor::Tag(1, Box::new(Cbor::Float(seconds))),
            None => Cbor::Map(map.iter().map(|(k, v)| (Cbor::Text(k.clone()), to_cbor(v))).collect()),
        },
    }
}

fn from_cbor(value: Cbor) -> Value {
    match value {
        Cbor::Bool(b) => b.into(),
        Cbor::Integer(n) => i64::try_from(n).map_or(Value::Null, Value::from),
        Cbor::Float(f) => f.into(),
        Cbor::Text(s) => s.into(),
        Cbor::Array(items) => items.into_iter().map(from_cbor).collect(),
        Cbor::Map(pairs) => {
            let mut map = Map::new();
            for (key, value) in pairs {
                if let Cbor::Text(key) = key {
                    map.insert(key, from_cbor(value));
                }
            }
            Value::Object(map)
        }
        Cbor::Tag(_, inner) => from_cbor(*inner),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_and_cbor_are_read_and_written() {
        assert_eq!(unescape("a%20b+c%2Fd%"), "a b c/d%");
        let value = json!({"a": [1, 2.5, "x"], "t": {"$time": 1.5}});
        let mut bytes = Vec::new();
        ciborium::into_writer(&to_cbor(&value), &mut bytes).unwrap();
        let back = from_cbor(ciborium::from_reader(bytes.as_slice()).unwrap());
        assert_eq!(back, json!({"a": [1, 2.5, "x"], "t": 1.5}));
        let mut xml = String::new();
        write_xml(&json!({"subnetSet": [{"subnetId": "a<b"}]}), "item", &mut xml);
        assert_eq!(xml, "<subnetSet><item><subnetId>a&lt;b</subnetId></item></subnetSet>");
    }

    #[test]
    fn a_signature_says_who_and_where() {
        let mut headers = HeaderMap::new();
        let text =
            "AWS4-HMAC-SHA256 Credential=AKIA1/20261120/eu-west-1/ecs/aws4_request, SignedHeaders=host, Signature=0";
        headers.insert("authorization", text.parse().unwrap());
        assert_eq!(scope(&headers), ("AKIA1".into(), "eu-west-1".into(), "ecs".into()));
    }
}
