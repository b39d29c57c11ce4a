//! The page: tables, text, logs.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::lines::{fold, hung, line, lines};
use super::style::Painter;
use super::text::{paint, put};
use crate::app::logs::{LogState, Range};
use crate::app::table::{TableState, ViewKind};
use crate::app::text::{Content, TextState};
use crate::app::{App, Page};
use crate::domain::{Kind, Line, Span, Tone};
use crate::theme::Role;
use crate::view::columns::{Align, Context};
use crate::view::map::task_mark;
use crate::view::table::{Head, TableModel};
use crate::view::words::{columns, fitted};
use crate::view::{alarms, clusters, details, header, logs, notices, placements, runbook, users};

/// How wide a runbook is drawn that is not wrapped.
const UNWRAPPED: usize = 400;

/// Draws the page on top of the stack.
pub fn draw(buf: &mut Buffer, area: Rect, app: &mut App, c: Context<'_>, painter: &Painter<'_>) {
    let (wide, pane, focus, scroll) = (app.wide, app.details, app.details_focus, app.details_scroll);
    let alarms_on_top = app.table().is_some_and(|t| t.kind == ViewKind::Alarms);
    let unmatched = if alarms_on_top { app.runbooks.unmatched(c.store) } else { 0 };
    match app.stack.last_mut() {
        Some(Page::Table(table)) => {
            let pane = pane && area.width >= 70 && table.kind != ViewKind::Map;
            let (left, right) = if pane { split(area) } else { (area, None) };
            match table.kind {
                ViewKind::Overview => overview(buf, left, table, c, painter, wide),
                ViewKind::Map => super::map::draw(buf, left, table, c, painter),
                ViewKind::Pools => pools(buf, left, table, c, painter, wide),
                ViewKind::Spot => spot(buf, left, table, c, painter, wide),
                _ => list(buf, left, table, c, painter, wide),
            }
            if unmatched > 0 && left.height > 2 {
                without_runbook(buf, left, unmatched, painter);
            }
            if let Some(right) = right {
                details_pane(buf, right, table, c, painter, focus, scroll);
            }
        }
        Some(Page::Text(text)) => {
            // Known without asking anybody: as it is now, not as it was when it was opened.
            let width = usize::from(area.width.saturating_sub(2));
            if let Some(opened) = &mut text.runbook {
                if matches!(text.content, Content::Lines(_)) {
                    let width = if text.wrap { width } else { UNWRAPPED };
                    text.content = Content::Lines(runbook::page(opened, &app.runbooks, &app.runs, c, width));
                }
            } else if text.id.kind == Kind::Alarm {
                text.content = Content::Lines(alarms::page(c, &text.id, width));
            } else if crate::app::text::is_known(&text.id) {
                text.content = Content::Lines(details::details(c, &text.id, width));
            }
            text_page(buf, area, text, painter);
        }
        Some(Page::Logs(state)) => log_page(buf, area, state, painter),
        None => {}
    }
}

/// On the line of counts, to the right: how many alarms nobody has written a runbook for.
fn without_runbook(buf: &mut Buffer, area: Rect, count: usize, painter: &Painter<'_>) {
    let text = match count {
        1 => "1 alarm has no runbook ".to_owned(),
        n => format!("{n} alarms have no runbook "),
    };
    let (y, width) = (area.bottom() - 1, u16::try_from(text.width()).unwrap_or(u16::MAX));
    let x = area.right().saturating_sub(width);
    // Counts come first: what has no room beside them is left out.
    let free = (x.saturating_sub(2)..area.right()).all(|x| buf.cell((x, y)).is_none_or(|cell| cell.symbol() == " "));
    if free && x > area.x {
        line(buf, Rect { x, y, width: area.right() - x, height: 1 }, &Line::new().with(text, Tone::Dim), painter);
    }
}

fn split(area: Rect) -> (Rect, Option<Rect>) {
    let width = (area.width * 2 / 5).clamp(32, 64);
    // The last column does not touch the line between the two.
    let left = Rect { width: area.width - width - 1, ..area };
    (left, Some(Rect { x: left.right() + 1, width, ..area }))
}

