//! Actions of this session: the plan on screen, those that run, those that are over.

pub mod dialog;
pub mod fields;

use crate::action::{End, Event, Intent, Judged, Outcome, Plan, Step, StepState, Verb};
use crate::app::overlay::Overlay;
use crate::app::table::{TableState, ViewKind};
use crate::app::{App, Effect};
use crate::command::{Command, Danger};
use crate::domain::{Kind, ObjectId, Text, Timestamp};
use crate::store::Store;
use dialog::{Dialog, Pressed};

/// How many actions that are over are kept.
const KEPT: usize = 50;
/// How many lines of what one prints are kept.
pub const PRINTED: usize = 2000;

/// How an action stands.
#[expect(clippy::large_enum_variant, reason = "there are few, and most of them are over")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunState {
    /// It is being written down.
    Starting,
    /// It runs.
    Running {
        /// Somebody wants it to end.
        cancelling: bool,
    },
    /// It is over.
    Ended(End),
}

/// Another row is under the cursor than in the last frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slipped {
    /// The row that was there then; `None` once the cursor was moved from the other one.
    pub seen: Option<ObjectId>,
}

/// An action that was confirmed.
#[derive(Debug)]
pub struct Run {
    /// Which of this session.
    pub ticket: u64,
    /// What would happen, as it was confirmed.
    pub plan: Plan,
    /// How each target stands, in the order they came up; of all of it the last word.
    pub steps: Vec<Step>,
    /// How it stands.
    pub state: RunState,
    /// Since when.
    pub begun: Timestamp,
    /// Until when.
    pub ended: Option<Timestamp>,
    /// What it printed, the oldest first; no more than [`PRINTED`] lines.
    pub output: std::collections::VecDeque<Text>,
    /// How many lines before those are not kept.
    pub dropped: usize,
    /// First visible line.
    pub scroll: usize,
}

impl Run {
    /// True until it is over.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !matches!(self.state, RunState::Ended(_))
    }

    /// How many targets are done with, and how many there are.
    #[must_use]
    pub fn done(&self) -> (usize, usize) {
        let over = |s: &&Step| {
            s.target.is_some() && matches!(s.state, StepState::Done | StepState::Skipped | StepState::Failed)
        };
        let done = self.steps.iter().filter(over).count();
        (done, self.plan.acts().max(self.steps.iter().filter(|s| s.target.is_some()).count()))
    }
}

impl App {
    /// A command that changes something: its plan is shown first. In a read-only cluster it says why it does nothing.
    pub(super) fn intend(&mut self, command: Command, store: &Store, now: Timestamp) -> Vec<Effect> {
        let Some(verb) = Verb::from_name(command.name()) else { return Vec::new() };
        let targets = self.targets(store, now);
        let mut intent = Intent::new(verb, targets);
        // One task gets a terminal; of several the output is gathered.
        intent.options.tty = intent.targets.len() == 1;
        if let Err(why) = intent.check() {
            self.complain(now, &why);
            return Vec::new();
        }
        let closed = intent.targets.iter().find(|t| self.is_read_only(store, &t.cluster));
        if let Some(id) = closed {
            let why = if self.settings.read_only {
                format!("read-only: {verb} is not possible; nothing can be changed from this console")
            } else {
                format!("read-only: {verb} is not possible in {}", id.cluster)
            };
            self.complain(now, &why);
            return Vec::new();
        }
        self.propose(intent, store)
    }

    /// A frame was drawn, and what it shows is seen; `before` it this row was under the cursor. Under the palette nobody sees
    /// where the cursor goes.
    pub fn drawn(&mut self, before: Option<ObjectId>) {
        if !matches!(self.overlay, Some(Overlay::Palette(_))) {
            self.slipped = None;
        } else if before.is_some() && self.table().and_then(TableState::under_cursor) != before.as_ref() {
            self.slipped.get_or_insert(Slipped { seen: before });
        }
    }

