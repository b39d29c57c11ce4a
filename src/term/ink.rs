//! What a run of text looks like, said in as few bytes as the terminal needs.
//!
//! The library's backend says foreground and background anew whenever one of them changes, and
//! styles the blanks between two words. Over a slow line that is most of a frame: so nothing
//! is said until something is printed that shows it, and then only what differs.

use std::io::{self, Write};

use crossterm::style::Colored;
use ratatui::backend::IntoCrossterm;
use ratatui::buffer::Cell;
use ratatui::style::{Color, Modifier};

/// What can be seen where nothing is printed.
const ON_BLANKS: Modifier = Modifier::UNDERLINED.union(Modifier::REVERSED).union(Modifier::CROSSED_OUT);

/// Attributes, what begins them and what ends them; 22 ends both of the first two.
const ATTRIBUTES: [(Modifier, &[u8], &[u8]); 9] = [
    (Modifier::BOLD, b"1", b"22"),
    (Modifier::DIM, b"2", b"22"),
    (Modifier::ITALIC, b"3", b"23"),
    (Modifier::UNDERLINED, b"4", b"24"),
    (Modifier::SLOW_BLINK, b"5", b"25"),
    (Modifier::RAPID_BLINK, b"6", b"25"),
    (Modifier::REVERSED, b"7", b"27"),
    (Modifier::HIDDEN, b"8", b"28"),
    (Modifier::CROSSED_OUT, b"9", b"29"),
];

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Look {
    fg: Color,
    bg: Color,
    line: Color,
    modifier: Modifier,
}

/// What the terminal shows text as.
#[derive(Debug)]
pub struct Ink {
    now: Look,
    /// `NO_COLOR`, as the library reads it.
    colours: bool,
}

impl Default for Ink {
    fn default() -> Self {
        Self { now: Look::default(), colours: !Colored::ansi_color_disabled_memoized() }
    }
}

impl Ink {
    /// Says what has to be said before this cell is printed.
    ///
    /// # Errors
    /// As writing has them.
    pub fn before(&mut self, cell: &Cell, out: &mut Vec<u8>) -> io::Result<()> {
        let mut look = Look { fg: cell.fg, bg: cell.bg, line: cell.underline_color, modifier: cell.modifier };
        if !self.colours {
            look = Look { modifier: look.modifier, ..Look::default() };
        }
        if cell.symbol() == " " && !(self.now.modifier | look.modifier).intersects(ON_BLANKS) {
            look = Look { bg: look.bg, ..self.now };
        }
        self.say(look, out)
    }

    /// Whatever else writes to the terminal finds it as it was.
    ///
    /// # Errors
    /// As writing has them.
    pub fn none(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.say(Look::default(), out)
    }

    fn say(&mut self, look: Look, out: &mut Vec<u8>) -> io::Result<()> {
        let now = std::mem::replace(&mut self.now, look);
        if look == now {
            return Ok(());
        }
        if look == Look::default() {
            return out.write_all(b"\x1b[0m");
        }
        out.extend_from_slice(b"\x1b[");
        let mut on = look.modifier - now.modifier;
        let mut said: &[u8] = b"";
        for (attribute, _, end) in ATTRIBUTES {
            if (now.modifier - look.modifier).contains(attribute) {
                // What else it ends begins again.
                on |= ATTRIBUTES.iter().filter(|a| a.2 == end).fold(Modifier::empty(), |all, a| all | a.0)
                    & look.modifier;
                if said != end {
                    out.extend_from_slice(end);
                    out.push(b';');
                }
                said = end;
            }
        }
        for (attribute, begin, _) in ATTRIBUTES {
            if on.contains(attribute) {
                out.extend_from_slice(begin);
                out.push(b';');
            }
        }
        for (is, was, colored) in [
            (look.fg, now.fg, Colored::ForegroundColor as fn(_) -> _),
            (look.bg, now.bg, Colored::BackgroundColor),
            (look.line, now.line, Colored::UnderlineColor),
        ] {
            if is != was {
                write!(out, "{};", colored(is.into_crossterm()))?;
            }
        }
        // Something differs, so there is a separator behind the last one.
        out.pop();
        out.push(b'm');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colours_the_attributes_stay() {
        let mut ink = Ink { now: Look::default(), colours: false };
        let mut cell = Cell::new("a");
        cell.fg = Color::Red;
        cell.modifier = Modifier::BOLD;
        let mut out = Vec::new();
        ink.before(&cell, &mut out).unwrap();
        assert_eq!(out, b"\x1b[1m");
        cell.modifier = Modifier::empty();
        ink.before(&cell, &mut out).unwrap();
        assert_eq!(out, b"\x1b[1m\x1b[0m");
    }
}
