//! `exec`, `attach` and `port-forward`: into a task, from a command line.

use std::process::ExitCode;

use super::CliError;
use super::args::{Cli, Exec, Forward};
use crate::action::Verb;

#[cfg(not(any(feature = "kubernetes", feature = "aws")))]
#[expect(clippy::unused_async, reason = "the same call with and without the adapters")]
pub async fn run(_cli: &Cli, _options: &Exec, _verb: Verb) -> Result<ExitCode, CliError> {
    Err(color_eyre::eyre::eyre!("this build was made without the features `kubernetes` and `aws`"))
}

#[cfg(not(any(feature = "kubernetes", feature = "aws")))]
#[expect(clippy::unused_async, reason = "the same call with and without the adapters")]
pub async fn forward(_cli: &Cli, _options: &Forward) -> Result<ExitCode, CliError> {
    Err(color_eyre::eyre::eyre!("this build was made without the features `kubernetes` and `aws`"))
}

#[cfg(any(feature = "kubernetes", feature = "aws"))]
pub use self::into::{forward, run};

#[cfg(any(feature = "kubernetes", feature = "aws"))]
mod into {
    use std::io::{IsTerminal as _, Write as _};

    #[cfg(feature = "kubernetes")]
    use futures::StreamExt as _;
    use tokio::signal::unix::{SignalKind, signal};
    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;

    use color_eyre::eyre::eyre;

    use super::{Cli, CliError, Exec, ExitCode, Forward, Verb};
    #[cfg(feature = "aws")]
    use crate::action::Actor as _;
    use crate::action::audit::{Audit, Record as _, Who};
    use crate::action::desk::Progress;
    #[cfg(feature = "aws")]
    use crate::action::ecs::Ecs;
    use crate::action::exec::forward::Forwards;
    #[cfg(feature = "kubernetes")]
    use crate::action::exec::gather::Outputs;
    #[cfg(feature = "kubernetes")]
    use crate::action::exec::kubernetes::{self as exec, Hands, Place};
    use crate::action::guard::ClusterPolicy;
    use crate::action::session::{Ended, Session, Stage, stage};
    use crate::action::{Assent, Confirm, End, Event, Intent, Outcome, Plan};
    use crate::cli::output::{fail, say};
    use crate::cli::reading::{self, One};
    use crate::cli::{actors, session};
    use crate::clock::Clock;
    use crate::domain::{ClusterId, Kind, ObjectId, Text};
    use crate::run::session::{Back, hold_plain};
    #[cfg(feature = "kubernetes")]
    use crate::run::session::{How, carry};
    use crate::sim::server::SimServer;
    #[cfg(feature = "aws")]
    use crate::source::aws::EcsSpec;
    #[cfg(feature = "kubernetes")]
    use crate::source::kubernetes::{ClusterSpec, Kubeconfig, contexts, on_demand};
    #[cfg(feature = "kubernetes")]
    use crate::term::modes::Modes;

    const ONE_TERMINAL: &str = "ECS exec always has a terminal, and one task";

    /// What goes in.
    enum Way {
        #[cfg(feature = "kubernetes")]
        Kubernetes(Box<Hands>),
        #[cfg(feature = "aws")]
        Ecs(Box<Ecs>),
    }

    impl Way {
        #[cfg(feature = "kubernetes")]
        fn hands(&self) -> Option<&Hands> {
            match self {
                Self::Kubernetes(hands) => Some(hands),
                #[cfg(feature = "aws")]
                Self::Ecs(_) => None,
            }
        }

        async fn run(&self, plan: &Plan, progress: &Progress, cancel: &CancellationToken) -> End {
            match self {
                #[cfg(feature = "kubernetes")]
                Self::Kubernetes(hands) => exec::run(hands, plan, progress, cancel).await,
                #[cfg(feature = "aws")]
                Self::Ecs(ecs) => ecs.run(plan, progress, cancel).await,
            }
        }
    }

