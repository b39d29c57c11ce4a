//! The wallboard, drawn for three metres: the same things at the same places on every page.
//!
//! ```text
//!  PAGING (big)             3 (big)        03:14:07 (big)    strip
//!  ✖ 3 alarms paging         alarms page    UTC Sun 1 Mar
//!  ▲ 1:43 ip-10-0-1-7   ✖ web 22.8 % left, page   24/26 fresh
//!  ──────────────────────────────────────────────────────────
//!  NODES         TASKS BROKEN      SHORT                      tiles
//!  12/12 (big)   3 (big)           1 (big)
//!  all ready     of 152            workloads
//!
//!  lines, or the map                                          body
//!  alarms 4/7   stays: 3 alarms page; until it clears …       foot
//! ```

mod big;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::lines::{line, lines};
use super::overlay::frame_of;
use super::style::Painter;
use super::text::paint;
use crate::app::wall::{Pace, Wall, shift};
use crate::domain::{Health, Line, Tone};
use crate::theme::{Role, Theme};
use crate::view::columns::Context;
use crate::view::map::{MapCell, task_mark};
use crate::view::wall::{Body, Head, Tile, Trust, scene};
use big::Scale;

/// The widest headline, and room for any clock and a count of alarms.
const WIDEST: (&str, &str, &str) = ("DEGRADED", "00+", "00:00:00");

/// Where things are: a function of the size alone, so that they do not move.
struct Places {
    /// Of headline, count and clock; `None` where there is no room for large ones.
    strip: Option<Scale>,
    /// Rows of the strip, its rule included.
    head: u16,
    /// Rows of the tiles' figures.
    figures: u16,
}

impl Places {
    fn of(area: Rect, ascii: bool) -> Self {
        let strip = scale_of_strip(area, ascii);
        let head = strip.map_or(1, Scale::rows) + 3;
        let rest = area.height.saturating_sub(head + 1);
        let figures = match rest {
            ..7 => 0,
            7..10 => 1,
            rest => (rest / 4).max(if ascii { 5 } else { 3 }),
        };
        Self { strip, head, figures }
    }

    /// Rows of the tiles with label, note, and an empty one.
    fn tiles(&self) -> u16 {
        if self.figures == 0 { 0 } else { self.figures + 3 }
    }
}

/// The largest for which headline, count and clock stand beside each other.
fn scale_of_strip(area: Rect, ascii: bool) -> Option<Scale> {
    let (word, count, clock) = WIDEST;
    let together = format!("{word} {count} {clock}");
    Scale::fitting(&std::iter::once(together.as_str()), area.width.saturating_sub(1), area.height / 4, ascii)
}

/// Draws everything into `area`, moved by what [`shift`] says.
pub fn draw(buf: &mut Buffer, area: Rect, wall: &Wall, c: Context<'_>, pace: &Pace, theme: &Theme) {
    let painter = Painter::new(theme, c.ascii);
    paint(buf, area, theme.style(Role::Background));
    let (dx, dy) = shift(c.now);
    let inner = Rect {
        x: area.x + dx.min(area.width.saturating_sub(1)),
        y: area.y + dy.min(area.height.saturating_sub(1)),
        width: area.width.saturating_sub(1),
        height: area.height.saturating_sub(1),
    };
    if inner.width == 0 || inner.height == 0 {
        return;
    }
    let places = Places::of(inner, c.ascii);
    let below = inner.height.saturating_sub(places.head + 1);
    let room = (usize::from(inner.width), usize::from(below));
    let scene = scene(c, wall, pace, room, usize::from(places.tiles()));
    head(buf, inner, &places, &scene.head, c, &painter);
    let mut rest = Rect { y: inner.y + places.head.min(inner.height), height: below, ..inner };
    if places.figures > 0 && rest.height > places.tiles() && !scene.sheet.tiles.is_empty() {
        tiles(buf, Rect { height: places.tiles(), ..rest }, &scene.sheet.tiles, &painter);
        rest.y += places.tiles();
        rest.height -= places.tiles();
    }
    match &scene.sheet.body {
        Body::Lines(text) => lines(buf, rest, text, &painter),
        Body::Map { cells, width, height } => map(buf, rest, cells, (*width, *height), &painter),
    }
    if inner.height > places.head {
        line(buf, Rect { y: inner.bottom() - 1, height: 1, ..inner }, &scene.foot, &painter);
    }
    if let Some(help) = &scene.help {
        let width = u16::try_from(help.iter().map(|l| l.text().width()).max().unwrap_or(0) + 4).unwrap_or(40);
        let height = u16::try_from(help.len() + 2).unwrap_or(9);
        let at = Rect {
            x: inner.x + inner.width.saturating_sub(width) / 2,
            y: inner.y + inner.height.saturating_sub(height) / 2,
            width: width.min(inner.width),
            height: height.min(inner.height),
        };
        let title = Line::new().with(" wallboard ", Tone::Title);
        let inside = frame_of(buf, at, &title, &painter);
        lines(buf, inside, help, &painter);
    }
}

