//! What the terminal's background is, as it says itself (OSC 11).
//!
//! Nobody waits for the answer: on a slow line that would be long, on a silent one for ever. It comes among the
//! keys, whenever it comes, and is taken out from between them.

use crate::key::{Key, KeyCode};

/// The question.
pub const ASK: &[u8] = b"\x1b]11;?\x1b\\";
/// How the answer goes on after its introducer, which arrives as `alt-]`.
const LEAD: &str = "11;rgb:";
/// The longest answer: four digits for each colour.
const LONGEST: usize = LEAD.len() + 14;

/// Takes the answer out of what is typed.
#[derive(Debug, Default)]
pub struct Ground {
    /// The question is open.
    asked: bool,
    /// What may be the beginning of an answer.
    held: Vec<Key>,
}

/// What a key was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Part of an answer, or nothing that can be told yet.
    Nothing,
    /// Keys, in their order: none of them was part of an answer.
    Keys(Vec<Key>),
    /// The background; true if it is light.
    Light(bool),
}

impl Ground {
    /// Waits for one answer.
    #[must_use]
    pub fn asked() -> Self {
        Self { asked: true, held: Vec::new() }
    }

    /// Looks at a key.
    pub fn hear(&mut self, key: Key) -> Heard {
        if !self.asked {
            return Heard::Keys(vec![key]);
        }
        let ends = (key.ctrl && key.code == KeyCode::Char('g')) || (key.alt && key.code == KeyCode::Char('\\'));
        self.held.push(key);
        let text: String = self.held.iter().skip(1).filter_map(character).collect();
        if ends && let Some(light) = text.strip_prefix(LEAD).and_then(is_light) {
            *self = Self::default();
            return Heard::Light(light);
        }
        let opens = self.held.first().is_some_and(|k| k.alt && k.code == KeyCode::Char(']'));
        let fits = text.len() + 1 == self.held.len() && text.len() <= LONGEST && is_beginning(&text);
        if opens && fits && !ends {
            return Heard::Nothing;
        }
        Heard::Keys(std::mem::take(&mut self.held))
    }
}

/// The character of a key of an answer; nothing of any other.
fn character(key: &Key) -> Option<char> {
    match key.code {
        KeyCode::Char(c) if c.is_ascii() && !key.ctrl && !key.alt => Some(c),
        _ => None,
    }
}

fn is_beginning(text: &str) -> bool {
    match text.strip_prefix(LEAD) {
        Some(colours) => colours.chars().all(|c| c == '/' || c.is_ascii_hexdigit()),
        None => LEAD.starts_with(text),
    }
}

/// `1010/1515/1c1c`, with one to four digits each; nothing of what is no colour.
fn is_light(colours: &str) -> Option<bool> {
    let parts: Vec<f64> = colours
        .split('/')
        .map(|digits| {
            let most = match digits.len() {
                1 => 0xf,
                2 => 0xff,
                3 => 0xfff,
                4 => 0xffff,
                _ => return None,
            };
            Some(f64::from(u32::from_str_radix(digits, 16).ok()?) / f64::from(most))
        })
        .collect::<Option<_>>()?;
    let [red, green, blue] = parts.as_slice() else { return None };
    // As bright as it looks: the eye sees green best.
    Some(0.299 * red + 0.587 * green + 0.114 * blue > 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(c: char) -> Key {
        Key { code: KeyCode::Char(c), ctrl: false, alt: false, shift: c.is_ascii_uppercase() }
    }

    fn alt(c: char) -> Key {
        Key { alt: true, ..key(c) }
    }

    fn answer(colours: &str, end: Key) -> Vec<Key> {
        std::iter::once(alt(']')).chain(format!("11;rgb:{colours}").chars().map(key)).chain([end]).collect()
    }

    fn all(ground: &mut Ground, keys: &[Key]) -> (Vec<Key>, Option<bool>) {
        let (mut out, mut light) = (Vec::new(), None);
        for key in keys {
            match ground.hear(*key) {
                Heard::Nothing => {}
                Heard::Keys(more) => out.extend(more),
                Heard::Light(is) => light = Some(is),
            }
        }
        (out, light)
    }

    #[test]
    fn an_answer_is_taken_out_of_what_is_typed() {
        let bell = Key { ctrl: true, ..key('g') };
        for (colours, end, light) in [
            ("1010/1515/1c1c", alt('\\'), false),
            ("fbfb/fafa/f7f7", alt('\\'), true),
            ("FFFF/FFFF/FFFF", bell, true),
            ("00/2b/36", bell, false),
            ("fdf/6e/e", alt('\\'), true),
        ] {
            let mut ground = Ground::asked();
            let mut keys = vec![key('j')];
            keys.extend(answer(colours, end));
            keys.push(key('k'));
            assert_eq!(all(&mut ground, &keys), (vec![key('j'), key('k')], Some(light)), "{colours}");
            // It is asked once.
            assert_eq!(all(&mut ground, &[alt(']'), key('1')]).0.len(), 2);
        }
    }

    #[test]
    fn what_is_no_answer_is_keys() {
        let escape = Key { code: KeyCode::Esc, ..key(' ') };
        for keys in [
            vec![alt(']'), key('x')],
            vec![alt(']'), key('1'), escape],
            vec![alt(']'), key('1'), key('1'), alt('\\')],
            vec![key('g'), Key { ctrl: true, ..key('g') }],
            answer("10/10", alt('\\')),
            answer("10101/1/1", alt('\\')),
            answer("1/1/1/1/1/1/1/1/1/1/1/1/1", alt('\\')),
            answer("", alt('\\')),
        ] {
            assert_eq!(all(&mut Ground::asked(), &keys), (keys.clone(), None), "{keys:?}");
        }
        let typed = answer("1/1/1", alt('\\'));
        assert_eq!(all(&mut Ground::default(), &typed), (typed.clone(), None), "nobody asked");
    }
}
