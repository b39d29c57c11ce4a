//! The arguments. Help texts here are the man page, too.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// One terminal console for the person on call: what is wrong, since when, and
/// why, over every Kubernetes and ECS cluster the team runs.
#[derive(Debug, Parser)]
#[command(name = "quarterdeck", version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub common: Common,
    /// What to do; without it, the console opens.
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

const EXAMPLES: &str = "\
Examples:
  quarterdeck --demo                             look around without a cluster
  quarterdeck                                    open the console on the current context
  quarterdeck --context prod --context staging   two clusters side by side
  quarterdeck --ecs-cluster eu-west-1/shop       an ECS cluster
  quarterdeck -n web --view tasks                one namespace, its tasks first
  quarterdeck wallboard                          for a screen on the wall; changes nothing
  quarterdeck status || page-someone             what is critical, for a script
  quarterdeck snapshot tasks --size 120x40       a picture of a view, without a terminal
  quarterdeck doctor                             what is missing, and what to do about it";

/// Options that every command takes.
#[derive(Debug, Args)]
pub struct Common {
    /// Show the embedded fleet instead of your clusters: calm, bad-deploy, zone-down, budget-burn, spot-storm, bad-night or big.
    #[arg(long, global = true, value_name = "SCENARIO", num_args = 0..=1, default_missing_value = "calm")]
    pub demo: Option<String>,
    /// A kubeconfig context to show; repeat it for several. Default: the current one.
    #[arg(long, global = true, value_name = "CONTEXT")]
    pub context: Vec<String>,
    /// An ECS cluster to show, as [PROFILE@][REGION/]NAME or its ARN; repeat it for several.
    #[arg(long, global = true, value_name = "CLUSTER")]
    pub ecs_cluster: Vec<String>,
    /// A Prometheus to read, or what speaks its API; repeat it for several.
    #[arg(long, global = true, value_name = "URL")]
    pub prometheus: Vec<String>,
    /// An Alertmanager to read; repeat it for several.
    #[arg(long, global = true, value_name = "URL")]
    pub alertmanager: Vec<String>,
    /// Read only this namespace, for roles that may see no other.
    #[arg(short, long, global = true, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// The kubeconfig file. Default: KUBECONFIG, ~/.kube/config, or the pod's own service account.
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The configuration file. Default: config.toml in the configuration directory.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The theme: a name, a file, or auto for dark or light as the terminal is.
    #[arg(long, global = true, value_name = "THEME")]
    pub theme: Option<String>,
    /// The keymap: a name or a file.
    #[arg(long, global = true, value_name = "KEYMAP")]
    pub keymap: Option<String>,
    /// Colours: auto, never, 16, 256 or truecolor.
    #[arg(long, global = true, value_name = "WHEN")]
    pub color: Option<String>,
    /// Draw with ASCII characters only.
    #[arg(long, global = true)]
    pub ascii: bool,
    /// Change nothing anywhere: no writing client is built.
    #[arg(long, global = true)]
    pub read_only: bool,
    /// The view that opens first: overview, nodes, tasks, workloads, events, map, alarms, budgets, services, spot or pools.
    #[arg(long, global = true, value_name = "VIEW")]
    pub view: Option<String>,
    /// Show the wide columns from the start.
    #[arg(long, global = true)]
    pub wide: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show pages that rotate on a wall; changes nothing, needs no keys.
    ///
    /// A page that turns critical takes the screen. Ends by `q` or a signal only.
    Wallboard(Wallboard),
    /// Print once what is wrong, for scripts and people.
    ///
    /// Exits with 0 when fine, 1 when something is critical, 2 when a source failed.
    Status {
        /// How; JSON is versioned, see docs/status.md.
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Print one settled frame of a view; needs no terminal.
    Snapshot(Snapshot),
    /// Say what was found and what to do about it.
    ///
    /// Looks at the terminal, its colours, the configuration, the kubeconfig, whether
    /// each cluster is reached, and what may be read there.
    Doctor {
        /// Print the IAM policy that the console needs in AWS, and nothing else.
        #[arg(long, value_enum, num_args = 0..=1, default_missing_value = "read", value_name = "POLICY")]
        iam: Option<super::iam::Policy>,
    },
    /// Look at, check or write the configuration.
    Config {
        /// What.
        #[command(subcommand)]
        what: ConfigVerb,
    },
    /// Print every key of the keymap in force.
    ///
    /// Those of programs and runbooks as well; on standard error, what is doubtful about them.
    Keys {
        /// Only look for mistakes; exits with 1 when there are any.
        #[arg(long)]
        lint: bool,
    },
    /// List the themes, built in and yours.
    Themes {
        /// Only look for mistakes, contrast included; exits with 1 when there are any.
        #[arg(long)]
        lint: bool,
        /// Print each role in its style.
        #[arg(long)]
        preview: bool,
    },
    /// Check files of objectives (OpenSLO), or report on error budgets.
    Slo {
        /// What.
        #[command(subcommand)]
        what: SloVerb,
    },
    /// List, print or check runbooks.
    Runbook {
        /// What.
        #[command(subcommand)]
        what: RunbookVerb,
    },
    /// Print what became of spot interruptions and other notices.
    Spot {
        /// What.
        #[command(subcommand)]
        what: SpotVerb,
    },
    #[command(flatten)]
    Act(super::act::args::Act),
    /// Print, export or check the record of what was done.
    Audit {
        /// What.
        #[command(subcommand)]
        what: AuditVerb,
    },
    /// Run a command, or a shell, in a task's container.
    ///
    /// With a terminal on both ends the task's program has it; the exit code is the program's, or 255 where
    /// that is not known. Several tasks need a command; their output is gathered. ECS, through AWS's
    /// session-manager-plugin, always wants a terminal, and lets into one task at a time.
    Exec(Exec),
    /// Attach to the process of a task's container.
    ///
    /// ctrl-c leaves one that has no terminal.
    Attach(Exec),
    /// Forward a local port to a task, until it is interrupted.
    ///
    /// Into an ECS task through AWS's session-manager-plugin.
    PortForward(Forward),
    /// Serve the embedded fleet to kubectl and other programs.
    ///
    /// Runs until it is stopped, and prints how to reach it.
    Sim(Sim),
    /// Print the completion script of a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the man page.
    Man,
}

/// Options of `exec` and `attach`.
#[derive(Debug, Args)]
pub struct Exec {
    /// The container. Default: the one the task names, or its first.
    #[arg(short, long, value_name = "CONTAINER")]
    pub container: Option<String>,
    /// The tasks, as [NAMESPACE/]NAME; of ECS as [SERVICE/]ID.
    #[arg(required = true, value_name = "TASK")]
    pub tasks: Vec<String>,
    /// The program and its arguments. Default: a shell.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Options of `port-forward`.
#[derive(Debug, Args)]
pub struct Forward {
    /// The task, as [NAMESPACE/]NAME; of ECS as [SERVICE/]ID.
    #[arg(value_name = "TASK")]
    pub task: String,
    /// [LOCAL:]REMOTE; local port 0 takes a free one. Default: the same port.
    #[arg(value_name = "PORTS")]
    pub ports: String,
}

/// Options of `wallboard`.
#[derive(Debug, Args)]
pub struct Wallboard {
    /// The pages, with commas between them: overview, map, budgets, alarms, spot, services, timeline.
    #[arg(long, value_name = "PAGES")]
    pub pages: Option<String>,
    /// How long each page stays, such as 20s.
    #[arg(long, value_name = "TIME")]
    pub rotate: Option<String>,
    /// How long a critical page keeps the screen, such as 5m.
    #[arg(long, value_name = "TIME")]
    pub hold: Option<String>,
}

/// How `status`, actions and `audit tail` print; each says where its JSON is described.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// How `snapshot` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Picture {
    /// Plain text.
    Text,
    /// With colours, for a terminal.
    Ansi,
    /// A vector image.
    Svg,
}

/// Options of `snapshot`.
#[derive(Debug, Args)]
pub struct Snapshot {
    /// The view: overview, nodes, tasks, workloads, events, map, alarms, budgets, services, spot or pools;
    /// or wallboard, or one of its pages as wallboard:PAGE.
    #[arg(value_name = "VIEW", required_unless_present = "all", default_value = "overview", hide_default_value = true)]
    pub what: String,
    /// Write every picture of the documents into a directory instead, made from the embedded fleet.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["what", "demo"])]
    pub all: Option<PathBuf>,
    /// Columns and rows.
    #[arg(long, value_name = "WxH", default_value = "160x48")]
    pub size: String,
    /// How.
    #[arg(long, value_enum, default_value_t = Picture::Text)]
    pub format: Picture,
    /// Show only rows that fit, as `/` does.
    #[arg(long, value_name = "FILTER", allow_hyphen_values = true)]
    pub filter: Option<String>,
    /// Keys to press before the picture is taken, such as "j j d".
    #[arg(long, value_name = "KEYS")]
    pub keys: Option<String>,
    /// Let this much time pass first, so that a demo scenario gets going.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub after: u64,
}

/// How another program reaches the embedded fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Access {
    /// A kubeconfig.
    Kubeconfig,
    /// Lines to `eval` in a shell.
    Aws,
    /// The addresses of Prometheus and Alertmanager, as lines to `eval` in a shell.
    Prometheus,
}