fn row(area: Rect, y: u16) -> Rect {
    Rect { y: area.y + y, height: area.height.saturating_sub(y).min(1), ..area }
}

fn head(buf: &mut Buffer, area: Rect, places: &Places, head: &Head, c: Context<'_>, painter: &Painter<'_>) {
    let clock = c.now.format("%H:%M:%S").to_string();
    let shape = head.headline.shape(c.ascii);
    let date = c.now.format("UTC %a %-d %b").to_string();
    let alarms = match head.paging_trust {
        None => "no alarms read".to_owned(),
        Some(Trust::Fresh) => "alarms paging".to_owned(),
        Some(trust) => trust.mark(c.ascii),
    };
    let alarms_tone = head.paging_trust.map_or(Tone::Dim, Trust::tone);
    let big = places.strip.map_or(1, Scale::rows);
    let (count_x, clock_x) = if let Some(scale) = places.strip {
        let (word, count, _) = WIDEST;
        let count_x = 1 + scale.columns(&format!("{word} ")) + 1;
        // The clock keeps to the right edge, with its caption.
        let clock_x = area.width.saturating_sub(scale.columns("00:00:00") + 1);
        let draw = |buf: &mut Buffer, x: u16, width: u16, text: &str, tone: Tone| {
            let at = Rect { x: area.x + x, width, height: area.height.min(big), ..area };
            scale.draw(buf, at.intersection(area), text, painter.tone(tone), c.ascii);
        };
        draw(buf, 1, count_x, head.headline.word(), head.headline.tone());
        let room = scale.columns(count);
        // More than fits is said in figures that do.
        let text = if scale.columns(&head.paging) > room { "99+" } else { head.paging.as_str() };
        draw(buf, count_x, clock_x.saturating_sub(count_x), text, head.paging_tone);
        draw(buf, clock_x, area.width, &clock, Tone::Strong);
        (count_x, clock_x)
    } else {
        let text = Line::new()
            .with(format!(" {shape} {}", head.headline.word()), head.headline.tone())
            .with(format!("  {} paging", head.paging), head.paging_tone)
            .with(format!("  {clock}"), Tone::Strong);
        line(buf, row(area, 0), &text, painter);
        (area.width, area.width)
    };
    let caption = row(area, big);
    let why = Line::new()
        .with(format!(" {shape} {} ", head.headline.word()), head.headline.tone())
        .with(head.why.clone(), Tone::Plain);
    line(buf, Rect { width: count_x.saturating_sub(2).min(area.width), ..caption }, &why, painter);
    if count_x < area.width {
        let at = Rect { x: area.x + count_x, width: clock_x.saturating_sub(count_x + 1), ..caption };
        line(buf, at, &Line::new().with(alarms, alarms_tone), painter);
        let at = Rect { x: area.x + clock_x, width: area.width.saturating_sub(clock_x), ..caption };
        line(buf, at, &Line::new().with(date, Tone::Dim), painter);
    }
    let facts = row(area, big + 1);
    let third = area.width / 3;
    for (i, fact) in [(0, &head.deadline), (1, &head.budget), (2, &head.fresh)] {
        let x = i * third;
        let width = if i == 2 { area.width - x } else { third.saturating_sub(1) };
        let mut text = Line::new().with(" ", Tone::Plain);
        text.spans.extend(fact.spans.iter().cloned());
        line(buf, Rect { x: area.x + x, width, ..facts }, &text, painter);
    }
    let rule = (if c.ascii { "-" } else { "─" }).repeat(usize::from(area.width));
    line(buf, row(area, big + 2), &Line::new().with(rule, head.headline.tone()), painter);
}

