//! Charts out of characters: lines of braille dots on axes that say their units.

use super::columns::Context;
use crate::domain::{Line, Timestamp, Tone};

/// One line on a chart.
pub struct Series<'a> {
    /// Left to right.
    pub points: &'a [(f64, f64)],
    /// Its colour.
    pub tone: Tone,
    /// What stands for it where there is no Unicode.
    pub ascii: char,
    /// Points further apart than this are not joined: a gap is no line.
    pub gap: f64,
}

/// What a chart shows, and where.
pub struct Chart<'a> {
    /// Drawn in this order, the last one on top.
    pub series: Vec<Series<'a>>,
    /// From left to right.
    pub x: (f64, f64),
    /// From bottom to top.
    pub y: (f64, f64),
    /// Heights that are named.
    pub ticks: Vec<(f64, String)>,
    /// Columns in all, and rows of the plot.
    pub size: (usize, usize),
}

/// Columns that the names of heights take, with the axis.
pub const MARGIN: usize = 9;

struct Grid {
    cells: Vec<Vec<(u8, char, Tone)>>,
    ascii: bool,
}

impl Grid {
    /// Dots to a cell, across and down.
    fn dots(&self) -> (usize, usize) {
        if self.ascii { (1, 1) } else { (2, 4) }
    }

    fn set(&mut self, x: usize, y: usize, s: &Series<'_>) {
        // Braille's bits, by column and row.
        const BITS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
        let (across, down) = self.dots();
        if let Some(cell) = self.cells.get_mut(y / down).and_then(|row| row.get_mut(x / across)) {
            *cell = (cell.0 | BITS[x % across][y % down], s.ascii, s.tone);
        }
    }
}

/// The plot with its axis at the left, from the top; without anything below.
#[must_use]
pub fn plot(chart: &Chart<'_>, ascii: bool) -> Vec<Line> {
    let (width, height) = (chart.size.0.saturating_sub(MARGIN).max(4), chart.size.1.max(2));
    let mut grid = Grid { cells: vec![vec![(0, ' ', Tone::Plain); width]; height], ascii };
    let (across, down) = grid.dots();
    let place = |(x, y): (f64, f64)| {
        let (x, y) = (part(x, chart.x), part(y, chart.y));
        let inside = |p: f64| (-1e-9..=1.0 + 1e-9).contains(&p);
        (inside(x) && inside(y)).then(|| (scale(x, width * across - 1), scale(1.0 - y, height * down - 1)))
    };
    for s in &chart.series {
        let mut before: Option<(f64, (usize, usize))> = None;
        for point in s.points {
            let Some(at) = place(*point) else {
                before = None;
                continue;
            };
            match before {
                Some((x, from)) if point.0 - x <= s.gap => {
                    for (x, y) in between(from, at) {
                        grid.set(x, y, s);
                    }
                }
                _ => grid.set(at.0, at.1, s),
            }
            before = Some((point.0, at));
        }
    }
    let label = |row: usize| {
        chart.ticks.iter().find(|(y, _)| scale(1.0 - part(*y, chart.y), height - 1) == row).map(|(_, text)| text)
    };
    let axis = if ascii { "|" } else { "│" };
    grid.cells
        .iter()
        .enumerate()
        .map(|(row, cells)| {
            let text = label(row).map_or("", String::as_str);
            let mut line =
                Line::new().with(format!("{text:>width$} ", width = MARGIN - 2), Tone::Dim).with(axis, Tone::Dim);
            for (bits, c, tone) in cells {
                let dot = match (ascii, bits) {
                    (_, 0) => ' ',
                    (true, _) => *c,
                    (false, bits) => char::from_u32(0x2800 + u32::from(*bits)).unwrap_or(' '),
                };
                match line.spans.last_mut() {
                    Some(last) if last.tone == *tone => last.text.push(dot),
                    _ => line.push(dot.to_string(), *tone),
                }
            }
            line
        })
        .collect()
}

/// The axis below a plot, and its dates: where it begins, its middle, its end.
#[must_use]
pub fn time_axis(c: Context<'_>, (from, to): (Timestamp, Timestamp), size: usize) -> Vec<Line> {
    let width = size.saturating_sub(MARGIN).max(4);
    let (corner, dash) = if c.ascii { ("+", "-") } else { ("└", "─") };
    let mut out =
        vec![Line::new().with(format!("{}{corner}{}", " ".repeat(MARGIN - 1), dash.repeat(width)), Tone::Dim)];
    let long = to - from > chrono::TimeDelta::hours(36);
    let date = |t: Timestamp| t.format(if long { "%m-%d" } else { "%H:%M" }).to_string();
    let end = if to <= c.now && c.now - to < chrono::TimeDelta::minutes(2) { "now".to_owned() } else { date(to) };
    let mut text = date(from);
    let middle = date(from + (to - from) / 2);
    let half = width.saturating_sub(middle.len()) / 2;
    if half > text.len() + 1 && width > half + middle.len() + end.len() + 1 {
        text = format!("{text:<half$}{middle}");
    }
    let rest = width.saturating_sub(end.len());
    let unit = if long { "date" } else { "UTC" };
    out.push(Line::new().with(format!("{unit:>w$}  {text:<rest$}{end}", w = MARGIN - 2), Tone::Dim));
    out
}

