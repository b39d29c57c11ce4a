//! Ages as kubectl prints them.

use super::Timestamp;

/// A duration in whole seconds as kubectl's AGE column prints it
/// (`k8s.io/apimachinery/pkg/util/duration.HumanDuration`): two units at most,
/// coarser as it grows. `-1` is clock noise and prints `0s`; further in the
/// future prints `<invalid>`.
#[must_use]
pub fn human_duration(secs: i64) -> String {
    if secs < -1 {
        return "<invalid>".to_owned();
    }
    if secs < 0 {
        return "0s".to_owned();
    }
    let (minutes, hours) = (secs / 60, secs / 3600);
    let two = |big: i64, big_unit: &str, small: i64, small_unit: &str| {
        if small == 0 { format!("{big}{big_unit}") } else { format!("{big}{big_unit}{small}{small_unit}") }
    };
    match () {
        () if secs < 120 => format!("{secs}s"),
        () if minutes < 10 => two(minutes, "m", secs % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if hours < 24 * 8 => two(hours / 24, "d", hours % 24, "h"),
        () if hours < 24 * 365 * 2 => format!("{}d", hours / 24),
        () if hours < 24 * 365 * 8 => two(hours / 24 / 365, "y", hours / 24 % 365, "d"),
        () => format!("{}y", hours / 24 / 365),
    }
}

/// How far the clock of what is read may be ahead of ours without that being worth a word, in seconds.
const AHEAD_SECS: i64 = 300;

/// Whole seconds from `since` to `now`. A clock that is a little ahead of ours makes that 0; what is
/// further in the future stays negative.
#[must_use]
pub fn elapsed(since: Timestamp, now: Timestamp) -> i64 {
    let secs = (now - since).num_seconds();
    if (-AHEAD_SECS..0).contains(&secs) { 0 } else { secs }
}

/// The age of `since` at `now`, or `<unknown>` as kubectl says it.
#[must_use]
pub fn age(since: Option<Timestamp>, now: Timestamp) -> String {
    since.map_or_else(|| "<unknown>".to_owned(), |t| human_duration(elapsed(t, now)))
}

#[cfg(test)]
mod tests {
    use super::{age, elapsed, human_duration};

    #[test]
    fn a_clock_that_is_a_little_ahead_is_no_news() {
        let now = crate::domain::Timestamp::default();
        let ahead = |secs| now + chrono::TimeDelta::seconds(secs);
        assert_eq!(age(Some(ahead(2)), now), "0s");
        assert_eq!(age(Some(ahead(300)), now), "0s");
        assert_eq!(age(Some(ahead(301)), now), "<invalid>");
        assert_eq!(elapsed(ahead(-70), now), 70);
    }

    /// From `duration_test.go` in k8s.io/apimachinery.
    #[test]
    fn matches_apimachinery() {
        const M: i64 = 60;
        const H: i64 = 3600;
        const D: i64 = 24 * H;
        const Y: i64 = 365 * D;
        for (secs, want) in [
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (1, "1s"),
            (70, "70s"),
            (119, "119s"),
            (2 * M, "2m"),
            (3 * M + 10, "3m10s"),
            (10 * M, "10m"),
            (10 * M + 30, "10m"),
            (H, "60m"),
            (179 * M, "179m"),
            (3 * H, "3h"),
            (3 * H + M, "3h1m"),
            (7 * H + 59 * M, "7h59m"),
            (8 * H, "8h"),
            (47 * H, "47h"),
            (2 * D, "2d"),
            (2 * D + H, "2d1h"),
            (7 * D + 23 * H, "7d23h"),
            (8 * D, "8d"),
            (2 * Y, "2y"),
            (2 * Y - D, "729d"),
            (2 * Y + D, "2y1d"),
            (8 * Y, "8y"),
            (9 * Y + 200 * D, "9y"),
        ] {
            assert_eq!(human_duration(secs), want, "{secs} s");
        }
    }
}
