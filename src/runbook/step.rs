//! Steps: fenced blocks that the console can carry out.
//!
//! ````text
//! ```step view Tasks that crash        ```step drain
//! view = "tasks"                       target = "node"
//! filter = "status=CrashLoopBackOff"   ```
//! ```
//! ````
//!
//! After the word `step` comes what it is, then its title; the block itself is TOML.

use std::collections::BTreeMap;
use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, Options as Extensions, Parser, Tag, TagEnd};
use serde::Deserialize;

use super::{Mistake, Subject, fill};
use crate::action::{Intent, Options, Verb};
use crate::domain::{Kind, ObjectId, Text};

/// How long a command may take unless it says so, in seconds.
const TIMEOUT: u32 = 60;
/// The longest it may say.
const LONGEST: u32 = 3600;
/// How many arguments a command may have.
const ARGUMENTS: usize = 256;

/// Names of views that a step may open.
pub const VIEWS: &[&str] =
    &["overview", "nodes", "tasks", "workloads", "events", "map", "alarms", "budgets", "services", "spot", "pools"];

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What it is for.
    pub title: Text,
    /// What it does; why it cannot be understood.
    pub kind: Result<StepKind, String>,
}

/// Of what kind the target of a step is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The nearest thing to what is selected that the step means something for.
    #[default]
    Nearest,
    /// What is selected itself.
    Selected,
    /// Its node.
    Node,
    /// Its workload.
    Workload,
    /// Its task.
    Task,
    /// The alarm.
    Alarm,
}

impl Target {
    /// What it is, seen from what is selected.
    ///
    /// # Errors
    /// When there is none.
    pub fn of(self, subject: &Subject, means: impl Fn(Kind) -> bool) -> Result<ObjectId, Text> {
        let (found, what) = match self {
            Self::Nearest => (subject.nearest(&means), "anything that this step is for"),
            Self::Selected => (subject.id().filter(|id| means(id.kind)), "a thing that this step is for"),
            Self::Node => (subject.nearest(|k| k == Kind::Node), "a node"),
            Self::Workload => (subject.nearest(Kind::is_workload), "a workload"),
            Self::Task => (subject.nearest(|k| k == Kind::Task), "a task"),
            Self::Alarm => (subject.nearest(|k| k == Kind::Alarm), "an alarm"),
        };
        found.cloned().ok_or_else(|| {
            let of = subject.id().map_or_else(
                || "nothing is selected".to_owned(),
                |id| format!("{} {} has none", id.kind.short(), id.name),
            );
            Text::new(&format!("this step wants {what}: {of}"))
        })
    }

    fn word(self) -> &'static str {
        match self {
            Self::Nearest | Self::Selected => "",
            Self::Node => " its node",
            Self::Workload => " its workload",
            Self::Task => " its task",
            Self::Alarm => " the alarm",
        }
    }
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum StepKind {
    /// Opens a view.
    View {
        /// Which.
        view: &'static str,
        /// With this filter; may have holes.
        filter: String,
        /// Only what belongs to what is selected: a node's or a workload's tasks.
        within: bool,
        /// By this column, largest or worst first; as the view has it without one.
        sort: String,
    },
    /// Opens logs.
    Logs {
        /// Of the run before.
        previous: bool,
        /// Whose.
        target: Target,
    },
    /// Describes something.
    Describe(Target),
    /// Shows the events about something.
    Events(Target),
    /// Does something, by way of its plan.
    Act {
        /// What.
        verb: Verb,
        /// How.
        options: Box<Options>,
        /// To what.
        target: Target,
    },
    /// Runs a program.
    Run(Command),
}

/// A program and its arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    /// The program, then its arguments, with holes.
    pub argv: Vec<String>,
    /// What fills the holes.
    pub params: Vec<Param>,
    /// What is set in the environment, with holes.
    pub env: Vec<(String, String)>,
    /// How long it may take, in seconds.
    pub timeout: u32,
}

/// A declared parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// Its name in holes.
    pub name: String,
    /// What it is of what is selected; see [`Subject::value`].
    pub from: String,
    /// The form that the whole of it must have, a regular expression.
    pub matches: Option<String>,
}

