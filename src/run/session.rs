//! The terminal in somebody else's hands, and back.

use std::io::{self, Write as _};
use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::action::session::{Ended, Input, Output, Program, Remote, Session, Waiting, Work};
use crate::domain::Text;
use crate::term::modes::Modes;
use crate::term::typed::Typed;
use crate::term::{Lend, Raw, Screen, Settings, dimensions};

/// Why the terminal came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Back {
    /// It ended.
    Ended(Ended),
    /// We are told to end.
    Signal(i32),
}

/// Lends the console's terminal to a session until that has ended, and takes it back as it was. `typed` was
/// typed for it while it was not there yet; a program here cannot be given that.
///
/// While it runs, SIGINT, SIGQUIT and SIGTSTP are not for us: listeners that were made before must be made
/// anew afterwards, as they may hold one.
///
/// # Errors
/// When the terminal cannot be lent or taken back.
pub async fn hold(screen: &mut Screen, session: Session, typed: Vec<u8>) -> io::Result<Back> {
    let (title, work, waiting) = session.open();
    tracing::info!(%title, "the terminal is lent");
    let back = match work {
        Work::Remote { remote, tty } => {
            let mut modes = Modes::default();
            let mut ahead = typed;
            ahead.extend(screen.lend(Lend::Raw)?);
            let back = carry(remote, ahead, How { tty, raw: true, stdin: true }, &mut modes).await;
            screen.reclaim(&modes)?;
            back
        }
        Work::Program(program) => {
            screen.lend(Lend::Cooked)?;
            let back = run(&program).await;
            screen.reclaim(&Modes::unseen())?;
            back
        }
    };
    Ok(told(back, waiting))
}

/// The same from a command line, whose screen this is: nothing is cleared. The terminal must be one.
///
/// # Errors
/// When it is none.
pub async fn hold_plain(session: Session) -> io::Result<Back> {
    let (_, work, waiting) = session.open();
    let back = match work {
        Work::Remote { remote, tty } => {
            let mut modes = Modes::default();
            let raw = Raw::enter()?;
            let back = carry(remote, Vec::new(), How { tty, raw: true, stdin: true }, &mut modes).await;
            let mut out = io::stdout();
            out.write_all(&modes.reset())?;
            out.flush()?;
            drop(raw);
            back
        }
        Work::Program(program) => run(&program).await,
    };
    Ok(told(back, waiting))
}

fn told(back: io::Result<Back>, waiting: Waiting) -> Back {
    let back = back.unwrap_or_else(|e| Back::Ended(Ended::Failed(Text::new(&format!("the terminal failed: {e}")))));
    waiting.tell(match &back {
        Back::Ended(ended) => ended.clone(),
        Back::Signal(number) => Ended::Cut(Text::new(&format!("the console got signal {number}"))),
    });
    back
}

/// How the two ends are.
#[derive(Debug, Clone, Copy)]
pub struct How {
    /// The process has a terminal, which is to be as large as ours.
    pub tty: bool,
    /// Our terminal is in raw mode. If the process has none, ctrl-c leaves it.
    pub raw: bool,
    /// Standard input is for the process.
    pub stdin: bool,
}

