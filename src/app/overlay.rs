//! What lies over the page: help, errors, the palette; and the prompt below it.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use tui_input::{Input, InputRequest};

use crate::command::{COMMANDS, Command};
use crate::domain::ClusterId;
use crate::key::{Key, KeyCode};

use super::table::ViewKind;

/// What lies over the page.
#[derive(Debug)]
pub enum Overlay {
    /// Every key that does something here.
    Help {
        /// First visible line.
        scroll: usize,
        /// What the page beneath is.
        context: crate::key::Context,
    },
    /// Sources and the error log.
    Errors {
        /// First visible line.
        scroll: usize,
    },
    /// The command palette.
    Palette(Palette),
    /// A plan, before it is done or left.
    Action(Box<super::actions::dialog::Dialog>),
    /// An action that runs, or is over.
    Run {
        /// Which of this session.
        ticket: u64,
    },
    /// The actions of this session, the newest first.
    Runs {
        /// Which of them.
        selected: usize,
    },
    /// Something runs: quit all the same?
    Quit,
}

/// What is typed at the bottom.
#[derive(Debug)]
pub struct Prompt {
    /// What it is for.
    pub kind: PromptKind,
    /// The text and its cursor.
    pub input: Input,
    /// What was in force before, restored by Escape.
    pub before: String,
    /// Why what is typed cannot be used.
    pub error: Option<String>,
}

/// What a prompt is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptKind {
    /// Which rows are shown.
    Filter,
    /// Which log lines are shown.
    LogFilter,
    /// What to find in a text.
    Search,
}

/// Applies an editing key; false if the key means nothing here.
pub fn edit(input: &mut Input, key: Key) -> bool {
    let request = match (key.code, key.ctrl, key.alt) {
        (KeyCode::Char(c), false, false) => InputRequest::InsertChar(c),
        (KeyCode::Backspace, false, false) | (KeyCode::Char('h'), true, false) => InputRequest::DeletePrevChar,
        (KeyCode::Delete, false, false) | (KeyCode::Char('d'), true, false) => InputRequest::DeleteNextChar,
        (KeyCode::Left, false, false) | (KeyCode::Char('b'), true, false) => InputRequest::GoToPrevChar,
        (KeyCode::Right, false, false) | (KeyCode::Char('f'), true, false) => InputRequest::GoToNextChar,
        (KeyCode::Left, true, _) | (KeyCode::Char('b'), _, true) => InputRequest::GoToPrevWord,
        (KeyCode::Right, true, _) | (KeyCode::Char('f'), _, true) => InputRequest::GoToNextWord,
        (KeyCode::Home, ..) | (KeyCode::Char('a'), true, false) => InputRequest::GoToStart,
        (KeyCode::End, ..) | (KeyCode::Char('e'), true, false) => InputRequest::GoToEnd,
        (KeyCode::Char('w'), true, false) | (KeyCode::Backspace, _, _) => InputRequest::DeletePrevWord,
        (KeyCode::Char('u'), true, false) => InputRequest::DeleteLine,
        (KeyCode::Char('k'), true, false) => InputRequest::DeleteTillEnd,
        _ => return false,
    };
    input.handle(request);
    true
}

/// One thing the palette offers.
#[derive(Debug, Clone, PartialEq)]
pub enum Choice {
    /// Run a command.
    Command(Command),
    /// Open a view of one cluster.
    Cluster(ViewKind, ClusterId),
    /// Open the runbook of this name.
    Runbook(String),
}

/// The command palette: any command or view by a few letters.
#[derive(Debug)]
pub struct Palette {
    /// What is typed.
    pub input: Input,
    /// What there is to choose from, with the text it is found by.
    pub choices: Vec<(Choice, String)>,
    /// Indexes into `choices`, best first.
    pub found: Vec<usize>,
    /// Index into `found`.
    pub selected: usize,
    /// Above it.
    pub title: &'static str,
    /// What is said where nothing is found.
    pub nothing: &'static str,
    /// Below it; may be empty.
    pub note: String,
}

