//! Digits and capitals that are read from three metres, out of blocks; out of `#` where there is no
//! Unicode. Only the characters that a wallboard needs.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// How large a pixel is, and which of the two alphabets is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// Seven pixels high instead of five.
    tall: bool,
    /// Columns of a pixel.
    across: u16,
    /// Half rows of a pixel.
    halves: u16,
}

/// From small to large. The ones of odd halves need half blocks.
const SCALES: [Scale; 8] = [
    Scale { tall: false, across: 1, halves: 1 },
    Scale { tall: true, across: 1, halves: 1 },
    Scale { tall: false, across: 1, halves: 2 },
    Scale { tall: false, across: 2, halves: 2 },
    Scale { tall: true, across: 2, halves: 2 },
    Scale { tall: true, across: 3, halves: 3 },
    Scale { tall: false, across: 4, halves: 4 },
    Scale { tall: true, across: 4, halves: 4 },
];

impl Scale {
    fn all(ascii: bool) -> impl DoubleEndedIterator<Item = Self> {
        // Half a block is what makes the third one needless.
        SCALES
            .into_iter()
            .enumerate()
            .filter(move |(i, s)| if ascii { s.halves % 2 == 0 } else { *i != 2 })
            .map(|(_, s)| s)
    }

    /// The largest in which the widest of `texts` has this room; `None` where not even the smallest has.
    #[must_use]
    pub fn fitting<'a>(
        texts: &(impl Iterator<Item = &'a str> + Clone),
        width: u16,
        height: u16,
        ascii: bool,
    ) -> Option<Self> {
        let fits = |s: &Self| s.rows() <= height && texts.clone().all(|t| s.columns(t) <= width);
        Self::all(ascii).rev().find(fits)
    }

    /// Rows of a text.
    #[must_use]
    pub fn rows(self) -> u16 {
        (if self.tall { 7 } else { 5 } * self.halves).div_ceil(2)
    }

    /// Columns of a text, without the gap after its last character.
    #[must_use]
    pub fn columns(self, text: &str) -> u16 {
        let pixels: u16 = text.chars().map(|c| glyph(c, self.tall).0 + 1).sum();
        pixels.saturating_sub(1) * self.across
    }

    /// Draws a text from the left upper corner of `area`; what does not fit is left out.
    pub fn draw(self, buf: &mut Buffer, area: Rect, text: &str, style: Style, ascii: bool) {
        let mut left = area.x;
        for c in text.chars() {
            let (width, rows) = glyph(c, self.tall);
            let columns = width * self.across;
            if left.saturating_add(columns) > area.right() {
                return;
            }
            for y in 0..self.rows().min(area.height) {
                for x in 0..columns {
                    let lit = |half: u16| {
                        let row = rows.get(usize::from(half / self.halves)).copied().unwrap_or(0);
                        row >> (width - 1 - x / self.across) & 1 == 1
                    };
                    let block = match (lit(y * 2), lit(y * 2 + 1), ascii) {
                        (true, true, false) => "█",
                        (true, false, false) => "▀",
                        (false, true, false) => "▄",
                        (true, _, true) => "#",
                        (false, ..) => continue,
                    };
                    if let Some(cell) = buf.cell_mut((left + x, area.y + y)) {
                        cell.set_symbol(block).set_style(style);
                    }
                }
            }
            left = left.saturating_add(columns + self.across);
        }
    }
}