fn overview(buf: &mut Buffer, area: Rect, table: &mut TableState, c: Context<'_>, painter: &Painter<'_>, wide: bool) {
    let text = clusters::cluster_lines(c, usize::from(area.width));
    let most = (area.height / 3).max(2);
    let height = u16::try_from(text.len()).unwrap_or(u16::MAX).min(most);
    lines(buf, Rect { height, ..area }, &text, painter);
    let mut rest = Rect { y: area.y + height, height: area.height - height, ..area };
    if text.len() > usize::from(height) && height > 0 {
        // The header is not a cluster.
        let shown = usize::from(height).saturating_sub(1);
        let more = text.len() - 1 - shown;
        let mut more = format!("  and {more} more cluster{}", if more == 1 { "" } else { "s" });
        match clusters::troubled_after(c, shown) {
            0 => more += ", nothing wrong there",
            n => more += &format!(", {n} of them in trouble"),
        }
        let row = Rect { y: rest.y, height: 1.min(rest.height), ..rest };
        line(buf, row, &Line::new().with(more, Tone::Dim), painter);
        rest = Rect { y: rest.y + row.height, height: rest.height - row.height, ..rest };
    }
    // Users first; where there is little room, in one line.
    let hurt = users::users(c);
    if !hurt.is_empty() && rest.height > 5 {
        let (gap, most) = if rest.height > 10 { (1, 2) } else { (0, 1) };
        let block = Rect { y: rest.y + gap, height: most.min(rest.height), ..rest };
        lines(buf, block, &hurt, painter);
        let used = gap + most;
        rest = Rect { y: rest.y + used, height: rest.height - used, ..rest };
    }
    if let Some(spot) = notices::overview(c).filter(|_| rest.height > 8) {
        let gap = u16::from(hurt.is_empty() && rest.height > 10);
        line(buf, Rect { y: rest.y + gap, height: 1, ..rest }, &spot, painter);
        rest = Rect { y: rest.y + gap + 1, height: rest.height - gap - 1, ..rest };
    }
    if rest.height > 3 {
        let n = table.order.len();
        let title = if n == 0 { " WRONG NOW".to_owned() } else { format!(" WRONG NOW: {n}") };
        let row = Rect { y: rest.y + 1, height: 1, ..rest };
        line(buf, row, &Line::new().with(title, Tone::Title), painter);
        rest = Rect { y: rest.y + 2, height: rest.height - 2, ..rest };
    }
    list(buf, rest, table, c, painter, wide);
}

/// Services that find no place, then the notices.
fn spot(buf: &mut Buffer, area: Rect, table: &mut TableState, c: Context<'_>, painter: &Painter<'_>, wide: bool) {
    let rest = unplaced(buf, area, c, painter);
    list(buf, rest, table, c, painter, wide);
}

/// Services that find no place, as lines; what is left of the area.
fn unplaced(buf: &mut Buffer, area: Rect, c: Context<'_>, painter: &Painter<'_>) -> Rect {
    let most = usize::from((area.height / 5).clamp(1, 5));
    let text = placements::lines(c, most, usize::from(area.width));
    let height = u16::try_from(text.len()).unwrap_or(0).min(area.height / 2);
    lines(buf, Rect { height, ..area }, &text, painter);
    Rect { y: area.y + height, height: area.height - height, ..area }
}

/// Services that find no place, who leans on one pool, then the pools.
fn pools(buf: &mut Buffer, area: Rect, table: &mut TableState, c: Context<'_>, painter: &Painter<'_>, wide: bool) {
    let area = unplaced(buf, area, c, painter);
    let text = crate::view::notices::leaning(c, usize::from((area.height / 4).clamp(1, 5)), usize::from(area.width));
    let height = u16::try_from(text.len()).unwrap_or(0).min(area.height / 2);
    lines(buf, Rect { height, ..area }, &text, painter);
    let rest = Rect { y: area.y + height, height: area.height - height, ..area };
    list(buf, rest, table, c, painter, wide);
}

