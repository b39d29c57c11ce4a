//! `quarterdeck sim`: the embedded fleet for other programs.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use super::args::Sim;
use super::output::{fail, say};
use super::{CliError, session};
use crate::sim::model::Parameters;
use crate::sim::server::ServerOptions;

/// Serves until it is stopped; the kubeconfig goes to standard output.
pub async fn run(options: &Sim) -> Result<ExitCode, CliError> {
    let parameters = Parameters { nodes: options.nodes, pods: options.pods, changes_per_second: options.changes };
    let server =
        ServerOptions { listen: options.listen, name: "quarterdeck-sim".to_owned(), ..ServerOptions::default() };
    let sim = session::start_sim(&options.scenario, parameters, server).await?;
    say(&sim.kubeconfig());
    fail(&format!("scenario {} on {}; ctrl-c stops it", options.scenario, sim.addr()));
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
