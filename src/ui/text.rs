//! Putting text into cells.

use ratatui::buffer::Buffer;
use ratatui::style::Style;

use crate::view::words::plain_start;

/// Writes `text` from a cell on, at most `most` columns and not beyond the buffer; returns the column after it.
///
/// It leaves the buffer as [`Buffer::set_stringn`] does, which panics where this writes nothing: outside of it. That one looks for graphemes and their widths in every text,
/// which was a fifth of what a frame took: printable ASCII, which nearly all text here is, has one in every byte.
pub fn put(buf: &mut Buffer, x: u16, y: u16, text: &str, most: usize, style: Style) -> u16 {
    let area = buf.area;
    let room = usize::from(area.right().saturating_sub(x)).min(most);
    if room == 0 || x < area.x || y < area.y || y >= area.bottom() {
        return x;
    }
    let plain = plain_start(text).min(room);
    let first = buf.index_of(x, y);
    let mut symbol = [0];
    for (cell, byte) in buf.content.iter_mut().skip(first).zip(&text.as_bytes()[..plain]) {
        symbol[0] = *byte;
        if let Ok(symbol) = std::str::from_utf8(&symbol) {
            cell.set_symbol(symbol).set_style(style);
        }
    }
    // No more than the room, which is a `u16`.
    let x = x + u16::try_from(plain).unwrap_or(0);
    if plain == room || plain == text.len() {
        return x;
    }
    buf.set_stringn(x, y, &text[plain..], room - plain, style).0
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::{Color, Modifier};

    use super::*;

    proptest::proptest! {
        #[test]
        fn as_the_library_puts_it(
            text in "[ -~]{0,12}[ -~\u{7}\n\u{1b}é日\u{301}\u{200d}\u{fe0f}☀👩ｶﾞ…●]{0,16}",
            x in 2_u16..22,
            y in 1_u16..3,
            most in 0_usize..30,
        ) {
            let area = Rect::new(2, 1, 20, 2);
            let style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
            let before = || {
                let mut buf = Buffer::filled(area, ratatui::buffer::Cell::new("#"));
                buf.set_style(area, Style::new().bg(Color::Blue));
                buf
            };
            let (mut ours, mut theirs) = (before(), before());
            let end = put(&mut ours, x, y, &text, most, style);
            proptest::prop_assert_eq!(end, theirs.set_stringn(x, y, &text, most, style).0);
            proptest::prop_assert_eq!(ours, theirs);
        }
    }
}
