//! One grammar for keys: in keymap files, on screen and in docs.

use std::fmt;
use std::str::FromStr;

/// Where keys mean something. A context inherits what its parent binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Context {
    /// Everywhere.
    Global,
    /// Any list of rows, the map included.
    Table,
    /// A list whose selected row is a node.
    Node,
    /// A list whose selected row is a task.
    Task,
    /// A list whose selected row is a workload.
    Workload,
    /// A list whose selected row is an alarm.
    Alarm,
    /// The list of notices.
    Notice,
    /// Read-only text: describe, YAML, help, errors.
    Text,
    /// The log view.
    Logs,
    /// The page of an action, and the list of them.
    Action,
    /// A runbook.
    Runbook,
}

impl Context {
    /// Every context, in the order help shows them.
    pub const ALL: [Self; 11] = [
        Self::Global,
        Self::Table,
        Self::Node,
        Self::Task,
        Self::Workload,
        Self::Alarm,
        Self::Notice,
        Self::Text,
        Self::Logs,
        Self::Action,
        Self::Runbook,
    ];

    /// Its name: the table in keymap files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Table => "table",
            Self::Node => "node",
            Self::Task => "task",
            Self::Workload => "workload",
            Self::Alarm => "alarm",
            Self::Notice => "notice",
            Self::Text => "text",
            Self::Logs => "logs",
            Self::Action => "action",
            Self::Runbook => "runbook",
        }
    }

    /// The context whose bindings it inherits.
    #[must_use]
    pub fn parent(self) -> Option<Self> {
        match self {
            Self::Global => None,
            Self::Node | Self::Task | Self::Workload | Self::Alarm => Some(Self::Table),
            // What is going to go is a machine, mostly.
            Self::Notice => Some(Self::Node),
            Self::Runbook => Some(Self::Text),
            Self::Table | Self::Text | Self::Logs | Self::Action => Some(Self::Global),
        }
    }
}

/// A key without its modifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyCode {
    /// A printable character, as typed: `G` is `Char('G')` without shift.
    Char(char),
    /// Enter.
    Enter,
    /// Escape.
    Esc,
    /// Tab.
    Tab,
    /// Shift-tab, as terminals report it.
    BackTab,
    /// Backspace.
    Backspace,
    /// Delete.
    Delete,
    /// Insert.
    Insert,
    /// Arrow.
    Up,
    /// Arrow.
    Down,
    /// Arrow.
    Left,
    /// Arrow.
    Right,
    /// Home.
    Home,
    /// End.
    End,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// F1 to F24.
    F(u8),
}

/// One key press: `ctrl-f`, `shift-left`, `G`, `space`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Which key.
    pub code: KeyCode,
    /// Control held.
    pub ctrl: bool,
    /// Alt held.
    pub alt: bool,
    /// Shift held; never set for characters, where it is part of the character.
    pub shift: bool,
}

