//! Sparklines and bars out of characters.

/// The eight heights of a sparkline.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The same where there is no Unicode.
const ASCII: [char; 8] = ['_', '_', '.', '-', '-', '=', '=', '#'];

/// The last `width` values as a sparkline against `max`. No values, no line.
#[must_use]
pub fn sparkline(values: impl Iterator<Item = u32>, max: u32, width: usize, ascii: bool) -> String {
    let values: Vec<u32> = values.collect();
    let skip = values.len().saturating_sub(width);
    let blocks = if ascii { &ASCII } else { &BLOCKS };
    let max = u64::from(max.max(1));
    values
        .iter()
        .skip(skip)
        .map(|v| {
            let level = usize::try_from(u64::from(*v) * 8 / max).unwrap_or(7).min(7);
            blocks.get(level).copied().unwrap_or(' ')
        })
        .collect()
}

/// The last `width` values as a sparkline from 0 to the largest of them; what was not
/// measured is a blank, and never a zero.
#[must_use]
pub fn gapped(values: impl Iterator<Item = Option<f64>>, width: usize, ascii: bool) -> String {
    let values: Vec<Option<f64>> = values.map(|v| v.filter(|v| v.is_finite() && *v >= 0.0)).collect();
    let skip = values.len().saturating_sub(width);
    let blocks = if ascii { &ASCII } else { &BLOCKS };
    let max = values.iter().skip(skip).flatten().copied().fold(f64::MIN_POSITIVE, f64::max);
    let min = values.iter().skip(skip).flatten().copied().fold(f64::INFINITY, f64::min);
    // What hardly changes is a line in the middle, not a wall: the eye is led to what moves.
    let flat = min.is_finite() && min > max * 0.8;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 8")]
    let level = |v: f64| if flat { 3 } else { ((v / max * 8.0) as usize).min(7) };
    values.iter().skip(skip).map(|v| v.map_or(' ', |v| blocks.get(level(v)).copied().unwrap_or(' '))).collect()
}

/// `part` of `whole` as a bar of `width` characters.
#[must_use]
pub fn bar(part: u64, whole: u64, width: usize, ascii: bool) -> String {
    let (full, empty) = if ascii { ('#', '.') } else { ('█', '░') };
    let rounded = (part * width as u64 + whole / 2).checked_div(whole).unwrap_or(0);
    let filled = usize::try_from(rounded).unwrap_or(width).min(width);
    // A little is not nothing.
    let filled = if part > 0 { filled.max(1) } else { filled };
    (0..width).map(|i| if i < filled { full } else { empty }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_bars() {
        assert_eq!(sparkline([0, 50, 100].into_iter(), 100, 8, false), "▁▅█");
        assert_eq!(sparkline([1, 2, 3, 4].into_iter(), 4, 2, true), "=#");
        assert_eq!(gapped([Some(0.0), None, Some(2.0), Some(4.0)].into_iter(), 8, false), "▁ ▅█");
        assert_eq!(gapped([Some(30.0), None, Some(30.5)].into_iter(), 8, false), "▄ ▄");
        assert_eq!(gapped([None, Some(f64::NAN), Some(0.0)].into_iter(), 2, true), " _");
        assert_eq!(bar(1, 2, 4, false), "██░░");
        assert_eq!(bar(0, 0, 3, true), "...");
        assert_eq!(bar(1, 1000, 4, true), "#...");
    }
}
