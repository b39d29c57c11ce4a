//! What a program has made of the terminal while it had it, and how to undo that.
//!
//! What is not known to be set is not reset: leaving an alternate screen that was never entered
//! would move the cursor.

use std::collections::BTreeMap;

/// Longest sequence that is looked at.
const LONGEST: usize = 64;
/// Modes that are on unless somebody turns them off: wrapping, the cursor.
const ON: [u16; 2] = [7, 25];
/// Modes that are the alternate screen, by their three names.
const SCREENS: [u16; 3] = [47, 1047, 1049];
/// 132 columns: to leave it clears the screen.
const COLUMNS: u16 = 3;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    Escape,
    Csi(Vec<u8>),
    /// A string that only a terminator ends.
    Str,
    StrEscape,
    Charset,
}

/// The terminal's modes as far as the output says.
#[derive(Debug, Clone, Default)]
pub struct Modes {
    state: State,
    private: BTreeMap<u16, bool>,
    keypad: bool,
    insert: bool,
    region: bool,
    /// Line-drawing characters instead of letters.
    graphics: bool,
    shape: bool,
    /// Entries on the stack of the kitty keyboard protocol.
    keyboards: u16,
    other_keys: bool,
}

impl Modes {
    /// Of a program whose output was not seen: everything that does no harm is reset.
    #[must_use]
    pub fn unseen() -> Self {
        let modes = [1, 25, 1000, 1002, 1003, 1004, 1006, 2004, 2026];
        Self { private: modes.iter().map(|m| (*m, *m != 25)).collect(), keypad: true, ..Self::default() }
    }

