//! Finding a Prometheus and an Alertmanager among a cluster's services.

use std::collections::BTreeMap;

use serde_json::Value;

use super::http::Way;
use super::{BackendSpec, Looking, Starter};
use crate::config::{BackendSettings, Place, ServiceName};
use crate::domain::{BackendKind, ClusterId};
use crate::source::SourceError;
use crate::source::kubernetes::{Reader, Writer};

/// A cluster has more services than this only if it is large; then the usual names are still
/// likely among the first, and one list is all that is asked.
const MOST: u32 = 5000;

/// A cluster to look into, and what is wanted there.
#[derive(Clone)]
pub struct Look {
    /// Asks it.
    pub reader: Reader,
    /// Changes it; `None` where nothing may be changed.
    pub writer: Option<Writer>,
    /// Its name.
    pub cluster: ClusterId,
    /// A Prometheus is wanted.
    pub prometheus: bool,
    /// An Alertmanager is wanted.
    pub alertmanager: bool,
}

/// What a service is, and how likely, the most likely first. The services that operators make
/// for themselves come before those that only look alike.
fn kind_of(name: &str, labels: &BTreeMap<&str, &str>) -> Option<(BackendKind, u8)> {
    let app = labels.get("app.kubernetes.io/name").or(labels.get("app")).copied().unwrap_or_default();
    let operated = labels.contains_key("operated-prometheus");
    let other = ["node-exporter", "operator", "pushgateway", "adapter", "blackbox", "kube-state", "thanos-discovery"];
    if other.iter().any(|o| name.contains(o)) {
        return None;
    }
    let alertmanager = labels.contains_key("operated-alertmanager");
    Some(match name {
        "alertmanager-operated" => (BackendKind::Alertmanager, 0),
        "alertmanager" => (BackendKind::Alertmanager, 1),
        n if n.ends_with("-alertmanager") || n.starts_with("alertmanager-") => (BackendKind::Alertmanager, 2),
        _ if alertmanager || app == "alertmanager" => (BackendKind::Alertmanager, 3),
        "prometheus-operated" => (BackendKind::Prometheus, 0),
        "prometheus-server" => (BackendKind::Prometheus, 1),
        n if n.starts_with("kube-prometheus") => (BackendKind::Prometheus, 2),
        "prometheus" | "prometheus-k8s" => (BackendKind::Prometheus, 3),
        _ if operated || app == "prometheus" => (BackendKind::Prometheus, 4),
        _ => return None,
    })
}

/// The port that serves the API: by its name, else the usual number, else the first.
fn port_of(service: &Value, kind: BackendKind) -> Option<(String, bool)> {
    let ports = service.pointer("/spec/ports")?.as_array()?;
    let name = |p: &Value| p.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = |p: &Value| p.get("port").and_then(Value::as_u64);
    let usual = if kind == BackendKind::Prometheus { 9090 } else { 9093 };
    let by_name = ports.iter().find(|p| matches!(name(p).as_str(), "web" | "http-web" | "http" | "https"));
    let port = ports.iter().find(|p| number(p) == Some(usual)).or(by_name).or(ports.first())?;
    Some((number(port)?.to_string(), name(port) == "https"))
}

/// The likeliest service of each kind.
#[must_use]
pub fn likely(services: &[Value]) -> BTreeMap<BackendKind, ServiceName> {
    let mut best: BTreeMap<BackendKind, (u8, ServiceName)> = BTreeMap::new();
    for service in services {
        let text = |at: &str| service.pointer(at).and_then(Value::as_str).unwrap_or_default();
        let labels = service.pointer("/metadata/labels").and_then(Value::as_object);
        let labels: BTreeMap<&str, &str> =
            labels.into_iter().flatten().filter_map(|(k, v)| Some((k.as_str(), v.as_str()?))).collect();
        let (name, namespace) = (text("/metadata/name"), text("/metadata/namespace"));
        let Some((kind, rank)) = kind_of(name, &labels) else { continue };
        let Some((port, tls)) = port_of(service, kind) else { continue };
        let found = ServiceName { namespace: namespace.to_owned(), name: name.to_owned(), port, tls };
        if best.get(&kind).is_none_or(|(r, s)| (rank, &found) < (*r, s)) {
            best.insert(kind, (rank, found));
        }
    }
    best.into_iter().map(|(kind, (_, service))| (kind, service)).collect()
}

