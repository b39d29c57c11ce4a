//! From a request's path and query to what it is about.

use std::collections::BTreeMap;

use super::resource::{self, Resource, Subresource};
use crate::sim::prom::Which;

/// What a path leads to.
#[derive(Debug)]
pub(crate) enum Route {
    /// `/healthz` and its sisters.
    Health,
    Version,
    /// `/api`
    CoreVersions,
    /// `/apis`
    Groups,
    /// `/apis/GROUP`
    Group(String),
    /// `/api/v1`, `/apis/GROUP/VERSION`
    Resources {
        group: String,
        version: String,
    },
    OpenApiV3,
    Object(Target),
    Metrics(MetricsTarget),
    /// `selfsubjectaccessreviews` and such.
    Review(Review),
    /// `/prometheus/...` and `/alertmanager/...`, without a token.
    Monitoring(Which, String),
    /// A service's own API through the API server.
    Proxy(ProxyTarget),
    Nowhere,
}

/// A collection or object of the resource table.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub resource: &'static Resource,
    /// Empty for all namespaces and for cluster-scoped kinds.
    pub namespace: String,
    /// Empty for the collection.
    pub name: String,
    pub sub: Option<Subresource>,
}

/// What of metrics.k8s.io is asked.
#[derive(Debug, Clone)]
pub(crate) struct MetricsTarget {
    pub pods: bool,
    pub namespace: String,
    pub name: String,
}

/// A service behind the API server, and the path there.
#[derive(Debug, Clone)]
pub(crate) struct ProxyTarget {
    pub namespace: String,
    pub service: String,
    /// A number or a name, or empty.
    pub port: String,
    pub path: String,
}

/// The questions a user may ask about themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Review {
    Access,
    Rules,
    SelfSubject,
}

impl Route {
    pub(crate) fn parse(path: &str) -> Self {
        let segments: Vec<String> = path.split('/').filter(|s| !s.is_empty()).map(decode).collect();
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["healthz" | "readyz" | "livez", ..] => Self::Health,
            ["version"] => Self::Version,
            ["api"] => Self::CoreVersions,
            ["apis"] => Self::Groups,
            ["apis", group] => Self::Group((*group).to_owned()),
            ["api", version] => Self::Resources { group: String::new(), version: (*version).to_owned() },
            ["apis", group, version] => Self::Resources { group: (*group).to_owned(), version: (*version).to_owned() },
            ["openapi", "v3"] => Self::OpenApiV3,
            ["apis", "metrics.k8s.io", "v1beta1", rest @ ..] => Self::metrics(rest),
            ["apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews"] => Self::Review(Review::Access),
            ["apis", "authorization.k8s.io", "v1", "selfsubjectrulesreviews"] => Self::Review(Review::Rules),
            ["apis", "authentication.k8s.io", "v1", "selfsubjectreviews"] => Self::Review(Review::SelfSubject),
            ["prometheus", rest @ ..] => Self::Monitoring(Which::Prometheus, rest.join("/")),
            ["alertmanager", rest @ ..] => Self::Monitoring(Which::Alertmanager, rest.join("/")),
            ["api", "v1", "namespaces", namespace, "services", service, "proxy", rest @ ..] => {
                // `scheme:name:port`, of which only the name must be there.
                let (service, port) = match service.split(':').collect::<Vec<_>>().as_slice() {
                    [name] => (*name, ""),
                    [name, port] | [_, name, port] => (*name, *port),
                    _ => return Self::Nowhere,
                };
                Self::Proxy(ProxyTarget {
                    namespace: (*namespace).to_owned(),
                    service: service.to_owned(),
                    port: port.to_owned(),
                    path: rest.join("/"),
                })
            }
            ["api", version, rest @ ..] => Self::object("", version, rest),
            ["apis", group, version, rest @ ..] => Self::object(group, version, rest),
            _ => Self::Nowhere,
        }
    }

    fn object(group: &str, version: &str, rest: &[&str]) -> Self {
        // `namespaces/x` alone is a Namespace; with more behind it, it is a prefix.
        let (namespace, rest) = match rest {
            ["namespaces", ns, tail @ ..] if !tail.is_empty() && !matches!(tail, ["status" | "finalize"]) => {
                (*ns, tail)
            }
            _ => ("", rest),
        };
        let (plural, name, sub) = match rest {
            [plural] => (*plural, "", None),
            [plural, name] => (*plural, *name, None),
            [plural, name, sub] => (*plural, *name, Some(*sub)),
            _ => return Self::Nowhere,
        };
        let Some(resource) = resource::find(group, version, plural) else { return Self::Nowhere };
        if namespace.is_empty() == resource.namespaced && (!namespace.is_empty() || !name.is_empty()) {
            return Self::Nowhere;
        }
        let sub = match sub {
            None => None,
            Some(sub) => match resource.subresources.iter().find(|s| s.name() == sub) {
                Some(found) => Some(*found),
                None => return Self::Nowhere,
            },
        };
        Self::Object(Target { resource, namespace: namespace.to_owned(), name: name.to_owned(), sub })
    }

    fn metrics(rest: &[&str]) -> Self {
        let (pods, namespace, name) = match rest {
            ["nodes"] => (false, "", ""),
            ["nodes", name] => (false, "", *name),
            ["pods"] => (true, "", ""),
            ["namespaces", ns, "pods"] => (true, *ns, ""),
            ["namespaces", ns, "pods", name] => (true, *ns, *name),
            _ => return Self::Nowhere,
        };
        Self::Metrics(MetricsTarget { pods, namespace: namespace.to_owned(), name: name.to_owned() })
    }

    /// The plural name that faults and access rules go by.
    pub(crate) fn plural(&self) -> Option<&'static str> {
        match self {
            Self::Object(target) => Some(target.resource.plural),
            Self::Monitoring(which, _) => Some(which.word()),
            Self::Proxy(_) => Some("services/proxy"),
            Self::Metrics(target) => Some(if target.pods { "pods.metrics.k8s.io" } else { "nodes.metrics.k8s.io" }),
            _ => None,
        }
    }

    /// Whether anyone may ask, token or not.
    pub(crate) fn is_public(&self) -> bool {
        matches!(self, Self::Health | Self::Version | Self::Monitoring(..))
    }
}