    /// What every verb here needs.
    struct Ready {
        way: Way,
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
        let (one, sim) = reading::one(cli, &config).await?;
        let (cluster, production) = match &one {
            #[cfg(feature = "kubernetes")]
            One::Kubernetes(spec) => (spec.id.clone(), spec.production),
            #[cfg(feature = "aws")]
            One::Ecs(spec) => (spec.id.clone(), spec.production),
        };
        if production {
            return Err(eyre!("{cluster} is marked as production: do it in the console, which asks before"));
        }
        let (stage, sessions) = stage();
        let clock = Clock::system();
        let (way, plan) = match one {
            #[cfg(feature = "kubernetes")]
            One::Kubernetes(spec) => kubernetes(*spec, tasks, verb, set, (stage, &clock)).await?,
            #[cfg(feature = "aws")]
            One::Ecs(spec) => ecs(*spec, tasks, verb, set, (stage, &clock)).await?,
        };
        let intent = &plan.intent;
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
        let (progress, events) = Progress::channel(clock);
        Ok(Ready { way, plan, sessions, record, number, progress, events, _sim: sim })
    }

    /// The intent for tasks, each in the namespace that it names or else in this one.
    fn intended(
        cluster: &ClusterId,
        namespace: Option<&str>,
        tasks: &[String],
        verb: Verb,
        set: impl FnOnce(&mut Intent),
    ) -> Result<Intent, CliError> {
        let targets = tasks.iter().map(|task| {
            let (namespace, name) = match namespace {
                Some(namespace) => task.split_once('/').unwrap_or((namespace, task)),
                // ECS has none: what stands before an id is its service.
                None => ("", task.as_str()),
            };
            let (namespace, name) = (Text::new(namespace), Text::new(name));
            ObjectId { cluster: cluster.clone(), kind: Kind::Task, namespace, name }
        });
        let mut intent = Intent::new(verb, targets.collect());
        set(&mut intent);
        intent.check().map_err(|e| eyre!("{e}"))?;
        Ok(intent)
    }

    #[cfg(feature = "kubernetes")]
    async fn kubernetes(
        spec: ClusterSpec,
        tasks: &[String],
        verb: Verb,
        set: impl FnOnce(&mut Intent),
        (stage, clock): (Stage, &Clock),
    ) -> Result<(Way, Plan), CliError> {
        let named = contexts(&spec.kubeconfig)?.into_iter().find(|c| match &spec.context {
            Some(context) => c.name == *context,
            None => c.current,
        });
        let namespace = spec.namespace.clone().or_else(|| named.and_then(|c| c.namespace));
        let namespace = namespace.unwrap_or_else(|| "default".to_owned());
        let (cluster, context, production) = (spec.id.clone(), spec.context.clone(), spec.production);
        let is_inline = matches!(spec.kubeconfig, Kubeconfig::Inline(_));
        let (reader, streams) = on_demand(spec);
        let Some(streams) = streams else { return Err(read_only(&cluster)) };
        let intent = intended(&cluster, Some(&namespace), tasks, verb, set)?;
        let reader_ = &reader;
        let looked = intent
            .targets
            .iter()
            .map(|id| async move { (id.clone(), reader_.object(id).await.map_err(|e| exec::words(&e))) });
        let pods: Vec<_> = futures::stream::iter(looked).buffered(exec::AT_ONCE).collect().await;
        let place = Place { context: context.filter(|_| !is_inline), production };
        // Whether it is allowed, the server says when it is asked for.
        let plan = exec::plan(&intent, &pods, &place, |_, _| None, clock.now());
        let hands = Hands { reader, streams, stage, outputs: Outputs::default(), forwards: Forwards::default() };
        Ok((Way::Kubernetes(Box::new(hands)), plan))
    }

    #[cfg(feature = "aws")]
    async fn ecs(
        spec: EcsSpec,
        tasks: &[String],
        verb: Verb,
        set: impl FnOnce(&mut Intent),
        (stage, clock): (Stage, &Clock),
    ) -> Result<(Way, Plan), CliError> {
        let (cluster, production) = (spec.id.clone(), spec.production);
        let intent = intended(&cluster, None, tasks, verb, set)?;
        let Some((writer, entry)) = crate::source::ecs::on_demand(spec, clock) else { return Err(read_only(&cluster)) };
        let hands = crate::action::ecs::Hands { entry, stage, forwards: Forwards::default(), production };
        let ecs = Ecs::new(writer, clock.clone()).with_hands(hands);
        let plan = ecs.plan(&intent).await.map_err(|why| eyre!("{}: {why}", intent.what()))?;
        Ok((Way::Ecs(Box::new(ecs)), plan))
    }