impl StepKind {
    /// What it does, in a line: `drain its node`, `view tasks  status=Pending`.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::View { view, filter, within, sort } => {
                let within = if *within { " of what is selected" } else { "" };
                let gap = if filter.is_empty() { "" } else { "  " };
                let by = if sort.is_empty() { String::new() } else { format!("  most {sort} first") };
                format!("view {view}{within}{gap}{filter}{by}")
            }
            Self::Logs { previous, target } => {
                format!("{}logs{}", if *previous { "previous " } else { "" }, target.word())
            }
            Self::Describe(target) => format!("describe{}", target.word()),
            Self::Events(target) => format!("events{}", target.word()),
            Self::Act { verb, options, target } => {
                let mut out = format!("{verb}{}", target.word());
                if let Ok(serde_json::Value::Object(said)) = serde_json::to_value(options)
                    && let Ok(serde_json::Value::Object(usual)) = serde_json::to_value(Options::default())
                {
                    for (key, value) in said.iter().filter(|(k, v)| usual.get(*k) != Some(v)) {
                        out += &format!("  {key} {value}");
                    }
                }
                out
            }
            Self::Run(command) => format!("run {}", fill::quoted(&command.argv)),
        }
    }

    /// What it wants done, for what changes something.
    ///
    /// # Errors
    /// When what is selected does not have what it needs; `Ok(None)` for what only looks.
    pub fn intent(&self, subject: &Subject) -> Result<Option<Intent>, Text> {
        match self {
            Self::Act { verb, options, target } => {
                let id = target.of(subject, |k| verb.info().kinds.contains(&k))?;
                let intent = Intent { verb: *verb, targets: vec![id], options: options.as_ref().clone() };
                intent.check()?;
                Ok(Some(intent))
            }
            Self::Run(command) => command.intent(subject).map(Some),
            _ => Ok(None),
        }
    }
}

impl Command {
    /// To run it for what is selected.
    ///
    /// # Errors
    /// When nothing is selected, or a parameter has no value or one that is refused.
    pub fn intent(&self, subject: &Subject) -> Result<Intent, Text> {
        let Some(id) = subject.id() else { return Err(Text::new("select first what this is about")) };
        let filled = fill::command(self, subject)?;
        let options = Options {
            command: filled.argv,
            env: filled.env,
            timeout: filled.timeout,
            tty: false,
            ..Options::default()
        };
        Ok(Intent { verb: Verb::Run, targets: vec![id.clone()], options })
    }

    /// What is wrong with it.
    ///
    /// # Errors
    /// The first thing, in words.
    pub fn check(&self) -> Result<(), String> {
        let Some(program) = self.argv.first() else { return Err("`argv` is empty: name a program".to_owned()) };
        if fill::holes(program).next().is_some() {
            return Err("the program cannot be filled in".to_owned());
        }
        let bare = |p: &str| !p.is_empty() && p.chars().all(|c| c.is_ascii_alphanumeric() || "._+-".contains(c));
        if !program.starts_with('/') && !bare(program) {
            return Err(format!("`{program}` is neither a program's name nor its whole path"));
        }
        if self.argv.len() > ARGUMENTS {
            return Err(format!("these are more than {ARGUMENTS} arguments"));
        }
        let values = || self.argv.iter().chain(self.env.iter().map(|(_, v)| v));
        if values().any(|a| a.contains('\0')) {
            return Err("an argument has a NUL byte".to_owned());
        }
        for hole in values().flat_map(|t| fill::holes(t)) {
            if !self.params.iter().any(|p| p.name == hole) {
                return Err(format!("`{{{hole}}}` is not declared in [params]"));
            }
        }
        for p in &self.params {
            if !Subject::knows(&p.from) {
                let known = "name, namespace, cluster, kind, alarm, workload, a kind such as node or task, label.KEY";
                return Err(format!("nothing selected has a `{}`; there are {known}", p.from));
            }
            if let Some(Err(e)) = p.matches.as_ref().map(|m| regex_lite::Regex::new(m)) {
                return Err(format!("`matches` of `{}` is no regular expression: {e}", p.name));
            }
        }
        for (name, _) in &self.env {
            let fine = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
            if !name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_') || !name.chars().all(fine) {
                return Err(format!("`{name}` is no name of an environment variable: capitals, digits and _"));
            }
            if is_loader(name) {
                return Err(format!("`{name}` decides what programs run, and may not be set here"));
            }
        }
        if !(1..=LONGEST).contains(&self.timeout) {
            return Err(format!("`timeout` is 1 to {LONGEST} seconds"));
        }
        interpreted(&self.argv)
    }
}

