//! The `[[prometheus]]` and `[[alertmanager]]` entries.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

use super::diagnostic::{Diagnostic, Reader, Value, in_order};
use super::kinds::{Interval, Kind, Size};

/// How long an answer may take, unless said otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(30);
/// How large an answer may be, unless said otherwise.
pub const LIMIT: u64 = 32 << 20;
/// Services in a Kubernetes cluster are written so.
const SERVICE: &str = "\"NAMESPACE/NAME:PORT\", or \"https:NAMESPACE/NAME:PORT\" for one that speaks TLS";

/// What must not be seen: it prints as `(hidden)`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// A service of a Kubernetes cluster, reached through that cluster's API.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its port, by number or by name.
    pub port: String,
    /// It speaks TLS.
    pub tls: bool,
}

impl ServiceName {
    /// Takes `namespace/name:port` apart; `None` for what is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (tls, rest) = match text.strip_prefix("https:") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("http:").unwrap_or(text)),
        };
        let (namespace, rest) = rest.split_once('/')?;
        let (name, port) = rest.split_once(':')?;
        let fits = |s: &str| !s.is_empty() && s.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'));
        let own = str::to_owned;
        (fits(namespace) && fits(name) && fits(port)).then(|| Self {
            namespace: own(namespace),
            name: own(name),
            port: own(port),
            tls,
        })
    }
}

/// `namespace/name:port`.
impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}/{}:{}", if self.tls { "https:" } else { "" }, self.namespace, self.name, self.port)
    }
}

/// Where a backend is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// At this URL, its base path included.
    Url(String),
    /// Behind the Kubernetes API of [`BackendSettings::cluster`].
    Service(ServiceName),
}

/// What the user says of one Prometheus or Alertmanager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendSettings {
    /// What to call it on screen.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// The cluster that it is about, where labels do not say; with a service, the one it is reached through.
    pub cluster: Option<String>,
    /// The path before `/api`, for a service; a URL has its own.
    pub path: String,
    /// User for basic authentication.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// The file that has its password; read again for each request.
    pub password_file: Option<PathBuf>,
    /// A bearer token.
    pub bearer: Option<Secret>,
    /// The file that has it; read again for each request.
    pub bearer_file: Option<PathBuf>,
    /// More headers, such as a tenant's.
    pub headers: Vec<(String, Secret)>,
    /// Trust these authorities, and no others.
    pub ca_file: Option<PathBuf>,
    /// The client's certificate.
    pub cert_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
    /// The name that its certificate has, where the URL has another.
    pub server_name: Option<String>,
    /// Its certificate is not checked.
    pub insecure: bool,
    /// The proxy to go through; empty for none, whatever the environment says.
    pub proxy: Option<String>,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How large an answer may be, in bytes.
    pub limit: u64,
    /// The label that says how much an alert matters.
    pub severity_label: String,
    /// What its values mean, where they are not the usual words: value, and `critical`, `warning` or `info`.
    pub severities: Vec<(String, String)>,
    /// Nothing is changed there.
    pub read_only: bool,
}

impl BackendSettings {
    /// One at `url`, with nothing else said.
    #[must_use]
    pub fn at(name: &str, place: Place) -> Self {
        Self {
            name: name.to_owned(),
            place,
            cluster: None,
            path: String::new(),
            username: None,
            password: None,
            password_file: None,
            bearer: None,
            bearer_file: None,
            headers: Vec::new(),
            ca_file: None,
            cert_file: None,
            key_file: None,
            server_name: None,
            insecure: false,
            proxy: None,
            timeout: TIMEOUT,
            limit: LIMIT,
            severity_label: "severity".to_owned(),
            severities: Vec::new(),
            read_only: false,
        }
    }
}

