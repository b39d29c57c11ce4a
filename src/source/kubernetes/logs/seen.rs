//! Which lines of a log were already given out.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use crate::domain::Timestamp;
use crate::source::LogText;

/// Lines remembered for recognising repeats, at most.
const REMEMBERED: usize = 1 << 16;

/// Knows which lines were already given out, so that asking again from the
/// last time repeats none and loses none.
///
/// Times are nearly sorted, not sorted: standard output and error are written
/// side by side. So a line is left out only if that very line was given out
/// before the connection was cut, never because its time is not the newest.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The newest time of a line given out.
    pub(super) last: Option<Timestamp>,
    /// Lines of the last second, as time and hash: servers cut `sinceTime` to
    /// whole seconds on its way to the node, so all of these may come again.
    recent: VecDeque<(Timestamp, u64)>,
    /// Of those, the ones that may come again on this connection, with how often.
    repeats: HashMap<(Timestamp, u64), u32>,
    /// On this connection, what is before this was given out long ago.
    floor: Option<Timestamp>,
    hasher: RandomState,
}

impl Seen {
    /// From here on, what was given out may come again.
    pub(super) fn resume(&mut self) {
        self.floor = self.last.map(second);
        self.repeats.clear();
        for line in &self.recent {
            *self.repeats.entry(*line).or_default() += 1;
        }
    }

    /// True if the line is new.
    pub(super) fn admit(&mut self, line: &LogText) -> bool {
        let Some(at) = line.at else { return true };
        if self.floor.is_some_and(|floor| at < floor) {
            return false;
        }
        let key = (at, self.hasher.hash_one(&line.raw));
        if let Some(left) = self.repeats.get_mut(&key) {
            *left -= 1;
            if *left == 0 {
                self.repeats.remove(&key);
            }
            return false;
        }
        self.last = self.last.max(Some(at));
        let floor = self.last.map(second);
        while self.recent.len() >= REMEMBERED || self.recent.front().is_some_and(|(t, _)| Some(*t) < floor) {
            self.recent.pop_front();
        }
        if Some(at) >= floor {
            self.recent.push_back(key);
        }
        true
    }
}

/// The whole second a time is in.
pub(super) fn second(at: Timestamp) -> Timestamp {
    Timestamp::from_timestamp(at.timestamp(), 0).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(seen: &mut Seen, lines: &[(i64, &str)]) -> Vec<bool> {
        let line = |(millis, raw): &(i64, &str)| LogText {
            at: chrono::DateTime::from_timestamp_millis(*millis),
            raw: (*raw).to_owned(),
        };
        lines.iter().map(|l| seen.admit(&line(l))).collect()
    }

    #[test]
    fn no_line_twice_and_none_lost() {
        let mut seen = Seen::default();
        assert_eq!(admitted(&mut seen, &[(1000, "a"), (2000, "b"), (2000, "b")]), [true; 3]);
        seen.resume();
        let again = [(1000, "a"), (2000, "b"), (2000, "b"), (2000, "b"), (3000, "c")];
        assert_eq!(admitted(&mut seen, &again), [false, false, false, true, true]);
    }

    #[test]
    fn lines_whose_times_are_out_of_order_are_kept() {
        let mut seen = Seen::default();
        assert_eq!(admitted(&mut seen, &[(2500, "out"), (2400, "err"), (1900, "late")]), [true; 3]);
        // The node sends the whole second again, and a line that was never received.
        seen.resume();
        assert_eq!(
            admitted(&mut seen, &[(2500, "out"), (2400, "err"), (2450, "missed"), (2600, "new")]),
            [false, false, true, true]
        );
        // What was given out after the first cut is known after the second.
        seen.resume();
        assert_eq!(admitted(&mut seen, &[(2450, "missed"), (2600, "new"), (2600, "newer")]), [false, false, true]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut seen = Seen::default();
        for n in 0..REMEMBERED + 10 {
            assert!(admitted(&mut seen, &[(1500, &n.to_string())])[0]);
        }
        assert_eq!(seen.recent.len(), REMEMBERED);
        assert!(admitted(&mut seen, &[(9000, "later")])[0]);
        assert_eq!(seen.recent.len(), 1);
    }
}
