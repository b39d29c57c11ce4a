//! The forms of a Prometheus query that can be asked for any window.
//!
//! A verdict needs the same figure over many windows. So a query is a selector,
//! which is wrapped, or it says with `{{.window}}` where the window goes.

use std::ops::Range;

/// What to write instead of anything else.
pub const ADVICE: &str = "a selector of a counter, or `sum(selector)`, with `counter: true`; or a query with \
                          `{{.window}}` where the range goes, such as `sum(increase(x[{{.window}}]))`";

/// A query that can be asked for any window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// A counter, to be wrapped in `sum(increase(SELECTOR[w]))`.
    Counter(Selector),
    /// An expression with a place for the window.
    Template(Template),
}

/// `metric{label="value"}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// The metric; empty when the matchers name it.
    pub metric: String,
    /// What stands between the braces, without a comma at the end; may be empty.
    pub matchers: String,
}

impl Selector {
    /// With one more matcher, such as `le="0.5"`.
    #[must_use]
    pub fn with(&self, matcher: &str) -> Self {
        let joint = if self.matchers.is_empty() { "" } else { "," };
        Self { metric: self.metric.clone(), matchers: format!("{}{joint}{matcher}", self.matchers) }
    }

    /// As it stands in a query.
    #[must_use]
    pub fn text(&self) -> String {
        if self.matchers.is_empty() { self.metric.clone() } else { format!("{}{{{}}}", self.metric, self.matchers) }
    }
}

/// A query with `{{.window}}` in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    /// It gives a rate per second, from which counts are made.
    pub per_second: bool,
}

impl Template {
    /// The query for a window, as in `5m`.
    #[must_use]
    pub fn fill(&self, window: &str) -> String {
        let mut out = String::with_capacity(self.text.len());
        let mut rest = self.text.as_str();
        while let Some(hole) = hole(rest) {
            out.push_str(&rest[..hole.start]);
            out.push_str(window);
            rest = &rest[hole.end..];
        }
        out.push_str(rest);
        out
    }
}

/// What is wrong with a query, and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Bytes of the query.
    pub at: Range<usize>,
    /// What is wrong.
    pub message: String,
}

/// Reads a query.
///
/// # Errors
/// When it is neither a selector of a counter nor has a place for the window.
pub fn read(text: &str, counter: bool) -> Result<Query, Mistake> {
    let text_trimmed = text.trim();
    if text_trimmed.is_empty() {
        return Err(Mistake { at: 0..text.len(), message: "the query is empty".to_owned() });
    }
    if hole(text).is_some() {
        return template(text).map(Query::Template);
    }
    let selector = selector_or_sum(text)?;
    if !counter {
        let message = "a selector can only be counted when it is a counter: `counter: true` is missing".to_owned();
        return Err(Mistake { at: 0..text.len(), message });
    }
    Ok(Query::Counter(selector))
}

/// A query that gives the same over every window: an expression with a range of its own. `None` when
/// there is none in it, or brackets do not fit.
#[must_use]
pub fn fixed(text: &str) -> Option<Template> {
    let has_range = text.contains('[') && hole(text).is_none();
    has_range.then(|| template(text).ok()).flatten()
}

/// A query with holes; brackets are only counted, for Prometheus knows its language best.
fn template(text: &str) -> Result<Template, Mistake> {
    let mut open = Vec::new();
    let mut rest = 0;
    while let Some(c) = text[rest..].chars().next() {
        if let Some(hole) = hole(&text[rest..]).filter(|h| h.start == 0) {
            rest += hole.end;
            continue;
        }
        match c {
            '"' | '\'' | '`' => rest = string_end(text, rest)?,
            '(' | '[' | '{' => {
                open.push((c, rest));
                rest += 1;
            }
            ')' | ']' | '}' => {
                let fits =
                    matches!((open.pop(), c), (Some(('(', _)), ')') | (Some(('[', _)), ']') | (Some(('{', _)), '}'));
                if !fits {
                    return Err(Mistake { at: rest..rest + 1, message: format!("nothing opens this `{c}`") });
                }
                rest += 1;
            }
            c => rest += c.len_utf8(),
        }
    }
    if let Some((c, at)) = open.pop() {
        return Err(Mistake { at: at..at + 1, message: format!("nothing closes this `{c}`") });
    }
    let per_second = calls(text, "rate") && !calls(text, "increase");
    Ok(Template { text: text.trim().to_owned(), per_second })
}

