//! Putting text into cells, and styles.

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
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
    for (cell, at) in buf.content.iter_mut().skip(first).zip(0..plain) {
        if let Some(symbol) = text.get(at..=at) {
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

/// Gives every cell of `area` a style, as [`Buffer::set_style`] does, which looks for the place of each.
pub fn paint(buf: &mut Buffer, area: Rect, style: Style) {
    for cell in cells(buf, area) {
        cell.set_style(style);
    }
}

/// Leaves nothing in the cells of `area` but a style.
pub fn blank(buf: &mut Buffer, area: Rect, style: Style) {
    for cell in cells(buf, area) {
        *cell = Cell::EMPTY;
        cell.set_style(style);
    }
}

fn cells(buf: &mut Buffer, area: Rect) -> impl Iterator<Item = &mut Cell> {
    let (all, area) = (buf.area, buf.area.intersection(area));
    let above = usize::from(area.y - all.y);
    let rows = buf.content.chunks_exact_mut(usize::from(all.width.max(1))).skip(above).take(usize::from(area.height));
    let (left, width) = (usize::from(area.x - all.x), usize::from(area.width));
    rows.flat_map(move |row| row.iter_mut().skip(left).take(width))
}

#[cfg(test)]
mod tests {
    use ratatui::style::{Color, Modifier};
    use ratatui::widgets::{Clear, Widget};

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

        #[test]
        fn as_the_library_paints(x in 0_u16..30, y in 0_u16..6, width in 0_u16..30, height in 0_u16..6) {
            let buffer = Rect::new(2, 1, 20, 3);
            let (area, style) = (Rect::new(x, y, width, height), Style::new().bg(Color::Blue).not_bold());
            let before = Buffer::filled(buffer, Cell::from('#').set_fg(Color::Red).clone());
            let (mut ours, mut theirs) = (before.clone(), before.clone());
            paint(&mut ours, area, style);
            theirs.set_style(area, style);
            proptest::prop_assert_eq!(&ours, &theirs);
            let (mut ours, mut theirs) = (before.clone(), before);
            blank(&mut ours, area, style);
            Clear.render(area.intersection(buffer), &mut theirs);
            theirs.set_style(area, style);
            proptest::prop_assert_eq!(ours, theirs);
        }
    }
}
