//! What is typed for a session that is not there yet.
//!
//! Between the yes and the shell there is a connection to be made. What is typed meanwhile is for the shell:
//! here its letters would be commands, and its first key would be missing there.

use crossterm::event::{Event, KeyCode, KeyModifiers};

use crate::action::{Intent, Verb};
use crate::app::App;
use crate::app::overlay::Overlay;
use crate::term::typed::encode;

/// The keys so far.
#[derive(Debug, Default)]
pub struct Ahead {
    /// For which action.
    ticket: Option<u64>,
    /// The last that had the terminal, or lost its claim to the keys.
    over: Option<u64>,
    typed: Vec<u8>,
}

impl Ahead {
    /// True for an event that is kept for a session, and must not do anything here. Escape and ctrl-c are
    /// never: with them somebody stops waiting, and what was kept is forgotten.
    pub fn keeps(&mut self, app: &App, event: &Event) -> bool {
        let waiting = awaited(app).filter(|ticket| self.over != Some(*ticket));
        if self.ticket != waiting {
            self.typed.clear();
            self.ticket = waiting;
        }
        match event {
            _ if waiting.is_none() => false,
            Event::Key(key) if is_leaving(key.code, key.modifiers) => {
                self.over = waiting;
                false
            }
            Event::Key(_) | Event::Paste(_) => {
                encode(event, &mut self.typed);
                true
            }
            _ => false,
        }
    }

    /// A session has the terminal: what was typed for it.
    pub fn lent(&mut self, app: &App) -> Vec<u8> {
        let awaited = awaited(app);
        let typed = std::mem::take(&mut self.typed);
        let is_its_own = awaited.is_some() && self.ticket == awaited && self.over != awaited;
        self.over = awaited;
        if is_its_own { typed } else { Vec::new() }
    }
}

fn is_leaving(code: KeyCode, modifiers: KeyModifiers) -> bool {
    code == KeyCode::Esc || (code == KeyCode::Char('c') && modifiers.contains(KeyModifiers::CONTROL))
}

/// The action on the screen, if it is on its way to take the terminal.
fn awaited(app: &App) -> Option<u64> {
    let Some(Overlay::Run { ticket }) = &app.overlay else { return None };
    let run = app.run_of(*ticket)?;
    (run.is_running() && takes_terminal(&run.plan.intent)).then_some(*ticket)
}

fn takes_terminal(intent: &Intent) -> bool {
    match intent.verb {
        Verb::Exec => intent.options.tty,
        Verb::Attach => true,
        _ => false,
    }
}
