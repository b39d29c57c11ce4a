//! Which clusters are read, and the sources that read them.

#[cfg(any(feature = "aws", feature = "kubernetes"))]
use color_eyre::eyre::eyre;
#[cfg(any(feature = "aws", feature = "kubernetes"))]
use std::sync::Arc;
#[cfg(any(feature = "aws", feature = "kubernetes"))]
use std::time::Duration;
use tokio::sync::mpsc;

use super::CliError;
use super::actors::{self, Systems};
use super::args::Cli;
#[cfg(feature = "aws")]
use super::session::env;
use super::session::{Reading, start_sim};
use crate::action::guard::ClusterPolicy;
use crate::clock::Clock;
#[cfg(feature = "aws")]
use crate::config::{self, EcsName};
use crate::config::{ClusterSettings, Config};
use crate::domain::{Accent, ClusterId, Severity, Text};
use crate::run::backend::Backend;
use crate::sim::model::Parameters;
use crate::sim::server::{ServerOptions, SimServer};
#[cfg(feature = "aws")]
use crate::source::aws::{AccountSpec, EcsSpec, Keys, profiles};
#[cfg(feature = "kubernetes")]
use crate::source::kubernetes::{ClusterSpec, Kubeconfig, Sources, contexts, in_cluster};
use crate::store::Store;
use crate::store::alarm_log::AlarmRules;
#[cfg(feature = "aws")]
use crate::store::{Body, Feed, Observation, SourceId};

/// How long listing the ECS clusters may take before the start goes on without them.
#[cfg(all(feature = "aws", feature = "kubernetes"))]
const DISCOVERY: Duration = Duration::from_secs(20);
/// The same where nothing is set up, and only a machine with a role would answer.
#[cfg(all(feature = "aws", feature = "kubernetes"))]
const MACHINE: Duration = Duration::from_millis(1500);

/// What is to be known of some clusters: which, and what.
#[cfg(feature = "aws")]
type Remarks = Vec<(ClusterId, String)>;

/// What is to be read.
#[derive(Default)]
pub struct Wanted {
    /// Kubernetes clusters.
    #[cfg(feature = "kubernetes")]
    pub kubernetes: Vec<ClusterSpec>,
    /// ECS clusters.
    #[cfg(feature = "aws")]
    pub ecs: Vec<EcsSpec>,
    /// ECS clusters that are found while the console runs already.
    #[cfg(feature = "aws")]
    pub ecs_later: Option<crate::source::ecs::Later>,
    /// What is to be known of some of them.
    #[cfg(feature = "aws")]
    pub remarks: Remarks,
}

impl Wanted {
    #[cfg_attr(not(feature = "kubernetes"), expect(clippy::unused_self, reason = "the same call in every build"))]
    fn kubernetes_ids(&self) -> Vec<ClusterId> {
        #[cfg(feature = "kubernetes")]
        return self.kubernetes.iter().map(|s| s.id.clone()).collect();
        #[cfg(not(feature = "kubernetes"))]
        Vec::new()
    }

    /// What is said of each of them.
    fn policies(&self) -> std::collections::BTreeMap<ClusterId, ClusterPolicy> {
        #[cfg_attr(
            not(any(feature = "kubernetes", feature = "aws")),
            expect(unused_mut, reason = "the same call in every build")
        )]
        let mut out = std::collections::BTreeMap::new();
        #[cfg(feature = "kubernetes")]
        out.extend(
            self.kubernetes
                .iter()
                .map(|s| (s.id.clone(), ClusterPolicy { production: s.production, read_only: s.read_only })),
        );
        #[cfg(feature = "aws")]
        out.extend(
            self.ecs.iter().map(|s| (s.id.clone(), ClusterPolicy { production: s.production, read_only: s.read_only })),
        );
        out
    }

    /// Every cluster that is known from the start.
    fn ids(&self) -> Vec<ClusterId> {
        #[cfg_attr(not(feature = "aws"), expect(unused_mut, reason = "the same call in every build"))]
        let mut ids = self.kubernetes_ids();
        #[cfg(feature = "aws")]
        ids.extend(self.ecs.iter().map(|s| s.id.clone()));
        ids
    }
}

