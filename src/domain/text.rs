//! Text from elsewhere, cleaned where it enters.
//!
//! Names, messages, labels and log lines come from machines that may be
//! hostile. [`Text`] can only be made by cleaning, so whatever holds one may be
//! drawn: no control character, no escape sequence, no bidirectional override.

use std::borrow::{Borrow, Cow};
use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// True for characters that may change a terminal's state, reorder what is
/// read, or hide text: C0 and C1 controls, bidirectional controls, zero-width
/// and other invisible formatting characters, line and paragraph separators.
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    matches!(c,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{61c}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

/// Removes escape sequences and unsafe characters; tabs and line breaks become
/// one space each. Text that is clean already is returned without a copy.
#[must_use]
pub fn clean(raw: &str) -> Cow<'_, str> {
    // The common case is short printable ASCII: one pass, no allocation.
    if raw.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Cow::Borrowed(raw);
    }
    if !raw.chars().any(is_unsafe) {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_csi(&mut chars),
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => skip_string(&mut chars),
            '\t' | '\n' | '\r' | '\u{2028}' | '\u{2029}' => out.push(' '),
            c if is_unsafe(c) => {}
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// After ESC: a CSI sequence, a string sequence (OSC, DCS, APC, PM, SOS), or a
/// short escape with optional intermediates.
fn skip_escape(chars: &mut Chars<'_>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            skip_csi(chars);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            chars.next();
            skip_string(chars);
        }
        Some(' '..='/') => {
            while matches!(chars.peek(), Some(' '..='/')) {
                chars.next();
            }
            if matches!(chars.peek(), Some('0'..='~')) {
                chars.next();
            }
        }
        Some('0'..='~') => {
            chars.next();
        }
        _ => {}
    }
}

/// Parameters and intermediates up to the final byte `@`..`~`. Anything that
/// does not belong to a sequence ends it and stays.
fn skip_csi(chars: &mut Chars<'_>) {
    while let Some(&c) = chars.peek() {
        match c {
            ' '..='?' => {
                chars.next();
            }
            '@'..='~' => {
                chars.next();
                return;
            }
            _ => return,
        }
    }
}

/// Up to BEL or ST. A string that never ends takes the rest of its line with
/// it, as a terminal would do.
fn skip_string(chars: &mut Chars<'_>) {
    while let Some(&c) = chars.peek() {
        if c == '\n' {
            return;
        }
        chars.next();
        match c {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' if chars.peek() == Some(&'\\') => {
                chars.next();
                return;
            }
            _ => {}
        }
    }
}

/// Cleaned, shared, immutable text. Cloning costs a reference count.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Text(Arc<str>);

impl Text {
    /// Cleans `raw` (see [`clean`]).
    #[must_use]
    pub fn new(raw: &str) -> Self {
        Self(Arc::from(clean(raw).as_ref()))
    }

    /// The empty text.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The text, safe to draw.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        // Clusters and namespaces are shared: most comparisons of identities end here.
        if Arc::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { self.0.cmp(&other.0) }
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Default for Text {
    fn default() -> Self {
        thread_local! {
            static EMPTY: Arc<str> = Arc::from("");
        }
        Self(EMPTY.with(Arc::clone))
    }
}

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Text {
    fn from(raw: &str) -> Self {
        Self::new(raw)
    }
}

impl From<String> for Text {
    fn from(raw: String) -> Self {
        Self::new(&raw)
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl serde::Serialize for Text {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        <Cow<'_, str>>::deserialize(d).map(|raw| Self::new(&raw))
    }
}

/// An object's labels, sorted by key. The pods of one `ReplicaSet` carry the
/// same set, so the set as a whole is shared.
pub type Labels = Arc<[(Text, Text)]>;

/// Hands out one shared copy of each text and each label set. One per source:
/// it lives where objects are projected to rows, and is not shared by threads.
#[derive(Debug, Default)]
pub struct Interner {
    texts: HashSet<Text>,
    labels: HashSet<Labels>,
    /// Sweep when the sets have grown past this many entries.
    sweep_at: usize,
}

impl Interner {
    /// The shared copy of `raw`, cleaned.
    pub fn text(&mut self, raw: &str) -> Text {
        let cleaned = clean(raw);
        if let Some(found) = self.texts.get(cleaned.as_ref()) {
            return found.clone();
        }
        self.sweep_if_grown();
        let text = Text(Arc::from(cleaned.as_ref()));
        self.texts.insert(text.clone());
        text
    }