    /// True, and it is said, for what would do something with a row that came under the cursor when nobody could see it; where
    /// the row that was seen is still in the list, that is the one. It is about the time between a frame and a key: what a
    /// frame shows a moment before a key is taken for seen.
    pub(super) fn refuses_slipped(&mut self, is_for_the_row: bool, store: &Store, now: Timestamp) -> bool {
        let Some(slipped) = &mut self.slipped else { return false };
        if !is_for_the_row {
            // Where this leads to from a row that nobody saw nobody has seen either.
            slipped.seen = None;
            return false;
        }
        let seen = slipped.seen.clone();
        if let (Some(seen), Some(table)) = (&seen, self.table_mut())
            && let Some(at) = (0..table.order.len()).find(|at| table.id_at(store, *at) == Some(seen))
        {
            let (context, now_at) = (table.context(), table.cursor_at);
            table.go(store, at);
            // The key was looked up for the row that is there now.
            if table.context() == context {
                self.slipped = None;
                return false;
            }
            table.go(store, now_at);
        }
        let what =
            seen.map_or_else(|| "the list changed".to_owned(), |id| format!("{} went from under the cursor", id.name));
        self.complain(now, &format!("{what} as you pressed; look, and press again"));
        true
    }

    /// True for a command that does something with the row under the cursor, or begins to.
    pub(super) fn is_for_the_row(&self, command: Command) -> bool {
        let is_marked = self.table().is_some_and(|t| !t.marks.is_empty());
        matches!(command, Command::Mark | Command::MarkRange) || (changes(command) && !is_marked)
    }

    /// Shows the plan of an intent.
    pub fn propose(&mut self, intent: Intent, store: &Store) -> Vec<Effect> {
        let ticket = self.number();
        let dialog = Dialog::new(ticket, intent, store);
        let effects = asked(&dialog);
        self.overlay = Some(Overlay::Action(Box::new(dialog)));
        effects
    }

    /// The marked rows in their order, else the selected one. What is going to go stands for its machine, and a closed
    /// line of alarms for all instances of its alert that are behind it.
    fn targets(&self, store: &Store, now: Timestamp) -> Vec<ObjectId> {
        let Some(table) = self.table() else { return Vec::new() };
        let ids: Vec<ObjectId> = if table.marks.is_empty() {
            table.selected(store).into_iter().collect()
        } else {
            let mut marked: Vec<ObjectId> = table.marks.iter().cloned().collect();
            marked.sort();
            marked
        };
        if table.kind == ViewKind::Alarms {
            let line = |id: &ObjectId| table.alarms.iter().find(|line| line.id == *id);
            let with = |id: ObjectId| {
                let alike: Vec<ObjectId> = line(&id).map(|l| l.alike.clone()).unwrap_or_default();
                // What is done is done in one cluster.
                let alike = alike.into_iter().filter(|other| other.cluster == id.cluster).collect::<Vec<_>>();
                std::iter::once(id).chain(alike)
            };
            let mut out: Vec<ObjectId> = Vec::new();
            for id in ids.into_iter().flat_map(with) {
                if !out.contains(&id) {
                    out.push(id);
                }
            }
            return out;
        }
        if table.kind != ViewKind::Spot {
            return ids;
        }
        let machine = |id: ObjectId| {
            if id.kind == Kind::Notice { super::notices::machine(&id, store, now).unwrap_or(id) } else { id }
        };
        ids.into_iter().map(machine).collect()
    }

    /// The plan that a dialog waits for.
    pub fn planned(&mut self, ticket: u64, round: u64, result: Result<Judged, Text>) {
        if let Some(Overlay::Action(dialog)) = &mut self.overlay
            && dialog.ticket == ticket
        {
            dialog.planned(round, result);
        }
    }

    /// A key in a dialog.
    pub(super) fn dialog_key(&mut self, key: crate::key::Key, now: Timestamp) -> Vec<Effect> {
        let Some(Overlay::Action(dialog)) = &mut self.overlay else { return Vec::new() };
        match dialog.press(key) {
            Pressed::Stays => Vec::new(),
            Pressed::Plan => asked(dialog),
            Pressed::Close => {
                self.overlay = None;
                self.say(now, "nothing was changed");
                Vec::new()
            }
            Pressed::Copy(text) => {
                self.say(now, "copied the same by hand");
                vec![Effect::Copy(text)]
            }
            Pressed::Act(assent) => {
                let Some(Overlay::Action(dialog)) = self.overlay.take() else { return Vec::new() };
                let dialog::Making::Made(judged) = dialog.making else { return Vec::new() };
                let (ticket, plan) = (dialog.ticket, judged.plan);
                self.runs.push(Run {
                    ticket,
                    plan: plan.clone(),
                    steps: Vec::new(),
                    state: RunState::Starting,
                    begun: now,
                    ended: None,
                    output: std::collections::VecDeque::new(),
                    dropped: 0,
                    scroll: 0,
                });
                self.forget_old();
                self.overlay = Some(Overlay::Run { ticket });
                vec![Effect::Act { ticket, plan: Box::new(plan), assent }]
            }
        }
    }