/// One cluster, to get into its tasks.
#[cfg(any(feature = "aws", feature = "kubernetes"))]
pub enum One {
    /// A Kubernetes cluster.
    #[cfg(feature = "kubernetes")]
    Kubernetes(Box<ClusterSpec>),
    /// An ECS cluster.
    #[cfg(feature = "aws")]
    Ecs(Box<EcsSpec>),
}

/// The one cluster that is meant, and the demo that it may be of. ECS is meant where it is named, or nothing else is
/// configured.
#[cfg(any(feature = "aws", feature = "kubernetes"))]
pub async fn one(cli: &Cli, config: &Config) -> Result<(One, Option<SimServer>), CliError> {
    let (mut found, sim) = match &cli.common.demo {
        Some(scenario) => {
            let options = ServerOptions { name: "demo".to_owned(), ..ServerOptions::default() };
            let sim = start_sim(scenario, Parameters::default(), options, Clock::system()).await?;
            (ones_of_demo(cli, of_demo(cli, config, &sim)), Some(sim))
        }
        None => (ones(cli, config)?, None),
    };
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok((one, sim)),
        _ => Err(eyre!("one cluster at a time: name it with --context or --ecs-cluster")),
    }
}

#[cfg(any(feature = "aws", feature = "kubernetes"))]
fn ones(cli: &Cli, config: &Config) -> Result<Vec<One>, CliError> {
    let mut out = Vec::new();
    let named = !cli.common.context.is_empty() || !cli.common.ecs_cluster.is_empty();
    let all_ecs = !config.clusters.is_empty() && config.clusters.iter().all(|c| c.ecs.is_some());
    let is_ecs = !cli.common.ecs_cluster.is_empty() || (!named && all_ecs);
    #[cfg(feature = "kubernetes")]
    if !is_ecs || !cli.common.context.is_empty() {
        out.extend(specs(cli, config)?.into_iter().map(|s| One::Kubernetes(Box::new(s))));
    }
    #[cfg(feature = "aws")]
    if is_ecs || cfg!(not(feature = "kubernetes")) {
        out.extend(ecs_specs(cli, config, &[])?.0.into_iter().map(|s| One::Ecs(Box::new(s))));
    }
    let _ = is_ecs;
    Ok(out)
}

/// Of a demo: the ECS clusters that are named, else its Kubernetes cluster.
#[cfg(any(feature = "aws", feature = "kubernetes"))]
fn ones_of_demo(cli: &Cli, wanted: Wanted) -> Vec<One> {
    let mut out = Vec::new();
    #[cfg(feature = "aws")]
    for text in &cli.common.ecs_cluster {
        let name = config::ecs::parse(text).map(|n| n.name).unwrap_or_default();
        let fits = |s: &&EcsSpec| s.cluster == name || s.id.as_str() == text;
        out.extend(wanted.ecs.iter().filter(fits).map(|s| One::Ecs(Box::new(s.clone()))));
    }
    #[cfg(feature = "kubernetes")]
    if cli.common.ecs_cluster.is_empty() {
        out.extend(wanted.kubernetes.into_iter().map(|s| One::Kubernetes(Box::new(s))));
    }
    let _ = cli;
    out
}

/// Starts reading: the demo's fleet, or the user's clusters.
pub async fn read(cli: &Cli, config: &Config, clock: &Clock) -> Result<Reading, CliError> {
    if let Some(scenario) = &cli.common.demo {
        let options = ServerOptions { name: "demo".to_owned(), ..ServerOptions::default() };
        let sim = start_sim(scenario, Parameters::default(), options, clock.clone()).await?;
        let mut config = config.clone();
        // A demo is looked at for minutes: sparklines should move.
        config.metrics_interval = config.metrics_interval.min(std::time::Duration::from_secs(5));
        return read_demo(cli, &config, clock, sim);
    }
    let stays = matches!(cli.verb, None | Some(super::args::Verb::Wallboard(_)));
    let wanted = Box::pin(wanted(cli, config, stays)).await?;
    start(cli, config, clock, wanted, None)
}

/// Starts reading the demo's fleet, which is there already.
pub fn read_demo(cli: &Cli, config: &Config, clock: &Clock, sim: SimServer) -> Result<Reading, CliError> {
    let wanted = of_demo(cli, config, &sim);
    start(cli, config, clock, wanted, Some(sim))
}

