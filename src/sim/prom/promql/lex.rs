//! From text to tokens.

use super::Error;
use super::data::Ms;

#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// A name, a keyword, a function.
    Word(String),
    Number(f64),
    Span(Ms),
    Text(String),
    /// `(`, `==`, `=~` and so on.
    Sign(&'static str),
}

const SIGNS: [&str; 24] = [
    "==", "!=", "=~", "!~", ">=", "<=", "(", ")", "{", "}", "[", "]", ",", ":", "=", "+", "-", "*", "/", "%", "^", ">",
    "<", "@",
];

/// Tokens, each with its place in bytes.
pub fn lex(text: &str) -> Result<Vec<(Token, usize)>, Error> {
    let mut out = Vec::new();
    let mut at = 0;
    // Within brackets, a colon is a subquery's and no part of a name.
    let mut brackets = 0_usize;
    while let Some(c) = text[at..].chars().next() {
        if c.is_whitespace() {
            at += c.len_utf8();
        } else if c == '#' {
            at += text[at..].find('\n').unwrap_or(text.len() - at);
        } else if matches!(c, '"' | '\'' | '`') {
            let (value, length) =
                quoted(&text[at..], c).ok_or_else(|| wrong(text, at, "unterminated quoted string"))?;
            out.push((Token::Text(value), at));
            at += length;
        } else if c.is_ascii_digit() || (c == '.' && text[at + 1..].starts_with(|c: char| c.is_ascii_digit())) {
            let (token, length) = number(&text[at..]).ok_or_else(|| wrong(text, at, "bad number or duration"))?;
            out.push((token, at));
            at += length;
        } else if c.is_ascii_alphabetic() || c == '_' || (c == ':' && brackets == 0) {
            let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || (c == ':' && brackets == 0);
            let length = text[at..].find(|c: char| !part(c)).unwrap_or(text.len() - at);
            out.push((word(&text[at..at + length]), at));
            at += length;
        } else if let Some(sign) = SIGNS.iter().find(|s| text[at..].starts_with(**s)) {
            brackets = match *sign {
                "[" => brackets + 1,
                "]" => brackets.saturating_sub(1),
                _ => brackets,
            };
            out.push((Token::Sign(sign), at));
            at += sign.len();
        } else {
            return Err(wrong(text, at, &format!("unexpected character: {c:?}")));
        }
    }
    Ok(out)
}

fn word(text: &str) -> Token {
    match text.to_ascii_lowercase().as_str() {
        "inf" => Token::Number(f64::INFINITY),
        "nan" => Token::Number(f64::NAN),
        _ => Token::Word(text.to_owned()),
    }
}

/// An error with its place, as Prometheus words it.
pub fn wrong(text: &str, at: usize, message: &str) -> Error {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    Error::Parse(format!("{line}:{column}: parse error: {message}"))
}

/// A string's value and its length with the quotes.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((i, c)) = chars.next() {
        if c == quote {
            return Some((out, i + 1));
        }
        if c != '\\' || quote == '`' {
            out.push(c);
            continue;
        }
        out.push(match chars.next()?.1 {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            c @ ('\\' | '"' | '\'') => c,
            _ => return None,
        });
    }
    None
}

/// A number or a length of time at the beginning of `text`.
fn number(text: &str) -> Option<(Token, usize)> {
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        let length = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
        let value = u32::from_str_radix(&hex[..length], 16).ok()?;
        return Some((Token::Number(f64::from(value)), length + 2));
    }
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.')).unwrap_or(text.len());
    if let Some(span) = span(&text[..end]) {
        return Some((Token::Span(span), end));
    }
    // An exponent may have a sign.
    let mut end = end;
    if text[..end].ends_with(['e', 'E']) && text[end..].starts_with(['+', '-']) {
        let digits = &text[end + 1..];
        end += 1 + digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    }
    text[..end].parse().ok().map(|v| (Token::Number(v), end))
}

/// `1h30m` in milliseconds; units fall in size.
pub fn span(text: &str) -> Option<Ms> {
    const UNITS: [(&str, Ms); 7] = [
        ("ms", 1),
        ("s", 1000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
        ("w", 604_800_000),
        ("y", 31_536_000_000),
    ];
    let (mut rest, mut total, mut last) = (text, 0_i64, usize::MAX);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|n| *n > 0)?;
        let unit =
            rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(&rest[digits..], |n| &rest[digits..digits + n]);
        let rank = UNITS.iter().position(|(u, _)| *u == unit)?;
        if rank >= last {
            return None;
        }
        last = rank;
        total = total.checked_add(rest[..digits].parse::<Ms>().ok()?.checked_mul(UNITS[rank].1)?)?;
        rest = &rest[digits + unit.len()..];
    }
    Some(total)
}
