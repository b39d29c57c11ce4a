//! What one frame sends: collected in as few bytes as it takes, and written in one go.
//!
//! On a quiet screen a clock's second is all that changes; without this, five
//! sixths of its bytes would say again what the terminal knows.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};

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
    /// Begins with the announcement, which is left out of what is sent where there is none.
    bytes: Vec<u8>,
    /// The cursor is known to be hidden.
    hidden: bool,
    /// The terminal knows synchronized output.
    synchronized: bool,
    ink: Ink,
}

impl<W: Write> Frame<W> {
    pub fn new(out: W, synchronized: bool) -> Self {
        Self { out, bytes: BEGIN.to_vec(), hidden: false, synchronized, ink: Ink::default() }
    }

    /// Sends what was collected.
    pub fn send(&mut self) -> io::Result<()> {
        let len = self.bytes.len() - BEGIN.len();
        let sent = if self.synchronized && len >= ONE_PIECE {
            self.bytes.extend_from_slice(END);
            self.out.write_all(&self.bytes)
        } else {
            self.out.write_all(&self.bytes[BEGIN.len()..])
        };
        self.bytes.truncate(BEGIN.len());
        self.bytes.shrink_to(64 * 1024);
        if sent.is_err() {
            // Nobody knows what of it arrived.
            self.hidden = false;
        }
        sent?;
        if len == 0 { Ok(()) } else { self.out.flush() }
    }
}

impl<W> Frame<W> {
    /// Collects cells at their places.
    pub fn draw<'a>(&mut self, cells: impl Iterator<Item = (u16, u16, &'a Cell)>) -> io::Result<()> {
        let mut next = None;
        for (x, y, cell) in cells {
            if next != Some((x, y)) {
                write!(self.bytes, "\x1b[{};{}H", u32::from(y) + 1, u32::from(x) + 1)?;
            }
            next = Some((x.saturating_add(1), y));
            self.ink.before(cell, &mut self.bytes)?;
            self.bytes.extend_from_slice(cell.symbol().as_bytes());
        }
        self.ink.none(&mut self.bytes)
    }
}

/// The end that something else writes to, and the library's backend, which would flush in the
/// middle of a frame.
#[derive(Debug)]
pub struct Pen<W>(Rc<RefCell<Frame<W>>>);

impl<W> Write for Pen<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The library's backend, but for how cells are sent. It writes every change of a style, for a
/// quarter of the time that a frame takes, only for most of that to be found superfluous.
#[derive(Debug)]
pub struct Lean<W: Write> {
    whole: CrosstermBackend<Pen<W>>,
    frame: Rc<RefCell<Frame<W>>>,
}

impl<W: Write> Lean<W> {
    pub fn new(frame: Rc<RefCell<Frame<W>>>) -> Self {
        Self { whole: CrosstermBackend::new(Pen(Rc::clone(&frame))), frame }
    }
}

impl<W: Write> Write for Lean<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.whole.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write> Backend for Lean<W> {
    type Error = io::Error;

