//! Which cells of a screen differ from what the terminal shows.

use ratatui::buffer::{Buffer, Cell, CellDiffOption};
use unicode_width::UnicodeWidthChar;

/// Finds the places of the cells in which `next` differs from what is `shown`, row by row, as [`Buffer::diff_iter`] does. That
/// one asks how wide each cell is and compares texts of any length, a quarter of the time between a key and its frame: of two
/// ASCII characters one byte is compared. A row with a cell that is not of one column, or asks for more, is left to it.
pub fn changes(shown: &Buffer, next: &Buffer, places: &mut Vec<(u16, u16)>) {
    places.clear();
    let width = usize::from(next.area.width.max(1));
    let rows = shown.content.chunks_exact(width).zip(next.content.chunks_exact(width));
    for (y, (before, after)) in (next.area.y..).zip(rows) {
        let found = places.len();
        for (x, (a, b)) in (next.area.x..).zip(before.iter().zip(after)) {
            match differs(a, b) {
                Some(false) => {}
                Some(true) => places.push((x, y)),
                None => {
                    places.truncate(found);
                    let row = |cells: &[Cell]| Buffer {
                        area: ratatui::layout::Rect { y, height: 1, ..next.area },
                        content: cells.to_vec(),
                    };
                    places.extend(row(before).diff_iter(&row(after)).map(|(x, y, _)| (x, y)));
                    break;
                }
            }
        }
    }
}

/// Whether two cells look different; `None` where one of them may be more, or less, than one column wide, or asks for
/// something when it is compared.
fn differs(a: &Cell, b: &Cell) -> Option<bool> {
    if a.diff_option != CellDiffOption::None || b.diff_option != CellDiffOption::None {
        return None;
    }
    let (before, after) = (a.symbol(), b.symbol());
    let same = match (before.as_bytes(), after.as_bytes()) {
        ([before], [after]) => before == after,
        _ if is_narrow(before) && is_narrow(after) => before == after,
        _ => return None,
    };
    let same =
        same && a.fg == b.fg && a.bg == b.bg && a.modifier == b.modifier && a.underline_color == b.underline_color;
    Some(!same)
}

/// One character, one column.
fn is_narrow(symbol: &str) -> bool {
    let mut chars = symbol.chars();
    chars.next().is_some_and(|c| c.width() == Some(1)) && chars.next().is_none()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ratatui::layout::Rect;
    use ratatui::style::{Color, Style};

    use super::*;

    const WORDS: [&str; 12] =
        ["a", "b ", "web-1", "…", "│", "●", "日本", "👩\u{200d}🚀", "e\u{301}", "☀\u{fe0f}", "ｶﾞ", "          "];
    const STYLES: [Style; 4] = [
        Style::new(),
        Style::new().fg(Color::Indexed(9)),
        Style::new().bg(Color::Rgb(1, 2, 3)).add_modifier(ratatui::style::Modifier::REVERSED),
        Style::new().underline_color(Color::Red).add_modifier(ratatui::style::Modifier::UNDERLINED),
    ];

    type Put = (u16, u16, usize, usize);

    fn buffer(puts: &[Put]) -> Buffer {
        let mut buffer = Buffer::empty(Rect::new(3, 2, 16, 3));
        for (x, y, word, style) in puts {
            buffer.set_string(3 + x % 16, 2 + y % 3, WORDS[word % WORDS.len()], STYLES[style % STYLES.len()]);
        }
        buffer
    }

    proptest! {
        #[test]
        fn the_library_finds_the_same(
            puts in prop::collection::vec(any::<Put>(), 0..12),
            more in prop::collection::vec(any::<Put>(), 0..4),
            others in prop::option::of(prop::collection::vec(any::<Put>(), 0..12)),
        ) {
            let shown = buffer(&puts);
            // Most of a frame is as before, or all of it is another.
            let next = buffer(&others.unwrap_or([puts, more].concat()));
            let mut places = vec![(9, 9)];
            changes(&shown, &next, &mut places);
            let theirs: Vec<_> = shown.diff_iter(&next).map(|(x, y, _)| (x, y)).collect();
            prop_assert_eq!(places, theirs);
        }
    }
}
