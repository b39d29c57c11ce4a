//! A small signed client for the few EC2, load balancing and quota reads, and for SSM's sessions: their
//! SDKs would take longer to build than everything else together.

use std::time::{Duration, SystemTime};

use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_types::service_config::ServiceConfigKey;
use http_body_util::{BodyExt, Limited};
use serde_json::Value;

use super::account::{Account, Clients, PATIENCE};
use super::error::{Met, garbage, no_credentials, of_code, skew};
use super::limits::Bucket;
use super::readonly::only_asks;
use crate::domain::Text;
use crate::source::SourceError;

/// No answer of these reads is larger.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// An answer's XML, parsed on demand.
#[derive(Debug)]
pub struct Xml(String);

impl Xml {
    /// Calls `f` with each element of this name, wherever it is, that has `item`
    /// children; with their direct texts by name.
    pub fn each(&self, list: &str, item: &str, mut f: impl FnMut(&dyn Fn(&str) -> String)) {
        let Ok(document) = roxmltree::Document::parse(&self.0) else { return };
        for found in document.descendants().filter(|n| n.has_tag_name(list) || n.tag_name().name() == list) {
            for child in found.children().filter(|n| n.tag_name().name() == item) {
                f(&|path: &str| text_at(child, path));
            }
        }
    }

    /// The same with one more list inside: calls `f` with each `item` of `inner` of each
    /// `item` of `list`, the outer one's texts first.
    pub fn each_in(
        &self,
        list: &str,
        inner: &str,
        mut f: impl FnMut(&dyn Fn(&str) -> String, &dyn Fn(&str) -> String),
    ) {
        let Ok(document) = roxmltree::Document::parse(&self.0) else { return };
        let named = |n: &roxmltree::Node<'_, '_>, name: &str| n.tag_name().name() == name;
        for outer in document.descendants().filter(|n| named(n, list)).flat_map(|n| n.children()) {
            for item in outer.children().filter(|n| named(n, inner)).flat_map(|n| n.children()) {
                if item.is_element() {
                    f(&|path| text_at(outer, path), &|path| text_at(item, path));
                }
            }
        }
    }

    /// The text of the first element of this name, empty without one.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        let Ok(document) = roxmltree::Document::parse(&self.0) else { return String::new() };
        let found = document.descendants().find(|n| n.tag_name().name() == name);
        found.and_then(|n| n.text()).unwrap_or_default().to_owned()
    }
}

fn text_at(from: roxmltree::Node<'_, '_>, path: &str) -> String {
    let mut node = Some(from);
    for part in path.split('/') {
        node = node.and_then(|n| n.children().find(|c| c.tag_name().name() == part));
    }
    node.and_then(|n| n.text()).unwrap_or_default().to_owned()
}

/// A service that speaks JSON.
#[derive(Debug, Clone, Copy)]
pub struct JsonService {
    /// Its name, for the host and for signing.
    pub name: &'static str,
    /// What stands before the operation in the target.
    pub target: &'static str,
    /// The version of its JSON: `1.0` or `1.1`.
    pub version: &'static str,
    /// What it counts by.
    pub bucket: Bucket,
    /// It may be asked for more than reading. Without this such operations are refused before anything is sent.
    pub changes: bool,
}

/// Service Quotas.
const QUOTAS: JsonService = JsonService {
    name: "servicequotas",
    target: "ServiceQuotasV20190624",
    version: "1.1",
    bucket: Bucket::Quotas,
    changes: false,
};