fn list(buf: &mut Buffer, area: Rect, table: &mut TableState, c: Context<'_>, painter: &Painter<'_>, wide: bool) {
    if area.height < 2 {
        return;
    }
    // Header above, a line of counts below.
    let room = area.height.saturating_sub(2).max(1);
    if table.page != usize::from(room) {
        table.page = usize::from(room);
        table.keep_visible();
    }
    crate::view::arrange(table, c);
    let model = crate::view::table::table(table, c, area.width, wide);
    heads(buf, Rect { height: 1, ..area }, &model.heads, painter);
    let body = Rect { y: area.y + 1, height: room.min(area.height - 1), ..area };
    if let Some(empty) = &model.empty {
        said(buf, body, empty, painter);
    }
    for (y, row) in (body.top()..body.bottom()).zip(&model.rows) {
        let at = Rect { y, height: 1, ..body };
        if row.selected {
            paint(buf, at, painter.role(Role::RowSelected));
            let sign = if painter.ascii { ">" } else { "▶" };
            buf.set_string(at.x, y, sign, painter.on_selected(painter.role(Role::RowCursor)));
        }
        if row.marked {
            buf.set_string(at.x + 1, y, "*", painter.role(Role::RowMarked));
        } else if let Some(health) = row.health {
            let style = painter.tone(Tone::Health(health));
            let style = if row.selected { painter.on_selected(style) } else { style };
            buf.set_string(at.x + 1, y, task_mark(health, painter.ascii).to_string(), style);
        }
        let mut x = at.x + 3;
        for (head, cell) in model.heads.iter().zip(&row.cells) {
            let pad = usize::from(head.width).saturating_sub(columns(&cell.text));
            let start = if head.align == Align::Right { x + u16::try_from(pad).unwrap_or(0) } else { x };
            if start < at.right() {
                let style = painter.tone(if row.marked && cell.tone == Tone::Plain { Tone::Strong } else { cell.tone });
                let style = if row.selected { painter.on_selected(style) } else { style };
                put(buf, start, y, &cell.text, usize::from(at.right() - start), style);
            }
            x += head.width + 2;
        }
    }
    if area.height > room + 1 {
        let row = Rect { y: area.bottom() - 1, height: 1, ..area };
        let mut foot = counts(&model, table);
        if table.kind == ViewKind::Spot && model.shown > 0 {
            let unread = notices::unread(c);
            let gap = if unread.is_empty() { "" } else { "  " };
            foot.push(format!("{gap}{unread}"), Tone::Warning);
        }
        line(buf, row, &foot, painter);
    }
    table.shown = model;
}

/// What is said instead of rows, on as many lines as it takes.
pub(super) fn said(buf: &mut Buffer, body: Rect, text: &str, painter: &Painter<'_>) {
    let at = Rect { x: body.x + 2, width: body.width.saturating_sub(3), ..body };
    let all: Vec<Line> =
        text.split('\n').flat_map(|l| fold(&Line::new().with(l, Tone::Dim), usize::from(at.width))).collect();
    lines(buf, at, &all, painter);
}

fn heads(buf: &mut Buffer, row: Rect, heads: &[Head], painter: &Painter<'_>) {
    let mut x = row.x + 3;
    for head in heads {
        let mut title = head.title.to_owned();
        if let Some(descending) = head.sorted {
            title.push(match (descending, painter.ascii) {
                (true, false) => '↓',
                (false, false) => '↑',
                (true, true) => 'v',
                (false, true) => '^',
            });
        }
        let title = fitted(&title, usize::from(head.width), false, painter.ascii);
        let pad = u16::try_from(usize::from(head.width).saturating_sub(columns(&title))).unwrap_or(0);
        let start = if head.align == Align::Right { x + pad } else { x };
        if start < row.right() {
            let role = if head.sorted.is_some() { Role::TableHeaderSorted } else { Role::TableHeader };
            put(buf, start, row.y, &title, usize::from(row.right() - start), painter.role(role));
        }
        x += head.width + 2;
    }
}