/// Options of `sim`.
#[derive(Debug, Args)]
pub struct Sim {
    /// Where to listen; loopback only. Port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: std::net::SocketAddr,
    /// What to print: a kubeconfig, or what a shell exports for the AWS CLI and boto3, or for promtool and amtool.
    #[arg(long, value_enum, default_value_t = Access::Kubeconfig)]
    pub print: Access,
    /// A scenario's name, or a scenario file.
    #[arg(long, value_name = "SCENARIO", default_value = "calm")]
    pub scenario: String,
    /// Nodes of the parametric scenario `big`.
    #[arg(long, value_name = "N")]
    pub nodes: Option<u32>,
    /// Pods of the parametric scenario `big`.
    #[arg(long, value_name = "M")]
    pub pods: Option<u32>,
    /// Pod changes a second of the parametric scenario `big`.
    #[arg(long, value_name = "R")]
    pub changes: Option<f64>,
}

/// What to do with files of objectives.
#[derive(Debug, Subcommand)]
pub enum SloVerb {
    /// Say what was understood of each objective, or what is wrong with it; exits with 2 when something is.
    Check {
        /// OpenSLO files, or directories of them; read together, so that one may refer to another.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// How.
        #[arg(long, value_enum, default_value_t = SloFormat::Text)]
        format: SloFormat,
    },
    /// Read every error budget once and print them, for a review.
    ///
    /// Exits with 0 when they were read, 1 when one pages, 2 when one or its source could not be read.
    Report {
        /// OpenSLO files, or directories of them: report on the objectives in them only. Default: all that are read.
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
        /// How.
        #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
        format: ReportFormat,
    },
}

