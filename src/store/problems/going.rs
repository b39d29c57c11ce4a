//! What is going to go, as lines of what is wrong: one for each machine or task, unless
//! its zone, or it itself, has one already.

use foldhash::HashMap;
use std::collections::BTreeMap;

use super::Problem;
use crate::domain::notice::NoticeKind;
use crate::domain::{ClusterId, Health, Kind, ObjectId, Text, Timestamp};
use crate::store::Store;
use crate::store::notices::{NoticeRow, Verdict, countdown};

/// So many machines have lines of their own; more are one line for each cluster.
const LINES: usize = 5;

/// Lines, or words added to those in `out`.
pub(super) fn add(store: &Store, lost: &HashMap<ObjectId, bool>, out: &mut Vec<Problem>, now: Timestamp) {
    let board = store.board(now);
    if board.rush.all() == 0 {
        return;
    }
    let known: HashMap<ObjectId, usize> = out.iter().enumerate().map(|(at, p)| (p.id.clone(), at)).collect();
    // A task that goes along with its machine is told of on the machine's line; those that
    // go by themselves on the line of the workload that replaces them.
    let mut of_owner: BTreeMap<&ObjectId, Vec<&NoticeRow>> = BTreeMap::new();
    let mut of_cluster: BTreeMap<&ClusterId, Vec<&NoticeRow>> = BTreeMap::new();
    for row in board.urgent().filter(|r| r.owner.is_none() && !is_empty(r)) {
        if let Some(node) = row.node.as_ref().filter(|id| lost.get(*id) != Some(&true)) {
            of_cluster.entry(&node.cluster).or_default().push(row);
        }
    }
    // Many are many however they are spread over clusters.
    let many = of_cluster.values().map(Vec::len).sum::<usize>() > LINES;
    of_cluster.retain(|_, rows| many && rows.len() > 1);
    for row in board.urgent() {
        if let Some(owner) = &row.owner {
            of_owner.entry(owner).or_default().push(row);
            continue;
        }
        let Some(id) = row.node.as_ref().or(row.task.as_ref()) else {
            // Nothing that is read runs there: it is in its own list.
            continue;
        };
        // There is nothing left to be done: its row is marked.
        if lost.get(id) == Some(&true) || (is_empty(row) && !known.contains_key(id)) {
            continue;
        }
        // Of many at once each is in the list of notices; one that is in trouble besides says so.
        if row.node.is_some() && of_cluster.contains_key(&id.cluster) && !known.contains_key(id) {
            continue;
        }
        let tasks = row.tasks.1 - row.tasks.0;
        put(out, known.get(id), line(id, &[row], words(row, now), tasks));
    }
    out.extend(of_cluster.into_values().filter_map(|rows| gathered(&rows, now)));
    for (owner, rows) in of_owner {
        let what = of_many(&rows, "", now);
        let tasks = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        put(out, known.get(owner), line(owner, &rows, what, tasks));
    }
}

/// True of a machine that has nothing left to lose, in good time.
fn is_empty(row: &NoticeRow) -> bool {
    row.node.is_some() && row.verdict == Some(Verdict::Safe) && row.tasks.0 == row.tasks.1
}

/// Many machines of one cluster as one line, which leads to their list: `37 go, first in 0:41, 4 will
/// be cut`.
fn gathered(rows: &[&NoticeRow], now: Timestamp) -> Option<Problem> {
    let first = rows.first()?;
    let taken = rows.iter().filter(|r| r.kind >= NoticeKind::Interruption).count();
    let name = if taken == rows.len() { "spot machines" } else { "machines" };
    let id = ObjectId { kind: Kind::Notice, namespace: Text::empty(), name: Text::new(name), ..first.node.clone()? };
    let tasks = rows.iter().map(|r| r.tasks.1 - r.tasks.0).sum();
    // Those that nobody loses anything with are not among them.
    Some(line(&id, rows, of_many(rows, " with tasks", now), tasks))
}

/// `rows` are about `id`, the one with the least time first.
fn line(id: &ObjectId, rows: &[&NoticeRow], what: String, tasks: u32) -> Problem {
    Problem {
        id: id.clone(),
        health: rows.iter().map(|r| r.health()).max().unwrap_or(Health::Warning).max(Health::Warning),
        what,
        why: rows.first().map_or_else(Text::empty, |r| why(r)),
        since: rows.iter().map(|r| r.issued).min(),
        at_least: false,
        tasks,
    }
}

/// On a line of its own, or added to the one that is there.
fn put(out: &mut Vec<Problem>, known: Option<&usize>, line: Problem) {
    match known.and_then(|at| out.get_mut(*at)) {
        Some(problem) => {
            // What has a deadline is read first.
            problem.what = format!("{}, {}", line.what, problem.what);
            problem.health = problem.health.max(line.health);
        }
        None => out.push(line),
    }
}

/// Of several: `2 go, first in 0:30?, 1 will be cut`.
fn of_many(rows: &[&NoticeRow], which: &str, now: Timestamp) -> String {
    let (n, verb) = (rows.len(), if rows.len() == 1 { "goes" } else { "go" });
    let mut text = format!("{n}{which} {verb}");
    if let Some((left, d)) = rows.iter().find_map(|r| Some((r.left(now)?, r.deadline?))) {
        let first = if n > 1 { ", first" } else { "" };
        let ahead = countdown(left, d.precision);
        text += &if left < 0 { format!("{first} {ahead}") } else { format!("{first} in {ahead}") };
    }
    for verdict in [Verdict::Cut, Verdict::Tight] {
        match rows.iter().filter(|r| r.verdict == Some(verdict)).count() {
            0 => {}
            _ if n == 1 => text += &format!(", {}", verdict.word()),
            some => text += &format!(", {some} {}", verdict.word()),
        }
    }
    text
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
