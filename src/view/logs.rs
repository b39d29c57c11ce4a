//! The visible part of a log.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::app::logs::{LogLine, LogState};
use crate::domain::{Line, Span, Timestamp, Tone};

/// The lowest visible line and those above it until `height` rows are filled;
/// oldest first. Only these are looked at, however long the log is. A line that goes on
/// beyond the right edge ends in an [`ellipsis`].
#[must_use]
pub fn visible(state: &LogState, width: usize, height: usize, ascii: bool) -> Vec<Line> {
    let labels = labels(state, width, ascii);
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
        let built = build(state, line, width, &labels, ascii);
        filled += built.len();
        rows.push(built);
    }
    let mut out: Vec<Line> = rows.into_iter().rev().flatten().collect();
    let over = out.len().saturating_sub(height);
    out.drain(..over);
    out
}

/// What stands for the rest of a line.
#[must_use]
pub fn ellipsis(ascii: bool) -> &'static str {
    if ascii { "~" } else { "…" }
}

fn build(state: &LogState, line: &LogLine, width: usize, labels: &[String], ascii: bool) -> Vec<Line> {
    let mut prefix = Line::new();
    if state.timestamps && !line.marker {
        let time = line.at.map_or_else(|| "            ".to_owned(), short_time);
        prefix.push(time + " ", Tone::Time);
    }
    if state.request.sources.len() > 1 && !line.marker && state.only().is_none() {
        let label = labels.get(usize::from(line.source)).map_or("", String::as_str);
        let cut = labels.iter().map(|l| l.width()).max().unwrap_or(0);
        let number = u8::try_from(line.source % 6).unwrap_or(0);
        prefix.push(format!("{label:<cut$} "), Tone::Source(number));
    }
    // What says of itself that it is an error looks like one, unless it has chosen its own colours.
    let plain = !line.marker && line.spans.iter().all(|s| s.tone == Tone::Plain);
    let tone = if plain { super::level::tone(&line.text()) } else { None };
    let mut body: Vec<Span> = Vec::new();
    // Without what must not be there, a line that has the rest is no match.
    let found = state.found == Some(line.seq);
    for span in &line.spans {
        let span = Span { text: span.text.clone(), tone: tone.unwrap_or(span.tone) };
        if line.hit { highlight(state, &span, found, &mut body) } else { body.push(span) }
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
        let all: usize = body.iter().map(|s| s.text.width()).sum();
        if all > state.pan + room {
            line.spans.extend(cut(&body, state.pan, room - 1));
            line.push(ellipsis(ascii), Tone::Dim);
        } else {
            line.spans.extend(cut(&body, state.pan, room));
        }
        vec![line]
    }
}

fn short_time(at: Timestamp) -> String {
    at.format("%H:%M:%S%.3f").to_string()
}

/// What tells the sources apart, by their numbers: of the tasks' names the end in which
/// they differ, and the container only where there are several. A third of the screen at
/// the most.
fn labels(state: &LogState, width: usize, ascii: bool) -> Vec<String> {
    let parts: Vec<(&str, &str)> =
        state.request.sources.iter().map(|s| s.label.rsplit_once('/').unwrap_or(("", s.label.as_str()))).collect();
    let Some((first, container)) = parts.first().copied() else { return Vec::new() };
    let one_container = parts.iter().all(|(_, c)| *c == container);
    let short = ends(&parts);
    let one_task = parts.iter().all(|(task, _)| *task == first);
    let label = |(task, container): &(&str, &str)| match (one_task, one_container) {
        (true, _) => (*container).to_owned(),
        (false, true) => short(task),
        (false, false) => format!("{}/{container}", short(task)),
    };
    parts.iter().map(label).map(|l| tail(&l, width / 3, ascii)).collect()
}

/// How a task's name is shortened: to what follows its last hyphen if that differs for
/// each of them, else to what follows the part that they have in common.
fn ends(parts: &[(&str, &str)]) -> impl Fn(&str) -> String {
    let last = |task: &str| task.rsplit('-').next().unwrap_or(task).to_owned();
    let mut tasks: Vec<&str> = parts.iter().map(|(task, _)| *task).collect();
    tasks.sort_unstable();
    tasks.dedup();
    let distinct: std::collections::BTreeSet<String> = tasks.iter().map(|t| last(t)).collect();
    let unique = distinct.len() == tasks.len();
    // Up to a hyphen: half a word tells nobody anything.
    let (first, end) = (tasks.first().copied().unwrap_or(""), tasks.last().copied().unwrap_or(""));
    let alike = first.bytes().zip(end.bytes()).take_while(|(a, b)| a == b).count();
    let common = first.get(..alike).and_then(|c| c.rfind('-')).map_or(0, |at| at + 1);
    move |task| if unique { last(task) } else { task.get(common..).unwrap_or(task).to_owned() }
}

/// The end of a label: that is where pods of one workload differ.
fn tail(label: &str, width: usize, ascii: bool) -> String {
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
    out.push(ellipsis(ascii));
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

/// Rows of at most `width` terminal columns, broken between words where there are any.
#[must_use]
pub fn wrap(spans: &[Span], width: usize) -> Vec<Vec<Span>> {
    let mut rows: Vec<Vec<(&str, Tone)>> = vec![Vec::new()];
    let mut used = 0;
    for (g, tone) in spans.iter().flat_map(|s| s.text.graphemes(true).map(|g| (g, s.tone))) {
        if used + g.width() > width && used > 0 {
            let mut next = Vec::new();
            if g == " " {
                // The break stands for it.
                rows.push(next);
                used = 0;
                continue;
            }
            if let Some(row) = rows.last_mut() {
                // A word that would leave less than half of the row is broken itself.
                let space = row.iter().rposition(|(g, _)| *g == " ").filter(|at| *at >= width / 2);
                next = space.map(|at| row.split_off(at + 1)).unwrap_or_default();
            }
            used = next.iter().map(|(g, _)| g.width()).sum();
            rows.push(next);
        }
        used += g.width();
        if let Some(row) = rows.last_mut() {
            row.push((g, tone));
        }
    }
    rows.into_iter().map(joined).collect()
}

/// Neighbours of one tone become one span.
fn joined(row: Vec<(&str, Tone)>) -> Vec<Span> {
    let mut out: Vec<Span> = Vec::new();
    for (g, tone) in row {
        match out.last_mut() {
            Some(last) if last.tone == tone => last.text.push_str(g),
            _ => out.push(Span { text: g.to_owned(), tone }),
        }
    }
    out
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
