//! The wallboard as a view model: the strip that every page has, and the page: a few tiles with a big
//! figure each, and lines or a map below them.

mod head;
mod pages;
mod timeline;
mod trust;

use crate::app::wall::{Critical, Pace, Stay, Wall, WallPage};
use crate::domain::{Health, Line, ObjectId, Tone};
use crate::view::columns::Context;
use crate::view::map::MapCell;

pub use head::{Head, Headline, criticals, head, headline};
pub use timeline::{Entry, entries};
pub use trust::{Trust, Watched, figure, hatched, interval, is_vital, of_age, watched};

/// A figure that is read from three metres.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// What it counts.
    pub label: String,
    /// The figure: few characters, `?` or hatched where it is not known.
    pub figure: String,
    /// A few words below it.
    pub note: String,
    /// How it looks.
    pub tone: Tone,
    /// How far it can be trusted.
    pub trust: Trust,
}

/// What is below the tiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Lines from the top; what does not fit is left out at the end.
    Lines(Vec<Line>),
    /// Cells of one width and height, as many as fit, and the legend.
    Map {
        /// The cells, the worst first.
        cells: Vec<MapCell>,
        /// Columns of one.
        width: usize,
        /// Rows of one.
        height: usize,
    },
}

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// The tiles.
    pub tiles: Vec<Tile>,
    /// What is below them.
    pub body: Body,
}

/// Everything on the wall at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// The strip.
    pub head: Head,
    /// The page.
    pub sheet: Sheet,
    /// Which page it is, why it stays, and what is next.
    pub foot: Line,
    /// The help, while somebody asked for it.
    pub help: Option<Vec<Line>>,
}

/// What is critical now, for [`Wall::tick`].
#[must_use]
pub fn urgent(c: Context<'_>, pace: &Pace) -> Vec<Critical> {
    criticals(c, &watched(c, pace))
}

/// The scene for a page of `room` columns and rows below the strip; `tiles` rows of it go to the tiles.
#[must_use]
pub fn scene(c: Context<'_>, wall: &Wall, pace: &Pace, room: (usize, usize), tiles: usize) -> Scene {
    let all = watched(c, pace);
    // Where little is below the tiles, what happened is worth more than how much.
    let bare = wall.page() == WallPage::Timeline && room.1.saturating_sub(tiles) < 16;
    let below = (room.0, if bare { room.1 } else { room.1.saturating_sub(tiles) });
    let mut sheet = pages::sheet(c, wall, &all, below);
    if bare {
        sheet.tiles.clear();
    }
    Scene { head: head(c, &all), sheet, foot: foot(c, wall, room.0), help: wall.is_help().then(help) }
}

/// The ECS services on the page, in a fixed order: their figures are asked for only while they are shown.
#[must_use]
pub fn shown(c: Context<'_>, wall: &Wall) -> Vec<ObjectId> {
    if wall.page() == WallPage::Services { pages::ecs_services(c) } else { Vec::new() }
}

/// `overview 1/7   next: map in 12s`.
fn foot(c: Context<'_>, wall: &Wall, width: usize) -> Line {
    let mut line = Line::new();
    let at = wall.pages().iter().position(|p| *p == wall.page()).unwrap_or(0);
    line.push(format!("{} ", wall.page().name()), Tone::Title);
    // Where there is room, every page with a mark: where we are, and which are critical.
    let names: usize = wall.pages().iter().map(|p| p.name().len() + 3).sum();
    if width >= names + 70 {
        for page in wall.pages() {
            let critical = wall.is_critical(*page);
            let mark = match (critical, *page == wall.page(), c.ascii) {
                (true, _, false) => "✖",
                (true, _, true) => "X",
                (false, true, false) => "●",
                (false, true, true) => "*",
                (false, false, false) => "·",
                (false, false, true) => ".",
            };
            let tone = if critical { Tone::Health(Health::Critical) } else { Tone::Dim };
            line.push(format!(" {mark}{}", page.name()), if *page == wall.page() { Tone::Strong } else { tone });
        }
    } else {
        line.push(format!("{}/{}", at + 1, wall.pages().len()), Tone::Dim);
    }
    let time = |secs: i64| format!("{}:{:02}", secs / 60, secs % 60);
    line.push("   ", Tone::Plain);
    match wall.stay(c.now) {
        Stay::Turn { next, .. } if next == wall.page() => line.push("the only page", Tone::Dim),
        Stay::Turn { next, secs } => line.push(format!("next: {} in {}", next.name(), time(secs)), Tone::Dim),
        Stay::Critical { why, secs, others } => {
            line.push(format!("stays: {why}"), Tone::Health(Health::Critical));
            let with = if others > 0 { format!(", in turn with {others} more") } else { String::new() };
            line.push(format!("{with}; until it clears, {} at most", time(secs)), Tone::Dim);
        }
        Stay::Returns { why, next, secs } => {
            line.push(format!("comes back: {why}"), Tone::Health(Health::Critical));
            line.push(format!("; next: {} in {}", next.name(), time(secs)), Tone::Dim);
        }
        Stay::Held { secs, waiting } => {
            line.push(format!("held by space, {} left", time(secs)), Tone::Warning);
            if waiting > 0 {
                line.push(
                    format!("; {waiting} critical page{} waits", if waiting == 1 { "" } else { "s" }),
                    Tone::Error,
                );
            }
        }
    }
    line
}

fn help() -> Vec<Line> {
    [
        ("space", "hold this page, or let it go"),
        ("arrows", "the page before, the page after"),
        ("?", "this, for half a minute"),
        ("q", "end the wallboard"),
    ]
    .into_iter()
    .map(|(key, what)| Line::new().with(format!("{key:<8}"), Tone::Key).with(what, Tone::Plain))
    .chain(
        ["", "Nothing else does anything: a wallboard changes nothing, and", "ends by q or a signal only."]
            .map(Line::from),
    )
    .collect()
}