    /// The shared copy of a label set; sorts it by key.
    pub fn labels<'a>(&mut self, raw: impl IntoIterator<Item = (&'a str, &'a str)>) -> Labels {
        let mut pairs: Vec<(Text, Text)> = raw.into_iter().map(|(k, v)| (self.text(k), self.text(v))).collect();
        pairs.sort();
        let set: Labels = Arc::from(pairs);
        if let Some(found) = self.labels.get(&set) {
            return Arc::clone(found);
        }
        self.labels.insert(Arc::clone(&set));
        set
    }

    /// Forgets what nobody but the interner holds any more, so that names of
    /// pods long gone do not pile up.
    fn sweep_if_grown(&mut self) {
        if self.texts.len() < self.sweep_at.max(4096) {
            return;
        }
        self.labels.retain(|l| Arc::strong_count(l) > 1);
        self.texts.retain(|t| Arc::strong_count(&t.0) > 1);
        self.sweep_at = self.texts.len().saturating_mul(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escape_sequences_go_whole() {
        assert_eq!(clean("a\u{1b}[31mred\u{1b}[0m b"), "ared b");
        assert_eq!(clean("x\u{1b}]0;title\u{7}y"), "xy");
        assert_eq!(clean("x\u{1b}]8;;http://h\u{1b}\\link\u{1b}]8;;\u{1b}\\y"), "xlinky");
        assert_eq!(clean("x\u{9b}2Jy"), "xy");
        assert_eq!(clean("x\u{1b}(By"), "xy");
        assert_eq!(clean("a\u{1b}"), "a");
        assert_eq!(clean("one\ntwo\tthree"), "one two three");
        assert_eq!(clean("abc\u{202e}fed"), "abcfed");
        assert_eq!(clean("zero\u{200b}width"), "zerowidth");
        assert_eq!(clean("naïve 日本 ✓"), "naïve 日本 ✓");
    }

    #[test]
    fn clean_text_is_not_copied() {
        assert!(matches!(clean("plain"), Cow::Borrowed(_)));
        assert!(matches!(clean("größe"), Cow::Borrowed(_)));
    }

    #[test]
    fn the_interner_shares_and_forgets() {
        let mut interner = Interner::default();
        let one = interner.text("payments");
        let two = interner.text("payments");
        assert!(Arc::ptr_eq(&one.0, &two.0));
        let labels = interner.labels([("b", "2"), ("a", "1")]);
        assert!(Arc::ptr_eq(&labels, &interner.labels([("a", "1"), ("b", "2")])));
        for i in 0..50_000 {
            interner.text(&format!("gone-{i}"));
        }
        assert!(interner.texts.len() < 10_000, "{} texts are held", interner.texts.len());
        assert!(interner.texts.contains("payments"));
    }

    proptest! {
        #[test]
        fn nothing_unsafe_survives(raw in any::<String>()) {
            prop_assert!(!clean(&raw).chars().any(is_unsafe));
        }

        #[test]
        fn nothing_unsafe_survives_escape_soup(parts in prop::collection::vec(
            prop_oneof![Just("\u{1b}["), Just("\u{1b}]"), Just("\u{9b}"), Just("31m"), Just("\u{7}"),
                Just("\u{1b}\\"), Just("text"), Just("\u{202e}"), Just("\n"), Just("\u{90}"), Just("é")], 0..40)) {
            let raw: String = parts.concat();
            prop_assert!(!clean(&raw).chars().any(is_unsafe));
        }

        #[test]
        fn cleaning_twice_changes_nothing(raw in any::<String>()) {
            let once = clean(&raw).into_owned();
            prop_assert_eq!(clean(&once).into_owned(), once);
        }

        #[test]
        fn printable_text_is_kept(raw in "[a-zA-Z0-9 äöü日本.-]{0,60}") {
            prop_assert_eq!(clean(&raw), raw.as_str());
        }
    }
}