impl Account {
    /// Asks a query service: `ec2` or `elasticloadbalancing`.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn query(
        &self,
        service: &'static str,
        version: &str,
        action: &str,
        parameters: &[(String, String)],
    ) -> Result<Xml, SourceError> {
        let bucket = if service == "ec2" { Bucket::Ec2 } else { Bucket::LoadBalancing };
        let mut form = format!("Action={action}&Version={version}");
        for (key, value) in parameters {
            form += &format!("&{key}={}", escape(value));
        }
        let what = format!("{service}:{action}");
        self.limits.turn(bucket).await;
        let outcome = self.send(service, &what, form.into_bytes(), "application/x-www-form-urlencoded", None).await;
        let outcome = outcome.and_then(|(met, body)| {
            let endpoint = self.endpoint();
            let asked = self.asked(&what, &endpoint);
            let xml = Xml(body);
            if met.status >= 400 {
                return Err(of_code(&xml.text("Code"), &xml.text("Message"), met, asked));
            }
            roxmltree::Document::parse(&xml.0).map_err(|_| garbage(asked))?;
            Ok(xml)
        });
        self.judge(bucket, outcome).await
    }

    /// The value of a service quota.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn quota(&self, service: &str, code: &str) -> Result<f64, SourceError> {
        const WHAT: &str = "servicequotas:GetServiceQuota";
        let json = self.json(QUOTAS, WHAT, &serde_json::json!({"ServiceCode": service, "QuotaCode": code})).await?;
        let endpoint = self.endpoint();
        json["Quota"]["Value"].as_f64().ok_or_else(|| garbage(self.asked(WHAT, &endpoint)))
    }

    /// Asks a service that speaks JSON. `what` is the operation with the name that
    /// permissions have for the service: `sqs:ReceiveMessage`.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn json(&self, service: JsonService, what: &str, input: &Value) -> Result<Value, SourceError> {
        let operation = what.rsplit(':').next().unwrap_or(what);
        if !service.changes && !only_asks(operation) {
            let what = format!("{what} would change something, and this client only reads");
            return Err(SourceError::Account { what: Text::new(&what) });
        }
        let (target, media) =
            (format!("{}.{operation}", service.target), format!("application/x-amz-json-{}", service.version));
        self.limits.turn(service.bucket).await;
        let outcome = self.send(service.name, what, input.to_string().into_bytes(), &media, Some(&target)).await;
        let outcome = outcome.and_then(|(met, body)| {
            let endpoint = self.endpoint();
            let asked = self.asked(what, &endpoint);
            // What is done without having anything to say may say nothing.
            let empty = body.trim().is_empty() && met.status < 300;
            let body = if empty { "{}" } else { body.as_str() };
            let json: Value = serde_json::from_str(body)
                .map_err(|_| if met.status >= 400 { of_code("", "", met, asked) } else { garbage(asked) })?;
            if met.status >= 400 {
                let text = |key: &str| json[key].as_str().unwrap_or_default();
                let message = if text("message").is_empty() { text("Message") } else { text("message") };
                return Err(of_code(text("__type"), message, met, asked));
            }
            Ok(json)
        });
        self.judge(service.bucket, outcome).await
    }

    /// Where a service is, without a slash at its end. As for the SDK's clients, an endpoint that is configured for
    /// it alone (`AWS_ENDPOINT_URL_SSM`, a profile's `services`) goes before one for all of them.
    pub(in crate::source) fn endpoint_of(&self, clients: &Clients, service: &str) -> String {
        let config = &clients.config;
        let key = ServiceConfigKey::builder().service_id(service_id(service)).env("AWS_ENDPOINT_URL");
        let alone = key.profile("endpoint_url").build().ok().and_then(|key| config.service_config()?.load_config(key));
        let configured = self.spec.endpoint.clone().or(alone).or_else(|| config.endpoint_url().map(str::to_owned));
        if let Some(url) = configured {
            return url.trim_end_matches('/').to_owned();
        }
        let suffix = if clients.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        format!("https://{service}.{}.{suffix}", clients.region)
    }

    async fn send(
        &self,
        service: &'static str,
        what: &str,
        body: Vec<u8>,
        media: &str,
        target: Option<&str>,
    ) -> Result<(Met, String), SourceError> {
        let clients = self.clients().await?;
        let failed = |reason: String| SourceError::Account { what: Text::new(&format!("{what}: {reason}")) };
        let url = format!("{}/", self.endpoint_of(&clients, service));
        let uri: http::Uri = url.parse().map_err(|_| failed(format!("{url} is no URL")))?;
        let host = uri.authority().map(ToString::to_string).unwrap_or_default();
        let provider = clients.config.credentials_provider().ok_or_else(|| failed("no credentials".to_owned()))?;
        let credentials = provider
            .provide_credentials()
            .await
            .map_err(|e| SourceError::Account { what: Text::new(&no_credentials(&e, &self.who)) })?;
        let mut headers = vec![("host".to_owned(), host), ("content-type".to_owned(), media.to_owned())];
        headers.extend(target.map(|t| ("x-amz-target".to_owned(), t.to_owned())));
        let identity = credentials.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&clients.region)
            .name(service)
            .time(SystemTime::from(self.now()))
            .settings(SigningSettings::default())
            .build()
            .map_err(|e| failed(e.to_string()))?
            .into();
        let pairs = headers.iter().map(|(k, v)| (k.as_str(), v.as_str()));
        let signable = SignableRequest::new("POST", url.as_str(), pairs, SignableBody::Bytes(&body))
            .map_err(|e| failed(e.to_string()))?;
        let (instructions, _) = sign(signable, &parameters).map_err(|e| failed(e.to_string()))?.into_parts();
        let mut builder = http::Request::post(uri);
        for (name, value) in &headers {
            builder = builder.header(name, value);
        }
        let mut request = builder.body(SdkBody::from(body)).map_err(|e| failed(e.to_string()))?;
        instructions.apply_to_request_http1x(&mut request);
        let request = HttpRequest::try_from(request).map_err(|e| failed(e.to_string()))?;
        self.exchange(request, what).await
    }

    async fn exchange(&self, request: HttpRequest, what: &str) -> Result<(Met, String), SourceError> {
        let endpoint = Text::new(&self.endpoint());
        let late = || SourceError::TimedOut { what: Text::new(&format!("{what} at {endpoint}")), after: PATIENCE };
        let unreachable =
            |reason: String| SourceError::Unreachable { endpoint: endpoint.clone(), reason: Text::new(&reason) };
        let call = async {
            let began = self.now();
            let mut response = self
                .connector
                .call(request)
                .await
                .map_err(|e| if e.is_timeout() { late() } else { unreachable(super::error::innermost(&e)) })?;
            let header = |name: &str| response.headers().get(name).map(str::to_owned);
            if let Some(date) = header("date") {
                self.learn_clock(began, &date);
            }
            let met = Met {
                status: response.status().as_u16(),
                retry_after: header("retry-after").and_then(|s| s.parse().ok()).map(Duration::from_secs),
                skew: header("date").and_then(|d| skew(&d, self.now())),
            };
            let body = std::mem::replace(response.body_mut(), SdkBody::taken());
            let bytes =
                Limited::new(body, MAX_ANSWER).collect().await.map_err(|e| unreachable(e.to_string()))?.to_bytes();
            Ok((met, String::from_utf8_lossy(&bytes).into_owned()))
        };
        tokio::time::timeout(PATIENCE, call).await.unwrap_or_else(|_| Err(late()))
    }
}

