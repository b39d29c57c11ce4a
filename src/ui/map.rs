//! The map of nodes, and of tasks that are on none.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::lines::{line, lines};
use super::style::Painter;
use super::text::paint;
use crate::app::table::TableState;
use crate::domain::{Health, Line, Tone};
use crate::theme::Role;
use crate::view::columns::Context;
use crate::view::map::{Detail, elsewhere, is_unmeasured, map, task_mark};

/// Cells in rows, as many as fit, scrolled so that the cursor's row is visible.
pub fn draw(buf: &mut Buffer, area: Rect, table: &mut TableState, c: Context<'_>, painter: &Painter<'_>) {
    crate::view::arrange(table, c);
    let elsewhere = elsewhere(table, c);
    let all = table.order.len() + elsewhere.len();
    if all == 0 {
        let text = crate::view::table::emptiness(table, c);
        super::page::said(buf, area, &text, painter);
        return;
    }
    let width: u16 = if area.width >= 120 { 22 } else { 18 };
    let columns = usize::from((area.width / (width + 2)).max(1));
    let rows = all.div_ceil(columns);
    // Few nodes get room for bars and all their tasks; many get figures and a row.
    let room = area.height.saturating_sub(1);
    let height = room / u16::try_from(rows.max(1)).unwrap_or(u16::MAX);
    let (height, detail) = match height {
        ..6 => (4, Detail::Compact),
        6.. => (height.min(9), Detail::Full(usize::from(height.min(9) - 5))),
    };
    let cells = map(table, c, elsewhere, usize::from(width), detail);
    let visible = usize::from(room / height).max(1);
    let mut first = (table.cursor_at / columns).saturating_sub(visible - 1);
    // The cursor goes by nodes: on the last of them, what follows is to be seen, too.
    if table.cursor_at + columns >= table.order.len() {
        first = first.max(rows.saturating_sub(visible).min(table.cursor_at / columns));
    }
    (table.page, table.columns) = (visible, columns);
    for (i, cell) in cells.iter().enumerate().skip(first * columns).take(visible * columns) {
        let (row, column) = ((i / columns) - first, i % columns);
        let x = area.x + 2 + u16::try_from(column).unwrap_or(0) * (width + 2);
        let y = area.y + u16::try_from(row).unwrap_or(0) * height;
        let at = Rect {
            x,
            y,
            width: width.min(area.right().saturating_sub(x)),
            height: height.min(area.bottom().saturating_sub(y)),
        };
        if cell.selected {
            paint(buf, Rect { height: 1, ..at }, painter.role(Role::RowSelected));
            buf.set_string(x - 2, y, if painter.ascii { ">" } else { "▶" }, painter.role(Role::RowCursor));
        }
        lines(buf, Rect { height: at.height.saturating_sub(1), ..at }, &cell.lines, painter);
    }
    legend(buf, area, table, c, painter);
}

fn legend(buf: &mut Buffer, area: Rect, table: &TableState, c: Context<'_>, painter: &Painter<'_>) {
    let mut text = Line::new().with(format!(" {} nodes  ", table.order.len()), Tone::Dim);
    for health in [Health::Ok, Health::Progressing, Health::Warning, Health::Critical, Health::Unknown] {
        text.push(format!("{} ", task_mark(health, painter.ascii)), Tone::Health(health));
        text.push(format!("{}  ", health.word()), Tone::Dim);
    }
    if is_unmeasured(table, c) {
        text.push("~ requested", Tone::Dim);
    }
    line(buf, Rect { y: area.bottom().saturating_sub(1), height: 1, ..area }, &text, painter);
}