type Glyph = (u16, &'static [u8]);

/// Width in pixels, and the rows as bits, the highest at the left.
fn glyph(c: char, tall: bool) -> Glyph {
    if tall { tall_glyph(c) } else { small_glyph(c) }
}

fn small_glyph(c: char) -> Glyph {
    match c {
        '0' => (3, &[7, 5, 5, 5, 7]),
        '1' => (3, &[2, 6, 2, 2, 7]),
        '2' => (3, &[7, 1, 7, 4, 7]),
        '3' => (3, &[7, 1, 7, 1, 7]),
        '4' => (3, &[5, 5, 7, 1, 1]),
        '5' => (3, &[7, 4, 7, 1, 7]),
        '6' => (3, &[7, 4, 7, 5, 7]),
        '7' => (3, &[7, 1, 1, 2, 2]),
        '8' => (3, &[7, 5, 7, 5, 7]),
        '9' => (3, &[7, 5, 7, 1, 7]),
        'A' => (3, &[2, 5, 7, 5, 5]),
        'B' => (3, &[6, 5, 6, 5, 6]),
        'D' => (3, &[6, 5, 5, 5, 6]),
        'E' => (3, &[7, 4, 6, 4, 7]),
        'G' => (3, &[3, 4, 5, 5, 3]),
        'I' => (3, &[7, 2, 2, 2, 7]),
        'K' => (3, &[5, 5, 6, 5, 5]),
        'L' => (3, &[4, 4, 4, 4, 7]),
        'N' => (4, &[9, 13, 11, 9, 9]),
        'O' => (3, &[2, 5, 5, 5, 2]),
        'P' => (3, &[6, 5, 6, 4, 4]),
        'R' => (3, &[6, 5, 6, 5, 5]),
        'd' => (3, &[1, 1, 3, 5, 3]),
        'h' => (3, &[4, 4, 6, 5, 5]),
        'k' => (3, &[4, 5, 6, 5, 5]),
        'm' => (5, &[0, 0, 26, 21, 21]),
        's' => (3, &[0, 3, 2, 1, 6]),
        ':' => (1, &[0, 1, 0, 1, 0]),
        '.' | ',' => (1, &[0, 0, 0, 0, 1]),
        '-' => (3, &[0, 0, 7, 0, 0]),
        '+' => (3, &[0, 2, 7, 2, 0]),
        '~' => (4, &[0, 5, 10, 0, 0]),
        '%' => (3, &[5, 1, 2, 4, 5]),
        '/' => (3, &[1, 1, 2, 4, 4]),
        '░' => (3, &[5, 2, 5, 2, 5]),
        ' ' => (2, &[0, 0, 0, 0, 0]),
        _ => (3, &[7, 1, 2, 0, 2]),
    }
}

fn tall_glyph(c: char) -> Glyph {
    match c {
        // Square, as a slash gets lost in half blocks; the O is round.
        '0' => (5, &[0x1f, 0x11, 0x11, 0x11, 0x11, 0x11, 0x1f]),
        '1' => (5, &[0x04, 0x0c, 0x04, 0x04, 0x04, 0x04, 0x0e]),
        '2' => (5, &[0x0e, 0x11, 0x01, 0x02, 0x04, 0x08, 0x1f]),
        '3' => (5, &[0x1f, 0x02, 0x04, 0x02, 0x01, 0x11, 0x0e]),
        '4' => (5, &[0x02, 0x06, 0x0a, 0x12, 0x1f, 0x02, 0x02]),
        '5' => (5, &[0x1f, 0x10, 0x1e, 0x01, 0x01, 0x11, 0x0e]),
        '6' => (5, &[0x06, 0x08, 0x10, 0x1e, 0x11, 0x11, 0x0e]),
        '7' => (5, &[0x1f, 0x01, 0x02, 0x04, 0x08, 0x08, 0x08]),
        '8' => (5, &[0x0e, 0x11, 0x11, 0x0e, 0x11, 0x11, 0x0e]),
        '9' => (5, &[0x0e, 0x11, 0x11, 0x0f, 0x01, 0x02, 0x0c]),
        'A' => (5, &[0x0e, 0x11, 0x11, 0x1f, 0x11, 0x11, 0x11]),
        'B' => (5, &[0x1e, 0x11, 0x11, 0x1e, 0x11, 0x11, 0x1e]),
        'D' => (5, &[0x1c, 0x12, 0x11, 0x11, 0x11, 0x12, 0x1c]),
        'E' => (5, &[0x1f, 0x10, 0x10, 0x1e, 0x10, 0x10, 0x1f]),
        'G' => (5, &[0x0e, 0x11, 0x10, 0x17, 0x11, 0x11, 0x0f]),
        'I' => (3, &[0x07, 0x02, 0x02, 0x02, 0x02, 0x02, 0x07]),
        'K' => (5, &[0x11, 0x12, 0x14, 0x18, 0x14, 0x12, 0x11]),
        'L' => (5, &[0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x1f]),
        'N' => (5, &[0x11, 0x11, 0x19, 0x15, 0x13, 0x11, 0x11]),
        'O' => (5, &[0x0e, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0e]),
        'P' => (5, &[0x1e, 0x11, 0x11, 0x1e, 0x10, 0x10, 0x10]),
        'R' => (5, &[0x1e, 0x11, 0x11, 0x1e, 0x14, 0x12, 0x11]),
        'd' => (5, &[0x01, 0x01, 0x0d, 0x13, 0x11, 0x11, 0x0f]),
        'h' => (5, &[0x10, 0x10, 0x16, 0x19, 0x11, 0x11, 0x11]),
        'k' => (4, &[0x08, 0x08, 0x09, 0x0a, 0x0c, 0x0a, 0x09]),
        'm' => (5, &[0x00, 0x00, 0x1a, 0x15, 0x15, 0x11, 0x11]),
        's' => (5, &[0x00, 0x00, 0x0e, 0x10, 0x0e, 0x01, 0x1e]),
        ':' => (1, &[0, 1, 1, 0, 1, 1, 0]),
        '.' | ',' => (1, &[0, 0, 0, 0, 0, 1, 1]),
        '-' => (3, &[0, 0, 0, 7, 0, 0, 0]),
        '+' => (5, &[0x00, 0x04, 0x04, 0x1f, 0x04, 0x04, 0x00]),
        '~' => (5, &[0x00, 0x00, 0x08, 0x15, 0x02, 0x00, 0x00]),
        '%' => (5, &[0x18, 0x19, 0x02, 0x04, 0x08, 0x13, 0x03]),
        '/' => (5, &[0x01, 0x01, 0x02, 0x04, 0x08, 0x10, 0x10]),
        '░' => (5, &[0x15, 0x0a, 0x15, 0x0a, 0x15, 0x0a, 0x15]),
        ' ' => (3, &[0; 7]),
        _ => (5, &[0x0e, 0x11, 0x01, 0x02, 0x04, 0x00, 0x04]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(scale: Scale, text: &str, ascii: bool) -> Vec<String> {
        let area = Rect::new(0, 0, scale.columns(text), scale.rows());
        let mut buf = Buffer::empty(area);
        scale.draw(&mut buf, area, text, Style::default(), ascii);
        (0..area.height).map(|y| (0..area.width).map(|x| buf[(x, y)].symbol()).collect::<String>()).collect()
    }

    #[test]
    fn every_glyph_has_its_rows_and_keeps_to_its_width() {
        for c in "0123456789ABDEGIKLNOPRdhkms:.,-+~%/░ ?x".chars() {
            for (tall, rows) in [(false, 5), (true, 7)] {
                let (width, bits) = glyph(c, tall);
                assert_eq!(bits.len(), rows, "{c}");
                assert!(bits.iter().all(|b| u16::from(*b) < 1 << width), "{c} is wider than {width}");
            }
        }
    }

    #[test]
    fn no_two_figures_look_alike() {
        for tall in [false, true] {
            let all: Vec<char> = "0123456789ABDEGIKLNOPRdhkms:.-+~%/░?".chars().collect();
            for (i, a) in all.iter().enumerate() {
                for b in &all[i + 1..] {
                    assert_ne!(glyph(*a, tall), glyph(*b, tall), "{a} {b}");
                }
            }
        }
    }

    #[test]
    fn figures_are_drawn_with_half_blocks_and_without() {
        assert_eq!(drawn(SCALES[0], "1:4", false), ["▄█  ▄ █ █", " █  ▄ ▀▀█", "▀▀▀     ▀"]);
        let ascii = drawn(SCALES[2], "1:4", true);
        assert_eq!(ascii, [" #    # #", "##  # # #", " #    ###", " #  #   #", "###     #"]);
        assert!(drawn(SCALES[4], "OK", true).iter().all(|row| row.is_ascii()));
    }

    #[test]
    fn the_largest_that_fits_is_taken() {
        let fit = |w, h, ascii| Scale::fitting(&["DEGRADED"].into_iter(), w, h, ascii).map(Scale::rows);
        assert_eq!(fit(31, 3, false), Some(3));
        assert_eq!(fit(31, 3, true), None);
        assert_eq!(fit(31, 5, true), Some(5));
        assert_eq!(fit(30, 9, false), None);
        assert_eq!(fit(47, 9, false), Some(4));
        assert_eq!(fit(400, 100, false), Some(14));
    }
}