/// A request's query parameters; of a repeated one, the first.
#[derive(Debug, Default)]
pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    pub(crate) fn parse(query: &str) -> Self {
        let mut all = BTreeMap::new();
        for pair in query.split('&').filter(|p| !p.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            all.entry(decode(&key.replace('+', " "))).or_insert_with(|| decode(&value.replace('+', " ")));
        }
        Self(all)
    }

    /// The value, empty when absent.
    pub(crate) fn get(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    /// `1`, `true` or without a value.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(|v| matches!(v.as_str(), "" | "1" | "true" | "True"))
    }

    /// A number, if there is one. The error is the API server's message.
    pub(crate) fn number(&self, key: &str) -> Result<Option<i64>, String> {
        match self.get(key) {
            "" => Ok(None),
            text => text
                .parse()
                .map(Some)
                .map_err(|_| format!("strconv.ParseInt: parsing {text:?}: invalid syntax (query parameter {key})")),
        }
    }

    pub(crate) fn dry_run(&self) -> bool {
        self.get("dryRun") == "All"
    }
}

/// Every parameter, in order, repeated ones too.
pub(crate) fn parameters(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|p| !p.is_empty()).map(|p| p.split_once('=').unwrap_or((p, "")));
    pairs.map(|(k, v)| (decode(&k.replace('+', " ")), decode(&v.replace('+', " ")))).collect()
}

/// Undoes percent-encoding; what is not well-formed stays as it is.
fn decode(s: &str) -> String {
    let bytes = s.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&b) = bytes.get(at) {
        let pair = (b == b'%').then(|| bytes.get(at + 1..at + 3)).flatten();
        let decoded = pair.and_then(|p| std::str::from_utf8(p).ok()).and_then(|p| u8::from_str_radix(p, 16).ok());
        out.push(decoded.unwrap_or(b));
        at += if decoded.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str) -> Option<(String, String, String, Option<Subresource>)> {
        match Route::parse(path) {
            Route::Object(t) => Some((t.resource.plural.to_owned(), t.namespace, t.name, t.sub)),
            _ => None,
        }
    }

    #[test]
    fn objects() {
        let some = |p: &str, ns: &str, n: &str, s| Some((p.to_owned(), ns.to_owned(), n.to_owned(), s));
        assert_eq!(target("/api/v1/pods"), some("pods", "", "", None));
        assert_eq!(target("/api/v1/namespaces"), some("namespaces", "", "", None));
        assert_eq!(target("/api/v1/namespaces/shop"), some("namespaces", "", "shop", None));
        assert_eq!(target("/api/v1/namespaces/shop/pods/a"), some("pods", "shop", "a", None));
        assert_eq!(target("/api/v1/namespaces/shop/pods/a/log"), some("pods", "shop", "a", Some(Subresource::Log)));
        assert_eq!(
            target("/apis/apps/v1/namespaces/shop/deployments/web/scale"),
            some("deployments", "shop", "web", Some(Subresource::Scale))
        );
        for nowhere in
            ["/api/v1/secretz", "/api/v1/pods/a", "/api/v1/namespaces/x/nodes/n", "/api/v1/nodes/n/log", "/x/y"]
        {
            assert_eq!(target(nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn queries() {
        let q = Query::parse("labelSelector=app%3Dweb%2Ctier+in+%28a%29&watch=1&limit=5&follow&bad=%zz");
        assert_eq!(q.get("labelSelector"), "app=web,tier in (a)");
        assert!(q.flag("watch") && q.flag("follow") && !q.flag("none"));
        assert_eq!(q.number("limit"), Ok(Some(5)));
        assert_eq!(q.get("bad"), "%zz");
        assert!(q.number("watch").is_ok() && q.number("bad").is_err());
    }
}
