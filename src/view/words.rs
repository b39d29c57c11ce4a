//! Words made to fit: names cut in the middle, reasons with the cause first.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// How many bytes at the start of `text` are a column each, whatever follows them: printable ASCII, but for the
/// character before anything else, which what follows may belong to. Nearly all that a screen shows is such text, and
/// for it neither graphemes nor their widths need to be looked up.
#[must_use]
pub fn plain_start(text: &str) -> usize {
    match text.bytes().position(|b| !matches!(b, b' '..=b'~')) {
        None => text.len(),
        Some(at) => at.saturating_sub(1),
    }
}

/// Columns that `text` takes on the screen.
#[must_use]
pub fn columns(text: &str) -> usize {
    let (plain, rest) = text.split_at(plain_start(text));
    plain.len() + rest.width()
}

/// `text` cut to `width` columns; names keep both ends, other text its start.
#[must_use]
pub fn cut(text: &str, width: usize, middle: bool, ascii: bool) -> String {
    fitted(text, width, middle, ascii).into_owned()
}

/// The same, of which nothing is copied that fits.
#[must_use]
pub fn fitted(text: &str, width: usize, middle: bool, ascii: bool) -> Cow<'_, str> {
    if columns(text) <= width {
        return Cow::Borrowed(text);
    }
    // Of a space nothing is lost.
    if columns(text.trim_end()) <= width {
        return Cow::Borrowed(text.trim_end());
    }
    let ellipsis = if ascii { "~" } else { "…" };
    let room = width.saturating_sub(1);
    let tail_room = if middle && width >= 8 { room / 2 } else { 0 };
    let mut head = String::new();
    let mut used = 0;
    for g in text.graphemes(true) {
        if used + g.width() > room - tail_room {
            break;
        }
        used += g.width();
        head.push_str(g);
    }
    let mut tail: Vec<&str> = Vec::new();
    let mut used = 0;
    for g in text.graphemes(true).rev() {
        if used + g.width() > tail_room {
            break;
        }
        used += g.width();
        tail.push(g);
    }
    if width == 0 {
        return Cow::Borrowed("");
    }
    let tail: String = tail.into_iter().rev().collect();
    Cow::Owned(format!("{head}{ellipsis}{tail}"))
}

/// Why a source is not read, in few words, and where it was tried; the place may be empty.
#[must_use]
pub fn cause(because: &str) -> (String, String) {
    // What to do about it is told where there is room.
    let said = because.split("; ").next().unwrap_or_default();
    let parted = |before: &str, between: &str| said.strip_prefix(before).and_then(|rest| rest.split_once(between));
    if let Some((place, why)) = parted("cannot reach ", ": ") {
        return (plain(why), place.to_owned());
    }
    if let Some((place, why)) = parted("TLS with ", " failed: ") {
        return (format!("TLS: {}", plain(why)), place.to_owned());
    }
    if let Some((place, time)) = parted("", " did not answer within ") {
        return (format!("no answer within {time}"), place.to_owned());
    }
    (said.to_owned(), String::new())
}

/// The system's words without their number, small as in the middle of a sentence.
fn plain(why: &str) -> String {
    let why = why.split(" (os error ").next().unwrap_or_default();
    let mut chars = why.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => why.to_owned(),
    }
}

/// The cause in `width` columns: of a place too long its middle goes, not the reason.
#[must_use]
pub fn cause_in(because: &str, width: usize, ascii: bool) -> String {
    let (what, place) = cause(because);
    if place.is_empty() {
        return cut(&what, width, false, ascii);
    }
    match width.saturating_sub(what.width() + 2) {
        room if room >= place.width().min(12) => format!("{what}, {}", cut(&place, room, true, ascii)),
        _ => cut(&what, width, false, ascii),
    }
}

#[cfg(test)]
mod tests {
    use super::{cause, cause_in, columns, cut};

    #[test]
    fn names_keep_both_ends() {
        assert_eq!(cut("checkout-7f9c4d8b6-abcde", 16, true, false), "checkout…6-abcde");
        assert_eq!(cut("CrashLoopBackOff", 8, false, false), "CrashLo…");
        assert_eq!(cut("short", 8, true, false), "short");
        assert_eq!(cut("日本語テキスト", 5, false, true), "日本~");
        assert_eq!(cut("fargate, ", 8, false, false), "fargate,");
        assert_eq!(cut("x", 0, false, false), "");
    }

    #[test]
    fn the_cause_comes_first_and_stays() {
        let refused = "cannot reach 0123456789ABCDEF.gr7.eu-west-1.eks.amazonaws.com:443: Connection refused (os error 111); check the network";
        assert_eq!(cause(refused).0, "connection refused");
        let short = cause_in(refused, 40, false);
        assert!(short.starts_with("connection refused, 012345") && short.ends_with(".com:443"), "{short}");
        assert_eq!(cause_in(refused, 20, false), "connection refused");
        assert_eq!(cause_in("x:443 did not answer within 30 s; check", 60, false), "no answer within 30 s, x:443");
        assert_eq!(cause_in("credentials were refused (401); log in", 60, false), "credentials were refused (401)");
    }

    proptest::proptest! {
        #[test]
        fn a_short_way_to_the_same_columns(text in "[ -~]{0,12}[ -~é日\u{301}\u{200d}\u{fe0f}☀👩ｶﾞ]{0,12}") {
            proptest::prop_assert_eq!(columns(&text), unicode_width::UnicodeWidthStr::width(text.as_str()));
        }
    }
}