/// `1-20 of 152`, what is filtered, what is marked, which columns are hidden.
fn counts(model: &TableModel, table: &TableState) -> Line {
    let mut out = Line::new();
    if model.shown > 0 {
        let last = (model.offset + model.rows.len()).min(model.shown);
        let text = format!(
            " {}-{} of {}",
            header::grouped(model.offset as u64 + 1),
            header::grouped(last as u64),
            header::grouped(model.shown as u64)
        );
        out.push(text, Tone::Dim);
        if model.shown == model.total {
            // Nothing is folded away, nor filtered.
        } else if table.kind == ViewKind::Alarms && table.filter.is_empty() && !table.problems_only {
            out.push(format!("  {} alarms", header::grouped(model.total as u64)), Tone::Dim);
        } else if model.shown < model.total {
            out.push(format!(" ({} in all)", header::grouped(model.total as u64)), Tone::Dim);
        }
    }
    if !table.filter.is_empty() {
        out.push("  filter ", Tone::Dim);
        out.push(table.filter.raw.clone(), Tone::Match);
    }
    if table.kind == ViewKind::Spot && table.history {
        out.push("  with what is remembered", Tone::Strong);
    }
    if table.problems_only {
        out.push("  problems only", Tone::Warning);
    }
    if model.marked.0 > 0 {
        out.push(format!("  {} marked", model.marked.0), Tone::Strong);
        if model.marked.1 > 0 {
            out.push(format!(", {} of them hidden", model.marked.1), Tone::Warning);
        }
    }
    if model.hidden > 0 && model.shown > 0 {
        let s = if model.hidden == 1 { "" } else { "s" };
        out.push(format!("  {} more column{s} if wider", model.hidden), Tone::Dim);
    }
    out
}

fn details_pane(
    buf: &mut Buffer,
    area: Rect,
    table: &TableState,
    c: Context<'_>,
    painter: &Painter<'_>,
    focus: bool,
    scroll: usize,
) {
    let role = if focus { Role::BorderFocused } else { Role::Border };
    for y in area.top()..area.bottom() {
        buf.set_string(area.x, y, if painter.ascii { "|" } else { "│" }, painter.role(role));
    }
    let inner = Rect { x: area.x + 2, width: area.width.saturating_sub(3), ..area };
    let Some(id) = table.selected(c.store) else { return };
    let all: Vec<Line> = details::details(c, &id, usize::from(inner.width))
        .into_iter()
        .flat_map(|l| fold(&l, usize::from(inner.width)))
        .collect();
    let from = scroll.min(all.len().saturating_sub(1));
    lines(buf, inner, all.get(from..).unwrap_or_default(), painter);
}

/// In which row each line begins, and how many there are; nothing without lines.
fn begins(folded: &[Vec<Line>]) -> Vec<usize> {
    let mut row = 0;
    let mut out = Vec::with_capacity(folded.len() + 1);
    for rows in folded {
        out.push(row);
        row += rows.len();
    }
    if !folded.is_empty() {
        out.push(row);
    }
    out
}

fn text_page(buf: &mut Buffer, area: Rect, state: &mut TextState, painter: &Painter<'_>) {
    state.height = usize::from(area.height.saturating_sub(1));
    let inner =
        Rect { x: area.x + 1, width: area.width.saturating_sub(2), height: area.height.saturating_sub(1), ..area };
    match &state.content {
        Content::Loading => line(buf, inner, &Line::new().with("loading…", Tone::Dim), painter),
        Content::Failed(why) => {
            let rows = logs::wrap(&[Span { text: why.to_string(), tone: Tone::Error }], usize::from(inner.width));
            let mut all: Vec<Line> = rows.into_iter().map(|spans| Line { spans }).collect();
            all.push(Line::new().with("ctrl-r asks again", Tone::Dim));
            lines(buf, inner, &all, painter);
        }
        Content::Lines(all) => {
            let (width, count) = (usize::from(inner.width), all.len());
            let folded: Vec<Vec<Line>> =
                if state.wrap { all.iter().map(|l| hung(l, width)).collect() } else { Vec::new() };
            state.laid_out(begins(&folded));
            let from = state.scroll;
            let Content::Lines(all) = &state.content else { return };
            let cut = |l: &Line| Line { spans: logs::cut(&l.spans, state.pan, width) };
            let shown: Vec<Line> = if state.wrap {
                folded.into_iter().flatten().skip(from).take(usize::from(inner.height)).collect()
            } else {
                all.iter().skip(from).take(usize::from(inner.height)).map(cut).collect()
            };
            for (y, l) in (inner.top()..inner.bottom()).zip(shown) {
                let spans = marked(&l.spans, &state.search);
                line(buf, Rect { y, height: 1, ..inner }, &Line { spans }, painter);
            }
            let end = (state.line_at(from + state.height.saturating_sub(1)) + 1).min(count);
            let mut foot = Line::new().with(format!(" {end} of {count} lines"), Tone::Dim);
            if !state.search.is_empty() {
                foot.push("  search ", Tone::Dim);
                foot.push(state.search.clone(), Tone::Match);
            }
            line(buf, Rect { y: area.bottom().saturating_sub(1), height: 1, ..area }, &foot, painter);
        }
    }
}