fn start(
    cli: &Cli,
    config: &Config,
    clock: &Clock,
    wanted: Wanted,
    sim: Option<SimServer>,
) -> Result<Reading, CliError> {
    let (tx, observations) = mpsc::channel(crate::run::OBSERVATIONS);
    let clusters = wanted.ids();
    let store =
        Store::expecting(wanted.kubernetes_ids()).and_alarm_rules(alarm_rules(config)).and_accents(accents(config));
    let policy = actors::policy(config, wanted.policies());
    #[cfg_attr(
        not(any(feature = "kubernetes", feature = "aws", feature = "prometheus")),
        expect(unused_mut, reason = "the same call in every build")
    )]
    let mut systems = Systems::default();
    let backend = Backend::default();
    #[cfg(feature = "kubernetes")]
    let backend = if wanted.kubernetes.is_empty() {
        backend
    } else {
        let sources = Arc::new(Sources::spawn(wanted.kubernetes, tx.clone(), clock.clone()));
        systems.kubernetes = Some(Arc::downgrade(&sources));
        backend.and_kubernetes(sources)
    };
    #[cfg(any(feature = "aws", feature = "prometheus"))]
    #[cfg_attr(not(feature = "aws"), expect(unused_mut, reason = "only AWS takes its own out"))]
    let mut objectives = objectives(cli, config)?;
    #[cfg(feature = "aws")]
    let (store, backend) = {
        let (store, backend, accounts) = if wanted.ecs.is_empty() && wanted.ecs_later.is_none() {
            (store, backend, None)
        } else {
            for (cluster, text) in wanted.remarks {
                let source = SourceId { cluster, feed: Feed::Tasks };
                // A channel that was made just now has room.
                drop(tx.try_send(Observation { source, at: clock.now(), body: Body::Note(Text::new(&text)) }));
            }
            let own = over_cloudwatch(&mut objectives, config);
            let name = (!own.definitions.is_empty()).then(|| ClusterId::new(crate::source::aws::budgets::CLOUDWATCH));
            let store = store.and_ecs(wanted.ecs.iter().map(|s| s.id.clone())).and_backends(name);
            let (ecs, later) = (wanted.ecs, wanted.ecs_later);
            let sources = Arc::new(crate::source::ecs::Sources::following(ecs, later, own, tx.clone(), clock.clone()));
            systems.ecs = Some(Arc::downgrade(&sources));
            let accounts = sources.accounts();
            (store, backend.and_ecs(sources), Some(accounts))
        };
        match super::notices::start(cli, config, &clusters, accounts, tx.clone(), clock) {
            Some(notices) => (store, backend.and_notices(notices)),
            None => (store, backend),
        }
    };
    #[cfg(feature = "prometheus")]
    let (store, backend) =
        super::backends::start(cli, config, (&clusters, &policy), (store, backend), tx.clone(), clock, objectives)?;
    #[cfg(feature = "prometheus")]
    {
        systems.alertmanagers = backend.alertmanagers();
    }
    let _ = (clusters, clock);
    // The sources hold the channel: it closes when they end.
    drop(tx);
    Ok(Reading { store, observations, backend, sim, policy, systems })
}

/// What is promised: by the demo's fleet, or in the user's files.
#[cfg(any(feature = "aws", feature = "prometheus"))]
fn objectives(cli: &Cli, config: &Config) -> Result<Option<crate::slo::Outcome>, CliError> {
    Ok(match (&cli.common.demo, config.slo_files.as_slice()) {
        (Some(scenario), _) => super::session::demo_objectives(scenario)?,
        (None, []) => None,
        (None, files) => Some(crate::slo::load(files)),
    })
}

/// The objectives over CloudWatch, taken out of all of them.
#[cfg(feature = "aws")]
fn over_cloudwatch(
    objectives: &mut Option<crate::slo::Outcome>,
    config: &Config,
) -> crate::source::aws::budgets::Objectives {
    let is = |d: &crate::slo::Definition| matches!(d.signal, crate::slo::Signal::CloudWatch(_));
    let all = objectives.as_mut().map(|o| std::mem::take(&mut o.definitions)).unwrap_or_default();
    let (definitions, rest) = all.into_iter().partition(is);
    if let Some(objectives) = objectives {
        objectives.definitions = rest;
    }
    crate::source::aws::budgets::Objectives { definitions, interval: config.slo_interval }
}