/// What to do with the audit.
#[derive(Debug, Subcommand)]
pub enum AuditVerb {
    /// Print the last entries.
    Tail {
        /// How many; -n N says the same here.
        #[arg(long, value_name = "N", default_value_t = 20)]
        lines: usize,
        /// Go on and print what is added.
        #[arg(short, long)]
        follow: bool,
        /// How: in JSON, a line for each entry, see docs/audit.md.
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Print every entry, for another system to keep.
    Export {
        /// How.
        #[arg(long, value_enum, default_value_t = ExportFormat::Jsonl)]
        format: ExportFormat,
        /// Only those within this time, such as 90m, 12h or 7d.
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
    },
    /// Check that nothing was changed or removed.
    ///
    /// Exits with 1 at the first place that was, and with 2 where the settings are wrong.
    Verify,
}

/// How `audit export` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// A line of JSON for each entry, see docs/audit.md.
    Jsonl,
    /// For a spreadsheet.
    Csv,
}

/// What to do with runbooks.
#[derive(Debug, Subcommand)]
pub enum RunbookVerb {
    /// List those that a console would have; exits with 1 when a file of them cannot be read.
    List {
        /// How.
        #[arg(long, value_enum, default_value_t = RunbookFormat::Table)]
        format: RunbookFormat,
    },
    /// Print one, as wide as COLUMNS says.
    Show {
        /// Its name, or a file.
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Say what is wrong with runbooks, line by line; exits with 1 when anything is. Runs nothing.
    Check {
        /// Markdown files, or directories of them; checked together, so that one may link to another.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

/// How `runbook list` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RunbookFormat {
    /// For people.
    Table,
    /// For programs: versioned, see docs/runbooks.md.
    Json,
}

/// What to do with notices.
#[derive(Debug, Subcommand)]
pub enum SpotVerb {
    /// Print what consoles on this machine have kept of notices that are over.
    History {
        /// How.
        #[arg(long, value_enum, default_value_t = HistoryFormat::Table)]
        format: HistoryFormat,
        /// Only those that were given within this time, such as 90m, 12h or 7d.
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
    },
}

/// How `spot history` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HistoryFormat {
    /// For people, the newest first.
    Table,
    /// For programs: versioned, see docs/notices.md.
    Json,
    /// For a spreadsheet.
    Csv,
}

/// How `slo report` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people at a terminal.
    Table,
    /// For a review's page.
    Markdown,
    /// For programs: versioned, see docs/slo.md.
    Json,
}

/// How `slo check` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SloFormat {
    /// For people.
    Text,
    /// For programs, see docs/slo.md.
    Json,
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// Look for mistakes; exits with 1 when there are any.
    Check {
        /// The file. Default: the one in force.
        file: Option<PathBuf>,
    },
    /// Print every setting with its value and where it comes from.
    Show,
    /// Write a commented configuration file; an existing one is left alone.
    Init,
}
