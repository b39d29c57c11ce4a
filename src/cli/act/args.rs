//! The arguments of what changes something.

use clap::{Args, Subcommand};

use crate::action::{Options, Verb};
use crate::cli::args::Format;

/// What to do to which objects.
#[derive(Debug, Subcommand)]
pub enum Act {
    /// Let a node take no new tasks.
    Cordon(Plain),
    /// Let a node take new tasks again.
    Uncordon(Plain),
    /// Move every task away from a node.
    Drain(Drain),
    /// Change how many tasks are wanted.
    Scale(Scale),
    /// Replace every task of a workload, a few at a time.
    Restart(Plain),
    /// Go back to an earlier revision.
    RollBack(RollBack),
    /// Run another image in a workload's container.
    SetImage(SetImage),
    /// Delete a task or a workload, or stop an ECS task.
    Delete(Delete),
    /// Run a cron job now.
    Trigger(Plain),
    /// Let a job or cron job start nothing more.
    SuspendJob(Plain),
    /// Let a suspended job or cron job go on.
    ResumeJob(Plain),
    /// Silence an alert for a time, or disable an alarm's actions.
    Silence(Silence),
    /// End an alert's silence, or enable an alarm's actions again.
    Unsilence(Plain),
}

/// What every action takes.
#[derive(Debug, Clone, Args)]
pub struct How {
    /// What to act on: NAME, NAMESPACE/NAME, KIND/NAME, any of them after CLUSTER: where several clusters are read.
    #[arg(required = true, value_name = "TARGET")]
    pub targets: Vec<String>,
    /// Print the plan and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask. In production, and where a guardrail wants a name typed, give it by --confirm.
    #[arg(short, long)]
    pub yes: bool,
    /// What would have to be typed: the target's name; of several their number, in production the cluster's name.
    #[arg(long, value_name = "NAME")]
    pub confirm: Option<String>,
    /// Why it is done, for the audit; production wants one.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// How to print; see docs/actions-cli.md.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// An action without options of its own.
#[derive(Debug, Args)]
pub struct Plain {
    #[command(flatten)]
    how: How,
}

/// Options of `drain`.
#[derive(Debug, Args)]
pub struct Drain {
    #[command(flatten)]
    how: How,
    /// How long a task may take to end. Default: as the task says.
    #[arg(long, value_name = "SECONDS")]
    grace: Option<u32>,
    /// How long all of it may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout: u32,
    /// How many nodes to drain at the same time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    at_once: u16,
    /// Also tasks that nobody will replace.
    #[arg(long)]
    force: bool,
    /// Also tasks whose emptyDir data goes with them.
    #[arg(long)]
    delete_emptydir_data: bool,
    /// Refuse where a DaemonSet has tasks, instead of leaving these.
    #[arg(long)]
    no_ignore_daemonsets: bool,
}

/// Options of `scale`.
#[derive(Debug, Args)]
pub struct Scale {
    #[command(flatten)]
    how: How,
    /// How many tasks are wanted.
    #[arg(long, value_name = "N")]
    replicas: u32,
    /// Raise the autoscaler's minimum to that number instead, so that it stays.
    #[arg(long)]
    raise_minimum: bool,
}

/// Options of `roll-back`.
#[derive(Debug, Args)]
pub struct RollBack {
    #[command(flatten)]
    how: How,
    /// To which revision: a number, or in ECS a task definition. Default: the one before.
    #[arg(long, value_name = "REVISION")]
    to: Option<String>,
}

/// Options of `set-image`.
#[derive(Debug, Args)]
pub struct SetImage {
    #[command(flatten)]
    how: How,
    /// The new image, or :TAG for another tag of the same.
    #[arg(long, value_name = "IMAGE")]
    image: String,
    /// The container, where there are several.
    #[arg(long, value_name = "NAME")]
    container: Option<String>,
}

/// Options of `delete`.
#[derive(Debug, Args)]
pub struct Delete {
    #[command(flatten)]
    how: How,
    /// How long a task may take to end. Default: as the task says.
    #[arg(long, value_name = "SECONDS")]
    grace: Option<u32>,
    /// Leave what it owns.
    #[arg(long)]
    orphan: bool,
}

/// Options of `silence`.
#[derive(Debug, Args)]
pub struct Silence {
    #[command(flatten)]
    how: How,
    /// For how long, such as 30m, 2h or 1d.
    #[arg(long = "for", visible_alias = "duration", value_name = "TIME", default_value = "1h", value_parser = seconds)]
    duration: u32,
}

/// `30m` in seconds.
fn seconds(text: &str) -> Result<u32, String> {
    let wrong = || "write a number and s, m, h or d, such as 30m".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let number: u32 = text.strip_suffix(unit).and_then(|n| n.parse().ok()).ok_or_else(wrong)?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    number.checked_mul(factor).filter(|n| *n > 0).ok_or_else(wrong)
}

impl Act {
    /// The verb, what every action takes, and its options.
    #[must_use]
    pub fn parts(&self) -> (Verb, &How, Options) {
        let usual = Options::default();
        match self {
            Self::Cordon(a) => (Verb::Cordon, &a.how, usual),
            Self::Uncordon(a) => (Verb::Uncordon, &a.how, usual),
            Self::Drain(a) => {
                let options = Options {
                    grace: a.grace,
                    timeout: a.timeout,
                    at_once: a.at_once,
                    force: a.force,
                    delete_emptydir_data: a.delete_emptydir_data,
                    ignore_daemonsets: !a.no_ignore_daemonsets,
                    ..usual
                };
                (Verb::Drain, &a.how, options)
            }
            Self::Scale(a) => {
                let options = Options { replicas: Some(a.replicas), raise_minimum: a.raise_minimum, ..usual };
                (Verb::Scale, &a.how, options)
            }
            Self::Restart(a) => (Verb::Restart, &a.how, usual),
            Self::RollBack(a) => (Verb::RollBack, &a.how, Options { revision: a.to.clone(), ..usual }),
            Self::SetImage(a) => {
                let options = Options { image: Some(a.image.clone()), container: a.container.clone(), ..usual };
                (Verb::SetImage, &a.how, options)
            }
            Self::Delete(a) => (Verb::Delete, &a.how, Options { grace: a.grace, orphan: a.orphan, ..usual }),
            Self::Trigger(a) => (Verb::Trigger, &a.how, usual),
            Self::SuspendJob(a) => (Verb::Suspend, &a.how, usual),
            Self::ResumeJob(a) => (Verb::Resume, &a.how, usual),
            Self::Silence(a) => (Verb::Silence, &a.how, Options { duration: a.duration, ..usual }),
            Self::Unsilence(a) => (Verb::Unsilence, &a.how, usual),
        }
    }
}
