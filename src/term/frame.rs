//! What one frame sends: collected, made lean, and written in one go.
//!
//! On a quiet screen a clock's second is all that changes; without this, five
//! sixths of its bytes would say again what the terminal knows.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

const HIDE: &[u8] = b"\x1b[?25l";
const SHOW: &[u8] = b"\x1b[?25h";
/// How the backend ends a frame; the last of the four does it all.
const RESETS: &[u8] = b"\x1b[39m\x1b[49m\x1b[59m\x1b[0m";
const RESET: &[u8] = b"\x1b[0m";
const BEGIN: &[u8] = b"\x1b[?2026h";
const END: &[u8] = b"\x1b[?2026l";
/// A frame of fewer bytes arrives in one piece: nothing is gained by announcing it.
const ONE_PIECE: usize = 200;

/// Collects a frame until it is sent.
#[derive(Debug)]
pub struct Frame<W> {
    out: W,
    bytes: Vec<u8>,
    /// The cursor is known to be hidden.
    hidden: bool,
    /// The terminal knows synchronized output.
    synchronized: bool,
}

impl<W: Write> Frame<W> {
    pub fn new(out: W, synchronized: bool) -> Self {
        Self { out, bytes: Vec::new(), hidden: false, synchronized }
    }

    /// Sends what was collected, without what the terminal knows already.
    pub fn send(&mut self) -> io::Result<()> {
        let mut lean = Vec::with_capacity(self.bytes.len() + BEGIN.len() + END.len());
        let mut rest = &self.bytes[..];
        // Nothing in a frame comes from outside with escapes in it, so what looks
        // like these sequences is them.
        while let Some(at) = memchr::memchr(0x1b, rest) {
            let (text, escape) = rest.split_at(at);
            lean.extend_from_slice(text);
            rest = if let Some(after) = escape.strip_prefix(HIDE) {
                if !self.hidden {
                    lean.extend_from_slice(HIDE);
                }
                self.hidden = true;
                after
            } else if let Some(after) = escape.strip_prefix(SHOW) {
                lean.extend_from_slice(SHOW);
                self.hidden = false;
                after
            } else if let Some(after) = escape.strip_prefix(RESETS) {
                lean.extend_from_slice(RESET);
                after
            } else {
                lean.push(escape[0]);
                &escape[1..]
            };
        }
        lean.extend_from_slice(rest);
        self.bytes.clear();
        self.bytes.shrink_to(64 * 1024);
        // With nothing to draw, a reset is all there is.
        if lean == RESET {
            return Ok(());
        }
        let announce = self.synchronized && lean.len() >= ONE_PIECE;
        if announce {
            lean.splice(0..0, BEGIN.iter().copied());
            lean.extend_from_slice(END);
        }
        self.out.write_all(&lean)?;
        self.out.flush()
    }
}

/// The end that the backend writes to, and keeps to itself. Flushing does
/// nothing: the backend flushes in the middle of a frame.
#[derive(Debug)]
pub struct Pen<W>(pub Rc<RefCell<Frame<W>>>);

impl<W> Write for Pen<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use memchr::memmem;

    fn sent(frames: &[&[u8]]) -> Vec<String> {
        let mut frame = Frame::new(Vec::new(), true);
        frames
            .iter()
            .map(|bytes| {
                frame.bytes.extend_from_slice(bytes);
                frame.send().unwrap();
                String::from_utf8(std::mem::take(&mut frame.out)).unwrap()
            })
            .collect()
    }

    #[test]
    fn what_the_terminal_knows_is_not_said_again() {
        let second = b"\x1b[1;155H\x1b[38;2;1;2;3m9\x1b[39m\x1b[49m\x1b[59m\x1b[0m\x1b[?25l";
        let sent = sent(&[second, second]);
        assert_eq!(sent[0], "\x1b[1;155H\x1b[38;2;1;2;3m9\x1b[0m\x1b[?25l");
        assert_eq!(sent[1], "\x1b[1;155H\x1b[38;2;1;2;3m9\x1b[0m");
    }

    #[test]
    fn a_cursor_that_was_shown_is_hidden_again() {
        let sent = sent(&[b"\x1b[?25l", b"\x1b[?25h", b"\x1b[?25l", b"\x1b[?25l"]);
        assert_eq!(sent, ["\x1b[?25l", "\x1b[?25h", "\x1b[?25l", ""]);
    }

    #[test]
    fn a_frame_without_a_change_sends_nothing() {
        assert_eq!(sent(&[b"\x1b[39m\x1b[49m\x1b[59m\x1b[0m"]), [""]);
    }

    #[test]
    fn a_large_frame_is_announced() {
        let large = "x".repeat(300);
        assert_eq!(sent(&[large.as_bytes()]), [format!("\x1b[?2026h{large}\x1b[?2026l")]);
    }

    #[test]
    fn the_backend_still_ends_a_frame_so() {
        let mut bytes = Vec::new();
        let buffer = ratatui::buffer::Buffer::with_lines(["x"]);
        let mut backend = ratatui::backend::CrosstermBackend::new(&mut bytes);
        ratatui::backend::Backend::draw(&mut backend, buffer.content().iter().map(|cell| (0, 0, cell))).unwrap();
        assert!(memmem::find(&bytes, RESETS).is_some(), "{:?}", String::from_utf8_lossy(&bytes));
    }
}