/// The colours that clusters were given, by the names on screen.
fn accents(config: &Config) -> Vec<(ClusterId, Accent)> {
    let given = |s: &ClusterSettings| Some((ClusterId::new(&s.name), Accent::from_name(s.accent?)?));
    config.clusters.iter().filter_map(given).collect()
}

/// What the configuration says of alarms in general.
fn alarm_rules(config: &Config) -> AlarmRules {
    let words = [
        (&config.severity_page, Severity::Critical),
        (&config.severity_ticket, Severity::Warning),
        (&config.severity_info, Severity::Info),
    ];
    let severities = words.iter().flat_map(|(words, severity)| words.iter().map(|w| (w.clone(), *severity))).collect();
    let runbooks = config.runbooks.iter().map(|r| (r.alarm.clone(), Text::new(&r.url))).collect();
    AlarmRules { severities, runbooks }
}

/// The demo's clusters: one Kubernetes, and the ECS clusters of the scenario.
fn of_demo(cli: &Cli, config: &Config, sim: &SimServer) -> Wanted {
    let _ = (cli, config, sim);
    Wanted {
        #[cfg(feature = "kubernetes")]
        kubernetes: vec![ClusterSpec {
            id: ClusterId::new("demo"),
            context: None,
            kubeconfig: Kubeconfig::Inline(sim.kubeconfig()),
            namespace: cli.common.namespace.clone(),
            production: config.cluster("demo").is_some_and(|s| s.production),
            read_only: config.read_only,
            metrics_interval: config.metrics_interval,
            silence: crate::source::kubernetes::SILENCE,
        }],
        #[cfg(feature = "aws")]
        ecs: ecs_of_demo(config, sim),
        #[cfg(feature = "aws")]
        ecs_later: None,
        #[cfg(feature = "aws")]
        remarks: Vec::new(),
    }
}

#[cfg(feature = "aws")]
fn ecs_of_demo(config: &Config, sim: &SimServer) -> Vec<EcsSpec> {
    let access = sim.aws();
    let full = |(name, region, account): &(String, String, String)| format!("demo-{account}@{region}/{name}");
    let pairs: Vec<(String, String)> = access.clusters.iter().map(|c| (c.0.clone(), full(c))).collect();
    let names = config::ecs::distinct(&pairs, &["demo".to_owned()]);
    let spec = |((name, region, account), shown): (&(String, String, String), String)| EcsSpec {
        id: ClusterId::new(&shown),
        cluster: name.clone(),
        account: AccountSpec {
            profile: Some(format!("demo-{account}")),
            region: Some(region.clone()),
            endpoint: Some(access.endpoint.clone()),
            keys: Some(Keys { id: access.key_for(account), secret: access.secret.clone() }),
            ceiling: Some(config.aws_ceiling),
        },
        production: false,
        read_only: config.read_only,
        // A demo is looked at for minutes: things should move.
        interval: config.aws_interval.min(Duration::from_secs(3)),
    };
    access.clusters.iter().zip(names).map(spec).collect()
}

/// The user's clusters: those named, those configured, or what the usual places offer.
#[cfg_attr(not(feature = "aws"), expect(clippy::unused_async, reason = "only AWS is asked what there is"))]
pub async fn wanted(cli: &Cli, config: &Config, console: bool) -> Result<Wanted, CliError> {
    #[cfg_attr(
        not(any(feature = "aws", feature = "kubernetes")),
        expect(unused_mut, reason = "nothing finds clusters in this build")
    )]
    let mut wanted = Wanted::default();
    let named = !cli.common.context.is_empty() || !cli.common.ecs_cluster.is_empty();
    let configured = !config.clusters.is_empty();
    #[cfg(feature = "kubernetes")]
    {
        let only_ecs = (named && cli.common.context.is_empty())
            || (!named && configured && config.clusters.iter().all(|c| c.ecs.is_some()));
        if !only_ecs {
            match specs(cli, config) {
                Ok(specs) => wanted.kubernetes = specs,
                // AWS's usual environment is enough to start with, and so is a metric backend.
                Err(error) => {
                    if has_backends(cli, config) && !named && !configured {
                        tracing::info!(%error, "no Kubernetes cluster");
                    } else if named || configured || config.kubeconfig.is_some() {
                        return Err(error);
                    } else {
                        #[cfg(feature = "aws")]
                        return only_aws(config, error).await;
                        #[cfg(not(feature = "aws"))]
                        return Err(error);
                    }
                }
            }
        }
    }
    #[cfg(feature = "aws")]
    let taken: Vec<String> = wanted.kubernetes_ids().iter().map(ToString::to_string).collect();
    #[cfg(feature = "aws")]
    {
        (wanted.ecs, wanted.remarks) = ecs_specs(cli, config, &taken)?;
    }
    #[cfg(feature = "aws")]
    if !named && !configured && profiles::are_set_up(&env) {
        // Who has a kubeconfig does not wait for AWS, which many have for EKS's sake only.
        if console && !wanted.kubernetes_ids().is_empty() {
            wanted.ecs_later = Some(Box::pin(discover(config.clone(), taken)));
        } else {
            wanted.ecs = discover(config.clone(), taken).await;
            if wanted.ecs.is_empty() && wanted.kubernetes_ids().is_empty() && !has_backends(cli, config) {
                return Err(eyre!("AWS's usual environment lists no ECS cluster; name one: --ecs-cluster REGION/NAME"));
            }
        }
    }
    let _ = (cli, named, configured, config, console);
    Ok(wanted)
}

