//! From the view models to the cells of the terminal.
//!
//! ```text
//!  quarterdeck demo  tasks › describe web            00:12:33 UTC   header
//!  ● live  nodes 12/12  tasks 152  ✖ 1                              numbers
//!  staging ▲ stale 40s: connection refused, 10.0.0.1:443  tasks     troubles, if any
//!  NAME            READY  STATUS    ...            │ details        page
//!  ...                                             │ pane
//!  /filter…  or a notice                                            prompt
//!  enter open  / filter  ? help                                     hints
//! ```

mod dialog;
mod lines;
mod map;
mod overlay;
mod page;
pub mod style;
mod text;
pub mod wall;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use crate::app::overlay::{Overlay, PromptKind};
use crate::app::{App, Page};
use crate::domain::{Line, Tone};
use crate::theme::{Role, Theme};
use crate::view::columns::Context;
use crate::view::{header, help};
use lines::{line, lines as draw_lines};
use style::Painter;
use text::{paint, put};

/// Below this the console says so instead of drawing what nobody can read.
pub const USABLE: (u16, u16) = (40, 8);

/// Draws everything into `area`; where the text cursor belongs, if anywhere.
pub fn draw(buf: &mut Buffer, area: Rect, app: &mut App, c: Context<'_>, theme: &Theme) -> Option<Position> {
    let painter = Painter::new(theme, c.ascii);
    paint(buf, area, theme.style(Role::Background));
    app.size = (area.width, area.height);
    if area.width < USABLE.0 || area.height < USABLE.1 {
        too_small(buf, area, &painter);
        return None;
    }
    let full = matches!(app.page(), Some(Page::Logs(l)) if l.full_screen);
    let mut rest = area;
    if !full {
        // A short screen is for rows: one header line.
        let compact = app.compact;
        app.compact = compact || area.height < 16;
        let head = header::header(app, c, usize::from(area.width));
        app.compact = compact;
        for (i, l) in head.iter().enumerate() {
            let row = take_top(&mut rest);
            paint(buf, row, theme.style(Role::HeaderBar));
            line(buf, row, l, &painter);
            if i == 0 && l.spans.is_empty() {
                break;
            }
        }
    }
    let hints = if full { None } else { Some(take_bottom(&mut rest)) };
    let bottom = if app.prompt.is_some() || app.notice.is_some() { Some(take_bottom(&mut rest)) } else { None };
    page::draw(buf, rest, app, c, &painter);
    if let Some(row) = hints {
        hint_bar(buf, row, app, &painter);
    }
    let mut cursor = None;
    if let Some(row) = bottom {
        cursor = prompt_or_notice(buf, row, app, &painter);
    }
    if let Some(at) = overlay::draw(buf, area, app, c, &painter) {
        cursor = Some(at);
    }
    cursor
}

fn too_small(buf: &mut Buffer, area: Rect, painter: &Painter<'_>) {
    let text = [
        "too small".to_owned(),
        format!("{}x{} here", area.width, area.height),
        format!("{}x{} needed", USABLE.0, USABLE.1),
    ];
    for (y, t) in (area.top()..area.bottom()).zip(text) {
        let l = Line::new().with(t, Tone::Warning);
        line(buf, Rect { y, height: 1, ..area }, &l, painter);
    }
}

fn take_top(rest: &mut Rect) -> Rect {
    let row = Rect { height: rest.height.min(1), ..*rest };
    rest.y += row.height;
    rest.height -= row.height;
    row
}

fn take_bottom(rest: &mut Rect) -> Rect {
    let height = rest.height.min(1);
    rest.height -= height;
    Rect { y: rest.y + rest.height, height, ..*rest }
}

fn hint_bar(buf: &mut Buffer, row: Rect, app: &App, painter: &Painter<'_>) {
    let hints = match &app.overlay {
        None => match app.stack.last() {
            Some(Page::Logs(l)) => help::log_hints(&app.keymap, l.follow),
            _ => help::hints(&app.keymap, app.page_context()),
        },
        Some(Overlay::Action(_)) => help::DIALOG_HINTS.iter().map(|(k, l)| ((*k).to_owned(), *l)).collect(),
        Some(Overlay::Quit) => vec![("esc".to_owned(), "stay"), ("enter".to_owned(), "quit")],
        Some(Overlay::Run { .. } | Overlay::Runs { .. }) => help::hints(&app.keymap, crate::key::Context::Action),
        Some(overlay) => help::overlay_hints(&app.keymap, matches!(overlay, Overlay::Palette(_))),
    };
    let mut x = row.x + 1;
    for (key, label) in help::fitting(&hints, usize::from(row.width.saturating_sub(1))) {
        let at = put(buf, x, row.y, &key, usize::from(row.right() - x), painter.role(Role::HintKey)) + 1;
        let room = usize::from(row.right().saturating_sub(at));
        x = put(buf, at, row.y, label, room, painter.role(Role::HintLabel)) + 2;
    }
}

fn prompt_or_notice(buf: &mut Buffer, row: Rect, app: &App, painter: &Painter<'_>) -> Option<Position> {
    if let Some(prompt) = &app.prompt {
        let label = match prompt.kind {
            PromptKind::Filter => "filter ",
            PromptKind::LogFilter => "lines with ",
            PromptKind::Search => "search ",
        };
        let mut l = Line::new().with(format!(" {label}"), Tone::Key);
        let before = l.text().chars().count();
        l.push(prompt.input.value(), Tone::Strong);
        if let Some(error) = &prompt.error {
            l.push(format!("   {error}"), Tone::Error);
        } else if prompt.input.value().is_empty() && prompt.kind == PromptKind::Filter {
            l.push("  text  !text  -l key=value  status=*Back*  cpu>80%  age<1h", Tone::Dim);
        }
        line(buf, row, &l, painter);
        let x = row.x + u16::try_from(before + prompt.input.visual_cursor()).unwrap_or(0);
        return Some(Position { x: x.min(row.right().saturating_sub(1)), y: row.y });
    }
    if let Some((_, notice)) = &app.notice {
        let tone = if notice.is_error { Tone::Error } else { Tone::Strong };
        line(buf, row, &Line::new().with(format!(" {}", notice.text), tone), painter);
    }
    None
}

/// Draws lines from the top of an area; for callers outside this module.
pub fn draw_text(buf: &mut Buffer, area: Rect, text: &[Line], theme: &Theme, ascii: bool) {
    draw_lines(buf, area, text, &Painter::new(theme, ascii));
}
