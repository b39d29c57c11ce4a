//! What is typed while somebody else has the terminal: bytes, not keys.
//!
//! Two readers of one terminal share what is typed at random, so the one before has to be gone: see
//! [`retire`] for the event stream, and [`Typed`]'s end for our own.

use std::io::{self, PipeWriter};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, poll, read};
use futures::Stream as _;
use rustix::event::{PollFd, PollFlags};
use tokio::sync::mpsc;

/// How often the event stream's thread is asked to let go, and how long it may take.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a look for keys that wait already lasts. With no time at all, crossterm does not look.
const LOOK: Duration = Duration::from_millis(1);

/// True while something was typed on standard input that nobody has read: a look, which takes a fraction of a microsecond. A
/// terminal that hung up has nothing more to read, though it never says so otherwise.
#[must_use]
pub fn is_waiting() -> bool {
    let input = io::stdin();
    let mut look = [PollFd::new(&input, PollFlags::IN)];
    let at_once = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    let found = rustix::event::poll(&mut look, Some(&at_once)).map(|_| look[0].revents());
    found.is_ok_and(|found| found.contains(PollFlags::IN) && !found.intersects(PollFlags::HUP | PollFlags::ERR))
}

/// Told by the thread that it has stopped waiting for keys.
#[derive(Default)]
struct Told {
    told: Mutex<bool>,
    bell: Condvar,
}

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.bell.notify_all();
    }
}

impl Told {
    fn wait(&self) {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.bell.wait_timeout_while(told, PATIENCE, |told| !*told);
    }
}

/// Ends the event stream and its thread for sure. Returns what was typed and not taken.
///
/// Dropping a stream only asks its thread to stop reading; for a moment it still does, and takes the first
/// key of whoever reads next. The thread tells when it stops: by waking the task it waits for. So a task of
/// our own is put in its hands first.
#[must_use]
pub fn retire(mut events: EventStream) -> Vec<u8> {
    let mut typed = Vec::new();
    let mut last = None;
    for _ in 0..TRIES {
        let told = Arc::new(Told::default());
        let waker = Waker::from(Arc::clone(&told));
        let polled = Pin::new(&mut events).poll_next(&mut Context::from_waker(&waker));
        drop(waker);
        match polled {
            Poll::Ready(Some(Ok(event))) => encode(&event, &mut typed),
            Poll::Ready(_) => break,
            // It holds on to it.
            Poll::Pending if Arc::strong_count(&told) > 1 => {
                last = Some(told);
                break;
            }
            // It still waits for the task before. A change of size ends that, whether there was one or not.
            Poll::Pending => {
                let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::WINCH);
                std::thread::sleep(PAUSE);
            }
        }
    }
    drop(events);
    if let Some(told) = last {
        told.wait();
    }
    // What it took meanwhile. The first look may only find that it was woken.
    let mut nothing = 0;
    while nothing < 2 {
        match poll(LOOK) {
            Ok(true) => match read() {
                Ok(event) => encode(&event, &mut typed),
                Err(_) => break,
            },
            Ok(false) => nothing += 1,
            Err(_) => break,
        }
    }
    typed
}

/// An event as the bytes it came as, or others that mean the same.
pub fn encode(event: &Event, out: &mut Vec<u8>) {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => encode_key(*key, out),
        Event::Paste(text) => out.extend_from_slice(text.as_bytes()),
        _ => {}
    }
}

fn encode_key(key: KeyEvent, out: &mut Vec<u8>) {
    if key.modifiers.contains(KeyModifiers::ALT) {
        out.push(0x1b);
    }
    match key.code {
        KeyCode::Char(c) if key.modifiers.contains(KeyModifiers::CONTROL) && c.is_ascii() => {
            out.push((c.to_ascii_uppercase() as u8) & 0x1f);
        }
        KeyCode::Char(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        code => out.extend_from_slice(match code {
            KeyCode::Enter => b"\r",
            KeyCode::Tab => b"\t",
            KeyCode::BackTab => b"\x1b[Z",
            KeyCode::Backspace => b"\x7f",
            KeyCode::Esc => b"\x1b",
            KeyCode::Up => b"\x1b[A",
            KeyCode::Down => b"\x1b[B",
            KeyCode::Right => b"\x1b[C",
            KeyCode::Left => b"\x1b[D",
            KeyCode::Home => b"\x1b[H",
            KeyCode::End => b"\x1b[F",
            KeyCode::Insert => b"\x1b[2~",
            KeyCode::Delete => b"\x1b[3~",
            KeyCode::PageUp => b"\x1b[5~",
            KeyCode::PageDown => b"\x1b[6~",
            _ => b"",
        }),
    }
}

/// Reads standard input as it comes. Dropping it ends the reading: nothing is taken after that.
#[derive(Debug)]
pub struct Typed {
    /// What was typed; closed at the end of standard input.
    pub bytes: mpsc::Receiver<Vec<u8>>,
    /// Closing it is what ends the thread.
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Typed {
    /// Begins to read.
    ///
    /// # Errors
    /// When the system has no more pipes or threads.
    pub fn start() -> io::Result<Self> {
        let (stopped, stop) = io::pipe()?;
        let (tx, bytes) = mpsc::channel(64);
        let work = move || {
            let input = io::stdin();
            let mut buffer = [0; 4096];
            loop {
                let mut both = [PollFd::new(&stopped, PollFlags::IN), PollFd::new(&input, PollFlags::IN)];
                match rustix::event::poll(&mut both, None) {
                    Err(rustix::io::Errno::INTR) => continue,
                    Err(_) => return,
                    Ok(_) => {}
                }
                if !both[0].revents().is_empty() {
                    return;
                }
                match rustix::io::read(&input, &mut buffer) {
                    Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                    Ok(n @ 1..) => {
                        if tx.blocking_send(buffer[..n].to_vec()).is_err() {
                            return;
                        }
                    }
                    // Its end, or the terminal is gone.
                    Ok(_) | Err(_) => return,
                }
            }
        };
        let thread = std::thread::Builder::new().name("typed".to_owned()).spawn(work)?;
        Ok(Self { bytes, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Typed {
    fn drop(&mut self) {
        self.bytes.close();
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It panicked otherwise, and has ended then, too.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_bytes_they_came_as() {
        let key = |code, modifiers| Event::Key(KeyEvent::new(code, modifiers));
        let mut out = Vec::new();
        for event in [
            key(KeyCode::Char('l'), KeyModifiers::NONE),
            key(KeyCode::Char('c'), KeyModifiers::CONTROL),
            key(KeyCode::Char('b'), KeyModifiers::ALT),
            key(KeyCode::Char('ü'), KeyModifiers::NONE),
            key(KeyCode::Enter, KeyModifiers::NONE),
            key(KeyCode::Up, KeyModifiers::NONE),
            Event::Paste("ab".to_owned()),
            Event::FocusGained,
        ] {
            encode(&event, &mut out);
        }
        assert_eq!(out, b"l\x03\x1bb\xc3\xbc\r\x1b[Aab");
    }
}