/// True where a metric backend is named.
#[cfg(any(feature = "aws", feature = "kubernetes"))]
fn has_backends(cli: &Cli, config: &Config) -> bool {
    #[cfg(feature = "prometheus")]
    return super::backends::any(cli, config);
    #[cfg(not(feature = "prometheus"))]
    {
        let _ = (cli, config);
        false
    }
}

/// No cluster was named, and there is no kubeconfig to go by: the ECS clusters that AWS's
/// usual environment lists. Where that names no credentials, the machine may have a role.
#[cfg(all(feature = "aws", feature = "kubernetes"))]
async fn only_aws(config: &Config, error: CliError) -> Result<Wanted, CliError> {
    tracing::info!(%error, "no Kubernetes cluster");
    let set_up = profiles::are_set_up(&env);
    if !set_up && !profiles::may_ask_machine(&env) {
        return Err(error);
    }
    let patience = if set_up { DISCOVERY } else { MACHINE };
    let ecs = match tokio::time::timeout(patience, list(config)).await {
        Ok(Ok(names)) => ecs_of(&names, config, &[]),
        Ok(Err(said)) if set_up => return Err(eyre!("{error}\n- AWS was asked, too: {said}")),
        Err(_) if set_up => return Err(eyre!("{error}\n- AWS was asked, too: no answer in {} s", patience.as_secs())),
        Ok(Err(_)) | Err(_) => return Err(error),
    };
    if ecs.is_empty() && set_up {
        return Err(eyre!("{error}\n- AWS was asked, too: it lists no ECS cluster in this account and region"));
    }
    if ecs.is_empty() { Err(error) } else { Ok(Wanted { ecs, ..Wanted::default() }) }
}

