//! A real terminal for the binary: a pseudo-terminal, and a terminal emulator that
//! reads what it draws. Each has a home of its own.
//!
//! The program runs below `sh`, which writes down the terminal's settings before
//! and after: what is not restored shows as a difference.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use quarterdeck::clock::instant;
use vt100::{Parser, Screen};

/// How long anything may take before a test fails. Generous: machines are shared.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Keeps the settings of the terminal in files and the program's number in another,
/// and says what the program ended with. `PTY_STDIN` gives it another standard input: a file,
/// `closed`, or `none`, which is without a terminal of its own, too.
const SHELL: &str = r#"
stty -g >"$PTY_DIR/before"
sh -c 'echo $$ >"$PTY_DIR/pid.new"; mv "$PTY_DIR/pid.new" "$PTY_DIR/pid"
case "$PTY_STDIN" in
  "") exec "$0" "$@";;
  closed) exec "$0" "$@" <&-;;
  none) exec setsid "$0" "$@" </dev/null;;
  *) exec "$0" "$@" <"$PTY_STDIN";;
esac' "$@"
code=$?
stty -g >"$PTY_DIR/after"
exit $code
"#;

/// The program in its terminal.
pub struct Pty {
    master: Box<dyn MasterPty + Send>,
    writer: Box<dyn std::io::Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    bytes: Receiver<Vec<u8>>,
    parser: Parser,
    /// Everything it sent, for what a screen does not show.
    sent: Vec<u8>,
    /// Up to where its questions were answered.
    answered: usize,
    dir: tempfile::TempDir,
}

/// Emulators of one row or column are not worth their bugs.
fn cells(n: u16) -> NonZeroU16 {
    NonZeroU16::new(n.max(2)).expect("at least two")
}

fn size(cols: u16, rows: u16) -> PtySize {
    PtySize { rows: cells(rows).get(), cols: cells(cols).get(), pixel_width: 0, pixel_height: 0 }
}

impl Pty {
    /// Starts the binary with these arguments in a terminal of `cols` x `rows`.
    pub fn start(args: &[&str], env: &[(&str, &str)], cols: u16, rows: u16) -> Self {
        Self::program(env!("CARGO_BIN_EXE_quarterdeck"), args, env, cols, rows)
    }

    /// The same for another program, such as one that starts the binary somewhere else.
    pub fn program(program: &str, args: &[&str], env: &[(&str, &str)], cols: u16, rows: u16) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let pair = native_pty_system().openpty(size(cols, rows)).expect("a pseudo-terminal");
        let mut command = CommandBuilder::new("sh");
        command.args(["-c", SHELL, "sh", program]);
        command.args(args);
        command.env_clear();
        command.cwd(dir.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        for name in
            ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "TMPDIR", "PTY_DIR"]
        {
            command.env(name, dir.path());
        }
        command.env("TERM", "xterm-256color");
        command.env("LANG", "C.UTF-8");
        for (name, value) in env {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).expect("it starts");
        // Else the reader never sees the end.
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let writer = pair.master.take_writer().expect("a writer");
        let (tx, bytes) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                if tx.send(buffer[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        let parser = Parser::new(cells(rows), cells(cols), 0);
        Self { master: pair.master, writer, child, bytes, parser, sent: Vec::new(), answered: 0, dir }
    }

    /// Takes in what came; false when it took too long or nothing more can come.
    fn read(&mut self, wait: Duration) -> Result<(), RecvTimeoutError> {
        let first = self.bytes.recv_timeout(wait)?;
        let more: Vec<Vec<u8>> = self.bytes.try_iter().collect();
        for bytes in std::iter::once(first).chain(more) {
            self.parser.process(&bytes);
            self.sent.extend(bytes);
            self.answer();
        }
        Ok(())
    }

    /// Tells where the cursor is when asked, as every terminal does.
    fn answer(&mut self) {
        const QUESTION: &[u8] = b"\x1b[6n";
        while let Some(at) = self.sent[self.answered..].windows(QUESTION.len()).position(|w| w == QUESTION) {
            self.answered += at + QUESTION.len();
            let (row, col) = self.parser.screen().cursor_position();
            // The program may have gone meanwhile.
            let _ = write!(self.writer, "\x1b[{};{}R", row + 1, col + 1);
            let _ = self.writer.flush();
        }
    }

    /// Waits until the screen is as wanted, or fails with the screen as it is.
    #[track_caller]
    pub fn wait_for(&mut self, what: &str, mut wanted: impl FnMut(&Screen) -> bool) {
        let end = instant() + PATIENCE;
        while !wanted(self.parser.screen()) {
            let left = end.saturating_duration_since(instant());
            if let Err(error) = self.read(left) {
                // What came last may be just it.
                assert!(wanted(self.parser.screen()), "{what}: {error}\n{}", self.dump());
                return;
            }
        }
    }

    /// Takes in what comes for a while.
    pub fn wait_some(&mut self, time: Duration) {
        let end = instant() + time;
        loop {
            let left = end.saturating_duration_since(instant());
            if left.is_zero() {
                return;
            }
            match self.read(left) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => return,
                // Nothing can come any more; whoever waits for a time waits for it.
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(left),
            }
        }
    }

