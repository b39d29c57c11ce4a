//! Lines of text with meaning but without colour: what a view hands to
//! whatever draws it.

use super::{Accent, Health, Text};

/// What a piece of text means. Whoever draws decides how that looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// Less important.
    Dim,
    /// Stands out.
    Strong,
    /// A heading.
    Title,
    /// A field's name.
    Key,
    /// A quoted or free string.
    String,
    /// A number.
    Number,
    /// A health.
    Health(Health),
    /// Which cluster.
    Cluster,
    /// A production cluster.
    Production,
    /// A cluster that was given a colour; true if it is production.
    Accent(Accent, bool),
    /// The word that says that a cluster is production, in the colour that it was given.
    Badge(Option<Accent>),
    /// Spot capacity.
    Spot,
    /// A time stamp.
    Time,
    /// One of several sources, by number.
    Source(u8),
    /// A gauge or sparkline in its calm, busy or full range.
    Gauge(u8),
    /// What the user searched for.
    Match,
    /// The match that was gone to.
    Found,
    /// An error.
    Error,
    /// A warning.
    Warning,
    /// ANSI colour 0-15 that the text itself asked for.
    Ansi(u8),
}

/// A run of text of one tone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Span {
    /// The text, already clean.
    pub text: String,
    /// What it means.
    pub tone: Tone,
}

/// A line of spans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// Left to right.
    pub spans: Vec<Span>,
}

impl Line {
    /// An empty line.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a run.
    #[must_use]
    pub fn with(mut self, text: impl Into<String>, tone: Tone) -> Self {
        self.push(text, tone);
        self
    }

    /// Appends a run.
    pub fn push(&mut self, text: impl Into<String>, tone: Tone) {
        self.spans.push(Span { text: text.into(), tone });
    }

    /// The text without tones.
    #[must_use]
    pub fn text(&self) -> String {
        self.spans.iter().map(|s| s.text.as_str()).collect()
    }
}

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        Self::new().with(text, Tone::Plain)
    }
}

/// A log line as it came: SGR colours become tones, everything else that is not
/// text is dropped. Nothing of it can reach the terminal as an escape.
#[must_use]
pub fn parse_sgr(raw: &str) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut tone = Tone::Plain;
    let mut rest = raw;
    let mut push = |text: &str, tone: Tone| {
        let text = Text::new(text);
        if text.is_empty() {
            return;
        }
        match spans.last_mut() {
            Some(last) if last.tone == tone => last.text.push_str(&text),
            _ => spans.push(Span { text: text.to_string(), tone }),
        }
    };
    while let Some(at) = rest.find("\u{1b}[") {
        let after = &rest[at + 2..];
        let end = after.find(|c: char| !matches!(c, '0'..='9' | ';' | ':')).unwrap_or(after.len());
        if !after[end..].starts_with('m') {
            // Some other sequence: cleaning takes it away with the text around it.
            let Some(next) = after.find('\u{1b}') else { break };
            push(&rest[..at + 2 + next], tone);
            rest = &rest[at + 2 + next..];
            continue;
        }
        push(&rest[..at], tone);
        tone = sgr(&after[..end], tone);
        rest = &after[end + 1..];
    }
    push(rest, tone);
    spans
}

/// The tone after an SGR sequence: the foreground colour, or bold; backgrounds
/// and 24-bit colours are left out, they fight with the theme.
fn sgr(parameters: &str, mut tone: Tone) -> Tone {
    let mut numbers = parameters.split([';', ':']).map(|n| n.parse::<u8>().unwrap_or(0));
    while let Some(n) = numbers.next() {
        match n {
            0 | 39 => tone = Tone::Plain,
            1 if tone == Tone::Plain => tone = Tone::Strong,
            2 if tone == Tone::Plain => tone = Tone::Dim,
            22 if matches!(tone, Tone::Strong | Tone::Dim) => tone = Tone::Plain,
            30..=37 => tone = Tone::Ansi(n - 30),
            90..=97 => tone = Tone::Ansi(n - 82),
            38 | 48 => {
                let indexed = numbers.next() == Some(5);
                let first = numbers.next();
                if !indexed {
                    numbers.next();
                    numbers.next();
                } else if let (38, Some(c @ 0..=15)) = (n, first) {
                    tone = Tone::Ansi(c);
                }
            }
            _ => {}
        }
    }
    tone
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::text::is_unsafe;
    use proptest::prelude::*;

    #[test]
    fn colours_become_tones() {
        let spans = parse_sgr("a \u{1b}[31mred\u{1b}[0m \u{1b}[1;92mgreen\u{1b}[m b\u{1b}[2Kc");
        let tones: Vec<_> = spans.iter().map(|s| (s.text.as_str(), s.tone)).collect();
        assert_eq!(
            tones,
            [
                ("a ", Tone::Plain),
                ("red", Tone::Ansi(1)),
                (" ", Tone::Plain),
                ("green", Tone::Ansi(10)),
                (" bc", Tone::Plain)
            ]
        );
    }

    proptest! {
        #[test]
        fn nothing_unsafe_survives(parts in prop::collection::vec(
            prop_oneof![Just("\u{1b}["), Just("31m"), Just("\u{1b}[0m"), Just("\u{1b}]0;"), Just("\u{7}"), Just("x"), Just("\u{202e}"), Just("é")], 0..30)) {
            let raw: String = parts.concat();
            for span in parse_sgr(&raw) {
                prop_assert!(!span.text.chars().any(is_unsafe));
            }
        }
    }
}