/// What configuration calls a service: `AWS_ENDPOINT_URL_SERVICE_QUOTAS`.
fn service_id(service: &str) -> &str {
    match service {
        "elasticloadbalancing" => "Elastic Load Balancing v2",
        "servicequotas" => "Service Quotas",
        "logs" => "CloudWatch Logs",
        // EC2, SQS and SSM; case does not count.
        other => other,
    }
}

/// A value as a form carries it.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(b));
        } else {
            out += &format!("%{b:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_whatever_their_namespace() {
        let xml = Xml("<DescribeSubnetsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><subnetSet>\
             <item><subnetId>subnet-1</subnetId><availableIpAddressCount>7</availableIpAddressCount></item>\
             <item><subnetId>subnet-2</subnetId><x><y>z</y></x></item></subnetSet></DescribeSubnetsResponse>"
            .to_owned());
        let mut found = Vec::new();
        xml.each("subnetSet", "item", |get| found.push((get("subnetId"), get("availableIpAddressCount"), get("x/y"))));
        let own = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(found, [own("subnet-1", "7", ""), own("subnet-2", "", "z")]);
        let mut pairs = Vec::new();
        let xml = Xml("<R><s><item><id>1</id><es><item><c>a</c></item><item><c>b</c></item></es></item>\
             <item><id>2</id><es/></item><item><id>3</id><es><item><c>d</c></item></es></item></s></R>"
            .to_owned());
        xml.each_in("s", "es", |outer, inner| pairs.push(outer("id") + &inner("c")));
        assert_eq!(pairs, ["1a", "1b", "3d"]);
        assert_eq!(escape("a b/ü"), "a%20b%2F%C3%BC");
    }
}
