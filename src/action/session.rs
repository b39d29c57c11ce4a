//! Who has the terminal: an action asks for it, whoever holds it lends it, and says how it ended.

use std::path::PathBuf;

use tokio::sync::{mpsc, oneshot};

use crate::domain::Text;
pub use crate::source::session::{Ended, Input, Output, Remote};

/// What wants the terminal.
#[derive(Debug)]
pub enum Work {
    /// A process elsewhere: bytes go to and fro.
    Remote {
        /// The process.
        remote: Remote,
        /// It has a terminal of its own, which is to be as large as ours.
        tty: bool,
    },
    /// A program here, which speaks to the terminal by itself.
    Program(Program),
}

/// A program to be run with the terminal.
#[derive(Clone, PartialEq, Eq)]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    /// Its arguments. Everybody on this machine can read them.
    pub arguments: Vec<String>,
    /// Variables beside our own; secrets are here.
    pub variables: Vec<(String, String)>,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Somebody who wants the terminal, and waits for how it ends.
#[derive(Debug)]
pub struct Session {
    /// What it is, for people: `sh in app of shop/web-1`.
    pub title: Text,
    /// What it does.
    pub work: Work,
    done: oneshot::Sender<Ended>,
}

impl Session {
    /// Parts it from whoever waits, who must be told how it ended.
    #[must_use]
    pub fn open(self) -> (Text, Work, Waiting) {
        (self.title, self.work, Waiting(self.done))
    }
}

/// Whoever waits for the end of a session. Dropping it says that it was cut off.
#[derive(Debug)]
pub struct Waiting(oneshot::Sender<Ended>);

impl Waiting {
    /// Says how it ended.
    pub fn tell(self, ended: Ended) {
        // Whoever waited may have been cancelled.
        let _ = self.0.send(ended);
    }
}

/// Where the terminal is asked for. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Stage(mpsc::Sender<Session>);

/// A stage, and what comes to whoever has the terminal: one at a time.
#[must_use]
pub fn stage() -> (Stage, mpsc::Receiver<Session>) {
    let (tx, rx) = mpsc::channel(1);
    (Stage(tx), rx)
}

impl Stage {
    /// Asks for the terminal, and waits for the end.
    pub async fn play(&self, title: Text, work: Work) -> Ended {
        let (done, ended) = oneshot::channel();
        if self.0.send(Session { title, work, done }).await.is_err() {
            return Ended::Failed(Text::new("there is no terminal for it"));
        }
        ended.await.unwrap_or_else(|_| Ended::Cut(Text::new("the console took its terminal back")))
    }
}
