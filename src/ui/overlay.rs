//! Help, errors, palette and which-key popup.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::widgets::{Block, BorderType, Widget};

use super::lines::{fold, line, lines};
use super::style::Painter;
use super::text::{blank, paint, put};
use crate::app::App;
use crate::app::overlay::{Choice, Overlay, Palette};
use crate::domain::{Line, Tone};
use crate::theme::Role;
use crate::view::columns::Context;
use crate::view::help;

/// What is left of a page beside a popup is of use only from this width on, on either side.
const STRIP: u16 = 20;

/// How wide a popup of at most `most` columns is on a screen `all` columns wide: all of it where only strips
/// would be left beside it.
pub(super) const fn popup(all: u16, most: u16) -> u16 {
    if all < most + 2 * STRIP { all } else { most }
}

/// Draws what lies over the page; where the text cursor belongs, if anywhere.
pub fn draw(buf: &mut Buffer, area: Rect, app: &mut App, c: Context<'_>, painter: &Painter<'_>) -> Option<Position> {
    let context = app.page_context();
    match &mut app.overlay {
        Some(Overlay::Help { scroll, context }) => {
            let text = help::help(&app.keymap, *context);
            scrolled(buf, area, " keys ", &text, scroll, painter);
            None
        }
        Some(Overlay::Errors { scroll }) => {
            let text = help::errors(c, app.settings.log_file.as_deref());
            scrolled(buf, area, " sources and errors ", &text, scroll, painter);
            None
        }
        Some(Overlay::Palette(palette)) => Some(palette_box(buf, area, palette, &app.keymap, context, painter)),
        Some(Overlay::Action(dialog)) => super::dialog::dialog(buf, area, dialog, c, painter),
        Some(Overlay::Run { ticket }) => {
            let ticket = *ticket;
            super::dialog::run(buf, area, app, ticket, c, painter);
            None
        }
        Some(Overlay::Runs { selected }) => {
            let selected = *selected;
            super::dialog::runs(buf, area, app, selected, c, painter);
            None
        }
        Some(Overlay::Quit) => {
            super::dialog::quit(buf, area, app, painter);
            None
        }
        None => {
            if !app.pending.is_empty() {
                let text = help::which_key(&app.keymap, app.page_context(), &app.pending);
                which_key(buf, area, &crate::key::format_sequence(&app.pending), &text, painter);
            }
            None
        }
    }
}

fn frame(buf: &mut Buffer, area: Rect, title: &str, painter: &Painter<'_>) -> Rect {
    frame_of(buf, area, &Line::new().with(title, Tone::Title), painter)
}

/// A popup's border with a title of several tones; returns what is inside.
pub(super) fn frame_of(buf: &mut Buffer, area: Rect, title: &Line, painter: &Painter<'_>) -> Rect {
    blank(buf, area, painter.role(Role::Background).patch(painter.role(Role::Popup)));
    let mut block = Block::bordered().border_style(painter.role(Role::BorderFocused));
    if painter.ascii {
        block = block.border_set(ratatui::symbols::border::Set {
            top_left: "+",
            top_right: "+",
            bottom_left: "+",
            bottom_right: "+",
            vertical_left: "|",
            vertical_right: "|",
            horizontal_top: "-",
            horizontal_bottom: "-",
        });
    } else {
        block = block.border_type(BorderType::Rounded);
    }
    let inner = block.inner(area);
    block.render(area, buf);
    let mut x = area.x + 1;
    for span in &title.spans {
        let style = if span.tone == Tone::Title { painter.role(Role::PopupTitle) } else { painter.tone(span.tone) };
        let room = usize::from(area.right().saturating_sub(x + 1));
        x = put(buf, x, area.y, &span.text, room, style);
    }
    Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }
}

