//! The plan on screen: what it needs to know, what would happen, and yes or no.

use tui_input::Input;

use super::fields::{Field, FieldValue, fields, options};
use crate::action::{Assent, Confirm, Intent, Judged};
use crate::app::overlay::edit;
use crate::domain::Text;
use crate::key::{Key, KeyCode};
use crate::store::Store;

/// What has the focus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Focus {
    /// A field, by its number.
    Field(usize),
    /// The name that is to be typed.
    Typed,
    /// Why.
    Reason,
    /// Leave it.
    Cancel,
    /// Do it.
    Go,
}

/// How far the plan is.
#[derive(Debug)]
pub enum Making {
    /// Something has to be said first.
    Waiting,
    /// What is there is being looked at.
    Asked,
    /// This would happen.
    Made(Box<Judged>),
    /// It cannot be said, and why.
    Failed(Text),
}

/// What a key led to.
#[derive(Debug, Clone, PartialEq)]
pub enum Pressed {
    /// Nothing outside the dialog.
    Stays,
    /// The plan has to be made, anew.
    Plan,
    /// The dialog closes; nothing is done.
    Close,
    /// It shall be done.
    Act(Assent),
    /// The same by hand goes to the clipboard.
    Copy(String),
}

/// A plan on screen.
#[derive(Debug)]
pub struct Dialog {
    /// Which action of this session.
    pub ticket: u64,
    /// Of the plan asked for last: answers to others are dropped.
    pub round: u64,
    /// What is wanted.
    pub intent: Intent,
    /// What can be said of it.
    pub fields: Vec<Field>,
    /// What has the focus.
    pub focus: Focus,
    /// How far the plan is.
    pub making: Making,
    /// First visible line of the plan.
    pub scroll: usize,
    /// The typed name.
    pub typed: Input,
    /// The typed reason.
    pub reason: Input,
    /// What is missing or wrong.
    pub error: Option<Text>,
}

impl Dialog {
    /// For an intent; its plan is asked for unless something has to be said first.
    #[must_use]
    pub fn new(ticket: u64, intent: Intent, store: &Store) -> Self {
        let fields = fields(&intent, store);
        let mut dialog = Self {
            ticket,
            round: 0,
            intent,
            fields,
            focus: Focus::Cancel,
            making: Making::Waiting,
            scroll: 0,
            typed: Input::default(),
            reason: Input::default(),
            error: None,
        };
        match dialog.fields.iter().position(|f| f.asks_first) {
            Some(at) => dialog.focus = Focus::Field(at),
            None => dialog.ask(),
        }
        dialog
    }