/// A key of an entry: name, what may be written, doc, example.
pub static BACKEND_KEYS: &[(&str, &str, &str, &str)] = &[
    (
        "name",
        "a name, not empty",
        "What to call it on screen. Required, and distinct from every cluster's.",
        "\"prod\"",
    ),
    (
        "url",
        "an http or https URL, without a user in it",
        "Where it is, with its base path. This or `service` is required.",
        "\"https://prometheus.example.com\"",
    ),
    (
        "service",
        SERVICE,
        "Instead of `url`: a service of `cluster`, reached through that cluster's API.",
        "\"monitoring/prometheus-operated:9090\"",
    ),
    (
        "cluster",
        "the name of a cluster",
        "The cluster that its series are about, where their labels do not say.",
        "\"staging\"",
    ),
    ("path", "a path, such as \"/prometheus\"", "With `service`: what comes before `/api`.", "\"/prometheus\""),
    ("username", "a name", "User for basic authentication.", "\"viewer\""),
    ("password", "a text", "Its password; better in a file.", "\"\""),
    (
        "password_file",
        "a path",
        "The file that has the password; read again for each request.",
        "\"~/.config/quarterdeck/password\"",
    ),
    ("bearer", "a text", "A bearer token; better in a file.", "\"\""),
    ("bearer_file", "a path", "The file that has the token; read again for each request.", "\"/run/secrets/token\""),
    ("headers", "a table of texts", "More headers for each request.", "{ X-Scope-OrgID = \"shop\" }"),
    ("ca_file", "a path", "Trust the authorities in this PEM file, and no others.", "\"/etc/ssl/own-ca.pem\""),
    ("cert_file", "a path", "The client's certificate, PEM; wants `key_file`.", "\"client.pem\""),
    ("key_file", "a path", "The key of the client's certificate, PEM.", "\"client-key.pem\""),
    (
        "server_name",
        "a name",
        "The name in its certificate, where the URL has another. Not together with a proxy.",
        "\"prometheus.internal\"",
    ),
    ("insecure", "true or false", "Do not check its certificate.", "false"),
    (
        "proxy",
        "a URL (http, https, socks5), or \"\" for none",
        "The proxy to go through. Default: what the environment says.",
        "\"socks5h://127.0.0.1:1080\"",
    ),
    ("timeout", <Interval as Kind>::ALLOWED, "How long an answer may take.", "\"30s\""),
    ("limit", <Size as Kind>::ALLOWED, "How large an answer may be; a larger one is refused.", "\"32MiB\""),
    ("severity_label", "the name of a label", "The label that says how much an alert matters.", "\"severity\""),
    (
        "severities",
        "a table of texts: \"critical\", \"warning\" or \"info\"",
        "What the label's values mean, where they are not the usual words.",
        "{ gold = \"critical\" }",
    ),
    ("read_only", "true or false", "Never silence anything there.", "false"),
];

/// Keys whose values, and the lines they stand in, are not repeated in a message.
const HIDDEN: [&str; 3] = ["password", "bearer", "headers"];

/// Names with the section and the place they stand in.
pub(super) type Names = Vec<(&'static str, String, std::ops::Range<usize>)>;

/// Reads the entries of `section`, reporting what is wrong.
pub(super) fn read(
    reader: &Reader<'_>,
    section: &'static str,
    value: &Value<'_>,
    names: &mut Names,
) -> Vec<BackendSettings> {
    let DeValue::Array(entries) = value.get_ref() else {
        reader.wrong_type(value, section, "`[[prometheus]]` or `[[alertmanager]]` on a line of its own, once for each");
        return Vec::new();
    };
    entries.iter().filter_map(|entry| one(reader, section, entry, names)).collect()
}

struct Entry<'r, 's, 'v> {
    reader: &'r Reader<'s>,
    whole: std::ops::Range<usize>,
    texts: BTreeMap<&'static str, (String, std::ops::Range<usize>)>,
    tables: BTreeMap<&'static str, &'v Value<'v>>,
    insecure: bool,
    read_only: bool,
}

