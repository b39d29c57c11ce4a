//! Running a step's program: as a child without a terminal, its output gathered, its end told.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use rustix::process::Signal;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::fill::quoted;
use crate::action::child;
use crate::action::desk::{Actor, Progress};
use crate::action::{Change, End, Fate, Intent, Outcome, Plan, Precondition, StepState, Verb};
use crate::clock::Clock;
use crate::domain::Text;

/// A longer line is cut, in bytes.
const LINE: u64 = 4096;
/// So much output is told, in bytes; what comes after is counted only.
const OUTPUT: usize = 256 << 10;
/// How long a program that is ended may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(2);

/// What runs programs on this machine. Made only where something may be changed.
#[derive(Debug, Clone)]
pub struct Local {
    path: Option<std::ffi::OsString>,
    clock: Clock,
}

impl Local {
    /// Looks for programs where `PATH` says.
    #[must_use]
    pub fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self { path: std::env::var_os("PATH"), clock })
    }

    /// Looks for programs there only, as `PATH` has it.
    #[must_use]
    pub fn looking_in(path: &str, clock: Clock) -> Arc<Self> {
        Arc::new(Self { path: Some(path.into()), clock })
    }

    /// Where a program is.
    fn find(&self, program: &str) -> Option<PathBuf> {
        use std::os::unix::fs::PermissionsExt as _;
        let runs = |p: &Path| p.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
        if program.starts_with('/') {
            return Some(PathBuf::from(program)).filter(|p| runs(p));
        }
        // Not where the console was started, whatever stands in PATH.
        let dirs = std::env::split_paths(self.path.as_ref()?).filter(|d| d.is_absolute());
        dirs.map(|d| d.join(program)).find(|p| runs(p))
    }

    fn planned(&self, intent: &Intent) -> Plan {
        let mut plan = Plan::new(intent.clone(), self.clock.now());
        let options = &intent.options;
        let program = options.command.first().cloned().unwrap_or_default();
        match self.find(&program) {
            Some(at) => {
                plan.warnings.push(Text::new(&format!("{} runs on this machine, as you", at.display())));
            }
            None => plan.refused.push(Text::new(&format!("there is no program `{program}` on this machine"))),
        }
        plan.warnings.push(Text::new(&format!(
            "it has no terminal and no input, and is ended after {} s; what it does is its own affair: the console only knows its exit code",
            options.timeout
        )));
        for target in &intent.targets {
            plan.changes.push(Change {
                target: target.clone(),
                field: Text::new("run"),
                from: Text::empty(),
                to: Text::new(&quoted(&options.command)),
                fate: Fate::Acts,
                note: Text::empty(),
                precondition: Precondition::Nothing,
            });
        }
        // One argument a line: nothing of it can be taken for something else.
        plan.diff.extend(options.command.iter().enumerate().map(|(n, a)| Text::new(&format!("argv[{n}] {a}"))));
        plan.diff.extend(options.env.iter().map(|(k, v)| Text::new(&format!("env {k}={v}"))));
        plan.equivalent.push(equivalent(intent));
        plan
    }
}

fn equivalent(intent: &Intent) -> String {
    let mut out = String::new();
    for (name, value) in &intent.options.env {
        out += &format!("{name}={} ", quoted(std::slice::from_ref(value)));
    }
    out += &quoted(&intent.options.command);
    Text::new(&out).to_string()
}

impl Actor for Local {
    fn plan<'a>(&'a self, intent: &'a Intent) -> BoxFuture<'a, Result<Plan, Text>> {
        Box::pin(async move {
            if intent.verb != Verb::Run || intent.options.command.is_empty() {
                return Err(Text::new("there is nothing to run"));
            }
            Ok(self.planned(intent))
        })
    }