    fn read_only(cluster: &ClusterId) -> CliError {
        eyre!("{cluster} is read-only: nothing is run there")
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
        #[cfg(feature = "kubernetes")]
        let ended = if options.command.is_empty() { exec::no_shell(ended) } else { ended };
        if matches!(ended, Ended::Failed(_) | Ended::Cut(_)) {
            fail(&format!("{verb} in {} {}", options.tasks.join(", "), ended.words()));
        }
        Ok(ExitCode::from(ended.exit_code()))
    }

    /// Lends the terminal to the process.
    async fn on_terminal(ready: &mut Ready) -> Result<Back, CliError> {
        let cancel = CancellationToken::new();
        let acting = ready.way.run(&ready.plan, &ready.progress, &cancel);
        tokio::pin!(acting);
        tokio::select! {
            end = &mut acting => Ok(Back::Ended(Ended::Failed(end.text))),
            Some(session) = ready.sessions.recv() => Ok(hold_plain(session).await?),
        }
    }

    /// Without a terminal: standard input and both outputs as they are. ECS's plans are refused then.
    #[cfg(feature = "kubernetes")]
    async fn piped(ready: &Ready) -> Result<Back, CliError> {
        let Some(hands) = ready.way.hands() else { return Err(eyre!(ONE_TERMINAL)) };
        let Some(change) = ready.plan.changes.first() else { return Err(eyre!("there is nothing to do")) };
        let stdin = !std::io::stdin().is_terminal();
        match exec::start(hands, &ready.plan.intent, change, (false, stdin)).await {
            Ok((remote, _)) => {
                let how = How { tty: false, raw: false, stdin };
                Ok(carry(remote, Vec::new(), how, &mut Modes::default()).await?)
            }
            Err(why) => Ok(Back::Ended(Ended::Failed(why))),
        }
    }

    #[cfg(not(feature = "kubernetes"))]
    #[expect(clippy::unused_async, reason = "the same call with and without the adapter")]
    async fn piped(_ready: &Ready) -> Result<Back, CliError> {
        Err(eyre!(ONE_TERMINAL))
    }

    #[cfg(not(feature = "kubernetes"))]
    #[expect(clippy::unused_async, reason = "the same call with and without the adapter")]
    async fn gather(_ready: Ready) -> Result<ExitCode, CliError> {
        Err(eyre!(ONE_TERMINAL))
    }

    /// Several tasks: the output of each below its name. ECS's plans are refused then.
    #[cfg(feature = "kubernetes")]
    async fn gather(ready: Ready) -> Result<ExitCode, CliError> {
        let end = ready.way.run(&ready.plan, &ready.progress, &CancellationToken::new()).await;
        ready.ended(end.outcome, &end.text);
        let mut all = ready.way.hands().map(|hands| hands.outputs.take()).unwrap_or_default();
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
        // Nothing that it has started outlives its terminal.
        let mut hup = signal(SignalKind::hangup())?;
        let acting = ready.way.run(&ready.plan, &ready.progress, &cancel);
        tokio::pin!(acting);
        let end = loop {
            tokio::select! {
                end = &mut acting => break end,
                _ = int.recv() => cancel.cancel(),
                _ = term.recv() => cancel.cancel(),
                _ = hup.recv() => cancel.cancel(),
                Some(event) = ready.events.recv() => if let Event::Step(step) = event {
                    let mut err = std::io::stderr().lock();
                    let _ = writeln!(err, "{}", step.text);
                },
            }
        };
        ready.ended(end.outcome, &end.text);
        if end.outcome != Outcome::Done {
            fail(end.text.as_str());
            return Ok(ExitCode::FAILURE);
        }
        say(end.text.as_str());
        Ok(ExitCode::SUCCESS)
    }
}