/// The ECS clusters that were named or configured, and what is to be known of them, which is printed as well.
#[cfg(feature = "aws")]
fn ecs_specs(cli: &Cli, config: &Config, taken: &[String]) -> Result<(Vec<EcsSpec>, Remarks), CliError> {
    let mut names: Vec<EcsName> = Vec::new();
    for text in &cli.common.ecs_cluster {
        let name = config::ecs::parse(text)
            .ok_or_else(|| eyre!("`{text}` names no ECS cluster; allowed: {}", config::ecs::ALLOWED))?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() && cli.common.context.is_empty() {
        names = config.clusters.iter().filter_map(|c| c.ecs.clone()).collect();
    }
    let specs = ecs_of(&names, config, taken);
    let remark = |(name, spec): (&EcsName, &EcsSpec)| {
        Some((spec.id.clone(), config.ecs_cluster(name).remark(spec.id.as_str())?))
    };
    let remarks: Remarks = names.iter().zip(&specs).filter_map(remark).collect();
    for (_, text) in &remarks {
        super::output::fail(text);
    }
    Ok((specs, remarks))
}

/// A spec for each name; where two clusters have one name, or a Kubernetes cluster has
/// it, profile and region tell them apart.
#[cfg(feature = "aws")]
fn ecs_of(names: &[EcsName], config: &Config, taken: &[String]) -> Vec<EcsSpec> {
    let short = |n: &EcsName| config.ecs_cluster(n).entry.map_or_else(|| n.name.clone(), |s| s.name.clone());
    let pairs: Vec<(String, String)> = names.iter().map(|n| (short(n), n.full())).collect();
    let spec = |(name, shown): (&EcsName, String)| EcsSpec {
        id: ClusterId::new(&shown),
        cluster: name.name.clone(),
        account: AccountSpec {
            profile: name.profile.clone(),
            region: name.region.clone(),
            ceiling: Some(config.aws_ceiling),
            ..AccountSpec::default()
        },
        production: config.ecs_cluster(name).production,
        read_only: config.read_only || config.ecs_cluster(name).read_only,
        interval: config.aws_interval,
    };
    names.iter().zip(config::ecs::distinct(&pairs, taken)).map(spec).collect()
}

/// The clusters that the usual environment can list; none if it cannot.
#[cfg(feature = "aws")]
async fn discover(config: Config, taken: Vec<String>) -> Vec<EcsSpec> {
    match list(&config).await {
        Ok(names) => ecs_of(&names, &config, &taken),
        Err(error) => {
            // Not everybody with AWS credentials has or may see ECS: `doctor` and the log say it.
            tracing::warn!(%error, "ECS clusters were not listed");
            Vec::new()
        }
    }
}

/// The clusters that the usual environment can list.
#[cfg(feature = "aws")]
async fn list(config: &Config) -> Result<Vec<EcsName>, crate::source::SourceError> {
    let account = AccountSpec { ceiling: Some(config.aws_ceiling), ..AccountSpec::default() };
    let names = crate::source::ecs::clusters(account, &Clock::system()).await?;
    Ok(names.into_iter().map(|name| EcsName { profile: None, region: None, name }).collect())
}

/// The clusters to read: those named, those configured, or the current context.
#[cfg(feature = "kubernetes")]
pub fn specs(cli: &Cli, config: &Config) -> Result<Vec<ClusterSpec>, CliError> {
    let kubeconfig = config.kubeconfig.clone().map_or(Kubeconfig::Default, Kubeconfig::File);
    let known = contexts(&kubeconfig)?;
    let configured: Vec<&str> =
        config.clusters.iter().filter(|c| c.ecs.is_none()).map(|c| c.context.as_str()).collect();
    let wanted: Vec<String> = if !cli.common.context.is_empty() {
        cli.common.context.clone()
    } else if !configured.is_empty() {
        configured.iter().map(ToString::to_string).collect()
    } else {
        known.iter().filter(|c| c.current).map(|c| c.name.clone()).collect()
    };
    if wanted.is_empty() && in_cluster() {
        return Ok(vec![spec(cli, config, "in-cluster", None, &Kubeconfig::Default)]);
    }
    if wanted.is_empty() {
        return Err(eyre!(
            "no cluster was found: there is no kubeconfig with a current context, and this is no pod\n\
             - name one: quarterdeck --context NAME (or --kubeconfig FILE), or --ecs-cluster REGION/NAME\n\
             - for ECS without naming any: AWS_PROFILE, or a [default] in ~/.aws, and a region\n\
             - look around without a cluster: quarterdeck --demo\n\
             - see what was looked at: quarterdeck doctor"
        ));
    }
    for name in &wanted {
        if !known.iter().any(|c| c.name == *name) {
            let names: Vec<&str> = known.iter().map(|c| c.name.as_str()).collect();
            let there_are = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(eyre!("there is no context `{name}` in the kubeconfig; there are: {there_are}"));
        }
    }
    let mut out: Vec<ClusterSpec> = Vec::new();
    for name in wanted {
        let spec = spec(cli, config, &name, Some(name.clone()), &kubeconfig);
        if !out.iter().any(|s| s.id == spec.id) {
            out.push(spec);
        }
    }
    Ok(out)
}

#[cfg(feature = "kubernetes")]
fn spec(cli: &Cli, config: &Config, name: &str, context: Option<String>, kubeconfig: &Kubeconfig) -> ClusterSpec {
    let settings = config.cluster(name);
    ClusterSpec {
        id: ClusterId::new(settings.map_or(name, |s| s.name.as_str())),
        context,
        kubeconfig: kubeconfig.clone(),
        namespace: cli.common.namespace.clone().or_else(|| settings.and_then(|s| s.namespace.clone())),
        production: settings.is_some_and(|s| s.production),
        read_only: config.read_only || settings.is_some_and(|s| s.read_only),
        metrics_interval: config.metrics_interval,
        silence: crate::source::kubernetes::SILENCE,
    }
}