impl Look {
    /// The backends that it has. Without permission there are none, and nothing is said.
    ///
    /// # Errors
    /// What else goes wrong.
    pub(super) async fn find(&self) -> Result<Vec<BackendSpec>, SourceError> {
        let services = match self.reader.services(MOST).await {
            Err(SourceError::Forbidden { .. } | SourceError::NotFound { .. }) => return Ok(Vec::new()),
            other => other?,
        };
        let wanted = |kind| if kind == BackendKind::Prometheus { self.prometheus } else { self.alertmanager };
        let found = likely(&services).into_iter().filter(|(kind, _)| wanted(*kind));
        Ok(found
            .map(|(kind, service)| {
                let word = if kind == BackendKind::Prometheus { "prometheus" } else { "alertmanager" };
                let name = format!("{}/{word}", self.cluster);
                let (reader, writer, path) = (self.reader.clone(), self.writer.clone(), String::new());
                BackendSpec {
                    id: ClusterId::new(&name),
                    kind,
                    way: Way::Service { reader, writer, service: service.clone(), path },
                    settings: BackendSettings::at(&name, Place::Service(service)),
                    cluster: Some(self.cluster.clone()),
                }
            })
            .collect())
    }
}

/// Looks once the cluster answers, then starts what was found. A cluster that does not answer keeps
/// nobody waiting: what it has is found later.
pub(super) async fn run(look: Look, looking: Looking, starter: Starter) {
    let mut looking = Some(looking);
    let mut backoff = crate::source::supervise::Backoff::default();
    let found = loop {
        match look.find().await {
            Ok(found) => break found,
            Err(error) => {
                // The cluster's own feeds say what is wrong with it.
                looking = None;
                tracing::debug!(cluster = look.cluster.as_str(), %error, "services were not listed");
                tokio::time::sleep(backoff.after_failure()).await;
            }
        }
    };
    let mut running = tokio::task::JoinSet::new();
    for spec in found {
        tracing::info!(cluster = look.cluster.as_str(), backend = spec.id.as_str(), "was found");
        for work in starter.introduced(spec).await {
            running.spawn(work);
        }
    }
    drop(looking);
    while running.join_next().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn service(namespace: &str, name: &str, ports: &[(&str, u64)], labels: &Value) -> Value {
        let ports: Vec<Value> = ports.iter().map(|(n, p)| json!({"name": n, "port": p})).collect();
        json!({"metadata": {"name": name, "namespace": namespace, "labels": labels}, "spec": {"ports": ports}})
    }

    #[test]
    fn operators_services_come_first_and_exporters_not_at_all() {
        let none = json!({});
        let all = [
            service("monitoring", "kube-prometheus-stack-prometheus", &[("reloader", 8080), ("http-web", 9090)], &none),
            service("monitoring", "prometheus-operated", &[("web", 9090)], &json!({"operated-prometheus": "true"})),
            service("monitoring", "kube-prometheus-stack-operator", &[("https", 443)], &none),
            service("monitoring", "prometheus-node-exporter", &[("metrics", 9100)], &none),
            service("obs", "alertmanager", &[("mesh", 9094), ("web", 9093)], &none),
            service("shop", "checkout", &[("http", 80)], &none),
        ];
        let found = likely(&all);
        assert_eq!(found[&BackendKind::Prometheus].to_string(), "monitoring/prometheus-operated:9090");
        assert_eq!(found[&BackendKind::Alertmanager].to_string(), "obs/alertmanager:9093");
        let helm = [service("default", "prometheus-server", &[("http", 80)], &none)];
        assert_eq!(likely(&helm)[&BackendKind::Prometheus].to_string(), "default/prometheus-server:80");
        assert!(likely(&all[2..4]).is_empty());
    }
}