    fn run<'a>(&'a self, plan: &'a Plan, progress: &'a Progress, cancel: &'a CancellationToken) -> BoxFuture<'a, End> {
        Box::pin(async move {
            let options = &plan.intent.options;
            let program = options.command.first().cloned().unwrap_or_default();
            let Some(at) = self.find(&program) else {
                return End::failed(&format!("nothing was done: there is no program `{program}`"), None);
            };
            let target = plan.intent.targets.first();
            progress.step(target, StepState::Doing, "running").await;
            let mut command = Command::new(&at);
            command.args(options.command.iter().skip(1)).envs(options.env.iter().map(|(k, v)| (k, v)));
            // What is set for the console alone is none of its business.
            for (name, _) in std::env::vars_os().filter(|(n, _)| n.to_string_lossy().starts_with("QUARTERDECK_")) {
                command.env_remove(name);
            }
            command.env("TERM", "dumb").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.kill_on_drop(true).process_group(0);
            let child = match command.spawn() {
                Ok(child) => child,
                Err(e) => return End::failed(&format!("nothing was done: {program} cannot be run: {e}"), None),
            };
            let end = follow(child, Duration::from_secs(u64::from(options.timeout)), progress, cancel).await;
            let state = match end.outcome {
                Outcome::Done => StepState::Done,
                Outcome::Cancelled => StepState::Skipped,
                _ => StepState::Failed,
            };
            progress.step(target, state, &end.text).await;
            end
        })
    }
}

/// Gathers what a child says until it ends, takes too long, or is cancelled.
async fn follow(mut child: Child, limit: Duration, progress: &Progress, cancel: &CancellationToken) -> End {
    let (tx, mut lines) = mpsc::channel::<Vec<u8>>(64);
    let out = child.stdout.take().map(|o| child::lines(o, LINE, tx.clone()));
    let err = child.stderr.take().map(|e| child::lines(e, LINE, tx));
    let readers = async {
        tokio::join!(
            async {
                if let Some(r) = out {
                    r.await;
                }
            },
            async {
                if let Some(r) = err {
                    r.await;
                }
            }
        );
    };
    let mut told = 0_usize;
    let mut dropped = 0_usize;
    let gather = async {
        while let Some(line) = lines.recv().await {
            if told + line.len() > OUTPUT {
                dropped += line.len();
                continue;
            }
            told += line.len();
            progress.output(&String::from_utf8_lossy(&line)).await;
        }
    };
    let group = child.id();
    let over = async {
        let mut io = Box::pin(async { tokio::join!(readers, gather) });
        // Read while it runs, or it waits for somebody to read.
        let waited = tokio::select! {
            waited = child.wait() => Err(waited),
            _ = &mut io => Ok(()),
        };
        match waited {
            Ok(()) => child.wait().await,
            Err(waited) => {
                // Who it left behind may hold the pipes open for ever.
                let _ = tokio::time::timeout(PATIENCE, io).await;
                waited
            }
        }
    };
    let mut over = Box::pin(over);
    let ended = tokio::select! {
        waited = &mut over => Some(Ok(waited)),
        () = tokio::time::sleep(limit) => Some(Err(format!("it took longer than {} s, and was ended", limit.as_secs()))),
        () = cancel.cancelled() => None,
    };
    let end = match ended {
        Some(Ok(Ok(status))) => ended_by(status),
        Some(Ok(Err(e))) => {
            End { outcome: Outcome::Unknown, text: Text::new(&format!("how it ended is not known: {e}")), undo: None }
        }
        stopped => {
            child::signal(group, Signal::TERM);
            let gone = tokio::time::timeout(PATIENCE, &mut over).await;
            child::signal(group, Signal::KILL);
            if gone.is_err() {
                let _ = tokio::time::timeout(PATIENCE, &mut over).await;
            }
            match stopped {
                Some(Err(why)) => End::failed(&why, None),
                _ => End {
                    outcome: Outcome::Cancelled,
                    text: Text::new("it was ended; what it had done stays done"),
                    undo: None,
                },
            }
        }
    };
    drop(over);
    if dropped > 0 {
        progress.output(&format!("... and {dropped} more bytes, which are not kept")).await;
    }
    end
}

fn ended_by(status: std::process::ExitStatus) -> End {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(0), _) => End::done("exit code 0", None),
        (Some(code), _) => End::failed(&format!("exit code {code}"), None),
        (None, Some(signal)) => End::failed(&format!("ended by signal {signal}"), None),
        (None, None) => End { outcome: Outcome::Unknown, text: Text::new("nobody says how it ended"), undo: None },
    }
}