    /// Waits until the screen shows a text.
    #[track_caller]
    pub fn shows(&mut self, text: &str) {
        self.wait_for(&format!("`{text}` on the screen"), |s| s.contents().contains(text));
    }

    /// Waits until the screen no longer shows a text.
    #[track_caller]
    pub fn hides(&mut self, text: &str) {
        self.wait_for(&format!("`{text}` off the screen"), |s| !s.contents().contains(text));
    }

    /// The emulator's screen as far as it was read.
    pub fn emulator(&self) -> &Screen {
        self.parser.screen()
    }

    /// The screen as text.
    pub fn screen(&self) -> String {
        self.parser.screen().contents()
    }

    /// How many bytes came so far: a mark to look behind.
    pub fn received(&self) -> usize {
        self.sent.len()
    }

    /// Waits until these bytes come after a mark.
    #[track_caller]
    pub fn receives(&mut self, after: usize, wanted: &str) {
        let end = instant() + PATIENCE;
        while !self.sent[after..].windows(wanted.len()).any(|w| w == wanted.as_bytes()) {
            let left = end.saturating_duration_since(instant());
            if let Err(error) = self.read(left) {
                panic!("{wanted:?} did not come: {error}\n{}", self.dump());
            }
        }
    }

    fn dump(&self) -> String {
        let (rows, cols) = self.parser.screen().size();
        let mut out = format!("--- the screen, {cols}x{rows}\n");
        for row in self.parser.screen().rows(0, cols.get()) {
            let _ = writeln!(out, "|{row}");
        }
        out + "---"
    }

    /// Types keys: characters, with `\r` for enter and `\u{1b}` for escape.
    pub fn send(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).expect("the terminal takes keys");
        self.writer.flush().expect("the terminal takes keys");
    }

    /// Makes the terminal this large; the program gets SIGWINCH.
    pub fn resize(&mut self, cols: u16, rows: u16) {
        // What came was drawn for the old size.
        while self.read(Duration::ZERO).is_ok() {}
        self.parser.set_size(cells(rows), cells(cols));
        self.master.resize(size(cols, rows)).expect("the terminal changes its size");
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The program's process number.
    pub fn pid(&self) -> String {
        std::fs::read_to_string(self.file("pid")).expect("it has started").trim().to_owned()
    }

    /// Sends the program itself (not the shell around it) a signal, by name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.pid()]).status().expect("kill is there");
        assert!(sent.success(), "kill -s {name}");
    }

    /// Waits until the program is stopped, as by SIGSTOP.
    #[track_caller]
    pub fn wait_stopped(&mut self) {
        let end = instant() + PATIENCE;
        loop {
            let asked = Command::new("ps").args(["-o", "stat=", "-p", &self.pid()]).output().expect("ps is there");
            if asked.stdout.trim_ascii().starts_with(b"T") {
                return;
            }
            assert!(instant() < end, "it did not stop\n{}", self.dump());
            // Asking ps is the wait; what comes meanwhile is taken in.
            let _ = self.read(Duration::from_millis(20));
        }
    }

    /// Waits until it has ended, and gives its exit code.
    #[track_caller]
    pub fn wait_exit(&mut self) -> u32 {
        let end = instant() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                // The rest, to the end of file.
                while self.read(Duration::from_millis(500)).is_ok() {}
                return status.exit_code();
            }
            assert!(instant() < end, "it did not end\n{}", self.dump());
            let _ = self.read(Duration::from_millis(20));
        }
    }

    /// The screen is given back: no alternate screen, a cursor, no bracketed paste.
    #[track_caller]
    pub fn assert_screen_restored(&self) {
        let screen = self.parser.screen();
        assert!(!screen.alternate_screen(), "the main screen is back\n{}", self.dump());
        assert!(!screen.hide_cursor(), "the cursor is shown\n{}", self.dump());
        assert!(!screen.bracketed_paste(), "bracketed paste is off\n{}", self.dump());
    }

    /// The screen is given back, and the terminal's settings are as before. After
    /// the program has ended.
    #[track_caller]
    pub fn assert_restored(&self) {
        self.assert_screen_restored();
        let entered = self.sent.windows(8).any(|w| w == b"\x1b[?1049h");
        assert!(entered, "it took the terminal at all\n{}", self.dump());
        self.assert_settings_restored();
    }

    /// The terminal's settings are as before. After the program has ended.
    #[track_caller]
    pub fn assert_settings_restored(&self) {
        let read = |name| std::fs::read_to_string(self.file(name)).expect("stty ran");
        assert_eq!(read("before"), read("after"), "the terminal's settings");
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // The shell's hangup would do, but a stopped program does not hear it.
        if self.child.try_wait().is_ok_and(|s| s.is_none()) {
            if let Ok(pid) = std::fs::read_to_string(self.file("pid")) {
                let _ =
                    Command::new("kill").args(["-s", "KILL", pid.trim()]).stderr(std::process::Stdio::null()).status();
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