    /// True while a plan is to be made by somebody.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        matches!(self.making, Making::Asked)
    }

    /// The plan that was asked for, judged; or why there is none.
    pub fn planned(&mut self, round: u64, result: Result<Judged, Text>) {
        if round != self.round || !self.is_asked() {
            return;
        }
        self.making = match result {
            Ok(judged) => Making::Made(Box::new(judged)),
            Err(why) => Making::Failed(why),
        };
        if !self.stops().contains(&self.focus) {
            self.focus = Focus::Cancel;
        }
        self.scroll = 0;
    }

    /// What can have the focus now, in order.
    #[must_use]
    pub fn stops(&self) -> Vec<Focus> {
        let mut out: Vec<Focus> = (0..self.fields.len()).map(Focus::Field).collect();
        if let Making::Made(judged) = &self.making
            && judged.verdict.refused.is_empty()
            && judged.plan.is_possible()
        {
            if matches!(judged.verdict.confirm, Confirm::Type(_)) {
                out.push(Focus::Typed);
            }
            out.extend([Focus::Reason, Focus::Cancel, Focus::Go]);
        } else {
            out.push(Focus::Cancel);
        }
        out
    }

    /// Moves the focus by so many stops, around the end.
    fn step(&mut self, by: isize) -> Pressed {
        let before = self.focus;
        let stops = self.stops();
        let at = stops.iter().position(|f| *f == self.focus).unwrap_or(0);
        let len = isize::try_from(stops.len()).unwrap_or(1).max(1);
        let to = (isize::try_from(at).unwrap_or(0) + by).rem_euclid(len);
        if let Some(focus) = stops.get(usize::try_from(to).unwrap_or(0)) {
            self.focus = *focus;
        }
        if matches!(before, Focus::Field(_)) { self.settle() } else { Pressed::Stays }
    }

    /// Asks for the plan.
    fn ask(&mut self) {
        self.round += 1;
        self.making = Making::Asked;
        self.error = None;
    }

    /// A field has been left: where it says something else now, so does the plan.
    fn settle(&mut self) -> Pressed {
        match options(&self.fields) {
            Ok(mut options) => {
                // One task gets a terminal; of several the output is gathered.
                options.tty = self.intent.targets.len() == 1;
                if options != self.intent.options || matches!(self.making, Making::Waiting | Making::Failed(_)) {
                    self.intent.options = options;
                    self.ask();
                    return Pressed::Plan;
                }
                self.error = None;
            }
            Err((at, why)) => {
                self.focus = Focus::Field(at);
                self.making = Making::Waiting;
                self.error = Some(Text::new(&why));
            }
        }
        Pressed::Stays
    }

    /// What is typed or pasted.
    fn input(&mut self) -> Option<&mut Input> {
        match self.focus {
            Focus::Field(at) => match self.fields.get_mut(at).map(|f| &mut f.value) {
                Some(FieldValue::Text(input)) => Some(input),
                _ => None,
            },
            Focus::Typed => Some(&mut self.typed),
            Focus::Reason => Some(&mut self.reason),
            Focus::Cancel | Focus::Go => None,
        }
    }

    /// A key. Letters go where something is typed, and do nothing elsewhere: no key says yes by itself.
    pub fn press(&mut self, key: Key) -> Pressed {
        match (key.code, key.ctrl) {
            (KeyCode::Esc, _) | (KeyCode::Char('c'), true) => return Pressed::Close,
            (KeyCode::Tab | KeyCode::Down, _) => return self.step(1),
            (KeyCode::BackTab | KeyCode::Up, _) => return self.step(-1),
            (KeyCode::PageDown, _) => self.scroll = self.scroll.saturating_add(5).min(100_000),
            (KeyCode::PageUp, _) => self.scroll = self.scroll.saturating_sub(5),
            (KeyCode::Char('y'), true) => return self.copy(),
            (KeyCode::Enter, _) => return self.enter(),
            _ => return self.other(key),
        }
        Pressed::Stays
    }

    /// Pasted text: only into what is typed. A paste never says yes.
    pub fn paste(&mut self, text: &str) {
        let in_field = matches!(self.focus, Focus::Field(_));
        let Some(input) = self.input() else { return };
        for c in text.chars() {
            edit(input, Key { code: KeyCode::Char(c), ctrl: false, alt: false, shift: false });
        }
        self.error = None;
        if in_field {
            self.making = Making::Waiting;
        }
    }

    fn other(&mut self, key: Key) -> Pressed {
        if let Focus::Field(at) = self.focus
            && let Some(Field { value: FieldValue::Toggle(on), .. }) = self.fields.get_mut(at)
        {
            if key.code == KeyCode::Char(' ') {
                *on = !*on;
                return self.settle();
            }
            return Pressed::Stays;
        }
        if let Some(input) = self.input() {
            if edit(input, key) {
                self.error = None;
                // What is shown is of what was said before.
                if matches!(self.focus, Focus::Field(_)) {
                    self.making = Making::Waiting;
                }
            }
            return Pressed::Stays;
        }
        match key.code {
            KeyCode::Left => self.step(-1),
            KeyCode::Right => self.step(1),
            _ => Pressed::Stays,
        }
    }

    fn enter(&mut self) -> Pressed {
        match self.focus {
            Focus::Cancel => Pressed::Close,
            Focus::Typed | Focus::Reason => self.step(1),
            Focus::Field(at) => {
                if let Some(Field { value: FieldValue::Toggle(on), .. }) = self.fields.get_mut(at) {
                    *on = !*on;
                }
                let pressed = self.settle();
                // On to the next that has to be said, else to where the plan is answered.
                if self.error.is_none() {
                    let next = self.fields.iter().enumerate().skip(at + 1).find(|(_, f)| f.asks_first);
                    self.focus = next.map_or(Focus::Cancel, |(i, _)| Focus::Field(i));
                }
                pressed
            }
            Focus::Go => {
                let Making::Made(judged) = &self.making else { return Pressed::Stays };
                let assent = Assent {
                    typed: self.typed.value().to_owned(),
                    reason: self.reason.value().trim().to_owned(),
                    ..Assent::default()
                };
                match judged.verdict.accepts(&assent) {
                    Ok(()) => Pressed::Act(assent),
                    Err(why) => {
                        let typed = matches!(&judged.verdict.confirm, Confirm::Type(n) if n.as_str() != assent.typed);
                        self.focus = if typed { Focus::Typed } else { Focus::Reason };
                        self.error = Some(why);
                        Pressed::Stays
                    }
                }
            }
        }
    }

    fn copy(&self) -> Pressed {
        match &self.making {
            Making::Made(judged) if !judged.plan.equivalent.is_empty() => {
                Pressed::Copy(judged.plan.equivalent.join("\n"))
            }
            _ => Pressed::Stays,
        }
    }
}
