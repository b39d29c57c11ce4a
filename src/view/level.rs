//! What a log line says of its own weight, in the manners that are common.

use crate::domain::Tone;

/// Keys whose value is the level, in logfmt and JSON.
const KEYS: [&str; 6] = ["level", "severity", "lvl", "levelname", "log.level", "loglevel"];
/// Only the beginning of a line says what it is, the rest what it is about.
const BEGINNING: usize = 400;
/// Words in capitals are looked for in fewer characters: in a message they may be a name.
const WORDS: usize = 96;

/// How heavy a line is. What is lighter than a warning is not told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Light,
    Warning,
    Error,
}

/// The tone of a line that says that it is a warning or an error: `level=error`, `"level":"warn"`, `E0301 03:14:07`,
/// ` ERROR `, `[warn]`, `panic: `. `None` for every other.
#[must_use]
pub fn tone(line: &str) -> Option<Tone> {
    let line = head(line.trim_start(), BEGINNING);
    match klog(line).or_else(|| by_key(line)).or_else(|| by_word(line))? {
        Level::Error => Some(Tone::Error),
        Level::Warning => Some(Tone::Warning),
        Level::Light => None,
    }
}

/// At most so many bytes, whole characters.
fn head(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

fn of_word(word: &str) -> Option<Level> {
    let is = |words: &[&str]| words.iter().any(|w| word.eq_ignore_ascii_case(w));
    if is(&[
        "error",
        "err",
        "eror",
        "fatal",
        "critical",
        "crit",
        "panic",
        "dpanic",
        "severe",
        "alert",
        "emerg",
        "emergency",
    ]) {
        return Some(Level::Error);
    }
    if is(&["warn", "warning"]) {
        return Some(Level::Warning);
    }
    is(&["info", "information", "notice", "debug", "trace", "fine", "verbose"]).then_some(Level::Light)
}

/// `E0301 03:14:07.123456`: as the parts of Kubernetes write.
fn klog(line: &str) -> Option<Level> {
    let bytes = line.as_bytes();
    let is_date = bytes.get(1..5)?.iter().all(u8::is_ascii_digit) && bytes.get(5) == Some(&b' ');
    let is_time = bytes.get(6..8)?.iter().all(u8::is_ascii_digit) && bytes.get(8) == Some(&b':');
    match bytes.first()? {
        b'E' | b'F' if is_date && is_time => Some(Level::Error),
        b'W' if is_date && is_time => Some(Level::Warning),
        b'I' if is_date && is_time => Some(Level::Light),
        _ => None,
    }
}

/// `level=error`, `"severity": "WARNING"`, `"level":50`.
fn by_key(line: &str) -> Option<Level> {
    KEYS.iter().find_map(|key| line.match_indices(key).find_map(|(at, _)| value(line, at, key.len())))
}

fn value(line: &str, at: usize, len: usize) -> Option<Level> {
    let before = line.get(..at)?.chars().next_back();
    if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-')) {
        return None;
    }
    let after = line.get(at + len..)?;
    let after = after.strip_prefix('"').unwrap_or(after).trim_start();
    let after = after.strip_prefix(['=', ':'])?.trim_start();
    let after = after.strip_prefix('"').unwrap_or(after);
    let word = after.split(|c: char| !c.is_ascii_alphanumeric()).next()?;
    // Some count in tens: 40 is a warning, 50 an error.
    match word.parse::<u32>() {
        Ok(50..=60) => Some(Level::Error),
        Ok(40..=49) => Some(Level::Warning),
        Ok(_) => None,
        Err(_) => of_word(word),
    }
}

/// ` ERROR `, `[error]`, `WARN:`: the first word that is a level decides.
fn by_word(line: &str) -> Option<Level> {
    if line.starts_with("panic: ") || line.starts_with("fatal error: ") {
        return Some(Level::Error);
    }
    let line = head(line, WORDS);
    let mut from = 0;
    for word in line.split(|c: char| !c.is_ascii_alphanumeric()) {
        let at = from;
        from += word.len() + line.get(at + word.len()..).and_then(|r| r.chars().next()).map_or(0, char::len_utf8);
        let bracketed = line.get(..at).is_some_and(|b| b.ends_with(['[', '<', '(']))
            && line.get(at + word.len()..).is_some_and(|r| r.starts_with([']', '>', ')']));
        let capitals = word.len() > 2 && word.bytes().all(|b| b.is_ascii_uppercase());
        // `NO_ERROR` and `ERROR_COUNT` are names.
        let part = line.get(..at).is_some_and(|b| b.ends_with(['_', '.', '-', '/']))
            || line.get(at + word.len()..).is_some_and(|r| r.starts_with(['_', '=', '/', '-']));
        if ((capitals && !part) || bracketed)
            && let Some(level) = of_word(word)
        {
            return Some(level);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_manners_are_understood() {
        for line in [
            r#"time=2026-03-01T03:13:27Z level=error msg="dial tcp""#,
            r#"{"ts":1,"level":"error","msg":"x"}"#,
            r#"{"time":"t", "severity": "CRITICAL", "message":"x"}"#,
            r#"{"level":50,"pid":1}"#,
            r#"{"log.level":"ERROR","message":"x"}"#,
            "lvl=eror t=2026 msg=x",
            "E0301 03:14:07.123456       1 controller.go:1] failed",
            "2026-03-01 03:14:07 ERROR c.e.Web - it broke",
            "2026/03/01 03:14:07 [error] 12#0: upstream timed out",
            "[2026-03-01] FATAL: terminating connection",
            "panic: runtime error: index out of range",
            "<CRIT> disk",
        ] {
            assert_eq!(tone(line), Some(Tone::Error), "{line}");
        }
        for line in [
            "level=warn msg=slow",
            r#"level="warning" msg=slow"#,
            r#"{"level":"WARN"}"#,
            r#"{"level":40}"#,
            "W0301 03:14:07.1 1 x.go:1] slow",
            "  2026-03-01 WARN slow",
            "2026/03/01 03:14:07 [warn] 12#0: buffered",
            "WARNING: deprecated",
        ] {
            assert_eq!(tone(line), Some(Tone::Warning), "{line}");
        }
    }

    #[test]
    fn what_only_has_the_word_in_it_is_no_error() {
        for line in [
            "",
            "level=info msg=\"no ERROR here\"",
            "I0301 03:14:07.1 1 x.go:1] ERROR count is 0",
            "2026-03-01 INFO retry after ERROR",
            "0 errors found",
            "error rate is 0.1%",
            "ERROR_COUNT=0 NO_ERROR",
            "sublevel=error",
            "Everything is Well",
            "E0301 is a part number",
            "日本語 level",
            "\u{e9}\u{e9}",
        ] {
            assert_eq!(tone(line), None, "{line}");
        }
    }
}
