//! The terminal: entering, leaving, suspending, and what it sends.
//!
//! Whatever happens (quit, signal, panic, suspend) the terminal is given back
//! as it was: raw mode off, the main screen, the cursor shown.

mod changes;
mod frame;
pub mod ground;
mod ink;
pub mod line;
pub mod modes;
pub mod typed;

use std::cell::RefCell;
use std::io::{self, Stdout, Write};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine;
use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, Event, EventStream, KeyEvent, KeyEventKind,
    KeyModifiers,
};
use crossterm::terminal::{
    Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode, size,
};
use crossterm::{cursor, execute, queue};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::{Terminal, TerminalOptions, Viewport};

use crate::key::{Key, KeyCode};

/// True while the terminal is ours: the panic hook gives it back only then, and
/// only once.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// True while raw mode is ours without a screen.
static RAW: AtomicBool = AtomicBool::new(false);

type Out = Rc<RefCell<frame::Frame<Stdout>>>;
type Backend = frame::Lean<Stdout>;

/// The screen while it is ours.
pub struct Screen {
    /// Holds what is drawn next.
    terminal: Terminal<Backend>,
    /// What the terminal shows.
    shown: Buffer,
    /// Where what is drawn next differs from that.
    changed: Vec<(u16, u16)>,
    /// Nobody knows what of the last frame arrived: the next is drawn from nothing.
    unsure: bool,
    out: Out,
    /// What the terminal sends; dropped around a suspension, because an unpolled
    /// stream still reads standard input.
    pub events: Option<EventStream>,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// When it cannot be put into raw mode: standard input or output is none.
    pub fn enter() -> io::Result<Self> {
        take()?;
        let (terminal, shown, out) = fresh()?;
        Ok(Self { terminal, shown, changed: Vec::new(), unsure: false, out, events: Some(EventStream::new()) })
    }

    /// Takes the terminal on standard output to show something. Keys are read where there is a
    /// terminal to read them from: standard input, or the one that controls this process; nothing
    /// depends on them.
    ///
    /// # Errors
    /// When standard output cannot be written to.
    pub fn enter_to_show() -> io::Result<Self> {
        // Without a terminal to set there is none to read from either, and asking for one would panic.
        let events = enable_raw_mode().is_ok();
        ENTERED.store(true, Ordering::SeqCst);
        execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, cursor::Hide)?;
        let (terminal, shown, out) = fresh()?;
        Ok(Self { terminal, shown, changed: Vec::new(), unsure: false, out, events: events.then(EventStream::new) })
    }

    /// Draws a frame; only cells that changed are sent.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn draw(&mut self, draw: impl FnOnce(&mut Buffer, Rect) -> Option<Position>) -> io::Result<()> {
        if std::mem::take(&mut self.unsure) {
            self.clear()?;
        }
        let next = self.terminal.current_buffer_mut();
        let area = next.area;
        let cursor = draw(next, area);
        changes::changes(&self.shown, next, &mut self.changed);
        self.out.borrow_mut().draw(self.changed.iter().map(|(x, y)| (*x, *y, &next[(*x, *y)])))?;
        match cursor {
            None => self.terminal.hide_cursor()?,
            Some(at) => {
                self.terminal.show_cursor()?;
                self.terminal.set_cursor_position(at)?;
            }
        }
        let sent = self.out.borrow_mut().send();
        self.unsure = sent.is_err();
        // To clear the next frame's buffer is a tenth of the work, and nobody waits for that.
        let next = self.terminal.current_buffer_mut();
        std::mem::swap(&mut self.shown, next);
        next.reset();
        sent
    }

    /// True if the terminal has another size than what is drawn for: not everybody is told when it changes.
    pub fn has_new_size(&mut self) -> bool {
        let area = self.terminal.get_frame().area();
        size().is_ok_and(|(width, height)| (width, height) != (area.width, area.height))
    }

    /// Everything is drawn again from nothing.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn clear(&mut self) -> io::Result<()> {
        (self.terminal, self.shown, self.out) = fresh()?;
        Ok(())
    }

    /// Gives the terminal back, stops this process, and takes the terminal again
    /// when it is continued.
    ///
    /// # Errors
    /// When the terminal cannot be taken again.
    pub fn suspend(&mut self) -> io::Result<()> {
        // Else its thread takes the first key that is meant for the shell. What was typed behind the key that
        // stopped us was for the shell, too, and cannot be given to it; here it must not do anything.
        drop(self.events.take().map(typed::retire));
        restore();
        // SIGSTOP rather than SIGTSTP: the latter is handled by us.
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP)?;
        take()?;
        self.clear()?;
        self.events = Some(EventStream::new());
        Ok(())
    }

    /// True where somebody could continue this process: what began its session itself, as sshd's forced
    /// command or a multiplexer's window does, has no shell behind it, and would hang for good.
    #[must_use]
    pub fn can_suspend() -> bool {
        rustix::process::getsid(None).is_ok_and(|leader| leader != rustix::process::getpid())
    }

    /// Lends the terminal to somebody who speaks to it: the main screen, the cursor, and nobody here who
    /// reads what is typed. Returns what was typed and not yet taken, as the bytes that it was.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn lend(&mut self, lend: Lend) -> io::Result<Vec<u8>> {
        let ahead = self.events.take().map(typed::retire).unwrap_or_default();
        match lend {
            Lend::Raw => execute!(
                io::stdout(),
                EndSynchronizedUpdate,
                DisableBracketedPaste,
                LeaveAlternateScreen,
                cursor::Show
            )?,
            Lend::Cooked => restore(),
        }
        Ok(ahead)
    }

    /// Takes the terminal back, in whatever state it was `left`.
    ///
    /// # Errors
    /// When the terminal cannot be taken again.
    pub fn reclaim(&mut self, left: &modes::Modes) -> io::Result<()> {
        let mut out = io::stdout();
        out.write_all(&left.reset())?;
        out.flush()?;
        take()?;
        self.clear()?;
        self.events = Some(EventStream::new());
        Ok(())
    }

    /// Puts text on the clipboard of the terminal's machine (OSC 52), also
    /// through tmux and over SSH.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        let encoded = base64::engine::general_purpose::STANDARD.encode(text);
        let osc = format!("\u{1b}]52;c;{encoded}\u{7}");
        let out = self.terminal.backend_mut();
        if in_tmux() {
            write!(out, "{}", through_tmux(&osc))?;
        }
        out.write_all(osc.as_bytes())?;
        self.out.borrow_mut().send()
    }

    /// Asks what the background is; the answer comes among the keys, if it comes.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn ask_ground(&mut self) -> io::Result<()> {
        self.terminal.backend_mut().write_all(ground::ASK)?;
        self.out.borrow_mut().send()
    }

    /// Draws the attention of somebody who does not look: the bell, or a desktop
    /// notification with this text.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn signal(&mut self, how: Signal, text: &str) -> io::Result<()> {
        let bytes = signal(how, text, in_tmux());
        self.terminal.backend_mut().write_all(bytes.as_bytes())?;
        self.out.borrow_mut().send()
    }
}

