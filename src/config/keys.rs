//! THE table of settings.
//!
//! A setting is added here and nowhere else: its field, kind, key, default and
//! doc. Reading files, environment and flags, `config show`, the template that
//! `config init` writes, and `docs/config.md` are derived.

use toml::de::DeValue;

use super::kinds::{
    ColorChoice, Dollars, Flag, Interval, Kind, Lines, LinkList, LogLevel, Millis, Name, OptionalPath, OptionalSpan,
    PathList, Percent, Poll, Size, View, WallPages,
};
use super::notify::{Notify, Quiet, Words};
use super::{Entries, Origin};

/// One row of the table.
#[derive(Debug)]
pub struct KeyInfo {
    /// Its key in `config.toml`: `theme`, or `logs.tail` for `tail` in `[logs]`.
    pub name: &'static str,
    /// Its default, as an environment variable would say it.
    pub default: &'static str,
    /// What may be written.
    pub allowed: &'static str,
    /// What it does, in a sentence or two.
    pub doc: &'static str,
    /// The default as a file writes it.
    default_toml: fn() -> String,
}

impl KeyInfo {
    /// The environment variable that sets it: `QUARTERDECK_LOGS_TAIL`.
    #[must_use]
    pub fn env(&self) -> String {
        format!("QUARTERDECK_{}", self.name.replace('.', "_").to_ascii_uppercase())
    }

    /// The section it stands in, empty for the top of the file, and its name there.
    #[must_use]
    pub fn section(&self) -> (&'static str, &'static str) {
        self.name.split_once('.').unwrap_or(("", self.name))
    }

    /// The default as a file writes it.
    #[must_use]
    pub fn default_toml(&self) -> String {
        (self.default_toml)()
    }
}