/// Variables that make a program load or run something else.
fn is_loader(name: &str) -> bool {
    ["LD_", "DYLD_", "BASH_FUNC", "GIT_"].iter().any(|p| name.starts_with(p))
        || matches!(
            name,
            "PATH"
                | "IFS"
                | "ENV"
                | "BASH_ENV"
                | "SHELLOPTS"
                | "PS4"
                | "PROMPT_COMMAND"
                | "PYTHONPATH"
                | "PYTHONSTARTUP"
                | "PYTHONHOME"
                | "PERL5OPT"
                | "PERL5LIB"
                | "RUBYOPT"
                | "RUBYLIB"
                | "NODE_OPTIONS"
                | "JAVA_TOOL_OPTIONS"
                | "EDITOR"
                | "VISUAL"
                | "PAGER"
                | "HOME"
                | "SHELL"
        )
}

/// Refuses holes where a program would take them as code of its own.
fn interpreted(argv: &[String]) -> Result<(), String> {
    let base = |a: &str| a.rsplit('/').next().unwrap_or_default().to_owned();
    let filled = |a: &String| fill::holes(a).next().is_some();
    // `env`, `sudo` and the like hand on to another program: it may stand anywhere.
    for (at, name) in argv.iter().enumerate().map(|(i, a)| (i, base(a))) {
        let rest = &argv[at + 1..];
        let joins = ["ssh", "watch", "su", "parallel", "xargs", "script", "eval", "expect", "awk", "gawk", "sed"];
        if joins.contains(&name.as_str()) && rest.iter().any(filled) {
            let why = "makes a program of its arguments; hand the values on in [env] instead";
            return Err(format!("nothing may be filled in after `{name}`, which {why}"));
        }
        let shells = ["sh", "bash", "dash", "zsh", "ksh", "fish", "ash", "busybox"];
        let others = ["python", "python3", "perl", "ruby", "node", "php", "lua", "deno", "bun", "pwsh"];
        if !shells.contains(&name.as_str()) && !others.contains(&name.as_str()) {
            continue;
        }
        let is_flag = |a: &String| {
            let short = a.starts_with('-') && !a.starts_with("--") && a.contains(['c', 'e', 'r', 'E']);
            short || matches!(a.as_str(), "--eval" | "--command" | "--run")
        };
        let flag = rest.iter().position(is_flag);
        let code = flag.map_or(0, |f| f + 1);
        let glued = rest.iter().take(code + 1).any(|a| a.starts_with('-') && filled(a));
        if glued || rest.get(code).is_some_and(filled) {
            let how = "leave the script as it is and use \"$1\", with {name} as an argument after it";
            return Err(format!("nothing may be filled into what `{name}` runs; {how}"));
        }
        // What comes after its script is data for that.
        return Ok(());
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawView {
    view: String,
    #[serde(default)]
    filter: String,
    #[serde(default)]
    within: bool,
    #[serde(default)]
    sort: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLook {
    #[serde(default)]
    target: Target,
    #[serde(default)]
    previous: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct RawAct {
    target: Target,
    replicas: Option<u32>,
    raise_minimum: Option<bool>,
    container: Option<String>,
    image: Option<String>,
    revision: Option<String>,
    grace: Option<u32>,
    timeout: Option<u32>,
    at_once: Option<u16>,
    force: Option<bool>,
    delete_emptydir_data: Option<bool>,
    ignore_daemonsets: Option<bool>,
    orphan: Option<bool>,
    duration: Option<u32>,
    command: Option<Vec<String>>,
    ports: Option<(u16, u16)>,
}

/// A command as files write it: in steps, and in keymaps.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawCommand {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Declared parameters.
    pub params: BTreeMap<String, RawParam>,
    /// Environment.
    pub env: BTreeMap<String, String>,
    /// In seconds.
    pub timeout: Option<u32>,
}

/// `pod = "task"`, or with the form it must have.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum RawParam {
    /// Where it is from.
    From(String),
    /// With its form.
    Full {
        /// Where it is from.
        from: String,
        /// A regular expression for the whole of it.
        matches: Option<String>,
    },
}

impl RawCommand {
    /// The command, checked.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn checked(self) -> Result<Command, String> {
        let params = self.params.into_iter().map(|(name, raw)| match raw {
            RawParam::From(from) => Param { name, from, matches: None },
            RawParam::Full { from, matches } => Param { name, from, matches },
        });
        let command = Command {
            argv: self.argv,
            params: params.collect(),
            env: self.env.into_iter().collect(),
            timeout: self.timeout.unwrap_or(TIMEOUT),
        };
        command.check()?;
        Ok(command)
    }
}

/// What Markdown of ours has besides the usual.
pub(super) fn extensions() -> Extensions {
    Extensions::ENABLE_TABLES | Extensions::ENABLE_TASKLISTS | Extensions::ENABLE_STRIKETHROUGH
}

/// What comes after `step` in a block's info string.
pub(super) fn step_of(info: &str) -> Option<(&str, &str)> {
    let rest = info.trim().strip_prefix("step")?;
    if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
        return None;
    }
    let rest = rest.trim();
    Some(rest.split_once(char::is_whitespace).map_or((rest, ""), |(kind, title)| (kind, title.trim())))
}

