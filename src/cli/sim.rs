//! `quarterdeck sim`: the embedded fleet for other programs.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use super::args::{Access, Sim};
use super::output::{fail, say};
use super::{CliError, session};
use crate::sim::model::Parameters;
use crate::sim::server::{ServerOptions, SimServer, Tuning};

/// What a shell exports to reach the fleet's first ECS cluster.
fn exports(sim: &SimServer) -> String {
    let access = sim.aws();
    let (_, region, account) = access.clusters.first().cloned().unwrap_or_default();
    format!(
        "export AWS_ENDPOINT_URL={}\nexport AWS_ACCESS_KEY_ID={}\nexport AWS_SECRET_ACCESS_KEY={}\nexport AWS_REGION={region}\n\
         export AWS_DEFAULT_REGION={region}\nunset AWS_PROFILE AWS_SESSION_TOKEN\n",
        access.endpoint,
        access.key_for(&account),
        access.secret
    )
}

/// Serves until it is stopped; how to reach it goes to standard output.
pub async fn run(demo: Option<&str>, options: &Sim) -> Result<ExitCode, CliError> {
    // `--demo S` means the same here.
    let scenario = demo.unwrap_or(&options.scenario);
    let parameters = Parameters { nodes: options.nodes, pods: options.pods, changes_per_second: options.changes };
    // The API server's cache of events grows with what happens, up to this.
    let event_log = usize::try_from(options.pods.unwrap_or(0))
        .unwrap_or(0)
        .saturating_mul(2)
        .clamp(Tuning::default().event_log, 100 * 1024);
    let server = ServerOptions {
        listen: options.listen,
        name: "quarterdeck-sim".to_owned(),
        tuning: Tuning { event_log, ..Tuning::default() },
        ..ServerOptions::default()
    };
    let sim = session::start_sim(scenario, parameters, server, crate::clock::Clock::system()).await?;
    match options.print {
        Access::Kubeconfig => say(&sim.kubeconfig()),
        Access::Aws => say(&exports(&sim)),
        Access::Prometheus => say(&format!(
            "export PROMETHEUS_URL={}\nexport ALERTMANAGER_URL={}\n",
            sim.prometheus(),
            sim.alertmanager()
        )),
    }
    fail(&format!("scenario {} on {}; ctrl-c stops it", scenario, sim.addr()));
    let (mut term, mut int, mut hup) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
        _ = hup.recv() => {}
    }
    sim.stop().await;
    Ok(ExitCode::SUCCESS)
}
