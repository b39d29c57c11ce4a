//! The visible part of a log.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::app::logs::{LogLine, LogState};
use crate::domain::{Line, Span, Timestamp, Tone};

/// The lowest visible line and those above it until `height` rows are filled;
/// oldest first. Only these are looked at, however long the log is.
#[must_use]
pub fn visible(state: &LogState, width: usize, height: usize) -> Vec<Line> {
    let Some(bottom) = state.bottom() else { return Vec::new() };
    let mut rows: Vec<Vec<Line>> = Vec::new();
    let mut filled = 0;
    for index in (0..=bottom).rev() {
        if filled >= height {
            break;
        }
        let Some(line) = state.buffer.lines().get(index) else { continue };
        if !state.keeps(line) {
            continue;
        }
        let built = build(state, line, width);
        filled += built.len();
        rows.push(built);
    }
    let mut out: Vec<Line> = rows.into_iter().rev().flatten().collect();
    let over = out.len().saturating_sub(height);
    out.drain(..over);
    out
}

fn build(state: &LogState, line: &LogLine, width: usize) -> Vec<Line> {
    let mut prefix = Line::new();
    if state.timestamps && !line.marker {
        let time = line.at.map_or_else(|| "            ".to_owned(), short_time);
        prefix.push(time + " ", Tone::Time);
    }
    if state.request.sources.len() > 1 && !line.marker && state.only().is_none() {
        let label = state.request.sources.get(usize::from(line.source)).map_or("", |s| s.label.as_str());
        let cut = label_width(state, width);
        let number = u8::try_from(line.source % 6).unwrap_or(0);
        prefix.push(format!("{:<cut$} ", tail(label, cut)), Tone::Source(number));
    }
    let mut body: Vec<Span> = Vec::new();
    // Without what must not be there, a line that has the rest is no match.
    let found = state.found == Some(line.seq);
    for span in &line.spans {
        if line.hit { highlight(state, span, found, &mut body) } else { body.push(span.clone()) }
    }
    let prefix_width = prefix.spans.iter().map(|s| s.text.width()).sum::<usize>();
    let room = width.saturating_sub(prefix_width).max(10);
    if state.wrap {
        wrap(&body, room)
            .into_iter()
            .enumerate()
            .map(|(i, spans)| {
                let mut line =
                    if i == 0 { prefix.clone() } else { Line::new().with(" ".repeat(prefix_width), Tone::Plain) };
                line.spans.extend(spans);
                line
            })
            .collect()
    } else {
        let mut line = prefix;
        line.spans.extend(cut(&body, state.pan, room));
        vec![line]
    }
}

fn short_time(at: Timestamp) -> String {
    at.format("%H:%M:%S%.3f").to_string()
}

/// Labels get a third of the screen at the most.
fn label_width(state: &LogState, width: usize) -> usize {
    let widest = state.request.sources.iter().map(|s| s.label.width()).max().unwrap_or(0);
    widest.min(width / 3)
}

/// The end of a label: that is where pods of one workload differ.
fn tail(label: &str, width: usize) -> String {
    if label.width() <= width {
        return label.to_owned();
    }
    let mut out: Vec<&str> = Vec::new();
    let mut used = 1;
    for g in label.graphemes(true).rev() {
        if used + g.width() > width {
            break;
        }
        used += g.width();
        out.push(g);
    }
    out.push("…");
    out.into_iter().rev().collect()
}

/// Splits a span at what is looked for; `found`: this is the match gone to.
fn highlight(state: &LogState, span: &Span, found: bool, out: &mut Vec<Span>) {
    let lower = span.text.to_ascii_lowercase();
    let mut marks: Vec<(usize, usize)> = state
        .buffer
        .wanted()
        .words
        .iter()
        .filter(|(text, negated)| !negated && !text.is_empty())
        .flat_map(|(text, _)| lower.match_indices(text.as_str()).map(|(at, m)| (at, at + m.len())))
        .collect();
    marks.sort_unstable();
    let tone = if found { Tone::Found } else { Tone::Match };
    let mut at = 0;
    for (start, end) in marks {
        if start < at {
            continue;
        }
        if start > at {
            out.push(Span { text: span.text[at..start].to_owned(), tone: span.tone });
        }
        out.push(Span { text: span.text[start..end].to_owned(), tone });
        at = end;
    }
    if at < span.text.len() {
        out.push(Span { text: span.text[at..].to_owned(), tone: span.tone });
    }
}

/// Rows of at most `width` terminal columns.
#[must_use]
pub fn wrap(spans: &[Span], width: usize) -> Vec<Vec<Span>> {
    let mut rows: Vec<Vec<Span>> = vec![Vec::new()];
    let mut used = 0;
    for span in spans {
        let mut text = String::new();
        for g in span.text.graphemes(true) {
            if used + g.width() > width && used > 0 {
                if !text.is_empty() {
                    push(&mut rows, std::mem::take(&mut text), span.tone);
                }
                rows.push(Vec::new());
                used = 0;
            }
            used += g.width();
            text.push_str(g);
        }
        if !text.is_empty() {
            push(&mut rows, text, span.tone);
        }
    }
    rows
}

fn push(rows: &mut [Vec<Span>], text: String, tone: Tone) {
    if let Some(row) = rows.last_mut() {
        row.push(Span { text, tone });
    }
}

/// The part of a line from column `from`, `width` columns wide.
#[must_use]
pub fn cut(spans: &[Span], from: usize, width: usize) -> Vec<Span> {
    let mut out = Vec::new();
    let mut at = 0;
    for span in spans {
        let mut text = String::new();
        for g in span.text.graphemes(true) {
            let w = g.width();
            if at >= from && at + w <= from + width {
                text.push_str(g);
            }
            at += w;
        }
        if !text.is_empty() {
            out.push(Span { text, tone: span.tone });
        }
    }
    out
}
