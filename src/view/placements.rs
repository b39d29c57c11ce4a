//! Services whose tasks cannot be placed, in words: lines above the notices and the pools, a
//! line of the service's details, and for `status`.

use unicode_width::UnicodeWidthStr;

use super::columns::{Cell, Context};
use super::notices::shape;
use super::words::cut;
use crate::domain::placement::Teller;
use crate::domain::{Line, Tone, age::age};
use crate::store::placements::Unplaced;

/// `lacks 2 of 6 tasks`, `lacks 2 of 6 tasks (1 starting)`; `cannot place tasks` where nobody
/// knows how many.
fn lacks(u: &Unplaced, noun: &str) -> String {
    match u.missing {
        Some(m) if m.starting > 0 => format!("lacks {} of {}{noun} ({} starting)", m.tasks, m.desired, m.starting),
        Some(m) => format!("lacks {} of {}{noun}", m.tasks, m.desired),
        None => "cannot place tasks".to_owned(),
    }
}

/// `ecs, log`.
#[must_use]
pub fn tellers(u: &Unplaced, word: fn(Teller) -> &'static str) -> String {
    let words: Vec<&str> = u.tellers.iter().map(|t| word(*t)).collect();
    words.join(", ")
}

/// The cluster; that it is not read, where it is not.
fn place(u: &Unplaced) -> String {
    let read = if u.id.is_some() { "" } else { " (not read here)" };
    if u.cluster.is_empty() { read.to_owned() } else { format!(" in {}{read}", u.cluster) }
}

/// A service in one line of this width, with as much as there is room for: at the least which
/// one, how many tasks, since when and why.
#[must_use]
pub fn line(c: Context<'_>, u: &Unplaced, width: usize) -> Line {
    let tone = Tone::Health(u.health());
    let sign = format!(" {} ", shape(u.health(), c.ascii));
    let since = age(Some(u.since), c.now);
    let (full, brief) = (u.why.words(&u.providers), u.why.briefly(&u.providers));
    let told = tellers(u, Teller::short);
    // Name, where, what, why, who told: the first of these that fits.
    let ways = [
        (place(u), lacks(u, " tasks"), full, format!("  told by {told}")),
        (place(u), lacks(u, " tasks"), brief.clone(), format!("  {told}")),
        (String::new(), lacks(u, " tasks"), brief.clone(), format!("  {told}")),
        (String::new(), lacks(u, ""), brief.clone(), format!("  {told}")),
        (String::new(), lacks(u, ""), brief, String::new()),
    ];
    let used = |(place, what, why, told): &(String, String, String, String)| {
        sign.width()
            + place.width()
            + what.width()
            + since.width()
            + why.width()
            + told.width()
            + " ".len()
            + " for : ".len()
    };
    let fits = ways.iter().find(|w| used(w) + u.name.width() <= width).or(ways.last());
    let Some(way) = fits else { return Line::new() };
    // A long name gives way before the reason does.
    let name = cut(&u.name, width.saturating_sub(used(way)).max(8), true, c.ascii);
    let (place, what, why, told) = way;
    let room = width.saturating_sub(used(way) - why.width() + name.width());
    Line::new()
        .with(sign.clone(), tone)
        .with(name, Tone::Strong)
        .with(place.clone(), Tone::Dim)
        .with(format!(" {what}"), tone)
        .with(format!(" for {since}: "), Tone::Plain)
        .with(cut(why, room.max(1), false, c.ascii), Tone::Plain)
        .with(told.clone(), Tone::Dim)
}

/// A line for each service, in at most so many and one for the rest.
#[must_use]
pub fn lines(c: Context<'_>, most: usize, width: usize) -> Vec<Line> {
    let all = c.store.unplaced(c.now);
    let shown = if all.len() == most + 1 { most + 1 } else { most };
    let mut out: Vec<Line> = all.iter().take(shown).map(|u| line(c, u, width)).collect();
    if all.len() > out.len() {
        out.push(Line::new().with(format!("   and {} more services lack tasks", all.len() - out.len()), Tone::Dim));
    }
    out
}

/// Of a service that cannot place its tasks, for its details: everything.
#[must_use]
pub fn details(c: Context<'_>, u: &Unplaced) -> Cell {
    let text = format!(
        "{} for {}: {}; told by {}",
        lacks(u, " tasks"),
        age(Some(u.since), c.now),
        u.why.words(&u.providers),
        tellers(u, Teller::word)
    );
    Cell::new(text, Tone::Health(u.health()))
}
