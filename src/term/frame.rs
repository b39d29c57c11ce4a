//! What one frame sends: collected, made lean, and written in one go.
//!
//! On a quiet screen a clock's second is all that changes; without this, five
//! sixths of its bytes would say again what the terminal knows.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use super::ink::Ink;

const HIDE: &[u8] = b"\x1b[?25l";
const SHOW: &[u8] = b"\x1b[?25h";
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
    ink: Ink,
}

impl<W: Write> Frame<W> {
    pub fn new(out: W, synchronized: bool) -> Self {
        Self { out, bytes: Vec::new(), hidden: false, synchronized, ink: Ink::default() }
    }

    /// Sends what was collected, without what the terminal knows already.
    pub fn send(&mut self) -> io::Result<()> {
        let mut lean = Vec::with_capacity(self.bytes.len() + BEGIN.len() + END.len());
        let bytes = std::mem::take(&mut self.bytes);
        let mut rest = &bytes[..];
        // Nothing in a frame comes from outside with escapes in it, so what looks
        // like these sequences is them.
        while let Some(at) = memchr::memchr(0x1b, rest) {
            let (text, escape) = rest.split_at(at);
            self.print(text, &mut lean);
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
            } else {
                let end = sequence(escape);
                let (whole, after) = escape.split_at(end);
                self.pass(whole, &mut lean);
                after
            };
        }
        self.print(rest, &mut lean);
        // Whatever else writes to the terminal finds it as it was.
        self.ink.want(b"0");
        self.ink.all(&mut lean);
        self.bytes = bytes;
        self.bytes.clear();
        self.bytes.shrink_to(64 * 1024);
        if lean.is_empty() {
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

impl<W> Frame<W> {
    fn print(&mut self, text: &[u8], lean: &mut Vec<u8>) {
        if !text.is_empty() {
            self.ink.before(text, lean);
            lean.extend_from_slice(text);
        }
    }

    /// An escape sequence: a style waits for text that shows it, a place needs none, and
    /// whatever else there is finds the terminal as it is meant to be.
    fn pass(&mut self, whole: &[u8], lean: &mut Vec<u8>) {
        let params = whole.strip_prefix(b"\x1b[").and_then(|p| p.split_last());
        match params {
            Some((b'm', params)) if self.ink.want(params) => return,
            Some((b'H', _)) => {}
            _ => self.ink.all(lean),
        }
        lean.extend_from_slice(whole);
    }
}

/// How long the escape sequence is that begins here: a control sequence to its end, of
/// others the first byte.
fn sequence(escape: &[u8]) -> usize {
    let Some(after) = escape.strip_prefix(b"\x1b[") else { return 1 };
    let end = after.iter().position(|b| (0x40..=0x7e).contains(b));
    end.map_or(escape.len(), |end| end + 3)
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
        assert_eq!(sent[0], "\x1b[1;155H\x1b[38;2;1;2;3m9\x1b[?25l\x1b[0m");
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
    fn only_what_differs_is_said_and_blanks_need_a_background_only() {
        let row = b"\x1b[38;5;253;48;5;236m  \x1b[1m\x1b[38;5;179;48;5;236mshop\x1b[22m\x1b[38;5;253;48;5;236m   \x1b[38;5;115;48;5;236mReady";
        let sent = sent(&[row]);
        assert_eq!(sent, ["\x1b[48;5;236m  \x1b[1;38;5;179mshop   \x1b[22;38;5;115mReady\x1b[0m"]);
    }

    #[test]
    fn a_style_that_is_not_known_is_passed_on_as_it_is() {
        let sent = sent(&[b"\x1b[31m\x1b[4:3mx\x1b[0m", b"\x1b[31mx\x1b[2J"]);
        assert_eq!(sent, ["\x1b[31m\x1b[4:3mx\x1b[0m", "\x1b[31mx\x1b[2J\x1b[0m"]);
    }

    /// Whatever is drawn, the screen is the same as if all of it had been sent.
    mod same {
        use super::*;
        use proptest::prelude::*;
        use ratatui::buffer::Buffer;
        use ratatui::layout::Rect;
        use ratatui::style::{Color, Modifier, Style};

        fn style() -> impl Strategy<Value = Style> {
            let colour = || {
                prop_oneof![
                    Just(Color::Reset),
                    Just(Color::Red),
                    (16_u8..40).prop_map(Color::Indexed),
                    (0_u8..3, 0_u8..3, 0_u8..3).prop_map(|(r, g, b)| Color::Rgb(r * 100, g * 100, b * 100)),
                ]
            };
            let modifiers = prop_oneof![
                Just(Modifier::empty()),
                Just(Modifier::BOLD),
                Just(Modifier::DIM),
                Just(Modifier::UNDERLINED),
                Just(Modifier::REVERSED | Modifier::ITALIC),
                Just(Modifier::BOLD | Modifier::UNDERLINED),
            ];
            (colour(), colour(), modifiers)
                .prop_map(|(fg, bg, m)| Style::reset().fg(fg).bg(bg).remove_modifier(Modifier::all()).add_modifier(m))
        }

        fn cells() -> impl Strategy<Value = Vec<(u16, u16, String, Style)>> {
            proptest::collection::vec((0_u16..20, 0_u16..4, "[ a-c]{1,6}", style()), 1..12)
        }

        proptest! {
            #[test]
            fn the_screen_is_as_it_was_meant(frames in proptest::collection::vec(cells(), 1..5)) {
                let area = Rect::new(0, 0, 20, 4);
                let cells_of = |n| std::num::NonZeroU16::new(n).unwrap();
                let screen = || vt100::Parser::new(cells_of(4), cells_of(20), 0);
                let (mut lean, mut full) = (screen(), screen());
                let mut frame = Frame::new(Vec::new(), false);
                let mut before = Buffer::empty(area);
                for cells in frames {
                    let mut buffer = before.clone();
                    for (x, y, text, style) in cells {
                        buffer.set_stringn(x, y, &text, usize::from(20 - x), style);
                    }
                    let mut bytes = Vec::new();
                    let mut backend = ratatui::backend::CrosstermBackend::new(&mut bytes);
                    ratatui::backend::Backend::draw(&mut backend, before.diff(&buffer).into_iter()).unwrap();
                    before = buffer;
                    full.process(&bytes);
                    frame.bytes.extend_from_slice(&bytes);
                    frame.send().unwrap();
                    let sent = std::mem::take(&mut frame.out);
                    prop_assert!(sent.len() <= bytes.len());
                    lean.process(&sent);
                    for y in 0..4 {
                        for x in 0..20 {
                            let (a, b) = (lean.screen().cell(y, x).unwrap(), full.screen().cell(y, x).unwrap());
                            prop_assert_eq!(a.contents().trim(), b.contents().trim());
                            prop_assert_eq!(a.bgcolor(), b.bgcolor());
                            prop_assert_eq!((a.underline(), a.inverse()), (b.underline(), b.inverse()));
                            if !b.contents().trim().is_empty() || b.inverse() {
                                prop_assert_eq!(a.fgcolor(), b.fgcolor());
                                prop_assert_eq!((a.bold(), a.dim(), a.italic()), (b.bold(), b.dim(), b.italic()));
                            }
                        }
                    }
                }
            }
        }
    }
}
