//! "Did you mean": the candidate nearest to a mistyped word.

/// The candidate that needs the fewest edits to become `word`, if it is near
/// enough to be likely: one edit in three characters, case aside. A candidate
/// that `word` is the beginning of counts too.
pub fn suggest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let near = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let lower = candidate.to_lowercase();
            let edits = distance(&word, &lower);
            let begins = word.len() >= 3 && lower.starts_with(&word);
            (edits <= near || begins).then_some((if begins { edits.min(near) } else { edits }, candidate))
        })
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Edits between two words: insert, delete, replace, or swap two neighbours.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let words = ["view-nodes", "view-tasks", "quit", "health-ok"];
        for (word, want) in [
            ("qiut", Some("quit")),
            ("view-node", Some("view-nodes")),
            ("View-Tasks", Some("view-tasks")),
            ("health", Some("health-ok")),
            ("banana", None),
            ("", None),
        ] {
            assert_eq!(suggest(word, words), want, "{word}");
        }
    }
}
