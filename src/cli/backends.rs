//! Which metric backends are read: those of the flags, those of the settings, and those that
//! are found in the clusters.

use color_eyre::eyre::eyre;
use tokio::sync::mpsc;

use super::CliError;
use super::args::Cli;
use crate::action::Policy;
use crate::clock::Clock;
use crate::config::{BackendSettings, Config, Place, url_mistake};
use crate::domain::{BackendKind, ClusterId, Text};
use crate::run::backend::Backend;
use crate::source::prometheus::{BackendSpec, NOBODY, Plan, Sources, Way};
use crate::store::{Observation, Store};

/// True where flags or settings name a backend.
#[cfg(any(feature = "aws", feature = "kubernetes"))]
pub fn any(cli: &Cli, config: &Config) -> bool {
    let flags = !cli.common.prometheus.is_empty() || !cli.common.alertmanager.is_empty();
    flags || !config.prometheus.is_empty() || !config.alertmanager.is_empty()
}

/// Starts reading them, for a store that expects `clusters`.
pub fn start(
    cli: &Cli,
    config: &Config,
    (clusters, policy): (&[ClusterId], &Policy),
    (store, backend): (Store, Backend),
    tx: mpsc::Sender<Observation>,
    clock: &Clock,
    objectives: Option<crate::slo::Outcome>,
) -> Result<(Store, Backend), CliError> {
    // A demo reads nothing of the user's.
    let demo = cli.common.demo.is_some();
    let mut specs = if demo { Vec::new() } else { specs(cli, config, clusters, &backend)? };
    for spec in &mut specs {
        let of_cluster = spec.cluster.as_ref().and_then(|c| policy.clusters.get(c)).is_some_and(|c| c.read_only);
        spec.settings.read_only |= policy.read_only || of_cluster;
    }
    let plan = Plan {
        known: clusters.to_vec(),
        interval: if demo { DEMO.min(config.backends_interval) } else { config.backends_interval },
        slo_interval: if demo { DEMO.min(config.slo_interval) } else { config.slo_interval },
        services: if demo { Vec::new() } else { config.services.clone() },
        #[cfg(feature = "kubernetes")]
        looks: looks(config, clusters, &specs, &backend),
        objectives,
    };
    let mut names: Vec<ClusterId> = specs.iter().map(|s| s.id.clone()).collect();
    if plan.is_for_nobody(&specs) {
        names.push(ClusterId::new(NOBODY));
    }
    let sources = Sources::spawn(specs, plan, tx, clock.clone());
    Ok((store.and_backends(names), backend.and_metrics(sources)))
}

/// A demo is looked at for minutes: things should move.
const DEMO: std::time::Duration = std::time::Duration::from_secs(5);

/// Flags win over settings: who names one on the command line means that one.
fn specs(cli: &Cli, config: &Config, clusters: &[ClusterId], backend: &Backend) -> Result<Vec<BackendSpec>, CliError> {
    let mut out: Vec<BackendSpec> = Vec::new();
    for (kind, flag, urls, settings) in [
        (BackendKind::Prometheus, "--prometheus", &cli.common.prometheus, &config.prometheus),
        (BackendKind::Alertmanager, "--alertmanager", &cli.common.alertmanager, &config.alertmanager),
    ] {
        for url in urls {
            if let Some(why) = url_mistake(url) {
                return Err(eyre!(
                    "{flag}: the URL {why}; give http://HOST:PORT/PATH, and credentials in the settings"
                ));
            }
        }
        let flags: Vec<BackendSettings> =
            urls.iter().map(|u| BackendSettings::at(&host(u), Place::Url(u.clone()))).collect();
        for one in if flags.is_empty() { settings.clone() } else { flags } {
            let taken =
                |name: &str| out.iter().any(|s| s.id.as_str() == name) || clusters.iter().any(|c| c.as_str() == name);
            let more = (2_u32..).map(|n| format!("{}#{n}", one.name));
            let name = std::iter::once(one.name.clone()).chain(more).find(|n| !taken(n)).unwrap_or_default();
            out.push(spec(ClusterId::new(&name), kind, one, clusters, backend));
        }
    }
    Ok(out)
}

/// Host and port of a URL, which has been looked at already.
fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest).to_owned()
}

fn spec(
    id: ClusterId,
    kind: BackendKind,
    settings: BackendSettings,
    clusters: &[ClusterId],
    backend: &Backend,
) -> BackendSpec {
    // The only cluster is the one that series are about, unless somebody says otherwise.
    let only = if let [one] = clusters { Some(one.clone()) } else { None };
    let cluster = settings.cluster.as_ref().map(|name| ClusterId::new(name)).or(only);
    let way = match &settings.place {
        Place::Url(url) => Way::Url(url.clone()),
        Place::Service(service) => through(cluster.as_ref(), service, &settings.path, backend),
    };
    BackendSpec { id, kind, way, settings, cluster }
}

#[cfg(feature = "kubernetes")]
fn through(cluster: Option<&ClusterId>, service: &crate::config::ServiceName, path: &str, backend: &Backend) -> Way {
    match cluster.map(|c| (c, backend.reader(c))) {
        Some((c, Some(reader))) => {
            Way::Service { reader, writer: backend.writer(c), service: service.clone(), path: path.to_owned() }
        }
        Some((c, None)) => Way::Nowhere(Text::new(&format!(
            "the Kubernetes cluster {c} is not read; name it with --context or [[cluster]]"
        ))),
        None => Way::Nowhere(Text::new("a service needs the `cluster` it is in")),
    }
}

#[cfg(not(feature = "kubernetes"))]
fn through(_: Option<&ClusterId>, _: &crate::config::ServiceName, _: &str, _: &Backend) -> Way {
    Way::Nowhere(Text::new("this build reads no Kubernetes clusters, and no services in them"))
}

/// The Kubernetes clusters for which something is not set up.
#[cfg(feature = "kubernetes")]
fn looks(
    config: &Config,
    clusters: &[ClusterId],
    specs: &[BackendSpec],
    backend: &Backend,
) -> Vec<crate::source::prometheus::Look> {
    if !config.backends_discover {
        return Vec::new();
    }
    let missing = |cluster: &ClusterId, kind| {
        // One that is about no cluster in particular is about all.
        !specs.iter().any(|s| s.kind == kind && s.cluster.as_ref().is_none_or(|c| c == cluster))
    };
    let look = |cluster: &ClusterId| {
        let reader = backend.reader(cluster)?;
        let (prometheus, alertmanager) =
            (missing(cluster, BackendKind::Prometheus), missing(cluster, BackendKind::Alertmanager));
        let (cluster, writer) = (cluster.clone(), backend.writer(cluster));
        let look = crate::source::prometheus::Look { reader, writer, cluster, prometheus, alertmanager };
        (prometheus || alertmanager).then_some(look)
    };
    clusters.iter().filter_map(look).collect()
}