fn one(reader: &Reader<'_>, section: &'static str, entry: &Value<'_>, names: &mut Names) -> Option<BackendSettings> {
    let table = reader.table(entry, section)?;
    let known: Vec<&str> = BACKEND_KEYS.iter().map(|(name, ..)| *name).collect();
    let (texts, tables) = (BTreeMap::new(), BTreeMap::new());
    let mut e = Entry { reader, whole: entry.span(), texts, tables, insecure: false, read_only: false };
    for (key, span, value) in in_order(table) {
        let Some((name, allowed, ..)) = BACKEND_KEYS.iter().find(|(name, ..)| *name == key) else {
            reader.unknown_key(&span, &format!("key of [[{section}]]"), key, &known);
            continue;
        };
        match *name {
            "insecure" => e.insecure = reader.boolean(value, key).unwrap_or_default(),
            "read_only" => e.read_only = reader.boolean(value, key).unwrap_or_default(),
            "headers" | "severities" => {
                e.tables.insert(name, value);
            }
            _ => match value.get_ref().as_str() {
                Some(text) if text.trim().is_empty() && *name != "proxy" => {
                    reader.report(reader.source().at(&value.span(), format!("`{key}` is empty")).allowed(*allowed));
                }
                Some(text) => {
                    e.texts.insert(name, (text.to_owned(), value.span()));
                }
                None if HIDDEN.contains(name) => {
                    let d = reader.source().at(&value.span(), format!("`{key}` is no text")).allowed(*allowed);
                    reader.report(hidden(d));
                }
                None => reader.wrong_type(value, key, allowed),
            },
        }
    }
    if let Some((name, span)) = e.texts.get("name") {
        names.push((section, name.clone(), span.clone()));
    }
    e.finish(section)
}

/// Without the line itself, which has a secret in it.
fn hidden(d: Diagnostic) -> Diagnostic {
    Diagnostic { source_line: "(hidden)".to_owned(), value: None, column: 1, width: 1, ..d }
}