    /// Looks at output on its way to the terminal.
    pub fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.byte(byte);
        }
    }

    fn byte(&mut self, byte: u8) {
        self.state = match (std::mem::take(&mut self.state), byte) {
            (State::Str, 0x1b) => State::StrEscape,
            (State::Str, 0x07) | (State::StrEscape, b'\\') => State::Text,
            (State::Str | State::StrEscape, _) => State::Str,
            // An escape begins anew, wherever it comes.
            (_, 0x1b) => State::Escape,
            (State::Text, _) => {
                match byte {
                    0x0e => self.graphics = true,
                    0x0f => self.graphics = false,
                    _ => {}
                }
                State::Text
            }
            (State::Escape, _) => self.escape(byte),
            (State::Charset, _) => {
                self.graphics |= byte == b'0';
                State::Text
            }
            (State::Csi(mut body), 0x20..=0x3f) if body.len() < LONGEST => {
                body.push(byte);
                State::Csi(body)
            }
            (State::Csi(body), 0x40..=0x7e) => {
                self.control(&body, byte);
                State::Text
            }
            // Controls within a sequence are obeyed at once, and the sequence goes on.
            (State::Csi(body), 0..=0x1f) => State::Csi(body),
            (State::Csi(_), _) => State::Text,
        };
    }

    fn escape(&mut self, byte: u8) -> State {
        match byte {
            b'[' => return State::Csi(Vec::new()),
            b']' | b'P' | b'X' | b'^' | b'_' => return State::Str,
            b'(' => return State::Charset,
            b'=' => self.keypad = true,
            b'>' => self.keypad = false,
            // All is reset.
            b'c' => *self = Self::default(),
            _ => {}
        }
        State::Text
    }

    fn control(&mut self, body: &[u8], last: u8) {
        let numbers = |text: &[u8]| -> Vec<u16> {
            String::from_utf8_lossy(text).split(';').filter_map(|n| n.parse().ok()).collect()
        };
        match (body, last) {
            ([b'?', rest @ ..], b'h' | b'l') => {
                self.private.extend(numbers(rest).into_iter().map(|mode| (mode, last == b'h')));
            }
            ([b'>', ..], b'u') => self.keyboards = self.keyboards.saturating_add(1),
            ([b'<', ..], b'u') => self.keyboards = self.keyboards.saturating_sub(1),
            ([b'>', b'4', ..], b'm') => self.other_keys = true,
            (body, b'h' | b'l') if numbers(body).contains(&4) => self.insert = last == b'h',
            (body, b'r') if body.iter().all(|b| b.is_ascii_digit() || *b == b';') => self.region = !body.is_empty(),
            ([.., b' '], b'q') => self.shape = true,
            _ => {}
        }
    }

    /// True while the alternate screen is shown.
    #[must_use]
    pub fn is_alternate(&self) -> bool {
        SCREENS.iter().any(|m| self.private.get(m) == Some(&true))
    }

    /// What undoes it.
    #[must_use]
    pub fn reset(&self) -> Vec<u8> {
        let mut out = String::new();
        if !matches!(self.state, State::Text) {
            // Cancels what was cut off in its middle; then the string's end, for terminals that want that.
            out.push_str("\u{18}\u{1b}\\");
        }
        let wrong = |mode: &u16, on: bool| ON.contains(mode) != on && *mode != COLUMNS;
        let (screens, rest): (Vec<_>, Vec<_>) =
            self.private.iter().filter(|(m, on)| wrong(m, **on)).partition(|(m, _)| SCREENS.contains(m));
        if self.keyboards > 0 {
            // Before its screen goes: each has a stack of its own.
            out.push_str(&format!("\u{1b}[<{}u", self.keyboards));
        }
        for (mode, _) in screens {
            out.push_str(&format!("\u{1b}[?{mode}l"));
        }
        for (mode, on) in rest {
            out.push_str(&format!("\u{1b}[?{mode}{}", if *on { 'l' } else { 'h' }));
        }
        for (set, sequence) in [
            (self.other_keys, "\u{1b}[>4;0m"),
            (self.keypad, "\u{1b}>"),
            (self.insert, "\u{1b}[4l"),
            // Setting the region moves the cursor.
            (self.region, "\u{1b}7\u{1b}[r\u{1b}8"),
            (self.graphics, "\u{f}\u{1b}(B"),
            (self.shape, "\u{1b}[0 q"),
        ] {
            if set {
                out.push_str(sequence);
            }
        }
        out.push_str("\u{1b}[0m\u{1b}[?25h");
        out.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(output: &[&str]) -> String {
        let mut modes = Modes::default();
        for part in output {
            modes.feed(part.as_bytes());
        }
        String::from_utf8(modes.reset()).unwrap()
    }

    const PLAIN: &str = "\u{1b}[0m\u{1b}[?25h";

    #[test]
    fn what_was_not_set_is_not_reset() {
        assert_eq!(after(&["hello\r\n\u{1b}[31mred"]), PLAIN);
        assert_eq!(after(&["\u{1b}[?1049h\u{1b}[?25lx\u{1b}[?25h\u{1b}[?1049l"]), PLAIN);
        assert_eq!(after(&["\u{1b}[?2004h\u{1b}=\u{1b}c"]), PLAIN);
    }

    #[test]
    fn what_was_left_set_is_reset_screen_first() {
        let left = after(&["\u{1b}[?1000;1006h\u{1b}[?10", "49h\u{1b}[?7l\u{1b}[2;5r\u{1b}=\u{e}"]);
        assert_eq!(
            left,
            format!(
                "\u{1b}[?1049l\u{1b}[?7h\u{1b}[?1000l\u{1b}[?1006l\u{1b}>\u{1b}7\u{1b}[r\u{1b}8\u{f}\u{1b}(B{PLAIN}"
            )
        );
    }

    #[test]
    fn strings_hide_what_looks_like_sequences_and_an_unended_one_is_ended() {
        assert_eq!(after(&["\u{1b}]0;a[?1049h\u{7}"]), PLAIN);
        assert_eq!(after(&["\u{1b}Pq\u{1b}[?1049h\u{1b}\\"]), PLAIN);
        assert_eq!(after(&["\u{1b}]0;title"]), format!("\u{18}\u{1b}\\{PLAIN}"));
    }
}
