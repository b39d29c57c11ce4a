//! `exec`, `attach` and `port-forward`: into a task, from a command line.

use std::process::ExitCode;

use super::CliError;
use super::args::{Cli, Exec, Forward};
use crate::action::Verb;

#[cfg(not(feature = "kubernetes"))]
#[expect(clippy::unused_async, reason = "the same call with and without the adapters")]
pub async fn run(_cli: &Cli, _options: &Exec, _verb: Verb) -> Result<ExitCode, CliError> {
    Err(color_eyre::eyre::eyre!("this build was made without the feature `kubernetes`"))
}

#[cfg(not(feature = "kubernetes"))]
#[expect(clippy::unused_async, reason = "the same call with and without the adapters")]
pub async fn forward(_cli: &Cli, _options: &Forward) -> Result<ExitCode, CliError> {
    Err(color_eyre::eyre::eyre!("this build was made without the feature `kubernetes`"))
}

#[cfg(feature = "kubernetes")]
pub use self::kubernetes::{forward, run};

#[cfg(feature = "kubernetes")]
mod kubernetes {
    use std::io::{IsTerminal as _, Write as _};

    use futures::StreamExt as _;
    use tokio::signal::unix::{SignalKind, signal};
    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;

    use color_eyre::eyre::eyre;

    use super::{Cli, CliError, Exec, ExitCode, Forward, Verb};
    use crate::action::audit::{Audit, Record as _, Who};
    use crate::action::desk::Progress;
    use crate::action::exec::forward::Forwards;
    use crate::action::exec::gather::Outputs;
    use crate::action::exec::kubernetes::{self as exec, Hands, Place};
    use crate::action::guard::ClusterPolicy;
    use crate::action::session::{Ended, Session, stage};
    use crate::action::{Assent, Confirm, End, Event, Intent, Outcome, Plan};
    use crate::cli::output::{fail, say};
    use crate::cli::{actors, reading, session};
    use crate::clock::Clock;
    use crate::domain::{Kind, ObjectId, Text};
    use crate::run::session::{Back, How, carry, hold_plain};
    use crate::sim::server::SimServer;
    use crate::source::kubernetes::{Kubeconfig, contexts, on_demand};
    use crate::term::modes::Modes;

    /// What every verb here needs.
    struct Ready {
        hands: Hands,
        plan: Plan,
        sessions: mpsc::Receiver<Session>,
        record: Audit,
        /// Of its entry in the audit.
        number: u64,
        progress: Progress,
        events: mpsc::Receiver<Event>,
        _sim: Option<SimServer>,
    }

    /// Looks at the tasks and makes the plan; what it refuses is the error.
    async fn ready(cli: &Cli, tasks: &[String], verb: Verb, set: impl FnOnce(&mut Intent)) -> Result<Ready, CliError> {
        let place = session::place(cli)?;
        let config = session::load(cli, &place)?;
        let state_dir = config.state_dir(&place.paths).to_owned();
        let (mut specs, sim) = reading::clusters(cli, &config).await?;
        let (Some(spec), true) = (specs.pop(), specs.is_empty()) else {
            return Err(eyre!("one cluster at a time: name it with --context"));
        };
        if spec.production {
            return Err(eyre!("{} is marked as production: do it in the console, which asks before", spec.id));
        }
        let named = contexts(&spec.kubeconfig)?.into_iter().find(|c| match &spec.context {
            Some(context) => c.name == *context,
            None => c.current,
        });
        let namespace = spec.namespace.clone().or_else(|| named.and_then(|c| c.namespace));
        let namespace = namespace.unwrap_or_else(|| "default".to_owned());
        let (cluster, context, production) = (spec.id.clone(), spec.context.clone(), spec.production);
        let is_inline = matches!(spec.kubeconfig, Kubeconfig::Inline(_));
        let (reader, streams) = on_demand(spec);
        let Some(streams) = streams else { return Err(eyre!("{cluster} is read-only: nothing is run there")) };
        let targets = tasks.iter().map(|task| {
            let (namespace, name) = task.split_once('/').unwrap_or((&namespace, task));
            let (namespace, name) = (Text::new(namespace), Text::new(name));
            ObjectId { cluster: cluster.clone(), kind: Kind::Task, namespace, name }
        });
        let mut intent = Intent::new(verb, targets.collect());
        set(&mut intent);
        intent.check().map_err(|e| eyre!("{e}"))?;
        let reader_ = &reader;
        let looked = intent
            .targets
            .iter()
            .map(|id| async move { (id.clone(), reader_.object(id).await.map_err(|e| exec::words(&e))) });
        let pods: Vec<_> = futures::stream::iter(looked).buffered(exec::AT_ONCE).collect().await;
        let place = Place { context: context.filter(|_| !is_inline), production };
        let clock = Clock::system();
        // Whether it is allowed, the server says when it is asked for.
        let plan = exec::plan(&intent, &pods, &place, |_, _| None, clock.now());
        if !plan.is_possible() {
            let why: Vec<&str> = plan.refused.iter().map(Text::as_str).collect();
            let stays = plan.changes.iter().map(|c| c.note.as_str()).find(|n| !n.is_empty());
            let why =
                if why.is_empty() { stays.unwrap_or("there is nothing to do").to_owned() } else { why.join("\n") };
            return Err(eyre!("{}: {why}", intent.what()));
        }
        let clusters = [(cluster, ClusterPolicy { production, read_only: false })].into();
        let verdict = actors::policy(&config, clusters).judge(&plan, clock.now());
        if let Some(why) = verdict.refused.first() {
            return Err(eyre!("{}: {why}", intent.what()));
        }
        if verdict.needs_reason || verdict.confirm != Confirm::Choose {
            return Err(eyre!("{}: this is to be confirmed; do it in the console, which asks", intent.what()));
        }
        let record = Audit::new(&state_dir, Who::here(&session::env));
        let number = record.begin(&plan, &Assent::default(), clock.now()).map_err(|why| eyre!("{why}"))?;
        let (stage, sessions) = stage();
        let (progress, events) = Progress::channel(clock);
        let hands = Hands { reader, streams, stage, outputs: Outputs::default(), forwards: Forwards::default() };
        Ok(Ready { hands, plan, sessions, record, number, progress, events, _sim: sim })
    }

