//! Do users hurt, and how long have we got: the budgets in two lines.

use super::columns::{Context, budget_mark, budgets::tone};
use crate::domain::slo::State;
use crate::domain::{Budget, Line, Tone};

/// States in the order in which they are counted, worst first.
const ORDER: [Option<State>; 9] = [
    Some(State::ExhaustedAndBurning),
    Some(State::Page),
    Some(State::Exhausted),
    Some(State::Ticket),
    Some(State::NoData),
    None,
    Some(State::FewEvents),
    Some(State::NoTraffic),
    Some(State::Fine),
];

/// The most urgent budget and how many there are of each verdict; empty without
/// budgets.
#[must_use]
pub fn users(c: Context<'_>) -> Vec<Line> {
    let all: Vec<&Budget> = c.store.budgets.rows().collect();
    let place = |b: &Budget| ORDER.iter().position(|s| *s == b.state()).unwrap_or(ORDER.len());
    let urgency = |b: &Budget| b.urgency().unwrap_or(f64::INFINITY);
    let worst = all
        .iter()
        .min_by(|a, b| (place(a).cmp(&place(b))).then(urgency(a).total_cmp(&urgency(b))).then_with(|| a.id.cmp(&b.id)));
    let Some(worst) = worst else { return Vec::new() };
    let first = Line::new()
        .with(" USERS  ", Tone::Title)
        .with(format!("{} ", budget_mark(worst, c.ascii)), tone(worst))
        .with(worst.sentence(), tone(worst));
    let mut second = Line::new().with(format!("        {} budget", all.len()), Tone::Dim);
    second.push(if all.len() == 1 { ":" } else { "s:" }, Tone::Dim);
    // The first of each state, and how many are in it.
    let mut counts: [(Option<&Budget>, usize); ORDER.len()] = [(None, 0); ORDER.len()];
    for b in &all {
        if let Some((first, count)) = counts.get_mut(place(b)) {
            first.get_or_insert(b);
            *count += 1;
        }
    }
    for (one, count) in counts {
        if let Some(one) = one {
            second.push(format!("  {} {count} {}", budget_mark(one, c.ascii), one.word()), tone(one));
        }
    }
    vec![first, second]
}