/// Marks what is searched for, span by span.
fn marked(spans: &[Span], search: &str) -> Vec<Span> {
    if search.is_empty() {
        return spans.to_vec();
    }
    let mut out = Vec::new();
    for span in spans {
        let lower = span.text.to_ascii_lowercase();
        let mut at = 0;
        for (start, found) in lower.match_indices(search) {
            out.push(Span { text: span.text[at..start].to_owned(), tone: span.tone });
            at = start + found.len();
            out.push(Span { text: span.text[start..at].to_owned(), tone: Tone::Match });
        }
        out.push(Span { text: span.text[at..].to_owned(), tone: span.tone });
    }
    out
}

fn log_page(buf: &mut Buffer, area: Rect, state: &mut LogState, painter: &Painter<'_>) {
    let (x, width) = (area.x + 1, area.width.saturating_sub(1));
    let body = Rect { x, width, height: area.height.saturating_sub(1), ..area };
    state.height = usize::from(body.height);
    let shown = logs::visible(state, usize::from(body.width), usize::from(body.height), painter.ascii);
    let goes_on = |l: &Line| l.spans.last().is_some_and(|s| s.text == logs::ellipsis(painter.ascii));
    let long = !state.wrap && shown.iter().any(goes_on);
    if shown.is_empty() {
        let text = if state.buffer.lines().is_empty() {
            match (state.answered, state.ended.iter().flatten().next()) {
                (_, Some(why)) => why.to_string(),
                (true, None) => "no lines yet".to_owned(),
                (false, None) => "loading…".to_owned(),
            }
        } else {
            format!("no line of {} has `{}`; esc clears it", state.buffer.lines().len(), state.filter_raw)
        };
        line(buf, body, &Line::new().with(text, Tone::Dim), painter);
    }
    lines(buf, body, &shown, painter);
    line(buf, Rect { y: area.bottom().saturating_sub(1), height: 1, ..area }, &log_foot(state, long), painter);
}

/// `long`: some lines go on beyond the right edge.
fn log_foot(state: &LogState, long: bool) -> Line {
    let lines = state.buffer.lines().len() as u64;
    let mut out = Line::new();
    if state.follow {
        out.push(" following", Tone::Health(crate::domain::Health::Ok));
    } else {
        out.push(" holding", Tone::Warning);
    }
    // What is asked for is asked of each container.
    let each =
        if state.request.sources.len() > 1 && matches!(state.request.range, Range::Tail(_)) { " of each" } else { "" };
    out.push(format!("  {}{each}  {} lines", state.request.range.word(), header::grouped(lines)), Tone::Dim);
    if state.buffer.dropped() > 0 {
        out.push(format!("  {} older ones dropped", header::grouped(state.buffer.dropped())), Tone::Warning);
    }
    if state.is_filtered() {
        out.push(if state.all_lines { "  search " } else { "  only lines with " }, Tone::Dim);
        out.push(state.filter_raw.clone(), Tone::Match);
        let (nth, all) = state.position();
        let all = header::grouped(all as u64);
        let text = nth.map_or_else(|| format!(": {all}"), |n| format!(" {}/{all}", header::grouped(n as u64)));
        out.push(text, Tone::Strong);
    }
    if long {
        out.push("  right: more", Tone::Dim);
    }
    if let Some(source) = state.only().and_then(|n| state.request.sources.get(usize::from(n))) {
        out.push(format!("  only {}", source.label), Tone::Match);
    } else if state.request.sources.len() > 1 {
        let open = state.ended.iter().filter(|e| e.is_none()).count();
        out.push(format!("  {open} container{}", if open == 1 { "" } else { "s" }), Tone::Dim);
    }
    if state.skipped_sources > 0 {
        out.push(format!(" ({} more not read)", state.skipped_sources), Tone::Warning);
    }
    let ended = state.ended.iter().flatten().count();
    if ended == state.ended.len() {
        // Nothing comes any more: that wants a reason. Of some, their marker lines tell it.
        let why = state.ended.iter().flatten().next_back().map_or("", |w| w.as_str());
        out.push(format!("  ended: {why}"), Tone::Dim);
    } else if ended > 0 {
        out.push(format!("  {ended} ended"), Tone::Dim);
    }
    out
}