/// What people type for a command, beside its name and label.
fn aliases(command: Command) -> &'static str {
    match command {
        Command::ViewTasks => "pods pod po",
        Command::ViewNodes => "no node instances",
        Command::ViewWorkloads => "deployments deploy dp sts statefulsets ds daemonsets jobs cronjobs",
        Command::ViewEvents => "ev",
        Command::ViewAlarms => "alerts alert alarm",
        Command::ViewBudgets => "slo slos burn",
        Command::ViewSpot => "notices notice interruptions",
        Command::ViewPools => "capacity pool",
        Command::ViewServices => "svc golden red",
        Command::ViewOverview => "pulse home problems",
        Command::Quit => "q exit",
        Command::Describe => "inspect",
        Command::Delete => "stop kill remove",
        Command::Exec => "shell sh bash",
        Command::RollBack => "rollback undo",
        Command::Restart => "rollout redeploy",
        Command::Silence => "mute disable-alarm-actions",
        Command::Unsilence => "unmute enable-alarm-actions",
        Command::ViewActions => "running history",
        Command::OpenRunbook => "what to do playbook",
        Command::Runbooks => "books playbooks",
        _ => "",
    }
}

impl Palette {
    /// All commands that mean something in `contexts`, and each cluster's views.
    #[must_use]
    pub fn new(context: crate::key::Context, clusters: &[ClusterId]) -> Self {
        let mut contexts = vec![context];
        while let Some(parent) = contexts.last().and_then(|c| c.parent()) {
            contexts.push(parent);
        }
        let mut choices: Vec<(Choice, String)> = COMMANDS
            .iter()
            .filter(|c| contexts.contains(&c.context) && c.command != Command::Palette)
            .map(|c| {
                let name = c.name.strip_prefix("view-").unwrap_or(c.name);
                (Choice::Command(c.command), format!("{name}  {} {}", c.label, aliases(c.command)))
            })
            .collect();
        if clusters.len() > 1 {
            for cluster in clusters {
                for kind in [ViewKind::Overview, ViewKind::Nodes, ViewKind::Tasks, ViewKind::Workloads] {
                    choices.push((Choice::Cluster(kind, cluster.clone()), format!("{} of {cluster}", kind.name())));
                }
            }
        }
        Self::of(choices, "command", "no command is called that")
    }

    /// Of these choices.
    #[must_use]
    pub fn of(choices: Vec<(Choice, String)>, title: &'static str, nothing: &'static str) -> Self {
        let (input, note) = (Input::default(), String::new());
        let mut palette = Self { input, choices, found: Vec::new(), selected: 0, title, nothing, note };
        palette.search();
        palette
    }

    /// Ranks the choices against what is typed.
    pub fn search(&mut self) {
        let query = self.input.value().trim();
        self.selected = 0;
        if query.is_empty() {
            self.found = (0..self.choices.len()).collect();
            return;
        }
        let mut matcher = Matcher::new(Config::DEFAULT);
        let pattern = Pattern::parse(query, CaseMatching::Ignore, Normalization::Smart);
        let mut buffer = Vec::new();
        let mut scored: Vec<(u32, usize)> = self
            .choices
            .iter()
            .enumerate()
            .filter_map(|(i, (_, text))| {
                let score = pattern.score(Utf32Str::new(text, &mut buffer), &mut matcher)?;
                // Exactly what was typed, name or alias, comes before what merely contains it.
                let exact = text.split_whitespace().any(|w| w.eq_ignore_ascii_case(query));
                Some((score + if exact { 1000 } else { 0 }, i))
            })
            .collect();
        scored.sort_by_key(|(score, i)| (std::cmp::Reverse(*score), *i));
        self.found = scored.into_iter().map(|(_, i)| i).collect();
    }

    /// What Enter would do.
    #[must_use]
    pub fn choice(&self) -> Option<&Choice> {
        self.found.get(self.selected).and_then(|i| self.choices.get(*i)).map(|(c, _)| c)
    }
}