/// How the terminal is lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lend {
    /// Raw: every key is a byte for whoever reads, ctrl-c too.
    Raw,
    /// As the shell had it: for a program that sets it up by itself.
    Cooked,
}

/// Raw mode without a screen of our own; dropping it ends it.
#[derive(Debug)]
pub struct Raw(());

impl Raw {
    /// Puts the terminal into raw mode.
    ///
    /// # Errors
    /// When standard input is no terminal.
    pub fn enter() -> io::Result<Self> {
        enable_raw_mode()?;
        RAW.store(true, Ordering::SeqCst);
        Ok(Self(()))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        leave_raw();
    }
}

fn leave_raw() {
    if RAW.swap(false, Ordering::SeqCst) {
        let _ = disable_raw_mode();
    }
}

/// The terminal's settings, to have them again after a program that may not give them back.
#[derive(Debug)]
pub struct Settings(Option<rustix::termios::Termios>);

impl Settings {
    /// As they are.
    #[must_use]
    pub fn keep() -> Self {
        Self(rustix::termios::tcgetattr(io::stdin()).ok())
    }

    /// As they were.
    pub fn restore(&self) {
        if let Some(settings) = &self.0 {
            let _ = rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Drain, settings);
        }
    }
}

/// Columns and rows of the terminal.
///
/// # Errors
/// When there is none.
pub fn dimensions() -> io::Result<(u16, u16)> {
    size()
}

/// How to draw attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The bell.
    Bell,
    /// A desktop notification as iTerm2 has it.
    Osc9,
    /// A desktop notification with a title as urxvt has it.
    Osc777,
}

/// What draws attention, as the terminal takes it. Whatever is in the text, it ends
/// where it should.
fn signal(how: Signal, text: &str, tmux: bool) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
    let osc = match how {
        Signal::Bell => return "\u{7}".to_owned(),
        Signal::Osc9 => format!("\u{1b}]9;{text}\u{7}"),
        // The parts stand apart by semicolons.
        Signal::Osc777 => format!("\u{1b}]777;notify;quarterdeck;{}\u{7}", text.replace(';', ",")),
    };
    if tmux { through_tmux(&osc) } else { osc }
}

fn in_tmux() -> bool {
    std::env::var_os("TMUX").is_some()
}