/// Whether a function of this name is called: `rate(`, but not `my_rate(`.
fn calls(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(i, _)| {
        let before = text[..i].chars().next_back();
        let after = text[i + name.len()..].trim_start().starts_with('(');
        after && !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

/// The first `{{.window}}`, spaces allowed inside.
fn hole(text: &str) -> Option<Range<usize>> {
    text.match_indices("{{").find_map(|(start, _)| {
        let inside = &text[start + 2..];
        let end = inside.find("}}")?;
        (inside[..end].trim() == ".window").then_some(start..start + 2 + end + 2)
    })
}

/// `SELECTOR`, `sum(SELECTOR)`, `sum by (x) (SELECTOR)` or `sum(SELECTOR) by (x)`. Groups do not
/// matter: all of it is added up.
fn selector_or_sum(text: &str) -> Result<Selector, Mistake> {
    let mut s = Scanner { text, at: 0 };
    s.space();
    let start = s.at;
    let word = s.word();
    let grouped = |s: &mut Scanner<'_>| -> Result<(), Mistake> {
        let at = s.at;
        if matches!(s.word(), "by" | "without") {
            s.space();
            s.until_closed('(', ')')?;
            s.space();
        } else {
            s.at = at;
        }
        Ok(())
    };
    s.space();
    let call = matches!(s.peek(), Some('(')) || (word == "sum" && matches!(s.peek(), Some('b' | 'w')));
    let selector = if word == "sum" && call {
        grouped(&mut s)?;
        s.expect('(')?;
        s.space();
        let inner = s.at;
        let name = s.word();
        let selector = s.selector(inner, name)?;
        s.expect(')')?;
        s.space();
        grouped(&mut s)?;
        selector
    } else if call {
        return Err(own_range(start, word));
    } else {
        s.selector(start, word)?
    };
    s.space();
    if s.at < text.len() {
        let message = "the query goes on after the selector: it cannot be asked for another window".to_owned();
        return Err(Mistake { at: s.at..text.trim_end().len().max(s.at + 1), message });
    }
    Ok(selector)
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scanner<'t> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn space(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    /// A name; empty when there is none.
    fn word(&mut self) -> &'t str {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))).unwrap_or(rest.len());
        let end = if rest.starts_with(|c: char| c.is_ascii_digit()) { 0 } else { end };
        self.at += end;
        &rest[..end]
    }

    fn expect(&mut self, wanted: char) -> Result<(), Mistake> {
        self.space();
        if self.peek() == Some(wanted) {
            self.at += wanted.len_utf8();
            return Ok(());
        }
        let (at, message) = match self.peek() {
            Some('[') => (self.at..self.text.len(), "a fixed range cannot be asked for another window".to_owned()),
            Some(c) => (self.at..self.at + c.len_utf8(), format!("`{c}` stands where `{wanted}` belongs")),
            None => (self.text.len()..self.text.len(), format!("`{wanted}` is missing at the end")),
        };
        Err(Mistake { at, message })
    }

    /// What the brackets that open here hold.
    fn until_closed(&mut self, open: char, close: char) -> Result<&'t str, Mistake> {
        self.expect(open)?;
        let start = self.at;
        while let Some(c) = self.peek() {
            match c {
                c if c == close => {
                    let inside = &self.text[start..self.at];
                    self.at += c.len_utf8();
                    return Ok(inside);
                }
                '"' | '\'' | '`' => self.at = string_end(self.text, self.at)?,
                c => self.at += c.len_utf8(),
            }
        }
        Err(Mistake { at: start - open.len_utf8()..start, message: format!("nothing closes this `{open}`") })
    }

    /// The rest of a selector whose name is read already.
    fn selector(&mut self, start: usize, metric: &str) -> Result<Selector, Mistake> {
        self.space();
        if self.peek() == Some('(') && !metric.is_empty() {
            return Err(own_range(start, metric));
        }
        let matchers = if self.peek() == Some('{') { self.until_closed('{', '}')? } else { "" };
        let matchers = matchers.trim().trim_end_matches(',').trim_end().to_owned();
        if metric.is_empty() && matchers.is_empty() {
            let end = self.text[start..].chars().next().map_or(start, |c| start + c.len_utf8());
            return Err(Mistake { at: start..end, message: "no selector of a metric begins here".to_owned() });
        }
        if self.peek() == Some('[') {
            let at = self.at..self.text.len();
            return Err(Mistake { at, message: "a fixed range cannot be asked for another window".to_owned() });
        }
        Ok(Selector { metric: metric.to_owned(), matchers })
    }
}

