//! The plan on screen and the page of an action.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use unicode_width::UnicodeWidthStr;

use super::lines::{fold, line, lines};
use super::overlay::{frame_of, popup};
use super::style::Painter;
use super::text::{paint, put};
use crate::app::App;
use crate::app::actions::dialog::Dialog;
use crate::domain::{Line, Tone};
use crate::theme::Role;
use crate::view::actions::{self, Row};
use crate::view::columns::Context;

fn place(area: Rect) -> Rect {
    let width = popup(area.width, 140);
    // The header stays: which cluster it is, and the time.
    Rect { x: area.x + (area.width - width) / 2, y: area.y + 1, width, height: area.height.saturating_sub(2) }
}

/// With fewer rows than this the plan needs them more than its fields.
const ROOMY: u16 = 30;

/// The fields below each other; where the text cursor belongs, and what is left below.
fn listed(buf: &mut Buffer, mut top: Rect, rows: &[Row], painter: &Painter<'_>) -> (Option<Position>, Rect) {
    let mut cursor = None;
    for row in rows {
        cursor = cursor.or(focusable(buf, top, row, painter));
        top = below(top, 1);
    }
    (cursor, top)
}

/// The fields beside each other, in as few lines as they take. What is told of the one with the focus stands
/// in the row below, which is blank else.
fn packed(buf: &mut Buffer, mut top: Rect, rows: &[Row], painter: &Painter<'_>) -> (Option<Position>, Rect) {
    let (mut cursor, mut x, mut hint) = (None, 0, "");
    for row in rows {
        let (text, at) = &row.brief;
        let width = u16::try_from(text.text().width()).unwrap_or(top.width).min(top.width);
        if x > 0 && x + width > top.width {
            (x, top) = (0, below(top, 1));
        }
        let part = Rect { x: top.x + x, width: top.width - x, ..top };
        if row.focused {
            hint = &row.hint;
            if part.height > 0 {
                paint(buf, Rect { height: 1, width, ..part }, painter.role(Role::RowSelected));
            }
        }
        line(buf, part, text, painter);
        if let Some(at) = at {
            let column = part.x + u16::try_from(*at).unwrap_or(0);
            cursor = Some(Position { x: column.min(part.right().saturating_sub(1)), y: part.y });
        }
        x = (x + width + 2).min(top.width);
    }
    top = below(top, 1);
    line(buf, top, &Line::new().with(hint, Tone::Dim), painter);
    (cursor, top)
}

/// Draws a plan; where the text cursor belongs.
pub fn dialog(buf: &mut Buffer, area: Rect, d: &mut Dialog, c: Context<'_>, painter: &Painter<'_>) -> Option<Position> {
    let at = place(area);
    let model = actions::dialog(d, c, usize::from(at.width.saturating_sub(4)));
    let inner = frame_of(buf, at, &model.title, painter);
    let small = area.height < ROOMY && model.fields.len() > 2;
    let (mut cursor, mut top) =
        if small { packed(buf, inner, &model.fields, painter) } else { listed(buf, inner, &model.fields, painter) };
    if !model.fields.is_empty() {
        top = below(top, 1);
    }
    // From below: buttons, what is missing, what has to be said.
    let foot = u16::try_from(model.foot.len()).unwrap_or(0);
    let taken = 1 + u16::from(model.error.is_some()) + foot;
    let body = Rect { height: top.height.saturating_sub(taken + 1), ..top };
    let rows: Vec<Line> = model.body.iter().flat_map(|l| fold(l, usize::from(body.width))).collect();
    d.scroll = d.scroll.min(rows.len().saturating_sub(usize::from(body.height)));
    lines(buf, body, rows.get(d.scroll..).unwrap_or_default(), painter);
    let mut rest = Rect { y: body.bottom(), height: inner.bottom().saturating_sub(body.bottom()), ..inner };
    let more = rows.len().saturating_sub(d.scroll + usize::from(body.height));
    if more > 0 {
        let text = format!("{more} more line{}, page-down", if more == 1 { "" } else { "s" });
        line(buf, rest, &Line::new().with(text, Tone::Dim), painter);
    }
    rest = below(rest, 1);
    for row in &model.foot {
        cursor = cursor.or(focusable(buf, rest, row, painter));
        rest = below(rest, 1);
    }
    if let Some(error) = &model.error {
        line(buf, rest, &Line::new().with(error.clone(), Tone::Error), painter);
        rest = below(rest, 1);
    }
    let mut x = rest.x;
    for button in &model.buttons {
        let (open, close) = if button.focused { (if painter.ascii { ">" } else { "▶" }, " ") } else { (" ", " ") };
        let label = format!("{open}[ {} ]{close}", button.label);
        let style = if button.focused { painter.role(Role::RowSelected) } else { painter.role(Role::Text) };
        let room = usize::from(rest.right().saturating_sub(x));
        if rest.height > 0 {
            let after = put(buf, x, rest.y, &label, room, style);
            x = after + 1;
        }
    }
    cursor
}