/// A key that is not one, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` is not a key: {reason}")]
pub struct KeyError {
    /// What was written.
    pub key: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The names of keys that are not characters; the first name of each is the
/// one printed.
const NAMES: &[(&str, KeyCode)] = &[
    ("enter", KeyCode::Enter),
    ("return", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("escape", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("backspace", KeyCode::Backspace),
    ("delete", KeyCode::Delete),
    ("del", KeyCode::Delete),
    ("insert", KeyCode::Insert),
    ("ins", KeyCode::Insert),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("page-up", KeyCode::PageUp),
    ("pgup", KeyCode::PageUp),
    ("page-down", KeyCode::PageDown),
    ("pgdn", KeyCode::PageDown),
    ("space", KeyCode::Char(' ')),
    ("minus", KeyCode::Char('-')),
];

/// What a key may be, for messages.
pub const KEY_GRAMMAR: &str = "a character, `space`, `enter`, `esc`, `tab`, `backspace`, `delete`, `insert`, an arrow such as `up`, \
     `home`, `end`, `page-up`, `page-down`, `f1` to `f24`; before it `ctrl-`, `alt-`, `shift-`; keys of a sequence apart by spaces";

impl Key {
    /// A key without modifiers.
    #[must_use]
    pub const fn plain(code: KeyCode) -> Self {
        Self { code, ctrl: false, alt: false, shift: false }
    }

    /// A character as typed.
    #[must_use]
    pub const fn char(c: char) -> Self {
        Self::plain(KeyCode::Char(c))
    }

    /// A character with control held.
    #[must_use]
    pub const fn ctrl(c: char) -> Self {
        Self { code: KeyCode::Char(c), ctrl: true, alt: false, shift: false }
    }

    /// The one way to write this key: terminals report the same press in
    /// several ways, and people write it in several ways. Keys from the
    /// terminal and from files both pass through here before they are compared.
    ///
    /// - shift and a letter is the capital; shift and another character is that
    ///   character, since terminals report what shift made of it;
    /// - control and a capital is control and the letter: terminals cannot tell;
    /// - `ctrl-4` to `ctrl-7` are `ctrl-\`, `ctrl-]`, `ctrl-^`, `ctrl-_`: one byte each
    ///   on the wire, which is read back as a digit;
    /// - shift and tab is [`KeyCode::BackTab`].
    #[must_use]
    pub fn canonical(mut self) -> Self {
        match self.code {
            KeyCode::Char(c) => {
                let mut c = c;
                if self.ctrl {
                    c = match c.to_ascii_lowercase() {
                        '4' => '\\',
                        '5' => ']',
                        '6' => '^',
                        '7' => '_',
                        '@' | '2' => ' ',
                        c => c,
                    };
                } else if self.shift {
                    let mut upper = c.to_uppercase();
                    if let (Some(one), None) = (upper.next(), upper.next()) {
                        c = one;
                    }
                }
                self.shift = false;
                self.code = KeyCode::Char(c);
            }
            KeyCode::Tab if self.shift => {
                self.code = KeyCode::BackTab;
                self.shift = false;
            }
            KeyCode::BackTab => self.shift = false,
            _ => {}
        }
        self
    }

    /// What terminals send this key as when it is not itself: `ctrl-i` arrives as
    /// `tab`, and a binding of it never fires.
    #[must_use]
    pub fn arrives_as(self) -> Option<Self> {
        if !self.ctrl {
            return None;
        }
        let code = match self.code {
            KeyCode::Char('i') => KeyCode::Tab,
            KeyCode::Char('m' | 'j') => KeyCode::Enter,
            KeyCode::Char('h') => KeyCode::Backspace,
            KeyCode::Char('[') => KeyCode::Esc,
            _ => return None,
        };
        Some(Self { code, ctrl: false, ..self })
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(s: &str) -> Result<Self, KeyError> {
        let fail = |reason: &str| Err(KeyError { key: s.to_owned(), reason: reason.to_owned() });
        let (mut ctrl, mut alt, mut shift) = (false, false, false);
        let mut rest = s;
        // A lone `-` is the key itself, also after a modifier: `ctrl--`.
        while let Some((modifier, after)) = rest.split_once('-') {
            if after.is_empty() {
                break;
            }
            let flag = match modifier.to_ascii_lowercase().as_str() {
                "ctrl" | "c" | "control" => &mut ctrl,
                "alt" | "a" | "meta" => &mut alt,
                "shift" | "s" => &mut shift,
                _ => break,
            };
            if std::mem::replace(flag, true) {
                return fail("a modifier stands twice");
            }
            rest = after;
        }
        let mut chars = rest.chars();
        let code = match (chars.next(), chars.next()) {
            (None, _) => return fail("it is empty"),
            (Some(c), None) if c.is_control() || c.is_whitespace() => {
                return fail("write its name, such as `space` or `tab`");
            }
            (Some(c), None) => KeyCode::Char(c),
            _ => match named(&rest.to_ascii_lowercase()) {
                Some(code) => code,
                None => return fail("there is no key of that name"),
            },
        };
        if let KeyCode::Char(c) = code
            && shift
        {
            if ctrl {
                return fail("terminals cannot tell ctrl with shift from ctrl alone");
            }
            if !c.is_alphabetic() {
                return fail("write the character that shift makes, such as `!` for shift and 1");
            }
        }
        Ok(Self { code, ctrl, alt, shift }.canonical())
    }
}

/// The key called `name`, in lower case.
fn named(name: &str) -> Option<KeyCode> {
    if name == "backtab" {
        return Some(KeyCode::BackTab);
    }
    if let Some(n) = name.strip_prefix('f').and_then(|n| n.parse().ok()).filter(|n| (1..=24).contains(n)) {
        return Some(KeyCode::F(n));
    }
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, code)| *code)
}

/// As keymap files write it; parses back to the same key.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = String::new();
        for (held, prefix) in [(self.ctrl, "ctrl-"), (self.alt, "alt-"), (self.shift, "shift-")] {
            if held {
                s.push_str(prefix);
            }
        }
        match self.code {
            KeyCode::Char('-') => s.push('-'),
            KeyCode::F(n) => s = format!("{s}f{n}"),
            KeyCode::BackTab => s.push_str("shift-tab"),
            code => match (NAMES.iter().find(|(_, known)| *known == code), code) {
                (Some((name, _)), _) => s.push_str(name),
                (None, KeyCode::Char(c)) => s.push(c),
                (None, _) => {}
            },
        }
        f.pad(&s)
    }
}

