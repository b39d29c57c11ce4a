//! What a run of text looks like, said in as few bytes as the terminal needs.
//!
//! The backend says foreground and background anew whenever one of them changes, and styles
//! the blanks between two words. Over a slow line that is most of a frame: so what is wanted is
//! kept until something is printed that shows it, and then only what differs is said.

const BOLD: u16 = 1 << 1;
const DIM: u16 = 1 << 2;
const ITALIC: u16 = 1 << 3;
const UNDERLINE: u16 = 1 << 4;
const BLINK: u16 = 1 << 5;
const REVERSE: u16 = 1 << 7;
const HIDDEN: u16 = 1 << 8;
const STRIKE: u16 = 1 << 9;
/// What can be seen where nothing is printed.
const ON_BLANKS: u16 = UNDERLINE | REVERSE | STRIKE;

/// A colour's parameters as they were said; none for the terminal's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Colour {
    bytes: [u8; 18],
    len: u8,
}

impl Colour {
    fn of(bytes: &[u8]) -> Option<Self> {
        let mut out = Self::default();
        out.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        out.len = u8::try_from(bytes.len()).ok()?;
        Some(out)
    }

    fn params(&self, default: &'static [u8]) -> &[u8] {
        let own = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        if own.is_empty() { default } else { own }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Look {
    fg: Colour,
    bg: Colour,
    line: Colour,
    attributes: u16,
}

/// What the terminal shows text as, and what is wanted.
#[derive(Debug, Default)]
pub struct Ink {
    now: Look,
    want: Look,
}

impl Ink {
    /// Takes in the parameters of an SGR sequence; false, and nothing taken, if one is not known here.
    pub fn want(&mut self, params: &[u8]) -> bool {
        let mut look = self.want;
        let mut rest = Some(params);
        while let Some(here) = rest {
            let (first, after) = part(here);
            let Some(number) = number(first) else { return false };
            rest = after;
            match number {
                0 => look = Look::default(),
                1..=5 | 7..=9 => look.attributes |= 1 << number,
                22 => look.attributes &= !(BOLD | DIM),
                23 => look.attributes &= !ITALIC,
                24 => look.attributes &= !UNDERLINE,
                25 => look.attributes &= !BLINK,
                27 => look.attributes &= !REVERSE,
                28 => look.attributes &= !HIDDEN,
                29 => look.attributes &= !STRIKE,
                30..=37 | 90..=97 | 40..=47 | 100..=107 => {
                    let Some(colour) = Colour::of(first) else { return false };
                    if matches!(number, 30..=37 | 90..=97) { look.fg = colour } else { look.bg = colour }
                }
                39 => look.fg = Colour::default(),
                49 => look.bg = Colour::default(),
                59 => look.line = Colour::default(),
                38 | 48 | 58 => {
                    let more = match after.map(|a| part(a).0) {
                        Some(b"5") => 2,
                        Some(b"2") => 4,
                        _ => return false,
                    };
                    for _ in 0..more {
                        let Some(value) = rest else { return false };
                        rest = part(value).1;
                    }
                    // All of it, without the separator that more follows after.
                    let len = here.len() - rest.map_or(0, |r| r.len() + 1);
                    let Some(colour) = Colour::of(&here[..len]) else { return false };
                    match number {
                        38 => look.fg = colour,
                        48 => look.bg = colour,
                        _ => look.line = colour,
                    }
                }
                _ => return false,
            }
        }
        self.want = look;
        true
    }

    /// Says what has to be said before this text.
    pub fn before(&mut self, text: &[u8], out: &mut Vec<u8>) {
        let blank = text.iter().all(|b| *b == b' ');
        if blank && (self.now.attributes | self.want.attributes) & ON_BLANKS == 0 {
            let look = Look { bg: self.want.bg, ..self.now };
            self.say(look, out);
        } else {
            self.say(self.want, out);
        }
    }

    /// Says all that is wanted.
    pub fn all(&mut self, out: &mut Vec<u8>) {
        self.say(self.want, out);
    }

    fn say(&mut self, look: Look, out: &mut Vec<u8>) {
        let now = self.now;
        if look == now {
            return;
        }
        self.now = look;
        if look == Look::default() {
            out.extend_from_slice(b"\x1b[0m");
            return;
        }
        out.extend_from_slice(b"\x1b[");
        let mut say = |param: &[u8]| {
            out.extend_from_slice(param);
            out.push(b';');
        };
        let off = now.attributes & !look.attributes;
        let mut on = look.attributes & !now.attributes;
        if off & (BOLD | DIM) != 0 {
            say(b"22");
            // It ends both.
            on |= look.attributes & (BOLD | DIM);
        }
        for (bit, end) in
            [(ITALIC, b"23"), (UNDERLINE, b"24"), (BLINK, b"25"), (REVERSE, b"27"), (HIDDEN, b"28"), (STRIKE, b"29")]
        {
            if off & bit != 0 {
                say(end);
            }
        }
        for bit in [1, 2, 3, 4, 5, 7, 8, 9] {
            if on & (1 << bit) != 0 {
                say(&[b'0' + bit]);
            }
        }
        for (is, was, default) in
            [(look.fg, now.fg, &b"39"[..]), (look.bg, now.bg, &b"49"[..]), (look.line, now.line, &b"59"[..])]
        {
            if is != was {
                say(is.params(default));
            }
        }
        // Something differs, so there is a separator behind the last one.
        out.pop();
        out.push(b'm');
    }
}

/// The first parameter, and those behind its separator if there is one.
fn part(params: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b';', params) {
        Some(at) => (&params[..at], Some(&params[at + 1..])),
        None => (params, None),
    }
}

fn number(bytes: &[u8]) -> Option<u16> {
    if bytes.is_empty() {
        return Some(0);
    }
    std::str::from_utf8(bytes).ok()?.parse().ok()
}