/// Why a value was not taken.
pub(super) enum Refused {
    /// There is no such key.
    Unknown,
    /// The value is not one of these.
    Bad(&'static str),
}

macro_rules! settings {
    ($($field:ident, $kind:ty, $key:literal, $default:literal, $doc:literal;)*) => {
        /// The settings in force.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Config {
            $(#[doc = $doc] pub $field: <$kind as Kind>::Value,)*
            /// What is said of single clusters, in the order of the file.
            pub clusters: Vec<super::ClusterSettings>,
            /// Runbooks of alarms, in the order of the file.
            pub runbooks: Vec<super::RunbookRule>,
            /// The Prometheus servers to read, in the order of the file.
            pub prometheus: Vec<super::BackendSettings>,
            /// The Alertmanagers to read, in the order of the file.
            pub alertmanager: Vec<super::BackendSettings>,
            /// What to ask about services, in the order of the file.
            pub services: Vec<super::ServiceSettings>,
            /// Where events of AWS's are read, in the order of the file.
            pub notices: Vec<super::NoticeSettings>,
            /// What may not be done, in the order of the file.
            pub guardrails: Vec<super::GuardrailSettings>,
            /// Where each value comes from, by row of [`KEYS`].
            pub(super) origins: Vec<Origin>,
        }

        /// Every setting, in the order of the template.
        pub static KEYS: &[KeyInfo] = &[$(KeyInfo {
            name: $key,
            default: $default,
            allowed: <$kind as Kind>::ALLOWED,
            doc: $doc,
            default_toml: || <$kind as Kind>::to_toml(&<$kind as Kind>::from_text($default).unwrap_or_default()),
        },)*];

        /// What one place says: a file, the environment, the flags.
        #[derive(Debug, Default)]
        pub(super) struct Layer {
            $($field: Option<(<$kind as Kind>::Value, Origin)>,)*
        }

        impl Layer {
            /// Takes the value of `key` from a file.
            pub(super) fn set_toml(&mut self, key: &str, value: &DeValue<'_>, origin: Origin) -> Result<(), Refused> {
                match key {
                    $($key => {
                        let value = <$kind as Kind>::from_toml(value).ok_or(Refused::Bad(<$kind as Kind>::ALLOWED))?;
                        self.$field = Some((value, origin));
                    })*
                    _ => return Err(Refused::Unknown),
                }
                Ok(())
            }

            /// Takes the value of `key` from a text.
            pub(super) fn set_text(&mut self, key: &str, text: &str, origin: Origin) -> Result<(), Refused> {
                match key {
                    $($key => {
                        let value = <$kind as Kind>::from_text(text).ok_or(Refused::Bad(<$kind as Kind>::ALLOWED))?;
                        self.$field = Some((value, origin));
                    })*
                    _ => return Err(Refused::Unknown),
                }
                Ok(())
            }

            /// What this says, and `lower` where it says nothing.
            pub(super) fn over(self, lower: Self) -> Self {
                Self { $($field: self.$field.or(lower.$field),)* }
            }

            /// The settings, with defaults where nothing is said.
            pub(super) fn resolve(self, entries: Entries) -> Config {
                $(let $field = self.$field.unwrap_or_else(|| {
                    (<$kind as Kind>::from_text($default).unwrap_or_default(), Origin::Default)
                });)*
                let origins = vec![$($field.1,)*];
                let Entries { clusters, runbooks, prometheus, alertmanager, services, notices, guardrails } = entries;
                Config { $($field: $field.0,)* clusters, runbooks, prometheus, alertmanager, services, notices, guardrails, origins }
            }
        }

        impl Config {
            /// Each setting, its value as a file writes it, and where it comes from.
            #[must_use]
            pub fn values(&self) -> Vec<(&'static KeyInfo, String, &Origin)> {
                let values = [$(<$kind as Kind>::to_toml(&self.$field),)*];
                KEYS.iter().zip(values).zip(&self.origins).map(|((key, value), origin)| (key, value, origin)).collect()
            }
        }
    };
}

settings! {
    theme, Name, "theme", "auto", "The theme: the name of a built-in one or of a file in the themes directory, or a path. `dark` and `light` are quarterdeck-dark and -light; `auto` takes one of them, light where the terminal says that its background is (in `COLORFGBG`, or when it is asked by OSC 11), or ansi16 where there are only sixteen colours.";
    keymap, Name, "keymap", "default", "The keymap: the name of a built-in one or of a file in the keymaps directory, or a path.";
    view, View, "view", "overview", "The view that the console opens with.";
    read_only, Flag, "read_only", "false", "Never change anything: the clients that could write are not even built.";
    wide, Flag, "wide", "false", "Show the wide columns from the start.";
    color, ColorChoice, "color", "auto", "How many colours to use. `auto` asks the terminal, and respects `NO_COLOR`.";
    ascii, Flag, "ascii", "false", "Draw lines and signs with ASCII only, for fonts and links that garble the rest.";
    log, LogLevel, "log", "info", "How much the console writes into its own log, `quarterdeck.log` in the state directory: one file of 4 MiB and one older. It has no secrets, and a demo leaves none behind.";
    draw_interval_ms, Millis, "draw_interval_ms", "33", "At least so many milliseconds lie between two frames.";
    metrics_interval, Interval, "metrics_interval", "30s", "How often to ask for CPU and memory use.";
    kubeconfig, OptionalPath, "kubeconfig", "", "The kubeconfig file. Empty: KUBECONFIG, ~/.kube/config, or the cluster that the console runs in.";
    logs_buffer, Size, "logs.buffer", "16MiB", "How much log text is kept in memory; the oldest lines go first, and the screen says how many went.";
    logs_tail, Lines, "logs.tail", "200", "How many of the last lines are read when a log is opened.";
    logs_since, OptionalSpan, "logs.since", "", "Read a log from so long ago when it is opened. Empty: by `tail` alone.";
    logs_wrap, Flag, "logs.wrap", "false", "Wrap long log lines.";
    logs_timestamps, Flag, "logs.timestamps", "false", "Show the time of each log line.";
    cpu_warn, Percent, "thresholds.cpu_warn", "80", "CPU use of a node, in per cent of what it offers, from which it is shown as a warning.";
    cpu_critical, Percent, "thresholds.cpu_critical", "95", "CPU use of a node from which it is shown as critical.";
    memory_warn, Percent, "thresholds.memory_warn", "80", "Memory use of a node, in per cent of what it offers, from which it is shown as a warning.";
    memory_critical, Percent, "thresholds.memory_critical", "95", "Memory use of a node from which it is shown as critical.";
    aws_interval, Interval, "aws.interval", "15s", "How often to ask ECS for tasks and services; what changes less is asked for less often.";
    aws_ceiling, Dollars, "aws.ceiling", "25", "Dollars a month that reading CloudWatch may cost in one account and region: polling slows down before it costs more. 0 reads no metrics.";
    severity_page, Words, "severity.page", "", "Words of labels and descriptions that mean: somebody has to look now. Before what the console takes them for; so are the next two.";
    severity_ticket, Words, "severity.ticket", "", "Words that mean: somebody has to look.";
    severity_info, Words, "severity.info", "", "Words that mean: nobody has to act.";
    notify_how, Notify, "notify.how", "none", "How to tell of a page-level alarm that begins to fire: ring the terminal's bell, or ask the terminal for a desktop notification by OSC 9 or OSC 777, whichever it knows. Once for each alarm, and not again within an hour.";
    notify_quiet, Quiet, "notify.quiet", "", "Between these times, by the machine's own clock, nobody is told.";
    backends_interval, Interval, "backends.interval", "30s", "How often to ask Prometheus and Alertmanager for alerts.";
    backends_discover, Flag, "backends.discover", "true", "Look for a Prometheus and an Alertmanager in each Kubernetes cluster for which none is set up, and read them through its API.";
    runbooks_dir, PathList, "runbooks.dir", "", "Directories of runbooks, Markdown files; a later one replaces what came before under its name, those inside the program included. Empty: `runbooks` beside `config.toml`.";
    runbooks_fetch, LinkList, "runbooks.fetch", "", "What an alarm's link to its runbook must begin with to be fetched and shown; others are only shown as links. What is fetched must be raw Markdown. Its commands are never run.";
    slo_files, PathList, "slo.files", "", "Files of objectives (OpenSLO), or directories of them, whose error budgets are shown.";
    slo_interval, Interval, "slo.interval", "60s", "How often to ask for short windows of error budgets and for golden signals; long windows are asked for less often.";
    spot_discover, Flag, "spot.discover", "true", "Look in each AWS account and region that is read for CloudWatch Logs groups of events (`/aws/events/...`), and read notices there. A queue is only read where a `[[notices]]` names it.";
    spot_ec2, Flag, "spot.ec2", "true", "Ask EC2 in each AWS account and region that is read for spot instances that are taken back, and for scheduled events.";
    spot_interval, Poll, "spot.interval", "2s", "How often to ask Logs groups for new events. EC2 is asked at a third of this pace, at most every 5 s.";
    wallboard_pages, WallPages, "wallboard.pages", "", "The pages of the wallboard, in the order in which they come. Empty: all of them.";
    wallboard_rotate, Interval, "wallboard.rotate", "20s", "How long each page of the wallboard stays.";
    wallboard_hold, Interval, "wallboard.hold", "5m", "How long a page of the wallboard that turns critical keeps the screen unless it clears before; from then on it comes back with every other turn. For as long at the most does a page stay that somebody holds.";
    state_dir, OptionalPath, "state.dir", "", "Where the audit, the history of notices, runbook ticks, saved screens, the console's log and the messages of its queues go. A new place begins a new audit. Empty: the usual place for state.";
}