/// A row of marks on the same axis as a plot: from when to when, and the mark at the
/// start. What began before the axis does runs in from its edge.
#[must_use]
pub fn marks(
    name: &str,
    (from, to): (Timestamp, Timestamp),
    marks: &[(Timestamp, Option<Timestamp>, char, Tone)],
    size: usize,
    ascii: bool,
) -> Line {
    let width = size.saturating_sub(MARGIN).max(4);
    let range = (secs(from), secs(to));
    let mut cells = vec![(' ', Tone::Plain); width];
    for (start, end, mark, tone) in marks {
        let column = |t: Timestamp| scale(part(secs(t), range).clamp(0.0, 1.0), width - 1);
        if let Some(end) = end {
            for cell in cells.iter_mut().take(column(*end) + 1).skip(column(*start)) {
                *cell = (if ascii { '-' } else { '─' }, *tone);
            }
        }
        if *start >= from
            && let Some(cell) = cells.get_mut(column(*start))
        {
            *cell = (*mark, *tone);
        }
    }
    let mut line = Line::new()
        .with(format!("{name:>width$} ", width = MARGIN - 2), Tone::Key)
        .with(if ascii { "|" } else { "│" }, Tone::Dim);
    for (c, tone) in cells {
        match line.spans.last_mut() {
            Some(last) if last.tone == tone => last.text.push(c),
            _ => line.push(c.to_string(), tone),
        }
    }
    line
}

/// Seconds since the epoch, as a place on an axis.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "for placing on a chart")]
pub fn secs(t: Timestamp) -> f64 {
    t.timestamp() as f64
}

fn part(n: f64, (from, to): (f64, f64)) -> f64 {
    if to > from { (n - from) / (to - from) } else { 0.0 }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "dots of a screen"
)]
fn scale(part: f64, last: usize) -> usize {
    ((part.clamp(0.0, 1.0) * last as f64).round() as usize).min(last)
}

/// The dots from one to another, both included.
fn between(a: (usize, usize), b: (usize, usize)) -> Vec<(usize, usize)> {
    let steps = a.0.abs_diff(b.0).max(a.1.abs_diff(b.1)).max(1);
    let at = |a: usize, b: usize, i: usize| if b >= a { a + (b - a) * i / steps } else { a - (a - b) * i / steps };
    (0..=steps).map(|i| (at(a.0, b.0, i), at(a.1, b.1, i))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(points: &[(f64, f64)], gap: f64, ascii: bool) -> Vec<String> {
        let chart = Chart {
            series: vec![Series { points, tone: Tone::Plain, ascii: '*', gap }],
            x: (0.0, 3.0),
            y: (0.0, 1.0),
            ticks: vec![(1.0, "100%".to_owned()), (0.0, "0%".to_owned())],
            size: (MARGIN + 4, 3),
        };
        plot(&chart, ascii).iter().map(Line::text).collect()
    }

    #[test]
    fn a_line_falls_and_its_heights_are_named() {
        let all = [(0.0, 1.0), (3.0, 0.0)];
        assert_eq!(drawn(&all, 9.0, true), ["   100% |**  ", "        |  * ", "     0% |   *"]);
        let braille = drawn(&all, 9.0, false);
        assert!(braille[0].starts_with("   100% │") && braille[0].ends_with("  "), "{braille:?}");
        let dots = |row: &String| row.chars().filter(|c| ('\u{2801}'..='\u{28ff}').contains(c)).count();
        assert!(braille.iter().all(|row| (1..=2).contains(&dots(row))), "{braille:?}");
    }

    #[test]
    fn a_gap_is_no_line_and_what_is_outside_is_not_drawn() {
        assert_eq!(drawn(&[(0.0, 1.0), (3.0, 0.0)], 1.0, true)[1], "        |    ");
        assert_eq!(drawn(&[(0.0, 1.0), (1.0, 7.0), (3.0, 0.0)], 9.0, true)[1], "        |    ");
        assert_eq!(drawn(&[], 1.0, false)[2], "     0% │    ");
    }
}