/// Carries what is typed to a process elsewhere, and what it says to the terminal. `ahead` was typed before.
///
/// # Errors
/// When standard input or output cannot be used.
pub async fn carry(remote: Remote, ahead: Vec<u8>, how: How, modes: &mut Modes) -> io::Result<Back> {
    let mut signals = Ends::catch()?;
    let mut winch = signal(SignalKind::window_change())?;
    let mut typed = if how.stdin { Some(Typed::start()?) } else { None };
    let How { tty, raw, .. } = how;
    let mut remote = remote;
    let Remote { input, output, .. } = &mut remote;
    let input = &*input;
    let to = async {
        if tty {
            say_size(input).await;
        }
        if !ahead.is_empty() {
            let _ = input.send(Input::Bytes(ahead.into())).await;
        }
        loop {
            tokio::select! {
                bytes = next(&mut typed) => match bytes {
                    Some(bytes) if raw && !tty && bytes.contains(&CTRL_C) => return,
                    // What cannot be sent is lost with the connection, and the other half says so.
                    Some(bytes) => drop(input.send(Input::Bytes(bytes.into())).await),
                    None => {
                        typed = None;
                        let _ = input.send(Input::End).await;
                    }
                },
                _ = winch.recv(), if tty => say_size(input).await,
            }
        }
    };
    let from = async {
        let (mut out, mut err) = (tokio::io::stdout(), tokio::io::stderr());
        loop {
            match output.recv().await {
                Some(Output::Out(bytes)) => {
                    modes.feed(&bytes);
                    out.write_all(&lines(&bytes, raw && !tty)).await?;
                    out.flush().await?;
                }
                Some(Output::Err(bytes)) => {
                    err.write_all(&lines(&bytes, raw && !tty)).await?;
                    err.flush().await?;
                }
                Some(Output::Ended(ended)) => return Ok(Back::Ended(ended)),
                None => return Ok(Back::Ended(Ended::Cut(Text::new("the connection broke")))),
            }
        }
    };
    tokio::select! {
        biased;
        number = signals.any() => Ok(Back::Signal(number)),
        back = from => back,
        () = to => Ok(Back::Ended(Ended::Left)),
    }
}

const CTRL_C: u8 = 3;

/// What is typed next; never, where nothing is read.
async fn next(typed: &mut Option<Typed>) -> Option<Vec<u8>> {
    match typed {
        Some(typed) => typed.bytes.recv().await,
        None => std::future::pending().await,
    }
}

/// With the carriage returns that a raw terminal needs and a process without one does not write.
fn lines(bytes: &[u8], raw: bool) -> std::borrow::Cow<'_, [u8]> {
    if !raw {
        return bytes.into();
    }
    let with: Vec<u8> =
        bytes.iter().flat_map(|b| if *b == b'\n' { &b"\r\n"[..] } else { std::slice::from_ref(b) }).copied().collect();
    with.into()
}

async fn say_size(input: &mpsc::Sender<Input>) {
    if let Ok((cols, rows)) = dimensions() {
        let _ = input.send(Input::Size { cols, rows }).await;
    }
}

/// Runs a program with the terminal as it is, and makes that what it was afterwards.
///
/// # Errors
/// When it cannot be started or waited for.
pub async fn run(program: &Program) -> io::Result<Back> {
    let settings = Settings::keep();
    let mut signals = Ends::catch()?;
    // The program gets them too, and knows what to do with them. What has a listener does not end us.
    let _others = [SignalKind::interrupt(), SignalKind::quit(), SignalKind::from_raw(TSTP)].map(signal);
    let mut command = tokio::process::Command::new(&program.path);
    command.args(&program.arguments).envs(program.variables.iter().map(|(k, v)| (k, v))).kill_on_drop(true);
    command.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit());
    let name = program.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut child = command.spawn().map_err(|e| io::Error::new(e.kind(), format!("{name} cannot be started: {e}")))?;
    let back = tokio::select! {
        number = signals.any() => {
            child.start_kill()?;
            child.wait().await?;
            Back::Signal(number)
        }
        status = child.wait() => {
            use std::os::unix::process::ExitStatusExt as _;
            let status = status?;
            Back::Ended(match (status.code(), status.signal()) {
                (Some(code), _) => Ended::Code(code),
                (None, number) => Ended::Cut(Text::new(&format!("{name} was killed by signal {}", number.unwrap_or(0)))),
            })
        }
    };
    settings.restore();
    Ok(back)
}

const TSTP: i32 = rustix::process::Signal::TSTP.as_raw();

/// What ends us.
struct Ends {
    term: Signal,
    hup: Signal,
}

impl Ends {
    fn catch() -> io::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, hup: signal(SignalKind::hangup())? })
    }

    async fn any(&mut self) -> i32 {
        tokio::select! {
            _ = self.term.recv() => rustix::process::Signal::TERM.as_raw(),
            _ = self.hup.recv() => rustix::process::Signal::HUP.as_raw(),
        }
    }
}