    fn forget_old(&mut self) {
        let over = self.runs.iter().filter(|r| !r.is_running()).count();
        let mut drop = over.saturating_sub(KEPT);
        self.runs.retain(|r| {
            let goes = drop > 0 && !r.is_running();
            drop -= usize::from(goes);
            !goes
        });
    }

    /// An action of this session.
    #[must_use]
    pub fn run_of(&self, ticket: u64) -> Option<&Run> {
        self.runs.iter().find(|r| r.ticket == ticket)
    }

    /// It began, or it could not.
    pub fn begun(&mut self, ticket: u64, result: Result<(), Text>, now: Timestamp) {
        let Some(run) = self.runs.iter_mut().find(|r| r.ticket == ticket) else { return };
        match result {
            Ok(()) if run.state == RunState::Starting => run.state = RunState::Running { cancelling: false },
            Ok(()) => {}
            Err(why) => {
                run.state = RunState::Ended(End::failed(&format!("nothing was done: {why}"), None));
                run.ended = Some(now);
            }
        }
    }

    /// How a running action goes.
    pub fn acted(&mut self, ticket: u64, event: Event, now: Timestamp) {
        let shown = matches!(self.overlay, Some(Overlay::Run { ticket: t }) if t == ticket);
        let Some(run) = self.runs.iter_mut().find(|r| r.ticket == ticket) else { return };
        match event {
            Event::Step(step) => match run.steps.iter_mut().find(|s| s.target == step.target) {
                Some(known) => *known = step,
                None => run.steps.push(step),
            },
            Event::Output(line) => {
                if run.output.len() == PRINTED {
                    run.output.pop_front();
                    run.dropped += 1;
                }
                run.output.push_back(line);
            }
            Event::Ended(end) => {
                let text = format!("{} {}: {}", run.plan.intent.verb, run.plan.intent.what(), end.text);
                let bad = end.outcome != Outcome::Done;
                run.state = RunState::Ended(end);
                run.ended = Some(now);
                if !shown {
                    if bad { self.complain(now, &text) } else { self.say(now, &text) }
                }
            }
        }
    }

    /// How many actions run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.runs.iter().filter(|r| r.is_running()).count()
    }

    /// Commands of the page of one action, and of the list of them.
    pub(super) fn run_action(&mut self, command: Command, store: &Store, now: Timestamp) -> Vec<Effect> {
        let ticket = match &self.overlay {
            Some(Overlay::Run { ticket }) => *ticket,
            Some(Overlay::Runs { selected }) => match self.runs.iter().rev().nth(*selected) {
                Some(run) => run.ticket,
                None => return Vec::new(),
            },
            _ => return Vec::new(),
        };
        let Some(run) = self.runs.iter_mut().find(|r| r.ticket == ticket) else { return Vec::new() };
        match command {
            Command::CancelAction => match &mut run.state {
                RunState::Ended(_) => {
                    self.complain(now, "it is over already");
                    Vec::new()
                }
                RunState::Starting => Vec::new(),
                RunState::Running { cancelling } => {
                    *cancelling = true;
                    vec![Effect::CancelAct(ticket)]
                }
            },
            Command::UndoAction => {
                let undo = match &run.state {
                    RunState::Ended(end) => end.undo.clone(),
                    _ => None,
                };
                let Some(intent) = undo else {
                    self.complain(now, "nothing to undo here");
                    return Vec::new();
                };
                self.propose(intent, store)
            }
            Command::CopyEquivalent => {
                let text = run.plan.equivalent.join("\n");
                self.say(now, "copied the same by hand");
                vec![Effect::Copy(text)]
            }
            _ => Vec::new(),
        }
    }

    /// Ends the console, unless something runs that somebody should know of.
    pub(super) fn quit(&mut self) -> Vec<Effect> {
        if self.running() == 0 || matches!(self.overlay, Some(Overlay::Quit)) {
            return vec![Effect::Quit];
        }
        self.overlay = Some(Overlay::Quit);
        Vec::new()
    }
}

/// What a dialog wants of the loop.
fn asked(dialog: &Dialog) -> Vec<Effect> {
    if !dialog.is_asked() {
        return Vec::new();
    }
    vec![Effect::Plan { ticket: dialog.ticket, round: dialog.round, intent: dialog.intent.clone() }]
}

/// True for a command that goes through a plan.
#[must_use]
pub fn changes(command: Command) -> bool {
    command.info().danger == Danger::Changes
}