/// The steps of a runbook, and its first heading.
pub(super) fn steps(markdown: &str, offset: usize, mistakes: &mut Vec<Mistake>) -> (Vec<Step>, Option<Text>) {
    let mut out = Vec::new();
    let mut heading: Option<String> = None;
    let mut in_heading = false;
    let mut events = Parser::new_ext(markdown, extensions()).into_offset_iter();
    while let Some((event, at)) = events.next() {
        match event {
            Event::Start(Tag::Heading { .. }) if heading.is_none() => {
                in_heading = true;
                heading = Some(String::new());
            }
            Event::End(TagEnd::Heading(_)) => in_heading = false,
            Event::Text(text) | Event::Code(text) if in_heading => {
                heading.get_or_insert_default().push_str(&text);
            }
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                let Some((kind, title)) = step_of(&info) else { continue };
                let (mut body, mut begin) = (String::new(), None);
                for (event, at) in events.by_ref() {
                    match event {
                        Event::Text(text) => {
                            begin.get_or_insert(at.start);
                            body.push_str(&text);
                        }
                        Event::End(TagEnd::CodeBlock) => break,
                        _ => {}
                    }
                }
                let first =
                    offset + at.start..offset + at.start + markdown[at.clone()].lines().next().map_or(0, str::len);
                let begin = begin.map_or(first.start, |b| offset + b);
                let made = read(kind, &body).map_err(|(span, what)| {
                    let at = span.map_or(first, |s| begin + s.start..begin + s.end);
                    mistakes.push(Mistake::new(at, what.clone()).hint("docs/runbooks.md says how steps are written"));
                    what
                });
                let title = if title.is_empty() {
                    made.as_ref().map_or_else(|_| kind.to_owned(), StepKind::summary)
                } else {
                    title.to_owned()
                };
                out.push(Step { title: Text::new(&title), kind: made });
            }
            _ => {}
        }
    }
    (out, heading.map(|h| Text::new(h.trim())))
}

type Wrong = (Option<Range<usize>>, String);

fn toml<T: for<'de> Deserialize<'de>>(body: &str) -> Result<T, Wrong> {
    toml::from_str(body).map_err(|e| (e.span(), Text::new(e.message()).to_string()))
}

