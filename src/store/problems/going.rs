//! What is going to go, as lines of what is wrong: one for each machine or task, unless
//! its zone, or it itself, has one already.

use std::collections::HashMap;

use super::Problem;
use crate::domain::{Health, ObjectId, Text, Timestamp};
use crate::store::Store;
use crate::store::notices::{NoticeRow, Verdict, countdown};

/// Lines, or words added to those in `out`.
pub(super) fn add(store: &Store, lost: &HashMap<ObjectId, bool>, out: &mut Vec<Problem>, now: Timestamp) {
    let board = store.board(now);
    if board.rush.all() == 0 {
        return;
    }
    let known: HashMap<ObjectId, usize> = out.iter().enumerate().map(|(at, p)| (p.id.clone(), at)).collect();
    // A task that goes along with its machine is told of on the machine's line.
    for row in board.urgent() {
        let Some(id) = row.node.as_ref().or(row.task.as_ref()) else {
            // Nothing that is read runs there: it is in its own list.
            continue;
        };
        if lost.get(id) == Some(&true) {
            continue;
        }
        let what = words(row, now);
        if let Some(problem) = known.get(id).and_then(|at| out.get_mut(*at)) {
            problem.what += &format!(", {what}");
            problem.health = problem.health.max(row.health());
            continue;
        }
        out.push(Problem {
            id: id.clone(),
            health: row.health().max(Health::Warning),
            what,
            why: why(row),
            since: Some(row.issued),
            tasks: row.tasks.1 - row.tasks.0,
        });
    }
}

/// `goes in 1:43, 3 of 11 gone, tight`.
fn words(row: &NoticeRow, now: Timestamp) -> String {
    let mut text = match (row.left(now), row.deadline) {
        (Some(left), _) if left < 0 => countdown(left, crate::domain::notice::Precision::Exact),
        (Some(left), Some(d)) => format!("goes in {}", countdown(left, d.precision)),
        _ => row.kind.word().to_owned(),
    };
    if row.tasks.1 > 0 {
        text += &format!(", {} of {} gone", row.tasks.0, row.tasks.1);
    }
    if let Some(verdict) = row.verdict.filter(|v| *v != Verdict::Safe) {
        text += &format!(", {}", verdict.word());
    }
    text
}

fn why(row: &NoticeRow) -> Text {
    let told = row.told_by.map_or_else(String::new, |(feed, _)| format!(", as the {} says", feed.word()));
    Text::new(&format!("{}{told}", row.kind.word()))
}
