//! Many questions in few requests.

use super::super::api::{Api, LabelMap, Series};
use crate::domain::Timestamp;
use crate::source::SourceError;

/// The label that tells, in the answer to a batch, which question a value answers.
const LABEL: &str = "quarterdeck_question";
/// No more questions in a request than this.
const MOST: usize = 1000;
/// Shorter than this no server wants them.
const SHORTEST: usize = 2 << 10;

/// One expression, which should give one value.
#[derive(Debug, Clone, PartialEq)]
pub struct Question<K> {
    /// What it is for.
    pub key: K,
    /// Whose it is: one owner's mistake is not another's.
    pub owner: usize,
    /// The expression.
    pub expr: String,
}

/// What came for a question.
#[derive(Debug, Clone, PartialEq)]
pub enum Got<T> {
    /// One series.
    One(T),
    /// None.
    Nothing,
    /// More than one.
    Several(Vec<T>),
}

/// A series: its labels, and its points.
pub type Found = (LabelMap, Vec<(f64, f64)>);

/// The answers to some questions.
#[derive(Debug)]
pub struct Answers<K> {
    /// Each question that was answered.
    pub got: Vec<(usize, K, Got<Found>)>,
    /// Owners whose questions the server refuses, and why.
    pub refused: Vec<(usize, SourceError)>,
    /// What the server adds.
    pub note: String,
    /// How many requests it takes: what it costs to find out who is refused is not paid again.
    pub requests: u32,
}

/// When to evaluate.
#[derive(Debug, Clone, Copy)]
pub enum When {
    /// At one moment.
    At(Timestamp),
    /// From, to, and every so many seconds between.
    Range(Timestamp, Timestamp, u64),
}

/// Asks all of it. A question that the server refuses takes none with it but those of its
/// owner; owners in `alone` have been refused before, and are not asked with others.
///
/// # Errors
/// When the server does not answer at all.
pub async fn ask<K: Clone>(
    api: &Api,
    when: When,
    questions: Vec<Question<K>>,
    alone: &[usize],
) -> Result<Answers<K>, SourceError> {
    let limit = api.http.batch().await;
    let mut out = Answers { got: Vec::new(), refused: Vec::new(), note: String::new(), requests: 0 };
    let mut work = batches(questions, limit, alone);
    work.reverse();
    out.requests = u32::try_from(work.len()).unwrap_or(u32::MAX);
    while let Some(batch) = work.pop() {
        match one(api, when, &batch, &mut out).await {
            Ok(()) => {}
            Err(error) if is_too_long(&error) && batch.len() > 1 && batch_length(&batch) > SHORTEST => {
                // From now on none is longer than half of it.
                api.http.shorten(batch_length(&batch) / 2);
                let mut rest = batches(batch, api.http.batch().await, alone);
                rest.reverse();
                out.requests =
                    out.requests.saturating_add(u32::try_from(rest.len()).unwrap_or(u32::MAX)).saturating_sub(1);
                work.extend(rest);
            }
            Err(error) if is_refusal(&error) => {
                let mut owners: Vec<usize> = batch.iter().map(|q| q.owner).collect();
                owners.dedup();
                if let [only] = owners.as_slice() {
                    out.refused.push((*only, error));
                } else {
                    // Halves find who is meant in few requests.
                    let at = owners.get(owners.len() / 2).copied().unwrap_or_default();
                    let split = batch.iter().position(|q| q.owner == at).unwrap_or(1).max(1);
                    let (head, tail) = batch.split_at(split);
                    work.push(tail.to_vec());
                    work.push(head.to_vec());
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(out)
}

/// The expression's length is at fault: some servers, and what stands before them, take short
/// ones only (`VictoriaMetrics` 16 KiB, unless it is told otherwise).
fn is_too_long(error: &SourceError) -> bool {
    match error {
        SourceError::Server { code: 413 | 414 | 431, .. } => true,
        SourceError::Server { code: 200 | 400 | 422, message } => {
            message.contains("too long query")
                || message.contains("query is too long")
                || message.contains("maxQueryLen")
        }
        _ => false,
    }
}

/// How much of an expression a question is.
fn length<K>(question: &Question<K>) -> usize {
    question.expr.len() + 64
}

fn batch_length<K>(batch: &[Question<K>]) -> usize {
    batch.iter().map(length).sum()
}

/// The query is at fault, and not the server.
fn is_refusal(error: &SourceError) -> bool {
    matches!(error, SourceError::Server { code: 200 | 400 | 422, .. })
}

fn batches<K>(questions: Vec<Question<K>>, limit: usize, alone: &[usize]) -> Vec<Vec<Question<K>>> {
    let mut out: Vec<Vec<Question<K>>> = Vec::new();
    let mut size = 0;
    for question in questions {
        let length = length(&question);
        let fits = out.last().and_then(|b| b.last().map(|q| (b.len(), q.owner))).is_some_and(|(count, owner)| {
            let apart = owner != question.owner && (alone.contains(&owner) || alone.contains(&question.owner));
            count < MOST && size + length <= limit && !apart
        });
        if !fits {
            out.push(Vec::new());
            size = 0;
        }
        size += length;
        if let Some(batch) = out.last_mut() {
            batch.push(question);
        }
    }
    out
}

async fn one<K: Clone>(api: &Api, when: When, batch: &[Question<K>], out: &mut Answers<K>) -> Result<(), SourceError> {
    let labelled =
        |(i, q): (usize, &Question<K>)| format!("label_replace({}, \"{LABEL}\", \"{i}\", \"\", \"\")", q.expr);
    let expr = batch.iter().enumerate().map(labelled).collect::<Vec<_>>().join(" or ");
    let (series, note) = match when {
        When::At(at) => {
            let answer = api.query(&expr, at).await?;
            let series = |s: super::super::api::Sample| Series { labels: s.labels, points: vec![(0.0, s.value)] };
            (answer.data.into_iter().map(series).collect::<Vec<_>>(), answer.note)
        }
        When::Range(from, to, step) => {
            let answer = api.query_range(&expr, from, to, step).await?;
            (answer.data, answer.note)
        }
    };
    if !note.is_empty() {
        out.note = note;
    }
    let mut found: Vec<Vec<Found>> = vec![Vec::new(); batch.len()];
    for mut s in series {
        let index = s.labels.remove(LABEL).and_then(|i| i.parse::<usize>().ok());
        if let Some(slot) = index.and_then(|i| found.get_mut(i)) {
            slot.push((s.labels, s.points));
        }
    }
    for (question, mut values) in batch.iter().zip(found) {
        let got = match values.len() {
            0 => Got::Nothing,
            1 => values.pop().map_or(Got::Nothing, Got::One),
            _ => Got::Several(values),
        };
        out.got.push((question.owner, question.key.clone(), got));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(owner: usize, length: usize) -> Question<()> {
        Question { key: (), owner, expr: "x".repeat(length) }
    }

    #[test]
    fn batches_are_full_but_not_too_long() {
        let many = (0..10).map(|i| question(i, 100)).collect();
        let sizes: Vec<usize> = batches(many, 500, &[]).iter().map(Vec::len).collect();
        assert_eq!(sizes, [3, 3, 3, 1]);
    }

    #[test]
    fn who_was_refused_before_is_asked_alone() {
        let many = vec![question(0, 1), question(1, 1), question(1, 1), question(2, 1)];
        let sizes: Vec<usize> = batches(many, 5000, &[1]).iter().map(Vec::len).collect();
        assert_eq!(sizes, [1, 2, 1]);
    }
}