fn tiles(buf: &mut Buffer, area: Rect, tiles: &[Tile], painter: &Painter<'_>) {
    let Some(count) = u16::try_from(tiles.len()).ok().filter(|n| *n > 0) else { return };
    let width = area.width / count;
    let figures = area.height.saturating_sub(3);
    let texts = tiles.iter().map(|t| t.figure.as_str());
    // One size for all of a page: a figure is not more because it is larger.
    let scale = Scale::fitting(&texts, width.saturating_sub(3), figures, painter.ascii);
    for (i, tile) in tiles.iter().enumerate() {
        let x = area.x + u16::try_from(i).unwrap_or(0) * width + 1;
        let at = Rect { x, width: width.saturating_sub(2), ..area };
        line(buf, row(at, 0), &Line::new().with(tile.label.clone(), Tone::Dim), painter);
        let style = painter.tone(tile.tone);
        match scale {
            Some(scale) => {
                let top = 1 + figures.saturating_sub(scale.rows()) / 2;
                let room = Rect { y: at.y + top, height: at.height.saturating_sub(top), ..at };
                scale.draw(buf, room, &tile.figure, style, painter.ascii);
            }
            None => line(buf, row(at, 1 + figures / 2), &Line::new().with(tile.figure.clone(), tile.tone), painter),
        }
        let note = if tile.trust == Trust::Fresh {
            Line::new().with(tile.note.clone(), Tone::Dim)
        } else {
            Line::new().with(tile.trust.mark(painter.ascii), tile.trust.tone())
        };
        line(buf, row(at, figures + 1), &note, painter);
    }
}

/// Cells as many as fit, the worst first, and a legend that says how many there are no room for.
fn map(buf: &mut Buffer, area: Rect, cells: &[MapCell], (width, height): (usize, usize), painter: &Painter<'_>) {
    let size = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
    let (width, height) = (size(width), size(height).max(1));
    let columns = usize::from(area.width / (width + 2)).max(1);
    let visible = usize::from(area.height.saturating_sub(1) / height) * columns;
    for (i, cell) in cells.iter().enumerate().take(visible) {
        let at = Rect {
            x: area.x + size(i % columns) * (width + 2) + 1,
            y: area.y + size(i / columns) * height,
            width,
            // Of the small ones there is no row to spare.
            height: if height < 4 { height } else { height - 1 },
        };
        lines(buf, at.intersection(area), &cell.lines, painter);
    }
    let mut legend = Line::new().with(" ", Tone::Plain);
    for health in [Health::Ok, Health::Progressing, Health::Warning, Health::Critical, Health::Unknown] {
        legend.push(format!("{} ", task_mark(health, painter.ascii)), Tone::Health(health));
        legend.push(format!("{}  ", health.word()), Tone::Dim);
    }
    if cells.len() > visible {
        let rest = cells.get(visible..).unwrap_or_default();
        let sick = rest.iter().filter(|c| c.health.is_problem()).count();
        legend.push(format!("and {} more, {sick} of them in trouble", rest.len()), Tone::Warning);
    }
    line(buf, Rect { y: area.bottom().saturating_sub(1), height: area.height.min(1), ..area }, &legend, painter);
}