fn own_range(start: usize, function: &str) -> Mistake {
    let message = format!("`{function}(...)` has a range of its own, or none: it cannot be asked for another window");
    Mistake { at: start..start + function.len(), message }
}

/// Where the string that begins at `start` ends.
fn string_end(text: &str, start: usize) -> Result<usize, Mistake> {
    let quote = text[start..].chars().next().unwrap_or('"');
    let mut chars = text[start + 1..].char_indices();
    while let Some((i, c)) = chars.next() {
        if c == quote {
            return Ok(start + 1 + i + 1);
        }
        if c == '\\' && quote != '`' {
            chars.next();
        }
    }
    Err(Mistake { at: start..text.len(), message: "this string does not end".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_taken_out_of_their_sum() {
        for (text, want) in [
            ("up", "up"),
            (
                "  http_requests_total{job=\"checkout\",code=~\"5..\"} ",
                "http_requests_total{job=\"checkout\",code=~\"5..\"}",
            ),
            ("sum(x{a=\"}\"})", "x{a=\"}\"}"),
            ("sum by (job, le) (x{a='\\'}'})", "x{a='\\'}'}"),
            ("sum(x) without(pod)", "x"),
            ("sum", "sum"),
            ("{__name__=\"a.b\", c=\"d\",}", "{__name__=\"a.b\", c=\"d\"}"),
            ("a:b:c", "a:b:c"),
        ] {
            match read(text, true) {
                Ok(Query::Counter(s)) => assert_eq!(s.text(), want),
                other => panic!("{text}: {other:?}"),
            }
        }
        assert!(read("up", false).unwrap_err().message.contains("counter: true"));
    }

    #[test]
    fn anything_else_is_refused_where_it_goes_wrong() {
        for (text, at, word) in [
            ("rate(x[5m])", "rate", "range of its own"),
            ("sum(rate(x[5m]))", "rate", "range of its own"),
            ("x[5m]", "[5m]", "fixed range"),
            ("sum(x[5m])", "[5m])", "fixed range"),
            ("x / y", "/ y", "goes on"),
            ("x{a=\"b}", "\"b}", "does not end"),
            ("x{a=\"b\"", "{", "nothing closes"),
            ("1", "1", "no selector"),
            ("sum(x", "", "missing at the end"),
            ("", "", "empty"),
            ("increase(x[{{.window}}]", "(", "nothing closes"),
            ("increase(x[{{.window}}]))", ")", "nothing opens"),
        ] {
            let e = read(text, true).unwrap_err();
            assert!(e.message.contains(word), "{text}: {e:?}");
            assert_eq!(&text[e.at.clone()], at, "{text}: {e:?}");
        }
    }

    #[test]
    fn windows_go_into_their_places() {
        let Ok(Query::Template(t)) = read("sum(increase(x{a=\"{{b}}\"}[{{.window}}])) + y[{{ .window }}]", false)
        else {
            panic!()
        };
        assert_eq!(t.fill("5m"), "sum(increase(x{a=\"{{b}}\"}[5m])) + y[5m]");
        assert!(!t.per_second);
        let Ok(Query::Template(t)) = read("sum(rate(x[{{.window}}]))", false) else { panic!() };
        assert!(t.per_second);
        let Ok(Query::Template(t)) = read("my_rate(x[{{.window}}])", false) else { panic!() };
        assert!(!t.per_second);
    }
}
