//! A process elsewhere: what goes to it, what comes from it, and how it ends.

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::domain::Text;

/// What goes to the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Standard input: what was typed, as it was typed.
    Bytes(Bytes),
    /// The terminal's size, in cells.
    Size {
        /// Columns.
        cols: u16,
        /// Rows.
        rows: u16,
    },
    /// Standard input has ended.
    End,
}

/// What comes from the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Standard output; of a process with a terminal everything. Not cleaned: it is the process's word to
    /// a terminal.
    Out(Bytes),
    /// Standard error.
    Err(Bytes),
    /// It is over; nothing comes after this.
    Ended(Ended),
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The process ended with this exit code.
    Code(i32),
    /// It never began, or the server ended it: why.
    Failed(Text),
    /// Nobody can say what became of it: the connection broke.
    Cut(Text),
    /// It goes on; the user left it.
    Left,
}

impl Ended {
    /// In words, after the name of what ended: `ended with exit code 3`.
    #[must_use]
    pub fn words(&self) -> Text {
        match self {
            Self::Code(0) => Text::new("ended"),
            Self::Code(code) => Text::new(&format!("ended with exit code {code}")),
            Self::Failed(why) => Text::new(&format!("failed: {why}")),
            Self::Cut(why) => Text::new(&format!("was cut off: {why}; what runs there may still run")),
            Self::Left => Text::new("was left, and goes on"),
        }
    }

    /// The exit code for a command line: the process's own, or 255 as ssh has it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Code(code) => u8::try_from(*code).unwrap_or(255),
            Self::Failed(_) | Self::Cut(_) => 255,
            Self::Left => 0,
        }
    }
}

/// A process elsewhere. Dropping it cuts the connection.
#[derive(Debug)]
pub struct Remote {
    /// To the process.
    pub input: mpsc::Sender<Input>,
    /// From the process; ends with [`Output::Ended`].
    pub output: mpsc::Receiver<Output>,
    _task: JoinSet<()>,
}

/// How many messages may wait, either way.
const WAITING: usize = 64;

impl Remote {
    /// With `work` pumping between the two ends until it knows how it ended.
    pub fn spawn<F>(work: impl FnOnce(mpsc::Receiver<Input>, mpsc::Sender<Output>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (input, inputs) = mpsc::channel(WAITING);
        let (outputs, output) = mpsc::channel(WAITING);
        let mut task = JoinSet::new();
        task.spawn(work(inputs, outputs));
        Self { input, output, _task: task }
    }
}

/// What was answered to `ExecuteCommand` or `StartSession`, and what the plugin needs beside it.
#[derive(Clone)]
pub struct Started {
    /// The session's id, which is no secret.
    pub id: String,
    /// The session with its token, as JSON.
    pub session: String,
    /// What was asked for, as `StartSession` has it, in JSON: `Target` is `ecs:CLUSTER_TASK_RUNTIME`.
    pub request: String,
    /// Where sessions are resumed and ended.
    pub endpoint: String,
}

impl std::fmt::Debug for Started {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Started").field("id", &self.id).field("request", &self.request).finish_non_exhaustive()
    }
}
