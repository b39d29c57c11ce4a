//! Drawing lines and cells.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::style::Painter;
use super::text::put;
use crate::domain::{Line, Tone};
use crate::view::logs::wrap;
use crate::view::words::{columns, fitted};

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
        // Our own words end in one; what stands for a character that is missing is made elsewhere.
        let plain = (painter.ascii && span.text.contains('…')).then(|| span.text.replace('…', "..."));
        let shown = fitted(plain.as_deref().unwrap_or(&span.text), room, false, painter.ascii);
        x = put(buf, x, area.y, &shown, room, painter.tone(span.tone));
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
    let indent: usize = before.iter().map(|s| columns(&s.text)).sum();
    let room = width.saturating_sub(indent);
    if columns(&last.text) <= room || room < 12 {
        return vec![text.clone()];
    }
    let mut rows: Vec<String> = vec![String::new()];
    // A word that is too long for any row is broken where the row ends.
    let words = last.text.split_inclusive(' ').flat_map(|word| pieces(word, room));
    for word in words {
        let row = rows.last().map_or(0, |r| columns(r));
        if row > 0 && row + columns(word.trim_end()) > room {
            rows.push(String::new());
        }
        if let Some(row) = rows.last_mut() {
            row.push_str(word);
        }
    }
    let line = |(i, row): (usize, String)| {
        let mut out =
            if i == 0 { Line { spans: before.to_vec() } } else { Line::new().with(" ".repeat(indent), Tone::Plain) };
        // The blank after the last word of a row needs no room.
        out.push(row.trim_end(), last.tone);
        out
    };
    rows.into_iter().enumerate().map(line).collect()
}

/// A line of a text in rows of at most `width` columns, broken between words
/// where there are any: its last value goes on below where it begins, or, where
/// that is too far right, below the first one.
#[must_use]
pub fn hung(text: &Line, width: usize) -> Vec<Line> {
    let Some((last, before)) = text.spans.split_last() else { return vec![text.clone()] };
    let start: usize = before.iter().map(|s| columns(&s.text)).sum();
    if start + columns(&last.text) <= width {
        return vec![text.clone()];
    }
    // Where nothing is left beside an indent, not even for a wide character, there is none.
    if start >= width || width < 8 {
        return wrap(&text.spans, width).into_iter().map(|spans| Line { spans }).collect();
    }
    let own = last.text.len() - last.text.trim_start_matches([' ', '-']).len();
    let first = before.first().map_or(0, |s| columns(&s.text));
    let indent = [start + own, first, 2].into_iter().find(|n| *n <= width / 2).unwrap_or(0);
    let mut rows: Vec<String> = vec![String::new()];
    let mut room = width - start;
    for word in last.text.split_inclusive(' ').flat_map(|word| pieces(word, width - indent)) {
        let used = rows.last().map_or(0, |r| columns(r));
        if used + columns(word.trim_end()) > room {
            rows.push(String::new());
            room = width - indent;
        }
        if let Some(row) = rows.last_mut().filter(|r| !r.is_empty() || !word.trim().is_empty() || own > 0) {
            row.push_str(word);
        }
    }
    let line = |(i, row): (usize, String)| {
        let mut out =
            if i == 0 { Line { spans: before.to_vec() } } else { Line::new().with(" ".repeat(indent), Tone::Plain) };
        out.push(row, last.tone);
        out
    };
    rows.into_iter().enumerate().map(line).collect()
}

/// A word in pieces of at most `width` columns.
fn pieces(word: &str, width: usize) -> Vec<&str> {
    let (mut out, mut rest) = (Vec::new(), word);
    while columns(rest.trim_end()) > width {
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

#[cfg(test)]
mod tests {
    use super::hung;
    use crate::domain::{Line, Span, Tone};

    fn rows(line: &Line, width: usize) -> Vec<String> {
        hung(line, width).iter().map(|l| l.text().trim_end().to_owned()).collect()
    }

    #[test]
    fn long_values_go_on_below_where_they_begin() {
        let line = Line::new()
            .with("message        ", Tone::Key)
            .with("back-off 5m0s restarting failed container", Tone::Plain);
        assert_eq!(rows(&line, 40), ["message        back-off 5m0s restarting", "               failed container"]);
        assert_eq!(rows(&line, 80).len(), 1);
        // A value without a word's end is broken where the row ends.
        let line = Line::new().with("uid  ", Tone::Key).with("0123456789abcdefghij0123456789", Tone::Plain);
        assert_eq!(rows(&line, 20), ["uid  0123456789abcde", "     fghij0123456789"]);
    }

    #[test]
    fn where_the_value_begins_too_far_right_the_name_s_column_is_used() {
        let line = Line::new()
            .with("Ready     ", Tone::Key)
            .with("False         ", Tone::Warning)
            .with("containers with unready status", Tone::Dim);
        let below = ["Ready     False", "          containers with", "          unready status"];
        assert_eq!(rows(&line, 30), below);
        let first = ["Ready     False         containers with", "          unready status"];
        assert_eq!(rows(&line, 40), first);
    }

    proptest::proptest! {
        #[test]
        fn hung_lines_fit_and_lose_nothing(a in "[a-z ]{0,30}", b in "[a-zé日 -]{0,80}", width in 1_usize..60) {
            let span = |text: &str, tone| Span { text: text.to_owned(), tone };
            let line = Line { spans: vec![span(&a, Tone::Key), span(&b, Tone::Plain)] };
            let rows = hung(&line, width);
            let solid = |text: String| text.split_whitespace().collect::<String>();
            proptest::prop_assert_eq!(solid(rows.iter().map(Line::text).collect()), solid(line.text()));
            for row in rows {
                // A wide character fits no single column.
                let row = row.text();
                proptest::prop_assert!(unicode_width::UnicodeWidthStr::width(row.trim_end()) <= width.max(2), "{:?}", row);
            }
        }
    }
}
