//! A small chart out of characters: a metric against its threshold.

use crate::domain::{Health, Line, Timestamp, Tone};

const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII: [char; 9] = [' ', '.', '.', ':', ':', '|', '|', '#', '#'];

/// What a chart shows, and how.
#[derive(Clone, Copy)]
pub struct Chart<'a> {
    /// Oldest first; not finite values are left out.
    pub points: &'a [(Timestamp, f64)],
    /// Drawn as a line across, where there is no bar.
    pub threshold: Option<f64>,
    /// What is below the threshold has crossed it, not what is above.
    pub below: bool,
    /// Columns of the terminal for the whole.
    pub width: usize,
    /// Rows for the bars; one more has the times.
    pub height: usize,
    /// No Unicode.
    pub ascii: bool,
    /// How a value is written.
    pub label: fn(f64, &str) -> String,
    /// The unit of the values, for the labels.
    pub unit: &'a str,
}

impl Chart<'_> {
    /// The chart, from top to bottom; nothing without a point.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        let points: Vec<(Timestamp, f64)> = self.points.iter().copied().filter(|(_, v)| v.is_finite()).collect();
        let (Some(first), Some(last)) = (points.first(), points.last()) else { return Vec::new() };
        let values = || points.iter().map(|(_, v)| *v).chain(self.threshold);
        let low = values().fold(0.0, f64::min);
        let high = values().fold(f64::MIN, f64::max);
        // Some air above, so that a line at the top is seen as one.
        let high = if high > low { high + (high - low) * 0.05 } else { low + 1.0 };
        let text = |v: f64| (self.label)(v, self.unit);
        let row_of = |v: f64| {
            let level = eighths((v - low) / (high - low), self.height);
            self.height - 1 - (level / 8).min(self.height - 1)
        };
        let threshold = self.threshold.map(|t| (row_of(t), text(t)));
        let (top, bottom) = (text(high), text(low));
        let gutter = [&top, &bottom].into_iter().chain(threshold.as_ref().map(|(_, t)| t)).map(|t| t.chars().count());
        let gutter = gutter.max().unwrap_or(0);
        let columns = self.width.saturating_sub(gutter + 2).max(4);
        let bars = columns_of(&points, columns, self.below);
        let mut out = Vec::new();
        for row in 0..self.height {
            let label = match &threshold {
                Some((r, text)) if *r == row => (text.as_str(), Tone::Warning),
                _ if row == 0 => (top.as_str(), Tone::Dim),
                _ if row + 1 == self.height => (bottom.as_str(), Tone::Dim),
                _ => ("", Tone::Dim),
            };
            let mut line = Line::new().with(format!("{:>gutter$} ", label.0), label.1);
            line.push(if self.ascii { "|" } else { "│" }, Tone::Dim);
            let is_line = threshold.as_ref().is_some_and(|(r, _)| *r == row);
            let mut bars_of_one_tone: Vec<(String, Tone)> = Vec::new();
            for bar in &bars {
                let (c, tone) = self.cell(*bar, row, is_line, (low, high));
                match bars_of_one_tone.last_mut().filter(|(_, t)| *t == tone) {
                    Some((text, _)) => text.push(c),
                    None => bars_of_one_tone.push((c.to_string(), tone)),
                }
            }
            for (text, tone) in bars_of_one_tone {
                line.push(text, tone);
            }
            out.push(line);
        }
        let (from, to) = (first.0.format("%H:%M").to_string(), last.0.format("%H:%M").to_string());
        let gap = columns.saturating_sub(from.len() + to.len()).max(1);
        out.push(Line::new().with(format!("{}{from}{}{to}", " ".repeat(gutter + 2), " ".repeat(gap)), Tone::Dim));
        out
    }

    fn cell(&self, bar: Option<f64>, row: usize, is_line: bool, (low, high): (f64, f64)) -> (char, Tone) {
        let filled = bar.map_or(0, |v| {
            let level = eighths((v - low) / (high - low), self.height);
            // A point at the bottom is a point.
            let level = level.max(1);
            level.saturating_sub((self.height - 1 - row) * 8).min(8)
        });
        if filled == 0 {
            let rule = if self.ascii { '-' } else { '─' };
            return if is_line { (rule, Tone::Warning) } else { (' ', Tone::Plain) };
        }
        let crossed = bar.zip(self.threshold).is_some_and(|(v, t)| if self.below { v < t } else { v > t });
        let tone = if crossed { Tone::Health(Health::Critical) } else { Tone::Gauge(0) };
        let blocks = if self.ascii { &ASCII } else { &BLOCKS };
        (blocks.get(filled).copied().unwrap_or(' '), tone)
    }
}