fn below(area: Rect, rows: u16) -> Rect {
    let rows = rows.min(area.height);
    Rect { y: area.y + rows, height: area.height - rows, ..area }
}

fn focusable(buf: &mut Buffer, area: Rect, row: &Row, painter: &Painter<'_>) -> Option<Position> {
    if area.height == 0 {
        return None;
    }
    if row.focused {
        paint(buf, Rect { height: 1, ..area }, painter.role(Role::RowSelected));
    }
    line(buf, area, &row.line, painter);
    let x = area.x + u16::try_from(row.cursor?).unwrap_or(0);
    Some(Position { x: x.min(area.right().saturating_sub(1)), y: area.y })
}

/// Draws an action that runs, or is over.
pub fn run(buf: &mut Buffer, area: Rect, app: &mut App, ticket: u64, c: Context<'_>, painter: &Painter<'_>) {
    let Some(run) = app.runs.iter_mut().find(|r| r.ticket == ticket) else { return };
    let at = place(area);
    let (title, body) = actions::run(run, c, usize::from(at.width.saturating_sub(4)));
    let inner = frame_of(buf, at, &title, painter);
    let rows: Vec<Line> = body.iter().flat_map(|l| fold(l, usize::from(inner.width))).collect();
    run.scroll = run.scroll.min(rows.len().saturating_sub(usize::from(inner.height)));
    lines(buf, inner, rows.get(run.scroll..).unwrap_or_default(), painter);
    let more = rows.len().saturating_sub(run.scroll + usize::from(inner.height));
    if more > 0 {
        buf.set_string(at.x + 2, at.bottom() - 1, format!(" {more} more lines "), painter.role(Role::Dim));
    }
}

/// Draws the actions of this session.
pub fn runs(buf: &mut Buffer, area: Rect, app: &App, selected: usize, c: Context<'_>, painter: &Painter<'_>) {
    let at = place(area);
    let title = Line::new().with(" actions of this session ", Tone::Title);
    let inner = frame_of(buf, at, &title, painter);
    let all = actions::runs(app, c);
    let from = selected.saturating_sub(usize::from(inner.height).saturating_sub(1));
    for ((y, l), i) in (inner.top()..inner.bottom()).zip(all.iter().skip(from)).zip(from..) {
        let row = Rect { y, height: 1, ..inner };
        if i == selected && !app.runs.is_empty() {
            paint(buf, row, painter.role(Role::RowSelected));
        }
        line(buf, row, l, painter);
    }
}

/// Draws the question before the console ends with something running.
pub fn quit(buf: &mut Buffer, area: Rect, app: &App, painter: &Painter<'_>) {
    let text = actions::quit(app);
    let wide = text.iter().map(|l| l.text().width()).max().unwrap_or(0);
    let width = u16::try_from(wide + 4).unwrap_or(area.width).min(area.width);
    let height = u16::try_from(text.len() + 2).unwrap_or(area.height).min(area.height);
    let at = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 3, width, height };
    let inner = frame_of(buf, at, &Line::new().with(" quit? ", Tone::Title), painter);
    lines(buf, inner, &text, painter);
}