/// tmux passes on what is wrapped so, its escapes doubled.
fn through_tmux(sequence: &str) -> String {
    format!("\u{1b}Ptmux;{}\u{1b}\\", sequence.replace('\u{1b}', "\u{1b}\u{1b}"))
}

/// A terminal that knows nothing of what is on the screen, which is cleared, and what it shows: nothing.
///
/// The viewport is fixed, and made anew when the size changes: ratatui's own
/// clearing asks the terminal where its cursor is and waits for the answer,
/// which on a slow line is too long and on a silent one for ever.
fn fresh() -> io::Result<(Terminal<Backend>, Buffer, Out)> {
    // Terminals ignore the mode they do not know, but the Linux console and
    // plain serial lines print it.
    let synchronized = !matches!(std::env::var("TERM").as_deref(), Ok("linux" | "vt100" | "vt220"));
    let out = Rc::new(RefCell::new(frame::Frame::new(io::stdout(), synchronized)));
    let mut backend = frame::Lean::new(Rc::clone(&out));
    queue!(backend, Clear(ClearType::All))?;
    let (width, height) = size()?;
    let area = Rect::new(0, 0, width, height);
    let viewport = Viewport::Fixed(area);
    Ok((Terminal::with_options(backend, TerminalOptions { viewport })?, Buffer::empty(area), out))
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.events = None;
        restore();
    }
}

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    ENTERED.store(true, Ordering::SeqCst);
    execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, cursor::Hide)
}

/// Gives the terminal back if it is ours. Errors are of no use here: the
/// terminal may be gone.
pub fn restore() {
    leave_raw();
    if ENTERED.swap(false, Ordering::SeqCst) {
        let _ = execute!(
            io::stdout(),
            EndSynchronizedUpdate,
            DisableFocusChange,
            DisableBracketedPaste,
            LeaveAlternateScreen,
            cursor::Show
        );
        let _ = disable_raw_mode();
    }
}

/// Restores the terminal before a panic's message is printed, so that it can be
/// read. Install after `color_eyre`, before the terminal is entered.
pub fn install_panic_hook() {
    let next = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        restore();
        next(info);
    }));
}

/// What the terminal sent, as far as it matters here.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A key press.
    Key(Key),
    /// Pasted text.
    Paste(String),
    /// The size changed.
    Resize,
}

/// An event as input; `None` for what means nothing here.
#[must_use]
pub fn input(event: Event) -> Option<Input> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => convert(key).map(Input::Key),
        Event::Paste(text) => Some(Input::Paste(text)),
        Event::Resize(..) | Event::FocusGained => Some(Input::Resize),
        _ => None,
    }
}

fn convert(event: KeyEvent) -> Option<Key> {
    use crossterm::event::KeyCode as C;
    let code = match event.code {
        C::Char(c) => KeyCode::Char(c),
        C::Enter => KeyCode::Enter,
        C::Esc => KeyCode::Esc,
        C::Tab => KeyCode::Tab,
        C::BackTab => KeyCode::BackTab,
        C::Backspace => KeyCode::Backspace,
        C::Delete => KeyCode::Delete,
        C::Insert => KeyCode::Insert,
        C::Up => KeyCode::Up,
        C::Down => KeyCode::Down,
        C::Left => KeyCode::Left,
        C::Right => KeyCode::Right,
        C::Home => KeyCode::Home,
        C::End => KeyCode::End,
        C::PageUp => KeyCode::PageUp,
        C::PageDown => KeyCode::PageDown,
        C::F(n) => KeyCode::F(n),
        _ => return None,
    };
    let key = Key {
        code,
        ctrl: event.modifiers.contains(KeyModifiers::CONTROL),
        alt: event.modifiers.contains(KeyModifiers::ALT),
        shift: event.modifiers.contains(KeyModifiers::SHIFT),
    };
    Some(key.canonical())
}

#[cfg(test)]
mod tests {
    use super::{Signal, signal};

    #[test]
    fn a_signal_is_what_terminals_take_and_nothing_else_whatever_it_says() {
        assert_eq!(signal(Signal::Bell, "x", true), "\u{7}");
        assert_eq!(signal(Signal::Osc9, "web fires", false), "\u{1b}]9;web fires\u{7}");
        assert_eq!(signal(Signal::Osc777, "a; b", false), "\u{1b}]777;notify;quarterdeck;a, b\u{7}");
        assert_eq!(signal(Signal::Osc9, "a", true), "\u{1b}Ptmux;\u{1b}\u{1b}]9;a\u{7}\u{1b}\\");
        let hostile = signal(Signal::Osc9, "a\u{7}\u{1b}]52;c;eA==\u{9c}\n", false);
        assert_eq!(hostile, "\u{1b}]9;a]52;c;eA==\u{7}");
        assert!(signal(Signal::Osc9, &"x".repeat(100_000), false).len() < 300);
    }
}