fn scrolled(buf: &mut Buffer, area: Rect, title: &str, text: &[Line], scroll: &mut usize, painter: &Painter<'_>) {
    let width = popup(area.width, 120);
    let at = Rect { x: area.x + (area.width - width) / 2, y: area.y + 1, width, height: area.height.saturating_sub(2) };
    let inner = frame(buf, at, title, painter);
    let rows: Vec<Line> = text.iter().flat_map(|l| fold(l, usize::from(inner.width))).collect();
    *scroll = (*scroll).min(rows.len().saturating_sub(usize::from(inner.height)));
    lines(buf, inner, rows.get(*scroll..).unwrap_or_default(), painter);
    let below = rows.len().saturating_sub(*scroll + usize::from(inner.height));
    if below > 0 {
        let text = format!(" {below} more lines ");
        buf.set_string(at.x + 2, at.bottom() - 1, &text, painter.role(Role::Dim));
    }
}

fn palette_box(
    buf: &mut Buffer,
    area: Rect,
    palette: &Palette,
    keymap: &crate::keymap::Keymap,
    context: crate::key::Context,
    painter: &Painter<'_>,
) -> Position {
    let width = popup(area.width, 76);
    let height = area.height.saturating_sub(2).min(18);
    let at = Rect { x: area.x + (area.width - width) / 2, y: area.y + 1, width, height };
    let inner = frame(buf, at, &format!(" {} ", palette.title), painter);
    let noted = u16::from(!palette.note.is_empty() && inner.height > 3);
    if noted > 0 {
        let row = Rect { y: inner.bottom() - 1, height: 1, ..inner };
        line(buf, row, &Line::new().with(palette.note.as_str(), Tone::Warning), painter);
    }
    let inner = Rect { height: inner.height - noted, ..inner };
    let input = Line::new().with(": ", Tone::Key).with(palette.input.value(), Tone::Strong);
    line(buf, inner, &input, painter);
    let room = usize::from(inner.height.saturating_sub(1));
    let from = palette.selected.saturating_sub(room.saturating_sub(1));
    let list = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    for ((y, index), i) in (list.top()..list.bottom()).zip(palette.found.iter().skip(from)).zip(from..) {
        let Some((choice, text)) = palette.choices.get(*index) else { continue };
        let row = Rect { y, height: 1, ..list };
        if i == palette.selected {
            paint(buf, row, painter.role(Role::RowSelected));
        }
        let l = match choice {
            Choice::Command(command) => {
                let info = command.info();
                let keys = keymap.keys_for(context, *command).first().map_or("", String::as_str);
                let name = info.name.strip_prefix("view-").unwrap_or(info.name);
                Line::new()
                    .with(format!("{name:<18} "), Tone::Strong)
                    .with(format!("{keys:<10} "), Tone::Key)
                    .with(help::unquoted(info.doc), Tone::Dim)
            }
            Choice::Cluster(..) => Line::new().with(text.as_str(), Tone::Strong),
            Choice::Runbook(name) => {
                let keys = runbook_keys(keymap, name);
                let title = text.split("  ").next().unwrap_or_default();
                Line::new()
                    .with(format!("{name:<21} "), Tone::Strong)
                    .with(format!("{keys:<6} "), Tone::Key)
                    .with(title, Tone::Dim)
            }
        };
        line(buf, row, &l, painter);
    }
    if palette.found.is_empty() {
        line(buf, list, &Line::new().with(palette.nothing, Tone::Dim), painter);
    }
    let x = inner.x + 2 + u16::try_from(palette.input.visual_cursor()).unwrap_or(0);
    Position { x: x.min(inner.right().saturating_sub(1)), y: inner.y }
}

/// The keys that open a runbook.
fn runbook_keys(keymap: &crate::keymap::Keymap, name: &str) -> String {
    let is = |e: &&crate::keymap::Extra| matches!(&e.what, crate::keymap::ExtraKind::Runbook(n) if n == name);
    keymap.extras().iter().find(is).map(|e| crate::key::format_sequence(&e.keys)).unwrap_or_default()
}

fn which_key(buf: &mut Buffer, area: Rect, title: &str, text: &[Line], painter: &Painter<'_>) {
    let height = u16::try_from(text.len()).unwrap_or(0).saturating_add(2).min(area.height.saturating_sub(3));
    let at = Rect { y: area.bottom().saturating_sub(height + 1), height, ..area };
    let inner = frame(buf, at, &format!(" {title} "), painter);
    lines(buf, inner, text, painter);
}