/// Parses keys apart by spaces: `space g`, `ctrl-x z`.
///
/// # Errors
/// When there is no key, or one of them is not a key.
pub fn parse_sequence(s: &str) -> Result<Vec<Key>, KeyError> {
    let keys: Vec<Key> = s.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    if keys.is_empty() {
        let reason = if s.is_empty() { "it is empty" } else { "write `space` for the space bar" };
        return Err(KeyError { key: s.to_owned(), reason: reason.to_owned() });
    }
    Ok(keys)
}

/// Keys as [`parse_sequence`] reads them.
#[must_use]
pub fn format_sequence(keys: &[Key]) -> String {
    keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn written_as_printed() {
        for s in [
            "j",
            "G",
            "ctrl-f",
            "shift-left",
            "space",
            "ctrl-space",
            "ctrl-\\",
            "f5",
            ",",
            ":",
            "-",
            "ctrl--",
            "shift-tab",
            "alt-x",
            "ctrl-alt-z",
            "page-down",
            "esc",
            "é",
            "f24",
            "<",
            "!",
            "0",
            "alt-N",
        ] {
            assert_eq!(s.parse::<Key>().map(|k| k.to_string()).as_deref(), Ok(s));
        }
    }

    #[test]
    fn several_ways_to_write_one_key() {
        for (s, want) in [
            ("shift-n", "N"),
            ("Shift-N", "N"),
            ("ctrl-F", "ctrl-f"),
            ("C-f", "ctrl-f"),
            ("escape", "esc"),
            ("return", "enter"),
            ("pgdn", "page-down"),
            ("backtab", "shift-tab"),
            ("minus", "-"),
            ("ctrl-4", "ctrl-\\"),
            ("ctrl-@", "ctrl-space"),
            ("F5", "f5"),
            ("shift-ä", "Ä"),
        ] {
            assert_eq!(s.parse::<Key>().map(|k| k.to_string()).as_deref(), Ok(want), "{s}");
        }
    }

    #[test]
    fn what_is_not_a_key() {
        for (s, reason) in [
            ("", "empty"),
            ("ctrl-ctrl-x", "twice"),
            ("hyper-x", "no key of that name"),
            ("f25", "no key of that name"),
            ("f0", "no key of that name"),
            ("ctrl-shift-x", "cannot tell"),
            ("shift-1", "that shift makes"),
            ("\u{7}", "its name"),
        ] {
            let e = s.parse::<Key>().unwrap_err();
            assert!(e.reason.contains(reason), "{s}: {e}");
        }
        assert!(parse_sequence(" ").unwrap_err().reason.contains("space bar"));
    }

    #[test]
    fn as_terminals_report_them() {
        let key = |code, ctrl, shift| Key { code, ctrl, alt: false, shift }.canonical();
        assert_eq!(key(KeyCode::Char('4'), true, false), Key::ctrl('\\'));
        assert_eq!(key(KeyCode::Char('N'), false, true), Key::char('N'));
        assert_eq!(key(KeyCode::Char('!'), false, true), Key::char('!'));
        assert_eq!(key(KeyCode::BackTab, false, true), Key::plain(KeyCode::BackTab));
        assert_eq!(Key::ctrl('i').arrives_as(), Some(Key::plain(KeyCode::Tab)));
    }

    #[test]
    fn sequences() {
        let keys = parse_sequence("space  g").unwrap();
        assert_eq!(keys, [Key::char(' '), Key::char('g')]);
        assert_eq!(format_sequence(&keys), "space g");
    }

    proptest! {
        #[test]
        fn whatever_parses_prints_to_itself(s in "(ctrl-|alt-|shift-){0,2}(\\PC|[a-z]{1,5}|f[0-9]{1,2})") {
            if let Ok(key) = s.parse::<Key>() {
                prop_assert_eq!(key.to_string().parse::<Key>(), Ok(key));
            }
        }
    }
}