    impl Ready {
        /// Writes down how it ended.
        fn ended(&self, outcome: Outcome, text: &str) {
            let end = End { outcome, text: Text::new(text), undo: None };
            if let Err(why) = self.record.end(self.number, &end, self.progress.clock().now()) {
                fail(&format!("the audit could not be written: {why}"));
            }
        }
    }

    /// Runs `exec` or `attach`.
    pub async fn run(cli: &Cli, options: &Exec, verb: Verb) -> Result<ExitCode, CliError> {
        let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        let several = options.tasks.len() > 1;
        let ready = ready(cli, &options.tasks, verb, |intent| {
            intent.options.container.clone_from(&options.container);
            intent.options.command.clone_from(&options.command);
            intent.options.tty = terminal && !several;
        });
        let mut ready = ready.await?;
        if several {
            return gather(ready).await;
        }
        let back = if terminal { on_terminal(&mut ready).await? } else { piped(&ready).await? };
        let ended = match back {
            Back::Ended(ended) => ended,
            Back::Signal(number) => {
                ready.ended(Outcome::Unknown, &format!("ended by signal {number} while it ran"));
                return Ok(ExitCode::from(128 + u8::try_from(number).unwrap_or(0)));
            }
        };
        let outcome = if matches!(ended, Ended::Failed(_)) { Outcome::Failed } else { Outcome::Done };
        ready.ended(outcome, &ended.words());
        let ended = if options.command.is_empty() { exec::no_shell(ended) } else { ended };
        if matches!(ended, Ended::Failed(_) | Ended::Cut(_)) {
            fail(&format!("{verb} in {} {}", options.tasks.join(", "), ended.words()));
        }
        Ok(ExitCode::from(ended.exit_code()))
    }

    /// Lends the terminal to the process.
    async fn on_terminal(ready: &mut Ready) -> Result<Back, CliError> {
        let cancel = CancellationToken::new();
        let acting = exec::run(&ready.hands, &ready.plan, &ready.progress, &cancel);
        tokio::pin!(acting);
        tokio::select! {
            end = &mut acting => Ok(Back::Ended(Ended::Failed(end.text))),
            Some(session) = ready.sessions.recv() => Ok(hold_plain(session).await?),
        }
    }

    /// Without a terminal: standard input and both outputs as they are.
    async fn piped(ready: &Ready) -> Result<Back, CliError> {
        let Some(change) = ready.plan.changes.first() else { return Err(eyre!("there is nothing to do")) };
        let stdin = !std::io::stdin().is_terminal();
        match exec::start(&ready.hands, &ready.plan.intent, change, (false, stdin)).await {
            Ok((remote, _)) => {
                let how = How { tty: false, raw: false, stdin };
                Ok(carry(remote, Vec::new(), how, &mut Modes::default()).await?)
            }
            Err(why) => Ok(Back::Ended(Ended::Failed(why))),
        }
    }

    /// Several tasks: the output of each below its name.
    async fn gather(ready: Ready) -> Result<ExitCode, CliError> {
        let end = exec::run(&ready.hands, &ready.plan, &ready.progress, &CancellationToken::new()).await;
        ready.ended(end.outcome, &end.text);
        let mut all = ready.hands.outputs.take();
        all.sort_by(|a, b| a.target.cmp(&b.target));
        for one in &all {
            say(&format!("== {}/{} {}", one.target.namespace, one.target.name, one.ended.words()));
            for line in one.lines() {
                say(line.as_str());
            }
            if one.left_out > 0 {
                say(&format!("... and {} bytes more", one.left_out));
            }
        }
        Ok(if end.outcome == Outcome::Done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Forwards a port until it is interrupted.
    pub async fn forward(cli: &Cli, options: &Forward) -> Result<ExitCode, CliError> {
        let (local, remote) = options.ports.split_once(':').unwrap_or((&options.ports, &options.ports));
        let number = |text: &str| text.parse::<u16>().map_err(|_| eyre!("{text} is no port: 0 to 65535"));
        let ports = (number(if local.is_empty() { "0" } else { local })?, number(remote)?);
        let ready = ready(cli, std::slice::from_ref(&options.task), Verb::PortForward, |intent| {
            intent.options.ports = Some(ports);
        });
        let mut ready = ready.await?;
        let cancel = CancellationToken::new();
        let mut int = signal(SignalKind::interrupt())?;
        let mut term = signal(SignalKind::terminate())?;
        let acting = exec::run(&ready.hands, &ready.plan, &ready.progress, &cancel);
        tokio::pin!(acting);
        let end = loop {
            tokio::select! {
                end = &mut acting => break end,
                _ = int.recv() => cancel.cancel(),
                _ = term.recv() => cancel.cancel(),
                Some(event) = ready.events.recv() => if let Event::Step(step) = event {
                    let mut err = std::io::stderr().lock();
                    let _ = writeln!(err, "{}", step.text);
                },
            }
        };
        ready.ended(end.outcome, &end.text);
        say(end.text.as_str());
        Ok(if end.outcome == Outcome::Done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
