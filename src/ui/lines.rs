//! Drawing lines and cells.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::style::Painter;
use crate::domain::{Line, Tone};

/// One line into the first row of `area`; a text that is too long ends in an ellipsis.
pub fn line(buf: &mut Buffer, area: Rect, text: &Line, painter: &Painter<'_>) {
    if area.height == 0 {
        return;
    }
    let mut x = area.x;
    for span in &text.spans {
        let room = usize::from(area.right().saturating_sub(x));
        if room == 0 {
            break;
        }
        let shown = cut(&span.text, room, false, painter.ascii);
        (x, _) = buf.set_stringn(x, area.y, &shown, room, painter.tone(span.tone));
    }
}

/// Lines from the top of `area`.
pub fn lines(buf: &mut Buffer, area: Rect, text: &[Line], painter: &Painter<'_>) {
    for (y, l) in (area.top()..area.bottom()).zip(text) {
        line(buf, Rect { y, height: 1, ..area }, l, painter);
    }
}

/// A line in rows of at most `width` columns, broken between words where there
/// are any. Only the last span is broken; its rows begin below it.
#[must_use]
pub fn fold(text: &Line, width: usize) -> Vec<Line> {
    let Some((last, before)) = text.spans.split_last() else { return vec![text.clone()] };
    let indent: usize = before.iter().map(|s| s.text.width()).sum();
    let room = width.saturating_sub(indent);
    if last.text.width() <= room || room < 12 {
        return vec![text.clone()];
    }
    let mut rows: Vec<String> = vec![String::new()];
    // A word that is too long for any row is broken where the row ends.
    let words = last.text.split_inclusive(' ').flat_map(|word| pieces(word, room));
    for word in words {
        let row = rows.last().map_or(0, |r| r.width());
        if row > 0 && row + word.trim_end().width() > room {
            rows.push(String::new());
        }
        if let Some(row) = rows.last_mut() {
            row.push_str(word);
        }
    }
    let line = |(i, row): (usize, String)| {
        let mut out =
            if i == 0 { Line { spans: before.to_vec() } } else { Line::new().with(" ".repeat(indent), Tone::Plain) };
        // The space after a row's last word may be one column too many.
        out.push(row.trim_end(), last.tone);
        out
    };
    rows.into_iter().enumerate().map(line).collect()
}

/// A word in pieces of at most `width` columns.
fn pieces(word: &str, width: usize) -> Vec<&str> {
    let (mut out, mut rest) = (Vec::new(), word);
    while rest.trim_end().width() > width {
        let mut used = 0;
        let fits = |(_, g): &(usize, &str)| {
            used += g.width();
            used <= width
        };
        let end = rest.grapheme_indices(true).take_while(fits).last().map_or(rest.len(), |(at, g)| at + g.len());
        let (piece, after) = rest.split_at(end);
        out.push(piece);
        rest = after;
    }
    out.push(rest);
    out
}

/// `text` cut to `width` columns; names keep both ends, other text its start.
#[must_use]
pub fn cut(text: &str, width: usize, middle: bool, ascii: bool) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let ellipsis = if ascii { "~" } else { "…" };
    let room = width.saturating_sub(1);
    let tail_room = if middle && width >= 12 { room / 2 } else { 0 };
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
        return String::new();
    }
    let tail: String = tail.into_iter().rev().collect();
    format!("{head}{ellipsis}{tail}")
}

#[cfg(test)]
mod tests {
    use super::{cut, fold};
    use crate::domain::{Line, Tone};

    #[test]
    fn a_row_that_is_just_full_keeps_its_last_word() {
        let line = Line::new().with("key ", Tone::Key).with("twelve chars and more", Tone::Plain);
        let rows: Vec<String> =
            fold(&line, 16).iter().map(|l| l.spans.iter().map(|s| s.text.as_str()).collect()).collect();
        assert_eq!(rows, ["key twelve chars", "    and more"]);
    }

    #[test]
    fn names_keep_both_ends() {
        assert_eq!(cut("checkout-7f9c4d8b6-abcde", 16, true, false), "checkout…6-abcde");
        assert_eq!(cut("CrashLoopBackOff", 8, false, false), "CrashLo…");
        assert_eq!(cut("short", 8, true, false), "short");
        assert_eq!(cut("日本語テキスト", 5, false, true), "日本~");
        assert_eq!(cut("x", 0, false, false), "");
    }
}