    fn draw<'a, I: Iterator<Item = (u16, u16, &'a Cell)>>(&mut self, content: I) -> io::Result<()> {
        self.frame.borrow_mut().draw(content)
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        let mut frame = self.frame.borrow_mut();
        if !std::mem::replace(&mut frame.hidden, true) {
            frame.bytes.extend_from_slice(HIDE);
        }
        Ok(())
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        let mut frame = self.frame.borrow_mut();
        frame.hidden = false;
        frame.bytes.extend_from_slice(SHOW);
        Ok(())
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        self.whole.get_cursor_position()
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.whole.set_cursor_position(position)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.whole.clear()
    }

    fn clear_region(&mut self, region: ClearType) -> io::Result<()> {
        self.whole.clear_region(region)
    }

    fn size(&self) -> io::Result<Size> {
        self.whole.size()
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        self.whole.window_size()
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ratatui::style::{Color, Modifier, Style};

    use super::*;

    fn frame(synchronized: bool) -> (Lean<Vec<u8>>, impl FnMut() -> String) {
        let frame = Rc::new(RefCell::new(Frame::new(Vec::new(), synchronized)));
        let sent = Rc::clone(&frame);
        let send = move || {
            let mut frame = sent.borrow_mut();
            frame.send().unwrap();
            String::from_utf8(std::mem::take(&mut frame.out)).unwrap()
        };
        (Lean::new(frame), send)
    }

    /// A row of texts and their styles.
    fn row(texts: &[(&str, Style)]) -> Vec<Cell> {
        let cell = |c: char, style: Style| {
            let mut cell = Cell::default();
            cell.set_char(c).set_style(style);
            cell
        };
        texts.iter().flat_map(|(text, style)| text.chars().map(move |c| cell(c, *style))).collect()
    }

    fn put(backend: &mut Lean<Vec<u8>>, x: u16, cells: &[Cell]) {
        backend.draw((x..).zip(cells).map(|(x, cell)| (x, 0, cell))).unwrap();
    }

    #[test]
    fn what_the_terminal_knows_is_not_said_again() {
        let (mut backend, mut send) = frame(true);
        let second = row(&[("9", Style::new().fg(Color::Rgb(1, 2, 3)))]);
        put(&mut backend, 154, &second);
        backend.hide_cursor().unwrap();
        assert_eq!(send(), "\x1b[1;155H\x1b[38;2;1;2;3m9\x1b[0m\x1b[?25l");
        put(&mut backend, 154, &second);
        backend.hide_cursor().unwrap();
        assert_eq!(send(), "\x1b[1;155H\x1b[38;2;1;2;3m9\x1b[0m");
    }

    #[test]
    fn a_cursor_that_was_shown_is_hidden_again() {
        let (mut backend, mut send) = frame(true);
        backend.hide_cursor().unwrap();
        assert_eq!(send(), "\x1b[?25l");
        backend.show_cursor().unwrap();
        assert_eq!(send(), "\x1b[?25h");
        backend.hide_cursor().unwrap();
        assert_eq!(send(), "\x1b[?25l");
        backend.hide_cursor().unwrap();
        assert_eq!(send(), "");
    }

    #[test]
    fn a_frame_without_a_change_sends_nothing() {
        let (mut backend, mut send) = frame(true);
        put(&mut backend, 0, &[]);
        Backend::flush(&mut backend).unwrap();
        assert_eq!(send(), "");
    }

    #[test]
    fn a_large_frame_is_announced() {
        let (mut backend, mut send) = frame(true);
        let large = "x".repeat(300);
        put(&mut backend, 0, &row(&[(&large, Style::new())]));
        assert_eq!(send(), format!("\x1b[?2026h\x1b[1;1H{large}\x1b[?2026l"));
        let (mut backend, mut send) = frame(false);
        put(&mut backend, 0, &row(&[(&large, Style::new())]));
        assert_eq!(send(), format!("\x1b[1;1H{large}"));
    }

    #[test]
    fn only_what_differs_is_said_and_blanks_need_a_background_only() {
        let (mut backend, mut send) = frame(true);
        let on = |fg| Style::new().fg(Color::Indexed(fg)).bg(Color::Indexed(236));
        let bold = on(179).add_modifier(Modifier::BOLD);
        put(&mut backend, 0, &row(&[("  ", on(253)), ("shop", bold), ("   ", on(253)), ("Ready", on(115))]));
        assert_eq!(send(), "\x1b[1;1H\x1b[48;5;236m  \x1b[1;38;5;179mshop   \x1b[22;38;5;115mReady\x1b[0m");
    }

    #[test]
    fn what_ends_two_attributes_begins_the_other_again() {
        let (mut backend, mut send) = frame(true);
        let with = |m| Style::new().add_modifier(m);
        put(&mut backend, 0, &row(&[("a", with(Modifier::BOLD | Modifier::DIM)), ("b", with(Modifier::DIM))]));
        assert_eq!(send(), "\x1b[1;1H\x1b[1;2ma\x1b[22;2mb\x1b[0m");
    }

    #[test]
    fn whatever_else_is_written_stands_where_it_was_written() {
        let (mut backend, mut send) = frame(true);
        put(&mut backend, 0, &row(&[("a", Style::new().fg(Color::Indexed(9)))]));
        backend.write_all(b"\x07").unwrap();
        assert_eq!(send(), "\x1b[1;1H\x1b[38;5;9ma\x1b[0m\x07");
    }

    #[test]
    fn every_attribute_begins_and_ends() {
        for (attribute, begin, end) in [
            (Modifier::BOLD, 1, 22),
            (Modifier::DIM, 2, 22),
            (Modifier::ITALIC, 3, 23),
            (Modifier::UNDERLINED, 4, 24),
            (Modifier::SLOW_BLINK, 5, 25),
            (Modifier::RAPID_BLINK, 6, 25),
            (Modifier::REVERSED, 7, 27),
            (Modifier::HIDDEN, 8, 28),
            (Modifier::CROSSED_OUT, 9, 29),
        ] {
            let (mut backend, mut send) = frame(true);
            let red = Style::new().fg(Color::Indexed(9));
            put(&mut backend, 0, &row(&[("a", red.add_modifier(attribute)), ("b", red)]));
            assert_eq!(send(), format!("\x1b[1;1H\x1b[{begin};38;5;9ma\x1b[{end}mb\x1b[0m"));
        }
        let (mut backend, mut send) = frame(true);
        let red = Style::new().fg(Color::Indexed(9));
        put(&mut backend, 0, &row(&[("a", red.underline_color(Color::Indexed(3))), ("b", red)]));
        assert_eq!(send(), "\x1b[1;1H\x1b[38;5;9;58;5;3ma\x1b[59mb\x1b[0m");
    }

    #[test]
    fn what_could_not_be_sent_is_not_sent_again_and_the_cursor_is_hidden_anew() {
        struct Broken(bool, Vec<u8>);
        impl Write for Broken {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                if std::mem::replace(&mut self.0, false) {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                self.1.write(bytes)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let frame = Rc::new(RefCell::new(Frame::new(Broken(true, Vec::new()), true)));
        let mut backend = Lean::new(Rc::clone(&frame));
        backend.write_all(b"lost").unwrap();
        backend.hide_cursor().unwrap();
        frame.borrow_mut().send().unwrap_err();
        backend.write_all(b"new").unwrap();
        backend.hide_cursor().unwrap();
        frame.borrow_mut().send().unwrap();
        assert_eq!(frame.borrow().out.1, b"new\x1b[?25l");
    }

    /// Whatever is drawn, the screen is the same as if all of it had been sent.
    mod same {
        use super::*;
        use proptest::prelude::*;
        use ratatui::buffer::Buffer;
        use ratatui::layout::Rect;

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
            proptest::collection::vec((0_u16..20, 0_u16..4, "([ a-c]|日|é|e\u{301}){1,6}", style()), 1..12)
        }

        proptest! {
            #[test]
            fn the_screen_is_as_it_was_meant(frames in proptest::collection::vec(cells(), 1..5)) {
                let area = Rect::new(0, 0, 20, 4);
                let cells_of = |n| std::num::NonZeroU16::new(n).unwrap();
                let screen = || vt100::Parser::new(cells_of(4), cells_of(20), 0);
                let (mut lean, mut full) = (screen(), screen());
                let (mut lean_backend, mut send) = frame(false);
                let mut before = Buffer::empty(area);
                for cells in frames {
                    let mut buffer = before.clone();
                    for (x, y, text, style) in cells {
                        buffer.set_stringn(x, y, &text, usize::from(20 - x), style);
                    }
                    let mut bytes = Vec::new();
                    let mut backend = ratatui::backend::CrosstermBackend::new(&mut bytes);
                    backend.draw(before.diff(&buffer).into_iter()).unwrap();
                    lean_backend.draw(before.diff(&buffer).into_iter()).unwrap();
                    before = buffer;
                    full.process(&bytes);
                    let sent = send();
                    prop_assert!(sent.len() <= bytes.len());
                    lean.process(sent.as_bytes());
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
