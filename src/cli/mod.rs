//! The command line: arguments, one-shot commands, and the console's start.

pub mod act;
pub mod actors;
mod admin;
mod args;
mod audit;
#[cfg(feature = "prometheus")]
mod backends;
mod console;
pub mod demo;
mod doctor;
mod entries;
mod exec;
pub mod export;
pub mod gallery;
pub mod iam;
mod log;
#[cfg(feature = "aws")]
mod notices;
mod output;
#[cfg(any(feature = "kubernetes", feature = "aws", feature = "prometheus"))]
mod reading;
mod runbook;
mod session;
mod sim;
mod slo;
mod snapshot;
mod spot;
mod status;
mod wallboard;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

pub use args::Cli;
use args::Verb;
use output::{fail, say};

/// Something that ends the program with a message.
pub type CliError = color_eyre::eyre::Report;

/// Parses arguments, runs, and says how it went: 0 fine, 1 something critical or
/// an error, 2 a source failed, or the command line or a file of objectives is wrong. Of an action, 1 that it was
/// refused or failed, 2 that it could not be looked at, 130 that it was cancelled. Of `slo report`, `audit` and
/// `spot history`, too, 2 where settings are wrong or nothing could be read.
#[must_use]
pub fn main() -> ExitCode {
    if color_eyre::config::HookBuilder::default().display_env_section(false).install().is_err() {
        // Somebody installed hooks before us: a test. Messages are plainer, no more.
    }
    crate::term::install_panic_hook();
    let mut cli = Cli::parse();
    if matches!(&cli.verb, Some(Verb::Act(what)) if act::is_of_nodes(what)) {
        // What is on a node is of every namespace.
        cli.common.namespace = None;
    }
    match dispatch(&cli) {
        Ok(code) => code,
        Err(error) => {
            fail(&format!("{error:#}"));
            // Where nothing could be looked at, nobody knows what 1 would say.
            if cli.verb.as_ref().is_some_and(one_is_a_verdict) { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// True where 1 says something of what was looked at: that something is critical, that an action was refused, that a
/// budget pages, that the audit was changed. For scripts the same holds of everything that is read for them.
fn one_is_a_verdict(verb: &Verb) -> bool {
    matches!(verb, Verb::Status { .. } | Verb::Act(_) | Verb::Slo { .. } | Verb::Audit { .. } | Verb::Spot { .. })
}

fn dispatch(cli: &Cli) -> Result<ExitCode, CliError> {
    if let Some(name) = cli.common.demo.as_deref().filter(|n| Cli::command().find_subcommand(n).is_some()) {
        return Err(color_eyre::eyre::eyre!(
            "`--demo {name}` asks for a scenario of that name; write `{name} --demo`, or `--demo=calm {name}`"
        ));
    }
    match &cli.verb {
        Some(Verb::Completions { shell }) => {
            let mut out = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "quarterdeck", &mut out);
            say(&String::from_utf8_lossy(&out));
            Ok(ExitCode::SUCCESS)
        }
        Some(Verb::Man) => {
            let mut out = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut out)?;
            say(&String::from_utf8_lossy(&out));
            Ok(ExitCode::SUCCESS)
        }
        Some(Verb::Audit { what }) => audit::run(cli, what),
        Some(Verb::Config { what }) => admin::config(cli, what),
        Some(Verb::Runbook { what }) => runbook::run(cli, what),
        Some(Verb::Keys { lint }) => admin::keys(cli, *lint),
        Some(Verb::Slo { what: args::SloVerb::Check { files, format } }) => slo::check(files, *format),
        Some(Verb::Spot { what: args::SpotVerb::History { format, since } }) => {
            spot::history(cli, *format, since.as_deref())
        }
        Some(Verb::Themes { lint, preview }) => admin::themes(cli, *lint, *preview),
        verb => {
            let screen = matches!(verb, None | Some(Verb::Wallboard(_)));
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .on_thread_start(begins(screen))
                .enable_all()
                .build()?;
            let code = runtime.block_on(async {
                match verb {
                    None => console::run(cli).await,
                    Some(Verb::Wallboard(_)) => wallboard::run(cli).await,
                    Some(Verb::Status { format }) => status::run(cli, *format).await,
                    Some(Verb::Snapshot(options)) => snapshot::run(cli, options).await,
                    Some(Verb::Doctor { iam: Some(which) }) => {
                        output::say(&format!("{:#}\n", iam::policy(*which)));
                        Ok(ExitCode::SUCCESS)
                    }
                    Some(Verb::Doctor { iam: None }) => doctor::run(cli).await,
                    Some(Verb::Slo { what: args::SloVerb::Report { files, format } }) => {
                        slo::report(cli, files, *format).await
                    }
                    Some(Verb::Act(what)) => act::run(cli, what).await,
                    Some(Verb::Exec(options)) => exec::run(cli, options, crate::action::Verb::Exec).await,
                    Some(Verb::Attach(options)) => exec::run(cli, options, crate::action::Verb::Attach).await,
                    Some(Verb::PortForward(options)) => exec::forward(cli, options).await,
                    Some(Verb::Sim(options)) => sim::run(cli.common.demo.as_deref(), options).await,
                    Some(_) => Ok(ExitCode::SUCCESS),
                }
            });
            // Exec plugins and hanging servers must not keep the program alive.
            runtime.shutdown_background();
            code
        }
    }
}

/// How much nicer than who reads keys and draws those are who read from the network, on Linux, where the niceness is a
/// thread's own. Where there is no core for both, a key is answered sooner by as much as the scheduler lets one run. What
/// they start, programs of runbooks and of credentials, is as nice as they are: so it is a third of the weight, not less.
#[cfg(target_os = "linux")]
const NICER: i32 = 5;

/// What every thread of the runtime begins with.
fn begins(screen: bool) -> impl Fn() + Send + Sync + 'static {
    // Threads that start others hand theirs on: it is relative to where the program began.
    #[cfg(target_os = "linux")]
    let nice = rustix::process::getpriority_process(None).ok().map(|base| (base + NICER).min(19));
    move || {
        #[cfg(target_os = "linux")]
        if let Some(nice) = nice.filter(|_| screen) {
            let _ = rustix::process::setpriority_process(None, nice);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = screen;
    }
}