impl Entry<'_, '_, '_> {
    fn has(&self, key: &str) -> bool {
        self.texts.contains_key(key) || self.tables.contains_key(key)
    }

    fn take(&mut self, key: &str) -> Option<String> {
        self.texts.remove(key).map(|(text, _)| text)
    }

    fn path(&mut self, key: &str) -> Option<PathBuf> {
        self.take(key).map(PathBuf::from)
    }

    fn wrong(&self, key: &str, message: String) -> Diagnostic {
        let span = self.texts.get(key).map_or_else(|| self.whole.clone(), |(_, span)| span.clone());
        let d = self.reader.source().at(&span, message);
        if HIDDEN.contains(&key) { hidden(d) } else { d }
    }

    /// Two keys of which one only may be said.
    fn either(&self, one: &str, other: &str) {
        if self.has(one) && self.has(other) {
            let d = self.wrong(other, format!("both `{one}` and `{other}` are said"));
            self.reader.report(d.hint(format!("take one of them away: `{one}` or `{other}`")));
        }
    }

    fn needs(&self, key: &str, needed: &str) {
        if self.has(key) && !self.has(needed) {
            self.reader.report(self.wrong(key, format!("`{key}` without `{needed}`")).hint(format!("add `{needed}`")));
        }
    }

    fn finish(mut self, section: &str) -> Option<BackendSettings> {
        for (one, other) in [
            ("url", "service"),
            ("password", "password_file"),
            ("bearer", "bearer_file"),
            ("username", "bearer"),
            ("username", "bearer_file"),
            ("proxy", "server_name"),
        ] {
            self.either(one, other);
        }
        for (key, needed) in [
            ("service", "cluster"),
            ("path", "service"),
            ("password", "username"),
            ("password_file", "username"),
            ("cert_file", "key_file"),
            ("key_file", "cert_file"),
        ] {
            self.needs(key, needed);
        }
        if self.has("service") {
            let other =
                ["username", "bearer", "bearer_file", "ca_file", "cert_file", "server_name", "proxy", "headers"];
            for key in other.into_iter().filter(|key| self.has(key)) {
                let d = self.wrong(key, format!("`{key}` does nothing with `service`"));
                self.reader
                    .report(d.hint("the Kubernetes API is asked, as the kubeconfig says; take it away, or use `url`"));
            }
        }
        let place = self.place(section);
        let name = self.take("name");
        if name.is_none() {
            self.reader
                .report(self.wrong("name", format!("this [[{section}]] has no `name`")).hint("add `name = \"prod\"`"));
        }
        let timeout = self.kind::<Interval>("timeout").unwrap_or(TIMEOUT);
        let limit = self.kind::<Size>("limit").unwrap_or(LIMIT);
        let headers = self.header_table();
        let severities = self.pairs("severities");
        for (value, meaning) in &severities {
            if !matches!(meaning.as_str(), "critical" | "warning" | "info") {
                let d = self.wrong("severities", format!("the severity `{value}` cannot mean `{meaning}`"));
                self.reader.report(d.allowed("\"critical\", \"warning\" or \"info\""));
            }
        }
        Some(BackendSettings {
            cluster: self.take("cluster"),
            path: self.take("path").unwrap_or_default(),
            username: self.take("username"),
            password: self.take("password").map(Secret),
            password_file: self.path("password_file"),
            bearer: self.take("bearer").map(Secret),
            bearer_file: self.path("bearer_file"),
            headers,
            ca_file: self.path("ca_file"),
            cert_file: self.path("cert_file"),
            key_file: self.path("key_file"),
            server_name: self.take("server_name"),
            insecure: self.insecure,
            read_only: self.read_only,
            proxy: self.take("proxy"),
            timeout,
            limit,
            severities,
            severity_label: self.take("severity_label").unwrap_or_else(|| "severity".to_owned()),
            ..BackendSettings::at(&name?, place?)
        })
    }

    fn place(&mut self, section: &str) -> Option<Place> {
        if let Some((text, span)) = self.texts.remove("service") {
            let service = ServiceName::parse(&text);
            if service.is_none() {
                let d = self.reader.source().at(&span, "`service` names no service").value(text);
                self.reader.report(d.allowed(SERVICE));
            }
            return service.map(Place::Service);
        }
        let Some((url, span)) = self.texts.remove("url") else {
            let d = self.reader.source().at(&self.whole, format!("this [[{section}]] has no `url` and no `service`"));
            self.reader
                .report(d.hint("add `url = \"https://...\"`, or `cluster` and `service = \"NAMESPACE/NAME:PORT\"`"));
            return None;
        };
        match url_mistake(&url) {
            None => Some(Place::Url(url)),
            Some(why) => {
                let d = self.reader.source().at(&span, format!("`url` {why}"));
                // It may have a password in it.
                self.reader
                    .report(hidden(d).allowed("an http or https URL; a user goes into `username` and `password_file`"));
                None
            }
        }
    }

    fn kind<K: Kind>(&mut self, key: &'static str) -> Option<K::Value> {
        let (text, span) = self.texts.remove(key)?;
        let value = K::from_text(&text);
        if value.is_none() {
            let d = self.reader.source().at(&span, format!("`{key}` cannot be \"{}\"", text.escape_debug()));
            self.reader.report(d.value(text).allowed(K::ALLOWED));
        }
        value
    }

    fn header_table(&self) -> Vec<(String, Secret)> {
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let pairs = self.pairs("headers");
        for (name, value) in &pairs {
            let fits = !name.is_empty() && name.chars().all(token) && !value.chars().any(char::is_control);
            if !fits {
                self.reader.report(hidden(self.wrong("headers", format!("`{}` is no header", name.escape_debug()))));
            }
        }
        pairs.into_iter().map(|(name, value)| (name, Secret(value))).collect()
    }

    /// A table of texts.
    fn pairs(&self, key: &'static str) -> Vec<(String, String)> {
        let Some(value) = self.tables.get(key) else { return Vec::new() };
        let refuse = || {
            self.reader.report(hidden(self.reader.source().at(&value.span(), format!("`{key}` is no table of texts"))));
        };
        let Some(table) = value.get_ref().as_table() else {
            refuse();
            return Vec::new();
        };
        let mut out = Vec::new();
        for (name, _, value) in in_order(table) {
            match value.get_ref().as_str() {
                Some(text) => out.push((name.to_owned(), text.to_owned())),
                None => refuse(),
            }
        }
        out
    }
}

/// What is wrong with a URL; `None` if it may be asked.
#[must_use]
pub fn url_mistake(url: &str) -> Option<&'static str> {
    let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else {
        return Some("does not begin with http:// or https://");
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() {
        return Some("names no host");
    }
    if authority.contains('@') {
        return Some("has a user in it, which would be seen");
    }
    if url.contains(['?', '#']) {
        return Some("has a query or a fragment in it");
    }
    url.chars().any(|c| c.is_whitespace() || c.is_control()).then_some("has spaces in it")
}