/// A share of the height in eighths of a row.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "clamped to a few rows"
)]
fn eighths(share: f64, height: usize) -> usize {
    (share.clamp(0.0, 1.0) * (height * 8) as f64).round() as usize
}

/// The value of each column: the worst of its points, the one before where it has none,
/// and nothing where points are missing.
fn columns_of(points: &[(Timestamp, f64)], columns: usize, below: bool) -> Vec<Option<f64>> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return vec![None; columns] };
    let start = first.0.timestamp();
    let mut steps: Vec<i64> = points.windows(2).map(|w| w[1].0.timestamp() - w[0].0.timestamp()).collect();
    steps.sort_unstable();
    let step = steps.get(steps.len() / 2).copied().unwrap_or(60).max(1);
    // The last point lasts as long as the others.
    let span = (last.0.timestamp() - start + step).max(1);
    let wide = i64::try_from(columns).unwrap_or(1);
    let border = |column: usize| start + i64::try_from(column).unwrap_or(0) * span / wide;
    (0..columns)
        .map(|column| {
            let (from, to) = (border(column), border(column + 1));
            let inside = points.iter().filter(|(at, _)| (from..to).contains(&at.timestamp())).map(|(_, v)| *v);
            let worst = inside.reduce(|a, b| if below { a.min(b) } else { a.max(b) });
            worst.or_else(|| {
                let before = points.iter().rev().find(|(at, _)| at.timestamp() < from)?;
                (from - before.0.timestamp() < step).then_some(before.1)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_timestamp(minute * 60, 0).unwrap_or_default()
    }

    fn drawn(points: &[(Timestamp, f64)], threshold: Option<f64>, ascii: bool) -> Vec<String> {
        let label = |v: f64, unit: &str| format!("{v:.0}{unit}");
        let chart = Chart { points, threshold, below: false, width: 14, height: 4, ascii, label, unit: "%" };
        chart.lines().iter().map(|l| l.text().trim_end().to_owned()).collect()
    }

    #[test]
    fn bars_stand_against_the_threshold() {
        let points: Vec<_> = (0..8).map(|m| (at(m), if m < 4 { 20.0 } else { 90.0 })).collect();
        let rows = drawn(&points, Some(60.0), false);
        assert_eq!(rows.len(), 5, "{rows:#?}");
        assert!(rows[1].starts_with("60% │─") && rows[1].contains('█'), "{rows:#?}");
        assert!(rows[4].contains("00:00") && rows[4].ends_with("00:07"), "{rows:#?}");
        let rows = drawn(&points, Some(60.0), true);
        assert!(rows.iter().all(|r| r.is_ascii()), "{rows:#?}");
    }

    #[test]
    fn what_is_missing_is_a_gap_and_not_a_zero() {
        let points = [(at(0), 50.0), (at(1), 50.0), (at(6), 50.0), (at(7), 50.0)];
        let bars = columns_of(&points, 8, false);
        assert_eq!(bars, [Some(50.0), Some(50.0), None, None, None, None, Some(50.0), Some(50.0)]);
        assert_eq!(columns_of(&[], 3, false), [None, None, None]);
    }

    #[test]
    fn nothing_odd_breaks_it() {
        assert!(drawn(&[], Some(1.0), false).is_empty());
        assert!(drawn(&[(at(0), f64::NAN)], None, false).is_empty());
        assert_eq!(drawn(&[(at(0), 0.0)], None, false).len(), 5);
        assert_eq!(drawn(&[(at(0), -5.0), (at(1), f64::INFINITY), (at(2), 5.0)], Some(-9.0), true).len(), 5);
    }
}