fn read(kind: &str, body: &str) -> Result<StepKind, Wrong> {
    match kind {
        "view" => {
            let raw: RawView = toml(body)?;
            let Some(view) = VIEWS.iter().find(|v| **v == raw.view) else {
                let at = body.find(&raw.view).map(|i| i..i + raw.view.len());
                return Err((at, format!("there is no view `{}`; there are {}", raw.view, VIEWS.join(", "))));
            };
            if let Some(hole) = fill::holes(&raw.filter).find(|h| !Subject::knows(h)) {
                return Err((None, format!("nothing selected has a `{hole}`")));
            }
            if raw.within && !matches!(*view, "tasks" | "nodes" | "events") {
                return Err((None, format!("`within` means nothing for {view}; only for tasks, nodes and events")));
            }
            Ok(StepKind::View { view, filter: raw.filter, within: raw.within, sort: raw.sort })
        }
        "logs" => {
            let raw: RawLook = toml(body)?;
            Ok(StepKind::Logs { previous: raw.previous, target: raw.target })
        }
        "describe" | "events" => {
            let raw: RawLook = toml(body)?;
            if raw.previous {
                return Err((None, format!("`previous` means nothing for {kind}")));
            }
            Ok(if kind == "events" { StepKind::Events(raw.target) } else { StepKind::Describe(raw.target) })
        }
        "run" => {
            let raw: RawCommand = toml(body)?;
            raw.checked().map(StepKind::Run).map_err(|why| (None, why))
        }
        _ => {
            if let Some(verb) = Verb::from_name(kind) {
                return act(verb, toml(body)?);
            }
            let verbs: Vec<&str> = crate::action::intent::VERBS.iter().map(|v| v.name).collect();
            let known = format!("view, logs, describe, events, {}", verbs.join(", "));
            Err((None, format!("`{kind}` is no step; there are {known}")))
        }
    }
}

/// What can be said of each verb.
fn sayable(verb: Verb) -> &'static [&'static str] {
    match verb {
        Verb::Scale => &["replicas", "raise_minimum"],
        Verb::SetImage => &["container", "image"],
        Verb::RollBack => &["revision"],
        Verb::Drain => &["grace", "timeout", "at_once", "force", "delete_emptydir_data", "ignore_daemonsets"],
        Verb::Delete => &["grace", "orphan"],
        Verb::Silence => &["duration"],
        Verb::Exec => &["command", "container"],
        Verb::Attach => &["container"],
        Verb::PortForward => &["ports"],
        _ => &[],
    }
}

fn act(verb: Verb, raw: RawAct) -> Result<StepKind, Wrong> {
    let said = [
        ("replicas", raw.replicas.is_some()),
        ("raise_minimum", raw.raise_minimum.is_some()),
        ("container", raw.container.is_some()),
        ("image", raw.image.is_some()),
        ("revision", raw.revision.is_some()),
        ("grace", raw.grace.is_some()),
        ("timeout", raw.timeout.is_some()),
        ("at_once", raw.at_once.is_some()),
        ("force", raw.force.is_some()),
        ("delete_emptydir_data", raw.delete_emptydir_data.is_some()),
        ("ignore_daemonsets", raw.ignore_daemonsets.is_some()),
        ("orphan", raw.orphan.is_some()),
        ("duration", raw.duration.is_some()),
        ("command", raw.command.is_some()),
        ("ports", raw.ports.is_some()),
    ];
    if let Some((name, _)) = said.iter().find(|(name, is)| *is && !sayable(verb).contains(name)) {
        return Err((None, format!("`{name}` means nothing for {verb}")));
    }
    let usual = Options::default();
    let options = Options {
        replicas: raw.replicas,
        raise_minimum: raw.raise_minimum.unwrap_or(usual.raise_minimum),
        container: raw.container,
        image: raw.image,
        revision: raw.revision,
        grace: raw.grace,
        timeout: raw.timeout.unwrap_or(usual.timeout),
        at_once: raw.at_once.unwrap_or(usual.at_once).max(1),
        force: raw.force.unwrap_or(usual.force),
        delete_emptydir_data: raw.delete_emptydir_data.unwrap_or(usual.delete_emptydir_data),
        ignore_daemonsets: raw.ignore_daemonsets.unwrap_or(usual.ignore_daemonsets),
        orphan: raw.orphan.unwrap_or(usual.orphan),
        duration: raw.duration.unwrap_or(usual.duration),
        command: raw.command.unwrap_or_default(),
        ports: raw.ports,
        ..usual
    };
    let means: &dyn Fn(Kind) -> bool = &|k| verb.info().kinds.contains(&k) && fill::is_target(k);
    let of_kind = match raw.target {
        Target::Nearest | Target::Selected => true,
        Target::Node => means(Kind::Node),
        Target::Workload => Kind::ALL.iter().any(|k| k.is_workload() && means(*k)),
        Target::Task => means(Kind::Task),
        Target::Alarm => means(Kind::Alarm),
    };
    if !of_kind {
        return Err((None, format!("{verb} means nothing for{}", raw.target.word())));
    }
    Ok(StepKind::Act { verb, options: Box::new(options), target: raw.target })
}
